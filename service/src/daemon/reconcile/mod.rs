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

//! One reconcile, whatever triggered it: the device is read into the world, and what guests share is
//! brought to what that wants: rules, connections of an old address, host ends, forwarding, packet
//! filter, MTU. It does not matter what was announced, nor whether an announcement was lost.

pub(in crate::daemon) mod askers;
pub(in crate::daemon) mod debounce;
pub(in crate::daemon) mod netd;
mod repair;
pub(in crate::daemon) mod servers;
mod triggers;

use crate::daemon::state::SharedResources;
use crate::daemon::{Daemon, GuestEvent, Notice};
use crate::effects::kernel::fib::Sender;
use crate::effects::kernel::observe::{self, Lists};
use crate::effects::kernel::uplink::{self, Question};
use crate::effects::kernel::{link, rule, sysctl};
use crate::effects::resource::{Look, Managed, Outcome, SharedResource, Trigger};
use crate::error::Error;
use crate::model::guest_table::Attached;
use crate::model::if_index::IfIndex;
use crate::model::lockdown::{Lockdown, Past};
use crate::model::ownership::ROUTE_PROTOCOL;
use crate::model::policy_rules::{PolicyRule, RoutingMode, Rule};
use crate::model::ruleset::nat_ports;
use crate::model::subnet_conflict::DevicePrefix;
use crate::model::uplink::Uplink;
use crate::model::world::{Tun, World};
use crate::ordered::{IntoOrdered, OrderedMap, OrderedSet};
use crate::spec::{Family, IfName};
use crate::store::LockdownRecord;
use debounce::Due;
use std::time::Instant;

impl Daemon {
    /// Does what is due.
    pub(in crate::daemon) fn pass(&mut self) {
        self.reconcile(false);
    }

    /// netd has answered just now: what is missing is no reason to ask it again.
    pub(in crate::daemon) fn pass_after_netd(&mut self) {
        self.debounce.trigger(Due::shared(), Instant::now());
        self.take_in();
        self.reconcile(true);
    }

    /// Guests are leaving: what the packet filter knows of them goes while the kernel deletes their links,
    /// which takes longer.
    pub(in crate::daemon) fn shut_out(&mut self) {
        bring(&mut self.shared.packet_filter, &self.world, Look::Wanted, &mut false);
        bring(&mut self.shared.segments, &self.world, Look::Wanted, &mut false);
    }

    /// After a change that only guests have made: nothing is read, and mostly nothing is to be done.
    pub(in crate::daemon) fn reconcile_wanted(&mut self) {
        self.reconcile_shared();
        self.bring_servers();
    }

    /// The same without the servers, whose thread would compete with a caller that is told meanwhile.
    pub(in crate::daemon) fn reconcile_shared(&mut self) {
        let Self { shared, world, .. } = self;
        let SharedResources { policy_routing, forwarding, packet_filter, segments, .. } = shared;
        // Nothing is compared: what fails is a change, which is tried again as that.
        let again = &mut false;
        bring(policy_routing, world, Look::Wanted, again);
        bring(segments, world, Look::Wanted, again);
        bring(forwarding, world, Look::Wanted, again);
        world.awaits_netd = forwarding.get().awaits_netd();
        bring(packet_filter, world, Look::Wanted, again);
    }

    fn reconcile(&mut self, netd_answered: bool) {
        let (due, noticed) = self.debounce.begin(Instant::now());
        let before = self.world.uplink.clone();
        let waited = (due.uplink || due.rules).then(|| self.waiting());
        let resized = match self.read_world(&due) {
            Ok(resized) => {
                self.debounce.read();
                resized
            }
            Err(e) => {
                log::error!("the device cannot be read, which is tried again: {e}");
                self.debounce.retry(due.clone(), Instant::now());
                false
            }
        };
        let moved = self.world.uplink != before;
        if moved {
            self.world.names.clear();
            self.ask_names();
        }
        // Before the packet filter, which leads guests there.
        self.bring_servers();
        let mut again = Due::default();
        let rules =
            bring(&mut self.shared.policy_routing, &self.world, Look::Kernel, &mut again.rules);
        if moved {
            self.shared.connections.reconcile(&self.world);
        }
        // That a link is gone, or is another one, makes the uplink due.
        let segments = look(due.uplink || due.filter);
        if bring(&mut self.shared.segments, &self.world, segments, &mut again.filter)
            == Outcome::PutBack
        {
            self.repair_all();
        }
        for index in &due.guests {
            self.repair(*index);
        }
        let netd = self.world.netd_routes();
        // netd's start takes its switch, jumps and rules, and announces the first and the last of these.
        let started = rules == Outcome::PutBack && !netd_answered && self.netd_may_have_started();
        let forwarding = look(due.forwarding || started);
        bring(&mut self.shared.forwarding, &self.world, forwarding, &mut again.forwarding);
        self.world.awaits_netd = self.shared.forwarding.get().awaits_netd();
        // Where the rules cannot be read, programs are run to compare.
        let lost = netd
            && (rules == Outcome::PutBack || self.shared.packet_filter.get().unseen().is_none());
        let filter = look(due.filter || lost);
        bring(&mut self.shared.packet_filter, &self.world, filter, &mut again.filter);
        if again.any() {
            self.debounce.retry(again, Instant::now());
        }
        if moved {
            self.tell_uplink(before, noticed);
        }
        waited.into_iter().for_each(|waited| self.tell_waiting(&waited));
        if moved || resized || due.wanted {
            self.follow_mtu();
        }
    }

    /// Reads what is due into the world. Tells whether a tun has another MTU, or is another one.
    pub(in crate::daemon) fn read_world(&mut self, due: &Due) -> Result<bool, Error> {
        // Where netd routes, what the default network is stands in the rules.
        if due.rules || due.uplink && self.world.netd_routes() {
            self.read_rules()?;
        }
        if due.uplink || due.rules {
            let mut uplink = self.read_uplink()?;
            let guests = &self.world.guests.leases;
            uplink.resolvers =
                self.resolvers.behind(&self.kernel.netlink, guests, uplink.name.as_ref());
            self.world.uplink = uplink;
            self.read_servers();
        }
        if due.prefixes {
            self.read_conflicts()?;
        }
        if !due.uplink {
            return Ok(false);
        }
        let failed = |cause| Error::kernel("read net.ipv4.ip_local_port_range", cause);
        self.world.platform.nat_ports = sysctl::local_ports().map_err(failed)?.and_then(nat_ports);
        // A link that has come or gone may be of others that need forwarding.
        self.world.strangers = self.shared.forwarding.get().strangers(&self.world)?;
        let tuns = self.read_tuns()?;
        let resized = tuns != self.world.tuns;
        if resized {
            self.ask_names();
        }
        self.world.tuns = tuns;
        Ok(resized)
    }

    /// What the device uses for itself, unless that is known.
    pub(in crate::daemon) fn read_prefixes(&mut self) -> Result<(), Error> {
        if self.world.prefixes.is_none() {
            self.take_prefixes(&Lists::read(&self.kernel.netlink)?);
        }
        Ok(())
    }

    /// The same out of what was read.
    pub(in crate::daemon) fn take_prefixes(&mut self, lists: &Lists) {
        let guests = |index| self.world.guests.has_link(index);
        self.world.prefixes = Some(observe::device_prefixes(lists, guests));
    }

    /// A network that the device joins may have addresses that guests have.
    fn read_conflicts(&mut self) -> Result<(), Error> {
        let mut conflicts = Vec::new();
        if !self.world.guests.is_empty() {
            self.read_prefixes()?;
            let leases = &self.world.guests.leases;
            let ours = |prefix: &&DevicePrefix| leases.overlap(&prefix.subnet);
            conflicts.extend(self.world.device_prefixes().iter().filter(ours).cloned());
        }
        let before = std::mem::replace(&mut self.world.conflicts, conflicts);
        let now = &self.world.conflicts;
        for prefix in now.iter().filter(|prefix| !before.contains(prefix)) {
            log::warn!("{prefix} is in the guests' subnet now: guests cannot reach what is there");
        }
        for prefix in before.iter().filter(|prefix| !now.contains(prefix)) {
            log::info!("{prefix} is no longer in the guests' subnet");
        }
        Ok(())
    }

    fn read_uplink(&self) -> Result<Uplink, Error> {
        let world = &self.world;
        let question = Question {
            choice: &self.config.uplink,
            routing: world.platform.routing,
            rules: &world.rules,
            sender: world.guests.follower().map(|guest| Sender {
                index: guest.index,
                address: guest.net.guest.address,
                mark: self.mark_of(guest),
            }),
        };
        uplink::observe(&self.kernel.netlink, &question)
    }

    fn read_rules(&mut self) -> Result<(), Error> {
        let failed = |cause| Error::kernel("read the policy-routing rules", cause);
        let before = self.world.lockdown;
        self.world.rules = rule::all(&self.kernel.netlink, Family::V4).map_err(failed)?;
        let (rules, now) = (&self.world.rules, Instant::now());
        let routing = RoutingMode::of(rules);
        let ours = |rule: &Rule| PolicyRule::read(rule, ROUTE_PROTOCOL).is_some();
        let lost = !self.world.guests.is_empty() && !rules.iter().any(ours);
        self.world.lockdown = match (self.world.netd_routes(), routing) {
            // netd has started for the first time: what comes first nobody knows.
            (false, Some(RoutingMode::Netd { .. })) => {
                let past = Past { seen: before.was_seen(), lost: true };
                Lockdown::first(rules, true, past, now)
            }
            (netd_routes, _) => before.after(rules, netd_routes, lost, now),
        };
        if self.world.lockdown.stops() != before.stops() {
            log::info!("a lockdown VPN is {}", if before.stops() { "gone" } else { "up" });
        }
        self.remember_lockdown(before.was_seen());
        match routing {
            Some(routing) if routing != self.world.platform.routing => self.reroute(routing),
            _ => {}
        }
        Ok(())
    }

    /// The next start may find netd's rules gone, and its lockdown's with them.
    pub(in crate::daemon) fn remember_lockdown(&self, kept: bool) {
        let seen = self.world.lockdown.was_seen();
        if seen == kept {
            return;
        }
        if let Err(e) = self.store.put_lockdown_or_owe(LockdownRecord { seen }) {
            log::error!("{e}: it is tried again");
        }
    }

    /// The device routes in another way than it did.
    fn reroute(&mut self, routing: RoutingMode) {
        log::info!("the device routes by {} now", routing.name());
        self.world.platform.routing = routing;
        self.world.prefixes = None;
        self.world.guests.route(routing);
        self.repair_all();
    }

    /// Tells listeners and the log of another uplink.
    fn tell_uplink(&mut self, previous: Uplink, noticed: Instant) {
        let current = self.world.uplink.clone();
        let gap = u64::try_from(noticed.elapsed().as_micros()).unwrap_or(u64::MAX);
        match current.trouble() {
            None => log::info!("uplink: {current}, {gap} us after the kernel's last notice"),
            Some(trouble) => log::warn!("uplink: {trouble}"),
        }
        (self.notify)(Notice::Uplink { previous, current, gap });
    }

    /// Guests whose traffic waits.
    fn waiting(&self) -> OrderedSet<IfIndex> {
        let guests = self.world.guests.attached();
        guests.filter(|g| self.world.waits(&g.net.vpn)).map(|g| g.index).into_set()
    }

    /// Tells listeners of guests whose traffic waits and did not, or the other way round.
    fn tell_waiting(&mut self, before: &OrderedSet<IfIndex>) {
        let turned = |g: &&Attached| before.contains(&g.index) != self.world.waits(&g.net.vpn);
        let turned = self.world.guests.attached().filter(turned);
        let guests: Vec<_> = turned.map(|g| self.seen(g)).collect();
        for guest in guests {
            (self.notify)(Notice::Guest(GuestEvent::State, guest));
        }
    }

    /// netd's start takes more than a rule, which anybody may take.
    fn netd_may_have_started(&mut self) -> bool {
        let Some(ruleset) = self.shared.packet_filter.applied().cloned() else { return false };
        let changed = self.shared.packet_filter.get_mut().compare(&ruleset);
        !sysctl::forwarding().unwrap_or(false) || matches!(changed, Ok(Some(_)))
    }
}

fn look(kernel: bool) -> Look {
    if kernel {
        Look::Kernel
    } else {
        Look::Wanted
    }
}

/// Nobody waits: what fails is logged, and tried again.
fn bring<R: SharedResource>(
    managed: &mut Managed<R>,
    world: &World,
    look: Look,
    again: &mut bool,
) -> Outcome {
    managed.reconcile(world, look, Trigger::Event).unwrap_or_else(|e| {
        log::error!("{}: {e}", R::NAME);
        // A change that failed is tried again by itself; a look that failed has to be due again.
        *again |= managed.retry_at(world).is_none();
        Outcome::Unchanged
    })
}

impl Daemon {
    /// The tuns that guests leave by, as far as they are there.
    fn read_tuns(&self) -> Result<OrderedMap<IfName, Tun>, Error> {
        let mut tuns = OrderedMap::new();
        for name in self.world.guests.tuns() {
            if let Some(tun) = self.read_tun(name)? {
                tuns.insert(name.clone(), tun);
            }
        }
        Ok(tuns)
    }

    /// The same of one; none: it is not there.
    pub(in crate::daemon) fn read_tun(&self, name: &IfName) -> Result<Option<Tun>, Error> {
        let netlink = &self.kernel.netlink;
        let failed = |cause| Error::kernel(format!("read {name}"), cause);
        let Some(link) = link::by_name(netlink, name.as_str()).map_err(failed)? else {
            return Ok(None);
        };
        let guests = &self.world.guests.leases;
        let resolvers = self.resolvers.behind_tun(netlink, guests, (name, link.index));
        Ok(Some(Tun { index: link.index, up: link.up, mtu: link.mtu, resolvers }))
    }
}
