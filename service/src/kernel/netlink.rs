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

//! One rtnetlink socket: a request and what the kernel answers, its errno and its own words.
//! Knows no message's meaning. (Room for what differs between rtnetlink's versions.)

use crate::error::KernelError;
use netlink_packet_core::{
    ErrorMessage, NetlinkMessage, NetlinkPayload, NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST,
};
use netlink_packet_route::RouteNetlinkMessage;
use nix::sys::socket::{setsockopt, sockopt::ReceiveTimeout};
use nix::sys::time::TimeVal;
use rtnetlink::packet_core as netlink_packet_core;
use rtnetlink::sys::protocols::NETLINK_ROUTE;
use rtnetlink::sys::{Socket, SocketAddr};
use std::cell::{Cell, RefCell};
use std::io;

/// A socket in the network namespace of the thread that opened it.
///
/// The kernel does its work inside `sendmsg()`, so nothing is gained by waiting for it in another
/// way: a message is two system calls and no other thread. What may sleep long (RTM_DELLINK: 15 ms
/// in rcu_barrier) has a socket of its own on a thread of its own (`deleter.rs`).
#[derive(Debug)]
pub struct Netlink {
    socket: Socket,
    sequence: Cell<u32>,
    buffer: RefCell<Vec<u8>>,
}

/// What the kernel answered.
#[derive(Default)]
struct Answer {
    objects: Vec<RouteNetlinkMessage>,
    /// The objects changed while they were read.
    interrupted: bool,
    /// Some object came that netlink-packet-route cannot read.
    unreadable: bool,
}

/// How often a dump is repeated that is interrupted every time.
const DUMPS: usize = 8;
/// The kernel answers at once; this is for what nobody thought of. In seconds.
const PATIENCE: i64 = 10;
/// More than the kernel puts into one datagram of a dump (netlink_dump(): 32 KiB).
const BUFFER: usize = 64 << 10;
// linux/netlink.h
const HEADER: usize = 16;
const NLM_F_DUMP_INTR: u16 = 0x10;

impl Netlink {
    /// Opens a socket.
    pub fn open() -> io::Result<Self> {
        let socket = Socket::new(NETLINK_ROUTE)?;
        socket.set_ext_ack(true)?;
        // Kernels before 4.20 lack it: their dumps are not filtered, so every reader filters too.
        let _ = socket.set_netlink_get_strict_chk(true);
        setsockopt(&socket, ReceiveTimeout, &TimeVal::new(PATIENCE, 0))?;
        Ok(Self { socket, sequence: Cell::new(0), buffer: RefCell::new(Vec::new()) })
    }

    /// Asks for a change and waits for the kernel's word. `flags`: `NLM_F_CREATE` and the like.
    pub fn change(&self, message: RouteNetlinkMessage, flags: u16) -> Result<(), KernelError> {
        self.exchange(message, NLM_F_REQUEST | NLM_F_ACK | flags).map(drop)
    }

    /// Asks for one object.
    pub fn get(&self, message: RouteNetlinkMessage) -> Result<RouteNetlinkMessage, KernelError> {
        let answer = self.exchange(message, NLM_F_REQUEST)?;
        let unreadable = || KernelError {
            errno: libc::EBADMSG,
            text: Some("an attribute of the answer cannot be read".into()),
        };
        answer.objects.into_iter().next().ok_or_else(unreadable)
    }

    /// Asks for all objects of a kind; again when they changed meanwhile.
    pub fn dump(
        &self,
        message: RouteNetlinkMessage,
    ) -> Result<Vec<RouteNetlinkMessage>, KernelError> {
        let mut tries = 0;
        loop {
            let answer = self.exchange(message.clone(), NLM_F_REQUEST | NLM_F_DUMP)?;
            tries += 1;
            if answer.unreadable {
                log::debug!("an object that cannot be read is left out of a list");
            }
            if !answer.interrupted || tries == DUMPS {
                return Ok(answer.objects);
            }
        }
    }

    /// One request and all of its answer.
    fn exchange(&self, message: RouteNetlinkMessage, flags: u16) -> Result<Answer, KernelError> {
        let sequence = self.sequence.get().wrapping_add(1);
        self.sequence.set(sequence);
        let mut request = NetlinkMessage::from(message);
        request.header.flags = flags;
        request.header.sequence_number = sequence;
        request.finalize();
        let mut buffer = self.buffer.borrow_mut();
        buffer.clear();
        buffer.resize(request.buffer_len(), 0);
        request.serialize(&mut buffer);
        self.socket.send_to(&buffer, &SocketAddr::new(0, 0), 0)?;
        buffer.reserve(BUFFER);
        // A list has an end, and a change an acknowledgement; a single object is all there is.
        let single = flags & (NLM_F_ACK | NLM_F_DUMP) == 0;
        let mut answer = Answer::default();
        loop {
            buffer.clear();
            match self.socket.recv_from(&mut *buffer, 0) {
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
            if answer.take(&buffer, sequence, single)? {
                return Ok(answer);
            }
        }
    }
}

impl Answer {
    /// Takes one datagram in; true when it was the last.
    fn take(&mut self, datagram: &[u8], sequence: u32, single: bool) -> Result<bool, KernelError> {
        let mut rest = datagram;
        let mut ended = false;
        while let Some(message) = first(rest) {
            rest = rest.get((message.len() + 3) & !3..).unwrap_or_default();
            // An answer to a request that was given up.
            if message.get(8..12) != Some(&sequence.to_ne_bytes()) {
                continue;
            }
            let Ok(message) = NetlinkMessage::<RouteNetlinkMessage>::deserialize(message) else {
                self.unreadable = true;
                ended |= single;
                continue;
            };
            self.interrupted |= message.header.flags & NLM_F_DUMP_INTR != 0;
            match message.payload {
                NetlinkPayload::Error(e) if e.code.is_some() => return Err(refusal(&e)),
                // Where a dump fails, its end says so.
                NetlinkPayload::Done(end) if end.code < 0 => {
                    return Err(KernelError { errno: end.code.saturating_abs(), text: None });
                }
                NetlinkPayload::Error(_) | NetlinkPayload::Done(_) => ended = true,
                NetlinkPayload::InnerMessage(object) => {
                    ended |= single;
                    self.objects.push(object);
                }
                _ => {}
            }
        }
        Ok(ended)
    }
}

/// The first message of a datagram, if it is whole.
fn first(datagram: &[u8]) -> Option<&[u8]> {
    let length = u32::from_ne_bytes(datagram.get(..4)?.try_into().ok()?) as usize;
    datagram.get(..length).filter(|message| message.len() >= HEADER)
}

/// errno and, where the kernel gave one, its text.
pub fn refusal(error: &ErrorMessage) -> KernelError {
    KernelError { errno: error.raw_code().saturating_abs(), text: extended_ack(&error.header) }
}

/// The text of an extended acknowledgement (`NLMSGERR_ATTR_MSG`), which follows the echoed
/// request in an error message (linux/netlink.h, `struct nlmsgerr`).
fn extended_ack(echo: &[u8]) -> Option<String> {
    const NLMSGERR_ATTR_MSG: u16 = 1;
    let field = |at: usize| Some(u16::from_ne_bytes(echo.get(at..at + 2)?.try_into().ok()?));
    let request = u32::from_ne_bytes(echo.get(..4)?.try_into().ok()?) as usize;
    let mut at = request.checked_add(3)? & !3;
    loop {
        let (length, kind) = (usize::from(field(at)?), field(at + 2)?);
        let value = echo.get(at + 4..at.checked_add(length)?)?;
        if kind == NLMSGERR_ATTR_MSG {
            let text = value.split(|b| *b == 0).next()?;
            return Some(String::from_utf8_lossy(text).into_owned());
        }
        at += length.max(4).checked_add(3)? & !3;
    }
}

#[cfg(test)]
mod tests {
    use super::extended_ack;

    /// A request of 18 bytes, padded; an attribute that is skipped; the text; a broken tail.
    fn answer() -> Vec<u8> {
        let mut bytes = 18u32.to_ne_bytes().to_vec();
        bytes.resize(20, 0xaa);
        for (kind, value) in [(2u16, &b"\x10\0\0\0"[..]), (1, &b"Unknown device type\0"[..])] {
            bytes.extend(((4 + value.len()) as u16).to_ne_bytes());
            bytes.extend(kind.to_ne_bytes());
            bytes.extend(value);
        }
        bytes
    }

    #[test]
    fn the_kernels_words_are_found() {
        assert_eq!(extended_ack(&answer()).as_deref(), Some("Unknown device type"));
    }

    #[test]
    fn no_length_makes_it_panic() {
        let whole = answer();
        for end in 0..whole.len() {
            assert!(extended_ack(&whole[..end]).is_none(), "{end}");
        }
        for at in 0..whole.len() {
            for byte in [0, 1, 3, 0x7f, 0xff] {
                let mut bent = whole.clone();
                bent[at] = byte;
                let _ = extended_ack(&bent);
            }
        }
    }
}
