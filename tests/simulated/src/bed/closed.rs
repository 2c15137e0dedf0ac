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

//! What must hold between any two writes, and the packets that are followed for it.

use crate::netd;
use crate::segments;
use crate::tables;
use crate::world::World;
use guestnet_simulator::{Connection, Fate, Packet};
use guestnetd::model::ownership::LINK_GROUP;
use std::net::Ipv4Addr;

/// An address that is nobody's.
pub const STRANGER: Ipv4Addr = Ipv4Addr::new(10, 66, 6, 6);
/// The internet.
pub const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 9);
/// The first addresses that guests get in two of their subnets.
const GUESTS_OWN: [Ipv4Addr; 2] = [Ipv4Addr::new(172, 17, 3, 3), Ipv4Addr::new(172, 28, 3, 3)];

/// The first packet of a connection.
pub fn packet(input: i32, from: Ipv4Addr, to: Ipv4Addr) -> Packet {
    let (input, ports, connection) = (input as u32, (40_000, 443), Connection::New);
    Packet { input, from, to, protocol: libc::IPPROTO_TCP as u8, ports, connection }
}

/// What must be so between any two writes: what a guest could send by its link meets guestnetd's rules, and
/// nothing passes under another address than a guest's own, or to another guest.
pub(super) fn closed(world: &mut World) -> Result<(), String> {
    netd::stays_stopped(world)?;
    let device = world.device;
    let ours = |(index, name, flags, group): (u32, &str, u32, u32)| {
        (group == LINK_GROUP && flags & 1 != 0).then(|| (index, name.to_owned()))
    };
    let mut links: Vec<_> = world.kernel.links(device).filter_map(ours).collect();
    // What comes in by a segment's device its filters have taken.
    links.retain(|(index, _)| !segments::is_hubs(world, *index));
    let Some((_, first)) = links.first() else { return Ok(()) };
    // What others have opened guestnetd closes when it hears of it, or looks.
    if let Some(opened) = world.opened {
        if tables::generation(world, device) == opened || !tables::is_closed(world, device) {
            return Ok(());
        }
        world.opened = None;
    }
    if !tables::is_closed(world, device) {
        return Err(format!("{first} is up, and the packet filter is open"));
    }
    let generation = tables::generation(world, device);
    let filtered = world.kernel.filtered();
    if world.cast.has_segments() && world.looked_at_filters != filtered {
        world.looked_at_filters = filtered;
        segments::apart(world)?;
    }
    if std::mem::replace(&mut world.looked, generation) == generation {
        return Ok(());
    }
    let rules = world.filter.rules(device);
    for (index, name) in &links {
        for (from, to) in
            [(STRANGER, ELSEWHERE), (STRANGER, GUESTS_OWN[0]), (GUESTS_OWN[0], GUESTS_OWN[1])]
        {
            let fate = world.kernel.packet(device, &rules, &packet(*index as i32, from, to));
            // One of these addresses may be this guest's own.
            if from == STRANGER && matches!(fate, Fate::Sent { .. }) {
                return Err(format!("{from} to {to} by {name}: {fate:?}"));
            }
            let by_guest = |output: u32| links.iter().any(|(index, _)| *index == output);
            if matches!(fate, Fate::Sent { output, .. } if by_guest(output)) {
                return Err(format!("{from} to {to} by {name}, another guest's: {fate:?}"));
            }
        }
    }
    Ok(())
}
