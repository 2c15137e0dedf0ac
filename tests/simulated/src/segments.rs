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

//! Segments in a history: who gets a guest's frames, what others do to a segment's device, and what there is of both.

use crate::cast::{Cast, SEGMENTS};
use crate::device;
use crate::history::GUESTS;
use crate::wire::{attributes, ifinfo, Message, CHANGE, DUMP};
use crate::world::{all_messages, world, World};
use guestnet_simulator::{Heard, Netns, ROUTE};
use guestnetd::model::ownership::{hub, Mac};
use guestnetd::spec::{GuestName, SegmentName};
use std::net::Ipv4Addr;
use std::sync::OnceLock;

const RTM_NEWLINK: u16 = 16;
const RTM_DELQDISC: u16 = 37;
const RTM_NEWTFILTER: u16 = 44;
const RTM_GETTFILTER: u16 = 46;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const INGRESS: u32 = 0xffff_fff2;
const EGRESS: u32 = 0xffff_fff3;
const UP: u32 = 1;
const LOWER_UP: u32 = 1 << 16;
const ALL: [u8; 6] = [0xff; 6];

/// The name of a segment's device.
pub fn device_of(segment: usize) -> String {
    hub(&SegmentName::new(SEGMENTS[segment]).expect("a name")).to_string()
}

/// What others do to the device of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// It is deleted.
    Gone,
    /// It is set down.
    Down,
    /// Its port is a port of nothing any more.
    NoPort,
    /// Its port's other end is set down.
    NoCarrier,
    /// It has another name.
    Renamed,
    /// Its filters are gone.
    NoFilters,
    /// One filter is gone.
    NoFilter,
}

/// All of that.
pub const DAMAGE: [Damage; 7] = [
    Damage::Gone,
    Damage::Down,
    Damage::NoPort,
    Damage::NoCarrier,
    Damage::Renamed,
    Damage::NoFilters,
    Damage::NoFilter,
];

/// What others have made of a segment's device by another name.
pub const RENAMED: &str = "bridge0";

/// Does it, where there is one.
pub fn damage(segment: usize, what: Damage) {
    let (netns, name) = (world().device, device_of(segment));
    let Some(link) = device::link(netns, &name) else { return };
    // Its port and that one's other end have names of their own (`IfName::carriers()`).
    let end =
        |mark: &str| name.replacen('_', "\0", 1).replacen('_', mark, 1).replacen('\0', "_", 1);
    let ask = |message: Message| drop(world().ask(netns, ROUTE, &message.bytes()));
    match what {
        Damage::Gone => drop(device::delete(netns, &name)),
        Damage::Down => drop(device::set_up(netns, &name, false)),
        Damage::NoPort => {
            if let Some(port) = device::link(netns, &end("-")) {
                let message = Message::new(RTM_NEWLINK, CHANGE, &ifinfo(port.index, 0, 0));
                ask(message.with(IFLA_MASTER, &[0; 4]));
            }
        }
        Damage::NoCarrier => drop(device::set_up(netns, &end("."), false)),
        Damage::Renamed => {
            device::set_up(netns, &name, false);
            device::rename(netns, &name, RENAMED);
        }
        Damage::NoFilters => no_filters(netns, link.index as u32),
        Damage::NoFilter => {
            ask(Message::new(45, CHANGE, &tcmsg(link.index as u32, INGRESS, 2 << 16)))
        }
    }
}

/// The filters of a link are gone.
pub fn no_filters(netns: Netns, index: u32) {
    let mut header = tcmsg(index, 0xffff_fff1, 0);
    header[8..12].copy_from_slice(&0xffff_0000u32.to_ne_bytes());
    world().ask(netns, ROUTE, &Message::new(RTM_DELQDISC, CHANGE, &header).bytes());
}

/// `struct tcmsg`.
fn tcmsg(index: u32, parent: u32, info: u32) -> Vec<u8> {
    [0, index, 0, parent, info].map(u32::to_ne_bytes).concat()
}

/// A frame of UDP.
fn frame(to: [u8; 6], from: [u8; 6], source: Ipv4Addr, destination: Ipv4Addr) -> Vec<u8> {
    let mut bytes = [to, from].concat();
    bytes.extend([8, 0, 0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0]);
    bytes.extend(source.octets());
    bytes.extend(destination.octets());
    bytes.extend([0x9c, 0x40, 0x9c, 0x40, 0, 8, 0, 0]);
    bytes
}

/// A guest's link as it is seen, whatever it is called.
#[derive(Clone, Copy, Debug)]
struct End {
    guest: usize,
    index: u32,
}

/// The MACs of each guest's two ends, the device's first.
fn macs() -> &'static [[[u8; 6]; 2]; GUESTS] {
    static MACS: OnceLock<[[[u8; 6]; 2]; GUESTS]> = OnceLock::new();
    MACS.get_or_init(|| {
        std::array::from_fn(|guest| {
            let name = crate::bed::name(guest);
            [Mac::host(&name).0, Mac::guest(&name).0]
        })
    })
}

fn own(guest: usize) -> [u8; 6] {
    macs()[guest][1]
}

/// The guests' links, by their MACs.
fn ends(world: &World) -> Vec<End> {
    let of = |index: u32| {
        let mac = world.kernel.mac(world.device, index)?;
        macs().iter().position(|[host, _]| *host == mac).map(|guest| End { guest, index })
    };
    world.kernel.links(world.device).filter_map(|(index, ..)| of(index)).collect()
}

/// Whether a link is a segment's device, or gives one its carrier: by what their MACs begin with (`Mac::hub()`).
pub fn is_hubs(world: &World, index: u32) -> bool {
    world.kernel.mac(world.device, index).is_some_and(|mac| mac.starts_with(&[0x0a, 0x67]))
}

/// How many guests there are that have a way out.
pub fn leaving(world: &World) -> usize {
    ends(world).iter().filter(|end| world.cast.role(end.guest).leaves).count()
}

/// What must be so between any two writes: no frame comes to a guest of another segment, or of none; nor to one of the
/// same if it says that it is from somebody else.
pub fn apart(world: &World) -> Result<(), String> {
    let all = ends(world);
    let segment = |end: &End| world.cast.role(end.guest).segment;
    for one in &all {
        for other in all.iter().filter(|other| other.guest != one.guest) {
            let together = segment(one).is_some() && segment(one) == segment(other);
            for (from, true_mac) in [(own(one.guest), true), (own(other.guest), false)] {
                for to in [own(other.guest), ALL] {
                    let stranger = frame(to, from, crate::bed::STRANGER, Ipv4Addr::BROADCAST);
                    let heard = world.kernel.frame(world.device, one.index, &stranger);
                    let reached = heard.iter().find_map(|heard| match heard {
                        Heard::Sent(index) => all.iter().find(|end| end.index == *index),
                        _ => None,
                    });
                    if let Some(reached) = reached {
                        return Err(format!(
                            "a stranger's frame comes from guest {} to guest {} (own MAC: {true_mac}, one segment: {together})",
                            one.guest, reached.guest
                        ));
                    }
                }
            }
        }
    }
    Ok(())
}

/// Who gets what an attached guest sends to all and to each other one: all of its segment, and nobody else.
pub fn reached(guests: &[(usize, Ipv4Addr)]) -> Result<(), String> {
    let world = world();
    let all = ends(world);
    let index = |guest: usize| all.iter().find(|end| end.guest == guest).map(|end| end.index);
    for (guest, address) in guests {
        let Some(at) = index(*guest) else { continue };
        let with = |other: usize| {
            let segment = world.cast.role(*guest).segment;
            other != *guest && segment.is_some() && segment == world.cast.role(other).segment
        };
        let is_guests = |heard: &Heard| match heard {
            Heard::Sent(index) => all.iter().any(|end| end.index == *index),
            _ => true,
        };
        let hears = |to, destination| {
            let frame = frame(to, own(*guest), *address, destination);
            let mut heard = world.kernel.frame(world.device, at, &frame);
            heard.retain(is_guests);
            heard.sort();
            heard
        };
        let who = crate::bed::name(*guest);
        let mut expected = vec![Heard::Here(at)];
        for (other, theirs) in guests.iter().filter(|(other, _)| other != guest) {
            let Some(there) = index(*other) else { continue };
            let one = Heard::Sent(there);
            let wanted = match world.cast.role(*guest).segment {
                _ if with(*other) => vec![one],
                // Its segment takes what is for any guest.
                Some(_) => Vec::new(),
                None => vec![Heard::Here(at)],
            };
            let heard = hears(own(*other), *theirs);
            if heard != wanted {
                let other = crate::bed::name(*other);
                return Err(format!(
                    "{who}'s frame to {other} comes to {heard:?}, not to {wanted:?}"
                ));
            }
            expected.extend(with(*other).then_some(one));
        }
        expected.sort();
        let heard = hears(ALL, Ipv4Addr::BROADCAST);
        if heard != expected {
            return Err(format!(
                "a frame of {who}'s to all comes to {heard:?}, not to {expected:?}"
            ));
        }
    }
    Ok(())
}

/// Why a guest does not reach its segment, or is not reached; none: it is, or is on none.
pub fn cut(cast: Cast, guest: usize, index: u32, address: Ipv4Addr) -> Option<String> {
    let world = world();
    let device = device_of(cast.role(guest).segment?);
    let found = world.kernel.links(world.device).find(|(_, name, ..)| *name == device);
    let Some((hub, _, flags, _)) = found else { return Some("there is no such device".into()) };
    if flags & (UP | LOWER_UP) != UP | LOWER_UP {
        return Some("its device is down, or has no carrier".into());
    }
    // Of a link that is down its own layer speaks.
    let own_flags =
        world.kernel.links(world.device).find(|link| link.0 == index).map(|link| link.2);
    if own_flags.is_none_or(|flags| flags & (UP | LOWER_UP) != UP | LOWER_UP) {
        return None;
    }
    // Some guest that is not there.
    let nobody = [own(guest)[0], own(guest)[1], 1, 2, 3, 4];
    let sent = frame(nobody, own(guest), address, Ipv4Addr::BROADCAST);
    if world.kernel.frame(world.device, index, &sent).contains(&Heard::Here(index)) {
        return Some("what it sends to another stays here".into());
    }
    let comes = frame(own(guest), nobody, Ipv4Addr::BROADCAST, address);
    match world.kernel.frame(world.device, hub, &comes)[..] {
        [Heard::Sent(to)] if to == index => None,
        ref other => Some(format!("what is for it comes to {other:?}")),
    }
}

/// Bridges, their ports and all filters, in a form that does not depend on the way there.
pub fn lines(netns: Netns) -> Vec<String> {
    let mut lines = Vec::new();
    let (_, answers) = world().ask(netns, ROUTE, &Message::new(18, DUMP, &ifinfo(0, 0, 0)).bytes());
    let links = device::links(netns);
    let name = |index: u32| {
        let found = links.iter().find(|link| link.index as u32 == index);
        found.map_or_else(|| format!("#{index}"), |link| link.name.clone())
    };
    let word = |bytes: &[u8], at: usize| {
        bytes
            .get(at..at + 4)
            .map_or(0, |four| u32::from_ne_bytes(four.try_into().unwrap_or_default()))
    };
    for message in all_messages(&answers) {
        if message.get(4..6) != Some(&RTM_NEWLINK.to_ne_bytes()) || message.len() < 32 {
            continue;
        }
        let all = attributes(&message[32..]);
        let find = |kind| all.iter().find(|(k, _)| *k == kind).map(|(_, value)| *value);
        let info = attributes(find(IFLA_LINKINFO).unwrap_or_default());
        let data = |kind| info.iter().find(|(k, _)| *k == kind).map(|(_, value)| attributes(value));
        if let Some(master) = find(IFLA_MASTER) {
            let (port, bridge) = (name(word(message, 20)), name(word(master, 0)));
            lines.push(format!("port {port} of {bridge} {:?}", data(5)));
        } else if info
            .first()
            .is_some_and(|(_, kind)| kind.starts_with(b"bridge") || kind.starts_with(b"tun"))
        {
            lines.push(format!("settings of {} {:?}", name(word(message, 20)), data(2)));
        }
    }
    // Nobody else has filters.
    for link in links.iter().filter(|_| world().cast.has_segments()) {
        for (parent, way) in [(INGRESS, "from"), (EGRESS, "to")] {
            let asked = Message::new(RTM_GETTFILTER, DUMP, &tcmsg(link.index as u32, parent, 0));
            let (_, answers) = world().ask(netns, ROUTE, &asked.bytes());
            for message in all_messages(&answers) {
                let node = word(message, 24) & 0xfff;
                if message.get(4..6) != Some(&RTM_NEWTFILTER.to_ne_bytes()) || node == 0 {
                    continue;
                }
                let options = attributes(&message[36..]);
                let options =
                    options.iter().find(|(k, _)| *k == 2).map_or(&[][..], |(_, value)| value);
                let info = word(message, 32);
                let mut line = format!("filter {way} {} {info:x} {node}", link.name);
                for (kind, value) in attributes(options) {
                    match kind {
                        5 => line.push_str(&format!(" {value:?}")),
                        7 => line.push_str(&action(value, name)),
                        _ => {}
                    }
                }
                lines.push(line);
            }
        }
    }
    lines
}

fn action(value: &[u8], name: impl Fn(u32) -> String) -> String {
    let one = attributes(value).first().map(|(_, one)| attributes(one)).unwrap_or_default();
    let options = one.iter().find(|(kind, _)| *kind == 2).map(|(_, value)| attributes(value));
    let parms = options.unwrap_or_default().into_iter().find(|(kind, _)| *kind == 2);
    let Some((_, parms)) = parms.filter(|(_, parms)| parms.len() >= 28) else {
        return String::new();
    };
    let word =
        |at: usize| u32::from_ne_bytes([parms[at], parms[at + 1], parms[at + 2], parms[at + 3]]);
    format!(" {} {} to {}", word(20), word(8) as i32, name(word(24)))
}

/// The guest of a name.
pub fn guest_of(wanted: &GuestName) -> Option<usize> {
    (0..GUESTS).find(|guest| crate::bed::name(*guest) == *wanted)
}
