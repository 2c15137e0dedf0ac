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

//! What each guest has at rest, and what status says of it.

use super::closed::{packet, ELSEWHERE, STRANGER};
use super::guests::{name, vpn};
use super::{Bed, Known, Outcome, Way};
use crate::device;
use crate::netd;
use crate::schedule::inside;
use crate::tables;
use crate::world::world;
use guestnet_simulator::Fate;
use guestnetd::daemon::{GuestReport, Verdict, Whose};
use guestnetd::model::layer::{Layer, LayerState};
use guestnetd::spec::VpnPolicy;
use std::net::Ipv4Addr;

/// What status says of guests.
pub(super) type Said = Vec<GuestReport>;

/// The interface that packets leave by, and the address that they leave with.
type WayOut = (&'static str, Ipv4Addr);

impl Bed {
    /// A guest has what it should have, or nothing; and status has said so.
    pub(super) fn check(
        &mut self,
        guest: usize,
        address: Option<Ipv4Addr>,
        said: &Said,
    ) -> Outcome<()> {
        let (end, here) = (self.host_end(guest), self.known[guest] == Known::Attached);
        let who = name(guest);
        if !here {
            return match end {
                Some(end) => Err(format!("{who} is detached, and {end} is left of it")),
                None => Ok(()),
            };
        }
        let end = end.ok_or(format!("{who} is attached, and has no host end"))?;
        let way = self.way_out(guest);
        inside(|| self.is_there(guest, &end, address, way))?;
        let bad = self.not_well(guest, said)?;
        // One that is to have none is asked whether it says so.
        match (way.is_none() && self.cast.role(guest).leaves, bad.is_empty()) {
            (false, true) | (true, false) => Ok(()),
            (false, false) => Err(format!("{who} has all it needs, and status says {bad:?}")),
            (true, true) => Err(format!("{who} has no way out, and status says that all is well")),
        }
    }

    /// Its links are up, the packet filter knows it, and its packets leave as they are to.
    fn is_there(
        &self,
        guest: usize,
        end: &str,
        address: Option<Ipv4Addr>,
        way: Option<WayOut>,
    ) -> Outcome<()> {
        let (who, role, device) = (name(guest), self.cast.role(guest), world().device);
        let (netns, interface) = (self.guests[role.process].1, self.cast.interface(guest));
        let up = |netns, name: &str| device::link(netns, name).is_some_and(|l| l.flags & 1 != 0);
        if !up(device, end) {
            return Err(format!("{end} of {who} is down"));
        }
        if role.queues.is_none() && !up(netns, interface) {
            return Err(format!("{who} has no {interface} that is up"));
        }
        let known = match self.way {
            Way::Nftables => world().filter.knows_guest(device, end),
            Way::Xtables { .. } | Way::Netd(..) => tables::is_closed(world(), device),
        };
        if !known {
            return Err(format!("the packet filter does not know {end} of {who}"));
        }
        let link = |name: &str| device::link(device, name).map_or(0, |link| link.index);
        let (rules, address) = (world().filter.rules(device), address.unwrap_or(STRANGER));
        let ours = world().kernel.packet(device, &rules, &packet(link(end), address, ELSEWHERE));
        let way = way.filter(|_| role.leaves);
        let leaves = way.is_some_and(|(uplink, address)| {
            let uplink = link(uplink) as u32;
            matches!(ours, Fate::Sent { output, from, .. } if output == uplink && from == address)
        });
        match way {
            Some(_) if !leaves => {
                Err(format!("a packet of {who}'s does not leave as the device's: {ours:?}"))
            }
            None if matches!(ours, Fate::Sent { .. }) => {
                Err(format!("{who} has no way out, and its packets leave: {ours:?}"))
            }
            _ => Ok(()),
        }
    }

    /// What status says of all guests.
    pub(super) fn said(&self) -> Outcome<Said> {
        let handle = self.handle();
        let said = self.begin(move || {
            let report = handle.status(None, Whose::Everyones);
            report.map_err(|e| e.to_string()).map(|report| report.guests)
        });
        self.answer("status", &said)?.ok_or("it was killed at rest")?
    }

    /// What of that is not well with one.
    fn not_well(&self, guest: usize, said: &Said) -> Outcome<Vec<String>> {
        // There is no resolver here, and it says so.
        let leaves = self.cast.role(guest).leaves;
        let well = if leaves { Verdict::NoNames } else { Verdict::NoUplink };
        let who = name(guest);
        let one = said.iter().find(|one| *one.guest.name() == who);
        let one = one.ok_or(format!("status does not know {who}"))?;
        let mut bad = Vec::new();
        if one.verdict != well {
            bad.push(format!("{:?}: {:?}", one.verdict, one.reason));
        }
        let segment = one.layers.iter().filter(|layer| layer.layer == Layer::Segment);
        let broken = segment.filter(|layer| layer.state != LayerState::Ok);
        bad.extend(broken.map(|layer| format!("{layer:?}")));
        Ok(bad)
    }

    /// By which interface a guest is to leave at rest, and as whom; none: it is not to.
    fn way_out(&self, guest: usize) -> Option<WayOut> {
        let Some(netd) = netd::netd() else { return Some(("wlan0", Ipv4Addr::new(192, 0, 2, 7))) };
        match vpn(guest) {
            VpnPolicy::NamedTun(_) => netd::way_by_vpn(),
            VpnPolicy::BlockUnderLockdown if netd.wanted.lockdown => None,
            _ => netd::way_out(),
        }
    }
}
