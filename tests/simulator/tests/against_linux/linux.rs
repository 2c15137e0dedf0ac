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

//! Namespaces of the real kernel, made by threads that move into them, and sockets in them.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::thread;

/// A network namespace, and the sockets that speak for it.
pub struct Linux {
    pub file: File,
    route: OwnedFd,
    heard: OwnedFd,
}

/// A TAP device: its name, TUNSETIFF's flags, what else is asked of it.
#[derive(Clone, Debug)]
pub struct Tap {
    pub name: &'static str,
    pub flags: u16,
    pub owner: Option<u32>,
    pub header: Option<i32>,
}

fn check(result: i32) -> i32 {
    assert!(result >= 0, "{}", io::Error::last_os_error());
    result
}

fn socket(groups: &[u32]) -> OwnedFd {
    const SOL_NETLINK: i32 = 270;
    const ADD_MEMBERSHIP: i32 = 1;
    const GET_STRICT_CHK: i32 = 12;
    // SAFETY: socket() has no pointers; its descriptor is nobody else's; the addresses and options are
    // of the sizes that are said.
    unsafe {
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        let fd = check(libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_ROUTE));
        let fd = OwnedFd::from_raw_fd(fd);
        let mut own: libc::sockaddr_nl = std::mem::zeroed();
        own.nl_family = libc::AF_NETLINK as u16;
        let size = size_of::<libc::sockaddr_nl>() as u32;
        check(libc::bind(fd.as_raw_fd(), (&raw const own).cast(), size));
        let set = |level, option, value: u32| {
            let raw = (&raw const value).cast();
            check(libc::setsockopt(fd.as_raw_fd(), level, option, raw, 4));
        };
        set(SOL_NETLINK, GET_STRICT_CHK, 1);
        set(libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, 8 << 20);
        groups.iter().for_each(|group| set(SOL_NETLINK, ADD_MEMBERSHIP, *group));
        fd
    }
}

/// Runs in a namespace.
pub fn inside<T: Send>(file: &File, job: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let run = || {
            nix::sched::setns(file, nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
            job()
        };
        scope.spawn(run).join().unwrap()
    })
}

impl Linux {
    pub fn new(groups: &[u32]) -> Self {
        let make = || {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
            let file = File::open("/proc/thread-self/ns/net").unwrap();
            for which in ["all", "default"] {
                let path = format!("/proc/sys/net/ipv6/conf/{which}/disable_ipv6");
                let _ = std::fs::write(path, "1");
            }
            (file, socket(&[]), socket(groups))
        };
        let (file, route, heard) = thread::scope(|scope| scope.spawn(make).join().unwrap());
        Self { file, route, heard }
    }

    /// The answer to a request, up to its end.
    pub fn send(&self, datagram: &[u8]) -> Vec<Vec<u8>> {
        let fd = self.route.as_raw_fd();
        // SAFETY: the bytes are as many as are said.
        check(unsafe { libc::send(fd, datagram.as_ptr().cast(), datagram.len(), 0) } as i32);
        // All of it is there when send() returns, but for the rest of a dump, which comes with reading.
        std::iter::from_fn(|| receive(fd)).collect()
    }

    /// What was announced since the last time.
    pub fn take(&self) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| receive(self.heard.as_raw_fd())).collect()
    }

    /// Opens /dev/net/tun there, and asks for a device; what each request was answered with.
    pub fn tap(&self, tap: &Tap) -> (File, Vec<Result<(), i32>>) {
        inside(&self.file, || {
            let mut options = File::options();
            let file = options.read(true).write(true).open("/dev/net/tun").unwrap();
            let mut request = [0u8; 40];
            request[..tap.name.len()].copy_from_slice(tap.name.as_bytes());
            request[16..18].copy_from_slice(&tap.flags.to_ne_bytes());
            let ask = |number: u64, value: usize| {
                // SAFETY: what each of them reads is there, and as large as it is said to be (tuntap.rst).
                match unsafe { libc::ioctl(file.as_raw_fd(), number as _, value) } {
                    -1 => Err(errno(io::Error::last_os_error())),
                    _ => Ok(()),
                }
            };
            let mut answers = vec![ask(0x4004_54ca, request.as_mut_ptr() as usize)];
            answers.extend(tap.owner.map(|owner| ask(0x4004_54cc, owner as usize)));
            answers.extend(tap.header.map(|size| ask(0x4004_54d8, (&raw const size) as usize)));
            (file, answers)
        })
    }

    pub fn read(&self, path: &str) -> Result<String, i32> {
        inside(&self.file, || std::fs::read_to_string(path)).map_err(errno)
    }

    pub fn write(&self, path: &str, value: &str) -> Result<(), i32> {
        inside(&self.file, || std::fs::write(path, value)).map_err(errno)
    }
}

fn errno(e: io::Error) -> i32 {
    e.raw_os_error().unwrap_or(-1)
}

fn receive(fd: i32) -> Option<Vec<u8>> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        // SAFETY: the kernel writes no more than there is room for.
        let got = unsafe { libc::recv(fd, buffer.as_mut_ptr().cast(), buffer.len(), 0) };
        if got >= 0 {
            buffer.truncate(got as usize);
            return Some(buffer);
        }
        match io::Error::last_os_error() {
            e if e.kind() == io::ErrorKind::Interrupted => {}
            e if e.kind() == io::ErrorKind::WouldBlock => return None,
            e => panic!("{e}"),
        }
    }
}
