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

//! What a guest's link says of it, where nothing is stored: who it is, its slot, addresses, MTU and VPN
//! policy. Reads only.

use super::{Attached, Daemon};
use crate::effects::kernel::address::{self, Address};
use crate::effects::kernel::link::{self, Link};
use crate::effects::kernel::netlink::Netlink;
use crate::effects::kernel::route;
use crate::model::alloc::slots;
use crate::model::guest_net::NetnsRef;
use crate::model::if_index::IfIndex;
use crate::model::lifeline::Lifelines;
use crate::model::ownership::{Named, ROUTE_PROTOCOL};
use crate::spec::{Family, GuestSpec, IfName, Kind, Mtu, Queues, Subnet};
use crate::store::AttachedRecord;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{SystemTime, UNIX_EPOCH};

/// Most addresses of a guest that are looked at.
const MOST: usize = 256;

/// What is known again of a guest.
pub(super) struct Recovered {
    /// Its slot.
    pub(super) slot: u32,
    /// As it would have been stored.
    pub(super) attached: AttachedRecord,
}

impl Daemon {
    /// All that can be known of the guest behind a link; or what cannot.
    pub(super) fn recover(&self, link: &Link, named: Named) -> Result<Recovered, String> {
        let Named { name, vpn, segment } = named;
        let name = &name;
        let netlink = &self.kernel.netlink;
        let own = IfName::new(&link.name).and_then(|name| name.slot());
        let slots = &self.world.guests.leases.slots;
        let slot = own.or_else(|| slots.choose(name)).ok_or("no slot is free")?;
        let kind = match link.tun {
            // What it was opened with is known as far as its descriptors are still open.
            Some(tun) => Kind::Tap {
                queues: i32::try_from(tun.queues).ok().and_then(Queues::new).unwrap_or(Queues::ONE),
                owner: tun.owner.ok_or("its owner is not known")?,
            },
            None => Kind::Veth,
        };
        let (netns, interface, beyond) = match kind {
            Kind::Veth => look_beyond(netlink, link)?,
            Kind::Tap { .. } => {
                let wlan0 = IfName::new("wlan0").ok_or("its interface is not known")?;
                (None, wlan0, Vec::new())
            }
        };
        let here = address::of(netlink, Family::V4, Some(link.index)).map_err(|e| e.to_string())?;
        let gateway = here.iter().find_map(v4).ok_or("it has no address")?;
        // The guest's own word counts only where there is no route of ours to it, and with the prefix that we have set.
        let prefix = here.iter().map(|found| found.prefix).find(|prefix| *prefix <= 30);
        let (address, prefix) = self
            .by_route(link.index)
            .or_else(|| beyond.iter().find_map(|found| in_subnet(found, gateway)))
            .zip(prefix.map(i32::from))
            .ok_or("its guest's address is not known")?;
        let of = |address, mtu| {
            GuestSpec::new(name.clone(), interface.clone(), address, gateway, prefix, mtu)
                .and_then(|spec| spec.under(vpn.clone()))
                // Of the process that named it nothing is in the kernel.
                .and_then(|spec| spec.lives(true, 0))
                .and_then(|spec| spec.on(segment.clone()).connected(kind))
                .map_err(|e| e.to_string())
        };
        let spec = of(None, -1)?;
        let guests = &self.world.guests;
        let taken = |guest: &Attached| guest.net.slot == slot || guest.name() == name;
        if let Some(other) = guests.attached().find(|guest| taken(guest)) {
            return Err(format!("{} has its name or its slot", other.name()));
        }
        if let Some(other) = guests.leases.holder(address) {
            return Err(format!("guest {other} has its address {address}"));
        }
        // What it was not given by its slot and its way out it has asked for.
        let usual = slots::address(&spec, slot, |_| false) == Some(address);
        let way = self.mtu_of_way(&vpn);
        let mtu = Mtu::new(link.mtu).ok_or("its MTU is not a guest's")?;
        let follows = way.is_none() || way == Some(mtu);
        let asked = if follows { -1 } else { mtu.bytes() as i32 };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let attached = AttachedRecord {
            spec: of(Some(address).filter(|_| !usual), asked)?,
            address,
            mtu,
            index: None, // it is not stored yet
            netns: NetnsRef { id: netns, handle: None },
            lifelines: Lifelines::default(),
            owner_uid: match kind {
                Kind::Veth => nix::unistd::geteuid().as_raw(),
                Kind::Tap { owner, .. } => owner,
            },
            attached_at: i64::try_from(now.as_millis()).unwrap_or(i64::MAX),
            told: None,
            update: None,
        };
        Ok(Recovered { slot, attached })
    }

    /// The address that a route of ours leads to.
    fn by_route(&self, index: IfIndex) -> Option<Ipv4Addr> {
        let table = self.world.platform.routing.guests_table();
        let routes = route::of(&self.kernel.netlink, Family::V4, Some(table), Some(index)).ok()?;
        let ours = routes.iter().filter(|route| route.protocol == ROUTE_PROTOCOL);
        let one = ours.filter_map(|r| r.destination.v4()).find(|to| to.prefix() == 32)?;
        Some(one.network())
    }
}

/// The namespace of a pair's other end, and that end's name and addresses. Kernels before 4.20 do not tell
/// the addresses.
fn look_beyond(
    netlink: &Netlink,
    link: &Link,
) -> Result<(Option<i32>, IfName, Vec<Address>), String> {
    let netns = link.elsewhere.filter(|id| *id >= 0).ok_or("its other end is gone")?;
    let end = link.other_end.ok_or("its other end is gone")?;
    let there = link::beyond(netlink, netns, end);
    let end = there.map_err(|e| e.to_string())?.ok_or("its other end is gone")?;
    let interface = IfName::new(&end.name).ok_or("its other end has no plain name")?;
    let own = Netlink::open().map_err(|e| e.to_string())?;
    let addresses = address::beyond(own, netns, Some(end.index), MOST).unwrap_or_default().0;
    Ok((Some(netns), interface, addresses))
}

fn v4(found: &Address) -> Option<Ipv4Addr> {
    match found.address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    }
}

/// An address that is in one subnet with its gateway.
fn in_subnet(found: &Address, gateway: Ipv4Addr) -> Option<Ipv4Addr> {
    let address = v4(found)?;
    let subnet = Subnet::containing(address, found.prefix)?;
    subnet.contains(gateway).then_some(address)
}
