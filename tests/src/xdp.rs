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

//! XDP programs of one instruction: what comes in by a link is dropped, or passes, before all else.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

use crate::InNetns;

// linux/bpf.h, linux/if_link.h
const BPF_PROG_LOAD: libc::c_long = 5;
const BPF_LINK_CREATE: libc::c_long = 28;
const BPF_PROG_TYPE_XDP: u32 = 6;
const BPF_XDP: u32 = 37;
const XDP_FLAGS_SKB_MODE: u32 = 2;

/// What it does with each packet.
#[derive(Clone, Copy, Debug)]
pub enum Does {
    /// XDP_DROP.
    Drops = 1,
    /// XDP_PASS.
    Passes = 2,
}

/// Puts one there, for as long as the descriptor is open; none where the kernel has no such thing.
pub fn attach(place: &impl InNetns, link: &str, does: Does) -> Option<OwnedFd> {
    let attached = place.enter(|| {
        let name = std::ffi::CString::new(link)?;
        // SAFETY: it ends with a zero.
        let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
        if index == 0 {
            return Err(io::Error::last_os_error());
        }
        let program = load(does)?;
        create_link(&program, index)
    });
    attached.map_err(|e| println!("not here: XDP at {link}: {e}")).ok()
}

/// `union bpf_attr`, as far as a program needs it.
#[repr(C, align(8))]
struct Program {
    kind: u32,
    length: u32,
    instructions: u64,
    license: u64,
    log: [u64; 3],
}

fn load(does: Does) -> io::Result<OwnedFd> {
    // r0 = does; exit
    let instructions: [u64; 2] = [0xb7 | (does as u64) << 32, 0x95];
    let program = Program {
        kind: BPF_PROG_TYPE_XDP,
        length: instructions.len() as u32,
        instructions: instructions.as_ptr() as u64,
        license: c"GPL".as_ptr() as u64,
        log: [0; 3],
    };
    bpf(BPF_PROG_LOAD, &program)
}

fn create_link(program: &OwnedFd, index: u32) -> io::Result<OwnedFd> {
    use std::os::fd::AsRawFd;
    let link: [u32; 4] = [program.as_raw_fd() as u32, index, BPF_XDP, XDP_FLAGS_SKB_MODE];
    bpf(BPF_LINK_CREATE, &link)
}

fn bpf<T>(command: libc::c_long, attributes: &T) -> io::Result<OwnedFd> {
    let size = std::mem::size_of::<T>();
    // SAFETY: the kernel reads `size` bytes of it, and what it points to outlives the call.
    let made = unsafe { libc::syscall(libc::SYS_bpf, command, attributes as *const T, size) };
    if made < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a new descriptor, which nobody else has.
    Ok(unsafe { OwnedFd::from_raw_fd(made as i32) })
}
