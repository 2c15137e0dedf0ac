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

//! The guest worker: brings live guests' ends to what they should be, guest by guest, on threads that
//! end when nothing is left to do.

use super::ends::{Ends, Job};
use crate::daemon::reconcile::debounce::Due;
use crate::daemon::{Daemon, GuestEvent, Handle, Notice};
use crate::error::{Error, KernelError};
use crate::model::desired::Scale;
use crate::model::if_index::IfIndex;
use crate::model::timeline::Timeline;
use crate::model::GuestNet;
use crate::ordered::{IntoOrdered, OrderedMap, OrderedSet};
use crate::spec::IfName;
use crate::store::{AttachedRecord, Record};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Notify;

/// The most threads. More of them gain nothing: by a handle a guest takes microseconds, and by a TUN
/// device most of the 40 ms are grace periods of RCU that its move and its end wait for with the RTNL
/// held (synchronize_net()).
const THREADS: usize = 4;

/// What there is to do, and how many threads do it.
#[derive(Debug, Default)]
pub(in crate::daemon) struct Worker {
    /// Told when there is something to do.
    pub(in crate::daemon) due: Arc<Notify>,
    /// The guests to look at, by their host ends' indexes.
    queue: OrderedSet<IfIndex>,
    threads: usize,
    /// Links of which one end may have what is not known of, by their index.
    doubts: OrderedMap<IfIndex, Doubt>,
    /// Links whose guests have to ask by DHCP again.
    told: OrderedSet<IfIndex>,
}

/// What may be at a guest's ends.
#[derive(Clone, Debug, Default)]
pub(in crate::daemon) struct Doubt {
    /// Either end may have this network: an update was cut off.
    pub(in crate::daemon) before: Option<GuestNet>,
}

impl Worker {
    /// The ends may not have the same MTU.
    pub(in crate::daemon) fn doubt(&mut self, index: IfIndex) {
        self.doubts.entry(index).or_default();
    }

    /// The ends may have `before`, which is taken back.
    pub(in crate::daemon) fn restore(&mut self, index: IfIndex, before: GuestNet) {
        self.doubts.insert(index, Doubt { before: Some(before) });
        self.queue.insert(index);
    }

    /// Whether that is still to be done.
    pub(in crate::daemon) fn is_restoring(&self, index: IfIndex) -> bool {
        self.queue.contains(&index) && self.doubts(index).is_some_and(|d| d.before.is_some())
    }

    /// Both ends are as they are known.
    pub(in crate::daemon) fn is_sure(&mut self, index: IfIndex) {
        self.doubts.remove(&index);
    }

    /// What is not known of a link.
    pub(in crate::daemon) fn doubts(&self, index: IfIndex) -> Option<&Doubt> {
        self.doubts.get(&index)
    }

    /// Has these looked at.
    pub(in crate::daemon) fn queue(&mut self, links: Vec<IfIndex>) {
        if !links.is_empty() {
            self.queue.extend(links);
            self.due.notify_one();
        }
    }

    /// These guests have to ask by DHCP again.
    pub(in crate::daemon) fn tell(&mut self, links: Vec<IfIndex>) {
        self.told.extend(&links);
        self.queue(links);
    }

    /// Whether a guest has to.
    pub(in crate::daemon) fn tells(&self, index: IfIndex) -> bool {
        self.told.contains(&index)
    }

    /// A link is gone.
    pub(in crate::daemon) fn forget(&mut self, index: IfIndex) {
        self.queue.remove(&index);
        self.told.remove(&index);
        self.doubts.remove(&index);
    }
}

impl Daemon {
    /// The next guest, which is in work from now on; with none the thread ends.
    fn next_or_end(&mut self) -> Option<Job> {
        while let Some(index) = self.upkeep.worker.queue.pop_first() {
            let Some(guest) = self.world.guests.by_index(index) else { continue };
            // One that is in work is looked at again when that ends.
            if self.world.guests.is_in_work(index) {
                continue;
            }
            if let Some(job) = self.job_of(guest) {
                self.world.guests.begin_align(index);
                self.upkeep.worker.told.remove(&index);
                return Some(job);
            }
        }
        self.upkeep.worker.threads -= 1;
        None
    }

    /// Both ends have the MTU.
    fn is_brought(&mut self, job: &Job) {
        self.upkeep.worker.doubts.remove(&job.index);
        if job.tells {
            self.keep_lease(job.index);
        }
        let Some(guest) = self.world.guests.by_index(job.index) else { return };
        let mut guest = guest.clone();
        let was = std::mem::replace(&mut guest.net.mtu, job.net.mtu);
        if was == job.net.mtu && job.scale.before.is_none() {
            return;
        }
        self.world.guests.set_mtu(job.index, job.net.mtu);
        self.bring_servers();
        let record = Record { slot: guest.net.slot, attached: Some(AttachedRecord::of(&guest)) };
        self.record(guest.name(), record);
        let way = guest.net.vpn.tun().map_or("the uplink", IfName::as_str);
        log::info!("{}: MTU {}, as {way}", guest.name(), guest.net.mtu);
        let seen = self.seen(&guest);
        (self.notify)(Notice::Guest(GuestEvent::State, seen));
    }

    /// It is tried again.
    fn is_not_brought(&mut self, job: &Job, why: &Error) {
        self.catch_up();
        if matches!(why, Error::GuestGone(_)) {
            return;
        }
        let Some(guest) = self.world.guests.by_index(job.index) else { return };
        let (name, mtu) = (guest.name(), guest.net.mtu);
        log::error!("{name}: keeps MTU {mtu}, {} is due: {why}", job.net.mtu);
        self.upkeep.worker.doubt(job.index);
        if job.tells {
            self.upkeep.worker.told.insert(job.index);
        }
        self.look_at_ends(job.index);
        // What the guest has done itself is not tried again before its way out changes.
        if !matches!(why, Error::GuestInterfaceMoved { .. }) {
            self.debounce.retry(Due { wanted: true, ..Due::default() }, Instant::now());
        }
    }

    /// After a failure: an MTU that was taken back may have brought IPv6 back.
    pub(in crate::daemon) fn look_at_ends(&mut self, index: IfIndex) {
        let guests = [index].into_iter().into_set();
        self.debounce.trigger(Due { guests, ..Due::default() }, Instant::now());
    }

    /// Nobody works at a guest's ends any more. What was announced of it meanwhile was left alone.
    pub(in crate::daemon) fn end_work(&mut self, index: IfIndex) {
        if self.world.guests.end_work(index) {
            self.look_at_ends(index);
        }
    }
}

/// Starts as many threads as there is work for.
pub(in crate::daemon) fn start(handle: &Handle) -> Result<(), Error> {
    let wanted = handle.enter(|daemon| {
        let worker = &mut daemon.upkeep.worker;
        let more = worker.queue.len().min(THREADS).saturating_sub(worker.threads);
        worker.threads += more;
        Ok(more)
    })?;
    for _ in 0..wanted {
        let with = handle.clone();
        let spawned = std::thread::Builder::new().name("guests".into()).spawn(move || work(&with));
        if let Err(e) = spawned {
            log::error!("a thread for guests' ends cannot be started: {e}");
            handle.enter(|daemon| {
                daemon.upkeep.worker.threads -= 1;
                Ok(())
            })?;
        }
    }
    Ok(())
}

fn bring(ends: &Ends, job: &Job) -> Result<(), Error> {
    if job.scale != Scale::default() {
        ends.bring(job, &mut Timeline::new(Instant::now()), || Ok(()))?;
    }
    if job.tells && !job.net.kind.has_inside() {
        log::info!(
            "{}: a VM does not see the carrier: its DHCP client learns it when it renews",
            job.net.name
        );
    } else if job.tells {
        log::info!("{}: its carrier goes and comes: DHCP clients ask again", job.net.name);
        ends.tell(job)?;
    }
    Ok(())
}

/// A thread.
fn work(handle: &Handle) {
    let ends = Ends::open(handle.deleter.clone());
    let mut job = handle.enter(|daemon| Ok(daemon.next_or_end()));
    while let Ok(Some(this)) = job {
        let result = match &ends {
            Ok(ends) => bring(ends, &this),
            Err(e) => {
                let errno = e.errno().unwrap_or(libc::EIO);
                Err(Error::kernel("open a socket", KernelError { errno, text: None }))
            }
        };
        // Else guestnetd ends.
        job = handle.call(|daemon| {
            match &result {
                Ok(()) => daemon.is_brought(&this),
                Err(why) => daemon.is_not_brought(&this, why),
            }
            daemon.end_work(this.index);
            // Its way out may have become another one meanwhile.
            let again = daemon.world.guests.by_index(this.index);
            if result.is_ok() && again.is_some_and(|guest| daemon.job_of(guest).is_some()) {
                daemon.upkeep.worker.queue.insert(this.index);
            }
            Ok(daemon.next_or_end())
        });
        handle.work_ended.notify_all();
    }
}
