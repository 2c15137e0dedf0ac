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

use super::iptables;

/// One such rule or policy, in words; nothing where there is none, or none can be read.
pub fn forward_rule() -> Option<String> {
    if let Some(found) = iptables::foreign_forward_rule() {
        return Some(found);
    }
    #[cfg(not(target_os = "android"))]
    if let Some(found) = super::nftables::foreign_forward_rule() {
        return Some(found);
    }
    None
}

/// A policy of somebody else's that drops what our own rules let pass, in words. Whether a rule
/// there lets it pass after all is not looked at.
pub fn refusing_policy(backend: super::Backend) -> Option<String> {
    // Our jump is the first in iptables' own chain: its policy comes after our rules.
    if backend != super::Backend::Iptables && iptables::foreign_forward_policy() {
        return Some("iptables' FORWARD chain".into());
    }
    #[cfg(not(target_os = "android"))]
    if let Some(chain) = super::nftables::foreign_forward_policy() {
        return Some(chain);
    }
    None
}
