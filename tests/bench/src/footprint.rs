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

//! What guestnetd takes while it does nothing: its files, its memory, its threads, its wake-ups,
//! and how long it takes to start.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use android_system_guestnet::aidl::android::system::guestnet::IGuestNet::IGuestNet;
use guestnet_platform::Connection;
use guestnet_tests::client::{by_netns, config};
use guestnet_tests::{Device, InNetns, Netns};
use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;

use crate::error::{Doing, Error, Result};
use crate::measure::{order, Samples};
use crate::options::Options;
use crate::progress;
use crate::report::cells;
use crate::report::table::{Cell, Table};
use crate::service::{scratch, Service};

/// What guestnetd says when it serves.
const READY: &str = "guestnetd: ready";
/// Bytes of a release binary.
const BINARY: u64 = 2_000_000;
/// KiB resident while there is no guest.
const RESIDENT: u64 = 6 * 1024;
/// Microseconds from exec to serving.
const START: f64 = 10_000.0;
/// How long nothing may happen, and how long under `--quick`.
const WATCH: Duration = Duration::from_secs(60);
const QUICK_WATCH: Duration = Duration::from_secs(5);

/// The files.
pub fn size(options: &Options) -> Result<Table> {
    let columns = ["release binary", "bytes", "of it code"];
    let mut table = Table::new("footprint", "Size of the release binaries", &columns);
    table.method.push("`stat` and the ELF section `.text` of what `--release` builds.".to_owned());
    for name in ["guestnetd", "guestnetctl"] {
        let path = options.bin.join(name);
        let Ok(file) = fs::read(&path) else {
            table.skipped(name, "not built: `cargo build --release`");
            continue;
        };
        let bytes = file.len() as u64;
        let code = text_size(&file).map_or(Cell::Empty, kib);
        table.row(name, vec![kib(bytes), code]);
        if name == "guestnetd" {
            let measured = (format!("{bytes} bytes"), bytes < BINARY);
            table.target("release binary, stripped", "under 2 MB", Some(measured));
        }
    }
    Ok(table)
}

/// One state in which nothing happens.
struct Still {
    name: &'static str,
    guests: usize,
    clients: usize,
    /// Wake-ups that are allowed in a minute; none: only shown.
    allowed: Option<u64>,
}

/// What was seen of one.
struct Seen {
    resident: u64,
    threads: usize,
    fds: usize,
    wakes: u64,
}

/// Memory, threads, descriptors and wake-ups while nobody asks for anything.
pub fn idle(options: &Options) -> Result<Table> {
    let watch = if options.quick { QUICK_WATCH } else { WATCH };
    let many = if options.quick { 100 } else { 1000 };
    let columns = ["guestnetd with", "resident", "own memory", "threads", "fds", "wake-ups"];
    let mut table = Table::new("idle", "While nothing happens", &columns);
    table.method.push(format!(
        "VmRSS and RssAnon of /proc/PID/status; wake-ups are the context switches of all its \
         threads within {} s.",
        watch.as_secs()
    ));
    let states = [
        Still { name: "no guest", guests: 0, clients: 0, allowed: Some(0) },
        Still { name: "no guest, a silent client", guests: 0, clients: 1, allowed: Some(0) },
        Still { name: "10 guests", guests: 10, clients: 0, allowed: Some(1) },
        Still { name: "many guests", guests: many, clients: 0, allowed: None },
    ];
    for (at, state) in states.iter().enumerate() {
        progress::show(&table.id, at, states.len());
        let (seen, own) = still(options, state, watch)?;
        let Seen { resident, threads, fds, wakes } = seen;
        let name = match state.guests {
            guests if guests > 10 => format!("{guests} guests"),
            _ => state.name.to_owned(),
        };
        let number = |n: u64| Cell::Number(n as f64, String::new());
        let cells =
            vec![kib(resident * 1024), kib(own * 1024), number(threads as u64), number(fds as u64)];
        table.row(&name, [cells, vec![number(wakes)]].concat());
        if at == 0 {
            let measured = (format!("{resident} KiB"), resident < RESIDENT);
            table.target("resident without guests", "under 6 MB", Some(measured));
        }
        if let Some(allowed) = state.allowed {
            let measured = (format!("{wakes} in {} s", watch.as_secs()), wakes <= allowed);
            let wanted = format!("at most {allowed} a minute");
            table.target(&format!("wake-ups with {name}"), &wanted, Some(measured));
        }
    }
    progress::show(&table.id, states.len(), states.len());
    Ok(table)
}

/// Brings one state about and watches it.
fn still(options: &Options, state: &Still, watch: Duration) -> Result<(Seen, u64)> {
    let device = Device::new();
    let service = Service::start(&options.bin, &device, &[])?;
    let mut guests = Vec::new();
    {
        let client = service.connect()?;
        for number in 0..state.guests {
            let guest = Netns::new("still");
            attach(&client, number, guest.open_netns())?;
            guests.push(guest);
        }
    }
    let clients: Vec<_> = (0..state.clients).map(|_| service.connect()).collect::<Result<_>>()?;
    quiet(service.pid())?;
    let before = switches(service.pid())?;
    std::thread::sleep(watch);
    let after = switches(service.pid())?;
    let seen = Seen {
        resident: status(service.pid(), "VmRSS:")?,
        threads: threads(service.pid())?.len(),
        fds: fs::read_dir(format!("/proc/{}/fd", service.pid()))?.count(),
        wakes: after.saturating_sub(before),
    };
    let own = status(service.pid(), "RssAnon:")?;
    drop(clients);
    // Before the device goes: a namespace that ends deletes its links one by one.
    let client = service.connect()?;
    for number in 0..guests.len() {
        client.detach(&name(number)).doing(name(number))?;
    }
    Ok((seen, own))
}

fn attach(client: &Connection<dyn IGuestNet>, number: usize, netns: OwnedFd) -> Result<()> {
    client.attach(&config(&name(number)), &by_netns(netns), None).doing(name(number)).map(drop)
}

fn name(number: usize) -> String {
    format!("still{number}")
}

/// Waits until nothing has happened for half a second: what an attach or a connection leaves to be
/// done afterwards is not idleness.
fn quiet(pid: i32) -> Result<()> {
    const STEP: Duration = Duration::from_millis(500);
    for _ in 0..60 {
        let before = (switches(pid)?, threads(pid)?.len());
        std::thread::sleep(STEP);
        if before == (switches(pid)?, threads(pid)?.len()) {
            return Ok(());
        }
    }
    // It never rests: the table will show it.
    Ok(())
}

/// From exec to a line that says that it serves.
pub fn start(options: &Options) -> Result<Table> {
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
    let state = dir.path().join("run");
    let mut command = device.command(options.bin.join("guestnetd"));
    command.arg("--listen").arg(format!("unix://{}", state.join("guestnet.sock").display()));
    command.arg("--state-dir").arg(&state).args(["--firewall", firewall]);
    command.env_remove("NOTIFY_SOCKET").stdin(Stdio::null()).stdout(Stdio::null());
    let began = Instant::now();
    let mut daemon = command.stderr(Stdio::piped()).spawn().doing("guestnetd")?;
    let log = daemon.stderr.take().ok_or_else(|| Error::new("guestnetd has no stderr"))?;
    let mut lines = BufReader::new(log).lines().map_while(|line| line.ok());
    let ready = lines.any(|line| line.contains(READY)).then(|| began.elapsed());
    let _ = kill(Pid::from_raw(daemon.id() as i32), Signal::SIGTERM);
    daemon.wait()?;
    ready.ok_or_else(|| Error::new(format!("guestnetd --firewall {firewall} ended unready")))
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

fn kib(bytes: u64) -> Cell {
    Cell::Number(bytes as f64 / 1024.0, "KiB".to_owned())
}

/// A value in KiB of /proc/PID/status.
fn status(pid: i32, field: &str) -> Result<u64> {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path).doing(&path)?;
    value(&text, field).ok_or_else(|| Error::new(format!("{path}: no {field}")))
}

fn value(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse().ok()
}

fn threads(pid: i32) -> Result<Vec<String>> {
    let tasks = format!("/proc/{pid}/task");
    let entries = fs::read_dir(&tasks).doing(&tasks)?.flatten();
    Ok(entries.map(|task| task.path().display().to_string()).collect())
}

/// How often its threads have gone to sleep or were put aside, together.
fn switches(pid: i32) -> Result<u64> {
    let mut sum = 0;
    for task in threads(pid)? {
        // A thread that has ended meanwhile counts no more.
        let text = fs::read_to_string(Path::new(&task).join("status")).unwrap_or_default();
        for field in ["voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:"] {
            sum += value(&text, field).unwrap_or(0);
        }
    }
    Ok(sum)
}

/// Size of the section `.text` of a 64-bit little-endian ELF file.
fn text_size(file: &[u8]) -> Option<u64> {
    let at = |at: usize, length: usize| {
        let bytes = file.get(at..at.checked_add(length)?)?;
        Some(bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    };
    if file.get(..6)? != b"\x7fELF\x02\x01" {
        return None;
    }
    let (table, size) = (at(0x28, 8)? as usize, at(0x3a, 2)? as usize);
    let (count, names) = (at(0x3c, 2)? as usize, at(0x3e, 2)? as usize);
    let names = at(table + names * size + 0x18, 8)? as usize;
    (0..count).map(|section| table + section * size).find_map(|section| {
        let name = names + at(section, 4)? as usize;
        (file.get(name..name + 6)? == b".text\0").then(|| at(section + 0x20, 8))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read() {
        let text = "Name:\tx\nVmRSS:\t    4204 kB\nvoluntary_ctxt_switches:\t7\n\
                    nonvoluntary_ctxt_switches:\t3\n";
        assert_eq!(value(text, "VmRSS:"), Some(4204));
        assert_eq!(value(text, "voluntary_ctxt_switches:"), Some(7));
        assert_eq!(value(text, "nonvoluntary_ctxt_switches:"), Some(3));
        assert_eq!(value(text, "VmHWM:"), None);
    }

    #[test]
    fn this_test_has_code_and_a_text_has_none() {
        let own = fs::read("/proc/self/exe").unwrap();
        let code = text_size(&own).unwrap();
        assert!(code > 10_000 && code < own.len() as u64, "{code}");
        assert_eq!(text_size(b"#!/bin/sh\n"), None);
        for end in 0..own.len().min(0x200) {
            text_size(&own[..end]);
        }
    }

    #[test]
    fn a_thread_that_sleeps_is_a_switch() {
        let own = std::process::id() as i32;
        let before = switches(own).unwrap();
        std::thread::sleep(Duration::from_millis(1));
        assert!(switches(own).unwrap() > before);
    }
}
