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

//! A pinned BPF program in the packet filter, as netd's are: iptables replaces a whole table, and
//! the kernel then asks for the right to read every pinned program in it (xt_bpf).

use std::ffi::CString;
use std::fs::{self, Permissions};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::{chown, PermissionsExt};
use std::path::Path;

use guestnet_tests::{InNetns, NetdDevice};

/// A name of one of netd's.
pub const PROGRAM: &str = "/sys/fs/bpf/netd_shared/prog_netd_skfilter_denylist_xtbpf";
/// AID_NET_ADMIN
const NET_ADMIN: u32 = 3005;

/// Pins one that lets everything pass, readable as netd's: 0440 root:net_admin (netbpfload). Its
/// rule is in a chain of netd's in the table `filter`.
pub fn add_to(device: &NetdDevice) {
    let program = Path::new(PROGRAM);
    let dir = program.parent().expect("a folder");
    device.run("mount -t bpf bpf /sys/fs/bpf");
    fs::create_dir(dir).expect("a folder for it");
    let loaded = load().unwrap_or_else(|e| panic!("loading a BPF program: {e}"));
    pin(&loaded, program).unwrap_or_else(|e| panic!("{PROGRAM}: {e}"));
    fs::set_permissions(program, Permissions::from_mode(0o440)).expect("chmod");
    chown(program, Some(0), Some(NET_ADMIN)).expect("chown");
    device.run(&format!("iptables-legacy -w -A bw_INPUT -m bpf --object-pinned {PROGRAM}"));
}

// linux/bpf.h
const BPF_PROG_LOAD: i64 = 5;
const BPF_OBJ_PIN: i64 = 6;
const BPF_PROG_TYPE_SOCKET_FILTER: u32 = 1;

/// `r0 = 1; exit`
fn load() -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Load {
        kind: u32,
        count: u32,
        instructions: u64,
        license: u64,
        rest: [u64; 12],
    }
    let instructions: [u64; 2] = [0x0000_0001_0000_00b7, 0x0000_0000_0000_0095];
    let attributes = Load {
        kind: BPF_PROG_TYPE_SOCKET_FILTER,
        count: 2,
        instructions: instructions.as_ptr() as u64,
        license: c"Apache-2.0".as_ptr() as u64,
        rest: [0; 12],
    };
    let fd = bpf(BPF_PROG_LOAD, &attributes)?;
    // SAFETY: the kernel just gave us this descriptor; nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn pin(program: &OwnedFd, path: &Path) -> io::Result<()> {
    #[repr(C)]
    struct Pin {
        path: u64,
        fd: u32,
        flags: u32,
    }
    let path = CString::new(path.to_string_lossy().as_bytes())?;
    let fd = program.as_raw_fd() as u32;
    bpf(BPF_OBJ_PIN, &Pin { path: path.as_ptr() as u64, fd, flags: 0 }).map(drop)
}

fn bpf<T>(command: i64, attributes: &T) -> io::Result<i32> {
    let size = std::mem::size_of::<T>();
    // SAFETY: the kernel reads `size` bytes of the attributes, and what they point to; all outlive
    // the call.
    match unsafe { libc::syscall(libc::SYS_bpf, command, attributes, size) } {
        -1 => Err(io::Error::last_os_error()),
        fd => Ok(fd as i32),
    }
}
