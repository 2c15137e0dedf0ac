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

//! What the owner's state is made of, where several values are about one thing. No decision is made here.

use super::calls::repair::Keeping;
use super::guest::worker::Worker;
use super::reconcile::askers::Askers;
use super::reconcile::servers::Leases;
use crate::effects::resource::{
    Connections, Forwarding, Managed, PacketFilter, PolicyRouting, Segments,
};
use crate::model::backoff::{Backoffs, REPAIR, RETRY};
use crate::model::if_index::IfIndex;
use crate::ordered::OrderedSet;
use crate::serve::Servers;
use std::collections::HashMap;
use std::io;
use std::time::Instant;

/// What guests share in the kernel.
pub(super) struct SharedResources {
    pub(super) packet_filter: Managed<PacketFilter>,
    pub(super) policy_routing: Managed<PolicyRouting>,
    pub(super) segments: Managed<Segments>,
    pub(super) forwarding: Managed<Forwarding>,
    pub(super) connections: Connections,
}

/// Servers for guests.
pub(super) struct Serving {
    pub(super) servers: Servers,
    /// Who asks them for names.
    pub(super) askers: Askers,
    /// When what guests were told by DHCP is kept.
    pub(super) leases: Leases,
}

impl Serving {
    pub(super) fn new() -> io::Result<Self> {
        let (askers, leases) = Default::default();
        Ok(Self { servers: Servers::new()?, askers, leases })
    }
}

/// What is done for live guests, most of it by the indexes of their host ends.
pub(super) struct Upkeep {
    /// Brings their ends to what they should be.
    pub(super) worker: Worker,
    /// How often what others take from host ends is put back.
    pub(super) guest_repairs: Backoffs<IfIndex>,
    /// How often links of attaches that failed, which could not be deleted, are tried again.
    pub(super) half_made: Backoffs<IfIndex>,
    /// Host ends that are down until their marks can be put back.
    pub(super) shut: OrderedSet<IfIndex>,
    /// Guests that are kept as they are.
    pub(super) keeping: Keeping,
    /// How often what they keep losing is put back.
    pub(super) kept_repairs: Backoffs<IfIndex>,
    /// How often ends had come up when all was well there.
    pub(super) well_at: HashMap<IfIndex, u32>,
    /// When guests' sides were looked at last where that is dear.
    pub(super) looked_at: HashMap<IfIndex, Instant>,
}

impl Upkeep {
    pub(super) fn new() -> Self {
        Self {
            worker: Worker::default(),
            guest_repairs: Backoffs::new(&REPAIR),
            half_made: Backoffs::new(&RETRY),
            shut: OrderedSet::new(),
            keeping: Keeping::default(),
            kept_repairs: Backoffs::new(&REPAIR),
            well_at: HashMap::new(),
            looked_at: HashMap::new(),
        }
    }
}
