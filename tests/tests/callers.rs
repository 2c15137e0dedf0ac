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
//! through; and who may do what.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

use android_system_guestnet::aidl::android::system::guestnet::DiagnoseOptions::DiagnoseOptions;
use android_system_guestnet::aidl::android::system::guestnet::{
    DeviceState::DeviceState,
    GuestConfig::GuestConfig,
    GuestEvent::GuestEvent,
    GuestKind::GuestKind,
    IGuestNet::{
        IGuestNet, ERROR_GUEST_INTERFACE_EXISTS, ERROR_NO_FREE_SLOT, ERROR_NO_SUCH_GUEST,
        ERROR_SEGMENT_CLASH, ERROR_SUBNET_OVERLAP,
    },
    UplinkInfo::UplinkInfo,
};
use binder::{ExceptionCode, Status};
use guestnet_platform::{connect, status_message, Connection, Endpoint, PlatformError};
use guestnet_tests::bed::{assert_words, deaf, eventually, Bed, Listener, FIRST};
use guestnet_tests::client::{by_netns, by_pid, config, NAME};
use guestnet_tests::program;
use guestnet_tests::user::{as_user, STRANGER};
use guestnet_tests::{said, Daemon, Device, Guest, InNetns, Internet, Probe};

/// AID_SYSTEM on Android; here the first user that was ever added.
const FIRST_USER: u32 = 1000;

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

/// No connection, whatever would be asked by it, and the reason.
#[track_caller]
fn is_not_let_in(daemon: &Daemon, uid: u32) {
    let error = as_user(uid, || dial(daemon).map(drop)).expect_err("no connection");
    let words = format!("uid {uid} may not use guestnetd; start it with --allow-uid {uid}");
    assert!(matches!(error, PlatformError::NotAllowed { .. }), "{error:?}");
    assert_eq!(error.to_string(), words);
}

#[track_caller]
fn is_security(what: &str, words: &[&str], status: Option<Status>) {
    let status = status.unwrap_or_else(|| panic!("{what} was not refused"));
    assert_eq!(status.exception_code(), ExceptionCode::SECURITY, "{what}: {status}");
    assert_words(what, &status, words);
}

#[track_caller]
fn is_unknown(what: &str, status: Option<Status>) {
    let status = status.unwrap_or_else(|| panic!("{what} was not refused"));
    assert_eq!(status.service_specific_error(), ERROR_NO_SUCH_GUEST, "{what}: {status}");
    assert_words(what, &status, &["no guest named neighbour is attached"]);
}

/// A guest whose process runs as another user, in a namespace that root made.
fn guest_of(uid: u32) -> Child {
    let uid = uid.to_string();
    let words =
        ["-n", "setpriv", "--reuid", &uid, "--regid", &uid, "--clear-groups", "sleep", "60"];
    let child = Command::new("unshare").args(words).spawn().expect("unshare");
    let path = format!("/proc/{}/comm", child.id());
    eventually("the guest runs", || fs::read_to_string(&path).is_ok_and(|name| name == "sleep\n"));
    child
}

/// A process whose user namespace, and network namespace, another user made.
fn rootless_guest(uid: u32) -> Child {
    let uid = uid.to_string();
    let mut command = Command::new("setpriv");
    command.args(["--reuid", &uid, "--regid", &uid, "--clear-groups"]);
    let child = command.args(["unshare", "-rn", "sleep", "60"]).spawn().expect("setpriv");
    let path = format!("/proc/{}/comm", child.id());
    eventually("the guest runs", || fs::read_to_string(&path).is_ok_and(|name| name == "sleep\n"));
    child
}

fn end(mut guest: Child) {
    guest.kill().expect("killed");
    guest.wait().expect("ended");
}

#[test]
fn a_refusal_names_no_guest_of_others() {
    let args = format!("--allow-uid {STRANGER}:own");
    let bed = Bed::on(Device::new()).args(&args).build();
    open_to_all(&bed.daemon);
    let (guest, rootless) = (guest_of(STRANGER), rootless_guest(STRANGER));
    let pid = |child: &Child| by_pid(i32::try_from(child.id()).expect("a pid"));
    let attach = |name, target| {
        let attached = as_user(STRANGER, || {
            let service = dial(&bed.daemon).expect("a connection");
            service.attach(&config(name), &target, None).map(drop)
        });
        let status = attached.expect_err("attached");
        (status.service_specific_error(), status_message(&status))
    };
    let within =
        GuestConfig { gateway: "172.17.200.1".to_owned(), prefixLength: 24, ..config("roots") };
    bed.service.attach(&within, &by_pid(bed.guest.pid()), None).expect("root's attach");
    let (code, text) = attach("b", pid(&guest));
    assert_eq!(code, ERROR_SUBNET_OVERLAP, "{text}");
    assert!(text.contains("172.17.200.0/24 (gateway 172.17.200.1); choose"), "{text}");
    bed.service.detach("roots").expect("root's detach");

    bed.service.attach(&config("roots"), &pid(&rootless), None).expect("root's attach");
    let (code, text) = attach("b", pid(&rootless));
    assert_eq!(code, ERROR_GUEST_INTERFACE_EXISTS, "{text}");
    assert!(!text.contains("roots"), "{text}");
    end(guest);
    end(rootless);
}

#[test]
fn users_among_themselves_leave_listeners_to_root() {
    let users = || STRANGER..STRANGER + 4;
    let args: Vec<_> = users().map(|uid| format!("--allow-uid {uid}:own")).collect();
    let bed = Bed::on(Device::new()).args(&args.join(" ")).build();
    open_to_all(&bed.daemon);
    let fill = |service: &dyn IGuestNet| -> Vec<_> {
        let one = || Some(deaf()).filter(|one| service.registerListener(one).is_ok());
        std::iter::from_fn(one).take(40).collect()
    };
    let held = users().map(|uid| {
        as_user(uid, || {
            let service = dial(&bed.daemon).expect("a connection");
            let listeners = fill(&**service);
            (listeners.len(), (service, listeners))
        })
    });
    let (numbers, _held): (Vec<_>, Vec<_>) = held.unzip();
    assert_eq!(numbers, [8, 8, 8, 0]);
    assert_eq!(fill(&**bed.service).len(), 8);
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
fn strangers_are_not_let_in() {
    let bed = Bed::with_neighbour();
    open_to_all(&bed.daemon);
    let before = bed.before();
    for uid in [STRANGER, FIRST_USER, u32::MAX - 1] {
        is_not_let_in(&bed.daemon, uid);
    }
    assert!(bed.daemon.log().contains("uid 4242 may not use guestnetd"), "and it is logged");
    bed.assert_unchanged(&before, "strangers at the door");
}

/// However many they are, and whatever they send: they hold nothing.
#[test]
fn strangers_keep_nobody_out_and_take_no_memory() {
    let bed = Bed::with_neighbour();
    open_to_all(&bed.daemon);
    let memory = || {
        let path = format!("/proc/{}/status", bed.daemon.pid());
        let status = fs::read_to_string(path).expect("its status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number")
    };
    let (before, socket) = (memory(), bed.daemon.socket());
    let hold = || {
        let mut held = Vec::new();
        for _ in 0..80 {
            let mut stream = UnixStream::connect(&socket).expect("the kernel takes it");
            stream.set_nonblocking(true).expect("nonblocking");
            // A message of 64 MiB, as much of it as is taken.
            let head = [&[2, 0, 0, 0, 0, 1][..], &[0; 10], b"cci\0\0\0\0\0"].concat();
            let frame = [&head[..], &[0; 4], &(64u32 << 20).to_le_bytes(), &[0; 8]].concat();
            let _ = stream.write_all(&frame);
            for _ in 0..64 {
                let _ = stream.write_all(&[0; 1 << 20]);
            }
            held.push(stream);
        }
        held
    };
    let held = [STRANGER, STRANGER + 1].map(|uid| as_user(uid, hold));
    let began = Instant::now();
    bed.service.attach(&config("b"), &bed.target(), None).expect("attach");
    let service = dial(&bed.daemon).expect("another connection of root's");
    service.detach("b").expect("detach");
    assert!(began.elapsed() < Duration::from_secs(2), "after {:?}", began.elapsed());
    assert!(memory() < before + 8 * 1024, "{before} kB before, {} kB now", memory());
    drop(held);
}

#[test]
fn a_user_of_its_own_sees_and_changes_its_own_guests_only() {
    let device = Device::new();
    let args = format!("--allow-uid {STRANGER}:own");
    let bed = Bed::on(device).args(&args).neighbour(config("neighbour")).build();
    open_to_all(&bed.daemon);
    let (guest, rootless) = (guest_of(STRANGER), rootless_guest(STRANGER));
    let pid = |child: &Child| i32::try_from(child.id()).expect("a pid");
    let netns = |pid| File::open(format!("/proc/{pid}/ns/net")).expect("its namespace").into();
    let (roots_pid, roots_netns) = (bed.guest.pid(), bed.guest.open_netns());
    let (shared, own_netns) = (netns(pid(&guest)), netns(pid(&rootless)));
    let (heard, other) = (Listener::on(&**bed.service), Guest::new());
    as_user(STRANGER, || {
        let service = dial(&bed.daemon).expect("a connection");
        let told = Listener::on(&**service);
        let attach = |name, target| service.attach(&config(name), &target, None);

        // Others' processes and namespaces, and what is about all guests.
        let words = ["uid 4242 may only name a process that runs as it", "--allow-uid 4242"];
        let refused = |what, status| is_security(what, &words, status);
        refused("root's process", attach("b", by_pid(roots_pid)).err());
        refused("root's namespace", attach("b", by_netns(roots_netns)).err());
        // Root made it, though a process of the user's is in it.
        refused("a namespace of root's", attach("b", by_netns(shared)).err());
        refused("plan", service.plan(&config("b"), &by_pid(roots_pid)).err());
        refused("check", service.check(&config("b"), &by_pid(roots_pid)).err());
        // Whose address it has would be asked by the device's own programs.
        let server = GuestConfig {
            addresses: vec!["203.0.113.80".to_owned()],
            gateway: "203.0.113.1".to_owned(),
            prefixLength: 24,
            ..config("b")
        };
        let words = ["uid 4242 may only use addresses of 172.17.0.0/16"];
        let own = || by_pid(pid(&guest));
        is_security("attach", &words, service.attach(&server, &own(), None).err());
        is_security("plan", &words, service.plan(&server, &own()).err());
        let gateway = GuestConfig { gateway: "172.17.9.9".to_owned(), ..config("b") };
        is_security("its gateway", &words, service.attach(&gateway, &own(), None).err());
        let words = ["uid 4242 may only use guests of its own"];
        let refused = |what, status| is_security(what, &words, status);
        refused("setUplinkInfo()", service.setUplinkInfo("wlan0", &UplinkInfo::default()).err());
        refused("setDeviceState()", service.setDeviceState(&DeviceState::default()).err());
        refused("setDns()", service.setDns("wlan0", &["192.0.2.53".to_owned()]).err());
        refused("reload()", service.reload().err());
        // It sends from the device, to where it is told.
        let nowhere = DiagnoseOptions::default();
        refused("diagnose()", service.diagnose(Some("neighbour"), &nowhere).err());
        let file = tempfile::tempfile().expect("a file");
        let fd = binder::ParcelFileDescriptor::new(file.try_clone().expect("dup"));
        refused("dumpTo()", service.dumpTo(&fd, &[]).err());
        assert_eq!(file.metadata().expect("its size").len(), 0, "dumpTo() wrote");

        // Others' guests are as if they were not there.
        assert!(service.list().expect("list").is_empty());
        assert!(service.get("neighbour").expect("get").is_none());
        assert!(service.status(None).expect("status").guests.is_empty());
        assert_eq!(service.info().expect("info").guests, 0);
        assert_eq!(service.detachAll().expect("detachAll"), 0);
        is_unknown("detach()", service.detach("neighbour").err());
        is_unknown("update()", service.update("neighbour", &config("neighbour")).err());
        is_unknown("repair()", service.repair("neighbour").err());
        is_unknown("status()", service.status(Some("neighbour")).err());
        let taken = GuestConfig { addresses: vec![FIRST.to_owned()], ..config("b") };
        let status = service.attach(&taken, &by_pid(pid(&guest)), None).expect_err("taken");
        assert_eq!(status_message(&status), "172.17.3.3 is the address of another guest");

        // Its own, by each way to name one.
        attach("b", by_pid(pid(&guest))).expect("a process of its own");
        attach("c", by_pid(pid(&rootless))).expect("a process of its own user namespace");
        assert_eq!(service.list().expect("list").len(), 2);
        assert_eq!(service.status(None).expect("status").guests.len(), 2);
        assert_eq!(service.info().expect("info").guests, 2);
        assert_eq!(service.detachAll().expect("detachAll"), 2);
        attach("c", by_netns(own_netns)).expect("a namespace of its own");
        service.update("c", &GuestConfig { mtu: 1400, ..config("c") }).expect("update");
        service.repair("c").expect("repair");
        service.detach("c").expect("detach");
        // The log says who.
        let us = format!("uid {STRANGER}, pid {}", std::process::id());
        for line in [
            format!("c: attached by {us}: vm_wlan"),
            format!("c: updated by {us}: 172.17.3."),
            format!("c: repaired by {us}\n"),
            format!("c: detached by {us}: link vm_wlan"),
            format!("detach(neighbour), asked for by {us}, did nothing: no guest named neighbour"),
        ] {
            assert!(bed.daemon.log().contains(&line), "{line}: {}", bed.daemon.log());
        }
        bed.service.attach(&config("d"), &by_pid(other.pid()), None).expect("root's attach");
        bed.service.detach("d").expect("root's detach");
        let of = |name: &str, what: &[GuestEvent]| -> Vec<_> {
            what.iter().map(|event| (*event, name.to_owned())).collect()
        };
        let (on, off) = (GuestEvent::ATTACHED, GuestEvent::DETACHED);
        let told: Vec<_> = (0..7).map(|_| told.wait_guest()).map(|e| (e.0, e.1)).collect();
        assert_eq!(told[4..], of("c", &[on, GuestEvent::STATE, off]), "{told:?}");
        assert!(told.iter().all(|(_, name)| name == "b" || name == "c"), "{told:?}");
    });
    assert_eq!(heard.wait_guest().1, "b", "root is told of all");
    end(guest);
    end(rootless);
    bed.assert_neighbour_talks("a user's own guests");
    is_not_let_in(&bed.daemon, STRANGER + 1);
}

#[test]
fn a_user_of_its_own_is_on_segments_of_its_own() {
    let bed = Bed::on(Device::new()).args(&format!("--allow-uid {STRANGER}:own")).build();
    open_to_all(&bed.daemon);
    let on = |segment: &str, name| {
        let segment = Some(segment.to_owned());
        GuestConfig { kind: GuestKind::BRIDGED, segment, ..config(name) }
    };
    bed.attach_as(&on("roots", "a"), &bed.target());
    let mut guest = guest_of(STRANGER);
    as_user(STRANGER, || {
        let service = dial(&bed.daemon).expect("a connection");
        let own = || by_pid(i32::try_from(guest.id()).expect("a pid"));
        let others = on("roots", "b");
        for refused in [
            service.attach(&others, &own(), None).err(),
            service.plan(&others, &own()).err(),
            service.check(&others, &own()).err(),
        ] {
            let status = refused.expect("it is refused");
            assert_eq!(status.service_specific_error(), ERROR_SEGMENT_CLASH, "{status}");
            assert_words("root's segment", &status, &["segment roots is another user's"]);
        }
        service.attach(&on("its", "b"), &own(), None).expect("a segment of its own");
    });
    guest.kill().expect("kill");
    guest.wait().expect("wait");
}

#[test]
fn a_user_of_its_own_has_128_guests_at_most() {
    let bed = Bed::on(Device::new()).args(&format!("--allow-uid {STRANGER}:own")).build();
    open_to_all(&bed.daemon);
    let guests: Vec<_> = (0..129).map(|_| rootless_guest(STRANGER)).collect();
    let target = |at: usize| by_pid(i32::try_from(guests[at].id()).expect("a pid"));
    as_user(STRANGER, || {
        let service = dial(&bed.daemon).expect("a connection");
        let attach = |at| service.attach(&config(&format!("g{at}")), &target(at), None);
        for at in 0..128 {
            attach(at).expect("one of its 128");
        }
        let one_more = [
            attach(128).err(),
            service.plan(&config("g128"), &target(128)).err(),
            service.check(&config("g128"), &target(128)).err(),
        ];
        for refused in one_more {
            let refused = refused.expect("one more is too many");
            assert_eq!(refused.service_specific_error(), ERROR_NO_FREE_SLOT, "{refused}");
            let words = "uid 4242 has 128 guests, as many as it may have; detach one first";
            assert_eq!(status_message(&refused), words);
        }
        service.detach("g7").expect("detach");
        attach(128).expect("there is room again");
    });
    bed.attach("roots", &bed.guest);
    guests.into_iter().for_each(end);
}

#[test]
fn a_user_of_its_own_cannot_keep_others_from_listening() {
    let device = Device::new();
    let bed = Bed::on(device).args(&format!("--allow-uid {STRANGER}:own")).build();
    open_to_all(&bed.daemon);
    as_user(STRANGER, || {
        let service = dial(&bed.daemon).expect("a connection");
        let all = [(); 8].map(|()| deaf());
        for listener in &all {
            service.registerListener(listener).expect("one of eight");
        }
        let status = service.registerListener(&deaf()).expect_err("one too many");
        assert_words("registerListener()", &status, &["8 listeners", "unregister"]);
        bed.service.registerListener(&deaf()).expect("root's");
    });
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
    is_not_let_in(&bed.daemon, FIRST_USER);
    is_not_let_in(&bed.daemon, STRANGER + 1);
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
