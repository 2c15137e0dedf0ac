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

//! Guests that asked for no MTU have that of their way out, the uplink or a tun, also when it becomes
//! another one: which those are, and what they get. What cannot be done is said, and the guest left
//! as it is: it works, only it learns of a smaller MTU by the device's ICMP messages.

use super::ends::Job;
use crate::daemon::{Attached, Daemon};
use crate::model::desired::Scale;
use crate::model::if_index::IfIndex;
use crate::spec::{Mtu, VpnPolicy};

impl Daemon {
    /// After a start: what guests that follow have is read before it is believed.
    pub(in crate::daemon) fn doubt_mtus(&mut self) {
        let following = self.world.guests.attached().filter(|guest| guest.spec.mtu.is_none());
        let following = following.map(|guest| guest.index).collect::<Vec<_>>();
        for index in following {
            self.upkeep.worker.doubt(index);
        }
    }

    /// The MTU of a way out; none when nothing is to be followed now: a way that comes up later may
    /// have another one by then.
    pub(in crate::daemon) fn mtu_of_way(&self, vpn: &VpnPolicy) -> Option<Mtu> {
        if !vpn.leaves() {
            return None;
        }
        let way = match vpn.tun() {
            Some(tun) => self.world.tuns.get(tun).filter(|tun| tun.up).map(|tun| tun.mtu),
            None => {
                Some(&self.world.uplink).filter(|uplink| uplink.usable()).map(|uplink| uplink.mtu)
            }
        };
        way.and_then(Mtu::behind)
    }

    /// Has the worker look at the guests that do not have the MTU of their ways out.
    pub(in crate::daemon) fn follow_mtu(&mut self) {
        let lagging: Vec<IfIndex> = self
            .world
            .guests
            .attached()
            .filter(|guest| self.job_of(guest).is_some())
            .map(|guest| guest.index)
            .collect();
        self.upkeep.worker.queue(lagging);
    }

    /// What is to be done at a guest's ends so that they are as they should be; none: nothing.
    pub(in crate::daemon) fn job_of(&self, guest: &Attached) -> Option<Job> {
        let doubt = self.upkeep.worker.doubts(guest.index);
        let follows = guest.spec.mtu.is_none();
        let way = follows.then(|| self.mtu_of_way(&guest.net.vpn)).flatten();
        let before = doubt.and_then(|doubt| doubt.before.clone());
        let mtu = guest.spec.kind.nearest(way.unwrap_or(guest.net.mtu));
        // Which of two ends is right is not known before there is a way out.
        let in_doubt = doubt.is_some() && (way.is_some() || !follows);
        let tells = self.upkeep.worker.tells(guest.index);
        if before.is_none() && mtu == guest.net.mtu && !in_doubt && !tells {
            return None;
        }
        let net = crate::model::GuestNet { mtu, ..guest.net.clone() };
        let bring = mtu != guest.net.mtu || in_doubt || before.is_some();
        let scale = Scale { mtu: bring, before };
        Some(Job { index: guest.index, netns: guest.netns.clone(), net, scale, tells })
    }
}
