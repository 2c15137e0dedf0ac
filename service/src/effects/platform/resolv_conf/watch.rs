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

//! Tells when the file of the device's resolvers has changed. It is replaced by another that takes its
//! name, most often, so that its directory is watched; where it is a symbolic link, also those that it
//! leads to, and those of the files behind stubs.

use super::BEHIND_STUBS;
use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::path::{Path, PathBuf};
use tokio::io::unix::AsyncFd;
use tokio::io::Interest;

/// More symbolic links than the kernel follows (path_resolution(7)).
const LINKS: usize = 40;

/// A watched file.
#[derive(Debug)]
pub struct Watch {
    path: PathBuf,
    inotify: AsyncFd<Fd>,
    /// The names, in whatever directory, that tell of a change.
    names: Vec<OsString>,
}

#[derive(Debug)]
struct Fd(Inotify);

impl AsRawFd for Fd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

impl Watch {
    /// Watches from now on. The calling thread must be inside a tokio runtime.
    pub fn begin(path: &Path) -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        // Android 16's tokio has no newer name for it.
        #[allow(deprecated)]
        let inotify = AsyncFd::with_interest(Fd(inotify), Interest::READABLE)?;
        let mut watch = Self { path: path.to_owned(), inotify, names: Vec::new() };
        watch.follow();
        Ok(watch)
    }

    /// Waits until the file may be another one, or has other lines.
    pub async fn changed(&mut self) {
        loop {
            // An error is of the runtime, which is about to end.
            let Ok(mut guard) = self.inotify.readable().await else {
                return std::future::pending().await;
            };
            guard.clear_ready();
            if self.reads_a_change() {
                self.follow();
                return;
            }
        }
    }

    fn reads_a_change(&self) -> bool {
        let mut changed = false;
        loop {
            match self.inotify.get_ref().0.read_events() {
                // Without a name: the directory itself has gone, or events were lost.
                Ok(events) => {
                    let other = |name: &OsString| !self.names.contains(name);
                    changed |= events.iter().any(|e| !e.name.as_ref().is_some_and(other));
                }
                Err(Errno::EINTR) => {}
                Err(_) => return changed,
            }
        }
    }

    /// Watches the directories of what the path leads to now. Again is fine: it is the same watch.
    fn follow(&mut self) {
        self.names.clear();
        let mut next = Some(self.path.clone());
        for _ in 0..LINKS {
            let Some(file) = next.take() else { break };
            self.watch(&file);
            next = std::fs::read_link(&file)
                .ok()
                .map(|to| file.parent().unwrap_or(Path::new("/")).join(to));
        }
        for file in BEHIND_STUBS {
            self.watch(Path::new(file));
        }
    }

    fn watch(&mut self, file: &Path) {
        let (Some(directory), Some(name)) = (file.parent(), file.file_name()) else { return };
        let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
        let what = AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_MOVE
            | AddWatchFlags::IN_ONLYDIR;
        match self.inotify.get_ref().0.add_watch(directory, what) {
            Ok(_) => self.names.push(name.to_owned()),
            Err(e) => log::debug!("{} is not watched: {e}", directory.display()),
        }
    }
}
