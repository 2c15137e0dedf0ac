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

//! A guest whose process is killed at any moment around its attach: the answer is a success that
//! is then over, or a clear refusal, and nothing is left.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use android_system_guestnet::aidl::android::system::guestnet::GuestTarget::GuestTarget;
use android_system_guestnet::aidl::android::system::guestnet::IGuestNet as codes;
use binder::ExceptionCode;
use guestnet_platform::status_message;
use guestnet_tests::bed::{Bed, BOUND};
use guestnet_tests::client::{by_netns, by_pid, by_pidfd, config};
use guestnet_tests::{poll, Guest, InNetns, Probe, Snapshot};

const ROUNDS: u32 = 200;

/// What a process that is ending can be refused for. 400: a step in a namespace that goes away.
/// 405: the step was done, and what it did is gone.
const CLEAR: [i32; 4] = [
    codes::ERROR_NO_SUCH_PROCESS,
    codes::ERROR_PROCESS_EXITED,
    codes::ERROR_KERNEL,
    codes::ERROR_VERIFY,
];

/// Numbers that are the same in every run, from 0 up to 1.
struct Moments(u64);

impl Moments {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 40) as f64 / (1u64 << 24) as f64
    }
}

#[test]
fn a_process_that_ends_during_the_call_leaves_nothing() {
    let bed = Bed::with_neighbour();
    let (device, fds) = (Snapshot::of(&bed.device), bed.settled_fds());
    let links = bed.device.links();
    let took = usual_time(&bed);
    let mut moments = Moments(1);
    let mut answers = BTreeMap::<i32, u32>::new();
    for round in 0..ROUNDS {
        let mut guest = Guest::new();
        let target = target(&guest, round);
        let (start, delay) = (Instant::now(), took.mul_f64(1.5 * moments.next()));
        let killer = thread::spawn(move || {
            // Not a sleep: that would come a timer's slack too late to hit a moment.
            while start.elapsed() < delay {
                std::hint::spin_loop();
            }
            guest.kill();
        });
        let answer = bed.service.attach(&config("racer"), &target, None);
        drop(target);
        killer.join().expect("the guest's end");
        let code = match answer {
            Ok(_) => 0,
            Err(status) => {
                let clear = status.exception_code() == ExceptionCode::SERVICE_SPECIFIC
                    && CLEAR.contains(&status.service_specific_error());
                assert!(clear && !status_message(&status).is_empty(), "round {round}: {status}");
                status.service_specific_error()
            }
        };
        *answers.entry(code).or_default() += 1;
        // The name is free again, and the link gone: guestnetd answers what the kernel says.
        let free = || bed.service.get("racer").expect("get").is_none().then_some(());
        poll(BOUND, free).unwrap_or_else(|| panic!("round {round}: the name is still taken"));
        assert_eq!(bed.device.links(), links, "round {round}");
        bed.assert_neighbour_talks("a guest's end");
    }
    assert!(answers.get(&0).is_some_and(|n| *n < ROUNDS), "no race was run: {answers:?}");
    println!("answers by code, 0 being a success: {answers:?}");
    device.assert_same(&Snapshot::of(&bed.device));
    bed.assert_fds_settle(fds);
}

/// Named in another way each time.
fn target(guest: &Guest, round: u32) -> GuestTarget {
    match round % 3 {
        0 => by_pid(guest.pid()),
        1 => by_pidfd(guest.pidfd()),
        _ => by_netns(guest.open_netns()),
    }
}

/// How long an attach takes at best when nobody disturbs it.
fn usual_time(bed: &Bed) -> Duration {
    let one = || {
        let start = Instant::now();
        bed.service.attach(&config("racer"), &bed.target(), None).expect("attach");
        let took = start.elapsed();
        bed.service.detach("racer").expect("detach");
        took
    };
    (0..5).map(|_| one()).min().expect("five")
}
