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

//! The device that netd shapes proves itself, without guestnetd, on the real kernel: what the
//! original does passes nothing there, what a guest needs passes, and what is lost when is lost.

mod networks;
mod passing;
mod restart;
mod shape;
mod standins;
mod states;

use guestnet_tests::netd::table;
use guestnet_tests::{said, Guest, InNetns, NetdDevice, Probe};

/// What the original appends.
const ORIGINAL: [&str; 3] = [
    "-t nat -A POSTROUTING -s 172.17.0.0/16 -o wlan0 -j MASQUERADE",
    "-t filter -A FORWARD -i vm_wlan -o wlan0 -j ACCEPT",
    "-t filter -A FORWARD -i wlan0 -o vm_wlan -m state --state RELATED,ESTABLISHED -j ACCEPT",
];

/// What netd has room for, all of it through the stand-ins.
const PASSING: [&str; 9] = [
    "-w -t filter -N oem_guestnet_fwd",
    "-w -t filter -A oem_guestnet_fwd -i vm_wlan -o wlan0 -j ACCEPT",
    "-w -t filter -A oem_guestnet_fwd -i wlan0 -o vm_wlan -m state --state ESTABLISHED,RELATED -j ACCEPT",
    "-w -t filter -A oem_guestnet_fwd -i vm_wlan -j DROP",
    "-w -t filter -A oem_guestnet_fwd -o vm_wlan -j DROP",
    "-w -t nat -N oem_guestnet_post",
    "-w -t nat -A oem_guestnet_post -s 172.17.0.0/16 -o wlan0 -j MASQUERADE",
    "-w -t nat -A POSTROUTING -j oem_guestnet_post",
    "-w -t filter -I oem_fwd 1 -j oem_guestnet_fwd",
];

/// A guest with its link, as far as netd has no say in it.
fn guest(device: &NetdDevice) -> Guest {
    let guest = Guest::new();
    device.run("ip link add vm_wlan group 0x676e6574 type veth peer name vm_wlan0");
    device.run(&format!("ip link set vm_wlan0 netns {}", guest.pid()));
    device.run("ip addr add 172.17.3.2/16 dev vm_wlan");
    device.run("ip link set vm_wlan up");
    guest.run("ip link set vm_wlan0 name wlan0");
    guest.run("ip addr add 172.17.3.3/16 dev wlan0");
    guest.run("ip link set wlan0 up");
    guest.run("ip route add default via 172.17.3.2");
    device.wait_until_up("vm_wlan");
    guest.wait_until_up("wlan0");
    guest
}

fn through_wrapper(device: &NetdDevice, line: &str) {
    let out = device.wrapped(&device.iptables(), line);
    assert!(out.status.success(), "{line}: {}", said(&out));
}

/// What netd loses when it restarts: the jumps, the rule, the switch.
fn hook(device: &NetdDevice) {
    through_wrapper(device, PASSING[7]);
    through_wrapper(device, PASSING[8]);
    route(device, "wlan0");
    assert_eq!(ipfwd(device, "enable guestnetd"), "200 0 ipfwd operation succeeded\n");
}

fn route(device: &NetdDevice, uplink: &str) {
    let table = table(device.ifindex(uplink));
    device.run(&format!("ip rule add pref 21500 from 172.17.0.0/16 lookup {table} protocol 103"));
}

/// Opens the way by hand.
fn open_up(device: &NetdDevice) {
    PASSING[..7].iter().for_each(|line| through_wrapper(device, line));
    device.run("ip route add 172.17.0.0/16 dev vm_wlan table 97 proto 103");
    hook(device);
}

fn ipfwd(device: &NetdDevice, words: &str) -> String {
    let out = device.wrapped(&device.ndc(), &format!("ipfwd {words}"));
    assert!(out.status.success(), "ndc always ends well: {}", said(&out));
    String::from_utf8(out.stdout).unwrap()
}

fn rules(device: &NetdDevice, family: u8) -> Vec<String> {
    device
        .run(&format!("ip -{family} rule show"))
        .lines()
        .map(|l| l.trim_end().to_owned())
        .collect()
}
