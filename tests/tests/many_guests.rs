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

//! Many guests: they do not disturb each other, they do not see each other, and any number of
//! them leaves nothing.

use std::collections::BTreeSet;
use std::thread;

use android_system_guestnet::aidl::android::system::guestnet::GuestConfig::GuestConfig;
use android_system_guestnet::aidl::android::system::guestnet::IGuestNet::IGuestNet;
use guestnet_tests::bed::{reached, Bed, Server, Stream, BOUND, FIRST, FORWARDING};
use guestnet_tests::client::{address, by_netns, by_pid, config};
use guestnet_tests::snapshot::open_fds;
use guestnet_tests::{poll, Guest, InNetns, Internet, Probe, Snapshot};
use nix::net::if_::if_nametoindex;

guestnet_tests::with_both_backends!(
    a_neighbour_comes_and_goes_unnoticed,
    guests_do_not_reach_each_other,
    two_subnets_live_side_by_side,
    one_name_is_attached_and_detached_200_times,
    two_hundred_guests_leave_nothing,
);

/// The address of the second guest.
const SECOND: &str = "172.17.3.4";

fn a_neighbour_comes_and_goes_unnoticed(firewall: &str) {
    let bed = Bed::new(firewall);
    let (a, b, c) = (Guest::new(), Guest::new(), Guest::new());
    assert_eq!(address(&bed.attach("a", &a)), FIRST);
    assert_eq!(address(&bed.attach("b", &b)), SECOND);
    assert_eq!(bed.device.addresses(4, "vm_wlan1"), ["172.17.3.2/16"]);
    assert_eq!(b.addresses(4, "wlan0"), ["172.17.3.4/16"]);
    let stream = Stream::open(&b);
    stream.assert_flows();

    bed.detach("a");
    stream.assert_flows();
    assert_eq!(a.links(), ["lo"]);
    assert_eq!(address(&bed.attach("c", &c)), "172.17.3.5", "a's address is kept for a");
    stream.assert_flows();
    assert_eq!(c.tcp(Internet::TCP, "c").unwrap(), "192.0.2.2 c");

    let again = bed.attach("a", &a);
    assert_eq!((address(&again), again.slot), (FIRST, 0));
    assert_eq!(a.tcp(Internet::TCP, "a").unwrap(), "192.0.2.2 a");
    assert_eq!(bed.names(), ["a", "b", "c"]);
    stream.assert_flows();
    for name in ["c", "a"] {
        bed.detach(name);
    }
    stream.end();
    bed.detach("b");
    assert_eq!(bed.names(), [""; 0]);
}

fn guests_do_not_reach_each_other(firewall: &str) {
    let mut bed = Bed::new(firewall);
    let (a, b) = (Guest::new(), Guest::new());
    bed.attach("a", &a);
    bed.attach("b", &b);
    let at = |guest: &Guest| Server::start(guest, &["0.0.0.0:5000", "[::]:5001"]);
    let (on_a, on_b) = (at(&a), at(&b));
    // One that wants to asks the gateway to forward it.
    for (guest, other) in [(&a, SECOND), (&b, FIRST)] {
        guest.run(&format!("ip route add {other}/32 via 172.17.3.2"));
    }
    let over_ipv4 =
        |to: &str| [format!("ping {to}"), format!("tcp {to}:5000"), format!("udp {to}:5000")];
    let over_ipv6 = |from: &Guest, to: &Guest| {
        let address = to.addresses(6, "wlan0").remove(0).replace("/64", "");
        let link = from.link("wlan0").expect("wlan0")["ifindex"].to_string();
        [
            format!("ping {address}%wlan0"),
            format!("tcp [{address}%{link}]:5001"),
            format!("udp [{address}%{link}]:5001"),
        ]
    };
    let nothing = [""; 0];
    assert_eq!(reached(&a, &on_b, &over_ipv4(SECOND)), nothing);
    assert_eq!(reached(&b, &on_a, &over_ipv4(FIRST)), nothing);
    assert_eq!(reached(&a, &on_b, &over_ipv6(&a, &b)), nothing);
    assert_eq!(reached(&b, &on_a, &over_ipv6(&b, &a)), nothing);

    bed.remove_rules();
    assert_eq!(reached(&a, &on_b, &over_ipv4(SECOND)), over_ipv4(SECOND));
    assert_eq!(reached(&b, &on_a, &over_ipv4(FIRST)), over_ipv4(FIRST));
}

fn two_subnets_live_side_by_side(firewall: &str) {
    let bed = Bed::new(firewall);
    let (a, b) = (Guest::new(), Guest::new());
    let before = Snapshot::of(&bed.device);
    let gateway = "10.9.8.1".to_owned();
    let other = GuestConfig { gateway, prefixLength: 24, ..config("b") };
    bed.attach("a", &a);
    let stream = Stream::open(&a);
    assert_eq!(bed.attach_as(&other, &by_pid(b.pid())).gateway, "10.9.8.1");
    assert_eq!(b.tcp(Internet::TCP, "b").unwrap(), "192.0.2.2 b");
    stream.assert_flows();
    bed.detach("b");
    stream.end();
    // The second subnet's rules go with its guest.
    assert!(!Snapshot::of(&bed.device).text().contains("10.9.8."));
    bed.detach("a");
    before.assert_same(&Snapshot::of(&bed.device));
}

/// No sleep, no retry: what detach has answered is true at once.
fn one_name_is_attached_and_detached_200_times(firewall: &str) {
    let bed = Bed::new(firewall);
    let guest = Guest::new();
    let before = Snapshot::of(&bed.device);
    let is_there = || if_nametoindex("vm_wlan").is_ok();
    // On one thread in the device's namespace: a look takes it microseconds.
    bed.device.enter(|| {
        for round in 0..200 {
            let attached = bed.attach("demo", &guest);
            assert_eq!((attached.slot, address(&attached)), (0, FIRST), "round {round}");
            assert!(is_there(), "round {round}");
            bed.detach("demo");
            assert!(!is_there(), "round {round}");
        }
    });
    assert_eq!(guest.links(), ["lo"]);
    before.assert_same(&Snapshot::of(&bed.device));
}

fn two_hundred_guests_leave_nothing(firewall: &str) {
    let bed = Bed::new(firewall);
    // What the first call makes guestnetd open for good is not what is looked for.
    assert_eq!(bed.names(), [""; 0]);
    let before = Snapshot::of(&bed.device);
    let open = open_fds(bed.daemon.pid()).len();
    let guests: Vec<_> = (0..200).map(|k| (format!("guest{k}"), Guest::new())).collect();
    // Four clients at a time.
    let attach = |service: &dyn IGuestNet, (name, guest): &(String, Guest)| {
        let attached = service.attach(&config(name), &by_netns(guest.open_netns()), None);
        let attached = attached.unwrap_or_else(|e| panic!("attach {name}: {e}"));
        address(&attached).to_owned()
    };
    let client = |share: &[(String, Guest)]| -> Vec<String> {
        let service = bed.daemon.connect();
        share.iter().map(|guest| attach(&**service, guest)).collect()
    };
    let addresses: Vec<_> = thread::scope(|scope| {
        let client = &client;
        let clients: Vec<_> =
            guests.chunks(50).map(|share| scope.spawn(move || client(share))).collect();
        clients.into_iter().flat_map(|client| client.join().expect("no panic")).collect()
    });
    assert_eq!(
        addresses.iter().collect::<BTreeSet<_>>().len(),
        200,
        "each has its own: {addresses:?}"
    );
    assert_eq!(bed.names().len(), 200);
    assert_eq!(bed.device.links().iter().filter(|name| name.starts_with("vm_wlan")).count(), 200);
    for (name, guest) in [&guests[0], &guests[99], &guests[199]] {
        assert_eq!(guest.tcp(Internet::TCP, name).unwrap(), format!("192.0.2.2 {name}"));
    }

    let detach = |name: &str| bed.service.detach(name);
    thread::scope(|scope| {
        let detach = &detach;
        for share in guests.chunks(50) {
            scope.spawn(move || {
                for (name, _) in share {
                    detach(name).unwrap_or_else(|e| panic!("detach {name}: {e}"));
                }
            });
        }
    });
    assert_eq!(bed.names(), [""; 0]);
    before.assert_same(&Snapshot::of(&bed.device));
    assert_eq!(bed.device.sysctl(FORWARDING), "0");
    for (name, guest) in &guests {
        assert_eq!(guest.links(), ["lo"], "{name}");
    }
    // The kernel acknowledges the last deletes a little after the links are gone.
    let closed = || (open_fds(bed.daemon.pid()).len() == open).then_some(());
    poll(BOUND, closed).unwrap_or_else(|| {
        panic!("{open} descriptors were open, now {:?}", open_fds(bed.daemon.pid()))
    });
}
