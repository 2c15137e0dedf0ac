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

//! The index of an interface, which is what a link is known by: names are given anew. It is a type of
//! its own so that no other number is taken for it, and because the kernel's 0, "none", is then an
//! `Option`, which is asked.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::num::NonZeroU32;

/// The index of an interface in its network namespace; never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IfIndex(NonZeroU32);

impl IfIndex {
    /// `lo`, in every network namespace (linux/net_namespace.h, `LOOPBACK_IFINDEX`).
    pub const LOOPBACK: Self = Self(NonZeroU32::MIN);

    /// The one with this number, of whatever type that is where it comes from; none of 0.
    pub fn new(number: impl TryInto<u32>) -> Option<Self> {
        NonZeroU32::new(number.try_into().ok()?).map(Self)
    }

    /// The number.
    pub fn get(self) -> u32 {
        self.0.get()
    }

    /// As the kernel takes one that need not be there: 0 for none.
    pub fn or_zero(index: Option<Self>) -> u32 {
        index.map_or(0, Self::get)
    }
}

#[cfg(test)]
impl IfIndex {
    /// The one with a number that a test has written down.
    pub const fn of(number: u32) -> Self {
        match NonZeroU32::new(number) {
            Some(number) => Self(number),
            None => panic!("no interface has it"),
        }
    }
}

impl fmt::Display for IfIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
