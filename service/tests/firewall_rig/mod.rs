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

pub mod closed;

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
        } else if line != "\t\tsize 65535" {
            // That is the kernel's word, once a rule adds to a set (nft_dynset_init()).
            text += &(without_counts(line) + "\n");
        }
    }
    text
}

fn without_counts(line: &str) -> String {
    let mut words = line.split(' ').peekable();
    let mut kept = Vec::new();
    while let Some(word) = words.next() {
        kept.push(word);
        // `counter packets 1 bytes 84`
        if word == "counter" && words.peek() == Some(&"packets") {
            words.by_ref().take(4).for_each(drop);
        }
    }
    kept.join(" ")
}

/// All of x_tables as iptables-save prints it, without comments and counts.
pub fn saved_by_iptables() -> Vec<String> {
    let text = sh("iptables-legacy-save -t filter; iptables-legacy-save -t nat;
                   ip6tables-legacy-save -t filter
                   ! grep -qw nat /proc/net/ip6_tables_names || ip6tables-legacy-save -t nat");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let counts = |line: &&str| line.starts_with(':');
    lines
        .map(|line| {
            Some(line).filter(counts).and_then(|l| l.split(" [").next()).unwrap_or(line).to_owned()
        })
        .collect()
}

/// From now on this thread may not do what `CAP_NET_ADMIN` is for; what it starts may, as root does.
/// So it is on a device where the one program may write the rules and nobody may read them.
pub fn give_up_net_admin() {
    const CAP_NET_ADMIN: u32 = 12;
    let mut sets = [0u32; 6];
    capabilities(libc::SYS_capget, &mut sets);
    // Of the first 32 capabilities: those in effect, and those that are permitted.
    sets[0] &= !(1 << CAP_NET_ADMIN);
    sets[1] &= !(1 << CAP_NET_ADMIN);
    capabilities(libc::SYS_capset, &mut sets);
}

/// From now on this thread has no privilege, and nothing that it starts has.
pub fn give_up_all() {
    // SAFETY: takes numbers only.
    let done = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    assert_eq!(done, 0);
    capabilities(libc::SYS_capset, &mut [0; 6]);
}

fn capabilities(call: libc::c_long, sets: &mut [u32; 6]) {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    let mut header = Header { version: 0x2008_0522, pid: 0 };
    // SAFETY: both calls take a header and two triples of 32 bits, which is what version 3 has.
    let done = unsafe { libc::syscall(call, &mut header, sets.as_mut_ptr()) };
    assert_eq!(done, 0, "{}", io::Error::last_os_error());
}
