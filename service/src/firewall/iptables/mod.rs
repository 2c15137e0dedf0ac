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
mod blind;
pub mod entries;
mod find;
mod foreign;
mod in_place;
mod look;
mod meaning;
mod plan;
mod programs;
pub mod read;
mod turn;
pub mod walk;
mod words;

use super::{wait_for_packets_on_their_way, Drift, Family, FirewallError, Ruleset};
use blind::{Blind, InUse};
use look::{difference, view, View};
use std::path::Path;
use std::rc::Rc;

pub use anchor::{anchors, Anchor, Parents};
#[cfg(not(target_os = "android"))]
pub(super) use foreign::netd_is_there;
pub use foreign::{foreign_drop, foreign_forward_rule};
pub use plan::Change;
pub use programs::{Call, Programs};
use turn::Turn;

/// How often it is read, changed and read again while others change the tables.
const ATTEMPTS: usize = 3;

/// x_tables, through the program `iptables`.
pub struct Iptables {
    programs: Programs,
    /// What was last written where nothing can be read.
    written: Option<(Ruleset, InUse)>,
}

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
        if let Some(why) = look::try_all(&programs)? {
            log::warn!(
                "iptables: what is there cannot be read, and is taken for what was written: {why}"
            );
        }
        Ok(Self { programs, written: None })
    }

    /// Makes the kernel have these rules, whatever it has now. Does nothing if it has them. Where it
    /// cannot be read, what was written is taken to be there, but for the jumps to it.
    pub fn apply(&mut self, wanted: &Ruleset) -> Result<(), FirewallError> {
        let programs = self.programs.clone();
        self.apply_in(&programs.turn(), wanted)
    }

    /// The same at the start: dozens of programs may be needed, on a device that boots.
    pub fn start(&mut self, wanted: &Ruleset) -> Result<(), FirewallError> {
        let programs = self.programs.clone();
        self.apply_in(&programs.long_turn(), wanted)
    }

    fn apply_in(&mut self, turn: &Turn<'_>, wanted: &Ruleset) -> Result<(), FirewallError> {
        match apply_seen(turn, wanted) {
            Err(FirewallError::Unreadable(_)) => {}
            result => return result,
        }
        if let Some((_, in_use)) = self.written.as_ref().filter(|(ruleset, _)| ruleset == wanted) {
            match Blind::new(turn)?.hook_again(in_use) {
                Err(e) if !e.is_stuck() => log::warn!("iptables: {e}; all is written anew"),
                result => return result,
            }
        }
        self.write(turn, wanted)
    }

    /// The same, but where nothing can be read all rules are written.
    pub fn reapply(&mut self, wanted: &Ruleset) -> Result<(), FirewallError> {
        let programs = self.programs.clone();
        let turn = programs.turn();
        match apply_seen(&turn, wanted) {
            Err(FirewallError::Unreadable(_)) => self.write(&turn, wanted),
            result => result,
        }
    }

    fn write(&mut self, turn: &Turn<'_>, wanted: &Ruleset) -> Result<(), FirewallError> {
        self.written = None;
        let in_use = Blind::new(turn)?.write(wanted)?;
        self.written = Some((wanted.clone(), in_use));
        Ok(())
    }

    /// The commands that lead from what is there to these rules. None: they are there.
    pub fn plan(&self, wanted: &Ruleset) -> Result<Vec<Call>, FirewallError> {
        Ok(calls(&view(|anchor| anchor.wanted(wanted))?).concat())
    }

    /// What would be run if nothing of ours was there.
    pub fn commands(&self, wanted: &Ruleset) -> Vec<String> {
        let seen = view(|_| Vec::new());
        let seen = seen.map(|view| view.into_iter().map(|(anchor, ..)| anchor).collect());
        let asked =
            || Ok::<_, FirewallError>(Blind::new(&self.programs.turn())?.anchors().to_vec());
        let places =
            seen.or_else(|_| asked()).unwrap_or_else(|_| anchors(&Parents::LINUX).to_vec());
        as_typed(&places, wanted)
    }

    /// What differs from these rules in the kernel.
    pub fn drift(&mut self, wanted: &Ruleset) -> Result<Option<Drift>, FirewallError> {
        Ok(match view(|anchor| anchor.wanted(wanted)) {
            Ok(view) => difference(&view).map(Drift::Changed),
            Err(e) => Some(Drift::Unreadable(e.to_string())),
        })
    }

    /// Removes our chains and the jumps to them, under either name, as far as they are there.
    pub fn clear(&mut self) -> Result<(), FirewallError> {
        self.written = None;
        match view(|_| Vec::new()) {
            Ok(view) => run(&self.programs.turn(), calls(&view)),
            Err(FirewallError::Unreadable(_)) => Blind::new(&self.programs.turn())?.clear(),
            Err(e) => Err(e),
        }
    }

    /// The commands that clearing takes.
    pub fn plan_to_clear(&self) -> Result<Vec<Call>, FirewallError> {
        Ok(calls(&view(|_| Vec::new())?).concat())
    }

    /// Packets that our rules have dropped since they were last changed.
    pub fn dropped(&mut self) -> Result<u64, FirewallError> {
        let view = view(|_| Vec::new())?;
        Ok(view.iter().map(|(anchor, _, chains)| anchor.dropped(chains)).sum())
    }
}

fn apply_seen(turn: &Turn<'_>, wanted: &Ruleset) -> Result<(), FirewallError> {
    let mut attempt = 1;
    loop {
        let view = view(|anchor| anchor.wanted(wanted))?;
        if difference(&view).is_none() {
            return Ok(());
        }
        match run(turn, calls(&view)).and_then(|()| verify(wanted)) {
            // Somebody else may have changed the same tables meanwhile.
            Err(e) if attempt < ATTEMPTS && !e.is_stuck() => {
                log::warn!("iptables: {e}; trying again");
            }
            result => return result,
        }
        attempt += 1;
    }
}

fn verify(wanted: &Ruleset) -> Result<(), FirewallError> {
    let now = difference(&view(|anchor| anchor.wanted(wanted))?);
    now.map_or(Ok(()), |text| Err(FirewallError::Verify(text)))
}

/// Removes the rules of an earlier guestnetd where this one does without iptables. Looks only at
/// tables that are in use: looking at another would make the kernel make it.
#[cfg(not(target_os = "android"))]
pub(super) fn clear_leftovers() -> Result<(), FirewallError> {
    let mut view = Vec::new();
    for anchor in anchors(&Parents::LINUX) {
        if in_use(&anchor) {
            let chains = read::table(anchor.family, anchor.table)
                .map_err(|e| look::unreadable(anchor.family, anchor.table, &e))?;
            view.push((anchor, Vec::new(), Rc::new(chains)));
        }
    }
    if difference(&view).is_none() {
        return Ok(());
    }
    let programs = Programs::find()?;
    run(&programs.turn(), calls(&view))
}

#[cfg(not(target_os = "android"))]
fn in_use(anchor: &Anchor) -> bool {
    let names = match anchor.family {
        Family::V4 => "ip_tables_names",
        Family::V6 => "ip6_tables_names",
    };
    let names = std::fs::read_to_string(crate::kernel::netns::proc_net(names)).unwrap_or_default();
    names.lines().any(|name| name == anchor.table)
}

/// What is run where nothing of ours is there yet.
pub fn commands(ruleset: &Ruleset, parents: &Parents) -> Vec<String> {
    as_typed(&anchors(parents), ruleset)
}

fn as_typed(anchors: &[Anchor], ruleset: &Ruleset) -> Vec<String> {
    let look = |anchor: &Anchor| (*anchor, anchor.wanted(ruleset), Rc::default());
    calls(&anchors.iter().map(look).collect()).concat().iter().map(Call::to_string).collect()
}

/// The commands for all anchors: those that make the new and those that remove the old. Every chain
/// is built before the first is put to use, and an old one goes only when all new ones are in
/// place: what the old FORWARD lets out is masqueraded to the last.
fn calls(view: &View) -> [Vec<Call>; 2] {
    let changes = view.iter().map(|(anchor, wanted, chains)| anchor.change(wanted, chains));
    let changes: Vec<Change> = changes.collect();
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
