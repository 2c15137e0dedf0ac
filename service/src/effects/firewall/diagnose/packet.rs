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

//! A packet as rules see it: what is known of it at some place on its way. Pure.

use crate::model::if_index::IfIndex;
use std::net::Ipv4Addr;
use std::sync::Arc;

/// A link, as rules name one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Its name.
    pub name: String,
    /// Its index, where it is there.
    pub index: Option<IfIndex>,
    /// Its group (IFLA_GROUP).
    pub group: u32,
    /// Its kind (IFLA_INFO_KIND); empty for physical ones.
    pub kind: String,
    /// The address that what is masqueraded leaves it with.
    pub address: Option<Ipv4Addr>,
    /// Whether it stands for the links of all guests: then its name is how theirs begin.
    pub any: bool,
}

/// What a packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// TCP, with the flags of its header.
    Tcp {
        /// Port that it comes from.
        from: u16,
        /// Port that it goes to.
        to: u16,
        /// Flags.
        flags: u8,
    },
    /// UDP.
    Udp {
        /// Port that it comes from.
        from: u16,
        /// Port that it goes to.
        to: u16,
    },
    /// An echo request or reply of ICMP.
    Echo {
        /// Its type.
        kind: u8,
    },
}

/// The longest packet of an ordinary link.
pub const LONGEST: u16 = 1500;

/// TCP's flags, as they stand in its header.
pub const SYN: u8 = 0x02;
/// See [`SYN`].
pub const ACK: u8 = 0x10;
/// ICMP's types of an echo.
pub const ECHO_REQUEST: u8 = 8;
/// See [`ECHO_REQUEST`].
pub const ECHO_REPLY: u8 = 0;

impl Payload {
    /// Its number in the IP header.
    pub fn protocol(&self) -> u8 {
        match self {
            Self::Tcp { .. } => libc::IPPROTO_TCP as u8,
            Self::Udp { .. } => libc::IPPROTO_UDP as u8,
            Self::Echo { .. } => libc::IPPROTO_ICMP as u8,
        }
    }

    /// Its ports, where it has some.
    pub fn ports(&self) -> Option<(u16, u16)> {
        match self {
            Self::Tcp { from, to, .. } | Self::Udp { from, to } => Some((*from, *to)),
            Self::Echo { .. } => None,
        }
    }

    /// The length of such a packet: the least and the most. Without options and with all of them; an
    /// echo as `ping` sends it.
    fn length(&self) -> (u16, u16) {
        match self {
            Self::Tcp { .. } => (40, 60),
            Self::Udp { .. } => (45, LONGEST),
            Self::Echo { .. } => (84, 84),
        }
    }

    /// What answers it.
    pub fn answer(&self) -> Self {
        match *self {
            Self::Tcp { from, to, .. } => Self::Tcp { from: to, to: from, flags: SYN | ACK },
            Self::Udp { from, to } => Self::Udp { from: to, to: from },
            Self::Echo { .. } => Self::Echo { kind: ECHO_REPLY },
        }
    }

    /// The same to another port, or from another.
    pub fn by_port(self, to_it: bool, port: u16) -> Self {
        match (self, to_it) {
            (Self::Tcp { from, flags, .. }, true) => Self::Tcp { from, to: port, flags },
            (Self::Tcp { to, flags, .. }, false) => Self::Tcp { from: port, to, flags },
            (Self::Udp { from, .. }, true) => Self::Udp { from, to: port },
            (Self::Udp { to, .. }, false) => Self::Udp { from: port, to },
            (other, _) => other,
        }
    }

    /// The same, as NAT does it: it sets the port with the address.
    pub fn with_port(self, to_it: bool, port: Option<u16>) -> Self {
        port.map_or(self, |port| self.by_port(to_it, port))
    }

    /// What its sender sends next.
    pub fn next(&self) -> Self {
        match *self {
            Self::Tcp { from, to, .. } => Self::Tcp { from, to, flags: ACK },
            other => other,
        }
    }
}

/// A connection as conntrack has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Who opened it.
    pub from: Ipv4Addr,
    /// To whom, before any NAT.
    pub to: Ipv4Addr,
    /// The ports that it was opened with.
    pub ports: Option<(u16, u16)>,
    /// To whom it really goes.
    pub translated_to: Option<Ipv4Addr>,
    /// The port that it was sent to, and the one that it really goes to.
    pub led: Option<(u16, u16)>,
    /// From whom it really comes.
    pub translated_from: Option<Ipv4Addr>,
    /// Its mark; none if that cannot be told.
    pub mark: Option<u32>,
    /// Its labels, a bit each; none if that cannot be told.
    pub labels: Option<u128>,
    /// What rules have put into sets for it: the set's name, and the key if that is known.
    pub filled: Vec<(String, Option<Vec<u8>>)>,
    /// The zone that it is in; none if that cannot be told.
    pub zone: Option<u16>,
    /// Whether the packet is its first.
    pub new: bool,
    /// Whether the packet is an answer.
    pub answer: bool,
}

impl Connection {
    /// Whether conntrack finds it by these ends of a packet that it has not translated yet.
    fn has(&self, source: Ipv4Addr, destination: Ipv4Addr) -> bool {
        let sent_back =
            (self.translated_to.unwrap_or(self.to), self.translated_from.unwrap_or(self.from));
        (source, destination) == if self.answer { sent_back } else { (self.from, self.to) }
    }
}

/// What conntrack knows of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tracking {
    /// It has not seen it yet. Rules take that for an invalid one.
    NotYet,
    /// It is not to see it.
    Off,
    /// It is of this connection.
    Known(Connection),
}

/// A packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The link that it came in by.
    pub input: Option<Arc<Link>>,
    /// The one that it leaves by.
    pub output: Option<Arc<Link>>,
    /// From.
    pub source: Ipv4Addr,
    /// To.
    pub destination: Ipv4Addr,
    /// What it carries.
    pub payload: Payload,
    /// Its mark; none if that cannot be told.
    pub mark: Option<u32>,
    /// Its connection.
    pub tracking: Tracking,
    /// The connection that conntrack will find for it; none: a new one.
    pub of: Option<Connection>,
    /// The zone in which conntrack looks for it; none if that cannot be told.
    pub zone: Option<u16>,
    /// Its time to live: the least and the most.
    pub ttl: (u8, u8),
    /// Its length with the IP header: the least and the most.
    pub length: (u16, u16),
    /// How many packets its connection has had with it, in either direction: the least and the most.
    pub carried: [(u64, u64); 2],
    /// An address that stands for all of a guests' subnet, and how many of its bytes they have in common.
    pub any: Option<(Ipv4Addr, usize)>,
}

impl Packet {
    /// The first packet of a connection.
    pub fn first(source: Ipv4Addr, destination: Ipv4Addr, payload: Payload) -> Self {
        let (input, output, of) = (None, None, None);
        let (tracking, mark) = (Tracking::NotYet, Some(0));
        let (zone, ttl, any) = (Some(0), (64, 64), None);
        let (length, carried) = (payload.length(), [(1, 1), (0, 0)]);
        Self {
            input,
            output,
            source,
            destination,
            payload,
            mark,
            tracking,
            of,
            zone,
            ttl,
            length,
            carried,
            any,
        }
    }

    /// The bytes of an address that are known.
    pub fn known_of(&self, address: Ipv4Addr) -> [Option<u8>; 4] {
        let known = self.any.filter(|(any, _)| *any == address).map_or(4, |(_, known)| known);
        let mut bytes = address.octets().map(Some);
        bytes.iter_mut().skip(known).for_each(|byte| *byte = None);
        bytes
    }

    /// Conntrack sees it.
    pub fn track(&mut self) {
        if self.tracking != Tracking::NotYet {
            return;
        }
        let new = || Connection {
            from: self.source,
            to: self.destination,
            ports: self.payload.ports(),
            translated_to: None,
            led: None,
            translated_from: None,
            mark: Some(0),
            labels: Some(0),
            filled: Vec::new(),
            zone: self.zone,
            new: true,
            answer: false,
        };
        // What is looked for in another zone is not found there, and is no part of it.
        let elsewhere = self.of.as_ref().is_some_and(|of| {
            of.zone.zip(self.zone).is_some_and(|(zone, looked_in)| zone != looked_in)
        });
        let other = self.of.as_ref().is_some_and(|of| !of.has(self.source, self.destination));
        self.tracking = match elsewhere || other {
            true => Tracking::Off,
            false => Tracking::Known(self.of.take().unwrap_or_else(new)),
        };
    }

    /// Its connection, if conntrack knows it.
    pub fn connection(&self) -> Option<&Connection> {
        match &self.tracking {
            Tracking::Known(connection) => Some(connection),
            _ => None,
        }
    }

    /// The same, to change it.
    pub fn connection_mut(&mut self) -> Option<&mut Connection> {
        match &mut self.tracking {
            Tracking::Known(connection) => Some(connection),
            _ => None,
        }
    }

    /// What answers it, where it has arrived; it is sent from there.
    pub fn answered(&self) -> Self {
        let (source, destination) = (self.destination, self.source);
        let mut answer = Self::first(source, destination, self.payload.answer());
        answer.any = self.any;
        answer.carried = [(1, 1), (1, 1)];
        answer.of =
            self.connection().cloned().map(|of| Connection { new: false, answer: true, ..of });
        answer
    }
}
