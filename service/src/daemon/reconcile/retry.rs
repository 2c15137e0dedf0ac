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

//! When what fails is tried again: after a second, and each time after twice as long. Pure.

use std::time::{Duration, Instant};

/// How long until it is tried again for the first time.
const FIRST: Duration = Duration::from_secs(1);
/// A program that hangs costs whoever waits for the owner some seconds: not more often than so.
const LONGEST: Duration = Duration::from_secs(32);

/// Of all that fails.
#[derive(Debug, Default)]
pub(in crate::daemon) struct Retry {
    at: Option<Instant>,
    tries: u32,
}

impl Retry {
    /// When, while something fails. Counted from the failure, whatever is announced meanwhile.
    pub(in crate::daemon) fn at(&mut self, now: Instant) -> Instant {
        let at = now + self.pause();
        *self.at.get_or_insert(at)
    }

    /// It has failed now, and took its time: what was to be tried before that is not any more.
    pub(in crate::daemon) fn failed(&mut self, now: Instant) {
        self.at = self.at.max(Some(now + self.pause()));
    }

    fn pause(&self) -> Duration {
        LONGEST.min(FIRST * 2u32.pow(self.tries.min(8)))
    }

    /// Nothing fails any more.
    pub(in crate::daemon) fn over(&mut self) {
        *self = Self::default();
    }

    /// It is tried now.
    pub(in crate::daemon) fn trying(&mut self) {
        self.at = None;
        self.tries = self.tries.saturating_add(1);
    }

    /// Whether it is not time yet.
    pub(in crate::daemon) fn waits(&self, now: Instant) -> bool {
        self.at.is_some_and(|at| now < at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pause_is_twice_the_one_before() {
        let mut now = Instant::now();
        let mut retry = Retry::default();
        assert!(!retry.waits(now));
        let mut pauses = Vec::new();
        for _ in 0..40 {
            let at = retry.at(now);
            assert!(retry.waits(now) && !retry.waits(at));
            assert_eq!(retry.at(now + FIRST / 2), at, "counted from the failure");
            pauses.push((at - now).as_secs());
            retry.failed(now);
            assert_eq!(retry.at(now), at);
            now = at;
            retry.trying();
        }
        assert_eq!(pauses[..7], [1, 2, 4, 8, 16, 32, 32]);
        assert_eq!(pauses[39], 32);
        // One that hung for longer than the pause.
        retry.at(now);
        retry.failed(now + 2 * LONGEST);
        assert!(retry.waits(now + 2 * LONGEST));
        retry.over();
        assert_eq!(retry.at(now), now + FIRST);
    }
}
