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

//! What of a TAP guest cannot be: each with its code and its words, and nothing changed.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use android_system_guestnet::aidl::android::system::guestnet::{
    GuestConfig::GuestConfig,
    GuestTarget::GuestTarget,
    IGuestNet::{
        IGuestNet, ERROR_BAD_ENUM, ERROR_BAD_MTU, ERROR_BAD_QUEUES, ERROR_FIELD_NOT_UPDATABLE,
        ERROR_HOST_INTERFACE_EXISTS, ERROR_NAME_IN_USE, ERROR_NO_TAP, ERROR_TARGET_KIND,
    },
    TargetKind::TargetKind,
};
use binder::ExceptionCode;
use guestnet_tests::bed::{assert_words, Bed};
use guestnet_tests::client::config;
use guestnet_tests::{Daemon, Device, InNetns};

use super::{attach, nowhere, tap};

#[test]
fn queues_mtu_and_target_that_no_tap_has() {
    let bed = Bed::with_neighbour();
    let before = bed.before();
    let words: &[&str] = &["use 1 to 16"];
    for queues in [i32::MIN, 0, 17, 257] {
        let config = GuestConfig { queues, ..tap("vm") };
        bed.all_refuse(&before, "queues", &config, &nowhere(), (ERROR_BAD_QUEUES, words));
    }
    let two = GuestConfig { queues: 2, ..config("vm") };
    bed.all_refuse(&before, "a veth with 2", &two, &bed.target(), (ERROR_BAD_QUEUES, words));
    let wide = GuestConfig { mtu: 65522, ..tap("vm") };
    bed.all_refuse(&before, "an MTU", &wide, &nowhere(), (ERROR_BAD_MTU, &["65522", "65521"]));
    let none: (i32, &[&str]) = (ERROR_TARGET_KIND, &["NONE is for GuestKind.TAP only"]);
    bed.all_refuse(&before, "no target", &config("vm"), &nowhere(), none);
    let stray: (i32, &[&str]) = (ERROR_TARGET_KIND, &["has no target"]);
    bed.all_refuse(&before, "a target", &tap("vm"), &bed.target(), stray);
    let odd = GuestTarget { kind: TargetKind(4), ..GuestTarget::default() };
    bed.all_refuse(&before, "a kind", &tap("vm"), &odd, (ERROR_BAD_ENUM, &["TargetKind 4"]));
}

#[test]
fn what_of_one_cannot_change_and_cannot_be_repaired() {
    let bed = Bed::with_neighbour();
    let guest = bed.attach_as(&GuestConfig { queues: 2, ..tap("vm") }, &nowhere());
    let before = bed.before();
    let field = ERROR_FIELD_NOT_UPDATABLE;
    bed.refused(&before, "queues", (field, &["queues"]), |s| s.update("vm", &tap("vm")));
    bed.refused(&before, "kind", (field, &["kind"]), |s| s.update("vm", &config("vm")));
    bed.refused(&before, "a name", (ERROR_NAME_IN_USE, &["vm"]), |s| {
        s.attach(&tap("vm"), &nowhere(), None)
    });
    let status = bed.service.repair("vm").expect_err("repair");
    assert_eq!(status.exception_code(), ExceptionCode::UNSUPPORTED_OPERATION, "{status}");
    assert_words("repair", &status, &["vm is a VM's", "DHCP client"]);
    bed.assert_unchanged(&before, "repair");
    assert_eq!(guest.tap.len(), 2);
}

#[test]
fn an_interface_of_somebody_elses_with_its_name_stays_as_it_is() {
    let bed = Bed::with_neighbour();
    for other in
        ["ip tuntap add vm_wlan1 mode tap", "ip link add vm_wlan1 type veth peer name theirs"]
    {
        bed.device.run(other);
        let before = bed.before();
        let exists: (i32, &[&str]) = (ERROR_HOST_INTERFACE_EXISTS, &["vm_wlan1"]);
        bed.refused(&before, other, exists, |s| s.attach(&tap("vm"), &nowhere(), None));
        bed.device.run("ip link del vm_wlan1");
    }
    drop(attach(&bed, "vm"));
}

/// A guestnetd in a mount namespace of its own, where `hide` was run.
fn where_it(hide: &str) -> Bed {
    let dir = tempfile::tempdir().expect("a directory");
    let program = dir.path().join("start");
    fs::write(&program, format!("#!/bin/sh\n{hide} && exec \"$@\"\n")).expect("the script");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).expect("chmod");
    let device = Device::new();
    let daemon = Daemon::new(&device).by(&format!("unshare -m {}", program.display())).started();
    Bed::around(device, daemon).neighbour(config("neighbour")).build()
}

#[test]
fn without_the_kernels_tun_it_says_so() {
    let missing = where_it("mount -t tmpfs none /dev/net");
    let before = missing.before();
    let words: &[&str] = &["/dev/net/tun", "ENOENT", "the kernel needs CONFIG_TUN"];
    missing.all_refuse(&before, "no device", &tap("vm"), &nowhere(), (ERROR_NO_TAP, words));
    // Over kernel Binder the name is one.
    drop(missing);
    // Opened, it is refused by the kernel: no devices on this file system.
    let forbidden =
        where_it("mount -t tmpfs -o nodev none /dev/net && mknod /dev/net/tun c 10 200");
    let before = forbidden.before();
    let words: &[&str] = &["/dev/net/tun", "EACCES", "guestnetd has to be allowed"];
    forbidden.all_refuse(&before, "no access", &tap("vm"), &nowhere(), (ERROR_NO_TAP, words));
}
