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
//! The rules are static over `vm_wlan+`: attaching a guest changes none of them, but for an element of
//! a set where there are sets. They change with the uplinks and the resolver, and when a guest asks
//! for another subnet or way out than the others.

use crate::model::sources::Sources;
use crate::ordered::{IntoOrdered, OrderedMap, OrderedSet};
pub use crate::spec::Family;
use crate::spec::{IfName, IfPattern, Subnet, HOST_PREFIX};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;

/// Everything that the rules depend on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ruleset {
    /// The interfaces that guests may leave by. None: nothing is forwarded (fail closed).
    pub uplinks: OrderedSet<IfPattern>,
    /// The subnets that guests may have.
    pub subnets: OrderedSet<GuestSubnet>,
    /// The resolver that gets what guests ask their gateway. None: whoever answers at the gateway.
    /// It is reached as any other address out there is: one of the device's own is not.
    pub resolver: Option<Ipv4Addr>,
    /// Whose questions go to guestnetd's forwarder, and not to that resolver.
    pub forwarded: Forwarded,
    /// Guests, by their host ends, that leave by this interface and by no other.
    pub exits: OrderedMap<IfName, IfName>,
    /// The resolvers behind those interfaces. The uplink's is not asked by who leaves by one of them.
    pub tun_resolvers: OrderedMap<IfName, Ipv4Addr>,
    /// Guests' host ends, each with the address of its guest: nothing else comes in by it. Only where
    /// the filter has a set for them; rules for each would cost every packet.
    pub guests: Sources,
    /// The ports that guests' connections leave with: none of those that the device's own have. None: any.
    pub nat_ports: Option<NatPorts>,
    /// How many connections one guest may have at a time; none: as many as the device can track.
    pub connections: Option<u32>,
    /// The network that the uplink is in, if it has more hosts than the device should ask for at once.
    pub crowd: Option<Subnet>,
    /// Whether the filter can have a guest's closed TCP connections forgotten after [`FORGOTTEN`]. That
    /// of nf_tables says so of itself.
    pub forgets: bool,
    /// Whether the filter has a set for [`Forwarded::but`]. Then the forwarder's rules are there before the first
    /// guest asks for it, and who comes or goes changes none. That of nf_tables says so of itself.
    pub exceptions_in_set: bool,
    /// Where the kernel spreads connections over several uplinks: each with its address, which is what
    /// guests' connections by it leave with. A masquerade would end a connection with its first packet
    /// that takes another of them (`nf_nat_oif_changed()`), and one that is sent again may: where the
    /// next hop is chosen by ports, the sender's socket has a say in it (`sk_rethink_txhash()`).
    pub sources: OrderedMap<IfName, Ipv4Addr>,
    /// The user that guestnetd runs as: with root alone it may answer from the forwarder's port.
    pub user: u32,
    /// What may pass through the device that is neither from nor to a guest.
    pub strangers: Strangers,
    /// Rules of single guests, such as forwarded ports: they come before the others of their hook.
    pub extra: Vec<Rule>,
}

/// Whose questions for names go to guestnetd's forwarder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forwarded {
    /// Whether those of all guests do but for some.
    pub all: bool,
    /// For which the opposite holds, by their host ends.
    pub but: OrderedSet<IfName>,
}

impl Forwarded {
    /// Whether some guest's questions go there.
    pub fn any(&self) -> bool {
        self.all || !self.but.is_empty()
    }

    /// Whether every guest's do.
    pub fn every(&self) -> bool {
        self.all && self.but.is_empty()
    }
}

/// Who gets what a guest asks its gateway.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// guestnetd's forwarder, which is at the gateway.
    Forwarder,
    /// The resolver behind its way out.
    Resolver(Ipv4Addr),
    /// Whoever answers at the gateway, if anybody may.
    Gateway,
}

/// Fragments that a guest may send in a second, and at once. What is incomplete is kept for 30 s
/// (`ipfrag_time`) in 4 MiB that the whole device shares (`ipfrag_high_thresh`); one takes up to 2.3 kB.
pub const FRAGMENTS: (u32, u32) = (40, 128);

/// Connections to hosts of a large network of the uplink's that a guest may open in a second, and at once.
/// For each host that nobody has the device asks for three seconds; the entries of those it asks for
/// cannot go, and the machine has room for 1024 (`gc_thresh3`): then it finds no other either.
pub const CROWD: (u32, u32) = (64, 128);

/// The network, if it has more hosts than there is room for, or nearly so many.
pub fn crowd(network: Subnet) -> Option<Subnet> {
    // One that has everything has no hosts to ask for.
    (1..24).contains(&network.prefix()).then_some(network)
}

/// After so many seconds a closed TCP connection of a guest is forgotten, where the filter can say so.
/// Long enough for a FIN that is sent again, and for the answer to a RST that is not exactly in order
/// (RFC 5961), which until then has this time to live, too.
pub const FORGOTTEN: u32 = 1;

/// The group of nfnetlink_log by which guests' rules tell guestnetd that many connections were opened.
pub const TOLD: u16 = 0x676e;

/// What keeps the entries of one guest in conntrack below a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time. TCP's that are closed are not counted (`already_closed()`, nf_conncount.c).
    pub at_a_time: u32,
    /// Of which protocol those are that are counted as they are opened; none: of any.
    pub opened: Option<Protocol>,
    /// Connections that may be opened in a second.
    pub per_second: u32,
    /// Connections that may be opened at once.
    pub at_once: u32,
    /// After so many TCP connections that guests have opened guestnetd is told.
    pub told_each: u32,
    /// Then so many closed ones of a guest stay; of more, none.
    pub closed: u32,
}

impl Limits {
    /// For a guest that may have so many.
    ///
    /// A quarter is for those that are closed. They stay for up to two minutes
    /// (`nf_conntrack_tcp_timeout_time_wait`) or, where they are `forgotten`, for [`FORGOTTEN`]; but each packet of
    /// theirs has that begin again (`nf_ct_refresh_acct()`), so the guest decides how long. So guestnetd is
    /// told, and forgets them: what is there then are those that are counted, those that stay, what was opened
    /// before it was told, and what is opened until it has done so. Where guestnetd is not there,
    /// how fast they are opened is all that limits them.
    pub fn of(most: u32, forgotten: bool) -> Self {
        let part = |of: u32| (most / of).max(1);
        let (opened, per_second) = match forgotten {
            true => (None, part(8)),
            // Of other protocols nothing is ever closed.
            false => (Some(Protocol::Tcp), part(64)),
        };
        let at_a_time = most.saturating_sub(part(8).saturating_mul(2)).max(1);
        let (at_once, told_each, closed) = (part(8), part(64), part(16));
        Self { at_a_time, opened, per_second, at_once, told_each, closed }
    }

    /// In how many milliseconds what guestnetd was told has to be done: in no more are so many opened as there
    /// is room for.
    pub fn patience(&self) -> u32 {
        let all = self.at_once.saturating_mul(2);
        // One rule tells in FORWARD, and another in INPUT.
        let had = [self.at_once, self.told_each, self.told_each, self.closed];
        let room = had.into_iter().fold(all, u32::saturating_sub);
        room.saturating_mul(1000).checked_div(self.per_second).unwrap_or(0)
    }
}

/// The first and the last of some ports.
pub type NatPorts = (u16, u16);

/// The ports for guests where the device's own connections have these (`ip_local_port_range`): the most
/// on one side of them. None where that is too few for one guest.
pub fn nat_ports(own: NatPorts) -> Option<NatPorts> {
    // Those below are for servers.
    const LOWEST: u16 = 1024;
    const FEWEST: u16 = 4096;
    let below = (LOWEST, own.0.saturating_sub(1));
    let above = (own.1.saturating_add(1).max(LOWEST), u16::MAX);
    let count = |(first, last): NatPorts| last.saturating_sub(first);
    let most = if count(below) >= count(above) { below } else { above };
    (count(most) >= FEWEST).then_some(most)
}

/// What may pass through a device on which guestnetd has switched forwarding on: the kernel would route
/// for whoever is on the Wi-Fi into the device's other networks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strangers {
    /// Whatever others let pass: forwarding is theirs.
    #[default]
    Pass,
    /// Others may need forwarding, too. Nothing that begins behind a way out of guests, but for what
    /// somebody's DNAT leads further.
    NotFromWaysOut,
    /// Nothing: only guests need forwarding.
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
    /// Packets as they come in, before fragments are put together and connections are tracked. In
    /// nf_tables only: x_tables has nothing there.
    Ingress,
    /// Packets that pass through the device.
    Forward,
    /// Packets for the device itself.
    Input,
    /// What the device itself sends. (In nf_tables by the chain of [`Egress`](Self::Egress), which is there
    /// anyway.)
    Output,
    /// Destination NAT, as packets come in.
    Prerouting,
    /// Source NAT, as packets leave.
    Postrouting,
    /// Packets as they leave, behind source NAT. In nf_tables only.
    Egress,
}

/// An interface as a rule names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interface {
    /// Every guest's link, `vm_wlan+`.
    Guests,
    /// The links of guests whose questions for names go elsewhere than the others' ([`Forwarded::but`]). Only
    /// where the filter has a set for them.
    Exceptions,
    /// Every other.
    NotGuests,
    /// Every one that leads out of the device.
    NotLoopback,
    /// Those with such a name.
    Like(IfPattern),
}

/// Addresses of one family that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// The lowest of them.
    pub address: IpAddr,
    /// How many bits they have in common.
    pub prefix: u8,
}

impl From<Subnet> for Network {
    fn from(subnet: Subnet) -> Self {
        Self { address: subnet.network().into(), prefix: subnet.prefix() }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// A protocol that has ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Protocol {
    /// Its name, in nft and in iptables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// What a packet must be, beyond interfaces and addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match {
    /// A reply, or related to a known connection: conntrack `ESTABLISHED,RELATED`.
    Established,
    /// Of a connection that was answered: `ESTABLISHED`. What most packets are.
    Answered,
    /// Of a connection of which a packet has passed: `ESTABLISHED`, or `NEW` and confirmed, as a flow that
    /// nobody answers stays. That one need not be looked at further: [`New`](Self::New) would let it pass.
    /// (In x_tables `ESTABLISHED`.)
    Known,
    /// The first of a connection: `NEW`. What conntrack does not know NAT would let out with the
    /// guest's own address.
    New,
    /// The first packet of a connection, of a guest that has more than so many. What is confirmed
    /// already is not looked up: a flow that nobody answers is `NEW` for as long as it lasts.
    ConnectionsOver(u32),
    /// The first packet of a connection of this protocol, or of any, beyond so many of a guest in a second
    /// and at once.
    OpenedOver(Option<Protocol>, u32, u32),
    /// The first packet of each so many-th connection of this protocol, of all guests together.
    OpenedEach(Protocol, u32),
    /// The first packet of a connection to this network, beyond so many of a guest in a second and at once.
    CrowdOver(Subnet, u32, u32),
    /// The first of a connection, and nobody's DNAT has changed where it goes.
    NewAsSent,
    /// `RELATED` to a connection that this guest has opened (in x_tables: one of its subnet). An ICMP
    /// error about another's would change that one's path.
    OwnRelated,
    /// Not from the address that the guest behind this host end has.
    ForeignSource,
    /// From the address that the guest behind this host end has.
    OwnSource,
    /// A fragment, beyond so many of a guest in a second and at once.
    FragmentsOver(u32, u32),
    /// An echo request of ICMP, or of ICMPv6.
    EchoRequest,
    /// Of this protocol.
    Of(Protocol),
    /// Sent to one of these ports.
    Proto {
        /// The protocol.
        protocol: Protocol,
        /// The ports.
        ports: RangeInclusive<u16>,
    },
    /// Sent to a port for names, and led to this one by DNAT.
    Led {
        /// The protocol.
        protocol: Protocol,
        /// The port.
        port: u16,
    },
    /// An ICMP error that nobody hears at this port, about what was sent to a port for names and led to this
    /// one by DNAT. (About UDP: to who asks by TCP a reset is sent.)
    ForwarderUnreachable(u16),
    /// Said from this port, about what was sent to a port for names and led to that one by DNAT, by a program of
    /// another user than root and this one.
    FromStranger {
        /// The protocol.
        protocol: Protocol,
        /// The port.
        port: u16,
        /// guestnetd's own user.
        user: u32,
    },
}

/// Where names are asked for.
pub const NAMES: u16 = 53;

/// The port of each gateway that the forwarder has. Below those that the kernel gives to who asks for none
/// (`ip_local_port_range`).
pub const FORWARDER: u16 = 30_053;

/// Questions for names.
const DNS: [Match; 2] = [
    Match::Proto { protocol: Protocol::Udp, ports: NAMES..=NAMES },
    Match::Proto { protocol: Protocol::Tcp, ports: NAMES..=NAMES },
];

/// What becomes of a packet that matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It passes.
    Accept,
    /// It is dropped and counted.
    Drop,
    /// It goes on. When the TCP connection that it opens is closed, that is forgotten after [`FORGOTTEN`].
    Forget,
    /// It goes on, and guestnetd is told that it came ([`TOLD`]).
    Tell,
    /// It leaves with the uplink's address.
    Masquerade,
    /// It leaves with the uplink's address and with one of these ports.
    MasqueradeBy(NatPorts),
    /// It leaves with this address.
    Snat(Ipv4Addr),
    /// It leaves with this address and with one of these ports.
    SnatBy(Ipv4Addr, NatPorts),
    /// It goes to this address of its own family instead.
    Dnat {
        /// The address.
        address: IpAddr,
        /// The port; none: the one that it was sent to.
        port: Option<u16>,
    },
    /// It goes to this port of the same address instead.
    DnatPort(u16),
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
    /// The network it comes from.
    pub source: Option<Network>,
    /// The address it goes to.
    pub destination: Option<IpAddr>,
    /// What else it must be.
    pub matching: Option<Match>,
    /// What becomes of it.
    pub verdict: Verdict,
}

impl Rule {
    /// For every packet; what follows narrows it.
    pub fn new(hook: Hook, family: Family, verdict: Verdict) -> Self {
        let (input, output, source, destination, matching) = (None, None, None, None, None);
        Self { hook, family, input, output, source, destination, matching, verdict }
    }
    /// What comes in by this interface.
    pub fn from(mut self, interface: Interface) -> Self {
        self.input = Some(interface);
        self
    }
    /// What leaves by this interface.
    pub fn to(mut self, interface: Interface) -> Self {
        self.output = Some(interface);
        self
    }
    /// What comes from there.
    pub fn of(mut self, network: impl Into<Network>) -> Self {
        self.source = Some(network.into());
        self
    }
    /// What goes to this address.
    pub fn at(mut self, address: impl Into<IpAddr>) -> Self {
        self.destination = Some(address.into());
        self
    }
    /// What is such.
    pub fn when(mut self, matching: Match) -> Self {
        self.matching = Some(matching);
        self
    }
}

impl Ruleset {
    /// The rules, in the order in which the kernel must look at them within each hook and family.
    pub fn rules(&self) -> Vec<Rule> {
        let mut rules = self.extra.clone();
        rules.extend(self.ingress());
        rules.extend(self.forward());
        rules.extend(self.input());
        rules.extend(self.output());
        rules.extend(self.dns());
        rules.extend(self.spread());
        rules.extend(self.masquerade());
        rules.extend(self.egress());
        rules
    }

    /// A guest sends with its own address, whatever `rp_filter` says: not in the name of another, nor of
    /// a server that the device talks to.
    fn ingress(&self) -> [Rule; 4] {
        let rule = |verdict| Rule::new(Hook::Ingress, Family::V4, verdict);
        let v6 = Rule::new(Hook::Ingress, Family::V6, Verdict::Accept);
        let (per_second, at_once) = FRAGMENTS;
        [
            rule(Verdict::Accept).from(Interface::NotGuests),
            v6.from(Interface::NotGuests),
            rule(Verdict::Drop).when(Match::ForeignSource),
            rule(Verdict::Drop).when(Match::FragmentsOver(per_second, at_once)),
        ]
    }

    /// Nothing leaves with a guest's own address: not what somebody else's chain has taken out of NAT,
    /// nor an ICMP error about a connection that has none.
    fn egress(&self) -> Vec<Rule> {
        // Not first by the link, which is what takes longest: nearly all packets have another source here.
        let rule = Rule::new(Hook::Egress, Family::V4, Verdict::Drop).when(Match::OwnSource);
        self.usual().chain(self.unusual()).map(|s| rule.clone().of(s.subnet)).collect()
    }

    /// Guest to uplink with its own subnet's address; uplink to guest as a reply; nothing else.
    /// Only replies come in, as netd has it for tethering (`TetherController::setForwardRules`).
    fn forward(&self) -> Vec<Rule> {
        use {Family::*, Interface::*, Verdict::*};
        // Before the general rules, which would let such a guest out by the uplinks.
        let mut rules = self.exits();
        for uplink in &self.uplinks {
            rules.extend(self.known(Guests, Like(uplink.clone())));
        }
        rules.extend(self.limit(Hook::Forward, Guests));
        for uplink in &self.uplinks {
            rules.extend(self.first(Guests, Like(uplink.clone())));
        }
        for family in [V4, V6] {
            rules.push(Rule::new(Hook::Forward, family, Drop).from(Guests));
            rules.push(Rule::new(Hook::Forward, family, Drop).to(Guests));
        }
        rules.extend(self.strangers());
        rules
    }

    /// IPv4 only: forwarding of IPv6 is never switched on.
    fn strangers(&self) -> Vec<Rule> {
        let drop = Rule::new(Hook::Forward, Family::V4, Verdict::Drop);
        let from = |uplink: &IfPattern| {
            drop.clone().from(Interface::Like(uplink.clone())).when(Match::NewAsSent)
        };
        match self.strangers {
            Strangers::Pass => Vec::new(),
            Strangers::NotFromWaysOut => self.uplinks.iter().map(from).collect(),
            Strangers::Nowhere => vec![drop],
        }
    }

    /// For each guest with a way out of its own: that one, and no other. IPv6 is dropped for all.
    fn exits(&self) -> Vec<Rule> {
        let drop = || Rule::new(Hook::Forward, Family::V4, Verdict::Drop);
        let mut rules = Vec::new();
        for (host_end, way_out) in &self.exits {
            let guest = Interface::Like(host_end.clone().into());
            let way_out = Interface::Like(way_out.clone().into());
            rules.extend(self.known(guest.clone(), way_out.clone()));
            rules.extend(self.limit(Hook::Forward, guest.clone()));
            rules.extend(self.first(guest.clone(), way_out));
            rules.extend([drop().from(guest.clone()), drop().to(guest)]);
        }
        rules
    }

    /// What may pass between guests and a way out, of connections that are there: most packets.
    fn known(&self, guests: Interface, way_out: Interface) -> Vec<Rule> {
        let accept = || Rule::new(Hook::Forward, Family::V4, Verdict::Accept);
        let out = |s: &GuestSubnet| {
            let rule = accept().from(guests.clone()).to(way_out.clone());
            rule.of(s.subnet).when(Match::Known)
        };
        let mut rules: Vec<_> = self.usual().map(out).collect();
        let back = accept().from(way_out.clone()).to(guests.clone());
        rules.push(back.when(Match::Established));
        rules.extend(self.unusual().map(out));
        rules
    }

    /// One guest must not fill the table that all share: an established connection stays for five days.
    fn limit(&self, hook: Hook, guests: Interface) -> Vec<Rule> {
        let Some(most) = self.connections else { return Vec::new() };
        let rule = |verdict| Rule::new(hook, Family::V4, verdict).from(guests.clone());
        let Limits { at_a_time, opened, per_second, at_once, told_each, .. } =
            Limits::of(most, self.forgets);
        // What is too fast first: to count takes longer.
        let crowd = self.crowd.filter(|_| hook == Hook::Forward);
        let crowd = crowd.map(|network| Match::CrowdOver(network, CROWD.0, CROWD.1));
        let mut rules: Vec<_> = crowd.into_iter().map(|it| rule(Verdict::Drop).when(it)).collect();
        rules.extend([
            rule(Verdict::Drop).when(Match::OpenedOver(opened, per_second, at_once)),
            rule(Verdict::Drop).when(Match::ConnectionsOver(at_a_time)),
            rule(Verdict::Tell).when(Match::OpenedEach(Protocol::Tcp, told_each)),
        ]);
        if self.forgets {
            rules.push(rule(Verdict::Forget));
        }
        rules
    }

    /// The first packets of connections that guests may open by a way out.
    fn first(&self, guests: Interface, way_out: Interface) -> Vec<Rule> {
        let accept = Rule::new(Hook::Forward, Family::V4, Verdict::Accept).from(guests).to(way_out);
        let all = || self.usual().chain(self.unusual());
        let such = |matching: Match| {
            let accept = accept.clone().when(matching);
            all().map(move |s| accept.clone().of(s.subnet)).collect::<Vec<_>>()
        };
        [such(Match::New), such(Match::OwnRelated)].concat()
    }

    /// What a guest may say to the device itself. Without this it reaches every listener of the
    /// device by the gateway's, the uplink's and (IPv6) the link-local address. Who answers at the
    /// gateway is not reached while a resolver is set: what is meant for it has another address by
    /// then, and should the DNAT be lost, no other resolver may answer instead. Nothing that is
    /// `RELATED`: a guest's ICMP error would set the device's path to any server for ten minutes.
    fn input(&self) -> Vec<Rule> {
        use {Family::*, Interface::*, Match::*, Verdict::*};
        let rule = |verdict| Rule::new(Hook::Input, V4, verdict).from(Guests);
        let all = || self.usual().chain(self.unusual());
        let mut rules: Vec<_> = all().map(|s| rule(Accept).of(s.subnet).when(Answered)).collect();
        rules.extend(self.limit(Hook::Input, Guests));
        rules.extend(self.to_gateway(&rule(Accept), &[EchoRequest]));
        rules.extend(self.to_forwarder(&rule(Accept)));
        if self.resolver.is_none() && !self.forwarded.every() {
            // Who answers at the gateway asks by the uplink.
            let by_tun =
                |host: &IfName| Rule::new(Hook::Input, V4, Drop).from(Like(host.clone().into()));
            rules.extend(self.exits.keys().map(by_tun));
            rules.extend(self.to_gateway(&rule(Accept), &DNS));
        }
        rules.push(rule(Drop));
        rules.push(Rule::new(Hook::Input, V6, Drop).from(Guests));
        // The gateway is the guests': a resolver that is bound to it answers nobody behind an uplink. But
        // the device may speak from that address where an uplink has none, and is answered.
        let others = Rule::new(Hook::Input, V4, Drop).from(NotLoopback).when(New);
        rules.extend(all().map(|s| others.clone().at(s.gateway)));
        rules
    }

    /// What a guest asks its gateway goes to the resolver: to FORWARD, which lets it out or not as
    /// anything else that the guest sends. With a way out of its own it goes to the one behind that, or
    /// stays at the gateway, where nobody hears it.
    fn dns(&self) -> Vec<Rule> {
        let resolver = self.resolver.map_or(Asked::Gateway, Asked::Resolver);
        let (general, exception) = match self.forwarded.all {
            true => (Asked::Forwarder, resolver),
            false => (resolver, Asked::Forwarder),
        };
        let own: OrderedSet<_> = self.exits.keys().chain(self.forwarded.but.iter()).collect();
        let own = own.into_iter().map(|host| (host, self.asked(host)));
        // A guest whose questions go so, and not where the others' go, is in the set.
        let by_set = |asked: Asked| self.exceptions_in_set && asked == exception;
        let mut rules = Vec::new();
        for (host, asked) in own.filter(|(_, asked)| *asked != general && !by_set(*asked)) {
            rules.extend(self.led(Interface::Like(host.clone().into()), asked));
        }
        if self.exceptions_in_set {
            rules.extend(self.led(Interface::Exceptions, exception));
        }
        if general != Asked::Gateway {
            rules.extend(self.led(Interface::Guests, general));
        }
        rules
    }

    /// Who gets the questions of the guest with this host end.
    fn asked(&self, host: &IfName) -> Asked {
        if self.forwarded.all != self.forwarded.but.contains(host) {
            return Asked::Forwarder;
        }
        let resolver = match self.exits.get(host) {
            Some(way_out) => self.tun_resolvers.get(way_out).copied(),
            None => self.resolver,
        };
        resolver.map_or(Asked::Gateway, Asked::Resolver)
    }

    /// Whether the questions of the guest with this host end go elsewhere by the other rules.
    pub fn asks_elsewhere(&self, other: &Self, host: &IfName) -> bool {
        self.asked(host) != other.asked(host)
    }

    fn led(&self, guests: Interface, asked: Asked) -> Vec<Rule> {
        let verdict = match asked {
            Asked::Forwarder => Verdict::DnatPort(FORWARDER),
            Asked::Resolver(to) => Verdict::Dnat { address: to.into(), port: None },
            Asked::Gateway => Verdict::Accept,
        };
        self.to_gateway(&Rule::new(Hook::Prerouting, Family::V4, verdict).from(guests), &DNS)
    }

    /// What was led to the forwarder, and nothing else that is sent there.
    fn to_forwarder(&self, rule: &Rule) -> Vec<Rule> {
        if !self.may_forward() {
            return Vec::new();
        }
        let led = |protocol| Match::Led { protocol, port: FORWARDER };
        self.to_gateway(rule, &[led(Protocol::Udp), led(Protocol::Tcp)])
    }

    /// While guestnetd starts again nobody hears the forwarder's port, and the kernel says so to who asks there:
    /// a client would give up at once (ECONNREFUSED) where it asks again if it hears nothing. And any program may
    /// take the port meanwhile: it answers no guest.
    fn output(&self) -> Vec<Rule> {
        if !self.may_forward() {
            return Vec::new();
        }
        let stranger =
            |protocol| Match::FromStranger { protocol, port: FORWARDER, user: self.user };
        let [udp, tcp] = [Protocol::Udp, Protocol::Tcp].map(stranger);
        let drop = |such| Rule::new(Hook::Output, Family::V4, Verdict::Drop).when(such);
        [Match::ForwarderUnreachable(FORWARDER), udp, tcp].map(drop).into()
    }

    /// Whether some guest's questions go to the forwarder, or may do so without another rule.
    fn may_forward(&self) -> bool {
        self.exceptions_in_set || self.forwarded.any()
    }

    /// The rule for what guests send to their gateways, if it is such.
    fn to_gateway(&self, rule: &Rule, such: &[Match]) -> Vec<Rule> {
        let of = |s: &GuestSubnet| {
            let rule = rule.clone().of(s.subnet).at(s.gateway);
            such.iter().map(move |matching| rule.clone().when(matching.clone()))
        };
        self.usual().chain(self.unusual()).flat_map(of).collect()
    }

    /// Where connections are spread, each has its address for good; before they would be masqueraded.
    fn spread(&self) -> Vec<Rule> {
        let of = |(way_out, address): (&IfName, &Ipv4Addr)| {
            let by_ports = |ports| Verdict::SnatBy(*address, ports);
            let kinds = self.kinds(by_ports, Verdict::Snat(*address));
            let way_out = IfPattern::from(way_out.clone());
            let all = self.usual().chain(self.unusual());
            all.flat_map(|s| leaves(&kinds, &way_out, s)).collect::<Vec<_>>()
        };
        self.sources.iter().flat_map(of).collect()
    }

    /// What source NAT does with what has ports, where guests have some of their own, and with the rest.
    pub fn kinds(
        &self,
        by_ports: impl Fn(NatPorts) -> Verdict,
        other: Verdict,
    ) -> Vec<(Option<Protocol>, Verdict)> {
        let with_ports =
            |ports| [Protocol::Tcp, Protocol::Udp].map(|of| (Some(of), by_ports(ports)));
        self.nat_ports.into_iter().flat_map(with_ports).chain([(None, other)]).collect()
    }

    /// IPv4 only: Android's kernels have no IPv6 NAT (`IP6_NF_NAT` is off in GKI).
    fn masquerade(&self) -> Vec<Rule> {
        let kinds = self.kinds(Verdict::MasqueradeBy, Verdict::Masquerade);
        let own = self.exits.values().cloned().map(IfPattern::from);
        let general = |own: &IfPattern| self.uplinks.iter().any(|u| u.matches(own.as_str()));
        let own = own.filter(|own| !general(own)).into_set();
        let kinds = &kinds;
        let of = |way_out| {
            self.usual().chain(self.unusual()).flat_map(move |s| leaves(kinds, way_out, s))
        };
        self.uplinks.iter().chain(&own).flat_map(of).collect()
    }

    /// The original's subnet, if it is among them: nearly every guest is in it.
    pub fn usual(&self) -> impl Iterator<Item = &GuestSubnet> {
        let original = GuestSubnet::original();
        self.subnets.iter().filter(move |s| Some(**s) == original)
    }

    /// The others.
    pub fn unusual(&self) -> impl Iterator<Item = &GuestSubnet> {
        let original = GuestSubnet::original();
        self.subnets.iter().filter(move |s| Some(**s) != original)
    }
}

/// The rules of source NAT for what a subnet's guests send by a way out.
fn leaves(kinds: &[(Option<Protocol>, Verdict)], by: &IfPattern, of: &GuestSubnet) -> Vec<Rule> {
    let rule = |(protocol, verdict): &(Option<Protocol>, Verdict)| Rule {
        matching: protocol.map(Match::Of),
        ..Rule::new(Hook::Postrouting, Family::V4, *verdict)
            .to(Interface::Like(by.clone()))
            .of(of.subnet)
    };
    kinds.iter().map(rule).collect()
}

impl Hook {
    /// Whether addresses are changed there.
    pub fn is_nat(self) -> bool {
        matches!(self, Self::Prerouting | Self::Postrouting)
    }
}

impl Interface {
    /// Whether it is every one but those that the name says.
    pub fn is_inverted(&self) -> bool {
        matches!(self, Self::NotGuests | Self::NotLoopback)
    }

    /// As iptables writes it: a final `+` matches every name that begins so.
    pub fn pattern(&self) -> String {
        match self {
            Self::Guests | Self::NotGuests => format!("{HOST_PREFIX}+"),
            Self::Exceptions => {
                debug_assert!(false, "x_tables has no set for them");
                format!("{HOST_PREFIX}+")
            }
            Self::NotLoopback => "lo".to_owned(),
            Self::Like(pattern) => pattern.as_str().replace('*', "+"),
        }
    }
}

impl Ruleset {
    /// Whether both are the same but for who the guests are. Where exceptions are in a set, that is also whose
    /// questions go elsewhere than the others', unless a rule says more of such a guest, or of there being one.
    pub fn is_but_for_guests(&self, other: &Self, exceptions_in_set: bool) -> bool {
        let forwarded = match exceptions_in_set && self.exits.is_empty() && !self.forwarded.all {
            true => Forwarded { all: false, but: other.forwarded.but.clone() },
            false => self.forwarded.clone(),
        };
        Self { guests: other.guests.clone(), forwarded, ..self.clone() } == *other
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_guest_has_no_more_entries_than_it_may_have() {
        for most in (1..100).chain([1000, 4096, 65536, u32::MAX]) {
            for forgotten in [true, false] {
                let limits = Limits::of(most, forgotten);
                let since = |millis: u32| u64::from(limits.per_second) * u64::from(millis) / 1000;
                let told = 2 * u64::from(limits.told_each) + u64::from(limits.closed);
                let all = u64::from(limits.at_a_time) + u64::from(limits.at_once) + told;
                assert!(limits.at_a_time > 0, "{most}");
                assert!(all + since(limits.patience()) <= u64::from(most.max(32)), "{most}");
                // Those that nobody keeps.
                let kept = if forgotten { since(1000 * FORGOTTEN) } else { 0 };
                let all = u64::from(limits.at_a_time) + u64::from(limits.at_once) + kept;
                assert!(all <= u64::from(most.max(3)), "{most}");
            }
        }
        assert_eq!(Limits::of(4096, true).at_a_time, 3072);
        assert_eq!([true, false].map(|one| Limits::of(4096, one).patience()), [250, 2000]);
        // 200 short connections in a second, with a question for a name each.
        assert!(Limits::of(4096, true).per_second > 400);
    }

    #[test]
    fn a_large_network_is_one_that_a_machine_cannot_ask_for_at_once() {
        let of = |prefix| crowd(Subnet::containing([192, 168, 0, 2].into(), prefix).unwrap());
        assert!(of(16).is_some() && of(22).is_some() && of(23).is_some());
        assert!(of(24).is_none() && of(32).is_none() && of(0).is_none());
    }

    #[test]
    fn guests_have_the_ports_that_the_device_does_not_have() {
        assert_eq!(nat_ports((32768, 60999)), Some((1024, 32767)));
        assert_eq!(nat_ports((1024, 40000)), Some((40001, 65535)));
        assert_eq!(nat_ports((10000, 20000)), Some((20001, 65535)));
        assert_eq!(nat_ports((1024, 65535)), None);
        assert_eq!(nat_ports((0, 0)), Some((1024, 65535)));
        assert_eq!(nat_ports((5000, 65535)), None, "too few");
    }
}
