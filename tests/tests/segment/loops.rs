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

//! Two guests of one owner with a link between them that is none of guestnetd's, and a bridge over both links in
//! each: a ring through the segment. What goes round there, and whether anybody else is slower for it.

use super::wire::{arp, octets};
use super::*;
use std::time::{Duration, Instant};

/// How many frames of a kind are sent.
const COUNT: usize = 20;
/// The most that come by the ring's ends meanwhile and are none of these: neighbours that are asked for, and what the
/// bridges say of themselves by IPv6. Another round would be more.
const OTHERS: usize = COUNT / 2;
/// What stands in them.
const MARK: &[u8] = b"round and round";
/// Long enough for thousands of rounds.
const ROUNDS: Duration = Duration::from_millis(300);

struct Ring {
    bed: Bed,
    ring: [(Guest, Attached); 2],
    others: [(Guest, Attached); 2],
    plain: Guest,
}

impl Ring {
    fn new() -> Self {
        let bed = Bed::new("auto");
        let ring = ["x", "y"].map(|name| attach(&bed, "cockpit", name));
        let others = ["a", "b"].map(|name| attach(&bed, "cockpit", name));
        let plain = Guest::new();
        bed.attach("plain", &plain);
        Self { bed, ring, others, plain }
    }

    fn close(&self) {
        let [(x, _), (y, _)] = &self.ring;
        x.run(&format!("ip link add between type veth peer name between netns {}", y.pid()));
        for guest in [x, y] {
            guest.run("ip link add br0 type bridge stp_state 0 mcast_snooping 0");
            for link in ["wlan0", "between"] {
                guest.run(&format!("ip link set {link} promisc on master br0 up"));
            }
            guest.run("ip link set br0 up");
        }
        self.is_closed();
    }

    /// What goes round is gone, and the ring is about to be closed again.
    fn open(&self) {
        let (x, _) = &self.ring[0];
        x.run("ip link set between down");
        std::thread::sleep(Duration::from_millis(50));
        x.run("ip link set between up");
    }

    /// All ports have a carrier, and pass frames on.
    #[track_caller]
    fn is_closed(&self) {
        let forwards = |guest: &Guest| guest.run("bridge link").matches("state forwarding").count();
        eventually("the ring is closed", || {
            self.ring.iter().all(|(guest, _)| forwards(guest) == 2)
        });
    }

    /// Frames that have come in by a guest's link, since it is there.
    fn came(&self, guest: &Attached) -> u64 {
        let link = self.bed.device.run(&format!("ip -s -j link show dev {}", guest.hostInterface));
        let link: Value = serde_json::from_str(&link).expect("JSON");
        link[0]["stats64"]["rx"]["packets"].as_u64().expect("a number")
    }
}

/// A frame of each kind.
fn kinds(wire: &Wire, from: &Attached, to: [u8; 6]) -> Vec<(&'static str, Vec<u8>)> {
    let some = [0x01, 0, 0x5e, 0, 0, 0xfb];
    let own = (wire.mac, octets(from));
    let datagram = |to| udp(from, to, [9, 9], MARK);
    let llc = [&[0x42, 0x42, 3, 0, 0, 0, 0, 0][..], MARK].concat();
    vec![
        ("unicast", wire.frame(to, IPV4, &datagram([172, 17, 200, 200]))),
        ("unicast to nobody", wire.frame([6, 0x67, 1, 2, 3, 4], IPV4, &datagram([172, 17, 9, 9]))),
        ("multicast", wire.frame(some, IPV4, &datagram([224, 0, 0, 251]))),
        ("broadcast", wire.frame(ALL, IPV4, &datagram([255; 4]))),
        ("ARP question", wire.frame(ALL, 0x0806, &arp(false, own, [172, 17, 9, 9], MARK))),
        ("ARP answer", wire.frame(ALL, 0x0806, &arp(true, own, own.1, MARK))),
        ("BPDU", wire.frame([1, 0x80, 0xc2, 0, 0, 0], llc.len() as u16, &llc)),
        ("LLDP", wire.frame([1, 0x80, 0xc2, 0, 0, 0x0e], 0x88cc, MARK)),
    ]
}

#[test]
fn nobody_elses_frames_go_round() {
    let ring = Ring::new();
    ring.close();
    let [(_, x), (_, y)] = &ring.ring;
    let [(a, first), (b, second)] = &ring.others;
    let (wire, there) = (Wire::of(a, first), Wire::of(b, second));
    for (kind, frame) in kinds(&wire, first, wire::mac(y)) {
        let to_all = ["multicast", "broadcast", "ARP question", "ARP answer"].contains(&kind);
        there.count(MARK);
        there.forget(MARK);
        let before = ring.came(x) + ring.came(y);
        (0..COUNT).for_each(|_| wire.send(&frame));
        std::thread::sleep(ROUNDS);
        assert_eq!(there.count(MARK), if to_all { COUNT } else { 0 }, "{kind}");
        // By each of both ends once, with the MAC of neither: that is where it ends (docs/decisions/segments.md).
        let came = ring.came(x) + ring.came(y) - before;
        eprintln!("{kind}: {came} frames by the ring's ends");
        assert!(came <= (2 * COUNT + OTHERS) as u64, "{kind}: {came} frames");
    }
}

/// Its own frames come back to it with its own MAC. What is for one goes to one, and what is for all is bounded
/// where the kernel can (act_police).
#[test]
fn what_an_owner_of_a_ring_sends_to_all_is_bounded_where_the_kernel_can() {
    let ring = Ring::new();
    let [(x, attached), _] = &ring.ring;
    let host = &attached.hostInterface;
    let can = ring.bed.device.run(&format!("tc filter show dev {host} ingress")).contains("police");
    assert_eq!(can, kernel_has_act_police(), "the limit is there where the kernel has it");
    if !can {
        eprintln!("no act_police here: what is sent to all has no bound, and none is asked for");
    }
    ring.close();
    let (b, second) = &ring.others[1];
    let (wire, there) = (Wire::of(x, attached), Wire::of(b, second));
    for (kind, frame) in kinds(&wire, attached, ALL).into_iter().skip(1) {
        there.count(MARK);
        there.forget(MARK);
        let began = Instant::now();
        (0..COUNT).for_each(|_| wire.send(&frame));
        while began.elapsed() < ROUNDS {
            there.count(MARK);
        }
        ring.open();
        let (came, elapsed) = (there.count(MARK) as f64, began.elapsed().as_secs_f64());
        assert!(!can || came <= 300.0 + 1100.0 * elapsed, "{kind}: {came} in {elapsed} s");
        if ["unicast to nobody", "BPDU", "LLDP"].contains(&kind) {
            assert!(came < 1.0, "{kind}: {came}");
        }
        ring.is_closed();
    }
    ring.open();
    let [(a, first), (b, second)] = &ring.others;
    assert!(a.ping(address(second)) && b.ping(address(first)), "{}", ring.bed.daemon.log());
    assert!(ring.plain.ping(Internet::ADDRESS));
}
