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

//! What the kernel announced, and what has to be read for it.

use super::debounce::Due;
use crate::daemon::health::forwarding_off;
use crate::daemon::Daemon;
use crate::effects::kernel::link::{self, Link};
use crate::effects::kernel::monitor::Event;
use crate::effects::kernel::sysctl;
use crate::effects::resource::{Managed, SharedResource};
use crate::model::if_index::IfIndex;
use crate::model::lifeline::EndCause;
use crate::model::uplink::way::is_internet;
use crate::model::world::Backend;
use crate::model::{identity, ownership};
use crate::ordered::{IntoOrdered, OrderedMap};
use std::time::Instant;

/// How a host end is.
enum Condition {
    /// As its guest has it.
    Whole,
    /// It is down, or has another MTU or alias.
    Lacking,
    /// It bears other marks: name, master, group, MAC.
    Changed,
}

impl Daemon {
    /// Takes in everything announced up to now; what follows from it is done when it is due.
    pub(in crate::daemon) fn catch_up(&mut self) {
        self.take_in();
        let now = Instant::now();
        if self.debounce.at().is_some_and(|at| at <= now) {
            self.pass();
        }
    }

    /// The same, and nothing that has to be done is left for later.
    pub(in crate::daemon) fn settle(&mut self) {
        self.take_in();
        if self.debounce.due.any() {
            self.pass();
        }
    }

    /// Takes in everything announced up to now.
    pub(in crate::daemon) fn take_in(&mut self) {
        let now = Instant::now();
        let (mut gone, mut lost, mut links) = (Vec::new(), false, OrderedMap::new());
        for event in self.kernel.monitor.drain() {
            let mut due = Due { uplink: self.concerns_uplink(&event), ..Due::default() };
            match event {
                Event::LinkGone { index } => {
                    gone.push(index);
                    due.guests.extend(&self.upkeep.shut);
                }
                Event::Address { index, gone } | Event::Route { index: Some(index), gone, .. }
                    if self.world.guests.has_link(index) =>
                {
                    if gone {
                        due.guests.insert(index);
                    }
                }
                Event::Address { .. } => {
                    self.world.prefixes = None;
                    due.prefixes = true;
                }
                Event::Route { to, .. } => {
                    self.world.prefixes = None;
                    due.prefixes = to.v4().is_some_and(|to| self.world.guests.leases.overlap(&to));
                    // Made instead of ours, which nothing else announces.
                    due.guests.extend(self.world.guests.at(&to));
                }
                Event::Rule => due.rules = true,
                // What it was before it was as it is now is of no interest.
                Event::Link(link) if self.world.guests.has_link(link.index) => {
                    links.insert(link.index, link);
                }
                // A new name for an interface that a prefix is on; and an old one that is free again.
                Event::Link(link) if !link.is_ours() => {
                    self.world.prefixes = None;
                    due.guests.extend(&self.upkeep.shut);
                }
                Event::Link(_) => {}
                Event::Forwarding { on } => {
                    let contested = self.shared.forwarding.is_contested();
                    let by_others = self.shared.forwarding.get_mut().announced(on, contested);
                    due.forwarding = by_others && !on && !self.world.guests.is_empty();
                    // It is not guests' alone any more.
                    due.uplink |= by_others;
                }
                Event::ReversePath => self.pin_guests(),
                Event::Conf { index, forwarding } => {
                    due.guests.extend(self.conf_changed(index, forwarding));
                }
                Event::Overrun => lost = true,
            }
            self.debounce.trigger(due, now);
        }
        for link in links.values() {
            if is_closed(link) {
                self.end_guest(link.index, EndCause::TapClosed);
                continue;
            }
            match self.condition(link) {
                Condition::Whole => {}
                Condition::Lacking => {
                    let due = Due { guests: [link.index].into_iter().into_set(), ..Due::default() };
                    self.debounce.trigger(due, now);
                }
                // Its packets may meet no rule: not a moment is waited.
                Condition::Changed => self.repair(link.index),
            }
        }
        if lost {
            self.announcements_were_lost(now);
            gone.extend(self.vanished());
        }
        if !gone.is_empty() {
            self.debounce.due.guests.retain(|index| !gone.contains(index));
            self.links_gone(&gone);
        }
        // What is of a guest that leaves, or of none of ours, goes by itself.
        let guests = &self.world.guests;
        self.debounce.due.guests.retain(|index| guests.by_index(*index).is_some());
    }

    /// How a guest's host end is, as far as its announcement says.
    fn condition(&self, link: &Link) -> Condition {
        let Some(guest) = self.world.guests.by_index(link.index) else { return Condition::Whole };
        let net = &guest.net;
        // While work is done at its ends, or one of them is not known, it may have another MTU.
        let mtu = link.mtu == net.mtu.bytes()
            || self.world.guests.is_in_work(link.index)
            || self.upkeep.worker.doubts(link.index).is_some();
        let alias = link.alias.as_deref() == Some(ownership::alias(net).as_str());
        if !identity::changed(net, &link.marks()).is_empty() {
            return Condition::Changed;
        }
        match link.up && mtu && alias {
            true => Condition::Whole,
            false => Condition::Lacking,
        }
    }

    /// Detaches guests whose TAP devices were closed while nobody heard of it.
    pub(in crate::daemon) fn end_closed(&mut self) {
        let taps = self.world.guests.attached().filter(|guest| !guest.net.kind.has_inside());
        let taps: Vec<_> = taps.map(|guest| guest.index).collect();
        for index in taps {
            // One that cannot be read is looked at with the next announcement of it.
            let link = link::by_index(&self.kernel.netlink, index).ok().flatten();
            if link.is_some_and(|link| is_closed(&link)) {
                self.end_guest(index, EndCause::TapClosed);
            }
        }
    }

    /// With x_tables rp_filter alone keeps guests from others' addresses. Where it is loose for all, each gets a
    /// filter of its own, which stays.
    pub(in crate::daemon) fn pin_guests(&mut self) {
        if !self.is_loose() {
            return;
        }
        let new = self.world.guests.pin(|_| true);
        if !new.is_empty() {
            log::warn!(
                "net.ipv4.conf.all.rp_filter is 2: each guest's link gets a filter of its own"
            );
        }
        let guests = new.into_iter().into_set();
        self.debounce.trigger(Due { guests, ..Due::default() }, Instant::now());
    }

    /// The larger of this and of a link's own value counts.
    pub(in crate::daemon) fn is_loose(&self) -> bool {
        const LOOSE: u32 = 2;
        let iptables = self.world.platform.filter == Backend::Iptables;
        iptables && sysctl::rp_filter_of_all().is_ok_and(|value| value == LOOSE)
    }

    fn announcements_were_lost(&mut self, now: Instant) {
        self.pin_guests();
        self.end_closed();
        self.world.prefixes = None;
        self.shared.forwarding.get_mut().reread(true);
        let forwarding = !self.shared.forwarding.get().is_on();
        let guests = self.world.guests.links().into_set();
        let due = Due { forwarding, prefixes: true, guests, ..Due::shared() };
        self.debounce.trigger(due, now);
    }

    /// A setting of an interface's own: gives the host end that it has to be put back on. With the
    /// switch for all, the kernel writes each (inet_forward_change()), which comes back with it.
    fn conf_changed(&self, index: IfIndex, forwarding: Option<bool>) -> Option<IfIndex> {
        if forwarding == Some(true) || !self.shared.forwarding.get().is_on() {
            return None;
        }
        let uplink = &self.world.uplink;
        if let Some(name) = uplink.name.as_ref().filter(|_| Some(index) == uplink.index) {
            if forwarding.is_some() {
                log::warn!("{}", forwarding_off(name.as_str()));
            }
        }
        Some(index).filter(|index| self.world.guests.has_link(*index))
    }

    fn concerns_uplink(&self, event: &Event) -> bool {
        let guests = &self.world.guests;
        let uplink = &self.world.uplink;
        match event {
            // The kernel does not announce the routes that go down with a link, nor those that are
            // used again when it has carrier.
            Event::Link(link) => uplink.way.leads_by(link.index) || !guests.has_link(link.index),
            Event::LinkGone { index } => uplink.way.leads_by(*index) || !guests.has_link(*index),
            // One of several may be the better one now.
            Event::Address { index, .. } => {
                Some(*index) == uplink.index || !guests.has_link(*index)
            }
            Event::Route { to, .. } => is_internet(to),
            Event::Rule
            | Event::Forwarding { .. }
            | Event::ReversePath
            | Event::Conf { .. }
            | Event::Overrun => false,
        }
    }

    /// Links that are not there any more, though nobody said so.
    fn vanished(&mut self) -> Vec<IfIndex> {
        let guests = &self.world.guests;
        let gone =
            |index: &IfIndex| matches!(link::by_index(&self.kernel.netlink, *index), Ok(None));
        guests.links().chain(guests.unadopted_links()).filter(gone).collect()
    }

    /// What others keep taking away is put back where that has waited until now, and what failed is
    /// tried again.
    pub(in crate::daemon) fn trigger_what_waited(&mut self, now: Instant) {
        let due = Due {
            rules: self.shared.policy_routing.is_repair_due(now)
                || self.lockdown_over_at().is_some_and(|at| at <= now),
            filter: self.shared.packet_filter.is_repair_due(now)
                | self.shared.segments.is_repair_due(now),
            forwarding: self.shared.forwarding.is_repair_due(now),
            guests: self.upkeep.guest_repairs.due(now).into_iter().into_set(),
            wanted: self.retry_at().is_some_and(|at| at <= now),
            ..Due::default()
        };
        for due in [due, self.debounce.take_retry(now)] {
            if due.any() {
                self.debounce.trigger(due, now);
            }
        }
    }

    /// When a lockdown's end has to be looked at. The pass that reads the rules does it: rung for again while that
    /// waits, or waits to be tried again, the thread that follows would spin.
    pub(in crate::daemon) fn lockdown_over_at(&self) -> Option<Instant> {
        self.world.lockdown.over_at().filter(|_| !self.debounce.reads_rules())
    }

    /// When something that failed is tried again.
    pub(in crate::daemon) fn retry_at(&self) -> Option<Instant> {
        fn at<R: SharedResource>(it: &Managed<R>, daemon: &Daemon) -> Option<Instant> {
            it.retry_at(&daemon.world)
        }
        let all = [
            at(&self.shared.policy_routing, self),
            at(&self.shared.forwarding, self),
            at(&self.shared.packet_filter, self),
            at(&self.shared.segments, self),
        ];
        all.into_iter().flatten().min()
    }

    /// When the first repair that waits may be made.
    pub(in crate::daemon) fn repair_at(&self) -> Option<Instant> {
        let shared = [
            self.shared.policy_routing.repair_at(),
            self.shared.forwarding.repair_at(),
            self.shared.packet_filter.repair_at(),
            self.shared.segments.repair_at(),
        ];
        shared.into_iter().chain([self.upkeep.guest_repairs.at()]).flatten().min()
    }
}

/// Whether the last descriptor of a TAP device was closed, and the process that had it made the device persistent
/// (TUNSETPERSIST).
fn is_closed(link: &Link) -> bool {
    link.up && !link.carrier && link.tun.is_some_and(|tun| tun.persists)
}
