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

//! What fails: exit codes, and the same cause on stderr and in the document.

use crate::stub::{guestnetctl, Said, Stub};

const LOG: &str = "guestnetd's log has each step, with RUST_LOG=debug";
const INFO: &str = "guestnetctl info lists what this guestnetd does not do";

#[test]
fn each_class_has_its_exit_code() {
    let stub = Stub::start();
    for (name, exit, class, code, message, step) in [
        ("bad", 3, "bad_input", Some(100), "bad is no name", None),
        ("taken", 4, "conflict", Some(300), "a guest named taken is attached", None),
        ("broken", 5, "system", Some(400), "create the link: EPERM", Some(LOG)),
        ("strange", 1, "other", Some(900), "something new", None),
        ("denied", 6, "not_allowed", None, "uid 1", None),
        ("later", 8, "unsupported", None, "bridged: not yet", Some(INFO)),
    ] {
        let line = step.map_or(message.to_owned(), |step| format!("{message}; {step}"));
        let target = "--netns /proc/self/ns/net";
        for args in [
            format!("attach --name {name} {target}"),
            format!("plan --name {name} {target}"),
            format!("check --name {name} {target}"),
            format!("detach {name}"),
            format!("show {name}"),
            format!("status {name}"),
        ] {
            let said = stub.run(&args);
            assert_eq!((said.code, said.out.as_str()), (Some(exit), ""), "{args}");
            assert_eq!(said.err, format!("guestnetctl: {line}\n"), "{args}");
            let said = stub.run(&format!("--json {args}"));
            assert_eq!(said.code, Some(exit), "{args}");
            assert_eq!(said.err, format!("guestnetctl: {line}\n"), "{args}");
            let expected = serde_json::json!({ "error": {
                "class": class, "exit_code": exit, "code": code, "message": message, "next_step": step,
            }});
            assert_eq!(said.json(), expected, "{args}");
        }
    }
}

#[test]
fn what_was_typed_moves_no_cursor() {
    let odd = "\u{1b}[31mX\u{7}";
    for args in [format!("attach a --mtu {odd}"), odd.to_owned(), format!("show a {odd}")] {
        let said = guestnetctl(&args).output().expect("guestnetctl");
        let text = String::from_utf8_lossy(&said.stderr).into_owned();
        assert_eq!(said.status.code(), Some(2), "{text}");
        assert!(text.contains("\\u{1b}[31mX\\u{7}"), "{text}");
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    }
}

#[test]
fn a_guest_that_is_not_there() {
    let stub = Stub::start();
    for args in ["show gone", "detach gone"] {
        let said = stub.run(args);
        assert_eq!(said.code, Some(4), "{args}");
        let line =
            "guestnetctl: no guest named gone is attached; guestnetctl list shows those that are\n";
        assert_eq!(said.err, line, "{args}");
        assert_eq!(stub.run(&format!("{args} --json")).json()["error"]["code"], 304);
    }
}

#[test]
fn a_netns_that_cannot_be_opened() {
    let said = Stub::start().run("attach --name demo --netns /nonexistent/netns");
    assert_eq!(said.code, Some(3));
    let cause = "guestnetctl: --netns /nonexistent/netns: No such file or directory (os error 2); give a name";
    assert!(said.err.starts_with(cause), "{said:?}");
}

#[test]
fn no_guestnetd() {
    let directory = tempfile::tempdir().unwrap();
    let uri = format!("unix://{}/no.sock", directory.path().display());
    for args in ["list", "watch", "dump", "lxc-hook web lxc post-stop"] {
        let said: Said = guestnetctl(args).env("GUESTNET_URI", &uri).output().unwrap().into();
        assert_eq!((said.code, said.out.as_str()), (Some(7), ""), "{args}");
        assert!(said.err.contains("is guestnetd running?"), "{}", said.err);
    }
    let said: Said = guestnetctl(&format!("list --json --connect {uri}")).output().unwrap().into();
    assert_eq!((said.code, said.json()["error"]["class"].as_str()), (Some(7), Some("unreachable")));
}

#[test]
fn wrong_command_lines() {
    for args in [
        "",
        "attach",
        "attach --name demo",
        "attach --name demo --pid 1 --netns /proc/1/ns/net",
        "attach --name demo --pid one",
        "detach",
        "detach demo --all",
        "attach --name demo --pid 1 --vpn tun0",
        "uplink-info",
        "device-state wlan0",
        "watch --count 0",
        "completions tcsh",
        "graph --svg --dot",
        "unknown",
        "list --connect tcp://localhost",
        "lxc-hook",
        "oci-hook",
        "lxc-hook web lxc mount",
    ] {
        let said: Said = guestnetctl(args).output().unwrap().into();
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{args}");
        assert!(!said.err.is_empty(), "{args}");
    }
}
