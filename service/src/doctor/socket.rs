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

//! Sockets of probes: never blocking, in the network namespace of the calling thread.

use nix::sys::socket::{
    setsockopt, socket,
    sockopt::{BindToDevice, Linger},
    AddressFamily, SockFlag, SockProtocol, SockType,
};
use std::ffi::OsString;
use std::io;
use std::net::{TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// Of asm-generic/socket.h; libc has it not for every target.
const SO_NO_CHECK: libc::c_int = 11;

/// A raw socket for echoes that may not be fragmented, whatever the kernel knows of the way. (A ping
/// socket needs its own group in net.ipv4.ping_group_range, which is empty in a new namespace.)
pub fn icmp() -> io::Result<UdpSocket> {
    let fd = open(SockType::Raw, Some(SockProtocol::Icmp))?;
    set(&fd, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_PROBE)?;
    Ok(UdpSocket::from(fd))
}

/// A UDP socket.
pub fn udp(unchecked: bool) -> io::Result<UdpSocket> {
    let fd = open(SockType::Datagram, None)?;
    if unchecked {
        set(&fd, libc::SOL_SOCKET, SO_NO_CHECK, 1)?;
    }
    Ok(UdpSocket::from(fd))
}

/// A TCP socket whose close ends the connection at once: one that waits for the other side's word keeps
/// its network namespace for a minute.
pub fn tcp() -> io::Result<TcpStream> {
    let fd = open(SockType::Stream, None)?;
    setsockopt(&fd, Linger, &libc::linger { l_onoff: 1, l_linger: 0 })?;
    Ok(TcpStream::from(fd))
}

/// Has a socket use this interface and no other.
pub fn bind_to(fd: &impl AsFd, interface: &str) -> io::Result<()> {
    Ok(setsockopt(&fd.as_fd(), BindToDevice, &OsString::from(interface))?)
}

fn open(kind: SockType, protocol: Option<SockProtocol>) -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    Ok(socket(AddressFamily::Inet, kind, flags, protocol)?)
}

fn set(
    fd: &OwnedFd,
    level: libc::c_int,
    option: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    let size = std::mem::size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the descriptor is open, and the kernel reads one int, which outlives the call.
    let done = unsafe {
        libc::setsockopt(fd.as_raw_fd(), level, option, (&value as *const libc::c_int).cast(), size)
    };
    match done {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
