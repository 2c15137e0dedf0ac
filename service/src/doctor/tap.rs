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

//! A tap: sees the IPv4 packets from and to some addresses at every interface of a namespace
//! (packet(7)). The kernel filters, so that a busy device's other traffic costs nothing here.

use super::trail::{Side, Sighting};
use super::wire::packet;
use crate::model::if_index::IfIndex;
use nix::sys::socket::sockopt::{RcvBuf, RcvBufForce};
use nix::sys::socket::{recvfrom, setsockopt, socket, AddressFamily, LinkAddr, SockFlag, SockType};
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// Most packets that are kept.
const MOST: usize = 4096;
/// Bytes of each that are read: all headers, with options.
const SNAP: u32 = 160;
/// Bytes of packets that may wait.
const ROOM: usize = 4 << 20;
/// Most addresses that a filter of 8-bit jumps has room for.
const ADDRESSES: usize = 60;

/// Of linux/if_packet.h; libc has it not for every target.
const PACKET_OUTGOING: u8 = 4;

/// A tap.
#[derive(Debug)]
pub struct Tap {
    fd: OwnedFd,
    side: Side,
    /// What was seen, oldest first.
    pub sightings: Vec<Sighting>,
}

impl Tap {
    /// Opens one in the calling thread's network namespace. Of echoes it sees those whose payload begins
    /// with `magic`.
    pub fn open(side: Side, addresses: &[Ipv4Addr], magic: u32) -> io::Result<Self> {
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        // Of no protocol, and so deaf, until the filter is there.
        let fd = socket(AddressFamily::Packet, SockType::Datagram, flags, None)?;
        filter(&fd, addresses, magic)?;
        // Room for all packets of a run; without the right to it, for most of them.
        if setsockopt(&fd, RcvBufForce, &ROOM).is_err() {
            setsockopt(&fd, RcvBuf, &ROOM)?;
        }
        listen(&fd)?;
        Ok(Self { fd, side, sightings: Vec::new() })
    }

    /// Takes what has come.
    pub fn read(&mut self) {
        let mut buffer = [0; SNAP as usize];
        while self.sightings.len() < MOST {
            let Ok((length, from)) = recvfrom::<LinkAddr>(self.fd.as_raw_fd(), &mut buffer) else {
                return;
            };
            let packet = buffer.get(..length).and_then(packet::read);
            let (Some(packet), Some(from)) = (packet, from) else { continue };
            let Some(index) = IfIndex::new(from.ifindex()) else { continue };
            self.sightings.push(Sighting {
                side: self.side,
                index,
                outgoing: from.pkttype() == PACKET_OUTGOING,
                packet,
            });
        }
    }

    /// Whether it takes more.
    pub fn is_open(&self) -> bool {
        self.sightings.len() < MOST
    }
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Has it hear of every interface and every protocol: only such a socket is told of what leaves.
fn listen(fd: &OwnedFd) -> io::Result<()> {
    // SAFETY: all zeros are a valid `struct sockaddr_ll`.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
    let size = std::mem::size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: the descriptor is open, and the kernel reads one `struct sockaddr_ll`.
    let done =
        unsafe { libc::bind(fd.as_raw_fd(), (&address as *const libc::sockaddr_ll).cast(), size) };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

fn filter(fd: &OwnedFd, addresses: &[Ipv4Addr], magic: u32) -> io::Result<()> {
    let mut code = program(addresses, magic);
    let program = libc::sock_fprog { len: code.len() as u16, filter: code.as_mut_ptr() };
    let size = std::mem::size_of::<libc::sock_fprog>() as libc::socklen_t;
    // SAFETY: the descriptor is open; the kernel reads one `struct sock_fprog` and the instructions that
    // it points to, which `code` keeps until the call has returned.
    let done = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&program as *const libc::sock_fprog).cast(),
            size,
        )
    };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

// linux/bpf_common.h, linux/filter.h
const LOAD_WORD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
const LOAD_BYTE: u16 = 0x30; // BPF_LD | BPF_B | BPF_ABS
const AND: u16 = 0x54; // BPF_ALU | BPF_AND | BPF_K
const IF_EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const RETURN: u16 = 0x06; // BPF_RET | BPF_K
const LOAD_HEADER: u16 = 0xb1; // BPF_LDX | BPF_B | BPF_MSH
const LOAD_BEHIND: u16 = 0x40; // BPF_LD | BPF_W | BPF_IND

/// IPv4 whose source or destination is one of these; no ICMP but what has `magic` where an echo has its
/// payload.
fn program(addresses: &[Ipv4Addr], magic: u32) -> Vec<libc::sock_filter> {
    let addresses = addresses.get(..ADDRESSES).unwrap_or(addresses);
    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let count = addresses.len();
    let mut code = vec![
        step(LOAD_BYTE, 0, 0, 0),
        step(AND, 0, 0, 0xf0),
        // Behind both lists stand "no" and "yes".
        step(IF_EQUAL, 0, (2 * count + 2) as u8, 0x40),
    ];
    for (round, place) in [12, 16].into_iter().enumerate() {
        code.push(step(LOAD_WORD, 0, 0, place));
        for (at, address) in addresses.iter().enumerate() {
            // What is left of this list, the other one with its load, and "no".
            let rest = (count - 1 - at) + (1 - round) * (count + 1) + 1;
            code.push(step(IF_EQUAL, rest as u8, 0, u32::from(*address)));
        }
    }
    code.push(step(RETURN, 0, 0, 0));
    code.push(step(LOAD_BYTE, 0, 0, 9));
    code.push(step(IF_EQUAL, 0, 3, libc::IPPROTO_ICMP as u32));
    code.push(step(LOAD_HEADER, 0, 0, 0));
    code.push(step(LOAD_BEHIND, 0, 0, 8));
    code.push(step(IF_EQUAL, 0, 1, magic));
    code.push(step(RETURN, 0, 0, SNAP));
    code.push(step(RETURN, 0, 0, 0));
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a program of these five instructions.
    fn run(code: &[libc::sock_filter], packet: &[u8]) -> u32 {
        let (mut at, mut a, mut x) = (0, 0, 0);
        loop {
            let step = code[at];
            at += 1;
            let k = step.k as usize;
            match step.code {
                LOAD_BYTE => a = u32::from(packet[k]),
                LOAD_WORD => a = u32::from_be_bytes(packet[k..k + 4].try_into().unwrap()),
                AND => a &= step.k,
                LOAD_HEADER => x = usize::from(packet[k] & 0xf) * 4,
                LOAD_BEHIND => a = u32::from_be_bytes(packet[x + k..x + k + 4].try_into().unwrap()),
                IF_EQUAL => at += usize::from(if a == step.k { step.jt } else { step.jf }),
                RETURN => return step.k,
                other => panic!("{other}"),
            }
        }
    }

    #[test]
    fn of_icmp_the_filter_takes_what_begins_with_the_magic() {
        let code = program(&[Ipv4Addr::new(192, 0, 2, 1)], 0x0102_0304);
        let mut packet = vec![0x46; 24];
        packet[9] = 1;
        packet[16..20].copy_from_slice(&[192, 0, 2, 1]);
        packet.extend([8, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4, 0, 0, 0, 0]);
        assert_eq!(run(&code, &packet), SNAP);
        packet[35] = 5;
        assert_eq!(run(&code, &packet), 0);
    }

    #[test]
    fn the_filter_takes_what_is_from_or_to_an_address() {
        let addresses: Vec<_> = (1..=70).map(|n| Ipv4Addr::new(192, 0, 2, n)).collect();
        for count in [1, 2, 60, 70] {
            let code = program(&addresses[..count], 7);
            let packet = |version: u8, from: u8, to: u8| {
                let mut bytes = vec![version; 40];
                bytes[12..16].copy_from_slice(&[192, 0, 2, from]);
                bytes[16..20].copy_from_slice(&[192, 0, 2, to]);
                bytes
            };
            let last = count.min(ADDRESSES) as u8;
            for (version, from, to, taken) in [
                (0x45, 1, 200, true),
                (0x45, 200, 1, true),
                (0x45, last, 200, true),
                (0x46, 200, last, true),
                (0x45, 200, 201, false),
                (0x60, 1, 1, false),
            ] {
                assert_eq!(
                    run(&code, &packet(version, from, to)) == SNAP,
                    taken,
                    "{count} {from} {to}"
                );
            }
        }
    }
}
