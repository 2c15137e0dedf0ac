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

//! guestnetctl becomes the VM's program: what its help tells people to type is typed here.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use android_system_guestnet::aidl::android::system::guestnet::IGuestNet::IGuestNet;
use guestnet_tests::bed::{eventually, Bed};
use guestnet_tests::{said, Daemon, Device, InNetns, Probe};

/// Stands in for a VMM: writes down how it was called, and which of its descriptors are TAP devices.
const VMM: &str = r#"#!/bin/sh
echo "$0 $*" >"$OUT"
for fd in /proc/$$/fd/*; do
    [ "$(readlink "$fd")" != /dev/net/tun ] || echo "${fd##*/}"
done >>"$OUT"
mv "$OUT" "$OUT.done"
exec sleep 1000
"#;

fn script(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::write(&path, text).expect("a script");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("chmod");
}

/// The commands for VMs that the help has, each in one line.
fn commands(daemon: &Daemon) -> Vec<String> {
    let help = daemon.run_ctl(&["attach", "--help"]);
    let help = String::from_utf8(help.stdout).expect("text").replace("\\\n", " ");
    let lines = help.lines().map(str::trim);
    let lines = lines.filter(|line| line.starts_with("guestnetctl attach vm --tap"));
    lines.map(|line| line.trim_end_matches(" ...").to_owned()).collect()
}

#[test]
fn each_command_of_its_help_gives_the_vmm_its_descriptors() {
    let bed = Bed::new("auto");
    let folder = tempfile::tempdir().expect("a folder");
    for vmm in ["crosvm", "qemu-system-x86_64"] {
        script(folder.path(), vmm, VMM);
    }
    let found = commands(&bed.daemon);
    assert_eq!(found.len(), 3, "{found:?}");
    for (command, descriptors) in found.iter().zip([1, 1, 4]) {
        let rest = command.strip_prefix("guestnetctl ").expect("a command");
        let words: Vec<&str> = rest.split_whitespace().collect();
        let out = folder.path().join("called");
        let path = format!("{}:/usr/bin:/bin", folder.path().display());
        let mut running = bed.daemon.ctl(&words);
        running.env("PATH", path).env("OUT", &out).stdout(Stdio::null());
        let mut vmm = running.spawn().expect("guestnetctl");
        let done = folder.path().join("called.done");
        eventually("it was called", || done.exists());
        let told = fs::read_to_string(&done).expect("what it was called with");
        fs::remove_file(&done).expect("it is there");
        let (called, open) = told.split_once('\n').expect("two lines");
        let mut open: Vec<&str> = open.lines().collect();
        // By their numbers, and not as words: 9 is before 10.
        open.sort_by_key(|number| number.parse::<i32>().expect("a number"));
        let guest = bed.service.get("vm").expect("get").expect("it is attached");
        let named = match called.contains("crosvm") {
            true => format!("tap-fd={},mac={}", open.join(","), guest.mac),
            false => format!("{}={},", if descriptors > 1 { "fds" } else { "fd" }, open.join(":")),
        };
        assert_eq!(open.len(), descriptors, "{told}");
        assert!(
            called.contains(&named) && called.contains(&format!("mac={}", guest.mac)),
            "{told}"
        );
        assert!(!called.contains('{'), "{called}");
        vmm.kill().expect("killed");
        vmm.wait().expect("ended");
        eventually("it is gone", || bed.names().is_empty());
    }
}

#[test]
fn a_program_that_cannot_be_run_leaves_nothing() {
    let bed = Bed::new("auto");
    let words = ["attach", "vm", "--tap", "--exec", "/nonexistent/vmm", "{fd}"];
    let failed = bed.daemon.run_ctl(&words);
    let error = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert_eq!(failed.status.code(), Some(1), "{error}");
    assert!(error.contains("/nonexistent/vmm cannot be run"), "{error}");
    eventually("it is gone", || bed.names().is_empty() && bed.device.link("vm_wlan").is_none());
    for (words, error) in [
        (&["attach", "vm", "--tap"][..], "--tap needs --exec CMD"),
        (&["attach", "vm", "--pid", "1", "--exec", "true"], "--exec"),
        (&["attach", "vm", "--pid", "1", "--queues", "2"], "--queues"),
        (&["attach", "vm", "--tap", "--hold"], "--hold"),
        (&["attach", "vm", "--tap", "--pid", "1"], "--pid"),
    ] {
        let refused = bed.daemon.run_ctl(words);
        assert_eq!(refused.status.code(), Some(2), "{words:?}");
        let text = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(text.contains(error), "{words:?}: {text}");
    }
    assert!(bed.names().is_empty());
}

#[test]
fn plan_and_check_of_a_tap() {
    let bed = Bed::with_neighbour();
    let before = bed.before();
    let text = said(&bed.daemon.run_ctl(&["plan", "vm", "--tap", "--queues", "2"]));
    assert!(text.contains("TAP device vm_wlan1 with 2 queues"), "{text}");
    let text = said(&bed.daemon.run_ctl(&["check", "vm", "--tap"]));
    assert!(text.contains("the TAP device vm_wlan1 can be made"), "{text}");
    bed.assert_unchanged(&before, "plan and check");
}

#[test]
fn a_user_has_the_tap_that_it_has_attached() {
    const USER: u32 = 4242;
    let device = Device::new();
    let daemon = Daemon::new(&device).args("--allow-uid 4242:own").started();
    for (path, mode) in [(daemon.state_dir(), 0o755), (daemon.socket(), 0o666)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("chmod");
    }
    let home = tempfile::Builder::new().prefix("gnt-ctl-").tempdir().expect("a directory");
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).expect("chmod");
    let ctl = home.path().join("guestnetctl");
    guestnet_tests::program::copy("guestnetctl", &ctl);
    let mut command = device.command("setpriv");
    command.args(["--reuid", &USER.to_string(), "--regid", &USER.to_string(), "--clear-groups"]);
    command.arg(&ctl).args(["attach", "vm", "--tap", "--exec", "sleep", "1000"]);
    let mut holder = command.env("GUESTNET_URI", daemon.endpoint()).spawn().expect("setpriv");
    let bed = Bed::around(device, daemon).build();
    eventually("it is attached", || bed.names() == ["vm"]);
    let guest = bed.service.get("vm").expect("get").expect("it is there");
    assert_eq!(guest.ownerUid, USER as i32);
    let data = &bed.device.link("vm_wlan").expect("its link")["linkinfo"]["info_data"];
    assert_eq!(data["user"].to_string().trim_matches('"'), USER.to_string(), "{data}");
    holder.kill().expect("killed");
    holder.wait().expect("ended");
    eventually("it is gone", || bed.names().is_empty());
}
