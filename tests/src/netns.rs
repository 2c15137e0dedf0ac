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

//! Network namespaces: made, entered, and removed. A namespace is entered by a thread or a
//! child process that ends again; the calling thread never changes its own.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Once;
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

/// A named network namespace, `gnt-PID-COUNT-ROLE`; removed when dropped.
#[derive(Debug)]
pub struct Netns {
    name: String,
}

impl Netns {
    /// Makes one. The role is there for people who look at `ip netns`.
    pub fn new(role: &str) -> Self {
        static SWEEP: Once = Once::new();
        SWEEP.call_once(remove_stale);
        let name = format!("{}-{role}", unique());
        must(Command::new("ip").args(["netns", "add", &name]));
        Self { name }
    }

    /// Gives a name to the one that this process is in: for a machine that is a device itself.
    pub fn of_this_machine(role: &str) -> Self {
        let name = format!("{}-{role}", unique());
        let pid = std::process::id().to_string();
        must(Command::new("ip").args(["netns", "attach", &name, &pid]));
        Self { name }
    }

    /// Its name, as `ip netns` knows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file that holds it.
    pub fn path(&self) -> PathBuf {
        Path::new("/run/netns").join(&self.name)
    }
}

impl InNetns for Netns {
    fn open_netns(&self) -> OwnedFd {
        let path = self.path();
        File::open(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())).into()
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        // A failed delete is seen by whoever looks for what is left; a panic here would abort.
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

/// A name that nothing else on the machine has: `gnt-PID-COUNT`.
pub fn unique() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("gnt-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Links made from now on do not probe for their IPv6 addresses, which takes them a second.
pub(crate) fn no_address_probing(netns: &impl InNetns) {
    let key = "net/ipv6/conf/default/accept_dad";
    if Path::new("/proc/sys").join(key).exists() {
        netns.set_sysctl(key, "0");
    }
}

/// Removes the namespaces of test processes that were killed before they could.
fn remove_stale() {
    let Ok(dir) = std::fs::read_dir("/run/netns") else { return };
    for name in dir.flatten().filter_map(|entry| entry.file_name().into_string().ok()) {
        let pid = name.strip_prefix("gnt-").and_then(|rest| rest.split('-').next());
        let Some(pid) = pid.and_then(|pid| pid.parse::<u32>().ok()) else { continue };
        if !Path::new(&format!("/proc/{pid}")).exists() {
            let _ = Command::new("ip").args(["netns", "del", &name]).status();
        }
    }
}
