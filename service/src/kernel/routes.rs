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

use super::netlink::Netlink;
use crate::error::KernelError;
use crate::plan::marks::ROUTE_PROTOCOL;
use crate::spec::Subnet;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
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

/// Routing table `main`.
pub const MAIN: u32 = RouteHeader::RT_TABLE_MAIN as u32;

/// Adds a route of ours to table main. With a `gateway`: by that next hop; else directly.
pub fn add(
    netlink: &Netlink,
    index: u32,
    destination: Option<Ipv4Addr>,
    gateway: Option<Ipv4Addr>,
) -> Result<(), KernelError> {
    let mut message = RouteMessage::default();
    message.header.address_family = AddressFamily::Inet;
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.protocol = RouteProtocol::from(ROUTE_PROTOCOL);
    message.header.kind = RouteType::Unicast;
    message.header.scope = if gateway.is_some() { RouteScope::Universe } else { RouteScope::Link };
    message.attributes = vec![RouteAttribute::Oif(index)];
    if let Some(destination) = destination {
        message.header.destination_prefix_length = 32;
        message.attributes.push(RouteAttribute::Destination(RouteAddress::Inet(destination)));
    }
    if let Some(gateway) = gateway {
        message.attributes.push(RouteAttribute::Gateway(RouteAddress::Inet(gateway)));
    }
    netlink.change(RouteNetlinkMessage::NewRoute(message), NLM_F_CREATE | NLM_F_EXCL)
}

/// The route by which a packet to `destination` leaves, as the kernel chooses it; none if it
/// would not. One object, no list.
pub fn towards(netlink: &Netlink, destination: Ipv4Addr) -> Result<Option<WayOut>, KernelError> {
    let mut message = RouteMessage::default();
    message.header.address_family = AddressFamily::Inet;
    message.header.destination_prefix_length = 32;
    message.attributes = vec![RouteAttribute::Destination(RouteAddress::Inet(destination))];
    let answer = match netlink.get(RouteNetlinkMessage::GetRoute(message)) {
        Ok(RouteNetlinkMessage::NewRoute(answer)) => answer,
        Ok(_) => return Ok(None),
        Err(e) if matches!(e.errno, libc::ENETUNREACH | libc::EHOSTUNREACH) => return Ok(None),
        Err(e) => return Err(e),
    };
    let mut way = WayOut { index: 0, gateway: None, source: None };
    for attribute in answer.attributes {
        match attribute {
            RouteAttribute::Oif(index) => way.index = index,
            RouteAttribute::Gateway(RouteAddress::Inet(gateway)) => way.gateway = Some(gateway),
            RouteAttribute::PrefSource(RouteAddress::Inet(source)) => way.source = Some(source),
            _ => {}
        }
    }
    Ok(Some(way))
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
    let found = match netlink.dump(RouteNetlinkMessage::GetRoute(message)) {
        // A filter for a table that does not exist yet (fib_dump_info: "FIB table does not exist").
        // Or the link went.
        Err(e) if e.errno == libc::ENOENT || e.errno == libc::ENODEV => Vec::new(),
        other => other?,
    };
    Ok(found
        .into_iter()
        .filter_map(|m| match m {
            RouteNetlinkMessage::NewRoute(message) => read(&message),
            _ => None,
        })
        .filter(|r| table.map_or(true, |t| r.table == t) && (index == 0 || r.index == index))
        .collect())
}

/// A route out of its message; none if it is not IPv4's.
pub fn read(message: &RouteMessage) -> Option<Route> {
    let mut destination = Ipv4Addr::UNSPECIFIED;
    let mut route = Route {
        destination: Subnet::containing(destination, 0)?,
        index: 0,
        gateway: None,
        table: message.header.table.into(),
        protocol: u8::from(message.header.protocol),
        priority: 0,
        unicast: message.header.kind == RouteType::Unicast,
    };
    if message.header.address_family != AddressFamily::Inet {
        return None;
    }
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(RouteAddress::Inet(address)) => destination = *address,
            RouteAttribute::Gateway(RouteAddress::Inet(address)) => route.gateway = Some(*address),
            RouteAttribute::Oif(index) => route.index = *index,
            RouteAttribute::MultiPath(hops) => {
                route.index = hops.first().map_or(0, |hop| hop.interface_index);
            }
            RouteAttribute::Table(table) => route.table = *table,
            RouteAttribute::Priority(priority) => route.priority = *priority,
            _ => {}
        }
    }
    route.destination = Subnet::containing(destination, message.header.destination_prefix_length)?;
    Some(route)
}
