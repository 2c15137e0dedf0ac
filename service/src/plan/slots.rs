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

//! Which slot and which address a guest gets. Pure.
//!
//! A slot is a number from 0; it decides the host end's name and the address. Slot 0 is the
//! original's. A name keeps its slot while the store lives, so that a guest that comes back has
//! its address again.

use crate::spec::{GuestName, GuestSpec};
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

/// Number of slots: the most guests at a time, and the most names remembered.
pub const SLOTS: u32 = 4096;

/// The slot for `name`.
///
/// `remembered` has the slots of all names seen, `live` those of the guests attached now.
/// A remembered name gets its own; a new one gets slot 0 when nobody is attached, else one that
/// no name has had, else a freed one. None: all are live.
pub fn choose(
    name: &GuestName,
    remembered: &BTreeMap<GuestName, u32>,
    live: &BTreeSet<u32>,
) -> Option<u32> {
    if let Some(slot) = remembered.get(name).filter(|slot| !live.contains(slot)) {
        return Some(*slot);
    }
    if live.is_empty() {
        return Some(0);
    }
    let had: BTreeSet<u32> = remembered.values().copied().collect();
    let lowest = |taken: &dyn Fn(&u32) -> bool| (0..SLOTS).find(|slot| !taken(slot));
    lowest(&|slot| had.contains(slot) || live.contains(slot))
        .or_else(|| lowest(&|slot| live.contains(slot)))
}

/// The address of a guest that asked for none: the gateway's plus one plus the slot, running on
/// through the subnet without network, broadcast, gateway and taken addresses. None: all taken.
pub fn address(spec: &GuestSpec, slot: u32, taken: &BTreeSet<Ipv4Addr>) -> Option<Ipv4Addr> {
    let network = u32::from(spec.subnet.network());
    let size = u32::from(spec.subnet.broadcast()) - network + 1;
    let first = (u32::from(spec.gateway) - network + 1).wrapping_add(slot);
    (0..size).map(|step| Ipv4Addr::from(network + first.wrapping_add(step) % size)).find(|a| {
        *a != spec.subnet.network()
            && *a != spec.subnet.broadcast()
            && *a != spec.gateway
            && !taken.contains(a)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::IfName;

    fn name(text: &str) -> GuestName {
        GuestName::new(text).unwrap()
    }

    fn spec(gateway: [u8; 4], prefix: i32) -> GuestSpec {
        let wlan0 = IfName::new("wlan0").unwrap();
        GuestSpec::new(name("x"), wlan0, None, gateway.into(), prefix, -1).unwrap()
    }

    #[test]
    fn a_name_keeps_its_slot_and_a_new_one_takes_an_unused_one() {
        let remembered = BTreeMap::from([(name("a"), 0), (name("b"), 1), (name("c"), 3)]);
        let live = BTreeSet::from([0]);
        assert_eq!(choose(&name("b"), &remembered, &live), Some(1));
        assert_eq!(choose(&name("c"), &remembered, &live), Some(3));
        assert_eq!(choose(&name("new"), &remembered, &live), Some(2));
        assert_eq!(
            choose(&name("a"), &remembered, &BTreeSet::from([0, 5])),
            Some(2),
            "a's is taken"
        );
    }

    #[test]
    fn a_sole_new_guest_is_the_original() {
        let remembered = BTreeMap::from([(name("a"), 0)]);
        assert_eq!(choose(&name("new"), &remembered, &BTreeSet::new()), Some(0));
        assert_eq!(choose(&name("a"), &remembered, &BTreeSet::new()), Some(0));
        assert_eq!(
            choose(&name("b"), &BTreeMap::from([(name("b"), 7)]), &BTreeSet::new()),
            Some(7)
        );
    }

    #[test]
    fn freed_slots_serve_when_none_is_unused() {
        let remembered: BTreeMap<_, _> = (0..SLOTS).map(|s| (name(&format!("g{s}")), s)).collect();
        let mut live: BTreeSet<_> = (0..SLOTS).collect();
        live.remove(&9);
        assert_eq!(choose(&name("new"), &remembered, &live), Some(9));
        live.insert(9);
        assert_eq!(choose(&name("new"), &remembered, &live), None);
    }

    #[test]
    fn the_first_guest_has_the_originals_address() {
        let s = spec([172, 17, 3, 2], 16);
        assert_eq!(address(&s, 0, &BTreeSet::new()), Some(Ipv4Addr::new(172, 17, 3, 3)));
        assert_eq!(address(&s, 4095, &BTreeSet::new()), Some(Ipv4Addr::new(172, 17, 19, 2)));
    }

    #[test]
    fn addresses_run_on_through_the_subnet_and_end() {
        let s = spec([10, 0, 0, 5], 29); // .1 to .6
        let mut taken = BTreeSet::new();
        let mut order = Vec::new();
        while let Some(a) = address(&s, 0, &taken) {
            assert!(order.len() < 5, "{order:?}");
            order.push(a.octets()[3]);
            taken.insert(a);
        }
        assert_eq!(order, [6, 1, 2, 3, 4]);
        assert_eq!(
            address(&s, u32::MAX, &BTreeSet::new()).map(|a| s.subnet.contains(a)),
            Some(true)
        );
    }
}
