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

//! lxc-hook as LXC runs it, both ways, and oci-hook as OCI runtimes do.

use crate::stub::{Said, Stub};
use std::io::Write;
use std::process::Stdio;

/// Runs a hook under one of LXC's ways to tell what it is about.
fn hook(stub: &Stub, version: u32, name: &str, kind: &str, options: &str) -> Said {
    let mut command = stub.command(&format!("lxc-hook {options}"));
    command.env("LXC_HOOK_VERSION", version.to_string()).env("LXC_NAME", name);
    command.env("LXC_PID", std::process::id().to_string());
    if version == 0 {
        command.args([name, "lxc", kind]);
    } else {
        command.env("LXC_HOOK_SECTION", "lxc").env("LXC_HOOK_TYPE", kind);
    }
    command.output().unwrap().into()
}

#[test]
fn a_container_starts_and_stops() {
    let stub = Stub::start();
    for version in [0, 1] {
        let said = hook(&stub, version, "web", "start-host", "--address 172.17.3.9");
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
        assert!(said.out.starts_with("web: wlan0 172.17.3.3/16"), "{said:?}");
        let calls = stub.calls();
        assert_eq!(calls.len(), 1);
        assert!(calls[0].starts_with("attach web 172.17.3.9 pidfd "), "{calls:?}");
        assert!(calls[0].ends_with(&format!(" {}", std::process::id())), "{calls:?}");
        let said = hook(&stub, version, "web", "post-stop", "");
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
        assert_eq!(stub.calls(), ["detach web"]);
    }
}

#[test]
fn a_container_that_cannot_have_its_network_does_not_start() {
    let stub = Stub::start();
    for version in [0, 1] {
        let said = hook(&stub, version, "broken", "start-host", "");
        assert_eq!(said.code, Some(5));
        assert!(said.err.starts_with("guestnetctl: create the link: EPERM; "), "{said:?}");
        assert_eq!(stub.calls().len(), 1);
    }
}

#[test]
fn a_container_leaves_by_the_tun_of_its_configuration() {
    let stub = Stub::start();
    let said = hook(&stub, 1, "web", "start-host", "--vpn tun:tun0");
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    let calls = stub.calls();
    assert!(calls[0].starts_with("attach web any by tun0 pidfd "), "{calls:?}");
}

#[test]
fn no_uplink_stops_no_container() {
    let stub = Stub::start();
    let said = hook(&stub, 1, "waiting", "start-host", "");
    assert_eq!(said.code, Some(0));
    assert!(said.err.starts_with("guestnetctl: no interface wlan0: "), "{said:?}");
}

#[test]
fn the_last_run_makes_way() {
    let stub = Stub::start();
    let said = hook(&stub, 0, "stale", "start-host", "");
    assert_eq!(said.code, Some(0), "{said:?}");
    let calls: Vec<_> = stub.calls().iter().map(|c| c[..c.find(' ').unwrap()].to_owned()).collect();
    assert_eq!(calls, ["attach", "detach", "attach"]);
}

#[test]
fn a_name_that_stays_taken_is_a_failure_and_only_the_hook_tries_twice() {
    let stub = Stub::start();
    let said = hook(&stub, 0, "taken", "start-host", "");
    assert_eq!(said.code, Some(4), "{said:?}");
    stub.calls();
    let said = stub.run("attach --name stale --netns /proc/self/ns/net");
    assert_eq!(said.code, Some(4));
    assert_eq!(stub.calls().len(), 1);
}

#[test]
fn stopping_what_is_gone_is_a_success_and_other_failures_are_not() {
    let stub = Stub::start();
    for (name, code) in [("gone", 0), ("broken", 5)] {
        for version in [0, 1] {
            assert_eq!(hook(&stub, version, name, "post-stop", "").code, Some(code));
        }
    }
}

#[test]
fn a_document_where_one_is_asked_for() {
    let stub = Stub::start();
    let said = hook(&stub, 1, "web", "start-host", "--json");
    assert_eq!(said.json()["guest"]["name"], "web");
}

/// Runs a hook with a state of an OCI runtime.
fn oci(stub: &Stub, state: &str) -> Said {
    let mut command = stub.command("oci-hook --address 172.17.3.9");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut hook = command.spawn().unwrap();
    hook.stdin.take().unwrap().write_all(state.as_bytes()).unwrap();
    hook.wait_with_output().unwrap().into()
}

#[test]
fn a_container_of_an_oci_runtime_starts_and_stops() {
    let stub = Stub::start();
    let pid = std::process::id();
    let said = oci(&stub, &format!(r#"{{"id":"web","status":"creating","pid":{pid}}}"#));
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    let calls = stub.calls();
    assert!(calls[0].starts_with("attach web 172.17.3.9 pidfd "), "{calls:?}");
    let said = oci(&stub, r#"{"id":"web","status":"stopped"}"#);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    assert_eq!(stub.calls(), ["detach web"]);
    assert_eq!(oci(&stub, r#"{"id":"gone","status":"stopped"}"#).code, Some(0));
    let broken = format!(r#"{{"id":"broken","status":"creating","pid":{pid}}}"#);
    assert_eq!(oci(&stub, &broken).code, Some(5));
}
