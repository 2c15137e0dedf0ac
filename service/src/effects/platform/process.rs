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

//! Runs one program to its end: what it says on either stream is taken, its time is bounded.
//! Nothing of guestnetd's environment is inherited but which lock iptables takes.
//!
//! A program is the first of a group of processes of its own, so that with one that hangs goes what it
//! has started.

use super::xtables_lock;
use crate::write::{self, What};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::signal::{killpg, Signal};
use nix::unistd::{pipe2, Pid};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Most of what a command says that is kept.
const SAID: usize = 4096;
/// Between two looks at whether a program has ended that has closed its outputs: it is about to.
const LOOKS: [Duration; 2] = [Duration::from_micros(50), Duration::from_millis(10)];

/// Those that run now, and since when. They have not been waited for: no other process has their numbers.
static RUNNING: Mutex<Vec<(i32, Instant)>> = Mutex::new(Vec::new());

fn running() -> MutexGuard<'static, Vec<(i32, Instant)>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a command and takes what it says on either stream, for a limited time. An error of the kind
/// `TimedOut` or `Interrupted`: it was killed, here or by somebody else, and is better not run again
/// at once. EBADMSG: it has run, and what it said is lost.
pub(in crate::effects) fn run(
    command: Command,
    limit: Duration,
) -> io::Result<(ExitStatus, String)> {
    // What it will write cannot be seen from here: each counts as a write.
    let program = command.get_program().to_owned();
    write::through(What::Program(&program), || output(command, limit, SAID))
}

/// The same of a program that only reads, and so much of what it says.
pub(in crate::effects) fn output(
    mut command: Command,
    limit: Duration,
    most: usize,
) -> io::Result<(ExitStatus, String)> {
    let until = Instant::now() + limit;
    // A pipe and not a socket: SELinux gives netd's helper /dev/null for what its policy does not
    // name, and that names pipes.
    let (ours, theirs) = pipe2(OFlag::O_CLOEXEC)?;
    command.env_clear().process_group(0).stdout(theirs.try_clone()?).stderr(theirs);
    command.envs(xtables_lock::elsewhere());
    let mut child = command.spawn()?;
    running().push((group(&child), Instant::now()));
    // Its ends of the pipe are kept by the command, too.
    drop(command);
    let result =
        listen(ours.into(), until, most).and_then(|said| Ok((ended(&mut child, until)?, said)));
    let too_late =
        || io::Error::new(io::ErrorKind::TimedOut, format!("not done within {limit:?}, killed"));
    match result {
        Ok((Some(status), _)) if status.signal() == Some(libc::SIGKILL) => {
            Err(io::Error::new(io::ErrorKind::Interrupted, "killed before it was done"))
        }
        Ok((Some(status), said)) => Ok((status, said)),
        Ok((None, _)) => Err(too_late()),
        Err(e) if e.kind() == io::ErrorKind::TimedOut => Err(too_late()),
        Err(e) => {
            log::warn!("what a program says cannot be read: {e}");
            Err(io::Error::from_raw_os_error(libc::EBADMSG))
        }
    }
    .inspect_err(|_| end(&mut child))
}

/// Kills the programs that have run for so long; who waits for one is told so.
pub fn interrupt(longest: Duration) {
    for (group, _) in running().iter().filter(|(_, since)| since.elapsed() >= longest) {
        log::warn!("program {group} hangs, and is killed");
        // One that has ended just now is as good.
        let _ = killpg(Pid::from_raw(*group), Signal::SIGKILL);
    }
}

/// Until it has closed what it could still speak to.
fn listen(mut stream: File, until: Instant, most: usize) -> io::Result<String> {
    let mut said = Vec::new();
    let mut buffer = [0; 1024];
    loop {
        let left = until.saturating_duration_since(Instant::now()).as_millis();
        let left = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(stream.as_fd(), PollFlags::POLLIN)], left) {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Ok(_) => {}
            Err(Errno::EINTR) => continue,
            Err(e) => return Err(e.into()),
        }
        match stream.read(&mut buffer)? {
            0 => return Ok(String::from_utf8_lossy(&said).into_owned()),
            n => said.extend(buffer.iter().take(n.min(most.saturating_sub(said.len())))),
        }
        if Instant::now() >= until {
            return Err(io::ErrorKind::TimedOut.into());
        }
    }
}

/// How it ended; none: it has not by then. (Not every kernel of Android's has pidfd_open().)
fn ended(child: &mut Child, until: Instant) -> io::Result<Option<ExitStatus>> {
    let [mut pause, longest] = LOOKS;
    loop {
        {
            let mut running = running();
            if let Some(status) = child.try_wait()? {
                running.retain(|(one, _)| *one != group(child));
                return Ok(Some(status));
            }
        }
        if Instant::now() >= until {
            return Ok(None);
        }
        std::thread::sleep(pause);
        pause = longest.min(pause * 2);
    }
}

/// Ends one that has not ended, with all that it has started.
fn end(child: &mut Child) {
    let group = group(child);
    let there = running().iter().any(|(one, _)| *one == group);
    let killed = if there { killpg(Pid::from_raw(group), Signal::SIGKILL) } else { Ok(()) };
    let waited = killed.map_err(io::Error::from).and_then(|()| child.wait());
    running().retain(|(one, _)| *one != group);
    if let Err(e) = waited {
        log::warn!("a command that took too long cannot be ended: {e}");
    }
}

/// The number of its group, which is its own.
fn group(child: &Child) -> i32 {
    child.id() as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

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
    fn one_that_closes_its_outputs_and_stays_is_ended() {
        let begun = Instant::now();
        let silent = shell("exec >&- 2>&-; exec sleep 60");
        let error = run(silent, Duration::from_millis(50)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
        assert!(begun.elapsed() < Duration::from_secs(30));
        // One that only takes its time has that.
        let (status, _) = run(shell("exec >&- 2>&-; sleep 0.05; exit 3"), LIMIT).unwrap();
        assert_eq!(status.code(), Some(3));
    }

    #[test]
    fn what_it_has_started_goes_with_it() {
        let (ours, theirs) = nix::unistd::pipe().unwrap();
        let mut one = shell("sleep 60 & wait");
        one.stdin(theirs.try_clone().unwrap());
        drop(theirs);
        assert!(run(one, Duration::from_millis(50)).is_err());
        // The other end is closed when the last process has gone that had it.
        let mut gone = [PollFd::new(ours.as_fd(), PollFlags::POLLIN)];
        assert_eq!(poll(&mut gone, PollTimeout::from(10_000u16)), Ok(1));
    }

    #[test]
    fn one_that_is_killed_is_not_done() {
        let error = run(shell("kill -9 $$"), LIMIT).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Interrupted, "{error}");
    }
}
