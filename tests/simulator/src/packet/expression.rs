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

//! The instructions of a rule (net/netfilter/nft_*.c), as far as guestnetd and nft make them for what
//! guestnetd is beside. Limits are never reached.

use super::ruleset::{number, text, value, Ruleset};
use super::{Connection, Packet, PREROUTING};
use crate::wire::Attributes;
use std::net::Ipv4Addr;

/// What a rule says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Continue,
    /// The rule is not for this packet.
    Break,
    Accept,
    Drop,
    Return,
    Jump(String),
    Goto(String),
}

/// A packet on its way.
pub struct State {
    pub from: Ipv4Addr,
    pub to: Ipv4Addr,
    pub protocol: u8,
    pub ports: (u16, u16),
    pub mark: u32,
    pub input: (u32, String, u32),
    pub output: Option<(u32, String, u32)>,
    pub hook: u32,
    /// Whether connection tracking has seen it already.
    pub tracked: bool,
    /// The address that it would be masqueraded as.
    pub masquerade_as: Ipv4Addr,
    connection: Connection,
    original: (Ipv4Addr, Ipv4Addr, (u16, u16)),
    /// IPS_DST_NAT, IPS_SRC_NAT
    status: u32,
}

const SEEN_REPLY: u32 = 1 << 1;
const CONFIRMED: u32 = 1 << 3;
const SRC_NAT: u32 = 1 << 4;
const DST_NAT: u32 = 1 << 5;

impl State {
    pub fn new(packet: &Packet, name: String, group: u32) -> Self {
        let original = match packet.connection {
            Connection::New => (packet.from, packet.to, packet.ports),
            Connection::AnswerTo { original: (from, to), ports } => (from, to, ports),
        };
        let mut status = 0;
        if packet.connection != Connection::New {
            status = CONFIRMED | SEEN_REPLY;
            status |= if original.0 != packet.to { SRC_NAT } else { 0 };
            status |= if original.1 != packet.from { DST_NAT } else { 0 };
        }
        Self {
            from: packet.from,
            to: packet.to,
            protocol: packet.protocol,
            ports: packet.ports,
            mark: 0,
            input: (packet.input, name, group),
            output: None,
            hook: PREROUTING,
            tracked: false,
            masquerade_as: Ipv4Addr::UNSPECIFIED,
            connection: packet.connection,
            original,
            status,
        }
    }

    pub fn is_answer(&self) -> bool {
        self.connection != Connection::New
    }

    /// NAT gives it another source, or another destination.
    pub fn translate(&mut self, source: bool, address: Option<Ipv4Addr>, port: Option<u16>) {
        let (own, own_port, bit) = match source {
            true => (&mut self.from, &mut self.ports.0, SRC_NAT),
            false => (&mut self.to, &mut self.ports.1, DST_NAT),
        };
        *own = address.unwrap_or(*own);
        *own_port = port.unwrap_or(*own_port);
        self.status |= bit;
    }

    /// The bytes of its header, in as many as rules ask for.
    fn network(&self) -> [u8; 20] {
        let mut header = [0; 20];
        header[0] = 0x45;
        header[8] = 64;
        header[9] = self.protocol;
        header[12..16].copy_from_slice(&self.from.octets());
        header[16..].copy_from_slice(&self.to.octets());
        header
    }

    fn transport(&self) -> [u8; 20] {
        let mut header = [0; 20];
        if self.protocol == libc::IPPROTO_ICMP as u8 {
            header[0] = self.ports.0 as u8;
        } else {
            header[..2].copy_from_slice(&self.ports.0.to_be_bytes());
            header[2..4].copy_from_slice(&self.ports.1.to_be_bytes());
        }
        header
    }

    fn meta(&self, key: u32) -> Result<Option<Vec<u8>>, String> {
        let name = |name: &str| {
            let mut bytes = name.as_bytes().to_vec();
            bytes.resize(libc::IFNAMSIZ, 0);
            bytes
        };
        let word = |value: u32| Some(value.to_ne_bytes().to_vec());
        let output = self.output.as_ref();
        Ok(match key {
            1 => Some(vec![8, 0]),
            3 => word(self.mark),
            4 => word(self.input.0),
            5 => word(output.map_or(0, |output| output.0)),
            6 => Some(name(&self.input.1)),
            // Whose it is: no packet here is of a stranger's.
            10 => None,
            7 => Some(name(output.map_or("", |output| &output.1))),
            15 => Some(vec![libc::NFPROTO_IPV4 as u8, 0, 0, 0]),
            16 => Some(vec![self.protocol, 0, 0, 0]),
            21 => word(self.input.2),
            22 => output.and_then(|output| word(output.2)),
            key => return Err(format!("meta {key}")),
        })
    }

    /// What connection tracking knows, by nf_tables' keys; none: nothing.
    pub fn ct(&self, key: u32, direction: Option<u8>) -> Result<Option<Vec<u8>>, String> {
        let word = |value: u32| Ok(Some(value.to_ne_bytes().to_vec()));
        // NF_CT_STATE_INVALID_BIT, or no packet of a connection at all.
        match (self.tracked, key) {
            (false, 0) => return word(1),
            (false, _) => return Ok(None),
            _ => {}
        }
        let of_reply = direction.unwrap_or(u8::from(self.is_answer())) != 0;
        let (from, to, ports) = match of_reply {
            false => self.original,
            true => (self.original.1, self.original.0, (self.original.2 .1, self.original.2 .0)),
        };
        Ok(Some(match key {
            0 => return word(if self.is_answer() { 1 << 1 } else { 1 << 3 }),
            1 => vec![u8::from(self.is_answer()), 0, 0, 0],
            2 => return word(self.status),
            3 => return word(0),
            8 | 19 => from.octets().to_vec(),
            9 | 20 => to.octets().to_vec(),
            10 => vec![self.protocol, 0, 0, 0],
            11 => ports.0.to_be_bytes().to_vec(),
            12 => ports.1.to_be_bytes().to_vec(),
            key => return Err(format!("ct {key}")),
        }))
    }
}

/// The registers: 16 bytes for the verdict, then 64 of data.
struct Registers([u8; 80]);

impl Registers {
    /// `nft_parse_register()`: of 16 bytes, or of 4.
    fn at(number: u32) -> usize {
        match number {
            0..=4 => number as usize * 16,
            _ => (number as usize + 4 - 8) * 4,
        }
    }

    fn get(&self, number: u32, length: usize) -> &[u8] {
        self.0.get(Self::at(number)..).map_or(&[], |rest| &rest[..length.min(rest.len())])
    }

    fn set(&mut self, number: u32, bytes: &[u8]) {
        // The last register of 4 bytes is padded.
        let room = self.0.get_mut(Self::at(number)..).unwrap_or_default();
        let padded = bytes.len().next_multiple_of(4).min(room.len());
        room[..padded].fill(0);
        let length = bytes.len().min(padded);
        room[..length].copy_from_slice(&bytes[..length]);
    }
}

/// All instructions of a rule.
pub fn rule(
    rules: &Ruleset,
    table: usize,
    expressions: &[u8],
    state: &mut State,
) -> Result<Outcome, String> {
    let mut registers = Registers([0; 80]);
    for (_, bytes) in Attributes(expressions) {
        let name = text(Attributes(bytes), 1);
        let own = Attributes(bytes).find(2).unwrap_or_default();
        match one(rules, table, &name, Attributes(own), &mut registers, state)? {
            Outcome::Continue => {}
            outcome => return Ok(outcome),
        }
    }
    Ok(Outcome::Continue)
}

fn one(
    rules: &Ruleset,
    table: usize,
    name: &str,
    own: Attributes<'_>,
    registers: &mut Registers,
    state: &mut State,
) -> Result<Outcome, String> {
    let at = |kind| number(own, kind).unwrap_or(0);
    let matches = |is: bool| Ok(if is { Outcome::Continue } else { Outcome::Break });
    match name {
        "meta" => {
            if let Some(register) = number(own, 3) {
                let bytes = registers.get(register, 4).try_into().map_err(|_| "meta set")?;
                match at(2) {
                    3 => state.mark = u32::from_ne_bytes(bytes),
                    key => return Err(format!("meta set {key}")),
                }
                return Ok(Outcome::Continue);
            }
            let Some(bytes) = state.meta(at(2))? else { return Ok(Outcome::Break) };
            registers.set(at(1), &bytes);
            Ok(Outcome::Continue)
        }
        "ct" => {
            if own.has(4) {
                return Err("ct set".into());
            }
            let direction = own.find(3).and_then(|value| value.first().copied());
            let Some(bytes) = state.ct(at(2), direction)? else { return Ok(Outcome::Break) };
            registers.set(at(1), &bytes);
            Ok(Outcome::Continue)
        }
        "payload" => {
            let (offset, length) = (at(3) as usize, at(4) as usize);
            let header = match at(2) {
                1 => state.network(),
                2 => state.transport(),
                base => return Err(format!("payload of header {base}")),
            };
            match header.get(offset..offset + length) {
                Some(bytes) => registers.set(at(1), bytes),
                None => return Err("payload beyond the headers".into()),
            }
            Ok(Outcome::Continue)
        }
        "cmp" => {
            let value = value(own, 3);
            let order = registers.get(at(1), value.len()).cmp(&value);
            matches(match at(2) {
                0 => order.is_eq(),
                1 => order.is_ne(),
                2 => order.is_lt(),
                3 => order.is_le(),
                4 => order.is_gt(),
                _ => order.is_ge(),
            })
        }
        "range" => {
            let (first, last) = (value(own, 3), value(own, 4));
            let bytes = registers.get(at(1), first.len());
            let within = bytes >= &first[..] && bytes <= &last[..];
            matches(within == (at(2) == 0))
        }
        "bitwise" => {
            if at(6) != 0 {
                return Err(format!("bitwise operation {}", at(6)));
            }
            let (mask, xor) = (value(own, 4), value(own, 5));
            let from = registers.get(at(1), at(3) as usize).iter();
            let bytes: Vec<u8> =
                from.zip(mask.iter().zip(&xor)).map(|(b, (m, x))| b & m ^ x).collect();
            registers.set(at(2), &bytes);
            Ok(Outcome::Continue)
        }
        "lookup" => {
            let found = rules.find(table, &text(own, 1), registers.get(at(2), 64));
            let inverted = at(5) & 1 != 0;
            match (found, number(own, 3)) {
                (found, None) => matches(found.is_some() != inverted),
                (None, Some(_)) => Ok(Outcome::Break),
                (Some(data), Some(0)) => verdict(Attributes(data)),
                (Some(data), Some(register)) => {
                    let bytes = Attributes(data).find(1).unwrap_or_default().to_vec();
                    registers.set(register, &bytes);
                    Ok(Outcome::Continue)
                }
            }
        }
        "immediate" => match at(1) {
            0 => verdict(own.inside(2).unwrap_or(Attributes(&[]))),
            register => {
                registers.set(register, &value(own, 2));
                Ok(Outcome::Continue)
            }
        },
        // What is within a limit goes on, but for what is only for those beyond it.
        "limit" => matches(at(5) & 1 == 0),
        "connlimit" => matches(at(2) & 1 == 0),
        "quota" => matches(at(2) & 1 == 0),
        // The first of its numbers.
        "numgen" => {
            registers.set(at(1), &at(4).to_ne_bytes());
            Ok(Outcome::Continue)
        }
        "dynset" => {
            let Some(inner) = own.inside(7) else { return Ok(Outcome::Continue) };
            let name = text(inner, 1);
            let data = inner.inside(2).unwrap_or(Attributes(&[]));
            one(rules, table, &name, data, registers, state)
        }
        "counter" | "log" | "objref" | "last" => Ok(Outcome::Continue),
        "reject" => Ok(Outcome::Drop),
        "masq" => {
            state.translate(true, Some(state.masquerade_as), None);
            Ok(Outcome::Accept)
        }
        "nat" => {
            let address = number(own, 3).map(|register| registers.get(register, 4));
            let address = address.and_then(crate::wire::ipv4);
            let port = number(own, 5).map(|register| registers.get(register, 2));
            let port = port.map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]));
            state.translate(at(1) == 0, address, port);
            Ok(Outcome::Accept)
        }
        other => Err(other.to_owned()),
    }
}

/// NFTA_DATA_VERDICT.
fn verdict(data: Attributes<'_>) -> Result<Outcome, String> {
    let own = data.inside(2).ok_or("no verdict")?;
    Ok(match number(own, 1).unwrap_or(0) as i32 {
        0 => Outcome::Drop,
        1 => Outcome::Accept,
        -1 => Outcome::Continue,
        -2 => Outcome::Break,
        -3 => Outcome::Jump(text(own, 2)),
        -4 => Outcome::Goto(text(own, 2)),
        -5 => Outcome::Return,
        code => return Err(format!("verdict {code}")),
    })
}
