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

//! Frames that filters of real links hand on, and who gets each as the simulator says: three guests, a bridge, and
//! filters by chance, made by the same requests in both.

#[allow(dead_code)]
#[path = "../against_linux/linux.rs"]
mod linux;
#[allow(dead_code)]
#[path = "../against_linux/random.rs"]
mod random;
#[allow(dead_code)]
#[path = "../packets/requests.rs"]
mod requests;
mod wire;

use guestnet_simulator::{Heard, Kernel, Netns, ROUTE};
use libc::*;
use linux::Linux;
use random::Random;
use requests::whole;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};
use wire::Wire;

const GUESTS: u32 = 3;
/// Indexes: the guests' host ends, the bridge, the port that leads nowhere.
const HOSTS: [u32; 3] = [2, 3, 4];
const HUB: u32 = 5;
const PORT: u32 = 7;
const ACK: u16 = 4;
const CREATE: u16 = 0x600;
/// What no kernel handles (IEEE 802, for experiments).
const PROTOCOLS: [u16; 2] = [0x88b5, 0x88b6];
const MACS: [[u8; 6]; 4] =
    [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2], [1, 0, 0x5e, 0, 0, 1], [0xff; 6]];

struct Bed {
    kernel: Kernel,
    device: (Linux, Netns),
    guests: Vec<Linux>,
}

impl Bed {
    fn new() -> Self {
        let mut kernel = Kernel::new();
        let device = (Linux::new(&[]), kernel.netns_add());
        let guests: Vec<Linux> = (0..GUESTS).map(|_| Linux::new(&[])).collect();
        let inside: Vec<Netns> = guests
            .iter()
            .map(|guest| {
                let netns = kernel.netns_add();
                kernel.fd_open(guest.file.as_raw_fd(), netns);
                netns
            })
            .collect();
        let mut bed = Self { kernel, device, guests };
        for at in 0..GUESTS as usize {
            let fd = bed.guests[at].file.as_raw_fd();
            assert!(bed.ask(&requests::veth(&format!("host{at}"), "wlan0", fd, 0)));
            let up = requests::up(2);
            assert!(bed.guests[at].send(&up)[0][16..20] == [0; 4]);
            bed.kernel.send(inside[at], ROUTE, 1, &up);
            assert!(bed.ask(&requests::up(HOSTS[at])));
        }
        assert!(bed.ask(&bridge()) && bed.ask(&pair()) && bed.ask(&requests::up(HUB)));
        bed
    }

    /// Whether a request is granted, by both.
    fn ask(&mut self, request: &[u8]) -> bool {
        let (linux, netns) = &self.device;
        let granted = |answers: Vec<Vec<u8>>| answers[0][16..20] == [0; 4];
        let (theirs, ours) =
            (granted(linux.send(request)), granted(self.kernel.send(*netns, ROUTE, 1, request)));
        assert_eq!(theirs, ours, "{request:?}");
        ours
    }

    /// Waits until Linux has seen each carrier, which it does a little later; until then a link sends nothing.
    fn settle(&mut self) {
        const UP: u8 = 6;
        let state = |answers: &[Vec<u8>]| attribute(&answers[0][32..], IFLA_OPERSTATE);
        let since = Instant::now();
        let (device, netns) = &self.device;
        for (at, guest) in self.guests.iter().enumerate() {
            let (host, own) = (question(HOSTS[at]), question(2));
            while [device.send(&host), guest.send(&own)].iter().any(|all| state(all) != Some(UP)) {
                assert!(since.elapsed() < Duration::from_secs(10), "carrier of {at}");
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        for asked in [question(HUB), question(PORT)] {
            let ours = state(&self.kernel.send(*netns, ROUTE, 1, &asked)) == Some(UP);
            while (state(&device.send(&asked)) == Some(UP)) != ours {
                assert!(since.elapsed() < Duration::from_secs(10), "carrier of the bridge");
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    }
}

/// A question for a link.
fn question(index: u32) -> Vec<u8> {
    let mut body = vec![0; 16];
    body[4..8].copy_from_slice(&index.to_ne_bytes());
    whole(RTM_GETLINK, 0, &body)
}

/// The first byte of an attribute.
fn attribute(mut rest: &[u8], wanted: u16) -> Option<u8> {
    while rest.len() >= 4 {
        let length = usize::from(u16::from_ne_bytes([rest[0], rest[1]]));
        if u16::from_ne_bytes([rest[2], rest[3]]) == wanted {
            return Some(rest[4]);
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    None
}

fn put(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    out.extend(((4 + value.len()) as u16).to_ne_bytes());
    out.extend(kind.to_ne_bytes());
    out.extend(value);
    out.resize(out.len().next_multiple_of(4), 0);
}

fn bridge() -> Vec<u8> {
    let (mut data, mut info, mut body) = (Vec::new(), Vec::new(), vec![0; 16]);
    put(&mut data, 23, &[0]);
    put(&mut info, 1, b"bridge\0");
    put(&mut info, 2, &data);
    put(&mut body, IFLA_IFNAME, b"hub\0");
    put(&mut body, IFLA_LINKINFO, &info);
    whole(RTM_NEWLINK, ACK | CREATE, &body)
}

/// One end is a port of the bridge.
fn pair() -> Vec<u8> {
    let mut peer = vec![0; 16];
    put(&mut peer, IFLA_IFNAME, b"other\0");
    let (mut data, mut info, mut body) = (Vec::new(), Vec::new(), vec![0; 16]);
    put(&mut data, 1, &peer);
    put(&mut info, 1, b"veth\0");
    put(&mut info, 2, &data);
    put(&mut body, IFLA_IFNAME, b"port\0");
    put(&mut body, IFLA_MASTER, &HUB.to_ne_bytes());
    put(&mut body, IFLA_LINKINFO, &info);
    whole(RTM_NEWLINK, ACK | CREATE, &body)
}

/// The port sends some of what is for nobody that its bridge knows, or nothing.
fn silence(random: &mut Random) -> Vec<u8> {
    let (mut data, mut info, mut body) = (Vec::new(), Vec::new(), vec![0; 16]);
    body[4..8].copy_from_slice(&PORT.to_ne_bytes());
    let all = random.once_in(2);
    for kind in [8, 9, 27, 30] {
        put(&mut data, kind, &[u8::from(!all && random.once_in(2))]);
    }
    put(&mut info, 4, b"bridge\0");
    put(&mut info, 5, &data);
    put(&mut body, IFLA_LINKINFO, &info);
    whole(RTM_NEWLINK, ACK, &body)
}

fn message(index: u32, handle: u32, parent: u32, info: u32, kind: &[u8]) -> Vec<u8> {
    let mut body = [0, index, handle, parent, info].map(u32::to_ne_bytes).concat();
    put(&mut body, 1, kind);
    body
}

/// A filter where guestnetd has some, too, so that nothing goes in a circle: from a guest to the bridge or to another
/// guest, at the bridge to a guest or out by it, before a guest out by the bridge.
fn filter(random: &mut Random) -> Vec<u8> {
    const INGRESS: u32 = 0xffff_fff2;
    const EGRESS: u32 = 0xffff_fff3;
    let host = random.of(&HOSTS);
    let (index, parent, to, ways) = match random.below(6) {
        0 | 1 => (host, INGRESS, HUB, [3, 4]),
        2 => (host, INGRESS, random.of(&HOSTS), [1, 2]),
        3 => (HUB, INGRESS, host, [1, 2]),
        4 => (HUB, INGRESS, HUB, [1, 1]),
        _ => (host, EGRESS, HUB, [1, 2]),
    };
    let way = random.of(&ways);
    let priority = 1 + random.below(4);
    let protocol = [0x0003, PROTOCOLS[0], PROTOCOLS[1], 0x0003][priority as usize - 1];
    let info = (priority + if parent == EGRESS { 4 } else { 0 }) << 16;
    let mut body = message(index, 0, parent, info | u32::from(protocol.to_be()), b"u32\0");
    let (mut keys, mut count) = (Vec::new(), 0);
    let mut key = |mask: [u8; 4], value: [u8; 4], at: i32| {
        keys.extend([mask, value].concat());
        keys.extend(at.to_ne_bytes());
        keys.extend([0; 4]);
        count += 1;
    };
    let mac = random.of(&MACS);
    match random.below(5) {
        0 => {}
        1 => key([0, 0, 1, 0], [0, 0, 1, 0], -16),
        2 => {
            key([0, 0, 0xff, 0xff], [0, 0, mac[0], mac[1]], -16);
            key([0xff; 4], [mac[2], mac[3], mac[4], mac[5]], -12);
        }
        3 => {
            key([0xff; 4], [mac[0], mac[1], mac[2], mac[3]], -8);
            key([0xff, 0xff, 0, 0], [mac[4], mac[5], 0, 0], -4);
        }
        // Behind the end of some.
        _ => key([0xff, 0, 0, 0], [0; 4], random.of(&[0, 60])),
    }
    let mut sel = vec![1, 0, count];
    sel.resize(16, 0);
    sel.extend(keys);
    let mut options = Vec::new();
    put(&mut options, 5, &sel);
    if !random.once_in(8) {
        let then = random.of(&if way % 2 == 1 { [4, 4, 4, 0, 2] } else { [u32::MAX, 0, 0, 4, 2] });
        let words = [0, 0, then, 0, 0, way, to];
        let (mut parms, mut action, mut actions) = (Vec::new(), Vec::new(), Vec::new());
        put(&mut parms, 2, &words.map(u32::to_ne_bytes).concat());
        put(&mut action, 1, b"mirred\0");
        put(&mut action, 2, &parms);
        put(&mut actions, 1, &action);
        put(&mut options, 7, &actions);
    }
    put(&mut body, 2, &options);
    whole(RTM_NEWTFILTER, ACK | CREATE, &body)
}

/// A bed with filters by chance, and what becomes of some frames. How many came anywhere.
fn history(seed: u64) -> usize {
    let (mut random, mut bed) = (Random::new(seed), Bed::new());
    for index in [HOSTS[0], HOSTS[1], HOSTS[2], HUB] {
        let clsact = message(index, 0xffff_0000, 0xffff_fff1, 0, b"clsact\0");
        assert!(bed.ask(&whole(RTM_NEWQDISC, ACK | CREATE, &clsact)));
    }
    assert!(bed.ask(&silence(&mut random)));
    // Without a carrier the bridge gets nothing.
    let carries = !random.once_in(6);
    for index in if carries { vec![PORT - 1, PORT] } else { vec![PORT] } {
        assert!(bed.ask(&requests::up(index)));
    }
    for _ in 0..8 + random.below(16) {
        assert!(bed.ask(&filter(&mut random)));
    }
    bed.settle();
    let device = Wire::of(&bed.device.0, &PROTOCOLS);
    let guests: Vec<Wire> = bed.guests.iter().map(|guest| Wire::of(guest, &PROTOCOLS)).collect();
    let mut expected = Vec::new();
    for number in 0..24u8 {
        let at = random.below(GUESTS) as usize;
        let mut frame = [random.of(&MACS), random.of(&MACS[..2])].concat();
        frame.extend(random.of(&PROTOCOLS).to_be_bytes());
        frame.extend([0, number]);
        frame.resize(if random.once_in(2) { 60 } else { 100 }, 0);
        let heard = bed.kernel.frame(bed.device.1, HOSTS[at], &frame);
        expected.extend(heard.into_iter().map(|heard| (number, heard)));
        guests[at].send(&frame);
    }
    expected.sort();
    let mut got = Vec::new();
    let hear = |got: &mut Vec<(u8, Heard)>| {
        // The other end of the port that leads nowhere is the device's, too.
        got.extend(device.take().into_iter().map(|(index, number)| match index {
            6 => (number, Heard::Sent(PORT)),
            _ => (number, Heard::Here(index)),
        }));
        for (at, guest) in guests.iter().enumerate() {
            let all = guest.take().into_iter();
            got.extend(all.map(|(_, number)| (number, Heard::Sent(HOSTS[at]))));
        }
        got.sort();
    };
    let since = Instant::now();
    while got != expected && since.elapsed() < Duration::from_secs(5) {
        std::thread::sleep(Duration::from_millis(2));
        hear(&mut got);
    }
    std::thread::sleep(Duration::from_millis(5));
    hear(&mut got);
    assert_eq!(got, expected, "seed {seed}");
    got.len()
}

#[test]
fn frames_come_to_whom_linux_hands_them() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("SKIPPED frames_come_to_whom_linux_hands_them: it needs root");
        return;
    }
    // Linux 6.8 is the first that hands nothing to a link without a carrier.
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    if !release.starts_with("6.18.") {
        eprintln!(
            "SKIPPED frames_come_to_whom_linux_hands_them: it is Linux 6.18, here is {release}"
        );
        return;
    }
    let came: usize = (0..60).map(history).sum();
    assert!(came > 500, "{came}");
}
