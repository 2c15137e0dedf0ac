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

//! A network that the device joins has the guests' subnet, or a part of it: the device keeps that
//! network, the guest keeps its internet, and status names what the two have in common.

use android_system_guestnet::aidl::android::system::guestnet::Cause::Cause;
use android_system_guestnet::aidl::android::system::guestnet::GuestStatus::GuestStatus;
use android_system_guestnet::aidl::android::system::guestnet::IGuestNet as codes;
use android_system_guestnet::aidl::android::system::guestnet::Layer::Layer;
use android_system_guestnet::aidl::android::system::guestnet::LayerState::LayerState;
use android_system_guestnet::aidl::android::system::guestnet::Verdict::Verdict;
use guestnet_tests::bed::{eventually, Bed, BOUND, GATEWAY};
use guestnet_tests::client::{by_pid, config};
use guestnet_tests::{Guest, InNetns, Internet, Probe};

guestnet_tests::with_both_backends!(
    a_wifi_with_the_guests_subnet_is_the_devices,
    a_host_end_of_the_older_layout_is_mended,
    a_wifi_whose_router_has_the_gateways_address_is_refused_and_named,
);

/// The router of the other Wi-Fi, a printer on it right among the guests, and the device there.
const ROUTER: &str = "172.17.50.1";
const PRINTER: &str = "172.17.3.77";
const THERE: &str = "172.17.50.57";

fn joins_the_other_wifi(bed: &Bed) {
    let (device, internet) = (&bed.device, &bed.device.internet);
    internet.run(&format!("ip addr add {ROUTER}/16 dev device"));
    internet.run(&format!("ip addr add {PRINTER}/32 dev device"));
    device.run("ip addr flush dev wlan0");
    device.run(&format!("ip addr add {THERE}/16 dev wlan0"));
    device.run(&format!("ip route add default via {ROUTER} dev wlan0"));
}

fn status(bed: &Bed, name: &str) -> GuestStatus {
    bed.service.status(Some(name)).expect("status").guests.remove(0)
}

/// What is said of the guest's addresses.
fn named(bed: &Bed, name: &str) -> (LayerState, Cause, String) {
    let of = status(bed, name);
    // Names are another matter.
    assert!(![Verdict::NO_INTERNET, Verdict::WAITING].contains(&of.verdict), "{of:?}");
    let layer = of.layers.into_iter().find(|layer| layer.layer == Layer::ADDRESS).expect("layer");
    (layer.state, layer.cause, layer.text)
}

fn a_wifi_with_the_guests_subnet_is_the_devices(firewall: &str) {
    let bed = Bed::new(firewall);
    let (a, b) = (Guest::new(), Guest::new());
    bed.attach("a", &a);
    bed.attach("b", &b);
    assert_eq!(named(&bed, "a").1, Cause::HEALTHY);
    joins_the_other_wifi(&bed);
    for address in [ROUTER, PRINTER] {
        assert!(bed.device.ping(address), "{address} is the device's neighbour");
    }
    // A guest that claims the router's address there gets nothing.
    a.run(&format!("ip addr add {ROUTER}/32 dev wlan0"));
    bed.device.run("ip neigh flush all");
    assert!(bed.device.tcp(Internet::TCP, "own").is_ok());
    for (name, guest) in [("a", &a), ("b", &b)] {
        let flows = || guest.tcp(Internet::TCP, "x").is_ok_and(|got| got == format!("{THERE} x"));
        eventually("the guest has internet", flows);
        let (state, cause, text) = named(&bed, name);
        assert_eq!((state, cause), (LayerState::OK, Cause::SUBNET_CONFLICT), "{text}");
        assert!(text.contains("172.17.0.0/16 of wlan0"), "{text}");
    }
    let said = "172.17.0.0/16 of wlan0 is in the guests' subnet now";
    assert!(bed.daemon.wait_log(said, BOUND), "{}", bed.daemon.log());

    // No further guest gets that subnet; what is offered instead can be had.
    let c = Guest::new();
    let refused = bed.service.attach(&config("c"), &by_pid(c.pid()), None).unwrap_err();
    assert_eq!(refused.service_specific_error(), codes::ERROR_SUBNET_OVERLAP);
    let mut other = config("c");
    other.gateway = offered(&refused.to_string());
    bed.attach_as(&other, &by_pid(c.pid()));
    assert_eq!(c.tcp(Internet::TCP, "c").expect("c"), format!("{THERE} c"));
    assert_eq!(named(&bed, "c").1, Cause::HEALTHY);

    bed.device.run("ip addr flush dev wlan0");
    bed.device.run("ip addr add 192.0.2.2/24 dev wlan0");
    bed.device.run("ip route add default via 192.0.2.1 dev wlan0");
    eventually("nothing is in common any more", || named(&bed, "b").1 == Cause::HEALTHY);
}

/// The one collision that no /32 gets around: the router of the Wi-Fi is 172.17.3.2 itself.
fn a_wifi_whose_router_has_the_gateways_address_is_refused_and_named(firewall: &str) {
    let bed = Bed::new(firewall);
    bed.device.internet.run(&format!("ip addr add {GATEWAY}/16 dev device"));
    let joins = |bed: &Bed| {
        bed.device.run("ip addr flush dev wlan0");
        bed.device.run(&format!("ip addr add {THERE}/16 dev wlan0"));
    };
    joins(&bed);
    bed.device.run(&format!("ip route add default via {GATEWAY} dev wlan0"));
    let (a, b) = (Guest::new(), Guest::new());
    let refused = bed.service.attach(&config("a"), &by_pid(a.pid()), None).unwrap_err();
    assert_eq!(refused.service_specific_error(), codes::ERROR_SUBNET_OVERLAP, "{refused}");
    // The device keeps its router, and what is offered instead works.
    assert!(bed.device.ping(GATEWAY) && bed.device.tcp(Internet::TCP, "own").is_ok());
    let mut other = config("a");
    other.gateway = offered(&refused.to_string());
    bed.attach_as(&other, &by_pid(a.pid()));
    assert_eq!(a.tcp(Internet::TCP, "a").expect("a"), format!("{THERE} a"));
    bed.detach("a");

    // The guest comes first: both keep their internet, the device by its router's link address. Only what
    // the device sends to 172.17.3.2 itself stays here, and status says so.
    bed.device.run("ip addr flush dev wlan0");
    bed.device.run("ip addr add 192.0.2.2/24 dev wlan0");
    bed.device.run("ip route add default via 192.0.2.1 dev wlan0");
    bed.attach("b", &b);
    eventually("b has internet", || b.tcp(Internet::TCP, "b").is_ok());
    joins(&bed);
    bed.device.run(&format!("ip route add default via {GATEWAY} dev wlan0"));
    assert!(bed.device.tcp(Internet::TCP, "own").is_ok());
    let flows = || b.tcp(Internet::TCP, "b").is_ok_and(|got| got == format!("{THERE} b"));
    eventually("b has internet there", flows);
    let (state, cause, text) = named(&bed, "b");
    assert_eq!((state, cause), (LayerState::OK, Cause::SUBNET_CONFLICT), "{text}");
    assert!(text.contains("172.17.0.0/16 of wlan0"), "{text}");
    assert!(text.contains("nor the device 172.17.3.2"), "{text}");
    // By ARP it says that it has its router's address, unless it is told not to.
    let step = || {
        let layers = status(&bed, "b").layers;
        let layer = layers.into_iter().find(|layer| layer.layer == Layer::ADDRESS).expect("layer");
        layer.nextStep.expect("a step")
    };
    assert!(text.contains("Asked there by ARP who has 172.17.3.2"), "{text}");
    let (_, command) = step().split_once("until then: ").map(owned).expect("a command");
    bed.device.run(&command);
    assert!(!named(&bed, "b").2.contains("ARP") && !step().contains("until then"), "{command}");
    eventually("b still has internet there", flows);
    bed.detach("b");
    assert!(bed.device.ping(GATEWAY) && bed.device.tcp(Internet::TCP, "own").is_ok());
}

/// It answers nobody by ARP.
#[test]
fn a_route_that_leads_nowhere_gets_no_advice_about_an_interface() {
    let bed = Bed::new("nftables");
    let guest = Guest::new();
    bed.attach("a", &guest);
    bed.device.run("ip route add blackhole 172.16.0.0/12 table 66");
    eventually("it is named", || named(&bed, "a").1 == Cause::SUBNET_CONFLICT);
    let of = status(&bed, "a");
    let layer = of.layers.into_iter().find(|layer| layer.layer == Layer::ADDRESS).expect("layer");
    assert!(layer.text.contains("the route 172.16.0.0/12 in table 66"), "{layer:?}");
    assert!(!layer.text.contains("ARP"), "{layer:?}");
    let step = layer.nextStep.expect("a next step");
    assert_eq!(step, "detach the guest, and attach it with a --gateway in another subnet");
}

fn owned((one, other): (&str, &str)) -> (String, String) {
    (one.to_owned(), other.to_owned())
}

/// The gateway that a refusal offers.
fn offered(text: &str) -> String {
    let (_, offered) = text.split_once("--gateway ").unwrap_or_else(|| panic!("{text}"));
    offered.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect()
}

/// As an earlier guestnetd left it: routes to all of the subnet, and a /32 for the second guest.
fn a_host_end_of_the_older_layout_is_mended(firewall: &str) {
    let mut bed = Bed::new(firewall);
    let (a, b) = (Guest::new(), Guest::new());
    bed.attach("a", &a);
    bed.attach("b", &b);
    let layout = |bed: &Bed| {
        let addresses = bed.device.run("ip -o -4 addr show");
        let ours = addresses.lines().filter(|line| line.contains("vm_wlan"));
        let ours: Vec<_> = ours.map(|line| line.split_once(": ").unwrap().1.to_owned()).collect();
        let mut routes = bed.device.routes(4, "main");
        routes.sort();
        (ours, routes)
    };
    let before = layout(&bed);
    assert!(bed.daemon.stop().success());
    for (link, old) in [("vm_wlan", "172.17.3.2/16 brd +"), ("vm_wlan1", "172.17.3.2/32")] {
        bed.device.run(&format!("ip addr del 172.17.3.2/16 dev {link}"));
        bed.device.run(&format!("ip addr add {old} dev {link}"));
    }
    bed.device.run("ip route add 172.17.3.4 dev vm_wlan1 proto 103");
    assert_ne!(layout(&bed), before);
    bed.start();
    assert_eq!(layout(&bed), before);
    for (guest, text) in [(&a, "a"), (&b, "b")] {
        assert_eq!(guest.tcp(Internet::TCP, text).expect("TCP"), format!("192.0.2.2 {text}"));
    }
}

/// A device that is hardened against ARP flux: each address answers in its own subnet alone.
#[test]
fn every_gateway_answers_where_arp_ignores_other_subnets() {
    let bed = Bed::new("nftables");
    bed.device.set_sysctl("net/ipv4/conf/all/arp_ignore", "2");
    bed.device.set_sysctl("net/ipv4/conf/all/arp_announce", "2");
    for name in ["a", "b", "c"] {
        let guest = Guest::new();
        bed.attach(name, &guest);
        assert_eq!(guest.tcp(Internet::TCP, name).expect(name), format!("192.0.2.2 {name}"));
    }
}
