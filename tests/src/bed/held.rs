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

//! What a process holds of a network namespace: as long as that is anything, the namespace and
//! its links live on.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::guest::pidfd_open;
use crate::InNetns;

/// `ioctl` on a socket: a descriptor of the namespace it is in (linux/sockios.h).
const SIOCGSKNS: libc::Ioctl = 0x894c;

/// All that a process has of a namespace: threads in it, descriptors of it, sockets in it.
#[track_caller]
pub fn held(pid: i32, netns: &impl InNetns) -> Vec<String> {
    let wanted = id(File::from(netns.open_netns()).metadata());
    assert!(wanted.is_some(), "the namespace can be looked at");
    let mut found = Vec::new();
    for task in entries(&format!("/proc/{pid}/task")) {
        if id(fs::metadata(format!("/proc/{pid}/task/{task}/ns/net"))) == wanted {
            found.push(format!("thread {task}"));
        }
    }
    let pidfd = pidfd_open(pid).expect("pidfd_open");
    for number in entries(&format!("/proc/{pid}/fd")) {
        let path = format!("/proc/{pid}/fd/{number}");
        let target = fs::read_link(&path).unwrap_or_default();
        let socket = || socket_netns(&pidfd, number.parse().ok()?).ok();
        let is_socket = target.to_string_lossy().starts_with("socket:");
        let of_socket =
            is_socket.then(socket).flatten().and_then(|fd| id(File::from(fd).metadata()));
        if id(fs::metadata(&path)) == wanted || of_socket == wanted {
            found.push(format!("descriptor {number}: {}", target.display()));
        }
    }
    found
}

/// The namespace of another process's socket.
fn socket_netns(pidfd: &OwnedFd, number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: the system call takes three integers.
    let socket = unsafe { libc::syscall(libc::SYS_pidfd_getfd, pidfd.as_raw_fd(), number, 0) };
    let socket = owned(socket)?;
    // SAFETY: the request takes no argument; the descriptor is open.
    owned(unsafe { libc::ioctl(socket.as_raw_fd(), SIOCGSKNS) }.into())
}

fn owned(result: libc::c_long) -> io::Result<OwnedFd> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just gave us this descriptor; nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(result as RawFd) })
}

fn id(metadata: io::Result<fs::Metadata>) -> Option<(u64, u64)> {
    metadata.ok().map(|m| (m.dev(), m.ino()))
}

fn entries(dir: &str) -> Vec<String> {
    let list = fs::read_dir(Path::new(dir)).unwrap_or_else(|e| panic!("{dir}: {e}"));
    list.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect()
}
