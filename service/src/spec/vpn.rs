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

//! Which way a guest's traffic leaves while the device uses a VPN.

use super::names::IfName;
use serde::{Deserialize, Serialize};

/// What becomes of a guest's traffic while the device uses a VPN.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum VpnPolicy {
    /// It leaves by the uplink, as tethered traffic does in AOSP: netd's VPN rules hold for the device's
    /// own sockets only (`iif lo`).
    #[default]
    FollowUplink,
    /// It leaves by this interface, a VPN's, and by no other.
    NamedTun(IfName),
    /// It leaves by the uplink, but not while a lockdown VPN is up.
    BlockUnderLockdown,
    /// It leaves by nothing, whatever ways out there are: it has its gateway and its segment.
    NoUplink,
}

impl VpnPolicy {
    /// The interface that a guest leaves by, where it is its own.
    pub fn tun(&self) -> Option<&IfName> {
        match self {
            Self::NamedTun(tun) => Some(tun),
            Self::FollowUplink | Self::BlockUnderLockdown | Self::NoUplink => None,
        }
    }

    /// Whether there is a way out for it at all.
    pub fn leaves(&self) -> bool {
        *self != Self::NoUplink
    }
}
