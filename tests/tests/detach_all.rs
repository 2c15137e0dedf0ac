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

//! All guests go at once, by the group of their links; nothing of others goes with them.

use guestnet_tests::bed::{Bed, BOUND, FIRST, FORWARDING};
use guestnet_tests::client::{address, by_netns, config};
use guestnet_tests::{poll, Guest, InNetns, Internet, Probe, Snapshot};
use std::thread;

guestnet_tests::with_both_backends!(all_guests_go_and_nothing_else_does);

/// The group of guestnetd's links, and one of those that they get on their way out.
const GROUP: u32 = 0x676e_6574;
const LEAVING: u32 = 0x676e_0001;
/// More than one message deletes.
const GUESTS: usize = 300;

fn all_guests_go_and_nothing_else_does(firewall: &str) {
    let bed = Bed::new(firewall);
    for (name, group) in [
        ("theirs0", 0),
        ("theirs1", 5),
        ("theirs2", GROUP),
        ("theirs3", LEAVING),
        // All but the MAC is as guestnetd has it.
        ("vm_wlan4000", GROUP),
        ("vm_wlan4001", LEAVING),
    ] {
        bed.device.run(&format!("ip link add {name} group {group} type veth peer name p{name}"));
    }
    assert_eq!(bed.service.detachAll().expect("detachAll"), 0);
    let before = Snapshot::of(&bed.device);

    let guests: Vec<Guest> = (0..GUESTS).map(|_| Guest::new()).collect();
    for (k, guest) in guests.iter().enumerate() {
        let name = format!("guest{k}");
        bed.service.attach(&config(&name), &by_netns(guest.open_netns()), None).expect("attach");
    }
    assert!(guests[GUESTS - 1].tcp(Internet::TCP, "hello").is_ok());
    assert_eq!(bed.service.detachAll().expect("detachAll"), GUESTS as i32);
    assert_eq!(bed.names(), [""; 0]);
    before.assert_same(&Snapshot::of(&bed.device));
    assert_eq!(bed.device.sysctl(FORWARDING), "0");
    for guest in &guests {
        assert_eq!(guest.links(), ["lo"]);
    }
    assert!(!bed.daemon.log().contains("one by one"), "{}", bed.daemon.log());

    assert_eq!(address(&bed.attach("guest0", &guests[0])), FIRST);
    assert!(guests[0].tcp(Internet::TCP, "again").is_ok(), "{}", bed.daemon.log());
}

#[test]
fn guests_come_and_go_while_all_go() {
    let bed = Bed::new("auto");
    let guests: Vec<Guest> = (0..60).map(|_| Guest::new()).collect();
    for (k, guest) in guests[..50].iter().enumerate() {
        bed.attach(&format!("guest{k}"), guest);
    }
    thread::scope(|scope| {
        // Those that are on their way out are waited for by whoever wants them gone.
        let early = scope.spawn(|| bed.daemon.connect().detach("guest7"));
        let all = scope.spawn(|| bed.daemon.connect().detachAll());
        let new = scope.spawn(|| {
            let service = bed.daemon.connect();
            for (k, guest) in guests[50..].iter().enumerate() {
                let target = by_netns(guest.open_netns());
                service.attach(&config(&format!("new{k}")), &target, None).expect("attach");
            }
        });
        let gone = all.join().unwrap().expect("detachAll");
        // It was detached before or by it, or not at all any more.
        let _ = early.join().unwrap();
        new.join().unwrap();
        assert!((49..=60).contains(&gone), "{gone}");
    });
    // Each of the new ones is there whole or not at all.
    let there = bed.names();
    assert!(there.iter().all(|name| name.starts_with("new")), "{there:?}");
    for (k, guest) in guests[50..].iter().enumerate() {
        let attached = there.contains(&format!("new{k}"));
        assert_eq!(guest.tcp(Internet::TCP, "hello").is_ok(), attached, "new{k}");
    }
}

#[test]
fn a_crash_on_the_way_out_leaves_a_link_that_the_next_start_deletes() {
    let mut bed = Bed::new("auto");
    let guest = Guest::new();
    bed.attach("demo", &guest);
    // Dead by then: it would put the group back.
    bed.daemon.kill();
    bed.device.run(&format!("ip link set vm_wlan group {LEAVING}"));
    bed.device.run(&format!("ip link add theirs group {LEAVING} type veth peer name ptheirs"));
    bed.start();
    poll(BOUND, || bed.device.link("vm_wlan").is_none().then_some(())).expect("it goes");
    assert_eq!(bed.names(), [""; 0]);
    assert!(bed.device.link("theirs").is_some());
    assert_eq!(address(&bed.attach("demo", &guest)), FIRST);
}
