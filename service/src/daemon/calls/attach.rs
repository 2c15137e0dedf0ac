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

//! Attach, and its dry runs plan and check: the same preparation, the same steps.

use super::shared::Shared;
use super::verify::{self, ReadBack};
use crate::daemon::{AttachRequest, Attached, Daemon, GuestEvent, LayerReport, Notice};
use crate::effects::executor::kernel::KernelExecutor;
use crate::effects::executor::{apply, undo};
use crate::effects::kernel::netlink::Netlink;
use crate::effects::kernel::netns::target::Target;
use crate::effects::kernel::netns::{handle, Home};
use crate::effects::kernel::observe::FoundGuest;
use crate::effects::kernel::{link, observe, process, tun};
use crate::error::Error;
use crate::model::change::Change;
use crate::model::desired::{desired_guest, may_remove};
use crate::model::diff::diff;
use crate::model::guest_net::NetnsRef;
use crate::model::lifeline::{EndCause, Lifelines, ProcessRef};
use crate::model::ownership::ROUTE_PROTOCOL;
use crate::model::timeline::{Operation, Timeline};
use crate::model::{policy_rules, subnet_conflict, GuestNet, Step};
use crate::spec::{Dns, GuestName, GuestSpec, Mtu, VpnPolicy};
use crate::store::{AttachedRecord, Record};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A guest that is being attached.
struct Arriving<'a> {
    spec: &'a GuestSpec,
    net: &'a GuestNet,
    /// Where it is, and a socket in its namespace; none of a TAP.
    there: Option<(&'a Target, &'a Netlink)>,
    uid: u32,
    /// The process that gave an owner.
    owner: Option<ProcessRef>,
}

impl Daemon {
    pub(in crate::daemon) fn attach(
        &mut self,
        request: AttachRequest,
    ) -> Result<(Attached, Vec<OwnedFd>), Error> {
        let AttachRequest { spec, target, uid, most, owner, arrived } = request;
        let mut timeline = Timeline::new(arrived);
        timeline.enter(Operation::OpenTarget, "target opened, lock taken", arrived);
        let began = Instant::now();
        self.settle();
        self.refuse_another(&spec, uid, most)?;
        let net = self.choose_net(&spec)?;
        timeline.enter(Operation::ChooseSlot, "slot chosen", began);
        let began = Instant::now();
        let enter = |target| entered(socket_in(&self.kernel.home, target));
        let inside = target.as_ref().map(enter).transpose()?;
        if inside.is_some() {
            timeline.enter(Operation::EnterNetns, "entered netns", began);
        }

        target.as_ref().map_or(Ok(()), |target| self.refuse_twice(&spec, target))?;
        let there = target.as_ref().zip(inside.as_ref());
        let arriving = Arriving { spec: &spec, net: &net, there, uid, owner };
        let done = self.attach_inside(&arriving, &mut timeline);

        // Nothing of the guest's namespace outlives the call: it would pin the namespace.
        let began = Instant::now();
        let was_entered = inside.is_some();
        drop(inside);
        let pidfd = target.and_then(Target::into_pidfd).filter(|_| !spec.outlives_process);
        if was_entered {
            timeline.enter(Operation::LeaveNetns, "left netns", began);
        }
        let (mut guest, tap) = done?;
        guest.timeline = timeline.into_entries();
        log_timeline(&guest);
        // It is true now, and nobody looks again.
        self.know(Attached { shadowed_by: None, ..guest.clone() });
        self.bring_servers();
        self.watch(&guest, pidfd)?;
        let seen = self.seen(&guest);
        (self.notify)(Notice::Guest(GuestEvent::Attached, seen.clone()));
        Ok((seen, tap))
    }

    /// What the guest lives by, from now on. One that cannot be watched is no guest.
    fn watch(&mut self, guest: &Attached, pidfd: Option<OwnedFd>) -> Result<(), Error> {
        self.lifelines.lease(guest.index, guest.lifelines.lease_until);
        let Some(pidfd) = pidfd else { return Ok(()) };
        let held = self.lifelines.hold(guest.index, EndCause::ProcessExited, pidfd);
        held.map_err(|e| {
            self.end_guest(guest.index, EndCause::ProcessExited);
            Error::kernel("watch the guest's process", e)
        })
    }

    /// A guest that has joined is there; servers are told of it later.
    pub(in crate::daemon) fn know(&mut self, guest: Attached) {
        if self.world.guests.is_empty() {
            self.debounce.check(Instant::now());
            // The device's resolvers may be others, which nobody announces.
            if self.resolvers.has_changed() {
                self.look_at_uplink();
            }
        }
        self.remember_slot(guest.name(), guest.net.slot);
        let way = guest.net.vpn.tun().cloned();
        let has_own = matches!(guest.net.dns, Dns::Servers(_));
        let first = self.world.guests.follower().is_none();
        if guest.spec.keep {
            self.keep_an_eye();
        }
        self.world.guests.attach(guest);
        if has_own || !self.world.names.has(&way) {
            self.ask_names();
        }
        // Until now the kernel was asked where the device's own packets go.
        let asked = first && self.world.guests.follower().is_some() && !self.world.netd_routes();
        if asked && policy_rules::tell_senders_apart(&self.world.rules, ROUTE_PROTOCOL) {
            self.look_at_uplink();
        }
    }

    pub(in crate::daemon) fn plan(
        &mut self,
        request: &AttachRequest,
        found: Result<FoundGuest, Error>,
    ) -> Result<Vec<Change>, Error> {
        Ok(self.rehearse(request, found)?.1)
    }

    pub(in crate::daemon) fn check(
        &mut self,
        request: &AttachRequest,
        found: Result<FoundGuest, Error>,
    ) -> Result<Vec<LayerReport>, Error> {
        let (net, changes) = self.rehearse(request, found)?;
        Ok(self.predict(&net, &changes))
    }

    /// All of attach that changes nothing.
    fn rehearse(
        &mut self,
        request: &AttachRequest,
        found: Result<FoundGuest, Error>,
    ) -> Result<(GuestNet, Vec<Change>), Error> {
        self.settle();
        self.refuse_another(&request.spec, request.uid, request.most)?;
        let net = self.choose_net(&request.spec)?;
        self.refuse_host_end(&net)?;
        request.target.as_ref().map_or(Ok(()), |at| self.refuse_twice(&request.spec, at))?;
        let guest = found?;
        self.refuse_what_is_there(&net, &guest)?;
        request.target.as_ref().map_or(Ok(()), Target::check_alive)?;
        self.world.guests.join(&net);
        let mut changes = self.plan_shared().into_changes();
        self.world.guests.unjoin(&net);
        if self.world.guests.was_held_by_another(&net) {
            changes.push(Change::forget_connections(net.guest.address));
        }
        changes.extend(steps(&net, &guest).iter().map(Change::from));
        Ok((net, changes))
    }

    /// Refuses one more guest of a user who has as many as it may have, and one on others' segment.
    fn refuse_another(&self, spec: &GuestSpec, uid: u32, most: Option<usize>) -> Result<(), Error> {
        let Some(most) = most else { return Ok(()) };
        let guests = || self.world.guests.attached().chain(self.world.guests.all_leaving());
        if let Some(segment) = &spec.segment {
            let on_it = |guest: &&Attached| guest.spec.segment.as_ref() == Some(segment);
            if guests().filter(on_it).any(|guest| guest.owner_uid != uid) {
                return Err(Error::SegmentInUse(segment.clone()));
            }
        }
        match guests().filter(|guest| guest.owner_uid == uid).count() < most {
            true => Ok(()),
            false => Err(Error::TooManyGuests { uid, most }),
        }
    }

    /// Refuses a second link of a namespace on one segment: its own frames would come back by the other one, and
    /// a bridge over both would send them again.
    fn refuse_twice(&self, spec: &GuestSpec, target: &Target) -> Result<(), Error> {
        let Some(segment) = &spec.segment else { return Ok(()) };
        let id = link::netns_id(&self.kernel.netlink, target.netns.as_fd());
        let id = id.map_err(|e| Error::kernel("read the network namespace's number", e))?;
        let here = |guest: &&Attached| {
            guest.spec.segment.as_ref() == Some(segment) && id.is_some() && guest.netns.id == id
        };
        match self.world.guests.attached().find(here) {
            Some(guest) => {
                let guest = guest.name().clone();
                Err(Error::SegmentTwice { segment: segment.clone(), guest })
            }
            None => Ok(()),
        }
    }

    /// Slot, address and MTU; refuses what collides.
    fn choose_net(&mut self, spec: &GuestSpec) -> Result<GuestNet, Error> {
        let guests = &self.world.guests;
        if guests.get(&spec.name).is_some() || guests.is_leaving(&spec.name) {
            return Err(Error::NameInUse(spec.name.clone()));
        }
        self.read_prefixes()?;
        let (device, leases) = (self.world.device_prefixes(), &self.world.guests.leases);
        let chosen = subnet_conflict::check(spec, device).and_then(|()| leases.choose(spec));
        let (slot, address) = chosen.map_err(|error| {
            subnet_conflict::with_a_free_gateway(error, spec.gateway, |subnet| {
                leases.overlap(subnet) || device.iter().any(|p| p.subnet.overlaps(subnet))
            })
        })?;
        let way = self.look_at_way(&spec.vpn)?;
        let mtu = spec.mtu.or(way).unwrap_or(Mtu::ETHERNET);
        let net = GuestNet::new(spec, slot, address, mtu).routed(self.world.platform.routing);
        let net = net.pinned(self.is_loose());
        if let Some(clash) = self.world.guests.mistaken_for(&net) {
            return Err(Error::SegmentClash(clash));
        }
        match net.member() {
            Some(member) if !member.fits() => Err(Error::NoFreeSlot("place in the segment")),
            _ => Ok(net),
        }
    }

    /// Reads the way out that belongs to a policy; gives its MTU, if it has one.
    pub(super) fn look_at_way(&mut self, vpn: &VpnPolicy) -> Result<Option<Mtu>, Error> {
        let mut way = if vpn.leaves() { self.world.uplink.mtu } else { 0 };
        if let VpnPolicy::NamedTun(name) = vpn {
            let tun = self.read_tun(name)?.ok_or_else(|| Error::NoSuchTun(name.clone()))?;
            way = tun.mtu;
            self.world.tuns.insert(name.clone(), tun);
        }
        Ok(Mtu::behind(way))
    }

    /// Refuses what the kernel would refuse halfway.
    fn look_closely(&self, guest: &Arriving<'_>) -> Result<FoundGuest, Error> {
        let Arriving { net, there, .. } = *guest;
        self.refuse_host_end(net)?;
        let Some((target, inside)) = there else { return Ok(FoundGuest::default()) };
        let open = || socket_in(&self.kernel.home, target);
        let guest = observe::guest_side(inside, open, net)?;
        self.refuse_what_is_there(net, &guest)?;
        Ok(guest)
    }

    fn refuse_host_end(&self, net: &GuestNet) -> Result<(), Error> {
        match observe::host_end(&self.kernel.netlink, net)? {
            Some(_) => Err(Error::HostInterfaceExists(net.host.name.clone())),
            None => Ok(()),
        }
    }

    fn attach_inside(
        &mut self,
        guest: &Arriving<'_>,
        timeline: &mut Timeline,
    ) -> Result<(Attached, Vec<OwnedFd>), Error> {
        let Arriving { spec, net, there, .. } = *guest;
        let began = Instant::now();
        let mut found = match there {
            Some((target, inside)) => {
                observe::guest_before(inside, || socket_in(&self.kernel.home, target), net)?
            }
            None => FoundGuest::default(),
        };
        self.refuse_what_is_there(net, &found)?;
        self.world.guests.join(net);
        let plans = self.plan_shared();
        if plans.touch_others() {
            // What all guests share must not even flicker for one that is refused.
            found = match self.look_closely(guest) {
                Ok(found) => found,
                Err(e) => {
                    self.world.guests.unjoin(net);
                    return Err(e);
                }
            };
        }
        timeline.enter(Operation::Observe, "observed", began);
        let mut changed = Shared::default();
        let done = self.bring_shared(plans, &mut changed, timeline).and_then(|()| {
            self.forget_last_holder(net, timeline);
            self.make(guest, &steps(net, &found), timeline)
        });
        if done.is_err() {
            self.restore_record(spec);
            self.world.guests.unjoin(net);
            self.undo_shared(changed, &spec.name);
        }
        done
    }

    /// The guest's own steps: does them, reads back, stores, and marks the link as whole.
    fn make(
        &self,
        guest: &Arriving<'_>,
        steps: &[Step],
        timeline: &mut Timeline,
    ) -> Result<(Attached, Vec<OwnedFd>), Error> {
        let Arriving { spec, net, there, uid, owner } = *guest;
        let who = spec.name.as_str();
        // The last step marks the link as whole, so it comes after everything that can fail.
        let Some((mark, body)) = steps.split_last() else {
            return Err(Error::Verify("there was nothing to do".into()));
        };
        let netlink = &self.kernel.netlink;
        let mut executor = KernelExecutor {
            net,
            device: netlink,
            deleter: &self.kernel.deleter,
            home: &self.kernel.home,
            guest: there.map(|(target, inside)| (target.netns.as_fd(), inside)),
            host_index: None,
            guest_index: None,
            tap: Vec::new(),
        };
        apply(who, body, &mut executor, timeline)?;
        let mut finish = || -> Result<Attached, Error> {
            let began = Instant::now();
            let (read, netns, process) = match there {
                Some((target, inside)) => {
                    let ends = executor.host_index.zip(executor.guest_index);
                    let open = || socket_in(&self.kernel.home, target);
                    let mut again = |steps: &[Step]| apply(who, steps, &mut executor, timeline);
                    let inside = (inside, open);
                    let read = verify::read_back(net, ends, netlink, inside, mark, &mut again)?;
                    target.check_alive()?;
                    let netns =
                        NetnsRef { id: read.netns, handle: handle::of(target.netns.as_fd()) };
                    (read, netns, target.process().filter(|_| !spec.outlives_process))
                }
                None => {
                    let read = verify::read_back_tap(net, executor.host_index, netlink, mark)?;
                    (read, NetnsRef::default(), None)
                }
            };
            let ReadBack { index, shadowed_by, .. } = read;
            timeline.enter(Operation::ReadBack, "read back", began);
            let lease_until = spec.lease.map(|lease| process::monotonic() + lease);
            let lifelines = Lifelines { process, owner, lease_until };
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let now = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
            let at = (index, netns);
            let attached = Attached::new(spec.clone(), net.clone(), at, (uid, now));
            let attached = Attached { lifelines, shadowed_by, ..attached };
            let began = Instant::now();
            let kept = Some(AttachedRecord::of(&attached));
            self.store.put(&spec.name, &Record { slot: net.slot, attached: kept })?;
            timeline.enter(Operation::Store, "stored", began);
            apply(who, std::slice::from_ref(mark), &mut executor, timeline)?;
            Ok(attached)
        };
        match finish() {
            Ok(attached) => Ok((attached, executor.tap)),
            Err(error) => {
                log::error!("{who}: {error}");
                Err(undo(who, body, &mut executor, error))
            }
        }
    }

    /// Refuses an interface or a default route that the guest has already, and says whose they are when it
    /// is attached under another name.
    fn refuse_what_is_there(&self, net: &GuestNet, found: &FoundGuest) -> Result<(), Error> {
        let refusal = match (&found.index, &found.other_default) {
            (Some(_), _) => Error::GuestInterfaceExists(net.guest.name.clone()),
            (None, Some(route)) if net.vpn.leaves() => Error::GuestRouteExists(route.clone()),
            (None, _) => return Ok(()),
        };
        let known = found.in_the_way.iter().find_map(|end| self.guest_of(end));
        Err(match known {
            Some(guest) => Error::AttachedAlready { guest, found: Box::new(refusal) },
            None => refusal,
        })
    }

    /// Whose end this link of a guest's is: both ends of a pair name each other.
    fn guest_of(&self, end: &link::Link) -> Option<GuestName> {
        let guest = self.world.guests.by_index(end.other_end?).filter(|_| end.kind == "veth")?;
        let host = link::by_index(&self.kernel.netlink, guest.index).ok().flatten()?;
        let both = host.other_end == Some(end.index) && host.elsewhere.is_some();
        (both && end.mac == guest.net.guest.mac.0).then(|| guest.name().clone())
    }

    /// After a failed attach: the name keeps the slot that it had, if it had one.
    fn restore_record(&mut self, spec: &GuestSpec) {
        match self.world.guests.leases.slots.of(&spec.name) {
            Some(slot) => self.record(&spec.name, Record { slot, attached: None }),
            None => self.store.forget(&spec.name),
        }
    }
}

fn socket_in(home: &Home, target: &Target) -> io::Result<Netlink> {
    home.inside(target.netns.as_fd(), Netlink::open)
}

fn entered<T>(result: io::Result<T>) -> Result<T, Error> {
    result.map_err(|e| Error::kernel("enter the guest's network namespace", e))
}

/// What plan and check have to know of a guest. Its owner may have filled its namespace with addresses
/// and routes, which take their time to read: so this is before the daemon is entered.
pub(in crate::daemon) fn look_inside(request: &AttachRequest) -> Result<FoundGuest, Error> {
    let Some(target) = &request.target else {
        tun::open_for_tap()?;
        return Ok(FoundGuest::default());
    };
    let home = Home::here().map_err(|e| Error::kernel("open the own network namespace", e))?;
    let inside = entered(socket_in(&home, target))?;
    // Slot and address do not matter: what is asked for is the guest's interface, and its routes.
    let spec = &request.spec;
    let net = GuestNet::new(spec, 0, spec.gateway, Mtu::ETHERNET);
    observe::guest_side(&inside, || socket_in(&home, target), &net)
}

/// The guest's own steps from what is there to `net`.
fn steps(net: &GuestNet, found: &FoundGuest) -> Vec<Step> {
    diff(desired_guest(net), &found.objects, may_remove(net, None))
}

/// At DEBUG one line for each change, in one record: each write costs as much as a message to the kernel.
fn log_timeline(guest: &Attached) {
    if log::log_enabled!(log::Level::Debug) {
        let mut text = format!("{}: timeline in us: start, duration, what", guest.name());
        for entry in &guest.timeline {
            text.push_str(&format!("\n{:>8} {:>6}  {}", entry.start, entry.duration, entry.what));
        }
        log::debug!("{text}");
    }
}
