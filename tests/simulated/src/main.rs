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

//! guestnetd, all of it, over a simulated kernel in virtual time: random histories of calls, faults,
//! crashes, lost announcements and others' doings, and what must hold whatever happens. Each history
//! has a process of its own and is told again by its number: `SEED=n`. One that fails is made small.
//!
//!     guestnet-simulated [HISTORIES [FIRST]]     SEED=n TRACE=1 guestnet-simulated
//!
//! docs/decisions/simulation.md says how, what is simulated, and what is not.

mod bed;
mod calls;
mod device;
mod filter;
mod history;
mod real;
mod schedule;
mod seed;
mod wire;
mod world;

use bed::Bed;
use history::{history, known, Step};
use seed::Seed;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long a history may take in real time: one that takes longer runs for ever.
const PATIENCE: Duration = Duration::from_secs(600);

/// Runs a history in this process.
fn tell(seed: u64, steps: &[Step]) -> Result<(), String> {
    let scratch = format!("/dev/shm/guestnet-simulated-{}", std::process::id());
    std::fs::create_dir_all(&scratch).map_err(|e| format!("{scratch}: {e}"))?;
    world::begin(scratch.clone());
    schedule::begin(Seed::new(seed ^ 0x5eed));
    let result = told(&scratch, steps);
    let result = schedule::inside(|| match world::world().seen.take() {
        Some(seen) => Err(seen),
        None => result,
    });
    schedule::inside(|| drop(std::fs::remove_dir_all(&scratch)));
    result
}

fn told(scratch: &str, steps: &[Step]) -> Result<(), String> {
    let mut bed = Bed::new(PathBuf::from(scratch).join("state"))?;
    bed.watch();
    for step in steps {
        bed.step(step)?;
    }
    bed.last_rest()?;
    // The plain history has a world of its own.
    if let Some(seen) = world::world().seen.take() {
        return Err(seen);
    }
    let was = bed.state();
    let should = bed.plain(PathBuf::from(scratch).join("plain"))?;
    match bed::difference(&was, &should) {
        Some(text) => {
            Err(format!("it is not as it would be without all that (- should be, + is):\n{text}"))
        }
        None => Ok(()),
    }
}

/// The same in a process of its own; what went wrong, if something did.
fn run(seed: u64, steps: &[Step]) -> Option<String> {
    let mut ends = [0i32; 2];
    // SAFETY: there is room for two descriptors.
    assert_eq!(unsafe { libc::pipe(ends.as_mut_ptr()) }, 0);
    // SAFETY: this process has one thread.
    let child = unsafe { libc::fork() };
    if child == 0 {
        end_with_parent();
        real::close(ends[0]);
        let end = ends[1];
        std::panic::set_hook(Box::new(move |panic| {
            let text = format!("panic: {panic}");
            real::raw(libc::SYS_write, end as usize, text.as_ptr() as usize, text.len(), 0, 0, 0);
            let scratch = format!(
                "/dev/shm/guestnet-simulated-{}",
                real::raw(libc::SYS_getpid, 0, 0, 0, 0, 0, 0)
            );
            schedule::inside(|| drop(std::fs::remove_dir_all(scratch)));
            real::raw(libc::SYS_exit_group, 1, 0, 0, 0, 0, 0);
        }));
        let text = tell(seed, steps).err().unwrap_or_default();
        real::raw(libc::SYS_write, end as usize, text.as_ptr() as usize, text.len(), 0, 0, 0);
        real::raw(libc::SYS_exit_group, i32::from(!text.is_empty()) as usize, 0, 0, 0, 0, 0);
    }
    real::close(ends[1]);
    let mut text = String::new();
    let mut pipe = {
        use std::os::fd::FromRawFd;
        // SAFETY: the pipe is this process's own.
        unsafe { std::fs::File::from_raw_fd(ends[0]) }
    };
    let begun = Instant::now();
    let waits = |left: Duration| {
        let mut fds = [libc::pollfd { fd: ends[0], events: libc::POLLIN, revents: 0 }];
        // SAFETY: there is one.
        unsafe { libc::poll(fds.as_mut_ptr(), 1, left.as_millis() as i32) > 0 }
    };
    let mut bytes = Vec::new();
    loop {
        let mut some = [0; 4096];
        if !waits(PATIENCE.saturating_sub(begun.elapsed())) {
            // SAFETY: our own child, which was not waited for yet.
            unsafe { libc::kill(child, libc::SIGKILL) };
            text.push_str("it runs for ever ");
            break;
        }
        match pipe.read(&mut some) {
            Ok(0) => break,
            Ok(count) => bytes.extend(&some[..count]),
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    text.push_str(&String::from_utf8_lossy(&bytes));
    let mut status = 0;
    // SAFETY: as above.
    unsafe { libc::waitpid(child, &mut status, 0) };
    let _ = std::fs::remove_dir_all(format!("/dev/shm/guestnet-simulated-{child}"));
    if status != 0 && text.is_empty() {
        text = format!("its process ended with status {status:#x}");
    }
    (!text.is_empty()).then_some(text)
}

/// Who starts us may be killed.
fn end_with_parent() {
    let (option, signal) = (libc::PR_SET_PDEATHSIG as usize, libc::SIGKILL as usize);
    real::raw(libc::SYS_prctl, option, signal, 0, 0, 0, 0);
}

/// The kind of a failure, for one that is made small must stay what it is.
fn kind(text: &str) -> String {
    text.lines()
        .next()
        .unwrap_or_default()
        .chars()
        .filter(|c| !c.is_ascii_digit())
        .take(24)
        .collect()
}

/// Leaves out what a failure does not need.
fn shrink(seed: u64, mut steps: Vec<Step>, why: String) -> (Vec<Step>, String) {
    let (mut why, wanted) = (why.clone(), kind(&why));
    let mut again = true;
    while again {
        again = false;
        for at in (0..steps.len()).rev() {
            let mut fewer = steps.clone();
            fewer.remove(at);
            let mut plainer = steps.clone();
            plainer[at].fault = None;
            plainer[at].hearing = world::Hearing::Good;
            for tried in [fewer, plainer] {
                if tried == steps {
                    continue;
                }
                if let Some(now) = run(seed, &tried).filter(|now| kind(now) == wanted) {
                    (steps, why, again) = (tried, now, true);
                    break;
                }
            }
        }
    }
    (steps, why)
}

fn report(seed: u64, steps: Vec<Step>, why: String) {
    let mut out = std::io::stdout();
    let _ = writeln!(out, "\nSEED={seed}: {why}");
    let (steps, why) = shrink(seed, steps, why);
    let _ = writeln!(out, "made small, {} steps: {why}", steps.len());
    steps.iter().for_each(|step| drop(writeln!(out, "    {step:?}")));
}

/// These histories; how many failed.
fn some(first: u64, count: u64, every: u64, most: usize) -> usize {
    let mut failed = 0;
    for seed in (first..first + count).step_by(every as usize) {
        let steps = history(seed);
        if let Some(why) = run(seed, &steps) {
            failed += 1;
            report(seed, steps, why);
            if failed >= most {
                break;
            }
        }
    }
    failed
}

/// Those that once failed; how many do again.
fn those_known() -> usize {
    let mut failed = 0;
    for steps in known() {
        if let Some(why) = run(0, &steps) {
            failed += 1;
            let _ = writeln!(std::io::stdout(), "\na known one: {steps:?}: {why}");
        }
    }
    failed
}

fn main() {
    let number = |text: String| text.parse::<u64>().expect("a number");
    let most = std::env::var("FAILURES").map_or(1, |text| number(text) as usize);
    if let Ok(seed) = std::env::var("SEED") {
        let seed = number(seed);
        let failed = match std::env::var_os("TRACE") {
            None => some(seed, 1, 1, 1) != 0,
            Some(_) => {
                let why = run(seed, &history(seed));
                let _ = writeln!(std::io::stdout(), "{}", why.as_deref().unwrap_or("it went well"));
                why.is_some()
            }
        };
        std::process::exit(i32::from(failed));
    }
    let mut words = std::env::args().skip(1).map(number);
    let (count, first) = (words.next().unwrap_or(1000), words.next().unwrap_or(1));
    let workers = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let begun = Instant::now();
    let mut children = Vec::new();
    for worker in 0..workers {
        // SAFETY: this process has one thread.
        let child = unsafe { libc::fork() };
        if child == 0 {
            end_with_parent();
            let known = if worker == 0 { those_known() } else { 0 };
            let failed = known + some(first + worker, count.saturating_sub(worker), workers, most);
            std::process::exit(i32::from(failed != 0));
        }
        children.push(child);
    }
    let mut failed = false;
    for child in children {
        let mut status = 0;
        // SAFETY: our own child.
        unsafe { libc::waitpid(child, &mut status, 0) };
        failed |= status != 0;
    }
    let took = begun.elapsed().as_secs_f64();
    let _ = writeln!(
        std::io::stdout(),
        "{count} histories from {first} in {took:.1} s: {}",
        if failed { "FAILED" } else { "all well" }
    );
    std::process::exit(i32::from(failed));
}
