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

//! Calls run on threads of guestnetd's, and their answers are waited for: not for ever, and not after a crash.

use super::{Bed, Outcome, MS, S};
use crate::schedule::{inside, schedule, Nanos};
use crate::world::world;
use std::sync::{Arc, Mutex};

/// The longest that any call may take.
const LONGEST: Nanos = 60 * S;

/// The answer of a call, once it is there.
pub(super) type Answer<T> = Arc<Mutex<Option<T>>>;

impl Bed {
    /// Begins something on a thread of guestnetd's.
    pub(super) fn begin<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Answer<T> {
        let answer = Answer::default();
        let to = Arc::clone(&answer);
        schedule().set_life(self.life);
        let thread = std::thread::spawn(move || {
            let result = work();
            *to.lock().unwrap() = Some(result);
        });
        schedule().set_life(0);
        std::mem::forget(thread);
        answer
    }

    /// Waits for an answer; none: guestnetd was killed meanwhile.
    pub(super) fn answer<T>(&self, what: &str, answer: &Answer<T>) -> Outcome<Option<T>> {
        let until = schedule().now() + LONGEST;
        let mut pause = 100_000;
        loop {
            self.pass(pause);
            if world().killed {
                return Ok(None);
            }
            if let Some(result) = answer.lock().unwrap().take() {
                return Ok(Some(result));
            }
            pause = (pause * 2).min(100 * MS);
            if schedule().now() > until {
                let waits = inside(|| schedule().waits());
                return Err(format!("{what} was not answered\n{waits}"));
            }
        }
    }
}
