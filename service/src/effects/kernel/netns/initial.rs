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

//! Whether a network namespace is that of the machine's init, or guestnetd's own, which are no guest's.
//!
//! Where `/proc/1/ns/net` may be read, by st_dev and st_ino. Its reading is a ptrace check, which
//! fails for a service that lacks one of init's capabilities. Naming a namespace by pid over
//! netlink is not: there, in a namespace that only guestnetd has, init's gets a number, and whoever
//! has that number is init's. Nothing of it is seen in the device.

use super::NetnsId;
use crate::effects::kernel::netlink::attr::{Request, Writer};
use crate::effects::kernel::netlink::message::{u32_at, Message};
use crate::effects::kernel::netlink::Netlink;
use crate::error::KernelError;
use nix::sched::{unshare, CloneFlags};
use std::fmt::Display;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

/// The namespace of the machine's init, and guestnetd's own.
#[derive(Debug)]
pub struct Initial {
    known: Known,
    /// The main thread's: no thread of guestnetd but the short-lived ones leaves it, and none for good.
    own: Option<NetnsId>,
}

#[derive(Debug)]
enum Known {
    ById(NetnsId),
    ByNumber(Mutex<Numbered>),
}

/// A socket in a namespace where init's has the number [`NUMBER`].
#[derive(Debug)]
enum Numbered {
    /// Being made: a namespace takes the kernel a millisecond, and nobody asks before a caller does.
    Soon(JoinHandle<Option<Netlink>>),
    There(Netlink),
    /// It cannot be told here.
    Not,
}

/// Any that is not negative.
const NUMBER: i32 = 1;

impl Initial {
    /// Finds a way to know it. Does not wait for it.
    pub fn find() -> Self {
        Self { known: Known::find(), own: NetnsId::at("/proc/self/ns/net").ok() }
    }

    /// Whether this is guestnetd's own.
    pub fn is_own(&self, id: NetnsId) -> bool {
        self.own.or_else(|| NetnsId::at("/proc/self/ns/net").ok()) == Some(id)
    }

    /// Whether this is it; not when that cannot be told.
    pub fn is(&self, netns: &File) -> bool {
        match &self.known {
            Known::ById(id) => NetnsId::of(netns).is_ok_and(|other| other == *id),
            Known::ByNumber(_) => self.has_number(NETNSA_FD, netns.as_raw_fd()),
        }
    }

    /// Whether a process is in it whose namespace cannot be opened.
    pub fn is_of(&self, pid: i32) -> bool {
        pid == 1 || self.has_number(NETNSA_PID, pid)
    }

    fn has_number(&self, kind: u16, named: i32) -> bool {
        let Known::ByNumber(numbered) = &self.known else { return false };
        let mut numbered = numbered.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(netlink) = numbered.netlink() else { return false };
        match netlink.get(&Request { kind: libc::RTM_GETNSID, body: named_by(kind, named) }, number)
        {
            Ok(number) => number == NUMBER,
            Err(e) => {
                log::warn!("a network namespace could not be compared with init's: {e}");
                false
            }
        }
    }
}

impl Known {
    fn find() -> Self {
        if let Ok(id) = NetnsId::at("/proc/1/ns/net") {
            return Self::ById(id);
        }
        let make = || numbered().map_err(|e| unknown(&e)).ok();
        let thread = std::thread::Builder::new().name("initial".into()).spawn(make);
        let numbered = thread.map(Numbered::Soon).unwrap_or_else(|e| {
            unknown(&e);
            Numbered::Not
        });
        Self::ByNumber(Mutex::new(numbered))
    }
}

impl Numbered {
    /// It, waited for if need be.
    fn netlink(&mut self) -> Option<&Netlink> {
        *self = match std::mem::replace(self, Self::Not) {
            Self::Soon(thread) => thread.join().ok().flatten().map_or(Self::Not, Self::There),
            known => known,
        };
        match self {
            Self::There(netlink) => Some(netlink),
            _ => None,
        }
    }
}

/// Makes it, in a namespace of the calling thread's own.
fn numbered() -> Result<Netlink, KernelError> {
    unshare(CloneFlags::CLONE_NEWNET).map_err(io::Error::from)?;
    let netlink = Netlink::open()?;
    let inits = named_by(NETNSA_PID, 1).with(NETNSA_NSID, &NUMBER.to_ne_bytes());
    netlink.change(&Request { kind: libc::RTM_NEWNSID, body: inits }, 0)?;
    Ok(netlink)
}

fn unknown(why: &dyn Display) {
    log::warn!("the network namespace of the machine's init cannot be told from others: {why}");
}

// linux/net_namespace.h
const NETNSA_NSID: u16 = 1;
const NETNSA_PID: u16 = 2;
const NETNSA_FD: u16 = 3;

/// `struct rtgenmsg`, padded, and what names a namespace.
fn named_by(kind: u16, named: i32) -> Writer {
    Writer::after(&[0; 4]).with(kind, &named.to_ne_bytes())
}

/// The number out of an answer: `struct rtgenmsg` and its attributes.
fn number(message: &Message<'_>) -> Option<i32> {
    const RTGENMSG: usize = 1;
    message.attributes(RTGENMSG).find(NETNSA_NSID).and_then(|v| u32_at(v, 0)).map(|n| n as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Init's namespace by its number, compared with what a readable link says (kthreadd's, which
    /// is init's, or init's own).
    #[test]
    fn init_is_known_by_its_number_too() {
        if !nix::unistd::geteuid().is_root() {
            return; // the namespace of its own needs root
        }
        let fresh = std::thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            File::open("/proc/thread-self/ns/net").unwrap()
        });
        let fresh = fresh.join().unwrap();
        let initial = Initial::find();
        if let Known::ByNumber(numbered) = &initial.known {
            assert!(numbered.lock().unwrap().netlink().is_some());
        }
        assert!(!initial.is(&fresh));
        assert!(!initial.is_own(NetnsId::of(&fresh).unwrap()));
        assert!(initial.is_own(NetnsId::at("/proc/self/ns/net").unwrap()));
        if let Ok(inits) = File::open("/proc/1/ns/net").or_else(|_| File::open("/proc/2/ns/net")) {
            assert!(initial.is(&inits));
        }
    }
}
