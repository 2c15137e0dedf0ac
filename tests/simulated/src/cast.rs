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

//! Who the guests of a history are: how each is connected, and what it lives by.

use crate::history::GUESTS;
use crate::seed::Seed;
use guestnetd::spec::{GuestSpec, IfName, Kind, Queues, SegmentName, VpnPolicy};

/// All guests of a history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cast {
    /// Containers, each with one link.
    #[default]
    Plain,
    /// Machines among them, and one without a way out.
    Machines,
    /// Two segments, one of them without a way out.
    Segments,
    /// A container with two links, the second one on a segment with others.
    Second,
}

/// One guest.
#[derive(Clone, Copy, Debug)]
pub struct Role {
    /// How many queues its TAP device has; none: it is a container.
    pub queues: Option<i32>,
    /// The segment that it is on.
    pub segment: Option<usize>,
    /// Whether it has a way out.
    pub leaves: bool,
    /// The guest whose process it has.
    pub process: usize,
}

/// The segments' names.
pub const SEGMENTS: [&str; 2] = ["cockpit", "cabin"];

impl Cast {
    /// That of histories which have this number in common.
    pub fn of(number: u64) -> Self {
        match Seed::new(number ^ 0xca57).below(9) {
            0 => Self::Machines,
            1 => Self::Segments,
            2 => Self::Second,
            _ => Self::Plain,
        }
    }

    /// Who a guest is.
    pub fn role(self, guest: usize) -> Role {
        let role = |queues, segment, leaves| Role { queues, segment, leaves, process: guest };
        match (self, guest) {
            (Self::Machines, 0) => role(Some(1), None, true),
            (Self::Machines, 2) => role(Some(2), None, true),
            (Self::Machines, 3) => role(None, None, false),
            (Self::Segments, 0 | 1) => role(None, Some(0), true),
            (Self::Segments, 2) => role(Some(1), Some(0), false),
            (Self::Segments, 3) => role(None, Some(1), false),
            (Self::Second, 1) => role(None, Some(0), false),
            (Self::Second, 2) => role(Some(2), Some(0), true),
            (Self::Second, 3) => Role { process: 0, ..role(None, Some(0), false) },
            _ => role(None, None, true),
        }
    }

    /// The name of a guest's interface.
    pub fn interface(self, guest: usize) -> &'static str {
        if self.role(guest).process == guest {
            "wlan0"
        } else {
            "eth1"
        }
    }

    /// What is asked for, as it is for a guest of this cast.
    pub fn spec(self, guest: usize, spec: GuestSpec) -> GuestSpec {
        let role = self.role(guest);
        let segment = role.segment.map(|n| SegmentName::new(SEGMENTS[n]).expect("a name"));
        let vpn = if role.leaves { VpnPolicy::FollowUplink } else { VpnPolicy::NoUplink };
        let kind = role.queues.map_or(Kind::Veth, |queues| Kind::Tap {
            queues: Queues::new(queues).expect("a number"),
            owner: 1000,
        });
        let interface = IfName::new(self.interface(guest)).expect("a name");
        let spec = GuestSpec { interface, ..spec.on(segment) };
        spec.under(vpn).and_then(|spec| spec.connected(kind)).expect("a guest")
    }

    /// All who have the process of this one, itself among them.
    pub fn with_process_of(self, guest: usize) -> impl Iterator<Item = usize> {
        let process = self.role(guest).process;
        let has = move |other: &usize| {
            let role = self.role(*other);
            role.queues.is_none() && role.process == process
        };
        (0..GUESTS).filter(has)
    }

    /// Whether guests of this cast are on segments.
    pub fn has_segments(self) -> bool {
        matches!(self, Self::Segments | Self::Second)
    }
}
