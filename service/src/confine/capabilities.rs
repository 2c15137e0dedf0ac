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

//! Gives up every capability that guestnetd does not need, for good: its own and those of the programs
//! that it runs. What is left is in SECURITY.md, and a test compares it with `/proc/PID/status`.

use std::io;

/// `struct __user_cap_header_struct` (linux/capability.h).
#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

/// `struct __user_cap_data_struct`, of which there are two: capabilities 0 to 31, and the rest.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Data {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

// linux/capability.h
const VERSION_3: u32 = 0x2008_0522;
const CAP_NET_ADMIN: u32 = 12;
const CAP_NET_RAW: u32 = 13;
const CAP_SYS_PTRACE: u32 = 19;
const CAP_SYS_ADMIN: u32 = 21;
/// linux/prctl.h; an older libc crate has no name for it.
const PR_CAPBSET_DROP: libc::c_int = 24;
/// No kernel has so many: asking for one that there is not ends the list (EINVAL).
const END: u32 = 64;

/// Those of init/guestnetd.rc. On Linux SYS_PTRACE, too, where it was given: /proc/PID/ns/net of a
/// process with more capabilities cannot be opened without it (ptrace_may_access()), and the way around
/// (`netns/reentry.rs`) takes an attach by pid 40 ms.
const KEPT: u32 = 1 << CAP_NET_ADMIN
    | 1 << CAP_NET_RAW
    | 1 << CAP_SYS_ADMIN
    | if cfg!(target_os = "android") { 0 } else { 1 << CAP_SYS_PTRACE };

/// Gives the others up. Capabilities are a thread's, so this is to be called before there is a second
/// one; threads and programs that are started later inherit what is left. `wrappers`: it runs
/// Android's of iptables and ndc. They have a domain of their own (netutils_wrapper), to which SELinux lets
/// nobody change with no_new_privs (selinux_bprm_creds_for_exec(), NNP_TRANSITION).
pub fn give_up(wrappers: bool) -> io::Result<()> {
    bounding()?;
    let mut header = Header { version: VERSION_3, pid: 0 };
    let mut data = [Data::default(); 2];
    // SAFETY: capget(2) reads the header and writes two `struct __user_cap_data_struct`.
    if unsafe { libc::syscall(libc::SYS_capget, &mut header, data.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let [low, _] = data;
    let kept = Data {
        effective: low.effective & KEPT,
        permitted: low.permitted & KEPT,
        // What Android's init has made ambient, for the programs that are run.
        inheritable: low.inheritable & KEPT,
    };
    let data = [kept, Data::default()];
    // SAFETY: capset(2) reads the header and two `struct __user_cap_data_struct`.
    if unsafe { libc::syscall(libc::SYS_capset, &mut header, data.as_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    if wrappers && selinux() {
        return Ok(());
    }
    no_new_privileges()
}

/// Whether SELinux says what domain this process is in: `u:r:guestnetd:s0`. Without it there is no domain to
/// change to; AppArmor's profiles stand in the same file, and have no such form.
fn selinux() -> bool {
    let context = std::fs::read_to_string("/proc/self/attr/current");
    cfg!(target_os = "android") || context.is_ok_and(|text| text.matches(':').count() >= 3)
}

/// The bounding set: what a program can never get again. Without SETPCAP it is somebody else's to set,
/// as Android's init does.
fn bounding() -> io::Result<()> {
    for capability in (0..END).filter(|c| *c > 31 || KEPT >> c & 1 == 0) {
        // SAFETY: PR_CAPBSET_DROP takes one integer.
        if unsafe { libc::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) } == 0 {
            continue;
        }
        match io::Error::last_os_error() {
            e if matches!(e.raw_os_error(), Some(libc::EINVAL | libc::EPERM)) => return Ok(()),
            e => return Err(e),
        }
    }
    Ok(())
}

/// No program that guestnetd runs needs more than guestnetd has (set-uid, file capabilities).
fn no_new_privileges() -> io::Result<()> {
    // SAFETY: PR_SET_NO_NEW_PRIVS takes integers.
    match unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
