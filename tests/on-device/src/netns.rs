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

//! A network namespace that is there: entered by a thread or a child process that ends again; the
//! calling thread never changes its own. It makes none.

use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::panic::resume_unwind;
use std::path::Path;
use std::process::{Command, Output};
use std::thread;

use nix::sched::{setns, CloneFlags};

use crate::must;

/// Something that has a network namespace.
pub trait InNetns {
    /// Opens the namespace. While the descriptor is open the namespace and its links live on.
    fn open_netns(&self) -> OwnedFd;

    /// Runs `f` on a thread of its own that is in the namespace.
    fn enter<T: Send>(&self, f: impl FnOnce() -> T + Send) -> T {
        let netns = self.open_netns();
        let inside = move || {
            setns(&netns, CloneFlags::CLONE_NEWNET).expect("setns");
            drop(netns);
            f()
        };
        let done = thread::scope(|scope| scope.spawn(inside).join());
        done.unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// A command that will run in the namespace. Unlike `ip netns exec` it leaves the mounts
    /// alone: that command's fresh /sys has no cgroups in it, and LXC does not start without.
    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let netns = self.open_netns();
        let mut command = Command::new(program);
        // SAFETY: between fork and exec the closure makes one system call and nothing else.
        unsafe { command.pre_exec(move || Ok(setns(&netns, CloneFlags::CLONE_NEWNET)?)) };
        command
    }

    /// Runs a command, given as words separated by spaces, and gives its output, however it ends.
    #[track_caller]
    fn try_run(&self, line: &str) -> Output {
        let output = self.words(line).output();
        output.unwrap_or_else(|e| panic!("{line}: {e}"))
    }

    /// Runs a command, given as words separated by spaces; panics when it fails.
    #[track_caller]
    fn run(&self, line: &str) -> String {
        must(&mut self.words(line))
    }

    /// A command given as words separated by spaces.
    fn words(&self, line: &str) -> Command {
        let mut words = line.split_whitespace();
        let mut command = self.command(words.next().expect("a command"));
        command.args(words);
        command
    }

    /// Reads a sysctl of the namespace: `net/ipv4/ip_forward`.
    fn sysctl(&self, key: &str) -> String {
        let path = Path::new("/proc/sys").join(key);
        let read = || std::fs::read_to_string(&path);
        self.enter(read).unwrap_or_else(|e| panic!("{key}: {e}")).trim_end().to_owned()
    }

    /// Writes a sysctl of the namespace.
    fn set_sysctl(&self, key: &str, value: &str) {
        let path = Path::new("/proc/sys").join(key);
        let write = || std::fs::write(&path, value);
        self.enter(write).unwrap_or_else(|e| panic!("{key}={value}: {e}"));
    }
}

impl InNetns for OwnedFd {
    fn open_netns(&self) -> OwnedFd {
        self.try_clone().expect("dup")
    }
}

/// Links made from now on do not probe for their IPv6 addresses, which takes them a second.
pub fn no_address_probing(netns: &impl InNetns) {
    let key = "net/ipv6/conf/default/accept_dad";
    if Path::new("/proc/sys").join(key).exists() {
        netns.set_sysctl(key, "0");
    }
}
