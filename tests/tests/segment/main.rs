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

//! Guests on a segment: they see each other, and nobody else sees them. Real frames, written by hand.

mod alone;
mod forged;
mod life;
mod loops;
mod refused;
mod second;
mod wire;

use android_system_guestnet::aidl::android::system::guestnet::{
    Guest::Guest as Attached, GuestConfig::GuestConfig, GuestKind::GuestKind,
    GuestState::GuestState, GuestTarget::GuestTarget, IGuestNet::IGuestNet, TargetKind::TargetKind,
    Verdict::Verdict,
};
use guestnet_tests::bed::{eventually, Bed};
use guestnet_tests::client::{address, by_pid, config};
use guestnet_tests::{with_both_backends, Device, Guest, InNetns, Internet, NetdDevice, Probe};
use serde_json::Value;
use wire::{udp, Wire, ALL, IPV4};

/// The original's set-up on a segment.
fn on(segment: &str, name: &str) -> GuestConfig {
    let segment = Some(segment.to_owned());
    GuestConfig { kind: GuestKind::BRIDGED, segment, ..config(name) }
}

/// A guest that is attached so.
#[track_caller]
fn attach<D: InNetns>(bed: &Bed<D>, segment: &str, name: &str) -> (Guest, Attached) {
    let guest = Guest::new();
    let attached = bed.attach_as(&on(segment, name), &by_pid(guest.pid()));
    (guest, attached)
}

/// The devices of segments.
fn hubs(device: &impl InNetns) -> Vec<Value> {
    let all = device.ip("link").into_iter();
    all.filter(|link| link["ifname"].as_str().is_some_and(|n| n.starts_with("vm_wlan_"))).collect()
}

/// How many filters all of them have.
fn filters(device: &impl InNetns) -> usize {
    let of = |hub: &Value| {
        let name = hub["ifname"].as_str().expect("a name");
        let all = device.run(&format!("tc filter show dev {name} ingress"));
        all.lines().filter(|line| line.contains("terminal")).count()
    };
    hubs(device).iter().map(of).sum()
}

/// Whether the kernel takes a limit at all, asked without guestnetd.
fn kernel_has_act_police() -> bool {
    let probe = Guest::new();
    let mut asks = probe.command("sh");
    asks.arg("-c").arg(
        "ip link add w0 type veth peer name w1 && tc qdisc add dev w0 clsact && \
         tc filter add dev w0 ingress matchall action police rate 1mbit burst 10k 2>/dev/null || \
         tc filter add dev w0 ingress u32 match u32 0 0 action police rate 1mbit burst 10k",
    );
    asks.output().is_ok_and(|output| output.status.success())
}

with_both_backends!(
    guests_of_a_segment_see_each_other_and_the_internet,
    segments_are_apart_and_so_are_guests_on_none,
);

fn guests_of_a_segment_see_each_other_and_the_internet(firewall: &str) {
    let bed = Bed::new(firewall);
    let (a, first) = attach(&bed, "cockpit", "a");
    let (b, second) = attach(&bed, "cockpit", "b");
    assert_eq!((first.kind, first.segment.as_deref()), (GuestKind::BRIDGED, Some("cockpit")));
    assert_eq!(first.state, GuestState::ATTACHED);
    assert!(a.ping(address(&second)), "{}", bed.daemon.log());
    assert!(b.ping(address(&first)), "{}", bed.daemon.log());
    for guest in [&a, &b] {
        assert!(guest.ping("172.17.3.2"), "the gateway");
        assert_eq!(guest.tcp(Internet::TCP, "hello").unwrap(), "192.0.2.2 hello");
    }
    // Without a router between: nothing has passed through the device.
    let path = a.run(&format!("ping -n -c1 -W1 {}", address(&second)));
    assert!(path.contains("ttl=64"), "{path}");
    let (one, other) = (Wire::of(&a, &first), Wire::of(&b, &second));
    let frame = one.frame(ALL, IPV4, &udp(&first, [255; 4], [9, 9], b"to all"));
    other.hears(b"to all", || one.send(&frame));
    let multicast = [0x01, 0, 0x5e, 0, 0, 0xfb];
    let frame = one.frame(multicast, IPV4, &udp(&first, [224, 0, 0, 251], [5353; 2], b"to some"));
    other.hears(b"to some", || one.send(&frame));
    assert!(!one.has_heard(b"to all") && !one.has_heard(b"to some"), "it is not sent back");
    for name in ["a", "b"] {
        let status = bed.service.status(Some(name)).expect("status");
        assert_eq!(status.guests[0].verdict, Verdict::INTERNET, "{:?}", status.guests[0].reason);
    }
}

fn segments_are_apart_and_so_are_guests_on_none(firewall: &str) {
    let bed = Bed::new(firewall);
    let (a, first) = attach(&bed, "cockpit", "a");
    let (b, second) = attach(&bed, "cockpit", "b");
    let (c, third) = attach(&bed, "cabin", "c");
    let plain = Guest::new();
    let fourth = bed.attach("plain", &plain);
    assert!(a.ping(address(&second)));
    for other in [&third, &fourth] {
        assert!(!a.ping(address(other)), "{}", other.name);
    }
    for guest in [&c, &plain] {
        assert!(!guest.ping(address(&first)) && !guest.ping(address(&second)));
        assert!(guest.ping("172.17.3.2") && guest.ping(Internet::ADDRESS));
    }
    assert!(!c.ping(address(&fourth)) && !plain.ping(address(&third)));
    assert_eq!(hubs(&bed.device).len(), 2);
    // Not by the gateway either.
    a.run(&format!("ip route add {} via 172.17.3.2", address(&third)));
    assert!(!a.ping(address(&third)));
    let (wire, there) = (Wire::of(&a, &first), Wire::of(&c, &third));
    let to = there.mac;
    let lost = wire.frame(to, IPV4, &udp(&first, [172, 17, 3, 5], [9, 9], b"lost"));
    let known = Wire::of(&b, &second);
    let found = wire.frame(ALL, IPV4, &udp(&first, [255; 4], [9, 9], b"found"));
    known.hears(b"found", || {
        [&lost, &found].map(|frame| wire.send(frame)).into_iter().for_each(drop)
    });
    assert!(!there.has_heard(b"lost") && !there.has_heard(b"found"));
}

#[test]
fn where_netd_is_a_segment_is_as_anywhere() {
    let bed = Bed::on_netd(NetdDevice::new()).build();
    let (a, first) = attach(&bed, "cockpit", "a");
    let (b, second) = attach(&bed, "cockpit", "b");
    assert!(a.ping(address(&second)) && b.ping(address(&first)), "{}", bed.daemon.log());
    assert!(a.ping(Internet::ADDRESS), "{}", bed.daemon.log());
}

#[test]
fn a_device_that_filters_what_bridges_pass_on_has_no_say_in_it() {
    let bed = Bed::new("nftables");
    bed.device.run("nft add table ip others");
    bed.device.run(
        "nft add chain ip others every { type filter hook forward priority 0 ; policy drop ; }",
    );
    bed.device.set_sysctl("net/bridge/bridge-nf-call-iptables", "1");
    let (a, _first) = attach(&bed, "cockpit", "a");
    let (_b, second) = attach(&bed, "cockpit", "b");
    assert!(a.ping(address(&second)), "{}", bed.daemon.log());
}

#[test]
fn a_segment_without_an_uplink_is_one_all_the_same() {
    let bed = Bed::on(Device::options().no_uplink().build()).build();
    let (a, first) = attach(&bed, "cockpit", "a");
    let (_b, second) = attach(&bed, "cockpit", "b");
    assert_eq!(first.state, GuestState::WAITING_FOR_UPLINK);
    assert!(a.ping(address(&second)), "{}", bed.daemon.log());
}

#[test]
fn a_segments_device_cannot_be_reached_and_says_nothing() {
    let bed = Bed::new("auto");
    let (a, first) = attach(&bed, "cockpit", "a");
    let (b, second) = attach(&bed, "cockpit", "b");
    let hub = &hubs(&bed.device)[0];
    let name = hub["ifname"].as_str().expect("a name");
    assert_eq!(
        (&hub["linkinfo"]["info_kind"], &hub["group"]),
        (&"bridge".into(), &"1735288180".into())
    );
    assert_eq!(hub["linkinfo"]["info_data"]["stp_state"], 0);
    assert_eq!(bed.device.addresses(4, name), [""; 0]);
    assert_eq!(bed.device.addresses(6, name), [""; 0]);
    let (one, other) = (Wire::of(&a, &first), Wire::of(&b, &second));
    let frame = one.frame(ALL, IPV4, &udp(&first, [255; 4], [9, 9], b"to all"));
    other.hears(b"to all", || one.send(&frame));
    // Not a frame of it has come to the device there: its own counter of those says so.
    let link: Value =
        serde_json::from_str(&bed.device.run(&format!("ip -s -j link show dev {name}"))).unwrap();
    assert_eq!(link[0]["stats64"]["rx"]["packets"], 0, "{link}");
}
