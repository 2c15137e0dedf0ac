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

//! Real LXC containers: Debian's LXC and its busybox template, with the network of the original,
//! which is none.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use guestnet_tests::bed::{eventually, Bed, BOUND, FIRST};
use guestnet_tests::client::{address, by_pid, config};
use guestnet_tests::program::binary;
use guestnet_tests::{poll, said, Container, Device, Guest, Snapshot};
use tempfile::TempDir;

guestnet_tests::with_both_backends!(one_call_gives_a_container_its_wlan0);

/// Fetches a page inside a container. The time limit is not wget's own: with that, Debian's
/// static busybox ends by a segmentation fault.
fn page(container: &Container) -> String {
    let fetch = ["timeout", "5", "wget", "-q", "-O", "-", "http://192.0.2.1/"];
    let out = container.try_exec(&fetch);
    assert!(out.status.success(), "{}", said(&out));
    String::from_utf8_lossy(&out.stdout).trim().to_owned()
}

/// The interfaces that `ifconfig -a` inside a container lists, with their IPv4 addresses.
fn interfaces(text: &str) -> Vec<(String, String)> {
    let blocks = text.split("\n\n").filter(|block| !block.trim().is_empty());
    let word = |text: &str| text.split_whitespace().next().unwrap_or_default().to_owned();
    let address =
        |block: &str| block.split_once("inet addr:").map_or(String::new(), |(_, a)| word(a));
    blocks.map(|block| (word(block), address(block))).collect()
}

fn inside(container: &Container) -> Vec<(String, String)> {
    interfaces(&container.exec(&["ifconfig", "-a"]))
}

fn pair(name: &str, address: &str) -> (String, String) {
    (name.to_owned(), address.to_owned())
}

fn one_call_gives_a_container_its_wlan0(firewall: &str) {
    let bed = Bed::new(firewall);
    let container = Container::new(&bed.device);
    container.start().unwrap();
    let before = Snapshot::of(&bed.device);
    // Nobody has set it up.
    assert_eq!(inside(&container), [pair("lo", "")]);
    let lo = [pair("lo", "127.0.0.1")];
    let pid = container.pid().expect("its init");

    let guest = bed.attach_as(&config(container.name()), &by_pid(pid));
    assert_eq!(address(&guest), FIRST);
    assert_eq!(inside(&container), [lo[0].clone(), pair("wlan0", FIRST)]);
    assert!(container.exec(&["ifconfig", "wlan0"]).contains("Mask:255.255.0.0"));
    let routes = container.exec(&["route", "-n"]);
    let default = routes.lines().find(|line| line.starts_with("0.0.0.0")).expect("a default route");
    assert!(default.contains("172.17.3.2") && default.ends_with("wlan0"), "{default}");
    assert_eq!(page(&container), Device::ADDRESS);

    bed.detach(container.name());
    assert_eq!(inside(&container), lo);
    before.assert_same(&Snapshot::of(&bed.device));
    container.stop();
}

/// A container with guestnetctl as its hooks, which writes down what it sees before its init runs.
fn hooked(bed: &Bed, version: u32, hook: &str) -> (Container, TempDir) {
    let container = Container::new(&bed.device);
    let dir = tempfile::tempdir().expect("a directory");
    container.config(&format!("lxc.hook.version = {version}"));
    container.config(&format!("lxc.hook.start-host = {hook}"));
    container.config(&format!("lxc.hook.post-stop = {hook}"));
    // In init's place, which it then becomes. A hook inside would be too early: LXC runs those
    // before lxc.hook.start-host.
    let script = dir.path().join("look");
    let look = "#!/bin/sh\n/bin/busybox ifconfig -a >/new\n/bin/mv /new /first\nexec /sbin/init\n";
    fs::write(&script, look).expect("the script");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("chmod");
    container.config("lxc.init.cmd = /look");
    let mount = format!("{} look none bind,create=file 0 0", script.display());
    container.config(&format!("lxc.mount.entry = {mount}"));
    (container, dir)
}

fn hooks_give_and_take(version: u32, hook: &str, bed: &Bed) {
    let before = Snapshot::of(&bed.device);
    let (container, _dir) = hooked(bed, version, hook);
    container.start().unwrap();
    let both = [("wlan0", FIRST)].map(|(name, address)| pair(name, address));
    let first = || {
        let look = || container.try_exec(&["cat", "/first"]);
        let text = poll(BOUND, || Some(look()).filter(|out| out.status.success()));
        interfaces(&String::from_utf8_lossy(&text.expect("what init saw").stdout))
    };
    assert_eq!(first()[1..], both, "before its init ran");
    assert_eq!(inside(&container)[1..], both);
    assert_eq!(page(&container), Device::ADDRESS);
    assert_eq!(bed.names(), [container.name()]);

    container.exec(&["rm", "/first"]);
    container.reboot();
    assert_eq!(first()[1..], both, "before its init ran again");
    assert_eq!(inside(&container)[1..], both, "the same address");
    assert_eq!(page(&container), Device::ADDRESS);
    assert_eq!(bed.names(), [container.name()]);

    container.stop();
    eventually("the container is detached", || bed.names().is_empty());
    eventually("nothing is left", || Snapshot::of(&bed.device) == before);
}

#[test]
fn hooks_of_version_0_give_and_take() {
    let bed = Bed::new("auto");
    let hook =
        format!("{} lxc-hook --connect {}", binary("guestnetctl").display(), bed.daemon.endpoint());
    hooks_give_and_take(0, &hook, &bed);
}

#[test]
fn hooks_of_version_1_give_and_take() {
    let bed = Bed::new("auto");
    let (ctl, uri) = (binary("guestnetctl"), bed.daemon.endpoint());
    // Here by the environment.
    hooks_give_and_take(1, &format!("env GUESTNET_URI={uri} {} lxc-hook", ctl.display()), &bed);
}

/// guestnetctl as a hook of version 0. What it says goes to `said`.
fn hook_to(bed: &Bed, said: &Path, options: &str) -> String {
    let (ctl, uri) = (binary("guestnetctl"), bed.daemon.endpoint());
    format!("{} lxc-hook --connect {uri} {options} 2>{}", ctl.display(), said.display())
}

#[test]
fn a_container_without_network_does_not_start_and_says_why() {
    let mut bed = Bed::new("auto");
    let dir = tempfile::tempdir().expect("a directory");
    let said = dir.path().join("said");
    let other = Guest::new();
    bed.attach("other", &other);
    let before = Snapshot::of(&bed.device);
    let is_refused = |bed: &Bed, options: &str, words: &[&str]| {
        let container = Container::new(&bed.device);
        container.config(&format!("lxc.hook.start-host = {}", hook_to(bed, &said, options)));
        container.start().unwrap_err();
        assert_eq!(container.pid(), None);
        let text = fs::read_to_string(&said).expect("what the hook said");
        for word in words {
            assert!(text.contains(word), "{word} is not in {text}");
        }
    };
    is_refused(&bed, &format!("--address {FIRST}"), &[FIRST, "other"]);
    is_refused(&bed, "--gateway 192.0.2.9 --prefix 24", &["192.0.2.0/24", "wlan0"]);
    assert_eq!(bed.names(), ["other"]);
    before.assert_same(&Snapshot::of(&bed.device));

    bed.daemon.kill();
    let endpoint = bed.daemon.endpoint();
    is_refused(&bed, "", &["guestnetd", endpoint.trim_start_matches("unix://")]);
}

#[test]
fn a_container_starts_without_an_uplink() {
    let bed = Bed::on(Device::options().no_uplink().build()).build();
    let hook =
        format!("{} lxc-hook --connect {}", binary("guestnetctl").display(), bed.daemon.endpoint());
    let (container, _dir) = hooked(&bed, 1, &hook);
    container.start().unwrap();
    assert_eq!(inside(&container)[1..], [pair("wlan0", FIRST)]);
    bed.device.add_uplink("wlan0");
    eventually("the uplink is used", || {
        container.try_exec(&["ping", "-c1", "-W1", "192.0.2.1"]).status.success()
    });
    assert_eq!(page(&container), Device::ADDRESS);
    container.stop();
}

#[test]
fn a_containers_resolv_conf_names_its_gateway_and_the_devices_stays() {
    let bed = Bed::new("nftables");
    let hook = format!(
        "{} lxc-hook --connect {} --resolv-conf auto",
        binary("guestnetctl").display(),
        bed.daemon.endpoint()
    );
    let devices = fs::read("/etc/resolv.conf").ok();
    let (container, _dir) = hooked(&bed, 1, &hook);
    container.start().unwrap();
    let text = container.exec(&["cat", "/etc/resolv.conf"]);
    assert!(text.ends_with("\nnameserver 172.17.3.2\n"), "{text}");
    // By the resolver of its own system, as its programs ask.
    let resolved = container.exec(&["nslookup", "beyond.test"]);
    assert!(resolved.contains("203.0.113.80"), "{resolved}");
    container.stop();
    assert_eq!(fs::read("/etc/resolv.conf").ok(), devices);
}
