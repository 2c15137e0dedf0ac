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

//! DHCPv4 for guests: a lease for each, its own address.
//!
//! ```text
//! guest ── 67 ── packet socket ──► frame: a whole datagram?
//!                                  message: a client's?
//!                                  decide: whose, and what is it told
//!                                  server: how much of it, and who was told what ──► packet socket
//! ```

pub mod decide;
pub mod frame;
pub mod message;
pub mod server;
pub mod socket;

use crate::model::dhcp::{Counts, Told, WayOut};
use crate::model::if_index::IfIndex;
use crate::model::GuestNet;
use crate::ordered::OrderedMap;
use decide::Terms;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// The guests, by the indexes of their host ends.
pub type Guests = Arc<OrderedMap<IfIndex, Arc<GuestNet>>>;

/// Who is answered, and what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Want {
    /// Those that are.
    pub guests: Guests,
    /// What there is to say of their way out.
    pub way: Arc<WayOut>,
}

impl Want {
    /// What a guest is told, but for its domain; none: it is not answered.
    fn terms(&self, index: IfIndex) -> Option<Terms> {
        let net = Arc::clone(self.guests.get(&index)?);
        Some(Terms { net, way: Arc::clone(&self.way), domain: None })
    }
}

/// What guests have had, by the indexes of their host ends. The server writes it, others read it.
#[derive(Debug, Default)]
pub struct Book {
    entries: Mutex<HashMap<IfIndex, Entry>>,
    /// Told when a guest was told something else than before: that is kept.
    pub rings: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Entry {
    counts: Counts,
    /// What the lease says that the guest has; none: it has taken none, or has to ask again.
    told: Option<Told>,
    /// From the record, not confirmed by this guestnetd yet.
    earlier: bool,
    /// Whether that is another than was kept last.
    changed: bool,
}

impl Book {
    /// How often a guest was answered.
    pub fn counts(&self, index: IfIndex) -> Counts {
        self.lock().get(&index).map(|entry| entry.counts).unwrap_or_default()
    }

    /// The guests that have to ask again: what they were told does not hold any more. Each is named once.
    pub fn take_outdated(&self, want: &Want) -> Vec<IfIndex> {
        let mut outdated = Vec::new();
        for (index, entry) in self.lock().iter_mut() {
            let (Some(told), Some(terms)) = (entry.told, want.terms(*index)) else { continue };
            let mut now = terms.told();
            // Who says whether the way out is metered says it again to each guestnetd.
            if entry.earlier && !want.way.known {
                now.metered = told.metered;
            }
            if now != told {
                entry.told = None;
                outdated.push(*index);
            }
        }
        outdated
    }

    /// What an earlier guestnetd told a guest.
    pub fn adopt(&self, index: IfIndex, told: Told) {
        self.note(index, |entry| (entry.told, entry.earlier) = (Some(told), true));
    }

    /// What the lease of a guest says, if it has one and need not ask again.
    pub fn told(&self, index: IfIndex) -> Option<Told> {
        self.lock().get(&index).and_then(|entry| entry.told)
    }

    /// The guests that were told something else since the last call, or gave their lease back.
    pub fn take_changed(&self) -> Vec<IfIndex> {
        let changed = |(index, entry): (&IfIndex, &mut Entry)| {
            std::mem::take(&mut entry.changed).then_some(*index)
        };
        self.lock().iter_mut().filter_map(changed).collect()
    }

    /// A guest has a lease now, or has given it back.
    fn tell(&self, index: IfIndex, told: Option<Told>) {
        let mut is_other = false;
        self.note(index, |entry| {
            is_other = entry.told != told;
            entry.changed |= is_other;
            (entry.told, entry.earlier) = (told, false);
        });
        if is_other {
            self.rings.notify_one();
        }
    }

    fn note(&self, index: IfIndex, note: impl FnOnce(&mut Entry)) {
        note(self.lock().entry(index).or_default());
    }

    /// Links that are no guest's any more.
    fn forget_others(&self, guests: &Guests) {
        self.lock().retain(|index, _| guests.contains_key(index));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IfIndex, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
