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

//! What the kernel would do with a guest's packets, there and back: it is asked for their routes as it
//! asks itself, with the interface that they come in by and their addresses. A VPN on plain Linux takes
//! them and leaves the default route as it is: `wg-quick` by a rule and a table of its own, others by
//! routes to 0.0.0.0/1 and 128.0.0.0/1; what takes the answers may be a VPN's route to the guests'
//! subnet, Tailscale's table 52, an address. Asked only for a status.

use crate::daemon::{Attached, Daemon};
use crate::effects::kernel::fib::{self, Sender};
use crate::effects::kernel::link::{self, Link};
use crate::effects::kernel::observe::ELSEWHERE;
use crate::effects::kernel::route::{self, Decision, Sort, Transport, WayOut};
use crate::effects::kernel::{address, sysctl};
use crate::model::fault::{Cause, Fault};
use crate::model::policy_rules::{decider, Action, Packet, PolicyRule, Selector};
use crate::model::table::TableId;
use crate::model::uplink::way::Answer;
use crate::model::GuestNet;
use crate::spec::{Family, IfName, IfPattern};
use std::net::{IpAddr, Ipv4Addr};

/// What every guest sends: in words, IPPROTO_*, and to which port; 0: an echo, which has none.
pub(super) const CONNECTIONS: [(&str, libc::c_int, u16); 4] = [
    ("web pages (TCP port 443)", libc::IPPROTO_TCP, 443),
    ("web pages (TCP port 80)", libc::IPPROTO_TCP, 80),
    ("questions for names (UDP port 53)", libc::IPPROTO_UDP, 53),
    ("pings", libc::IPPROTO_ICMP, 0),
];
/// The other end's port: one of those that a client has.
const ANY_PORT: u16 = 40_000;

/// What a guest sends to a port.
pub(super) fn asks(protocol: libc::c_int, port: u16) -> Transport {
    let from = if port == 0 { 0 } else { ANY_PORT };
    Transport { protocol: protocol as u8, from, to: port }
}

impl Daemon {
    /// What is wrong, and the next step; nothing where the kernel has no route at all, which other
    /// layers have a reason for, and where it cannot be asked.
    pub(in crate::daemon) fn astray(&self, guest: &Attached, mark: u32) -> Option<Fault> {
        let exits = self.exits(&guest.net)?;
        let fault = self
            .wrong_way_out(guest, exits.first()?, mark)
            .or_else(|| exits.iter().find_map(|exit| self.wrong_way_back(guest, exit)))
            .or_else(|| self.wrong_way_from_the_device(guest))
            .or_else(|| self.no_way_out(guest, exits.first()?, mark))
            .or_else(|| self.wrong_way_of_some(guest, &exits, mark))?;
        // Others' rules decide because ours is not there: that layer says so.
        let of_rules = [Cause::RuleShadowed, Cause::VpnCaptures].contains(&fault.cause);
        (!of_rules || self.leads_are_in_place()).then_some(fault)
    }

    /// None before there is one, and where the uplink layer has its doubts: nothing new is said then.
    fn exits(&self, net: &GuestNet) -> Option<Vec<Link>> {
        if !self.shared.forwarding.get().is_on() || !net.vpn.leaves() {
            return None;
        }
        let link = |name: &IfName| link::by_name(&self.kernel.netlink, name.as_str()).ok()?;
        if let Some(tun) = net.vpn.tun() {
            return Some(vec![link(tun).filter(|tun| tun.up)?]);
        }
        let uplink = &self.world.uplink;
        let doubt = uplink.doubt().filter(|fault| fault.cause != Cause::VpnCaptures);
        let carries = uplink.usable() && doubt.is_none();
        Some(uplink.ways_out().filter(|_| carries).filter_map(link).collect())
    }

    /// The guest's packets to the internet.
    fn wrong_way_out(&self, guest: &Attached, exit: &Link, mark: u32) -> Option<Fault> {
        let (net, netlink) = (&guest.net, &self.kernel.netlink);
        let (host, from) = (&net.host.name, net.guest.address);
        let sort = Sort { mark, ..Sort::default() };
        let decision = route::passing_as(netlink, guest.index, (from, ELSEWHERE), sort).ok()?;
        let Decision::Takes(way) = decision else { return None };
        let by = self.name_of(&way).filter(|_| !way.local)?;
        let allowed = match net.vpn.tun() {
            Some(tun) => by == tun.as_str(),
            None => {
                let lets = |uplink: &IfPattern| uplink.matches(&by);
                self.wanted_ruleset().uplinks.iter().any(lets)
            }
        };
        if allowed {
            return None;
        }
        let packet = Packet { input: host.as_str(), from, to: ELSEWHERE, mark };
        let text = format!(
            "the device's rules and routes send the guest's packets via {by} ({}), but it may leave \
             via {} only, so they are dropped",
            self.decided_by(&packet, Some(way.table)),
            exit.name
        );
        let shown = format!("`ip route get {ELSEWHERE} from {from} iif {host}` shows the way");
        let ours = self.leads().iter().find(|lead| match &lead.selector {
            Selector::Guest(other) => other == host && lead.to != Action::Nowhere,
            Selector::Subnet(subnet) => subnet.v4().is_some_and(|subnet| subnet.contains(from)),
            Selector::ToGuests(_) => false,
        });
        Some(match ours.filter(|lead| lead.to.table() != Some(way.table)) {
            Some(lead) => Fault::new(Cause::RuleShadowed, text).with_step(format!(
                "move that rule behind guestnetd's {} ({lead}); {shown}",
                lead.priority
            )),
            None => Fault::new(Cause::VpnCaptures, text).with_step(format!(
                "attach it with --vpn tun:{by}, or start guestnetd with --uplink {by}; {shown}"
            )),
        })
    }

    /// The internet's answers, with the guest's address as they have it behind the source NAT.
    fn wrong_way_back(&self, guest: &Attached, exit: &Link) -> Option<Fault> {
        let to = guest.net.guest.address;
        let decision = route::passing(&self.kernel.netlink, exit.index, ELSEWHERE, to).ok()?;
        let conf = exit.ipv4?;
        // What is not forwarded there has no way, either: the layer of forwarding says so.
        if decision == Decision::Unreachable && conf.forwarding == 0 {
            return None;
        }
        let back = Sender { index: guest.index, address: to, mark: 0 };
        if decision == Decision::Dropped && self.is_filtered(exit, ELSEWHERE, back) {
            let name = &exit.name;
            let text = format!(
                "the reverse-path filter of {name} drops answers to the guest: the device's own way \
                 to the internet is another one"
            );
            let step = format!("sysctl -w net.ipv4.conf.{name}.rp_filter=2");
            return Some(Fault::new(Cause::RpFilter, text).with_step(step));
        }
        let packet = Packet { input: exit.name.as_str(), from: ELSEWHERE, to, mark: 0 };
        // That filter asks for the guest's way out: where there is none, that is to be said.
        let by_rule = decider(&self.world.rules, &packet, None).is_some();
        let sent = || route::passing(&self.kernel.netlink, guest.index, to, ELSEWHERE).ok();
        if decision == Decision::Dropped && !by_rule && sent().and_then(Decision::way).is_none() {
            return None;
        }
        let shown = format!("`ip route get {to} from {ELSEWHERE} iif {}` shows it", exit.name);
        self.elsewhere(guest, "answers to the guest", &packet, decision, &shown)
    }

    /// Whether it is the reverse-path filter of a link that drops what comes in there from this source: the kernel has
    /// one error for that and for what a route drops. It asks for the way back (__fib_validate_source()), which
    /// begins where the packet would have gone.
    fn is_filtered(&self, link: &Link, source: Ipv4Addr, back: Sender) -> bool {
        const STRICT: u32 = 1;
        let own = link.ipv4.map_or(0, |conf| conf.rp_filter);
        let mode = sysctl::rp_filter_of_all().unwrap_or(0).max(own);
        match fib::lookup(&self.kernel.netlink, source, Some(back)) {
            Ok(Answer::Route(way)) => {
                mode == STRICT && !way.hops.iter().any(|hop| hop.index == link.index)
            }
            _ => mode != 0,
        }
    }

    /// What the device itself says to the guest: ARP is answered only where this is right, too
    /// (arp_filter()).
    fn wrong_way_from_the_device(&self, guest: &Attached) -> Option<Fault> {
        let (from, to) = (guest.net.host.address, guest.net.guest.address);
        let decision = route::sending(&self.kernel.netlink, from, to).ok()?;
        let packet = Packet { input: "lo", from, to, mark: 0 };
        let shown = format!("`ip route get {to} from {from}` shows it");
        self.elsewhere(guest, "the device's own answers to the guest", &packet, decision, &shown)
    }

    /// Rules may ask for ports: some of the guest's connections go as they should, and others do not.
    fn wrong_way_of_some(&self, guest: &Attached, exits: &[Link], mark: u32) -> Option<Fault> {
        let mut asking = self.world.rules.iter().filter(|rule| rule.ports);
        let rule = asking.next()?.priority;
        let rule = match asking.next() {
            None => format!("rule {rule}"),
            Some(_) => "a rule that asks for ports".to_owned(),
        };
        let (netlink, index, address) =
            (&self.kernel.netlink, guest.index, guest.net.guest.address);
        let plain = Sort { mark, ..Sort::default() };
        let usual = route::passing_as(netlink, index, (address, ELSEWHERE), plain).ok()?;
        CONNECTIONS.iter().find_map(|(what, protocol, port)| {
            let asks = asks(*protocol, *port);
            let answers = Transport { from: asks.to, to: asks.from, ..asks };
            let out = Sort { mark, transport: Some(asks) };
            let back = Sort { mark: 0, transport: Some(answers) };
            let is = route::passing_as(netlink, index, (address, ELSEWHERE), out).ok()?;
            let differs = match (is, usual) {
                (Decision::Takes(is), Decision::Takes(usual)) => {
                    is.index != usual.index && !exits.iter().any(|exit| exit.index == is.index)
                }
                (is, usual) => is != usual,
            };
            let goes = |decision: Decision| match decision {
                Decision::Takes(way) => {
                    format!("go to {}", self.name_of(&way).unwrap_or_else(|| "nowhere".to_owned()))
                }
                Decision::Prohibited => "are prohibited".to_owned(),
                Decision::Dropped => "are dropped".to_owned(),
                Decision::Unreachable => "are refused as unreachable".to_owned(),
            };
            if differs {
                let text = format!("the guest's {what} {} by {rule} of others", goes(is));
                let step =
                    format!("`ip rule` shows it: have it not ask for {}", guest.net.host.name);
                return Some(Fault::new(Cause::RuleShadowed, text).with_step(step));
            }
            let lost = exits.iter().find_map(|exit| {
                let ends = (ELSEWHERE, address);
                let is = route::passing_as(netlink, exit.index, ends, back).ok()?;
                let arrives =
                    matches!(is, Decision::Takes(way) if way.index == index && !way.local);
                (!arrives).then_some(is)
            })?;
            let text = format!("answers to the guest's {what} {} by {rule} of others", goes(lost));
            let step = format!("`ip rule` shows it: have it leave out what goes to {address}");
            Some(Fault::new(Cause::AnswersElsewhere, text).with_step(step))
        })
    }

    /// The kernel refuses what the guest sends, though the device itself gets there.
    fn no_way_out(&self, guest: &Attached, exit: &Link, mark: u32) -> Option<Fault> {
        let (netlink, net) = (&self.kernel.netlink, &guest.net);
        let (host, from) = (&net.host.name, net.guest.address);
        let own = route::towards(netlink, ELSEWHERE).ok().flatten();
        own.filter(|way| !way.local)?;
        let stops = |lead: &PolicyRule| {
            lead.to == Action::Nowhere && lead.selector == Selector::Guest(host.clone())
        };
        if self.leads().iter().any(stops) {
            return None;
        }
        let packet = Packet { input: host.as_str(), from, to: ELSEWHERE, mark };
        let by = self.decided_by(&packet, None);
        let shown = format!("`ip route get {ELSEWHERE} from {from} iif {host}` shows it");
        let refused = |how: &str| {
            let text = format!("what the guest sends is {how} by a route or rule of others ({by})");
            Some(Fault::new(Cause::RuleShadowed, text).with_step(&shown))
        };
        let sort = Sort { mark, ..Sort::default() };
        match route::passing_as(netlink, guest.index, (from, ELSEWHERE), sort).ok()? {
            Decision::Takes(_) => None,
            Decision::Prohibited => refused("prohibited"),
            Decision::Unreachable => {
                let link = link::by_index(netlink, guest.index).ok().flatten()?;
                link.ipv4.filter(|conf| conf.forwarding != 0)?;
                refused("refused as unreachable")
            }
            Decision::Dropped => {
                let link = link::by_index(netlink, guest.index).ok().flatten()?;
                let back = Sender { index: exit.index, address: ELSEWHERE, mark: 0 };
                if !self.is_filtered(&link, from, back) {
                    return refused("dropped");
                }
                let text = format!("the reverse-path filter of {host} drops what the guest sends");
                Some(Fault::new(Cause::RpFilter, text).with_step(shown))
            }
        }
    }

    /// What is to reach the guest, and does not.
    fn elsewhere(
        &self,
        guest: &Attached,
        what: &str,
        packet: &Packet<'_>,
        decision: Decision,
        shown: &str,
    ) -> Option<Fault> {
        let (host, to) = (&guest.net.host.name, packet.to);
        let way = match decision {
            Decision::Takes(way) if way.index == guest.index && !way.local => return None,
            Decision::Takes(way) => way,
            refused => {
                let how = match refused {
                    Decision::Prohibited => "prohibited",
                    Decision::Dropped => "dropped",
                    Decision::Unreachable | Decision::Takes(_) => "refused as unreachable",
                };
                let by = self.decided_by(packet, None);
                let text = format!("{what}, {to}, are {how} by a route or rule of others ({by})");
                return Some(Fault::new(Cause::AnswersElsewhere, text).with_step(shown));
            }
        };
        let by = self.decided_by(packet, Some(way.table));
        if way.local {
            let holder = self.holder_of(to.into());
            let place = holder.map_or(by, |dev| format!("on {dev}"));
            let text = format!("the device itself has {to} ({place}), so {what} end there");
            let step =
                format!("remove that address, or attach the guest with another --address; {shown}");
            return Some(Fault::new(Cause::SubnetConflict, text).with_step(step));
        }
        let other = self.name_of(&way).unwrap_or_else(|| "nowhere".to_owned());
        let text = format!("{what}, {to}, go to {other} ({by}), not to {host}");
        let step = format!(
            "remove that route or rule, or attach the guest with a --gateway in another subnet; {shown}"
        );
        Some(Fault::new(Cause::AnswersElsewhere, text).with_step(step))
    }

    /// The table that has the route, and the rule that asks it.
    fn decided_by(&self, packet: &Packet<'_>, table: Option<TableId>) -> String {
        let rule = decider(&self.world.rules, packet, table);
        match (table, rule.map(|rule| rule.priority)) {
            (Some(table), Some(rule)) => format!("table {table}, rule {rule}"),
            (Some(table), None) => format!("table {table}"),
            (None, Some(rule)) => format!("rule {rule}"),
            (None, None) => "a route".to_owned(),
        }
    }

    fn name_of(&self, way: &WayOut) -> Option<String> {
        Some(link::by_index(&self.kernel.netlink, way.index).ok().flatten()?.name)
    }

    /// The interface that has an address.
    fn holder_of(&self, address: IpAddr) -> Option<String> {
        let netlink = &self.kernel.netlink;
        let all = address::of(netlink, Family::of(address), None).ok()?;
        let holder = all.iter().find(|one| one.address == address)?;
        Some(link::by_index(netlink, holder.index).ok().flatten()?.name)
    }
}
