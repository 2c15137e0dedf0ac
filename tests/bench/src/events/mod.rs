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

//! From an event on a device that netd shapes to the traffic that flows again, with guestnetd and,
//! where that can be had, with its part done by the bench itself.

mod bed;
mod floor;
mod kind;
mod table;

use std::thread::sleep;
use std::time::Duration;

use guestnet_tests::traffic::Flow;

use crate::crowd::on_a_thread;
use crate::error::{Doing, Result};
use crate::measure::{order, Samples};
use crate::options::Options;
use crate::progress;
use crate::report::table::Table;
use bed::{Bed, Outcome};
use kind::{Kind, Whose, ALL};

/// How often the guestnetd looks that is to find what is not announced, in seconds.
const CHECK_EVERY: u64 = 1;
const UPLINKS: &str = "wlan0,rmnet*";

/// What was measured of one event.
#[derive(Default)]
pub struct Measured {
    kind: Kind,
    outcomes: Vec<Outcome>,
    /// Of the floor: until traffic flows, or the wrapper's bare calls.
    floor: Samples,
    /// Of the floor: the longest time without traffic.
    floor_stopped: Samples,
}

/// What was measured of the floor.
struct Floor {
    /// Until traffic flows, or the wrapper's bare calls.
    again: Duration,
    /// The longest time without traffic, where there is any.
    stopped: Option<Duration>,
}

/// Measures it.
pub fn run(options: &Options) -> Result<Table> {
    on_a_thread(|| measure(options))
}

fn measure(options: &Options) -> Result<Table> {
    let rounds = options.rounds(20);
    let period = CHECK_EVERY.to_string();
    let mut beds = Beds {
        usual: Bed::new(options, &[])?,
        several: Bed::new(options, &["--uplink", UPLINKS])?,
        checking: Bed::new(options, &["--check-every", &period])?,
        floor: Bed::deserted(options, &["--uplink", UPLINKS])?,
    };
    let start = |kind| Measured { kind, ..Measured::default() };
    let mut measured = ALL.map(start);
    // The first round warms up.
    for round in 0..rounds + 1 {
        for at in order(round, ALL.len()) {
            let one = &mut measured[at];
            if one.kind.whose() == Whose::Checking {
                // Not always at the same time after guestnetd has looked.
                sleep(Duration::from_millis(round as u64 * 370 % (CHECK_EVERY * 1000)));
            }
            let (outcome, floor) = beds.turn(one.kind, round).doing(one.kind.name())?;
            if round > 0 {
                one.add(outcome, floor);
            }
        }
        progress::show("events", round, rounds);
    }
    let watched = beds.all().map(Bed::stop_watching);
    Ok(table::of(rounds, &measured, &watched))
}

impl Measured {
    fn add(&mut self, outcome: Outcome, floor: Option<Floor>) {
        self.outcomes.push(outcome);
        if let Some(floor) = floor {
            self.floor.push(floor.again);
            floor.stopped.into_iter().for_each(|time| self.floor_stopped.push(time));
        }
    }
}

/// The devices, each with a guestnetd of its own, the last without.
struct Beds {
    usual: Bed,
    several: Bed,
    checking: Bed,
    floor: Bed,
}

impl Beds {
    /// An event for guestnetd and for the floor, who begin in turn.
    fn turn(&mut self, kind: Kind, round: usize) -> Result<(Outcome, Option<Floor>)> {
        if !kind.has_floor() {
            let outcome = self.of(kind).take(kind)?;
            // Of netd's start, only as many calls of the wrapper.
            let calls = outcome.calls.len();
            let bare = matches!(kind, Kind::Restart(_)) && calls > 0;
            let floor = bare.then(|| Floor { again: self.floor.bare_calls(calls), stopped: None });
            return Ok((outcome, floor));
        }
        let floor_first = round % 2 == 1;
        let before = floor_first.then(|| self.floor.take_fixed(kind)).transpose()?;
        let outcome = self.of(kind).take(kind)?;
        let flow = before.map_or_else(|| self.floor.take_fixed(kind), Ok)?;
        let of = |time: fn(&Flow) -> Duration| flow.as_ref().map_or(bed::LIMIT, time);
        let (again, stopped) = (of(|flow| flow.again), of(|flow| flow.stopped));
        Ok((outcome, Some(Floor { again, stopped: Some(stopped) })))
    }

    fn of(&mut self, kind: Kind) -> &mut Bed {
        match kind.whose() {
            Whose::Usual => &mut self.usual,
            Whose::Several => &mut self.several,
            Whose::Checking => &mut self.checking,
        }
    }

    fn all(&mut self) -> [&mut Bed; 3] {
        [&mut self.usual, &mut self.several, &mut self.checking]
    }
}
