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

pub mod claim;
pub mod handle;
pub mod initial;
pub mod reentry;
pub mod target;

use super::netlink::attr::{Request, Writer};
use super::netlink::Netlink;
use nix::sched::{setns, CloneFlags};
use nix::sys::ioctl::ioctl_num_type;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;

/// A file of the calling thread's network namespace: `udp` is /proc/net/udp. Not by /proc/thread-self,
/// where SELinux has no name for it: genfs contexts are of the path behind the first number
/// (selinux_genfs_get_sid()), and a core domain of Android's may not read what is just `proc`.
pub fn proc_net(file: &str) -> String {
    format!("/proc/{}/net/{file}", nix::unistd::gettid())
}

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

/// Whether the namespace of a socket has a number for another one: that is taken away before the links
/// of one that ends are deleted (cleanup_net()). What cannot be asked is taken as yes.
pub fn id_is_known(netlink: &Netlink, id: i32) -> bool {
    // linux/net_namespace.h; behind `struct rtgenmsg`, padded.
    const NETNSA_NSID: u16 = 1;
    let body = Writer::after(&[0; 4]).with(NETNSA_NSID, &id.to_ne_bytes());
    match netlink.get(&Request { kind: libc::RTM_GETNSID, body }, |_| Some(())) {
        Err(e) => e.errno != libc::ENOENT,
        Ok(()) => true,
    }
}

/// Why a descriptor is no network namespace; nothing if it is one.
pub fn refuse(file: BorrowedFd<'_>) -> Option<String> {
    const NSFS_MAGIC: i64 = 0x6e73_6673;
    // _IO(0xb7, 3), linux/nsfs.h
    const NS_GET_NSTYPE: ioctl_num_type = 0xb703;
    match nix::sys::statfs::fstatfs(file) {
        Err(e) => return Some(e.desc().into()),
        #[allow(clippy::unnecessary_cast)] // its width differs between targets
        Ok(fs) if fs.filesystem_type().0 as i64 != NSFS_MAGIC => {
            return Some("it is not a namespace".into());
        }
        Ok(_) => {}
    }
    // SAFETY: the descriptor is open, and NS_GET_NSTYPE takes no argument and returns a value.
    let kind = unsafe { libc::ioctl(file.as_raw_fd(), NS_GET_NSTYPE) };
    (kind != libc::CLONE_NEWNET).then(|| "it is a namespace of another kind".into())
}

/// The network namespace of guestnetd, to come back to.
#[derive(Debug)]
pub struct Home(File);

impl Home {
    /// That of the calling thread.
    pub fn here() -> io::Result<Self> {
        Ok(Self(File::open("/proc/thread-self/ns/net")?))
    }

    /// Which one it is.
    pub fn id(&self) -> io::Result<NetnsId> {
        NetnsId::of(&self.0)
    }

    /// Runs `work` in `netns` and comes back, all on the calling thread: another thread would cost
    /// more than everything done there. Nothing else runs on this thread meanwhile, and a thread
    /// that cannot come back ends the process, whose next start finds the guests as they are.
    pub fn inside<T>(
        &self,
        netns: BorrowedFd<'_>,
        work: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        setns(netns, CloneFlags::CLONE_NEWNET)?;
        let _back = Back(self);
        work()
    }
}

impl AsFd for Home {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

struct Back<'a>(&'a Home);

impl Drop for Back<'_> {
    fn drop(&mut self) {
        if let Err(e) = setns(&self.0 .0, CloneFlags::CLONE_NEWNET) {
            log::error!("a thread cannot leave a guest's network namespace ({e}): ending");
            crate::logging::finish();
            std::process::abort();
        }
    }
}
