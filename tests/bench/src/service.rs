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

//! guestnetd as it runs in service: the release build, its state and its socket in a tmpfs as
//! /run/guestnet is one, its log a file there that nobody reads meanwhile.

use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use android_system_guestnet::aidl::android::system::guestnet::IGuestNet::IGuestNet;
use guestnet_platform::{Connection, Endpoint};
use guestnet_tests::client::NAME;
use guestnet_tests::{poll, Device, InNetns};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::error::{Doing, Error, Result};

/// Where shared memory is: a tmpfs on every Linux.
const TMPFS: &str = "/dev/shm";
const READY: &str = "guestnetd: ready";
const LIMIT: Duration = Duration::from_secs(10);

/// Lines of /proc/PID/status: heap and stacks, and all that is in memory.
pub const ANONYMOUS: &str = "RssAnon:";
pub const RESIDENT: &str = "VmRSS:";

/// A running guestnetd; it ends when this is dropped.
#[derive(Debug)]
pub struct Service {
    process: Child,
    dir: TempDir,
    /// From its start until it said that it is ready.
    pub start: Duration,
}

/// A directory in a tmpfs, removed when dropped.
pub fn scratch() -> Result<TempDir> {
    tempfile::Builder::new().prefix("guestnet-bench-").tempdir_in(TMPFS).doing(TMPFS)
}

/// guestnetd's packet filter, to be loaded elsewhere.
pub fn filter(bin: &Path) -> Result<String> {
    let device = Device::new();
    let _service = Service::start(bin, &device, &["--firewall", "nftables"])?;
    // An owned table would go with the nft that loads it.
    Ok(device.run("nft -s list ruleset").replace("flags owner", ""))
}

impl Service {
    /// Starts the guestnetd of this folder in a device, and waits until it is ready.
    pub fn start(bin: &Path, device: &impl InNetns, args: &[&str]) -> Result<Self> {
        let dir = scratch()?;
        // guestnetd wants a way to its socket that callers can go.
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755))?;
        let program = bin.join("guestnetd");
        let mut command = device.command(&program);
        command.args(["--listen", &endpoint(&dir), "--state-dir"]).arg(state(&dir)).args(args);
        command.env_remove("NOTIFY_SOCKET").stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(File::create(dir.path().join("log"))?);
        // It does not outlive a bench that is killed.
        let die_with_us = || Ok(set_pdeathsig(Signal::SIGKILL)?);
        // SAFETY: between fork and exec the closure makes one system call and nothing else.
        unsafe { command.pre_exec(die_with_us) };
        let began = Instant::now();
        let process = command.spawn().doing(program.display())?;
        let mut service = Self { process, dir, start: Duration::ZERO };
        let ready = || service.log().contains(READY).then(|| began.elapsed());
        service.start = poll(LIMIT, ready)
            .ok_or_else(|| Error::new(format!("guestnetd is not ready:\n{}", service.log())))?;
        Ok(service)
    }

    /// A connection of its own.
    pub fn connect(&self) -> Result<Connection<dyn IGuestNet>> {
        let endpoint: Endpoint = endpoint(&self.dir).parse().doing("the endpoint")?;
        guestnet_platform::connect(&endpoint, NAME).doing("connecting to guestnetd")
    }

    /// Where it listens.
    pub fn endpoint(&self) -> String {
        endpoint(&self.dir)
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        self.process.id() as i32
    }

    /// A line of its status in KiB.
    pub fn memory(&self, key: &str) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        kib.ok_or_else(|| Error::new(format!("no {key}")))
    }

    /// How often its threads have been switched away from.
    pub fn wakeups(&self) -> Result<f64> {
        let mut sum = 0.0;
        for task in std::fs::read_dir(format!("/proc/{}/task", self.pid()))? {
            let status = std::fs::read_to_string(task?.path().join("status"))?;
            let switches = status.lines().filter(|line| line.contains("ctxt_switches"));
            let counts = switches.filter_map(|l| l.split_whitespace().nth(1)?.parse::<f64>().ok());
            sum += counts.sum::<f64>();
        }
        Ok(sum)
    }

    /// What it has said.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

fn endpoint(dir: &TempDir) -> String {
    format!("unix://{}", state(dir).join("guestnet.sock").display())
}

fn state(dir: &TempDir) -> PathBuf {
    dir.path().join("run")
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.pid()), Signal::SIGTERM);
        if poll(LIMIT, || self.process.try_wait().ok().flatten()).is_none() {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}
