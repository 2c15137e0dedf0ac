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

//! What a guest has lost of its own side is seen by status, and put back by repair() alone.

use android_system_guestnet::aidl::android::system::guestnet::{
    Cause::Cause,
    GuestConfig::GuestConfig,
    GuestStatus::GuestStatus,
    IGuestNet::{
        ERROR_BAD_NAME, ERROR_GUEST_GONE, ERROR_GUEST_INTERFACE_MOVED, ERROR_GUEST_LEAVING,
        ERROR_GUEST_ROUTE_EXISTS, ERROR_NO_SUCH_GUEST,
    },
    Layer::Layer,
    Verdict::Verdict,
};
use guestnet_tests::bed::{eventually, Bed, GATEWAY};
use guestnet_tests::client::{by_pid, config};
use guestnet_tests::resolver::resolve;
use guestnet_tests::{Guest, InNetns, Internet, Probe};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

#[track_caller]
fn status(bed: &Bed, name: &str) -> GuestStatus {
    let status =
        bed.service.status(Some(name)).unwrap_or_else(|e| panic!("{e}\n{}", bed.daemon.log()));
    status.guests.into_iter().next().expect("a guest")
}

/// The verdict, and the layer and cause that it is due to.
fn blamed(of: &GuestStatus) -> (Verdict, Option<(Layer, Cause)>) {
    (of.verdict, of.reason.as_ref().map(|reason| (reason.layer, reason.cause)))
}

fn run(guest: &Guest, commands: &[&str]) {
    for command in commands {
        guest.run(command);
    }
}

/// What somebody in the guest does, and what is then to blame.
const LOSSES: [(&[&str], Layer, Cause, &str); 6] = [
    (
        &["ip addr flush dev wlan0"],
        Layer::ADDRESS,
        Cause::GUEST_ADDRESS_LOST,
        "has lost its address 172.17.3.3/16",
    ),
    (
        &["ip addr flush dev wlan0", "ip addr add 10.7.7.7/24 dev wlan0"],
        Layer::ADDRESS,
        Cause::GUEST_ADDRESS_LOST,
        "and has 10.7.7.7/24",
    ),
    (
        &["ip link set wlan0 down", "ip link set wlan0 up"],
        Layer::ROUTE,
        Cause::GUEST_ROUTE_LOST,
        "lost its default route",
    ),
    (&["ip route del default"], Layer::ROUTE, Cause::GUEST_ROUTE_LOST, "lost its default route"),
    (&["ip link set wlan0 down"], Layer::LINK, Cause::GUEST_LINK_DOWN, "wlan0 is down"),
    (
        &[
            "ip link add vpn0 type veth peer name vpn1",
            "ip link set vpn0 up",
            "ip route add 0.0.0.0/1 dev vpn0",
            "ip route add 128.0.0.0/1 dev vpn0",
        ],
        Layer::ROUTE,
        Cause::GUEST_ROUTE_LOST,
        "via its own vpn0",
    ),
];

/// The same where nothing is lost that could be put back: it has something of its own.
const OWN: [(&[&str], Layer, Cause, &str); 5] = [
    (
        &["ip rule add pref 50 unreachable"],
        Layer::ROUTE,
        Cause::GUEST_ROUTE_LOST,
        "own rule 50 refuses",
    ),
    (
        &["ip rule add pref 10 blackhole"],
        Layer::ROUTE,
        Cause::GUEST_ROUTE_LOST,
        "rules or routes refuse",
    ),
    (
        &["ip route del default", "ip route add prohibit default"],
        Layer::ROUTE,
        Cause::GUEST_ROUTE_LOST,
        "rules or routes refuse",
    ),
    (
        &[
            "ip addr add 10.1.1.1/24 dev wlan0",
            "ip route replace default via 172.17.3.2 src 10.1.1.1",
        ],
        Layer::ROUTE,
        Cause::GUEST_ROUTE_LOST,
        "sends with its address 10.1.1.1",
    ),
    (
        &["ip link add b0 type bridge", "ip link set wlan0 master b0"],
        Layer::LINK,
        Cause::GUEST_LINK_DOWN,
        "port of one of its own bridges",
    ),
];

#[test]
fn what_a_guest_has_of_its_own_is_named() {
    for (commands, layer, cause, text) in OWN {
        let bed = Bed::new("nftables");
        let guest = Guest::new();
        bed.attach("box", &guest);
        run(&guest, commands);
        assert!(guest.tcp(Internet::TCP, "x").is_err(), "{commands:?}");
        let of = status(&bed, "box");
        let blame = Some((layer, cause));
        assert_eq!(blamed(&of), (Verdict::NO_INTERNET, blame), "{commands:?}: {of:?}");
        let reason = of.reason.as_ref().expect("a reason");
        assert!(reason.text.contains(text), "{reason:?}");
        assert!(reason.nextStep.as_deref().expect("a next step").contains("in the guest: "));
    }
    // What refuses the gateway alone takes the names.
    let bed = Bed::new("nftables");
    let guest = Guest::new();
    bed.attach("box", &guest);
    guest.run("ip route add unreachable 172.17.3.2/32");
    let of = status(&bed, "box");
    let blame = Some((Layer::DNS, Cause::GUEST_RESOLVER));
    assert_eq!(blamed(&of), (Verdict::NO_NAMES, blame), "{of:?}");
}

#[test]
fn what_a_guest_has_lost_is_named() {
    for (commands, layer, cause, text) in LOSSES {
        let bed = Bed::new("nftables");
        let guest = Guest::new();
        bed.attach("box", &guest);
        assert_eq!(blamed(&status(&bed, "box")), (Verdict::INTERNET, None));
        run(&guest, commands);
        assert!(guest.tcp(Internet::TCP, "x").is_err());
        let of = status(&bed, "box");
        assert_eq!(
            blamed(&of),
            (Verdict::NO_INTERNET, Some((layer, cause))),
            "{commands:?}: {of:?}"
        );
        let reason = of.reason.as_ref().expect("a reason");
        assert!(reason.text.contains(text), "{reason:?}");
        let step = reason.nextStep.as_deref().expect("a next step");
        assert!(step.contains("guestnetctl repair box, or in the guest: ip "), "{step}");
    }
}

#[test]
fn a_guest_that_hides_its_gateway_from_itself_has_no_names() {
    let bed = Bed::new("nftables");
    let guest = Guest::new();
    run(
        &guest,
        &[
            "ip link add docker0 type bridge",
            "ip addr add 172.17.0.1/16 dev docker0",
            "ip link set docker0 up",
            "ip link add v0 type veth peer name v1",
            "ip link set v0 master docker0 up",
            "ip link set v1 up",
        ],
    );
    let attached = bed.attach("box", &guest);
    assert_eq!(attached.gatewayShadowedBy.as_deref(), Some("docker0"));
    let listed = bed.service.list().expect("list").remove(0);
    assert!(listed.gatewayShadowedBy.is_none(), "it may have changed by then");
    assert!(guest.tcp(Internet::TCP, "x").is_ok());
    let of = status(&bed, "box");
    assert_eq!(blamed(&of), (Verdict::NO_NAMES, Some((Layer::DNS, Cause::GUEST_RESOLVER))));
    assert!(of.reason.as_ref().expect("a reason").text.contains("docker0"), "{of:?}");
    assert!(resolve(&guest, GATEWAY).is_err());
    // The next step is one.
    let step = of.reason.and_then(|reason| reason.nextStep).expect("a next step");
    guest.run(step.strip_prefix("in the guest: ").expect("a command"));
    assert!(resolve(&guest, GATEWAY).is_ok());
    assert_eq!(blamed(&status(&bed, "box")), (Verdict::INTERNET, None));
}

#[test]
fn what_a_guest_may_do_is_no_loss() {
    let bed = Bed::new("nftables");
    let guest = Guest::new();
    bed.attach("box", &guest);
    run(
        &guest,
        &[
            "ip link set wlan0 mtu 1400",
            "ip addr add 10.7.7.7/24 dev wlan0",
            "ip link add dummy0 type veth peer name dummy1",
            "ip link set dummy0 up",
            "ip addr add 10.8.8.8/24 dev dummy0",
            "ip route add default dev dummy0 metric 50",
            "ip route add 10.9.0.0/16 dev dummy0",
        ],
    );
    assert!(guest.tcp(Internet::TCP, "x").is_ok());
    assert_eq!(blamed(&status(&bed, "box")), (Verdict::INTERNET, None));
    // The same packets by another name, and by an address with another length.
    run(
        &guest,
        &[
            "ip link set wlan0 down",
            "ip link set wlan0 name eth7",
            "ip addr flush dev eth7",
            "ip addr add 172.17.3.3/24 dev eth7",
            "ip link set eth7 up",
            "ip route add default via 172.17.3.2",
        ],
    );
    assert!(guest.tcp(Internet::TCP, "x").is_ok());
    assert_eq!(blamed(&status(&bed, "box")), (Verdict::INTERNET, None));
}

#[test]
fn rules_of_a_guests_for_protocols_and_ports_are_seen() {
    let bed = Bed::new("nftables");
    let guest = Guest::new();
    bed.attach("box", &guest);
    let web = (Verdict::NO_INTERNET, Layer::ROUTE, Cause::GUEST_ROUTE_LOST);
    let names = (Verdict::NO_NAMES, Layer::DNS, Cause::GUEST_RESOLVER);
    run(
        &guest,
        &[
            "ip link add vpn0 type veth peer name vpn1",
            "ip link set vpn0 up",
            "ip route add default dev vpn0 table 7",
        ],
    );
    for (rule, (verdict, layer, cause), text) in [
        ("ipproto tcp prohibit", web, "refuse its web pages (TCP port 443)"),
        ("ipproto tcp dport 80 blackhole", web, "refuse its web pages (TCP port 80)"),
        ("from 172.17.3.3 ipproto tcp unreachable", web, "refuse its web pages"),
        ("ipproto tcp dport 80 table 7", web, "send its web pages (TCP port 80) via vpn0"),
        ("ipproto udp dport 53 prohibit", names, "refuse its questions for names (UDP port 53)"),
    ] {
        guest.run(&format!("ip rule add pref 1 {rule}"));
        assert_eq!(guest.tcp(Internet::TCP, "x").is_ok(), verdict == Verdict::NO_NAMES, "{rule}");
        assert!(guest.udp(Internet::UDP, "x").is_ok(), "{rule}");
        assert_eq!(resolve(&guest, GATEWAY).is_ok(), verdict != Verdict::NO_NAMES, "{rule}");
        let of = status(&bed, "box");
        assert_eq!(blamed(&of), (verdict, Some((layer, cause))), "{rule}: {of:?}");
        let reason = of.reason.expect("a reason");
        assert!(reason.text.contains(text), "{rule}: {}", reason.text);
        // The step shows it.
        let step = reason.nextStep.expect("a next step");
        let shows = step.split('`').nth(3).expect("a command");
        let shown = guest.try_run(shows);
        let vpn = String::from_utf8_lossy(&shown.stdout).contains("vpn0");
        assert!(!shown.status.success() || vpn, "{shows}: {shown:?}");
        guest.run("ip rule del pref 1");
    }
    guest.run("ip rule add pref 1 ipproto icmp prohibit");
    assert!(!guest.ping(Internet::ADDRESS) && guest.tcp(Internet::TCP, "x").is_ok());
    let of = status(&bed, "box");
    assert_eq!(blamed(&of), (web.0, Some((web.1, web.2))), "{of:?}");
    let reason = of.reason.expect("a reason");
    assert!(reason.text.contains("refuse its pings"), "{reason:?}");
    assert!(reason.nextStep.expect("a next step").contains("from 172.17.3.3 ipproto icmp`"));
    guest.run("ip rule del pref 1");
    // Of others' ports they say nothing.
    guest.run("ip rule add pref 1 ipproto tcp dport 25 prohibit");
    assert!(guest.tcp(Internet::TCP, "x").is_ok());
    assert_eq!(blamed(&status(&bed, "box")), (Verdict::INTERNET, None));
}

/// A guest moves its address to an interface of its own that sends by its end.
const MOVED: [&[&str]; 2] = [
    &["ip link add br0 type bridge", "ip link set wlan0 master br0"],
    &["ip link add br0 link wlan0 type macvlan mode bridge"],
];

#[test]
fn a_guest_that_moves_its_address_above_its_end_loses_nothing() {
    for commands in MOVED {
        let bed = Bed::new("nftables");
        let guest = Guest::new();
        // What is kept is looked at again, and left alone.
        bed.attach_as(&GuestConfig { keep: true, ..config("box") }, &by_pid(guest.pid()));
        run(&guest, commands);
        run(
            &guest,
            &[
                "ip link set br0 up",
                "ip addr flush dev wlan0",
                "ip addr add 172.17.3.3/16 dev br0",
                "ip route add default via 172.17.3.2",
            ],
        );
        eventually("its packets flow", || guest.tcp(Internet::TCP, "x").is_ok());
        assert!(resolve(&guest, GATEWAY).is_ok());
        let of = status(&bed, "box");
        assert_eq!(blamed(&of), (Verdict::INTERNET, None), "{commands:?}: {of:?}");
        // The steps are for where its address is.
        for (command, layer, cause, text) in [
            ("ip route del default", Layer::ROUTE, Cause::GUEST_ROUTE_LOST, "its default route"),
            ("ip link set br0 down", Layer::LINK, Cause::GUEST_LINK_DOWN, "br0 is down"),
        ] {
            guest.run(command);
            assert!(guest.tcp(Internet::TCP, "x").is_err());
            let of = status(&bed, "box");
            let blame = Some((layer, cause));
            assert_eq!(blamed(&of), (Verdict::NO_INTERNET, blame), "{commands:?}: {of:?}");
            let reason = of.reason.expect("a reason");
            assert!(reason.text.contains(text), "{}", reason.text);
            let step = reason.nextStep.expect("a next step");
            guest.run(step.strip_prefix("in the guest: ").expect("a command"));
        }
        guest.run("ip route add default via 172.17.3.2");
        eventually("its packets flow again", || guest.tcp(Internet::TCP, "x").is_ok());
        assert_eq!(blamed(&status(&bed, "box")), (Verdict::INTERNET, None), "{commands:?}");
        let addresses = guest.addresses(4, "wlan0");
        assert!(addresses.is_empty(), "{addresses:?}");
        // A default route by another interface of its own is another matter.
        run(
            &guest,
            &[
                "ip link add vpn0 type veth peer name vpn1",
                "ip link set vpn0 up",
                "ip route add 0.0.0.0/1 dev vpn0",
                "ip route add 128.0.0.0/1 dev vpn0",
            ],
        );
        let blame = Some((Layer::ROUTE, Cause::GUEST_ROUTE_LOST));
        assert_eq!(blamed(&status(&bed, "box")), (Verdict::NO_INTERNET, blame), "{commands:?}");
    }
}

/// Whether a datagram that fills 1500 bytes comes back by UDP.
fn large_answers_come(guest: &Guest) -> bool {
    guest.udp(Internet::UDP, &"x".repeat(1450)).is_ok()
}

#[test]
fn a_guest_with_a_smaller_mtu_is_told_that_it_loses_what_is_larger() {
    let bed = Bed::new("nftables");
    let guest = Guest::new();
    bed.attach("box", &guest);
    assert!(large_answers_come(&guest));
    guest.run("ip link set wlan0 mtu 1280");
    assert!(!large_answers_come(&guest));
    assert!(guest.tcp(Internet::TCP, "x").is_ok());
    // What anything but a datagram of more needs passes.
    let of = status(&bed, "box");
    assert_eq!(blamed(&of), (Verdict::INTERNET, None), "{of:?}");
    let link = of.layers.iter().find(|layer| layer.layer == Layer::LINK).expect("a layer");
    assert!(link.text.contains("wlan0 has MTU 1280, here it is 1500"), "{}", link.text);
    guest.run("ip link set wlan0 mtu 1000");
    let of = status(&bed, "box");
    let blame = Some((Layer::LINK, Cause::MTU_BLACKHOLE));
    assert_eq!(blamed(&of), (Verdict::UNSURE, blame), "{of:?}");
    let reason = of.reason.expect("a reason");
    assert!(reason.text.contains("wlan0 has MTU 1000, here it is 1500"), "{}", reason.text);
    let step = reason.nextStep.expect("a next step");
    assert!(step.starts_with("guestnetctl update box --mtu 1000, or in the guest: "), "{step}");
    // It is the guest's own, which a repair leaves alone.
    bed.service.repair("box").expect("repair");
    assert_eq!(blamed(&status(&bed, "box")), (Verdict::UNSURE, blame));
    // Each of the steps is one.
    bed.service.update("box", &GuestConfig { mtu: 1000, ..config("box") }).expect("update");
    assert_eq!(blamed(&status(&bed, "box")), (Verdict::INTERNET, None));
    eventually("the server is told what fits", || large_answers_come(&guest));
    bed.service.update("box", &config("box")).expect("update");
    guest.run("ip link set wlan0 mtu 1000");
    assert_eq!(blamed(&status(&bed, "box")), (Verdict::UNSURE, blame));
    guest.run(step.split("in the guest: ").nth(1).expect("a command"));
    assert_eq!(blamed(&status(&bed, "box")), (Verdict::INTERNET, None));
}

/// A guest with very many addresses, or routes.
fn crowd(guest: &Guest, many: usize) {
    let mut batch = String::new();
    for n in 0..many {
        let (high, low) = (n / 250, n % 250 + 1);
        writeln!(batch, "addr add 10.{}.{}.{low}/32 dev wlan0", high / 250, high % 250)
            .expect("text");
        writeln!(batch, "route add 11.{}.{}.{low}/32 dev wlan0", high / 250, high % 250)
            .expect("text");
    }
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), batch).expect("a batch");
    guest.run(&format!("ip -batch {}", file.path().display()));
}

#[test]
fn ten_thousand_addresses_and_routes_cost_a_status_nothing() {
    let bed = Bed::new("nftables");
    let guest = Guest::new();
    bed.attach("box", &guest);
    crowd(&guest, 10_000);
    let took = || {
        let began = Instant::now();
        let of = status(&bed, "box");
        (began.elapsed(), blamed(&of), of)
    };
    took();
    let (well, verdict, _) = took();
    assert_eq!(verdict, (Verdict::INTERNET, None));
    assert!(well < Duration::from_millis(100), "{well:?}");
    guest.run("ip addr del 172.17.3.3/16 dev wlan0");
    let (lost, verdict, of) = took();
    assert_eq!(verdict.1, Some((Layer::ADDRESS, Cause::GUEST_ADDRESS_LOST)));
    assert!(of.reason.expect("a reason").text.contains("others"));
    assert!(lost < Duration::from_millis(200), "{lost:?}");
}

#[test]
fn a_guest_that_ends_meanwhile_is_gone_and_nobody_waits() {
    let bed = Bed::new("nftables");
    for round in 0..20 {
        let guest = Guest::new();
        let name = format!("g{round}");
        bed.attach(&name, &guest);
        let asks = std::thread::scope(|scope| {
            let asked = scope.spawn(|| {
                let began = Instant::now();
                while began.elapsed() < Duration::from_millis(60) {
                    bed.service.status(None).expect("status of all");
                }
                began.elapsed()
            });
            std::thread::sleep(Duration::from_millis(round));
            drop(guest);
            asked.join().expect("a thread")
        });
        assert!(asks < Duration::from_secs(2), "{asks:?}");
        eventually("its link has gone with it", || bed.service.get(&name).expect("get").is_none());
    }
}

#[test]
fn a_repair_puts_back_what_is_lost_and_touches_nothing_else() {
    for (commands, _, cause, _) in LOSSES {
        let bed = Bed::new("nftables");
        let guest = Guest::new();
        bed.attach("box", &guest);
        run(&guest, &["ip addr add 10.8.8.8/24 dev lo", "ip route add 10.9.0.0/16 dev lo"]);
        run(&guest, commands);
        let before = status(&bed, "box");
        assert!(before.verdict != Verdict::INTERNET);
        bed.service
            .repair("box")
            .unwrap_or_else(|e| panic!("{commands:?}: {e}\n{}", bed.daemon.log()));
        let others = commands.iter().any(|command| command.contains("vpn0"));
        if others {
            // Its own routes are its own.
            assert_eq!(blamed(&status(&bed, "box")).1, Some((Layer::ROUTE, cause)));
            guest.run("ip link del vpn0");
        }
        assert_eq!(blamed(&status(&bed, "box")), (Verdict::INTERNET, None), "{commands:?}");
        assert_eq!(guest.tcp(Internet::TCP, "x").unwrap(), "192.0.2.2 x");
        let routes = guest.run("ip route");
        assert!(routes.contains("10.9.0.0/16 dev lo"), "{routes}");
        // Again is nothing.
        let steps = bed.service.repair("box").expect("repair").timeline;
        assert!(steps.iter().all(|step| step.operation.0 >= 100), "{steps:?}");
    }
}

#[test]
fn a_repair_that_cannot_be_says_why_and_changes_nothing() {
    let bed = Bed::new("nftables");
    let guest = Guest::new();
    bed.attach("box", &guest);
    let code = |name: &str| bed.service.repair(name).map_err(|e| e.service_specific_error()).err();
    assert_eq!(code("nobody"), Some(ERROR_NO_SUCH_GUEST));
    assert_eq!(code("no name!"), Some(ERROR_BAD_NAME));
    run(
        &guest,
        &[
            "ip link add eth1 type veth peer name eth2",
            "ip link set eth1 up",
            "ip link set eth2 up",
            "ip route replace default dev eth1",
            "ip addr del 172.17.3.3/16 dev wlan0",
        ],
    );
    let before = guest.run("ip addr show dev wlan0") + &guest.run("ip route");
    assert_eq!(code("box"), Some(ERROR_GUEST_ROUTE_EXISTS));
    assert_eq!(guest.run("ip addr show dev wlan0") + &guest.run("ip route"), before);
    guest.run("ip link del eth1");
    assert_eq!(code("box"), None);
    run(&guest, &["ip link set wlan0 down", "ip link set wlan0 name eth7"]);
    assert_eq!(code("box"), Some(ERROR_GUEST_INTERFACE_MOVED));
    let gone = guest.pid();
    drop(guest);
    let answer = code("box");
    // It is detached because its process has ended, and that is before, while or after it is asked.
    let ended =
        [ERROR_GUEST_GONE, ERROR_NO_SUCH_GUEST, ERROR_GUEST_INTERFACE_MOVED, ERROR_GUEST_LEAVING];
    assert!(ended.map(Some).contains(&answer), "{answer:?} {gone}");
}

#[test]
fn a_guest_that_is_kept_gets_it_back_by_itself_and_another_does_not() {
    let bed = Bed::new("nftables");
    let (kept, other) = (Guest::new(), Guest::new());
    let asked = GuestConfig { keep: true, ..config("kept") };
    assert!(bed.attach_as(&asked, &by_pid(kept.pid())).keep);
    assert!(!bed.attach_as(&config("other"), &by_pid(other.pid())).keep);
    for guest in [&kept, &other] {
        guest.run("ip addr flush dev wlan0");
    }
    eventually("it is put back", || kept.tcp(Internet::TCP, "x").is_ok());
    assert!(bed.daemon.log().contains("kept: put back: "), "{}", bed.daemon.log());
    assert!(other.tcp(Internet::TCP, "x").is_err());
    // After a restart, too.
    let mut bed = bed;
    bed.daemon.stop();
    kept.run("ip route del default");
    bed.start();
    eventually("it is put back again", || kept.tcp(Internet::TCP, "x").is_ok());
    assert!(bed.service.get("kept").expect("get").expect("a guest").keep);
    // And no more when that is taken back.
    bed.service.update("kept", &config("kept")).expect("update");
    kept.run("ip route del default");
    std::thread::sleep(Duration::from_secs(12));
    assert!(kept.tcp(Internet::TCP, "x").is_err());
}
