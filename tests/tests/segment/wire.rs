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

//! A guest's link as whoever is root there has it: frames as they are.

use std::cell::RefCell;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::FromRawFd;
use std::time::{Duration, Instant};

use android_system_guestnet::aidl::android::system::guestnet::Guest::Guest as Attached;
use guestnet_tests::bed::BOUND;
use guestnet_tests::client::address;
use guestnet_tests::{Guest, InNetns};

pub const ALL: [u8; 6] = [0xff; 6];
pub const IPV4: u16 = 0x0800;
pub const ARP: u16 = 0x0806;

/// A packet socket on a guest's link.
pub struct Wire {
    socket: File,
    pub mac: [u8; 6],
    heard: RefCell<Vec<Vec<u8>>>,
}

impl Wire {
    /// That of a guest that is attached so.
    pub fn of(guest: &Guest, attached: &Attached) -> Self {
        Self::at(guest, &attached.interfaceName, attached)
    }

    /// One on another interface of its, with the same MAC.
    pub fn at(guest: &Guest, interface: &str, attached: &Attached) -> Self {
        let socket = guest.enter(|| open(interface));
        Self { socket, mac: mac(attached), heard: RefCell::default() }
    }

    /// A frame of this guest's.
    pub fn frame(&self, to: [u8; 6], protocol: u16, payload: &[u8]) -> Vec<u8> {
        frame(to, self.mac, protocol, payload)
    }

    /// Sends a frame as it is.
    pub fn send(&self, frame: &[u8]) {
        (&self.socket).write_all(frame).expect("send");
    }

    /// Has something sent until this has come in.
    #[track_caller]
    pub fn hears(&self, mark: &[u8], send: impl Fn()) {
        let until = Instant::now() + BOUND;
        while !self.has_heard(mark) {
            assert!(Instant::now() < until, "{:?} has not come", String::from_utf8_lossy(mark));
            send();
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Whether a frame with this in it has come in up to now.
    pub fn has_heard(&self, mark: &[u8]) -> bool {
        self.count(mark) > 0
    }

    /// What has come in with this in it counts no more.
    pub fn forget(&self, mark: &[u8]) {
        let has = |frame: &Vec<u8>| frame.windows(mark.len()).any(|part| part == mark);
        self.heard.borrow_mut().retain(|frame| !has(frame));
    }

    /// How many of those have come in.
    pub fn count(&self, mark: &[u8]) -> usize {
        let mut buffer = [0; 4096];
        while let Ok(length) = (&self.socket).read(&mut buffer) {
            self.heard.borrow_mut().push(buffer[..length].to_vec());
        }
        let heard = self.heard.borrow();
        let has = |frame: &&Vec<u8>| frame.windows(mark.len()).any(|part| part == mark);
        heard.iter().filter(has).count()
    }
}

/// The MAC of a guest's end.
pub fn mac(attached: &Attached) -> [u8; 6] {
    let bytes = attached.mac.split(':').map(|byte| u8::from_str_radix(byte, 16).expect("hex"));
    bytes.collect::<Vec<_>>().try_into().expect("a MAC")
}

/// The four bytes of its address.
pub fn octets(attached: &Attached) -> [u8; 4] {
    address(attached).parse::<std::net::Ipv4Addr>().expect("an address").octets()
}

pub fn frame(to: [u8; 6], from: [u8; 6], protocol: u16, payload: &[u8]) -> Vec<u8> {
    [&to[..], &from, &protocol.to_be_bytes(), payload].concat()
}

/// A datagram of this guest's, from and to these ports.
pub fn udp(from: &Attached, to: [u8; 4], ports: [u16; 2], text: &[u8]) -> Vec<u8> {
    udp_from(octets(from), to, ports, text)
}

pub fn udp_from(from: [u8; 4], to: [u8; 4], [source, port]: [u16; 2], text: &[u8]) -> Vec<u8> {
    let length = 8 + text.len() as u16;
    let whole = (20 + length).to_be_bytes();
    let mut ip = [&[0x45, 0][..], &whole, &[0, 1, 0, 0, 64, 17, 0, 0], &from, &to].concat();
    let sum: u32 = ip.chunks(2).map(|two| u32::from(two[0]) << 8 | u32::from(two[1])).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let sum = !((folded & 0xffff) + (folded >> 16)) as u16;
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    let ports = [source.to_be_bytes(), port.to_be_bytes(), length.to_be_bytes(), [0; 2]].concat();
    [ip, ports, text.to_vec()].concat()
}

/// What a guest is told of a name's address, by whoever answers at its gateway: the code, and the address.
#[track_caller]
pub fn asked_for(from: &Guest, name: &str) -> (u8, Vec<u8>) {
    let mut message = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        message.push(label.len() as u8);
        message.extend(label.as_bytes());
    }
    message.extend([0, 0, 1, 0, 1]);
    let socket = from.enter(|| std::net::UdpSocket::bind("0.0.0.0:0")).expect("a socket");
    socket.set_read_timeout(Some(Duration::from_secs(1))).expect("a timeout");
    let until = Instant::now() + BOUND;
    while Instant::now() < until {
        // Again, as any client does.
        let _ = socket.send_to(&message, ("172.17.3.2", 53));
        let mut buffer = [0; 512];
        let Ok(length) = socket.recv(&mut buffer) else { continue };
        let answer = &buffer[..length];
        let data = answer.get(message.len() + 12..).unwrap_or_default();
        return (answer[3] & 0x0f, data.to_vec());
    }
    panic!("{name}: no answer");
}

/// ARP that says whose an address is; `mark` stands behind it, where Ethernet pads.
pub fn arp(reply: bool, says: ([u8; 6], [u8; 4]), asks: [u8; 4], mark: &[u8]) -> Vec<u8> {
    let head = [0, 1, 8, 0, 6, 4, 0, if reply { 2 } else { 1 }];
    [&head[..], &says.0, &says.1, &[0; 6], &asks, mark].concat()
}

/// It hears what comes in, and never waits.
fn open(interface: &str) -> File {
    let protocol = (libc::ETH_P_ALL as u16).to_be();
    let kind = libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: it takes three numbers.
    let fd = unsafe { libc::socket(libc::AF_PACKET, kind, protocol.into()) };
    assert!(fd >= 0, "a packet socket: {}", std::io::Error::last_os_error());
    // SAFETY: the descriptor is new, and nobody else has it.
    let socket = unsafe { File::from_raw_fd(fd) };
    let name = std::ffi::CString::new(interface).expect("a name");
    // SAFETY: all zeros is a valid sockaddr_ll.
    let mut there: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    there.sll_family = libc::AF_PACKET as u16;
    there.sll_protocol = protocol;
    // SAFETY: the name ends with a NUL.
    there.sll_ifindex = unsafe { libc::if_nametoindex(name.as_ptr()) } as i32;
    let length = std::mem::size_of_val(&there) as u32;
    // SAFETY: the kernel reads `length` bytes of an address that is there.
    let bound = unsafe { libc::bind(fd, std::ptr::from_ref(&there).cast(), length) };
    assert_eq!(bound, 0, "{}", std::io::Error::last_os_error());
    let one: libc::c_int = 1;
    // linux/if_packet.h: without what this side sends.
    const PACKET_IGNORE_OUTGOING: libc::c_int = 23;
    // SAFETY: the kernel reads one int.
    let done = unsafe {
        let size = std::mem::size_of_val(&one) as u32;
        let value = std::ptr::from_ref(&one).cast();
        libc::setsockopt(fd, libc::SOL_PACKET, PACKET_IGNORE_OUTGOING, value, size)
    };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
    socket
}
