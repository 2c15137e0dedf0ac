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

//! What a guest as root may send and others must not get: as another, or as the gateway.

use super::*;
use guestnet_tests::vm::Vm;
use wire::{arp, frame, mac, octets, udp_from, ARP};

const GATEWAY: [u8; 4] = [172, 17, 3, 2];

/// Two guests of a segment and one that sends; after each frame of its that must not come, one that must.
struct Scene {
    bed: Bed,
    evil: (Guest, Attached),
    guests: [(Guest, Attached); 2],
}

impl Scene {
    fn new() -> Self {
        let bed = Bed::new("auto");
        let [evil, a, b] = ["evil", "a", "b"].map(|name| attach(&bed, "cockpit", name));
        Self { bed, evil, guests: [a, b] }
    }

    /// Sends each to both guests and to all; none of them comes.
    #[track_caller]
    fn nobody_gets(&self, what: &str, payload: impl Fn(&[u8]) -> (u16, Vec<u8>), from: [u8; 6]) {
        let wire = Wire::of(&self.evil.0, &self.evil.1);
        let sends = |frame: &[u8]| wire.send(frame);
        nobody_gets(&self.guests, &self.evil.1, sends, what, payload, from);
    }
}

/// The same of any guest that sends so.
#[track_caller]
fn nobody_gets(
    guests: &[(Guest, Attached); 2],
    own: &Attached,
    sends: impl Fn(&[u8]),
    what: &str,
    payload: impl Fn(&[u8]) -> (u16, Vec<u8>),
    from: [u8; 6],
) {
    let there = guests.each_ref().map(|(guest, attached)| Wire::of(guest, attached));
    let (protocol, bad) = payload(b"forged!!");
    let good = frame(ALL, mac(own), IPV4, &udp(own, [255; 4], [9, 9], b"genuine!"));
    let multicast = [0x33, 0x33, 0, 0, 0, 1];
    let all = [ALL, multicast, [1, 0x80, 0xc2, 0, 0, 0], there[0].mac, there[1].mac];
    for one in &there {
        one.hears(b"genuine!", || {
            all.iter().for_each(|to| sends(&frame(*to, from, protocol, &bad)));
            sends(&good);
        });
    }
    for one in &there {
        assert!(!one.has_heard(b"forged!!"), "{what}");
    }
}

#[test]
fn a_vm_by_its_tap_has_its_own_mac_and_address_alone() {
    let bed = Bed::new("auto");
    let config = GuestConfig { kind: GuestKind::TAP, ..on("cockpit", "evil") };
    let nowhere = GuestTarget { kind: TargetKind::NONE, ..GuestTarget::default() };
    let mut own = bed.attach_as(&config, &nowhere);
    let vm = Vm::of(&mut own);
    let guests = ["a", "b"].map(|name| attach(&bed, "cockpit", name));
    type Payload<'a> = &'a dyn Fn(&[u8]) -> (u16, Vec<u8>);
    let refused = |what: &str, payload: Payload<'_>, from| {
        nobody_gets(&guests, &own, |frame| vm.sends(frame), what, payload, from)
    };
    let (itself, address) = (mac(&own), octets(&own));
    let (other, its) = (mac(&guests[0].1), octets(&guests[0].1));
    for from in [other, mac(&guests[1].1), [2, 0, 0, 0, 0, 1], [0; 6], ALL] {
        refused("IPv4", &|mark| (IPV4, udp(&own, [255; 4], [9, 9], mark)), from);
        refused("ARP", &|mark| (ARP, arp(true, (itself, address), GATEWAY, mark)), from);
    }
    for from in [its, GATEWAY, [0; 4], [192, 0, 2, 1]] {
        refused("IPv4", &|mark| (IPV4, udp_from(from, [255; 4], [9, 9], mark)), itself);
    }
    for says in [(itself, GATEWAY), (itself, its), (other, address), (other, its)] {
        refused("ARP", &|mark| (ARP, arp(true, says, its, mark)), itself);
    }
    refused("an offer", &|mark| (IPV4, udp(&own, [255; 4], [67, 68], mark)), itself);
}

#[test]
fn another_mac_is_not_let_through() {
    let scene = Scene::new();
    let own = &scene.evil.1;
    let host = scene.bed.device.link(&own.hostInterface).expect("its host end");
    let host = Attached {
        mac: host["address"].as_str().expect("a MAC").to_owned(),
        ..Attached::default()
    };
    let others = scene.guests.each_ref().map(|(_, attached)| mac(attached));
    for from in [others[0], others[1], mac(&host), [2, 0, 0, 0, 0, 1], [0; 6], ALL] {
        scene.nobody_gets("IPv4", |mark| (IPV4, udp(own, [255; 4], [9, 9], mark)), from);
        let says = (mac(own), octets(own));
        scene.nobody_gets("ARP", |mark| (ARP, arp(true, says, GATEWAY, mark)), from);
    }
}

#[test]
fn another_address_is_not_let_through() {
    let scene = Scene::new();
    let own = mac(&scene.evil.1);
    let other = octets(&scene.guests[0].1);
    for from in [other, GATEWAY, [0; 4], [255; 4], [127, 0, 0, 1], [192, 0, 2, 1]] {
        scene.nobody_gets("IPv4", |mark| (IPV4, udp_from(from, [255; 4], [9, 9], mark)), own);
    }
}

#[test]
fn arp_says_nothing_but_the_truth() {
    let scene = Scene::new();
    let (own, address) = (mac(&scene.evil.1), octets(&scene.evil.1));
    let (other, its) = (mac(&scene.guests[0].1), octets(&scene.guests[0].1));
    for reply in [false, true] {
        for (what, says, asks) in [
            ("the gateway's address, unasked", (own, GATEWAY), GATEWAY),
            ("another's address, unasked", (own, its), its),
            ("another's address", (own, its), octets(&scene.guests[1].1)),
            ("another's MAC", (other, address), address),
            ("another altogether", (other, its), its),
            ("no address", (own, [0; 4]), its),
        ] {
            scene.nobody_gets(what, |mark| (ARP, arp(reply, says, asks, mark)), own);
        }
    }
    // RARP, and ARP for another kind of network.
    let odd = |at: usize, value: u8| {
        move |mark: &[u8]| {
            let mut packet = arp(false, (own, address), GATEWAY, mark);
            packet[at] = value;
            (ARP, packet)
        }
    };
    for (at, value) in [(1, 6), (2, 0x86), (4, 8), (5, 16)] {
        scene.nobody_gets("odd ARP", odd(at, value), own);
    }
    let victim = &scene.guests[0].0;
    assert!(victim.ping("172.17.3.2"));
    let gateway = victim.run("ip neigh show 172.17.3.2");
    assert!(!gateway.contains(&scene.evil.1.mac), "{gateway}");
}

#[test]
fn a_guest_is_neither_a_dhcp_server_nor_a_router() {
    let scene = Scene::new();
    let own = mac(&scene.evil.1);
    let offer = |mark: &[u8]| (IPV4, udp(&scene.evil.1, [255; 4], [67, 68], mark));
    scene.nobody_gets("an offer", offer, own);
    let with_options = |mark: &[u8]| {
        let mut packet = udp(&scene.evil.1, [255; 4], [67, 68], mark);
        packet[0] = 0x46;
        packet.splice(20..20, [1, 1, 1, 1]);
        (IPV4, packet)
    };
    scene.nobody_gets("an offer behind options", with_options, own);
    // ICMPv6: router advertisement, neighbour advertisement, redirect.
    for kind in [134, 136, 137] {
        let icmp = |mark: &[u8]| {
            let head =
                [0x60, 0, 0, 0, 0, 32, 58, 255, 0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            let to = [0, 1, 0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, kind, 0, 0, 0];
            (0x86dd, [&head[..], &to, &[0; 16], mark].concat())
        };
        scene.nobody_gets("ICMPv6", icmp, own);
    }
}

#[test]
fn other_protocols_and_tags_do_not_pass() {
    let scene = Scene::new();
    let own = mac(&scene.evil.1);
    let inner = |mark: &[u8]| udp(&scene.evil.1, [255; 4], [9, 9], mark);
    for tag in [0x8100, 0x88a8, 0x9100] {
        let tagged = |mark: &[u8]| (tag, [&[0, 5, 8, 0][..], &inner(mark)].concat());
        scene.nobody_gets("a VLAN tag", tagged, own);
        let zero = |mark: &[u8]| (tag, [&[0, 0, 8, 0][..], &inner(mark)].concat());
        scene.nobody_gets("a priority tag", zero, own);
    }
    // STP and LLDP; 802.1X; MPLS; loopback; PPPoE; Wake-on-LAN; RARP.
    let bpdu = |mark: &[u8]| (0x0026, [&[0x42, 0x42, 3, 0, 0, 0, 0][..], &[0; 20], mark].concat());
    scene.nobody_gets("a BPDU", bpdu, own);
    for protocol in [0x88cc, 0x888e, 0x8847, 0x9000, 0x8863, 0x0842, 0x8035] {
        scene.nobody_gets("another protocol", |mark| (protocol, inner(mark)), own);
    }
}

#[test]
fn what_is_for_one_does_not_come_to_another() {
    let scene = Scene::new();
    let wire = Wire::of(&scene.evil.0, &scene.evil.1);
    let [a, b] = scene.guests.each_ref().map(|(guest, attached)| Wire::of(guest, attached));
    let to = octets(&scene.guests[0].1);
    let one = wire.frame(a.mac, IPV4, &udp(&scene.evil.1, to, [9, 9], b"for one"));
    // Nobody has this MAC: it is not sent to all.
    let none =
        wire.frame([6, 0x67, 1, 2, 3, 4], IPV4, &udp(&scene.evil.1, to, [9, 9], b"for none"));
    let all = wire.frame(ALL, IPV4, &udp(&scene.evil.1, [255; 4], [9, 9], b"for all"));
    a.hears(b"for one", || wire.send(&one));
    b.hears(b"for all", || [&none, &one, &all].into_iter().for_each(|frame| wire.send(frame)));
    a.hears(b"for all", || wire.send(&all));
    assert!(!b.has_heard(b"for one") && !a.has_heard(b"for none") && !b.has_heard(b"for none"));
}

#[test]
fn a_frame_that_comes_back_to_who_sent_it_is_gone() {
    let scene = Scene::new();
    let wire = Wire::of(&scene.evil.0, &scene.evil.1);
    let there = Wire::of(&scene.guests[0].0, &scene.guests[0].1);
    let own =
        wire.frame(wire.mac, IPV4, &udp(&scene.evil.1, octets(&scene.evil.1), [9, 9], b"own"));
    let all = wire.frame(ALL, IPV4, &udp(&scene.evil.1, [255; 4], [9, 9], b"all"));
    there.hears(b"all", || [&own, &all].into_iter().for_each(|frame| wire.send(frame)));
    assert!(!wire.has_heard(b"own") && !wire.has_heard(b"all") && !there.has_heard(b"own"));
    // It is no loop: the machine is there.
    assert!(scene.guests[1].0.ping(address(&scene.guests[0].1)));
}
