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

//! The guests whose questions for names go to guestnetd's forwarder, kept: of a thousand of them one that comes or
//! goes has no other put together again.

use super::servers::asks;
use crate::model::dns::NameServers;
use crate::model::guest_table::Attached;
use crate::model::if_index::IfIndex;
use crate::model::names::Names;
use crate::model::world::World;
use crate::ordered::{OrderedMap, OrderedSet};
use crate::serve::dns::{Guest, Guests, Peers};
use crate::spec::{IfName, SegmentName};
use std::sync::Arc;

/// Those that there were last.
#[derive(Default)]
pub(in crate::daemon) struct Askers {
    guests: Guests,
    around: Option<Around>,
}

/// All but the guest itself that says what is said of it to the forwarder.
#[derive(PartialEq, Eq)]
struct Around {
    /// Whether a lockdown stops guests.
    stops: bool,
    servers: NameServers,
    /// Whether there is a resolver that DNAT can lead to.
    leads: bool,
    /// How many resolvers there are behind each tun.
    tuns: Vec<(IfName, usize)>,
    /// Which of the servers are of no use.
    names: Names,
    /// The guests of each segment, where they are to have names.
    peers: OrderedMap<SegmentName, Arc<Peers>>,
}

impl Askers {
    /// Brings them to this world, of which these guests have changed.
    pub(super) fn bring(
        &mut self,
        world: &World,
        changed: &OrderedSet<IfIndex>,
        named: bool,
    ) -> Guests {
        let around = Around::of(world, named);
        if self.around.as_ref() != Some(&around) {
            self.guests = Arc::new(all(world, &around));
        } else {
            for index in changed {
                self.put(
                    *index,
                    world.guests.by_index(*index).and_then(|one| around.of_guest(world, one)),
                );
            }
        }
        // Each guestnetd of the tests has this looked at.
        debug_assert!(*self.guests == all(world, &around), "a guest that asks has changed unseen");
        self.around = Some(around);
        Arc::clone(&self.guests)
    }

    fn put(&mut self, index: IfIndex, guest: Option<Guest>) {
        match (guest, self.guests.get(&index)) {
            (None, None) => {}
            (Some(guest), Some(there)) if **there == guest => {}
            (Some(guest), _) => {
                drop(Arc::make_mut(&mut self.guests).insert(index, Arc::new(guest)))
            }
            (None, Some(_)) => drop(Arc::make_mut(&mut self.guests).remove(&index)),
        }
    }
}

impl Around {
    fn of(world: &World, named: bool) -> Self {
        Self {
            stops: world.lockdown.stops(),
            servers: world.name_servers.clone(),
            leads: !world.uplink.resolvers.is_empty(),
            tuns: world
                .tuns
                .iter()
                .map(|(name, tun)| (name.clone(), tun.resolvers.len()))
                .collect(),
            names: world.names.clone(),
            peers: if named { peers(world) } else { OrderedMap::new() },
        }
    }

    /// What is said of a guest; none: its questions go elsewhere.
    fn of_guest(&self, world: &World, guest: &Attached) -> Option<Guest> {
        let peers = guest.spec.segment.as_ref().and_then(|on| self.peers.get(on)).cloned();
        let forwards = world.forwards(&guest.net.dns, &guest.net.vpn);
        forwards.then(|| Guest { peers, ..asks(world, guest) })
    }
}

/// All of them, whatever was there before.
fn all(world: &World, around: &Around) -> OrderedMap<IfIndex, Arc<Guest>> {
    let of = |guest: &Attached| Some((guest.index, Arc::new(around.of_guest(world, guest)?)));
    world.guests.attached().filter_map(of).collect()
}

fn peers(world: &World) -> OrderedMap<SegmentName, Arc<Peers>> {
    let mut peers = OrderedMap::<_, Peers>::new();
    for guest in world.guests.attached() {
        if let Some(segment) = &guest.spec.segment {
            let peers = peers.entry(segment.clone()).or_default();
            peers.add(guest.name().as_str(), guest.net.guest.address);
        }
    }
    peers.into_iter().map(|(segment, peers)| (segment, Arc::new(peers))).collect()
}
