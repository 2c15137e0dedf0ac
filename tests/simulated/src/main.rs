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
mod descriptors;
mod device;
mod fiber;
mod filter;
mod heap;
mod history;
mod programs;
mod real;
mod schedule;
mod seed;
mod tables;
mod wire;
mod world;

use bed::{Bed, Way};
use history::{history, known, Step};
use schedule::inside;
use seed::Seed;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[global_allocator]
static HEAP: heap::Heap = heap::Heap::new();

/// How long a history may take in real time: one that takes longer runs for ever.
const PATIENCE: Duration = Duration::from_secs(600);
/// After that who waits hears how far it is.
const PAUSE: Duration = Duration::from_secs(60);

/// Tells histories, each in a process of its own that is forked from one in which the device is there and
/// guestnetd, killed, has left its state.
struct Teller {
    bed: Option<Bed>,
    /// What devices are like where only that was done which is left of a history, by what is left.
    plain: BTreeMap<String, Vec<String>>,
    /// Where programs are.
    programs: PathBuf,
    /// Whether it tells now and then how far it is.
    speaks: bool,
}

/// Numbers of histories, one for each way to filter packets.
const WAYS: [u64; 3] = [0, 2, 5];

/// What has come of a history.
enum Told {
    Well,
    /// Well, and what another device was like where only that was done which is left.
    AsPlain(String, Vec<String>),
}

/// Files by the names of programs: those that take one command each, and those that take many, too.
fn place_programs(dir: &Path) -> std::io::Result<()> {
    for name in ["iptables", "ip6tables"] {
        for (folder, ends) in [("one", ""), ("many", ""), ("many", "-restore")] {
            std::fs::create_dir_all(dir.join(folder))?;
            std::fs::write(dir.join(folder).join(format!("{name}{ends}")), "")?;
        }
    }
    Ok(())
}

/// Where a process keeps its files.
fn scratch() -> PathBuf {
    let own = real::raw(libc::SYS_getpid, 0, 0, 0, 0, 0, 0);
    scratch_of(own as i32)
}

fn scratch_of(process: i32) -> PathBuf {
    format!("/dev/shm/guestnet-simulated-{process}").into()
}

impl Teller {
    fn new() -> Self {
        let scratch = scratch();
        std::fs::create_dir_all(&scratch).expect("a directory");
        world::begin(scratch.display().to_string());
        schedule::begin(Seed::new(0));
        let bed = Bed::asleep(scratch.join("state")).expect("guestnetd without any fault");
        let programs = scratch.join("programs");
        place_programs(&programs).expect("programs");
        Self { bed: Some(bed), plain: BTreeMap::new(), programs, speaks: false }
    }

    /// Runs a history in this process.
    fn tell(&mut self, seed: u64, steps: &[Step]) -> Result<Told, String> {
        let scratch = scratch();
        inside(|| {
            std::fs::create_dir_all(&scratch).map_err(|e| format!("{}: {e}", scratch.display()))?;
            world::world().begin_again(scratch.display().to_string());
            schedule::schedule().seed = Seed::new(seed ^ 0x5eed);
            Ok::<_, String>(())
        })?;
        let result = self.told(&scratch, self.ways(seed), steps);
        inside(|| drop(std::fs::remove_dir_all(&scratch)));
        match world::world().seen.take() {
            Some(seen) => Err(seen),
            None => result,
        }
    }

    /// One in three has x_tables; half of those run a program for each command.
    fn ways(&self, seed: u64) -> [Way; 2] {
        let [many, one] = ["many", "one"].map(|folder| Way::Xtables(self.programs.join(folder)));
        match seed % 6 {
            2 => [many, Way::Nftables],
            5 => [one, Way::Nftables],
            number => [Way::Nftables, if number % 2 == 0 { many } else { one }],
        }
    }

    fn told(
        &mut self,
        scratch: &Path,
        [way, other]: [Way; 2],
        steps: &[Step],
    ) -> Result<Told, String> {
        let mut bed = self.bed.take().ok_or("no device")?;
        bed.wake(scratch.join("state"), way, other)?;
        bed.watch();
        for step in steps {
            bed.step(step)?;
        }
        bed.last_rest()?;
        // The plain history has a world of its own.
        if let Some(seen) = world::world().seen.take() {
            return Err(seen);
        }
        let (was, left) = (bed.state(), bed.left());
        let (should, told) = match self.plain.remove(&left) {
            Some(should) => (should, Told::Well),
            None => {
                let should = bed.plain(scratch.join("plain"))?;
                (should.clone(), Told::AsPlain(left, should))
            }
        };
        match bed::difference(&was, &should) {
            Some(text) => Err(format!(
                "it is not as it would be without all that (- should be, + is):\n{text}"
            )),
            None => Ok(told),
        }
    }

    /// The same in a process of its own; what went wrong, if something did.
    fn run(&mut self, seed: u64, steps: &[Step]) -> Option<String> {
        inside(|| {
            let mut ends = [0i32; 2];
            // SAFETY: there is room for two descriptors.
            assert_eq!(unsafe { libc::pipe(ends.as_mut_ptr()) }, 0);
            // libc's own would take the places of threads for what is left of threads.
            let fork = libc::SIGCHLD as usize;
            let child = real::raw(libc::SYS_clone, fork, 0, 0, 0, 0, 0) as i32;
            if child == 0 {
                real::close(ends[0]);
                self.child(ends[1], seed, steps);
            }
            real::close(ends[1]);
            self.ended(child, ends[0])
        })
    }

    /// Tells a history, says by a pipe what came of it, and ends.
    fn child(&mut self, end: i32, seed: u64, steps: &[Step]) -> ! {
        end_with_parent();
        let say = move |text: &str| {
            real::raw(libc::SYS_write, end as usize, text.as_ptr() as usize, text.len(), 0, 0, 0);
        };
        std::panic::set_hook(Box::new(move |panic| {
            say(&format!("panic: {panic}"));
            real::raw(libc::SYS_exit_group, 1, 0, 0, 0, 0, 0);
        }));
        let told = schedule::outside(|| self.tell(seed, steps));
        match &told {
            Ok(Told::Well) => {}
            Ok(Told::AsPlain(left, lines)) => say(&format!("{left}\n{}", lines.join("\n"))),
            Err(why) => say(why),
        }
        real::raw(libc::SYS_exit_group, usize::from(told.is_err()), 0, 0, 0, 0, 0);
        unreachable!("this process has ended");
    }

    /// What a child has said by a pipe until its end.
    fn ended(&mut self, child: i32, end: i32) -> Option<String> {
        use std::os::fd::FromRawFd;
        // SAFETY: the pipe is this process's own.
        let mut pipe = unsafe { std::fs::File::from_raw_fd(end) };
        let begun = Instant::now();
        let waits = |left: Duration| {
            let mut fds = [libc::pollfd { fd: end, events: libc::POLLIN, revents: 0 }];
            // SAFETY: there is one.
            unsafe { libc::poll(fds.as_mut_ptr(), 1, left.as_millis() as i32) > 0 }
        };
        let (mut text, mut bytes) = (String::new(), Vec::new());
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
        let _ = std::fs::remove_dir_all(scratch_of(child));
        match (status, text.is_empty()) {
            (0, true) => None,
            (0, false) => {
                let mut lines = text.lines().map(str::to_owned);
                let left = lines.next().unwrap_or_default();
                self.plain.insert(left, lines.collect());
                None
            }
            (_, true) => Some(format!("its process ended with status {status:#x}")),
            (_, false) => Some(text),
        }
    }

    /// Leaves out what a failure does not need.
    fn shrink(&mut self, seed: u64, mut steps: Vec<Step>, why: String) -> (Vec<Step>, String) {
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
                    if let Some(now) = self.run(seed, &tried).filter(|now| kind(now) == wanted) {
                        (steps, why, again) = (tried, now, true);
                        break;
                    }
                }
            }
        }
        (steps, why)
    }

    fn report(&mut self, seed: u64, steps: Vec<Step>, why: String) {
        let mut out = std::io::stdout();
        let _ = writeln!(out, "\nSEED={seed}: {why}");
        let (steps, why) = self.shrink(seed, steps, why);
        let _ = writeln!(out, "made small, {} steps: {why}", steps.len());
        steps.iter().for_each(|step| drop(writeln!(out, "    {step:?}")));
    }

    /// These histories; how many failed.
    fn some(&mut self, first: u64, count: u64, every: u64, most: usize) -> usize {
        let (mut failed, mut spoke) = (0, Instant::now());
        for seed in (first..first + count).step_by(every as usize) {
            if self.speaks && spoke.elapsed() > PAUSE {
                spoke = Instant::now();
                let _ = writeln!(std::io::stderr(), "{} of {count} histories", seed - first);
            }
            let steps = history(seed);
            if let Some(why) = self.run(seed, &steps) {
                failed += 1;
                self.report(seed, steps, why);
                if failed >= most {
                    break;
                }
            }
        }
        failed
    }

    /// Those that once failed; how many do again.
    fn those_known(&mut self) -> usize {
        let mut failed = 0;
        for steps in known() {
            for seed in WAYS {
                if let Some(why) = self.run(seed, &steps) {
                    failed += 1;
                    let _ = writeln!(std::io::stdout(), "\na known one, {seed}: {steps:?}: {why}");
                }
            }
        }
        failed
    }
}

/// Who starts us may be killed.
fn end_with_parent() {
    let (option, signal) = (libc::PR_SET_PDEATHSIG as usize, libc::SIGKILL as usize);
    real::raw(libc::SYS_prctl, option, signal, 0, 0, 0, 0);
}

/// Ends a process that tells histories.
fn end(failed: bool) -> ! {
    inside(|| {
        let _ = std::fs::remove_dir_all(scratch());
        std::process::exit(i32::from(failed))
    })
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

fn main() {
    // What libc takes for itself (opendir(3)) would otherwise be a heap of its own for each thread.
    // SAFETY: nothing else runs yet.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
    let number = |text: String| text.parse::<u64>().expect("a number");
    let most = std::env::var("FAILURES").map_or(1, |text| number(text) as usize);
    if let Ok(seed) = std::env::var("SEED") {
        let (seed, mut teller) = (number(seed), Teller::new());
        let failed = inside(|| match std::env::var_os("TRACE") {
            None => teller.some(seed, 1, 1, 1) != 0,
            Some(_) => {
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
    let begun = Instant::now();
    let mut children = Vec::new();
    for worker in 0..workers {
        // SAFETY: this process has one thread.
        let child = unsafe { libc::fork() };
        if child == 0 {
            end_with_parent();
            let mut teller = Teller { speaks: worker == 0, ..Teller::new() };
            let failed = inside(|| {
                let known = if worker == 0 { teller.those_known() } else { 0 };
                let count = count.saturating_sub(worker);
                known + teller.some(first + worker, count, workers, most)
            });
            end(failed != 0);
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
