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
    Action, End, Field, Found, Lookup, Rule, Side, Step, Tuple, Verdict, REGISTERS,
};
use super::super::xtables::{matching, target};
use super::{be32, packets, value, verdict, DATA_VERDICT};
use crate::effects::kernel::netlink::message::{attributes, text, Attributes};

// linux/netfilter/nf_tables.h
const NAME: u16 = 1;
const DATA: u16 = 2;
/// The register that verdicts are put into.
const VERDICT: u32 = 0;

/// A rule of these expressions.
pub(super) fn rule(list: &[u8]) -> Rule {
    let mut rule = Rule::default();
    for (_, expression) in attributes(list, 0) {
        let (name, data) = parts(expression);
        if name == "counter" {
            rule.packets = packets(data);
        }
        rule.steps.extend(steps(&name, data));
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

fn steps(name: &str, data: &[u8]) -> Vec<Step> {
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
        "numgen" | "osf" => unknown(data, 1, name),
        "hash" | "tunnel" => unknown(data, 2, name),
        "exthdr" => header_option(data),
        "xfrm" => Some(vec![Step::Never]),
        "limit" => Some(limit(data)),
        "connlimit" => Some(connections(data)),
        "quota" => Some(vec![Step::Doubt("a quota".to_owned())]),
        "dynset" => dynamic(data),
        "objref" => object(data),
        "notrack" => Some(vec![Step::Act(Action::NotTracked)]),
        "reject" => Some(vec![Step::Verdict(Verdict::Reject)]),
        "masq" => Some(vec![Step::Act(Action::Masquerade)]),
        "redir" => Some(vec![Step::Act(Action::Redirect)]),
        "nat" => nat(data),
        "tproxy" => tproxy(data),
        "queue" => Some(vec![Step::Verdict(somebody("a program that the packets are queued to"))]),
        "synproxy" => Some(vec![Step::Verdict(somebody("a SYN proxy"))]),
        "fwd" => Some(vec![Step::Verdict(somebody("the link that they are forwarded to"))]),
        "match" => Some(extension(data, matching::steps)),
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
        0 => unknown("a packet's length", 4),
        1 => (Field::EtherType, 2),
        3 => (Field::Mark, 4),
        4 => (Field::LinkIndex(End::Input), 4),
        5 => (Field::LinkIndex(End::Output), 4),
        6 => (Field::LinkName(End::Input), 16),
        7 => (Field::LinkName(End::Output), 16),
        8 => (Field::LinkType(End::Input), 2),
        9 => (Field::LinkType(End::Output), 2),
        // Of the socket, which what passes through does not have: user, group, control group.
        10 | 11 | 23 => (Field::Absent, 4),
        2 | 12 | 13 | 14 => (Field::Zero, 4),
        15 => (Field::Family, 1),
        16 => (Field::Protocol, 1),
        17 | 18 => (Field::Absent, 16),
        19 => (Field::PacketType, 1),
        20 => unknown("the processor", 4),
        21 => (Field::LinkGroup(End::Input), 4),
        22 => (Field::LinkGroup(End::Output), 4),
        24 => unknown("chance", 4),
        25 => (Field::Zero, 1), // no IPsec
        26 => (Field::LinkKind(End::Input), 16),
        27 => (Field::LinkKind(End::Output), 16),
        30..=32 => unknown("the time", 8),
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
        13 => unknown("a connection's labels", 16),
        14..=16 => unknown("how much a connection has carried", 8),
        17 => (Field::Zero, 2),
        _ => unknown("something of a connection's", 16),
    };
    let mut steps = either(data, (1, 4), loads, |at| match key {
        3 => Some(Step::Act(Action::ConnectionMark(at))),
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
        // It writes to the packet: only another address makes a difference.
        let addresses = base == 1 && offset < 20 && offset + len > 12;
        let what = "a rule that rewrites addresses without a connection";
        return Some(if addresses { vec![Step::Doubt(what.to_owned())] } else { Vec::new() });
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
    let len = number(data, 3)? as usize;
    // NFT_BITWISE_MASK_XOR; the others shift, or are done with two registers.
    match (number(data, 6).unwrap_or(0), bytes(data, 4), bytes(data, 5)) {
        (0, Some(mask), Some(xor)) => Some(vec![Step::Bits { from, to, mask, xor }]),
        _ => {
            let field = Field::Unknown("a value that is computed".to_owned());
            Some(vec![Step::Load { to, len, field }])
        }
    }
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
    match register(data, 7) {
        Some(_) => Some(Vec::new()),
        None => unknown(data, 1, "an option in a packet's header"),
    }
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
fn dynamic(data: &[u8]) -> Option<Vec<Step>> {
    let one = attributes(data, 0).filter(|(kind, _)| *kind == 7).map(|(_, one)| one);
    let many = attributes(data, 0).find(10).unwrap_or_default();
    let all = one.chain(attributes(many, 0).map(|(_, one)| one));
    Some(all.map(parts).flat_map(|(name, data)| steps(&name, data)).collect())
}

fn object(data: &[u8]) -> Option<Vec<Step>> {
    // NFT_OBJECT_COUNTER, _CT_HELPER, _SECMARK, _CT_TIMEOUT: nothing that decides.
    match number(data, 1) {
        Some(1 | 3 | 7 | 8) => Some(Vec::new()),
        _ => Some(vec![Step::Doubt("a limit or quota of a name".to_owned())]),
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
