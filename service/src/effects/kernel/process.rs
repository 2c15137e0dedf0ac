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

//! Processes that guests live by: a pidfd holds neither the process nor its namespaces, and becomes
//! readable when the process has ended, whatever its threads and children do (pidfd_open(2)).

use crate::model::lifeline::ProcessRef;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// A pidfd of a process.
pub fn open(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_open(2) takes two integers and returns a new descriptor or -1.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    match i32::try_from(fd) {
        // SAFETY: the kernel just made this descriptor for us; nobody else owns it.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The same, and who it is; none if it has ended.
pub fn open_and_know(pid: i32) -> io::Result<Option<(OwnedFd, ProcessRef)>> {
    let pidfd = match open(pid) {
        Err(e) if e.raw_os_error() == Some(libc::ESRCH) => return Ok(None),
        other => other?,
    };
    let stat = stat(pid);
    // What was read was this process's only if it still lives.
    if has_ended(pidfd.as_fd()) {
        return Ok(None);
    }
    let unreadable = || io::Error::other(format!("/proc/{pid}/stat has no start time"));
    let started = started_in(&stat?).ok_or_else(unreadable)?;
    Ok(Some((pidfd, ProcessRef { pid, started })))
}

/// `/proc/PID/stat`, by one call: the library asks for a length, which files there do not have, and then
/// reads 32 bytes, twice as many, and so on.
pub(super) fn stat(pid: i32) -> io::Result<String> {
    // Some 50 numbers, and a name of 16 bytes.
    let mut stat = vec![0; 2048];
    let length = File::open(format!("/proc/{pid}/stat"))?.read(&mut stat)?;
    stat.truncate(length);
    // A process may have any bytes for a name.
    Ok(String::from_utf8_lossy(&stat).into_owned())
}

/// A pidfd of the process that this was; none if it has ended.
pub fn open_again(process: &ProcessRef) -> io::Result<Option<OwnedFd>> {
    let found = open_and_know(process.pid)?;
    Ok(found.filter(|(_, now)| now == process).map(|(pidfd, _)| pidfd))
}

/// When a process started, in ticks since the boot, out of its `stat`.
pub fn started_in(stat: &str) -> Option<u64> {
    // The command in parentheses may hold anything; the fields go on after the last one.
    stat.rsplit(')').next()?.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// Whether a pidfd's process has ended.
pub fn has_ended(pidfd: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::new(pidfd, PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::ZERO).map_or(true, |ready| ready > 0)
}

/// CLOCK_MONOTONIC, which [`std::time::Instant`] does not tell: the time since the boot, without sleep.
pub fn monotonic() -> Duration {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one `struct timespec`, which `now` is. The clock is always there.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    let nanoseconds = u32::try_from(now.tv_nsec).unwrap_or(0);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), nanoseconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    #[test]
    fn any_bytes_may_be_a_name() {
        let name = OsStr::from_bytes(b") \xff 1 (");
        let at = std::env::temp_dir().join(format!("guestnet-{}", std::process::id()));
        std::fs::create_dir(&at).unwrap();
        std::os::unix::fs::symlink("/bin/sleep", at.join(name)).unwrap();
        let mut process = Command::new(at.join(name)).arg("100").spawn().unwrap();
        let pid = i32::try_from(process.id()).unwrap();
        let known = open_and_know(pid);
        process.kill().unwrap();
        process.wait().unwrap();
        std::fs::remove_dir_all(&at).unwrap();
        assert!(known.unwrap().unwrap().1.started > 0);
    }
    use std::process::Command;

    #[test]
    fn a_process_is_known_again_and_not_taken_for_another() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let (pidfd, known) = open_and_know(pid).unwrap().unwrap();
        assert!(!has_ended(pidfd.as_fd()) && open_again(&known).unwrap().is_some());
        let another = ProcessRef { started: known.started + 1, ..known };
        assert!(open_again(&another).unwrap().is_none(), "another process with its pid");
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(has_ended(pidfd.as_fd()) && open_again(&known).unwrap().is_none());
    }

    #[test]
    fn the_start_is_found_behind_any_name() {
        let stat = "7 (a) b) (c) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 9 10";
        assert_eq!(started_in(stat), Some(4711));
        assert_eq!(started_in(""), None);
    }
}
