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

//! What stops guests' packets beside routes and packet filters: neighbours that are not found, queues and
//! filters of traffic control, IPsec's policies. Read once for all guests, and more only where there is
//! something.

mod policies;
mod queues;

use crate::daemon::health::others;
use crate::daemon::{Attached, Daemon, Layer, LayerReport, LayerState};
use crate::effects::firewall::diagnose::journey::SERVER;
use crate::effects::kernel::inside::{Inside, Stops};
use crate::effects::kernel::link::{self, Link};
use crate::effects::kernel::neighbour::{self, Neighbour};
use crate::effects::kernel::netlink::Netlink;
use crate::effects::kernel::observe::{Hubs, ELSEWHERE};
use crate::effects::kernel::{address, ipsec, route, sysctl, tc};
use crate::model::fault::{Cause, Fault};
use crate::model::if_index::IfIndex;
use crate::model::ipsec::{Direction, Policies};
use crate::model::tc::Queue;
use crate::model::GuestNet;
use crate::spec::{Family, IfName};
use policies::{flows, flows_back};
use queues::{packets, packets_back, program, Finding, Frames, Sense};
use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// Everything of a network namespace that may stop packets so.
#[derive(Clone, Debug, Default)]
pub(in crate::daemon) struct Below {
    /// Those that are set by hand, or without ARP.
    neighbours: Vec<Neighbour>,
    /// Those that were asked for and have not answered.
    deaf: Vec<Neighbour>,
    /// Those of others than the kernel's own.
    queues: Vec<Queue>,
    policies: Policies,
    /// The greater of this and a link's own counts.
    arp_ignore: u32,
    /// What could not be read, in words.
    unread: Vec<String>,
    /// What was found of ways out, by their names.
    ways: RefCell<HashMap<IfName, Option<(Layer, Fault)>>>,
    /// What was read of segments' devices.
    pub(super) hubs: RefCell<Hubs>,
}

/// One end of a guest's link, and what its packets are like there.
#[derive(Clone, Copy, Debug)]
pub(super) struct End<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// Its index.
    pub(super) index: IfIndex,
    /// Its MAC, and that of who is behind it, where it is known.
    pub(super) macs: ([u8; 6], Option<[u8; 6]>),
    /// Its address, and whom it finds behind it.
    pub(super) addresses: (Ipv4Addr, Ipv4Addr),
}

// linux/neighbour.h
const NUD_INCOMPLETE: u16 = 0x01;
const NUD_FAILED: u16 = 0x20;
const NUD_NOARP: u16 = 0x40;
const NUD_PERMANENT: u16 = 0x80;

/// Over a veth an answer takes less than this, on a busy machine, too.
const PATIENCE: Duration = Duration::from_millis(250);
/// Nobody may have asked since, and what kept the answer away may be gone.
const RECENT: Duration = Duration::from_secs(10);

/// How a command begins that is to be run where it was found.
pub(super) type Where = &'static str;

impl Below {
    /// That of the thread's namespace; IPsec's policies if that is asked for.
    pub(in crate::daemon) fn read(netlink: &Netlink, ipsec: bool) -> Self {
        let mut unread = Vec::new();
        let mut neighbours = neighbour::of(netlink, Family::V4, None).unwrap_or_else(|e| {
            unread.push(format!("the neighbours: {e}"));
            Vec::new()
        });
        let deaf = neighbours.iter().filter(|one| is_deaf(one)).cloned().collect();
        neighbours.retain(is_by_hand);
        let mut queues = tc::queues(netlink).unwrap_or_else(|e| {
            unread.push(format!("the queues: {e}"));
            Vec::new()
        });
        queues.retain(|queue| !["noqueue", "pfifo_fast", "mq"].contains(&queue.kind.as_str()));
        let policies = match ipsec {
            false => Policies::default(),
            true => ipsec::policies().unwrap_or_else(|e| {
                unread.push(format!("IPsec's policies: {e}"));
                Policies::default()
            }),
        };
        let arp_ignore = sysctl::conf_of("all", "arp_ignore").unwrap_or(0);
        Self { neighbours, deaf, queues, policies, arp_ignore, unread, ..Self::default() }
    }

    /// Whether one end does not find the other, or is not found by it.
    pub(super) fn unfound(&self, end: &End<'_>, link: &Link, at: Where) -> Option<Fault> {
        /// ARP is not answered at all (arp_ignore() in arp.c).
        const NEVER: u32 = 8;
        let (name, (_, other)) = (end.name, end.addresses);
        let known = self
            .neighbours
            .iter()
            .find(|one| one.index == end.index && one.address == IpAddr::V4(other));
        let is = |one: &&Neighbour| end.macs.1.into_iter().all(|mac| one.mac == mac);
        let fault = |text, step| Some(Fault::new(Cause::NeighbourWrong, text).with_step(step));
        // What the kernel has of one without ARP is a guess (arp_constructor()).
        if !link.arp && known.filter(is).into_iter().all(|one| one.state & NUD_PERMANENT == 0) {
            let text = format!("{name} finds no neighbours, and is found by none: its ARP is off");
            return fault(text, format!("{at}ip link set {name} arp on"));
        }
        if let Some(wrong) = known.filter(|one| link.arp && !is(one)) {
            let text = format!(
                "{other} has the wrong link-layer address on {name}, {}, set by hand",
                mac_words(&wrong.mac)
            );
            return fault(text, format!("{at}ip neigh del {other} dev {name}"));
        }
        let own = link.ipv4.map_or(0, |conf| conf.arp_ignore);
        if self.arp_ignore.max(own) == NEVER && known.is_none() {
            let key = if own == NEVER { name } else { "all" };
            let text = format!("{name} answers no ARP: net.ipv4.conf.{key}.arp_ignore is 8");
            return fault(text, format!("{at}sysctl -w net.ipv4.conf.{key}.arp_ignore=1"));
        }
        None
    }

    /// Whether one who is behind a link was asked for, and has not answered.
    fn is_silent(&self, index: IfIndex, address: Ipv4Addr) -> bool {
        self.deaf_one(index, address).is_some_and(is_unanswered)
    }

    fn deaf_one(&self, index: IfIndex, address: Ipv4Addr) -> Option<&Neighbour> {
        self.deaf.iter().find(|one| one.index == index && one.address == IpAddr::V4(address))
    }

    /// Whether a guest, in whose namespace this is, asks for its gateway in vain.
    fn asks_in_vain(&self, netlink: &Netlink, end: &End<'_>, link: &Link) -> bool {
        let (own, gateway) = end.addresses;
        let Some(asked) = self.deaf_one(end.index, gateway) else { return false };
        // Without an address it asks with another one, which is not answered; the address layer knows.
        let found = address::of(netlink, Family::V4, Some(end.index)).unwrap_or_default();
        if !link.up || !link.carrier || !found.iter().any(|found| found.address == own) {
            return false;
        }
        let young = asked.since.filter(|since| *since < PATIENCE);
        match young.filter(|_| asked.state & NUD_INCOMPLETE != 0) {
            None => is_unanswered(asked),
            // It has only just asked, for the first time or for the next.
            Some(since) => {
                const TICK: Duration = Duration::from_millis(20);
                std::thread::sleep(PATIENCE + TICK - since);
                let now = neighbour::of(netlink, Family::V4, Some(end.index)).unwrap_or_default();
                now.iter().any(|one| one.address == gateway && is_unanswered(one))
            }
        }
    }

    /// What a guest's own namespace stops of what it sends and is answered.
    pub(super) fn within(&self, netlink: &Netlink, end: &End<'_>, link: &Link) -> Stops {
        const AT: Where = "in the guest: ";
        let (mut faults, mut silence) = (Vec::new(), None);
        if let Some(fault) = self.unfound(end, link, AT) {
            let text = format!("in the guest, {}", fault.text);
            faults.push((Layer::Link, Fault { text, ..fault }));
        } else if self.asks_in_vain(netlink, end, link) {
            silence = Some(asks_in_vain(end));
        }
        let (own, gateway) = end.addresses;
        let frames = Frames {
            out: packets(end.macs, (own, gateway), Sense::Asks),
            within: packets(
                (end.macs.1.unwrap_or_default(), Some(end.macs.0)),
                (own, gateway),
                Sense::Answers,
            ),
        };
        let queued = self.queued(netlink, (end.name, end.index), &frames, AT);
        let mut doubts = Vec::new();
        if let Some(Finding { sure, text, step }) = queued.or_else(|| program(link, AT)) {
            let fault = Fault::new(Cause::GuestFirewall, format!("in the guest, {text}"));
            let found = if sure { &mut faults } else { &mut doubts };
            found.push((Layer::Firewall, fault.with_step(step)));
        }
        let link = Some(end.index.get());
        let out = flows(own, SERVER, Direction::Out, link, "what it sends");
        let answers = flows_back(own, SERVER, Direction::In, None, "what it is answered");
        if let Some((block, what)) = self.blocked(&[out, answers].concat()) {
            let (policy, step) = block.words();
            let text = format!("in the guest, {policy} blocks {what}");
            let fault = Fault::new(Cause::GuestFirewall, text).with_step(format!("{AT}{step}"));
            faults.push((Layer::Firewall, fault));
        }
        Stops { faults, doubts, silence }
    }
}

impl Daemon {
    /// What others have set below a guest: its layers say so.
    pub(super) fn below_guest(
        &self,
        below: &Below,
        guest: &Attached,
        link: &Link,
        layers: &mut [LayerReport],
    ) {
        let net = &guest.net;
        let end = End {
            name: net.host.name.as_str(),
            index: guest.index,
            macs: (net.host.mac.0, net.kind.has_inside().then_some(net.guest.mac.0)),
            addresses: (net.host.address, net.guest.address),
        };
        if let Some(fault) = below.unfound(&end, link, "") {
            put(layers, Layer::Link, true, fault);
        }
        let (gateway, address) = end.addresses;
        let (own, other) = end.macs;
        let frames = Frames {
            within: packets(
                (other.unwrap_or_default(), Some(own)),
                (address, gateway),
                Sense::Asks,
            ),
            out: packets((own, other), (address, gateway), Sense::Answers),
        };
        let queued = below.queued(&self.kernel.netlink, (end.name, end.index), &frames, "");
        if let Some(Finding { sure, text, step }) = queued.or_else(|| program(link, "")) {
            let fault = Fault::new(Cause::ForwardDropped, text).with_step(step);
            put(layers, Layer::Firewall, sure, fault);
        }
        match net.vpn.tun() {
            _ if !net.vpn.leaves() => {}
            Some(tun) => self.below_way(below, tun, false, layers),
            None => self.below_uplink(below, layers),
        }
        if net.vpn.leaves() {
            self.policies_of(below, guest, layers);
        }
        unread(below, layers);
    }

    /// What neighbours say by their silence: that something drops ARP where no other layer knows a reason.
    /// `silence`: what the guest says so.
    pub(super) fn silent_neighbours(
        &self,
        below: &Below,
        guest: &Attached,
        seen: Option<&Inside>,
        silence: Option<Fault>,
        layers: &mut [LayerReport],
    ) {
        // A rule that prohibits what a guest sends has the device answer none of its ARP either (arp_process()).
        let is_why = |one: &LayerReport| {
            matches!(one.state, LayerState::Bad | LayerState::Waiting)
                && ![Layer::Dns, Layer::Segment].contains(&one.layer)
        };
        if layers.iter().any(is_why) {
            return;
        }
        // A container's kernel answers as long as its link is up. A VM may sleep, or have no system yet.
        let answers = seen.is_some_and(|seen| seen.link.up && seen.link.arp);
        let (name, address) = (&guest.net.host.name, guest.net.guest.address);
        let from_here = || {
            let text = format!(
                "the guest's answer to who has its address {address} (ARP) does not come in at {name}"
            );
            let fault = Fault::new(Cause::NeighbourWrong, text).with_step(LOOK_FOR_ARP);
            (answers && below.is_silent(guest.index, address)).then_some(fault)
        };
        let Some(mut fault) = silence.or_else(from_here) else { return };
        // It has ARP, too.
        let here = link::by_index(&self.kernel.netlink, guest.index).ok().flatten();
        let here = here.and_then(|link| program(&link, ""));
        if let Some(found) = here.or_else(|| program(&seen?.link, "in the guest: ")) {
            fault = Fault::new(fault.cause, format!("{}; {}", fault.text, found.text))
                .with_step(found.step);
        }
        put(layers, Layer::Link, true, fault);
    }

    /// What stops guests' packets below the device's way out.
    pub(super) fn below_device(&self, below: &Below, layers: &mut [LayerReport]) {
        self.below_uplink(below, layers);
        unread(below, layers);
    }

    fn below_uplink(&self, below: &Below, layers: &mut [LayerReport]) {
        for (number, way) in self.world.uplink.ways_out().enumerate() {
            self.below_way(below, way, number > 0, layers);
        }
    }

    /// `of_some`: the kernel sends some connections by it, and others elsewhere.
    fn below_way(&self, below: &Below, way: &IfName, of_some: bool, layers: &mut [LayerReport]) {
        let known = below.ways.borrow().get(way).cloned();
        let found = known.unwrap_or_else(|| {
            let found = self.wrong_with(below, way);
            below.ways.borrow_mut().insert(way.clone(), found.clone());
            found
        });
        let Some((layer, fault)) = found else { return self.program_of(way, layers) };
        // What stands there by hand may be right, and nobody may have asked for a router since it was deaf:
        // what answers beyond it, tells.
        if matches!(fault.cause, Cause::NeighbourWrong | Cause::UpstreamDown) {
            let silent =
                |one: &LayerReport| one.layer == Layer::Dns && one.cause == Cause::DnsSilent;
            if !layers.iter().any(silent) {
                return;
            }
        }
        match of_some {
            true => put(layers, layer, false, others::of_some(fault)),
            false => put(layers, layer, true, fault),
        }
    }

    /// Nobody answers for names, and a program sees first what comes in by that way.
    fn program_of(&self, way: &IfName, layers: &mut [LayerReport]) {
        let silent = |one: &&mut LayerReport| one.cause == Cause::DnsSilent;
        let Some(names) = layers.iter_mut().find(silent) else { return };
        let link = link::by_name(&self.kernel.netlink, way.as_str()).ok().flatten();
        if let Some(found) = link.and_then(|link| program(&link, "")) {
            names.text = format!("{}; {}", names.text, found.text);
            names.next_step = Some(found.step);
        }
    }

    /// What is below a way out, surely.
    fn wrong_with(&self, below: &Below, way: &IfName) -> Option<(Layer, Fault)> {
        let netlink = &self.kernel.netlink;
        let link = link::by_name(netlink, way.as_str()).ok().flatten()?;
        let uplink =
            self.world.uplink.address.filter(|_| self.world.uplink.name.as_ref() == Some(way));
        let own = uplink.unwrap_or(Ipv4Addr::UNSPECIFIED);
        let mac = <[u8; 6]>::try_from(link.mac.as_slice()).ok();
        if let Some(mac) = mac {
            let frames = Frames {
                out: packets((mac, None), (own, own), Sense::Beyond),
                within: packets_back(mac, own),
            };
            let queued = below.queued(netlink, (way.as_str(), link.index), &frames, "");
            if let Some(Finding { sure: true, text, step }) = queued {
                let fault = Fault::new(Cause::ForwardDropped, text).with_step(step);
                return Some((Layer::Firewall, fault));
            }
        }
        let router = route::towards(netlink, ELSEWHERE).ok().flatten()?;
        let router = router.gateway.filter(|_| router.index == link.index)?;
        let is_it = |one: &&Neighbour| one.index == link.index && one.address == router;
        // An IPv4 route may go by a router that has IPv6 alone (RFC 5549).
        let of_ipv6 = match router {
            IpAddr::V4(_) => Vec::new(),
            IpAddr::V6(_) => {
                neighbour::of(netlink, Family::V6, Some(link.index)).unwrap_or_default()
            }
        };
        let mut by_hand = below.neighbours.iter().chain(of_ipv6.iter().filter(|n| is_by_hand(n)));
        let by_hand = by_hand.find(is_it);
        let (text, step) = match by_hand {
            _ if !link.arp && mac.is_some() => (
                format!("{way} finds no neighbours, such as its router {router}: its ARP is off"),
                format!("ip link set {way} arp on"),
            ),
            Some(one) => (
                format!(
                    "nothing answers by {way}, whose router {router} has a link-layer address that was \
                     set by hand, {}",
                    mac_words(&one.mac)
                ),
                format!("ip neigh del {router} dev {way}"),
            ),
            None => {
                let mut deaf = below.deaf.iter().chain(of_ipv6.iter().filter(|n| is_deaf(n)));
                let asked = if router.is_ipv4() { "ARP" } else { "neighbour discovery" };
                let fault = Fault::deaf_router(router, way, asked);
                return deaf.find(is_it).map(|_| (Layer::Uplink, fault));
            }
        };
        Some((Layer::Uplink, Fault::new(Cause::NeighbourWrong, text).with_step(step)))
    }
}

const LOOK_FOR_ARP: &str =
    "look for what drops ARP, on the device and in the guest: `nft list tables arp`, `arptables -L`";

fn asks_in_vain(end: &End<'_>) -> Fault {
    let (name, gateway) = (end.name, end.addresses.1);
    let text = format!("in the guest, nobody answers ARP for its gateway {gateway} on {name}");
    let step =
        format!("{LOOK_FOR_ARP}; in the guest, net.ipv4.neigh.{name}.mcast_solicit is not 0");
    Fault::new(Cause::NeighbourWrong, text).with_step(step)
}

/// Set by hand, or without ARP.
fn is_by_hand(one: &Neighbour) -> bool {
    one.state & (NUD_NOARP | NUD_PERMANENT) != 0
}

/// Asked for, and not found so far.
fn is_deaf(one: &Neighbour) -> bool {
    one.state & (NUD_INCOMPLETE | NUD_FAILED) != 0
}

/// The same where that says something about now.
fn is_unanswered(one: &Neighbour) -> bool {
    let Some(since) = one.since else { return false };
    match one.state {
        NUD_INCOMPLETE => since >= PATIENCE,
        NUD_FAILED => since <= RECENT,
        _ => false,
    }
}

fn mac_words(mac: &[u8]) -> String {
    mac.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}

/// What could not be read.
fn unread(below: &Below, layers: &mut [LayerReport]) {
    if below.unread.is_empty() {
        return;
    }
    let place = layers.iter_mut().find(|one| one.layer == Layer::Firewall);
    if let Some(place) = place {
        place.text += &format!("; not looked at: {}", below.unread.join("; "));
    }
}

/// A layer that is fine so far says what is in the way.
pub(super) fn put(layers: &mut [LayerReport], layer: Layer, sure: bool, fault: Fault) {
    let Some(place) = layers.iter_mut().find(|one| one.layer == layer) else { return };
    // That nobody answers for names is what this comes to.
    let open = place.state == LayerState::Ok || place.cause == Cause::DnsSilent && sure;
    if !open {
        return;
    }
    let text = match layer {
        Layer::Firewall => format!("{}, but {}", place.text, fault.text),
        _ => fault.text,
    };
    let state = if sure { LayerState::Bad } else { LayerState::Unknown };
    *place = LayerReport::new(layer, state, Fault { text, ..fault });
}

/// Whom it is about, for a guest that is looked into.
pub(super) fn end_of<'a>(net: &'a GuestNet, link: &Link) -> End<'a> {
    End {
        name: net.guest.name.as_str(),
        index: link.index,
        macs: (net.guest.mac.0, Some(net.host.mac.0)),
        addresses: (net.guest.address, net.guest.gateway),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_believed_while_it_says_something_about_now() {
        let after = |state, since: Option<u64>| {
            let since = since.map(Duration::from_millis);
            let address = Ipv4Addr::new(172, 17, 3, 2).into();
            let (index, mac) = (IfIndex::of(2), Vec::new());
            is_unanswered(&Neighbour { index, address, mac, state, since })
        };
        const NUD_STALE: u16 = 0x04;
        for (state, since, believed) in [
            (NUD_INCOMPLETE, Some(0), false),
            (NUD_INCOMPLETE, Some(240), false),
            (NUD_INCOMPLETE, Some(250), true),
            (NUD_INCOMPLETE, Some(2900), true),
            (NUD_INCOMPLETE, None, false),
            (NUD_FAILED, Some(0), true),
            (NUD_FAILED, Some(10_000), true),
            (NUD_FAILED, Some(10_010), false),
            (NUD_STALE, Some(0), false),
        ] {
            assert_eq!(after(state, since), believed, "{state:#x} {since:?}");
        }
    }
}
