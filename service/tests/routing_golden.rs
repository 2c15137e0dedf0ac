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

//! Golden cases of policy routing: the rules that a device has, put into a real kernel and read back,
//! and the number that ours are given. A case is a folder of `golden/routing`: `rules.txt`, as `ip rule`
//! lists them, and `expected.txt`. Needs root.

use guestnetd::effects::kernel::netlink::Netlink;
use guestnetd::effects::kernel::rule;
use guestnetd::model::if_index::IfIndex;
use guestnetd::model::ownership::ROUTE_PROTOCOL;
use guestnetd::model::policy_rules::{
    default_network, leads, lockdown, Action, PolicyRule, RoutingMode, RuleInputs,
};
use guestnetd::model::table::TableId;
use guestnetd::spec::{Family, IfName, Subnet};
use nix::sched::{unshare, CloneFlags};
use std::path::{Path, PathBuf};
use std::process::Command;

fn ip(words: &str) -> String {
    let out = Command::new("ip").args(words.split_whitespace()).output().expect("ip");
    assert!(out.status.success(), "ip {words}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// What is made of these rules: one line for the shape, one for the default network, one for each
/// rule of ours. Of the guests one leaves by an interface of its own, one is stopped under lockdown.
fn made_of(rules_txt: &str) -> String {
    unshare(CloneFlags::CLONE_NEWNET).expect("these tests need root");
    ip("rule flush");
    for line in rules_txt.lines().filter(|line| !line.starts_with("0:")) {
        let (number, rule) = line.split_once(':').expect("a number");
        ip(&format!("rule add pref {number} {rule}"));
    }
    let netlink = Netlink::open().unwrap();
    let found = rule::all(&netlink, Family::V4).unwrap();
    let shape = RoutingMode::of(&found);
    let subnet = Subnet::containing([172, 17, 0, 0].into(), 16).unwrap();
    let ways = RuleInputs {
        shape: shape.unwrap_or_default(),
        uplink: default_network(&found).first().copied(),
        subnets: vec![subnet],
        single: vec![(IfName::host_end(3), IfIndex::new(7).unwrap())],
        stopped: lockdown(&found).then(|| IfName::host_end(4)).into_iter().collect(),
    };
    let ours = leads(&ways, &found, ROUTE_PROTOCOL);
    for lead in &ours {
        // There is no such interface, so the route of a table of ours is left out.
        let to = match lead.to {
            Action::Own(index) => Action::Table(TableId::own(index)),
            other => other,
        };
        let rule = PolicyRule { to, ..lead.clone() };
        ip(&format!("rule add pref {} {rule} protocol {ROUTE_PROTOCOL}", rule.priority));
    }
    let again = rule::all(&netlink, Family::V4).unwrap();
    let read: Vec<_> = again.iter().filter_map(|r| PolicyRule::read(r, ROUTE_PROTOCOL)).collect();
    assert_eq!(read, ours, "what was made is read back");
    // The kernel's own words for them.
    let listed = ip("rule show");
    let listed = listed.lines().filter(|line| line.contains("proto 103"));
    let listed: Vec<_> = listed.map(str::trim_end).collect();
    format!("{shape:?}\ndefault network {}\n{}\n", IfIndex::or_zero(ways.uplink), listed.join("\n"))
}

#[test]
fn ours_are_in_the_slot_for_tethering_of_each_android() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/routing");
    let mut cases: Vec<PathBuf> =
        std::fs::read_dir(golden).unwrap().map(|case| case.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() >= 4, "only {} cases were found", cases.len());
    for case in cases {
        let read = |file: &str| std::fs::read_to_string(case.join(file)).unwrap();
        let rules = read("rules.txt");
        let made = std::thread::spawn(move || made_of(&rules)).join().unwrap();
        assert_eq!(made, read("expected.txt"), "{}", case.display());
    }
}
