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

//! A missing uplink is no bad input: the guest is attached, its traffic waits, and everybody who
//! asks is told why.

use android_system_guestnet::aidl::android::system::guestnet::Cause::Cause;
use android_system_guestnet::aidl::android::system::guestnet::GuestState::GuestState;
use android_system_guestnet::aidl::android::system::guestnet::Layer::Layer;
use android_system_guestnet::aidl::android::system::guestnet::LayerState::LayerState;
use android_system_guestnet::aidl::android::system::guestnet::LayerStatus::LayerStatus;
use guestnet_tests::bed::BOUND;
use guestnet_tests::client::{by_pid, config};
use guestnet_tests::{poll, Daemon, Device, Guest, InNetns, Internet, Probe};

const BY_ETH0: &str = "start guestnetd with --uplink eth0 or --uplink default";

/// The state and the text of one layer.
#[track_caller]
fn layer(layers: &[LayerStatus], which: Layer) -> &LayerStatus {
    let found = layers.iter().find(|layer| layer.layer == which);
    found.unwrap_or_else(|| panic!("no {which:?} in {layers:?}"))
}

#[track_caller]
fn assert_waits(layers: &[LayerStatus], cause: Cause, step: Option<&str>) {
    let uplink = layer(layers, Layer::UPLINK);
    assert_eq!((uplink.state, uplink.cause), (LayerState::WAITING, cause), "{uplink:?}");
    assert_eq!(uplink.nextStep.as_deref(), step, "{uplink:?}");
}

#[test]
fn a_guest_waits_for_the_uplink_and_follows_it() {
    let device = Device::options().uplink("eth0").build();
    let daemon = Daemon::new(&device).started();
    let (service, guest) = (daemon.connect(), Guest::new());

    let layers = service.check(&config("a"), &by_pid(guest.pid())).expect("check");
    assert_waits(&layers, Cause::UPLINK_MISSING, Some(BY_ETH0));
    let attached = service.attach(&config("a"), &by_pid(guest.pid()), None).expect("attach");
    assert_eq!(attached.state, GuestState::WAITING_FOR_UPLINK);
    assert_eq!(attached.mtu, 1500);
    assert!(guest.ping("172.17.3.2"), "its gateway answers");
    assert!(!guest.ping(Internet::ADDRESS), "not by another way out than the one chosen");
    let status = service.status(None).expect("status");
    assert_eq!((status.uplink.interfaceIndex, status.uplink.up), (0, false));
    assert_eq!(status.uplink.defaultRouteInterface, "eth0");
    assert_waits(&status.device, Cause::UPLINK_MISSING, Some(BY_ETH0));
    let of_guest = &status.guests[0].layers;
    assert_waits(of_guest, Cause::UPLINK_MISSING, Some(BY_ETH0));
    for lower in [Layer::LINK, Layer::ADDRESS, Layer::ROUTE, Layer::FORWARDING, Layer::FIREWALL] {
        assert_eq!(layer(of_guest, lower).state, LayerState::OK, "{of_guest:?}");
    }

    device.remove_uplink("eth0");
    let status = service.status(Some("a")).expect("status");
    assert_waits(&status.device, Cause::UPLINK_MISSING, None);

    for _ in 0..2 {
        device.add_uplink("wlan0");
        let flows = || guest.ping(Internet::ADDRESS).then_some(());
        poll(BOUND, flows).unwrap_or_else(|| panic!("no traffic\n{}", daemon.log()));
        assert_eq!(guest.fetch(Internet::TCP).expect("a page"), Device::ADDRESS);
        let now = service.get("a").expect("get").expect("the guest");
        assert_eq!(now.state, GuestState::ATTACHED);
        let status = service.status(Some("a")).expect("status");
        assert_eq!(layer(&status.device, Layer::UPLINK).state, LayerState::OK);
        assert_eq!(layer(&status.device, Layer::NAT).state, LayerState::OK);

        device.remove_uplink("wlan0");
        let now = service.get("a").expect("get").expect("the guest");
        assert_eq!(now.state, GuestState::WAITING_FOR_UPLINK);
        assert!(!guest.ping(Internet::ADDRESS));
    }
}

#[test]
fn an_uplink_that_is_down_or_has_no_address_is_named() {
    let device = Device::new();
    let daemon = Daemon::new(&device).started();
    let (service, guest) = (daemon.connect(), Guest::new());
    let device_layers = || service.status(None).expect("status").device;
    assert_eq!(layer(&device_layers(), Layer::UPLINK).state, LayerState::OK);
    device.run("ip addr flush dev wlan0 scope global");
    let attached = service.attach(&config("a"), &by_pid(guest.pid()), None).expect("attach");
    assert_eq!(attached.state, GuestState::WAITING_FOR_UPLINK);
    assert_waits(&device_layers(), Cause::UPLINK_NO_ADDRESS, None);
    device.run("ip link set wlan0 down");
    assert_waits(&device_layers(), Cause::NO_CARRIER, None);
    device.run("ip link set wlan0 up");
    device.run(&format!("ip addr add {}/24 dev wlan0", Device::ADDRESS));
    device.run(&format!("ip route replace default via {}", Internet::ADDRESS));
    poll(BOUND, || guest.ping(Internet::ADDRESS).then_some(())).expect("traffic");
    let now = service.get("a").expect("get").expect("the guest");
    assert_eq!(now.state, GuestState::ATTACHED);
}
