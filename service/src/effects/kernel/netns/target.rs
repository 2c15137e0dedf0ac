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

//! From what a caller names (netns, pidfd, pid) to the guest's network namespace.
//! Only opens and compares; changes nothing that stays.

use super::initial::Initial;
use super::reentry;
use super::NetnsId;
use crate::effects::kernel::process;
use crate::error::{is_exhausted, Error, TargetError};
use crate::model::lifeline::ProcessRef;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::ioctl::ioctl_num_type;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// What a caller named.
#[derive(Debug)]
pub enum Named {
    /// A network namespace.
    Netns(OwnedFd),
    /// A pidfd of a process in it.
    Pidfd(OwnedFd),
    /// The pid of a process in it.
    Pid(i32),
}

/// A guest's network namespace, open. Dropped before a call is answered: it pins the namespace.
#[derive(Debug)]
pub struct Target {
    /// The namespace.
    pub netns: File,
    process: Option<Process>,
}

#[derive(Debug)]
struct Process {
    pid: i32,
    pidfd: OwnedFd,
    /// When it started; none: its /proc cannot be read.
    started: Option<u64>,
}

impl Target {
    /// Opens what was named, and refuses what is no guest.
    pub fn open(named: Named, initial: &Initial) -> Result<Self, TargetError> {
        let target = match named {
            Named::Netns(fd) => Self { netns: File::from(fd), process: None },
            Named::Pidfd(pidfd) => {
                let pid = pid_of(&pidfd)?;
                Self::of_process(Process { pid, pidfd, started: None }, initial)?
            }
            Named::Pid(pid) => {
                let pidfd = pidfd_open(pid)?;
                Self::of_process(Process { pid, pidfd, started: None }, initial)?
            }
        };
        if let Some(why) = super::refuse(target.netns.as_fd()) {
            return Err(TargetError::NotANetns(why));
        }
        target.refuse_the_device(initial)?;
        Ok(target)
    }

    /// Whether the process that was named still lives; always so for a netns. To be asked again
    /// after the work: a pid may have been reused, but not while its pidfd saw it alive.
    pub fn check_alive(&self) -> Result<(), TargetError> {
        match &self.process {
            Some(process) if ended(&process.pidfd) => Err(TargetError::ProcessExited(process.pid)),
            _ => Ok(()),
        }
    }

    /// Whether it is a user's own: a process that runs as nobody else, or a network namespace of a user
    /// namespace that this user made, as the kernel has it (ioctl_nsfs(2)).
    pub fn is_own_of(&self, uid: u32) -> bool {
        if self.process.as_ref().is_some_and(|process| runs_as(process, uid)) {
            return true;
        }
        owner_of(self.netns.as_fd()).is_ok_and(|owner| owner == uid)
    }

    /// The process that was named, for when nothing is held any more.
    pub fn process(&self) -> Option<ProcessRef> {
        let process = self.process.as_ref()?;
        Some(ProcessRef { pid: process.pid, started: process.started? })
    }

    /// Its pidfd, which holds nothing of it.
    pub fn into_pidfd(self) -> Option<OwnedFd> {
        self.process.map(|process| process.pidfd)
    }

    fn of_process(mut process: Process, initial: &Initial) -> Result<Self, TargetError> {
        let pid = process.pid;
        if ended(&process.pidfd) {
            return Err(TargetError::NoSuchProcess(pid));
        }
        let stat = process::stat(pid).unwrap_or_default();
        process.started = process::started_in(&stat);
        if is_kernel_thread(&stat) {
            return Err(TargetError::KernelThread(pid));
        }
        let netns = File::open(format!("/proc/{pid}/ns/net"));
        // The path was this process's only if it still lives.
        if ended(&process.pidfd) {
            return Err(TargetError::ProcessExited(pid));
        }
        match netns {
            Ok(netns) => Ok(Self { netns, process: Some(process) }),
            // It is ending right now; or its /proc is hidden from us (hidepid).
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                match wait_for_end(&process.pidfd, PollTimeout::from(20u8)) {
                    true => Err(TargetError::ProcessExited(pid)),
                    false => Err(TargetError::NotAccessible { pid, cause }),
                }
            }
            Err(_) if initial.is_of(pid) => Err(TargetError::InitialNetns),
            // Not ours to open: we are not root, and the guest's init has capabilities that we
            // have not (ptrace_may_access()).
            Err(cause) if cause.kind() == io::ErrorKind::PermissionDenied => {
                Self::by_moving_there(process, cause)
            }
            Err(cause) => {
                Err(or_exhausted(cause, |cause| TargetError::NotAccessible { pid, cause }))
            }
        }
    }

    /// As user `system` on Android, by pid and by pidfd.
    fn by_moving_there(process: Process, refused: io::Error) -> Result<Self, TargetError> {
        let pid = process.pid;
        let netns = reentry::of_process(pid);
        if ended(&process.pidfd) {
            return Err(TargetError::ProcessExited(pid));
        }
        match netns {
            Ok(netns) => Ok(Self { netns: File::from(netns), process: Some(process) }),
            Err(Error::NoDescriptors(cause)) => Err(TargetError::NoDescriptors(cause)),
            Err(e) => {
                let cause = io::Error::other(format!("{refused}; {e}"));
                Err(TargetError::NotAccessible { pid, cause })
            }
        }
    }

    fn refuse_the_device(&self, initial: &Initial) -> Result<(), TargetError> {
        let id = NetnsId::of(&self.netns).map_err(|e| TargetError::NotANetns(e.to_string()))?;
        if initial.is_own(id) {
            return Err(TargetError::OwnNetns);
        }
        if initial.is(&self.netns) {
            return Err(TargetError::InitialNetns);
        }
        Ok(())
    }
}

/// Why a descriptor or a process could not be looked at; that no descriptor is left says nothing of it.
fn or_exhausted(cause: io::Error, else_: impl FnOnce(io::Error) -> TargetError) -> TargetError {
    match cause.raw_os_error() {
        Some(errno) if is_exhausted(errno) => TargetError::NoDescriptors(cause.into()),
        _ => else_(cause),
    }
}

fn pidfd_open(pid: i32) -> Result<OwnedFd, TargetError> {
    if pid <= 0 {
        return Err(TargetError::BadPid(pid));
    }
    process::open(pid).map_err(|e| match e.raw_os_error() {
        // A thread's id, which is not a process: EINVAL, since Linux 6.9 ENOENT.
        Some(libc::ESRCH | libc::EINVAL | libc::ENOENT) => TargetError::NoSuchProcess(pid),
        _ => or_exhausted(e, |cause| TargetError::NotAccessible { pid, cause }),
    })
}

/// The pid that a pidfd stands for, from `/proc/self/fdinfo` (pidfd_open(2)).
fn pid_of(pidfd: &OwnedFd) -> Result<i32, TargetError> {
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd()))
        .map_err(|e| or_exhausted(e, |e| TargetError::NotAPidfd(e.to_string())))?;
    let pid = info.lines().find_map(|line| line.strip_prefix("Pid:")?.trim().parse::<i32>().ok());
    match pid {
        None => Err(TargetError::NotAPidfd("it is a descriptor of another kind".into())),
        Some(-1) => Err(TargetError::PidfdEnded),
        Some(0) => Err(TargetError::NotAPidfd("its process is in another pid namespace".into())),
        Some(pid) => Ok(pid),
    }
}

/// A pidfd becomes readable when its process ends (pidfd_open(2)).
fn ended(pidfd: &OwnedFd) -> bool {
    wait_for_end(pidfd, PollTimeout::ZERO)
}

fn wait_for_end(pidfd: &OwnedFd, timeout: PollTimeout) -> bool {
    let mut fds = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, timeout).map_or(true, |ready| ready > 0)
}

/// Whether all four uids of a process are this one: a program of another user's that it runs (set-uid)
/// is not its own.
fn runs_as(process: &Process, uid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/status", process.pid)).unwrap_or_default();
    let uids = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap_or_default();
    let same = |text: &str| text.parse() == Ok(uid);
    let all = uids.split_ascii_whitespace().count() == 4 && uids.split_ascii_whitespace().all(same);
    // The text was this process's only if it still lives.
    all && !ended(&process.pidfd)
}

/// The user who made the user namespace that a network namespace belongs to.
fn owner_of(netns: BorrowedFd<'_>) -> io::Result<u32> {
    // _IO(0xb7, 1) and _IO(0xb7, 4), linux/nsfs.h
    const NS_GET_USERNS: ioctl_num_type = 0xb701;
    const NS_GET_OWNER_UID: ioctl_num_type = 0xb704;
    // SAFETY: the descriptor is open, and NS_GET_USERNS takes no argument and returns a new descriptor.
    let user_namespace = match unsafe { libc::ioctl(netns.as_raw_fd(), NS_GET_USERNS) } {
        -1 => return Err(io::Error::last_os_error()),
        // SAFETY: the kernel just made this descriptor for us; nobody else owns it.
        fd => unsafe { OwnedFd::from_raw_fd(fd) },
    };
    let mut uid: libc::uid_t = u32::MAX;
    // SAFETY: the descriptor is open, and NS_GET_OWNER_UID writes one uid_t, which `uid` is.
    match unsafe { libc::ioctl(user_namespace.as_raw_fd(), NS_GET_OWNER_UID, &mut uid) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(uid),
    }
}

/// PF_KTHREAD in field 9 of `/proc/PID/stat` (proc(5), linux/sched.h).
pub(crate) fn is_kernel_thread(stat: &str) -> bool {
    const PF_KTHREAD: u32 = 0x0020_0000;
    // The command in parentheses may hold anything; the fields go on after the last one.
    let after = stat.rsplit(')').next().unwrap_or_default();
    let flags = after.split_ascii_whitespace().nth(6).and_then(|f| f.parse::<u32>().ok());
    flags.is_some_and(|flags| flags & PF_KTHREAD != 0)
}
