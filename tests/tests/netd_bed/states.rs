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

//! Each state of each version is what netd leaves: `states.txt`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use guestnet_tests::netd::Variant;
use guestnet_tests::{InNetns, NetdDevice};

const STATES: &str = include_str!("states.txt");

#[test]
fn every_state_is_as_netd_leaves_it() {
    for variant in Variant::ALL {
        let device = NetdDevice::offline(variant);
        let mut expected = Expected { variant, state: State::default() };
        let mut is = |name: &str| expected.assert(name, &device);
        is("init");
        device.connect_only("wlan0", NetdDevice::WLAN0);
        is("wlan0");
        device.default_to("wlan0");
        is("default");
        device.connect_only("rmnet0", NetdDevice::RMNET0);
        is("rmnet0");
        device.vpn_up("tun0");
        is("vpn");
        device.lockdown(true);
        is("lockdown");
        device.hotspot(true);
        is("tether");
        device.hotspot(false);
        is("untether");
        device.default_to("rmnet0");
        is("default-rmnet0");
        device.lockdown(false);
        device.vpn_down("tun0");
        device.default_to("wlan0");
        is("vpn-down");
        if variant >= Variant::Android13 {
            device.bypassable_vpn_up("tun0");
            is("bypassable");
            device.vpn_down("tun0");
        }
        if variant.has_local_networks() {
            device.add_local_network("thread0", "172.31.0.2/24");
            is("local-net");
            device.disconnect("thread0");
        }
        device.netd_restarts_alone(std::time::Duration::ZERO);
        is("restart-init");
    }
}

/// The families of a line, 4 and 6; none for what has no family.
type Of = Option<u8>;

/// A state of netd's.
#[derive(Debug, Default, PartialEq)]
struct State {
    /// Of each chain, its rules in order.
    chains: BTreeMap<(Of, String), Vec<String>>,
    /// What has no order that matters: routing rules have their numbers.
    facts: BTreeSet<(Of, String)>,
}

/// What is expected of a version, up to a state.
struct Expected {
    variant: Variant,
    state: State,
}

impl Expected {
    /// Goes on to this state of the file, and panics unless the device is in it.
    #[track_caller]
    fn assert(&mut self, name: &str, device: &NetdDevice) {
        let title = format!("[{name}]");
        let mut lines = STATES.lines().skip_while(|line| !line.starts_with(&title));
        assert!(lines.next().is_some(), "no state {name} in the file");
        for line in lines.take_while(|line| !line.starts_with('[')).filter(|l| !l.is_empty()) {
            self.apply(line);
        }
        let found = State::of(device);
        let mut text = String::new();
        for fact in self.state.facts.symmetric_difference(&found.facts) {
            let sign = if found.facts.contains(fact) { "not netd's" } else { "missing" };
            let _ = writeln!(text, "{sign}: {fact:?}");
        }
        let chains: BTreeSet<_> = self.state.chains.keys().chain(found.chains.keys()).collect();
        for chain in chains {
            let (netds, ours) = (self.state.chains.get(chain), found.chains.get(chain));
            if netds != ours {
                let _ = writeln!(text, "{chain:?}\n  netd: {netds:?}\n  here: {ours:?}");
            }
        }
        assert!(text.is_empty(), "{:?}, {name}:\n{text}", self.variant);
    }

    fn apply(&mut self, line: &str) {
        let (line, versions) = line.rsplit_once(" @").unwrap_or((line, ""));
        let version = self.variant.major().to_string();
        if !versions.is_empty() && !versions.split(',').any(|one| one == version) {
            return;
        }
        let (families, rest) = match line.split_once(' ').expect("words") {
            ("46", rest) => (vec![Some(4), Some(6)], rest),
            ("4", rest) => (vec![Some(4)], rest),
            ("6", rest) => (vec![Some(6)], rest),
            _ => (vec![None], line),
        };
        for of in families {
            match rest.split_once(' ').expect("words") {
                ("+", fact) => assert!(self.state.facts.insert((of, fact.to_owned())), "{line}"),
                ("-", fact) => assert!(self.state.facts.remove(&(of, fact.to_owned())), "{line}"),
                _ => {
                    let (chain, rules) = rest.split_once(':').expect("a chain");
                    let rules = rules.split(';').map(str::trim).filter(|rule| !rule.is_empty());
                    let rules = rules.map(str::to_owned).collect();
                    self.state.chains.insert((of, chain.to_owned()), rules);
                }
            }
        }
    }
}

impl State {
    /// What a device has.
    fn of(device: &NetdDevice) -> Self {
        let (mut state, names) = (Self::default(), Names::of(device));
        for (family, program) in [(4, "iptables-legacy-save"), (6, "ip6tables-legacy-save")] {
            state.add_chains(family, &names, &device.run(program));
        }
        for family in [4, 6] {
            let mut add = |fact: String| state.facts.insert((Some(family), fact));
            for line in device.run(&format!("ip -{family} rule show")).lines() {
                let rule = line.trim_end().replacen(":\tfrom all", "", 1);
                add(format!("rule {}", names.marks(&names.table_after("lookup", &rule).0)));
            }
            for line in device.run(&format!("ip -{family} route show table all")).lines() {
                let (route, table) = names.table_after("table", line);
                if let Some(table) = table.filter(|table| table != "local") {
                    add(format!("route {table}: {}", plain_route(&route, &table)));
                }
            }
        }
        for line in device.run("tc qdisc show").lines().filter(|l| l.starts_with("qdisc clsact")) {
            let mut words = line.split_whitespace().skip_while(|word| *word != "dev").skip(1);
            state.facts.insert((None, format!("clsact {}", words.next().expect("a link"))));
        }
        for (family, key) in [(4, "net/ipv4/ip_forward"), (6, "net/ipv6/conf/all/forwarding")] {
            state.facts.insert((Some(family), format!("forwarding {}", device.sysctl(key))));
        }
        state
    }

    fn add_chains(&mut self, family: u8, names: &Names, saved: &str) {
        let mut table = "";
        for line in saved.lines() {
            let key = |chain: &str| (Some(family), format!("{table} {chain}"));
            if let Some(name) = line.strip_prefix('*') {
                table = name;
            } else if let Some((name, policy)) =
                line.strip_prefix(':').and_then(|l| l.split_once(' '))
            {
                if policy.starts_with('-') {
                    self.chains.entry(key(name)).or_default();
                }
            } else if let Some((chain, rule)) =
                line.strip_prefix("-A ").and_then(|l| l.split_once(' '))
            {
                // What is not said is this.
                let rule = rule.replace(" --reject-with icmp-port-unreachable", "");
                let rule = names.marks(&rule.replace(" --reject-with icmp6-port-unreachable", ""));
                let jump = rule.strip_prefix("-j ").filter(|to| !to.contains(' '));
                let rule = jump.map(str::to_owned).unwrap_or(rule.clone());
                self.chains.entry(key(chain)).or_default().push(rule);
            }
        }
    }
}

/// Without what the kernel says of itself.
fn plain_route(route: &str, table: &str) -> String {
    let mut words = route.split_whitespace();
    let mut kept = Vec::new();
    while let Some(word) = words.next() {
        match word {
            "proto" | "metric" | "scope" | "pref" => drop(words.next()),
            "table" => assert_eq!(words.next(), Some(table)),
            "linkdown" => (),
            _ => kept.push(word),
        }
    }
    kept.join(" ")
}

/// What numbers stand for.
struct Names {
    /// Interfaces by their indexes.
    links: BTreeMap<u32, String>,
    /// Networks by their ids.
    networks: BTreeMap<u32, String>,
}

impl Names {
    fn of(device: &NetdDevice) -> Self {
        let listed = device.run("ip -o link show");
        let link = |line: &str| {
            let (index, rest) = line.split_once(": ")?;
            let name = rest.split([':', '@']).next()?;
            Some((index.parse().ok()?, name.to_owned()))
        };
        let links = listed.lines().filter_map(link).collect();
        Self { links, networks: device.net_ids().into_iter().collect() }
    }

    /// A table of netd's for an interface by the interface's name.
    fn table(&self, text: &str) -> String {
        let Ok(number) = text.parse::<u32>() else { return text.to_owned() };
        let name = |index: u32| self.links.get(&index).map_or("gone", String::as_str);
        match number {
            1_000_000_000.. => format!("local-of-{}", name(number - 1_000_000_000)),
            1_000.. => name(number - 1_000).to_owned(),
            _ => text.to_owned(),
        }
    }

    /// A line with the table that follows a word by its name, and that table.
    fn table_after(&self, word: &str, line: &str) -> (String, Option<String>) {
        let words: Vec<&str> = line.split(' ').collect();
        let at = words.iter().position(|w| *w == word).map(|at| at + 1);
        let Some(number) = at.and_then(|at| words.get(at)) else { return (line.to_owned(), None) };
        let table = self.table(number);
        let named = |(place, word)| if Some(place) == at { table.as_str() } else { word };
        let line: Vec<&str> = words.iter().copied().enumerate().map(named).collect();
        (line.join(" "), Some(table))
    }

    /// A text with the networks' ids in marks by their names: `0x10000+wlan0/0x1ffff`.
    fn marks(&self, text: &str) -> String {
        let named = |word: &str| {
            let (mark, mask) = word.strip_prefix("0x")?.split_once('/')?;
            let mark = u32::from_str_radix(mark, 16).ok()?;
            let name = self.networks.get(&(mark & 0xffff))?;
            Some(match mark & 0xffff_0000 {
                0 => format!("{name}/{mask}"),
                rest => format!("{rest:#x}+{name}/{mask}"),
            })
        };
        let words = text.split(' ').map(|word| named(word).unwrap_or_else(|| word.to_owned()));
        words.collect::<Vec<_>>().join(" ")
    }
}
