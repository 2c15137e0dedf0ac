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

//! Attach while others detach, beside attach on an idle device.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::build::Build;
use crate::crowd::{namespaces, on_a_thread, Crowd, Plain};
use crate::error::{Doing, Error, Result};
use crate::floor::Deleter;
use crate::measure::Samples;
use crate::options::Options;
use crate::progress;
use crate::report::cells::{micros, ratio};
use crate::report::table::{Cell, Table};
use crate::service::filter;
use crate::settle::{go, Settle};

/// Guests that are detached meanwhile.
const LEAVING: usize = 100;
/// Clients that detach them.
const CLIENTS: usize = 4;
/// Attaches measured in each round and state, at most.
const COMING: usize = 20;

/// The samples of one subject.
#[derive(Default)]
struct Both {
    idle: Samples,
    busy: Samples,
}

/// Measures it.
pub fn run(options: &Options) -> Result<Table> {
    on_a_thread(|| measure(options))
}

fn measure(options: &Options) -> Result<Table> {
    let (ours, theirs) = (namespaces(LEAVING + COMING)?, namespaces(LEAVING + COMING)?);
    let (coming, leaving) =
        (Crowd::start(&Build::now(options), CLIENTS + 1)?, Plain::new(&filter(&options.bin)?)?);
    let mut guestnetd = OfGuestnetd { crowd: coming, netns: ours };
    let mut floor = OfFloor::new(leaving, theirs)?;
    let mut settle = Settle::new()?;
    let mut both = [Both::default(), Both::default()];
    let rounds = options.rounds(30);
    for round in 0..rounds + 1 {
        // Warm, and thrown away.
        if round == 1 {
            both = Default::default();
        }
        for who in [round % 2, (round + 1) % 2] {
            if who == 0 {
                guestnetd.round(round, &mut both[0], &mut settle)?;
            } else {
                floor.round(round, &mut both[1], &mut settle)?;
            }
        }
        progress::show("concurrent", round, rounds);
    }
    Ok(table(rounds, &both))
}

fn table(rounds: usize, both: &[Both; 2]) -> Table {
    let columns = ["", "samples", "median", "p99", "median against idle", "p99 against idle"];
    let title = format!("Attach while {LEAVING} detaches run");
    let mut table = Table::new("concurrent", &title, &columns);
    for (name, both) in ["guestnetd", "the floor"].iter().zip(both) {
        for (state, samples) in [("idle", &both.idle), ("busy", &both.busy)] {
            let p99 = samples.percentile(99.0);
            let idle = both.idle.percentile(99.0);
            table.row(
                format!("{name}, {state}"),
                vec![
                    Cell::Number(samples.len() as f64, String::new()),
                    micros(samples.median()),
                    micros(p99),
                    ratio(samples.ratio(&both.idle)),
                    ratio(p99.zip(idle).map(|(p99, idle)| p99 / idle)),
                ],
            );
        }
    }
    let tails = both[0].busy.percentile(99.0).zip(both[0].idle.percentile(99.0));
    let times = tails.map(|(busy, idle)| busy / idle);
    table.target(
        &format!("attach p99 while {LEAVING} detaches run"),
        "at most 2x idle",
        times.map(|times| (format!("{times:.2}x"), times <= 2.0)),
    );
    table.method.push(format!(
        "{rounds} rounds. {LEAVING} guests are there. Idle: one client attaches {COMING} more, one \
         after the other. Busy: the same while {CLIENTS} other clients detach the {LEAVING}; only \
         attaches that began before the last detach was answered count. The floor's {LEAVING} go by \
         one RTM_DELLINK each from {CLIENTS} threads, until the kernel's answer: what the kernel \
         itself makes an attach wait."
    ));
    table
}

struct OfGuestnetd {
    crowd: Crowd,
    netns: Vec<OwnedFd>,
}

impl OfGuestnetd {
    fn round(&mut self, round: usize, both: &mut Both, settle: &mut Settle) -> Result<()> {
        for busy in [round.is_multiple_of(2), !round.is_multiple_of(2)] {
            self.crowd.up(&self.netns[..LEAVING], CLIENTS)?;
            settle.settle()?;
            let began = if busy {
                let over = AtomicBool::new(false);
                thread::scope(|scope| {
                    let leave = scope.spawn(|| {
                        let done = self.crowd.down(LEAVING, CLIENTS);
                        over.store(true, Ordering::Release);
                        done
                    });
                    let began = self.come(&mut both.busy, &over);
                    leave.join().map_err(|_| Error::new("a panic, told above"))??;
                    began
                })?
            } else {
                let began = self.come(&mut both.idle, &AtomicBool::new(false))?;
                self.crowd.down(LEAVING, CLIENTS)?;
                began
            };
            for at in LEAVING..LEAVING + began {
                self.crowd.detach(at)?;
            }
            settle.settle()?;
        }
        Ok(())
    }

    /// Attaches until it is over; gives how many.
    fn come(&self, samples: &mut Samples, over: &AtomicBool) -> Result<usize> {
        for at in 0..COMING {
            if over.load(Ordering::Acquire) {
                return Ok(at);
            }
            samples.push(self.crowd.attach(LEAVING + at, &self.netns[LEAVING + at])?);
        }
        Ok(COMING)
    }
}

struct OfFloor {
    plain: Plain,
    deleters: Vec<Deleter>,
    netns: Vec<OwnedFd>,
}

impl OfFloor {
    fn new(plain: Plain, netns: Vec<OwnedFd>) -> Result<Self> {
        go(&plain.device)?;
        let deleters = (0..CLIENTS).map(|_| Deleter::start()).collect::<Result<_, _>>()?;
        Ok(Self { plain, deleters, netns })
    }

    fn round(&mut self, round: usize, both: &mut Both, settle: &mut Settle) -> Result<()> {
        for busy in [round.is_multiple_of(2), !round.is_multiple_of(2)] {
            for at in 0..LEAVING {
                self.plain.attach(at, &self.netns[at])?;
            }
            settle.settle()?;
            let mut began = 0;
            let mut left = LEAVING;
            if busy {
                for at in 0..LEAVING {
                    let index = self.plain.floor.index(at as u32);
                    self.deleters[at % CLIENTS].delete(index)?;
                }
            }
            while began < COMING && (!busy || left > 0) {
                let at = LEAVING + began;
                let samples = if busy { &mut both.busy } else { &mut both.idle };
                samples.push(self.plain.attach(at, &self.netns[at])?);
                began += 1;
                left -= self.gone()?.min(left);
            }
            while busy && left > 0 {
                left -= self.gone()?.min(left);
                thread::yield_now();
            }
            self.plain.floor.delete_all().doing("the floor's group delete")?;
            settle.settle()?;
        }
        Ok(())
    }

    /// How many more deletes the kernel has answered.
    fn gone(&self) -> Result<usize> {
        let counts = self.deleters.iter().map(Deleter::finished);
        Ok(counts.sum::<std::io::Result<usize>>()?)
    }
}
