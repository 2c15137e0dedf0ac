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

//! What the documents show as a client works.

use guestnet_tests::bed::{Bed, Listener};
use guestnet_tests::program::binary;
use guestnet_tests::{said, Guest, InNetns};

use android_system_guestnet::aidl::android::system::guestnet::GuestEvent::GuestEvent;

#[test]
fn the_client_in_rust_attaches_and_detaches() {
    let bed = Bed::new("auto");
    let guest = Guest::new();
    let listener = Listener::on(&**bed.service);
    let attach = |pid: &str| {
        let mut command = bed.device.command(binary("attach"));
        command.args([&bed.daemon.endpoint(), "box", pid]).output().expect("the example")
    };
    let out = attach(&guest.pid().to_string());
    assert!(out.status.success(), "{}", said(&out));
    assert_eq!(String::from_utf8_lossy(&out.stdout), "box: wlan0 172.17.3.3/16\n");
    assert_eq!(listener.next_guest().0, GuestEvent::ATTACHED);
    assert_eq!(listener.next_guest().0, GuestEvent::DETACHED);

    bed.attach("box", &guest);
    let out = attach(&guest.pid().to_string());
    assert!(
        !out.status.success() && said(&out).contains("box is attached already"),
        "{}",
        said(&out)
    );
}
