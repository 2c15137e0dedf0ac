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

//! The bed of the black-box tests: devices, an internet, guests and real containers, each in
//! network namespaces that it makes and removes itself, and the real guestnetd among them.
//!
//! It knows guestnetd by its command line and its AIDL contract only, never by its code. It is
//! for tests: whatever of the bed itself goes wrong is a panic that says what.

pub mod bed;
pub mod client;
pub mod daemon;
pub mod device;
pub mod guest;
pub mod internet;
pub mod lxc;
pub mod netd;
pub mod netns;
pub mod probe;
pub mod snapshot;
pub mod traffic;

use std::process::{Command, Output};
use std::time::{Duration, Instant};

pub use bed::Bed;
pub use daemon::Daemon;
pub use device::Device;
pub use guest::Guest;
pub use internet::Internet;
pub use lxc::Container;
pub use netd::NetdDevice;
pub use netns::{InNetns, Netns};
pub use probe::Probe;
pub use snapshot::Snapshot;

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
