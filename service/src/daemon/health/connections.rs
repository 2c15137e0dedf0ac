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

//! The kernel's table of connections, which the device and all guests share: how full it is, and who
//! has most of it.

use crate::daemon::Daemon;
use crate::effects::kernel::sysctl;
use crate::spec::GuestName;

/// From so many hundredths on it is said.
const NEARLY_FULL: u64 = 80;

/// How full the table is.
pub(super) struct Fullness {
    /// In words.
    pub(super) text: String,
    /// Whether new connections are dropped.
    pub(super) full: bool,
}

impl Fullness {
    /// Of so many connections that there may be; who has most of them, if that is a guest.
    fn of(count: u64, most: u64, busiest: Option<(&GuestName, usize)>) -> Option<Self> {
        if most == 0 || count.saturating_mul(100) / most < NEARLY_FULL {
            return None;
        }
        let whose = busiest.map(|(name, has)| format!(", {has} of them {name}'s"));
        let text = format!(
            "{count} of the {most} connections that the device can track are there{}",
            whose.unwrap_or_default()
        );
        Some(Self { text, full: count >= most })
    }
}

impl Daemon {
    /// How full the table is, where that is worth a word.
    pub(super) fn fullness(&self) -> Option<Fullness> {
        let (count, most) = sysctl::connections()?;
        Fullness::of(count, most, None)?;
        let busiest = self.shared.connections.busiest();
        let guest = |(address, has)| Some((self.world.guests.leases.holder(address)?, has));
        Fullness::of(count, most, busiest.and_then(guest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_is_nearly_full_is_said_and_a_full_one_is_bad() {
        let demo = GuestName::new("demo").unwrap();
        let of = |count| Fullness::of(count, 1000, Some((&demo, 700)));
        assert!(of(799).is_none());
        let nearly = of(800).unwrap();
        assert!(!nearly.full && nearly.text.ends_with("are there, 700 of them demo's"));
        assert!(of(1000).unwrap().full);
        assert!(Fullness::of(5, 0, None).is_none(), "no limit is known");
    }
}
