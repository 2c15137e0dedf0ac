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

//! What is not a segment, or not a place on one: refused by name, and nothing is changed.

use super::*;
use android_system_guestnet::aidl::android::system::guestnet::IGuestNet as wire_codes;
use guestnet_tests::bed::distant_neighbour;

#[test]
fn a_segments_name_is_as_a_guests_and_belongs_to_a_kind() {
    let bed = Bed::on(Device::new()).neighbour(distant_neighbour()).build();
    let before = bed.before();
    let refused = |config: &GuestConfig, words: &[&str]| {
        let refusal = (wire_codes::ERROR_BAD_SEGMENT, words);
        let target = bed.target();
        bed.refused(&before, "attach()", refusal, |s| s.attach(config, &target, None));
        bed.refused(&before, "plan()", refusal, |s| s.plan(config, &target));
    };
    for bad in ["", "a b", "a\nb", "a\u{7f}", "-a", ".a", "ä", "a/b", &"a".repeat(64)] {
        refused(&on(bad, "b"), &["not a segment's name"]);
    }
    let none = GuestConfig { segment: None, ..on("x", "b") };
    refused(&none, &["BRIDGED", "name a segment"]);
    let stray = GuestConfig { kind: GuestKind::VETH, ..on("x", "b") };
    refused(&stray, &["VETH", "name a segment"]);
}

/// Two names of one device; two guests of one MAC.
const CLASH: (&str, &str) = ("saeba", "s1afd9");
const TWINS: (&str, &str) = ("s2aad", "s1fcd8");

#[test]
fn two_guests_have_two_addresses() {
    let bed = Bed::new("auto");
    let (_a, first) = attach(&bed, "cockpit", "a");
    let guest = Guest::new();
    let same = GuestConfig { addresses: vec![address(&first).to_owned()], ..on("cockpit", "b") };
    let error = bed.service.attach(&same, &by_pid(guest.pid()), None).expect_err("one address");
    assert_eq!(error.service_specific_error(), wire_codes::ERROR_ADDRESS_IN_USE, "{error}");
    assert_eq!(filters(&bed.device), 3);
}

#[test]
fn names_that_cannot_be_told_apart_are_refused() {
    let bed = Bed::new("auto");
    let (_a, _) = attach(&bed, CLASH.0, "a");
    let guest = Guest::new();
    let clash = bed.service.attach(&on(CLASH.1, "b"), &by_pid(guest.pid()), None);
    let error = clash.expect_err("one device");
    assert_eq!(error.service_specific_error(), wire_codes::ERROR_SEGMENT_CLASH, "{error}");
    let (_c, _) = attach(&bed, "cabin", TWINS.0);
    let clash = bed.service.attach(&on("cabin", TWINS.1), &by_pid(guest.pid()), None);
    let error = clash.expect_err("one MAC");
    assert_eq!(error.service_specific_error(), wire_codes::ERROR_SEGMENT_CLASH, "{error}");
    // On another one it does no harm.
    bed.attach_as(&on("attic", TWINS.1), &by_pid(guest.pid()));
}

#[test]
fn a_live_guest_stays_on_its_segment() {
    let bed = Bed::new("auto");
    let (_a, _) = attach(&bed, "cockpit", "a");
    let plain = Guest::new();
    bed.attach("plain", &plain);
    for (name, config, field) in [
        ("a", on("cabin", "a"), "segment"),
        ("a", config("a"), "kind"),
        ("plain", on("cockpit", "plain"), "kind"),
    ] {
        let error = bed.service.update(name, &config).expect_err(field);
        assert_eq!(
            error.service_specific_error(),
            wire_codes::ERROR_FIELD_NOT_UPDATABLE,
            "{error}"
        );
        assert!(error.to_string().contains(field), "{error}");
    }
    assert_eq!(filters(&bed.device), 3);
}

#[test]
fn somebody_elses_interface_of_that_name_is_left_alone() {
    let bed = Bed::new("auto");
    let (_a, _) = attach(&bed, "cockpit", "a");
    let name = hubs(&bed.device)[0]["ifname"].as_str().expect("a name").to_owned();
    bed.detach("a");
    bed.device.run(&format!("ip link add {name} type bridge"));
    let guest = Guest::new();
    let error = bed.service.attach(&on("cockpit", "a"), &by_pid(guest.pid()), None);
    let error = error.expect_err("it is somebody else's");
    assert_eq!(error.service_specific_error(), wire_codes::ERROR_HOST_INTERFACE_EXISTS, "{error}");
    assert!(bed.device.link(&name).is_some() && bed.names().is_empty());
    bed.device.run(&format!("ip link del {name}"));
    bed.attach_as(&on("cockpit", "a"), &by_pid(guest.pid()));
}
