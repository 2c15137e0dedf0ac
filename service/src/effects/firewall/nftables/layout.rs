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
//! What a packet walks is kept short: a rule that lets the packets of a known connection pass need not
//! ask whether they are a guest's. All others ask.

use crate::effects::firewall::{
    Family, GuestSubnet, Hook, Interface, Match, Network, Protocol, Rule, Ruleset, Verdict,
};
use crate::model::ruleset::Forwarded;
use crate::ordered::{IntoOrdered, OrderedMap, OrderedSet};
use crate::spec::{IfName, Subnet, HOST_PREFIX};
use std::net::{IpAddr, Ipv4Addr};

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

/// What the kernel can do that not every one can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Able {
    /// Have closed connections forgotten soon.
    pub(super) forgets: bool,
    /// Tell guestnetd that many were opened.
    pub(super) tells: bool,
}

/// What a packet's addresses must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Addresses {
    /// From there and to there.
    These(Option<Network>, Option<IpAddr>),
    /// As an element of a set says.
    In(Set),
}

/// A set: of guests, or of subnets with prefixes of one length. Hashed, since the network's address is had by a
/// mask; a set of ranges would be a tree, which costs every packet more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Set {
    pub(super) kind: Kind,
    /// 0 where there is one set of a kind.
    pub(super) prefix: u8,
}

/// What is in a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Host ends, each with the address behind it.
    Guests,
    /// Guests that send fragments, each with its allowance. Packets add to it.
    Fragments,
    /// Guests that open connections, each with its allowance. Packets add to it.
    Opened,
    /// Guests that open connections to a large network of the uplink's, each with its allowance. Packets add to it.
    Crowd,
    /// Guests with connections, each with those. Packets add to it, and the kernel removes who has
    /// none.
    Connections,
    /// Host ends whose guests' packets were dropped, each with their number. Packets add to it.
    Dropped,
    /// Host ends of guests whose questions for names go elsewhere than the others'.
    Exceptions,
    /// The gateways' addresses.
    Addresses,
    /// The subnets' addresses.
    Subnets,
    /// The subnets' addresses, each with the gateway's.
    Gateways,
}

impl Kind {
    /// Whether packets add to it.
    pub(super) fn is_dynamic(self) -> bool {
        matches!(
            self,
            Self::Fragments | Self::Opened | Self::Crowd | Self::Connections | Self::Dropped
        )
    }
}

/// The elements of a set: their bytes.
pub(super) type Elements = OrderedSet<Vec<u8>>;

impl Set {
    /// What there is of each length of prefix.
    const KINDS: [Kind; 2] = [Kind::Subnets, Kind::Gateways];
    /// The host ends with their addresses.
    pub(super) const GUESTS: Self = Self { kind: Kind::Guests, prefix: 0 };
    /// The fragments that guests may send.
    pub(super) const FRAGMENTS: Self = Self { kind: Kind::Fragments, prefix: 0 };
    /// The connections that guests may open.
    pub(super) const OPENED: Self = Self { kind: Kind::Opened, prefix: 0 };
    /// The connections to a large network that guests may open.
    pub(super) const CROWD: Self = Self { kind: Kind::Crowd, prefix: 0 };
    /// The connections that guests have.
    pub(super) const CONNECTIONS: Self = Self { kind: Kind::Connections, prefix: 0 };
    /// The packets of guests that were dropped.
    pub(super) const DROPPED: Self = Self { kind: Kind::Dropped, prefix: 0 };
    /// The guests whose questions go elsewhere than the others'.
    pub(super) const EXCEPTIONS: Self = Self { kind: Kind::Exceptions, prefix: 0 };
    /// The gateways of subnets other than the original's.
    const ADDRESSES: Self = Self { kind: Kind::Addresses, prefix: 0 };
    /// Those that are always there.
    const ALWAYS: [Self; 8] = [
        Self::GUESTS,
        Self::FRAGMENTS,
        Self::OPENED,
        Self::CROWD,
        Self::CONNECTIONS,
        Self::DROPPED,
        Self::EXCEPTIONS,
        Self::ADDRESSES,
    ];

    pub(super) fn name(&self) -> String {
        match self.kind {
            Kind::Guests => "guests".to_owned(),
            Kind::Fragments => "fragments".to_owned(),
            Kind::Opened => "opened".to_owned(),
            Kind::Crowd => "crowd".to_owned(),
            Kind::Connections => "connections".to_owned(),
            Kind::Dropped => "dropped".to_owned(),
            Kind::Exceptions => "exceptions".to_owned(),
            Kind::Subnets => format!("subnets{}", self.prefix),
            Kind::Gateways => format!("gateways{}", self.prefix),
            Kind::Addresses => "addresses".to_owned(),
        }
    }

    pub(super) fn mask(&self) -> [u8; 4] {
        let subnet = Subnet::containing(Ipv4Addr::UNSPECIFIED, self.prefix);
        subnet.map_or([0; 4], |subnet| subnet.mask().octets())
    }

    /// How many bytes an element has.
    pub(super) fn len(&self) -> u32 {
        match self.kind {
            Kind::Guests => libc::IFNAMSIZ as u32 + 4,
            Kind::Dropped | Kind::Exceptions => libc::IFNAMSIZ as u32,
            Kind::Gateways => 8,
            Kind::Subnets | Kind::Addresses => 4,
            Kind::Fragments | Kind::Opened | Kind::Crowd | Kind::Connections => 4,
        }
    }

    fn element(&self, s: &GuestSubnet) -> Vec<u8> {
        let network = s.subnet.network().octets();
        match self.kind {
            Kind::Gateways => [network, s.gateway.octets()].concat(),
            Kind::Addresses => s.gateway.octets().to_vec(),
            _ => network.to_vec(),
        }
    }
}

/// The sets with their elements.
pub(super) fn sets(ruleset: &Ruleset) -> OrderedMap<Set, Elements> {
    let guest = |(name, address): &(IfName, Ipv4Addr)| {
        let mut bytes = whole(name.as_str());
        bytes.extend(address.octets());
        bytes
    };
    let mut sets = OrderedMap::<Set, Elements>::new();
    sets.insert(Set::GUESTS, ruleset.guests.iter().map(guest).into_set());
    sets.insert(Set::FRAGMENTS, Elements::new());
    sets.insert(Set::OPENED, Elements::new());
    sets.insert(Set::CROWD, Elements::new());
    sets.insert(Set::CONNECTIONS, Elements::new());
    sets.insert(Set::DROPPED, Elements::new());
    let exceptions = ruleset.forwarded.but.iter().map(|name| whole(name.as_str()));
    sets.insert(Set::EXCEPTIONS, exceptions.into_set());
    let addresses = ruleset.unusual().map(|s| Set::ADDRESSES.element(s)).into_set();
    sets.insert(Set::ADDRESSES, addresses);
    for s in ruleset.unusual() {
        for kind in Set::KINDS {
            let set = Set { kind, prefix: s.subnet.prefix() };
            sets.entry(set).or_default().insert(set.element(s));
        }
    }
    sets
}

/// A name of an interface, as long as any can be.
pub(super) fn whole(name: &str) -> Vec<u8> {
    let mut bytes = name.as_bytes().to_vec();
    bytes.resize(libc::IFNAMSIZ, 0);
    bytes
}

/// The host ends of guests that come: drops counted for an earlier guest of that name are not theirs.
pub(super) fn arrivals(from: &Ruleset, to: &Ruleset) -> Elements {
    to.guests.beyond(&from.guests).iter().map(|(name, _)| whole(name.as_str())).into_set()
}

/// The sets without.
pub(super) fn names(ruleset: &Ruleset) -> OrderedSet<Set> {
    let prefixes = ruleset.unusual().map(|s| s.subnet.prefix()).into_set();
    let of = |prefix: &u8| Set::KINDS.map(|kind| Set { kind, prefix: *prefix });
    prefixes.iter().flat_map(of).chain(Set::ALWAYS).into_set()
}

/// The elements that go from one ruleset to another, by their sets, and those that come. What it costs
/// hardly grows with the number of guests and subnets that stay.
pub(super) fn moved(from: &Ruleset, to: &Ruleset) -> [OrderedMap<Set, Elements>; 2] {
    let beyond = |a: &Ruleset, b: &Ruleset| -> Ruleset {
        let subnets = a.subnets.difference(&b.subnets).copied().into_set();
        let but = a.forwarded.but.difference(&b.forwarded.but).cloned().into_set();
        let forwarded = Forwarded { all: false, but };
        Ruleset { subnets, guests: a.guests.beyond(&b.guests), forwarded, ..Ruleset::default() }
    };
    let left = beyond(from, to);
    let (mut gone, new) = (sets(&left), sets(&beyond(to, from)));
    for s in &left.subnets {
        // Two gateways may have one subnet.
        let first = GuestSubnet { gateway: Ipv4Addr::UNSPECIFIED, ..*s };
        if to.subnets.range(first..).next().is_some_and(|other| other.subnet == s.subnet) {
            let set = Set { kind: Kind::Subnets, prefix: s.subnet.prefix() };
            gone.entry(set).or_default().remove(&set.element(s));
        }
    }
    [gone, new]
}

/// The rules, in the order in which they are looked at within each chain. They change with the
/// uplink, and when a subnet comes whose prefix is of a length that no other has.
pub(super) fn lines(ruleset: &Ruleset, able: Able) -> Vec<Line> {
    // One subnet stands in for all of its length: none is really there.
    let stand_in = |prefix| {
        let gateway = Ipv4Addr::UNSPECIFIED;
        Some(GuestSubnet { subnet: Subnet::containing(gateway, prefix)?, gateway })
    };
    let prefixes = ruleset.unusual().map(|s| s.subnet.prefix()).into_set();
    let subnets = ruleset.usual().copied().chain(prefixes.into_iter().filter_map(stand_in));
    let Ruleset { uplinks, resolver, exits, tun_resolvers, connections, crowd, strangers, .. } =
        ruleset;
    let (uplinks, exits, forwarded) = (uplinks.clone(), exits.clone(), ruleset.forwarded.clone());
    let subnets = subnets.into_set();
    let few = Ruleset {
        uplinks,
        subnets,
        resolver: *resolver,
        forwarded,
        exits,
        tun_resolvers: tun_resolvers.clone(),
        connections: *connections,
        crowd: *crowd,
        forgets: able.forgets,
        exceptions_in_set: true,
        user: ruleset.user,
        strangers: *strangers,
        ..Ruleset::default()
    };

    let mut lines: Vec<Line> = ruleset.extra.iter().map(Line::plain).collect();
    let can = |rule: &&Rule| able.tells || rule.verdict != Verdict::Tell;
    for rule in few.rules().iter().filter(|rule| rule.hook != Hook::Postrouting).filter(can) {
        let line = Line::of(rule);
        let other = Line { family: Some(Family::V4), ..line.clone() };
        // One rule for both IP versions where all else is the same.
        match lines.iter_mut().find(|earlier| **earlier == other) {
            Some(earlier) if line.is_of_either() => earlier.family = None,
            // Said of each subnet, and here of all guests at once.
            Some(_) if line.is_of_all() => {}
            _ => lines.push(line),
        }
    }
    for (way_out, address) in &ruleset.sources {
        let by_ports = |ports| Verdict::SnatBy(*address, ports);
        let kinds = ruleset.kinds(by_ports, Verdict::Snat(*address));
        let output = Some(Interface::Like(way_out.clone().into()));
        lines.extend(kinds.into_iter().map(|kind| leaves(output.clone(), kind)));
    }
    let kinds = ruleset.kinds(Verdict::MasqueradeBy, Verdict::Masquerade);
    lines.extend(kinds.into_iter().map(|kind| leaves(None, kind)));
    lines
}

/// What comes from a guest and leaves leaves masqueraded, by whatever interface: which one that may
/// be, FORWARD says. So there is nothing to change here with the uplink, and no moment in which a
/// packet that was let out finds its masquerade gone.
fn leaves(output: Option<Interface>, (of, verdict): (Option<Protocol>, Verdict)) -> Line {
    Line {
        hook: Hook::Postrouting,
        family: Some(Family::V4),
        input: Some(Interface::Guests),
        output,
        addresses: Addresses::These(None, None),
        matching: of.map(Match::Of),
        verdict,
    }
}

/// Whose packets a rule drops, by the host end that they came in by or were to leave by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counted {
    /// What a guest has sent.
    FromGuest,
    /// What was meant for one.
    ToGuest,
}

impl Counted {
    pub(super) const ALL: [Self; 2] = [Self::FromGuest, Self::ToGuest];
    /// How many rules their chains have.
    pub(super) const RULES: usize = 2 * Self::ALL.len();

    /// The chain that counts such a packet for its guest and drops it. A rule of its own drops it there: where
    /// the set has no room the one that counts is left, and the packet must not be.
    pub(super) fn chain(self) -> &'static str {
        match self {
            Self::FromGuest => "from_guest",
            Self::ToGuest => "to_guest",
        }
    }

    /// The interface that is the guest's, as nft says it.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::FromGuest => "iifname",
            Self::ToGuest => "oifname",
        }
    }
}

impl Line {
    /// For whom a packet is counted that it drops; none: it is no guest's.
    pub(super) fn counted(&self) -> Option<Counted> {
        let of_guests = |interface: &Option<Interface>| match interface {
            Some(Interface::Guests) => true,
            Some(Interface::Like(pattern)) => pattern.as_str().starts_with(HOST_PREFIX),
            _ => false,
        };
        let own = [Some(Match::ForeignSource), Some(Match::OwnSource)].contains(&self.matching)
            || matches!(self.matching, Some(Match::FragmentsOver(..)));
        match self.verdict {
            Verdict::Drop if own || of_guests(&self.input) => Some(Counted::FromGuest),
            Verdict::Drop if of_guests(&self.output) => Some(Counted::ToGuest),
            _ => None,
        }
    }

    /// As it is said.
    fn plain(rule: &Rule) -> Self {
        Self {
            hook: rule.hook,
            family: Some(rule.family),
            input: rule.input.clone(),
            output: rule.output.clone(),
            addresses: Addresses::These(rule.source, rule.destination),
            matching: rule.matching.clone(),
            verdict: rule.verdict,
        }
    }

    /// With no more than has to be asked, and with a set for the subnets that one stands in for.
    fn of(rule: &Rule) -> Self {
        let known =
            matches!(rule.matching, Some(Match::Answered | Match::Known | Match::Established));
        let asked = |interface: &Option<Interface>| match interface {
            Some(Interface::Guests) if known && rule.verdict == Verdict::Accept => None,
            _ => interface.clone(),
        };
        let (input, output) = (asked(&rule.input), asked(&rule.output));
        let one_set = match (&rule.matching, rule.destination) {
            (Some(Match::OwnRelated), _) => Some(Addresses::These(None, None)),
            (_, Some(to)) if rule.source.is_none() && to.is_unspecified() => {
                Some(Addresses::In(Set::ADDRESSES))
            }
            _ => None,
        };
        if let Some(addresses) = one_set {
            return Self { input, output, addresses, ..Self::plain(rule) };
        }
        let stand_in = rule.source.filter(|network| network.address.is_unspecified());
        let Some(Network { prefix, .. }) = stand_in else {
            return Self { input, output, ..Self::plain(rule) };
        };
        let kind = if rule.destination.is_some() { Kind::Gateways } else { Kind::Subnets };
        let addresses = Addresses::In(Set { kind, prefix });
        Self { input, output, addresses, ..Self::plain(rule) }
    }

    /// Whether it is said of each subnet, and here of all at once.
    fn is_of_all(&self) -> bool {
        self.matching == Some(Match::OwnRelated)
            || matches!(self.addresses, Addresses::In(Set::ADDRESSES))
    }

    /// Whether it is IPv6's, and says nothing that is said of one IP version in another way.
    fn is_of_either(&self) -> bool {
        self.family == Some(Family::V6) && self.matching != Some(Match::EchoRequest)
    }
}
