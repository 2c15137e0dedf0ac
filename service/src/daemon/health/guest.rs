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

//! Why guests have, or have not, internet: each layer as the kernel has it now.

use super::below::Below;
use super::device;
use super::inside::{self, Seen};
use super::others::Others;
use super::verdict;
use crate::daemon::{Attached, Daemon, DeviceReport, GuestReport, Layer, LayerReport, LayerState};
use crate::effects::firewall::Drops;
use crate::effects::kernel::address::{self, Address};
use crate::effects::kernel::inside::Inside;
use crate::effects::kernel::link::{self, Link};
use crate::effects::kernel::route::{self, Route};
use crate::effects::kernel::{fib, sysctl};
use crate::error::Error;
use crate::model::change::{Change, KernelOp};
use crate::model::fault::{Cause, Fault};
use crate::model::identity::{self, Changed};
use crate::model::ownership::ROUTE_PROTOCOL;
use crate::model::subnet_conflict::DevicePrefix;
use crate::model::uplink::way::Answer;
use crate::model::GuestNet;
use crate::spec::{Family, GuestName, Kind};

impl Daemon {
    pub(in crate::daemon) fn status(
        &mut self,
        name: Option<GuestName>,
        seen: &Seen,
    ) -> Result<DeviceReport, Error> {
        // Of IPv6, which only says why there is no IPv4, nothing is announced.
        if self.world.uplink.trouble().is_some() {
            self.look_at_uplink();
        }
        self.settle();
        self.remember_well(seen);
        let chosen: Vec<Attached> = match &name {
            None => {
                let short = |g| Attached { timeline: Vec::new(), ..self.seen(g) };
                self.world.guests.attached().map(short).collect()
            }
            Some(name) => {
                let guest = self.world.guests.get(name).ok_or(Error::NoSuchGuest(name.clone()))?;
                vec![self.seen(guest)]
            }
        };
        let mut layers = self.device_layers(!self.world.guests.need_forwarding());
        let others = self.others(&layers);
        let below = Below::read(&self.kernel.netlink, self.asks_about_ipsec());
        let drops = self.shared.packet_filter.get_mut().drops();
        let mut guests = Vec::new();
        for guest in chosen {
            let inside = seen.get(&guest.index);
            guests.push(self.guest_report(
                guest,
                &layers,
                inside,
                (others.as_ref(), &below),
                drops.as_ref(),
            )?);
        }
        if let Some(others) = &others {
            others.judge_any(self, &mut layers);
        }
        self.below_device(&below, &mut layers);
        let (verdict, reason) = verdict::of(&layers);
        let (verdict, reason) = (verdict, reason.cloned());
        let dropped = self.shared.packet_filter.get_mut().dropped().ok();
        let uplink = self.world.uplink.clone();
        Ok(DeviceReport { uplink, verdict, reason, layers, dropped, guests })
    }

    /// The layers as they would be after `steps`.
    pub(in crate::daemon) fn predict(
        &mut self,
        net: &GuestNet,
        changes: &[Change],
    ) -> Vec<LayerReport> {
        let host = &net.host;
        let end = &net.guest;
        let (link, route) = match net.kind {
            Kind::Veth => {
                (format!("{} with the guest's {} can be made", host.name, end.name), "be set")
            }
            Kind::Tap { .. } => (format!("the TAP device {} can be made", host.name), "be told"),
        };
        let mut layers = vec![
            LayerReport::ok(Layer::Link, link),
            LayerReport::ok(Layer::Address, format!("{}/{} is free", end.address, end.prefix)),
            LayerReport::ok(
                Layer::Route,
                match net.vpn.leaves() {
                    true => format!("default via {} would {route}", end.gateway),
                    false => "no default route would be set".to_owned(),
                },
            ),
        ];
        let switched = changes.iter().any(|c| c.operation == KernelOp::SetForwarding);
        let shared = self.device_layers(switched);
        layers.extend(shared.iter().map(|layer| self.as_for(net, None, switched, layer)));
        if let Some(others) = self.others(&layers) {
            others.judge(self, net, None, &mut layers);
        }
        layers
    }

    fn guest_report(
        &self,
        guest: Attached,
        device: &[LayerReport],
        inside: Option<&Result<Option<Inside>, String>>,
        (others, below): (Option<&Others>, &Below),
        drops: Option<&Drops>,
    ) -> Result<GuestReport, Error> {
        let net = &guest.net;
        let host = &net.host.name;
        let failed = |cause| Error::kernel(format!("read {host}"), cause);
        let link = link::counted(&self.kernel.netlink, guest.index).map_err(failed)?;
        let found =
            address::of(&self.kernel.netlink, Family::V4, Some(guest.index)).map_err(failed)?;
        let routes =
            route::of(&self.kernel.netlink, Family::V4, Some(net.host.table), Some(guest.index))
                .map_err(failed)?;
        let known = inside.and_then(|seen| seen.as_ref().ok()?.as_ref());
        let is_seen = |seen| if seen { "is in the guest" } else { "was set in the guest" };
        let (has, leads) = match (net.kind, guest.spec.dhcp) {
            (Kind::Veth, _) => {
                (is_seen(known.is_some()), is_seen(known.is_some_and(|i| i.ways.is_some())))
            }
            (Kind::Tap { .. }, true) => ("is told by DHCP", "is told by DHCP"),
            (Kind::Tap { .. }, false) => ("is for the VM to set", "is for the VM to set"),
        };
        let mut layers = vec![
            self.link_layer(&guest, link.as_ref()),
            address_layer(net, &found, self.world.conflict(&net.subnet), has),
            self.route_layer(&guest, &routes, leads, others),
        ];
        layers.extend(self.segment_layer(&guest, below));
        let forwards = |layer| match &link {
            Some(link) if net.vpn.leaves() => device::forwards(layer, link),
            _ => layer,
        };
        layers.extend(
            device.iter().map(|layer| forwards(self.as_for(net, Some(guest.index), false, layer))),
        );
        if let Some(others) = others {
            others.judge(self, net, Some(guest.index), &mut layers);
        }
        if let Some(link) = &link {
            self.below_guest(below, &guest, link, &mut layers);
            inside::put_into(&mut layers, net, inside);
            if self.knows_mtu_of(&guest) {
                inside::compare_mtus(&mut layers, net, inside);
            }
            let silence = known.and_then(|inside| inside.stops.silence.clone());
            self.silent_neighbours(below, &guest, known, silence, &mut layers);
        }
        let counters = link.and_then(|l| l.counters).unwrap_or_default();
        let (verdict, reason) = verdict::of_guest(net, &layers);
        let of_it = |drops: &Drops| drops.get(guest.net.host.name.as_str()).copied();
        let dropped = drops.map(|drops| of_it(drops).unwrap_or_default());
        Ok(GuestReport {
            guest,
            verdict,
            reason: reason.cloned(),
            layers,
            rx_bytes: counters.rx_bytes,
            tx_bytes: counters.tx_bytes,
            rx_packets: counters.rx_packets,
            tx_packets: counters.tx_packets,
            dropped,
        })
    }

    fn link_layer(&self, guest: &Attached, link: Option<&Link>) -> LayerReport {
        let net = &guest.net;
        let Some(link) = link else { return link_layer(net, None) };
        let mut changed: Vec<_> =
            identity::changed(net, &link.marks()).iter().map(Changed::to_string).collect();
        // What the guest sends and is longer is dropped (is_skb_forwardable()).
        if self.knows_mtu_of(guest) && link.mtu < net.mtu.bytes() {
            changed.push(format!("its MTU (it is {} instead of {})", link.mtu, net.mtu));
        }
        if changed.is_empty() {
            return link_layer(net, Some(link));
        }
        let (host, changed) = (&net.host.name, changed.join(", "));
        let text =
            format!("another program keeps changing {host}: {changed}; it is put back later");
        let step = format!(
            "find out who does it (`ip -ts monitor link` shows when), and have udev, \
             NetworkManager and the like leave {host} alone"
        );
        LayerReport::bad(Layer::Link, Fault::new(Cause::LinkChanged, text).with_step(step))
    }

    /// While work is done at its ends, or one of them is not known, they may have another MTU.
    fn knows_mtu_of(&self, guest: &Attached) -> bool {
        !self.world.guests.is_in_work(guest.index)
            && self.upkeep.worker.doubts(guest.index).is_none()
    }

    /// Whether no route is for the guest: answers go where all else goes, or nowhere.
    fn is_unrouted(&self, net: &GuestNet) -> bool {
        match fib::lookup(&self.kernel.netlink, net.guest.address, None) {
            Ok(Answer::Route(route)) => route.prefix == 0,
            Ok(Answer::NoRoute) => true,
            _ => false,
        }
    }

    /// `is`: what is known of the guest's default route, "is in the guest" if it was looked at.
    fn route_layer(
        &self,
        guest: &Attached,
        routes: &[Route],
        is: &str,
        others: Option<&Others>,
    ) -> LayerReport {
        let net = &guest.net;
        let (host, table) = (&net.host.name, net.host.table);
        let to = net.host.route;
        let missing = !routes.iter().any(|route| route.destination == to.into());
        let mark = others.map_or(0, |others| others.mark(self, guest));
        match self.astray(guest, mark) {
            // Somebody else's may be there instead of ours.
            Some(fault)
                if !missing || fault.cause == Cause::AnswersElsewhere && !self.is_unrouted(net) =>
            {
                return LayerReport::bad(Layer::Route, fault);
            }
            _ => {}
        }
        if missing {
            let text = format!("the route {to} dev {host} is missing, and could not be put back");
            let step = format!(
                "ip route add {to} dev {host} scope link table {table} proto {ROUTE_PROTOCOL}"
            );
            let fault = Fault::new(Cause::GuestRouteMissing, text).with_step(step);
            return LayerReport::bad(Layer::Route, fault);
        }
        let gateway = net.guest.gateway;
        let text = match net.vpn.leaves() {
            true => format!("{to} dev {host}; default via {gateway} {is}"),
            false => format!("{to} dev {host}; no default route in the guest"),
        };
        LayerReport::ok(Layer::Route, text)
    }
}

fn link_layer(net: &GuestNet, link: Option<&Link>) -> LayerReport {
    let (host, end) = (&net.host.name, &net.guest);
    let fault = match link {
        Some(Link { up: true, carrier: true, tun: Some(tun), .. }) => {
            let (open, queues) = (tun.queues, net.kind.queues().count());
            let text = match queues {
                1 => format!("{host} is up, and its descriptor is open"),
                _ => format!("{host} is up, and {open} of its {queues} descriptors are open"),
            };
            return LayerReport::ok(Layer::Link, text);
        }
        Some(link) if link.up && link.carrier => {
            let text = format!("{host} and the guest's {} are up", end.name);
            return LayerReport::ok(Layer::Link, text);
        }
        None => Fault::new(Cause::LinkGone, format!("{host} does not exist any more"))
            .with_step(format!("guestnetctl detach {}, then attach again", net.name)),
        Some(link) if !link.up => Fault::new(Cause::LinkDown, format!("{host} is down"))
            .with_step(format!("ip link set {host} up")),
        Some(link) if link.tun.is_some() => {
            let text = format!(
                "{host} has no carrier: the process that holds its descriptor has switched it off"
            );
            let step = format!("guestnetctl detach {}, then attach again", net.name);
            Fault::new(Cause::GuestLinkDown, text).with_step(step)
        }
        Some(_) => Fault::new(Cause::GuestLinkDown, format!("the guest's {} is down", end.name))
            .with_step(format!(
                "guestnetctl repair {guest}, or in the guest: ip link set {name} up; ip route add \
                 default via {gateway}",
                guest = net.name,
                name = end.name,
                gateway = end.gateway
            )),
    };
    LayerReport::bad(Layer::Link, fault)
}

/// `is`: what is known of the guest's address, "is in the guest" if it was looked at.
fn address_layer(
    net: &GuestNet,
    found: &[Address],
    conflict: Option<&DevicePrefix>,
    is: &str,
) -> LayerReport {
    let (host, end) = (&net.host, &net.guest);
    let is_ours = |a: &Address| (a.address, a.prefix) == (host.address.into(), host.prefix);
    if found.iter().any(is_ours) {
        let text =
            format!("{}/{} here; {}/{} {is}", host.address, host.prefix, end.address, end.prefix);
        let Some(other) = conflict else { return LayerReport::ok(Layer::Address, text) };
        // Single addresses of it are lost, so it is no reason for the guest to have no internet.
        let text = format!(
            "{text}; {other} is in that subnet too: the guest cannot reach what is there, nor the \
             device {} and {}",
            host.address, end.address
        );
        let mut step =
            "detach the guest, and attach it with a --gateway in another subnet".to_owned();
        let mut text = text;
        let on = &other.interface;
        // A route that leads nowhere has none.
        if !on.is_empty() && sysctl::answers_for_all(on) {
            text += &format!(
                ". Asked there by ARP who has {}, the device says it does: whose address that is, such as \
                 a router's, loses its neighbours",
                host.address
            );
            step += &format!("; until then: sysctl -w net.ipv4.conf.{on}.arp_ignore=1");
        }
        let fault = Fault::new(Cause::SubnetConflict, text).with_step(step);
        return LayerReport::new(Layer::Address, LayerState::Ok, fault);
    }
    let (name, address, prefix) = (&host.name, host.address, host.prefix);
    let text = format!("{name} has no {address}/{prefix}, and it could not be put back");
    let step = format!("ip addr add {address}/{prefix} brd + dev {name} noprefixroute");
    LayerReport::bad(Layer::Address, Fault::new(Cause::AddressMissing, text).with_step(step))
}
