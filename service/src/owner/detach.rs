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

use super::{Attached, GuestEvent, Notice, Owner, Reply};
use crate::error::Error;
use crate::kernel::deleter::Deleted;
use crate::spec::GuestName;
use crate::store::Record;

/// A guest whose link is being deleted.
pub(super) struct Leaving {
    pub(super) guest: Attached,
    waiting: Vec<Reply<()>>,
}

impl Owner {
    /// Has the link deleted; the answer is given when the kernel says that it is gone.
    pub(super) async fn detach(&mut self, name: GuestName, reply: Reply<()>) {
        self.catch_up().await;
        if let Some(leaving) = self.leaving.values_mut().find(|l| *l.guest.name() == name) {
            leaving.waiting.push(reply);
            return;
        }
        let Some(guest) = self.guests.remove(&name) else {
            drop(reply.send(Err(Error::NoSuchGuest(name))));
            return;
        };
        self.deleter.delete(guest.index);
        self.leaving.insert(guest.index, Leaving { guest, waiting: vec![reply] });
    }

    /// The kernel said that a link is gone.
    pub(super) async fn link_gone(&mut self, index: u32) {
        self.strays.remove(&index);
        if let Some(leaving) = self.leaving.remove(&index) {
            let name = leaving.guest.name().clone();
            log::info!("{name}: link {} deleted", leaving.guest.net.host.name);
            let result = self.forget(leaving.guest, GuestEvent::Detached).await;
            if let Err(e) = &result {
                log::error!("{name}: {e}");
            }
            for reply in leaving.waiting {
                drop(reply.send(Ok(())));
            }
        } else if let Some(guest) = self.links.get(&index).and_then(|name| self.guests.remove(name))
        {
            log::info!("{}: its link {} is gone", guest.name(), guest.net.host.name);
            let name = guest.name().clone();
            if let Err(e) = self.forget(guest, GuestEvent::Lost).await {
                log::error!("{name}: {e}");
            }
        }
    }

    /// A delete came to its end in the kernel: the announcement was earlier, or was lost.
    pub(super) async fn deleted(&mut self, deleted: Deleted) {
        self.catch_up().await;
        match deleted.result {
            Ok(()) => self.link_gone(deleted.index).await,
            Err(cause) => {
                let Some(leaving) = self.leaving.remove(&deleted.index) else {
                    log::error!("delete link with index {} failed: {cause}", deleted.index);
                    return;
                };
                let name = leaving.guest.name().clone();
                let what = format!("delete link {}", leaving.guest.net.host.name);
                log::error!("{name}: {what} failed: {cause}");
                for reply in leaving.waiting {
                    drop(reply.send(Err(Error::kernel(what.clone(), cause.clone()))));
                }
                self.guests.insert(name, leaving.guest);
            }
        }
    }

    /// After the link: the record, and with the last guest what the device had for guests.
    async fn forget(&mut self, guest: Attached, event: GuestEvent) -> Result<(), Error> {
        self.links.remove(&guest.index);
        let stored = self.store.put(guest.name(), &Record { slot: guest.net.slot, attached: None });
        let filtered = self.refresh_firewall();
        if self.guests.is_empty() && self.leaving.is_empty() {
            self.give_forwarding_back().await;
        }
        let seen = self.seen(&guest);
        (self.notify)(Notice::Guest(event, seen));
        stored.and(filtered)
    }
}
