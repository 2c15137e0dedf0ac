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

//! Tracked connections that no longer fit: of an address that the uplink has no more, to a resolver
//! that was replaced, of a guest that is stopped.

use crate::error::KernelError;
use crate::kernel::conntrack::{self, Ends};
use crate::model::guest_table::GuestTable;
use crate::model::world::World;
use std::net::Ipv4Addr;

/// What guests' connections leave with.
#[derive(Debug)]
pub(crate) struct Connections {
    /// The uplink's address, as it was when there was one last.
    source: Option<Ipv4Addr>,
}

impl Connections {
    pub(crate) fn new(world: &World) -> Self {
        Self { source: world.uplink.address }
    }

    /// Connections that left with an address that the uplink has no more would go on with it, to
    /// nobody's use. An address that comes back finds its own.
    pub(crate) fn reconcile(&mut self, world: &World) {
        let Some(address) = world.uplink.address.filter(|_| world.uplink.usable()) else { return };
        if let Some(old) = self.source.replace(address).filter(|old| *old != address) {
            forget(&format!("of the uplink's address {old}"), &|ends| {
                ends.answered_to == old && world.guests.leases.subnet_with(ends.from).is_some()
            });
        }
    }
}

/// After another resolver was set: who asks again from the same port would be answered by the old
/// one, or by nobody.
/// Those of an address that another guest had, or that a guest has had.
pub(crate) fn forget_address(address: Ipv4Addr) -> Result<(), KernelError> {
    conntrack::forget(address)
}

pub(super) fn forget_questions(guests: &GuestTable) {
    forget("to the resolver", &|ends| {
        ends.to != ends.answered_by
            && guests.leases.subnet_with(ends.from).is_some_and(|s| s.gateway == ends.to)
    });
}

/// After a guest was stopped: with its connections go the answers that it would still receive.
pub(super) fn forget_guest(address: Ipv4Addr) {
    forget(&format!("of the stopped guest {address}"), &|ends| ends.from == address);
}

fn forget(which: &str, such: &dyn Fn(&Ends) -> bool) {
    match conntrack::forget_all(such) {
        Ok(0) => {}
        Ok(n) => log::info!("{n} connections {which} forgotten"),
        Err(e) => log::warn!("connections {which} stay: {e}"),
    }
}
