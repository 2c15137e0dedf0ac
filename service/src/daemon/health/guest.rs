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

use crate::daemon::{Attached, Daemon, DeviceReport, GuestReport, Layer, LayerReport};
use crate::error::Error;
use crate::kernel::{address, link, route};
use crate::model::change::{Change, KernelOp};
use crate::model::GuestNet;
use crate::spec::{Family, GuestName};

impl Daemon {
    pub(in crate::daemon) fn status(
        &mut self,
        name: Option<GuestName>,
    ) -> Result<DeviceReport, Error> {
        self.settle();
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
        let layers = self.device_layers(self.world.guests.is_empty());
        let mut guests = Vec::new();
        for guest in chosen {
            guests.push(self.guest_report(guest, &layers)?);
        }
        Ok(DeviceReport { uplink: self.world.uplink.clone(), layers, guests })
    }

    /// The layers as they would be after `steps`.
    pub(in crate::daemon) fn predict(
        &mut self,
        net: &GuestNet,
        changes: &[Change],
    ) -> Vec<LayerReport> {
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
        let switched = changes.iter().any(|c| c.operation == KernelOp::SetForwarding);
        layers.extend(self.device_layers(switched));
        layers
    }

    fn guest_report(&self, guest: Attached, device: &[LayerReport]) -> Result<GuestReport, Error> {
        let net = &guest.net;
        let host = &net.host.name;
        let failed = |cause| Error::kernel(format!("read {host}"), cause);
        let link = link::counted(&self.kernel.netlink, guest.index).map_err(failed)?;
        let found = address::of(&self.kernel.netlink, Family::V4, guest.index).map_err(failed)?;
        let routes = route::of(&self.kernel.netlink, Family::V4, Some(net.host.table), guest.index)
            .map_err(failed)?;
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
        let has = found
            .iter()
            .any(|a| (a.address, a.prefix) == (net.host.address.into(), net.host.prefix));
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
                    "{host} has no {}/{}: it could not be put back, see guestnetd's log",
                    net.host.address, net.host.prefix
                ),
            )
        });
        let to_guest = net.host.route.unwrap_or(net.subnet);
        let there = routes.iter().any(|r| r.destination == to_guest.into());
        layers.push(if let Some(why) = self.astray(&guest).filter(|_| there) {
            LayerReport::bad(Layer::Route, why)
        } else if there {
            LayerReport::ok(
                Layer::Route,
                format!("{to_guest} by {host}; default via {} was set in the guest", end.gateway),
            )
        } else {
            LayerReport::bad(
                Layer::Route,
                format!(
                    "no route {to_guest} by {host}: it could not be put back, see guestnetd's log"
                ),
            )
        });
        layers.extend(device.iter().map(|layer| self.as_for(net, layer)));
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
