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

//! The sockets themselves: where guests ask, and where those are asked that know.

use super::forward::Target;
use super::stream::{framed, Exchange, Other};
use super::PORT;
use crate::model::if_index::IfIndex;
use nix::net::if_::if_nametoindex;
use nix::sys::socket::sockopt::{BindToDevice, IpFreebind, Ipv4PacketInfo, RcvBufForce, ReuseAddr};
use nix::sys::socket::{
    bind, connect, listen, recvmsg, sendmsg, setsockopt, socket, AddressFamily, Backlog,
    ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, SockaddrIn, SockaddrStorage,
    UnixAddr,
};
use std::ffi::OsString;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// Bytes of datagrams that wait to be read: a guest that sends as fast as it can must not push others'
/// out so soon.
const RECEIVE_BUFFER: usize = 4 << 20;
/// Where guests of one gateway ask.
pub struct Listener {
    /// Their gateway.
    pub gateway: Ipv4Addr,
    /// For datagrams.
    pub udp: UdpSocket,
    /// For connections.
    pub tcp: TcpListener,
}

// linux/bpf_common.h: BPF_LD | BPF_W | BPF_ABS, BPF_JMP | BPF_JEQ | BPF_K, BPF_RET | BPF_K
const LOAD: u16 = 0x20;
const IS_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;
/// linux/filter.h: SKF_AD_OFF + SKF_AD_IFINDEX
const INTERFACE: u32 = (-0x1000_i32 + 8) as u32;
// asm-generic/socket.h and linux/sock_diag.h; libc has them not for every target.
const SO_MEMINFO: libc::c_int = 55;
const MEMINFO_DROPS: usize = 8;

/// One instruction, with how far it jumps where its condition holds.
fn filter(code: u16, k: u32, jt: u8) -> libc::sock_filter {
    libc::sock_filter { code, jt, jf: 0, k }
}

/// `SO_MARK`. (nix has it for Linux and not for Android.)
fn set_mark(fd: &OwnedFd, mark: u32) -> io::Result<()> {
    let size = std::mem::size_of_val(&mark) as libc::socklen_t;
    // SAFETY: the descriptor is open, and the kernel reads `size` bytes of `mark`.
    let done = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MARK,
            (&mark as *const u32).cast(),
            size,
        )
    };
    match done {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

const FLAGS: SockFlag = SockFlag::SOCK_NONBLOCK.union(SockFlag::SOCK_CLOEXEC);

impl Listener {
    /// The gateway's address may not be there yet.
    pub fn open(gateway: Ipv4Addr, mark: Option<u32>) -> io::Result<Self> {
        let open = |kind| -> io::Result<OwnedFd> {
            let fd = socket(AddressFamily::Inet, kind, FLAGS, None)?;
            setsockopt(&fd, IpFreebind, &true)?;
            if let Some(mark) = mark {
                set_mark(&fd, mark)?;
            }
            if kind == SockType::Stream {
                // Connections of an earlier guestnetd may still be closing.
                setsockopt(&fd, ReuseAddr, &true)?;
            }
            bind(fd.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(gateway, PORT)))?;
            Ok(fd)
        };
        let udp = open(SockType::Datagram)?;
        setsockopt(&udp, Ipv4PacketInfo, &true)?;
        // Without the privilege it is what net.core.rmem_max lets it be.
        let _ = setsockopt(&udp, RcvBufForce, &RECEIVE_BUFFER);
        let tcp = open(SockType::Stream)?;
        listen(&tcp, Backlog::new(128).unwrap_or(Backlog::MAXCONN))?;
        Ok(Self { gateway, udp: udp.into(), tcp: tcp.into() })
    }

    /// Has the kernel throw away datagrams that come in by these interfaces.
    pub fn shut_out(&self, indexes: &[IfIndex]) -> io::Result<()> {
        let end = indexes.len();
        // From the instruction behind this to the last.
        let ahead = |at: usize| u8::try_from(end - at).unwrap_or(u8::MAX);
        let mut code = vec![filter(LOAD, INTERFACE, 0)];
        code.extend((0..).zip(indexes).map(|(at, index)| filter(IS_EQUAL, index.get(), ahead(at))));
        code.extend([filter(RETURN, u32::MAX, 0), filter(RETURN, 0, 0)]);
        let program = libc::sock_fprog { len: code.len() as u16, filter: code.as_mut_ptr() };
        let size = std::mem::size_of::<libc::sock_fprog>() as libc::socklen_t;
        // SAFETY: the descriptor is open; the kernel reads one `struct sock_fprog` and the instructions
        // that it points to, which `code` keeps until the call has returned.
        let done = unsafe {
            libc::setsockopt(
                self.udp.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_ATTACH_FILTER,
                (&program as *const libc::sock_fprog).cast(),
                size,
            )
        };
        match done {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// How many datagrams the kernel has thrown away; none where it does not say.
    pub fn thrown_away(&self) -> u32 {
        let mut numbers = [0_u32; MEMINFO_DROPS + 1];
        let mut size = std::mem::size_of_val(&numbers) as libc::socklen_t;
        // SAFETY: the descriptor is open, and the kernel writes at most `size` bytes of `numbers`.
        let done = unsafe {
            libc::getsockopt(
                self.udp.as_raw_fd(),
                libc::SOL_SOCKET,
                SO_MEMINFO,
                numbers.as_mut_ptr().cast(),
                &mut size,
            )
        };
        let [.., drops] = numbers;
        if done == 0 {
            drops
        } else {
            0
        }
    }
}

/// A datagram, who sent it, and the index of the interface that it came in by.
pub fn receive(
    socket: &UdpSocket,
    buffer: &mut [u8],
) -> io::Result<(usize, SocketAddrV4, IfIndex)> {
    let mut parts = [IoSliceMut::new(buffer)];
    let mut space = nix::cmsg_space!(libc::in_pktinfo);
    let flags = MsgFlags::MSG_DONTWAIT;
    let got = recvmsg::<SockaddrIn>(socket.as_raw_fd(), &mut parts, Some(&mut space), flags)?;
    let from = got.address.ok_or(io::ErrorKind::InvalidData)?;
    let index = got.cmsgs()?.find_map(|message| match message {
        ControlMessageOwned::Ipv4PacketInfo(info) => IfIndex::new(info.ipi_ifindex),
        _ => None,
    });
    Ok((got.bytes, from.into(), index.ok_or(io::ErrorKind::InvalidData)?))
}

/// By the guest's own link, whatever the device's routes are.
pub fn send(
    socket: &UdpSocket,
    index: IfIndex,
    gateway: Ipv4Addr,
    to: SocketAddrV4,
    bytes: &[u8],
) -> io::Result<usize> {
    let source = libc::in_addr { s_addr: u32::from(gateway).to_be() };
    let info = libc::in_pktinfo {
        ipi_ifindex: i32::try_from(index.get()).unwrap_or_default(),
        ipi_spec_dst: source,
        ipi_addr: source,
    };
    let (parts, flags) = ([IoSlice::new(bytes)], MsgFlags::MSG_DONTWAIT);
    let about = [ControlMessage::Ipv4PacketInfo(&info)];
    Ok(sendmsg(socket.as_raw_fd(), &parts, &about, flags, Some(&SockaddrIn::from(to)))?)
}

/// Asks netd, or a server by TCP.
pub fn open_stream(target: &Target<'_>, message: &[u8], netd: &Path) -> io::Result<Exchange> {
    if let Target::Netd(network) = *target {
        let fd = socket(AddressFamily::Unix, SockType::Stream, FLAGS, None)?;
        connect(fd.as_raw_fd(), &UnixAddr::new(netd)?)?;
        let other = Other::Netd(UnixStream::from(fd));
        return Ok(Exchange::new(other, super::netd::request(network, message)));
    }
    let other = Other::Server(TcpStream::from(open(target, SockType::Stream)?));
    Ok(Exchange::new(other, framed(message)))
}

/// A socket for datagrams to a server, of a port that the kernel draws, and from that server alone.
pub fn open_datagram(target: &Target<'_>) -> io::Result<UdpSocket> {
    Ok(open(target, SockType::Datagram)?.into())
}

fn open(target: &Target<'_>, kind: SockType) -> io::Result<OwnedFd> {
    let Target::Server { at, by, mark, .. } = *target else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let (family, scope) = match at {
        IpAddr::V4(_) => (AddressFamily::Inet, 0),
        // A link-local address is one on this link.
        IpAddr::V6(at) if at.segments()[0] & 0xffc0 == 0xfe80 => {
            (AddressFamily::Inet6, if_nametoindex(by)?)
        }
        IpAddr::V6(_) => (AddressFamily::Inet6, 0),
    };
    let fd = socket(family, kind, FLAGS, None)?;
    // The device's own is asked on the device.
    if !at.is_loopback() {
        setsockopt(&fd, BindToDevice, &OsString::from(by))?;
        if let Some(mark) = mark {
            set_mark(&fd, mark)?;
        }
    }
    let at = match at {
        IpAddr::V4(at) => SocketAddr::V4(SocketAddrV4::new(at, 53)),
        IpAddr::V6(at) => SocketAddr::V6(SocketAddrV6::new(at, 53, 0, scope)),
    };
    match connect(fd.as_raw_fd(), &SockaddrStorage::from(at)) {
        Err(nix::errno::Errno::EINPROGRESS) if kind == SockType::Stream => {}
        other => other?,
    }
    Ok(fd)
}
