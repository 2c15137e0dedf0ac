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

//! What a guest's network is made of, as it should be, and what may be removed beside it. Pure.

use super::change::KernelOp;
use super::diff::diff;
use super::guest_net::GuestNet;
use super::object::{Ipv4Conf, LinkKind, Loopback, Object, Scope, Setting};
use super::ownership::alias;
use super::step::{Reversible, Step};
use super::table::TableId;
use crate::spec::{Family, IpPrefix};

/// Every object of a guest's network.
pub fn desired_guest(net: &GuestNet) -> Vec<(Scope, Object)> {
    let mut objects = desired_device_side(net);
    if !net.kind.has_inside() {
        return objects;
    }
    let end = &net.guest;
    let dev = || end.name.clone();
    let inside = [
        Object::Loopback(Loopback::Up),
        Object::Link { name: dev(), kind: LinkKind::VethPeer, mac: end.mac, mtu: net.mtu.bytes() },
        Object::Address {
            dev: dev(),
            address: end.address.into(),
            prefix: end.prefix,
            prefix_route: true,
        },
        Object::Up { dev: dev() },
    ];
    objects.extend(inside.map(|object| (Scope::Guest, object)));
    if net.vpn.leaves() {
        let (to, via) = (IpPrefix::everything(Family::V4), Some(end.gateway.into()));
        objects.push((Scope::Guest, Object::Route { to, via, dev: dev(), table: TableId::MAIN }));
    }
    objects
}

/// Those of the device's namespace: what can be looked at while the guest's is not at hand.
pub fn desired_device_side(net: &GuestNet) -> Vec<(Scope, Object)> {
    let end = &net.host;
    let dev = || end.name.clone();
    let kind = LinkKind::of_host_end(net);
    let conf = Ipv4Conf { source: end.pinned.then_some(net.guest.address), ..Ipv4Conf::HOST_END };
    let mut objects = Vec::with_capacity(12);
    objects.extend([
        Object::Link { name: dev(), kind, mac: end.mac, mtu: net.mtu.bytes() },
        Object::Sysctl { dev: dev(), setting: Setting::DisableIpv6, value: true },
        Object::Ipv4Conf { dev: dev(), conf },
        // A route to all of the subnet would be in front of a network that has the same one: a
        // device that joins a Wi-Fi of 172.17.0.0/16 would lose it. So each guest has its own.
        Object::Address {
            dev: dev(),
            address: end.address.into(),
            prefix: end.prefix,
            prefix_route: false,
        },
        Object::Up { dev: dev() },
        Object::Route { to: end.route.into(), via: None, dev: dev(), table: end.table },
    ]);
    objects.extend(net.member().map(|member| Object::Member { dev: dev(), member }));
    objects.push(Object::Alias { dev: dev(), text: alias(net) });
    objects.into_iter().map(|object| (Scope::Device, object)).collect()
}

/// What may be removed of that which was found of a guest's network and is not wanted: routes by its
/// host end, of which only those with our protocol are looked at; the gateway's address there; and
/// what `before` says that we had set, where that was the guest's network until now.
pub fn may_remove<'a>(
    net: &'a GuestNet,
    before: Option<&GuestNet>,
) -> impl Fn(Scope, &Object) -> bool + 'a {
    let set = before.map(desired_guest).unwrap_or_default();
    move |scope, object| match (scope, object) {
        (Scope::Device, Object::Route { .. }) => true,
        (Scope::Device, Object::Address { address, .. }) if *address == net.host.address => true,
        _ => set.iter().any(|(there, other)| {
            *there == scope && (other == object || is_taken_over(other, object, net))
        }),
    }
}

/// Whether an address of the guest's is one that we had set and do not want any more, though a manager in the guest
/// has taken it over without a route of the kernel's for it, as NetworkManager does with what it gets by a lease.
fn is_taken_over(set: &Object, found: &Object, net: &GuestNet) -> bool {
    match (set, found) {
        (
            Object::Address { dev: a, address: set, prefix: long, .. },
            Object::Address { dev: b, address: there, prefix, .. },
        ) => (a, set, long) == (b, there, prefix) && *there != net.guest.address,
        _ => false,
    }
}

/// How far a live guest's ends are brought to its network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scale {
    /// Whether the guest's end gets its MTU; else it keeps its own, which the guest may have set.
    pub mtu: bool,
    /// What the guest's end had that it no longer should have; none: its address and routes are the
    /// guest's own, and stay as they are.
    pub before: Option<GuestNet>,
}

/// The steps that bring a live guest's ends to `net`. The device's end is brought to it in any case.
pub fn live_steps(net: &GuestNet, scale: &Scale, found: &[(Scope, Object)]) -> Vec<Step> {
    let mut steps = diff(desired_guest(net), found, may_remove(net, scale.before.as_ref()));
    steps.retain(|step| match (step.operation(), step.scope) {
        (_, Scope::Device) => true,
        (KernelOp::SetMtu, Scope::Guest) => scale.mtu,
        // Whether its lo is up is the guest's own affair.
        (_, Scope::Guest) => scale.before.is_some() && step.object.dev().is_some(),
    });
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{GuestName, GuestSpec, IfName, Mtu};
    use std::net::Ipv4Addr;

    fn net(address: [u8; 4]) -> GuestNet {
        let (name, wlan0) = (GuestName::new("box").unwrap(), IfName::new("wlan0").unwrap());
        let spec = GuestSpec::new(name, wlan0, None, [172, 17, 3, 2].into(), 16, -1).unwrap();
        GuestNet::new(&spec, 0, address.into(), Mtu::ETHERNET)
    }

    #[test]
    fn an_address_that_a_manager_has_taken_over_goes_with_an_update_to_another() {
        let (before, now) = (net([172, 17, 3, 3]), net([172, 17, 9, 9]));
        let found = |address: [u8; 4], prefix_route| Object::Address {
            dev: before.guest.name.clone(),
            address: Ipv4Addr::from(address).into(),
            prefix: 16,
            prefix_route,
        };
        let goes = may_remove(&now, Some(&before));
        for prefix_route in [true, false] {
            assert!(goes(Scope::Guest, &found([172, 17, 3, 3], prefix_route)));
            assert!(!goes(Scope::Guest, &found([172, 17, 3, 4], prefix_route)), "the guest's own");
        }
        assert!(!may_remove(&now, None)(Scope::Guest, &found([172, 17, 3, 3], false)));
        // What it has and keeps is its manager's.
        assert!(!may_remove(&before, Some(&before))(Scope::Guest, &found([172, 17, 3, 3], false)));
    }
}
