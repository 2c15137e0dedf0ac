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

//! What guests have of what there is only one of: slots, addresses, subnets. Pure. No question
//! here costs more with more guests.

use super::slots::{self, Slots};
use crate::error::Error;
use crate::model::ruleset::GuestSubnet;
use crate::model::GuestNet;
use crate::ordered::{OrderedMap, OrderedSet};
use crate::spec::{GuestName, GuestSpec, Subnet};
use std::net::Ipv4Addr;

/// Everything that is taken.
#[derive(Clone, Debug, Default)]
pub struct Leases {
    /// Slots, and the names that had them.
    pub slots: Slots,
    addresses: OrderedMap<Ipv4Addr, GuestName>,
    /// By network address. No two of them overlap.
    subnets: OrderedMap<Ipv4Addr, Shared>,
}

/// A subnet and the guests in it.
#[derive(Clone, Debug)]
struct Shared {
    subnet: GuestSubnet,
    guests: OrderedSet<GuestName>,
}

impl Leases {
    /// Slot and address for `spec`. Refuses an address that another guest has, and a subnet that
    /// other guests use in another way.
    pub fn choose(&self, spec: &GuestSpec) -> Result<(u32, Ipv4Addr), Error> {
        if let Some((address, guest)) =
            spec.address().and_then(|a| self.addresses.get_key_value(&a))
        {
            return Err(Error::AddressInUse { address: *address, guest: guest.clone() });
        }
        self.check_subnet(spec)?;
        let slot = self.slots.choose(&spec.name).ok_or(Error::NoFreeSlot("slot"))?;
        let free = || slots::address(spec, slot, |a| self.addresses.contains_key(a));
        let address =
            spec.address().or_else(free).ok_or(Error::NoFreeSlot("address in the subnet"))?;
        Ok((slot, address))
    }

    /// The subnets that begin nearest are the only ones that can overlap, as none overlap each other:
    /// the last at or before it, and the first behind it.
    fn nearest(&self, subnet: &Subnet) -> impl Iterator<Item = &Shared> {
        let first = subnet.network();
        let before = self.subnets.range(..=first).next_back();
        let behind = self.subnets.range(first..).next();
        before.into_iter().chain(behind).map(|(_, shared)| shared)
    }

    /// Whether a guest's subnet has an address in common with this one.
    pub fn overlap(&self, subnet: &Subnet) -> bool {
        self.nearest(subnet).any(|shared| shared.subnet.subnet.overlaps(subnet))
    }

    fn check_subnet(&self, spec: &GuestSpec) -> Result<(), Error> {
        for other in self.nearest(&spec.subnet) {
            let GuestSubnet { subnet, gateway } = other.subnet;
            let same = subnet == spec.subnet && gateway == spec.gateway;
            if !same && subnet.overlaps(&spec.subnet) {
                let what = format!("{subnet} (gateway {gateway})");
                let guest = other.guests.first().cloned();
                return Err(Error::SubnetOverlap { subnet: spec.subnet, what, guest, free: None });
            }
        }
        Ok(())
    }

    /// A guest has these from now on.
    pub fn take(&mut self, net: &GuestNet) {
        self.slots.take(net.slot);
        self.take_address(net);
        let new = || Shared { subnet: subnet_of(net), guests: OrderedSet::new() };
        let shared = self.subnets.entry(net.subnet.network()).or_insert_with(new);
        shared.guests.insert(net.name.clone());
    }

    /// A guest has these no more.
    pub fn release(&mut self, net: &GuestNet) {
        self.slots.release(net.slot);
        self.release_address(net);
        let network = net.subnet.network();
        if let Some(shared) = self.subnets.get_mut(&network) {
            shared.guests.remove(&net.name);
            if shared.guests.is_empty() {
                self.subnets.remove(&network);
            }
        }
    }

    /// A guest has this address from now on, too.
    pub fn take_address(&mut self, net: &GuestNet) {
        self.addresses.insert(net.guest.address, net.name.clone());
    }

    /// A guest has this address no more.
    pub fn release_address(&mut self, net: &GuestNet) {
        if self.addresses.get(&net.guest.address) == Some(&net.name) {
            self.addresses.remove(&net.guest.address);
        }
    }

    /// Whose address this is.
    pub fn holder(&self, address: Ipv4Addr) -> Option<&GuestName> {
        self.addresses.get(&address)
    }

    /// Whether a guest has this subnet.
    pub fn has(&self, subnet: &Subnet) -> bool {
        self.subnets.get(&subnet.network()).is_some_and(|s| s.subnet.subnet == *subnet)
    }

    /// The guests' subnet that an address is in.
    pub fn subnet_with(&self, address: Ipv4Addr) -> Option<GuestSubnet> {
        let (_, at_or_before) = self.subnets.range(..=address).next_back()?;
        Some(at_or_before.subnet).filter(|s| s.subnet.contains(address))
    }

    /// The subnets that guests have.
    pub fn subnets(&self) -> impl Iterator<Item = GuestSubnet> + '_ {
        self.subnets.values().map(|shared| shared.subnet)
    }
}

/// A guest's subnet, as the packet filter knows it.
pub fn subnet_of(net: &GuestNet) -> GuestSubnet {
    GuestSubnet { subnet: net.subnet, gateway: net.guest.gateway }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{IfName, Mtu};

    fn spec(name: &str, address: Option<[u8; 4]>, gateway: [u8; 4], prefix: i32) -> GuestSpec {
        let name = GuestName::new(name).unwrap();
        let wlan0 = IfName::new("wlan0").unwrap();
        GuestSpec::new(name, wlan0, address.map(Into::into), gateway.into(), prefix, -1).unwrap()
    }

    fn attach(leases: &mut Leases, spec: &GuestSpec) -> Result<GuestNet, String> {
        let (slot, address) = leases.choose(spec).map_err(|e| e.to_string())?;
        let net = GuestNet::new(spec, slot, address, Mtu::ETHERNET);
        leases.take(&net);
        leases.slots.remember(&net.name, slot);
        Ok(net)
    }

    #[test]
    fn an_address_is_one_guests() {
        let mut leases = Leases::default();
        let gateway = [10, 0, 0, 1];
        let a = attach(&mut leases, &spec("a", Some([10, 0, 0, 3]), gateway, 24)).unwrap();
        let b = attach(&mut leases, &spec("b", None, gateway, 24)).unwrap();
        assert_eq!(b.guest.address, Ipv4Addr::new(10, 0, 0, 4), "slot 1's is taken");
        let again = spec("c", Some([10, 0, 0, 3]), gateway, 24);
        assert!(attach(&mut leases, &again).unwrap_err().contains("a"));
        leases.release(&a);
        assert!(attach(&mut leases, &again).is_ok());
    }

    #[test]
    fn subnets_may_be_shared_but_not_overlap() {
        let mut leases = Leases::default();
        let wide = attach(&mut leases, &spec("wide", None, [10, 1, 0, 1], 16)).unwrap();
        attach(&mut leases, &spec("low", None, [10, 0, 0, 1], 24)).unwrap();
        attach(&mut leases, &spec("high", None, [10, 2, 0, 1], 24)).unwrap();
        attach(&mut leases, &spec("wide2", None, [10, 1, 0, 1], 16)).unwrap();
        for (gateway, prefix, whose) in [
            ([10, 1, 0, 2], 16, "wide"),  // another gateway
            ([10, 1, 7, 1], 24, "wide"),  // inside
            ([10, 1, 0, 1], 24, "wide"),  // inside, same start
            ([10, 0, 0, 1], 8, "low"),    // around all
            ([10, 0, 0, 1], 15, "low"),   // around two
            ([10, 2, 0, 99], 20, "high"), // around, same start
        ] {
            let refused = attach(&mut leases, &spec("x", None, gateway, prefix)).unwrap_err();
            assert!(refused.contains(whose), "{gateway:?}/{prefix}: {refused}");
        }
        assert_eq!(leases.subnets().count(), 3);
        leases.release(&wide);
        assert!(leases.has(&wide.subnet), "one guest is left in it");
        let refused = leases.choose(&spec("y", None, [10, 1, 7, 1], 24)).unwrap_err().to_string();
        assert!(refused.contains("wide2"), "{refused}");
    }

    #[test]
    fn everything_comes_back() {
        let mut leases = Leases::default();
        let nets: Vec<_> = (0..300)
            .map(|i| {
                attach(&mut leases, &spec(&format!("g{i}"), None, [172, 17, 3, 2], 16)).unwrap()
            })
            .collect();
        nets.iter().for_each(|net| leases.release(net));
        assert_eq!((leases.subnets().count(), leases.addresses.len()), (0, 0));
        assert_eq!(leases.choose(&spec("new", None, [172, 17, 3, 2], 16)).unwrap().0, 0);
    }
}
