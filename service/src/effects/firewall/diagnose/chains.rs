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

//! Packet filters as they are looked at here, whichever way the kernel has them: tables of chains,
//! chains of rules, rules of steps. A step is close to what nf_tables runs: values are loaded into
//! registers, and compared there. x_tables' matches are put into the same steps. Pure.

pub use super::content::Program;
pub use crate::model::trace::Hook;
use crate::model::world::Backend;
use std::collections::HashMap;
use std::fmt;

/// How many bytes the registers have in all: `NFT_REG32_COUNT` of four.
pub const REGISTERS: usize = 64;

/// All tables of a network namespace.
#[derive(Clone, Debug, Default)]
pub struct Filters {
    /// The tables.
    pub tables: Vec<Table>,
    /// What could not be read, in words.
    pub unread: Vec<String>,
}

/// A table.
#[derive(Clone, Debug)]
pub struct Table {
    /// Whose it is.
    pub label: Label,
    /// Its chains.
    pub chains: Vec<Chain>,
    /// Its sets and maps.
    pub sets: HashMap<String, Set>,
    /// Whether guestnetd's rules in it are of an earlier run, which had the other packet filter.
    pub left: bool,
}

/// What a table is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Label {
    /// A table of nf_tables.
    Nftables {
        /// `ip`, `inet`, `netdev`.
        family: &'static str,
        /// Its name.
        name: String,
    },
    /// A table of x_tables.
    Iptables(String),
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nftables { family, name } => write!(f, "the nftables table {family} {name}"),
            Self::Iptables(name) => write!(f, "iptables' table {name}"),
        }
    }
}

/// What hangs a chain in.
#[derive(Clone, Debug)]
pub struct Base {
    /// Where.
    pub hook: Hook,
    /// In which order: the lowest first.
    pub priority: i32,
    /// Whether it sees the first packet of a connection only, to translate its addresses.
    pub nat: bool,
    /// Whether its policy is to drop.
    pub drops: bool,
    /// Links that it is for; none: for all.
    pub devices: Vec<String>,
}

/// A chain.
#[derive(Clone, Debug)]
pub struct Chain {
    /// Its name.
    pub name: String,
    /// Its rules.
    pub rules: Vec<Rule>,
    /// What it hangs in; none: others lead to it.
    pub base: Option<Base>,
    /// Packets that its policy has seen, of anybody.
    pub packets: Option<u64>,
}

/// A rule.
#[derive(Clone, Debug, Default)]
pub struct Rule {
    /// What is asked and done, in order. Where something asked does not hold, the rest is left out.
    pub steps: Vec<Step>,
    /// Packets that it has seen, of anybody.
    pub packets: Option<u64>,
}

/// One thing that a rule asks or does. Places are bytes of the registers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Loads a value.
    Load {
        /// To this place.
        to: usize,
        /// So many bytes.
        len: usize,
        /// Of this.
        field: Field,
    },
    /// Loads a constant.
    Set {
        /// To this place.
        to: usize,
        /// The constant.
        bytes: Vec<u8>,
    },
    /// `to = from & mask ^ xor`.
    Bits {
        /// From this place.
        from: usize,
        /// To this one.
        to: usize,
        /// As long as the value.
        mask: Vec<u8>,
        /// As long.
        xor: Vec<u8>,
    },
    /// `to = to ^ from`.
    Xor {
        /// From this place.
        from: usize,
        /// To this one.
        to: usize,
        /// So many bytes.
        len: usize,
    },
    /// Turns the bytes of each number around, where the machine has the low one first.
    Swap {
        /// From this place.
        from: usize,
        /// To this one.
        to: usize,
        /// So many bytes.
        len: usize,
        /// So many in a number.
        size: usize,
    },
    /// Asks whether a value is in one of these ranges, both ends included.
    Is {
        /// The value's place.
        at: usize,
        /// The ranges.
        ranges: Vec<(Vec<u8>, Vec<u8>)>,
        /// Whether it must not.
        negated: bool,
    },
    /// Asks whether a value is in a set, or a key in a map.
    Find {
        /// The value's place.
        at: usize,
        /// The set's name.
        set: String,
        /// Where the map's value goes to. Verdicts go nowhere.
        to: Option<usize>,
        /// Whether it must not be there.
        negated: bool,
    },
    /// Shifts the bits of a value, as words of the machine.
    Shift {
        /// From this place.
        from: usize,
        /// To this one.
        to: usize,
        /// So many bytes.
        len: usize,
        /// So many bits.
        by: u32,
        /// To the left.
        left: bool,
    },
    /// Two values become one, bit by bit.
    Join {
        /// The places of both.
        from: [usize; 2],
        /// To this one.
        to: usize,
        /// So many bytes.
        len: usize,
        /// How.
        how: Join,
    },
    /// Asks whether the packet is in a set of the kernel's (ipset).
    InSet {
        /// The set's number.
        set: u16,
        /// For each part of a member, the side that it is about.
        sides: Vec<Side>,
        /// Whether it must not.
        negated: bool,
    },
    /// Asks whether either port is in one of these ranges, both ends included.
    EitherPort {
        /// The ranges, in network order.
        ranges: Vec<(Vec<u8>, Vec<u8>)>,
        /// Whether neither may be.
        negated: bool,
    },
    /// Asks whose packet it is: whether it may be one that passes through, and what is asked of one that
    /// the device itself sends.
    Sent {
        /// Whether it may pass through.
        by_others: bool,
        /// What is asked of the device's own.
        by_it: Vec<Step>,
    },
    /// Asks a program about the packet's bytes.
    Run(Program),
    /// Asks for a time of day, of the week, or a date.
    Time(Times),
    /// A program is to decide, if one takes packets from these queues; else they pass, or are dropped.
    Queue {
        /// The first queue.
        first: u16,
        /// So many of them.
        count: u16,
        /// Whether they pass where nobody does.
        bypass: bool,
    },
    /// What the registers hold is not known any more, in words.
    Forget(String),
    /// Asks for something that nobody here can tell.
    Doubt(String),
    /// Asks for what no such packet is.
    Never,
    /// Changes the packet.
    Act(Action),
    /// Decides.
    Verdict(Verdict),
}

/// How two values become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join {
    /// Bits that both have.
    And,
    /// Bits that either has.
    Or,
    /// Bits that one of them has.
    Xor,
}

/// When something holds, in seconds, as x_tables' `time` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// From and to, since 1970.
    pub date: (u32, u32),
    /// From and to, since midnight.
    pub day: (u32, u32),
    /// Bit k: on the k-th of a month.
    pub month: u32,
    /// Bit k: on the k-th day of a week, of which Monday is the first.
    pub week: u8,
    /// Whether what goes on behind midnight is of the day before.
    pub contiguous: bool,
}

/// What a rule changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The packet's mark becomes the number at this place.
    Mark(usize),
    /// The connection's mark does.
    ConnectionMark(usize),
    /// The connection gets this label.
    Label(u16),
    /// The labels at this place become the connection's.
    Labels(usize),
    /// What is at this place is put into a set, and stays there.
    Fill {
        /// The set's name.
        set: String,
        /// The value's place.
        at: usize,
    },
    /// Conntrack is not to see it.
    NotTracked,
    /// Conntrack is to look for it in the zone whose number, of two bytes, is at this place.
    Zone(usize),
    /// It goes to the address at this place.
    Destination(usize),
    /// It goes to the port at this place.
    Port(usize),
    /// It goes to the device itself.
    Redirect,
    /// It comes from the address at this place.
    Source(usize),
    /// It comes from the address of the link that it leaves by.
    Masquerade,
    /// Bytes at a place are written over its addresses or ports, which conntrack does not learn of.
    Rewrite {
        /// Whether it is TCP's or UDP's header, and not IP's.
        ports: bool,
        /// Where in that.
        offset: usize,
        /// How many.
        len: usize,
        /// Their place.
        from: usize,
    },
    /// Its time to live becomes the byte at this place.
    Hops(usize),
    /// It becomes so much more, or less.
    HopsBy(i16),
    /// A program on the device takes it, if one listens at this port; else the rule does not hold, or
    /// drops it.
    Proxy {
        /// The place of the port, in network order; none: the packet's own.
        port: Option<usize>,
        /// Whether what nobody listens for is dropped.
        or_drop: bool,
    },
}

/// What a rule decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It passes.
    Accept,
    /// It is dropped.
    Drop,
    /// It is dropped, and its sender is told.
    Reject,
    /// Back to where the chain was jumped from.
    Return,
    /// Through this chain, and back.
    Jump(String),
    /// Through this chain.
    Goto(String),
    /// The next rule, where a map may have another verdict.
    Continue,
    /// Somebody decides whom nobody here can ask, in words.
    Somebody(String),
}

/// A value of a packet, of the way it takes, or of its connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// Name of a link, 16 bytes.
    LinkName(End),
    /// Its index.
    LinkIndex(End),
    /// Its group.
    LinkGroup(End),
    /// Its type (ARPHRD_*), 2 bytes.
    LinkType(End),
    /// Its kind, 16 bytes.
    LinkKind(End),
    /// Ethernet's protocol, 2 bytes in network order.
    EtherType,
    /// The family's number, 1 byte.
    Family,
    /// The transport's, 1 byte.
    Protocol,
    /// The packet's mark.
    Mark,
    /// Whom it is meant for (PACKET_*), 1 byte.
    PacketType,
    /// Bytes of the IP header.
    Network(usize),
    /// Bytes of the transport's header.
    Transport(usize),
    /// The packet's length, as the machine has numbers.
    Length,
    /// An option of TCP's: its bytes from a place on, or (none) whether it is there, 1 byte.
    TcpOption(u8, Option<usize>),
    /// The MSS that a packet announces; 0 for none. In network order.
    Mss,
    /// The owner's user or (true) group, of what the device itself sends.
    Owner(bool),
    /// The processor's number.
    Processor,
    /// Nanoseconds since 1970, 8 bytes.
    Time,
    /// The day of the week, from Sunday on, 1 byte.
    Weekday,
    /// Seconds since midnight.
    Daytime,
    /// A number from the first of these to the second, in words.
    Between(u32, u32, String),
    /// What a connection has carried: packets, bytes, or bytes per packet; in one direction or in both.
    /// In network order (true), or as the machine has numbers.
    Carried(Carried, Option<Tuple>, bool),
    /// Its labels, 16 bytes.
    Labels,
    /// Its zone, 2 bytes.
    Zone,
    /// The connection's state, as nf_tables' bits.
    State,
    /// The same as x_tables' bits, which tell of NAT too.
    StateAndNat,
    /// The connection's status (IPS_*).
    Status,
    /// Its direction, 1 byte.
    Direction,
    /// Its mark.
    ConnectionMark,
    /// An address of it.
    ConnectionAddress(Tuple, Side),
    /// A port of it, in network order.
    ConnectionPort(Tuple, Side),
    /// Where the kernel would send a packet to an address of this one's.
    Route(Lookup),
    /// A number that is 0 for every guest's packet.
    Zero,
    /// What such a packet does not have: a rule that asks for it does not hold.
    Absent,
    /// What cannot be told ahead, in words.
    Unknown(String),
}

/// What is counted of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carried {
    /// Packets.
    Packets,
    /// Bytes, with IP headers.
    Bytes,
    /// Bytes of one packet.
    Average,
}

/// One of the two links of a packet's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// That it came in by.
    Input,
    /// That it leaves by.
    Output,
}

/// Which of a connection's tuples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tuple {
    /// That of its first packet.
    Original,
    /// That of its answers.
    Reply,
    /// That of this packet's direction.
    Own,
}

/// Which end of a tuple.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The sender's.
    Source,
    /// The receiver's.
    Destination,
}

/// A question for the routing tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// Which of the packet's addresses.
    pub of: Side,
    /// Whether the packet's mark counts.
    pub mark: bool,
    /// The answer counts only if it is this link.
    pub only: Option<End>,
    /// What is asked for.
    pub what: Found,
}

/// What a routing table is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The link's index; 0 if there is none.
    Index,
    /// The link's name; empty if there is none.
    Name,
    /// 1 if there is a link, else 0.
    Present,
    /// The address's type (RTN_*).
    Type,
}

/// A set or a map.
#[derive(Clone, Debug, Default)]
pub struct Set {
    /// Length of a key.
    pub key: usize,
    /// Lengths of the parts of a key, where it has several.
    pub parts: Vec<usize>,
    /// Whether its elements are the ends of ranges.
    pub ranges: bool,
    /// Its elements.
    pub elements: Vec<Element>,
    /// Not all of them could be read.
    pub partly: bool,
}

/// An element.
#[derive(Clone, Debug, Default)]
pub struct Element {
    /// The key, or the lowest of a range.
    pub key: Vec<u8>,
    /// The highest of a range, part by part.
    pub last: Option<Vec<u8>>,
    /// Whether a range ends before it.
    pub ends: bool,
    /// Whether it stands for all that no other element does.
    pub all: bool,
    /// A map's value.
    pub value: Option<Value>,
    /// Whether it holds at some rate only, or the like.
    pub doubtful: bool,
}

/// A map's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Bytes.
    Bytes(Vec<u8>),
    /// A verdict.
    Verdict(Verdict),
}

impl Filters {
    /// The same for a guestnetd that has this packet filter.
    pub fn seen_by(mut self, own: Backend) -> Self {
        for table in &mut self.tables {
            table.left = match table.label {
                Label::Nftables { .. } => own != Backend::Nftables,
                Label::Iptables(_) => own != Backend::Iptables,
            };
        }
        self
    }
}

impl Table {
    /// The chain of this name.
    pub fn chain(&self, name: &str) -> Option<&Chain> {
        self.chains.iter().find(|chain| chain.name == name)
    }
}

impl Rule {
    /// One without a counter.
    pub fn of(steps: impl Into<Vec<Step>>) -> Self {
        Self { steps: steps.into(), packets: None }
    }
}

impl Step {
    /// Asks whether the value at a place is this one.
    pub fn equals(at: usize, value: impl Into<Vec<u8>>) -> Self {
        let value = value.into();
        Self::Is { at, ranges: vec![(value.clone(), value)], negated: false }
    }

    /// The same, turned around.
    pub fn negate(self) -> Self {
        match self {
            Self::Is { at, ranges, negated } => Self::Is { at, ranges, negated: !negated },
            Self::Find { at, set, to, negated } => Self::Find { at, set, to, negated: !negated },
            other => other,
        }
    }
}
