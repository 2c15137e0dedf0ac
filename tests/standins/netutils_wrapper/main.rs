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

//! Stands in for Android's netutils-wrapper-1.0: the one way a vendor's program has to iptables
//! and ndc. Which program is meant, and on which device, the path says under which it is called:
//! the directory is the device's, made by `NetdDevice`, and holds what Android has in /system/bin.

mod allowed;
mod ndc;

use std::env;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// What `NetdDevice` puts beside the symlinks: Android's major version.
const ANDROID: &str = "android";
/// Where it is there, every call is noted in it.
const CALLS: &str = "calls";
/// Where it is there, the programs that are named in it hang.
const HANGS: &str = "hangs";
/// xtables' lock, of one device only.
const LOCK: &str = "xtables.lock";

fn main() -> ExitCode {
    let mut args = env::args_os().map(|arg| arg.to_string_lossy().into_owned());
    let called = PathBuf::from(args.next().unwrap_or_default());
    let args: Vec<String> = args.collect();
    let name = called.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let dir = called.parent().unwrap_or(Path::new("."));
    // In this order: one name is another's beginning.
    let Some(program) = ["ip6tables", "iptables", "ndc"].into_iter().find(|p| name.starts_with(p))
    else {
        return ExitCode::FAILURE;
    };
    let android = std::fs::read_to_string(dir.join(ANDROID)).unwrap_or_default();
    let android = android.trim().parse().unwrap_or(0);
    let line = [&[program.to_owned()], &args[..]].concat().join(" ");
    if let Ok(mut calls) = OpenOptions::new().append(true).open(dir.join(CALLS)) {
        // One write, so that calls at the same time do not mix. Who cannot note it runs all the same.
        let _ = calls.write_all(format!("{line}\n").as_bytes());
    }
    let hangs = std::fs::read_to_string(dir.join(HANGS)).unwrap_or_default();
    if hangs.lines().any(|name| name == program) {
        std::thread::sleep(std::time::Duration::from_secs(3600));
    }
    if !allowed::is_allowed(android, &line) {
        eprintln!("NetUtilsWrapper: Unexpected command: /system/bin/{line}");
        return ExitCode::FAILURE;
    }
    if program == "ndc" {
        return ndc::run(dir, &args);
    }
    let mut command = Command::new(dir.join(program));
    command.arg0(format!("{program}-legacy")).args(&args).env("XTABLES_LOCKFILE", dir.join(LOCK));
    let error = command.exec();
    eprintln!("{program}: {error}");
    ExitCode::FAILURE
}
