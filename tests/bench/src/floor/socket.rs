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

//! A blocking rtnetlink socket: one send, and the one answer to its last message.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{
    recv, send, socket, AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType,
};

use super::message::Batch;

/// A socket in the network namespace of the thread that opened it.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
}

/// An answer: an acknowledgement or a message.
#[derive(Debug)]
pub struct Answer {
    buffer: [u8; 8192],
    length: usize,
}

/// Length of `struct nlmsghdr`.
const HEADER: usize = 16;
/// Length of `struct ifinfomsg`.
const LINK_HEADER: usize = 16;

impl Socket {
    /// Opens it.
    pub fn open() -> io::Result<Self> {
        let (family, flags) = (AddressFamily::Netlink, SockFlag::SOCK_CLOEXEC);
        Ok(Self { fd: socket(family, SockType::Raw, flags, SockProtocol::NetlinkRoute)? })
    }

    /// Sends all messages at once and waits for one answer: the last message must be one that is
    /// answered, and all others only when they fail. The kernel works off the messages in turn,
    /// so the first answer is of the first failure or else of the last message.
    pub fn call(&self, batch: &Batch) -> io::Result<Answer> {
        send(self.fd.as_raw_fd(), batch.bytes(), MsgFlags::empty())?;
        let mut answer = Answer { buffer: [0; 8192], length: 0 };
        answer.length = recv(self.fd.as_raw_fd(), &mut answer.buffer, MsgFlags::empty())?;
        match answer.errno() {
            0 => Ok(answer),
            errno => Err(io::Error::from_raw_os_error(errno)),
        }
    }
}

impl Answer {
    fn bytes(&self) -> &[u8] {
        &self.buffer[..self.length]
    }

    fn errno(&self) -> i32 {
        let bytes = self.bytes();
        if u16::from_ne_bytes([bytes[4], bytes[5]]) != libc::NLMSG_ERROR as u16 {
            return 0;
        }
        -i32::from_ne_bytes([bytes[16], bytes[17], bytes[18], bytes[19]])
    }

    /// An attribute of a link, if the answer is one.
    pub fn link_attribute(&self, kind: u16) -> Option<&[u8]> {
        let mut rest = self.bytes().get(HEADER + LINK_HEADER..)?;
        while let [a, b, c, d, ..] = *rest {
            let length = usize::from(u16::from_ne_bytes([a, b]));
            if u16::from_ne_bytes([c, d]) == kind {
                return rest.get(4..length);
            }
            rest = rest.get(length.max(4).next_multiple_of(4)..)?;
        }
        None
    }
}
