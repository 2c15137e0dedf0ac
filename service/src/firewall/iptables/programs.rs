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

//! Runs `iptables` and `ip6tables`: one command or many at once, for a limited time. Never a shell,
//! never an inherited environment.

use crate::firewall::{Family, FirewallError};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::memfd::{memfd_create, MemFdCreateFlag};
use nix::unistd::pipe2;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Longest time for one command. It may have to wait for others' commands (`-w`).
const LIMIT: Duration = Duration::from_secs(10);
/// Where the table's name is among a command's arguments: `-w -t TABLE`.
const TABLE: usize = 2;
/// Most of what a command says that is kept.
const SAID: usize = 4096;

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
        run(command, LIMIT)
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
        done(run(command, LIMIT), &format_args!("{first} (and {} more)", calls.len() - 1))
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
        let (status, said) = run(command, LIMIT)?;
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

/// Runs a command and takes what it says on either stream, for a limited time.
fn run(mut command: Command, limit: Duration) -> io::Result<(ExitStatus, String)> {
    // A pipe and not a socket: SELinux gives netd's helper /dev/null for what its policy does not
    // name, and that names pipes.
    let (ours, theirs) = pipe2(OFlag::O_CLOEXEC)?;
    command.env_clear().stdout(theirs.try_clone()?).stderr(theirs);
    let mut child = command.spawn()?;
    // Its ends of the pipe are kept by the command, too.
    drop(command);
    match listen(ours.into(), limit) {
        // It has closed what it could still speak to: it is ending.
        Ok(said) => Ok((child.wait()?, said)),
        Err(e) => {
            end(&mut child);
            Err(e)
        }
    }
}

fn listen(mut stream: File, limit: Duration) -> io::Result<String> {
    let until = Instant::now() + limit;
    let mut said = Vec::new();
    let mut buffer = [0; 1024];
    loop {
        let left = until.saturating_duration_since(Instant::now()).as_millis();
        let left = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(stream.as_fd(), PollFlags::POLLIN)], left) {
            Ok(0) => return Err(io::Error::other(format!("not done within {limit:?}, killed"))),
            Ok(_) => {}
            Err(Errno::EINTR) => continue,
            Err(e) => return Err(e.into()),
        }
        match stream.read(&mut buffer)? {
            0 => return Ok(String::from_utf8_lossy(&said).into_owned()),
            n => said.extend(buffer.iter().take(n.min(SAID.saturating_sub(said.len())))),
        }
        if Instant::now() >= until {
            return Err(io::Error::other(format!("not done within {limit:?}, killed")));
        }
    }
}

fn end(child: &mut Child) {
    if let Err(e) = child.kill().and_then(|()| child.wait().map(drop)) {
        log::warn!("a command that took too long cannot be ended: {e}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn both_streams_and_the_status_are_taken() {
        let (status, said) = run(shell("echo out; echo err >&2; exit 3"), LIMIT).unwrap();
        assert_eq!((status.code(), said.as_str()), (Some(3), "out\nerr\n"));
    }

    #[test]
    fn nothing_is_inherited_and_much_is_cut() {
        let (_, said) = run(Command::new("/usr/bin/env"), LIMIT).unwrap();
        assert_eq!(said, "");
        let (status, said) = run(shell("/usr/bin/head -c 1000000 /dev/zero"), LIMIT).unwrap();
        assert!(status.success());
        assert_eq!(said.len(), SAID);
    }

    #[test]
    fn one_that_does_not_end_is_ended() {
        let begun = Instant::now();
        let error = run(shell("exec sleep 60"), Duration::from_millis(50)).unwrap_err();
        assert!(error.to_string().contains("50ms"), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(30));
        let one_that_talks = shell("while :; do echo still here; done");
        assert!(run(one_that_talks, Duration::from_millis(50)).is_err());
    }

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
