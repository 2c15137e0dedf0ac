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

//! A packet socket in a namespace: it gets what a link's filters have let pass, for it is asked by protocol.

use crate::linux::{inside, Linux};
use libc::*;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

pub struct Wire(Vec<OwnedFd>);

/// The first link of a guest's.
const GUESTS: i32 = 2;

fn address(protocol: u16) -> sockaddr_ll {
    // SAFETY: zeros are one.
    let mut own: sockaddr_ll = unsafe { std::mem::zeroed() };
    own.sll_family = AF_PACKET as u16;
    own.sll_protocol = protocol.to_be();
    own
}

const SIZE: u32 = size_of::<sockaddr_ll>() as u32;

impl Wire {
    pub fn of(linux: &Linux, protocols: &[u16]) -> Self {
        let open = |protocol: &u16| {
            let kind = SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK;
            // SAFETY: no pointers; the descriptor is nobody else's.
            let fd = unsafe { OwnedFd::from_raw_fd(socket(AF_PACKET, kind, 0)) };
            let own = address(*protocol);
            // SAFETY: an address, of the size that is said.
            let bound = unsafe { bind(fd.as_raw_fd(), (&raw const own).cast(), SIZE) };
            assert_eq!(bound, 0);
            fd
        };
        Self(inside(&linux.file, || protocols.iter().map(open).collect()))
    }

    pub fn send(&self, frame: &[u8]) {
        let mut to = address(0);
        to.sll_ifindex = GUESTS;
        let (fd, to) = (self.0[0].as_raw_fd(), (&raw const to).cast());
        // SAFETY: the bytes are as many as are said, and so is the address.
        let sent = unsafe { sendto(fd, frame.as_ptr().cast(), frame.len(), 0, to, SIZE) };
        assert_eq!(sent, frame.len() as isize, "{}", std::io::Error::last_os_error());
    }

    /// What has come: by which link, and the frame's number.
    pub fn take(&self) -> Vec<(u32, u8)> {
        self.0.iter().flat_map(|fd| std::iter::from_fn(|| receive(fd.as_raw_fd()))).collect()
    }
}

fn receive(fd: i32) -> Option<(u32, u8)> {
    loop {
        let (mut frame, mut from, mut size) = ([0u8; 256], address(0), SIZE);
        let (to, length) = (frame.as_mut_ptr().cast(), frame.len());
        // SAFETY: there is so much room for a frame, and for an address.
        let got = unsafe { recvfrom(fd, to, length, 0, (&raw mut from).cast(), &mut size) };
        match got {
            ..0 => return None,
            // What a link sends comes, too.
            _ if from.sll_pkttype == 4 => {}
            _ => return Some((from.sll_ifindex as u32, frame[15])),
        }
    }
}
