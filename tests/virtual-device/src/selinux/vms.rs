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

//! VMs while SELinux enforces: frames flow by the descriptors of their manager, and by those of the VMM that it
//! becomes, whose domain has what docs/android.md tells a product to give it.

use std::path::Path;

use guestnet_tests::bed::GATEWAY;

use super::avc::{denials, Denial};
use super::life::visitor;
use crate::init::bed::Bed;
use crate::vm;

/// Who has a part in it; none of them is permissive.
const CONFINED: [&str; 3] = ["guestnetd", "guest_manager", "guest_vmm"];

/// Each of both, without a denial.
pub fn vms(bed: &Bed, rc: &Path) -> Result<(), String> {
    let (mut started, service) = bed.start(rc)?;
    denied();
    vm::lives(bed, &**service)?;
    let listener = vm::heard(&**service)?;
    let vmm = format!("attach vm --tap --exec /device/guest-vmm {{fd}} {{mac}} {GATEWAY}");
    let (done, said) = visitor("guest_manager", &vmm);
    if !done || !said.contains("u:r:guest_vmm:s0 by vm_wlan: 172.17.3.3 is answered") {
        return Err(format!("a VMM in its domain: {said}{}", denied().unwrap_or_default()));
    }
    vm::ends(bed, &**service, &listener)?;
    let log = started.said();
    if log.matches(vm::END).count() != 2 {
        return Err(format!("guestnetd does not say that both have ended: {log}"));
    }
    started.end(libc::SIGTERM);
    denied().map_or(Ok(()), Err)
}

/// What any of them was denied, since this was asked last.
fn denied() -> Option<String> {
    let of_them = |denial: &Denial| CONFINED.contains(&denial.source.as_str());
    let all: Vec<_> =
        denials().iter().filter(|denial| of_them(denial)).map(Denial::to_string).collect();
    (!all.is_empty()).then(|| format!("denied: {}", all.join(", ")))
}
