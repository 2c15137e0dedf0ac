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

//! Cases by their names, some at a time: most of the time they wait for what does not answer.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// How many at a time.
const AT_A_TIME: usize = 6;

/// Runs each; one that fails has said why by then.
pub fn all(cases: &[(&str, &(dyn Fn() + Sync))]) {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut failed = Vec::new();
        while let Some((name, case)) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(case));
            failed.extend(done.is_err().then_some(*name));
        }
        failed
    };
    let failed: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_A_TIME).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a worker")).collect()
    });
    assert!(failed.is_empty(), "{failed:?}");
}

/// Runs each function, by its name.
#[macro_export]
macro_rules! cases {
    ($($case:ident),+ $(,)?) => {
        $crate::cases::all(&[$((stringify!($case), &$case)),+])
    };
    ($argument:expr; $($case:ident),+ $(,)?) => {
        $crate::cases::all(&[$((stringify!($case), &|| $case($argument))),+])
    };
}

/// What devices are broken by.
const ROWS: [&str; 4] = [
    include_str!("broken.rs"),
    include_str!("netd.rs"),
    include_str!("full.rs"),
    include_str!("odd.rs"),
];
/// All causes, as the contract has them.
const CAUSES: &str = include_str!("../../../aidl/android/system/guestnet/Cause.aidl");

/// What doctor is to find by itself is above. These are facts of guestnetd's own set-up, and the platform's
/// word for an uplink, which `status` says without a packet, and which doctor takes from there.
const OF_STATUS: [&str; 16] = [
    "LINK_GONE",
    "LINK_DOWN",
    "GUEST_LINK_DOWN",
    "LINK_CHANGED",
    "ADDRESS_MISSING",
    "FORWARDING_NOT_OURS",
    "NETD_UNANSWERED",
    "FILTER_PROGRAM_FAILED",
    "FILTER_PROGRAM_STUCK",
    "UPLINK_MISSING",
    "DEFAULT_ROUTE_ELSEWHERE",
    "TUN_MISSING",
    "TUN_DOWN",
    "DNS_PORT_TAKEN",
    "NOT_VALIDATED",
    "SEGMENT_BROKEN",
];

#[test]
fn every_cause_has_a_device_that_is_broken_for_it() {
    let names = CAUSES.lines().filter_map(|line| {
        let (name, number) = line.strip_prefix("    ")?.split_once(" = ")?;
        number.trim_end_matches(',').parse::<u32>().is_ok().then_some(name)
    });
    let names: Vec<_> = names.collect();
    assert!(names.len() > 45, "{names:?}");
    let is_said = |name: &str| {
        let word = format!("Cause::{name}");
        let ends = |rest: &str| !rest.starts_with(|c: char| c == '_' || c.is_ascii_alphanumeric());
        ROWS.iter().any(|text| text.split(&word).skip(1).any(ends))
    };
    let missing: Vec<_> =
        names.iter().filter(|name| !is_said(name) && !OF_STATUS.contains(name)).collect();
    assert!(missing.is_empty(), "no row of doctor's matrix has {missing:?}");
    let idle: Vec<_> = OF_STATUS.iter().filter(|name| !names.contains(name)).collect();
    assert!(idle.is_empty(), "{idle:?}");
}
