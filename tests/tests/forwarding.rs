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

//! The forwarding switch has no owner in the kernel: guestnetd switches it on, and off again only
//! where nothing suggests that somebody else needs it. Each of these somebodies goes away at the
//! end of the test, and the switch with the next guest.

use std::thread;

use android_system_guestnet::aidl::android::system::guestnet::Cause::Cause;
use android_system_guestnet::aidl::android::system::guestnet::GuestConfig::GuestConfig;
use android_system_guestnet::aidl::android::system::guestnet::Layer::Layer;
use android_system_guestnet::aidl::android::system::guestnet::Verdict::Verdict;
use android_system_guestnet::aidl::android::system::guestnet::VpnPolicy::VpnPolicy;
use guestnet_tests::bed::{eventually, second_way, Bed, BOUND, FORWARDING};
use guestnet_tests::client::{by_pid, config};
use guestnet_tests::{poll, Device, Guest, InNetns, Internet, Netns, Probe};

/// Attaches and detaches a guest, and tells whether the device forwards then.
#[track_caller]
fn forwards_after_a_guest(bed: &Bed) -> bool {
    let guest = Guest::new();
    bed.attach("demo", &guest);
    assert!(bed.forwards(), "while a guest is there");
    bed.detach("demo");
    bed.forwards()
}

/// Somebody who needs forwarding comes with one command and goes with another.
#[track_caller]
fn stays_on_for(bed: &Bed, come: &str, go: &str, why: &str) {
    assert!(!forwards_after_a_guest(bed), "before {come}");
    let guest = Guest::new();
    bed.attach("first", &guest);
    bed.device.run(come);
    bed.detach("first");
    assert!(bed.forwards(), "{come}\n{}", bed.daemon.log());
    let said = |text| bed.daemon.wait_log(text, BOUND);
    let reason = said("net.ipv4.ip_forward stays 1") && said(why);
    assert!(reason, "{why} is not in\n{}", bed.daemon.log());
    bed.device.run(go);
    assert!(!forwards_after_a_guest(bed), "after {go}\n{}", bed.daemon.log());
}

#[test]
fn it_is_on_while_there_are_guests() {
    let bed = Bed::new("auto");
    let (a, b) = (Guest::new(), Guest::new());
    assert!(!bed.forwards(), "guestnetd alone needs none");
    bed.attach("a", &a);
    assert!(bed.forwards());
    assert!(bed.service.info().unwrap().ownsForwarding);
    bed.attach("b", &b);
    bed.detach("a");
    assert!(bed.forwards(), "b is still there");
    bed.detach("b");
    assert!(!bed.forwards());
    assert!(!bed.service.info().unwrap().ownsForwarding);
}

#[test]
fn guests_without_an_uplink_do_not_need_it() {
    let mut bed = Bed::new("auto");
    let stays = |name| GuestConfig { vpnPolicy: VpnPolicy::NO_UPLINK, ..config(name) };
    let attach = |bed: &Bed, config| {
        let guest = Guest::new();
        bed.attach_as(&config, &by_pid(guest.pid()));
        guest
    };
    let _a = attach(&bed, stays("a"));
    assert!(!bed.forwards() && !bed.service.info().unwrap().ownsForwarding);
    let status = bed.service.status(Some("a")).expect("status");
    assert_eq!(status.guests[0].verdict, Verdict::NO_UPLINK, "{:?}", status.guests[0].layers);
    let b = attach(&bed, config("b"));
    assert!(bed.forwards() && b.ping(Internet::ADDRESS));
    bed.detach("b");
    assert!(!bed.forwards(), "{}", bed.daemon.log());
    // An update is no other thing.
    bed.service.update("a", &config("a")).expect("update");
    assert!(bed.forwards());
    bed.service.update("a", &stays("a")).expect("update");
    assert!(!bed.forwards(), "{}", bed.daemon.log());
    bed.daemon.kill();
    bed.start();
    assert_eq!(bed.names(), ["a"]);
    assert!(!bed.forwards());
}

#[test]
fn it_goes_off_with_a_guest_that_dies() {
    let bed = Bed::new("auto");
    let mut guest = Guest::new();
    bed.attach("demo", &guest);
    assert!(bed.forwards());
    guest.kill();
    eventually("forwarding is off", || !bed.forwards());
}

#[test]
fn a_failed_attach_leaves_it_off() {
    let bed = Bed::new("auto");
    let guest = Guest::new();
    guest.run("ip link add wlan0 type veth peer name other");
    bed.service.attach(&config("demo"), &by_pid(guest.pid()), None).unwrap_err();
    assert!(!bed.forwards());
}

#[test]
fn it_stays_where_it_was_on_before() {
    let bed = Bed::on(Device::options().forwarding().build()).build();
    let guest = Guest::new();
    bed.attach("demo", &guest);
    assert!(!bed.service.info().unwrap().ownsForwarding);
    bed.detach("demo");
    assert!(bed.forwards());
}

#[test]
fn it_stays_with_keep_forwarding() {
    let bed = Bed::on(Device::new()).args("--keep-forwarding").build();
    assert!(forwards_after_a_guest(&bed));
}

#[test]
fn it_stays_when_somebody_else_has_written_it() {
    let bed = Bed::new("auto");
    let guest = Guest::new();
    bed.attach("demo", &guest);
    bed.device.set_sysctl(FORWARDING, "0");
    bed.device.set_sysctl(FORWARDING, "1");
    bed.detach("demo");
    assert!(bed.forwards(), "{}", bed.daemon.log());
}

#[test]
fn it_stays_for_a_bridge() {
    stays_on_for(&Bed::new("auto"), "ip link add br0 type bridge", "ip link del br0", "br0");
}

#[test]
fn it_stays_for_a_link_to_another_namespace() {
    let other = Netns::new("other");
    let come = format!("ip link add veth7 type veth peer name eth0 netns {}", other.name());
    stays_on_for(&Bed::new("auto"), &come, "ip link del veth7", "veth7");
}

#[test]
fn it_stays_for_a_rule_of_iptables() {
    let rule = |how: &str| format!("iptables-legacy -w {how} FORWARD -i eth9 -o wlan0 -j ACCEPT");
    for firewall in ["nftables", "iptables"] {
        stays_on_for(&Bed::new(firewall), &rule("-A"), &rule("-D"), "iptables' FORWARD");
    }
}

#[test]
fn it_stays_for_a_policy_of_iptables() {
    let policy = |verdict: &str| format!("iptables-legacy -w -P FORWARD {verdict}");
    stays_on_for(&Bed::new("auto"), &policy("DROP"), &policy("ACCEPT"), "iptables' FORWARD");
}

#[test]
fn it_stays_for_a_chain_of_nftables() {
    for firewall in ["nftables", "iptables"] {
        let bed = Bed::new(firewall);
        bed.device.run("nft add table ip others");
        // The chain alone is only a place.
        bed.device.run("nft add chain ip others through { type filter hook forward priority 0 ; }");
        let rule = "nft add rule ip others through iifname eth9 accept";
        stays_on_for(&bed, rule, "nft flush chain ip others through", "others through");
    }
}

#[test]
fn it_goes_off_after_a_restart_in_between() {
    for crash in [false, true] {
        let mut bed = Bed::new("auto");
        let guest = Guest::new();
        bed.attach("demo", &guest);
        end(&mut bed, crash);
        assert!(bed.forwards(), "the guest goes on");
        bed.start();
        assert!(bed.service.info().unwrap().ownsForwarding);
        bed.detach("demo");
        assert!(!bed.forwards(), "crash: {crash}\n{}", bed.daemon.log());
    }
}

#[test]
fn it_stays_after_a_restart_in_between() {
    for crash in [false, true] {
        let mut bed = Bed::new("auto");
        let guest = Guest::new();
        bed.attach("demo", &guest);
        bed.device.set_sysctl(FORWARDING, "0");
        bed.device.set_sysctl(FORWARDING, "1");
        // Whoever is asked has read what came before.
        bed.service.status(None).unwrap();
        end(&mut bed, crash);
        bed.start();
        bed.detach("demo");
        assert!(bed.forwards(), "crash: {crash}\n{}", bed.daemon.log());
    }
    let mut bed = Bed::on(Device::options().forwarding().build()).build();
    let guest = Guest::new();
    bed.attach("demo", &guest);
    end(&mut bed, true);
    bed.start();
    bed.detach("demo");
    assert!(bed.forwards(), "it was on before");
}

#[test]
fn it_goes_off_after_a_crash_in_the_first_attach() {
    let mut bed = Bed::new("auto");
    let guest = Guest::new();
    for _ in 0..5 {
        let from = bed.daemon.log().len();
        let (service, daemon) = (&bed.service, &mut bed.daemon);
        thread::scope(|scope| {
            // Its answer, or none, does not matter here.
            scope.spawn(|| drop(service.attach(&config("demo"), &by_pid(guest.pid()), None)));
            let switched =
                || daemon.log()[from..].contains("net.ipv4.ip_forward set to 1").then_some(());
            poll(BOUND, switched).expect("forwarding is switched on");
            daemon.kill();
        });
        bed.start();
        if let [name] = &bed.names()[..] {
            bed.detach(name); // It was faster.
        }
        assert!(!bed.forwards(), "{}", bed.daemon.log());
    }
}

#[test]
fn it_goes_off_at_the_start_when_the_last_guest_went_meanwhile() {
    let mut bed = Bed::new("auto");
    let mut guest = Guest::new();
    bed.attach("demo", &guest);
    bed.daemon.kill();
    guest.kill();
    let gone = || bed.device.link("vm_wlan").is_none().then_some(());
    poll(BOUND, gone).expect("the link goes with its guest");
    bed.start();
    assert!(!bed.forwards(), "{}", bed.daemon.log());
}

/// It died when the 0 was written, and before what changes with it was put back.
#[test]
fn what_a_start_finishes_is_not_taken_for_somebody_elses() {
    let mut bed = Bed::new("auto");
    let mut gone = Guest::new();
    bed.attach("gone", &gone);
    bed.daemon.kill();
    gone.kill();
    let deleted = || bed.device.link("vm_wlan").is_none().then_some(());
    poll(BOUND, deleted).expect("the link goes with its guest");
    bed.device.run("sysctl -qw net.ipv4.ip_forward=0");
    bed.start();
    assert!(!forwards_after_a_guest(&bed), "{}", bed.daemon.log());
}

#[test]
fn an_uplink_to_another_namespace_is_nobody_else() {
    // Every bed's uplink is a link to another namespace; here it is not called wlan0.
    let bed = Bed::on(Device::options().uplink("eth0").build()).args("--uplink eth0").build();
    assert!(!forwards_after_a_guest(&bed));
    // A second one is.
    let _beyond = second_way(&bed.device, "eth1");
    assert!(forwards_after_a_guest(&bed));
}

fn end(bed: &mut Bed, crash: bool) {
    if crash {
        bed.daemon.kill();
    } else {
        assert!(bed.daemon.stop().success());
    }
}

/// A switch of an interface's own, beside the one for all: it is for what comes in there.
#[test]
fn an_interface_that_forwards_nothing_is_put_right_or_named() {
    let bed = Bed::on(Device::options().forwarding().build()).build();
    let conf = |name: &str| format!("net/ipv4/conf/{name}/forwarding");
    bed.device.set_sysctl(&conf("default"), "0");
    let guest = Guest::new();
    bed.attach("demo", &guest);
    let goes = || guest.tcp(Internet::TCP, "x").is_ok();
    assert!(goes(), "the host end forwards whatever new interfaces do");
    // Our own is put back.
    bed.device.set_sysctl(&conf("vm_wlan"), "0");
    eventually("the host end forwards again", || bed.device.sysctl(&conf("vm_wlan")) == "1");
    assert!(goes());
    // Another's is named.
    bed.device.set_sysctl(&conf("wlan0"), "0");
    assert!(!goes(), "answers are not forwarded");
    let of = bed.service.status(Some("demo")).expect("status").guests.remove(0);
    let reason = of.reason.expect("a reason");
    let fact = (of.verdict, reason.layer, reason.cause);
    assert_eq!(
        fact,
        (Verdict::NO_INTERNET, Layer::FORWARDING, Cause::FORWARDING_OFF),
        "{reason:?}"
    );
    assert!(reason.text.contains("wlan0"), "{reason:?}");
    let step = reason.nextStep.expect("a step");
    assert_eq!(step, "sysctl -w net.ipv4.conf.wlan0.forwarding=1");
    assert!(bed.daemon.wait_log("net.ipv4.conf.wlan0.forwarding is 0", BOUND));
    bed.device.run(&step);
    assert!(goes());
    let of = bed.service.status(Some("demo")).expect("status").guests.remove(0);
    assert_ne!(of.verdict, Verdict::NO_INTERNET, "{:?}", of.reason);
}
/// A stranger on the Wi-Fi does not reach the device's other network because a guest is there, and the
/// status says so; where forwarding was on before it is not guestnetd's to say.
fn nobody_passes_but_guests(firewall: &str) {
    let bed = Bed::new(firewall);
    let company = Netns::new("company");
    bed.device.run(&format!("ip link add eth1 type veth peer name e netns {}", company.name()));
    bed.device.run("ip addr add 198.51.100.2/24 dev eth1");
    bed.device.run("ip link set eth1 up");
    company.run("ip addr add 198.51.100.1/24 dev e");
    company.run("ip link set e up");
    company.run("ip route add default via 198.51.100.2");
    bed.device.internet.run("ip route add 198.51.100.0/24 via 192.0.2.2");
    let passes = || {
        let ping = bed.device.internet.try_run("ping -q -c 1 -W 1 198.51.100.1");
        ping.status.success()
    };
    let guest = Guest::new();
    bed.attach("demo", &guest);
    assert!(guest.tcp(guestnet_tests::Internet::TCP, "hello").is_ok());
    assert!(bed.forwards() && !passes());
    let layers = bed.service.status(None).unwrap().device;
    let said = layers.iter().any(|layer| layer.text.contains("is not passed on to others"));
    assert!(said, "{layers:?}");
    // Somebody who writes it needs it.
    bed.device.set_sysctl(FORWARDING, "0");
    eventually("it is on again", || bed.forwards());
    eventually("they pass", passes);
    bed.detach("demo");
}

guestnet_tests::with_both_backends!(nobody_passes_but_guests);
