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

//! What a device has for programs to call: the directory of the stand-ins, and netd's state beside
//! them. And the same programs as netd itself calls them, with no wrapper in between.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use super::chains::{Family, Transaction};
use super::{NetdDevice, Variant};
use crate::program::binary;
use crate::{said, InNetns};

/// A directory with the stand-ins, what they start, and what they know of the device.
#[derive(Debug)]
pub(super) struct Directory(TempDir);

impl Directory {
    pub fn new(variant: Variant) -> Self {
        let dir = tempfile::Builder::new().prefix("gnt-netd-").tempdir().expect("a directory");
        let link = |target: &Path, name: &str| symlink(target, dir.path().join(name)).expect(name);
        let wrapper = Path::new("netutils-wrapper-1.0");
        link(&binary("netutils-wrapper"), "netutils-wrapper-1.0");
        for name in ["iptables-wrapper-1.0", "ip6tables-wrapper-1.0", "ndc-wrapper-1.0"] {
            link(wrapper, name);
        }
        link(&in_path("iptables-legacy"), "iptables");
        link(&in_path("ip6tables-legacy"), "ip6tables");
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text);
        write("android", &format!("{}\n", variant.major())).expect("android");
        write("netd", "").expect("netd");
        Self(dir)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Who asks for forwarding, in the order of asking.
    pub fn requesters(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.file("netd")).expect("netd");
        text.lines().map(str::to_owned).collect()
    }

    /// netd is gone, and with it what it knew; it can be called when the file is closed.
    pub fn netd_dies(&self) -> File {
        let file = locked(OpenOptions::new().write(true).open(self.file("netd")));
        file.set_len(0).expect("netd");
        file
    }
}

impl NetdDevice {
    /// The stand-in for `/system/bin/iptables-wrapper-1.0`.
    pub fn iptables(&self) -> PathBuf {
        self.directory.file("iptables-wrapper-1.0")
    }

    /// The stand-in for `/system/bin/ip6tables-wrapper-1.0`.
    pub fn ip6tables(&self) -> PathBuf {
        self.directory.file("ip6tables-wrapper-1.0")
    }

    /// The stand-in for `/system/bin/ndc-wrapper-1.0`.
    pub fn ndc(&self) -> PathBuf {
        self.directory.file("ndc-wrapper-1.0")
    }

    /// From now on the stand-ins note how they are called; what was noted before is forgotten.
    pub fn note_calls(&self) {
        std::fs::write(self.directory.file("calls"), "").expect("calls");
    }

    /// What was noted, one line a call: `iptables -w -N oem_mine`.
    pub fn noted_calls(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.directory.file("calls")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// From now on these programs hang, by their plain names: `iptables ndc`.
    pub fn hang(&self, programs: &str) {
        let lines = programs.replace(' ', "\n");
        std::fs::write(self.directory.file("hangs"), lines).expect("hangs");
    }

    /// xtables' lock, which netd and the stand-ins take: `XTABLES_LOCKFILE` of others.
    pub fn xtables_lock(&self) -> PathBuf {
        self.directory.file("xtables.lock")
    }

    /// netd answers nobody until the file is closed.
    pub fn hold_netd(&self) -> File {
        locked(File::open(self.directory.file("netd")))
    }

    /// Somebody holds xtables' lock until the file is closed: whoever runs a stand-in for iptables waits.
    pub fn hold_xtables(&self) -> File {
        locked(OpenOptions::new().create(true).append(true).open(self.xtables_lock()))
    }

    /// Runs one of the stand-ins in the device, as guestnetd would: with an empty environment.
    #[track_caller]
    pub fn wrapped(&self, program: &Path, words: &str) -> Output {
        let mut command = self.command(program);
        command.args(words.split_whitespace()).env_clear();
        command.output().unwrap_or_else(|e| panic!("{}: {e}", program.display()))
    }

    /// Who asks netd for forwarding, in the order of asking.
    pub fn forwarding_requesters(&self) -> Vec<String> {
        self.directory.requesters()
    }

    /// Lists a chain with all rules as `iptables -S` does: `filter`, `FORWARD`.
    #[track_caller]
    pub fn chain(&self, program: &str, table: &str, chain: &str) -> Vec<String> {
        let out = self.run(&format!("{program}-legacy -w -t {table} -S {chain}"));
        out.lines().map(str::to_owned).collect()
    }

    #[track_caller]
    pub(super) fn restore(&self, transaction: &Transaction) {
        let program = match transaction.family {
            Family::V4 => "iptables-legacy-restore",
            Family::V6 => "ip6tables-legacy-restore",
        };
        let mut command = self.command(program);
        command.args(["--noflush", "-w"]).env("XTABLES_LOCKFILE", self.xtables_lock());
        let out = fed(&mut command, &transaction.text);
        assert!(out.status.success(), "{program}: {}\n{}", said(&out), transaction.text);
    }

    /// `ip` with many commands. Both families take the same rules.
    #[track_caller]
    pub(super) fn ip_batch(&self, family: u8, lines: &[String]) {
        let out = self.try_ip_batch(family, lines);
        assert!(out.status.success(), "ip -{family}: {}\n{}", said(&out), lines.join("\n"));
    }

    /// The same for what may be gone already: every command is tried.
    pub(super) fn try_ip_batch(&self, family: u8, lines: &[String]) -> Output {
        let mut command = self.command("ip");
        command.args([&format!("-{family}"), "-force", "-batch", "-"]);
        fed(&mut command, &(lines.join("\n") + "\n"))
    }
}

#[track_caller]
fn locked(file: std::io::Result<File>) -> File {
    let file = file.expect("a file to lock");
    // SAFETY: the descriptor is open, and flock() takes nothing else of ours.
    let locked = unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX) };
    assert_eq!(locked, 0, "flock: {}", std::io::Error::last_os_error());
    file
}

#[track_caller]
fn fed(command: &mut Command, text: &str) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    // Who does not read all of it says why in its output.
    let _ = process.stdin.take().expect("a pipe").write_all(text.as_bytes());
    process.wait_with_output().expect("the output")
}

/// Where a program is: the stand-ins run without a PATH.
fn in_path(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut dirs = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    let found = dirs.find_map(|dir| Some(dir.join(program)).filter(|file| file.exists()));
    found.unwrap_or_else(|| panic!("{program} is not installed"))
}
