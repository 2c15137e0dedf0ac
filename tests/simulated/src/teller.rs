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
use crate::history::{self, history, known, Op, Step, LONGER, TOGETHER};
use crate::schedule::{self, inside};
use crate::seed::Seed;
use crate::world;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long a history may take in real time; those that have their middle in common, and all of those that have
/// their beginning.
const LONGEST: Duration = Duration::from_secs(300);
const OF_SOME: Duration = Duration::from_secs(300 * (1 + LONGER));
const OF_ALL: Duration = Duration::from_secs(300 * (1 + 2 * TOGETHER));
/// After that who waits hears how far it is.
const PAUSE: Duration = Duration::from_secs(60);
/// Numbers of histories, one for each way to filter packets, on each kind of device.
const WAYS: [u64; 5] = [0, 2 * TOGETHER, 5 * TOGETHER, 4 * TOGETHER, 24 * TOGETHER];

/// What a process says by its pipe: that a history failed, and what devices are like where only that was done which
/// is left of one.
const FAILED: &str = "failed";
const PLAIN: &str = "plain";

/// Forks from a process in which the device is there and guestnetd, killed, has left its state.
pub struct Teller {
    bed: Option<Bed>,
    kind: usize,
    /// Those to begin with: for the history, and for what is only left of it.
    devices: [Option<Device>; 2],
    /// What devices are like where only that was done which is left of a history, by what is left: a hash of both.
    plain: BTreeMap<u64, u64>,
    /// What is told, by all who tell.
    numbers: &'static Numbers,
    /// Whether it tells now and then how far it is.
    pub speaks: bool,
}

/// What those who tell histories of one kind of device have in common, in memory that all their processes share.
#[derive(Debug)]
pub struct Numbers {
    /// What is told next.
    next: AtomicU64,
    /// How many have come to an end, good or bad.
    told: AtomicU64,
}

impl Numbers {
    /// Those of a process, and of all that will be forked from it.
    pub fn shared() -> &'static Self {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
        // SAFETY: a new page, of zeros, which is never given back.
        unsafe {
            let page = libc::mmap(std::ptr::null_mut(), size_of::<Self>(), access, flags, -1, 0);
            assert_ne!(page, libc::MAP_FAILED);
            &*page.cast::<Self>()
        }
    }

    /// Whether all of one kind among these, and the known ones, have come to an end.
    pub fn are_all(&self, kind: usize, all: Range<u64>) -> bool {
        let known = those_known().iter().filter(|(number, _)| kind_of(*number) == kind).count();
        let own = all.filter(|number| kind_of(*number) == kind).count();
        self.told.load(Ordering::Relaxed) == (known + own) as u64
    }
}

/// A device with all that there is of it.
struct Device {
    bed: Bed,
    world: world::World,
    schedule: schedule::Schedule,
}

/// A hash of what is left of a history, and one of what devices are like where only that was done.
type Plain = (u64, u64);

/// A hash of lines in any order.
fn hash(lines: &[String]) -> u64 {
    let mut sorted: Vec<&String> = lines.iter().collect();
    sorted.sort_unstable();
    let mut hasher = DefaultHasher::new();
    sorted.hash(&mut hasher);
    hasher.finish()
}

/// Kinds of device: without netd, and with that of Android 13 or 16.
pub const KINDS: [Way; 3] = [Way::Nftables, Way::Netd(false), Way::Netd(true)];

/// The kind that a history is on.
pub fn kind_of(number: u64) -> usize {
    match (history::has_netd(number), history::is_sixteen(number)) {
        (false, _) => 0,
        (true, sixteen) => 1 + usize::from(sixteen),
    }
}

/// How guestnetd filters packets in a history, and what it may change to. One in three has x_tables; half of those run
/// a program for each command.
fn ways(number: u64) -> [Way; 2] {
    let [many, one] = [true, false].map(|many| Way::Xtables { many });
    if kind_of(number) != 0 {
        return [KINDS[kind_of(number)]; 2];
    }
    match number / TOGETHER % 6 {
        2 => [many, Way::Nftables],
        5 => [one, Way::Nftables],
        number => [Way::Nftables, if number % 2 == 0 { many } else { one }],
    }
}

impl Device {
    /// One where guestnetd was killed.
    fn new(way: Way) -> Self {
        world::begin();
        schedule::begin(Seed::new(0));
        let bed = Bed::asleep(way).expect("guestnetd without any fault");
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
    /// For histories on devices of one kind: what other kinds need would be copied for each, too.
    pub fn new(kind: usize, numbers: &'static Numbers) -> Self {
        let devices = [0, 1].map(|_| Some(Device::new(KINDS[kind])));
        // Who tells histories is a thread of a simulation, too.
        world::begin();
        schedule::begin(Seed::new(0));
        Self { bed: None, kind, devices, plain: BTreeMap::new(), numbers, speaks: false }
    }

    /// Tells the beginning of a history, or of several, in this process.
    fn begin(&mut self, number: u64, steps: &[Step]) -> Result<(), String> {
        self.bed = Some(self.devices[0].take().ok_or("no device")?.begin());
        schedule::schedule().seed = history::chance(number / TOGETHER);
        let [way, other] = ways(number);
        let bed = self.bed.as_mut().ok_or("no device")?;
        bed.wake(way, other)?;
        bed.watch();
        self.go_on(steps)
    }

    /// Tells what comes next.
    fn go_on(&mut self, steps: &[Step]) -> Result<(), String> {
        let bed = self.bed.as_mut().ok_or("no device")?;
        steps.iter().try_for_each(|step| bed.step(step)).map_err(|e| seen().unwrap_or(e))?;
        seen().map_or(Ok(()), Err)
    }

    /// Tells the rest of it; what another device was like where only that was done which is left, if that is new.
    fn end(&mut self, steps: &[Step]) -> Result<Option<Plain>, String> {
        let mut bed = self.bed.take().ok_or("no device")?;
        let told = steps.iter().try_for_each(|step| bed.step(step)).and_then(|()| bed.last_rest());
        // The plain history has a world of its own.
        if let Some(seen) = seen() {
            return Err(seen);
        }
        told?;
        let (was, left) = (bed.state(), hash(&[bed.left()]));
        if self.plain.get(&left) == Some(&hash(&was)) {
            return Ok(None);
        }
        let seed = Seed::new(schedule::schedule().seed.next());
        let other = self.devices[1].take().ok_or("no device")?.begin();
        schedule::schedule().seed = seed;
        let should = bed.plain(other)?;
        if let Some(seen) = seen() {
            return Err(seen);
        }
        match bed::difference(&was, &should) {
            Some(text) => Err(format!(
                "it is not as it would be without all that (- should be, + is):\n{text}"
            )),
            None => Ok(Some((left, hash(&should)))),
        }
    }

    /// Tells the rest of it, and says what came of that.
    fn say(&mut self, number: u64, steps: &[Step], pipe: Pipe) {
        match self.end(steps) {
            Ok(None) => {}
            Ok(Some((left, like))) => pipe.say(&[PLAIN, &left.to_string(), &like.to_string()]),
            Err(why) => pipe.say(&[FAILED, &number.to_string(), &why]),
        }
        self.numbers.told.fetch_add(1, Ordering::Relaxed);
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
        let mut at = first;
        while at < numbers.end {
            let some = at..((at / LONGER + 1) * LONGER).min(numbers.end);
            at = some.end;
            let told = apart::apart(OF_SOME, |pipe| self.tell_some(some.clone(), pipe));
            self.pass_on(some.start, told, pipe);
        }
    }

    /// Tells those of them that have their middle in common, too, from their beginning on.
    fn tell_some(&mut self, numbers: Range<u64>, pipe: Pipe) {
        let first = numbers.start;
        hook(first, pipe);
        let all = history(first);
        let (middle, _) = history::parts(history::parts(&all).1);
        if let Err(why) = schedule::outside(|| self.go_on(middle)) {
            return pipe.say(&[FAILED, &first.to_string(), &why]);
        }
        for number in numbers {
            let told = apart::apart(LONGEST, |pipe| {
                hook(number, pipe);
                let all = history(number);
                let (_, own) = history::parts(history::parts(&all).1);
                schedule::outside(|| self.say(number, own, pipe));
            });
            self.pass_on(number, told, pipe);
        }
    }

    /// Hears what a process has said, and says it to who waits for this one.
    fn pass_on(&mut self, number: u64, told: Told, pipe: Pipe) {
        for one in told.said.iter().filter(|one| one[0] == PLAIN) {
            pipe.say(&one.iter().map(String::as_str).collect::<Vec<_>>());
        }
        for (number, why) in self.heard(number, told) {
            pipe.say(&[FAILED, &number.to_string(), &why]);
        }
    }

    /// What a process has said: histories that failed, and why; this one, if it does not say which.
    fn heard(&mut self, number: u64, told: Told) -> Vec<(u64, String)> {
        let mut failed = Vec::new();
        let hash = |text: &str| text.parse::<u64>().unwrap_or_default();
        for one in &told.said {
            match &one.iter().map(String::as_str).collect::<Vec<_>>()[..] {
                [FAILED, number, why] => failed.push((hash(number), (*why).to_owned())),
                [PLAIN, left, like] => drop(self.plain.insert(hash(left), hash(like))),
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
                let (beginning, rest) = history::parts(steps);
                schedule::outside(|| match self.begin(number, beginning) {
                    Ok(()) => self.say(number, rest, pipe),
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

    /// Tells those of its kind that are known, if there are to be any, and of these until so many have failed here,
    /// together with all who have the same numbers; how many failed here.
    pub fn some(&mut self, all: Range<u64>, with_known: bool, most: usize) -> usize {
        let mut known = if with_known { those_known() } else { Vec::new() };
        known.retain(|(number, _)| kind_of(*number) == self.kind);
        let (mut known_failed, mut failed, mut spoke) = (0, 0, Instant::now());
        while failed < most {
            let job = self.numbers.next.fetch_add(1, Ordering::Relaxed);
            if let Some((number, steps)) = known.get(job as usize) {
                if let Some(why) = self.run(*number, steps) {
                    known_failed += 1;
                    let out = &mut std::io::stdout();
                    let _ = writeln!(out, "\na known one, {number}: {steps:?}: {why}");
                }
                continue;
            }
            let first = (all.start / TOGETHER + job - known.len() as u64) * TOGETHER;
            if first >= all.end {
                break;
            }
            if kind_of(first) != self.kind {
                continue;
            }
            if self.speaks && spoke.elapsed() > PAUSE {
                spoke = Instant::now();
                let done = first.saturating_sub(all.start);
                let _ = writeln!(
                    std::io::stderr(),
                    "{:?}: {done} of {} histories",
                    KINDS[self.kind],
                    all.end - all.start
                );
            }
            let numbers = first.max(all.start)..(first + TOGETHER).min(all.end);
            let told = inside(|| apart::apart(OF_ALL, |pipe| self.tell(numbers, pipe)));
            for (number, why) in self.heard(first, told) {
                failed += 1;
                self.report(number, why);
            }
        }
        known_failed + failed
    }
}

/// Those that are known, each with a number of each way to filter packets.
fn those_known() -> Vec<(u64, Vec<Step>)> {
    let mut all = Vec::new();
    for steps in known() {
        // Machines and segments are told where netd is not.
        let plain =
            !steps.iter().any(|step| matches!(step.op, Op::Cast(cast) if cast != Cast::Plain));
        let ways = WAYS.into_iter().filter(|number| plain || !history::has_netd(*number));
        all.extend(ways.map(|number| (number, steps.clone())));
    }
    all
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
