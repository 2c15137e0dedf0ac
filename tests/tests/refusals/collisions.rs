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
use guestnet_tests::bed::Bed;
use guestnet_tests::client::{by_netns, by_pid, by_pidfd, config};
use guestnet_tests::{Device, Guest, InNetns, Internet, Probe};

#[test]
fn a_name_that_is_attached() {
    let bed = Bed::with_neighbour();
    let before = bed.before();
    let refusal: (i32, &[&str]) = (
        codes::ERROR_NAME_IN_USE,
        &["a guest named neighbour is attached", "detach it first", "another name"],
    );
    let config = GuestConfig { addresses: vec!["172.17.9.9".into()], ..config("neighbour") };
    let again = by_pidfd(bed.guest.pidfd());
    bed.all_refuse(&before, "an attached name", &config, &bed.target(), refusal);
    bed.all_refuse(&before, "an attached name and a pidfd", &config, &again, refusal);
}

#[test]
fn an_interface_that_the_guest_has() {
    let bed = Bed::with_neighbour();
    bed.guest.run("ip link add wlan0 type bridge");
    let before = bed.before();
    let refusal: (i32, &[&str]) = (
        codes::ERROR_GUEST_INTERFACE_EXISTS,
        &["the guest has an interface wlan0 already", "another interface name"],
    );
    let netns = by_netns(bed.guest.open_netns());
    bed.all_refuse(&before, "wlan0 in the guest", &config("b"), &bed.target(), refusal);
    bed.all_refuse(&before, "wlan0 in its netns", &config("b"), &netns, refusal);
    drop(netns);
    // Another name has room beside it.
    let beside = GuestConfig { interfaceName: "wlan1".into(), ..config("b") };
    bed.service.attach(&beside, &bed.target(), None).expect("attach as wlan1");
    assert!(bed.guest.ping(Internet::ADDRESS));
}

#[test]
fn a_guest_that_is_attached_is_told_under_which_name() {
    let bed = Bed::with_neighbour();
    bed.attach("first", &bed.guest);
    let before = bed.before();
    let told: &[&str] = &["attached already, as first", "guestnetctl detach first"];
    let refusal = (codes::ERROR_GUEST_INTERFACE_EXISTS, told);
    bed.all_refuse(&before, "the same again", &config("second"), &bed.target(), refusal);
    let beside = GuestConfig { interfaceName: "wlan1".into(), ..config("second") };
    let refusal = (codes::ERROR_GUEST_ROUTE_EXISTS, told);
    bed.all_refuse(&before, "by another interface", &beside, &bed.target(), refusal);
}

#[test]
fn a_default_route_that_the_guest_has() {
    let bed = Bed::with_neighbour();
    for command in [
        "ip link add other type bridge",
        "ip addr add 198.51.100.2/24 dev other",
        "ip link set other up",
        "ip route add default via 198.51.100.1",
    ] {
        bed.guest.run(command);
    }
    let before = bed.before();
    let refusal: (i32, &[&str]) = (
        codes::ERROR_GUEST_ROUTE_EXISTS,
        &["the guest has a default route", "via 198.51.100.1 dev other"],
    );
    bed.all_refuse(&before, "a default route", &config("b"), &bed.target(), refusal);
    // One of another metric is in nobody's way.
    bed.guest.run("ip route del default");
    bed.guest.run("ip route add default via 198.51.100.1 metric 600");
    bed.service.attach(&config("b"), &bed.target(), None).expect("attach beside it");
    assert!(bed.guest.ping(Internet::ADDRESS));
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
    let bed = Bed::with_neighbour();
    let before = bed.before();
    let taken = GuestConfig { addresses: vec!["172.17.3.3".into()], ..config("b") };
    let refusal: (i32, &[&str]) =
        (codes::ERROR_ADDRESS_IN_USE, &["172.17.3.3 is the address of guest neighbour"]);
    bed.all_refuse(&before, "a taken address", &taken, &bed.target(), refusal);
}

#[test]
fn an_interface_of_the_device_with_our_name() {
    for kind in ["veth peer name other", "bridge"] {
        let bed = Bed::with_neighbour();
        bed.device.run(&format!("ip link add vm_wlan1 type {kind}"));
        bed.device.run("ip addr add 203.0.113.9/24 dev vm_wlan1");
        let before = bed.before();
        let refusal: (i32, &[&str]) = (
            codes::ERROR_HOST_INTERFACE_EXISTS,
            &["interface vm_wlan1", "belongs to no attached guest", "rename or delete"],
        );
        let what = format!("a foreign {kind}");
        bed.all_refuse(&before, &what, &config("b"), &bed.target(), refusal);
        // The remedy is one.
        bed.device.run("ip link del vm_wlan1");
        bed.service.attach(&config("b"), &bed.target(), None).expect("attach without it");
        assert!(bed.guest.ping(Internet::ADDRESS));
        bed.assert_neighbour_talks(&what);
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
    let bed = Bed::with_neighbour();
    let small = |name| GuestConfig { gateway: "10.9.8.1".into(), prefixLength: 30, ..config(name) };
    let first = Guest::new();
    bed.service.attach(&small("first"), &by_pid(first.pid()), None).expect("the first");
    let before = bed.before();
    let refusal: (i32, &[&str]) =
        (codes::ERROR_NO_FREE_SLOT, &["no free address in the subnet", "detach a guest first"]);
    bed.all_refuse(&before, "a full /30", &small("second"), &bed.target(), refusal);
    bed.service.detach("first").expect("detach");
    bed.service.attach(&small("second"), &bed.target(), None).expect("there is room now");
}

#[test]
fn a_guest_that_is_not_attached() {
    let bed = Bed::with_neighbour();
    let before = bed.before();
    let refusal: (i32, &[&str]) =
        (codes::ERROR_NO_SUCH_GUEST, &["no guest named nobody is attached"]);
    bed.refused(&before, "detach()", refusal, |s| s.detach("nobody"));
    bed.refused(&before, "status()", refusal, |s| s.status(Some("nobody")));
    assert!(bed.service.get("nobody").expect("get").is_none());
    bed.assert_unchanged(&before, "get()");
    // Of one that was attached, too; and a name differs by case.
    bed.service.attach(&config("nobody"), &bed.target(), None).expect("attach");
    bed.service.detach("nobody").expect("detach");
    let before = bed.before();
    bed.refused(&before, "detach() again", refusal, |s| s.detach("nobody"));
    let refusal: (i32, &[&str]) = (codes::ERROR_NO_SUCH_GUEST, &["Neighbour"]);
    bed.refused(&before, "detach() in capitals", refusal, |s| s.detach("Neighbour"));
}
