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

//! Traffic control: RTM_GETQDISC and RTM_GETTFILTER, read by hand: netlink-packet-route has types for few of
//! the queues and filters, and it does not matter here what they are but for what they drop.

use super::netlink::attr::{Request, Writer};
use super::netlink::message::{attributes, index_at, text, u16_at, u32_at, u64_at, Message};
use super::netlink::Netlink;
use crate::error::KernelError;
use crate::model::if_index::IfIndex;
use crate::model::tc::{Asks, Bytes, Does, Filter, Queue, Way};

/// Length of `struct tcmsg`.
const TCMSG: usize = 20;
// linux/rtnetlink.h
const TCA_KIND: u16 = 1;
const TCA_OPTIONS: u16 = 2;
const TCA_CHAIN: u16 = 11;
// linux/pkt_sched.h: what comes in, and what leaves (TC_H_MIN_INGRESS, _EGRESS)
const INGRESS: u32 = 0xffff_fff2;
const EGRESS: u32 = 0xffff_fff3;
/// Shorter packets than this nobody sends.
const SHORTEST: u64 = 60;

/// The queues of all links.
pub fn queues(netlink: &Netlink) -> Result<Vec<Queue>, KernelError> {
    netlink.dump(&ask(libc::RTM_GETQDISC, 0, 0), queue)
}

/// The filters of a link that see what comes in or leaves.
pub fn filters(netlink: &Netlink, index: IfIndex, way: Way) -> Result<Vec<Filter>, KernelError> {
    let parent = match way {
        Way::In => INGRESS,
        Way::Out => EGRESS,
    };
    of(netlink, index, parent)
}

/// The filters that sort what comes into a queue, and may drop it.
pub fn sorting(netlink: &Netlink, queue: &Queue) -> Result<Vec<Filter>, KernelError> {
    of(netlink, queue.index, queue.handle)
}

fn of(netlink: &Netlink, index: IfIndex, parent: u32) -> Result<Vec<Filter>, KernelError> {
    match netlink.dump(&ask(libc::RTM_GETTFILTER, index.get(), parent), filter) {
        // A queue without classes, or the link went.
        Err(e) if [libc::EINVAL, libc::EOPNOTSUPP, libc::ENODEV].contains(&e.errno) => {
            Ok(Vec::new())
        }
        other => other,
    }
}

fn ask(kind: u16, index: u32, parent: u32) -> Request {
    // tcm_family and padding, tcm_ifindex, tcm_handle, tcm_parent, tcm_info
    let body = [0, index, 0, parent, 0].map(u32::to_ne_bytes).concat();
    Request { kind, body: Writer::after(&body) }
}

fn queue(message: &Message<'_>) -> Option<Queue> {
    if message.kind != libc::RTM_NEWQDISC {
        return None;
    }
    let kind = message.attributes(TCMSG).find(TCA_KIND).map(text)?;
    let options = message.attributes(TCMSG).find(TCA_OPTIONS).unwrap_or_default();
    Some(Queue {
        index: index_at(message.body, 4)?,
        handle: u32_at(message.body, 8)?,
        parent: u32_at(message.body, 12)?,
        stuck: stuck(&kind, options),
        kind,
    })
}

/// Why nothing gets through a queue, if that is so.
fn stuck(kind: &str, options: &[u8]) -> Option<&'static str> {
    match kind {
        "blackhole" => Some("it drops everything"),
        "plug" => Some("it holds everything back"),
        // `tc_fifo_qopt`: packets, or bytes.
        "pfifo" | "pfifo_head_drop" => {
            (u32_at(options, 0)? == 0).then_some("it has room for no packet")
        }
        "bfifo" => {
            (u64::from(u32_at(options, 0)?) < SHORTEST).then_some("it has room for no packet")
        }
        "netem" => netem(options),
        "tbf" => bucket(options),
        _ => None,
    }
}

/// `tc_netem_qopt`: latency, limit, loss, gap, duplicate, jitter; then attributes.
fn netem(options: &[u8]) -> Option<&'static str> {
    const NETEM: usize = 24;
    const TCA_NETEM_CORRUPT: u16 = 3;
    const TCA_NETEM_LATENCY64: u16 = 10;
    /// Nobody waits so long, in nanoseconds.
    const LONGEST: u64 = 30_000_000_000;
    let (limit, loss) = (u32_at(options, 4)?, u32_at(options, 8)?);
    if loss == u32::MAX {
        return Some("it loses everything");
    }
    if limit == 0 {
        return Some("it has room for no packet");
    }
    let find = |kind| attributes(options, NETEM).find(kind);
    if find(TCA_NETEM_CORRUPT).and_then(|value| u32_at(value, 0)) == Some(u32::MAX) {
        return Some("it corrupts everything");
    }
    let latency = find(TCA_NETEM_LATENCY64).and_then(|value| u64_at(value, 0));
    (latency? >= LONGEST).then_some("it holds everything back for longer than anybody waits")
}

/// `tc_tbf_qopt` (TCA_TBF_PARMS): two `tc_ratespec` of 12 bytes, whose rate comes last, then limit and
/// buffer; a burst is in bytes or, as that buffer, in units of 64 ns.
fn bucket(options: &[u8]) -> Option<&'static str> {
    const TCA_TBF_PARMS: u16 = 1;
    const TCA_TBF_RATE64: u16 = 4;
    /// Bytes a second that no page comes at.
    const SLOWEST: u64 = 64;
    let parms = attributes(options, 0).find(TCA_TBF_PARMS)?;
    let large = attributes(options, 0).find(TCA_TBF_RATE64).and_then(|value| u64_at(value, 0));
    let rate = large.unwrap_or(u64::from(u32_at(parms, 8)?));
    let (limit, buffer) = (u64::from(u32_at(parms, 24)?), u64::from(u32_at(parms, 28)?));
    let burst = u128::from(buffer) * 64 * u128::from(rate) / 1_000_000_000;
    // Rounded down twice.
    if limit < SHORTEST || burst + 2 < u128::from(SHORTEST) {
        return Some("it has room for no packet");
    }
    (rate < SLOWEST).then_some("it lets through next to nothing")
}

fn filter(message: &Message<'_>) -> Option<Filter> {
    if message.kind != libc::RTM_NEWTFILTER {
        return None;
    }
    let find = |kind| message.attributes(TCMSG).find(kind);
    let (kind, options) = (find(TCA_KIND).map(text)?, find(TCA_OPTIONS)?);
    let info = u32_at(message.body, 16)?;
    let (asks, does) = match kind.as_str() {
        "matchall" => (Asks::Bytes(Vec::new()), done(attributes(options, 0).find(2))),
        "u32" => u32_filter(options)?,
        "flower" => flower(options),
        "bpf" => bpf(options),
        // By the packet's mark, its route, its process, and what else cannot be told here.
        "fw" => (Asks::Something, done(attributes(options, 0).find(4))),
        "basic" | "cgroup" => (
            Asks::Something,
            done(attributes(options, 0).find(if kind == "basic" { 3 } else { 1 })),
        ),
        _ => (Asks::Something, Does::Something),
    };
    Some(Filter {
        chain: find(TCA_CHAIN).and_then(|value| u32_at(value, 0)).unwrap_or(0),
        priority: (info >> 16) as u16,
        protocol: u16::from_be(info as u16),
        kind,
        asks,
        does,
    })
}

/// `tc_u32_sel`: flags, shift, number of keys, ..., 16 bytes; keys of a mask, a value, an offset.
fn u32_filter(options: &[u8]) -> Option<(Asks, Does)> {
    const TCA_U32_HASH: u16 = 2;
    const TCA_U32_LINK: u16 = 3;
    const TCA_U32_SEL: u16 = 5;
    const TCA_U32_ACT: u16 = 7;
    const TCA_U32_INDEV: u16 = 8;
    const TCA_U32_MARK: u16 = 10;
    /// The hash table that all begin in.
    const FIRST: u32 = 0x800;
    let find = |kind| attributes(options, 0).find(kind);
    // Without one, it is a hash table.
    let sel = find(TCA_U32_SEL)?;
    let mut keys = Vec::new();
    let count = usize::from(*sel.get(2)?);
    let table = find(TCA_U32_HASH).and_then(|value| u32_at(value, 0)).unwrap_or(FIRST << 20);
    let mut open = table >> 20 != FIRST;
    open |=
        [TCA_U32_LINK, TCA_U32_INDEV, TCA_U32_MARK].into_iter().any(|kind| find(kind).is_some());
    for number in 0..count {
        let key = sel.get(16 + 16 * number..32 + 16 * number)?;
        let (mask, value) = (key.get(..4)?.to_vec(), key.get(4..8)?.to_vec());
        open |= u32_at(key, 12)? != 0;
        keys.push(Bytes { at: u32_at(key, 8)? as i32, mask, value });
    }
    let asks = if open { Asks::Something } else { Asks::Bytes(keys) };
    Some((asks, done(find(TCA_U32_ACT))))
}

fn flower(options: &[u8]) -> (Asks, Does) {
    const ACT: u16 = 3;
    /// What is asked for: its attribute, its mask's, and its place in a frame.
    const KEYS: [(u16, Option<u16>, i32); 10] = [
        (4, Some(5), -14),  // ETH_DST
        (6, Some(7), -8),   // ETH_SRC
        (8, None, -2),      // ETH_TYPE
        (9, None, 9),       // IP_PROTO
        (10, Some(11), 12), // IPV4_SRC
        (12, Some(13), 16), // IPV4_DST
        (18, Some(35), 20), // TCP_SRC
        (19, Some(36), 22), // TCP_DST
        (20, Some(37), 20), // UDP_SRC
        (21, Some(38), 22), // UDP_DST
    ];
    /// Class, action, flags, and how many devices do it by themselves.
    const OTHERS: [u16; 4] = [1, ACT, 22, 86];
    let all = || attributes(options, 0);
    let known = |kind: u16| {
        OTHERS.contains(&kind)
            || KEYS.iter().any(|(key, mask, _)| *key == kind || *mask == Some(kind))
    };
    let key = |(key, mask, at): &(u16, Option<u16>, i32)| {
        let value = all().find(*key)?.to_vec();
        let mask = mask.and_then(|mask| all().find(mask)).map(<[u8]>::to_vec);
        Some(Bytes { at: *at, mask: mask.unwrap_or(vec![0xff; value.len()]), value })
    };
    let asks = match all().all(|(kind, _)| known(kind)) {
        true => Asks::Bytes(KEYS.iter().filter_map(key).collect()),
        false => Asks::Something,
    };
    (asks, done(all().find(ACT)))
}

/// A program. What it does can be told where it begins with its end: `ret #NUMBER`.
fn bpf(options: &[u8]) -> (Asks, Does) {
    const TCA_BPF_ACT: u16 = 1;
    const TCA_BPF_OPS: u16 = 5;
    const TCA_BPF_FLAGS: u16 = 8;
    const TCA_BPF_FLAG_ACT_DIRECT: u32 = 1;
    /// BPF_RET | BPF_K
    const RETURN: u16 = 6;
    let find = |kind| attributes(options, 0).find(kind);
    let direct = find(TCA_BPF_FLAGS).and_then(|value| u32_at(value, 0)).unwrap_or(0);
    let is_direct = direct & TCA_BPF_FLAG_ACT_DIRECT != 0;
    // `struct sock_filter`: code, two jumps, number.
    let returns =
        find(TCA_BPF_OPS).and_then(|ops| (u16_at(ops, 0)? == RETURN).then_some(u32_at(ops, 4)?));
    let everything = Asks::Bytes(Vec::new());
    match (returns, is_direct) {
        (Some(code), true) => (everything, does(code as i32, &[])),
        // 0 is a mismatch.
        (Some(0), false) => (everything, Does::Continues),
        (Some(_), false) => (everything, done(find(TCA_BPF_ACT))),
        // Its own word counts, and netd's programs pass nearly all.
        (None, true) => (Asks::Something, Does::Something),
        (None, false) => (Asks::Something, done(find(TCA_BPF_ACT))),
    }
}

/// What a list of actions does.
fn done(list: Option<&[u8]>) -> Does {
    const TCA_ACT_KIND: u16 = 1;
    const TCA_ACT_OPTIONS: u16 = 2;
    let Some(list) = list else { return Does::Passes };
    for (_, action) in attributes(list, 0) {
        let find = |kind| attributes(action, 0).find(kind);
        let kind = find(TCA_ACT_KIND).map(text).unwrap_or_default();
        let does = match find(TCA_ACT_OPTIONS) {
            Some(options) => action_does(&kind, options),
            None => Does::Something,
        };
        // TC_ACT_PIPE: the next action
        if does != Does::Continues {
            return does;
        }
    }
    Does::Passes
}

/// What one action does; it continues where the next one is done, too.
fn action_does(kind: &str, options: &[u8]) -> Does {
    const TCA_GACT_PROB: u16 = 3;
    let find = |kind| attributes(options, 0).find(kind);
    // `tc_gen`: index, capabilities, what is next, two counts; most have it as attribute 2.
    let next = |parms: &[u8]| u32_at(parms, 8).map(|code| code as i32);
    let known = match kind {
        // Some packets get another answer.
        "gact" if find(TCA_GACT_PROB).is_some_and(|prob| u16_at(prob, 0) != Some(0)) => None,
        "gact" => find(2).and_then(next).map(|code| does(code, options)),
        // tc_mirred: behind that which way it goes, and by which link.
        "mirred" => find(2).and_then(|parms| {
            let (way, to) = (u32_at(parms, 20)?, index_at(parms, 24)?);
            // TCA_EGRESS_REDIR and TCA_INGRESS_REDIR; a copy is no loss.
            if [1, 3].contains(&way) {
                Some(Does::Sends(to))
            } else {
                next(parms).map(|code| does(code, options))
            }
        }),
        "police" => police(options),
        "skbedit" | "connmark" | "csum" => match find(2).or(find(1)).and_then(next) {
            Some(code) => Some(does(code, options)),
            None => Some(Does::Continues),
        },
        _ => None,
    };
    known.unwrap_or(Does::Something)
}

/// `tc_police` (TCA_POLICE_TBF): index, action, limit, burst, MTU, rate. What is too much is dropped.
fn police(options: &[u8]) -> Option<Does> {
    const TCA_POLICE_TBF: u16 = 1;
    const SHOT: u32 = 2;
    /// Bytes a second that no page comes at.
    const SLOWEST: u32 = 64;
    let police = attributes(options, 0).find(TCA_POLICE_TBF)?;
    let (action, mtu) = (u32_at(police, 4)?, u64::from(u32_at(police, 16)?));
    // A rate is the last of a `tc_ratespec` of 12 bytes.
    let rate = u32_at(police, 20 + 8)?;
    let drops = mtu != 0 && mtu < SHORTEST || rate != 0 && rate < SLOWEST;
    match (action, drops) {
        (SHOT, true) => Some(Does::Drops),
        (SHOT, false) => Some(Does::Passes),
        _ => None,
    }
}

/// What a code of an action's says (TC_ACT_*).
fn does(code: i32, _: &[u8]) -> Does {
    const TC_ACT_GOTO_CHAIN: u32 = 2 << 28;
    match code {
        -1 | 3 => Does::Continues,
        0 => Does::Passes,
        // Shot, stolen, queued, trapped: nobody sees it again.
        2 | 4 | 5 | 8 => Does::Drops,
        code if code as u32 >> 28 == TC_ACT_GOTO_CHAIN >> 28 => {
            Does::Chain(code as u32 & !TC_ACT_GOTO_CHAIN)
        }
        _ => Does::Something,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effects::kernel::link;
    use crate::effects::kernel::testing::{in_a_netns, ip};
    use crate::model::tc::{stopped, Carries, Frame, ROOT};
    use std::process::{Command, Stdio};

    /// Whether this machine's tc and kernel have it.
    fn tc(line: &str) -> bool {
        let words = line.split(' ');
        let status = Command::new("tc").args(words).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    }

    fn link(netlink: &Netlink) -> IfIndex {
        ip("link add one type veth peer name other");
        ip("link set one up");
        link::by_name(netlink, "one").unwrap().unwrap().index
    }

    #[test]
    fn queues_that_nothing_leaves_are_known() {
        in_a_netns(|netlink| {
            let index = link(netlink);
            let root = || {
                let all = queues(netlink).unwrap();
                all.into_iter().find(|queue| queue.index == index && queue.parent == ROOT).unwrap()
            };
            assert_eq!(root().stuck, None, "{}", root().kind);
            for (queue, stuck) in [
                ("pfifo limit 10", false),
                ("pfifo limit 0", true),
                ("bfifo limit 20", true),
                ("bfifo limit 20000", false),
                ("netem loss 100%", true),
                ("netem loss 10% delay 100ms", false),
                ("netem delay 100s", true),
                ("netem corrupt 100%", true),
                ("tbf rate 8bit burst 10b limit 20b", true),
                ("tbf rate 80bit burst 2000b limit 20000b", true),
                ("tbf rate 1mbit burst 2000b limit 20000b", false),
                ("tbf rate 10gbit burst 2mb limit 20mb", false),
                ("blackhole", true),
                ("fq_codel", false),
            ] {
                if tc(&format!("qdisc replace dev one root {queue}")) {
                    assert_eq!(root().stuck.is_some(), stuck, "{queue}: {:?}", root());
                }
            }
        });
    }

    #[test]
    fn filters_that_drop_are_known() {
        in_a_netns(|netlink| {
            let index = link(netlink);
            if !tc("qdisc add dev one clsact") {
                return; // a kernel without it
            }
            let web = |port| {
                let ends = ([172, 17, 3, 3], [203, 0, 113, 80]);
                Frame::ip((None, None), ends, Carries::Tcp(0, port))
            };
            for (filter, expected) in [
                ("matchall action drop", [Some(true); 2]),
                ("matchall action ok", [None; 2]),
                ("matchall action pipe action drop", [Some(true); 2]),
                ("matchall action drop random determ ok 2", [None; 2]),
                ("protocol ip u32 match u32 0 0 action drop", [Some(true); 2]),
                ("protocol ip u32 match ip dport 80 0xffff action drop", [Some(true), None]),
                ("protocol ip u32 match ip src 172.17.0.0/16 action drop", [Some(true); 2]),
                ("protocol ip u32 match ip src 10.0.0.0/8 action drop", [None; 2]),
                ("protocol ip u32 match ip ttl 64 0xff action drop", [Some(false); 2]),
                ("protocol ip flower src_ip 172.17.0.0/16 action drop", [Some(true); 2]),
                ("protocol ip flower ip_proto tcp dst_port 80 action drop", [Some(true), None]),
                ("protocol ip flower ip_proto udp action drop", [None; 2]),
                ("protocol arp matchall action drop", [None; 2]),
                ("bpf da bytecode 1,6:0:0:2", [Some(true); 2]),
                ("bpf da bytecode 1,6:0:0:0", [None; 2]),
                ("matchall action goto chain 5", [None; 2]),
                ("matchall action mirred egress redirect dev other", [Some(true); 2]),
                ("matchall action mirred egress mirror dev other", [None; 2]),
                ("matchall action police rate 8bit burst 10k conform-exceed drop", [Some(true); 2]),
                ("matchall action police rate 1mbit burst 10k conform-exceed drop", [None; 2]),
            ] {
                for (way, word) in [(Way::In, "ingress"), (Way::Out, "egress")] {
                    let mut words = format!("filter add dev one {word} {filter}");
                    if let Some((before, code)) = filter.split_once("bytecode ") {
                        words = format!("filter add dev one {word} {before}bytecode");
                        let code = code.replace(':', " ");
                        let all = words.split(' ').chain([code.as_str()]);
                        let done = Command::new("tc").args(all).stderr(Stdio::null()).status();
                        assert!(done.is_ok());
                    } else if !tc(&words) {
                        continue;
                    }
                    let found = filters(netlink, index, way).unwrap();
                    let of = |port| stopped(&found, &web(port)).map(|(_, sure)| sure);
                    if !found.is_empty() {
                        assert_eq!([of(80), of(443)], expected, "{filter}: {found:?}");
                    }
                    assert!(tc(&format!("filter del dev one {word}")));
                }
            }
        });
    }

    #[test]
    fn no_message_makes_it_panic() {
        let mut whole = [0, 1, 0, INGRESS, 0x0300].map(u32::to_ne_bytes).concat();
        let sel = [1u8; 64];
        let options = (1..12).fold(Writer::default(), |all, kind| all.with(kind, &sel));
        for kind in ["u32", "flower", "bpf", "matchall", "netem", "tbf", "pfifo"] {
            let body = Writer::after(&whole).with(TCA_KIND, kind.as_bytes());
            let body = body.with_nested(TCA_OPTIONS, &options);
            for end in 0..body.bytes().len() {
                for number in [libc::RTM_NEWQDISC, libc::RTM_NEWTFILTER] {
                    let body = &body.bytes()[..end];
                    let message = Message { kind: number, flags: 0, sequence: 0, body };
                    let _ = (queue(&message), filter(&message));
                }
            }
        }
        whole.clear();
    }
}
