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

//! What a table does to a packet of IPv4 at a hook (`ipt_do_table()`), read from the bytes that the kernel has.
//! Limits are never reached.

use super::layout::{text, word, word16, Layout, EXTENSION};
use super::{Family, Table, Tables};
use crate::packet::{Outcome, State};
use std::net::Ipv4Addr;

const ACCEPT: i32 = -2;
const DROP: i32 = -1;
const RETURN: i32 = -5;

/// A table at a hook of IPv4, when it is its turn.
pub(crate) struct Turn<'a> {
    table: &'a Table,
    hook: usize,
    pub priority: i32,
    pub nat: bool,
}

impl Tables {
    /// The tables at a hook.
    pub(crate) fn turns(&self, hook: u32) -> Vec<Turn<'_>> {
        let here = |(family, table): &&(Family, Table)| {
            *family == Family::V4 && table.hooks >> hook & 1 == 1
        };
        let turn = |(_, table): &'_ (Family, Table)| {
            let priority = match table.name {
                "raw" => -300,
                "mangle" => -150,
                "security" => 50,
                // Destination NAT where a packet comes from, source NAT where it goes to.
                "nat" if hook == 0 || hook == 3 => -100,
                "nat" => 100,
                _ => 0,
            };
            (priority, table.name == "nat")
        };
        let all = self.tables.iter().filter(here);
        all.map(|one| {
            let (priority, nat) = turn(one);
            Turn { table: &one.1, hook: hook as usize, priority, nat }
        })
        .collect()
    }
}

impl Turn<'_> {
    /// Its name, for who reads where a packet was dropped.
    pub(crate) fn name(&self) -> String {
        format!("x_tables' {}", self.table.name)
    }

    /// Accepted or dropped; an error: what is not simulated.
    pub(crate) fn run(&self, state: &mut State) -> Result<Outcome, String> {
        let layout = Layout::of(Family::V4);
        let bytes = &self.table.bytes;
        let mut at = self.table.entries[self.hook] as usize;
        let mut stack = Vec::new();
        loop {
            let entry = &bytes[at..at + usize::from(word16(bytes, at + layout.next))];
            let next = at + entry.len();
            let target = usize::from(word16(entry, layout.target));
            if !holds(&layout, entry, target, state)? {
                at = next;
                continue;
            }
            let target = &entry[target..];
            let name = text(&target[2..EXTENSION - 1]);
            if !name.is_empty() {
                match act(name, target[EXTENSION - 1], &target[EXTENSION..], state)? {
                    Outcome::Continue => at = next,
                    outcome => return Ok(outcome),
                }
                continue;
            }
            match word(target, EXTENSION) as i32 {
                ACCEPT => return Ok(Outcome::Accept),
                DROP => return Ok(Outcome::Drop),
                RETURN => {
                    at = stack.pop().unwrap_or(self.table.underflows[self.hook] as usize);
                }
                to if to >= 0 => {
                    let goes = entry[layout.flags] & layout.goto != 0;
                    if to as usize != next && !goes {
                        stack.push(next);
                    }
                    at = to as usize;
                }
                verdict => return Err(format!("x_tables' verdict {verdict}")),
            }
        }
    }
}

/// Whether an entry is for this packet (`ip_packet_match()`, and its matches).
fn holds(layout: &Layout, entry: &[u8], end: usize, state: &State) -> Result<bool, String> {
    let inverted = |bit: u8| entry[layout.inverted] & bit != 0;
    let address = |own: Ipv4Addr, at: usize| {
        let mask = word(entry, at + 2 * layout.address);
        u32::from_ne_bytes(own.octets()) & mask == word(entry, at)
    };
    let interface = |own: &str, at: usize| {
        let mut name = own.as_bytes().to_vec();
        name.resize(libc::IFNAMSIZ, 0);
        let (wanted, mask) = (&entry[at..at + 16], &entry[at + 32..at + 48]);
        name.iter()
            .zip(wanted.iter().zip(mask))
            .all(|(own, (wanted, mask))| (own ^ wanted) & mask == 0)
    };
    let output = state.output.as_ref().map_or("", |(_, name, _)| name);
    let protocol = word16(entry, layout.protocol);
    let is = address(state.from, 0) != inverted(0x08)
        && address(state.to, layout.address) != inverted(0x10)
        && interface(&state.input.1, layout.interfaces) != inverted(0x01)
        && interface(output, layout.interfaces + 16) != inverted(0x02)
        && (protocol == 0 || (protocol == u16::from(state.protocol)) != inverted(0x40))
        // Nothing is in fragments.
        && (entry[layout.flags] & 1 == 0 || inverted(0x20));
    let mut at = layout.elements;
    while is && at < end {
        let size = usize::from(word16(entry, at));
        let name = text(&entry[at + 2..at + EXTENSION - 1]);
        let data = &entry[at + EXTENSION..at + size];
        if !matches(name, entry[at + EXTENSION - 1], data, state)? {
            return Ok(false);
        }
        at += size;
    }
    Ok(is)
}

fn matches(name: &[u8], revision: u8, data: &[u8], state: &State) -> Result<bool, String> {
    let ports = |inverted: u8| {
        let within =
            |port: u16, at: usize| (word16(data, at)..=word16(data, at + 2)).contains(&port);
        within(state.ports.0, 0) != (inverted & 1 != 0)
            && within(state.ports.1, 4) != (inverted & 2 != 0)
    };
    Ok(match name {
        b"conntrack" => conntrack(revision, data, state)?,
        b"tcp" if data[8..11] == [0; 3] => ports(data[11]),
        b"udp" => ports(data[8]),
        b"icmp" => {
            let is = data[0] == 255 || u16::from(data[0]) == state.ports.0;
            // A packet has no code here.
            if is && data[0] != 255 && data[1..3] != [0, 0xff] {
                return Err("x_tables' match icmp of a code".into());
            }
            is != (data[3] & 1 != 0)
        }
        // XT_CONNLIMIT_INVERT: at most so many.
        b"connlimit" => word(data, 20) & 1 != 0,
        // XT_HASHLIMIT_INVERT: above the rate.
        b"hashlimit" => word(data, 272) & 1 << 4 == 0,
        // Of each so many, the first packet that comes.
        b"statistic" => word(data, 4) == word(data, 12),
        b"comment" => true,
        // XT_OWNER_SOCKET: whose it is, is asked of what has one; no packet here is of a stranger's.
        b"owner" if data[16] & 4 != 0 && data[17] & 4 == 0 => false,
        other => return Err(format!("x_tables' match {}", String::from_utf8_lossy(other))),
    })
}

fn conntrack(revision: u8, data: &[u8], state: &State) -> Result<bool, String> {
    const STATE: u16 = 1;
    const STATUS: u16 = 1 << 6;
    const SRC_NAT: u32 = 1 << 4;
    const DST_NAT: u32 = 1 << 5;
    if revision != 3 {
        return Err(format!("x_tables' match conntrack {revision}"));
    }
    let (asked, inverted) = (word16(data, 146), word16(data, 148));
    let known = |key, direction| state.ct(key, direction).map(|value| value.unwrap_or_default());
    let number =
        |key| known(key, None).map(|value| if value.len() < 4 { 0 } else { word(&value, 0) });
    let status = number(2)?;
    if asked & STATE != 0 {
        let mut bits = number(0)?;
        for (of, bit) in [(SRC_NAT, 1 << 6), (DST_NAT, 1 << 7)] {
            bits |= if status & of != 0 { bit } else { 0 };
        }
        if (bits & u32::from(word16(data, 150)) != 0) == (inverted & STATE != 0) {
            return Ok(false);
        }
    }
    if !state.tracked {
        return Ok(asked & STATE != 0);
    }
    // Which of the two ways, and the keys of nf_tables for addresses and ports.
    for (bit, at, key, direction) in
        [(1 << 2, 0, 19, 0), (1 << 3, 32, 20, 0), (1 << 4, 64, 19, 1), (1 << 5, 96, 20, 1)]
    {
        if asked & bit != 0 {
            let own = word(&known(key, Some(direction))?, 0);
            let is = own & word(data, at + 16) == word(data, at) & word(data, at + 16);
            if is == (inverted & bit != 0) {
                return Ok(false);
            }
        }
    }
    for (bit, low, high, key, direction) in [
        (1 << 8, 138, 154, 11, 0),
        (1 << 9, 140, 156, 12, 0),
        (1 << 10, 142, 158, 11, 1),
        (1 << 11, 144, 160, 12, 1),
    ] {
        if asked & bit != 0 {
            let own = known(key, Some(direction))?;
            let own = u16::from_be_bytes([own[0], own[1]]);
            let is = (word16(data, low)..=word16(data, high)).contains(&own);
            if is == (inverted & bit != 0) {
                return Ok(false);
            }
        }
    }
    if asked & STATUS != 0
        && (status & u32::from(word16(data, 152)) != 0) == (inverted & STATUS != 0)
    {
        return Ok(false);
    }
    match asked & !(STATE | STATUS | 0xf3c | 1 << 13) {
        0 => Ok(true),
        other => Err(format!("x_tables' match conntrack of {other:#x}")),
    }
}

/// What a target does.
fn act(name: &[u8], revision: u8, data: &[u8], state: &mut State) -> Result<Outcome, String> {
    let source = match name {
        b"NFLOG" | b"LOG" => return Ok(Outcome::Continue),
        b"REJECT" => return Ok(Outcome::Drop),
        b"MASQUERADE" => {
            state.translate(true, Some(state.masquerade_as), None);
            return Ok(Outcome::Accept);
        }
        b"SNAT" => true,
        b"DNAT" => false,
        other => return Err(format!("x_tables' target {}", String::from_utf8_lossy(other))),
    };
    // `nf_nat_ipv4_multi_range_compat`, or `nf_nat_range`: flags, addresses, ports.
    let (flags, address, port) = if revision == 0 { (4, 8, 16) } else { (0, 4, 36) };
    let (flags, port) = (word(data, flags), &data[port..port + 2]);
    let address: [u8; 4] = data[address..address + 4].try_into().map_err(|_| "an address")?;
    let address = (flags & 1 != 0).then(|| Ipv4Addr::from(address));
    // Of source NAT a port within a range: the least.
    let port = (flags & 2 != 0).then(|| u16::from_be_bytes([port[0], port[1]]));
    state.translate(source, address, port);
    Ok(Outcome::Accept)
}
