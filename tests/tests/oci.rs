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

//! Containers of an OCI runtime, Debian's runc: guestnetctl as their hook gives them their network before
//! their first process runs, and takes it when they have ended.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use guestnet_tests::bed::{eventually, Bed, FIRST};
use guestnet_tests::netns::unique;
use guestnet_tests::program::binary;
use guestnet_tests::{must, said, InNetns, Netns, Snapshot};
use serde_json::{json, Value};
use tempfile::TempDir;

/// A container of busybox, which runs one command.
struct Container {
    id: String,
    dir: TempDir,
}

impl Container {
    fn new(bed: &Bed, command: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("gnt-oci-").tempdir().expect("a directory");
        let bin = dir.path().join("rootfs/bin");
        for folder in ["bin", "proc", "dev", "sys"] {
            fs::create_dir_all(dir.path().join("rootfs").join(folder)).expect("a root");
        }
        must(Command::new("cp").arg("/bin/busybox").arg(&bin));
        for name in ["sh", "ip", "sleep", "wget", "timeout"] {
            symlink("busybox", bin.join(name)).expect("a link");
        }
        let container = Self { id: unique(), dir };
        must(Command::new("runc").arg("spec").current_dir(container.dir.path()));
        container.configure(bed, command);
        container
    }

    /// Changes its config.json.
    fn change(&self, how: impl FnOnce(&mut Value)) {
        let path = self.dir.path().join("config.json");
        let text = fs::read_to_string(&path).expect("config.json");
        let mut config: Value = serde_json::from_str(&text).expect("config.json");
        how(&mut config);
        fs::write(path, config.to_string()).expect("config.json");
    }

    fn configure(&self, bed: &Bed, command: &str) {
        self.change(|config| {
            config["process"]["terminal"] = json!(false);
            config["process"]["args"] = json!(["/bin/sh", "-c", command]);
            config["hooks"] = hooks_of_the_page();
            for hook in ["createRuntime", "poststop"] {
                let hook = &mut config["hooks"][hook][0];
                assert_eq!(hook["path"], "/usr/bin/guestnetctl");
                hook["path"] = json!(binary("guestnetctl"));
                hook["env"] = json!([format!("GUESTNET_URI={}", bed.daemon.endpoint())]);
            }
        });
    }

    /// From its creation to its end.
    fn run(&self, bed: &Bed) -> Output {
        let mut runc = bed.device.command("runc");
        runc.arg("--root").arg(self.dir.path().join("state")).args(["run", "--bundle"]);
        let bundle: &Path = self.dir.path();
        runc.arg(bundle)
            .arg(&self.id)
            .stdin(Stdio::null())
            .output()
            .expect("runc: tests/run installs it")
    }
}

/// What docs/linux.md shows.
fn hooks_of_the_page() -> Value {
    let page = include_str!("../../docs/linux.md");
    let (_, block) = page.split_once("```json\n").expect("the hooks");
    let (block, _) = block.split_once("```").expect("their end");
    let config: Value = serde_json::from_str(block).expect("JSON");
    config["hooks"].clone()
}

#[test]
fn a_container_has_its_network_before_its_first_process_runs() {
    let bed = Bed::new("auto");
    let before = Snapshot::of(&bed.device);
    let page = "timeout 5 wget -q -O - http://192.0.2.1/";
    let container = Container::new(&bed, &format!("ip -4 addr show wlan0; {page}"));
    for start in 1..=2 {
        let out = container.run(&bed);
        assert!(out.status.success(), "start {start}: {}\n{}", said(&out), bed.daemon.log());
        let text = String::from_utf8_lossy(&out.stdout);
        assert!(text.contains(&format!("inet {FIRST}/16")), "start {start}: {text}");
        assert!(text.contains(guestnet_tests::Device::ADDRESS), "start {start}: {text}");
        eventually("it is detached", || bed.names().is_empty());
    }
    eventually("nothing is left", || Snapshot::of(&bed.device) == before);
}

/// A name that is given to two containers is the first one's.
#[test]
fn a_container_takes_no_other_ones_network() {
    let bed = Bed::new("auto");
    let named = |container: &Container| {
        container.change(|config| config["annotations"] = json!({"guestnet.name": "web"}));
    };
    let first = Container::new(&bed, "sleep 4; timeout 5 wget -q -O - http://192.0.2.1/");
    named(&first);
    std::thread::scope(|scope| {
        let running = scope.spawn(|| first.run(&bed));
        eventually("it is attached", || bed.names() == ["web"]);
        let second = Container::new(&bed, "echo it runs");
        named(&second);
        let out = second.run(&bed);
        let text = said(&out);
        assert!(!out.status.success() && !text.contains("it runs"), "{text}");
        assert!(text.contains("web"), "{text}");
        assert_eq!(bed.names(), ["web"]);
        let out = running.join().expect("a thread");
        let text = String::from_utf8_lossy(&out.stdout);
        assert!(text.contains(guestnet_tests::Device::ADDRESS), "{}", said(&out));
    });
    eventually("it is detached", || bed.names().is_empty());
}

#[test]
fn a_container_that_cannot_have_its_network_does_not_start() {
    let mut bed = Bed::new("auto");
    let container = Container::new(&bed, "echo it runs");
    bed.daemon.kill();
    let out = container.run(&bed);
    let text = said(&out);
    assert!(!out.status.success() && !text.contains("it runs"), "{text}");
    assert!(text.contains("start it again"), "{text}");
}

/// What `podman run --network=ns:PATH` writes into its config.json.
#[test]
fn a_container_that_joins_a_guests_namespace_has_its_network() {
    let bed = Bed::new("auto");
    let namespace = Netns::new("joined");
    must(&mut bed.daemon.ctl(&["attach", "joined", "--netns", namespace.name()]));
    let container = Container::new(&bed, "timeout 5 wget -q -O - http://192.0.2.1/");
    container.change(|config| {
        config["hooks"] = json!({});
        let namespaces = config["linux"]["namespaces"].as_array_mut().expect("namespaces");
        let network = namespaces.iter_mut().find(|of| of["type"] == "network");
        network.expect("a network namespace")["path"] = json!(namespace.path());
    });
    let out = container.run(&bed);
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(text.contains(guestnet_tests::Device::ADDRESS), "{}", said(&out));
    assert_eq!(bed.names(), ["joined"], "it lives by its namespace");
}
