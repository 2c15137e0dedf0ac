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

//! Standard error, as the log writes to it: whoever reads it may stand still, and nobody here waits for
//! that. What it does not take at once is kept, up to a limit, for a thread that waits; what is beyond
//! is counted, and said when it goes on. Not on Android: logd is written to without waiting.

use nix::errno::Errno;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::signal::{SigSet, SigmaskHow};
use nix::sys::socket::{send, MsgFlags};
use std::collections::VecDeque;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What is kept at most, in bytes: a busy minute at the usual level.
const MOST: usize = 256 << 10;
/// How long the thread waits before it looks again.
const LOOK: PollTimeout = PollTimeout::MAX;

/// A log's end.
#[derive(Clone, Debug)]
pub(super) struct Stderr(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    sink: Sink,
    /// What is before a line of the log's own.
    mark: &'static str,
    kept: Mutex<Kept>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Kept {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    /// Records that were beyond the limit.
    lost: usize,
    /// Whether the thread is there.
    waited_for: bool,
}

/// How it is written to without waiting.
#[derive(Debug)]
enum Sink {
    /// A pipe or a terminal, opened once more: the flag that says so is the opening's, and others have
    /// the first one, too.
    Reopened(OwnedFd),
    /// A socket, as systemd gives one.
    Socket(OwnedFd),
    /// A file, which does not make anybody wait.
    File(OwnedFd),
    /// Something else: only the thread writes to it.
    Other(OwnedFd),
}

impl Sink {
    fn of(fd: OwnedFd) -> io::Result<Self> {
        let file = std::fs::File::from(fd.try_clone()?);
        let kind = file.metadata()?.file_type();
        if kind.is_socket() {
            return Ok(Self::Socket(fd));
        }
        if kind.is_file() {
            return Ok(Self::File(fd));
        }
        let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
        let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
        Ok(match OpenOptions::new().write(true).custom_flags(flags).open(path) {
            Ok(file) => Self::Reopened(file.into()),
            Err(_) => Self::Other(fd),
        })
    }

    fn fd(&self) -> &OwnedFd {
        let (Self::Reopened(fd) | Self::Socket(fd) | Self::File(fd) | Self::Other(fd)) = self;
        fd
    }

    /// As much as is taken at once.
    fn try_write(&self, bytes: &[u8]) -> usize {
        let written = match self {
            Self::Other(_) => Ok(0),
            Self::Socket(fd) => {
                let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
                send(fd.as_raw_fd(), bytes, flags)
            }
            Self::Reopened(fd) | Self::File(fd) => nix::unistd::write(fd, bytes),
        };
        match written {
            Ok(written) => written,
            Err(Errno::EAGAIN | Errno::EINTR) => 0,
            // Nobody reads it any more: as before, it is lost.
            Err(_) => bytes.len(),
        }
    }

    /// Some of it, however long that takes.
    fn write(&self, bytes: &[u8]) -> usize {
        if let Self::Other(fd) = self {
            return nix::unistd::write(fd, bytes).unwrap_or(bytes.len());
        }
        let mut ready = [PollFd::new(self.fd().as_fd(), PollFlags::POLLOUT)];
        let _ = poll(&mut ready, LOOK);
        self.try_write(bytes)
    }
}

impl Stderr {
    /// This process's; `mark` is before what the log says of itself.
    pub(super) fn open(mark: &'static str) -> io::Result<Self> {
        Self::to(io::stderr().as_fd().try_clone_to_owned()?, mark)
    }

    fn to(fd: OwnedFd, mark: &'static str) -> io::Result<Self> {
        let sink = Sink::of(fd)?;
        let shared = Shared { sink, mark, kept: Mutex::default(), changed: Condvar::new() };
        Ok(Self(Arc::new(shared)))
    }

    /// Waits until all is written, but not for long.
    pub(super) fn finish(&self, longest: Duration) {
        let until = Instant::now() + longest;
        let mut kept = self.0.lock();
        while kept.waited_for {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.0.changed.wait_timeout(kept, left);
            kept = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Writes a record, or keeps what is not taken.
    fn record(&self, bytes: &[u8]) {
        let mut kept = self.0.lock();
        let taken = if kept.waited_for { 0 } else { self.0.sink.try_write(bytes) };
        let Some(rest) = bytes.get(taken..).filter(|rest| !rest.is_empty()) else { return };
        if kept.bytes + rest.len() > MOST {
            kept.lost += 1;
            return;
        }
        kept.bytes += rest.len();
        kept.lines.push_back(rest.to_vec());
        if !kept.waited_for {
            kept.waited_for = wait_in_a_thread(&self.0);
        }
    }
}

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.record(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is to be written next; none when all is.
    fn next(&self) -> Option<Vec<u8>> {
        let mut kept = self.lock();
        if let Some(line) = kept.lines.pop_front() {
            kept.bytes -= line.len();
            return Some(line);
        }
        match std::mem::take(&mut kept.lost) {
            0 => {
                kept.waited_for = false;
                self.changed.notify_all();
                None
            }
            lost => {
                let text = "records of the log are lost: nobody read them";
                Some(format!("{}guestnetd: {lost} {text}\n", self.mark).into_bytes())
            }
        }
    }
}

/// Whether it could be started.
fn wait_in_a_thread(shared: &Arc<Shared>) -> bool {
    let shared = Arc::clone(shared);
    let work = move || {
        while let Some(line) = shared.next() {
            let mut written = 0;
            while let Some(rest) = line.get(written..).filter(|rest| !rest.is_empty()) {
                written += shared.sink.write(rest);
            }
        }
    };
    // Signals are the main thread's.
    let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_BLOCK);
    let spawned = std::thread::Builder::new().name("log".into()).spawn(work);
    if let Ok(before) = before {
        let _ = before.thread_set_mask();
    }
    spawned.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    /// A reader that stands still, and what becomes of much more than fits.
    fn stands_still(ours: OwnedFd, theirs: impl Read + Send + 'static) {
        let mut log = Stderr::to(ours, "<4>").unwrap();
        let line = [b"x".repeat(99), b"\n".to_vec()].concat();
        let begun = Instant::now();
        for _ in 0..20_000 {
            log.write_all(&line).unwrap();
        }
        assert!(begun.elapsed() < Duration::from_secs(2), "it waited: {:?}", begun.elapsed());
        assert!(log.0.lock().bytes <= MOST);
        log.finish(Duration::from_millis(10));
        // Then it reads on.
        let mut theirs = theirs;
        let reader = std::thread::spawn(move || {
            let mut text = String::new();
            theirs.read_to_string(&mut text).unwrap();
            text
        });
        log.finish(Duration::from_secs(20));
        log.write_all(b"the end\n").unwrap();
        drop(log);
        let text = reader.join().unwrap();
        let whole = text.lines().filter(|line| line.len() == 99).count();
        let lost =
            text.lines().find_map(|line| line.strip_prefix("<4>guestnetd: ")?.split(' ').next());
        let lost: usize = lost.expect("it says what is lost").parse().unwrap();
        assert_eq!(whole + lost, 20_000);
        assert!(text.ends_with("the end\n"));
    }

    #[test]
    fn nobody_waits_for_who_reads_a_pipe() {
        let (theirs, ours) = nix::unistd::pipe().unwrap();
        stands_still(ours, std::fs::File::from(theirs));
    }

    #[test]
    fn nobody_waits_for_who_reads_a_socket() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        stands_still(ours.into(), theirs);
    }

    #[test]
    fn a_file_is_written_to_at_once_and_where_its_end_is() {
        let path = std::env::temp_dir().join(format!("guestnetd-log-{}", std::process::id()));
        std::fs::write(&path, "before\n").unwrap();
        let file = OpenOptions::new().append(true).open(&path).unwrap();
        let mut log = Stderr::to(file.into(), "").unwrap();
        log.write_all(b"after\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "before\nafter\n");
        std::fs::remove_file(path).unwrap();
    }
}
