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

//! What a guest gets in the end, as guestnetd's contract and `guestnetctl plan` tell it: names,
//! addresses, MACs. Pure.

use std::net::Ipv4Addr;

use super::request::End;

/// The device's address on every guest's link.
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(172, 17, 3, 2);
/// The prefix of the guests' subnet.
pub const PREFIX: u8 = 16;
/// Index of the first pair's ends: far above what the kernel gives out by itself here.
const FIRST_INDEX: u32 = 1_000_000;
const MTU: u32 = 1500;

/// One guest's network.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The device's end.
    pub host: End,
    /// The guest's end.
    pub guest: End,
    /// The guest's address.
    pub address: Ipv4Addr,
    /// The alias of the device's end.
    pub alias: String,
    /// Prefix of the device's address on the link.
    pub host_prefix: u8,
    /// A route to the guest, where the device's prefix does not make one.
    pub host_route: Option<Ipv4Addr>,
}

impl Plan {
    /// Of the guest in this slot; slot 0 is the original's.
    pub fn new(slot: u32) -> Self {
        let index = FIRST_INDEX + slot;
        let address = Ipv4Addr::from(u32::from(GATEWAY) + 1 + slot);
        let [_, _, c, d] = index.to_be_bytes();
        let suffix = if slot == 0 { String::new() } else { slot.to_string() };
        let end = |name: String, mac| End { index, name, mac, mtu: MTU };
        Self {
            host: end(format!("vm_wlan{suffix}"), [0x02, 0x67, 0, 0, c, d]),
            guest: end("wlan0".to_owned(), [0x06, 0x67, 0, 0, c, d]),
            address,
            alias: format!("guestnet:floor{slot}"),
            host_prefix: if slot == 0 { PREFIX } else { 32 },
            host_route: (slot > 0).then_some(address),
        }
    }
}
