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

//! Every write of an attach, from any part of it, fails once before it is made and once with its answer
//! lost: the call fails and leaves the device as it was, and the same call succeeds afterwards.
//! On the real kernel. Needs root and the feature `faults`.

use guestnetd::daemon::{AttachRequest, By, Config, Daemon, Handle, Whose};
use guestnetd::effects::firewall::Choice;
use guestnetd::effects::kernel::netns::initial::Initial;
use guestnetd::effects::kernel::netns::target::{Named, Target};
use guestnetd::effects::kernel::write::faults::{in_this_process, Fault};
use guestnetd::spec::{GuestName, GuestSpec, IfName, Kind, Queues, SegmentName};
use nix::sched::{unshare, CloneFlags};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Command as Program;
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The writes of a process are counted: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn run(command: &str) -> String {
    let out = Program::new("sh").args(["-c", command]).output().unwrap();
    assert!(out.status.success(), "{command}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// Runs `work` in a network namespace with an uplink that nothing else is in.
fn in_a_device<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).expect("these tests need root");
            run("ip link set lo up; ip link add wlan0 type veth peer name ap; for dev in ap wlan0; do echo 1 > /proc/sys/net/ipv6/conf/$dev/disable_ipv6; ip link set $dev up; done; \
                 while ip link | grep -q LOWERLAYERDOWN; do sleep 0.01; done; \
                 ip addr add 192.0.2.7/24 dev wlan0; ip route add default via 192.0.2.1");
            work()
        });
        thread.join().unwrap()
    })
}

fn guest_netns() -> File {
    let thread = thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        File::open("/proc/thread-self/ns/net").unwrap()
    });
    thread.join().unwrap()
}

/// All that an attach may change in the device, without counters and handles. Chains that are built
/// again have the other of two names.
fn device() -> String {
    run("ip -d link; ip addr; for dev in $(ls /sys/class/net); do tc filter show dev $dev ingress; done; ip route show table all; ip rule; \
         nft -s list ruleset | sed 's/ # progname.*//; /^\tflags/d'; \
         for table in filter nat; do iptables-legacy-save -t $table | grep -v '^[#:]' | sed 's/\\(oem_guestnet_[a-z]*\\)_b/\\1/g'; done; \
         cat /proc/sys/net/ipv4/ip_forward; \
         grep . /proc/sys/net/ipv4/conf/*/forwarding /proc/sys/net/ipv4/conf/*/accept_redirects")
}

/// A daemon on this device.
struct Bed {
    daemon: Handle,
    thread: Option<JoinHandle<()>>,
    dir: PathBuf,
    /// TAP descriptors.
    held: Mutex<Vec<OwnedFd>>,
}

impl Bed {
    fn new(choice: Choice, dir: &Path) -> Self {
        let _ = std::fs::remove_dir_all(dir);
        let config = Config {
            uplink: "wlan0".parse().unwrap(),
            firewall: choice.into(),
            state_dir: dir.to_owned(),
            keep_forwarding: false,
            ndc: None,
            dnsproxyd: PathBuf::new(),
            guest_zone: None,
            resolvers: Vec::new(),
            resolv_conf: None,
            connections: 4096,
            check_every: Duration::from_secs(60),
        };
        let (daemon, thread) = Daemon::spawn(config, |_| {}).unwrap();
        Self { daemon, thread: Some(thread), dir: dir.to_owned(), held: Mutex::default() }
    }

    /// In a subnet that has no rules yet: what guests share changes, too. Without a namespace, by a TAP
    /// with two queues.
    fn attach(&self, netns: Option<&File>, segment: Option<&str>) -> Result<(), String> {
        let name = GuestName::new("faulty").unwrap();
        let wlan0 = IfName::new("wlan0").unwrap();
        let gateway = [172, 28, 3, 2].into();
        let spec = GuestSpec::new(name, wlan0, None, gateway, 16, -1).unwrap();
        let named = netns.map(|netns| Named::Netns(netns.try_clone().unwrap().into()));
        let kind = match &named {
            Some(_) => Kind::Veth,
            None => Kind::Tap { queues: Queues::new(2).unwrap(), owner: 0 },
        };
        let target = named.map(|named| Target::open(named, &Initial::find())).transpose();
        let request = AttachRequest {
            spec: spec.on(segment.and_then(SegmentName::new)).connected(kind).unwrap(),
            target: target.map_err(|e| e.to_string())?,
            uid: 0,
            most: None,
            owner: None,
            arrived: Instant::now(),
        };
        match self.daemon.attach(request) {
            Ok((_, tap)) => self.held.lock().unwrap().extend(tap),
            Err(e) => return Err(e.to_string()),
        }
        Ok(())
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        self.daemon.end();
        self.thread.take().map(JoinHandle::join);
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// What is not so at once is so after a while: a link's deletion takes its time, and what could not be
/// taken back is tried again.
fn eventually(what: &str, before: &str, now: impl Fn() -> String) {
    let until = Instant::now() + Duration::from_secs(5);
    let mut found = now();
    while found != before {
        let only = |a: &str, b: &str| -> Vec<String> {
            a.lines().filter(|line| !b.contains(line)).map(str::to_owned).collect()
        };
        let (gone, new) = (only(before, &found), only(&found, before));
        assert!(Instant::now() < until, "{what}: gone: {gone:#?}, new: {new:#?}");
        thread::sleep(Duration::from_millis(20));
        found = now();
    }
}

fn every_write_fails(choice: Choice, fault: Fault, tap: bool) {
    every_write(choice, fault, tap, None);
}

fn every_write(choice: Choice, fault: Fault, tap: bool, segment: Option<&str>) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = std::env::temp_dir().join(format!("guestnetd-writes-{}", std::process::id()));
    let (mut nth, mut failed) = (0, 0);
    loop {
        let reached = in_a_device(|| {
            let bed = Bed::new(choice, &dir);
            let netns = Some(guest_netns()).filter(|_| !tap);
            let before = device();
            let planned = in_this_process(nth, fault);
            let result = bed.attach(netns.as_ref(), segment);
            let reached = planned.happened();
            drop(planned);
            // Some a guest can do without, and some come after the answer.
            if result.is_err() {
                assert!(reached, "{nth}: {result:?} without a fault");
                failed += 1;
                eventually(&format!("write {nth}, {fault:?}: {result:?}"), &before, device);
                bed.attach(netns.as_ref(), segment)
                    .unwrap_or_else(|e| panic!("write {nth}, {fault:?}: then {e}"));
            }
            let by = By { uid: 0, pid: 0 };
            bed.daemon.detach(GuestName::new("faulty").unwrap(), Whose::Everyones, by).unwrap();
            reached
        });
        if !reached {
            break;
        }
        nth += 1;
    }
    assert!(nth >= 10 && failed >= 10, "{nth} writes, of which {failed} failed the attach");
}

#[test]
fn nftables_before() {
    every_write_fails(Choice::Nftables, Fault::Before(libc::ENOMEM), false);
}

#[test]
fn nftables_answer_lost() {
    every_write_fails(Choice::Nftables, Fault::After, false);
}

#[test]
fn iptables_before() {
    every_write_fails(Choice::Iptables, Fault::Before(libc::ENOMEM), false);
}

#[test]
fn iptables_answer_lost() {
    every_write_fails(Choice::Iptables, Fault::After, false);
}

#[test]
fn tap_before() {
    every_write_fails(Choice::Nftables, Fault::Before(libc::ENOMEM), true);
}

#[test]
fn tap_answer_lost() {
    every_write_fails(Choice::Nftables, Fault::After, true);
}

#[test]
fn segment_before() {
    every_write(Choice::Nftables, Fault::Before(libc::ENOMEM), false, Some("cockpit"));
}

#[test]
fn segment_answer_lost() {
    every_write(Choice::Nftables, Fault::After, false, Some("cockpit"));
}
