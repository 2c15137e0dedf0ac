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

//! Reads a guest's network back from the kernel, for the diff: what is there, not what was done.

use super::link::Link;
use super::netlink::Netlink;
use super::{address, link, route};
use crate::error::{Error, KernelError};
use crate::model::ownership::ROUTE_PROTOCOL;
use crate::model::subnet_conflict::DevicePrefix;
use crate::model::{GuestNet, ObservedGuest, ObservedGuestLink, ObservedHost};
use crate::spec::{IfName, Subnet};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::Ipv4Addr;

/// The device's end of a guest's link, if it is there and bears our marks.
pub fn host_end(netlink: &Netlink, net: &GuestNet) -> Result<Option<ObservedHost>, Error> {
    let name = &net.host.name;
    let failed = |cause: KernelError| Error::kernel(format!("read {name}"), cause);
    let Some(link) = link::by_name(netlink, name.as_str()).map_err(failed)? else {
        return Ok(None);
    };
    if !link.is_ours() {
        return Err(Error::HostInterfaceExists(name.clone()));
    }
    let addresses = address::of(netlink, link.index).map_err(failed)?;
    let routes = if net.host.route.is_some() {
        route::of(netlink, Some(net.host.table), link.index).map_err(failed)?
    } else {
        Vec::new()
    };
    Ok(Some(ObservedHost {
        index: link.index,
        up: link.up,
        running: link.running,
        ipv6_disabled: !link.ipv6,
        mtu: link.mtu,
        alias: link.alias,
        addresses: addresses.iter().map(|a| (a.address, a.prefix)).collect(),
        routes: routes
            .iter()
            .filter(|r| r.protocol == ROUTE_PROTOCOL)
            .map(|r| r.destination)
            .collect(),
    }))
}

/// The device's ends of these guests' links, as far as they are there and bear our marks, by their
/// names: three lists, however many guests there are.
pub fn host_ends<'a>(
    netlink: &Netlink,
    nets: impl Iterator<Item = &'a GuestNet>,
) -> Result<BTreeMap<IfName, ObservedHost>, Error> {
    let failed = |cause: KernelError| Error::kernel("read the guests' links", cause);
    let links: HashMap<String, Link> = link::all(netlink)
        .map_err(failed)?
        .into_iter()
        .filter(Link::is_ours)
        .map(|link| (link.name.clone(), link))
        .collect();
    let mut ends: HashMap<u32, ObservedHost> = HashMap::new();
    for a in address::of(netlink, 0).map_err(failed)? {
        ends.entry(a.index).or_default().addresses.push((a.address, a.prefix));
    }
    let routes = route::of(netlink, None, 0).map_err(failed)?;
    let ours = routes.into_iter().filter(|r| r.protocol == ROUTE_PROTOCOL);
    let routes: HashSet<(u32, u32, Subnet)> =
        ours.map(|r| (r.index, r.table, r.destination)).collect();
    let mut found = BTreeMap::new();
    for net in nets {
        let Some(link) = links.get(net.host.name.as_str()) else { continue };
        let wanted = |to: &Subnet| routes.contains(&(link.index, net.host.table, *to));
        let end = ObservedHost {
            index: link.index,
            up: link.up,
            running: link.running,
            ipv6_disabled: !link.ipv6,
            mtu: link.mtu,
            alias: link.alias.clone(),
            routes: net.host.route.into_iter().filter(wanted).collect(),
            ..ends.remove(&link.index).unwrap_or_default()
        };
        found.insert(net.host.name.clone(), end);
    }
    Ok(found)
}

/// What has to be known of a guest before its link is made, by as few questions as possible: that
/// it has no link of that name is the kernel's to say when it makes one.
pub fn guest_before(netlink: &Netlink, interface: &IfName) -> Result<ObservedGuest, Error> {
    let failed = |cause: KernelError| Error::kernel("read the guest's network", cause);
    // Any address that is no guest's own: who can reach it has a default route already.
    if route::towards(netlink, ELSEWHERE).map_err(failed)?.is_some() {
        return guest_side(netlink, interface);
    }
    let (loopback_up, loopback_bare) = loopback(netlink).map_err(failed)?;
    Ok(ObservedGuest { loopback_up, loopback_bare, ..ObservedGuest::default() })
}

/// Some address of the internet, to ask where packets to it would go; nothing is sent there. Of TEST-NET-3
/// (RFC 5737), which nobody has: a resolver, a gateway, or a server that everybody knows may well have
/// a route of its own, and says nothing about the rest.
pub const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);

/// Whether `lo` is up, and whether it was never up: the first time gives it its address.
fn loopback(netlink: &Netlink) -> Result<(bool, bool), KernelError> {
    // A namespace without lo has no use for it either.
    let lo = link::by_index(netlink, link::LOOPBACK)?;
    Ok(lo.map_or((true, false), |lo| (lo.up, !lo.up && lo.fresh)))
}

/// The guest's side, all of it. `netlink` is a socket in the guest's namespace.
pub fn guest_side(netlink: &Netlink, interface: &IfName) -> Result<ObservedGuest, Error> {
    let failed = |cause: KernelError| Error::kernel("read the guest's network", cause);
    let (loopback_up, loopback_bare) = loopback(netlink).map_err(failed)?;
    let link = match link::by_name(netlink, interface.as_str()).map_err(failed)? {
        None => None,
        Some(link) => {
            let addresses = address::of(netlink, link.index).map_err(failed)?;
            Some(ObservedGuestLink {
                index: link.index,
                up: link.up,
                running: link.running,
                mtu: link.mtu,
                mac: link.mac,
                addresses: addresses.iter().map(|a| (a.address, a.prefix)).collect(),
            })
        }
    };
    let index = link.as_ref().map_or(0, |l| l.index);
    let mut routes = route::of(netlink, Some(route::MAIN), 0).map_err(failed)?;
    routes.retain(|r| r.destination.prefix() == 0);
    let mut other_default = None;
    // Another metric is another route: only one of metric 0 is in the way of ours.
    if let Some(r) = routes.iter().find(|r| r.index != index && r.priority == 0) {
        let by = link::by_index(netlink, r.index).map_err(failed)?;
        let via = r.gateway.map(|g| format!(" via {g}")).unwrap_or_default();
        other_default = Some(via + &by.map(|l| format!(" dev {}", l.name)).unwrap_or_default());
    }
    Ok(ObservedGuest {
        loopback_up,
        loopback_bare,
        link,
        default_gateways: routes
            .iter()
            .filter(|r| r.index == index)
            .filter_map(|r| r.gateway)
            .collect(),
        other_default,
    })
}

/// Every prefix that the device uses, but for default routes and what is on links of ours.
pub fn device_prefixes(netlink: &Netlink) -> Result<Vec<DevicePrefix>, Error> {
    let failed =
        |cause: KernelError| Error::kernel("read the device's addresses and routes", cause);
    let links = link::all(netlink).map_err(failed)?;
    let names: BTreeMap<u32, String> =
        links.iter().filter(|l| !l.is_ours()).map(|l| (l.index, l.name.clone())).collect();
    let mut prefixes = Vec::new();
    for a in address::of(netlink, 0).map_err(failed)? {
        let subnet = Subnet::containing(a.address, a.prefix);
        if let (Some(interface), Some(subnet)) = (names.get(&a.index), subnet) {
            prefixes.push(DevicePrefix { subnet, interface: interface.clone(), table: None });
        }
    }
    for r in route::of(netlink, None, 0).map_err(failed)? {
        let interface = match names.get(&r.index) {
            Some(name) => name.clone(),
            None if r.index == 0 => String::new(),
            None => continue, // on a link of ours
        };
        // 0/1 and 128/1 together are a VPN's way to put a default route in front of the default route.
        if r.destination.prefix() > 1 {
            prefixes.push(DevicePrefix { subnet: r.destination, interface, table: Some(r.table) });
        }
    }
    Ok(prefixes)
}
