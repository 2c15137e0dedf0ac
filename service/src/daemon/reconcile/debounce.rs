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

//! When what the kernel announces is acted on. Pure.
//!
//! The first announcement is acted on at once. Those within [`WINDOW`] of that are folded into one
//! more pass, which waits until nothing more has been announced for [`QUIET`]: a Wi-Fi that comes back
//! is a dozen announcements, and the guest's traffic waits for the last one.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How long announcements are folded after a pass.
pub(in crate::daemon) const WINDOW: Duration = Duration::from_millis(50);
/// Without an announcement for so long, nothing more is waited for.
pub(in crate::daemon) const QUIET: Duration = Duration::from_millis(2);

/// What a pass has to look at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::daemon) struct Due {
    /// The uplink.
    pub(in crate::daemon) uplink: bool,
    /// The policy-routing rules.
    pub(in crate::daemon) rules: bool,
    /// The packet filter, as it is in the kernel.
    pub(in crate::daemon) firewall: bool,
    /// The forwarding switch: it was switched off, or netd may have forgotten who needs it.
    pub(in crate::daemon) forwarding: bool,
    /// Guests, by the index of their host ends.
    pub(in crate::daemon) guests: BTreeSet<u32>,
    /// When the first of it was announced, and the last.
    pub(in crate::daemon) announced: Option<(Instant, Instant)>,
}

impl Due {
    /// Everything that guests share, beside what is due already.
    pub(in crate::daemon) fn add_all(&mut self, now: Instant) {
        (self.uplink, self.rules, self.firewall) = (true, true, true);
        self.announced(now);
    }

    /// Whether there is anything to look at.
    pub(in crate::daemon) fn any(&self) -> bool {
        self.uplink || self.rules || self.firewall || self.forwarding || !self.guests.is_empty()
    }

    /// Something was announced now.
    pub(in crate::daemon) fn announced(&mut self, now: Instant) {
        let first = self.announced.map_or(now, |(first, _)| first);
        self.announced = Some((first, now));
    }

    /// When it is to be looked at, if the last pass began then; none when there is nothing.
    pub(in crate::daemon) fn at(&self, last_pass: Option<Instant>) -> Option<Instant> {
        let (first, last) = self.announced.filter(|_| self.any())?;
        Some(match last_pass.map(|at| at + WINDOW) {
            Some(end) if first < end => end.min(last + QUIET),
            _ => first,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn the_first_is_acted_on_at_once_and_others_are_folded() {
        let begin = Instant::now();
        let mut due = Due::default();
        assert_eq!(due.at(None), None);
        due.uplink = true;
        due.announced(begin);
        assert_eq!(due.at(None), Some(begin));
        assert_eq!(due.at(Some(begin - WINDOW)), Some(begin), "long ago");
        // A pass at `begin`; then announcements without a pause.
        let pass = Some(begin);
        let mut due = Due { rules: true, ..Due::default() };
        for n in 1..40 {
            due.announced(begin + ms(n));
            assert_eq!(due.at(pass), Some(begin + ms(n) + QUIET));
        }
        due.announced(begin + ms(49));
        assert_eq!(due.at(pass), Some(begin + WINDOW), "no longer than the window");
    }

    #[test]
    fn nothing_to_look_at_is_never_due() {
        let mut due = Due::default();
        due.announced(Instant::now());
        assert_eq!(due.at(None), None);
        due.guests.insert(7);
        assert!(due.at(None).is_some());
    }
}
