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

use crate::alloc::leases::Leases;
use crate::model::policy_rules::Shape;
use crate::model::timeline::Entry;
use crate::model::GuestNet;
use crate::spec::{GuestName, GuestSpec, IfName, VpnPolicy};
use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;

/// An attached guest.
#[derive(Clone, Debug)]
pub struct Attached {
    /// What was asked for.
    pub spec: GuestSpec,
    /// What it has.
    pub net: GuestNet,
    /// Index of the host end.
    pub index: u32,
    /// Who attached it.
    pub owner_uid: u32,
    /// When: milliseconds since the epoch.
    pub attached_at: i64,
    /// What the attach spent its time on.
    pub timeline: Vec<Entry>,
    /// Whether its traffic waits for the uplink.
    pub waiting: bool,
}

impl Attached {
    /// Who.
    pub fn name(&self) -> &GuestName {
        &self.spec.name
    }
}

/// A guest that does not simply follow the uplink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EgressOverride {
    /// What becomes of its traffic under a VPN.
    pub vpn: VpnPolicy,
    /// Its address.
    pub address: Ipv4Addr,
}

/// All guests: attached, about to be, and leaving.
#[derive(Debug, Default)]
pub struct GuestTable {
    attached: BTreeMap<GuestName, Attached>,
    /// Those whose link is being deleted.
    leaving: BTreeMap<GuestName, Attached>,
    /// Whose link has this index; also while it is leaving.
    by_index: HashMap<u32, GuestName>,
    /// What guests have, also while they are leaving.
    pub leases: Leases,
    /// By their host ends; also of one that is about to be attached.
    egress_overrides: BTreeMap<IfName, EgressOverride>,
    /// Which name had an address last: its connections may still be tracked.
    last_holder: BTreeMap<Ipv4Addr, GuestName>,
    /// Slots of links that bear our marks and belong to no guest that is known, by their index.
    unadopted_links: BTreeMap<u32, u32>,
    /// A guest that is being attached: what guests share has to suit it already.
    joining: usize,
}

impl GuestTable {
    /// The attached guests, by name.
    pub fn attached(&self) -> impl Iterator<Item = &Attached> {
        self.attached.values()
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

    /// Whether anybody needs what guests share: attached, joining or leaving.
    pub fn need_forwarding(&self) -> bool {
        !self.attached.is_empty() || !self.leaving.is_empty() || self.joining > 0
    }

    /// An attached guest.
    pub fn get(&self, name: &GuestName) -> Option<&Attached> {
        self.attached.get(name)
    }

    /// The same, to change what it has. Its slot, subnet, address and VPN policy stay: see
    /// [`leave`](Self::leave) and [`attach`](Self::attach).
    pub fn get_mut(&mut self, name: &GuestName) -> Option<&mut Attached> {
        self.attached.get_mut(name)
    }

    /// Whether a guest of that name is leaving.
    pub fn is_leaving(&self, name: &GuestName) -> bool {
        self.leaving.contains_key(name)
    }

    /// The attached guest whose host end has this index.
    pub fn by_index(&self, index: u32) -> Option<&Attached> {
        self.attached.get(self.by_index.get(&index)?)
    }

    /// Whether a link is of a guest, attached or leaving.
    pub fn has_link(&self, index: u32) -> bool {
        self.by_index.contains_key(&index)
    }

    /// The links of guests, attached or leaving.
    pub fn links(&self) -> impl Iterator<Item = u32> + '_ {
        self.by_index.keys().copied()
    }

    /// What guests share has to suit this one from now on: it is about to be attached.
    pub fn join(&mut self, net: &GuestNet) {
        self.joining += 1;
        self.leases.take(net);
        if net.vpn != VpnPolicy::FollowUplink {
            let its = EgressOverride { vpn: net.vpn.clone(), address: net.guest.address };
            self.egress_overrides.insert(net.host.name.clone(), its);
        }
    }

    /// It is not attached after all.
    pub fn unjoin(&mut self, net: &GuestNet) {
        self.joining -= 1;
        self.release(net);
    }

    /// One that has joined is there.
    pub fn attach(&mut self, guest: Attached) {
        self.joining -= 1;
        self.by_index.insert(guest.index, guest.name().clone());
        self.last_holder.insert(guest.net.guest.address, guest.name().clone());
        self.attached.insert(guest.name().clone(), guest);
    }

    /// The link of an attached guest is about to be deleted.
    pub fn leave(&mut self, name: &GuestName) -> Option<&Attached> {
        let guest = self.attached.remove(name)?;
        Some(self.leaving.entry(name.clone()).or_insert(guest))
    }

    /// It could not be deleted: the guest is there.
    pub fn stay(&mut self, index: u32) -> Option<&Attached> {
        let name = self.by_index.get(&index)?;
        let guest = self.leaving.remove(name)?;
        Some(self.attached.entry(name.clone()).or_insert(guest))
    }

    /// A link is gone, and its guest with it, if it was one's; and whether that was leaving.
    pub fn remove(&mut self, index: u32) -> Option<(Attached, bool)> {
        if let Some(slot) = self.unadopted_links.remove(&index) {
            self.leases.slots.release(slot);
        }
        let name = self.by_index.remove(&index)?;
        let (guest, was_leaving) = match self.leaving.remove(&name) {
            Some(guest) => (guest, true),
            None => (self.attached.remove(&name)?, false),
        };
        self.release(&guest.net);
        Some((guest, was_leaving))
    }

    fn release(&mut self, net: &GuestNet) {
        self.leases.release(net);
        self.egress_overrides.remove(&net.host.name);
    }

    /// A link that bears our marks belongs to no guest that is known: its slot is given to nobody.
    pub fn leave_unadopted(&mut self, index: u32, slot: u32) {
        self.unadopted_links.insert(index, slot);
        self.leases.slots.take(slot);
    }

    /// The links of those.
    pub fn unadopted_links(&self) -> impl Iterator<Item = u32> + '_ {
        self.unadopted_links.keys().copied()
    }

    /// Guests that do not simply follow the uplink, by their host ends.
    pub fn egress_overrides(&self) -> &BTreeMap<IfName, EgressOverride> {
        &self.egress_overrides
    }

    /// The tuns that guests leave by.
    pub fn tuns(&self) -> impl Iterator<Item = &IfName> {
        self.egress_overrides.values().filter_map(|one| one.vpn.tun())
    }

    /// Whether some guest leaves by an interface of this name on its own.
    pub fn leaves_by(&self, name: &str) -> bool {
        self.tuns().any(|tun| tun.as_str() == name)
    }

    /// Whether another name had this address last: its connections may still be tracked.
    pub fn was_held_by_another(&self, net: &GuestNet) -> bool {
        self.last_holder.get(&net.guest.address).is_some_and(|name| *name != net.name)
    }

    /// The device routes in another way now.
    pub fn route(&mut self, mode: Shape) {
        for guest in self.attached.values_mut() {
            guest.net = guest.net.clone().routed(mode);
        }
    }
}
