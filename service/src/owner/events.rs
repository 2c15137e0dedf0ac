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

use super::{GuestEvent, Notice, Owner};
use crate::error::Error;
use crate::kernel::links;
use crate::kernel::monitor::Event;
use crate::uplink::{Choice, Uplink};
use std::time::Instant;

impl Owner {
    /// Takes in everything announced up to now.
    pub(super) async fn catch_up(&mut self) {
        self.catch_up_with(false).await;
    }

    /// The same; with `wrote_forwarding`, the announcement of that switch is our own.
    pub(super) async fn catch_up_with(&mut self, wrote_forwarding: bool) {
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
                    if !wrote_forwarding {
                        self.forwarding_changed(on);
                    }
                }
                Event::Overrun => lost = true,
            }
        }
        if lost {
            self.prefixes = None;
            gone.extend(self.vanished().await);
        }
        for index in gone {
            // A future in a cycle needs a box: the last guest's end writes the forwarding switch.
            Box::pin(self.link_gone(index)).await;
        }
        if uplink || lost {
            if let Err(e) = self.refresh_uplink(began).await {
                log::error!("the uplink could not be followed: {e}");
            }
        }
    }

    fn concerns_uplink(&self, event: &Event) -> bool {
        let index = self.uplink.index;
        match event {
            Event::Link(link) => match &self.uplink.choice {
                Choice::Named(name) => link.name == name.as_str() || link.index == index,
                Choice::Default => link.index == index,
            },
            Event::LinkGone { index: gone } => *gone == index,
            Event::Address { index: changed } => *changed == index && index != 0,
            Event::Route { default, .. } => *default,
            Event::Forwarding { .. } | Event::Overrun => false,
        }
    }

    /// Guests whose link is not there any more, though nobody said so.
    async fn vanished(&mut self) -> Vec<u32> {
        let mut gone = Vec::new();
        for index in self.links.keys() {
            if matches!(links::by_index(&self.device, *index).await, Ok(None)) {
                gone.push(*index);
            }
        }
        gone
    }

    /// Reads the uplink anew; the rules, the guests' states and the listeners follow it.
    pub(super) async fn refresh_uplink(&mut self, noticed: Instant) -> Result<(), Error> {
        let current = Uplink::observe(&self.device, &self.config.uplink).await?;
        if current == self.uplink {
            return Ok(());
        }
        let usable = current.usable();
        let previous = std::mem::replace(&mut self.uplink, current.clone());
        self.refresh_firewall()?;
        let gap = u64::try_from(noticed.elapsed().as_micros()).unwrap_or(u64::MAX);
        match current.trouble() {
            None => log::info!("uplink: {}, {gap} us after the kernel's notice", text(&current)),
            Some(trouble) => log::warn!("uplink: {trouble}"),
        }
        (self.notify)(Notice::Uplink { previous: previous.clone(), current, gap });
        if usable != previous.usable() {
            let guests: Vec<_> = self.guests.values().map(|g| self.seen(g)).collect();
            for guest in guests {
                (self.notify)(Notice::Guest(GuestEvent::State, guest));
            }
        }
        Ok(())
    }

    /// Sets the packet filter to what it is to be now.
    pub(super) fn refresh_firewall(&mut self) -> Result<(), Error> {
        let ruleset = self.ruleset_with(None);
        if ruleset != self.ruleset {
            self.firewall.apply(&ruleset)?;
            log::info!("firewall: {}", ruleset.uplink.as_ref().map_or("no uplink", |u| u.as_str()));
            self.ruleset = ruleset;
        }
        Ok(())
    }
}

fn text(uplink: &Uplink) -> String {
    let name = uplink.name.as_ref().map_or("none", |n| n.as_str());
    let address = uplink.address.map_or("without address".to_owned(), |a| a.to_string());
    format!("{name} {address}, MTU {}", uplink.mtu)
}
