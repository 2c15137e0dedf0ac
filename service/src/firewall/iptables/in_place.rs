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

//! Which commands change a chain where it stands: only what is new in it, or too many, is written, so
//! that one more guest's subnet costs as much with a thousand others as with none. Pure.
//!
//! Rules come from the first to the last, and go from the last to the first. So a packet meets, at any
//! moment, what it met before, and from one command on what it is to meet: no rule that stands before
//! its own has come or gone meanwhile that also holds for it.

use super::anchor::{chain, Anchor};
use super::entries::Chain;
use super::meaning;
use super::plan::Change;
use crate::firewall::Rule;

impl Anchor {
    /// The commands, if all that differs is that the chain has less than it should, or more. Where it
    /// has nothing at all it is open, and is better built anew.
    pub(super) fn in_place(&self, name: &str, wanted: &[Rule], chains: &[Chain]) -> Option<Change> {
        let rules = &chain(chains, name)?.rules;
        let meant = rules.iter().map(|entry| meaning::rule(entry, self.hook, self.family));
        let there: Vec<Rule> =
            meant.collect::<Option<_>>().filter(|rules: &Vec<_>| !rules.is_empty())?;
        let mut change = Change::default();
        if let Some(new) = beyond(wanted, &there) {
            change.hook.extend(new.iter().map(|at| self.insert(name, *at, &wanted[*at])));
        } else {
            let old = beyond(&there, wanted)?;
            change.remove.extend(old.iter().rev().map(|at| self.delete(name, *at)));
        }
        Some(change)
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
