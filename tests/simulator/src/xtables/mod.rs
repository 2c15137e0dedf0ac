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

//! x_tables: the tables of a namespace as the kernel has them, read and replaced by socket options
//! (net/ipv4/netfilter/ip_tables.c, net/ipv6/netfilter/ip6_tables.c). Never announced to anybody.

mod check;
mod extension;
mod layout;
mod walk;

use crate::kernel::Kernel;
use crate::space::Netns;
use check::Checked;
pub(crate) use layout::{extension, text, word, word16, Layout, EXTENSION};
pub(crate) use walk::Turn;

/// IPT_SO_GET_INFO and so on: the same numbers for both families but for revisions.
pub const GET_INFO: i32 = 64;
/// All entries of a table.
pub const GET_ENTRIES: i32 = 65;
/// Whether there is a match; of IPv6 these two are others.
pub const GET_REVISION_MATCH: [i32; 2] = [66, 68];
/// Whether there is a target.
pub const GET_REVISION_TARGET: [i32; 2] = [67, 69];
/// A table is replaced.
pub const SET_REPLACE: i32 = 64;
/// Counters are added to those of a table.
pub const SET_ADD_COUNTERS: i32 = 65;

const TABLE_NAME: usize = 32;
const INFO: usize = 84;
const REPLACE: usize = 96;
const ENTRIES: usize = 40;
const ADD_COUNTERS: usize = 40;
const HOOKS: usize = 5;

/// An IP version of x_tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// iptables
    V4,
    /// ip6tables
    V6,
}

/// The tables that there can be, each with its hooks.
const KNOWN: [(&str, u32); 5] = [
    ("filter", 0b01110),
    ("nat", 0b11011),
    ("mangle", 0b11111),
    ("raw", 0b01001),
    ("security", 0b01110),
];

/// A table as the kernel keeps it: counters are 0.
#[derive(Clone, Debug)]
struct Table {
    name: &'static str,
    hooks: u32,
    entries: [u32; HOOKS],
    underflows: [u32; HOOKS],
    number: u32,
    bytes: Vec<u8>,
}

/// The tables of a namespace.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tables {
    /// The newest first.
    tables: Vec<(Family, Table)>,
    /// How often one was replaced.
    changes: u32,
}

fn name_of(bytes: &[u8]) -> &[u8] {
    let name = &bytes[..TABLE_NAME - 1];
    name.split(|byte| *byte == 0).next().unwrap_or_default()
}

impl Table {
    /// As `ipt_alloc_initial_table()` makes it: each hook accepts.
    fn fresh(family: Family, name: &'static str, hooks: u32) -> Self {
        let layout = Layout::of(family);
        let (mut bytes, mut entries) = (Vec::new(), [u32::MAX; HOOKS]);
        let mut number = 1;
        for (hook, entry) in
            entries.iter_mut().enumerate().filter(|(hook, _)| hooks >> hook & 1 == 1)
        {
            *entry = bytes.len() as u32;
            let mut policy = layout.verdict(-2);
            layout.set_came_from(&mut policy, 1 << hook);
            bytes.extend(policy);
            number += 1;
        }
        bytes.extend(layout.head("ERROR"));
        Self { name, hooks, entries, underflows: entries, number, bytes }
    }
}

impl Tables {
    /// The table of a name, which is made where it is not there yet.
    fn find(&mut self, family: Family, name: &[u8]) -> Result<&mut Table, i32> {
        let is = |(f, table): &(Family, Table)| *f == family && table.name.as_bytes() == name;
        let at = match self.tables.iter().position(is) {
            Some(at) => at,
            None => {
                let known = KNOWN.iter().find(|(known, _)| known.as_bytes() == name);
                let (name, hooks) = *known.ok_or(libc::ENOENT)?;
                self.tables.insert(0, (family, Table::fresh(family, name, hooks)));
                0
            }
        };
        Ok(&mut self.tables[at].1)
    }

    fn get(&mut self, family: Family, option: i32, asked: &[u8]) -> Result<Vec<u8>, i32> {
        let revision = |which: [i32; 2]| option == which[family as usize];
        match option {
            GET_INFO if asked.len() != INFO => Err(libc::EINVAL),
            GET_INFO => {
                let table = self.find(family, name_of(asked))?;
                let mut answer = table.name.as_bytes().to_vec();
                answer.resize(TABLE_NAME, 0);
                let numbers = [&[table.hooks][..], &table.entries, &table.underflows];
                let last = [table.number, table.bytes.len() as u32];
                for number in numbers.concat().into_iter().chain(last) {
                    answer.extend(number.to_ne_bytes());
                }
                Ok(answer)
            }
            GET_ENTRIES if asked.len() < ENTRIES => Err(libc::EINVAL),
            GET_ENTRIES => {
                let size = word(asked, TABLE_NAME) as usize;
                if asked.len() != ENTRIES + size {
                    return Err(libc::EINVAL);
                }
                let table = self.find(family, name_of(asked))?;
                if table.bytes.len() != size {
                    return Err(libc::EAGAIN);
                }
                let mut answer = asked[..ENTRIES].to_vec();
                answer.extend(&table.bytes);
                Ok(answer)
            }
            _ if revision(GET_REVISION_MATCH) => extension::revision(family, asked, false),
            _ if revision(GET_REVISION_TARGET) => extension::revision(family, asked, true),
            _ => Err(libc::ENOPROTOOPT),
        }
    }

    fn set(&mut self, family: Family, option: i32, asked: &[u8]) -> Result<(), i32> {
        match option {
            SET_REPLACE => self.replace(family, asked),
            SET_ADD_COUNTERS => self.add(family, asked),
            _ => Err(libc::ENOPROTOOPT),
        }
    }

    /// `do_replace()`
    fn replace(&mut self, family: Family, asked: &[u8]) -> Result<(), i32> {
        if asked.len() < REPLACE {
            return Err(libc::EINVAL);
        }
        let (size, counters) = (word(asked, 40) as usize, word(asked, 84));
        if counters >= i32::MAX as u32 / 16 {
            return Err(libc::ENOMEM);
        }
        if counters == 0 || asked.len() < size + REPLACE {
            return Err(libc::EINVAL);
        }
        let numbers = |at: usize| std::array::from_fn(|hook| word(asked, at + 4 * hook));
        let (name, hooks) = (name_of(asked), word(asked, 32));
        let mut checked = Checked {
            layout: Layout::of(family),
            hooks,
            asked: [numbers(44), numbers(64)],
            entries: [u32::MAX; HOOKS],
            underflows: [u32::MAX; HOOKS],
            number: word(asked, 36),
            bytes: asked[REPLACE..REPLACE + size].to_vec(),
        };
        checked.translate(family, name)?;
        let table = self.find(family, name)?;
        if hooks != table.hooks {
            return Err(libc::EINVAL);
        }
        if counters != table.number {
            return Err(libc::EAGAIN);
        }
        let Checked { entries, underflows, number, bytes, .. } = checked;
        *table = Table { name: table.name, hooks, entries, underflows, number, bytes };
        self.changes += 1;
        Ok(())
    }

    /// `do_add_counters()`; nothing is counted here, and so nothing is added.
    fn add(&mut self, family: Family, asked: &[u8]) -> Result<(), i32> {
        if asked.len() < ADD_COUNTERS {
            return Err(libc::EINVAL);
        }
        let number = word(asked, TABLE_NAME);
        if asked.len() != ADD_COUNTERS + 16 * number as usize {
            return Err(libc::EINVAL);
        }
        match self.find(family, name_of(asked))?.number == number {
            true => Ok(()),
            false => Err(libc::EINVAL),
        }
    }
}

impl Kernel {
    /// A socket option of x_tables is read: what is there afterwards of what was asked with.
    pub fn xtables_get(
        &mut self,
        netns: Netns,
        family: Family,
        option: i32,
        asked: &[u8],
    ) -> Result<Vec<u8>, i32> {
        self.space_mut(netns).xtables.get(family, option, asked)
    }

    /// One is set.
    pub fn xtables_set(
        &mut self,
        netns: Netns,
        family: Family,
        option: i32,
        asked: &[u8],
    ) -> Result<(), i32> {
        self.space_mut(netns).xtables.set(family, option, asked)
    }

    /// The tables that are in use, as `/proc/net/ip_tables_names` lists them.
    pub fn xtables_names(&self, netns: Netns, family: Family) -> String {
        let all = self.space(netns).xtables.tables.iter().filter(|(f, _)| *f == family);
        all.map(|(_, table)| format!("{}\n", table.name)).collect()
    }

    /// How often they were changed.
    pub fn xtables_changes(&self, netns: Netns) -> u32 {
        self.space(netns).xtables.changes
    }
}
