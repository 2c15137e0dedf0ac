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

//! What an event takes, done by the bench itself: by netlink, in the moment in which the kernel
//! announces it, without a look at anything else. What is left is the machine's.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::thread::{self, JoinHandle};

use guestnet_tests::netd::{table, NetdDevice, LOCAL_NETWORK};
use guestnet_tests::InNetns;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::socket::SockProtocol;

use super::kind::Kind;
use crate::error::{Error, Result};
use guestnet_tests::traffic::netlink::{attribute, u32_at, Message, Socket};

/// Length of `struct ifinfomsg`.
const LINK: usize = 16;
const FRA_PROTOCOL: u16 = 21;
const OURS: u8 = 103;
/// The guests' subnet, 172.17.0.0/16.
const GUESTS: Ipv4Addr = Ipv4Addr::new(172, 17, 0, 0);
/// `NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE`: without a tuple, all of a family.
const FORGET: u16 = 1 << 8 | 2;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fix {
    /// Nothing.
    Nothing,
    /// What was deleted is added again as it was.
    Again,
    /// The same of the address of this interface; with its last address an interface loses its routes
    /// of all tables, which is not announced.
    Address(u32),
    /// The rule that leads to the table of this interface leads to that of another wlan0.
    ToNew(u32),
    /// The rule that leads to wlan0's table leads to that of another interface, without its carrier.
    From(u32, u32),
}

impl Fix {
    /// Of an event.
    pub fn of(kind: Kind, device: &NetdDevice) -> Self {
        match kind {
            Kind::Rule | Kind::Route => Self::Again,
            Kind::Address => Self::Address(device.ifindex("vm_wlan")),
            Kind::Anew => Self::ToNew(device.ifindex("wlan0")),
            Kind::Cellular => Self::From(device.ifindex("wlan0"), device.ifindex("rmnet0")),
            _ => Self::Nothing,
        }
    }
}

/// Waits for one announcement and acts on it; it ends with [`Fixer::end`].
pub struct Fixer {
    stop: UnixStream,
    /// The netlink port that asks.
    pub port: u32,
    thread: JoinHandle<io::Result<()>>,
}

impl Fixer {
    /// Begins.
    pub fn start(device: &impl InNetns, fix: Fix) -> Result<Self> {
        let groups = [
            libc::RTNLGRP_LINK,
            libc::RTNLGRP_IPV4_IFADDR,
            libc::RTNLGRP_IPV4_ROUTE,
            libc::RTNLGRP_IPV4_RULE,
        ];
        let mut events = Socket::hearing(device, SockProtocol::NetlinkRoute, &groups)?;
        let orders = Socket::open(device, SockProtocol::NetlinkRoute)?;
        let conntrack = Socket::open(device, SockProtocol::NetlinkNetFilter)?;
        let port = orders.port()?;
        let (stopped, stop) = UnixStream::pair()?;
        let run = move || loop {
            let mut fds =
                [events.as_fd(), stopped.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
            poll(&mut fds, PollTimeout::NONE)?;
            let on_stop = fds[1].any().unwrap_or(true);
            while let Some(messages) = events.next()? {
                for message in messages {
                    if act(fix, &message, &orders, &conntrack)? {
                        return Ok(());
                    }
                }
            }
            if on_stop {
                return Ok(());
            }
        };
        Ok(Self { stop, port, thread: thread::spawn(run) })
    }

    /// Ends it.
    pub fn end(self) -> Result<()> {
        drop(self.stop);
        Ok(self.thread.join().map_err(|_| Error::new("a panic, told above"))??)
    }
}

/// Acts on the announcement that is waited for; whether it was that one.
fn act(fix: Fix, message: &Message<'_>, orders: &Socket, conntrack: &Socket) -> io::Result<bool> {
    const NEW: i32 = libc::NLM_F_REQUEST | libc::NLM_F_CREATE | libc::NLM_F_EXCL;
    let Message { kind, body, .. } = *message;
    let (old, new) = match (fix, kind) {
        (Fix::Again, _) if is_ours(message) => {
            // Its counterpart's number is one less.
            orders.send(kind - 1, NEW, body)?;
            return Ok(true);
        }
        (Fix::Address(index), libc::RTM_DELADDR) if u32_at(body, 4) == Some(index) => {
            orders.send(libc::RTM_NEWADDR, NEW, body)?;
            orders.send(libc::RTM_NEWROUTE, NEW, &route(index))?;
            return Ok(true);
        }
        (Fix::ToNew(old), libc::RTM_NEWLINK) if named(body, b"wlan0\0") => match index(body) {
            Some(new) if new != old => (old, new),
            _ => return Ok(false),
        },
        (Fix::From(old, new), libc::RTM_NEWLINK) if index(body) == Some(old) => {
            let flags = u32_at(body, 8).unwrap_or_default();
            if flags & libc::IFF_LOWER_UP as u32 != 0 {
                return Ok(false);
            }
            (old, new)
        }
        _ => return Ok(false),
    };
    orders.send(libc::RTM_NEWRULE, NEW, &rule(table(new)))?;
    orders.send(libc::RTM_DELRULE, libc::NLM_F_REQUEST, &rule(table(old)))?;
    conntrack.send(FORGET, libc::NLM_F_REQUEST, &[libc::AF_INET as u8, 0, 0, 0])?;
    Ok(true)
}

/// Whether it is something of guestnetd's that was deleted.
fn is_ours(message: &Message<'_>) -> bool {
    match message.kind {
        libc::RTM_DELRULE => attribute(message.body, 12, FRA_PROTOCOL) == Some(&[OURS]),
        // `rtm_protocol`.
        libc::RTM_DELROUTE => message.body.get(5) == Some(&OURS),
        _ => false,
    }
}

fn named(link: &[u8], name: &[u8]) -> bool {
    attribute(link, LINK, libc::IFLA_IFNAME) == Some(name)
}

fn index(link: &[u8]) -> Option<u32> {
    u32_at(link, 4)
}

/// `pref 21500 from 172.17.0.0/16 lookup TABLE proto 103`
fn rule(table: u32) -> Vec<u8> {
    const TO_TABLE: u8 = 1;
    const PRIORITY: u32 = 21500;
    const FRA_SRC: u16 = 2;
    const FRA_PRIORITY: u16 = 6;
    const FRA_TABLE: u16 = 15;
    // `struct fib_rule_hdr`.
    let mut body = vec![libc::AF_INET as u8, 0, 16, 0, 0, 0, 0, TO_TABLE, 0, 0, 0, 0];
    add(&mut body, FRA_SRC, &GUESTS.octets());
    add(&mut body, FRA_PRIORITY, &PRIORITY.to_ne_bytes());
    add(&mut body, FRA_TABLE, &table.to_ne_bytes());
    add(&mut body, FRA_PROTOCOL, &[OURS]);
    body
}

/// `172.17.0.0/16 dev INTERFACE table 97 proto 103 scope link`
fn route(interface: u32) -> Vec<u8> {
    let (table, scope, unicast) = (LOCAL_NETWORK as u8, libc::RT_SCOPE_LINK, libc::RTN_UNICAST);
    // `struct rtmsg`.
    let mut body = vec![libc::AF_INET as u8, 16, 0, 0, table, OURS, scope, unicast, 0, 0, 0, 0];
    add(&mut body, libc::RTA_DST, &GUESTS.octets());
    add(&mut body, libc::RTA_OIF, &interface.to_ne_bytes());
    body
}

/// Adds an attribute.
fn add(body: &mut Vec<u8>, kind: u16, value: &[u8]) {
    body.extend((4 + value.len() as u16).to_ne_bytes());
    body.extend(kind.to_ne_bytes());
    body.extend(value);
    body.resize(body.len().next_multiple_of(4), 0);
}
