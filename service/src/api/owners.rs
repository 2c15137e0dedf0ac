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

//! Objects that guests were given as owners: the death of one has its guest detached. What is linked
//! to them here lives as long as their guest.

use crate::daemon::{GuestEvent, Handle, Notice};
use crate::model::if_index::IfIndex;
use binder::{DeathRecipient, IBinder, SpIBinder};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The owners of guests, by the index of the guest's host end.
#[derive(Clone, Default)]
pub struct Owners(Arc<Mutex<HashMap<IfIndex, Owner>>>);

/// An owner whose death is noticed.
pub struct Owner {
    _binder: SpIBinder,
    // Dropping it unlinks.
    _death: DeathRecipient,
    fate: Arc<Mutex<Fate>>,
}

/// What is known of an owner and its guest, whichever comes first.
#[derive(Default)]
struct Fate {
    died: bool,
    guest: Option<IfIndex>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Owner {
    /// Has its death noticed from now on. An error: it would not be.
    pub fn link(binder: &SpIBinder, daemon: &Handle) -> Result<Self, String> {
        let fate = Arc::new(Mutex::new(Fate::default()));
        let (its, daemon) = (Arc::clone(&fate), daemon.clone());
        let mut death = DeathRecipient::new(move || {
            let guest = {
                let mut fate = lock(&its);
                fate.died = true;
                fate.guest
            };
            if let Some(index) = guest {
                daemon.owner_died(index);
            }
        });
        let mut binder = binder.clone();
        binder.link_to_death(&mut death).map_err(|e| format!("{e:?}"))?;
        Ok(Self { _binder: binder, _death: death, fate })
    }
}

impl Owners {
    /// A guest has this owner. False: it died in the meantime, and the guest goes with it.
    pub fn own(&self, index: IfIndex, owner: Owner, daemon: &Handle) -> bool {
        let died = {
            let mut fate = lock(&owner.fate);
            fate.guest = Some(index);
            fate.died
        };
        lock(&self.0).insert(index, owner);
        if died {
            daemon.owner_died(index);
        }
        // It may have gone before it was known here.
        if !daemon.has_link(index) {
            self.forget(index);
        }
        !died
    }

    /// Lets go of the owner of a guest that has gone. Never waits.
    pub fn tell(&self, notice: &Notice) {
        if let Notice::Guest(GuestEvent::Detached(_) | GuestEvent::Lost(_), guest) = notice {
            self.forget(guest.index);
        }
    }

    fn forget(&self, index: IfIndex) {
        let Some(gone) = lock(&self.0).remove(&index) else { return };
        // Letting go of a binder may call its process, which may stand still: not on this thread, which
        // may be the daemon's. Without a thread it is leaked.
        let kept = std::mem::ManuallyDrop::new(gone);
        let _ = std::thread::Builder::new()
            .name("owner".into())
            .spawn(move || drop(std::mem::ManuallyDrop::into_inner(kept)));
    }
}
