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

//! Carrier, what of it a bridge's ports make, and RFC 2863's state, which says so a little later
//! (net/core/link_watch.c, net/bridge/br_if.c, br_stp_if.c).
//!
//! A carrier changes at once. The link watch makes the state of it, and tells listeners and bridges; Linux runs it
//! within a second, the simulator at the end of each request. A bridge goes by the state of a port, not by its
//! carrier: within the request that makes a port, it takes that for one with a carrier.

use crate::announce::Cause;
use crate::kernel::Kernel;
use crate::link::{Kind, Link};
use crate::space::Netns;

/// linux/if.h: IF_OPER_*.
pub const UNKNOWN: u8 = 0;
const DOWN: u8 = 2;
const LOWER_LAYER_DOWN: u8 = 3;
const OPER_UP: u8 = 6;

const PROMISC: u32 = libc::IFF_PROMISC as u32;

impl Link {
    /// RFC 2863's state as it is told.
    pub fn operstate(&self) -> u8 {
        match self.is_up() {
            true => self.state,
            false => DOWN,
        }
    }

    /// `netif_running() && netif_oper_up()`
    fn is_up_by_state(&self) -> bool {
        self.is_up() && [UNKNOWN, OPER_UP].contains(&self.state)
    }
}

impl Kernel {
    /// A link is opened or closed (`veth_open()`, `veth_close()`, `br_dev_open()`, `br_dev_stop()`). A veth has
    /// carrier while both ends are up.
    pub(crate) fn carrier_follows(&mut self, netns: Netns, index: u32) {
        let Ok(link) = self.link(netns, index) else { return };
        match (link.kind, link.peer) {
            (Kind::Bridge, _) => {
                self.ports(netns, index).into_iter().for_each(|port| self.settle_port(netns, port));
            }
            (Kind::Veth, Some((there, other))) => {
                let up = link.is_up();
                let both = up && self.link(there, other).is_ok_and(Link::is_up);
                self.set_carrier(netns, index, both);
                self.set_carrier(there, other, both);
            }
            _ => {}
        }
    }

    /// Whether a port forwards (`br_port_carrier_check()`, and NETDEV_UP and NETDEV_DOWN of
    /// `br_device_event()`).
    pub(crate) fn settle_port(&mut self, netns: Netns, index: u32) {
        let Ok(link) = self.link(netns, index) else { return };
        let Some(bridge) = link.master else { return };
        let forwards = link.is_up_by_state() && self.link(netns, bridge).is_ok_and(Link::is_up);
        self.link_mut(netns, index).forwards = forwards;
        self.settle_bridge(netns, bridge);
    }

    /// A bridge has carrier while one of its ports forwards (`br_port_state_selection()`).
    pub(crate) fn settle_bridge(&mut self, netns: Netns, bridge: u32) {
        let mut links = self.space(netns).links.values();
        let on = links.any(|port| port.master == Some(bridge) && port.forwards);
        self.set_carrier(netns, bridge, on);
    }

    /// `br_add_if()`. The second message is about IFF_PROMISC, which is not among the flags that are told.
    pub(crate) fn join_bridge(&mut self, netns: Netns, index: u32, bridge: u32) {
        let link = self.link_mut(netns, index);
        (link.master, link.port) = (Some(bridge), [true; 4]);
        self.announce_link(netns, index, 0, Cause::default());
        self.announce_link(netns, index, PROMISC, Cause::default());
        self.settle_port(netns, index);
        self.adjust_bridge(netns, bridge);
    }

    /// `del_nbp()`. The first message is about IFF_PROMISC again, while it is still a port.
    pub(crate) fn leave_bridge(&mut self, netns: Netns, index: u32) {
        let Some(bridge) = self.link_mut(netns, index).master else { return };
        self.announce_link(netns, index, PROMISC, Cause::default());
        let link = self.link_mut(netns, index);
        (link.master, link.forwards) = (None, false);
        self.settle_bridge(netns, bridge);
        self.announce_link(netns, index, 0, Cause::default());
    }

    /// `netif_carrier_on()`, `netif_carrier_off()`
    pub(crate) fn set_carrier(&mut self, netns: Netns, index: u32, on: bool) {
        let link = self.spaces.get_mut(&netns).and_then(|space| space.links.get_mut(&index));
        let Some(link) = link.filter(|link| link.carrier != on) else { return };
        link.carrier = on;
        match on {
            true => link.carrier_ups += 1,
            false => link.carrier_downs += 1,
        }
        self.watch(netns, index);
    }

    /// The link watch has to look at a link (`linkwatch_fire_event()`).
    fn watch(&mut self, netns: Netns, index: u32) {
        if !self.watched.contains(&(netns, index)) {
            self.watched.push_back((netns, index));
        }
    }

    /// A link that it has to look at is elsewhere.
    pub(crate) fn watch_follows(&mut self, from: (Netns, u32), to: (Netns, u32)) {
        self.watched.iter_mut().filter(|link| **link == from).for_each(|link| *link = to);
    }

    /// `__linkwatch_run_queue()`
    pub(crate) fn run_link_watch(&mut self) {
        while let Some((netns, index)) = self.watched.pop_front() {
            let Some(state) = self.default_state(netns, index) else { continue };
            self.link_mut(netns, index).state = state;
            self.state_changes(netns, index);
        }
    }

    /// `netdev_state_change()`: of a link that is down nobody is told.
    pub(crate) fn state_changes(&mut self, netns: Netns, index: u32) {
        if self.link(netns, index).is_ok_and(Link::is_up) {
            self.settle_port(netns, index);
            self.announce_link(netns, index, 0, Cause::default());
        }
    }

    /// `default_operstate()`: of a link that is gone there is none. The other end is looked for by its index in
    /// this namespace, in whichever it is.
    fn default_state(&self, netns: Netns, index: u32) -> Option<u8> {
        let links = &self.spaces.get(&netns)?.links;
        let link = links.get(&index)?;
        if link.carrier {
            return Some(OPER_UP);
        }
        let lower = link.peer.map(|(_, other)| other).filter(|other| *other != index);
        match lower.and_then(|other| links.get(&other)) {
            Some(other) if !other.carrier => Some(LOWER_LAYER_DOWN),
            _ => Some(DOWN),
        }
    }
}
