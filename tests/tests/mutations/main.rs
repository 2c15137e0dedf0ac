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

//! `service/MUTATIONS.md` against what guestnetd does: every change that strace sees has its row, and
//! every row is seen.

mod catalogue;
mod changes;
mod files;
mod iptables;
mod netd;
mod netlink;
mod plain;
mod strace;
mod traced;
mod units;

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::thread;

use catalogue::{complaints, disorder, rows, TEXT};
use changes::Seen;

#[test]
fn every_change_has_its_row_and_every_row_is_seen() {
    let scenarios: &[fn() -> Seen] = &[
        || plain::life("nftables"),
        || plain::life("iptables"),
        netd::life,
        plain::default_route,
        || plain::leftovers("nftables", "iptables"),
        || plain::leftovers("iptables", "nftables"),
        || plain::undone("nftables"),
        || plain::undone("iptables"),
        plain::few_capabilities,
    ];
    let all: Vec<Seen> = thread::scope(|scope| {
        let running: Vec<_> = scenarios.iter().map(|scenario| scope.spawn(scenario)).collect();
        let ended = running.into_iter().map(|run| run.join());
        ended.map(|seen| seen.unwrap_or_else(|panic| resume_unwind(panic))).collect()
    });
    let (rows, mut seen) = (rows(TEXT), BTreeMap::new());
    for one in &all {
        seen.extend(one.lines.clone());
    }
    let wrong = complaints(&rows, &seen);
    assert!(wrong.is_empty(), "service/MUTATIONS.md:\n{}", wrong.join("\n"));
    // Those in which every first time is that of the first guest.
    for one in all.iter().filter(|one| one.whole_order) {
        assert_eq!(disorder(&rows, &one.order), None, "service/MUTATIONS.md is in another order");
    }
    // Without any one of its rows it would not have passed.
    for gone in 0..rows.len() {
        let mut fewer = rows.clone();
        let row = fewer.remove(gone);
        assert!(complaints(&fewer, &seen).len() == 1, "{row:?} is not needed");
    }
}
