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

//! Guests under a VPN, by their policy.

use android_system_guestnet::aidl::android::system::guestnet::Cause::Cause;
use android_system_guestnet::aidl::android::system::guestnet::GuestConfig::GuestConfig;
use android_system_guestnet::aidl::android::system::guestnet::IGuestNet::ERROR_NO_SUCH_TUN;
use android_system_guestnet::aidl::android::system::guestnet::Layer::Layer;
use android_system_guestnet::aidl::android::system::guestnet::LayerState::LayerState;
use android_system_guestnet::aidl::android::system::guestnet::VpnPolicy::VpnPolicy;
use guestnet_tests::bed::{Bed, BOUND, GATEWAY};
use guestnet_tests::client::{by_pid, config};
use guestnet_tests::netd::{ask, NetdDevice, Variant};
use guestnet_tests::{poll, Guest, InNetns, Probe};

const IN_VPN: &str = "10.8.0.2";

fn by_tun(name: &str) -> GuestConfig {
    GuestConfig { vpnPolicy: VpnPolicy::NAMED_TUN, uplink: Some("tun0".to_owned()), ..config(name) }
}

#[test]
fn a_guest_goes_by_the_uplink_as_tethered_ones_do() {
    for variant in Variant::ALL {
        let bed = Bed::on_netd(NetdDevice::of(variant)).attached("demo").build();
        bed.flows_as("192.0.2.2");
        bed.device.vpn_up("tun0");
        bed.flows_as("192.0.2.2");
        bed.device.lockdown(true);
        bed.flows_as("192.0.2.2");
        bed.end();
    }
}

#[test]
fn a_named_tun_is_the_only_way() {
    for variant in Variant::ALL {
        let bed = Bed::on_netd(NetdDevice::of(variant)).build();
        let refused = bed.service.attach(&by_tun("demo"), &by_pid(bed.guest.pid()), None);
        let refused = refused.expect_err("no tun0");
        assert_eq!(refused.service_specific_error(), ERROR_NO_SUCH_TUN, "{refused}");
        bed.device.vpn_up("tun0");
        let other = Guest::new();
        bed.attach_as(&by_tun("demo"), &bed.target());
        bed.attach("other", &other);
        bed.flows_as(IN_VPN);
        assert_eq!(other.udp(NetdDevice::UDP, "y").expect("UDP"), "192.0.2.2 y");
        bed.device.vpn_down("tun0");
        let gone = || bed.seen_as().is_none().then_some(());
        poll(BOUND, gone).expect("no traffic without the VPN");
        let tun = bed.layer(Layer::UPLINK);
        assert_eq!((tun.state, tun.cause), (LayerState::WAITING, Cause::TUN_MISSING), "{tun:?}");
        assert!(tun.text.contains("tun0"), "{tun:?}");
        assert_eq!(other.udp(NetdDevice::UDP, "y").expect("UDP"), "192.0.2.2 y");
        bed.device.vpn_up("tun0");
        bed.flows_as(IN_VPN);
        bed.service.detach("demo").expect("detach");
        assert_eq!(other.udp(NetdDevice::UDP, "y").expect("UDP"), "192.0.2.2 y");
        bed.end();
    }
}

#[test]
fn behind_a_named_tun_the_tuns_resolver_is_asked_and_no_other() {
    // Android has no file of resolvers.
    let bed = Bed::on_netd(NetdDevice::new()).args("--resolv-conf /none").build();
    bed.device.vpn_up("tun0");
    let [_, uplinks] = bed.device.resolvers("wlan0");
    let [_, tuns] = bed.device.resolvers("tun0");
    bed.service.setDns("wlan0", &[uplinks]).expect("setDns");
    let other = Guest::new();
    bed.attach("other", &other);
    bed.attach_as(&by_tun("demo"), &bed.target());
    for tcp in [false, true] {
        ask(&bed.guest, GATEWAY, tcp).expect_err("the uplink's is not the tun's");
    }
    bed.service.setDns("tun0", &[tuns]).expect("setDns");
    for tcp in [false, true] {
        let answer = ask(&bed.guest, GATEWAY, tcp).expect("an answer");
        assert_eq!(answer, format!("tun0 {IN_VPN}"));
        assert_eq!(ask(&other, GATEWAY, tcp).expect("an answer"), "wlan0 192.0.2.2");
    }
    bed.end();
}

pub(crate) fn stopped_under_lockdown() -> GuestConfig {
    GuestConfig { vpnPolicy: VpnPolicy::BLOCK_UNDER_LOCKDOWN, ..config("demo") }
}

#[test]
fn a_guest_can_be_stopped_under_lockdown() {
    let bed = Bed::on_netd(NetdDevice::new()).build();
    bed.attach_as(&stopped_under_lockdown(), &bed.target());
    bed.flows_as("192.0.2.2");
    for _ in 0..2 {
        bed.device.vpn_up("tun0");
        bed.flows_as("192.0.2.2");
        bed.device.lockdown(true);
        let stopped = || bed.seen_as().is_none().then_some(());
        poll(BOUND, stopped).expect("it is stopped");
        let rule = bed.layer(Layer::RULE);
        assert_eq!((rule.state, rule.cause), (LayerState::WAITING, Cause::LOCKDOWN), "{rule:?}");
        bed.device.lockdown(false);
        bed.flows_as("192.0.2.2");
        bed.device.vpn_down("tun0");
    }
    bed.end();
}

/// Whatever iptables does, and whatever becomes of guestnetd.
#[test]
fn a_lockdown_stops_a_guest_while_iptables_hangs() {
    let mut bed = Bed::on_netd(NetdDevice::new()).build();
    bed.attach_as(&stopped_under_lockdown(), &bed.target());
    bed.flows_as("192.0.2.2");
    let before = bed.device.run("ip rule");
    let stopped = |bed: &Bed<NetdDevice>| poll(BOUND, || bed.seen_as().is_none().then_some(()));
    let hangs = bed.device.hold_xtables();
    bed.device.lockdown(true);
    stopped(&bed).expect("it is stopped");
    drop(hangs);
    // Somebody takes the rule away: it is put back.
    for _ in 0..3 {
        bed.device.run("ip rule del iif vm_wlan prohibit");
        stopped(&bed).expect("it is stopped again");
    }
    // The lockdown ends while nobody is there to see it.
    bed.daemon.kill();
    assert_eq!(bed.seen_as(), None);
    bed.device.lockdown(false);
    bed.daemon.start();
    bed.service = bed.daemon.connect();
    bed.flows_as("192.0.2.2");
    assert_eq!(bed.device.run("ip rule"), before);
    bed.device.lockdown(true);
    stopped(&bed).expect("it is stopped");
    bed.service.detach("demo").expect("detach");
    assert!(!bed.device.run("ip rule").contains("proto 103 prohibit"));
    assert!(!bed.device.run("ip rule").contains("vm_wlan"));
    bed.end();
}
