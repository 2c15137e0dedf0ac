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

//! What the kernel's routing rules and tables answer for one packet: the route itself, with all its next
//! hops (RTM_GETROUTE with RTM_F_FIB_MATCH, since Linux 4.13). Changes nothing.

use super::netlink::message::{attributes, index_at, ipv4, u32_at, Message};
use super::netlink::Netlink;
use super::{link, nexthop, route, rule};
use crate::error::KernelError;
use crate::model::if_index::IfIndex;
use crate::model::policy_rules::{unreachable, Packet};
use crate::model::table::TableId;
use crate::model::uplink::way::{Answer, Matched, NextHop, Refusal};
use crate::spec::Family;
use rtnetlink::packet_route::route::{RouteAttribute, RouteFlags, RouteMessage};
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::RouteNetlinkMessage::GetRoute;
use std::net::Ipv4Addr;

// linux/rtnetlink.h
const RTM_F_LOOKUP_TABLE: u32 = 0x1000;
const RTM_F_FIB_MATCH: u32 = 0x2000;
const RTNH_F_DEAD: u32 = 1;
/// Length of `struct rtmsg`.
const RTMSG: usize = 12;
/// Length of `struct rtnexthop`.
const RTNEXTHOP: usize = 8;

/// Who sends a packet that the device is to pass on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender {
    /// Index of the interface that it comes in by.
    pub index: IfIndex,
    /// Its source.
    pub address: Ipv4Addr,
    /// The mark that others give to it.
    pub mark: u32,
}

/// What the kernel answers for a packet to this address: one that it passes on for the sender, or, where
/// there is none or that cannot be said, one of the device's own.
pub fn lookup(
    netlink: &Netlink,
    to: Ipv4Addr,
    sender: Option<Sender>,
) -> Result<Answer, KernelError> {
    if let Some(sender) = sender {
        // Others mean as well that the interface is gone, that forwarding is off, or that the
        // reverse-path filter refuses the sender (ip_route_input_slow()).
        match ask(netlink, to, Some(sender)) {
            Err(e) if ![libc::ENETUNREACH, libc::EACCES].contains(&e.errno) => {}
            answered => return answer(answered, || is_refused(netlink, to, Some(sender))),
        }
    }
    answer(ask(netlink, to, None), || is_refused(netlink, to, None))
}

/// Whether it is a rule that has the kernel say that there is no route.
fn is_refused(netlink: &Netlink, to: Ipv4Addr, sender: Option<Sender>) -> bool {
    let refuses = || -> Result<bool, KernelError> {
        let link = sender.map(|sender| link::by_index(netlink, sender.index)).transpose()?;
        let link = link.flatten();
        let packet = Packet {
            input: link.as_ref().map_or("lo", |link| link.name.as_str()),
            from: sender.map_or(Ipv4Addr::UNSPECIFIED, |sender| sender.address),
            to,
            mark: sender.map_or(0, |sender| sender.mark),
        };
        let rules = rule::all(netlink, Family::V4)?;
        let Some((_, tables)) = unreachable(&rules, &packet) else { return Ok(false) };
        for table in tables {
            let routes = route::of(netlink, Family::V4, Some(table), None)?;
            if routes.iter().any(|route| route.unicast && route.destination.prefix() == 0) {
                return Ok(true);
            }
        }
        Ok(false)
    };
    refuses().unwrap_or(false)
}

fn ask(netlink: &Netlink, to: Ipv4Addr, sender: Option<Sender>) -> Result<Matched, KernelError> {
    let mut message = RouteMessage::default();
    message.header.address_family = AddressFamily::Inet;
    message.header.destination_prefix_length = 32;
    message.header.flags = RouteFlags::from_bits_retain(RTM_F_LOOKUP_TABLE | RTM_F_FIB_MATCH);
    // What is passed on counts as root's (sock_net_uid()), whoever asks.
    message.attributes = vec![RouteAttribute::Destination(to.into()), RouteAttribute::Uid(0)];
    if let Some(Sender { index, address, mark }) = sender {
        message.header.source_prefix_length = 32;
        message
            .attributes
            .extend([RouteAttribute::Source(address.into()), RouteAttribute::Iif(index.get())]);
        message.attributes.extend((mark != 0).then_some(RouteAttribute::Mark(mark)));
    }
    let (mut route, object) = netlink.get(&GetRoute(message), read)?;
    if let Some(id) = object.filter(|_| route.hops.is_empty()) {
        route.hops = nexthop::hops(netlink, id)?;
    }
    Ok(route)
}

/// A refusal is an error number (fib_props, fib4_rule_action()). A rule that says unreachable has that of
/// no route.
fn answer(
    answered: Result<Matched, KernelError>,
    is_refused: impl FnOnce() -> bool,
) -> Result<Answer, KernelError> {
    match answered {
        Ok(route) => Ok(Answer::Route(route)),
        Err(e) => match e.errno {
            libc::ENETUNREACH if is_refused() => Ok(Answer::Refused(Refusal::Unreachable)),
            libc::ENETUNREACH => Ok(Answer::NoRoute),
            libc::EHOSTUNREACH => Ok(Answer::Refused(Refusal::Unreachable)),
            libc::EACCES => Ok(Answer::Refused(Refusal::Prohibit)),
            libc::EINVAL => Ok(Answer::Refused(Refusal::Blackhole)),
            _ => Err(e),
        },
    }
}

/// With the nexthop object that it names. By hand: netlink-packet-route refuses a whole message for one attribute of
/// a next hop that it does not know.
fn read(message: &Message<'_>) -> Option<(Matched, Option<u32>)> {
    if message.kind != libc::RTM_NEWROUTE {
        return None;
    }
    let byte = |at: usize| message.body.get(at).copied();
    // rtm_dst_len, rtm_table, rtm_flags; the header has no room for a table above 255.
    let mut route = Matched { prefix: byte(1)?, table: TableId(byte(4)?.into()), hops: Vec::new() };
    let dead = u32_at(message.body, 8)? & RTNH_F_DEAD != 0;
    let via = message.attributes(RTMSG).find(libc::RTA_GATEWAY).and_then(ipv4);
    for (kind, value) in message.attributes(RTMSG) {
        match kind {
            libc::RTA_TABLE => route.table = TableId(u32_at(value, 0)?),
            libc::RTA_OIF => route.hops.push(NextHop { index: index_at(value, 0)?, via, dead }),
            libc::RTA_MULTIPATH => route.hops.extend(Hops(value)),
            _ => {}
        }
    }
    Some((route, nexthop::named(message)))
}

/// The `struct rtnexthop`s of a route, each with attributes behind it; ends at the first that is not
/// whole.
struct Hops<'a>(&'a [u8]);

impl Iterator for Hops<'_> {
    type Item = NextHop;

    fn next(&mut self) -> Option<NextHop> {
        // rtnh_len and rtnh_flags, rtnh_ifindex.
        let head = self.0.get(..RTNEXTHOP)?;
        let length = usize::from(u16::from_ne_bytes([*head.first()?, *head.get(1)?]));
        let dead = u32::from(*head.get(2)?) & RTNH_F_DEAD != 0;
        let index = index_at(head, 4)?;
        let body = self.0.get(..length).unwrap_or_default();
        let via = attributes(body, RTNEXTHOP).find(libc::RTA_GATEWAY).and_then(ipv4);
        let whole = length.next_multiple_of(4).max(RTNEXTHOP);
        self.0 = self.0.get(whole..).unwrap_or_default();
        Some(NextHop { index, via, dead })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effects::kernel::testing::{in_a_netns, ip};
    use crate::model::uplink::way::INTERNET;

    const TO: Ipv4Addr = INTERNET[0];

    fn links() {
        for (name, number) in [("one", 1), ("two", 2), ("guest", 3)] {
            ip(&format!("link add {name} type veth peer name far-{name}"));
            ip(&format!("link set {name} up"));
            ip(&format!("link set far-{name} up"));
            ip(&format!("addr add 10.0.{number}.1/24 dev {name}"));
        }
    }

    fn index(netlink: &Netlink, name: &str) -> IfIndex {
        link::by_name(netlink, name).unwrap().unwrap().index
    }

    fn matched(netlink: &Netlink, sender: Option<Sender>) -> Matched {
        match lookup(netlink, TO, sender).unwrap() {
            Answer::Route(route) => route,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn all_next_hops_are_read_whatever_they_are_made_of() {
        in_a_netns(|netlink| {
            links();
            let (one, two) = (index(netlink, "one"), index(netlink, "two"));
            let hop = |index, via: Option<[u8; 4]>| NextHop {
                index,
                via: via.map(Ipv4Addr::from),
                dead: false,
            };
            let [by_one, by_two] = [hop(one, Some([10, 0, 1, 2])), hop(two, Some([10, 0, 2, 2]))];
            let is = |prefix, table: u32, hops: &[NextHop]| {
                let table = TableId(table);
                assert_eq!(matched(netlink, None), Matched { prefix, table, hops: hops.into() });
            };
            assert_eq!(lookup(netlink, TO, None).unwrap(), Answer::NoRoute);
            ip("route add default dev one scope link table 253");
            is(0, 253, &[hop(one, None)]);
            let both = "nexthop via 10.0.1.2 dev one nexthop via 10.0.2.2 dev two onlink";
            ip(&format!("route add default {both}"));
            is(0, 254, &[by_one, by_two]);
            ip("route del default");
            ip("route add default nexthop via 10.0.2.2 dev two nexthop via inet6 fe80::5 dev one");
            is(0, 254, &[by_two, hop(one, None)]);
            ip("route del default");
            ip("nexthop add id 1 via 10.0.1.2 dev one");
            ip("nexthop add id 2 via 10.0.2.2 dev two");
            ip("nexthop add id 3 group 2/1");
            ip("route add default nhid 3");
            is(0, 254, &[by_two, by_one]);
            write_net("ipv4/nexthop_compat_mode", "0");
            is(0, 254, &[by_two, by_one]);
            ip("route replace default nhid 1");
            is(0, 254, &[by_one]);
            ip("route replace default nhid 3");
            ip("route add 128.0.0.0/1 via 10.0.2.2 table 70000");
            ip("rule add pref 9 table 70000");
            is(1, 70000, &[by_two]);
            ip("link set two down");
            assert_eq!(matched(netlink, None).hops.last(), Some(&by_one));
        });
    }

    #[test]
    fn a_refusal_says_which() {
        in_a_netns(|netlink| {
            links();
            for (kind, refusal) in [
                ("blackhole", Refusal::Blackhole),
                ("unreachable", Refusal::Unreachable),
                ("prohibit", Refusal::Prohibit),
            ] {
                ip(&format!("route add {kind} default"));
                assert_eq!(lookup(netlink, TO, None).unwrap(), Answer::Refused(refusal));
                ip(&format!("route del {kind} default"));
            }
            // A rule that says unreachable is like no route; it is to blame for one behind it.
            let is = |answer| assert_eq!(lookup(netlink, TO, None).unwrap(), answer);
            ip("rule add pref 50 unreachable");
            is(Answer::NoRoute);
            ip("route add default dev one");
            let unreachable = Answer::Refused(Refusal::Unreachable);
            is(unreachable.clone());
            let sender =
                Sender { index: index(netlink, "guest"), address: [10, 0, 3, 9].into(), mark: 0 };
            write_forwarding("1");
            assert_eq!(lookup(netlink, TO, Some(sender)).unwrap(), unreachable);
            for (rule, own, passed_on) in [
                ("uidrange 0-0", true, true),
                ("uidrange 1-9", false, false),
                ("from 10.0.3.0/24", false, true),
                ("iif guest", false, true),
                ("iif lo", true, false),
                ("ipproto tcp", false, false),
            ] {
                ip("rule del pref 50");
                ip(&format!("rule add pref 50 {rule} unreachable"));
                let refused = |sender| lookup(netlink, TO, sender).unwrap() == unreachable;
                assert_eq!((refused(None), refused(Some(sender))), (own, passed_on), "{rule}");
            }
            ip("rule del pref 50");
            // As netd's last.
            ip("route del default");
            ip("rule add pref 40000 unreachable");
            is(Answer::NoRoute);
            ip("rule del pref 40000");
            // On to the next rule.
            ip("route add throw default table 9");
            ip("rule add pref 9 table 9");
            ip("route add default dev one");
            assert_eq!(matched(netlink, None).table, TableId::MAIN);
        });
    }

    #[test]
    fn a_rule_for_the_device_itself_is_not_for_what_it_passes_on() {
        in_a_netns(|netlink| {
            links();
            let (one, two) = (index(netlink, "one"), index(netlink, "two"));
            let sender =
                Sender { index: index(netlink, "guest"), address: [10, 0, 3, 9].into(), mark: 0 };
            ip("route add default dev one");
            ip("route add default dev two table 9");
            ip("rule add pref 9 iif lo table 9");
            let by = |sender| matched(netlink, sender).hops[0].index;
            assert_eq!(by(None), two);
            // Where forwarding is off there is no other answer.
            write_forwarding("0");
            assert_eq!(by(Some(sender)), two);
            write_forwarding("1");
            assert_eq!(by(Some(sender)), one);
            assert_eq!(by(Some(Sender { index: IfIndex::of(12345), ..sender })), two, "it is gone");
            ip("rule add pref 8 from 10.0.3.0/24 table 9");
            assert_eq!(by(Some(sender)), two);
            ip("rule add pref 7 from 10.0.3.0/24 prohibit");
            let refused = Answer::Refused(Refusal::Prohibit);
            assert_eq!(lookup(netlink, TO, Some(sender)).unwrap(), refused);
            ip("rule del pref 7");
            ip("rule del pref 8");
            // One for users is, where root is among them.
            ip("rule add pref 7 uidrange 1-99999 prohibit");
            assert_eq!(by(Some(sender)), one);
            ip("rule add pref 6 uidrange 0-99999 prohibit");
            assert_eq!(lookup(netlink, TO, Some(sender)).unwrap(), refused);
        });
    }

    fn write_forwarding(value: &str) {
        write_net("ipv4/ip_forward", value);
    }

    fn write_net(name: &str, value: &str) {
        std::fs::write(format!("/proc/sys/net/{name}"), value).unwrap();
    }

    #[test]
    fn no_length_and_no_byte_makes_it_panic() {
        let mut whole = vec![2, 0, 0, 0, 254, 0, 0, 1, 0, 0, 0, 0];
        let hop = [8, 0, 1, 0, 7, 0, 0, 0];
        let hops = [hop, hop].concat();
        for (kind, value) in [(15u16, &[254u8, 0, 0, 0][..]), (4, &[7, 0, 0, 0]), (9, &hops)] {
            whole.extend((4 + value.len() as u16).to_ne_bytes());
            whole.extend(kind.to_ne_bytes());
            whole.extend(value);
        }
        let parse =
            |body: &[u8]| read(&Message { kind: libc::RTM_NEWROUTE, flags: 0, sequence: 0, body });
        let dead: Vec<_> = parse(&whole).unwrap().0.hops.iter().map(|hop| hop.dead).collect();
        assert_eq!(dead, [false, true, true]);
        for end in 0..whole.len() {
            let _ = parse(&whole[..end]);
        }
        for at in 0..whole.len() {
            for byte in [0, 1, 4, 0x7f, 0xff] {
                let mut bent = whole.clone();
                bent[at] = byte;
                let _ = parse(&bent);
            }
        }
    }
}
