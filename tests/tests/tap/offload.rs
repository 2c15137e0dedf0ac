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

//! A VM whose VMM has asked for checksums to be left (TUNSETOFFLOAD), as QEMU and crosvm do.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use guestnet_tests::bed::{Bed, BOUND};
use guestnet_tests::vm::{assert_whole, udp, Vm};
use guestnet_tests::InNetns;

use super::{attach, GATEWAY, INTERNET};

/// A link that makes no checksums: the kernel does, as for a network card without offload.
fn without_checksums(name: &str) {
    // linux/sockios.h, linux/ethtool.h
    const SIOCETHTOOL: libc::c_ulong = 0x8946;
    const ETHTOOL_STXCSUM: u32 = 0x17;
    #[repr(C)]
    struct Request {
        name: [u8; 16],
        value: *const [u32; 2],
        rest: [u64; 2],
    }
    let value = [ETHTOOL_STXCSUM, 0];
    let mut request = Request { name: [0; 16], value: &value, rest: [0; 2] };
    request.name[..name.len()].copy_from_slice(name.as_bytes());
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").expect("a socket");
    // SAFETY: the kernel reads one `struct ifreq`, and the `struct ethtool_value` that it points to.
    let done = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCETHTOOL as _, &request) };
    assert_eq!(done, 0, "ETHTOOL_STXCSUM: {}", io::Error::last_os_error());
}

/// Hears all UDP there, before anybody looks at its checksum (raw(7)).
fn raw_udp() -> OwnedFd {
    let kind = libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: it takes three numbers.
    let socket = unsafe { libc::socket(libc::AF_INET, kind, libc::IPPROTO_UDP) };
    assert!(socket >= 0, "a raw socket: {}", io::Error::last_os_error());
    // SAFETY: the descriptor is new, and nobody else has it.
    unsafe { OwnedFd::from_raw_fd(socket) }
}

/// What it hears next with this at its end, from its IP header on.
fn heard(socket: &OwnedFd, end: &[u8]) -> Vec<u8> {
    let mut buffer = [0; 2048];
    loop {
        let length = nix::unistd::read(socket.as_raw_fd(), &mut buffer).expect("it has come");
        if buffer[..length].ends_with(end) {
            return buffer[..length].to_vec();
        }
    }
}

#[test]
fn a_checksum_that_a_vm_leaves_is_made_before_it_leaves_the_device() {
    let bed = Bed::new("auto");
    bed.device.enter(|| without_checksums("wlan0"));
    let internet = bed.device.internet.enter(raw_udp);
    let mut vm = Vm::of(&mut attach(&bed, "vm"));
    vm.boots();
    let mac = vm.resolve(GATEWAY, BOUND).expect("the gateway answers");
    vm.offloads();
    for (port, text) in [(42_000, &b"left to the device"[..]), (42_001, b"of an odd length.")] {
        // Its server's kernel looks at the checksum, too. What comes back is finished and looked at by `Vm`.
        let answer = vm.asks(mac, INTERNET, 17, &udp([port, 7], text)).expect("an answer");
        assert!(answer.ends_with(text), "{answer:02x?}");
        let packet = heard(&internet, text);
        assert_ne!(packet[26..28], [0, 0], "it has a checksum");
        let from: [u8; 4] = packet[12..16].try_into().expect("four bytes");
        assert_ne!(Ipv4Addr::from(from), vm.address, "it was translated");
        assert_whole(&[0; 2], &[&[0; 12][..], &[8, 0], &packet].concat());
    }
}

#[test]
fn what_is_left_to_a_vm_is_a_sum_of_the_pseudo_header_and_where_it_stands() {
    let bed = Bed::new("auto");
    let mut vm = Vm::of(&mut attach(&bed, "vm"));
    vm.boots();
    let mac = vm.resolve(GATEWAY, BOUND).expect("the gateway answers");
    vm.offloads();
    let answer = vm.asks(mac, INTERNET, 17, &udp([42_000, 7], b"hello")).expect("an answer");
    assert!(answer.ends_with(b"hello"));
    // The internet's link leaves them, and nobody makes them on the way: as `Vm` made it of that, it is whole.
    assert_eq!(*vm.left.get_mut(), 1, "nothing was left to it");
    assert!(vm.pings(INTERNET));
}
