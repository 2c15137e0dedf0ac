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

//! TUN and TAP devices, made by their descriptors and gone with the last of those
//! (Documentation/networking/tuntap.rst).

use crate::error::Error;
use crate::write::{self, What};
use nix::sys::ioctl::ioctl_num_type;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// What makes one.
#[cfg(not(target_os = "android"))]
pub const PATH: &str = "/dev/net/tun";
/// What makes one.
#[cfg(target_os = "android")]
pub const PATH: &str = "/dev/tun";

// linux/if_tun.h
const TUNSETIFF: ioctl_num_type = request(202);
const TUNSETOWNER: ioctl_num_type = request(204);
const TUNSETVNETHDRSZ: ioctl_num_type = request(216);
const TUNGETDEVNETNS: ioctl_num_type = nix::request_code_none!(b'T', 227);
const IFF_TUN: u16 = 0x0001;
const IFF_TAP: u16 = 0x0002;
const IFF_MULTI_QUEUE: u16 = 0x0100;
const IFF_NO_PI: u16 = 0x1000;
const IFF_VNET_HDR: u16 = 0x4000;
/// Not one that is there already: it is somebody else's.
const IFF_TUN_EXCL: u16 = 0x8000;

/// `struct virtio_net_hdr_mrg_rxbuf` (linux/virtio_net.h): what a modern virtio-net has before each frame.
const HEADER: libc::c_int = 12;

const fn request(number: u8) -> ioctl_num_type {
    nix::request_code_write!(b'T', number, std::mem::size_of::<libc::c_int>())
}

/// A TAP device to be.
#[derive(Clone, Copy, Debug)]
pub struct Tap<'a> {
    /// Its name.
    pub name: &'a str,
    /// How many queues, each with a descriptor.
    pub queues: u8,
    /// Who may open further ones of several, beside those with CAP_NET_ADMIN.
    pub owner: u32,
}

/// Opens what makes a device.
pub fn open() -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(PATH)
}

/// The same for a TAP device, which is what was asked for: that it cannot be opened has words of its own.
pub fn open_for_tap() -> Result<File, Error> {
    open().map_err(|e| match Error::kernel(format!("open {PATH}"), e) {
        Error::Kernel { step, cause } => Error::NoTap { step, cause },
        exhausted => exhausted,
    })
}

/// Makes a TUN device.
pub(in crate::effects) fn create_tun(tun: &File, name: &str) -> io::Result<()> {
    set_interface(tun, name, IFF_TUN | IFF_NO_PI)
}

/// Makes a TAP device, down: its descriptors, the first of which is `first`. What fails leaves nothing, for
/// they are closed.
pub(in crate::effects) fn create_tap(first: File, tap: &Tap<'_>) -> io::Result<Vec<OwnedFd>> {
    let several = if tap.queues > 1 { IFF_MULTI_QUEUE } else { 0 };
    let flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | several;
    write::through(What::Tap("TUNSETIFF"), || {
        set_interface(&first, tap.name, flags | IFF_TUN_EXCL)
    })?;
    let owner = libc::c_ulong::from(tap.owner);
    write::through(What::Tap("TUNSETOWNER"), || {
        // SAFETY: the descriptor is open, and TUNSETOWNER takes a uid by its value, and no pointer.
        done(unsafe { libc::ioctl(first.as_raw_fd(), TUNSETOWNER, owner) })
    })?;
    let header = HEADER;
    write::through(What::Tap("TUNSETVNETHDRSZ"), || {
        // SAFETY: the descriptor is open, and TUNSETVNETHDRSZ reads one int, which `header` is.
        done(unsafe { libc::ioctl(first.as_raw_fd(), TUNSETVNETHDRSZ, &header) })
    })?;
    let mut all = vec![OwnedFd::from(first)];
    for _ in 1..tap.queues {
        let next = open()?;
        write::through(What::Tap("TUNSETIFF, queue"), || set_interface(&next, tap.name, flags))?;
        all.push(next.into());
    }
    Ok(all)
}

/// The network namespace that a device is in.
pub fn netns_of(tun: &File) -> io::Result<OwnedFd> {
    // SAFETY: the descriptor is open, and TUNGETDEVNETNS takes no argument and returns a descriptor.
    match unsafe { libc::ioctl(tun.as_raw_fd(), TUNGETDEVNETNS) } {
        -1 => Err(io::Error::last_os_error()),
        // SAFETY: the kernel just gave us this descriptor; nobody else knows it.
        netns => Ok(unsafe { OwnedFd::from_raw_fd(netns) }),
    }
}

/// `struct ifreq` (linux/if.h) as TUNSETIFF reads and writes it.
#[repr(C)]
struct Request {
    name: [u8; libc::IFNAMSIZ],
    flags: u16,
    _rest: [u8; 22],
}

/// Makes a device, or a queue of one, that goes with its descriptor.
fn set_interface(tun: &File, name: &str, flags: u16) -> io::Result<()> {
    let mut request = Request { name: [0; libc::IFNAMSIZ], flags, _rest: [0; 22] };
    // Shorter than the field: what ends it stays 0.
    request.name.iter_mut().zip(name.bytes()).for_each(|(to, from)| *to = from);
    // SAFETY: the descriptor is open, and the kernel reads and writes one `struct ifreq`, 40 bytes
    // on 64 bits and 32 on 32, which `request` has and which outlives the call.
    done(unsafe { libc::ioctl(tun.as_raw_fd(), TUNSETIFF, &mut request) })
}

fn done(result: libc::c_int) -> io::Result<()> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
