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

//! Takes over what an earlier guestnetd left: guests whose link is whole; half-made links go.

use super::{Attached, Daemon};
use crate::effects::executor::link_deleter;
use crate::error::{Error, KernelError};
use crate::kernel::link::{self, Link};
use crate::model::guest_net::NetnsRef;
use crate::model::ownership::{self, guest_of_alias};
use crate::spec::{GuestName, IfName};
use crate::store::{AttachedRecord, Record};
use std::collections::BTreeMap;

impl Daemon {
    /// Takes over the guests whose link is whole, deletes half-made links of ours, and forgets
    /// the guests whose link is gone.
    pub(super) fn adopt(&mut self, mut records: Vec<(GuestName, Record)>) -> Result<(), Error> {
        // Of two names with one slot (a crash between two files) the attached one has it.
        records.sort_by_key(|(_, record)| record.attached.is_some());
        for (name, record) in &records {
            self.remember_slot(name, record.slot);
        }
        let failed = |cause: KernelError| Error::kernel("read the links", cause);
        let mut records: BTreeMap<GuestName, Record> = records.into_iter().collect();
        let mut half_made = Vec::new();
        for link in link::all(&self.kernel.netlink).map_err(failed)? {
            if !link.is_ours() {
                continue;
            }
            let alias = link.alias.as_deref().filter(|alias| !alias.is_empty());
            // Regrouped, it was about to be deleted.
            let Some(alias) = alias.filter(|_| !ownership::is_leaving(link.group)) else {
                log::warn!("{} is a half-made link of an earlier guestnetd: deleted", link.name);
                self.kernel.deleter.delete(link.index);
                half_made.push(link.index);
                continue;
            };
            let Some(name) = guest_of_alias(alias) else {
                log::error!(
                    "{}: its alias {alias:?} is not guestnetd's; it is left alone",
                    link.name
                );
                self.leave_alone(&link);
                continue;
            };
            let record = records.remove(&name);
            if let Err(why) = self.adopt_one(&link, &name, record) {
                log::error!("{}: {name} cannot be taken over ({why}); it is left alone", link.name);
                self.leave_alone(&link);
            }
        }
        for (name, record) in records {
            if record.attached.is_some() {
                log::info!("{name} ended while guestnetd was not running");
                let gone = Record { slot: record.slot, attached: None };
                if let Err(e) = self.store.put(&name, &gone) {
                    log::error!("{name}: {e}");
                }
            }
        }
        for index in half_made {
            link_deleter::invisible(&self.kernel.netlink, index).map_err(failed)?;
        }
        Ok(())
    }

    /// A link of ours by its marks that nothing is known of: its slot is not given to anybody.
    fn leave_alone(&mut self, link: &Link) {
        if let Some(slot) = IfName::new(&link.name).and_then(|n| n.slot()) {
            self.world.guests.leave_unadopted(link.index, slot);
        }
    }

    fn adopt_one(
        &mut self,
        link: &Link,
        name: &GuestName,
        record: Option<Record>,
    ) -> Result<(), String> {
        let slot = IfName::new(&link.name)
            .and_then(|n| n.slot())
            .ok_or("its name is not vm_wlan<slot>")?;
        if link.mac != ownership::Mac::host(name).0 {
            return Err("its MAC is another guest's".into());
        }
        let attached = record.filter(|r| r.slot == slot).and_then(|r| r.attached);
        let Some(attached) = attached else {
            return Err("nothing is stored of it; `guestnetctl detach` does not know it, \
                        `ip link del` removes it"
                .into());
        };
        let AttachedRecord { spec, owner_uid, attached_at, netns, .. } = attached.clone();
        let net = attached.net(slot).routed(self.world.platform.routing);
        if let Some(before) = attached.interrupted(slot) {
            log::warn!("{name}: an update was cut off; it gets back what it had");
            self.worker.restore(link.index, before.routed(self.world.platform.routing));
        }
        log::info!("{name}: taken over with {} {}", link.name, net.guest.address);
        let guest = Attached {
            spec,
            net,
            index: link.index,
            netns: NetnsRef { id: netns.id.or(link.elsewhere), ..netns },
            owner_uid,
            attached_at,
            timeline: Vec::new(),
            waiting: false,
        };
        self.world.guests.join(&guest.net);
        self.know(guest);
        Ok(())
    }
}
