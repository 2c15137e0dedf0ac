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

use super::message::{attributes, ipv4, u32_at};
use super::netlink::Netlink;
use crate::error::KernelError;
use crate::plan::marks::ROUTE_PROTOCOL;
pub use crate::plan::routing::MAIN;
use crate::spec::Subnet;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::AddressFamily;
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

/// Adds a default route of ours to table main, by that next hop.
pub fn add_gateway(netlink: &Netlink, index: u32, gateway: Ipv4Addr) -> Result<(), KernelError> {
    let mut message = ours(index, MAIN, RouteScope::Universe);
    message.attributes.push(RouteAttribute::Gateway(RouteAddress::Inet(gateway)));
    netlink.change(libc::RTM_NEWROUTE, &message, NLM_F_CREATE | NLM_F_EXCL)
}

/// Adds a route of ours to what is reached directly.
pub fn add_direct(
    netlink: &Netlink,
    index: u32,
    to: Subnet,
    table: u32,
) -> Result<(), KernelError> {
    let mut message = ours(index, table, RouteScope::Link);
    message.header.destination_prefix_length = to.prefix();
    message.attributes.push(RouteAttribute::Destination(RouteAddress::Inet(to.network())));
    netlink.change(libc::RTM_NEWROUTE, &message, NLM_F_CREATE | NLM_F_EXCL)
}

/// Makes a default route of ours by an interface, in a table of ours.
pub fn add_default(netlink: &Netlink, index: u32, table: u32) -> Result<(), KernelError> {
    match netlink.change(libc::RTM_NEWROUTE, &ours(index, table, RouteScope::Link), NLM_F_CREATE) {
        Err(e) if e.errno != libc::EEXIST => Err(e),
        _ => Ok(()),
    }
}

/// Removes it; with its interface it went already.
pub fn delete_default(netlink: &Netlink, index: u32, table: u32) -> Result<(), KernelError> {
    let gone = netlink.change(libc::RTM_DELROUTE, &ours(index, table, RouteScope::Link), 0);
    match gone {
        Err(e) if e.errno != libc::ESRCH && e.errno != libc::ENODEV => Err(e),
        _ => Ok(()),
    }
}

fn ours(index: u32, table: u32, scope: RouteScope) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = AddressFamily::Inet;
    // A table above 255 has no room here, and is in its attribute.
    message.header.table = u8::try_from(table).unwrap_or(0);
    message.header.protocol = RouteProtocol::from(ROUTE_PROTOCOL);
    message.header.kind = RouteType::Unicast;
    message.header.scope = scope;
    message.attributes = vec![RouteAttribute::Oif(index), RouteAttribute::Table(table)];
    message
}

/// The route by which a packet to `destination` leaves, as the kernel chooses it; none if it
/// would not. One object, no list.
pub fn towards(netlink: &Netlink, destination: Ipv4Addr) -> Result<Option<WayOut>, KernelError> {
    let mut message = RouteMessage::default();
    message.header.address_family = AddressFamily::Inet;
    message.header.destination_prefix_length = 32;
    message.attributes = vec![RouteAttribute::Destination(RouteAddress::Inet(destination))];
    match netlink.get(libc::RTM_GETROUTE, &message, WayOut::read) {
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
}

impl WayOut {
    fn read(body: &[u8]) -> Option<Self> {
        let all = attributes(body, RTMSG);
        let address = |kind| all.clone().find(kind).and_then(ipv4);
        Some(Self {
            index: u32_at(all.clone().find(libc::RTA_OIF)?, 0)?,
            gateway: address(libc::RTA_GATEWAY),
            source: address(libc::RTA_PREFSRC),
        })
    }
}

/// The routes of one table, or of all; by one interface, or by any (`index` 0).
pub fn of(netlink: &Netlink, table: Option<u32>, index: u32) -> Result<Vec<Route>, KernelError> {
    let mut message = RouteMessage::default();
    message.header.address_family = AddressFamily::Inet;
    if index != 0 {
        message.attributes.push(RouteAttribute::Oif(index));
    }
    if let Some(table) = table {
        message.attributes.push(RouteAttribute::Table(table));
    }
    let found = match netlink.dump(libc::RTM_GETROUTE, &message, Route::read) {
        // A filter for a table that does not exist yet (fib_dump_info: "FIB table does not exist").
        // Or the link went.
        Err(e) if e.errno == libc::ENOENT || e.errno == libc::ENODEV => Vec::new(),
        other => other?,
    };
    let wanted =
        |r: &Route| table.map_or(true, |t| r.table == t) && (index == 0 || r.index == index);
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
