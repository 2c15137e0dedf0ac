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

mod apart;
mod bed;
mod calls;
mod cast;
mod descriptors;
mod device;
mod disk;
mod fiber;
mod filter;
mod heap;
mod history;
mod netd;
mod programs;
mod real;
mod schedule;
mod seed;
mod segments;
mod tables;
mod taps;
mod teller;
mod wire;
mod world;

use history::history;
use schedule::inside;
use std::io::Write;
use std::time::Instant;
use teller::{kind_of, Numbers, Teller, KINDS};

#[global_allocator]
static HEAP: heap::Heap = heap::Heap::new();

/// What guestnetd logs, among the messages.
struct Log;

impl log::Log for Log {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }
    fn log(&self, record: &log::Record<'_>) {
        inside(|| eprintln!("  {} {}", record.level(), record.args()));
    }
    fn flush(&self) {}
}

/// Ends a process that tells histories.
fn end(failed: bool) -> ! {
    inside(|| std::process::exit(i32::from(failed)))
}

fn main() {
    // What libc takes for itself (opendir(3)) would otherwise be a heap of its own for each thread.
    // SAFETY: nothing else runs yet.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
    let number = |text: String| text.parse::<u64>().expect("a number");
    let most = std::env::var("FAILURES").map_or(1, |text| number(text) as usize);
    if let Ok(seed) = std::env::var("SEED") {
        let seed = number(seed);
        let mut teller = Teller::new(kind_of(seed), Numbers::shared());
        let failed = inside(|| match std::env::var_os("TRACE") {
            None => teller.some(seed..seed + 1, false, 1) != 0,
            Some(_) => {
                let _ = log::set_logger(&Log).map(|()| log::set_max_level(log::LevelFilter::Info));
                let why = teller.run(seed, &history(seed));
                let _ = writeln!(std::io::stdout(), "{}", why.as_deref().unwrap_or("it went well"));
                why.is_some()
            }
        });
        end(failed);
    }
    let mut words = std::env::args().skip(1).map(number);
    let (count, first) = (words.next().unwrap_or(1000), words.next().unwrap_or(1));
    let workers = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let (begun, mut failed) = (Instant::now(), false);
    for kind in 0..KINDS.len() {
        let (mut children, numbers) = (Vec::new(), Numbers::shared());
        let all = first..first + count;
        for worker in 0..workers {
            // SAFETY: this process has one thread.
            let child = unsafe { libc::fork() };
            if child == 0 {
                apart::end_with_parent();
                let mut teller = Teller::new(kind, numbers);
                teller.speaks = worker == 0;
                end(inside(|| teller.some(all, true, most)) != 0);
            }
            children.push(child);
        }
        for child in children {
            let mut status = 0;
            // SAFETY: our own child.
            let ended = unsafe { libc::waitpid(child, &mut status, 0) };
            failed |= status != 0 || ended != child;
        }
        if !failed && !numbers.are_all(kind, all) {
            let _ = writeln!(std::io::stdout(), "not all of kind {kind} have been told");
            failed = true;
        }
    }
    let took = begun.elapsed().as_secs_f64();
    let _ = writeln!(
        std::io::stdout(),
        "{count} histories from {first} in {took:.1} s: {}",
        if failed { "FAILED" } else { "all well" }
    );
    std::process::exit(i32::from(failed));
}
