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

//! On a device that routes by table main: guests that leave by an interface of their own.

mod networks;

use android_system_guestnet::aidl::android::system::guestnet::GuestConfig::GuestConfig;
use android_system_guestnet::aidl::android::system::guestnet::VpnPolicy::VpnPolicy;
use guestnet_tests::client::{by_pid, config};
use guestnet_tests::{Device, Guest, InNetns, Internet, Probe};
use networks::{eventually, second_way, Bed};

networks::with_both_backends!(a_tun_is_shared_and_comes_back);

/// The server behind the VPN, and what it sees of the device.
const BEYOND: &str = "198.51.100.1:80";
const IN_VPN: &str = "198.51.100.2";

fn by_tun(name: &str) -> GuestConfig {
    GuestConfig { vpnPolicy: VpnPolicy::NAMED_TUN, uplink: Some("tun0".to_owned()), ..config(name) }
}

fn a_tun_is_shared_and_comes_back(firewall: &str) {
    let device = Device::new();
    let beyond = second_way(&device, "tun0");
    let bed = Bed::on(device, &format!("--firewall {firewall}"));
    let before = bed.device.run("ip rule show");
    let (a, b, other) = (Guest::new(), Guest::new(), Guest::new());
    bed.attach_as(&by_tun("a"), &by_pid(a.pid()));
    bed.attach_as(&by_tun("b"), &by_pid(b.pid()));
    bed.attach("other", &other);
    let goes = |guest: &Guest| guest.tcp(BEYOND, "x").is_ok_and(|l| l == format!("{IN_VPN} x"));
    assert!(goes(&a) && goes(&b), "{}", bed.daemon.log());
    assert!(a.tcp(Internet::TCP, "x").is_err(), "by no other way");
    assert_eq!(other.tcp(Internet::TCP, "y").expect("TCP"), format!("{} y", Device::ADDRESS));
    bed.detach("a");
    assert!(goes(&b), "its route is a's no more, but still b's");
    bed.device.run("ip link set tun0 down");
    bed.device.run("ip link set tun0 up");
    eventually("b goes by the tun again", || goes(&b));
    bed.detach("b");
    bed.detach("other");
    assert_eq!(bed.device.run("ip rule show"), before);
    let left = bed.device.run("ip route show table all");
    assert!(!left.contains("proto 103"), "{left}");
    drop(beyond);
}
