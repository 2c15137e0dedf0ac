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

//! Looks at the tables that we have chains in: all of them once, and where our chains hang in them.
//! Changes nothing, but that the kernel may load what it needs for a table.

use super::anchor::{anchors, Anchor, Parents};
use super::entries::Chain;
use super::programs::{Call, Programs};
use super::read::{self, ReadError};
use super::turn::Answer;
use crate::firewall::{Family, FirewallError, Hook, Rule};
use std::rc::Rc;

/// The tables that we have chains in.
const TABLES: [(Family, &str); 3] =
    [(Family::V4, "nat"), (Family::V6, "filter"), (Family::V4, "filter")];

/// The anchors with what is wanted and what is there.
pub(super) type View = Vec<(Anchor, Vec<Rule>, Rc<Vec<Chain>>)>;

/// What differs in a view, in words.
pub(super) fn difference(view: &View) -> Option<String> {
    view.iter().find_map(|(anchor, wanted, chains)| anchor.difference(wanted, chains))
}

/// The tables as they are, and where our chains hang in them: netd may come, go or start again.
pub(super) fn view(wanted: impl Fn(&Anchor) -> Vec<Rule>) -> Result<View, FirewallError> {
    let mut tables = Vec::new();
    for (family, name) in TABLES.into_iter().filter(|(family, _)| read::has_family(*family)) {
        let chains = read::table(family, name).map_err(|e| unreadable(family, name, &e))?;
        tables.push((family, name, Rc::new(chains)));
    }
    let of = |family, name: &str| {
        let table = tables.iter().find(|(f, n, _)| (*f, *n) == (family, name));
        table.map(|(.., chains)| chains.clone())
    };
    let v4 = |name| of(Family::V4, name).unwrap_or_default();
    let all = anchors(&Parents::seen(&v4("filter"), &v4("nat")));
    let look = |anchor: Anchor| Some((anchor, wanted(&anchor), of(anchor.family, anchor.table)?));
    Ok(all.into_iter().filter_map(look).collect())
}

/// Whether the tables can be read, and all of iptables is there. Says why they cannot be read where
/// they can be written all the same.
pub(super) fn try_all(programs: &Programs) -> Result<Option<String>, FirewallError> {
    let mut blind = None;
    let turn = programs.long_turn();
    for (family, name) in TABLES.into_iter().filter(|(family, _)| read::has_family(*family)) {
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
