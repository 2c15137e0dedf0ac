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

//! What the kernel announces: links, addresses, routes, forwarding. Reads and sorts; decides
//! nothing. A lost announcement is one too (`Event::Overrun`): whoever hears it reads anew.

use super::links::Link;
use super::routes;
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
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
        index: u32,
    },
    /// An IPv4 address came or went.
    Address {
        /// Index of its interface.
        index: u32,
    },
    /// An IPv4 route came or went.
    Route {
        /// Index of its interface; 0 where there is none.
        index: u32,
        /// Whether it is a default route.
        default: bool,
    },
    /// `net.ipv4.ip_forward` was written with another value.
    Forwarding {
        /// The value now.
        on: bool,
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
const RTNLGRP_IPV4_NETCONF: u32 = 24;
const RTNLGRP_NEXTHOP: u32 = 32;
const RTM_NEWNETCONF: u16 = 80;
const RTM_DELNETCONF: u16 = 81;
const RTM_NEWNEXTHOP: u16 = 104;
const RTM_DELNEXTHOP: u16 = 105;

impl Monitor {
    /// Joins the groups.
    pub fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind(&SocketAddr::new(0, 0))?;
        socket.set_non_blocking(true)?;
        socket.set_rx_buf_sz(RECEIVE_BUFFER)?;
        for group in [RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV4_NETCONF] {
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
fn sort(mut datagram: &[u8], events: &mut Vec<Event>) {
    while datagram.len() >= 16 {
        let length =
            u32::from_ne_bytes([datagram[0], datagram[1], datagram[2], datagram[3]]) as usize;
        let Some(message) = datagram.get(..length).filter(|m| m.len() >= 16) else {
            events.push(Event::Overrun);
            return;
        };
        match u16::from_ne_bytes([message[4], message[5]]) {
            RTM_NEWNETCONF => events.extend(netconf(&message[16..])),
            RTM_DELNETCONF => {} // an interface's switches go with it
            // Whatever went by it.
            RTM_NEWNEXTHOP | RTM_DELNEXTHOP => {
                events.push(Event::Route { index: 0, default: true })
            }
            _ => events.extend(event(message)),
        }
        datagram = datagram.get((length + 3) & !3..).unwrap_or_default();
    }
}

fn event(message: &[u8]) -> Option<Event> {
    use RouteNetlinkMessage::*;
    let Ok(message) = NetlinkMessage::<RouteNetlinkMessage>::deserialize(message) else {
        // Something that this parser does not know has happened: reading anew covers it.
        return Some(Event::Overrun);
    };
    let NetlinkPayload::InnerMessage(message) = message.payload else { return None };
    match message {
        // A bridge announces its ports too (AF_BRIDGE): there, "deleted" means that one left it.
        NewLink(link) | DelLink(link) if link.header.interface_family != AddressFamily::Unspec => {
            None
        }
        NewLink(link) => Some(Event::Link(Box::new(link.into()))),
        DelLink(link) => Some(Event::LinkGone { index: link.header.index }),
        NewAddress(a) | DelAddress(a) => Some(Event::Address { index: a.header.index }),
        NewRoute(route) | DelRoute(route) => {
            let route = routes::read(&route)?;
            let default = route.destination.prefix() == 0;
            Some(Event::Route { index: route.index, default })
        }
        _ => None,
    }
}

/// `struct netconfmsg` and its attributes (linux/netconf.h), which netlink-packet-route lacks.
fn netconf(body: &[u8]) -> Option<Event> {
    const NETCONFA_IFINDEX: u16 = 1;
    const NETCONFA_FORWARDING: u16 = 2;
    const NETCONFA_IFINDEX_ALL: i32 = -1;
    let (mut index, mut forwarding) = (None, None);
    let mut rest = body.get(4..)?;
    while let (Some(header), Some(value)) = (rest.get(..4), rest.get(4..8)) {
        let value = i32::from_ne_bytes(value.try_into().ok()?);
        match u16::from_ne_bytes([header[2], header[3]]) {
            NETCONFA_IFINDEX => index = Some(value),
            NETCONFA_FORWARDING => forwarding = Some(value),
            _ => {}
        }
        let length = usize::from(u16::from_ne_bytes([header[0], header[1]])).max(4);
        rest = rest.get((length + 3) & !3..).unwrap_or_default();
    }
    (index == Some(NETCONFA_IFINDEX_ALL)).then_some(Event::Forwarding { on: forwarding? != 0 })
}
