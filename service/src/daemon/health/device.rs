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

//! The layers that all guests share, as the kernel has them now, and what is different for one
//! guest.

use crate::daemon::resolvers::Source;
use crate::daemon::resource::Health;
use crate::daemon::{Daemon, Layer, LayerReport, LayerState};
use crate::firewall::{diagnose, GuestSubnet, Ruleset};
use crate::kernel::{link, route, rule, sysctl};
use crate::model::ownership::ROUTE_PROTOCOL;
use crate::model::policy_rules::{Lead, Shape, To, Whose};
use crate::model::world::ForwardingMode;
use crate::model::GuestNet;
use crate::platform::resolv_conf;
use crate::spec::{Family, VpnPolicy};

impl Daemon {
    fn asks_netd(&self) -> bool {
        self.world.platform.forwarding == ForwardingMode::Netd
    }

    /// The rules of ours, as they were applied last.
    fn leads(&self) -> &[Lead] {
        self.policy_routing.applied().map_or(&[], Vec::as_slice)
    }

    /// The packet filter, as it was applied last.
    pub(in crate::daemon) fn ruleset(&self) -> Ruleset {
        self.packet_filter.applied().cloned().unwrap_or_default()
    }

    /// The layers that all guests share. With `off_is_fine`, forwarding need not be on yet.
    pub(in crate::daemon) fn device_layers(&mut self, off_is_fine: bool) -> Vec<LayerReport> {
        let mut layers = vec![self.rule_layer(), self.forwarding_layer(off_is_fine)];
        layers.extend(self.filter_layers());
        layers.push(self.dns_layer());
        layers.push(self.uplink_layer());
        layers
    }

    fn rule_layer(&self) -> LayerReport {
        let report = |state, text: String| LayerReport::new(Layer::Rule, state, text);
        if self.world.platform.routing == Shape::Main {
            return report(
                LayerState::Ok,
                "none is needed: the device routes by table main".into(),
            );
        }
        let shared: Vec<_> =
            self.leads().iter().filter(|lead| matches!(lead.whose, Whose::Subnet(_))).collect();
        if shared.is_empty() {
            let text = "made when the uplink is there; netd's rules let nothing out without it";
            return report(LayerState::Waiting, text.into());
        }
        self.rules_in_place(&shared)
    }

    /// Whether these rules of ours are in the kernel.
    fn rules_in_place(&self, leads: &[&Lead]) -> LayerReport {
        let there = match rule::all(&self.kernel.netlink, Family::V4) {
            Ok(rules) => rules,
            Err(e) => return LayerReport::new(Layer::Rule, LayerState::Unknown, e.to_string()),
        };
        let there: Vec<_> =
            there.iter().filter_map(|rule| Lead::read(rule, ROUTE_PROTOCOL)).collect();
        match leads.iter().find(|lead| !there.contains(lead)) {
            None => {
                let text = leads.iter().map(|l| format!("{}: {l}", l.priority));
                LayerReport::ok(Layer::Rule, text.collect::<Vec<_>>().join("; "))
            }
            Some(lead) => LayerReport::bad(
                Layer::Rule,
                format!(
                    "the rule {lead} is not there: it could not be put back, see guestnetd's log"
                ),
            ),
        }
    }

    /// The same for a guest that does not simply follow the uplink: its own rule counts, if it has one.
    fn own_rule_layer(&self, net: &GuestNet, shared: &LayerReport) -> LayerReport {
        let waits = |why: String| LayerReport::new(Layer::Rule, LayerState::Waiting, why);
        let own = Whose::Guest(net.host.name.clone());
        match (self.leads().iter().find(|lead| lead.whose == own), net.vpn.tun()) {
            (None, None) => shared.clone(),
            (None, Some(tun)) => waits(format!("made when {tun} is there")),
            (Some(lead), _) => match self.rules_in_place(&[lead]) {
                there if there.state == LayerState::Ok && lead.to == To::Nowhere => waits(format!(
                    "{}: stopped while a lockdown VPN is up, as the guest's VPN policy says",
                    there.text
                )),
                other => other,
            },
        }
    }

    fn forwarding_layer(&self, off_is_fine: bool) -> LayerReport {
        let report = |state, text: &str| LayerReport::new(Layer::Forwarding, state, text);
        match (sysctl::forwarding(), self.asks_netd()) {
            (Ok(true), false) => report(LayerState::Ok, "net.ipv4.ip_forward is 1"),
            (Ok(true), true) if self.forwarding.get().is_ours() => {
                report(LayerState::Ok, "net.ipv4.ip_forward is 1, and asked of netd")
            }
            (Ok(_), true) if off_is_fine => {
                report(LayerState::Ok, "asked of netd with the first guest")
            }
            (Ok(true), true) => {
                report(LayerState::Waiting, "net.ipv4.ip_forward is 1, but for others only")
            }
            (Ok(false), false) if off_is_fine => report(
                LayerState::Ok,
                "net.ipv4.ip_forward is 0, and is switched on with the first guest",
            ),
            (Ok(false), false) => report(
                LayerState::Bad,
                "net.ipv4.ip_forward was switched off by somebody, and could not be put back: \
                 sysctl -w net.ipv4.ip_forward=1",
            ),
            (Ok(false), true) => report(
                LayerState::Bad,
                "netd was asked, but net.ipv4.ip_forward is 0: see guestnetd's log",
            ),
            (Err(e), _) => report(LayerState::Unknown, &e.to_string()),
        }
    }

    fn filter_layers(&mut self) -> [LayerReport; 2] {
        if let Health::Failing { cause, .. } = self.packet_filter.health() {
            let text =
                format!("not set for the present uplink: {cause}; it is tried again every second");
            return [Layer::Firewall, Layer::Nat]
                .map(|layer| LayerReport::bad(layer, text.clone()));
        }
        let both = |state, text: String| {
            [
                LayerReport::new(Layer::Firewall, state, text.clone()),
                LayerReport::new(Layer::Nat, state, text),
            ]
        };
        if matches!(self.packet_filter.health(), Health::Pending(_)) {
            let text =
                "the present uplink's rules wait until netd has answered, which may be starting";
            return both(LayerState::Waiting, text.into());
        }
        if let Some(why) = self.packet_filter.get().unseen() {
            return both(LayerState::Unknown, format!("cannot see the rules: {why}"));
        }
        let ruleset = self.ruleset();
        match self.packet_filter.get_mut().compare(&ruleset) {
            Ok(None) => {
                let firewall = format!("{:?} rules in place", self.packet_filter.get().backend())
                    .to_lowercase();
                let nat = match self.ruleset().uplinks.is_empty() {
                    false => {
                        let by = self.ruleset().ways_out();
                        LayerReport::ok(Layer::Nat, format!("masquerade by {by}"))
                    }
                    true => LayerReport::new(
                        Layer::Nat,
                        LayerState::Waiting,
                        "no uplink, so nothing is forwarded",
                    ),
                };
                let firewall =
                    match diagnose::refusing(self.packet_filter.get().backend(), &ruleset) {
                        None => LayerReport::ok(Layer::Firewall, firewall),
                        Some(refusing) => LayerReport::new(
                            Layer::Firewall,
                            LayerState::Unknown,
                            format!("{firewall}, but {refusing}"),
                        ),
                    };
                [firewall, nat]
            }
            Ok(Some(what)) => both(
                LayerState::Bad,
                format!(
                    "changed by somebody else: {what}; it is put back within {} s",
                    self.config.check_every.as_secs()
                ),
            ),
            Err(e) => both(LayerState::Unknown, e.to_string()),
        }
    }

    /// Whether a guest's questions for names are answered.
    fn dns_layer(&self) -> LayerReport {
        let report = |state, text: String| LayerReport::new(Layer::Dns, state, text);
        let uplink = self.world.uplink.name.as_ref().map_or("the uplink", |name| name.as_str());
        match self.ruleset().resolver {
            Some(resolver) => {
                let whose = match self.resolvers.source(self.world.uplink.name.as_ref()) {
                    Source::Named => format!("named for {uplink}"),
                    Source::Fallback => "by --dns".to_owned(),
                    Source::File(path) => format!("by {}", path.display()),
                    Source::Earlier => "named earlier".to_owned(),
                };
                                report(LayerState::Ok, format!("port 53 of the gateway goes to {resolver} ({whose})"))
            }
            None if resolv_conf::is_served_here(|at| {
                self.ruleset().subnets.iter().any(|s| s.gateway == at)
            }) =>
            {
                report(LayerState::Ok, "a resolver on the device answers at the gateway".into())
            }
            None => report(
                LayerState::Bad,
                format!("no DNS: no resolver is known for {uplink}: guestnetctl dns {uplink} ADDRESS, or --dns"),
            ),
        }
    }

    fn uplink_layer(&self) -> LayerReport {
        let report = |state, text: String| LayerReport::new(Layer::Uplink, state, text);
        if let Some(trouble) = self.world.uplink.trouble().or_else(|| self.world.uplink.doubt()) {
            return report(LayerState::Waiting, trouble);
        }
        let text = self.world.uplink.to_string();
        let within =
            self.world.uplink.address.and_then(|a| self.world.guests.leases.subnet_with(a));
        if let Some(GuestSubnet { subnet, .. }) = within {
            let text =
                format!("{text}: that is in the guests' subnet {subnet}; give them another one");
            return report(LayerState::Bad, text);
        }
        let table = self.world.uplink.table;
        if self.world.platform.routing != Shape::Main && !self.leads_out(table) {
            let text =
                format!("{text}: table {table} has no default route: traffic waits for netd's");
            return report(LayerState::Waiting, text);
        }
        report(LayerState::Ok, text)
    }

    fn leads_out(&self, table: u32) -> bool {
        let routes =
            route::of(&self.kernel.netlink, Family::V4, Some(table), 0).unwrap_or_default();
        routes.iter().any(|route| route.destination.prefix() == 0 && route.unicast)
    }

    /// A layer that is another one for a guest that does not follow the uplink.
    pub(in crate::daemon) fn as_for(&self, net: &GuestNet, layer: &LayerReport) -> LayerReport {
        match (&net.vpn, layer.layer) {
            (VpnPolicy::NamedTun(tun), Layer::Uplink) => {
                match link::by_name(&self.kernel.netlink, tun.as_str()) {
                    Ok(Some(link)) if link.up => {
                        LayerReport::ok(Layer::Uplink, format!("{tun}, its VPN"))
                    }
                    Ok(Some(_)) => LayerReport::new(
                        Layer::Uplink,
                        LayerState::Waiting,
                        format!("{tun} is down: the guest waits for its VPN"),
                    ),
                    Ok(None) => LayerReport::new(
                        Layer::Uplink,
                        LayerState::Waiting,
                        format!("no interface {tun}: the guest waits for its VPN"),
                    ),
                    Err(e) => LayerReport::new(Layer::Uplink, LayerState::Unknown, e.to_string()),
                }
            }
            (VpnPolicy::NamedTun(_) | VpnPolicy::BlockUnderLockdown, Layer::Rule) => {
                self.own_rule_layer(net, layer)
            }
            _ => layer.clone(),
        }
    }
}
