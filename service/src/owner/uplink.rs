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

//! Follows the uplink: the packet filter, the guests' states and MTUs, and the listeners are
//! brought to where it is now.

use super::{GuestEvent, Notice, Owner};
use crate::error::Error;
use crate::uplink::Uplink;
use std::time::Instant;

impl Owner {
    /// Reads the uplink anew.
    pub(super) fn refresh_uplink(&mut self, noticed: Instant) -> Result<(), Error> {
        let current = Uplink::observe(&self.device, &self.config.uplink)?;
        if current == self.uplink {
            return Ok(());
        }
        let usable = current.usable();
        let previous = std::mem::replace(&mut self.uplink, current.clone());
        let filtered = self.refresh_firewall();
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
        self.follow_mtu();
        filtered
    }

    /// Sets the packet filter to what it is to be now. What fails is tried again later.
    pub(super) fn refresh_firewall(&mut self) -> Result<(), Error> {
        let ruleset = self.ruleset_with(None);
        if ruleset == self.ruleset && self.firewall_error.is_none() {
            return Ok(());
        }
        if let Err(e) = self.firewall.apply(&ruleset) {
            self.firewall_error = Some(e.to_string());
            return Err(e.into());
        }
        log::info!("firewall: {}", ruleset.ways_out());
        self.firewall_error = None;
        self.ruleset = ruleset;
        Ok(())
    }
}

fn text(uplink: &Uplink) -> String {
    let name = uplink.name.as_ref().map_or("none", |n| n.as_str());
    let address = uplink.address.map_or("without address".to_owned(), |a| a.to_string());
    format!("{name} {address}, MTU {}", uplink.mtu)
}
