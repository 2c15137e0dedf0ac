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

//! What is examined: a guest, or the device, as the daemon knows it; and the way into the guest.

use crate::daemon::Attached;
use crate::effects::firewall::diagnose::journey::Guest;
use crate::effects::firewall::iptables::Programs;
use crate::effects::kernel::link::{self, Link};
use crate::effects::kernel::netlink::Netlink;
use crate::effects::kernel::netns::{handle, reentry, Home};
use crate::error::Error;
use crate::model::table::TableId;
use crate::store::Store;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the kernel takes to let go of a namespace whose last process has ended, behind sockets that were
/// closed: a netlink socket's reference goes with a grace period of RCU.
const CLEARED: Duration = Duration::from_millis(60);

/// What the daemon knows.
pub(super) struct Known {
    pub(super) dropped: Option<u64>,
    pub(super) guest: Option<Attached>,
    /// The same as its packets are followed through filters.
    pub(super) journey: Option<Guest>,
    pub(super) store: Arc<Store>,
    /// What writes x_tables' rules, if that is how guests' rules are written.
    pub(super) programs: Option<Programs>,
    /// The interface that the subject leaves by, and the table of its routes.
    pub(super) way: Option<String>,
    /// The others that the kernel spreads its connections over, too.
    pub(super) also: Vec<String>,
    pub(super) table: TableId,
    pub(super) netd: bool,
    pub(super) resolver: Option<Ipv4Addr>,
    /// Whether guestnetd's forwarder asks that one.
    pub(super) forwarded: bool,
}

/// Whether a guest has not ended while sockets kept its namespace.
pub(super) fn is_still_there(
    netlink: &Netlink,
    home: &Home,
    guest: &Attached,
) -> Result<(), Error> {
    let began = Instant::now();
    while began.elapsed() < CLEARED {
        let there = link::by_index(netlink, guest.index);
        let alive = guest.netns.handle.as_ref().map(|known| handle::open(home.as_fd(), known));
        let ended = |e: &io::Error| e.raw_os_error() == Some(libc::ESTALE);
        if there.is_ok_and(|link| link.is_none())
            || alive.is_some_and(|a| a.is_err_and(|e| ended(&e)))
        {
            return Err(Error::GuestGone(guest.name().clone()));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// Does something in a guest's namespace, and is back. A VM has none.
pub(super) fn enter<T>(
    netlink: &Netlink,
    home: &Home,
    guest: &Attached,
    host_end: &Link,
    work: impl FnOnce() -> io::Result<T>,
) -> Result<T, Error> {
    if !guest.net.kind.has_inside() {
        return Err(Error::Unsupported("it is a VM's: nothing can be sent from its side".into()));
    }
    let id = match host_end.elsewhere {
        Some(id) if id < 0 => return Err(Error::GuestGone(guest.name().clone())),
        Some(id) => id,
        None => {
            let (guest, interface) = (guest.name().clone(), guest.net.guest.name.clone());
            return Err(Error::GuestInterfaceMoved { guest, interface });
        }
    };
    let way = reentry::behind(netlink, home, id, guest.netns.handle.as_ref())?;
    let entered = home.inside(way.as_fd(), work);
    entered.map_err(|e| Error::kernel("enter the guest's network namespace", e))
}
