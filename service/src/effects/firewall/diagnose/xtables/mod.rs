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

//! Reads x_tables' IPv4 tables. Changes nothing, and makes no table appear that was not there.

pub(super) mod matching;
pub(super) mod target;

use super::chains::{Base, Chain, End, Field, Hook, Label, Rule, Step, Table, Verdict};
use crate::effects::firewall::iptables::entries::{self, Entry, Target};
use crate::effects::firewall::iptables::read::{self, ReadError};
use crate::effects::firewall::Family;
use std::collections::HashMap;

/// The tables, and where each of them is looked at (net/ipv4/netfilter/iptable_*.c).
const TABLES: [(&str, i32); 5] = [
    ("raw", libc::NF_IP_PRI_RAW),
    ("mangle", libc::NF_IP_PRI_MANGLE),
    ("nat", libc::NF_IP_PRI_NAT_DST),
    ("filter", libc::NF_IP_PRI_FILTER),
    ("security", libc::NF_IP_PRI_SECURITY),
];

/// Those that are in use; and those that cannot be read, in words.
pub(super) fn read() -> (Vec<Table>, Vec<String>) {
    let (mut tables, mut unread) = (Vec::new(), Vec::new());
    let in_use = read::in_use(Family::V4);
    for (name, _) in TABLES {
        if !in_use.lines().any(|known| known == name) {
            continue;
        }
        match read::table(Family::V4, name) {
            Ok(chains) => tables.push(table(name, &chains)),
            Err(ReadError::Kernel(e)) if e.raw_os_error() == Some(libc::ENOENT) => {}
            Err(e) => unread.push(format!("iptables' table {name}: {e}")),
        }
    }
    (tables, unread)
}

/// A table out of its chains.
pub fn table(name: &str, chains: &[entries::Chain]) -> Table {
    let known = TABLES.iter().find(|(table, _)| *table == name);
    let priority = known.map_or(libc::NF_IP_PRI_FILTER, |(_, priority)| *priority);
    let chain = |chain: &entries::Chain| {
        let hook = match chain.name.as_str() {
            "PREROUTING" => Some(Hook::Prerouting),
            "INPUT" => Some(Hook::Input),
            "FORWARD" => Some(Hook::Forward),
            "OUTPUT" => Some(Hook::Output),
            "POSTROUTING" => Some(Hook::Postrouting),
            _ => None,
        };
        let nat = name == "nat";
        let late = nat && matches!(hook, Some(Hook::Postrouting | Hook::Input));
        let priority = if late { libc::NF_IP_PRI_NAT_SRC } else { priority };
        let drops = chain.end == Target::Drop;
        let base = |hook| Base { hook, priority, nat, drops, devices: Vec::new() };
        Chain {
            name: chain.name.clone(),
            rules: chain.rules.iter().map(rule).collect(),
            base: hook.map(base),
            packets: Some(chain.end_packets),
        }
    };
    Table {
        label: Label::Iptables(name.to_owned()),
        chains: chains.iter().map(chain).collect(),
        sets: HashMap::new(),
        left: false,
    }
}

/// `IPT_INV_VIA_IN` and so on.
const NOT_INPUT: u8 = 0x01;
const NOT_OUTPUT: u8 = 0x02;
const NOT_SOURCE: u8 = 0x08;
const NOT_DESTINATION: u8 = 0x10;
const NOT_FRAGMENT: u8 = 0x20;
const NOT_PROTOCOL: u8 = 0x40;
/// `IPT_F_FRAG`
const FRAGMENT: u8 = 0x01;

fn rule(entry: &Entry) -> Rule {
    let negated = |bit: u8, step: Step| match entry.inverted & bit {
        0 => step,
        _ => step.negate(),
    };
    let mut steps = Vec::new();
    for (end, name, bit) in
        [(End::Input, &entry.input, NOT_INPUT), (End::Output, &entry.output, NOT_OUTPUT)]
    {
        if !name.is_empty() {
            steps.push(Step::Load { to: 0, len: libc::IFNAMSIZ, field: Field::LinkName(end) });
            steps.push(negated(bit, Step::equals(0, link_name(name))));
        }
    }
    for (place, (address, mask), bit) in
        [(12, &entry.source, NOT_SOURCE), (16, &entry.destination, NOT_DESTINATION)]
    {
        if mask.iter().any(|byte| *byte != 0) {
            steps.push(Step::Load { to: 0, len: 4, field: Field::Network(place) });
            steps.push(Step::Bits { from: 0, to: 0, mask: mask.clone(), xor: vec![0; 4] });
            steps.push(negated(bit, Step::equals(0, address.clone())));
        }
    }
    // What a guest sends, and is answered, is whole here: conntrack puts it together.
    if entry.flags & FRAGMENT != 0 && entry.inverted & NOT_FRAGMENT == 0 {
        steps.push(Step::Never);
    }
    if entry.protocol != 0 {
        steps.push(Step::Load { to: 0, len: 1, field: Field::Protocol });
        steps.push(negated(NOT_PROTOCOL, Step::equals(0, [entry.protocol as u8])));
    }
    for one in &entry.matches {
        steps.extend(matching::steps(&one.name, one.revision, &one.data, entry.bytes));
    }
    match &entry.target {
        Target::Accept => steps.push(Step::Verdict(Verdict::Accept)),
        Target::Drop => steps.push(Step::Verdict(Verdict::Drop)),
        Target::Return => steps.push(Step::Verdict(Verdict::Return)),
        Target::Continue => {}
        Target::Jump(to) => steps.push(Step::Verdict(Verdict::Jump(to.clone()))),
        Target::Goto(to) => steps.push(Step::Verdict(Verdict::Goto(to.clone()))),
        Target::Module(one) => {
            steps.extend(target::steps(&one.name, one.revision, &one.data));
        }
    }
    Rule { steps, packets: Some(entry.packets) }
}

/// A name as its bytes; what ends in `+` is the beginning of one.
fn link_name(name: &str) -> Vec<u8> {
    match name.strip_suffix('+') {
        Some(beginning) => beginning.as_bytes().to_vec(),
        None => {
            let mut bytes = name.as_bytes().to_vec();
            bytes.resize(libc::IFNAMSIZ, 0);
            bytes
        }
    }
}
