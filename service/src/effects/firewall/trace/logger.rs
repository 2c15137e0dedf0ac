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
//! x_tables' logger: who takes what it tells of traced packets. `net.netfilter.nf_log.2` names the one
//! for IPv4, as a rule the kernel's log. For a trace it is nfnetlink_log, whose group 0 is ours meanwhile.
//! What it was is kept in the state directory: the next start puts it back if this one is killed.

use super::gap;
use crate::effects::firewall::iptables::read;
use crate::effects::firewall::Family;
use crate::effects::kernel::netlink::attr::{Request, Writer};
use crate::effects::kernel::netlink::Netlink;
use crate::effects::kernel::sysctl;
use crate::model::trace::Gap;
use crate::store::Store;
use rtnetlink::sys::Socket;
use std::sync::Arc;

/// The one that tells by netlink.
const BY_NETLINK: &str = "nfnetlink_log";

// linux/netfilter/nfnetlink_log.h
const NFULNL_MSG_CONFIG: u16 = 4 << 8 | 1;
const NFULA_CFG_CMD: u16 = 1;
const NFULA_CFG_MODE: u16 = 2;
const NFULA_CFG_QTHRESH: u16 = 5;
const NFULNL_CFG_CMD_BIND: u8 = 1;
const NFULNL_COPY_PACKET: u8 = 2;
/// Bytes of a packet that are told: its headers.
const COPIED: u32 = 128;

/// The logger, until this is dropped.
pub struct Logger {
    socket: Socket,
    /// What it was, and where that is kept.
    was: Option<(String, Arc<Store>)>,
}

impl Logger {
    /// Takes it, unless somebody else listens.
    pub fn take(store: &Arc<Store>) -> Result<Self, Gap> {
        if read::has_target(Family::V4, "TRACE").is_err() {
            return Err(Gap::NotSupported("x_tables has no TRACE in this kernel".to_owned()));
        }
        let netlink = Netlink::open_netfilter().map_err(|e| gap("open a netlink socket", &e))?;
        let bound = netlink.change(&bind(), 0).and_then(|()| netlink.change(&in_full(), 0));
        bound.map_err(|e| {
            let e = std::io::Error::from_raw_os_error(e.errno);
            gap("listen to x_tables' traces (nfnetlink_log, group 0)", &e)
        })?;
        let socket = netlink.into_listener().map_err(|e| gap("listen to x_tables' traces", &e))?;
        let name = sysctl::logger().map_err(|e| gap("read net.netfilter.nf_log.2", &e))?;
        if name == BY_NETLINK {
            return Ok(Self { socket, was: None });
        }
        // Before it is changed: what is not known cannot be put back.
        if let Err(e) = store.put_logger(Some(&name)) {
            return Err(Gap::NotPermitted(e.to_string()));
        }
        let this = Self { socket, was: Some((name, Arc::clone(store))) };
        sysctl::set_logger(BY_NETLINK).map_err(|e| gap("write net.netfilter.nf_log.2", &e))?;
        Ok(this)
    }

    /// Tells of traced packets.
    pub fn socket(&self) -> &Socket {
        &self.socket
    }
}

impl Drop for Logger {
    fn drop(&mut self) {
        if let Some((name, store)) = self.was.take() {
            put_back(&store, Some(&name));
        }
    }
}

/// Puts back what it was; not if somebody has set another one meanwhile.
pub(super) fn put_back(store: &Store, was: Option<&str>) {
    let Some(was) = was else { return };
    if sysctl::logger().is_ok_and(|name| name == BY_NETLINK) {
        if let Err(e) = sysctl::set_logger(was) {
            log::warn!("net.netfilter.nf_log.2 was {was}, and cannot be put back: {e}");
            return;
        }
    }
    if let Err(e) = store.put_logger(None) {
        log::warn!("{e}");
    }
}

/// `struct nfgenmsg` with group 0.
fn config() -> Writer {
    Writer::after(&[libc::AF_UNSPEC as u8, 0, 0, 0])
}

fn bind() -> Request {
    let body = config().with(NFULA_CFG_CMD, &[NFULNL_CFG_CMD_BIND]);
    Request { kind: NFULNL_MSG_CONFIG, body }
}

/// Each packet with its headers, at once: by default they come by the hundred, or after a second.
fn in_full() -> Request {
    let [a, b, c, d] = COPIED.to_be_bytes();
    let body = config()
        .with(NFULA_CFG_MODE, &[a, b, c, d, NFULNL_COPY_PACKET, 0])
        .with(NFULA_CFG_QTHRESH, &1_u32.to_be_bytes());
    Request { kind: NFULNL_MSG_CONFIG, body }
}
