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

//! What the suites about guests' networks share: a device with guestnetd, and what they watch it
//! with.
#![allow(dead_code, unused_imports, unused_macros)] // Each test binary uses its own part.

mod fds;
mod listener;
mod server;
mod stream;

use std::os::fd::AsRawFd;
use std::time::Duration;

use android_system_guestnet::aidl::android::system::guestnet::Guest::Guest as Attached;
use android_system_guestnet::aidl::android::system::guestnet::GuestConfig::GuestConfig;
use android_system_guestnet::aidl::android::system::guestnet::GuestTarget::GuestTarget;
use android_system_guestnet::aidl::android::system::guestnet::IGuestNet::IGuestNet;
use guestnet_platform::Connection;
use guestnet_tests::client::{by_pid, config};
use guestnet_tests::{poll, Daemon, Device, Guest, InNetns, Internet, Netns, Probe};

pub use fds::held;
pub use listener::{Event, Listener, Way};
pub use server::{reached, Server};
pub use stream::Stream;

/// Longer than anything here may take on a busy machine.
pub const BOUND: Duration = Duration::from_secs(20);
/// The gateway of all guests that ask for no other, and the first one's address.
pub const GATEWAY: &str = "172.17.3.2";
pub const FIRST: &str = "172.17.3.3";
/// The switch that guestnetd shares with the rest of the device.
pub const FORWARDING: &str = "net/ipv4/ip_forward";

/// Makes two tests of each function that takes the name of a packet filter.
macro_rules! with_both_backends {
    ($($test:ident),+ $(,)?) => {
        mod nftables {
            $(#[test] fn $test() { super::$test("nftables") })+
        }
        mod iptables {
            $(#[test] fn $test() { super::$test("iptables") })+
        }
    };
}
pub(crate) use with_both_backends;

/// A device with guestnetd and a client of it.
pub struct Bed {
    // In this order: a client goes before the service, and that before its device.
    pub service: Connection<dyn IGuestNet>,
    pub daemon: Daemon,
    pub device: Device,
}

impl Bed {
    /// The usual device, with this packet filter.
    #[track_caller]
    pub fn new(firewall: &str) -> Self {
        Self::on(Device::new(), &format!("--firewall {firewall}"))
    }

    /// This device, with these arguments of guestnetd.
    #[track_caller]
    pub fn on(device: Device, args: &str) -> Self {
        let daemon = Daemon::new(&device).args(args).started();
        Self { service: daemon.connect(), daemon, device }
    }

    /// Attaches a guest with the original's set-up.
    #[track_caller]
    pub fn attach(&self, name: &str, guest: &Guest) -> Attached {
        self.attach_as(&config(name), &by_pid(guest.pid()))
    }

    /// Attaches a guest; panics with guestnetd's log when that fails.
    #[track_caller]
    pub fn attach_as(&self, config: &GuestConfig, target: &GuestTarget) -> Attached {
        self.service
            .attach(config, target, None)
            .unwrap_or_else(|e| panic!("attach {}: {e}\n{}", config.name, self.daemon.log()))
    }

    /// Detaches a guest; panics with guestnetd's log when that fails.
    #[track_caller]
    pub fn detach(&self, name: &str) {
        let done = self.service.detach(name);
        done.unwrap_or_else(|e| panic!("detach {name}: {e}\n{}", self.daemon.log()));
    }

    /// The names of the attached guests.
    #[track_caller]
    pub fn names(&self) -> Vec<String> {
        self.service.list().expect("list").into_iter().map(|guest| guest.name).collect()
    }

    /// Starts guestnetd again after its end and connects to it.
    #[track_caller]
    pub fn start(&mut self) {
        // Not before all is read that the last one said: its end would be taken for the new one's.
        assert!(!self.daemon.wait_log("(never said)", BOUND));
        self.daemon.start();
        self.service = self.daemon.connect();
    }

    /// Ends guestnetd without giving it a chance to clean up, and removes its rules: what a guest
    /// reaches then but not before is what they have kept from it.
    pub fn remove_rules(&mut self) {
        self.daemon.kill();
        if guests_table(&self.device).is_some() {
            self.device.run("nft delete table inet guestnet");
        }
        for program in ["iptables-legacy", "ip6tables-legacy"] {
            self.device.run(&format!("{program} -w -F"));
        }
    }

    /// Whether IPv4 forwarding is on.
    pub fn forwards(&self) -> bool {
        self.device.sysctl(FORWARDING) == "1"
    }
}

/// guestnetd's table in nf_tables, if it is there.
pub fn guests_table(device: &impl InNetns) -> Option<String> {
    let out = device.try_run("nft list table inet guestnet");
    out.status.success().then(|| String::from_utf8_lossy(&out.stdout).into_owned())
}

/// guestnetd's rules in one table of iptables.
pub fn guests_rules(device: &impl InNetns, program: &str, table: &str) -> Vec<String> {
    let text = device.run(&format!("{program}-legacy-save -t {table}"));
    text.lines().filter(|line| line.contains("oem_guestnet")).map(str::to_owned).collect()
}

/// Gives a device a second way out, to an internet of its own: `198.51.100.1`. The device is
/// `198.51.100.2` there. No route leads there but that to its own subnet.
pub fn second_way(device: &Device, name: &str) -> Internet {
    let internet = Internet::new(false);
    let there = internet.netns.name();
    device.run(&format!("ip link add {name} type veth peer name device netns {there}"));
    internet.run("ip addr add 198.51.100.1/24 dev device");
    device.run(&format!("ip addr add 198.51.100.2/24 dev {name}"));
    internet.run("ip link set device up");
    device.run(&format!("ip link set {name} up"));
    let up = || (device.link(name)?["operstate"] == "UP").then_some(());
    poll(BOUND, up).expect("the second way's carrier");
    internet
}

/// Waits until something is so; panics with its name when that takes too long.
#[track_caller]
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    assert!(poll(BOUND, || is_so().then_some(())).is_some(), "not within {BOUND:?}: {what}");
}
