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

//! What becomes of a guest's question when netd's resolver fails: it is told at once, or as soon as nobody would
//! wait any longer, and the next one is answered.

use std::time::{Duration, Instant};

use android_system_guestnet::aidl::android::system::guestnet::IGuestNet::IGuestNet;
use guestnet_tests::bed::GATEWAY;
use guestnet_tests::client::{by_pid, config};
use guestnet_tests::netd::Does;
use guestnet_tests::resolver::{code, question, Says};
use guestnet_tests::Guest;

use super::bed::Bed;

/// SERVFAIL (RFC 1035).
const FAILED: u8 = 2;
/// Longer than a question takes that netd's resolver leaves unanswered, ten seconds, in a machine without KVM.
const WAIT: Duration = Duration::from_secs(20);

/// Each of its failures, and that it is over with it.
pub fn failures(bed: &Bed, service: &dyn IGuestNet) -> Result<(), String> {
    let guest = Guest::new();
    let attached = service.attach(&config("asks"), &by_pid(guest.pid()), None);
    attached.map_err(|e| format!("attach: {e}"))?;
    let told = [
        Does::Fail(libc::ETIMEDOUT),
        Does::Fail(libc::EIO),
        Does::Half,
        Does::HangUp,
        Does::Answer(Says::Failed),
        Does::Nothing,
    ]
    .into_iter()
    .try_for_each(|does| is_told(bed, &guest, does));
    bed.resolver.does(Does::Answer(Says::All));
    service.detach("asks").map_err(|e| format!("detach: {e}"))?;
    told
}

fn is_told(bed: &Bed, guest: &Guest, does: Does) -> Result<(), String> {
    bed.resolves(guest)?;
    bed.resolver.does(does);
    let began = Instant::now();
    let found = code(guest, GATEWAY, &question(), WAIT);
    let (took, asked) = (began.elapsed(), bed.resolver.asked().len());
    bed.resolver.does(Does::Answer(Says::All));
    // Only one that says nothing is waited for.
    let waited = took > Duration::from_secs(9);
    if found != Some(FAILED) || asked == 0 || waited != (does == Does::Nothing) {
        return Err(format!("netd's resolver, {does:?}: {found:?} after {took:?}, asked {asked}"));
    }
    bed.resolves(guest)
}
