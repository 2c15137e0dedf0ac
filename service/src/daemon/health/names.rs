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

//! Whether guests' questions for names are answered: as the resolvers said when they were asked last.

use crate::daemon::reconcile::servers::{bad_ones_last, upstream};
use crate::daemon::{Daemon, Layer, LayerReport};
use crate::effects::platform::resolv_conf;
use crate::model::fault::{Cause, Fault};
use crate::model::guest_table::Attached;
use crate::model::if_index::IfIndex;
use crate::model::names::{Answer, Way};
use crate::model::GuestNet;
use crate::serve::dns::book::Lately;
use crate::serve::dns::{Ask, PORT};
use crate::spec::{Dns, GuestName, VpnPolicy};
use std::net::{IpAddr, Ipv4Addr};

const BY_FORWARDER: &str = "port 53 of the gateway goes by guestnetd's forwarder to";
/// So many questions that came to nothing, one after the other, are no accident.
const IN_A_ROW: u32 = 3;

impl Daemon {
    /// For guests that leave so and choose nothing.
    pub(super) fn names_layer(&self, way: &Way) -> LayerReport {
        self.layer_of_choice(way, &Dns::Auto, None)
    }

    /// For one guest; without an index it is only to come.
    pub(super) fn names_layer_of(&self, net: &GuestNet, index: Option<IfIndex>) -> LayerReport {
        self.layer_of_choice(&net.vpn.tun().cloned(), &net.dns, Some((&net.name, index)))
    }

    fn layer_of_choice(
        &self,
        way: &Way,
        dns: &Dns,
        guest: Option<(&GuestName, Option<IfIndex>)>,
    ) -> LayerReport {
        let vpn = way.clone().map_or(VpnPolicy::FollowUplink, VpnPolicy::NamedTun);
        if self.world.forwards(dns, &vpn) {
            return self.layer_of_forwarder(way, dns, guest);
        }
        let Some(resolver) = self.resolver_of(way) else {
            return match way {
                None => self.layer_of_own_resolver(way),
                Some(_) => LayerReport::bad(Layer::Dns, self.resolvers.none(way.as_ref())),
            };
        };
        let behind = way.as_ref().or(self.world.uplink.name.as_ref());
        let origin = self.resolvers.origin(behind);
        let goes = format!("port 53 of the gateway goes to {resolver}");
        self.layer_of_resolver(way, resolver, &goes, &origin)
    }

    /// Who gets the questions of guests that leave so, or that of the first of these.
    fn resolver_of(&self, way: &Way) -> Option<Ipv4Addr> {
        let Some(tun) = way else { return self.ruleset().resolver };
        let known = self.ruleset().tun_resolvers.get(tun).copied();
        known.or_else(|| self.world.tuns.get(tun)?.resolvers.first().copied())
    }

    /// What is known of the one that questions go to.
    fn layer_of_resolver(
        &self,
        way: &Way,
        resolver: Ipv4Addr,
        goes: &str,
        origin: &str,
    ) -> LayerReport {
        // Nobody asks, so nobody is asked.
        if self.world.guests.is_empty() {
            return LayerReport::ok(Layer::Dns, format!("{goes} ({origin})"));
        }
        let waits = way.is_none() && !self.world.uplink.usable();
        match self.world.names.answer(way, resolver) {
            _ if waits => {
                let text = format!("{goes} ({origin}), which is asked when the uplink is there");
                LayerReport::waiting(Layer::Dns, Fault::new(self.uplink_cause(), text))
            }
            Some(Answer::Answers) => {
                let passed = self.passed_over(way, resolver);
                LayerReport::ok(Layer::Dns, format!("{goes}, which answers ({origin}){passed}"))
            }
            Some(Answer::Unasked(why)) => LayerReport::unread(
                Layer::Dns,
                format!("{goes} ({origin}), but it cannot be asked: {why}"),
            ),
            None => LayerReport::unread(
                Layer::Dns,
                format!("{goes} ({origin}); it has not answered yet"),
            ),
            Some(bad) => {
                let fault = self.bad_resolver(way, resolver, bad);
                let text = format!("{} ({origin})", fault.text);
                LayerReport::bad(Layer::Dns, Fault { text, ..fault })
            }
        }
    }

    /// Whom the forwarder asks, and what came of that.
    fn layer_of_forwarder(
        &self,
        way: &Way,
        dns: &Dns,
        guest: Option<(&GuestName, Option<IfIndex>)>,
    ) -> LayerReport {
        let book = &self.serving.servers.counters().dns;
        if let Some(why) = book.trouble() {
            let text = format!("guestnetd's forwarder cannot listen: {why}");
            let step = format!("end who has that port: ss -lnp 'sport = :{PORT}'");
            return LayerReport::bad(
                Layer::Dns,
                Fault::new(Cause::DnsPortTaken, text).with_step(step),
            );
        }
        let Some(upstream) = upstream(&self.world, way) else {
            let text = "guestnetd's forwarder asks when there is a way out, and fails until then";
            return LayerReport::waiting(Layer::Dns, Fault::new(self.uplink_cause(), text));
        };
        let lately = match guest {
            Some((_, Some(index))) => book.of(index).lately,
            Some((_, None)) => Lately::Nothing,
            None => book.followers(),
        };
        let behind = way.as_ref().or(self.world.uplink.name.as_ref());
        let (servers, origin, step) = match (dns, upstream.ask) {
            (Dns::Servers(own), _) => {
                let name = guest.map_or("GUEST", |(name, _)| name.as_str());
                let step =
                    format!("guestnetctl update {name} --dns-mode auto, or with other servers");
                let servers = bad_ones_last(&self.world, way, own.clone());
                (servers, "the guest's own".to_owned(), step)
            }
            (_, Ask::Servers(servers)) => {
                let step =
                    format!("guestnetctl dns {} ADDRESS, with another resolver", upstream.by);
                (servers.to_vec(), self.resolvers.origin(behind), step)
            }
            (_, Ask::Netd(network)) => {
                let goes = format!("{BY_FORWARDER} netd, about its network {network}");
                let step = "`dumpsys dnsresolver` says what netd has".to_owned();
                return layer_of_experience(&goes, lately, step, true);
            }
        };
        let Some(first) = servers.first() else {
            return LayerReport::bad(Layer::Dns, self.resolvers.none(behind));
        };
        match first {
            // It is asked for that, and guests need not have been.
            IpAddr::V4(server) if self.world.names.answer(way, *server).is_some() => {
                let goes = format!("{BY_FORWARDER} {server}");
                let mut layer = self.layer_of_resolver(way, *server, &goes, &origin);
                // What is wrong with the uplink's resolvers has a step of its own.
                if matches!(dns, Dns::Servers(_)) && layer.next_step.is_some() {
                    layer.next_step = Some(step);
                }
                layer
            }
            _ => layer_of_experience(
                &format!("{BY_FORWARDER} {first} ({origin})"),
                lately,
                step,
                false,
            ),
        }
    }

    /// Who gets a guest's questions, where the device can ask it itself by IPv4; and whether by the forwarder.
    /// Without a guest, those of guests that choose nothing.
    pub(in crate::daemon) fn asked_for(
        &self,
        guest: Option<&Attached>,
    ) -> (Option<Ipv4Addr>, bool) {
        let way = guest.and_then(|guest| guest.net.vpn.tun().cloned());
        let vpn = way.clone().map_or(VpnPolicy::FollowUplink, VpnPolicy::NamedTun);
        let dns = guest.map_or(&Dns::Auto, |guest| &guest.net.dns);
        if !self.world.forwards(dns, &vpn) {
            return (self.resolver_of(&way), false);
        }
        let servers = match (dns, upstream(&self.world, &way).map(|upstream| upstream.ask)) {
            (Dns::Servers(own), _) => bad_ones_last(&self.world, &way, own.clone()),
            (_, Some(Ask::Servers(servers))) => servers.to_vec(),
            _ => Vec::new(),
        };
        let first = servers.first().and_then(|server| match server {
            IpAddr::V4(server) => Some(*server).filter(|at| !at.is_loopback()),
            IpAddr::V6(_) => None,
        });
        (first, true)
    }

    /// Who answers at the gateway where no resolver beyond it is known.
    fn layer_of_own_resolver(&self, way: &Way) -> LayerReport {
        let gateways: Vec<_> = self.ruleset().subnets.iter().map(|s| s.gateway).collect();
        if !resolv_conf::is_served_here(|at| gateways.contains(&at)) {
            let fault = self.resolvers.none(self.world.uplink.name.as_ref());
            return LayerReport::bad(Layer::Dns, fault);
        }
        let asked = gateways.iter().find_map(|at| Some((*at, self.world.names.answer(way, *at)?)));
        match asked {
            Some((at, answer @ (Answer::Silent(_) | Answer::Refuses(_) | Answer::Nonsense))) => {
                LayerReport::bad(Layer::Dns, self.bad_resolver(way, at, answer))
            }
            _ => LayerReport::ok(Layer::Dns, "a resolver on the device answers at the gateway"),
        }
    }

    /// The resolver before it, if that is not the one in use because it does not do.
    fn passed_over(&self, way: &Way, resolver: Ipv4Addr) -> String {
        let first = self.world.resolvers_behind(way).first();
        let first = first.filter(|first| **first != resolver);
        let known = first.and_then(|first| Some((*first, self.world.names.answer(way, *first)?)));
        known.map_or_else(String::new, |(first, answer)| {
            format!(": {}", self.bad_resolver(way, first, answer).text)
        })
    }

    fn bad_resolver(&self, way: &Way, resolver: Ipv4Addr, answer: &Answer) -> Fault {
        let uplink = self.world.uplink.name.as_ref().map_or("UPLINK", |name| name.as_str());
        let leaves = way.as_ref().map_or(uplink, |tun| tun.as_str());
        let other = format!("guestnetctl dns {leaves} ADDRESS, with another resolver");
        let fault = match answer {
            Answer::Silent(why) => {
                let why = why.map(|why| format!(": {why}")).unwrap_or_default();
                Fault::new(
                    Cause::DnsSilent,
                    format!("the resolver {resolver} does not answer{why}"),
                )
            }
            Answer::Refuses(code) => {
                let text = format!("the resolver {resolver} does not resolve: it answers {code}");
                Fault::new(Cause::DnsRefused, text)
            }
            Answer::Nonsense => {
                let text = format!(
                    "the resolver {resolver} does not resolve: what it sends is no answer to what it is asked"
                );
                Fault::new(Cause::DnsRefused, text)
            }
            Answer::Elsewhere { by, vpn } => {
                let text = format!(
                    "the device reaches the resolver {resolver} via {by}, and guests may leave via \
                     {leaves} only, so it does not hear them"
                );
                let fault = Fault::new(Cause::DnsElsewhere, text);
                let way = match vpn {
                    true => format!(", or attach with --vpn tun:{by}"),
                    false => String::new(),
                };
                return fault.with_step(format!("{other} behind {leaves}{way}"));
            }
            _ => {
                let text = format!("the device has no way for guests to the resolver {resolver}");
                Fault::new(Cause::DnsElsewhere, text)
            }
        };
        fault.with_step(other)
    }
}

/// Guests' own questions say whether who is asked answers. A name whose own servers are broken is silent, too,
/// so a few are no sign. `trusted`: it is thought to answer until then.
fn layer_of_experience(goes: &str, lately: Lately, step: String, trusted: bool) -> LayerReport {
    let bad = |cause, text| LayerReport::bad(Layer::Dns, Fault::new(cause, text).with_step(step));
    match lately {
        Lately::Silent(n @ IN_A_ROW..) => {
            bad(Cause::DnsSilent, format!("{goes}, which has not answered the last {n} questions"))
        }
        Lately::Refused(n @ IN_A_ROW..) => {
            bad(Cause::DnsRefused, format!("{goes}, which has refused the last {n} questions"))
        }
        Lately::Answered => LayerReport::ok(Layer::Dns, format!("{goes}, which answers")),
        _ if trusted => LayerReport::ok(Layer::Dns, goes),
        _ => LayerReport::unread(Layer::Dns, format!("{goes}; it has not answered yet")),
    }
}
