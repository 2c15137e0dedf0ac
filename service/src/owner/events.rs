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

//! What the kernel announced, and what follows from it.

use super::Owner;
use crate::kernel::monitor::Event;
use crate::kernel::{links, sysctl};
use crate::uplink::Choice;
use std::time::Instant;

impl Owner {
    /// Takes in everything announced up to now.
    pub(super) fn catch_up(&mut self) {
        let began = Instant::now();
        let (mut uplink, mut gone, mut lost) = (false, Vec::new(), false);
        for event in self.monitor.drain() {
            uplink |= self.concerns_uplink(&event);
            match event {
                Event::LinkGone { index } => gone.push(index),
                Event::Address { index } | Event::Route { index, .. } => {
                    if !self.links.contains_key(&index) {
                        self.prefixes = None;
                    }
                }
                // A new name for an interface that a prefix is on.
                Event::Link(link) if !link.is_ours() => self.prefixes = None,
                Event::Link(_) => {}
                Event::Forwarding { on } => {
                    self.forwards = on;
                    self.forwarding_changed(on);
                }
                Event::Overrun => lost = true,
            }
        }
        if lost {
            self.prefixes = None;
            // Among what was lost may be the announcement of our own writes.
            self.switched.clear();
            self.forwards = sysctl::forwarding().unwrap_or(false);
            gone.extend(self.vanished());
        }
        for index in gone {
            self.link_gone(index);
        }
        if uplink || lost {
            if let Err(e) = self.refresh_uplink(began) {
                log::error!("the uplink could not be followed: {e}");
            }
        }
    }

    fn concerns_uplink(&self, event: &Event) -> bool {
        let index = self.uplink.index;
        match event {
            Event::Link(link) => {
                let named = match &self.uplink.choice {
                    Choice::Named(name) => link.name == name.as_str(),
                    Choice::Default => false,
                };
                // The kernel does not announce the routes that go down with a link.
                named
                    || link.index == index
                    || self.uplink.default_route.as_ref() == Some(&link.name)
            }
            Event::LinkGone { index: gone } => !self.links.contains_key(gone),
            Event::Address { index: changed } => *changed == index && index != 0,
            Event::Route { default, .. } => *default,
            Event::Forwarding { .. } | Event::Overrun => false,
        }
    }

    /// Links that are not there any more, though nobody said so.
    fn vanished(&mut self) -> Vec<u32> {
        let mut gone = Vec::new();
        for index in self.links.keys().chain(self.strays.keys()) {
            if matches!(links::by_index(&self.device, *index), Ok(None)) {
                gone.push(*index);
            }
        }
        gone
    }
}
