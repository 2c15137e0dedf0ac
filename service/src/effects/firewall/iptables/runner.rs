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

//! Runs `iptables` and `ip6tables`: one command or many at once, for a limited time. Never a shell.
//!
//! A program that hangs, or that waits for somebody who has locked the tables, is killed and not run
//! again by the same turn.

use super::programs::{hangs, Call, Limits, Programs, TABLE};
use crate::effects::firewall::FirewallError;
use crate::effects::platform::process;
use nix::sys::memfd::{memfd_create, MemFdCreateFlag};
use std::cell::Cell;
use std::fmt;
use std::fs::File;
use std::io::{self, Seek, Write};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// What is to be done where it is refused.
const REMEDY: &str =
    "on Android guestnetd has to be let into the domain netutils_wrapper and to be in \
                      the group net_admin; --iptables PATH names another program";

/// A program that nothing holds up takes a tenth of it on a slow device.
const USUAL: Duration = Duration::from_millis(100);

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

/// One change of the packet filter, or one look at it, with the time that it has.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    programs: &'a Programs,
    longest: Duration,
    left: Cell<Duration>,
}

impl<'a> Turn<'a> {
    /// One that begins now, while others wait for it.
    pub(super) fn brief(programs: &'a Programs) -> Self {
        Self::new(programs, Limits::BRIEF)
    }

    /// The same while nobody does.
    pub(super) fn long(programs: &'a Programs) -> Self {
        Self::new(programs, Limits::LONG)
    }

    fn new(programs: &'a Programs, limits: Limits) -> Self {
        Self { programs, longest: limits.program, left: Cell::new(limits.turn) }
    }

    /// Runs one command to its end.
    pub(super) fn run(&self, call: &Call) -> Result<(), FirewallError> {
        if call.at_most == 0 {
            return done(self.run_one(call), call);
        }
        for _ in 0..call.at_most {
            if !self.yes(call)? {
                break;
            }
        }
        Ok(())
    }

    /// Whether a command succeeds, where both is an answer.
    pub(super) fn yes(&self, call: &Call) -> Result<bool, FirewallError> {
        match self.ask(call)? {
            Answer::Yes => Ok(true),
            Answer::No { code: Some(1 | 2), .. } => Ok(false),
            Answer::No { text, .. } => Err(text),
        }
    }

    /// Whether there are programs that take many commands.
    pub(super) fn takes_many(&self) -> bool {
        self.programs.take_many()
    }

    /// Runs one command that may fail: whether it succeeded, or what it says. An error if it was not
    /// iptables that answered.
    pub(super) fn ask(&self, call: &Call) -> Result<Answer, FirewallError> {
        let program = || self.programs.path(call.family).display();
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
            Err(e) if hangs(&e) => Err(stuck(call, &e)),
            Err(e) => Err(FirewallError::Unavailable(format!("{} does not run: {e}", program()))),
        }
    }

    fn run_one(&self, call: &Call) -> io::Result<(ExitStatus, String)> {
        log::debug!("{call}");
        let mut command = Command::new(self.programs.path(call.family));
        command.args(&call.arguments).stdin(Stdio::null());
        self.program(command)
    }

    /// Runs commands of one family in as few runs as can be: one, where there is a program that
    /// takes them all, and there the kernel is given each table as a whole.
    pub(super) fn run_all(&self, calls: &[Call]) -> Result<(), FirewallError> {
        let restore =
            calls.first().and_then(|first| Some((first, self.programs.restore(first.family)?)));
        let one_run = calls.len() > 1 && calls.iter().all(|call| call.at_most == 0);
        let Some((first, restore)) = restore.filter(|_| one_run) else {
            return calls.iter().try_for_each(|call| self.run(call));
        };
        for call in calls {
            log::debug!("{call}");
        }
        let input = lines(&input(calls)).map_err(|e| failed(first, e.to_string()))?;
        let mut command = Command::new(restore);
        command.args(["--noflush", "-w"]).stdin(input);
        done(self.program(command), &format_args!("{first} (and {} more)", calls.len() - 1))
    }

    fn program(&self, command: Command) -> io::Result<(ExitStatus, String)> {
        let left = self.left.get();
        if left.is_zero() {
            let why = "the commands before it have taken too long";
            return Err(io::Error::new(io::ErrorKind::TimedOut, why));
        }
        let began = Instant::now();
        let result = process::run(command, self.longest.min(left));
        self.left.set(left.saturating_sub(began.elapsed().saturating_sub(USUAL)));
        result
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
    let result = result.map_err(|e| match hangs(&e) {
        true => stuck(command, &e),
        false => failed(command, e.to_string()),
    });
    match result? {
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
pub(crate) fn is_refusal(said: &str) -> bool {
    said.trim().is_empty() || said.contains("Unexpected command")
}

fn stuck(command: &impl fmt::Display, e: &io::Error) -> FirewallError {
    FirewallError::Stuck { command: command.to_string(), cause: e.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effects::firewall::Family;

    #[test]
    fn an_error_names_the_command_and_the_cause() {
        let programs = Programs { v4: "/nonexistent".into(), v6: "/bin/false".into() };
        let call =
            |family| Call { family, arguments: vec!["-w".to_owned(), "-N".to_owned()], at_most: 0 };
        let text = |family| Turn::brief(&programs).run(&call(family)).unwrap_err().to_string();
        assert_eq!(
            text(Family::V4),
            "`iptables -w -N` failed: No such file or directory (os error 2)"
        );
        assert_eq!(text(Family::V6), "`ip6tables -w -N` failed: exit status: 1");
    }
}
