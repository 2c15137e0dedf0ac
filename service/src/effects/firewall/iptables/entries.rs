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

//! Reads the bytes in which x_tables gives a whole table: chains, rules, matches, targets. Pure.
//! The bytes come from the kernel, but every read is checked all the same: what does not add up is
//! an error, never a panic. Matches and targets that are not known here are kept as bytes.
//!
//! The layouts are those of `linux/netfilter_ipv4/ip_tables.h`, `ip6_tables.h` and `x_tables.h`.

use crate::effects::firewall::Family;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;

/// Alignment of everything in a table: that of its 64-bit counters.
pub(super) const ALIGN: usize = std::mem::align_of::<u64>();
/// `struct xt_entry_match` and `xt_entry_target`: size, name, revision.
const EXTENSION_HEADER: usize = 32;
const EXTENSION_NAME: Range<usize> = 2..31;
const EXTENSION_REVISION: usize = 31;
/// `IPT_F_GOTO` and `IP6T_F_GOTO`.
const GOTO: [u8; 2] = [0x02, 0x04];

/// A table that does not read as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the table does not read as one at byte {0}")]
pub struct Malformed(pub usize);

/// `struct ipt_getinfo`, as far as it is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// Bit k: the table is looked at at hook k.
    pub valid_hooks: u32,
    /// Where the chain of each hook begins.
    pub hook_entry: [u32; 5],
    /// Bytes of all entries.
    pub size: u32,
}

/// Names of the chains of the hooks, `NF_INET_PRE_ROUTING` and so on.
const HOOKS: [&str; 5] = ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"];

impl Info {
    /// Length of the structure.
    pub const LEN: usize = 84;

    /// Reads it.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut hook_entry = [0; 5];
        for (hook, entry) in hook_entry.iter_mut().enumerate() {
            *entry = u32_at(bytes, 36 + 4 * hook)?;
        }
        Ok(Self { valid_hooks: u32_at(bytes, 32)?, hook_entry, size: u32_at(bytes, 80)? })
    }

    /// The chain of the hook that begins here.
    fn hook_at(&self, at: usize) -> Option<&'static str> {
        let begins_here = |hook: &usize| {
            let entry = self.hook_entry.get(*hook).map(|entry| *entry as usize);
            self.valid_hooks >> hook & 1 == 1 && entry == Some(at)
        };
        (0..HOOKS.len()).find(begins_here).and_then(|hook| HOOKS.get(hook).copied())
    }
}

/// A chain, in the order of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Its name.
    pub name: String,
    /// Its rules.
    pub rules: Vec<Entry>,
    /// What becomes of a packet behind them: the policy of a hook's chain.
    pub end: Target,
    /// Packets that have come to the end.
    pub end_packets: u64,
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Name of the interface it came in by, with a final `+` if it is the beginning of a name.
    pub input: String,
    /// The same for where it leaves by.
    pub output: String,
    /// Source address and mask, 4 or 16 bytes each.
    pub source: (Vec<u8>, Vec<u8>),
    /// Destination address and mask.
    pub destination: (Vec<u8>, Vec<u8>),
    /// Transport protocol, 0 for any.
    pub protocol: u16,
    /// Flags other than `GOTO`: fragments, traffic class.
    pub flags: u8,
    /// Which of the conditions are negated.
    pub inverted: u8,
    /// The matches, in order.
    pub matches: Vec<Extension>,
    /// What becomes of the packet.
    pub target: Target,
    /// Packets that the rule has seen.
    pub packets: u64,
    /// Bytes that it has seen.
    pub bytes: u64,
}

impl Entry {
    /// A number that tells whether it has changed. What it has counted is left out, and the chains that
    /// it leads to are taken by their names: their places in the table change with others' rules.
    pub fn fingerprint(&self) -> u64 {
        let Self { input, output, source, destination, protocol, .. } = self;
        let Self { flags, inverted, matches, target, packets: _, bytes: _, .. } = self;
        let mut hasher = DefaultHasher::new();
        (input, output, source, destination, protocol).hash(&mut hasher);
        (flags, inverted, matches, target).hash(&mut hasher);
        hasher.finish()
    }
}

/// What becomes of a packet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// It passes.
    Accept,
    /// It is dropped.
    Drop,
    /// Back to the chain that it came from.
    Return,
    /// The next rule.
    Continue,
    /// The rules of this chain, and back.
    Jump(String),
    /// The rules of this chain.
    Goto(String),
    /// A target of a module.
    Module(Extension),
}

/// A match or a target of a module.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Extension {
    /// Its name.
    pub name: String,
    /// Its revision.
    pub revision: u8,
    /// Its data, with padding.
    pub data: Vec<u8>,
}

/// Where the fields of an entry are.
struct Layout {
    address: usize,
    interfaces: usize,
    protocol: usize,
    flags: usize,
    inverted: usize,
    offsets: usize,
    counters: usize,
    elements: usize,
    goto: u8,
}

impl Layout {
    fn of(family: Family) -> Self {
        let (address, interfaces, protocol, flags, offsets, goto) = match family {
            Family::V4 => (4, 16, 80, 82, 88, GOTO[0]),
            Family::V6 => (16, 64, 128, 131, 140, GOTO[1]),
        };
        let counters = (offsets + 8_usize).next_multiple_of(ALIGN);
        let (inverted, elements) = (flags + 1, counters + 16);
        Self { address, interfaces, protocol, flags, inverted, offsets, counters, elements, goto }
    }
}

/// Where an entry's target begins and where the next entry does.
struct Extent {
    target: usize,
    next: usize,
}

impl Layout {
    fn extent(&self, blob: &[u8], at: usize) -> Result<Extent, Malformed> {
        let target = at + usize::from(u16_at(blob, at + self.offsets)?);
        let next = at + usize::from(u16_at(blob, at + self.offsets + 2)?);
        let whole =
            at + self.elements <= target && target + EXTENSION_HEADER <= next && next <= blob.len();
        whole.then_some(Extent { target, next }).ok_or(Malformed(at))
    }

    /// The name of the chain that begins here: a user's chain begins with an `ERROR` target.
    fn head(&self, blob: &[u8], at: usize) -> Result<Option<String>, Malformed> {
        let extent = self.extent(blob, at)?;
        let target = Extension::parse(blob, extent.target, extent.next)?;
        Ok((target.name == "ERROR").then(|| text(&target.data)))
    }

    fn entry(&self, blob: &[u8], at: usize, chains: &Chains) -> Result<Entry, Malformed> {
        let extent = self.extent(blob, at)?;
        let address = |index: usize| {
            bytes_at(blob, at + index * self.address, self.address).map(<[u8]>::to_vec)
        };
        let interface = |index: usize| -> Result<String, Malformed> {
            let name = bytes_at(blob, at + self.interfaces + 16 * index, 16)?;
            let mask = bytes_at(blob, at + self.interfaces + 32 + 16 * index, 16)?;
            Ok(pattern(name, mask))
        };
        let flags = u8_at(blob, at + self.flags)?;
        let goto = flags & self.goto != 0;
        Ok(Entry {
            input: interface(0)?,
            output: interface(1)?,
            source: (address(0)?, address(2)?),
            destination: (address(1)?, address(3)?),
            protocol: u16_at(blob, at + self.protocol)?,
            flags: flags & !self.goto,
            inverted: u8_at(blob, at + self.inverted)?,
            matches: matches(blob, at + self.elements, extent.target)?,
            target: target(blob, &extent, goto, chains)?,
            packets: u64_at(blob, at + self.counters)?,
            bytes: u64_at(blob, at + self.counters + 8)?,
        })
    }
}

/// Where chains begin, in ascending order: a jump names the first rule of the chain.
type Chains = Vec<(usize, String)>;

/// Reads all chains of a table.
pub fn parse(family: Family, info: &Info, blob: &[u8]) -> Result<Vec<Chain>, Malformed> {
    let layout = Layout::of(family);
    let mut begins = Chains::new();
    let mut rules = Vec::new();
    let mut at = 0;
    while at < blob.len() {
        let next = layout.extent(blob, at)?.next;
        match layout.head(blob, at)? {
            // The last entry of a table looks like the head of a chain, but none follows.
            Some(name) if next < blob.len() => begins.push((next, name)),
            Some(_) => {}
            None => {
                begins.extend(info.hook_at(at).map(|name| (at, name.to_owned())));
                rules.push(at);
            }
        }
        at = next;
    }
    let mut chains: Vec<Chain> = Vec::new();
    let mut next_chain = begins.iter().peekable();
    for at in rules {
        if let Some((_, name)) = next_chain.next_if(|(first, _)| *first == at) {
            let (rules, end) = (Vec::new(), Target::Return);
            chains.push(Chain { name: name.clone(), rules, end, end_packets: 0 });
        }
        let chain = chains.last_mut().ok_or(Malformed(at))?;
        chain.rules.push(layout.entry(blob, at, &begins)?);
    }
    for chain in &mut chains {
        if let Some(last) = chain.rules.pop() {
            (chain.end, chain.end_packets) = (last.target, last.packets);
        }
    }
    Ok(chains)
}

fn matches(blob: &[u8], mut at: usize, end: usize) -> Result<Vec<Extension>, Malformed> {
    let mut matches = Vec::new();
    while at < end {
        let found = Extension::parse(blob, at, end)?;
        at += found.size();
        matches.push(found);
    }
    Ok(matches)
}

fn target(blob: &[u8], extent: &Extent, goto: bool, chains: &Chains) -> Result<Target, Malformed> {
    let module = Extension::parse(blob, extent.target, extent.next)?;
    if !module.name.is_empty() {
        return Ok(Target::Module(module));
    }
    let verdict = u32_at(&module.data, 0).map_err(|_| Malformed(extent.target))? as i32;
    Ok(match verdict {
        -1 => Target::Drop,
        -2 => Target::Accept,
        -5 => Target::Return,
        // A rule without a target goes on with the next one.
        to if usize::try_from(to) == Ok(extent.next) => Target::Continue,
        to => {
            let malformed = |_| Malformed(extent.target);
            let to = usize::try_from(to).map_err(|_| Malformed(extent.target))?;
            let index = chains.binary_search_by_key(&to, |(first, _)| *first).map_err(malformed)?;
            let name = chains.get(index).map(|(_, name)| name.clone()).unwrap_or_default();
            if goto {
                Target::Goto(name)
            } else {
                Target::Jump(name)
            }
        }
    })
}

impl Extension {
    /// The one at `at`, which ends at `end` at the latest.
    fn parse(blob: &[u8], at: usize, end: usize) -> Result<Self, Malformed> {
        let size = usize::from(u16_at(blob, at)?);
        if size < EXTENSION_HEADER || at + size > end {
            return Err(Malformed(at));
        }
        Ok(Self {
            name: text(bytes_at(blob, at + EXTENSION_NAME.start, EXTENSION_NAME.len())?),
            revision: u8_at(blob, at + EXTENSION_REVISION)?,
            data: bytes_at(blob, at + EXTENSION_HEADER, size - EXTENSION_HEADER)?.to_vec(),
        })
    }

    fn size(&self) -> usize {
        EXTENSION_HEADER + self.data.len()
    }
}

/// A name whose final NUL is compared is a whole one, else it is the beginning of one. What no
/// program writes, a mask with holes, becomes a name that no interface has.
fn pattern(name: &[u8], mask: &[u8]) -> String {
    let compared = mask.iter().take_while(|byte| **byte == 0xff).count();
    if mask.iter().skip(compared).any(|byte| *byte != 0) {
        return "?".to_owned();
    }
    let name = name.get(..compared).unwrap_or(name);
    let whole = compared == 0 || name.contains(&0);
    text(name) + if whole { "" } else { "+" }
}

/// The text before the first NUL.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned()
}

fn bytes_at(bytes: &[u8], at: usize, len: usize) -> Result<&[u8], Malformed> {
    at.checked_add(len).and_then(|end| bytes.get(at..end)).ok_or(Malformed(at))
}

fn u8_at(bytes: &[u8], at: usize) -> Result<u8, Malformed> {
    bytes.get(at).copied().ok_or(Malformed(at))
}

macro_rules! number_at {
    ($name:ident, $number:ty) => {
        fn $name(bytes: &[u8], at: usize) -> Result<$number, Malformed> {
            let bytes = bytes_at(bytes, at, std::mem::size_of::<$number>())?;
            bytes.try_into().map(<$number>::from_ne_bytes).map_err(|_| Malformed(at))
        }
    };
}
number_at!(u16_at, u16);
number_at!(u32_at, u32);
number_at!(u64_at, u64);
