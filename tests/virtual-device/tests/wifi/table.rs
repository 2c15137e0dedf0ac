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

//! What is told of the events, and what is wanted.

use std::fmt::Write;
use std::time::Duration;

use guestnet_tests::traffic::Flow;

use super::bed::Outcome;
use super::event::Event;

/// A guest's traffic flows no later after the device's own, on the machine of BENCHMARKS.md.
pub const SLACK: Duration = Duration::from_millis(10);

const HEAD: [&str; 12] = [
    "", "guest", "worst", "device", "worst", "limit", "guest", "worst", "device", "kept",
    "streams", "packets",
];

/// Events and their rounds.
pub type Rows = [(Event, Vec<Outcome>)];

/// The table: in milliseconds, median and worst.
pub fn of(rows: &Rows, slack: Duration) -> String {
    let mut text = format!(
        "In ms, median and worst. Limit: as long as the device itself, and {} more.\n{:36} {:^44}  {:^30}\n",
        ms(slack),
        "",
        "from the last announcement to traffic",
        "without traffic"
    );
    let mut line = |cells: [String; 12]| {
        let [name, cells @ ..] = cells;
        let cells: String = cells.iter().map(|cell| format!(" {cell:>8}")).collect();
        let _ = writeln!(text, "{name:36}{cells}");
    };
    let of = |outcomes: &[Outcome], what: fn(&Outcome) -> bool| {
        format!("{}/{}", outcomes.iter().filter(|o| what(o)).count(), outcomes.len())
    };
    line(HEAD.map(str::to_owned));
    for (event, outcomes) in rows {
        let times = |whose, what| sorted(outcomes, whose, what);
        let (again, stopped) = (|flow: Flow| flow.again, |flow: Flow| flow.stopped);
        let again = [times(guest, again), times(device, again)];
        let stopped = [times(guest, stopped), times(device, stopped)];
        line([
            event.name().to_owned(),
            ms(median(&again[0])),
            ms(worst(&again[0])),
            ms(median(&again[1])),
            ms(worst(&again[1])),
            ms(median(&again[1]) + slack),
            ms(median(&stopped[0])),
            ms(worst(&stopped[0])),
            ms(median(&stopped[1])),
            of(outcomes, |outcome| outcome.kept),
            of(outcomes, |outcome| outcome.lived),
            outcomes.iter().map(|outcome| outcome.found.forwarded).sum::<u64>().to_string(),
        ]);
    }
    text
}

/// Panics unless everything is as it is to be.
#[track_caller]
pub fn assert_reached(rows: &Rows, slack: Duration) {
    for (event, outcomes) in rows {
        let name = event.name();
        for outcome in outcomes {
            outcome.found.assert_clean();
            assert!(outcome.found.forwarded > 0, "{name}: {outcome:?}");
            let (guest, device) = (outcome.guest, outcome.device);
            let guest = guest.unwrap_or_else(|| panic!("{name}: no traffic of the guest"));
            let device = device.unwrap_or_else(|| panic!("{name}: no traffic of the device"));
            let noticed = event.is_short() || device.stopped > Duration::ZERO;
            assert!(noticed, "{name}: nothing has happened: {outcome:?}");
            // The latter because the former is 0 where the last announcement is no cause of anything.
            for time in [|flow: Flow| flow.again, |flow: Flow| flow.stopped] {
                let limit = time(device) + slack;
                assert!(time(guest) <= limit, "{name}: not within {limit:?}: {outcome:?}");
            }
            let lived = !event.keeps_connections() || (outcome.kept && outcome.lived);
            assert!(lived, "{name}: connections are lost: {outcome:?}");
        }
    }
}

fn guest(outcome: &Outcome) -> Option<Flow> {
    outcome.guest
}

fn device(outcome: &Outcome) -> Option<Flow> {
    outcome.device
}

fn sorted(
    outcomes: &[Outcome],
    whose: fn(&Outcome) -> Option<Flow>,
    what: fn(Flow) -> Duration,
) -> Vec<Duration> {
    let mut times: Vec<_> = outcomes.iter().filter_map(whose).map(what).collect();
    times.sort();
    times
}

fn median(sorted: &[Duration]) -> Duration {
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

fn worst(sorted: &[Duration]) -> Duration {
    sorted.last().copied().unwrap_or_default()
}

fn ms(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1e3)
}
