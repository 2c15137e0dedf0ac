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

use crate::daemon::reconcile::servers::upstream;
use crate::daemon::{Daemon, Layer, LayerReport};
use crate::effects::platform::resolv_conf;
use crate::model::fault::{Cause, Fault};
use crate::model::names::{Answer, Way};
use crate::serve::dns::Ask;
use crate::spec::{Dns, VpnPolicy};
use std::net::{IpAddr, Ipv4Addr};

impl Daemon {
    /// For guests that leave so.
    pub(super) fn names_layer(&self, way: &Way) -> LayerReport {
        if self.forwards(way) {
            return self.layer_of_forwarder(way);
        }
        let resolver = match way {
            None => self.ruleset().resolver,
            Some(tun) => self.ruleset().tun_resolvers.get(tun).copied(),
        };
        let Some(resolver) = resolver else {
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

    /// Whether guests that leave so and choose nothing are answered by the forwarder.
    fn forwards(&self, way: &Way) -> bool {
        let vpn = way.clone().map_or(VpnPolicy::FollowUplink, VpnPolicy::NamedTun);
        self.world.forwards(&Dns::Auto, &vpn)
    }

    /// Whom the forwarder asks.
    fn layer_of_forwarder(&self, way: &Way) -> LayerReport {
        let uplink = self.world.uplink.name.as_ref();
        let asked = upstream(&self.world, way).map(|upstream| upstream.ask);
        let goes =
            |whom: &str| format!("port 53 of the gateway goes by guestnetd's forwarder to {whom}");
        match asked {
            None => {
                let text =
                    "guestnetd's forwarder asks when there is a way out, and fails until then";
                LayerReport::waiting(Layer::Dns, Fault::new(self.uplink_cause(), text))
            }
            Some(Ask::Netd(network)) => {
                LayerReport::ok(Layer::Dns, goes(&format!("netd, about its network {network}")))
            }
            Some(Ask::Servers(servers)) => match servers.first() {
                None => LayerReport::bad(Layer::Dns, self.resolvers.none(way.as_ref().or(uplink))),
                Some(IpAddr::V4(server)) if !server.is_loopback() => {
                    let origin = self.resolvers.origin(way.as_ref().or(uplink));
                    self.layer_of_resolver(way, *server, &goes(&server.to_string()), &origin)
                }
                // Guests' own questions say whether it answers.
                Some(server) if self.servers.counters().dns.get().answered > 0 => LayerReport::ok(
                    Layer::Dns,
                    format!("{}, which answers", goes(&server.to_string())),
                ),
                Some(server) => LayerReport::unread(
                    Layer::Dns,
                    format!("{}; it has not answered yet", goes(&server.to_string())),
                ),
            },
        }
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
            Some((at, answer @ (Answer::Silent(_) | Answer::Refuses(_)))) => {
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
