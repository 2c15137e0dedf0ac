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

//! Runs `iptables` and `ip6tables`: one command or many at once. Never a shell.

use crate::firewall::{Family, FirewallError};
use crate::program;
use nix::sys::memfd::{memfd_create, MemFdCreateFlag};
use std::fmt;
use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

/// Longest time for one command. It may have to wait for others' commands (`-w`).
const LIMIT: Duration = Duration::from_secs(10);
/// Where the table's name is among a command's arguments: `-w -t TABLE`.
const TABLE: usize = 2;

/// What is to be done where it is refused.
const REMEDY: &str =
    "on Android guestnetd has to be let into the domain netutils_wrapper and to be in \
                      the group net_admin; --iptables PATH names another program";

/// What iptables says to a command that may fail.
#[derive(Debug)]
pub(super) enum Answer {
    /// It is done, or so.
    Yes,
    /// It is not.
    No {
        /// Exit status: 1 and 2 are about what was asked for, others about all of iptables.
        code: Option<i32>,
        /// As an error.
        text: FirewallError,
    },
}

/// One run of iptables. Printed as it would be typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Which of the two programs.
    pub family: Family,
    /// Its arguments, without a space in any.
    pub arguments: Vec<String>,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let program = match self.family {
            Family::V4 => "iptables",
            Family::V6 => "ip6tables",
        };
        write!(f, "{program} {}", self.arguments.join(" "))
    }
}

impl Call {
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

impl Programs {
    /// Runs one command to its end.
    pub fn run(&self, call: &Call) -> Result<(), FirewallError> {
        done(self.run_one(call), call)
    }

    /// Runs one command that may fail: whether it succeeded, or what it says. An error if it was not
    /// iptables that answered.
    pub(super) fn ask(&self, call: &Call) -> Result<Answer, FirewallError> {
        let program = || self.path(call.family).display();
        match self.run_one(call) {
            Ok((status, _)) if status.success() => Ok(Answer::Yes),
            Ok((status, said)) if is_refusal(&said) => Err(FirewallError::Unavailable(format!(
                "{} refuses `{call}` ({status}{}{}): {REMEDY}",
                program(),
                if said.trim().is_empty() { ", without a word" } else { ": " },
                said.trim()
            ))),
            Ok((status, said)) => {
                let text = failed(call, format!("{status}: {}", said.trim()));
                Ok(Answer::No { code: status.code(), text })
            }
            Err(e) => Err(FirewallError::Unavailable(format!("{} does not run: {e}", program()))),
        }
    }

    fn run_one(&self, call: &Call) -> io::Result<(ExitStatus, String)> {
        log::debug!("{call}");
        let mut command = Command::new(self.path(call.family));
        command.args(&call.arguments).stdin(Stdio::null());
        program::run(command, LIMIT)
    }

    /// Runs commands of one family in as few runs as can be: one, where there is a program that
    /// takes them all, and there the kernel is given each table as a whole.
    pub fn run_all(&self, calls: &[Call]) -> Result<(), FirewallError> {
        let restore = calls.first().and_then(|first| Some((first, self.restore(first.family)?)));
        let Some((first, restore)) = restore.filter(|_| calls.len() > 1) else {
            return calls.iter().try_for_each(|call| self.run(call));
        };
        for call in calls {
            log::debug!("{call}");
        }
        let input = lines(&input(calls)).map_err(|e| failed(first, e.to_string()))?;
        let mut command = Command::new(restore);
        command.args(["--noflush", "-w"]).stdin(input);
        done(program::run(command, LIMIT), &format_args!("{first} (and {} more)", calls.len() - 1))
    }

    /// Whether there is such a program for either family.
    pub(super) fn take_many(&self) -> bool {
        self.restore(Family::V4).is_some() && self.restore(Family::V6).is_some()
    }

    /// What a program says of itself: `iptables v1.8.9 (nf_tables)`; before 1.8 there was no other
    /// kind and no parenthesis.
    pub(super) fn version(path: &Path) -> io::Result<String> {
        let mut command = Command::new(path);
        command.arg("-V").stdin(Stdio::null());
        let (status, said) = program::run(command, LIMIT)?;
        status.success().then_some(said).ok_or_else(|| io::Error::other(status.to_string()))
    }

    fn path(&self, family: Family) -> &Path {
        match family {
            Family::V4 => &self.v4,
            Family::V6 => &self.v6,
        }
    }

    /// The program that takes many commands. Netd's helper has none.
    fn restore(&self, family: Family) -> Option<PathBuf> {
        let mut path = self.path(family).as_os_str().to_owned();
        path.push("-restore");
        Some(PathBuf::from(path)).filter(|path| path.is_file())
    }
}

/// The commands as lines of a file that `iptables-restore` reads: table by table, in the order in
/// which the tables are first named.
fn input(calls: &[Call]) -> String {
    let table = |call: &Call| call.arguments.get(TABLE).cloned().unwrap_or_default();
    let mut tables: Vec<String> = Vec::new();
    for call in calls {
        if !tables.contains(&table(call)) {
            tables.push(table(call));
        }
    }
    let mut text = String::new();
    for name in tables {
        text += &format!("*{name}\n");
        for call in calls.iter().filter(|call| table(call) == name) {
            let words: Vec<_> = call.arguments.iter().skip(TABLE + 1).map(String::as_str).collect();
            text += &(words.join(" ") + "\n");
        }
        text += "COMMIT\n";
    }
    text
}

/// A file that has no name, with this text to be read. A pipe would want somebody to write it.
fn lines(text: &str) -> io::Result<Stdio> {
    let mut file = File::from(memfd_create(c"iptables", MemFdCreateFlag::MFD_CLOEXEC)?);
    file.write_all(text.as_bytes())?;
    file.rewind()?;
    Ok(file.into())
}

/// What became of a command.
fn done(
    result: io::Result<(ExitStatus, String)>,
    command: &impl fmt::Display,
) -> Result<(), FirewallError> {
    match result.map_err(|e| failed(command, e.to_string()))? {
        (status, _) if status.success() => Ok(()),
        (status, said) if said.trim().is_empty() => Err(failed(command, status.to_string())),
        (status, said) => Err(failed(command, format!("{status}: {}", said.trim()))),
    }
}

fn failed(command: &impl fmt::Display, cause: String) -> FirewallError {
    FirewallError::Command { command: command.to_string(), cause }
}

/// Iptables itself says why, whatever fails. Netd's helper ends without a word where it may not start
/// iptables, and says these words, if any, of what is not on its list (`NetUtilsWrapper-1.0.cpp`).
fn is_refusal(said: &str) -> bool {
    said.trim().is_empty() || said.contains("Unexpected command")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_command_and_the_cause() {
        let programs = Programs { v4: "/nonexistent".into(), v6: "/bin/false".into() };
        let call = |family| Call { family, arguments: vec!["-w".to_owned(), "-N".to_owned()] };
        let text = |family| programs.run(&call(family)).unwrap_err().to_string();
        assert_eq!(
            text(Family::V4),
            "`iptables -w -N` failed: No such file or directory (os error 2)"
        );
        assert_eq!(text(Family::V6), "`ip6tables -w -N` failed: exit status: 1");
    }
}
