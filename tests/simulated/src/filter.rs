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

//! nf_tables as far as guestnetd's table needs it: transactions that are taken as a whole or not, by
//! generations; owners; tables, chains, sets, elements, rules and objects kept as the bytes that were
//! sent. What a rule does to a packet is not known here. Connection tracking, which has nothing.

use crate::wire::{attribute, attributes, name_attribute};
use guestnet_simulator::{Netns, Ruleset};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::rc::Rc;

/// The packet filter of each namespace.
#[derive(Default)]
pub struct Filter(BTreeMap<Netns, Tables>);

#[derive(Clone)]
struct Tables {
    generation: u32,
    handles: u64,
    tables: BTreeMap<(u8, Vec<u8>), Table>,
    /// What packets meet, as it was at a generation: between two writes of rules it is asked for many times.
    met: RefCell<Option<(u32, Rc<Ruleset>)>>,
}

impl Tables {
    fn fresh() -> Self {
        Self { generation: 1, handles: 0, tables: BTreeMap::new(), met: RefCell::default() }
    }
}

#[derive(Clone, Default)]
struct Table {
    flags: u32,
    owner: Option<u32>,
    chains: Vec<Chain>,
    sets: Vec<Set>,
    objects: Vec<(Vec<u8>, Vec<u8>)>,
}

#[derive(Clone)]
struct Chain {
    name: Vec<u8>,
    /// As they came, but for the table's name.
    attributes: Vec<u8>,
    /// Their handles and instructions.
    rules: Vec<(u64, Rc<[u8]>)>,
}

#[derive(Clone)]
struct Set {
    name: Vec<u8>,
    attributes: Vec<u8>,
    /// By their keys.
    elements: BTreeMap<Vec<u8>, Vec<u8>>,
}

const OWNER: u32 = 2;
const PERSIST: u32 = 4;
const NLM_F_MULTI: u16 = 2;
const NLM_F_ACK: u16 = 4;
const NLM_F_EXCL: u16 = 0x200;
const NLM_F_DUMP: u16 = 0x300;
const NLM_F_APPEND: u16 = 0x800;
const NLM_F_CAPPED: u16 = 0x100;
const ERESTART: i32 = 85;
const NFTABLES: u16 = 10;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;

struct Request<'a> {
    kind: u16,
    flags: u16,
    sequence: [u8; 4],
    header: [u8; 16],
    family: u8,
    attributes: Vec<(u16, &'a [u8])>,
}

impl<'a> Request<'a> {
    fn read(message: &'a [u8]) -> Option<Self> {
        Some(Self {
            kind: u16::from_ne_bytes(message.get(4..6)?.try_into().ok()?),
            flags: u16::from_ne_bytes(message.get(6..8)?.try_into().ok()?),
            sequence: message.get(8..12)?.try_into().ok()?,
            header: message.get(..16)?.try_into().ok()?,
            family: *message.get(16)?,
            attributes: attributes(message.get(20..)?),
        })
    }

    fn find(&self, kind: u16) -> Option<&'a [u8]> {
        self.attributes.iter().find(|(k, _)| *k == kind).map(|(_, value)| *value)
    }

    fn name(&self, kind: u16) -> Vec<u8> {
        let value = self.find(kind).unwrap_or_default();
        value.split(|byte| *byte == 0).next().unwrap_or_default().to_vec()
    }

    fn number(&self, kind: u16) -> Option<u32> {
        Some(u32::from_be_bytes(self.find(kind)?.try_into().ok()?))
    }

    fn answer(&self, port: u32, errno: i32) -> Vec<u8> {
        let mut bytes = self.head(36, 2, NLM_F_CAPPED, port);
        bytes.extend_from_slice(&(-errno).to_ne_bytes());
        bytes.extend_from_slice(&self.header);
        bytes
    }

    /// An object as an answer: of the kind behind this request's (NFT_MSG_NEW* is before NFT_MSG_GET*).
    fn object(&self, port: u32, family: u8, multi: bool, attributes: &[u8]) -> Vec<u8> {
        let (length, flags) = (20 + attributes.len(), if multi { NLM_F_MULTI } else { 0 });
        let mut bytes = self.head(length, self.kind - 1, flags, port);
        bytes.extend_from_slice(&[family, 0, 0, 0]);
        bytes.extend_from_slice(attributes);
        bytes
    }

    fn done(&self, port: u32) -> Vec<u8> {
        let mut bytes = self.head(20, 3, NLM_F_MULTI, port);
        bytes.extend_from_slice(&0u32.to_ne_bytes());
        bytes
    }

    /// The header of an answer of this length.
    fn head(&self, length: usize, kind: u16, flags: u16, port: u32) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length);
        bytes.extend_from_slice(&(length as u32).to_ne_bytes());
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(&flags.to_ne_bytes());
        bytes.extend_from_slice(&self.sequence);
        bytes.extend_from_slice(&port.to_ne_bytes());
        bytes
    }
}

/// As many messages as there is room for in each datagram.
fn datagrams(messages: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = Vec::new();
    for message in messages {
        match all.last_mut().filter(|last| last.len() + message.len() <= 3_776) {
            Some(last) => {
                last.resize(last.len().next_multiple_of(4), 0);
                last.extend_from_slice(&message);
            }
            None => all.push(message),
        }
    }
    all
}

impl Filter {
    /// A request, or a transaction.
    pub fn send(&mut self, netns: Netns, port: u32, messages: &[&[u8]]) -> Vec<Vec<u8>> {
        let all: Vec<_> = messages.iter().filter_map(|message| Request::read(message)).collect();
        let tables = self.0.entry(netns).or_insert_with(Tables::fresh);
        match all.first() {
            Some(first) if first.kind == BATCH_BEGIN => tables.transaction(port, &all),
            _ => all.iter().flat_map(|one| tables.read(port, one)).collect(),
        }
    }

    /// A socket is closed: a table that it owns goes, or has no owner any more.
    pub fn closed(&mut self, netns: Netns, port: u32) {
        let Some(tables) = self.0.get_mut(&netns) else { return };
        let before = tables.tables.len();
        tables.tables.retain(|_, table| table.owner != Some(port) || table.flags & PERSIST != 0);
        let mut changed = tables.tables.len() != before;
        for table in tables.tables.values_mut().filter(|table| table.owner == Some(port)) {
            table.owner = None;
            table.flags &= !OWNER;
            changed = true;
        }
        if changed {
            tables.generation += 1;
        }
    }

    /// How often the tables have changed.
    pub fn generation(&self, netns: Netns) -> u32 {
        self.0.get(&netns).map_or(0, |tables| tables.generation)
    }

    /// The rules, as what becomes of a packet is told by.
    pub fn rules(&self, netns: Netns) -> Rc<Ruleset> {
        let Some(tables) = self.0.get(&netns) else { return Rc::default() };
        let mut met = tables.met.borrow_mut();
        match &*met {
            Some((generation, rules)) if *generation == tables.generation => Rc::clone(rules),
            _ => {
                let rules = Rc::new(tables.rules());
                *met = Some((tables.generation, Rc::clone(&rules)));
                rules
            }
        }
    }

    /// Whether guestnetd's table is there with rules for what is forwarded and what comes in. With those
    /// nothing of a guest's passes that is not said of it.
    pub fn is_closed(&self, netns: Netns) -> bool {
        let table = self.0.get(&netns).and_then(|all| all.tables.get(&(1, b"guestnet".to_vec())));
        let has = |table: &Table, name: &[u8]| {
            table.chains.iter().any(|chain| chain.name == name && !chain.rules.is_empty())
        };
        table.is_some_and(|table| has(table, b"forward") && has(table, b"input"))
    }

    /// Whether guestnetd's table says that this interface is a guest's.
    pub fn knows_guest(&self, netns: Netns, interface: &str) -> bool {
        let Some(tables) = self.0.get(&netns) else { return false };
        let Some(table) = tables.tables.get(&(1, b"guestnet".to_vec())) else { return false };
        let forward = table.chains.iter().any(|c| c.name == b"forward" && !c.rules.is_empty());
        let set = table.sets.iter().find(|set| set.name == b"guests");
        let of = |key: &Vec<u8>| {
            key.get(..16).is_some_and(|name| {
                name.split(|byte| *byte == 0).next() == Some(interface.as_bytes())
            })
        };
        forward && set.is_some_and(|set| set.elements.keys().any(of))
    }

    /// The addresses that a guest is let in from by its host end.
    pub fn sources(&self, netns: Netns, interface: &str) -> Vec<Ipv4Addr> {
        let tables = self.0.get(&netns).into_iter();
        let table = tables.flat_map(|tables| tables.tables.get(&(1, b"guestnet".to_vec())));
        let sets = table.flat_map(|table| &table.sets).filter(|set| set.name == b"guests");
        let of = |key: &Vec<u8>| {
            let (name, address) = (key.get(..16)?, key.get(16..20)?);
            let ours = name.split(|byte| *byte == 0).next() == Some(interface.as_bytes());
            ours.then(|| <[u8; 4]>::try_from(address).ok().map(Ipv4Addr::from)).flatten()
        };
        sets.flat_map(|set| set.elements.keys().filter_map(of)).collect()
    }

    /// Deletes a table of any owner, as `nft` by its owner or a reboot of a service would. Tells
    /// whether it was there.
    pub fn delete(&mut self, netns: Netns, name: &str) -> bool {
        let Some(tables) = self.0.get_mut(&netns) else { return false };
        let gone = tables.tables.remove(&(1, name.as_bytes().to_vec())).is_some();
        tables.generation += u32::from(gone);
        gone
    }

    /// Takes the last rule of a chain of a table.
    pub fn delete_rule(&mut self, netns: Netns, name: &str, chain: usize) -> bool {
        let Some(tables) = self.0.get_mut(&netns) else { return false };
        let Some(table) = tables.tables.get_mut(&(1, name.as_bytes().to_vec())) else {
            return false;
        };
        let full = table.chains.iter_mut().filter(|chain| !chain.rules.is_empty());
        let mut full: Vec<_> = full.collect();
        let count = full.len();
        let gone = count > 0 && full[chain % count].rules.pop().is_some();
        tables.generation += u32::from(gone);
        gone
    }

    /// A table of others' comes or goes.
    pub fn others(&mut self, netns: Netns, name: &str, gone: bool) {
        let tables = self.0.entry(netns).or_insert_with(Tables::fresh);
        tables.generation += 1;
        match gone {
            true => drop(tables.tables.remove(&(1, name.as_bytes().to_vec()))),
            false => {
                tables.tables.entry((1, name.as_bytes().to_vec())).or_default();
            }
        }
    }

    /// All of it, as lines without handles.
    pub fn lines(&self, netns: Netns) -> Vec<String> {
        let mut lines = Vec::new();
        let Some(tables) = self.0.get(&netns) else { return lines };
        for ((family, name), table) in &tables.tables {
            let of = format!("nft {family} {}", String::from_utf8_lossy(name));
            lines.push(format!("{of} flags {}", table.flags));
            for chain in &table.chains {
                let is = format!("{of} chain {}", String::from_utf8_lossy(&chain.name));
                lines.push(format!("{is} {}", brief(&chain.attributes)));
                for (at, (_, rule)) in chain.rules.iter().enumerate() {
                    lines.push(format!("{is} rule {at} {}", brief(rule)));
                }
            }
            for set in &table.sets {
                let is = format!("{of} set {}", String::from_utf8_lossy(&set.name));
                lines.push(is.clone());
                for key in set.elements.keys() {
                    let words: String = key
                        .iter()
                        .map(|b| match b {
                            b'a'..=b'z' | b'_' | b'0'..=b'9' => (*b as char).to_string(),
                            0 => String::new(),
                            other => format!(".{other}"),
                        })
                        .collect();
                    lines.push(format!("{is} {words}"));
                }
            }
            for (name, _) in &table.objects {
                lines.push(format!("{of} object {}", String::from_utf8_lossy(name)));
            }
        }
        lines
    }
}

/// Bytes that a person need not read.
fn brief(bytes: &[u8]) -> String {
    let sum = bytes.iter().fold(0xcbf2_9ce4_8422_2325u64, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{} bytes {sum:016x}", bytes.len())
}

/// The lines of a namespace's filter.
pub fn lines(netns: Netns) -> Vec<String> {
    crate::world::world().filter.lines(netns)
}

impl Tables {
    fn rules(&self) -> Ruleset {
        let ask = |kind: u16, family: u8, names: &[&[u8]]| {
            let mut bytes = vec![0; 16];
            bytes[4..6].copy_from_slice(&(NFTABLES << 8 | kind).to_ne_bytes());
            bytes[6..8].copy_from_slice(&(NLM_F_DUMP | 1).to_ne_bytes());
            bytes.extend([family, 0, 0, 0]);
            for (at, name) in names.iter().enumerate() {
                name_attribute(&mut bytes, at as u16 + 1, name);
            }
            Request::read(&bytes).map(|request| self.read(1, &request)).unwrap_or_default()
        };
        let mut all = [ask(4, 0, &[]), ask(7, 0, &[]), ask(10, 0, &[])].concat();
        for ((family, name), table) in &self.tables {
            for set in &table.sets {
                all.extend(ask(13, *family, &[name, &set.name]));
            }
        }
        Ruleset::read(&all)
    }

    fn transaction(&mut self, port: u32, all: &[Request<'_>]) -> Vec<Vec<u8>> {
        if let Some(generation) = all[0].number(1) {
            if generation != self.generation {
                return vec![all[0].answer(port, ERESTART)];
            }
        }
        let before = self.clone();
        let (mut answers, mut failed) = (Vec::new(), false);
        for one in all.iter().filter(|one| one.kind != BATCH_BEGIN && one.kind != BATCH_END) {
            match self.change(port, one) {
                Err(errno) => {
                    failed = true;
                    answers.push(one.answer(port, errno));
                    // The kernel goes on, for more errors; the first one is what is read.
                    break;
                }
                Ok(()) if one.flags & NLM_F_ACK != 0 => answers.push(one.answer(port, 0)),
                Ok(()) => {}
            }
        }
        if failed {
            *self = before;
        } else {
            self.generation += 1;
        }
        answers
    }

    fn change(&mut self, port: u32, one: &Request<'_>) -> Result<(), i32> {
        if one.kind >> 8 != NFTABLES {
            return Err(libc::EOPNOTSUPP);
        }
        self.handles += 1;
        let handle = self.handles;
        let id = (one.family, one.name(1));
        let excl = one.flags & NLM_F_EXCL != 0;
        if let Some(owner) = self.tables.get(&id).and_then(|table| table.owner) {
            if owner != port {
                return Err(libc::EPERM);
            }
        }
        if one.kind & 0xff == 0 {
            let flags = one.number(2).unwrap_or(0);
            let owner = (flags & OWNER != 0).then_some(port);
            match self.tables.get_mut(&id) {
                Some(_) if excl => return Err(libc::EEXIST),
                Some(table) if owner.is_some() && table.owner.is_none() => {
                    // It may be taken over that outlived its owner, and no other.
                    if table.flags & PERSIST == 0 {
                        return Err(libc::EOPNOTSUPP);
                    }
                    (table.owner, table.flags) = (owner, flags);
                }
                Some(_) => {}
                None => {
                    self.tables.insert(id, Table { flags, owner, ..Table::default() });
                }
            }
            return Ok(());
        }
        let table = self.tables.get_mut(&id).ok_or(libc::ENOENT)?;
        let kept = |skip: &[u16]| {
            let mut bytes = Vec::new();
            for (kind, value) in one.attributes.iter().filter(|(kind, _)| !skip.contains(kind)) {
                attribute(&mut bytes, *kind, value);
            }
            bytes
        };
        match one.kind & 0xff {
            2 => drop(self.tables.remove(&id)),
            3 => {
                let name = one.name(3);
                if !table.chains.iter().any(|chain| chain.name == name) {
                    let attributes = kept(&[1]);
                    table.chains.push(Chain { name, attributes, rules: Vec::new() });
                } else if excl {
                    return Err(libc::EEXIST);
                }
            }
            6 => {
                let name = one.name(2);
                let chain = table.chains.iter_mut().find(|chain| chain.name == name);
                let rules = &mut chain.ok_or(libc::ENOENT)?.rules;
                let rule = (handle, one.find(4).unwrap_or_default().into());
                match one.flags & NLM_F_APPEND != 0 {
                    true => rules.push(rule),
                    false => rules.insert(0, rule),
                }
            }
            8 => {
                let name = one.name(2);
                let of = |chain: &&mut Chain| name.is_empty() || chain.name == name;
                table.chains.iter_mut().filter(of).for_each(|chain| chain.rules.clear());
            }
            9 => {
                let name = one.name(2);
                if !table.sets.iter().any(|set| set.name == name) {
                    let attributes = kept(&[1, 10]);
                    table.sets.push(Set { name, attributes, elements: BTreeMap::new() });
                }
            }
            11 => {
                let name = one.name(2);
                let at = table.sets.iter().position(|set| set.name == name).ok_or(libc::ENOENT)?;
                table.sets.remove(at);
            }
            kind @ (12 | 14) => {
                let name = one.name(2);
                let set = table.sets.iter_mut().find(|set| set.name == name).ok_or(libc::ENOENT)?;
                for (_, element) in attributes(one.find(3).unwrap_or_default()) {
                    let key = attributes(element).into_iter().find(|(kind, _)| *kind == 1);
                    let key = attributes(key.map(|(_, key)| key).unwrap_or_default());
                    let key = key.first().map(|(_, value)| value.to_vec()).unwrap_or_default();
                    if kind == 12 {
                        set.elements.insert(key, element.to_vec());
                    } else if set.elements.remove(&key).is_none() {
                        return Err(libc::ENOENT);
                    }
                }
            }
            18 => table.objects.push((one.name(2), kept(&[1]))),
            _ => return Err(libc::EOPNOTSUPP),
        }
        Ok(())
    }

    fn read(&self, port: u32, one: &Request<'_>) -> Vec<Vec<u8>> {
        let dumps = one.flags & NLM_F_DUMP == NLM_F_DUMP;
        if one.kind >> 8 != NFTABLES {
            // Connection tracking: there are none.
            return match dumps {
                true => vec![one.done(port)],
                false => vec![one.answer(port, libc::ENOENT)],
            };
        }
        let objects = match self.objects(one) {
            Ok(objects) => objects,
            Err(errno) => return vec![one.answer(port, errno)],
        };
        let mut answers: Vec<_> =
            objects.iter().map(|(family, one_)| one.object(port, *family, dumps, one_)).collect();
        if dumps {
            answers.push(one.done(port));
        } else if one.flags & NLM_F_ACK != 0 {
            answers.push(one.answer(port, 0));
        }
        datagrams(answers)
    }

    /// What is asked for: the family of each, and its attributes.
    fn objects(&self, one: &Request<'_>) -> Result<Vec<(u8, Vec<u8>)>, i32> {
        let mut found = Vec::new();
        let wanted = one.name(1);
        let of_family = |family: u8| one.family == 0 || one.family == family;
        let tables = || self.tables.iter().filter(|((family, _), _)| of_family(*family));
        let named = || tables().filter(|((_, name), _)| wanted.is_empty() || *name == wanted);
        let begin = |name: &[u8]| {
            let mut bytes = Vec::with_capacity(512);
            name_attribute(&mut bytes, 1, name);
            bytes
        };
        let handle = |bytes: &mut Vec<u8>, kind: u16, handle: u64| {
            attribute(bytes, kind, &handle.to_be_bytes());
        };
        match one.kind & 0xff {
            16 => {
                let mut bytes = Vec::new();
                attribute(&mut bytes, 1, &self.generation.to_be_bytes());
                found.push((0, bytes));
            }
            1 => {
                for ((family, name), table) in named() {
                    let mut bytes = begin(name);
                    attribute(&mut bytes, 2, &table.flags.to_be_bytes());
                    attribute(&mut bytes, 3, &(table.chains.len() as u32).to_be_bytes());
                    handle(&mut bytes, 4, 1);
                    if let Some(owner) = table.owner {
                        attribute(&mut bytes, 7, &owner.to_be_bytes());
                    }
                    found.push((*family, bytes));
                }
                if found.is_empty() && one.flags & NLM_F_DUMP != NLM_F_DUMP {
                    return Err(libc::ENOENT);
                }
            }
            4 => {
                for ((family, name), table) in tables() {
                    for chain in &table.chains {
                        let mut bytes = begin(name);
                        bytes.extend(&chain.attributes);
                        found.push((*family, bytes));
                    }
                }
            }
            7 => {
                for ((family, name), table) in named() {
                    for chain in &table.chains {
                        for (number, rule) in &chain.rules {
                            let mut bytes = begin(name);
                            name_attribute(&mut bytes, 2, &chain.name);
                            handle(&mut bytes, 3, *number);
                            attribute(&mut bytes, 4 | 0x8000, rule);
                            found.push((*family, bytes));
                        }
                    }
                }
            }
            10 => {
                for ((family, name), table) in named() {
                    for set in &table.sets {
                        let mut bytes = begin(name);
                        bytes.extend(&set.attributes);
                        found.push((*family, bytes));
                    }
                }
            }
            13 => {
                let set = one.name(2);
                let (key, table) = named().next().ok_or(libc::ENOENT)?;
                let set = table.sets.iter().find(|one| one.name == set).ok_or(libc::ENOENT)?;
                for some in set.elements.values().collect::<Vec<_>>().chunks(64) {
                    let mut list = Vec::new();
                    some.iter().for_each(|element| attribute(&mut list, 1 | 0x8000, element));
                    let mut bytes = begin(&key.1);
                    name_attribute(&mut bytes, 2, &set.name);
                    attribute(&mut bytes, 3 | 0x8000, &list);
                    found.push((key.0, bytes));
                }
            }
            _ => return Err(libc::EOPNOTSUPP),
        }
        Ok(found)
    }
}
