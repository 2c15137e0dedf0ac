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

//! What the packet filters of others make of guests' packets. Read once for all guests, and gone
//! through once for those whose packets look alike to them.

use crate::daemon::{Attached, Daemon, Layer, LayerReport, LayerState};
use crate::effects::firewall::diagnose::journey::{self, Guest};
use crate::effects::firewall::diagnose::packet::Link;
use crate::effects::firewall::diagnose::{self, About, Finding, Findings, Kernel, Shared};
use crate::effects::kernel::{address, link};
use crate::model::fault::{Cause, Fault};
use crate::model::if_index::IfIndex;
use crate::model::ownership::{LINK_GROUP, ROUTE_PROTOCOL};
use crate::model::policy_rules::Rule;
use crate::model::ruleset::GuestSubnet;
use crate::model::GuestNet;
use crate::spec::{Family, IfName, Kind, Subnet, HOST_PREFIX};
use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// All packet filters, as they are now.
pub(in crate::daemon) struct Others {
    shared: Shared,
    /// Where guests leave that have no way out of their own: the uplink, and the others that the kernel spreads
    /// connections over.
    uplinks: Vec<Arc<Link>>,
    /// Our layers where all that is wrong with our rules is that others' come first: as they are unless
    /// those surely keep a guest from the internet.
    behind: Option<[LayerReport; 2]>,
    /// The mark that all guests with this gateway get; none: not all the same.
    marks: RefCell<HashMap<Ipv4Addr, Option<u32>>>,
}

impl Daemon {
    /// Reads them; not where our own rules are not in place, which is what is wrong then.
    pub(in crate::daemon) fn others(&self, layers: &[LayerReport]) -> Option<Others> {
        let behind = self.layers_in_place(layers);
        let mut ours = layers.iter().filter(|l| matches!(l.layer, Layer::Firewall | Layer::Nat));
        let broken = |l: &LayerReport| l.state == LayerState::Bad || l.cause == Cause::Unreadable;
        if behind.is_none() && ours.any(broken) {
            return None;
        }
        let uplink = &self.world.uplink;
        let usable = uplink.usable() && self.shared.forwarding.get().is_on();
        let sources = uplink.sources();
        let address = |name: &IfName| sources.get(name).copied().or(uplink.address);
        let names = uplink.ways_out().filter(|_| usable);
        let uplinks = names.filter_map(|name| self.way_out(name, address(name))).collect();
        Some(Others {
            shared: Shared::new(
                diagnose::read().seen_by(self.shared.packet_filter.get().backend()),
            ),
            uplinks,
            behind,
            marks: RefCell::default(),
        })
    }

    /// A guest as packets are followed; none while it has no way out.
    pub(in crate::daemon) fn journey(&self, guest: &Attached) -> Option<Guest> {
        let net = &guest.net;
        let uplink = match (net.vpn.tun(), &self.world.uplink.name) {
            _ if !net.vpn.leaves() => None,
            (Some(tun), _) => self.tun(tun),
            (None, Some(name)) => self.way_out(name, self.world.uplink.address),
            (None, None) => None,
        };
        Some(Guest {
            link: host_end(net.kind, &net.host.name, Some(guest.index), net.host.address),
            address: net.guest.address,
            gateway: net.guest.gateway,
            uplink: uplink?,
            known: 4,
        })
    }

    /// The mark that others give to what a guest sends, where rules ask for marks: with that it is routed.
    pub(in crate::daemon) fn mark_of(&self, guest: &Attached) -> u32 {
        let asks = |rule: &Rule| rule.mark.1 != 0 && rule.protocol != ROUTE_PROTOCOL;
        // netd's marks are of sockets, and of no guest's packets.
        if self.world.netd_routes() || !self.world.rules.iter().any(asks) {
            return 0;
        }
        let net = &guest.net;
        let link = host_end(net.kind, &net.host.name, Some(guest.index), net.host.address);
        let (address, gateway) = (net.guest.address, net.guest.gateway);
        // They are marked before it is known where they leave.
        let journey = Guest { uplink: link.clone(), link, address, gateway, known: 4 };
        let kernel = Kernel { netlink: &self.kernel.netlink, expected: None };
        journey::mark(&diagnose::read(), &kernel, &journey).unwrap_or(0)
    }

    /// A link that guests leave by.
    fn way_out(&self, name: &IfName, address: Option<Ipv4Addr>) -> Option<Arc<Link>> {
        let found = link::by_name(&self.kernel.netlink, name.as_str()).ok().flatten()?;
        Some(Arc::new(Link { address, ..Link::from(&found) }))
    }

    /// A tun's address, which is what masquerades what leaves by it.
    fn tun(&self, name: &IfName) -> Option<Arc<Link>> {
        let found = link::by_name(&self.kernel.netlink, name.as_str()).ok().flatten()?;
        let all = address::of(&self.kernel.netlink, Family::V4, Some(found.index)).ok()?;
        let first = all.iter().find_map(|found| match found.address {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        });
        Some(Arc::new(Link { address: first, ..Link::from(&found) }))
    }
}

impl Others {
    /// The mark that they give to what a guest sends: with that it is routed.
    pub(super) fn mark(&self, daemon: &Daemon, guest: &Attached) -> u32 {
        let net = &guest.net;
        let link = host_end(net.kind, &net.host.name, Some(guest.index), net.host.address);
        let (address, gateway) = (net.guest.address, net.guest.gateway);
        // They are marked before it is known where they leave.
        let one = Guest { uplink: link.clone(), link, address, gateway, known: 4 };
        let kernel = Kernel { netlink: &daemon.kernel.netlink, expected: None };
        let known = self.marks.borrow().get(&gateway).copied();
        let all = known.unwrap_or_else(|| {
            let mark =
                journey::mark(self.shared.filters(), &kernel, &any(&one, net.subnet.prefix()));
            self.marks.borrow_mut().insert(gateway, mark);
            mark
        });
        all.or_else(|| journey::mark(self.shared.filters(), &kernel, &one)).unwrap_or(0)
    }

    /// What they mean for a guest: its layers say so. One without an index is not there yet.
    pub(in crate::daemon) fn judge(
        &self,
        daemon: &Daemon,
        net: &GuestNet,
        index: Option<IfIndex>,
        layers: &mut [LayerReport],
    ) {
        let ways = match net.vpn.tun() {
            _ if !net.vpn.leaves() => Vec::new(),
            Some(tun) => daemon.tun(tun).into_iter().collect(),
            None => self.uplinks.clone(),
        };
        let Some(uplink) = ways.first().cloned() else { return };
        let guest = Guest {
            link: host_end(net.kind, &net.host.name, index, net.host.address),
            address: net.guest.address,
            gateway: net.guest.gateway,
            uplink,
            known: 4,
        };
        self.judge_guest(daemon, (&guest, &ways), net.subnet, index.is_none(), layers);
    }

    fn judge_guest(
        &self,
        daemon: &Daemon,
        (guest, ways): (&Guest, &[Arc<Link>]),
        subnet: Subnet,
        expected: bool,
        layers: &mut [LayerReport],
    ) {
        let netlink = &daemon.kernel.netlink;
        let findings = |guest: &Guest| {
            let kernel = Kernel { netlink, expected: expected.then_some(guest) };
            self.shared.findings(&kernel, guest, &any(guest, subnet.prefix()))
        };
        self.say(layers, findings(guest));
        for other in ways.iter().skip(1) {
            let by_it = findings(&Guest { uplink: Arc::clone(other), ..guest.clone() });
            if let Some(Finding { about, fault, .. }) = by_it.internet {
                put(layers, layer_of(about), Finding { sure: false, about, fault: of_some(fault) });
            }
        }
    }

    /// What they mean for a guest as any other.
    pub(in crate::daemon) fn judge_any(&self, daemon: &Daemon, layers: &mut [LayerReport]) {
        let (Some(uplink), Some(GuestSubnet { gateway, subnet })) =
            (self.uplinks.first().cloned(), GuestSubnet::original())
        else {
            return;
        };
        let address = Ipv4Addr::from(u32::from(gateway).wrapping_add(1));
        let link = host_end(Kind::Veth, &IfName::host_end(0), None, gateway);
        let guest = Guest { link, address, gateway, uplink, known: 4 };
        self.judge_guest(daemon, (&guest, &self.uplinks), subnet, true, layers);
    }

    /// Puts it into the layers.
    fn say(&self, layers: &mut [LayerReport], findings: Findings) {
        let Findings { internet, names, other_resolvers } = findings;
        let stopped = internet.as_ref().is_some_and(|finding| finding.sure);
        for sound in self.behind.iter().flatten().filter(|_| !stopped) {
            let moved = layers.iter_mut().filter(|l| l.layer == sound.layer);
            moved.for_each(|layer| layer.clone_from(sound));
        }
        if let Some(finding) = internet {
            put(layers, layer_of(finding.about), finding);
        }
        if let Some(finding) = names {
            put(layers, Layer::Dns, finding);
        }
        let mut names = layers.iter_mut().filter(|layer| layer.layer == Layer::Dns);
        if let (Some(said), Some(layer)) = (other_resolvers, names.next()) {
            layer.text += &format!("; {said}");
        }
        if !self.shared.filters().unread.is_empty() {
            let text = format!(
                "others' rules cannot be read: {}",
                self.shared.filters().unread.join("; ")
            );
            let fault = Fault::new(Cause::Unreadable, text);
            put(layers, Layer::Firewall, Finding { sure: false, about: About::Filter, fault });
        }
    }
}

/// The kernel spreads connections over several interfaces, and this is about one of them.
pub(super) fn of_some(fault: Fault) -> Fault {
    let text =
        format!("{}; connections are spread over several interfaces: some are lost", fault.text);
    Fault { text, ..fault }
}

fn layer_of(about: About) -> Layer {
    match about {
        About::Filter => Layer::Firewall,
        About::Nat => Layer::Nat,
        About::Route => Layer::Route,
    }
}

/// The device's end of a guest's link.
fn host_end(kind: Kind, name: &IfName, index: Option<IfIndex>, address: Ipv4Addr) -> Arc<Link> {
    Arc::new(Link {
        name: name.to_string(),
        index,
        group: LINK_GROUP,
        kind: kind.link_kind().to_owned(),
        address: Some(address),
        any: false,
    })
}

/// A guest that stands for all of its subnet.
fn any(guest: &Guest, prefix: u8) -> Guest {
    let link = Link { name: HOST_PREFIX.to_owned(), any: true, ..(*guest.link).clone() };
    Guest { link: Arc::new(link), known: usize::from(prefix / 8), ..guest.clone() }
}

/// A layer that is fine as far as it is ours says what of others' is in the way.
fn put(layers: &mut [LayerReport], layer: Layer, finding: Finding) {
    let there = |wanted: Layer| layers.iter().position(|other| other.layer == wanted);
    let Some(at) = there(layer).or_else(|| there(Layer::Firewall)) else { return };
    let Some(place) = layers.get_mut(at).filter(|place| place.state == LayerState::Ok) else {
        return;
    };
    let Finding { sure, fault, .. } = finding;
    let state = if sure { LayerState::Bad } else { LayerState::Unknown };
    let text = match place.layer {
        Layer::Firewall => format!("{}, but {}", place.text, fault.text),
        _ => fault.text,
    };
    *place = LayerReport::new(place.layer, state, Fault { text, ..fault });
}
