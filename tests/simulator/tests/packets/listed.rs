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

//! The packet filter of a namespace as the kernel lists it.

use super::linux::inside;
use super::requests::whole;
use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

const NFTABLES: u16 = 10 << 8;
const GETCHAIN: u16 = 4;
const GETRULE: u16 = 7;
const GETSET: u16 = 10;
const GETSETELEM: u16 = 13;
const INET: u8 = 1;

/// Dumps of chains, rules, sets and the elements of each.
pub fn all(netns: &File) -> Vec<Vec<u8>> {
    inside(netns, || {
        // SAFETY: socket() has no pointers, and its descriptor is nobody else's.
        let fd = unsafe {
            let fd = libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 12);
            assert!(fd >= 0);
            OwnedFd::from_raw_fd(fd)
        };
        let mut found = dump(&fd, GETCHAIN, &[]);
        found.extend(dump(&fd, GETRULE, &[]));
        let sets = dump(&fd, GETSET, &[]);
        for message in sets.iter().flat_map(|datagram| messages(datagram)) {
            // NFTA_SET_TABLE and NFTA_SET_NAME are its first attributes, and a list of elements' too.
            let name = |at: usize| {
                let length = u16::from_ne_bytes([message[at], message[at + 1]]) as usize;
                (&message[at..at + length.next_multiple_of(4)], at + length.next_multiple_of(4))
            };
            let (table, next) = name(20);
            let (set, _) = name(next);
            found.extend(dump(&fd, GETSETELEM, &[table, set].concat()));
        }
        found
    })
}

fn messages(datagram: &[u8]) -> Vec<&[u8]> {
    let (mut rest, mut all) = (datagram, Vec::new());
    while rest.len() >= 20 {
        let length = u32::from_ne_bytes(rest[..4].try_into().unwrap()) as usize;
        if u16::from_ne_bytes([rest[4], rest[5]]) > 3 {
            all.push(&rest[..length]);
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    all
}

fn dump(fd: &OwnedFd, kind: u16, attributes: &[u8]) -> Vec<Vec<u8>> {
    let request = whole(NFTABLES | kind, 0x300, &[&[INET, 0, 0, 0], attributes].concat());
    let mut datagrams = Vec::new();
    // SAFETY: the bytes are as many as are said, and the kernel writes no more than there is room for.
    unsafe {
        let sent = libc::send(fd.as_raw_fd(), request.as_ptr().cast(), request.len(), 0);
        assert_eq!(sent, request.len() as isize);
        loop {
            let mut buffer = vec![0; 64 << 10];
            let got = libc::recv(fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), 0);
            if got < 0 {
                let e = std::io::Error::last_os_error();
                assert_eq!(e.kind(), std::io::ErrorKind::Interrupted, "{e}");
                continue;
            }
            buffer.truncate(got as usize);
            let (mut rest, mut done) = (&buffer[..], false);
            while rest.len() >= 16 {
                let length = u32::from_ne_bytes(rest[..4].try_into().unwrap()) as usize;
                done |= [2, 3].contains(&u16::from_ne_bytes([rest[4], rest[5]]));
                rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
            }
            datagrams.push(buffer);
            if done {
                return datagrams;
            }
        }
    }
}
