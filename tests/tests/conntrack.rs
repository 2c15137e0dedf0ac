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

//! Tracked connections go with what they belong to: with the guest that has opened them, and with the
//! gap in the rules in which they began.

use android_system_guestnet::aidl::android::system::guestnet::Operation::Operation;
use guestnet_tests::bed::{eventually, Bed, BOUND};
use guestnet_tests::client::{address, by_netns, config};
use guestnet_tests::{uninterrupted, Daemon, Device, Guest, InNetns, Internet, Probe};

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
    eventually("they go with the guest", || connections(&device, "172.17.3.3") == 0);

    // As after a crash in between: its predecessor's are there.
    let theirs = "conntrack -I -s 172.17.3.3 -d 192.0.2.9 -p udp --sport 7 --dport 7 -t 600";
    device.run(theirs);
    let guest = net.attach(&config("second"), &by_netns(second.open_netns()), None).unwrap();
    assert_eq!(address(&guest), "172.17.3.3");
    assert_eq!(connections(&device, "172.17.3.3"), 0);
    assert!(guest.timeline.iter().any(|s| s.operation == Operation::FORGET_CONNECTIONS));
    second.udp(Internet::UDP, "hello").unwrap();

    // Those that a guest opens at once are not taken for what it had before.
    for _ in 0..20 {
        net.detach("second").unwrap();
        net.attach(&config("second"), &by_netns(second.open_netns()), None).unwrap();
        second.udp(Internet::UDP, "hello").unwrap();
        assert!(connections(&device, "172.17.3.3") > 0);
    }
}

/// A UDP flow that begins while a firewall's reload has taken our rules is translated again once they are
/// back: a connection that no NAT has touched would go on so for as long as it lasts.
#[test]
fn a_flow_born_in_a_gap_is_translated_when_the_rules_are_back() {
    let bed = Bed::on(Device::new()).args("--firewall iptables --check-every 2").build();
    let guest = Guest::new();
    bed.attach("demo", &guest);
    let flow = guest.enter(|| {
        let socket = std::net::UdpSocket::bind("0.0.0.0:4446").unwrap();
        socket.connect(Internet::UDP).unwrap();
        socket.set_read_timeout(Some(std::time::Duration::from_millis(100))).unwrap();
        socket
    });
    let answered = || {
        let _ = flow.send(b"hello");
        uninterrupted(|| flow.recv(&mut [0; 64])).is_ok()
    };
    // Connections are tracked as long as a rule asks for it.
    bed.device.run("iptables-legacy -w -A OUTPUT -m conntrack --ctstate ESTABLISHED");
    for words in ["-t nat -F", "-t nat -X", "-F INPUT", "-F FORWARD"] {
        bed.device.run(&format!("iptables-legacy -w {words}"));
    }
    assert!(!answered(), "the control: it leaves with the guest's own address");
    assert!(connections(&bed.device, "172.17.3.3") > 0);
    eventually("it is translated", answered);
    let said = "that no source NAT had touched forgotten";
    assert!(bed.daemon.wait_log(said, BOUND), "{}", bed.daemon.log());
}
