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

//! How a guest is connected.

use super::mtu::Mtu;
use serde::{Deserialize, Serialize};

/// How many queues a TAP device has, 1 to 16.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "i32", into = "i32")]
pub struct Queues(u8);

impl Queues {
    /// One, as every guest has it that is no TAP.
    pub const ONE: Self = Self(1);
    /// The most.
    const MOST: u8 = 16;

    /// So many; none where a device cannot have them.
    pub fn new(count: i32) -> Option<Self> {
        u8::try_from(count).ok().filter(|count| (1..=Self::MOST).contains(count)).map(Self)
    }

    /// As a number.
    pub fn count(self) -> u8 {
        self.0
    }
}

impl TryFrom<i32> for Queues {
    type Error = String;
    fn try_from(count: i32) -> Result<Self, String> {
        Self::new(count).ok_or_else(|| format!("{count} queues are not possible"))
    }
}

impl From<Queues> for i32 {
    fn from(queues: Queues) -> i32 {
        queues.0.into()
    }
}

/// How a guest is connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// By a veth pair, whose other end is in its network namespace.
    #[default]
    Veth,
    /// By a TAP device. What is behind that, a VM as a rule, cannot be seen.
    Tap {
        /// How many queues it has.
        queues: Queues,
        /// The uid that it was made for, which may open further ones.
        owner: u32,
    },
}

impl Kind {
    /// The most that a TAP device takes: `MAX_MTU` without the Ethernet header (tun_net_initialize()).
    const TAP_MTU: u32 = 65521;

    /// Whether a link of this kind can have this MTU.
    pub fn takes(self, mtu: Mtu) -> bool {
        self == Self::Veth || mtu.bytes() <= Self::TAP_MTU
    }

    /// This MTU, or the nearest that a link of this kind can have.
    pub fn nearest(self, mtu: Mtu) -> Mtu {
        match self.takes(mtu) {
            true => mtu,
            false => Mtu::behind(Self::TAP_MTU).unwrap_or(mtu),
        }
    }

    /// What the kernel calls it (IFLA_INFO_KIND).
    pub fn link_kind(self) -> &'static str {
        match self {
            Self::Veth => "veth",
            Self::Tap { .. } => "tun",
        }
    }

    /// How many queues it has.
    pub fn queues(self) -> Queues {
        match self {
            Self::Veth => Queues::ONE,
            Self::Tap { queues, .. } => queues,
        }
    }

    /// Whether a guest's side can be looked at: it is in a namespace of this kernel's.
    pub fn has_inside(self) -> bool {
        self == Self::Veth
    }

    /// Whether it is the default, which need not be stored.
    pub(super) fn is_veth(&self) -> bool {
        *self == Self::Veth
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tap_has_1_to_16_queues() {
        for bad in [i32::MIN, -1, 0, 17, 256, 257, i32::MAX] {
            assert_eq!(Queues::new(bad), None, "{bad}");
            assert!(serde_json::from_value::<Queues>(bad.into()).is_err(), "{bad}");
        }
        for good in [1, 2, 16] {
            assert_eq!(i32::from(Queues::new(good).unwrap()), good);
        }
    }

    #[test]
    fn a_tap_is_a_little_narrower_than_a_veth() {
        let tap = Kind::Tap { queues: Queues::ONE, owner: 0 };
        let mtu = |bytes| Mtu::new(bytes).unwrap();
        assert!(Kind::Veth.takes(mtu(65535)) && tap.takes(mtu(65521)) && !tap.takes(mtu(65522)));
        assert_eq!(tap.nearest(mtu(65535)), mtu(65521));
        assert_eq!(
            (tap.nearest(mtu(1500)), Kind::Veth.nearest(mtu(65535))),
            (mtu(1500), mtu(65535))
        );
    }
}
