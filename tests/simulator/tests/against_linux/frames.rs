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

//! Steps about what is done with frames: TAP devices, bridges' ports, a clsact and its filters.

use crate::linux::Tap;
use crate::random::Random;
use crate::step::{index, message, whole, Out, Step, ACK, CREATE, EXCL};
use libc::*;

const INGRESS: u32 = 0xffff_fff2;
const EGRESS: u32 = 0xffff_fff3;
const CLSACT: u32 = 0xffff_fff1;
/// Priorities, each with its protocol as a rule.
const KINDS: [(u32, u16); 4] = [(1, 0x0003), (2, 0x0800), (3, 0x0806), (4, 0x0800)];

/// One step.
pub fn random(random: &mut Random) -> Step {
    match random.below(20) {
        0..2 => tap(random),
        2 => Step::Close(random.below(4) as usize),
        3..6 => new_queue(random),
        6 => delete_queue(random),
        7..14 => new_filter(random),
        14..16 => one_filter(RTM_DELTFILTER, random),
        16..18 => one_filter(RTM_GETTFILTER, random),
        _ => port(random),
    }
}

fn tap(random: &mut Random) -> Step {
    let several = random.once_in(2);
    let mut flags = 0x1002 | if several { 0x100 } else { 0 };
    flags |= if random.once_in(2) { 0x8000 } else { 0 };
    flags |= if random.once_in(3) { 0 } else { 0x4000 };
    Step::Tap(Tap {
        name: random.of(&["one", "two", "", "tap0", "ends/with"]),
        flags,
        owner: random.once_in(2).then(|| random.of(&[0, 1000, u32::MAX])),
        header: random.once_in(2).then(|| random.of(&[12, 10, 9, 0])),
    })
}

/// IFLA_INFO_DATA of a bridge: IFLA_BR_MCAST_SNOOPING.
pub fn snooping(random: &mut Random) -> Vec<u8> {
    let mut data = Out(Vec::new());
    data.put(23, &[random.below(2) as u8]);
    data.0
}

/// Settings of a bridge, or of a port.
fn port(random: &mut Random) -> Step {
    let mut out = Out(vec![0; 16]);
    out.0[4..8].copy_from_slice(&index(random).to_ne_bytes());
    let mut info = Out(Vec::new());
    if random.once_in(3) {
        info.text(1, "bridge");
        info.put(2, &snooping(random));
    } else {
        let mut data = Out(Vec::new());
        for kind in [8, 9, 27, 30] {
            if !random.once_in(3) {
                data.put(kind, &[random.below(2) as u8]);
            }
        }
        info.text(4, "bridge");
        info.put(5, &data.0);
    }
    out.put(IFLA_LINKINFO, &info.0);
    message(RTM_NEWLINK, ACK, out)
}

/// `struct tcmsg`.
fn header(index: u32, handle: u32, parent: u32, info: u32) -> Out {
    Out([0, index, handle, parent, info].map(u32::to_ne_bytes).concat())
}

fn new_queue(random: &mut Random) -> Step {
    let handle = random.of(&[0xffff_0000, 0xffff_0000, 0xffff_0000, 0x1_0000, 0x1_0001]);
    let mut out = header(index(random), handle, CLSACT, 0);
    out.text(1, "clsact");
    message(RTM_NEWQDISC, ACK | random.of(&[CREATE | EXCL, CREATE | EXCL, CREATE, 0]), out)
}

fn delete_queue(random: &mut Random) -> Step {
    let handle = random.of(&[0xffff_0000, 0xffff_0000, 0, 0x1_0000]);
    let out = header(index(random), handle, CLSACT, 0);
    message(RTM_DELQDISC, ACK, out)
}

fn place(random: &mut Random) -> (u32, u32) {
    let parent = random.of(&[INGRESS, INGRESS, INGRESS, EGRESS, EGRESS, 0xffff_fff1, 0x1_0000]);
    let (priority, mut protocol) = random.of(&KINDS);
    if random.once_in(12) {
        protocol = 0x86dd;
    }
    (parent, priority << 16 | u32::from(protocol.to_be()))
}

fn new_filter(random: &mut Random) -> Step {
    let (parent, info) = place(random);
    let excl = !random.once_in(4);
    let flags = match random.below(8) {
        0 => 0,
        _ if excl => CREATE | EXCL,
        _ => CREATE,
    };
    // What is there already is not changed.
    let whole = flags & EXCL != 0 && random.once_in(4);
    let handle =
        if whole { random.of(&[0x8000_0001, 0x8010_0001, 0x8000_0000]) } else { random.below(4) };
    let info = if flags & CREATE == 0 && random.once_in(3) { info & 0xffff } else { info };
    let mut out = header(index(random), handle, parent, info);
    out.text(1, random.of(&["u32", "u32", "u32", "u32", "u32", "u32", "u32", "nothing"]));
    let mut options = Out(Vec::new());
    let count = random.below(3) as u8;
    let mut sel = vec![1, 0, if random.once_in(20) { 4 } else { count }];
    sel.resize(16, 0);
    for at in 0..count {
        sel.extend([0xff, 0xff, 0, 0, 0xaa, random.below(3) as u8, 0, 0]);
        sel.extend((i32::from(at) * 4 - 8).to_ne_bytes());
        sel.extend([0; 4]);
    }
    if !random.once_in(20) {
        options.put(5, &sel);
    }
    if !random.once_in(4) {
        options.put(7, &actions(random));
    }
    if !random.once_in(20) {
        out.put(2, &options.0);
    }
    message(RTM_NEWTFILTER, ACK | flags, out)
}

/// act_mirred, in a few behind act_police, which this kernel may be without.
fn actions(random: &mut Random) -> Vec<u8> {
    let words = [
        0,
        0,
        random.of(&[u32::MAX, 0, 4]),
        0,
        0,
        if random.once_in(20) { 7 } else { 1 + random.below(4) },
        if random.once_in(20) { 0 } else { index(random) },
    ];
    let mut parms = Out(Vec::new());
    parms.put(2, &words.map(u32::to_ne_bytes).concat());
    let mut mirred = Out(Vec::new());
    mirred.text(1, "mirred");
    if !random.once_in(20) {
        mirred.put(2, &parms.0);
    }
    let mut all = Out(Vec::new());
    let police = random.once_in(8);
    if police {
        let mut police = Out(Vec::new());
        police.text(1, "police");
        all.put(1, &police.0);
    }
    all.put(if police { 2 } else { 1 }, &mirred.0);
    all.0
}

/// A filter, a table of them, or all of a priority.
fn one_filter(kind: u16, random: &mut Random) -> Step {
    let (parent, info) = place(random);
    let handle = random.of(&[
        0x8000_0001,
        0x8000_0001,
        0x8000_0002,
        0x8010_0001,
        0x8020_0001,
        0x8000_0000,
        0xfff0_0000,
        0xfff0_0001,
        1,
        0,
    ]);
    let info = if random.once_in(10) { 0 } else { info };
    let mut out = header(index(random), handle, parent, info);
    if random.once_in(3) {
        out.text(1, random.of(&["u32", "u32", "u32", "nothing"]));
    }
    let dumps = kind == RTM_GETTFILTER && random.once_in(3);
    Step::Send(whole(kind, if dumps { 0x300 } else { ACK }, &out.0))
}

/// Questions for all filters.
pub fn dumps() -> Vec<Vec<u8>> {
    let ask = |(index, parent)| whole(RTM_GETTFILTER, 0x300, &header(index, 0, parent, 0).0);
    (1..9).flat_map(|index| [(index, INGRESS), (index, EGRESS)]).map(ask).collect()
}
