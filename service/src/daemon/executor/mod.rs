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

//! Does steps in order, and undoes them in reverse when one fails. The executor is the one seam
//! to the kernel: tests make it fail, or die, at any step.

pub mod kernel;

use crate::error::Error;
use crate::model::Step;
use std::time::Instant;

/// Does one step.
pub trait Executor {
    /// Does `step`; when this is `Ok`, it is done in the kernel.
    fn run(&mut self, step: &Step) -> Result<(), Error>;
}

/// What was done when, counted from the arrival of the call.
#[derive(Clone, Debug)]
pub struct Timeline {
    start: Instant,
    entries: Vec<Entry>,
}

/// One entry of a timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What was done.
    pub what: String,
    /// Microseconds from the arrival of the call.
    pub start: u64,
    /// Microseconds that it took.
    pub duration: u64,
}

impl Timeline {
    /// A timeline of a call that arrived at `start`.
    pub fn new(start: Instant) -> Self {
        Self { start, entries: Vec::new() }
    }

    /// The entries, in order.
    pub fn into_entries(self) -> Vec<Entry> {
        self.entries
    }

    /// Enters what began at `began` and ends now.
    pub fn enter(&mut self, what: impl Into<String>, began: Instant) {
        let micros = |d: std::time::Duration| u64::try_from(d.as_micros()).unwrap_or(u64::MAX);
        self.entries.push(Entry {
            what: what.into(),
            start: micros(began.saturating_duration_since(self.start)),
            duration: micros(began.elapsed()),
        });
    }
}

/// Does all `steps`, or none: a failure takes back what was done, and is the answer. What was done
/// is in the timeline; `who` is for the log of what was not.
pub fn apply(
    who: &str,
    steps: &[Step],
    executor: &mut impl Executor,
    timeline: &mut Timeline,
) -> Result<(), Error> {
    for (done, step) in steps.iter().enumerate() {
        let began = Instant::now();
        if let Err(error) = executor.run(step) {
            log::error!("{who}: {} failed: {error}", step.what());
            return Err(undo(who, &steps[..done], executor, error));
        }
        timeline.enter(step.what(), began);
    }
    Ok(())
}

/// Takes `done` back, in reverse. Goes on after a failure, and reports all of them.
pub fn undo(who: &str, done: &[Step], executor: &mut impl Executor, first: Error) -> Error {
    let mut failures = Vec::new();
    for step in done.iter().rev().filter_map(Step::undo) {
        match executor.run(&step) {
            Ok(()) => log::info!("{who}: undone by: {}", step.what()),
            Err(e) => {
                log::error!("{who}: {} failed: {e}", step.what());
                failures.push(e.to_string());
            }
        }
    }
    if failures.is_empty() {
        return first;
    }
    Error::Undo { first: Box::new(first), then: failures.join("; ") }
}
