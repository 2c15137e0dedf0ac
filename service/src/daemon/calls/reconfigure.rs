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

//! Another configuration for a guestnetd that runs: what guests share is brought to it, as to any other change
//! of the world.

use crate::daemon::reconcile::debounce::Due;
use crate::daemon::start::Config;
use crate::daemon::Daemon;
use std::time::Instant;

impl Daemon {
    /// Of the rest guestnetd has made what it cannot make again: that stays.
    pub(in crate::daemon) fn reconfigure(&mut self, config: Config) {
        self.settle();
        let Config { uplink, resolvers, connections, keep_forwarding, check_every, .. } = config;
        self.config.uplink = uplink;
        self.config.check_every = check_every;
        self.resolvers.fall_back_to(resolvers);
        self.world.platform.connections = Some(connections).filter(|most| *most != 0);
        self.shared.forwarding.get_mut().keep(keep_forwarding);
        let due = Due { uplink: true, wanted: true, ..Due::default() };
        self.debounce.trigger(due, Instant::now());
        self.settle();
    }
}
