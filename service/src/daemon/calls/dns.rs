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

//! A caller says what it knows of an uplink (the resolvers behind it, and what is told by DHCP), and of the
//! device.

use crate::daemon::reconcile::debounce::Due;
use crate::daemon::reconcile::servers::served;
use crate::daemon::{Attached, Daemon, DnsReport, Whose};
use crate::error::Error;
use crate::model::world::World;
use crate::ordered::sort_short;
use crate::spec::{DeviceState, IfName, UplinkInfo};
use std::net::Ipv4Addr;
use std::time::Instant;

impl Daemon {
    /// None: what is found counts again.
    pub(in crate::daemon) fn set_resolvers(
        &mut self,
        uplink: IfName,
        servers: Vec<Ipv4Addr>,
    ) -> Result<(), Error> {
        let in_use = self.world.uplink.name.clone();
        self.resolvers.name(&self.store, uplink.clone(), servers, in_use.as_ref())?;
        // It is remembered: should it not be in place now, status says so, and it is tried again.
        if in_use.as_ref() == Some(&uplink) || self.world.tuns.contains_key(&uplink) {
            self.debounce.trigger(Due { uplink: true, ..Due::default() }, Instant::now());
            self.settle();
        }
        Ok(())
    }

    /// Who answers these guests' questions, and what callers have named.
    pub(in crate::daemon) fn dns(&self, whose: Whose) -> DnsReport {
        let served = |guest: &Attached| (guest.name().clone(), served(&self.world, guest));
        let guests = self.world.guests.attached().filter(|guest| whose.has(guest));
        let mut guests: Vec<_> = guests.map(served).collect();
        sort_short(&mut guests, |(one, _), (other, _)| one < other);
        DnsReport { named: self.resolvers.all_named().clone(), guests }
    }

    /// Guests that have a lease ask again where it matters to them.
    pub(in crate::daemon) fn set_uplink_info(&mut self, uplink: IfName, info: UplinkInfo) {
        self.settle();
        let World { uplink_infos, uplink: in_use, .. } = &mut self.world;
        uplink_infos.tell(uplink, info, in_use.name.as_ref());
        self.bring_servers();
    }

    /// What others may have changed while it was idle is looked for as soon as it is not.
    pub(in crate::daemon) fn set_device_state(&mut self, state: DeviceState) {
        self.settle();
        let before = std::mem::replace(&mut self.world.device_state, state);
        if before.idle && !state.idle && !self.world.guests.is_empty() {
            self.check_all(Instant::now());
        }
    }
}
