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

//! When to try to remove the rules of a run of guestnetd that used the other packet filter, and what to
//! say of it. Removes nothing itself.

use super::FirewallError;
use crate::model::backoff::{Backoff, RETRY};
use std::time::Instant;

/// What an earlier run may have left in the other packet filter.
pub(super) struct Leftovers {
    /// Since when it may be there.
    since: Instant,
    retries: Backoff,
    /// Why it could not be removed.
    cause: Option<String>,
}

impl Leftovers {
    /// Nothing was tried yet.
    pub(super) fn since(now: Instant) -> Self {
        Self { since: now, retries: Backoff::new(&RETRY), cause: None }
    }

    /// When the next try is due.
    pub(super) fn due(&self) -> Instant {
        self.retries.next().unwrap_or(self.since)
    }

    /// Why it could not be removed; none: nobody has tried.
    pub(super) fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    /// Takes the end of a try; what is returned is still there. Only the first failure is logged, and
    /// the success after it.
    pub(super) fn after(mut self, tried: Result<(), FirewallError>, now: Instant) -> Option<Self> {
        match tried {
            Ok(()) => {
                if self.cause.is_some() {
                    log::info!("firewall: taken away: rules of an earlier guestnetd");
                }
                None
            }
            Err(e) => {
                if self.cause.is_none() {
                    log::warn!(
                        "firewall: rules of an earlier guestnetd are left, and it is tried again: {e}"
                    );
                }
                self.cause = Some(e.to_string());
                self.retries.acted(now);
                Some(self)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(why: &str) -> Result<(), FirewallError> {
        Err(FirewallError::Unavailable(why.to_owned()))
    }

    #[test]
    fn leftovers_are_tried_less_and_less_often_until_they_are_gone() {
        let begin = Instant::now();
        let mut left = Leftovers::since(begin);
        assert_eq!((left.due(), left.cause()), (begin, None));
        let (mut now, mut pauses) = (begin, Vec::new());
        for try_ in 0..8 {
            // A program that hangs takes its time: the pause begins at its end.
            now += std::time::Duration::from_secs(3);
            left = left.after(refused(&format!("busy {try_}")), now).unwrap();
            assert!(left.cause().is_some_and(|cause| cause.ends_with(&format!("busy {try_}"))));
            pauses.push((left.due() - now).as_secs());
            now = left.due();
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 32, 32]);
        assert!(left.after(Ok(()), now).is_none());
    }
}
