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

//! Notices of a dead peer. Over RPC an object dies with the connection it came over, not alone.

use std::sync::{Arc, Weak};

use rsbinder::WIBinder;

use crate::SpIBinder;

/// A closure to be called at most once for each link. The caller keeps it: dropping it unlinks.
pub struct DeathRecipient(Arc<dyn rsbinder::DeathRecipient>);

struct OnDeath<F>(F);

impl<F: Fn() + Send + Sync> rsbinder::DeathRecipient for OnDeath<F> {
    fn binder_died(&self, _who: &WIBinder) {
        (self.0)()
    }
}

impl DeathRecipient {
    pub fn new<F: Fn() + Send + Sync + 'static>(callback: F) -> Self {
        Self(Arc::new(OnDeath(callback)))
    }

    fn weak(&self) -> Weak<dyn rsbinder::DeathRecipient> {
        Arc::downgrade(&self.0)
    }
}

/// What a service asks of an object whose interface does not matter.
pub trait IBinder {
    fn link_to_death(&mut self, recipient: &mut DeathRecipient) -> rsbinder::Result<()>;
    fn unlink_to_death(&mut self, recipient: &mut DeathRecipient) -> rsbinder::Result<()>;
    fn ping_binder(&mut self) -> rsbinder::Result<()>;
}

impl IBinder for SpIBinder {
    fn link_to_death(&mut self, recipient: &mut DeathRecipient) -> rsbinder::Result<()> {
        (**self).link_to_death(recipient.weak())
    }

    fn unlink_to_death(&mut self, recipient: &mut DeathRecipient) -> rsbinder::Result<()> {
        (**self).unlink_to_death(recipient.weak())
    }

    fn ping_binder(&mut self) -> rsbinder::Result<()> {
        (**self).ping_binder()
    }
}
