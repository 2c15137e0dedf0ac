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

//! The ruleset in x_tables: written by the program `iptables`, and read back from the kernel itself.
//! Own chains only, and one jump to each from a chain of the system. Never lists or flushes a table,
//! never restores one over what is there, and never touches a rule that is not its own.
//!
//! Each command is right on its own. Where there is `iptables-restore` they go in one run for each
//! IP version; where there is not (Android), one after the other.

mod anchor;
mod encode;
pub mod entries;
mod find;
mod programs;
pub mod read;
pub(crate) mod runner;
pub(super) mod trace;
mod view;
mod writer;

use super::{
    wait_for_packets_on_their_way, Backend, Engine, Family, FirewallError, Hook, Match, Rule,
    Ruleset,
};
use std::path::Path;
use view::View;

pub use anchor::{anchors, Anchor, Found, Jump, Parents};
pub use programs::{Call, Programs};
use runner::Turn;
pub use writer::{is_of_place, Change, Written};

/// How often it is read, changed and read again while others change the tables.
const ATTEMPTS: usize = 3;

/// x_tables, through the program `iptables`.
pub struct Iptables {
    programs: Programs,
    /// What was last written for each anchor.
    written: Vec<((Hook, Family), Written)>,
    /// Why it cannot be read, where it can be written. Then what was written is taken to be there, but
    /// for the jumps to it, which are asked for.
    unseen: Option<String>,
    /// What this kernel has not of what guests can do without: rules with it are left out.
    lacks: Vec<&'static str>,
}

/// What limits guests' connections, and says whose an answer is.
const LIMITS: [&str; 5] = ["connlimit", "hashlimit", TELLS[0], TELLS[1], "owner"];
/// What tells of them, and how often.
const TELLS: [&str; 2] = ["statistic", "NFLOG"];

impl Iptables {
    /// With this program, or with those of the system. Leaves nothing behind.
    pub fn open(program: Option<&Path>) -> Result<Self, FirewallError> {
        let mut refusals = Vec::new();
        for programs in Programs::candidates(program)? {
            match Self::new(programs) {
                Err(FirewallError::Unavailable(why)) => refusals.push(why),
                result => return result,
            }
        }
        Err(FirewallError::Unavailable(refusals.join("; ")))
    }

    /// Finds out whether the kernel and the programs can do all that is needed.
    pub fn new(programs: Programs) -> Result<Self, FirewallError> {
        let unseen = view::try_all(&programs)?;
        if let Some(why) = &unseen {
            log::warn!(
                "iptables: what is there cannot be read, and is taken for what was written: {why}"
            );
        }
        let lacks = |name: &&str| match *name {
            "NFLOG" => read::lacks_target(name),
            name => read::lacks_match(name),
        };
        let lacks = LIMITS.into_iter().filter(lacks).collect();
        Ok(Self { programs, written: Vec::new(), unseen, lacks })
    }

    /// As it is on a kernel that has nothing to limit connections with.
    pub fn unlimited(programs: Programs) -> Result<Self, FirewallError> {
        Ok(Self { lacks: LIMITS.to_vec(), ..Self::new(programs)? })
    }

    /// The rules that this kernel can have.
    fn rules(&self, wanted: &Ruleset) -> Vec<Rule> {
        let mut rules = wanted.rules();
        rules.retain(|rule| match rule.matching {
            Some(Match::ConnectionsOver(_)) => !self.lacks.contains(&"connlimit"),
            Some(Match::OpenedOver(..) | Match::CrowdOver(..)) => {
                !self.lacks.contains(&"hashlimit")
            }
            Some(Match::FromStranger { .. }) => !self.lacks.contains(&"owner"),
            Some(Match::OpenedEach(..)) => !TELLS.iter().any(|name| self.lacks.contains(name)),
            _ => true,
        });
        rules
    }

    fn apply_in(&mut self, turn: &Turn<'_>, wanted: &Ruleset) -> Result<(), FirewallError> {
        let mut attempt = 1;
        loop {
            let view = self.look(turn, Some(wanted))?;
            if self.difference(&view).is_none() {
                return Ok(());
            }
            let changes = self.changes(&view);
            match run(turn, calls(&changes)).and_then(|()| self.note(turn, wanted, &changes)) {
                // Somebody else may have changed the same tables meanwhile.
                Err(e) if attempt < ATTEMPTS && !e.is_stuck() => {
                    log::warn!("iptables: {e}; trying again");
                }
                result => return result,
            }
            attempt += 1;
        }
    }

    /// What is there, and what is wanted: nothing of ours, if there is no ruleset.
    fn look(&self, turn: &Turn<'_>, wanted: Option<&Ruleset>) -> Result<View, FirewallError> {
        let wanted = wanted.map(|wanted| self.rules(wanted)).unwrap_or_default();
        match self.unseen {
            None => view::read(&wanted),
            Some(_) => view::ask(turn, &wanted, |anchor| self.written(anchor)),
        }
    }

    fn written(&self, anchor: &Anchor) -> Option<&Written> {
        let place = (anchor.hook, anchor.family);
        self.written.iter().find(|(at, _)| *at == place).map(|(_, written)| written)
    }

    /// What differs in a view, in words; that others come first, only where nothing else does.
    fn difference(&self, view: &View) -> Option<String> {
        let differs = |(anchor, wanted, found): &(Anchor, Vec<Rule>, Found)| {
            anchor.difference(wanted, self.written(anchor), found)
        };
        let mut all = view.iter().filter_map(differs);
        let first = all.next()?;
        let worse = |difference: &String| !writer::is_of_place(difference);
        Some(Some(first.clone()).filter(worse).or_else(|| all.find(worse)).unwrap_or(first))
    }

    fn changes(&self, view: &View) -> Vec<Change> {
        let change = |(anchor, wanted, found): &(Anchor, Vec<Rule>, Found)| {
            anchor.change(wanted, self.written(anchor), found)
        };
        view.iter().map(change).collect()
    }

    /// Notes what the commands have made, to be compared with later.
    fn note(
        &mut self,
        turn: &Turn<'_>,
        wanted: &Ruleset,
        changes: &[Change],
    ) -> Result<(), FirewallError> {
        self.written.clear();
        let view = self.look(turn, Some(wanted))?;
        for (at, (anchor, wanted, found)) in view.iter().enumerate() {
            let name = changes.get(at).map_or("", |change| change.name);
            let written = anchor.written(wanted, name, found).map_err(FirewallError::Verify)?;
            self.written.push(((anchor.hook, anchor.family), written));
        }
        Ok(())
    }

    /// The commands that lead from what is there to these rules. None: they are there.
    pub fn plan(&self, wanted: &Ruleset) -> Result<Vec<Call>, FirewallError> {
        Ok(calls(&self.changes(&self.look(&Turn::brief(&self.programs), Some(wanted))?)).concat())
    }

    /// Takes what is there for these rules, as it is right after the commands of a
    /// [`plan`](Self::plan).
    pub fn planned(&mut self, wanted: &Ruleset) -> Result<(), FirewallError> {
        let programs = self.programs.clone();
        self.note(&Turn::brief(&programs), wanted, &[])
    }

    /// The commands that clearing takes.
    pub fn plan_to_clear(&self) -> Result<Vec<Call>, FirewallError> {
        Ok(calls(&self.changes(&self.look(&Turn::brief(&self.programs), None)?)).concat())
    }
}

impl Engine for Iptables {
    fn backend(&self) -> Backend {
        Backend::Iptables
    }

    fn apply(&mut self, wanted: &Ruleset) -> Result<(), FirewallError> {
        let programs = self.programs.clone();
        self.apply_in(&Turn::brief(&programs), wanted)
    }

    /// Dozens of programs may be needed, on a device that boots.
    fn start(&mut self, wanted: &Ruleset) -> Result<(), FirewallError> {
        let programs = self.programs.clone();
        self.apply_in(&Turn::long(&programs), wanted)
    }

    fn drift(&mut self, wanted: &Ruleset) -> Result<Option<String>, FirewallError> {
        Ok(self.difference(&self.look(&Turn::brief(&self.programs), Some(wanted))?))
    }

    fn clear(&mut self) -> Result<(), FirewallError> {
        self.written.clear();
        let turn = Turn::brief(&self.programs);
        run(&turn, calls(&self.changes(&self.look(&turn, None)?)))
    }

    fn dropped(&mut self) -> Result<u64, FirewallError> {
        let mut dropped = 0;
        for (family, table, chains) in view::tables(&[])? {
            let all = anchors(&Parents::LINUX);
            let here = all.iter().filter(|a| (a.family, a.table) == (family, table));
            dropped += here.map(|anchor| anchor.dropped(&chains)).sum::<u64>();
        }
        Ok(dropped)
    }

    /// What would be run if nothing of ours was there.
    fn text(&self, wanted: &Ruleset) -> String {
        let seen = self.look(&Turn::brief(&self.programs), Some(wanted));
        let seen = seen.map(|view| view.into_iter().map(|(anchor, ..)| anchor).collect());
        let anchors = seen.unwrap_or_else(|_| anchors(&Parents::LINUX).to_vec());
        as_typed(&anchors, &self.rules(wanted)).join("\n") + "\n"
    }

    fn unseen(&self) -> Option<&str> {
        self.unseen.as_deref()
    }

    fn programs(&self) -> Option<&Programs> {
        Some(&self.programs)
    }

    fn lacks(&self) -> Vec<String> {
        self.lacks.iter().map(|name| format!("xt_{name}")).collect()
    }
}

/// Removes the rules of an earlier guestnetd where this one does without iptables. Looks only at
/// tables that are in use.
#[cfg(not(target_os = "android"))]
pub(super) fn clear_leftovers() -> Result<(), FirewallError> {
    let view = view::view(&view::tables_in_use()?, &[]);
    let changes: Vec<_> =
        view.iter().map(|(anchor, _, found)| anchor.change(&[], None, found)).collect();
    let calls = calls(&changes);
    match calls.iter().all(Vec::is_empty) {
        true => Ok(()),
        false => run(&Turn::brief(&Programs::find()?), calls),
    }
}

/// What is run where nothing of ours is there yet.
pub fn commands(ruleset: &Ruleset, parents: &Parents) -> Vec<String> {
    as_typed(&anchors(parents), &ruleset.rules())
}

fn as_typed(anchors: &[Anchor], rules: &[Rule]) -> Vec<String> {
    let change = |a: &Anchor| a.change(&a.among(rules), None, &a.found(&[]));
    let changes: Vec<_> = anchors.iter().map(change).collect();
    calls(&changes).concat().iter().map(Call::to_string).collect()
}

/// The commands for all anchors: those that make the new and those that remove the old. Every chain
/// is built before the first is put to use, and an old one goes only when all new ones are in
/// place: what the old FORWARD lets out is masqueraded to the last.
fn calls(changes: &[Change]) -> [Vec<Call>; 2] {
    let build = changes.iter().flat_map(|change| &change.build);
    let hook = changes.iter().flat_map(|change| &change.hook);
    let remove = changes.iter().rev().flat_map(|change| &change.remove);
    [build.chain(hook).cloned().collect(), remove.cloned().collect()]
}

/// Runs them: IPv6 first, for it lets nothing through. Where a whole table is given at once, the
/// old chains of `filter` go with the same stroke; those of `nat` when the packets have gone that
/// the old FORWARD let out.
fn run(turn: &Turn<'_>, [make, remove]: [Vec<Call>; 2]) -> Result<(), FirewallError> {
    let (late, at_once): (Vec<_>, Vec<_>) = match turn.takes_many() {
        true => remove.into_iter().partition(|call| call.is_for("nat")),
        false => (remove, Vec::new()),
    };
    let (v6, v4): (Vec<_>, Vec<_>) =
        make.into_iter().chain(at_once).partition(|call| call.family == Family::V6);
    turn.run_all(&v6)?;
    turn.run_all(&v4)?;
    if !late.is_empty() {
        wait_for_packets_on_their_way();
    }
    let (v4, v6): (Vec<_>, Vec<_>) = late.into_iter().partition(|call| call.family == Family::V4);
    turn.run_all(&v4)?;
    turn.run_all(&v6)
}
