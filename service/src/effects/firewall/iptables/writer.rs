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

//! Which commands lead from what is there to the rules that are wanted, whatever is there. Pure.
//!
//! A chain that packets pass through is never rewritten, but for rules that come or go without any
//! other being changed. New rules are built under a name that nothing jumps to, then the jump to it is
//! put first, then what was there before goes. So there is no moment in which a guest's packet finds
//! a jump and no rule at its end that drops it, and no need to know what the old chains hold.
//!
//! What this process has written and nobody has changed is not built again: netd, when it starts,
//! empties the chains of the hooks and leaves ours, and one command each puts the jumps back.

use super::anchor::{Anchor, Found};
use super::programs::Call;
use crate::effects::firewall::{Hook, Rule};
use crate::ordered::sort_short;

/// What was written for one anchor, and what the kernel showed right afterwards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// The name that it was written under.
    pub name: &'static str,
    /// The rules.
    pub rules: Vec<Rule>,
    /// The fingerprint of each. None: the kernel's rules cannot be read.
    pub marks: Option<Vec<u64>>,
}

/// The commands for one anchor, in the order in which they have to be run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Makes the new chain; no packet comes near it.
    pub build: Vec<Call>,
    /// Puts it to use.
    pub hook: Vec<Call>,
    /// Removes the old one.
    pub remove: Vec<Call>,
    /// The name in use afterwards.
    pub name: &'static str,
}

const NOT_FIRST: &str = "is not the first rule";

/// Whether a difference is one of place alone: all of ours is there, behind rules of others.
pub fn is_of_place(difference: &str) -> bool {
    difference.contains(NOT_FIRST)
}

impl Anchor {
    /// What is not as it should be, in words.
    pub fn difference(
        &self,
        wanted: &[Rule],
        written: Option<&Written>,
        found: &Found,
    ) -> Option<String> {
        let what = match &found.chains {
            Some(_) if wanted.is_empty() => self.leftover(found, ""),
            Some(_) => self.hooked(found).and_then(|name| {
                let (same, of) = same(name, wanted, written, found);
                let other = || format!("rule {} of {of} in `{name}` is not guestnetd's", same + 1);
                (same == of).then_some(()).ok_or_else(other)?;
                self.first(found)
            }),
            None => match written.filter(|written| written.rules == wanted) {
                None => Err("the rules were not written yet".to_owned()),
                Some(_) if wanted.is_empty() => Ok(()),
                Some(written) => self.hooked(found).and_then(|name| {
                    let other = || format!("the jump to `{}` is gone", written.name);
                    (name == written.name).then_some(()).ok_or_else(other)?;
                    self.first(found)
                }),
            },
        };
        let program = self.family.program();
        what.err().map(|what| format!("in {program}'s table `{}` {what}", self.table))
    }

    /// The one chain of ours that is there, jumped to from where it should be and from nowhere else;
    /// or what is not so, in words.
    fn hooked(&self, found: &Found) -> Result<&'static str, String> {
        let mut jumps = found.jumps.iter().filter(|jump| jump.from == self.parent);
        let (Some(jump), None) = (jumps.next(), jumps.next()) else {
            let count = found.jumps.iter().filter(|jump| jump.from == self.parent).count();
            return Err(match count {
                0 => format!("`{}` has no jump to guestnetd's chain", self.parent),
                n => format!("`{}` has {n} jumps to guestnetd's chains", self.parent),
            });
        };
        if let Some(stray) = found.jumps.iter().find(|jump| jump.from != self.parent) {
            let from = stray.from;
            return Err(format!("`{from}` has a jump that should be in `{}` only", self.parent));
        }
        self.leftover(found, jump.to).map(|()| jump.to)
    }

    /// Whether nobody comes before it. Else a rule of others lets a guest's packet through, sends its
    /// question elsewhere, or takes it out of source NAT.
    fn first(&self, found: &Found) -> Result<(), String> {
        // What the device itself sends is not a guest's: who wants to be first there may be.
        if self.hook == Hook::Output {
            return Ok(());
        }
        match found.jumps.iter().find(|jump| jump.from == self.parent && jump.at != 0) {
            Some(jump) => {
                let (name, parent) = (jump.to, self.parent);
                Err(format!("the jump to `{name}` {NOT_FIRST} of `{parent}`"))
            }
            None => Ok(()),
        }
    }

    /// A chain of ours that is there besides this one, in words.
    fn leftover(&self, found: &Found, name: &str) -> Result<(), String> {
        match found.chains.iter().flatten().find(|(other, _)| **other != name) {
            Some((other, _)) => Err(format!("the chain `{other}` should not be there")),
            None => Ok(()),
        }
    }

    /// What is there once the commands have been run, to be compared with later; or what is not as
    /// it should be, in words.
    pub fn written(
        &self,
        wanted: &[Rule],
        mut name: &'static str,
        found: &Found,
    ) -> Result<Written, String> {
        if found.chains.is_some() {
            name = match wanted {
                [] => self.leftover(found, "").map(|()| "")?,
                _ => self.hooked(found).and_then(|name| self.first(found).map(|()| name))?,
            };
            let there = found.marks(name).unwrap_or_default().len();
            if there != wanted.len() {
                return Err(format!("`{name}` has {there} rules and not {}", wanted.len()));
            }
        }
        let marks = found.marks(name).map(<[u64]>::to_vec);
        Ok(Written { name, rules: wanted.to_vec(), marks })
    }

    /// The commands that make it so. Nothing to do: none.
    pub fn change(&self, wanted: &[Rule], written: Option<&Written>, found: &Found) -> Change {
        if self.difference(wanted, written, found).is_none() {
            return Change {
                name: written.map_or("", |written| written.name),
                ..Change::default()
            };
        }
        if wanted.is_empty() {
            return Change { remove: self.remove_all_but("", found), ..Change::default() };
        }
        let stands = written.filter(|written| self.stands(written, found));
        let in_place = stands.and_then(|w| Some((w.name, edits(wanted, &w.rules)?)));
        match in_place {
            Some((name, edits)) => self.edit(name, wanted, edits, found),
            None => self.build(wanted, found.clone()),
        }
    }

    /// Whether a chain is as it was written, and what jumps to it is in its place as far as it is there.
    fn stands(&self, written: &Written, found: &Found) -> bool {
        let at: Vec<_> = found.from(self.parent, written.name).map(|jump| jump.at).collect();
        let first = at.iter().enumerate().all(|(nth, at)| nth == *at);
        let marks = written.marks.as_deref().filter(|marks| !marks.is_empty());
        first && marks.is_some() && found.marks(written.name) == marks
    }

    /// Changes a chain where it stands, and hooks it once.
    fn edit(&self, name: &'static str, wanted: &[Rule], edits: Edits, found: &Found) -> Change {
        let mut change = Change { name, ..Change::default() };
        let new = edits.new.iter().filter_map(|at| Some((*at, wanted.get(*at)?)));
        change.hook.extend(new.map(|(at, rule)| self.insert(name, at, rule)));
        let count = found.from(self.parent, name).count();
        if count == 0 {
            change.hook.push(self.put(name));
        }
        change.remove.extend(edits.old.iter().rev().map(|at| self.delete(name, *at)));
        for _ in 1..count {
            change.remove.push(self.jump("-D", self.parent, name));
        }
        change.remove.extend(self.remove_all_but(name, found));
        change
    }

    /// Builds a chain under a name that nothing jumps to, and puts it to use. If there is no such name,
    /// earlier runs have ended on the way: then the one that is met last does not decide.
    fn build(&self, wanted: &[Rule], mut found: Found) -> Change {
        let at = |name: &&str| found.from(self.parent, name).next().map_or(usize::MAX, |j| j.at);
        let free = self.names.into_iter().find(|name| !found.entered.contains(name));
        let name = free.or(self.names.into_iter().max_by_key(at)).unwrap_or(self.names[0]);
        let mut change = Change { name, ..Change::default() };
        change.build.extend(self.parents().flat_map(|from| self.unhook(from, name, &found)));
        found.jumps.retain(|jump| jump.to != name);
        match found.chains.as_ref().map(|chains| chains.contains_key(name)) {
            Some(true) => change.build.push(self.call(["-F", name])),
            Some(false) => change.build.push(self.call(["-N", name])),
            None => {
                change.build.extend([self.call(["-N", name]).at_most(1), self.call(["-F", name])]);
            }
        }
        change.build.extend(wanted.iter().map(|rule| self.append(name, rule)));
        change.hook.push(self.put(name));
        change.remove = self.remove_all_but(name, &found);
        change
    }

    /// Removes the jumps to our chains, and the chains, but for one where it belongs. What is met last
    /// goes first, and so nothing that stood behind another decides meanwhile.
    fn remove_all_but(&self, kept: &str, found: &Found) -> Vec<Call> {
        let mut calls = Vec::new();
        for from in self.parents() {
            let first = |name: &&str| found.from(from, name).next().map(|jump| jump.at);
            let mut names = self.names.to_vec();
            names.retain(|name| (from, *name) != (self.parent, kept));
            sort_short(&mut names, |one, other| first(one) > first(other));
            calls.extend(names.iter().flat_map(|name| self.unhook(from, name, found)));
        }
        // One may lead to another.
        for verb in ["-F", "-X"] {
            for name in self.names.into_iter().filter(|name| *name != kept) {
                match &found.chains {
                    Some(chains) if !chains.contains_key(name) => {}
                    Some(_) => calls.push(self.call([verb, name])),
                    None => calls.push(self.call([verb, name]).at_most(1)),
                }
            }
        }
        calls
    }

    /// Removes every jump from a chain to one of ours.
    fn unhook(&self, from: &str, name: &str, found: &Found) -> Vec<Call> {
        let call = self.jump("-D", from, name);
        match (found.from(from, name).count(), &found.chains) {
            (0, _) => Vec::new(),
            (n, Some(_)) => vec![call; n],
            // That there is one is known, and not how many.
            (_, None) => vec![call.at_most(JUMPS)],
        }
    }
}

/// More jumps to one chain than there ever are.
const JUMPS: u8 = 16;

/// How many rules of a chain, from its beginning, are those that are wanted, and of how many.
fn same(name: &str, wanted: &[Rule], written: Option<&Written>, found: &Found) -> (usize, usize) {
    let marks = found.marks(name).unwrap_or_default();
    let written = written.filter(|written| written.name == name);
    let known = written.map(|w| (w.rules.as_slice(), w.marks.as_deref().unwrap_or_default()));
    let (rules, known) = known.unwrap_or_default();
    let same = marks.iter().zip(known).zip(rules.iter().zip(wanted));
    let same = same.take_while(|((is, was), (rule, wanted))| is == was && rule == wanted).count();
    (same, marks.len().max(wanted.len()))
}

/// Where rules come and go in a chain. They come from the first to the last, and go from the last to
/// the first: so a packet meets, at any moment, what it met before, and from one command on what it is
/// to meet. No rule that stands before its own has come or gone meanwhile that also holds for it.
#[derive(Default)]
struct Edits {
    new: Vec<usize>,
    old: Vec<usize>,
}

/// The edits, if all that differs is that there is less than is wanted, or more.
fn edits(wanted: &[Rule], there: &[Rule]) -> Option<Edits> {
    match beyond(wanted, there) {
        Some(new) => Some(Edits { new, ..Edits::default() }),
        None => Some(Edits { old: beyond(there, wanted)?, ..Edits::default() }),
    }
}

/// Where the rules of the longer list are that the shorter one lacks; none if that has others, or the
/// same in another order.
fn beyond(longer: &[Rule], shorter: &[Rule]) -> Option<Vec<usize>> {
    let mut rest = shorter.iter().peekable();
    let lacks = |(at, rule): (usize, &Rule)| match rest.next_if_eq(&rule) {
        Some(_) => None,
        None => Some(at),
    };
    let lacking = longer.iter().enumerate().filter_map(lacks).collect();
    rest.peek().is_none().then_some(lacking)
}
