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

//! Beside all else that netd shapes on a device, and while it goes: VPNs of each kind, a work profile's
//! network, a local network, a hotspot.

use std::time::Duration;

use android_system_guestnet::aidl::android::system::guestnet::Cause::Cause;
use android_system_guestnet::aidl::android::system::guestnet::LayerState::LayerState;
use guestnet_tests::bed::{eventually, Bed, Server, BOUND, GATEWAY};
use guestnet_tests::netd::{ask, table, NetdDevice, Variant, Vpn};
use guestnet_tests::{poll, Guest, InNetns, Probe};

/// One application's users, and a work profile's.
const APPLICATION: &str = "10100-10100";
const PROFILE: &str = "1000000-1099999";

#[test]
fn beside_all_else_on_android_12() {
    beside_all_else(Variant::Android12);
}

#[test]
fn beside_all_else_on_android_13() {
    beside_all_else(Variant::Android13);
}

#[test]
fn beside_all_else_on_android_15() {
    beside_all_else(Variant::Android15);
}

#[test]
fn beside_all_else_on_android_16() {
    beside_all_else(Variant::Android16);
}

/// One thing after the other, and then all of them at once.
fn beside_all_else(variant: Variant) {
    let args = "--resolv-conf /nonexistent";
    let mut bed = Bed::on_netd(NetdDevice::of(variant)).args(args).attached("demo").build();
    let [wifi, _] = bed.device.resolvers("wlan0");
    bed.service.setDns("wlan0", &[wifi]).expect("setDns");
    // Its link stays.
    bed.device.connect("rmnet0", NetdDevice::RMNET0);
    bed.device.disconnect("rmnet0");
    let before = bed.device.everything_else();
    bed.device.connect("rmnet0", NetdDevice::RMNET0);
    is_well(&bed, "rmnet0");
    bed.device.bypassable_vpn_up("tun0");
    is_well(&bed, "a bypassable VPN");
    bed.device.vpn_down("tun0");
    bed.device.vpn_up_for("tun0", Vpn::Secure, APPLICATION);
    is_well(&bed, "an application's VPN");
    bed.device.vpn_down("tun0");
    bed.device.vpn_up("tun0");
    bed.device.lockdown(true);
    is_well(&bed, "a VPN and its lockdown");
    bed.device.prefer("rmnet0", PROFILE);
    is_well(&bed, "a work profile's network");
    if variant.has_local_networks() {
        bed.device.add_local_network("thread0", "172.31.0.2/24");
        is_well(&bed, "a local network");
    }
    bed.device.hotspot(true);
    is_well(&bed, "a hotspot");

    serves_another(&bed);
    bed.device.netd_restarts(Duration::ZERO);
    is_well(&bed, "netd has started again");
    bed.device.hotspot(true);
    is_well(&bed, "the hotspot is back");
    bed.daemon.kill();
    assert_eq!(bed.seen_as().as_deref(), Some("192.0.2.2"), "while guestnetd is away");
    bed.start();
    is_well(&bed, "guestnetd has started again");

    bed.device.hotspot(false);
    if variant.has_local_networks() {
        bed.device.disconnect("thread0");
        bed.device.run("ip link del thread0");
    }
    bed.device.lockdown(false);
    bed.device.vpn_down("tun0");
    for program in ["iptables-legacy", "ip6tables-legacy"] {
        // What netd leaves of a hotspot.
        bed.device.run(&format!("{program} -w -F tetherctrl_counters"));
    }
    bed.device.disconnect("rmnet0");
    is_well(&bed, "all of it is gone");
    assert_eq!(bed.device.everything_else().diff(&before), None);
    bed.end();
}

/// The guest `demo` has internet and names, and each layer of its status says so.
#[track_caller]
fn is_well(bed: &Bed<NetdDevice>, beside: &str) {
    println!("{:?}: {beside}", bed.device.variant());
    bed.flows_as("192.0.2.2");
    assert_eq!(bed.guest.tcp(NetdDevice::TCP, "x").expect("TCP"), "192.0.2.2 x");
    assert!(ask(&bed.guest, GATEWAY, false).expect("a name").contains("wlan0"));
    let unwell = || {
        let mut layers = bed.service.status(Some("demo")).expect("status").guests.remove(0).layers;
        layers.retain(|layer| layer.state != LayerState::OK);
        layers
    };
    let is_well = poll(BOUND, || unwell().is_empty().then_some(()));
    assert!(is_well.is_some(), "beside {beside}: {:?}\n{}", unwell(), bed.daemon.log());
}

/// The hotspot's client and another guest have internet, and nobody reaches anybody.
#[track_caller]
fn serves_another(bed: &Bed<NetdDevice>) {
    let other = Guest::new();
    bed.attach("other", &other);
    assert_eq!(other.udp(NetdDevice::UDP, "y").expect("UDP"), "192.0.2.2 y");
    assert!(other.ping(GATEWAY));
    let client = Guest::new();
    bed.device.internet.run(&format!("ip link set i-ap0 netns {}", client.pid()));
    client.run("ip addr add 192.168.43.2/24 dev i-ap0");
    client.run("ip link set i-ap0 up");
    client.run("ip route add default via 192.168.43.1");
    let online = || (client.udp(NetdDevice::UDP, "z").ok()? == "192.0.2.2 z").then_some(());
    poll(BOUND, online).expect("the hotspot works");
    let servers = [&bed.guest, &client].map(|netns| Server::start(netns, &["0.0.0.0:5000"]));
    for (from, to) in
        [(&other, "172.17.3.3:5000"), (&other, "192.168.43.2:5000"), (&client, "172.17.3.3:5000")]
    {
        assert!(from.udp(to, "hello").is_err(), "{to} is reached");
    }
    assert!(servers.iter().all(|server| !server.has_heard("hello")));
    drop(servers);
    // Else the hotspot's interface goes with its client.
    client.run(&format!("ip link set i-ap0 netns {}", bed.device.internet.netns.name()));
    bed.detach("other");
}

/// Its rule for what is forwarded comes before those for tethering, and so before guestnetd's.
#[test]
fn a_local_network_with_a_default_route_is_named() {
    for variant in Variant::ALL.into_iter().filter(|variant| variant.has_local_networks()) {
        let bed = Bed::on_netd(NetdDevice::of(variant)).attached("demo").build();
        bed.flows_as("192.0.2.2");
        bed.device.add_local_network("thread0", "172.31.0.2/24");
        bed.flows_as("192.0.2.2");
        let table = table(bed.device.ifindex("thread0"));
        let route = format!("default via 172.31.0.1 dev thread0 table {table}");
        bed.device.run(&format!("ip route add {route}"));
        assert!(bed.seen_as().is_none());
        let shadowed = || {
            let layers = bed.service.status(Some("demo")).expect("status").guests.remove(0).layers;
            layers.into_iter().find(|layer| layer.cause == Cause::RULE_SHADOWED)
        };
        let layer = poll(BOUND, shadowed).expect("it is said");
        assert_eq!(layer.state, LayerState::BAD, "{layer:?}");
        for word in ["thread0", "rule 20000", &table.to_string()] {
            assert!(layer.text.contains(word), "{word}: {layer:?}");
        }
        bed.device.run(&format!("ip route del {route}"));
        bed.flows_as("192.0.2.2");
        eventually("it is over", || shadowed().is_none());
        bed.end();
    }
}
