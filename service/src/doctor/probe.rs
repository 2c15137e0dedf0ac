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

//! Which probes there are, for whom, and what can become of them. Pure.

use super::targets::Targets;
use super::wire::dns::Record;
use std::net::{Ipv4Addr, SocketAddrV4};

/// Sizes of packets with the don't-fragment bit: Ethernet's, PPPoE's, WireGuard's, IPv6's least.
pub const SIZES: [u16; 4] = [1500, 1492, 1420, 1280];
/// Of how many hosts the way's MTU is probed: one may not answer large pings.
const SIZED: usize = 2;
/// An ordinary ping's packet.
const PING: u16 = 84;

/// Over what a resolver is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// UDP.
    Udp,
    /// UDP without a checksum, which nobody can get wrong.
    UncheckedUdp,
    /// TCP.
    Tcp,
}

/// What a probe does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An ICMP echo whose packet has this many bytes; it may not be fragmented.
    Ping(u16),
    /// A TCP connection.
    Tcp,
    /// A question to a resolver.
    Dns(Record, Over),
    /// The page that is answered with 204.
    Page,
}

/// What is asked of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The other end of the guest's link.
    Gateway,
    /// The uplink's next hop.
    Router,
    /// A host out there, by TCP.
    Host,
    /// A name, at the guest's gateway; the device asks the resolver behind it.
    Names,
    /// How large a packet gets to a host, and its answer back.
    Size(Ipv4Addr),
    /// Whether somebody wants a sign-in.
    Portal,
}

/// A probe: made in the guest, and the same from the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// In words.
    pub name: String,
    /// What for.
    pub role: Role,
    /// How.
    pub kind: Kind,
    /// Where to from the guest. None for [`Kind::Page`]: the answer to another probe says.
    pub from_guest: Option<SocketAddrV4>,
    /// Where to from the device.
    pub from_device: Option<SocketAddrV4>,
    /// Whether the device's does not go by the uplink: to the guest's link, or to the device itself.
    pub is_near: bool,
}

/// What became of a probe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outcome {
    /// It was not made.
    #[default]
    NotMade,
    /// It was answered as it should be.
    Ok,
    /// It was not answered in time.
    Silent,
    /// It was refused.
    Refused,
    /// It could not be sent.
    NotSent,
    /// It is larger than the way takes, and the sender was told.
    TooLarge,
    /// A sign-in page answered.
    Portal,
    /// The answer cannot be read.
    Odd,
}

/// What became of a probe on one side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// In short.
    pub outcome: Outcome,
    /// Microseconds to the answer.
    pub micros: Option<u64>,
    /// errno of what could not be sent.
    pub errno: Option<i32>,
    /// More about it, in words; of [`Outcome::Portal`] the page's address.
    pub detail: String,
}

/// What probes are made around.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// The guest's gateway and its own address.
    pub guest: Option<(Ipv4Addr, Ipv4Addr)>,
    /// The uplink's next hop.
    pub router: Option<Ipv4Addr>,
    /// Who answers guests' questions: where the device asks.
    pub resolver: Option<Ipv4Addr>,
    /// Whether guestnetd's forwarder asks it for the guest. The device asks nobody at the gateway then.
    pub forwarded: bool,
}

/// The probes, from the nearest to the farthest.
pub fn all(targets: &Targets, around: &Surroundings) -> Vec<Probe> {
    let at = |address: Ipv4Addr, port| Some(SocketAddrV4::new(address, port));
    let (gateway, guest) = around.guest.unzip();
    let mut probes = Vec::new();
    let mut add = |name: String, role, kind, from_guest, from_device| {
        let served_here = role == Role::Names && around.resolver.is_none() && !around.forwarded;
        let is_near = role == Role::Gateway || served_here;
        probes.push(Probe { name, role, kind, from_guest, from_device, is_near });
    };
    if let (Some(gateway), Some(guest)) = (gateway, guest) {
        let name = format!("ping {gateway} (gateway)");
        add(name, Role::Gateway, Kind::Ping(PING), at(gateway, 0), at(guest, 0));
    }
    if let Some(router) = around.router {
        let name = format!("ping {router} (uplink's router)");
        add(name, Role::Router, Kind::Ping(PING), at(router, 0), at(router, 0));
    }
    for host in &targets.hosts {
        for port in [443, 80] {
            let to = at(*host, port);
            add(format!("tcp {host}:{port}"), Role::Host, Kind::Tcp, to, to);
        }
    }
    for (record, over, name) in [
        (Record::A, Over::Udp, "dns A udp"),
        (Record::A, Over::UncheckedUdp, "dns A udp, no checksum"),
        (Record::A, Over::Tcp, "dns A tcp"),
        (Record::Aaaa, Over::Udp, "dns AAAA udp"),
        (Record::Aaaa, Over::Tcp, "dns AAAA tcp"),
    ] {
        let here = gateway.filter(|_| !around.forwarded);
        let resolver = around.resolver.or(here).and_then(|resolver| at(resolver, 53));
        let asked = gateway.and_then(|gateway| at(gateway, 53));
        add(name.to_owned(), Role::Names, Kind::Dns(record, over), asked, resolver);
    }
    let page = targets.page.address.and_then(|address| at(address, targets.page.port));
    let name = format!("http {}{}", targets.page.host, targets.page.path);
    add(name, Role::Portal, Kind::Page, page, page);
    for host in targets.hosts.iter().take(SIZED) {
        for size in SIZES {
            let name = format!("ping {host}, {size} bytes");
            add(name, Role::Size(*host), Kind::Ping(size), at(*host, 0), at(*host, 0));
        }
    }
    probes
}

impl Outcome {
    /// Whether something out there answered, whatever it said.
    pub fn is_answer(self) -> bool {
        matches!(self, Self::Ok | Self::Refused | Self::Portal | Self::Odd)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_is_probed_beside_its_device_and_a_device_alone() {
        let targets = Targets::new(&[], "", "").unwrap();
        let guest = (Ipv4Addr::new(172, 17, 3, 2), Ipv4Addr::new(172, 17, 3, 3));
        let router = Some(Ipv4Addr::new(192, 0, 2, 1));
        let around = Surroundings { guest: Some(guest), router, ..Surroundings::default() };
        let probes = all(&targets, &around);
        assert_eq!(probes.len(), 1 + 1 + 4 + 5 + 1 + 8);
        let to =
            |probe: &Probe| (probe.from_guest.map(|a| *a.ip()), probe.from_device.map(|a| *a.ip()));
        assert_eq!(to(&probes[0]), (Some(guest.0), Some(guest.1)));
        let names = probes.iter().filter(|probe| probe.role == Role::Names);
        assert!(names.clone().all(|probe| to(probe) == (Some(guest.0), Some(guest.0))));
        let alone = all(&targets, &Surroundings { router, ..Default::default() });
        assert_eq!(alone.len(), probes.len() - 1);
        assert!(alone.iter().filter(|p| p.role == Role::Names).all(|p| p.from_device.is_none()));
    }
}
