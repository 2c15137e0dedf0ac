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

//! netd starts anew, at each pace, and the hotspot comes and goes.

use std::time::Duration;

use android_system_guestnet::aidl::android::system::guestnet::Layer::Layer;
use android_system_guestnet::aidl::android::system::guestnet::LayerState::LayerState;
use guestnet_tests::bed::{Bed, BOUND};
use guestnet_tests::netd::{NetdDevice, Variant};
use guestnet_tests::{poll, InNetns};

#[test]
fn netd_restarts_at_every_pace() {
    for variant in Variant::ALL {
        let bed = Bed::on_netd(NetdDevice::of(variant)).attached("demo").build();
        bed.flows_as("192.0.2.2");
        let before = bed.device.everything_else();
        for pace in [0, 5, 100] {
            bed.device.netd_restarts(Duration::from_millis(pace));
            bed.flows_as("192.0.2.2");
            assert_eq!(bed.device.forwarding_requesters(), ["guestnetd"], "pace {pace}");
            let jumps = bed.device.run("iptables-legacy-save");
            let [input, other] = match variant.has_vendor_input() {
                true => ["oem_in", "INPUT"],
                false => ["INPUT", "oem_in"],
            };
            for parent in ["oem_fwd", input, "POSTROUTING"] {
                let jump = format!("-A {parent} -j oem_guestnet");
                assert_eq!(jumps.matches(&jump).count(), 1, "{jump}: {jumps}");
            }
            assert!(!jumps.contains(&format!("-A {other} -j oem_guestnet")), "{jumps}");
        }
        assert_eq!(bed.device.everything_else().diff(&before), None);
        bed.end();
    }
}

#[test]
fn the_hotspot_and_guests_share_the_switch() {
    let bed = Bed::on_netd(NetdDevice::new()).attached("demo").build();
    bed.device.hotspot(true);
    bed.flows_as("192.0.2.2");
    bed.device.hotspot(false);
    bed.flows_as("192.0.2.2");
    assert_eq!(bed.device.forwarding_requesters(), ["guestnetd"]);
    bed.device.hotspot(true);
    bed.device.netd_restarts(Duration::ZERO);
    bed.flows_as("192.0.2.2");
    bed.service.detach("demo").expect("detach");
    assert!(!bed.device.forwarding_requesters().contains(&"guestnetd".to_owned()));
    bed.end();
}

/// netd has switched forwarding off for the hotspot, and guestnetd has not been told of it yet.
#[test]
fn an_attach_right_after_a_hotspot_is_not_contested() {
    for variant in Variant::ALL {
        let bed = Bed::on_netd(NetdDevice::of(variant)).build();
        for _ in 0..3 {
            bed.device.hotspot(true);
            bed.device.hotspot(false);
            bed.attach("demo", &bed.guest);
            bed.flows_as("192.0.2.2");
            bed.service.detach("demo").expect("detach");
        }
        let log = bed.daemon.log();
        assert!(!log.contains("put back") && !log.contains("another program"), "{log}");
        bed.end();
    }
}

#[test]
fn a_switch_that_somebody_writes_is_asked_for_again() {
    let bed = Bed::on_netd(NetdDevice::new()).attached("demo").build();
    bed.flows_as("192.0.2.2");
    for _ in 0..3 {
        bed.device.set_sysctl("net/ipv4/ip_forward", "0");
        bed.flows_as("192.0.2.2");
    }
    bed.end();
}

#[test]
fn netd_restarts_while_guestnetd_is_away() {
    let mut bed = Bed::on_netd(NetdDevice::new()).attached("demo").build();
    bed.flows_as("192.0.2.2");
    bed.daemon.kill();
    bed.device.netd_restarts(Duration::ZERO);
    bed.daemon.start();
    bed.service = bed.daemon.connect();
    bed.flows_as("192.0.2.2");
    assert_eq!(bed.device.forwarding_requesters(), ["guestnetd"]);
    bed.end();
}

#[test]
fn nothing_is_hooked_in_while_netd_is_asked() {
    let bed = Bed::on_netd(NetdDevice::new()).args("--uplink default").attached("demo").build();
    bed.device.connect("rmnet0", NetdDevice::RMNET0);
    bed.flows_as("192.0.2.2");
    let busy = bed.device.hold_netd();
    bed.device.note_calls();
    bed.device.set_sysctl("net/ipv4/ip_forward", "0");
    let asked = || bed.device.noted_calls().iter().any(|call| call.starts_with("ndc ipfwd enable"));
    poll(BOUND, || asked().then_some(())).expect("netd is asked");
    bed.device.default_to("rmnet0");
    let uplink = || bed.service.status(None).expect("status").uplink.interfaceName;
    poll(BOUND, || (uplink() == "rmnet0").then_some(())).expect("the other uplink");
    assert_eq!(bed.layer(Layer::FIREWALL).state, LayerState::WAITING);
    let calls = bed.device.noted_calls();
    assert!(bed.device.sysctl("net/ipv4/ip_forward") == "0", "it has not answered: {calls:?}");
    let changes = |call: &&String| call.contains("tables") && !call.contains(" -C ");
    assert_eq!(calls.iter().find(changes), None, "{calls:?}");
    drop(busy);
    bed.flows_as("203.0.113.2");
    bed.end();
}
