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

//! The bed proves itself, without guestnetd: what the other tests stand on is really there, and
//! a guest wired up by hand, with the original's own commands, works as they expect.

use guestnet_tests::probe::exchange;
use guestnet_tests::{Container, Device, Guest, InNetns, Internet, Probe, Snapshot};

const GATEWAY: &str = "172.17.3.2";

/// The original's set-up, command by command.
fn wire(device: &Device, guest_pid: i32, guest: &impl InNetns) {
    device.run("ip link add vm_wlan type veth peer name vm_wlan0");
    device.run(&format!("ip link set vm_wlan0 netns {guest_pid}"));
    device.run(&format!("ip addr add {GATEWAY}/16 dev vm_wlan"));
    device.run("ip link set vm_wlan up");
    guest.run("ip link set vm_wlan0 name wlan0");
    guest.run("ip addr add 172.17.3.3/16 dev wlan0");
    guest.run("ip link set wlan0 up");
    guest.run(&format!("ip route add default via {GATEWAY}"));
    device.wait_until_up("vm_wlan");
    guest.wait_until_up("wlan0");
    device.set_sysctl("net/ipv4/ip_forward", "1");
    for rule in RULES {
        device.run(&format!("iptables-legacy -w {}", rule.replace('?', "-A")));
    }
}

fn unwire(device: &Device) {
    for rule in RULES {
        device.run(&format!("iptables-legacy -w {}", rule.replace('?', "-D")));
    }
    device.set_sysctl("net/ipv4/ip_forward", "0");
    device.run("ip link del vm_wlan");
}

const RULES: [&str; 3] = [
    "-t nat ? POSTROUTING -s 172.17.0.0/16 -o wlan0 -j MASQUERADE",
    "? FORWARD -i vm_wlan -o wlan0 -j ACCEPT",
    "? FORWARD -i wlan0 -o vm_wlan -m state --state RELATED,ESTABLISHED -j ACCEPT",
];

#[test]
fn a_guest_wired_by_hand_reaches_the_internet_and_leaves_nothing() {
    let device = Device::new();
    let guest = Guest::new();
    let before = Snapshot::of(&device);
    let guest_before = Snapshot::of(&guest);
    assert_eq!(guest.links(), ["lo"]);

    wire(&device, guest.pid(), &guest);
    assert_eq!(guest.addresses(4, "wlan0"), ["172.17.3.3/16"]);
    assert_eq!(guest.routes(4, "main")[0], format!("default via {GATEWAY} dev wlan0"));
    assert!(guest.ping(GATEWAY));
    assert!(guest.ping(Internet::ADDRESS));
    assert_eq!(guest.fetch(Internet::TCP).unwrap(), Device::ADDRESS);
    assert_eq!(guest.tcp(Internet::TCP, "hello").unwrap(), "192.0.2.2 hello");
    assert_eq!(guest.udp(Internet::UDP, "hello").unwrap(), "192.0.2.2 hello");
    let stream = guest.connect_tcp(Internet::TCP).unwrap();
    for line in ["one", "two"] {
        assert_eq!(exchange(&stream, line).unwrap(), format!("192.0.2.2 {line}"));
    }
    drop(stream);

    let diff = before.diff(&Snapshot::of(&device)).expect("the snapshot sees the guest");
    for sign in [
        ": vm_wlan@if",
        "+ -A POSTROUTING -s 172.17.0.0/16 -o wlan0 -j MASQUERADE",
        "+ -A FORWARD -i vm_wlan -o wlan0 -j ACCEPT",
        "+ unicast 172.17.0.0/16 dev vm_wlan",
        "- net/ipv4/ip_forward:0",
        "+ net/ipv4/conf/vm_wlan/forwarding:1",
        "inet 172.17.3.2/16 scope global vm_wlan",
    ] {
        assert!(diff.contains(sign), "{sign} is not in\n{diff}");
    }

    unwire(&device);
    before.assert_same(&Snapshot::of(&device));
    guest_before.assert_same(&Snapshot::of(&guest));
}

#[test]
fn without_address_translation_there_is_no_answer() {
    let (device, guest) = (Device::new(), Guest::new());
    wire(&device, guest.pid(), &guest);
    device.run("iptables-legacy -w -t nat -F");
    assert!(guest.ping(GATEWAY));
    assert!(!guest.ping(Internet::ADDRESS));
    assert!(guest.udp(Internet::UDP, "hello").is_err());
}

#[test]
fn what_a_device_can_be_asked_for() {
    let device = Device::options().uplink("eth0").ipv6().forwarding().build();
    assert_eq!(device.links(), ["lo", "eth0"]);
    assert_eq!(device.sysctl("net/ipv4/ip_forward"), "1");
    assert!(device.ping(Internet::ADDRESS6));
    assert_eq!(device.tcp("[2001:db8:0:1::1]:80", "six").unwrap(), "2001:db8:0:1::2 six");
    assert_eq!(device.udp("[2001:db8:0:1::1]:7", "six").unwrap(), "2001:db8:0:1::2 six");
    assert_eq!(device.tcp(Internet::TCP, "four").unwrap(), "192.0.2.2 four");
    assert_eq!(
        device.routes(6, "main").last().unwrap().split(" metric").next().unwrap(),
        "default via 2001:db8:0:1::1 dev eth0"
    );

    let offline = Device::options().no_uplink().build();
    assert_eq!(offline.links(), ["lo"]);
    assert_eq!(offline.sysctl("net/ipv4/ip_forward"), "0");
    offline.add_uplink("wlan0");
    assert!(offline.ping(Internet::ADDRESS));
    offline.remove_uplink("wlan0");
    assert_eq!(offline.links(), ["lo"]);
}

#[test]
fn a_snapshot_sees_one_byte_and_the_order() {
    let device = Device::new();
    let before = Snapshot::of(&device).and_fds(std::process::id() as i32);
    device.run("ip link set wlan0 alias x");
    let diff = before.diff(&Snapshot::of(&device)).unwrap();
    assert!(diff.contains("alias x"), "{diff}");
    assert!(diff.contains("== open descriptors\n- "), "{diff}");
    device.run("nft add table inet own");
    let diff = before.diff(&Snapshot::of(&device)).unwrap();
    assert!(diff.contains("+ table inet own {"), "{diff}");
    device.run("iptables-legacy -P FORWARD DROP");
    let diff = before.diff(&Snapshot::of(&device)).unwrap();
    assert!(diff.contains("+ :FORWARD DROP"), "{diff}");
}

#[test]
fn a_namespace_ends_with_what_was_in_it() {
    let device = Device::new();
    let mut guest = Guest::new();
    wire(&device, guest.pid(), &guest);
    guest.kill();
    let gone = || device.link("vm_wlan").is_none().then_some(());
    guestnet_tests::poll(std::time::Duration::from_secs(1), gone).expect("the link is gone");

    let path = device.netns.path();
    drop(device);
    assert!(!path.exists());
}

#[test]
fn a_real_container_has_only_lo_and_comes_back_from_a_reboot() {
    let device = Device::new();
    let container = Container::new(&device);
    container.start().unwrap();
    assert_eq!(container.links(), ["lo"]);
    let inside = container.exec(&["ifconfig", "-a"]);
    assert!(inside.starts_with("lo ") && !inside.contains("\n\nw"), "{inside}");

    let pid = container.pid().unwrap();
    wire(&device, pid, &container);
    assert_eq!(container.exec(&["env"]).lines().find(|line| line.contains("CARGO")), None);
    let page = container.exec(&["timeout", "5", "wget", "-q", "-O", "-", "http://192.0.2.1/"]);
    assert_eq!(page.trim(), Device::ADDRESS);

    assert_ne!(container.reboot(), pid);
    assert_eq!(container.links(), ["lo"]);
    container.stop();
    assert_eq!(container.pid(), None);
}

#[test]
fn a_container_whose_hook_fails_does_not_start_and_says_why() {
    let container = Container::new(&Device::new());
    container.config("lxc.hook.start-host = /bin/false");
    let log = container.start().unwrap_err();
    assert!(log.contains("start-host"), "{log}");
}
