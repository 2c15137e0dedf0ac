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

//! What the contract can ask for and this version does not do: refused by name, and counted.

use android_system_guestnet::aidl::android::system::guestnet::GuestConfig::GuestConfig;
use android_system_guestnet::aidl::android::system::guestnet::GuestKind::GuestKind;
use binder::{ExceptionCode, Status};
use guestnet_tests::bed::{assert_words, Bed};
use guestnet_tests::client::config;

#[test]
fn each_is_refused_by_its_name_and_info_lists_exactly_these() {
    let bed = Bed::with_neighbour();
    let before = bed.before();
    let service = &bed.service;
    let mut named = Vec::new();
    let mut unsupported = |name: &'static str, what: &str, status: Option<Status>| {
        let status = status.unwrap_or_else(|| panic!("{what} for {name} was not refused"));
        assert_eq!(status.exception_code(), ExceptionCode::UNSUPPORTED_OPERATION, "{status}");
        assert_words(what, &status, &[name, "not supported by this version"]);
        bed.assert_unchanged(&before, name);
        named.push(name);
    };

    let with = |change: &dyn Fn(&mut GuestConfig)| {
        let mut config = config("b");
        change(&mut config);
        config
    };
    for (name, config) in [
        ("keep with GuestKind.TAP", with(&|c| (c.kind, c.keep) = (GuestKind::TAP, true))),
        ("IPv6 address", with(&|c| c.addresses = vec!["fd00::3/64".to_owned()])),
        ("second address", with(&|c| c.addresses = vec!["172.17.9.9".to_owned(); 2])),
    ] {
        let target = bed.target();
        unsupported(name, "attach()", service.attach(&config, &target, None).err());
        unsupported(name, "plan()", service.plan(&config, &target).err());
        unsupported(name, "check()", service.check(&config, &target).err());
    }

    named.dedup();
    let listed = service.info().expect("info").unsupported;
    assert_eq!(listed.len(), named.len(), "{listed:?} against {named:?}");
    for name in named {
        let count = listed.iter().filter(|entry| entry.contains(name)).count();
        assert_eq!(count, 1, "{name} in {listed:?}");
    }
}

#[test]
fn update_of_a_name_that_is_none_is_refused_for_the_name() {
    use android_system_guestnet::aidl::android::system::guestnet::IGuestNet::ERROR_BAD_NAME;
    let bed = Bed::with_neighbour();
    let before = bed.before();
    let refusal: (i32, &[&str]) = (ERROR_BAD_NAME, &["is not a guest's name"]);
    bed.refused(&before, "update()", refusal, |s| s.update("a b", &config("a b")));
}
