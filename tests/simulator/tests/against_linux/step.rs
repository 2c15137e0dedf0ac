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

//! The steps of a history: requests as guestnetd and others make them, some of them wrong.

use crate::linux::Tap;
use crate::random::Random;
use libc::*;

pub const CREATE: u16 = 0x400;
pub const EXCL: u16 = 0x200;
const REPLACE: u16 = 0x100;
const APPEND: u16 = 0x800;
const NAMES: [&str; 5] = ["one", "two", "three", "veth%d", "ends/with"];
const OWN: [[u8; 4]; 7] = [
    [10, 0, 0, 1],
    [10, 0, 0, 2],
    [10, 0, 1, 1],
    [10, 0, 1, 129],
    [172, 17, 3, 2],
    [192, 0, 2, 7],
    [10, 0, 0, 0],
];
const ELSEWHERE: [[u8; 4]; 8] = [
    [10, 0, 0, 9],
    [10, 0, 1, 130],
    [172, 17, 3, 3],
    [192, 0, 2, 1],
    [8, 8, 8, 8],
    [10, 0, 0, 1],
    [127, 0, 0, 1],
    [10, 0, 0, 255],
];
const TABLES: [u32; 5] = [254, 254, 255, 1007, 70000];

/// What is done in one of the namespaces.
#[derive(Clone, Debug)]
pub enum Step {
    /// A request of NETLINK_ROUTE.
    Send(Vec<u8>),
    /// A file is written.
    Write(String, String),
    /// A TAP device is made, or gets one more queue.
    Tap(Tap),
    /// One of its queues is closed.
    Close(usize),
    /// A namespace ends.
    End,
}

/// A message in the making.
pub struct Out(pub Vec<u8>);

impl Out {
    pub fn put(&mut self, kind: u16, value: &[u8]) {
        self.0.extend(((4 + value.len()) as u16).to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    pub fn u32(&mut self, kind: u16, value: u32) {
        self.put(kind, &value.to_ne_bytes());
    }

    pub fn text(&mut self, kind: u16, value: &str) {
        self.put(kind, &[value.as_bytes(), b"\0"].concat());
    }
}

pub fn message(kind: u16, flags: u16, body: Out) -> Step {
    Step::Send(whole(kind, flags, &body.0))
}

/// A request with its header.
pub fn whole(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = ((16 + body.len()) as u32).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend((flags | 1).to_ne_bytes());
    bytes.extend(7u32.to_ne_bytes());
    bytes.extend([0; 4]);
    bytes.extend(body);
    bytes
}

/// A dump of a kind.
pub fn dump(kind: u16) -> Vec<u8> {
    let length = match kind {
        RTM_GETLINK => 16,
        RTM_GETADDR => 8,
        RTM_GETNSID => 4,
        RTM_GETQDISC => 20,
        _ => 12,
    };
    let mut body = vec![0; length];
    if ![RTM_GETLINK, RTM_GETNSID, RTM_GETQDISC].contains(&kind) {
        body[0] = AF_INET as u8;
    }
    if kind == RTM_GETLINK {
        let mut out = Out(body);
        out.u32(IFLA_EXT_MASK, 8);
        body = out.0;
    }
    whole(kind, 0x300, &body)
}

/// A question for one link in the namespace with an id.
pub fn ask(index: u32, id: u32) -> Vec<u8> {
    let mut out = link_header(index, 0, 0);
    out.u32(IFLA_EXT_MASK, 8);
    out.u32(IFLA_TARGET_NETNSID, id);
    whole(RTM_GETLINK, 0, &out.0)
}

/// Gives a namespace an id.
pub fn number(file: i32, id: u32) -> Vec<u8> {
    let mut out = Out(vec![0; 4]);
    out.u32(3, file as u32);
    out.u32(1, id);
    whole(RTM_NEWNSID, ACK, &out.0)
}

pub const ACK: u16 = 4;

/// One step in a namespace. `files` are descriptors of all that live; `frames`: it is more about what is done with
/// frames.
pub fn random(random: &mut Random, files: &[i32], frames: bool) -> Step {
    if frames && !random.once_in(3) {
        return crate::frames::random(random);
    }
    match random.below(100) {
        0..12 => new_link(random, files),
        12..30 => set_link(random, files),
        30..34 => del_link(random),
        34..46 => address(random),
        46..62 => route(random),
        62..72 => rule(random),
        72..76 => neighbour(random),
        76..80 => id(random, files),
        80..90 => question(random),
        90..93 => link_question(random),
        93..99 => file(random),
        _ => Step::End,
    }
}

pub fn index(random: &mut Random) -> u32 {
    match random.below(12) {
        0 => 1,
        1 => 9,
        n => 2 + n % 4,
    }
}

pub fn link_header(index: u32, flags: u32, mask: u32) -> Out {
    let mut out = Out(vec![0; 16]);
    out.0[4..8].copy_from_slice(&index.to_ne_bytes());
    out.0[8..12].copy_from_slice(&flags.to_ne_bytes());
    out.0[12..16].copy_from_slice(&mask.to_ne_bytes());
    out
}

fn end(random: &mut Random, out: &mut Out) {
    // Without a name it is veth and a number.
    if !random.once_in(8) {
        let name = match random.once_in(20) {
            true => "ends/with",
            false => random.of(&NAMES[..4]),
        };
        out.text(IFLA_IFNAME, name);
    }
    // The kernel's own is random.
    let first = if random.once_in(20) { 1 } else { 2 };
    out.put(IFLA_ADDRESS, &[first, 0, 0, 0, 0, random.below(200) as u8]);
    if random.once_in(2) {
        out.u32(IFLA_MTU, random.of(&[1500, 1400, 9000, 68, 1279, 60, 65535, 70000]));
    }
    if random.once_in(2) {
        out.u32(IFLA_GROUP, random.of(&[0, 5, 7]));
    }
}

fn new_link(random: &mut Random, files: &[i32]) -> Step {
    let up = if random.once_in(3) { 1 } else { 0 };
    let mut out = link_header(0, up, up);
    end(random, &mut out);
    if random.once_in(8) {
        out.u32(IFLA_MASTER, index(random));
    }
    let mut info = Out(Vec::new());
    let kind = random.of(&["veth", "veth", "veth", "bridge"]);
    info.text(1, kind);
    if kind == "bridge" && random.once_in(2) {
        info.put(2, &crate::frames::snooping(random));
    }
    if kind == "veth" {
        let mut peer = link_header(0, 0, 0);
        end(random, &mut peer);
        if !random.once_in(3) {
            let file = if random.once_in(20) { 9999 } else { random.of(files) };
            peer.u32(IFLA_NET_NS_FD, file as u32);
        }
        let mut data = Out(Vec::new());
        data.put(1, &peer.0);
        info.put(2, &data.0);
    }
    out.put(IFLA_LINKINFO, &info.0);
    let flags = random.of(&[CREATE | EXCL, CREATE | EXCL, CREATE, 0]);
    message(RTM_NEWLINK, ACK | flags, out)
}

fn set_link(random: &mut Random, files: &[i32]) -> Step {
    let index = index(random);
    let mut out = link_header(index, 0, 0);
    match random.below(14) {
        0..6 => out = link_header(index, u32::from(!random.once_in(3)), 1),
        6 => out.u32(IFLA_MTU, random.of(&[1500, 1400, 60, 1280])),
        7 => out.text(IFLA_IFNAME, random.of(&NAMES)),
        8 => out.put(IFLA_ADDRESS, &[2, 0, 0, 0, 1, random.below(200) as u8]),
        9 => out.u32(IFLA_GROUP, random.of(&[0, 5, 7])),
        10 => out.text(IFLA_IFALIAS, random.of(&["", "an alias", "guestnet"])),
        11 => {
            let master = if random.once_in(3) { 0 } else { self::index(random) };
            out.u32(IFLA_MASTER, master);
        }
        12 => out.u32(IFLA_NET_NS_FD, random.of(files) as u32),
        _ => {
            let mut conf = Out(Vec::new());
            for _ in 0..=random.below(2) {
                conf.u32(random.of(&[1, 8, 13, 19]), random.below(3));
            }
            let mut inet = Out(Vec::new());
            inet.put(1, &conf.0);
            let mut families = Out(Vec::new());
            families.put(AF_INET as u16, &inet.0);
            out.put(IFLA_AF_SPEC, &families.0);
        }
    }
    let kind = if random.once_in(4) { RTM_NEWLINK } else { RTM_SETLINK };
    message(kind, ACK, out)
}

fn del_link(random: &mut Random) -> Step {
    let mut out = link_header(0, 0, 0);
    match random.below(4) {
        0 => out.text(IFLA_IFNAME, random.of(&NAMES)),
        1 => out.u32(IFLA_GROUP, random.of(&[0, 5, 7])),
        _ => out = link_header(index(random), 0, 0),
    }
    message(RTM_DELLINK, ACK, out)
}

fn link_question(random: &mut Random) -> Step {
    if random.once_in(4) {
        let mut out = Out(vec![AF_INET as u8, 0, 0, 0]);
        out.0.extend(if random.once_in(2) { index(random) } else { 0 }.to_ne_bytes());
        if random.once_in(2) {
            out.u32(10, random.below(3));
        }
        return Step::Send(whole(RTM_GETADDR, 0x300, &out.0));
    }
    if random.once_in(4) {
        let mut out = Out(vec![AF_INET as u8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        match random.once_in(2) {
            true => out.u32(RTA_TABLE, random.of(&TABLES)),
            false => out.u32(RTA_OIF, index(random)),
        }
        return Step::Send(whole(RTM_GETROUTE, 0x300, &out.0));
    }
    let mut out = link_header(0, 0, 0);
    match random.once_in(2) {
        true => out.text(IFLA_IFNAME, random.of(&NAMES)),
        false => out = link_header(index(random), 0, 0),
    }
    out.u32(IFLA_EXT_MASK, 8);
    if random.once_in(3) {
        out.u32(46, random.below(3));
    }
    message(RTM_GETLINK, 0, out)
}

fn address(random: &mut Random) -> Step {
    let own = random.of(&OWN);
    let prefix = random.of(&[24, 24, 16, 32, 25, 31, 33]);
    let mut out = Out(vec![AF_INET as u8, prefix, 0, random.of(&[0, 0, 0, 253, 254])]);
    out.0.extend(index(random).to_ne_bytes());
    if random.once_in(3) {
        if !random.once_in(6) {
            out.put(IFA_LOCAL, &own);
        }
        if random.once_in(3) {
            out.put(IFA_ADDRESS, &own);
        }
        return message(RTM_DELADDR, ACK, out);
    }
    out.put(IFA_LOCAL, &own);
    if random.once_in(2) {
        out.put(IFA_ADDRESS, &own);
    }
    if random.once_in(2) {
        out.put(IFA_BROADCAST, &[own[0], own[1], own[2], 255]);
    }
    if random.once_in(3) {
        out.u32(8, 0x200);
    }
    let flags = random.of(&[CREATE | EXCL, CREATE | EXCL, CREATE, CREATE | REPLACE]);
    message(RTM_NEWADDR, ACK | flags, out)
}

fn route(random: &mut Random) -> Step {
    let adds = !random.once_in(3);
    let via = random.once_in(2).then(|| random.of(&ELSEWHERE));
    let (to, length) = random.of(&[
        ([0, 0, 0, 0], 0),
        ([0, 0, 0, 0], 0),
        ([10, 0, 0, 0], 24),
        ([10, 0, 0, 0], 8),
        ([172, 17, 0, 0], 16),
        ([172, 17, 3, 3], 32),
        ([10, 0, 0, 1], 24),
    ]);
    let scope = match (adds, via) {
        (false, _) => random.of(&[255, 255, 0, 253]),
        (_, Some(_)) => 0,
        (_, None) => random.of(&[253, 253, 253, 0, 254]),
    };
    let kind = random.of(&[1, 1, 1, 1, 1, 1, 2, 6, 7, 8, 9, 3]);
    let kind = if !adds && random.once_in(3) { 0 } else { kind };
    let table = random.of(&TABLES);
    let mut out = Out(vec![AF_INET as u8, length, 0, 0, 0, random.of(&[4, 186, 2]), scope, kind]);
    let onlink = via.is_some() && random.once_in(6);
    out.0.extend(if onlink { 4u32 } else { 0 }.to_ne_bytes());
    out.u32(RTA_TABLE, table);
    if length != 0 {
        out.put(RTA_DST, &to);
    }
    let mut several = false;
    if kind < 6 && random.once_in(8) {
        out.put(RTA_MULTIPATH, &hops(random));
        several = true;
    } else if kind < 6 && !random.once_in(5) {
        out.u32(RTA_OIF, index(random));
    }
    if let Some(via) = via.filter(|_| kind < 6 && (!several || random.once_in(8))) {
        out.put(RTA_GATEWAY, &via);
    }
    if random.once_in(4) {
        out.u32(RTA_PRIORITY, random.of(&[1, 100]));
    }
    if random.once_in(6) {
        out.put(RTA_PREFSRC, &random.of(&OWN));
    }
    match adds {
        false => message(RTM_DELROUTE, ACK, out),
        true => {
            let flags =
                [CREATE | EXCL, CREATE | EXCL, CREATE, CREATE | REPLACE, CREATE | APPEND, 0];
            message(RTM_NEWROUTE, ACK | random.of(&flags), out)
        }
    }
}

/// Next hops of one route.
fn hops(random: &mut Random) -> Vec<u8> {
    let mut all = Vec::new();
    for _ in 0..=random.below(3) {
        let mut via = Out(Vec::new());
        if random.once_in(2) {
            via.put(RTA_GATEWAY, &random.of(&ELSEWHERE));
        }
        all.extend((8 + via.0.len() as u16).to_ne_bytes());
        all.extend([if random.once_in(6) { 4 } else { 0 }, 0]);
        all.extend(index(random).to_ne_bytes());
        all.extend(via.0);
    }
    all
}

/// A rule as netd's: a mark with its mask, the device's own packets, an interface that they leave by, users; which
/// table, or that it is refused.
fn rule_of_netd(random: &mut Random) -> Step {
    let adds = !random.once_in(3);
    let action = random.of(&[1, 1, 1, 7, 8]);
    let mut out = Out(vec![AF_INET as u8, 0, 0, 0, 0, 0, 0, action, 0, 0, 0, 0]);
    out.u32(6, random.of(&[13_000, 14_000, 16_000, 20_000, 31_000, 32_000]));
    if action == 1 {
        out.u32(15, random.of(&TABLES));
    }
    let (mark, mask) =
        random.of(&[(0, 0), (0, 0x1_0000), (0, 0xffff), (0x1_0064, 0x1_ffff), (0x64, 0xffff)]);
    if mask != 0 {
        out.u32(10, mark);
        out.u32(16, mask);
    }
    if random.once_in(2) {
        let users = random.of(&[(0u32, 0u32), (0, 99_999), (10_100, 10_100)]);
        out.put(20, &[users.0.to_ne_bytes(), users.1.to_ne_bytes()].concat());
    }
    if random.once_in(2) {
        out.text(3, "lo");
    }
    if random.once_in(3) {
        out.text(17, random.of(&["one", "two"]));
    }
    match adds {
        // Without NLM_F_EXCL, as netd does.
        true => message(RTM_NEWRULE, ACK | CREATE, out),
        false => message(RTM_DELRULE, ACK, out),
    }
}

fn rule(random: &mut Random) -> Step {
    if random.once_in(3) {
        return rule_of_netd(random);
    }
    let adds = !random.once_in(3);
    let action = random.of(&[1, 1, 1, 1, 7, 8, 6]);
    let mut out = Out(vec![AF_INET as u8, 0, 0, 0, 0, 0, 0, action, 0, 0, 0, 0]);
    if random.once_in(8) {
        out.0[8] = 2;
    }
    match random.below(5) {
        0 => {
            out.0[2] = 16;
            out.put(2, &[172, 17, 0, 0]);
        }
        1 => {
            out.0[1] = 24;
            out.put(1, &[10, 0, 0, 0]);
        }
        2 => out.text(3, random.of(&["one", "two", "lo"])),
        3 => {
            out.u32(10, random.of(&[1, 0x10000]));
            if random.once_in(2) {
                out.u32(16, 0xff0000);
            }
        }
        _ => {}
    }
    out.u32(6, random.of(&[100, 100, 21400, 21500, 32766]));
    if action == 1 {
        out.u32(15, random.of(&TABLES));
        if random.once_in(4) {
            out.u32(14, random.of(&[0, 31]));
        }
    }
    if random.once_in(8) {
        out.put(22, &[17]);
        out.put(24, &[53u16.to_ne_bytes(), random.of(&[53u16, 60]).to_ne_bytes()].concat());
    }
    if random.once_in(12) {
        out.put(20, &[0u32.to_ne_bytes(), random.of(&[0u32, 99]).to_ne_bytes()].concat());
    }
    if random.once_in(2) {
        out.put(21, &[186]);
    }
    match adds {
        true => message(RTM_NEWRULE, ACK | random.of(&[CREATE | EXCL, CREATE]), out),
        false => message(RTM_DELRULE, ACK, out),
    }
}

fn neighbour(random: &mut Random) -> Step {
    let mut out = Out(vec![AF_INET as u8, 0, 0, 0]);
    // What lo has the kernel keeps under 0.0.0.0 (`arp_constructor()`).
    out.0.extend(index(random).max(2).to_ne_bytes());
    out.0.extend(0x80u16.to_ne_bytes());
    out.0.extend([0, 0]);
    out.put(1, &random.of(&ELSEWHERE[..4]));
    if random.once_in(3) {
        return message(RTM_DELNEIGH, ACK, out);
    }
    out.put(2, &[2, 0, 0, 0, 2, random.below(3) as u8]);
    let flags = random.of(&[CREATE | EXCL, CREATE | REPLACE, 0]);
    message(RTM_NEWNEIGH, ACK | flags, out)
}

fn id(random: &mut Random, files: &[i32]) -> Step {
    let mut out = Out(vec![0; 4]);
    let file = random.of(files) as u32;
    match random.below(3) {
        0 => {
            out.u32(3, file);
            out.u32(1, random.of(&[u32::MAX, 0, 2]));
            message(RTM_NEWNSID, ACK, out)
        }
        1 => {
            out.u32(3, file);
            message(RTM_GETNSID, 0, out)
        }
        _ => {
            out.u32(1, random.below(3));
            message(RTM_GETNSID, 0, out)
        }
    }
}

fn question(random: &mut Random) -> Step {
    let flags = random.of(&[0x1000u32, 0x1000, 0x3000, 0]);
    let from = random.once_in(2).then(|| match random.once_in(2) {
        true => random.of(&OWN),
        false => random.of(&ELSEWHERE),
    });
    let mut out = Out(vec![AF_INET as u8, 32, if from.is_some() { 32 } else { 0 }, 0, 0, 0, 0, 0]);
    out.0.extend(flags.to_ne_bytes());
    out.put(RTA_DST, &random.of(&ELSEWHERE));
    if let Some(from) = from {
        out.put(RTA_SRC, &from);
        if random.once_in(2) {
            out.u32(RTA_IIF, index(random));
        }
    }
    if random.once_in(6) {
        out.put(27, &[17]);
        out.put(29, &53u16.to_be_bytes());
    }
    if random.once_in(3) {
        out.u32(RTA_MARK, random.of(&[1, 0x10000]));
    }
    message(RTM_GETROUTE, 0, out)
}

fn file(random: &mut Random) -> Step {
    let whose = random.of(&["all", "default", "lo", "one", "two", "veth0"]);
    let value = random.below(3).to_string();
    let path = match random.below(8) {
        0 | 1 => "/proc/sys/net/ipv4/ip_forward".to_owned(),
        2 => format!("/proc/sys/net/ipv6/conf/{whose}/disable_ipv6"),
        n => {
            let key = ["forwarding", "rp_filter", "arp_ignore", "accept_redirects", "arp_filter"];
            format!("/proc/sys/net/ipv4/conf/{whose}/{}", key[n as usize - 3])
        }
    };
    let value = if path.contains("disable_ipv6") && value == "2" { "1".into() } else { value };
    Step::Write(path, value)
}
