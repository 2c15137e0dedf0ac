// Copyright (C) 2026 The Android Open Source Project
//
// Licensed under the Apache License, Version 2.0 (the "License");
// you may not use this file except in compliance with the License.
// You may obtain a copy of the License at
//
//     http://www.apache.org/licenses/LICENSE-2.0
//
// Unless required by applicable law or agreed to in writing, software
// distributed under the License is distributed on an "AS IS" BASIS,
// WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
// See the License for the specific language governing permissions and
// limitations under the License.

//! One thing in a kernel: what a guest's network is made of. Pure data. A feature is a variant, or
//! more values of a variant. How a thing is made or removed is `step.rs`'s and the executor's.

use super::guest_net::GuestNet;
use super::ownership::Mac;
use super::segment::Member;
use super::table::TableId;
use crate::spec::{IfName, IpPrefix, Kind};
use std::net::{IpAddr, Ipv4Addr};

/// The network namespace that an object is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// The device's.
    Device,
    /// The guest's.
    Guest,
}

/// One thing in a kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    /// `lo`, which is always there.
    Loopback(Loopback),
    /// A network interface.
    Link {
        /// Its name.
        name: IfName,
        /// What it is.
        kind: LinkKind,
        /// Its MAC.
        mac: Mac,
        /// MTU in bytes.
        mtu: u32,
    },
    /// A setting of an interface.
    Sysctl {
        /// The interface.
        dev: IfName,
        /// Which one.
        setting: Setting,
        /// Its value.
        value: bool,
    },
    /// An interface's own settings for IPv4.
    Ipv4Conf {
        /// The interface.
        dev: IfName,
        /// Their values.
        conf: Ipv4Conf,
    },
    /// An IPv4 address.
    Address {
        /// The interface that has it.
        dev: IfName,
        /// The address.
        address: IpAddr,
        /// Length of its prefix.
        prefix: u8,
        /// Whether the kernel makes a route to that prefix with it (not with `IFA_F_NOPREFIXROUTE`).
        prefix_route: bool,
    },
    /// An interface that is up.
    Up {
        /// The interface.
        dev: IfName,
    },
    /// A route.
    Route {
        /// Where to; prefix 0 is a default route.
        to: IpPrefix,
        /// The next hop; none when the destination is on the link.
        via: Option<IpAddr>,
        /// The interface that packets leave by.
        dev: IfName,
        /// The table that it is in.
        table: TableId,
    },
    /// A guest's place in its segment: the filters of both its host end and the segment's device.
    Member {
        /// The host end.
        dev: IfName,
        /// The place.
        member: Member,
    },
    /// The alias of an interface. The commit mark: set last, so a link that has it is whole.
    Alias {
        /// The interface.
        dev: IfName,
        /// The text.
        text: String,
    },
}

/// The state of a guest's `lo`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loopback {
    /// It is up.
    Up,
    /// It is down.
    Down,
    /// It was never up: the kernel adds 127.0.0.1/8 when it comes up (`inetdev_event()`), which
    /// stays when it goes down again.
    New,
}

/// What kind of interface a link is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkKind {
    /// The device's end of a veth pair. Making it makes both ends.
    Veth {
        /// The guest's end.
        peer: IfName,
        /// Its MAC.
        peer_mac: Mac,
    },
    /// The guest's end of one. It is made and deleted with the device's.
    VethPeer,
    /// A TAP device. Its other side is a descriptor, which nothing of the kernel's is behind.
    Tap {
        /// How many descriptors it has.
        queues: u8,
        /// The uid that it is for.
        owner: u32,
    },
}

impl LinkKind {
    /// That of the device's end of a guest's link.
    pub fn of_host_end(net: &GuestNet) -> Self {
        match net.kind {
            Kind::Veth => Self::Veth { peer: net.guest.name.clone(), peer_mac: net.guest.mac },
            Kind::Tap { queues, owner } => Self::Tap { queues: queues.count(), owner },
        }
    }
}

/// A setting of an interface, under /proc/sys/net.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// `ipv6/conf/<interface>/disable_ipv6`.
    DisableIpv6,
}

impl Setting {
    /// Its name as sysctl(8) takes it.
    pub fn key(self, dev: &IfName) -> String {
        match self {
            Self::DisableIpv6 => format!("net.ipv6.conf.{dev}.disable_ipv6"),
        }
    }
}

/// What is ours of an interface's `net.ipv4.conf.<interface>.*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv4Conf {
    /// Whether what comes in there is passed on.
    pub forwarding: u32,
    /// Whether a source has to be behind the interface: 1 means by the best route back.
    pub rp_filter: u32,
    /// Whether ARP is answered only to who is behind the interface by the best route.
    pub arp_filter: u32,
    /// Whether ARP is answered for the interface's own addresses only.
    pub arp_ignore: u32,
    /// The only source that a filter of the interface's own lets in; none: there is no such filter.
    pub source: Option<Ipv4Addr>,
}

impl Ipv4Conf {
    /// A host end's. It forwards whatever `conf.default` says. With the guest's route, which is for one
    /// address, rp_filter lets no other source in, and arp_filter learns no other neighbour
    /// (arp_process()): the table of neighbours is one for the machine.
    pub const HOST_END: Self =
        Self { forwarding: 1, rp_filter: 1, arp_filter: 1, arp_ignore: 1, source: None };

    /// Each by its name.
    pub fn named(self) -> [(&'static str, u32); 4] {
        [
            ("forwarding", self.forwarding),
            ("rp_filter", self.rp_filter),
            ("arp_filter", self.arp_filter),
            ("arp_ignore", self.arp_ignore),
        ]
    }
}

impl Object {
    /// The order of doing; undoing and removing is the reverse. Nothing is up before it is filtered
    /// and has its address, and a route needs its interface up.
    pub fn rank(&self) -> u8 {
        match self {
            Self::Loopback(_) => 0,
            Self::Link { .. } => 1,
            Self::Sysctl { .. } | Self::Ipv4Conf { .. } => 2,
            Self::Address { .. } => 3,
            Self::Up { .. } => 4,
            Self::Route { .. } => 5,
            // What is handed to a device that is down the kernel complains of (tcf_mirred_act()).
            Self::Member { .. } => 6,
            Self::Alias { .. } => 7,
        }
    }

    /// Whether both are the same thing in one namespace, whatever values it has.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Loopback(_), Self::Loopback(_)) => true,
            (Self::Link { name: a, .. }, Self::Link { name: b, .. })
            | (Self::Ipv4Conf { dev: a, .. }, Self::Ipv4Conf { dev: b, .. })
            | (Self::Member { dev: a, .. }, Self::Member { dev: b, .. })
            | (Self::Alias { dev: a, .. }, Self::Alias { dev: b, .. }) => a == b,
            (
                Self::Sysctl { dev: a, setting: this, .. },
                Self::Sysctl { dev: b, setting: that, .. },
            ) => a == b && this == that,
            // Nothing of these can change: with another value it is another one.
            _ => self == other,
        }
    }

    /// The interface that it is, or is on; none for `lo`.
    pub fn dev(&self) -> Option<&IfName> {
        match self {
            Self::Loopback(_) => None,
            Self::Link { name: dev, .. }
            | Self::Sysctl { dev, .. }
            | Self::Ipv4Conf { dev, .. }
            | Self::Address { dev, .. }
            | Self::Up { dev }
            | Self::Route { dev, .. }
            | Self::Member { dev, .. }
            | Self::Alias { dev, .. } => Some(dev),
        }
    }
}
