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

//! Which interface is the uplink on a device that routes by table main: the one that the kernel sends
//! guests' packets to the internet by, whatever leads there. And what is said where none does.

use std::io::{BufRead, BufReader, Write};
use std::time::Duration;

use android_system_guestnet::aidl::android::system::guestnet::Cause::Cause;
use android_system_guestnet::aidl::android::system::guestnet::Layer::Layer;
use android_system_guestnet::aidl::android::system::guestnet::LayerStatus::LayerStatus;
use android_system_guestnet::aidl::android::system::guestnet::Uplink::Uplink;
use android_system_guestnet::aidl::android::system::guestnet::Verdict::Verdict;
use guestnet_tests::bed::{eventually, second_way, Bed};
use guestnet_tests::probe::exchange;
use guestnet_tests::{Device, Guest, InNetns, Internet, Probe};

guestnet_tests::with_both_backends!(
    all_next_hops_are_let_out,
    what_stops_one_of_several_ways_is_said,
    a_route_that_names_a_nexthop_object_leads_where_that_does,
    connections_outlive_packets_that_are_sent_again,
    default_is_whatever_the_kernel_answers,
    a_list_takes_what_carries_the_internet,
);

/// Servers of the internet (RFC 2544), which both ways lead to.
fn server(number: usize) -> String {
    format!("198.18.0.{number}:80")
}

/// What a device leaves by: its first way, and a second one.
const FIRST: &str = "192.0.2.2";
const SECOND: &str = "198.51.100.2";
const BY_SECOND: &str = "via 198.51.100.1";

/// A device with wlan0, which has the default route, and a second way without one; and a guest.
fn bed(args: &str, second: &str) -> (Bed, Guest, Internet) {
    let device = Device::new();
    let beyond = second_way(&device, second);
    for internet in [&device.internet, &beyond] {
        for number in 1..=16 {
            internet.run(&format!("ip addr add 198.18.0.{number}/32 dev lo"));
        }
    }
    let bed = Bed::on(device).args(args).build();
    let guest = Guest::new();
    bed.attach("demo", &guest);
    (bed, guest, beyond)
}

/// The device's address that a server sees a guest's connection come from; none: it does not get there.
fn seen_as(guest: &Guest, number: usize) -> Option<String> {
    let line = guest.tcp(&server(number), "x").ok()?;
    line.strip_suffix(" x").map(str::to_owned)
}

#[track_caller]
fn leaves_as(guest: &Guest, address: &str) {
    eventually(&format!("it leaves as {address}"), || {
        seen_as(guest, 1).as_deref() == Some(address)
    });
}

fn uplink(bed: &Bed) -> Uplink {
    bed.service.status(None).expect("status").uplink
}

#[track_caller]
fn internet(bed: &Bed) {
    let guest = bed.service.status(Some("demo")).expect("status").guests.remove(0);
    // The resolver is behind the first way, or has not answered yet.
    let dns = guest.reason.as_ref().is_some_and(|reason| reason.layer == Layer::DNS);
    assert!(guest.verdict == Verdict::INTERNET || dns, "{guest:?}");
}

/// The uplink's layer of the guest, which has this cause; and no verdict is "internet".
#[track_caller]
fn no_internet(bed: &Bed, cause: Cause) -> LayerStatus {
    let status = bed.service.status(Some("demo")).expect("status");
    let [guest] = status.guests.as_slice() else { panic!("{status:?}") };
    assert!([Verdict::WAITING, Verdict::NO_INTERNET].contains(&guest.verdict), "{guest:?}");
    assert_eq!(
        (status.uplink.cause, &status.uplink.text.is_empty()),
        (cause, &false),
        "{status:?}"
    );
    let layers = status.guests.into_iter().flat_map(|guest| guest.layers);
    let layer = layers.into_iter().find(|layer| layer.layer == Layer::UPLINK).expect("the layer");
    assert_eq!(layer.cause, cause, "{layer:?}");
    let step = layer.nextStep.as_deref().unwrap_or_default();
    assert!(!step.contains("--uplink vm_wlan") && !step.contains("--vpn tun:vm_wlan"), "{step}");
    layer
}

fn all_next_hops_are_let_out(firewall: &str) {
    for choice in ["default", "wlan0,eth1"] {
        let (bed, guest, _beyond) =
            bed(&format!("--firewall {firewall} --uplink {choice}"), "eth1");
        let both = format!(
            "nexthop via {} dev wlan0 nexthop via 198.51.100.1 dev eth1",
            Internet::ADDRESS
        );
        let by_objects = [
            &format!("nexthop add id 1 via {} dev wlan0", Internet::ADDRESS),
            "nexthop add id 2 via 198.51.100.1 dev eth1",
            "nexthop add id 3 group 1/2",
            "route replace default nhid 3",
        ];
        for routes in [&[&*format!("route replace default {both}")][..], &by_objects] {
            routes.iter().for_each(|add| drop(bed.device.run(&format!("ip {add}"))));
            let seen = || (1..=16).map(|number| seen_as(&guest, number)).collect::<Vec<_>>();
            let mut last = Vec::new();
            eventually("every connection gets there, by both", || {
                last = seen();
                let by = |address: &str| last.iter().any(|seen| seen.as_deref() == Some(address));
                last.iter().all(Option::is_some) && by(FIRST) && by(SECOND)
            });
            internet(&bed);
            // What is left carries on alone.
            bed.device.run("ip link set eth1 down");
            leaves_as(&guest, FIRST);
            assert!(seen().iter().all(|seen| seen.as_deref() == Some(FIRST)));
            internet(&bed);
            bed.device.run("ip link set eth1 up");
            bed.device.wait_until_up("eth1");
        }
    }
    // And where one of them is not for guests, it is said.
    let (bed, _guest, _beyond) = bed(&format!("--firewall {firewall} --uplink wlan0"), "eth1");
    let hops = format!("nexthop via {} nexthop via 198.51.100.1", Internet::ADDRESS);
    bed.device.run(&format!("ip route replace default {hops}"));
    let layer = no_internet(&bed, Cause::DEFAULT_ROUTE_ELSEWHERE);
    assert!(layer.nextStep.expect("a step").contains("--uplink wlan0,eth1"));
}

/// Connections that take it are lost, and others are not: nobody can say "internet", nor that there is none.
fn what_stops_one_of_several_ways_is_said(firewall: &str) {
    let (bed, guest, _beyond) = bed(&format!("--firewall {firewall} --uplink default"), "eth1");
    let hops = format!("nexthop via {} nexthop via 198.51.100.1", Internet::ADDRESS);
    bed.device.run(&format!("ip route replace default {hops}"));
    let seen = || (1..=16).map(|number| seen_as(&guest, number)).collect::<Vec<_>>();
    eventually("every connection gets there", || seen().iter().all(Option::is_some));
    internet(&bed);
    for (stop, go_on) in [
        (
            "iptables-legacy -w -I FORWARD -o eth1 -j DROP",
            "iptables-legacy -w -D FORWARD -o eth1 -j DROP",
        ),
        ("tc qdisc replace dev eth1 root pfifo limit 0", "tc qdisc del dev eth1 root"),
    ] {
        bed.device.run(stop);
        let status = bed.service.status(Some("demo")).expect("status").guests.remove(0);
        let reason = status.reason.expect("a reason");
        assert_eq!(
            (status.verdict, reason.cause),
            (Verdict::UNSURE, Cause::FORWARD_DROPPED),
            "{reason:?}"
        );
        let text = &reason.text;
        assert!(text.contains("eth1") && text.contains("some are lost"), "{text}");
        let seen = seen();
        assert!(seen.iter().any(Option::is_some) && seen.iter().any(Option::is_none), "{seen:?}");
        bed.device.run(go_on);
        internet(&bed);
    }
}

/// Such a route says nothing but the object's number.
fn a_route_that_names_a_nexthop_object_leads_where_that_does(firewall: &str) {
    for choice in ["default", "wlan0,eth1"] {
        let (bed, guest, _beyond) =
            bed(&format!("--firewall {firewall} --uplink {choice}"), "eth1");
        bed.device.run("sysctl -qw net.ipv4.nexthop_compat_mode=0");
        for command in [
            &format!("ip nexthop add id 1 via {} dev wlan0", Internet::ADDRESS),
            "ip nexthop add id 2 via 198.51.100.1 dev eth1",
            "ip route replace default nhid 1",
        ] {
            bed.device.run(command);
        }
        leaves_as(&guest, FIRST);
        eventually("it is known", || uplink(&bed).interfaceName == "wlan0");
        internet(&bed);
        bed.device.run("ip route replace default nhid 2");
        leaves_as(&guest, SECOND);
        internet(&bed);
        // The route stays as it is.
        bed.device.run(&format!("ip nexthop replace id 2 via {} dev wlan0", Internet::ADDRESS));
        leaves_as(&guest, FIRST);
        internet(&bed);
    }
}

/// Where the kernel spreads by ports, a packet that is sent again may take another way. It has the
/// address that the connection began with all the same.
fn connections_outlive_packets_that_are_sent_again(firewall: &str) {
    let device = Device::new();
    let there = device.internet.netns.name();
    device.run(&format!("ip link add eth1 type veth peer name second netns {there}"));
    device.internet.run("ip addr add 198.51.100.1/24 dev second");
    device.internet.run("ip addr add 198.18.0.1/32 dev lo");
    device.internet.run("ip link set second up");
    device.run("ip addr add 198.51.100.2/24 dev eth1");
    device.run("ip link set eth1 up");
    device.wait_until_up("eth1");
    device.set_sysctl("net/ipv4/fib_multipath_hash_policy", "1");
    let hops = format!("nexthop via {} nexthop via 198.51.100.1", Internet::ADDRESS);
    device.run(&format!("ip route replace default {hops}"));
    let args = format!("--firewall {firewall} --uplink default");
    let bed = Bed::on(device).args(&args).build();
    let guest = Guest::new();
    bed.attach("demo", &guest);
    let streams: Vec<_> = (0..12).map(|_| guest.connect_tcp(&server(1)).expect("TCP")).collect();
    let seen = |stream| exchange(stream, "x").expect("an answer");
    let before: Vec<_> = streams.iter().map(seen).collect();
    for address in [FIRST, SECOND] {
        assert!(before.iter().any(|line| line.starts_with(address)), "{before:?}");
    }
    bed.device.internet.run("iptables-legacy -I INPUT -p tcp -j DROP");
    for mut stream in &streams {
        stream.write_all(b"x\n").expect("a line");
    }
    // The first is sent again after 200 ms, and again after 400 ms more.
    std::thread::sleep(Duration::from_millis(800));
    bed.device.internet.run("iptables-legacy -D INPUT -p tcp -j DROP");
    for (stream, before) in streams.iter().zip(before) {
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).expect("an answer");
        assert_eq!(line.trim_end(), before);
    }
    internet(&bed);
}

fn default_is_whatever_the_kernel_answers(firewall: &str) {
    let (bed, guest, _beyond) = bed(&format!("--firewall {firewall} --uplink default"), "tun0");
    leaves_as(&guest, FIRST);
    let run = |words: &str| drop(bed.device.run(&format!("ip {words}")));
    // A VPN in front of the default route: by halves, and by a table of its own, as wg-quick has it.
    let halves = ["0.0.0.0/1", "128.0.0.0/1"].map(|half| format!("route add {half} {BY_SECOND}"));
    let table = [
        &format!("route add default {BY_SECOND} table 51820"),
        "rule add pref 99 table main suppress_prefixlength 0",
        "rule add pref 100 not fwmark 51820 table 51820",
    ]
    .map(str::to_owned);
    for vpn in [&halves[..], &table] {
        vpn.iter().for_each(|add| run(add));
        leaves_as(&guest, SECOND);
        internet(&bed);
        assert_eq!(uplink(&bed).interfaceName, "tun0");
        vpn.iter().for_each(|add| run(&add.replacen("add", "del", 1)));
        leaves_as(&guest, FIRST);
    }
    // In a table that is asked after main.
    run("route del default");
    assert_eq!(no_internet(&bed, Cause::NO_DEFAULT_ROUTE).nextStep, None);
    run(&format!("route add default via {} table 253", Internet::ADDRESS));
    leaves_as(&guest, FIRST);
    internet(&bed);
    assert_eq!(uplink(&bed).routeTable, 253);
    // A better metric, and one that is worse.
    run("route add default via 198.51.100.1 metric 100");
    leaves_as(&guest, SECOND);
    run(&format!("route add default via {} metric 50", Internet::ADDRESS));
    leaves_as(&guest, FIRST);
    // What is for the device itself, or for users, is not for guests.
    run("route add default via 198.51.100.1 table 9");
    run("route add throw 172.17.0.0/16 table 9");
    for rule in
        ["pref 90 iif lo table 9", "pref 90 uidrange 1-99999 prohibit", "pref 90 fwmark 7 table 9"]
    {
        run(&format!("rule add {rule}"));
        assert_eq!(seen_as(&guest, 1).as_deref(), Some(FIRST), "{rule}");
        internet(&bed);
        run("rule del pref 90");
    }
    run("rule add pref 90 from 172.17.0.0/16 table 9");
    leaves_as(&guest, SECOND);
    internet(&bed);
    run("route replace throw default table 9");
    run("rule del pref 90");
    run("rule add pref 89 from 172.17.0.0/16 table 9");
    leaves_as(&guest, FIRST);
}

/// What is for the device itself is known to be so with the first guest.
#[test]
fn the_first_guest_is_asked_for() {
    let device = Device::new();
    let _beyond = second_way(&device, "eth1");
    device.run("ip route add default via 198.51.100.1 table 9");
    device.run("ip rule add pref 89 to 172.17.0.0/16 table main");
    device.run("ip rule add pref 90 iif lo table 9");
    let bed = Bed::on(device).args("--uplink default").build();
    assert_eq!(uplink(&bed).interfaceName, "eth1", "nobody else is there to be asked for");
    let guest = Guest::new();
    bed.attach("demo", &guest);
    eventually("it leaves by wlan0", || guest.tcp(Internet::TCP, "x").is_ok());
    assert_eq!(uplink(&bed).interfaceName, "wlan0");
    internet(&bed);
}

fn a_list_takes_what_carries_the_internet(firewall: &str) {
    let args = format!("--firewall {firewall} --uplink rmnet_data*,wlan0");
    let (bed, guest, _beyond) = bed(&args, "rmnet_data0");
    // It is up, has an address, comes first, and is not the internet.
    leaves_as(&guest, FIRST);
    internet(&bed);
    bed.device.run("ip route replace default via 198.51.100.1");
    leaves_as(&guest, SECOND);
    assert_eq!(uplink(&bed).interfaceName, "rmnet_data0");
    bed.device.run("ip route del default");
    let layer = no_internet(&bed, Cause::NO_DEFAULT_ROUTE);
    assert_eq!(layer.nextStep.as_deref(), Some("ip route add default via ROUTER dev rmnet_data0"));
    bed.device.run(&format!("ip route add default via {}", Internet::ADDRESS));
    leaves_as(&guest, FIRST);
    for _ in 0..20 {
        bed.device.run("ip route replace default via 198.51.100.1");
        bed.device.run(&format!("ip route replace default via {}", Internet::ADDRESS));
    }
    leaves_as(&guest, FIRST);
    bed.device.remove_uplink("wlan0");
    no_internet(&bed, Cause::NO_DEFAULT_ROUTE);
}

#[test]
fn what_leads_nowhere_is_not_the_internet() {
    for choice in ["default", "wlan0"] {
        let (bed, guest, _beyond) = bed(&format!("--uplink {choice}"), "eth1");
        let run = |words: &str| drop(bed.device.run(&format!("ip {words}")));
        let way = format!("route add default via {}", Internet::ADDRESS);
        run("route del default");
        run(&format!("{way} metric 600"));
        run("link add loop0 type veth peer name loop1");
        run("link set loop0 up");
        run("link set loop1 up");
        run("addr add 10.99.0.1/24 dev loop0");
        for kill_switch in ["dev loop0", "via 10.99.0.2", "dev lo"] {
            run(&format!("route add default {kill_switch} metric 98"));
            assert_eq!(seen_as(&guest, 1), None);
            let layer = no_internet(&bed, Cause::KILL_SWITCH);
            assert!(!layer.nextStep.expect("a step").contains("--uplink"));
            run(&format!("route del default {kill_switch} metric 98"));
            leaves_as(&guest, FIRST);
        }
        for refusal in ["blackhole", "unreachable", "prohibit"] {
            run(&format!("route add {refusal} default metric 98"));
            assert_eq!(seen_as(&guest, 1), None);
            let layer = no_internet(&bed, Cause::KILL_SWITCH);
            assert!(layer.text.contains(refusal), "{layer:?}");
            run(&format!("route del {refusal} default metric 98"));
            leaves_as(&guest, FIRST);
        }
        // A rule that says unreachable is answered as no route is.
        for rule in ["", "from 172.17.0.0/16", "uidrange 0-0", "iif vm_wlan"] {
            run(&format!("rule add pref 50 {rule} unreachable"));
            assert_eq!(seen_as(&guest, 1), None);
            let layer = no_internet(&bed, Cause::KILL_SWITCH);
            assert!(layer.text.contains("unreachable"), "{rule}: {layer:?}");
            assert!(layer.nextStep.expect("a step").contains("`ip rule`"));
            run("rule del pref 50");
            leaves_as(&guest, FIRST);
        }
        // As netd's last, behind all that asks a table.
        run("rule add pref 40000 unreachable");
        run("route del default");
        let layer = no_internet(&bed, Cause::NO_DEFAULT_ROUTE);
        assert!(layer.text.contains("no default route"), "{layer:?}");
        run(&way);
        leaves_as(&guest, FIRST);
        // As some have for networks that nobody has.
        run("route add blackhole 203.0.113.0/24");
        internet(&bed);
    }
}

#[test]
fn a_guests_link_is_never_the_uplink() {
    for choice in ["default", "wlan0"] {
        let (bed, guest, _beyond) = bed(&format!("--uplink {choice}"), "eth1");
        // As dhcpcd does it.
        bed.device.run("ip addr add 169.254.10.7/16 dev vm_wlan");
        bed.device.run("ip route del default");
        bed.device.run(&format!("ip route add default via {} metric 3003", Internet::ADDRESS));
        bed.device.run("ip route add default dev vm_wlan scope link metric 1005");
        let layer = no_internet(&bed, Cause::DEFAULT_ROUTE_ELSEWHERE);
        assert!(layer.text.contains("into vm_wlan, which is a guest's link"), "{layer:?}");
        bed.device.run("ip route del default dev vm_wlan");
        leaves_as(&guest, FIRST);
        internet(&bed);
    }
}

#[test]
fn the_bridge_that_a_port_is_in_is_named() {
    let (bed, guest, _beyond) = bed("--uplink wlan0", "eth1");
    let run = |words: &str| drop(bed.device.run(&format!("ip {words}")));
    run("link add br0 type bridge");
    run("link set br0 up");
    run("link set wlan0 master br0");
    // Its address has nothing to say any more.
    no_internet(&bed, Cause::DEFAULT_ROUTE_ELSEWHERE);
    run("addr flush dev wlan0");
    run("addr add 192.0.2.2/24 dev br0");
    run(&format!("route add default via {} dev br0", Internet::ADDRESS));
    bed.device.wait_until_up("br0");
    let layer = no_internet(&bed, Cause::DEFAULT_ROUTE_ELSEWHERE);
    assert!(layer.text.starts_with("wlan0 is a port of br0"), "{layer:?}");
    let step = "start guestnetd with --uplink br0 or --uplink default";
    assert_eq!(layer.nextStep.as_deref(), Some(step));
    assert_eq!(seen_as(&guest, 1), None);
    run("link set wlan0 nomaster");
    run("link del br0");
    run("addr add 192.0.2.2/24 dev wlan0");
    run(&format!("route add default via {}", Internet::ADDRESS));
    leaves_as(&guest, FIRST);
}

#[test]
fn an_ipv6_network_without_a_clat_is_said_to_be_one() {
    for choice in ["default", "wlan0"] {
        let device = Device::options().ipv6().build();
        let _beyond = second_way(&device, "clat0");
        let bed = Bed::on(device).args(&format!("--uplink {choice}")).build();
        let guest = Guest::new();
        bed.attach("demo", &guest);
        bed.device.run("ip -4 addr flush dev wlan0");
        let layer = no_internet(&bed, Cause::UPLINK_IPV6_ONLY);
        assert!(layer.text.contains("wlan0"), "{layer:?}");
        assert!(layer.nextStep.expect("a step").contains("v4-wlan0 is taken"));
        // And without IPv6 it is another cause, though nobody announces it.
        bed.device.run("ip -6 addr flush dev wlan0");
        bed.device.run("ip -6 route flush default");
        let none =
            if choice == "wlan0" { Cause::UPLINK_NO_ADDRESS } else { Cause::NO_DEFAULT_ROUTE };
        no_internet(&bed, none);
        bed.device.run("ip link set clat0 down");
        bed.device.run("ip link set clat0 name v4-wlan0");
        bed.device.run("ip link set v4-wlan0 up");
        bed.device.run("ip route add default via 198.51.100.1");
        eventually("it leaves by the clat", || guest.tcp("198.51.100.1:80", "x").is_ok());
        internet(&bed);
        assert_eq!(uplink(&bed).interfaceName, "v4-wlan0");
    }
}
