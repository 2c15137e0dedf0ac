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

//! netd and guestnetd die together and come back in any order, the framework later than both: guests are
//! taken over and online again without a call, calls are answered meanwhile, and a guest that a lockdown
//! stops sends nothing.

use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use android_system_guestnet::aidl::android::system::guestnet::Cause::Cause;
use android_system_guestnet::aidl::android::system::guestnet::IGuestNet::IGuestNet;
use android_system_guestnet::aidl::android::system::guestnet::Layer::Layer;
use android_system_guestnet::aidl::android::system::guestnet::LayerState::LayerState;
use guestnet_platform::Connection;
use guestnet_tests::bed::{Bed, BOUND};
use guestnet_tests::netd::Piece::{self, Default, Lockdown, Network};
use guestnet_tests::netd::{NetdDevice, Variant};
use guestnet_tests::{poll, Daemon, Guest, InNetns, Probe};

use crate::late::{stopped, Sent};

/// As long as a start may take until calls are answered, on a busy machine. Where netd answers nobody
/// that ends only afterwards.
const SOON: Duration = Duration::from_secs(10);

/// When guestnetd comes back.
#[derive(Clone, Copy, Debug)]
enum Comes {
    /// Before netd, which answers nobody for so many milliseconds more.
    First(u64),
    /// So many milliseconds after netd has begun, in the middle of its steps.
    Amid(u64),
    /// After netd, and before the framework.
    BeforeTheFramework,
    /// When all is back.
    Last,
}

/// Each of them.
const MOMENTS: [Comes; 6] = [
    Comes::First(100),
    Comes::Amid(0),
    Comes::Amid(250),
    Comes::Amid(500),
    Comes::BeforeTheFramework,
    Comes::Last,
];
/// The default network is there long before the lockdown.
const LOCKDOWN_LAST: &[Piece] =
    &[Network("wlan0"), Default("wlan0"), Network("tun0"), Network("rmnet0"), Lockdown];
const LOCKDOWN_FIRST: &[Piece] =
    &[Lockdown, Network("rmnet0"), Network("wlan0"), Default("wlan0"), Network("tun0")];
/// Between two steps of netd's: all of them take about a second.
const STEP: Duration = Duration::from_millis(15);

/// Starts guestnetd, which answers soon, with its guests.
#[track_caller]
fn starts(
    (daemon, service): (&mut Daemon, &mut Connection<dyn IGuestNet>),
    guests: &[&str],
    when: Comes,
) {
    let begun = Instant::now();
    daemon.start();
    *service = daemon.connect();
    let list = service.list().expect("list");
    service.status(None).expect("status");
    let took = begun.elapsed();
    println!("{when:?}: answered after {took:?}");
    let log = daemon.log();
    assert!(took < SOON, "{when:?}: {took:?}\n{log}");
    let mut names: Vec<_> = list.into_iter().map(|guest| guest.name).collect();
    names.sort();
    assert_eq!(names, guests, "{when:?}\n{log}");
}

/// Both die, and come back; the framework is so late, and so slow.
#[track_caller]
fn both_restart(
    bed: &mut Bed<NetdDevice>,
    guests: &[&str],
    when: Comes,
    (late, pace): (Duration, Duration),
    order: &[Piece],
) {
    bed.daemon.kill();
    // Not before all is read that it has said.
    assert!(!bed.daemon.wait_log("(never said)", BOUND));
    let Bed { daemon, service, device, .. } = bed;
    match when {
        Comes::First(long) => {
            let dead = device.hold_netd();
            starts((daemon, service), guests, when);
            sleep(Duration::from_millis(long));
            drop(dead);
            device.netd_restarts_alone(STEP);
        }
        Comes::Amid(after) => scope(|threads| {
            let device: &NetdDevice = device;
            let netd = threads.spawn(move || device.netd_restarts_alone(STEP));
            sleep(Duration::from_millis(after));
            starts((daemon, service), guests, when);
            netd.join().expect("netd");
        }),
        Comes::BeforeTheFramework => {
            device.netd_restarts_alone(STEP);
            starts((daemon, service), guests, when);
        }
        Comes::Last => device.netd_restarts_alone(STEP),
    }
    sleep(late);
    device.framework_returns_with(pace, order);
    if let Comes::Last = when {
        starts((daemon, service), guests, when);
    }
}

/// The stopped guest stays so, and the other one is online again.
#[track_caller]
fn under_lockdown(
    bed: &mut Bed<NetdDevice>,
    other: &Guest,
    when: Comes,
    (late, pace): (Duration, Duration),
    order: &[Piece],
) {
    let sent = Sent::of(bed);
    both_restart(bed, &["demo", "other"], when, (late, pace), order);
    sleep(Duration::from_millis(500));
    let past = sent.past_the_lockdown();
    assert_eq!(past, 0, "{when:?}, {late:?}, {order:?}\n{}", bed.daemon.log());
    let flows = || (other.udp(NetdDevice::UDP, "x").ok()? == "192.0.2.2 x").then_some(());
    let online = poll(BOUND, flows).is_some();
    assert!(online, "{when:?}\n{}\n{}", bed.state_in_words(), bed.daemon.log());
    assert_eq!(bed.layer(Layer::RULE).cause, Cause::LOCKDOWN, "{when:?}");
}

/// Without a lockdown: the guest is online again, by netd's switch.
#[track_caller]
fn without_lockdown(bed: &mut Bed<NetdDevice>, when: Comes, late: Duration) {
    both_restart(bed, &["demo"], when, (late, Duration::ZERO), &[Network("wlan0"), WLAN0]);
    bed.flows_as("192.0.2.2");
    assert_eq!(bed.device.forwarding_requesters(), ["guestnetd"], "{when:?}");
}
const WLAN0: Piece = Default("wlan0");

fn at_every_moment(variant: Variant) {
    let (mut bed, other) = stopped(variant);
    let pace = Duration::from_millis(50);
    for (nth, when) in MOMENTS.into_iter().enumerate() {
        let order = if nth % 2 == 0 { LOCKDOWN_LAST } else { LOCKDOWN_FIRST };
        let late = Duration::from_millis(100 * (nth as u64 % 3));
        under_lockdown(&mut bed, &other, when, (late, pace), order);
    }
    bed.device.lockdown(false);
    bed.flows_as("192.0.2.2");
    bed.end();
    let mut bed = Bed::on_netd(NetdDevice::of(variant)).attached("demo").build();
    bed.flows_as("192.0.2.2");
    for when in [Comes::First(100), Comes::Amid(300), Comes::Last] {
        without_lockdown(&mut bed, when, Duration::from_millis(100));
    }
    bed.end();
}

#[test]
fn both_restart_on_android_12() {
    at_every_moment(Variant::Android12);
}

#[test]
fn both_restart_on_android_13() {
    at_every_moment(Variant::Android13);
}

#[test]
fn both_restart_on_android_15() {
    at_every_moment(Variant::Android15);
}

#[test]
fn both_restart_on_android_16() {
    at_every_moment(Variant::Android16);
}

#[test]
fn while_netd_is_away_it_is_said_what_is_waited_for() {
    let mut bed = Bed::on_netd(NetdDevice::new()).attached("demo").build();
    bed.flows_as("192.0.2.2");
    bed.daemon.kill();
    assert!(!bed.daemon.wait_log("(never said)", BOUND));
    let dead = bed.device.hold_netd();
    bed.device.set_sysctl("net/ipv4/ip_forward", "0");
    let Bed { daemon, service, .. } = &mut bed;
    starts((daemon, service), &["demo"], Comes::First(0));
    let waits = || {
        let layer = bed.layer(Layer::FORWARDING);
        let said = layer.state != LayerState::OK && layer.text.contains("netd has not answered");
        said.then_some(())
    };
    let said = poll(BOUND, waits);
    assert!(said.is_some(), "{:?}\n{}", bed.layer(Layer::FORWARDING), bed.daemon.log());
    assert!(bed.seen_as().is_none());
    drop(dead);
    bed.flows_as("192.0.2.2");
    bed.end();
}

/// A guest that has ended meanwhile owes netd a word, and netd hears nobody.
#[test]
fn what_netd_is_owed_holds_nobody_up() {
    let mut bed = Bed::on_netd(NetdDevice::new()).attached("demo").build();
    bed.flows_as("192.0.2.2");
    bed.daemon.kill();
    assert!(!bed.daemon.wait_log("(never said)", BOUND));
    bed.guest = Guest::new();
    poll(BOUND, || (!bed.device.run("ip link").contains("vm_wlan")).then_some(())).expect("gone");
    let dead = bed.device.hold_netd();
    let Bed { daemon, service, .. } = &mut bed;
    starts((daemon, service), &[], Comes::First(0));
    drop(dead);
    let free = || bed.device.forwarding_requesters().is_empty().then_some(());
    poll(BOUND, free).unwrap_or_else(|| panic!("{}", bed.daemon.log()));
}

/// For tests/soak/netd: as late as it is on a device, and so often.
#[test]
#[ignore = "takes 40 minutes: tests/soak/netd runs it"]
fn both_restart_40_times_with_a_framework_that_is_half_a_minute_late() {
    let seconds = |late: u64| Duration::from_secs(late);
    for variant in Variant::ALL {
        let (mut bed, other) = stopped(variant);
        for flip in 0..40 {
            let when = MOMENTS[flip % MOMENTS.len()];
            // Every tenth as late as can be; the lockdown comes after the default network for as long.
            let (late, pace) = match flip % 10 {
                0 => (30, 0),
                5 => (0, 7),
                _ => (flip as u64 % 4, 0),
            };
            let order = if flip % 2 == 0 { LOCKDOWN_LAST } else { LOCKDOWN_FIRST };
            println!("{variant:?}: {flip}, {when:?}, {late} s, {pace} s");
            under_lockdown(&mut bed, &other, when, (seconds(late), seconds(pace)), order);
        }
        bed.end();
    }
}
