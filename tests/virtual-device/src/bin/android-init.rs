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

//! Stands in for Android's init with one .rc file: makes its directories, starts its service, and
//! waits for its end: `android-init FILE.rc LOG [ARGUMENT]...`.
//!
//! Two things are not init's: what the service says is in the file LOG, for there is no logd; and
//! the arguments are put behind those of the .rc, for a program that was built for Linux. It runs
//! in the domain that it was started in, and the service's comes from its file's label.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{chown, DirBuilderExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use guestnet_device_tests::init::attributes;
use guestnet_device_tests::init::rc::{Directory, Rc};

/// As system/etc/selinux has them: which label a file gets.
const FILE_CONTEXTS: &str = "/etc/selinux/file_contexts";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [rc, log, more @ ..] = &args[..] else {
        eprintln!("usage: android-init FILE.rc LOG [ARGUMENT]...");
        return ExitCode::from(2);
    };
    match run(Path::new(rc), Path::new(log), more) {
        Ok(code) => code,
        Err(why) => {
            eprintln!("android-init: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run(rc: &Path, log: &Path, more: &[String]) -> Result<ExitCode, String> {
    let text = fs::read_to_string(rc).map_err(|e| format!("{}: {e}", rc.display()))?;
    let rc = Rc::parse(&text)?;
    for directory in &rc.directories {
        make(directory).map_err(|e| format!("mkdir {}: {e}", directory.path.display()))?;
    }
    let (program, args) = rc.service.command.split_first().ok_or("the .rc has no service")?;
    let log = OpenOptions::new().append(true).create(true).open(log).map_err(|e| e.to_string())?;
    let service = rc.service.clone();
    let mut command = Command::new(program);
    command.args(args).args(more).env_clear().env("PATH", "/system_ext/bin:/system/bin");
    command.stdin(Stdio::null()).stdout(clone(&log)?).stderr(log);
    // SAFETY: between fork and exec the closure makes system calls and nothing else.
    unsafe { command.pre_exec(move || attributes::apply(&service)) };
    let mut service = command.spawn().map_err(|e| format!("{program}: {e}"))?;
    println!("{}", service.id());
    let _ = io::stdout().flush();
    let status = service.wait().map_err(|e| e.to_string())?;
    eprintln!("android-init: {program} ended: {status}");
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, Into::into))
}

fn clone(file: &File) -> Result<File, String> {
    file.try_clone().map_err(|e| e.to_string())
}

/// As init's mkdir does: with the label of file_contexts from its first moment, and if it is there
/// already, with what the .rc says of it.
fn make(directory: &Directory) -> io::Result<()> {
    let Directory { path, mode, uid, gid } = directory;
    if Path::new("/sys/fs/selinux/enforce").exists() {
        let mut lookup = Command::new("matchpathcon");
        let found = lookup.args(["-n", "-m", "dir", "-f", FILE_CONTEXTS]).arg(path).output()?;
        let label = String::from_utf8_lossy(&found.stdout).trim().to_owned();
        fs::write("/proc/thread-self/attr/fscreate", label)?;
    }
    match fs::DirBuilder::new().mode(*mode).create(path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
        other => other?,
    }
    fs::set_permissions(path, Permissions::from_mode(*mode))?;
    chown(path, Some(*uid), Some(*gid))
}
