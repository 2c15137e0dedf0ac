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

//! Which commands lead from the chains that are there to those that are wanted. Pure.
//!
//! A chain is never rewritten while packets pass through it, but for rules that come or go without any
//! other being changed (`in_place.rs`). Each has two names: the new one is
//! built under the name that is not in use, then its jump is put first, then the old one goes. So
//! there is no moment in which a guest's packet finds a jump and no rule at its end that drops it.
//!
//! What stands as it should is not built again: where only its jump is lost (netd, when it starts,
//! empties the chains of the hooks and leaves ours), one command puts it back.

use super::anchor::{chain, Anchor};
use super::entries::Chain;
use super::meaning;
use super::programs::Call;
use crate::firewall::{Family, Rule};

/// The commands for one anchor, in the order in which they have to be run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Makes the new chain; no packet comes near it.
    pub build: Vec<Call>,
    /// Puts it to use.
    pub hook: Vec<Call>,
    /// Removes the old one.
    pub remove: Vec<Call>,
}

impl Anchor {
    /// What is not as it should be, in words.
    pub fn difference(&self, wanted: &[Rule], chains: &[Chain]) -> Option<String> {
        let there = |name: &&&str| chain(chains, name).is_some();
        let program = match self.family {
            Family::V4 => "iptables",
            Family::V6 => "ip6tables",
        };
        let say = |what: String| Some(format!("in {program}'s table `{}` {what}", self.table));
        if wanted.is_empty() {
            let left = self.names.iter().find(there);
            return left.and_then(|name| say(format!("the chain `{name}` should not be there")));
        }
        let name = match self.hooked(chains) {
            Ok(name) => name,
            Err(what) => return say(what),
        };
        let (same, of) = self.same(name, wanted, chains);
        if same == of {
            return None;
        }
        say(format!("rule {} of {of} in `{name}` is not guestnetd's", same + 1))
    }

    /// The one chain of ours that is there, jumped to from where it should be and from nowhere else; or
    /// what is not so, in words.
    fn hooked(&self, chains: &[Chain]) -> Result<&'static str, String> {
        let jumps = self.jumps(chains, self.parent);
        let [(at, name)] = jumps.as_slice() else {
            return Err(match jumps.len() {
                0 => format!("`{}` has no jump to guestnetd's chain", self.parent),
                n => format!("`{}` has {n} jumps to guestnetd's chains", self.parent),
            });
        };
        if self.must_be_first() && *at != 0 {
            return Err(format!("the jump to `{name}` is not the first rule of `{}`", self.parent));
        }
        if let Some(stray) = self.elsewhere.filter(|from| !self.jumps(chains, from).is_empty()) {
            return Err(format!("`{stray}` has a jump that should be in `{}` only", self.parent));
        }
        if let Some(other) = self
            .names
            .iter()
            .filter(|other| *other != name)
            .find(|other| chain(chains, other).is_some())
        {
            return Err(format!("the chain `{other}` should not be there"));
        }
        Ok(*name)
    }

    /// How many rules of a chain, from its beginning, are those that are wanted, and of how many.
    fn same(&self, name: &str, wanted: &[Rule], chains: &[Chain]) -> (usize, usize) {
        let rules = chain(chains, name).map(|chain| chain.rules.as_slice()).unwrap_or_default();
        let meant = rules.iter().map(|entry| meaning::rule(entry, self.hook, self.family));
        let same = meant.zip(wanted).take_while(|(is, rule)| is.as_ref() == Some(*rule)).count();
        (same, rules.len().max(wanted.len()))
    }

    /// The commands that make it so. Nothing to do: none.
    pub fn change(&self, wanted: &[Rule], chains: &[Chain]) -> Change {
        if self.difference(wanted, chains).is_none() {
            return Change::default();
        }
        if wanted.is_empty() {
            let remove = self.names.iter().flat_map(|name| self.remove(name, chains)).collect();
            return Change { remove, ..Change::default() };
        }
        let stands = |name: &&str| {
            let (same, of) = self.same(name, wanted, chains);
            same == of
        };
        let in_use = self.in_use(chains);
        if let Some(name) = in_use.into_iter().chain(self.names).find(|name| stands(name)) {
            return self.hook_again(name, chains);
        }
        if let Some(change) =
            self.hooked(chains).ok().and_then(|name| self.in_place(name, wanted, chains))
        {
            return change;
        }
        match in_use {
            // A stand-in (see hook_in_turn()) that was left: what it stands for is put in its place.
            Some(name) if !self.jumps(chains, name).is_empty() => {
                let mut change = self.rebuild(name, wanted, chains);
                let stood_for = self.other(name);
                change.build.insert(0, self.put(stood_for));
                change.remove.insert(0, self.jump("-D", self.parent, stood_for));
                change
            }
            // One that others have emptied is open, until the new one is in front of it.
            Some(name) => self.rebuild(self.other(name), wanted, chains),
            None => self.rebuild(self.names[0], wanted, chains),
        }
    }

    /// Builds the chain under the name `new`, and puts it in the other's place.
    fn rebuild(&self, new: &'static str, wanted: &[Rule], chains: &[Chain]) -> Change {
        let mut change = Change::default();
        // A second jump, behind the one in use.
        change.build.extend(self.leave(new, chains));
        change.build.push(self.emptied(new, chains));
        change.build.extend(wanted.iter().map(|rule| self.append(new, rule)));
        change.hook.push(self.put(new));
        change.remove.extend(self.remove(self.other(new), chains));
        change
    }

    /// Puts the jump to a chain that stands where it belongs, and takes away what is too many.
    fn hook_again(&self, name: &'static str, chains: &[Chain]) -> Change {
        let jumps = self.jumps(chains, self.parent);
        let count = jumps.iter().filter(|(_, to)| *to == name).count();
        let in_front = jumps.iter().enumerate();
        let in_front = in_front.take_while(|(nth, jump)| **jump == (*nth, name)).count();
        let placed = if self.must_be_first() { in_front > 0 } else { count > 0 };
        let mut change = Change::default();
        if !placed {
            change.hook.push(self.put(name));
        }
        let too_many = count - usize::from(placed);
        if too_many > 0 && in_front < count && self.must_be_first() {
            change.remove = self.hook_in_turn(name, count + usize::from(!placed), chains);
        } else {
            change.remove.extend(self.unhook(self.parent, name, too_many));
            change.remove.extend(self.remove(self.other(name), chains));
        }
        let strays = self.elsewhere.into_iter();
        change.remove.extend(strays.flat_map(|from| {
            let strays = self.jumps(chains, from).into_iter().filter(|(_, to)| *to == name);
            self.unhook(from, name, strays.count())
        }));
        change
    }

    /// Leaves one of `count` jumps to a chain, in front. `-D` takes the one in front first; so that
    /// there is one all the time, the other name stands in, with a jump to the chain.
    fn hook_in_turn(&self, name: &'static str, count: usize, chains: &[Chain]) -> Vec<Call> {
        let stand_in = self.other(name);
        let mut calls: Vec<_> = self.leave(stand_in, chains).collect();
        calls.extend([
            self.emptied(stand_in, chains),
            self.jump("-A", stand_in, name),
            self.put(stand_in),
        ]);
        calls.extend(self.unhook(self.parent, name, count));
        calls.extend([self.put(name), self.jump("-D", self.parent, stand_in)]);
        calls.extend([self.call(["-F", stand_in]), self.call(["-X", stand_in])]);
        calls
    }

    /// Makes a chain, or makes it empty.
    fn emptied(&self, name: &str, chains: &[Chain]) -> Call {
        self.call([if chain(chains, name).is_some() { "-F" } else { "-N" }, name])
    }

    /// Takes away the jumps to a chain, and the chain.
    fn remove(&self, name: &'static str, chains: &[Chain]) -> Vec<Call> {
        let mut calls: Vec<_> = self.leave(name, chains).collect();
        if chain(chains, name).is_some() {
            calls.extend([self.call(["-F", name]), self.call(["-X", name])]);
        }
        calls
    }

    /// Takes away every jump to a chain.
    fn leave<'a>(
        &'a self,
        name: &'static str,
        chains: &'a [Chain],
    ) -> impl Iterator<Item = Call> + 'a {
        self.parents().flat_map(move |from| {
            let jumps = self.jumps(chains, from).into_iter().filter(|(_, to)| *to == name);
            self.unhook(from, name, jumps.count())
        })
    }

    fn unhook(&self, from: &str, name: &str, count: usize) -> Vec<Call> {
        vec![self.jump("-D", from, name); count]
    }
}
