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

//! What is missing between a guest's network as it is to be and as it was found. Pure.
//!
//! The order is the order of doing: nothing is up before it is filtered, and the alias comes
//! last, because a link that has it counts as whole.

use super::guest_net::{GuestNet, Observed, ObservedGuest, ObservedHost};
use super::ownership::alias;
use super::step::Step;

/// The steps from `found` to `wanted`; none when nothing is missing.
///
/// With `found.guest` absent (a guest whose namespace is not at hand) only the device's side is
/// compared. What is there beyond what is wanted is left alone: it is not ours.
pub fn guest(wanted: &GuestNet, found: &Observed) -> Vec<Step> {
    let mut steps = Vec::new();
    if found.host.is_none() {
        steps.push(Step::create(wanted));
    }
    let born = ObservedHost { mtu: wanted.mtu, ..ObservedHost::default() };
    let host = found.host.as_ref().unwrap_or(&born);
    steps.extend(host_end(wanted, host));
    if let Some(guest) = &found.guest {
        steps.extend(guest_end(wanted, guest));
    }
    if host.alias.as_deref() != Some(&alias(&wanted.name)) {
        steps.push(Step::Name(wanted.host.name.clone(), wanted.name.clone()));
    }
    steps
}

fn host_end(wanted: &GuestNet, found: &ObservedHost) -> Vec<Step> {
    let end = &wanted.host;
    let mut steps = Vec::new();
    if !found.ipv6_disabled {
        steps.push(Step::DisableIpv6(end.name.clone()));
    }
    if found.mtu != wanted.mtu {
        steps.push(Step::HostMtu(end.name.clone(), wanted.mtu));
    }
    if !found.addresses.contains(&(end.address, end.prefix)) {
        steps.push(Step::HostAddress(end.name.clone(), end.address, end.prefix));
    }
    if !found.up {
        steps.push(Step::HostUp(end.name.clone()));
    }
    if let Some(to) = end.route {
        // A link that goes down takes its routes with it.
        if !found.routes.contains(&to) || !found.up {
            steps.push(Step::HostRoute(end.name.clone(), to, end.table));
        }
    }
    steps
}

fn guest_end(wanted: &GuestNet, found: &ObservedGuest) -> Vec<Step> {
    let end = &wanted.guest;
    let link = found.link.as_ref();
    let up = link.is_some_and(|l| l.up);
    let mut steps = Vec::new();
    if !found.loopback_up {
        steps.push(Step::LoopbackUp { bare: found.loopback_bare });
    }
    if !link.is_some_and(|l| l.addresses.contains(&(end.address, end.prefix))) {
        steps.push(Step::GuestAddress(end.name.clone(), end.address, end.prefix));
    }
    if !up {
        steps.push(Step::GuestUp(end.name.clone()));
    }
    if !up || !found.default_gateways.contains(&end.gateway) {
        steps.push(Step::DefaultRoute(end.name.clone(), end.gateway));
    }
    steps
}
