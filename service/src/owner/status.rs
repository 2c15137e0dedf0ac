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

use super::{Attached, DeviceReport, GuestReport, Layer, LayerReport, LayerState, Owner};
use crate::error::Error;
use crate::firewall::{foreign, Drift};
use crate::kernel::{addresses, links, routes, sysctl};
use crate::plan::{GuestNet, Step};
use crate::spec::{GuestName, Subnet};

impl Owner {
    pub(super) fn status(&mut self, name: Option<GuestName>) -> Result<DeviceReport, Error> {
        self.catch_up();
        let chosen: Vec<Attached> = match &name {
            None => {
                let short = |g| Attached { timeline: Vec::new(), ..self.seen(g) };
                self.guests.values().map(short).collect()
            }
            Some(name) => {
                let guest = self.guests.get(name).ok_or(Error::NoSuchGuest(name.clone()))?;
                vec![self.seen(guest)]
            }
        };
        let layers = self.device_layers(self.guests.is_empty());
        let mut guests = Vec::new();
        for guest in chosen {
            guests.push(self.guest_report(guest, &layers)?);
        }
        Ok(DeviceReport { uplink: self.uplink.clone(), layers, guests })
    }

    /// The layers as they would be after `steps`.
    pub(super) fn predict(&mut self, net: &GuestNet, steps: &[Step]) -> Vec<LayerReport> {
        let host = &net.host;
        let end = &net.guest;
        let mut layers = vec![
            LayerReport::ok(
                Layer::Link,
                format!("{} with the guest's {} can be made", host.name, end.name),
            ),
            LayerReport::ok(Layer::Address, format!("{}/{} is free", end.address, end.prefix)),
            LayerReport::ok(Layer::Route, format!("default via {} would be set", end.gateway)),
        ];
        let switched = steps.iter().any(|s| matches!(s, Step::ForwardingOn(_)));
        layers.extend(self.device_layers(switched));
        layers
    }

    /// The layers that all guests share. With `off_is_fine`, forwarding need not be on yet.
    fn device_layers(&mut self, off_is_fine: bool) -> Vec<LayerReport> {
        let mut layers = vec![forwarding(off_is_fine)];
        layers.extend(self.filter_layers());
        layers.push(match self.uplink.trouble().or_else(|| self.uplink.doubt()) {
            None => {
                let name = self.uplink.name.as_ref().map_or("", |n| n.as_str());
                let address = self.uplink.address.map(|a| a.to_string()).unwrap_or_default();
                LayerReport::ok(Layer::Uplink, format!("{name} {address}, MTU {}", self.uplink.mtu))
            }
            Some(trouble) => LayerReport::new(Layer::Uplink, LayerState::Waiting, trouble),
        });
        layers
    }

    fn filter_layers(&mut self) -> [LayerReport; 2] {
        if let Some(error) = &self.firewall_error {
            let text =
                format!("not set for the present uplink: {error}; it is tried again every second");
            return [Layer::Firewall, Layer::Nat]
                .map(|layer| LayerReport::bad(layer, text.clone()));
        }
        let both = |state, text: String| {
            [
                LayerReport::new(Layer::Firewall, state, text.clone()),
                LayerReport::new(Layer::Nat, state, text),
            ]
        };
        match self.firewall.drift(&self.ruleset) {
            Ok(None) => {
                let firewall =
                    format!("{:?} rules in place", self.firewall.backend()).to_lowercase();
                let nat = match self.ruleset.uplinks.is_empty() {
                    false => {
                        let by = self.ruleset.ways_out();
                        LayerReport::ok(Layer::Nat, format!("masquerade by {by}"))
                    }
                    true => LayerReport::new(
                        Layer::Nat,
                        LayerState::Waiting,
                        "no uplink, so nothing is forwarded",
                    ),
                };
                let firewall = match foreign::refusing(self.firewall.backend(), &self.ruleset) {
                    None => LayerReport::ok(Layer::Firewall, firewall),
                    Some(refusing) => LayerReport::new(
                        Layer::Firewall,
                        LayerState::Unknown,
                        format!("{firewall}, but {refusing}"),
                    ),
                };
                [firewall, nat]
            }
            Ok(Some(Drift::Changed(what))) => both(
                LayerState::Bad,
                format!("changed by somebody else: {what}; restart guestnetd to put it back"),
            ),
            Ok(Some(Drift::Unreadable(why))) => {
                both(LayerState::Unknown, format!("cannot see the rules: {why}"))
            }
            Err(e) => both(LayerState::Unknown, e.to_string()),
        }
    }

    fn guest_report(&self, guest: Attached, device: &[LayerReport]) -> Result<GuestReport, Error> {
        let net = &guest.net;
        let host = &net.host.name;
        let failed = |cause| Error::kernel(format!("read {host}"), cause);
        let link = links::counted(&self.device, guest.index).map_err(failed)?;
        let found = addresses::of(&self.device, guest.index).map_err(failed)?;
        let routes = routes::of(&self.device, Some(routes::MAIN), guest.index).map_err(failed)?;
        let end = &net.guest;
        let mut layers = vec![match &link {
            None => LayerReport::bad(Layer::Link, format!("{host} is gone: detach and attach")),
            Some(l) if !l.up => {
                LayerReport::bad(Layer::Link, format!("{host} is down: ip link set {host} up"))
            }
            Some(l) if !l.carrier => LayerReport::bad(
                Layer::Link,
                format!(
                    "the guest's {name} is down: in the guest, ip link set {name} up; \
                     ip route add default via {}",
                    end.gateway,
                    name = end.name
                ),
            ),
            Some(_) => {
                LayerReport::ok(Layer::Link, format!("{host} and the guest's {} up", end.name))
            }
        }];
        let has =
            found.iter().any(|a| (a.address, a.prefix) == (net.host.address, net.host.prefix));
        layers.push(if has {
            // The guest's own end cannot be read: nothing of its namespace is held.
            LayerReport::ok(
                Layer::Address,
                format!(
                    "{}/{} here; {}/{} was set in the guest",
                    net.host.address, net.host.prefix, end.address, end.prefix
                ),
            )
        } else {
            LayerReport::bad(
                Layer::Address,
                format!(
                    "{host} has lost {}/{}: detach and attach",
                    net.host.address, net.host.prefix
                ),
            )
        });
        let to_guest = match net.host.route {
            None => Some(net.subnet),
            Some(address) => Subnet::containing(address, 32),
        };
        let there = to_guest.is_some_and(|to| routes.iter().any(|r| r.destination == to));
        let to_guest = to_guest.map(|to| to.to_string()).unwrap_or_default();
        layers.push(if there {
            LayerReport::ok(
                Layer::Route,
                format!("{to_guest} by {host}; default via {} was set in the guest", end.gateway),
            )
        } else {
            LayerReport::bad(
                Layer::Route,
                format!("no route {to_guest} by {host}: detach and attach"),
            )
        });
        layers.extend(device.iter().cloned());
        let counters = link.and_then(|l| l.counters).unwrap_or_default();
        Ok(GuestReport {
            guest,
            layers,
            rx_bytes: counters.rx_bytes,
            tx_bytes: counters.tx_bytes,
            rx_packets: counters.rx_packets,
            tx_packets: counters.tx_packets,
        })
    }
}

fn forwarding(off_is_fine: bool) -> LayerReport {
    match sysctl::forwarding() {
        Ok(true) => LayerReport::ok(Layer::Forwarding, "net.ipv4.ip_forward is 1"),
        Ok(false) if off_is_fine => LayerReport::ok(
            Layer::Forwarding,
            "net.ipv4.ip_forward is 0, and is switched on with the first guest",
        ),
        Ok(false) => LayerReport::bad(
            Layer::Forwarding,
            "net.ipv4.ip_forward was switched off by somebody: sysctl -w net.ipv4.ip_forward=1",
        ),
        Err(e) => LayerReport::new(Layer::Forwarding, LayerState::Unknown, e.to_string()),
    }
}
