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

//! The packet-filter rules, as values: the whole of them, for every guest, never a delta. Pure.
//! This is the only place that says *which* rules there are; the backends only say how.
//!
//! The rules are static over `vm_wlan+`: attaching a guest changes none of them. They change with
//! the uplink, and when a guest asks for another subnet than the others.

use crate::spec::{IfName, IfPattern, Subnet, HOST_PREFIX};
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

/// Everything that the rules depend on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ruleset {
    /// The interfaces that guests may leave by. None: nothing is forwarded (fail closed).
    pub uplinks: BTreeSet<IfPattern>,
    /// The subnets that guests may have.
    pub subnets: BTreeSet<GuestSubnet>,
    /// The resolver that gets what guests ask their gateway. None: whoever answers at the gateway.
    pub resolver: Option<Ipv4Addr>,
    /// Guests, by their host ends, that do not leave by the uplinks.
    pub exits: BTreeMap<IfName, Exit>,
}

/// Where a guest leaves that does not leave by the uplinks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// By this interface, and by no other.
    By(IfName),
    /// Not at all.
    Nowhere,
}

/// A subnet of guests and the device's address in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GuestSubnet {
    /// The subnet.
    pub subnet: Subnet,
    /// The device's address in it.
    pub gateway: Ipv4Addr,
}

impl GuestSubnet {
    /// The original's: its rules are there before the first guest is.
    pub fn original() -> Option<Self> {
        let gateway = Ipv4Addr::new(172, 17, 3, 2);
        Some(Self { subnet: Subnet::containing(gateway, 16)?, gateway })
    }
}

/// Where in the kernel a rule is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hook {
    /// Packets that pass through the device.
    Forward,
    /// Packets for the device itself.
    Input,
    /// Source NAT, as packets leave.
    Postrouting,
}

/// IP version of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// An interface as a rule names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interface {
    /// Every guest's link, `vm_wlan+`.
    Guests,
    /// Those with such a name.
    Like(IfPattern),
}

/// What a packet must be, beyond interfaces and addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// A reply, or related to a known connection: conntrack `ESTABLISHED,RELATED`.
    Established,
    /// Of a connection that conntrack knows, old or new: `NEW,RELATED,ESTABLISHED`. What it does not
    /// know NAT would let out with the guest's own address.
    Tracked,
    /// An ICMP echo request.
    EchoRequest,
    /// DNS over UDP.
    UdpDns,
    /// DNS over TCP.
    TcpDns,
}

/// What becomes of a packet that matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It passes.
    Accept,
    /// It is dropped and counted.
    Drop,
    /// It leaves with the uplink's address.
    Masquerade,
}

/// One rule. All of its conditions must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Where.
    pub hook: Hook,
    /// For which IP version.
    pub family: Family,
    /// The interface it came in by.
    pub input: Option<Interface>,
    /// The interface it leaves by.
    pub output: Option<Interface>,
    /// The subnet it comes from.
    pub source: Option<Subnet>,
    /// The address it goes to.
    pub destination: Option<Ipv4Addr>,
    /// What else it must be.
    pub matching: Option<Match>,
    /// What becomes of it.
    pub verdict: Verdict,
}

impl Rule {
    fn new(hook: Hook, family: Family, verdict: Verdict) -> Self {
        let (input, output, source, destination, matching) = (None, None, None, None, None);
        Self { hook, family, input, output, source, destination, matching, verdict }
    }
    fn from(mut self, interface: Interface) -> Self {
        self.input = Some(interface);
        self
    }
    fn to(mut self, interface: Interface) -> Self {
        self.output = Some(interface);
        self
    }
    fn of(mut self, subnet: Subnet) -> Self {
        self.source = Some(subnet);
        self
    }
    fn at(mut self, address: Ipv4Addr) -> Self {
        self.destination = Some(address);
        self
    }
    fn when(mut self, matching: Match) -> Self {
        self.matching = Some(matching);
        self
    }
}

impl Ruleset {
    /// The rules, in the order in which the kernel must look at them within each hook and family.
    pub fn rules(&self) -> Vec<Rule> {
        let mut rules = self.forward();
        rules.extend(self.input());
        rules.extend(self.masquerade());
        rules
    }

    /// Guest to uplink with its own subnet's address; uplink to guest as a reply; nothing else.
    /// Only replies come in, as netd has it for tethering (`TetherController::setForwardRules`).
    fn forward(&self) -> Vec<Rule> {
        use {Family::*, Interface::*, Match::*, Verdict::*};
        let rule = |verdict| Rule::new(Hook::Forward, V4, verdict);
        let mut rules = Vec::new();
        for uplink in &self.uplinks {
            let uplink = Like(uplink.clone());
            let out = |s: &GuestSubnet| {
                rule(Accept).from(Guests).to(uplink.clone()).of(s.subnet).when(Tracked)
            };
            // What most packets meet comes first: one rule there, two back.
            rules.extend(self.usual().map(out));
            rules.push(rule(Accept).from(uplink.clone()).to(Guests).when(Established));
            rules.extend(self.unusual().map(out));
        }
        for family in [V4, V6] {
            rules.push(Rule::new(Hook::Forward, family, Drop).from(Guests));
            rules.push(Rule::new(Hook::Forward, family, Drop).to(Guests));
        }
        rules
    }

    /// What a guest may say to the device itself. Without this it reaches every listener of the
    /// device by the gateway's, the uplink's and (IPv6) the link-local address.
    fn input(&self) -> Vec<Rule> {
        use {Family::*, Interface::*, Match::*, Verdict::*};
        let rule = |verdict| Rule::new(Hook::Input, V4, verdict).from(Guests);
        let mut rules = vec![rule(Accept).when(Established), rule(Accept).when(EchoRequest)];
        for s in self.usual().chain(self.unusual()) {
            for dns in [UdpDns, TcpDns] {
                rules.push(rule(Accept).of(s.subnet).at(s.gateway).when(dns));
            }
        }
        rules.push(rule(Drop));
        rules.push(Rule::new(Hook::Input, V6, Drop).from(Guests));
        rules
    }

    /// IPv4 only: Android's kernels have no IPv6 NAT (`IP6_NF_NAT` is off in GKI).
    fn masquerade(&self) -> Vec<Rule> {
        let rule = |uplink: &IfPattern, s: &GuestSubnet| {
            Rule::new(Hook::Postrouting, Family::V4, Verdict::Masquerade)
                .to(Interface::Like(uplink.clone()))
                .of(s.subnet)
        };
        let of = |uplink| self.usual().chain(self.unusual()).map(move |s| rule(uplink, s));
        self.uplinks.iter().flat_map(of).collect()
    }

    /// The original's subnet, if it is among them: nearly every guest is in it.
    pub(super) fn usual(&self) -> impl Iterator<Item = &GuestSubnet> {
        let original = GuestSubnet::original();
        self.subnets.iter().filter(move |s| Some(**s) == original)
    }

    /// The others.
    pub(super) fn unusual(&self) -> impl Iterator<Item = &GuestSubnet> {
        let original = GuestSubnet::original();
        self.subnets.iter().filter(move |s| Some(**s) != original)
    }
}

impl Interface {
    /// As iptables writes it: a final `+` matches every name that begins so.
    pub fn pattern(&self) -> String {
        match self {
            Self::Guests => format!("{HOST_PREFIX}+"),
            Self::Like(pattern) => pattern.as_str().replace('*', "+"),
        }
    }
}

impl Ruleset {
    /// The interfaces that guests may leave by, in words.
    pub fn ways_out(&self) -> String {
        let names: Vec<_> = self.uplinks.iter().map(IfPattern::as_str).collect();
        if names.is_empty() {
            "no uplink".to_owned()
        } else {
            names.join(", ")
        }
    }
}
