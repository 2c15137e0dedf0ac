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

//! Whom the device can ask for names, and what became of questions for them. Pure.

use crate::ordered::OrderedSet;
use crate::spec::IfName;
use std::net::IpAddr;

/// Whom the device can ask for names, which is more than guests can.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameServers {
    /// Behind the uplink, in their order. One on the loopback is there alone.
    pub behind_uplink: Vec<IpAddr>,
    /// The interfaces that somebody has named some for.
    pub named: OrderedSet<IfName>,
    /// Whether netd's resolver is there to be asked.
    pub netd: bool,
}

/// What became of questions for names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Questions of guests.
    pub asked: u64,
    /// Those answered by who was asked.
    pub answered: u64,
    /// Those that nobody answered, or that nobody could be asked.
    pub failed: u64,
    /// Those beyond what a guest, or all of them, may have on their way.
    pub refused: u64,
    /// What was no question, or from somebody else's address.
    pub odd: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        let Self { asked, answered, failed, refused, odd } = other;
        self.asked += asked;
        self.answered += answered;
        self.failed += failed;
        self.refused += refused;
        self.odd += odd;
    }
}
