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

//! Who tells histories, each in a process of its own. What several have in common at their beginning is told once,
//! and their processes are forked from there. Never says what happens in one (`history.rs`).

use crate::apart::{self, Pipe, Told};
use crate::bed::{self, Bed, Way};
use crate::cast::Cast;
use crate::history::{self, history, known, Op, Step};
use crate::schedule::{self, inside};
use crate::seed::Seed;
use crate::world;
use std::collections::BTreeMap;
use std::io::Write;
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a history may take in real time, and all of those that have their beginning in common.
const LONGEST: Duration = Duration::from_secs(300);
const OF_ALL: Duration = Duration::from_secs(300 * (1 + history::TOGETHER));
/// After that who waits hears how far it is.
const PAUSE: Duration = Duration::from_secs(60);
/// Numbers of histories, one for each way to filter packets.
const WAYS: [u64; 4] = [0, 2 * history::TOGETHER, 5 * history::TOGETHER, 4 * history::TOGETHER];

/// What a process says by its pipe: that a history failed, and what devices are like where only that was done which
/// is left of one.
const FAILED: &str = "failed";
const PLAIN: &str = "plain";

/// Forks from a process in which the device is there and guestnetd, killed, has left its state.
pub struct Teller {
    bed: Option<Bed>,
    /// Those to begin with, two of each kind: for the history, and for what is only left of it.
    devices: Vec<[Option<Device>; 2]>,
    /// Where files are.
    scratch: PathBuf,
    /// What devices are like where only that was done which is left of a history, by what is left.
    plain: BTreeMap<String, Vec<String>>,
    /// Where programs are.
    programs: PathBuf,
    /// Whether it tells now and then how far it is.
    pub speaks: bool,
}

/// A device with all that there is of it.
struct Device {
    bed: Bed,
    world: world::World,
    schedule: schedule::Schedule,
}

/// What is left of a history, and what devices are like where only that was done.
type Plain = (String, Vec<String>);

/// Files by the names of programs: those that take one command each, and those that take many, too.
fn place_programs(dir: &Path) -> std::io::Result<()> {
    for name in ["iptables", "ip6tables"] {
        for (folder, ends) in [("one", ""), ("many", ""), ("many", "-restore")] {
            std::fs::create_dir_all(dir.join(folder))?;
            std::fs::write(dir.join(folder).join(format!("{name}{ends}")), "")?;
        }
    }
    // netd's helper under its names; ndc's is looked at whether it may be run.
    let dir = dir.join("netd");
    std::fs::create_dir_all(&dir)?;
    for name in ["iptables", "ip6tables", "ndc"] {
        let file = dir.join(format!("{name}-wrapper-1.0"));
        std::fs::write(&file, "")?;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

/// Where a process keeps its files.
pub fn scratch() -> PathBuf {
    let own = crate::real::raw(libc::SYS_getpid, 0, 0, 0, 0, 0, 0);
    scratch_of(own as i32)
}

fn scratch_of(process: i32) -> PathBuf {
    format!("/dev/shm/guestnet-simulated-{process}").into()
}

/// Which Android's netd.
fn is_sixteen(number: u64) -> bool {
    number / history::TOGETHER % 2 == 1
}

impl Device {
    /// One with its files in this directory, where guestnetd was killed.
    fn new(dir: PathBuf, way: Way) -> Self {
        world::begin(dir.display().to_string());
        schedule::begin(Seed::new(0));
        let bed = Bed::asleep(dir, way).expect("guestnetd without any fault");
        let (world, schedule) = (world::exchange(None), schedule::exchange(None));
        let (world, schedule) = (world.expect("a world"), schedule.expect("a schedule"));
        Self { bed, world, schedule }
    }

    /// It is the one that there is from now on.
    fn begin(self) -> Bed {
        std::mem::forget(world::exchange(Some(self.world)));
        std::mem::forget(schedule::exchange(Some(self.schedule)));
        self.bed
    }
}

impl Teller {
    /// A device, and guestnetd on it.
    pub fn new() -> Self {
        let scratch = scratch();
        let programs = scratch.join("programs");
        std::fs::create_dir_all(&scratch).expect("a directory");
        place_programs(&programs).expect("programs");
        let with_netd = |sixteen| Way::Netd(programs.join("netd"), sixteen);
        let ways = [Way::Nftables, with_netd(false), with_netd(true)];
        let device = |way: &Way, name: String| Some(Device::new(scratch.join(name), way.clone()));
        let pair = |(at, way): (usize, &Way)| {
            [0, 1].map(|which| device(way, format!("device-{at}-{which}")))
        };
        let devices = ways.iter().enumerate().map(pair).collect();
        // Who tells histories is a thread of a simulation, too.
        world::begin(scratch.display().to_string());
        schedule::begin(Seed::new(0));
        let plain = BTreeMap::new();
        Self { bed: None, devices, scratch, plain, programs, speaks: false }
    }

    /// One in three has x_tables; half of those run a program for each command.
    fn ways(&self, number: u64) -> [Way; 2] {
        let [many, one] = ["many", "one"].map(|folder| Way::Xtables(self.programs.join(folder)));
        if history::has_netd(number) {
            let way = Way::Netd(self.programs.join("netd"), is_sixteen(number));
            return [way.clone(), way];
        }
        match number / history::TOGETHER % 6 {
            2 => [many, Way::Nftables],
            5 => [one, Way::Nftables],
            number => [Way::Nftables, if number % 2 == 0 { many } else { one }],
        }
    }

    /// A device of the kind that a history is on.
    fn device(&mut self, number: u64, which: usize) -> Result<Device, String> {
        let kind = if history::has_netd(number) { 1 + usize::from(is_sixteen(number)) } else { 0 };
        self.devices[kind][which].take().ok_or("no device".to_owned())
    }

    /// Tells the beginning of a history, or of several, in this process.
    fn begin(&mut self, number: u64, steps: &[Step]) -> Result<(), String> {
        self.scratch = scratch();
        self.bed = Some(self.device(number, 0)?.begin());
        inside(|| {
            let said = |e| format!("{}: {e}", self.scratch.display());
            std::fs::create_dir_all(&self.scratch).map_err(said)?;
            world::world().begin_again(self.scratch.display().to_string());
            schedule::schedule().seed = history::chance(number / history::TOGETHER);
            Ok::<_, String>(())
        })?;
        let [way, other] = self.ways(number);
        let bed = self.bed.as_mut().ok_or("no device")?;
        bed.wake(self.scratch.join("state"), way, other)?;
        bed.watch();
        steps.iter().try_for_each(|step| bed.step(step)).map_err(|e| seen().unwrap_or(e))?;
        seen().map_or(Ok(()), Err)
    }

    /// Tells the rest of it; what another device was like where only that was done which is left, if that is new.
    fn go_on(&mut self, number: u64, steps: &[Step]) -> Result<Option<Plain>, String> {
        let mut bed = self.bed.take().ok_or("no device")?;
        let told = steps.iter().try_for_each(|step| bed.step(step)).and_then(|()| bed.last_rest());
        // The plain history has a world of its own.
        if let Some(seen) = seen() {
            return Err(seen);
        }
        told?;
        let (was, left) = (bed.state(), bed.left());
        let (should, new) = match self.plain.remove(&left) {
            Some(should) => (should, None),
            None => {
                let seed = Seed::new(schedule::schedule().seed.next());
                let other = self.device(number, 1)?.begin();
                inside(|| world::world().scratch = self.scratch.display().to_string());
                schedule::schedule().seed = seed;
                let should = bed.plain(other, self.scratch.join("plain"))?;
                (should.clone(), Some((left, should)))
            }
        };
        if let Some(seen) = seen() {
            return Err(seen);
        }
        match bed::difference(&was, &should) {
            Some(text) => Err(format!(
                "it is not as it would be without all that (- should be, + is):\n{text}"
            )),
            None => Ok(new),
        }
    }

    /// Tells the rest of it, and says what came of that.
    fn say(&mut self, number: u64, steps: &[Step], pipe: Pipe) {
        match self.go_on(number, steps) {
            Ok(None) => {}
            Ok(Some((left, lines))) => pipe.say(&[PLAIN, &left, &lines.join("\n")]),
            Err(why) => pipe.say(&[FAILED, &number.to_string(), &why]),
        }
    }

    /// Tells histories that have their beginning in common, each from there on in a process of its own.
    fn tell(&mut self, numbers: Range<u64>, pipe: Pipe) {
        let first = numbers.start;
        hook(first, pipe);
        let all = history(first);
        let (beginning, _) = history::parts(&all);
        if let Err(why) = schedule::outside(|| self.begin(first, beginning)) {
            return pipe.say(&[FAILED, &first.to_string(), &why]);
        }
        let (state, kept) = (self.scratch.join("state"), self.scratch.join("kept"));
        let _ = bed::copy(&state, &kept);
        for number in numbers {
            let told = apart::apart(LONGEST, |pipe| {
                hook(number, pipe);
                let all = history(number);
                let (_, own) = history::parts(&all);
                schedule::outside(|| self.say(number, own, pipe));
            });
            for one in told.said.iter().filter(|one| one[0] == PLAIN) {
                pipe.say(&one.iter().map(String::as_str).collect::<Vec<_>>());
            }
            for (number, why) in self.heard(number, told) {
                pipe.say(&[FAILED, &number.to_string(), &why]);
            }
            for dir in [&state, &self.scratch.join("plain")] {
                let _ = std::fs::remove_dir_all(dir);
            }
            let _ = bed::copy(&kept, &state);
        }
    }

    /// What a process has said: histories that failed, and why; this one, if it does not say which.
    fn heard(&mut self, number: u64, told: Told) -> Vec<(u64, String)> {
        let _ = std::fs::remove_dir_all(scratch_of(told.process));
        let mut failed = Vec::new();
        for one in &told.said {
            match &one.iter().map(String::as_str).collect::<Vec<_>>()[..] {
                [FAILED, number, why] => {
                    failed.push((number.parse().unwrap_or_default(), (*why).to_owned()));
                }
                [PLAIN, left, lines] => {
                    let lines = lines.lines().map(str::to_owned).collect();
                    self.plain.insert((*left).to_owned(), lines);
                }
                _ => {}
            }
        }
        match told.status {
            None => failed.push((number, "it runs for ever".into())),
            Some(status) if status != 0 && failed.is_empty() => {
                failed.push((number, format!("its process ended with status {status:#x}")));
            }
            Some(_) => {}
        }
        failed
    }

    /// Tells one history, whole, in a process of its own; what went wrong, if something did.
    pub fn run(&mut self, number: u64, steps: &[Step]) -> Option<String> {
        let told = inside(|| {
            apart::apart(LONGEST, |pipe| {
                hook(number, pipe);
                let (beginning, own) = history::parts(steps);
                schedule::outside(|| match self.begin(number, beginning) {
                    Ok(()) => self.say(number, own, pipe),
                    Err(why) => pipe.say(&[FAILED, &number.to_string(), &why]),
                });
            })
        });
        self.heard(number, told).pop().map(|(_, why)| why)
    }

    /// Leaves out what a failure does not need.
    fn shrink(&mut self, number: u64, mut steps: Vec<Step>, why: String) -> (Vec<Step>, String) {
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
                    if let Some(now) = self.run(number, &tried).filter(|now| kind(now) == wanted) {
                        (steps, why, again) = (tried, now, true);
                        break;
                    }
                }
            }
        }
        (steps, why)
    }

    fn report(&mut self, number: u64, why: String) {
        let mut out = std::io::stdout();
        let _ = writeln!(out, "\nSEED={number}: {why}");
        let (steps, why) = self.shrink(number, history(number), why);
        let _ = writeln!(out, "made small, {} steps: {why}", steps.len());
        steps.iter().for_each(|step| drop(writeln!(out, "    {step:?}")));
    }

    /// Every so many of those that have their beginning in common, of these histories; how many failed.
    pub fn some(&mut self, all: Range<u64>, (nth, every): (u64, u64), most: usize) -> usize {
        let (mut failed, mut spoke) = (0, Instant::now());
        let mut first = (all.start / history::TOGETHER + nth) * history::TOGETHER;
        while first < all.end && failed < most {
            if self.speaks && spoke.elapsed() > PAUSE {
                spoke = Instant::now();
                let done = first.saturating_sub(all.start);
                let _ = writeln!(std::io::stderr(), "{done} of {} histories", all.end - all.start);
            }
            let numbers = first.max(all.start)..(first + history::TOGETHER).min(all.end);
            let told = inside(|| apart::apart(OF_ALL, |pipe| self.tell(numbers, pipe)));
            for (number, why) in self.heard(first, told) {
                failed += 1;
                self.report(number, why);
            }
            first += every * history::TOGETHER;
        }
        failed
    }

    /// Those that once failed; how many do again.
    pub fn those_known(&mut self) -> usize {
        let mut failed = 0;
        for steps in known() {
            // Machines and segments are told where netd is not.
            let plain =
                !steps.iter().any(|step| matches!(step.op, Op::Cast(cast) if cast != Cast::Plain));
            for number in WAYS.into_iter().filter(|number| plain || !history::has_netd(*number)) {
                if let Some(why) = self.run(number, &steps) {
                    failed += 1;
                    let out = &mut std::io::stdout();
                    let _ = writeln!(out, "\na known one, {number}: {steps:?}: {why}");
                }
            }
        }
        failed
    }
}

/// A panic is a failure of this history.
fn hook(number: u64, pipe: Pipe) {
    std::panic::set_hook(Box::new(move |panic| {
        pipe.say(&[FAILED, &number.to_string(), &format!("panic: {panic}")]);
        apart::end(1);
    }));
}

/// What the simulation has seen that must not be.
fn seen() -> Option<String> {
    world::world().seen.take()
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
