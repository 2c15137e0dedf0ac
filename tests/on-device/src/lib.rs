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

//! What the tests on a device are made of: guests as processes, questions to their network namespaces,
//! the values of a client's calls. The rig of the other tests (../src) builds on it.
//!
//! It needs no program but what every Android has (cat, ip, ping), and only the crates that an Android
//! tree has. It is for tests: whatever goes wrong here is a panic that says what.

pub mod client;
pub mod guest;
pub mod netns;
pub mod probe;

use std::io;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

pub use guest::Guest;
pub use netns::InNetns;
pub use probe::Probe;

/// Runs a command to its end and gives what it wrote to stdout; panics when it fails.
#[track_caller]
pub fn must(command: &mut Command) -> String {
    let out = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(out.status.success(), "{command:?}: {}", said(&out));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// What a command that has ended said: its exit status and both of its outputs.
pub fn said(out: &Output) -> String {
    let (stdout, stderr) =
        (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    format!("{}: {}{}", out.status, stdout, stderr)
}

/// Asks every 2 ms until the answer is there, at most for `limit`.
pub fn poll<T>(limit: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + limit;
    loop {
        match ask() {
            Some(answer) => return Some(answer),
            None if Instant::now() > end => return None,
            None => std::thread::sleep(Duration::from_millis(2)),
        }
    }
}

/// Makes a call again that a signal cut short. A socket's read with a time limit ends with EINTR even
/// where nobody has a handler: the kernel wakes it so to freeze the machine (sock_intr_errno()).
pub fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            answer => return answer,
        }
    }
}
