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

//! Takes over what an earlier guestnetd left. A guest is known by what is stored of it and by its link's
//! marks; where one of both is lost, the other is enough. Half-made links go.

use super::recover::Recovered;
use super::{Attached, Daemon};
use crate::effects::kernel::link::Link;
use crate::effects::kernel::{route, tc};
use crate::error::Error;
use crate::model::dhcp::Counts;
use crate::model::guest_net::NetnsRef;
use crate::model::if_index::IfIndex;
use crate::model::ownership::{self, guest_of_alias, Mac, LINK_GROUP, ROUTE_PROTOCOL};
use crate::model::sources::Source;
use crate::ordered::{IntoOrdered, OrderedMap};
use crate::spec::{Family, GuestName, IfName};
use crate::store::{AttachedRecord, Record};
use std::net::IpAddr;

/// The links that may be guests', by their indexes; those that are found a guest of are taken out.
type Links = OrderedMap<IfIndex, Link>;

impl Daemon {
    /// Takes over the guests whose link is there, deletes half-made links of ours, and forgets the
    /// guests whose link is gone.
    pub(super) fn adopt(
        &mut self,
        records: Vec<(GuestName, Record)>,
        links: &[Link],
    ) -> Result<(), Error> {
        // Of two names with one slot (a crash between two files) the attached one has it.
        for attached in [false, true] {
            let such = records.iter().filter(|(_, record)| record.attached.is_some() == attached);
            such.for_each(|(name, record)| self.remember_slot(name, record.slot));
        }
        let may_be_ours = links.iter().filter(|link| matches!(link.kind.as_str(), "veth" | "tun"));
        let mut links: Links = may_be_ours.map(|link| (link.index, link.clone())).into_map();
        let known = records.into_iter().filter_map(|(n, r)| Some((n, r.slot, r.attached?)));
        // By the index first, which no other link has.
        let (mut sure, mut others) = (Vec::new(), Vec::new());
        for (name, slot, attached) in known {
            match by_index(&mut links, &name, slot, &attached) {
                Some(link) => sure.push((link, name, slot, attached)),
                None => others.push((name, slot, attached)),
            }
        }
        for (name, slot, attached) in others {
            match by_marks(&mut links, &name, slot, &attached) {
                Some(link) => sure.push((link, name, slot, attached)),
                None => self.ended_meanwhile(&name, slot, &attached),
            }
        }
        for (link, name, slot, attached) in sure {
            self.adopt_one(&link, &name, slot, attached);
        }
        let mut half_made = Vec::new();
        // Those whose names say their slots first: others get what is left.
        let (named, others): (Vec<_>, Vec<_>) =
            links.into_values().partition(|link| link_slot(link).is_some());
        for link in named.into_iter().chain(others) {
            if is_half_made(&link) {
                log::warn!("{} is a half-made link of an earlier guestnetd: deleted", link.name);
                half_made.push(link);
            } else {
                self.adopt_unknown(&link);
            }
        }
        self.adopt_pins();
        self.bring_servers();
        for link in half_made {
            // The thread that follows hears of it, too, and tries it again.
            if let Err(e) = self.kernel.deleter.delete_now(&self.kernel.netlink, link.index) {
                log::error!("delete link {} failed: {e}", link.name);
            }
        }
        Ok(())
    }

    /// A filter that an earlier guestnetd gave a guest's link would hold another address back.
    fn adopt_pins(&mut self) {
        if self.world.guests.is_empty() {
            return;
        }
        let queues = tc::queues(&self.kernel.netlink).unwrap_or_default();
        let filtered = |index| queues.iter().any(|q| q.index == index && q.kind == "clsact");
        let loose = self.is_loose();
        self.world
            .guests
            .pin(|guest| loose || guest.net.segment.is_none() && filtered(guest.index));
    }

    fn ended_meanwhile(&self, name: &GuestName, slot: u32, had: &AttachedRecord) {
        log::info!("{name} ended while guestnetd was not running");
        self.record(name, Record { slot, attached: None });
        // Else the next one with its address has its connections.
        let other = had.update.as_ref().map(|update| update.address);
        self.shared.connections.guests_gone([had.address].into_iter().chain(other).collect());
    }

    fn adopt_one(&mut self, link: &Link, name: &GuestName, slot: u32, attached: AttachedRecord) {
        let net = attached.net(slot).routed(self.world.platform.routing);
        if let Some(before) = attached.interrupted(slot) {
            log::warn!("{name}: an update was interrupted; what it had before is put back");
            self.upkeep.worker.restore(link.index, before.routed(self.world.platform.routing));
        }
        log::info!("{name}: taken over with {} {}", net.host.name, net.guest.address);
        let is_stored = attached.index == Some(link.index);
        let AttachedRecord { spec, owner_uid, attached_at, netns, lifelines, told, .. } = attached;
        let told = told.filter(|_| spec.dhcp);
        if let Some(told) = told {
            self.serving.servers.counters().dhcp.adopt(link.index, told);
        }
        let guest = Attached {
            spec,
            net,
            index: link.index,
            netns: NetnsRef { id: netns.id.or(link.elsewhere), ..netns },
            lifelines,
            owner_uid,
            attached_at,
            timeline: Vec::new(),
            waiting: false,
            dhcp: Counts::default(),
            told,
            names: Default::default(),
            shadowed_by: None,
        };
        if !is_stored && !self.upkeep.worker.is_restoring(link.index) {
            self.remember(&guest);
        }
        self.world.guests.join(&guest.net);
        self.know(guest);
    }

    /// A link that nothing is stored of: its marks and its addresses say enough.
    fn adopt_unknown(&mut self, link: &Link) {
        let Some(named) = link.alias.as_deref().and_then(guest_of_alias) else {
            if link.is_ours() || is_renamed(link) {
                self.leave_alone(link, "its alias names no guest");
            }
            return;
        };
        let name = named.name.clone();
        if marks(link, &name, link_slot(link)) < 2 {
            return; // somebody else's, whatever its alias says
        }
        match self.recover(link, named) {
            Ok(Recovered { slot, attached }) => {
                log::warn!(
                    "{name}: nothing is stored of it; it is known by its link {}",
                    link.name
                );
                self.remember_slot(&name, slot);
                self.adopt_one(link, &name, slot, attached);
            }
            Err(why) => self.leave_alone(link, &why),
        }
    }

    fn remember(&self, guest: &Attached) {
        let attached = Some(AttachedRecord::of(guest));
        self.record(guest.name(), Record { slot: guest.net.slot, attached });
    }

    /// A link of ours by its marks of which nothing else is known: its slot is given to nobody, and it
    /// can be detached by its own name.
    fn leave_alone(&mut self, link: &Link, why: &str) {
        let host = &link.name;
        log::error!("{host} cannot be taken over ({why}): `guestnetctl detach {host}` removes it");
        if let Some(name) = GuestName::new(host) {
            let (slot, sources) = (link_slot(link), self.sources(link));
            self.world.guests.leave_unadopted(link.index, name, slot, sources);
        }
    }

    /// What is behind a link: our routes say so.
    fn sources(&self, link: &Link) -> Vec<Source> {
        let Some(name) = IfName::new(&link.name) else { return Vec::new() };
        let routes = route::of(&self.kernel.netlink, Family::V4, None, Some(link.index));
        let ours = routes.unwrap_or_default().into_iter().filter(|r| r.protocol == ROUTE_PROTOCOL);
        let hosts = ours.filter(|route| route.destination.prefix() == 32);
        hosts
            .filter_map(|route| match route.destination.address() {
                IpAddr::V4(address) => Some((name.clone(), address)),
                IpAddr::V6(_) => None,
            })
            .collect()
    }
}

fn link_slot(link: &Link) -> Option<u32> {
    IfName::new(&link.name).and_then(|name| name.slot())
}

/// Whether it was a guest's, and others have given it another name and another alias: it has the group, and a MAC
/// as guests' host ends have. Without any alias it was never whole.
fn is_renamed(link: &Link) -> bool {
    let marked = link.group == LINK_GROUP && Mac::is_host(&link.mac);
    marked && link.alias.is_some() && link_slot(link).is_none()
}

/// How many of a guest's marks a link has: name, MAC, group, alias.
fn marks(link: &Link, name: &GuestName, slot: Option<u32>) -> usize {
    let alias = link.alias.as_deref().and_then(guest_of_alias);
    let marks = [
        slot.is_some() && link_slot(link) == slot,
        link.mac == Mac::host(name).0,
        link.group == LINK_GROUP,
        alias.is_some_and(|named| named.name == *name),
    ];
    marks.iter().filter(|has| **has).count()
}

/// Whether a link may be this guest's: not where it says that it is another's, nor on its way out.
fn may_be(link: &Link, name: &GuestName) -> bool {
    let says = link.alias.as_deref().and_then(guest_of_alias).map(|named| named.name);
    (says.is_none() || says.as_ref() == Some(name)) && !ownership::is_leaving(link.group)
}

/// The link with the index that is stored, where it leads to the namespace that is stored, or has one
/// mark at the least: others may have changed the rest.
fn by_index(
    links: &mut Links,
    name: &GuestName,
    slot: u32,
    attached: &AttachedRecord,
) -> Option<Link> {
    let link = links.get(&attached.index?)?;
    if link.kind != attached.spec.kind.link_kind() {
        return None;
    }
    let same = attached.netns.id.is_some() && attached.netns.id == link.elsewhere;
    let it = may_be(link, name) && (same || marks(link, name, Some(slot)) > 0);
    if it {
        links.remove(&attached.index?)
    } else {
        None
    }
}

/// A link with any two of the marks. One without an alias was not whole when it was stored last.
fn by_marks(
    links: &mut Links,
    name: &GuestName,
    slot: u32,
    attached: &AttachedRecord,
) -> Option<Link> {
    let kind = attached.spec.kind.link_kind();
    let whole = |link: &&Link| link.alias.as_ref().is_some_and(|alias| !alias.is_empty());
    let has = |link: &&Link| marks(link, name, Some(slot)) >= 2 && may_be(link, name);
    let index = links.values().filter(|link| link.kind == kind).filter(whole).find(has)?.index;
    links.remove(&index)
}

/// Born with all marks, and not whole: that has an alias. Regrouped, it was about to be deleted.
pub(in crate::daemon) fn is_half_made(link: &Link) -> bool {
    let whole = link.alias.as_ref().is_some_and(|alias| !alias.is_empty());
    link.is_ours() && (!whole || ownership::is_leaving(link.group))
}
