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

//! Whether the kernel would send a guest's packets by an interface that the packet filter forbids. A VPN
//! on plain Linux does that and leaves the default route as it is: `wg-quick` by a rule and a table of
//! its own, others by routes to 0.0.0.0/1 and 128.0.0.0/1. Asked only for a status.

use crate::daemon::{Attached, Daemon};
use crate::kernel::{link, observe, route};
use crate::model::fault::{Cause, Fault};
use crate::spec::IfPattern;

impl Daemon {
    /// What is wrong, and the next step; nothing where the kernel would send them nowhere, which
    /// other layers have a reason for, and where it cannot be asked.
    pub(in crate::daemon) fn astray(&self, guest: &Attached) -> Option<Fault> {
        let net = &guest.net;
        // Before there is a way out, and where the uplink layer has its doubts, nothing new is said.
        let doubt = self.world.uplink.doubt().filter(|fault| fault.cause != Cause::VpnCaptures);
        let leaves = self.world.uplink.usable() && doubt.is_none();
        if !self.forwarding.get().is_on() || net.vpn.tun().is_none() && !leaves {
            return None;
        }
        let way = route::passing(
            &self.kernel.netlink,
            guest.index,
            net.guest.address,
            observe::ELSEWHERE,
        );
        let way = way.ok().flatten().filter(|way| !way.local)?;
        let by = link::by_index(&self.kernel.netlink, way.index).ok().flatten()?.name;
        let (allowed, wanted) = match net.vpn.tun() {
            Some(tun) => (by == tun.as_str(), tun.to_string()),
            None => {
                let lets = |uplink: &IfPattern| uplink.matches(&by);
                (
                    self.wanted_ruleset().uplinks.iter().any(lets),
                    self.world.uplink.name.as_ref()?.to_string(),
                )
            }
        };
        if allowed {
            return None;
        }
        let text = format!(
            "the device's rules and routes send the guest's packets via {by}, but it may leave via \
             {wanted} only, so they are dropped"
        );
        Some(Fault::new(Cause::VpnCaptures, text).with_step(format!(
            "attach it with --vpn tun:{by}, or start guestnetd with --uplink {by}; \
             `ip route get {to} from {from} iif {host}` shows the way",
            to = observe::ELSEWHERE,
            from = net.guest.address,
            host = net.host.name,
        )))
    }
}
