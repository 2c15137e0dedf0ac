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

//! What guests' rules tell of guests' packets: that one came, and nothing of it. nfnetlink_log, in a group of
//! guestnetd's own.

use super::netlink::attr::{Request, Writer};
use super::netlink::Netlink;
use rtnetlink::sys::Socket;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use tokio::io::unix::AsyncFd;
use tokio::io::Interest;

// linux/netfilter/nfnetlink_log.h
const NFULNL_MSG_CONFIG: u16 = 4 << 8 | 1;
const NFULA_CFG_CMD: u16 = 1;
const NFULA_CFG_MODE: u16 = 2;
const NFULA_CFG_QTHRESH: u16 = 5;
const NFULNL_CFG_CMD_BIND: u8 = 1;
const NFULNL_COPY_NONE: u8 = 0;

/// Rings when a packet is told of.
#[derive(Debug)]
pub struct Told(AsyncFd<Fd>);

#[derive(Debug)]
struct Fd(Socket);

impl AsRawFd for Fd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl Told {
    /// Listens to a group, in the network namespace of the calling thread, which must be inside a tokio runtime.
    pub fn open(group: u16) -> io::Result<Self> {
        let netlink = Netlink::open_netfilter()?;
        let changed = netlink.change(&bind(group), 0);
        changed
            .and_then(|()| netlink.change(&at_once(group), 0))
            .map_err(|e| io::Error::from_raw_os_error(e.errno))?;
        let fd = Fd(netlink.into_listener()?);
        // Android 16's tokio has no newer name for it.
        #[allow(deprecated)]
        AsyncFd::with_interest(fd, Interest::READABLE).map(Self)
    }

    /// Waits until something is told, and takes all that has been.
    pub async fn rings(&self) {
        let Ok(mut guard) = self.0.readable().await else { return };
        let mut buffer = Vec::with_capacity(4 << 10);
        loop {
            buffer.clear();
            match self.0.get_ref().0.recv_from(&mut buffer, 0) {
                // That some were lost is told as well as that they came.
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.raw_os_error() == Some(libc::ENOBUFS) => {}
                Err(_) => break,
            }
        }
        guard.clear_ready();
    }
}

/// `struct nfgenmsg` with the group.
fn config(group: u16) -> Writer {
    let [high, low] = group.to_be_bytes();
    Writer::after(&[libc::AF_UNSPEC as u8, 0, high, low])
}

fn bind(group: u16) -> Request {
    let body = config(group).with(NFULA_CFG_CMD, &[NFULNL_CFG_CMD_BIND]);
    Request { kind: NFULNL_MSG_CONFIG, body }
}

/// Each packet at once, and nothing of it: by default they come by the hundred, or after a second.
fn at_once(group: u16) -> Request {
    let body = config(group)
        .with(NFULA_CFG_MODE, &[0, 0, 0, 0, NFULNL_COPY_NONE, 0])
        .with(NFULA_CFG_QTHRESH, &1_u32.to_be_bytes());
    Request { kind: NFULNL_MSG_CONFIG, body }
}
