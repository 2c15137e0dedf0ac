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

//! As it is on a device: netd's chains are there, a helper with a list of its own runs iptables, and
//! the rules may not be readable. The helper is a stand-in with the same list.

mod firewall_cases;
mod firewall_rig;

use firewall_cases::{cases, eth0, wlan0};
use firewall_rig::closed::watched;
use firewall_rig::{give_up_net_admin, in_netns, run, saved_by_iptables, sh};
use guestnetd::effects::firewall::iptables::Programs;
use guestnetd::effects::firewall::{Backend, Choice, Firewall, FirewallError, Options, Ruleset};
use std::fs;
use std::path::{Path, PathBuf};

/// Netd's chains, as it has them when it has started.
const NETD: &str = "
    i=iptables-legacy; j=ip6tables-legacy
    for t in $i $j; do
        $t -F FORWARD; $t -F INPUT
        for c in oem_fwd fw_FORWARD bw_FORWARD tetherctrl_FORWARD; do
            $t -N $c 2>/dev/null || $t -F $c
            $t -A FORWARD -j $c
        done
        for c in bw_INPUT fw_INPUT; do
            $t -N $c 2>/dev/null || $t -F $c
            $t -A INPUT -j $c
        done
    done
    $i -A tetherctrl_FORWARD -j DROP
    $i -t nat -F PREROUTING; $i -t nat -F POSTROUTING
    for c in oem_nat_pre tetherctrl_nat_POSTROUTING; do
        $i -t nat -N $c 2>/dev/null || $i -t nat -F $c
    done
    $i -t nat -A PREROUTING -j oem_nat_pre
    $i -t nat -A POSTROUTING -j tetherctrl_nat_POSTROUTING
";

/// A directory with a helper for either IP version, which goes with the test.
struct Helper(PathBuf);

impl Helper {
    fn new(name: &str) -> Self {
        let directory = format!("guestnet-helper-{}-{name}", std::process::id());
        let this = Self(std::env::temp_dir().join(directory));
        let _ = fs::remove_dir_all(&this.0);
        fs::create_dir_all(&this.0).unwrap();
        let programs = Programs::find().unwrap();
        for (name, program) in [("iptables", programs.v4), ("ip6tables", programs.v6)] {
            this.script(
                &format!("{name}-wrapper-1.0"),
                &format!(
                    "case \"$*\" in
                     -w*' -'[ADFINX]' oem_'*|'-w '*' -j oem_'*) ;;
                     *) echo \"NetUtilsWrapper: Unexpected command: $*\" >&2
                        echo \"$*\" >> {refused}; exit 1 ;;
                     esac
                     echo \"{name} $*\" >> {log}
                     exec {program} \"$@\"",
                    log = this.0.join("log").display(),
                    refused = this.0.join("refused").display(),
                    program = program.display(),
                ),
            );
        }
        this
    }

    fn script(&self, name: &str, text: &str) {
        // By another process: a copy of our descriptor in a child of another thread's would make it
        // busy.
        let path = self.0.join(name);
        let path = path.display();
        sh(&format!("cat > {path} <<'END'\n#!/bin/sh\n{text}\nEND\nchmod 755 {path}"));
    }

    fn program(&self) -> PathBuf {
        self.0.join("iptables-wrapper-1.0")
    }

    fn open(&self) -> Firewall {
        open(&self.program()).unwrap()
    }

    fn lines(&self, file: &str) -> Vec<String> {
        let text = fs::read_to_string(self.0.join(file)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn has_refused_nothing(&self) {
        assert_eq!(self.lines("refused"), Vec::<String>::new());
    }

    /// The commands since the last call.
    fn commands(&self) -> Vec<String> {
        let lines = self.lines("log");
        let _ = fs::remove_file(self.0.join("log"));
        lines
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn open(program: &Path) -> Result<Firewall, FirewallError> {
    let options = Options { choice: Choice::Auto, iptables: Some(program.to_owned()) };
    let (firewall, _) = Firewall::open(&options)?;
    assert_eq!(firewall.backend(), Backend::Iptables);
    Ok(firewall)
}

/// All of ours, whichever of the names is in use.
fn ours() -> Vec<String> {
    let mut lines = saved_by_iptables();
    lines.retain(|line| line.contains("oem_guestnet"));
    for line in &mut lines {
        let words = line.split(' ');
        let words =
            words.map(|word| word.strip_suffix("_b").or(word.strip_suffix("_c")).unwrap_or(word));
        *line = words.collect::<Vec<_>>().join(" ");
    }
    lines.sort();
    lines
}

/// What is there once these rules are, and nothing else.
fn expected(ruleset: &Ruleset) -> Vec<String> {
    let mut iptables = firewall_cases::open(Choice::Iptables);
    iptables.clear().unwrap();
    iptables.apply(ruleset).unwrap();
    let ours = ours();
    iptables.clear().unwrap();
    ours
}

#[test]
fn the_helper_does_all_of_it() {
    in_netns(|| {
        sh(NETD);
        let helper = Helper::new("all");
        let mut firewall = helper.open();
        for case in cases() {
            firewall.apply(&case.ruleset).unwrap();
            assert_eq!(firewall.drift(&case.ruleset).unwrap(), None, "{}", case.name);
        }
        firewall.clear().unwrap();
        assert_eq!(ours(), Vec::<String>::new());
        helper.has_refused_nothing();
    });
}

/// Netd starts again: as many commands as there are jumps.
#[test]
fn a_restart_of_netd_costs_one_command_for_each_jump() {
    in_netns(|| {
        sh(NETD);
        let helper = Helper::new("restart");
        let mut firewall = helper.open();
        let all = cases().into_iter().find(|case| case.name == "resolver").unwrap().ruleset;
        firewall.apply(&all).unwrap();
        let before = saved_by_iptables();
        for _ in 0..3 {
            sh(NETD);
            helper.commands();
            assert!(firewall.drift(&all).unwrap().is_some());
            firewall.apply(&all).unwrap();
            let commands = helper.commands();
            assert_eq!(
                commands,
                [
                    "ip6tables -w -t filter -I INPUT 1 -j oem_guestnet_in",
                    "ip6tables -w -t filter -I FORWARD 1 -j oem_guestnet_fwd",
                    "iptables -w -t nat -I POSTROUTING 1 -j oem_guestnet_post",
                    "iptables -w -t nat -I oem_nat_pre 1 -j oem_guestnet_pre",
                    "iptables -w -t filter -I INPUT 1 -j oem_guestnet_in",
                    "iptables -w -t filter -I oem_fwd 1 -j oem_guestnet_fwd",
                ]
            );
            assert_eq!(saved_by_iptables(), before);
        }
        // Nothing is lost: nothing is run.
        firewall.apply(&all).unwrap();
        assert_eq!(helper.commands(), Vec::<String>::new());
    });
}

/// One more subnet of guests, or one less, costs as much with many others as with few.
#[test]
fn a_subnet_costs_the_same_with_many_others() {
    in_netns(|| {
        sh(NETD);
        let helper = Helper::new("subnets");
        let mut firewall = helper.open();
        let with = |n: usize, rest: &str| {
            let subnet = |n| format!("subnet 10.20.{n}.0/24 gateway 10.20.{n}.1\n");
            let subnets: String = (0..n).map(subnet).collect();
            firewall_cases::ruleset(&format!(
                "uplink wlan0\nsubnet 172.17.0.0/16 gateway 172.17.3.2\n{subnets}{rest}"
            ))
        };
        for rest in ["", "resolver 192.0.2.53\n"] {
            firewall.apply(&with(0, rest)).unwrap();
            helper.commands();
            // FORWARD, POSTROUTING, INPUT: what is known, an echo, others; a question by either protocol.
            let one = 3 + 1 + 3 + 2;
            for n in (1..=20).chain((0..20).rev()) {
                firewall.apply(&with(n, rest)).unwrap();
                let commands = helper.commands();
                assert_eq!(commands.len(), one, "{n}: {commands:#?}");
                assert_eq!(firewall.drift(&with(n, rest)).unwrap(), None, "{n}");
            }
        }
        helper.has_refused_nothing();
    });
}

/// Another uplink costs the two chains that name it, and nothing else is written.
#[test]
fn an_uplink_costs_the_chains_that_name_it() {
    in_netns(|| {
        sh(NETD);
        let helper = Helper::new("uplink");
        let mut firewall = helper.open();
        firewall.apply(&wlan0()).unwrap();
        for ruleset in [eth0(), wlan0(), eth0()] {
            helper.commands();
            firewall.apply(&ruleset).unwrap();
            let commands = helper.commands();
            // Each is made, hooked, and the old one unhooked, emptied and removed.
            let (forward, postrouting) = (6, 1);
            assert_eq!(commands.len(), forward + postrouting + 2 * 5, "{commands:#?}");
            assert!(!commands.iter().any(|command| command.contains("oem_guestnet_in")));
        }
    });
}

/// Netd comes when guestnetd is there already, and goes: our jumps follow, and no old one stays.
#[test]
fn netds_chains_are_followed() {
    in_netns(|| {
        let mut firewall = firewall_cases::open(Choice::Iptables);
        firewall.apply(&wlan0()).unwrap();
        let on_linux = ours();
        // Not by netd itself, which would throw away what FORWARD has.
        sh("iptables-legacy -N oem_fwd; iptables-legacy -A FORWARD -j oem_fwd");
        assert!(firewall.drift(&wlan0()).unwrap().is_some());
        firewall.apply(&wlan0()).unwrap();
        let saved = sh("iptables-legacy-save -t filter");
        assert!(saved.contains("-A oem_fwd -j oem_guestnet_fwd\n"), "{saved}");
        assert!(!saved.contains("-A FORWARD -j oem_guestnet_fwd\n"), "{saved}");
        sh("iptables-legacy -D FORWARD -j oem_fwd");
        firewall.apply(&wlan0()).unwrap();
        assert_eq!(ours(), on_linux);
    });
}

/// Since Android 16 netd has one for vendors in INPUT, too; whether the rules can be read or not.
#[test]
fn netds_chain_in_input_is_followed() {
    const VENDORS: &str = "for t in iptables-legacy ip6tables-legacy; do
            $t -N oem_in 2>/dev/null || $t -F oem_in
            $t -I INPUT 1 -j oem_in
        done";
    for is_blind in [false, true] {
        in_netns(move || {
            sh(NETD);
            let helper = Helper::new(if is_blind { "input-blind" } else { "input" });
            if is_blind {
                give_up_net_admin();
            }
            let mut firewall = helper.open();
            let mut is_in = |parent: &str| {
                firewall.apply(&wlan0()).unwrap();
                assert_eq!(firewall.drift(&wlan0()).unwrap(), None);
                let v4 = sh("iptables-legacy-save -t filter");
                let jumps = v4.lines().filter(|line| line.contains("-j oem_guestnet_in"));
                let jumps: Vec<_> = jumps.map(|line| line.rsplit_once(" -j ").unwrap().0).collect();
                assert_eq!(jumps, [format!("-A {parent}")], "{v4}");
            };
            is_in("INPUT");
            // An earlier guestnetd's, or netd has become another one.
            sh(VENDORS);
            is_in("oem_in");
            sh(NETD);
            sh(VENDORS);
            sh("iptables-legacy -A oem_in -p udp -j ACCEPT");
            is_in("oem_in");
            let first = sh("iptables-legacy -S oem_in 1");
            assert!(first.contains("oem_guestnet_in"), "{first}");
            sh("iptables-legacy -D INPUT -j oem_in");
            is_in("INPUT");
            helper.has_refused_nothing();
        });
    }
}

#[test]
fn auto_takes_iptables_where_netd_is() {
    in_netns(|| {
        assert_eq!(firewall_cases::open(Choice::Auto).backend(), Backend::Nftables);
        sh(NETD);
        let (firewall, why) = Firewall::open(&Choice::Auto.into()).unwrap();
        assert_eq!(firewall.backend(), Backend::Iptables);
        assert!(why.contains("netd"), "{why}");
    });
}

/// What is not a program, or refuses, is said at once, with its name and what to do.
#[test]
fn a_program_that_does_not_work_is_said() {
    in_netns(|| {
        let helper = Helper::new("refuses");
        let said = |program: PathBuf| match open(&program) {
            Err(FirewallError::Unavailable(text)) => text,
            Err(other) => panic!("{other:?}"),
            Ok(_) => panic!("{program:?} works"),
        };
        let missing = said(helper.0.join("iptables"));
        assert!(missing.contains("there is no program"), "{missing}");
        for name in ["iptables-silent", "ip6tables-silent"] {
            helper.script(name, "exit 1");
        }
        let silent = said(helper.0.join("iptables-silent"));
        for part in [
            "iptables-silent",
            "refuses `iptables -w -t nat -C",
            "without a word",
            "netutils_wrapper",
            "net_admin",
            "--iptables PATH",
        ] {
            assert!(silent.contains(part), "{silent}");
        }
        for name in ["iptables-strict", "ip6tables-strict"] {
            helper.script(name, "echo \"NetUtilsWrapper: Unexpected command: $*\" >&2; exit 1");
        }
        let strict = said(helper.0.join("iptables-strict"));
        assert!(strict.contains("Unexpected command") && strict.contains("refuses"), "{strict}");
        helper.script("iptables-alone", "exit 0");
        assert!(said(helper.0.join("iptables-alone")).contains("ip6tables-alone"));
        fs::write(helper.0.join("iptables-text"), "").unwrap();
        fs::write(helper.0.join("ip6tables-text"), "").unwrap();
        assert!(said(helper.0.join("iptables-text")).contains("does not run"));
        assert!(said("iptables".into()).contains("absolute"));
        assert!(said(helper.0.join("sh")).contains("called iptables"));
        let nft = PathBuf::from(sh("command -v iptables-nft || true").trim());
        if nft.is_file() {
            assert!(said(nft).contains("writes to nf_tables"));
        }
        let options = Options { choice: Choice::Nftables, iptables: Some(helper.program()) };
        let text = Firewall::open(&options).err().unwrap().to_string();
        assert!(text.contains("--iptables") && text.contains("--firewall iptables"), "{text}");
        assert_eq!(saved_by_iptables().iter().filter(|l| l.contains("guestnet")).count(), 0);
    });
}

/// Nothing can be read: all is written, whatever is there, and at no moment is a chain of ours in use
/// that has not all of its rules.
#[test]
fn what_cannot_be_read_is_written_all_the_same() {
    in_netns(|| {
        let all: Vec<_> = cases().into_iter().map(|case| (case.name, case.ruleset)).collect();
        let expected_of: Vec<_> = all.iter().map(|(_, ruleset)| expected(ruleset)).collect();
        let helper = Helper::new("blind");
        let mut firewall = without_reading(|| helper.open());
        without_reading(|| firewall.apply(&wlan0()).unwrap());
        let work = || {
            for ((name, ruleset), expected) in all.iter().zip(&expected_of) {
                firewall.apply(ruleset).unwrap();
                assert_eq!(&ours(), expected, "{name}");
                assert_eq!(firewall.drift(ruleset).unwrap(), None, "{name}");
                let why = firewall.unseen().unwrap();
                assert!(why.contains("not permitted"), "{why}");
                assert!(matches!(firewall.dropped(), Err(FirewallError::Unreadable(_))));
            }
        };
        let looks = watched(|| without_reading(work));
        assert!(looks > 100, "{looks}");
        without_reading(|| firewall.clear().unwrap());
        assert_eq!(ours(), Vec::<String>::new());
        helper.has_refused_nothing();
    });
}

/// On a thread that may not read the rules.
fn without_reading<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let inside = scope.spawn(|| {
            give_up_net_admin();
            work()
        });
        inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

#[test]
fn lost_jumps_are_put_back_unseen() {
    in_netns(|| {
        sh(NETD);
        let helper = Helper::new("jumps");
        give_up_net_admin();
        let mut firewall = helper.open();
        firewall.apply(&wlan0()).unwrap();
        let whole = saved_by_iptables();
        helper.commands();
        // Nothing is lost: it is asked, and nothing is changed.
        firewall.apply(&wlan0()).unwrap();
        let asked = helper.commands();
        assert!(asked.iter().all(|command| command.contains(" -C ")), "{asked:?}");
        // What is lost inside of a chain is not seen, but written when a jump to it is.
        sh("iptables-legacy -F oem_guestnet_in");
        assert_eq!(firewall.drift(&wlan0()).unwrap(), None);
        let same = |now: Vec<String>| now.len() == whole.len() && ours().len() == ours_of(&whole);
        sh(NETD);
        assert!(firewall.drift(&wlan0()).unwrap().unwrap().contains("has no jump"));
        firewall.apply(&wlan0()).unwrap();
        assert!(same(saved_by_iptables()), "{:#?}", saved_by_iptables());
        assert_eq!(firewall.drift(&wlan0()).unwrap(), None);
        // A chain that is gone, with its jump: only that is written.
        let in_use = run("iptables-legacy-save | grep -o 'oem_guestnet_in.*' | tail -1").1;
        let in_use = in_use.split(' ').next().unwrap().trim().to_owned();
        sh(&format!(
            "iptables-legacy -D INPUT 1; iptables-legacy -F {in_use}; iptables-legacy -X {in_use}"
        ));
        helper.commands();
        firewall.apply(&wlan0()).unwrap();
        assert!(same(saved_by_iptables()), "{:#?}", saved_by_iptables());
        let commands = helper.commands();
        let written = commands.iter().filter(|command| command.contains(" -A oem_"));
        assert!(written.into_iter().all(|command| command.contains("oem_guestnet_in")));
    });
}

fn ours_of(saved: &[String]) -> usize {
    saved.iter().filter(|line| line.contains("oem_guestnet")).count()
}

/// Whatever an earlier run has left, and whichever names it used: unseen it is replaced.
#[test]
fn leftovers_go_unseen() {
    in_netns(|| {
        let expected = expected(&eth0());
        let helper = Helper::new("leftovers");
        give_up_net_admin();
        let mut firewall = helper.open();
        for leftovers in [
            "iptables-legacy -N oem_guestnet_fwd",
            "iptables-legacy -N oem_guestnet_fwd; iptables-legacy -A oem_guestnet_fwd -j DROP
             iptables-legacy -I FORWARD -j oem_guestnet_fwd; iptables-legacy -I FORWARD -j oem_guestnet_fwd",
            "for n in oem_guestnet_in oem_guestnet_in_b; do iptables-legacy -N $n
             iptables-legacy -A $n -i vm_wlan+ -j DROP; iptables-legacy -I INPUT -j $n; done",
            "iptables-legacy -t nat -N oem_guestnet_pre_b
             iptables-legacy -t nat -A PREROUTING -j oem_guestnet_pre_b",
            "iptables-legacy -N oem_fwd; iptables-legacy -N oem_guestnet_fwd_b
             iptables-legacy -A oem_fwd -j oem_guestnet_fwd_b",
        ] {
            sh(leftovers);
            firewall.apply(&eth0()).unwrap();
            assert_eq!(ours(), expected, "{leftovers}");
            firewall.clear().unwrap();
            assert_eq!(ours(), Vec::<String>::new(), "{leftovers}");
        }
    });
}
