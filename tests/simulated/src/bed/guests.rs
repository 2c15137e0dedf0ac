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

//! The guests that there are names for: what each is asked for as, and where it is seen.

use super::Bed;
use crate::device;
use crate::netd;
use crate::schedule::inside;
use crate::world::world;
use guestnetd::spec::{GuestName, GuestSpec, IfName, VpnPolicy};
use std::net::Ipv4Addr;

pub fn name(guest: usize) -> GuestName {
    GuestName::new(["one", "two", "three", "four"][guest]).expect("a name")
}

/// The guest that a lockdown stops, where netd is.
pub const BLOCKED: &str = "three";
/// Its number, and that of the one that leaves by the VPN there.
const STOPPED: usize = 2;
const BY_VPN: usize = 3;

pub(super) fn vpn(guest: usize) -> VpnPolicy {
    match guest {
        STOPPED if netd::netd().is_some() => VpnPolicy::BlockUnderLockdown,
        BY_VPN if netd::netd().is_some() => {
            VpnPolicy::NamedTun(IfName::new(netd::VPN).expect("a name"))
        }
        _ => VpnPolicy::FollowUplink,
    }
}

/// Two guests share a subnet.
pub(super) fn spec(guest: usize, mtu: i32) -> GuestSpec {
    let gateway = [[172, 17, 3, 2], [172, 28, 3, 2], [172, 28, 3, 2], [10, 77, 0, 1]][guest];
    let wlan0 = IfName::new("wlan0").expect("a name");
    GuestSpec::new(name(guest), wlan0, None, gateway.into(), 24, mtu).expect("a guest")
}

/// Where a guest is that has moved.
pub(super) const MOVED: Ipv4Addr = Ipv4Addr::new(172, 28, 3, 200);

impl Bed {
    /// What is asked for a guest, with that address or with its own.
    pub(super) fn spec_at(&self, guest: usize, mtu: i32, address: Option<Ipv4Addr>) -> GuestSpec {
        let spec = self.cast.spec(guest, spec(guest, mtu));
        let vpn = if self.way.has_netd() { vpn(guest) } else { spec.vpn.clone() };
        GuestSpec { addresses: address.map(Into::into).into_iter().collect(), vpn, ..spec }
    }

    /// The name of a guest's host end, where it is to be seen.
    pub(super) fn host_end(&self, guest: usize) -> Option<String> {
        inside(|| {
            let name = name(guest).to_string();
            let links = device::links(world().device);
            let of =
                |alias: &str| alias.split(|c: char| !c.is_ascii_alphanumeric()).any(|w| w == name);
            let found = links.iter().find(|link| link.alias.as_deref().is_some_and(of));
            found.map(|link| link.name.clone())
        })
    }
}
