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

//! Who has which slot. Pure.
//!
//! A slot is a number from 0; it decides the host end's name and the address. Slot 0 is the
//! original's. A name keeps its slot while the store lives, so that a guest that comes back has
//! its address again.

use crate::ordered::OrderedMap;
use crate::spec::{GuestName, GuestSpec};
use std::net::Ipv4Addr;

/// Number of slots: the most guests at a time, and the most names remembered.
pub const SLOTS: u32 = 4096;

/// The slots of the guests there are, and of the names there were.
#[derive(Clone, Debug, Default)]
pub struct Slots {
    /// The slot of every name seen.
    of: OrderedMap<GuestName, u32>,
    /// By number; those that are missing were never touched.
    slots: Vec<Slot>,
}

#[derive(Clone, Debug, Default)]
struct Slot {
    /// Whether it is in use.
    live: bool,
    /// The name that had it last.
    had: Option<GuestName>,
}

impl Slots {
    /// The slot for `name`; none when all are in use.
    ///
    /// A remembered name gets its own; a new one gets slot 0 when nobody is attached, else one
    /// that no name has had, else a freed one.
    pub fn choose(&self, name: &GuestName) -> Option<u32> {
        let is_live = |slot: &u32| self.slots.get(*slot as usize).is_some_and(|slot| slot.live);
        if let Some(slot) = self.of.get(name).filter(|slot| !is_live(slot)) {
            return Some(*slot);
        }
        if !self.slots.iter().any(|slot| slot.live) {
            return Some(0);
        }
        let first = |free: fn(&Slot) -> bool| self.slots.iter().position(free);
        let untouched = Some(self.slots.len()).filter(|next| *next < SLOTS as usize);
        let slot = first(|slot| !slot.live && slot.had.is_none()).or(untouched);
        slot.or_else(|| first(|slot| !slot.live)).map(|slot| slot as u32)
    }

    /// The slot that a name has or had.
    pub fn of(&self, name: &GuestName) -> Option<u32> {
        self.of.get(name).copied()
    }

    /// A slot is one name's: gives the name that is forgotten for it, if there is one.
    pub fn remember(&mut self, name: &GuestName, slot: u32) -> Option<GuestName> {
        if let Some(old) = self.of.insert(name.clone(), slot).filter(|old| *old != slot) {
            self.change(old, |old| old.had = None);
        }
        let mut before = None;
        self.change(slot, |slot| before = slot.had.replace(name.clone()));
        let before = before.filter(|other| other != name)?;
        self.of.remove(&before);
        Some(before)
    }

    /// A slot is in use from now on.
    pub fn take(&mut self, slot: u32) {
        self.change(slot, |slot| slot.live = true);
    }

    /// A slot is in use no more.
    pub fn release(&mut self, slot: u32) {
        self.change(slot, |slot| slot.live = false);
    }

    /// Of numbers that are given to nobody nothing is kept.
    fn change(&mut self, slot: u32, change: impl FnOnce(&mut Slot)) {
        if slot >= SLOTS {
            return;
        }
        let at = slot as usize;
        if at >= self.slots.len() {
            self.slots.resize_with(at + 1, Slot::default);
        }
        if let Some(slot) = self.slots.get_mut(at) {
            change(slot);
        }
    }
}

/// The address of a guest that asked for none: the gateway's plus one plus the slot, running on
/// through the subnet without network, broadcast, gateway and taken addresses. None: all taken.
pub fn address(spec: &GuestSpec, slot: u32, taken: impl Fn(&Ipv4Addr) -> bool) -> Option<Ipv4Addr> {
    let network = u32::from(spec.subnet.network());
    let size = u32::from(spec.subnet.broadcast()) - network + 1;
    let first = (u32::from(spec.gateway) - network + 1).wrapping_add(slot);
    (0..size).map(|step| Ipv4Addr::from(network + first.wrapping_add(step) % size)).find(|a| {
        *a != spec.subnet.network()
            && *a != spec.subnet.broadcast()
            && *a != spec.gateway
            && !taken(a)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::IfName;

    fn name(text: &str) -> GuestName {
        GuestName::new(text).unwrap()
    }

    fn slots(remembered: &[(&str, u32)], live: &[u32]) -> Slots {
        let mut slots = Slots::default();
        for (text, slot) in remembered {
            assert_eq!(slots.remember(&name(text), *slot), None);
        }
        live.iter().for_each(|slot| slots.take(*slot));
        slots
    }

    fn spec(gateway: [u8; 4], prefix: i32) -> GuestSpec {
        let wlan0 = IfName::new("wlan0").unwrap();
        GuestSpec::new(name("x"), wlan0, None, gateway.into(), prefix, -1).unwrap()
    }

    #[test]
    fn a_name_keeps_its_slot_and_a_new_one_takes_an_unused_one() {
        let had = [("a", 0), ("b", 1), ("c", 3)];
        let one = slots(&had, &[0]);
        assert_eq!(one.choose(&name("b")), Some(1));
        assert_eq!(one.choose(&name("c")), Some(3));
        assert_eq!(one.choose(&name("new")), Some(2));
        assert_eq!(slots(&had, &[0, 5]).choose(&name("a")), Some(2), "a's is taken");
    }

    #[test]
    fn a_sole_new_guest_is_the_original() {
        let one = slots(&[("a", 0)], &[]);
        assert_eq!(one.choose(&name("new")), Some(0));
        assert_eq!(one.choose(&name("a")), Some(0));
        assert_eq!(slots(&[("b", 7)], &[]).choose(&name("b")), Some(7));
    }

    #[test]
    fn freed_slots_serve_when_none_is_unused() {
        let mut all = Slots::default();
        for slot in 0..SLOTS {
            assert_eq!(all.remember(&name(&format!("g{slot}")), slot), None);
            all.take(slot);
        }
        assert_eq!(all.choose(&name("new")), None);
        all.release(9);
        assert_eq!(all.choose(&name("new")), Some(9));
        assert_eq!(all.remember(&name("new"), 9), Some(name("g9")), "its slot is another's");
        assert_eq!((all.of(&name("g9")), all.of(&name("new"))), (None, Some(9)));
        all.take(9);
        assert_eq!(all.choose(&name("g9")), None);
    }

    #[test]
    fn a_slot_that_its_name_left_is_unused_again() {
        let mut two = slots(&[("a", 0), ("b", 1)], &[0, 1]);
        two.release(1);
        two.take(5); // a stray
        assert_eq!(two.remember(&name("b"), 2), None);
        assert_eq!(two.choose(&name("new")), Some(1));
        two.release(5);
        two.take(1);
        assert_eq!(two.choose(&name("new")), Some(3));
    }

    #[test]
    fn the_first_guest_has_the_originals_address() {
        let s = spec([172, 17, 3, 2], 16);
        assert_eq!(address(&s, 0, |_| false), Some(Ipv4Addr::new(172, 17, 3, 3)));
        assert_eq!(address(&s, 4095, |_| false), Some(Ipv4Addr::new(172, 17, 19, 2)));
    }

    #[test]
    fn addresses_run_on_through_the_subnet_and_end() {
        let s = spec([10, 0, 0, 5], 29); // .1 to .6
        let mut taken = crate::ordered::OrderedSet::new();
        let mut order = Vec::new();
        while let Some(a) = address(&s, 0, |a| taken.contains(a)) {
            assert!(order.len() < 5, "{order:?}");
            order.push(a.octets()[3]);
            taken.insert(a);
        }
        assert_eq!(order, [6, 1, 2, 3, 4]);
        let wrapped = address(&s, u32::MAX, |_| false);
        assert_eq!(wrapped.map(|a| s.subnet.contains(a)), Some(true));
    }
}
