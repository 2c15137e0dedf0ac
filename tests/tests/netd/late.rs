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

//! netd starts again, or its lockdown is replaced, and the framework comes back when it pleases: one
//! thing after the other, in any order. A guest that the lockdown stops sends nothing meanwhile, and
//! the others are online again.

use std::thread::sleep;
use std::time::{Duration, Instant};

use android_system_guestnet::aidl::android::system::guestnet::Cause::Cause;
use android_system_guestnet::aidl::android::system::guestnet::Layer::Layer;
use guestnet_tests::bed::{Bed, BOUND};
use guestnet_tests::netd::Piece::{self, Default, Hotspot, Lockdown, Network};
use guestnet_tests::netd::{NetdDevice, Variant, Watch};
use guestnet_tests::traffic::Prober;
use guestnet_tests::{poll, Guest, Probe};

use crate::vpn::stopped_under_lockdown;

/// As the framework does it, and as it does not yet.
const ORDERS: [&[Piece]; 4] = [
    &[Lockdown, Network("wlan0"), Default("wlan0"), Network("rmnet0"), Network("tun0"), Hotspot],
    &[Network("tun0"), Network("rmnet0"), Default("rmnet0"), Lockdown, Network("wlan0"), WLAN0],
    &[Lockdown, Network("rmnet0"), Default("rmnet0"), Network("wlan0"), WLAN0, Network("tun0")],
    &[Network("wlan0"), Default("wlan0"), Network("tun0"), Network("rmnet0"), Hotspot, Lockdown],
];
const WLAN0: Piece = Default("wlan0");

/// A bed with a guest that a lockdown stops, now, and another one.
pub(crate) fn stopped(variant: Variant) -> (Bed<NetdDevice>, Guest) {
    let bed = Bed::on_netd(NetdDevice::of(variant)).build();
    bed.attach_as(&stopped_under_lockdown(), &bed.target());
    let other = Guest::new();
    bed.attach("other", &other);
    bed.flows_as("192.0.2.2");
    bed.device.connect("rmnet0", NetdDevice::RMNET0);
    bed.device.vpn_up("tun0");
    bed.device.lockdown(true);
    poll(BOUND, || bed.seen_as().is_none().then_some(())).expect("it is stopped");
    (bed, other)
}

/// What a stopped guest tries to send, counted where it would leave the device.
pub(crate) struct Sent(Watch, Prober);

impl Sent {
    /// From now on.
    pub(crate) fn of(bed: &Bed<NetdDevice>) -> Self {
        let watch = bed.device.watch(&["wlan0", "rmnet0", "tun0"]);
        let every = Duration::from_millis(1);
        Self(watch, Prober::start(&bed.guest, 1, NetdDevice::UDP, every).expect("a prober"))
    }

    /// How much of it has left.
    #[track_caller]
    pub(crate) fn past_the_lockdown(self) -> u64 {
        let Self(watch, prober) = self;
        let sent = prober.end().expect("probes").len();
        let found = watch.end();
        found.assert_clean();
        assert!(found.from_guests > 100 && sent > 100, "{sent} probes: {found:?}");
        found.forwarded
    }
}

fn sent_past_the_lockdown(bed: &Bed<NetdDevice>, meanwhile: impl FnOnce()) -> u64 {
    let sent = Sent::of(bed);
    meanwhile();
    sent.past_the_lockdown()
}

/// netd starts again, and so long later the framework comes back in this order.
#[track_caller]
fn stays_stopped(
    bed: &Bed<NetdDevice>,
    other: &Guest,
    late: Duration,
    pace: Duration,
    order: &[Piece],
) {
    let past = sent_past_the_lockdown(bed, || {
        bed.device.netd_restarts_alone(Duration::from_millis(1));
        sleep(late);
        let rule = bed.layer(Layer::RULE);
        assert_eq!(rule.cause, Cause::LOCKDOWN, "{rule:?}");
        assert!(rule.text.contains("until it is known"), "{rule:?}");
        bed.device.framework_returns_with(pace, order);
        sleep(Duration::from_millis(500));
    });
    assert_eq!(past, 0, "{late:?}, {order:?}\n{}", bed.daemon.log());
    let flows = || (other.udp(NetdDevice::UDP, "x").ok()? == "192.0.2.2 x").then_some(());
    assert!(poll(BOUND, flows).is_some(), "{order:?}\n{}", bed.state_in_words());
    assert_eq!(bed.layer(Layer::RULE).cause, Cause::LOCKDOWN);
}

/// Each version with two of the orders, each order with two of the versions.
fn on(variant: Variant, which: [usize; 2]) {
    let (bed, other) = stopped(variant);
    for at in which {
        let late = Duration::from_millis(400 * at as u64);
        let order = ORDERS[at];
        stays_stopped(&bed, &other, late, Duration::from_millis(100), order);
        bed.device.hotspot(false);
    }
    bed.device.lockdown(false);
    bed.flows_as("192.0.2.2");
    bed.end();
}

#[test]
fn a_framework_that_is_late_on_android_12() {
    on(Variant::Android12, [0, 1]);
}

#[test]
fn a_framework_that_is_late_on_android_13() {
    on(Variant::Android13, [1, 2]);
}

#[test]
fn a_framework_that_is_late_on_android_15() {
    on(Variant::Android15, [2, 3]);
}

#[test]
fn a_framework_that_is_late_on_android_16() {
    on(Variant::Android16, [3, 0]);
}

#[test]
fn a_guestnetd_that_starts_before_the_framework() {
    for order in [ORDERS[0], ORDERS[3]] {
        let (mut bed, _other) = stopped(Variant::Android16);
        bed.daemon.kill();
        bed.device.netd_restarts_alone(Duration::ZERO);
        bed.start();
        let past = sent_past_the_lockdown(&bed, || {
            sleep(Duration::from_millis(300));
            bed.device.framework_returns_with(Duration::from_millis(100), order);
            sleep(Duration::from_millis(500));
        });
        assert_eq!(past, 0, "{order:?}\n{}", bed.daemon.log());
        bed.device.lockdown(false);
        bed.flows_as("192.0.2.2");
        bed.end();
    }
}

/// For tests/soak/netd: as late as it is on a device.
#[test]
#[ignore = "takes 20 minutes"]
fn a_framework_that_is_half_a_minute_late() {
    for variant in Variant::ALL {
        let (bed, other) = stopped(variant);
        for order in ORDERS {
            for late in [0, 3, 10, 30] {
                println!("{variant:?}: {late} s, {order:?}");
                let late = Duration::from_secs(late);
                stays_stopped(&bed, &other, late, Duration::from_secs(1), order);
                bed.device.hotspot(false);
            }
        }
        bed.device.lockdown(false);
        bed.flows_as("192.0.2.2");
        bed.end();
    }
}

/// For tests/soak/netd: the lockdown comes half a minute after the default network.
#[test]
#[ignore = "takes 4 minutes: tests/soak/netd runs it"]
fn a_framework_that_is_half_a_minute_late_with_the_lockdown() {
    for variant in Variant::ALL {
        let (bed, other) = stopped(variant);
        println!("{variant:?}");
        // The default network is the second of six, the lockdown the last.
        let pace = Duration::from_millis(7500);
        stays_stopped(&bed, &other, Duration::ZERO, pace, ORDERS[3]);
        bed.device.hotspot(false);
        bed.device.lockdown(false);
        bed.flows_as("192.0.2.2");
        bed.end();
    }
}

#[test]
fn a_lockdown_that_is_replaced_lets_nothing_out() {
    for variant in Variant::ALL {
        let (bed, _other) = stopped(variant);
        let mut longest = Duration::ZERO;
        let past = sent_past_the_lockdown(&bed, || {
            for _ in 0..40 {
                let begun = Instant::now();
                bed.device.replace_lockdown();
                longest = longest.max(begun.elapsed());
                sleep(Duration::from_millis(20));
            }
        });
        // It is taken for gone after a second: a machine on which `ip` takes that long proves nothing.
        assert!(past == 0 || longest > Duration::from_secs(1), "{past}\n{}", bed.daemon.log());
        bed.device.lockdown(false);
        bed.flows_as("192.0.2.2");
        bed.end();
    }
}
