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

//! What servers are to serve, as the world has it.

use crate::daemon::Daemon;
use crate::model::dhcp::WayOut;
use crate::model::world::World;
use crate::serve::{dhcp, Want};
use std::sync::Arc;

impl Daemon {
    /// Guests, what they are to have, or the way out may be others. Nothing is waited for.
    pub(in crate::daemon) fn bring_servers(&mut self) {
        let want = want(&self.world);
        self.servers.bring(want.clone());
        // After the server knows better: what it has told before does not hold.
        self.worker.tell(self.servers.counters().dhcp.take_outdated(&want.dhcp));
    }
}

/// Pure.
fn want(world: &World) -> Want {
    let info = world.uplink_infos.of(world.uplink.name.as_ref());
    let way = info.map(|info| WayOut {
        domain: None,
        metered: info.metered,
        portal: info.portal.clone(),
    });
    let dhcp = dhcp::Want { guests: world.guests.dhcp(), way: Arc::new(way.unwrap_or_default()) };
    Want { dhcp, ..Want::default() }
}
