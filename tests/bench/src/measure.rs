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

//! Samples and what is told of them; the order of interleaved subjects. Pure, but for the clock.

use std::time::{Duration, Instant};

/// What was measured again and again, in microseconds.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// Adds one.
    pub fn push(&mut self, time: Duration) {
        self.0.push(micros(time));
    }

    /// Adds one in microseconds.
    pub fn push_micros(&mut self, micros: f64) {
        self.0.push(micros);
    }

    /// Adds all of another's.
    pub fn extend(&mut self, other: &Self) {
        self.0.extend(&other.0);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The value that this share of the samples does not exceed (nearest rank); none of none.
    pub fn percentile(&self, percent: f64) -> Option<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.max(1) - 1).copied()
    }

    /// The middle one; of an even number the mean of the middle two.
    pub fn median(&self) -> Option<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let high = *sorted.get(sorted.len() / 2)?;
        let odd = sorted.len() % 2 == 1;
        Some(if odd { high } else { (sorted[sorted.len() / 2 - 1] + high) / 2.0 })
    }

    /// The smallest.
    pub fn min(&self) -> Option<f64> {
        self.0.iter().copied().min_by(f64::total_cmp)
    }

    /// Of each round, the sum of both.
    pub fn plus(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(a, b)| a + b).collect())
    }

    /// How many times as much as `base`, in the middle one of all rounds: what disturbs a round
    /// disturbs both.
    pub fn against(&self, base: &Self) -> Option<f64> {
        let rounds = self.0.iter().zip(&base.0).filter(|(_, base)| **base > 0.0);
        rounds.map(|(own, base)| own / base).collect::<Self>().median()
    }

    /// The largest.
    pub fn max(&self) -> Option<f64> {
        self.0.iter().copied().max_by(f64::total_cmp)
    }

    /// How many times as much as `base`, by the medians.
    pub fn ratio(&self, base: &Self) -> Option<f64> {
        Some(self.median()? / base.median().filter(|base| *base > 0.0)?)
    }
}

impl FromIterator<f64> for Samples {
    fn from_iter<T: IntoIterator<Item = f64>>(micros: T) -> Self {
        Self(micros.into_iter().collect())
    }
}

/// A time in microseconds.
pub fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// The order of `count` subjects in a round: everybody goes first in turn, and nobody always has
/// the same neighbours before it.
pub fn order(round: usize, count: usize) -> impl Iterator<Item = usize> {
    let backwards = count > 0 && (round / count) % 2 == 1;
    (0..count).map(move |place| {
        let at = (place + round) % count;
        if backwards {
            count - 1 - at
        } else {
            at
        }
    })
}

/// What something spent its time on, step by step.
#[derive(Clone, Debug)]
pub struct Steps {
    last: Instant,
    entries: Vec<(String, f64)>,
}

impl Steps {
    /// Begins now.
    pub fn begin() -> Self {
        Self { last: Instant::now(), entries: Vec::with_capacity(16) }
    }

    /// The step that has just ended.
    pub fn done(&mut self, what: &str) {
        let now = Instant::now();
        self.entries.push((what.to_owned(), micros(now - self.last)));
        self.last = Instant::now();
    }

    /// Steps and their microseconds.
    pub fn entries(self) -> Vec<(String, f64)> {
        self.entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(list: &[f64]) -> Samples {
        list.iter().copied().collect()
    }

    #[test]
    fn percentiles_by_nearest_rank() {
        let hundred: Samples = (1..=100).rev().map(f64::from).collect();
        assert_eq!(hundred.percentile(99.0), Some(99.0));
        assert_eq!(hundred.percentile(90.0), Some(90.0));
        assert_eq!(hundred.percentile(100.0), Some(100.0));
        assert_eq!(hundred.percentile(0.0), Some(1.0));
        assert_eq!((hundred.median(), hundred.min()), (Some(50.5), Some(1.0)));
        let thirty: Samples = (1..=30).map(f64::from).collect();
        assert_eq!(thirty.percentile(99.0), Some(30.0), "of few samples it is the worst");
        assert_eq!(samples(&[3.0, 1.0, 2.0]).median(), Some(2.0));
    }

    #[test]
    fn of_nothing_nothing() {
        let none = Samples::default();
        assert_eq!((none.median(), none.percentile(99.0), none.min()), (None, None, None));
        assert_eq!(samples(&[1.0]).ratio(&none), None);
        assert_eq!(samples(&[1.0]).ratio(&samples(&[0.0])), None);
    }

    #[test]
    fn sums_go_by_round() {
        let sum = samples(&[1.0, 2.0, 3.0]).plus(&samples(&[30.0, 20.0, 10.0]));
        assert_eq!(sum.median(), Some(22.0));
        assert_eq!(sum.ratio(&samples(&[11.0])), Some(2.0));
        let (own, base) = (samples(&[1.0, 9.0, 300.0]), samples(&[1.0, 3.0, 100.0]));
        assert_eq!((own.against(&base), own.max()), (Some(3.0), Some(300.0)));
    }

    #[test]
    fn everybody_is_in_every_round_and_in_every_place() {
        for count in 1..6 {
            let mut places = vec![vec![0; count]; count];
            for round in 0..2 * count {
                let mut seen = vec![false; count];
                for (place, who) in order(round, count).enumerate() {
                    assert!(!std::mem::replace(&mut seen[who], true));
                    places[who][place] += 1;
                }
            }
            assert!(places.iter().flatten().all(|&times| times == 2), "{places:?}");
        }
        assert_eq!(order(3, 0).count(), 0);
    }
}
