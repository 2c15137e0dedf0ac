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

//! A network namespace for one test, and the programs that look at it from outside.
//! Everything is made inside the namespace and goes with the thread that is in it.
#![allow(dead_code)]

use nix::sched::{unshare, CloneFlags};
use std::io::{self, Write};
use std::process::Command;
use std::thread;

/// Runs a test in a network namespace of its own, on a thread of its own. Needs root.
pub fn in_netns(test: impl FnOnce() + Send + 'static) {
    if !nix::unistd::geteuid().is_root() {
        // Straight to the stream: a test that was not run must not look like one that was.
        let name = thread::current().name().unwrap_or("?").to_owned();
        let _ = writeln!(io::stderr(), "SKIPPED {name}: it needs root to make a network namespace");
        return;
    }
    let inside = move || {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        sh("ip link set lo up");
        test();
    };
    if let Err(panic) = thread::spawn(inside).join() {
        std::panic::resume_unwind(panic);
    }
}

/// Runs a shell command that has to succeed.
pub fn sh(command: &str) -> String {
    let (success, said) = run(command);
    assert!(success, "{command}\n{said}");
    said
}

/// Runs a shell command: whether it succeeded, and what it said.
pub fn run(command: &str) -> (bool, String) {
    let output = Command::new("sh").args(["-c", command]).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

/// Our table as nft lists it, without what only the kernel knows: counts and the owner.
pub fn listed_by_nft() -> String {
    let mut text = String::new();
    let mut owner = false;
    for line in sh("nft list table inet guestnet").lines() {
        let line = line.split(" # progname").next().unwrap();
        if line.starts_with("\tflags ") {
            owner = true;
        } else if owner && line.is_empty() {
            owner = false;
        } else {
            text += &(without_counts(line) + "\n");
        }
    }
    text
}

fn without_counts(line: &str) -> String {
    let mut words = line.split(' ').peekable();
    let mut kept = Vec::new();
    while let Some(word) = words.next() {
        if word == "packets" || word == "bytes" {
            words.next();
        } else {
            kept.push(word);
        }
    }
    kept.join(" ")
}

/// All of x_tables as iptables-save prints it, without comments and counts.
pub fn saved_by_iptables() -> Vec<String> {
    let text = sh("iptables-legacy-save -t filter; iptables-legacy-save -t nat;
                   ip6tables-legacy-save -t filter");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split(" [").next().unwrap().to_owned()).collect()
}
