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

//! Every way of not reaching a service has an error of its own.

mod common;

use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::time::{Duration, Instant};

use android_system_guestnet::aidl::android::system::guestnet::IGuestNet::IGuestNet;
use common::{client, is_root, Dir, Peer, NAME};
use guestnet_platform::{connect, Connection, Endpoint, PlatformError};
use nix::sys::signal::Signal;

fn refusal(dir: &Dir) -> PlatformError {
    match client(dir) {
        Ok(_) => panic!("it connected"),
        Err(e) => e,
    }
}

/// A server that is not guestnetd.
fn impostor(dir: &Dir) -> UnixListener {
    std::fs::create_dir(dir.path().join("run")).expect("the directory");
    UnixListener::bind(dir.socket()).expect("bound")
}

#[test]
fn no_socket() {
    let dir = Dir::new();
    let error = refusal(&dir);
    assert!(matches!(error, PlatformError::NotRunning { .. }), "{error:?}");
    assert!(error.to_string().contains(&dir.socket().display().to_string()), "{error}");
}

#[test]
fn a_killed_servers_socket() {
    let dir = Dir::new();
    let server = Peer::server(&dir);
    server.signal(Signal::SIGKILL);
    drop(server);
    let error = refusal(&dir);
    assert!(matches!(error, PlatformError::Refused { .. }), "{error:?}");
}

#[test]
fn a_user_without_permission() {
    if !is_root("a_user_without_permission") {
        return;
    }
    let dir = Dir::new();
    let _server = Peer::server(&dir);
    let mut command = common::peer_command(&["listen", &dir.endpoint().to_string()]);
    let said = common::failure_of(command.uid(12345).gid(12345));
    assert!(said.contains("NotPermitted"), "{said}");
}

#[test]
fn a_user_whose_calls_are_not_taken_has_no_place_and_hears_why() {
    if !is_root("a_user_whose_calls_are_not_taken_has_no_place_and_hears_why") {
        return;
    }
    let dir = Dir::new();
    let endpoint = dir.endpoint().to_string();
    let server = Peer::start(&["serve", &endpoint, "4", "3000", "2000", "0", "7"]);
    server.expect_line("serving");
    let open = |path, mode| std::fs::set_permissions(path, Permissions::from_mode(mode));
    open(dir.path().join("run"), 0o755).expect("chmod");
    open(dir.socket(), 0o666).expect("chmod");
    let usage = server.usage();
    let say = |uid| {
        let mut command = common::peer_command(&["listen", &dir.endpoint().to_string()]);
        let start = Instant::now();
        let said = common::failure_of(command.uid(uid).gid(uid));
        assert!(start.elapsed() < Duration::from_secs(1), "it took {:?}", start.elapsed());
        said
    };
    for uid in [12345, 6, 4_000_000_000] {
        let said = say(uid);
        let words = format!("uid {uid} may not use guestnetd; start it with --allow-uid {uid}");
        assert!(said.contains("NotAllowed") && said.contains(&words), "{said}");
    }
    // They hold nothing, however many they are: not one of the four places, nor a thread.
    let mut holding = common::peer_command(&["crowd", &dir.socket().display().to_string()]);
    let crowd = Peer::spawn({
        holding.args(["50", "silent"]).uid(12345).gid(12345);
        holding
    });
    crowd.expect_line("holding 50");
    client(&dir).expect("root is served").info().expect("info");
    common::eventually("nothing is held", || {
        let now = server.usage();
        (now.0, now.1) == (usage.0, usage.1)
    });
    let mut allowed = common::peer_command(&["listen", &dir.endpoint().to_string()]);
    allowed.uid(7).gid(7);
    assert!(Peer::spawn(allowed).line().starts_with("listening"));
}

#[test]
fn a_server_that_says_nothing() {
    let dir = Dir::new();
    let _listener = impostor(&dir);
    let start = Instant::now();
    let error = refusal(&dir);
    assert!(matches!(error, PlatformError::NoAnswer { .. }), "{error:?}");
    assert!(start.elapsed() < Duration::from_secs(10), "it took {:?}", start.elapsed());
}

#[test]
fn a_server_that_speaks_something_else() {
    let dir = Dir::new();
    let listener = impostor(&dir);
    let talking = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        stream.write_all(b"220 mail.example ESMTP ready, and a good day\r\n").expect("said");
        stream
    });
    let error = refusal(&dir);
    assert!(matches!(error, PlatformError::NotGuestnetd { .. }), "{error:?}");
    talking.join().expect("it talked");
}

#[test]
fn a_server_that_closes_at_once() {
    let dir = Dir::new();
    let listener = impostor(&dir);
    std::thread::spawn(move || listener.incoming().for_each(drop));
    let error = refusal(&dir);
    assert!(matches!(error, PlatformError::Closed { .. }), "{error:?}");
}

#[test]
fn no_kernel_driver() {
    if ["/dev/binderfs/binder", "/dev/binder"].iter().any(|path| Path::new(path).exists()) {
        eprintln!("no_kernel_driver: not run, this machine has one");
        return;
    }
    let found: Result<Connection<dyn IGuestNet>, _> = connect(&Endpoint::Kernel, NAME);
    let error = found.map(drop).expect_err("no driver");
    assert!(matches!(error, PlatformError::NoDriver { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("/dev/binder") && text.contains("load binder_linux"), "{text}");
    assert!(!text.contains('\n'), "one line: {text}");

    let mut command = common::peer_command(&["serve", "binder://", "64", "3000", "2000"]);
    let said = common::failure_of(&mut command);
    assert!(said.contains("NoDriver"), "{said}");
}
