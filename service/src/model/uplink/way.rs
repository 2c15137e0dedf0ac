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

//! Where packets to the internet go, as the kernel's rules and tables answer. Pure.

use crate::model::if_index::IfIndex;
use crate::model::table::TableId;
use crate::spec::IpPrefix;
use std::net::Ipv4Addr;

/// Two addresses of the internet, to ask where packets to it would go; nothing is sent there. One in each
/// half of all addresses: a VPN may take the default route's place by 0.0.0.0/1 and 128.0.0.0/1. The
/// first is of TEST-NET-3 (RFC 5737), which nobody has: a resolver, a gateway, or a server that
/// everybody knows may well have a route of its own, and says nothing about the rest. The lower half
/// has no such network; the second is in one without public servers.
pub const INTERNET: [Ipv4Addr; 2] = [Ipv4Addr::new(203, 0, 113, 1), Ipv4Addr::new(53, 0, 0, 1)];

/// The longest prefix of a route to the internet, rather than to some network: what VPNs that leave private
/// networks out have instead of a default route is none longer.
const LONGEST: u8 = 7;

/// Whether a route to these addresses is one to the internet: a default route, or a VPN's part of it.
pub fn is_internet(to: &IpPrefix) -> bool {
    to.prefix() <= LONGEST && INTERNET.iter().any(|address| to.contains(*address))
}

// linux/rtnetlink.h

/// What the kernel answers for one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// This route.
    Route(Matched),
    /// No route.
    NoRoute,
    /// A route or a rule that refuses it.
    Refused(Refusal),
}

/// The route that answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matched {
    /// Length of its prefix: 0 for a default route.
    pub prefix: u8,
    /// Its table.
    pub table: TableId,
    /// Its next hops, in the kernel's order.
    pub hops: Vec<NextHop>,
}

/// One next hop of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextHop {
    /// Index of its interface.
    pub index: IfIndex,
    /// Its router; none where there is none, or none of IPv4.
    pub via: Option<Ipv4Addr>,
    /// Whether the kernel leaves it out now (RTNH_F_DEAD).
    pub dead: bool,
}

/// How a route or a rule refuses packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// They vanish.
    Blackhole,
    /// The sender is told that there is no way.
    Unreachable,
    /// The sender is told that it is prohibited.
    Prohibit,
}

impl Refusal {
    /// As `ip route` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Blackhole => "blackhole",
            Self::Unreachable => "unreachable",
            Self::Prohibit => "prohibit",
        }
    }
}

/// What is behind an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behind {
    /// Some network.
    Network,
    /// A guest: the interface is ours.
    Guest,
    /// Nothing: what is sent by it is lost.
    Nothing,
}

impl Behind {
    /// By the interface's kind (IFLA_INFO_KIND). `is_loopback`: IFF_LOOPBACK. `comes_back`: it is a veth
    /// whose other end is in the device's own namespace and a port of nothing.
    pub fn interface(kind: &str, is_ours: bool, is_loopback: bool, comes_back: bool) -> Self {
        // drivers/net/dummy.c frees every packet; an ifb has only what is redirected to it.
        let drops = matches!(kind, "dummy" | "ifb" | "nlmon");
        if is_ours {
            Self::Guest
        } else if drops || is_loopback || comes_back {
            Self::Nothing
        } else {
            Self::Network
        }
    }
}

/// One interface that packets to the internet leave by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// Its index.
    pub index: IfIndex,
    /// Its name.
    pub name: String,
    /// What packets leave by it with; read only where there are several.
    pub source: Option<Ipv4Addr>,
    /// What is behind it.
    pub behind: Behind,
    /// Whether the kernel leaves it out now.
    pub dead: bool,
    /// Whether it is up and has carrier.
    pub up: bool,
}

/// Where packets to the internet go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Way {
    /// The interfaces, each once; more than one where the kernel spreads connections over several.
    pub hops: Vec<Hop>,
    /// What refuses them, where no route leads anywhere.
    pub refusal: Option<Refusal>,
    /// The table of the route that answers; 0 when there is none.
    pub table: TableId,
    /// Whether that is a plain default route, in table main or default: what is in front of it is a
    /// VPN's, as a rule.
    pub plain: bool,
}

/// The next hops of all answers, each interface once, and the way without its interfaces. A route that
/// refuses one of the addresses alone (as some have for networks that nobody has) says nothing.
pub fn merge(answers: &[Answer]) -> (Vec<NextHop>, Way) {
    let mut hops: Vec<NextHop> = Vec::new();
    let mut way = Way::default();
    for answer in answers {
        match answer {
            Answer::Route(route) if route.prefix > LONGEST => {}
            Answer::Route(route) => {
                let first = hops.is_empty();
                for hop in &route.hops {
                    match hops.iter_mut().find(|there| there.index == hop.index) {
                        Some(there) => there.dead &= hop.dead,
                        None => hops.push(*hop),
                    }
                }
                if first {
                    way.table = route.table;
                    way.plain = route.prefix == 0
                        && [TableId::MAIN, TableId::DEFAULT].contains(&route.table);
                }
            }
            Answer::Refused(refusal) => way.refusal = way.refusal.or(Some(*refusal)),
            Answer::NoRoute => {}
        }
    }
    if !hops.is_empty() {
        way.refusal = None;
    }
    (hops, way)
}

impl Way {
    /// Whether packets leave by the interface of this index.
    pub fn leads_by(&self, index: IfIndex) -> bool {
        self.hops.iter().any(|hop| hop.index == index)
    }

    /// The first interface, whatever is behind it.
    pub fn first(&self) -> Option<&Hop> {
        self.hops.first()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(prefix: u8, table: u32, indexes: &[u32]) -> Answer {
        let hops = indexes
            .iter()
            .map(|index| NextHop { index: IfIndex::of(*index), via: None, dead: false })
            .collect();
        Answer::Route(Matched { prefix, table: TableId(table), hops })
    }

    #[test]
    fn what_two_addresses_are_answered_is_one_way() {
        use Answer::{NoRoute, Refused};
        let refused = |how| Refused(how);
        for (answers, hops, refusal, plain) in [
            ([by(0, 254, &[3]), by(0, 254, &[3])], &[3][..], None, true),
            ([by(0, 253, &[3, 4, 3]), by(0, 253, &[3, 4, 3])], &[3, 4], None, true),
            // A VPN's halves, and one half of them; a table of its own.
            ([by(1, 254, &[9]), by(1, 254, &[9])], &[9], None, false),
            ([by(1, 254, &[9]), by(0, 254, &[3])], &[9, 3], None, false),
            ([by(0, 51820, &[9]), by(0, 51820, &[9])], &[9], None, false),
            // A network that nobody has is somebody's, or is refused.
            ([by(24, 254, &[9]), by(0, 254, &[3])], &[3], None, true),
            ([by(24, 254, &[9]), NoRoute], &[], None, false),
            ([refused(Refusal::Blackhole), by(0, 254, &[3])], &[3], None, true),
            ([refused(Refusal::Prohibit), NoRoute], &[], Some(Refusal::Prohibit), false),
            ([NoRoute, NoRoute], &[], None, false),
        ] {
            let (found, way) = merge(&answers);
            let found: Vec<_> = found.iter().map(|hop| hop.index.get()).collect();
            assert_eq!((&found[..], way.refusal, way.plain), (hops, refusal, plain), "{answers:?}");
        }
    }

    #[test]
    fn a_route_to_some_network_is_none_to_the_internet() {
        for (to, is) in [
            ("0.0.0.0/0", true),
            ("128.0.0.0/1", true),
            ("32.0.0.0/3", true),
            ("200.0.0.0/5", true),
            ("64.0.0.0/2", false),
            ("203.0.113.0/24", false),
            ("10.0.0.0/8", false),
        ] {
            assert_eq!(is_internet(&to.parse().unwrap()), is, "{to}");
        }
    }

    #[test]
    fn a_next_hop_is_dead_where_every_answer_says_so() {
        let dead = |dead| {
            let hops = [(3, dead), (4, true)]
                .map(|(index, dead)| NextHop { index: IfIndex::of(index), via: None, dead })
                .into();
            Answer::Route(Matched { prefix: 0, table: TableId::MAIN, hops })
        };
        let (hops, _) = merge(&[dead(true), dead(false)]);
        assert_eq!(hops.iter().map(|hop| hop.dead).collect::<Vec<_>>(), [false, true]);
    }

    #[test]
    fn what_leads_nowhere_is_known_by_its_kind() {
        let network = |kind| Behind::interface(kind, false, false, false);
        for kind in ["", "tun", "veth", "bridge", "wireguard", "rmnet"] {
            assert_eq!(network(kind), Behind::Network, "{kind}");
        }
        for kind in ["dummy", "ifb", "nlmon"] {
            assert_eq!(network(kind), Behind::Nothing, "{kind}");
        }
        assert_eq!(Behind::interface("veth", false, false, true), Behind::Nothing);
        assert_eq!(Behind::interface("", false, true, false), Behind::Nothing);
        assert_eq!(Behind::interface("veth", true, false, false), Behind::Guest);
    }
}
