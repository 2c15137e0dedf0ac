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

//! What a person waits for who types a command: the whole process, from before fork to its end.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use guestnet_tests::{InNetns, Internet};

use crate::build::Build;
use crate::crowd::{namespaces, Crowd};
use crate::error::{Doing, Result};
use crate::measure::{order, Samples};
use crate::options::Options;
use crate::progress;
use crate::report::cells;
use crate::report::table::Table;
use crate::service::scratch;

/// Microseconds of one command of guestnetctl's.
const MOST: f64 = 10_000.0;

/// A command, and whether it is guestnetctl's.
struct Typed {
    shown: &'static str,
    program: PathBuf,
    words: Vec<String>,
    ours: bool,
}

/// Measures it.
pub fn run(options: &Options) -> Result<Table> {
    let rounds = options.rounds(60);
    let columns = ["", "median", "p99", "min", "ratio"];
    let mut table = Table::new("command", "A command, from Enter to the prompt", &columns);
    table.method.push(format!(
        "{rounds} rounds in which each has its turn, with one guest attached: from before fork until the process \
         has ended, its output into nothing. podman has no container and keeps its files in memory."
    ));
    let crowd = Crowd::start_with(&Build::now(options), 1, &["--dns", Internet::ADDRESS])?;
    let netns = namespaces(1)?;
    crowd.attach(0, &netns[0])?;
    let storage = scratch()?;
    let podman = storage.path().display().to_string();
    let podman = ["--root", "--runroot", "--tmpdir"]
        .map(|option| [option.to_owned(), format!("{podman}/{}", &option[2..])]);
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let other = |shown: &'static str| {
        let mut words = words(shown);
        let program = PathBuf::from(words.remove(0));
        Typed { shown, program, words, ours: false }
    };
    let ours = |shown: &'static str| {
        let program = options.bin.join("guestnetctl");
        Typed { shown, program, words: words(shown).split_off(1), ours: true }
    };
    let mut all =
        vec![other("true"), other("ip address"), other("ip netns list"), other("podman ps")];
    all[3].words = [podman.concat(), words("--storage-driver vfs ps")].concat();
    all.extend(["guestnetctl", "guestnetctl list", "guestnetctl status"].map(ours));
    all.retain(|typed| typed.ours || there_is(typed.shown));
    let mut samples = vec![Samples::default(); all.len()];
    for round in 0..rounds + 1 {
        progress::show(&table.id, round, rounds);
        for at in order(round, all.len()) {
            let took = all[at].run(&crowd)?;
            // The first time a program is read from the disk.
            if round > 0 {
                samples[at].push(took);
            }
        }
    }
    crowd.detach(0)?;
    for (typed, times) in all.iter().zip(&samples) {
        let columns = [times.median(), times.percentile(99.0), times.min()].map(cells::micros);
        let ratio = cells::ratio(times.ratio(&samples[0]));
        table.row(format!("`{}`", typed.shown), [columns.to_vec(), vec![ratio]].concat());
        if typed.ours {
            let median = times.median();
            let measured = median.map(|us| (format!("{:.1} ms", us / 1000.0), us < MOST));
            table.target(&format!("`{}`", typed.shown), "under 10 ms", measured);
        }
    }
    if !there_is("podman ps") {
        table.skipped("`podman ps`", "podman is not installed");
    }
    Ok(table)
}

/// Whether the program of a command can be run.
fn there_is(shown: &str) -> bool {
    let program = shown.split(' ').next().unwrap_or_default();
    Command::new(program).arg("--version").output().is_ok()
}

impl Typed {
    fn run(&self, crowd: &Crowd) -> Result<Duration> {
        let mut command = crowd.device.command(&self.program);
        command.args(&self.words).env("GUESTNET_URI", crowd.service.endpoint());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let began = Instant::now();
        // Its exit code is a verdict.
        command.status().doing(self.shown)?;
        Ok(began.elapsed())
    }
}
