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

//! What the tests of this folder share: a network namespace of their own, and `ip`.

use super::netlink::Netlink;
use nix::sched::{unshare, CloneFlags};
use std::io::Write;
use std::process::Command;

/// Runs a test in a network namespace that goes with it; says so and skips it without root.
pub fn in_a_netns(test: impl FnOnce(&Netlink) + Send + 'static) {
    if !nix::unistd::geteuid().is_root() {
        let name = std::thread::current().name().unwrap_or("?").to_owned();
        let _ = writeln!(std::io::stderr(), "SKIPPED {name}: it needs root");
        return;
    }
    let inside = || {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        test(&Netlink::open().unwrap());
    };
    std::thread::spawn(inside).join().unwrap();
}

/// Runs `ip` in the calling thread's namespace.
pub fn ip(words: &str) -> String {
    let out = Command::new("ip").args(words.split_whitespace()).output().unwrap();
    assert!(out.status.success(), "ip {words}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}
