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

//! Rules of others in iptables' FORWARD. Reads only.

use crate::effects::firewall::iptables::entries::{Chain, Target};
use crate::effects::firewall::iptables::read;
use crate::effects::firewall::Family;

/// What of FORWARD is somebody else's, in words.
pub fn foreign_forward_rule() -> Option<String> {
    foreign_in(&forward()?)
}

/// How all of our chains' names begin.
const OURS: &str = "oem_guestnet_";

/// Netd's chains for what is forwarded (`Controllers.cpp`).
#[cfg(not(target_os = "android"))]
const NETDS: [&str; 4] = ["oem_fwd", "fw_FORWARD", "bw_FORWARD", "tetherctrl_FORWARD"];

/// Whether FORWARD is netd's.
#[cfg(not(target_os = "android"))]
pub fn netd_is_there() -> bool {
    let netds =
        |target: &Target| matches!(target, Target::Jump(to) if NETDS.contains(&to.as_str()));
    forward().is_some_and(|forward| forward.rules.iter().any(|rule| netds(&rule.target)))
}

fn forward() -> Option<Chain> {
    if !read::is_in_use(Family::V4, "filter") {
        return None;
    }
    let chains = read::table(Family::V4, "filter").ok()?;
    chains.into_iter().find(|c| c.name == "FORWARD")
}

fn foreign_in(forward: &Chain) -> Option<String> {
    if forward.end != Target::Accept {
        return Some("the policy of iptables' FORWARD chain".into());
    }
    let ours = |target: &Target| matches!(target, Target::Jump(chain) if chain.starts_with(OURS));
    let foreign = forward.rules.iter().any(|rule| !ours(&rule.target));
    foreign.then(|| "a rule in iptables' FORWARD chain".into())
}
