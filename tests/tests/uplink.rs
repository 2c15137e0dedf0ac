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

//! The uplink comes, goes, and becomes another: guests wait for it and follow it.

use android_system_guestnet::aidl::android::system::guestnet::Cause::Cause;
use android_system_guestnet::aidl::android::system::guestnet::GuestEvent::GuestEvent;
use android_system_guestnet::aidl::android::system::guestnet::GuestState::GuestState;
use android_system_guestnet::aidl::android::system::guestnet::Layer::Layer;
use android_system_guestnet::aidl::android::system::guestnet::LayerState::LayerState;
use android_system_guestnet::aidl::android::system::guestnet::LayerStatus::LayerStatus;
use guestnet_tests::bed::{eventually, second_way, Bed, Listener, GATEWAY};
use guestnet_tests::{Device, Guest, InNetns, Internet, Probe, Snapshot};

guestnet_tests::with_both_backends!(
    a_guest_waits_for_the_uplink_and_goes_on,
    default_is_where_the_default_route_leaves,
    a_new_address_is_used_at_once,
    an_uplink_without_an_address_has_what_another_interface_lends_it,
    an_address_of_the_links_own_is_no_guests,
    hosts_of_a_large_network_are_asked_for_slowly,
);

/// The uplink's layer, of the device and of each guest.
fn uplink_layers(bed: &Bed) -> Vec<LayerStatus> {
    let status = bed.service.status(None).expect("status");
    let guests = status.guests.into_iter().flat_map(|guest| guest.layers);
    let layers = status.device.into_iter().chain(guests);
    layers.filter(|layer| layer.layer == Layer::UPLINK).collect()
}

#[track_caller]
fn assert_waits(bed: &Bed, cause: Cause) {
    for layer in uplink_layers(bed) {
        assert_eq!((layer.state, layer.cause), (LayerState::WAITING, cause), "{layer:?}");
    }
    let guests = bed.service.list().expect("list");
    assert!(guests.iter().all(|guest| guest.state == GuestState::WAITING_FOR_UPLINK));
}

fn a_guest_waits_for_the_uplink_and_goes_on(firewall: &str) {
    let device = Device::options().no_uplink().build();
    let bed = Bed::on(device).args(&format!("--firewall {firewall}")).build();
    let guest = Guest::new();
    let listener = Listener::on(&**bed.service);
    assert_eq!(bed.attach("demo", &guest).state, GuestState::WAITING_FOR_UPLINK);
    assert_eq!(listener.wait_guest().0, GuestEvent::ATTACHED);
    assert_eq!(guest.link("wlan0").expect("wlan0")["mtu"], 1500);
    assert_waits(&bed, Cause::UPLINK_MISSING);
    assert!(guest.ping(GATEWAY));
    let works = || guest.tcp(Internet::TCP, "on").is_ok_and(|line| line == "192.0.2.2 on");
    assert!(!works());
    let state = |wanted| {
        assert_eq!(listener.wait_guest(), (GuestEvent::STATE, "demo".to_owned(), wanted));
    };
    for round in 0..3 {
        bed.device.add_uplink("wlan0");
        state(GuestState::ATTACHED);
        assert!(works(), "round {round}");
        assert!(uplink_layers(&bed).iter().all(|layer| layer.state == LayerState::OK));
        match round {
            0 => bed.device.run("ip link set wlan0 down"),
            1 => bed.device.run("ip addr flush dev wlan0"),
            _ => String::new(),
        };
        match round {
            0 => assert_waits(&bed, Cause::NO_CARRIER),
            1 => assert_waits(&bed, Cause::UPLINK_NO_ADDRESS),
            _ => {}
        }
        bed.device.remove_uplink("wlan0");
        assert_waits(&bed, Cause::UPLINK_MISSING);
        state(GuestState::WAITING_FOR_UPLINK);
    }
}

fn an_uplink_without_an_address_has_what_another_interface_lends_it(firewall: &str) {
    let device = Device::new();
    for command in [
        "ip addr add 198.51.100.7/32 dev lo",
        "ip addr flush dev wlan0 scope global",
        "ip route replace 192.0.2.1 dev wlan0",
        "ip route replace default via 192.0.2.1 dev wlan0",
    ] {
        device.run(command);
    }
    device.internet.run("ip route add 198.51.100.7 dev device");
    let arguments = format!("--firewall {firewall} --dns {}", Internet::ADDRESS);
    let bed = Bed::on(device).args(&arguments).build();
    let guest = Guest::new();
    assert_eq!(bed.attach("demo", &guest).state, GuestState::ATTACHED);
    assert_eq!(guest.tcp(Internet::TCP, "on").expect("an answer"), "198.51.100.7 on");
    let status = bed.service.status(None).expect("status");
    assert_eq!(status.uplink.address, "198.51.100.7");
    eventually("the resolver is asked by it, too", || {
        let guest = bed.service.status(None).expect("status").guests.remove(0);
        guest.layers.iter().all(|layer| layer.state == LayerState::OK)
    });
    // The kernel takes the guest's gateway then, which nobody beyond can answer.
    bed.device.run("ip addr del 198.51.100.7/32 dev lo");
    eventually("it waits", || {
        uplink_layers(&bed).iter().all(|layer| layer.cause == Cause::UPLINK_NO_ADDRESS)
    });
    assert!(guest.tcp(Internet::TCP, "off").is_err());
}

/// The kernel masquerades with none of a link's own (inet_select_addr()), and with another interface's instead.
fn an_address_of_the_links_own_is_no_guests(firewall: &str) {
    let device = Device::new();
    let default = format!("ip route add default via {} dev wlan0 src 192.0.2.2", Internet::ADDRESS);
    for command in [
        "ip link add docker0 type bridge",
        "ip link set docker0 up",
        "ip addr add 172.30.0.1/16 dev docker0",
        "ip addr del 192.0.2.2/24 dev wlan0",
        "ip addr add 192.0.2.2/24 dev wlan0 scope link",
        &default,
    ] {
        device.run(command);
    }
    let bed = Bed::on(device).args(&format!("--firewall {firewall}")).build();
    let guest = Guest::new();
    assert_eq!(bed.attach("demo", &guest).state, GuestState::WAITING_FOR_UPLINK);
    assert!(bed.device.tcp(Internet::TCP, "x").is_ok(), "the device has internet");
    assert!(guest.tcp(Internet::TCP, "x").is_err());
    let layers = uplink_layers(&bed);
    assert!(!layers.is_empty());
    let mut step = String::new();
    for layer in layers {
        assert_eq!(layer.cause, Cause::UPLINK_NO_ADDRESS, "{layer:?}");
        assert!(layer.text.contains("192.0.2.2 with a scope of its link alone"), "{layer:?}");
        step = layer.nextStep.expect("a step");
    }
    let commands: Vec<_> = step.split("; ").filter(|part| part.starts_with("ip ")).collect();
    assert_eq!(commands.len(), 2, "{step}");
    commands.iter().chain([&&*default]).for_each(|command| drop(bed.device.run(command)));
    let flows = || guest.tcp(Internet::TCP, "x").is_ok_and(|line| line == "192.0.2.2 x");
    eventually("it goes on", flows);
}

fn default_is_where_the_default_route_leaves(firewall: &str) {
    let device = Device::new();
    let beyond = second_way(&device, "eth1");
    let bed = Bed::on(device).args(&format!("--firewall {firewall} --uplink default")).build();
    let guest = Guest::new();
    let listener = Listener::on(&**bed.service);
    let before = Snapshot::of(&bed.device);
    bed.attach("demo", &guest);
    assert_eq!(guest.tcp(Internet::TCP, "one").unwrap(), "192.0.2.2 one");

    bed.device.run("ip route replace default via 198.51.100.1");
    let (previous, current, gap) = listener.wait_uplink();
    assert_eq!(
        (previous.interfaceName.as_str(), previous.address.as_str()),
        ("wlan0", "192.0.2.2")
    );
    assert_eq!(
        (current.interfaceName.as_str(), current.address.as_str()),
        ("eth1", "198.51.100.2")
    );
    assert!(current.up && gap >= 0);
    // The old network is not the uplink any more, and is not reached by its own route either.
    assert_eq!(guest.tcp("198.51.100.1:80", "two").unwrap(), "198.51.100.2 two");
    assert!(guest.tcp(Internet::TCP, "old").is_err());
    let status = bed.service.status(None).unwrap().uplink;
    assert_eq!((status.choice.as_str(), status.interfaceName.as_str()), ("default", "eth1"));
    assert_eq!(status.defaultRouteInterface, "eth1");

    bed.device.run("ip route del default");
    assert_waits(&bed, Cause::NO_DEFAULT_ROUTE);
    assert!(guest.tcp("198.51.100.1:80", "none").is_err());
    bed.device.run(&format!("ip route add default via {}", Internet::ADDRESS));
    eventually("back to the first", || {
        bed.service.status(None).unwrap().uplink.interfaceName == "wlan0"
    });
    assert_eq!(guest.tcp(Internet::TCP, "three").unwrap(), "192.0.2.2 three");
    drop(beyond);
    bed.detach("demo");
    assert!(before.diff(&Snapshot::of(&bed.device)).is_some(), "eth1 went with its internet");
}

fn a_new_address_is_used_at_once(firewall: &str) {
    let bed = Bed::new(firewall);
    let guest = Guest::new();
    let listener = Listener::on(&**bed.service);
    bed.attach("demo", &guest);
    assert_eq!(guest.tcp(Internet::TCP, "old").unwrap(), "192.0.2.2 old");
    bed.device.run("ip addr flush dev wlan0");
    bed.device.run("ip addr add 192.0.2.77/24 dev wlan0");
    bed.device.run(&format!("ip route add default via {}", Internet::ADDRESS));
    while listener.wait_uplink().1.address != "192.0.2.77" {}
    assert_eq!(guest.tcp(Internet::TCP, "new").unwrap(), "192.0.2.77 new");
    assert_eq!(guest.udp(Internet::UDP, "new").unwrap(), "192.0.2.77 new");
    assert_eq!(bed.service.status(None).unwrap().uplink.address, "192.0.2.77");
}

/// For each host that nobody has the device asks for seconds, and the machine's table of neighbours has room
/// for 1024: a guest that wants them all leaves room for those that the others want.
fn hosts_of_a_large_network_are_asked_for_slowly(firewall: &str) {
    let bed = Bed::new(firewall);
    let guest = Guest::new();
    bed.attach("demo", &guest);
    assert_eq!(guest.tcp(Internet::TCP, "small").unwrap(), "192.0.2.2 small");
    let tracked = || {
        let table = || std::fs::read_to_string("/proc/thread-self/net/nf_conntrack");
        let table = bed.device.enter(table).expect("connections");
        table.lines().filter(|line| line.contains("src=172.17.3.3 ")).count()
    };
    let want_all = || {
        guest.enter(|| {
            for host in 0..2000u16 {
                let socket = std::net::UdpSocket::bind("0.0.0.0:0").expect("a socket");
                let [third, last] = (host + 1000).to_be_bytes();
                // No room in a queue is no harm.
                let _ = socket.send_to(b"?", (std::net::Ipv4Addr::new(192, 0, third + 8, last), 9));
            }
        });
    };
    let listener = Listener::on(&**bed.service);
    bed.device.run("ip addr del 192.0.2.2/24 dev wlan0");
    bed.device.run("ip addr add 192.0.2.2/16 dev wlan0");
    bed.device.run(&format!("ip route replace default via {}", Internet::ADDRESS));
    // Until it is known, rules for the network before let the guest out all the same.
    while listener.wait_uplink().1.address != "192.0.2.2" {}
    eventually("it is online again", || guest.tcp(Internet::TCP, "large").is_ok());
    want_all();
    let asked = tracked();
    assert!((100..500).contains(&asked), "{asked} hosts are asked for at once");
    // The server is in that network, too.
    eventually("it may again", || guest.tcp(Internet::TCP, "again").is_ok());
}

#[test]
fn an_uplink_of_another_name() {
    let bed = Bed::on(Device::options().uplink("eth0").build()).args("--uplink eth0").build();
    let guest = Guest::new();
    assert_eq!(bed.attach("demo", &guest).state, GuestState::ATTACHED);
    assert_eq!(guest.tcp(Internet::TCP, "eth0").unwrap(), "192.0.2.2 eth0");

    // And who was not told of it says what to do.
    let bed = Bed::on(Device::options().uplink("eth0").build()).build();
    assert_eq!(bed.attach("demo", &Guest::new()).state, GuestState::WAITING_FOR_UPLINK);
    assert_waits(&bed, Cause::UPLINK_MISSING);
    let step = "start guestnetd with --uplink eth0 or --uplink default";
    assert!(uplink_layers(&bed).iter().all(|layer| layer.nextStep.as_deref() == Some(step)));
}
