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

//! One accepted connection, and the place it takes for exactly as long as its socket is open. No
//! message of its client's is larger, carries more descriptors or takes longer than the limits say.

use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use rsbinder::rpc::transport::{PeerIdentity, RpcTransport, UnixTransport};
use rsbinder::rpc::{RpcError, RpcResult};

use crate::places::Place;
use crate::Limits;

/// Descriptors that one message may carry. No call of a client's carries more than one.
const DESCRIPTORS: usize = 8;

/// A Unix socket transport that holds a place. Everything but the place and the limits is the
/// transport's own.
pub(crate) struct Line {
    // Closed before the place is given back.
    socket: Arc<UnixTransport>,
    fd: RawFd,
    place: Place,
    message: usize,
    transfer: Duration,
    reading: Mutex<Reading>,
}

impl Line {
    /// `fd` is the socket's own descriptor.
    pub(crate) fn new(
        socket: Arc<UnixTransport>,
        fd: RawFd,
        place: Place,
        limits: &Limits,
    ) -> Self {
        let reading = Mutex::new(Reading::default());
        Self { socket, fd, place, message: limits.message, transfer: limits.transfer, reading }
    }

    /// Before a read of that many bytes: it may be no more of a message than there can be, and what
    /// has begun has to end. Waits for the next byte of what has begun.
    fn before_read(&self, wanted: usize) -> RpcResult<()> {
        if wanted > self.message {
            return Err(RpcError::FrameTooLarge { declared: wanted, max: self.message });
        }
        let Some(began) = self.reading().in_message(wanted) else { return Ok(()) };
        let left = self.transfer.saturating_sub(began.elapsed()).as_millis();
        let left = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        // SAFETY: the descriptor is the socket's, which is open for as long as `self.socket` lives.
        let socket = unsafe { BorrowedFd::borrow_raw(self.fd) };
        match poll(&mut [PollFd::new(socket, PollFlags::POLLIN)], left) {
            Ok(0) => Err(RpcError::Protocol("a message took too long")),
            // A signal: the read itself waits, and its end is looked at in the next.
            Ok(_) | Err(_) => Ok(()),
        }
    }

    fn after_read(&self, wanted: usize, read: &[u8], descriptors: usize) -> RpcResult<()> {
        match self.reading().took(wanted, read, descriptors) {
            true => Ok(()),
            false => Err(RpcError::Protocol("a message with too many descriptors")),
        }
    }

    /// The state is consistent between any two statements.
    fn reading(&self) -> MutexGuard<'_, Reading> {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes of a message's head (RpcWireHeader), and where in it the length of the rest stands.
const HEAD: usize = 16;
const LENGTH: std::ops::Range<usize> = 4..8;

/// How far the message has come that is being read. Messages are read as they are on the wire: the
/// head, then as many bytes as it says. The handshake's parts have other lengths and count as whole.
#[derive(Default)]
struct Reading {
    /// When the message's first byte was read; none between two messages.
    began: Option<Instant>,
    /// What was read of a head that is not whole yet.
    head: Vec<u8>,
    /// What is left of the rest.
    left: usize,
    descriptors: usize,
}

impl Reading {
    /// When the message began that a read of that many bytes goes on with; none: it begins another.
    fn in_message(&mut self, wanted: usize) -> Option<Instant> {
        let goes_on =
            wanted == self.left || !self.head.is_empty() && wanted == HEAD - self.head.len();
        if !goes_on {
            *self = Self::default();
        }
        self.began
    }

    /// A read of `wanted` bytes gave these. False: the message has too many descriptors.
    fn took(&mut self, wanted: usize, read: &[u8], descriptors: usize) -> bool {
        self.began.get_or_insert_with(Instant::now);
        self.descriptors += descriptors;
        let allowed = self.descriptors <= DESCRIPTORS;
        if self.left > 0 {
            self.left = self.left.saturating_sub(read.len());
        } else if wanted == HEAD - self.head.len() {
            self.head.extend_from_slice(read);
            if self.head.len() == HEAD {
                let length = self.head.get(LENGTH).and_then(|bytes| bytes.try_into().ok());
                self.left = length.map_or(0, |bytes| u32::from_le_bytes(bytes) as usize);
                self.head.clear();
            }
        }
        if self.left == 0 && self.head.is_empty() {
            *self = Self::default();
        }
        allowed
    }
}

impl RpcTransport for Line {
    /// The server arms a read timeout for the handshake and lifts it when that has succeeded:
    /// the one sign from outside that a connection is no stranger's any more.
    fn set_read_timeout(&self, timeout: Option<Duration>) -> RpcResult<()> {
        if timeout.is_none() {
            self.place.keep();
        }
        self.socket.set_read_timeout(timeout)
    }

    fn send_frame(&self, buf: &[u8]) -> RpcResult<()> {
        self.socket.send_frame(buf)
    }

    // Nothing of the wire that is served: what it reads could not be bounded here.
    fn recv_frame(&self) -> RpcResult<Vec<u8>> {
        Err(RpcError::Protocol("length-prefixed frames are not served"))
    }

    fn peer_identity(&self) -> PeerIdentity {
        self.socket.peer_identity()
    }

    fn describe(&self) -> &str {
        self.socket.describe()
    }

    fn set_write_timeout(&self, timeout: Option<Duration>) -> RpcResult<()> {
        self.socket.set_write_timeout(timeout)
    }

    fn set_liveness(&self, timeout: Option<Duration>) -> RpcResult<()> {
        self.socket.set_liveness(timeout)
    }

    fn peer_closed(&self) -> Option<bool> {
        self.socket.peer_closed()
    }

    fn shutdown_handle(&self) -> Option<Box<dyn FnOnce() + Send>> {
        self.socket.shutdown_handle()
    }

    fn shutdown(&self) -> RpcResult<()> {
        self.socket.shutdown()
    }

    fn supports_fd_passing(&self) -> bool {
        self.socket.supports_fd_passing()
    }

    fn send_frame_with_fds(&self, buf: &[u8], fds: &[BorrowedFd<'_>]) -> RpcResult<()> {
        self.socket.send_frame_with_fds(buf, fds)
    }

    fn recv_frame_with_fds(&self) -> RpcResult<(Vec<u8>, Vec<OwnedFd>)> {
        Err(RpcError::Protocol("length-prefixed frames are not served"))
    }

    fn send_raw(&self, buf: &[u8]) -> RpcResult<()> {
        self.socket.send_raw(buf)
    }

    fn recv_raw(&self, buf: &mut [u8]) -> RpcResult<usize> {
        self.before_read(buf.len())?;
        let read = self.socket.recv_raw(buf)?;
        self.after_read(buf.len(), buf.get(..read).unwrap_or_default(), 0)?;
        Ok(read)
    }

    fn send_raw_with_fds(&self, buf: &[u8], fds: &[BorrowedFd<'_>]) -> RpcResult<()> {
        self.socket.send_raw_with_fds(buf, fds)
    }

    fn recv_raw_with_fds(&self, buf: &mut [u8]) -> RpcResult<(usize, Vec<OwnedFd>)> {
        self.before_read(buf.len())?;
        let (read, descriptors) = self.socket.recv_raw_with_fds(buf)?;
        self.after_read(buf.len(), buf.get(..read).unwrap_or_default(), descriptors.len())?;
        Ok((read, descriptors))
    }

    fn send_raw_draining(
        &self,
        buf: &[u8],
        fds: &[BorrowedFd<'_>],
        drain: &mut dyn FnMut() -> RpcResult<()>,
    ) -> RpcResult<()> {
        self.socket.send_raw_draining(buf, fds, drain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(length: u32) -> Vec<u8> {
        [&[0; 4][..], &length.to_le_bytes(), &[0; 8]].concat()
    }

    /// A read of a whole part, in one piece.
    fn read(reading: &mut Reading, part: &[u8]) -> bool {
        let goes_on = reading.in_message(part.len()).is_some();
        assert!(reading.took(part.len(), part, 0));
        goes_on
    }

    #[test]
    fn a_message_goes_from_its_head_to_its_last_byte() {
        let mut reading = Reading::default();
        for length in [20u32, 0, 16, 1] {
            assert!(!read(&mut reading, &head(length)), "{length}");
            if length > 0 {
                assert!(read(&mut reading, &vec![0; length as usize]), "{length}");
            }
        }
        // Byte by byte.
        let message = [head(5), vec![0; 5]].concat();
        for (at, byte) in message.iter().enumerate() {
            let wanted = if at < HEAD { HEAD - at } else { message.len() - at };
            assert_eq!(reading.in_message(wanted).is_some(), at > 0, "{at}");
            assert!(reading.took(wanted, &[*byte], 0));
        }
        assert!(!read(&mut reading, &head(0)));
    }

    #[test]
    fn a_handshake_is_no_message_and_does_not_confuse_the_next() {
        let mut reading = Reading::default();
        let connection = [&2u32.to_le_bytes()[..], &[0, 1], &[0; 10]].concat();
        assert!(!read(&mut reading, &connection));
        assert!(!read(&mut reading, b"cci\0\0\0\0\0"), "not the rest of what looked like a head");
        assert!(!read(&mut reading, &head(7)));
        assert!(read(&mut reading, &[0; 7]));
    }

    #[test]
    fn descriptors_are_counted_over_a_whole_message() {
        let mut reading = Reading::default();
        for _ in 0..3 {
            assert!(reading.in_message(HEAD).is_none());
            assert!(reading.took(HEAD, &head(2), DESCRIPTORS - 1));
            assert!(reading.in_message(2).is_some());
            assert!(reading.took(2, &[0; 1], 1));
            assert!(reading.took(1, &[0; 1], 0));
        }
        assert!(reading.took(HEAD, &head(2), DESCRIPTORS));
        assert!(!reading.took(2, &[0; 2], 1));
    }
}
