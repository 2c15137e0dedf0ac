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

//! What the kernel announced, and what has to be looked at for it.

use crate::daemon::Daemon;
use crate::kernel::netlink::monitor::Event;
use crate::kernel::{link, sysctl};
use crate::model::policy_rules::Shape;
use std::collections::BTreeMap;
use std::time::Instant;

impl Daemon {
    /// Takes in everything announced up to now; what follows from it is done when it is due.
    pub(in crate::daemon) fn catch_up(&mut self) {
        self.take_in();
        let now = Instant::now();
        if self.due.at(self.last_pass).is_some_and(|at| at <= now) {
            self.pass();
        }
    }

    /// The same, and nothing that has to be done is left for later.
    pub(in crate::daemon) fn settle(&mut self) {
        self.take_in();
        if self.due.any() {
            self.pass();
        }
    }

    fn take_in(&mut self) {
        let now = Instant::now();
        let (mut gone, mut lost, mut up) = (Vec::new(), false, BTreeMap::new());
        for event in self.monitor.drain() {
            self.due.announced(now);
            self.due.uplink |= self.concerns_uplink(&event);
            match event {
                Event::LinkGone { index } => gone.push(index),
                Event::Address { index, gone } | Event::Route { index, gone, .. } => {
                    if !self.links.contains_key(&index) {
                        self.prefixes = None;
                    } else if gone {
                        self.due.guests.insert(index);
                    }
                }
                Event::Rule => self.due.rules = true,
                // A new name for an interface that a prefix is on.
                Event::Link(link) if !link.is_ours() => self.prefixes = None,
                // What it was before it was as it is now is of no interest.
                Event::Link(link) => drop(up.insert(link.index, link.up)),
                Event::Forwarding { on } => {
                    self.forwards = on;
                    self.forwarding_changed(on);
                }
                Event::Overrun => lost = true,
            }
        }
        self.due.guests.extend(up.iter().filter(|(_, up)| !**up).map(|(index, _)| *index));
        if lost {
            self.prefixes = None;
            // Among what was lost may be the announcement of our own writes.
            self.switched.clear();
            self.forwards = sysctl::forwarding().unwrap_or(false);
            self.due.uplink = true;
            self.due.rules = true;
            self.due.firewall = true;
            self.due.forwarding |= !self.forwards;
            self.due.guests.extend(self.links.keys());
            gone.extend(self.vanished());
        }
        for index in gone {
            self.due.guests.remove(&index);
            self.link_gone(index);
        }
        self.tidy();
        // What is of a guest that leaves, or of none of ours, goes by itself.
        let there =
            |index: &u32| self.links.get(index).is_some_and(|n| self.guests.contains_key(n));
        let guests = std::mem::take(&mut self.due.guests);
        self.due.guests = guests.into_iter().filter(there).collect();
    }

    fn concerns_uplink(&self, event: &Event) -> bool {
        let (index, choice) = (self.uplink.index, &self.uplink.choice);
        match event {
            // The kernel does not announce the routes that go down with a link.
            Event::Link(link) => {
                choice.lists(&link.name)
                    || link.index == index
                    || self.uplink.default_route.as_ref() == Some(&link.name)
                    || self.leaves_by(&link.name)
            }
            Event::LinkGone { index: gone } => !self.links.contains_key(gone),
            // One of several may be the better one now.
            Event::Address { index: changed, .. } => {
                *changed == index && index != 0 || !self.links.contains_key(changed)
            }
            Event::Route { default, .. } => *default && self.shape == Shape::Main,
            Event::Rule | Event::Forwarding { .. } | Event::Overrun => false,
        }
    }

    /// Links that are not there any more, though nobody said so.
    fn vanished(&mut self) -> Vec<u32> {
        let mut gone = Vec::new();
        for index in self.links.keys().chain(self.strays.keys()) {
            if matches!(link::by_index(&self.device, *index), Ok(None)) {
                gone.push(*index);
            }
        }
        gone
    }
}
