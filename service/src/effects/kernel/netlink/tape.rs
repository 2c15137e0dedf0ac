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
use rtnetlink::sys::SocketAddr;
use std::cell::RefCell;
use std::io;

enum Tape {
    /// What is left of it.
    Plays(Vec<u8>),
    /// What is on it by now.
    Records(Vec<u8>),
}

thread_local! {
    static TAPE: RefCell<Option<Tape>> = const { RefCell::new(None) };
}

/// Plays messages, one after the other, to whatever asks on this thread; when they are at their end, each
/// list is, too.
pub fn play<T>(messages: &[u8], read: impl FnOnce() -> T) -> T {
    TAPE.set(Some(Tape::Plays(messages.to_vec())));
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

impl Netlink {
    pub(super) fn send(&self, request: &[u8]) -> io::Result<()> {
        match TAPE.with_borrow(|tape| matches!(tape, Some(Tape::Plays(_)))) {
            true => Ok(()),
            false => self.socket.send_to(request, &SocketAddr::new(0, 0), 0).map(drop),
        }
    }

    pub(super) fn receive(&self, buffer: &mut Vec<u8>) -> io::Result<(usize, SocketAddr)> {
        let played = TAPE.with_borrow_mut(|tape| match tape {
            Some(Tape::Plays(left)) => Some(next(left, self.sequence.get())),
            _ => None,
        });
        if let Some(message) = played {
            buffer.extend(message);
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

/// The next message, as an answer to the request of this number. Behind the last one, and behind what is
/// none, is the end of a list.
fn next(left: &mut Vec<u8>, sequence: u32) -> Vec<u8> {
    let mut message = match Messages(left).next() {
        Some(_) => {
            let length = u32_at(left, 0).map_or(0, |length| length as usize);
            let message = left.get(..length).unwrap_or_default().to_vec();
            left.drain(..length.next_multiple_of(4).min(left.len()));
            message
        }
        None => {
            left.clear();
            let length = (HEADER + 4) as u32;
            let kind = u32::from(NLMSG_DONE);
            [length, kind, 0, 0, 0].map(u32::to_ne_bytes).concat()
        }
    };
    if let Some(place) = message.get_mut(8..12) {
        place.copy_from_slice(&sequence.to_ne_bytes());
    }
    message
}
