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

//! Puts back what the device's side of a guest lacks. What is inside a guest is the guest's.

use super::debounce::Due;
use crate::daemon::Daemon;
use crate::effects::executor::kernel::KernelExecutor;
use crate::effects::executor::{marks, put_back};
use crate::effects::kernel::link;
use crate::effects::kernel::observe::{self, FoundHost, Lists};
use crate::effects::kernel::sysctl;
use crate::error::Error;
use crate::model::backoff::Say;
use crate::model::change::KernelOp;
use crate::model::desired::{desired_device_side, may_remove};
use crate::model::diff::diff;
use crate::model::identity::Changed;
use crate::model::if_index::IfIndex;
use crate::model::object::{Object, Scope};
use crate::model::timeline::Timeline;
use crate::model::{GuestNet, Reversible, Step};
use crate::ordered::IntoOrdered;
use std::time::Instant;

impl Daemon {
    /// Every guest; all are read at once.
    pub(in crate::daemon) fn repair_all(&mut self) {
        match Lists::read(&self.kernel.netlink) {
            Ok(lists) => self.repair_all_from(&lists),
            Err(e) => self.none_repaired(&e),
        }
    }

    /// The same by what was read.
    pub(in crate::daemon) fn repair_all_from(&mut self, lists: &Lists) {
        let nets: Vec<_> = self.world.guests.attached().map(|g| (g.index, g.net.clone())).collect();
        let ends = nets.iter().map(|(index, net)| (*index, net));
        let mut found = match observe::host_ends(&self.kernel.netlink, lists, ends) {
            Ok(found) => found,
            Err(e) => return self.none_repaired(&e),
        };
        for (index, net) in nets {
            if let Some(host) = found.remove(&index) {
                self.repair_from(index, &net, host);
            }
        }
    }

    fn none_repaired(&mut self, e: &Error) {
        log::error!("the guests' links could not be read, which is tried again: {e}");
        let guests = self.world.guests.links().into_set();
        self.debounce.retry(Due { guests, ..Due::default() }, Instant::now());
    }

    /// The guest whose host end has this index.
    pub(in crate::daemon) fn repair(&mut self, index: IfIndex) {
        let Some(guest) = self.world.guests.by_index(index) else { return };
        let net = guest.net.clone();
        match observe::host_end_at(&self.kernel.netlink, index, &net) {
            Ok(Some(host)) => self.repair_from(index, &net, host),
            Ok(None) => {} // gone meanwhile: announced
            Err(e) => self.not_repaired(index, &net, &e),
        }
    }

    fn repair_from(&mut self, index: IfIndex, net: &GuestNet, host: FoundHost) {
        let restored = !host.changed.is_empty();
        // Whatever else is being done to it: its rules do not hold.
        let Some(host) = self.restore_marks(index, net, host) else { return };
        if self.world.guests.postpones_repair(index) {
            return;
        }
        let mut want = desired_device_side(net);
        if self.waits_for_netds_switch() {
            leave_forwarding(&mut want, &host.objects);
        }
        let mut steps: Vec<Step> = diff(want, &host.objects, may_remove(net, None));
        if self.upkeep.worker.doubts(index).is_some() {
            steps.retain(|step| step.operation() != KernelOp::SetMtu);
        }
        if steps.is_empty() {
            return;
        }
        let now = Instant::now();
        let pace = self.upkeep.guest_repairs.of(index);
        if !restored && !pace.may_act(now) {
            return;
        }
        let say = pace.acted(now);
        let mut executor = KernelExecutor {
            net,
            device: &self.kernel.netlink,
            deleter: &self.kernel.deleter,
            home: &self.kernel.home,
            guest: None,
            host_index: Some(index),
            guest_index: None,
            tap: Vec::new(),
        };
        let mut timeline = Timeline::new(Instant::now());
        let result = put_back(net.name.as_str(), &steps, &mut executor, &mut timeline);
        match say {
            Say::This => {
                for entry in timeline.into_entries() {
                    log::warn!("{}: put back: {}", net.name, entry.what);
                }
            }
            say => say.sum(&format!("{}: {}", net.name, net.host.name), "`ip monitor` shows when"),
        }
        if let Err(e) = result {
            self.not_repaired(index, net, &e);
        }
    }

    /// While netd starts nothing is forwarded, until it has been asked: it takes its rules one by one, and the one
    /// that stops a guest before the one that leads it out. Its switch is that of each interface, too.
    fn waits_for_netds_switch(&self) -> bool {
        self.world.netd_routes() && !sysctl::forwarding().unwrap_or(true)
    }

    /// Puts back the marks of a host end: gives the end as it is then. None when that has to wait or
    /// fails: the link is down until it is done, since rules that match by its name do not hold.
    fn restore_marks(
        &mut self,
        index: IfIndex,
        net: &GuestNet,
        host: FoundHost,
    ) -> Option<FoundHost> {
        if host.changed.is_empty() {
            return Some(host);
        }
        let now = Instant::now();
        let pace = self.upkeep.guest_repairs.of(index);
        if !pace.may_act(now) {
            self.shut(index, net, &host);
            return None;
        }
        let say = pace.acted(now);
        if let Err(e) = marks::put_back(&self.kernel.netlink, net, index, &host.changed) {
            self.shut(index, net, &host);
            self.not_repaired(index, net, &e);
            return None;
        }
        self.upkeep.shut.remove(&index);
        match say {
            Say::This => {
                for one in &host.changed {
                    log::warn!("{}: {}: put back: {one}", net.name, net.host.name);
                }
            }
            say => say.sum(&format!("{}: {}", net.name, net.host.name), "`ip monitor` shows when"),
        }
        if host.changed.iter().any(Changed::moves_packets) {
            self.shared.connections.met_no_rule(net.guest.address);
        }
        match observe::host_end_at(&self.kernel.netlink, index, net) {
            Ok(there) => there,
            Err(e) => {
                self.not_repaired(index, net, &e);
                None
            }
        }
    }

    fn shut(&mut self, index: IfIndex, net: &GuestNet, host: &FoundHost) {
        if host.up {
            if let Err(e) = marks::shut(&self.kernel.netlink, index) {
                log::error!("{}: {} cannot be set down: {e}", net.name, net.host.name);
            }
        }
        if self.upkeep.shut.insert(index) {
            let changed: Vec<_> = host.changed.iter().map(Changed::to_string).collect();
            let (changed, link) = (changed.join(", "), &net.host.name);
            log::warn!("{}: {link} is down until it can be put back: {changed}", net.name);
        }
    }

    /// With its link the guest goes, which is announced. Else it is tried again.
    fn not_repaired(&mut self, index: IfIndex, net: &GuestNet, e: &Error) {
        if let Ok(None) = link::by_index(&self.kernel.netlink, index) {
            return;
        }
        log::error!("{}: not whole, which is tried again: {e}", net.name);
        let due = Due { guests: [index].into_iter().into_set(), ..Due::default() };
        self.debounce.retry(due, Instant::now());
    }
}

/// The interface's forwarding is wanted as it was found.
fn leave_forwarding(want: &mut [(Scope, Object)], found: &[(Scope, Object)]) {
    let there = found.iter().find_map(|(_, object)| match object {
        Object::Ipv4Conf { conf, .. } => Some(conf.forwarding),
        _ => None,
    });
    for (_, object) in want {
        if let (Object::Ipv4Conf { conf, .. }, Some(there)) = (object, there) {
            conf.forwarding = there;
        }
    }
}
