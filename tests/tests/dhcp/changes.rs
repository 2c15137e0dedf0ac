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

//! What changes is told to those who have a lease: their carrier goes and comes, once.

use std::time::Duration;

use android_system_guestnet::aidl::android::system::guestnet::Dhcp::Dhcp;
use android_system_guestnet::aidl::android::system::guestnet::GuestConfig::GuestConfig;
use android_system_guestnet::aidl::android::system::guestnet::UplinkInfo::UplinkInfo;
use guestnet_tests::bed::{eventually, Bed, BOUND};
use guestnet_tests::client::config;
use guestnet_tests::{Guest, InNetns, Internet, Probe};
use serde_json::Value;

use crate::scene::Client;

/// How often the carrier of a guest's end has gone.
pub fn flaps(guest: &Guest) -> u32 {
    // /sys shows the namespace of whoever mounts it.
    let show = "mount -t sysfs none /sys && cat /sys/class/net/wlan0/carrier_down_count";
    let out = guest.command("unshare").args(["-m", "sh", "-c", show]).output().expect("sysfs");
    String::from_utf8_lossy(&out.stdout).trim().parse().expect("a number")
}

/// What is kept for the next start of what a guest's lease says.
fn kept(bed: &Bed, name: &str) -> Value {
    let path = bed.daemon.state_dir().join(format!("guests/{name}.json"));
    let text = std::fs::read_to_string(path).expect("the record");
    let record: Value = serde_json::from_str(&text).expect("JSON");
    record["attached"]["told"].clone()
}

#[test]
fn another_address_mtu_or_price_is_told_once_to_those_who_have_a_lease() {
    let bed = Bed::new("nftables");
    bed.attach("box", &bed.guest);
    let other = Guest::new();
    bed.attach("other", &other);
    let client = Client::udhcpc(&bed.guest, "-q");
    assert!(client.told().starts_with("bound ip=172.17.3.3/16"));
    let [before, others] = [flaps(&bed.guest), flaps(&other)];
    let metered = |metered| UplinkInfo { metered, ..UplinkInfo::default() };

    bed.service.setUplinkInfo("wlan0", &metered(false)).expect("as it was");
    bed.service.setUplinkInfo("eth7", &metered(true)).expect("another uplink");
    bed.service.setUplinkInfo("wlan0", &metered(true)).expect("metered");
    eventually("its carrier has gone", || flaps(&bed.guest) == before + 1);
    assert!(bed.daemon.wait_log("its carrier goes and comes", BOUND));
    // All that the kernel took from the host end is there again.
    eventually("internet", || bed.guest.tcp(Internet::TCP, "hello").is_ok());
    eventually("the layers are well", || {
        let status = bed.service.status(Some("box")).expect("status");
        status.guests[0].layers.iter().all(|l| l.text.is_empty() || l.state.0 != 2)
    });
    // It has not asked since: what it knows does not hold anyway.
    bed.service.setUplinkInfo("wlan0", &metered(false)).expect("not metered");
    let client = Client::udhcpc(&bed.guest, "-q");
    client.told();
    assert_eq!(flaps(&bed.guest), before + 1, "it was told twice");

    let to = |address: &str| GuestConfig { addresses: vec![address.to_owned()], ..config("box") };
    bed.service.update("box", &to("172.17.9.9")).expect("update");
    eventually("its carrier has gone", || flaps(&bed.guest) == before + 2);
    let client = Client::udhcpc(&bed.guest, "-q");
    assert!(client.told().starts_with("bound ip=172.17.9.9/16"));

    bed.device.run("ip link set wlan0 mtu 1400");
    eventually("its carrier has gone", || flaps(&bed.guest) == before + 3);
    let client = Client::udhcpc(&bed.guest, "-q");
    let told = client.told();
    assert!(told.contains("mtu=1400"), "{told}");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!([flaps(&bed.guest), flaps(&other)], [before + 3, others]);
}

#[test]
fn a_restart_forgets_nobody_who_has_a_lease() {
    let mut bed = Bed::new("nftables");
    bed.attach("box", &bed.guest);
    let other = Guest::new();
    bed.attach("other", &other);
    let metered = |bed: &Bed, metered| {
        let info = UplinkInfo { metered, ..UplinkInfo::default() };
        bed.service.setUplinkInfo("wlan0", &info).expect("metered, or not");
    };
    let asks = |bed: &Bed, what: &str| {
        let told = Client::udhcpc(&bed.guest, "-q").told();
        assert!(told.contains(what), "{told}");
        eventually("it is kept", || kept(bed, "box").is_object());
    };
    // Whoever was told something else before this has been looked at by then: guests are in the order of their
    // links.
    let mut next = 20;
    let mut all_are_looked_at = |bed: &Bed| {
        next += 1;
        let seen = flaps(&other);
        Client::udhcpc(&other, "-q").told();
        let to = GuestConfig { addresses: vec![format!("172.17.3.{next}")], ..config("other") };
        bed.service.update("other", &to).expect("update");
        eventually("the other is told", || flaps(&other) == seen + 1);
    };
    metered(&bed, true);
    asks(&bed, "mtu=1500");
    let before = flaps(&bed.guest);
    bed.daemon.kill();
    bed.start();
    // Nobody has said yet what it costs; then it is what it was.
    all_are_looked_at(&bed);
    metered(&bed, true);
    all_are_looked_at(&bed);
    assert_eq!(flaps(&bed.guest), before, "nothing is other than it was told");
    assert!(kept(&bed, "box").is_object(), "and it is still known what that was");
    metered(&bed, false);
    eventually("it is told the price", || flaps(&bed.guest) == before + 1);

    asks(&bed, "mtu=1500");
    bed.daemon.kill();
    bed.start();
    bed.device.run("ip link set wlan0 mtu 1400");
    eventually("it is told the MTU", || flaps(&bed.guest) == before + 2);
    asks(&bed, "mtu=1400");
    bed.daemon.kill();
    bed.device.run("ip link set wlan0 mtu 1300");
    bed.start();
    eventually("it is told what changed meanwhile", || flaps(&bed.guest) == before + 3);
    // It has not asked since, and is told once.
    eventually("that is kept", || kept(&bed, "box").is_null());
    bed.daemon.kill();
    bed.start();
    all_are_looked_at(&bed);
    assert_eq!(flaps(&bed.guest), before + 3);
}

#[test]
fn what_was_told_is_kept_at_the_end_and_forgotten_with_dhcp_off() {
    let mut bed = Bed::new("nftables");
    bed.attach("box", &bed.guest);
    let other = Guest::new();
    bed.attach("other", &other);
    Client::udhcpc(&other, "-q").told();
    eventually("it is kept at once", || kept(&bed, "other").is_object());
    // Within a second of the other's.
    Client::udhcpc(&bed.guest, "-q").told();
    bed.daemon.stop();
    assert!(kept(&bed, "box").is_object());

    bed.start();
    bed.service.update("box", &GuestConfig { dhcp: Dhcp::OFF, ..config("box") }).expect("update");
    assert!(kept(&bed, "box").is_null());
    assert!(kept(&bed, "other").is_object());
}
