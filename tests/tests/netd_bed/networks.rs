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

//! Networks that come and go, a VPN, a hotspot, resolvers.

use std::time::Duration;

use guestnet_tests::netd::{ask, table, Variant, Vpn};
use guestnet_tests::probe::exchange;
use guestnet_tests::{InNetns, NetdDevice, Probe};

use crate::{guest, open_up, rules};

#[test]
fn each_network_has_resolvers_of_its_own() {
    let device = NetdDevice::new();
    device.connect("rmnet0", NetdDevice::RMNET0);
    let [near, far] = device.resolvers("wlan0");
    assert_eq!(near, "192.0.2.1");
    assert_eq!(device.resolvers("rmnet0")[0], "203.0.113.1");
    assert_ne!(device.resolvers("rmnet0")[1], far);
    for tcp in [false, true] {
        for resolver in [&near, &far] {
            assert_eq!(ask(&device, resolver, tcp).unwrap(), "wlan0 192.0.2.2");
        }
        for resolver in device.resolvers("rmnet0") {
            // Which interface it goes by is another matter than who is asked.
            assert_eq!(ask(&device, &resolver, tcp).unwrap(), "rmnet0 192.0.2.2");
        }
    }
    device.default_to("rmnet0");
    assert_eq!(ask(&device, &far, false).unwrap(), "wlan0 203.0.113.2");
    let nobody = ask(&device, "198.51.100.1", true);
    assert!(nobody.is_err(), "{nobody:?}");
}

#[test]
fn wifi_goes_and_comes_back_in_every_way() {
    let device = NetdDevice::new();
    let before = device.everything_else();
    let index = device.ifindex("wlan0");
    device.wifi_lost();
    assert_eq!(device.routes(4, &table(index).to_string()), Vec::<String>::new());
    assert_eq!(device.link("wlan0").unwrap()["operstate"], "DOWN");
    assert!(rules(&device, 4).iter().all(|rule| !rule.contains("1002")));
    assert!(device.udp(NetdDevice::UDP, "hello").is_err());
    device.wifi_back();
    assert_eq!(device.udp(NetdDevice::UDP, "hello").unwrap(), "192.0.2.2 hello");
    // The network's number is another one, as the framework never gives one twice.
    let diff = before.diff(&device.everything_else()).unwrap();
    assert!(
        diff.contains("- 16000:\tfrom all fwmark 0x10064/0x1ffff iif lo lookup 1002"),
        "{diff}"
    );
    assert!(
        diff.contains("+ 16000:\tfrom all fwmark 0x10065/0x1ffff iif lo lookup 1002"),
        "{diff}"
    );
    assert!(!diff.contains("default via"), "{diff}");

    device.wifi_lost();
    device.wifi_back_at("192.0.2.77/25");
    assert_eq!(device.udp(NetdDevice::UDP, "hello").unwrap(), "192.0.2.77 hello");
    device.wifi_lost();
    device.wifi_back_at("198.18.5.9/16");
    assert_eq!(device.udp(NetdDevice::UDP, "hello").unwrap(), "198.18.5.9 hello");
    assert_eq!(device.resolvers("wlan0")[0], "198.18.0.1");
    assert_eq!(ask(&device, "198.18.0.1", false).unwrap(), "wlan0 198.18.5.9");

    device.delete_interface("wlan0");
    assert!(device.link("wlan0").is_none());
    device.connect("wlan0", NetdDevice::WLAN0);
    assert_ne!(device.ifindex("wlan0"), index);
    assert_eq!(device.udp(NetdDevice::UDP, "hello").unwrap(), "192.0.2.2 hello");

    // A conversation goes on by the interface it began on; the next one goes by the new default.
    let stream = device.connect_tcp(NetdDevice::TCP).unwrap();
    device.connect("rmnet0", NetdDevice::RMNET0);
    assert_eq!(exchange(&stream, "one").unwrap(), "192.0.2.2 one");
    device.default_to("rmnet0");
    assert_eq!(device.tcp(NetdDevice::TCP, "two").unwrap(), "203.0.113.2 two");
}

#[test]
fn a_vpn_takes_in_what_the_device_sends_and_lockdown_the_rest() {
    for variant in Variant::ALL {
        let device = NetdDevice::of(variant);
        let guest = guest(&device);
        open_up(&device);
        let before = device.everything_else();
        device.vpn_up("tun0");
        assert_eq!(device.tcp(NetdDevice::TCP, "hello").unwrap(), "10.8.0.2 hello");
        // What is forwarded fits none of its rules.
        assert_eq!(guest.tcp(NetdDevice::TCP, "hello").unwrap(), "192.0.2.2 hello");
        device.vpn_down("tun0");
        before.assert_same(&device.everything_else());
        assert_eq!(device.tcp(NetdDevice::TCP, "hello").unwrap(), "192.0.2.2 hello");

        device.lockdown(true);
        let prohibit = "14000:\tfrom all fwmark 0/0x20000 iif lo uidrange 0-99999 prohibit";
        assert!(rules(&device, 4).iter().any(|rule| rule == prohibit), "{:?}", rules(&device, 4));
        assert!(device.tcp(NetdDevice::TCP, "hello").is_err());
        assert_eq!(guest.tcp(NetdDevice::TCP, "hello").unwrap(), "192.0.2.2 hello");
        device.netd_restarts(Duration::ZERO);
        assert!(rules(&device, 4).iter().any(|rule| rule == prohibit));
        device.lockdown(false);
        before.assert_same(&device.everything_else());
    }
}

/// What no state of netd's in `states.txt` has.
#[test]
fn single_users_have_rules_of_their_own() {
    for variant in Variant::ALL {
        let device = NetdDevice::of(variant);
        let before = device.everything_else();
        device.connect("rmnet0", NetdDevice::RMNET0);
        device.prefer("rmnet0", "1000000-1099999");
        let mine = |rule: &String| rule.contains("uidrange 1000000-1099999");
        let mine: Vec<_> = rules(&device, 6).into_iter().filter(mine).collect();
        let numbers: Vec<_> = mine.iter().filter_map(|rule| rule.split(':').next()).collect();
        match variant {
            Variant::Android12 => assert_eq!(numbers, ["15000", "22000", "27000"], "{mine:?}"),
            _ => assert_eq!(numbers, ["15000", "22000", "25000", "29000"], "{mine:?}"),
        }
        device.disconnect("rmnet0");
        device.run("ip link del rmnet0");
        device.vpn_up_for("tun0", Vpn::Bypassable, "10100-10100");
        let users: Vec<_> = rules(&device, 4).into_iter().filter(|r| r.contains("10100")).collect();
        assert_eq!(users.len(), 3, "{users:?}");
        assert!(users[2].starts_with("24000:\tfrom all fwmark 0/0x30000"), "{users:?}");
        // Nobody here is that user.
        assert_eq!(device.udp(NetdDevice::UDP, "hello").unwrap(), "192.0.2.2 hello");
        device.vpn_down("tun0");
        before.assert_same(&device.everything_else());
    }
}

#[test]
fn a_hotspot_comes_and_goes_without_a_trace() {
    let device = NetdDevice::new();
    let before = device.everything_else();
    device.hotspot(true);
    let diff = before.diff(&device.everything_else()).unwrap();
    for sign in [
        "+ -A tetherctrl_nat_POSTROUTING -o wlan0 -j MASQUERADE",
        "+ 21000:\tfrom all iif ap0 lookup 1002",
        "+ 192.168.43.0/24 dev ap0 table 97",
    ] {
        assert!(diff.contains(sign), "{sign} is not in\n{diff}");
    }
    assert_eq!(
        device.chain("iptables", "filter", "tetherctrl_FORWARD").pop().unwrap(),
        "-A tetherctrl_FORWARD -j DROP"
    );
    device.hotspot(false);
    // netd leaves its counters to the next start.
    for program in ["iptables-legacy", "ip6tables-legacy"] {
        device.run(&format!("{program} -w -F tetherctrl_counters"));
    }
    before.assert_same(&device.everything_else());
}
