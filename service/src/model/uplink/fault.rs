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

//! What keeps guests' traffic from leaving by the uplink, or makes it doubtful, with the next step. No step
//! names a link of ours, or an interface that leads nowhere, as an uplink. Pure.

use super::way::{Behind, Hop};
use super::{Choice, Uplink};
use crate::model::fault::{Cause, Fault};
use crate::model::policy_rules::RoutingMode;
use crate::spec::{IfName, HOST_PREFIX};

impl Uplink {
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
                Choice::Default => self.no_default(),
                Choice::Listed(_) => self
                    .or_elsewhere(Cause::UplinkMissing, format!("none of {} exists", self.choice)),
            });
        };
        Some(if self.index.is_none() {
            let none = match self.way.first() {
                Some(_) => format!("no interface {name}"),
                None => format!("no interface {name}, and no default route"),
            };
            self.or_elsewhere(Cause::UplinkMissing, none)
        } else if let Some(master) = &self.port_of {
            self.port(name, master)
        } else if !self.up {
            self.or_elsewhere(Cause::NoCarrier, format!("{name} is down or has no carrier"))
        } else if let Some((address, prefix)) = self.narrow {
            let text = format!(
                "{name} has the address {address} with a scope of its link alone: guests' packets cannot leave with it"
            );
            // The kernel changes no scope of an address that is there (inet_rtm_newaddr()).
            let own = format!("{address}/{prefix} dev {name}");
            let step = format!(
                "ip addr del {own}; ip addr add {own} scope global; and its routes again, which go with it"
            );
            let fault = self.or_elsewhere(Cause::UplinkNoAddress, text);
            if fault.next_step.is_some() {
                fault
            } else {
                fault.with_step(step)
            }
        } else if self.ipv6_by.is_some() {
            let text = format!("{name} has IPv6 alone, and guests need IPv4");
            clat(self.or_elsewhere(Cause::UplinkIpv6Only, text), name.as_str())
        } else {
            self.or_elsewhere(Cause::UplinkNoAddress, format!("{name} has no IPv4 address"))
        })
    }

    /// What makes it doubtful that traffic reaches the internet though the uplink is usable; none
    /// when nothing does. Where netd routes, guests leave by the uplink whatever the default network.
    pub fn doubt(&self) -> Option<Fault> {
        let name = self.name.as_ref().filter(|_| self.usable())?;
        if self.behind == Behind::Nothing {
            let text = format!("{name} leads nowhere: what is sent by it is lost");
            return Some(Fault::new(Cause::KillSwitch, text).with_step(VPN_IS_DOWN));
        }
        if let RoutingMode::Netd { .. } = self.routing {
            let table = self.table;
            let none = format!("{self}: its table {table} has no default route from netd yet");
            return (!self.carries).then(|| Fault::new(Cause::NoDefaultRoute, none));
        }
        if self.carries {
            return self.way.hops.iter().find_map(|hop| self.loses(name, hop));
        }
        let is_up =
            |fault: Fault| Fault { text: format!("{name} is up, but {}", fault.text), ..fault };
        Some(is_up(self.no_way().unwrap_or_else(|| match (self.elsewhere(), &self.vrf) {
            (Some(other), _) if self.way.plain => {
                let text = format!("the default route leaves via {other}");
                Fault::new(Cause::DefaultRouteElsewhere, text).with_step(follow(other))
            }
            (Some(other), _) => {
                let text = format!(
                    "the device's rules and routes send packets to the internet via {other}"
                );
                let step = format!("{}, or attach guests with --vpn tun:{other}", follow(other));
                Fault::new(Cause::VpnCaptures, text).with_step(step)
            }
            (None, Some(vrf)) => {
                let text = format!("it is in VRF {vrf}, where the device's routes do not lead");
                let step = format!("ip link set {name} nomaster, or name another uplink");
                Fault::new(Cause::NoDefaultRoute, text).with_step(step)
            }
            (None, None) => {
                let text = "the device has no default route: guests reach its neighbours only";
                let step = format!("ip route add default via ROUTER dev {name}");
                Fault::new(Cause::NoDefaultRoute, text).with_step(step)
            }
        })))
    }

    /// What is lost though the uplink carries the internet: what the kernel sends by this one of
    /// several interfaces.
    fn loses(&self, name: &IfName, hop: &Hop) -> Option<Fault> {
        let by = &hop.name;
        let (cause, why, step) = if hop.dead || self.is_own(hop) && hop.up {
            return None;
        } else if hop.behind != Behind::Network {
            (Cause::KillSwitch, format!("{by} leads nowhere"), VPN_IS_DOWN.to_owned())
        } else if !self.ways_out().any(|out| out.as_str() == by) {
            let why = format!("guests may not leave via {by}");
            (Cause::DefaultRouteElsewhere, why, follow(&format!("{name},{by}")))
        } else if !hop.up {
            let step = format!("sysctl -w net.ipv4.conf.{by}.ignore_routes_with_linkdown=1");
            (Cause::NoCarrier, format!("{by} has no carrier"), step)
        } else {
            return None;
        };
        let all: Vec<_> = self.way.hops.iter().map(|hop| hop.name.as_str()).collect();
        let all = all.join(" and ");
        let text = format!(
            "the device's routes spread connections over {all}, but {why}: some of them are lost"
        );
        Some(Fault::new(cause, text).with_step(step))
    }

    /// Why there is no uplink where it is the default route's interface.
    fn no_default(&self) -> Fault {
        self.no_way().unwrap_or_else(|| match &self.ipv6_by {
            Some(name) => {
                let text = format!(
                    "the device has an IPv6 default route via {name} and none for IPv4, which \
                     guests need"
                );
                clat(Fault::new(Cause::UplinkIpv6Only, text), name)
            }
            None => Fault::new(
                Cause::NoDefaultRoute,
                "the device has no default route, so there is no uplink",
            ),
        })
    }

    /// What is wrong where packets to the internet go nowhere at all.
    fn no_way(&self) -> Option<Fault> {
        if let Some(refusal) = self.way.refusal {
            let how = refusal.name();
            let text = format!("the device's rules or routes refuse the internet ({how})");
            let step = format!(
                "{VPN_IS_DOWN}; `ip rule` and `ip route show table all type {how}` show it"
            );
            return Some(Fault::new(Cause::KillSwitch, text).with_step(step));
        }
        let hop = self.way.first()?;
        let name = &hop.name;
        match hop.behind {
            Behind::Network => None,
            Behind::Guest => {
                let text = format!("the default route leads into {name}, which is a guest's link");
                let step = format!(
                    "ip route del default dev {name}, and have the network manager leave \
                     {HOST_PREFIX}* alone (dhcpcd.conf: denyinterfaces {HOST_PREFIX}*)"
                );
                Some(Fault::new(Cause::DefaultRouteElsewhere, text).with_step(step))
            }
            Behind::Nothing => {
                let text = format!(
                    "the default route leads into {name}, which leads nowhere, as a VPN's kill \
                     switch does"
                );
                Some(Fault::new(Cause::KillSwitch, text).with_step(VPN_IS_DOWN))
            }
        }
    }

    /// The uplink is a port of another interface, which has its traffic.
    fn port(&self, name: &IfName, master: &str) -> Fault {
        let text = format!("{name} is a port of {master}, which has its traffic");
        match self.elsewhere() {
            Some(other) if other != master => {
                let text = format!("{text}; the default route leaves via {other}");
                Fault::new(Cause::DefaultRouteElsewhere, text).with_step(follow(other))
            }
            _ => Fault::new(Cause::DefaultRouteElsewhere, text).with_step(follow(master)),
        }
    }

    /// The fault; where the device itself leaves by another interface, guests could too.
    fn or_elsewhere(&self, cause: Cause, text: String) -> Fault {
        match self.elsewhere() {
            Some(other) => {
                let text = format!("{text}; the default route leaves via {other}");
                Fault::new(cause, text).with_step(follow(other))
            }
            None => Fault::new(cause, text),
        }
    }

    /// Another interface by which the device reaches the internet.
    fn elsewhere(&self) -> Option<&str> {
        let leads = |hop: &&Hop| hop.behind == Behind::Network && !self.is_own(hop);
        self.way.hops.iter().find(leads).map(|hop| hop.name.as_str())
    }
}

const VPN_IS_DOWN: &str = "connect the VPN, or switch its kill switch off";

/// How to have guests leave by the interface that the device leaves by.
fn follow(other: &str) -> String {
    format!("start guestnetd with --uplink {other} or --uplink default")
}

/// What gives an IPv6-only network IPv4, unless there is another way.
fn clat(fault: Fault, name: &str) -> Fault {
    if fault.next_step.is_some() {
        return fault;
    }
    fault.with_step(format!(
        "use a network with IPv4, or a clat (464XLAT): v4-{name} is taken as soon as it is there"
    ))
}

#[cfg(test)]
mod tests {
    use super::super::way::{Refusal, Way};
    use super::*;
    use crate::model::if_index::IfIndex;
    use crate::model::table::TableId;
    use std::net::Ipv4Addr;

    fn hop(name: &str) -> Hop {
        let behind = match name {
            "vm_wlan" => Behind::Guest,
            "dummy0" => Behind::Nothing,
            _ => Behind::Network,
        };
        Hop {
            index: IfIndex::of(7),
            name: name.into(),
            source: None,
            behind,
            dead: false,
            up: true,
        }
    }

    fn uplink(choice: &str, seen: (u32, bool, Option<Ipv4Addr>), route: &str) -> Uplink {
        let mut uplink = Uplink::unknown(choice.parse().unwrap());
        (uplink.index, uplink.up, uplink.address) = (IfIndex::new(seen.0), seen.1, seen.2);
        let hops: Vec<_> = route.split_whitespace().map(hop).collect();
        uplink.carries = hops.iter().any(|hop| uplink.is_own(hop));
        uplink.way = Way { hops, table: TableId::MAIN, plain: true, ..Way::default() };
        uplink
    }

    fn has() -> Option<Ipv4Addr> {
        Some(Ipv4Addr::new(10, 0, 0, 5))
    }

    #[test]
    fn each_fault_of_an_uplink_has_its_cause_and_its_sentence() {
        use Cause::*;
        let [gone, down, bare, well] =
            [(0, false, None), (3, false, has()), (3, true, None), (3, true, has())];
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

    #[test]
    fn what_leads_nowhere_is_a_kill_switch_and_no_advice() {
        let well = (3, true, has());
        let refused = |choice, seen| {
            let mut uplink = uplink(choice, seen, "");
            uplink.way.refusal = Some(Refusal::Blackhole);
            uplink
        };
        let own = Uplink { behind: Behind::Nothing, ..uplink("dummy0", well, "dummy0") };
        for (uplink, word) in [
            (uplink("default", (0, false, None), "dummy0"), "the default route leads into dummy0"),
            (
                uplink("wlan0", well, "dummy0"),
                "wlan0 is up, but the default route leads into dummy0",
            ),
            (uplink("wlan0", well, "wlan0 dummy0"), "but dummy0 leads nowhere"),
            (refused("default", (0, false, None)), "refuse the internet (blackhole)"),
            (refused("wlan0", well), "wlan0 is up, but the device's rules or routes refuse"),
            (own, "dummy0 leads nowhere"),
        ] {
            let fault = uplink.fault().unwrap();
            assert_eq!(fault.cause, Cause::KillSwitch, "{fault}");
            assert!(fault.text.contains(word), "{fault}");
            assert!(fault.next_step.as_deref().unwrap().starts_with(VPN_IS_DOWN), "{fault}");
        }
    }

    #[test]
    fn a_default_route_into_a_guest_is_named_and_no_uplink() {
        for (choice, seen) in [("default", (0, false, None)), ("wlan0", (3, true, has()))] {
            let fault = uplink(choice, seen, "vm_wlan").fault().unwrap();
            assert_eq!(fault.cause, Cause::DefaultRouteElsewhere);
            assert!(fault.text.contains("leads into vm_wlan, which is a guest's link"), "{fault}");
            let step = fault.next_step.unwrap();
            assert!(step.starts_with("ip route del default dev vm_wlan"), "{step}");
            assert!(!step.contains("--uplink"), "{step}");
        }
        // Nor is it the way to go where the uplink is not there.
        let fault = uplink("wlan0", (0, false, None), "vm_wlan").fault().unwrap();
        assert_eq!((fault.text.as_str(), fault.next_step), ("no interface wlan0", None));
    }

    #[test]
    fn a_vpn_in_front_of_the_default_route_is_told_from_it() {
        let mut uplink = uplink("wlan0", (3, true, has()), "tun0");
        uplink.way.plain = false;
        let fault = uplink.doubt().unwrap();
        assert_eq!(fault.cause, Cause::VpnCaptures);
        let step = fault.next_step.unwrap();
        assert!(step.contains("--uplink tun0") && step.contains("--vpn tun:tun0"), "{step}");
    }

    #[test]
    fn connections_by_another_next_hop_are_lost_where_guests_may_not_use_it() {
        let well = (3, true, has());
        let mut both = uplink("wlan0", well, "wlan0 rmnet0");
        let fault = both.doubt().unwrap();
        assert_eq!(fault.cause, Cause::DefaultRouteElsewhere);
        assert!(fault.text.contains("wlan0 and rmnet0, but guests may not leave via rmnet0"));
        assert!(fault.next_step.unwrap().contains("--uplink wlan0,rmnet0 or --uplink default"));
        both.also = vec![IfName::new("rmnet0").unwrap()];
        assert_eq!(both.doubt(), None);
        both.way.hops[1].up = false;
        let fault = both.doubt().unwrap();
        assert_eq!(fault.cause, Cause::NoCarrier);
        assert!(fault.next_step.unwrap().contains("rmnet0.ignore_routes_with_linkdown=1"));
        both.way.hops[1].dead = true;
        assert_eq!(both.doubt(), None, "the kernel sends nothing by it");
    }

    #[test]
    fn a_port_and_an_ipv6_network_have_their_next_step() {
        let port = |route| Uplink {
            port_of: Some("br0".into()),
            ..uplink("wlan0", (3, true, has()), route)
        };
        for (route, step) in [("br0", "br0"), ("", "br0"), ("eth1", "eth1")] {
            let fault = port(route).fault().unwrap();
            assert!(fault.text.starts_with("wlan0 is a port of br0"), "{fault}");
            assert_eq!(fault.next_step, Some(follow(step)));
        }
        let ipv6 = |name: &str| Some(name.to_owned());
        let bare = Uplink { ipv6_by: ipv6("wlan0"), ..uplink("wlan0", (3, true, None), "") };
        let none = Uplink { ipv6_by: ipv6("wlan0"), ..uplink("default", (0, false, None), "") };
        for uplink in [bare, none] {
            let fault = uplink.fault().unwrap();
            assert_eq!(fault.cause, Cause::UplinkIpv6Only);
            assert!(fault.next_step.unwrap().contains("v4-wlan0 is taken"));
        }
    }

    #[test]
    fn an_address_of_its_link_alone_is_named_with_how_to_widen_it() {
        let narrow = Some((Ipv4Addr::new(192, 0, 2, 2), 26));
        let uplink = Uplink { narrow, ..uplink("wlan0", (3, true, None), "wlan0") };
        let fault = uplink.fault().unwrap();
        assert_eq!(fault.cause, Cause::UplinkNoAddress);
        assert!(fault.text.starts_with("wlan0 has the address 192.0.2.2 with a scope of its link"));
        let step = fault.next_step.unwrap();
        assert!(step.contains("; ip addr add 192.0.2.2/26 dev wlan0 scope global; "), "{step}");
    }

    #[test]
    fn an_uplink_in_a_vrf_is_not_where_routes_lead() {
        let vrf = Some("red".to_owned());
        let uplink = Uplink { vrf, ..uplink("wlan0", (3, true, has()), "") };
        let fault = uplink.doubt().unwrap();
        assert_eq!(fault.cause, Cause::NoDefaultRoute);
        assert!(fault.text.contains("in VRF red"), "{fault}");
        assert!(fault.next_step.unwrap().contains("ip link set wlan0 nomaster"));
    }

    #[test]
    fn where_netd_routes_only_the_uplinks_table_counts() {
        let mut uplink = uplink("wlan0", (3, true, has()), "rmnet0");
        uplink.routing = RoutingMode::Netd { local: 20000 };
        assert_eq!(uplink.doubt().unwrap().cause, Cause::NoDefaultRoute);
        uplink.carries = true;
        assert_eq!(uplink.doubt(), None);
    }
}
