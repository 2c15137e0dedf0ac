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

//! Every way in which a call can fail, one variant for each cause. The message names the cause
//! and, where there is one, the remedy. The numbers of the contract are in `api/error_codes.rs`.

use crate::spec::{GuestName, IfName, SegmentName, SpecError, Subnet};
use std::io;
use std::net::Ipv4Addr;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration cannot be a guest's.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The target is not a guest's network namespace.
    #[error(transparent)]
    Target(TargetError),
    /// The name is taken.
    #[error("a guest named {0} is attached; detach it first or choose another name")]
    NameInUse(GuestName),
    /// The guest has an interface of that name.
    #[error("the guest has an interface {0} already; choose another interface name")]
    GuestInterfaceExists(IfName),
    /// The address is another guest's.
    #[error("{address} is the address of guest {guest}")]
    AddressInUse {
        /// The address asked for.
        address: Ipv4Addr,
        /// Who has it.
        guest: GuestName,
    },
    /// The subnet is in use on the device.
    #[error(
        "{subnet} overlaps {what}{}; choose a gateway in another subnet{}",
        of_guest(guest.as_ref()), for_example(*free)
    )]
    SubnetOverlap {
        /// The subnet asked for.
        subnet: Subnet,
        /// What it overlaps, with its interface.
        what: String,
        /// Whose subnet that is; none: the device's.
        guest: Option<GuestName>,
        /// The gateway of a subnet that is free.
        free: Option<Ipv4Addr>,
    },
    /// No such guest.
    #[error("no guest named {0} is attached")]
    NoSuchGuest(GuestName),
    /// Nothing is free.
    #[error("no free {0}; detach a guest first")]
    NoFreeSlot(&'static str),
    /// A user has as many guests as it may have.
    #[error("uid {uid} has {most} guests, as many as it may have; detach one first")]
    TooManyGuests {
        /// The user.
        uid: u32,
        /// How many that is.
        most: usize,
    },
    /// The host end's name is taken by somebody else.
    #[error(
        "the device has an interface {0} that belongs to no attached guest; rename or delete it"
    )]
    HostInterfaceExists(IfName),
    /// A listener too many.
    #[error("{0} listeners are registered, which is the most; unregister one")]
    TooManyListeners(usize),
    /// A step failed in the kernel.
    #[error("{step}: {cause}")]
    Kernel {
        /// What was done.
        step: String,
        /// errno and the kernel's own words.
        cause: KernelError,
    },
    /// The packet filter.
    #[error(transparent)]
    Firewall(#[from] FirewallError),
    /// IPv4 forwarding.
    #[error("IPv4 forwarding cannot be switched {switch} (net.ipv4.ip_forward): {cause}")]
    Forwarding {
        /// "on" or "off".
        switch: &'static str,
        /// errno text.
        cause: std::io::Error,
    },
    /// Read back and not found.
    #[error("set up, but when read back it lacked: {0}")]
    Verify(String),
    /// The store.
    #[error(
        "the state cannot be written to {path}: {cause}; make room or choose another --state-dir"
    )]
    Store {
        /// The file.
        path: String,
        /// errno text.
        cause: std::io::Error,
    },
    /// The store's directory.
    #[error(
        "the state cannot be kept in {path}: {cause}; mend that, or choose another --state-dir"
    )]
    StateDir {
        /// The directory.
        path: String,
        /// What is wrong with it.
        cause: std::io::Error,
    },
    /// What is stored cannot be read for now.
    #[error("{path} cannot be read: {cause}; nothing of the state was changed: start again")]
    StateUnreadable {
        /// The file.
        path: String,
        /// errno text.
        cause: std::io::Error,
    },
    /// Which boot this is cannot be read.
    #[error("the boot id cannot be read (/proc/sys/kernel/random/boot_id: {0}): without it what is stored may be of an earlier boot; nothing of it was changed: start again")]
    BootId(std::io::Error),
    /// Another guestnetd has the state.
    #[error(
        "another guestnetd uses {0}: stop it, or choose another --state-dir for another device"
    )]
    StateInUse(String),
    /// The guest has a way out already.
    #[error("the guest has a default route already{0}; remove it there, then try again")]
    GuestRouteExists(String),
    /// The interface that a guest is to leave by is not there.
    #[error("the device has no interface {0}: start the VPN first, or choose another VPN policy")]
    NoSuchTun(IfName),
    /// A live guest cannot change in this.
    #[error("{0} of an attached guest cannot change; detach it and attach it again")]
    FieldNotUpdatable(&'static str),
    /// It is being detached.
    #[error("guest {0} is being detached; attach it again when that is done")]
    GuestLeaving(GuestName),
    /// Another update has not ended.
    #[error("another update of guest {0} is running; try again when it is done")]
    UpdateRunning(GuestName),
    /// Its namespace ended.
    #[error("the network namespace of guest {0} ended meanwhile; nothing is left of it")]
    GuestGone(GuestName),
    /// Its end is not where it was put.
    #[error("the guest's {interface} is not where guestnetd put it; rename or move it back, or detach {guest} and attach it again")]
    GuestInterfaceMoved {
        /// The guest.
        guest: GuestName,
        /// Its interface, as it was attached.
        interface: IfName,
    },
    /// No descriptor is left.
    #[error(
        "no file descriptor is left ({0}): try again; if it stays so, raise guestnetd's RLIMIT_NOFILE"
    )]
    NoDescriptors(KernelError),
    /// It is attached already.
    #[error("this guest is attached already, as {guest}: guestnetctl detach {guest} first, or guestnetctl update {guest} to change it")]
    AttachedAlready {
        /// The name that it is attached under.
        guest: GuestName,
        /// What of it is in the way.
        found: Box<Error>,
    },
    /// The kernel has no such link kind.
    #[error("{step}: {cause}; the kernel needs CONFIG_VETH")]
    NoVeth {
        /// What was done.
        step: String,
        /// errno and the kernel's own words.
        cause: KernelError,
    },
    /// No TAP device can be made.
    #[error("{step}: {cause}; {}", for_a_tap(cause.errno))]
    NoTap {
        /// What was done.
        step: String,
        /// errno and the kernel's own words.
        cause: KernelError,
    },
    /// It cannot be, and it is not the caller alone who said so.
    #[error("{cause}; [guest.{guest}] of guestnetd's file says its {keys}")]
    OfSection {
        /// Why it cannot be.
        cause: Box<Error>,
        /// Whose section.
        guest: String,
        /// What that says, with commas.
        keys: String,
    },
    /// guestnetd's file is wrong.
    #[error("{0}; all is as it was before")]
    BadFile(String),
    /// The kernel has not what a segment is made of.
    #[error(
        "{step}: {cause}; the kernel needs CONFIG_BRIDGE, CONFIG_NET_SCH_INGRESS, CONFIG_NET_CLS_U32 and CONFIG_NET_ACT_MIRRED"
    )]
    NoSegments {
        /// What was done.
        step: String,
        /// errno and the kernel's own words.
        cause: KernelError,
    },
    /// A segment of others', to a user who sees its own guests only.
    #[error("segment {0} is another user's: choose another name")]
    SegmentInUse(SegmentName),
    /// Names on a segment that cannot be told apart there.
    #[error("{0}, which are made of their names: choose another name for one")]
    SegmentClash(String),
    /// Two links of one namespace on one segment.
    #[error(
        "guest {guest} is in this network namespace and on segment {segment} already: what a bridge over \
         both links passes on would circle; put this link on another segment"
    )]
    SegmentTwice {
        /// Which segment.
        segment: SegmentName,
        /// Who is on it.
        guest: GuestName,
    },
    /// This cannot be done with a guest of this kind.
    #[error("{0}")]
    Unsupported(String),
    /// Nobody answers.
    #[error("guestnetd is ending")]
    Ending,
    /// The call failed, and so did putting back what it had done.
    #[error("{first}; undoing it failed too: {then}")]
    Undo {
        /// Why the call failed.
        first: Box<Error>,
        /// Why the way back failed.
        then: String,
    },
}

/// Why a target is refused.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// pid 0 or less.
    #[error("{0} is not a valid pid: pass a pid of 1 or more, a pidfd or a netns descriptor")]
    BadPid(i32),
    /// No such process.
    #[error("no process {0}")]
    NoSuchProcess(i32),
    /// A pidfd that outlived its process.
    #[error("the pidfd's process has ended")]
    PidfdEnded,
    /// A kernel thread.
    #[error("pid {0} is a kernel thread, which is the machine's own: pass the guest's init")]
    KernelThread(i32),
    /// It ended meanwhile.
    #[error("process {0} ended during the call; nothing is left of it")]
    ProcessExited(i32),
    /// Not a network namespace.
    #[error("the descriptor is not a network namespace ({0}): open /proc/PID/ns/net or a file of `ip netns`")]
    NotANetns(String),
    /// Not a pidfd.
    #[error("the descriptor is not a pidfd ({0})")]
    NotAPidfd(String),
    /// The device itself.
    #[error("the target is in guestnetd's own network namespace: it is the device, not a guest; give the container its own (lxc.net.0.type = empty)")]
    OwnNetns,
    /// The machine's.
    #[error("the target is in the network namespace of the machine's init: it is the machine, not a guest; give the container its own (lxc.net.0.type = empty)")]
    InitialNetns,
    /// A guest of a kind that needs one, without a target.
    #[error("GuestTarget.kind NONE is for GuestKind.TAP only: name the guest's network namespace")]
    Missing,
    /// A target for a guest that has none.
    #[error("GuestKind.TAP has no target: pass GuestTarget.kind NONE")]
    Stray,
    /// No descriptor is left to look at it.
    #[error("no file descriptor is left ({0})")]
    NoDescriptors(KernelError),
    /// No access.
    #[error("the network namespace of process {pid} cannot be opened ({cause}): pass its netns descriptor instead")]
    NotAccessible {
        /// The process.
        pid: i32,
        /// errno text.
        cause: std::io::Error,
    },
}

/// Why the packet filter could not be programmed or read.
#[derive(Debug, thiserror::Error)]
pub enum FirewallError {
    /// It cannot be programmed or read here.
    #[error("{0}")]
    Unavailable(String),
    /// It can be programmed, but this process may not read it.
    #[error("{0}")]
    Unreadable(String),
    /// The kernel has the filter but no NAT.
    #[error("the kernel has no IPv4 NAT ({0}): enable CONFIG_NF_NAT and a masquerade target")]
    NoNat(String),
    /// A command failed.
    #[error("`{command}` failed: {cause}")]
    Command {
        /// The command line as it was run.
        command: String,
        /// Exit status and what it said.
        cause: String,
    },
    /// A command hangs, or waits for somebody who does.
    #[error("`{command}` hangs: {cause}; another holder of iptables's lock keeps it waiting, or the program itself is stuck")]
    Stuck {
        /// The command line as it was run.
        command: String,
        /// How long it had.
        cause: String,
    },
    /// nf_tables refused.
    #[error("nf_tables: {what}: {cause}")]
    Netlink {
        /// What was asked.
        what: String,
        /// errno and the kernel's own words.
        cause: String,
    },
    /// What was applied is not what is there.
    #[error("after it was applied, {0}")]
    Verify(String),
}

impl FirewallError {
    /// Whether a program hangs: one more would, too.
    pub fn is_stuck(&self) -> bool {
        matches!(self, Self::Stuck { .. })
    }
}

/// What the kernel said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelError {
    /// errno, positive.
    pub errno: i32,
    /// The extended acknowledgement's text, if the kernel gave one.
    pub text: Option<String>,
}

impl std::fmt::Display for KernelError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let errno = nix::errno::Errno::from_raw(self.errno);
        write!(f, "{errno:?}, {}", errno.desc())?;
        match &self.text {
            Some(text) => write!(f, " (kernel: {text})"),
            None => Ok(()),
        }
    }
}

impl From<std::io::Error> for KernelError {
    fn from(e: std::io::Error) -> Self {
        Self { errno: e.raw_os_error().unwrap_or(libc::EIO), text: None }
    }
}

fn of_guest(guest: Option<&GuestName>) -> String {
    guest.map_or_else(String::new, |guest| format!(" of guest {guest}"))
}

/// A gateway that can be asked for instead, as guestnetctl takes it.
fn for_example(free: Option<Ipv4Addr>) -> String {
    free.map_or_else(String::new, |gateway| format!(", for example --gateway {gateway}"))
}

/// What is to be done where no TAP device can be made.
fn for_a_tap(errno: i32) -> &'static str {
    match errno {
        libc::EACCES | libc::EPERM => "guestnetd has to be allowed to open it and to make devices",
        _ => "the kernel needs CONFIG_TUN",
    }
}

/// Whether descriptors have run out, of the process (EMFILE) or of the machine (ENFILE): it says nothing
/// of what was asked for.
pub fn is_exhausted(errno: i32) -> bool {
    matches!(errno, libc::EMFILE | libc::ENFILE)
}

impl From<TargetError> for Error {
    fn from(error: TargetError) -> Self {
        match error {
            TargetError::NoDescriptors(cause) => Self::NoDescriptors(cause),
            error => Self::Target(error),
        }
    }
}

impl Error {
    /// A kernel step that failed.
    pub fn kernel(step: impl Into<String>, cause: impl Into<KernelError>) -> Self {
        let cause = cause.into();
        match is_exhausted(cause.errno) {
            true => Self::NoDescriptors(cause),
            false => Self::Kernel { step: step.into(), cause },
        }
    }

    /// Whether netd was asked and did not answer.
    pub fn is_unanswered(&self) -> bool {
        match self {
            Self::Forwarding { cause, .. } => {
                matches!(cause.kind(), io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
            }
            Self::Undo { first, .. } => first.is_unanswered(),
            _ => false,
        }
    }

    /// errno of the kernel step that failed, if that is what happened.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Kernel { cause, .. }
            | Self::NoVeth { cause, .. }
            | Self::NoTap { cause, .. }
            | Self::NoSegments { cause, .. }
            | Self::NoDescriptors(cause) => Some(cause.errno),
            Self::Undo { first, .. } => first.errno(),
            _ => None,
        }
    }
}
