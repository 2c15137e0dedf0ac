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

//! Nexthop objects (`ip nexthop`, since Linux 5.3): a route names one by its number, and says no more of where
//! it leads if `net.ipv4.nexthop_compat_mode` is 0. Changes nothing.

use super::netlink::attr::{Request, Writer};
use super::netlink::message::{index_at, ipv4, u32_at, Message};
use super::netlink::Netlink;
use crate::error::KernelError;
use crate::model::uplink::way::NextHop;

// linux/rtnetlink.h, linux/nexthop.h
const RTA_NH_ID: u16 = 30;
const RTM_NEWNEXTHOP: u16 = 104;
const RTM_GETNEXTHOP: u16 = 106;
const NHA_ID: u16 = 1;
const NHA_GROUP: u16 = 2;
const NHA_OIF: u16 = 5;
const NHA_GATEWAY: u16 = 6;
const RTNH_F_DEAD: u32 = 1;
/// Length of `struct rtmsg`.
const RTMSG: usize = 12;
/// Length of `struct nhmsg`.
const NHMSG: usize = 8;
/// Length of `struct nexthop_grp`.
const NEXTHOP_GRP: usize = 8;

/// The number of the object that a route message names.
pub(super) fn named(message: &Message<'_>) -> Option<u32> {
    message.attributes(RTMSG).find(RTA_NH_ID).and_then(|value| u32_at(value, 0))
}

/// Where an object leads: one way, or those of a group in its order; nowhere if it is gone, or leads nowhere.
pub(super) fn hops(netlink: &Netlink, id: u32) -> Result<Vec<NextHop>, KernelError> {
    let mut hops = Vec::new();
    // A group has no groups (nh_check_attr_group()).
    for part in get(netlink, id)? {
        match part {
            Part::Hop(hop) => hops.push(hop),
            Part::Member(member) => hops.extend(get(netlink, member)?.iter().filter_map(Part::hop)),
        }
    }
    Ok(hops)
}

/// What an object is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Hop(NextHop),
    Member(u32),
}

impl Part {
    fn hop(&self) -> Option<NextHop> {
        match self {
            Self::Hop(hop) => Some(*hop),
            Self::Member(_) => None,
        }
    }
}

fn get(netlink: &Netlink, id: u32) -> Result<Vec<Part>, KernelError> {
    let body = Writer::after(&[0; NHMSG]).with(NHA_ID, &id.to_ne_bytes());
    match netlink.get(&Request { kind: RTM_GETNEXTHOP, body }, read) {
        // It went meanwhile, and its routes with it.
        Err(e) if e.errno == libc::ENOENT => Ok(Vec::new()),
        other => other,
    }
}

fn read(message: &Message<'_>) -> Option<Vec<Part>> {
    if message.kind != RTM_NEWNEXTHOP {
        return None;
    }
    let find = |kind| message.attributes(NHMSG).find(kind);
    if let Some(group) = find(NHA_GROUP) {
        let members = group.chunks_exact(NEXTHOP_GRP).filter_map(|member| u32_at(member, 0));
        return Some(members.map(Part::Member).collect());
    }
    let dead = u32_at(message.body, 4)? & RTNH_F_DEAD != 0;
    let via = find(NHA_GATEWAY).and_then(ipv4);
    let index = find(NHA_OIF).and_then(|value| index_at(value, 0));
    Some(index.into_iter().map(|index| Part::Hop(NextHop { index, via, dead })).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effects::kernel::link;
    use crate::effects::kernel::testing::{in_a_netns, ip};
    use std::net::Ipv4Addr;

    #[test]
    fn an_object_leads_where_it_says_and_a_group_where_its_members_do() {
        in_a_netns(|netlink| {
            for (name, number) in [("one", 1), ("two", 2)] {
                ip(&format!("link add {name} type veth peer name far-{name}"));
                ip(&format!("link set {name} up"));
                ip(&format!("link set far-{name} up"));
                ip(&format!("addr add 10.0.{number}.1/24 dev {name}"));
            }
            ip("link set lo up");
            ip("nexthop add id 1 via 10.0.1.2 dev one");
            ip("nexthop add id 2 dev two");
            ip("nexthop add id 3 group 2/1");
            ip("nexthop add id 4 blackhole");
            let hop = |name, via: Option<[u8; 4]>| NextHop {
                index: link::by_name(netlink, name).unwrap().unwrap().index,
                via: via.map(Ipv4Addr::from),
                dead: false,
            };
            let (one, two) = (hop("one", Some([10, 0, 1, 2])), hop("two", None));
            assert_eq!(hops(netlink, 1).unwrap(), [one]);
            assert_eq!(hops(netlink, 3).unwrap(), [two, one]);
            assert_eq!(hops(netlink, 4).unwrap(), []);
            assert_eq!(hops(netlink, 5).unwrap(), [], "there is none");
        });
    }

    #[test]
    fn no_length_makes_it_panic() {
        let attribute = |kind: u16, value: &[u8]| {
            let length = 4 + value.len() as u16;
            [&length.to_ne_bytes()[..], &kind.to_ne_bytes()[..], value].concat()
        };
        for (kind, value) in [(NHA_GROUP, &[7u8; 24][..]), (NHA_OIF, &[7, 0, 0, 0])] {
            let whole = [vec![0; NHMSG], attribute(kind, value)].concat();
            for end in 0..=whole.len() {
                let body = &whole[..end];
                let found = read(&Message { kind: RTM_NEWNEXTHOP, flags: 0, sequence: 0, body });
                let is_read = found.is_some_and(|parts| !parts.is_empty());
                assert_eq!(is_read, end == whole.len(), "{kind} {end}");
            }
        }
    }
}
