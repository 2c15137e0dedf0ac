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

//! What is wrong at the start is said, with what to do.

use android_system_guestnet::aidl::android::system::guestnet::Layer::Layer;
use android_system_guestnet::aidl::android::system::guestnet::LayerState::LayerState;
use guestnet_tests::netd::NetdDevice;
use guestnet_tests::{Daemon, InNetns};

#[track_caller]
fn does_not_start(args: &str, words: &[&str]) {
    let device = NetdDevice::new();
    let before = device.everything_else();
    let args = args.replace("DIR", &device.iptables().parent().unwrap().display().to_string());
    let said = Daemon::new(&device).args(&args).try_start().expect_err("it starts");
    for word in words {
        assert!(said.contains(word), "{word} is not in: {said}");
    }
    assert_eq!(device.everything_else().diff(&before), None);
    assert!(!device.run("iptables-legacy-save").contains("guestnet"));
}

#[test]
fn wrappers_that_are_not_there() {
    does_not_start("--iptables /nonexistent/iptables-wrapper-1.0", &["/nonexistent/iptables"]);
}

#[test]
fn a_wrapper_that_refuses() {
    // It says nothing and ends with 1, as the platform's does.
    let dir = tempfile::tempdir().expect("a directory");
    for name in ["iptables-w", "ip6tables-w"] {
        std::os::unix::fs::symlink("/bin/false", dir.path().join(name)).expect("a link");
    }
    let path = dir.path().join("iptables-w");
    does_not_start(&format!("--iptables {}", path.display()), &["iptables-w", "refuse"]);
}

#[test]
fn an_uplink_that_is_none() {
    for bad in ["vm_wlan", "lo", "wlan0,", "*", "vm_wlan*", "a/b"] {
        does_not_start(&format!("--uplink {bad}"), &["is not a valid uplink"]);
    }
}

#[test]
fn ndc_that_says_nothing_fails_the_attach() {
    use guestnet_tests::client::{by_pid, config};
    let device = NetdDevice::new();
    let daemon = Daemon::new(&device)
        .args(&format!("--iptables {} --ndc /bin/true", device.iptables().display()))
        .started();
    let guest = guestnet_tests::Guest::new();
    let service = daemon.connect();
    let before = device.everything_else();
    let refused = service.attach(&config("demo"), &by_pid(guest.pid()), None);
    let refused = refused.expect_err("netd was not asked").to_string();
    assert!(refused.contains("ipfwd enable guestnetd"), "{refused}");
    assert_eq!(device.everything_else().diff(&before), None);
    assert!(service.list().expect("list").is_empty());
}

#[test]
fn a_forward_policy_that_drops_is_no_obstacle() {
    let bed = guestnet_tests::bed::Bed::on_netd(NetdDevice::new()).attached("demo").build();
    bed.device.run("iptables-legacy -w -P FORWARD DROP");
    bed.flows_as("192.0.2.2");
    let firewall = bed.layer(Layer::FIREWALL);
    assert_eq!(firewall.state, LayerState::OK, "{firewall:?}");
    bed.end();
}
