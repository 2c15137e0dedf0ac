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

//! Kills guestnetd so often (200 times) at random moments of its calls, with both packet filters, and prints
//! how much of which call was done each time. `tests/soak/kills [TIMES [SEED]]` runs it.

use guestnet_tests::kills::{kill_at_random, table, Histogram};

/// How much of a call is done where it can be seen from outside. Each has to be hit.
const STEPS: [&str; 17] = [
    "attach: no link",
    "attach: link",
    "attach: link whole, stored",
    "update: link whole, stored",
    "update: link whole, as updated, stored",
    "detach: link whole",
    "detach: no link",
    "attach, segment: no link",
    "attach, segment: link",
    "update, segment: link whole, stored",
    "update, segment: link whole, as updated, stored",
    "detach, segment: link whole",
    "detach, segment: no link",
    // With guestnetd goes the last descriptor of a device whose client has no answer yet.
    "attach, TAP: no link",
    "update, TAP: link whole, stored",
    "update, TAP: link whole, as updated, stored",
    "detach, TAP: ",
];

fn main() {
    let mut words = std::env::args().skip(1).map(|word| word.parse().expect("a number"));
    let (times, seed) = (words.next().unwrap_or(200_u64), words.next().unwrap_or(1));
    let mut all = Histogram::new();
    for (firewall, times) in [("nftables", times.div_ceil(2)), ("iptables", times / 2)] {
        let histogram = kill_at_random(firewall, times as u32, seed);
        println!("{firewall}, {times} kills, seed {seed}:\n{}", table(&histogram));
        for (what, times) in histogram {
            *all.entry(what).or_default() += times;
        }
    }
    let hit = |step: &&str| all.keys().any(|what| what.starts_with(step));
    let missed: Vec<_> = STEPS.iter().filter(|step| !hit(step)).collect();
    assert!(times < 200 || missed.is_empty(), "never hit: {missed:?}");
    println!("passed: 0 leaks, 0 lost streams");
}
