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
pub mod entries;
mod foreign;
mod meaning;
mod plan;
mod programs;
pub mod read;
mod words;

use super::{wait_for_packets_on_their_way, Drift, Family, FirewallError, Rule, Ruleset};
use entries::Chain;
use read::ReadError;

pub use anchor::{anchors, Anchor, Parents};
pub use foreign::{foreign_forward_policy, foreign_forward_rule};
pub use plan::Change;
pub use programs::{Call, Programs};

/// How often it is read, changed and read again while others change the tables.
const ATTEMPTS: usize = 3;

/// x_tables, through the program `iptables`.
pub struct Iptables {
    programs: Programs,
    anchors: Vec<Anchor>,
}

/// The anchors with what is wanted and what is there.
type View = Vec<(Anchor, Vec<Rule>, Vec<Chain>)>;

impl Iptables {
    /// With the programs and the chains of this system. Leaves nothing behind.
    pub fn open() -> Result<Self, FirewallError> {
        let parents = if cfg!(target_os = "android") { Parents::ANDROID } else { Parents::LINUX };
        Self::new(Programs::find()?, &parents)
    }

    /// Finds out whether the kernel can do all that is needed.
    pub fn new(programs: Programs, parents: &Parents) -> Result<Self, FirewallError> {
        let mut anchors = anchors(parents).to_vec();
        // A kernel without IPv6 forwards none.
        anchors.retain(|anchor| read::has_family(anchor.family));
        let this = Self { programs, anchors };
        for anchor in &this.anchors {
            this.make_readable(anchor)?;
        }
        let nat = read::has_target(Family::V4, "MASQUERADE");
        nat.map_err(|e| FirewallError::NoNat(format!("no target MASQUERADE: {e}")))?;
        Ok(this)
    }

    /// The kernel may have x_tables as a module, which the program loads and we do not.
    fn make_readable(&self, anchor: &Anchor) -> Result<(), FirewallError> {
        match read::table(anchor.family, anchor.table) {
            Err(e) if e.is_missing() => {}
            result => return result.map(drop).map_err(|e| unreadable(anchor, &e)),
        }
        // That there is no such jump is an answer, too: what counts is the second look.
        let said = self.programs.run(&anchor.jump("-C", anchor.parent, anchor.names[0])).err();
        read::table(anchor.family, anchor.table).map(drop).map_err(|e| {
            let cause = said.map_or(e.to_string(), |said| said.to_string());
            match anchor.table {
                "nat" => FirewallError::NoNat(cause),
                _ => FirewallError::Unavailable(cause),
            }
        })
    }

    /// Makes the kernel have these rules, whatever it has now. Does nothing if it has them.
    pub fn apply(&mut self, wanted: &Ruleset) -> Result<(), FirewallError> {
        let mut attempt = 1;
        loop {
            let view = self.view(wanted)?;
            if difference(&view).is_none() {
                return Ok(());
            }
            match run(&self.programs, calls(&view)).and_then(|()| self.verify(wanted)) {
                // Somebody else may have changed the same tables meanwhile.
                Err(e) if attempt < ATTEMPTS => log::warn!("iptables: {e}; trying again"),
                result => return result,
            }
            attempt += 1;
        }
    }

    /// The commands that lead from what is there to these rules. None: they are there.
    pub fn plan(&self, wanted: &Ruleset) -> Result<Vec<Call>, FirewallError> {
        Ok(calls(&self.view(wanted)?).concat())
    }

    fn verify(&self, wanted: &Ruleset) -> Result<(), FirewallError> {
        difference(&self.view(wanted)?).map_or(Ok(()), |text| Err(FirewallError::Verify(text)))
    }

    /// What would be run if nothing of ours was there.
    pub fn commands(&self, wanted: &Ruleset) -> Vec<String> {
        as_typed(&self.anchors, wanted)
    }

    /// What differs from these rules in the kernel.
    pub fn drift(&mut self, wanted: &Ruleset) -> Result<Option<Drift>, FirewallError> {
        Ok(match self.view(wanted) {
            Ok(view) => difference(&view).map(Drift::Changed),
            Err(e) => Some(Drift::Unreadable(e.to_string())),
        })
    }

    /// Removes our chains and the jumps to them, under either name, as far as they are there.
    pub fn clear(&mut self) -> Result<(), FirewallError> {
        run(&self.programs, calls(&self.view_of(|_| Vec::new())?))
    }

    /// The commands that clearing takes.
    pub fn plan_to_clear(&self) -> Result<Vec<Call>, FirewallError> {
        Ok(calls(&self.view_of(|_| Vec::new())?).concat())
    }

    /// Packets that our rules have dropped since they were last changed.
    pub fn dropped(&mut self) -> Result<u64, FirewallError> {
        let counts = self.anchors.iter().map(|anchor| Ok(anchor.dropped(&self.read(anchor)?)));
        counts.sum()
    }

    fn view(&self, wanted: &Ruleset) -> Result<View, FirewallError> {
        self.view_of(|anchor| anchor.wanted(wanted))
    }

    fn view_of(&self, wanted: impl Fn(&Anchor) -> Vec<Rule>) -> Result<View, FirewallError> {
        let look = |anchor: &Anchor| Ok((*anchor, wanted(anchor), self.read(anchor)?));
        self.anchors.iter().map(look).collect()
    }

    fn read(&self, anchor: &Anchor) -> Result<Vec<Chain>, FirewallError> {
        read::table(anchor.family, anchor.table).map_err(|e| unreadable(anchor, &e))
    }
}

/// Removes the rules of an earlier guestnetd where this one does without iptables. Looks only at
/// tables that are in use: looking at another would make the kernel make it.
#[cfg(not(target_os = "android"))]
pub(super) fn clear_leftovers() -> Result<(), FirewallError> {
    let mut view = Vec::new();
    for anchor in anchors(&Parents::LINUX) {
        if in_use(&anchor) {
            let chains =
                read::table(anchor.family, anchor.table).map_err(|e| unreadable(&anchor, &e))?;
            view.push((anchor, Vec::new(), chains));
        }
    }
    if difference(&view).is_none() {
        return Ok(());
    }
    let programs = Programs::find()?;
    run(&programs, calls(&view))
}

#[cfg(not(target_os = "android"))]
fn in_use(anchor: &Anchor) -> bool {
    let names = match anchor.family {
        Family::V4 => "/proc/thread-self/net/ip_tables_names",
        Family::V6 => "/proc/thread-self/net/ip6_tables_names",
    };
    let names = std::fs::read_to_string(names).unwrap_or_default();
    names.lines().any(|name| name == anchor.table)
}

/// What is run where nothing of ours is there yet.
pub fn commands(ruleset: &Ruleset, parents: &Parents) -> Vec<String> {
    as_typed(&anchors(parents), ruleset)
}

fn as_typed(anchors: &[Anchor], ruleset: &Ruleset) -> Vec<String> {
    let look = |anchor: &Anchor| (*anchor, anchor.wanted(ruleset), Vec::new());
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
fn run(programs: &Programs, [make, remove]: [Vec<Call>; 2]) -> Result<(), FirewallError> {
    let (late, at_once): (Vec<_>, Vec<_>) = match programs.take_many() {
        true => remove.into_iter().partition(|call| call.is_for("nat")),
        false => (remove, Vec::new()),
    };
    let (v6, v4): (Vec<_>, Vec<_>) =
        make.into_iter().chain(at_once).partition(|call| call.family == Family::V6);
    programs.run_all(&v6)?;
    programs.run_all(&v4)?;
    if !late.is_empty() {
        wait_for_packets_on_their_way();
    }
    let (v4, v6): (Vec<_>, Vec<_>) = late.into_iter().partition(|call| call.family == Family::V4);
    programs.run_all(&v4)?;
    programs.run_all(&v6)
}

fn difference(view: &View) -> Option<String> {
    view.iter().find_map(|(anchor, wanted, chains)| anchor.difference(wanted, chains))
}

fn unreadable(anchor: &Anchor, e: &ReadError) -> FirewallError {
    FirewallError::Unavailable(format!("the table `{}` of {:?}: {e}", anchor.table, anchor.family))
}
