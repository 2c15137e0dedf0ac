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

//! A datagram of our own from the device to the guest and back, with its checksum and without: where only
//! that without arrives, checksums that are left to the hardware are never made. From the device, whose
//! packet filter lets answers in and nothing else; both sockets are ours.

use super::flight::random;
use super::probe::{Found, Outcome};
use super::socket;
use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

const AGAIN: Duration = Duration::from_millis(600);
const TRIES: u8 = 3;

/// The guest's socket, in the guest's namespace.
pub fn guest_end(address: Ipv4Addr, unchecked: bool) -> io::Result<UdpSocket> {
    bound(address, unchecked)
}

/// One echo.
#[derive(Debug)]
pub struct Echo {
    /// What has become of it on its way to the guest.
    pub there: Found,
    /// And on its way back.
    pub back: Found,
    /// Whether it has no checksum.
    pub unchecked: bool,
    ends: Option<Ends>,
    token: [u8; 8],
    begun: Instant,
    again: Option<Instant>,
    tries: u8,
}

#[derive(Debug)]
struct Ends {
    guest: UdpSocket,
    device: UdpSocket,
}

impl Echo {
    /// Sends it from the device's address on the link.
    pub fn begin(guest: io::Result<UdpSocket>, from: Ipv4Addr, unchecked: bool) -> Self {
        let mut echo = Self {
            there: Found::default(),
            back: Found::default(),
            unchecked,
            ends: None,
            token: random().to_be_bytes(),
            begun: Instant::now(),
            again: None,
            tries: 0,
        };
        let ends = || -> io::Result<Ends> {
            let guest = guest?;
            let device = bound(from, unchecked)?;
            device.connect(guest.local_addr()?)?;
            Ok(Ends { guest, device })
        };
        match ends() {
            Ok(ends) => {
                echo.ends = Some(ends);
                echo.send(echo.begun);
            }
            Err(e) => echo.cannot(&e),
        }
        echo
    }

    /// Its sockets, until it has ended.
    pub fn sockets(&self) -> impl Iterator<Item = &UdpSocket> {
        self.ends.iter().flat_map(|ends| [&ends.guest, &ends.device])
    }

    /// Whether nothing more will become of it.
    pub fn has_ended(&self) -> bool {
        self.ends.is_none()
    }

    /// When it wants to be woken.
    pub fn due(&self) -> Option<Instant> {
        self.again.filter(|_| !self.has_ended())
    }

    /// Takes what has come, and sends it again where it is time.
    pub fn wake(&mut self, now: Instant) {
        if self.due().is_some_and(|due| due <= now) {
            self.send(now);
        }
        let Some(ends) = &self.ends else { return };
        let micros = u64::try_from(now.saturating_duration_since(self.begun).as_micros()).ok();
        let mut buffer = [0; 64];
        if let Ok((length, from)) = ends.guest.recv_from(&mut buffer) {
            let ours = ends.device.local_addr().is_ok_and(|own| own == from);
            if ours && buffer.get(..length) == Some(&self.token[..]) {
                self.there = Found { outcome: Outcome::Ok, micros, ..Found::default() };
                if let Err(e) = ends.guest.send_to(&self.token, from) {
                    self.back.detail = e.to_string();
                }
            }
        }
        if let Ok(length) = ends.device.recv(&mut buffer) {
            if buffer.get(..length) == Some(&self.token[..]) {
                self.back = Found { outcome: Outcome::Ok, micros, ..Found::default() };
                self.ends = None;
            }
        }
    }

    /// Nobody waits for it any longer.
    pub fn end(&mut self) {
        if self.has_ended() {
            return;
        }
        for found in [&mut self.there, &mut self.back] {
            if found.outcome == Outcome::NotMade {
                found.outcome = Outcome::Silent;
            }
        }
        self.ends = None;
    }

    fn send(&mut self, now: Instant) {
        let Some(ends) = &self.ends else { return };
        self.tries += 1;
        self.again = (self.tries < TRIES).then_some(now + AGAIN);
        match ends.device.send(&self.token) {
            Err(e) if e.kind() != io::ErrorKind::WouldBlock => self.cannot(&e),
            _ => {}
        }
    }

    fn cannot(&mut self, e: &io::Error) {
        self.there.outcome = Outcome::NotSent;
        self.there.errno = e.raw_os_error();
        self.there.detail = e.to_string();
        self.ends = None;
    }
}

fn bound(address: Ipv4Addr, unchecked: bool) -> io::Result<UdpSocket> {
    let socket = socket::udp(unchecked)?;
    let any_port = std::net::SocketAddrV4::new(address, 0);
    nix::sys::socket::bind(
        std::os::fd::AsRawFd::as_raw_fd(&socket),
        &nix::sys::socket::SockaddrIn::from(any_port),
    )?;
    Ok(socket)
}
