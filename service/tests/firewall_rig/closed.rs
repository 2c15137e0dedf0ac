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

//! Whether the device is closed to guests but for what our rules let through: what is read from the
//! kernel says so, at one moment or all the time that something else is done.

use guestnetd::effects::firewall::iptables::entries::{Chain, Entry, Target};
use guestnetd::effects::firewall::iptables::read::table;
use guestnetd::effects::firewall::Family;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The chain of this name.
pub fn chain<'a>(chains: &'a [Chain], name: &str) -> &'a Chain {
    chains.iter().find(|chain| chain.name == name).unwrap()
}

/// The chain of ours that a packet meets first in `parent`, if there is a jump at all. One that only
/// jumps to another of ours stands in for that.
pub fn met_first<'a>(chains: &'a [Chain], parent: &str) -> Option<&'a Chain> {
    let met = chain(chains, parent).rules.iter().find_map(|rule| match &rule.target {
        Target::Jump(name) if name.starts_with("oem_guestnet") => Some(chain(chains, name)),
        _ => None,
    })?;
    met_first(chains, &met.name).or(Some(met))
}

/// What lets a guest's packet through, or nothing does: every chain of ours that a packet meets
/// ends with the drops that make it closed.
pub fn hole(family: Family, expected: bool) -> Option<String> {
    let chains = table(family, "filter").unwrap();
    for (parent, last) in [("INPUT", 1), ("FORWARD", 2)] {
        let Some(met) = met_first(&chains, parent) else {
            if expected {
                return Some(format!("{family:?} {parent}: no jump"));
            }
            continue;
        };
        let all_guests = |rule: &Entry| {
            rule.target == Target::Drop
                && (rule.input == "vm_wlan+" || rule.output == "vm_wlan+")
                && rule.matches.is_empty()
        };
        // Behind them, what others may not: send to the gateway, or through the device.
        let others = |rule: &&Entry| rule.target == Target::Drop && !all_guests(rule);
        let behind = met.rules.iter().rev().skip_while(others);
        let drops = behind.take_while(|rule| all_guests(rule)).count();
        if drops < last {
            return Some(format!("{family:?} {parent}: {} ends with {drops} drops", met.name));
        }
    }
    None
}

/// That it is so, for either IP version.
pub fn closed(expected: bool, when: &str) {
    for family in [Family::V4, Family::V6] {
        assert_eq!(hole(family, expected), None, "{when}");
    }
}

/// Does something, while another thread looks all the time that it stays closed: how often it has.
pub fn watched(work: impl FnOnce()) -> usize {
    let (done, looks) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        // A thread starts in the namespaces of the one that starts it, and with its privileges.
        let watcher = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                closed(true, "seen from outside");
                looks.fetch_add(1, Ordering::Relaxed);
            }
        });
        while looks.load(Ordering::Relaxed) == 0 && !watcher.is_finished() {
            std::thread::yield_now();
        }
        // The watcher ends with the work, also where that ends in a panic.
        let _done = Done(&done);
        work();
    });
    looks.into_inner()
}

struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
