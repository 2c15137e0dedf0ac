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

//! Our policy-routing rules, and the tables of ours that some of them lead to.

use super::connections::{Forgetter, Unfit};
use super::{Done, Ending, SharedResource, Task};
use crate::effects::kernel::netlink::Netlink;
use crate::effects::kernel::{route, rule};
use crate::error::Error;
use crate::model::change::Change;
use crate::model::if_index::IfIndex;
use crate::model::ownership::ROUTE_PROTOCOL;
use crate::model::policy_rules::{leads, Action, PolicyRule, Rule, RuleInputs, Selector};
use crate::model::ruleset::GuestSubnet;
use crate::model::table::TableId;
use crate::model::world::World;
use crate::ordered::{sort_short, IntoOrdered, OrderedSet};
use crate::spec::{Family, VpnPolicy};
use log::Level;

/// The rules of the network namespace that it was opened in.
pub(crate) struct PolicyRouting {
    netlink: Netlink,
    /// Indexes of interfaces that may have a table of ours.
    own_tables: OrderedSet<IfIndex>,
    forgetter: Forgetter,
}

impl PolicyRouting {
    pub(crate) fn new(netlink: Netlink, forgetter: Forgetter) -> Self {
        Self { netlink, own_tables: OrderedSet::new(), forgetter }
    }

    /// The rules of ours that are in the kernel now.
    pub(crate) fn observe(&self) -> Result<Vec<PolicyRule>, Error> {
        let failed = |cause| Error::kernel("read the policy-routing rules", cause);
        Ok(ours(&rule::all(&self.netlink, Family::V4).map_err(failed)?))
    }

    /// Goes on after a failure, and reports the first. Each change is logged at this level.
    fn bring(
        &mut self,
        wanted: &[PolicyRule],
        level: Level,
        added: &dyn Fn(&PolicyRule),
    ) -> Result<(), Error> {
        let there = self.observe()?;
        self.own_tables.extend(wanted.iter().chain(&there).filter_map(PolicyRule::own));
        let mut first = Ok(());
        let mut note = |what: String, result: Result<(), _>| match result {
            Ok(()) => log::log!(level, "{what}"),
            Err(cause) if first.is_ok() => first = Err(Error::kernel(what, cause)),
            Err(cause) => log::error!("{what}: {cause}"),
        };
        // The new ones first: a packet always finds one.
        for lead in wanted.iter().filter(|lead| !there.contains(lead)) {
            let result = rule::add(&self.netlink, Family::V4, lead);
            if result.is_ok() {
                added(lead);
            }
            note(format!("rule {lead}"), result);
        }
        for lead in there.iter().filter(|lead| !wanted.contains(lead)) {
            note(format!("remove rule {lead}"), rule::delete(&self.netlink, Family::V4, lead));
        }
        first.and(self.bring_tables(wanted))
    }

    /// The routes that our rules lead to, where those are ours, too: one for all guests of an
    /// interface. It goes with the interface.
    fn bring_tables(&mut self, wanted: &[PolicyRule]) -> Result<(), Error> {
        for index in self.own_tables.clone() {
            let failed = |cause| Error::kernel("the default route of a VPN's guests", cause);
            let table = TableId::own(index);
            if wanted.iter().any(|lead| lead.own() == Some(index)) {
                route::add_default(&self.netlink, Family::V4, index, table).map_err(failed)?;
            } else {
                route::delete_default(&self.netlink, Family::V4, index, table).map_err(failed)?;
                self.own_tables.remove(&index);
            }
        }
        Ok(())
    }
}

fn ours(rules: &[Rule]) -> Vec<PolicyRule> {
    rules.iter().filter_map(|rule| PolicyRule::read(rule, ROUTE_PROTOCOL)).collect()
}

impl SharedResource for PolicyRouting {
    type Want = Vec<PolicyRule>;
    const NAME: &'static str = "policy rules";
    const FIND: &'static str = "`ip monitor rule` shows when";

    fn want(world: &World) -> Vec<PolicyRule> {
        let subnets = world.guests.leases.subnets().chain(GuestSubnet::original());
        let subnets = subnets.map(|s| s.subnet).into_set();
        let mut ways = RuleInputs {
            shape: world.platform.routing,
            uplink: world.uplink.index,
            subnets: subnets.into_iter().collect(),
            ..RuleInputs::default()
        };
        for (host, one) in world.guests.egress_overrides() {
            match &one.vpn {
                VpnPolicy::NamedTun(tun) => {
                    ways.single.extend(world.tuns.get(tun).map(|tun| (host.clone(), tun.index)));
                }
                VpnPolicy::BlockUnderLockdown if world.lockdown.stops() => {
                    ways.stopped.push(host.clone())
                }
                VpnPolicy::NoUplink => ways.stopped.push(host.clone()),
                VpnPolicy::BlockUnderLockdown | VpnPolicy::FollowUplink => {}
            }
        }
        leads(&ways, &world.rules, ROUTE_PROTOCOL)
    }

    fn changes(&self, from: Option<&Vec<PolicyRule>>, to: &Vec<PolicyRule>) -> Vec<Change> {
        let from = from.map_or(&[][..], Vec::as_slice);
        let new = to.iter().filter(|lead| !from.contains(lead)).map(Change::add_rule);
        let old = from.iter().filter(|lead| !to.contains(lead)).map(Change::delete_rule);
        new.chain(old).collect()
    }

    fn drift(&mut self, want: &Vec<PolicyRule>, world: &World) -> Result<Option<String>, Error> {
        let mut there = ours(&world.rules);
        sort_short(&mut there, |one, other| one < other);
        if there == *want {
            return Ok(None);
        }
        let named = |of: &[PolicyRule], without: &[PolicyRule]| {
            let of = of.iter().filter(|lead| !without.contains(lead));
            of.map(|lead| format!("rule {lead}")).collect::<Vec<_>>().join(", ")
        };
        let (lost, foreign) = (named(want, &there), named(&there, want));
        let lost = (!lost.is_empty()).then(|| format!("{lost}, which another program removed"));
        let foreign = (!foreign.is_empty())
            .then(|| format!("the state without {foreign}, which another program added"));
        let what: Vec<_> = lost.into_iter().chain(foreign).collect();
        Ok((!what.is_empty()).then(|| what.join("; ")))
    }

    fn apply(&mut self, task: &Task<'_, Vec<PolicyRule>>) -> Result<Done, Error> {
        let overrides = task.world.guests.egress_overrides();
        let forgetter = self.forgetter.clone();
        // What is put back is said once, and less often the oftener it is taken away.
        let repair = task.from == Some(task.to);
        let level = if repair { Level::Debug } else { Level::Info };
        self.bring(task.to, level, &|lead| {
            // A guest that a rule stops sends nothing any more.
            if let (Selector::Guest(host), Action::Nowhere) = (&lead.selector, lead.to) {
                let guest = overrides.get(host).map(|one| Unfit::Of(one.address));
                guest.into_iter().for_each(|of| forgetter.forget(of));
            }
        })?;
        Ok(Done::Applied)
    }

    fn clear(&mut self, _: Ending) -> Result<(), Error> {
        self.bring(&[], Level::Info, &|_| {})
    }
}
