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

//! The device's way out: which interface it is, how it is, and what keeps traffic from leaving. Pure.

use super::fault::{Cause, Fault};
use super::policy_rules;
use crate::spec::{IfName, IfPattern};
use std::fmt;
use std::net::Ipv4Addr;
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

impl Choice {
    /// Whether an interface of this name may be the uplink by its name.
    pub fn lists(&self, name: &str) -> bool {
        match self {
            Self::Listed(list) => list.iter().any(|pattern| pattern.matches(name)),
            Self::Default => false,
        }
    }

    /// The name, where there is but one.
    pub fn only(&self) -> Option<IfName> {
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

    /// Whether guests' traffic can leave.
    pub fn usable(&self) -> bool {
        self.up && self.address.is_some()
    }

    /// What makes it doubtful that traffic reaches the internet though the uplink is usable; none
    /// when nothing does. Where netd routes, guests leave by the uplink whatever the default network.
    pub fn doubt(&self) -> Option<Fault> {
        let name =
            self.name.as_ref().filter(|_| self.usable() && self.table == policy_rules::MAIN)?;
        match &self.default_route {
            Some(other) if other == name.as_str() => None,
            Some(other) => {
                let text = format!("{name} is up, but the default route leaves via {other}");
                Some(Fault::new(Cause::DefaultRouteElsewhere, text).with_step(follow(other)))
            }
            None => {
                let text = format!(
                    "{name} is up, but the device has no default route: guests reach its neighbours only"
                );
                let step = format!("ip route add default via ROUTER dev {name}");
                Some(Fault::new(Cause::NoDefaultRoute, text).with_step(step))
            }
        }
    }

    /// What is wrong with it, or doubtful; none when nothing is.
    pub fn fault(&self) -> Option<Fault> {
        self.trouble().or_else(|| self.doubt())
    }

    /// What keeps traffic from leaving; none when nothing does.
    pub fn trouble(&self) -> Option<Fault> {
        if self.usable() {
            return None;
        }
        let Some(name) = &self.name else {
            return Some(match &self.choice {
                Choice::Default => Fault::new(
                    Cause::NoDefaultRoute,
                    "the device has no default route, so there is no uplink",
                ),
                Choice::Listed(_) => self
                    .or_elsewhere(Cause::UplinkMissing, format!("none of {} exists", self.choice)),
            });
        };
        Some(if self.index == 0 {
            let none = match &self.default_route {
                Some(_) => format!("no interface {name}"),
                None => format!("no interface {name}, and no default route"),
            };
            self.or_elsewhere(Cause::UplinkMissing, none)
        } else if !self.up {
            self.or_elsewhere(Cause::NoCarrier, format!("{name} is down or has no carrier"))
        } else {
            self.or_elsewhere(Cause::UplinkNoAddress, format!("{name} has no IPv4 address"))
        })
    }

    /// The fault; where the device itself leaves by another interface, guests could too.
    fn or_elsewhere(&self, cause: Cause, text: String) -> Fault {
        let own = self.name.as_ref().map(IfName::as_str);
        match self.default_route.as_deref().filter(|other| own != Some(other)) {
            Some(other) => {
                let text = format!("{text}; the default route leaves via {other}");
                Fault::new(cause, text).with_step(follow(other))
            }
            None => Fault::new(cause, text),
        }
    }
}

/// How to have guests leave by the interface that the device leaves by.
fn follow(other: &str) -> String {
    format!("start guestnetd with --uplink {other} or --uplink default")
}

impl fmt::Display for Uplink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.as_ref().map_or("none", |n| n.as_str());
        let address = self.address.map_or("without address".to_owned(), |a| a.to_string());
        write!(f, "{name} {address}, MTU {}", self.mtu)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uplink(choice: &str, seen: (u32, bool, Option<Ipv4Addr>), route: &str) -> Uplink {
        let mut uplink = Uplink::unknown(choice.parse().unwrap());
        (uplink.index, uplink.up, uplink.address) = seen;
        uplink.default_route = (!route.is_empty()).then(|| route.to_owned());
        uplink
    }

    #[test]
    fn each_fault_of_an_uplink_has_its_cause_and_its_sentence() {
        use Cause::*;
        let has = Some(Ipv4Addr::new(10, 0, 0, 5));
        let [gone, down, bare, well] =
            [(0, false, None), (3, false, has), (3, true, None), (3, true, has)];
        for (uplink, cause, text, step) in [
            (
                uplink("wlan0", gone, ""),
                UplinkMissing,
                "no interface wlan0, and no default route",
                None,
            ),
            (
                uplink("wlan0", gone, "eth0"),
                UplinkMissing,
                "no interface wlan0; the default route leaves via eth0",
                Some("eth0"),
            ),
            (
                uplink("default", gone, ""),
                NoDefaultRoute,
                "the device has no default route, so there is no uplink",
                None,
            ),
            (uplink("wlan7,rmnet*", gone, ""), UplinkMissing, "none of wlan7,rmnet* exists", None),
            (
                uplink("wlan7,rmnet*", gone, "eth0"),
                UplinkMissing,
                "none of wlan7,rmnet* exists; the default route leaves via eth0",
                Some("eth0"),
            ),
            (uplink("wlan0", down, "wlan0"), NoCarrier, "wlan0 is down or has no carrier", None),
            (
                uplink("wlan0", down, "eth0"),
                NoCarrier,
                "wlan0 is down or has no carrier; the default route leaves via eth0",
                Some("eth0"),
            ),
            (uplink("wlan0", bare, ""), UplinkNoAddress, "wlan0 has no IPv4 address", None),
            (
                uplink("wlan0", well, "eth0"),
                DefaultRouteElsewhere,
                "wlan0 is up, but the default route leaves via eth0",
                Some("eth0"),
            ),
        ] {
            let fault = uplink.trouble().or_else(|| uplink.doubt()).unwrap();
            let step = step
                .map(|other| format!("start guestnetd with --uplink {other} or --uplink default"));
            assert_eq!(fault, Fault { cause, text: text.to_owned(), next_step: step });
        }
        let no_route = uplink("wlan0", well, "").doubt().unwrap();
        assert_eq!(no_route.cause, NoDefaultRoute);
        assert_eq!(
            no_route.next_step.as_deref(),
            Some("ip route add default via ROUTER dev wlan0")
        );
        let well = uplink("wlan0", well, "wlan0");
        assert_eq!((well.trouble(), well.doubt()), (None, None));
    }
}
