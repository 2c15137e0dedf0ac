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

//! NetworkManager, which takes every link that it sees and takes away what it did not set: a guest that is
//! attached while it runs keeps its network because it is given the same by DHCP.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use android_system_guestnet::aidl::android::system::guestnet::Dhcp::Dhcp;
use android_system_guestnet::aidl::android::system::guestnet::GuestConfig::GuestConfig;
use guestnet_tests::bed::{eventually, Bed, Stream};
use guestnet_tests::client::{by_pid, config};
use guestnet_tests::resolver::Resolver;
use guestnet_tests::{said, Guest, InNetns, Internet, Probe};

use crate::scene::counters;

/// Longer than it takes to find that a carrier that went does not come back (4 s), and to begin with it again.
const SETTLED: Duration = Duration::from_secs(7);

/// Debian's, in a guest, with a bus of its own. Both end with this value.
struct NetworkManager<'a> {
    guest: &'a Guest,
    process: Child,
}

impl<'a> NetworkManager<'a> {
    /// Runs it with these lines of configuration, and waits until it has looked at what there is.
    fn of(guest: &'a Guest, configuration: &[&str]) -> Self {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository");
        let scripts = repository.join("tests/lib/network-manager");
        let mut unpack = Command::new(scripts.join("unpack.sh"));
        let made = unpack.current_dir(repository).output().expect("bash");
        assert!(made.status.success(), "{}", said(&made));
        let root = String::from_utf8_lossy(&made.stdout).trim().to_owned();
        let mut command = guest.command("unshare");
        command.args(["--mount", "--pid", "--fork", "--kill-child"]);
        command.arg(scripts.join("run.sh")).arg(root).args(configuration);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().expect("NetworkManager");
        let running = Self { guest, process };
        eventually("it runs", || running.says("nmcli -t -f running general") == "running");
        running.says("nmcli connection add type ethernet con-name box ifname wlan0");
        running
    }

    /// What a command says that sees what it sees: its files, its bus.
    fn says(&self, line: &str) -> String {
        let namespaces = format!("/proc/{}/ns", self.process.id());
        // Its programs and libraries are where its own environment says.
        let inside = format!(
            "export $(tr '\\0' '\\n' </proc/1/environ | grep -a -e ^PATH= -e ^LD_LIBRARY_PATH=); exec {line}"
        );
        let mut command = self.guest.command("nsenter");
        command.arg(format!("--mount={namespaces}/mnt"));
        command.arg(format!("--pid={namespaces}/pid_for_children"));
        let out = command.args(["sh", "-c", &inside]).output().expect("nsenter");
        String::from_utf8_lossy(&out.stdout).trim().to_owned()
    }

    /// Waits until it has begun to ask for a lease. A link that it sees only when all is set there it leaves as it is,
    /// until it is told to take it.
    #[track_caller]
    fn takes_it(&self) {
        let mut state = String::new();
        eventually("it has seen the link", || {
            state = self.state();
            state.contains("externally") || state.starts_with("7") || state == "100 (connected)"
        });
        if state.contains("externally") {
            self.says("nmcli --wait 0 connection up box");
        }
    }

    /// Waits until it has this address by its lease, all that comes with it, and the internet.
    #[track_caller]
    fn has(&self, address: &str) {
        // What a lease gives ends with it; what attach set has no end.
        eventually(&format!("{address} by its lease"), || {
            let found = self.guest.run("ip -4 -o addr show dev wlan0");
            let leased = |line: &str| line.contains(address) && line.contains("dynamic");
            found.lines().count() == 1 && found.lines().all(leased)
        });
        eventually("it is connected", || self.state() == "100 (connected)");
        assert_eq!(self.says("cat /etc/resolv.conf | grep nameserver"), "nameserver 172.17.3.2");
        let resolved = self.says("getent ahostsv4 beyond.test");
        let answer = Ipv4Addr::from(Resolver::ANSWER).to_string();
        assert_eq!(resolved.split_whitespace().next(), Some(&*answer), "{resolved}");
        assert!(self.guest.tcp(Internet::TCP, "hello").is_ok());
    }

    /// What it says of the guest's link.
    fn state(&self) -> String {
        self.says("nmcli -g general.state device show wlan0")
    }
}

impl Drop for NetworkManager<'_> {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn network_manager_keeps_the_network_of_a_guest_that_is_attached_while_it_runs() {
    let mut bed = Bed::new("nftables");
    let guest = Guest::new();
    let manager = NetworkManager::of(&guest, &[]);
    bed.attach("box", &guest);
    manager.takes_it();
    manager.has("172.17.3.3/16");
    assert!(counters(&bed, "box")[1] >= 1, "it has a lease");

    let stream = Stream::open(&guest);
    bed.device.run("ip link set wlan0 mtu 1400");
    eventually("its MTU", || guest.link("wlan0").is_some_and(|link| link["mtu"] == 1400));
    assert!(bed.daemon.wait_log("its carrier goes and comes", SETTLED));
    std::thread::sleep(SETTLED);
    stream.assert_flows();
    manager.has("172.17.3.3/16");

    bed.daemon.kill();
    stream.assert_flows();
    bed.start();
    assert_eq!(manager.state(), "100 (connected)");
    manager.says("nmcli device reapply wlan0");
    manager.has("172.17.3.3/16");
    stream.end();
}

/// It sees a link before attach has given it anything, in between or afterwards, and takes away what it finds then.
#[test]
fn an_attach_succeeds_whenever_network_manager_sees_its_link() {
    let bed = Bed::new("nftables");
    let guest = Guest::new();
    let manager = NetworkManager::of(&guest, &[]);
    for _ in 0..10 {
        bed.attach("box", &guest);
        manager.takes_it();
        manager.has("172.17.3.3/16");
        bed.detach("box");
        eventually("it sees that the link is gone", || manager.state().is_empty());
    }
}

/// As it is shipped, it leaves a link as it is on which it finds all set, and takes any other.
#[test]
fn network_manager_as_it_is_shipped_takes_the_link_or_leaves_it_and_has_the_internet() {
    let bed = Bed::new("nftables");
    let guest = Guest::new();
    let manager = NetworkManager::of(&guest, &[]);
    for _ in 0..5 {
        bed.attach("box", &guest);
        eventually("it is done with it", || manager.state().starts_with("100 (connected"));
        eventually("the internet", || guest.tcp(Internet::TCP, "hello").is_ok());
        let found = guest.run("ip -4 -o addr show dev wlan0");
        assert!(found.lines().count() == 1 && found.contains("172.17.3.3/16"), "{found}");
        bed.detach("box");
        eventually("it sees that the link is gone", || manager.state().is_empty());
    }
}

/// What the ones above would be without DHCP.
#[test]
fn network_manager_takes_the_network_of_a_guest_that_is_not_answered() {
    let bed = Bed::new("nftables");
    let guest = Guest::new();
    // 45 s is its default.
    let soon = ["[connection]", "ipv4.dhcp-timeout=3"];
    let manager = NetworkManager::of(&guest, &soon);
    bed.attach_as(&GuestConfig { dhcp: Dhcp::OFF, ..config("box") }, &by_pid(guest.pid()));
    manager.takes_it();
    eventually("its address is gone", || guest.run("ip -4 -o addr show dev wlan0").is_empty());
}

/// It does not mind a carrier that is away for less than 6 s, and asks when half of its lease is over: until then it
/// has what the update has set.
#[test]
fn an_address_moves_under_network_manager_with_a_lease() {
    let bed = Bed::new("nftables");
    let guest = Guest::new();
    let manager = NetworkManager::of(&guest, &[]);
    bed.attach("box", &guest);
    manager.takes_it();
    manager.has("172.17.3.3/16");
    moves(&bed, &guest, &manager, "172.17.9.9");
    // Asked for its old one, the device says no, and what it is offered is the new one.
    manager.says("nmcli --wait 0 connection up box");
    manager.has("172.17.9.9/16");
    moves(&bed, &guest, &manager, "172.17.9.10");
    moves(&bed, &guest, &manager, "172.17.3.3");
    manager.says("nmcli --wait 0 connection up box");
    manager.has("172.17.3.3/16");
}

#[test]
fn an_address_moves_under_network_manager_as_it_is_shipped() {
    let bed = Bed::new("nftables");
    let guest = Guest::new();
    let manager = NetworkManager::of(&guest, &[]);
    bed.attach("box", &guest);
    eventually("it is done with it", || manager.state().starts_with("100 (connected"));
    for address in ["172.17.9.9", "172.17.9.10", "172.17.3.3"] {
        moves(&bed, &guest, &manager, address);
    }
}

/// The guest gets another address, which it has and talks by from then on.
#[track_caller]
fn moves(bed: &Bed, guest: &Guest, manager: &NetworkManager<'_>, address: &str) {
    let to = GuestConfig { addresses: vec![address.to_owned()], ..config("box") };
    bed.service.update("box", &to).expect("update");
    let is_there = || {
        let found = guest.run("ip -4 -o addr show dev wlan0");
        found.lines().count() == 1 && found.contains(&format!("{address}/16"))
    };
    eventually("the address", is_there);
    eventually("the internet", || guest.tcp(Internet::TCP, "hello").is_ok());
    std::thread::sleep(SETTLED);
    assert!(is_there(), "{}", guest.run("ip -4 -o addr show dev wlan0"));
    assert!(guest.tcp(Internet::TCP, "hello").is_ok());
    assert!(manager.state().starts_with("100 (connected"), "{}", manager.state());
}
