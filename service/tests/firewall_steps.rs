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

//! iptables takes one command after the other: what a packet meets between any two of them, and
//! what the next run makes of it when the process dies there.

mod firewall_cases;
mod firewall_rig;

use firewall_cases::ruleset;
use firewall_rig::closed::{chain, closed, met_first, watched};
use firewall_rig::{in_netns, saved_by_iptables, sh};
use guestnetd::effects::firewall::iptables::entries::{Entry, Target};
use guestnetd::effects::firewall::iptables::read::table;
use guestnetd::effects::firewall::iptables::{Call, Iptables, Programs};
use guestnetd::effects::firewall::{Engine, Family, Ruleset};
use std::process::Command;

fn rulesets() -> [Ruleset; 5] {
    [
        ruleset("uplink wlan0\nsubnet 172.17.0.0/16 gateway 172.17.3.2\n"),
        ruleset("uplink eth0\nsubnet 172.17.0.0/16 gateway 172.17.3.2\n"),
        ruleset(
            "uplink eth0\nsubnet 172.17.0.0/16 gateway 172.17.3.2\n\
             subnet 10.20.48.0/20 gateway 10.20.48.1\n",
        ),
        ruleset(
            "uplink wlan0\nuplink rmnet*\nsubnet 172.17.0.0/16 gateway 172.17.3.2\n\
             resolver 192.0.2.53\nguest vm_wlan1 by tun0\n",
        ),
        ruleset("subnet 172.17.0.0/16 gateway 172.17.3.2\n"),
    ]
}

fn iptables() -> Iptables {
    Iptables::new(Programs::find().unwrap()).unwrap()
}

fn run(call: &Call) {
    let Programs { v4, v6 } = Programs::find().unwrap();
    let program = if call.family == Family::V4 { v4 } else { v6 };
    for _ in 0..call.at_most.max(1) {
        if !Command::new(&program).args(&call.arguments).status().unwrap().success() {
            return assert_ne!(call.at_most, 0, "{call}");
        }
    }
}

/// What FORWARD lets out by an uplink is masqueraded there: no guest's own address leaves.
fn masqueraded(when: &str) {
    let filter = table(Family::V4, "filter").unwrap();
    let nat = table(Family::V4, "nat").unwrap();
    let Some(met) = met_first(&filter, "FORWARD") else { return };
    let accepted = met.rules.iter().filter(|rule| {
        let guests = rule.input.starts_with("vm_wlan");
        rule.target == Target::Accept && guests && !rule.output.is_empty()
    });
    let jumps = chain(&nat, "POSTROUTING").rules.iter().filter_map(|rule| match &rule.target {
        Target::Jump(name) => Some(chain(&nat, name)),
        _ => None,
    });
    let nats: Vec<_> = jumps.flat_map(|chain| &chain.rules).collect();
    for rule in accepted {
        let same = |nat: &&Entry| nat.output == rule.output && nat.source == rule.source;
        assert!(nats.iter().any(same), "{when}: {} is not masqueraded", rule.output);
    }
}

#[test]
fn there_is_no_moment_without_the_drop() {
    in_netns(|| {
        let mut iptables = iptables();
        let mut first = true;
        for turn in 0..9 {
            let wanted = &rulesets()[turn % 5];
            for call in iptables.plan(wanted).unwrap() {
                run(&call);
                closed(!first, &format!("after {call}"));
                masqueraded(&format!("after {call}"));
            }
            first = false;
            closed(true, "at the end");
            iptables.planned(wanted).unwrap();
            assert_eq!(iptables.plan(wanted).unwrap(), []);
        }
        // The way out: what is still let through is masqueraded to the last.
        let way_out = iptables.plan_to_clear().unwrap();
        assert!(way_out.len() > 12, "{way_out:?}");
        for call in way_out {
            run(&call);
            masqueraded(&format!("after {call}"));
        }
        assert_eq!(iptables.plan_to_clear().unwrap(), []);
    });
}

/// The same as seen by another thread, while the real thing runs.
#[test]
fn no_other_sees_a_moment_without_the_drop() {
    in_netns(|| {
        let mut iptables = iptables();
        iptables.apply(&rulesets()[0]).unwrap();
        let looks = watched(|| {
            for turn in 0..40 {
                iptables.apply(&rulesets()[turn % 5]).unwrap();
            }
        });
        assert!(looks > 100, "{looks}");
    });
}

/// Dies after each command on the way from one ruleset to another: the next run mends it.
#[test]
fn a_crash_at_any_command_is_mended() {
    in_netns(|| {
        let [wlan0, eth0, _, all, none] = rulesets();
        for (from, to, then) in [
            (Some(&wlan0), &all, &wlan0),
            (None, &wlan0, &wlan0),
            (Some(&wlan0), &eth0, &eth0),
            (Some(&wlan0), &eth0, &none),
            (Some(&eth0), &none, &wlan0),
        ] {
            let mut at = 0;
            loop {
                let mut iptables = iptables();
                iptables.clear().unwrap();
                if let Some(from) = from {
                    iptables.apply(from).unwrap();
                }
                let plan = iptables.plan(to).unwrap();
                if at > plan.len() {
                    break;
                }
                plan.iter().take(at).for_each(run);
                // The next run.
                let mut next = self::iptables();
                for call in next.plan(then).unwrap() {
                    run(&call);
                    closed(from.is_some(), &format!("crash after {at}, then {call}"));
                }
                next.planned(then).unwrap();
                assert_eq!(next.drift(then).unwrap(), None, "crash after {at}");
                next.clear().unwrap();
                let left = saved_by_iptables();
                let left: Vec<_> = left.iter().filter(|line| line.contains("guestnet")).collect();
                assert!(left.is_empty(), "crash after {at}: {left:?}");
                at += 1;
            }
            assert!(at > 5, "a plan of {at} commands");
        }
    });
}

/// Anything at all under either name, hooked or not: it goes.
#[test]
fn leftovers_under_either_name_go() {
    in_netns(|| {
        let [wlan0, ..] = rulesets();
        for leftovers in [
            "iptables-legacy -N oem_guestnet_fwd",
            "iptables-legacy -N oem_guestnet_fwd_b; iptables-legacy -A oem_guestnet_fwd_b -j ACCEPT",
            "iptables-legacy -N oem_guestnet_fwd; iptables-legacy -N oem_guestnet_fwd_b;
             iptables-legacy -A FORWARD -j oem_guestnet_fwd_b;
             iptables-legacy -A FORWARD -j oem_guestnet_fwd;
             iptables-legacy -A FORWARD -j oem_guestnet_fwd_b;
             iptables-legacy -A FORWARD -j oem_guestnet_fwd",
            "iptables-legacy -t nat -N oem_guestnet_post_b;
             iptables-legacy -t nat -I POSTROUTING -j oem_guestnet_post_b;
             iptables-legacy -t nat -I POSTROUTING -j oem_guestnet_post_b",
            "ip6tables-legacy -N oem_guestnet_in_b;
             ip6tables-legacy -I INPUT -j oem_guestnet_in_b",
        ] {
            let mut iptables = iptables();
            sh(leftovers);
            iptables.apply(&wlan0).unwrap();
            assert_eq!(iptables.drift(&wlan0).unwrap(), None, "{leftovers}");
            closed(true, leftovers);
            iptables.clear().unwrap();
            let left = saved_by_iptables();
            assert!(!left.iter().any(|line| line.contains("guestnet")), "{left:?}");
        }
    });
}

/// netd's layout: our chain hangs in `oem_fwd`, in front of the DROP of tethering, and a restart of
/// netd, which empties `oem_fwd`, INPUT and POSTROUTING, is mended.
#[test]
fn in_netds_chains() {
    in_netns(|| {
        sh("iptables-legacy -N oem_fwd; iptables-legacy -N tetherctrl_FORWARD;
            ip6tables-legacy -N oem_fwd; ip6tables-legacy -A FORWARD -j oem_fwd;
            iptables-legacy -A tetherctrl_FORWARD -j DROP;
            iptables-legacy -A FORWARD -j oem_fwd;
            iptables-legacy -A FORWARD -j tetherctrl_FORWARD;
            iptables-legacy -t nat -N oem_nat_pre;
            iptables-legacy -t nat -A PREROUTING -j oem_nat_pre");
        let mut wlan0 = rulesets()[0].clone();
        wlan0.resolver = "192.0.2.53".parse().ok();
        let mut iptables = Iptables::new(Programs::find().unwrap()).unwrap();
        for _ in 0..2 {
            iptables.apply(&wlan0).unwrap();
            assert_eq!(iptables.drift(&wlan0).unwrap(), None);
            let chains = table(Family::V4, "filter").unwrap();
            assert!(met_first(&chains, "oem_fwd").is_some());
            assert!(met_first(&chains, "FORWARD").is_none());
            sh("iptables-legacy -F oem_fwd; ip6tables-legacy -F FORWARD;
                ip6tables-legacy -A FORWARD -j oem_fwd;
                iptables-legacy -F INPUT; ip6tables-legacy -F INPUT;
                iptables-legacy -t nat -F POSTROUTING; iptables-legacy -t nat -F oem_nat_pre");
            assert!(iptables.drift(&wlan0).unwrap().is_some());
            // Our chains stand: all that is lost is put back by one command each.
            let lost = iptables.plan(&wlan0).unwrap();
            assert_eq!(lost.len(), 6, "{lost:?}");
        }
        iptables.clear().unwrap();
    });
}
