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

//! What iptables is told, for whatever is there: from every state of the two chains and of those
//! that jump to them the way leads to what is wanted, and at no command is a guest let through that
//! was not let through before. Touches no kernel: a table is a value here.

#![cfg(all(target_endian = "little", target_pointer_width = "64"))]

mod firewall_cases;

use firewall_cases::{folder, netds_helper_takes, wlan0};
use guestnetd::effects::firewall::iptables::entries::{parse, Chain, Entry, Info, Target};
use guestnetd::effects::firewall::iptables::{anchors, Anchor, Call, Parents, Written};
use guestnetd::effects::firewall::{Family, Hook, Rule};
use std::collections::HashMap;
use std::fs;

const A: &str = "oem_guestnet_fwd";
const B: &str = "oem_guestnet_fwd_b";
const C: &str = "oem_guestnet_fwd_c";

/// A table, and what is needed to run commands on it.
#[derive(Clone)]
struct Table {
    chains: Vec<Chain>,
    /// The entry that the arguments of a rule of ours make.
    entries: HashMap<String, Entry>,
    /// An entry without a condition.
    plain: Entry,
}

/// What becomes of a guest's packet that is not to pass, and that a foreign rule would let pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Open,
    Closed,
}

impl Table {
    fn chain(&self, name: &str) -> Option<&Chain> {
        self.chains.iter().find(|chain| chain.name == name)
    }

    fn chain_mut(&mut self, name: &str) -> &mut Chain {
        let found = self.chains.iter_mut().find(|chain| chain.name == name);
        found.unwrap_or_else(|| panic!("there is no chain {name}"))
    }

    fn add(&mut self, name: &str, rules: Vec<Entry>) {
        let end = if name == "FORWARD" { Target::Accept } else { Target::Return };
        self.chains.push(Chain { name: name.to_owned(), rules, end, end_packets: 0 });
    }

    fn to(&self, target: Target) -> Entry {
        Entry { target, ..self.plain.clone() }
    }

    fn jump(&self, to: &str) -> Entry {
        assert!(self.chain(to).is_some(), "a jump to {to}, which is not there");
        self.to(Target::Jump(to.to_owned()))
    }

    /// Runs a command as iptables would: what it would refuse is a failure.
    fn run(&mut self, call: &Call) {
        assert!(netds_helper_takes(&call.to_string()), "netd's helper refuses {call}");
        let words: Vec<&str> = call.arguments.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["-w", "-t", "filter", "-N", name] => {
                assert!(self.chain(name).is_none(), "{call}: it is there");
                self.add(name, Vec::new());
            }
            ["-w", "-t", "filter", "-F", name] => self.chain_mut(name).rules.clear(),
            ["-w", "-t", "filter", "-X", name] => {
                assert!(self.chain_mut(name).rules.is_empty(), "{call}: it has rules");
                let target = Target::Jump((*name).to_owned());
                let mut rules = self.chains.iter().flat_map(|chain| &chain.rules);
                assert!(rules.all(|rule| rule.target != target), "{call}: it is jumped to");
                self.chains.retain(|chain| chain.name != *name);
            }
            ["-w", "-t", "filter", "-I", from, "1", "-j", to] => {
                let jump = self.jump(to);
                self.chain_mut(from).rules.insert(0, jump);
            }
            ["-w", "-t", "filter", "-D", from, "-j", to] => {
                let jump = self.jump(to);
                let rules = &mut self.chain_mut(from).rules;
                let at = rules.iter().position(|rule| *rule == jump);
                rules.remove(at.unwrap_or_else(|| panic!("{call}: there is none")));
            }
            ["-w", "-t", "filter", "-I", name, at, rule @ ..]
                if name.starts_with("oem_guestnet") =>
            {
                let entry = self.entries[&rule.join(" ")].clone();
                self.chain_mut(name).rules.insert(at.parse::<usize>().unwrap() - 1, entry);
            }
            ["-w", "-t", "filter", "-D", name, at] => {
                self.chain_mut(name).rules.remove(at.parse::<usize>().unwrap() - 1);
            }
            ["-w", "-t", "filter", "-A", name, "-j", to] if to.starts_with("oem_") => {
                let jump = self.jump(to);
                self.chain_mut(name).rules.push(jump);
            }
            ["-w", "-t", "filter", "-A", name, rule @ ..] => {
                let entry = self.entries[&rule.join(" ")].clone();
                self.chain_mut(name).rules.push(entry);
            }
            _ => panic!("{call}: not a command of ours"),
        }
    }

    fn fate(&self) -> Fate {
        self.fate_in("FORWARD").unwrap_or(Fate::Open)
    }

    fn fate_in(&self, name: &str) -> Option<Fate> {
        self.chain(name).unwrap().rules.iter().find_map(|rule| match &rule.target {
            Target::Jump(to) => self.fate_in(to),
            Target::Drop => Some(Fate::Closed),
            // Ours lets through what has conditions only, which this packet does not meet.
            Target::Accept if rule.input.is_empty() => Some(Fate::Open),
            _ => None,
        })
    }
}

/// Our rules, a table that has no chain, and the entries of ours.
fn given() -> (Vec<Rule>, Table, Vec<Entry>) {
    let anchor = anchor_of(&Parents::LINUX);
    let wanted = anchor.wanted(&wlan0());
    let blob = fs::read(folder().join("blobs/filter4.bin")).unwrap();
    let (info, entries) = blob.split_at(Info::LEN);
    let chains = parse(Family::V4, &Info::parse(info).unwrap(), entries).unwrap();
    let rules = |name: &str| chains.iter().find(|chain| chain.name == name).unwrap().rules.clone();
    let ours: Vec<Entry> =
        rules(A).into_iter().map(|rule| Entry { packets: 0, bytes: 0, ..rule }).collect();
    let texts = anchor.change(&wanted, None, &anchor.found(&[])).build;
    let appended = texts.iter().filter(|call| call.arguments[3] == "-A");
    let entries: HashMap<_, _> =
        appended.map(|call| call.arguments[5..].join(" ")).zip(ours.iter().cloned()).collect();
    assert_eq!(entries.len(), ours.len());
    let plain = Entry { packets: 0, bytes: 0, ..rules("FORWARD")[0].clone() };
    (wanted, Table { chains: Vec::new(), entries, plain }, ours)
}

/// All lists of at most `longest` of these.
fn lists(of: &[&'static str], longest: usize) -> Vec<Vec<&'static str>> {
    let mut all = vec![Vec::new()];
    let mut last = all.clone();
    for _ in 0..longest {
        let longer = |list: &Vec<&'static str>| {
            let list = list.clone();
            of.iter().map(move |one| [list.clone(), vec![*one]].concat())
        };
        last = last.iter().flat_map(longer).collect();
        all.extend(last.clone());
    }
    all
}

/// A state in words: what FORWARD has, what `oem_fwd` has, and what our two chains are.
type State = (Vec<&'static str>, Vec<&'static str>, &'static str, &'static str);

fn states() -> Vec<State> {
    let kinds = ["absent", "ours", "another's", "emptied", "open", "stand-in"];
    let mut states = Vec::new();
    for a in kinds {
        for b in kinds {
            if (a, b) == ("stand-in", "stand-in")
                || (a == "stand-in" && b == "absent")
                || (b == "stand-in" && a == "absent")
            {
                continue;
            }
            let fits = |list: &Vec<&str>| {
                !(a == "absent" && list.contains(&A) || b == "absent" && list.contains(&B))
            };
            for root in lists(&["accept", "oem_fwd", A, B], 3).into_iter().filter(fits) {
                for vendors in lists(&["accept", A, B], 2).into_iter().filter(fits) {
                    let jumps = root.iter().filter(|rule| **rule == "oem_fwd").count();
                    // Without a jump to it nothing passes through it: one of each is enough.
                    if jumps == 1 || jumps == 0 && vendors.len() < 2 {
                        states.push((root.clone(), vendors, a, b));
                    }
                }
            }
        }
    }
    states
}

fn table(state: &State, empty: &Table, ours: &[Entry]) -> Table {
    let (root, vendors, a, b) = state;
    let mut table = empty.clone();
    table.add("FORWARD", Vec::new());
    table.add("oem_fwd", Vec::new());
    for (name, kind) in [(A, a), (B, b)] {
        match *kind {
            "absent" => {}
            "ours" => table.add(name, ours.to_vec()),
            "another's" => table.add(name, ours[1..].to_vec()),
            "open" => table.add(name, vec![table.to(Target::Accept)]),
            _ => table.add(name, Vec::new()),
        }
    }
    for (name, kind, other) in [(A, a, B), (B, b, A)] {
        if *kind == "stand-in" {
            let jump = table.jump(other);
            table.chain_mut(name).rules.push(jump);
        }
    }
    for (name, list) in [("FORWARD", root), ("oem_fwd", vendors)] {
        for rule in list {
            let entry = match *rule {
                "accept" => table.to(Target::Accept),
                to => table.jump(to),
            };
            table.chain_mut(name).rules.push(entry);
        }
    }
    table
}

/// The commands for this state, in the order in which they are run.
fn plan(anchor: &Anchor, wanted: &[Rule], written: Option<&Written>, table: &Table) -> Vec<Call> {
    let change = anchor.change(wanted, written, &anchor.found(&table.chains));
    [change.build, change.hook, change.remove].concat()
}

/// As if these rules had been written under this name by this process.
fn written(name: &'static str, rules: &[Rule], entries: &[Entry]) -> Written {
    let marks = Some(entries.iter().map(Entry::fingerprint).collect());
    Written { name, rules: rules.to_vec(), marks }
}

/// That there is nothing left to do.
fn done(anchor: &Anchor, wanted: &[Rule], table: &Table, state: &impl std::fmt::Debug) -> Written {
    let found = anchor.found(&table.chains);
    let written = anchor.written(wanted, "", &found).unwrap_or_else(|e| panic!("{state:?}: {e}"));
    assert_eq!(anchor.difference(wanted, Some(&written), &found), None, "{state:?}");
    assert_eq!(plan(anchor, wanted, Some(&written), table), [], "{state:?}");
    assert!(written.marks.is_some(), "{state:?}");
    written
}

#[test]
fn every_state_is_mended_without_an_opening() {
    let states = states();
    assert!(states.len() > 10_000, "{}", states.len());
    let (wanted, empty, ours) = given();
    // Of an earlier process, and of this one under either name, whether it still is so or not.
    let known = [(A, written(A, &wanted, &ours)), (B, written(B, &wanted, &ours))];
    for (state, nth) in states.iter().flat_map(|state| (0..3).map(move |nth| (state, nth))) {
        let known = known.get(nth).filter(|(name, _)| {
            let kind = if *name == A { state.2 } else { state.3 };
            ["ours", "another's"].contains(&kind)
        });
        if known.is_none() && nth < 2 {
            continue;
        }
        let known = known.map(|(_, known)| known);
        let mut table = table(state, &empty, &ours);
        let anchor = anchor_for(&table);
        let mut fate = table.fate();
        for call in plan(&anchor, &wanted, known, &table) {
            table.run(&call);
            let now = table.fate();
            assert!((fate, now) != (Fate::Closed, Fate::Open), "{state:?}: opened by {call}");
            fate = now;
        }
        assert_eq!(table.fate(), Fate::Closed, "{state:?}");
        let name = done(&anchor, &wanted, &table, state).name;
        assert_eq!(table.chain(name).unwrap().rules, ours, "{state:?}");
        // And all of it goes.
        for call in plan(&anchor, &[], known, &table) {
            table.run(&call);
        }
        assert!([A, B, C].iter().all(|name| table.chain(name).is_none()), "{state:?}");
    }
}

/// The anchor where the table's own chains say that it is.
fn anchor_for(table: &Table) -> Anchor {
    anchor_of(&Parents::seen(&table.chains, &[]))
}

fn anchor_of(parents: &Parents) -> Anchor {
    let mut all = anchors(parents).into_iter();
    all.find(|a| (a.hook, a.family) == (Hook::Forward, Family::V4)).unwrap()
}

/// A death after any command, and then other rules are wanted: nothing is opened on that way either.
#[test]
fn a_death_on_the_way_opens_nothing() {
    let (wanted, empty, ours) = given();
    for state in states().iter().filter(|state| state.0.len() < 3 && state.1.len() < 2) {
        let whole = table(state, &empty, &ours);
        let anchor = anchor_for(&whole);
        let calls = plan(&anchor, &wanted, None, &whole);
        // Other rules: the last drop twice.
        let mut others = wanted.clone();
        others.push(wanted[wanted.len() - 1].clone());
        for died in 0..calls.len() {
            let mut table = whole.clone();
            calls.iter().take(died).for_each(|call| table.run(call));
            let anchor = anchor_for(&table);
            let mut fate = table.fate();
            for call in plan(&anchor, &others, None, &table) {
                table.run(&call);
                let now = table.fate();
                let opened = (fate, now) == (Fate::Closed, Fate::Open);
                assert!(!opened, "{state:?}, death after {died}: opened by {call}");
                fate = now;
            }
            done(&anchor, &others, &table, &(state, died));
        }
    }
}

/// Rules that come or go are written where the chain stands; what is in another order is built again.
#[test]
fn what_comes_or_goes_is_written_in_place() {
    let (wanted, empty, ours) = given();
    let from = |at: &[usize]| {
        let mut table = table(&(vec![A], vec![], "emptied", "absent"), &empty, &ours);
        let rules: Vec<_> = at.iter().map(|at| wanted[*at].clone()).collect();
        let entries: Vec<_> = at.iter().map(|at| ours[*at].clone()).collect();
        let known = written(A, &rules, &entries);
        table.chain_mut(A).rules = entries;
        let calls = plan(&anchor_for(&table), &wanted, Some(&known), &table);
        calls.iter().for_each(|call| table.run(call));
        let name = done(&anchor_for(&table), &wanted, &table, &at).name;
        assert_eq!(table.chain(name).unwrap().rules, ours, "{at:?}");
        calls.iter().map(|call| call.arguments[3..5].join(" ")).collect::<Vec<_>>()
    };
    let (insert, delete) = (format!("-I {A}"), format!("-D {A}"));
    assert_eq!(from(&[0, 1, 2, 3, 4, 5]), Vec::<String>::new());
    assert_eq!(from(&[0, 0, 1, 2, 3, 4, 5, 5]), [delete.clone(), delete]);
    assert_eq!(from(&[2, 4, 5]), [insert.clone(), insert.clone(), insert.clone()]);
    assert_eq!(from(&[0, 1, 2, 4, 5]), [insert]);
    assert_eq!(from(&[5, 4, 3, 2, 1, 0])[0], format!("-N {B}"));
    assert_eq!(from(&[0, 1, 1, 3, 4, 5])[0], format!("-N {B}"));
}

/// What is lost costs little: a jump one command, a chain under another name the way to remove it.
#[test]
fn what_stands_is_not_built_again() {
    let (wanted, empty, ours) = given();
    let commands = |root: &[&'static str], vendors: &[&'static str], a, b, name| {
        let table = table(&(root.to_vec(), vendors.to_vec(), a, b), &empty, &ours);
        let anchor = anchor_for(&table);
        let calls = plan(&anchor, &wanted, Some(&written(name, &wanted, &ours)), &table);
        calls.iter().map(|call| call.arguments[3..].join(" ")).collect::<Vec<_>>()
    };
    assert_eq!(commands(&[], &[], "ours", "absent", A), ["-I FORWARD 1 -j oem_guestnet_fwd"]);
    assert_eq!(commands(&[], &[], "absent", "ours", B), ["-I FORWARD 1 -j oem_guestnet_fwd_b"]);
    // Netd has started.
    assert_eq!(
        commands(&["oem_fwd"], &[], "ours", "absent", A),
        ["-I oem_fwd 1 -j oem_guestnet_fwd"]
    );
    // It has come for the first time, and somebody has put our jump back.
    assert_eq!(
        commands(&[A, "oem_fwd"], &[], "ours", "absent", A),
        ["-I oem_fwd 1 -j oem_guestnet_fwd", "-D FORWARD -j oem_guestnet_fwd"]
    );
    // It has gone.
    assert_eq!(
        commands(&[], &[A], "ours", "absent", A),
        ["-I FORWARD 1 -j oem_guestnet_fwd", "-D oem_fwd -j oem_guestnet_fwd"]
    );
    assert_eq!(commands(&[A, A], &[], "ours", "absent", A), ["-D FORWARD -j oem_guestnet_fwd"]);
    assert_eq!(
        commands(&[A], &[], "ours", "another's", A),
        ["-F oem_guestnet_fwd_b", "-X oem_guestnet_fwd_b"]
    );
    // Not in front, or another's rule in it: it is built under another name.
    for (root, kind) in
        [(["accept", A].as_slice(), "ours"), (&[A, "accept", A], "ours"), (&[A], "another's")]
    {
        let built = commands(root, &[], kind, "absent", A);
        assert_eq!(built[0], "-N oem_guestnet_fwd_b");
        assert_eq!(built[1 + ours.len()], "-I FORWARD 1 -j oem_guestnet_fwd_b", "{built:?}");
        assert_eq!(built[2 + ours.len()], "-D FORWARD -j oem_guestnet_fwd", "{built:?}");
    }
    // Emptied by others: it is open until the new one is in front of it.
    assert_eq!(commands(&[A], &[], "emptied", "absent", A)[0], "-N oem_guestnet_fwd_b");
    // Both are in use, where a process ended between two commands.
    assert_eq!(commands(&[B, A], &[], "ours", "ours", C)[0], "-N oem_guestnet_fwd_c");
}
