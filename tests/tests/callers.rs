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

//! Who may call: root, the uids of `--allow-uid`, and nobody else, whatever the socket's file lets
//! through.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::{Command, Output};
use std::thread;

use android_system_guestnet::aidl::android::system::guestnet::IGuestNet::IGuestNet;
use binder::{ExceptionCode, Status};
use guestnet_platform::{connect, status_message, Connection, Endpoint, PlatformError};
use guestnet_tests::bed::{assert_words, deaf, Bed};
use guestnet_tests::client::{by_netns, by_pid, config, NAME};
use guestnet_tests::program;
use guestnet_tests::{said, Daemon, Device, InNetns, Internet, Probe};

/// An ordinary user. No account needs to exist for it.
const STRANGER: u32 = 4242;
/// AID_SYSTEM on Android; here the first user that was ever added.
const FIRST_USER: u32 = 1000;

/// Runs `f` on a thread that has become another user, its connections with it. libc's functions
/// would take all threads along; the system calls change the calling one.
fn as_user<T: Send>(uid: u32, f: impl FnOnce() -> T + Send) -> T {
    let become_it = move || {
        let none: *const libc::gid_t = std::ptr::null();
        // SAFETY: no groups are read; the ids are plain integers.
        let results = unsafe {
            [
                libc::syscall(libc::SYS_setgroups, 0, none),
                libc::syscall(libc::SYS_setresgid, uid, uid, uid),
                libc::syscall(libc::SYS_setresuid, uid, uid, uid),
            ]
        };
        assert_eq!(results, [0; 3], "{}", std::io::Error::last_os_error());
        f()
    };
    let done = thread::scope(|scope| scope.spawn(become_it).join());
    done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn dial(daemon: &Daemon) -> Result<Connection<dyn IGuestNet>, PlatformError> {
    let endpoint: Endpoint = daemon.endpoint().parse().expect("an endpoint");
    connect(&endpoint, NAME)
}

/// Lets every user connect: from here on only guestnetd's own check is in the way.
fn open_to_all(daemon: &Daemon) {
    let open = |path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).expect("chmod");
    open(daemon.socket().parent().expect("its directory").to_owned(), 0o755);
    open(daemon.socket(), 0o666);
}

/// guestnetctl, run by another user. Where it was built, that user may not be able to look.
fn ctl_as(uid: u32, daemon: &Daemon, device: &Device, words: &[&str]) -> Output {
    let home = tempfile::Builder::new().prefix("gnt-ctl-").tempdir().expect("a directory");
    fs::set_permissions(home.path(), Permissions::from_mode(0o755)).expect("chmod");
    let ctl = home.path().join("guestnetctl");
    program::copy("guestnetctl", &ctl);
    let mut command: Command = device.command("setpriv");
    command.args(["--reuid", &uid.to_string(), "--regid", &uid.to_string(), "--clear-groups"]);
    command.arg(ctl).args(words).env("GUESTNET_URI", daemon.endpoint());
    command.output().expect("setpriv")
}

#[track_caller]
fn is_not_allowed(what: &str, uid: u32, status: Option<Status>) {
    let status = status.unwrap_or_else(|| panic!("{what} was not refused"));
    assert_eq!(status.exception_code(), ExceptionCode::SECURITY, "{what}: {status}");
    let (user, remedy) = (format!("uid {uid}"), format!("--allow-uid {uid}"));
    assert_words(what, &status, &[&user, "may not use guestnetd", &remedy]);
}

/// Every method, with arguments that root could use.
fn is_refused_everything(bed: &Bed, uid: u32) {
    let before = bed.before();
    let (netns, pid) = (bed.guest.open_netns(), bed.guest.pid());
    as_user(uid, || {
        let service = dial(&bed.daemon).expect("a connection");
        let (config, target) = (config("b"), by_netns(netns));
        let refused = |what, status| is_not_allowed(what, uid, status);
        refused("attach()", service.attach(&config, &target, None).err());
        refused("attach() by pid", service.attach(&config, &by_pid(pid), None).err());
        // Who may not call is not told what is wrong with the call either.
        refused("attach() of nothing", service.attach(&config, &by_pid(0), None).err());
        refused("update()", service.update("neighbour", &config).err());
        refused("detach()", service.detach("neighbour").err());
        refused("detach() of nobody", service.detach("").err());
        refused("list()", service.list().err());
        refused("get()", service.get("neighbour").err());
        refused("plan()", service.plan(&config, &target).err());
        refused("check()", service.check(&config, &target).err());
        refused("status()", service.status(None).err());
        refused("info()", service.info().err());
        refused("setDns()", service.setDns("wlan0", &["192.0.2.53".to_owned()]).err());
        refused("setDns() of nothing", service.setDns("", &[]).err());
        let file = tempfile::tempfile().expect("a file");
        let fd = binder::ParcelFileDescriptor::new(file.try_clone().expect("dup"));
        refused("dumpTo()", service.dumpTo(&fd, &[]).err());
        assert_eq!(file.metadata().expect("its size").len(), 0, "dumpTo() wrote");
        let listener = deaf();
        refused("registerListener()", service.registerListener(&listener).err());
        refused("unregisterListener()", service.unregisterListener(&listener).err());
    });
    bed.assert_unchanged(&before, "a stranger's calls");
}

#[test]
fn the_socket_is_roots_and_its_groups() {
    let bed = Bed::with_neighbour();
    let socket = fs::metadata(bed.daemon.socket()).expect("the socket");
    assert_eq!((socket.mode() & 0o7777, socket.uid()), (0o660, 0));
    let dir = fs::metadata(bed.daemon.state_dir()).expect("its directory");
    assert_eq!((dir.mode() & 0o7777, dir.uid()), (0o750, 0));
    let error = as_user(STRANGER, || dial(&bed.daemon).map(drop)).expect_err("a connection");
    assert!(matches!(error, PlatformError::NotPermitted { .. }), "{error}");
    assert!(error.to_string().contains("run this as root"), "{error}");
}

#[test]
fn strangers_are_refused_every_call() {
    let bed = Bed::with_neighbour();
    open_to_all(&bed.daemon);
    is_refused_everything(&bed, STRANGER);
    is_refused_everything(&bed, FIRST_USER);
    assert!(bed.daemon.log().contains("uid 4242 may not use guestnetd"), "and it is logged");
}

#[test]
fn an_allowed_user_may_do_all_and_is_the_owner() {
    let device = Device::new();
    let args = format!("--allow-uid 17 --allow-uid {STRANGER}");
    let bed = Bed::on(device).args(&args).neighbour(config("neighbour")).build();
    open_to_all(&bed.daemon);
    let (netns, guest) = (bed.guest.open_netns(), &bed.guest);
    as_user(STRANGER, || {
        let service = dial(&bed.daemon).expect("a connection");
        let attached = service.attach(&config("b"), &by_netns(netns), None).expect("attach");
        assert_eq!(attached.ownerUid, STRANGER as i32);
        assert_eq!(service.list().expect("list").len(), 2);
    });
    assert!(guest.ping(Internet::ADDRESS));
    let owners = bed.service.list().expect("list").into_iter().map(|g| (g.name, g.ownerUid));
    let expected = [("b".to_owned(), STRANGER as i32), ("neighbour".to_owned(), 0)];
    assert_eq!(owners.collect::<Vec<_>>(), expected);
    as_user(STRANGER, || dial(&bed.daemon).expect("a connection").detach("b")).expect("detach");
    // The others are strangers all the same.
    is_refused_everything(&bed, FIRST_USER);
    is_refused_everything(&bed, STRANGER + 1);
}

#[test]
fn guestnetctl_ends_with_6_and_says_the_remedy() {
    let bed = Bed::with_neighbour();
    let (daemon, device) = (&bed.daemon, &bed.device);
    // Refused by the file, then by guestnetd; either way the user hears what to do.
    let out = ctl_as(STRANGER, daemon, device, &["list"]);
    assert!(!out.status.success(), "{}", said(&out));
    assert!(said(&out).contains("no permission"), "{}", said(&out));
    open_to_all(daemon);
    let (before, pid) = (bed.before(), bed.guest.pid().to_string());
    for words in [
        &["list"] as &[_],
        &["status"],
        &["attach", "--name", "b", "--pid", &pid],
        &["detach", "neighbour"],
    ] {
        let out = ctl_as(STRANGER, daemon, device, words);
        assert_eq!(out.status.code(), Some(6), "{words:?}: {}", said(&out));
        assert!(said(&out).contains("--allow-uid 4242"), "{words:?}: {}", said(&out));
    }
    bed.assert_unchanged(&before, "a stranger's guestnetctl");
    let out = daemon.run_ctl(&["list"]);
    assert!(out.status.success() && said(&out).contains("neighbour"), "{}", said(&out));
}

#[test]
fn the_message_is_the_same_over_the_wire() {
    let bed = Bed::with_neighbour();
    open_to_all(&bed.daemon);
    let status = as_user(STRANGER, || dial(&bed.daemon).expect("a connection").info());
    let status = status.expect_err("info");
    assert_eq!(
        status_message(&status),
        "uid 4242 may not use guestnetd; start it with --allow-uid 4242"
    );
}
