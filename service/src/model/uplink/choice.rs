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

//! Which interfaces may be the uplink, as guestnetd was told at its start. Pure.

use crate::spec::{IfName, IfPattern};
use std::fmt;
use std::str::FromStr;

/// How the uplink is chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Of these the first that carries a default route; as long as none does, the first that is up
    /// and has an address, or else the first that is there.
    Listed(Vec<IfPattern>),
    /// The one that the kernel sends guests' packets to the internet by: that of netd's default
    /// network, or of the route that its rules and tables answer with.
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
                        "{one:?} is not a valid uplink: use an interface such as wlan0, \
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

/// What Android calls the interface by which an IPv6-only network has IPv4: `v4-wlan0`
/// (ClatCoordinator.java, `CLAT_PREFIX`).
const CLAT_PREFIX: &str = "v4-";

/// The interface of the network that a clat's interface gives IPv4 to.
pub fn behind_clat(name: &str) -> Option<&str> {
    name.strip_prefix(CLAT_PREFIX)
}

/// The interface of a network's clat; none for one that is a clat's itself, or whose name is too long.
pub fn clat_of(name: &IfName) -> Option<IfName> {
    let name = name.as_str();
    IfName::new(&format!("{CLAT_PREFIX}{name}")).filter(|_| behind_clat(name).is_none())
}

impl Choice {
    /// Whether guests may leave by an interface of this name, once the kernel sends them there.
    pub fn allows(&self, name: &str) -> bool {
        match self {
            Self::Listed(_) => self.place(name).is_some(),
            Self::Default => true,
        }
    }

    /// The place of a name in the list, the most wanted first; a clat comes right after its network.
    pub(super) fn place(&self, name: &str) -> Option<(usize, bool)> {
        let Self::Listed(list) = self else { return None };
        let at = |name: &str| list.iter().position(|pattern| pattern.matches(name));
        let itself = at(name).map(|place| (place, false));
        itself.or_else(|| Some((at(behind_clat(name)?)?, true)))
    }

    /// The name, where there is but one.
    pub fn only(&self) -> Option<IfName> {
        match self {
            Self::Listed(list) => list.first().filter(|_| list.len() == 1)?.name(),
            Self::Default => None,
        }
    }
}
