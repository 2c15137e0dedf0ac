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

//! The device that this runs on, and its guestnetd. What a test has attached goes with its bed.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::time::Duration;

use android_system_guestnet::aidl::android::system::guestnet::Guest::Guest as Attached;
use android_system_guestnet::aidl::android::system::guestnet::GuestConfig::GuestConfig;
use android_system_guestnet::aidl::android::system::guestnet::IGuestNet::IGuestNet;
use guestnet_on_device::client::{by_pid, NAME};
use guestnet_on_device::{Guest, Probe};
use guestnet_platform::{Connection, Endpoint};

/// Longer than anything may take, in a machine that is emulated too.
pub const BOUND: Duration = Duration::from_secs(20);

/// The names of this suite's guests begin with it: others' are left alone.
const OURS: &str = "gnt-test.";

/// The connection.
pub struct Bed {
    pub service: Connection<dyn IGuestNet>,
}

/// A configuration of the original's, for a guest of this suite.
pub fn config(name: &str) -> GuestConfig {
    GuestConfig { name: ours(name), ..Default::default() }
}

/// The name of a guest of this suite. An empty one stays so.
pub fn ours(name: &str) -> String {
    if name.is_empty() {
        String::new()
    } else {
        format!("{OURS}{name}")
    }
}

/// The network namespace that this runs in: the device's own.
pub fn device() -> OwnedFd {
    File::open("/proc/self/ns/net").expect("/proc/self/ns/net").into()
}

/// The next hop of wlan0's default route, in whatever table it is.
#[track_caller]
pub fn uplinks_gateway() -> String {
    let routes = device().routes(4, "all");
    let default = routes.iter().find(|r| r.starts_with("default via") && r.contains("dev wlan0"));
    let default = default.unwrap_or_else(|| panic!("wlan0 has no default route: {routes:#?}"));
    default.split_whitespace().nth(2).expect("an address").to_owned()
}

impl Bed {
    /// Connects to the device's guestnetd, which the service manager starts if need be.
    #[track_caller]
    pub fn new() -> Self {
        let service = guestnet_platform::connect(&Endpoint::Kernel, NAME);
        Self { service: service.unwrap_or_else(|e| panic!("{e}")) }
    }

    /// Attaches a guest.
    #[track_caller]
    pub fn attach(&self, name: &str, guest: &Guest) -> Attached {
        let attached = self.service.attach(&config(name), &by_pid(guest.pid()), None);
        attached.unwrap_or_else(|e| panic!("attach {name}: {e}"))
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        let guests = self.service.list().into_iter().flatten();
        for guest in guests.filter(|guest| guest.name.starts_with(OURS)) {
            let _ = self.service.detach(&guest.name);
        }
    }
}
