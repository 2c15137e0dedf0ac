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

//! How a bed is to be, said before it is built.

use android_system_guestnet::aidl::android::system::guestnet::GuestConfig::GuestConfig;

use super::unchanged::Neighbour;
use super::Bed;
use crate::client::config;
use crate::netd::Watch;
use crate::{Daemon, Guest, InNetns};

/// A bed that is not built yet.
#[must_use = "build() makes the bed"]
pub struct Builder<D: InNetns> {
    device: D,
    daemon: Daemon,
    neighbour: Option<GuestConfig>,
    attached: Option<GuestConfig>,
    watch: Option<Watch>,
}

impl<D: InNetns> Bed<D> {
    /// A bed on this device, with nothing said about guestnetd yet.
    pub fn on(device: D) -> Builder<D> {
        let daemon = Daemon::new(&device);
        Self::around(device, daemon)
    }

    /// A bed on this device, with a guestnetd that was prepared by hand.
    pub fn around(device: D, daemon: Daemon) -> Builder<D> {
        Builder { device, daemon, neighbour: None, attached: None, watch: None }
    }
}

impl<D: InNetns> Builder<D> {
    /// Adds arguments to guestnetd's command line: `--uplink eth0`.
    pub fn args(mut self, words: &str) -> Self {
        self.daemon = self.daemon.args(words);
        self
    }

    /// Sets a variable of its environment.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.daemon = self.daemon.env(name, value);
        self
    }

    /// Attaches a guest of its own that talks to the internet all the time, over one connection; the
    /// bed can say then whether a call has changed anything.
    pub fn neighbour(mut self, config: GuestConfig) -> Self {
        self.neighbour = Some(config);
        self
    }

    /// Attaches the bed's guest under this name, with the original's set-up.
    pub fn attached(mut self, name: &str) -> Self {
        self.attached = Some(config(name));
        self
    }

    /// Watches what leaves the device.
    pub(super) fn watch(mut self, watch: Watch) -> Self {
        self.watch = Some(watch);
        self
    }

    /// Starts guestnetd unless it runs, connects to it and attaches the guests; panics with its log
    /// when that fails.
    #[track_caller]
    pub fn build(self) -> Bed<D> {
        let Self { device, mut daemon, neighbour, attached, watch } = self;
        if !daemon.is_started() {
            daemon.start();
        }
        let service = daemon.connect();
        let neighbour = neighbour.map(|config| Neighbour::attach(&**service, &daemon, &config));
        let bed = Bed { service, guest: Guest::new(), neighbour, daemon, watch, device };
        if let Some(config) = attached {
            bed.attach_as(&config, &bed.target());
        }
        bed
    }
}

/// A neighbour that leaves 172.17.0.0/16 to others.
pub fn distant_neighbour() -> GuestConfig {
    GuestConfig { gateway: "10.77.0.1".to_owned(), prefixLength: 24, ..config("neighbour") }
}
