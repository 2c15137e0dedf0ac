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

//! Rules of others on the way of forwarded packets. Reads only.

use super::packet_walk::{self, Dropped, Packets};
use crate::firewall::iptables::entries::{Chain, Target};
use crate::firewall::iptables::read;
use crate::firewall::{Family, Interface, Ruleset};

/// What of FORWARD is somebody else's, in words.
pub fn foreign_forward_rule() -> Option<String> {
    foreign_in(&forward()?)
}

/// What of somebody else's drops guests' packets, in words. `ours_first`: our own chains are among
/// those of FORWARD; what is behind them there is not asked.
pub fn foreign_drop(ruleset: &Ruleset, ours_first: bool) -> Option<String> {
    for (table, hook) in ON_THE_WAY {
        if !read::is_in_use(Family::V4, table) {
            continue;
        }
        let Ok(chains) = read::table(Family::V4, table) else { continue };
        let decides = |name: &str| ours_first && name.starts_with(OURS);
        for (packets, what) in guests_packets(ruleset, hook) {
            if let Some(dropped) = packet_walk::dropped(&chains, hook, &packets, &decides) {
                return Some(in_words(table, &dropped, &what));
            }
        }
    }
    None
}

/// Where a guest's packet comes by, in this order. What the filter's FORWARD lets pass is not asked
/// for again there, but the others are asked all the same.
const ON_THE_WAY: [(&str, &str); 6] = [
    ("raw", "PREROUTING"),
    ("mangle", "PREROUTING"),
    ("mangle", "FORWARD"),
    ("filter", "FORWARD"),
    ("security", "FORWARD"),
    ("mangle", "POSTROUTING"),
];

/// How all of our chains' names begin.
const OURS: &str = "oem_guestnet_";

/// What guests send and are sent, as far as it is known at a hook.
fn guests_packets(ruleset: &Ruleset, hook: &str) -> Vec<(Packets, String)> {
    let (coming, leaving) = (hook == "PREROUTING", hook == "POSTROUTING");
    let mut all = Vec::new();
    for (uplink, s) in
        ruleset.uplinks.iter().flat_map(|u| ruleset.subnets.iter().map(move |s| (u, s)))
    {
        let guests = Interface::Guests.pattern();
        let way_out = Interface::Like(uplink.clone()).pattern();
        let out = Packets {
            input: (!leaving).then(|| guests.clone()),
            output: (!coming).then(|| way_out.clone()),
            source: Some(s.subnet),
            destination: None,
            replies: false,
        };
        // Before its address is put back a reply is for the device.
        let back = Packets {
            input: (!leaving).then_some(way_out),
            output: (!coming).then_some(guests),
            source: None,
            destination: (!coming).then_some(s.subnet),
            replies: true,
        };
        all.push((out, format!("what guests send by {uplink}")));
        all.push((back, format!("what guests are answered by {uplink}")));
    }
    all
}

fn in_words(table: &str, dropped: &Dropped, what: &str) -> String {
    let Dropped { chain, rule, packets, surely } = dropped;
    let by = match rule {
        Some(number) => format!("rule {number} of the chain {chain}"),
        None => format!("the policy of the chain {chain}"),
    };
    let drops = if *surely { "drops" } else { "may drop" };
    format!("{by} in iptables' table {table} {drops} {what} ({packets} packets of anybody so far)")
}

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
