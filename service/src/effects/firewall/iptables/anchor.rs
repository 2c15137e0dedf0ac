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

//! Where our chains hang: the hooks, the chains that jump to ours, ours' names, and what of them is
//! there. Pure.

use super::entries::{Chain, Entry, Target};
use crate::effects::firewall::{Family, Hook, Rule, Ruleset};
use crate::ordered::{OrderedMap, OrderedSet};

/// The chains that ours are jumped to from, where there is a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parents {
    /// For IPv4 that is forwarded. IPv6 is only dropped, which needs no chain that lets it pass.
    pub forward: &'static str,
    /// For IPv4 to the device itself.
    pub input: &'static str,
    /// For destination NAT.
    pub prerouting: &'static str,
}

impl Parents {
    /// Where nobody else owns the chains of the hooks.
    pub const LINUX: Self = Self { forward: "FORWARD", input: "INPUT", prerouting: "PREROUTING" };
    /// Where netd does: it throws away what it finds in FORWARD and INPUT, and drops what reaches the
    /// end of FORWARD. It keeps chains for vendors (`Controllers.cpp`), empty, and jumped to first; the
    /// one in INPUT since Android 16.
    pub const ANDROID: Self =
        Self { forward: "oem_fwd", input: "oem_in", prerouting: "oem_nat_pre" };

    /// Those of IPv4's tables as they are. A vendor's chain is taken where it is what a packet meets
    /// first: behind somebody else's rule ours would not be the first to decide.
    pub fn seen(filter: &[Chain], nat: &[Chain]) -> Self {
        let choose = |chains: &[Chain], root: &'static str, vendors: &'static str, ours: Names| {
            let rules = chain(chains, root).map(|chain| chain.rules.as_slice());
            let foreign = |entry: &&Entry| !ours.iter().any(|name| jumps_to(entry, name));
            let first = rules.unwrap_or_default().iter().find(foreign);
            match first.is_some_and(|entry| jumps_to(entry, vendors)) {
                true => vendors,
                false => root,
            }
        };
        let (linux, netd) = (Self::LINUX, Self::ANDROID);
        Self {
            forward: choose(filter, linux.forward, netd.forward, FORWARD),
            input: choose(filter, linux.input, netd.input, INPUT),
            prerouting: choose(nat, linux.prerouting, netd.prerouting, PREROUTING),
        }
    }
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
    /// The chain of the hook.
    pub root: &'static str,
    /// The chain that jumps to ours.
    pub parent: &'static str,
    /// Another chain that did, if netd came or went since.
    pub elsewhere: Option<&'static str>,
    /// The names that ours may have. Two are in use while rules change; should a run of guestnetd end
    /// there, the next one has a third to build under.
    pub names: Names,
}

/// The names of one of our chains.
type Names = [&'static str; 3];

/// What is there of an anchor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The jumps to our chains from those that may have one, in order.
    pub jumps: Vec<Jump>,
    /// Our chains, with a fingerprint of each of their rules. None: they cannot be read.
    pub chains: Option<OrderedMap<&'static str, Vec<u64>>>,
    /// Those of ours that any rule leads to.
    pub entered: OrderedSet<&'static str>,
}

/// A rule that leads every packet to a chain of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Jump {
    /// The chain that it is in.
    pub from: &'static str,
    /// Where it is there; the first rule is 0.
    pub at: usize,
    /// The chain of ours.
    pub to: &'static str,
}

impl Found {
    /// The jumps from one chain to another.
    pub(super) fn from<'a>(&'a self, from: &'a str, to: &'a str) -> impl Iterator<Item = &'a Jump> {
        self.jumps.iter().filter(move |jump| (jump.from, jump.to) == (from, to))
    }

    /// The fingerprints of the rules of a chain, if it is there.
    pub(super) fn marks(&self, name: &str) -> Option<&[u64]> {
        self.chains.as_ref()?.get(name).map(Vec::as_slice)
    }
}

/// The anchors in the order in which they are put to use. Source NAT first: nothing may leave by a new
/// uplink with a guest's own address. Then destination NAT, before INPUT closes the door that it
/// leads past; the other way round a guest's question would be dropped in between. FORWARD last:
/// only it lets packets through.
pub fn anchors(parents: &Parents) -> [Anchor; 9] {
    let anchor = |hook, family| {
        let (table, root, parent, names) = match (hook, family) {
            (Hook::Forward, Family::V4) => ("filter", "FORWARD", parents.forward, FORWARD),
            (Hook::Forward, Family::V6) => ("filter", "FORWARD", "FORWARD", FORWARD),
            (Hook::Input, Family::V4) => ("filter", "INPUT", parents.input, INPUT),
            (Hook::Input, Family::V6) => ("filter", "INPUT", "INPUT", INPUT),
            // netd puts its own there and leaves others' (`createChildChains()`), wherever they stand.
            (Hook::Output, _) => ("filter", "OUTPUT", "OUTPUT", OUTPUT),
            (Hook::Prerouting, Family::V4) => ("nat", "PREROUTING", parents.prerouting, PREROUTING),
            (Hook::Prerouting, Family::V6) => ("nat", "PREROUTING", "PREROUTING", PREROUTING),
            // Not the hooks that x_tables does not have, of which there is no anchor.
            (Hook::Postrouting | Hook::Ingress | Hook::Egress, _) => {
                ("nat", "POSTROUTING", "POSTROUTING", POSTROUTING)
            }
        };
        let candidates = match hook {
            Hook::Forward => [Parents::LINUX.forward, Parents::ANDROID.forward].as_slice(),
            Hook::Input if family == Family::V4 => &[Parents::LINUX.input, Parents::ANDROID.input],
            Hook::Prerouting => &[Parents::LINUX.prerouting, Parents::ANDROID.prerouting],
            Hook::Input | Hook::Output | Hook::Postrouting | Hook::Ingress | Hook::Egress => &[],
        };
        let elsewhere = candidates.iter().copied().find(|candidate| *candidate != parent);
        Anchor { hook, family, table, root, parent, elsewhere, names }
    };
    [
        anchor(Hook::Output, Family::V4),
        anchor(Hook::Postrouting, Family::V6),
        anchor(Hook::Postrouting, Family::V4),
        anchor(Hook::Prerouting, Family::V6),
        anchor(Hook::Prerouting, Family::V4),
        anchor(Hook::Input, Family::V6),
        anchor(Hook::Input, Family::V4),
        anchor(Hook::Forward, Family::V6),
        anchor(Hook::Forward, Family::V4),
    ]
}

/// Netd's helper that runs iptables for others takes no names but `oem_*` and two like it.
const FORWARD: Names = ["oem_guestnet_fwd", "oem_guestnet_fwd_b", "oem_guestnet_fwd_c"];
const INPUT: Names = ["oem_guestnet_in", "oem_guestnet_in_b", "oem_guestnet_in_c"];
const OUTPUT: Names = ["oem_guestnet_out", "oem_guestnet_out_b", "oem_guestnet_out_c"];
const PREROUTING: Names = ["oem_guestnet_pre", "oem_guestnet_pre_b", "oem_guestnet_pre_c"];
const POSTROUTING: Names = ["oem_guestnet_post", "oem_guestnet_post_b", "oem_guestnet_post_c"];

impl Anchor {
    /// Our rules for this anchor.
    pub fn wanted(&self, ruleset: &Ruleset) -> Vec<Rule> {
        self.among(&ruleset.rules())
    }

    /// Those that are for this anchor.
    pub(super) fn among(&self, rules: &[Rule]) -> Vec<Rule> {
        let here = rules.iter().filter(|rule| (rule.hook, rule.family) == (self.hook, self.family));
        here.cloned().collect()
    }

    /// Packets that our rules in this anchor have dropped.
    pub fn dropped(&self, chains: &[Chain]) -> u64 {
        let ours = self.names.iter().filter_map(|name| chain(chains, name));
        let dropping =
            ours.flat_map(|chain| &chain.rules).filter(|entry| entry.target == Target::Drop);
        dropping.map(|entry| entry.packets).sum()
    }

    /// The chains that may have a jump to ours, that which should have it first.
    pub(super) fn parents(&self) -> impl Iterator<Item = &'static str> {
        [self.parent].into_iter().chain(self.elsewhere)
    }

    /// What of ours is in a table.
    pub fn found(&self, chains: &[Chain]) -> Found {
        let mut found = Found { chains: Some(OrderedMap::new()), ..Found::default() };
        for from in self.parents() {
            let rules = chain(chains, from).map(|chain| chain.rules.as_slice()).unwrap_or_default();
            for (at, entry) in rules.iter().enumerate() {
                let to = self.names.into_iter().find(|name| jumps_to(entry, name));
                found.jumps.extend(to.map(|to| Jump { from, at, to }));
            }
        }
        for name in self.names {
            let leads = |entry: &Entry| match &entry.target {
                Target::Jump(to) | Target::Goto(to) => to == name,
                _ => false,
            };
            if chains.iter().flat_map(|chain| &chain.rules).any(leads) {
                found.entered.insert(name);
            }
            if let (Some(chain), Some(ours)) = (chain(chains, name), &mut found.chains) {
                ours.insert(name, chain.rules.iter().map(Entry::fingerprint).collect());
            }
        }
        found
    }
}

/// The chain of this name.
fn chain<'a>(chains: &'a [Chain], name: &str) -> Option<&'a Chain> {
    chains.iter().find(|chain| chain.name == name)
}

/// Whether every packet that comes by goes to this chain.
fn jumps_to(entry: &Entry, name: &str) -> bool {
    let any = |(address, mask): &(Vec<u8>, Vec<u8>)| address.iter().chain(mask).all(|b| *b == 0);
    matches!(&entry.target, Target::Jump(to) if to == name)
        && entry.input.is_empty()
        && entry.output.is_empty()
        && any(&entry.source)
        && any(&entry.destination)
        && (entry.protocol, entry.flags, entry.inverted) == (0, 0, 0)
        && entry.matches.is_empty()
}
