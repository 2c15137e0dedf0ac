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

//! What this kernel and this process can do, asked once at start-up, so that what is missing is
//! named there and not by a guest that has no network.

use super::link::{self, End};
use super::netlink::Netlink;
use crate::error::{is_exhausted, KernelError};
use nix::sched::{unshare, CloneFlags};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;

/// Something that guestnetd cannot do without.
#[derive(Debug, thiserror::Error)]
pub enum Missing {
    /// A capability.
    #[error("guestnetd lacks {0}: start it as root, or give it NET_ADMIN, NET_RAW and SYS_ADMIN (init: `capabilities`, systemd: AmbientCapabilities=)")]
    Capability(String),
    /// Descriptors, at the start already.
    #[error("no file descriptor is left ({0}): raise RLIMIT_NOFILE (init: `rlimit nofile`, systemd: LimitNOFILE=), or the machine's fs.file-max")]
    Descriptors(KernelError),
    /// veth.
    #[error("the kernel has no veth ({0}): enable CONFIG_VETH or load the module veth")]
    Veth(KernelError),
    /// Network namespaces.
    #[error("the kernel has no network namespaces ({0}): enable CONFIG_NET_NS")]
    Netns(io::Error),
}

// linux/capability.h
const NEEDED: [(u32, &str); 3] =
    [(12, "CAP_NET_ADMIN"), (13, "CAP_NET_RAW"), (21, "CAP_SYS_ADMIN")];

/// Looks for all of it; the first thing missing is the answer.
pub fn probe() -> Result<(), Missing> {
    capabilities()?;
    veth()
}

fn capabilities() -> Result<(), Missing> {
    let status = match std::fs::read_to_string("/proc/thread-self/status") {
        Ok(status) => status,
        Err(e) if e.raw_os_error().is_some_and(is_exhausted) => {
            return Err(Missing::Descriptors(e.into()));
        }
        Err(_) => String::new(),
    };
    let effective = status
        .lines()
        .find_map(|line| u64::from_str_radix(line.strip_prefix("CapEff:")?.trim(), 16).ok())
        .unwrap_or(0);
    let missing: Vec<&str> =
        NEEDED.iter().filter(|(bit, _)| effective >> bit & 1 == 0).map(|(_, name)| *name).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Missing::Capability(missing.join(", ")))
}

/// Makes a pair in a namespace that only this thread has, and that goes with it.
fn veth() -> Result<(), Missing> {
    let probe = std::thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).map_err(|e| Missing::Netns(e.into()))?;
        let made = || -> Result<(), KernelError> {
            let here = File::open("/proc/thread-self/ns/net")?;
            let netlink = Netlink::open()?;
            let (host, guest) = (
                End { name: "a", mac: [2, 0, 0, 0, 0, 1], mtu: 1500 },
                End { name: "b", mac: [2, 0, 0, 0, 0, 2], mtu: 1500 },
            );
            link::create_veth(&netlink, &host, &guest, here.as_fd())
        };
        made().map_err(|cause| match is_exhausted(cause.errno) {
            true => Missing::Descriptors(cause),
            false => Missing::Veth(cause),
        })
    });
    probe.join().unwrap_or_else(|_| Err(Missing::Netns(io::Error::from_raw_os_error(libc::EIO))))
}
