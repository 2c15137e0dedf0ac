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

//! The packet filter, as all guests share it.

use super::connections::{subnets, Forgetter, Unfit};
use super::{Done, Ending, Health, Managed, SharedResource, Task};
use crate::effects::firewall::iptables::Programs;
use crate::effects::firewall::{Drops, Firewall};
use crate::error::Error;
use crate::error::FirewallError;
use crate::model::change::Change;
use crate::model::policy_rules::RoutingMode;
use crate::model::ruleset::{self, GuestSubnet, Ruleset};
use crate::model::sources::Sources;
use crate::model::uplink::Choice;
use crate::model::world::Backend;
use crate::model::world::World;
use crate::model::GuestNet;
use crate::ordered::{IntoOrdered, OrderedSet};
use crate::spec::{IfName, IfPattern, Subnet};
use std::time::Instant;

/// The filter of the network namespace that it was opened in.
pub(crate) struct PacketFilter {
    firewall: Firewall,
    /// Why this backend.
    reason: String,
    /// Whether it was applied since the start: programs may take longer then, nobody waits.
    started: bool,
    forgetter: Forgetter,
}

impl PacketFilter {
    pub(crate) fn new(firewall: Firewall, reason: String, forgetter: Forgetter) -> Self {
        Self { firewall, reason, started: false, forgetter }
    }

    /// Why this backend was taken.
    pub(crate) fn reason(&self) -> &str {
        &self.reason
    }

    /// The backend.
    pub(crate) fn backend(&self) -> Backend {
        self.firewall.backend()
    }

    /// The rules as text.
    pub(crate) fn text(&self, ruleset: &Ruleset) -> String {
        self.firewall.text(ruleset)
    }

    /// Why its rules cannot be read here; none where they can.
    pub(crate) fn unseen(&self) -> Option<&str> {
        self.firewall.unseen()
    }

    /// The programs that write its rules; none: it takes none.
    pub(crate) fn programs(&self) -> Option<&Programs> {
        self.firewall.programs()
    }

    /// What limits guests' connections and this kernel has not.
    pub(crate) fn lacks(&self) -> Vec<String> {
        self.firewall.lacks()
    }

    /// Why rules of a run of guestnetd with the other packet filter could not be removed.
    pub(crate) fn leftovers(&self) -> Option<&str> {
        self.firewall.leftovers()
    }

    /// What differs in the kernel.
    pub(crate) fn compare(&mut self, ruleset: &Ruleset) -> Result<Option<String>, Error> {
        Ok(self.firewall.drift(ruleset)?)
    }

    /// Packets that our rules have dropped.
    pub(crate) fn dropped(&mut self) -> Result<u64, Error> {
        Ok(self.firewall.dropped()?)
    }

    /// The same for each guest, by its host end's name. None: it cannot be told whose they were.
    pub(crate) fn drops(&mut self) -> Option<Drops> {
        let drops = self.firewall.drops();
        drops.inspect_err(|e| log::debug!("firewall: {e}")).ok().flatten()
    }
}

impl Managed<PacketFilter> {
    /// When rules of a run of guestnetd with the other packet filter are to be removed: once ours are in
    /// place.
    pub(crate) fn leftovers_due(&self) -> Option<Instant> {
        let in_place = self.applied.is_some() && self.health == Health::InPlace;
        self.resource.firewall.leftovers_due().filter(|_| in_place)
    }

    /// Removes them when it is time. Programs that it takes may hang, so no call does it.
    pub(crate) fn clear_leftovers(&mut self, now: Instant) {
        if self.leftovers_due().is_some_and(|at| at <= now) {
            self.resource.firewall.clear_leftovers();
        }
    }
}

/// The interfaces that guests may leave by. Where netd routes, our own rule leads to one of them and
/// nothing else does, so all that may ever be the uplink can be named once: a change of the uplink is
/// a change of that rule, and runs no program. The exception is a clat that no name was given of.
fn ways_out(world: &World) -> OrderedSet<IfPattern> {
    let uplink = &world.uplink;
    let mut ways: OrderedSet<IfPattern> = match (world.platform.routing, &uplink.choice) {
        (RoutingMode::Netd { .. }, Choice::Listed(list)) => list.iter().cloned().into_set(),
        _ => OrderedSet::new(),
    };
    for name in uplink.ways_out() {
        if !ways.iter().any(|way| way.matches(name.as_str())) {
            ways.insert(name.clone().into());
        }
    }
    ways
}

/// The attached guests with a word in it whose questions are led elsewhere now, each as a subnet of its own. Who comes
/// or goes has none that are on their way.
fn asked_elsewhere(world: &World, from: &Ruleset, to: &Ruleset) -> Vec<GuestSubnet> {
    let (gone, new) = (
        from.forwarded.but.difference(&to.forwarded.but),
        to.forwarded.but.difference(&from.forwarded.but),
    );
    let mut changed: OrderedSet<&IfName> = gone.chain(new).collect();
    if (&from.exits, &from.tun_resolvers) != (&to.exits, &to.tun_resolvers) {
        changed.extend(from.exits.keys().chain(to.exits.keys()));
    }
    let is_other = |net: &&GuestNet| {
        changed.contains(&&net.host.name) && from.asks_elsewhere(to, &net.host.name)
    };
    let alone = |net: &GuestNet| {
        let subnet = Subnet::containing(net.guest.address, 32)?;
        Some(GuestSubnet { subnet, gateway: net.guest.gateway })
    };
    world.guests.attached().map(|guest| &guest.net).filter(is_other).filter_map(alone).collect()
}

impl SharedResource for PacketFilter {
    type Want = Ruleset;
    const NAME: &'static str = "firewall";
    const FIND: &'static str = "who runs iptables or nft";

    fn want(world: &World) -> Ruleset {
        let guests = &world.guests;
        let exits = guests.egress_overrides().iter();
        let forwarded = world.forwarded();
        Ruleset {
            uplinks: ways_out(world),
            subnets: GuestSubnet::original().into_iter().chain(guests.leases.subnets()).into_set(),
            // Another one changes nothing for who does not ask it.
            resolver: world.resolver().filter(|_| !forwarded.every()),
            forwarded,
            exits: exits
                .filter_map(|(host, one)| Some((host.clone(), one.vpn.tun()?.clone())))
                .into_map(),
            tun_resolvers: world.tun_resolvers(),
            guests: match world.platform.filter {
                Backend::Nftables => guests.sources().clone(),
                Backend::Iptables => Sources::default(),
            },
            nat_ports: world.platform.nat_ports,
            user: world.platform.user,
            connections: world.platform.connections,
            crowd: world.uplink.network.and_then(ruleset::crowd),
            forgets: false,
            exceptions_in_set: false,
            sources: world.uplink.sources(),
            strangers: world.strangers,
            extra: Vec::new(),
        }
    }

    /// What is hooked into netd's chains before its answer may be flushed in part: FORWARD would be
    /// open without NAT. But a guest with a tun might leave by the uplink without rules of its own.
    fn waits(from: Option<&Ruleset>, to: &Ruleset, world: &World) -> Option<&'static str> {
        let unprotected =
            from.is_some_and(|from| to.exits.keys().any(|k| !from.exits.contains_key(k)));
        (world.awaits_netd && !unprotected).then_some(
            "the present uplink's rules wait until netd has answered, which may be starting",
        )
    }

    fn changes(&self, from: Option<&Ruleset>, to: &Ruleset) -> Vec<Change> {
        let Some(from) = from else { return vec![Change::packet_filter(to)] };
        if !from.is_but_for_guests(to, self.backend() == Backend::Nftables) {
            return vec![Change::packet_filter(to)];
        }
        let new = to.guests.beyond(&from.guests);
        let sources = new.iter().map(|(host, address)| Change::add_source(host, *address));
        let (before, after) = (&from.forwarded.but, &to.forwarded.but);
        let come = after.difference(before).map(|host| Change::exception(host, true));
        let gone = before.difference(after).map(|host| Change::exception(host, false));
        sources.chain(come).chain(gone).collect()
    }

    fn drift(&mut self, want: &Ruleset, _world: &World) -> Result<Option<String>, Error> {
        self.compare(want)
    }

    fn apply(&mut self, task: &Task<'_, Ruleset>) -> Result<Done, Error> {
        if self.started {
            self.firewall.apply(task.to)?;
        } else {
            self.firewall.start(task.to)?;
            self.started = true;
        }
        match task.from {
            Some(from) if from != task.to => {
                if from.uplinks != task.to.uplinks {
                    log::info!("firewall: {}", task.to.ways_out());
                }
                if from.resolver != task.to.resolver {
                    let guests = subnets(task.world);
                    self.forgetter.forget(Unfit::Questions(guests, task.to.resolver));
                }
                let elsewhere = match from.forwarded.all == task.to.forwarded.all {
                    true => asked_elsewhere(task.world, from, task.to),
                    false => subnets(task.world),
                };
                if !elsewhere.is_empty() {
                    self.forgetter.forget(Unfit::Led(elsewhere));
                }
            }
            // There may have been none for a while.
            _ => self.forgetter.forget(Unfit::Untranslated(subnets(task.world))),
        }
        Ok(Done::Applied)
    }

    fn clear(&mut self, _: Ending) -> Result<(), Error> {
        Ok(self.firewall.clear()?)
    }

    fn is_stuck(&self, failure: &Error) -> bool {
        matches!(failure, Error::Firewall(e) if FirewallError::is_stuck(e))
    }
}
