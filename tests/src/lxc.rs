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

//! A real LXC container: Debian's LXC, its busybox template, and the original's configuration.
//!
//! Every LXC tool runs in the device's network namespace: they talk to the container's monitor
//! over an abstract socket, which is per namespace, and the hooks run there.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::netns::unique;
use crate::{must, poll, said, InNetns};

/// How long a container may take to reboot: busybox gives its processes two seconds to end.
const REBOOT: Duration = Duration::from_secs(20);

/// A container; stopped and removed when dropped.
#[derive(Debug)]
pub struct Container {
    name: String,
    device: OwnedFd,
    dir: TempDir,
}

impl Container {
    /// Makes a container beside `device`; it is not started yet. The one network setting is
    /// `lxc.net.0.type = empty`: all that it has is `lo`.
    pub fn new(device: &impl InNetns) -> Self {
        let dir = tempfile::Builder::new().prefix("gnt-lxc-").tempdir().expect("a directory");
        let container = Self { name: unique(), device: device.open_netns(), dir };
        let config = container.dir.path().join("network.conf");
        fs::write(&config, include_str!("../lib/container.conf")).expect("the configuration");
        let mut create = container.tool("lxc-create");
        must(create.args(["-q", "-t", "busybox", "-f"]).arg(config));
        container
    }

    /// Its name, for LXC and for its hooks.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Adds a line to its configuration, as `lxc.hook.start-host = PROGRAM`.
    pub fn config(&self, line: &str) {
        let path = self.dir.path().join(&self.name).join("config");
        let mut file = OpenOptions::new().append(true).open(path).expect("the configuration");
        writeln!(file, "{line}").expect("the configuration");
    }

    /// Starts it. An error is what LXC's log says about it.
    pub fn start(&self) -> Result<(), String> {
        let log = self.log_path();
        let mut start = self.tool("lxc-start");
        start.arg("-o").arg(&log).args(["-l", "DEBUG"]);
        let out = start.output().expect("lxc-start");
        if out.status.success() {
            return Ok(());
        }
        let log = fs::read_to_string(log).unwrap_or_default();
        Err(format!("lxc-start: {}{log}", said(&out)))
    }

    /// A command that will run inside, by lxc-attach. Without our environment: a proxy in it is
    /// none of the container's.
    pub fn inside(&self, words: &[&str]) -> Command {
        let mut attach = self.tool("lxc-attach");
        attach.args(["--clear-env", "--"]).args(words);
        attach
    }

    /// Runs a command inside and gives its output; panics when it fails.
    #[track_caller]
    pub fn exec(&self, words: &[&str]) -> String {
        must(&mut self.inside(words))
    }

    /// Runs a command inside and gives its output, however it ends.
    pub fn try_exec(&self, words: &[&str]) -> Output {
        self.inside(words).output().expect("lxc-attach")
    }

    /// The pid of its init, as the device sees it; None when it is not running.
    pub fn pid(&self) -> Option<i32> {
        let out = self.tool("lxc-info").args(["-p", "-H"]).output().expect("lxc-info");
        String::from_utf8_lossy(&out.stdout).trim().parse().ok()
    }

    /// Reboots it from inside and waits until it runs again; gives the pid of the new init.
    pub fn reboot(&self) -> i32 {
        let old = self.pid().expect("a running container");
        // Its status tells nothing: init ends this process like all others.
        self.try_exec(&["reboot"]);
        let started =
            || self.pid().filter(|pid| *pid != old && self.try_exec(&["true"]).status.success());
        poll(REBOOT, started).expect("the container runs again after its reboot")
    }

    /// Stops it at once, as a crash would.
    pub fn stop(&self) {
        must(self.tool("lxc-stop").arg("-k"));
    }

    /// What LXC has logged since the start.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    fn tool(&self, program: &str) -> Command {
        let mut command = self.device.command(program);
        command.arg("-P").arg(self.dir.path()).args(["-n", &self.name]).stdin(Stdio::null());
        command
    }
}

impl InNetns for Container {
    /// The container's own, not the device's.
    fn open_netns(&self) -> OwnedFd {
        let pid = self.pid().expect("a running container");
        File::open(format!("/proc/{pid}/ns/net")).expect("the container's netns").into()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // Not must(): a panic here would abort. One that is not running cannot be stopped.
        let _ = self.tool("lxc-stop").arg("-k").output();
        let _ = self.tool("lxc-destroy").output();
        self.remove_leftovers();
    }
}

impl Container {
    /// What LXC itself leaves: a lock file under the container's whole path, always; the
    /// monitor's cgroup, when a process of its own was still in there.
    fn remove_leftovers(&self) {
        let path = self.dir.path().strip_prefix("/").unwrap_or(self.dir.path());
        let _ = fs::remove_dir_all(PathBuf::from("/run/lxc/lock").join(path));
        let root = PathBuf::from("/sys/fs/cgroup");
        let controllers = fs::read_dir(&root).into_iter().flatten().flatten().map(|dir| dir.path());
        for dir in controllers.chain([root]) {
            for role in ["monitor", "payload"] {
                let cgroup = dir.join(format!("lxc.{role}.{}", self.name));
                let gone = || (fs::remove_dir(&cgroup).is_ok() || !cgroup.exists()).then_some(());
                let _ = poll(Duration::from_secs(1), gone);
            }
        }
    }
}
