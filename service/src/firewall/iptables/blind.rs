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

//! Writes the rules where they cannot be read: every command is right whatever is there, and what it
//! says is the only thing that is known. Runs commands that netd's helper lets through only.
//!
//! As elsewhere a chain is built under the name that is not in use, and put in front: a guest's
//! packet never meets a chain that has not all of its rules.

use super::anchor::{anchors, Anchor, Parents};
use super::programs::Call;
use super::read;
use super::turn::{Answer, Turn};
use crate::firewall::{wait_for_packets_on_their_way, Family, FirewallError, Hook, Rule, Ruleset};

/// More jumps to one chain than there ever are.
const JUMPS: usize = 16;

/// The names in use, by their anchors' places.
pub(super) type InUse = Vec<(Hook, Family, &'static str)>;

/// The time there is, and where our chains hang now.
pub(super) struct Blind<'a> {
    turn: &'a Turn<'a>,
    anchors: Vec<Anchor>,
}

impl<'a> Blind<'a> {
    /// Asks whether netd's chains are there.
    pub(super) fn new(turn: &'a Turn<'a>) -> Result<Self, FirewallError> {
        let asked = anchors(&Parents::ANDROID);
        let is_there = |hook: Hook| -> Result<bool, FirewallError> {
            let mut places = asked.iter().filter(|a| (a.hook, a.family) == (hook, Family::V4));
            let Some(anchor) = places.next() else { return Ok(false) };
            yes(turn, &anchor.jump("-C", anchor.root, anchor.parent))
        };
        let (netd, mut parents) = (Parents::ANDROID, Parents::LINUX);
        if is_there(Hook::Forward)? {
            parents.forward = netd.forward;
        }
        if is_there(Hook::Prerouting)? {
            parents.prerouting = netd.prerouting;
        }
        let mut anchors = anchors(&parents).to_vec();
        anchors.retain(|anchor| read::has_family(anchor.family));
        Ok(Self { turn, anchors })
    }

    /// Where our chains hang.
    pub(super) fn anchors(&self) -> &[Anchor] {
        &self.anchors
    }

    /// Writes all rules, whatever is there.
    pub(super) fn write(&self, wanted: &Ruleset) -> Result<InUse, FirewallError> {
        let mut new = Vec::new();
        for anchor in &self.anchors {
            let rules = anchor.wanted(wanted);
            let name = self.free_name(anchor)?;
            if !rules.is_empty() {
                self.build(anchor, name, &rules)?;
            }
            new.push((anchor, name, rules.is_empty()));
        }
        for (anchor, name, _) in new.iter().filter(|(.., none)| !none) {
            self.turn.run(&anchor.put(name))?;
        }
        // What the old FORWARD let out is masqueraded to the last.
        wait_for_packets_on_their_way();
        for (anchor, name, none) in new.iter().rev() {
            self.remove(anchor, anchor.other(name))?;
            if *none {
                self.remove(anchor, name)?;
            }
        }
        let in_use = new.iter().filter(|(.., none)| !none);
        Ok(in_use.map(|(anchor, name, _)| (anchor.hook, anchor.family, *name)).collect())
    }

    /// Puts back the jumps that are lost. That the chains stand is taken for granted.
    pub(super) fn hook_again(&self, in_use: &InUse) -> Result<(), FirewallError> {
        for anchor in &self.anchors {
            let name = in_use.iter().find(|(h, f, _)| (*h, *f) == (anchor.hook, anchor.family));
            let Some((.., name)) = name else { continue };
            if self.is_hooked(anchor.parent, anchor, name)? {
                continue;
            }
            self.turn.run(&anchor.put(name))?;
            if let Some(before) = anchor.elsewhere {
                self.unhook(before, anchor, name)?;
            }
        }
        Ok(())
    }

    /// Removes all that is ours.
    pub(super) fn clear(&self) -> Result<(), FirewallError> {
        let chains = self.anchors.iter().rev().flat_map(|a| a.names.map(|name| (a, name)));
        chains.into_iter().try_for_each(|(anchor, name)| self.remove(anchor, name))
    }

    /// A name that no packet comes by. If both are hooked an earlier run died between two commands:
    /// then both chains are whole, and either will do for as long as the other is built.
    fn free_name(&self, anchor: &Anchor) -> Result<&'static str, FirewallError> {
        for name in anchor.names {
            let mut hooked = false;
            for from in anchor.parents() {
                hooked |= self.is_hooked(from, anchor, name)?;
            }
            if !hooked {
                return Ok(name);
            }
        }
        let [first, _] = anchor.names;
        anchor.parents().try_for_each(|from| self.unhook(from, anchor, first))?;
        Ok(first)
    }

    fn build(&self, anchor: &Anchor, name: &str, rules: &[Rule]) -> Result<(), FirewallError> {
        // It may be there.
        self.turn.ask(&anchor.call(["-N", name]))?;
        let mut calls = vec![anchor.call(["-F", name])];
        calls.extend(rules.iter().map(|rule| anchor.append(name, rule)));
        self.turn.run_all(&calls)
    }

    fn remove(&self, anchor: &Anchor, name: &str) -> Result<(), FirewallError> {
        anchor.parents().try_for_each(|from| self.unhook(from, anchor, name))?;
        if !yes(self.turn, &anchor.call(["-F", name]))? {
            return Ok(()); // not there
        }
        if let Answer::No { text, .. } = self.turn.ask(&anchor.call(["-X", name]))? {
            log::warn!("iptables: {text}");
        }
        Ok(())
    }

    fn is_hooked(&self, from: &str, anchor: &Anchor, name: &str) -> Result<bool, FirewallError> {
        yes(self.turn, &anchor.jump("-C", from, name))
    }

    fn unhook(&self, from: &str, anchor: &Anchor, name: &str) -> Result<(), FirewallError> {
        for _ in 0..JUMPS {
            if !yes(self.turn, &anchor.jump("-D", from, name))? {
                break;
            }
        }
        Ok(())
    }
}

/// Whether a command succeeds, where both is an answer.
fn yes(turn: &Turn<'_>, call: &Call) -> Result<bool, FirewallError> {
    match turn.ask(call)? {
        Answer::Yes => Ok(true),
        Answer::No { code: Some(1 | 2), .. } => Ok(false),
        Answer::No { text, .. } => Err(text),
    }
}
