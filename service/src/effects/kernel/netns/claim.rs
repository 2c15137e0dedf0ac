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

//! One guestnetd for a network namespace. Whatever socket and state a second one is given, it would
//! take the first one's rules, addresses and names for its own.
//!
//! The lock is an abstract socket's name: the kernel keeps those for each network namespace
//! (unix(7)), and gives one back with the last descriptor, so that a crash leaves none behind. Any user
//! can take a name: one that a stranger has is no guestnetd's, and keeps nobody from starting.

use nix::errno::Errno;
use nix::sys::socket::{
    bind, connect, getsockopt, listen, socket, sockopt::PeerCredentials, AddressFamily, Backlog,
    SockFlag, SockType, UnixAddr,
};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// The socket's name, behind the NUL that makes it abstract.
const NAME: &[u8] = b"android.system.guestnet";
/// How long one that was killed may take to be gone.
const PATIENCE: Duration = Duration::from_millis(500);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);

/// Why a network namespace cannot be claimed.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// Another guestnetd has it.
    #[error("another guestnetd{} runs in this network namespace: stop it, or start this one in the network namespace of another device", named(*.0))]
    Taken(Option<i32>),
    /// The kernel says no.
    #[error("this network namespace cannot be locked: {0}")]
    System(#[from] io::Error),
}

fn named(pid: Option<i32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" (pid {pid})"))
}

/// The calling thread's network namespace is this process's until this is dropped.
#[derive(Debug)]
pub struct Claim(#[allow(dead_code)] Option<OwnedFd>); // held, not used

impl Claim {
    /// Takes it, or says who has it.
    pub fn take() -> Result<Self, ClaimError> {
        take(NAME)
    }
}

fn take(name: &[u8]) -> Result<Claim, ClaimError> {
    let until = Instant::now() + PATIENCE;
    loop {
        let socket = stream()?;
        match bind(socket.as_raw_fd(), &address(name)?) {
            Ok(()) => {
                // Who connects is told by the kernel who listens. Nobody is accepted, so that the queue
                // has to hold all who ask.
                listen(&socket, Backlog::MAXCONN).map_err(system)?;
                return Ok(Claim(Some(socket)));
            }
            // One that was killed may not be gone yet.
            Err(Errno::EADDRINUSE) if Instant::now() < until => std::thread::sleep(LOOK),
            Err(Errno::EADDRINUSE) => break,
            Err(e) => return Err(system(e)),
        }
    }
    match holder(name)? {
        Holder::Guestnetd(pid) => Err(ClaimError::Taken(pid)),
        Holder::Stranger => {
            log::warn!(
                "a process other than guestnetd has taken the name that this network namespace is \
                 locked by: started without the lock"
            );
            Ok(Claim(None))
        }
    }
}

/// Who has the name.
#[derive(Debug)]
enum Holder {
    /// Root, or the user that we are; its pid where that can be seen from here.
    Guestnetd(Option<i32>),
    /// Another user, or somebody who does not listen.
    Stranger,
}

fn holder(name: &[u8]) -> Result<Holder, ClaimError> {
    let socket = stream()?;
    match connect(socket.as_raw_fd(), &address(name)?) {
        Ok(()) => {}
        // Its queue is full, and whose it is cannot be seen: anybody may take the name and fill it. A second guestnetd
        // meets the lock of the state's directory, too.
        Err(Errno::EAGAIN) => return Ok(Holder::Stranger),
        // It does not listen; or SELinux says no, which lets guestnetd connect to its own domain.
        Err(Errno::ECONNREFUSED | Errno::EACCES | Errno::EPERM) => return Ok(Holder::Stranger),
        Err(e) => return Err(system(e)),
    }
    let peer = getsockopt(&socket, PeerCredentials).map_err(system)?;
    let trusted = peer.uid() == 0 || peer.uid() == nix::unistd::geteuid().as_raw();
    Ok(match trusted {
        // 0 where it is in a pid namespace that is not below ours.
        true => Holder::Guestnetd(Some(peer.pid()).filter(|pid| *pid > 0)),
        false => Holder::Stranger,
    })
}

fn stream() -> Result<OwnedFd, ClaimError> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    socket(AddressFamily::Unix, SockType::Stream, flags, None).map_err(system)
}

fn address(name: &[u8]) -> Result<UnixAddr, ClaimError> {
    UnixAddr::new_abstract(name).map_err(system)
}

fn system(e: Errno) -> ClaimError {
    ClaimError::System(e.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sched::{unshare, CloneFlags};

    /// A name that no other test has: without root all are in one namespace.
    fn name(test: &str) -> Vec<u8> {
        format!("guestnetd-test-{test}-{}", std::process::id()).into_bytes()
    }

    #[test]
    fn a_second_one_is_told_who_has_it() {
        let name = name("second");
        let first = take(&name).unwrap();
        let refused = take(&name).unwrap_err().to_string();
        let pid = format!("another guestnetd (pid {})", std::process::id());
        assert!(refused.contains(&pid) && refused.contains("stop it"), "{refused}");
        drop(first);
        let again = take(&name).unwrap();
        assert!(again.0.is_some());
    }

    #[test]
    fn another_namespace_has_a_lock_of_its_own() {
        if !nix::unistd::geteuid().is_root() {
            return; // a network namespace of its own needs root
        }
        let name = name("elsewhere");
        let _first = take(&name).unwrap();
        let elsewhere = move || {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            take(&name).unwrap().0.is_some()
        };
        assert!(std::thread::spawn(elsewhere).join().unwrap());
    }

    #[test]
    fn a_strangers_socket_keeps_nobody_from_starting() {
        if !nix::unistd::geteuid().is_root() {
            return; // another user is needed
        }
        for (test, queue) in
            [("listens", Some(Backlog::MAXCONN)), ("full", Backlog::new(0).ok()), ("silent", None)]
        {
            let name = name(test);
            let taken = {
                let name = name.clone();
                std::thread::spawn(move || {
                    // Of this thread alone: glibc's setresuid() is of all (nptl(7)).
                    let other = 4242;
                    // SAFETY: takes numbers, and changes the calling thread's credentials alone.
                    let done = unsafe { libc::syscall(libc::SYS_setresuid, other, other, other) };
                    assert_eq!(done, 0);
                    let socket = stream().unwrap();
                    bind(socket.as_raw_fd(), &address(&name).unwrap()).unwrap();
                    queue.into_iter().for_each(|queue| listen(&socket, queue).unwrap());
                    let other = stream().unwrap();
                    if test == "full" {
                        connect(other.as_raw_fd(), &address(&name).unwrap()).unwrap();
                    }
                    (socket, other)
                })
            };
            let _theirs = taken.join().unwrap();
            assert!(take(&name).unwrap().0.is_none(), "{test}");
        }
    }
}
