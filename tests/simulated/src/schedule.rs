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

//! One thread runs at a time, chosen by the seed where several could, and time passes only when none
//! can. Threads have all that real ones have, and one of the kernel's runs them in turn (`fiber.rs`); what
//! they wait for is known here: a futex, descriptors, a time, another thread's end.

use crate::fiber::{self, At, Place};
use crate::seed::Seed;
use std::cell::Cell;
use std::ptr::addr_of_mut;

/// A thread's number, in the order in which they began.
pub type Number = usize;

/// Virtual nanoseconds.
pub type Nanos = u64;

/// What a thread waits for.
#[derive(Debug)]
pub enum Wait {
    /// Nothing: it could run.
    Nothing,
    /// A wake of this futex.
    Futex(usize, u32),
    /// One of these descriptors.
    Ready(Vec<libc::pollfd>),
    /// A time alone.
    Time,
    /// The end of a thread.
    End(Number),
    /// Nobody else can run: who tells the history.
    Quiet,
    /// For ever: its process was killed, or it has come to its end.
    Never,
}

/// More threads than there ever are at once.
const PLACES: usize = 48;

type Destructor = unsafe extern "C" fn(*mut libc::c_void);

struct Thread {
    /// Where it goes on.
    at: At,
    /// What it runs in; none: the history's own thread, or one that has ended.
    place: Option<usize>,
    /// What becomes of its thread-locals at its end.
    destructors: Vec<(Destructor, usize)>,
    wait: Wait,
    until: Option<Nanos>,
    /// Which life of guestnetd it belongs to; 0 is the history's own.
    life: u32,
    handle: libc::pthread_t,
    ended: bool,
}

/// All threads. Touched by the one that runs alone.
pub struct Schedule {
    threads: Vec<Thread>,
    /// The places that nobody runs in.
    free: Vec<usize>,
    now: Nanos,
    /// Of the thread that runs.
    current: Number,
    /// Who goes on where several can.
    pub seed: Seed,
}

static mut SCHEDULE: Option<Schedule> = None;
static mut PLACES_MADE: Vec<Place> = Vec::new();

thread_local! {
    /// This thread's number; none: it is not of the simulation.
    static SELF: Cell<Option<Number>> = const { Cell::new(None) };
    /// Whether it is in the simulation itself, where libc is libc.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// The schedule. Only the thread that has the turn calls this.
#[allow(static_mut_refs)]
pub fn schedule() -> &'static mut Schedule {
    // SAFETY: one thread runs at a time, all of them on one of the kernel's. No caller keeps the reference
    // over a call that hands over.
    unsafe { (*addr_of_mut!(SCHEDULE)).as_mut().expect("the simulation has begun") }
}

/// Whether the calling thread is simulated, and not in the simulation itself.
pub fn is_simulated() -> bool {
    SELF.try_with(|own| own.get().is_some()).unwrap_or(false)
        && !INSIDE.try_with(Cell::get).unwrap_or(true)
}

/// Whether the calling thread is one that this program runs itself, and not the kernel's own.
pub fn has_place() -> bool {
    SELF.get().is_some_and(|own| schedule().threads[own].place.is_some())
}

/// Runs what is the simulation's own: its calls of libc are the real ones.
pub fn inside<T>(work: impl FnOnce() -> T) -> T {
    let before = INSIDE.with(|inside| inside.replace(true));
    let result = work();
    INSIDE.with(|inside| inside.set(before));
    result
}

/// The other way about: what is run by the simulation's own.
pub fn outside<T>(work: impl FnOnce() -> T) -> T {
    let before = INSIDE.with(|inside| inside.replace(false));
    let result = work();
    INSIDE.with(|inside| inside.set(before));
    result
}

/// The number of the thread that calls.
pub fn own() -> Number {
    SELF.with(Cell::get).expect("a simulated thread")
}

/// The places, which are made once. Only the thread that has the turn calls this.
#[allow(static_mut_refs)]
fn places() -> &'static mut Vec<Place> {
    // SAFETY: as above.
    unsafe { &mut *addr_of_mut!(PLACES_MADE) }
}

/// Begins: the calling thread tells the history. Threads that there are never go on.
pub fn begin(seed: Seed) {
    if places().is_empty() {
        places().extend(fiber::places(PLACES));
    }
    let free = (0..PLACES).rev().collect();
    let schedule = Schedule { threads: Vec::new(), free, now: 1_000_000_000_000, current: 0, seed };
    // SAFETY: no thread has begun yet.
    unsafe { *addr_of_mut!(SCHEDULE) = Some(schedule) };
    let own = crate::schedule::schedule().thread(0, At::default(), None, 0);
    SELF.with(|cell| cell.set(Some(own)));
}

/// Puts another one in its place, whose threads will never go on either: the one before.
#[allow(static_mut_refs)]
pub fn exchange(other: Option<Schedule>) -> Option<Schedule> {
    // SAFETY: as above.
    unsafe { std::mem::replace(&mut *addr_of_mut!(SCHEDULE), other) }
}

impl Schedule {
    fn thread(
        &mut self,
        life: u32,
        at: At,
        place: Option<usize>,
        handle: libc::pthread_t,
    ) -> Number {
        let (wait, until, destructors) = (Wait::Nothing, None, Vec::new());
        let ended = false;
        self.threads.push(Thread { at, place, destructors, wait, until, life, handle, ended });
        self.threads.len() - 1
    }

    /// A thread that could run, and what libc calls it.
    pub fn add(&mut self, work: Box<dyn FnOnce()>) -> (Number, libc::pthread_t) {
        let place = self.free.pop().expect("a place for one more thread");
        let number = self.threads.len();
        let begins = Box::into_raw(Box::new(Begins { number, work }));
        let (at, handle) = {
            let place = &places()[place];
            (place.begin(begin_thread, begins as usize), place.handle())
        };
        self.thread(self.life(), at, Some(place), handle);
        (number, handle)
    }

    /// What is to be done with a thread-local at the running thread's end.
    pub fn at_end(&mut self, destructor: Destructor, object: usize) {
        self.threads[self.current].destructors.push((destructor, object));
    }

    /// The time.
    pub fn now(&self) -> Nanos {
        self.now
    }

    /// What a call takes.
    pub fn pass(&mut self, nanos: Nanos) {
        self.now += nanos;
    }

    /// The life that the running thread belongs to.
    pub fn life(&self) -> u32 {
        self.threads[self.current].life
    }

    /// Has the calling thread, and what it starts, belong to another one.
    pub fn set_life(&mut self, life: u32) {
        self.threads[self.current].life = life;
    }

    /// The thread that libc calls so.
    pub fn find(&self, handle: libc::pthread_t) -> Option<Number> {
        self.threads.iter().rposition(|thread| thread.handle == handle)
    }

    /// Ends all threads of a life, wherever they are.
    pub fn kill(&mut self, life: u32) {
        for (number, thread) in self.threads.iter_mut().enumerate() {
            if thread.life == life {
                (thread.wait, thread.until) = (Wait::Never, None);
                // What runs now will not for long.
                self.free.extend(thread.place.take_if(|_| number != self.current));
            }
        }
    }

    /// Wakes up to so many that wait for a futex; tells how many there were.
    pub fn wake(&mut self, word: usize, most: u32, bits: u32) -> u32 {
        let mut woken = 0;
        for thread in &mut self.threads {
            match thread.wait {
                Wait::Futex(at, mask) if at == word && mask & bits != 0 && woken < most => {
                    thread.wait = Wait::Nothing;
                    woken += 1;
                }
                _ => {}
            }
        }
        woken
    }

    /// What threads wait for, for who reads why a history hangs.
    pub fn waits(&self) -> String {
        let live = self.threads.iter().enumerate().filter(|(_, t)| !matches!(t.wait, Wait::Never));
        live.map(|(at, t)| {
            format!("thread {at} of life {}: {:?} until {:?}\n", t.life, t.wait, t.until)
        })
        .collect()
    }

    fn can_run(&self, at: Number) -> bool {
        let thread = &self.threads[at];
        if thread.until.is_some_and(|until| until <= self.now) {
            return !matches!(thread.wait, Wait::Quiet | Wait::Never);
        }
        match &thread.wait {
            Wait::Nothing => true,
            Wait::Ready(fds) => crate::world::world().is_ready(fds),
            Wait::End(other) => self.threads[*other].ended,
            Wait::Futex(..) | Wait::Time | Wait::Quiet | Wait::Never => false,
        }
    }

    /// Who goes on; time passes until somebody can.
    fn next(&mut self) -> Number {
        loop {
            let ready: Vec<_> = (0..self.threads.len()).filter(|at| self.can_run(*at)).collect();
            if !ready.is_empty() {
                return ready[self.seed.below(ready.len())];
            }
            let waits = |t: &&Thread| !matches!(t.wait, Wait::Quiet | Wait::Never);
            let due = self.threads.iter().filter(waits).filter_map(|t| t.until).min();
            let quiet = self.threads.iter().position(|t| matches!(t.wait, Wait::Quiet));
            let end = quiet.map(|at| self.threads[at].until.unwrap_or(self.now));
            match (due, quiet, end) {
                (Some(due), _, None) => self.now = self.now.max(due),
                (Some(due), Some(_), Some(end)) if due <= end => self.now = self.now.max(due),
                (_, Some(at), Some(end)) => {
                    self.now = self.now.max(end);
                    return at;
                }
                _ => panic!("nobody can run:\n{}", self.waits()),
            }
        }
    }
}

/// Has the calling thread wait; tells whether what it waited for came, and not the time.
pub fn wait(for_: Wait, until: Option<Nanos>) -> bool {
    let own = own();
    let schedule = schedule();
    schedule.threads[own].wait = for_;
    schedule.threads[own].until = until;
    hand_over(own);
    let thread = &mut crate::schedule::schedule().threads[own];
    let came = matches!(thread.wait, Wait::Nothing)
        || thread.until.is_none_or(|until| until > crate::schedule::schedule().now);
    thread.wait = Wait::Nothing;
    thread.until = None;
    came
}

fn hand_over(own: Number) {
    let schedule = schedule();
    let next = schedule.next();
    if next == own {
        return;
    }
    schedule.current = next;
    let to = schedule.threads[next].at;
    let from = &raw mut schedule.threads[own].at;
    // SAFETY: nobody runs there, and threads are added, which moves this one, after it was written.
    unsafe { fiber::switch(from, to) };
}

/// Others may go on.
pub fn yield_now() {
    wait(Wait::Nothing, None);
}

/// A thread that is to begin.
struct Begins {
    number: Number,
    work: Box<dyn FnOnce()>,
}

extern "C" fn begin_thread(begins: usize) -> ! {
    // SAFETY: made by `add()` for this thread alone.
    let Begins { number, work } = *unsafe { Box::from_raw(begins as *mut Begins) };
    SELF.with(|cell| cell.set(Some(number)));
    work();
    // Those of thread-locals may have thread-locals of their own.
    while let Some((destructor, object)) = schedule().threads[number].destructors.pop() {
        // SAFETY: the thread that they are of calls it, once (`__cxa_thread_atexit_impl`).
        unsafe { destructor(object as *mut libc::c_void) };
    }
    INSIDE.with(|inside| inside.set(true));
    let schedule = schedule();
    let thread = &mut schedule.threads[number];
    (thread.ended, thread.wait) = (true, Wait::Never);
    // Nobody takes it before somebody else runs.
    schedule.free.extend(thread.place.take());
    hand_over(number);
    unreachable!("a thread went on after its end");
}

/// The calling thread ends here and now, as its process was killed.
pub fn die() -> ! {
    wait(Wait::Never, None);
    unreachable!("a thread of a process that was killed went on");
}
