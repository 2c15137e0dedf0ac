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

//! Rules of others about forwarded packets: who has them may need IPv4 forwarding.
//! Reads only, and makes no table appear that was not there.

pub mod iptables;
#[cfg(not(target_os = "android"))]
mod nftables;
pub mod packet_walk;

use super::{Backend, Ruleset};
use crate::model::fault::{Cause, Fault};

/// One such rule or policy, in words; nothing where there is none, or none can be read.
pub fn forward_rule() -> Option<String> {
    if let Some(found) = iptables::foreign_forward_rule() {
        return Some(found);
    }
    #[cfg(not(target_os = "android"))]
    if let Some(found) = nftables::foreign_forward_rule() {
        return Some(found);
    }
    None
}

/// What of somebody else's drops guests' packets that our own rules let pass, in words, and what is
/// to be done. Nothing where there is none, or none can be read.
///
/// Behind our chains in iptables' FORWARD nothing is looked at: what they let pass is through. In
/// nf_tables every chain of a hook is asked, whatever another has said; so is iptables' whole
/// FORWARD where our rules are in nf_tables.
pub fn refusing(backend: Backend, ruleset: &Ruleset) -> Option<Fault> {
    let ours_first = backend == Backend::Iptables;
    if let Some(drop) = iptables::foreign_drop(ruleset, ours_first) {
        let other_way = match ours_first {
            true => "",
            false => ", or use --firewall iptables, whose rules come before those of FORWARD",
        };
        let fault = Fault::new(Cause::ForwardDropped, drop);
        return Some(fault.with_step(format!("{REMEDY}{other_way}")));
    }
    #[cfg(not(target_os = "android"))]
    if let Some(chain) = nftables::foreign_forward_policy() {
        let what = format!("{chain} drops by policy what none of its own rules accepts");
        return Some(Fault::new(Cause::ForwardDropped, what).with_step(REMEDY));
    }
    None
}

const REMEDY: &str = "accept what comes in or goes out via vm_wlan* there too";
