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

//! What a device is like at the end, and what one is like where only that was done which is left.

use super::guests::name;
use super::{Bed, Known, Outcome};
use crate::device;
use crate::history::GUESTS;
use crate::netd;
use crate::schedule::inside;
use crate::world::world;
use std::collections::BTreeMap;

impl Bed {
    /// All that there is at the end, in a form that does not depend on the way there.
    pub fn state(&self) -> Vec<String> {
        inside(|| {
            let mut lines = device::state(world().device);
            if self.others.switch {
                let shared = |line: &&String| {
                    line.starts_with("/proc/")
                        || line.starts_with("nft 1 guestnet chain forward rule")
                        || line.starts_with("x_tables V4 filter chain oem_guestnet_fwd rule")
                };
                lines.retain(|line| !shared(&line));
            }
            for guest in 0..GUESTS {
                let role = self.cast.role(guest);
                if self.known[guest] == Known::Attached && role.queues.is_none() {
                    let inside = device::state(self.guests[role.process].1);
                    lines.extend(inside.into_iter().map(|line| format!("{} {line}", name(guest))));
                }
            }
            lines
        })
    }

    /// All that such a device's state depends on, in words.
    pub fn left(&self) -> String {
        format!("{:?} {:?} {:?} {:?} {:?}", self.way, self.cast, self.others, self.known, self.at)
    }

    /// What a device is like where only that was done which is left: the same others' things, the same guests. Begins
    /// with one on which guestnetd was killed, as this one did.
    pub fn plain(&self, mut bed: Self) -> Outcome<Vec<String>> {
        let (others, known, at) = (self.others.clone(), self.known.clone(), self.at);
        bed.wake(self.way, self.way)?;
        bed.play(self.cast);
        let device = world().device;
        inside(|| {
            for number in &others.rules {
                device::rule(device, *number, false);
            }
        });
        others.tables.iter().for_each(|number| bed.others_table(*number, false));
        others.chains.iter().for_each(|number| bed.others_chain(*number, false));
        bed.others = others;
        inside(|| bed.others_routes());
        for (guest, known) in known.iter().enumerate() {
            if *known == Known::Attached {
                bed.attach_at(guest, at[guest])?
                    .map_err(|e| format!("in the plain history: {e}"))?;
            }
        }
        bed.others.netd.iter().for_each(netd::want);
        bed.last_rest()?;
        Ok(bed.state())
    }
}

/// The difference of two states.
pub fn difference(was: &[String], should: &[String]) -> Option<String> {
    let count = |lines: &[String]| {
        let mut counted = BTreeMap::<String, i32>::new();
        lines.iter().for_each(|line| *counted.entry(line.clone()).or_default() += 1);
        counted
    };
    let (was, should) = (count(was), count(should));
    let only = |one: &BTreeMap<String, i32>, other: &BTreeMap<String, i32>, sign: &str| {
        let more = one.iter().filter(|(line, n)| other.get(*line).unwrap_or(&0) < n);
        more.map(|(line, _)| format!("{sign} {line}\n")).collect::<String>()
    };
    let text = only(&should, &was, "-") + &only(&was, &should, "+");
    (!text.is_empty()).then_some(text)
}
