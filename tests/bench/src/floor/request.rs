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

//! What the floor asks rtnetlink for. Each function adds one message to a batch, which is answered
//! only when it fails, unless it asks for something.

use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::message::{Batch, NEW, SILENT};

/// guestnetd's link group, "gnet".
pub const GROUP: u32 = 0x676e_6574;
/// guestnetd's `rtm_protocol`.
const ROUTE_PROTOCOL: u8 = 103;

const RTEXT_FILTER_SKIP_STATS: u32 = 1 << 3;
const VETH_INFO_PEER: u16 = 1;
const UP: u32 = libc::IFF_UP as u32;

/// One end of a pair.
#[derive(Clone, Debug)]
pub struct End {
    /// Its index, chosen in advance: nobody has to look it up.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its MAC.
    pub mac: [u8; 6],
    /// Its MTU.
    pub mtu: u32,
}

/// Makes a pair, its other end in `netns` from the first moment, one queue each.
pub fn create(batch: &mut Batch, host: &End, guest: &End, netns: BorrowedFd<'_>) {
    batch.message(libc::RTM_NEWLINK, SILENT | NEW, &link(host.index, 0, 0));
    describe(batch, host);
    batch.nested(libc::IFLA_LINKINFO, |batch| {
        batch.text(libc::IFLA_INFO_KIND, "veth").nested(libc::IFLA_INFO_DATA, |batch| {
            batch.nested(VETH_INFO_PEER, |batch| {
                batch.raw(&link(guest.index, 0, 0));
                describe(batch, guest);
                batch.number(libc::IFLA_NET_NS_FD, netns.as_raw_fd() as u32);
            });
        });
    });
}

fn describe(batch: &mut Batch, end: &End) {
    batch
        .text(libc::IFLA_IFNAME, &end.name)
        .attribute(libc::IFLA_ADDRESS, &end.mac)
        .number(libc::IFLA_MTU, end.mtu)
        .number(libc::IFLA_GROUP, GROUP)
        .number(libc::IFLA_NUM_TX_QUEUES, 1)
        .number(libc::IFLA_NUM_RX_QUEUES, 1);
}

/// Sets a link up.
pub fn up(batch: &mut Batch, index: u32) {
    batch.message(libc::RTM_NEWLINK, SILENT, &link(index, UP, UP));
}

/// Sets a link up and gives it its alias.
pub fn up_with_alias(batch: &mut Batch, index: u32, alias: &str) {
    batch.message(libc::RTM_NEWLINK, SILENT, &link(index, UP, UP));
    batch.attribute(libc::IFLA_IFALIAS, alias.as_bytes());
}

/// Gives a link an address.
pub fn address(batch: &mut Batch, index: u32, address: Ipv4Addr, prefix: u8) {
    let mut header = [libc::AF_INET as u8, prefix, 0, 0, 0, 0, 0, 0];
    header[4..].copy_from_slice(&index.to_ne_bytes());
    batch.message(libc::RTM_NEWADDR, SILENT | NEW, &header);
    batch.attribute(libc::IFA_LOCAL, &address.octets());
    batch.attribute(libc::IFA_ADDRESS, &address.octets());
    if prefix < 31 {
        let host_bits = u32::MAX.checked_shr(prefix.into()).unwrap_or(0);
        let broadcast = Ipv4Addr::from(u32::from(address) | host_bits);
        batch.attribute(libc::IFA_BROADCAST, &broadcast.octets());
    }
}

/// Adds the default route by a gateway.
pub fn default_route(batch: &mut Batch, index: u32, gateway: Ipv4Addr) {
    batch.message(libc::RTM_NEWROUTE, SILENT | NEW, &route(0, libc::RT_SCOPE_UNIVERSE));
    batch.number(libc::RTA_OIF, index).attribute(libc::RTA_GATEWAY, &gateway.octets());
}

/// Adds a route to one address on a link.
pub fn host_route(batch: &mut Batch, index: u32, address: Ipv4Addr) {
    batch.message(libc::RTM_NEWROUTE, SILENT | NEW, &route(32, libc::RT_SCOPE_LINK));
    batch.number(libc::RTA_OIF, index).attribute(libc::RTA_DST, &address.octets());
}

/// Asks for a link. The kernel first works off what has changed of its carrier.
pub fn get(batch: &mut Batch, index: u32) {
    batch.message(libc::RTM_GETLINK, SILENT, &link(index, 0, 0));
    batch.number(libc::IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
}

/// Deletes a link.
pub fn delete(batch: &mut Batch, index: u32) {
    batch.message(libc::RTM_DELLINK, SILENT, &link(index, 0, 0));
}

/// Deletes all links of guestnetd's group.
pub fn delete_group(batch: &mut Batch) {
    batch.message(libc::RTM_DELLINK, SILENT, &link(0, 0, 0)).number(libc::IFLA_GROUP, GROUP);
}

/// `struct ifinfomsg`.
fn link(index: u32, flags: u32, change: u32) -> [u8; 16] {
    let mut header = [0; 16];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    header[8..12].copy_from_slice(&flags.to_ne_bytes());
    header[12..].copy_from_slice(&change.to_ne_bytes());
    header
}

/// `struct rtmsg`, of table main.
fn route(prefix: u8, scope: u8) -> [u8; 12] {
    let (main, unicast) = (libc::RT_TABLE_MAIN, libc::RTN_UNICAST);
    [libc::AF_INET as u8, prefix, 0, 0, main, ROUTE_PROTOCOL, scope, unicast, 0, 0, 0, 0]
}
