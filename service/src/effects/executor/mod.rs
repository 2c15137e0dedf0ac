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

//! Does steps one after the other; when one fails, takes those back that were done. It is the only
//! way from a plan to the kernel: tests make it fail, or die, before and after any step.

mod group_delete;
pub mod kernel;
pub mod link_deleter;
pub(crate) mod marks;

use crate::error::Error;
use crate::model::timeline::Timeline;
use crate::model::Reversible;
use std::time::Instant;

/// Does one step.
pub trait Executor<S> {
    /// Does `step`; when this is `Ok`, it is done in the kernel.
    fn run(&mut self, step: &S) -> Result<(), Error>;
    /// Whether a step that failed in this way was done all the same: an answer may be lost or torn.
    /// Looks at what is there.
    fn is_done(&mut self, step: &S, error: &Error) -> bool;
}

/// Does all `steps`, or none: a failure takes back what was done, and is the answer. What was done
/// is in the timeline; `who` is for the log of what was not.
pub fn apply<S: Reversible>(
    who: &str,
    steps: &[S],
    executor: &mut impl Executor<S>,
    timeline: &mut Timeline,
) -> Result<(), Error> {
    for (done, step) in steps.iter().enumerate() {
        if let Err(error) = run(who, step, executor, timeline) {
            let done = done + usize::from(executor.is_done(step, &error));
            return Err(undo(who, steps.get(..done).unwrap_or(steps), executor, error));
        }
    }
    Ok(())
}

/// Does `steps` until one fails, which is the answer, and keeps what was done: for what others have
/// taken away, where more of it is better than less.
pub fn put_back<S: Reversible>(
    who: &str,
    steps: &[S],
    executor: &mut impl Executor<S>,
    timeline: &mut Timeline,
) -> Result<(), Error> {
    steps.iter().try_for_each(|step| run(who, step, executor, timeline))
}

/// Takes `done` back, in reverse. Goes on after a failure, and reports all of them.
pub fn undo<S: Reversible>(
    who: &str,
    done: &[S],
    executor: &mut impl Executor<S>,
    first: Error,
) -> Error {
    let mut failures = Vec::new();
    for step in S::way_back(done) {
        match executor.run(&step) {
            Ok(()) => log::info!("{who}: undone by: {}", step.describe()),
            Err(e) => {
                log::error!("{who}: {} failed: {e}", step.describe());
                failures.push(e.to_string());
            }
        }
    }
    if failures.is_empty() {
        return first;
    }
    Error::Undo { first: Box::new(first), then: failures.join("; ") }
}

fn run<S: Reversible>(
    who: &str,
    step: &S,
    executor: &mut impl Executor<S>,
    timeline: &mut Timeline,
) -> Result<(), Error> {
    let began = Instant::now();
    let result = executor.run(step);
    match &result {
        Ok(()) => timeline.enter(step.operation(), step.describe(), began),
        Err(error) => log::error!("{who}: {} failed: {error}", step.describe()),
    }
    result
}
