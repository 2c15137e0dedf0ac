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

//! The programs `iptables` and `ip6tables`, and what they are given.

use crate::effects::firewall::Family;
use crate::effects::platform::process;
use crate::error::FirewallError;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Where the table's name is among a command's arguments: `-w -t TABLE`.
pub(super) const TABLE: usize = 2;

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// One program. It may have to wait for others' (`-w`).
    pub(super) program: Duration,
    /// What all of them take longer than [`USUAL`], together.
    pub(super) turn: Duration,
}

impl Limits {
    /// While others wait.
    pub(super) const BRIEF: Self =
        Self { program: Duration::from_secs(3), turn: Duration::from_secs(6) };
    /// While nobody does: there may be dozens of them, on a device that boots. One that hangs is tried
    /// again later, and calls are answered meanwhile.
    pub(super) const LONG: Self =
        Self { program: Duration::from_secs(3), turn: Duration::from_secs(30) };
}

/// One run of iptables. Printed as it would be typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Which of the two programs.
    pub family: Family,
    /// Its arguments, without a space in any.
    pub arguments: Vec<String>,
    /// 0: it has to succeed. Else it is run until it is refused, so often at most.
    pub at_most: u8,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.family.program(), self.arguments.join(" "))
    }
}

impl Family {
    /// The program for it, as it is typed.
    pub(super) fn program(self) -> &'static str {
        match self {
            Self::V4 => "iptables",
            Self::V6 => "ip6tables",
        }
    }
}

impl Call {
    /// The same to be run until it is refused, so often at most.
    pub(super) fn at_most(self, at_most: u8) -> Self {
        Self { at_most, ..self }
    }

    /// Whether it changes this table.
    pub(super) fn is_for(&self, table: &str) -> bool {
        self.arguments.get(TABLE).is_some_and(|name| name == table)
    }
}

/// The two programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Programs {
    /// For IPv4.
    pub v4: PathBuf,
    /// For IPv6.
    pub v6: PathBuf,
}

/// Whether a program was killed, and is better not run again at once.
pub(super) fn hangs(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}

impl Programs {
    /// Whether there is such a program for either family.
    pub(super) fn take_many(&self) -> bool {
        self.restore(Family::V4).is_some() && self.restore(Family::V6).is_some()
    }

    /// What a program says of itself: `iptables v1.8.9 (nf_tables)`; before 1.8 there was no other
    /// kind and no parenthesis.
    pub(super) fn version(path: &Path) -> Result<String, FirewallError> {
        let mut command = Command::new(path);
        command.arg("-V").stdin(Stdio::null());
        let command_line = format!("{} -V", path.display());
        match process::run(command, Limits::LONG.program) {
            Ok((status, said)) if status.success() => Ok(said),
            Ok((status, _)) => {
                Err(FirewallError::Command { command: command_line, cause: status.to_string() })
            }
            Err(e) if hangs(&e) => {
                Err(FirewallError::Stuck { command: command_line, cause: e.to_string() })
            }
            Err(e) => Err(FirewallError::Command { command: command_line, cause: e.to_string() }),
        }
    }

    pub(super) fn path(&self, family: Family) -> &Path {
        match family {
            Family::V4 => &self.v4,
            Family::V6 => &self.v6,
        }
    }

    /// The program that takes many commands. Netd's helper has none.
    pub(super) fn restore(&self, family: Family) -> Option<PathBuf> {
        let mut path = self.path(family).as_os_str().to_owned();
        path.push("-restore");
        Some(PathBuf::from(path)).filter(|path| path.is_file())
    }
}
