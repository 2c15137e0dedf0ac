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

use crate::daemon::adopt::is_half_made;
use crate::daemon::{Attached, By, Daemon, Detaching, Gone, GuestEvent, Notice, Whose};
use crate::effects::executor::link_deleter::Deleted;
use crate::effects::kernel::link;
use crate::error::{Error, KernelError};
use crate::model::backoff::Say;
use crate::model::if_index::IfIndex;
use crate::ordered::IntoOrdered;
use crate::spec::GuestName;
use crate::store::Record;
use std::time::Instant;

impl Daemon {
    /// Has the link deleted; `gone` is told when the kernel says that it is gone.
    pub(in crate::daemon) fn detach(
        &mut self,
        name: GuestName,
        whose: Whose,
        by: By,
        gone: Gone,
    ) -> Result<(), Error> {
        self.catch_up();
        let guests = &self.world.guests;
        let theirs = match guests.get(&name).or(guests.leaving(&name)) {
            Some(guest) => whose.has(guest),
            // A link of ours of which nobody knows whose it is.
            None => whose == Whose::Everyones && guests.unadopted_index(&name).is_some(),
        };
        if !theirs {
            return Err(Error::NoSuchGuest(name));
        }
        if !self.world.guests.is_leaving(&name) {
            let unadopted = self.world.guests.unadopted_index(&name);
            let guest = self.world.guests.leave(&name).map(|guest| guest.index);
            let index = guest.or(unadopted).ok_or_else(|| Error::NoSuchGuest(name.clone()))?;
            self.kernel.deleter.delete(index);
            self.shut_out();
        }
        self.await_end(name, by, gone);
        Ok(())
    }

    /// Has all their links deleted; `gone` is told once for each. Gives their number.
    pub(in crate::daemon) fn detach_all(&mut self, whose: Whose, by: By, gone: &Gone) -> usize {
        self.catch_up();
        let guests = &mut self.world.guests;
        let theirs = |guest: &&Attached| whose.has(guest);
        let mut names = guests.attached().filter(theirs).map(|g| g.name().clone()).into_set();
        let mut indexes = Vec::new();
        for name in &names {
            indexes.extend(guests.leave(name).map(|guest| guest.index));
        }
        self.kernel.deleter.delete_all(&indexes);
        self.shut_out();
        // Those that are leaving already are waited for, too.
        names.extend(self.world.guests.all_leaving().filter(theirs).map(|g| g.name().clone()));
        let number = names.len();
        for name in names {
            self.await_end(name, by, gone.clone());
        }
        number
    }

    fn await_end(&mut self, name: GuestName, by: By, gone: Gone) {
        let first = || Detaching { by, waiting: Vec::new() };
        self.detaching.entry(name).or_insert_with(first).waiting.push(gone);
    }

    /// The kernel said that these links are gone.
    pub(in crate::daemon) fn links_gone(&mut self, indexes: &[IfIndex]) {
        let (mut told, mut addresses) = (Vec::new(), Vec::new());
        for index in indexes {
            self.kernel.deleter.seen(*index);
            self.upkeep.guest_repairs.forget(*index);
            self.upkeep.half_made.forget(*index);
            self.upkeep.shut.remove(index);
            self.upkeep.worker.forget(*index);
            if let Some(name) = self.world.guests.unadopted_name(*index) {
                log::info!("link {name} deleted");
                let asked = self.detaching.remove(name);
                told.extend(asked.into_iter().flat_map(|asked| asked.waiting));
            }
            let ending = self.lifelines.ending_of(*index);
            let Some((guest, was_leaving)) = self.world.guests.remove(*index) else { continue };
            let (name, host) = (guest.name().clone(), &guest.net.host.name);
            let asked = if was_leaving { self.detaching.remove(&name) } else { None };
            let event = match (&asked, ending) {
                (Some(asked), None) => GuestEvent::Detached(asked.by),
                (_, Some(cause)) if was_leaving => GuestEvent::Lost(cause),
                _ => GuestEvent::Lost(self.why_gone(&guest)),
            };
            self.lifelines.forget(*index);
            addresses.push(guest.net.guest.address);
            match event {
                GuestEvent::Detached(by) => {
                    log::info!("{name}: detached by {by}: link {host} deleted")
                }
                GuestEvent::Lost(_) if was_leaving => log::info!("{name}: link {host} deleted"),
                GuestEvent::Lost(cause) => log::info!("{name}: {cause}: its link {host} is gone"),
                GuestEvent::Attached | GuestEvent::State => {}
            }
            told.extend(asked.into_iter().flat_map(|asked| asked.waiting));
            self.forget(guest, event);
        }
        // Once for all of them: what nobody needs any more.
        self.reconcile_shared();
        for gone in told {
            // A caller that does not wait any more has died.
            let _ = gone.send(Ok(()));
        }
        // Who serves would run before the caller does.
        self.bring_servers();
        // By a thread that has to be started: nobody waits for that. Whoever is attached next waits for
        // the lock.
        self.shared.connections.guests_gone(addresses);
    }

    /// A delete came to its end in the kernel: the announcement was earlier, or was lost.
    pub(in crate::daemon) fn deleted(&mut self, deleted: Deleted) {
        self.catch_up();
        match deleted.result {
            Ok(()) => self.links_gone(&[deleted.index]),
            Err(cause) => self.not_deleted(deleted.index, &cause),
        }
    }

    fn not_deleted(&mut self, index: IfIndex, cause: &KernelError) {
        self.did_not_end(index);
        let unadopted = self.world.guests.unadopted_name(index).cloned();
        let guest = self.world.guests.stay(index);
        let Some(name) = guest.map(|guest| guest.name().clone()).or(unadopted) else {
            self.not_deleted_half_made(index, cause);
            return;
        };
        let what = format!("delete the link of {name}");
        log::error!("{name}: {what} failed: {cause}");
        self.reconcile_wanted();
        let asked = self.detaching.remove(&name);
        for gone in asked.into_iter().flat_map(|asked| asked.waiting) {
            let _ = gone.send(Err(Error::kernel(what.clone(), cause.clone())));
        }
    }

    /// What an attach that failed has left is tried again. Whole is what others keep up, each in its own way.
    fn not_deleted_half_made(&mut self, index: IfIndex, cause: &KernelError) {
        let (now, pace) = (Instant::now(), self.upkeep.half_made.of(index));
        if pace.acted(now) != Say::Nothing {
            log::error!("delete link with index {index} failed: {cause}");
        }
        pace.may_act(now);
    }

    /// Those whose time has come.
    pub(in crate::daemon) fn delete_half_made(&mut self, now: Instant) {
        for index in self.upkeep.half_made.due(now) {
            match link::by_index(&self.kernel.netlink, index) {
                Ok(Some(link)) if is_half_made(&link) => self.kernel.deleter.delete(index),
                Ok(_) => self.upkeep.half_made.forget(index),
                // It may be another one by now.
                Err(cause) => self.not_deleted_half_made(index, &cause),
            }
        }
    }

    /// After the link: the record. The guest is gone, whatever becomes of that.
    fn forget(&mut self, guest: Attached, event: GuestEvent) {
        self.record(guest.name(), Record { slot: guest.net.slot, attached: None });
        let seen = self.seen(&guest);
        (self.notify)(Notice::Guest(event, seen));
    }
}
