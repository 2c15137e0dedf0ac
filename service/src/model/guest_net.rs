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

//! A guest's network as it should be. Pure data.

use super::ownership::Mac;
use super::policy_rules::RoutingMode;
use super::segment::Member;
use super::table::TableId;
use crate::spec::{Dns, GuestName, GuestSpec, IfName, Kind, Mtu, SegmentName, Subnet, VpnPolicy};
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;

/// What is kept of a guest's network namespace. It holds nothing there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetnsRef {
    /// The kernel's number for it in the device's (IFLA_LINK_NETNSID of the host end), the same for
    /// as long as both live; none: it is not known.
    pub id: Option<i32>,
    /// nsfs's file handle, where the kernel has one for namespaces.
    pub handle: Option<[u8; 16]>,
}

/// A guest's network as it is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestNet {
    /// Who.
    pub name: GuestName,
    /// How it is connected.
    pub kind: Kind,
    /// The slot.
    pub slot: u32,
    /// The device's end.
    pub host: HostEnd,
    /// The guest's end.
    pub guest: GuestEnd,
    /// The subnet that both ends are in.
    pub subnet: Subnet,
    /// MTU of both ends in bytes.
    pub mtu: Mtu,
    /// What becomes of its traffic under a VPN.
    pub vpn: VpnPolicy,
    /// Where its questions for names go.
    pub dns: Dns,
    /// The segment that it is on.
    pub segment: Option<SegmentName>,
}

/// The device's end as it is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostEnd {
    /// `vm_wlan` or `vm_wlan<slot>`.
    pub name: IfName,
    /// Its MAC.
    pub mac: Mac,
    /// The gateway's address.
    pub address: Ipv4Addr,
    /// Length of the subnet's prefix.
    pub prefix: u8,
    /// What has a route by this end: the guest's address.
    pub route: Subnet,
    /// The table that it is in.
    pub table: TableId,
    /// Whether a filter of its own lets the guest's address in alone, where rp_filter does not.
    pub pinned: bool,
}

/// The guest's end as it is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestEnd {
    /// The interface's name.
    pub name: IfName,
    /// Its MAC.
    pub mac: Mac,
    /// The guest's address.
    pub address: Ipv4Addr,
    /// Length of the subnet's prefix.
    pub prefix: u8,
    /// The default route's next hop.
    pub gateway: Ipv4Addr,
}

impl GuestNet {
    /// The network for `spec` in `slot` with `address` and `mtu`.
    pub fn new(spec: &GuestSpec, slot: u32, address: Ipv4Addr, mtu: Mtu) -> Self {
        Self {
            name: spec.name.clone(),
            kind: spec.kind,
            slot,
            host: HostEnd {
                name: IfName::host_end(slot),
                mac: Mac::host(&spec.name),
                address: spec.gateway,
                prefix: spec.subnet.prefix(),
                route: Subnet::of_one(address),
                table: TableId::MAIN,
                pinned: false,
            },
            guest: GuestEnd {
                name: spec.interface.clone(),
                mac: Mac::guest(&spec.name),
                address,
                prefix: spec.subnet.prefix(),
                gateway: spec.gateway,
            },
            subnet: spec.subnet,
            mtu: spec.kind.nearest(mtu),
            vpn: spec.vpn.clone(),
            dns: spec.dns.clone(),
            segment: spec.segment.clone(),
        }
    }

    /// Its place in its segment, if it is on one.
    pub fn member(&self) -> Option<Member> {
        let segment = self.segment.as_ref()?;
        Some(Member::new(segment, self.slot, self.guest.mac, self.guest.address))
    }

    /// The same on a device that routes so.
    pub fn routed(mut self, shape: RoutingMode) -> Self {
        self.host.table = shape.guests_table();
        self
    }

    /// The same with a filter of its own, if one is needed.
    pub fn pinned(mut self, needed: bool) -> Self {
        self.host.pinned |= needed;
        self
    }
}
