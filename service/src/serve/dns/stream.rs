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

//! Messages over streams: a guest's connection, and a question to a server or to netd. Each reads and
//! writes as far as it can and never waits.

use super::message;
use super::netd;
use crate::model::if_index::IfIndex;
use nix::sys::epoll::EpollFlags;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// Most bytes that wait for a guest that does not read.
const MOST_WAITING: usize = 256 << 10;
/// How long a guest's connection may be idle.
const IDLE: Duration = Duration::from_secs(10);

/// A message over TCP: its length in two bytes, and itself (RFC 1035, 4.2.2).
pub fn framed(message: &[u8]) -> Vec<u8> {
    // What is longer cannot be said, and no message of ours is.
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.extend(message.iter().take(length.into()));
    bytes
}

/// The first message of what has come; none: it is not whole.
pub(crate) fn first(bytes: &[u8]) -> Option<&[u8]> {
    let length = u16::from_be_bytes(*bytes.first_chunk()?);
    bytes.get(2..2 + usize::from(length))
}

/// Bytes on their way out.
#[derive(Default)]
struct Outgoing {
    bytes: Vec<u8>,
    sent: usize,
}

impl Outgoing {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.sent);
        self.sent = 0;
        self.bytes.extend(bytes);
    }

    /// Whether all is sent.
    fn send(&mut self, stream: &mut impl Write) -> io::Result<bool> {
        while let Some(rest @ [_, ..]) = self.bytes.get(self.sent..) {
            match stream.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.sent += count,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                // The second: the connection is still being opened.
                Err(e) if is_wait(&e) => return Ok(false),
                Err(e) => return Err(e),
            }
        }
        *self = Self::default();
        Ok(true)
    }
}

fn is_wait(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock || error.raw_os_error() == Some(libc::ENOTCONN)
}

/// Reads what has come; tells whether more may come.
fn receive(stream: &mut impl Read, got: &mut Vec<u8>) -> io::Result<bool> {
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(false),
            Ok(count) => {
                got.extend(buffer.get(..count).unwrap_or_default());
                // Others wait, too: epoll tells again.
                return Ok(true);
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) if is_wait(&e) => return Ok(true),
            Err(e) => return Err(e),
        }
    }
}

/// Who is asked over a stream.
pub enum Other {
    /// A server.
    Server(TcpStream),
    /// netd.
    Netd(UnixStream),
}

/// One question over a stream of its own.
pub struct Exchange {
    other: Other,
    out: Outgoing,
    got: Vec<u8>,
}

impl Exchange {
    /// The stream may still be opening.
    pub fn new(other: Other, bytes: Vec<u8>) -> Self {
        Self { other, out: Outgoing { bytes, sent: 0 }, got: Vec::new() }
    }

    /// Goes on as far as it goes: the answer, or none yet.
    pub fn go_on(&mut self) -> io::Result<Option<Vec<u8>>> {
        let (out, got) = (&mut self.out, &mut self.got);
        let (sent, open) = match &mut self.other {
            Other::Server(stream) => (out.send(stream)?, receive(stream, got)?),
            Other::Netd(stream) => (out.send(stream)?, receive(stream, got)?),
        };
        let whole = match self.other {
            Other::Server(_) => first(&self.got).map(<[u8]>::to_vec),
            Other::Netd(_) => netd::answer(&self.got)?,
        };
        match whole {
            None if !open && sent => Err(io::ErrorKind::UnexpectedEof.into()),
            other => Ok(other),
        }
    }

    /// What it waits for.
    pub fn waits_for(&self) -> EpollFlags {
        match self.out.bytes.is_empty() {
            true => EpollFlags::EPOLLIN,
            false => EpollFlags::EPOLLOUT,
        }
    }
}

impl AsFd for Exchange {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.other {
            Other::Server(stream) => stream.as_fd(),
            Other::Netd(stream) => stream.as_fd(),
        }
    }
}

/// A guest's connection.
pub struct Connection {
    stream: TcpStream,
    /// Whose: its host end's index.
    pub guest: IfIndex,
    got: Vec<u8>,
    out: Outgoing,
    /// Whether the guest sends more.
    open: bool,
    /// Its questions that are not answered.
    waiting: usize,
    /// When it has been idle for too long.
    pub until: Instant,
}

impl Connection {
    /// A guest has opened it.
    pub fn new(stream: TcpStream, guest: IfIndex, now: Instant) -> Self {
        let (got, out, waiting) = Default::default();
        Self { stream, guest, got, out, open: true, waiting, until: now + IDLE }
    }

    /// What has come whole. An error: it is to be closed.
    pub fn receive(&mut self, now: Instant) -> io::Result<Vec<Vec<u8>>> {
        if self.open {
            self.open = receive(&mut self.stream, &mut self.got)?;
        }
        let (mut messages, mut at) = (Vec::new(), 0);
        while let Some(message) = self.got.get(at..).and_then(first) {
            messages.push(message.to_vec());
            at += 2 + message.len();
        }
        self.got.drain(..at);
        let length = self.got.first_chunk().map(|length| u16::from_be_bytes(*length));
        if length.is_some_and(|length| usize::from(length) > message::MOST) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if !messages.is_empty() {
            self.until = now + IDLE;
        }
        self.waiting += messages.len();
        self.flush()?;
        Ok(messages)
    }

    /// Sends an answer.
    pub fn answer(&mut self, message: &[u8], now: Instant) -> io::Result<()> {
        self.waiting = self.waiting.saturating_sub(1);
        self.until = now + IDLE;
        self.out.push(&framed(message));
        self.flush()
    }

    /// A question of it gets no answer.
    pub fn drop_one(&mut self) {
        self.waiting = self.waiting.saturating_sub(1);
    }

    fn flush(&mut self) -> io::Result<()> {
        let sent = self.out.send(&mut self.stream)?;
        let over = sent && !self.open && self.waiting == 0;
        if over || self.out.bytes.len() - self.out.sent > MOST_WAITING {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }

    /// What it waits for. One that asks more than it reads is not heard meanwhile.
    pub fn waits_for(&self) -> EpollFlags {
        match (self.out.bytes.is_empty(), self.open) {
            (true, true) => EpollFlags::EPOLLIN,
            (true, false) => EpollFlags::empty(),
            (false, _) => EpollFlags::EPOLLOUT,
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
