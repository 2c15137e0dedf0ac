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

//! IPv4 subnets and their arithmetic. Pure.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::Ipv4Addr;

/// An IPv4 subnet in its canonical form: no host bit is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct Subnet {
    network: Ipv4Addr,
    prefix: u8,
}

/// A subnet as it is stored, which may be anything.
#[derive(Deserialize)]
struct Stored {
    network: Ipv4Addr,
    prefix: u8,
}

impl TryFrom<Stored> for Subnet {
    type Error = String;
    fn try_from(s: Stored) -> Result<Self, String> {
        Self::containing(s.network, s.prefix)
            .ok_or_else(|| format!("/{} is not a prefix length", s.prefix))
    }
}

impl Subnet {
    /// The subnet that `address` is in; nothing if `prefix` is over 32.
    pub fn containing(address: Ipv4Addr, prefix: u8) -> Option<Self> {
        (prefix <= 32)
            .then(|| Self { network: Ipv4Addr::from(u32::from(address) & mask(prefix)), prefix })
    }

    /// The subnet of one address.
    pub fn of_one(address: Ipv4Addr) -> Self {
        Self { network: address, prefix: 32 }
    }

    /// The network address, the lowest one.
    pub fn network(&self) -> Ipv4Addr {
        self.network
    }

    /// Length of the prefix in bits.
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    /// The mask as an address.
    pub fn mask(&self) -> Ipv4Addr {
        Ipv4Addr::from(mask(self.prefix))
    }

    /// The broadcast address, the highest one.
    pub fn broadcast(&self) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.network) | !mask(self.prefix))
    }

    /// Whether `address` is in the subnet.
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        u32::from(address) & mask(self.prefix) == u32::from(self.network)
    }

    /// Whether the two have an address in common.
    pub fn overlaps(&self, other: &Self) -> bool {
        let prefix = self.prefix.min(other.prefix);
        u32::from(self.network) & mask(prefix) == u32::from(other.network) & mask(prefix)
    }
}

fn mask(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(text: &str) -> Subnet {
        let (address, prefix) = text.split_once('/').unwrap();
        Subnet::containing(address.parse().unwrap(), prefix.parse().unwrap()).unwrap()
    }

    #[test]
    fn arithmetic() {
        let s = subnet("172.17.3.2/16");
        assert_eq!(s.to_string(), "172.17.0.0/16");
        assert_eq!(s.broadcast(), Ipv4Addr::new(172, 17, 255, 255));
        assert_eq!(s.mask(), Ipv4Addr::new(255, 255, 0, 0));
        assert!(
            s.contains(Ipv4Addr::new(172, 17, 255, 255))
                && !s.contains(Ipv4Addr::new(172, 18, 0, 0))
        );
        assert_eq!(subnet("9.9.9.9/0").to_string(), "0.0.0.0/0");
        assert!(Subnet::containing(Ipv4Addr::UNSPECIFIED, 33).is_none());
    }

    #[test]
    fn overlap_is_symmetric_and_exact() {
        let s = subnet("172.17.0.0/16");
        for (other, expected) in [
            ("172.17.42.1/24", true),
            ("172.16.0.0/12", true),
            ("0.0.0.0/0", true),
            ("172.17.3.3/32", true),
            ("172.18.0.0/16", false),
            ("172.16.255.255/32", false),
        ] {
            assert_eq!(s.overlaps(&subnet(other)), expected, "{other}");
            assert_eq!(subnet(other).overlaps(&s), expected, "{other}");
        }
    }
}
