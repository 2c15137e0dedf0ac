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

//! What a guest reaches and what reaches a guest, by real packets. Each no is shown to be a yes
//! as soon as guestnetd's rules are away: it is they that say no, and not a mistake in the
//! question.

use std::net::UdpSocket;
use std::time::Duration;

use android_system_guestnet::aidl::android::system::guestnet::GuestConfig::GuestConfig;
use android_system_guestnet::aidl::android::system::guestnet::GuestKind::GuestKind;
use android_system_guestnet::aidl::android::system::guestnet::GuestState::GuestState;
use guestnet_tests::bed::{eventually, reached, second_way, Bed, Server, BOUND, FIRST, GATEWAY};
use guestnet_tests::client::{by_pid, config};
use guestnet_tests::{poll, Device, Guest, InNetns, Internet, Probe};

guestnet_tests::with_both_backends!(
    of_the_device_a_guest_reaches_only_its_dns,
    of_the_device_a_guest_reaches_nothing_over_ipv6,
    ipv6_is_forwarded_neither_way,
    nothing_of_a_guest_is_reached_from_beyond,
    a_guest_cannot_pretend_to_be_somebody_else,
    a_loose_reverse_path_filter_lets_nobody_pretend,
    a_guest_leaves_by_the_uplink_only,
    without_an_uplink_nothing_is_forwarded,
);

/// Both protocols at each of these addresses.
fn both<'a>(addresses: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let each = |to: &str| ["tcp", "udp"].map(|how| format!("{how} {to}"));
    addresses.into_iter().flat_map(each).collect()
}

/// Asks while the rules are there and when they are not.
#[track_caller]
fn only_the_rules_forbid(
    bed: &mut Bed,
    from: &(impl InNetns + Sync),
    server: &Server,
    questions: &[String],
) {
    assert_eq!(reached(from, server, questions), [""; 0]);
    bed.remove_rules();
    // An IPv6 neighbour that did not answer up to now is asked again a little later.
    let all = || (reached(from, server, questions) == questions).then_some(());
    assert!(poll(BOUND, all).is_some(), "not without guestnetd's rules, either: {questions:?}");
}

fn of_the_device_a_guest_reaches_only_its_dns(firewall: &str) {
    // No resolver of the uplink is known: the device may have one of its own.
    let args = format!("--firewall {firewall} --resolv-conf /nonexistent");
    let mut bed = Bed::on(Device::new()).args(&args).build();
    let guest = Guest::new();
    bed.attach("demo", &guest);
    let server = Server::start(&bed.device, &["0.0.0.0:5555", "[::]:5556", "0.0.0.0:53"]);
    let mut allowed = both(["172.17.3.2:53"]);
    allowed.push(format!("ping {GATEWAY}"));
    assert_eq!(reached(&guest, &server, &allowed), allowed);
    let mut forbidden = both([
        "172.17.3.2:5555",
        "172.17.3.2:5556",
        "192.0.2.2:5555",
        "192.0.2.2:5556",
        "192.0.2.2:53",
    ]);
    forbidden.push(format!("ping {}", Device::ADDRESS));
    only_the_rules_forbid(&mut bed, &guest, &server, &forbidden);
}

/// The guest's address once somebody has given it IPv6.
const GUEST6: &str = "2001:db8:5::3";

/// A guest's link has no IPv6 at all. Here somebody gives it some, with a way to the internet and
/// back: the rules are there none the less. Gives the device's link-local address.
fn give_ipv6(bed: &Bed, guest: &Guest) -> String {
    let device = &bed.device;
    assert_eq!(device.addresses(6, "vm_wlan"), [""; 0]);
    device.set_sysctl("net/ipv6/conf/vm_wlan/disable_ipv6", "0");
    eventually("a link-local address", || !device.addresses(6, "vm_wlan").is_empty());
    let local = device.addresses(6, "vm_wlan").remove(0).replace("/64", "");
    device.set_sysctl("net/ipv6/conf/all/forwarding", "1");
    device.run("ip -6 route add 2001:db8:5::/64 dev vm_wlan");
    device.internet.run("ip -6 route add 2001:db8:5::/64 via 2001:db8:0:1::2");
    guest.run(&format!("ip -6 addr add {GUEST6}/64 dev wlan0"));
    guest.run(&format!("ip -6 route add default via {local} dev wlan0"));
    // They need not ask for each other: the answers are to be kept out by more than that.
    let mac = |link: Option<serde_json::Value>| link.expect("the link")["address"].clone();
    let (here, there) = (mac(device.link("vm_wlan")), mac(guest.link("wlan0")));
    let fixed = |address: &str, mac: &serde_json::Value, link: &str| {
        let mac = mac.as_str().expect("a MAC");
        format!("ip -6 neigh replace {address} lladdr {mac} dev {link} nud permanent")
    };
    for address in [GUEST6, &guest.addresses(6, "wlan0").pop().expect("one").replace("/64", "")] {
        device.run(&fixed(address, &there, "vm_wlan"));
    }
    guest.run(&fixed(&local, &here, "wlan0"));
    local
}

fn of_the_device_a_guest_reaches_nothing_over_ipv6(firewall: &str) {
    let mut bed =
        Bed::on(Device::options().ipv6().build()).args(&format!("--firewall {firewall}")).build();
    let guest = Guest::new();
    bed.attach("demo", &guest);
    let local = give_ipv6(&bed, &guest);
    let server = Server::start(&bed.device, &["[::]:5556"]);
    let link = guest.link("wlan0").expect("wlan0")["ifindex"].to_string();
    let mut forbidden = both([format!("[{local}%{link}]:5556").as_str(), "[2001:db8:0:1::2]:5556"]);
    forbidden.push(format!("ping {local}%wlan0"));
    forbidden.push(format!("ping {}", Device::ADDRESS6));
    only_the_rules_forbid(&mut bed, &guest, &server, &forbidden);
}

fn ipv6_is_forwarded_neither_way(firewall: &str) {
    let mut bed =
        Bed::on(Device::options().ipv6().build()).args(&format!("--firewall {firewall}")).build();
    let guest = Guest::new();
    bed.attach("demo", &guest);
    give_ipv6(&bed, &guest);
    let beyond = bed.device.internet.netns.open_netns();
    let on_guest = Server::start(&guest, &["[::]:5000"]);
    let inwards = both(["[2001:db8:5::3]:5000"]);
    assert_eq!(reached(&beyond, &on_guest, &inwards), [""; 0]);
    let on_internet = Server::start(&beyond, &["[::]:5000"]);
    let mut outwards = both(["[2001:db8:0:1::1]:5000"]);
    outwards.push(format!("ping {}", Internet::ADDRESS6));
    only_the_rules_forbid(&mut bed, &guest, &on_internet, &outwards);
    assert_eq!(reached(&beyond, &on_guest, &inwards), inwards);
}

fn nothing_of_a_guest_is_reached_from_beyond(firewall: &str) {
    let mut bed = Bed::new(firewall);
    let guest = Guest::new();
    bed.attach("demo", &guest);
    bed.device.internet.run("ip route add 172.17.0.0/16 via 192.0.2.2");
    let server = Server::start(&guest, &["0.0.0.0:5000"]);
    let mut questions = both(["172.17.3.3:5000"]);
    questions.push(format!("ping {FIRST}"));
    let beyond = bed.device.internet.netns.open_netns();
    only_the_rules_forbid(&mut bed, &beyond, &server, &questions);
}

fn a_guest_cannot_pretend_to_be_somebody_else(firewall: &str) {
    let mut bed = Bed::new(firewall);
    let guest = Guest::new();
    bed.attach("demo", &guest);
    let address = |address: &str| drop(guest.run(&format!("ip addr add {address} dev wlan0")));
    let from = |source: &str| format!("udp 192.0.2.1:5000 from {source}");
    let internet = &bed.device.internet;
    let server = Server::start(internet, &["0.0.0.0:5000"]);
    // The kernel's own check of source addresses lets in the guest's alone.
    let others = ["172.17.9.9", "10.66.0.1", "203.0.113.9"];
    others.iter().for_each(|other| address(&format!("{other}/32")));
    assert_eq!(reached(&guest, &server, &[from(FIRST)]), [from(FIRST)]);
    assert_eq!(reached(&guest, &server, &others.map(from)), [""; 0]);
    // And it is not the only one. guestnetd would put it back.
    bed.daemon.kill();
    for (netns, links) in [
        (&bed.device.netns, ["all", "vm_wlan", "wlan0"]),
        (&internet.netns, ["all", "device", "lo"]),
    ] {
        for link in links {
            for switch in ["rp_filter", "arp_filter"] {
                netns.set_sysctl(&format!("net/ipv4/conf/{link}/{switch}"), "0");
            }
        }
    }
    assert_eq!(reached(&guest, &server, &[from(FIRST)]), [from(FIRST)]);
    let mut rules = vec![from("10.66.0.1"), from("203.0.113.9")];
    // x_tables has no set for guests: an address of their subnet is rp_filter's to refuse.
    if firewall == "nftables" {
        rules.push(from("172.17.9.9"));
    }
    only_the_rules_forbid(&mut bed, &guest, &server, &rules);
}

/// `all` counts for host ends, too, and 2 asks only whether there is a way back at all.
fn a_loose_reverse_path_filter_lets_nobody_pretend(firewall: &str) {
    let mut bed = Bed::new(firewall);
    let [first, second, late] = [(); 3].map(|()| Guest::new());
    bed.attach("first", &first);
    bed.attach("second", &second);
    let from = |source: &str| format!("udp 192.0.2.1:5000 from {source}");
    let server = Server::start(&bed.device.internet, &["0.0.0.0:5000"]);
    let pretend = |guest: &Guest, own: &str| {
        let others = ["172.17.3.3", "172.17.3.4", "172.17.3.5", "172.17.9.9"];
        let others: Vec<_> = others.into_iter().filter(|other| *other != own).collect();
        for other in &others {
            guest.run(&format!("ip addr replace {other}/32 dev wlan0"));
        }
        let forged: Vec<_> = others.into_iter().map(from).collect();
        assert_eq!(reached(guest, &server, &[from(own)]), [from(own)]);
        assert_eq!(reached(guest, &server, &forged), [""; 0]);
    };
    bed.device.set_sysctl("net/ipv4/conf/all/rp_filter", "2");
    let pinned = |host: &str| bed.device.run(&format!("tc filter show dev {host} ingress"));
    if firewall == "iptables" {
        eventually("a filter", || pinned("vm_wlan").contains("bpf"));
        eventually("another", || pinned("vm_wlan1").contains("bpf"));
    }
    pretend(&first, FIRST);
    // On a segment, whose filters are at the same place.
    let on_one = || {
        let segment = Some("cockpit".to_owned());
        GuestConfig { kind: GuestKind::BRIDGED, segment, ..config("late") }
    };
    bed.attach_as(&on_one(), &by_pid(late.pid()));
    assert_eq!(pinned("vm_wlan2").contains("bpf"), firewall == "iptables");
    pretend(&late, "172.17.3.5");
    // Somebody takes it away; and it is there after a restart.
    if firewall == "iptables" {
        bed.device.run("tc filter del dev vm_wlan1 ingress");
    }
    bed.daemon.kill();
    bed.start();
    pretend(&second, "172.17.3.4");
    // Another address: the filter follows, and does so when nobody needs it any more.
    for (value, address) in [("2", "172.17.3.77"), ("0", "172.17.3.78")] {
        bed.device.set_sysctl("net/ipv4/conf/all/rp_filter", value);
        bed.daemon.kill();
        bed.start();
        let moved = GuestConfig { addresses: vec![address.to_owned()], ..on_one() };
        bed.service.update("late", &moved).expect("update");
        late.run("ip addr replace 172.17.3.5/32 dev wlan0");
        assert_eq!(reached(&late, &server, &[from(address)]), [from(address)]);
        assert_eq!(reached(&late, &server, &[from("172.17.3.5")]), [""; 0]);
    }
}

fn a_guest_leaves_by_the_uplink_only(firewall: &str) {
    let device = Device::new();
    let beyond = second_way(&device, "eth1");
    beyond.run("ip route add 172.17.0.0/16 via 198.51.100.2");
    let mut bed = Bed::on(device).args(&format!("--firewall {firewall}")).build();
    let guest = Guest::new();
    bed.attach("demo", &guest);
    assert_eq!(guest.tcp(Internet::TCP, "up").unwrap(), "192.0.2.2 up");
    let server = Server::start(&beyond, &["0.0.0.0:5000"]);
    let mut questions = both(["198.51.100.1:5000"]);
    questions.push("ping 198.51.100.1".to_owned());
    only_the_rules_forbid(&mut bed, &guest, &server, &questions);
}

fn without_an_uplink_nothing_is_forwarded(firewall: &str) {
    let device = Device::options().no_uplink().build();
    let beyond = second_way(&device, "eth1");
    beyond.run("ip route add 172.17.0.0/16 via 198.51.100.2");
    device.run("ip route add default via 198.51.100.1");
    let mut bed = Bed::on(device).args(&format!("--firewall {firewall}")).build();
    let guest = Guest::new();
    assert_eq!(bed.attach("demo", &guest).state, GuestState::WAITING_FOR_UPLINK);
    let server = Server::start(&beyond, &["0.0.0.0:5000"]);
    let questions = both(["198.51.100.1:5000"]);
    assert!(guest.ping(GATEWAY));
    only_the_rules_forbid(&mut bed, &guest, &server, &questions);
}

/// The table of neighbours is one for the machine: full, nobody new is met on the Wi-Fi.
#[test]
fn what_a_guest_claims_in_arp_is_not_learnt() {
    let bed = Bed::new("nftables");
    let (a, b) = (Guest::new(), Guest::new());
    bed.attach("a", &a);
    bed.attach("b", &b);
    for (guest, link, own) in [(&a, "vm_wlan", FIRST), (&b, "vm_wlan1", "172.17.3.4")] {
        assert!(guest.ping(GATEWAY));
        for last in 1..=30 {
            guest.run(&format!("ip addr add 172.17.100.{last}/32 dev wlan0"));
            guest.run("ip neigh flush all");
            // Asks for the gateway in that name; there is no answer.
            let claims = || UdpSocket::bind((format!("172.17.100.{last}"), 0)).expect("bind");
            guest.enter(claims).send_to(b"x", (GATEWAY, 9)).expect("send");
        }
        std::thread::sleep(Duration::from_millis(200));
        guest.run("ip neigh flush all");
        assert!(guest.ping(GATEWAY), "it is answered in its own name");
        let learnt = bed.device.run(&format!("ip neigh show dev {link}"));
        let learnt: Vec<_> = learnt.lines().filter(|line| !line.contains("FAILED")).collect();
        assert!(learnt.len() == 1 && learnt[0].starts_with(own), "{learnt:?}");
    }
}
