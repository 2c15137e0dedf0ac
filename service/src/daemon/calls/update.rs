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

//! Changes a live guest: its address, its MTU, its VPN policy. The world with the changed guest is
//! what everything is brought to: first what guests share, then its own ends, with the daemon not
//! entered, because the way into a guest may sleep. The record says all the while what the guest goes
//! back to, until it says what it has become; after that nothing can fail.

use super::shared::Shared;
use crate::daemon::guest::ends::{Ends, Job};
use crate::daemon::{Attached, Daemon, GuestEvent, Handle, Notice, Whose};
use crate::effects::executor::marks;
use crate::effects::kernel::process;
use crate::error::Error;
use crate::model::change::Change;
use crate::model::desired::Scale;
use crate::model::lifeline::Lifelines;
use crate::model::timeline::{Operation, Timeline};
use crate::model::GuestNet;
use crate::spec::{GuestName, GuestSpec};
use crate::store::{AttachedRecord, Record, UpdateRecord};
use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// A request to change a live guest.
#[derive(Debug)]
pub struct UpdateRequest {
    /// Who.
    pub name: GuestName,
    /// All of what it should have from now on; no address: the one that it has.
    pub spec: GuestSpec,
    /// Whose guest it may be.
    pub whose: Whose,
    /// When the call arrived.
    pub arrived: Instant,
}

/// How long an update waits until the worker has left the guest.
const PATIENCE: Duration = Duration::from_secs(5);

/// A change that has begun.
struct Update {
    before: Attached,
    spec: GuestSpec,
    net: GuestNet,
    /// What is to be done at its ends; none: nothing.
    job: Option<Job>,
    shared: Shared,
}

/// How a change begins.
enum Begun {
    /// The guest is as it should be.
    Same(Box<Attached>),
    /// The worker is at the guest's ends.
    Busy,
    /// It is up to its ends.
    Update(Box<Update>),
}

impl Handle {
    /// Changes a live guest.
    pub fn update(&self, request: UpdateRequest) -> Result<Attached, Error> {
        let mut timeline = Timeline::new(request.arrived);
        let update = match self.begin_update(&request, &mut timeline)? {
            Some(Begun::Update(update)) => update,
            Some(Begun::Same(guest)) => return Ok(*guest),
            Some(Begun::Busy) | None => return Err(Error::UpdateRunning(request.name)),
        };
        let commit = || self.call(|daemon| daemon.commit_update(&update));
        let result = match &update.job {
            Some(job) => Ends::open(self.deleter.clone())
                .and_then(|ends| ends.bring(job, &mut timeline, commit)),
            None => commit(),
        };
        let done = self.call(|daemon| daemon.finish_update(&update, result, timeline));
        self.work_ended.notify_all();
        done
    }

    /// When the worker is at the guest's ends, waits until it has left them.
    fn begin_update(
        &self,
        request: &UpdateRequest,
        timeline: &mut Timeline,
    ) -> Result<Option<Begun>, Error> {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            match self.call(|daemon| daemon.begin_update(request, timeline))? {
                Begun::Busy => {}
                begun => return Ok(Some(begun)),
            }
            let daemon = self.daemon.lock().unwrap_or_else(PoisonError::into_inner);
            // It may have left between the two: not for long.
            let _ = self.work_ended.wait_timeout(daemon, Duration::from_millis(10));
        }
        Ok(None)
    }
}

impl Daemon {
    /// Refuses what cannot be, and brings what guests share to the guest as it should be.
    fn begin_update(
        &mut self,
        request: &UpdateRequest,
        timeline: &mut Timeline,
    ) -> Result<Begun, Error> {
        let began = Instant::now();
        let UpdateRequest { name, spec, .. } = request;
        self.settle();
        let guests = &self.world.guests;
        if guests.get(name).or(guests.leaving(name)).is_some_and(|guest| !request.whose.has(guest))
        {
            return Err(Error::NoSuchGuest(name.clone()));
        }
        if guests.is_leaving(name) {
            return Err(Error::GuestLeaving(name.clone()));
        }
        let before = guests.get(name).ok_or_else(|| Error::NoSuchGuest(name.clone()))?.clone();
        refuse_fixed(&before.spec, request)?;
        if guests.is_updating(before.index) {
            return Err(Error::UpdateRunning(name.clone()));
        }
        if guests.is_in_work(before.index) || self.upkeep.worker.is_restoring(before.index) {
            return Ok(Begun::Busy);
        }
        let (spec, net) = self.choose_update(&before, spec)?;
        let in_doubt = self.upkeep.worker.doubts(before.index).is_some();
        let same = GuestSpec { lease: before.spec.lease, ..spec.clone() } == before.spec;
        if same && net == before.net && !in_doubt {
            return self.renew(&before, spec.lease).map(|guest| Begun::Same(Box::new(guest)));
        }
        timeline.enter(Operation::Observe, "looked at the guest", began);

        let moves = net.guest.address != before.net.guest.address;
        self.world.guests.begin_update(before.index, net.clone());
        let plans = self.plan_shared();
        let mut shared = Shared::default();
        let begun = self.bring_shared(plans, &mut shared, timeline).and_then(|()| {
            let update =
                UpdateRecord { spec: spec.clone(), address: net.guest.address, mtu: net.mtu };
            self.keep(AttachedRecord { update: Some(update), ..AttachedRecord::of(&before) }, &net)
        });
        if let Err(e) = begun {
            self.take_back_update(&before, shared);
            return Err(e);
        }
        if moves {
            self.forget_last_holder(&net, timeline);
        }
        // With a way out its default route comes, or goes.
        let reroutes = net.vpn.leaves() != before.net.vpn.leaves();
        let scale = Scale {
            mtu: net.mtu != before.net.mtu || in_doubt,
            before: (moves || reroutes).then(|| before.net.clone()),
        };
        let job = (scale != Scale::default()).then(|| Job {
            index: before.index,
            netns: before.netns.clone(),
            net: net.clone(),
            scale,
            tells: false,
        });
        Ok(Begun::Update(Box::new(Update { before, spec, net, job, shared })))
    }

    /// What the guest should have from now on; refuses what collides.
    fn choose_update(
        &mut self,
        before: &Attached,
        asked: &GuestSpec,
    ) -> Result<(GuestSpec, GuestNet), Error> {
        // Whoever asks: it is for whom it was made.
        let mut spec = GuestSpec { kind: before.spec.kind, ..asked.clone() };
        if spec.addresses.is_empty() {
            spec.addresses.clone_from(&before.spec.addresses);
        }
        let address = asked.address().unwrap_or(before.net.guest.address);
        match self.world.guests.leases.holder(address) {
            Some(guest) if *guest != spec.name => {
                return Err(Error::AddressInUse { address, guest: guest.clone() });
            }
            _ => {}
        }
        let way = if spec.vpn == before.spec.vpn {
            // A tun that it has may be away for now.
            self.mtu_of_way(&spec.vpn)
        } else {
            self.look_at_way(&spec.vpn)?
        };
        let mtu = spec.mtu.or(way).unwrap_or(before.net.mtu);
        let net = GuestNet::new(&spec, before.net.slot, address, mtu);
        let net = net.pinned(before.net.host.pinned);
        Ok((spec, net.routed(self.world.platform.routing)))
    }

    /// A lease begins, or ends, and nothing else changes.
    fn renew(&mut self, before: &Attached, lease: Option<Duration>) -> Result<Attached, Error> {
        if lease.is_none() && before.spec.lease.is_none() {
            return Ok(self.seen(before));
        }
        let spec = GuestSpec { lease, ..before.spec.clone() };
        let after = leased(Attached { spec, ..before.clone() });
        self.keep(AttachedRecord::of(&after), &after.net)?;
        self.lease_begins(&after);
        Ok(self.seen(&after))
    }

    fn lease_begins(&mut self, guest: &Attached) {
        let until = guest.lifelines.lease_until;
        self.world.guests.set_lease(guest.index, guest.spec.lease, until);
        self.lifelines.lease(guest.index, until);
    }

    /// The last that can fail: with this record the guest has become what was asked for.
    fn commit_update(&mut self, update: &Update) -> Result<(), Error> {
        self.take_in();
        let index = update.before.index;
        let guest = self.world.guests.by_index(index).ok_or_else(|| self.where_is(update))?;
        // As it began, or as the device asks for since.
        let net = self.world.guests.updated(index).unwrap_or(&update.net).clone();
        let after = leased(Attached { spec: update.spec.clone(), net, ..guest.clone() });
        self.keep(AttachedRecord::of(&after), &after.net)?;
        if update.net.vpn != update.before.net.vpn {
            // Else it is put back later, as what others change.
            if let Err(e) = marks::set_alias(&self.kernel.netlink, &update.net, index) {
                log::warn!("{}: {e}", update.net.name);
            }
        }
        if after.spec.keep {
            self.keep_an_eye();
        }
        self.world.guests.commit_update(index, after.spec.clone());
        self.lease_begins(&after);
        self.upkeep.worker.is_sure(index);
        Ok(())
    }

    /// Tells the caller, and everybody.
    fn finish_update(
        &mut self,
        update: &Update,
        result: Result<(), Error>,
        mut timeline: Timeline,
    ) -> Result<Attached, Error> {
        let Update { before, net, shared, .. } = update;
        if let Err(e) = result {
            self.take_in();
            let there = self.world.guests.by_index(before.index).is_some();
            self.take_back_update(before, *shared);
            let e = if there { e } else { self.where_is(update) };
            log::error!("{}: not updated: {e}", before.name());
            return Err(e);
        }
        self.end_work(before.index);
        // A lease that it has taken meanwhile, or has by DHCP no more.
        self.keep_lease(before.index);
        // What only the guest before needed goes: its old address is let in no more, and forwarding
        // that it was the last to need ends.
        self.reconcile_wanted();
        if net.dns != before.net.dns {
            self.ask_names();
        }
        // Those of an address that it has no more; those that left by another way.
        let way = |net: &GuestNet| (net.guest.address, net.vpn.tun().cloned(), net.vpn.leaves());
        if way(net) != way(&before.net) {
            let address = before.net.guest.address;
            let began = Instant::now();
            let change = Change::forget_connections(address);
            match self.shared.connections.forget_address(address) {
                Ok(()) => {
                    self.world.guests.has_forgotten(address);
                    timeline.enter(change.operation, change.what, began);
                }
                Err(e) => log::warn!("{}: {} failed: {e}", before.name(), change.what),
            }
        }
        let guest =
            self.world.guests.by_index(before.index).ok_or_else(|| self.where_is(update))?;
        let guest = Attached { timeline: timeline.into_entries(), ..guest.clone() };
        let lags = self.job_of(&guest).is_some();
        self.upkeep.worker.queue(lags.then_some(guest.index).into_iter().collect());
        let seen = self.seen(&guest);
        (self.notify)(Notice::Guest(GuestEvent::State, seen.clone()));
        Ok(seen)
    }

    /// Everything but the guest's ends, as before.
    fn take_back_update(&mut self, before: &Attached, shared: Shared) {
        let there = self.world.guests.by_index(before.index).is_some();
        self.end_work(before.index);
        if there {
            self.look_at_ends(before.index);
            // It may have taken a lease meanwhile.
            let told = self.serving.servers.counters().dhcp.told(before.index);
            self.world.guests.set_told(before.index, told);
            let attached = Some(AttachedRecord { told, ..AttachedRecord::of(before) });
            self.record(before.name(), Record { slot: before.net.slot, attached });
        }
        self.undo_shared(shared, before.name());
    }

    fn keep(&self, record: AttachedRecord, net: &GuestNet) -> Result<(), Error> {
        self.store.put(&net.name, &Record { slot: net.slot, attached: Some(record) })
    }

    /// Why a guest is not attached any more.
    fn where_is(&self, update: &Update) -> Error {
        let name = update.before.name();
        match self.world.guests.is_leaving(name) {
            true => Error::GuestLeaving(name.clone()),
            false => Error::GuestGone(name.clone()),
        }
    }
}

/// A guest whose lease begins now.
fn leased(guest: Attached) -> Attached {
    let lease_until = guest.spec.lease.map(|lease| process::monotonic() + lease);
    let lifelines = Lifelines { lease_until, ..guest.lifelines };
    Attached { lifelines, ..guest }
}

/// What a live guest cannot change: names and addresses that others know it by, or that its link was
/// made with.
fn refuse_fixed(has: &GuestSpec, request: &UpdateRequest) -> Result<(), Error> {
    let asked = &request.spec;
    let kind = |spec: &GuestSpec| {
        let inside = spec.kind.has_inside();
        (inside, inside && spec.segment.is_some())
    };
    let fields = [
        ("kind", kind(has) == kind(asked)),
        ("segment", has.segment == asked.segment),
        ("name", has.name == asked.name),
        ("interfaceName", has.interface == asked.interface),
        ("gateway", has.gateway == asked.gateway),
        ("prefixLength", has.subnet.prefix() == asked.subnet.prefix()),
        ("lifeline", has.outlives_process == asked.outlives_process),
        ("queues", has.kind.queues() == asked.kind.queues()),
    ];
    match fields.into_iter().find(|(_, same)| !same) {
        Some((field, _)) => Err(Error::FieldNotUpdatable(field)),
        None => Ok(()),
    }
}
