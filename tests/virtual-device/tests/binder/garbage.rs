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

//! What no generated client would send. Each transaction is refused, and guestnetd is as it was.

use std::fs::File;
use std::os::fd::OwnedFd;

use android_system_guestnet::aidl::android::system::guestnet::GuestTarget::GuestTarget;
use android_system_guestnet::aidl::android::system::guestnet::IGuestNet::IGuestNet;
use android_system_guestnet::aidl::android::system::guestnet::TargetKind::TargetKind;
use binder::{ExceptionCode, ParcelFileDescriptor};
use guestnet_tests::client::{by_pid, config};

use crate::role::{connect, Role};
use crate::scene::Scene;

/// FIRST_CALL_TRANSACTION, and a few codes more than there are methods.
const CODES: std::ops::Range<u32> = 1..24;
/// detachAll() takes no argument: behind the interface's token any parcel is a right call of it.
const DETACH_ALL: u32 = 4;
/// For each code.
const ROUNDS: u64 = 60;

/// Sends it all and says how much it was.
pub fn send() -> usize {
    let object = connect().as_binder();
    let proxy = (*object).as_proxy().expect("an object of another process");
    let mut random = Random(0x6775_6573_746e_6574);
    let mut sent = 0;
    for code in CODES.chain([u32::MAX, 0x5f4e_5446, 0x5f44_4d50, 0x5f53_5052]) {
        for round in 0..ROUNDS {
            // With the interface's token, and without.
            let token = round % 2 == 0 && code != DETACH_ALL;
            let mut data = proxy.prepare_transact(token).expect("a parcel");
            for _ in 0..random.next() % 24 {
                let word = match random.next() % 4 {
                    // Lengths and markers: null, none, huge, small.
                    0 => -1,
                    1 => i32::MAX,
                    2 => (random.next() % 16) as i32,
                    _ => random.next() as i32,
                };
                data.write_i32(word).expect("a word");
            }
            // An answer is as good as a refusal: what counts is what it leaves.
            let _ = proxy.submit_transact(code, &data, 0);
            sent += 1;
        }
    }
    sent
}

/// Xorshift: the same each time, so that what fails once can be had again.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

#[test]
fn a_strangers_and_an_allowed_users_garbage_change_nothing() {
    let scene = Scene::new("--allow-uid 1000");
    scene.attach();
    let (fds, resident) = (scene.fds(), scene.resident());
    for uid in [10123, 1000] {
        let mut client = Role::start(uid, "garbage");
        assert_eq!(client.says().as_deref(), Some("here"));
        let sent = client.says().unwrap_or_else(|| panic!("{uid}: {}", scene.daemon.log()));
        assert!(sent.ends_with(" sent"), "{sent}");
        assert_eq!(scene.attached(), ["box"], "after the garbage of {uid}");
        scene.assert_guest_talks();
    }
    scene.assert_fds(&fds);
    let grown = scene.resident().saturating_sub(resident);
    assert!(grown < 4096, "{grown} KiB more are resident");
}

#[test]
fn more_than_the_driver_carries_fails_there_and_changes_nothing() {
    let scene = Scene::new("");
    scene.attach();
    let fds = scene.fds();
    let target = || by_pid(scene.guest.pid());
    for length in [530_000, 2 << 20] {
        let name = "a".repeat(length);
        for status in [
            scene.service().attach(&config(&name), &target(), None).expect_err("attach()"),
            scene.service().detach(&name).expect_err("detach()"),
        ] {
            assert_eq!(status.exception_code(), ExceptionCode::TRANSACTION_FAILED, "{status}");
        }
    }
    assert_eq!(scene.attached(), ["box"]);
    scene.assert_guest_talks();
    scene.assert_fds(&fds);
}

#[test]
fn descriptors_of_the_wrong_kind_are_refused_and_closed() {
    let scene = Scene::new("");
    scene.attach();
    let fds = scene.fds();
    let open = |path| OwnedFd::from(File::open(path).expect(path));
    for (what, wrong) in [
        ("a file", open("/etc/passwd")),
        ("a pipe", nix::unistd::pipe().expect("pipe").0),
        ("another namespace", open("/proc/self/ns/mnt")),
        ("a device", open("/dev/null")),
    ] {
        for kind in [TargetKind::NETNS, TargetKind::PIDFD] {
            let fd = Some(ParcelFileDescriptor::new(wrong.try_clone().expect("dup")));
            let target = GuestTarget { kind, fd, pid: 0 };
            let status = scene.service().attach(&config("wrong"), &target, None).expect_err(what);
            assert_eq!(
                status.exception_code(),
                ExceptionCode::SERVICE_SPECIFIC,
                "{what} as {kind:?}: {status}"
            );
        }
    }
    assert_eq!(scene.attached(), ["box"]);
    scene.assert_fds(&fds);
}
