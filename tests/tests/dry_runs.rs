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

//! plan() and check() change nothing and tell the truth: attach() does what was planned, in that
//! order and in those words, and the commands of a plan, typed in by hand, do the same.

use std::process::Output;

use android_system_guestnet::aidl::android::system::guestnet::Change::Change;
use android_system_guestnet::aidl::android::system::guestnet::ChangeKind::ChangeKind;
use android_system_guestnet::aidl::android::system::guestnet::GuestConfig::GuestConfig;
use android_system_guestnet::aidl::android::system::guestnet::Layer::Layer;
use android_system_guestnet::aidl::android::system::guestnet::LayerState::LayerState;
use android_system_guestnet::aidl::android::system::guestnet::Operation::Operation;
use android_system_guestnet::aidl::android::system::guestnet::Place::Place;
use guestnet_tests::bed::{Bed, BOUND};
use guestnet_tests::client::{by_netns, by_pid, by_pidfd, config};
use guestnet_tests::{poll, said, Daemon, Device, Guest, InNetns, Internet, Probe};
use serde_json::Value;

/// What an attach spends its time on beside its changes to the kernel.
const BESIDE: [Operation; 7] = [
    Operation::OPEN_TARGET,
    Operation::CHOOSE_SLOT,
    Operation::ENTER_NETNS,
    Operation::OBSERVE,
    Operation::READ_BACK,
    Operation::STORE,
    Operation::LEAVE_NETNS,
];

/// The device's uplink, by a name that no guest's interface has.
const UPLINK: &str = "uplink0";

/// Configurations that lead to plans of all kinds.
fn configurations() -> [GuestConfig; 4] {
    [
        config("first"),
        config("second"),
        GuestConfig { addresses: vec!["172.17.200.1".into()], mtu: 1280, ..config("by-address") },
        GuestConfig {
            interfaceName: "eth0".into(),
            gateway: "10.9.8.1".into(),
            prefixLength: 24,
            ..config("elsewhere")
        },
    ]
}

fn changes(plan: &[Change]) -> Vec<(Operation, &str)> {
    plan.iter().map(|change| (change.operation, change.what.as_str())).collect()
}

#[test]
fn dry_runs_change_nothing_and_attach_does_what_was_planned() {
    // The neighbour is in slot 1 on a device where forwarding is on already.
    let bed = Bed::with_neighbour();
    for config in configurations() {
        let (before, name) = (bed.before(), &config.name);
        let plan = bed.service.plan(&config, &bed.target()).expect("plan");
        bed.assert_unchanged(&before, "plan()");
        for target in [by_pidfd(bed.guest.pidfd()), by_netns(bed.guest.open_netns())] {
            let again = bed.service.plan(&config, &target).expect("plan");
            assert_eq!(changes(&again), changes(&plan), "{name}: by another kind of target");
        }
        let layers = bed.service.check(&config, &bed.target()).expect("check");
        bed.assert_unchanged(&before, "check()");
        let expected = [
            Layer::LINK,
            Layer::ADDRESS,
            Layer::ROUTE,
            Layer::RULE,
            Layer::FORWARDING,
            Layer::FIREWALL,
            Layer::NAT,
            Layer::DNS,
            Layer::UPLINK,
        ];
        assert_eq!(layers.iter().map(|l| l.layer).collect::<Vec<_>>(), expected, "{name}");
        assert!(
            layers.iter().all(|l| l.state == LayerState::OK && !l.text.is_empty()),
            "{layers:?}"
        );

        let attached = bed.service.attach(&config, &bed.target(), None).expect("attach");
        let steps = attached.timeline.iter().map(|step| (step.operation, step.what.as_str()));
        let (done, beside): (Vec<_>, Vec<_>) =
            steps.partition(|(operation, _)| operation.0 < Operation::OPEN_TARGET.0);
        assert_eq!(done, changes(&plan), "{name}");
        let beside: Vec<_> = beside.into_iter().map(|(operation, _)| operation).collect();
        assert_eq!(beside, BESIDE, "{name}");
        let mut end = 0;
        for step in &attached.timeline {
            assert!(step.startMicros >= 0 && step.durationMicros >= 0, "{step:?}");
            assert!(step.startMicros >= end, "{step:?} began before the one before ended");
            end = step.startMicros + step.durationMicros;
        }
        bed.service.detach(name).expect("detach");
    }
}

#[test]
fn a_plan_on_an_idle_device_switches_forwarding_on() {
    let device = Device::new();
    let daemon = Daemon::new(&device).started();
    let (service, guest) = (daemon.connect(), Guest::new());
    let plan = service.plan(&config("a"), &by_pid(guest.pid())).expect("plan");
    let forwarding: Vec<&Change> =
        plan.iter().filter(|c| c.command == "sysctl -w net.ipv4.ip_forward=1").collect();
    assert_eq!(forwarding.len(), 1, "{plan:?}");
    assert_eq!((forwarding[0].kind, forwarding[0].place), (ChangeKind::SET, Place::DEVICE));
    assert_eq!(device.sysctl("net/ipv4/ip_forward"), "0");
    let layers = service.check(&config("a"), &by_pid(guest.pid())).expect("check");
    assert!(layers.iter().all(|layer| layer.state == LayerState::OK), "{layers:?}");
    service.attach(&config("a"), &by_pid(guest.pid()), None).expect("attach");
    assert_eq!(device.sysctl("net/ipv4/ip_forward"), "1");
    // It is on now: nobody plans it again.
    let plan = service.plan(&config("b"), &by_pid(Guest::new().pid())).expect("plan");
    assert!(!plan.iter().any(|c| c.command.contains("ip_forward")), "{plan:?}");
}

#[test]
fn the_commands_of_a_plan_do_what_attach_does() {
    let device = || Device::options().uplink(UPLINK).build();
    let (ours, by_hand) = (device(), device());
    let daemon = Daemon::new(&ours).args("--uplink").args(UPLINK).started();
    let service = daemon.connect();
    let mut guests = Vec::new();
    for config in configurations() {
        let (guest, twin) = (Guest::new(), Guest::new());
        let plan = service.plan(&config, &by_pid(guest.pid())).expect("plan");
        let attached = service.attach(&config, &by_pid(guest.pid()), None).expect("attach");
        for change in &plan {
            assert!(!change.command.is_empty() && !change.what.is_empty(), "{change:?}");
            if change.operation == Operation::SET_PACKET_FILTER {
                // The packet filter is no single command, and says where it can be read; but for a guest.
                assert_eq!(change.place, Place::DEVICE);
                let says = ["guestnetctl dump", "nft add element inet guestnet guests"];
                assert!(says.iter().any(|says| change.command.contains(says)), "{change:?}");
                continue;
            }
            let out = type_in(change, &by_hand, &twin);
            assert!(out.status.success(), "{}: {}", change.command, said(&out));
        }
        guests.push((config.name, attached.hostInterface, guest, twin));
        for (name, host, guest, twin) in &guests {
            assert_same(&format!("{name}'s side"), guest, twin);
            let key = format!("net/ipv6/conf/{host}/disable_ipv6");
            assert_eq!(ours.sysctl(&key), by_hand.sysctl(&key), "{key}");
        }
        assert_same("the device", &ours, &by_hand);
        assert_eq!(by_hand.sysctl("net/ipv4/ip_forward"), "1");
    }
    // Typed in, it works as far as it goes: no packet filter, so no address translation.
    for (name, _, guest, twin) in &guests {
        assert!(guest.ping(Internet::ADDRESS), "{name}");
        assert!(twin.ping("172.17.3.2") || twin.ping("10.9.8.1"), "{name}'s twin");
    }
}

/// One command of a plan, where the plan says.
fn type_in(change: &Change, device: &Device, guest: &Guest) -> Output {
    // `ip` takes the pid of a process in it as well as a namespace's name.
    let line = change.command.replace("GUEST", &guest.pid().to_string());
    match change.place {
        Place::GUEST => guest.try_run(&line),
        _ => device.try_run(&line),
    }
}

/// Links, addresses and routes, but for the uplink, which is anybody's, and without the numbers
/// that differ from one namespace to the next.
fn network(netns: &impl InNetns) -> Vec<String> {
    let asked = ["link", "addr", "-4 route show table all", "-6 route show table all"];
    let all = asked.iter().flat_map(|what| netns.ip(what));
    let guests = all.filter(|value| value["ifname"] != UPLINK && value["dev"] != UPLINK);
    let mut lines: Vec<String> = guests.map(|value| without_numbers(value).to_string()).collect();
    lines.sort_unstable();
    lines
}

fn without_numbers(mut value: Value) -> Value {
    if let Some(object) = value.as_object_mut() {
        for number in ["ifindex", "link_index", "link_netnsid"] {
            object.remove(number);
        }
    }
    value
}

#[track_caller]
fn assert_same(what: &str, ours: &impl InNetns, by_hand: &impl InNetns) {
    let differ = || {
        let (ours, by_hand) = (network(ours), network(by_hand));
        let missing: Vec<_> = ours.iter().filter(|line| !by_hand.contains(line)).cloned().collect();
        let more: Vec<_> = by_hand.iter().filter(|line| !ours.contains(line)).cloned().collect();
        (missing, more)
    };
    // A carrier, and with it a link-local address, comes a little later than its link.
    poll(BOUND / 4, || (differ() == (vec![], vec![])).then_some(())).unwrap_or_else(|| {
        let (missing, more) = differ();
        panic!("{what}: attach made\n{}\nby hand it is\n{}", missing.join("\n"), more.join("\n"))
    });
}
