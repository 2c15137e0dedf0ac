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

//! A device with guestnetd on it, as a history has it: what is known of it, and how one begins.

mod answers;
mod calls;
mod check;
mod closed;
mod guests;
mod happens;
mod lives;
mod others;
mod rest;
mod state;
mod status;
mod way;

pub use closed::{packet, ELSEWHERE, STRANGER};
pub use guests::{name, BLOCKED};
pub use state::difference;
pub use way::{programs, Way};

use crate::cast::Cast;
use crate::device;
use crate::history::GUESTS;
use crate::netd;
use crate::schedule::{self, inside, schedule, Nanos, Wait};
use crate::world::world;
use guestnet_simulator::Netns;
use guestnetd::daemon::Handle;
use others::Others;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

const MS: Nanos = 1_000_000;
const S: Nanos = 1_000 * MS;

/// What became of something.
pub type Outcome<T> = Result<T, String>;

/// What a guest is to be, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    Attached,
    Detached,
    /// A call on it was never answered, or others have been at it.
    Either,
}

/// Descriptors of a TAP device.
type Held = Arc<Mutex<Vec<i32>>>;

/// Everything.
pub struct Bed {
    way: Way,
    /// What it can be instead.
    other: Way,
    life: u32,
    daemon: Option<Handle>,
    cast: Cast,
    guests: Vec<(i32, Netns)>,
    /// What machines have of their TAP devices.
    taps: [Held; GUESTS],
    known: Vec<Known>,
    /// Where those are that have moved, as of the last rest.
    at: [Option<Ipv4Addr>; GUESTS],
    others: Others,
    pids: i32,
    /// A fault has been planned since the last rest: a call may fail by it.
    faults_before: u32,
    trace: bool,
}

impl Bed {
    /// A device, and guestnetd on it, which each guest has been attached by once.
    pub fn new(way: Way) -> Outcome<Self> {
        inside(|| match &way {
            Way::Netd(sixteen) => netd::build(*sixteen),
            _ => device::build(),
        });
        let mut bed = Self {
            other: way,
            way,
            life: 0,
            daemon: None,
            cast: Cast::Plain,
            guests: Vec::new(),
            taps: Default::default(),
            known: vec![Known::Detached; GUESTS],
            at: [None; GUESTS],
            others: Others::default(),
            pids: 1000,
            faults_before: 0,
            trace: world().trace,
        };
        for _ in 0..GUESTS {
            let guest = bed.new_guest();
            bed.guests.push(guest);
        }
        bed.start()?;
        // Each name has its place from now on, whatever comes first in a history.
        for guest in 0..GUESTS {
            bed.attach(guest)?.map_err(|e| format!("the first attach: {e}"))?;
        }
        for guest in 0..GUESTS {
            bed.detach(guest)?.map_err(|e| format!("the first detach: {e}"))?;
        }
        bed.known = vec![Known::Detached; GUESTS];
        world().watch = None;
        Ok(bed)
    }

    /// The same without a thread: guestnetd was killed. A process that is forked from here can go on.
    pub fn asleep(way: Way) -> Outcome<Self> {
        let mut bed = Self::new(way)?;
        bed.kill();
        Ok(bed)
    }

    /// Goes on from there.
    pub fn wake(&mut self, way: Way, other: Way) -> Outcome<()> {
        (self.way, self.other, self.trace) = (way, other, world().trace);
        self.alive()
    }

    fn new_guest(&mut self) -> (i32, Netns) {
        inside(|| {
            self.pids += 1;
            let netns = world().kernel.netns_add();
            world().process_add(self.pids, netns, self.pids as u64);
            world().kernel.netns_del(netns);
            (self.pids, netns)
        })
    }

    fn say(&self, what: impl FnOnce() -> String) {
        if self.trace {
            eprintln!("{:>10.3} {}", (schedule().now() - 1_000 * S) as f64 / 1e9, what());
        }
    }

    /// Lets time go by while others run.
    fn pass(&self, nanos: Nanos) {
        schedule::wait(Wait::Quiet, Some(schedule().now() + nanos));
    }

    /// The guests are these from now on.
    fn play(&mut self, cast: Cast) {
        (self.cast, world().cast) = (cast, cast);
    }

    /// Looks between any two writes from now on.
    pub fn watch(&self) {
        world().watch = Some(closed::closed);
    }
}
