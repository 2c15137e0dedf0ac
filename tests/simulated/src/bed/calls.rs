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

//! What is asked of guestnetd: attach, detach, update, list. A call that fails has a reason.

use super::answers::Answer;
use super::guests::{name, vpn, MOVED};
use super::{Bed, Held, Known, Outcome, Way};
use crate::netd;
use crate::schedule::inside;
use crate::world::{world, Hearing};
use guestnetd::daemon::{AttachRequest, By, UpdateRequest, Whose};
use guestnetd::effects::kernel::netns::initial::Initial;
use guestnetd::effects::kernel::netns::target::{Named, Target};
use std::net::Ipv4Addr;
use std::os::fd::{IntoRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

impl Bed {
    pub(super) fn attach(&mut self, guest: usize) -> Outcome<Result<(), String>> {
        self.attach_at(guest, None)
    }

    pub(super) fn attach_at(
        &mut self,
        guest: usize,
        at: Option<Ipv4Addr>,
    ) -> Outcome<Result<(), String>> {
        let faults = world().faults;
        let answer = self.begin_attach(guest, at);
        self.end("attach", (guest, Known::Attached), &answer, faults)
    }

    pub(super) fn detach(&mut self, guest: usize) -> Outcome<Result<(), String>> {
        let faults = world().faults;
        let answer = self.begin_detach(guest);
        self.end("detach", (guest, Known::Detached), &answer, faults)
    }

    pub(super) fn attach_and_detach(&mut self, one: usize, other: usize) -> Outcome<()> {
        let faults = world().faults;
        let (first, second) = (self.begin_attach(one, None), self.begin_detach(other));
        drop(self.end("attach", (one, Known::Attached), &first, faults)?);
        drop(self.end("detach", (other, Known::Detached), &second, faults)?);
        Ok(())
    }

    fn begin_attach(&mut self, guest: usize, at: Option<Ipv4Addr>) -> Answer<Result<(), String>> {
        let role = self.cast.role(guest);
        if !inside(|| world().lives(self.guests[role.process].0)) {
            self.guests[role.process] = self.new_guest();
        }
        let (pid, handle) = (self.guests[role.process].0, self.handle());
        let (spec, held) = (self.spec_at(guest, -1, at), Arc::clone(&self.taps[guest]));
        self.begin(move || {
            let target = match role.queues {
                Some(_) => None,
                None => {
                    let target = Target::open(Named::Pid(pid), &Initial::find());
                    Some(target.map_err(|e| e.to_string())?)
                }
            };
            let request = AttachRequest {
                spec,
                target,
                uid: 0,
                most: None,
                owner: None,
                arrived: Instant::now(),
            };
            let (_, tap) = handle.attach(request).map_err(|e| e.to_string())?;
            if !tap.is_empty() {
                pass_on(tap, &held);
            }
            Ok(())
        })
    }

    fn begin_detach(&self, guest: usize) -> Answer<Result<(), String>> {
        let handle = self.handle();
        let by = By { uid: 0, pid: 0 };
        self.begin(move || {
            handle.detach(name(guest), Whose::Everyones, by).map_err(|e| e.to_string())
        })
    }

    /// What a call on a guest was answered with; it is known from then on how that guest is.
    fn end(
        &mut self,
        what: &str,
        (guest, becomes): (usize, Known),
        answer: &Answer<Result<(), String>>,
        faults: u32,
    ) -> Outcome<Result<(), String>> {
        let result = self.answer(what, answer)?;
        self.say(|| format!("{what} {guest}: {result:?}"));
        match result {
            None => {
                self.known[guest] = Known::Either;
                Ok(Ok(()))
            }
            Some(Ok(())) => {
                self.known[guest] = becomes;
                Ok(Ok(()))
            }
            Some(Err(e)) => {
                let (was, faulty) = (self.known[guest], world().faults > faults);
                if was == Known::Either {
                    return Ok(Err(e));
                }
                // An attach that fails changes nothing; a detach may be under way.
                if becomes == Known::Detached && was == Known::Attached {
                    self.known[guest] = Known::Either;
                }
                // Who leaves by the VPN has to find it.
                let there = vpn(guest).tun().is_none() || netd::way_by_vpn().is_some();
                if !faulty && was != becomes && self.undisturbed() && there {
                    return Err(format!("{what} of {guest} failed without a reason: {e}"));
                }
                Ok(Err(e))
            }
        }
    }

    /// A guest has another MTU from now on; and another address, where it moves.
    pub(super) fn update(&mut self, guest: usize, mtu: i32, moves: bool) -> Outcome<()> {
        let (handle, faults) = (self.handle(), world().faults);
        let spec = self.spec_at(guest, mtu, moves.then_some(MOVED));
        let answer = self.begin(move || {
            let request = UpdateRequest {
                name: name(guest),
                spec,
                whose: Whose::Everyones,
                arrived: Instant::now(),
            };
            handle.update(request).map(drop).map_err(|e| e.to_string())
        });
        let result = self.answer("update", &answer)?;
        self.say(|| format!("update {guest}: {result:?}"));
        let done = result.is_some_and(|result| result.is_ok());
        if done && moves && world().faults == faults && !world().killed {
            self.has_moved(guest)?;
        }
        Ok(())
    }

    /// With the answer the address before is nobody's. nf_tables alone knows guests by their addresses; what it has
    /// left where guestnetd has x_tables now, and could not take away yet, is another matter.
    fn has_moved(&self, guest: usize) -> Outcome<()> {
        if self.way != Way::Nftables {
            return Ok(());
        }
        let Some(end) = self.host_end(guest) else { return Ok(()) };
        let lets_in = inside(|| world().filter.sources(world().device, &end));
        match lets_in.iter().all(|source| *source == MOVED) {
            true => Ok(()),
            false => Err(format!("{} has moved, and is let in from {lets_in:?}", name(guest))),
        }
    }

    pub(super) fn list(&mut self) -> Outcome<()> {
        let handle = self.handle();
        let answer = self.begin(move || handle.list(Whose::Everyones).is_ok());
        self.answer("list", &answer)?;
        Ok(())
    }

    /// A guest's process ends, or a machine does.
    pub(super) fn guest_dies(&mut self, guest: usize) {
        let role = self.cast.role(guest);
        if role.queues.is_some() {
            close(&self.taps[guest]);
            self.known[guest] = Known::Detached;
        } else {
            inside(|| world().process_end(self.guests[role.process].0));
            for guest in self.cast.with_process_of(guest) {
                self.known[guest] = Known::Detached;
            }
        }
    }

    /// Whether nothing that others or faults have done is still to be dealt with.
    fn undisturbed(&self) -> bool {
        world().faults == self.faults_before && world().hearing == Hearing::Good
    }

    /// A segment's device is looked at when guestnetd compares everything, and not at each attach: until then one may
    /// fail.
    pub(super) fn disturb(&mut self) {
        self.faults_before = u32::MAX;
    }
}

/// guestnetd answers with descriptors, which are the machine's from now on. What it had before is of nothing.
fn pass_on(tap: Vec<OwnedFd>, held: &Held) {
    close(held);
    let passed = |fd: OwnedFd| inside(|| world().pass_on(fd.into_raw_fd()));
    let passed: Vec<i32> = tap.into_iter().map(passed).collect();
    *held.lock().unwrap() = passed;
}

/// The machine that has them ends.
fn close(held: &Held) {
    let all = std::mem::take(&mut *held.lock().unwrap());
    inside(|| all.into_iter().for_each(|fd| world().close(fd)));
}
