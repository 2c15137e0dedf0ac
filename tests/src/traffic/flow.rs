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

//! What a guest's probes tell of its traffic. Pure.

use std::time::{Duration, Instant};

/// One probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// When it was sent.
    pub at: Instant,
    /// Whether its answer came.
    pub answered: bool,
}

/// What follows from them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// From the last change until the first probe after it was sent that is answered; zero if traffic
    /// flowed then already.
    pub again: Duration,
    /// From the last change until the first probe that no unanswered one follows.
    pub for_good: Duration,
    /// The longest time without traffic: from the first unanswered probe to the next answered one.
    pub stopped: Duration,
}

/// Of the probes of an event, whose last change was then; none if traffic does not come back.
pub fn flow(sent: &[Sent], last_change: Instant) -> Option<Flow> {
    let after = sent.iter().position(|probe| probe.at > last_change)?;
    let first = sent[after..].iter().find(|probe| probe.answered)?.at;
    let flowed = sent[after].answered && after.checked_sub(1).is_none_or(|at| sent[at].answered);
    let lost = sent.iter().rposition(|probe| !probe.answered);
    let good = match lost {
        Some(lost) if lost >= after => sent.get(lost + 1)?.at,
        _ => first,
    };
    let since = |at: Instant| if flowed { Duration::ZERO } else { at - last_change };
    let for_good = if good == first { since(good) } else { good - last_change };
    Some(Flow { again: since(first), for_good, stopped: longest(sent) })
}

fn longest(sent: &[Sent]) -> Duration {
    let (mut longest, mut since) = (Duration::ZERO, None);
    for probe in sent {
        if !probe.answered {
            since.get_or_insert(probe.at);
        } else if let Some(since) = since.take() {
            longest = longest.max(probe.at - since);
        }
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One probe every 250 us, `x` answered and `.` not; what follows, in microseconds.
    fn told(probes: &str, last_change: u64) -> Option<[u128; 3]> {
        let begin = Instant::now();
        let us = Duration::from_micros;
        let at =
            |(n, c): (usize, char)| Sent { at: begin + us(250 * n as u64), answered: c == 'x' };
        let sent: Vec<Sent> = probes.chars().enumerate().map(at).collect();
        let flow = flow(&sent, begin + us(last_change))?;
        Some([flow.again, flow.for_good, flow.stopped].map(|time| time.as_micros()))
    }

    #[test]
    fn traffic_that_never_stopped_flows_at_once() {
        assert_eq!(told("xxxxxxxx", 600), Some([0, 0, 0]));
    }

    #[test]
    fn the_first_answered_after_the_last_change_counts() {
        assert_eq!(told("xx....xx", 600), Some([900, 900, 1000]));
        assert_eq!(told("xx....xx", 1400), Some([100, 100, 1000]), "the very next one");
    }

    #[test]
    fn traffic_that_was_back_before_the_last_change_flows_at_once() {
        assert_eq!(told("xx..xxxx", 1300), Some([0, 0, 500]));
    }

    #[test]
    fn traffic_that_stops_again_is_not_back_for_good() {
        assert_eq!(told("x...xx.xx", 300), Some([700, 1450, 750]));
        assert_eq!(told("xxxxx..xx", 300), Some([0, 1450, 500]), "it stopped later");
    }

    #[test]
    fn traffic_that_does_not_come_back_is_told() {
        assert_eq!(told("xx......", 600), None);
        assert_eq!(told("xx..x...", 600), None, "back, and gone again");
        assert_eq!(told("xxxx", 5000), None, "no probe after it");
        assert_eq!(told("", 0), None);
    }
}
