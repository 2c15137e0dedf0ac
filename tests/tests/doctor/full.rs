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
//! A table of connections that is full: nf_conntrack_max is the machine's, so that the table of one network
//! namespace is filled up to it, by ctnetlink. The entries go with the namespace.

use std::os::fd::AsRawFd;
use std::sync::PoisonError;

use android_system_guestnet::aidl::android::system::guestnet::Cause::Cause;
use guestnet_tests::InNetns;
use nix::sys::socket::{
    connect, send, socket, AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType,
};

use crate::{shown, Ward, SLOW};

/// More would take long, and its memory: 80 MB for this many.
const MOST: u32 = 300_000;
/// Messages in a datagram.
const AT_A_TIME: u32 = 64;

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + value.len()).expect("short");
    let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn nested(kind: u16, inner: &[Vec<u8>]) -> Vec<u8> {
    const NLA_F_NESTED: u16 = 1 << 15;
    attribute(kind | NLA_F_NESTED, &inner.concat())
}

/// A UDP connection that has been answered, which no other one drives out (IPS_ASSURED).
fn connection(number: u32) -> Vec<u8> {
    let here = [10, 200, 0, 1];
    let there = (0x0ac9_0000 + number / 60_000).to_be_bytes();
    let port = (1024 + number % 60_000) as u16;
    let tuple = |kind, from: [u8; 4], to: [u8; 4], ports: (u16, u16)| {
        let addresses = nested(1, &[attribute(1, &from), attribute(2, &to)]);
        let udp = attribute(1, &[17]);
        let (from, to) = (ports.0.to_be_bytes(), ports.1.to_be_bytes());
        nested(kind, &[addresses, nested(2, &[udp, attribute(2, &from), attribute(3, &to)])])
    };
    // SEEN_REPLY, ASSURED, CONFIRMED
    let status = attribute(3, &0b1110_u32.to_be_bytes());
    let attributes = [
        vec![libc::AF_INET as u8, 0, 0, 0],
        tuple(1, here, there, (port, 9)),
        tuple(2, there, here, (9, port)),
        status,
        attribute(7, &600_u32.to_be_bytes()),
    ]
    .concat();
    // IPCTNL_MSG_CT_NEW; NLM_F_REQUEST, CREATE, EXCL
    let length = u32::try_from(16 + attributes.len()).expect("short");
    let mut message = length.to_ne_bytes().to_vec();
    message.extend((1_u16 << 8).to_ne_bytes());
    message.extend(0x601_u16.to_ne_bytes());
    message.extend([0; 8]);
    message.extend(attributes);
    message
}

fn fill(device: &impl InNetns, most: u32) {
    device.enter(|| {
        let protocol = SockProtocol::NetlinkNetFilter;
        let flags = SockFlag::SOCK_CLOEXEC;
        let fd = socket(AddressFamily::Netlink, SockType::Raw, flags, protocol).expect("socket");
        connect(fd.as_raw_fd(), &NetlinkAddr::new(0, 0)).expect("connect");
        for first in (0..most + AT_A_TIME).step_by(AT_A_TIME as usize) {
            let some: Vec<_> = (first..first + AT_A_TIME).flat_map(connection).collect();
            send(fd.as_raw_fd(), &some, MsgFlags::empty()).expect("send");
        }
    });
}

#[test]
fn a_full_table_of_connections_is_named() {
    let ward = Ward::new("nftables");
    ward.is_healthy();
    let number = |key: &str| -> u32 { ward.bed.device.sysctl(key).parse().expect("a number") };
    let most = number("net/netfilter/nf_conntrack_max");
    if most > MOST {
        eprintln!("not tested: {most} connections are too many to make");
        return;
    }
    // The kernel's table is one for all namespaces: everybody's chains are long now.
    let _alone = SLOW.write().unwrap_or_else(PoisonError::into_inner);
    fill(&ward.bed.device, most);
    assert!(number("net/netfilter/nf_conntrack_count") >= most);
    let found = ward.diagnose_alone();
    assert_eq!(found.cause, Cause::CONNTRACK_FULL, "{}", shown(&found));
    assert!(found.nextStep.is_some_and(|step| step.contains("nf_conntrack_max")));
    drop(ward);
}
