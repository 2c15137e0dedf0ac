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

//! What a guest has lost of its own side: to its network manager, its VPN, its Docker, its admin.

use super::below::{self, Below};
use super::route_check::{asks, CONNECTIONS};
use crate::daemon::{Attached, Daemon, Handle, Layer, LayerReport, LayerState};
use crate::effects::firewall::diagnose::{self, journey};
use crate::effects::kernel::inside::{self, Effort, Inside, Stops, Way};
use crate::effects::kernel::link::{self, Link};
use crate::effects::kernel::netlink::Netlink;
use crate::effects::kernel::netns::Home;
use crate::effects::kernel::observe::ELSEWHERE;
use crate::effects::kernel::route::{self, Decision};
use crate::effects::kernel::sysctl;
use crate::error::Error;
use crate::model::fault::{Cause, Fault};
use crate::model::guest_net::NetnsRef;
use crate::model::if_index::IfIndex;
use crate::model::lifeline::ProcessRef;
use crate::model::GuestNet;
use crate::spec::GuestName;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A guest to look into.
pub(in crate::daemon) struct Visit {
    index: IfIndex,
    net: GuestNet,
    netns: NetnsRef,
    process: Option<ProcessRef>,
    /// How often its end had come up when all was well there, where a look is dear.
    well_at: Option<u32>,
    /// A dear look is due, whatever its end has done.
    is_due: bool,
    /// IPsec's policies are looked at.
    ipsec: bool,
}

/// What else happens inside nobody announces, and a dear look is seen by the guest: a guest that is asked
/// about by its name, and one that is kept as it is, have one so often.
const DEAR_IF_ASKED: Duration = Duration::from_secs(10);
const DEAR_IF_KEPT: Duration = Duration::from_secs(60);

/// What was seen, by the host ends' indexes.
pub(in crate::daemon) type Seen = HashMap<IfIndex, Result<Option<Inside>, String>>;

impl Handle {
    /// Looks into one guest, or all, without the daemon's lock.
    pub(in crate::daemon) fn look_inside(&self, name: Option<&GuestName>) -> Result<Seen, Error> {
        let every = name.map(|_| DEAR_IF_ASKED);
        self.look_into(|guest| name.is_none() || name == Some(guest.name()), every)
    }

    /// The same with those that are kept as they are.
    pub(in crate::daemon) fn look_into_kept(&self) -> Result<Seen, Error> {
        self.look_into(|guest| guest.spec.keep, Some(DEAR_IF_KEPT))
    }

    fn look_into(
        &self,
        which: impl Fn(&Attached) -> bool,
        every: Option<Duration>,
    ) -> Result<Seen, Error> {
        let visits = self.call(|daemon| Ok(daemon.visits(which, every)))?;
        if visits.is_empty() {
            return Ok(Seen::new());
        }
        let device = Netlink::open().map_err(|e| Error::kernel("open a netlink socket", e))?;
        let home = Home::here().map_err(|e| Error::kernel("open the own network namespace", e))?;
        let see =
            |visit: Visit| (visit.index, look(&home, &device, &visit).map_err(|e| e.to_string()));
        Ok(visits.into_iter().map(see).collect())
    }
}

fn look(home: &Home, device: &Netlink, visit: &Visit) -> Result<Option<Inside>, Error> {
    let failed = |e| Error::kernel("read the link", e);
    let Some(host) = link::by_index(device, visit.index).map_err(failed)? else { return Ok(None) };
    // With the guest's end down its routes are gone, which need not be looked at.
    let flapped = host.carrier_ups.is_some_and(|ups| ups > visit.well_at.unwrap_or(1));
    let dear = host.carrier && (flapped || visit.is_due);
    let effort = if dear { Effort::Thorough } else { Effort::Quick };
    let process = visit.process.as_ref();
    let more = |netlink: &Netlink, link: &Link| stops(netlink, link, visit);
    inside::look(home, device, &visit.net, &visit.netns, &host, (process, effort), &more)
}

/// What stops a guest's packets in its own namespace, which the calling thread is in.
fn stops(netlink: &Netlink, link: &Link, visit: &Visit) -> Stops {
    let net = &visit.net;
    let end = below::end_of(net, link);
    let mut stops = Below::read(netlink, visit.ipsec).within(netlink, &end, link);
    stops.faults.extend(strays(netlink, net));
    let own = diagnose::packet::Link { address: Some(net.guest.address), ..(link).into() };
    let own = Arc::new(own);
    let guest = journey::Guest {
        link: Arc::clone(&own),
        address: net.guest.address,
        gateway: net.guest.gateway,
        uplink: own,
        known: 4,
    };
    stops.faults.extend(
        diagnose::own(&diagnose::read(), &guest)
            .map(|(names, fault)| (if names { Layer::Dns } else { Layer::Firewall }, fault)),
    );
    stops.faults.extend(no_hop_left().map(|fault| (Layer::Firewall, fault)));
    stops
}

/// The device passes nothing on that may go one hop only (ip_forward()).
fn no_hop_left() -> Option<Fault> {
    sysctl::default_ttl().ok().filter(|ttl| *ttl <= 1)?;
    let text = "in the guest, net.ipv4.ip_default_ttl is 1: what it sends ends on the device";
    let fault = Fault::new(Cause::GuestFirewall, text.to_owned());
    Some(fault.with_step("in the guest: sysctl -w net.ipv4.ip_default_ttl=64"))
}

/// What a guest's own rules that ask for protocols or ports do with some of what it sends. That it sends
/// nothing at all has other reasons.
fn strays(netlink: &Netlink, net: &GuestNet) -> Option<(Layer, Fault)> {
    let (own, gateway) = (net.guest.address, net.guest.gateway);
    CONNECTIONS.iter().find_map(|(what, protocol, port)| {
        let names = *protocol == libc::IPPROTO_UDP;
        let (layer, cause, to) = match names {
            true => (Layer::Dns, Cause::GuestResolver, gateway),
            false => (Layer::Route, Cause::GuestRouteLost, ELSEWHERE),
        };
        let usual = route::towards(netlink, to).ok().flatten();
        let usual = usual.filter(|usual| usual.source == Some(own.into()))?;
        let does = match route::sending_as(netlink, (own, to), asks(*protocol, *port)).ok()? {
            // One route may have several next hops.
            Decision::Takes(is) if is.index == usual.index || is.table == usual.table => {
                return None
            }
            Decision::Takes(is) => {
                let other = link::counted(netlink, is.index).ok().flatten()?;
                if is_a_vpn_in_use(&other) {
                    return None;
                }
                format!("send its {what} via {}", other.name)
            }
            Decision::Prohibited | Decision::Dropped | Decision::Unreachable => {
                format!("refuse its {what}")
            }
        };
        let by = match *protocol {
            libc::IPPROTO_ICMP => "icmp".to_owned(),
            libc::IPPROTO_UDP => format!("udp dport {port}"),
            _ => format!("tcp dport {port}"),
        };
        let step = format!(
            "in the guest: `ip rule` and `ip route get {to} from {own} ipproto {by}` show it"
        );
        let text = format!("the guest's own rules {does}");
        Some((layer, Fault::new(cause, text).with_step(step)))
    })
}

impl Daemon {
    fn visits(&mut self, which: impl Fn(&Attached) -> bool, every: Option<Duration>) -> Vec<Visit> {
        self.settle();
        let ipsec = self.asks_about_ipsec();
        let looked_at = &mut self.upkeep.looked_at;
        let mut is_due = |guest: &Attached| {
            let Some(every) = every.filter(|_| guest.netns.handle.is_none()) else { return false };
            let due = looked_at.get(&guest.index).into_iter().all(|at| at.elapsed() >= every);
            if due {
                looked_at.insert(guest.index, Instant::now());
            }
            due
        };
        let guests = &self.world.guests;
        let chosen = guests.attached().filter(|guest| which(guest) && guest.net.kind.has_inside());
        // What is in work has half of it.
        let chosen = chosen.filter(|guest| !guests.is_in_work(guest.index));
        let visit = |guest: &Attached| Visit {
            index: guest.index,
            net: guest.net.clone(),
            netns: guest.netns.clone(),
            process: guest.lifelines.process,
            is_due: is_due(guest),
            ipsec,
            well_at: self.upkeep.well_at.get(&guest.index).copied(),
        };
        chosen.map(visit).collect()
    }

    /// After a dear look that found nothing: it is not repeated before the end comes up again.
    pub(super) fn remember_well(&mut self, seen: &Seen) {
        for (index, inside) in seen {
            let Ok(Some(inside)) = inside else { continue };
            let guest = self.world.guests.by_index(*index);
            // Where there is a handle, no look is dear.
            let Some(guest) = guest.filter(|guest| guest.netns.handle.is_none()) else { continue };
            let host = link::by_index(&self.kernel.netlink, *index).ok().flatten();
            let ups = host.and_then(|host| host.carrier_ups).filter(|_| inside.ways.is_some());
            let well = faults(&guest.net, inside).is_empty()
                && obstacles(&guest.net, inside).is_empty()
                && inside.stops.doubts.is_empty()
                && inside.stops.silence.is_none();
            if let Some(ups) = ups.filter(|_| well) {
                self.upkeep.well_at.insert(*index, ups);
            }
        }
        let guests = &self.world.guests;
        self.upkeep.well_at.retain(|index, _| guests.has_link(*index));
        self.upkeep.looked_at.retain(|index, _| guests.has_link(*index));
    }
}

/// A guest's layers with what was seen inside.
pub(super) fn put_into(
    layers: &mut [LayerReport],
    net: &GuestNet,
    seen: Option<&Result<Option<Inside>, String>>,
) {
    let inside = match seen {
        Some(Ok(Some(inside))) => inside,
        Some(Ok(None)) => return set(layers, Layer::Link, gone(net)),
        Some(Err(why)) => return add(layers, &format!("; its side cannot be looked at: {why}")),
        None => return,
    };
    for (layer, fault) in obstacles(net, inside).into_iter().chain(faults(net, inside)) {
        set(layers, layer, fault);
    }
    let doubts = inside.stops.doubts.iter().filter(|_| inside.link.up && net.vpn.leaves());
    for (layer, fault) in doubts {
        below::put(layers, *layer, false, fault.clone());
    }
}

/// A guest may have a smaller MTU of its own: connections agree on what fits through, and datagrams do not.
pub(super) fn compare_mtus(
    layers: &mut [LayerReport],
    net: &GuestNet,
    seen: Option<&Result<Option<Inside>, String>>,
) {
    let Some(Ok(Some(inside))) = seen else { return };
    let fine = |one: &&mut LayerReport| one.layer == Layer::Link && one.state == LayerState::Ok;
    let mtu = inside.link.mtu;
    match layers.iter_mut().find(fine).zip(narrow(net, mtu)) {
        // All that has to pass does, as everywhere in the internet.
        Some((one, fault)) if mtu >= ANYWHERE => one.text += &format!("; {}", fault.text),
        Some((one, fault)) => *one = LayerReport::new(Layer::Link, LayerState::Unknown, fault),
        None => {}
    }
}

/// What every link of IPv6 carries (RFC 8200, 5), and datagrams of names keep to by default: 1232 bytes and headers.
const ANYWHERE: u32 = 1280;

/// What is wrong with the MTU of a guest's end: veth drops what is longer, and tells nobody.
fn narrow(net: &GuestNet, mtu: u32) -> Option<Fault> {
    /// is_skb_forwardable() leaves room for a VLAN tag (VLAN_HLEN).
    const SPARE: u32 = 4;
    let (name, here) = (&net.guest.name, net.mtu);
    if mtu.saturating_add(SPARE) >= here.bytes() {
        return None;
    }
    let text =
        format!("the guest's {name} has MTU {mtu}, here it is {here}: larger answers are lost");
    let step = format!(
        "guestnetctl update {} --mtu {mtu}, or in the guest: ip link set {name} mtu {here}",
        net.name
    );
    Some(Fault::new(Cause::MtuBlackhole, text).with_step(step))
}

/// Whether the guest has lost what repair() puts back.
pub(in crate::daemon) fn has_lost(net: &GuestNet, seen: &Result<Option<Inside>, String>) -> bool {
    let Ok(Some(inside)) = seen else { return false };
    // What it has moved it would have twice.
    inside.above.is_none() && faults(net, inside).iter().any(|(layer, _)| *layer != Layer::Dns)
}

/// What a guest has lost of its side, by layer.
fn faults(net: &GuestNet, inside: &Inside) -> Vec<(Layer, Fault)> {
    let (name, end) = (&net.guest.name, &net.guest);
    let above = inside.above.as_ref();
    // Where the guest has moved its address, a repair would put it back beside that.
    let repair = match above {
        None => format!("guestnetctl repair {}, or in the guest:", net.name),
        Some(_) => "in the guest:".to_owned(),
    };
    let mut faults = Vec::new();
    let down = (!inside.link.up).then_some(name.as_str());
    let down = down.or(above.filter(|above| !above.up).map(|above| above.name.as_str()));
    if let Some(down) = down {
        let fault = Fault::new(Cause::GuestLinkDown, format!("the guest's {down} is down"))
            .with_step(format!("{repair} ip link set {down} up"));
        faults.push((Layer::Link, fault));
    }
    let mut lost_address = false;
    if let Some(addresses) = inside.addresses.as_ref().filter(|_| above.is_none()) {
        let own = |address: std::net::IpAddr| address == end.address;
        if !addresses.found.iter().any(|found| own(found.address)) {
            lost_address = true;
            let others = addresses.found.iter().take(3);
            let others: Vec<_> =
                others.map(|found| format!("{}/{}", found.address, found.prefix)).collect();
            let has = match (others.is_empty(), addresses.whole) {
                (true, _) => String::new(),
                (false, true) => format!(", and has {}", others.join(", ")),
                (false, false) => {
                    format!(", as far as can be seen: it has over {} others", addresses.found.len())
                }
            };
            let own = format!("{}/{}", end.address, end.prefix);
            let text = format!("the guest's {name} has lost its address {own}{has}");
            let fault = Fault::new(Cause::GuestAddressLost, text)
                .with_step(format!("{repair} ip addr add {own} dev {name}"));
            faults.push((Layer::Address, fault));
        }
    }
    let Some(ways) = inside.ways.as_ref().filter(|_| net.vpn.leaves()) else { return faults };
    if let Some(fault) =
        lost_route(net, ways.out.as_ref(), above).filter(|_| ways.refused.0.is_none())
    {
        let dev = above.map_or(name.as_str(), |above| above.name.as_str());
        let step = format!("{repair} ip route add default via {} dev {dev}", end.gateway);
        faults.push((Layer::Route, fault.with_step(step)));
    }
    let shadow = ways.gateway.as_ref().and_then(|way| elsewhere(way, above));
    if let Some(other) = shadow.filter(|_| inside.link.up && !lost_address) {
        let text = format!(
            "the guest's own {} takes its way to {}, where its names are resolved",
            other.name, end.gateway
        );
        let dev = above.map_or(name.as_str(), |above| above.name.as_str());
        let step = format!("in the guest: ip route add {}/32 dev {dev}", end.gateway);
        faults.push((Layer::Dns, Fault::new(Cause::GuestResolver, text).with_step(step)));
    }
    faults
}

/// What a guest has of its own that is in its way: nothing is lost that could be put back.
fn obstacles(net: &GuestNet, inside: &Inside) -> Vec<(Layer, Fault)> {
    let (name, end) = (&net.guest.name, &net.guest);
    let mut faults = Vec::new();
    let above = inside.above.as_ref();
    if inside.link.master.is_some() && above.is_none() {
        let text =
            format!("the guest's {name} is a port of one of its own bridges, which takes all");
        let fault = Fault::new(Cause::GuestLinkDown, text)
            .with_step(format!("in the guest: ip link set {name} nomaster"));
        faults.push((Layer::Link, fault));
    }
    let mut stops: Vec<_> =
        inside.stops.faults.iter().filter(|_| inside.link.up).cloned().collect();
    stops.retain(|(layer, _)| net.vpn.leaves() || *layer == Layer::Link);
    faults.extend(stops);
    let Some(ways) = inside.ways.as_ref().filter(|_| net.vpn.leaves()) else { return faults };
    if let Some(refused) = ways.refused.0 {
        let who = match refused.rule {
            Some(rule) => format!("rule {rule} refuses"),
            None => "rules or routes refuse".to_owned(),
        };
        let text = format!("the guest's own {who} what it sends to the internet");
        let fault = Fault::new(Cause::GuestRouteLost, text)
            .with_step(format!("in the guest: `ip rule` and `ip route get {ELSEWHERE}` show it"));
        faults.push((Layer::Route, fault));
    }
    let has_own = |addresses: &inside::Addresses| {
        addresses.found.iter().any(|found| found.address == net.guest.address)
    };
    if above.is_some() || inside.addresses.as_ref().is_some_and(has_own) {
        let source = foreign_source(net, ways.out.as_ref(), above);
        faults.extend(source.map(|fault| (Layer::Route, fault)));
    }
    // It is on the link, and what goes through it has a way.
    let leaves = |out: &Way| elsewhere(out, above).is_none();
    let unreached = ways.gateway.is_none() && ways.out.as_ref().is_some_and(leaves);
    if ways.refused.1.is_some() || unreached {
        let text =
            format!("the guest's own routes refuse {}, where its names are resolved", end.gateway);
        let step = format!("in the guest: `ip route get {}` shows it", end.gateway);
        faults.push((Layer::Dns, Fault::new(Cause::GuestResolver, text).with_step(step)));
    }
    faults
}

/// A route of the guest's, or an address of its own before ours, has it send with another source, which
/// guestnetd lets in from nobody.
fn foreign_source(net: &GuestNet, out: Option<&Way>, above: Option<&Link>) -> Option<Fault> {
    let out = out.filter(|out| elsewhere(out, above).is_none())?;
    let source = out.way.source.filter(|source| *source != net.guest.address)?;
    let (own, gateway) = (net.guest.address, net.guest.gateway);
    let name = out.other.as_ref().map_or(net.guest.name.as_str(), |above| above.name.as_str());
    let text = format!("the guest sends with its address {source}, and may send with {own} only");
    let step = format!("in the guest: ip route replace default via {gateway} dev {name} src {own}");
    Some(Fault::new(Cause::GuestRouteLost, text).with_step(step))
}

/// What is wrong with a guest's way to the internet.
fn lost_route(net: &GuestNet, out: Option<&Way>, above: Option<&Link>) -> Option<Fault> {
    let lost = |text| Some(Fault::new(Cause::GuestRouteLost, text));
    let (name, gateway) = (&net.guest.name, net.guest.gateway);
    let Some(out) = out else {
        return lost(format!("the guest has lost its default route via {gateway}"));
    };
    match elsewhere(out, above) {
        // A VPN of its own that something comes back by: its way out goes by wlan0 in the end.
        Some(other) if is_a_vpn_in_use(other) => None,
        Some(other) => lost(format!(
            "the guest sends what is for the internet via its own {}, not via {name}",
            other.name
        )),
        None if out.way.gateway != Some(gateway.into()) => {
            let other = out.way.gateway.map_or("nobody".to_owned(), |other| other.to_string());
            lost(format!("the guest's default route goes via {other}, not via {gateway}"))
        }
        None => None,
    }
}

/// The interface by which a packet leaves that does not go by the guest's end.
fn elsewhere<'a>(way: &'a Way, above: Option<&Link>) -> Option<&'a Link> {
    let goes_by_it = |other: &&Link| above.is_some_and(|above| above.index == other.index);
    way.other.as_ref().filter(|other| !goes_by_it(other))
}

fn is_a_vpn_in_use(link: &Link) -> bool {
    let received = link.counters.is_some_and(|counters| counters.rx_packets > 0);
    ["tun", "wireguard", "xfrm"].contains(&link.kind.as_str()) && received
}

fn gone(net: &GuestNet) -> Fault {
    let text = format!("the guest's {} is not where guestnetd put it", net.guest.name);
    Fault::new(Cause::GuestLinkDown, text)
        .with_step(format!("move it back, or guestnetctl detach {}, then attach again", net.name))
}

/// A layer that is bad for another reason stays so: that is nearer to the root.
fn set(layers: &mut [LayerReport], layer: Layer, fault: Fault) {
    let wrong = |one: &&mut LayerReport| one.layer == layer && one.state != LayerState::Bad;
    if let Some(one) = layers.iter_mut().find(wrong) {
        *one = LayerReport::bad(layer, fault);
    }
}

fn add(layers: &mut [LayerReport], words: &str) {
    if let Some(one) = layers.iter_mut().find(|one| one.layer == Layer::Address) {
        one.text.push_str(words);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{GuestSpec, IfName, Mtu};
    use std::net::Ipv4Addr;

    fn net() -> GuestNet {
        let (name, interface) = (GuestName::new("box").unwrap(), IfName::new("wlan0").unwrap());
        let (gateway, address) = (Ipv4Addr::new(10, 9, 0, 2), Ipv4Addr::new(10, 9, 0, 3));
        let spec = GuestSpec::new(name, interface, None, gateway, 24, 1500).unwrap();
        GuestNet::new(&spec, 0, address, Mtu::ETHERNET)
    }

    #[test]
    fn a_smaller_mtu_loses_what_is_longer_than_it_and_a_vlan_tag() {
        let step = |mtu| narrow(&net(), mtu).map(|fault| fault.next_step.unwrap_or_default());
        assert_eq!([9000, 1500, 1496].map(step), [None, None, None]);
        let steps =
            "guestnetctl update box --mtu 1495, or in the guest: ip link set wlan0 mtu 1500";
        assert_eq!(step(1495).as_deref(), Some(steps));
    }
}
