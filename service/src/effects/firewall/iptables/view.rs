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

//! Looks at what is there: the tables that we have chains in, each once, and where our chains hang in
//! them; netd may come, go or start again. Where the tables can be written and not read, it is asked
//! for the jumps to our chains. Changes nothing, but that the kernel may load what it needs for a
//! table.

use super::anchor::{anchors, Anchor, Found, Jump, Parents};
use super::entries::Chain;
use super::programs::{Call, Programs};
use super::read::{self, ReadError};
use super::runner::{Answer, Turn};
use super::writer::Written;
use crate::effects::firewall::{Family, FirewallError, Hook, Rule};

/// The tables that we have chains in.
const TABLES: [(Family, &str); 4] =
    [(Family::V6, "nat"), (Family::V4, "nat"), (Family::V6, "filter"), (Family::V4, "filter")];

/// The anchors with what is wanted and what is there.
pub(super) type View = Vec<(Anchor, Vec<Rule>, Found)>;

/// A table with its chains.
pub(super) type Table = (Family, &'static str, Vec<Chain>);

/// The tables as they are, and where our chains hang in them.
pub(super) fn read(wanted: &[Rule]) -> Result<View, FirewallError> {
    Ok(view(&tables(wanted)?, wanted))
}

/// The tables that there may be anything of ours in. An error of the kind `Unreadable`: they can be
/// asked about only.
pub(super) fn tables(wanted: &[Rule]) -> Result<Vec<Table>, FirewallError> {
    such_tables(|family, name| is_needed(family, name, wanted))
}

/// Those that are in use.
#[cfg(not(target_os = "android"))]
pub(super) fn tables_in_use() -> Result<Vec<Table>, FirewallError> {
    such_tables(read::is_in_use)
}

fn such_tables(which: impl Fn(Family, &str) -> bool) -> Result<Vec<Table>, FirewallError> {
    let such = TABLES.into_iter().filter(|(family, name)| which(*family, name));
    such.map(|(family, name)| match read::table(family, name) {
        Ok(chains) => Ok((family, name, chains)),
        Err(e) => Err(unreadable(family, name, &e)),
    })
    .collect()
}

/// The anchors in these tables.
pub(super) fn view(tables: &[Table], wanted: &[Rule]) -> View {
    let of = |family, name: &str| {
        let table = tables.iter().find(|(f, n, _)| (*f, *n) == (family, name));
        table.map(|(.., chains)| chains.as_slice())
    };
    let v4 = |name| of(Family::V4, name).unwrap_or_default();
    let all = anchors(&Parents::seen(v4("filter"), v4("nat")));
    let look = |anchor: Anchor| {
        let chains = of(anchor.family, anchor.table)?;
        Some((anchor, anchor.among(wanted), anchor.found(chains)))
    };
    all.into_iter().filter_map(look).collect()
}

/// The anchors as they can be asked about: by the jumps that netd's helper lets be asked for. Where
/// there is one that is `written`, no other is asked for.
pub(super) fn ask<'a>(
    turn: &Turn<'_>,
    wanted: &[Rule],
    written: impl Fn(&Anchor) -> Option<&'a Written>,
) -> Result<View, FirewallError> {
    let (netd, mut parents) = (Parents::ANDROID, Parents::LINUX);
    for anchor in anchors(&netd).iter().filter(|anchor| anchor.parent != anchor.root) {
        match anchor.hook {
            _ if !turn.yes(&anchor.jump("-C", anchor.root, anchor.parent))? => {}
            Hook::Forward => parents.forward = netd.forward,
            Hook::Input => parents.input = netd.input,
            _ => parents.prerouting = netd.prerouting,
        }
    }
    let mut view = View::new();
    for anchor in anchors(&parents) {
        if !is_needed(anchor.family, anchor.table, wanted) {
            continue;
        }
        let (mut found, wanted) = (Found::default(), anchor.among(wanted));
        let ask = |from, to| turn.yes(&anchor.jump("-C", from, to));
        let written = written(&anchor).filter(|written| written.rules == wanted);
        match written.filter(|written| !written.rules.is_empty()) {
            Some(Written { name, .. }) if ask(anchor.parent, name)? => {
                found.jumps.push(Jump { from: anchor.parent, at: 0, to: name });
            }
            _ => {
                for (from, to) in
                    anchor.parents().flat_map(|from| anchor.names.map(|to| (from, to)))
                {
                    if ask(from, to)? {
                        found.jumps.push(Jump { from, at: 0, to });
                        found.entered.insert(to);
                    }
                }
            }
        }
        view.push((anchor, wanted, found));
    }
    Ok(view)
}

/// Few kernels have IPv6 NAT, and looking at a table would make the kernel make it.
fn is_needed(family: Family, table: &str, wanted: &[Rule]) -> bool {
    let optional = (family, table) == (Family::V6, "nat");
    let is_wanted = || wanted.iter().any(|rule| rule.family == family && rule.hook.is_nat());
    read::has_family(family) && (!optional || read::is_in_use(family, table) || is_wanted())
}

/// Whether the tables can be read, and all of iptables is there. Says why they cannot be read where
/// they can be written all the same.
pub(super) fn try_all(programs: &Programs) -> Result<Option<String>, FirewallError> {
    let mut blind = None;
    let turn = Turn::long(programs);
    for (family, name) in TABLES.into_iter().filter(|(f, name)| is_needed(*f, name, &[])) {
        // It changes nothing, and has the kernel load what it needs for the table. That there is no
        // such jump is an answer, too.
        let answer = turn.ask(&probe(family, name))?;
        match (read::table(family, name), answer) {
            (Ok(_), _) => {}
            (Err(e), Answer::Yes | Answer::No { code: Some(1 | 2), .. }) if e.is_refused() => {
                blind = Some(unreadable(family, name, &e).to_string());
            }
            (Err(e), Answer::No { text, .. }) if e.is_refused() => {
                return Err(FirewallError::Unavailable(format!("{e}; {text}")));
            }
            (Err(e), Answer::No { text, .. }) if e.is_missing() && name == "nat" => {
                return Err(FirewallError::NoNat(text.to_string()));
            }
            (Err(e), Answer::No { text, .. }) if e.is_missing() => {
                return Err(FirewallError::Unavailable(text.to_string()));
            }
            (Err(e), _) => return Err(unreadable(family, name, &e)),
        }
    }
    if blind.is_none() {
        let nat = read::has_target(Family::V4, "MASQUERADE");
        nat.map_err(|e| FirewallError::NoNat(format!("no target MASQUERADE: {e}")))?;
    }
    Ok(blind)
}

/// A question that netd's helper lets through, about a jump of ours.
fn probe(family: Family, table: &str) -> Call {
    let hook = if table == "nat" { Hook::Postrouting } else { Hook::Forward };
    let all = anchors(&Parents::LINUX);
    let anchor = all.iter().find(|anchor| (anchor.hook, anchor.family) == (hook, family));
    let anchor = anchor.unwrap_or(&all[0]);
    anchor.jump("-C", anchor.parent, anchor.names[0])
}

/// Why a table cannot be read, as an error of its own where only reading is refused.
pub(super) fn unreadable(family: Family, table: &str, e: &ReadError) -> FirewallError {
    let why = format!("the table `{table}` of {family:?}: {e}");
    match e.is_refused() {
        true => FirewallError::Unreadable(why),
        false => FirewallError::Unavailable(why),
    }
}
