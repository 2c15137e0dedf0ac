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

//! Where what is in an entry (linux/netfilter_ipv4/ip_tables.h, ip6_tables.h), on machines of 64 bits, and
//! the plainest of entries.

use super::Family;

/// `struct xt_entry_match` and `xt_entry_target`: size, name of 29 bytes, revision.
pub(crate) const EXTENSION: usize = 32;

/// Offsets in `struct ipt_entry` or `ip6t_entry`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    /// Length of an address. The source is first, then the destination, then their masks.
    pub address: usize,
    pub interfaces: usize,
    pub protocol: usize,
    pub flags: usize,
    pub inverted: usize,
    /// Length of `struct ipt_ip`.
    pub conditions: usize,
    pub target: usize,
    pub next: usize,
    pub came_from: usize,
    pub counters: usize,
    /// Where matches begin.
    pub elements: usize,
    /// Flags and inversions that there are.
    pub known: (u8, u8),
    pub goto: u8,
}

pub(crate) fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

pub(crate) fn word16(bytes: &[u8], at: usize) -> u16 {
    u16::from_ne_bytes(bytes[at..at + 2].try_into().expect("two bytes"))
}

impl Layout {
    pub fn of(family: Family) -> Self {
        match family {
            Family::V4 => Self {
                address: 4,
                interfaces: 16,
                protocol: 80,
                flags: 82,
                inverted: 83,
                conditions: 84,
                target: 88,
                next: 90,
                came_from: 92,
                counters: 96,
                elements: 112,
                known: (0x03, 0x7f),
                goto: 0x02,
            },
            Family::V6 => Self {
                address: 16,
                interfaces: 64,
                protocol: 128,
                flags: 131,
                inverted: 132,
                conditions: 136,
                target: 140,
                next: 142,
                came_from: 144,
                counters: 152,
                elements: 168,
                known: (0x07, 0x7f),
                goto: 0x04,
            },
        }
    }

    /// An entry of conditions, matches and a target, each as a whole.
    pub fn entry(&self, conditions: &[u8], matches: &[u8], target: &[u8]) -> Vec<u8> {
        let mut bytes = conditions.to_vec();
        bytes.resize(self.elements, 0);
        bytes.extend(matches);
        let begin = bytes.len() as u16;
        bytes.extend(target);
        let end = bytes.len() as u16;
        bytes[self.target..self.target + 2].copy_from_slice(&begin.to_ne_bytes());
        bytes[self.next..self.next + 2].copy_from_slice(&end.to_ne_bytes());
        bytes
    }

    /// Every packet comes to this verdict.
    pub fn verdict(&self, verdict: i32) -> Vec<u8> {
        self.entry(&[], &[], &extension("", 0, &verdict.to_ne_bytes()))
    }

    /// What a chain of a user's begins with, and the table ends with.
    pub fn head(&self, name: &str) -> Vec<u8> {
        let mut text = name.as_bytes().to_vec();
        text.resize(30, 0);
        self.entry(&[], &[], &extension("ERROR", 0, &text))
    }

    pub fn set_came_from(&self, entry: &mut [u8], hooks: u32) {
        entry[self.came_from..self.came_from + 4].copy_from_slice(&hooks.to_ne_bytes());
    }
}

/// A match or a target with its header, padded.
pub(crate) fn extension(name: &str, revision: u8, data: &[u8]) -> Vec<u8> {
    let size = (EXTENSION + data.len()).next_multiple_of(8);
    let mut bytes = (size as u16).to_ne_bytes().to_vec();
    bytes.extend(name.as_bytes());
    bytes.resize(EXTENSION - 1, 0);
    bytes.push(revision);
    bytes.extend(data);
    bytes.resize(size, 0);
    bytes
}

/// A name that ends with NUL or with its room.
pub(crate) fn text(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}
