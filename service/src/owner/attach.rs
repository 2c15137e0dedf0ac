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

use super::{verify, AttachRequest, Attached, GuestEvent, LayerReport, Notice, Owner};
use crate::apply::{apply, undo, Timeline};
use crate::error::Error;
use crate::firewall::{GuestSubnet, Ruleset};
use crate::kernel::executor::KernelExecutor;
use crate::kernel::netlink::Netlink;
use crate::kernel::target::Target;
use crate::kernel::{netns, observe, sysctl};
use crate::plan::conflict::{self, Neighbour};
use crate::plan::{diff, slots, GuestNet, Observed, Step};
use crate::spec::{GuestName, GuestSpec, DEFAULT_MTU};
use crate::store::{ForwardingRecord, Record};
use std::collections::BTreeSet;
use std::os::fd::AsFd;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// What is to be done, and in what it was looked at.
struct Prepared {
    net: GuestNet,
    steps: Vec<Step>,
}

impl Owner {
    pub(super) async fn attach(&mut self, request: AttachRequest) -> Result<Attached, Error> {
        let AttachRequest { spec, target, uid, arrived } = request;
        let mut timeline = Timeline::new(arrived);
        timeline.enter("call reached the owner", arrived);
        let began = Instant::now();
        self.catch_up().await;
        let net = self.place(&spec).await?;
        let inside = netns::netlink_in(&target.netns)
            .map_err(|e| Error::kernel("enter the guest's network namespace", e))?;
        timeline.enter("placed, the guest entered", began);

        let done = self.attach_inside(&net, &target, &inside, uid, &spec, &mut timeline).await;

        // Nothing of the guest's namespace outlives the call: it would pin the namespace.
        let began = Instant::now();
        inside.close().await;
        drop(target);
        timeline.enter("left the guest", began);
        let mut guest = done?;
        guest.timeline = timeline.entries().to_vec();
        log::info!("{}: attached in {} us", spec.name, arrived.elapsed().as_micros());
        self.links.insert(guest.index, spec.name.clone());
        self.remember_slot(&spec.name, net.slot);
        self.holders.insert(net.guest.address, spec.name.clone());
        self.guests.insert(spec.name.clone(), guest.clone());
        let seen = self.seen(&guest);
        (self.notify)(Notice::Guest(GuestEvent::Attached, seen.clone()));
        Ok(seen)
    }

    pub(super) async fn plan(&mut self, request: AttachRequest) -> Result<Vec<Step>, Error> {
        Ok(self.rehearse(&request).await?.steps)
    }

    pub(super) async fn check(
        &mut self,
        request: AttachRequest,
    ) -> Result<Vec<LayerReport>, Error> {
        let prepared = self.rehearse(&request).await?;
        Ok(self.predict(&prepared.net, &prepared.steps).await)
    }

    /// All of attach that changes nothing.
    async fn rehearse(&mut self, request: &AttachRequest) -> Result<Prepared, Error> {
        self.catch_up().await;
        let net = self.place(&request.spec).await?;
        let inside = netns::netlink_in(&request.target.netns)
            .map_err(|e| Error::kernel("enter the guest's network namespace", e))?;
        let steps = self.steps(&net, &inside).await;
        inside.close().await;
        request.target.check_alive()?;
        Ok(Prepared { net, steps: steps? })
    }

    /// Slot, address and MTU; refuses what collides.
    async fn place(&mut self, spec: &GuestSpec) -> Result<GuestNet, Error> {
        let leaving = || self.leaving.values().map(|l| &l.guest);
        let known = || self.guests.values().chain(leaving());
        if known().any(|g| *g.name() == spec.name) {
            return Err(Error::NameInUse(spec.name.clone()));
        }
        if self.prefixes.is_none() {
            self.prefixes = Some(observe::device_prefixes(&self.device).await?);
        }
        let device = self.prefixes.as_deref().unwrap_or_default();
        let leaving = || self.leaving.values().map(|l| &l.guest);
        let known = || self.guests.values().chain(leaving());
        conflict::check(spec, device, known().map(neighbour))?;
        let strays = self.strays.values().copied();
        let live: BTreeSet<u32> = known().map(|g| g.net.slot).chain(strays).collect();
        let slot =
            slots::choose(&spec.name, &self.slots, &live).ok_or(Error::NoFreeSlot("slot"))?;
        let address = match spec.address {
            Some(address) => address,
            None => {
                let taken = known().map(|g| g.net.guest.address).collect();
                slots::address(spec, slot, &taken)
                    .ok_or(Error::NoFreeSlot("address in the subnet"))?
            }
        };
        let uplink = Some(self.uplink.mtu).filter(|mtu| *mtu >= 68);
        let mtu = spec.mtu.or(uplink).unwrap_or(DEFAULT_MTU).min(65535);
        Ok(GuestNet::new(spec, slot, address, mtu))
    }

    /// The steps from what is there to `net`, the device's own first.
    async fn steps(&self, net: &GuestNet, inside: &Netlink) -> Result<Vec<Step>, Error> {
        if observe::host_end(&self.device, net).await?.is_some() {
            return Err(Error::HostInterfaceExists(net.host.name.clone()));
        }
        let guest = observe::guest_side(inside, &net.guest.name).await?;
        if guest.link.is_some() {
            return Err(Error::GuestInterfaceExists(net.guest.name.clone()));
        }
        if let Some(route) = guest.other_default {
            return Err(Error::GuestRouteExists(route));
        }
        let mut steps = Vec::new();
        let ruleset = self.ruleset_with(Some(net));
        if ruleset != self.ruleset {
            steps.push(Step::Firewall { to: ruleset, from: self.ruleset.clone() });
        }
        let failed = |cause| Error::Forwarding { switch: "on", cause };
        if !sysctl::forwarding().map_err(failed)? {
            steps.push(Step::ForwardingOn(sysctl::before_forwarding().map_err(failed)?));
        }
        let had = self.holders.get(&net.guest.address);
        if had.is_some_and(|name| *name != net.name) {
            steps.push(Step::ForgetConnections(net.guest.address));
        }
        steps.extend(diff::guest(net, &Observed { host: None, guest: Some(guest) }));
        Ok(steps)
    }

    async fn attach_inside(
        &mut self,
        net: &GuestNet,
        target: &Target,
        inside: &Netlink,
        uid: u32,
        spec: &GuestSpec,
        timeline: &mut Timeline,
    ) -> Result<Attached, Error> {
        let began = Instant::now();
        let steps = self.steps(net, inside).await?;
        timeline.enter("looked at what is there", began);
        let who = spec.name.as_str();
        // The last step marks the link as whole, so it comes after everything that can fail.
        let Some((mark, body)) = steps.split_last() else {
            return Err(Error::Verify("there was nothing to do".into()));
        };
        let switched = steps.iter().find_map(|s| match s {
            Step::ForwardingOn(before) => Some(before.clone()),
            _ => None,
        });
        if let Some(before) = &switched {
            // Before it is written: after a crash the next start knows whose it is.
            self.remember_forwarding(ForwardingRecord {
                ours: true,
                contested: false,
                before: before.clone(),
            });
        }
        let mut executor = KernelExecutor {
            device: &self.device,
            deleter: &self.deleter,
            firewall: &mut self.firewall,
            guest: Some((target.netns.as_fd(), inside)),
            host_index: None,
            guest_index: None,
            switched: Vec::new(),
        };
        let mut result = apply(who, body, &mut executor, timeline).await;
        let mut index = 0;
        let mut guest = None;
        if result.is_ok() {
            let finish = async {
                let began = Instant::now();
                index = verify::read_back(net, &self.device, inside, mark).await?;
                target.check_alive()?;
                timeline.enter("read back", began);
                let attached = attached(spec, net, index, uid);
                let began = Instant::now();
                let record = Record { slot: net.slot, attached: Some(attached.record()) };
                self.store.put(&spec.name, &record)?;
                timeline.enter("stored", began);
                apply(who, std::slice::from_ref(mark), &mut executor, timeline).await?;
                Ok(attached)
            };
            match finish.await {
                Ok(attached) => guest = Some(attached),
                Err(error) => {
                    log::error!("{who}: {error}");
                    result = Err(undo(who, body, &mut executor, error).await);
                }
            }
        }
        let announced = std::mem::take(&mut executor.switched);
        self.switched.extend(announced);
        if switched.is_some() && result.is_err() {
            self.remember_forwarding(ForwardingRecord::default());
        }
        match (result, guest) {
            (Ok(()), Some(guest)) => {
                self.ruleset = self.ruleset_with(Some(net));
                Ok(guest)
            }
            (Err(error), _) => {
                self.restore_record(&spec.name);
                Err(error)
            }
            (Ok(()), None) => Err(Error::Ending),
        }
    }

    /// After a failed attach: the name keeps the slot that it had, if it had one.
    fn restore_record(&mut self, name: &GuestName) {
        match self.slots.get(name) {
            Some(slot) => {
                let _ = self.store.put(name, &Record { slot: *slot, attached: None });
            }
            None => self.store.forget(name),
        }
    }

    /// The rules for the uplink, the guests, and one more.
    pub(super) fn ruleset_with(&self, one_more: Option<&GuestNet>) -> Ruleset {
        let nets = self.guests.values().map(|g| &g.net).chain(one_more);
        let subnets = nets.map(|n| GuestSubnet { subnet: n.subnet, gateway: n.guest.gateway });
        let subnets = GuestSubnet::original().into_iter().chain(subnets).collect();
        Ruleset { uplink: self.uplink.name.clone(), subnets }
    }
}

fn neighbour(guest: &Attached) -> Neighbour<'_> {
    Neighbour {
        name: guest.name(),
        subnet: guest.spec.subnet,
        gateway: guest.spec.gateway,
        address: guest.net.guest.address,
    }
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
