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

//! What has to be done to get from what was found to what is wanted. Pure, and knows no feature.
//!
//! Removals of what is ours and no longer wanted come first, in reverse order; then what is missing
//! or has other values, the device's before the guest's, but for an MTU that shrinks: the device's
//! end always takes what the guest sends. The alias comes last, because a link that has it counts as
//! whole.

use super::object::{LinkKind, Object, Scope};
use super::step::{Op, Step};
use crate::ordered::sort_short;
use crate::spec::IfName;

/// The steps from `found` to `want`; none when nothing is missing. Of what is found and not wanted
/// only that is removed which `ours` accepts; the rest is left alone.
pub fn diff(
    want: Vec<(Scope, Object)>,
    found: &[(Scope, Object)],
    ours: impl Fn(Scope, &Object) -> bool,
) -> Vec<Step> {
    let mut steps = Vec::with_capacity(want.len());
    for (scope, object) in found {
        if same(&want, *scope, object).is_none() && ours(*scope, object) {
            steps.push(Step { op: Op::Remove, scope: *scope, object: object.clone() });
        }
    }
    let removals = steps.len();
    let born_again: Vec<_> = want
        .iter()
        .filter(|(scope, link)| gets_ipv6(link, same(found, *scope, link)))
        .map(|(scope, link)| (*scope, link.dev().cloned()))
        .collect();
    for (scope, object) in want {
        let there = same(found, scope, &object);
        let (first, second) = match there {
            // It is made with the other end.
            None if is_peer(&object) => continue,
            None => (Op::Add, None),
            Some(was) if *was != object => (Op::Change { from: was.clone() }, None),
            Some(_) if is_lost(&object, scope, &born_again) => (Op::Add, None),
            Some(_) => match fate(scope, &object, found, steps.get(..removals).unwrap_or(&[])) {
                Fate::Stays => continue,
                Fate::Gone => (Op::Add, None),
                Fate::Doubtful => (Op::Remove, Some(Op::Add)),
            },
        };
        if let Some(op) = second {
            steps.push(Step { op, scope, object: object.clone() });
        }
        steps.push(Step { op: first, scope, object });
    }
    sort_short(&mut steps, |one, other| order(one) < order(other));
    steps
}

/// Whether a link becomes wide enough for IPv6, which begins with the namespace's defaults
/// (addrconf_notify(), NETDEV_CHANGEMTU).
fn gets_ipv6(link: &Object, there: Option<&Object>) -> bool {
    // linux/ipv6.h, IPV6_MIN_MTU
    const LEAST: u32 = 1280;
    match (link, there) {
        (Object::Link { mtu, .. }, Some(Object::Link { mtu: was, .. })) => {
            *was < LEAST && *mtu >= LEAST
        }
        _ => false,
    }
}

/// Whether a setting goes with what its interface was.
fn is_lost(object: &Object, scope: Scope, born_again: &[(Scope, Option<IfName>)]) -> bool {
    matches!(object, Object::Sysctl { .. })
        && born_again.iter().any(|(at, dev)| *at == scope && dev.as_ref() == object.dev())
}

/// What becomes of a thing that is found as it is wanted.
enum Fate {
    Stays,
    Gone,
    /// It may go with what is removed, or stay: removed and added it is there in the end.
    Doubtful,
}

/// An interface that is down has lost its routes (`fib_disable_ip()`), even where they are still
/// listed; and so has one whose last address goes.
fn fate(scope: Scope, object: &Object, found: &[(Scope, Object)], removals: &[Step]) -> Fate {
    let Object::Route { dev, .. } = object else { return Fate::Stays };
    let up = |(at, other): &(Scope, Object)| {
        *at == scope && matches!(other, Object::Up { dev: up } if up == dev)
    };
    let address = |step: &Step| {
        step.scope == scope && matches!(&step.object, Object::Address { dev: of, .. } if of == dev)
    };
    if !found.iter().any(up) {
        Fate::Gone
    } else if removals.iter().any(address) {
        Fate::Doubtful
    } else {
        Fate::Stays
    }
}

fn same<'a>(all: &'a [(Scope, Object)], scope: Scope, object: &Object) -> Option<&'a Object> {
    all.iter().find(|(at, other)| *at == scope && other.is_same(object)).map(|(_, other)| other)
}

fn is_peer(object: &Object) -> bool {
    matches!(object, Object::Link { kind: LinkKind::VethPeer, .. })
}

/// The phase, and the place in it.
fn order(step: &Step) -> (u8, u8) {
    let scope = match step.scope {
        Scope::Device => 0,
        Scope::Guest => 0x40,
    };
    let place = scope + step.object.rank();
    match (&step.op, &step.object) {
        (Op::Remove, _) => (0, u8::MAX - place),
        (_, Object::Alias { .. }) => (2, place),
        // is_skb_forwardable(): an end of a veth drops what is longer than its own MTU.
        (Op::Change { from: Object::Link { mtu: was, .. } }, Object::Link { mtu, .. })
            if mtu < was && step.scope == Scope::Guest =>
        {
            (1, 0)
        }
        _ => (1, place),
    }
}

#[cfg(test)]
mod tests {
    use super::super::desired::{desired_device_side, desired_guest, may_remove};
    use super::super::guest_net::GuestNet;
    use super::super::step::Reversible;
    use super::*;
    use crate::spec::{GuestName, GuestSpec};

    fn net(address: [u8; 4], mtu: u32) -> GuestNet {
        let (name, wlan0) = (GuestName::new("b").unwrap(), IfName::new("wlan0").unwrap());
        let gateway = [172, 17, 3, 2].into();
        let spec = GuestSpec::new(name, wlan0, None, gateway, 16, -1).unwrap();
        GuestNet::new(&spec, 1, address.into(), mtu.try_into().unwrap())
    }

    fn words(steps: &[Step]) -> Vec<String> {
        steps.iter().map(Reversible::describe).collect()
    }

    #[test]
    fn another_address_and_mtu_are_few_steps_that_can_be_taken_back() {
        let (was, now) = (net([172, 17, 3, 4], 1500), net([172, 17, 3, 9], 1400));
        let steps = diff(desired_guest(&now), &desired_guest(&was), may_remove(&now, Some(&was)));
        let there = [
            "remove the guest's default route via 172.17.3.2 dev wlan0",
            "remove address 172.17.3.4/16 from the guest's wlan0",
            "remove route 172.17.3.4 dev vm_wlan1",
            "MTU 1400 on the guest's wlan0",
            "MTU 1400 on vm_wlan1",
            "route 172.17.3.9 dev vm_wlan1",
            "address 172.17.3.9/16 on the guest's wlan0",
            "the guest's default route via 172.17.3.2 dev wlan0",
        ];
        assert_eq!(words(&steps), there);
        let back = [
            "remove the guest's default route via 172.17.3.2 dev wlan0",
            "remove address 172.17.3.9/16 from the guest's wlan0",
            "remove route 172.17.3.9 dev vm_wlan1",
            "MTU 1500 on vm_wlan1",
            "MTU 1500 on the guest's wlan0",
            "route 172.17.3.4 dev vm_wlan1",
            "address 172.17.3.4/16 on the guest's wlan0",
            "the guest's default route via 172.17.3.2 dev wlan0",
        ];
        assert_eq!(words(&Step::way_back(&steps)), back);
        assert!(diff(desired_guest(&now), &desired_guest(&now), |_, _| true).is_empty());
    }

    #[test]
    fn ipv6_is_off_again_where_an_mtu_brings_it_back() {
        let (narrow, wide) = (net([172, 17, 3, 4], 1000), net([172, 17, 3, 4], 1500));
        let steps = diff(desired_guest(&wide), &desired_guest(&narrow), may_remove(&wide, None));
        let there =
            ["MTU 1500 on vm_wlan1", "no IPv6 on vm_wlan1", "MTU 1500 on the guest's wlan0"];
        assert_eq!(words(&steps), there);
        let back = ["MTU 1000 on the guest's wlan0", "MTU 1000 on vm_wlan1"];
        assert_eq!(words(&Step::way_back(&steps)), back);
        // What is found after a second has no use for it.
        assert!(diff(desired_guest(&wide), &desired_guest(&wide), |_, _| true).is_empty());
    }

    #[test]
    fn a_new_pair_is_taken_back_by_its_end_alone() {
        let net = net([172, 17, 3, 4], 1500);
        let steps = diff(desired_guest(&net), &[], |_, _| true);
        assert_eq!(words(&Step::way_back(&steps)), ["delete link vm_wlan1"]);
        // Its guest's end is not at hand: only the device's is compared.
        let steps = diff(desired_device_side(&net), &desired_guest(&net), |scope, _| {
            scope == Scope::Device
        });
        assert!(steps.is_empty(), "{:?}", words(&steps));
    }

    #[test]
    fn what_is_not_ours_stays() {
        let net = net([172, 17, 3, 4], 1500);
        let (host, guest) = (net.host.name.clone(), net.guest.name.clone());
        let address = |dev: &IfName, address: [u8; 4], prefix| Object::Address {
            dev: dev.clone(),
            address: address.into(),
            prefix,
            prefix_route: true,
        };
        let mut found = desired_guest(&net);
        found.push((Scope::Device, address(&host, [10, 0, 0, 1], 8)));
        found.push((Scope::Guest, address(&guest, [10, 0, 0, 2], 8)));
        found.push((Scope::Guest, address(&guest, [172, 17, 3, 9], 16)));
        assert!(diff(desired_guest(&net), &found, may_remove(&net, None)).is_empty());
        found.push((Scope::Device, address(&host, [172, 17, 3, 2], 16)));
        let steps = diff(desired_guest(&net), &found, may_remove(&net, None));
        assert_eq!(
            words(&steps),
            [
                "remove route 172.17.3.4 dev vm_wlan1",
                "remove address 172.17.3.2/16 from vm_wlan1",
                "route 172.17.3.4 dev vm_wlan1"
            ]
        );
    }
}
