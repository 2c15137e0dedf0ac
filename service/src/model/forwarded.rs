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

//! Which guests' questions for names go to guestnetd's own forwarder. Pure.

use super::policy_rules;
use super::ruleset::Forwarded;
use super::world::World;
use crate::ordered::IntoOrdered;
use crate::spec::{Dns, IfName, VpnPolicy};

impl World {
    /// Whether what a guest asks goes to the forwarder.
    pub fn forwards(&self, dns: &Dns, vpn: &VpnPolicy) -> bool {
        match (dns, vpn.tun()) {
            (Dns::Dnat, _) => false,
            (Dns::Forward | Dns::Servers(_), _) => true,
            (Dns::Auto, _) if self.name_servers.netd => true,
            (Dns::Auto, Some(tun)) => self.tuns.get(tun).is_some_and(|tun| tun.resolvers.len() > 1),
            (Dns::Auto, None) => self.one_resolver_would_not_do(),
        }
    }

    /// DNAT leads to one server, of IPv4, that is not the device itself.
    fn one_resolver_would_not_do(&self) -> bool {
        let servers = &self.name_servers.behind_uplink;
        servers.len() > 1 || !servers.is_empty() && self.uplink.resolvers.is_empty()
    }

    /// Whose questions go to the forwarder.
    pub fn forwarded(&self) -> Forwarded {
        let all = self.forwards(&Dns::Auto, &VpnPolicy::FollowUplink);
        let other = |(dns, vpn): &(Dns, VpnPolicy)| self.forwards(dns, vpn) != all;
        let choices = self.guests.dns_choices().iter();
        let but = choices.filter(|(_, choice)| other(choice)).map(|(host, _)| host.clone());
        Forwarded { all, but: but.into_set() }
    }

    /// netd's number of the network that guests leave by in this way.
    pub fn network(&self, tun: Option<&IfName>) -> Option<u32> {
        let table = match tun {
            None => self.uplink.table,
            Some(tun) => self.platform.routing.table_of(self.tuns.get(tun)?.index),
        };
        policy_rules::network_of(&self.rules, table).filter(|_| self.netd_routes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::if_index::IfIndex;
    use crate::model::world::Tun;

    fn world(servers: &[&str], resolvers: usize) -> World {
        let mut world = World::empty();
        world.name_servers.behind_uplink = servers.iter().map(|one| one.parse().unwrap()).collect();
        world.uplink.resolvers = vec![[192, 0, 2, 53].into(); resolvers];
        world
    }

    #[test]
    fn dnat_stays_where_it_does_all_there_is_to_do() {
        let auto = |world: &World| world.forwarded().all;
        assert!(!auto(&world(&["192.0.2.53"], 1)));
        assert!(!auto(&world(&[], 0)));
        assert!(auto(&world(&["192.0.2.53", "192.0.2.54"], 2)), "two servers");
        assert!(auto(&world(&["2001:db8::53"], 0)), "of IPv6 only");
        assert!(auto(&world(&["127.0.0.53"], 0)), "a stub");
        let mut netd = world(&[], 0);
        netd.name_servers.netd = true;
        assert!(auto(&netd));
    }

    #[test]
    fn who_chooses_gets_what_it_chooses() {
        let tun = IfName::new("tun0").unwrap();
        let by = VpnPolicy::NamedTun(tun.clone());
        for servers in [&["192.0.2.53"][..], &["192.0.2.53", "192.0.2.54"]] {
            let mut world = world(servers, servers.len());
            assert!(!world.forwards(&Dns::Dnat, &VpnPolicy::FollowUplink));
            assert!(world.forwards(&Dns::Forward, &VpnPolicy::FollowUplink));
            assert!(world.forwards(&Dns::Servers(vec![]), &by));
            assert!(!world.forwards(&Dns::Auto, &by), "a tun that is not there");
            for (count, forwards) in [(0, false), (1, false), (2, true)] {
                let resolvers = vec![[10, 8, 0, 1].into(); count];
                let there = Tun { index: IfIndex::of(7), up: true, mtu: 1400, resolvers };
                world.tuns.insert(tun.clone(), there);
                assert_eq!(world.forwards(&Dns::Auto, &by), forwards, "whatever the uplink has");
            }
        }
    }
}
