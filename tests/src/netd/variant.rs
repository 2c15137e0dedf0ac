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
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Variant {
    /// Android 12 and 12L.
    Android12,
    /// Android 13; 14 differs in its connmark chains only.
    Android13,
    /// Android 15: routes as 13, has the connmark chains, and its wrapper takes `-C`.
    Android15,
}

impl Variant {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Android12, Self::Android13, Self::Android15];

    /// Android's major version.
    pub fn major(self) -> u32 {
        match self {
            Self::Android12 => 12,
            Self::Android13 => 13,
            Self::Android15 => 15,
        }
    }

    /// The priorities of its routing rules.
    pub(super) fn priorities(self) -> &'static Priorities {
        match self {
            Self::Android12 => &ANDROID12,
            Self::Android13 | Self::Android15 => &ANDROID13,
        }
    }
}

/// RouteController's constants, as far as a rule here has them. Below 24000 all are the same.
#[derive(Debug)]
pub(super) struct Priorities {
    /// Only since 13: destinations that a VPN leaves to the network it runs over.
    pub local_routes: Option<u32>,
    pub vpn_fallthrough: u32,
    pub default_network: u32,
}

const ANDROID12: Priorities =
    Priorities { local_routes: None, vpn_fallthrough: 26000, default_network: 29000 };
const ANDROID13: Priorities =
    Priorities { local_routes: Some(26000), vpn_fallthrough: 28000, default_network: 31000 };
