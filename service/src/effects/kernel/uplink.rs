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

//! Reads the device's way out. Changes nothing.

use super::link::{self, Link};
use super::netlink::Netlink;
use super::{address, route};
use crate::error::{Error, KernelError};
use crate::model::policy_rules::{self, RoutingMode, Rule};
use crate::model::uplink::{Choice, Uplink};
use crate::spec::{Family, IfName, IfPattern};
use std::net::IpAddr;

/// The uplink as the kernel has it now, on a device that routes so, by these rules. Its resolvers
/// are not the kernel's to say.
pub fn observe(
    netlink: &Netlink,
    choice: &Choice,
    shape: RoutingMode,
    rules: &[Rule],
) -> Result<Uplink, Error> {
    let failed = |cause: KernelError| Error::kernel("read the uplink", cause);
    let mut uplink = Uplink::unknown(choice.clone());
    let default = match shape {
        RoutingMode::Netd { .. } => policy_rules::default_network(rules),
        RoutingMode::Main => {
            let routes = route::of(netlink, Family::V4, Some(policy_rules::MAIN), 0);
            let routes = routes.map_err(failed)?;
            let leads =
                |r: &&route::Route| r.destination.prefix() == 0 && r.unicast && r.index != 0;
            routes.iter().filter(leads).min_by_key(|r| r.priority).map(|r| r.index)
        }
    };
    let leaves_by = match default {
        Some(index) => link::by_index(netlink, index).map_err(failed)?,
        None => None,
    };
    uplink.default_route = leaves_by.as_ref().map(|l| l.name.clone());
    let found = match choice {
        Choice::Listed(list) => candidates(netlink, list).map_err(failed)?,
        Choice::Default => leaves_by.into_iter().collect(),
    };
    let mut first = None;
    for link in found {
        let addresses = address::of(netlink, Family::V4, link.index).map_err(failed)?;
        uplink.name = IfName::new(&link.name);
        uplink.index = link.index;
        uplink.up = link.up && link.carrier;
        uplink.address = addresses.iter().find_map(|a| match a.address {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        });
        uplink.mtu = link.mtu;
        uplink.table = shape.table_of(link.index);
        if uplink.usable() {
            return Ok(uplink);
        }
        first.get_or_insert_with(|| uplink.clone());
    }
    Ok(first.unwrap_or(uplink))
}

/// The links that may be the uplink, the most wanted first. One that is named is asked for; for
/// others all links are read.
fn candidates(netlink: &Netlink, list: &[IfPattern]) -> Result<Vec<Link>, KernelError> {
    if let [only] = list {
        if only.name().is_some() {
            return Ok(link::by_name(netlink, only.as_str())?.into_iter().collect());
        }
    }
    let mut all = link::all(netlink)?;
    all.retain(|link| !link.is_ours());
    let place = |link: &Link| list.iter().position(|pattern| pattern.matches(&link.name));
    let mut found: Vec<_> = all.into_iter().filter_map(|l| Some((place(&l)?, l))).collect();
    found.sort_by_key(|(place, link)| (*place, link.index));
    Ok(found.into_iter().map(|(_, link)| link).collect())
}
