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

//! A table as chains, read from the kernel's bytes and made to bytes again, in the order in which libiptc puts
//! them: the hooks' chains, then users' by their names.

use super::{failure, Failure, Told, NO_CHAIN};
use crate::kernel::Kernel;
use crate::space::Netns;
use crate::xtables::{self, extension, text, word, word16, Family, Layout, EXTENSION};
use std::collections::BTreeMap;

const HOOKS: [&str; 5] = ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"];
const RETURN: i32 = -5;
/// `struct ipt_replace` before its entries.
const REPLACE: usize = 96;

/// What a rule leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum To {
    Verdict(i32),
    Chain(String),
    Next,
    /// A target with its header.
    Module(Vec<u8>),
}

/// A rule: `struct ipt_ip`, matches with their headers, where to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub conditions: Vec<u8>,
    pub matches: Vec<u8>,
    pub to: To,
}

#[derive(Clone, Debug)]
pub(super) struct Chain {
    pub name: String,
    /// The hook whose chain it is.
    hook: Option<usize>,
    pub rules: Vec<Rule>,
    pub policy: i32,
}

pub(super) struct Table {
    family: Family,
    name: String,
    hooks: u32,
    /// How many entries it had as it was read.
    number: u32,
    pub chains: Vec<Chain>,
}

impl Rule {
    /// Whether it holds for every packet.
    pub(super) fn is_always(&self) -> bool {
        self.matches.is_empty() && self.conditions.iter().all(|byte| *byte == 0)
    }

    /// The chain that it leads to.
    pub(super) fn chain(&self) -> Option<String> {
        match &self.to {
            To::Chain(name) => Some(name.clone()),
            _ => None,
        }
    }

    pub(super) fn told(&self) -> Told {
        let (to, always) = (self.chain(), self.is_always());
        let sum = |bytes: &[u8]| {
            bytes.iter().fold(0xcbf2_9ce4_8422_2325u64, |sum, byte| {
                (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
            })
        };
        let target = match &self.to {
            To::Verdict(verdict) => verdict.to_string(),
            To::Module(bytes) => format!("{:x}", sum(bytes)),
            To::Next | To::Chain(_) => String::new(),
        };
        let text = format!("{:x} {:x} {target}", sum(&self.conditions), sum(&self.matches));
        Told { to, always, text }
    }
}

impl Table {
    pub(super) fn read(
        kernel: &mut Kernel,
        netns: Netns,
        family: Family,
        name: &str,
    ) -> Result<Self, i32> {
        let mut asked = name.as_bytes().to_vec();
        asked.resize(84, 0);
        let info = kernel.xtables_get(netns, family, xtables::GET_INFO, &asked)?;
        let (hooks, number, size) = (word(&info, 32), word(&info, 76), word(&info, 80) as usize);
        asked.resize(40 + size, 0);
        asked[32..36].copy_from_slice(&(size as u32).to_ne_bytes());
        asked[36..].fill(0);
        let bytes = kernel.xtables_get(netns, family, xtables::GET_ENTRIES, &asked)?;
        let begins =
            |hook: usize| (hooks >> hook & 1 == 1).then(|| word(&info, 36 + 4 * hook) as usize);
        let begins: Vec<_> =
            (0..HOOKS.len()).filter_map(|hook| Some((begins(hook)?, hook))).collect();
        let chains = chains(&Layout::of(family), &bytes[40..], &begins);
        Ok(Self { family, name: name.to_owned(), hooks, number, chains })
    }

    pub(super) fn chain(&self, name: &str) -> Option<&Chain> {
        self.chains.iter().find(|chain| chain.name == name)
    }

    pub(super) fn chain_mut(&mut self, name: &str) -> Result<&mut Chain, Failure> {
        let chain = self.chains.iter_mut().find(|chain| chain.name == name);
        chain.ok_or_else(|| failure(NO_CHAIN))
    }

    pub(super) fn users(&self) -> impl Iterator<Item = &Chain> {
        self.chains.iter().filter(|chain| chain.hook.is_none())
    }

    pub(super) fn add(&mut self, name: &str) {
        let behind = |chain: &Chain| chain.hook.is_none() && chain.name.as_str() > name;
        let at = self.chains.iter().position(behind).unwrap_or(self.chains.len());
        let name = name.to_owned();
        self.chains.insert(at, Chain { name, hook: None, rules: Vec::new(), policy: RETURN });
    }

    /// `:CHAIN -` of a file that is restored with --noflush: a user's chain is empty afterwards, a hook's stays.
    pub(super) fn declare(&mut self, words: &[&str]) {
        let name = words.first().map_or("", |word| word.trim_start_matches(':'));
        match self.chains.iter_mut().find(|chain| chain.name == name) {
            Some(chain) if chain.hook.is_none() => chain.rules.clear(),
            Some(_) => {}
            None => self.add(name),
        }
    }

    pub(super) fn delete(&mut self, name: &str) -> Result<(), Failure> {
        let chain = self.users().find(|chain| chain.name == name);
        let chain = chain.ok_or_else(|| failure(NO_CHAIN))?;
        let leads = |rule: &Rule| matches!(&rule.to, To::Chain(to) if to == name);
        if self.chains.iter().flat_map(|chain| &chain.rules).any(leads) {
            return Err(failure("Too many links."));
        }
        if !chain.rules.is_empty() {
            return Err(failure("Directory not empty."));
        }
        self.chains.retain(|chain| chain.name != name);
        Ok(())
    }

    /// Replaces the kernel's.
    pub(super) fn write(&mut self, kernel: &mut Kernel, netns: Netns) -> Result<(), i32> {
        let layout = Layout::of(self.family);
        let (mut at, mut first) = (0, BTreeMap::new());
        let (mut entries, mut underflows, mut number) = ([0u32; 5], [0u32; 5], 1);
        let policy = layout.verdict(RETURN).len();
        for chain in &self.chains {
            if chain.hook.is_none() {
                at += layout.head(&chain.name).len();
                number += 1;
            }
            first.insert(chain.name.clone(), at);
            let begins = at;
            at += chain.rules.iter().map(|rule| rule.length(&layout)).sum::<usize>();
            if let Some(hook) = chain.hook {
                (entries[hook], underflows[hook]) = (begins as u32, at as u32);
            }
            at += policy;
            number += chain.rules.len() as u32 + 1;
        }
        let mut bytes = Vec::with_capacity(at + 256);
        for chain in &self.chains {
            if chain.hook.is_none() {
                bytes.extend(layout.head(&chain.name));
            }
            for rule in &chain.rules {
                let next = bytes.len() + rule.length(&layout);
                let verdict = |verdict: i32| extension("", 0, &verdict.to_ne_bytes());
                let target = match &rule.to {
                    To::Verdict(code) => verdict(*code),
                    To::Next => verdict(next as i32),
                    To::Chain(name) => verdict(*first.get(name).ok_or(libc::EINVAL)? as i32),
                    To::Module(target) => target.clone(),
                };
                bytes.extend(layout.entry(&rule.conditions, &rule.matches, &target));
            }
            bytes.extend(layout.verdict(chain.policy));
        }
        bytes.extend(layout.head("ERROR"));
        let mut asked = self.name.as_bytes().to_vec();
        asked.resize(32, 0);
        let numbers = [&[self.hooks, number, bytes.len() as u32][..], &entries, &underflows];
        for number in numbers.concat().into_iter().chain([self.number]) {
            asked.extend(number.to_ne_bytes());
        }
        asked.resize(REPLACE, 0);
        asked.extend(bytes);
        kernel.xtables_set(netns, self.family, xtables::SET_REPLACE, &asked)?;
        self.number = number;
        // What the old rules have counted goes to the new ones.
        let mut counters = self.name.as_bytes().to_vec();
        counters.resize(32, 0);
        counters.extend(number.to_ne_bytes());
        counters.resize(40 + 16 * number as usize, 0);
        kernel.xtables_set(netns, self.family, xtables::SET_ADD_COUNTERS, &counters)
    }
}

impl Rule {
    fn length(&self, layout: &Layout) -> usize {
        let target = match &self.to {
            To::Module(target) => target.len(),
            _ => EXTENSION + 8,
        };
        layout.elements + self.matches.len() + target
    }
}

/// The chains in a table's bytes, with where those of hooks begin.
fn chains(layout: &Layout, bytes: &[u8], begins: &[(usize, usize)]) -> Vec<Chain> {
    let (mut at, mut chains, mut firsts) = (0, Vec::<Chain>::new(), BTreeMap::new());
    let mut jumps = Vec::new();
    while at < bytes.len() {
        let next = at + usize::from(word16(bytes, at + layout.next));
        let target = at + usize::from(word16(bytes, at + layout.target));
        let name = text(&bytes[target + 2..target + EXTENSION - 1]);
        if let Some((_, hook)) = begins.iter().find(|(begin, _)| *begin == at) {
            firsts.insert(at, HOOKS[*hook].to_owned());
            let (name, hook) = (HOOKS[*hook].to_owned(), Some(*hook));
            chains.push(Chain { name, hook, rules: Vec::new(), policy: RETURN });
        }
        if name == b"ERROR" {
            let said = text(&bytes[target + EXTENSION..target + EXTENSION + 30]);
            let name = String::from_utf8_lossy(said).into_owned();
            if next < bytes.len() {
                firsts.insert(next, name.clone());
                chains.push(Chain { name, hook: None, rules: Vec::new(), policy: RETURN });
            }
        } else if let Some(chain) = chains.last_mut() {
            let verdict = word(bytes, target + EXTENSION) as i32;
            let to = match name {
                b"" if verdict < 0 => To::Verdict(verdict),
                b"" if verdict as usize == next => To::Next,
                b"" => {
                    jumps.push((chain.name.clone(), chain.rules.len(), verdict as usize));
                    To::Next
                }
                _ => To::Module(bytes[target..next].to_vec()),
            };
            chain.rules.push(Rule {
                conditions: bytes[at..at + layout.conditions].to_vec(),
                matches: bytes[at + layout.elements..target].to_vec(),
                to,
            });
        }
        at = next;
    }
    for (name, at, to) in jumps {
        let chain = chains.iter_mut().find(|chain| chain.name == name);
        if let (Some(chain), Some(to)) = (chain, firsts.get(&to)) {
            chain.rules[at].to = To::Chain(to.clone());
        }
    }
    // The last of a chain is its policy.
    for chain in &mut chains {
        if let Some(Rule { to: To::Verdict(policy), .. }) = chain.rules.pop() {
            chain.policy = policy;
        }
    }
    chains
}
