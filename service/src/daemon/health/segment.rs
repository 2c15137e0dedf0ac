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

//! Whether a guest's place in its segment is as it should be: the segment's device, and the filters of both ends.

use super::below::Below;
use crate::daemon::{Attached, Daemon, Layer, LayerReport};
use crate::effects::kernel::{link, mirred, observe};
use crate::model::fault::{Cause, Fault};
use crate::model::segment::Place;

impl Daemon {
    /// None where it is on no segment.
    pub(super) fn segment_layer(&self, guest: &Attached, below: &Below) -> Option<LayerReport> {
        let net = &guest.net;
        let (segment, member) = (net.segment.as_ref()?, net.member()?);
        let hub = &member.hub;
        let netlink = &self.kernel.netlink;
        let unread = |e| Some(LayerReport::unread(Layer::Segment, e));
        let bad = |what: &str, step: String| {
            let text = format!(
                "segment {segment}: {what}: {} does not reach all others there, or is not reached",
                net.name
            );
            let fault = Fault::new(Cause::SegmentBroken, text).with_step(step);
            Some(LayerReport::bad(Layer::Segment, fault).retried(self.next_check()))
        };
        let by_itself = "guestnetd puts it back at its next check (--check-every)";
        let there = match link::by_name(netlink, hub.as_str()) {
            Ok(there) => there,
            Err(e) => return unread(e),
        };
        if let Some(link) = there.filter(|link| !(link.up && link.carrier)) {
            let (what, step) = match link.up {
                false => ("is down", format!("ip link set {hub} up")),
                true => ("has no carrier", format!("{by_itself}; `ip link show master {hub}`")),
            };
            return bad(&format!("its device {hub} {what}"), step);
        }
        match observe::member_lacks(netlink, guest.index, net, &mut below.hubs.borrow_mut()) {
            Ok(None) => {}
            Ok(Some((what, shown))) => {
                let step = format!("{by_itself}; `{shown}` shows what is there");
                return bad(&what, step);
            }
            Err(e) => return unread(e),
        }
        let segments = self.world.guests.segments();
        let others = segments.get(hub).map_or(0, |segment| segment.members.len().saturating_sub(1));
        let others = match others {
            0 => "nobody else".to_owned(),
            1 => "1 other".to_owned(),
            many => format!("{many} others"),
        };
        let limit = match self.beyond_limit(guest) {
            Some(0) => String::new(),
            Some(1) => "; 1 frame to all was beyond its limit, and went to nobody there".to_owned(),
            Some(n) => {
                format!("; {n} frames to all were beyond its limit, and went to nobody there")
            }
            None => "; what it sends to all has no limit: the kernel has no act_police".to_owned(),
        };
        let text = format!("{segment}, with {others}, by {hub}{limit}");
        Some(LayerReport::ok(Layer::Segment, text))
    }

    /// How much of what it sent to all was more than it may; none: there is no limit.
    fn beyond_limit(&self, guest: &Attached) -> Option<u64> {
        let filters = mirred::of(&self.kernel.netlink, guest.index, Place::FromGuest).ok()?;
        let over: Vec<_> = filters.iter().filter_map(mirred::Found::over).map(u64::from).collect();
        (!over.is_empty()).then(|| over.iter().sum())
    }
}
