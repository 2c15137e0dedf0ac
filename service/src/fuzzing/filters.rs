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

//! Packet filters as the kernel gives them: read, and walked through by a guest's packets.

use crate::effects::firewall::diagnose::chains::{Filters, Hook};
use crate::effects::firewall::diagnose::device::{Device, Member, Onward};
use crate::effects::firewall::diagnose::journey::Guest;
use crate::effects::firewall::diagnose::packet::Link;
use crate::effects::firewall::diagnose::{self, findings, own};
use crate::effects::firewall::iptables::entries::{self, Info};
use crate::effects::firewall::trace::messages::{steps, told, Known};
use crate::effects::firewall::{nftables as ours, Family};
use crate::effects::kernel::netlink::message::Messages;
use crate::effects::kernel::netlink::tape::play;
use crate::model::if_index::IfIndex;
use crate::model::trace::Flow;
use std::net::Ipv4Addr;
use std::sync::Arc;

/// A device with one uplink, which says as little as it may.
struct Plain(Guest);

impl Device for Plain {
    fn towards(&self, address: Ipv4Addr, mark: u32) -> Option<Link> {
        let link = if address == self.0.address { &self.0.link } else { &self.0.uplink };
        (mark != 8).then(|| (**link).clone())
    }
    fn onward(&self, _: Ipv4Addr, to: Ipv4Addr, _: &Link, mark: u32) -> Onward {
        match mark {
            _ if to == self.0.gateway => Onward::Here,
            8 => Onward::Nowhere,
            _ if to == self.0.address => Onward::By((*self.0.link).clone()),
            _ => Onward::By((*self.0.uplink).clone()),
        }
    }
    fn address_type(&self, address: Ipv4Addr) -> u8 {
        if address == self.0.gateway {
            libc::RTN_LOCAL
        } else {
            libc::RTN_UNICAST
        }
    }
    fn listens(&self, _: u8, port: u16) -> bool {
        port == 53
    }
}

fn guest() -> Guest {
    let link = |name: &str, index, address: [u8; 4]| {
        let (name, address) = (name.to_owned(), Some(address.into()));
        Arc::new(Link { name, index: IfIndex::new(index), address, ..Link::default() })
    };
    Guest {
        link: link("vm_wlan", 7, [172, 17, 3, 2]),
        address: [172, 17, 3, 3].into(),
        gateway: [172, 17, 3, 2].into(),
        uplink: link("wlan0", 2, [192, 0, 2, 2]),
        known: 4,
    }
}

/// What a guest's packets come to. To go their ways takes much longer than to read what is on them: one input of sixteen
/// is gone through on the device, and another one as a guest's own.
fn walk(filters: &Filters, input: &[u8]) {
    let device = Plain(guest());
    match input.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte)) % 16 {
        0 => drop(format!("{:?}", findings(filters, &device, &device.0))),
        1 => drop(own(filters, &device.0)),
        _ => {}
    }
}

/// A table of x_tables, as getsockopt gives it: what describes it, and its entries.
pub fn xtables(bytes: &[u8]) {
    let Some((info, blob)) = bytes.split_first_chunk::<{ Info::LEN }>() else { return };
    let Ok(info) = Info::parse(info) else { return };
    let _ = entries::parse(Family::V6, &info, blob);
    let Ok(chains) = entries::parse(Family::V4, &info, blob) else { return };
    let entries = chains.iter().map(|chain| chain.rules.len()).sum::<usize>();
    assert!(entries * 112 <= blob.len(), "an entry has 112 bytes at least");
    for rule in chains.iter().flat_map(|chain| &chain.rules) {
        let _ = rule.fingerprint();
    }
    let tables = ["mangle", "nat", "filter"].map(|name| diagnose::xtables::table(name, &chains));
    walk(&Filters { tables: tables.into(), unread: Vec::new() }, bytes);
}

/// All of nf_tables, as a dump gives it.
pub fn nftables(bytes: &[u8]) {
    let Ok(tables) = play(bytes, diagnose::nftables::read) else { return };
    walk(&Filters { tables, unread: Vec::new() }, bytes);
}

/// guestnetd's own table, of which only whether it has changed is read.
pub fn own_nftables(bytes: &[u8]) {
    ours::read_messages(bytes);
}

/// The kernel's word on a set of addresses.
pub fn ipset(bytes: &[u8]) {
    let guest = guest();
    let parts = vec![(guest.address, Some(40_000)), (guest.gateway, Some(53))];
    let _ = play(bytes, || diagnose::ipset::has(1, &Member { parts, protocol: 17 }));
}

/// What a trace tells of a packet.
pub fn trace(bytes: &[u8]) {
    let told: Vec<_> = Messages(bytes).filter_map(|message| told(&message)).collect();
    let chain = |table: &str, chain: &str| (2, table.to_owned(), chain.to_owned());
    let known = Known {
        bases: [(chain("t", "c"), (Hook::Forward, 0)), (chain("u", "d"), (Hook::Input, 1))].into(),
        decides: &|_, _, _| "accept".to_owned(),
        link: &|index| format!("{index:?}"),
    };
    let guest = guest();
    for protocol in [1, 6, 17] {
        let flow = Flow { guest: guest.address, to: guest.gateway, protocol, id: 1, port: 53 };
        assert!(steps(&told, &flow, &known).len() <= told.len());
    }
}
