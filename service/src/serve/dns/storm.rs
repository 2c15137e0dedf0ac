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

//! Guests that send much more than they may: what they send is thrown away by the kernel for a while, so
//! that it fills no buffer that all guests share. Pure.

use crate::model::if_index::IfIndex;
use crate::ordered::OrderedMap;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How long is counted.
const WINDOW: Duration = Duration::from_millis(250);
/// So many useless messages within it are a storm: four times what a guest may have on its way.
const MOST: u32 = 4 * super::forward::OF_A_GUEST as u32;
/// How long a guest is not heard, and again for as long as it goes on.
const SHUT: Duration = Duration::from_millis(500);
/// How many guests are not heard at most: each is looked for in every datagram.
const MOST_SHUT: usize = 32;

/// Guests by the indexes of their host ends.
#[derive(Debug, Default)]
pub struct Storms {
    began: Option<Instant>,
    useless: HashMap<IfIndex, u32>,
    shut: OrderedMap<IfIndex, Instant>,
}

impl Storms {
    /// A guest has sent something that is refused or thrown away. Tells whether it is a storm now.
    pub fn useless(&mut self, guest: IfIndex, now: Instant) -> bool {
        if self.began.into_iter().all(|began| now.saturating_duration_since(began) > WINDOW) {
            self.began = Some(now);
            self.useless.clear();
        }
        let count = self.useless.entry(guest).or_default();
        *count += 1;
        if *count < MOST || self.shut.len() >= MOST_SHUT || self.is_shut(guest) {
            return false;
        }
        self.shut.insert(guest, now + SHUT);
        true
    }

    /// Whether a guest is not heard: what it had sent before may still come.
    pub fn is_shut(&self, guest: IfIndex) -> bool {
        self.shut.contains_key(&guest)
    }

    /// Those that are not heard.
    pub fn shut(&self) -> impl Iterator<Item = IfIndex> + '_ {
        self.shut.keys().copied()
    }

    /// When [`Self::expire`] has something to do.
    pub fn due(&self) -> Option<Instant> {
        self.shut.values().min().copied()
    }

    /// Hears those again whose time is over, unless the kernel has thrown away so many meanwhile that it
    /// goes on. Tells whether one is heard again.
    pub fn expire(&mut self, now: Instant, thrown_away: u32) -> bool {
        let before = self.shut.len();
        if thrown_away >= MOST {
            self.shut.values_mut().filter(|at| **at <= now).for_each(|at| *at = now + SHUT);
        } else {
            self.shut.retain(|_, at| *at > now);
        }
        self.shut.len() != before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_is_many_at_once_and_is_over_when_it_is_over() {
        let (mut storms, mut now) = (Storms::default(), Instant::now());
        for _ in 0..10 * MOST {
            assert!(!storms.useless(IfIndex::of(1), now), "now and then");
            now += WINDOW / (MOST / 2);
        }
        now += 2 * WINDOW;
        assert!((1..MOST).all(|_| !storms.useless(IfIndex::of(1), now)));
        assert!(!storms.useless(IfIndex::of(2), now), "each counts for itself");
        assert!(storms.useless(IfIndex::of(1), now));
        assert!(!storms.useless(IfIndex::of(1), now), "once");
        assert_eq!(
            (storms.shut().collect::<Vec<_>>(), storms.due()),
            (vec![IfIndex::of(1)], Some(now + SHUT))
        );
        assert!(!storms.expire(now, 0), "not yet");
        now += SHUT;
        assert!(!storms.expire(now, MOST), "it goes on");
        assert_eq!(storms.due(), Some(now + SHUT));
        now += SHUT;
        assert!(storms.expire(now, MOST - 1));
        assert_eq!((storms.shut().count(), storms.due()), (0, None));
    }

    #[test]
    fn there_are_only_so_many() {
        let (mut storms, now) = (Storms::default(), Instant::now());
        for guest in 1..=100 {
            let shut = (0..2 * MOST).filter(|_| storms.useless(IfIndex::of(guest), now)).count();
            assert!(shut <= 1);
        }
        assert_eq!(storms.shut().count(), MOST_SHUT);
    }
}
