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

//! /dev/net/tun: its ioctl()s are writes as any others, which can fail, and a process that has a descriptor of a device can
//! close it.

use crate::descriptors::FIRST;
use crate::world::{File, World};
use std::ffi::CStr;

// linux/if_tun.h
const TUNSETIFF: usize = 0x54ca;
const TUNSETOWNER: usize = 0x54cc;
const TUNSETVNETHDRSZ: usize = 0x54d8;

impl World {
    /// `ioctl()` of a descriptor of /dev/net/tun. True: guestnetd is killed by that.
    ///
    /// # Safety
    /// The value is what the request takes (Documentation/networking/tuntap.rst).
    pub unsafe fn tap(&mut self, fd: i32, request: usize, value: usize) -> (Result<(), i32>, bool) {
        let Some(File::Tap(queue)) = self.file(fd) else { return (Err(libc::ENOTTY), false) };
        let queue = *queue;
        let what = || format!("/dev/net/tun {:x}", request & 0xffff);
        self.planned(what, |world| match request & 0xffff {
            TUNSETIFF => {
                // SAFETY: the caller's `struct ifreq`: a name with its NUL, and flags behind it.
                let (name, flags) = unsafe {
                    let name = CStr::from_ptr(value as *const libc::c_char);
                    (name, ((value + libc::IFNAMSIZ) as *const u16).read_unaligned())
                };
                world.kernel.tun_set(queue, &name.to_string_lossy(), flags)
            }
            TUNSETOWNER => world.kernel.tun_own(queue, value as u32),
            TUNSETVNETHDRSZ => {
                // SAFETY: the caller's int.
                let size = unsafe { *(value as *const i32) };
                world.kernel.tun_set_header(queue, size)
            }
            _ => Err(libc::EINVAL),
        })
    }

    /// guestnetd has passed a descriptor on: it is another process's from now on, and has another number there.
    pub fn pass_on(&mut self, fd: i32) -> i32 {
        let Some(file) = self.files.remove(&fd) else { return fd };
        self.forget(fd);
        let others = (2 * FIRST..).find(|fd| !self.files.contains_key(fd)).expect("a number");
        self.files.insert(others, file);
        others
    }
}
