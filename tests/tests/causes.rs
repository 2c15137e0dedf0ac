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

//! The reason that a status gives is the fact, and one fact has one sentence wherever it is told.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use android_system_guestnet::aidl::android::system::guestnet::Cause::Cause;
use android_system_guestnet::aidl::android::system::guestnet::GuestConfig::GuestConfig;
use android_system_guestnet::aidl::android::system::guestnet::GuestState::GuestState;
use android_system_guestnet::aidl::android::system::guestnet::GuestStatus::GuestStatus;
use android_system_guestnet::aidl::android::system::guestnet::Layer::Layer;
use android_system_guestnet::aidl::android::system::guestnet::Verdict::Verdict;
use android_system_guestnet::aidl::android::system::guestnet::VpnPolicy::VpnPolicy;
use guestnet_tests::bed::{eventually, second_way, Bed, GATEWAY};
use guestnet_tests::client::{by_pid, config};
use guestnet_tests::{Device, Guest, InNetns, Internet, Probe};

guestnet_tests::with_both_backends!(
    a_lockdown_is_the_reason_of_a_guest_that_it_stops,
    an_uplink_that_is_missing_is_told_in_one_sentence_everywhere,
    dropped_packets_are_counted,
    dropped_packets_are_counted_for_each_guest,
);

fn status(bed: &Bed) -> GuestStatus {
    bed.service.status(Some("demo")).expect("status").guests.remove(0)
}

/// What the verdict is due to.
#[track_caller]
fn reason(of: &GuestStatus) -> (Verdict, Option<(Layer, Cause)>) {
    (of.verdict, of.reason.as_ref().map(|layer| (layer.layer, layer.cause)))
}

fn a_lockdown_is_the_reason_of_a_guest_that_it_stops(firewall: &str) {
    let bed = Bed::new(firewall);
    let guest = Guest::new();
    let stopped = GuestConfig { vpnPolicy: VpnPolicy::BLOCK_UNDER_LOCKDOWN, ..config("demo") };
    bed.attach_as(&stopped, &by_pid(guest.pid()));
    let healthy = status(&bed);
    assert_eq!(reason(&healthy), (Verdict::INTERNET, None), "{healthy:?}");
    let lockdown = "pref 12500 fwmark 0x0/0x20000 iif lo uidrange 0-99999 prohibit";
    bed.device.run(&format!("ip rule add {lockdown}"));
    eventually("it is stopped", || guest.tcp(Internet::TCP, "x").is_err());
    let locked = (Verdict::WAITING, Some((Layer::RULE, Cause::LOCKDOWN)));
    let of = status(&bed);
    assert_eq!(reason(&of), locked, "{of:?}");
    assert!(of.reason.expect("a reason").text.contains("lockdown"));
    // An uplink that is missing besides does not hide it.
    bed.device.run("ip link set wlan0 down");
    let of = status(&bed);
    assert_eq!(reason(&of), locked, "{of:?}");
}

fn an_uplink_that_is_missing_is_told_in_one_sentence_everywhere(firewall: &str) {
    let bed = Bed::on(Device::new())
        .args(&format!("--firewall {firewall} --uplink wlan7,rmnet_data*"))
        .build();
    let guest = Guest::new();
    let checked = bed.service.check(&config("demo"), &by_pid(guest.pid())).expect("check");
    assert_eq!(bed.attach("demo", &guest).state, GuestState::WAITING_FOR_UPLINK);
    let status = bed.service.status(Some("demo")).expect("status");
    let [of] = status.guests.as_slice() else { panic!("{status:?}") };
    assert_eq!(reason(of), (Verdict::WAITING, Some((Layer::UPLINK, Cause::UPLINK_MISSING))));
    let reason = of.reason.as_ref().expect("a reason");
    let layers = checked.iter().chain(&status.device).chain(&of.layers);
    let told: Vec<_> = layers.filter(|layer| layer.layer == Layer::UPLINK).collect();
    assert_eq!(told.len(), 3);
    for layer in told {
        assert_eq!((&layer.text, &layer.nextStep), (&reason.text, &reason.nextStep));
    }
    let log = bed.daemon.log();
    assert!(log.contains(&format!("uplink: {}", reason.text)), "{}: {log}", reason.text);
    assert!(reason.text.contains("wlan7,rmnet_data*"), "{}", reason.text);
    let step = "start guestnetd with --uplink wlan0 or --uplink default";
    assert_eq!(reason.nextStep.as_deref(), Some(step));
}

/// Programs that are iptables, until there is a file of this name.
fn breakable(directory: &Path, broken: &Path) {
    for program in ["iptables", "ip6tables"] {
        let path = directory.join(program);
        let text = format!(
            "#!/bin/sh\n[ ! -e {} ] || {{ echo '{program}: Memory allocation problem.' >&2; exit 4; }}\n\
             exec {program}-legacy \"$@\"\n",
            broken.display()
        );
        fs::write(&path, text).expect("a program");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("chmod");
    }
}

#[test]
fn iptables_that_fails_while_the_uplink_moves_is_the_reason() {
    let directory = tempfile::tempdir().expect("a directory");
    let (program, broken) = (directory.path().join("iptables"), directory.path().join("broken"));
    breakable(directory.path(), &broken);
    let device = Device::new();
    let beyond = second_way(&device, "eth1");
    let args = format!("--uplink default --dns 198.51.100.1 --iptables {}", program.display());
    let bed = Bed::on(device).args(&args).build();
    let guest = Guest::new();
    bed.attach("demo", &guest);
    assert!(guest.tcp(Internet::TCP, "x").is_ok());
    fs::write(&broken, "").expect("a file");
    bed.device.run("ip route replace default via 198.51.100.1");
    let failed = (Verdict::NO_INTERNET, Some((Layer::FIREWALL, Cause::FILTER_PROGRAM_FAILED)));
    eventually("iptables is the reason", || reason(&status(&bed)) == failed);
    let of = status(&bed);
    let reason = of.reason.as_ref().expect("a reason");
    assert!(reason.text.contains("iptables"), "{reason:?}");
    assert!((0..=32_000).contains(&reason.retryInMillis), "{reason:?}");
    // No advice about routes, to which nothing is wrong.
    assert!(of.layers.iter().all(|layer| layer.nextStep.is_none()), "{of:?}");
    fs::remove_file(&broken).expect("a file");
    eventually("it goes on", || guest.tcp("198.51.100.1:80", "x").is_ok());
    assert_eq!(status(&bed).verdict, Verdict::INTERNET);
    drop(beyond);
}

fn dropped_packets_are_counted(firewall: &str) {
    let bed = Bed::new(firewall);
    let guest = Guest::new();
    bed.attach("demo", &guest);
    let dropped = || bed.service.status(None).expect("status").droppedPackets;
    assert_eq!(dropped(), 0);
    assert!(guest.tcp(&format!("{GATEWAY}:9"), "x").is_err(), "the device is not for guests");
    assert!(dropped() > 0);
}

/// nf_tables tells whose they were; x_tables does not, and none is said, and not 0.
fn dropped_packets_are_counted_for_each_guest(firewall: &str) {
    let bed = Bed::new(firewall);
    let (loud, quiet) = (Guest::new(), Guest::new());
    bed.attach("loud", &loud);
    bed.attach("quiet", &quiet);
    let dropped = || {
        let of_status = |name: &str| {
            let found = bed.service.status(Some(name)).expect("status").guests.remove(0);
            let got = bed.service.get(name).expect("get").expect("the guest");
            assert_eq!(found.droppedPackets, got.droppedPackets, "{name}");
            found.droppedPackets
        };
        let listed = bed.service.list().expect("list");
        let of_list: Vec<_> = listed.iter().map(|guest| guest.droppedPackets).collect();
        let numbers = [of_status("loud"), of_status("quiet")];
        assert_eq!(of_list, numbers);
        numbers
    };
    let none = if firewall == "nftables" { 0 } else { -1 };
    assert_eq!(dropped(), [none, none]);
    // To the device, by the address of the link, and by the uplink's.
    assert!(loud.tcp(&format!("{GATEWAY}:9"), "x").is_err());
    let [first, other] = dropped();
    assert_eq!((first > 0, other), (firewall == "nftables", none), "{first}");
    assert!(loud.tcp("192.0.2.2:9", "x").is_err());
    let [second, other] = dropped();
    assert_eq!((second > first, other), (firewall == "nftables", none), "{second}");
    // Whoever has its link's name next begins anew.
    bed.service.detach("loud").expect("detach");
    bed.attach("loud", &loud);
    assert_eq!(dropped(), [none, none]);
}
