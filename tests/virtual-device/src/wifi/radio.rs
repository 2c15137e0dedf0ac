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

//! A simulated radio and its interface.

use std::os::fd::OwnedFd;

use guestnet_tests::{InNetns, Netns};

use super::hwsim::{delete_radio, new_radio};
use crate::Machine;

/// A radio; it goes when it is dropped.
#[derive(Debug)]
pub struct Radio {
    name: String,
    netns: OwnedFd,
}

impl Radio {
    /// Makes one in the machine's own namespace, all radios of which hear each other. Its interface is the
    /// first `wlan%d` that is free.
    #[track_caller]
    pub fn new(name: &str, address: &str) -> Self {
        let bytes: Vec<u8> =
            address.split(':').filter_map(|byte| u8::from_str_radix(byte, 16).ok()).collect();
        let bytes = bytes.try_into().expect("a link address");
        let machine = Machine::virtual_device();
        new_radio(&machine, name, bytes).unwrap_or_else(|e| panic!("a radio {name}: {e}"));
        Self { name: name.to_owned(), netns: machine.open_netns() }
    }

    /// Brings it to a namespace, where its interface has the radio's name.
    pub fn move_to(&mut self, netns: &Netns) {
        let (name, there) = (&self.name, netns.name());
        self.netns.run(&format!("iw phy {name} set netns name {there}"));
        self.netns = netns.open_netns();
        netns.run(&format!("ip link set wlan0 name {name}"));
    }
}

impl Drop for Radio {
    fn drop(&mut self) {
        // A panic here would abort; a radio that is left is in the next one's way, and told there.
        let _ = delete_radio(&self.netns, &self.name);
    }
}
