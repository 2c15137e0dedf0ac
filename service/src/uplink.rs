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

//! The device's way out: which interface it is, and how it is. Reads; changes nothing.

use crate::error::{Error, KernelError};
use crate::kernel::link::{self, Link};
use crate::kernel::netlink::Netlink;
use crate::kernel::{address, route};
use crate::model::policy_rules::{self, Rule, Shape};
use crate::spec::{Family, IfName, IfPattern};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

/// How the uplink is chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The first of these that traffic can leave by; as long as there is none, the first that is there.
    Listed(Vec<IfPattern>),
    /// The one that the device itself leaves by: that of netd's default network, or of the default
    /// route (table main, lowest metric).
    Default,
}

impl FromStr for Choice {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "default" {
            return Ok(Self::Default);
        }
        let way_out = |one: &str| {
            IfPattern::new(one).filter(|p| !p.matches("lo") && !p.matches_host_ends()).ok_or_else(
                || {
                    format!(
                        "{one:?} is no uplink: use an interface such as wlan0, \
                         a list of them such as wlan0,v4-wlan0,rmnet*, or \"default\""
                    )
                },
            )
        };
        text.split(',').map(way_out).collect::<Result<_, _>>().map(Self::Listed)
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listed(list) => {
                let names: Vec<_> = list.iter().map(IfPattern::as_str).collect();
                f.write_str(&names.join(","))
            }
            Self::Default => f.write_str("default"),
        }
    }
}

impl Choice {
    /// Whether an interface of this name may be the uplink by its name.
    pub fn lists(&self, name: &str) -> bool {
        match self {
            Self::Listed(list) => list.iter().any(|pattern| pattern.matches(name)),
            Self::Default => false,
        }
    }

    /// The name, where there is but one.
    fn only(&self) -> Option<IfName> {
        match self {
            Self::Listed(list) => list.first().filter(|_| list.len() == 1)?.name(),
            Self::Default => None,
        }
    }
}

/// The uplink as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uplink {
    /// How it is chosen.
    pub choice: Choice,
    /// Its name; none when nothing is there to choose.
    pub name: Option<IfName>,
    /// Its index; 0 when there is no such interface.
    pub index: u32,
    /// Whether it is there, up, and has carrier.
    pub up: bool,
    /// Its first address.
    pub address: Option<Ipv4Addr>,
    /// Its MTU in bytes; 0 when there is no such interface.
    pub mtu: u32,
    /// The routing table that its routes are in.
    pub table: u32,
    /// The resolvers behind it; the first is the one in use.
    pub resolvers: Vec<Ipv4Addr>,
    /// Which interface the device's own traffic leaves by.
    pub default_route: Option<String>,
}

impl Uplink {
    /// An uplink that has not been looked for.
    pub fn unknown(choice: Choice) -> Self {
        Self {
            name: choice.only(),
            choice,
            index: 0,
            up: false,
            address: None,
            mtu: 0,
            table: policy_rules::MAIN,
            resolvers: Vec::new(),
            default_route: None,
        }
    }

    /// The uplink as the kernel has it now, on a device that routes so, by these rules. Its resolvers
    /// are not the kernel's to say.
    pub fn observe(
        netlink: &Netlink,
        choice: &Choice,
        shape: Shape,
        rules: &[Rule],
    ) -> Result<Self, Error> {
        let failed = |cause: KernelError| Error::kernel("read the uplink", cause);
        let mut uplink = Self::unknown(choice.clone());
        let default = match shape {
            Shape::Netd { .. } => policy_rules::default_network(rules),
            Shape::Main => {
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

    /// Whether guests' traffic can leave.
    pub fn usable(&self) -> bool {
        self.up && self.address.is_some()
    }

    /// What makes it doubtful that traffic reaches the internet though the uplink is usable; none
    /// when nothing does. Where netd routes, guests leave by the uplink whatever the default network.
    pub fn doubt(&self) -> Option<String> {
        let name =
            self.name.as_ref().filter(|_| self.usable() && self.table == policy_rules::MAIN)?;
        match &self.default_route {
            Some(other) if other == name.as_str() => None,
            Some(other) => Some(format!(
                "{name} is up, but the default route leaves by {other}: \
                 start guestnetd with --uplink {other} or --uplink default"
            )),
            None => Some(format!(
                "{name} is up, but the device has no default route: guests reach its neighbours only; \
                 ip route add default via ROUTER dev {name}"
            )),
        }
    }

    /// What keeps traffic from leaving, and the next step; none when nothing does.
    pub fn trouble(&self) -> Option<String> {
        if self.usable() {
            return None;
        }
        let Some(name) = &self.name else {
            return Some(match &self.choice {
                Choice::Default => "the device has no default route, so there is no uplink".into(),
                Choice::Listed(_) => format!("none of {} is there: traffic waits", self.choice),
            });
        };
        Some(if self.index == 0 {
            match &self.default_route {
                Some(other) => format!(
                    "no interface {name}; the default route leaves by {other}: \
                     start guestnetd with --uplink {other} or --uplink default"
                ),
                None => {
                    format!("no interface {name}, and no default route: traffic waits for {name}")
                }
            }
        } else if !self.up {
            format!("{name} is down or has no carrier: traffic waits for it")
        } else {
            format!("{name} has no IPv4 address: traffic waits for one")
        })
    }
}

impl fmt::Display for Uplink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.as_ref().map_or("none", |n| n.as_str());
        let address = self.address.map_or("without address".to_owned(), |a| a.to_string());
        write!(f, "{name} {address}, MTU {}", self.mtu)
    }
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
