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

//! Network namespaces: which one a descriptor is, and a socket inside one.
//! Nothing of a guest's namespace is kept: a descriptor, and a mere socket in it, pin it.

use super::netlink::Netlink;
use nix::sched::{setns, CloneFlags};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;

/// What makes two descriptors the same namespace: st_dev and st_ino (namespaces(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NetnsId {
    dev: u64,
    ino: u64,
}

impl NetnsId {
    /// The namespace of a descriptor or path of `/proc/.../ns/net`.
    pub fn of(file: &File) -> io::Result<Self> {
        let meta = file.metadata()?;
        Ok(Self { dev: meta.dev(), ino: meta.ino() })
    }

    /// The namespace that a path leads to.
    pub fn at(path: &str) -> io::Result<Self> {
        let meta = std::fs::metadata(path)?;
        Ok(Self { dev: meta.dev(), ino: meta.ino() })
    }
}

/// Why a descriptor is no network namespace; nothing if it is one.
pub fn refuse(file: BorrowedFd<'_>) -> Option<String> {
    const NSFS_MAGIC: i64 = 0x6e73_6673;
    // _IO(0xb7, 3), linux/nsfs.h
    const NS_GET_NSTYPE: libc::Ioctl = 0xb703;
    match nix::sys::statfs::fstatfs(file) {
        Err(e) => return Some(e.desc().into()),
        #[allow(clippy::unnecessary_cast)] // its width differs between targets
        Ok(fs) if fs.filesystem_type().0 as i64 != NSFS_MAGIC => {
            return Some("it is no namespace".into());
        }
        Ok(_) => {}
    }
    // SAFETY: the descriptor is open, and NS_GET_NSTYPE takes no argument and returns a value.
    let kind = unsafe { libc::ioctl(file.as_raw_fd(), NS_GET_NSTYPE) };
    (kind != libc::CLONE_NEWNET).then(|| "it is a namespace of another kind".into())
}

/// Runs `work` on a thread of its own that has entered `netns`, and waits for it. The thread ends
/// with it, so that nothing else ever runs there.
pub fn inside<T: Send>(
    netns: BorrowedFd<'_>,
    work: impl FnOnce() -> io::Result<T> + Send,
) -> io::Result<T> {
    std::thread::scope(|scope| {
        let thread =
            std::thread::Builder::new().name("netns".into()).spawn_scoped(scope, || {
                setns(netns, CloneFlags::CLONE_NEWNET)?;
                work()
            })?;
        thread.join().unwrap_or_else(|_| Err(io::Error::from_raw_os_error(libc::EIO)))
    })
}

/// A netlink socket in `netns`, for the calling thread's runtime.
pub fn netlink_in(netns: impl AsFd) -> io::Result<Netlink> {
    let runtime = tokio::runtime::Handle::current();
    inside(netns.as_fd(), move || {
        let _inside = runtime.enter();
        Netlink::open()
    })
}
