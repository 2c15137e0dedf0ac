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

//! A link that is narrower than 68 bytes has no IPv4: for some requests it is as if there was none, for others not.

use crate::carrier::{set, Scene};
use crate::step::{self, Out, Step, ACK, CREATE, EXCL};
use crate::views;
use libc::*;

/// lo is the one that may be as narrow as that.
const LO: u32 = 1;

/// The scene with a lo that is too narrow.
fn narrow(test: &str) -> Option<Scene> {
    let mut scene = Scene::new(test)?;
    scene.does(0, set(LO, IFLA_MTU, 60));
    Some(scene)
}

/// Both answer a request so.
fn refuses(scene: &mut Scene, request: &[u8], errno: i32) {
    let answer = views(&scene.0.pairs[0].linux.send(request), false);
    assert_eq!(answer, [format!("errno {errno}")]);
    scene.does(0, Step::Send(request.to_vec()));
}

/// `inet_rtm_newaddr()`, `inet_rtm_deladdr()`
#[test]
fn a_link_that_is_too_narrow_has_no_addresses() {
    let Some(mut scene) = narrow("a link that is too narrow has no addresses") else { return };
    let mut out = Out(vec![AF_INET as u8, 32, 0, 0]);
    out.0.extend(LO.to_ne_bytes());
    out.put(IFA_LOCAL, &[10, 0, 0, 2]);
    refuses(&mut scene, &step::whole(RTM_NEWADDR, ACK | CREATE | EXCL, &out.0), ENOBUFS);
    let delete = step::whole(RTM_DELADDR, ACK, &out.0);
    refuses(&mut scene, &delete, ENODEV);
    scene.does(0, set(LO, IFLA_MTU, 1500));
    refuses(&mut scene, &delete, EADDRNOTAVAIL);
    scene.ends();
}

/// `arp_constructor()`
#[test]
fn a_link_that_is_too_narrow_has_no_neighbours() {
    let Some(mut scene) = narrow("a link that is too narrow has no neighbours") else { return };
    let mut out = Out(vec![AF_INET as u8, 0, 0, 0]);
    out.0.extend(LO.to_ne_bytes());
    out.0.extend([0x80, 0, 0, 0]);
    out.put(1, &[10, 0, 0, 9]);
    out.put(2, &[2, 0, 0, 0, 2, 1]);
    refuses(&mut scene, &step::whole(RTM_NEWNEIGH, ACK | CREATE | EXCL, &out.0), EINVAL);
    refuses(&mut scene, &step::whole(RTM_NEWNEIGH, ACK, &out.0), ENOENT);
    refuses(&mut scene, &step::whole(RTM_DELNEIGH, ACK, &out.0), ENOENT);
    scene.ends();
}
