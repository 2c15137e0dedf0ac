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

//! The server's packet socket: one for all guests, and none without any that may ask.

use std::time::{Duration, Instant};

use android_system_guestnet::aidl::android::system::guestnet::Dhcp::Dhcp;
use android_system_guestnet::aidl::android::system::guestnet::DnsMode::DnsMode;
use android_system_guestnet::aidl::android::system::guestnet::GuestConfig::GuestConfig;
use android_system_guestnet::aidl::android::system::guestnet::IGuestNet::IGuestNet;
use guestnet_tests::bed::{eventually, Bed};
use guestnet_tests::client::{by_pid, config};
use guestnet_tests::{Guest, InNetns};

/// How many there are in the device's namespace.
fn sockets(bed: &Bed) -> usize {
    let text = bed.device.enter(|| std::fs::read_to_string("/proc/thread-self/net/packet"));
    text.expect("packet(7)").lines().skip(1).count()
}

#[test]
fn one_packet_socket_is_all_guests_and_goes_with_the_last() {
    let bed = Bed::new("nftables");
    let off = |name: &str| GuestConfig { dhcp: Dhcp::OFF, ..config(name) };
    let guests: Vec<_> = (0..20).map(|_| Guest::new()).collect();
    let name = |n: usize| format!("box{n}");
    for (n, guest) in guests.iter().enumerate() {
        bed.attach_as(&off(&name(n)), &by_pid(guest.pid()));
    }
    // Longer than it takes the servers' thread to begin.
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(sockets(&bed), 0, "nobody may ask");
    for n in 0..20 {
        bed.service.update(&name(n), &config(&name(n))).expect("update");
        eventually("one for all", || sockets(&bed) == 1);
    }
    for n in 0..19 {
        bed.detach(&name(n));
        assert_eq!(sockets(&bed), 1, "without {n}");
    }
    bed.detach(&name(19));
    let gone = || {
        let began = Instant::now();
        eventually("it is closed", || sockets(&bed) == 0);
        began.elapsed()
    };
    let with_the_guest = gone();
    // The next one has it again, and one that may not ask any more has none, though another is answered names.
    let names = GuestConfig { dns: DnsMode::FORWARD, ..off("names") };
    bed.attach_as(&names, &by_pid(guests[0].pid()));
    bed.attach("box", &bed.guest);
    eventually("one again", || sockets(&bed) == 1);
    bed.service.update("box", &off("box")).expect("update");
    // A busy machine may be late once.
    let times = [with_the_guest, gone()];
    eprintln!("closed after {times:?}");
    assert!(times.iter().any(|time| *time < Duration::from_secs(2)), "{times:?}");
}
