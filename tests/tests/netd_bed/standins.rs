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

//! The stand-ins for Android's programs.

use std::process::Output;
use std::thread;
use std::time::{Duration, Instant};

use guestnet_tests::netd::Variant;
use guestnet_tests::{said, InNetns, NetdDevice};

use crate::ipfwd;

#[test]
fn the_wrapper_lets_through_what_the_real_one_does() {
    // Whether it runs the line: the versions before 15, and 15.
    let cases = [
        ("-w -t filter -N oem_guestnet_fwd", true, true),
        ("-w -t filter -A oem_guestnet_fwd -i vm_wlan -o wlan0 -j ACCEPT", true, true),
        ("-w -t filter -I oem_fwd 1 -j oem_guestnet_fwd", true, true),
        ("-w -t filter -C oem_fwd -j oem_guestnet_fwd", true, true),
        ("-w -t filter -C oem_guestnet_fwd -i vm_wlan -o wlan0 -j ACCEPT", false, true),
        ("-w -t filter -D oem_fwd -j oem_guestnet_fwd", true, true),
        ("-w -t filter -F oem_guestnet_fwd", true, true),
        ("-w -t filter -X oem_guestnet_fwd", true, true),
        ("-w -t nat -N oem_guestnet_post", true, true),
        ("-w -t nat -A POSTROUTING -j oem_guestnet_post", true, true),
        ("-w -t nat -C POSTROUTING -j oem_guestnet_post", true, true),
        ("-w -t nat -D POSTROUTING -j oem_guestnet_post", true, true),
        ("-w5 -t nat -F oem_guestnet_post", true, true),
        ("-w -t nat -X oem_guestnet_post", true, true),
        ("-w -t filter -A INPUT -i rmnet_data0 -j ACCEPT", true, true),
        ("-w -t filter -A INPUT -i my_oem3x -j ACCEPT", true, true),
        ("-w -t filter -A INPUT -i wwan0 -j ACCEPT", false, true),
        ("-w -t filter -A INPUT -i rmnet0 -j ACCEPT", false, false),
        ("-w -t filter -A INPUT -i wlan0 -j ACCEPT", false, false),
        ("-t nat -N oem_unlocked", false, false),
        ("-t nat -N oem_unlocked -w", false, false),
        ("-w -t filter -A FORWARD -i wlan0 -o vm_wlan -j ACCEPT", false, false),
        ("-w -t nat -A POSTROUTING -s 172.17.0.0/16 -o wlan0 -j MASQUERADE", false, false),
        ("-w -t filter -N guestnet_fwd", false, false),
        ("-w -t filter -P FORWARD ACCEPT", false, false),
        ("-w -S oem_fwd", false, false),
        ("-w -L oem_fwd", false, false),
        ("-w -t filter -Z oem_fwd", false, false),
        ("-w -t filter -E oem_fwd oem_other", false, false),
        ("", false, false),
    ];
    for variant in [Variant::Android13, Variant::Android15] {
        let device = NetdDevice::offline(variant);
        let before = device.everything_else();
        for (line, before_15, since_15) in cases {
            let out = device.wrapped(&device.iptables(), line);
            let refused = said(&out).contains("NetUtilsWrapper: Unexpected command: ");
            let allowed = if variant == Variant::Android15 { since_15 } else { before_15 };
            assert_eq!(!refused, allowed, "{variant:?}: {line}: {}", said(&out));
            assert_eq!(out.status.code(), Some(i32::from(refused)), "{line}: {}", said(&out));
        }
        device.run("iptables-legacy -w -F INPUT");
        for chain in ["bw_INPUT", "fw_INPUT"] {
            device.run(&format!("iptables-legacy -w -A INPUT -j {chain}"));
        }
        before.assert_same(&device.everything_else());
        // A failure is iptables' own, not the wrapper's.
        let out = device.wrapped(&device.iptables(), "-w -t filter -F oem_not_there");
        assert_eq!(out.status.code(), Some(1));
        assert!(said(&out).contains("iptables"), "{}", said(&out));
        let out = device.wrapped(&device.ip6tables(), "-w -t filter -N oem_guestnet_in");
        assert!(out.status.success(), "{}", said(&out));
        let six = device.chain("ip6tables", "filter", "oem_guestnet_in");
        assert_eq!(six, ["-N oem_guestnet_in"]);
        let out = device.wrapped(&device.ndc(), "ipfwd add vm_wlan wlan0");
        assert_eq!(out.status.code(), Some(1), "{}", said(&out));
        let out = device.wrapped(&device.ndc(), "monitor");
        assert_eq!(out.status.code(), Some(1), "{}", said(&out));
    }
}

#[test]
fn the_forwarding_switch_is_on_while_somebody_asks() {
    let device = NetdDevice::new();
    let on = || device.sysctl("net/ipv4/ip_forward");
    const DONE: &str = "200 0 ipfwd operation succeeded\n";
    assert_eq!(on(), "0");
    assert_eq!(ipfwd(&device, "enable guestnetd"), DONE);
    assert_eq!(ipfwd(&device, "enable guestnetd"), DONE);
    assert_eq!(on(), "1");
    device.hotspot(true);
    assert_eq!(device.forwarding_requesters(), ["guestnetd", "Tethering"]);
    assert_eq!(ipfwd(&device, "disable guestnetd"), DONE);
    assert_eq!(on(), "1");
    device.hotspot(false);
    assert_eq!(on(), "0");
    assert_eq!(device.sysctl("net/ipv4/conf/all/accept_redirects"), "0");
    assert_eq!(ipfwd(&device, "disable nobody"), DONE);
    assert_eq!(ipfwd(&device, "enable two words"), "500 0 Unknown ipfwd cmd\n");

    // The other one leaves first; and another device has a switch of its own.
    device.hotspot(true);
    assert_eq!(ipfwd(&device, "enable guestnetd"), DONE);
    device.hotspot(false);
    assert_eq!(on(), "1");
    let other = NetdDevice::offline(Variant::Android12);
    assert_eq!(other.sysctl("net/ipv4/ip_forward"), "0");
    assert!(other.forwarding_requesters().is_empty());

    // Many at once lose nothing.
    thread::scope(|scope| {
        for name in 0..16 {
            let device = &device;
            scope.spawn(move || ipfwd(device, &format!("enable requester{name}")));
        }
    });
    assert_eq!(device.forwarding_requesters().len(), 17);
}

/// Not a proof, a figure: it is what every command of guestnetd costs on such a device.
#[test]
fn a_stand_in_is_quick() {
    let device = NetdDevice::offline(Variant::Android13);
    let outputs: Vec<(Output, Duration)> = (0..20)
        .map(|_| {
            let start = Instant::now();
            (device.wrapped(&device.iptables(), "-w -S"), start.elapsed())
        })
        .collect();
    let fastest = outputs.iter().map(|(_, time)| *time).min().unwrap();
    println!("a refused command: {fastest:?}");
    assert!(fastest < Duration::from_millis(20), "{fastest:?}");
}
