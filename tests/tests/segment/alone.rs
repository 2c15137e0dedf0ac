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

//! Guests without an uplink, by their configuration: they see each other and nothing else, and that is no fault.

use super::*;
use android_system_guestnet::aidl::android::system::guestnet::{
    DiagnoseOptions::DiagnoseOptions, Diagnosis::Diagnosis, DnsMode::DnsMode, Layer::Layer,
    LayerState::LayerState, VpnPolicy::VpnPolicy,
};
use guestnet_tests::resolver::{resolve, Resolver, Says};

/// On a segment, and by nothing else.
pub fn only(segment: &str, name: &str) -> GuestConfig {
    GuestConfig { vpnPolicy: VpnPolicy::NO_UPLINK, ..on(segment, name) }
}

#[track_caller]
pub fn attach_only<D: InNetns>(bed: &Bed<D>, segment: &str, name: &str) -> (Guest, Attached) {
    let guest = Guest::new();
    let attached = bed.attach_as(&only(segment, name), &by_pid(guest.pid()));
    (guest, attached)
}

/// Whatever the guest sets up itself.
fn gets_out(guest: &Guest) -> bool {
    guest.run("ip route replace default via 172.17.3.2");
    let out = guest.ping(Internet::ADDRESS) || guest.tcp(Internet::TCP, "hello").is_ok();
    guest.run("ip route del default");
    out
}

/// Nothing is wrong with it, for people and for scripts.
#[track_caller]
fn is_well<D: InNetns>(bed: &Bed<D>, name: &str) {
    let status = bed.service.status(Some(name)).expect("status");
    let of = &status.guests[0];
    assert_eq!(of.verdict, Verdict::NO_UPLINK, "{:?}", of.layers);
    assert!(of.reason.is_none(), "{:?}", of.reason);
    let odd = of.layers.iter().find(|layer| layer.state != LayerState::OK);
    assert!(odd.is_none(), "{odd:?}");
    let uplink = of.layers.iter().find(|layer| layer.layer == Layer::UPLINK).expect("it is told");
    assert_eq!(uplink.text, "no uplink, by its configuration");
    let found: Diagnosis =
        bed.service.diagnose(Some(name), &DiagnoseOptions::default()).expect("diagnose");
    assert_eq!(found.verdict, Verdict::NO_UPLINK, "{found:?}");
    for words in [["status", name], ["doctor", name]] {
        let output = bed.daemon.run_ctl(&words);
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{words:?}: {output:?}");
        assert!(text.contains("no uplink, by its configuration"), "{text}");
    }
}

/// The segment's own bridge is none of others' that would need it.
#[test]
fn forwarding_goes_with_the_last_guest_that_has_an_uplink() {
    let bed = Bed::new("auto");
    let forwards = || bed.device.run("cat /proc/sys/net/ipv4/ip_forward").trim().to_owned();
    assert_eq!(forwards(), "0");
    let (_a, _first) = attach_only(&bed, "cockpit", "a");
    assert_eq!(forwards(), "0");
    let (_b, _second) = attach(&bed, "cockpit", "b");
    assert_eq!(forwards(), "1");
    bed.detach("b");
    assert_eq!(forwards(), "0", "{}", bed.daemon.log());
    assert_eq!(hubs(&bed.device).len(), 1);
}

with_both_backends!(guests_without_an_uplink_see_each_other_and_nothing_else);

fn guests_without_an_uplink_see_each_other_and_nothing_else(firewall: &str) {
    let bed = Bed::new(firewall);
    let (a, first) = attach_only(&bed, "cockpit", "a");
    let (b, second) = attach_only(&bed, "cockpit", "b");
    let (c, third) = attach(&bed, "cockpit", "c");
    assert_eq!((first.vpnPolicy, first.state), (VpnPolicy::NO_UPLINK, GuestState::ATTACHED));
    assert_eq!(a.run("ip -4 route show default"), "");
    assert!(a.ping(address(&second)) && b.ping(address(&first)), "{}", bed.daemon.log());
    assert!(a.ping(address(&third)) && c.ping(address(&first)) && a.ping("172.17.3.2"));
    assert!(c.ping(Internet::ADDRESS));
    assert!(!gets_out(&a) && !gets_out(&b));
    is_well(&bed, "a");
    // A live guest gets a way out, and loses it again with what it had open.
    let leaves = on("cockpit", "a");
    bed.service.update("a", &leaves).expect("update");
    assert!(a.ping(Internet::ADDRESS) && a.ping(address(&second)), "{}", bed.daemon.log());
    bed.service.update("a", &only("cockpit", "a")).expect("update");
    assert_eq!(a.run("ip -4 route show default"), "");
    assert!(!gets_out(&a) && a.ping(address(&second)), "{}", bed.daemon.log());
    is_well(&bed, "a");
}

#[test]
fn where_netd_is_and_where_no_uplink_is_it_is_the_same() {
    let bed = Bed::on_netd(NetdDevice::new()).build();
    let (a, _) = attach_only(&bed, "cockpit", "a");
    let (_b, second) = attach_only(&bed, "cockpit", "b");
    assert!(a.ping(address(&second)) && !gets_out(&a), "{}", bed.daemon.log());
    is_well(&bed, "a");
    let bed = Bed::on(Device::options().no_uplink().build()).build();
    let (a, first) = attach_only(&bed, "cockpit", "a");
    let (_b, second) = attach_only(&bed, "cockpit", "b");
    assert_eq!(first.state, GuestState::ATTACHED);
    assert!(a.ping(address(&second)), "{}", bed.daemon.log());
    is_well(&bed, "a");
}

#[test]
fn a_restart_lets_nobody_out() {
    let mut bed = Bed::new("nftables");
    let (a, _) = attach_only(&bed, "cockpit", "a");
    let (_b, second) = attach_only(&bed, "cockpit", "b");
    bed.daemon.kill();
    assert!(!gets_out(&a) && a.ping(address(&second)), "while guestnetd is away");
    // Nothing is stored of it: its link says enough.
    std::fs::remove_dir_all(bed.daemon.state_dir().join("guests")).expect("what is stored");
    bed.start();
    let again = bed.service.get("a").expect("get").expect("it is known by its link");
    assert_eq!(again.vpnPolicy, VpnPolicy::NO_UPLINK);
    assert!(!gets_out(&a) && a.ping(address(&second)), "{}", bed.daemon.log());
}

#[test]
fn names_from_outside_are_not_resolved_and_those_of_the_segment_are() {
    let dns = |config: GuestConfig| GuestConfig { dns: DnsMode::FORWARD, ..config };
    let bed = Bed::on(Device::new()).args("--dns 192.0.2.53").build();
    let _resolver = bed.device.internet.resolver("192.0.2.53", Says::All);
    let guests = [Guest::new(), Guest::new(), Guest::new(), Guest::new()];
    let [a, _b, c, _other] = &guests;
    let configs = [
        dns(only("cockpit", "a")),
        only("cockpit", "b"),
        dns(on("cockpit", "c")),
        on("cabin", "other"),
    ];
    for (guest, config) in guests.iter().zip(&configs) {
        bed.attach_as(config, &by_pid(guest.pid()));
    }
    let of = |name: &str| {
        let found = bed.service.get(name).expect("get").expect("it is there");
        wire::octets(&found).to_vec()
    };
    eventually("who has an uplink gets answers", || {
        resolve(c, "172.17.3.2").is_ok_and(|answer| answer == Resolver::ANSWER)
    });
    assert_eq!(wire::asked_for(a, "example.org").0, 2, "SERVFAIL");
    for asks in [a, c] {
        for (name, known) in [("a.guest", "a"), ("B.guest", "b"), ("c.guest", "c")] {
            assert_eq!(wire::asked_for(asks, name), (0, of(known)), "{name}");
        }
        assert_eq!(wire::asked_for(asks, "other.guest").0, 3, "it may not be seen");
    }
    bed.detach("b");
    eventually("its name goes with it", || wire::asked_for(a, "b.guest").0 == 3);
}
