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

use super::netlink::message::Message;
use super::netlink::Netlink;
use crate::error::KernelError;
use crate::spec::{Family, IpPrefix};
use rtnetlink::packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use rtnetlink::packet_route::address::{AddressAttribute, AddressMessage};
use rtnetlink::packet_route::RouteNetlinkMessage::{DelAddress, GetAddress, NewAddress};
use std::net::IpAddr;

/// An address as the kernel describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// Index of its interface.
    pub index: u32,
    /// The address.
    pub address: IpAddr,
    /// Length of its prefix.
    pub prefix: u8,
}

/// Adds an address to a link.
pub(in crate::effects) fn add(
    netlink: &Netlink,
    index: u32,
    address: impl Into<IpAddr>,
    prefix: u8,
) -> Result<(), KernelError> {
    let address = address.into();
    let mut message = named(index, address, prefix);
    message.attributes.push(AddressAttribute::Address(address));
    let broadcast = IpPrefix::new(address, prefix).and_then(|own| own.broadcast());
    message.attributes.extend(broadcast.map(AddressAttribute::Broadcast));
    netlink.change(&NewAddress(message), NLM_F_CREATE | NLM_F_EXCL)
}

/// Takes an address from a link.
pub(in crate::effects) fn delete(
    netlink: &Netlink,
    index: u32,
    address: impl Into<IpAddr>,
    prefix: u8,
) -> Result<(), KernelError> {
    netlink.change(&DelAddress(named(index, address.into(), prefix)), 0)
}

fn named(index: u32, address: IpAddr, prefix: u8) -> AddressMessage {
    let mut message = about(Family::of(address), index);
    message.header.prefix_len = prefix;
    message.attributes = vec![AddressAttribute::Local(address)];
    message
}

fn about(family: Family, index: u32) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = family.into();
    message.header.index = index;
    message
}

/// The addresses of one link, or of all with index 0.
pub fn of(netlink: &Netlink, family: Family, index: u32) -> Result<Vec<Address>, KernelError> {
    let found = match netlink.dump(&GetAddress(about(family, index)), Address::read) {
        // The link went.
        Err(e) if e.errno == libc::ENODEV => Vec::new(),
        other => other?,
    };
    let wanted = |a: &Address| Family::of(a.address) == family && (index == 0 || a.index == index);
    Ok(found.into_iter().filter(wanted).collect())
}

impl Address {
    /// An address out of an address message.
    fn read(message: &Message<'_>) -> Option<Self> {
        const IFADDRMSG: usize = 8;
        const READ: [u16; 2] = [libc::IFA_LOCAL, libc::IFA_ADDRESS];
        let NewAddress(message) = message.typed(libc::RTM_NEWADDR, IFADDRMSG, &READ)? else {
            return None;
        };
        let (mut own, mut other) = (None, None);
        for attribute in message.attributes {
            match attribute {
                AddressAttribute::Local(address) => own = Some(address),
                AddressAttribute::Address(address) => other = Some(address),
                _ => {}
            }
        }
        // IFA_LOCAL is the own address; IFA_ADDRESS is the peer's on point-to-point links, and the own
        // one where IPv6 has no IFA_LOCAL.
        let (index, prefix) = (message.header.index, message.header.prefix_len);
        Some(Self { index, address: own.or(other)?, prefix })
    }
}
