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

//! For fuzzers and their seeds: on a thread that plays a tape, what is on it is what the kernel answers, and
//! nothing is sent; on one that records, the kernel's answers are kept. On all others nothing is different.

use super::message::{u32_at, Messages, HEADER, NLMSG_DONE};
use super::Netlink;
use rtnetlink::sys::protocols::NETLINK_ROUTE;
use rtnetlink::sys::{Socket, SocketAddr};
use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, FromRawFd, IntoRawFd};

enum Tape {
    /// What is on it, and how much of that has been played.
    Plays(Vec<u8>, usize),
    /// What is on it by now.
    Records(Vec<u8>),
}

thread_local! {
    static TAPE: RefCell<Option<Tape>> = const { RefCell::new(None) };
    /// What is opened while a tape plays is this one: the kernel takes longer to make and to end a socket than
    /// most readers for what is on a tape.
    static SOCKET: Socket = Socket::new(NETLINK_ROUTE).expect("a netlink socket");
}

/// Plays messages, one after the other, to whatever asks on this thread; when they are at their end, each
/// list is, too.
pub fn play<T>(messages: &[u8], read: impl FnOnce() -> T) -> T {
    TAPE.set(Some(Tape::Plays(messages.to_vec(), 0)));
    let result = read();
    TAPE.set(None);
    result
}

/// All that the kernel answers on this thread, as [`play`] takes it.
pub fn record(read: impl FnOnce()) -> Vec<u8> {
    TAPE.set(Some(Tape::Records(Vec::new())));
    read();
    match TAPE.take() {
        Some(Tape::Records(messages)) => messages,
        _ => Vec::new(),
    }
}

fn plays() -> bool {
    TAPE.with_borrow(|tape| matches!(tape, Some(Tape::Plays(..))))
}

impl Netlink {
    pub(super) fn socket(family: isize) -> io::Result<Socket> {
        if !plays() {
            return Self::open_socket(family);
        }
        let same = SOCKET.with(|socket| socket.as_fd().try_clone_to_owned())?;
        // SAFETY: the descriptor is nobody else's.
        Ok(unsafe { Socket::from_raw_fd(same.into_raw_fd()) })
    }

    pub(super) fn send(&self, request: &[u8]) -> io::Result<()> {
        match plays() {
            true => Ok(()),
            false => self.socket.send_to(request, &SocketAddr::new(0, 0), 0).map(drop),
        }
    }

    pub(super) fn receive(&self, buffer: &mut Vec<u8>) -> io::Result<(usize, SocketAddr)> {
        let played = TAPE.with_borrow_mut(|tape| match tape {
            Some(Tape::Plays(messages, at)) => {
                *at = next(messages, *at, self.sequence.get(), buffer);
                true
            }
            _ => false,
        });
        if played {
            return Ok((buffer.len(), SocketAddr::new(0, 0)));
        }
        let received = self.socket.recv_from(buffer, 0)?;
        TAPE.with_borrow_mut(|tape| {
            if let Some(Tape::Records(messages)) = tape {
                messages.extend_from_slice(buffer);
            }
        });
        Ok(received)
    }
}

/// Plays the message that is there, as an answer to the request of this number, and tells where the next one is.
/// Behind the last one, and behind what is none, is the end of a list.
fn next(messages: &[u8], at: usize, sequence: u32, buffer: &mut Vec<u8>) -> usize {
    let start = buffer.len();
    let left = messages.get(at..).unwrap_or_default();
    let after = match Messages(left).next() {
        Some(_) => {
            let length = u32_at(left, 0).map_or(0, |length| length as usize);
            buffer.extend_from_slice(left.get(..length).unwrap_or_default());
            at + length.next_multiple_of(4)
        }
        None => {
            let length = (HEADER + 4) as u32;
            let kind = u32::from(NLMSG_DONE);
            buffer.extend([length, kind, 0, 0, 0].into_iter().flat_map(u32::to_ne_bytes));
            messages.len()
        }
    };
    if let Some(place) = buffer.get_mut(start + 8..start + 12) {
        place.copy_from_slice(&sequence.to_ne_bytes());
    }
    after
}
