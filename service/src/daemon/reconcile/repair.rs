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

use crate::daemon::Daemon;
use crate::effects::executor::kernel::KernelExecutor;
use crate::effects::executor::put_back;
use crate::error::Error;
use crate::kernel::observe::FoundHost;
use crate::kernel::{link, observe};
use crate::model::backoff::Say;
use crate::model::change::KernelOp;
use crate::model::desired::{desired_device_side, may_remove};
use crate::model::diff::diff;
use crate::model::timeline::Timeline;
use crate::model::{GuestNet, Reversible, Step};
use std::time::Instant;

impl Daemon {
    /// Every guest; all are read at once.
    pub(in crate::daemon) fn repair_all(&mut self) {
        let nets: Vec<_> = self.world.guests.attached().map(|g| (g.index, g.net.clone())).collect();
        let mut found =
            match observe::host_ends(&self.kernel.netlink, nets.iter().map(|(_, net)| net)) {
                Ok(found) => found,
                Err(e) => {
                    log::error!("the guests' links could not be read: {e}");
                    return;
                }
            };
        for (index, net) in nets {
            if let Some(host) = found.remove(&net.host.name) {
                self.repair_from(index, &net, host);
            }
        }
    }

    /// The guest whose host end has this index.
    pub(in crate::daemon) fn repair(&mut self, index: u32) {
        let Some(guest) = self.world.guests.by_index(index) else { return };
        let net = guest.net.clone();
        match observe::host_end(&self.kernel.netlink, &net) {
            Ok(Some(host)) => self.repair_from(index, &net, host),
            Ok(None) => {} // gone meanwhile: announced
            Err(e) => self.not_repaired(index, &net, &e),
        }
    }

    fn repair_from(&mut self, index: u32, net: &GuestNet, host: FoundHost) {
        if self.world.guests.postpones_repair(index) {
            return;
        }
        let mut steps: Vec<Step> =
            diff(desired_device_side(net), &host.objects, may_remove(net, None));
        if self.worker.doubts(index).is_some() {
            steps.retain(|step| step.operation() != KernelOp::SetMtu);
        }
        if steps.is_empty() {
            return;
        }
        let now = Instant::now();
        let pace = self.guest_repairs.of(index);
        if !pace.may_act(now) {
            return;
        }
        let say = pace.acted(now);
        let mut executor = KernelExecutor {
            net,
            device: &self.kernel.netlink,
            deleter: &self.kernel.deleter,
            guest: None,
            host_index: Some(index),
            guest_index: None,
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

    /// With its link the guest goes, which is announced.
    fn not_repaired(&self, index: u32, net: &GuestNet, e: &Error) {
        match link::by_index(&self.kernel.netlink, index) {
            Ok(None) => {}
            _ => log::error!("{}: not whole: {e}", net.name),
        }
    }
}
