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

//! The device's shape: chains, routing rules, settings.

use guestnet_tests::netd::Variant;
use guestnet_tests::{InNetns, NetdDevice, Probe};

use crate::rules;

#[test]
fn the_chains_are_there_in_netds_order() {
    let device = NetdDevice::of(Variant::Android15);
    let jumps = |program: &str, table: &str, parent: &str| -> Vec<String> {
        let prefix = format!("-A {parent} -j ");
        let chain = device.chain(program, table, parent);
        chain.iter().filter_map(|rule| rule.strip_prefix(&prefix)).map(str::to_owned).collect()
    };
    for program in ["iptables", "ip6tables"] {
        let of = |table, parent| jumps(program, table, parent);
        assert_eq!(of("filter", "INPUT"), ["bw_INPUT", "fw_INPUT"]);
        let forward = ["oem_fwd", "fw_FORWARD", "bw_FORWARD", "tetherctrl_FORWARD"];
        assert_eq!(of("filter", "FORWARD"), forward);
        assert_eq!(of("filter", "OUTPUT"), ["oem_out", "fw_OUTPUT", "st_OUTPUT", "bw_OUTPUT"]);
        let raw = ["idletimer_raw_PREROUTING", "bw_raw_PREROUTING", "tetherctrl_raw_PREROUTING"];
        assert_eq!(of("raw", "PREROUTING"), raw);
        assert_eq!(of("mangle", "FORWARD"), ["tetherctrl_mangle_FORWARD"]);
        let input = ["connmark_mangle_INPUT", "wakeupctrl_mangle_INPUT", "routectrl_mangle_INPUT"];
        assert_eq!(of("mangle", "INPUT"), input);
        let post = ["oem_mangle_post", "bw_mangle_POSTROUTING", "idletimer_mangle_POSTROUTING"];
        assert_eq!(of("mangle", "POSTROUTING"), post);
    }
    assert_eq!(jumps("iptables", "nat", "PREROUTING"), ["oem_nat_pre"]);
    assert_eq!(jumps("iptables", "nat", "POSTROUTING"), ["tetherctrl_nat_POSTROUTING"]);
    let last = |program, chain| device.chain(program, "filter", chain).pop().unwrap();
    assert_eq!(last("iptables", "tetherctrl_FORWARD"), "-A tetherctrl_FORWARD -j DROP");
    assert_eq!(last("ip6tables", "tetherctrl_FORWARD"), "-N tetherctrl_FORWARD");
    let mss = device.chain("iptables", "mangle", "tetherctrl_mangle_FORWARD").pop().unwrap();
    assert!(mss.ends_with("-j TCPMSS --clamp-mss-to-pmtu"), "{mss}");
    // GKI has no nat table for IPv6, and netd wants none.
    assert!(!device.run("ip6tables-legacy-save").contains("*nat"));

    let older = NetdDevice::offline(Variant::Android12);
    assert_eq!(older.chain("iptables", "mangle", "OUTPUT"), ["-P OUTPUT ACCEPT"]);
}

/// The same lists are what the service's search for priorities is tried on.
#[test]
fn the_routing_rules_are_those_of_the_golden_lists() {
    for (variant, golden) in [
        (
            Variant::Android12,
            include_str!("../../../service/tests/golden/routing/android12/rules.txt"),
        ),
        (
            Variant::Android13,
            include_str!("../../../service/tests/golden/routing/android13/rules.txt"),
        ),
        (
            Variant::Android16,
            include_str!("../../../service/tests/golden/routing/android13/rules.txt"),
        ),
    ] {
        let device = NetdDevice::of(variant);
        let golden: Vec<_> = golden.lines().collect();
        assert_eq!(rules(&device, 4), golden, "{variant:?}");
        assert_eq!(rules(&device, 6), golden, "{variant:?}");
        assert!(golden.iter().all(|rule| !rule.contains("main") && !rule.contains("default")));
        assert_eq!(device.ifindex("wlan0"), 2, "as in the lists");
    }
    // No device here is an Android 11, but the kernel takes its rules and prints them the same.
    let golden = include_str!("../../../service/tests/golden/routing/android11/rules.txt");
    let device = NetdDevice::of(Variant::Android12);
    for family in [4, 6] {
        device.run(&format!("ip -{family} rule flush"));
        for rule in golden.lines().skip(1) {
            let (pref, rest) = rule.split_once(':').unwrap();
            device.run(&format!("ip -{family} rule add pref {pref} {rest}"));
        }
        assert_eq!(rules(&device, family), golden.lines().collect::<Vec<_>>());
    }
}

#[test]
fn main_is_never_consulted_and_the_device_itself_is_online() {
    let device = NetdDevice::new();
    assert_eq!(device.tcp(NetdDevice::TCP, "hello").unwrap(), "192.0.2.2 hello");
    assert_eq!(device.udp(NetdDevice::UDP, "hello").unwrap(), "192.0.2.2 hello");
    device.disconnect("wlan0");
    device.run("ip addr add 192.0.2.2/24 dev wlan0");
    device.run("ip route add default via 192.0.2.1 dev wlan0 onlink");
    assert!(device.tcp(NetdDevice::TCP, "hello").is_err());
    assert_eq!(device.sysctl("net/ipv4/ip_forward"), "0");
    assert_eq!(device.sysctl("net/ipv4/fwmark_reflect"), "1");
    assert_eq!(device.sysctl("net/ipv4/tcp_fwmark_accept"), "1");
    assert_eq!(device.sysctl("net/ipv4/conf/all/accept_redirects"), "0");
}
