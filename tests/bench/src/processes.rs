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

//! Processes and threads that an attach starts: counted by strace, which stops at every clone,
//! fork, vfork and execve of the traced process and of what comes of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use guestnet_tests::{poll, Device, Guest, InNetns};
use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;

use crate::crowd::{namespaces, Crowd};
use crate::error::{Doing, Error, Result};
use crate::options::Options;
use crate::progress;
use crate::report::table::{Cell, Table};
use crate::service::scratch;
use crate::subject::original;

const CALLS: &str = "trace=clone,clone3,fork,vfork,execve";
const CYCLES: usize = 20;
const LIMIT: Duration = Duration::from_secs(5);

/// What was started.
#[derive(Debug, Default, PartialEq, Eq)]
struct Started {
    processes: usize,
    threads: usize,
    programs: usize,
}

/// Counts.
pub fn run(options: &Options) -> Result<Table> {
    let columns = ["", "processes", "threads", "programs executed"];
    let mut table = Table::new("processes", "Processes started per attach and detach", &columns);
    let mut forks = 0;
    for backend in ["nftables", "iptables"] {
        let ours = of_guestnetd(options, backend)?;
        forks += ours.processes;
        table.row(format!("guestnetd, --firewall {backend}"), ours.each(CYCLES));
        progress::show("processes", table.rows.len(), 3);
    }
    table.row("the original", of_original(options)?.each(1));
    progress::show("processes", 3, 3);
    table.target(
        "firewall and route commands run per attach",
        "0 processes forked",
        Some((format!("{forks} in {} attaches and detaches", 2 * CYCLES), forks == 0)),
    );
    table.method.push(format!(
        "strace -f, attached to guestnetd during {CYCLES} attaches and detaches, and the same strace \
         over one attach of the original."
    ));
    Ok(table)
}

fn of_guestnetd(options: &Options, backend: &str) -> Result<Started> {
    let crowd = Crowd::start_with(&options.bin, 1, &["--firewall", backend])?;
    let netns = namespaces(1)?;
    let trace = Trace::attach(crowd.service.pid())?;
    for _ in 0..CYCLES {
        crowd.attach(0, &netns[0])?;
        crowd.detach(0)?;
    }
    trace.end()
}

fn of_original(options: &Options) -> Result<Started> {
    let dir = scratch()?;
    let file = dir.path().join("trace");
    let (program, device, guest) = (original(&options.home, &dir)?, Device::new(), Guest::new());
    let mut command = device.command("strace");
    command.args(["-f", "-qq", "-e", CALLS, "-o"]).arg(&file).arg(program);
    command.args(["attach", &guest.pid().to_string()]).stdout(Stdio::null());
    command.env("IPTABLES", "iptables-legacy").env("XTABLES_LOCKFILE", dir.path().join("lock"));
    let status = command.status().doing("strace")?;
    status.success().then_some(()).ok_or(status).doing("the original")?;
    Ok(count(&fs::read_to_string(file)?))
}

/// A strace that follows a process.
struct Trace {
    strace: Child,
    dir: tempfile::TempDir,
}

impl Trace {
    fn attach(pid: i32) -> Result<Self> {
        let dir = scratch()?;
        let mut command = Command::new("strace");
        command
            .args(["-f", "-qq", "-e", CALLS, "-p", &pid.to_string(), "-o"])
            .arg(file(dir.path()));
        let trace = Self { strace: command.spawn().doing("strace")?, dir };
        let traced = || all_traced(pid).then_some(());
        poll(LIMIT, traced).ok_or_else(|| Error::new("strace does not attach"))?;
        Ok(trace)
    }

    fn end(mut self) -> Result<Started> {
        kill(Pid::from_raw(self.strace.id() as i32), Signal::SIGINT)?;
        self.strace.wait()?;
        Ok(count(&fs::read_to_string(file(self.dir.path()))?))
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        let _ = self.strace.kill();
        let _ = self.strace.wait();
    }
}

fn file(dir: &Path) -> PathBuf {
    dir.join("trace")
}

/// Whether every thread of a process has a tracer.
fn all_traced(pid: i32) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return false };
    threads.flatten().all(|thread| {
        let status = fs::read_to_string(thread.path().join("status")).unwrap_or_default();
        status.lines().any(|l| l.strip_prefix("TracerPid:").is_some_and(|pid| pid.trim() != "0"))
    })
}

/// Counts what a trace tells of. A call that another one interrupts has two lines, of which the
/// first one has its arguments.
fn count(trace: &str) -> Started {
    let mut started = Started::default();
    for line in trace.lines() {
        let call = line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
        let of = |name: &str| call.starts_with(name);
        if of("execve(") {
            started.programs += 1;
        } else if of("fork(") || of("vfork(") {
            started.processes += 1;
        } else if of("clone(") || of("clone3(") {
            match call.contains("CLONE_THREAD") {
                true => started.threads += 1,
                false => started.processes += 1,
            }
        }
    }
    started
}

impl Started {
    fn each(&self, cycles: usize) -> Vec<Cell> {
        let share = |count: usize| Cell::Number(count as f64 / cycles as f64, String::new());
        vec![share(self.processes), share(self.threads), share(self.programs)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_threads_and_programs_are_told_apart() {
        let trace = "\
7 execve(\"/bin/sh\", [\"sh\"], 0x7 /* 9 vars */) = 0
7 clone(child_stack=NULL, flags=CLONE_CHILD_SETTID|SIGCHLD) = 8
8 vfork( <unfinished ...>
9 execve(\"/sbin/ip\", [\"ip\"], 0x7 /* 9 vars */) = 0
8 <... vfork resumed>)             = 9
7 clone3({flags=CLONE_VM|CLONE_THREAD|CLONE_SYSVSEM, child_tid=0x7f}, 88) = 10
9 +++ exited with 0 +++
";
        assert_eq!(count(trace), Started { processes: 2, threads: 1, programs: 2 });
        assert_eq!(count(""), Started::default());
    }
}
