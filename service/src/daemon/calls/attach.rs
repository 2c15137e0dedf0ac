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

use super::verify;
use crate::alloc::leases::subnet_of;
use crate::daemon::executor::kernel::KernelExecutor;
use crate::daemon::executor::{apply, undo, Timeline};
use crate::daemon::{AttachRequest, Attached, Daemon, GuestEvent, LayerReport, Notice};
use crate::error::Error;
use crate::kernel::netlink::Netlink;
use crate::kernel::netns::target::Target;
use crate::kernel::{link, observe};
use crate::model::{diff, subnet_conflict, GuestNet, Observed, ObservedGuest, Step};
use crate::platform::resolv_conf;
use crate::spec::{GuestSpec, VpnPolicy, DEFAULT_MTU};
use crate::store::{ForwardingRecord, Record};
use std::os::fd::AsFd;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// What is to be done, and in what it was looked at.
struct Prepared {
    net: GuestNet,
    steps: Vec<Step>,
}

impl Daemon {
    pub(in crate::daemon) fn attach(&mut self, request: AttachRequest) -> Result<Attached, Error> {
        let AttachRequest { spec, target, uid, arrived } = request;
        let mut timeline = Timeline::new(arrived);
        timeline.enter("target opened, owner entered", arrived);
        let began = Instant::now();
        self.settle();
        let net = self.place(&spec)?;
        timeline.enter("placed", began);
        let began = Instant::now();
        let inside = self.socket_in(&target)?;
        timeline.enter("guest entered", began);

        let done = self.attach_inside(&net, &target, &inside, uid, &spec, &mut timeline);

        // Nothing of the guest's namespace outlives the call: it would pin the namespace.
        let began = Instant::now();
        drop(inside);
        drop(target);
        timeline.enter("guest left", began);
        let mut guest = done?;
        guest.timeline = timeline.into_entries();
        log_changes(&guest, arrived);
        self.know(guest.clone());
        let seen = self.seen(&guest);
        (self.notify)(Notice::Guest(GuestEvent::Attached, seen.clone()));
        Ok(seen)
    }

    /// A guest is there.
    pub(in crate::daemon) fn know(&mut self, guest: Attached) {
        let name = guest.name();
        if guest.net.vpn != VpnPolicy::FollowUplink {
            self.own_ways.insert(guest.net.host.name.clone(), guest.net.vpn.clone());
        }
        if let Some(tun) = guest.net.vpn.tun() {
            self.doubt_tun(tun);
        }
        if self.guests.is_empty() {
            self.last_check = Instant::now();
            // The device's resolvers may be others, which nobody announces.
            let path = self.config.resolv_conf.as_deref();
            if path.and_then(resolv_conf::written) != self.resolv_written {
                self.due.uplink = true;
                self.due.announced(self.last_check);
            }
        }
        self.links.insert(guest.index, name.clone());
        self.leases.take(&guest.net);
        self.holders.insert(guest.net.guest.address, name.clone());
        self.remember_slot(guest.name(), guest.net.slot);
        self.guests.insert(guest.name().clone(), guest);
    }

    pub(in crate::daemon) fn plan(&mut self, request: AttachRequest) -> Result<Vec<Step>, Error> {
        Ok(self.rehearse(&request)?.steps)
    }

    pub(in crate::daemon) fn check(
        &mut self,
        request: AttachRequest,
    ) -> Result<Vec<LayerReport>, Error> {
        let prepared = self.rehearse(&request)?;
        Ok(self.predict(&prepared.net, &prepared.steps))
    }

    /// All of attach that changes nothing.
    fn rehearse(&mut self, request: &AttachRequest) -> Result<Prepared, Error> {
        self.settle();
        let net = self.place(&request.spec)?;
        let inside = self.socket_in(&request.target)?;
        let steps = self.steps_after_a_close_look(&net, &inside)?;
        drop(inside);
        request.target.check_alive()?;
        Ok(Prepared { net, steps })
    }

    fn socket_in(&self, target: &Target) -> Result<Netlink, Error> {
        self.home
            .inside(target.netns.as_fd(), Netlink::open)
            .map_err(|e| Error::kernel("enter the guest's network namespace", e))
    }

    /// Slot, address and MTU; refuses what collides.
    fn place(&mut self, spec: &GuestSpec) -> Result<GuestNet, Error> {
        if self.guests.contains_key(&spec.name) || self.leaving.contains_key(&spec.name) {
            return Err(Error::NameInUse(spec.name.clone()));
        }
        let prefixes = match self.prefixes.take() {
            Some(prefixes) => prefixes,
            None => observe::device_prefixes(&self.device)?,
        };
        let prefixes = self.prefixes.insert(prefixes);
        subnet_conflict::check(spec, prefixes)?;
        let mut way = self.uplink.mtu;
        if let VpnPolicy::NamedTun(tun) = &spec.vpn {
            let failed = |cause| Error::kernel(format!("read {tun}"), cause);
            let there = link::by_name(&self.device, tun.as_str()).map_err(failed)?;
            way = there.ok_or_else(|| Error::NoSuchTun(tun.clone()))?.mtu;
        }
        let (slot, address) = self.leases.choose(spec)?;
        let way = Some(way).filter(|mtu| *mtu >= 68);
        let mtu = spec.mtu.or(way).unwrap_or(DEFAULT_MTU).min(65535);
        Ok(GuestNet::new(spec, slot, address, mtu).routed(self.shape))
    }

    /// The steps from what is there to `net`, the device's own first.
    fn steps(&self, net: &GuestNet, guest: ObservedGuest) -> Result<Vec<Step>, Error> {
        if guest.link.is_some() {
            return Err(Error::GuestInterfaceExists(net.guest.name.clone()));
        }
        if let Some(route) = guest.other_default {
            return Err(Error::GuestRouteExists(route));
        }
        let mut steps = Vec::new();
        let filtered = self.ruleset.uplinks == self.ways_out() && self.firewall_error.is_none();
        let own_way = net.vpn.tun().is_some();
        let changes = !filtered || own_way || !self.ruleset.subnets.contains(&subnet_of(net));
        // Without its rules a guest waits for netd's answer as all do; one with a tun might leave by the
        // uplink without its own.
        if changes && (own_way || !self.netd.asking) {
            let to = self.ruleset_with(Some(net));
            if !filtered || to != self.ruleset {
                steps.push(Step::Firewall { to, from: self.ruleset.clone() });
            }
        }
        steps.extend(self.leads_for(net)?);
        steps.extend(self.forwarding_step()?);
        let had = self.holders.get(&net.guest.address);
        if had.is_some_and(|name| *name != net.name) {
            steps.push(Step::ForgetConnections(net.guest.address));
        }
        steps.extend(diff::guest(net, &Observed { host: None, guest: Some(guest) }));
        Ok(steps)
    }

    /// The same; what the kernel would refuse halfway is refused here.
    fn steps_after_a_close_look(
        &self,
        net: &GuestNet,
        inside: &Netlink,
    ) -> Result<Vec<Step>, Error> {
        if observe::host_end(&self.device, net)?.is_some() {
            return Err(Error::HostInterfaceExists(net.host.name.clone()));
        }
        self.steps(net, observe::guest_side(inside, &net.guest.name)?)
    }

    fn attach_inside(
        &mut self,
        net: &GuestNet,
        target: &Target,
        inside: &Netlink,
        uid: u32,
        spec: &GuestSpec,
        timeline: &mut Timeline,
    ) -> Result<Attached, Error> {
        let began = Instant::now();
        let mut steps = self.steps(net, observe::guest_before(inside, &net.guest.name)?)?;
        let shared = |step: &Step| {
            matches!(step, Step::Firewall { .. } | Step::AddRule(_) | Step::ForwardingOn(_))
        };
        if steps.iter().any(shared) {
            // What all guests share must not even flicker for one that is refused.
            steps = self.steps_after_a_close_look(net, inside)?;
        }
        timeline.enter("looked at what is there", began);
        let who = spec.name.as_str();
        // The last step marks the link as whole, so it comes after everything that can fail.
        let Some((mark, body)) = steps.split_last() else {
            return Err(Error::Verify("there was nothing to do".into()));
        };
        let switched = steps.iter().find_map(|s| match s {
            Step::ForwardingOn(switch) => Some(switch.clone()),
            _ => None,
        });
        let before = self.forwarding.clone();
        if let Some(switch) = &switched {
            // Before it is written: after a crash the next start knows whose it is.
            self.remember_forwarding(ForwardingRecord::of(switch));
        }
        let mut executor = KernelExecutor {
            device: &self.device,
            deleter: &self.deleter,
            firewall: &mut self.firewall,
            ndc: self.ndc.as_ref(),
            guest: Some((target.netns.as_fd(), inside)),
            host_index: None,
            guest_index: None,
            switched: Vec::new(),
        };
        let mut result = apply(who, body, &mut executor, timeline);
        let mut guest = None;
        if result.is_ok() {
            let mut finish = || {
                let began = Instant::now();
                let ends = executor.host_index.zip(executor.guest_index);
                let index = verify::read_back(net, ends, &self.device, inside, mark)?;
                target.check_alive()?;
                timeline.enter("read back", began);
                let attached = attached(spec, net, index, uid);
                let began = Instant::now();
                let record = Record { slot: net.slot, attached: Some(attached.record()) };
                self.store.put(&spec.name, &record)?;
                timeline.enter("stored", began);
                apply(who, std::slice::from_ref(mark), &mut executor, timeline)?;
                Ok(attached)
            };
            match finish() {
                Ok(attached) => guest = Some(attached),
                Err(error) => {
                    log::error!("{who}: {error}");
                    result = Err(undo(who, body, &mut executor, error));
                }
            }
        }
        let announced = std::mem::take(&mut executor.switched);
        if let Some(on) = announced.last() {
            self.forwards = *on;
        }
        self.switched.extend(announced);
        if result.is_err() && steps.iter().any(|step| matches!(step, Step::AddRule(_))) {
            // Its rules went; a route of a table of ours may be left.
            self.own_tables.extend(steps.iter().filter_map(|step| match step {
                Step::AddRule(lead) => lead.own(),
                _ => None,
            }));
            self.due.rules = true;
            self.due.announced(Instant::now());
        }
        // What netd did not answer it may do all the same: that is taken back when it is tried again.
        let unsure = result.as_ref().is_err_and(Error::is_unanswered);
        if switched.is_some() && result.is_err() && !unsure {
            self.remember_forwarding(before);
        }
        match (result, guest) {
            (Ok(()), Some(guest)) => {
                if steps.iter().any(|step| matches!(step, Step::Firewall { .. })) {
                    self.ruleset = self.ruleset_with(Some(net));
                    self.firewall_error = None;
                    self.firewall_stuck = false;
                    self.firewall_lacks = None;
                }
                let new = steps.into_iter().filter_map(|step| match step {
                    Step::AddRule(lead) => Some(lead),
                    _ => None,
                });
                self.leads.extend(new);
                self.leads.sort();
                Ok(guest)
            }
            (Err(error), _) => {
                self.restore_record(spec);
                Err(error)
            }
            (Ok(()), None) => Err(Error::Ending),
        }
    }

    /// After a failed attach: the name keeps the slot that it had, if it had one.
    fn restore_record(&mut self, spec: &GuestSpec) {
        match self.leases.slots.of(&spec.name) {
            Some(slot) => {
                let _ = self.store.put(&spec.name, &Record { slot, attached: None });
            }
            None => self.store.forget(&spec.name),
        }
    }
}

/// A line for each change, in one record: each write costs as much as a message to the kernel.
fn log_changes(guest: &Attached, arrived: Instant) {
    if !log::log_enabled!(log::Level::Info) {
        return;
    }
    let mut text = format!("{}: attached in {} us", guest.name(), arrived.elapsed().as_micros());
    for entry in &guest.timeline {
        text.push_str(&format!("\n{:>8} {:>6} us  {}", entry.start, entry.duration, entry.what));
    }
    log::info!("{text}");
}

fn attached(spec: &GuestSpec, net: &GuestNet, index: u32, uid: u32) -> Attached {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Attached {
        spec: spec.clone(),
        net: net.clone(),
        index,
        owner_uid: uid,
        attached_at: i64::try_from(now.as_millis()).unwrap_or(i64::MAX),
        timeline: Vec::new(),
        waiting: false,
    }
}
