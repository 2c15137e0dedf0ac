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

//! One probe on its way, on one side: its socket, what it waits for, and what has become of it. Never
//! blocks. Who answers may be anybody: what cannot be read is nothing, and no more is read than fits.

use super::probe::{Found, Kind, Outcome, Over, Probe};
use super::socket;
use super::targets::Targets;
use super::trail::{Mark, Side};
use super::wire::{dns, echo, http};
use nix::poll::PollFlags;
use nix::sys::socket::{bind, connect, SockaddrIn};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

/// How long until a datagram is sent again.
const AGAIN: Duration = Duration::from_millis(600);
/// How often it is sent.
const TRIES: u8 = 3;
/// Most datagrams that are read at one time.
const AT_A_TIME: usize = 16;

/// A probe on its way.
#[derive(Debug)]
pub struct Flight {
    /// Which of the probes.
    pub probe: usize,
    /// From where.
    pub side: Side,
    /// What has become of it.
    pub found: Found,
    /// The addresses that a resolver gave.
    pub addresses: Vec<Ipv4Addr>,
    kind: Kind,
    to: Option<SocketAddrV4>,
    /// The port that it is sent from.
    port: Option<u16>,
    /// None once it has ended.
    socket: Option<Socket>,
    message: Vec<u8>,
    id: u64,
    begun: Option<Instant>,
    again: Option<Instant>,
    tries: u8,
    connected: bool,
    received: Vec<u8>,
}

#[derive(Debug)]
enum Socket {
    Datagram(UdpSocket),
    Stream(TcpStream),
}

impl Flight {
    /// Opens its socket in the calling thread's network namespace, for this interface only where one is
    /// named. None where the side has no such probe.
    pub fn open(
        (number, probe): (usize, &Probe),
        (side, interface): (Side, Option<&str>),
        targets: &Targets,
        magic: u32,
    ) -> Option<Self> {
        let to = match side {
            Side::Guest => probe.from_guest,
            Side::Device => probe.from_device,
        };
        if to.is_none() && probe.kind != Kind::Page {
            return None;
        }
        let id = u64::from(magic) << 32 | random() & 0xffff_ffff;
        let mut flight = Self {
            probe: number,
            side,
            found: Found::default(),
            addresses: Vec::new(),
            kind: probe.kind,
            to,
            port: None,
            socket: None,
            message: message(probe.kind, id, targets),
            id,
            begun: None,
            again: None,
            tries: 0,
            connected: false,
            received: Vec::new(),
        };
        match open(probe.kind, interface) {
            Ok(socket) => flight.socket = Some(socket),
            Err(e) => flight.not_sent(&e),
        }
        Some(flight)
    }

    /// Whether nothing more will become of it.
    pub fn has_ended(&self) -> bool {
        self.socket.is_none()
    }

    /// Whether it waits for the address that a resolver gives.
    pub fn waits_for_address(&self) -> bool {
        self.to.is_none() && !self.has_ended()
    }

    /// What its packets are known by.
    pub fn mark(&self) -> Option<Mark> {
        Some(match self.kind {
            Kind::Ping(_) => Mark::Echo(self.id),
            Kind::Dns(_, Over::Udp | Over::UncheckedUdp) => Mark::Dns(self.id as u16),
            Kind::Tcp | Kind::Page | Kind::Dns(_, Over::Tcp) => Mark::Tcp(self.port?, self.to?),
        })
    }

    /// Has it sent from a port of its own from now on, and tells that; of an echo its id.
    pub fn settle(&self) -> io::Result<u16> {
        let any = SockaddrIn::new(0, 0, 0, 0, 0);
        match &self.socket {
            Some(Socket::Datagram(_)) if matches!(self.kind, Kind::Ping(_)) => {
                Ok(echo::id(self.id))
            }
            Some(Socket::Datagram(socket)) => {
                bind(socket.as_raw_fd(), &any)?;
                Ok(socket.local_addr()?.port())
            }
            Some(Socket::Stream(stream)) => {
                bind(stream.as_raw_fd(), &any)?;
                Ok(stream.local_addr()?.port())
            }
            None => Err(io::Error::other(self.found.detail.clone())),
        }
    }

    /// Sends it, to this address where it had none.
    pub fn begin(&mut self, now: Instant, address: Option<SocketAddrV4>) {
        self.to = self.to.or(address);
        let (Some(to), Some(socket)) = (self.to, &self.socket) else { return };
        self.begun = Some(now);
        let fd = match socket {
            Socket::Datagram(socket) => socket.as_raw_fd(),
            Socket::Stream(socket) => socket.as_raw_fd(),
        };
        match connect(fd, &SockaddrIn::from(to)).map_err(io::Error::from) {
            Err(e) if e.raw_os_error() == Some(libc::EINPROGRESS) => {}
            Err(e) => return self.not_sent(&e),
            Ok(()) => {}
        }
        if let Some(Socket::Stream(stream)) = &self.socket {
            self.port = stream.local_addr().ok().map(|own| own.port());
        }
        if let Some(Socket::Datagram(_)) = self.socket {
            self.send(now);
        }
    }

    /// When it wants to be woken.
    pub fn due(&self) -> Option<Instant> {
        self.again.filter(|_| !self.has_ended())
    }

    /// Sends it again, where it is time.
    pub fn wake(&mut self, now: Instant) {
        if self.due().is_some_and(|due| due <= now) {
            self.send(now);
        }
    }

    /// What it waits for.
    pub fn waits_for(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        self.begun?;
        match self.socket.as_ref()? {
            Socket::Datagram(socket) => Some((socket.as_fd(), PollFlags::POLLIN)),
            Socket::Stream(stream) if self.connected => Some((stream.as_fd(), PollFlags::POLLIN)),
            Socket::Stream(stream) => Some((stream.as_fd(), PollFlags::POLLOUT)),
        }
    }

    /// Takes what has come.
    pub fn ready(&mut self, now: Instant) {
        match &self.socket {
            Some(Socket::Datagram(_)) => self.receive(now),
            Some(Socket::Stream(_)) if self.connected => self.read(now),
            Some(Socket::Stream(stream)) => match stream.take_error() {
                Ok(None) => self.is_connected(now),
                Ok(Some(e)) | Err(e) => self.refused(now, &e),
            },
            None => {}
        }
    }

    /// Nobody waits for it any longer.
    pub fn end(&mut self) {
        if self.has_ended() {
            return;
        }
        let outcome = if self.begun.is_some() { Outcome::Silent } else { Outcome::NotMade };
        if self.connected {
            self.found.detail = "connected, but nothing was answered".to_owned();
        }
        self.found.outcome = outcome;
        self.socket = None;
    }

    fn send(&mut self, now: Instant) {
        let Some(Socket::Datagram(socket)) = &self.socket else { return };
        self.again = (self.tries + 1 < TRIES).then_some(now + AGAIN);
        self.tries += 1;
        match socket.send(&self.message) {
            Ok(_) => {}
            // Too busy now; it is sent again.
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(e) if e.raw_os_error() == Some(libc::ENOBUFS) => {}
            Err(e) if e.raw_os_error() == Some(libc::EMSGSIZE) => {
                self.answered(now, Outcome::TooLarge, "more than the link's MTU".to_owned());
                self.found.micros = None;
            }
            // The kernel's word on the one before.
            Err(e) if self.tries > 1 => self.refused(now, &e),
            Err(e) => self.not_sent(&e),
        }
    }

    fn receive(&mut self, now: Instant) {
        let mut buffer = [0; 2048];
        for _ in 0..AT_A_TIME {
            let Some(Socket::Datagram(socket)) = &self.socket else { return };
            match socket.recv(&mut buffer) {
                Ok(length) => self.take_datagram(now, buffer.get(..length).unwrap_or_default()),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.raw_os_error() == Some(libc::EMSGSIZE) => {
                    self.answered(now, Outcome::TooLarge, "a router on the way says so".to_owned());
                }
                Err(e) => self.refused(now, &e),
            }
        }
    }

    fn take_datagram(&mut self, now: Instant, bytes: &[u8]) {
        match self.kind {
            Kind::Ping(_) if echo::is_reply(bytes, self.id) => {
                self.answered(now, Outcome::Ok, String::new());
            }
            Kind::Dns(..) => {
                if let Some(answer) = dns::answer(bytes, self.id as u16) {
                    self.named(now, answer);
                }
            }
            _ => {}
        }
    }

    fn is_connected(&mut self, now: Instant) {
        self.connected = true;
        if self.kind == Kind::Tcp {
            return self.answered(now, Outcome::Ok, String::new());
        }
        // It fits into an empty socket's buffer.
        let Some(Socket::Stream(stream)) = &mut self.socket else { return };
        if let Err(e) = stream.write_all(&self.message) {
            self.refused(now, &e);
        }
    }

    fn read(&mut self, now: Instant) {
        let Some(Socket::Stream(stream)) = &mut self.socket else { return };
        let mut buffer = [0; http::MOST];
        let ended = match stream.read(&mut buffer) {
            Ok(0) => true,
            Ok(length) => {
                self.received.extend(buffer.iter().take(length));
                false
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => return,
            Err(e) => return self.refused(now, &e),
        };
        match self.kind {
            Kind::Dns(..) => {
                // A length comes first (RFC 1035, 4.2.2).
                let answer = self.received.get(2..).and_then(|b| dns::answer(b, self.id as u16));
                let length = self.received.first_chunk().map(|length| u16::from_be_bytes(*length));
                let whole = length.is_some_and(|l| self.received.len() >= usize::from(l) + 2);
                match answer.filter(|_| whole) {
                    Some(answer) => self.named(now, answer),
                    None if ended || whole || self.received.len() > http::MOST => {
                        self.answered(now, Outcome::Odd, "no answer of a resolver".to_owned());
                    }
                    None => {}
                }
            }
            _ => match http::judge(&self.received, ended) {
                Some(http::Answer::AsExpected) => self.answered(now, Outcome::Ok, String::new()),
                Some(http::Answer::Portal(url)) => {
                    self.answered(now, Outcome::Portal, url.unwrap_or_default());
                }
                Some(http::Answer::Odd(what)) => self.answered(now, Outcome::Odd, what),
                None => {}
            },
        }
    }

    fn named(&mut self, now: Instant, answer: dns::Answer) {
        let outcome = if answer.is_good() { Outcome::Ok } else { Outcome::Refused };
        let words = if answer.code == 0 { String::new() } else { answer.words() };
        self.answered(now, outcome, words);
        self.addresses = answer.addresses;
    }

    fn answered(&mut self, now: Instant, outcome: Outcome, detail: String) {
        let took = self.begun.map(|begun| now.saturating_duration_since(begun).as_micros());
        self.found.micros = took.and_then(|took| u64::try_from(took).ok());
        self.found.outcome = outcome;
        self.found.detail = detail;
        self.socket = None;
    }

    fn refused(&mut self, now: Instant, e: &io::Error) {
        let detail = match e.kind() {
            io::ErrorKind::ConnectionReset if self.connected => "reset".to_owned(),
            _ => in_words(e),
        };
        self.answered(now, Outcome::Refused, detail);
        self.found.errno = e.raw_os_error();
    }

    fn not_sent(&mut self, e: &io::Error) {
        self.found.outcome = Outcome::NotSent;
        self.found.errno = e.raw_os_error();
        self.found.detail = in_words(e);
        self.socket = None;
    }
}

/// errno's name and its words.
fn in_words(e: &io::Error) -> String {
    match e.raw_os_error().map(nix::errno::Errno::from_raw) {
        Some(errno) => format!("{errno:?}, {}", errno.desc()),
        None => e.to_string(),
    }
}

fn open(kind: Kind, interface: Option<&str>) -> io::Result<Socket> {
    let socket = match kind {
        Kind::Ping(_) => Socket::Datagram(socket::icmp()?),
        Kind::Dns(_, Over::Udp) => Socket::Datagram(socket::udp(false)?),
        Kind::Dns(_, Over::UncheckedUdp) => Socket::Datagram(socket::udp(true)?),
        Kind::Dns(_, Over::Tcp) | Kind::Tcp | Kind::Page => Socket::Stream(socket::tcp()?),
    };
    if let Some(interface) = interface {
        match &socket {
            Socket::Datagram(socket) => socket::bind_to(socket, interface)?,
            Socket::Stream(socket) => socket::bind_to(socket, interface)?,
        }
    }
    Ok(socket)
}

fn message(kind: Kind, id: u64, targets: &Targets) -> Vec<u8> {
    match kind {
        Kind::Ping(size) => echo::request(id, size.into()),
        Kind::Tcp => Vec::new(),
        Kind::Page => http::request(&targets.page),
        Kind::Dns(record, over) => {
            let question = dns::question(id as u16, &targets.name, record);
            match over {
                Over::Udp | Over::UncheckedUdp => question,
                // A name has at most 255 bytes.
                Over::Tcp => [&(question.len() as u16).to_be_bytes(), &question[..]].concat(),
            }
        }
    }
}

/// std's own random keys: no other source of randomness is at hand.
pub fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
