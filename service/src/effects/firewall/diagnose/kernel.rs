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

//! The answers of the kernel to what a packet filter asks it: routes, addresses, sockets. Reads only.

use super::device::{Device, Member, Onward};
use super::ipset;
use super::journey::Guest;
use super::packet::Link;
use crate::effects::kernel::netlink::Netlink;
use crate::effects::kernel::netns::proc_net;
use crate::effects::kernel::{link, route, tracked};
use crate::model::if_index::IfIndex;
use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::time::SystemTime;

/// This network namespace's kernel.
pub struct Kernel<'a> {
    /// Asks it.
    pub netlink: &'a Netlink,
    /// A guest that is not there yet: the way to it is taken to be.
    pub expected: Option<&'a Guest>,
}

impl Kernel<'_> {
    fn link(&self, index: IfIndex) -> Option<Link> {
        link::by_index(self.netlink, index).ok().flatten().map(|link| Link::from(&link))
    }
}

impl From<&link::Link> for Link {
    fn from(link: &link::Link) -> Self {
        let (name, kind) = (link.name.clone(), link.kind.clone());
        Self { name, index: Some(link.index), group: link.group, kind, address: None, any: false }
    }
}

impl Device for Kernel<'_> {
    fn towards(&self, address: Ipv4Addr, mark: u32) -> Option<Link> {
        if let Some(guest) = self.expected.filter(|guest| guest.address == address) {
            return Some((*guest.link).clone());
        }
        let way = route::marked(self.netlink, None, address, mark).ok().flatten()?;
        self.link(way.index).filter(|_| !way.local)
    }

    fn onward(&self, from: Ipv4Addr, to: Ipv4Addr, input: &Link, mark: u32) -> Onward {
        let Some(index) = input.index else { return Onward::Nowhere };
        match route::marked(self.netlink, Some((index, from)), to, mark) {
            Ok(Some(way)) if way.local => Onward::Here,
            Ok(Some(way)) => self.link(way.index).map_or(Onward::Nowhere, Onward::By),
            _ => Onward::Nowhere,
        }
    }

    fn address_type(&self, address: Ipv4Addr) -> u8 {
        if address.is_broadcast() {
            return libc::RTN_BROADCAST;
        }
        if address.is_multicast() {
            return libc::RTN_MULTICAST;
        }
        match route::marked(self.netlink, None, address, 0) {
            Ok(Some(way)) if way.local => libc::RTN_LOCAL,
            _ => libc::RTN_UNICAST,
        }
    }

    fn listens(&self, protocol: u8, port: u16) -> bool {
        !listeners(protocol, port).is_empty()
    }

    fn answers(&self, from: Ipv4Addr, at: Ipv4Addr, protocol: u8) -> Option<bool> {
        tracked::is_answered(from, at, protocol).ok().flatten()
    }

    fn owner(&self, protocol: u8, port: u16) -> Option<u32> {
        let mut owners = listeners(protocol, port).into_iter();
        let first = owners.next().flatten()?;
        owners.all(|other| other == Some(first)).then_some(first)
    }

    fn in_set(&self, set: u16, member: &Member) -> Option<bool> {
        ipset::has(set, member)
    }

    fn now(&self) -> Option<u64> {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?;
        Some(since.as_secs())
    }

    fn processors(&self) -> Option<u32> {
        // "0-7", or "0,2-3".
        let possible = std::fs::read_to_string("/sys/devices/system/cpu/possible").ok()?;
        let last = possible.trim().rsplit([',', '-']).next()?.parse::<u32>().ok()?;
        Some(last.saturating_add(1))
    }

    fn queues(&self, first: u16, count: u16) -> Option<bool> {
        // A line for each: its number, who has it, and so on.
        let text = match std::fs::read_to_string(proc_net("netfilter/nfnetlink_queue")) {
            Ok(text) => text,
            Err(e) if e.kind() == ErrorKind::NotFound => String::new(),
            Err(_) => return None,
        };
        let number = |line: &str| line.split_whitespace().next()?.parse::<u16>().ok();
        let all = first..=first.saturating_add(count.saturating_sub(1));
        let there = text.lines().filter_map(number).filter(|one| all.contains(one)).count();
        match there {
            0 => Some(false),
            n if n == usize::from(count.max(1)) => Some(true),
            _ => None,
        }
    }
}

/// Who listens at a port: the user of each socket, if it can be read.
fn listeners(protocol: u8, port: u16) -> Vec<Option<u32>> {
    let (files, state) = match i32::from(protocol) {
        libc::IPPROTO_TCP => (["tcp", "tcp6"], Some("0A")), // TCP_LISTEN
        libc::IPPROTO_UDP => (["udp", "udp6"], None),
        _ => return Vec::new(),
    };
    let port = format!(":{port:04X}");
    // Its number, both addresses, its state, queues, timers, retransmissions, its user.
    let of = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        let is =
            words.get(1)?.ends_with(&port) && (state.is_none() || words.get(3) == state.as_ref());
        is.then(|| words.get(7).and_then(|user| user.parse().ok()))
    };
    let read = |file: &str| std::fs::read_to_string(proc_net(file)).unwrap_or_default();
    files.iter().flat_map(|file| read(file).lines().filter_map(of).collect::<Vec<_>>()).collect()
}
