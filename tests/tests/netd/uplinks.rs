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

//! The uplink is lost, comes back, becomes another.

use std::thread::sleep;
use std::time::Duration;

use android_system_guestnet::aidl::android::system::guestnet::Cause::Cause;
use android_system_guestnet::aidl::android::system::guestnet::GuestState::GuestState;
use android_system_guestnet::aidl::android::system::guestnet::Layer::Layer;
use android_system_guestnet::aidl::android::system::guestnet::LayerState::LayerState;
use guestnet_tests::bed::{eventually, Bed, BOUND};
use guestnet_tests::netd::{table, NetdDevice, Variant};
use guestnet_tests::probe::exchange;
use guestnet_tests::{InNetns, Probe};

#[test]
fn a_short_loss_leaves_connections_alone() {
    let bed = Bed::on_netd(NetdDevice::new()).attached("demo").build();
    let stream = bed.guest.connect_tcp(NetdDevice::TCP).expect("TCP");
    stream.set_read_timeout(Some(BOUND)).expect("a time limit");
    assert_eq!(exchange(&stream, "before").expect("a line"), "192.0.2.2 before");
    let index = bed.device.ifindex("wlan0");
    let routes = bed.device.routes(4, &table(index).to_string());
    let kept = bed.device.run("ip rule show");
    let requests = bed.daemon.log().lines().count();
    for _ in 0..3 {
        // netd empties the table, and fills it again when the carrier is back.
        bed.device.internet.run("ip link set i-wlan0 down");
        bed.device.run(&format!("ip route flush table {}", table(index)));
        sleep(Duration::from_millis(120));
        assert!(bed.seen_as().is_none());
        bed.device.internet.run("ip link set i-wlan0 up");
        bed.device.wait_until_up("wlan0");
        // The gateway is reached by the subnet's route.
        for route in routes.iter().rev() {
            bed.device.run(&format!("ip route replace {route} table {}", table(index)));
        }
        assert_eq!(exchange(&stream, "after").expect("a line"), "192.0.2.2 after");
    }
    assert_eq!(bed.device.run("ip rule show"), kept);
    let log = bed.daemon.log();
    let since: Vec<_> = log.lines().skip(requests).collect();
    let acted = |line: &&&str| {
        ["put back", "firewall:", "rule ", "forgotten"].iter().any(|w| line.contains(w))
    };
    assert_eq!(since.iter().find(acted), None, "{since:#?}");
    bed.end();
}

#[test]
fn wifi_comes_back_with_its_address_another_or_as_another_interface() {
    for variant in Variant::ALL {
        let bed = Bed::on_netd(NetdDevice::of(variant)).attached("demo").build();
        bed.flows_as("192.0.2.2");
        bed.device.wifi_lost();
        assert!(bed.seen_as().is_none());
        let uplink = bed.layer(Layer::UPLINK);
        assert_eq!(uplink.state, LayerState::WAITING, "{uplink:?}");
        let guest = bed.service.get("demo").expect("get").expect("the guest");
        assert_eq!(guest.state, GuestState::WAITING_FOR_UPLINK);
        bed.device.wifi_back();
        bed.flows_as("192.0.2.2");
        bed.device.wifi_lost();
        bed.device.wifi_back_at("10.99.7.5/24");
        bed.flows_as("10.99.7.5");
        let before = bed.device.ifindex("wlan0");
        bed.device.delete_interface("wlan0");
        assert!(bed.seen_as().is_none());
        bed.device.connect("wlan0", NetdDevice::WLAN0);
        assert_ne!(bed.device.ifindex("wlan0"), before);
        bed.flows_as("192.0.2.2");
        let rules = bed.device.run("ip rule show");
        assert_eq!(rules.matches("from 172.17.0.0/16").count(), 1, "{rules}");
        bed.end();
    }
}

#[test]
fn a_list_is_followed_in_its_order() {
    let bed =
        Bed::on_netd(NetdDevice::new()).args("--uplink wlan0,rmnet*").attached("demo").build();
    bed.device.connect("rmnet0", NetdDevice::RMNET0);
    bed.flows_as("192.0.2.2");
    let rules = bed.device.chain("iptables", "filter", "oem_guestnet_fwd");
    for _ in 0..3 {
        bed.device.wifi_lost();
        bed.device.default_to("rmnet0");
        bed.flows_as("203.0.113.2");
        assert_eq!(bed.layer(Layer::UPLINK).state, LayerState::OK);
        bed.device.wifi_back();
        bed.device.default_to("wlan0");
        bed.flows_as("192.0.2.2");
    }
    let now = bed.device.chain("iptables", "filter", "oem_guestnet_fwd");
    assert_eq!(now, rules, "a change of the uplink runs no iptables");
    bed.end();
}

#[test]
fn default_is_netds_default_network() {
    for variant in Variant::ALL {
        let bed =
            Bed::on_netd(NetdDevice::of(variant)).args("--uplink default").attached("demo").build();
        bed.flows_as("192.0.2.2");
        bed.device.connect("rmnet0", NetdDevice::RMNET0);
        bed.device.default_to("rmnet0");
        bed.flows_as("203.0.113.2");
        let status = bed.service.status(None).expect("status");
        assert_eq!(status.uplink.interfaceName, "rmnet0");
        assert_eq!(status.uplink.routeTable, table(bed.device.ifindex("rmnet0")) as i32);
        bed.device.disconnect("rmnet0");
        assert!(bed.seen_as().is_none());
        bed.device.default_to("wlan0");
        bed.flows_as("192.0.2.2");
        bed.end();
    }
}

#[test]
fn a_guest_may_come_before_the_uplink() {
    let bed = Bed::on_netd(NetdDevice::offline(Variant::Android13)).attached("demo").build();
    assert!(bed.seen_as().is_none());
    assert_eq!(bed.layer(Layer::RULE).state, LayerState::WAITING);
    bed.device.connect("wlan0", NetdDevice::WLAN0);
    bed.flows_as("192.0.2.2");
    bed.end();
}

#[test]
fn on_ipv6_only_wifi_the_stacked_interface_is_taken() {
    // As 464XLAT has it: wlan0 is up without an IPv4 address, v4-wlan0 has one.
    let device = NetdDevice::offline(Variant::Android13);
    device.connect("wlan0", NetdDevice::WLAN0);
    device.disconnect("wlan0");
    device.connect("v4-wlan0", "10.64.0.2/24");
    let bed = Bed::on_netd(device).args("--uplink wlan0,v4-wlan0,rmnet*").attached("demo").build();
    bed.flows_as("10.64.0.2");
    let status = bed.service.status(None).expect("status");
    assert_eq!(status.uplink.interfaceName, "v4-wlan0");
    assert_eq!(status.uplink.choice, "wlan0,v4-wlan0,rmnet*");
    bed.device.connect("wlan0", NetdDevice::WLAN0);
    bed.device.default_to("wlan0");
    bed.flows_as("192.0.2.2");
    bed.end();
}

#[test]
fn a_clat_is_taken_without_being_named() {
    for choice in ["default", "wlan0"] {
        let args = format!("--uplink {choice}");
        let bed = Bed::on_netd(NetdDevice::new()).args(&args).attached("demo").build();
        bed.flows_as("192.0.2.2");
        for _ in 0..2 {
            // Wi-Fi has IPv6 alone; its clat comes later, and goes.
            bed.device.run("ip -4 addr flush dev wlan0");
            assert!(bed.seen_as().is_none());
            assert_eq!(bed.layer(Layer::UPLINK).state, LayerState::WAITING);
            bed.device.connect("v4-wlan0", "10.64.0.2/24");
            bed.flows_as("10.64.0.2");
            assert_eq!(bed.layer(Layer::UPLINK).state, LayerState::OK);
            bed.device.disconnect("v4-wlan0");
            assert!(bed.seen_as().is_none());
        }
        bed.device.disconnect("wlan0");
        bed.device.connect("wlan0", NetdDevice::WLAN0);
        bed.flows_as("192.0.2.2");
        bed.end();
    }
}

#[test]
fn a_network_that_is_not_the_default_one_is_not_the_internet() {
    let device = NetdDevice::new();
    // As IMS: it is up, with an address and a default route of its own, and no server is behind it.
    device.connect("rmnet_data0", "10.55.0.2/24");
    let ims = device.ifindex("rmnet_data0");
    device.connect("rmnet0", NetdDevice::RMNET0);
    let bed = Bed::on_netd(device).args("--uplink wlan0,rmnet*").attached("demo").build();
    bed.flows_as("192.0.2.2");
    bed.device.default_to("rmnet0");
    bed.flows_as("203.0.113.2");
    bed.device.wifi_lost();
    bed.flows_as("203.0.113.2");
    assert_eq!(bed.layer(Layer::UPLINK).state, LayerState::OK);
    // Whichever is the default network: one without a default route carries nothing.
    let table = table(bed.device.ifindex("rmnet0"));
    let route = bed.device.run(&format!("ip route show default table {table}"));
    bed.device.run(&format!("ip route del default table {}", self::table(ims)));
    for _ in 0..2 {
        bed.device.run(&format!("ip route del default table {table}"));
        eventually("it is said", || {
            let layer = bed.layer(Layer::UPLINK);
            (layer.state, layer.cause) == (LayerState::WAITING, Cause::NO_DEFAULT_ROUTE)
        });
        bed.device.run(&format!("ip route add {} table {table}", route.trim()));
        bed.flows_as("203.0.113.2");
    }
    bed.end();
}

#[test]
fn a_burst_of_announcements_is_one_event_or_two() {
    let bed = Bed::on_netd(NetdDevice::new()).attached("demo").build();
    bed.flows_as("192.0.2.2");
    let before = bed.daemon.log().matches("uplink: ").count();
    bed.device.run("ip addr add 10.99.7.5/24 dev wlan0");
    for n in 0..40 {
        bed.device.run(&format!("ip addr add 10.77.{n}.1/24 dev wlan0"));
    }
    // The address in use is still the first one: nothing has changed for guests.
    bed.flows_as("192.0.2.2");
    let status = bed.service.status(None).expect("status");
    assert_eq!(status.uplink.address, "192.0.2.2");
    assert_eq!(bed.daemon.log().matches("uplink: ").count(), before, "{}", bed.daemon.log());
    bed.end();
}
