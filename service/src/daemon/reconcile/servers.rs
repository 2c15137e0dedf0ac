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
use crate::model::world::World;
use crate::serve::Want;

impl Daemon {
    /// Guests, what they are to have, or the way out may be others. Nothing is waited for.
    pub(in crate::daemon) fn bring_servers(&mut self) {
        self.servers.bring(want(&self.world));
    }
}

/// Pure.
fn want(_world: &World) -> Want {
    Want::default()
}
