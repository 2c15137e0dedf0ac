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

//! What dies and comes back: a client in the middle of a call, the service, the service manager.

use std::process::Command;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use android_system_guestnet::aidl::android::system::guestnet::IGuestNet::IGuestNet;
use binder::{DeathRecipient, IBinder, StatusCode};
use guestnet_tests::{must, poll, said, Snapshot};
use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;

use crate::role::Role;
use crate::scene::{Scene, BOUND};

#[test]
fn a_dead_service_is_told_and_its_successor_has_the_guests() {
    let mut scene = Scene::new("");
    scene.attach();
    let old = scene.service();
    let (died, deaths) = channel();
    let mut recipient = DeathRecipient::new(move || {
        let _ = died.send(());
    });
    let mut object = old.as_binder();
    object.link_to_death(&mut recipient).expect("link_to_death");
    assert!(deaths.try_recv().is_err(), "it is not dead yet");

    scene.daemon.kill();
    deaths.recv_timeout(BOUND).expect("the news of its death");
    let status = old.list().expect_err("a call to the dead");
    assert_eq!(status.transaction_error(), StatusCode::DEAD_OBJECT, "{status}");
    let error = scene.daemon.run_ctl(&["list"]);
    assert!(said(&error).contains("binder://"), "{}", said(&error));
    assert!(!error.status.success());
    scene.assert_guest_talks();

    scene.daemon.start();
    assert!(old.list().is_err(), "the old object is not the new service");
    assert_eq!(scene.attached(), ["box"]);
    scene.service().detach("box").expect("detach");
}

#[test]
fn a_client_killed_in_the_middle_of_attach_leaves_all_or_nothing() {
    let scene = Scene::new("");
    // What the first attach opens for good, it opens now.
    scene.attach();
    scene.service().detach("box").expect("detach");
    let (fds, before) = (scene.fds(), Snapshot::of(&scene.device));
    for round in 0..15 {
        let mut client = Role::start(0, "attach");
        while client.says().expect("it lives") != "attached" {}
        thread::sleep(Duration::from_millis(3 * round));
        client.kill();
        // Its guest died with it: the kernel takes the link, guestnetd the rest.
        poll(BOUND, || scene.attached().is_empty().then_some(())).expect("the guest is forgotten");
        let same = || before.diff(&Snapshot::of(&scene.device)).is_none().then_some(());
        if poll(BOUND, same).is_none() {
            before.assert_same(&Snapshot::of(&scene.device));
        }
    }
    scene.assert_fds(&fds);
    scene.attach();
    scene.assert_guest_talks();
}

/// The process of the service manager.
fn hub() -> Option<Pid> {
    let out = Command::new("pgrep").args(["-x", "rsb_hub"]).output().expect("pgrep");
    String::from_utf8_lossy(&out.stdout).trim().parse().ok().map(Pid::from_raw)
}

#[test]
fn guestnetd_registers_with_a_new_service_manager() {
    let scene = Scene::new("");
    scene.attach();
    let (fds, pid) = (scene.fds(), scene.daemon.pid());
    for _ in 0..3 {
        kill(hub().expect("the service manager"), Signal::SIGKILL).expect("SIGKILL");
        poll(BOUND, || hub().is_none().then_some(())).expect("its end");
        let error = scene.daemon.run_ctl(&["list"]);
        assert!(!error.status.success());
        assert!(said(&error).contains("service manager"), "{}", said(&error));
        scene.assert_guest_talks();

        // Init's child, not ours: init waits for its end.
        must(
            Command::new("sh")
                .args(["-c", "/device/rsb_hub --insecure-allow-all >/dev/null 2>&1 &"]),
        );
        let listed = || {
            let out = scene.daemon.run_ctl(&["list"]);
            (out.status.success() && said(&out).contains("box")).then_some(())
        };
        poll(BOUND, listed).unwrap_or_else(|| panic!("not back:\n{}", scene.daemon.log()));
        assert_eq!(scene.daemon.pid(), pid);
    }
    scene.assert_fds(&fds);
    assert!(scene.daemon.log().contains("registered as"), "{}", scene.daemon.log());
}
