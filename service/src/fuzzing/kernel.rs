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

//! Messages of rtnetlink, ctnetlink and xfrm: announcements, and answers to what guestnetd asks.

use crate::effects::kernel::netlink::message::{acknowledged, Messages};
use crate::effects::kernel::netlink::tape::play;
use crate::effects::kernel::netlink::Netlink;
use crate::effects::kernel::uplink::Question;
use crate::effects::kernel::{
    address, conntrack, fib, heard, ipsec as policies, link, mirred, monitor, neighbour, observe,
    route, rule, tc, tracked, uplink as ways_out,
};
use crate::model::if_index::IfIndex;
use crate::model::ipsec::{Direction, Flow};
use crate::model::policy_rules::{self, RoutingMode};
use crate::model::segment::Place;
use crate::model::tc::Way;
use crate::model::uplink::Choice;
use crate::spec::Family;
use std::net::Ipv4Addr;

const GUEST: Ipv4Addr = Ipv4Addr::new(172, 17, 3, 3);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(172, 17, 3, 2);
const SERVER: Ipv4Addr = Ipv4Addr::new(93, 184, 215, 14);

thread_local! {
    /// Nothing is sent by it: what it answers is on the tape.
    static NETLINK: Netlink = Netlink::open().expect("a netlink socket");
}

/// Asks, and is answered with this.
fn answered<T>(messages: &[u8], ask: impl FnOnce(&Netlink) -> T) -> T {
    NETLINK.with(|netlink| play(messages, || ask(netlink)))
}

fn index() -> Option<IfIndex> {
    IfIndex::new(2)
}

/// What comes unasked: each datagram tells something, or that something was not understood.
pub fn announcements(bytes: &[u8]) {
    let mut events = Vec::new();
    monitor::sort(bytes, &mut events);
    let all = Messages(bytes).count();
    assert!(events.len() <= all + 1);
    for message in Messages(bytes) {
        let _ = acknowledged(&message);
    }
}

/// Links: their names, kinds, places, counters.
pub fn links(bytes: &[u8]) {
    let Some(index) = index() else { return };
    for link in answered(bytes, link::all).unwrap_or_default() {
        let _ = (link.is_ours(), format!("{link:?}"));
    }
    let _ = answered(bytes, |netlink| link::by_index(netlink, index));
    let _ = answered(bytes, link::counters);
}

/// Addresses and neighbours.
pub fn addresses(bytes: &[u8]) {
    for family in [Family::V4, Family::V6] {
        let found = answered(bytes, |netlink| address::of(netlink, family, index()));
        let wanted = |a: &address::Address| Family::of(a.address) == family;
        assert!(found.unwrap_or_default().iter().all(wanted));
        let _ = answered(bytes, |netlink| neighbour::of(netlink, family, index()));
    }
    let lists = answered(bytes, observe::Lists::read);
    let _ = lists.map(|lists| observe::device_prefixes(&lists, |_| false));
}

/// Routes: lists, and the kernel's answer for one packet.
pub fn routes(bytes: &[u8]) {
    for family in [Family::V4, Family::V6] {
        let found = answered(bytes, |netlink| route::of(netlink, family, None, None));
        let wanted = |r: &route::Route| r.destination.family() == family;
        assert!(found.unwrap_or_default().iter().all(wanted));
    }
    let _ = answered(bytes, |netlink| route::towards(netlink, SERVER));
    let _ = answered(bytes, |netlink| route::sending(netlink, GATEWAY, SERVER));
    let _ = answered(bytes, |netlink| route::kind_of_way(netlink, SERVER));
    let _ = answered(bytes, |netlink| fib::lookup(netlink, SERVER, None));
}

/// Policy-routing rules, and what guestnetd takes from netd's.
pub fn rules(bytes: &[u8]) {
    for family in [Family::V4, Family::V6] {
        let Ok(rules) = answered(bytes, |netlink| rule::all(netlink, family)) else { continue };
        let _ = (RoutingMode::of(&rules), policy_rules::lockdown(&rules));
        assert!(policy_rules::default_network(&rules).len() <= rules.len());
    }
}

/// All that is asked to know the uplink, one answer after the other.
pub fn uplink(bytes: &[u8]) {
    let Some(index) = index() else { return };
    let sender = fib::Sender { index, address: GUEST, mark: 0 };
    for (choice, sender) in [("default", None), ("wlan0,eth*", Some(sender))] {
        let choice: Choice = choice.parse().expect("a choice");
        let question = Question { choice: &choice, routing: RoutingMode::Main, rules: &[], sender };
        if let Ok(uplink) = answered(bytes, |netlink| ways_out::observe(netlink, &question)) {
            let _ = format!("{uplink:?}");
        }
    }
}

/// Queues and filters of traffic control: those of others, and those of a segment.
pub fn traffic_control(bytes: &[u8]) {
    let Some(index) = index() else { return };
    for queue in answered(bytes, tc::queues).unwrap_or_default() {
        let _ = answered(bytes, |netlink| tc::sorting(netlink, &queue));
    }
    for way in [Way::In, Way::Out] {
        let _ = answered(bytes, |netlink| tc::filters(netlink, index, way));
    }
    let found = answered(bytes, |netlink| mirred::of(netlink, index, Place::FromGuest));
    for one in found.unwrap_or_default() {
        let _ = one.place();
    }
}

/// IPsec's policies.
pub fn ipsec(bytes: &[u8]) {
    let Ok(found) = play(bytes, policies::policies) else { return };
    let flow =
        Flow { from: GUEST, to: SERVER, protocol: 6, ports: [None, Some(443)], link: Some(2) };
    for direction in [Direction::In, Direction::Forward, Direction::Out] {
        let _ = found.block(direction, &flow);
    }
}

/// The table of connections.
pub fn connections(bytes: &[u8]) {
    for message in Messages(bytes) {
        let named = conntrack::name_of(&message, &|ends| ends.from != SERVER);
        // What names one to the kernel is no more than it said.
        assert!(named.map_or(0, |name| name.bytes().len()) <= message.body.len() + 8);
    }
    let _ = play(bytes, || heard::just_answered_of(GATEWAY, [30, 120]));
    let _ = play(bytes, || tracked::is_answered(GUEST, SERVER, 6));
}
