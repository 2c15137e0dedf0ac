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

//! Both backends against the kernel of this machine: what others' programs list is what was meant,
//! what others have is left alone, and nothing is left over.

mod firewall_cases;
mod firewall_rig;

use firewall_cases::{cases, eth0, open, ruleset, wlan0};
use firewall_rig::{give_up_all, in_netns, listed_by_nft, run, saved_by_iptables, sh};
use guestnetd::effects::firewall::nftables::Nftables;
use guestnetd::effects::firewall::{Backend, Choice, Engine, Firewall, FirewallError, Ruleset};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// What others have: all of it has to be the same afterwards.
const FOREIGN: &str = "
    iptables-legacy -N their_chain
    iptables-legacy -A their_chain -p tcp --dport 22 -j ACCEPT
    iptables-legacy -A FORWARD -i lan0 -j their_chain
    iptables-legacy -A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT
    iptables-legacy -P FORWARD DROP
    iptables-legacy -t nat -A POSTROUTING -s 192.0.2.0/24 -o lan0 -j MASQUERADE
    ip6tables-legacy -A FORWARD -i lan0 -j DROP
    nft add table inet theirs
    nft add chain inet theirs guestnet '{ type filter hook forward priority 10; }'
    nft add rule inet theirs guestnet iifname vm_wlan counter accept
    nft add table ip guestnet
    nft add chain ip guestnet forward
";

/// What iptables-save prints of ours, from the commands that were expected.
fn ours_in_save(commands: &str) -> Vec<String> {
    let rule = |line: &str| {
        let (_, rest) = line.split_once("tables -w -t ").unwrap();
        let (_, rest) = rest.split_once(' ').unwrap();
        match rest.split(' ').collect::<Vec<_>>().as_slice() {
            ["-N", name] => format!(":{name} -"),
            ["-I", parent, "1", jump @ ..] => format!("-A {parent} {}", jump.join(" ")),
            other => other.join(" "),
        }
    };
    let mut lines: Vec<_> = commands.lines().map(rule).collect();
    lines.sort();
    lines
}

fn saved_of_ours() -> Vec<String> {
    let mut lines = saved_by_iptables();
    lines.retain(|line| line.contains("guestnet"));
    lines.sort();
    lines
}

#[test]
fn nft_lists_what_was_meant() {
    in_netns(|| {
        let mut firewall = open(Choice::Nftables);
        for case in cases() {
            firewall.apply(&case.ruleset).unwrap();
            assert_eq!(listed_by_nft(), case.nftables, "{}", case.name);
            assert_eq!(firewall.text(&case.ruleset), case.nftables, "{}", case.name);
            assert_eq!(firewall.drift(&case.ruleset).unwrap(), None, "{}", case.name);
        }
    });
}

#[test]
fn iptables_lists_what_was_meant() {
    in_netns(|| {
        for case in cases() {
            let mut firewall = open(Choice::Iptables);
            firewall.apply(&case.ruleset).unwrap();
            assert_eq!(saved_of_ours(), ours_in_save(&case.iptables), "{}", case.name);
            assert_eq!(firewall.text(&case.ruleset), case.iptables, "{}", case.name);
            assert_eq!(firewall.drift(&case.ruleset).unwrap(), None, "{}", case.name);
            firewall.clear().unwrap();
        }
    });
}

#[test]
fn a_ruleset_is_not_taken_for_another() {
    in_netns(|| {
        for choice in [Choice::Nftables, Choice::Iptables] {
            let mut firewall = open(choice);
            for applied in cases() {
                firewall.apply(&applied.ruleset).unwrap();
                for other in cases() {
                    let drift = firewall.drift(&other.ruleset).unwrap();
                    assert_eq!(
                        drift.is_none(),
                        applied.ruleset == other.ruleset,
                        "{choice:?}: {} for {}: {drift:?}",
                        applied.name,
                        other.name
                    );
                }
            }
        }
    });
}

#[test]
fn opening_changes_nothing() {
    in_netns(|| {
        sh(FOREIGN);
        let before = (sh("nft list ruleset"), saved_by_iptables());
        for choice in [Choice::Auto, Choice::Nftables, Choice::Iptables] {
            let (firewall, why) = Firewall::open(&choice.into()).unwrap();
            assert!(!why.is_empty());
            if choice == Choice::Auto {
                assert_eq!(firewall.backend(), Backend::Nftables, "{why}");
            }
        }
        assert_eq!((sh("nft list ruleset"), saved_by_iptables()), before);
    });
}

#[test]
fn what_others_have_stays() {
    in_netns(|| {
        sh(FOREIGN);
        let theirs = || sh("nft list table inet theirs; nft list table ip guestnet");
        let before = (theirs(), saved_by_iptables());
        for choice in [Choice::Nftables, Choice::Iptables] {
            let mut firewall = open(choice);
            for ruleset in [wlan0(), eth0(), Ruleset::default(), wlan0()] {
                firewall.apply(&ruleset).unwrap();
                let mut saved = saved_by_iptables();
                saved.retain(|line| !line.contains("oem_guestnet"));
                assert_eq!((theirs(), saved), before, "{choice:?}");
            }
            firewall.clear().unwrap();
            assert_eq!((theirs(), saved_by_iptables()), before, "{choice:?}");
            assert!(!run("nft list table inet guestnet").0, "{choice:?}");
            firewall.clear().unwrap();
        }
    });
}

#[test]
fn a_hundred_changes_leave_one_copy() {
    in_netns(|| {
        for choice in [Choice::Nftables, Choice::Iptables] {
            let mut firewall = open(choice);
            for turn in 0..100 {
                firewall.apply(&if turn % 2 == 0 { wlan0() } else { eth0() }).unwrap();
            }
            let case = cases().into_iter().find(|case| case.name == "eth0").unwrap();
            match choice {
                Choice::Nftables => assert_eq!(listed_by_nft(), case.nftables),
                _ => {
                    // After an even number of turns the second names are the ones in use.
                    let mut saved = saved_of_ours();
                    saved.iter_mut().for_each(|line| *line = line.replace("_b", ""));
                    saved.sort();
                    assert_eq!(saved, ours_in_save(&case.iptables));
                }
            }
        }
    });
}

#[test]
fn a_table_of_an_earlier_run_is_taken_over() {
    in_netns(|| {
        let earlier: [fn() -> Nftables; 2] =
            [|| Nftables::open().unwrap(), || Nftables::unowned().unwrap()];
        let later = earlier;
        for (before, after) in earlier.iter().flat_map(|b| later.iter().map(move |a| (b, a))) {
            let mut first = before();
            first.apply(&wlan0()).unwrap();
            end(first);
            let left = listed_by_nft();
            let mut second = after();
            // A crash leaves the rules; as they cannot be compared they are written once more.
            assert!(second.drift(&wlan0()).unwrap().is_some());
            second.apply(&wlan0()).unwrap();
            assert_eq!(listed_by_nft(), left);
            assert_eq!(second.drift(&wlan0()).unwrap(), None);
            second.apply(&eth0()).unwrap();
            assert_eq!(second.drift(&eth0()).unwrap(), None);
            second.clear().unwrap();
            assert!(!run("nft list table inet guestnet").0);
        }
    });
}

/// Drops it and waits until the table has no owner: a process that another test's thread forks has a
/// copy of the socket until its exec.
fn end(owner: impl Sized) {
    drop(owner);
    let until = Instant::now() + Duration::from_secs(5);
    while run("nft list table inet guestnet").1.contains("progname") {
        assert!(Instant::now() < until, "the table still has an owner");
    }
}

#[test]
fn a_table_that_another_owns_is_refused_and_named() {
    in_netns(|| {
        let mut first = Nftables::open().unwrap();
        first.apply(&wlan0()).unwrap();
        let mut second = Nftables::open().unwrap();
        for error in [second.apply(&eth0()).unwrap_err(), second.clear().unwrap_err()] {
            let FirewallError::Netlink { what, cause } = &error else { panic!("{error}") };
            assert!(what.contains("inet guestnet") && cause.contains("belongs to"), "{error}");
        }
        assert_eq!(first.drift(&wlan0()).unwrap(), None);
    });
}

#[test]
fn the_other_backends_leftovers_go() {
    in_netns(|| {
        let mut nftables = open(Choice::Nftables);
        nftables.apply(&wlan0()).unwrap();
        end(nftables);
        let mut iptables = open(Choice::Iptables);
        assert!(run("nft list table inet guestnet").0, "no moment without rules");
        iptables.apply(&wlan0()).unwrap();
        iptables.clear_leftovers();
        assert!(!run("nft list table inet guestnet").0);
        drop(iptables);
        let mut nftables = open(Choice::Nftables);
        assert!(!saved_of_ours().is_empty(), "no moment without rules");
        nftables.apply(&wlan0()).unwrap();
        nftables.clear_leftovers();
        assert_eq!(saved_of_ours(), Vec::<String>::new());
        assert_eq!(nftables.leftovers_due(), None);
    });
}

#[test]
fn a_hundred_subnets_fit() {
    in_netns(|| {
        let mut many = wlan0();
        for k in 0..100 {
            let line = format!("subnet 10.99.{k}.0/24 gateway 10.99.{k}.1\n");
            many.subnets.extend(ruleset(&line).subnets);
        }
        let mut firewall = open(Choice::Nftables);
        firewall.apply(&many).unwrap();
        assert_eq!(listed_by_nft(), firewall.text(&many));
    });
}

/// Subnets come and go, two with one gateway each in one subnet among them, and others work on their
/// tables in between: whichever way a change is made, what is there is what was wanted.
#[test]
fn subnets_come_and_go() {
    in_netns(|| {
        let mut firewall = open(Choice::Nftables);
        let all: Vec<_> = (0..12)
            .map(|k| {
                let (subnet, prefix) = (k / 2, [24, 24, 20][k / 2 % 3]);
                let line = format!("10.{subnet}.0.0/{prefix} gateway 10.{subnet}.0.{}", k % 2 + 1);
                ruleset(&format!("subnet {line}\n")).subnets.pop_first().unwrap()
            })
            .collect();
        let mut wanted = wlan0();
        // A small generator with a fixed seed: the same changes in every run.
        let mut random = 0x5eed_u64;
        for turn in 0..400 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let subnet = all[(random >> 33) as usize % all.len()];
            if !wanted.subnets.remove(&subnet) {
                wanted.subnets.insert(subnet);
            }
            match turn % 50 {
                10 => drop(sh("nft add table inet theirs")),
                20 => wanted.uplinks = eth0().uplinks,
                30 => wanted.uplinks = wlan0().uplinks,
                40 => drop(sh("nft delete table inet theirs")),
                _ => {}
            }
            firewall.apply(&wanted).unwrap();
            assert_eq!(firewall.drift(&wanted).unwrap(), None, "turn {turn}");
        }
    });
}

/// Without the right to do it: an error that says so, from either backend.
#[test]
fn without_privileges_it_is_said() {
    in_netns(|| {
        let mut firewalls = [open(Choice::Nftables), open(Choice::Iptables)];
        for firewall in &mut firewalls {
            firewall.apply(&wlan0()).unwrap();
        }
        // A thread that gives up all capabilities: of the others nothing changes.
        let said = thread::spawn(|| {
            give_up_all();
            [Choice::Auto, Choice::Nftables, Choice::Iptables].map(|choice| {
                Firewall::open(&choice.into()).err().map(|e| e.to_string()).unwrap_or_default()
            })
        });
        for text in said.join().unwrap() {
            assert!(text.contains("not permitted"), "{text:?}");
        }
    });
}

/// Others work on their own tables and chains at the same time: neither fails by the other.
#[test]
fn others_may_work_at_the_same_time() {
    in_netns(|| {
        let done = Arc::new(AtomicBool::new(false));
        let changes = Arc::new(AtomicUsize::new(0));
        let other = {
            let (done, changes) = (done.clone(), changes.clone());
            thread::spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    sh("nft add table inet theirs; nft delete table inet theirs
                        iptables-legacy -w -A FORWARD -i lan0 -j DROP
                        iptables-legacy -w -D FORWARD -i lan0 -j DROP");
                    changes.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        for choice in [Choice::Nftables, Choice::Iptables] {
            let mut firewall = open(choice);
            let before = changes.load(Ordering::Relaxed);
            let mut turn = 0;
            while changes.load(Ordering::Relaxed) < before + 20 {
                turn += 1;
                firewall.apply(&if turn % 2 == 0 { wlan0() } else { eth0() }).unwrap();
            }
            assert!(turn > 5, "{choice:?}: {turn} changes");
            firewall.clear().unwrap();
        }
        done.store(true, Ordering::Relaxed);
        other.join().unwrap();
        assert_eq!(saved_of_ours(), Vec::<String>::new());
    });
}
