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

//! One network namespace: all that is in it.

use crate::address::Address;
use crate::conf::Conf;
use crate::link::Link;
use crate::neighbour::Neighbour;
use crate::route::Tables;
use crate::rule::{self, Rule};
use crate::xtables::Tables as XTables;
use std::collections::BTreeMap;

/// A network namespace. No number is given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Netns(pub u32);

#[derive(Clone, Debug)]
pub struct Space {
    /// How many hold it: mounts, processes, descriptors.
    pub holders: usize,
    pub links: BTreeMap<u32, Link>,
    /// The index that is tried next (`dev_index_reserve()`).
    pub next_index: u32,
    /// Of each link, in the order in which the kernel lists them.
    pub addresses: BTreeMap<u32, Vec<Address>>,
    pub tables: Tables,
    pub rules: Vec<Rule>,
    /// Until a rule is made or deleted, the tables local and main are one (`fib_has_custom_rules`).
    pub custom_rules: bool,
    pub neighbours: Vec<Neighbour>,
    /// Ids of other namespaces here.
    pub ids: BTreeMap<i32, Netns>,
    pub conf_all: Conf,
    pub conf_default: Conf,
    /// Values of files without a meaning here.
    pub files: BTreeMap<String, String>,
    /// `net.ipv6.conf.{all,default}.disable_ipv6`.
    pub no_ipv6: (bool, bool),
    pub xtables: XTables,
}

impl Space {
    pub fn new() -> Self {
        Self {
            holders: 0,
            links: BTreeMap::new(),
            next_index: 1,
            addresses: BTreeMap::new(),
            tables: Tables::default(),
            rules: rule::defaults(),
            custom_rules: false,
            neighbours: Vec::new(),
            ids: BTreeMap::new(),
            conf_all: Conf::default(),
            conf_default: Conf::default(),
            files: crate::sysctl::files(),
            no_ipv6: (false, false),
            xtables: XTables::default(),
        }
    }

    /// The link of a name, or of an alternative one.
    pub fn by_name(&self, name: &str) -> Option<u32> {
        let is =
            |link: &&Link| link.name == name || link.altnames.iter().any(|other| other == name);
        self.links.values().find(is).map(|link| link.index)
    }

    /// The lowest free index from the last one on, which goes round.
    pub fn take_index(&mut self, wanted: u32) -> Result<u32, i32> {
        if wanted != 0 {
            return match self.links.contains_key(&wanted) {
                true => Err(libc::EBUSY),
                false => Ok(wanted),
            };
        }
        while self.links.contains_key(&self.next_index) {
            self.next_index += 1;
        }
        self.next_index += 1;
        Ok(self.next_index - 1)
    }

    /// The id of another namespace; a new one where it has none.
    pub fn id_of(&self, other: Netns) -> Option<i32> {
        self.ids.iter().find(|(_, netns)| **netns == other).map(|(id, _)| *id)
    }
}
