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

//! x_tables in a history: what others do to it, whether it is closed, and what there is of it at the end.

use crate::schedule::schedule;
use crate::world::{world, World};
use guestnet_simulator::iptables::{self, Chains, Firsts};
use guestnet_simulator::xtables::Family;
use guestnet_simulator::Netns;
use std::collections::BTreeSet;

const FAMILIES: [Family; 2] = [Family::V4, Family::V6];
/// How guestnetd's chains begin; each may have one of three names.
const OURS: &str = "oem_guestnet_";

/// How often the packet filters have changed, of either kind.
pub fn generation(world: &World, netns: Netns) -> u32 {
    world.filter.generation(netns) + world.kernel.xtables_changes(netns)
}

/// Whether guestnetd's rules for what is forwarded and what comes in are there: in nf_tables, or in
/// x_tables of both families, where nothing comes before them.
pub fn is_closed(world: &mut World, netns: Netns) -> bool {
    if world.filter.is_closed(netns) {
        return true;
    }
    let changes = world.kernel.xtables_changes(netns);
    if changes == 0 {
        return false;
    }
    match world.tables_closed {
        Some((at, closed)) if at == changes => closed,
        _ => {
            let closed = FAMILIES.into_iter().all(|family| are_closed(world, netns, family));
            world.tables_closed = Some((changes, closed));
            closed
        }
    }
}

fn are_closed(world: &mut World, netns: Netns, family: Family) -> bool {
    let Some(filter) = iptables::firsts(&mut world.kernel, netns, family, "filter") else {
        return false;
    };
    let hooks = [("FORWARD", "oem_guestnet_fwd"), ("INPUT", "oem_guestnet_in")];
    hooks.into_iter().all(|(hook, ours)| leads_to(&filter, hook, ours))
}

/// Whether a chain leads everything to guestnetd's first, by others' chains if those do the same.
fn leads_to(filter: &Firsts, from: &str, ours: &str) -> bool {
    let first = |name: &str| filter.iter().find(|(chain, _)| chain == name)?.1.as_ref();
    match first(from) {
        Some((true, Some(to))) if to.starts_with(ours) => first(to).is_some(),
        Some((true, Some(to))) => leads_to(filter, to, ours),
        _ => false,
    }
}

/// The chains of a table.
pub fn chains_of(netns: Netns, family: Family, table: &str) -> Chains {
    iptables::chains(&mut world().kernel, netns, family, table).unwrap_or_default()
}

/// All of it that is not as in a new namespace, as lines; guestnetd's chains under one name each.
pub fn lines(netns: Netns) -> Vec<String> {
    let plain = |name: &str| match name.starts_with(OURS) {
        true => name.trim_end_matches("_b").trim_end_matches("_c").to_owned(),
        false => name.to_owned(),
    };
    let mut lines = Vec::new();
    for family in FAMILIES {
        for (table, chains) in iptables::lines(&mut world().kernel, netns, family) {
            for (name, policy, rules) in chains {
                let is = format!("x_tables {family:?} {table} chain {}", plain(&name));
                if policy != -2 {
                    lines.push(format!("{is} policy {policy}"));
                }
                for (at, rule) in rules.iter().enumerate() {
                    let to = rule.to.as_deref().map(plain).unwrap_or_default();
                    // Others' rules come in the order in which others have come.
                    let at = if name.starts_with(OURS) { at.to_string() } else { String::new() };
                    lines.push(format!("{is} rule {at} {} {to}", rule.text));
                }
            }
        }
    }
    lines
}

/// Others run commands there. The lock that they take is not always the one that guestnetd watches.
pub fn run(netns: Netns, commands: &[&str]) {
    for command in commands {
        let words: Vec<&str> = command.split(' ').collect();
        world().run(netns, words[0], &words[1..], "");
    }
    if !schedule().seed.once_in(3) {
        world().unlock();
    }
}

/// Something of others' comes or goes: a chain of theirs behind what is there, a rule in front of it, a
/// policy.
pub fn others(netns: Netns, number: u8, gone: bool) {
    match (number, gone) {
        (0, true) => {
            run(netns, &["iptables -D INPUT -j others", "iptables -F others", "iptables -X others"])
        }
        (0, false) => run(
            netns,
            &[
                "iptables -N others",
                "iptables -A others -s 198.18.1.0/24 -j ACCEPT",
                "iptables -A INPUT -j others",
            ],
        ),
        (1, true) => run(netns, &["iptables -D FORWARD -s 10.66.0.0/16 -j ACCEPT"]),
        (1, false) => run(netns, &["iptables -I FORWARD 1 -s 10.66.0.0/16 -j ACCEPT"]),
        (_, true) => run(netns, &["iptables -P FORWARD ACCEPT"]),
        (_, false) => run(netns, &["iptables -P FORWARD DROP"]),
    }
}

/// Another firewall manager starts: all tables are flushed, and its own rules are loaded again.
pub fn flush(netns: Netns, theirs: &BTreeSet<u8>) {
    let commands = [
        "iptables -F",
        "iptables -X",
        "iptables -t nat -F",
        "iptables -t nat -X",
        "ip6tables -F",
        "ip6tables -X",
    ];
    run(netns, &commands);
    theirs.iter().for_each(|number| others(netns, *number, false));
}

/// Others take something: a jump to guestnetd's rules, or one of those.
pub fn spoil(netns: Netns, which: usize, theirs: &BTreeSet<u8>) {
    let ours = |family, table: &str, begins: &str| {
        let tables = iptables::lines(&mut world().kernel, netns, family);
        let chains = tables.into_iter().find(|(name, _)| name == table)?.1;
        let (name, _, rules) = chains.into_iter().find(|(name, ..)| name.starts_with(begins))?;
        Some((name, rules.len()))
    };
    match which {
        // What is theirs they put back.
        0 => {
            run(netns, &["iptables -F FORWARD"]);
            if theirs.contains(&1) {
                others(netns, 1, false);
            }
        }
        1 => {
            run(netns, &["iptables -F INPUT"]);
            if theirs.contains(&0) {
                run(netns, &["iptables -A INPUT -j others"]);
            }
        }
        2 => run(netns, &["iptables -t nat -F POSTROUTING"]),
        3 => run(netns, &["ip6tables -F FORWARD"]),
        which => {
            let begins = if which == 4 { "oem_guestnet_fwd" } else { "oem_guestnet_in" };
            if let Some((name, count)) = ours(Family::V4, "filter", begins).filter(|(_, n)| *n > 0)
            {
                run(netns, &[&format!("iptables -D {name} {count}")]);
            }
        }
    }
}
