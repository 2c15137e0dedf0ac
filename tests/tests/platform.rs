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

//! What the platform says of an uplink and of the device, beyond what the kernel has, and what comes of it.

use android_system_guestnet::aidl::android::system::guestnet::{
    Cause::Cause, DeviceState::DeviceState, IGuestNet::IGuestNet, Layer::Layer,
    LayerState::LayerState, UplinkInfo::UplinkInfo, Verdict::Verdict,
};
use guestnet_tests::bed::{eventually, Bed};
use guestnet_tests::{Device, Guest, InNetns, Internet, Probe};

#[test]
fn an_uplink_that_is_not_validated_is_named_and_keeps_nothing_back() {
    let bed = Bed::new("nftables");
    bed.attach("box", &bed.guest);
    let said = |validated, portal: Option<&str>| {
        let url = portal.map(str::to_owned);
        let info = UplinkInfo { validated, captivePortalUrl: url, ..UplinkInfo::default() };
        bed.service.setUplinkInfo("wlan0", &info).expect("setUplinkInfo");
        let status = bed.service.status(Some("box")).expect("status");
        assert_eq!(status.guests[0].verdict, Verdict::INTERNET, "a word keeps nothing back");
        let layer = status.device.into_iter().find(|one| one.layer == Layer::UPLINK).expect("it");
        assert_eq!(layer.state, LayerState::OK);
        assert_eq!(status.uplink.cause, layer.cause);
        assert_eq!(status.uplink.text, layer.text);
        layer
    };
    let before = bed.service.status(None).expect("status").uplink.cause;
    assert_eq!(before, Cause::HEALTHY, "nobody has said anything");

    let layer = said(false, None);
    assert_eq!(layer.cause, Cause::NOT_VALIDATED);
    assert!(layer.text.ends_with("; the platform has not reached the internet by it"));
    let layer = said(false, Some("https://portal.example/api"));
    let step = layer.nextStep.expect("a step");
    assert!(step.contains("https://portal.example/api"), "{step}");
    assert_eq!(bed.guest.tcp(Internet::TCP, "hello").unwrap(), "192.0.2.2 hello");
    assert_eq!(said(true, None).cause, Cause::HEALTHY);
    // Another network's is not this one's.
    bed.service.setUplinkInfo("eth7", &UplinkInfo::default()).expect("setUplinkInfo");
    assert_eq!(bed.service.status(None).expect("status").uplink.cause, Cause::HEALTHY);
}

/// What nobody announces is found by looking: by iptables a table is emptied without a word.
#[test]
fn an_idle_device_is_left_alone_until_it_wakes_up() {
    let device = Device::options().build();
    let bed = Bed::on(device).args("--firewall iptables --check-every 1").build();
    let guest = Guest::new();
    bed.attach("box", &guest);
    let idle = |idle| bed.service.setDeviceState(&DeviceState { idle }).expect("setDeviceState");
    let empty = || bed.device.run("iptables-legacy -w -t nat -F POSTROUTING");
    let is_there = || {
        let rules = bed.device.run("iptables-legacy -w -t nat -S POSTROUTING");
        rules.lines().count() > 1
    };
    empty();
    eventually("it is put back by the next check", is_there);
    idle(true);
    empty();
    std::thread::sleep(std::time::Duration::from_millis(2500));
    assert!(!is_there(), "nobody looks while it is idle");
    idle(false);
    assert!(is_there(), "it is looked at before the call is answered");
    empty();
    eventually("it is looked at as before", is_there);
}
