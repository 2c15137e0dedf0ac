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

//! A guestnetd that cannot work does not start: it says what is missing, ends with a failure,
//! and has changed nothing.

use std::fs::{self, Permissions};
use std::os::unix::fs::{chown, PermissionsExt};
use std::path::Path;
use std::process::Output;

use android_system_guestnet::aidl::android::system::guestnet::GuestState::GuestState;
use guestnet_tests::bed::Bed;
use guestnet_tests::client::config;
use guestnet_tests::program::{self, binary};
use guestnet_tests::{said, Device, InNetns, Snapshot};

/// What clap answers a wrong command line with, and what everything else that fails ends with.
const USAGE: i32 = 2;
const FAILURE: i32 = 1;

/// Runs guestnetd to its end. It gets ten seconds to find out that it cannot start.
fn run(device: &Device, before_it: &str, args: &[&str]) -> Output {
    let mut command = device.command("timeout");
    command.args(["-s", "KILL", "10"]).args(before_it.split_whitespace());
    command.arg(binary("guestnetd")).args(args).output().expect("guestnetd")
}

/// Runs it, and checks its exit status, its words, and that nothing has changed.
#[track_caller]
fn fails(device: &Device, before_it: &str, args: &[&str], status: i32, words: &[&str]) {
    let before = Snapshot::of(device);
    let out = run(device, before_it, args);
    assert_eq!(out.status.code(), Some(status), "{args:?}: {}", said(&out));
    let text = String::from_utf8_lossy(&out.stderr);
    for word in words {
        assert!(text.contains(word), "{args:?}: {word:?} is not in: {text}");
    }
    assert!(!text.contains("panicked") && !text.contains("ready"), "{args:?}: {text}");
    before.assert_same(&Snapshot::of(device));
}

/// A directory for a socket and a state, and the arguments that name both.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::Builder::new().prefix("gnt-start-").tempdir().expect("a directory"))
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    /// `--listen` and `--state-dir` in a fresh directory of it.
    fn args(&self) -> [String; 4] {
        let listen = format!("unix://{}", self.path("run/guestnet.sock"));
        ["--listen".into(), listen, "--state-dir".into(), self.path("run")]
    }
}

#[test]
fn without_a_capability_it_names_the_capability() {
    let (device, place) = (Device::new(), Place::new());
    let args = place.args();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    for capability in ["net_admin", "sys_admin", "net_raw"] {
        let without = format!("setpriv --bounding-set -{capability} --inh-caps -{capability}");
        let name = format!("CAP_{}", capability.to_uppercase());
        let words = [name.as_str(), "lacks", "start it as root", "AmbientCapabilities"];
        fails(&device, &without, &args, FAILURE, &words);
    }
    let user = "setpriv --reuid 4242 --regid 4242 --clear-groups";
    // The programs under test need not be where every user may run them.
    let copy = place.path("guestnetd");
    program::copy("guestnetd", Path::new(&copy));
    fs::set_permissions(place.0.path(), Permissions::from_mode(0o755)).expect("chmod");
    let user = format!("{user} {copy}");
    let before = Snapshot::of(&device);
    let out = device.words(&user).args(&args).output().expect("setpriv");
    assert_eq!(out.status.code(), Some(FAILURE), "{}", said(&out));
    let text = String::from_utf8_lossy(&out.stderr);
    assert!(text.contains("CAP_NET_ADMIN, CAP_NET_RAW, CAP_SYS_ADMIN"), "{text}");
    before.assert_same(&Snapshot::of(&device));
    assert!(!Path::new(&place.path("run")).exists(), "it made its directory all the same");
}

#[test]
fn a_state_directory_that_cannot_be_used() {
    let (device, place) = (Device::new(), Place::new());
    let file = place.path("file");
    fs::write(&file, "mine").expect("a file");
    let listen = place.args()[1].clone();
    let theirs = place.path("theirs");
    fs::create_dir(&theirs).expect("a directory");
    chown(&theirs, Some(4242), None).expect("chown");
    for bad in [file.clone(), format!("{file}/below"), "/proc/guestnet".to_owned(), theirs.clone()]
    {
        let args = ["--listen", &listen, "--state-dir", &bad];
        fails(&device, "", &args, FAILURE, &[&bad, "--state-dir"]);
    }
    assert_eq!(fs::read_to_string(&file).expect("the file"), "mine");
    assert!(!Path::new(&place.path("run/guestnet.sock")).exists());
}

#[test]
fn an_endpoint_that_is_none() {
    let (device, place) = (Device::new(), Place::new());
    let state = place.path("run");
    let long = format!("unix:///{}", "a".repeat(107));
    for (listen, why) in [
        ("", "neither unix:// nor binder://"),
        ("tcp://192.0.2.2:1", "neither unix:// nor binder://"),
        ("/run/guestnet.sock", "neither unix:// nor binder://"),
        ("unix://", "the path is empty"),
        ("unix://run/guestnet.sock", "does not start with /"),
        ("unix:///tmp/", "names a directory"),
        ("binder://vendor", "takes nothing after it"),
        (&long, "longer than the 107 bytes"),
    ] {
        let args = ["--state-dir", &state, "--listen", listen];
        fails(&device, "", &args, USAGE, &["--listen", why, "unix:///ABSOLUTE/PATH or binder://"]);
    }
}

#[test]
fn a_place_where_no_socket_can_be() {
    let (device, place) = (Device::new(), Place::new());
    let (state, file) = (place.path("state"), place.path("file"));
    fs::write(&file, "mine").expect("a file");
    let open = place.path("open");
    fs::create_dir(&open).expect("a directory");
    fs::set_permissions(&open, Permissions::from_mode(0o777)).expect("chmod");
    let (theirs, shared) = (place.path("theirs"), place.path("shared"));
    for dir in [&theirs, &shared] {
        fs::create_dir(dir).expect("a directory");
    }
    chown(&theirs, Some(4242), None).expect("chown");
    chown(&shared, None, Some(4242)).expect("chgrp");
    fs::set_permissions(&shared, Permissions::from_mode(0o770)).expect("chmod");
    for (path, why) in [
        (format!("{theirs}/guestnet.sock"), "uid 4242 owns it"),
        (format!("{shared}/guestnet.sock"), "gid 4242 may write to it"),
        (file.clone(), "is not a socket: it was left alone"),
        (format!("{file}/guestnet.sock"), "listen elsewhere"),
        (format!("{open}/guestnet.sock"), "every user may write to it"),
        ("/proc/guestnet/guestnet.sock".to_owned(), "cannot be made"),
    ] {
        let listen = format!("unix://{path}");
        let args = ["--state-dir", &state, "--listen", &listen];
        let named = Path::new(&path).parent().and_then(Path::to_str).unwrap_or_default();
        fails(&device, "", &args, FAILURE, &[why, named]);
    }
    assert_eq!(fs::read_to_string(&file).expect("the file"), "mine");
}

#[test]
fn without_a_binder_driver_it_says_so() {
    if Path::new("/dev/binder").exists() || Path::new("/dev/binderfs/binder").exists() {
        return eprintln!("NOT TESTED: this machine has a Binder driver");
    }
    let (device, place) = (Device::new(), Place::new());
    let args = ["--state-dir", &place.path("run"), "--listen", "binder://"];
    fails(&device, "", &args, FAILURE, &["no Binder driver", "binder_linux", "unix:///"]);
}

#[test]
fn a_value_that_is_none() {
    let (device, place) = (Device::new(), Place::new());
    let args = place.args();
    for (option, values, why) in [
        (
            "--uplink",
            &["", "a/b", "sixteen-bytes-xx", "wlan+", "a b", ".."] as &[_],
            "not a valid uplink",
        ),
        (
            "--firewall",
            &["", "ipfw", "NFTABLES", "nftables,iptables"],
            "none of auto, nftables, iptables",
        ),
        ("--allow-uid", &["", "-1", "root", "4294967295", "4294967296", "0x10"], "is not a uid"),
    ] {
        for value in values {
            let option_is = format!("{option}={value}");
            let all: Vec<&str> = args.iter().map(String::as_str).chain([&*option_is]).collect();
            fails(&device, "", &all, USAGE, &[option, why]);
        }
    }
    fails(&device, "", &["--no-such-option"], USAGE, &["--no-such-option", "--help"]);
    fails(&device, "", &["stray"], USAGE, &["stray", "--help"]);
}

/// As somebody would start it by mistake: as the first one, with another uplink, and with another
/// state. Both backends are tried: of one of them the kernel guards the rules, of the other nobody.
fn a_second_one_is_refused(firewall: &str) {
    let bed = Bed::on(Device::new())
        .args(&format!("--firewall {firewall}"))
        .neighbour(config("neighbour"))
        .build();
    let (before, place) = (bed.before(), Place::new());
    let (endpoint, state) = (bed.daemon.endpoint(), bed.daemon.state_dir());
    let (state, other) = (state.to_str().expect("a path"), place.path("run"));
    for (uplink, state) in [("wlan0", state), ("eth9", state), ("eth9", other.as_str())] {
        let args = ["--listen", &endpoint, "--state-dir", state, "--uplink", uplink];
        let args = [&args[..], &["--firewall", firewall]].concat();
        let out = run(&bed.device, "", &args);
        let text = said(&out);
        let what = format!("a second guestnetd with {args:?}: {text}");
        assert_eq!(out.status.code(), Some(FAILURE), "{what}");
        bed.assert_unchanged(&before, &what);
        // Of a name there is one.
        let on_binder = endpoint.starts_with("binder:");
        let remedy = if on_binder { "stop it" } else { "stop it, or listen elsewhere" };
        let words = ["another guestnetd", remedy];
        assert!(words.iter().all(|word| text.contains(word)), "{what}");
        let guest = bed.service.get("neighbour").expect("get").expect("the neighbour");
        assert_eq!(guest.state, GuestState::ATTACHED);
        bed.daemon.connect().info().expect("info over a new connection");
    }
}

/// Whatever socket and state it is given: in one network namespace there is one.
fn a_stranger_to_the_first_is_refused(firewall: &str) {
    let bed = Bed::on(Device::new())
        .args(&format!("--firewall {firewall}"))
        .neighbour(config("neighbour"))
        .build();
    let (before, place) = (bed.before(), Place::new());
    for uplink in ["wlan0", "eth9"] {
        let args = place.args();
        let mut args: Vec<&str> = args.iter().map(String::as_str).collect();
        args.extend(["--uplink", uplink, "--firewall", firewall]);
        let out = run(&bed.device, "", &args);
        let text = said(&out);
        assert_eq!(out.status.code(), Some(FAILURE), "{text}");
        let first = format!("another guestnetd (pid {})", bed.daemon.pid());
        assert!(text.contains(&first) && text.contains("stop it"), "{text}");
        bed.assert_unchanged(&before, "a second guestnetd with a socket and a state of its own");
    }
    assert!(!Path::new(&place.path("run/guests")).exists(), "it made a state all the same");
    // In another network namespace it is the first.
    let elsewhere = Device::new();
    let _other = guestnet_tests::Daemon::new(&elsewhere).started();
}

guestnet_tests::with_both_backends!(a_stranger_to_the_first_is_refused);

#[test]
fn a_second_guestnetd_is_refused_and_the_first_lives_on_with_nftables() {
    a_second_one_is_refused("nftables");
}

#[test]
fn a_second_guestnetd_is_refused_and_the_first_lives_on_with_iptables() {
    a_second_one_is_refused("iptables");
}
