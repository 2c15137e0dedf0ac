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

use guestnetd::daemon::executor::kernel::KernelExecutor;
use guestnetd::daemon::executor::{apply, Executor, Timeline};
use guestnetd::daemon::{Config, Daemon};
use guestnetd::error::Error;
use guestnetd::firewall::{Choice, Firewall, Ruleset};
use guestnetd::kernel::link_deleter::Deleter;
use guestnetd::kernel::netlink::Netlink;
use guestnetd::kernel::netns::Home;
use guestnetd::model::{diff, GuestNet, Observed, ObservedGuest, Step};
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

fn net() -> GuestNet {
    let name = GuestName::new("faulty").unwrap();
    let wlan0 = IfName::new("wlan0").unwrap();
    let spec = GuestSpec::new(name, wlan0, None, [172, 17, 3, 2].into(), 16, -1).unwrap();
    GuestNet::new(&spec, 3, [172, 17, 3, 6].into(), 1500)
}

/// Every kind of step that an attach can have.
fn steps() -> Vec<Step> {
    let bare = ObservedGuest { loopback_bare: true, ..ObservedGuest::default() };
    let nothing = Observed { host: None, guest: Some(bare) };
    diff::guest(&net(), &nothing)
}

/// Where the kernel is made to fail.
struct Faulty<'a> {
    kernel: KernelExecutor<'a>,
    steps_left: usize,
}

impl Executor for Faulty<'_> {
    fn run(&mut self, step: &Step) -> Result<(), Error> {
        if self.steps_left == 0 {
            self.steps_left = usize::MAX; // the way back works
            return Err(Error::kernel(
                step.what(),
                std::io::Error::from_raw_os_error(libc::ENOSPC),
            ));
        }
        self.steps_left -= 1;
        self.kernel.run(step)
    }
}

/// Does `first` steps of `steps`; then the next one fails, if there is one.
fn attempt(choice: Choice, steps: &[Step], first: usize, guest: &File) -> Result<(), Error> {
    let device = Netlink::open().unwrap();
    let (done, _deleted) = tokio::sync::mpsc::unbounded_channel();
    let deleter = Deleter::new(done);
    let mut firewall = Firewall::open(&choice.into()).unwrap().0;
    firewall.apply(&Ruleset::default()).unwrap();
    let inside = Home::here().unwrap().inside(guest.as_fd(), Netlink::open).unwrap();
    let kernel = KernelExecutor {
        device: &device,
        deleter: &deleter,
        guest: Some((guest.as_fd(), &inside)),
        host_index: None,
        guest_index: None,
    };
    let mut faulty = Faulty { kernel, steps_left: first };
    apply("faulty", steps, &mut faulty, &mut Timeline::new(Instant::now()))
}

fn each_step_fails(choice: Choice) {
    let steps = steps();
    for first in 0..steps.len() {
        in_a_device(|| {
            let netns = guest_netns();
            Firewall::open(&choice.into()).unwrap().0.apply(&Ruleset::default()).unwrap();
            let (device_before, guest_before) = (device(), guest(&netns));
            let error = attempt(choice, &steps, first, &netns).unwrap_err();
            let text = error.to_string();
            assert!(text.contains(&steps[first].what()), "{text}");
            assert!(text.contains("ENOSPC") && error.errno() == Some(libc::ENOSPC), "{text}");
            assert_eq!(device(), device_before, "after {} failed", steps[first].what());
            assert_eq!(guest(&netns), guest_before, "after {} failed", steps[first].what());
        });
    }
}

#[test]
fn each_step_fails_and_is_undone_nftables() {
    each_step_fails(Choice::Nftables);
}

#[test]
fn each_step_fails_and_is_undone_iptables() {
    each_step_fails(Choice::Iptables);
}

fn config(choice: Choice, dir: &std::path::Path) -> Config {
    Config {
        uplink: "wlan0".parse().unwrap(),
        firewall: choice.into(),
        state_dir: dir.to_owned(),
        keep_forwarding: false,
        ndc: None,
        resolvers: Vec::new(),
        resolv_conf: None,
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
            attempt(Choice::Nftables, &steps[..done], usize::MAX, &netns).unwrap();
            let made = run("ip -o link").contains("vm_wlan3");
            assert_eq!(made, steps[..done].contains(&Step::create(&net())));
            let dir = state_dir("crash");
            let (owner, thread) = Daemon::spawn(config(Choice::Nftables, &dir), |_| {}).unwrap();
            let gone = (0..500).any(|_| {
                std::thread::sleep(Duration::from_millis(2));
                !run("ip -o link").contains("vm_wlan3")
            });
            assert!(gone, "after a crash with {done} steps done");
            assert!(owner.list().unwrap().is_empty());
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
