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

use std::time::{Duration, Instant};

/// What was done when.
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
        let micros = |d: Duration| u64::try_from(d.as_micros()).unwrap_or(u64::MAX);
        self.entries.push(Entry {
            what: what.into(),
            start: micros(began.saturating_duration_since(self.start)),
            duration: micros(began.elapsed()),
        });
    }
}
