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

//! What a VM does not get beyond: IPv6 anywhere, and more connections than it may have.

use std::net::Ipv6Addr;
use std::time::Duration;

use android_system_guestnet::aidl::android::system::guestnet::IGuestNet::IGuestNet;
use guestnet_tests::bed::{eventually, Bed, BOUND};
use guestnet_tests::vm::{ipv6_udp, Vm};
use guestnet_tests::{Device, InNetns, Internet, Probe};

use super::{attach, FIRST, GATEWAY, INTERNET};

/// What somebody could give a VM, and the address of all on its link.
const GIVEN: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 5, 0, 0, 0, 0, 3);
const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 3);
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// Datagrams over IPv6 that a namespace's own sockets have had, and those that nobody was there for.
fn datagrams(netns: &impl InNetns) -> u64 {
    let text = netns.enter(|| std::fs::read_to_string("/proc/thread-self/net/snmp6"));
    let number = |line: &str| {
        let (name, value) = line.split_once(char::is_whitespace)?;
        let counts = ["Udp6InDatagrams", "Udp6NoPorts"].contains(&name);
        counts.then(|| value.trim().parse::<u64>().expect("a number"))
    };
    text.expect("IPv6").lines().filter_map(number).sum()
}

#[test]
fn no_ipv6_of_a_vm_goes_anywhere() {
    let mut bed = Bed::on(Device::options().ipv6().build()).args("--firewall nftables").build();
    let mut vm = Vm::of(&mut attach(&bed, "vm"));
    vm.boots();
    let mac = vm.resolve(GATEWAY, BOUND).expect("the gateway answers");
    let internet: Ipv6Addr = Internet::ADDRESS6.parse().expect("an address");
    let device: Ipv6Addr = Device::ADDRESS6.parse().expect("an address");
    let sends = |vm: &Vm| {
        for from in [GIVEN, LINK_LOCAL, device] {
            for to in [internet, device, ALL_NODES] {
                vm.sends_ipv6(mac, &ipv6_udp(from, to, [5000, 7], b"over IPv6"));
                vm.sends_ipv6([0x33, 0x33, 0, 0, 0, 1], &ipv6_udp(from, to, [5000, 7], b"to all"));
            }
        }
    };
    let came = |bed: &Bed| [datagrams(&bed.device.internet), datagrams(&bed.device)];
    let before = came(&bed);
    sends(&vm);
    assert_eq!(vm.ipv6_that_comes(Duration::from_millis(300)), 0);
    assert_eq!(came(&bed), before);
    // Its link has no IPv6. With some that somebody gives it, the rules are there none the less.
    bed.device.set_sysctl("net/ipv6/conf/vm_wlan/disable_ipv6", "0");
    bed.device.set_sysctl("net/ipv6/conf/all/forwarding", "1");
    bed.device.run("ip -6 route add 2001:db8:5::/64 dev vm_wlan");
    let settled = || !bed.device.addresses(6, "vm_wlan").is_empty();
    eventually("a link-local address", settled);
    sends(&vm);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(came(&bed), before);
    bed.remove_rules();
    eventually("the control: it is the rules that forbid it", || {
        sends(&vm);
        let now = came(&bed);
        now[0] > before[0] && now[1] > before[1]
    });
}

#[test]
fn a_vm_has_no_more_connections_than_a_guest_may_have() {
    const MOST: usize = 64;
    for firewall in ["nftables", "iptables"] {
        let args = format!("--firewall {firewall} --guest-connections {MOST}");
        let bed = Bed::on(Device::new()).args(&args).build();
        let mut vm = Vm::of(&mut attach(&bed, "vm"));
        vm.boots();
        let mac = vm.resolve(GATEWAY, BOUND).expect("the gateway answers");
        let entries = || {
            let all = bed.device.run("conntrack -L");
            all.lines().filter(|line| line.contains(&format!("src={FIRST} "))).count()
        };
        let mut most = 0;
        for round in 0..20 {
            for port in 0..100 {
                vm.sends_udp(mac, INTERNET, [10_000 + round * 100 + port, 7]);
            }
            std::thread::sleep(Duration::from_millis(50));
            most = most.max(entries());
        }
        eprintln!("{firewall}: {most} entries of 2000 flows");
        assert!((MOST / 8..=MOST).contains(&most), "{firewall}: {most} entries");
        let dropped = bed.service.status(Some("vm")).expect("status").droppedPackets;
        assert!(dropped > 0, "{firewall}: {dropped}");
    }
}
