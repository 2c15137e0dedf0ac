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

//! guestnetd as init starts it from init/guestnetd.rc: it works for all three ways to name a guest,
//! and is nothing more than the .rc says. Then one capability or group after another is left out of
//! the .rc: none is there for nothing.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use guestnet_device_tests::init::bed::{owner, Bed, Started, STATE, WAYS};
use guestnet_device_tests::init::names;
use guestnet_device_tests::vm;

fn main() -> ExitCode {
    let Some(rc) = std::env::args().nth(1) else { return ExitCode::from(2) };
    let text = fs::read_to_string(&rc).expect("the .rc");
    let bed = Bed::new();
    let mut failed = 0;
    match passes(&bed, &text) {
        Ok(()) => println!("ok: guestnetd works as {rc} has it started"),
        Err(why) => {
            println!("FAILED: {why}");
            failed += 1;
        }
    }
    bed.sweep();
    for (word, text) in without_a_word(&text) {
        match passes(&bed, &text) {
            Err(why) => println!("ok: without {word}: {}", last_line(&why)),
            Ok(()) => {
                println!("FAILED: {word} is not needed, or not tested");
                failed += 1;
            }
        }
        bed.sweep();
    }
    ExitCode::from(u8::from(failed > 0))
}

/// All of it, from the start to the end.
fn passes(bed: &Bed, rc: &str) -> Result<(), String> {
    let path = Path::new("/tmp/guestnetd.rc");
    fs::write(path, rc).map_err(|e| e.to_string())?;
    let (mut started, service) = bed.start(path)?;
    let done = identity(&started).and_then(|()| {
        (0..WAYS.len()).try_for_each(|way| bed.serves(&service, way))?;
        vm::lives(bed, &**service)?;
        if !started.said().contains(vm::END) {
            return Err("guestnetd does not say that a VM has ended".to_owned());
        }
        names::failures(bed, &**service)?;
        bed.asks_past_a_lockdown(&service)?;
        files()
    });
    let log = started.said();
    started.end(libc::SIGTERM);
    done.map_err(|why| format!("{why}\n{log}"))
}

/// NET_ADMIN, NET_RAW, SYS_ADMIN, in all sets and no others.
fn identity(started: &Started) -> Result<(), String> {
    let is = |line: &str, wanted: &[&str]| match started.status(line) {
        found if found == wanted => Ok(()),
        found => Err(format!("{line} is {found:?} and not {wanted:?}")),
    };
    is("Uid", &["1000"; 4])?;
    is("Gid", &["1000"; 4])?;
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        is(set, &["0000000000203000"])?;
    }
    // Only where SELinux has a domain for the wrappers would it be in the way.
    let selinux = Path::new("/sys/fs/selinux").exists();
    is("NoNewPrivs", &[if selinux { "0" } else { "1" }])
}

/// Nobody else may look into its state.
fn files() -> Result<(), String> {
    let state = Path::new(STATE);
    let all = [state.to_owned(), state.join("guests"), state.join("lock")];
    match all.iter().find(|path| owner(path) != Some((1000, 1000))) {
        None => Ok(()),
        Some(path) => Err(format!("{} is of {:?}", path.display(), owner(path))),
    }
}

/// The .rc with one word less, of its capabilities and groups.
fn without_a_word(rc: &str) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for line in rc.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if !["capabilities", "group"].contains(words.first().unwrap_or(&"")) {
            continue;
        }
        for word in &words[1..] {
            let mut rest = words.clone();
            rest.retain(|other| other != word);
            let other = rc.replace(line, &format!("    {}", rest.join(" ")));
            all.push((format!("{} {word}", words[0]), other));
        }
    }
    all
}

fn last_line(text: &str) -> &str {
    text.trim().lines().last().unwrap_or_default()
}
