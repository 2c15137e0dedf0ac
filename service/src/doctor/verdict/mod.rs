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

//! The table: the first layer that fails, beside the device's own result and where the guest's packets
//! were seen, makes one cause. Pure.
//!
//! | the guest | the device | packets were seen | cause |
//! |---|---|---|---|
//! | | | a layer of `status` is bad | that layer's |
//! | hosts, names, large packets | | | HEALTHY |
//! | a sign-in page | | | CAPTIVE_PORTAL |
//! | small packets only | | | MTU_BLACKHOLE |
//! | names by datagrams without a checksum only | | | TX_CHECKSUM |
//! | hosts, no names | | see [`names`] | DNS_*, INPUT_DROPPED, GUEST_RESOLVER, GUEST_FIREWALL |
//! | no hosts | | see [`lost`] | the place where they got lost |
//! | no hosts | none either | left as they should | UPSTREAM_DOWN |

mod lost;
mod names;

use super::probe::{Found, Outcome, Probe, Role, SIZES};
use super::trail::Trail;
use crate::effects::kernel::route::WayOut;
use crate::model::fault::{Cause, Fault};
use crate::model::if_index::IfIndex;
use crate::model::layer::{Layer, LayerReport, LayerState, Verdict};
use crate::ordered::OrderedMap;
use std::net::Ipv4Addr;

/// Everything that was found out.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// What `status` reads, from the bottom up.
    pub layers: Vec<LayerReport>,
    /// What it makes of that: only of a layer that is not as it should be.
    pub reason: Option<LayerReport>,
    /// The probes, each with what became of it.
    pub probes: Vec<Probed>,
    /// The datagrams of our own, with checksum and without: whether they came there.
    pub echo: Option<(Outcome, Outcome)>,
    /// The guest; none: the device alone.
    pub guest: Option<GuestFacts>,
    /// The device's way out: its name, index and addresses.
    pub uplink: Way,
    /// What interfaces are called.
    pub interfaces: OrderedMap<IfIndex, String>,
    /// Whether the table of connections is full.
    pub table_is_full: bool,
    /// Packets of guests that our own rules dropped meanwhile.
    pub dropped: u64,
}

/// A probe and what became of it.
#[derive(Clone, Debug)]
pub struct Probed {
    /// The probe.
    pub probe: Probe,
    /// The guest's.
    pub guest: Found,
    /// The device's.
    pub device: Found,
    /// Where the guest's packet was seen.
    pub trail: Trail,
}

/// An interface that guests may leave by.
#[derive(Clone, Debug, Default)]
pub struct Way {
    /// Its name; empty where there is none.
    pub name: String,
    /// Its index.
    pub index: Option<IfIndex>,
    /// The indexes of others that the kernel spreads connections over, too.
    pub also: Vec<IfIndex>,
    /// Its addresses.
    pub addresses: Vec<Ipv4Addr>,
    /// Its next hop.
    pub router: Option<Ipv4Addr>,
    /// Whether that does not answer ARP.
    pub router_is_deaf: bool,
    /// Whether netd routes.
    pub netd: bool,
}

impl Way {
    /// Whether guests may leave by this interface.
    fn is_by(&self, index: IfIndex) -> bool {
        self.index == Some(index) || self.also.contains(&index)
    }
}

/// The kernel's answer on a route: the way, or the errno of its refusal (none: unreachable).
pub type Route = Result<Option<WayOut>, i32>;

/// What is known of a guest.
#[derive(Clone, Debug)]
pub struct GuestFacts {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: Ipv4Addr,
    /// Its gateway.
    pub gateway: Ipv4Addr,
    /// The device's end of its link.
    pub host_end: String,
    /// That end's index.
    pub host_index: IfIndex,
    /// Its interface.
    pub interface: String,
    /// Its own side; or why that cannot be looked at.
    pub inside: Result<Inside, String>,
    /// Whether that cannot be: it is a VM's.
    pub is_vm: bool,
    /// Whether there is a way out for it, by its configuration.
    pub leaves: bool,
    /// Whether taps see its packets, on both sides.
    pub tapped: bool,
    /// The device's route for a packet of the guest's.
    pub out: Route,
    /// The device's route for the answer.
    pub back: Route,
    /// Whether the reverse-path filter is strict on its link, and on the uplink.
    pub strict: (bool, bool),
    /// Whether IPv4 is forwarded that comes in by its link, and by the uplink.
    pub forwards: (bool, bool),
    /// Whether the guest does not answer for its address.
    pub is_deaf: bool,
    /// Whether connection tracking knows its packets; none: it cannot be asked.
    pub tracked: Option<bool>,
    /// The device's route for what it asks the resolver beyond the uplink.
    pub to_resolver: Route,
    /// Whether its questions go to a resolver beyond the uplink, and not to one of the device's own.
    pub asks_beyond: bool,
    /// Whether guestnetd's forwarder has its questions.
    pub forwarded: bool,
}

/// A guest's own side.
#[derive(Clone, Debug, Default)]
pub struct Inside {
    /// Its interface's index; none: it is not there.
    pub index: Option<IfIndex>,
    /// Whether that has the address.
    pub has_address: bool,
    /// Its route to a host out there.
    pub out: Option<WayOut>,
    /// Its route to the gateway.
    pub to_gateway: Option<WayOut>,
    /// Whether nobody answers for the gateway's address.
    pub gateway_is_deaf: bool,
}

/// What all of it comes to.
pub fn of(facts: &Facts) -> (Verdict, Fault) {
    if let Some(reason) = facts.sure() {
        return (Verdict::NoInternet, fault_of(reason));
    }
    match &facts.guest {
        Some(guest) => of_guest(facts, guest),
        None => of_device(facts),
    }
}

fn of_guest(facts: &Facts, guest: &GuestFacts) -> (Verdict, Fault) {
    if !guest.leaves {
        return without_uplink(facts, guest);
    }
    if let Err(why) = &guest.inside {
        return unseen(facts, guest, why);
    }
    if !facts.hosts().any(|host| host.guest.outcome == Outcome::Ok) {
        return match facts.waiting() {
            Some(fault) => (Verdict::Waiting, fault),
            None => (Verdict::NoInternet, no_host(facts, guest)),
        };
    }
    if facts.hosts().all(|host| host.guest.outcome != Outcome::Ok || is_forged(guest, host)) {
        let text = format!("{} answers its probes itself: they never leave it", guest.name);
        let fault = Fault::new(Cause::GuestFirewall, text)
            .with_step("look for a redirect in the guest's own rules: nft list ruleset");
        return (Verdict::NoInternet, fault);
    }
    if let Some(fault) = one_host_lost(facts, guest) {
        return (Verdict::NoInternet, fault);
    }
    if let Some(fault) = portal(facts.probes.iter().map(|probed| &probed.guest)) {
        return (Verdict::NoInternet, fault);
    }
    if let Some(fault) = names::of(facts, guest) {
        return (Verdict::NoNames, fault);
    }
    if let Some(size) = facts.largest(|probed| probed.guest.outcome) {
        let fault =
            blackhole(size).with_step(format!("guestnetctl update {} --mtu {size}", guest.name));
        return (Verdict::NoInternet, fault);
    }
    match facts.segment() {
        Some(fault) => (Verdict::Internet, fault),
        None => (
            Verdict::Internet,
            Fault::new(Cause::Healthy, "hosts, names and large packets are answered"),
        ),
    }
}

/// One that leaves by nothing, as it is configured, has its gateway and its segment.
fn without_uplink(facts: &Facts, guest: &GuestFacts) -> (Verdict, Fault) {
    let mut gateway = facts.probes.iter().filter(|probed| probed.probe.role == Role::Gateway);
    let silent = gateway.all(|probed| probed.guest.outcome != Outcome::Ok);
    if let Some(fault) = facts.segment() {
        return (Verdict::NoUplink, fault);
    }
    if silent && guest.inside.is_ok() {
        let text = format!("{} gets no answer from its gateway {}", guest.name, guest.gateway);
        let fault = Fault::new(Cause::GuestFirewall, text)
            .with_step("look at its own rules: nft list ruleset, ip rule, ip route in the guest");
        return (Verdict::NoInternet, fault);
    }
    let text = "no uplink, by its configuration; its gateway answers";
    let text = if silent { "no uplink, by its configuration" } else { text };
    (Verdict::NoUplink, Fault::new(Cause::Healthy, text))
}

fn of_device(facts: &Facts) -> (Verdict, Fault) {
    if !facts.device_reaches() {
        return match facts.waiting() {
            Some(fault) => (Verdict::Waiting, fault),
            None => (Verdict::NoInternet, upstream(facts)),
        };
    }
    if let Some(fault) = portal(facts.probes.iter().map(|probed| &probed.device)) {
        return (Verdict::NoInternet, fault);
    }
    if let Some(fault) = names::of_device(facts) {
        return (Verdict::NoNames, fault);
    }
    match facts.largest(|probed| probed.device.outcome) {
        Some(size) => (Verdict::NoInternet, blackhole(size)),
        None => (
            Verdict::Internet,
            Fault::new(Cause::Healthy, "hosts, names and large packets are answered"),
        ),
    }
}

/// Nothing can be sent from the guest.
fn unseen(facts: &Facts, guest: &GuestFacts, why: &str) -> (Verdict, Fault) {
    if let Some(fault) = facts.waiting() {
        return (Verdict::Waiting, fault);
    }
    if !facts.device_reaches() {
        return (Verdict::NoInternet, upstream(facts));
    }
    if guest.is_vm {
        return unseen_vm(guest);
    }
    let text =
        format!("nothing can be sent from {}: {why}; the device itself has internet", guest.name);
    let step = "let guestnetd enter network namespaces (CAP_SYS_ADMIN, CAP_NET_RAW; SELinux)";
    (Verdict::Unsure, Fault::new(Cause::Unreadable, text).with_step(step))
}

/// What of a VM can be told from outside: whether it answers for its address, where it was asked.
fn unseen_vm(guest: &GuestFacts) -> (Verdict, Fault) {
    let GuestFacts { name, address, host_end, .. } = guest;
    if guest.is_deaf {
        let text = format!("{name} does not answer for its address {address} at {host_end} (ARP)");
        let step =
            "look in the VM whether its link is up and its DHCP client runs; its network card \
                    has to have the MAC that `guestnetctl show` tells";
        return (Verdict::NoInternet, Fault::new(Cause::GuestAddressLost, text).with_step(step));
    }
    let text = format!("{name} is a VM's, from which nothing can be sent; the device has internet");
    let step = format!("in the VM: ping {}, then ping what the device reaches", guest.gateway);
    (Verdict::Unsure, Fault::new(Cause::Unreadable, text).with_step(step))
}

/// No host answers: where the packet that got farthest was lost.
fn no_host(facts: &Facts, guest: &GuestFacts) -> Fault {
    let guests = facts.probes.iter().map(|probed| &probed.guest);
    let devices = facts.probes.iter().map(|probed| &probed.device);
    let portal = portal(guests.chain(devices));
    let Some(farthest) = facts.hosts().max_by_key(|host| host.trail.len()) else {
        return Fault::new(Cause::Unreadable, "no probe could be made");
    };
    match lost::of(facts, guest, farthest) {
        Some(fault) => fault,
        None if unchecked_only(facts) => no_checksums(guest),
        None => portal.unwrap_or_else(|| upstream(facts)),
    }
}

/// A host that the device reaches and the guest does not, though it reaches others, and whose packets are
/// lost on the device: one of several next hops, as a rule.
fn one_host_lost(facts: &Facts, guest: &GuestFacts) -> Option<Fault> {
    let address = |probed: &&Probed| probed.probe.from_guest.map(|to| *to.ip());
    facts.hosts().find_map(|host| {
        let same = || facts.hosts().filter(|other| address(other) == address(&host));
        let lost = same().all(|other| !other.guest.outcome.is_answer())
            && same().any(|other| other.device.outcome == Outcome::Ok);
        lost.then(|| lost::of(facts, guest, host)).flatten()
    })
}

/// A connection of which nothing was seen outside of the guest.
fn is_forged(guest: &GuestFacts, host: &Probed) -> bool {
    guest.tapped && host.trail.arrived.is_none() && host.trail.left.is_none()
}

fn portal<'a>(mut found: impl Iterator<Item = &'a Found>) -> Option<Fault> {
    let page = found.find(|found| found.outcome == Outcome::Portal)?;
    let text = "the network wants a sign-in first";
    Some(match page.detail.as_str() {
        "" => {
            Fault::new(Cause::CaptivePortal, text).with_step("sign in with a browser on the device")
        }
        url => Fault::new(Cause::CaptivePortal, format!("{text}: {url}"))
            .with_step(format!("open {url} on the device")),
    })
}

/// Only datagrams without a checksum arrive.
fn unchecked_only(facts: &Facts) -> bool {
    facts
        .echo
        .is_some_and(|(checked, unchecked)| checked == Outcome::Silent && unchecked == Outcome::Ok)
        || names::unchecked_only(facts)
}

fn no_checksums(guest: &GuestFacts) -> Fault {
    let text = format!(
        "what {} sends without a checksum arrives, and with one it does not: checksums that are left to \
         the hardware are never made",
        guest.name
    );
    let (end, host) = (&guest.interface, &guest.host_end);
    Fault::new(Cause::TxChecksum, text)
        .with_step(format!("ethtool -K {host} tx off; in the guest: ethtool -K {end} tx off"))
}

fn blackhole(size: u16) -> Fault {
    let text = format!(
        "packets of more than {size} bytes are lost on the way, and no router says so: pages hang that \
         are longer than that"
    );
    Fault::new(Cause::MtuBlackhole, text)
}

/// Packets leave as they should, and nobody answers.
fn upstream(facts: &Facts) -> Fault {
    let way = &facts.uplink.name;
    let text = match facts.device_reaches() {
        false => format!("the network behind {way} answers neither guests nor the device"),
        true => format!(
            "what guests send leaves by {way} as it should; the network behind it answers the device, but \
             not its guests"
        ),
    };
    let text = match facts.hint(&[Cause::NotValidated]) {
        Some(_) if !facts.device_reaches() => {
            format!("{text}; nor has the platform reached the internet by it")
        }
        _ => text,
    };
    let step = match (facts.device_reaches(), facts.router()) {
        (true, _) => "ask the network's operator whether it blocks tethering; a VPN (--vpn tun:NAME) gets around it",
        (false, Some(true)) => "the router answers: look at its own way out",
        (false, Some(false)) => "the router does not answer either: connect the device again",
        (false, None) => "look at the device's own network",
    };
    Fault::new(Cause::UpstreamDown, text).with_step(step)
}

fn fault_of(layer: &LayerReport) -> Fault {
    Fault { cause: layer.cause, text: layer.text.clone(), next_step: layer.next_step.clone() }
}

impl GuestFacts {
    /// Whether the reverse-path filter has a reason to drop what the guest sends: it is strict, and the way
    /// back is not by the guest's link.
    fn is_filtered(&self) -> bool {
        let back = |way: WayOut| way.index == self.host_index && !way.local;
        self.strict.0 && !self.back.is_ok_and(|way| way.is_some_and(back))
    }
}

impl Facts {
    fn hosts(&self) -> impl Iterator<Item = &Probed> {
        self.probes.iter().filter(|probed| probed.probe.role == Role::Host)
    }

    /// What status is sure of. The kernel has one errno for a packet that the reverse-path filter drops and for
    /// a blackhole: where the filter has no reason to, it is not the filter.
    fn sure(&self) -> Option<&LayerReport> {
        let filtered = match &self.guest {
            Some(guest) => guest.is_filtered() || guest.back.is_err(),
            None => true,
        };
        let is_sure = |reason: &&LayerReport| {
            reason.state == LayerState::Bad && (filtered || reason.cause != Cause::RpFilter)
        };
        self.reason.as_ref().filter(is_sure)
    }

    fn device_reaches(&self) -> bool {
        self.hosts().any(|host| host.device.outcome == Outcome::Ok)
    }

    /// Whether the uplink's router answers the device; none: it was not asked.
    fn router(&self) -> Option<bool> {
        let router = self.probes.iter().find(|probed| probed.probe.role == Role::Router)?;
        Some(router.device.outcome == Outcome::Ok)
    }

    /// What traffic waits for.
    fn waiting(&self) -> Option<Fault> {
        let reason = self.reason.as_ref();
        reason.filter(|reason| reason.state == LayerState::Waiting).map(fault_of)
    }

    /// What is wrong with the guest's segment, which costs it no internet.
    fn segment(&self) -> Option<Fault> {
        let bad = |one: &&LayerReport| one.layer == Layer::Segment && one.state == LayerState::Bad;
        self.layers.iter().find(bad).map(fault_of)
    }

    /// What status says of others' rules, as far as it is one of these causes.
    fn hint(&self, causes: &[Cause]) -> Option<Fault> {
        self.layers.iter().find(|layer| causes.contains(&layer.cause)).map(fault_of)
    }

    fn name(&self, index: IfIndex) -> String {
        self.interfaces.get(&index).cloned().unwrap_or_else(|| format!("interface {index}"))
    }

    /// The largest packet that gets through, where larger ones vanish. A host that answers small packets
    /// only may have its reasons: all have to agree.
    fn largest(&self, outcome: impl Fn(&Probed) -> Outcome) -> Option<u16> {
        let mut hosts: OrderedMap<Ipv4Addr, Vec<(u16, Outcome)>> = OrderedMap::new();
        for probed in &self.probes {
            if let (Role::Size(host), super::probe::Kind::Ping(size)) =
                (probed.probe.role, probed.probe.kind)
            {
                hosts.entry(host).or_default().push((size, outcome(probed)));
            }
        }
        let least = SIZES.iter().min().copied();
        let answers = |sizes: &&Vec<(u16, Outcome)>| {
            sizes.iter().any(|(size, found)| Some(*size) == least && *found == Outcome::Ok)
        };
        let through = |sizes: &Vec<(u16, Outcome)>| {
            let largest = sizes
                .iter()
                .filter(|(_, found)| *found == Outcome::Ok)
                .map(|(size, _)| *size)
                .max();
            let vanish = |(size, found): &(u16, Outcome)| {
                *found == Outcome::Silent && largest.is_some_and(|largest| *size > largest)
            };
            sizes.iter().any(vanish).then_some(largest).flatten()
        };
        let all: Vec<_> = hosts.values().filter(answers).map(through).collect();
        all.iter().copied().collect::<Option<Vec<_>>>()?.into_iter().max()
    }
}

#[cfg(test)]
mod tests;
