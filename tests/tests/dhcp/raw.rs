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

//! A client that sends what it likes: frames by a packet socket in a guest, byte by byte.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

use guestnet_tests::vm::assert_whole;
use guestnet_tests::{Guest, InNetns, Probe};

/// A message that asks for something, and the frame around it. All can be wrong.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Where the frame comes from.
    pub mac: [u8; 6],
    /// The IP source.
    pub source: Ipv4Addr,
    /// The port that it comes from.
    pub port: u16,
    /// The client's MAC in the message.
    pub chaddr: [u8; 6],
    /// The relay.
    pub giaddr: Ipv4Addr,
    /// The address that the client says it has.
    pub ciaddr: Ipv4Addr,
    /// The options; with their end.
    pub options: Vec<u8>,
}

/// DHCPDISCOVER.
pub const DISCOVER: u8 = 1;
/// DHCPREQUEST.
pub const REQUEST: u8 = 3;
/// DHCPDECLINE.
pub const DECLINE: u8 = 4;
/// DHCPRELEASE.
pub const RELEASE: u8 = 7;

impl Frame {
    /// What the guest's own client would send.
    pub fn of(guest: &Guest, kind: u8) -> Self {
        let mac = mac_of(guest);
        let nobody = Ipv4Addr::UNSPECIFIED;
        Self {
            mac,
            source: nobody,
            port: 68,
            chaddr: mac,
            giaddr: nobody,
            ciaddr: nobody,
            options: vec![53, 1, kind, 55, 3, 1, 3, 6, 255],
        }
    }

    /// BOOTP's part, the cookie and the options.
    pub fn message(&self) -> Vec<u8> {
        let mut bytes = vec![1, 1, 6, 0, 7, 7, 7, 7, 0, 0, 0, 0];
        bytes.extend(self.ciaddr.octets());
        bytes.extend([0; 8]);
        bytes.extend(self.giaddr.octets());
        bytes.extend(self.chaddr);
        bytes.resize(236, 0);
        bytes.extend([99, 130, 83, 99]);
        bytes.extend(&self.options);
        bytes
    }

    /// All of it, from Ethernet's header on.
    pub fn bytes(&self) -> Vec<u8> {
        framed(self, &self.message())
    }
}

/// Any payload for the server's port, in a frame of `like`'s.
pub fn framed(like: &Frame, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0xff; 6];
    bytes.extend(like.mac);
    bytes.extend([8, 0]);
    let mut ip = vec![0x45, 0];
    ip.extend((28 + payload.len() as u16).to_be_bytes());
    ip.extend([0, 0, 0, 0, 64, 17, 0, 0]);
    ip.extend(like.source.octets());
    ip.extend([255; 4]);
    let sum = ip.chunks(2).map(|two| u32::from(two[0]) << 8 | u32::from(two[1])).sum::<u32>();
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    bytes.extend(ip);
    bytes.extend(like.port.to_be_bytes());
    bytes.extend([0, 67]);
    bytes.extend((8 + payload.len() as u16).to_be_bytes());
    // No checksum (RFC 768).
    bytes.extend([0, 0]);
    bytes.extend(payload);
    bytes
}

/// The MAC of a guest's end.
pub fn mac_of(guest: &Guest) -> [u8; 6] {
    let link = guest.link("wlan0").expect("its end");
    let text = link["address"].as_str().expect("a MAC").to_owned();
    let bytes: Vec<u8> = text.split(':').map(|b| u8::from_str_radix(b, 16).expect("hex")).collect();
    bytes.try_into().expect("six bytes")
}

/// A packet socket at a guest's end.
pub struct Wire {
    fd: OwnedFd,
}

impl Wire {
    /// Opens it.
    pub fn of(guest: &Guest) -> Self {
        guest.enter(|| {
            // SAFETY: the call takes three integers; the descriptor is nobody else's.
            let fd = unsafe {
                let all = (libc::ETH_P_ALL as u16).to_be().into();
                OwnedFd::from_raw_fd(libc::socket(libc::AF_PACKET, libc::SOCK_RAW, all))
            };
            // SAFETY: all zeros are a valid `struct sockaddr_ll`.
            let mut at: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
            at.sll_family = libc::AF_PACKET as u16;
            at.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
            at.sll_ifindex = nix::net::if_::if_nametoindex("wlan0").expect("wlan0") as i32;
            let size = std::mem::size_of_val(&at) as libc::socklen_t;
            // SAFETY: the descriptor is open, and the kernel reads one `struct sockaddr_ll`.
            let done = unsafe {
                libc::bind(fd.as_raw_fd(), (&at as *const libc::sockaddr_ll).cast(), size)
            };
            assert_eq!(done, 0, "bind: {}", io::Error::last_os_error());
            Self { fd }
        })
    }

    /// Sends a frame; one that the link does not take is dropped here.
    pub fn send(&self, frame: &[u8]) {
        // SAFETY: the descriptor is open, and the kernel reads `frame`.
        unsafe { libc::send(self.fd.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
    }

    /// The kind and the address of a server's next message; none: there is none in this time.
    pub fn answer(&self, wait: Duration) -> Option<(u8, Ipv4Addr)> {
        let until = Instant::now() + wait;
        let mut buffer = [0; 2048];
        loop {
            let left = until.saturating_duration_since(Instant::now()).as_millis() as i32;
            let mut poll =
                libc::pollfd { fd: self.fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
            // SAFETY: the kernel reads and writes one `struct pollfd`.
            if unsafe { libc::poll(&mut poll, 1, left) } <= 0 {
                return None;
            }
            // SAFETY: the descriptor is open, and the kernel writes no more than the buffer has room for.
            let length = unsafe {
                libc::recv(poll.fd, buffer.as_mut_ptr().cast(), buffer.len(), libc::MSG_DONTWAIT)
            };
            let frame = &buffer[..usize::try_from(length).unwrap_or(0)];
            // IPv4, UDP, from 67 to 68.
            if frame.len() > 285 && frame[12..14] == [8, 0] && frame[34..38] == [0, 67, 0, 68] {
                // A client that reads frames as they are takes none whose checksum is left to hardware.
                assert_ne!(frame[40..42], [0, 0], "it has a checksum");
                assert_whole(&[0; 2], frame);
                let given: [u8; 4] = frame[58..62].try_into().expect("four bytes");
                // Behind the cookie the kind comes first.
                return Some((frame[284], given.into()));
            }
        }
    }
}
