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

//! When triggers are acted on. Pure.
//!
//! The first one is acted on at once. Those within [`WINDOW`] of that are folded into one more pass,
//! which waits until nothing more has come for [`QUIET`]: a Wi-Fi that comes back is a dozen
//! announcements, and the guests' traffic waits for the last one.

use crate::model::backoff::{Backoff, RETRY};
use crate::model::if_index::IfIndex;
use crate::ordered::OrderedSet;
use std::time::{Duration, Instant};

/// How long triggers are folded after a pass.
pub(in crate::daemon) const WINDOW: Duration = Duration::from_millis(50);
/// Without a trigger for so long, nothing more is waited for.
pub(in crate::daemon) const QUIET: Duration = Duration::from_millis(2);

/// What a pass has to read from the kernel; what is wanted is compared in every pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::daemon) struct Due {
    /// The uplink, its resolvers, and the tuns that guests leave by.
    pub(in crate::daemon) uplink: bool,
    /// The policy-routing rules.
    pub(in crate::daemon) rules: bool,
    /// The packet filter.
    pub(in crate::daemon) filter: bool,
    /// The forwarding switch: it was switched off, or netd may have forgotten who needs it.
    pub(in crate::daemon) forwarding: bool,
    /// The device's own prefixes: one may be in the guests' subnets now, or no more.
    pub(in crate::daemon) prefixes: bool,
    /// The host ends of guests, by their index.
    pub(in crate::daemon) guests: OrderedSet<IfIndex>,
    /// Nothing is read: what is wanted may have changed, or what failed is tried again.
    pub(in crate::daemon) wanted: bool,
}

impl Due {
    /// Everything that guests share.
    pub(in crate::daemon) fn shared() -> Self {
        Self { uplink: true, rules: true, filter: true, ..Self::default() }
    }

    /// Whether there is anything to do.
    pub(in crate::daemon) fn any(&self) -> bool {
        *self != Self::default()
    }

    fn add(&mut self, other: Self) {
        self.uplink |= other.uplink;
        self.rules |= other.rules;
        self.filter |= other.filter;
        self.forwarding |= other.forwarding;
        self.prefixes |= other.prefixes;
        self.guests.extend(other.guests);
        self.wanted |= other.wanted;
    }
}

/// What is due, and when it was last looked at.
#[derive(Debug, Default)]
pub(in crate::daemon) struct Debounce {
    /// What the next pass has to read.
    pub(in crate::daemon) due: Due,
    /// When the first and the last trigger of it came.
    triggered: Option<(Instant, Instant)>,
    /// When the last pass began.
    passed: Option<Instant>,
    /// When everything was last compared.
    checked: Option<Instant>,
    /// What could not be read, and is tried again.
    failed: Due,
    retries: Option<Backoff>,
}

impl Debounce {
    /// This is due, since now.
    pub(in crate::daemon) fn trigger(&mut self, due: Due, now: Instant) {
        self.due.add(due);
        let first = self.triggered.map_or(now, |(first, _)| first);
        self.triggered = Some((first, now));
    }

    /// When it is to be looked at; none when nothing is due.
    pub(in crate::daemon) fn at(&self) -> Option<Instant> {
        let (first, last) = self.triggered.filter(|_| self.due.any())?;
        Some(match self.passed.map(|at| at + WINDOW) {
            Some(end) if first < end => end.min(last + QUIET),
            _ => first,
        })
    }

    /// Whether the rules are to be read, now or once it is time to try that again.
    pub(in crate::daemon) fn reads_rules(&self) -> bool {
        self.due.rules || self.failed.rules
    }

    /// A pass begins: what it has to read, and when the last trigger of it came.
    pub(in crate::daemon) fn begin(&mut self, now: Instant) -> (Due, Instant) {
        self.passed = Some(now);
        let last = self.triggered.take().map_or(now, |(_, last)| last);
        (std::mem::take(&mut self.due), last)
    }

    /// This could not be read.
    pub(in crate::daemon) fn retry(&mut self, due: Due, now: Instant) {
        self.failed.add(due);
        self.retries.get_or_insert_with(|| Backoff::new(&RETRY)).acted(now);
    }

    /// When what could not be read is tried again.
    pub(in crate::daemon) fn retry_at(&self) -> Option<Instant> {
        self.retries.as_ref().filter(|_| self.failed.any())?.next()
    }

    /// What is to be read again now.
    pub(in crate::daemon) fn take_retry(&mut self, now: Instant) -> Due {
        match self.retry_at() {
            Some(at) if at <= now => std::mem::take(&mut self.failed),
            _ => Due::default(),
        }
    }

    /// Everything that was due could be read.
    pub(in crate::daemon) fn read(&mut self) {
        if !self.failed.any() {
            self.retries = None;
        }
    }

    /// Everything was compared.
    pub(in crate::daemon) fn check(&mut self, now: Instant) {
        self.checked = Some(now);
    }

    /// When everything is to be compared again.
    pub(in crate::daemon) fn next_check(&self, every: Duration) -> Option<Instant> {
        self.checked.map(|at| at + every)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn uplink() -> Due {
        Due { uplink: true, ..Due::default() }
    }

    #[test]
    fn the_first_is_acted_on_at_once_and_others_are_folded() {
        let begin = Instant::now();
        let mut it = Debounce::default();
        assert_eq!(it.at(), None);
        it.trigger(uplink(), begin);
        assert_eq!(it.at(), Some(begin));
        it.passed = Some(begin - WINDOW);
        assert_eq!(it.at(), Some(begin), "long ago");
        assert_eq!(it.begin(begin), (uplink(), begin));
        // Then triggers without a pause.
        for n in 1..40 {
            it.trigger(Due { rules: true, ..Due::default() }, begin + ms(n));
            assert_eq!(it.at(), Some(begin + ms(n) + QUIET));
        }
        it.trigger(Due::default(), begin + ms(49));
        assert_eq!(it.at(), Some(begin + WINDOW), "no longer than the window");
    }

    #[test]
    fn nothing_to_look_at_is_never_due() {
        let mut it = Debounce::default();
        it.trigger(Due::default(), Instant::now());
        assert_eq!(it.at(), None);
        it.trigger(Due { guests: [IfIndex::of(7)].into(), ..Due::default() }, Instant::now());
        assert!(it.at().is_some());
    }

    #[test]
    fn rules_that_wait_in_any_way_are_to_be_read() {
        let (now, rules) = (Instant::now(), || Due { rules: true, ..Due::default() });
        let mut it = Debounce::default();
        assert!(!it.reads_rules());
        it.trigger(rules(), now);
        assert!(it.reads_rules(), "a pass that waits");
        it.begin(now);
        assert!(!it.reads_rules());
        it.retry(rules(), now);
        assert!(it.reads_rules(), "one that failed");
        it.take_retry(it.retry_at().unwrap());
        assert!(!it.reads_rules());
    }

    #[test]
    fn what_could_not_be_read_is_due_again() {
        let now = Instant::now();
        let mut it = Debounce::default();
        assert_eq!(it.retry_at(), None);
        it.retry(uplink(), now);
        let at = it.retry_at().unwrap();
        assert_eq!((at - now).as_secs(), 1);
        assert_eq!(it.take_retry(now), Due::default(), "not yet");
        assert_eq!(it.take_retry(at), uplink());
        assert_eq!(it.retry_at(), None, "it is under way");
        it.retry(uplink(), at);
        assert_eq!((it.retry_at().unwrap() - at).as_secs(), 2);
        it.take_retry(at + ms(2000));
        it.read();
        it.retry(uplink(), at);
        assert_eq!((it.retry_at().unwrap() - at).as_secs(), 1, "it was read in between");
    }
}
