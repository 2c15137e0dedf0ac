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

//! RTM_*ROUTE messages.

use super::netlink::attr::Request;
use super::netlink::message::{index_at, Message};
use super::netlink::Netlink;
use super::nexthop;
use crate::error::KernelError;
use crate::model::if_index::IfIndex;
use crate::model::ownership::ROUTE_PROTOCOL;
use crate::model::table::TableId;
use crate::model::uplink::way::NextHop;
use crate::spec::{Family, IpPrefix};
use rtnetlink::packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteMessage, RouteScope, RouteType, RouteVia,
};
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::RouteNetlinkMessage::{DelRoute, GetRoute, NewRoute};
use std::cell::Cell;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::ControlFlow;

// linux/rtnetlink.h
const RTA_VIA: u16 = 18;
const RTA_IP_PROTO: u16 = 27;
const RTA_SPORT: u16 = 28;
const RTA_DPORT: u16 = 29;

/// A route as the kernel describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where to; prefix 0 is a default route.
    pub destination: IpPrefix,
    /// By which interface, the first where there are several; none where it leads nowhere.
    pub index: Option<IfIndex>,
    /// Next hop.
    pub gateway: Option<IpAddr>,
    /// Routing table.
    pub table: TableId,
    /// `rtm_protocol`: who made it.
    pub protocol: u8,
    /// Metric.
    pub priority: u32,
    /// Whether it leads anywhere, as opposed to unreachable, blackhole and the like.
    pub unicast: bool,
}

/// Adds a route of ours: by a next hop, or to what is on the link.
pub(in crate::effects) fn add(
    netlink: &Netlink,
    index: IfIndex,
    to: impl Into<IpPrefix>,
    via: Option<impl Into<IpAddr>>,
    table: TableId,
) -> Result<(), KernelError> {
    let scope = if via.is_some() { RouteScope::Universe } else { RouteScope::Link };
    let message = ours(index, to.into(), via.map(Into::into), table, scope);
    netlink.change(&NewRoute(message), NLM_F_CREATE | NLM_F_EXCL)
}

/// Removes it. With its interface, or its interface's last address, it went already; the kernel
/// does not take another protocol's for it (fib_table_delete()).
pub(in crate::effects) fn delete(
    netlink: &Netlink,
    index: IfIndex,
    to: impl Into<IpPrefix>,
    via: Option<impl Into<IpAddr>>,
    table: TableId,
) -> Result<(), KernelError> {
    // RT_SCOPE_NOWHERE: whatever its scope is.
    let message = ours(index, to.into(), via.map(Into::into), table, RouteScope::NoWhere);
    match netlink.change(&DelRoute(message), 0) {
        Err(e) if e.errno != libc::ESRCH && e.errno != libc::ENODEV => Err(e),
        _ => Ok(()),
    }
}

/// Makes a default route of ours by an interface, in a table of ours.
pub(in crate::effects) fn add_default(
    netlink: &Netlink,
    family: Family,
    index: IfIndex,
    table: TableId,
) -> Result<(), KernelError> {
    let message = ours(index, IpPrefix::everything(family), None, table, RouteScope::Link);
    match netlink.change(&NewRoute(message), NLM_F_CREATE) {
        Err(e) if e.errno != libc::EEXIST => Err(e),
        _ => Ok(()),
    }
}

/// Removes it; with its interface it went already.
pub(in crate::effects) fn delete_default(
    netlink: &Netlink,
    family: Family,
    index: IfIndex,
    table: TableId,
) -> Result<(), KernelError> {
    delete(netlink, index, IpPrefix::everything(family), None::<IpAddr>, table)
}

/// A route of ours by this interface.
fn ours(
    index: IfIndex,
    to: IpPrefix,
    via: Option<IpAddr>,
    table: TableId,
    scope: RouteScope,
) -> RouteMessage {
    let mut message = about(to.family(), to.prefix(), 0);
    message.header.protocol = ROUTE_PROTOCOL.into();
    message.header.scope = scope;
    message.header.kind = RouteType::Unicast;
    // The header has no room for a table above 255.
    message.attributes = vec![RouteAttribute::Oif(index.get()), RouteAttribute::Table(table.0)];
    if to.prefix() != 0 {
        message.attributes.push(RouteAttribute::Destination(to.network().into()));
    }
    message.attributes.extend(via.map(|via| RouteAttribute::Gateway(via.into())));
    message
}

/// With the lengths of two prefixes.
fn about(family: Family, to: u8, from: u8) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = family.into();
    message.header.destination_prefix_length = to;
    message.header.source_prefix_length = from;
    message
}

/// The route by which a packet to `destination` leaves, as the kernel chooses it; none if it
/// would not. One object, no list.
pub fn towards(
    netlink: &Netlink,
    destination: impl Into<IpAddr>,
) -> Result<Option<WayOut>, KernelError> {
    found(asked(netlink, destination))
}

/// The same, with the error number that it is refused with.
pub fn asked(netlink: &Netlink, destination: impl Into<IpAddr>) -> Result<WayOut, KernelError> {
    netlink.get(&GetRoute(question(None, destination.into())), WayOut::read)
}

/// What the kernel would do with a packet of the device's own, from an address that it has. Both
/// addresses are of one family.
pub fn sending(
    netlink: &Netlink,
    from: impl Into<IpAddr>,
    to: impl Into<IpAddr>,
) -> Result<Decision, KernelError> {
    let question = question(Some(from.into()), to.into());
    decision(netlink.get(&GetRoute(question), WayOut::read))
}

/// What the kernel would do with a packet that comes in by this interface. Both addresses are of one
/// family.
pub fn passing(
    netlink: &Netlink,
    index: IfIndex,
    from: impl Into<IpAddr>,
    to: impl Into<IpAddr>,
) -> Result<Decision, KernelError> {
    let mut question = question(Some(from.into()), to.into());
    question.attributes.push(RouteAttribute::Iif(index.get()));
    decision(netlink.get(&GetRoute(question), WayOut::read))
}

/// What a packet is beside its addresses: rules may ask for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sort {
    /// Its mark.
    pub mark: u32,
    /// Its ports.
    pub transport: Option<Transport>,
}

/// A packet's ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transport {
    /// IPPROTO_TCP or IPPROTO_UDP, or IPPROTO_ICMP, whose ports are 0.
    pub protocol: u8,
    /// The port that it comes from.
    pub from: u16,
    /// The port that it goes to.
    pub to: u16,
}

/// As [`passing`], of a packet of this sort.
pub fn passing_as(
    netlink: &Netlink,
    index: IfIndex,
    (from, to): (Ipv4Addr, Ipv4Addr),
    sort: Sort,
) -> Result<Decision, KernelError> {
    let mut question = question(Some(from.into()), to.into());
    question.attributes.push(RouteAttribute::Iif(index.get()));
    if sort.mark != 0 {
        question.attributes.push(RouteAttribute::Mark(sort.mark));
    }
    let answer = match sort.transport {
        None => netlink.get(&GetRoute(question), WayOut::read),
        Some(transport) => netlink.get(&with_ports(question, transport), WayOut::read),
    };
    decision(answer)
}

/// As [`sending`], of a packet with these ports.
pub fn sending_as(
    netlink: &Netlink,
    (from, to): (Ipv4Addr, Ipv4Addr),
    transport: Transport,
) -> Result<Decision, KernelError> {
    let question = question(Some(from.into()), to.into());
    decision(netlink.get(&with_ports(question, transport), WayOut::read))
}

fn with_ports(question: RouteMessage, Transport { protocol, from, to }: Transport) -> Request {
    Request::beyond(&GetRoute(question), |own| {
        own.with(RTA_IP_PROTO, &[protocol])
            .with(RTA_SPORT, &from.to_be_bytes())
            .with(RTA_DPORT, &to.to_be_bytes())
    })
}

/// Asks for the way of one packet. With the lengths of both addresses: inet_rtm_valid_getroute_req()
/// insists on them.
fn question(from: Option<IpAddr>, to: IpAddr) -> RouteMessage {
    let bits = Family::of(to).bits();
    let mut message = about(Family::of(to), bits, if from.is_some() { bits } else { 0 });
    if to.is_ipv4() {
        // Else the answer says table main whatever the table (inet_rtm_getroute()); IPv6 needs none,
        // and refuses it.
        message.header.flags = RouteFlags::LookupTable;
    }
    message.attributes = vec![RouteAttribute::Destination(to.into())];
    message.attributes.extend(from.map(|from| RouteAttribute::Source(from.into())));
    message
}

/// What the kernel does with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It sends it on, or takes it.
    Takes(WayOut),
    /// It has no route for it, or one that is unreachable; or does not forward what comes in there.
    Unreachable,
    /// A rule or a route prohibits it.
    Prohibited,
    /// It drops it: the source may not come in there (fib_validate_source(): the reverse-path filter),
    /// or the route is a blackhole.
    Dropped,
}

impl Decision {
    /// The way that it takes.
    pub fn way(self) -> Option<WayOut> {
        match self {
            Self::Takes(way) => Some(way),
            Self::Unreachable | Self::Prohibited | Self::Dropped => None,
        }
    }
}

fn decision(answer: Result<WayOut, KernelError>) -> Result<Decision, KernelError> {
    match answer {
        Ok(way) => Ok(Decision::Takes(way)),
        Err(e) => match e.errno {
            libc::ENETUNREACH | libc::EHOSTUNREACH => Ok(Decision::Unreachable),
            libc::EACCES => Ok(Decision::Prohibited),
            libc::EINVAL | libc::EXDEV => Ok(Decision::Dropped),
            _ => Err(e),
        },
    }
}

/// The route of a packet with this mark: of one that comes in by an interface from an address, or of
/// one of the device's own; none if it would go nowhere. As netfilter asks, and as it routes what it
/// has marked.
pub fn marked(
    netlink: &Netlink,
    from: Option<(IfIndex, Ipv4Addr)>,
    to: Ipv4Addr,
    mark: u32,
) -> Result<Option<WayOut>, KernelError> {
    let bits = Family::V4.bits();
    let mut message = about(Family::V4, bits, if from.is_some() { bits } else { 0 });
    message.attributes = vec![RouteAttribute::Destination(IpAddr::from(to).into())];
    if let Some((index, source)) = from {
        message.attributes.push(RouteAttribute::Source(IpAddr::from(source).into()));
        message.attributes.push(RouteAttribute::Iif(index.get()));
    }
    message.attributes.push(RouteAttribute::Mark(mark));
    found(netlink.get(&GetRoute(message), WayOut::read))
}

fn found<T>(answer: Result<T, KernelError>) -> Result<Option<T>, KernelError> {
    match answer {
        Ok(way) => Ok(Some(way)),
        Err(e) if matches!(e.errno, libc::ENETUNREACH | libc::EHOSTUNREACH) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Whom a packet reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The device itself.
    Here,
    /// One host elsewhere.
    One,
    /// All on a link, or a group.
    Many,
    /// Nobody.
    None,
}

/// Whom a packet of the device's to `destination` reaches; none if the kernel has no way to it.
pub fn kind_of_way(
    netlink: &Netlink,
    destination: impl Into<IpAddr>,
) -> Result<Option<Kind>, KernelError> {
    let kind = |message: &Message<'_>| {
        Some(match typed(message, &[])?.header.kind {
            RouteType::Local => Kind::Here,
            RouteType::Unicast => Kind::One,
            RouteType::Broadcast | RouteType::Anycast | RouteType::Multicast => Kind::Many,
            _ => Kind::None,
        })
    };
    found(netlink.get(&GetRoute(question(None, destination.into())), kind))
}

/// How a packet leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WayOut {
    /// By which interface.
    pub index: IfIndex,
    /// Next hop; none when it is the destination itself.
    pub gateway: Option<IpAddr>,
    /// The address that it leaves with.
    pub source: Option<IpAddr>,
    /// Whether it does not leave at all: it is to the device itself.
    pub local: bool,
    /// The table that says so.
    pub table: TableId,
}

impl WayOut {
    fn read(message: &Message<'_>) -> Option<Self> {
        const READ: [u16; 5] =
            [libc::RTA_OIF, libc::RTA_GATEWAY, RTA_VIA, libc::RTA_PREFSRC, libc::RTA_TABLE];
        let message = typed(message, &READ)?;
        let local = message.header.kind == RouteType::Local;
        let (mut index, mut gateway, mut source) = (None, None, None);
        let mut table = TableId(message.header.table.into());
        for attribute in message.attributes {
            match attribute {
                RouteAttribute::Oif(by) => index = IfIndex::new(by),
                RouteAttribute::PrefSource(address) => source = ip(&address),
                RouteAttribute::Table(number) => table = TableId(number),
                other => gateway = next_hop(&other).or(gateway),
            }
        }
        Some(Self { index: index?, gateway, source, local, table })
    }
}

/// The routes of one table, or of all; by one interface, or by any.
pub fn of(
    netlink: &Netlink,
    family: Family,
    table: Option<TableId>,
    index: Option<IfIndex>,
) -> Result<Vec<Route>, KernelError> {
    let mut message = about(family, 0, 0);
    message.attributes.extend(index.map(|index| RouteAttribute::Oif(index.get())));
    message.attributes.extend(table.map(|table| RouteAttribute::Table(table.0)));
    let found = match netlink.dump(&GetRoute(message), Route::described) {
        // A filter for a table that does not exist yet (fib_dump_info: "FIB table does not exist").
        // Or the link went.
        Err(e) if e.errno == libc::ENOENT || e.errno == libc::ENODEV => Vec::new(),
        other => other?,
    };
    let wanted = |r: &Route| {
        let here = index.is_none() || r.index == index;
        here && r.destination.family() == family && (table.is_none() || table == Some(r.table))
    };
    let found = with_objects(netlink, found)?;
    Ok(found.into_iter().filter(wanted).collect())
}

/// Routes with where the nexthop objects lead that they name, each object asked for once.
fn with_objects(
    netlink: &Netlink,
    found: Vec<(Route, Option<u32>)>,
) -> Result<Vec<Route>, KernelError> {
    let mut known: HashMap<u32, Option<NextHop>> = HashMap::new();
    let mut routes = Vec::with_capacity(found.len());
    for (mut route, object) in found {
        if let Some(id) = object.filter(|_| route.index.is_none() && route.unicast) {
            let first = match known.get(&id) {
                Some(first) => *first,
                None => *known.entry(id).or_insert(nexthop::hops(netlink, id)?.first().copied()),
            };
            route.index = first.map(|hop| hop.index);
            route.gateway = first.and_then(|hop| hop.via).map(IpAddr::V4);
        }
        routes.push(route);
    }
    Ok(routes)
}

/// The default IPv4 routes of a table. Takes a socket of its own: a guest may have any number of other
/// routes, and those are not read. The kernel tells of a table's routes by where they lead to, the lowest
/// address first (fib_table_dump()).
pub fn defaults(netlink: Netlink, table: TableId) -> Result<Vec<Route>, KernelError> {
    /// Most routes to 0.0.0.0 that are read, with whatever prefixes and metrics.
    const MOST: usize = 1024;
    let mut message = about(Family::V4, 0, 0);
    message.attributes.push(RouteAttribute::Table(table.0));
    let (left, lowest) = (Cell::new(MOST), Cell::new(true));
    let read = |message: &Message<'_>| {
        // Kernels before 4.20 tell of all tables.
        let Some(route) = Route::read(message).filter(|route| route.table == table) else {
            return ControlFlow::Continue(None);
        };
        lowest.set(route.destination.address() == IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        match left.get().checked_sub(1).filter(|_| lowest.get()) {
            None => ControlFlow::Break(()),
            Some(now) => {
                left.set(now);
                ControlFlow::Continue(Some(route).filter(|route| route.destination.prefix() == 0))
            }
        }
    };
    match netlink.dump_while(&GetRoute(message), read) {
        // The table does not exist yet, as in `of()`.
        Err(e) if e.errno == libc::ENOENT => Ok(Vec::new()),
        Ok((_, false)) if lowest.get() => {
            let text = format!("there are over {MOST} routes to 0.0.0.0");
            Err(KernelError { errno: libc::E2BIG, text: Some(text) })
        }
        read => read.map(|(found, _)| found),
    }
}

/// Length of `struct rtmsg` (linux/rtnetlink.h).
const RTMSG: usize = 12;

/// The interface of the first of several next hops: of RTA_MULTIPATH the library reads each hop whole, and panics at
/// an RTA_FLOW that is too short.
fn first_hop(message: &Message<'_>) -> Option<IfIndex> {
    // `struct rtnexthop` (linux/rtnetlink.h).
    index_at(message.attributes(RTMSG).find(libc::RTA_MULTIPATH)?, 4)
}

/// A route message with these attributes.
fn typed(message: &Message<'_>, wanted: &[u16]) -> Option<RouteMessage> {
    match message.typed(libc::RTM_NEWROUTE, RTMSG, wanted)? {
        NewRoute(message) => Some(message),
        _ => None,
    }
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some((*address).into()),
        RouteAddress::Inet6(address) => Some((*address).into()),
        _ => None,
    }
}

/// The next hop that an attribute says; RTA_VIA is one of the other family.
fn next_hop(attribute: &RouteAttribute) -> Option<IpAddr> {
    match attribute {
        RouteAttribute::Gateway(address) => ip(address),
        RouteAttribute::Via(RouteVia::Inet(address)) => Some((*address).into()),
        RouteAttribute::Via(RouteVia::Inet6(address)) => Some((*address).into()),
        _ => None,
    }
}

impl Route {
    /// A route out of a route message, and the nexthop object that it names.
    fn described(message: &Message<'_>) -> Option<(Self, Option<u32>)> {
        Some((Self::read(message)?, nexthop::named(message)))
    }

    /// A route out of a route message; none if it is neither IPv4's nor IPv6's.
    pub fn read(message: &Message<'_>) -> Option<Self> {
        const READ: [u16; 6] = [
            libc::RTA_DST,
            libc::RTA_GATEWAY,
            RTA_VIA,
            libc::RTA_OIF,
            libc::RTA_TABLE,
            libc::RTA_PRIORITY,
        ];
        let hop = first_hop(message);
        let message = typed(message, &READ)?;
        let header = message.header;
        let everything = IpPrefix::everything(match header.address_family {
            AddressFamily::Inet => Family::V4,
            AddressFamily::Inet6 => Family::V6,
            _ => return None,
        });
        let mut destination = everything.address();
        let mut route = Self {
            destination: everything,
            index: None,
            gateway: None,
            table: TableId(header.table.into()),
            protocol: header.protocol.into(),
            priority: 0,
            unicast: header.kind == RouteType::Unicast,
        };
        for attribute in message.attributes {
            match attribute {
                RouteAttribute::Destination(address) => destination = ip(&address)?,
                RouteAttribute::Oif(index) => route.index = IfIndex::new(index),
                RouteAttribute::Table(table) => route.table = TableId(table),
                RouteAttribute::Priority(priority) => route.priority = priority,
                other => route.gateway = next_hop(&other).or(route.gateway),
            }
        }
        route.index = route.index.or(hop);
        route.destination = IpPrefix::containing(destination, header.destination_prefix_length)?;
        Some(route)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effects::kernel::testing::{in_a_netns, ip};
    use crate::effects::kernel::{address, link};

    fn network(text: &str) -> IpPrefix {
        text.parse().unwrap()
    }

    #[test]
    fn a_route_leads_where_its_nexthop_object_does() {
        in_a_netns(|netlink| {
            ip("link add one type veth peer name other");
            ip("link set one up");
            ip("link set other up");
            ip("addr add 10.0.1.1/24 dev one");
            let index = link::by_name(netlink, "one").unwrap().unwrap().index;
            ip("nexthop add id 7 via 10.0.1.2 dev one");
            ip("nexthop add id 8 group 7");
            ip("route add 10.5.0.0/16 nhid 7");
            ip("route add default nhid 8");
            for says in ["1", "0"] {
                std::fs::write("/proc/sys/net/ipv4/nexthop_compat_mode", says).unwrap();
                let all = of(netlink, Family::V4, Some(TableId::MAIN), Some(index)).unwrap();
                for to in ["10.5.0.0/16", "0.0.0.0/0"] {
                    let route = all.iter().find(|route| route.destination == network(to));
                    let leads = route.map(|route| (route.index, route.unicast));
                    assert_eq!(leads, Some((Some(index), true)), "{to} {says}");
                }
                let by_one = all.iter().find(|route| route.destination == network("10.5.0.0/16"));
                assert_eq!(by_one.unwrap().gateway, Some(Ipv4Addr::new(10, 0, 1, 2).into()));
            }
        });
    }

    #[test]
    fn of_several_next_hops_the_first_is_the_routes() {
        in_a_netns(|netlink| {
            for (name, other) in [("one", "two"), ("three", "four")] {
                ip(&format!("link add {name} type veth peer name {other}"));
                ip(&format!("link set {name} up"));
                ip(&format!("link set {other} up"));
            }
            ip("addr add 10.0.1.1/24 dev one");
            ip("addr add 10.0.2.1/24 dev three");
            ip("route add 10.5.0.0/16 nexthop via 10.0.2.2 dev three nexthop via 10.0.1.2 dev one");
            let all = of(netlink, Family::V4, Some(TableId::MAIN), None).unwrap();
            let route = all.iter().find(|route| route.destination == network("10.5.0.0/16"));
            let first = link::by_name(netlink, "three").unwrap().unwrap().index;
            assert_eq!(route.and_then(|route| route.index), Some(first));
        });
    }

    #[test]
    fn routes_of_both_families_are_made_read_and_removed() {
        in_a_netns(|netlink| {
            ip("link add one type veth peer name other");
            ip("link set one up");
            ip("link set other up");
            let index = link::by_name(netlink, "one").unwrap().unwrap().index;
            ip("link set lo up");
            for (own, gateway, beyond, loopback) in [
                ("172.17.0.1/16", "172.17.0.2", "172.30.0.0/16", "127.0.0.1"),
                ("fd00::1/64", "fd00::2", "fd30::/64", "::1"),
            ] {
                let loopback: IpAddr = loopback.parse().unwrap();
                let (own, beyond) = (network(own), network(beyond));
                let family = own.family();
                let gateway: IpAddr = gateway.parse().unwrap();
                address::add(netlink, index, own.address(), own.prefix(), true).unwrap();
                let there = address::of(netlink, family, Some(index)).unwrap();
                let added = address::Address {
                    index,
                    address: own.address(),
                    prefix: own.prefix(),
                    prefix_route: true,
                    global: true,
                };
                assert!(there.contains(&added), "{there:?}");
                add(netlink, index, beyond, None::<IpAddr>, TableId(1007)).unwrap();
                let found = of(netlink, family, Some(TableId(1007)), Some(index)).unwrap();
                let [route] = found[..] else { panic!("{found:?}") };
                assert_eq!((route.destination, route.table), (beyond, TableId(1007)));
                assert_eq!((route.protocol, route.unicast), (ROUTE_PROTOCOL, true));
                let to = IpPrefix::everything(Family::of(gateway));
                add(netlink, index, to, Some(gateway), TableId::MAIN).unwrap();
                let main = of(netlink, family, Some(TableId::MAIN), None).unwrap();
                let default = main.iter().find(|r| r.destination.prefix() == 0).unwrap();
                assert_eq!((default.gateway, default.index), (Some(gateway), Some(index)));
                for _ in 0..2 {
                    delete(netlink, index, beyond, None::<IpAddr>, TableId(1007)).unwrap();
                    assert_eq!(of(netlink, family, Some(TableId(1007)), Some(index)).unwrap(), []);
                }
                let way = towards(netlink, gateway).unwrap().unwrap();
                assert_eq!((way.index, way.local, way.table), (index, false, TableId::MAIN));
                assert!(towards(netlink, loopback).unwrap().unwrap().local);
                add_default(netlink, family, index, TableId(0x6700_0007)).unwrap();
                add_default(netlink, family, index, TableId(0x6700_0007)).unwrap();
                assert_eq!(of(netlink, family, Some(TableId(0x6700_0007)), None).unwrap().len(), 1);
                delete_default(netlink, family, index, TableId(0x6700_0007)).unwrap();
                delete_default(netlink, family, index, TableId(0x6700_0007)).unwrap();
                assert_eq!(of(netlink, family, Some(TableId(0x6700_0007)), None).unwrap().len(), 0);
                address::delete(netlink, index, own.address(), own.prefix()).unwrap();
                assert!(!address::of(netlink, family, None).unwrap().contains(&added));
            }
        });
    }

    #[test]
    fn default_routes_are_read_among_any_number_of_others() {
        in_a_netns(|netlink| {
            ip("link add one type veth peer name other");
            ip("link set one up");
            ip("link set other up");
            ip("addr add 10.0.0.1/24 dev one");
            let read = || defaults(Netlink::open().unwrap(), TableId::MAIN);
            assert_eq!(read().unwrap(), [], "only another");
            for route in [
                "default via 10.0.0.2 metric 7",
                "default via 10.0.0.3",
                "default via 10.0.0.4 table 1007",
                "0.0.0.0/1 via 10.0.0.5",
                "unreachable default metric 9",
            ] {
                ip(&format!("route add {route}"));
            }
            let add = |to: &str, metrics: std::ops::Range<u32>| {
                let index = link::by_name(netlink, "one").unwrap().unwrap().index;
                for metric in metrics {
                    let mut message =
                        ours(index, network(to), None, TableId::MAIN, RouteScope::Link);
                    message.attributes.push(RouteAttribute::Priority(metric));
                    netlink.change(&NewRoute(message), NLM_F_CREATE | NLM_F_EXCL).unwrap();
                }
            };
            add("10.7.0.0/16", 0..3000);
            let all = of(netlink, Family::V4, Some(TableId::MAIN), None).unwrap();
            let expected: Vec<_> =
                all.into_iter().filter(|r| r.destination.prefix() == 0).collect();
            assert_eq!(expected.len(), 3);
            assert_eq!(read().unwrap(), expected);
            add("0.0.0.0/8", 0..1024);
            assert_eq!(read().unwrap_err().errno, libc::E2BIG, "the kernel tells of them first");
        });
    }

    #[test]
    fn the_kernel_says_what_it_does_with_a_packet() {
        in_a_netns(|netlink| {
            for (name, address) in [("one", "10.0.0.1/24"), ("two", "10.0.2.1/24")] {
                ip(&format!("link add {name} type veth peer name {name}-far"));
                ip(&format!("link set {name}-far up"));
                ip(&format!("link set {name} up"));
                ip(&format!("addr add {address} dev {name}"));
            }
            std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
            let index = |name: &str| link::by_name(netlink, name).unwrap().unwrap().index;
            let (one, two) = (index("one"), index("two"));
            let [near, own, far, beyond] =
                ["10.0.0.9", "10.0.2.1", "10.0.2.9", "203.0.113.1"].map(|a| a.parse().unwrap());
            let passing = |from: IpAddr, to: IpAddr| passing(netlink, one, from, to).unwrap();
            let takes = |decision| match decision {
                Decision::Takes(way) => (way.index, way.local, way.table),
                other => panic!("{other:?}"),
            };
            assert_eq!(takes(passing(near, far)), (two, false, TableId::MAIN));
            assert!(takes(passing(near, own)).1, "the device's own address");
            assert_eq!(passing(near, beyond), Decision::Unreachable);
            ip("rule add to 203.0.113.1 pref 9 prohibit");
            assert_eq!(passing(near, beyond), Decision::Prohibited);
            ip("rule add to 203.0.113.1 pref 8 blackhole");
            assert_eq!(passing(near, beyond), Decision::Dropped);
            ip("rule add to 203.0.113.1 pref 7 lookup 52");
            ip("route add default via 10.0.2.9 table 52");
            assert_eq!(takes(passing(near, beyond)), (two, false, TableId(52)));
            let sent = sending(netlink, own, beyond).unwrap();
            assert_eq!(takes(sent), (two, false, TableId(52)));
            let strict = "/proc/sys/net/ipv4/conf/one/rp_filter";
            std::fs::write(strict, "1").unwrap();
            assert_eq!(passing(far, near), Decision::Dropped, "that source is behind the other");
        });
    }

    /// netlink-packet-route refuses a whole message for some of these.
    #[test]
    fn a_route_with_attributes_that_nobody_asks_for_is_read() {
        in_a_netns(|netlink| {
            ip("link add one type veth peer name other");
            ip("link set one up");
            ip("link set other up");
            ip("addr add 10.0.0.1/24 dev one");
            let to = |number: u8| IpPrefix::containing([10, 20, number, 0], 24).unwrap();
            for (number, how) in [
                "dev one congctl cubic mtu lock 1300 features ecn quickack 1",
                "dev one fastopen_no_cookie 1 initcwnd 10 rto_min 5ms realm 3/4 src 10.0.0.1",
                "dev one encap ip id 5 dst 10.0.0.9",
                "nexthop via 10.0.0.2 dev one weight 2 nexthop via 10.0.0.3 dev one onlink",
            ]
            .iter()
            .enumerate()
            {
                ip(&format!("route add {} metric 7 {how}", to(number as u8)));
            }
            ip(&format!("route add unreachable {} table 5000", to(4)));
            ip(&format!("route add {} via inet6 fe80::5 dev one", to(5)));
            let index = link::by_name(netlink, "one").unwrap().unwrap().index;
            let all = of(netlink, Family::V4, None, None).unwrap();
            let route = |number| *all.iter().find(|r| r.destination == to(number)).unwrap();
            for number in 0..4 {
                let route = route(number);
                assert_eq!((route.index, route.priority, route.unicast), (Some(index), 7, true));
            }
            assert_eq!(
                (route(4).index, route(4).table, route(4).unicast),
                (None, TableId(5000), false)
            );
            assert_eq!(route(5).gateway, Some("fe80::5".parse().unwrap()));
        });
    }
}
