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

//! The ruleset as it is laid out in the table: few rules, and sets for what there may be many of.
//! Pure. Adding a subnet adds elements to two sets, whatever the number of those that are there.
//!
//! What a packet walks is kept short. Our chains let pass what none of their rules drops, so a rule
//! that lets a guest's packet pass need not ask whether it is a guest's: for every other packet it
//! says what the end of the chain says. The drops ask, and so does what changes a packet.

use crate::firewall::{Family, GuestSubnet, Hook, Interface, Match, Rule, Ruleset, Verdict};
use crate::spec::Subnet;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

/// One rule of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) hook: Hook,
    /// None: of either.
    pub(super) family: Option<Family>,
    pub(super) input: Option<Interface>,
    pub(super) output: Option<Interface>,
    pub(super) addresses: Addresses,
    pub(super) matching: Option<Match>,
    pub(super) verdict: Verdict,
}

/// What a packet's addresses must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Addresses {
    Any,
    /// From a subnet.
    From(Subnet),
    /// From a subnet to an address.
    FromTo(Subnet, Ipv4Addr),
    /// As an element of a set says.
    In(Set),
}

/// A set of subnets with prefixes of one length. Hashed, since the network's address is had by a
/// mask; a set of ranges would be a tree, which costs every packet more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Set {
    pub(super) kind: Kind,
    pub(super) prefix: u8,
}

/// What is in a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// The subnets' addresses.
    Subnets,
    /// The subnets' addresses, each with the gateway's.
    Gateways,
}

/// The elements of a set: their bytes.
pub(super) type Elements = BTreeSet<Vec<u8>>;

impl Set {
    const KINDS: [Kind; 2] = [Kind::Subnets, Kind::Gateways];

    pub(super) fn name(&self) -> String {
        match self.kind {
            Kind::Subnets => format!("subnets{}", self.prefix),
            Kind::Gateways => format!("gateways{}", self.prefix),
        }
    }

    /// The set of this name, if we would make one.
    pub(super) fn named(name: &str) -> Option<Self> {
        let all = (0..=32).flat_map(|prefix| Self::KINDS.map(|kind| Self { kind, prefix }));
        all.into_iter().find(|set| set.name() == name)
    }

    pub(super) fn mask(&self) -> [u8; 4] {
        let subnet = Subnet::containing(Ipv4Addr::UNSPECIFIED, self.prefix);
        subnet.map_or([0; 4], |subnet| subnet.mask().octets())
    }

    /// How many bytes an element has.
    pub(super) fn len(&self) -> u32 {
        match self.kind {
            Kind::Subnets => 4,
            Kind::Gateways => 8,
        }
    }

    fn element(&self, s: &GuestSubnet) -> Vec<u8> {
        let network = s.subnet.network().octets();
        match self.kind {
            Kind::Subnets => network.to_vec(),
            Kind::Gateways => [network, s.gateway.octets()].concat(),
        }
    }
}

/// The sets with their elements.
pub(super) fn sets(ruleset: &Ruleset) -> BTreeMap<Set, Elements> {
    let mut sets = BTreeMap::<Set, Elements>::new();
    for s in ruleset.unusual() {
        for kind in Set::KINDS {
            let set = Set { kind, prefix: s.subnet.prefix() };
            sets.entry(set).or_default().insert(set.element(s));
        }
    }
    sets
}

/// The elements that go and those that come, by their sets, where nothing but elements differs.
/// What it costs hardly grows with the number of subnets that stay.
pub(super) fn changes(from: &Ruleset, to: &Ruleset) -> Option<BTreeMap<Set, (Elements, Elements)>> {
    let (mut changes, original) =
        (BTreeMap::<_, (Elements, Elements)>::new(), GuestSubnet::original());
    let has = |ruleset: &Ruleset, like: &dyn Fn(&GuestSubnet) -> bool| ruleset.unusual().any(like);
    if (&from.uplinks, from.resolver, &from.exits) != (&to.uplinks, to.resolver, &to.exits) {
        return None;
    }
    for (at, there, other) in [(0, from, to), (1, to, from)] {
        for s in there.subnets.difference(&other.subnets) {
            // With the original's a rule comes or goes, with the first and last of a length a set.
            let same_length = |o: &GuestSubnet| o.subnet.prefix() == s.subnet.prefix();
            if Some(*s) == original || !has(other, &same_length) {
                return None;
            }
            for kind in Set::KINDS {
                // Two gateways may have one subnet.
                let stays = kind == Kind::Subnets && has(other, &|o| o.subnet == s.subnet);
                if !stays {
                    let set = Set { kind, prefix: s.subnet.prefix() };
                    let (gone, new) = changes.entry(set).or_default();
                    let elements = if at == 0 { gone } else { new };
                    elements.insert(set.element(s));
                }
            }
        }
    }
    Some(changes)
}

/// The rules, in the order in which they are looked at within each chain. They change with the
/// uplink, and when a subnet comes whose prefix is of a length that no other has.
pub(super) fn lines(ruleset: &Ruleset) -> Vec<Line> {
    // One subnet stands in for all of its length: none is really there.
    let stand_in = |prefix| {
        let gateway = Ipv4Addr::UNSPECIFIED;
        Some(GuestSubnet { subnet: Subnet::containing(gateway, prefix)?, gateway })
    };
    let prefixes: BTreeSet<u8> = ruleset.unusual().map(|s| s.subnet.prefix()).collect();
    let subnets = ruleset.usual().copied().chain(prefixes.into_iter().filter_map(stand_in));
    let few = Ruleset { subnets: subnets.collect(), ..ruleset.clone() };

    let mut lines = Vec::<Line>::new();
    for rule in few.rules().iter().filter(|rule| rule.hook != Hook::Postrouting) {
        let line = Line::of(rule);
        let other = Line { family: Some(Family::V4), ..line.clone() };
        // One rule for both IP versions where all else is the same.
        match lines.iter_mut().find(|earlier| **earlier == other) {
            Some(earlier) if line.family == Some(Family::V6) => earlier.family = None,
            _ => lines.push(line),
        }
    }
    lines.push(MASQUERADE);
    lines
}

/// What comes from a guest and leaves leaves masqueraded, by whatever interface: which one that may
/// be, FORWARD says. So there is nothing to change here with the uplink, and no moment in which a
/// packet that was let out finds its masquerade gone.
const MASQUERADE: Line = Line {
    hook: Hook::Postrouting,
    family: Some(Family::V4),
    input: Some(Interface::Guests),
    output: None,
    addresses: Addresses::Any,
    matching: None,
    verdict: Verdict::Masquerade,
};

impl Line {
    fn of(rule: &Rule) -> Self {
        let asked = |interface: &Option<Interface>| match (interface, rule.verdict) {
            (Some(Interface::Guests), Verdict::Accept) => None,
            _ => interface.clone(),
        };
        let stands_in = |subnet: Subnet| subnet.network().is_unspecified();
        let set = |kind, subnet: Subnet| Addresses::In(Set { kind, prefix: subnet.prefix() });
        Self {
            hook: rule.hook,
            family: Some(rule.family),
            input: asked(&rule.input),
            output: asked(&rule.output),
            addresses: match (rule.source, rule.destination) {
                (Some(s), None) if stands_in(s) => set(Kind::Subnets, s),
                (Some(s), Some(_)) if stands_in(s) => set(Kind::Gateways, s),
                (Some(subnet), None) => Addresses::From(subnet),
                (Some(subnet), Some(address)) => Addresses::FromTo(subnet, address),
                // No rule of ours asks for a destination alone.
                (None, _) => Addresses::Any,
            },
            matching: rule.matching,
            verdict: rule.verdict,
        }
    }
}
