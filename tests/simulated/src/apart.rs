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

//! Something that is done in a process of its own, forked from this one, and what it says of it by a pipe. Never
//! knows what is done.

use crate::real;
use std::io::Read;
use std::os::fd::FromRawFd;
use std::time::{Duration, Instant};

/// Behind each thing that is said, and between its words.
const END: char = '\u{1e}';
const BETWEEN: char = '\u{1f}';

/// Where a process says what it has to say.
#[derive(Clone, Copy)]
pub struct Pipe(i32);

impl Pipe {
    /// Says something.
    pub fn say(self, words: &[&str]) {
        let mut text = words.join(&BETWEEN.to_string());
        text.push(END);
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            let (from, length) = (rest.as_ptr() as usize, rest.len());
            let done = real::raw(libc::SYS_write, self.0 as usize, from, length, 0, 0, 0);
            let Some(next) = usize::try_from(done).ok().and_then(|done| rest.get(done..)) else {
                return;
            };
            rest = next;
        }
    }
}

/// A process that was forked.
struct Child(i32);

impl Child {
    /// Forks one, which does something and ends.
    fn fork(work: impl FnOnce()) -> Self {
        // libc's own would take the places of threads for what is left of threads.
        let fork = libc::SIGCHLD as usize;
        let child = real::raw(libc::SYS_clone, fork, 0, 0, 0, 0, 0) as i32;
        if child == 0 {
            end_with_parent();
            work();
            end(0);
        }
        assert!(child > 0, "no process can be made");
        Self(child)
    }

    fn kill(&self) {
        // SAFETY: our own child, which was not waited for yet.
        unsafe { libc::kill(self.0, libc::SIGKILL) };
    }

    /// Its status, once it has ended.
    fn status(self) -> i32 {
        let mut status = 0;
        // SAFETY: our own child.
        unsafe { libc::waitpid(self.0, &mut status, 0) };
        status
    }
}

/// Ends this process as it is.
pub fn end(code: usize) -> ! {
    real::raw(libc::SYS_exit_group, code, 0, 0, 0, 0, 0);
    unreachable!("this process has ended");
}

/// Who starts us may be killed.
pub fn end_with_parent() {
    let (option, signal) = (libc::PR_SET_PDEATHSIG as usize, libc::SIGKILL as usize);
    real::raw(libc::SYS_prctl, option, signal, 0, 0, 0, 0);
}

/// What has come of a process.
pub struct Told {
    /// How it ended; none: it ran for ever, and was killed.
    pub status: Option<i32>,
    /// What it has said.
    pub said: Vec<Vec<String>>,
}

/// Does something in a process of its own, until its end; what takes longer in real time runs for ever.
pub fn apart(longest: Duration, work: impl FnOnce(Pipe)) -> Told {
    let mut ends = [0i32; 2];
    // SAFETY: there is room for two descriptors.
    assert_eq!(unsafe { libc::pipe(ends.as_mut_ptr()) }, 0);
    let child = Child::fork(|| {
        real::close(ends[0]);
        work(Pipe(ends[1]));
    });
    real::close(ends[1]);
    // SAFETY: the pipe is this process's own.
    let mut pipe = unsafe { std::fs::File::from_raw_fd(ends[0]) };
    let begun = Instant::now();
    let waits = |left: Duration| {
        let mut fds = [libc::pollfd { fd: ends[0], events: libc::POLLIN, revents: 0 }];
        // SAFETY: there is one.
        unsafe { libc::poll(fds.as_mut_ptr(), 1, left.as_millis() as i32) > 0 }
    };
    let (mut bytes, mut some, mut stuck) = (Vec::new(), [0; 4096], false);
    loop {
        if !waits(longest.saturating_sub(begun.elapsed())) {
            child.kill();
            stuck = true;
            break;
        }
        match pipe.read(&mut some) {
            Ok(0) => break,
            Ok(count) => bytes.extend(&some[..count]),
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    let status = child.status();
    let text = String::from_utf8_lossy(&bytes);
    let said = text.split_terminator(END);
    let said = said.map(|one| one.split(BETWEEN).map(str::to_owned).collect()).collect();
    Told { status: (!stuck).then_some(status), said }
}
