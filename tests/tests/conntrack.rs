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

//! An address that another guest gets has no connections of the guest that had it before.

use android_system_guestnet::aidl::android::system::guestnet::Operation::Operation;
use guestnet_tests::client::{address, by_netns, config};
use guestnet_tests::{Daemon, Device, Guest, InNetns, Internet, Probe};

/// The tracked connections that an address opened.
fn connections(device: &Device, address: &str) -> usize {
    let all = device.enter(|| std::fs::read_to_string("/proc/thread-self/net/nf_conntrack"));
    let text = all.unwrap_or_else(|_| device.run("conntrack -L"));
    text.lines().filter(|line| line.contains(&format!("src={address} "))).count()
}

#[test]
fn the_next_guest_with_an_address_has_none_of_its_predecessors_connections() {
    let device = Device::new();
    let daemon = Daemon::new(&device).started();
    let net = daemon.connect();
    let (first, second) = (Guest::new(), Guest::new());
    net.attach(&config("first"), &by_netns(first.open_netns()), None).unwrap();
    first.udp(Internet::UDP, "hello").unwrap();
    assert!(connections(&device, "172.17.3.3") > 0, "the control: a connection is tracked");
    net.detach("first").unwrap();
    assert!(connections(&device, "172.17.3.3") > 0, "the control: it outlives the guest");

    let guest = net.attach(&config("second"), &by_netns(second.open_netns()), None).unwrap();
    assert_eq!(address(&guest), "172.17.3.3");
    assert_eq!(connections(&device, "172.17.3.3"), 0);
    assert!(guest.timeline.iter().any(|s| s.operation == Operation::FORGET_CONNECTIONS));
    second.udp(Internet::UDP, "hello").unwrap();

    // The same guest again keeps them: they are its own.
    net.detach("second").unwrap();
    net.attach(&config("second"), &by_netns(second.open_netns()), None).unwrap();
    assert!(connections(&device, "172.17.3.3") > 0);
}
