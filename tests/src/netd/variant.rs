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

//! What differs from one Android version to another.

/// An Android version whose netd a device can have.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Ord, PartialOrd)]
pub enum Variant {
    /// Android 12L.
    Android12,
    /// Android 13; 14 differs in what 14 QPR2 brought only: what 15 has beside local networks.
    Android13,
    /// Android 15: connmark chains, local networks, and its wrapper takes `-C`.
    Android15,
    /// Android 16: as 15, and vendors have a chain in INPUT.
    Android16,
}

impl Variant {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Android12, Self::Android13, Self::Android15, Self::Android16];

    /// That of a device of which a test says nothing else.
    pub fn usual() -> Self {
        let Ok(major) = std::env::var("NETD_VARIANT") else { return Self::Android13 };
        let named = Self::ALL.into_iter().find(|variant| variant.major().to_string() == major);
        named.unwrap_or_else(|| panic!("NETD_VARIANT: {major} is none of {:?}", Self::ALL))
    }

    /// Android's major version.
    pub fn major(self) -> u32 {
        match self {
            Self::Android12 => 12,
            Self::Android13 => 13,
            Self::Android15 => 15,
            Self::Android16 => 16,
        }
    }

    /// Whether it has networks beside table 97 that the device is the router of: Thread.
    pub fn has_local_networks(self) -> bool {
        self >= Self::Android15
    }

    /// Whether the mark of an incoming packet is kept with its connection.
    pub(super) fn has_connmark(self) -> bool {
        self >= Self::Android15
    }

    /// Whether vendors have a chain in INPUT, `oem_in`.
    pub fn has_vendor_input(self) -> bool {
        self >= Self::Android16
    }

    /// Whether multicast on the link is a destination that VPNs leave out: since 13 QPR3.
    pub(super) fn leaves_out_multicast(self) -> bool {
        self >= Self::Android15
    }

    /// Which bits of the mark an incoming packet gets: all but those that others write.
    pub(super) fn incoming_mask(self) -> u32 {
        match self {
            Self::Android12 | Self::Android13 => 0xffef_ffff,
            Self::Android15 | Self::Android16 => 0x7fef_ffff,
        }
    }

    /// The priorities of its routing rules.
    pub(super) fn priorities(self) -> &'static Priorities {
        match self {
            Self::Android12 => &ANDROID12,
            Self::Android13 | Self::Android15 | Self::Android16 => &ANDROID13,
        }
    }
}

/// RouteController's constants, as far as a rule here has them. Up to 24000 all are the same.
#[derive(Debug)]
pub(super) struct Priorities {
    /// Only since 13: destinations that a VPN leaves to the network it runs over.
    pub local_routes: Option<u32>,
    pub vpn_fallthrough: u32,
    /// The default network of single users.
    pub uid_default_network: u32,
    pub default_network: u32,
}

const ANDROID12: Priorities = Priorities {
    local_routes: None,
    vpn_fallthrough: 26000,
    uid_default_network: 27000,
    default_network: 29000,
};
const ANDROID13: Priorities = Priorities {
    local_routes: Some(26000),
    vpn_fallthrough: 28000,
    uid_default_network: 29000,
    default_network: 31000,
};
