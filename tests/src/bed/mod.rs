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

//! One bed for all suites: a device with the real guestnetd, a client of it, and what the test needs
//! beside them. [`Bed::on`] says what; everything ends when the bed is dropped.

mod announcements;
mod builder;
mod held;
mod listener;
mod netd;
mod server;
mod stream;
mod unchanged;

use std::time::Duration;

use android_system_guestnet::aidl::android::system::guestnet::Guest::Guest as Attached;
use android_system_guestnet::aidl::android::system::guestnet::GuestConfig::GuestConfig;
use android_system_guestnet::aidl::android::system::guestnet::GuestTarget::GuestTarget;
use android_system_guestnet::aidl::android::system::guestnet::IGuestNet::IGuestNet;
use guestnet_platform::Connection;

use crate::client::{by_pid, config};
use crate::netd::Watch;
use crate::{poll, Daemon, Device, Guest, InNetns, Internet, Probe};

pub use announcements::Announcements;
pub use builder::{distant_neighbour, Builder};
pub use held::held;
pub use listener::{deaf, Listener, Told};
pub use netd::netd_daemon;
pub use server::{reached, Server};
pub use stream::Stream;
pub use unchanged::{assert_words, Before};

/// Longer than anything here may take on a busy machine.
pub const BOUND: Duration = Duration::from_secs(20);
/// The gateway of all guests that ask for no other.
pub const GATEWAY: &str = "172.17.3.2";
/// The first guest's address.
pub const FIRST: &str = "172.17.3.3";
/// The switch that guestnetd shares with the rest of the device.
pub const FORWARDING: &str = "net/ipv4/ip_forward";

/// Makes two tests of each function that takes the name of a packet filter.
#[macro_export]
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

/// A device with guestnetd, a client of it and a guest at hand.
pub struct Bed<D: InNetns = Device> {
    // In this order: a client goes before the service, and that before its device.
    /// The client's connection.
    pub service: Connection<dyn IGuestNet>,
    /// Attached only where the bed was built so ([`Builder::attached`]).
    pub guest: Guest,
    neighbour: Option<unchanged::Neighbour>,
    /// guestnetd.
    pub daemon: Daemon,
    watch: Option<Watch>,
    /// What guestnetd runs on.
    pub device: D,
}

impl Bed {
    /// The usual device, with this packet filter: `nftables`, `iptables`, `auto`.
    #[track_caller]
    pub fn new(firewall: &str) -> Self {
        Self::on(Device::new()).args(&format!("--firewall {firewall}")).build()
    }

    /// The usual device, where a guest `neighbour` of the original's set-up talks to the internet.
    #[track_caller]
    pub fn with_neighbour() -> Self {
        Self::on(Device::new()).neighbour(config("neighbour")).build()
    }
}

impl<D: InNetns> Bed<D> {
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

    /// The bed's guest, as the target of a call.
    pub fn target(&self) -> GuestTarget {
        by_pid(self.guest.pid())
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

    /// So many letters, as far as a call carries them: it has a megabyte (kernel Binder for all calls to
    /// a process, BINDER_VM_SIZE), and a letter takes two bytes of it.
    pub fn letters(&self, count: usize) -> String {
        const MANY: usize = 200_000;
        "a".repeat(count.min(MANY))
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
