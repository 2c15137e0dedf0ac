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

//! Detach, and guests that went by themselves.

use crate::daemon::{Attached, Daemon, Gone, GuestEvent, Notice};
use crate::error::{Error, KernelError};
use crate::kernel::link_deleter::Deleted;
use crate::spec::GuestName;
use crate::store::Record;

/// A guest whose link is being deleted.
pub(in crate::daemon) struct Leaving {
    pub(in crate::daemon) guest: Attached,
    waiting: Vec<Gone>,
}

impl Daemon {
    /// Has the link deleted; `gone` is told when the kernel says that it is gone.
    pub(in crate::daemon) fn detach(&mut self, name: GuestName, gone: Gone) -> Result<(), Error> {
        self.catch_up();
        if let Some(leaving) = self.leaving.get_mut(&name) {
            leaving.waiting.push(gone);
            return Ok(());
        }
        let guest = self.guests.remove(&name).ok_or(Error::NoSuchGuest(name.clone()))?;
        self.deleter.delete(guest.index);
        self.leaving.insert(name, Leaving { guest, waiting: vec![gone] });
        Ok(())
    }

    /// Has all links deleted; `gone` is told once for each. Gives their number.
    pub(in crate::daemon) fn detach_all(&mut self, gone: &Gone) -> usize {
        self.catch_up();
        let mut indexes = Vec::new();
        for (name, guest) in std::mem::take(&mut self.guests) {
            indexes.push(guest.index);
            self.leaving.insert(name, Leaving { guest, waiting: Vec::new() });
        }
        self.deleter.delete_all(&indexes);
        self.leaving.values_mut().for_each(|leaving| leaving.waiting.push(gone.clone()));
        self.leaving.len()
    }

    /// The kernel said that a link is gone.
    pub(in crate::daemon) fn link_gone(&mut self, index: u32) {
        self.deleter.seen(index);
        self.fights.forget(index);
        if let Some(slot) = self.strays.remove(&index) {
            self.leases.slots.release(slot);
        }
        let Some(name) = self.links.remove(&index) else { return };
        if let Some(leaving) = self.leaving.remove(&name) {
            log::info!("{name}: link {} deleted", leaving.guest.net.host.name);
            self.forget(leaving.guest, GuestEvent::Detached);
            for gone in leaving.waiting {
                // Who does not wait any more died.
                let _ = gone.send(Ok(()));
            }
        } else if let Some(guest) = self.guests.remove(&name) {
            log::info!("{name}: its link {} is gone", guest.net.host.name);
            self.forget(guest, GuestEvent::Lost);
        }
    }

    /// A delete came to its end in the kernel: the announcement was earlier, or was lost.
    pub(in crate::daemon) fn deleted(&mut self, deleted: Deleted) {
        self.catch_up();
        match deleted.result {
            Ok(()) => self.link_gone(deleted.index),
            Err(cause) => self.not_deleted(deleted.index, &cause),
        }
        self.tidy();
    }

    /// After guests have gone, once for all of them: rules that nobody needs any more.
    pub(in crate::daemon) fn tidy(&mut self) {
        if !std::mem::take(&mut self.untidy) {
            return;
        }
        let leads = self.reread_rules().and_then(|()| self.refresh_leads().map(drop));
        for result in [leads, self.refresh_firewall()] {
            if let Err(e) = result {
                log::error!("rules of guests that have gone: {e}");
            }
        }
    }

    fn not_deleted(&mut self, index: u32, cause: &KernelError) {
        let leaving = self.links.get(&index).and_then(|name| self.leaving.remove(name));
        let Some(leaving) = leaving else {
            log::error!("delete link with index {index} failed: {cause}");
            return;
        };
        let what = format!("delete link {}", leaving.guest.net.host.name);
        log::error!("{}: {what} failed: {cause}", leaving.guest.name());
        for gone in leaving.waiting {
            let _ = gone.send(Err(Error::kernel(what.clone(), cause.clone())));
        }
        self.guests.insert(leaving.guest.name().clone(), leaving.guest);
    }

    /// After the link: the record, and with the last guest what the device had for guests. What
    /// fails is in the log: the guest is gone all the same.
    fn forget(&mut self, guest: Attached, event: GuestEvent) {
        let name = guest.name();
        self.leases.release(&guest.net);
        let had_its_own = self.own_ways.remove(&guest.net.host.name).is_some();
        if let Err(e) = self.store.put(name, &Record { slot: guest.net.slot, attached: None }) {
            log::error!("{name}: {e}");
        }
        // The last one of its subnet takes the subnet's rules with it.
        self.untidy |= had_its_own || !self.leases.has(&guest.net.subnet);
        if self.guests.is_empty() && self.leaving.is_empty() {
            self.give_forwarding_back();
        }
        let seen = self.seen(&guest);
        (self.notify)(Notice::Guest(event, seen));
    }
}
