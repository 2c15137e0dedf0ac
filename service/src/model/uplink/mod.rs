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

//! The device's way out: which interface it is, how it is, and whether traffic leaves by it. Pure.

mod choice;
mod fault;
pub mod select;
pub mod way;

pub use choice::{clat_of, Choice};

use super::policy_rules::RoutingMode;
use super::table::TableId;
use crate::model::if_index::IfIndex;
use crate::ordered::{IntoOrdered, OrderedMap};
use crate::spec::{IfName, Subnet};
use std::fmt;
use std::net::Ipv4Addr;
use way::{Behind, Hop, Way};

/// The uplink as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uplink {
    /// How it is chosen.
    pub choice: Choice,
    /// How the device routes.
    pub routing: RoutingMode,
    /// Its name; none when nothing is there to choose.
    pub name: Option<IfName>,
    /// Its index; none when there is no such interface.
    pub index: Option<IfIndex>,
    /// Whether it is there, up, and has carrier.
    pub up: bool,
    /// Its first address.
    pub address: Option<Ipv4Addr>,
    /// The network that this is in, whose hosts it reaches without a router.
    pub network: Option<Subnet>,
    /// Its MTU in bytes; 0 when there is no such interface.
    pub mtu: u32,
    /// The routing table that its routes are in.
    pub table: TableId,
    /// The resolvers behind it; the first is the one in use.
    pub resolvers: Vec<Ipv4Addr>,
    /// Where the device sends packets to the internet.
    pub way: Way,
    /// Whether packets to the internet leave by it, once guests' are led there.
    pub carries: bool,
    /// The other interfaces that guests leave by, where the kernel spreads connections over several.
    pub also: Vec<IfName>,
    /// What is behind it.
    pub behind: Behind,
    /// The bridge or bond that it is a port of.
    pub port_of: Option<String>,
    /// The VRF that it is in.
    pub vrf: Option<String>,
    /// An address of its, with its prefix, that is of its link alone, where it has no other.
    pub narrow: Option<(Ipv4Addr, u8)>,
    /// The interface that has IPv6 alone, where there is no IPv4.
    pub ipv6_by: Option<String>,
}

impl Uplink {
    /// An uplink that has not been looked for.
    pub fn unknown(choice: Choice) -> Self {
        Self {
            name: choice.only(),
            choice,
            routing: RoutingMode::Main,
            index: None,
            up: false,
            address: None,
            network: None,
            mtu: 0,
            table: TableId::MAIN,
            resolvers: Vec::new(),
            way: Way::default(),
            carries: false,
            also: Vec::new(),
            behind: Behind::Network,
            port_of: None,
            vrf: None,
            narrow: None,
            ipv6_by: None,
        }
    }

    /// Whether guests' traffic can leave.
    pub fn usable(&self) -> bool {
        self.up && self.address.is_some() && self.port_of.is_none()
    }

    /// Which interface the device's own traffic leaves by, the first where there are several.
    pub fn default_route(&self) -> Option<&str> {
        self.way.first().map(|hop| hop.name.as_str())
    }

    /// The interfaces that guests leave by.
    pub fn ways_out(&self) -> impl Iterator<Item = &IfName> {
        self.name.iter().chain(&self.also)
    }

    /// Where connections are spread over several interfaces: what they leave by each with.
    pub fn sources(&self) -> OrderedMap<IfName, Ipv4Addr> {
        if self.also.is_empty() {
            return OrderedMap::new();
        }
        let source = |name: &IfName| {
            let hop = self.way.hops.iter().find(|hop| hop.name == name.as_str())?;
            Some((name.clone(), hop.source?))
        };
        self.ways_out().filter_map(source).into_map()
    }

    fn is_own(&self, hop: &Hop) -> bool {
        self.name.as_ref().is_some_and(|name| name.as_str() == hop.name)
    }
}

impl fmt::Display for Uplink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.as_ref().map_or("none", |n| n.as_str());
        let address = self.address.map_or("without address".to_owned(), |a| a.to_string());
        write!(f, "{name} {address}, MTU {}", self.mtu)?;
        self.also.iter().try_for_each(|other| write!(f, ", and {other}"))
    }
}
