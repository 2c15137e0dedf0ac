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

//! How long guestnetd takes to start.

use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use guestnet_tests::{Device, InNetns};
use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;

use crate::cpu;
use crate::error::{Doing, Error, Result};
use crate::measure::{order, Samples};
use crate::options::Options;
use crate::progress;
use crate::report::cells;
use crate::report::table::Table;
use crate::service::scratch;

/// What guestnetd says when it serves.
const READY: &str = "guestnetd: ready";
/// Microseconds from exec to serving.
const START: f64 = 10_000.0;

/// From exec to a line that says that it serves.
pub fn run(options: &Options) -> Result<Table> {
    let rounds = options.rounds(30);
    let columns = ["start to serving", "p50", "p99", "min", "ratio"];
    let mut table = Table::new("start", "From exec to serving", &columns);
    table.method.push(
        "From before fork until it says that it is ready, on a pipe. The floor is a process that \
         only execs and ends (`true`); beside it, what a socket alone costs."
            .to_owned(),
    );
    let device = Device::new();
    let subjects = ["floor: true", "a bound socket", "nftables", "iptables"];
    let mut samples = vec![Samples::default(); subjects.len()];
    for round in 0..rounds {
        progress::show(&table.id, round, rounds);
        for at in order(round, subjects.len()) {
            let took = match subjects[at] {
                "floor: true" => process(&device)?,
                "a bound socket" => socket()?,
                firewall => serving(options, &device, firewall)?,
            };
            samples[at].push(took);
        }
    }
    progress::show(&table.id, rounds, rounds);
    for (subject, times) in subjects.iter().zip(&samples) {
        let name = match *subject {
            "nftables" | "iptables" => format!("guestnetd, {subject}"),
            other => other.to_owned(),
        };
        let columns = [times.median(), times.percentile(99.0), times.min()].map(cells::micros);
        let ratio = cells::ratio(times.ratio(&samples[0]));
        table.row(name, [columns.to_vec(), vec![ratio]].concat());
    }
    let median = samples[2].median();
    let measured = median.map(|us| (format!("{:.1} ms", us / 1000.0), us < START));
    table.target("start to serving, nftables", "under 10 ms", measured);
    Ok(table)
}

fn serving(options: &Options, device: &Device, firewall: &str) -> Result<Duration> {
    let dir = scratch()?;
    let running = Running::launch(&options.bin, device, dir.path(), &["--firewall", firewall])?;
    let took = running.start;
    running.stop()?;
    Ok(took)
}

/// A guestnetd whose state outlives it.
pub struct Running {
    daemon: Child,
    /// From before fork until it said that it serves.
    pub start: Duration,
}

impl Running {
    /// Starts one that has its socket and its state in this folder.
    pub fn launch(bin: &Path, device: &Device, dir: &Path, args: &[&str]) -> Result<Self> {
        let mut command = device.command(bin.join("guestnetd"));
        command.args(["--listen", &socket_in(dir), "--state-dir"]).arg(dir.join("run")).args(args);
        command.env_remove("NOTIFY_SOCKET").stdin(Stdio::null()).stdout(Stdio::null());
        let began = Instant::now();
        let mut daemon = command.stderr(Stdio::piped()).spawn().doing("guestnetd")?;
        let log = daemon.stderr.take().ok_or_else(|| Error::new("guestnetd has no stderr"))?;
        let mut log = BufReader::new(log);
        let ready = log.by_ref().lines().map_while(|line| line.ok()).any(|l| l.contains(READY));
        let running = Self { daemon, start: began.elapsed() };
        // It writes on, and may wait until somebody has read.
        thread::spawn(move || io::copy(&mut log, &mut io::sink()));
        if ready {
            return Ok(running);
        }
        running.stop()?;
        Err(Error::new(format!("guestnetd {} ended unready", args.join(" "))))
    }

    /// The CPU that it has used.
    pub fn cpu(&self) -> Result<Duration> {
        cpu::of_process(self.daemon.id() as i32)
    }

    /// Ends it by SIGTERM: guests stay attached.
    pub fn stop(mut self) -> Result<()> {
        let _ = kill(Pid::from_raw(self.daemon.id() as i32), Signal::SIGTERM);
        self.daemon.wait()?;
        Ok(())
    }
}

/// The endpoint of a guestnetd that was started in this folder.
pub fn socket_in(dir: &Path) -> String {
    format!("unix://{}", dir.join("run/guestnet.sock").display())
}

fn process(device: &Device) -> Result<Duration> {
    let mut command = device.command("true");
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let began = Instant::now();
    let status = command.status().doing("true")?;
    let took = began.elapsed();
    if status.success() {
        Ok(took)
    } else {
        Err(Error::new(format!("true: {status}")))
    }
}

fn socket() -> Result<Duration> {
    let dir = scratch()?;
    let began = Instant::now();
    let listener = UnixListener::bind(dir.path().join("socket")).doing("a socket")?;
    let took = began.elapsed();
    drop(listener);
    Ok(took)
}
