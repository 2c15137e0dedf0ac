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

//! The guests there are, and what they hold. Pure. No question here costs more with more guests.

use crate::model::alloc::leases::Leases;
use crate::model::dhcp::{Counts, Told};
use crate::model::dns;
use crate::model::guest_net::NetnsRef;
use crate::model::if_index::IfIndex;
use crate::model::lifeline::Lifelines;
use crate::model::policy_rules::RoutingMode;
use crate::model::sources::{Source, Sources};
use crate::model::timeline::Entry;
use crate::model::GuestNet;
use crate::ordered::{OrderedMap, OrderedSet};
use crate::spec::{Dns, GuestName, GuestSpec, IfName, IpPrefix, Mtu, SegmentName, VpnPolicy};
use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

/// An attached guest.
#[derive(Clone, Debug)]
pub struct Attached {
    /// What was asked for.
    pub spec: GuestSpec,
    /// What it has.
    pub net: GuestNet,
    /// Index of the host end.
    pub index: IfIndex,
    /// Its network namespace.
    pub netns: NetnsRef,
    /// What it lives by.
    pub lifelines: Lifelines,
    /// Who attached it.
    pub owner_uid: u32,
    /// When: milliseconds since the epoch.
    pub attached_at: i64,
    /// What the attach spent its time on.
    pub timeline: Vec<Entry>,
    /// Whether its traffic waits for the uplink.
    pub waiting: bool,
    /// How often its DHCP clients were answered.
    pub dhcp: Counts,
    /// What its lease by DHCP says; none: it has none, or was told to ask again.
    pub told: Option<Told>,
    /// What became of its questions for names.
    pub names: dns::Counts,
    /// After its attach: the guest's own interface that takes its way to the gateway.
    pub shadowed_by: Option<String>,
}

impl Attached {
    /// One that has come, with its link and where the other end of that is, of this user, at this time in
    /// milliseconds since 1970.
    pub fn new(
        spec: GuestSpec,
        net: GuestNet,
        (index, netns): (IfIndex, NetnsRef),
        (owner_uid, attached_at): (u32, i64),
    ) -> Self {
        Self {
            spec,
            net,
            index,
            netns,
            lifelines: Lifelines::default(),
            owner_uid,
            attached_at,
            timeline: Vec::new(),
            waiting: false,
            dhcp: Counts::default(),
            told: None,
            names: dns::Counts::default(),
            shadowed_by: None,
        }
    }

    /// Who.
    pub fn name(&self) -> &GuestName {
        &self.spec.name
    }
}

/// A segment that guests are on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Its name.
    pub name: SegmentName,
    /// Their numbers there.
    pub members: OrderedSet<u16>,
}

/// A guest that does not simply follow the uplink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EgressOverride {
    /// What becomes of its traffic under a VPN.
    pub vpn: VpnPolicy,
    /// Its address.
    pub address: Ipv4Addr,
}

/// What is being done at a guest's ends, with the daemon not entered meanwhile.
#[derive(Debug)]
enum Work {
    /// They are brought to what they should be.
    Align,
    /// An update. The network that the guest comes to; once it has that, the one that it had.
    Update(Box<GuestNet>),
}

/// The same, and what waits for its end.
#[derive(Debug)]
struct InWork {
    work: Work,
    /// The device's end may have been changed by others meanwhile.
    repair: bool,
}

/// All guests: attached, about to be, and leaving.
#[derive(Debug, Default)]
pub struct GuestTable {
    attached: BTreeMap<GuestName, Attached>,
    /// Those whose link is being deleted.
    leaving: BTreeMap<GuestName, Attached>,
    /// Whose link has this index; also while it is leaving.
    by_index: HashMap<IfIndex, GuestName>,
    /// At whose ends something is being done, by their host ends' indexes.
    work: HashMap<IfIndex, InWork>,
    /// What guests have, also while they are leaving.
    pub leases: Leases,
    /// By their host ends; also of one that is about to be attached.
    egress_overrides: OrderedMap<IfName, EgressOverride>,
    /// Where questions go of guests that have a word in it, by their host ends.
    dns_choices: OrderedMap<IfName, (Dns, VpnPolicy)>,
    /// Which name had an address last: its connections may still be tracked.
    last_holder: OrderedMap<Ipv4Addr, GuestName>,
    /// Links that bear our marks and belong to no guest that is known, by their index: the names that
    /// they can be detached by, and their slots.
    unadopted_links: OrderedMap<IfIndex, (GuestName, Option<u32>)>,
    /// Host ends, each with the address of its guest; of an update both.
    sources: Sources,
    /// Those of links that belong to no guest that is known, by their index.
    unadopted_sources: OrderedMap<IfIndex, Vec<Source>>,
    /// The networks of attached guests whose DHCP clients are answered, by their links' indexes.
    dhcp: Arc<OrderedMap<IfIndex, Arc<GuestNet>>>,
    /// The links of guests that have come, changed or gone since somebody asked.
    changed: OrderedSet<IfIndex>,
    /// The segments that guests are on who are about to be attached, or are and do not leave; by their devices.
    segments: Arc<OrderedMap<IfName, Segment>>,
    /// Host ends of guests that have a way out, or are about to.
    forwarded: OrderedSet<IfName>,
}

impl GuestTable {
    /// The attached guests, by name.
    pub fn attached(&self) -> impl Iterator<Item = &Attached> {
        self.attached.values()
    }

    /// Some attached guest that follows the uplink.
    pub fn follower(&self) -> Option<&Attached> {
        self.attached.values().find(|guest| guest.net.vpn == VpnPolicy::FollowUplink)
    }

    /// How many are attached.
    pub fn len(&self) -> usize {
        self.attached.len()
    }

    /// Whether none is attached.
    pub fn is_empty(&self) -> bool {
        self.attached.is_empty()
    }

    /// Whether there is neither a guest nor a link of one, whatever its state.
    pub fn is_deserted(&self) -> bool {
        self.attached.is_empty() && self.leaving.is_empty() && self.unadopted_links.is_empty()
    }

    /// Whether anybody's packets are to go on: of a guest with a way out, attached, joining or leaving.
    pub fn need_forwarding(&self) -> bool {
        !self.forwarded.is_empty()
    }

    /// An attached guest.
    pub fn get(&self, name: &GuestName) -> Option<&Attached> {
        self.attached.get(name)
    }

    /// A guest's ends have this MTU in bytes now.
    pub fn set_mtu(&mut self, index: IfIndex, mtu: Mtu) {
        let guest = self.by_index.get(&index).and_then(|name| self.attached.get_mut(name));
        guest.into_iter().for_each(|guest| guest.net.mtu = mtu);
        self.has_changed(index);
    }

    /// Whose DHCP clients are answered, by their links' indexes.
    pub fn dhcp(&self) -> Arc<OrderedMap<IfIndex, Arc<GuestNet>>> {
        Arc::clone(&self.dhcp)
    }

    /// The links of guests that have come, changed or gone since this was asked last.
    pub fn take_changed(&mut self) -> OrderedSet<IfIndex> {
        std::mem::take(&mut self.changed)
    }

    /// A guest has come, changed or gone.
    fn has_changed(&mut self, index: IfIndex) {
        self.changed.insert(index);
        let answered = self.by_index(index).filter(|guest| guest.spec.dhcp);
        match answered.map(|guest| Arc::new(guest.net.clone())) {
            Some(net) => drop(Arc::make_mut(&mut self.dhcp).insert(index, net)),
            None if self.dhcp.contains_key(&index) => {
                Arc::make_mut(&mut self.dhcp).remove(&index);
            }
            None => {}
        }
    }

    /// A guest has another lease.
    pub fn set_lease(&mut self, index: IfIndex, lease: Option<Duration>, until: Option<Duration>) {
        let guest = self.by_index.get(&index).and_then(|name| self.attached.get_mut(name));
        if let Some(guest) = guest {
            guest.spec.lease = lease;
            guest.lifelines.lease_until = until;
        }
    }

    /// What a guest was told by DHCP; whether that is another than before.
    pub fn set_told(&mut self, index: IfIndex, told: Option<Told>) -> bool {
        let guest = self.by_index.get(&index).and_then(|name| self.attached.get_mut(name));
        guest.is_some_and(|guest| std::mem::replace(&mut guest.told, told) != told)
    }

    /// Whether something is being done at a guest's ends.
    pub fn is_in_work(&self, index: IfIndex) -> bool {
        self.work.contains_key(&index)
    }

    /// Whether that is an update.
    pub fn is_updating(&self, index: IfIndex) -> bool {
        self.work.get(&index).is_some_and(|one| matches!(one.work, Work::Update(_)))
    }

    /// They are about to be brought to what they should be.
    pub fn begin_align(&mut self, index: IfIndex) {
        self.work.insert(index, InWork { work: Work::Align, repair: false });
    }

    /// A guest is about to get another network, in the same slot and subnet: what guests share has to
    /// suit that one already. It has both addresses until the end.
    pub fn begin_update(&mut self, index: IfIndex, to: GuestNet) {
        self.leases.take_address(&to);
        self.sources.insert(source(&to));
        self.set_override(&to);
        self.work.insert(index, InWork { work: Work::Update(Box::new(to)), repair: false });
    }

    /// That network, while it is about to get it.
    pub fn updated(&self, index: IfIndex) -> Option<&GuestNet> {
        match &self.work.get(&index)?.work {
            Work::Update(to) => Some(to),
            Work::Align => None,
        }
    }

    /// It has that network now.
    pub fn commit_update(&mut self, index: IfIndex, spec: GuestSpec) {
        let Some(InWork { work: Work::Update(to), .. }) = self.work.get_mut(&index) else { return };
        let Some(guest) = self.by_index.get(&index).and_then(|name| self.attached.get_mut(name))
        else {
            return;
        };
        let held = (to.guest.address, guest.spec.name.clone());
        hold(&mut self.last_holder, held);
        guest.spec = spec;
        std::mem::swap(&mut guest.net, to);
        self.has_changed(index);
    }

    /// Whether a repair has to wait: half of a change must not be taken for damage. It is remembered
    /// that one waits.
    pub fn postpones_repair(&mut self, index: IfIndex) -> bool {
        let work = self.work.get_mut(&index);
        work.is_some_and(|one| {
            one.repair = true;
            true
        })
    }

    /// It is done, or given up: a guest that was updated has one network again. Tells whether a repair
    /// waits.
    pub fn end_work(&mut self, index: IfIndex) -> bool {
        let Some(InWork { work, repair }) = self.work.remove(&index) else { return false };
        if let (Work::Update(other), Some(net)) = (work, self.net_of(index)) {
            if other.guest.address != net.guest.address {
                self.leases.release_address(&other);
                self.sources.remove(&source(&other));
            }
            self.set_override(&net);
            if !net.vpn.leaves() {
                self.forwarded.remove(&net.host.name);
            }
        }
        repair
    }

    fn net_of(&self, index: IfIndex) -> Option<GuestNet> {
        let name = self.by_index.get(&index)?;
        let guest = self.attached.get(name).or_else(|| self.leaving.get(name))?;
        Some(guest.net.clone())
    }

    fn set_override(&mut self, net: &GuestNet) {
        let host = net.host.name.clone();
        // One that loses its way out has it until the end of that.
        if net.vpn.leaves() {
            self.forwarded.insert(host.clone());
        }
        if net.dns.is_auto() && net.vpn.tun().is_none() {
            self.dns_choices.remove(&host);
        } else {
            self.dns_choices.insert(host.clone(), (net.dns.clone(), net.vpn.clone()));
        }
        if net.vpn == VpnPolicy::FollowUplink {
            self.egress_overrides.remove(&host);
        } else {
            let its = EgressOverride { vpn: net.vpn.clone(), address: net.guest.address };
            self.egress_overrides.insert(host, its);
        }
    }

    /// Whether a guest of that name is leaving.
    pub fn is_leaving(&self, name: &GuestName) -> bool {
        self.leaving.contains_key(name)
    }

    /// A guest whose link is being deleted.
    pub fn leaving(&self, name: &GuestName) -> Option<&Attached> {
        self.leaving.get(name)
    }

    /// All those.
    pub fn all_leaving(&self) -> impl Iterator<Item = &Attached> {
        self.leaving.values()
    }

    /// The attached guest whose host end has this index.
    pub fn by_index(&self, index: IfIndex) -> Option<&Attached> {
        self.attached.get(self.by_index.get(&index)?)
    }

    /// Whether a link is of a guest, attached or leaving.
    pub fn has_link(&self, index: IfIndex) -> bool {
        self.by_index.contains_key(&index)
    }

    /// The link of the guest that has this one address.
    pub fn at(&self, subnet: &IpPrefix) -> Option<IfIndex> {
        let one = subnet.v4().filter(|subnet| subnet.prefix() == 32)?;
        Some(self.get(self.leases.holder(one.network())?)?.index)
    }

    /// The links of guests, attached or leaving.
    pub fn links(&self) -> impl Iterator<Item = IfIndex> + '_ {
        self.by_index.keys().copied()
    }

    /// What guests share has to suit this one from now on: it is about to be attached.
    pub fn join(&mut self, net: &GuestNet) {
        self.leases.take(net);
        self.sources.insert(source(net));
        self.set_override(net);
        self.join_segment(net);
    }

    fn join_segment(&mut self, net: &GuestNet) {
        let (Some(name), Some(member)) = (&net.segment, net.member()) else { return };
        let segments = Arc::make_mut(&mut self.segments);
        let empty = || Segment { name: name.clone(), members: OrderedSet::new() };
        segments.entry(member.hub).or_insert_with(empty).members.insert(member.number);
    }

    fn leave_segment(&mut self, net: &GuestNet) {
        let Some(member) = net.member() else { return };
        let segments = Arc::make_mut(&mut self.segments);
        let Some(segment) = segments.get_mut(&member.hub) else { return };
        segment.members.remove(&member.number);
        if segment.members.is_empty() {
            segments.remove(&member.hub);
        }
    }

    /// The segments that there have to be, by their devices.
    pub fn segments(&self) -> Arc<OrderedMap<IfName, Segment>> {
        Arc::clone(&self.segments)
    }

    /// What a guest that is to be attached cannot be told from on its segment, in words; none: nothing. Its MAC
    /// is what frames there are told apart by, and a segment's device has but one segment.
    pub fn mistaken_for(&self, net: &GuestNet) -> Option<String> {
        let (segment, member) = (net.segment.as_ref()?, net.member()?);
        let there = self.segments.get(&member.hub).map(|there| &there.name);
        if let Some(other) = there.filter(|other| *other != segment) {
            return Some(format!("segment {segment} and segment {other} have one device"));
        }
        let mut all = self.attached.values().chain(self.leaving.values()).map(|guest| &guest.net);
        let other =
            all.find(|o| o.segment.as_ref() == Some(segment) && o.guest.mac == member.mac)?;
        Some(format!(
            "guest {} and guest {} of segment {segment} have one MAC",
            net.name, other.name
        ))
    }

    /// It is not attached after all.
    pub fn unjoin(&mut self, net: &GuestNet) {
        self.release(net);
    }

    /// One that has joined is there.
    pub fn attach(&mut self, guest: Attached) {
        self.by_index.insert(guest.index, guest.name().clone());
        hold(&mut self.last_holder, (guest.net.guest.address, guest.name().clone()));
        let index = guest.index;
        self.attached.insert(guest.name().clone(), guest);
        self.has_changed(index);
    }

    /// The link of an attached guest is about to be deleted: nothing comes in by it any more.
    pub fn leave(&mut self, name: &GuestName) -> Option<&Attached> {
        let guest = self.attached.remove(name)?;
        self.has_changed(guest.index);
        self.sources.remove(&source(&guest.net));
        self.leave_segment(&guest.net);
        Some(self.leaving.entry(name.clone()).or_insert(guest))
    }

    /// It could not be deleted: the guest is there.
    pub fn stay(&mut self, index: IfIndex) -> Option<&Attached> {
        let name = self.by_index.get(&index)?.clone();
        let guest = self.leaving.remove(&name)?;
        self.sources.insert(source(&guest.net));
        self.join_segment(&guest.net);
        self.attached.entry(name.clone()).or_insert(guest);
        self.has_changed(index);
        self.attached.get(&name)
    }

    /// A link is gone, and its guest with it, if it was one's; and whether that was leaving.
    pub fn remove(&mut self, index: IfIndex) -> Option<(Attached, bool)> {
        if let Some((_, Some(slot))) = self.unadopted_links.remove(&index) {
            self.leases.slots.release(slot);
        }
        for source in self.unadopted_sources.remove(&index).unwrap_or_default() {
            self.sources.remove(&source);
        }
        self.end_work(index);
        let name = self.by_index.remove(&index)?;
        self.has_changed(index);
        let (guest, was_leaving) = match self.leaving.remove(&name) {
            Some(guest) => (guest, true),
            None => (self.attached.remove(&name)?, false),
        };
        self.release(&guest.net);
        Some((guest, was_leaving))
    }

    fn release(&mut self, net: &GuestNet) {
        self.leases.release(net);
        self.sources.remove(&source(net));
        self.egress_overrides.remove(&net.host.name);
        self.forwarded.remove(&net.host.name);
        self.dns_choices.remove(&net.host.name);
        self.leave_segment(net);
    }

    /// A link that bears our marks belongs to no guest that is known: its slot is given to nobody. Of one that
    /// others have given another name none is known.
    /// What is behind it keeps its network.
    pub fn leave_unadopted(
        &mut self,
        index: IfIndex,
        name: GuestName,
        slot: Option<u32>,
        sources: Vec<Source>,
    ) {
        sources.iter().cloned().for_each(|source| self.sources.insert(source));
        self.unadopted_sources.insert(index, sources);
        self.unadopted_links.insert(index, (name, slot));
        if let Some(slot) = slot {
            self.leases.slots.take(slot);
        }
    }

    /// That one's name.
    pub fn unadopted_name(&self, index: IfIndex) -> Option<&GuestName> {
        self.unadopted_links.get(&index).map(|(name, _)| name)
    }

    /// The one of this name.
    pub fn unadopted_index(&self, name: &GuestName) -> Option<IfIndex> {
        let mut all = self.unadopted_links.iter();
        all.find(|(_, (other, _))| other == name).map(|(index, _)| *index)
    }

    /// All of them: their indexes, names and slots.
    pub fn unadopted(&self) -> impl Iterator<Item = (IfIndex, &GuestName, Option<u32>)> + '_ {
        self.unadopted_links.iter().map(|(index, (name, slot))| (*index, name, *slot))
    }

    /// The links of those.
    pub fn unadopted_links(&self) -> impl Iterator<Item = IfIndex> + '_ {
        self.unadopted_links.keys().copied()
    }

    /// Which address is behind which host end.
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// Guests that do not simply follow the uplink, by their host ends.
    pub fn egress_overrides(&self) -> &OrderedMap<IfName, EgressOverride> {
        &self.egress_overrides
    }

    /// Guests whose questions for names may not go where all others' do, by their host ends.
    pub fn dns_choices(&self) -> &OrderedMap<IfName, (Dns, VpnPolicy)> {
        &self.dns_choices
    }

    /// The tuns that guests leave by.
    pub fn tuns(&self) -> impl Iterator<Item = &IfName> {
        self.egress_overrides.values().filter_map(|one| one.vpn.tun())
    }

    /// Whether some guest leaves by an interface of this name on its own.
    pub fn leaves_by(&self, name: &str) -> bool {
        self.tuns().any(|tun| tun.as_str() == name)
    }

    /// Nothing of who had this address is tracked any more.
    pub fn has_forgotten(&mut self, address: Ipv4Addr) {
        self.last_holder.remove(&address);
    }

    /// Whether another name had this address last: its connections may still be tracked.
    pub fn was_held_by_another(&self, net: &GuestNet) -> bool {
        self.last_holder.get(&net.guest.address).is_some_and(|name| *name != net.name)
    }

    /// The links of `such` guests have a filter of their own from now on; gives those that had none.
    pub fn pin(&mut self, such: impl Fn(&Attached) -> bool) -> Vec<IfIndex> {
        let mut new = Vec::new();
        let lacks = |guest: &&mut Attached| !guest.net.host.pinned && such(guest);
        for guest in self.attached.values_mut().filter(lacks) {
            guest.net = guest.net.clone().pinned(true);
            new.push(guest.index);
        }
        for index in &new {
            self.has_changed(*index);
            self.turn_update(*index, |to| to.pinned(true));
        }
        new
    }

    /// The device routes in another way now.
    pub fn route(&mut self, mode: RoutingMode) {
        for guest in self.attached.values_mut() {
            guest.net = guest.net.clone().routed(mode);
        }
        let all: Vec<_> = self.attached.values().map(|guest| guest.index).collect();
        for index in all {
            self.has_changed(index);
            self.turn_update(index, |to| to.routed(mode));
        }
    }

    /// What is to come of an update that is under way has to suit a device that changes meanwhile, too.
    fn turn_update(&mut self, index: IfIndex, change: impl FnOnce(GuestNet) -> GuestNet) {
        if let Some(InWork { work: Work::Update(to), .. }) = self.work.get_mut(&index) {
            **to = change((**to).clone());
        }
    }
}

/// Of so many addresses it is kept who had them last. Connections are forgotten as their guest goes, in any case: this is
/// for where that has failed.
const MOST_HELD: usize = 4096;

fn hold(last: &mut OrderedMap<Ipv4Addr, GuestName>, (address, name): (Ipv4Addr, GuestName)) {
    if last.len() >= MOST_HELD {
        let first = last.keys().next().copied();
        first.into_iter().for_each(|first| drop(last.remove(&first)));
    }
    last.insert(address, name);
}

fn source(net: &GuestNet) -> Source {
    (net.host.name.clone(), net.guest.address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(name: &str, slot: u32, address: [u8; 4], vpn: VpnPolicy) -> (GuestSpec, GuestNet) {
        let (name, wlan0) = (GuestName::new(name).unwrap(), IfName::new("wlan0").unwrap());
        let spec = GuestSpec::new(name, wlan0, None, [172, 17, 3, 2].into(), 16, -1).unwrap();
        let spec = GuestSpec { vpn, ..spec };
        let net = GuestNet::new(&spec, slot, address.into(), Mtu::ETHERNET);
        (spec, net)
    }

    const OLD: [u8; 4] = [172, 17, 3, 3];
    const NEW: [u8; 4] = [172, 17, 9, 9];

    /// Its host end's index.
    const DEMO: IfIndex = IfIndex::of(7);

    /// A guest with that index.
    fn attach(table: &mut GuestTable) -> GuestName {
        let (spec, has) = net("demo", 0, OLD, VpnPolicy::FollowUplink);
        let name = spec.name.clone();
        table.join(&has);
        table.attach(Attached::new(spec, has, (DEMO, NetnsRef::default()), (0, 0)));
        name
    }

    /// The same at the beginning of an update to another address and policy.
    fn updating() -> (GuestTable, GuestSpec) {
        let mut table = GuestTable::default();
        attach(&mut table);
        let (spec, to) = net("demo", 0, NEW, VpnPolicy::BlockUnderLockdown);
        table.begin_update(DEMO, to);
        (table, spec)
    }

    fn held(table: &GuestTable) -> [bool; 2] {
        [OLD, NEW].map(|address| table.leases.holder(address.into()).is_some())
    }

    #[test]
    fn an_update_holds_both_addresses_until_its_end() {
        let (mut table, spec) = updating();
        assert!(table.is_updating(DEMO) && table.is_in_work(DEMO));
        assert_eq!((held(&table), table.egress_overrides().len()), ([true, true], 1));
        table.commit_update(DEMO, spec.clone());
        let guest = table.get(&spec.name).unwrap();
        assert_eq!((guest.net.guest.address, &guest.spec), (NEW.into(), &spec));
        assert_eq!(held(&table), [true, true]);
        assert!(!table.end_work(DEMO));
        assert_eq!((held(&table), table.egress_overrides().len()), ([false, true], 1));
        assert!(
            !table.is_in_work(DEMO) && !table.was_held_by_another(&table.attached[&spec.name].net)
        );
    }

    #[test]
    fn nothing_comes_in_from_one_that_leaves_unless_it_stays() {
        let mut table = GuestTable::default();
        let name = attach(&mut table);
        let there = |table: &GuestTable| {
            (table.sources().iter().count(), table.leases.holder(OLD.into()).is_some())
        };
        assert_eq!(there(&table), (1, true));
        table.leave(&name);
        assert_eq!(there(&table), (0, true), "its address is given to nobody yet");
        table.stay(DEMO);
        assert_eq!(there(&table), (1, true));
        table.leave(&name);
        assert!(table.remove(DEMO).is_some());
        assert_eq!(there(&table), (0, false));
    }

    #[test]
    fn a_guest_that_comes_changes_or_goes_is_told_of_once() {
        let (mut table, spec) = updating();
        let mut changed = || table.take_changed().into_iter().collect::<Vec<_>>();
        assert_eq!(changed(), [DEMO], "it has come");
        assert_eq!(changed(), []);
        let mut after = |change: &mut dyn FnMut(&mut GuestTable)| {
            change(&mut table);
            table.take_changed().into_iter().collect::<Vec<_>>()
        };
        assert_eq!(after(&mut |table| table.commit_update(DEMO, spec.clone())), [DEMO]);
        assert_eq!(after(&mut |table| assert!(!table.end_work(DEMO))), []);
        assert_eq!(after(&mut |table| table.set_mtu(DEMO, Mtu::new(1400).unwrap())), [DEMO]);
        assert_eq!(after(&mut |table| drop(table.pin(|_| true))), [DEMO]);
        assert_eq!(after(&mut |table| table.route(RoutingMode::Main)), [DEMO]);
        assert_eq!(after(&mut |table| drop(table.leave(&spec.name).cloned())), [DEMO]);
        assert_eq!(after(&mut |table| drop(table.stay(DEMO).cloned())), [DEMO]);
        assert_eq!(after(&mut |table| drop(table.remove(DEMO))), [DEMO]);
    }

    #[test]
    fn dhcp_has_what_attached_guests_have_and_wish() {
        let (mut table, spec) = updating();
        let told = |table: &GuestTable| {
            table.dhcp().get(&DEMO).map(|net| (net.guest.address.octets(), net.mtu.bytes()))
        };
        assert_eq!(told(&table), Some((OLD, 1500)), "an update that has only begun");
        table.set_mtu(DEMO, Mtu::new(1400).unwrap());
        assert_eq!(told(&table), Some((OLD, 1400)));
        table.commit_update(DEMO, spec.clone());
        assert_eq!(told(&table), Some((NEW, 1500)));
        table.end_work(DEMO);
        table.leave(&spec.name);
        assert_eq!(told(&table), None);
        table.stay(DEMO);
        assert_eq!(told(&table), Some((NEW, 1500)));
        let (_, to) = net("demo", 0, NEW, VpnPolicy::FollowUplink);
        table.begin_update(DEMO, to);
        table.commit_update(DEMO, spec.with_dhcp(false));
        assert_eq!(told(&table), None);
        assert!(table.remove(DEMO).is_some() && table.dhcp().is_empty());
    }

    #[test]
    fn what_the_device_asks_for_during_an_update_is_there_after_it() {
        let (mut table, spec) = updating();
        assert_eq!(table.pin(|_| true), [DEMO]);
        table.route(RoutingMode::NETD);
        let to = table.updated(DEMO).unwrap().clone();
        table.commit_update(DEMO, spec.clone());
        table.end_work(DEMO);
        let net = &table.get(&spec.name).unwrap().net;
        assert_eq!((net, net.guest.address), (&to, NEW.into()));
        assert!(net.host.pinned);
        assert_eq!(*net, net.clone().routed(RoutingMode::NETD));
        assert_ne!(*net, net.clone().routed(RoutingMode::Main));
    }

    #[test]
    fn an_update_that_is_given_up_leaves_what_was() {
        let (mut table, spec) = updating();
        assert!(table.postpones_repair(DEMO));
        assert!(table.end_work(DEMO), "a repair waits");
        assert_eq!((held(&table), table.egress_overrides().len()), ([true, false], 0));
        assert_eq!(table.get(&spec.name).unwrap().net.guest.address, Ipv4Addr::from(OLD));
        assert!(!table.postpones_repair(DEMO) && !table.end_work(DEMO));
    }

    #[test]
    fn forwarding_is_for_guests_with_a_way_out_and_for_one_that_loses_its_own_until_it_has() {
        let mut table = GuestTable::default();
        let (_, alone) = net("alone", 1, NEW, VpnPolicy::NoUplink);
        table.join(&alone);
        assert!(!table.need_forwarding());
        let name = attach(&mut table);
        assert!(table.need_forwarding());
        let (spec, to) = net("demo", 0, OLD, VpnPolicy::NoUplink);
        for (commits, needed) in [(false, true), (true, false)] {
            table.begin_update(DEMO, to.clone());
            if commits {
                table.commit_update(DEMO, spec.clone());
            }
            assert!(table.need_forwarding());
            table.end_work(DEMO);
            assert_eq!(table.need_forwarding(), needed);
        }
        let (spec, back) = net("demo", 0, OLD, VpnPolicy::FollowUplink);
        table.begin_update(DEMO, back);
        assert!(table.need_forwarding(), "before it is led there");
        table.commit_update(DEMO, spec);
        table.end_work(DEMO);
        table.leave(&name);
        assert!(table.need_forwarding(), "its link is still there");
        table.remove(DEMO);
        assert!(!table.need_forwarding());
    }

    #[test]
    fn a_guest_that_goes_meanwhile_takes_both_along() {
        for (commits, leaves) in [(false, false), (true, false), (false, true), (true, true)] {
            let (mut table, spec) = updating();
            if leaves {
                table.leave(&spec.name).unwrap();
            }
            if commits {
                table.commit_update(DEMO, spec.clone());
            }
            assert_eq!(table.remove(DEMO).map(|(_, was_leaving)| was_leaving), Some(leaves));
            assert_eq!((held(&table), table.egress_overrides().len()), ([false, false], 0));
            assert!(!table.is_in_work(DEMO) && table.is_deserted());
        }
    }

    #[test]
    fn a_segment_is_there_while_guests_are_on_it_who_do_not_leave() {
        let mut table = GuestTable::default();
        let on = |name: &str, slot, segment| {
            let (spec, net) =
                net(name, slot, [172, 17, 3, 3 + slot as u8], VpnPolicy::FollowUplink);
            let segment = SegmentName::new(segment);
            let net = GuestNet { segment: segment.clone(), ..net };
            (GuestSpec { segment, ..spec }, net)
        };
        let members = |table: &GuestTable| {
            let all = table.segments();
            let numbers = all.values().map(|segment| segment.members.iter().copied().collect());
            numbers.collect::<Vec<Vec<u16>>>()
        };
        assert!(members(&table).is_empty());
        let name = attach(&mut table);
        assert!(members(&table).is_empty(), "it is on none");
        let like = table.get(&name).unwrap().clone();
        let (spec, other) = on("other", 1, "cockpit");
        table.join(&other);
        assert_eq!(members(&table), [[2]]);
        let index = IfIndex::of(8);
        table.attach(Attached { spec: spec.clone(), net: other, index, ..like.clone() });
        let (_, third) = on("third", 2, "cockpit");
        table.join(&third);
        assert_eq!(members(&table), [[2, 3]]);
        table.unjoin(&third);
        assert_eq!(members(&table), [[2]]);
        table.leave(&spec.name);
        assert!(members(&table).is_empty());
        table.stay(index);
        assert_eq!(members(&table), [[2]]);
        // FNV-1a of these, all of it and the lower 28 bits, is one.
        assert_eq!(table.mistaken_for(&third), None);
        let (spec, twin) = on("s2aad", 3, "cockpit");
        table.join(&twin);
        table.attach(Attached { spec, net: twin, index: IfIndex::of(9), ..like });
        assert!(table.mistaken_for(&on("s1fcd8", 4, "cockpit").1).unwrap().contains("one MAC"));
        assert_eq!(table.mistaken_for(&on("s1fcd8", 4, "cabin").1), None);
        let (_, first) = on("fifth", 5, "saeba");
        table.join(&first);
        assert!(table.mistaken_for(&on("x", 6, "s1afd9").1).unwrap().contains("one device"));
        table.unjoin(&first);
        assert_eq!(table.mistaken_for(&on("x", 6, "s1afd9").1), None);
        for index in [8, 9] {
            table.remove(IfIndex::of(index));
        }
        assert!(members(&table).is_empty());
    }
}
