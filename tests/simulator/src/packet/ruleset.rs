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

//! A packet filter of nf_tables as its dumps say it: chains, rules, sets and their elements.

use crate::wire::{messages, Attributes};
use std::collections::BTreeMap;

const NEWCHAIN: u16 = 3;
const NEWRULE: u16 = 6;
const NEWSET: u16 = 9;
const NEWSETELEM: u16 = 12;
/// nf_tables' part of a message's type.
const NFTABLES: u16 = 10;
/// NFPROTO_INET, NFPROTO_IPV4
const FAMILIES: [u8; 2] = [1, 2];
const INTERVAL_END: u32 = 1;

/// All tables that see IPv4.
#[derive(Clone, Debug, Default)]
pub struct Ruleset {
    tables: Vec<Table>,
}

#[derive(Clone, Debug)]
struct Table {
    family: u8,
    name: String,
    chains: Vec<Chain>,
    sets: BTreeMap<String, Set>,
}

/// A chain with its rules as bytes.
#[derive(Clone, Debug)]
pub struct Chain {
    pub name: String,
    pub base: Option<Base>,
    /// NFTA_RULE_EXPRESSIONS of each.
    pub rules: Vec<Vec<u8>>,
}

/// What a chain at a hook is.
#[derive(Clone, Debug)]
pub struct Base {
    pub hook: u32,
    pub priority: i32,
    pub nat: bool,
    /// Whether what no rule has decided is dropped.
    pub drops: bool,
}

#[derive(Clone, Debug, Default)]
struct Set {
    elements: Vec<Element>,
}

#[derive(Clone, Debug)]
struct Element {
    key: Vec<u8>,
    last: Option<Vec<u8>>,
    ends: bool,
    /// NFTA_SET_ELEM_DATA.
    data: Vec<u8>,
}

/// A number as nf_tables has it: the high byte first.
pub fn number(all: Attributes<'_>, kind: u16) -> Option<u32> {
    Some(u32::from_be_bytes(all.find(kind)?.get(..4)?.try_into().ok()?))
}

/// A text.
pub fn text(all: Attributes<'_>, kind: u16) -> String {
    let value = all.find(kind).unwrap_or_default();
    let text = value.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}

/// NFTA_DATA_VALUE inside an attribute.
pub fn value(all: Attributes<'_>, kind: u16) -> Vec<u8> {
    let inner = all.inside(kind).and_then(|data| data.find(1));
    inner.unwrap_or_default().to_vec()
}

impl Ruleset {
    /// Reads the datagrams of dumps of chains, rules and elements, in this order.
    pub fn read(dumps: &[Vec<u8>]) -> Self {
        let mut all = Self::default();
        for message in dumps.iter().flat_map(|datagram| messages(datagram)) {
            let family = message.byte(0);
            if message.kind >> 8 != NFTABLES || !FAMILIES.contains(&family) {
                continue;
            }
            let Ok(own) = message.attributes(4) else { continue };
            let table = all.table(family, text(own, 1));
            match message.kind & 0xff {
                NEWCHAIN => table.chains.push(chain(own)),
                NEWRULE => {
                    let name = text(own, 2);
                    let expressions = own.find(4).unwrap_or_default().to_vec();
                    let chain = table.chains.iter_mut().find(|chain| chain.name == name);
                    if let Some(chain) = chain {
                        chain.rules.push(expressions);
                    }
                }
                NEWSET => drop(table.sets.entry(text(own, 2)).or_default()),
                NEWSETELEM => {
                    let set = table.sets.entry(text(own, 2)).or_default();
                    let elements = own.inside(3).into_iter().flatten();
                    set.elements.extend(elements.map(|(_, bytes)| element(Attributes(bytes))));
                }
                _ => {}
            }
        }
        all
    }

    fn table(&mut self, family: u8, name: String) -> &mut Table {
        let is = |table: &Table| table.family == family && table.name == name;
        let at = self.tables.iter().position(is).unwrap_or_else(|| {
            let (chains, sets) = (Vec::new(), BTreeMap::new());
            self.tables.push(Table { family, name, chains, sets });
            self.tables.len() - 1
        });
        &mut self.tables[at]
    }

    /// The chains at a hook with the tables that they are in, by priority.
    pub(super) fn base(&self, hook: u32) -> Vec<(usize, &Chain)> {
        let all = self.tables.iter().enumerate();
        let all = all.flat_map(|(at, table)| table.chains.iter().map(move |chain| (at, chain)));
        let at = |chain: &Chain| {
            chain.base.as_ref().filter(|base| base.hook == hook).map(|b| b.priority)
        };
        let mut found: Vec<_> = all.filter(|(_, chain)| at(chain).is_some()).collect();
        found.sort_by_key(|(_, chain)| at(chain));
        found
    }

    pub(super) fn chain(&self, table: usize, name: &str) -> Option<&Chain> {
        self.tables[table].chains.iter().find(|chain| chain.name == name)
    }

    /// The data that a set has for a key, empty where it is no map; none where the key is not in it.
    pub(super) fn find(&self, table: usize, set: &str, key: &[u8]) -> Option<&[u8]> {
        let elements = &self.tables[table].sets.get(set)?.elements;
        let exactly = elements.iter().find(|element| {
            let first = element.key.as_slice();
            let key = key.get(..first.len()).unwrap_or(key);
            match &element.last {
                // Each part of a key for itself.
                Some(last) => {
                    let parts = first.chunks(4).zip(last.chunks(4)).zip(key.chunks(4));
                    parts.into_iter().all(|((first, last), key)| (first..=last).contains(&key))
                }
                None => !element.ends && key == first,
            }
        });
        if let Some(found) = exactly {
            return Some(&found.data);
        }
        // Intervals are said by where they begin and end.
        if !elements.iter().any(|element| element.ends) {
            return None;
        }
        let below = elements
            .iter()
            .filter(|e| key.get(..e.key.len()).is_some_and(|k| e.key.as_slice() <= k));
        let last = below.max_by_key(|element| (&element.key, !element.ends))?;
        (!last.ends).then_some(last.data.as_slice())
    }
}

fn chain(own: Attributes<'_>) -> Chain {
    let base = own.inside(4).map(|hook| Base {
        hook: number(hook, 1).unwrap_or(u32::MAX),
        priority: number(hook, 2).unwrap_or(0) as i32,
        nat: text(own, 7) == "nat",
        drops: number(own, 5) == Some(0),
    });
    Chain { name: text(own, 3), base, rules: Vec::new() }
}

fn element(own: Attributes<'_>) -> Element {
    let last = own.inside(10).map(|_| value(own, 10));
    Element {
        key: value(own, 1),
        last,
        ends: number(own, 3).unwrap_or(0) & INTERVAL_END != 0,
        data: own.find(2).unwrap_or_default().to_vec(),
    }
}
