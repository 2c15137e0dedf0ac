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

//! What a rule may ask of a packet, of its way and of its connection, and the answers. Pure.

use super::chains::{Carried, End, Field, Found, Lookup, Side, Tuple};
use super::device::Device;
use super::packet::{Connection, Link, Packet, Payload, Tracking, LONGEST, SYN};
use super::value::{Between, Bytes};
use crate::model::if_index::IfIndex;
use std::net::Ipv4Addr;

/// An answer.
pub(super) enum Loaded<'a> {
    /// Known.
    Known(Bytes),
    /// A number that is known to be between two; with what is not known, in words.
    Number(Between, &'a str),
    /// Not, or in part; with what is not known, in words.
    Unknown(Bytes, &'a str),
    /// There is nothing to load: the rule does not hold.
    Absent,
}

/// What is not known where a packet stands for those of many guests.
pub(super) const WHOSE: &str = "which guest it is";

/// Loads a value.
pub(super) fn load<'a>(
    field: &'a Field,
    len: usize,
    packet: &Packet,
    device: &dyn Device,
) -> Loaded<'a> {
    let known = |bytes: &[u8]| Loaded::Known(Bytes::of(bytes));
    let mark = |mark: Option<u32>, what| match mark {
        Some(mark) => known(&mark.to_ne_bytes()),
        None => Loaded::Unknown(Bytes::UNKNOWN, what),
    };
    let link = |end: &End| match end {
        End::Input => packet.input.as_deref(),
        End::Output => packet.output.as_deref(),
    };
    let connection = packet.connection();
    match field {
        Field::LinkName(end) => link(end).map_or_else(|| known(&[]), name),
        Field::LinkIndex(end) => link(end).map_or_else(|| known(&[0; 4]), index),
        Field::LinkGroup(end) => {
            link(end).map_or(Loaded::Absent, |link| known(&link.group.to_ne_bytes()))
        }
        Field::LinkType(end) => match link(end) {
            Some(link) if link.kind == "veth" => known(&libc::ARPHRD_ETHER.to_ne_bytes()),
            Some(_) => Loaded::Unknown(Bytes::UNKNOWN, "the type of a link"),
            None => Loaded::Absent,
        },
        Field::LinkKind(end) => match link(end) {
            Some(link) if !link.kind.is_empty() => known(link.kind.as_bytes()),
            _ => Loaded::Absent,
        },
        Field::EtherType => known(&(libc::ETH_P_IP as u16).to_be_bytes()),
        Field::Family => known(&[libc::NFPROTO_IPV4 as u8]),
        Field::Protocol => known(&[packet.payload.protocol()]),
        Field::Mark => mark(packet.mark, "the packet's mark"),
        // PACKET_HOST
        Field::PacketType => known(&[0]),
        Field::Length => number(range(packet.length), false, LENGTH),
        Field::Network(2) if len == 2 => number(range(packet.length), true, LENGTH),
        Field::Network(8) if len == 1 => number(range(packet.ttl), true, "the time to live"),
        Field::Transport(4) if len == 2 && matches!(packet.payload, Payload::Udp { .. }) => {
            let (least, most) = packet.length;
            number(range((least.saturating_sub(20), most.saturating_sub(20))), true, LENGTH)
        }
        Field::TcpOption(kind, at) => option(packet, *kind, *at, len),
        Field::Mss => match packet.payload {
            Payload::Tcp { flags, .. } if flags & SYN != 0 => number(MSS, true, "the MSS"),
            _ => known(&[]),
        },
        // What passes through has no socket.
        Field::Owner(_) if packet.input.is_some() => Loaded::Absent,
        Field::Owner(group) => {
            let (own, _) = packet.payload.ports().unwrap_or_default();
            match device.owner(packet.payload.protocol(), own).filter(|_| !*group) {
                Some(user) => known(&user.to_ne_bytes()),
                // The highest number stands for nobody.
                None => number((0, u64::from(u32::MAX) - 1), false, "who sends it"),
            }
        }
        Field::Processor => match device.processors() {
            Some(count) => number((0, count.saturating_sub(1).into()), false, "the processor"),
            None => Loaded::Unknown(Bytes::UNKNOWN, "the processor"),
        },
        Field::Time => time(device, |now| (now.saturating_mul(1_000_000_000), 999_999_999)),
        Field::Weekday => time(device, |now| ((now / 86_400 + 4) % 7, 0)),
        Field::Daytime => time(device, |now| (now % 86_400, 0)),
        Field::Between(low, high, what) => number((u64::from(*low), u64::from(*high)), false, what),
        Field::Carried(what, tuple, network) => connection.map_or(Loaded::Absent, |one| {
            let so_far = carried(packet, *what, tuple.map(|tuple| answers(one, tuple)));
            number(so_far, *network, "how much a connection has carried")
        }),
        Field::Labels => match connection.map(|one| one.labels) {
            Some(Some(labels)) => known(&labels.to_le_bytes()),
            Some(None) => Loaded::Unknown(Bytes::UNKNOWN, "a connection's labels"),
            None => Loaded::Absent,
        },
        Field::Zone => match connection.map(|one| one.zone) {
            Some(Some(zone)) => known(&zone.to_ne_bytes()),
            Some(None) => Loaded::Unknown(Bytes::UNKNOWN, "a zone of conntrack's"),
            None => Loaded::Absent,
        },
        Field::Network(at) => {
            let addresses = *at < 20 && at.saturating_add(len) > 12;
            let whose = packet.any.is_some() && addresses;
            part(&network(packet), *at, len, if whose { WHOSE } else { "the IP header" })
        }
        Field::Transport(at) => part(&transport(packet), *at, len, "the packet's content"),
        Field::State => known(&state(packet, 1 << 6).to_ne_bytes()),
        Field::StateAndNat => known(&state_and_nat(packet).to_ne_bytes()),
        Field::Status => connection.map_or(Loaded::Absent, |one| known(&status(one).to_ne_bytes())),
        Field::Direction => connection.map_or(Loaded::Absent, |one| known(&[u8::from(one.answer)])),
        Field::ConnectionMark => {
            connection.map_or(Loaded::Absent, |one| mark(one.mark, "the connection's mark"))
        }
        Field::ConnectionAddress(tuple, side) => connection.map_or(Loaded::Absent, |one| {
            let address = packet.known_of(end(one, *tuple, *side));
            part(&address, 0, len, WHOSE)
        }),
        Field::ConnectionPort(Tuple::Original, Side::Destination)
            if connection.is_some_and(|one| one.led.is_some()) =>
        {
            let led = connection.and_then(|one| one.led);
            led.map_or(Loaded::Absent, |(sent_to, _)| known(&sent_to.to_be_bytes()))
        }
        Field::ConnectionPort(tuple, side) => match (connection, packet.payload.ports()) {
            (Some(connection), Some((from, to))) => {
                let answers = answers(connection, *tuple);
                let own = matches!(side, Side::Source) == (answers == connection.answer);
                known(&if own { from } else { to }.to_be_bytes())
            }
            _ => Loaded::Absent,
        },
        Field::Route(lookup) => route(lookup, packet, device),
        Field::Zero => known(&[]),
        Field::Absent => Loaded::Absent,
        Field::Unknown(what) => Loaded::Unknown(Bytes::UNKNOWN, what),
    }
}

const LENGTH: &str = "a packet's length";
/// The MSS of ordinary links.
const MSS: (u64, u64) = (536, 1460);

fn range<T: Into<u64>>((low, high): (T, T)) -> (u64, u64) {
    (low.into(), high.into())
}

fn number((low, high): (u64, u64), network: bool, what: &str) -> Loaded<'_> {
    Loaded::Number(Between { low, high, network }, what)
}

/// A time: a number, and how much more it may be.
fn time<'a>(device: &dyn Device, of: impl FnOnce(u64) -> (u64, u64)) -> Loaded<'a> {
    match device.now().map(of) {
        Some((low, more)) => number((low, low.saturating_add(more)), false, "the time"),
        None => Loaded::Unknown(Bytes::UNKNOWN, "the time"),
    }
}

/// An option of TCP's.
fn option<'a>(packet: &Packet, kind: u8, at: Option<usize>, len: usize) -> Loaded<'a> {
    const OPENS_WITH: u8 = 2; // the MSS
    const WITH_SYN: [u8; 2] = [3, 4]; // the window's scale, SACK permitted
    const SACK: u8 = 5;
    let opens = match packet.payload {
        Payload::Tcp { flags, .. } => Some(flags & SYN != 0),
        _ => None,
    };
    let there = match opens {
        None => Some(false),
        Some(opens) if kind == OPENS_WITH => Some(opens),
        Some(false) if WITH_SYN.contains(&kind) => Some(false),
        Some(true) if kind == SACK => Some(false),
        Some(_) => None,
    };
    match (there, at) {
        (Some(there), None) => Loaded::Known(Bytes::of(&[there.into()])),
        (Some(false), Some(_)) => Loaded::Absent,
        (Some(true), Some(2)) if (kind, len) == (OPENS_WITH, 2) => number(MSS, true, "the MSS"),
        _ => Loaded::Unknown(Bytes::UNKNOWN, "an option of TCP"),
    }
}

/// What a connection has carried with this packet, of its answers, of the others, or of both.
fn carried(packet: &Packet, what: Carried, answers: Option<bool>) -> (u64, u64) {
    let [(sent, sent_most), (answered, answered_most)] = packet.carried;
    let (least, most) = match answers {
        Some(false) => (sent, sent_most),
        Some(true) => (answered, answered_most),
        None => (sent.saturating_add(answered), sent_most.saturating_add(answered_most)),
    };
    let (shortest, longest) = match (what, least, most) {
        // The first and only one is this one.
        (Carried::Bytes | Carried::Average, 1, 1) if packet.carried == [(1, 1), (0, 0)] => {
            range(packet.length)
        }
        (Carried::Bytes | Carried::Average, ..) => range((40, LONGEST)),
        (Carried::Packets, ..) => (1, 1),
    };
    match what {
        Carried::Average if most == 0 => (0, 0),
        Carried::Average => (if least == 0 { 0 } else { shortest }, longest),
        _ => (least.saturating_mul(shortest), most.saturating_mul(longest)),
    }
}

fn name<'a>(link: &Link) -> Loaded<'a> {
    let name = link.name.as_bytes();
    match link.any {
        true => Loaded::Unknown(Bytes::beginning(name, name.len()), WHOSE),
        false => Loaded::Known(Bytes::of(name)),
    }
}

fn index<'a>(link: &Link) -> Loaded<'a> {
    match link.any {
        true => Loaded::Unknown(Bytes::UNKNOWN, WHOSE),
        false => Loaded::Known(Bytes::of(&IfIndex::or_zero(link.index).to_ne_bytes())),
    }
}

/// Some bytes of a header.
fn part<'a>(header: &[Option<u8>], at: usize, len: usize, what: &'a str) -> Loaded<'a> {
    match header.get(at..at.saturating_add(len)) {
        Some(bytes) if bytes.iter().all(Option::is_some) => Loaded::Known(Bytes::some(bytes)),
        Some(bytes) => Loaded::Unknown(Bytes::some(bytes), what),
        None => Loaded::Unknown(Bytes::UNKNOWN, what),
    }
}

/// The IP header, as far as it is the same for all that is sent so.
fn network(packet: &Packet) -> [Option<u8>; 20] {
    let mut header = [None; 20];
    let mut put = |at: usize, bytes: &[Option<u8>]| {
        header.iter_mut().skip(at).zip(bytes).for_each(|(place, byte)| *place = *byte);
    };
    // No options, no class; whole.
    put(0, &[Some(0x45), Some(0)]);
    let same = |(least, most): (u8, u8)| Some(least).filter(|_| least == most);
    let [(low, _), (high, _)] = {
        let ends = [packet.length.0, packet.length.1].map(u16::to_be_bytes);
        ends.map(|[high, low]| (high, low))
    };
    put(2, &[same((low, high))]);
    if packet.length.0 == packet.length.1 {
        put(2, &packet.length.0.to_be_bytes().map(Some));
    }
    put(6, &[Some(0x40), Some(0), same(packet.ttl), Some(packet.payload.protocol())]);
    put(12, &packet.known_of(packet.source));
    put(16, &packet.known_of(packet.destination));
    header
}

/// All of a packet's bytes that are the same for all that is sent so.
pub(super) fn content(packet: &Packet) -> Vec<Option<u8>> {
    network(packet).into_iter().chain(transport(packet)).collect()
}

fn transport(packet: &Packet) -> [Option<u8>; 20] {
    let mut header = [None; 20];
    let mut put = |at: usize, bytes: &[u8]| {
        header.iter_mut().skip(at).zip(bytes).for_each(|(place, byte)| *place = Some(*byte));
    };
    if let Some((from, to)) = packet.payload.ports() {
        put(0, &from.to_be_bytes());
        put(2, &to.to_be_bytes());
    }
    match packet.payload {
        Payload::Tcp { flags, .. } => {
            put(13, &[flags]);
            // Nothing is urgent, and a first packet acknowledges nothing.
            put(18, &[0, 0]);
            if flags == SYN {
                put(8, &[0; 4]);
            }
        }
        Payload::Udp { .. } => {}
        Payload::Echo { kind } => put(0, &[kind, 0]),
    }
    header
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

/// Whether a tuple is that of the answers.
fn answers(connection: &Connection, tuple: Tuple) -> bool {
    match tuple {
        Tuple::Original => false,
        Tuple::Reply => true,
        Tuple::Own => connection.answer,
    }
}

fn end(connection: &Connection, tuple: Tuple, side: Side) -> Ipv4Addr {
    let Connection { from, to, translated_from, translated_to, .. } = connection;
    match (answers(connection, tuple), side) {
        (false, Side::Source) => *from,
        (false, Side::Destination) => *to,
        (true, Side::Source) => translated_to.unwrap_or(*to),
        (true, Side::Destination) => translated_from.unwrap_or(*from),
    }
}

/// What the routing tables say, as nft_fib4_eval() and rpfilter_mt() ask them.
fn route<'a>(lookup: &Lookup, packet: &Packet, device: &dyn Device) -> Loaded<'a> {
    let address = match lookup.of {
        Side::Source => packet.source,
        Side::Destination => packet.destination,
    };
    if lookup.what == Found::Type {
        let kind = u32::from(device.address_type(address));
        return Loaded::Known(Bytes::of(&kind.to_ne_bytes()));
    }
    let mark = match (lookup.mark, packet.mark) {
        (false, _) => 0,
        (true, Some(mark)) => mark,
        (true, None) => return Loaded::Unknown(Bytes::UNKNOWN, "the packet's mark"),
    };
    let only = match lookup.only {
        None => None,
        Some(End::Input) => packet.input.as_deref(),
        Some(End::Output) => packet.output.as_deref(),
    };
    let found = device.towards(address, mark);
    let only = only.map(|only| only.index);
    let found = found.filter(|link| only.is_none() || only == Some(link.index));
    match lookup.what {
        Found::Index => found.as_ref().map_or(Loaded::Known(Bytes::of(&[])), index),
        Found::Name => found.as_ref().map_or(Loaded::Known(Bytes::of(&[])), name),
        Found::Present | Found::Type => Loaded::Known(Bytes::of(&[u8::from(found.is_some())])),
    }
}
