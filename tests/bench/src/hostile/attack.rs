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

//! What a guest's root can write to its own link: frames without end.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use guestnet_tests::InNetns;
use nix::net::if_::if_nametoindex;

use super::cores::Cores;
use crate::error::{Error, Result};

const ETHERNET: usize = 14;
const IP: usize = 20;
/// The original's gateway, which is the guests' resolver.
const GATEWAY: Ipv4Addr = Ipv4Addr::new(172, 17, 3, 2);
/// The internet has no such host: nothing is answered, and so nothing ends a connection.
const BEYOND: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 80);
/// A question for `a.example`, without its id.
const QUESTION: &[u8] = b"\x01\0\0\x01\0\0\0\0\0\0\x01a\x07example\0\0\x01\0\x01";

/// What it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attack {
    /// SYNs to all ports of one address.
    Syn,
    /// UDP to all ports of one address.
    Udp,
    /// ARP requests, each from another address.
    Arp,
    /// First fragments.
    Fragments,
    /// Questions to the resolver.
    Dns,
    /// The same, that guestnetd's forwarder passes on.
    Forwarder,
    /// DISCOVERs, each of another client.
    Dhcp,
    /// None: frames are made and not written. What a core less costs everybody.
    Busy,
}

/// All of them; first what is none.
pub const ATTACKS: [Attack; 8] = [
    Attack::Busy,
    Attack::Syn,
    Attack::Udp,
    Attack::Arp,
    Attack::Fragments,
    Attack::Dns,
    Attack::Forwarder,
    Attack::Dhcp,
];

impl Attack {
    /// Its name.
    pub fn name(self) -> &'static str {
        name(Some(self))
    }
}

/// The name of a state.
pub fn name(attack: Option<Attack>) -> &'static str {
    match attack {
        None => "idle",
        Some(Attack::Syn) => "SYN storm",
        Some(Attack::Udp) => "UDP to all ports",
        Some(Attack::Arp) => "ARP flood",
        Some(Attack::Fragments) => "fragments",
        Some(Attack::Dns) => "DNS storm",
        Some(Attack::Forwarder) => "DNS storm at the forwarder",
        Some(Attack::Dhcp) => "DHCP storm",
        Some(Attack::Busy) => "a busy core",
    }
}

/// Both ends of the guest's link.
#[derive(Clone, Copy, Debug)]
pub struct Ends {
    /// The guest's address.
    pub address: Ipv4Addr,
    /// The device's link address.
    pub mac: [u8; 6],
}

/// A link address of a text; what is no number is 0.
pub fn mac(text: &str) -> [u8; 6] {
    let mut bytes = [0; 6];
    for (byte, word) in bytes.iter_mut().zip(text.split(':')) {
        *byte = u8::from_str_radix(word, 16).unwrap_or(0);
    }
    bytes
}

/// A thread that writes frames until it is stopped.
pub struct Attacker {
    over: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
}

impl Attacker {
    /// Starts it in the guest, on the first of these cores.
    pub fn start(attack: Attack, guest: &impl InNetns, ends: &Ends, cores: Cores) -> Result<Self> {
        let socket = guest.enter(packet_socket)?;
        let over = Arc::new(AtomicBool::new(false));
        let (ends, stop) = (*ends, over.clone());
        let thread = thread::spawn(move || {
            // A thread that stays where it is not to be is seen by what it has sent: nothing.
            if cores.guest().is_err() {
                return 0;
            }
            let mut sent = 0;
            for number in 0u64.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let frame = frame(attack, &ends, number);
                if attack == Attack::Busy {
                    sent += u64::from(!std::hint::black_box(frame).is_empty());
                    continue;
                }
                // SAFETY: the kernel reads the frame, which lives until the call returns.
                let done = unsafe {
                    libc::send(socket.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0)
                };
                // A full queue is no reason to stop.
                sent += u64::from(done > 0);
            }
            sent
        });
        Ok(Self { over, thread })
    }

    /// Stops it; an error if it did nothing.
    pub fn stop(self) -> Result<()> {
        self.over.store(true, Ordering::Relaxed);
        let sent = self.thread.join().map_err(|_| Error::new("a panic, told above"))?;
        (sent > 100).then_some(()).ok_or_else(|| Error::new(format!("only {sent} frames")))
    }
}

fn packet_socket() -> io::Result<OwnedFd> {
    // SAFETY: the system call takes three integers.
    let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just gave us this descriptor; nobody else knows it.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: zeros are an address without protocol and interface.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = (libc::ETH_P_IP as u16).to_be();
    address.sll_ifindex = if_nametoindex("wlan0")? as i32;
    let length = std::mem::size_of_val(&address) as libc::socklen_t;
    // SAFETY: the kernel reads the address, which lives until the call returns.
    let done = unsafe { libc::bind(fd, std::ptr::from_ref(&address).cast(), length) };
    if done < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(socket)
    }
}

/// Frame `number` of an attack.
fn frame(attack: Attack, ends: &Ends, number: u64) -> Vec<u8> {
    let source = [2, 0, 0, 0, 0, 1];
    let port = (1024 + number % 64512) as u16;
    // Another port each time; and all pairs at some time.
    let other = (1 + (number * 7 + number / 64512) % 65535) as u16;
    let id = number as u16;
    if attack == Attack::Arp {
        let claimed = [172, 17, (number >> 8) as u8, number as u8];
        let mut frame = [[0xff; 6], source].concat();
        frame.extend([0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1]);
        frame.extend([2, 0, 0, 1, claimed[2], claimed[3]]);
        frame.extend(claimed);
        frame.extend([0; 6]);
        frame.extend(GATEWAY.octets());
        return frame;
    }
    let (from, to, protocol, flags, payload) = match attack {
        Attack::Syn => (ends.address, BEYOND, 6, 0, syn(ends.address, BEYOND, port, other)),
        Attack::Fragments => (ends.address, BEYOND, 17, 0x2000, udp(port, 9, &[0; 16])),
        Attack::Dhcp => {
            let all = (Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST);
            (all.0, all.1, 17, 0, udp(68, 67, &discover(number)))
        }
        Attack::Dns | Attack::Forwarder => {
            let question = [&id.to_be_bytes()[..], QUESTION].concat();
            (ends.address, GATEWAY, 17, 0, udp(port, 53, &question))
        }
        _ => (ends.address, BEYOND, 17, 0, udp(port, other, b"x")),
    };
    let mut frame = Vec::with_capacity(ETHERNET + IP + payload.len());
    frame.extend(if to.is_broadcast() { [0xff; 6] } else { ends.mac });
    frame.extend(source);
    frame.extend([0x08, 0x00, 0x45, 0]);
    frame.extend(((IP + payload.len()) as u16).to_be_bytes());
    frame.extend(id.to_be_bytes());
    frame.extend((flags as u16).to_be_bytes());
    frame.extend([64, protocol, 0, 0]);
    frame.extend(from.octets());
    frame.extend(to.octets());
    let sum = checksum(&frame[ETHERNET..], 0);
    frame[ETHERNET + 10..ETHERNET + 12].copy_from_slice(&sum.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The DISCOVER of client `number` (RFC 2131, 2), which wants to be answered by broadcast.
fn discover(number: u64) -> Vec<u8> {
    let xid = (number as u32).to_be_bytes();
    let mut message = [&[1, 1, 6, 0], &xid[..], &[0, 0, 0x80, 0], &[0; 16], &[2, 0], &xid].concat();
    // Until the options: the rest of its address, and names that it has none of.
    message.resize(236, 0);
    message.extend([0x63, 0x82, 0x53, 0x63, 53, 1, 1, 255]);
    message
}

/// A datagram without a checksum.
fn udp(from: u16, to: u16, data: &[u8]) -> Vec<u8> {
    let length = (8 + data.len()) as u16;
    [&from.to_be_bytes()[..], &to.to_be_bytes(), &length.to_be_bytes(), &[0; 2], data].concat()
}

fn syn(source: Ipv4Addr, to: Ipv4Addr, from: u16, port: u16) -> Vec<u8> {
    let mut segment = [from.to_be_bytes(), port.to_be_bytes()].concat();
    segment.extend([0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0xea, 0x60, 0, 0, 0, 0]);
    let pseudo = [&source.octets()[..], &to.octets(), &[0, 6, 0, segment.len() as u8]].concat();
    let sum = checksum(&segment, u32::from(!checksum(&pseudo, 0)));
    segment[16..18].copy_from_slice(&sum.to_be_bytes());
    segment
}

/// The internet checksum (RFC 1071) of an even number of bytes.
fn checksum(bytes: &[u8], begin: u32) -> u16 {
    let words = bytes.chunks_exact(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])));
    let mut sum = begin + words.sum::<u32>();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_have_their_checksums() {
        let ends = Ends { address: Ipv4Addr::new(172, 17, 3, 3), mac: mac("02:00:00:00:00:07") };
        for attack in [Attack::Syn, Attack::Udp, Attack::Fragments, Attack::Dns, Attack::Dhcp] {
            for number in [0, 1, 64511, 64512, u64::from(u32::MAX)] {
                let frame = frame(attack, &ends, number);
                let head = &frame[ETHERNET..ETHERNET + IP];
                assert_eq!(checksum(head, 0), 0, "{attack:?} {number}");
                assert_eq!(
                    frame.len() - ETHERNET,
                    usize::from(u16::from_be_bytes([head[2], head[3]]))
                );
            }
        }
        let segment = syn(ends.address, BEYOND, 1024, 80);
        let pseudo = [&ends.address.octets()[..], &BEYOND.octets(), &[0, 6, 0, 20]].concat();
        assert_eq!(checksum(&segment, u32::from(!checksum(&pseudo, 0))), 0);
        assert_eq!(frame(Attack::Arp, &ends, 5).len(), 42);
    }
}
