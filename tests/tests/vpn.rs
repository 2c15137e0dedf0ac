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

//! On a device that routes by table main: guests that leave by an interface of their own.

use android_system_guestnet::aidl::android::system::guestnet::Cause::Cause;
use android_system_guestnet::aidl::android::system::guestnet::GuestConfig::GuestConfig;
use android_system_guestnet::aidl::android::system::guestnet::GuestEvent::GuestEvent;
use android_system_guestnet::aidl::android::system::guestnet::GuestState::GuestState;
use android_system_guestnet::aidl::android::system::guestnet::Layer::Layer;
use android_system_guestnet::aidl::android::system::guestnet::LayerState::LayerState;
use android_system_guestnet::aidl::android::system::guestnet::LayerStatus::LayerStatus;
use android_system_guestnet::aidl::android::system::guestnet::Verdict::Verdict;
use android_system_guestnet::aidl::android::system::guestnet::VpnPolicy::VpnPolicy;
use guestnet_tests::bed::{eventually, second_way, Bed, Listener, Stream, GATEWAY};
use guestnet_tests::client::{by_pid, config};
use guestnet_tests::resolver::{resolve, Resolver, Says};
use guestnet_tests::{Device, Guest, InNetns, Internet, Probe};

guestnet_tests::with_both_backends!(
    a_tun_is_shared_and_comes_back,
    a_guest_is_stopped_under_lockdown,
    a_vpn_that_guests_may_not_leave_by_is_named,
    who_leaves_by_a_tun_asks_the_resolver_behind_it_and_never_the_uplinks,
    who_leaves_by_a_tun_waits_for_that_and_not_for_the_uplink,
);

/// The server behind the VPN, and what it sees of the device.
const BEYOND: &str = "198.51.100.1:80";
const IN_VPN: &str = "198.51.100.2";

fn by_tun(name: &str) -> GuestConfig {
    GuestConfig { vpnPolicy: VpnPolicy::NAMED_TUN, uplink: Some("tun0".to_owned()), ..config(name) }
}

fn a_tun_is_shared_and_comes_back(firewall: &str) {
    let device = Device::new();
    let beyond = second_way(&device, "tun0");
    let bed = Bed::on(device).args(&format!("--firewall {firewall}")).build();
    let before = bed.device.run("ip rule show");
    let (a, b, other) = (Guest::new(), Guest::new(), Guest::new());
    bed.attach_as(&by_tun("a"), &by_pid(a.pid()));
    bed.attach_as(&by_tun("b"), &by_pid(b.pid()));
    bed.attach("other", &other);
    let goes = |guest: &Guest| guest.tcp(BEYOND, "x").is_ok_and(|l| l == format!("{IN_VPN} x"));
    assert!(goes(&a) && goes(&b), "{}", bed.daemon.log());
    assert!(a.tcp(Internet::TCP, "x").is_err(), "by no other way");
    assert_eq!(other.tcp(Internet::TCP, "y").expect("TCP"), format!("{} y", Device::ADDRESS));
    bed.detach("a");
    assert!(goes(&b), "its route is a's no more, but still b's");
    bed.device.run("ip link set tun0 down");
    bed.device.run("ip link set tun0 up");
    eventually("b goes by the tun again", || goes(&b));
    bed.detach("b");
    bed.detach("other");
    assert_eq!(bed.device.run("ip rule show"), before);
    let left = bed.device.run("ip route show table all");
    assert!(!left.contains("proto 103"), "{left}");
    drop(beyond);
}

fn who_leaves_by_a_tun_asks_the_resolver_behind_it_and_never_the_uplinks(firewall: &str) {
    const UPLINKS: &str = "192.0.2.53";
    const TUNS: &str = "198.51.100.53";
    let device = Device::new();
    let beyond = second_way(&device, "tun0");
    let bed = Bed::on(device).args(&format!("--firewall {firewall}")).build();
    let uplinks = bed.device.internet.resolver(UPLINKS, Says::All);
    let name = |interface: &str, server: &str| {
        bed.service.setDns(interface, &[server.to_owned()]).expect("setDns");
    };
    name("wlan0", UPLINKS);
    // What is asked of either address behind the tun is counted there.
    let [misled, tuns] = [UPLINKS, TUNS].map(|at| beyond.resolver(at, Says::All));
    let guest = Guest::new();
    bed.attach_as(&by_tun("vpn"), &by_pid(guest.pid()));
    let dns = || {
        let layers = bed.service.status(Some("vpn")).expect("status").guests.remove(0).layers;
        layers.into_iter().find(|layer| layer.layer == Layer::DNS).expect("the layer")
    };
    let unknown = dns();
    assert_eq!(unknown.cause, Cause::DNS_NONE, "{unknown:?}");
    let step = unknown.nextStep.unwrap_or_default();
    assert!(step.starts_with("guestnetctl dns tun0 "), "{step}");
    resolve(&guest, GATEWAY).expect_err("nobody to ask");
    name("tun0", TUNS);
    assert_eq!(resolve(&guest, GATEWAY).expect("an answer"), Resolver::ANSWER);
    let known = dns();
    assert_eq!(known.state, LayerState::OK, "{known:?}");
    assert!(known.text.contains(&format!("{TUNS}, which answers (named for tun0)")), "{known:?}");
    assert!(tuns.asked() > 0);
    assert_eq!((uplinks.asked(), misled.asked()), (0, 0));
    // Beside a guest that asks the uplink's.
    let other = Guest::new();
    bed.attach("other", &other);
    assert_eq!(resolve(&other, GATEWAY).expect("an answer"), Resolver::ANSWER);
    assert!(uplinks.asked() > 0);
    tuns.says(Says::Nothing);
    resolve(&guest, GATEWAY).expect_err("the uplink's does not answer in its place");
    assert_eq!(resolve(&other, GATEWAY).expect("an answer"), Resolver::ANSWER);
    assert_eq!(misled.asked(), 0);
}

/// What is said of it by attach, list, status, check and listeners is what its packets meet.
fn who_leaves_by_a_tun_waits_for_that_and_not_for_the_uplink(firewall: &str) {
    const TUNS: &str = "198.51.100.53";
    let device = Device::new();
    let beyond = second_way(&device, "tun0");
    let _tuns = beyond.resolver(TUNS, Says::All);
    device.run("ip link set wlan0 down");
    let bed = Bed::on(device).args(&format!("--firewall {firewall} --uplink wlan0")).build();
    bed.service.setDns("tun0", &[TUNS.to_owned()]).expect("setDns");
    let (guest, told) = (Guest::new(), Listener::on(&**bed.service));
    let target = by_pid(guest.pid());
    let layer_to_be = |config: &GuestConfig, of: Layer| {
        let layers = bed.service.check(config, &target).expect("check");
        layers.into_iter().find(|layer| layer.layer == of).expect("the layer")
    };
    let all_well = |layers: &[LayerStatus]| {
        let bad = layers.iter().find(|layer| layer.state != LayerState::OK);
        assert!(bad.is_none(), "{bad:?}");
    };
    let predicted = bed.service.check(&by_tun("vpn"), &target).expect("check");
    // Nobody has asked its resolver yet.
    let but_names: Vec<_> = predicted.into_iter().filter(|l| l.layer != Layer::DNS).collect();
    all_well(&but_names);
    assert_eq!(layer_to_be(&config("plain"), Layer::UPLINK).state, LayerState::WAITING);

    let attached = bed.service.attach(&by_tun("vpn"), &target, None).expect("attach");
    assert_eq!(attached.state, GuestState::ATTACHED);
    assert!(guest.tcp(BEYOND, "x").is_ok(), "{}", bed.daemon.log());
    assert_eq!(resolve(&guest, GATEWAY).expect("an answer"), Resolver::ANSWER);
    let status = || bed.service.status(Some("vpn")).expect("status").guests.remove(0);
    all_well(&status().layers);
    assert_eq!(status().verdict, Verdict::INTERNET);
    let state = || bed.service.list().expect("list")[0].state;
    assert_eq!(state(), GuestState::ATTACHED);
    assert_eq!(told.wait_guest().0, GuestEvent::ATTACHED);

    // The uplink is none of its business; the tun is.
    bed.device.run("ip link set wlan0 up");
    eventually("it is there", || bed.service.status(None).expect("status").uplink.up);
    bed.device.run("ip link set tun0 down");
    let event = told.wait_guest();
    assert_eq!((event.0, event.1.as_str()), (GuestEvent::STATE, "vpn"));
    assert_eq!(state(), GuestState::WAITING_FOR_UPLINK);
    assert!(guest.tcp(BEYOND, "x").is_err());
    assert_eq!(
        (status().verdict, status().reason.map(|l| l.cause)),
        (Verdict::WAITING, Some(Cause::TUN_DOWN))
    );
    let next = Guest::new();
    let to_be = bed.service.check(&by_tun("next"), &by_pid(next.pid())).expect("check");
    let uplink = to_be.iter().find(|layer| layer.layer == Layer::UPLINK).expect("the layer");
    assert_eq!(uplink.cause, Cause::TUN_DOWN);
    bed.device.run("ip link set tun0 up");
    assert_eq!(told.wait_guest().0, GuestEvent::STATE);
    assert_eq!(state(), GuestState::ATTACHED);
    eventually("it goes again", || guest.tcp(BEYOND, "x").is_ok());
}

/// netd's rule, on a device that routes by table main: whoever writes it there means the same.
fn a_guest_is_stopped_under_lockdown(firewall: &str) {
    let bed = Bed::new(firewall);
    let before = bed.device.run("ip rule show");
    let (guest, other) = (Guest::new(), Guest::new());
    let stopped = GuestConfig { vpnPolicy: VpnPolicy::BLOCK_UNDER_LOCKDOWN, ..config("demo") };
    bed.attach_as(&stopped, &by_pid(guest.pid()));
    bed.attach("other", &other);
    let stream = Stream::open(&guest);
    let goes = |guest: &Guest| guest.tcp(Internet::TCP, "x").is_ok();
    let tracked = || {
        let all =
            bed.device.enter(|| std::fs::read_to_string("/proc/thread-self/net/nf_conntrack"));
        all.unwrap_or_else(|_| bed.device.run("conntrack -L")).contains("src=172.17.3.3 ")
    };
    let somebodys = "rule add pref 14000 iif lo uidrange 0-99999 prohibit";
    bed.device.run(&format!("ip {somebodys}"));
    assert!(goes(&guest), "not every prohibition is a lockdown");
    stream.assert_flows();
    assert!(tracked(), "the control");
    let lockdown = "pref 14001 fwmark 0x0/0x20000 iif lo uidrange 0-99999 prohibit";
    bed.device.run(&format!("ip rule add {lockdown}"));
    eventually("it is stopped", || !goes(&guest));
    assert!(goes(&other), "the other one is not");
    eventually("no answer comes in any more", || !tracked());
    let layer = |name: &str| {
        let layers = bed.service.status(Some(name)).expect("status").guests.remove(0).layers;
        layers.into_iter().find(|layer| layer.layer == Layer::RULE).expect("the layer")
    };
    assert_eq!(layer("demo").state, LayerState::WAITING, "{:?}", layer("demo"));
    assert_eq!(layer("demo").cause, Cause::LOCKDOWN, "{:?}", layer("demo"));
    assert_eq!(layer("other").state, LayerState::OK, "{}", layer("other").text);
    bed.device.run(&format!("ip rule del {lockdown}"));
    eventually("it goes on", || goes(&guest));
    bed.device.run(&format!("ip {}", somebodys.replace("add", "del")));
    // Ours, which leads to guests past others' rules, goes with the last of these.
    eventually("no rule is left", || bed.device.run("ip rule show") == before);
}

/// How VPNs take the traffic and leave the default route, with which they say so.
fn a_vpn_that_guests_may_not_leave_by_is_named(firewall: &str) {
    let device = Device::new();
    let beyond = second_way(&device, "tun0");
    let bed = Bed::on(device).args(&format!("--firewall {firewall}")).build();
    let (guest, in_vpn) = (Guest::new(), Guest::new());
    bed.attach("demo", &guest);
    bed.attach_as(&by_tun("vpn"), &by_pid(in_vpn.pid()));
    let route = |name: &str| {
        let layers = bed.service.status(Some(name)).expect("status").guests.remove(0).layers;
        layers.into_iter().find(|layer| layer.layer == Layer::ROUTE).expect("the layer")
    };
    #[track_caller]
    fn is_ok(layer: LayerStatus) {
        assert_eq!(layer.state, LayerState::OK, "{layer:?}");
    }
    // A route to nowhere, as some have for addresses that nobody has, is no VPN.
    for quiet in ["true", "ip route add blackhole 203.0.113.0/24", "ip route del 203.0.113.0/24"] {
        bed.device.run(quiet);
        is_ok(route("demo"));
    }
    let halves = ["route add 0.0.0.0/1 dev tun0", "route add 128.0.0.0/1 dev tun0"];
    let table = ["route add default dev tun0 table 51820", "rule add pref 5000 table 51820"];
    for vpn in [halves, table] {
        vpn.iter().for_each(|add| drop(bed.device.run(&format!("ip {add}"))));
        assert!(guest.tcp(BEYOND, "x").is_err(), "the filter forbids it");
        let layer = route("demo");
        assert_eq!((layer.state, layer.cause), (LayerState::BAD, Cause::VPN_CAPTURES), "{layer:?}");
        for word in ["via tun0 (table ", "via wlan0 only"] {
            assert!(layer.text.contains(word), "{word} is not in: {layer:?}");
        }
        for word in ["--vpn tun:tun0", "--uplink tun0"] {
            let step = layer.nextStep.as_deref().unwrap_or_default();
            assert!(step.contains(word), "{word} is not in: {layer:?}");
        }
        assert_eq!(bed.service.status(None).unwrap().uplink.interfaceName, "wlan0");
        vpn.iter()
            .for_each(|add| drop(bed.device.run(&format!("ip {}", add.replace("add", "del")))));
        is_ok(route("demo"));
        is_ok(route("vpn"));
    }
    // A rule in front of ours takes the answers, too: then no other way out would help.
    bed.device.run("ip route add default dev tun0 table 51820");
    bed.device.run("ip rule add pref 99 table 51820");
    for name in ["demo", "vpn"] {
        let layer = route(name);
        assert_eq!((layer.state, layer.cause), (LayerState::BAD, Cause::ANSWERS_ELSEWHERE));
        assert!(layer.text.contains("tun0 (table 51820, rule 99)"), "{layer:?}");
    }
    bed.device.run("ip rule del pref 99 table 51820");
    is_ok(route("demo"));
    is_ok(route("vpn"));
    drop(beyond);
}
