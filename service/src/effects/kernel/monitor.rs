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

//! What the kernel announces: links, addresses, routes, rules, forwarding. Reads and sorts; decides
//! nothing. A lost announcement is one too (`Event::Overrun`): whoever hears it reads anew.

use super::netlink::message::{index_at, u32_at, Message, Messages};
use super::netlink::trace;
use crate::effects::kernel::link::Link;
use crate::effects::kernel::route::Route;
use crate::model::if_index::IfIndex;
use crate::spec::{Family, IpPrefix};
use rtnetlink::sys::protocols::NETLINK_ROUTE;
use rtnetlink::sys::{Socket, SocketAddr};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use tokio::io::unix::AsyncFd;
use tokio::io::Interest;

/// One announcement.
#[derive(Clone, Debug)]
pub enum Event {
    /// A link is new or has changed.
    Link(Box<Link>),
    /// A link is gone.
    LinkGone {
        /// Its index.
        index: IfIndex,
    },
    /// An address came or went.
    Address {
        /// Index of its interface.
        index: IfIndex,
        /// Whether it went.
        gone: bool,
    },
    /// A route came or went.
    Route {
        /// Index of its interface, where it leads by one.
        index: Option<IfIndex>,
        /// Where it leads; prefix 0 is a default route.
        to: IpPrefix,
        /// Whether it went.
        gone: bool,
    },
    /// An IPv4 policy-routing rule came or went.
    Rule,
    /// `net.ipv4.ip_forward` was written with another value.
    Forwarding {
        /// The value now.
        on: bool,
    },
    /// `net.ipv4.conf.all.rp_filter` was written with another value.
    ReversePath,
    /// A setting of an interface's own was written with another value.
    Conf {
        /// Index of the interface.
        index: IfIndex,
        /// Whether it forwards; none where that was not written.
        forwarding: Option<bool>,
    },
    /// Announcements were lost.
    Overrun,
}

/// The socket, in the network namespace of the thread that opened it.
#[derive(Debug)]
pub struct Monitor {
    socket: Arc<Socket>,
    buffer: Vec<u8>,
}

/// Waits for announcements; whoever has the [`Monitor`] reads them.
#[derive(Debug)]
pub struct Bell(AsyncFd<Fd>);

#[derive(Debug)]
struct Fd(Arc<Socket>);

impl AsRawFd for Fd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl Bell {
    /// Waits until something is announced after the last time that this returned.
    pub async fn rings(&self) {
        if let Ok(mut guard) = self.0.readable().await {
            guard.clear_ready();
        }
    }
}

/// Room for what 1000 guests that come at once announce, in bytes. Above net.core.rmem_max the
/// kernel gives less, and says so by ENOBUFS later.
const RECEIVE_BUFFER: u32 = 4 << 20;

// linux/rtnetlink.h
const RTNLGRP_LINK: u32 = 1;
const RTNLGRP_IPV4_IFADDR: u32 = 5;
const RTNLGRP_IPV4_ROUTE: u32 = 7;
const RTNLGRP_IPV4_RULE: u32 = 8;
const RTNLGRP_IPV4_NETCONF: u32 = 24;
const RTNLGRP_NEXTHOP: u32 = 32;
const RTM_NEWNETCONF: u16 = 80;
const RTM_NEWNEXTHOP: u16 = 104;
const RTM_DELNEXTHOP: u16 = 105;

impl Monitor {
    /// Joins the groups.
    pub fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind(&SocketAddr::new(0, 0))?;
        socket.set_non_blocking(true)?;
        socket.set_rx_buf_sz(RECEIVE_BUFFER)?;
        for group in [
            RTNLGRP_LINK,
            RTNLGRP_IPV4_IFADDR,
            RTNLGRP_IPV4_ROUTE,
            RTNLGRP_IPV4_RULE,
            RTNLGRP_IPV4_NETCONF,
        ] {
            socket.add_membership(group)?;
        }
        // Since Linux 5.3: routes go with their nexthop object, unannounced themselves.
        let _ = socket.add_membership(RTNLGRP_NEXTHOP);
        Ok(Self { socket: Arc::new(socket), buffer: Vec::with_capacity(64 << 10) })
    }

    /// What rings when there is something to read. The calling thread must be inside a tokio
    /// runtime.
    pub fn bell(&self) -> io::Result<Bell> {
        let fd = Fd(Arc::clone(&self.socket));
        // Android 16's tokio has no newer name for it.
        #[allow(deprecated)]
        AsyncFd::with_interest(fd, Interest::READABLE).map(Bell)
    }

    /// Everything announced up to now. The kernel queues an announcement before it acknowledges
    /// the request that caused it, so whatever has been done is in here.
    pub fn drain(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            self.buffer.clear();
            match self.socket.recv_from(&mut self.buffer, 0) {
                Ok((_, sender)) if sender.port_number() == 0 => sort(&self.buffer, &mut events),
                Ok(_) => {} // not from the kernel
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return events,
                Err(e) => {
                    if e.raw_os_error() != Some(libc::ENOBUFS) {
                        log::warn!("reading the kernel's announcements: {e}");
                        return events;
                    }
                    events.push(Event::Overrun);
                }
            }
        }
    }
}

/// One datagram, which may hold several messages.
pub(crate) fn sort(datagram: &[u8], events: &mut Vec<Event>) {
    let mut messages = Messages(datagram);
    events.extend(messages.by_ref().filter_map(|message| event(&message)));
    if !messages.ended() {
        events.push(Event::Overrun);
    }
}

fn event(message: &Message<'_>) -> Option<Event> {
    trace::received(message);
    let body = message.body;
    let read = match message.kind {
        // A bridge announces its ports too (AF_BRIDGE): there, "deleted" means that one left it.
        libc::RTM_NEWLINK | libc::RTM_DELLINK if body.first() != Some(&0) => return None,
        libc::RTM_NEWLINK => Link::read(message).map(|link| Event::Link(Box::new(link))),
        libc::RTM_DELLINK => index_at(body, 4).map(|index| Event::LinkGone { index }),
        libc::RTM_NEWADDR | libc::RTM_DELADDR => {
            let gone = message.kind == libc::RTM_DELADDR;
            index_at(body, 4).map(|index| Event::Address { index, gone })
        }
        libc::RTM_NEWROUTE | libc::RTM_DELROUTE => Route::read(message).map(|route| {
            let gone = message.kind == libc::RTM_DELROUTE;
            Event::Route { index: route.index, to: route.destination, gone }
        }),
        libc::RTM_NEWRULE | libc::RTM_DELRULE => Some(Event::Rule),
        RTM_NEWNETCONF => return netconf(message),
        // Whatever went by it.
        RTM_NEWNEXTHOP | RTM_DELNEXTHOP => {
            let to = IpPrefix::everything(Family::V4);
            Some(Event::Route { index: None, to, gone: false })
        }
        // An interface's switches go with it (RTM_DELNETCONF).
        _ => return None,
    };
    // Something that is not understood has happened: reading anew covers it.
    Some(read.unwrap_or(Event::Overrun))
}

/// `struct netconfmsg` and its attributes (linux/netconf.h).
fn netconf(message: &Message<'_>) -> Option<Event> {
    const NETCONFMSG: usize = 1;
    const NETCONFA_IFINDEX: u16 = 1;
    const NETCONFA_FORWARDING: u16 = 2;
    const NETCONFA_RP_FILTER: u16 = 3;
    const NETCONFA_IFINDEX_ALL: i32 = -1;
    let all = message.attributes(NETCONFMSG);
    let value = |kind| all.clone().find(kind).and_then(|value| u32_at(value, 0));
    let forwarding = value(NETCONFA_FORWARDING).map(|value| value != 0);
    match value(NETCONFA_IFINDEX)? as i32 {
        NETCONFA_IFINDEX_ALL => match (forwarding, value(NETCONFA_RP_FILTER)) {
            (Some(on), _) => Some(Event::Forwarding { on }),
            (None, other) => other.map(|_| Event::ReversePath),
        },
        index => Some(Event::Conf { index: IfIndex::new(index)?, forwarding }),
    }
}
