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
//! Never with an inherited environment.

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::unistd::pipe2;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

/// Most of what a command says that is kept.
const SAID: usize = 4096;

/// Runs a command and takes what it says on either stream, for a limited time.
pub fn run(mut command: Command, limit: Duration) -> io::Result<(ExitStatus, String)> {
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
}
