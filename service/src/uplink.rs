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
use crate::kernel::links::{self, Link};
use crate::kernel::netlink::Netlink;
use crate::kernel::{addresses, routes};
use crate::spec::IfName;
use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// How the uplink is chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// This interface.
    Named(IfName),
    /// The one that the device's default route (table main, lowest metric) leaves by.
    Default,
}

impl FromStr for Choice {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "default" {
            return Ok(Self::Default);
        }
        let no_way_out = |name: &IfName| name.as_str() == "lo" || name.slot().is_some();
        IfName::new(text).filter(|name| !no_way_out(name)).map(Self::Named).ok_or_else(|| {
            format!("{text:?} is no uplink: use an interface such as wlan0, or \"default\"")
        })
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => name.fmt(f),
            Self::Default => f.write_str("default"),
        }
    }
}

/// The uplink as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uplink {
    /// How it is chosen.
    pub choice: Choice,
    /// Its name; none when "default" finds no default route.
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
    /// Which interface the device's default route leaves by.
    pub default_route: Option<String>,
}

impl Uplink {
    /// An uplink that has not been looked for.
    pub fn unknown(choice: Choice) -> Self {
        let name = match &choice {
            Choice::Named(name) => Some(name.clone()),
            Choice::Default => None,
        };
        Self {
            choice,
            name,
            index: 0,
            up: false,
            address: None,
            mtu: 0,
            table: routes::MAIN,
            resolvers: Vec::new(),
            default_route: None,
        }
    }

    /// The uplink as the kernel has it now.
    pub fn observe(netlink: &Netlink, choice: &Choice) -> Result<Self, Error> {
        let failed = |cause: KernelError| Error::kernel("read the uplink", cause);
        let mut uplink = Self::unknown(choice.clone());
        let routes = routes::of(netlink, Some(routes::MAIN), 0).map_err(failed)?;
        let default = routes
            .iter()
            .filter(|r| r.destination.prefix() == 0 && r.unicast && r.index != 0)
            .min_by_key(|r| r.priority);
        let mut leaves_by: Option<Link> = None;
        if let Some(route) = default {
            leaves_by = links::by_index(netlink, route.index).map_err(failed)?;
        }
        uplink.default_route = leaves_by.as_ref().map(|l| l.name.clone());
        let link = match choice {
            Choice::Named(name) => links::by_name(netlink, name.as_str()).map_err(failed)?,
            Choice::Default => leaves_by,
        };
        let Some(link) = link else { return Ok(uplink) };
        let found = addresses::of(netlink, link.index).map_err(failed)?;
        uplink.name = IfName::new(&link.name);
        uplink.index = link.index;
        uplink.up = link.up && link.carrier;
        uplink.address = found.first().map(|a| a.address);
        uplink.mtu = link.mtu;
        Ok(uplink)
    }

    /// Whether guests' traffic can leave.
    pub fn usable(&self) -> bool {
        self.up && self.address.is_some()
    }

    /// What makes it doubtful that traffic reaches the internet though the uplink is usable; none
    /// when nothing does. On Android the default route is not in table main, so nothing is known.
    pub fn doubt(&self) -> Option<String> {
        let name = self.name.as_ref().filter(|_| self.usable() && !cfg!(target_os = "android"))?;
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
            return Some("the device has no default route, so there is no uplink".into());
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
