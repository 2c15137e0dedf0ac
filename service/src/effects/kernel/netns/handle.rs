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

//! Finds a network namespace again of which nothing is held: by nsfs's file handles, which Linux has
//! since 6.18. They hold no reference, and one of a namespace that has ended leads nowhere (ESTALE):
//! the number in it is given to no other namespace. Kernels without them: see `reentry.rs`.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// `struct nsfs_file_handle` (linux/nsfs.h): the namespace's unique number, its kind, its inode.
pub type NetnsHandle = [u8; 16];

/// FILEID_NSFS (linux/exportfs.h).
const NSFS: i32 = 0xf1;

/// `struct file_handle` (linux/fs.h) with room for one of nsfs.
#[repr(C)]
struct FileHandle {
    bytes: u32,
    kind: i32,
    handle: NetnsHandle,
}

/// The handle of a namespace; none if the kernel has none for namespaces.
pub fn of(netns: BorrowedFd<'_>) -> Option<NetnsHandle> {
    let mut found = FileHandle { bytes: 16, kind: 0, handle: [0; 16] };
    let mut mount: libc::c_int = 0;
    // SAFETY: the descriptor is open, the path is an empty text with its NUL, and the kernel writes a
    // `struct file_handle` of at most `bytes` behind its head, and an int.
    let result = unsafe {
        libc::syscall(
            libc::SYS_name_to_handle_at,
            netns.as_raw_fd(),
            c"".as_ptr(),
            &mut found as *mut FileHandle,
            &mut mount as *mut libc::c_int,
            libc::AT_EMPTY_PATH,
        )
    };
    (result == 0 && found.kind == NSFS && found.bytes == 16).then_some(found.handle)
}

/// Opens the namespace of a handle. `any` is any namespace, which says that it is nsfs's.
pub fn open(any: BorrowedFd<'_>, handle: &NetnsHandle) -> io::Result<OwnedFd> {
    let known = FileHandle { bytes: 16, kind: NSFS, handle: *handle };
    // SAFETY: the descriptor is open, and the kernel reads one `struct file_handle` with the 16 bytes
    // behind its head that it says.
    let result = unsafe {
        libc::syscall(
            libc::SYS_open_by_handle_at,
            any.as_raw_fd(),
            &known as *const FileHandle,
            libc::O_RDONLY | libc::O_CLOEXEC,
        )
    };
    match i32::try_from(result) {
        // SAFETY: the kernel just gave us this descriptor; nobody else knows it.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effects::kernel::netns::NetnsId;
    use nix::sched::{unshare, CloneFlags};
    use std::fs::File;
    use std::io::Write;
    use std::os::fd::AsFd;

    #[test]
    fn a_handle_leads_back_and_holds_nothing() {
        if !nix::unistd::geteuid().is_root() {
            let _ = writeln!(io::stderr(), "SKIPPED a_handle_leads_back: it needs root");
            return;
        }
        let make = || {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            File::open("/proc/thread-self/ns/net").unwrap()
        };
        let netns = std::thread::spawn(make).join().unwrap();
        let Some(handle) = of(netns.as_fd()) else {
            let _ = writeln!(io::stderr(), "SKIPPED a_handle_leads_back: it needs Linux 6.18");
            return;
        };
        let any = File::open("/proc/thread-self/ns/net").unwrap();
        // The thread that made it may still be ending.
        let again = File::from(open(any.as_fd(), &handle).unwrap());
        assert_eq!(NetnsId::of(&again).unwrap(), NetnsId::of(&netns).unwrap());
        drop((netns, again));
        let began = std::time::Instant::now();
        while open(any.as_fd(), &handle).is_ok() {
            assert!(began.elapsed().as_secs() < 5, "the handle holds the namespace");
        }
        let gone = open(any.as_fd(), &handle).unwrap_err();
        assert_eq!(gone.raw_os_error(), Some(libc::ESTALE));
    }
}
