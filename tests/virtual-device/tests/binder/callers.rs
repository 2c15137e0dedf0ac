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

//! Who calls is what the driver says, and that decides who may.

use crate::role::Role;
use crate::scene::Scene;

/// AID_SYSTEM, and an app's uid.
const SYSTEM: u32 = 1000;
const APP: u32 = 10123;

#[track_caller]
fn list_as(uid: u32) -> String {
    let mut role = Role::start(uid, "list");
    assert_eq!(role.says().as_deref(), Some("here"));
    role.says().expect("an answer")
}

#[test]
fn root_may_call_and_strangers_may_not() {
    let _scene = Scene::new("");
    assert_eq!(list_as(0), "0 guests");
    for uid in [SYSTEM, APP] {
        let said = list_as(uid);
        for words in ["SECURITY", &format!("uid {uid}"), &format!("--allow-uid {uid}")] {
            assert!(said.to_uppercase().contains(&words.to_uppercase()), "{words} not in {said}");
        }
    }
}

#[test]
fn an_allowed_user_may_call_and_others_still_not() {
    let _scene = Scene::new("--allow-uid 1000");
    assert_eq!(list_as(SYSTEM), "0 guests");
    assert!(list_as(APP).contains("may not use guestnetd"));
}
