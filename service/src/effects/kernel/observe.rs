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

use super::address::Address;
use super::link::Link;
use super::netlink::Netlink;
use super::route::Route;
use super::{address, link, mirred, pin, route};
use crate::error::{Error, KernelError};
use crate::model::identity::{self, Changed};
use crate::model::if_index::IfIndex;
use crate::model::object::{LinkKind, Loopback, Setting};
use crate::model::ownership::ROUTE_PROTOCOL;
use crate::model::segment::{Filter, Place};
use crate::model::subnet_conflict::DevicePrefix;
use crate::model::table::TableId;
use crate::model::uplink::way::INTERNET;
use crate::model::{GuestNet, Object, Scope};
use crate::ordered::{IntoOrdered, OrderedMap};
use crate::spec::{Family, IfName, IpPrefix};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr};

/// What was found of a guest's network in the device's namespace.
#[derive(Clone, Debug)]
pub struct FoundHost {
    /// Interface index of the host end.
    pub index: IfIndex,
    /// Its marks that somebody else has changed.
    pub changed: Vec<Changed>,
    /// Whether it is up.
    pub up: bool,
    /// Whether the kernel sends by it.
    pub running: bool,
    /// The id of the network namespace that the guest's end is in; see [`Link::elsewhere`].
    pub elsewhere: Option<i32>,
    /// The objects. Of routes only ours; addresses of any origin.
    pub objects: Vec<(Scope, Object)>,
}

/// What was found in a guest's namespace.
#[derive(Clone, Debug, Default)]
pub struct FoundGuest {
    /// Interface index of the guest end; none if the guest has no interface of that name.
    pub index: Option<IfIndex>,
    /// Whether the kernel sends by it.
    pub running: bool,
    /// The objects of the interface, of any origin; of routes the default routes in table main; and `lo`.
    pub objects: Vec<(Scope, Object)>,
    /// A default route that is in the way of ours, in words.
    pub other_default: Option<String>,
    /// The interface of our name and that of the other default route, as far as there are such.
    pub in_the_way: Vec<Link>,
}

/// The device's end of a guest's link, if it is there and bears our marks.
pub fn host_end(netlink: &Netlink, net: &GuestNet) -> Result<Option<FoundHost>, Error> {
    let name = &net.host.name;
    let failed = |cause: KernelError| Error::kernel(format!("read {name}"), cause);
    let Some(link) = link::by_name(netlink, name.as_str()).map_err(failed)? else {
        return Ok(None);
    };
    if !link.is_ours() {
        return Err(Error::HostInterfaceExists(name.clone()));
    }
    with_addresses(netlink, &link, net).map(Some)
}

/// The device's end of a guest's link by its index, whatever it is called now; none if it is gone.
pub fn host_end_at(
    netlink: &Netlink,
    index: IfIndex,
    net: &GuestNet,
) -> Result<Option<FoundHost>, Error> {
    let failed = |cause: KernelError| Error::kernel(format!("read {}", net.host.name), cause);
    // An index is given to another link only after its own is gone, which is announced.
    let link = link::by_index(netlink, index).map_err(failed)?;
    let link = link.filter(|link| link.kind == net.kind.link_kind());
    link.map(|link| with_addresses(netlink, &link, net)).transpose()
}

fn with_addresses(netlink: &Netlink, link: &Link, net: &GuestNet) -> Result<FoundHost, Error> {
    let name = &net.host.name;
    let failed = |cause: KernelError| Error::kernel(format!("read {name}"), cause);
    let mut found = found_host(link, net);
    for address in address::of(netlink, Family::V4, Some(link.index)).map_err(failed)? {
        found.push_address(name, &address);
    }
    // What is left in another table, by a device that routed in another way, `host_ends()` finds: to
    // read all tables for one guest costs more with every guest.
    for route in
        route::of(netlink, Family::V4, Some(net.host.table), Some(link.index)).map_err(failed)?
    {
        found.push_route(name, &route);
    }
    let mut hubs = own_place(netlink, net).map_err(failed)?;
    found.push_member(netlink, net, &mut hubs).map_err(failed)?;
    found.see_source(netlink, net).map_err(failed)?;
    Ok(found)
}

/// All links of a network namespace, and the IPv4 addresses and routes there: three lists, however many
/// guests there are.
#[derive(Debug)]
pub struct Lists {
    links: Vec<Link>,
    addresses: Vec<Address>,
    routes: Vec<Route>,
}

impl Lists {
    /// As they are now.
    pub fn read(netlink: &Netlink) -> Result<Self, Error> {
        Self::with(links(netlink)?, netlink)
    }

    /// With links that were read before.
    pub fn with(links: Vec<Link>, netlink: &Netlink) -> Result<Self, Error> {
        let failed =
            |cause: KernelError| Error::kernel("read the device's addresses and routes", cause);
        Ok(Self {
            links,
            addresses: address::of(netlink, Family::V4, None).map_err(failed)?,
            routes: route::of(netlink, Family::V4, None, None).map_err(failed)?,
        })
    }
}

/// All links of a network namespace, without counters.
pub fn links(netlink: &Netlink) -> Result<Vec<Link>, Error> {
    link::all(netlink).map_err(|cause| Error::kernel("read the links", cause))
}

/// The device's ends of these guests' links, as far as they are there, by their indexes.
pub fn host_ends<'a>(
    netlink: &Netlink,
    lists: &Lists,
    nets: impl Iterator<Item = (IfIndex, &'a GuestNet)>,
) -> Result<OrderedMap<IfIndex, FoundHost>, Error> {
    let failed = |cause: KernelError| Error::kernel("read the guests' links", cause);
    let links: HashMap<IfIndex, &Link> =
        lists.links.iter().map(|link| (link.index, link)).collect();
    let mut ends = HashMap::new();
    let (mut on_segments, mut pinned) = (Vec::new(), Vec::new());
    for (index, net) in nets {
        pinned.extend(net.host.pinned.then_some((index, net)));
        on_segments.extend(net.segment.is_some().then_some((index, net)));
        let link = links.get(&index).filter(|link| link.kind == net.kind.link_kind());
        if let Some(link) = link {
            ends.insert(index, (&net.host.name, found_host(link, net)));
        }
    }
    for address in &lists.addresses {
        if let Some((name, found)) = ends.get_mut(&address.index) {
            found.push_address(name, address);
        }
    }
    for route in &lists.routes {
        if let Some((name, found)) = route.index.and_then(|index| ends.get_mut(&index)) {
            found.push_route(name, route);
        }
    }
    let mut hubs = HashMap::new();
    for (index, net) in on_segments {
        if let Some((_, found)) = ends.get_mut(&index) {
            found.push_member(netlink, net, &mut hubs).map_err(failed)?;
        }
    }
    for (index, net) in pinned {
        if let Some((_, found)) = ends.get_mut(&index) {
            found.see_source(netlink, net).map_err(failed)?;
        }
    }
    Ok(ends.into_iter().map(|(index, (_, found))| (index, found)).into_map())
}

/// What its link alone says.
fn found_host(link: &Link, net: &GuestNet) -> FoundHost {
    let dev = || net.host.name.clone();
    // The other end cannot be seen from here, and the marks say that it was made by us.
    let kind = LinkKind::of_host_end(net);
    let mut objects = vec![
        Object::Link { name: dev(), kind, mac: net.host.mac, mtu: link.mtu },
        Object::Sysctl { dev: dev(), setting: Setting::DisableIpv6, value: !link.ipv6 },
    ];
    objects.extend(link.ipv4.map(|conf| Object::Ipv4Conf { dev: dev(), conf }));
    if link.up {
        objects.push(Object::Up { dev: dev() });
    }
    let text = link.alias.clone();
    objects.extend(text.map(|text| Object::Alias { dev: dev(), text }));
    let objects = objects.into_iter().map(|object| (Scope::Device, object)).collect();
    FoundHost {
        index: link.index,
        changed: identity::changed(net, &link.marks()),
        up: link.up,
        running: link.running,
        elsewhere: link.elsewhere,
        objects,
    }
}

impl FoundHost {
    fn push_address(&mut self, dev: &IfName, found: &Address) {
        self.objects.push((Scope::Device, address_object(dev, found)));
    }

    /// Its place in its segment, if it is on one and has all of that and nothing else.
    fn push_member(
        &mut self,
        netlink: &Netlink,
        net: &GuestNet,
        hubs: &mut Hubs,
    ) -> Result<(), KernelError> {
        let Some(member) = net.member() else { return Ok(()) };
        if member_lacks(netlink, self.index, net, hubs)?.is_none() {
            let dev = net.host.name.clone();
            self.objects.push((Scope::Device, Object::Member { dev, member }));
        }
        Ok(())
    }

    /// Whether its filter lets in the guest's source alone. Where the kernel has no such filter it cannot be put
    /// back, and is not missed here.
    fn see_source(&mut self, netlink: &Netlink, net: &GuestNet) -> Result<(), KernelError> {
        let address = net.guest.address;
        if !net.host.pinned || !(pin::is_unknown() || pin::is_there(netlink, self.index, address)?)
        {
            return Ok(());
        }
        for (_, object) in &mut self.objects {
            if let Object::Ipv4Conf { conf, .. } = object {
                conf.source = Some(address);
            }
        }
        Ok(())
    }

    fn push_route(&mut self, dev: &IfName, found: &Route) {
        if found.protocol == ROUTE_PROTOCOL {
            self.objects.push((Scope::Device, route_object(dev, found)));
        }
    }
}

/// Segments' devices that were read, with their filters; those that are not there, too.
pub type Hubs = HashMap<IfName, Option<(IfIndex, Vec<mirred::Found>)>>;

/// The device of a guest's segment with the filters of that guest there alone.
fn own_place(netlink: &Netlink, net: &GuestNet) -> Result<Hubs, KernelError> {
    let Some(member) = net.member() else { return Ok(Hubs::new()) };
    let hub = link::by_name(netlink, member.hub.as_str())?.filter(Link::is_hub);
    let there = match hub {
        Some(hub) => Some((hub.index, mirred::of_member(netlink, hub.index, member.number)?)),
        None => None,
    };
    Ok(Hubs::from([(member.hub, there)]))
}

/// What a guest's place in its segment lacks, or has beside it, in words, and the command that shows it. None:
/// nothing, or it is on no segment.
pub fn member_lacks(
    netlink: &Netlink,
    index: IfIndex,
    net: &GuestNet,
    hubs: &mut Hubs,
) -> Result<Option<(String, String)>, KernelError> {
    let Some(member) = net.member() else { return Ok(None) };
    let (host, device) = (&net.host.name, &member.hub);
    if !hubs.contains_key(device) {
        let hub = link::by_name(netlink, device.as_str())?.filter(Link::is_hub);
        let there = match hub {
            Some(hub) => Some((hub.index, mirred::of(netlink, hub.index, Place::Hub)?)),
            None => None,
        };
        hubs.insert(device.clone(), there);
    }
    let Some(Some((hub, at_hub))) = hubs.get(device) else {
        let what = format!("the segment's device {device} is not there");
        return Ok(Some((what, format!("ip link show dev {device}"))));
    };
    let from = mirred::of(netlink, index, Place::FromGuest)?;
    let to = mirred::of(netlink, index, Place::ToGuest)?;
    let filters = member.filters();
    let there = |filter: &&Filter| {
        let (all, at, to) = match filter.place {
            Place::FromGuest => (&from, index, *hub),
            Place::ToGuest => (&to, index, *hub),
            Place::Hub => (at_hub, *hub, index),
        };
        all.iter().any(|found| found.is(&mirred::Led { filter, at, to }))
    };
    let place = |place| match place {
        Place::FromGuest => (host, "ingress"),
        Place::ToGuest => (host, "egress"),
        Place::Hub => (device, "ingress"),
    };
    let lack = |at, what: &str| {
        let (dev, way) = place(at);
        Some((format!("{what} at {dev}, {way}"), format!("tc filter show dev {dev} {way}")))
    };
    if let Some(filter) = filters.iter().find(|filter| !there(filter)) {
        let priority = filter.priority;
        return Ok(lack(filter.place, &format!("the filter of priority {priority} is missing")));
    }
    let wanted = |place| filters.iter().filter(|filter| filter.place == place).count();
    let alone = [(&from, Place::FromGuest), (&to, Place::ToGuest)];
    let more = alone.into_iter().find(|(all, at)| all.len() != wanted(*at));
    Ok(more.and_then(|(_, at)| lack(at, "a filter that is not guestnetd's is")))
}

fn address_object(dev: &IfName, found: &Address) -> Object {
    Object::Address {
        dev: dev.clone(),
        address: found.address,
        prefix: found.prefix,
        prefix_route: found.prefix_route,
    }
}

fn route_object(dev: &IfName, found: &Route) -> Object {
    Object::Route {
        to: found.destination,
        via: found.gateway,
        dev: dev.clone(),
        table: found.table,
    }
}

/// What has to be known of a guest before its link is made, by as few questions as possible: that
/// it has no link of that name is the kernel's to say when it makes one.
pub fn guest_before(
    netlink: &Netlink,
    open: impl FnOnce() -> io::Result<Netlink>,
    net: &GuestNet,
) -> Result<FoundGuest, Error> {
    let failed = |cause: KernelError| Error::kernel("read the guest's network", cause);
    // Any address that is no guest's own: who can reach it has a default route already.
    if route::towards(netlink, ELSEWHERE).map_err(failed)?.is_some() {
        return guest_side(netlink, open, net);
    }
    let lo = loopback(netlink).map_err(failed)?;
    Ok(FoundGuest { objects: vec![(Scope::Guest, lo)], ..FoundGuest::default() })
}

/// Some address of the internet, to ask where packets to it would go.
pub const ELSEWHERE: Ipv4Addr = INTERNET[0];

/// `lo`; the first time that it comes up brings its address.
fn loopback(netlink: &Netlink) -> Result<Object, KernelError> {
    Ok(Object::Loopback(match link::by_index(netlink, IfIndex::LOOPBACK)? {
        // A namespace without lo has no use for it either.
        None => Loopback::Up,
        Some(lo) if lo.up => Loopback::Up,
        Some(lo) if lo.fresh => Loopback::New,
        Some(_) => Loopback::Down,
    }))
}

/// How many addresses of a guest's end are read that are not the one it was given: it may have any number
/// of them, and none of those is guestnetd's.
const ADDRESSES: usize = 64;

/// The guest's side, all of it. `netlink` is a socket in the guest's namespace; `open` opens another one
/// there, which is left with what need not be read.
pub fn guest_side(
    netlink: &Netlink,
    open: impl FnOnce() -> io::Result<Netlink>,
    net: &GuestNet,
) -> Result<FoundGuest, Error> {
    let failed = |cause: KernelError| Error::kernel("read the guest's network", cause);
    let dev = &net.guest.name;
    let mut objects = vec![loopback(netlink).map_err(failed)?];
    let link = link::by_name(netlink, dev.as_str()).map_err(failed)?;
    if let Some(link) = &link {
        let (kind, mac) = (LinkKind::VethPeer, net.guest.mac);
        objects.push(Object::Link { name: dev.clone(), kind, mac, mtu: link.mtu });
        if link.up {
            objects.push(Object::Up { dev: dev.clone() });
        }
        let own = |found: &address::Address| found.address == IpAddr::V4(net.guest.address);
        let addresses = address::among(netlink, link.index, own, ADDRESSES).map_err(failed)?;
        objects.extend(addresses.iter().map(|found| address_object(dev, found)));
    }
    let index = link.as_ref().map(|link| link.index);
    let other = open().map_err(|e| failed(e.into()))?;
    let routes = route::defaults(other, TableId::MAIN).map_err(failed)?;
    let mut other_default = None;
    let mut in_the_way: Vec<_> = link.iter().cloned().collect();
    let (ours, others): (Vec<&Route>, Vec<&Route>) =
        routes.iter().partition(|r| index.is_some() && r.index == index);
    // Another metric is another route: only one of metric 0 is in the way of ours.
    if let Some(r) = others.iter().find(|r| r.priority == 0) {
        let by = r.index.map(|by| link::by_index(netlink, by)).transpose().map_err(failed)?;
        let by = by.flatten();
        let via = r.gateway.map(|g| format!(" via {g}")).unwrap_or_default();
        let dev = by.as_ref().map(|l| format!(" dev {}", l.name)).unwrap_or_default();
        other_default = Some(via + &dev);
        in_the_way.extend(by);
    }
    objects.extend(ours.into_iter().map(|found| route_object(dev, found)));
    Ok(FoundGuest {
        index,
        running: link.is_some_and(|link| link.running),
        objects: objects.into_iter().map(|object| (Scope::Guest, object)).collect(),
        other_default,
        in_the_way,
    })
}

/// Every prefix that the device uses, but for default routes and what is on links of ours: by their
/// marks, or by their indexes, whatever others have made of those.
pub fn device_prefixes(lists: &Lists, is_guests: impl Fn(IfIndex) -> bool) -> Vec<DevicePrefix> {
    let others = lists.links.iter().filter(|l| !l.is_ours() && !is_guests(l.index));
    let names = others.map(|l| (l.index, l.name.clone())).into_map();
    let mut prefixes = Vec::new();
    for a in &lists.addresses {
        let subnet = IpPrefix::containing(a.address, a.prefix).and_then(|prefix| prefix.v4());
        if let (Some(interface), Some(subnet)) = (names.get(&a.index), subnet) {
            prefixes.push(DevicePrefix { subnet, interface: interface.clone(), table: None });
        }
    }
    for r in &lists.routes {
        let interface = match r.index.map(|index| names.get(&index)) {
            Some(Some(name)) => name.clone(),
            Some(None) => continue, // on a link of ours
            None => String::new(),
        };
        // 0/1 and 128/1 together are a VPN's way to put a default route in front of the default route.
        if let Some(subnet) = r.destination.v4().filter(|subnet| subnet.prefix() > 1) {
            prefixes.push(DevicePrefix { subnet, interface, table: Some(r.table) });
        }
    }
    prefixes
}
