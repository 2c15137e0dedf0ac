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

//! Which of the interfaces that are there is the uplink. Pure.

use super::choice::{behind_clat, Choice};
use super::way::{is_internet, Behind, Hop, Way, INTERNET};
use super::Uplink;
use crate::model::if_index::IfIndex;
use crate::model::policy_rules::RoutingMode;
use crate::model::table::TableId;
use crate::spec::{IfName, IpPrefix, Subnet};
use std::net::Ipv4Addr;

/// An interface that may be the uplink, as the kernel has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its name.
    pub name: String,
    /// Its index.
    pub index: IfIndex,
    /// Whether it is up and has carrier.
    pub up: bool,
    /// Its first IPv4 address.
    pub address: Option<Ipv4Addr>,
    /// The network that this is in.
    pub network: Option<Subnet>,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// What is behind it.
    pub behind: Behind,
    /// The bridge or bond that it is a port of: that one has its traffic.
    pub port_of: Option<String>,
    /// The VRF that it is in: guests' packets do not get there by the tables of others.
    pub vrf: Option<String>,
    /// An address of its that guests' packets cannot leave with, where it has no other.
    pub narrow: Option<(Ipv4Addr, u8)>,
    /// Whether it has an IPv6 address of more than its link; read only where it has no IPv4 address.
    pub ipv6: bool,
    /// Whether packets to the internet leave by it: by the kernel's answer, or, where netd routes, by
    /// the table of its own that guests are led to.
    pub carries: bool,
}

impl Candidate {
    /// Whether it can send anything.
    fn works(&self) -> bool {
        self.up && self.address.is_some() && self.port_of.is_none()
    }

    /// Whether none is to be preferred that comes after it.
    pub fn is_best(&self) -> bool {
        self.works() && self.carries && self.behind == Behind::Network
    }
}

/// The place of an interface among those that may be the uplink, the most wanted first; none: it may
/// not be. Where packets go now comes first; then the list counts; a clat comes after its network.
pub fn rank(choice: &Choice, way: &Way, name: &str, index: IfIndex) -> Option<impl Ord> {
    let hop = |hop: &Hop| hop.index == index || behind_clat(name) == Some(&hop.name);
    let at = way.hops.iter().filter(|hop| hop.behind == Behind::Network).position(hop);
    let place = match choice {
        Choice::Listed(_) => choice.place(name)?,
        Choice::Default => (at?, !way.leads_by(index)),
    };
    Some((at.is_none(), place, index))
}

/// The one of an interface's addresses, with their prefixes, that packets to a router leave with.
pub fn source(addresses: &[(Ipv4Addr, u8)], via: Option<Ipv4Addr>) -> Option<Ipv4Addr> {
    let with = |router: Ipv4Addr| {
        let near = |(address, prefix): &&(Ipv4Addr, u8)| {
            IpPrefix::containing(*address, *prefix).is_some_and(|subnet| subnet.contains(router))
        };
        addresses.iter().find(near)
    };
    via.and_then(with).or(addresses.first()).map(|(address, _)| *address)
}

/// A route of a table, as far as it matters here.
#[derive(Clone, Copy, Debug)]
pub struct TableRoute {
    /// Where to.
    pub to: IpPrefix,
    /// Its metric.
    pub metric: u32,
    /// By which interface; none where it leads nowhere.
    pub by: Option<IfIndex>,
}

/// Whether a table with these routes sends packets to the internet by this interface.
pub fn carries(routes: &[TableRoute], by: IfIndex) -> bool {
    let leads = |to: Ipv4Addr| {
        let fit = routes.iter().filter(|route| is_internet(&route.to) && route.to.contains(to));
        let best = fit.min_by_key(|route| (u8::MAX - route.to.prefix(), route.metric));
        best.is_some_and(|route| route.by == Some(by))
    };
    INTERNET.into_iter().any(leads)
}

/// The uplink, out of the candidates in their order.
pub fn select(choice: &Choice, routing: RoutingMode, way: Way, candidates: &[Candidate]) -> Uplink {
    let mut uplink = Uplink { routing, way, ..Uplink::unknown(choice.clone()) };
    let best = candidates.iter().find(|one| one.is_best());
    let works = || candidates.iter().find(|one| one.works());
    let Some(one) = best.or_else(works).or(candidates.first()) else { return uplink };
    uplink.name = IfName::new(&one.name);
    uplink.index = Some(one.index);
    uplink.up = one.up;
    uplink.address = one.address;
    uplink.network = one.network;
    uplink.mtu = one.mtu;
    uplink.behind = one.behind;
    uplink.port_of = one.port_of.clone();
    uplink.vrf = one.vrf.clone();
    uplink.narrow = one.narrow;
    uplink.ipv6_by = one.ipv6.then(|| one.name.clone());
    uplink.carries = one.carries;
    uplink.table = match routing {
        RoutingMode::Main if one.carries && uplink.way.table != TableId::default() => {
            uplink.way.table
        }
        RoutingMode::Main => TableId::MAIN,
        RoutingMode::Netd { .. } => routing.table_of(one.index),
    };
    if routing == RoutingMode::Main && one.carries {
        let others = uplink.way.hops.iter().filter(|hop| {
            hop.index != one.index && hop.behind == Behind::Network && choice.allows(&hop.name)
        });
        uplink.also = others.filter_map(|hop| IfName::new(&hop.name)).collect();
    }
    uplink
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(name: &str, index: u32) -> Hop {
        Hop {
            index: IfIndex::of(index),
            name: name.into(),
            source: None,
            behind: Behind::Network,
            dead: false,
            up: true,
        }
    }

    fn way(hops: &[(&str, u32)]) -> Way {
        let hops = hops.iter().map(|(name, index)| hop(name, *index)).collect();
        Way { hops, table: TableId::MAIN, plain: true, ..Way::default() }
    }

    fn candidate(name: &str, index: u32, carries: bool) -> Candidate {
        Candidate {
            name: name.into(),
            index: IfIndex::of(index),
            up: true,
            address: Some([10, 0, 0, index as u8].into()),
            network: None,
            mtu: 1500,
            behind: Behind::Network,
            port_of: None,
            vrf: None,
            narrow: None,
            ipv6: false,
            carries,
        }
    }

    /// What is asked first, of these interfaces, with indexes from 1.
    fn order(choice: &str, way: &Way, names: &[&str]) -> Vec<String> {
        let choice: Choice = choice.parse().unwrap();
        let mut found: Vec<_> = (1..)
            .zip(names)
            .filter_map(|(index, name)| {
                Some((rank(&choice, way, name, IfIndex::of(index))?, *name))
            })
            .collect();
        found.sort_by(|(a, _), (b, _)| a.partial_cmp(b).unwrap());
        found.into_iter().map(|(_, name)| name.to_owned()).collect()
    }

    #[test]
    fn where_packets_go_comes_first_and_then_the_list() {
        let all = ["v4-wlan0", "rmnet1", "wlan0", "rmnet2", "eth0"];
        let list = "wlan0,rmnet*";
        let none = Way::default();
        assert_eq!(order(list, &none, &all), ["wlan0", "v4-wlan0", "rmnet1", "rmnet2"]);
        let second = way(&[("rmnet2", 4)]);
        assert_eq!(order(list, &second, &all), ["rmnet2", "wlan0", "v4-wlan0", "rmnet1"]);
        let elsewhere = way(&[("eth0", 5)]);
        assert_eq!(order(list, &elsewhere, &all), order(list, &none, &all));
        // A clat of the default network comes before whatever else is in the list.
        let wifi = way(&[("wlan0", 3)]);
        assert_eq!(order("rmnet*,wlan0", &wifi, &all), ["wlan0", "v4-wlan0", "rmnet1", "rmnet2"]);
        assert_eq!(order("default", &wifi, &all), ["wlan0", "v4-wlan0"]);
        assert_eq!(order("default", &none, &all), [""; 0]);
        assert_eq!(order("default", &way(&[("eth0", 5), ("rmnet1", 2)]), &all), ["eth0", "rmnet1"]);
    }

    #[test]
    fn a_guests_link_and_a_dead_end_are_never_the_default() {
        for behind in [Behind::Guest, Behind::Nothing] {
            let mut way = way(&[("vm_wlan", 1), ("wlan0", 2)]);
            way.hops[0].behind = behind;
            assert_eq!(order("default", &way, &["vm_wlan", "wlan0"]), ["wlan0"]);
        }
    }

    fn chosen(candidates: &[Candidate]) -> Option<String> {
        let choice = "wlan0,rmnet*".parse().unwrap();
        let uplink = select(&choice, RoutingMode::Main, Way::default(), candidates);
        uplink.name.map(|name| name.to_string())
    }

    #[test]
    fn the_first_that_carries_the_internet_is_taken() {
        let has = |name: &str, carries| candidate(name, 7, carries);
        let bare = |name: &str| Candidate { address: None, ..has(name, true) };
        let port = |name: &str| Candidate { port_of: Some("br0".into()), ..has(name, true) };
        let dummy = |name: &str| Candidate { behind: Behind::Nothing, ..has(name, true) };
        for (candidates, expected) in [
            (vec![has("wlan0", true), has("rmnet0", true)], Some("wlan0")),
            (vec![has("wlan0", false), has("rmnet0", true)], Some("rmnet0")),
            (vec![bare("wlan0"), has("v4-wlan0", true), has("rmnet0", true)], Some("v4-wlan0")),
            (vec![port("wlan0"), has("rmnet0", true)], Some("rmnet0")),
            (vec![dummy("wlan0"), has("rmnet0", true)], Some("rmnet0")),
            // None carries it: one that works; none works: one that is there.
            (vec![bare("wlan0"), has("rmnet0", false), has("rmnet1", false)], Some("rmnet0")),
            (vec![bare("wlan0"), bare("rmnet0")], Some("wlan0")),
            (vec![], None),
        ] {
            assert_eq!(chosen(&candidates).as_deref(), expected, "{candidates:?}");
        }
    }

    #[test]
    fn all_next_hops_that_are_allowed_belong_to_it() {
        let way = way(&[("wlan0", 1), ("rmnet0", 2), ("eth0", 3)]);
        let also = |choice: &str, routing| {
            let choice = choice.parse().unwrap();
            let uplink = select(&choice, routing, way.clone(), &[candidate("rmnet0", 2, true)]);
            uplink.also.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(also("default", RoutingMode::Main), ["wlan0", "eth0"]);
        assert_eq!(also("rmnet0,wlan0", RoutingMode::Main), ["wlan0"]);
        assert_eq!(also("rmnet0", RoutingMode::Main), [""; 0]);
        // There guests are led to the table of one interface.
        assert_eq!(also("default", RoutingMode::Netd { local: 20000 }), [""; 0]);
    }

    #[test]
    fn what_leaves_has_the_address_that_is_near_the_router() {
        let (a, b) = (Ipv4Addr::new(10, 0, 0, 2), Ipv4Addr::new(10, 0, 1, 2));
        let all = [(a, 24), (b, 24)];
        assert_eq!(source(&all, Some([10, 0, 1, 1].into())), Some(b));
        assert_eq!(source(&all, Some([10, 9, 9, 9].into())), Some(a));
        assert_eq!((source(&all, None), source(&[], None)), (Some(a), None));
    }

    #[test]
    fn a_table_carries_the_internet_by_its_longest_prefix() {
        let route = |to: &str, metric, by: Option<u32>| TableRoute {
            to: to.parse().unwrap(),
            metric,
            by: by.map(IfIndex::of),
        };
        let carries = |routes: &[TableRoute], by| carries(routes, IfIndex::of(by));
        let default = route("0.0.0.0/0", 100, Some(7));
        assert!(carries(&[default], 7) && !carries(&[default], 8));
        assert!(!carries(&[], 7));
        for own in ["10.0.0.0/8", "203.0.113.0/24"] {
            assert!(!carries(&[route(own, 0, Some(7))], 7), "a network of its own alone");
        }
        // Whatever their metrics.
        let halves =
            [route("0.0.0.0/1", 200, Some(9)), route("128.0.0.0/1", 200, Some(9)), default];
        assert!(carries(&halves, 9) && !carries(&halves, 7));
        let better = [default, route("0.0.0.0/0", 50, Some(8))];
        assert!(carries(&better, 8) && !carries(&better, 7));
        let kill_switch = [default, route("0.0.0.0/0", 50, None)];
        assert!(!carries(&kill_switch, 7));
        // Of a network that nobody has, some have a route to nowhere.
        assert!(carries(&[default, route("203.0.113.0/24", 0, None)], 7));
    }
}
