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

//! Odd things that others do to a guest, to its link or to guestnetd's files: they harm nobody,
//! and what guestnetd says afterwards is so.

use guestnet_tests::bed::{eventually, Bed, FIRST};
use guestnet_tests::client::address;
use guestnet_tests::{Device, Guest, InNetns, Internet, Probe};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// An alias that is no text.
fn unreadable_alias(of: &impl InNetns, link: &str) {
    let alias = OsStr::from_bytes(b"\xff\xfe");
    let done = of.command("ip").args(["link", "set", link, "alias"]).arg(alias).status().unwrap();
    assert!(done.success());
}

#[test]
fn an_alias_that_is_no_text_hangs_nobody() {
    let bed = Bed::new("auto");
    let (odd, other) = (Guest::new(), Guest::new());
    unreadable_alias(&odd, "lo");
    assert_eq!(address(&bed.attach("odd", &odd)), FIRST);
    unreadable_alias(&odd, "wlan0");
    unreadable_alias(&bed.device, "wlan0");
    bed.attach("other", &other);
    for guest in [&odd, &other] {
        assert!(guest.tcp(Internet::TCP, "hello").is_ok());
    }
    bed.detach("odd");
    assert_eq!(bed.names(), ["other"]);
}

#[test]
fn iptables_takes_the_lock_that_guestnetd_is_told_of() {
    let bed = Bed::new("iptables");
    let guest = Guest::new();
    bed.attach("demo", &guest);
    // Nothing but its own programs knows of it; iptables makes it.
    assert!(bed.daemon.xtables_lock().exists(), "{}", bed.daemon.log());
    bed.detach("demo");
}

#[test]
fn a_link_that_was_on_a_bridge_is_still_its_guests() {
    let bed = Bed::new("auto");
    let guest = Guest::new();
    bed.attach("demo", &guest);
    bed.device.run("ip link add br9 type bridge");
    bed.device.run("ip link set vm_wlan master br9");
    bed.device.run("ip link set vm_wlan nomaster");
    bed.device.run("ip link del br9");
    assert_eq!(bed.names(), ["demo"]);
    assert!(guest.tcp(Internet::TCP, "hello").is_ok());
    bed.detach("demo");
    assert!(bed.device.link("vm_wlan").is_none());
}

#[test]
fn a_link_with_an_alias_of_somebody_elses_is_its_guests_after_a_start() {
    let mut bed = Bed::new("auto");
    let guest = Guest::new();
    bed.attach("demo", &guest);
    bed.daemon.kill();
    bed.device.command("ip").args(["link", "set", "vm_wlan", "alias", "my lxc"]).status().unwrap();
    bed.start();
    assert!(guest.tcp(Internet::TCP, "hello").is_ok(), "{}", bed.daemon.log());
    assert_eq!(bed.names(), ["demo"]);
    bed.detach("demo");
}

/// Whose slot changes, and who gets the old one, must not cost anybody his file.
#[test]
fn a_slot_that_moves_on_takes_nobodys_file_along() {
    let mut bed = Bed::new("auto");
    let (a, b) = (Guest::new(), Guest::new());
    for name in ["a", "b"] {
        bed.attach(name, if name == "a" { &a } else { &b });
        bed.detach(name); // each alone: both have had slot 0
    }
    bed.attach("b", &b);
    bed.attach("a", &a);
    bed.detach("b");
    bed.attach("c", &Guest::new());
    bed.daemon.kill();
    bed.start();
    assert!(bed.names().contains(&"a".to_owned()), "{}", bed.daemon.log());
    bed.daemon.kill();
    bed.start();
    assert!(bed.names().contains(&"a".to_owned()), "{}", bed.daemon.log());
    bed.detach("a");
}

/// The kernel announces it to those who listen to IPv6, as guestnetd does not.
#[test]
fn ipv6_that_somebody_switches_on_is_off_again() {
    let bed = Bed::on(Device::new()).args("--check-every 1").build();
    let guests = [Guest::new(), Guest::new()];
    bed.attach("a", &guests[0]);
    bed.attach("b", &guests[1]);
    let keys = ["vm_wlan", "vm_wlan1"].map(|host| format!("net/ipv6/conf/{host}/disable_ipv6"));
    keys.iter().for_each(|key| bed.device.set_sysctl(key, "0"));
    for key in &keys {
        eventually(key, || bed.device.sysctl(key) == "1");
    }
    // It is said after it is done.
    let said = || bed.daemon.log().matches("put back: no IPv6 on vm_wlan").count();
    eventually("both are logged", || said() == 2);
}
