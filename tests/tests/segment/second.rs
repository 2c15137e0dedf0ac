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

//! A second link of a guest, on a segment, beside its wlan0: an attach of its own, with its own name.

use super::alone::only;
use super::*;
use android_system_guestnet::aidl::android::system::guestnet::{
    IGuestNet as codes, VpnPolicy::VpnPolicy,
};

/// A guest with internet by wlan0, and with eth1 on a segment.
struct Seat {
    guest: Guest,
    wlan0: Attached,
    eth1: Attached,
}

fn second(segment: &str, name: &str) -> GuestConfig {
    let (gateway, interface) = ("10.77.0.1".to_owned(), "eth1".to_owned());
    GuestConfig { gateway, prefixLength: 24, interfaceName: interface, ..only(segment, name) }
}

#[track_caller]
fn seat(bed: &Bed, segment: &str, name: &str) -> Seat {
    let guest = Guest::new();
    let wlan0 = bed.attach(name, &guest);
    let eth1 = bed.attach_as(&second(segment, &format!("{name}.eth1")), &by_pid(guest.pid()));
    Seat { guest, wlan0, eth1 }
}

with_both_backends!(two_guests_meet_by_their_second_links_alone);

fn two_guests_meet_by_their_second_links_alone(firewall: &str) {
    let mut bed = Bed::new(firewall);
    let (left, right) = (seat(&bed, "cockpit", "left"), seat(&bed, "cockpit", "right"));
    let meet = |log: &str| {
        for (one, other) in [(&left, &right), (&right, &left)] {
            assert!(one.guest.ping(address(&other.eth1)), "{log}");
            assert!(!one.guest.ping(address(&other.wlan0)), "{log}");
            assert_eq!(one.guest.tcp(Internet::TCP, "hello").unwrap(), "192.0.2.2 hello");
        }
    };
    meet(&bed.daemon.log());
    // Frames to all: by eth1 they come, by wlan0 they do not.
    let ends =
        |seat: &Seat| [Wire::of(&seat.guest, &seat.wlan0), Wire::of(&seat.guest, &seat.eth1)];
    let ([wlan0, eth1], there) = (ends(&left), ends(&right));
    let apart = wlan0.frame(ALL, IPV4, &udp(&left.wlan0, [255; 4], [9, 9], b"by wlan0"));
    let frame = eth1.frame(ALL, IPV4, &udp(&left.eth1, [255; 4], [9, 9], b"by eth1"));
    there[1].hears(b"by eth1", || {
        wlan0.send(&apart);
        eth1.send(&frame);
    });
    assert!(!there[0].has_heard(b"by") && !there[1].has_heard(b"by wlan0"));
    for name in ["left", "left.eth1"] {
        let status = bed.service.status(Some(name)).expect("status");
        let verdict = if name == "left" { Verdict::INTERNET } else { Verdict::NO_UPLINK };
        assert_eq!(status.guests[0].verdict, verdict, "{:?}", status.guests[0].layers);
    }
    // A restart takes both over.
    bed.daemon.kill();
    bed.start();
    assert_eq!(bed.names(), ["left", "left.eth1", "right", "right.eth1"]);
    meet(&bed.daemon.log());
    // One goes without the other; both go with their process.
    bed.detach("right.eth1");
    assert!(!left.guest.ping(address(&right.eth1)));
    assert!(right.guest.ping(Internet::ADDRESS));
    let mut left = left;
    left.guest.kill();
    eventually("both links are gone", || bed.names() == ["right"]);
    assert_eq!(hubs(&bed.device), [Value::Null; 0]);
}

#[test]
fn a_second_link_has_its_lease_and_takes_nothing_from_the_first() {
    let bed = Bed::new("auto");
    let left = seat(&bed, "cockpit", "left");
    left.guest.run("ip addr flush dev eth1");
    let told =
        left.guest.run("busybox udhcpc -f -q -n -i eth1 -t 10 -T 1 -s tests/segment/told.sh");
    assert!(told.contains(&format!("ip={} mask=24 router= dns= ", address(&left.eth1))), "{told}");
    // On a link with a way out it gets those, too.
    let (guest, attached) = attach(&bed, "cockpit", "a");
    let told = guest.run("busybox udhcpc -f -q -n -i wlan0 -t 10 -T 1 -s tests/segment/told.sh");
    let is = format!("ip={} mask=16 router=172.17.3.2 dns=172.17.3.2 ", address(&attached));
    assert!(told.contains(&is), "{told}");
}

#[test]
fn a_namespace_has_one_link_on_a_segment() {
    let bed = Bed::new("auto");
    let left = seat(&bed, "cockpit", "left");
    let there = by_pid(left.guest.pid());
    let third = GuestConfig { interfaceName: "eth2".to_owned(), ..second("cockpit", "third") };
    let before = bed.names();
    for refused in [
        bed.service.attach(&third, &there, None).map(drop),
        bed.service.plan(&third, &there).map(drop),
    ] {
        let error = refused.expect_err("it is on that segment already");
        assert_eq!(error.service_specific_error(), codes::ERROR_SEGMENT_CLASH, "{error}");
        assert!(error.to_string().contains("left.eth1"), "{error}");
    }
    assert_eq!(bed.names(), before);
    // On another one it may be; and another guest on the same.
    let gateway = "10.78.0.1".to_owned();
    bed.attach_as(&GuestConfig { segment: Some("cabin".into()), gateway, ..third }, &there);
    seat(&bed, "cockpit", "right");
}

#[test]
fn frames_do_not_circle_where_guests_bridge_their_links() {
    let bed = Bed::new("auto");
    // Each is on two segments and makes a bridge over both, without STP; what is in between is a ring.
    let ring: Vec<_> = ["one", "two"]
        .map(|name| {
            let guest = Guest::new();
            let wlan0 = bed.attach_as(&on("cockpit", name), &by_pid(guest.pid()));
            let eth1 =
                bed.attach_as(&second("cabin", &format!("{name}.eth1")), &by_pid(guest.pid()));
            (guest, wlan0, eth1)
        })
        .into();
    let (other, attached) = attach(&bed, "cockpit", "other");
    for (guest, ..) in &ring {
        guest.run("ip link add br0 type bridge");
        guest.run("ip link set br0 up");
        for link in ["wlan0", "eth1"] {
            guest.run(&format!("ip link set {link} promisc on master br0"));
        }
    }
    let there = Wire::of(&other, &attached);
    // A broadcast of each guest, of each bridge with a link's own MAC, and of a third guest.
    const COUNT: usize = 20;
    for (from, end) in [(&ring[0].0, &ring[0].1), (&ring[1].0, &ring[1].1)] {
        // By the bridge, as what runs in the guest sends.
        from.run(&format!("ip link set br0 address {}", end.mac));
        let by_bridge = Wire::at(from, "br0", end);
        let frame = by_bridge.frame(ALL, IPV4, &udp(end, [255; 4], [9, 9], b"round and round"));
        let before = there.count(b"round and round");
        (0..COUNT).for_each(|_| by_bridge.send(&frame));
        let last = by_bridge.frame(ALL, IPV4, &udp(end, [255; 4], [9, 9], b"the last one"));
        there.hears(b"the last one", || by_bridge.send(&last));
        there.forget(b"the last one");
        let came = there.count(b"round and round") - before;
        assert!(came <= COUNT, "{came} of {COUNT}");
    }
    let frame = there.frame(ALL, IPV4, &udp(&attached, [255; 4], [9, 9], b"from the third"));
    let in_ring = Wire::at(&ring[0].0, "wlan0", &ring[0].1);
    in_ring.hears(b"from the third", || there.send(&frame));
    assert!(!there.has_heard(b"from the third"), "it does not come back");
    // Nobody is slower for it: the device's links are quiet now.
    let sent = || -> u64 {
        let all = bed.device.run("ip -s -j link show group 1735288180");
        let all: Vec<Value> = serde_json::from_str(&all).expect("JSON");
        // What is of another group is told of as nothing.
        all.iter().filter_map(|link| link["stats64"]["rx"]["packets"].as_u64()).sum()
    };
    let quiet = || {
        let before = sent();
        std::thread::sleep(std::time::Duration::from_millis(300));
        sent() - before < 50
    };
    eventually("no frame is left that circles", quiet);
    let ways = bed.service.get("one.eth1").expect("get").expect("it is there").vpnPolicy;
    assert_eq!(ways, VpnPolicy::NO_UPLINK);
}
