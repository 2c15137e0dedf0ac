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

//! One netlink socket, of rtnetlink or of another family: a request and what the kernel answers, its
//! errno and its own words. Knows no message's meaning.
//!
//! rtnetlink's messages are netlink-packet-route's types, sent and read by way of
//! `RouteNetlinkMessage`: the traits of its parts are in another crate from one release to the next,
//! those of the whole are not. Why, and what is read by hand: docs/decisions/rtnetlink.md.

pub mod attr;
pub mod message;
#[cfg(feature = "fuzzing")]
pub mod tape;
pub(in crate::effects) mod trace;

use crate::error::KernelError;
use crate::spec::Family;
use crate::write::{self, What};
use message::{acknowledged, Message, Messages, HEADER, NLMSG_DONE, NLMSG_ERROR, NLM_F_DUMP_INTR};
use nix::sys::socket::{setsockopt, sockopt::ReceiveTimeout};
use nix::sys::time::TimeVal;
use rtnetlink::packet_core::{
    NetlinkSerializable, NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_REQUEST,
};
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::sys::protocols::{NETLINK_NETFILTER, NETLINK_ROUTE, NETLINK_XFRM};
use rtnetlink::sys::Socket;
#[cfg(not(feature = "fuzzing"))]
use rtnetlink::sys::SocketAddr;
use std::cell::{Cell, RefCell};
use std::io;
use std::ops::ControlFlow;

/// A socket in the network namespace of the thread that opened it.
///
/// The kernel does its work inside `sendmsg()`, so nothing is gained by waiting for it in another
/// way: a message is two system calls and no other thread. What may sleep long (RTM_DELLINK: 15 ms
/// in rcu_barrier) has a socket of its own on a thread of its own (`executor/link_deleter.rs`).
#[derive(Debug)]
pub struct Netlink {
    socket: Socket,
    sequence: Cell<u32>,
    buffer: RefCell<Vec<u8>>,
}

/// How often a dump is repeated that is interrupted every time.
const DUMPS: usize = 8;
/// The kernel answers at once; this is for what nobody thought of. In seconds.
const PATIENCE: i64 = 10;
/// More than the kernel puts into one datagram of a dump (netlink_dump(): 32 KiB).
const BUFFER: usize = 64 << 10;

impl Netlink {
    /// Opens a socket for links, addresses, routes, rules, neighbours and namespaces' ids.
    pub fn open() -> io::Result<Self> {
        Self::of(NETLINK_ROUTE)
    }

    /// Opens a socket for connection tracking.
    pub fn open_netfilter() -> io::Result<Self> {
        Self::of(NETLINK_NETFILTER)
    }

    /// Opens a socket for IPsec's policies.
    pub fn open_ipsec() -> io::Result<Self> {
        Self::of(NETLINK_XFRM)
    }

    /// The socket itself, for what the kernel tells unasked. It never blocks from now on.
    pub(in crate::effects) fn into_listener(self) -> io::Result<Socket> {
        self.socket.set_non_blocking(true)?;
        Ok(self.socket)
    }

    fn of(family: isize) -> io::Result<Self> {
        let socket = Self::socket(family)?;
        Ok(Self { socket, sequence: Cell::new(0), buffer: RefCell::new(Vec::new()) })
    }

    fn open_socket(family: isize) -> io::Result<Socket> {
        let mut socket = Socket::new(family)?;
        ask_for_words(&mut socket)?;
        // Kernels before 4.20 lack it: their dumps are not filtered, so every reader filters too.
        let _ = socket.set_netlink_get_strict_chk(true);
        setsockopt(&socket, ReceiveTimeout, &TimeVal::new(PATIENCE, 0))?;
        Ok(socket)
    }

    /// Asks for a change and waits for the kernel's word. `flags`: `NLM_F_CREATE` and the like.
    pub(in crate::effects) fn change(
        &self,
        message: &impl NetlinkSerializable,
        flags: u16,
    ) -> Result<(), KernelError> {
        let what = What::Message(message.message_type(), flags & NLM_F_CREATE != 0);
        let flags = NLM_F_REQUEST | NLM_F_ACK | flags;
        let nothing = &mut |_: &Message<'_>| ControlFlow::Continue(());
        write::through(what, || self.exchange(message, flags, nothing).map(drop))
    }

    /// Asks for one object. `read` makes it of the answer.
    pub fn get<T>(
        &self,
        message: &impl NetlinkSerializable,
        read: impl Fn(&Message<'_>) -> Option<T>,
    ) -> Result<T, KernelError> {
        let mut object = None;
        self.exchange(message, NLM_F_REQUEST, &mut |message| {
            object = read(message);
            ControlFlow::Continue(())
        })?;
        let unreadable =
            || KernelError { errno: libc::EBADMSG, text: Some("the answer cannot be read".into()) };
        object.ok_or_else(unreadable)
    }

    /// Asks whether something is so, which the kernel answers by no error or by one. Changes nothing.
    pub fn test(&self, message: &impl NetlinkSerializable) -> Result<(), KernelError> {
        let nothing = &mut |_: &Message<'_>| ControlFlow::Continue(());
        self.exchange(message, NLM_F_REQUEST | NLM_F_ACK, nothing).map(drop)
    }

    /// Asks for all objects of a kind; again when they changed meanwhile. Those of which `read`
    /// makes nothing are left out.
    pub fn dump<T>(
        &self,
        message: &impl NetlinkSerializable,
        read: impl Fn(&Message<'_>) -> Option<T>,
    ) -> Result<Vec<T>, KernelError> {
        let mut tries = 0;
        loop {
            let mut objects = Vec::new();
            let flags = NLM_F_REQUEST | NLM_F_DUMP;
            let interrupted = self.exchange(message, flags, &mut |message| {
                objects.extend(read(message));
                ControlFlow::Continue(())
            })?;
            tries += 1;
            if !interrupted || tries == DUMPS {
                return Ok(objects);
            }
        }
    }

    /// The same, but no more than so many, whoever made them; and whether that is all. What is left
    /// unread goes with the socket, which is good for nothing else after that.
    pub fn dump_at_most<T>(
        self,
        message: &impl NetlinkSerializable,
        most: usize,
        read: impl Fn(&Message<'_>) -> Option<T>,
    ) -> Result<(Vec<T>, bool), KernelError> {
        let left = Cell::new(most);
        self.dump_while(message, |message| match left.get().checked_sub(1) {
            None => ControlFlow::Break(()),
            Some(now) => {
                left.set(now);
                ControlFlow::Continue(read(message))
            }
        })
    }

    /// The same, up to the object at which `read` breaks off; and whether it did not.
    pub fn dump_while<T>(
        self,
        message: &impl NetlinkSerializable,
        read: impl Fn(&Message<'_>) -> ControlFlow<(), Option<T>>,
    ) -> Result<(Vec<T>, bool), KernelError> {
        let mut found = Vec::new();
        let mut whole = true;
        self.exchange(message, NLM_F_REQUEST | NLM_F_DUMP, &mut |message| match read(message) {
            ControlFlow::Continue(one) => {
                found.extend(one);
                ControlFlow::Continue(())
            }
            ControlFlow::Break(()) => {
                whole = false;
                ControlFlow::Break(())
            }
        })?;
        Ok((found, whole))
    }

    /// One request and all of its answer, up to the object at which `read` breaks off. Tells whether the
    /// objects changed while they were read. The one function for all kinds of messages: for each of them
    /// it would be in the binary once more.
    fn exchange(
        &self,
        message: &dyn NetlinkSerializable,
        flags: u16,
        read: &mut dyn FnMut(&Message<'_>) -> ControlFlow<()>,
    ) -> Result<bool, KernelError> {
        let sequence = self.sequence.get().wrapping_add(1);
        self.sequence.set(sequence);
        let mut buffer = self.buffer.borrow_mut();
        encode(&mut buffer, flags, sequence, message);
        trace::sent(&buffer);
        self.send(&buffer)?;
        // A list has an end, and a change an acknowledgement; a single object is all there is.
        let single = flags & (NLM_F_ACK | NLM_F_DUMP) == 0;
        let mut interrupted = false;
        loop {
            buffer.clear();
            // No more than that: what is twice as large the allocator maps anew for each socket.
            buffer.reserve_exact(BUFFER);
            match self.receive(&mut buffer) {
                // Only the kernel has port 0.
                Ok((_, sender)) if sender.port_number() != 0 => continue,
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    let text = Some("the kernel did not answer".into());
                    return Err(KernelError { errno: libc::ETIMEDOUT, text });
                }
                Err(e) => return Err(e.into()),
            }
            // Others answer a request that was given up.
            for message in Messages(&buffer).filter(|message| message.sequence == sequence) {
                trace::received(&message);
                interrupted |= message.flags & NLM_F_DUMP_INTR != 0;
                match message.kind {
                    // Where a dump fails, its end says so, in the same way.
                    NLMSG_ERROR | NLMSG_DONE => {
                        acknowledged(&message)?;
                        return Ok(interrupted);
                    }
                    _ if read(&message).is_break() || single => return Ok(interrupted),
                    _ => {}
                }
            }
        }
    }
}

/// To the kernel and from it. For fuzzers it is otherwise (`tape`).
#[cfg(not(feature = "fuzzing"))]
impl Netlink {
    #[inline(always)]
    fn socket(family: isize) -> io::Result<Socket> {
        Self::open_socket(family)
    }

    #[inline(always)]
    fn send(&self, request: &[u8]) -> io::Result<()> {
        self.socket.send_to(request, &SocketAddr::new(0, 0), 0).map(drop)
    }

    #[inline(always)]
    fn receive(&self, buffer: &mut Vec<u8>) -> io::Result<(usize, SocketAddr)> {
        self.socket.recv_from(buffer, 0)
    }
}

impl From<Family> for AddressFamily {
    fn from(family: Family) -> Self {
        match family {
            Family::V4 => Self::Inet,
            Family::V6 => Self::Inet6,
        }
    }
}

/// Has the kernel say in words what it refuses. (netlink-sys takes `&mut self` for it in some
/// releases and `&self` in others: a parameter fits both.)
fn ask_for_words(socket: &mut Socket) -> io::Result<()> {
    socket.set_ext_ack(true)
}

/// A request as bytes.
fn encode(buffer: &mut Vec<u8>, flags: u16, sequence: u32, message: &dyn NetlinkSerializable) {
    let length = HEADER + message.buffer_len();
    buffer.clear();
    buffer.extend(u32::try_from(length).unwrap_or(u32::MAX).to_ne_bytes());
    buffer.extend(message.message_type().to_ne_bytes());
    buffer.extend(flags.to_ne_bytes());
    buffer.extend(sequence.to_ne_bytes());
    buffer.resize(length, 0); // from nobody: the kernel knows
    if let Some(body) = buffer.get_mut(HEADER..) {
        message.serialize(body);
    }
}
