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
