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

//! Which resolvers have just answered a guest's own question, as connection tracking saw it (ctnetlink).
//! Reads only.

use super::ctnetlink::*;
use super::netlink::attr::{Request, Writer};
use super::netlink::message::{attributes, ipv4, u32_at, Message};
use super::netlink::Netlink;
use crate::error::KernelError;
use crate::ordered::{IntoOrdered, OrderedSet};
use std::fs;
use std::net::Ipv4Addr;

/// So long ago at most, in seconds.
const JUST: u32 = 3;

/// Those that have answered what was asked at this gateway by UDP in the last three seconds. Each packet
/// of a connection puts its timeout back to one of two values, so what is left of it says when the last
/// one was (nf_conntrack_udp_packet()).
pub fn just_answered(gateway: Ipv4Addr) -> Result<OrderedSet<Ipv4Addr>, KernelError> {
    just_answered_of(gateway, [timeout("udp_timeout", 30), timeout("udp_timeout_stream", 120)])
}

/// The same where the timeouts are these, in seconds.
pub(crate) fn just_answered_of(
    gateway: Ipv4Addr,
    timeouts: [u32; 2],
) -> Result<OrderedSet<Ipv4Addr>, KernelError> {
    let address = Writer::default().with(CTA_IP_V4_DST, &gateway.octets());
    let tuple = Writer::default().with_nested(CTA_TUPLE_IP, &address);
    // Kernels before 5.8 do not know the filter and list all: what is listed is looked at, too.
    let filter = Writer::default()
        .with(CTA_FILTER_ORIG_FLAGS, &CTA_FILTER_F_CTA_IP_DST.to_ne_bytes())
        .with(CTA_FILTER_REPLY_FLAGS, &0u32.to_ne_bytes());
    let body = Writer::after(&NFGENMSG)
        .with_nested(CTA_TUPLE_ORIG, &tuple)
        .with_nested(CTA_FILTER, &filter);
    let answered = |message: &Message<'_>| answered_by(message, gateway, timeouts);
    let found = Netlink::open_netfilter()?.dump(&Request { kind: CT_GET, body }, answered)?;
    Ok(found.into_iter().into_set())
}

fn timeout(name: &str, usual: u32) -> u32 {
    let read = fs::read_to_string(format!("/proc/sys/net/netfilter/nf_conntrack_{name}"));
    read.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(usual)
}

fn answered_by(message: &Message<'_>, gateway: Ipv4Addr, timeouts: [u32; 2]) -> Option<Ipv4Addr> {
    let all = || message.attributes(NFGENMSG.len());
    let big_endian = |kind| Some(u32::from_be(u32_at(all().find(kind)?, 0)?));
    let asked = all().find(CTA_TUPLE_ORIG)?;
    let to = attributes(attributes(asked, 0).find(CTA_TUPLE_IP)?, 0).find(CTA_IP_V4_DST)?;
    let protocol = attributes(asked, 0).find(CTA_TUPLE_PROTO)?;
    let udp = attributes(protocol, 0).find(CTA_PROTO_NUM)? == [libc::IPPROTO_UDP as u8];
    let names = attributes(protocol, 0).find(CTA_PROTO_DST_PORT)? == 53u16.to_be_bytes();
    let seen = big_endian(CTA_STATUS)? & IPS_SEEN_REPLY != 0;
    let left = big_endian(CTA_TIMEOUT)?;
    let just = timeouts.iter().any(|full| (full.saturating_sub(JUST)..=*full).contains(&left));
    let reply = attributes(all().find(CTA_TUPLE_REPLY)?, 0).find(CTA_TUPLE_IP)?;
    let by = attributes(reply, 0).find(CTA_IP_V4_SRC).and_then(ipv4)?;
    (ipv4(to)? == gateway && udp && names && seen && just).then_some(by)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effects::kernel::testing::in_a_netns;

    const GUEST: Ipv4Addr = Ipv4Addr::new(172, 17, 3, 3);
    const GATEWAY: Ipv4Addr = Ipv4Addr::new(172, 17, 3, 2);

    fn tuple(from: (Ipv4Addr, u16), to: (Ipv4Addr, u16)) -> Writer {
        let ip = Writer::default().with(1, &from.0.octets()).with(2, &to.0.octets());
        let udp = Writer::default().with(1, &[17]);
        let udp = udp.with(2, &from.1.to_be_bytes()).with(3, &to.1.to_be_bytes());
        Writer::default().with_nested(1, &ip).with_nested(2, &udp)
    }

    /// A connection of a guest's to a port of its gateway, which leads to another server.
    fn connect(netlink: &Netlink, port: u16, to: Ipv4Addr, status: u32, left: u32) {
        const NLM_F_CREATE: u16 = 0x400;
        let body = Writer::after(&NFGENMSG)
            .with_nested(1, &tuple((GUEST, 1000 + to.octets()[3] as u16), (GATEWAY, port)))
            .with_nested(2, &tuple((to, port), (GUEST, 1000 + to.octets()[3] as u16)))
            .with(CTA_STATUS, &status.to_be_bytes())
            .with(CTA_TIMEOUT, &left.to_be_bytes());
        netlink.change(&Request { kind: CT_GET - 1, body }, NLM_F_CREATE).unwrap();
    }

    #[test]
    fn what_was_answered_just_now_counts_and_nothing_else() {
        // Confirmed, and its source and destination are settled.
        const SETTLED: u32 = 1 << 3 | 1 << 7 | 1 << 8;
        in_a_netns(|_| {
            let netlink = Netlink::open_netfilter().unwrap();
            let at = |last| Ipv4Addr::new(192, 0, 2, last);
            let answered = SETTLED | IPS_SEEN_REPLY;
            connect(&netlink, 53, at(1), answered, 30);
            connect(&netlink, 53, at(2), answered, 120);
            connect(&netlink, 53, at(3), SETTLED, 30);
            connect(&netlink, 53, at(4), answered, 20);
            connect(&netlink, 54, at(5), answered, 30);
            assert_eq!(just_answered(GATEWAY).unwrap(), [at(1), at(2)].into());
            assert_eq!(just_answered(at(9)).unwrap(), [].into());
        });
    }
}
