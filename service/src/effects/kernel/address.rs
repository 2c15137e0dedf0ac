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

//! RTM_*ADDR messages.

use super::netlink::attr::{Request, Writer};
use super::netlink::message::Message;
use super::netlink::Netlink;
use crate::error::KernelError;
use crate::model::if_index::IfIndex;
use crate::spec::{Family, IpPrefix};
use rtnetlink::packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use rtnetlink::packet_route::address::{
    AddressAttribute, AddressFlags, AddressMessage, AddressScope,
};
use rtnetlink::packet_route::RouteNetlinkMessage::{DelAddress, GetAddress, NewAddress};
use std::cell::Cell;
use std::net::IpAddr;

/// An address as the kernel describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// Index of its interface.
    pub index: IfIndex,
    /// The address.
    pub address: IpAddr,
    /// Length of its prefix.
    pub prefix: u8,
    /// Whether the kernel has made a route to that prefix with it.
    pub prefix_route: bool,
    /// Whether it is for the whole world (RT_SCOPE_UNIVERSE), and no link's or device's own.
    pub global: bool,
}

/// Adds an address to a link, with or without a route to all of its prefix.
pub(in crate::effects) fn add(
    netlink: &Netlink,
    index: IfIndex,
    address: impl Into<IpAddr>,
    prefix: u8,
    prefix_route: bool,
) -> Result<(), KernelError> {
    let address = address.into();
    let mut message = named(index, address, prefix);
    message.attributes.push(AddressAttribute::Address(address));
    let broadcast = IpPrefix::new(address, prefix).and_then(|own| own.broadcast());
    message.attributes.extend(broadcast.map(AddressAttribute::Broadcast));
    if !prefix_route {
        message.attributes.push(AddressAttribute::Flags(AddressFlags::Noprefixroute));
    }
    netlink.change(&NewAddress(message), NLM_F_CREATE | NLM_F_EXCL)
}

/// Takes an address from a link.
pub(in crate::effects) fn delete(
    netlink: &Netlink,
    index: IfIndex,
    address: impl Into<IpAddr>,
    prefix: u8,
) -> Result<(), KernelError> {
    netlink.change(&DelAddress(named(index, address.into(), prefix)), 0)
}

fn named(index: IfIndex, address: IpAddr, prefix: u8) -> AddressMessage {
    let mut message = about(Family::of(address), Some(index));
    message.header.prefix_len = prefix;
    message.attributes = vec![AddressAttribute::Local(address)];
    message
}

fn about(family: Family, index: Option<IfIndex>) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = family.into();
    message.header.index = IfIndex::or_zero(index);
    message
}

/// The addresses of one link, or of all.
pub fn of(
    netlink: &Netlink,
    family: Family,
    index: Option<IfIndex>,
) -> Result<Vec<Address>, KernelError> {
    let found = match netlink.dump(&GetAddress(about(family, index)), Address::read) {
        // The link went.
        Err(e) if e.errno == libc::ENODEV => Vec::new(),
        other => other?,
    };
    let wanted = |a: &Address| {
        Family::of(a.address) == family && (index.is_none() || index == Some(a.index))
    };
    Ok(found.into_iter().filter(wanted).collect())
}

/// The wanted ones of one link, and at most so many of all others.
pub fn among(
    netlink: &Netlink,
    index: IfIndex,
    wanted: impl Fn(&Address) -> bool,
    most: usize,
) -> Result<Vec<Address>, KernelError> {
    let others = Cell::new(0);
    let kept = |message: &Message<'_>| {
        let found = Address::read(message).filter(|found| found.index == index)?;
        if !wanted(&found) {
            others.set(others.get() + 1);
        }
        (wanted(&found) || others.get() <= most).then_some(found)
    };
    match netlink.dump(&GetAddress(about(Family::V4, Some(index))), kept) {
        Err(e) if e.errno == libc::ENODEV => Ok(Vec::new()),
        other => other,
    }
}

/// The IPv4 addresses of one link, or of all, in the network namespace of this id, at most so many, and
/// whether these are all. Nothing there is entered. Takes a socket of its own: a guest may have any number of them.
pub fn beyond(
    netlink: Netlink,
    netnsid: i32,
    index: Option<IfIndex>,
    most: usize,
) -> Result<(Vec<Address>, bool), KernelError> {
    /// linux/if_addr.h
    const IFA_TARGET_NETNSID: u16 = 10;
    let mut header = vec![libc::AF_INET as u8, 0, 0, 0];
    header.extend(index.map_or(0, IfIndex::get).to_ne_bytes());
    let body = Writer::after(&header).with(IFA_TARGET_NETNSID, &netnsid.to_ne_bytes());
    // A kernel that does not know the attribute (before 4.20) would tell of its own namespace.
    let there = |message: &Message<'_>| {
        let of = message.attributes(IFADDRMSG).find(IFA_TARGET_NETNSID)?;
        let wanted = |found: &Address| index.is_none() || index == Some(found.index);
        Address::read(message).filter(|found| of == netnsid.to_ne_bytes() && wanted(found))
    };
    let request = Request { kind: libc::RTM_GETADDR, body };
    match netlink.dump_at_most(&request, most, there) {
        Err(e) if e.errno == libc::ENODEV => Ok((Vec::new(), true)),
        other => other,
    }
}

/// Length of `struct ifaddrmsg` (linux/if_addr.h).
const IFADDRMSG: usize = 8;

impl Address {
    /// An address out of an address message.
    fn read(message: &Message<'_>) -> Option<Self> {
        // linux/if_addr.h; Android's libc crate has no name for it.
        const IFA_FLAGS: u16 = 8;
        const READ: [u16; 3] = [libc::IFA_LOCAL, libc::IFA_ADDRESS, IFA_FLAGS];
        let NewAddress(message) = message.typed(libc::RTM_NEWADDR, IFADDRMSG, &READ)? else {
            return None;
        };
        let global = message.header.scope == AddressScope::Universe;
        let (mut own, mut other) = (None, None);
        let mut prefix_route = true;
        for attribute in message.attributes {
            match attribute {
                AddressAttribute::Local(address) => own = Some(address),
                AddressAttribute::Address(address) => other = Some(address),
                AddressAttribute::Flags(flags) => {
                    prefix_route = !flags.contains(AddressFlags::Noprefixroute);
                }
                _ => {}
            }
        }
        // IFA_LOCAL is the own address; IFA_ADDRESS is the peer's on point-to-point links, and the own
        // one where IPv6 has no IFA_LOCAL.
        let (index, prefix) = (IfIndex::new(message.header.index)?, message.header.prefix_len);
        Some(Self { index, address: own.or(other)?, prefix, prefix_route, global })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effects::kernel::testing::{in_a_netns, ip};
    use crate::effects::kernel::{link, route};
    use crate::model::table::TableId;
    use std::net::Ipv4Addr;

    #[test]
    fn of_many_addresses_those_that_are_wanted_are_read() {
        in_a_netns(|netlink| {
            ip("link add one type veth peer name other");
            let index = link::by_name(netlink, "one").unwrap().unwrap().index;
            for last in 1..=20 {
                add(netlink, index, Ipv4Addr::new(192, 0, 2, last), 32, false).unwrap();
            }
            let own = |found: &Address| found.address == Ipv4Addr::new(192, 0, 2, 20);
            let found = among(netlink, index, own, 4).unwrap();
            assert_eq!(found.len(), 5);
            assert!(found.iter().any(own));
            assert_eq!(among(netlink, index, own, 100).unwrap().len(), 20);
        });
    }

    #[test]
    fn an_address_without_a_prefix_route_takes_no_network() {
        in_a_netns(|netlink| {
            ip("link add one type veth peer name other");
            ip("link set one up");
            ip("link set other up");
            let index = link::by_name(netlink, "one").unwrap().unwrap().index;
            let (own, prefix) = (Ipv4Addr::new(172, 17, 3, 2), 16);
            for prefix_route in [false, true] {
                add(netlink, index, own, prefix, prefix_route).unwrap();
                let address =
                    Address { index, address: own.into(), prefix, prefix_route, global: true };
                assert_eq!(of(netlink, Family::V4, Some(index)).unwrap(), [address]);
                let routes =
                    route::of(netlink, Family::V4, Some(TableId::MAIN), Some(index)).unwrap();
                assert_eq!(routes.len(), usize::from(prefix_route), "{routes:?}");
                delete(netlink, index, own, prefix).unwrap();
                assert_eq!(of(netlink, Family::V4, Some(index)).unwrap(), []);
            }
        });
    }
}
