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

//! How long to wait before doing again what keeps being needed: a repair of what others take away, or
//! a try of what failed. Pure.
//!
//! Each of a [`Policy`]'s first few acts is free; after those each waits twice as long as the one before.

use crate::ordered::OrderedMap;
use std::time::{Duration, Instant};

/// How acts are paced.
#[derive(Debug)]
pub(crate) struct Policy {
    /// So many acts do not wait.
    free: u32,
    /// The first wait, and the longest.
    shortest: Duration,
    longest: Duration,
    /// After so long one act is forgotten; none: only [`Backoff::reset`] forgets.
    cool: Option<Duration>,
}

/// For repairs: netd's start takes the same thing two or three times. Against somebody who takes it
/// again and again, each repair costs the device time and wins guests nothing.
pub(crate) static REPAIR: Policy = Policy {
    free: 8,
    shortest: Duration::from_millis(2),
    longest: Duration::from_secs(4),
    cool: Some(Duration::from_secs(1)),
};

/// For failures: a program that hangs costs every caller some seconds.
pub(crate) static RETRY: Policy = Policy {
    free: 0,
    shortest: Duration::from_secs(1),
    longest: Duration::from_secs(32),
    cool: None,
};

/// Between two log lines about something that keeps being taken away.
const SAY: Duration = Duration::from_secs(60);

/// What to say of a repair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Say {
    /// What was put back.
    This,
    /// How often, and in what time.
    Sum(u32, Duration),
    /// Nothing: it was said not long ago.
    Nothing,
}

/// A time in seconds, with tenths. (Not as a floating-point number: to write one takes 13 KB of code.)
pub(crate) fn seconds(time: Duration) -> String {
    format!("{}.{}", time.as_secs(), time.subsec_millis() / 100)
}

impl Say {
    /// Says that something keeps being taken away, when it is time to.
    pub(crate) fn sum(self, what: &str, find: &str) {
        if let Self::Sum(times, within) = self {
            let within = seconds(within);
            log::warn!(
                "{what}: put back {times} times in the last {within} s; something keeps removing \
                 it, so it is put back less often: find out what ({find})"
            );
        }
    }
}

/// The pace of one thing.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    policy: &'static Policy,
    /// Acts that are not forgotten.
    heat: u32,
    /// All acts since the first, and when that was.
    times: u32,
    since: Option<Instant>,
    cooled: Option<Instant>,
    last: Option<Instant>,
    said: Option<Instant>,
    /// When the act that waits may be done.
    held: Option<Instant>,
}

impl Backoff {
    /// Nothing was done yet.
    pub(crate) fn new(policy: &'static Policy) -> Self {
        Self {
            policy,
            heat: 0,
            times: 0,
            since: None,
            cooled: None,
            last: None,
            said: None,
            held: None,
        }
    }

    /// Whether it may be done now. If not, [`at`](Self::at) says when.
    pub(crate) fn may_act(&mut self, now: Instant) -> bool {
        self.cool(now);
        let at = self.last.map(|last| last + self.wait());
        self.held = at.filter(|at| *at > now);
        self.held.is_none()
    }

    /// It was done: counted from its end, since it may have taken its time.
    pub(crate) fn acted(&mut self, now: Instant) -> Say {
        self.cool(now);
        self.since.get_or_insert(now);
        self.cooled.get_or_insert(now);
        self.heat = self.hottest().min(self.heat + 1);
        self.times = self.times.saturating_add(1);
        self.last = Some(now);
        if !self.is_hot() && self.said.is_none() {
            return Say::This;
        }
        if self.said.is_some_and(|said| now < said + SAY) {
            return Say::Nothing;
        }
        self.said = Some(now);
        Say::Sum(self.times, self.since.map_or(Duration::ZERO, |since| now - since))
    }

    /// When the next may be done, whether or not one is asked for.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.last.map(|last| last + self.wait())
    }

    /// When the one that waits may be done.
    pub(crate) fn at(&self) -> Option<Instant> {
        self.held
    }

    /// Whether one has waited until now; told once.
    pub(crate) fn is_due(&mut self, now: Instant) -> bool {
        let due = self.held.is_some_and(|at| at <= now);
        if due {
            self.held = None;
        }
        due
    }

    /// Whether acts wait.
    pub(crate) fn is_hot(&self) -> bool {
        self.heat > self.policy.free
    }

    /// It is over.
    pub(crate) fn reset(&mut self) {
        *self = Self::new(self.policy);
    }

    fn wait(&self) -> Duration {
        match self.heat.checked_sub(self.policy.free + 1) {
            None => Duration::ZERO,
            Some(doublings) => {
                self.policy.longest.min(self.policy.shortest * 2u32.pow(doublings.min(16)))
            }
        }
    }

    /// From here on a wait is the longest.
    fn hottest(&self) -> u32 {
        self.policy.free + 12
    }

    fn cool(&mut self, now: Instant) {
        let (Some(cooled), Some(each)) = (self.cooled, self.policy.cool) else { return };
        let steps = now.saturating_duration_since(cooled).as_micros() / each.as_micros().max(1);
        let steps = u32::try_from(steps).unwrap_or(u32::MAX);
        self.heat = self.heat.saturating_sub(steps);
        self.cooled = Some(cooled + each * steps.min(self.hottest()));
        if self.heat == 0 {
            self.reset();
        }
    }
}

/// The paces of many things, each by its key; only of those that something was done for.
#[derive(Debug)]
pub(crate) struct Backoffs<K> {
    policy: &'static Policy,
    each: OrderedMap<K, Backoff>,
}

impl<K: Copy + Ord> Backoffs<K> {
    /// Nothing was done yet.
    pub(crate) fn new(policy: &'static Policy) -> Self {
        Self { policy, each: OrderedMap::new() }
    }

    /// Of this one.
    pub(crate) fn of(&mut self, key: K) -> &mut Backoff {
        self.each.entry(key).or_insert_with(|| Backoff::new(self.policy))
    }

    /// Those that have waited until now.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<K> {
        self.each.iter_mut().filter_map(|(key, one)| one.is_due(now).then_some(*key)).collect()
    }

    /// When the first of those that wait may be done.
    pub(crate) fn at(&self) -> Option<Instant> {
        self.each.values().filter_map(Backoff::at).min()
    }

    /// Only such are left.
    pub(crate) fn retain(&mut self, is_left: impl Fn(&K) -> bool) {
        self.each.retain(|key, _| is_left(key));
    }

    /// This one is no more.
    pub(crate) fn forget(&mut self, key: K) {
        self.each.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const SECOND: Duration = Duration::from_secs(1);

    /// Takes it away whenever it is there, for so long; when it was put back.
    fn fight(it: &mut Backoff, begin: Instant, long: Duration, pause: Duration) -> Vec<Duration> {
        let (mut now, mut repairs) = (begin, Vec::new());
        while now < begin + long {
            if it.may_act(now) {
                it.acted(now);
                repairs.push(now - begin);
                now += pause;
            } else {
                now = it.at().unwrap();
                assert!(it.is_due(now) && !it.is_due(now));
            }
        }
        repairs
    }

    #[test]
    fn first_repairs_do_not_wait_and_later_ones_do_longer_and_longer() {
        let repairs = fight(&mut Backoff::new(&REPAIR), Instant::now(), 60 * SECOND, MS);
        assert_eq!(repairs[..9], [0, 1, 2, 3, 4, 5, 6, 7, 8].map(|n| MS * n));
        assert_eq!(repairs[9..13], [10, 14, 22, 38].map(|n| MS * n));
        assert!((60..90).contains(&repairs.len()), "{}", repairs.len());
        let longest = repairs.windows(2).map(|two| two[1] - two[0]).max();
        assert!(longest <= Some(REPAIR.longest), "{longest:?}");
    }

    #[test]
    fn backoff_is_not_triggered_by_one_repair_per_second() {
        let mut it = Backoff::new(&REPAIR);
        let repairs = fight(&mut it, Instant::now(), 100 * SECOND, SECOND);
        assert_eq!(repairs.len(), 100);
        assert!(!it.is_hot());
    }

    #[test]
    fn repairs_are_summed_up_once_a_minute_and_forgotten() {
        let begin = Instant::now();
        let mut it = Backoff::new(&REPAIR);
        let said: Vec<_> = (0..20).map(|n| it.acted(begin + MS * n)).collect();
        assert_eq!(said[..8], [Say::This; 8]);
        assert_eq!(said[8], Say::Sum(9, MS * 8));
        assert_eq!(said[9..], [Say::Nothing; 11]);
        // As it goes on.
        let mut sums = 0;
        for n in 1..=122 {
            it.heat = it.hottest();
            sums += u32::from(matches!(it.acted(begin + SECOND * n), Say::Sum(..)));
        }
        assert_eq!(sums, 2);
        let later = begin + SECOND * 200;
        assert!(it.may_act(later));
        assert_eq!(it.acted(later), Say::This);
    }

    #[test]
    fn each_retry_waits_twice_as_long_as_the_one_before() {
        let mut now = Instant::now();
        let mut retry = Backoff::new(&RETRY);
        assert!(retry.may_act(now));
        let mut pauses = Vec::new();
        for _ in 0..40 {
            retry.acted(now);
            let at = retry.next().unwrap();
            assert!(!retry.may_act(now) && retry.may_act(at));
            assert_eq!(retry.next(), Some(at), "counted from the failure");
            pauses.push((at - now).as_secs());
            now = at;
        }
        assert_eq!(pauses[..7], [1, 2, 4, 8, 16, 32, 32]);
        assert_eq!(pauses[39], 32);
        retry.reset();
        assert_eq!((retry.next(), retry.may_act(now)), (None, true));
    }

    #[test]
    fn of_several_that_wait_the_first_is_due_first() {
        let now = Instant::now();
        let mut all = Backoffs::new(&REPAIR);
        assert_eq!(all.at(), None);
        for (key, heat) in [(1, 3), (7, 1)] {
            let it = all.of(key);
            it.heat = REPAIR.free + heat;
            (it.cooled, it.last) = (Some(now), Some(now));
            assert!(!it.may_act(now));
        }
        assert_eq!(all.at(), Some(now + REPAIR.shortest));
        assert_eq!(all.due(now), [0; 0]);
        assert_eq!(all.due(now + REPAIR.shortest), [7]);
        all.forget(7);
        assert!(all.at() > Some(now + REPAIR.shortest));
    }
}
