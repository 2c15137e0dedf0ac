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

//! A routing table, which is known by a number. It is a type of its own because it stands beside an
//! interface's index wherever there is a route, and both netd and guestnetd make one of the other.

use crate::model::if_index::IfIndex;
use std::fmt;

/// The number of a routing table (`RTA_TABLE`, `FRA_TABLE`); 0 (`RT_TABLE_UNSPEC`) is no table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableId(pub u32);

impl TableId {
    /// `default`, which the kernel's last rule asks.
    pub const DEFAULT: Self = Self(253);
    /// `main`.
    pub const MAIN: Self = Self(254);
    /// `local`: the device's own addresses.
    pub const LOCAL: Self = Self(255);
    /// netd's table of the networks that the device itself is the router of (`local_network`).
    pub const LOCAL_NETWORK: Self = Self(97);
    /// netd's table of an interface is this and its index (`ROUTE_TABLE_OFFSET_FROM_INDEX`).
    pub(super) const OF_INTERFACE: u32 = 1000;
    /// A table of ours for an interface that has none of its own, where the device routes by main: this
    /// and its index, which has 24 bits of room. The first byte is that of our link group.
    const OWN: u32 = 0x6700_0000;

    /// netd's table of an interface.
    pub fn of_interface(index: IfIndex) -> Self {
        Self(Self::OF_INTERFACE + index.get())
    }

    /// The interface whose table it is with netd; none for a table with a meaning of its own.
    pub fn interface(self) -> Option<IfIndex> {
        self.0.checked_sub(Self::OF_INTERFACE).and_then(IfIndex::new)
    }

    /// The table of ours for an interface, where the device routes by main.
    pub fn own(index: IfIndex) -> Self {
        Self(Self::OWN + index.get())
    }

    /// The interface whose table of ours it is.
    pub fn own_interface(self) -> Option<IfIndex> {
        self.0.checked_sub(Self::OWN).filter(|index| *index >> 24 == 0).and_then(IfIndex::new)
    }
}

/// As ip-rule(8) shows it.
impl fmt::Display for TableId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::LOCAL => f.write_str("local"),
            Self::MAIN => f.write_str("main"),
            Self::DEFAULT => f.write_str("default"),
            Self(number) => number.fmt(f),
        }
    }
}
