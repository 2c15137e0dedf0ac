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

//! The original's set-up, row by row, is what an attach with nothing but defaults makes; what is
//! asked for instead is taken; and a detach takes all of it away.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};

use android_system_guestnet::aidl::android::system::guestnet::GuestConfig::GuestConfig;
use android_system_guestnet::aidl::android::system::guestnet::GuestKind::GuestKind;
use android_system_guestnet::aidl::android::system::guestnet::GuestState::GuestState;
use guestnet_tests::bed::{eventually, guests_rules, guests_table, Bed, FIRST, GATEWAY};
use guestnet_tests::client::{by_netns, by_pid, by_pidfd, config};
use guestnet_tests::{Device, Guest, InNetns, Internet, Probe, Snapshot};

guestnet_tests::with_both_backends!(
    all_defaults_are_the_original,
    what_is_asked_for_is_taken,
    detach_leaves_the_device_and_the_guest_as_they_were,
);

fn all_defaults_are_the_original(firewall: &str) {
    let bed = Bed::new(firewall);
    let (device, guest) = (&bed.device, Guest::new());
    device.run("ip link set wlan0 mtu 1400");
    assert!(!bed.forwards());
    let attached = bed.attach("demo", &guest);

    // Host.
    assert_eq!(device.addresses(4, "vm_wlan"), ["172.17.3.2/16"]);
    let host = device.link("vm_wlan").expect("vm_wlan");
    assert_eq!(host["linkinfo"]["info_kind"], "veth");
    assert_eq!(host["operstate"], "UP");
    assert!(bed.forwards());
    assert_rules(device, firewall);

    // Guest.
    assert_eq!(guest.links(), ["lo", "wlan0"]);
    assert_eq!(guest.addresses(4, "wlan0"), ["172.17.3.3/16"]);
    let end = guest.link("wlan0").expect("wlan0");
    assert_eq!(end["operstate"], "UP");
    let default = guest.routes(4, "main").into_iter().find(|route| route.starts_with("default"));
    assert!(default.unwrap().starts_with("default via 172.17.3.2 dev wlan0"));
    assert!(guest.ping("127.0.0.1"), "lo is up");

    // The way out, with the uplink's address.
    assert!(guest.ping(Internet::ADDRESS));
    assert_eq!(guest.tcp(Internet::TCP, "hello").unwrap(), "192.0.2.2 hello");
    assert_eq!(guest.udp(Internet::UDP, "hello").unwrap(), "192.0.2.2 hello");
    assert_eq!(guest.fetch(Internet::TCP).unwrap(), Device::ADDRESS);

    // What is not in the original's table.
    assert_eq!(host["ifalias"], "guestnet:demo");
    assert_eq!(host["group"], "1735288180", "gnet");
    let mac = |link: &serde_json::Value| link["address"].as_str().unwrap().to_owned();
    assert!(mac(&host).starts_with("02:67:"), "{host}");
    assert_eq!((&host["num_tx_queues"], &host["num_rx_queues"]), (&1.into(), &1.into()));
    assert_eq!(device.sysctl("net/ipv6/conf/vm_wlan/disable_ipv6"), "1");
    assert_eq!(device.addresses(6, "vm_wlan"), [""; 0]);
    assert_eq!((&host["mtu"], &end["mtu"]), (&1400.into(), &1400.into()));

    // And what the answer says about it.
    assert_eq!(attached.name, "demo");
    assert_eq!(attached.kind, GuestKind::VETH);
    assert_eq!(attached.state, GuestState::ATTACHED);
    assert_eq!((attached.slot, attached.mtu), (0, 1400));
    assert_eq!(attached.hostInterface, "vm_wlan");
    assert_eq!(attached.hostInterfaceIndex, host["ifindex"]);
    assert_eq!(attached.interfaceName, "wlan0");
    assert_eq!(attached.addresses, [format!("{FIRST}/16")]);
    assert_eq!(attached.gateway, GATEWAY);
    assert_eq!(attached.mac, mac(&end));
    assert_eq!(attached.ownerUid, 0);
    assert!(!attached.timeline.is_empty());
}

/// Masquerade by wlan0; forwarding from the guest to wlan0 and, for answers, back.
#[track_caller]
fn assert_rules(device: &Device, firewall: &str) {
    let nft = guests_table(device);
    let iptables: Vec<String> = ["nat", "filter"]
        .iter()
        .flat_map(|table| guests_rules(device, "iptables", table))
        .collect();
    let (rules, wanted) = if firewall == "nftables" {
        assert_eq!(iptables, [""; 0]);
        let lines: Vec<String> =
            nft.expect("the table").lines().map(|line| line.trim().to_owned()).collect();
        let wanted = [
            "iifname \"vm_wlan*\" meta nfproto ipv4 masquerade",
            "iifname \"vm_wlan*\" oifname \"wlan0\" ip saddr 172.17.0.0/16 ct state new accept",
            "oifname \"wlan0\" ip saddr 172.17.0.0/16 ct state established,new ct status confirmed accept",
            "iifname \"wlan0\" meta nfproto ipv4 ct state established,related accept",
        ];
        (lines, wanted.to_vec())
    } else {
        assert_eq!(nft, None);
        let wanted = [
            "-A POSTROUTING -j oem_guestnet_post",
            "-A oem_guestnet_post -s 172.17.0.0/16 -o wlan0 -j MASQUERADE",
            "-A FORWARD -j oem_guestnet_fwd",
            "-A oem_guestnet_fwd -s 172.17.0.0/16 -i vm_wlan+ -o wlan0 -m conntrack --ctstate NEW -j ACCEPT",
            "-A oem_guestnet_fwd -s 172.17.0.0/16 -i vm_wlan+ -o wlan0 -m conntrack --ctstate ESTABLISHED -j ACCEPT",
            "-A oem_guestnet_fwd -i wlan0 -o vm_wlan+ -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        ];
        (iptables, wanted.to_vec())
    };
    for rule in wanted {
        assert!(rules.iter().any(|have| have == rule), "{rule} is not in {rules:#?}");
    }
}

fn what_is_asked_for_is_taken(firewall: &str) {
    let bed = Bed::new(firewall);
    let guest = Guest::new();
    let wanted = GuestConfig {
        interfaceName: "eth7".to_owned(),
        gateway: "10.9.8.1".to_owned(),
        prefixLength: 24,
        addresses: vec!["10.9.8.77".to_owned()],
        mtu: 1280,
        ..config("custom")
    };
    let attached = bed.attach_as(&wanted, &by_pid(guest.pid()));
    assert_eq!((attached.interfaceName.as_str(), attached.mtu), ("eth7", 1280));
    assert_eq!(attached.addresses, ["10.9.8.77/24"]);
    assert_eq!(bed.device.addresses(4, "vm_wlan"), ["10.9.8.1/24"]);
    assert_eq!(guest.links(), ["lo", "eth7"]);
    assert_eq!(guest.addresses(4, "eth7"), ["10.9.8.77/24"]);
    for link in [guest.link("eth7"), bed.device.link("vm_wlan")] {
        assert_eq!(link.expect("the link")["mtu"], 1280);
    }
    assert_eq!(guest.tcp(Internet::TCP, "hello").unwrap(), "192.0.2.2 hello");
    bed.detach("custom");

    // Without an address of its own: the gateway's and one more.
    let wanted = GuestConfig { addresses: Vec::new(), ..wanted };
    assert_eq!(bed.attach_as(&wanted, &by_pid(guest.pid())).addresses, ["10.9.8.2/24"]);
    assert_eq!(guest.addresses(4, "eth7"), ["10.9.8.2/24"]);
}

fn detach_leaves_the_device_and_the_guest_as_they_were(firewall: &str) {
    let bed = Bed::new(firewall);
    let guest = Guest::new();
    guest.run("ip link set lo up");
    let before = (Snapshot::of(&bed.device).and_fds(bed.daemon.pid()), Snapshot::of(&guest));
    for target in [by_netns(guest.open_netns()), by_pidfd(guest.pidfd()), by_pid(guest.pid())] {
        let how = target.kind;
        bed.attach_as(&config("demo"), &target);
        assert_eq!(guest.tcp(Internet::TCP, "hello").unwrap(), "192.0.2.2 hello", "{how:?}");
        bed.detach("demo");
        before.1.assert_same(&Snapshot::of(&guest));
        eventually("nothing is left", || {
            Snapshot::of(&bed.device).and_fds(bed.daemon.pid()) == before.0
        });
    }
    assert!(bed.service.get("demo").unwrap().is_none());
}

#[test]
fn a_guests_lo_stays_up_and_nothing_else_stays() {
    let bed = Bed::new("auto");
    let (guest, other) = (Guest::new(), Guest::new());
    bed.attach("demo", &guest);
    bed.detach("demo");
    other.run("ip link set lo up");
    Snapshot::of(&other).assert_same(&Snapshot::of(&guest));
}

/// Everything that the device is told about links while this runs.
struct LinkMonitor {
    child: Child,
    lines: Arc<Mutex<String>>,
}

impl LinkMonitor {
    fn start(device: &Device) -> Self {
        let mut child = device.words("ip monitor link");
        let mut child = child.stdout(Stdio::piped()).spawn().expect("ip monitor");
        let mut output = BufReader::new(child.stdout.take().expect("its output"));
        let lines = Arc::<Mutex<String>>::default();
        let copy = Arc::clone(&lines);
        std::thread::spawn(move || {
            let mut line = String::new();
            while output.read_line(&mut line).is_ok_and(|length| length > 0) {
                copy.lock().expect("the lines").push_str(&std::mem::take(&mut line));
            }
        });
        let monitor = Self { child, lines };
        // Only what happens after it has begun to listen is told.
        eventually("it listens", || monitor.sees(device, "mark0"));
        monitor
    }

    /// Makes and removes a link, and waits until one of that name was told of.
    fn sees(&self, device: &Device, name: &str) -> bool {
        device.run(&format!("ip link add {name} type veth peer name peer-{name}"));
        device.run(&format!("ip link del {name}"));
        self.text().contains(name)
    }

    fn text(&self) -> String {
        self.lines.lock().expect("the lines").clone()
    }
}

impl Drop for LinkMonitor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_guests_end_is_never_seen_on_the_device() {
    let bed = Bed::new("auto");
    let guest = Guest::new();
    let monitor = LinkMonitor::start(&bed.device);
    for _ in 0..5 {
        bed.attach("demo", &guest);
        bed.detach("demo");
    }
    eventually("all was told", || monitor.sees(&bed.device, "mark1"));
    let text = monitor.text();
    assert!(text.contains(": vm_wlan@if"), "{text}");
    assert!(!text.contains("vm_wlan0") && !text.contains(": wlan0@"), "{text}");
    // The original's own way would have been seen.
    bed.device.run("ip link add vm_wlan type veth peer name vm_wlan0");
    eventually("the transient name is told", || monitor.text().contains("vm_wlan0"));
}
