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

//! What passes such a device, and what does not; what is seen of it.

use guestnet_tests::netd::Variant;
use guestnet_tests::{InNetns, NetdDevice, Probe};

use crate::{guest, open_up, route, ORIGINAL};

#[test]
fn the_originals_commands_pass_nothing() {
    let device = NetdDevice::new();
    let guest = guest(&device);
    device.set_sysctl("net/ipv4/ip_forward", "1");
    for rule in ORIGINAL {
        device.run(&format!("iptables-legacy -w {rule}"));
    }
    let way = "ip route get 198.51.100.1 from 172.17.3.3 iif vm_wlan";
    let way = || device.try_run(way).status.success();
    assert!(!way(), "no rule looks up a table for what is forwarded");
    assert!(guest.udp(NetdDevice::UDP, "hello").is_err());

    // Not even with routes, which are not the original's.
    device.run("ip route add 172.17.0.0/16 dev vm_wlan table 97");
    route(&device, "wlan0");
    assert!(way());
    assert!(guest.udp(NetdDevice::UDP, "hello").is_err());
    let dropped = device.run("iptables-legacy -w -nvxL tetherctrl_FORWARD");
    let drop = dropped.lines().find(|line| line.contains("DROP")).unwrap();
    assert_ne!(drop.split_whitespace().next(), Some("0"), "{dropped}");

    // Only what is in front of netd's own is reached.
    device.run("iptables-legacy -w -I oem_fwd -i vm_wlan -j ACCEPT");
    device.run("iptables-legacy -w -I oem_fwd -o vm_wlan -j ACCEPT");
    assert_eq!(guest.udp(NetdDevice::UDP, "hello").unwrap(), "192.0.2.2 hello");
}

#[test]
fn what_is_done_by_hand_in_netds_way_gets_a_guest_through() {
    for variant in Variant::ALL {
        let device = NetdDevice::of(variant);
        let guest = guest(&device);
        let before = device.everything_else();
        assert!(guest.udp(NetdDevice::UDP, "hello").is_err());
        let watch = device.watch(&["wlan0"]);
        open_up(&device);
        assert_eq!(guest.tcp(NetdDevice::TCP, "hello").unwrap(), "192.0.2.2 hello");
        assert_eq!(guest.udp(NetdDevice::UDP, "hello").unwrap(), "192.0.2.2 hello");
        assert!(guest.ping(NetdDevice::SERVER));
        let found = watch.end();
        found.assert_clean();
        assert!(found.forwarded >= 5, "{found:?}");
        assert!(found.from_guests >= found.forwarded, "{found:?}");
        before.assert_same(&device.everything_else());
    }
}

#[test]
fn everything_else_is_blind_to_guestnetd_only() {
    let device = NetdDevice::new();
    let before = device.everything_else();
    let _guest = guest(&device);
    open_up(&device);
    assert_eq!(before.diff(&device.everything_else()), None);
    for (change, undo, sign) in [
        ("ip rule add pref 21600 iif vm_wlan lookup 97", "ip rule del pref 21600", "+ 21600:"),
        (
            "ip route add 203.0.113.0/24 dev wlan0 table 97 proto 104",
            "ip route flush table 97 proto 104",
            "proto 104",
        ),
        (
            "ip route del default table 1002",
            "ip route add default via 192.0.2.1 dev wlan0 table 1002 proto static",
            "- default via",
        ),
        (
            "iptables-legacy -w -t raw -A bw_raw_PREROUTING -i vm_wlan -j DROP",
            "iptables-legacy -w -t raw -D bw_raw_PREROUTING -i vm_wlan -j DROP",
            "+ -A bw_raw_PREROUTING",
        ),
        (
            "ip6tables-legacy -w -P FORWARD DROP",
            "ip6tables-legacy -w -P FORWARD ACCEPT",
            "+ :FORWARD DROP",
        ),
        ("iptables-legacy -w -N oem_other", "iptables-legacy -w -X oem_other", "+ :oem_other -"),
        ("ip link set wlan0 mtu 1400", "ip link set wlan0 mtu 1500", "mtu 1400"),
    ] {
        device.run(change);
        let diff = before.diff(&device.everything_else());
        let diff = diff.unwrap_or_else(|| panic!("nothing seen of {change}"));
        assert!(diff.contains(sign), "{sign} is not in\n{diff}");
        device.run(undo);
        before.assert_same(&device.everything_else());
    }
    device.run("iptables-legacy -w -D FORWARD -j fw_FORWARD");
    device.run("iptables-legacy -w -A FORWARD -j fw_FORWARD");
    let diff = before.diff(&device.everything_else()).expect("the order is seen");
    assert!(diff.contains("the same lines in another order"), "{diff}");
}

#[test]
fn the_watch_sees_a_leak_and_a_packet_that_is_not_translated() {
    let device = NetdDevice::new();
    device.connect("rmnet0", NetdDevice::RMNET0);
    let guest = guest(&device);
    open_up(&device);
    let ask_both = || {
        let _ = guest.udp(NetdDevice::UDP, "hello");
        guest.ping(NetdDevice::SERVER);
    };
    // The device's own packets by another interface are its own affair.
    let watch = device.watch(&["wlan0"]);
    device.default_to("rmnet0");
    assert_eq!(device.udp(NetdDevice::UDP, "mine").unwrap(), "203.0.113.2 mine");
    assert_eq!(device.tcp(NetdDevice::TCP, "mine").unwrap(), "203.0.113.2 mine");
    assert_eq!(guest.udp(NetdDevice::UDP, "hello").unwrap(), "192.0.2.2 hello");
    watch.end().assert_clean();

    // By another interface, translated or not.
    device.run("ip rule del pref 21500");
    route(&device, "rmnet0");
    device.run("iptables-legacy -w -I oem_fwd -i vm_wlan -j ACCEPT");
    let watch = device.watch(&["wlan0"]);
    ask_both();
    let found = watch.end();
    assert_eq!(found.leaks.len(), 2, "{found:?}");
    assert!(found.leaks[0].starts_with("rmnet0: 172.17.3.3 > 198.51.100.1"), "{found:?}");
    device.run("iptables-legacy -w -t nat -A POSTROUTING -o rmnet0 -j MASQUERADE");
    device.run("iptables-legacy -w -I oem_fwd -o vm_wlan -j ACCEPT");
    let watch = device.watch(&["wlan0"]);
    assert_eq!(guest.tcp(NetdDevice::TCP, "hello").unwrap(), "203.0.113.2 hello");
    let found = watch.end();
    assert!(found.leaks.len() >= 4, "a whole conversation: {found:?}");
    assert!(found.leaks[0].starts_with("rmnet0: 203.0.113.2 > "), "{found:?}");

    // By the uplink, but as it came.
    device.run("ip rule del pref 21500");
    route(&device, "wlan0");
    device.run("iptables-legacy -w -t nat -F oem_guestnet_post");
    let watch = device.watch(&["wlan0"]);
    ask_both();
    let found = watch.end();
    assert_eq!(found.untranslated.len(), 2, "{found:?}");
    assert!(found.leaks.is_empty(), "{found:?}");
}
