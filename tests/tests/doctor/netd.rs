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

//! A device that netd shapes, broken by a script: doctor names the cause.

use android_system_guestnet::aidl::android::system::guestnet::Cause::Cause;
use guestnet_tests::bed::eventually;
use guestnet_tests::netd::{table, Variant};
use guestnet_tests::{InNetns, NetdDevice, Probe};

use crate::beyond::Mood;
use crate::broken::{hook, nowhere, while_taken};
use crate::Ward;

#[test]
fn every_cause_is_named_where_netd_is() {
    crate::cases!(
        no_carrier,
        a_rule_is_taken_away_again_and_again,
        something_comes_before_the_chain_for_vendors,
        a_rule_comes_first,
        a_rule_forbids,
        a_local_network_takes_all,
        answers_go_elsewhere,
        what_guests_send_is_dropped,
        a_captive_portal,
        a_silent_resolver,
        large_packets_vanish,
        upstream_is_down,
        the_guest_lost_its_route,
    );
}

fn ward() -> Ward<NetdDevice> {
    Ward::on_netd(NetdDevice::new(), "")
}

fn no_carrier() {
    let ward = ward();
    ward.bed.device.wifi_lost();
    let ends = [Cause::NO_CARRIER, Cause::UPLINK_NO_ADDRESS];
    eventually("it is noticed", || ends.contains(&ward.diagnose().cause));
}

/// What others keep taking is put back less and less often.
fn a_rule_is_taken_away_again_and_again() {
    let ward = ward();
    let take = |device: &NetdDevice| {
        let rules = device.run("ip rule");
        let ours = rules.lines().filter(|rule| rule.contains("from 172.17.0.0/16"));
        for rule in ours.filter_map(|rule| rule.split_once(':')) {
            let _ = device.try_run(&format!("ip rule del pref {}", rule.0));
        }
    };
    while_taken(&ward.bed.device, &take, || {
        eventually("it is missed", || ward.diagnose().cause == Cause::RULE_MISSING);
    });
    eventually("it is put back", || ward.diagnose().cause == Cause::HEALTHY);
}

/// oem_fwd is not what a packet meets first any more: until its next check guestnetd's jump is too late.
fn something_comes_before_the_chain_for_vendors() {
    let ward = Ward::on_netd(NetdDevice::new(), "--check-every 3600");
    // An event of the attach may still be on its way, and has all compared.
    eventually("it is named", || {
        ward.bed.device.run("iptables-legacy -w -I FORWARD 1 -i vm_wlan+ -j DROP");
        let found = ward.diagnose();
        found.cause == Cause::FILTER_CHANGED && found.text.contains("FORWARD")
    });
}

fn a_rule_comes_first() {
    let ward = ward();
    ward.bed.device.run("ip rule add pref 12000 iif vm_wlan unreachable");
    ward.is(Cause::RULE_SHADOWED, "");
}

fn a_rule_forbids() {
    let ward = ward();
    ward.bed.device.run("ip rule add pref 12000 iif vm_wlan prohibit");
    ward.is(Cause::RULE_SHADOWED, "");
}

fn a_local_network_takes_all() {
    let ward = Ward::on_netd(NetdDevice::of(Variant::Android16), "");
    ward.bed.device.add_local_network("thread0", "172.31.0.2/24");
    let table = table(ward.bed.device.ifindex("thread0"));
    let route = format!("default via 172.31.0.1 dev thread0 table {table}");
    ward.bed.device.run(&format!("ip route add {route}"));
    ward.is(Cause::RULE_SHADOWED, "thread0");
}

fn answers_go_elsewhere() {
    let ward = ward();
    nowhere(&ward.bed.device, "usb0");
    ward.bed.device.run("ip route prepend 172.17.3.3/32 dev usb0 table 97");
    ward.is(Cause::ANSWERS_ELSEWHERE, "usb0");
}

fn what_guests_send_is_dropped() {
    let ward = ward();
    ward.bed.device.run("iptables-legacy -w -t mangle -A FORWARD -i vm_wlan+ -j DROP");
    ward.is(Cause::FORWARD_DROPPED, "mangle");
}

fn a_captive_portal() {
    let ward = ward();
    ward.beyond.is_now(Mood::Portal);
    ward.is(Cause::CAPTIVE_PORTAL, "http://192.0.2.1/sign-in");
}

fn a_silent_resolver() {
    let ward = ward();
    ward.beyond.is_now(Mood::Silent);
    ward.is(Cause::DNS_SILENT, "");
}

fn large_packets_vanish() {
    let ward = ward();
    hook(&ward.bed.device.internet, "filter", "prerouting", 0, "ip length > 1430 drop");
    ward.is(Cause::MTU_BLACKHOLE, "1420");
}

fn upstream_is_down() {
    let ward = ward();
    hook(&ward.bed.device.internet, "filter", "prerouting", 0, "ip daddr 203.0.113.0/24 drop");
    ward.is(Cause::UPSTREAM_DOWN, "neither");
}

fn the_guest_lost_its_route() {
    let ward = ward();
    ward.guest.run("ip route del default");
    ward.is(Cause::GUEST_ROUTE_LOST, "");
    assert!(ward.guest.link("wlan0").is_some());
}
