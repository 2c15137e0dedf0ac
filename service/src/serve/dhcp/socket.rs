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

//! The packet socket (packet(7)): one for all guests. It hears what has come to port 67 by any link, and
//! says by which. No rule of a packet filter's is in front of it, so INPUT may be closed.

use crate::model::if_index::IfIndex;
use nix::sys::socket::{socket, AddressFamily, SockFlag, SockType};
use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

// Of linux/if_packet.h; libc has them not for every target.
const PACKET_AUXDATA: libc::c_int = 8;
const TP_STATUS_CSUMNOTREADY: u32 = 1 << 3;
const PACKET_BROADCAST: u32 = 1;

const IPV4: u16 = libc::ETH_P_IP as u16;

/// A packet that has come.
#[derive(Debug)]
pub struct Packet<'a> {
    /// The link that it came by.
    pub index: IfIndex,
    /// The MAC that it came from.
    pub mac: [u8; 6],
    /// Whether its checksum was left to hardware.
    pub unfinished: bool,
    /// It, from its IP header on; of a long one the beginning.
    pub bytes: &'a [u8],
}

/// The socket.
#[derive(Debug)]
pub struct Socket(OwnedFd);

impl Socket {
    /// Most bytes of a packet that are read: Ethernet's, and one more that shows that it is longer.
    pub const ROOM: usize = 1501;

    /// Opens it in the calling thread's network namespace.
    pub fn open() -> io::Result<Self> {
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        // Of no protocol, and so deaf, until the filter is there.
        let socket = Self(socket(AddressFamily::Packet, SockType::Datagram, flags, None)?);
        socket.filter([].into_iter())?;
        socket.set(libc::SOL_PACKET, PACKET_AUXDATA, &1_i32)?;
        let every = address(None, None);
        let size = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
        // SAFETY: the descriptor is open, and the kernel reads one `struct sockaddr_ll`.
        let done =
            unsafe { libc::bind(socket.raw(), (&every as *const libc::sockaddr_ll).cast(), size) };
        match done {
            0 => Ok(socket),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Does not hear these links from now on.
    pub fn filter(&self, deaf: impl Iterator<Item = IfIndex>) -> io::Result<()> {
        let mut code = program(deaf);
        let program = libc::sock_fprog { len: code.len() as u16, filter: code.as_mut_ptr() };
        // `code` is there until the call has returned.
        self.set(libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)
    }

    /// What has come; none: nothing more.
    pub fn receive<'a>(&self, buffer: &'a mut [u8; Self::ROOM]) -> io::Result<Option<Packet<'a>>> {
        let mut from = address(None, None);
        let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        let mut control = Control([0; 8]);
        // SAFETY: all zeros are a valid `struct msghdr`.
        let mut header: libc::msghdr = unsafe { zeroed() };
        header.msg_name = (&mut from as *mut libc::sockaddr_ll).cast();
        header.msg_namelen = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
        header.msg_iov = &mut part;
        header.msg_iovlen = 1;
        header.msg_control = control.0.as_mut_ptr().cast();
        header.msg_controllen = size_of::<Control>() as _;
        // SAFETY: the descriptor is open, and the kernel writes no more than the header's three buffers have
        // room for, all of which outlive the call.
        let length = unsafe { libc::recvmsg(self.raw(), &mut header, 0) };
        let Ok(length) = usize::try_from(length) else {
            return match io::Error::last_os_error() {
                e if e.kind() == io::ErrorKind::WouldBlock => Ok(None),
                e if e.kind() == io::ErrorKind::Interrupted => Ok(None),
                e => Err(e),
            };
        };
        let [a, b, c, d, e, f, ..] = from.sll_addr;
        Ok(Some(Packet {
            // Each has one (tpacket_rcv(), packet_rcv()).
            index: IfIndex::new(from.sll_ifindex).ok_or(io::ErrorKind::InvalidData)?,
            mac: [a, b, c, d, e, f],
            unfinished: status(&header) & TP_STATUS_CSUMNOTREADY != 0,
            bytes: buffer.get(..length).unwrap_or_default(),
        }))
    }

    /// Sends a packet by a link; to no MAC: to all there.
    pub fn send(&self, index: IfIndex, to: Option<[u8; 6]>, packet: &[u8]) -> io::Result<()> {
        let to = address(Some(index), Some(to.unwrap_or([0xff; 6])));
        let size = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
        // SAFETY: the descriptor is open; the kernel reads `packet`, and one `struct sockaddr_ll`.
        let sent = unsafe {
            libc::sendto(
                self.raw(),
                packet.as_ptr().cast(),
                packet.len(),
                0,
                (&to as *const libc::sockaddr_ll).cast(),
                size,
            )
        };
        match sent {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    }

    fn set<T>(&self, level: libc::c_int, option: libc::c_int, value: &T) -> io::Result<()> {
        let size = size_of::<T>() as libc::socklen_t;
        // SAFETY: the descriptor is open, and the kernel reads one `T`, and what that points to, which
        // outlives the call.
        let done = unsafe {
            libc::setsockopt(self.raw(), level, option, (value as *const T).cast(), size)
        };
        match done {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    fn raw(&self) -> libc::c_int {
        self.0.as_raw_fd()
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A place by a link, or every link.
fn address(index: Option<IfIndex>, mac: Option<[u8; 6]>) -> libc::sockaddr_ll {
    // SAFETY: all zeros are a valid `struct sockaddr_ll`.
    let mut address: libc::sockaddr_ll = unsafe { zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = IPV4.to_be();
    address.sll_ifindex = libc::c_int::try_from(IfIndex::or_zero(index)).unwrap_or(-1);
    if let Some(mac) = mac {
        address.sll_halen = 6;
        address.sll_addr.iter_mut().zip(mac).for_each(|(to, from)| *to = from);
    }
    address
}

/// Room for control messages: 64 bytes, aligned as they have to be; a `struct tpacket_auxdata` takes 40.
#[repr(C)]
struct Control([u64; 8]);

/// `tp_status` of the packet that was received.
fn status(header: &libc::msghdr) -> u32 {
    // SAFETY: the kernel has filled the header's control buffer, which is still there.
    let mut message = unsafe { libc::CMSG_FIRSTHDR(header) };
    // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR return a whole message within the buffer, or null.
    while let Some(control) = unsafe { message.as_ref() } {
        if (control.cmsg_level, control.cmsg_type) == (libc::SOL_PACKET, PACKET_AUXDATA) {
            // SAFETY: a message of this type holds a `struct tpacket_auxdata`, which begins with it.
            return unsafe { libc::CMSG_DATA(message).cast::<u32>().read_unaligned() };
        }
        // SAFETY: `message` is one of this header's.
        message = unsafe { libc::CMSG_NXTHDR(header, message) };
    }
    0
}

// linux/bpf_common.h, linux/filter.h
const LOAD_WORD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
const LOAD_HALF: u16 = 0x28; // BPF_LD | BPF_H | BPF_ABS
const LOAD_BYTE: u16 = 0x30; // BPF_LD | BPF_B | BPF_ABS
const LOAD_HEADER: u16 = 0xb1; // BPF_LDX | BPF_B | BPF_MSH
const LOAD_HALF_BEHIND: u16 = 0x48; // BPF_LD | BPF_H | BPF_IND
const IF_EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const IF_GREATER: u16 = 0x25; // BPF_JMP | BPF_JGT | BPF_K
const IF_SET: u16 = 0x45; // BPF_JMP | BPF_JSET | BPF_K
const RETURN: u16 = 0x06; // BPF_RET | BPF_K
const ANCILLARY: u32 = 0xffff_f000; // SKF_AD_OFF
const PACKET_TYPE: u32 = ANCILLARY + 4; // SKF_AD_PKTTYPE
const IF_INDEX: u32 = ANCILLARY + 8; // SKF_AD_IFINDEX

/// The most links that a filter of 8-bit jumps has room for.
pub const MOST_DEAF: usize = 200;

/// Whole UDP to port 67 that was sent to this device or to all, by none of these links.
fn program(deaf: impl Iterator<Item = IfIndex>) -> Vec<libc::sock_filter> {
    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let deaf: Vec<u32> = deaf.take(MOST_DEAF).map(IfIndex::get).collect();
    let mut code = vec![step(LOAD_WORD, 0, 0, IF_INDEX)];
    // Behind them stand ten instructions before "no".
    for (at, index) in deaf.iter().enumerate() {
        code.push(step(IF_EQUAL, (deaf.len() - 1 - at + 10) as u8, 0, *index));
    }
    code.extend([
        step(LOAD_BYTE, 0, 0, PACKET_TYPE),
        step(IF_GREATER, 8, 0, PACKET_BROADCAST),
        step(LOAD_BYTE, 0, 0, 9),
        step(IF_EQUAL, 0, 6, libc::IPPROTO_UDP as u32),
        step(LOAD_HALF, 0, 0, 6),
        // More fragments, or not the first.
        step(IF_SET, 4, 0, 0x3fff),
        step(LOAD_HEADER, 0, 0, 0),
        step(LOAD_HALF_BEHIND, 0, 0, 2),
        step(IF_EQUAL, 0, 1, u32::from(super::frame::SERVER_PORT)),
        step(RETURN, 0, 0, Socket::ROOM as u32),
        step(RETURN, 0, 0, 0),
    ]);
    code
}

#[cfg(test)]
mod tests {
    use super::super::frame;
    use super::*;
    use crate::effects::kernel::testing::{in_a_netns, ip};
    use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
    use std::net::UdpSocket;

    fn index(name: &str) -> IfIndex {
        IfIndex::of(nix::net::if_::if_nametoindex(name).unwrap())
    }

    /// Payload and link of the next packet; none: there is none.
    fn heard(socket: &Socket, millis: u16) -> Option<(Vec<u8>, IfIndex, bool)> {
        let mut buffer = [0; Socket::ROOM];
        let mut there = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
        poll(&mut there, PollTimeout::from(millis)).unwrap();
        let packet = socket.receive(&mut buffer).unwrap()?;
        let datagram = frame::read(packet.bytes, packet.unfinished).unwrap();
        Some((datagram.payload.to_vec(), packet.index, packet.unfinished))
    }

    #[test]
    fn it_hears_port_67_of_every_link_but_those_that_are_deaf() {
        in_a_netns(|_| {
            ip("link set lo up");
            // Two pairs, whose other ends are here, too, each with a route of its own.
            for pair in ["va", "vb"] {
                ip(&format!("link add {pair} type veth peer name {pair}x"));
                ip(&format!("link set {pair} up"));
                ip(&format!("link set {pair}x up"));
            }
            ip("address add 192.0.2.1/24 dev vax");
            ip("address add 198.51.100.1/24 dev vbx");
            let socket = Socket::open().unwrap();
            let from = |address: &str| {
                let sender = UdpSocket::bind((address, 0)).unwrap();
                sender.set_broadcast(true).unwrap();
                sender
            };
            let (by_a, by_b) = (from("192.0.2.1"), from("198.51.100.1"));
            by_a.send_to(b"other", "192.0.2.255:68").unwrap();
            by_a.send_to(b"a", "192.0.2.255:67").unwrap();
            // The kernel has left the checksum to hardware, and says so.
            assert_eq!(heard(&socket, 5000), Some((b"a".to_vec(), index("va"), true)));
            by_b.send_to(b"b", "198.51.100.255:67").unwrap();
            assert_eq!(heard(&socket, 5000), Some((b"b".to_vec(), index("vb"), true)));
            socket.filter([IfIndex::of(7777), index("va"), IfIndex::of(7778)].into_iter()).unwrap();
            by_a.send_to(b"deaf", "192.0.2.255:67").unwrap();
            by_b.send_to(&[b'x'; 4000], "198.51.100.255:67").unwrap();
            by_b.send_to(b"b", "198.51.100.255:67").unwrap();
            assert_eq!(heard(&socket, 5000), Some((b"b".to_vec(), index("vb"), true)));
            assert_eq!(heard(&socket, 50), None);

            let client = UdpSocket::bind("0.0.0.0:68").unwrap();
            client.set_read_timeout(Some(std::time::Duration::from_millis(100))).unwrap();
            let packet = frame::write([192, 0, 2, 9].into(), [255; 4].into(), b"answer");
            let mut buffer = [0; 100];
            // A link whose carrier came last drops what it is to send until linkwatch has run.
            let mut answers = (0..100).filter_map(|_| {
                socket.send(index("va"), None, &packet).unwrap();
                client.recv_from(&mut buffer).ok()
            });
            let (length, source) = answers.next().expect("the answer");
            drop(answers);
            assert_eq!(
                (&buffer[..length], source.to_string().as_str()),
                (&b"answer"[..], "192.0.2.9:67")
            );
        });
    }
}
