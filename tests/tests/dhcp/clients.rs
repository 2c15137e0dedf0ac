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

//! Clients get what the guest was attached with, keep it, and learn of what becomes another.

use std::time::Duration;

use android_system_guestnet::aidl::android::system::guestnet::Dhcp::Dhcp;
use android_system_guestnet::aidl::android::system::guestnet::DnsMode::DnsMode;
use android_system_guestnet::aidl::android::system::guestnet::GuestConfig::GuestConfig;
use android_system_guestnet::aidl::android::system::guestnet::IGuestNet::{
    ERROR_BAD_CAPTIVE_PORTAL, ERROR_BAD_ENUM, ERROR_BAD_INTERFACE_NAME,
};
use android_system_guestnet::aidl::android::system::guestnet::UplinkInfo::UplinkInfo;
use guestnet_tests::bed::Bed;
use guestnet_tests::client::{by_pid, config};
use guestnet_tests::{with_both_backends, Device, Guest, Internet, Probe};
use nix::sys::signal::Signal;

use crate::scene::{counters, forget, Client};

with_both_backends!(udhcpc_gets_what_was_attached_and_renews_it);

fn udhcpc_gets_what_was_attached_and_renews_it(firewall: &str) {
    let bed = Bed::new(firewall);
    let other = Guest::new();
    bed.attach("other", &other);
    let config = GuestConfig { mtu: 1400, ..config("box") };
    bed.attach_as(&config, &by_pid(bed.guest.pid()));
    forget(&bed.guest);
    let client = Client::udhcpc(&bed.guest, "");
    let lease = "ip=172.17.3.4/16 router=172.17.3.2 dns=172.17.3.2 mtu=1400 lease=3600 \
                 renew=00000708 rebind=00000c4e \
                 serverid=172.17.3.2 broadcast=172.17.255.255 hostname=box \
                 staticroutes=0.0.0.0/0 172.17.3.2 opt43= opt114= domain=";
    assert_eq!(client.told(), format!("bound {lease}"));
    assert_eq!(bed.guest.tcp(Internet::TCP, "hello").expect("internet"), "192.0.2.2 hello");
    client.signal(Signal::SIGUSR1);
    assert_eq!(client.told(), format!("renew {lease}"), "RENEWING, by unicast");
    // On a busy machine it asks again before it has read the answer.
    let [offers, acks, naks, refused] = counters(&bed, "box");
    assert!(offers >= 1 && acks >= 2, "{offers} offers, {acks} acks");
    assert_eq!([naks, refused], [0; 2]);
    assert_eq!(counters(&bed, "other"), [0; 4], "it has not asked");
}

/// Where guestnetd itself answers for names there is a zone to complete them with: a resolver behind DNAT knows none.
#[test]
fn the_zone_of_guests_names_is_the_domain_of_those_who_are_answered_by_it() {
    let domain = |bed: &Bed, dns: DnsMode| {
        let config = GuestConfig { dns, ..config("box") };
        bed.attach_as(&config, &by_pid(bed.guest.pid()));
        let told = Client::udhcpc(&bed.guest, "-q").told();
        bed.detach("box");
        told.split_once(" domain=").expect("its words").1.to_owned()
    };
    let with = |args: &str| {
        Bed::on(Device::new()).args(&format!("--dns 192.0.2.53 --firewall nftables {args}")).build()
    };
    let usual = with("");
    assert_eq!(domain(&usual, DnsMode::FORWARD), "guest");
    assert_eq!(domain(&usual, DnsMode::DNAT), "");
    assert_eq!(domain(&with("--guest-zone car.internal"), DnsMode::FORWARD), "car.internal");
    assert_eq!(domain(&with("--guest-zone none"), DnsMode::FORWARD), "");
}

#[test]
fn a_restart_of_guestnetd_is_not_noticed() {
    let mut bed = Bed::new("nftables");
    bed.attach("box", &bed.guest);
    let client = Client::udhcpc(&bed.guest, "");
    let bound = client.told();
    bed.daemon.kill();
    bed.start();
    client.signal(Signal::SIGUSR1);
    assert_eq!(client.told(), bound.replace("bound", "renew"));
    assert!(counters(&bed, "box")[1] >= 1);
}

#[test]
fn guests_that_do_not_ask_cost_nothing() {
    let bed = Bed::new("nftables");
    bed.attach("box", &bed.guest);
    let other = Guest::new();
    bed.attach("other", &other);
    let client = Client::udhcpc(&bed.guest, "-q");
    client.told();
    // Who rings at the server's thread wakes it: nobody does.
    let wakes = || {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", bed.daemon.pid())).expect("tasks");
        let read = |task: std::path::PathBuf, file| std::fs::read_to_string(task.join(file));
        let mut tasks = tasks.flatten().map(|task| task.path());
        let serve = tasks.find(|task| read(task.clone(), "comm").is_ok_and(|c| c == "serve\n"));
        let status = read(serve.expect("its thread"), "status").expect("its status");
        let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches"));
        line.expect("switches").to_owned()
    };
    let before = wakes();
    assert!(other.ping(Internet::ADDRESS));
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(wakes(), before);
}

#[test]
fn what_cannot_be_is_refused() {
    fn code<T>(result: binder::Result<T>) -> i32 {
        result.err().map_or(0, |status| status.service_specific_error())
    }
    let bed = Bed::new("nftables");
    let odd = GuestConfig { dhcp: Dhcp(7), ..config("box") };
    let refused = bed.service.attach(&odd, &by_pid(bed.guest.pid()), None);
    assert_eq!(code(refused), ERROR_BAD_ENUM);
    let told = |uplink: &str, url: Option<String>| {
        let info = UplinkInfo { captivePortalUrl: url, ..UplinkInfo::default() };
        code(bed.service.setUplinkInfo(uplink, &info))
    };
    for url in ["", "portal.example", "https://", "https://a b", "https://\u{e4}", "ftp://x"] {
        assert_eq!(told("wlan0", Some(url.to_owned())), ERROR_BAD_CAPTIVE_PORTAL, "{url}");
    }
    let long = format!("https://{}", bed.letters(100_000));
    assert_eq!(told("wlan0", Some(long)), ERROR_BAD_CAPTIVE_PORTAL);
    for uplink in ["", "lo", "vm_wlan", "wlan*", "sixteen-bytes-xx"] {
        assert_eq!(told(uplink, None), ERROR_BAD_INTERFACE_NAME, "{uplink}");
    }
    bed.attach("box", &bed.guest);
}

#[test]
fn a_guest_that_is_not_to_be_answered_is_not() {
    let bed = Bed::new("nftables");
    let off = GuestConfig { dhcp: Dhcp::OFF, ..config("box") };
    bed.attach_as(&off, &by_pid(bed.guest.pid()));
    let client = Client::udhcpc(&bed.guest, "");
    assert!(client.is_told_nothing(Duration::from_secs(2)));
    let on = bed.service.update("box", &config("box")).expect("update");
    assert_eq!(on.dhcp, Dhcp::AUTO);
    assert!(client.told().starts_with("bound ip=172.17.3.3/16"));
    bed.service.update("box", &off).expect("update");
    client.signal(Signal::SIGUSR1);
    assert!(client.is_told_nothing(Duration::from_secs(1)));
}

#[test]
fn what_the_platform_knows_of_the_uplink_is_told() {
    let bed = Bed::new("nftables");
    let url = "https://portal.example/api";
    let info =
        |metered| UplinkInfo { metered, captivePortalUrl: Some(url.to_owned()), validated: false };
    bed.service.setUplinkInfo("wlan0", &info(true)).expect("setUplinkInfo");
    bed.service.setUplinkInfo("eth7", &info(false)).expect("setUplinkInfo");
    bed.attach("box", &bed.guest);
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    let client = Client::udhcpc(&bed.guest, "");
    let expected = format!("opt43={} opt114={} domain=", hex("ANDROID_METERED"), hex(url));
    let told = client.told();
    assert!(told.ends_with(&expected), "{told}");
}
