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

//! Memory that is guestnetd's own: over ten thousand cycles, and after dumps of a thousand guests; and how
//! often it wakes up while nothing happens.

use std::io::{pipe, Read};
use std::os::fd::OwnedFd;
use std::thread;
use std::time::Duration;

use android_system_guestnet::aidl::android::system::guestnet::IGuestNet::IGuestNet;
use binder::ParcelFileDescriptor;

use crate::build::Build;
use crate::crowd::{namespaces, Crowd};
use crate::error::{Error, Result};
use crate::options::Options;
use crate::progress;
use crate::report::cells::digits;
use crate::report::table::{Cell, Table};
use crate::service::{ANONYMOUS, RESIDENT};

/// What ten thousand cycles may add, in KiB.
const GROWTH: f64 = 1024.0;
/// Cycles of one build before it is another one's turn.
const TURN: usize = 100;
/// Guests whose turn it is, one after the other: a link's delete goes on behind its detach.
const GUESTS: usize = 20;
const DUMPS: usize = 10;
/// How long guestnetd may take to give memory back after a dump.
const AFTER: Duration = Duration::from_secs(5);

/// What was read of one build, in KiB.
#[derive(Clone, Copy, Default)]
struct Seen {
    idle: f64,
    first: f64,
    tenth: f64,
    last: f64,
    many: f64,
    dumped: f64,
    later: f64,
    resident: f64,
    wakeups: f64,
}

/// Measures it.
pub fn run(options: &Options) -> Result<Table> {
    let (cycles, many, quiet) = if options.quick { (1000, 100, 10) } else { (10_000, 1000, 60) };
    let builds = Build::all(options)?;
    let start = |build: &Build| Crowd::start(build, 1);
    let crowds: Vec<Crowd> = builds.iter().map(start).collect::<Result<_>>()?;
    let netns: Vec<_> = builds.iter().map(|_| namespaces(many)).collect::<Result<_>>()?;
    let mut seen = vec![Seen::default(); builds.len()];
    let before: Vec<f64> =
        crowds.iter().map(|crowd| crowd.service.wakeups()).collect::<Result<_>>()?;
    progress::say(&format!("memory: {quiet} s in which nothing happens"));
    thread::sleep(Duration::from_secs(quiet));
    for (who, crowd) in crowds.iter().enumerate() {
        seen[who].wakeups = (crowd.service.wakeups()? - before[who]) * 60.0 / quiet as f64;
        seen[who].idle = crowd.service.memory(ANONYMOUS)?;
        seen[who].resident = crowd.service.memory(RESIDENT)?;
    }
    for turn in 0..cycles / TURN {
        for (who, crowd) in crowds.iter().enumerate() {
            cycle(crowd, &netns[who], TURN, |at| {
                if turn == 0 && at == 0 {
                    seen[who].first = crowd.service.memory(ANONYMOUS)?;
                }
                Ok(())
            })?;
            if turn == cycles / TURN / 10 {
                seen[who].tenth = crowd.service.memory(ANONYMOUS)?;
            }
        }
        progress::show("memory: cycles", turn + 1, cycles / TURN);
    }
    for (who, crowd) in crowds.iter().enumerate() {
        seen[who].last = crowd.service.memory(ANONYMOUS)?;
        crowd.up(&netns[who], 1)?;
        seen[who].many = crowd.service.memory(ANONYMOUS)?;
        for _ in 0..DUMPS {
            dump(crowd)?;
        }
        seen[who].dumped = crowd.service.memory(ANONYMOUS)?;
    }
    thread::sleep(AFTER);
    for (who, crowd) in crowds.iter().enumerate() {
        seen[who].later = crowd.service.memory(ANONYMOUS)?;
    }
    Ok(table(cycles, many, &builds, &seen))
}

fn table(cycles: usize, many: usize, builds: &[Build], seen: &[Seen]) -> Table {
    let names = builds.iter().map(|build| build.name.as_str());
    let columns: Vec<&str> = std::iter::once("").chain(names).collect();
    let mut table = Table::new("memory", "Memory of its own, and wake-ups", &columns);
    let kib = |value: f64| Cell::Number(value, "KiB".to_owned());
    let after = format!("{} s later", AFTER.as_secs());
    for (what, of) in [
        ("without guests".to_owned(), (|s: &Seen| s.idle) as fn(&Seen) -> f64),
        ("after the first attach and detach".to_owned(), |s| s.first),
        (format!("after {}", cycles / 10), |s| s.tenth),
        (format!("after {cycles}"), |s| s.last),
        ("since the first".to_owned(), |s| s.last - s.first),
        (format!("with {many} guests"), |s| s.many),
        (format!("after {DUMPS} dumps of them"), |s| s.dumped),
        (after, |s| s.later),
        ("kept of the dumps".to_owned(), |s| s.later - s.many),
        ("resident, without guests".to_owned(), |s| s.resident),
    ] {
        table.row(what, seen.iter().map(|seen| kib(of(seen))).collect());
    }
    let number = |value: f64| Cell::Number(value, String::new());
    let wakeups = seen.iter().map(|seen| number(seen.wakeups)).collect();
    table.row("wake-ups in a minute, without guests", wakeups);
    let own = &seen[0];
    let mut target = |what: &str, wanted: &str, value: f64, unit: &str, most: f64| {
        let unit = if unit.is_empty() { String::new() } else { format!(" {unit}") };
        table.target(what, wanted, Some((format!("{}{unit}", digits(value)), value <= most)));
    };
    let grown = own.last - own.first;
    target(&format!("{cycles} cycles add"), "at most 1024 KiB", grown, "KiB", GROWTH);
    let kept = own.later - own.many;
    target(&format!("kept of dumps of {many} guests"), "at most 1024 KiB", kept, "KiB", GROWTH);
    target("wake-ups in a minute, without guests", "0", own.wakeups, "", 0.0);
    table.method.push(format!(
        "RssAnon of /proc/PID/status: heap and stacks, not the program's file. A cycle is an attach and a \
         detach, of {GUESTS} guests one after the other, {TURN} by each build in turn. Wake-ups are \
         context switches of all threads."
    ));
    table
}

fn cycle(
    crowd: &Crowd,
    netns: &[OwnedFd],
    count: usize,
    mut then: impl FnMut(usize) -> Result<()>,
) -> Result<()> {
    for at in 0..count {
        let guest = at % GUESTS;
        crowd.attach(guest, &netns[guest])?;
        crowd.detach(guest)?;
        then(at)?;
    }
    Ok(())
}

/// Reads a dump to its end.
fn dump(crowd: &Crowd) -> Result<()> {
    let (mut from, to) = pipe()?;
    let read = thread::spawn(move || {
        let mut text = Vec::new();
        from.read_to_end(&mut text).map(|_| text.len())
    });
    let to = ParcelFileDescriptor::new(OwnedFd::from(to));
    let answer = crowd.client().net().dumpTo(&to, &[]);
    drop(to);
    let length = read.join().map_err(|_| Error::new("a panic, told above"))??;
    answer?;
    (length > 0).then_some(()).ok_or_else(|| Error::new("an empty dump"))
}
