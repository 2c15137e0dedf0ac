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

//! Everything that decisions about what guests share depend on, as plain data: "with one more guest"
//! is another world. Pure: the kernel is read into it, and nothing in here reads the kernel.

use super::dns::NameServers;
use super::guest_table::GuestTable;
use super::lockdown::Lockdown;
use super::names::{Names, Way};
use super::policy_rules::{RoutingMode, Rule};
use super::ruleset::{NatPorts, Strangers};
use super::subnet_conflict::DevicePrefix;
use super::uplink::Uplink;
use crate::model::if_index::IfIndex;
use crate::ordered::{IntoOrdered, OrderedMap};
use crate::spec::{DeviceState, IfName, Subnet, UplinkInfos, VpnPolicy};
use std::net::Ipv4Addr;

/// The device and its guests.
#[derive(Debug)]
pub struct World {
    /// How the device does things.
    pub platform: Platform,
    /// Its policy-routing rules, as they were read last.
    pub rules: Vec<Rule>,
    /// Whether a VPN is up that nobody may go around, as those rules and the ones before had it.
    pub lockdown: Lockdown,
    /// The way out.
    pub uplink: Uplink,
    /// What callers have said of uplinks.
    pub uplink_infos: UplinkInfos,
    /// What a caller has said of the device.
    pub device_state: DeviceState,
    /// The tuns that guests leave by, as far as they are there.
    pub tuns: OrderedMap<IfName, Tun>,
    /// What the device uses for itself; none when that may have changed.
    pub prefixes: Option<Vec<DevicePrefix>>,
    /// Those of them that guests' subnets have addresses in common with.
    pub conflicts: Vec<DevicePrefix>,
    /// Whether netd was asked for forwarding and has not answered: it may be starting, and about to
    /// flush its chains.
    pub awaits_netd: bool,
    /// Whom the device can ask for names.
    pub name_servers: NameServers,
    /// Which resolvers answer.
    pub names: Names,
    /// What may pass that is not a guest's.
    pub strangers: Strangers,
    /// The guests.
    pub guests: GuestTable,
}

/// How the device does what guests need. Decided in one place (`daemon/start.rs`), and the routing
/// decided again when the rules change.
#[derive(Clone, Debug)]
pub struct Platform {
    /// How it routes.
    pub routing: RoutingMode,
    /// Who switches forwarding on.
    pub forwarding: ForwardingMode,
    /// How its packet filter is programmed.
    pub filter: Backend,
    /// The ports that guests' connections leave with; none: any.
    pub nat_ports: Option<NatPorts>,
    /// The user that guestnetd runs as.
    pub user: u32,
    /// How many connections one guest may have at a time; none: no limit.
    pub connections: Option<u32>,
}

/// How the packet filter is programmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// nf_tables, over netlink.
    Nftables,
    /// x_tables, through the program `iptables`.
    Iptables,
}

/// Who switches IPv4 forwarding on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardingMode {
    /// guestnetd writes `net.ipv4.ip_forward`.
    Sysctl,
    /// netd does when it is asked, for all who need it.
    Netd,
}

/// A tun that guests leave by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tun {
    /// Its index.
    pub index: IfIndex,
    /// Whether it is up.
    pub up: bool,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// The resolvers behind it, in the order in which they are asked.
    pub resolvers: Vec<Ipv4Addr>,
}

impl World {
    /// Whether what a guest with this policy sends waits: for its way out, or for the end of a lockdown that stops it.
    pub fn waits(&self, vpn: &VpnPolicy) -> bool {
        match vpn {
            VpnPolicy::NoUplink => false,
            VpnPolicy::NamedTun(tun) => !self.tuns.get(tun).is_some_and(|tun| tun.up),
            VpnPolicy::BlockUnderLockdown if self.lockdown.stops() => true,
            VpnPolicy::FollowUplink | VpnPolicy::BlockUnderLockdown => !self.uplink.usable(),
        }
    }

    /// What the device uses for itself, as far as it was read.
    pub fn device_prefixes(&self) -> &[DevicePrefix] {
        self.prefixes.as_deref().unwrap_or_default()
    }

    /// What the device uses of a guest's subnet, too.
    pub fn conflict(&self, subnet: &Subnet) -> Option<&DevicePrefix> {
        self.conflicts.iter().find(|prefix| prefix.subnet.overlaps(subnet))
    }

    /// The resolver that guests' questions go to. One that is a guest's own address would be that guest.
    pub fn resolver(&self) -> Option<Ipv4Addr> {
        self.resolver_of(&None)
    }

    /// The same of guests that leave so.
    pub fn resolver_of(&self, way: &Way) -> Option<Ipv4Addr> {
        let is_a_guest = |server: &Ipv4Addr| self.guests.leases.holder(*server).is_some();
        let servers = self.resolvers_behind(way).iter().copied();
        self.names.in_use(way, servers.filter(|server| !is_a_guest(server)))
    }

    /// The resolvers behind a way out.
    pub fn resolvers_behind(&self, way: &Way) -> &[Ipv4Addr] {
        match way {
            None => &self.uplink.resolvers,
            Some(tun) => self.tuns.get(tun).map_or(&[], |tun| &tun.resolvers),
        }
    }

    /// The resolvers that guests' questions go to who leave by a tun.
    pub fn tun_resolvers(&self) -> OrderedMap<IfName, Ipv4Addr> {
        let of = |tun: &IfName| Some((tun.clone(), self.resolver_of(&Some(tun.clone()))?));
        self.guests.tuns().filter_map(of).into_map()
    }

    /// Whether netd routes.
    pub fn netd_routes(&self) -> bool {
        matches!(self.platform.routing, RoutingMode::Netd { .. })
    }
}

#[cfg(test)]
impl World {
    /// A device by table main, without uplink, whose packet filter is nf_tables.
    pub(crate) fn empty() -> Self {
        Self {
            platform: Platform {
                routing: RoutingMode::Main,
                forwarding: ForwardingMode::Sysctl,
                filter: Backend::Nftables,
                nat_ports: None,
                user: 0,
                connections: None,
            },
            rules: Vec::new(),
            lockdown: Lockdown::Off,
            uplink: Uplink::unknown(super::uplink::Choice::Default),
            uplink_infos: UplinkInfos::default(),
            device_state: DeviceState::default(),
            tuns: OrderedMap::new(),
            prefixes: None,
            conflicts: Vec::new(),
            awaits_netd: false,
            name_servers: NameServers::default(),
            names: Names::default(),
            strangers: Strangers::default(),
            guests: GuestTable::default(),
        }
    }
}
