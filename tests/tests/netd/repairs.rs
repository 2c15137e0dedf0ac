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

//! What others take away is put back, and nothing else is touched.

use guestnet_tests::bed::{Bed, BOUND};
use guestnet_tests::netd::{NetdDevice, Variant};
use guestnet_tests::{poll, InNetns, Probe};

/// How often guestnetd looks for what the kernel does not announce, here.
const CHECKS: &str = "--check-every 1";

#[track_caller]
fn is_put_back(args: &str, damage: &[&str]) {
    let builder = Bed::on_netd(NetdDevice::new()).args(args).attached("demo");
    let mut bed = builder.env("XTABLES_LOCKFILE", "/run/xtables.lock").build();
    bed.flows_as("192.0.2.2");
    let before = bed.device.everything_else();
    for command in damage {
        let command = command.replace("PREF", "21500");
        let times = || bed.daemon.log().matches("put back").count();
        let before = times();
        bed.device.run(&command);
        let said = poll(BOUND, || (times() > before).then_some(()));
        assert!(said.is_some(), "{command}\n{}", bed.daemon.log());
        bed.flows_as("192.0.2.2");
    }
    assert_eq!(bed.device.everything_else().diff(&before), None);
    if damage.iter().any(|command| command.contains("-t nat")) {
        // Between this and the next look nobody translates.
        assert_eq!(bed.stop_watching().leaks, [""; 0]);
    } else {
        bed.end();
    }
}

#[test]
fn the_rule() {
    is_put_back("", &["ip rule del pref PREF", "ip rule del from 172.17.0.0/16"]);
}

#[test]
fn the_route_to_guests() {
    is_put_back("", &["ip route del 172.17.3.3 table 97"]);
}

#[test]
fn the_address() {
    is_put_back("", &["ip addr del 172.17.3.2/16 dev vm_wlan"]);
}

#[test]
fn the_link_set_down() {
    is_put_back("", &["ip link set vm_wlan down"]);
}

/// Nothing announces it, and the next comparison is a minute away: iptables takes a lock.
#[test]
fn the_chain_and_the_jump() {
    let input = if Variant::usual().has_vendor_input() { "oem_in" } else { "INPUT" };
    is_put_back(
        "",
        &[
            "iptables-legacy -w -F oem_guestnet_fwd",
            "iptables-legacy -w -F oem_fwd",
            &format!("iptables-legacy -w -D {input} -j oem_guestnet_in"),
        ],
    );
    is_put_back("", &["iptables-legacy -w -t nat -D POSTROUTING -j oem_guestnet_post"]);
}

#[test]
fn what_others_have_is_theirs() {
    let bed = Bed::on_netd(NetdDevice::new()).args(CHECKS).attached("demo").build();
    bed.flows_as("192.0.2.2");
    // Of others: a rule with our number, a route in table 97, a rule in oem_fwd, an address.
    for command in [
        "ip rule add pref 21500 from 10.1.2.3 lookup 7",
        "ip route add 10.77.0.0/16 dev lo table 97",
        "iptables-legacy -w -A oem_fwd -s 10.1.2.3 -j DROP",
        "ip addr add 10.66.0.1/24 dev wlan0",
    ] {
        bed.device.run(command);
    }
    let before = bed.device.everything_else();
    bed.device.run("iptables-legacy -w -F oem_guestnet_fwd");
    bed.device.run("ip rule del from 172.17.0.0/16");
    bed.flows_as("192.0.2.2");
    assert_eq!(bed.device.everything_else().diff(&before), None);
    let rules = bed.device.run("ip rule show");
    assert!(rules.contains("from 172.17.0.0/16"), "{rules}");
    assert!(bed.device.routes(4, "97").iter().any(|r| r.starts_with("10.77")));
    bed.end();
}

#[test]
fn several_at_once() {
    let bed = Bed::on_netd(NetdDevice::new()).attached("demo").build();
    bed.flows_as("192.0.2.2");
    for round in 0..10 {
        bed.device.run("ip rule del pref 21500");
        bed.device.run("ip addr del 172.17.3.2/16 dev vm_wlan");
        let there = || !bed.device.addresses(4, "vm_wlan").is_empty();
        assert!(poll(BOUND, || there().then_some(())).is_some(), "round {round}");
        bed.flows_as("192.0.2.2");
    }
    bed.end();
}

#[test]
fn somebodys_rule_for_table_main_makes_no_other_device_of_it() {
    let bed = Bed::on_netd(NetdDevice::new()).attached("demo").build();
    bed.flows_as("192.0.2.2");
    bed.device.run("ip rule add pref 9999 lookup main");
    bed.flows_as("192.0.2.2");
    assert_eq!(bed.service.info().expect("info").routing, "netd");
    bed.end();
}
