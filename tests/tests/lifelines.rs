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

//! What a guest lives by: when one ends, exactly its guest is gone, at once, and is told of once, with
//! the cause; what is no end ends nothing.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use android_system_guestnet::aidl::android::system::guestnet::{
    EndCause::EndCause,
    GuestConfig::GuestConfig,
    GuestEvent::GuestEvent,
    IGuestNet::{IGuestNet, ERROR_BAD_LEASE, ERROR_FIELD_NOT_UPDATABLE},
    Lifeline::Lifeline,
};
use guestnet_tests::bed::{deaf, eventually, held, Bed, Listener, Told};
use guestnet_tests::client::{by_netns, by_pid, by_pidfd, config};
use guestnet_tests::{Guest, InNetns, Internet, Probe, Snapshot};
use nix::sched::{unshare, CloneFlags};
use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;

/// A process in a namespace of its own that runs a script; it ends with this value, and so do its
/// descendants.
struct Script(Child);

impl Script {
    fn new(script: &str) -> Self {
        let mut command = Command::new("sh");
        // A process group of its own, to end all of it.
        command.args(["-c", script]).stdin(Stdio::null()).process_group(0);
        // SAFETY: between fork and exec the closure makes one system call and nothing else.
        unsafe { command.pre_exec(|| Ok(unshare(CloneFlags::CLONE_NEWNET)?)) };
        Self(command.spawn().expect("a process in a new network namespace"))
    }

    /// One with a child that keeps the namespace.
    fn with_heir() -> Self {
        let script = Self::new("sleep 300 & exec sleep 300");
        eventually("it has a child", || script.children().len() == 1);
        eventually("both run", || script.comm() == "sleep");
        script
    }

    fn pid(&self) -> i32 {
        i32::try_from(self.0.id()).expect("a pid")
    }

    fn children(&self) -> Vec<i32> {
        let path = format!("/proc/{0}/task/{0}/children", self.0.id());
        let text = fs::read_to_string(path).unwrap_or_default();
        text.split_whitespace().map(|pid| pid.parse().expect("a pid")).collect()
    }

    fn comm(&self) -> String {
        let path = format!("/proc/{}/comm", self.0.id());
        fs::read_to_string(path).unwrap_or_default().trim().to_owned()
    }

    /// Ends the process that was named, and nobody else.
    fn end_named(&mut self) {
        self.0.kill().expect("killed");
        self.0.wait().expect("ended");
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(-self.pid()), Signal::SIGKILL);
        let _ = self.0.wait();
    }
}

/// The next guest that is gone: who, and why.
#[track_caller]
fn next_lost(listener: &Listener) -> (String, EndCause) {
    loop {
        match listener.next() {
            Told::Guest(GuestEvent::LOST, guest) => return (guest.name, guest.endCause),
            Told::Guest(GuestEvent::DETACHED, guest) => panic!("{} was detached", guest.name),
            _ => {}
        }
    }
}

/// Nothing more is told of a guest that is gone.
#[track_caller]
fn nothing_more(listener: &Listener, bed: &Bed) {
    // What was told before this call's answer has been told.
    bed.service.list().expect("list");
    std::thread::sleep(Duration::from_millis(50));
    while let Some(told) = listener.try_next() {
        if let Told::Guest(event, guest) = told {
            panic!("{event:?} of {} is told, too", guest.name);
        }
    }
}

#[test]
fn the_named_process_takes_its_guest_along_whoever_keeps_the_namespace() {
    let bed = Bed::with_neighbour();
    let listener = Listener::on(&**bed.service);
    for by in [by_pid as fn(i32) -> _, |pid| {
        by_pidfd(guestnet_on_device::guest::pidfd_open(pid).expect("a pidfd"))
    }] {
        let mut guest = Script::with_heir();
        let link = bed.attach_as(&config("demo"), &by(guest.pid())).hostInterface;
        assert_eq!(listener.wait_guest().0, GuestEvent::ATTACHED);
        let heir = guest.children()[0];
        guest.end_named();
        assert_eq!(next_lost(&listener), ("demo".to_owned(), EndCause::PROCESS_EXITED));
        assert!(fs::metadata(format!("/proc/{heir}/ns/net")).is_ok(), "the namespace is there");
        assert!(bed.device.link(&link).is_none());
        assert_eq!(bed.names(), ["neighbour"]);
        nothing_more(&listener, &bed);
    }
    bed.assert_neighbour_talks("a process that ended");
}

#[test]
fn a_guest_that_lives_by_its_namespace_outlives_the_process() {
    let bed = Bed::with_neighbour();
    let listener = Listener::on(&**bed.service);
    let mut guest = Script::with_heir();
    let lives = GuestConfig { lifeline: Lifeline::NAMESPACE, ..config("demo") };
    let attached = bed.attach_as(&lives, &by_pid(guest.pid()));
    assert_eq!(attached.lifeline, Lifeline::NAMESPACE);
    assert_eq!(listener.wait_guest().0, GuestEvent::ATTACHED);
    let heir = guest.children()[0];
    guest.end_named();
    nothing_more(&listener, &bed);
    assert_eq!(bed.names(), ["demo", "neighbour"]);
    // Which it lives by cannot change.
    let by_target = GuestConfig { lifeline: Lifeline::TARGET, ..config("demo") };
    let refused = bed.service.update("demo", &by_target).expect_err("update");
    assert_eq!(refused.service_specific_error(), ERROR_FIELD_NOT_UPDATABLE, "{refused}");
    kill(Pid::from_raw(heir), Signal::SIGKILL).expect("killed");
    assert_eq!(next_lost(&listener), ("demo".to_owned(), EndCause::NAMESPACE_GONE));
    // So does one that was named by its namespace.
    let by_its_namespace = Guest::new();
    bed.attach_as(&config("demo"), &by_netns(by_its_namespace.open_netns()));
    drop(by_its_namespace);
    assert_eq!(next_lost(&listener), ("demo".to_owned(), EndCause::NAMESPACE_GONE));
    nothing_more(&listener, &bed);
}

#[test]
fn each_other_end_has_its_cause() {
    let bed = Bed::with_neighbour();
    let listener = Listener::on(&**bed.service);
    let guest = Guest::new();
    let link = bed.attach("demo", &guest).hostInterface;
    bed.device.run(&format!("ip link del {link}"));
    assert_eq!(next_lost(&listener), ("demo".to_owned(), EndCause::LINK_DELETED));
    bed.attach("demo", &guest);
    bed.detach("demo");
    loop {
        if let Told::Guest(GuestEvent::DETACHED, guest) = listener.next() {
            assert_eq!((guest.name.as_str(), guest.endCause), ("demo", EndCause::DETACHED));
            break;
        }
    }
    // A process that is all there is in its namespace.
    bed.attach("demo", &guest);
    drop(guest);
    assert_eq!(next_lost(&listener), ("demo".to_owned(), EndCause::PROCESS_EXITED));
    nothing_more(&listener, &bed);
}

#[test]
fn a_guest_that_execs_forks_or_gets_another_parent_keeps_its_network() {
    let bed = Bed::with_neighbour();
    let listener = Listener::on(&**bed.service);
    // Its parent ends: it is init's then. It executes another program, twice; its children end.
    let dir = std::env::temp_dir().join(format!("gnt-lifeline-{}", std::process::id()));
    let script = format!(
        "(echo $$ >/dev/null; sh -c 'echo $$ >{0}; sleep 0.4; exec sh -c \"true; sleep 0.2 & \
         exec sleep 300\"' &) ; sleep 0.2",
        dir.display()
    );
    let parent = Script::new(&script);
    let pid = || fs::read_to_string(&dir).ok()?.trim().parse::<i32>().ok();
    eventually("it says its pid", || pid().is_some());
    let pid = pid().expect("a pid");
    fs::remove_file(&dir).expect("removed");
    bed.attach_as(&config("demo"), &by_pid(pid));
    assert_eq!(listener.wait_guest().0, GuestEvent::ATTACHED);
    let comm = || fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    eventually("it is another program", || comm() == "sleep\n");
    std::thread::sleep(Duration::from_millis(300));
    nothing_more(&listener, &bed);
    assert_eq!(bed.names(), ["demo", "neighbour"]);
    kill(Pid::from_raw(pid), Signal::SIGKILL).expect("killed");
    assert_eq!(next_lost(&listener), ("demo".to_owned(), EndCause::PROCESS_EXITED));
    drop(parent);
}

#[test]
fn an_owner_that_dies_takes_its_guest_along_and_no_other() {
    let bed = Bed::with_neighbour();
    let listener = Listener::on(&**bed.service);
    let (guest, others) = (Guest::new(), Guest::new());
    let (client, other) = (bed.daemon.connect(), bed.daemon.connect());
    let owner = deaf();
    let owned = client.attach(&config("demo"), &by_pid(guest.pid()), Some(&owner.as_binder()));
    owned.expect("attach");
    let kept = deaf();
    other.attach(&config("other"), &by_pid(others.pid()), Some(&kept.as_binder())).expect("attach");
    assert!(guest.ping(Internet::ADDRESS));
    drop(client);
    assert_eq!(next_lost(&listener), ("demo".to_owned(), EndCause::OWNER_DIED));
    assert_eq!(bed.names(), ["neighbour", "other"]);
    assert!(others.ping(Internet::ADDRESS));
    // One that was detached leaves nothing that its owner's death would end.
    bed.detach("other");
    bed.attach("other", &others);
    drop(other);
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(bed.names(), ["neighbour", "other"]);
    bed.assert_neighbour_talks("an owner that died");
}

/// At any moment of their attach.
#[test]
fn killed_clients_leave_no_guest() {
    const CLIENTS: u32 = 260;
    let bed = Bed::new("auto");
    let before = Snapshot::of(&bed.device);
    let guests: Vec<Guest> = (0..8).map(|_| Guest::new()).collect();
    let mut attached = 0;
    let whole = Duration::from_millis(60);
    for round in 0..CLIENTS / 8 {
        let clients: Vec<_> = guests
            .iter()
            .enumerate()
            .map(|(i, guest)| {
                let (name, pid) = (format!("g{round}-{i}"), guest.pid().to_string());
                let words = ["attach", "--name", &name, "--pid", &pid, "--hold"];
                let mut command = bed.daemon.ctl(&words);
                command.stdout(Stdio::null()).stderr(Stdio::null());
                command.spawn().expect("guestnetctl")
            })
            .collect();
        std::thread::sleep(whole * round / (CLIENTS / 8) * 3);
        attached += bed.names().len();
        for mut client in clients {
            client.kill().expect("killed");
            client.wait().expect("ended");
        }
        eventually("no guest is left", || bed.names().is_empty());
    }
    assert!(attached > 50, "{attached} of {CLIENTS} were attached: all were killed too early");
    eventually("nothing is left", || Snapshot::of(&bed.device) == before);
}

#[test]
fn a_lease_ends_unless_it_is_renewed() {
    let bed = Bed::with_neighbour();
    let listener = Listener::on(&**bed.service);
    let guest = Guest::new();
    let lease = |millis| GuestConfig { leaseMillis: millis, ..config("demo") };
    for bad in [-1, 1, 999, 31_536_000_001, i64::MAX, i64::MIN] {
        let refused = bed.service.attach(&lease(bad), &by_pid(guest.pid()), None);
        let refused = refused.expect_err("a bad lease");
        assert_eq!(refused.service_specific_error(), ERROR_BAD_LEASE, "{bad}: {refused}");
    }
    let began = Instant::now();
    assert_eq!(bed.attach_as(&lease(1000), &by_pid(guest.pid())).leaseMillis, 1000);
    for _ in 0..4 {
        std::thread::sleep(Duration::from_millis(400));
        bed.service.update("demo", &lease(1000)).expect("renewed");
    }
    let renewed = Instant::now();
    assert_eq!(next_lost(&listener), ("demo".to_owned(), EndCause::LEASE_ENDED));
    assert!(began.elapsed() > Duration::from_millis(2500), "{:?}", began.elapsed());
    let late = renewed.elapsed();
    assert!((900..2000).contains(&late.as_millis()), "after {late:?}");
    // It may be given up, and begun.
    bed.attach_as(&lease(1000), &by_pid(guest.pid()));
    assert_eq!(bed.service.update("demo", &config("demo")).expect("update").leaseMillis, 0);
    std::thread::sleep(Duration::from_millis(1300));
    assert_eq!(bed.names(), ["demo", "neighbour"]);
    let other = GuestConfig { mtu: 1400, ..lease(1000) };
    bed.service.update("demo", &other).expect("update");
    assert_eq!(next_lost(&listener), ("demo".to_owned(), EndCause::LEASE_ENDED));
    nothing_more(&listener, &bed);
    bed.assert_neighbour_talks("a lease that ended");
}

#[test]
fn after_a_restart_all_of_them_are_back() {
    let mut bed = Bed::new("auto");
    let (mut dies_meanwhile, mut dies_later) = (Script::with_heir(), Script::with_heir());
    let (leased, owned, owned_too) = (Guest::new(), Guest::new(), Guest::new());
    bed.attach_as(&config("meanwhile"), &by_pid(dies_meanwhile.pid()));
    bed.attach_as(&config("later"), &by_pid(dies_later.pid()));
    let lease = GuestConfig { leaseMillis: 3000, ..config("leased") };
    bed.attach_as(&lease, &by_pid(leased.pid()));
    let hold = |name: &str, guest: &Guest| {
        let pid = guest.pid().to_string();
        let mut command = bed.daemon.ctl(&["attach", "--name", name, "--pid", &pid, "--hold"]);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("guestnetctl")
    };
    let (mut first, second) = (hold("owned", &owned), hold("kept", &owned_too));
    let all = ["kept", "later", "leased", "meanwhile", "owned"];
    eventually("all are attached", || bed.names() == all);
    // Of the owners one dies with the connection, which is its own end; the other waits.
    kill(Pid::from_raw(second.id() as i32), Signal::SIGSTOP).expect("stopped");
    bed.daemon.kill();
    dies_meanwhile.end_named();
    first.wait().expect("it ends without guestnetd");
    bed.start();
    eventually("those are gone", || bed.names() == ["kept", "later", "leased"]);
    let listener = Listener::on(&**bed.service);
    dies_later.end_named();
    // Of those that ended meanwhile the link may still have been there.
    let mut lost = next_lost(&listener);
    while ["meanwhile", "owned"].contains(&lost.0.as_str()) {
        lost = next_lost(&listener);
    }
    assert_eq!(lost, ("later".to_owned(), EndCause::PROCESS_EXITED));
    let mut second = second;
    second.kill().expect("killed");
    second.wait().expect("ended");
    assert_eq!(next_lost(&listener), ("kept".to_owned(), EndCause::OWNER_DIED));
    assert_eq!(next_lost(&listener), ("leased".to_owned(), EndCause::LEASE_ENDED));
    assert_eq!(bed.names(), [""; 0]);
    nothing_more(&listener, &bed);
}

/// One thread, one descriptor for each, and nothing of their namespaces.
#[test]
fn what_is_watched_costs_no_thread_and_holds_nothing() {
    let bed = Bed::with_neighbour();
    let pid = bed.daemon.pid();
    let threads = || fs::read_dir(format!("/proc/{pid}/task")).expect("its threads").count();
    let guests: Vec<Guest> = (0..40).map(|_| Guest::new()).collect();
    let before = threads();
    for (i, guest) in guests.iter().enumerate() {
        bed.attach(&format!("g{i}"), guest);
        assert_eq!(held(pid, guest), [""; 0]);
    }
    eventually("no more threads than before", || threads() <= before);
    drop(guests);
    eventually("all are gone", || bed.names() == ["neighbour"]);
    let pidfds = || {
        let fds = fs::read_dir(format!("/proc/{pid}/fd")).expect("its descriptors");
        let links = fds.flatten().filter_map(|fd| fs::read_link(fd.path()).ok());
        links.filter(|link| link.to_string_lossy().contains("pidfd")).count()
    };
    eventually("the neighbour's pidfd is left", || pidfds() == 1);
}

/// From the end of the process to the end of the link, beside what the kernel takes to clean a
/// namespace up by itself.
#[test]
fn an_end_takes_no_longer_than_the_kernels_own_cleanup() {
    let bed = Bed::new("auto");
    let time = |named: bool, round: usize| {
        let mut guest = Guest::new();
        let target = if named { by_pid(guest.pid()) } else { by_netns(guest.open_netns()) };
        let link = bed.attach_as(&config(&format!("g{round}")), &target).hostInterface;
        // It holds the namespace.
        drop(target);
        bed.device.enter(|| {
            let there = || nix::net::if_::if_nametoindex(link.as_str()).is_ok();
            assert!(there());
            let began = Instant::now();
            guest.kill();
            while there() {
                std::thread::sleep(Duration::from_micros(200));
                assert!(began.elapsed() < Duration::from_secs(10), "it stays");
            }
            began.elapsed()
        })
    };
    let usual = |named| {
        let mut times: Vec<_> = (0..15).map(|round| time(named, round)).collect();
        times.sort();
        times[times.len() / 2]
    };
    let (ours, kernels) = (usual(true), usual(false));
    println!("exit to link gone: {ours:?} by the process, {kernels:?} by the namespace");
    assert!(ours < kernels.max(Duration::from_millis(30)), "{ours:?}, the kernel's {kernels:?}");
}
