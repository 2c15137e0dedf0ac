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

use super::connections::Fullness;
use crate::daemon::{Daemon, Layer, LayerReport, LayerState};
use crate::effects::firewall::iptables::is_of_place;
use crate::effects::kernel::link::Link;
use crate::effects::kernel::{link, pin, rule, sysctl};
use crate::effects::resource::{Health, PacketFilter, SharedResource};
use crate::model::fault::{Cause, Fault};
use crate::model::if_index::IfIndex;
use crate::model::lockdown::Lockdown;
use crate::model::ownership::ROUTE_PROTOCOL;
use crate::model::policy_rules::{Action, PolicyRule, RoutingMode, Selector};
use crate::model::ruleset::{Ruleset, Strangers};
use crate::model::world::ForwardingMode;
use crate::model::GuestNet;
use crate::spec::{Dns, Family, IfName, UplinkInfo, VpnPolicy};

/// What is not needed by a guest without a way out.
const NO_UPLINK: &str = "no uplink, by its configuration";

impl Daemon {
    fn asks_netd(&self) -> bool {
        self.world.platform.forwarding == ForwardingMode::Netd
    }

    /// The rules of ours, as they were applied last.
    pub(super) fn leads(&self) -> &[PolicyRule] {
        self.shared.policy_routing.applied().map_or(&[], Vec::as_slice)
    }

    /// The packet filter, as it was applied last.
    pub(in crate::daemon) fn ruleset(&self) -> Ruleset {
        self.shared.packet_filter.applied().cloned().unwrap_or_default()
    }

    /// The packet filter, as it is to be.
    pub(in crate::daemon) fn wanted_ruleset(&self) -> Ruleset {
        PacketFilter::want(&self.world)
    }

    /// The layers that all guests share. With `off_is_fine`, forwarding need not be on yet.
    pub(in crate::daemon) fn device_layers(&mut self, off_is_fine: bool) -> Vec<LayerReport> {
        let mut forwarding = self.forwarding_layer(off_is_fine);
        // With the switch, the kernel will write each interface's own.
        if !off_is_fine {
            let ways = self.world.uplink.ways_out();
            forwarding = ways.fold(forwarding, |layer, way| self.forwards_by(layer, way));
        }
        let mut layers = vec![self.rule_layer(), forwarding];
        layers.extend(self.filter_layers());
        layers.push(self.names_layer(&None));
        layers.push(self.uplink_layer());
        layers
    }

    fn rule_layer(&self) -> LayerReport {
        let is_shared = |lead: &&PolicyRule| !matches!(lead.selector, Selector::Guest(_));
        let shared: Vec<_> = self.leads().iter().filter(is_shared).collect();
        if self.world.platform.routing == RoutingMode::Main {
            let text = "not needed: the device routes by table main";
            return match shared.is_empty() {
                true => LayerReport::ok(Layer::Rule, text),
                false => self.rules_in_place(&shared),
            };
        }
        if !shared.iter().any(|lead| matches!(lead.selector, Selector::Subnet(_))) {
            let text = "added when the uplink is there; netd's rules let nothing out without it";
            return LayerReport::waiting(Layer::Rule, Fault::new(self.uplink_cause(), text));
        }
        self.rules_in_place(&shared)
    }

    /// Whether all of our rules are in the kernel; so they are where that cannot be told.
    pub(super) fn leads_are_in_place(&self) -> bool {
        let leads = self.leads();
        let leads: Vec<_> = leads.iter().collect();
        self.rules_in_place(&leads).cause != Cause::RuleMissing
    }

    /// Whether these rules of ours are in the kernel.
    fn rules_in_place(&self, leads: &[&PolicyRule]) -> LayerReport {
        let there = match rule::all(&self.kernel.netlink, Family::V4) {
            Ok(rules) => rules,
            Err(e) => return LayerReport::unread(Layer::Rule, e),
        };
        let there: Vec<_> =
            there.iter().filter_map(|rule| PolicyRule::read(rule, ROUTE_PROTOCOL)).collect();
        match leads.iter().find(|lead| !there.contains(lead)) {
            None => {
                let text = leads.iter().map(|l| format!("{}: {l}", l.priority));
                LayerReport::ok(Layer::Rule, text.collect::<Vec<_>>().join("; "))
            }
            Some(lead) => {
                let text = format!("the rule {lead} is missing, and could not be put back");
                let step =
                    format!("ip rule add {lead} pref {} proto {ROUTE_PROTOCOL}", lead.priority);
                let fault = Fault::new(Cause::RuleMissing, text).with_step(step);
                LayerReport::bad(Layer::Rule, fault)
            }
        }
    }

    /// The same for a guest that does not simply follow the uplink: its own rule counts, if it has one.
    fn own_rule_layer(&self, net: &GuestNet, shared: &LayerReport) -> LayerReport {
        let own = Selector::Guest(net.host.name.clone());
        match (self.leads().iter().find(|lead| lead.selector == own), net.vpn.tun()) {
            (None, None) if !net.vpn.leaves() => {
                let text = format!("nothing stops what {} sends to others", net.host.name);
                LayerReport::bad(Layer::Rule, Fault::new(Cause::RuleMissing, text))
            }
            (None, None) => shared.clone(),
            (None, Some(tun)) => {
                let text = format!("added when {tun} is there");
                LayerReport::waiting(Layer::Rule, Fault::new(Cause::TunMissing, text))
            }
            (Some(lead), _) => match self.rules_in_place(&[lead]) {
                there if there.state == LayerState::Ok && !net.vpn.leaves() => {
                    LayerReport::ok(Layer::Rule, format!("{NO_UPLINK} ({})", there.text))
                }
                there if there.state == LayerState::Ok && lead.to == Action::Nowhere => {
                    self.stopped(&format!(" ({})", there.text))
                }
                other => other,
            },
        }
    }

    /// The same for one that is only to come.
    fn rule_to_be(&self, net: &GuestNet, shared: &LayerReport) -> LayerReport {
        match &net.vpn {
            VpnPolicy::NoUplink => LayerReport::ok(Layer::Rule, NO_UPLINK),
            VpnPolicy::NamedTun(tun) => LayerReport::ok(
                Layer::Rule,
                format!("a rule that leads it to {tun} would be added"),
            ),
            VpnPolicy::BlockUnderLockdown if self.world.lockdown.stops() => self.stopped(""),
            VpnPolicy::BlockUnderLockdown | VpnPolicy::FollowUplink => shared.clone(),
        }
    }

    fn stopped(&self, by: &str) -> LayerReport {
        let when = match self.world.lockdown {
            Lockdown::Held { started: true, .. } => {
                "until it is known whether the lockdown VPN is up again"
            }
            _ => "while a lockdown VPN is up",
        };
        let text = format!("stopped {when}, as the guest's VPN policy says{by}");
        LayerReport::waiting(Layer::Rule, Fault::new(Cause::Lockdown, text))
    }

    fn forwarding_layer(&self, off_is_fine: bool) -> LayerReport {
        let ok = |text: &str| LayerReport::ok(Layer::Forwarding, text);
        let off = |text: &str| Fault::new(Cause::ForwardingOff, text);
        match (sysctl::forwarding(), self.asks_netd()) {
            (Ok(true), false) => ok(match self.world.strangers {
                Strangers::Pass => "net.ipv4.ip_forward is 1",
                Strangers::NotFromWaysOut => {
                    "net.ipv4.ip_forward is 1, by guestnetd; what comes in by a way out of guests is \
                     not passed on to others"
                }
                Strangers::Nowhere => {
                    "net.ipv4.ip_forward is 1, by guestnetd, and only guests' packets pass"
                }
            }),
            (Ok(true), true) if self.shared.forwarding.get().is_ours() => {
                ok("net.ipv4.ip_forward is 1, and requested from netd")
            }
            (Ok(_), true) if off_is_fine => ok("requested from netd with the first guest that has an uplink"),
            (Ok(true), true) => LayerReport::waiting(
                Layer::Forwarding,
                Fault::new(
                    Cause::ForwardingNotOurs,
                    "net.ipv4.ip_forward is 1, but only for as long as others need it",
                ),
            )
            .retried(self.shared.forwarding.retry_at(&self.world)),
            (Ok(false), false) if off_is_fine => {
                ok("net.ipv4.ip_forward is 0, and is set to 1 with the first guest that has an uplink")
            }
            (Ok(false), false) => {
                let text = "another program set net.ipv4.ip_forward to 0, and it could not be put back";
                let fault = off(text).with_step("sysctl -w net.ipv4.ip_forward=1");
                LayerReport::bad(Layer::Forwarding, fault)
                    .retried(self.shared.forwarding.retry_at(&self.world))
            }
            (Ok(false), true) if matches!(self.shared.forwarding.health(), Health::Pending(_)) => {
                let text = "net.ipv4.ip_forward is 0, and netd has not answered yet";
                LayerReport::bad(Layer::Forwarding, Fault::new(Cause::NetdUnanswered, text))
            }
            (Ok(false), true) => {
                let text =
                    "netd was asked, but net.ipv4.ip_forward is 0; guestnetd's log says more";
                LayerReport::bad(Layer::Forwarding, off(text))
                    .retried(self.shared.forwarding.retry_at(&self.world))
            }
            (Err(e), _) => LayerReport::unread(Layer::Forwarding, e),
        }
    }

    /// The same, if this interface forwards, too: it has a switch of its own, for what comes in there.
    fn forwards_by(&self, layer: LayerReport, name: &IfName) -> LayerReport {
        let link = link::by_name(&self.kernel.netlink, name.as_str());
        match link {
            Ok(Some(link)) => forwards(layer, &link),
            _ => layer,
        }
    }

    fn filter_layers(&mut self) -> [LayerReport; 2] {
        let both = |one: fn(Layer, Fault) -> LayerReport, fault: &Fault, retry| {
            [Layer::Firewall, Layer::Nat].map(|layer| one(layer, fault.clone()).retried(retry))
        };
        match self.shared.packet_filter.health() {
            Health::Failing { cause, stuck } => {
                let retry = self.shared.packet_filter.retry_at(&self.world);
                let what = match stuck {
                    true => Cause::FilterProgramStuck,
                    false => Cause::FilterProgramFailed,
                };
                let text = format!("the rules for the present uplink could not be set: {cause}");
                return both(LayerReport::bad, &Fault::new(what, text), retry);
            }
            Health::Pending(_) => {
                let text =
                    "the rules for the present uplink wait for netd's answer; it may be starting";
                let fault = Fault::new(Cause::NetdUnanswered, text);
                return both(LayerReport::waiting, &fault, None);
            }
            Health::InPlace => {}
        }
        if let Some(why) = self.shared.packet_filter.get().unseen() {
            let why = format!("the rules cannot be read: {why}");
            return [Layer::Firewall, Layer::Nat].map(|layer| LayerReport::unread(layer, &why));
        }
        let ruleset = self.ruleset();
        match self.shared.packet_filter.get_mut().compare(&ruleset) {
            Ok(None) => [self.own_filter_layer(), self.nat_layer(&ruleset)],
            Ok(Some(what)) => {
                // Compared again only while there are guests.
                let check = self.next_check();
                let text = format!("another program changed guestnetd's rules: {what}");
                let step =
                    "guestnetd puts them back at its next check (--check-every); find who changes \
                            them: a script that flushes or restores iptables";
                if is_source_nat(&what) {
                    let fault = Fault::new(Cause::MasqueradeMissing, text).with_step(step);
                    let nat = LayerReport::bad(Layer::Nat, fault).retried(check);
                    return [self.own_filter_layer(), nat];
                }
                both(
                    LayerReport::bad,
                    &Fault::new(Cause::FilterChanged, text).with_step(step),
                    check,
                )
            }
            Err(e) => [Layer::Firewall, Layer::Nat].map(|layer| LayerReport::unread(layer, &e)),
        }
    }

    /// Our rules behind those of others, where that is all that is wrong with them: what becomes of
    /// packets, the rules of both say.
    pub(super) fn layers_in_place(&self, layers: &[LayerReport]) -> Option<[LayerReport; 2]> {
        let mut all = layers.iter().filter(|l| matches!(l.layer, Layer::Firewall | Layer::Nat));
        let moved = all.find(|l| l.cause == Cause::FilterChanged && is_of_place(&l.text))?;
        let filter = LayerReport { layer: Layer::Firewall, state: LayerState::Ok, ..moved.clone() };
        Some([filter, self.nat_layer(&self.ruleset())])
    }

    /// Our rules are as they should be; others' are looked at for each guest.
    fn own_filter_layer(&self) -> LayerReport {
        let filter = self.shared.packet_filter.get();
        let mut text = format!("{:?} rules in place", filter.backend()).to_lowercase();
        // What says whose an answer is limits nothing.
        let (owner, limits): (Vec<_>, Vec<_>) =
            filter.lacks().into_iter().partition(|name| name == "xt_owner");
        if !limits.is_empty() && self.world.platform.connections.is_some() {
            let lacks = limits.join(" and no ");
            text +=
                &format!("; the kernel has no {lacks}: guests' connections are not all limited");
        }
        if !owner.is_empty() {
            text += "; the kernel has no xt_owner: another program at the forwarder's port could answer guests";
        }
        if let Some(why) = filter.leftovers() {
            text += &format!(
                "; rules of an earlier guestnetd are left and may drop what guests send: {why}"
            );
        }
        if pin::is_unknown() && self.is_loose() {
            text += "; net.ipv4.conf.all.rp_filter is 2 and the kernel has no cls_bpf: guests may send with others' \
                     addresses";
        }
        LayerReport::ok(Layer::Firewall, text)
    }

    fn nat_layer(&self, ruleset: &Ruleset) -> LayerReport {
        if ruleset.uplinks.is_empty() {
            let text = "no uplink, so nothing is forwarded";
            return LayerReport::waiting(Layer::Nat, Fault::new(self.uplink_cause(), text));
        }
        self.masquerade(&ruleset.ways_out())
    }

    fn masquerade(&self, by: &str) -> LayerReport {
        let text = format!("masquerade via {by}");
        match self.fullness() {
            Some(Fullness { text, full: true }) => {
                let step = "`conntrack -L` shows whose they are; net.netfilter.nf_conntrack_max";
                let fault = Fault::new(Cause::ConntrackFull, text).with_step(step);
                LayerReport::bad(Layer::Nat, fault)
            }
            Some(Fullness { text: nearly, .. }) => {
                LayerReport::ok(Layer::Nat, format!("{text}; {nearly}"))
            }
            None => LayerReport::ok(Layer::Nat, text),
        }
    }

    /// What keeps traffic from leaving by the uplink.
    pub(super) fn uplink_cause(&self) -> Cause {
        self.world.uplink.trouble().map_or(Cause::UplinkMissing, |fault| fault.cause)
    }

    fn uplink_layer(&self) -> LayerReport {
        match self.world.uplink.fault() {
            // It does not wait for anything: what guests send is dropped.
            Some(fault) if fault.cause == Cause::VpnCaptures => {
                return LayerReport::bad(Layer::Uplink, fault)
            }
            Some(fault) => return LayerReport::waiting(Layer::Uplink, fault),
            None => {}
        }
        let text = self.world.uplink.to_string();
        let info = self.world.uplink_infos.of(self.world.uplink.name.as_ref());
        match info.filter(|info| !info.validated) {
            None => LayerReport::ok(Layer::Uplink, text),
            Some(info) => {
                LayerReport::new(Layer::Uplink, LayerState::Ok, not_validated(&text, info))
            }
        }
    }

    /// A layer that is another one for a guest that does not follow the uplink. Without an index it is one that is
    /// only to come: then, with `off_is_fine`, forwarding need not be on yet.
    pub(in crate::daemon) fn as_for(
        &self,
        net: &GuestNet,
        index: Option<IfIndex>,
        off_is_fine: bool,
        layer: &LayerReport,
    ) -> LayerReport {
        match (&net.vpn, layer.layer) {
            (_, Layer::Rule) if index.is_none() => self.rule_to_be(net, layer),
            (VpnPolicy::NoUplink, of) if of != Layer::Rule => without_uplink(layer),
            (VpnPolicy::NamedTun(_), Layer::Dns) => self.names_layer_of(net, index),
            (_, Layer::Dns) if net.dns != Dns::Auto => self.names_layer_of(net, index),
            (VpnPolicy::NamedTun(tun), Layer::Uplink) => self.tun_layer(tun),
            (VpnPolicy::NamedTun(_), Layer::Forwarding) if off_is_fine => {
                self.forwarding_layer(true)
            }
            (VpnPolicy::NamedTun(tun), Layer::Forwarding) => {
                self.forwards_by(self.forwarding_layer(false), tun)
            }
            // It leaves by that, whether or not there is an uplink.
            (VpnPolicy::NamedTun(tun), Layer::Nat) if layer.state == LayerState::Waiting => {
                self.masquerade(tun.as_str())
            }
            (VpnPolicy::FollowUplink, Layer::Rule) => layer.clone(),
            (_, Layer::Rule) => self.own_rule_layer(net, layer),
            _ => layer.clone(),
        }
    }

    fn tun_layer(&self, tun: &IfName) -> LayerReport {
        let waits = |cause, text| LayerReport::waiting(Layer::Uplink, Fault::new(cause, text));
        match link::by_name(&self.kernel.netlink, tun.as_str()) {
            Ok(Some(link)) if link.up => LayerReport::ok(Layer::Uplink, format!("{tun}, its VPN")),
            Ok(Some(_)) => waits(Cause::TunDown, format!("{tun}, the guest's VPN, is down")),
            Ok(None) => {
                waits(Cause::TunMissing, format!("no interface {tun}, which is the guest's VPN"))
            }
            Err(e) => LayerReport::unread(Layer::Uplink, e),
        }
    }
}

/// A layer that all guests share, for one that leaves by nothing.
pub(super) fn without_uplink(layer: &LayerReport) -> LayerReport {
    match layer.layer {
        Layer::Firewall => layer.clone(),
        other => LayerReport::ok(other, NO_UPLINK),
    }
}

/// Its packets go on: the platform may not have tried yet, or be kept from whom it tries.
fn not_validated(uplink: &str, info: &UplinkInfo) -> Fault {
    let text = format!("{uplink}; the platform has not reached the internet by it");
    let step = match &info.portal {
        Some(url) => format!("sign in on the device: its network has a captive portal, {url}"),
        None => "the device's own network settings say what it lacks".to_owned(),
    };
    Fault::new(Cause::NotValidated, text).with_step(step)
}

/// Whether what differs is that guests' addresses are not translated: the chain, or the jump to it, is not
/// there. (That others' rules come before it is another matter.)
fn is_source_nat(what: &str) -> bool {
    let there = is_of_place(what);
    what.contains("`nat`") && !there && (what.contains("`POSTROUTING`") || what.contains("_post"))
}

/// The layer of forwarding, where this link's own switch is off.
pub(super) fn forwards(layer: LayerReport, link: &Link) -> LayerReport {
    let is_off = link.ipv4.is_some_and(|conf| conf.forwarding == 0);
    if is_off && layer.layer == Layer::Forwarding && layer.state == LayerState::Ok {
        return LayerReport::bad(Layer::Forwarding, forwarding_off(&link.name));
    }
    layer
}

/// An interface that forwards nothing, though the device does.
pub(in crate::daemon) fn forwarding_off(interface: &str) -> Fault {
    let key = format!("net.ipv4.conf.{interface}.forwarding");
    let text = format!("{interface} does not forward what comes in there: {key} is 0");
    Fault::new(Cause::ForwardingOff, text).with_step(format!("sysctl -w {key}=1"))
}
