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

//! Which commands lead from the chains that are there to those that are wanted. Pure.
//!
//! A chain is never changed while packets pass through it. Each has two names: the new one is
//! built under the name that is not in use, then its jump is put first, then the old one goes. So
//! there is no moment in which a guest's packet finds a jump and no rule at its end that drops it.

use super::entries::{Chain, Target};
use super::meaning;
use super::programs::Call;
use crate::firewall::{Family, Hook, Interface, Match, Rule, Ruleset, Verdict};

/// The chains that ours are jumped to from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parents {
    /// For what is forwarded.
    pub forward: &'static str,
    /// For what is for the device itself.
    pub input: &'static str,
    /// For destination NAT.
    pub prerouting: &'static str,
    /// For source NAT.
    pub postrouting: &'static str,
}

impl Parents {
    /// Where nobody else owns the chains of the hooks.
    pub const LINUX: Self = Self {
        forward: "FORWARD",
        input: "INPUT",
        prerouting: "PREROUTING",
        postrouting: "POSTROUTING",
    };
    /// Where netd does: it throws away what it finds in FORWARD, and drops what reaches its end.
    pub const ANDROID: Self = Self {
        forward: "oem_fwd",
        input: "INPUT",
        prerouting: "oem_nat_pre",
        postrouting: "POSTROUTING",
    };
}

/// The place of one of our chains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// The hook.
    pub hook: Hook,
    /// The IP version.
    pub family: Family,
    /// The table.
    pub table: &'static str,
    /// The chain that jumps to ours.
    pub parent: &'static str,
    /// The two names.
    pub names: [&'static str; 2],
}

/// The anchors in the order in which they are put to use. Source NAT first: nothing may leave by a new
/// uplink with a guest's own address. Then destination NAT, before INPUT closes the door that it
/// leads past; the other way round a guest's question would be dropped in between. FORWARD last:
/// only it lets packets through.
pub fn anchors(parents: &Parents) -> [Anchor; 6] {
    let anchor = |hook, family| {
        let (table, parent, names) = match hook {
            Hook::Forward => ("filter", parents.forward, FORWARD),
            Hook::Input => ("filter", parents.input, INPUT),
            Hook::Prerouting => ("nat", parents.prerouting, PREROUTING),
            Hook::Postrouting => ("nat", parents.postrouting, POSTROUTING),
        };
        Anchor { hook, family, table, parent, names }
    };
    [
        anchor(Hook::Postrouting, Family::V4),
        anchor(Hook::Prerouting, Family::V4),
        anchor(Hook::Input, Family::V6),
        anchor(Hook::Input, Family::V4),
        anchor(Hook::Forward, Family::V6),
        anchor(Hook::Forward, Family::V4),
    ]
}

/// Netd's helper that runs iptables for others takes no names but `oem_*` and two like it.
const FORWARD: [&str; 2] = ["oem_guestnet_fwd", "oem_guestnet_fwd_b"];
const INPUT: [&str; 2] = ["oem_guestnet_in", "oem_guestnet_in_b"];
const PREROUTING: [&str; 2] = ["oem_guestnet_pre", "oem_guestnet_pre_b"];
const POSTROUTING: [&str; 2] = ["oem_guestnet_post", "oem_guestnet_post_b"];

/// The commands for one anchor, in the order in which they have to be run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Makes the new chain; no packet comes near it.
    pub build: Vec<Call>,
    /// Puts it to use.
    pub hook: Vec<Call>,
    /// Removes the old one.
    pub remove: Vec<Call>,
}

impl Anchor {
    /// Our rules for this anchor.
    pub fn wanted(&self, ruleset: &Ruleset) -> Vec<Rule> {
        let mut rules = ruleset.rules();
        rules.retain(|rule| rule.hook == self.hook && rule.family == self.family);
        rules
    }

    /// What is not as it should be, in words.
    pub fn difference(&self, wanted: &[Rule], chains: &[Chain]) -> Option<String> {
        let jumps = self.jumps(chains);
        let there = |name: &&&str| chain(chains, name).is_some();
        let left = self.names.iter().find(there);
        let say =
            |what: String| Some(format!("in {}'s table `{}` {what}", self.program(), self.table));
        if wanted.is_empty() {
            return left.and_then(|name| say(format!("the chain `{name}` should not be there")));
        }
        let [(at, name)] = jumps.as_slice() else {
            return match jumps.len() {
                0 => say(format!("`{}` has no jump to guestnetd's chain", self.parent)),
                n => say(format!("`{}` has {n} jumps to guestnetd's chains", self.parent)),
            };
        };
        if self.must_be_first() && *at != 0 {
            return say(format!("the jump to `{name}` is not the first rule of `{}`", self.parent));
        }
        if let Some(other) = self.names.iter().filter(|other| *other != name).find(there) {
            return say(format!("the chain `{other}` should not be there"));
        }
        let rules = chain(chains, name).map(|chain| chain.rules.as_slice()).unwrap_or_default();
        let meant = rules.iter().map(|entry| meaning::rule(entry, self.hook, self.family));
        let same = meant.zip(wanted).take_while(|(is, rule)| is.as_ref() == Some(*rule)).count();
        if same == rules.len() && same == wanted.len() {
            return None;
        }
        let of = rules.len().max(wanted.len());
        say(format!("rule {} of {of} in `{name}` is not guestnetd's", same + 1))
    }

    /// The commands that make it so. Nothing to do: none.
    pub fn change(&self, wanted: &[Rule], chains: &[Chain]) -> Change {
        if self.difference(wanted, chains).is_none() {
            return Change::default();
        }
        let jumps = self.jumps(chains);
        let count = |name: &str| jumps.iter().filter(|(_, to)| *to == name).count();
        let there = |name: &str| chain(chains, name).is_some();
        let [first, second] = self.names;
        // In use is what a packet meets first.
        let in_use = jumps.first().map(|(_, name)| *name);
        let (new, old) = if in_use == Some(first) { (second, first) } else { (first, second) };
        let mut change = Change::default();
        let leave = |name: &'static str| (0..count(name)).map(move |_| self.jump("-D", None, name));
        if !wanted.is_empty() {
            // A second jump, behind the one in use.
            change.build.extend(leave(new));
            change.build.push(self.call([if there(new) { "-F" } else { "-N" }, new]));
            change.build.extend(wanted.iter().map(|rule| self.append(new, rule)));
            change.hook.push(match self.must_be_first() {
                true => self.jump("-I", Some("1"), new),
                false => self.jump("-A", None, new),
            });
        }
        let gone = if wanted.is_empty() { vec![old, new] } else { vec![old] };
        for name in gone {
            change.remove.extend(leave(name));
            if there(name) {
                change.remove.extend([self.call(["-F", name]), self.call(["-X", name])]);
            }
        }
        change
    }

    /// Packets that our rules in this anchor have dropped.
    pub fn dropped(&self, chains: &[Chain]) -> u64 {
        let ours = self.names.iter().filter_map(|name| chain(chains, name));
        let dropping =
            ours.flat_map(|chain| &chain.rules).filter(|entry| entry.target == Target::Drop);
        dropping.map(|entry| entry.packets).sum()
    }

    /// Where the parent jumps to one of our names, and to which.
    fn jumps(&self, chains: &[Chain]) -> Vec<(usize, &'static str)> {
        let rules = chain(chains, self.parent).map(|chain| chain.rules.as_slice());
        let ours = |target: &Target| match target {
            Target::Jump(to) => self.names.into_iter().find(|name| name == to),
            _ => None,
        };
        let rules = rules.unwrap_or_default().iter().enumerate();
        rules.filter_map(|(at, entry)| Some((at, ours(&entry.target)?))).collect()
    }

    /// In front of others' rules, so that none of them lets a guest's packet through. A masquerade
    /// has nothing to be in front of.
    fn must_be_first(&self) -> bool {
        self.hook != Hook::Postrouting
    }

    fn program(&self) -> &'static str {
        match self.family {
            Family::V4 => "iptables",
            Family::V6 => "ip6tables",
        }
    }

    fn call<const N: usize>(&self, arguments: [&str; N]) -> Call {
        let all = ["-w", "-t", self.table].into_iter().chain(arguments).map(str::to_owned);
        Call { family: self.family, arguments: all.collect() }
    }

    /// Asks whether the parent jumps to our chain: it changes nothing, and has the kernel load what
    /// it needs for the table.
    pub(super) fn probe(&self) -> Call {
        self.jump("-C", None, self.names[0])
    }

    fn jump(&self, verb: &str, at: Option<&str>, to: &str) -> Call {
        let mut call = self.call([verb, self.parent]);
        call.arguments.extend(at.map(str::to_owned));
        call.arguments.extend(["-j", to].map(str::to_owned));
        call
    }

    fn append(&self, chain: &str, rule: &Rule) -> Call {
        let mut call = self.call(["-A", chain]);
        call.arguments.extend(conditions(rule));
        call
    }
}

fn chain<'a>(chains: &'a [Chain], name: &str) -> Option<&'a Chain> {
    chains.iter().find(|chain| chain.name == name)
}

/// The rule as arguments, in iptables-save's order. Names and addresses are values that hold nothing but such.
fn conditions(rule: &Rule) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut option = |name: &str, value: Option<String>| {
        words.extend(value.into_iter().flat_map(|value| [name.to_owned(), value]));
    };
    option("-s", rule.source.map(|subnet| subnet.to_string()));
    option("-d", rule.destination.map(|address| format!("{address}/32")));
    option("-i", rule.input.as_ref().map(Interface::pattern));
    option("-o", rule.output.as_ref().map(Interface::pattern));
    let matching: &[&str] = match rule.matching {
        Some(Match::Established) => &["-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED"],
        Some(Match::Tracked) => &["-m", "conntrack", "--ctstate", "NEW,RELATED,ESTABLISHED"],
        Some(Match::EchoRequest) => &["-p", "icmp", "-m", "icmp", "--icmp-type", "8"],
        Some(Match::UdpDns) => &["-p", "udp", "-m", "udp", "--dport", "53"],
        Some(Match::TcpDns) => &["-p", "tcp", "-m", "tcp", "--dport", "53"],
        None => &[],
    };
    words.extend(matching.iter().map(|word| (*word).to_owned()));
    let verdict: &[&str] = match rule.verdict {
        Verdict::Accept => &["ACCEPT"],
        Verdict::Drop => &["DROP"],
        Verdict::Masquerade => &["MASQUERADE"],
        Verdict::Dnat(_) => &["DNAT", "--to-destination"],
    };
    words.extend(["-j"].iter().chain(verdict).map(|word| (*word).to_owned()));
    if let Verdict::Dnat(to) = rule.verdict {
        words.push(to.to_string());
    }
    words
}
