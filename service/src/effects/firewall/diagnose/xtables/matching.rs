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

//! x_tables' matches as steps, of iptables' own and of those that iptables-nft hands to nf_tables. Pure.
//! The layouts are those of `linux/netfilter/xt_*.h`. A match that is not known here leaves it open
//! whether the rule holds.

use super::super::chains::{
    Action, Carried, End, Field, Found, Lookup, Program, Side, Step, Times, Tuple,
};
use super::super::content::{Instruction, Next, Test};
use crate::effects::kernel::netlink::message::{u16_at, u32_at, u64_at};

/// What a match asks for.
/// `seen`: the bytes that its rule has seen.
pub(in super::super) fn steps(name: &str, revision: u8, data: &[u8], seen: u64) -> Vec<Step> {
    let known = match name {
        "comment" | "nfacct" => Some(Vec::new()),
        "conntrack" => conntrack(revision, data),
        "state" => state(data),
        "tcp" => tcp(data),
        "udp" => udp(data),
        "icmp" => icmp(data),
        "multiport" => multiport(revision, data),
        "iprange" => iprange(data),
        "addrtype" => addrtype(revision, data),
        "mark" => marked(Field::Mark, data),
        "connmark" => marked(Field::ConnectionMark, data),
        "pkttype" => pkttype(data),
        "devgroup" => devgroup(data),
        "rpfilter" => rpfilter(data),
        "physdev" => physdev(data),
        "policy" => policy(data),
        "owner" => owner(data),
        "ttl" => ttl(data),
        "dscp" => dscp(data),
        "tos" => tos(data),
        "helper" => helper(data),
        "connlimit" => connlimit(data),
        "hashlimit" => hashlimit(revision, data),
        // What passes through has no socket, and is of no other transport.
        "socket" | "cgroup" | "esp" | "ah" | "sctp" | "dccp" | "l2tp" | "ipcomp" => {
            Some(vec![Step::Never])
        }
        "limit" => limit(data),
        "set" => set(revision, data),
        "time" => time(data),
        "cpu" => processor(data),
        "u32" => u32(data),
        "bpf" => bpf(revision, data),
        "tcpmss" => segment(data),
        "ecn" => congestion(data),
        "connbytes" => carried(data),
        "connlabel" => label(data),
        "quota" => quota(data, seen),
        "statistic" => statistic(data),
        "length" => length(data),
        "realm" => realm(data),
        "string" => Some(doubt("the packets' content")),
        "mac" => Some(doubt("a link-layer address")),
        "recent" => recent(data),
        "quota2" => Some(doubt("how much was sent before")),
        _ => None,
    };
    known.unwrap_or_else(|| doubt(&format!("the match `{name}`")))
}

fn doubt(what: &str) -> Vec<Step> {
    vec![Step::Doubt(what.to_owned())]
}

/// One that holds for all guests' packets, or for none.
fn always(holds: bool) -> Option<Vec<Step>> {
    Some(if holds { Vec::new() } else { vec![Step::Never] })
}

fn load(len: usize, field: Field) -> Step {
    Step::Load { to: 0, len, field }
}

/// In one of these ranges.
fn among(ranges: Vec<(Vec<u8>, Vec<u8>)>, negated: bool) -> Step {
    Step::Is { at: 0, ranges, negated }
}

/// A value of which only some bits count.
fn masked(field: Field, len: usize, mask: Vec<u8>, value: Vec<u8>, negated: bool) -> Vec<Step> {
    let xor = vec![0; mask.len()];
    let bits = Step::Bits { from: 0, to: 0, mask, xor };
    vec![load(len, field), bits, among(vec![(value.clone(), value)], negated)]
}

/// Some of these bits are set, or none.
fn some_bit(field: Field, bits: u32, negated: bool) -> Vec<Step> {
    masked(field, 4, bits.to_ne_bytes().to_vec(), vec![0; 4], !negated)
}

fn conntrack(revision: u8, data: &[u8]) -> Option<Vec<Step>> {
    const STATE: u16 = 1 << 0;
    const PROTOCOL: u16 = 1 << 1;
    const ADDRESSES: [(u16, usize, Tuple, Side); 4] = [
        (1 << 2, 0, Tuple::Original, Side::Source),
        (1 << 3, 32, Tuple::Original, Side::Destination),
        (1 << 4, 64, Tuple::Reply, Side::Source),
        (1 << 5, 96, Tuple::Reply, Side::Destination),
    ];
    const STATUS: u16 = 1 << 6;
    const PORTS: [(u16, usize, usize, Tuple, Side); 4] = [
        (1 << 8, 138, 154, Tuple::Original, Side::Source),
        (1 << 9, 140, 156, Tuple::Original, Side::Destination),
        (1 << 10, 142, 158, Tuple::Reply, Side::Source),
        (1 << 11, 144, 160, Tuple::Reply, Side::Destination),
    ];
    const DIRECTION: u16 = 1 << 12;
    // What XT_CONNTRACK_STATE_ALIAS says is only how it was written.
    const ALIAS: u16 = 1 << 13;
    const MASKS: usize = 150;
    let (asked, inverted) = (u16_at(data, 146)?, u16_at(data, 148)?);
    let (states, status) = match revision {
        0 => return None,
        1 => (u16::from(*data.get(MASKS)?), u16::from(*data.get(MASKS + 1)?)),
        _ => (u16_at(data, MASKS)?, u16_at(data, MASKS + 2)?),
    };
    let is = |bit: u16| asked & bit != 0;
    let not = |bit: u16| inverted & bit != 0;
    let mut steps = Vec::new();
    if is(STATE) {
        steps.extend(some_bit(Field::StateAndNat, states.into(), not(STATE)));
    }
    // Without a connection nothing else holds (conntrack_mt()); the state may.
    let known = STATE | PROTOCOL | STATUS | DIRECTION | ALIAS | 0xf3c;
    if is(DIRECTION) {
        let answer = u8::from(not(DIRECTION));
        steps.extend([load(1, Field::Direction), among(vec![(vec![answer], vec![answer])], false)]);
    }
    if is(PROTOCOL) {
        let protocol = *data.get(136)?;
        let one = vec![(vec![protocol], vec![protocol])];
        steps.extend([load(1, Field::Protocol), among(one, not(PROTOCOL))]);
    }
    for (bit, at, tuple, side) in ADDRESSES {
        if is(bit) {
            let (address, mask) = (data.get(at..at + 4)?, data.get(at + 16..at + 20)?);
            let field = Field::ConnectionAddress(tuple, side);
            steps.extend(masked(field, 4, mask.to_vec(), address.to_vec(), not(bit)));
        }
    }
    for (bit, low, high, tuple, side) in PORTS.into_iter().filter(|(bit, ..)| is(*bit)) {
        // From revision 3 on a range, as the device has numbers; before, one port as it is sent.
        let port = |at: usize| match revision {
            0..=2 => Some(data.get(low..low + 2)?.to_vec()),
            _ => Some(u16_at(data, at)?.to_be_bytes().to_vec()),
        };
        let field = Field::ConnectionPort(tuple, side);
        steps.extend([load(2, field), among(vec![(port(low)?, port(high)?)], not(bit))]);
    }
    if is(STATUS) {
        steps.extend(match status {
            // NONE: a connection without any.
            0 => return None,
            status => some_bit(Field::Status, status.into(), not(STATUS)),
        });
    }
    if asked & !known != 0 {
        steps.extend(doubt("a connection's age"));
    }
    Some(steps)
}

fn state(data: &[u8]) -> Option<Vec<Step>> {
    Some(some_bit(Field::State, u32_at(data, 0)?, false))
}

/// Ports as they are given: in the machine's order.
fn ports(data: &[u8], at: usize, place: usize, negated: bool) -> Option<Vec<Step>> {
    let (low, high) = (u16_at(data, at)?, u16_at(data, at + 2)?);
    if (low, high) == (0, u16::MAX) && !negated {
        return Some(Vec::new());
    }
    let range = (low.to_be_bytes().to_vec(), high.to_be_bytes().to_vec());
    Some(vec![load(2, Field::Transport(place)), among(vec![range], negated)])
}

fn tcp(data: &[u8]) -> Option<Vec<Step>> {
    let (option, mask) = (*data.get(8)?, *data.get(9)?);
    let (flags, inverted) = (*data.get(10)?, *data.get(11)?);
    let mut steps = ports(data, 0, 0, inverted & 1 != 0)?;
    steps.extend(ports(data, 4, 2, inverted & 2 != 0)?);
    if mask != 0 || inverted & 4 != 0 {
        let field = Field::Transport(13);
        steps.extend(masked(field, 1, vec![mask], vec![flags], inverted & 4 != 0));
    }
    if option != 0 {
        let one = among(vec![(vec![1], vec![1])], inverted & 8 != 0);
        steps.extend([load(1, Field::TcpOption(option, None)), one]);
    }
    Some(steps)
}

fn udp(data: &[u8]) -> Option<Vec<Step>> {
    let inverted = *data.get(8)?;
    let mut steps = ports(data, 0, 0, inverted & 1 != 0)?;
    steps.extend(ports(data, 4, 2, inverted & 2 != 0)?);
    Some(steps)
}

fn icmp(data: &[u8]) -> Option<Vec<Step>> {
    const ANY: u8 = 0xff;
    let [kind, low, high, inverted] = *data.get(..4)? else { return None };
    if kind == ANY {
        return always(inverted & 1 == 0);
    }
    let range = (vec![kind, low], vec![kind, high]);
    Some(vec![load(2, Field::Transport(0)), among(vec![range], inverted & 1 != 0)])
}

fn multiport(revision: u8, data: &[u8]) -> Option<Vec<Step>> {
    const PORTS: usize = 15;
    let (which, count) = (*data.first()?, usize::from(*data.get(1)?).min(PORTS));
    let begins =
        |n: usize| revision > 0 && data.get(2 + 2 * PORTS + n).is_some_and(|flag| *flag != 0);
    let negated = revision > 0 && data.get(2 + 3 * PORTS).is_some_and(|invert| *invert != 0);
    let port = |n: usize| Some(u16_at(data, 2 + 2 * n)?.to_be_bytes().to_vec());
    let (mut ranges, mut n) = (Vec::new(), 0);
    while n < count {
        let last = if begins(n) { n + 1 } else { n };
        ranges.push((port(n)?, port(last)?));
        n = last + 1;
    }
    let place = match which {
        0 => 0,
        1 => 2,
        _ => return Some(vec![Step::EitherPort { ranges, negated }]),
    };
    Some(vec![load(2, Field::Transport(place)), among(ranges, negated)])
}

fn iprange(data: &[u8]) -> Option<Vec<Step>> {
    let flags = *data.get(64)?;
    let address = |at: usize| data.get(at..at + 4).map(<[u8]>::to_vec);
    let mut steps = Vec::new();
    for (asked, inverted, place, at) in [(0x01, 0x10, 12, 0), (0x02, 0x20, 16, 32)] {
        if flags & asked != 0 {
            let range = vec![(address(at)?, address(at + 16)?)];
            steps.extend([load(4, Field::Network(place)), among(range, flags & inverted != 0)]);
        }
    }
    Some(steps)
}

fn addrtype(revision: u8, data: &[u8]) -> Option<Vec<Step>> {
    const LIMITED: u32 = 0x04 | 0x08;
    let (source, destination) = (u16_at(data, 0)?, u16_at(data, 2)?);
    let flags = match revision {
        0 => u32_at(data, 4)? & 1 | (u32_at(data, 8)? & 1) << 1,
        _ => u32_at(data, 4)?,
    };
    if flags & LIMITED != 0 {
        return Some(doubt("a type of address on one link"));
    }
    let mut steps = Vec::new();
    for (types, of, inverted) in
        [(source, Side::Source, flags & 1 != 0), (destination, Side::Destination, flags & 2 != 0)]
    {
        if types != 0 {
            let one = |bit: u32| (bit.to_ne_bytes().to_vec(), bit.to_ne_bytes().to_vec());
            let ranges = (0..16).filter(|bit| types >> bit & 1 == 1).map(one).collect();
            let lookup = Lookup { of, mark: false, only: None, what: Found::Type };
            steps.extend([load(4, Field::Route(lookup)), among(ranges, inverted)]);
        }
    }
    Some(steps)
}

fn marked(field: Field, data: &[u8]) -> Option<Vec<Step>> {
    let (value, mask) = (data.get(..4)?.to_vec(), data.get(4..8)?.to_vec());
    Some(masked(field, 4, mask, value, *data.get(8)? != 0))
}

fn pkttype(data: &[u8]) -> Option<Vec<Step>> {
    let kind = u32_at(data, 0)? as u8;
    let step = among(vec![(vec![kind], vec![kind])], u32_at(data, 4)? != 0);
    Some(vec![load(1, Field::PacketType), step])
}

fn devgroup(data: &[u8]) -> Option<Vec<Step>> {
    let flags = u32_at(data, 0)?;
    let bytes = |at: usize| data.get(at..at + 4).map(<[u8]>::to_vec);
    let mut steps = Vec::new();
    for (asked, inverted, end, at) in [(1, 2, End::Input, 4), (4, 8, End::Output, 12)] {
        if flags & asked != 0 {
            let (group, mask) = (bytes(at)?, bytes(at + 4)?);
            steps.extend(masked(Field::LinkGroup(end), 4, mask, group, flags & inverted != 0));
        }
    }
    Some(steps)
}

fn rpfilter(data: &[u8]) -> Option<Vec<Step>> {
    let flags = *data.first()?;
    let only = (flags & 1 == 0).then_some(End::Input);
    let lookup = Lookup { of: Side::Source, mark: flags & 2 != 0, only, what: Found::Present };
    let step = among(vec![(vec![1], vec![1])], flags & 8 != 0);
    Some(vec![load(1, Field::Route(lookup)), step])
}

/// What does not come by a bridge matches what is negated only (physdev_mt()).
fn physdev(data: &[u8]) -> Option<Vec<Step>> {
    let (inverted, asked) = (*data.get(64)?, *data.get(65)?);
    always(asked & !inverted & 0x1f == 0)
}

/// Guests' packets are under no IPsec policy (policy_mt()).
fn policy(data: &[u8]) -> Option<Vec<Step>> {
    const ELEMENTS: usize = 4 * 76;
    const NONE: u16 = 0x4;
    always(u16_at(data, ELEMENTS)? & NONE != 0)
}

/// What passes through has no socket (owner_mt()); what the device itself sends has one.
fn owner(data: &[u8]) -> Option<Vec<Step>> {
    const USER: u8 = 1;
    const GROUP: u8 = 2;
    const SOCKET: u8 = 4;
    let (asked, inverted) = (*data.get(16)?, *data.get(17)?);
    let mut steps = Vec::new();
    for (bit, at, group) in [(USER, 0, false), (GROUP, 8, true)] {
        if asked & bit != 0 {
            let bytes = |at| Some(u32_at(data, at)?.to_be_bytes().to_vec());
            let is = among(vec![(bytes(at)?, bytes(at + 4)?)], inverted & bit != 0);
            let in_order = Step::Swap { from: 0, to: 0, len: 4, size: 4 };
            steps.extend([load(4, Field::Owner(group)), in_order, is]);
        }
    }
    if asked & inverted & SOCKET != 0 {
        steps = vec![Step::Never];
    }
    Some(vec![Step::Sent { by_others: asked ^ inverted == 0, by_it: steps }])
}

fn ttl(data: &[u8]) -> Option<Vec<Step>> {
    let [mode, ttl] = *data.get(..2)? else { return None };
    let (low, high, negated) = match mode {
        0 => (ttl, ttl, false),
        1 => (ttl, ttl, true),
        2 => (ttl, u8::MAX, true),
        3 => (0, ttl, true),
        _ => return None,
    };
    Some(vec![load(1, Field::Network(8)), among(vec![(vec![low], vec![high])], negated)])
}

fn dscp(data: &[u8]) -> Option<Vec<Step>> {
    let [class, inverted] = *data.get(..2)? else { return None };
    Some(masked(Field::Network(1), 1, vec![0xfc], vec![class << 2], inverted != 0))
}

fn tos(data: &[u8]) -> Option<Vec<Step>> {
    let [mask, value, inverted] = *data.get(..3)? else { return None };
    Some(masked(Field::Network(1), 1, vec![mask], vec![value], inverted != 0))
}

/// Nobody helps conntrack with what a guest sends.
fn helper(data: &[u8]) -> Option<Vec<Step>> {
    always(u32_at(data, 0)? != 0)
}

/// One connection is never too many, unless none may be.
fn connlimit(data: &[u8]) -> Option<Vec<Step>> {
    const AT_MOST: u32 = 1;
    let (limit, flags) = (u32_at(data, 16)?, u32_at(data, 20)?);
    always((limit == 0) != (flags & AT_MOST != 0))
}

/// A packet in so many seconds, or fewer: nobody can work with that, and what is beyond is nearly all.
pub(in super::super) const SECONDS_TOO_MANY: u64 = 10;

/// Whether a packet is within a rate depends on what came before, where it is one to work with.
fn limit(data: &[u8]) -> Option<Vec<Step>> {
    // XT_LIMIT_SCALE: `avg` is the time for one packet.
    const SCALE: u64 = 10_000;
    match u64::from(u32_at(data, 0)?) >= SECONDS_TOO_MANY * SCALE {
        true => always(false),
        false => Some(doubt("a rate")),
    }
}

/// One packet exceeds no rate that anybody can work with; whether it is within one depends on what came
/// before.
fn hashlimit(revision: u8, data: &[u8]) -> Option<Vec<Step>> {
    const ABOVE: u32 = 1 << 4;
    const OF_BYTES: u32 = 1 << 5;
    // The time for one packet, in the revision's own unit.
    let (mode, time, scale) = match revision {
        0 | 1 => (u32_at(data, 16)?, u64::from(u32_at(data, 20)?), 10_000),
        _ => (u32_at(data, 272)?, u64_at(data, 256)?, 1_000_000),
    };
    let slow = mode & OF_BYTES == 0 && time >= SECONDS_TOO_MANY * scale;
    match (mode & ABOVE != 0, slow) {
        (above, true) => always(above),
        (true, false) => always(false),
        (false, false) => Some(doubt("a rate")),
    }
}

/// Chance, but where it is certain.
fn statistic(data: &[u8]) -> Option<Vec<Step>> {
    const RANDOM: u16 = 0;
    const CERTAIN: u32 = 0x8000_0000;
    let (mode, inverted, number) = (u16_at(data, 0)?, u16_at(data, 2)? & 1 != 0, u32_at(data, 4)?);
    match (mode, number) {
        // Of every packet, too, the kernel has one less than was asked for.
        (RANDOM, CERTAIN..) | (1, 0) => always(!inverted),
        (RANDOM, 0) => always(inverted),
        _ => Some(doubt("chance")),
    }
}

fn length(data: &[u8]) -> Option<Vec<Step>> {
    let bytes = |at: usize| Some(u16_at(data, at)?.to_be_bytes().to_vec());
    let range = vec![(bytes(0)?, bytes(2)?)];
    Some(vec![load(2, Field::Network(2)), among(range, *data.get(4)? != 0)])
}

fn processor(data: &[u8]) -> Option<Vec<Step>> {
    let one = data.get(..4)?.to_vec();
    let is = among(vec![(one.clone(), one)], u32_at(data, 4)? != 0);
    Some(vec![load(4, Field::Processor), is])
}

/// The MSS that a SYN announces; what does not, has none (tcpmss_mt()).
fn segment(data: &[u8]) -> Option<Vec<Step>> {
    let (low, high) = (u16_at(data, 0)?.max(1), u16_at(data, 2)?);
    let range = (low.to_be_bytes().to_vec(), high.to_be_bytes().to_vec());
    Some(vec![load(2, Field::Mss), among(vec![range], *data.get(4)? != 0)])
}

fn congestion(data: &[u8]) -> Option<Vec<Step>> {
    const IN_IP: u8 = 0x01;
    const ECE: u8 = 0x10;
    const CWR: u8 = 0x20;
    let [asked, inverted, bits] = *data.get(..3)? else { return None };
    let mut steps = Vec::new();
    if asked & IN_IP != 0 {
        let not = inverted & IN_IP != 0;
        steps.extend(masked(Field::Network(1), 1, vec![0x03], vec![bits], not));
    }
    for (bit, flag) in [(ECE, 0x40), (CWR, 0x80)] {
        if asked & bit != 0 {
            let flag = vec![flag];
            let not = inverted & bit != 0;
            steps.extend(masked(Field::Transport(13), 1, flag.clone(), flag, not));
        }
    }
    Some(steps)
}

/// The rule itself has the kernel count (connbytes_mt_check()).
fn carried(data: &[u8]) -> Option<Vec<Step>> {
    let (from, to) = (u64_at(data, 0)?, u64_at(data, 8)?);
    let what = match *data.get(16)? {
        0 => Carried::Packets,
        1 => Carried::Bytes,
        2 => Carried::Average,
        _ => return None,
    };
    let tuple = match *data.get(17)? {
        0 => Some(Tuple::Original),
        1 => Some(Tuple::Reply),
        _ => None,
    };
    let bytes = |number: u64| number.to_be_bytes().to_vec();
    let (low, high) = (bytes(from.min(to)), bytes(from.max(to)));
    Some(vec![load(8, Field::Carried(what, tuple, true)), among(vec![(low, high)], to < from)])
}

/// A connection has the labels that rules have given to it.
fn label(data: &[u8]) -> Option<Vec<Step>> {
    const INVERTED: u16 = 1;
    const SET: u16 = 2;
    let (bit, options) = (u16_at(data, 0)?, u16_at(data, 2)?);
    let inverted = options & INVERTED != 0;
    if options & SET != 0 {
        let mut steps = vec![Step::Act(Action::Label(bit))];
        steps.extend(always(!inverted)?);
        return Some(steps);
    }
    let mask = 1u128.checked_shl(bit.into())?.to_le_bytes().to_vec();
    Some(masked(Field::Labels, 16, mask.clone(), mask, inverted))
}

/// What is left of a quota is not told; what the rule has seen was taken from it.
fn quota(data: &[u8], seen: u64) -> Option<Vec<Step>> {
    const INVERTED: u32 = 1;
    let (inverted, quota) = (u32_at(data, 0)? & INVERTED != 0, u64_at(data, 8)?);
    match (inverted, seen) {
        (_, _) if quota == 0 => always(inverted),
        // It counts what is beyond.
        (true, 1..) => always(true),
        (true, 0) => Some(left(quota, inverted)),
        (false, seen) => Some(left(quota.saturating_sub(seen), inverted)),
    }
}

/// A quota of which so many bytes are left: there is enough for what a guest begins, or there is nothing.
pub(in super::super) fn left(bytes: u64, inverted: bool) -> Vec<Step> {
    const ENOUGH: u64 = 100_000;
    const NOTHING: u64 = 40;
    match bytes {
        ENOUGH.. if inverted => vec![Step::Never],
        ENOUGH.. => Vec::new(),
        0..NOTHING if inverted => Vec::new(),
        0..NOTHING => vec![Step::Never],
        _ => doubt("what is left of a quota"),
    }
}

fn time(data: &[u8]) -> Option<Vec<Step>> {
    const LOCAL: u8 = 1;
    const CONTIGUOUS: u8 = 2;
    let number = |at| u32_at(data, at);
    let (week, flags) = (*data.get(20)?, *data.get(21)?);
    if flags & LOCAL != 0 {
        return Some(doubt("the time"));
    }
    let contiguous = flags & CONTIGUOUS != 0;
    let (date, day, month) = ((number(0)?, number(4)?), (number(8)?, number(12)?), number(16)?);
    Some(vec![Step::Time(Times { date, day, month, week, contiguous })])
}

fn u32(data: &[u8]) -> Option<Vec<Step>> {
    const MOST: usize = 11;
    const PAIR: usize = 8;
    // `struct xt_u32_test`, padded
    const TEST: usize = 2 * MOST * PAIR + 4;
    let (count, inverted) =
        (usize::from(*data.get(MOST * TEST)?), *data.get(MOST * TEST + 1)? != 0);
    let test = |at: usize| {
        let test = data.get(at * TEST..(at + 1) * TEST)?;
        let (numbers, values) = (test.get(..MOST * PAIR)?, test.get(MOST * PAIR..)?);
        let counts = values.get(MOST * PAIR..MOST * PAIR + 2)?;
        let [numbers_used, values_used] = *counts else { return None };
        let number = |n: usize| {
            let next = match *numbers.get(n * PAIR + 4)? {
                0 => Next::And,
                1 => Next::Left,
                2 => Next::Right,
                3 => Next::At,
                _ => return None,
            };
            Some((next, u32_at(numbers, n * PAIR)?))
        };
        let steps = (1..usize::from(numbers_used).min(MOST)).map(number);
        let range = |n: usize| Some((u32_at(values, n * PAIR)?, u32_at(values, n * PAIR + 4)?));
        let ranges = (0..usize::from(values_used).min(MOST)).map(range);
        Some(Test {
            at: u32_at(numbers, 0)?,
            steps: steps.collect::<Option<_>>()?,
            ranges: ranges.collect::<Option<_>>()?,
        })
    };
    let tests = (0..count.min(MOST)).map(test).collect::<Option<_>>()?;
    Some(vec![Step::Run(Program::U32(tests, inverted))])
}

fn bpf(revision: u8, data: &[u8]) -> Option<Vec<Step>> {
    const BYTECODE: u16 = 0;
    const INSTRUCTION: usize = 8;
    const MOST: usize = 64;
    // A program of the extended kind is the kernel's to run.
    let (count, at) = match revision {
        0 => (u16_at(data, 0)?, 4),
        _ if u16_at(data, 0)? == BYTECODE => (u16_at(data, 2)?, 8),
        _ => return Some(doubt("a BPF program")),
    };
    let one = |n: usize| {
        let at = at + n * INSTRUCTION;
        let (yes, no) = (*data.get(at + 2)?, *data.get(at + 3)?);
        Some(Instruction { code: u16_at(data, at)?, yes, no, k: u32_at(data, at + 4)? })
    };
    let program = (0..usize::from(count).min(MOST)).map(one).collect::<Option<_>>()?;
    Some(vec![Step::Run(Program::Bpf(program))])
}

/// Routes of guests have no realm.
fn realm(data: &[u8]) -> Option<Vec<Step>> {
    let (realm, inverted) = (u32_at(data, 0)?, *data.get(8)? != 0);
    always((realm == 0) != inverted)
}

/// A set of the kernel's; how often a member was met is not asked for here.
fn set(revision: u8, data: &[u8]) -> Option<Vec<Step>> {
    const INVERTED: u8 = 1;
    let [index, other, parts, flags] = *data.get(..4)? else { return None };
    let counts: &[usize] = match revision {
        1 | 2 => &[],
        3 => &[8, 24],
        4 => &[16, 32],
        _ => return Some(doubt("an ipset")),
    };
    if counts.iter().any(|at| data.get(*at).copied() != Some(0)) {
        return Some(doubt("an ipset"));
    }
    let side = |part: u8| match flags.checked_shr(u32::from(part) + 1).unwrap_or(0) & 1 {
        1 => Side::Source,
        _ => Side::Destination,
    };
    let set = u16::from_ne_bytes([index, other]);
    let sides = (0..parts.min(6)).map(side).collect();
    Some(vec![Step::InSet { set, sides, negated: flags & INVERTED != 0 }])
}

/// A packet that is only noted always matches.
fn recent(data: &[u8]) -> Option<Vec<Step>> {
    const SET: u8 = 1 << 1;
    let (asks, inverted) = (*data.get(8)?, *data.get(9)? != 0);
    match asks & SET {
        0 => Some(doubt("what was seen before")),
        _ => always(!inverted),
    }
}
