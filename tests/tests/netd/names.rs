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

//! A guest asks its gateway for names, and a resolver of the uplink answers.

use std::time::{Duration, Instant};

use android_system_guestnet::aidl::android::system::guestnet::Cause::Cause;
use android_system_guestnet::aidl::android::system::guestnet::DnsMode::DnsMode;
use android_system_guestnet::aidl::android::system::guestnet::GuestConfig::GuestConfig;
use android_system_guestnet::aidl::android::system::guestnet::Layer::Layer;
use android_system_guestnet::aidl::android::system::guestnet::LayerState::LayerState;
use android_system_guestnet::aidl::android::system::guestnet::VpnPolicy::VpnPolicy;
use guestnet_tests::bed::eventually;
use guestnet_tests::bed::{Bed, BOUND, GATEWAY};
use guestnet_tests::client::config;
use guestnet_tests::netd::{ask, Dnsproxyd, Does, NetdDevice, Variant};
use guestnet_tests::resolver::{self, question, resolve, resolve_by_tcp, Resolver, Says};
use guestnet_tests::{poll, Guest, InNetns};

/// Whose answer a guest gets, by either protocol.
fn answers(bed: &Bed<NetdDevice>) -> Option<String> {
    let by = |tcp| ask(&bed.guest, GATEWAY, tcp).ok();
    let udp = by(false)?;
    (by(true)? == udp).then_some(udp)
}

#[track_caller]
fn is_answered_by(bed: &Bed<NetdDevice>, name: &str) {
    let right = || (answers(bed)?.contains(name)).then_some(());
    let found = poll(BOUND, right);
    assert!(found.is_some(), "{name}: {:?}\n{}", answers(bed), bed.daemon.log());
}

#[test]
fn the_resolver_goes_with_the_uplink() {
    let bed = Bed::on_netd(NetdDevice::new())
        .args("--uplink wlan0,rmnet* --resolv-conf /nonexistent")
        .attached("demo")
        .build();
    bed.device.connect("rmnet0", NetdDevice::RMNET0);
    let dns = bed.layer(Layer::DNS);
    assert_eq!((dns.state, dns.cause), (LayerState::BAD, Cause::DNS_NONE), "{dns:?}");
    let [wifi, _] = bed.device.resolvers("wlan0");
    let [mobile, _] = bed.device.resolvers("rmnet0");
    bed.service.setDns("wlan0", std::slice::from_ref(&wifi)).expect("setDns");
    bed.service.setDns("rmnet0", std::slice::from_ref(&mobile)).expect("setDns");
    assert_eq!(bed.layer(Layer::DNS).state, LayerState::OK);
    bed.flows_as("192.0.2.2");
    is_answered_by(&bed, "wlan0");
    bed.device.wifi_lost();
    bed.device.default_to("rmnet0");
    bed.flows_as("203.0.113.2");
    is_answered_by(&bed, "rmnet0");
    bed.device.wifi_back();
    bed.device.default_to("wlan0");
    bed.flows_as("192.0.2.2");
    is_answered_by(&bed, "wlan0");
    bed.service.setDns("wlan0", &[]).expect("setDns");
    assert_eq!(bed.layer(Layer::DNS).state, LayerState::BAD);
    assert_eq!(answers(&bed), None);
    bed.end();
}

/// A resolver that the uplink does not lead to is passed over, whichever was named first.
#[test]
fn a_resolver_behind_another_link_is_passed_over() {
    let bed = Bed::on_netd(NetdDevice::new())
        .args("--uplink wlan0,rmnet* --resolv-conf /nonexistent")
        .attached("demo")
        .build();
    bed.device.keep_resolvers_apart();
    bed.device.connect("rmnet0", NetdDevice::RMNET0);
    let ([wifi, _], [_, mobile]) = (bed.device.resolvers("wlan0"), bed.device.resolvers("rmnet0"));
    assert!(ask(&bed.device, &mobile, false).is_err(), "wlan0 does not lead to it");
    let both = [mobile.clone(), wifi];
    bed.service.setDns("wlan0", &both).expect("setDns");
    is_answered_by(&bed, "wlan0");
    bed.service.setDns("rmnet0", &both).expect("setDns");
    bed.device.wifi_lost();
    bed.device.default_to("rmnet0");
    is_answered_by(&bed, "rmnet0");
    // The forwarder asked; DNAT passes it over, too.
    let dnat = GuestConfig { dns: DnsMode::DNAT, ..config("demo") };
    bed.service.update("demo", &dnat).expect("update");
    is_answered_by(&bed, "rmnet0");
    bed.end();
}

#[test]
fn what_was_named_outlives_guestnetd() {
    let mut bed =
        Bed::on_netd(NetdDevice::new()).args("--resolv-conf /nonexistent").attached("demo").build();
    let [wifi, _] = bed.device.resolvers("wlan0");
    bed.service.setDns("wlan0", &[wifi]).expect("setDns");
    is_answered_by(&bed, "wlan0");
    bed.daemon.kill();
    is_answered_by(&bed, "wlan0");
    bed.daemon.start();
    bed.service = bed.daemon.connect();
    is_answered_by(&bed, "wlan0");
    assert_eq!(bed.layer(Layer::DNS).state, LayerState::OK);
    bed.flows_as("192.0.2.2");
    bed.end();
}

#[test]
fn another_resolver_answers_from_the_next_question_on() {
    let bed =
        Bed::on_netd(NetdDevice::new()).args("--resolv-conf /nonexistent").attached("demo").build();
    bed.flows_as("192.0.2.2");
    let [first, second] = bed.device.resolvers("wlan0");
    bed.service.setDns("wlan0", std::slice::from_ref(&first)).expect("setDns");
    is_answered_by(&bed, "wlan0");
    // The guest's, not guestnetd's own.
    let tracked = |server: &str| {
        let list = bed.device.run("cat /proc/self/net/nf_conntrack");
        let asks =
            |line: &&str| line.contains(&format!("dst={GATEWAY} ")) && line.contains("dport=53");
        list.lines().filter(asks).any(|line| line.contains(&format!("src={server}")))
    };
    assert!(tracked(&first));
    bed.service.setDns("wlan0", std::slice::from_ref(&second)).expect("setDns");
    // From another port; from the same one as soon as the old answers' way is forgotten.
    assert!(answers(&bed).is_some_and(|by| by.contains("wlan0")), "{}", bed.daemon.log());
    assert!(tracked(&second), "{}", bed.daemon.log());
    let forgotten = poll(Duration::from_secs(1), || (!tracked(&first)).then_some(()));
    assert!(forgotten.is_some(), "{}", bed.daemon.log());
    assert!(tracked(&second), "{}", bed.daemon.log());
    // One that is the device's own cannot be reached by guests.
    bed.service.setDns("wlan0", &["192.0.2.2".to_owned()]).expect("setDns");
    assert_eq!(bed.layer(Layer::DNS).state, LayerState::BAD);
    bed.end();
}

/// A device whose netd resolves, and a guestnetd that can ask it.
fn with_netds_resolver(variant: Variant) -> (tempfile::TempDir, Dnsproxyd, Bed<NetdDevice>) {
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join("dnsproxyd");
    let netd = Dnsproxyd::start(&path);
    let args =
        format!("--uplink wlan0,rmnet* --resolv-conf /nonexistent --dnsproxyd {}", path.display());
    let bed = Bed::on_netd(NetdDevice::of(variant)).args(&args).attached("demo").build();
    (folder, netd, bed)
}

/// netd's number of a network.
fn net_id(bed: &Bed<NetdDevice>, name: &str) -> u32 {
    let id = bed.device.net_ids().into_iter().find(|(_, of)| of == name);
    id.expect("a network of that name").0
}

/// The code of an answer, for who waits longer than anybody has to.
fn code(from: &impl InNetns, message: &[u8]) -> Option<u8> {
    resolver::code(from, GATEWAY, message, Duration::from_secs(15))
}

#[test]
fn netd_is_asked_about_the_network_that_guests_leave_by() {
    for variant in &Variant::ALL {
        let (_folder, netd, bed) = with_netds_resolver(*variant);
        assert_eq!(resolve(&bed.guest, GATEWAY).expect("UDP"), Resolver::ANSWER, "{variant:?}");
        assert_eq!(resolve_by_tcp(&bed.guest, GATEWAY).expect("TCP"), Resolver::ANSWER);
        let wifi = net_id(&bed, "wlan0");
        assert_eq!(netd.asked(), [wifi; 2], "{variant:?}");
        let dns = bed.layer(Layer::DNS);
        assert_eq!(dns.state, LayerState::OK, "{dns:?}");
        assert!(dns.text.contains(&format!("netd, about its network {wifi}")), "{dns:?}");
        bed.flows_as("192.0.2.2");
        // Another network is another number, from the next question on.
        bed.device.connect("rmnet0", NetdDevice::RMNET0);
        bed.device.wifi_lost();
        bed.device.default_to("rmnet0");
        bed.flows_as("203.0.113.2");
        assert_eq!(resolve(&bed.guest, GATEWAY).expect("UDP"), Resolver::ANSWER);
        assert_eq!(netd.asked(), [net_id(&bed, "rmnet0")], "{variant:?}");
        bed.end();
    }
}

#[test]
fn whatever_netd_does_a_guest_is_told() {
    let (_folder, netd, bed) = with_netds_resolver(Variant::Android15);
    let refused = || resolve(&bed.guest, GATEWAY).unwrap_err().to_string();
    let servfail = "code Some(2)";
    for does in
        [Does::Fail(nix::libc::ETIMEDOUT), Does::Half, Does::HangUp, Does::Answer(Says::Failed)]
    {
        netd.does(does);
        assert_eq!(refused(), servfail, "{does:?}");
    }
    netd.does(Does::Answer(Says::All));
    assert_eq!(resolve(&bed.guest, GATEWAY).expect("UDP"), Resolver::ANSWER);
    // The largest that guests may ask is a command that netd reads whole.
    let mut largest = question();
    largest[11] = 1;
    let rest = 2048 - largest.len() - 11;
    largest.extend([0, 0, 41, 16, 0, 0, 0, 0, 0, (rest >> 8) as u8, rest as u8]);
    largest.resize(2048, 0);
    assert_eq!(code(&bed.guest, &largest), Some(0));
    netd.asked();
    // One that is silent holds up nobody but who asked.
    let other = Guest::new();
    bed.attach("other", &other);
    netd.does(Does::Nothing);
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| {
            let began = Instant::now();
            (code(&bed.guest, &question()), began.elapsed())
        });
        eventually("it is on its way", || !netd.asked().is_empty());
        netd.does(Does::Answer(Says::All));
        assert_eq!(resolve(&other, GATEWAY).expect("another guest"), Resolver::ANSWER);
        assert_eq!(resolve(&bed.guest, GATEWAY).expect("the same"), Resolver::ANSWER);
        assert!(!waits.is_finished(), "it was answered");
        let (told, after) = waits.join().expect("a thread");
        assert_eq!(told, Some(2));
        assert!((10..12).contains(&after.as_secs()), "{after:?}");
    });
    bed.detach("other");
    // What a caller names counts more.
    let [wifi, _] = bed.device.resolvers("wlan0");
    bed.service.setDns("wlan0", &[wifi]).expect("setDns");
    is_answered_by(&bed, "wlan0");
    bed.service.setDns("wlan0", &[]).expect("setDns");
    // It crashes.
    drop(netd);
    assert_eq!(refused(), servfail);
    bed.flows_as("192.0.2.2");
    bed.end();
}

#[test]
fn a_question_on_its_way_is_asked_about_the_next_network_at_once() {
    let (_folder, netd, bed) = with_netds_resolver(Variant::Android15);
    bed.flows_as("192.0.2.2");
    bed.device.connect("rmnet0", NetdDevice::RMNET0);
    netd.does(Does::Nothing);
    let [wifi, mobile] = ["wlan0", "rmnet0"].map(|name| net_id(&bed, name));
    netd.asked();
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| code(&bed.guest, &question()));
        eventually("it is on its way", || netd.asked() == [wifi]);
        netd.does(Does::Answer(Says::All));
        let began = Instant::now();
        bed.device.wifi_lost();
        bed.device.default_to("rmnet0");
        assert_eq!(waits.join().expect("a thread"), Some(0));
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    });
    assert_eq!(netd.asked(), [mobile]);
    bed.flows_as("203.0.113.2");
    bed.end();
}

#[test]
fn a_guest_by_a_vpn_has_the_vpns_names_and_no_vpn_takes_its_answers() {
    Variant::ALL.into_iter().for_each(by_a_vpn);
}

fn by_a_vpn(variant: Variant) {
    let (_folder, netd, bed) = with_netds_resolver(variant);
    resolve(&bed.guest, GATEWAY).expect("UDP");
    let wifi = net_id(&bed, "wlan0");
    assert_eq!(netd.asked(), [wifi], "{variant:?}");
    bed.device.vpn_up("tun0");
    bed.device.lockdown(true);
    // It is asked for guests by the uplink's network, as their traffic leaves by that.
    eventually("past the VPN", || resolve(&bed.guest, GATEWAY).is_ok());
    let asked = netd.asked();
    assert!(asked.iter().all(|network| *network == wifi), "{variant:?}: {asked:?}, not {wifi}");
    // And so is a server that is named for it: the lockdown is for what apps send.
    let [server, _] = bed.device.resolvers("wlan0");
    bed.service.setDns("wlan0", &[server]).expect("setDns");
    eventually("a server", || answers(&bed).is_some_and(|by| by.contains("wlan0")));
    assert!(netd.asked().is_empty(), "not netd");
    bed.service.setDns("wlan0", &[]).expect("setDns");
    bed.device.lockdown(false);
    let by_vpn = GuestConfig {
        vpnPolicy: VpnPolicy::NAMED_TUN,
        uplink: Some("tun0".to_owned()),
        ..config("demo")
    };
    bed.service.update("demo", &by_vpn).expect("update");
    netd.asked();
    eventually("by the VPN", || resolve(&bed.guest, GATEWAY).is_ok());
    let (asked, vpn) = (netd.asked(), net_id(&bed, "tun0"));
    assert!(!asked.is_empty(), "{variant:?}");
    assert!(asked.iter().all(|network| *network == vpn), "{variant:?}: {asked:?}, not {vpn}");
}
