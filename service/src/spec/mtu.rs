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

//! The MTU of a guest's link: what is asked for, follows from its way out, is stored.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The MTU of a guest's link in bytes, 68 to 65535.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Mtu(u32);

impl Mtu {
    /// Ethernet's, for a guest whose uplink is not there.
    pub const ETHERNET: Self = Self(1500);
    /// The least that IPv4 allows (RFC 791; `ETH_MIN_MTU`).
    const LEAST: u32 = 68;
    /// The most that a veth takes (`ETH_MAX_MTU`).
    const MOST: u32 = 65535;

    /// So many bytes; none where a guest's link cannot have them.
    pub fn new(bytes: u32) -> Option<Self> {
        (Self::LEAST..=Self::MOST).contains(&bytes).then_some(Self(bytes))
    }

    /// That of a guest behind a way out with this MTU; none where IPv4 cannot use it.
    pub fn behind(way: u32) -> Option<Self> {
        Self::new(way.min(Self::MOST))
    }

    /// It in bytes.
    pub fn bytes(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for Mtu {
    type Error = String;
    fn try_from(bytes: u32) -> Result<Self, String> {
        Self::new(bytes).ok_or_else(|| format!("MTU {bytes} is not possible"))
    }
}

impl From<Mtu> for u32 {
    fn from(mtu: Mtu) -> u32 {
        mtu.0
    }
}

impl fmt::Display for Mtu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_out_bounds_it_and_may_give_none() {
        let bytes = |mtu: Option<Mtu>| mtu.map(Mtu::bytes);
        for (way, expected) in
            [(0, None), (67, None), (68, Some(68)), (1500, Some(1500)), (65536, Some(65535))]
        {
            assert_eq!(bytes(Mtu::behind(way)), expected, "{way}");
        }
        assert_eq!(bytes(Mtu::new(65536)), None);
        assert_eq!(serde_json::from_str::<Mtu>("15").ok(), None);
        assert_eq!(serde_json::to_string(&Mtu::ETHERNET).unwrap(), "1500");
    }
}
