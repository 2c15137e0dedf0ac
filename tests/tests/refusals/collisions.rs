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

//! What collides with something that is there, and what is asked of a guest that is not.

use android_system_guestnet::aidl::android::system::guestnet::GuestConfig::GuestConfig;
use android_system_guestnet::aidl::android::system::guestnet::IGuestNet as codes;
use guestnet_tests::client::{by_netns, by_pid, by_pidfd, config};
use guestnet_tests::{Device, Guest, InNetns, Internet, Probe};

use crate::scene::Scene;

#[test]
fn a_name_that_is_attached() {
    let scene = Scene::new();
    let before = scene.before();
    let refusal: (i32, &[&str]) = (
        codes::ERROR_NAME_IN_USE,
        &["a guest named neighbour is attached", "detach it first", "another name"],
    );
    let config = GuestConfig { address: Some("172.17.9.9".into()), ..config("neighbour") };
    let again = by_pidfd(scene.guest.pidfd());
    scene.all_refuse(&before, "an attached name", &config, &scene.target(), refusal);
    scene.all_refuse(&before, "an attached name and a pidfd", &config, &again, refusal);
}

#[test]
fn an_interface_that_the_guest_has() {
    let scene = Scene::new();
    scene.guest.run("ip link add wlan0 type bridge");
    let before = scene.before();
    let refusal: (i32, &[&str]) = (
        codes::ERROR_GUEST_INTERFACE_EXISTS,
        &["the guest has an interface wlan0 already", "another interface name"],
    );
    let netns = by_netns(scene.guest.open_netns());
    scene.all_refuse(&before, "wlan0 in the guest", &config("b"), &scene.target(), refusal);
    scene.all_refuse(&before, "wlan0 in its netns", &config("b"), &netns, refusal);
    drop(netns);
    // Another name has room beside it.
    let beside = GuestConfig { interfaceName: "wlan1".into(), ..config("b") };
    scene.service.attach(&beside, &scene.target(), None).expect("attach as wlan1");
    assert!(scene.guest.ping(Internet::ADDRESS));
}

#[test]
fn a_default_route_that_the_guest_has() {
    let scene = Scene::new();
    for command in [
        "ip link add other type bridge",
        "ip addr add 198.51.100.2/24 dev other",
        "ip link set other up",
        "ip route add default via 198.51.100.1",
    ] {
        scene.guest.run(command);
    }
    let before = scene.before();
    let refusal: (i32, &[&str]) = (
        codes::ERROR_GUEST_ROUTE_EXISTS,
        &["the guest has a default route", "via 198.51.100.1 dev other"],
    );
    scene.all_refuse(&before, "a default route", &config("b"), &scene.target(), refusal);
    // One of another metric is in nobody's way.
    scene.guest.run("ip route del default");
    scene.guest.run("ip route add default via 198.51.100.1 metric 600");
    scene.service.attach(&config("b"), &scene.target(), None).expect("attach beside it");
    assert!(scene.guest.ping(Internet::ADDRESS));
}

/// Nothing is switched on for a guest that is refused, not even for a moment.
#[test]
fn a_first_guest_that_is_refused() {
    let device = Device::new();
    let daemon = guestnet_tests::Daemon::new(&device).started();
    let (service, guest) = (daemon.connect(), Guest::new());
    guest.run("ip link add wlan0 type bridge");
    let other = GuestConfig { gateway: "10.9.8.1".into(), prefixLength: 24, ..config("a") };
    for config in [config("a"), other] {
        let error = service.attach(&config, &by_pid(guest.pid()), None).expect_err("attach");
        assert_eq!(error.service_specific_error(), codes::ERROR_GUEST_INTERFACE_EXISTS, "{error}");
    }
    assert!(!daemon.log().contains("undone"), "{}", daemon.log());
    assert_eq!(device.sysctl("net/ipv4/ip_forward"), "0");
}

#[test]
fn an_address_that_another_guest_has() {
    let scene = Scene::new();
    let before = scene.before();
    let taken = GuestConfig { address: Some("172.17.3.3".into()), ..config("b") };
    let refusal: (i32, &[&str]) =
        (codes::ERROR_ADDRESS_IN_USE, &["172.17.3.3 is the address of guest neighbour"]);
    scene.all_refuse(&before, "a taken address", &taken, &scene.target(), refusal);
}

#[test]
fn an_interface_of_the_device_with_our_name() {
    for kind in ["veth peer name other", "bridge"] {
        let scene = Scene::new();
        scene.device.run(&format!("ip link add vm_wlan1 type {kind}"));
        scene.device.run("ip addr add 203.0.113.9/24 dev vm_wlan1");
        let before = scene.before();
        let refusal: (i32, &[&str]) = (
            codes::ERROR_HOST_INTERFACE_EXISTS,
            &["interface vm_wlan1", "no attached guest's", "rename or delete"],
        );
        let what = format!("a foreign {kind}");
        scene.all_refuse(&before, &what, &config("b"), &scene.target(), refusal);
        // The remedy is one.
        scene.device.run("ip link del vm_wlan1");
        scene.service.attach(&config("b"), &scene.target(), None).expect("attach without it");
        assert!(scene.guest.ping(Internet::ADDRESS));
        scene.assert_neighbour_talks(&what);
    }
}

#[test]
fn a_foreign_vm_wlan_from_before_the_start_is_left_alone() {
    let device = Device::new();
    device.run("ip link add vm_wlan type bridge");
    device.run("ip addr add 203.0.113.9/24 dev vm_wlan");
    let mut daemon = guestnet_tests::Daemon::new(&device).started();
    let (service, guest) = (daemon.connect(), Guest::new());
    let before = guestnet_tests::Snapshot::of(&device);
    let error = service.attach(&config("a"), &by_pid(guest.pid()), None).expect_err("attach");
    assert_eq!(error.service_specific_error(), codes::ERROR_HOST_INTERFACE_EXISTS, "{error}");
    before.assert_same(&guestnet_tests::Snapshot::of(&device));
    drop(service);
    assert!(daemon.stop().success());
    daemon.start();
    before.assert_same(&guestnet_tests::Snapshot::of(&device));
}

#[test]
fn a_subnet_without_room() {
    let scene = Scene::new();
    let small = |name| GuestConfig { gateway: "10.9.8.1".into(), prefixLength: 30, ..config(name) };
    let first = Guest::new();
    scene.service.attach(&small("first"), &by_pid(first.pid()), None).expect("the first");
    let before = scene.before();
    let refusal: (i32, &[&str]) =
        (codes::ERROR_NO_FREE_SLOT, &["no free address in the subnet", "detach a guest first"]);
    scene.all_refuse(&before, "a full /30", &small("second"), &scene.target(), refusal);
    scene.service.detach("first").expect("detach");
    scene.service.attach(&small("second"), &scene.target(), None).expect("there is room now");
}

#[test]
fn a_guest_that_is_not_attached() {
    let scene = Scene::new();
    let before = scene.before();
    let refusal: (i32, &[&str]) =
        (codes::ERROR_NO_SUCH_GUEST, &["no guest named nobody is attached"]);
    scene.refused(&before, "detach()", refusal, |s| s.detach("nobody"));
    scene.refused(&before, "status()", refusal, |s| s.status(Some("nobody")));
    assert!(scene.service.get("nobody").expect("get").is_none());
    scene.assert_unchanged(&before, "get()");
    // Of one that was attached, too; and a name differs by case.
    scene.service.attach(&config("nobody"), &scene.target(), None).expect("attach");
    scene.service.detach("nobody").expect("detach");
    let before = scene.before();
    scene.refused(&before, "detach() again", refusal, |s| s.detach("nobody"));
    let refusal: (i32, &[&str]) = (codes::ERROR_NO_SUCH_GUEST, &["Neighbour"]);
    scene.refused(&before, "detach() in capitals", refusal, |s| s.detach("Neighbour"));
}
