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

//! Every step made to fail, and every step made the last before a crash, on the real kernel:
//! what was done is undone, or is cleared by the next start. Needs root.

use guestnetd::daemon::{Config, Daemon, Whose};
use guestnetd::effects::executor::kernel::KernelExecutor;
use guestnetd::effects::executor::link_deleter::Deleter;
use guestnetd::effects::executor::{apply, Executor};
use guestnetd::effects::firewall::{Choice, Firewall, Ruleset};
use guestnetd::effects::kernel::netlink::Netlink;
use guestnetd::effects::kernel::netns::Home;
use guestnetd::error::Error;
use guestnetd::model::desired::{desired_guest, may_remove};
use guestnetd::model::diff::diff;
use guestnetd::model::object::Loopback;
use guestnetd::model::policy_rules::RoutingMode;
use guestnetd::model::timeline::Timeline;
use guestnetd::model::{GuestNet, Object, Reversible, Scope, Step};
use guestnetd::spec::{GuestName, GuestSpec, IfName};
use nix::sched::{unshare, CloneFlags};
use std::fs::File;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::Command as Program;
use std::time::{Duration, Instant};

/// Runs `work` in a network namespace that nothing else is in.
fn in_a_device<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).expect("these tests need root");
            run("ip link set lo up");
            // A value of its own that switching forwarding on and off would lose.
            run("echo 1 > /proc/sys/net/ipv4/conf/lo/forwarding");
            work()
        });
        thread.join().unwrap()
    })
}

fn guest_netns() -> File {
    let thread = std::thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        File::open("/proc/thread-self/ns/net").unwrap()
    });
    thread.join().unwrap()
}

fn run(command: &str) -> String {
    let out = Program::new("sh").args(["-c", command]).output().unwrap();
    assert!(out.status.success(), "{command}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// All that an attach may change in the device, as text. Without the owner of our table: a closed
/// socket ceases to be it a little later.
fn device() -> String {
    run("ip -d link; ip addr; ip route show table all; ip rule; nft -s list ruleset | sed 's/ # progname.*//; /^\tflags/d'; \
         iptables-legacy-save -t filter | grep -v '^[#:]'; cat /proc/sys/net/ipv4/ip_forward; \
         grep . /proc/sys/net/ipv4/conf/*/forwarding /proc/sys/net/ipv4/conf/*/accept_redirects")
}

fn guest(netns: &File) -> String {
    let home = Home::here().unwrap();
    home.inside(netns.as_fd(), || Ok(run("ip link; ip addr; ip route show table all")))
        .unwrap()
        // A link that was up once has another idle qdisc: that is not the link's state.
        .replace("qdisc noop", "qdisc noqueue")
}

/// Waits until both ends run, which is a little later than that they are up.
fn settled(netns: &File) {
    let waits = |text: String| text.contains("state UNKNOWN mode DEFAULT group 17");
    while waits(device()) || waits(guest(netns)) {
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn net() -> GuestNet {
    net_of([172, 17, 3, 6], 1500)
}

fn net_of(address: [u8; 4], mtu: u32) -> GuestNet {
    let name = GuestName::new("faulty").unwrap();
    let wlan0 = IfName::new("wlan0").unwrap();
    let spec = GuestSpec::new(name, wlan0, None, [172, 17, 3, 2].into(), 16, -1).unwrap();
    GuestNet::new(&spec, 3, address.into(), mtu.try_into().unwrap())
}

/// Every step that a guest's attach can have.
fn steps() -> Vec<Step> {
    let found = [(Scope::Guest, Object::Loopback(Loopback::New))];
    diff(desired_guest(&net()), &found, may_remove(&net(), None))
}

/// How a step fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// It is not done.
    Refused,
    /// It is done, and nobody is told.
    AnswerLost,
}

impl Fault {
    fn errno(self) -> i32 {
        match self {
            Self::Refused => libc::ENOSPC,
            Self::AnswerLost => libc::ETIMEDOUT,
        }
    }
}

/// An executor that is made to fail once.
struct Faulty<E> {
    kernel: E,
    steps_left: usize,
    fault: Fault,
}

impl<S: Reversible, E: Executor<S>> Executor<S> for Faulty<E> {
    fn run(&mut self, step: &S) -> Result<(), Error> {
        if self.steps_left == 0 {
            self.steps_left = usize::MAX; // the way back works
            if self.fault == Fault::AnswerLost {
                self.kernel.run(step)?;
            }
            let cause = std::io::Error::from_raw_os_error(self.fault.errno());
            return Err(Error::kernel(step.describe(), cause));
        }
        self.steps_left -= 1;
        self.kernel.run(step)
    }

    fn is_done(&mut self, step: &S, error: &Error) -> bool {
        self.kernel.is_done(step, error)
    }
}

/// Does `first` of these steps; then the next one fails, if there is one.
fn attempt(steps: &[Step], first: usize, fault: Fault, guest: &File) -> Result<(), Error> {
    let device = Netlink::open().unwrap();
    let (done, _deleted) = tokio::sync::mpsc::unbounded_channel();
    let deleter = Deleter::new(done).unwrap();
    let home = Home::here().unwrap();
    let inside = home.inside(guest.as_fd(), Netlink::open).unwrap();
    let kernel = KernelExecutor {
        net: &net(),
        device: &device,
        deleter: &deleter,
        home: &home,
        guest: Some((guest.as_fd(), &inside)),
        host_index: None,
        guest_index: None,
        tap: Vec::new(),
    };
    let mut faulty = Faulty { kernel, steps_left: first, fault };
    apply("faulty", steps, &mut faulty, &mut Timeline::new(Instant::now()))
}

fn each_step_fails(fault: Fault) {
    let steps = steps();
    for first in 0..steps.len() {
        in_a_device(|| {
            let netns = guest_netns();
            let (device_before, guest_before) = (device(), guest(&netns));
            let error = attempt(&steps, first, fault, &netns).unwrap_err();
            let (text, what) = (error.to_string(), steps[first].describe());
            assert!(text.starts_with(&format!("{what}: E")), "{text}");
            assert_eq!(error.errno(), Some(fault.errno()), "{text}");
            assert!(!text.contains("putting it back failed"), "{text}");
            assert_eq!(device(), device_before, "after {what} failed: {fault:?}");
            assert_eq!(guest(&netns), guest_before, "after {what} failed: {fault:?}");
        });
    }
}

#[test]
fn each_step_fails_and_is_undone() {
    each_step_fails(Fault::Refused);
}

#[test]
fn each_answer_is_lost_and_the_step_undone() {
    each_step_fails(Fault::AnswerLost);
}

/// From one address and MTU to another, on a guest that has the first.
#[test]
fn each_step_of_a_change_fails_and_is_undone() {
    let was = net();
    let now = net_of([172, 17, 3, 9], 1400).routed(RoutingMode::Main);
    let steps = diff(desired_guest(&now), &desired_guest(&was), may_remove(&now, Some(&was)));
    assert_eq!(steps.len(), 8);
    for (first, fault) in
        (0..=steps.len()).flat_map(|n| [(n, Fault::Refused), (n, Fault::AnswerLost)])
    {
        in_a_device(|| {
            let netns = guest_netns();
            let home = Home::here().unwrap();
            // Its IPv6 address would become another one by itself, with time.
            let no_ipv6 = || Ok(run("echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6"));
            home.inside(netns.as_fd(), no_ipv6).unwrap();
            attempt(&self::steps(), usize::MAX, fault, &netns).unwrap();
            settled(&netns);
            let (device_before, guest_before) = (device(), guest(&netns));
            let device_socket = Netlink::open().unwrap();
            let inside = home.inside(netns.as_fd(), Netlink::open).unwrap();
            let (done, _deleted) = tokio::sync::mpsc::unbounded_channel();
            let deleter = Deleter::new(done).unwrap();
            let kernel = KernelExecutor {
                net: &now,
                device: &device_socket,
                deleter: &deleter,
                home: &home,
                guest: Some((netns.as_fd(), &inside)),
                host_index: None,
                guest_index: None,
                tap: Vec::new(),
            };
            let mut faulty = Faulty { kernel, steps_left: first, fault };
            let result = apply("faulty", &steps, &mut faulty, &mut Timeline::new(Instant::now()));
            let Some(step) = steps.get(first) else {
                result.unwrap();
                assert!(guest(&netns).contains("inet 172.17.3.9/16"), "{}", guest(&netns));
                return;
            };
            let (error, what) = (result.unwrap_err().to_string(), step.describe());
            assert!(error.starts_with(&format!("{what}: E")), "{error}");
            assert!(!error.contains("putting it back failed"), "{error}");
            assert_eq!(device(), device_before, "after {what} failed: {fault:?}");
            assert_eq!(guest(&netns), guest_before, "after {what} failed: {fault:?}");
        });
    }
}

#[test]
fn what_was_there_before_is_not_taken_for_a_lost_answer() {
    in_a_device(|| {
        let netns = guest_netns();
        run("ip link add vm_wlan3 group 1735288180 address 02:67:01:02:03:04 type veth peer name p3");
        let before = device();
        let error = attempt(&steps(), usize::MAX, Fault::Refused, &netns);
        assert!(matches!(error, Err(Error::HostInterfaceExists(_))), "{error:?}");
        assert_eq!(device(), before);
    });
}

fn config(choice: Choice, dir: &std::path::Path) -> Config {
    Config {
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
    }
}

fn state_dir(test: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("guestnetd-faults-{test}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    dir
}

#[test]
fn a_crash_after_any_step_but_the_last_leaves_a_link_that_the_next_start_deletes() {
    let steps = steps();
    // The last step marks the link as whole.
    for done in 0..steps.len() {
        in_a_device(|| {
            let netns = guest_netns();
            Firewall::open(&Choice::Nftables.into()).unwrap().0.apply(&Ruleset::default()).unwrap();
            attempt(&steps[..done], usize::MAX, Fault::Refused, &netns).unwrap();
            let made = run("ip -o link").contains("vm_wlan3");
            assert_eq!(made, done > 0);
            let dir = state_dir("crash");
            let (owner, thread) = Daemon::spawn(config(Choice::Nftables, &dir), |_| {}).unwrap();
            let gone = (0..500).any(|_| {
                std::thread::sleep(Duration::from_millis(2));
                !run("ip -o link").contains("vm_wlan3")
            });
            assert!(gone, "after a crash with {done} steps done");
            assert!(owner.list(Whose::Everyones).unwrap().is_empty());
            owner.end();
            thread.join().unwrap();
            assert!(!run("nft list ruleset").contains("guestnet"), "after {done} steps");
            std::fs::remove_dir_all(dir).unwrap();
        });
    }
}

#[test]
fn a_half_made_link_is_told_from_somebody_elses() {
    in_a_device(|| {
        let ours = "group 1735288180 address 02:67:01:02:03:04";
        for (name, kind, marks) in [
            ("vm_wlan5", "type veth peer name p5", "group 0 address 02:67:01:02:03:04"),
            ("vm_wlan6", "type veth peer name p6", "group 1735288180 address 02:68:01:02:03:04"),
            ("vm_wlanx", "type veth peer name px", ours),
            ("vm_wlan7", "type bridge", ours),
            ("vm_wlan8", "type veth peer name p8", ours),
        ] {
            run(&format!("ip link add {name} {marks} {kind}"));
        }
        let dir = state_dir("foreign");
        let (owner, thread) = Daemon::spawn(config(Choice::Nftables, &dir), |_| {}).unwrap();
        let gone = (0..500).any(|_| {
            std::thread::sleep(Duration::from_millis(2));
            !run("ip -o link").contains("vm_wlan8")
        });
        owner.end();
        thread.join().unwrap();
        let links = run("ip -o link");
        assert!(gone, "the half-made link stays: {links}");
        for name in ["vm_wlan5", "vm_wlan6", "vm_wlanx", "vm_wlan7"] {
            assert!(links.contains(name), "{name} is gone: {links}");
        }
        std::fs::remove_dir_all(dir).unwrap();
    });
}
