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

//! What guests share, brought to the world of a call, and back when the call fails.

use crate::daemon::state::SharedResources;
use crate::daemon::Daemon;
use crate::effects::resource::{
    Forwarding, Managed, Outcome, PacketFilter, Planned, PolicyRouting, Segments, SharedResource,
};
use crate::error::Error;
use crate::model::change::Change;
use crate::model::timeline::Timeline;
use crate::model::world::World;
use crate::model::GuestNet;
use crate::spec::GuestName;
use std::time::Instant;

/// What a call would bring it to.
pub(super) struct Plans {
    packet_filter: Planned<PacketFilter>,
    policy_routing: Planned<PolicyRouting>,
    segments: Planned<Segments>,
    forwarding: Planned<Forwarding>,
}

impl Plans {
    /// Whether other guests would notice.
    pub(super) fn touch_others(&self) -> bool {
        self.packet_filter.changes.iter().any(|change| change.shared)
            || !self.policy_routing.changes.is_empty()
            || !self.segments.changes.is_empty()
            || !self.forwarding.changes.is_empty()
    }

    /// All of it, for people to read.
    pub(super) fn into_changes(self) -> Vec<Change> {
        let Self { packet_filter, policy_routing, segments, forwarding } = self;
        let all =
            [packet_filter.changes, policy_routing.changes, segments.changes, forwarding.changes];
        all.into_iter().flatten().collect()
    }
}

/// Which of what guests share a call has changed.
#[derive(Clone, Copy, Default)]
pub(super) struct Shared {
    packet_filter: bool,
    policy_routing: bool,
    forwarding: bool,
    segments: bool,
}

impl Daemon {
    /// The connections of who had the address before. To keep them must not cost this one its network:
    /// they go with their timeouts, too.
    pub(super) fn forget_last_holder(&self, net: &GuestNet, timeline: &mut Timeline) {
        let waits = self.shared.connections.take_over(net.guest.address);
        if !waits && !self.world.guests.was_held_by_another(net) {
            return;
        }
        let began = Instant::now();
        let change = Change::forget_connections(net.guest.address);
        match self.shared.connections.forget_address(net.guest.address) {
            Ok(()) => timeline.enter(change.operation, change.what, began),
            Err(e) => log::warn!("{}: {} failed: {e}", net.name, change.what),
        }
    }

    /// What guests share, in the world with the one that has joined, or is about to change.
    pub(super) fn plan_shared(&self) -> Plans {
        Plans {
            packet_filter: self.shared.packet_filter.plan(&self.world),
            policy_routing: self.shared.policy_routing.plan(&self.world),
            segments: self.shared.segments.plan(&self.world),
            forwarding: self.shared.forwarding.plan(&self.world),
        }
    }

    /// Brings it there, in the same world.
    pub(super) fn bring_shared(
        &mut self,
        plans: Plans,
        changed: &mut Shared,
        timeline: &mut Timeline,
    ) -> Result<(), Error> {
        let Self { shared, world, .. } = self;
        let SharedResources { packet_filter, policy_routing, forwarding, segments, .. } = shared;
        // Set before: one that fails has to be looked at, too.
        bring(packet_filter, plans.packet_filter, world, &mut changed.packet_filter, timeline)?;
        bring(policy_routing, plans.policy_routing, world, &mut changed.policy_routing, timeline)?;
        bring(segments, plans.segments, world, &mut changed.segments, timeline)?;
        let result = bring(forwarding, plans.forwarding, world, &mut changed.forwarding, timeline);
        world.awaits_netd = forwarding.get().awaits_netd();
        result
    }

    /// Takes that back, in reverse. What cannot be taken back now is tried again later.
    pub(super) fn undo_shared(&mut self, changed: Shared, name: &GuestName) {
        let Self { shared, world, .. } = self;
        let SharedResources { packet_filter, policy_routing, forwarding, segments, .. } = shared;
        let undone = [
            changed.forwarding.then(|| forwarding.undo(world)),
            changed.segments.then(|| segments.undo(world)),
            changed.policy_routing.then(|| policy_routing.undo(world)),
            changed.packet_filter.then(|| packet_filter.undo(world)),
        ];
        for result in undone.into_iter().flatten() {
            if let Err(e) = result {
                log::error!("{name}: what it had changed is put back later: {e}");
            }
        }
    }
}

/// One of what guests share. Whether it is `changed` is set also where it failed.
fn bring<R: SharedResource>(
    managed: &mut Managed<R>,
    planned: Planned<R>,
    world: &World,
    changed: &mut bool,
    timeline: &mut Timeline,
) -> Result<(), Error> {
    let began = Instant::now();
    let result = managed.carry_out(planned, world);
    *changed = !matches!(result, Ok((Outcome::Unchanged, _)));
    let (outcome, changes) = result?;
    if outcome == Outcome::Applied {
        for change in changes {
            timeline.enter(change.operation, change.what, began);
        }
    }
    Ok(())
}
