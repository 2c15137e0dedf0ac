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

//! What servers are to serve, as the world has it.

use crate::daemon::{Daemon, Served};
use crate::effects::platform::resolv_conf;
use crate::model::dhcp::WayOut;
use crate::model::dns::NameServers;
use crate::model::guest_table::Attached;
use crate::model::if_index::IfIndex;
use crate::model::policy_rules::{asks_by, ANSWERS_GUESTS};
use crate::model::world::World;
use crate::ordered::{sort_short, IntoOrdered, OrderedSet};
use crate::serve::dns::{Ask, Guest, Upstream, Way, Zone};
use crate::serve::{dhcp, dns, Want};
use crate::spec::{Dns, VpnPolicy};
use crate::store::{AttachedRecord, Record};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// No guest decides how often its record is written: a client can take its lease and give it back ten times in a
/// second.
const KEEP_EVERY: Duration = Duration::from_secs(1);

/// When what guests were told by DHCP is kept.
#[derive(Default)]
pub(in crate::daemon) struct Leases {
    /// When it was last.
    kept: Option<Instant>,
    /// When it is to be next; none: nothing has changed.
    due: Option<Instant>,
}

impl Daemon {
    /// Guests, what they are to have, or the way out may be others. Nothing is waited for.
    pub(in crate::daemon) fn bring_servers(&mut self) {
        let zone = self.config.guest_zone.as_ref();
        let changed = self.world.guests.take_changed();
        let askers = self.serving.askers.bring(&self.world, &changed, zone.is_some());
        let want = want(&self.world, askers, &self.config.dnsproxyd, zone);
        self.serving.servers.bring(want.clone());
        // After the server knows better: what it has told before does not hold.
        self.upkeep.worker.tell(self.serving.servers.counters().dhcp.take_outdated(&want.dhcp));
    }

    /// Guests have taken leases by DHCP, or given them back: at once, but for what comes soon after.
    pub(in crate::daemon) fn leases_changed(&mut self) {
        let now = Instant::now();
        match self.serving.leases.kept.map(|at| at + KEEP_EVERY).filter(|at| *at > now) {
            Some(at) => self.serving.leases.due = Some(at),
            None => self.keep_leases(),
        }
    }

    /// When what they have is to be kept; none: it is.
    pub(in crate::daemon) fn leases_at(&self) -> Option<Instant> {
        self.serving.leases.due
    }

    /// What all of them were told is kept.
    pub(in crate::daemon) fn keep_leases(&mut self) {
        self.serving.leases = Leases { kept: Some(Instant::now()), due: None };
        let changed = self.serving.servers.counters().dhcp.take_changed();
        changed.into_iter().for_each(|index| self.keep_lease(index));
    }

    /// What a guest was told is kept, so that after a restart it is told of a change, too.
    pub(in crate::daemon) fn keep_lease(&mut self, index: IfIndex) {
        // The end of an update does it.
        if self.world.guests.is_updating(index) {
            return;
        }
        let Some(guest) = self.world.guests.by_index(index) else { return };
        // Who is not answered any more is told of nothing.
        let told = self.serving.servers.counters().dhcp.told(index).filter(|_| guest.spec.dhcp);
        if !self.world.guests.set_told(index, told) {
            return;
        }
        if let Some(guest) = self.world.guests.by_index(index) {
            let attached = Some(AttachedRecord::of(guest));
            self.record(guest.name(), Record { slot: guest.net.slot, attached });
        }
    }

    /// Whom the device can ask for names.
    pub(super) fn read_servers(&mut self) {
        let uplink = &self.world.uplink;
        let mut behind_uplink = self.resolvers.askable(uplink.name.as_ref(), &uplink.resolvers);
        // The device's own answers guests itself, where it listens at their gateway.
        if behind_uplink.iter().any(IpAddr::is_loopback) {
            let gateways: Vec<_> = self.world.guests.leases.subnets().map(|s| s.gateway).collect();
            if resolv_conf::is_served_here(|at| gateways.contains(&at)) {
                behind_uplink.clear();
            }
        }
        self.world.name_servers = NameServers {
            behind_uplink,
            named: self.resolvers.named(),
            netd: self.world.netd_routes() && self.config.dnsproxyd.exists(),
        };
    }
}

/// Pure.
fn want(world: &World, askers: dns::Guests, netd: &Path, zone: Option<&Zone>) -> Want {
    Want {
        mark: world.netd_routes().then_some(ANSWERS_GUESTS),
        dns: names(world, askers, netd, zone),
        dhcp: dhcp::Want { guests: world.guests.dhcp(), way: Arc::new(way_out(world)) },
    }
}

/// What guests are told of the uplink.
fn way_out(world: &World) -> WayOut {
    let info = world.uplink_infos.of(world.uplink.name.as_ref());
    let way =
        info.map(|info| WayOut { known: true, metered: info.metered, portal: info.portal.clone() });
    way.unwrap_or_default()
}

fn names(world: &World, guests: dns::Guests, netd: &Path, zone: Option<&Zone>) -> dns::Want {
    if guests.is_empty() && !world.forwarded().any() {
        return dns::Want::default();
    }
    let (mut ways, mut gateways) = (OrderedSet::new(), OrderedSet::new());
    for guest in guests.values() {
        if !ways.contains(&guest.way) {
            ways.insert(guest.way.clone());
        }
        gateways.insert(guest.gateway);
    }
    let upstreams =
        ways.into_iter().filter_map(|way| Some((way.clone(), upstream(world, &way)?))).into_map();
    dns::Want { guests, gateways, upstreams, netd: netd.into(), zone: zone.cloned() }
}

/// A guest that asks, but for its peers.
pub(super) fn asks(world: &World, guest: &Attached) -> Guest {
    let net = &guest.net;
    let stopped = match net.vpn {
        VpnPolicy::BlockUnderLockdown => world.lockdown.stops(),
        VpnPolicy::NoUplink => true,
        VpnPolicy::FollowUplink | VpnPolicy::NamedTun(_) => false,
    };
    let way = net.vpn.tun().cloned();
    let servers: Option<Arc<[IpAddr]>> = match &net.dns {
        // What it asks would leave, though nothing else of it does.
        _ if stopped => Some(Arc::default()),
        Dns::Servers(servers) => Some(bad_ones_last(world, &way, servers.clone()).into()),
        Dns::Auto | Dns::Dnat | Dns::Forward => None,
    };
    let (name, prefix) = (net.name.as_str().into(), net.guest.prefix);
    let (address, gateway) = (net.guest.address, net.guest.gateway);
    Guest { name, address, gateway, prefix, way, servers, peers: None }
}

/// Who is asked by those that leave so; none while nothing leaves so.
pub(in crate::daemon) fn upstream(world: &World, way: &Way) -> Option<Upstream> {
    let by = match way {
        None => world.uplink.name.clone().filter(|_| world.uplink.usable())?,
        Some(tun) => world.tuns.get(tun).filter(|tun| tun.up).map(|_| tun.clone())?,
    };
    let named = world.name_servers.named.contains(&by);
    let network = world.network(way.as_ref());
    let ask = match network.filter(|_| world.name_servers.netd) {
        // What a caller has named counts more.
        Some(network) if !named => Ask::Netd(network),
        _ => Ask::Servers(servers(world, way).into()),
    };
    Some(Upstream { by, mark: network.map(asks_by), ask })
}

/// Who answers a guest's questions now.
pub(in crate::daemon) fn served(world: &World, guest: &Attached) -> Served {
    let net = &guest.net;
    let Guest { way, servers, .. } = asks(world, guest);
    if !world.forwards(&net.dns, &net.vpn) {
        return Served::Dnat(world.resolver_of(&way).filter(|_| net.vpn.leaves()));
    }
    match (servers, upstream(world, &way).map(|upstream| upstream.ask)) {
        (Some(own), _) => Served::Servers(own.to_vec()),
        (None, Some(Ask::Netd(_))) => Served::Netd,
        (None, Some(Ask::Servers(all))) => Served::Forward(all.to_vec()),
        (None, None) => Served::Forward(Vec::new()),
    }
}

/// Those in their order, but such as are known to be of no use at the end: a tun's never are those behind
/// the uplink.
fn servers(world: &World, way: &Way) -> Vec<IpAddr> {
    let all = match way {
        None => world.name_servers.behind_uplink.clone(),
        Some(_) => world.resolvers_behind(way).iter().copied().map(IpAddr::V4).collect(),
    };
    bad_ones_last(world, way, all)
}

/// Else each question would wait for them again.
pub(in crate::daemon) fn bad_ones_last(
    world: &World,
    way: &Way,
    mut all: Vec<IpAddr>,
) -> Vec<IpAddr> {
    let is_bad = |server: &IpAddr| matches!(server, IpAddr::V4(at) if world.names.is_bad(way, *at));
    sort_short(&mut all, |one, other| !is_bad(one) && is_bad(other));
    all
}
