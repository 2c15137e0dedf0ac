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

//! Where our chains hang: the hooks, the chains that jump to ours, and ours' names. Pure.

use super::entries::{Chain, Entry, Target};
use crate::firewall::{Family, Hook, Rule, Ruleset};

/// The chains that ours are jumped to from, where there is a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parents {
    /// For IPv4 that is forwarded. IPv6 is only dropped, which needs no chain that lets it pass.
    pub forward: &'static str,
    /// For destination NAT.
    pub prerouting: &'static str,
}

impl Parents {
    /// Where nobody else owns the chains of the hooks.
    pub const LINUX: Self = Self { forward: "FORWARD", prerouting: "PREROUTING" };
    /// Where netd does: it throws away what it finds in FORWARD, and drops what reaches its end. It
    /// keeps two chains for vendors (`Controllers.cpp`), empty, and jumped to first.
    pub const ANDROID: Self = Self { forward: "oem_fwd", prerouting: "oem_nat_pre" };

    /// Those of IPv4's tables as they are. A vendor's chain is taken where it is what a packet meets
    /// first: behind somebody else's rule ours would not be the first to decide.
    pub fn seen(filter: &[Chain], nat: &[Chain]) -> Self {
        let choose =
            |chains: &[Chain], root: &'static str, vendors: &'static str, ours: [&str; 2]| {
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
    /// The two names.
    pub names: [&'static str; 2],
}

/// The anchors in the order in which they are put to use. Source NAT first: nothing may leave by a new
/// uplink with a guest's own address. Then destination NAT, before INPUT closes the door that it
/// leads past; the other way round a guest's question would be dropped in between. FORWARD last:
/// only it lets packets through.
pub fn anchors(parents: &Parents) -> [Anchor; 6] {
    let anchor = |hook, family| {
        let (table, root, parent, names) = match (hook, family) {
            (Hook::Forward, Family::V4) => ("filter", "FORWARD", parents.forward, FORWARD),
            (Hook::Forward, Family::V6) => ("filter", "FORWARD", "FORWARD", FORWARD),
            (Hook::Input, _) => ("filter", "INPUT", "INPUT", INPUT),
            (Hook::Prerouting, _) => ("nat", "PREROUTING", parents.prerouting, PREROUTING),
            (Hook::Postrouting, _) => ("nat", "POSTROUTING", "POSTROUTING", POSTROUTING),
        };
        let candidates = match hook {
            Hook::Forward => [Parents::LINUX.forward, Parents::ANDROID.forward].as_slice(),
            Hook::Prerouting => &[Parents::LINUX.prerouting, Parents::ANDROID.prerouting],
            Hook::Input | Hook::Postrouting => &[],
        };
        let elsewhere = candidates.iter().copied().find(|candidate| *candidate != parent);
        Anchor { hook, family, table, root, parent, elsewhere, names }
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

impl Anchor {
    /// Our rules for this anchor.
    pub fn wanted(&self, ruleset: &Ruleset) -> Vec<Rule> {
        let mut rules = ruleset.rules();
        rules.retain(|rule| rule.hook == self.hook && rule.family == self.family);
        rules
    }

    /// Packets that our rules in this anchor have dropped.
    pub fn dropped(&self, chains: &[Chain]) -> u64 {
        let ours = self.names.iter().filter_map(|name| chain(chains, name));
        let dropping =
            ours.flat_map(|chain| &chain.rules).filter(|entry| entry.target == Target::Drop);
        dropping.map(|entry| entry.packets).sum()
    }

    /// In front of others' rules, so that none of them lets a guest's packet through, or sends its
    /// question elsewhere. A masquerade has nothing to be in front of.
    pub(super) fn must_be_first(&self) -> bool {
        self.hook != Hook::Postrouting
    }

    /// The chains that may have a jump to ours, that which should have it first.
    pub(super) fn parents(&self) -> impl Iterator<Item = &'static str> {
        [self.parent].into_iter().chain(self.elsewhere)
    }

    /// The other of the two names.
    pub(super) fn other(&self, name: &str) -> &'static str {
        let [first, second] = self.names;
        if name == first {
            second
        } else {
            first
        }
    }

    /// Where a chain jumps to one of our names, whatever the packet is, and to which.
    pub(super) fn jumps(&self, chains: &[Chain], from: &str) -> Vec<(usize, &'static str)> {
        let rules = chain(chains, from).map(|chain| chain.rules.as_slice()).unwrap_or_default();
        let ours = |entry| self.names.into_iter().find(|name| jumps_to(entry, name));
        let rules = rules.iter().enumerate();
        rules.filter_map(|(at, entry)| Some((at, ours(entry)?))).collect()
    }

    /// The one of our names that decides about a packet: the first that it meets, unless others have
    /// emptied that.
    pub(super) fn in_use(&self, chains: &[Chain]) -> Option<&'static str> {
        let met = self.met(chains);
        let decides =
            |name: &&&str| chain(chains, name).is_some_and(|chain| !chain.rules.is_empty());
        met.iter().find(decides).or(met.first()).copied()
    }

    /// Our names in the order in which a packet meets them.
    fn met(&self, chains: &[Chain]) -> Vec<&'static str> {
        let in_chain = |from: &str| self.jumps(chains, from).into_iter().map(|(_, name)| name);
        let Some(root) = chain(chains, self.root) else { return Vec::new() };
        let mut met = Vec::new();
        for entry in &root.rules {
            met.extend(self.names.into_iter().filter(|name| jumps_to(entry, name)));
            let mut ways = self.parents().filter(|parent| *parent != self.root);
            met.extend(ways.find(|way| jumps_to(entry, way)).into_iter().flat_map(in_chain));
        }
        met
    }
}

/// The chain of this name.
pub(super) fn chain<'a>(chains: &'a [Chain], name: &str) -> Option<&'a Chain> {
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
