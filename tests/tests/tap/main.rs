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

//! Guests by a TAP device: a descriptor is all that there is of them. Real packets, by the device's own NAT.

mod beyond;
mod ctl;
mod ends;
mod offload;
mod queues;
mod real;
mod refused;

use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

use android_system_guestnet::aidl::android::system::guestnet::{
    DiagnoseOptions::DiagnoseOptions, DnsMode::DnsMode, Guest::Guest as Attached,
    GuestConfig::GuestConfig, GuestKind::GuestKind, GuestState::GuestState,
    GuestTarget::GuestTarget, IGuestNet::IGuestNet, TargetKind::TargetKind, Verdict::Verdict,
};
use guestnet_tests::bed::{eventually, guests_table, Bed, BOUND};
use guestnet_tests::client::{address, by_pid, config};
use guestnet_tests::resolver::{question, Resolver, Says};
use guestnet_tests::vm::{asked, syn, udp, Lease, Vm, ACK, DISCOVER, NAK, OFFER, REQUEST};
use guestnet_tests::{with_both_backends, Device, Guest, InNetns, Internet, NetdDevice, Probe};

const GATEWAY: Ipv4Addr = Ipv4Addr::new(172, 17, 3, 2);
const FIRST: Ipv4Addr = Ipv4Addr::new(172, 17, 3, 3);
const INTERNET: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// No target.
fn nowhere() -> GuestTarget {
    GuestTarget { kind: TargetKind::NONE, ..GuestTarget::default() }
}

/// The original's set-up, by a TAP device.
fn tap(name: &str) -> GuestConfig {
    GuestConfig { kind: GuestKind::TAP, ..config(name) }
}

/// A guest of that kind, with its descriptors.
#[track_caller]
fn attach<D: InNetns>(bed: &Bed<D>, name: &str) -> Attached {
    bed.attach_as(&tap(name), &nowhere())
}

/// The kernel's words for a host end.
fn link(device: &impl InNetns) -> serde_json::Value {
    device.link("vm_wlan").expect("the host end")
}

with_both_backends!(a_vm_gets_its_lease_and_reaches_the_internet_as_a_container_does);

fn a_vm_gets_its_lease_and_reaches_the_internet_as_a_container_does(firewall: &str) {
    let bed = Bed::new(firewall);
    let mut guest = attach(&bed, "vm");
    assert_eq!((guest.kind, guest.state), (GuestKind::TAP, GuestState::ATTACHED));
    assert_eq!((guest.hostInterface.as_str(), guest.tap.len()), ("vm_wlan", 1));
    let mut vm = Vm::of(&mut guest);
    let lease = Lease { kind: ACK, address: FIRST, gateway: Some(GATEWAY), mtu: Some(1500) };
    assert_eq!(vm.boots(), lease);
    let there = link(&bed.device);
    let mac = vm.resolve(GATEWAY, BOUND).expect("the gateway answers");
    let mac: Vec<_> = mac.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(there["address"], mac.join(":"));
    assert!(vm.pings(GATEWAY));
    assert!(vm.pings(INTERNET), "{}", bed.daemon.log());
    // Its marks are those of every host end.
    assert_eq!((&there["ifalias"], &there["group"]), (&"guestnet:vm".into(), &"1735288180".into()));
    assert_eq!(there["linkinfo"]["info_kind"], "tun");
    // Nothing is said of a side that nobody has seen.
    let status = bed.service.status(Some("vm")).expect("status");
    let layers = &status.guests[0].layers;
    let text: Vec<_> = layers.iter().map(|layer| layer.text.as_str()).collect();
    assert_eq!(status.guests[0].verdict, Verdict::INTERNET, "{text:?}");
    assert_eq!(text[0], "vm_wlan is up, and its descriptor is open");
    assert!(text[1].ends_with("172.17.3.3/16 is told by DHCP"), "{text:?}");
    assert!(text[2].ends_with("default via 172.17.3.2 is told by DHCP"), "{text:?}");
    let listed = bed.service.list().expect("list");
    assert!(listed[0].kind == GuestKind::TAP && listed[0].tap.is_empty() && listed[0].rxBytes > 0);
    assert!(bed.service.get("vm").expect("get").expect("it is there").tap.is_empty());
}

#[test]
fn where_netd_is_it_leaves_by_the_uplinks_table() {
    let bed = Bed::on_netd(NetdDevice::new()).build();
    let mut vm = Vm::of(&mut attach(&bed, "vm"));
    vm.boots();
    assert!(vm.pings(INTERNET), "{}", bed.daemon.log());
}

#[test]
fn another_source_than_its_own_does_not_get_in() {
    let bed = Bed::with_neighbour();
    let mut vm = Vm::of(&mut attach(&bed, "vm"));
    vm.boots();
    let dropped = || bed.service.status(None).expect("status").droppedPackets;
    let before = dropped();
    let neighbour = bed.service.get("neighbour").expect("get").expect("it is there");
    let neighbour = neighbour.addresses[0].split('/').next().expect("an address").parse().unwrap();
    for other in [neighbour, Ipv4Addr::new(172, 17, 9, 9), Ipv4Addr::new(192, 0, 2, 2)] {
        assert!(!vm.pings_from(other, INTERNET, Duration::from_millis(300)), "{other}");
    }
    // By the rules of nf_tables, which are in front of the kernel's own filter of sources, as those of iptables
    // are not: each at least once.
    let least = if guests_table(&bed.device).is_some() { 3 } else { 0 };
    assert!(dropped() >= before + least, "{before}, and then {}", dropped());
    assert!(vm.pings(INTERNET));
    assert!(
        !vm.pings_from(vm.address, neighbour, Duration::from_millis(300)),
        "it is another guest"
    );
    bed.assert_neighbour_talks("foreign sources");
}

#[test]
fn each_queue_has_a_descriptor_and_a_header_of_12_bytes() {
    // linux/if_tun.h
    const TUNGETIFF: libc::c_ulong = 0x8004_54d2;
    const TUNGETVNETHDRSZ: libc::c_ulong = 0x8004_54d7;
    const IFF_TAP: u16 = 0x0002;
    const IFF_MULTI_QUEUE: u16 = 0x0100;
    const IFF_NO_PI: u16 = 0x1000;
    const IFF_VNET_HDR: u16 = 0x4000;
    let bed = Bed::new("auto");
    for queues in [1, 2, 16] {
        let config = GuestConfig { queues, ..tap("vm") };
        let mut guest = bed.attach_as(&config, &nowhere());
        assert_eq!((guest.tap.len(), guest.queues), (queues as usize, queues));
        for descriptor in &guest.tap {
            let (mut request, mut header) = ([0u8; 40], 0i32);
            asked(descriptor, TUNGETIFF, &mut request).expect("TUNGETIFF");
            asked(descriptor, TUNGETVNETHDRSZ, &mut header).expect("TUNGETVNETHDRSZ");
            let flags = u16::from_ne_bytes([request[16], request[17]]);
            let several = if queues > 1 { IFF_MULTI_QUEUE } else { 0 };
            let wanted = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | several;
            assert_eq!(flags & !0x0800, wanted, "{flags:#x}");
            assert_eq!((&request[..8], header), (&b"vm_wlan\0"[..], 12));
            // SAFETY: F_GETFD reads the descriptor's flags.
            let inherited = unsafe { libc::fcntl(descriptor.as_raw_fd(), libc::F_GETFD) };
            assert_eq!(inherited & libc::FD_CLOEXEC, libc::FD_CLOEXEC);
        }
        if queues == 2 {
            let status = bed.service.status(Some("vm")).expect("status");
            let text = &status.guests[0].layers[0].text;
            assert_eq!(text, "vm_wlan is up, and 2 of its 2 descriptors are open");
        }
        let mut vm = Vm::of(&mut guest);
        if queues == 1 {
            vm.boots();
            assert!(vm.pings(INTERNET));
        }
        bed.detach("vm");
    }
}

#[test]
fn a_guestnetd_that_crashes_leaves_a_vm_its_network_and_takes_it_over() {
    let mut bed = Bed::new("nftables");
    let mut guest = attach(&bed, "vm");
    let mut vm = Vm::of(&mut guest);
    vm.boots();
    bed.daemon.kill();
    assert!(vm.pings(INTERNET), "while guestnetd is away");
    bed.start();
    assert!(vm.pings(INTERNET), "{}", bed.daemon.log());
    let again = bed.service.get("vm").expect("get").expect("it is taken over");
    assert_eq!((again.kind, &again.mac, again.queues), (GuestKind::TAP, &guest.mac, 1));
    assert_eq!(again.hostInterfaceIndex, guest.hostInterfaceIndex);
    assert_eq!(vm.boots().address, FIRST);
    // Nothing is stored of it: its link says enough.
    bed.daemon.kill();
    std::fs::remove_dir_all(bed.daemon.state_dir().join("guests")).expect("what is stored");
    bed.start();
    let again = bed.service.get("vm").expect("get").expect("it is known by its link");
    assert_eq!((again.kind, &again.addresses), (GuestKind::TAP, &guest.addresses));
    assert!(vm.pings(INTERNET), "{}", bed.daemon.log());
    drop(vm);
    eventually("it is gone", || bed.names().is_empty());
    assert!(bed.device.link("vm_wlan").is_none());
}

#[test]
fn what_is_updated_is_the_devices_end_and_the_lease() {
    let bed = Bed::new("auto");
    let mut vm = Vm::of(&mut attach(&bed, "vm"));
    vm.boots();
    let moved = GuestConfig { addresses: vec!["172.17.3.9".to_owned()], ..tap("vm") };
    bed.service.update("vm", &moved).expect("update");
    assert_eq!(vm.dhcp(REQUEST, Some(FIRST)).map(|lease| lease.kind), Some(NAK));
    assert_eq!(vm.boots().address, Ipv4Addr::new(172, 17, 3, 9));
    assert!(vm.pings(INTERNET), "{}", bed.daemon.log());
    let narrow = GuestConfig { mtu: 1400, ..moved };
    assert_eq!(bed.service.update("vm", &narrow).expect("update").mtu, 1400);
    assert_eq!(link(&bed.device)["mtu"], 1400);
    assert_eq!(vm.boots().mtu, Some(1400));
    let follows = GuestConfig { mtu: -1, ..narrow };
    bed.service.update("vm", &follows).expect("update");
    bed.device.run("ip link set wlan0 mtu 1300");
    eventually("it follows the uplink", || link(&bed.device)["mtu"] == 1300);
}

#[test]
fn what_others_change_of_it_is_put_back() {
    let bed = Bed::new("nftables");
    let mut vm = Vm::of(&mut attach(&bed, "vm"));
    vm.boots();
    bed.device.run("ip link set vm_wlan down");
    eventually("it is up", || link(&bed.device)["flags"].to_string().contains("\"UP\""));
    assert!(vm.pings(INTERNET), "{}", bed.daemon.log());
    // Linux before 6.2 renames no link that is up (dev_change_name()), and guestnetd is there soon.
    let rename = "printf 'link set vm_wlan down\nlink set vm_wlan name other up\n' | ip -batch -";
    let renamed = || bed.device.command("sh").args(["-c", rename]).status().expect("sh").success();
    eventually("it is renamed", renamed);
    eventually("it has its name", || bed.device.link("vm_wlan").is_some());
    assert!(vm.pings(INTERNET), "{}", bed.daemon.log());
}

#[test]
fn doctor_says_that_a_vm_sends_nothing_for_it_and_whether_it_answers() {
    let bed = Bed::new("auto");
    let mut vm = Vm::of(&mut attach(&bed, "vm"));
    let targets = DiagnoseOptions {
        targets: vec![Internet::ADDRESS.to_owned()],
        url: format!("http://{}/generate_204", Internet::ADDRESS),
        trace: true,
        ..DiagnoseOptions::default()
    };
    let diagnose = || bed.service.diagnose(Some("vm"), &targets).expect("diagnose");
    vm.boots();
    assert!(vm.pings(INTERNET));
    let found = diagnose();
    assert_eq!(found.verdict, Verdict::UNSURE, "{found:?}");
    assert!(found.text.contains("is a VM's"), "{}", found.text);
    assert_eq!(bed.names(), ["vm"], "it is not taken for gone");
}

#[test]
fn its_client_is_answered_for_its_own_mac_alone() {
    let bed = Bed::new("auto");
    let mut guest = attach(&bed, "vm");
    guest.mac = "06:67:00:00:00:99".to_owned();
    let stranger = Vm::of(&mut guest);
    let mac = bed.service.get("vm").expect("get").expect("it is there").mac;
    let mut own = Attached { mac, gateway: guest.gateway.clone(), ..Attached::default() };
    own.tap.push(stranger.descriptor().into());
    let own = Vm::of(&mut own);
    // Both at one device: what the first one asks is refused, whoever reads.
    let refused = || {
        let guest = bed.service.get("vm").expect("get").expect("it is there");
        guest.dhcpCounters.refused
    };
    std::thread::scope(|scope| {
        scope.spawn(|| stranger.dhcp(DISCOVER, None));
        eventually("it is refused", || refused() > 0);
    });
    assert_eq!(own.dhcp(DISCOVER, None).map(|lease| lease.kind), Some(OFFER));
}

#[test]
fn a_device_without_an_uplink_has_a_vm_wait() {
    let bed = Bed::on(Device::options().no_uplink().build()).build();
    let mut guest = attach(&bed, "vm");
    assert_eq!(guest.state, GuestState::WAITING_FOR_UPLINK);
    let mut vm = Vm::of(&mut guest);
    vm.boots();
    assert!(vm.pings(GATEWAY));
    bed.device.add_uplink("wlan0");
    assert!(vm.pings(INTERNET), "{}", bed.daemon.log());
}

/// The kernel of the device leaves checksums of TCP and UDP to its links, those of containers to their ends, and a
/// TAP device has nobody to make them where its VMM has asked for no offload (TUNSETOFFLOAD). Each frame that comes is
/// looked at (`Vm`).
#[test]
fn a_vm_without_offload_gets_whole_packets() {
    const RESOLVER: &str = "192.0.2.53";
    let bed = Bed::on(Device::new()).args(&format!("--dns {RESOLVER}")).build();
    let _resolver = bed.device.internet.resolver(RESOLVER, Says::All);
    let segment = Some("cockpit".to_owned());
    let set_up = GuestConfig { segment: segment.clone(), dns: DnsMode::FORWARD, ..tap("vm") };
    let mut vm = Vm::of(&mut bed.attach_as(&set_up, &nowhere()));
    vm.boots();
    let mac = vm.resolve(GATEWAY, BOUND).expect("the gateway answers");
    // By the forwarder's sockets, on the device.
    let answer = vm.asks(mac, GATEWAY, 17, &udp([40_000, 53], &question())).expect("an answer");
    assert!(answer.ends_with(&Resolver::ANSWER), "{answer:02x?}");
    // By those of the internet, whose kernel is this one, too.
    let echo =
        vm.asks(mac, INTERNET, 17, &udp([40_001, 7], b"odd length: 21 bytes.")).expect("UDP");
    assert!(echo.ends_with(b"odd length: 21 bytes."), "{echo:02x?}");
    let ports = [40_002, 80];
    let opened = vm.asks(mac, INTERNET, 6, &syn(vm.address, INTERNET, ports)).expect("TCP");
    assert_eq!(opened[13] & 0x12, 0x12, "SYN and ACK");
    assert!(vm.pings(INTERNET));
    // From a container on its segment.
    let container = Guest::new();
    let set_up = GuestConfig { kind: GuestKind::BRIDGED, segment, ..config("container") };
    let there = bed.attach_as(&set_up, &by_pid(container.pid()));
    let at: Ipv4Addr = address(&there).parse().expect("an address");
    let socket = container.enter(|| UdpSocket::bind((at, 7))).expect("a socket");
    std::thread::spawn(move || -> std::io::Result<()> {
        let mut buffer = [0; 64];
        loop {
            let (length, from) = socket.recv_from(&mut buffer)?;
            socket.send_to(&buffer[..length], from)?;
        }
    });
    let mac = vm.resolve(at, BOUND).expect("the container answers");
    let echo = vm.asks(mac, at, 17, &udp([40_003, 7], b"from a container")).expect("UDP");
    assert!(echo.ends_with(b"from a container"), "{echo:02x?}");
    let refused = vm.asks(mac, at, 6, &syn(vm.address, at, [40_004, 80])).expect("TCP");
    assert_eq!(refused[13] & 4, 4, "RST");
}
