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

//! Names are "ok" only after an answer: resolvers are asked, the next one is taken when one does not
//! do, and status says which and why, as a verdict of its own.

use android_system_guestnet::aidl::android::system::guestnet::{
    Cause::Cause, Layer::Layer, LayerState::LayerState, LayerStatus::LayerStatus, Verdict::Verdict,
};
use guestnet_tests::bed::{eventually, Bed, GATEWAY};
use guestnet_tests::client::{by_pid, config};
use guestnet_tests::resolver::{resolve, Resolver, Says};
use guestnet_tests::{with_both_backends, Device, Guest, InNetns};
use std::time::Instant;

const FIRST: &str = "192.0.2.53";
const SECOND: &str = "192.0.2.54";

fn bed(firewall: &str, servers: &[&str]) -> Bed {
    let dns: String = servers.iter().map(|server| format!(" --dns {server}")).collect();
    Bed::on(Device::new()).args(&format!("--firewall {firewall}{dns}")).build()
}

/// What one guest's status comes to, and its layer DNS.
#[track_caller]
fn names(bed: &Bed, guest: &str) -> (Verdict, LayerStatus) {
    let status = bed.service.status(Some(guest)).expect("status");
    let of = status.guests.into_iter().next().expect("a guest");
    let dns = of.layers.into_iter().find(|l| l.layer == Layer::DNS).expect("the layer DNS");
    (of.verdict, dns)
}

with_both_backends!(the_next_one_is_taken_while_the_first_does_not_answer);

fn the_next_one_is_taken_while_the_first_does_not_answer(firewall: &str) {
    let bed = bed(firewall, &[FIRST, SECOND]);
    let [first, second] = [(FIRST, Says::Nothing), (SECOND, Says::All)]
        .map(|(at, says)| bed.device.internet.resolver(at, says));
    assert_eq!((first.asked(), second.asked()), (0, 0), "nothing is sent without a guest");
    let guest = Guest::new();
    bed.attach("box", &guest);
    eventually("the second is asked", || resolve(&guest, GATEWAY).is_ok());
    let (verdict, dns) = names(&bed, "box");
    assert_eq!((verdict, dns.state), (Verdict::INTERNET, LayerState::OK), "{dns:?}");
    assert!(dns.text.contains(&format!("{SECOND}, which answers")), "{dns:?}");
    assert!(dns.text.contains(&format!("{FIRST} does not answer")), "{dns:?}");
    // It is back as soon as it is asked again.
    first.says(Says::All);
    let asked = second.asked();
    eventually("the first is in use", || {
        names(&bed, "box").1.text.contains(&format!("{FIRST}, which"))
    });
    assert_eq!(resolve(&guest, GATEWAY).unwrap(), Resolver::ANSWER);
    assert!(second.asked() < asked + 20);
    // And none at all.
    first.says(Says::Nothing);
    second.says(Says::Nothing);
    eventually("nobody answers", || names(&bed, "box").0 == Verdict::NO_NAMES);
    let (_, dns) = names(&bed, "box");
    assert_eq!((dns.state, dns.cause), (LayerState::BAD, Cause::DNS_SILENT), "{dns:?}");
    assert!(
        dns.nextStep.as_deref().is_some_and(|step| step.contains("guestnetctl dns wlan0")),
        "{dns:?}"
    );
}

#[test]
fn one_that_refuses_is_told_from_one_that_knows_some_names() {
    let bed = bed("nftables", &[FIRST]);
    let resolver = bed.device.internet.resolver(FIRST, Says::Refused);
    bed.attach("box", &bed.guest);
    for (says, cause, verdict) in [
        (Says::Refused, Cause::DNS_REFUSED, Verdict::NO_NAMES),
        (Says::Failed, Cause::DNS_REFUSED, Verdict::NO_NAMES),
        (Says::RefusedButItself, Cause::HEALTHY, Verdict::INTERNET),
        (Says::Nothing, Cause::DNS_SILENT, Verdict::NO_NAMES),
        (Says::All, Cause::HEALTHY, Verdict::INTERNET),
    ] {
        resolver.says(says);
        eventually(&format!("{says:?}"), || {
            let (now, dns) = names(&bed, "box");
            (now, dns.cause) == (verdict, cause)
        });
    }
}

#[test]
fn what_guests_are_answered_counts_more_than_silence_to_guestnetd() {
    let bed = bed("nftables", &[FIRST]);
    let resolver = bed.device.internet.resolver(FIRST, Says::AllButRoot);
    let guest = Guest::new();
    bed.attach("box", &guest);
    eventually("guestnetd is not answered", || names(&bed, "box").0 == Verdict::NO_NAMES);
    assert_eq!(resolve(&guest, GATEWAY).expect("an answer"), Resolver::ANSWER);
    let (verdict, dns) = names(&bed, "box");
    assert_eq!((verdict, dns.state), (Verdict::INTERNET, LayerState::OK), "{dns:?}");
    // Then the guest is not answered either.
    resolver.says(Says::Nothing);
    resolve(&guest, GATEWAY).expect_err("nothing");
    std::thread::sleep(std::time::Duration::from_secs(3));
    let (verdict, dns) = names(&bed, "box");
    assert_eq!((verdict, dns.cause), (Verdict::NO_NAMES, Cause::DNS_SILENT), "{dns:?}");
}

/// Connection tracking sees that something comes back.
#[test]
fn one_that_answers_nonsense_is_named_whatever_guests_ask() {
    let bed = bed("nftables", &[FIRST]);
    let resolver = bed.device.internet.resolver(FIRST, Says::All);
    bed.attach("box", &bed.guest);
    for says in [Says::Echo, Says::OtherId, Says::Half] {
        resolver.says(says);
        eventually(&format!("{says:?}"), || {
            // This client looks at no id.
            let got = resolve(&bed.guest, GATEWAY).ok();
            assert!(says == Says::OtherId || got != Some(Resolver::ANSWER), "{says:?}");
            let (verdict, dns) = names(&bed, "box");
            (verdict, dns.cause) == (Verdict::NO_NAMES, Cause::DNS_REFUSED)
        });
        let (_, dns) = names(&bed, "box");
        assert!(dns.text.contains("what it sends is no answer"), "{dns:?}");
        resolver.says(Says::All);
        eventually("it resolves", || names(&bed, "box").0 == Verdict::INTERNET);
    }
}

#[test]
fn one_that_only_a_vpn_reaches_is_named_with_the_vpn() {
    let bed = bed("nftables", &[FIRST, SECOND]);
    let _second = bed.device.internet.resolver(SECOND, Says::Nothing);
    bed.device.run("ip tuntap add tun0 mode tun");
    bed.device.run("ip link set tun0 up");
    bed.device.run(&format!("ip route add {FIRST}/32 dev tun0"));
    let guest = Guest::new();
    bed.attach("box", &guest);
    eventually("both are of no use", || names(&bed, "box").1.cause == Cause::DNS_ELSEWHERE);
    let (verdict, dns) = names(&bed, "box");
    assert_eq!(verdict, Verdict::NO_NAMES);
    assert!(dns.text.contains("via tun0"), "{dns:?}");
    assert!(dns.nextStep.as_deref().is_some_and(|step| step.contains("--vpn tun:tun0")), "{dns:?}");
}

#[test]
fn status_waits_for_no_resolver_longer_than_a_second_and_asks_each_once_for_all() {
    let bed = bed("nftables", &[FIRST]);
    let resolver = bed.device.internet.resolver(FIRST, Says::All);
    let guests: Vec<_> = (0..20).map(|_| Guest::new()).collect();
    for (n, guest) in guests.iter().enumerate() {
        bed.attach_as(&config(&format!("g{n}")), &by_pid(guest.pid()));
    }
    names(&bed, "g0");
    let asked = resolver.asked();
    for _ in 0..20 {
        bed.service.status(None).expect("status");
    }
    assert!(resolver.asked() <= asked + 2, "{} questions", resolver.asked() - asked);
    resolver.says(Says::Nothing);
    eventually("it is silent", || names(&bed, "g0").0 == Verdict::NO_NAMES);
    std::thread::sleep(std::time::Duration::from_secs(2));
    let began = Instant::now();
    names(&bed, "g0");
    let took = began.elapsed();
    assert!((900..1600).contains(&took.as_millis()), "{took:?}");
}

#[test]
fn what_answers_at_the_gateway_is_asked_there() {
    let device = Device::new();
    let none = tempfile::tempdir().expect("a directory");
    let args = format!("--firewall nftables --resolv-conf {}/none", none.path().display());
    let bed = Bed::on(device).args(&args).build();
    let resolver = Resolver::start(&bed.device, "0.0.0.0".parse().expect("an address"), Says::All);
    let guest = Guest::new();
    bed.attach("box", &guest);
    assert_eq!(resolve(&guest, GATEWAY).unwrap(), Resolver::ANSWER);
    let (verdict, dns) = names(&bed, "box");
    assert_eq!((verdict, dns.state), (Verdict::INTERNET, LayerState::OK), "{dns:?}");
    resolver.says(Says::Nothing);
    eventually("it is silent", || names(&bed, "box").1.cause == Cause::DNS_SILENT);
}
