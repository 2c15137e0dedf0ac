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

//! The guests' ways out: by the uplink, or by one of their own. What follows from that for the rules
//! and the packet filter.

use crate::alloc::leases::subnet_of;
use crate::daemon::reconcile::backoff::Say;
use crate::daemon::Daemon;
use crate::error::Error;
use crate::firewall::{GuestSubnet, Ruleset};
use crate::kernel::{link, route, rule};
use crate::model::ownership::ROUTE_PROTOCOL;
use crate::model::policy_rules::{leads, own_table, Lead, Shape, To, Ways, Whose};
use crate::model::{GuestNet, Step};
use crate::platform::resolv_conf;
use crate::spec::{IfName, IfPattern, VpnPolicy};
use crate::store::ResolversRecord;
use crate::uplink::{Choice, Uplink};
use std::collections::BTreeSet;
use std::fmt;
use std::net::Ipv4Addr;
use std::time::Instant;

impl Daemon {
    /// The packet filter for the uplink, the guests, and one more.
    pub(in crate::daemon) fn ruleset_with(&self, one_more: Option<&GuestNet>) -> Ruleset {
        let subnets = self.leases.subnets().chain(one_more.map(subnet_of));
        let subnets = GuestSubnet::original().into_iter().chain(subnets).collect();
        let one_more = one_more.map(|net| (&net.host.name, &net.vpn));
        let exit = |(host, vpn): (&IfName, &VpnPolicy)| Some((host.clone(), vpn.tun()?.clone()));
        Ruleset {
            uplinks: self.ways_out(),
            subnets,
            resolver: self.uplink.resolvers.first().copied(),
            exits: self.own_ways.iter().chain(one_more).filter_map(exit).collect(),
        }
    }

    /// The interfaces that guests may leave by now. Where netd routes, our own rule leads to one of
    /// them and nothing else does, so all that may ever be the uplink can be named once: a change of the
    /// uplink is a change of that rule, and runs no program.
    pub(in crate::daemon) fn ways_out(&self) -> BTreeSet<IfPattern> {
        match (self.shape, &self.uplink.choice) {
            (Shape::Netd { .. }, Choice::Listed(list)) => list.iter().cloned().collect(),
            _ => self.uplink.name.iter().cloned().map(IfPattern::from).collect(),
        }
    }

    /// Whether some guest leaves by an interface of this name on its own.
    pub(in crate::daemon) fn leaves_by(&self, name: &str) -> bool {
        let by = |vpn: &VpnPolicy| matches!(vpn, VpnPolicy::NamedTun(tun) if tun.as_str() == name);
        self.own_ways.values().any(by)
    }

    /// The rules of ours that there are to be, for the guests and one more.
    fn leads_with(&self, one_more: Option<&GuestNet>) -> Result<Vec<Lead>, Error> {
        let failed = |cause| Error::kernel("read the interfaces of VPNs", cause);
        let subnets = self.leases.subnets().chain(one_more.map(subnet_of));
        let subnets: BTreeSet<_> =
            GuestSubnet::original().into_iter().chain(subnets).map(|s| s.subnet).collect();
        let subnets = subnets.into_iter().collect();
        let (shape, uplink) = (self.shape, self.uplink.index);
        let mut ways = Ways { shape, uplink, subnets, ..Ways::default() };
        let one_more = one_more.map(|net| (&net.host.name, &net.vpn));
        for (host, vpn) in self.own_ways.iter().chain(one_more) {
            match vpn {
                VpnPolicy::NamedTun(tun) => {
                    let link = link::by_name(&self.device, tun.as_str()).map_err(failed)?;
                    ways.single.extend(link.map(|link| (host.clone(), link.index)));
                }
                VpnPolicy::BlockUnderLockdown if self.lockdown => ways.stopped.push(host.clone()),
                VpnPolicy::BlockUnderLockdown | VpnPolicy::FollowUplink => {}
            }
        }
        Ok(leads(&ways, &self.rules, ROUTE_PROTOCOL))
    }

    /// The rules that one more guest needs and that are not there.
    pub(in crate::daemon) fn leads_for(&self, net: &GuestNet) -> Result<Vec<Step>, Error> {
        let own_way = net.vpn != VpnPolicy::FollowUplink;
        let led = |lead: &Lead| lead.whose == Whose::Subnet(net.subnet);
        if !own_way && (self.shape == Shape::Main || self.leads.iter().any(led)) {
            return Ok(Vec::new());
        }
        let missing = self.leads_with(Some(net))?;
        Ok(missing.into_iter().filter(|l| !self.leads.contains(l)).map(Step::AddRule).collect())
    }

    /// Brings our rules to what they are to be, by what was read last. Tells whether one was missing
    /// that we had made.
    pub(in crate::daemon) fn refresh_leads(&mut self) -> Result<bool, Error> {
        let wanted = self.leads_with(None)?;
        let ours = self.rules.iter().filter_map(|rule| Lead::read(rule, ROUTE_PROTOCOL));
        let there: Vec<Lead> = ours.collect();
        self.own_tables.extend(wanted.iter().chain(&there).filter_map(Lead::own));
        let (mut lost, mut failed) = (false, None);
        let now = Instant::now();
        let taken = |lead: &&Lead| self.leads.contains(lead) && !there.contains(lead);
        let may_repair =
            !wanted.iter().any(|lead| taken(&lead)) || self.fights.rules.may_repair(now);
        let mut say = None;
        // The new ones first: a packet always finds one.
        for lead in wanted.iter().filter(|lead| !there.contains(lead)) {
            if self.leads.contains(lead) {
                if !may_repair {
                    continue;
                }
                lost = true;
                match *say.get_or_insert_with(|| self.fights.rules.repaired(now)) {
                    Say::This => log::warn!("rule {lead}: put back, somebody has removed it"),
                    say => say.sum(&format!("rule {lead}"), "`ip monitor rule` shows when"),
                }
            } else {
                log::info!("rule {lead}");
            }
            match rule::add(&self.device, lead) {
                Ok(()) => self.cut_off(lead),
                Err(cause) => {
                    failed.get_or_insert(Error::kernel(format!("rule {lead}"), cause));
                }
            }
        }
        for lead in there.iter().filter(|lead| !wanted.contains(lead)) {
            log::info!("rule {lead} away");
            if let Err(cause) = rule::delete(&self.device, lead) {
                failed.get_or_insert(Error::kernel(format!("rule {lead} away"), cause));
            }
        }
        if let Err(e) = self.refresh_own_tables(&wanted) {
            failed.get_or_insert(e);
        }
        if there != wanted {
            self.reread_rules()?;
        }
        self.leads = wanted;
        failed.map_or(Ok(lost), Err)
    }

    /// A guest that a rule stops sends nothing any more; with its connections go the answers that it
    /// would still receive.
    fn cut_off(&self, lead: &Lead) {
        let Whose::Guest(host) = &lead.whose else { return };
        let mut guests = self.guests.values().filter(|_| lead.to == To::Nowhere);
        let Some(guest) = guests.find(|guest| guest.net.host.name == *host) else { return };
        let address = guest.net.guest.address;
        self.forget_connections(&format!("of {}", guest.name()), &|ends, _| ends.from == address);
    }

    /// The routes that our rules lead to, where they are ours, too: one for all guests of an interface. With
    /// that one they go.
    fn refresh_own_tables(&mut self, wanted: &[Lead]) -> Result<(), Error> {
        for index in self.own_tables.clone() {
            let failed = |cause| Error::kernel("the default route of a VPN's guests", cause);
            let table = own_table(index);
            if wanted.iter().any(|lead| lead.own() == Some(index)) {
                route::add_default(&self.device, index, table).map_err(failed)?;
            } else {
                route::delete_default(&self.device, index, table).map_err(failed)?;
                self.own_tables.remove(&index);
            }
        }
        Ok(())
    }

    /// Takes all rules of ours away.
    pub(in crate::daemon) fn remove_leads(&mut self) {
        for lead in std::mem::take(&mut self.leads) {
            if let Err(e) = rule::delete(&self.device, &lead) {
                log::error!("rule {lead} stays: {e}");
            }
        }
        if let Err(e) = self.refresh_own_tables(&[]) {
            log::error!("{e}");
        }
    }

    /// The resolvers behind an uplink: those that were named for it, else those for any, else the
    /// device's own.
    pub(in crate::daemon) fn resolvers_behind(&self, uplink: Option<&IfName>) -> Vec<Ipv4Addr> {
        let named = uplink.and_then(|name| self.resolvers.behind.get(name));
        let mut found = match (named, &self.config.resolv_conf) {
            (Some(named), _) => named.clone(),
            _ if !self.config.resolvers.is_empty() => self.config.resolvers.clone(),
            (None, Some(path)) => resolv_conf::servers(path),
            (None, None) => Vec::new(),
        };
        // What is for the device itself does not pass through it. Where that is not known, it is tried.
        let local = |server: &Ipv4Addr| {
            let way = route::towards(&self.device, *server);
            matches!(way, Ok(Some(way)) if way.local)
        };
        found.retain(|server| !local(server));
        found
    }

    /// Takes a caller's word for the resolvers behind an uplink; none: what is found counts again.
    pub(in crate::daemon) fn set_resolvers(
        &mut self,
        uplink: IfName,
        servers: Vec<Ipv4Addr>,
    ) -> Result<(), Error> {
        let (mut record, concerned) = (self.resolvers.clone(), uplink.clone());
        record.name(uplink, servers, self.uplink.name.as_ref());
        self.remember_resolvers(record)?;
        // It is remembered: should it not be in place now, status says so, and it is tried again.
        if self.uplink.name.as_ref() == Some(&concerned) {
            self.due.uplink = true;
            self.due.announced(Instant::now());
            self.settle();
        }
        Ok(())
    }

    fn remember_resolvers(&mut self, record: ResolversRecord) -> Result<(), Error> {
        if record != self.resolvers {
            self.store.put_resolvers(&record)?;
            self.resolvers = record;
        }
        Ok(())
    }
}

impl fmt::Display for Uplink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.as_ref().map_or("none", |n| n.as_str());
        let address = self.address.map_or("without address".to_owned(), |a| a.to_string());
        write!(f, "{name} {address}, MTU {}", self.mtu)
    }
}
