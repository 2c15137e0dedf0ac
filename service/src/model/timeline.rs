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

//! What was done when, counted from the arrival of a call. Pure data, but for the clock.

use super::change::KernelOp;
use std::time::{Duration, Instant};

/// What was done when.
#[derive(Clone, Debug)]
pub struct Timeline {
    start: Instant,
    entries: Vec<Entry>,
}

/// What a call spends its time on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A change to a kernel.
    Kernel(KernelOp),
    /// The target was opened, and the call waited for its turn.
    OpenTarget,
    /// Slot, address and MTU were chosen.
    ChooseSlot,
    /// The guest's network namespace was entered.
    EnterNetns,
    /// What is there already was read.
    Observe,
    /// What was set up was read back.
    ReadBack,
    /// The guest was written to the state directory.
    Store,
    /// The guest's network namespace was left.
    LeaveNetns,
}

impl From<KernelOp> for Operation {
    fn from(operation: KernelOp) -> Self {
        Self::Kernel(operation)
    }
}

/// One entry of a timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What was done.
    pub operation: Operation,
    /// The same in words.
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
    pub fn enter(
        &mut self,
        operation: impl Into<Operation>,
        what: impl Into<String>,
        began: Instant,
    ) {
        let micros = |d: Duration| u64::try_from(d.as_micros()).unwrap_or(u64::MAX);
        self.entries.push(Entry {
            operation: operation.into(),
            what: what.into(),
            start: micros(began.saturating_duration_since(self.start)),
            duration: micros(began.elapsed()),
        });
    }
}
