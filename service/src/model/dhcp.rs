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

//! What guests are told by DHCP beyond their own network, what they have to be told again, and how often they
//! were. Pure data.

use crate::spec::Mtu;
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;

/// What there is to say of a guest's way out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WayOut {
    /// Whether setUplinkInfo() has said anything of it.
    pub known: bool,
    /// Whether it is metered.
    pub metered: bool,
    /// URL of the API of the captive portal that it is behind (RFC 8908).
    pub portal: Option<String>,
}

/// What the last lease said, as far as a client has to ask again once it is otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// The guest's address.
    pub address: Ipv4Addr,
    /// How many bits of it are the subnet's.
    pub prefix: u8,
    /// The device's address there.
    pub gateway: Ipv4Addr,
    /// MTU of the link.
    pub mtu: Mtu,
    /// Whether the way out is metered.
    pub metered: bool,
}

/// How often a guest was answered, and not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Offers.
    pub offers: u64,
    /// Acknowledged requests.
    pub acks: u64,
    /// Requests for another address.
    pub naks: u64,
    /// What was not answered: it could not be read, was not the guest's, or was too much.
    pub refused: u64,
}
