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

//! RTM_*ROUTE messages, IPv4 only.

use super::netlink::attr::Request;
use super::netlink::message::{attributes, ipv4, u32_at};
use super::netlink::Netlink;
use crate::error::KernelError;
use crate::model::ownership::ROUTE_PROTOCOL;
pub use crate::model::policy_rules::MAIN;
use crate::spec::Subnet;
use rtnetlink::packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use std::net::Ipv4Addr;

/// A route as the kernel describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where to; prefix 0 is a default route.
    pub destination: Subnet,
    /// By which interface, the first where there are several; 0 where there is none.
    pub index: u32,
    /// Next hop.
    pub gateway: Option<Ipv4Addr>,
    /// Routing table.
    pub table: u32,
    /// `rtm_protocol`: who made it.
    pub protocol: u8,
    /// Metric.
    pub priority: u32,
    /// Whether it leads anywhere, as opposed to unreachable, blackhole and the like.
    pub unicast: bool,
}

/// Adds a route of ours: by a next hop, or to what is on the link.
pub fn add(
    netlink: &Netlink,
    index: u32,
    to: Subnet,
    via: Option<Ipv4Addr>,
    table: u32,
) -> Result<(), KernelError> {
    let scope = if via.is_some() { libc::RT_SCOPE_UNIVERSE } else { libc::RT_SCOPE_LINK };
    let message = whole(index, to, via, table, scope);
    netlink.change(libc::RTM_NEWROUTE, &message, NLM_F_CREATE | NLM_F_EXCL)
}

/// Removes it. With its interface, or its interface's last address, it went already; the kernel
/// does not take another protocol's for it (fib_table_delete()).
pub fn delete(
    netlink: &Netlink,
    index: u32,
    to: Subnet,
    via: Option<Ipv4Addr>,
    table: u32,
) -> Result<(), KernelError> {
    // RT_SCOPE_NOWHERE: whatever its scope is.
    let message = whole(index, to, via, table, libc::RT_SCOPE_NOWHERE);
    match netlink.change(libc::RTM_DELROUTE, &message, 0) {
        Err(e) if e.errno != libc::ESRCH && e.errno != libc::ENODEV => Err(e),
        _ => Ok(()),
    }
}

fn whole(index: u32, to: Subnet, via: Option<Ipv4Addr>, table: u32, scope: u8) -> Request {
    let to = Some(to).filter(|to| to.prefix() != 0);
    let message = ours(index, to, table, scope);
    match via {
        Some(via) => message.with(libc::RTA_GATEWAY, &via.octets()),
        None => message,
    }
}

/// Makes a default route of ours by an interface, in a table of ours.
pub fn add_default(netlink: &Netlink, index: u32, table: u32) -> Result<(), KernelError> {
    let message = ours(index, None, table, libc::RT_SCOPE_LINK);
    match netlink.change(libc::RTM_NEWROUTE, &message, NLM_F_CREATE) {
        Err(e) if e.errno != libc::EEXIST => Err(e),
        _ => Ok(()),
    }
}

/// Removes it; with its interface it went already.
pub fn delete_default(netlink: &Netlink, index: u32, table: u32) -> Result<(), KernelError> {
    let message = ours(index, None, table, libc::RT_SCOPE_LINK);
    match netlink.change(libc::RTM_DELROUTE, &message, 0) {
        Err(e) if e.errno != libc::ESRCH && e.errno != libc::ENODEV => Err(e),
        _ => Ok(()),
    }
}

/// A route of ours by this interface; to everywhere, or to a subnet.
fn ours(index: u32, to: Option<Subnet>, table: u32, scope: u8) -> Request {
    let (protocol, kind) = (ROUTE_PROTOCOL, libc::RTN_UNICAST);
    let prefix = to.map_or(0, |to| to.prefix());
    let message = about(prefix, protocol, scope, kind)
        .with_u32(libc::RTA_OIF, index)
        .with_u32(libc::RTA_TABLE, table);
    match to {
        Some(to) => message.with(libc::RTA_DST, &to.network().octets()),
        None => message,
    }
}

/// `struct rtmsg`: family, lengths of two prefixes, TOS, table, protocol, scope, type, flags. The table
/// has no room here when it is above 255, and is in its attribute.
fn about(to: u8, protocol: u8, scope: u8, kind: u8) -> Request {
    Request::new(&[libc::AF_INET as u8, to, 0, 0, 0, protocol, scope, kind, 0, 0, 0, 0])
}

/// The route by which a packet to `destination` leaves, as the kernel chooses it; none if it
/// would not. One object, no list.
pub fn towards(netlink: &Netlink, destination: Ipv4Addr) -> Result<Option<WayOut>, KernelError> {
    let message = about(32, 0, 0, 0).with(libc::RTA_DST, &destination.octets());
    found(netlink.get(libc::RTM_GETROUTE, &message, WayOut::read))
}

/// The route by which the kernel would pass on a packet that comes in by this interface; none if it
/// would not.
pub fn passing(
    netlink: &Netlink,
    index: u32,
    from: Ipv4Addr,
    to: Ipv4Addr,
) -> Result<Option<WayOut>, KernelError> {
    // `struct rtmsg` with the lengths of both addresses: inet_rtm_valid_getroute_req() insists on them.
    let message = Request::new(&[libc::AF_INET as u8, 32, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0])
        .with(libc::RTA_DST, &to.octets())
        .with(libc::RTA_SRC, &from.octets())
        .with_u32(libc::RTA_IIF, index);
    found(netlink.get(libc::RTM_GETROUTE, &message, WayOut::read))
}

fn found(answer: Result<WayOut, KernelError>) -> Result<Option<WayOut>, KernelError> {
    match answer {
        Ok(way) => Ok(Some(way)),
        Err(e) if matches!(e.errno, libc::ENETUNREACH | libc::EHOSTUNREACH) => Ok(None),
        Err(e) => Err(e),
    }
}

/// How a packet leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WayOut {
    /// By which interface.
    pub index: u32,
    /// Next hop; none when it is the destination itself.
    pub gateway: Option<Ipv4Addr>,
    /// The address that it leaves with.
    pub source: Option<Ipv4Addr>,
    /// Whether it does not leave at all: it is to the device itself.
    pub local: bool,
}

impl WayOut {
    fn read(body: &[u8]) -> Option<Self> {
        let all = attributes(body, RTMSG);
        let address = |kind| all.clone().find(kind).and_then(ipv4);
        Some(Self {
            index: u32_at(all.clone().find(libc::RTA_OIF)?, 0)?,
            gateway: address(libc::RTA_GATEWAY),
            source: address(libc::RTA_PREFSRC),
            local: *body.get(7)? == libc::RTN_LOCAL,
        })
    }
}

/// The routes of one table, or of all; by one interface, or by any (`index` 0).
pub fn of(netlink: &Netlink, table: Option<u32>, index: u32) -> Result<Vec<Route>, KernelError> {
    let mut message = about(0, 0, 0, 0);
    if index != 0 {
        message = message.with_u32(libc::RTA_OIF, index);
    }
    if let Some(table) = table {
        message = message.with_u32(libc::RTA_TABLE, table);
    }
    let found = match netlink.dump(libc::RTM_GETROUTE, &message, Route::read) {
        // A filter for a table that does not exist yet (fib_dump_info: "FIB table does not exist").
        // Or the link went.
        Err(e) if e.errno == libc::ENOENT || e.errno == libc::ENODEV => Vec::new(),
        other => other?,
    };
    let of_table = |r: &Route| table.is_none() || table == Some(r.table);
    let wanted = |r: &Route| of_table(r) && (index == 0 || r.index == index);
    Ok(found.into_iter().filter(wanted).collect())
}

/// Length of `struct rtmsg` (linux/rtnetlink.h).
const RTMSG: usize = 12;

impl Route {
    /// A route out of the body of a route message; none if it is not IPv4's.
    pub fn read(body: &[u8]) -> Option<Self> {
        let byte = |at: usize| body.get(at).copied();
        if i32::from(byte(0)?) != libc::AF_INET {
            return None;
        }
        let mut destination = Ipv4Addr::UNSPECIFIED;
        let mut route = Self {
            destination: Subnet::containing(destination, 0)?,
            index: 0,
            gateway: None,
            table: byte(4)?.into(),
            protocol: byte(5)?,
            priority: 0,
            unicast: byte(7)? == libc::RTN_UNICAST,
        };
        for (kind, value) in attributes(body, RTMSG) {
            match kind {
                libc::RTA_DST => destination = ipv4(value)?,
                libc::RTA_GATEWAY => route.gateway = ipv4(value),
                libc::RTA_OIF => route.index = u32_at(value, 0)?,
                // `struct rtnexthop`: the interface's index is behind 4 bytes of its own.
                libc::RTA_MULTIPATH => route.index = u32_at(value, 4)?,
                libc::RTA_TABLE => route.table = u32_at(value, 0)?,
                libc::RTA_PRIORITY => route.priority = u32_at(value, 0)?,
                _ => {}
            }
        }
        route.destination = Subnet::containing(destination, byte(1)?)?;
        Some(route)
    }
}
