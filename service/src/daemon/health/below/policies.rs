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

//! IPsec's policies: what would become of guests' packets there.

use super::queues::CONNECTIONS;
use super::{put, Below};
use crate::daemon::{Attached, Daemon, Layer, LayerReport};
use crate::effects::firewall::diagnose::journey::SERVER;
use crate::effects::kernel::{link, sysctl};
use crate::model::fault::{Cause, Fault};
use crate::model::ipsec::{Block, Direction, Flow, Policies};
use std::net::Ipv4Addr;

impl Below {
    /// What blocks one of these packets, with what it is.
    pub(super) fn blocked(&self, flows: &Flows) -> Option<(Block<'_>, &'static str)> {
        flows.iter().find_map(|(direction, flow, what)| {
            Some((self.policies.block(*direction, flow)?, *what))
        })
    }
}

impl Daemon {
    /// Not where netd routes: they are its own there, and SELinux lets nobody else ask.
    pub(in crate::daemon::health) fn asks_about_ipsec(&self) -> bool {
        !self.world.netd_routes()
    }

    pub(super) fn policies_of(&self, below: &Below, guest: &Attached, layers: &mut [LayerReport]) {
        if below.policies == Policies::default() {
            return;
        }
        let net = &guest.net;
        let (address, gateway) = (net.guest.address, net.guest.gateway);
        let way = net.vpn.tun().or(self.world.uplink.name.as_ref());
        let way = way.and_then(|way| link::by_name(&self.kernel.netlink, way.as_str()).ok()?);
        let Some(way) = way else { return };
        let own = self.world.uplink.address.filter(|_| net.vpn.tun().is_none());
        let is_set = |name: &str, key| {
            sysctl::conf_of(name, key) == Some(1) || sysctl::conf_of("all", key) == Some(1)
        };
        let host = net.host.name.as_str();
        let (out, home) = (Some(way.index.get()), Some(guest.index.get()));
        let mut internet = Vec::new();
        let sends = "what guests send";
        let answered = "what guests are answered";
        // What comes in is looked at as it was sent, before any NAT (nf_nat_decode_session()); what
        // leaves as it is routed, and again as it is translated (nf_xfrm_me_harder()).
        if !is_set(host, "disable_policy") {
            internet.extend(flows(address, SERVER, Direction::Forward, out, sends));
        }
        if !is_set(way.name.as_str(), "disable_xfrm") {
            internet.extend(flows(address, SERVER, Direction::Out, out, sends));
            let own = own.into_iter();
            internet.extend(own.flat_map(|own| flows(own, SERVER, Direction::Out, out, sends)));
        }
        if !is_set(way.name.as_str(), "disable_policy") {
            let own = own.into_iter();
            internet.extend(
                own.flat_map(|own| flows_back(own, SERVER, Direction::Forward, home, answered)),
            );
        }
        if !is_set(host, "disable_xfrm") {
            internet.extend(flows_back(address, SERVER, Direction::Out, home, answered));
        }
        if let Some((block, what)) = below.blocked(&internet) {
            let (policy, step) = block.words();
            let fault = Fault::new(Cause::ForwardDropped, format!("{policy} blocks {what}"));
            put(layers, Layer::Firewall, true, fault.with_step(step));
        }
        let (resolver, forwarded) = self.asked_for(Some(guest));
        let question = |from, to, reversed: bool, link| {
            let ports = if reversed { [Some(53), None] } else { [None, Some(53)] };
            Flow { from, to, protocol: libc::IPPROTO_UDP as u8, ports, link }
        };
        let ask = question(address, gateway, false, out);
        let answer = question(gateway, address, true, home);
        let (questions, answers) = ("guests' questions for names", "the answers to those");
        let mut names = vec![(Direction::Out, answer, answers)];
        match resolver.filter(|_| !forwarded) {
            None => names.push((Direction::In, ask, questions)),
            Some(resolver) => {
                let on = question(address, resolver, false, out);
                names.push((Direction::Forward, ask, questions));
                names.push((Direction::Out, on, questions));
            }
        }
        if is_set(host, "disable_policy") {
            names.retain(|(direction, ..)| *direction == Direction::Out);
        }
        if let Some((block, what)) = below.blocked(&names) {
            let (policy, step) = block.words();
            let fault = Fault::new(Cause::InputDropped, format!("{policy} blocks {what}"));
            put(layers, Layer::Dns, true, fault.with_step(step));
        }
    }
}

/// Packets with what they are, and where policies are asked about them.
pub(super) type Flows = Vec<(Direction, Flow, &'static str)>;

/// A guest's connections as policies see them.
pub(super) fn flows(
    from: Ipv4Addr,
    to: Ipv4Addr,
    direction: Direction,
    link: Option<u32>,
    what: &'static str,
) -> Flows {
    let flow = |(_, port): (&str, u16)| {
        let (protocol, ports) = match port {
            0 => (libc::IPPROTO_ICMP, [Some(8 << 8), Some(0)]),
            port => (libc::IPPROTO_TCP, [None, Some(port)]),
        };
        (direction, Flow { from, to, protocol: protocol as u8, ports, link }, what)
    };
    CONNECTIONS.map(flow).to_vec()
}

/// Their answers.
pub(super) fn flows_back(
    to: Ipv4Addr,
    from: Ipv4Addr,
    direction: Direction,
    link: Option<u32>,
    what: &'static str,
) -> Flows {
    let mut flows = flows(from, to, direction, link, what);
    for (_, flow, _) in &mut flows {
        flow.ports.reverse();
    }
    flows
}
