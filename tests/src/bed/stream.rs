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

//! A guest's TCP connection with bytes on the way all the time.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crate::probe::exchange;
use crate::{poll, Device, InNetns, Internet, Probe};

use super::BOUND;

/// The connection: one line after the other goes to the internet's server and comes back.
pub struct Stream {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

#[derive(Default)]
struct Shared {
    lines: AtomicU64,
    end: AtomicBool,
}

impl Stream {
    /// Opens it. It keeps the guest's namespace alive, as every socket does.
    #[track_caller]
    pub fn open(guest: &impl InNetns) -> Self {
        let stream = guest.connect_tcp(Internet::TCP).expect("a connection to the internet");
        // A line that is lost is sent again later, and is no loss to the connection.
        stream.set_read_timeout(Some(BOUND)).expect("a time limit");
        let shared = Arc::<Shared>::default();
        let state = Arc::clone(&shared);
        let talk = move || -> io::Result<()> {
            while !state.end.load(Ordering::Relaxed) {
                let line = state.lines.fetch_add(1, Ordering::Relaxed).to_string();
                let answer = exchange(&stream, &line)?;
                if answer != format!("{} {line}", Device::ADDRESS) {
                    return Err(io::Error::other(format!("{line} was answered with {answer}")));
                }
            }
            Ok(())
        };
        Self { shared, thread: Some(thread::spawn(talk)) }
    }

    /// Waits until more lines have come back; panics when none does.
    #[track_caller]
    pub fn assert_flows(&self) {
        let wanted = self.shared.lines.load(Ordering::Relaxed) + 10;
        let more = || (self.shared.lines.load(Ordering::Relaxed) > wanted).then_some(());
        assert!(poll(BOUND, more).is_some(), "the connection stands still");
    }

    /// Ends it; panics unless every line has come back as it was sent.
    #[track_caller]
    pub fn end(mut self) {
        self.assert_flows();
        self.shared.end.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("a thread");
        thread.join().expect("no panic").expect("every line comes back");
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.shared.end.store(true, Ordering::Relaxed);
    }
}
