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

//! Reads the device's way out. Changes nothing; which of the interfaces it is, `model/uplink` decides.

use super::fib::{self, Sender};
use super::link::{self, Link};
use super::netlink::Netlink;
use super::{address, route};
use crate::error::{Error, KernelError};
use crate::model::if_index::IfIndex;
use crate::model::policy_rules::{self, RoutingMode, Rule};
use crate::model::uplink::select::{carries, rank, select, source, Candidate, TableRoute};
use crate::model::uplink::way::{merge, Behind, Hop, NextHop, Way, INTERNET};
use crate::model::uplink::{clat_of, Choice, Uplink};
use crate::ordered::sort_short;
use crate::spec::{Family, IfName, IfPattern, Subnet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Some IPv6 address of the internet (RFC 3849), to ask where packets to it would go.
const INTERNET_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 1);

/// What the uplink is read for.
pub struct Question<'a> {
    /// How it is chosen.
    pub choice: &'a Choice,
    /// How the device routes.
    pub routing: RoutingMode,
    /// By these rules.
    pub rules: &'a [Rule],
    /// A guest that follows the uplink, if there is one.
    pub sender: Option<Sender>,
}

/// The uplink as the kernel has it now. Its resolvers are not the kernel's to say.
pub fn observe(netlink: &Netlink, question: &Question<'_>) -> Result<Uplink, Error> {
    read(netlink, question).map_err(|cause| Error::kernel("read the uplink", cause))
}

fn read(netlink: &Netlink, question: &Question<'_>) -> Result<Uplink, KernelError> {
    let Question { choice, routing, .. } = question;
    let way = read_way(netlink, question)?;
    let mut ranked: Vec<_> = links(netlink, choice, &way)?
        .into_iter()
        .filter(|link| !link.is_ours())
        .filter_map(|link| Some((rank(choice, &way, &link.name, link.index)?, link)))
        .collect();
    sort_short(&mut ranked, |(one, _), (other, _)| one < other);
    let mut candidates = Vec::new();
    for (_, link) in ranked {
        let one = candidate(netlink, *routing, &way, &link)?;
        let best = one.is_best();
        candidates.push(one);
        if best {
            break;
        }
    }
    let mut uplink = select(choice, *routing, way, &candidates);
    if uplink.name.is_none() && uplink.way.first().is_none() {
        uplink.ipv6_by = default_of_ipv6(netlink)?;
    }
    Ok(uplink)
}

/// Where packets to the internet go: what guests send, or, where netd routes, the device itself.
fn read_way(netlink: &Netlink, question: &Question<'_>) -> Result<Way, KernelError> {
    let (hops, mut way) = match question.routing {
        RoutingMode::Netd { .. } => {
            let network = policy_rules::default_network(question.rules);
            let hops = network
                .into_iter()
                .map(|index| NextHop { index, via: None, dead: false })
                .collect();
            (hops, Way { plain: true, ..Way::default() })
        }
        RoutingMode::Main => {
            let mut answers = Vec::new();
            for to in INTERNET {
                answers.push(fib::lookup(netlink, to, question.sender)?);
            }
            merge(&answers)
        }
    };
    let several = hops.len() > 1;
    for NextHop { index, via, dead } in hops {
        if let Some(link) = link::by_index(netlink, index)? {
            let behind = behind(netlink, &link)?;
            let source = if several { source(&addresses(netlink, index)?, via) } else { None };
            let up = link.up && link.carrier;
            way.hops.push(Hop { index, name: link.name, source, behind, dead, up });
        }
    }
    Ok(way)
}

/// The IPv4 addresses of an interface that guests' packets may leave with, with their prefixes: masquerade takes none
/// of a link's or a device's own (inet_select_addr(), RT_SCOPE_UNIVERSE).
fn addresses(netlink: &Netlink, index: IfIndex) -> Result<Vec<(Ipv4Addr, u8)>, KernelError> {
    let mut found = address::of(netlink, Family::V4, Some(index))?;
    found.retain(|found| found.global);
    let v4 = |found: &address::Address| match found.address {
        IpAddr::V4(address) => Some((address, found.prefix)),
        IpAddr::V6(_) => None,
    };
    Ok(found.iter().filter_map(v4).collect())
}

fn by_index(netlink: &Netlink, index: Option<IfIndex>) -> Result<Option<Link>, KernelError> {
    Ok(index.map(|index| link::by_index(netlink, index)).transpose()?.flatten())
}

fn behind(netlink: &Netlink, link: &Link) -> Result<Behind, KernelError> {
    let here = link.kind == "veth" && link.elsewhere.is_none();
    let other = by_index(netlink, link.other_end.filter(|_| here))?;
    let comes_back = other.is_some_and(|other| other.master.is_none());
    Ok(Behind::interface(&link.kind, link.is_ours(), link.loopback, comes_back))
}

/// The links that may be the uplink, and perhaps others. Where they are known by name they are asked
/// for; otherwise all are read.
fn links(netlink: &Netlink, choice: &Choice, way: &Way) -> Result<Vec<Link>, KernelError> {
    let named = match choice {
        Choice::Listed(list) => list.iter().map(IfPattern::name).collect(),
        Choice::Default => Some(way.hops.iter().filter_map(|hop| IfName::new(&hop.name)).collect()),
    };
    let Some(named): Option<Vec<IfName>> = named else { return link::all(netlink) };
    let mut found: Vec<Link> = Vec::new();
    for name in named {
        for name in [clat_of(&name), Some(name)].into_iter().flatten() {
            let link = link::by_name(netlink, name.as_str())?;
            let known = |link: &Link| found.iter().any(|other| other.index == link.index);
            found.extend(link.filter(|link| !known(link)));
        }
    }
    Ok(found)
}

fn candidate(
    netlink: &Netlink,
    routing: RoutingMode,
    way: &Way,
    link: &Link,
) -> Result<Candidate, KernelError> {
    let first = addresses(netlink, link.index)?.first().copied();
    let carries = match routing {
        RoutingMode::Main => way.leads_by(link.index),
        RoutingMode::Netd { .. } => {
            let table = Some(routing.table_of(link.index));
            let routes = route::of(netlink, Family::V4, table, None)?;
            carries(&routes.iter().map(table_route).collect::<Vec<_>>(), link.index)
        }
    };
    let address = match first {
        Some((address, _)) => Some(address),
        None if routing == RoutingMode::Main && carries => lent(netlink, link.index)?,
        None => None,
    };
    let (port_of, vrf) = master(netlink, link)?;
    let narrow = match address {
        Some(_) => None,
        None => narrow(netlink, link.index)?,
    };
    Ok(Candidate {
        name: link.name.clone(),
        index: link.index,
        up: link.up && link.carrier,
        address,
        network: first.and_then(|(address, prefix)| Subnet::containing(address, prefix)),
        mtu: link.mtu,
        behind: behind(netlink, link)?,
        port_of,
        vrf,
        narrow,
        ipv6: address.is_none() && narrow.is_none() && has_ipv6(netlink, link.index)?,
        carries,
    })
}

/// What packets leave with by an interface that has no address of its own (unnumbered: PPP, a host that is routed
/// to): one of another interface, as the kernel chooses it (inet_select_addr(), and a route's `src`, which masquerade
/// does not look at). A guest's gateway is none: nobody beyond can answer it.
fn lent(netlink: &Netlink, index: IfIndex) -> Result<Option<Ipv4Addr>, KernelError> {
    let way = match route::towards(netlink, INTERNET[0]) {
        // The device's own packets are refused, or vanish (FR_ACT_PROHIBIT, FR_ACT_BLACKHOLE).
        Err(e) if [libc::EACCES, libc::EINVAL].contains(&e.errno) => None,
        other => other?,
    };
    let way = way.filter(|way| way.index == index && !way.local);
    let Some(source @ IpAddr::V4(address)) = way.and_then(|way| way.source) else {
        return Ok(None);
    };
    let all = address::of(netlink, Family::V4, None)?;
    let Some(holder) = all.iter().find(|one| one.address == source && one.global) else {
        return Ok(None);
    };
    let holder = Some(holder.index);
    let of_a_guest = by_index(netlink, holder)?.is_some_and(|link| link.is_ours());
    Ok(Some(address).filter(|_| !of_a_guest))
}

/// An address of an interface's that is of its link alone, with its prefix.
fn narrow(netlink: &Netlink, index: IfIndex) -> Result<Option<(Ipv4Addr, u8)>, KernelError> {
    let found = address::of(netlink, Family::V4, Some(index))?;
    Ok(found.iter().find_map(|found| match found.address {
        // One of nobody's choice (RFC 3927) says that there was no DHCP.
        IpAddr::V4(address) if !found.global && !address.is_link_local() => {
            Some((address, found.prefix))
        }
        _ => None,
    }))
}

fn table_route(route: &route::Route) -> TableRoute {
    let by = route.index.filter(|_| route.unicast);
    TableRoute { to: route.destination, metric: route.priority, by }
}

/// What a link is a port of, and has its traffic; or the VRF that it is in, where it keeps its own.
fn master(netlink: &Netlink, link: &Link) -> Result<(Option<String>, Option<String>), KernelError> {
    Ok(match by_index(netlink, link.master)? {
        Some(vrf) if vrf.kind == "vrf" => (None, Some(vrf.name)),
        other => (other.map(|other| other.name), None),
    })
}

/// Whether a link has an IPv6 address that leads further than the link.
fn has_ipv6(netlink: &Netlink, index: IfIndex) -> Result<bool, KernelError> {
    let found = without_ipv6(address::of(netlink, Family::V6, Some(index)))?;
    Ok(found.unwrap_or_default().iter().any(|found| match found.address {
        // fe80::/10
        IpAddr::V6(address) => address.segments()[0] & 0xffc0 != 0xfe80,
        IpAddr::V4(_) => false,
    }))
}

/// The interface of the default route of IPv6.
fn default_of_ipv6(netlink: &Netlink) -> Result<Option<String>, KernelError> {
    let way = without_ipv6(route::towards(netlink, INTERNET_V6))?.flatten();
    let Some(way) = way.filter(|way| !way.local) else { return Ok(None) };
    Ok(link::by_index(netlink, way.index)?.filter(|link| !link.is_ours()).map(|link| link.name))
}

/// A kernel without IPv6 has none to say anything of.
fn without_ipv6<T>(answer: Result<T, KernelError>) -> Result<Option<T>, KernelError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(e)
            if [libc::EAFNOSUPPORT, libc::EOPNOTSUPP, libc::EACCES, libc::EINVAL]
                .contains(&e.errno) =>
        {
            Ok(None)
        }
        Err(e) => Err(e),
    }
}
