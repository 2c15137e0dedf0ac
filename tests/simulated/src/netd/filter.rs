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

//! What others than netd do to the packet filter of its device: vendors, in the chains that netd keeps for them, and
//! others that take what is guestnetd's.

use crate::schedule::schedule;
use crate::tables::{chains_of, run};
use guestnet_simulator::iptables::Chains;
use guestnet_simulator::xtables::Family;
use guestnet_simulator::Netns;
use std::collections::BTreeSet;

const OURS: &str = "oem_guestnet_";
/// The tables that guestnetd has chains in.
const TABLES: [(Family, &str, &str); 4] = [
    (Family::V4, "iptables", "filter"),
    (Family::V4, "iptables", "nat"),
    (Family::V6, "ip6tables", "filter"),
    (Family::V6, "ip6tables", "nat"),
];

/// Something of a vendor's comes or goes: a chain behind guestnetd's jump, a rule in front of it, one beside
/// guestnetd's for names.
pub fn others(netns: Netns, number: u8, gone: bool) {
    match (number, gone) {
        (0, true) => run(
            netns,
            &[
                "iptables -D oem_fwd -j oem_others",
                "iptables -F oem_others",
                "iptables -X oem_others",
            ],
        ),
        (0, false) => run(
            netns,
            &[
                "iptables -N oem_others",
                "iptables -F oem_others",
                "iptables -A oem_others -s 198.18.1.0/24 -j ACCEPT",
                "iptables -A oem_fwd -j oem_others",
            ],
        ),
        (1, true) => run(netns, &["iptables -D oem_fwd -s 10.66.0.0/16 -j ACCEPT"]),
        (1, false) => run(netns, &["iptables -I oem_fwd 1 -s 10.66.0.0/16 -j ACCEPT"]),
        (_, true) => run(netns, &["iptables -t nat -D oem_nat_pre -s 198.18.2.0/24 -j ACCEPT"]),
        (_, false) => run(netns, &["iptables -t nat -A oem_nat_pre -s 198.18.2.0/24 -j ACCEPT"]),
    }
}

/// All of guestnetd's is taken.
pub fn take(netns: Netns) {
    for (family, program, table) in TABLES {
        let all = chains_of(netns, family, table);
        let mut commands = Vec::new();
        jumps(&all, |from, at| commands.push(format!("{program} -t {table} -D {from} {at}")));
        let ours: Vec<&str> = all
            .iter()
            .map(|(name, ..)| name.as_str())
            .filter(|name| name.starts_with(OURS))
            .collect();
        for verb in ["-F", "-X"] {
            commands.extend(ours.iter().map(|name| format!("{program} -t {table} {verb} {name}")));
        }
        let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
        run(netns, &commands);
    }
}

/// The jumps to guestnetd's chains from others, the last of each chain first.
fn jumps(all: &Chains, mut found: impl FnMut(&str, usize)) {
    for (from, _, rules) in all {
        for (at, rule) in rules.iter().enumerate().rev() {
            if rule.to.as_deref().is_some_and(|to| to.starts_with(OURS)) {
                found(from, at + 1);
            }
        }
    }
}

/// Something of it is: a jump, or a rule of one of its chains. What is a vendor's is put back.
pub fn spoil(netns: Netns, which: usize, theirs: &BTreeSet<u8>) {
    if which == 0 {
        run(netns, &["iptables -F oem_fwd"]);
        theirs
            .iter()
            .filter(|number| **number < 2)
            .for_each(|number| others(netns, *number, false));
        return;
    }
    let (family, program, table) = TABLES[[0, 1, 2, 0, 1][which - 1]];
    let all = chains_of(netns, family, table);
    let mut commands = Vec::new();
    if which < 4 {
        jumps(&all, |from, at| commands.push(format!("{program} -t {table} -D {from} {at}")));
    } else {
        let full =
            all.iter().filter(|(name, _, rules)| name.starts_with(OURS) && !rules.is_empty());
        let full: Vec<_> = full.collect();
        if !full.is_empty() {
            let (name, _, rules) = full[schedule().seed.below(full.len())];
            commands.push(format!("{program} -t {table} -D {name} {}", rules.len()));
        }
    }
    let some = commands.len().min(1 + schedule().seed.below(3));
    let commands: Vec<&str> = commands[..some].iter().map(String::as_str).collect();
    run(netns, &commands);
}
