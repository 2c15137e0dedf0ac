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

//! The black-box suite for a device: its own guestnetd, behind kernel Binder, and its own wlan0. A
//! guest is a process in a network namespace of its own. `atest guestnetd_test` runs it on Cuttlefish,
//! `tests/virtual-device/run on-device` in the virtual device.
//!
//! It needs no program but what every Android has: cat, ip, ping. It takes away what it attaches.

mod bed;
mod listener;

use std::io::Read;
use std::os::fd::OwnedFd;

use android_system_guestnet::aidl::android::system::guestnet::Cause::Cause;
use android_system_guestnet::aidl::android::system::guestnet::GuestConfig::GuestConfig;
use android_system_guestnet::aidl::android::system::guestnet::GuestEvent::GuestEvent;
use android_system_guestnet::aidl::android::system::guestnet::GuestState::GuestState;
use android_system_guestnet::aidl::android::system::guestnet::IGuestNet::{
    ERROR_BAD_NAME, ERROR_NAME_IN_USE, ERROR_NO_SUCH_GUEST, ERROR_OWN_NETNS, ERROR_SUBNET_OVERLAP,
};
use android_system_guestnet::aidl::android::system::guestnet::LayerState::LayerState;
use binder::ParcelFileDescriptor;
use guestnet_on_device::client::{by_netns, by_pid, by_pidfd};
use guestnet_on_device::{poll, Guest, InNetns, Probe};

use bed::{config, device, ours, uplinks_gateway, Bed, BOUND};

/// By whatever the guest is named, it gets the same, can use it, and loses it.
#[test]
fn a_guest_reaches_the_uplinks_gateway_however_it_is_named() {
    let bed = Bed::new();
    for way in ["netns", "pidfd", "pid"] {
        let guest = Guest::new();
        let target = match way {
            "netns" => by_netns(guest.open_netns()),
            "pidfd" => by_pidfd(guest.pidfd()),
            _ => by_pid(guest.pid()),
        };
        let attached = bed.service.attach(&config("by-it"), &target, None);
        let attached = attached.unwrap_or_else(|e| panic!("by {way}: {e}"));
        assert_eq!(attached.state, GuestState::ATTACHED, "by {way}: is wlan0 up?");
        assert_eq!(guest.links(), ["lo", "wlan0"], "by {way}");
        assert_eq!(guest.addresses(4, "wlan0"), attached.addresses, "by {way}");
        let gateway = uplinks_gateway();
        assert!(guest.ping(&gateway), "by {way}: no answer from {gateway}");
        assert!(guest.ping(&attached.gateway), "by {way}: no answer from the device");

        bed.service.detach(&ours("by-it")).expect("detach");
        assert_eq!(guest.links(), ["lo"], "by {way}");
        assert!(device().link(&attached.hostInterface).is_none(), "by {way}: the link is there");
    }
}

/// Each layer is there, and says so.
#[test]
fn the_status_of_a_guest_is_ok_in_every_layer() {
    let bed = Bed::new();
    let guest = Guest::new();
    bed.attach("healthy", &guest);
    let status = bed.service.status(Some(&ours("healthy"))).expect("status");
    let layers = status.device.iter().chain(status.guests.iter().flat_map(|one| &one.layers));
    let mut count = 0;
    for layer in layers {
        count += 1;
        // Without a resolver guests have no names, which is the device's own affair.
        let fine = layer.state == LayerState::OK || layer.cause == Cause::DNS_NONE;
        assert!(fine, "{:?}: {:?}: {}", layer.layer, layer.state, layer.text);
    }
    assert!(count >= 8, "{count} layers");
}

#[test]
fn two_guests_do_not_reach_each_other() {
    let bed = Bed::new();
    let (one, other) = (Guest::new(), Guest::new());
    let attached = [bed.attach("one", &one), bed.attach("other", &other)];
    let addresses = attached.each_ref().map(guestnet_on_device::client::address);
    assert_ne!(addresses[0], addresses[1]);
    assert!(!one.ping(addresses[1]), "one reaches the other");
    assert!(!other.ping(addresses[0]), "the other reaches one");
    let gateway = uplinks_gateway();
    assert!(one.ping(&gateway) && other.ping(&gateway));
}

#[test]
fn a_guest_that_ends_takes_its_link_along() {
    let bed = Bed::new();
    let mut guest = Guest::new();
    let link = bed.attach("mortal", &guest).hostInterface;
    guest.kill();
    let gone = || bed.service.get(&ours("mortal")).expect("get").is_none().then_some(());
    poll(BOUND, gone).expect("the guest is forgotten");
    assert!(device().link(&link).is_none(), "the link is there");
}

#[test]
fn listeners_are_told() {
    let bed = Bed::new();
    let (listener, told) = listener::attentive();
    bed.service.registerListener(&listener).expect("registerListener");
    let guest = Guest::new();
    bed.attach("heard", &guest);
    bed.service.detach(&ours("heard")).expect("detach");
    for wanted in [GuestEvent::ATTACHED, GuestEvent::DETACHED] {
        let heard = told.recv_timeout(BOUND).expect("an event");
        assert_eq!(heard, (wanted, ours("heard")));
    }
    bed.service.unregisterListener(&listener).expect("unregisterListener");
}

#[test]
fn a_dump_goes_to_the_pipe_that_is_handed_over() {
    let bed = Bed::new();
    let guest = Guest::new();
    bed.attach("dumped", &guest);
    let (reader, writer): (OwnedFd, OwnedFd) = nix::unistd::pipe().expect("pipe");
    bed.service.dumpTo(&ParcelFileDescriptor::new(writer), &[]).expect("dumpTo");
    let mut text = String::new();
    std::fs::File::from(reader).read_to_string(&mut text).expect("the dump");
    assert!(text.contains("guestnetd ") && text.contains("dumped"), "{text}");
}

/// With a code of its own, and nothing changes.
#[test]
fn bad_input_is_refused_and_changes_nothing() {
    let bed = Bed::new();
    let (guest, taken) = (Guest::new(), Guest::new());
    let gateway = bed.attach("taken", &taken).gateway;
    let before = (device().links(), guest.links());
    let on_wlan0 = GuestConfig {
        gateway: device().addresses(4, "wlan0").remove(0).split('/').next().unwrap_or("").into(),
        prefixLength: 24,
        ..config("overlapping")
    };
    let ours = std::process::id() as i32;
    let refusals = [
        ("no name", config(""), by_pid(guest.pid()), ERROR_BAD_NAME),
        ("a taken name", config("taken"), by_pid(guest.pid()), ERROR_NAME_IN_USE),
        ("the device itself", config("device"), by_pid(ours), ERROR_OWN_NETNS),
        ("the uplink's subnet", on_wlan0, by_pid(guest.pid()), ERROR_SUBNET_OVERLAP),
    ];
    for (what, config, target, code) in refusals {
        let status = bed.service.attach(&config, &target, None).expect_err(what);
        assert_eq!(status.service_specific_error(), code, "{what}: {status}");
    }
    let status = bed.service.detach("nobody").expect_err("nobody");
    assert_eq!(status.service_specific_error(), ERROR_NO_SUCH_GUEST, "{status}");
    assert_eq!((device().links(), guest.links()), before);
    assert!(taken.ping(&gateway), "the neighbour has lost its network");
}
