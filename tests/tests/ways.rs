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

//! The ways of a guest's packets, there and back, among routes and rules of others: they lead to the
//! guest where a rule of guestnetd's can see to that, and what takes them is named where none can.

use android_system_guestnet::aidl::android::system::guestnet::Cause::Cause;
use android_system_guestnet::aidl::android::system::guestnet::GuestConfig::GuestConfig;
use android_system_guestnet::aidl::android::system::guestnet::Layer::Layer;
use android_system_guestnet::aidl::android::system::guestnet::Verdict::Verdict;
use android_system_guestnet::aidl::android::system::guestnet::VpnPolicy::VpnPolicy;
use guestnet_tests::bed::{eventually, second_way, Bed, GATEWAY};
use guestnet_tests::client::{by_pid, config};
use guestnet_tests::netd::NetdDevice;
use guestnet_tests::{Device, Guest, InNetns, Internet, Probe};

guestnet_tests::with_both_backends!(an_exit_node_takes_no_answers, what_takes_the_answers_is_named,);

/// The server behind the VPN, and what it sees of the device.
const BEYOND: &str = "198.51.100.1:80";
const IN_VPN: &str = "198.51.100.2";

/// Tailscale's rules, with an exit node.
const EXIT_NODE: [&str; 5] = [
    "rule add pref 5210 fwmark 0x80000/0xff0000 lookup main",
    "rule add pref 5230 fwmark 0x80000/0xff0000 lookup default",
    "rule add pref 5250 fwmark 0x80000/0xff0000 unreachable",
    "rule add pref 5270 lookup 52",
    "route add default via 198.51.100.1 dev tun0 table 52",
];

/// Names are another matter: behind a tun, the device's resolver may answer nobody, or not yet.
fn is_healthy(bed: &Bed, name: &str) -> bool {
    let of = bed.service.status(Some(name)).expect("status").guests.remove(0);
    of.verdict != Verdict::NO_INTERNET && of.verdict != Verdict::WAITING
}

fn an_exit_node_takes_no_answers(firewall: &str) {
    let device = Device::new();
    let beyond = second_way(&device, "tun0");
    let other = "wg0";
    device.run(&format!("ip link add {other} type bridge"));
    device.run(&format!("ip link set {other} up"));
    let bed = Bed::on(device).args(&format!("--firewall {firewall}")).build();
    let before = bed.device.run("ip rule show");
    let (by_tun, usual) = (Guest::new(), Guest::new());
    let config = GuestConfig {
        vpnPolicy: VpnPolicy::NAMED_TUN,
        uplink: Some("tun0".to_owned()),
        ..config("by-tun")
    };
    bed.attach_as(&config, &by_pid(by_tun.pid()));
    bed.attach("usual", &usual);
    let goes = || by_tun.tcp(BEYOND, "x").is_ok_and(|line| line == format!("{IN_VPN} x"));
    assert!(goes(), "{}", bed.daemon.log());
    EXIT_NODE.iter().for_each(|line| drop(bed.device.run(&format!("ip {line}"))));
    eventually("answers come back past table 52", goes);
    assert!(is_healthy(&bed, "by-tun"));
    assert!(by_tun.ping(GATEWAY), "the device itself answers");
    // What the exit node takes is the device's, and may not be the guest's.
    let of = bed.service.status(Some("usual")).expect("status").guests.remove(0);
    let reason = of.reason.expect("a reason");
    assert_eq!((of.verdict, reason.cause), (Verdict::NO_INTERNET, Cause::VPN_CAPTURES));
    assert!(reason.text.contains("via tun0 (table 52, rule 5270)"), "{}", reason.text);
    // Another exit node does not take a guest whose tun was named, either.
    bed.device.run(&format!("ip route replace default dev {other} table 52"));
    assert!(goes() && is_healthy(&bed, "by-tun"));

    for line in EXIT_NODE.iter().rev().skip(1) {
        bed.device.run(&format!("ip {}", line.replace("add", "del")));
    }
    bed.detach("by-tun");
    eventually("no rule is left", || bed.device.run("ip rule show") == before);
    eventually("the other guest goes on", || usual.tcp(Internet::TCP, "y").is_ok());
    drop(beyond);
}

/// What comes, what goes with it, and how it is named.
struct Case {
    come: &'static [&'static str],
    go: &'static [&'static str],
    cause: Cause,
    words: &'static [&'static str],
}

const CASES: [Case; 11] = [
    Case {
        come: &["rule add pref 50 lookup 52", "route add 172.17.3.0/24 dev usb0 table 52"],
        go: &["rule del pref 50", "route flush table 52"],
        cause: Cause::ANSWERS_ELSEWHERE,
        words: &["answers to the guest, 172.17.3.3, go to usb0 (table 52, rule 50)", "vm_wlan"],
    },
    Case {
        come: &["rule add pref 50 to 172.16.0.0/12 prohibit"],
        go: &["rule del pref 50"],
        cause: Cause::ANSWERS_ELSEWHERE,
        words: &["prohibited", "rule 50"],
    },
    Case {
        come: &["route replace 172.17.3.3 dev usb0"],
        go: &["route del 172.17.3.3 dev usb0"],
        cause: Cause::ANSWERS_ELSEWHERE,
        words: &["go to usb0 (table main"],
    },
    Case {
        come: &["addr add 172.17.3.3/32 dev usb0"],
        go: &["addr del 172.17.3.3/32 dev usb0"],
        cause: Cause::SUBNET_CONFLICT,
        words: &["the device itself has 172.17.3.3 (on usb0)"],
    },
    Case {
        come: &["addr add 172.17.3.3/24 dev wlan0"],
        go: &["addr del 172.17.3.3/24 dev wlan0"],
        cause: Cause::SUBNET_CONFLICT,
        words: &["the device itself has 172.17.3.3 (on wlan0)"],
    },
    Case {
        come: &["rule add pref 50 iif lo lookup 52", "route add default dev usb0 table 52"],
        go: &["rule del pref 50", "route flush table 52"],
        cause: Cause::ANSWERS_ELSEWHERE,
        words: &["the device's own answers to the guest, 172.17.3.3, go to usb0", "rule 50"],
    },
    Case {
        come: &["rule add pref 50 iif vm_wlan lookup 52", "route add default dev usb0 table 52"],
        go: &["rule del pref 50", "route flush table 52"],
        cause: Cause::VPN_CAPTURES,
        words: &["via usb0 (table 52, rule 50)", "wlan0 only"],
    },
    // Each link of a guest has a reverse-path filter, and that is not to blame.
    Case {
        come: &["rule add pref 50 iif vm_wlan blackhole"],
        go: &["rule del pref 50"],
        cause: Cause::RULE_SHADOWED,
        words: &["what the guest sends is dropped by a route or rule of others (rule 50)"],
    },
    Case {
        come: &["rule add pref 50 iif vm_wlan lookup 52", "route add blackhole default table 52"],
        go: &["rule del pref 50", "route flush table 52"],
        cause: Cause::RULE_SHADOWED,
        words: &["what the guest sends is dropped by a route or rule of others"],
    },
    Case {
        come: &["rule add pref 50 iif wlan0 blackhole"],
        go: &["rule del pref 50"],
        cause: Cause::ANSWERS_ELSEWHERE,
        words: &["answers to the guest, 172.17.3.3, are dropped by a route or rule", "rule 50"],
    },
    Case {
        come: &["rule add pref 50 ipproto icmp prohibit"],
        go: &["rule del pref 50"],
        cause: Cause::RULE_SHADOWED,
        words: &["the guest's pings are prohibited by rule 50 of others"],
    },
];

fn what_takes_the_answers_is_named(firewall: &str) {
    let device = Device::new();
    device.run("ip link add usb0 type bridge");
    device.run("ip link set usb0 up");
    let bed = Bed::on(device).args(&format!("--firewall {firewall}")).build();
    let guest = Guest::new();
    bed.attach("demo", &guest);
    let goes = || guest.tcp(Internet::TCP, "x").is_ok();
    let with = |filter| CASES.iter().map(move |case| (filter, case));
    for (filter, case) in with(0).chain(with(1)) {
        bed.device.run(&format!("sysctl -qw net.ipv4.conf.wlan0.rp_filter={filter}"));
        assert!(goes() && is_healthy(&bed, "demo"), "before {:?}", case.come);
        case.come.iter().for_each(|line| drop(bed.device.run(&format!("ip {line}"))));
        bed.device.run("ip neigh flush all");
        guest.run("ip neigh flush all");
        let of = bed.service.status(Some("demo")).expect("status").guests.remove(0);
        let reason = of.reason.unwrap_or_else(|| panic!("{:?} is not seen", case.come));
        assert_eq!((of.verdict, reason.layer), (Verdict::NO_INTERNET, Layer::ROUTE), "{reason:?}");
        assert_eq!(reason.cause, case.cause, "{reason:?}");
        case.words.iter().for_each(|word| assert!(reason.text.contains(word), "{reason:?}"));
        assert!(reason.nextStep.is_some(), "{reason:?}");
        case.go.iter().for_each(|line| drop(bed.device.run(&format!("ip {line}"))));
        eventually("it goes on", goes);
    }
}

/// netd's rules of a VPN are for what the device itself sends: also to guests, were it not for ours.
#[test]
fn a_vpn_takes_nothing_that_the_device_says_to_guests() {
    let bed = Bed::on_netd(NetdDevice::new()).attached("demo").build();
    bed.device.vpn_up("tun0");
    bed.device.lockdown(true);
    bed.guest.run("ip neigh flush all");
    assert!(bed.guest.ping(GATEWAY), "the gateway answers");
    assert!(bed.device.ping("172.17.3.3"), "the device reaches the guest");
    let of = bed.service.status(Some("demo")).expect("status").guests.remove(0);
    assert_eq!(of.verdict, Verdict::INTERNET, "{of:?}");
    bed.flows_as("192.0.2.2");
    bed.end();
}
