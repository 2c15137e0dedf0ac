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

//! What a rule makes of one packet: its steps, one after the other. Pure.
//!
//! A value may be known in part only, so a condition holds, does not, or may do either: then both
//! ways are gone on with.

use super::chains::{
    Action, Element, End, Field, Found, Lookup, Rule, Set, Side, Step, Table, Tuple, Value,
    Verdict, REGISTERS,
};
use super::packet::{Connection, Link, Packet, Payload, Tracking};
use std::borrow::Cow;
use std::net::Ipv4Addr;

/// What the device answers that no table of a packet filter says.
pub trait Device {
    /// By which link the device would send a packet to this address, with this mark, if it were its
    /// own; none: by none.
    fn towards(&self, address: Ipv4Addr, mark: u32) -> Option<Link>;
    /// Where it passes on what comes in by a link.
    fn onward(&self, from: Ipv4Addr, to: Ipv4Addr, input: &Link, mark: u32) -> Onward;
    /// The type of an address (RTN_*).
    fn address_type(&self, address: Ipv4Addr) -> u8;
    /// Whether a program listens at this port.
    fn listens(&self, protocol: u8, port: u16) -> bool;
}

/// Where a packet is passed on to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Onward {
    /// To the device itself.
    Here,
    /// By this link.
    By(Link),
    /// Nowhere.
    Nowhere,
}

/// What a rule comes to for a packet.
#[derive(Clone, Debug)]
pub(super) struct Exit {
    /// The packet, as the rule leaves it.
    pub packet: Packet,
    /// What it decides.
    pub end: RuleEnd,
    /// What had to be left open for it, in words.
    pub doubt: Option<String>,
    /// What it changed.
    pub changed: Option<Changed>,
}

/// How a rule ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RuleEnd {
    Verdict(Verdict),
    /// A program on the device has the packet.
    Taken,
}

/// What a rule has changed about a packet that decides over its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Changed {
    Mark,
    Tracking,
    Destination,
    Source,
}

/// A condition's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    Yes,
    No,
    Perhaps,
}

/// The registers: each byte, if it is known.
struct Registers {
    bytes: [Option<u8>; REGISTERS],
    /// What was loaded last that is not known.
    unknown: Option<String>,
}

impl Registers {
    fn get(&self, at: usize, len: usize) -> &[Option<u8>] {
        self.bytes.get(at..at.saturating_add(len)).unwrap_or_default()
    }

    fn known(&self, at: usize, len: usize) -> Option<Vec<u8>> {
        let bytes = self.get(at, len);
        (bytes.len() == len).then(|| bytes.iter().copied().collect()).flatten()
    }

    fn number(&self, at: usize) -> Option<u32> {
        Some(u32::from_ne_bytes(self.known(at, 4)?.try_into().ok()?))
    }

    fn put(&mut self, at: usize, bytes: impl IntoIterator<Item = Option<u8>>) {
        let places = self.bytes.iter_mut().skip(at);
        places.zip(bytes).for_each(|(place, byte)| *place = byte);
    }

    /// The rest of the last register becomes zero (nft_reg_store8(), nft_payload_eval()).
    fn load(&mut self, at: usize, mut bytes: Vec<Option<u8>>) {
        bytes.resize(bytes.len().next_multiple_of(4), Some(0));
        self.put(at, bytes);
    }

    fn put_unknown(&mut self, at: usize, len: usize, what: &str) {
        self.put(at, std::iter::repeat(None).take(len));
        self.unknown = Some(what.to_owned());
    }

    fn doubt(&self, what: &str) -> String {
        self.unknown.clone().unwrap_or_else(|| what.to_owned())
    }
}

/// The ways that a rule may go for this packet. None: the next rule is next, and nothing has changed.
pub(super) fn run(rule: &Rule, table: &Table, packet: &Packet, device: &dyn Device) -> Vec<Exit> {
    let mut exits = Vec::new();
    let mut packet = Cow::Borrowed(packet);
    let mut registers = Registers { bytes: [None; REGISTERS], unknown: None };
    let (mut doubt, mut changed) = (None, None);
    macro_rules! leave {
        ($end:expr, $doubt:expr) => {
            exits.push(Exit {
                packet: packet.clone().into_owned(),
                end: $end,
                doubt: $doubt,
                changed,
            })
        };
    }
    let go_on = || RuleEnd::Verdict(Verdict::Continue);
    for step in &rule.steps {
        let (holds, what) = match step {
            Step::Load { to, len, field } => match load(field, *len, &packet, device) {
                Loaded::Bytes(bytes) => {
                    registers.load(*to, bytes.into_iter().map(Some).collect());
                    continue;
                }
                Loaded::Unknown(what) => {
                    registers.load(*to, vec![None; *len]);
                    registers.unknown = Some(what);
                    continue;
                }
                Loaded::Absent => (Holds::No, String::new()),
            },
            Step::Set { to, bytes } => {
                registers.put(*to, bytes.iter().copied().map(Some));
                continue;
            }
            Step::Bits { from, to, mask, xor } => {
                let value = registers.get(*from, mask.len()).to_vec();
                let bits = value.iter().zip(mask).zip(xor).map(|((byte, mask), xor)| match mask {
                    0 => Some(*xor),
                    mask => byte.map(|byte| byte & mask ^ xor),
                });
                registers.put(*to, bits);
                continue;
            }
            Step::Xor { from, to, len } => {
                let (a, b) =
                    (registers.get(*from, *len).to_vec(), registers.get(*to, *len).to_vec());
                registers.put(*to, a.iter().zip(&b).map(|(a, b)| Some(a.as_ref()? ^ b.as_ref()?)));
                continue;
            }
            Step::Swap { from, to, len, size } => {
                let value = registers.get(*from, *len).to_vec();
                let turn = |number: &[Option<u8>]| -> Vec<_> {
                    match cfg!(target_endian = "little") {
                        true => number.iter().rev().copied().collect(),
                        false => number.to_vec(),
                    }
                };
                registers.put(*to, value.chunks((*size).max(1)).flat_map(turn));
                continue;
            }
            Step::Is { at, ranges, negated } => {
                let is = |(low, high): &(Vec<u8>, Vec<u8>)| {
                    within(registers.get(*at, low.len()), low, high)
                };
                (any(ranges.iter().map(is)).negated(*negated), registers.doubt("a value"))
            }
            Step::Find { at, set: name, to, negated } => {
                let Some(set) = table.sets.get(name) else {
                    leave!(go_on(), doubt.clone());
                    doubt.get_or_insert_with(|| format!("the set {name}"));
                    continue;
                };
                let found = find(set, &registers.bytes, *at);
                let what = registers.doubt(&format!("what is in the set {name}"));
                let held = found.holds.negated(*negated);
                match (to, found.value) {
                    (Some(to), Some(Value::Bytes(bytes))) if held == Holds::Yes => {
                        registers.put(*to, bytes.into_iter().map(Some));
                    }
                    (Some(to), _) => registers.put_unknown(*to, REGISTERS, &what),
                    (None, Some(Value::Verdict(verdict)))
                        if held == Holds::Yes && verdict != Verdict::Continue =>
                    {
                        leave!(RuleEnd::Verdict(verdict), doubt);
                        return exits;
                    }
                    (None, _) if held == Holds::Perhaps && !found.verdicts.is_empty() => {
                        let doubt = doubt.or(Some(what));
                        for verdict in found.verdicts {
                            leave!(RuleEnd::Verdict(verdict), doubt.clone());
                        }
                        leave!(go_on(), doubt);
                        return exits;
                    }
                    _ => {}
                }
                (held, what)
            }
            Step::Doubt(what) => (Holds::Perhaps, what.clone()),
            Step::Never => (Holds::No, String::new()),
            Step::Act(action) => match act(action, packet.to_mut(), &registers, device) {
                Acted::Changed(what) => {
                    changed = what.or(changed);
                    continue;
                }
                Acted::Ends(end, what) => {
                    changed = what.or(changed);
                    leave!(end, doubt);
                    return exits;
                }
                Acted::Not => (Holds::No, String::new()),
            },
            Step::Verdict(Verdict::Continue) => continue,
            Step::Verdict(verdict) => {
                leave!(RuleEnd::Verdict(verdict.clone()), doubt);
                return exits;
            }
        };
        match holds {
            Holds::Yes => {}
            Holds::No => break,
            Holds::Perhaps => {
                let open = doubt.or(Some(what));
                leave!(go_on(), open.clone());
                doubt = open;
            }
        }
    }
    if matches!(packet, Cow::Owned(_)) || !exits.is_empty() {
        leave!(go_on(), doubt);
    }
    exits
}

impl Holds {
    fn negated(self, negated: bool) -> Self {
        match (self, negated) {
            (Self::Yes, true) => Self::No,
            (Self::No, true) => Self::Yes,
            (holds, _) => holds,
        }
    }
}

/// Whether one of them holds.
fn any(all: impl Iterator<Item = Holds>) -> Holds {
    let mut best = Holds::No;
    for one in all {
        match one {
            Holds::Yes => return Holds::Yes,
            Holds::Perhaps => best = Holds::Perhaps,
            Holds::No => {}
        }
    }
    best
}

/// Whether a value is in a range. As long as its first bytes are known they may decide it.
fn within(value: &[Option<u8>], low: &[u8], high: &[u8]) -> Holds {
    if value.len() < low.len() || low.len() != high.len() {
        return Holds::Perhaps;
    }
    if low == high {
        // One value: any byte may tell that it is another.
        let differs = |(byte, one): (&Option<u8>, &u8)| byte.is_some_and(|byte| byte != *one);
        if value.iter().zip(low).any(differs) {
            return Holds::No;
        }
    }
    if low.iter().all(|byte| *byte == 0) && high.iter().all(|byte| *byte == 0xff) {
        return Holds::Yes;
    }
    let known: Vec<u8> = value.iter().map_while(|byte| *byte).collect();
    let begins = |whole: &'_ [u8]| whole.get(..known.len()).unwrap_or_default().to_vec();
    let (low_begins, high_begins) = (begins(low), begins(high));
    match () {
        () if known < low_begins || known > high_begins => Holds::No,
        () if known.len() >= low.len() => Holds::Yes,
        () if known > low_begins && known < high_begins => Holds::Yes,
        () => Holds::Perhaps,
    }
}

/// What is found in a set.
struct InSet {
    holds: Holds,
    /// The value, where it is certain.
    value: Option<Value>,
    /// The verdicts that it may be else.
    verdicts: Vec<Verdict>,
}

fn find(set: &Set, registers: &[Option<u8>; REGISTERS], at: usize) -> InSet {
    let length = set.elements.iter().map(|element| element.key.len()).max().unwrap_or(0);
    let key = registers.get(at..at.saturating_add(length)).unwrap_or_default();
    let rest = || set.elements.iter().find(|element| element.all);
    if set.ranges && set.parts.len() < 2 && set.elements.iter().all(|e| e.last.is_none()) {
        // As the kernel's tree has it: the next lower end of a range, and which end it is.
        if let Some(known) = key.iter().copied().collect::<Option<Vec<u8>>>() {
            let lower = set.elements.iter().filter(|element| !element.all && element.key <= known);
            let next = lower.max_by(|a, b| a.key.cmp(&b.key).then(b.ends.cmp(&a.ends)));
            return sure(set, next.filter(|element| !element.ends).or_else(rest));
        }
        return open(set.elements.iter().filter(|element| !element.ends));
    }
    let (mut sure_one, mut possible) = (None, Vec::new());
    for element in set.elements.iter().filter(|element| !element.all) {
        let last = element.last.as_ref().unwrap_or(&element.key);
        match part_by_part(set, key, &element.key, last) {
            Holds::Yes => {
                sure_one = Some(element);
                break;
            }
            Holds::Perhaps => possible.push(element),
            Holds::No => {}
        }
    }
    match sure_one {
        Some(element) if possible.is_empty() => sure(set, Some(element)),
        None if possible.is_empty() => sure(set, rest()),
        found => open(possible.into_iter().chain(found).chain(rest())),
    }
}

fn part_by_part(set: &Set, key: &[Option<u8>], low: &[u8], high: &[u8]) -> Holds {
    if set.parts.len() < 2 {
        return within(key, low, high);
    }
    // Each part begins at a register of its own, of four bytes.
    let (mut at, mut all) = (0, Holds::Yes);
    for part in &set.parts {
        let end = at + part;
        let of = |bytes: &'_ [u8]| bytes.get(at..end).unwrap_or_default().to_vec();
        match within(key.get(at..end).unwrap_or_default(), &of(low), &of(high)) {
            Holds::No => return Holds::No,
            Holds::Perhaps => all = Holds::Perhaps,
            Holds::Yes => {}
        }
        at = end.next_multiple_of(4);
    }
    all
}

fn sure(set: &Set, found: Option<&Element>) -> InSet {
    match found {
        Some(element) if element.doubtful => open([element].into_iter()),
        Some(element) => {
            InSet { holds: Holds::Yes, value: element.value.clone(), verdicts: Vec::new() }
        }
        None if set.partly => open(set.elements.iter()),
        None => InSet { holds: Holds::No, value: None, verdicts: Vec::new() },
    }
}

fn open<'a>(possible: impl Iterator<Item = &'a Element>) -> InSet {
    let mut verdicts: Vec<Verdict> = Vec::new();
    for element in possible {
        if let Some(Value::Verdict(verdict)) = &element.value {
            if *verdict != Verdict::Continue && !verdicts.contains(verdict) {
                verdicts.push(verdict.clone());
            }
        }
    }
    InSet { holds: Holds::Perhaps, value: None, verdicts }
}

enum Acted {
    Changed(Option<Changed>),
    Ends(RuleEnd, Option<Changed>),
    Not,
}

fn act(action: &Action, packet: &mut Packet, registers: &Registers, device: &dyn Device) -> Acted {
    let address = |at: usize| {
        registers.known(at, 4).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok()).map(Ipv4Addr::from)
    };
    let accepts = |translated, what| match translated {
        true => Acted::Ends(RuleEnd::Verdict(Verdict::Accept), Some(what)),
        // Without a connection there is nothing to translate.
        false => Acted::Not,
    };
    match action {
        Action::Mark(at) => {
            let mark = registers.number(*at);
            let differs = packet.mark != mark;
            packet.mark = mark;
            Acted::Changed(differs.then_some(Changed::Mark))
        }
        Action::ConnectionMark(at) => {
            if let Some(connection) = packet.connection_mut() {
                connection.mark = registers.number(*at);
            }
            Acted::Changed(None)
        }
        Action::NotTracked => {
            // Too late where conntrack has seen it (nft_notrack_eval()).
            if packet.tracking != Tracking::NotYet {
                return Acted::Changed(None);
            }
            packet.tracking = Tracking::Off;
            Acted::Changed(Some(Changed::Tracking))
        }
        Action::Destination(at) => {
            let to = address(*at);
            let translated = translate(packet, |packet, connection| {
                connection.translated_to = to;
                packet.destination = to.unwrap_or(Ipv4Addr::UNSPECIFIED);
            });
            accepts(translated, Changed::Destination)
        }
        Action::Redirect => {
            let here = packet.input.as_ref().and_then(|link| link.address);
            let here = here.unwrap_or(Ipv4Addr::LOCALHOST);
            let translated = translate(packet, |packet, connection| {
                connection.translated_to = Some(here);
                packet.destination = here;
            });
            accepts(translated, Changed::Destination)
        }
        Action::Source(at) => {
            let from = address(*at).unwrap_or(Ipv4Addr::UNSPECIFIED);
            accepts(comes_from(packet, from), Changed::Source)
        }
        Action::Masquerade => {
            let link = packet.output.as_ref().and_then(|link| link.address);
            let from = link.unwrap_or(Ipv4Addr::UNSPECIFIED);
            accepts(comes_from(packet, from), Changed::Source)
        }
        Action::Proxy { port, or_drop } => {
            let Some((_, own)) = packet.payload.ports() else { return Acted::Not };
            let named = port.and_then(|at| registers.known(at, 2)?.try_into().ok());
            let port = named.map(u16::from_be_bytes).filter(|port| *port != 0).unwrap_or(own);
            match device.listens(packet.payload.protocol(), port) {
                true => Acted::Ends(RuleEnd::Taken, None),
                false if *or_drop => Acted::Ends(RuleEnd::Verdict(Verdict::Drop), None),
                false => Acted::Not,
            }
        }
    }
}

fn translate(packet: &mut Packet, how: impl FnOnce(&mut Packet, &mut Connection)) -> bool {
    let Some(mut connection) = packet.connection().cloned() else { return false };
    how(packet, &mut connection);
    packet.tracking = Tracking::Known(connection);
    true
}

fn comes_from(packet: &mut Packet, from: Ipv4Addr) -> bool {
    translate(packet, |packet, connection| {
        connection.translated_from = Some(from);
        packet.source = from;
    })
}

enum Loaded {
    Bytes(Vec<u8>),
    Unknown(String),
    Absent,
}

fn load(field: &Field, len: usize, packet: &Packet, device: &dyn Device) -> Loaded {
    let bytes = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        bytes.resize(len, 0);
        Loaded::Bytes(bytes)
    };
    let number = |number: Option<u32>, what: &str| match number {
        Some(number) => bytes(&number.to_ne_bytes()),
        None => Loaded::Unknown(what.to_owned()),
    };
    let link = |end: &End| match end {
        End::Input => packet.input.as_deref(),
        End::Output => packet.output.as_deref(),
    };
    match field {
        Field::LinkName(end) => bytes(link(end).map_or("", |link| &link.name).as_bytes()),
        Field::LinkIndex(end) => bytes(&link(end).map_or(0, |link| link.index).to_ne_bytes()),
        Field::LinkGroup(end) => {
            link(end).map_or(Loaded::Absent, |link| bytes(&link.group.to_ne_bytes()))
        }
        Field::LinkType(end) => match link(end) {
            Some(link) if link.kind == "veth" => bytes(&libc::ARPHRD_ETHER.to_ne_bytes()),
            Some(_) => Loaded::Unknown("the type of a link".to_owned()),
            None => Loaded::Absent,
        },
        Field::LinkKind(end) => match link(end) {
            Some(link) if !link.kind.is_empty() => bytes(link.kind.as_bytes()),
            _ => Loaded::Absent,
        },
        Field::EtherType => bytes(&(libc::ETH_P_IP as u16).to_be_bytes()),
        Field::Family => bytes(&[libc::NFPROTO_IPV4 as u8]),
        Field::Protocol => bytes(&[packet.payload.protocol()]),
        Field::Mark => number(packet.mark, "the packet's mark"),
        // PACKET_HOST
        Field::PacketType => bytes(&[0]),
        Field::Network(at) => header(&network(packet), *at, len, "the IP header"),
        Field::Transport(at) => header(&transport(packet), *at, len, "the packet's content"),
        Field::State => bytes(&state(packet, 1 << 6).to_ne_bytes()),
        Field::StateAndNat => bytes(&state_and_nat(packet).to_ne_bytes()),
        Field::Status => packet
            .connection()
            .map_or(Loaded::Absent, |connection| bytes(&status(connection).to_ne_bytes())),
        Field::Direction => packet
            .connection()
            .map_or(Loaded::Absent, |connection| bytes(&[u8::from(connection.answer)])),
        Field::ConnectionMark => match packet.connection() {
            Some(connection) => number(connection.mark, "the connection's mark"),
            None => Loaded::Absent,
        },
        Field::ConnectionAddress(tuple, side) => match packet.connection() {
            Some(connection) => bytes(&end(connection, *tuple, *side).octets()),
            None => Loaded::Absent,
        },
        Field::ConnectionPort(tuple, side) => match (packet.connection(), packet.payload.ports()) {
            (Some(connection), Some((from, to))) => {
                let answers = match tuple {
                    Tuple::Original => false,
                    Tuple::Reply => true,
                    Tuple::Own => connection.answer,
                };
                let own = matches!(side, Side::Source) == (answers == connection.answer);
                bytes(&if own { from } else { to }.to_be_bytes())
            }
            _ => Loaded::Absent,
        },
        Field::Route(lookup) => route(lookup, len, packet, device),
        Field::Zero => bytes(&[]),
        Field::Absent => Loaded::Absent,
        Field::Unknown(what) => Loaded::Unknown(what.clone()),
    }
}

fn header(bytes: &[Option<u8>], at: usize, len: usize, what: &str) -> Loaded {
    let found: Option<Vec<u8>> =
        bytes.get(at..at.saturating_add(len)).and_then(|bytes| bytes.iter().copied().collect());
    found.map_or_else(|| Loaded::Unknown(what.to_owned()), Loaded::Bytes)
}

/// The IP header, as far as it is the same for all that a guest sends.
fn network(packet: &Packet) -> Vec<Option<u8>> {
    let mut header = vec![None; 20];
    let mut put = |at: usize, bytes: &[u8]| {
        header.iter_mut().skip(at).zip(bytes).for_each(|(place, byte)| *place = Some(*byte));
    };
    put(0, &[0x45, 0]); // no options, no class
    put(6, &[0x40, 0, packet.ttl, packet.payload.protocol()]); // whole
    put(12, &packet.source.octets());
    put(16, &packet.destination.octets());
    header
}

fn transport(packet: &Packet) -> Vec<Option<u8>> {
    match packet.payload {
        Payload::Tcp { from, to, flags } => {
            let mut header = vec![None; 20];
            let known = [from.to_be_bytes(), to.to_be_bytes()].concat();
            header.iter_mut().zip(known).for_each(|(place, byte)| *place = Some(byte));
            header.iter_mut().skip(13).take(1).for_each(|place| *place = Some(flags));
            header
        }
        Payload::Udp { from, to } => {
            let known = [from.to_be_bytes(), to.to_be_bytes()].concat();
            known.into_iter().map(Some).chain([None; 4]).collect()
        }
        Payload::Echo { kind } => [Some(kind), Some(0)].into_iter().chain([None; 6]).collect(),
    }
}

/// `NF_CT_STATE_BIT`, and the bit of each backend's own for what is not to be tracked.
fn state(packet: &Packet, untracked: u32) -> u32 {
    const INVALID: u32 = 1;
    const ESTABLISHED: u32 = 1 << 1;
    const NEW: u32 = 1 << 3;
    match &packet.tracking {
        Tracking::NotYet => INVALID,
        Tracking::Off => untracked,
        Tracking::Known(connection) if connection.new => NEW,
        Tracking::Known(_) => ESTABLISHED,
    }
}

/// With `XT_CONNTRACK_STATE_SNAT`, `_DNAT` and `_UNTRACKED`.
fn state_and_nat(packet: &Packet) -> u32 {
    let nat = packet.connection().map_or(0, |connection| {
        u32::from(connection.translated_from.is_some()) << 6
            | u32::from(connection.translated_to.is_some()) << 7
    });
    state(packet, 1 << 8) | nat
}

/// `IPS_SEEN_REPLY` and so on (linux/netfilter/nf_conntrack_common.h).
fn status(connection: &Connection) -> u32 {
    let bit = |holds: bool, bit: u32| u32::from(holds) << bit;
    bit(!connection.new, 1)
        | bit(!connection.new, 3)
        | bit(connection.translated_from.is_some(), 4)
        | bit(connection.translated_to.is_some(), 5)
}

fn end(connection: &Connection, tuple: Tuple, side: Side) -> Ipv4Addr {
    let answers = match tuple {
        Tuple::Original => false,
        Tuple::Reply => true,
        Tuple::Own => connection.answer,
    };
    let Connection { from, to, translated_from, translated_to, .. } = connection;
    match (answers, side) {
        (false, Side::Source) => *from,
        (false, Side::Destination) => *to,
        (true, Side::Source) => translated_to.unwrap_or(*to),
        (true, Side::Destination) => translated_from.unwrap_or(*from),
    }
}

fn route(lookup: &Lookup, len: usize, packet: &Packet, device: &dyn Device) -> Loaded {
    let padded = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        bytes.resize(len, 0);
        Loaded::Bytes(bytes)
    };
    let address = match lookup.of {
        Side::Source => packet.source,
        Side::Destination => packet.destination,
    };
    if lookup.what == Found::Type {
        return padded(&u32::from(device.address_type(address)).to_ne_bytes());
    }
    let Some(mark) = packet.mark.filter(|_| lookup.mark).or((!lookup.mark).then_some(0)) else {
        return Loaded::Unknown("the packet's mark".to_owned());
    };
    let only = match lookup.only {
        None => None,
        Some(End::Input) => packet.input.as_deref(),
        Some(End::Output) => packet.output.as_deref(),
    };
    let found = device.towards(address, mark);
    let found = found.filter(|link| only.map_or(true, |only| only.index == link.index));
    match lookup.what {
        Found::Index => padded(&found.map_or(0, |link| link.index).to_ne_bytes()),
        Found::Name => padded(found.map_or_else(String::new, |link| link.name).as_bytes()),
        Found::Present | Found::Type => padded(&[u8::from(found.is_some())]),
    }
}
