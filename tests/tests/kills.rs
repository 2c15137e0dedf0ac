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

//! guestnetd is killed twenty times at random moments of its calls, while others talk: nothing is left, no
//! stream ends. tests/soak/kills does it two hundred times.

use std::time::{SystemTime, UNIX_EPOCH};

use guestnet_tests::kills::{kill_at_random, table};

guestnet_tests::with_both_backends!(ten_kills_at_random);

fn ten_kills_at_random(firewall: &str) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
    let seed = u64::from(now.subsec_nanos());
    println!("seed {seed}");
    let histogram = kill_at_random(firewall, 10, seed);
    println!("{}", table(&histogram));
    // Each kind of call has been cut off.
    for call in ["attach", "update", "detach"] {
        assert!(histogram.keys().any(|what| what.starts_with(call)), "{call}: {histogram:?}");
    }
}
