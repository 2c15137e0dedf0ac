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

//! Puts back what a guest has lost of its own side. What else it has there stays. For guests that asked
//! for it at their attach (`keep`) this is done unasked.

use crate::daemon::guest::ends::{Ends, Job};
use crate::daemon::health::inside::{has_lost, Seen};
use crate::daemon::{Attached, Daemon, Handle, Whose};
use crate::error::Error;
use crate::model::desired::Scale;
use crate::model::timeline::{Entry, Operation, Timeline};
use crate::spec::GuestName;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// How long a repair waits until the worker has left the guest.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often guests are looked at that are kept as they are. Nobody announces what happens inside.
const LOOK: Duration = Duration::from_secs(5);

/// How far the looking after such guests is.
#[derive(Debug, Default)]
pub(in crate::daemon) struct Keeping {
    /// Told when they are to be looked at.
    pub(in crate::daemon) begins: Arc<Notify>,
    /// When they are looked at next; none while there are none.
    at: Option<Instant>,
}

impl Handle {
    /// Puts back what a guest has lost.
    pub fn repair(
        &self,
        name: &GuestName,
        whose: Whose,
        arrived: Instant,
    ) -> Result<Attached, Error> {
        let mut timeline = Timeline::new(arrived);
        let job = self.begin_repair(name, whose)?;
        let result = Ends::open(self.deleter.clone())
            .and_then(|ends| ends.bring(&job, &mut timeline, || Ok(())));
        let done = self.call(|daemon| daemon.finish_repair(&job, result, timeline));
        self.work_ended.notify_all();
        done
    }

    /// When the worker is at the guest's ends, waits until it has left them.
    fn begin_repair(&self, name: &GuestName, whose: Whose) -> Result<Job, Error> {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if let Some(job) = self.call(|daemon| daemon.begin_repair(name, whose))? {
                return Ok(job);
            }
            let daemon = self.daemon.lock().unwrap_or_else(PoisonError::into_inner);
            // It may have left between the two: not for long.
            let _ = self.work_ended.wait_timeout(daemon, Duration::from_millis(10));
        }
        Err(Error::UpdateRunning(name.clone()))
    }
}

impl Daemon {
    /// What is to be done; none: the worker is at the guest's ends.
    fn begin_repair(&mut self, name: &GuestName, whose: Whose) -> Result<Option<Job>, Error> {
        self.settle();
        let guests = &mut self.world.guests;
        if guests.leaving(name).is_some_and(|guest| whose.has(guest)) {
            return Err(Error::GuestLeaving(name.clone()));
        }
        let guest = guests.get(name).filter(|guest| whose.has(guest));
        let guest = guest.ok_or_else(|| Error::NoSuchGuest(name.clone()))?;
        if !guest.net.kind.has_inside() {
            return Err(Error::Unsupported(format!(
                "{name} is a VM's, whose own side guestnetd does not see: put back there what it lacks, or \
                 have its DHCP client ask again"
            )));
        }
        let index = guest.index;
        if guests.is_updating(index) {
            return Err(Error::UpdateRunning(name.clone()));
        }
        if guests.is_in_work(index) || self.upkeep.worker.is_restoring(index) {
            return Ok(None);
        }
        // All that it should have, and nothing that it had before: nothing is removed.
        let scale = Scale { mtu: false, before: Some(guest.net.clone()) };
        let (netns, net) = (guest.netns.clone(), guest.net.clone());
        let job = Job { index, netns, net, scale, tells: false };
        guests.begin_align(index);
        Ok(Some(job))
    }

    fn finish_repair(
        &mut self,
        job: &Job,
        result: Result<(), Error>,
        timeline: Timeline,
    ) -> Result<Attached, Error> {
        let name = &job.net.name;
        self.take_in();
        self.end_work(job.index);
        if let Err(e) = result {
            log::error!("{name}: not repaired: {e}");
            return Err(e);
        }
        let guest = self.world.guests.by_index(job.index);
        let guest = guest.ok_or_else(|| Error::GuestGone(name.clone()))?;
        let guest = Attached { timeline: timeline.into_entries(), ..guest.clone() };
        let is_a_change = |entry: &&Entry| matches!(entry.operation, Operation::Kernel(_));
        let put_back = guest.timeline.iter().filter(is_a_change);
        let put_back: Vec<_> = put_back.map(|entry| entry.what.as_str()).collect();
        if !put_back.is_empty() {
            log::info!("{name}: put back: {}", put_back.join(", "));
        }
        Ok(self.seen(&guest))
    }

    /// A guest has come that is to be kept as it is.
    pub(in crate::daemon) fn keep_an_eye(&mut self) {
        self.upkeep.keeping.at.get_or_insert_with(|| Instant::now() + LOOK);
    }

    /// When guests are looked at that are kept as they are.
    pub(in crate::daemon) fn keep_at(&self) -> Option<Instant> {
        self.upkeep.keeping.at
    }

    /// It is time.
    pub(in crate::daemon) fn mind_kept(&mut self, now: Instant) {
        let any = self.world.guests.attached().any(|guest| guest.spec.keep);
        self.upkeep.keeping.at = any.then_some(now + LOOK);
        if any {
            self.upkeep.keeping.begins.notify_one();
        }
    }

    /// Those of them that may be repaired now; others keep taking it.
    fn may_repair(&mut self, seen: &Seen) -> Vec<GuestName> {
        let now = Instant::now();
        let mut names = Vec::new();
        for (index, inside) in seen {
            let guest = self.world.guests.by_index(*index).filter(|guest| guest.spec.keep);
            let Some(guest) = guest.filter(|guest| has_lost(&guest.net, inside)) else { continue };
            let pace = self.upkeep.kept_repairs.of(*index);
            if pace.may_act(now) {
                pace.acted(now);
                names.push(guest.name().clone());
            }
        }
        let guests = &self.world.guests;
        self.upkeep.kept_repairs.retain(|index| guests.has_link(*index));
        names
    }
}

/// Looks at guests that are kept as they are, on a thread of its own, and puts back what they have lost.
pub(in crate::daemon) fn look_after(handle: &Handle) -> Result<(), Error> {
    let with = handle.clone();
    let work = move || {
        let look = || -> Result<(), Error> {
            let seen = with.look_into_kept()?;
            for name in with.call(|daemon| Ok(daemon.may_repair(&seen)))? {
                // What goes wrong is in the log.
                let _ = with.repair(&name, Whose::Everyones, Instant::now());
            }
            Ok(())
        };
        if let Err(e) = look() {
            log::warn!("guests that are kept as they are cannot be looked at: {e}");
        }
    };
    let spawned = std::thread::Builder::new().name("keep".into()).spawn(work);
    if let Err(e) = spawned {
        log::error!("a thread for guests that are kept as they are cannot be started: {e}");
    }
    Ok(())
}
