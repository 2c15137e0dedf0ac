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

//! A guest reduced to what guestnetd sees of one: a process in a network namespace of its own.

use std::fs::File;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use nix::sched::{unshare, CloneFlags};

use crate::netns::no_address_probing;
use crate::InNetns;

/// A process in a fresh network namespace, which has only `lo`, and that down. Nothing here
/// keeps the namespace: it ends with the process, and the process with this value.
#[derive(Debug)]
pub struct Guest {
    process: Child,
}

impl Guest {
    /// Starts the process.
    #[allow(clippy::new_without_default)] // It starts a process.
    pub fn new() -> Self {
        // It reads from us until we are gone: it cannot outlive a test that is killed.
        let mut command = Command::new("cat");
        command.stdin(Stdio::piped()).stdout(Stdio::null());
        // SAFETY: between fork and exec the closure makes one system call and nothing else.
        unsafe { command.pre_exec(|| Ok(unshare(CloneFlags::CLONE_NEWNET)?)) };
        let process = command.spawn().expect("a process in a new network namespace");
        let guest = Self { process };
        no_address_probing(&guest);
        guest
    }

    /// The process id.
    pub fn pid(&self) -> i32 {
        self.process.id() as i32
    }

    /// A pidfd of the process.
    pub fn pidfd(&self) -> OwnedFd {
        pidfd_open(self.pid()).expect("pidfd_open")
    }

    /// Kills the process and waits for its end; the namespace goes with it.
    pub fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl InNetns for Guest {
    fn open_netns(&self) -> OwnedFd {
        File::open(format!("/proc/{}/ns/net", self.pid())).expect("the guest's netns").into()
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Opens a pidfd of any process.
pub fn pidfd_open(pid: i32) -> std::io::Result<OwnedFd> {
    // SAFETY: the system call takes two integers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if fd < 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: the kernel just gave us this descriptor; nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}
