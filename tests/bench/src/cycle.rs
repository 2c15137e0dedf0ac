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

//! Attach and detach of many subjects in one interleaved run: each round, everybody once, in an
//! order that changes; a fresh guest each time; everything settled before the next one's turn.

use std::collections::HashMap;
use std::thread;

use guestnet_tests::{Guest, Internet, Probe};

use crate::error::{Error, Result};
use crate::in_use::InUse;
use crate::measure::{order, Samples};
use crate::progress;
use crate::settle::{go, Settle};
use crate::subject::{Cost, Missing, Subject};

/// Rounds that are not counted: caches are filled, and every subject is tried for real.
const WARM_UP: usize = 2;

/// What was measured of one subject.
#[derive(Debug, Default)]
pub struct Measured {
    /// Its name.
    pub name: String,
    /// Its attaches.
    pub attach: Action,
    /// Its detaches.
    pub detach: Action,
    /// Why there is nothing.
    pub skipped: Option<String>,
}

/// What was measured of one action.
#[derive(Debug, Default)]
pub struct Action {
    /// From the order to the answer.
    pub wall: Samples,
    /// Processor time.
    pub cpu: Samples,
    /// The steps that are known, in order, by name.
    pub steps: Vec<(String, Samples)>,
}

impl Action {
    fn add(&mut self, cost: Cost) {
        self.wall.push(cost.wall);
        self.cpu.push(cost.cpu);
        // A name can come twice in one action.
        let mut seen = HashMap::new();
        for (name, micros) in cost.steps {
            let times = seen.entry(name.clone()).or_insert(0);
            let same = self.steps.iter_mut().filter(|(known, _)| *known == name);
            match same.skip(*times).map(|(_, samples)| samples).next() {
                Some(samples) => samples.push_micros(micros),
                None => self.steps.push((name, [micros].into_iter().collect())),
            }
            *times += 1;
        }
    }
}

/// Runs the subjects and gives what was measured, in their order, those that are missing last.
pub fn run(
    table: &str,
    rounds: usize,
    mut subjects: Vec<Box<dyn Subject + Send>>,
    missing: Vec<Missing>,
) -> Result<Vec<Measured>> {
    let cycle = || {
        let mut measured: Vec<Measured> = subjects.iter().map(|s| named(s.name())).collect();
        let in_use =
            subjects.iter().map(|s| InUse::open(s.device())).collect::<Result<Vec<_>>>()?;
        let mut settle = Settle::new()?;
        // They end together and late: the end of a namespace would disturb who comes next.
        let mut guests = Vec::new();
        for round in 0..WARM_UP + rounds {
            for at in order(round, subjects.len()) {
                let (subject, measured) = (&mut subjects[at], &mut measured[at]);
                if measured.skipped.is_some() {
                    continue;
                }
                let guest = Guest::new();
                go(subject.device())?;
                match once(subject.as_mut(), &guest, &in_use[at], round == 0) {
                    Ok(_) if round < WARM_UP => {}
                    Ok((attach, detach)) => {
                        measured.attach.add(attach);
                        measured.detach.add(detach);
                    }
                    Err(e) if subject.needed() => return Err(e),
                    Err(e) => *measured = skipped(subject.name(), e.to_string()),
                }
                guests.push(guest);
                settle.settle()?;
            }
            progress::show(table, round + 1, WARM_UP + rounds);
        }
        Ok(measured)
    };
    let done = thread::scope(|scope| scope.spawn(cycle).join());
    let mut measured = done.map_err(|_| Error::new(format!("{table}: a panic, told above")))??;
    measured.extend(missing.into_iter().map(|missing| skipped(missing.name, missing.why)));
    Ok(measured)
}

fn once(
    subject: &mut dyn Subject,
    guest: &Guest,
    in_use: &InUse,
    check: bool,
) -> Result<(Cost, Cost)> {
    let attach = subject.attach(guest)?;
    if check && subject.connects() && !guest.ping(Internet::ADDRESS) {
        let text = format!("{}: its guest does not reach the internet", subject.name());
        return Err(Error::new(text));
    }
    in_use.speak()?;
    Ok((attach, subject.detach(guest)?))
}

fn named(name: String) -> Measured {
    Measured { name, ..Measured::default() }
}

fn skipped(name: String, why: String) -> Measured {
    progress::warn(&format!("{name}: {why}"));
    Measured { skipped: Some(why), ..named(name) }
}
