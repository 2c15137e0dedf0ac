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

//! x_tables of a real namespace: by its socket options, and by the programs that write it.

use super::linux::{inside, Linux};
use guestnet_simulator::xtables::Family;
use std::io::Write;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::{Command, Stdio};

fn socket(family: Family) -> (OwnedFd, i32) {
    let (domain, level) = match family {
        Family::V4 => (libc::AF_INET, libc::SOL_IP),
        Family::V6 => (libc::AF_INET6, libc::SOL_IPV6),
    };
    // SAFETY: socket() has no pointers, and its descriptor is nobody else's.
    let fd = unsafe {
        let fd = libc::socket(domain, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::IPPROTO_RAW);
        assert!(fd >= 0, "{}", std::io::Error::last_os_error());
        OwnedFd::from_raw_fd(fd)
    };
    (fd, level)
}

fn told(result: i32) -> Result<(), i32> {
    let error = std::io::Error::last_os_error().raw_os_error().unwrap_or(-1);
    if result < 0 {
        Err(error)
    } else {
        Ok(())
    }
}

/// An option is read.
pub fn get(of: &Linux, family: Family, option: i32, asked: &[u8]) -> Result<Vec<u8>, i32> {
    inside(&of.file, || {
        let (fd, level) = socket(family);
        let mut bytes = asked.to_vec();
        let mut length = bytes.len() as u32;
        let to = bytes.as_mut_ptr().cast();
        // SAFETY: there is room for so many bytes.
        told(unsafe { libc::getsockopt(fd.as_raw_fd(), level, option, to, &mut length) })?;
        bytes.truncate(length as usize);
        Ok(bytes)
    })
}

/// One is set.
pub fn set(of: &Linux, family: Family, option: i32, asked: &[u8]) -> Result<(), i32> {
    inside(&of.file, || {
        let (fd, level) = socket(family);
        let (from, length) = (asked.as_ptr().cast(), asked.len() as u32);
        // SAFETY: there are so many bytes.
        told(unsafe { libc::setsockopt(fd.as_raw_fd(), level, option, from, length) })
    })
}

/// Runs a program of iptables there; its exit status, and what it says.
pub fn run(of: &Linux, name: &str, words: &[&str], input: &str) -> (i32, String) {
    let legacy = name.replacen("tables", "tables-legacy", 1);
    inside(&of.file, || {
        let mut command = Command::new(&legacy);
        command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let lock = std::env::temp_dir().join(format!("simulator-{}.lock", std::process::id()));
        let mut child = command.env("XTABLES_LOCKFILE", lock).spawn().unwrap();
        // One that reads nothing may have ended.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap(), String::from_utf8_lossy(&said).into_owned())
    })
}
