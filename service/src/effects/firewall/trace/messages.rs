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
//! What the kernel tells of packets that are traced, read from netlink's bytes: nf_tables' messages, and
//! those of x_tables by way of nfnetlink_log. Pure.

use crate::effects::kernel::netlink::message::{attributes, ipv4, text, u32_at, Message};
use crate::model::if_index::IfIndex;
use crate::model::trace::{Flow, Hook, Step, Which};
use crate::ordered::sort_short;
use std::collections::HashMap;
use std::net::Ipv4Addr;

// linux/netfilter/nfnetlink.h, nf_tables.h, nfnetlink_log.h
const NFT_MSG_TRACE: u16 = 10 << 8 | 17;
const NFULNL_MSG_PACKET: u16 = 4 << 8;
/// Length of `struct nfgenmsg`; its first byte is the family.
const NFGENMSG: usize = 4;
const TRACE_TABLE: u16 = 1;
const TRACE_CHAIN: u16 = 2;
const TRACE_RULE_HANDLE: u16 = 3;
const TRACE_TYPE: u16 = 4;
const TRACE_VERDICT: u16 = 5;
const TRACE_ID: u16 = 6;
const TRACE_NETWORK_HEADER: u16 = 8;
const TRACE_TRANSPORT_HEADER: u16 = 9;
const TRACE_IIF: u16 = 10;
const TRACE_OIF: u16 = 12;
const TRACE_POLICY: u16 = 16;
const TYPE_POLICY: u32 = 1;
const TYPE_RULE: u32 = 3;
const VERDICT_CODE: u16 = 1;
const VERDICT_CHAIN: u16 = 2;
const LOG_PACKET_HDR: u16 = 1;
const LOG_IIF: u16 = 4;
const LOG_OIF: u16 = 5;
const LOG_PAYLOAD: u16 = 9;
const LOG_PREFIX: u16 = 10;

/// A chain of nf_tables: its family, table and name.
pub type ChainName = (u8, String, String);
/// Where chains hang in, and their priorities.
pub type Bases = HashMap<ChainName, (Hook, i32)>;

/// A packet as it was when something was told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    source: Ipv4Addr,
    destination: Ipv4Addr,
    protocol: u8,
    /// The first two numbers of a transport with ports; an echo's id, twice.
    ids: (u16, u16),
}

/// One thing that was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The same for one packet, as long as the kernel has it. None: x_tables does not say.
    id: Option<u32>,
    header: Option<Header>,
    family: u8,
    table: String,
    chain: String,
    which: Which,
    verdict: String,
    /// x_tables says where; nf_tables' chains are known by their names.
    hook: Option<Hook>,
    input: Option<IfIndex>,
    output: Option<IfIndex>,
}

/// What a message tells.
pub fn told(message: &Message<'_>) -> Option<Told> {
    match message.kind {
        NFT_MSG_TRACE => of_nftables(message),
        NFULNL_MSG_PACKET => of_xtables(message),
        _ => None,
    }
}

fn of_nftables(message: &Message<'_>) -> Option<Told> {
    let all = message.attributes(NFGENMSG);
    let find = |kind| all.clone().find(kind);
    let number = |kind| find(kind).and_then(be32);
    let kind = number(TRACE_TYPE)?;
    let (which, verdict) = match kind {
        TYPE_POLICY => (Which::End, policy(number(TRACE_POLICY)?)),
        TYPE_RULE => {
            let handle = find(TRACE_RULE_HANDLE)?.first_chunk().copied().map(u64::from_be_bytes)?;
            (Which::Handle(handle), verdict(find(TRACE_VERDICT)?)?)
        }
        // The end of a chain that others lead to.
        _ => (Which::End, "return".to_owned()),
    };
    let network = find(TRACE_NETWORK_HEADER);
    let transport = find(TRACE_TRANSPORT_HEADER).unwrap_or_default();
    Some(Told {
        id: number(TRACE_ID),
        header: network.and_then(|network| header(network, transport)),
        family: message.body.first().copied()?,
        table: find(TRACE_TABLE).map(text)?,
        chain: find(TRACE_CHAIN).map(text)?,
        which,
        verdict,
        hook: None,
        input: number(TRACE_IIF).and_then(IfIndex::new),
        output: number(TRACE_OIF).and_then(IfIndex::new),
    })
}

/// `TRACE: filter:FORWARD:rule:1 ` (trace_packet() in ip_tables.c). What a rule decided stands in the
/// rule.
fn of_xtables(message: &Message<'_>) -> Option<Told> {
    let all = message.attributes(NFGENMSG);
    let find = |kind| all.clone().find(kind);
    let prefix = find(LOG_PREFIX).map(text)?;
    let mut parts = prefix.strip_prefix("TRACE: ")?.trim_end().rsplitn(3, ':');
    let (number, kind, place) = (parts.next()?.parse().ok()?, parts.next()?, parts.next()?);
    // A chain's name may have colons, a table's has none.
    let (table, chain) = place.split_once(':')?;
    let which = if kind == "rule" { Which::Number(number) } else { Which::End };
    let payload = find(LOG_PAYLOAD)?;
    let length = payload.first().map_or(0, |first| usize::from(first & 0xf) * 4);
    let header = header(payload, payload.get(length..).unwrap_or_default())?;
    let hook = find(LOG_PACKET_HDR)?.get(2).copied()?;
    Some(Told {
        id: None,
        header: Some(header),
        family: 0,
        table: table.to_owned(),
        chain: chain.to_owned(),
        which,
        verdict: if kind == "return" { "RETURN" } else { "" }.to_owned(),
        hook: Some(Hook::of_inet(hook.into())?),
        input: find(LOG_IIF).and_then(be32).and_then(IfIndex::new),
        output: find(LOG_OIF).and_then(be32).and_then(IfIndex::new),
    })
}

fn header(network: &[u8], transport: &[u8]) -> Option<Header> {
    if network.first()? >> 4 != 4 {
        return None;
    }
    let protocol = *network.get(9)?;
    let number = |at: usize| Some(u16::from_be_bytes(transport.get(at..at + 2)?.try_into().ok()?));
    let ids = match i32::from(protocol) {
        libc::IPPROTO_ICMP => number(4).map(|id| (id, id)),
        _ => number(0).zip(number(2)),
    };
    let (source, destination) = (ipv4(network.get(12..)?)?, ipv4(network.get(16..)?)?);
    Some(Header { source, destination, protocol, ids: ids? })
}

fn policy(code: u32) -> String {
    if code == libc::NF_DROP as u32 { "drop" } else { "accept" }.to_owned()
}

fn verdict(nested: &[u8]) -> Option<String> {
    let inside = attributes(nested, 0);
    let chain = || inside.clone().find(VERDICT_CHAIN).map(text).unwrap_or_default();
    Some(match inside.clone().find(VERDICT_CODE).and_then(be32)? as i32 {
        0 => "drop".to_owned(),
        1 => "accept".to_owned(),
        2 => "stolen".to_owned(),
        -1 => "continue".to_owned(),
        -2 => "break".to_owned(),
        -3 => format!("jump {}", chain()),
        -4 => format!("goto {}", chain()),
        -5 => "return".to_owned(),
        // Its upper half is the queue's number.
        code if code & 0xff == 3 => "queue".to_owned(),
        code => format!("verdict {code}"),
    })
}

fn be32(value: &[u8]) -> Option<u32> {
    u32_at(value, 0).map(u32::from_be)
}

/// x_tables' chains of hooks.
const HOOKS: [&str; 5] = ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"];

/// What is known beside what is told.
pub struct Known<'a> {
    /// Where nf_tables' chains hang in.
    pub bases: Bases,
    /// What a rule of x_tables decides: of this table and chain.
    pub decides: &'a dyn Fn(&str, &str, Which) -> String,
    /// What a link is called.
    pub link: &'a dyn Fn(IfIndex) -> String,
}

/// What is there of the flow's first packet and of its first answer, in the order of their way.
pub fn steps(told: &[Told], flow: &Flow, known: &Known<'_>) -> Vec<Step> {
    let mut ways = [Way::default(), Way::default()];
    for one in told {
        // Only the first thing that a chain of a hook tells has the packet.
        let answer = match &one.header {
            Some(header) => flow.is_of(header),
            None => None,
        };
        let [first, answers] = &mut ways;
        let (way, answer) = match (answer, one.id) {
            (Some(false), _) => (first, false),
            (Some(true), _) => (answers, true),
            (None, Some(id)) if first.id == Some(id) => (first, false),
            (None, Some(id)) if answers.id == Some(id) => (answers, true),
            _ => continue,
        };
        way.take(one, answer, known);
    }
    let [first, answers] = ways;
    let earlier =
        |one: &Step, other: &Step| (one.hook, one.priority) < (other.hook, other.priority);
    let mut all = first.steps;
    // x_tables and nf_tables tell on sockets of their own.
    sort_short(&mut all, earlier);
    let mut back = answers.steps;
    sort_short(&mut back, earlier);
    all.extend(back);
    all
}

/// A packet on its way.
#[derive(Default)]
struct Way {
    /// nf_tables' number of it.
    id: Option<u32>,
    /// The chain of a hook that it is in, in nf_tables.
    at: Option<(Hook, i32)>,
    /// All that it has been in there.
    been_in: Vec<ChainName>,
    /// Where x_tables has told of it last.
    at_xtables: Option<Hook>,
    /// What nf_tables tells, and x_tables, is of another packet of the flow's by now: one that was sent
    /// again, or the next.
    ended: [bool; 2],
    steps: Vec<Step>,
}

impl Way {
    fn take(&mut self, one: &Told, answer: bool, known: &Known<'_>) {
        let at = match one.hook {
            Some(hook) => self.in_xtables(one, hook),
            None => self.in_nftables(one, known),
        };
        let Some((hook, priority)) = at else { return };
        let family = match i32::from(one.family) {
            0 => "",
            libc::NFPROTO_IPV4 => "ip",
            libc::NFPROTO_INET => "inet",
            libc::NFPROTO_NETDEV => "netdev",
            _ => "bridge",
        };
        let verdict = match one.verdict.as_str() {
            "" => (known.decides)(&one.table, &one.chain, one.which),
            told => told.to_owned(),
        };
        self.steps.push(Step {
            answer,
            hook,
            priority,
            family: family.to_owned(),
            table: one.table.clone(),
            chain: one.chain.clone(),
            which: one.which,
            rule: String::new(),
            verdict,
            input: one.input.map_or_else(String::new, known.link),
            output: one.output.map_or_else(String::new, known.link),
        });
    }

    /// Where it is, by x_tables' word.
    fn in_xtables(&mut self, one: &Told, hook: Hook) -> Option<(Hook, i32)> {
        let [_, ended] = &mut self.ended;
        // A rule of a hook's own chain is met once; those of others' may be led to again.
        let is_own = HOOKS.contains(&one.chain.as_str());
        let again = self.steps.iter().any(|step| {
            (step.hook, step.which, &step.table, &step.chain)
                == (hook, one.which, &one.table, &one.chain)
        });
        *ended |= is_own && again || self.at_xtables.is_some_and(|last| last > hook);
        self.at_xtables = Some(hook);
        (!*ended).then(|| (hook, xtables_priority(&one.table, hook)))
    }

    /// The same by nf_tables'.
    fn in_nftables(&mut self, one: &Told, known: &Known<'_>) -> Option<(Hook, i32)> {
        let [ended, _] = &mut self.ended;
        let name = (one.family, one.table.clone(), one.chain.clone());
        let base = known.bases.get(&name).copied();
        // What a hook's chain tells first has the packet.
        if one.header.is_some() && base.is_some() {
            *ended |= self.been_in.contains(&name);
            self.been_in.push(name);
        }
        self.id = self.id.or(one.id);
        *ended |= self.id != one.id;
        self.at = base.or(self.at).filter(|_| !*ended);
        self.at
    }
}

impl Flow {
    /// Whether a packet is the flow's: the guest's (false) or an answer (true).
    fn is_of(&self, header: &Header) -> Option<bool> {
        if header.protocol != self.protocol {
            return None;
        }
        // NAT may have changed the rest by now.
        if header.source == self.guest && header.ids.0 == self.id {
            return Some(false);
        }
        let from_there = header.source == self.to && header.ids.1 == self.id;
        let to_guest = header.destination == self.guest && header.ids.1 == self.id;
        (from_there || to_guest).then_some(true)
    }
}

/// Where x_tables' tables come among nf_tables' chains (linux/netfilter_ipv4.h).
fn xtables_priority(table: &str, hook: Hook) -> i32 {
    match (table, hook) {
        ("raw", _) => libc::NF_IP_PRI_RAW,
        ("mangle", _) => libc::NF_IP_PRI_MANGLE,
        ("nat", Hook::Input | Hook::Postrouting) => libc::NF_IP_PRI_NAT_SRC,
        ("nat", _) => libc::NF_IP_PRI_NAT_DST,
        ("security", _) => libc::NF_IP_PRI_SECURITY,
        _ => libc::NF_IP_PRI_FILTER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effects::kernel::netlink::attr::Writer;

    const GUEST: [u8; 4] = [172, 17, 3, 3];
    const HOST: [u8; 4] = [1, 1, 1, 1];
    const FLOW: Flow = Flow {
        guest: Ipv4Addr::new(172, 17, 3, 3),
        to: Ipv4Addr::new(1, 1, 1, 1),
        protocol: libc::IPPROTO_TCP as u8,
        id: 4000,
        port: 53,
    };

    fn packet(from: [u8; 4], to: [u8; 4], ports: (u16, u16)) -> (Vec<u8>, Vec<u8>) {
        let mut network = vec![0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0];
        network.extend(from.into_iter().chain(to));
        let mut transport = ports.0.to_be_bytes().to_vec();
        transport.extend(ports.1.to_be_bytes());
        (network, transport)
    }

    /// A rule of `chain` in the table `inet t`.
    fn rule(id: u32, chain: &str, code: i32, packet: Option<&(Vec<u8>, Vec<u8>)>) -> Vec<u8> {
        let be = |number: u32| number.to_be_bytes();
        let code = Writer::default().with(VERDICT_CODE, &be(code as u32));
        let mut body = Writer::after(&[libc::NFPROTO_INET as u8, 0, 0, 0])
            .with(TRACE_TABLE, b"t\0")
            .with(TRACE_CHAIN, &[chain.as_bytes(), &[0]].concat())
            .with(TRACE_ID, &be(id))
            .with(TRACE_TYPE, &be(TYPE_RULE))
            .with(TRACE_RULE_HANDLE, &7u64.to_be_bytes())
            .with_nested(TRACE_VERDICT, &code)
            .with(TRACE_IIF, &be(4));
        if let Some((network, transport)) = packet {
            body = body.with(TRACE_NETWORK_HEADER, network);
            body = body.with(TRACE_TRANSPORT_HEADER, transport);
        }
        body.bytes().to_vec()
    }

    fn logged(prefix: &str, hook: u8, packet: &(Vec<u8>, Vec<u8>)) -> Vec<u8> {
        let payload = [packet.0.as_slice(), &packet.1].concat();
        let body = Writer::after(&[libc::NFPROTO_IPV4 as u8, 0, 0, 0])
            .with(LOG_PACKET_HDR, &[8, 0, hook, 0])
            .with(LOG_PREFIX, &[prefix.as_bytes(), &[0]].concat())
            .with(LOG_PAYLOAD, &payload);
        body.bytes().to_vec()
    }

    fn read(kind: u16, body: &[u8]) -> Option<Told> {
        told(&Message { kind, flags: 0, sequence: 0, body })
    }

    fn bases() -> Bases {
        let name = |chain: &str| (libc::NFPROTO_INET as u8, "t".to_owned(), chain.to_owned());
        [
            (name("pre"), (Hook::Prerouting, -300)),
            (name("fwd"), (Hook::Forward, 0)),
            (name("late"), (Hook::Forward, 10)),
        ]
        .into()
    }

    #[test]
    fn a_packet_is_followed_through_both_filters_and_its_answer_after_it() {
        let there = packet(GUEST, HOST, (4000, 443));
        let back = packet(HOST, [192, 0, 2, 2], (443, 4000));
        let nf = |body: Vec<u8>| read(NFT_MSG_TRACE, &body).unwrap();
        let all = [
            nf(rule(1, "pre", -1, Some(&there))),
            nf(rule(1, "fwd", -3, Some(&there))),
            nf(rule(1, "sub", 1, None)),
            nf(rule(1, "late", 1, Some(&there))),
            nf(rule(2, "pre", 1, Some(&back))),
            nf(rule(3, "pre", 1, Some(&packet([9; 4], HOST, (4000, 443))))), // somebody else's
            // Sent again: another packet with the same id.
            nf(rule(1, "pre", -1, Some(&there))),
            nf(rule(1, "fwd", 0, Some(&there))),
            read(NFULNL_MSG_PACKET, &logged("TRACE: filter:a:b:rule:2 ", 2, &there)).unwrap(),
        ];
        let verdict = |table: &str, chain: &str, which: Which| format!("{table} {chain} {which:?}");
        let link = |index: IfIndex| format!("if{index}");
        let known = Known { bases: bases(), decides: &verdict, link: &link };
        let steps = steps(&all, &FLOW, &known);
        let said: Vec<_> = steps
            .iter()
            .map(|s| (s.answer, s.hook, s.chain.as_str(), s.verdict.as_str()))
            .collect();
        assert_eq!(
            said,
            [
                (false, Hook::Prerouting, "pre", "continue"),
                (false, Hook::Forward, "fwd", "jump "),
                (false, Hook::Forward, "sub", "accept"),
                (false, Hook::Forward, "a:b", "filter a:b Number(2)"),
                (false, Hook::Forward, "late", "accept"),
                (true, Hook::Prerouting, "pre", "accept"),
            ]
        );
        assert_eq!(
            (steps[0].which, steps[0].input.as_str(), steps[0].family.as_str()),
            (Which::Handle(7), "if4", "inet")
        );
    }

    #[test]
    fn what_is_bent_is_nothing_and_never_a_panic() {
        let there = packet(GUEST, HOST, (4000, 443));
        for (kind, whole) in [
            (NFT_MSG_TRACE, rule(1, "fwd", 0, Some(&there))),
            (NFULNL_MSG_PACKET, logged("TRACE: filter:FORWARD:policy:1 ", 2, &there)),
        ] {
            assert!(read(kind, &whole).is_some());
            for end in 0..whole.len() {
                let _ = read(kind, &whole[..end]);
            }
            for at in 0..whole.len() {
                for byte in [0, 1, 0x7f, 0xff] {
                    let mut bent = whole.clone();
                    bent[at] = byte;
                    let one = read(kind, &bent);
                    let (decides, link) = (|_: &str, _: &str, _| String::new(), |_| String::new());
                    let known = Known { bases: bases(), decides: &decides, link: &link };
                    let _ = steps(one.as_slice(), &FLOW, &known);
                }
            }
        }
        for prefix in
            ["", "TRACE: ", "TRACE: a", "TRACE: a:b:rule:x ", "TRACE: :::", "x: a:b:rule:1"]
        {
            assert!(read(NFULNL_MSG_PACKET, &logged(prefix, 2, &there)).is_none(), "{prefix}");
        }
    }
}
