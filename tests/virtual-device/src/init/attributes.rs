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

//! From fork to exec as Android's init does it (init/service.cpp, service_utils.cpp,
//! capabilities.cpp): nothing that is not in the .rc, and no_new_privs is not set.

use std::io;

use super::rc::Service;

const SETPCAP: u32 = 8;

/// Becomes what the service is to be. Between fork and exec: makes system calls and nothing else.
pub fn apply(service: &Service) -> io::Result<()> {
    let Service { uid, gid, groups, capabilities, .. } = service;
    // SAFETY: all of these take integers, but for setgroups(), whose list outlives the call.
    unsafe {
        libc::umask(0o077);
        done(libc::setpgid(0, 0))?;
        if capabilities.is_some() && *uid != 0 {
            let bits = libc::prctl(libc::PR_GET_SECUREBITS);
            // SECBIT_KEEP_CAPS and its lock (linux/securebits.h): kept across setuid(), not exec.
            done(libc::prctl(libc::PR_SET_SECUREBITS, bits | 0x10 | 0x20))?;
        }
        if *gid != 0 {
            done(libc::setgid(*gid))?;
        }
        done(libc::setgroups(groups.len(), groups.as_ptr()))?;
        if *uid != 0 {
            done(libc::setuid(*uid))?;
        }
    }
    match capabilities {
        Some(keep) => keep_for_exec(keep),
        None => Ok(()),
    }
}

/// Permitted, inheritable and ambient: these; and no other can come back (the bounding set).
fn keep_for_exec(keep: &[u32]) -> io::Result<()> {
    set(keep, true)?;
    for capability in 0..=63 {
        // SAFETY: it takes integers.
        let there = unsafe { libc::prctl(libc::PR_CAPBSET_READ, capability) } >= 0;
        if there && !keep.contains(&capability) {
            // SAFETY: it takes integers.
            done(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability) })?;
        }
    }
    set(keep, false)?;
    for capability in keep {
        let raise = libc::PR_CAP_AMBIENT_RAISE;
        // SAFETY: it takes integers.
        done(unsafe { libc::prctl(libc::PR_CAP_AMBIENT, raise, *capability, 0, 0) })?;
    }
    Ok(())
}

/// capset(2), version 3: 64 bits in two words. The effective set is for SETPCAP only; exec fills it.
fn set(keep: &[u32], with_setpcap: bool) -> io::Result<()> {
    #[repr(C)]
    struct Header(u32, i32);
    #[repr(C)]
    #[derive(Clone, Copy, Default)]
    struct Data {
        effective: u32,
        permitted: u32,
        inheritable: u32,
    }
    let mut data = [Data::default(); 2];
    for capability in keep {
        let (word, bit) = (*capability as usize / 32 % 2, 1 << (capability % 32));
        data[word].permitted |= bit;
        data[word].inheritable |= bit;
    }
    if with_setpcap {
        data[0].permitted |= 1 << SETPCAP;
        data[0].effective |= 1 << SETPCAP;
    }
    let header = Header(0x2008_0522, 0);
    // SAFETY: the kernel reads one header and two data, which outlive the call.
    done(unsafe { libc::syscall(libc::SYS_capset, &header, &data) } as i32)
}

fn done(result: i32) -> io::Result<()> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
