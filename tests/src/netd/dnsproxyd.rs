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
//! netd's resolver at its socket, as far as libnetd_client's `resNetworkSend` sees it: what it reads and
//! writes has that form, and its failures are those that a client meets.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::poll::{poll, PollFd, PollFlags, PollTimeout};

use crate::resolver::{answer, Says};
use crate::uninterrupted;

/// As many bytes FrameworkListener reads at once. What does not end with them is refused.
const MOST: usize = 4096;
/// How.
const TOO_LARGE: &[u8] = b"500 Command too large for buffer\0";

/// What it does with a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Does {
    /// As a resolver.
    Answer(Says),
    /// It says why not: an errno.
    Fail(i32),
    /// It ends in the middle of its answer.
    Half,
    /// It hangs up.
    HangUp,
    /// Nothing.
    Nothing,
}

/// Until it is dropped.
#[derive(Debug)]
pub struct Dnsproxyd {
    path: PathBuf,
    does: Arc<Mutex<Does>>,
    asked: Arc<Mutex<Vec<u32>>>,
    // Closed to end the thread. Both are Some until then.
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl Dnsproxyd {
    /// Listens at this path.
    pub fn start(path: &Path) -> Self {
        let _ = std::fs::remove_file(path);
        let listener = UnixListener::bind(path).expect("dnsproxyd");
        let (stopped, stop) = UnixStream::pair().expect("a socket pair");
        let (does, asked) = (Arc::new(Mutex::new(Does::Answer(Says::All))), Arc::default());
        let (now, list) = (Arc::clone(&does), Arc::clone(&asked));
        let thread = thread::spawn(move || serve(&listener, &now, &list, &stopped));
        Self { path: path.to_owned(), does, asked, stop: Some(stop), thread: Some(thread) }
    }

    /// It does something else from now on.
    pub fn does(&self, does: Does) {
        *self.does.lock().expect("not poisoned") = does;
    }

    /// About which networks it was asked since this was asked last.
    pub fn asked(&self) -> Vec<u32> {
        std::mem::take(&mut *self.asked.lock().expect("not poisoned"))
    }
}

impl Drop for Dnsproxyd {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let _ = std::fs::remove_file(&self.path);
    }
}

fn serve(
    listener: &UnixListener,
    does: &Mutex<Does>,
    asked: &Mutex<Vec<u32>>,
    stopped: &UnixStream,
) {
    let mut hanging = Vec::new();
    loop {
        let fds = [listener.as_fd(), stopped.as_fd()];
        let mut fds = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        if poll(&mut fds, PollTimeout::NONE).is_err() {
            continue;
        }
        if fds[1].any().unwrap_or(true) {
            return;
        }
        let Ok((mut stream, _)) = listener.accept() else { continue };
        let does = *does.lock().expect("not poisoned");
        let note = |network| asked.lock().expect("not poisoned").push(network);
        talk(&mut stream, does, note).expect("a question as netd knows it");
        if does == Does::Nothing {
            hanging.push(stream);
        }
    }
}

/// Reads a command, notes the network that it is about, and does what it is to do.
fn talk(stream: &mut UnixStream, does: Does, note: impl FnOnce(u32)) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut command = vec![0; MOST];
    let count = uninterrupted(|| stream.read(&mut command))?;
    command.truncate(count);
    match command.last() {
        Some(0) => {}
        Some(_) => return stream.write_all(TOO_LARGE),
        None => return Err(io::ErrorKind::UnexpectedEof.into()),
    }
    let text = std::str::from_utf8(&command[..command.len() - 1]).map_err(io::Error::other)?;
    let ["resnsend", network, "0", query] = text.split(' ').collect::<Vec<_>>()[..] else {
        return Err(io::Error::other(format!("{text:?}")));
    };
    note(network.parse().map_err(io::Error::other)?);
    let query = from_base64(query).ok_or_else(|| io::Error::other(format!("{text:?}")))?;
    let whole = |says| {
        let message = answer(&query, says)?;
        let code = u32::from(message[3] & 0x0f).to_be_bytes();
        let length = u32::try_from(message.len()).ok()?.to_be_bytes();
        Some([&code, &length, &message[..]].concat())
    };
    match does {
        Does::Answer(says) => stream.write_all(&whole(says).unwrap_or_default())?,
        Does::Fail(errno) => stream.write_all(&(-errno).to_be_bytes())?,
        Does::Half => {
            let bytes = whole(Says::All).unwrap_or_default();
            stream.write_all(&bytes[..bytes.len() / 2])?;
        }
        Does::HangUp | Does::Nothing => {}
    }
    Ok(())
}

fn from_base64(text: &str) -> Option<Vec<u8>> {
    let value = |letter: u8| {
        Some(match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        })
    };
    let letters = text.as_bytes();
    let padding = letters.iter().rev().take_while(|letter| **letter == b'=').count();
    let mut bytes = Vec::new();
    for chunk in letters[..letters.len() - padding].chunks(4) {
        let bits =
            chunk.iter().try_fold(0_u32, |bits, one| Some(bits << 6 | u32::from(value(*one)?)))?;
        let bits = bits << (6 * (4 - chunk.len()));
        bytes.extend(&bits.to_be_bytes()[1..chunk.len()]);
    }
    (letters.len().is_multiple_of(4) && padding < 3).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_is_larger_than_its_buffer_is_refused() {
        let folder = tempfile::tempdir().expect("a directory");
        let path = folder.path().join("dnsproxyd");
        let netd = Dnsproxyd::start(&path);
        let refused = |command: &[u8]| {
            let mut stream = UnixStream::connect(&path).expect("connected");
            stream.write_all(command).expect("sent");
            let mut answer = [0; TOO_LARGE.len()];
            stream.read_exact(&mut answer).is_ok() && answer == TOO_LARGE
        };
        let begin = b"resnsend 100 0 ";
        let mut command = [&begin[..], &vec![b'A'; MOST - begin.len() - 1], &[0]].concat();
        assert!(!refused(&command));
        assert_eq!(netd.asked(), [100]);
        command.splice(MOST - 1.., *b"AAAA\0");
        assert!(refused(&command));
        assert!(netd.asked().is_empty());
    }
}
