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

//! `ndc ipfwd`: netd's forwarding switch. It is on while somebody asks for it; who does is in a
//! file of the device. The switch itself is that of the network namespace this runs in.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

/// Who asks for forwarding, one a line. Locked as long as netd cannot be called.
const REQUESTERS: &str = "netd";
/// How long the real one waits for netd's service.
const PATIENCE: Duration = Duration::from_secs(5);

/// Always succeeds once netd is there; the outcome is in the text.
pub fn run(dir: &Path, args: &[String]) -> ExitCode {
    let Some(mut netd) = find_netd(&dir.join(REQUESTERS)) else {
        return ExitCode::FAILURE;
    };
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let answer = match words[..] {
        ["ipfwd", "enable", name] => switch(&mut netd, name, true),
        ["ipfwd", "disable", name] => switch(&mut netd, name, false),
        _ => {
            println!("500 0 Unknown ipfwd cmd");
            return ExitCode::SUCCESS;
        }
    };
    match answer {
        Ok(()) => println!("200 0 ipfwd operation succeeded"),
        Err(e) => println!("400 0 ipfwd operation failed ({e})"),
    }
    ExitCode::SUCCESS
}

/// The file, locked: netd answers one call after the other.
fn find_netd(path: &Path) -> Option<File> {
    let file = OpenOptions::new().read(true).write(true).open(path).ok()?;
    let end = Instant::now() + PATIENCE;
    loop {
        // SAFETY: the descriptor is open, and flock() takes nothing else of ours.
        if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } == 0 {
            return Some(file);
        }
        if Instant::now() > end {
            return None;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// The switch is written each time, changed or not, as netd does.
fn switch(netd: &mut File, name: &str, on: bool) -> io::Result<()> {
    let mut text = String::new();
    netd.read_to_string(&mut text)?;
    let mut requesters: Vec<&str> = text.lines().filter(|line| *line != name).collect();
    if on {
        requesters.push(name);
    }
    let lines: String = requesters.iter().map(|line| format!("{line}\n")).collect();
    netd.rewind()?;
    netd.set_len(0)?;
    netd.write_all(lines.as_bytes())?;
    let value = if requesters.is_empty() { "0" } else { "1" };
    std::fs::write("/proc/sys/net/ipv4/ip_forward", value)?;
    write_if_there("/proc/sys/net/ipv6/conf/all/forwarding", value)?;
    if requesters.is_empty() {
        // Switching forwarding off switches redirects on again.
        for family in ["ipv4", "ipv6"] {
            write_if_there(&format!("/proc/sys/net/{family}/conf/all/accept_redirects"), "0")?;
        }
    }
    Ok(())
}

fn write_if_there(path: &str, value: &str) -> io::Result<()> {
    match std::fs::write(path, value) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
