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
use crate::kernel::observe::ELSEWHERE;
use crate::kernel::route::{self, Decision, WayOut};
use crate::kernel::{address, link};
use crate::model::fault::{Cause, Fault};
use crate::model::policy_rules::{decider, table_name, Action, Packet, Selector};
use crate::model::GuestNet;
use crate::spec::{Family, IfName, IfPattern};

/// Where a guest leaves.
struct Exit {
    index: u32,
    name: IfName,
}

impl Daemon {
    /// What is wrong, and the next step; nothing where the kernel has no route at all, which other
    /// layers have a reason for, and where it cannot be asked.
    pub(in crate::daemon) fn astray(&self, guest: &Attached) -> Option<Fault> {
        let exit = self.exit(&guest.net)?;
        self.wrong_way_out(guest, &exit)
            .or_else(|| self.wrong_way_back(guest, &exit))
            .or_else(|| self.wrong_way_from_the_device(guest))
    }

    /// None before there is one, and where the uplink layer has its doubts: nothing new is said then.
    fn exit(&self, net: &GuestNet) -> Option<Exit> {
        if !self.forwarding.get().is_on() {
            return None;
        }
        if let Some(name) = net.vpn.tun() {
            let tun = self.world.tuns.get(name).filter(|tun| tun.up)?;
            return Some(Exit { index: tun.index, name: name.clone() });
        }
        let uplink = &self.world.uplink;
        let doubt = uplink.doubt().filter(|fault| fault.cause != Cause::VpnCaptures);
        let name = uplink.name.clone().filter(|_| uplink.usable() && doubt.is_none())?;
        Some(Exit { index: uplink.index, name })
    }

    /// The guest's packets to the internet.
    fn wrong_way_out(&self, guest: &Attached, exit: &Exit) -> Option<Fault> {
        let (net, netlink) = (&guest.net, &self.kernel.netlink);
        let (host, from) = (&net.host.name, net.guest.address);
        let decision = route::passing(netlink, guest.index, from, ELSEWHERE).ok()?;
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
        let packet = Packet { input: host.as_str(), from, to: ELSEWHERE };
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
    fn wrong_way_back(&self, guest: &Attached, exit: &Exit) -> Option<Fault> {
        let to = guest.net.guest.address;
        let decision = route::passing(&self.kernel.netlink, exit.index, ELSEWHERE, to).ok()?;
        if decision == Decision::Unreachable {
            return None;
        }
        let packet = Packet { input: exit.name.as_str(), from: ELSEWHERE, to };
        let shown = format!("`ip route get {to} from {ELSEWHERE} iif {}` shows it", exit.name);
        self.elsewhere(guest, "answers to the guest", &packet, decision, &shown)
    }

    /// What the device itself says to the guest: ARP is answered only where this is right, too
    /// (arp_filter()).
    fn wrong_way_from_the_device(&self, guest: &Attached) -> Option<Fault> {
        let (from, to) = (guest.net.host.address, guest.net.guest.address);
        let decision = route::sending(&self.kernel.netlink, from, to).ok()?;
        let packet = Packet { input: "lo", from, to };
        let shown = format!("`ip route get {to} from {from}` shows it");
        self.elsewhere(guest, "the device's own answers to the guest", &packet, decision, &shown)
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
    fn decided_by(&self, packet: &Packet<'_>, table: Option<u32>) -> String {
        let rule = decider(&self.world.rules, packet, table);
        match (table.map(table_name), rule.map(|rule| rule.priority)) {
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
    fn holder_of(&self, address: std::net::IpAddr) -> Option<String> {
        let netlink = &self.kernel.netlink;
        let all = address::of(netlink, Family::of(address), 0).ok()?;
        let holder = all.iter().find(|one| one.address == address)?;
        Some(link::by_index(netlink, holder.index).ok().flatten()?.name)
    }
}
