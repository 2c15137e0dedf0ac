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

//! What the kernel announces while an event goes on, when, and who had it done.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::panic::resume_unwind;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::socket::SockProtocol;

use super::cpu::first;
use super::netlink::{attribute, u32_at, Message, Socket};
use crate::InNetns;

/// The groups that guestnetd hears, too.
const GROUPS: [u32; 5] = [
    libc::RTNLGRP_LINK,
    libc::RTNLGRP_IPV4_IFADDR,
    libc::RTNLGRP_IPV4_ROUTE,
    libc::RTNLGRP_IPV4_RULE,
    libc::RTNLGRP_IPV4_NETCONF,
];
const RTM_NEWNETCONF: u16 = 80;
const NETCONFA_FORWARDING: u16 = 2;
/// Of the guests' links on the device.
const LINKS: &[u8] = b"vm_wlan";

/// Who had something done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// guestnetd, which asked for it itself.
    Guestnetd,
    /// Nobody: what the kernel adds to what is guestnetd's, and the switch that netd turns for it.
    Follows,
    /// Everybody else.
    Others,
}

/// One announcement, when it was received.
pub type Announced = (Instant, Who);

/// A monitor in a device's namespace; it ends with [`Monitor::end`].
#[derive(Debug)]
pub struct Monitor {
    /// A byte is a mark, which is answered; closed, it ends the thread.
    control: UnixStream,
    thread: JoinHandle<io::Result<Heard>>,
}

/// What was announced.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// All of it.
    pub all: Vec<Announced>,
    /// How much had been announced at each mark.
    pub marks: Vec<usize>,
}

/// What tells guestnetd's doings from others'.
#[derive(Clone, Debug, Default)]
pub struct Ours {
    /// The netlink ports of guestnetd's sockets.
    pub ports: HashSet<u32>,
    /// The indexes of the guests' links.
    pub links: HashSet<u32>,
}

impl Monitor {
    /// Begins.
    pub fn start(device: &impl InNetns, ours: Ours) -> io::Result<Self> {
        let mut socket = Socket::hearing(device, SockProtocol::NetlinkRoute, &GROUPS)?;
        let (mut orders, control) = UnixStream::pair()?;
        let run = move || {
            first()?;
            let mut heard = Heard::default();
            loop {
                let mut fds =
                    [socket.as_fd(), orders.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
                poll(&mut fds, PollTimeout::NONE)?;
                let ordered = fds[1].any().unwrap_or(true);
                while let Some(messages) = socket.next()? {
                    let now = Instant::now();
                    heard.all.extend(messages.map(|message| (now, ours.who(&message))));
                }
                if ordered {
                    if orders.read(&mut [0])? == 0 {
                        return Ok(heard);
                    }
                    heard.marks.push(heard.all.len());
                    orders.write_all(&[0])?;
                }
            }
        };
        Ok(Self { control, thread: thread::spawn(run) })
    }

    /// Whatever has been announced up to now is before this mark.
    pub fn mark(&mut self) -> io::Result<()> {
        self.control.write_all(&[0])?;
        self.control.read_exact(&mut [0])
    }

    /// All that was announced.
    pub fn end(self) -> io::Result<Heard> {
        drop(self.control);
        self.thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    }
}

impl Ours {
    /// Of a guestnetd that runs, and these links.
    pub fn of(pid: i32, links: impl IntoIterator<Item = u32>) -> io::Result<Self> {
        let sockets = fs::read_dir(format!("/proc/{pid}/fd"))?.flatten();
        let sockets = sockets.filter_map(|entry| fs::read_link(entry.path()).ok());
        let inodes = sockets.filter_map(|target| {
            let target = target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned();
            Some(target)
        });
        let table = fs::read_to_string(format!("/proc/{pid}/net/netlink"))?;
        let ports = ports(&table, &inodes.collect());
        Ok(Self { ports, links: links.into_iter().collect() })
    }

    fn who(&self, message: &Message<'_>) -> Who {
        const LINK: usize = 16;
        const ADDRESS: usize = 8;
        const ROUTE: usize = 12;
        let Message { kind, port, body } = *message;
        if self.ports.contains(&port) {
            return Who::Guestnetd;
        }
        let index = match kind {
            libc::RTM_NEWLINK | libc::RTM_DELLINK => {
                let name = attribute(body, LINK, libc::IFLA_IFNAME).unwrap_or_default();
                return if name.starts_with(LINKS) { Who::Follows } else { Who::Others };
            }
            // Off is netd's first act; on is an answer to who asked for it.
            RTM_NEWNETCONF => {
                let on = attribute(body, 4, NETCONFA_FORWARDING).and_then(|value| u32_at(value, 0));
                return if on == Some(0) { Who::Others } else { Who::Follows };
            }
            libc::RTM_NEWADDR | libc::RTM_DELADDR => u32_at(body, ADDRESS - 4),
            libc::RTM_NEWROUTE | libc::RTM_DELROUTE => {
                attribute(body, ROUTE, libc::RTA_OIF).and_then(|value| u32_at(value, 0))
            }
            _ => None,
        };
        // The kernel's own, which it adds to an address: nobody's port asked for it.
        match port == 0 && index.is_some_and(|index| self.links.contains(&index)) {
            true => Who::Follows,
            false => Who::Others,
        }
    }
}

/// The ports of these sockets, by `/proc/net/netlink`.
fn ports(table: &str, inodes: &HashSet<String>) -> HashSet<u32> {
    let of_line = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (port, inode) = (words.get(2)?.parse().ok()?, words.last()?);
        // 0 is the kernel's own.
        (port != 0 && inodes.contains(*inode)).then_some(port)
    };
    table.lines().filter_map(of_line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode
00000000a1b2c3d4 0   0          00000000 0        0        0     2        0        3
00000000a1b2c3d5 0   4711       000404d1 0        0        0     2        0        9001
00000000a1b2c3d6 0   2990184230 00000000 0        0        0     2        0        9002
00000000a1b2c3d7 12  815        00000000 0        0        0     2        0        9003
";

    fn ours() -> Ours {
        let inodes = ["3", "9001", "9002"].map(str::to_owned).into();
        Ours { ports: ports(TABLE, &inodes), links: [70].into() }
    }

    #[test]
    fn ports_are_found_by_their_sockets() {
        assert_eq!(ours().ports, [4711, 2_990_184_230].into());
    }

    #[test]
    fn who_asked_is_told_by_port_and_by_what_it_is() {
        let route = |oif: u32| [&[0; 12][..], &[8, 0, 4, 0], &oif.to_ne_bytes()].concat();
        let address = |index: u32| [&[2, 16, 0, 0][..], &index.to_ne_bytes()].concat();
        let link = |name: &[u8]| [&[0; 16][..], &[12, 0, 3, 0], name].concat();
        let switch = |on: u32| [&[2, 0, 0, 0, 8, 0, 2, 0][..], &on.to_ne_bytes()].concat();
        for (kind, port, body, wanted) in [
            (libc::RTM_DELRULE, 4711, vec![0; 12], Who::Guestnetd),
            (libc::RTM_DELRULE, 99, vec![0; 12], Who::Others),
            (libc::RTM_DELADDR, 99, address(70), Who::Others),
            (libc::RTM_NEWADDR, 4711, address(70), Who::Guestnetd),
            (libc::RTM_NEWROUTE, 0, route(70), Who::Follows),
            (libc::RTM_NEWROUTE, 0, route(3), Who::Others),
            (libc::RTM_DELROUTE, 99, route(70), Who::Others),
            (libc::RTM_NEWLINK, 0, link(b"vm_wlan\0"), Who::Follows),
            (libc::RTM_NEWLINK, 0, link(b"wlan0\0\0\0"), Who::Others),
            (RTM_NEWNETCONF, 0, switch(0), Who::Others),
            (RTM_NEWNETCONF, 0, switch(1), Who::Follows),
        ] {
            let message = Message { kind, port, body: &body };
            assert_eq!(ours().who(&message), wanted, "{message:?}");
        }
    }
}
