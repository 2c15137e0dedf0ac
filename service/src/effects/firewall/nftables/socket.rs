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

//! The socket that transactions are sent by. It is kept: a table with an owner belongs to it.
//! Sends one transaction, waits for its one answer, and never for longer than a few seconds.

use crate::effects::kernel::netlink::message::{acknowledged, Message, Messages, NLMSG_ERROR};
use crate::effects::kernel::netlink::trace;
use netlink_socket2::ReplyError;
use nix::errno::Errno;
use nix::sys::socket::{
    self, sockopt, AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType,
};
use nix::sys::time::TimeVal;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

/// A transaction goes in one piece. The usual buffer has room for the rules of some 90 subnets.
const ROOM: usize = 8 << 20;
/// The kernel answers before `send` returns. This bounds what cannot happen.
const LONGEST: TimeVal = TimeVal::new(5, 0);
/// An answer is a number, and some words where it is an error.
const ANSWER: usize = 4 << 10;

/// Why the kernel refused: its error number and its own words.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub(super) struct Refusal {
    /// The error number, if there is one.
    pub(super) errno: Option<i32>,
    text: String,
}

impl Refusal {
    /// Whether it says nothing of what this kernel can do: others changed the tables, or there was no
    /// room for the request or its answer just then.
    pub(super) fn may_pass(&self) -> bool {
        let passing = [libc::ERESTART, libc::ENOBUFS, libc::ENOMEM, libc::EAGAIN, libc::EBUSY];
        self.errno.is_some_and(|errno| passing.contains(&errno))
    }

    /// Whether it says that this kernel has no nf_tables (`nfnetlink_rcv_msg()`), no nfnetlink
    /// (`netlink_create()`) or no netlink at all.
    pub(super) fn is_of_lack(&self) -> bool {
        let lacking = [libc::EINVAL, libc::EOPNOTSUPP, libc::EPROTONOSUPPORT, libc::EAFNOSUPPORT];
        self.errno.is_some_and(|errno| lacking.contains(&errno))
    }
}

impl From<ReplyError> for Refusal {
    fn from(e: ReplyError) -> Self {
        Self { errno: e.as_io_error().raw_os_error(), text: e.to_string() }
    }
}

impl From<io::Error> for Refusal {
    fn from(e: io::Error) -> Self {
        Self { errno: e.raw_os_error(), text: e.to_string() }
    }
}

impl From<Errno> for Refusal {
    fn from(errno: Errno) -> Self {
        Self { errno: Some(errno as i32), text: io::Error::from(errno).to_string() }
    }
}

/// A transaction that is ready to be sent.
pub(super) struct Transaction<'a> {
    /// Its messages.
    pub(super) bytes: &'a [u8],
    /// Sequence number of the first.
    pub(super) first: u32,
    /// What each of them does.
    pub(super) names: Vec<&'static str>,
    /// Which of them asks for an answer.
    pub(super) answered: usize,
}

/// The socket.
pub(super) struct Socket {
    fd: OwnedFd,
    sequence: u32,
}

impl Socket {
    pub(super) fn open() -> Result<Self, Refusal> {
        let (domain, kind) = (AddressFamily::Netlink, SockType::Raw);
        let protocol = SockProtocol::NetlinkNetFilter;
        let fd = socket::socket(domain, kind, SockFlag::SOCK_CLOEXEC, protocol)?;
        // Needs a privilege that nf_tables does not: without it the usual room has to do.
        let _ = socket::setsockopt(&fd, sockopt::SndBufForce, &ROOM);
        socket::setsockopt(&fd, sockopt::ReceiveTimeout, &LONGEST)?;
        for option in [libc::NETLINK_EXT_ACK, libc::NETLINK_CAP_ACK] {
            say_yes(&fd, option)?;
        }
        // A process's first socket is given its pid as the port: others see by it who owns a table.
        socket::bind(fd.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
        Ok(Self { fd, sequence: 1 })
    }

    /// A sequence number with `count` free ones behind it.
    pub(super) fn reserve(&mut self, count: u32) -> u32 {
        let first = self.sequence;
        self.sequence = first.wrapping_add(count);
        first
    }

    /// Sends it, and takes the first error or the one answer.
    pub(super) fn send(&self, transaction: &Transaction<'_>) -> Result<(), Refusal> {
        trace::sent(transaction.bytes);
        socket::send(self.fd.as_raw_fd(), transaction.bytes, MsgFlags::empty())?;
        let mut buffer = [0; ANSWER];
        loop {
            let received = match socket::recv(self.fd.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
                Err(Errno::EINTR) => continue,
                received => received?,
            };
            for message in Messages(buffer.get(..received).unwrap_or_default()) {
                trace::received(&message);
                if let Some(result) = transaction.result(&message) {
                    return result;
                }
            }
        }
    }
}

impl Transaction<'_> {
    /// What a message says of this transaction, if it is an answer to it.
    fn result(&self, message: &Message<'_>) -> Option<Result<(), Refusal>> {
        let index = message.sequence.wrapping_sub(self.first) as usize;
        let name = self.names.get(index).filter(|_| message.kind == NLMSG_ERROR)?;
        match acknowledged(message) {
            Ok(()) => (index == self.answered).then_some(Ok(())),
            Err(e) => {
                let text = format!("{e}, in message {index}, {name}");
                Some(Err(Refusal { errno: Some(e.errno), text }))
            }
        }
    }
}

fn say_yes(fd: &OwnedFd, option: libc::c_int) -> Result<(), Errno> {
    let yes: libc::c_int = 1;
    let len = std::mem::size_of_val(&yes) as libc::socklen_t;
    // SAFETY: the descriptor is open, and the kernel reads an int from where an int is.
    let done = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_NETLINK,
            option,
            std::ptr::from_ref(&yes).cast(),
            len,
        )
    };
    Errno::result(done).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_kernel_without_nf_tables_says_is_a_lack() {
        for errno in [Errno::EPROTONOSUPPORT, Errno::EAFNOSUPPORT, Errno::EINVAL, Errno::EOPNOTSUPP]
        {
            assert!(Refusal::from(errno).is_of_lack(), "{errno}");
        }
        for errno in [Errno::EPERM, Errno::EMFILE, Errno::ENOBUFS, Errno::ENOMEM] {
            assert!(!Refusal::from(errno).is_of_lack(), "{errno}");
        }
    }
}
