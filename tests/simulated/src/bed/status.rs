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

//! What status says, held against what becomes of packets before it was asked and after.

use super::closed::{packet, ELSEWHERE};
use super::guests::{name, vpn};
use super::{Bed, Outcome};
use crate::device;
use crate::history::GUESTS;
use crate::schedule::inside;
use crate::segments;
use crate::world::{world, Hearing};
use guestnet_simulator::Fate;
use guestnetd::daemon::{GuestReport, Verdict, Whose};
use guestnetd::model::layer::{Layer, LayerReport, LayerState};
use guestnetd::spec::{GuestName, VpnPolicy};
use std::net::Ipv4Addr;

/// What keeps guests' packets from the internet, as it is read.
const UNFORWARDED: &str = "nothing is forwarded";

/// What status says of a device.
#[derive(Debug)]
struct Said {
    well: bool,
    forwards: bool,
    guests: Vec<SaidOf>,
}

/// The same of a guest.
#[derive(Debug)]
struct SaidOf {
    name: String,
    index: u32,
    address: Ipv4Addr,
    well: bool,
    /// Whether its place in its segment is as it should be; none: it has none.
    segment: Option<bool>,
}

impl Bed {
    /// Somebody asks how it is: what nothing can pass by is not told as well.
    pub(super) fn ask_status(&mut self, guest: Option<usize>) -> Outcome<()> {
        let first = self.status(guest)?;
        // The kernel has queued an announcement before who caused it goes on: only what is read again
        // each time is known while they are held back.
        let late = world().hearing == Hearing::Late;
        let broken = self.broken(guest).filter(|what| !late || *what == UNFORWARDED);
        // Of the uplink it knows what it has heard; where netd is, of all ways out.
        let netd = self.way.has_netd();
        let hears = !late || !netd && inside(|| device::has_default_route(world().device));
        let cut = |said: &Option<Said>| -> Vec<(u32, Ipv4Addr, String)> {
            let guests = said.iter().flat_map(|said| &said.guests).filter(|_| hears);
            guests.filter_map(|guest| inside(|| self.is_cut(guest))).collect()
        };
        let cut_before = cut(&first);
        let apart_before = self.cut_off(first.as_ref());
        if world().killed {
            return Ok(());
        }
        let said = self.status(guest)?;
        self.say(|| format!("status {guest:?}: {said:?}, and {broken:?}"));
        let cut_after = cut(&said);
        let apart_after = self.cut_off(said.as_ref());
        // What was so before the call and is so after it was so all the time.
        let still = broken.filter(|_| !world().killed && self.broken(guest) == broken);
        let Some(said) = said.filter(|_| !world().killed) else { return Ok(()) };
        match still {
            Some(what) if said.well => {
                return Err(format!("{what}, and status says that all is well"));
            }
            Some(UNFORWARDED) if said.forwards => {
                return Err(format!("{UNFORWARDED}, and status says that it is"));
            }
            _ => {}
        }
        if let Some((name, why)) = apart_after.iter().find(|one| apart_before.contains(one)) {
            return Err(format!(
                "{name} is cut off from its segment, and status says it is not: {why}"
            ));
        }
        for (index, address, why) in cut_after {
            let was = cut_before.iter().any(|one| (one.0, one.1) == (index, address));
            let well = |one: &&SaidOf| one.index == index && one.well;
            if let Some(guest) = said.guests.iter().find(well).filter(|_| was) {
                let name = &guest.name;
                return Err(format!("nothing of {name}'s leaves, and status says it does: {why}"));
            }
        }
        Ok(())
    }

    /// What status says; none: guestnetd was killed meanwhile, or does not know the guest.
    fn status(&self, guest: Option<usize>) -> Outcome<Option<Said>> {
        let handle = self.handle();
        let is_well = |verdict: Verdict| matches!(verdict, Verdict::Internet | Verdict::NoNames);
        let answer = self.begin(move || {
            let report = handle.status(guest.map(name), Whose::Everyones).ok()?;
            let on =
                |one: &LayerReport| one.layer == Layer::Forwarding && one.state == LayerState::Ok;
            let of = |one: &GuestReport| SaidOf {
                name: one.guest.name().to_string(),
                index: one.guest.index.get(),
                address: one.guest.net.guest.address,
                well: is_well(one.verdict),
                segment: one
                    .layers
                    .iter()
                    .find(|layer| layer.layer == Layer::Segment)
                    .map(|layer| layer.state == LayerState::Ok),
            };
            Some(Said {
                well: is_well(report.verdict),
                // Where there is no guest it may be off.
                forwards: !report.guests.is_empty() && report.layers.iter().any(on),
                guests: report.guests.iter().map(of).collect(),
            })
        });
        Ok(self.answer("status", &answer)?.flatten())
    }

    /// What becomes of a packet of a guest's that should leave, where it does not.
    fn is_cut(&self, guest: &SaidOf) -> Option<(u32, Ipv4Addr, String)> {
        let device = world().device;
        let asked = packet(guest.index as i32, guest.address, ELSEWHERE);
        let up =
            |(index, _, flags, _): (u32, &str, u32, u32)| index == guest.index && flags & 1 != 0;
        if !world().kernel.links(device).any(up) {
            return Some((guest.index, guest.address, "its host end is down, or not there".into()));
        }
        let rules = world().filter.rules(device);
        match world().kernel.packet(device, &rules, &asked) {
            Fate::Sent { .. } => None,
            fate => Some((guest.index, guest.address, format!("{fate:?}"))),
        }
    }

    /// Guests that their segment does not reach, of whom status says that it does, and why it does not.
    fn cut_off(&self, said: Option<&Said>) -> Vec<(String, String)> {
        let well =
            said.iter().flat_map(|said| &said.guests).filter(|one| one.segment == Some(true));
        let cut = |one: &SaidOf| {
            let guest = segments::guest_of(&GuestName::new(&one.name)?)?;
            let why = inside(|| segments::cut(self.cast, guest, one.index, one.address))?;
            Some((one.name.clone(), why))
        };
        well.filter_map(cut).collect()
    }

    /// What keeps every guest's packets from the internet, where there are guests; or this one's.
    fn broken(&self, asked: Option<usize>) -> Option<&'static str> {
        let device = world().device;
        // Who leaves by the VPN needs no default network.
        let needs = |guest: &usize| !matches!(vpn(*guest), VpnPolicy::NamedTun(_));
        let mut those = (0..GUESTS).filter(|guest| asked.is_none_or(|asked| asked == *guest));
        let needs = !self.way.has_netd()
            || those.any(|guest| needs(&guest) && self.host_end(guest).is_some());
        inside(|| {
            let guests = segments::leaving(world());
            let on = world().kernel.read(device, "/proc/sys/net/ipv4/ip_forward");
            let on = on.is_ok_and(|value| value.trim_ascii() == b"1");
            match () {
                () if guests == 0 => None,
                () if !on => Some(UNFORWARDED),
                () if needs && !device::has_default_route(device) => {
                    Some("there is no default route")
                }
                () => None,
            }
        })
    }
}
