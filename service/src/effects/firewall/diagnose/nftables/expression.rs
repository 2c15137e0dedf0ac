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

//! nf_tables' expressions as steps. Pure. One that is not known here leaves it open whether the rule
//! holds: it is never taken for something else.

use super::super::chains::{
    Action, Carried, End, Field, Found, Join, Lookup, Rule, Side, Step, Tuple, Verdict, REGISTERS,
};
use super::super::xtables::{matching, target};
use super::{be32, packets, value, verdict, DATA_VERDICT};
use crate::effects::kernel::netlink::message::{attributes, text, Attributes};
use std::collections::HashMap;

// linux/netfilter/nf_tables.h
const NAME: u16 = 1;
const DATA: u16 = 2;
/// The register that verdicts are put into.
const VERDICT: u32 = 0;

/// A table's objects that have a name, by their kind and name, as steps.
pub(super) type Objects = HashMap<(u32, String), Vec<Step>>;

/// A quota, a limit, or a number of connections that has a name.
pub(super) fn named(kind: u32, data: &[u8]) -> Option<Vec<Step>> {
    // NFT_OBJECT_QUOTA, _LIMIT, _CONNLIMIT
    match kind {
        2 => Some(quota(data)),
        4 => Some(limit(data)),
        5 => Some(connections(data)),
        _ => None,
    }
}

/// A rule of these expressions.
pub(super) fn rule(list: &[u8], objects: &Objects) -> Rule {
    let mut rule = Rule::default();
    for (_, expression) in attributes(list, 0) {
        let (name, data) = parts(expression);
        if name == "counter" {
            rule.packets = packets(data);
        }
        rule.steps.extend(steps(&name, data, objects));
    }
    rule
}

/// Whether an expression that is bound to a set's element lets only some packets through.
pub(super) fn doubtful(expression: &[u8]) -> bool {
    !matches!(parts(expression).0.as_str(), "counter" | "last")
}

fn parts(expression: &[u8]) -> (String, &[u8]) {
    let inside = attributes(expression, 0);
    let name = inside.clone().find(NAME).map(text).unwrap_or_default();
    (name, inside.clone().find(DATA).unwrap_or_default())
}

fn steps(name: &str, data: &[u8], objects: &Objects) -> Vec<Step> {
    let known = match name {
        "counter" | "log" | "last" | "flow_offload" | "dup" => Some(Vec::new()),
        "cmp" => compare(data),
        "range" => range(data),
        "lookup" => lookup(data),
        "meta" => meta(data),
        "ct" => conntrack(data),
        "payload" => payload(data),
        "bitwise" => bitwise(data),
        "byteorder" => byteorder(data),
        "immediate" => immediate(data),
        "fib" => fib(data),
        "socket" => Some(vec![Step::Never]), // what passes through has none
        "rt" => routing(data),
        "numgen" => generated(data, (1, 2, 4), "chance"),
        "hash" => generated(data, (2, 4, 6), "a hash of the packet"),
        "osf" => unknown(data, 1, name),
        "tunnel" => tunnel(data),
        "exthdr" => header_option(data),
        "xfrm" => Some(vec![Step::Never]),
        "limit" => Some(limit(data)),
        "connlimit" => Some(connections(data)),
        "quota" => Some(quota(data)),
        "dynset" => dynamic(data, objects),
        "objref" => object(data, objects),
        "notrack" => Some(vec![Step::Act(Action::NotTracked)]),
        "reject" => Some(vec![Step::Verdict(Verdict::Reject)]),
        "masq" => Some(vec![Step::Act(Action::Masquerade)]),
        "redir" => Some(vec![Step::Act(Action::Redirect)]),
        "nat" => nat(data),
        "tproxy" => tproxy(data),
        "queue" => queue(data),
        "synproxy" => Some(vec![Step::Verdict(somebody("a SYN proxy"))]),
        "fwd" => Some(vec![Step::Verdict(somebody("the link that they are forwarded to"))]),
        "match" => {
            Some(extension(data, |name, revision, data| matching::steps(name, revision, data, 0)))
        }
        "target" => Some(extension(data, target::steps)),
        _ => None,
    };
    known.unwrap_or_else(|| {
        // It may have loaded something, too.
        let what = format!("the nftables expression `{name}`");
        vec![Step::Forget(what.clone()), Step::Doubt(what)]
    })
}

fn somebody(who: &str) -> Verdict {
    Verdict::Somebody(format!("what {who} decides"))
}

/// The place of a register in bytes: `NFT_REG_1` to `_4` have 16 each, `NFT_REG32_00` and so on 4.
fn place(register: u32) -> Option<usize> {
    let at = match register {
        1..=4 => (register as usize - 1) * 16,
        8..=23 => (register as usize - 8) * 4,
        _ => return None,
    };
    (at < REGISTERS).then_some(at)
}

fn number(data: &[u8], kind: u16) -> Option<u32> {
    attributes(data, 0).find(kind).and_then(be32)
}

fn register(data: &[u8], kind: u16) -> Option<usize> {
    number(data, kind).and_then(place)
}

fn bytes(data: &[u8], kind: u16) -> Option<Vec<u8>> {
    attributes(data, 0).find(kind).and_then(value).map(<[u8]>::to_vec)
}

fn compare(data: &[u8]) -> Option<Vec<Step>> {
    let (at, operation, one) = (register(data, 1)?, number(data, 2)?, bytes(data, 3)?);
    let (lowest, highest) = (vec![0; one.len()], vec![0xff; one.len()]);
    // NFT_CMP_EQ, _NEQ, _LT, _LTE, _GT, _GTE
    let (from, to, negated) = match operation {
        0 => (one.clone(), one, false),
        1 => (one.clone(), one, true),
        2 => (one, highest, true),
        3 => (lowest, one, false),
        4 => (lowest, one, true),
        5 => (one, highest, false),
        _ => return None,
    };
    Some(vec![Step::Is { at, ranges: vec![(from, to)], negated }])
}

fn range(data: &[u8]) -> Option<Vec<Step>> {
    let (at, operation) = (register(data, 1)?, number(data, 2)?);
    let ranges = vec![(bytes(data, 3)?, bytes(data, 4)?)];
    Some(vec![Step::Is { at, ranges, negated: operation == 1 }])
}

fn lookup(data: &[u8]) -> Option<Vec<Step>> {
    let set = attributes(data, 0).find(1).map(text)?;
    let (at, to) = (register(data, 2)?, number(data, 3));
    let to = to.filter(|register| *register != VERDICT).and_then(place);
    let negated = number(data, 5).unwrap_or(0) & 1 != 0;
    Some(vec![Step::Find { at, set, to, negated }])
}

/// Loads a value, or gives it back.
fn either(
    data: &[u8],
    (destination, source): (u16, u16),
    loads: impl FnOnce() -> (Field, usize),
    sets: impl FnOnce(usize) -> Option<Step>,
) -> Option<Vec<Step>> {
    if let Some(to) = register(data, destination) {
        let (field, len) = loads();
        return Some(vec![Step::Load { to, len, field }]);
    }
    let at = register(data, source)?;
    Some(sets(at).into_iter().collect())
}

fn meta(data: &[u8]) -> Option<Vec<Step>> {
    let key = number(data, 2)?;
    let unknown = |what: &str, len| (Field::Unknown(what.to_owned()), len);
    let loads = || match key {
        0 => (Field::Length, 4),
        1 => (Field::EtherType, 2),
        3 => (Field::Mark, 4),
        4 => (Field::LinkIndex(End::Input), 4),
        5 => (Field::LinkIndex(End::Output), 4),
        6 => (Field::LinkName(End::Input), 16),
        7 => (Field::LinkName(End::Output), 16),
        8 => (Field::LinkType(End::Input), 2),
        9 => (Field::LinkType(End::Output), 2),
        // Of the socket, which what passes through does not have: user, group, control group.
        10 => (Field::Owner(false), 4),
        11 => (Field::Owner(true), 4),
        23 => (Field::Absent, 4),
        2 | 12 | 13 | 14 => (Field::Zero, 4),
        15 => (Field::Family, 1),
        16 => (Field::Protocol, 1),
        17 | 18 => (Field::Absent, 16),
        19 => (Field::PacketType, 1),
        20 => (Field::Processor, 4),
        21 => (Field::LinkGroup(End::Input), 4),
        22 => (Field::LinkGroup(End::Output), 4),
        24 => unknown("chance", 4),
        25 => (Field::Zero, 1), // no IPsec
        26 => (Field::LinkKind(End::Input), 16),
        27 => (Field::LinkKind(End::Output), 16),
        30 => (Field::Time, 8),
        31 => (Field::Weekday, 1),
        32 => (Field::Daytime, 4),
        33 => (Field::Zero, 4),
        34 => (Field::Zero, 16),
        _ => unknown("something of a packet's", 16),
    };
    let sets = |at| (key == 3).then_some(Step::Act(Action::Mark(at)));
    either(data, (1, 3), loads, sets)
}

fn conntrack(data: &[u8]) -> Option<Vec<Step>> {
    let key = number(data, 2)?;
    let tuple = match attributes(data, 0).find(3).and_then(|direction| direction.first()) {
        Some(0) => Tuple::Original,
        Some(_) => Tuple::Reply,
        None => Tuple::Own,
    };
    let unknown = |what: &str, len| (Field::Unknown(what.to_owned()), len);
    let loads = || match key {
        0 => (Field::State, 4),
        1 => (Field::Direction, 1),
        2 => (Field::Status, 4),
        3 => (Field::ConnectionMark, 4),
        4 => (Field::Zero, 4),
        5 => unknown("a connection's age", 4),
        6 => (Field::Absent, 16), // no helper
        7 => (Field::Family, 1),
        8 | 19 => (Field::ConnectionAddress(tuple, Side::Source), 4),
        9 | 20 => (Field::ConnectionAddress(tuple, Side::Destination), 4),
        10 => (Field::Protocol, 1),
        11 => (Field::ConnectionPort(tuple, Side::Source), 2),
        12 => (Field::ConnectionPort(tuple, Side::Destination), 2),
        13 => (Field::Labels, 16),
        14..=16 => {
            let what = match key {
                14 => Carried::Packets,
                15 => Carried::Bytes,
                _ => Carried::Average,
            };
            let tuple = Some(tuple).filter(|tuple| *tuple != Tuple::Own);
            (Field::Carried(what, tuple, false), 8)
        }
        17 => (Field::Zone, 2),
        _ => unknown("something of a connection's", 16),
    };
    let mut steps = either(data, (1, 4), loads, |at| match key {
        3 => Some(Step::Act(Action::ConnectionMark(at))),
        13 => Some(Step::Act(Action::Labels(at))),
        // Answers are looked for in the same zone.
        17 if matches!(tuple, Tuple::Own) => Some(Step::Act(Action::Zone(at))),
        17 => Some(Step::Doubt("a zone of conntrack's".to_owned())),
        _ => None,
    })?;
    // Nothing is there to load where there is no connection (nft_ct_get_eval()); the state always is.
    if let Some(Step::Load { field: Field::Family | Field::Protocol | Field::Zero, to, len }) =
        steps.first()
    {
        let asks = Step::Load { to: *to, len: *len, field: Field::Direction };
        steps.insert(0, asks);
    }
    Some(steps)
}

fn payload(data: &[u8]) -> Option<Vec<Step>> {
    let (base, offset) = (number(data, 2)?, number(data, 3)? as usize);
    let len = number(data, 4)? as usize;
    let Some(to) = register(data, 1) else {
        // It writes to the packet: another time to live makes a difference, another address and port.
        let hops = 8_usize.checked_sub(offset).filter(|at| base == 1 && *at < len);
        if let Some(from) = hops.and_then(|at| Some(register(data, 5)? + at)) {
            return Some(vec![Step::Act(Action::Hops(from))]);
        }
        let (begin, end) = match base {
            1 => (12, 20),
            2 => (0, 4),
            _ => return Some(Vec::new()),
        };
        if offset >= end || offset.saturating_add(len) <= begin {
            return Some(Vec::new());
        }
        let from = register(data, 5)?;
        return Some(vec![Step::Act(Action::Rewrite { ports: base == 2, offset, len, from })]);
    };
    let field = match base {
        1 => Field::Network(offset),
        2 => Field::Transport(offset),
        _ => Field::Unknown("the packet's content".to_owned()),
    };
    Some(vec![Step::Load { to, len, field }])
}

fn bitwise(data: &[u8]) -> Option<Vec<Step>> {
    let (from, to) = (register(data, 1)?, register(data, 2)?);
    let len = (number(data, 3)? as usize).min(REGISTERS);
    // NFT_BITWISE_MASK_XOR, _LSHIFT, _RSHIFT; with two registers _AND, _OR, _XOR
    let step = match (number(data, 6).unwrap_or(0), bytes(data, 4), bytes(data, 5)) {
        (0, Some(mask), Some(xor)) => Step::Bits { from, to, mask, xor },
        (kind @ (1 | 2), ..) => {
            let by = u32::from_ne_bytes(*bytes(data, 7)?.first_chunk()?);
            Step::Shift { from, to, len, by, left: kind == 1 }
        }
        (kind @ 3..=5, ..) => {
            let how = match kind {
                3 => Join::And,
                4 => Join::Or,
                _ => Join::Xor,
            };
            Step::Join { from: [from, register(data, 8)?], to, len, how }
        }
        _ => {
            let field = Field::Unknown("a value that is computed".to_owned());
            Step::Load { to, len: len.min(16), field }
        }
    };
    Some(vec![step])
}

fn byteorder(data: &[u8]) -> Option<Vec<Step>> {
    let (from, to) = (register(data, 1)?, register(data, 2)?);
    let (len, size) = (number(data, 4)? as usize, number(data, 5)? as usize);
    Some(vec![Step::Swap { from, to, len, size }])
}

fn immediate(data: &[u8]) -> Option<Vec<Step>> {
    let inside = attributes(data, 0).find(2)?;
    if number(data, 1)? == VERDICT {
        let verdict = attributes(inside, 0).find(DATA_VERDICT).map(verdict)?;
        return Some(vec![Step::Verdict(verdict)]);
    }
    let to = register(data, 1)?;
    Some(vec![Step::Set { to, bytes: value(inside)?.to_vec() }])
}

fn fib(data: &[u8]) -> Option<Vec<Step>> {
    const SADDR: u32 = 1;
    const MARK: u32 = 4;
    const IIF: u32 = 8;
    const OIF: u32 = 16;
    const PRESENT: u32 = 32;
    let (to, flags) = (register(data, 1)?, number(data, 3)?);
    let (what, len) = match number(data, 2)? {
        _ if flags & PRESENT != 0 => (Found::Present, 1),
        1 => (Found::Index, 4),
        2 => (Found::Name, 16),
        3 => (Found::Type, 4),
        _ => return None,
    };
    let only = match flags & (IIF | OIF) {
        IIF => Some(End::Input),
        OIF => Some(End::Output),
        _ => None,
    };
    let of = if flags & SADDR != 0 { Side::Source } else { Side::Destination };
    let lookup = Lookup { of, mark: flags & MARK != 0, only, what };
    Some(vec![Step::Load { to, len, field: Field::Route(lookup) }])
}

fn routing(data: &[u8]) -> Option<Vec<Step>> {
    let to = register(data, 1)?;
    // NFT_RT_CLASSID, _XFRM: nothing of either
    let (field, len) = match number(data, 2)? {
        0 => (Field::Zero, 4),
        4 => (Field::Zero, 1),
        _ => (Field::Unknown("a route's next hop".to_owned()), 4),
    };
    Some(vec![Step::Load { to, len, field }])
}

/// A value that nobody can tell ahead.
fn unknown(data: &[u8], destination: u16, what: &str) -> Option<Vec<Step>> {
    let (to, field) = (register(data, destination)?, Field::Unknown(what.to_owned()));
    Some(vec![Step::Load { to, len: 16, field }])
}

/// An option of TCP or of IP; one that is written, such as the MSS, decides nothing.
fn header_option(data: &[u8]) -> Option<Vec<Step>> {
    const PRESENT: u32 = 1;
    const IPV6: u32 = 0;
    const TCP: u32 = 1;
    let Some(to) = register(data, 1) else { return Some(Vec::new()) };
    let kind = *attributes(data, 0).find(2)?.first()?;
    let (offset, len) = (number(data, 3)? as usize, number(data, 4)? as usize);
    let present = number(data, 5).unwrap_or(0) & PRESENT != 0;
    let field = match (number(data, 6).unwrap_or(IPV6), present) {
        (TCP, true) => Field::TcpOption(kind, None),
        (TCP, false) => Field::TcpOption(kind, Some(offset)),
        // Of IPv6 nothing is there to load; what guests send has no options of IP.
        (IPV6, _) | (_, false) => Field::Absent,
        (_, true) => Field::Zero,
    };
    Some(vec![Step::Load { to, len: if present { 1 } else { len.min(16) }, field }])
}

/// A number that is made: `offset` and less than `modulus` more.
fn generated(
    data: &[u8],
    (destination, modulus, offset): (u16, u16, u16),
    what: &str,
) -> Option<Vec<Step>> {
    let to = register(data, destination)?;
    let low = number(data, offset).unwrap_or(0);
    // A hash of its own has all bits.
    let more = number(data, modulus).map_or(u32::MAX, |modulus| modulus.saturating_sub(1));
    let field = Field::Between(low, low.saturating_add(more), what.to_owned());
    Some(vec![Step::Load { to, len: 4, field }])
}

/// Guests' packets come by no tunnel (nft_tunnel_get_eval()).
fn tunnel(data: &[u8]) -> Option<Vec<Step>> {
    let to = register(data, 2)?;
    let (field, len) = match number(data, 1)? {
        0 => (Field::Zero, 1),
        _ => (Field::Absent, 4),
    };
    Some(vec![Step::Load { to, len, field }])
}

/// How much is left of it, the kernel tells.
fn quota(data: &[u8]) -> Vec<Step> {
    const OVER: u32 = 1;
    let long = |kind| {
        let value = attributes(data, 0).find(kind)?;
        value.first_chunk().copied().map(u64::from_be_bytes)
    };
    let left = long(1).unwrap_or(0).saturating_sub(long(4).unwrap_or(0));
    matching::left(left, number(data, 2).unwrap_or(0) & OVER != 0)
}

fn queue(data: &[u8]) -> Option<Vec<Step>> {
    const BYPASS: u16 = 1;
    let short = |kind| {
        let value = attributes(data, 0).find(kind)?;
        value.first_chunk().copied().map(u16::from_be_bytes)
    };
    let bypass = short(3).unwrap_or(0) & BYPASS != 0;
    Some(match short(1) {
        Some(first) => vec![Step::Queue { first, count: short(2).unwrap_or(1), bypass }],
        // Which one, a map says.
        None => vec![Step::Verdict(somebody("a program that the packets are queued to"))],
    })
}

/// A single packet exceeds no rate that anybody can work with; whether it is within one depends on what
/// came before. Beyond a rate that nobody can work with is nearly all.
fn limit(data: &[u8]) -> Vec<Step> {
    let long = |kind| {
        let value = attributes(data, 0).find(kind)?;
        value.first_chunk().copied().map(u64::from_be_bytes)
    };
    let of_packets = number(data, 4).unwrap_or(0) == 0;
    let per = long(2).unwrap_or(1).checked_div(long(1).unwrap_or(0)).unwrap_or(u64::MAX);
    let slow = of_packets && per >= matching::SECONDS_TOO_MANY;
    match (number(data, 5).unwrap_or(0) & 1, slow) {
        (1, false) => vec![Step::Never],
        (1, true) => Vec::new(),
        (_, true) => vec![Step::Never],
        (_, false) => vec![Step::Doubt("a rate".to_owned())],
    }
}

/// A single connection exceeds no number of them but none.
fn connections(data: &[u8]) -> Vec<Step> {
    let over = number(data, 2).unwrap_or(0) & 1 != 0;
    let exceeds = number(data, 1) == Some(0);
    match over == exceeds {
        true => Vec::new(),
        false => vec![Step::Never],
    }
}

/// What is added to a set by a packet, and what is asked with it.
fn dynamic(data: &[u8], objects: &Objects) -> Option<Vec<Step>> {
    let one = attributes(data, 0).filter(|(kind, _)| *kind == 7).map(|(_, one)| one);
    let many = attributes(data, 0).find(10).unwrap_or_default();
    let all = one.chain(attributes(many, 0).map(|(_, one)| one));
    // NFT_DYNSET_OP_ADD, _UPDATE
    let fills = matches!(number(data, 3), Some(0 | 1));
    let set = attributes(data, 0).find(1).map(text).zip(register(data, 4)).filter(|_| fills);
    let asks = all.map(parts).flat_map(|(name, data)| steps(&name, data, objects));
    let fills = set.map(|(set, at)| Step::Act(Action::Fill { set, at }));
    Some(fills.into_iter().chain(asks).collect())
}

fn object(data: &[u8], objects: &Objects) -> Option<Vec<Step>> {
    // NFT_OBJECT_COUNTER, _CT_HELPER, _SECMARK, _CT_TIMEOUT: nothing that decides.
    match number(data, 1) {
        Some(1 | 3 | 7 | 8) => Some(Vec::new()),
        _ => {
            let name = attributes(data, 0).find(2).map(text);
            let one = name.and_then(|name| objects.get(&(number(data, 1)?, name)).cloned());
            Some(one.unwrap_or_else(|| vec![Step::Doubt("a limit or quota of a name".to_owned())]))
        }
    }
}

fn nat(data: &[u8]) -> Option<Vec<Step>> {
    // NFT_NAT_SNAT, _DNAT. Without an address only the port changes.
    let (kind, address, port) = (number(data, 1)?, register(data, 3), register(data, 5));
    Some(match (kind, address) {
        (1, Some(at)) => vec![Step::Act(Action::Destination(at))],
        (1, None) if port.is_some() => {
            port.map(|at| Step::Act(Action::Port(at))).into_iter().collect()
        }
        (0, Some(at)) => vec![Step::Act(Action::Source(at))],
        _ => vec![Step::Verdict(Verdict::Accept)],
    })
}

fn tproxy(data: &[u8]) -> Option<Vec<Step>> {
    let port = register(data, 3);
    Some(vec![Step::Act(Action::Proxy { port, or_drop: false })])
}

/// A match or a target of x_tables.
fn extension(data: &[u8], steps: impl Fn(&str, u8, &[u8]) -> Vec<Step>) -> Vec<Step> {
    let inside: Attributes<'_> = attributes(data, 0);
    let name = inside.clone().find(1).map(text).unwrap_or_default();
    let revision = inside.clone().find(2).and_then(be32).unwrap_or(0) as u8;
    steps(&name, revision, inside.clone().find(3).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: &[&str] = &[
        "cmp",
        "range",
        "lookup",
        "meta",
        "ct",
        "payload",
        "bitwise",
        "byteorder",
        "immediate",
        "fib",
        "rt",
        "numgen",
        "hash",
        "osf",
        "tunnel",
        "exthdr",
        "limit",
        "connlimit",
        "quota",
        "dynset",
        "objref",
        "nat",
        "tproxy",
        "queue",
        "match",
        "target",
        "nobody's",
    ];

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = (4 + value.len() as u16).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    #[test]
    fn no_length_and_no_byte_makes_it_panic() {
        // xorshift: the same inputs in each run.
        let mut state = 5u64;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        for name in NAMES {
            for _ in 0..200 {
                let mut data = Vec::new();
                for kind in 1..11 {
                    let number = (random() % 24) as u32;
                    let value = match random() % 4 {
                        0 => attribute(1, &random().to_ne_bytes()),
                        1 => random().to_be_bytes().to_vec(),
                        2 => vec![number as u8],
                        _ => number.to_be_bytes().to_vec(),
                    };
                    if random() % 5 != 0 {
                        data.extend(attribute(kind, &value));
                    }
                }
                let inside = [attribute(NAME, name.as_bytes()), attribute(DATA, &data)].concat();
                let mut list = attribute(1, &inside);
                rule(&list, &Objects::new());
                let bent = random() as usize % list.len();
                list[bent] = random() as u8;
                rule(&list, &Objects::new());
                rule(&list[..bent], &Objects::new());
                named((random() % 12) as u32, &data);
            }
        }
    }
}
