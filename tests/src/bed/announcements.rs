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

//! What the kernel announces of a network namespace. A change that is taken back at once leaves
//! two snapshots equal; this sees it all the same.

use std::os::fd::{AsRawFd, OwnedFd};

use crate::InNetns;
use nix::errno::Errno;
use nix::sys::socket::{
    bind, recv, socket, AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType,
};

/// linux/rtnetlink.h: links, addresses, routes, rules, forwarding and the names of namespaces.
/// Not neighbours: traffic changes them.
const GROUPS: [u32; 10] = [1, 5, 7, 8, 9, 11, 19, 24, 25, 28];

/// A socket that is told of everything from now on.
pub struct Announcements(OwnedFd);

impl Announcements {
    /// Those of a namespace. The socket keeps it alive.
    pub fn of(netns: &(impl InNetns + Sync)) -> Self {
        Self(netns.enter(|| {
            let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
            let route = SockProtocol::NetlinkRoute;
            let fd = socket(AddressFamily::Netlink, SockType::Raw, flags, route).expect("netlink");
            let groups = GROUPS.iter().fold(0, |mask, group| mask | 1 << (group - 1));
            bind(fd.as_raw_fd(), &NetlinkAddr::new(0, groups)).expect("its groups");
            fd
        }))
    }

    /// The types (RTM_) of those that have come since this was last asked for.
    pub fn take(&self) -> Vec<u16> {
        let mut types = Vec::new();
        let mut buffer = [0; 65_536];
        loop {
            match recv(self.0.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
                // struct nlmsghdr: four bytes of length, then two of type.
                Ok(length) if length >= 6 => types.push(u16::from_ne_bytes([buffer[4], buffer[5]])),
                Ok(_) | Err(Errno::EINTR) => {}
                // More than fit.
                Err(Errno::ENOBUFS) => types.push(0),
                Err(Errno::EAGAIN) => return types,
                Err(e) => panic!("announcements: {e}"),
            }
        }
    }
}
