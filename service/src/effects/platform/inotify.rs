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

//! inotify, waited for by the runtime. What is watched, and what follows, is for who opens it.

use nix::sys::inotify::{InitFlags, Inotify};
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use tokio::io::unix::AsyncFd;
use tokio::io::Interest;

/// What nix has is no `AsRawFd`, which tokio needs.
#[derive(Debug)]
pub(super) struct Fd(pub(super) Inotify);

impl AsRawFd for Fd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

/// One that watches nothing yet. The calling thread must be inside a tokio runtime.
pub(super) fn open() -> io::Result<AsyncFd<Fd>> {
    let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
    // Android 16's tokio has no newer name for it.
    #[allow(deprecated)]
    AsyncFd::with_interest(Fd(inotify), Interest::READABLE)
}
