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

//! RTM_*ADDR messages, IPv4 only.

use super::netlink::attr::Request;
use super::netlink::message::{attributes, ipv4, u32_at};
use super::netlink::Netlink;
use crate::error::KernelError;
use crate::spec::Subnet;
use rtnetlink::packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use std::net::Ipv4Addr;

/// An address as the kernel describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// Index of its interface.
    pub index: u32,
    /// The address.
    pub address: Ipv4Addr,
    /// Length of its prefix.
    pub prefix: u8,
}

/// Adds an address to a link.
pub fn add(
    netlink: &Netlink,
    index: u32,
    address: Ipv4Addr,
    prefix: u8,
) -> Result<(), KernelError> {
    let mut message = named(index, address, prefix).with(libc::IFA_ADDRESS, &address.octets());
    if let Some(subnet) = Subnet::containing(address, prefix).filter(|s| s.prefix() < 31) {
        message = message.with(libc::IFA_BROADCAST, &subnet.broadcast().octets());
    }
    netlink.change(libc::RTM_NEWADDR, &message, NLM_F_CREATE | NLM_F_EXCL)
}

/// Takes an address from a link.
pub fn delete(
    netlink: &Netlink,
    index: u32,
    address: Ipv4Addr,
    prefix: u8,
) -> Result<(), KernelError> {
    netlink.change(libc::RTM_DELADDR, &named(index, address, prefix), 0)
}

fn named(index: u32, address: Ipv4Addr, prefix: u8) -> Request {
    about(index, prefix).with(libc::IFA_LOCAL, &address.octets())
}

/// `struct ifaddrmsg`: family, prefix, flags, scope, index.
fn about(index: u32, prefix: u8) -> Request {
    let [a, b, c, d] = index.to_ne_bytes();
    Request::new(&[libc::AF_INET as u8, prefix, 0, 0, a, b, c, d])
}

/// The addresses of one link, or of all with index 0.
pub fn of(netlink: &Netlink, index: u32) -> Result<Vec<Address>, KernelError> {
    let message = about(index, 0);
    let found = match netlink.dump(libc::RTM_GETADDR, &message, Address::read) {
        // The link went.
        Err(e) if e.errno == libc::ENODEV => Vec::new(),
        other => other?,
    };
    Ok(found.into_iter().filter(|a| index == 0 || a.index == index).collect())
}

impl Address {
    /// An address out of the body of an address message (`struct ifaddrmsg`); none if it is not
    /// IPv4's.
    fn read(body: &[u8]) -> Option<Self> {
        const IFADDRMSG: usize = 8;
        if i32::from(*body.first()?) != libc::AF_INET {
            return None;
        }
        let all = attributes(body, IFADDRMSG);
        // IFA_LOCAL is the own address; IFA_ADDRESS is the peer's on point-to-point links.
        let own = all.clone().find(libc::IFA_LOCAL).or_else(|| all.find(libc::IFA_ADDRESS))?;
        Some(Self { index: u32_at(body, 4)?, address: ipv4(own)?, prefix: *body.get(1)? })
    }
}
