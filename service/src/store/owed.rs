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

//! What is to be in the state's files and could not be written: of each the last, and when it is tried again.

use super::{ForwardingRecord, LockdownRecord, Record};
use crate::model::backoff::{Backoff, RETRY};
use crate::ordered::OrderedMap;
use crate::spec::GuestName;
use std::time::Instant;

/// What is owed.
#[derive(Debug, Default)]
pub(super) struct Owed {
    /// Names, and what is to be kept of them.
    pub(super) records: OrderedMap<GuestName, Record>,
    /// The forwarding switch.
    pub(super) forwarding: Option<ForwardingRecord>,
    /// The lockdown.
    pub(super) lockdown: Option<LockdownRecord>,
    retries: Option<Backoff>,
}

impl Owed {
    /// It could not be written just now.
    pub(super) fn failed(&mut self) {
        self.retries.get_or_insert_with(|| Backoff::new(&RETRY)).acted(Instant::now());
    }

    /// When it is tried again; none: nothing is owed.
    pub(super) fn at(&mut self) -> Option<Instant> {
        if self.records.is_empty() && self.forwarding.is_none() && self.lockdown.is_none() {
            self.retries = None;
        }
        self.retries.as_ref()?.next()
    }
}
