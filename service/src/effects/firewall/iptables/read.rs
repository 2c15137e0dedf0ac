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

//! Reads a whole table from the kernel by getsockopt, as iptables does before it lists one.
//! Needs `CAP_NET_ADMIN`, takes no lock, changes nothing. This is also the only way to see the rules
//! on a device where the one program that may write them refuses to list them.

use super::entries::{self, Chain, Info, Malformed, ALIGN};
use crate::effects::firewall::Family;
use crate::effects::kernel::netns::proc_net;
use nix::sys::socket::{self, AddressFamily, SockFlag, SockType};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// `IPT_SO_GET_INFO` and so on: the same numbers for both families.
const GET_INFO: libc::c_int = 64;
const GET_ENTRIES: libc::c_int = 65;
const GET_REVISION_TARGET: libc::c_int = 67;
const GET_REVISION_MATCH: libc::c_int = 66; // of IPv4
/// `XT_TABLE_MAXNAMELEN` and `XT_EXTENSION_MAXNAMELEN`.
const TABLE_NAME: usize = 32;
const EXTENSION_NAME: usize = 29;
/// No sane table is larger.
const LARGEST: u32 = 256 << 20;

/// Why a table could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The kernel refused.
    #[error("{0}")]
    Kernel(#[from] io::Error),
    /// What it gave is no table.
    #[error("{0}")]
    Malformed(#[from] Malformed),
}

impl ReadError {
    /// Whether the kernel has no such table, or no iptables for this family (yet).
    pub(super) fn is_missing(&self) -> bool {
        matches!(self.errno(), Some(libc::ENOENT | libc::ENOPROTOOPT))
    }

    /// Whether this process may not read it: without `CAP_NET_ADMIN`, or by the device's policy.
    pub(super) fn is_refused(&self) -> bool {
        matches!(self.errno(), Some(libc::EPERM | libc::EACCES))
    }

    fn errno(&self) -> Option<i32> {
        match self {
            Self::Kernel(e) => e.raw_os_error(),
            Self::Malformed(_) => None,
        }
    }
}

/// Reads the chains of a table.
pub fn table(family: Family, name: &str) -> Result<Vec<Chain>, ReadError> {
    let socket = socket(family)?;
    // Somebody may change the table between the two questions: then the size does not fit.
    let mut attempts = 0;
    loop {
        let info = info(&socket, family, name)?;
        match blob(&socket, family, name, info.size) {
            Ok(blob) => return Ok(entries::parse(family, &info, &blob)?),
            Err(e) if e.raw_os_error() == Some(libc::EAGAIN) && attempts < 16 => attempts += 1,
            Err(e) => return Err(e.into()),
        }
    }
}

/// Whether the kernel has this target; a module is loaded for it if need be.
pub(in crate::effects::firewall) fn has_target(family: Family, name: &str) -> io::Result<()> {
    let mut asked = named(name, EXTENSION_NAME, EXTENSION_NAME + 1);
    ask(socket(family)?.as_fd(), family, GET_REVISION_TARGET, &mut asked).map(drop)
}

/// Whether the kernel has no such match for IPv4; a module is loaded for it if need be. What cannot be
/// asked is taken to be there, and so is one of which it has another revision (EPROTONOSUPPORT).
pub(super) fn lacks_match(name: &str) -> bool {
    let mut asked = named(name, EXTENSION_NAME, EXTENSION_NAME + 1);
    let asked = socket(Family::V4)
        .and_then(|socket| ask(socket.as_fd(), Family::V4, GET_REVISION_MATCH, &mut asked));
    asked.is_err_and(|e| e.raw_os_error() == Some(libc::ENOENT))
}

/// The same of a target.
pub(super) fn lacks_target(name: &str) -> bool {
    has_target(Family::V4, name).is_err_and(|e| e.raw_os_error() == Some(libc::ENOENT))
}

/// Whether the kernel has this IP version at all.
pub(super) fn has_family(family: Family) -> bool {
    !socket(family).is_err_and(|e| e.raw_os_error() == Some(libc::EAFNOSUPPORT))
}

/// Whether a table is in use already: asking for another makes the kernel make it.
pub(crate) fn is_in_use(family: Family, table: &str) -> bool {
    in_use(family).lines().any(|name| name == table)
}

/// The names of those that are, one a line.
pub(crate) fn in_use(family: Family) -> String {
    let names = match family {
        Family::V4 => "ip_tables_names",
        Family::V6 => "ip6_tables_names",
    };
    std::fs::read_to_string(proc_net(names)).unwrap_or_default()
}

fn info(socket: &OwnedFd, family: Family, table: &str) -> Result<Info, ReadError> {
    let mut asked = named(table, TABLE_NAME, Info::LEN);
    ask(socket.as_fd(), family, GET_INFO, &mut asked)?;
    Ok(Info::parse(&asked)?)
}

fn blob(socket: &OwnedFd, family: Family, table: &str, size: u32) -> io::Result<Vec<u8>> {
    if size > LARGEST {
        return Err(io::Error::other(format!("a table of {size} bytes")));
    }
    let header = (TABLE_NAME + 4).next_multiple_of(ALIGN);
    let mut asked = named(table, TABLE_NAME, header + size as usize);
    asked.splice(TABLE_NAME..TABLE_NAME + 4, size.to_ne_bytes());
    ask(socket.as_fd(), family, GET_ENTRIES, &mut asked)?;
    Ok(asked.split_off(header.min(asked.len())))
}

/// Any socket of the family does: what counts is its network namespace. Nothing is sent by it.
fn socket(family: Family) -> io::Result<OwnedFd> {
    let domain = match family {
        Family::V4 => AddressFamily::Inet,
        Family::V6 => AddressFamily::Inet6,
    };
    Ok(socket::socket(domain, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?)
}

/// Zeros with a name in front, which is cut so that a NUL is left.
fn named(name: &str, room: usize, len: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = name.bytes().take(room - 1).collect();
    bytes.resize(len, 0);
    bytes
}

fn ask(
    socket: BorrowedFd<'_>,
    family: Family,
    option: libc::c_int,
    buffer: &mut Vec<u8>,
) -> io::Result<()> {
    let level = match family {
        Family::V4 => libc::SOL_IP,
        Family::V6 => libc::SOL_IPV6,
    };
    let mut len = libc::socklen_t::try_from(buffer.len()).map_err(io::Error::other)?;
    // SAFETY: the descriptor is borrowed for the call, and the kernel writes at most `len` bytes to
    // the buffer, which is that long.
    let done = unsafe {
        libc::getsockopt(socket.as_raw_fd(), level, option, buffer.as_mut_ptr().cast(), &mut len)
    };
    if done != 0 {
        return Err(io::Error::last_os_error());
    }
    buffer.truncate(len as usize);
    Ok(())
}
