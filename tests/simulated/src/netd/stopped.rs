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

//! What must hold under a lockdown, between any two writes: the guest that it stops, once it was stopped, sends
//! nothing by an uplink before the lockdown is over, whatever netd, the framework or guestnetd do meanwhile.

use crate::bed::{packet, BLOCKED, ELSEWHERE};
use crate::device;
use crate::world::World;
use guestnet_simulator::Fate;
use std::net::Ipv4Addr;

/// Whether it does.
pub fn stays_stopped(world: &mut World) -> Result<(), String> {
    if !world.netd.as_ref().is_some_and(|netd| netd.wanted.lockdown) {
        return Ok(());
    }
    let device = world.device;
    let is_its = |link: &device::Seen| {
        let alias = link.alias.as_deref().unwrap_or_default();
        link.flags & 1 != 0
            && alias.split(|c: char| !c.is_ascii_alphanumeric()).any(|w| w == BLOCKED)
    };
    let Some(link) = device::links_of(world, device).into_iter().find(is_its) else {
        return Ok(());
    };
    let rules = world.filter.rules(device);
    // Its address is one of the first of its subnet.
    for last in 3..7 {
        let asked = packet(link.index, Ipv4Addr::new(172, 28, 3, last), ELSEWHERE);
        let fate = world.kernel.packet(device, &rules, &asked);
        let Some(netd) = &mut world.netd else { return Ok(()) };
        match fate {
            Fate::Refused(libc::EACCES) => {
                netd.stopped = true;
                return Ok(());
            }
            Fate::Sent { .. } if netd.stopped => {
                return Err(format!("{BLOCKED} leaves under a lockdown: {fate:?}"));
            }
            _ => {}
        }
    }
    Ok(())
}
