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

//! A client of guestnetd: the connection. What it says is the same on a device.

use android_system_guestnet::aidl::android::system::guestnet::IGuestNet::IGuestNet;
use guestnet_platform::{Connection, Endpoint};

pub use guestnet_on_device::client::*;

use crate::Daemon;

impl Daemon {
    /// Connects to it; panics with its log when that fails.
    #[track_caller]
    pub fn connect(&self) -> Connection<dyn IGuestNet> {
        let endpoint: Endpoint = self.endpoint().parse().expect("an endpoint");
        guestnet_platform::connect(&endpoint, NAME)
            .unwrap_or_else(|e| panic!("connecting to {endpoint}: {e}\n{}", self.log()))
    }
}
