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

//! The guests whose questions for names go to guestnetd's forwarder, kept: of a thousand of them one that comes or
//! goes has no other put together again, unless something that is said of all has changed with it, such as who is on
//! a segment where guests have names.

use super::servers::asks;
use crate::model::dns::NameServers;
use crate::model::guest_table::Attached;
use crate::model::if_index::IfIndex;
use crate::model::names::Names;
use crate::model::world::World;
use crate::ordered::{OrderedMap, OrderedSet};
use crate::serve::dns::{Guest, Guests, Peers};
use crate::spec::{IfName, SegmentName};
use std::sync::Arc;

/// Those that there were last.
#[derive(Default)]
pub(in crate::daemon) struct Askers {
    guests: Guests,
    around: Option<Around>,
}

/// All but the guest itself that says what is said of it to the forwarder.
#[derive(PartialEq, Eq)]
struct Around {
    /// Whether a lockdown stops guests.
    stops: bool,
    servers: NameServers,
    /// Whether there is a resolver that DNAT can lead to.
    leads: bool,
    /// How many resolvers there are behind each tun.
    tuns: Vec<(IfName, usize)>,
    /// Which of the servers are of no use.
    names: Names,
    /// The guests of each segment, where they are to have names.
    peers: OrderedMap<SegmentName, Arc<Peers>>,
}

impl Askers {
    /// Brings them to this world, of which these guests have changed.
    pub(super) fn bring(
        &mut self,
        world: &World,
        changed: &OrderedSet<IfIndex>,
        named: bool,
    ) -> Guests {
        let around = Around::of(world, named);
        if self.around.as_ref() != Some(&around) {
            self.guests = Arc::new(all(world, &around, &self.guests));
        } else {
            for index in changed {
                self.put(
                    *index,
                    world.guests.by_index(*index).and_then(|one| around.of_guest(world, one)),
                );
            }
        }
        // Each guestnetd of the tests has this looked at.
        debug_assert!(
            *self.guests == all(world, &around, &Guests::default()),
            "a guest that asks has changed unseen"
        );
        self.around = Some(around);
        Arc::clone(&self.guests)
    }

    fn put(&mut self, index: IfIndex, guest: Option<Guest>) {
        match (guest, self.guests.get(&index)) {
            (None, None) => {}
            (Some(guest), Some(there)) if **there == guest => {}
            (Some(guest), _) => {
                drop(Arc::make_mut(&mut self.guests).insert(index, Arc::new(guest)))
            }
            (None, Some(_)) => drop(Arc::make_mut(&mut self.guests).remove(&index)),
        }
    }
}

impl Around {
    fn of(world: &World, named: bool) -> Self {
        Self {
            stops: world.lockdown.stops(),
            servers: world.name_servers.clone(),
            leads: !world.uplink.resolvers.is_empty(),
            tuns: world
                .tuns
                .iter()
                .map(|(name, tun)| (name.clone(), tun.resolvers.len()))
                .collect(),
            names: world.names.clone(),
            peers: if named { peers(world) } else { OrderedMap::new() },
        }
    }

    /// What is said of a guest; none: its questions go elsewhere.
    fn of_guest(&self, world: &World, guest: &Attached) -> Option<Guest> {
        let peers = guest.spec.segment.as_ref().and_then(|on| self.peers.get(on)).cloned();
        let forwards = world.forwards(&guest.net.dns, &guest.net.vpn);
        forwards.then(|| Guest { peers, ..asks(world, guest) })
    }
}

/// All of them; one that is as it was before is the same one.
fn all(world: &World, around: &Around, before: &Guests) -> OrderedMap<IfIndex, Arc<Guest>> {
    let of = |guest: &Attached| {
        let asker = around.of_guest(world, guest)?;
        let same = before.get(&guest.index).filter(|before| ***before == asker);
        Some((guest.index, same.cloned().unwrap_or_else(|| Arc::new(asker))))
    };
    world.guests.attached().filter_map(of).collect()
}

fn peers(world: &World) -> OrderedMap<SegmentName, Arc<Peers>> {
    let mut peers = OrderedMap::<_, Peers>::new();
    for guest in world.guests.attached() {
        if let Some(segment) = &guest.spec.segment {
            let peers = peers.entry(segment.clone()).or_default();
            peers.add(guest.name().as_str(), guest.net.guest.address);
        }
    }
    peers.into_iter().map(|(segment, peers)| (segment, Arc::new(peers))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::dns;
    use crate::model::guest_net::{GuestNet, NetnsRef};
    use crate::model::lockdown::Lockdown;
    use crate::model::names::Answer;
    use crate::model::world::Tun;
    use crate::spec::{Dns, GuestName, GuestSpec, Mtu, VpnPolicy};

    /// What it is, and how it is made.
    type Change<'a> = (&'a str, &'a dyn Fn(&mut World));

    const TWO: [&str; 2] = ["192.0.2.53", "192.0.2.54"];

    fn attach(world: &mut World, number: u32, dns: Dns, vpn: VpnPolicy) {
        let (name, wlan0) = (GuestName::new(&format!("g{number}")), IfName::new("wlan0"));
        let gateway = [172, 17, 3, 2].into();
        let spec = GuestSpec::new(name.unwrap(), wlan0.unwrap(), None, gateway, 16, -1).unwrap();
        let segment = SegmentName::new("cockpit").filter(|_| [1, 6].contains(&number));
        let spec = GuestSpec { dns, vpn, ..spec }.on(segment);
        let address = [172, 17, 4, number as u8].into();
        let net = GuestNet::new(&spec, number, address, Mtu::ETHERNET);
        world.guests.join(&net);
        let at = (IfIndex::of(number), NetnsRef::default());
        world.guests.attach(Attached::new(spec, net, at, (0, 0)));
    }

    /// One of each kind that is said something else of.
    fn world() -> World {
        let mut world = World::empty();
        let tun = || VpnPolicy::NamedTun(IfName::new("tun0").unwrap());
        attach(&mut world, 1, Dns::Auto, VpnPolicy::FollowUplink);
        attach(&mut world, 2, Dns::Forward, VpnPolicy::FollowUplink);
        attach(&mut world, 3, Dns::Dnat, VpnPolicy::FollowUplink);
        let own = TWO.map(|server| server.parse().unwrap()).to_vec();
        attach(&mut world, 4, Dns::Servers(own), VpnPolicy::BlockUnderLockdown);
        attach(&mut world, 5, Dns::Auto, tun());
        world
    }

    fn bring(askers: &mut Askers, world: &mut World) -> Guests {
        let changed = world.guests.take_changed();
        // It compares what it has kept with all put together.
        askers.bring(world, &changed, true)
    }

    #[test]
    fn whatever_is_said_of_guests_is_said_at_once() {
        let (mut askers, mut world) = (Askers::default(), world());
        let mut before = bring(&mut askers, &mut world);
        let changes: [Change<'_>; 8] = [
            ("two servers", &|world| {
                let all = TWO.map(|server| server.parse().unwrap()).to_vec();
                world.name_servers = dns::NameServers { behind_uplink: all, ..Default::default() };
            }),
            ("one of no use", &|world| {
                world.names.set([(None, TWO[0].parse().unwrap(), Answer::Nonsense)]);
            }),
            ("a lockdown", &|world| world.lockdown = Lockdown::On { started: false }),
            ("a tun with two resolvers", &|world| {
                let resolvers = vec![[10, 8, 0, 1].into(), [10, 8, 0, 2].into()];
                let tun = Tun { index: IfIndex::of(9), up: true, mtu: 1400, resolvers };
                world.tuns.insert(IfName::new("tun0").unwrap(), tun);
            }),
            ("one more on the segment", &|world| {
                attach(world, 6, Dns::Auto, VpnPolicy::FollowUplink);
            }),
            ("one less", &|world| drop(world.guests.remove(IfIndex::of(1)))),
            ("no tun", &|world| world.tuns = OrderedMap::new()),
            ("netd", &|world| world.name_servers.netd = true),
        ];
        for (what, change) in changes {
            change(&mut world);
            let after = bring(&mut askers, &mut world);
            assert_ne!(after, before, "{what}");
            before = after;
        }
    }

    #[test]
    fn one_that_comes_leaves_the_others_as_they_are() {
        let (mut askers, mut world) = (Askers::default(), world());
        let before = bring(&mut askers, &mut world);
        attach(&mut world, 7, Dns::Forward, VpnPolicy::FollowUplink);
        let after = bring(&mut askers, &mut world);
        assert_eq!(after.len(), before.len() + 1);
        let same = |(index, guest)| after.get(index).is_some_and(|now| Arc::ptr_eq(guest, now));
        assert!(before.iter().all(same));
        world.guests.remove(IfIndex::of(7));
        assert_eq!(bring(&mut askers, &mut world), before);
    }
}
