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

//! Targets that are no guest: no process, no namespace, or the device's own.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use android_system_guestnet::aidl::android::system::guestnet::GuestTarget::GuestTarget;
use android_system_guestnet::aidl::android::system::guestnet::IGuestNet as codes;
use android_system_guestnet::aidl::android::system::guestnet::TargetKind::TargetKind;
use guestnet_tests::bed::Bed;
use guestnet_tests::client::{by_netns, by_pid, by_pidfd, config};
use guestnet_tests::guest::pidfd_open;
use guestnet_tests::{Guest, InNetns};

/// Runs all rows; guestnetd keeps none of the descriptors that it was passed.
fn refuses(rows: &[(&str, GuestTarget, i32, &[&str])], bed: &Bed) {
    let (before, fds) = (bed.before(), bed.settled_fds());
    for (what, target, code, words) in rows {
        bed.all_refuse(&before, what, &config("bad"), target, (*code, words));
    }
    bed.assert_fds_settle(fds);
}

fn open(path: &str) -> OwnedFd {
    File::open(path).unwrap_or_else(|e| panic!("{path}: {e}")).into()
}

#[test]
fn a_pid_that_is_no_process() {
    let bed = Bed::with_neighbour();
    let mut gone = Guest::new();
    gone.kill();
    let mut zombie = Command::new("true").spawn().expect("a process");
    let zombie_fd = pidfd_open(zombie.id() as i32).expect("pidfd_open");
    ended(&zombie_fd);
    let bad: (i32, &[&str]) = (codes::ERROR_BAD_PID, &["pid of 1 or more", "pidfd", "netns"]);
    let none = codes::ERROR_NO_SUCH_PROCESS;
    let row = |what, pid, (code, words)| (what, by_pid(pid), code, words);
    refuses(
        &[
            row("pid 0", 0, bad),
            row("pid -1", -1, bad),
            row("the least pid", i32::MIN, bad),
            row("a pid that is too high", i32::MAX, (none, &["no process 2147483647"])),
            row("a pid that was", gone.pid(), (none, &["no process "])),
            row("the pid of a zombie", zombie.id() as i32, (none, &["no process "])),
        ],
        &bed,
    );
    zombie.wait().expect("wait");
}

/// Kernels differ in the errno of pidfd_open(2) for it.
#[test]
fn the_id_of_a_thread_is_no_process() {
    // SAFETY: gettid(2) takes nothing and cannot fail.
    let thread = unsafe { libc::gettid() };
    assert_ne!(thread, std::process::id() as i32, "tests run on threads of their own");
    let words: &[&str] = &["no process"];
    let row = ("the id of a thread", by_pid(thread), codes::ERROR_NO_SUCH_PROCESS, words);
    refuses(&[row], &Bed::with_neighbour());
}

#[test]
fn a_pidfd_whose_process_has_ended() {
    let bed = Bed::with_neighbour();
    let mut zombie = Command::new("true").spawn().expect("a process");
    let zombie_fd = pidfd_open(zombie.id() as i32).expect("pidfd_open");
    ended(&zombie_fd);
    let mut guest = Guest::new();
    let gone = guest.pidfd();
    guest.kill();
    let none = codes::ERROR_NO_SUCH_PROCESS;
    refuses(
        &[
            ("a pidfd of a zombie", by_pidfd(zombie_fd), none, &["no process"]),
            // Its number is not known any more: the message may not make one up.
            ("a pidfd of a process that is gone", by_pidfd(gone), none, &["pidfd", "ended"]),
        ],
        &bed,
    );
    zombie.wait().expect("wait");
}

#[test]
fn a_kernel_thread() {
    let is_one = |pid: &i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let flags = stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(6)?.parse().ok());
        flags.is_some_and(|flags: u32| flags & 0x0020_0000 != 0) // PF_KTHREAD
    };
    let Some(pid) = (2..200).find(is_one) else {
        return eprintln!("NOT TESTED: no kernel thread is visible in this pid namespace");
    };
    let bed = Bed::with_neighbour();
    let pidfd = pidfd_open(pid).expect("pidfd_open");
    let (code, words): (i32, &[&str]) =
        (codes::ERROR_KERNEL_THREAD, &["kernel thread", "guest's init"]);
    refuses(
        &[
            ("a kernel thread's pid", by_pid(pid), code, words),
            ("a kernel thread's pidfd", by_pidfd(pidfd), code, words),
        ],
        &bed,
    );
}

#[test]
fn the_device_however_it_is_named() {
    let bed = Bed::with_neighbour();
    let beside = bed.device.command("cat").stdin(Stdio::piped()).spawn();
    let mut beside = beside.expect("a process in the device");
    let (daemon, other) = (bed.daemon.pid(), beside.id() as i32);
    let pidfd = |pid| by_pidfd(pidfd_open(pid).expect("pidfd_open"));
    let (code, words): (i32, &[&str]) =
        (codes::ERROR_OWN_NETNS, &["guestnetd's own", "not a guest"]);
    refuses(
        &[
            ("guestnetd's pid", by_pid(daemon), code, words),
            ("guestnetd's pidfd", pidfd(daemon), code, words),
            ("the pid of its neighbour", by_pid(other), code, words),
            ("the pidfd of its neighbour", pidfd(other), code, words),
            ("its namespace", by_netns(bed.device.open_netns()), code, words),
            (
                "its /proc/PID/ns/net",
                by_netns(open(&format!("/proc/{daemon}/ns/net"))),
                code,
                words,
            ),
        ],
        &bed,
    );
    drop(beside.stdin.take());
    beside.wait().expect("wait");
}

/// The answer to all that is in the machine's initial namespace.
const INITIAL: (i32, &[&str]) = (codes::ERROR_INITIAL_NETNS, &["machine's init", "not a guest"]);

#[test]
fn the_machines_init() {
    let bed = Bed::with_neighbour();
    let (code, words) = INITIAL;
    let pidfd = by_pidfd(pidfd_open(1).expect("pidfd_open"));
    refuses(&[("pid 1", by_pid(1), code, words), ("a pidfd of 1", pidfd, code, words)], &bed);
}

#[test]
fn the_machines_initial_namespace_however_it_is_named() {
    // It is the kernel's threads' too. Even root may be kept from looking at pid 1, and then this
    // is what else there is to see that we are in it.
    let link = |path| std::fs::read_link(path).ok();
    let initial = link("/proc/1/ns/net").or_else(|| link("/proc/2/ns/net"));
    assert!(initial.is_some(), "nothing shows which namespace is the initial one");
    let (code, words) = INITIAL;
    let mut rows = Vec::new();
    if let Ok(file) = File::open("/proc/1/ns/net") {
        rows.push(("/proc/1/ns/net", by_netns(file.into()), code, words));
    }
    if initial == link("/proc/self/ns/net") {
        let (pid, netns) = (std::process::id() as i32, open("/proc/self/ns/net"));
        rows.push(("our pid", by_pid(pid), code, words));
        rows.push(("our pidfd", by_pidfd(pidfd_open(pid).expect("pidfd_open")), code, words));
        rows.push(("our netns", by_netns(netns), code, words));
    }
    assert!(!rows.is_empty(), "its descriptor cannot be had");
    refuses(&rows, &Bed::with_neighbour());
}

#[test]
fn a_descriptor_of_something_else() {
    let bed = Bed::with_neighbour();
    let (socket, _other_end) = UnixStream::pair().expect("a socket pair");
    let file = tempfile::tempfile().expect("a file");
    let missing = |kind| GuestTarget { kind, fd: None, pid: bed.guest.pid() };
    let (netns, pidfd) = (codes::ERROR_NOT_A_NETNS, codes::ERROR_NOT_A_PIDFD);
    let wrong: &[&str] = &["not a network namespace", "open /proc/PID/ns/net"];
    let not_a_pidfd: &[&str] = &["not a pidfd"];
    refuses(
        &[
            ("a regular file", by_netns(file.try_clone().expect("dup").into()), netns, wrong),
            ("a mount namespace", by_netns(open("/proc/self/ns/mnt")), netns, wrong),
            ("a user namespace", by_netns(open("/proc/self/ns/user")), netns, wrong),
            ("/dev/null", by_netns(open("/dev/null")), netns, wrong),
            ("a directory", by_netns(open("/proc/self/ns")), netns, wrong),
            ("a socket", by_netns(socket.into()), netns, wrong),
            ("a pidfd as a netns", by_netns(bed.guest.pidfd()), netns, wrong),
            ("no netns", missing(TargetKind::NETNS), netns, &["no descriptor was passed"]),
            ("a netns as a pidfd", by_pidfd(bed.guest.open_netns()), pidfd, not_a_pidfd),
            ("a file as a pidfd", by_pidfd(file.into()), pidfd, not_a_pidfd),
            ("/dev/null as a pidfd", by_pidfd(open("/dev/null")), pidfd, not_a_pidfd),
            ("/proc/PID as a pidfd", by_pidfd(open("/proc/self")), pidfd, not_a_pidfd),
            ("no pidfd", missing(TargetKind::PIDFD), pidfd, &["no descriptor was passed"]),
        ],
        &bed,
    );
}

#[test]
fn a_way_to_name_a_target_that_is_not_known() {
    let bed = Bed::with_neighbour();
    let odd = |kind| GuestTarget { kind: TargetKind(kind), fd: None, pid: bed.guest.pid() };
    let code = codes::ERROR_BAD_ENUM;
    refuses(
        &[
            ("TargetKind 4", odd(4), code, &["TargetKind 4", "unknown"]),
            ("TargetKind -1", odd(-1), code, &["TargetKind -1", "unknown"]),
        ],
        &bed,
    );
}

/// Waits until the process of a pidfd has ended; nobody has waited for it then.
fn ended(pidfd: &OwnedFd) {
    use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
    use std::os::fd::AsFd;
    let mut fds = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
    assert_eq!(poll(&mut fds, PollTimeout::from(10_000u16)).expect("poll"), 1);
}
