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

//! Netlink as tests hear it: a socket in any namespace, messages, attributes.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    bind, getsockname, recv, send, setsockopt, socket, sockopt, AddressFamily, MsgFlags,
    NetlinkAddr, SockFlag, SockProtocol, SockType,
};

use crate::InNetns;

/// Length of `struct nlmsghdr`.
const HEADER: usize = 16;
/// More than the kernel puts into one datagram.
const DATAGRAM: usize = 64 << 10;

/// A socket, whatever namespace the thread is in that uses it.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    buffer: Vec<u8>,
}

/// A message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// Its type.
    pub kind: u16,
    /// The port of whoever asked for what it announces; 0: nobody, or the kernel does not say.
    pub port: u32,
    /// What follows its header.
    pub body: &'a [u8],
}

impl Socket {
    /// One in this namespace, which hears these groups (`RTNLGRP_LINK`).
    pub fn hearing(
        netns: &impl InNetns,
        protocol: SockProtocol,
        groups: &[u32],
    ) -> io::Result<Self> {
        let socket = Self::open(netns, protocol)?;
        for group in groups {
            setsockopt(&socket.fd, Membership, group)?;
        }
        setsockopt(&socket.fd, sockopt::RcvBufForce, &(8 << 20))?;
        Ok(socket)
    }

    /// One in this namespace.
    pub fn open(netns: &impl InNetns, protocol: SockProtocol) -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC;
        let fd = netns.enter(|| socket(AddressFamily::Netlink, SockType::Raw, flags, protocol))?;
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
        Ok(Self { fd, buffer: vec![0; DATAGRAM] })
    }

    /// Its port.
    pub fn port(&self) -> io::Result<u32> {
        Ok(getsockname::<NetlinkAddr>(self.fd.as_raw_fd())?.pid())
    }

    /// Sends a message.
    pub fn send(&self, kind: u16, flags: i32, body: &[u8]) -> io::Result<()> {
        let mut bytes = ((HEADER + body.len()) as u32).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend((flags as u16).to_ne_bytes());
        bytes.extend([0; 8]);
        bytes.extend(body);
        send(self.fd.as_raw_fd(), &bytes, MsgFlags::empty())?;
        Ok(())
    }

    /// A datagram, if there is one.
    #[allow(clippy::should_implement_trait)] // It gives what it borrows.
    pub fn next(&mut self) -> io::Result<Option<Messages<'_>>> {
        match recv(self.fd.as_raw_fd(), &mut self.buffer, MsgFlags::MSG_DONTWAIT) {
            Ok(length) => Ok(Some(Messages(&self.buffer[..length]))),
            Err(Errno::EAGAIN) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// `NETLINK_ADD_MEMBERSHIP`.
#[derive(Clone, Copy, Debug)]
struct Membership;

impl nix::sys::socket::SetSockOpt for Membership {
    type Val = u32;

    fn set<F: AsFd>(&self, fd: &F, group: &u32) -> nix::Result<()> {
        // SAFETY: the kernel reads the four bytes of `group`, which live until the call returns.
        let done = unsafe {
            libc::setsockopt(
                fd.as_fd().as_raw_fd(),
                libc::SOL_NETLINK,
                libc::NETLINK_ADD_MEMBERSHIP,
                std::ptr::from_ref(group).cast(),
                std::mem::size_of::<u32>() as libc::socklen_t,
            )
        };
        Errno::result(done).map(drop)
    }
}

/// The messages of a datagram, up to one that is broken.
#[derive(Debug)]
pub struct Messages<'a>(pub &'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;

    fn next(&mut self) -> Option<Message<'a>> {
        let length = u32_at(self.0, 0)? as usize;
        let body = self.0.get(HEADER..length)?;
        let message = Message { kind: u16_at(self.0, 4)?, port: u32_at(self.0, 12)?, body };
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(message)
    }
}

/// The value of the first attribute of this kind, behind a fixed header of so many bytes.
pub fn attribute(body: &[u8], header: usize, kind: u16) -> Option<&[u8]> {
    const FLAGS: u16 = 3 << 14;
    let mut rest = body.get(header..)?;
    loop {
        let length = usize::from(u16_at(rest, 0)?);
        let value = rest.get(4..length)?;
        if u16_at(rest, 2)? & !FLAGS == kind {
            return Some(value);
        }
        rest = rest.get(length.next_multiple_of(4)..)?;
    }
}

/// A number in the machine's order.
pub fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_and_attributes_are_found_and_nothing_panics() {
        let mut bytes = Vec::new();
        for (kind, port) in [(16u16, 7u32), (24, 0)] {
            bytes.extend((16u32 + 4 + 8 + 8).to_ne_bytes());
            bytes.extend(kind.to_ne_bytes());
            bytes.extend([0; 6]);
            bytes.extend(port.to_ne_bytes());
            bytes.extend([9; 4]);
            bytes.extend([5, 0, 3, 0, b'x', 0, 0, 0]);
            bytes.extend([8, 0, 4, 0x80, 1, 2, 3, 4]);
        }
        let found: Vec<_> = Messages(&bytes).collect();
        assert_eq!(found.iter().map(|m| (m.kind, m.port)).collect::<Vec<_>>(), [(16, 7), (24, 0)]);
        let body = found[0].body;
        assert_eq!(attribute(body, 4, 3), Some(b"x".as_slice()));
        assert_eq!(attribute(body, 4, 4), Some([1, 2, 3, 4].as_slice()), "whatever its flags");
        assert_eq!(attribute(body, 4, 5), None);
        for end in 0..bytes.len() {
            for message in Messages(&bytes[..end]) {
                let _ = attribute(message.body, end % 9, 4);
            }
        }
        assert_eq!(attribute(&[0; 8], 0, 1), None, "an attribute without length");
    }
}
