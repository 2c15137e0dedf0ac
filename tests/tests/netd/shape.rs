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

//! On each Android: traffic flows, what was made is where netd's rules look for it, and all else is
//! as it was, also afterwards.

use android_system_guestnet::aidl::android::system::guestnet::Layer::Layer;
use android_system_guestnet::aidl::android::system::guestnet::LayerState::LayerState;
use guestnet_tests::bed::{Bed, GATEWAY};
use guestnet_tests::netd::{table, NetdDevice, Variant};
use guestnet_tests::{Guest, InNetns, Probe};

#[test]
fn a_guest_has_internet_on_every_android() {
    for variant in Variant::ALL {
        let device = NetdDevice::of(variant);
        let before = device.everything_else();
        let bed = Bed::on_netd(device).attached("demo").build();
        bed.flows_as("192.0.2.2");
        assert_eq!(bed.guest.tcp(NetdDevice::TCP, "x").expect("TCP"), "192.0.2.2 x");
        assert!(bed.guest.ping(GATEWAY), "the device itself answers");
        let rules = bed.device.run("ip rule show");
        let lookup = table(bed.device.ifindex("wlan0"));
        let ours = format!("21500:\tfrom 172.17.0.0/16 lookup {lookup} proto 103");
        assert!(rules.contains(&ours), "{rules}");
        let local = bed.device.routes(4, "97");
        assert!(local.iter().any(|r| r.starts_with("172.17.3.3 dev vm_wlan")), "{local:?}");
        assert_eq!(bed.device.forwarding_requesters(), ["guestnetd"]);
        assert_eq!(bed.service.info().expect("info").routing, "netd");

        // A second one, which gets no rule of its own.
        let other = Guest::new();
        bed.attach("other", &other);
        assert_eq!(other.udp(NetdDevice::UDP, "y").expect("UDP"), "192.0.2.2 y");
        assert_eq!(bed.device.run("ip rule show"), rules);
        assert!(other.udp("172.17.3.3:7", "z").is_err(), "guests do not reach each other");
        assert_eq!(bed.device.everything_else().diff(&before), None, "with guests");

        bed.service.detach("other").expect("detach");
        bed.service.detach("demo").expect("detach");
        assert_eq!(bed.device.forwarding_requesters(), [""; 0]);
        assert_eq!(bed.device.sysctl("net/ipv4/ip_forward"), "0");
        assert_eq!(bed.device.everything_else().diff(&before), None, "without guests");
        let mut bed = bed;
        bed.daemon.stop();
        let rules = bed.device.run("ip rule show");
        assert!(!rules.contains("103") && !rules.contains("172.17"), "{rules}");
        let saved = bed.device.run("iptables-legacy-save");
        assert!(!saved.contains("guestnet"), "{saved}");
        bed.end();
    }
}

#[test]
fn every_layer_is_right_and_says_so() {
    let device = NetdDevice::new();
    let [dns, _] = device.resolvers("wlan0");
    let bed = Bed::on_netd(device).args(&format!("--dns {dns}")).attached("demo").build();
    bed.flows_as("192.0.2.2");
    let status = bed.service.status(Some("demo")).expect("status");
    for layer in &status.guests[0].layers {
        assert_eq!(layer.state, LayerState::OK, "{layer:?}");
    }
    let rule = bed.layer(Layer::RULE).text;
    assert!(rule.contains("21500: from 172.17.0.0/16 lookup"), "{rule}");
    bed.end();
}

#[test]
fn a_restart_of_guestnetd_loses_no_packet() {
    for crash in [false, true] {
        let mut bed = Bed::on_netd(NetdDevice::new()).attached("demo").build();
        bed.flows_as("192.0.2.2");
        match crash {
            true => bed.daemon.kill(),
            false => drop(bed.daemon.stop()),
        }
        assert_eq!(bed.seen_as().as_deref(), Some("192.0.2.2"), "while it is away");
        bed.daemon.start();
        bed.service = bed.daemon.connect();
        assert_eq!(bed.seen_as().as_deref(), Some("192.0.2.2"), "{}", bed.daemon.log());
        bed.service.detach("demo").expect("detach");
        assert_eq!(bed.device.forwarding_requesters(), [""; 0]);
    }
}
