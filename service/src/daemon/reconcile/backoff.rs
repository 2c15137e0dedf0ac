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

//! How often what others take away is put back. Pure.
//!
//! At once, as a rule. But where somebody takes the same away again and again, each repair costs the
//! device time and guests nothing is won: after the first [`FREE`] ones they wait, each twice as long
//! as the one before, until as many repairs are forgotten as are made, one each [`COOL`].

use std::time::{Duration, Instant};

/// So many repairs do not wait. netd's start takes the same thing two or three times.
const FREE: u32 = 8;
/// For so long one repair counts.
const COOL: Duration = Duration::from_secs(1);
/// The first wait, and the longest.
const SHORTEST: Duration = Duration::from_millis(2);
const LONGEST: Duration = Duration::from_secs(4);
/// From here on a wait is [`LONGEST`].
const HOTTEST: u32 = FREE + 12;
/// Between two lines in the log about a fight that goes on.
const SAY: Duration = Duration::from_secs(60);

/// What is taken away, by kind.
#[derive(Debug, Default)]
pub(in crate::daemon) struct Fights {
    /// Rules of policy routing.
    pub(in crate::daemon) rules: Fight,
    /// The packet filter.
    pub(in crate::daemon) firewall: Fight,
    /// The forwarding switch.
    pub(in crate::daemon) forwarding: Fight,
    /// What is on a guest's host end, by its index; of those only that something was taken from.
    guests: Vec<(u32, Fight)>,
}

impl Fights {
    /// When the first repair is due that waits.
    pub(in crate::daemon) fn at(&self) -> Option<Instant> {
        let shared = [&self.rules, &self.firewall, &self.forwarding];
        let guests = self.guests.iter().map(|(_, fight)| fight);
        shared.into_iter().chain(guests).filter_map(|fight| fight.held).min()
    }

    /// About the guest whose host end has this index.
    pub(in crate::daemon) fn guest(&mut self, index: u32) -> &mut Fight {
        let at = self.guests.iter().position(|(i, _)| *i == index).unwrap_or_else(|| {
            self.guests.push((index, Fight::default()));
            self.guests.len() - 1
        });
        &mut self.guests[at].1
    }

    /// The guests whose repairs have waited until now.
    pub(in crate::daemon) fn guests_due(&mut self, now: Instant) -> Vec<u32> {
        let due = |(i, fight): &mut (u32, Fight)| fight.is_due(now).then_some(*i);
        self.guests.iter_mut().filter_map(due).collect()
    }

    /// A guest is gone.
    pub(in crate::daemon) fn forget(&mut self, index: u32) {
        self.guests.retain(|(i, _)| *i != index);
    }
}

/// What is to be said of a repair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::daemon) enum Say {
    /// What was put back.
    This,
    /// How often, and in what time.
    Sum(u32, Duration),
    /// Nothing: it was said not long ago.
    Nothing,
}

impl Say {
    /// Says that something keeps being taken away, if it is time to.
    pub(in crate::daemon) fn sum(self, what: &str, find: &str) {
        if let Self::Sum(times, within) = self {
            let within = within.as_secs_f32();
            log::warn!(
                "{what}: put back {times} times in the last {within:.1} s; somebody keeps taking it \
                 away, so it is put back more seldom: find who ({find})"
            );
        }
    }
}

/// With somebody who takes one kind of thing away.
#[derive(Debug, Default)]
pub(in crate::daemon) struct Fight {
    /// Repairs that are not forgotten.
    heat: u32,
    /// All of this fight, and since when.
    times: u32,
    since: Option<Instant>,
    cooled: Option<Instant>,
    last: Option<Instant>,
    said: Option<Instant>,
    /// When the next repair may be made, if one waits.
    held: Option<Instant>,
}

impl Fight {
    /// Whether what is missing may be put back now. If not it is due later, see [`Fights::at`].
    pub(in crate::daemon) fn may_repair(&mut self, now: Instant) -> bool {
        self.cool(now);
        let at = self.last.map(|last| last + self.wait());
        self.held = at.filter(|at| *at > now);
        self.held.is_none()
    }

    /// It was put back.
    pub(in crate::daemon) fn repaired(&mut self, now: Instant) -> Say {
        self.cool(now);
        self.since.get_or_insert(now);
        self.cooled.get_or_insert(now);
        (self.heat, self.times) = (HOTTEST.min(self.heat + 1), self.times.saturating_add(1));
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

    /// Whether a repair waited until now.
    pub(in crate::daemon) fn is_due(&mut self, now: Instant) -> bool {
        let due = self.held.is_some_and(|at| at <= now);
        if due {
            self.held = None;
        }
        due
    }

    /// Whether repairs wait.
    pub(in crate::daemon) fn is_hot(&self) -> bool {
        self.heat > FREE
    }

    fn wait(&self) -> Duration {
        match self.heat.checked_sub(FREE + 1) {
            None => Duration::ZERO,
            Some(doublings) => LONGEST.min(SHORTEST * 2u32.pow(doublings.min(16))),
        }
    }

    fn cool(&mut self, now: Instant) {
        let Some(cooled) = self.cooled else { return };
        let steps = now.saturating_duration_since(cooled).as_secs() / COOL.as_secs();
        let steps = u32::try_from(steps).unwrap_or(u32::MAX);
        self.heat = self.heat.saturating_sub(steps);
        self.cooled = Some(cooled + COOL * steps.min(HOTTEST));
        if self.heat == 0 {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Takes it away whenever it is there, for so long; when it was put back.
    fn fight(fight: &mut Fight, begin: Instant, long: Duration, pause: Duration) -> Vec<Duration> {
        let (mut now, mut repairs) = (begin, Vec::new());
        while now < begin + long {
            if fight.may_repair(now) {
                fight.repaired(now);
                repairs.push(now - begin);
                now += pause;
            } else {
                now = fight.held.unwrap();
                assert!(fight.is_due(now) && !fight.is_due(now));
            }
        }
        repairs
    }

    #[test]
    fn the_first_repairs_do_not_wait_and_others_do_longer_and_longer() {
        let begin = Instant::now();
        let repairs = fight(&mut Fight::default(), begin, 60 * COOL, MS);
        assert_eq!(repairs[..9], [0, 1, 2, 3, 4, 5, 6, 7, 8].map(|n| MS * n));
        assert_eq!(repairs[9..13], [10, 14, 22, 38].map(|n| MS * n));
        assert!((60..90).contains(&repairs.len()), "{}", repairs.len());
        let longest = repairs.windows(2).map(|two| two[1] - two[0]).max();
        assert!(longest <= Some(LONGEST), "{longest:?}");
    }

    #[test]
    fn who_comes_once_a_second_never_waits() {
        let mut it = Fight::default();
        let repairs = fight(&mut it, Instant::now(), 100 * COOL, COOL);
        assert_eq!(repairs.len(), 100);
        assert!(!it.is_hot());
    }

    #[test]
    fn a_fight_is_said_once_a_minute_and_is_forgotten() {
        let begin = Instant::now();
        let mut it = Fight::default();
        let said: Vec<_> = (0..20).map(|n| it.repaired(begin + MS * n)).collect();
        assert_eq!(said[..8], [Say::This; 8]);
        assert_eq!(said[8], Say::Sum(9, MS * 8));
        assert_eq!(said[9..], [Say::Nothing; 11]);
        // As it goes on.
        let mut sums = 0;
        for n in 1..=122 {
            it.heat = HOTTEST;
            sums += u32::from(matches!(it.repaired(begin + COOL * n), Say::Sum(..)));
        }
        assert_eq!(sums, 2);
        let later = begin + COOL * 200;
        assert!(it.may_repair(later));
        assert_eq!(it.repaired(later), Say::This);
    }

    #[test]
    fn the_first_of_those_that_wait_is_due_first() {
        let now = Instant::now();
        let mut fights = Fights::default();
        assert_eq!(fights.at(), None);
        let hot = |heat| {
            let mut it = Fight { heat, cooled: Some(now), last: Some(now), ..Fight::default() };
            assert!(!it.may_repair(now));
            it
        };
        fights.rules = hot(FREE + 3);
        *fights.guest(7) = hot(FREE + 1);
        assert_eq!(fights.at(), Some(now + SHORTEST));
        assert_eq!(fights.guests_due(now), [0; 0]);
        assert_eq!(fights.guests_due(now + SHORTEST), [7]);
        fights.forget(7);
        assert!(fights.at() > Some(now + SHORTEST));
    }
}
