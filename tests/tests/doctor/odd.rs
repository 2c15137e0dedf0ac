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

//! Bad input and bad weather: each is said, nothing hangs, nothing is left behind.

use std::io::Write;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use android_system_guestnet::aidl::android::system::guestnet::Cause::Cause;
use android_system_guestnet::aidl::android::system::guestnet::DiagnoseOptions::DiagnoseOptions;
use android_system_guestnet::aidl::android::system::guestnet::DnsMode::DnsMode;
use android_system_guestnet::aidl::android::system::guestnet::GuestConfig::GuestConfig;
use android_system_guestnet::aidl::android::system::guestnet::IGuestNet::{
    ERROR_BAD_NAME, ERROR_BAD_PROBE_TARGET, ERROR_GUEST_GONE, ERROR_NO_SUCH_GUEST,
};
use android_system_guestnet::aidl::android::system::guestnet::Layer::Layer;
use android_system_guestnet::aidl::android::system::guestnet::ProbeOutcome::ProbeOutcome;
use android_system_guestnet::aidl::android::system::guestnet::Verdict::Verdict;
use guestnet_tests::bed::{eventually, held};
use guestnet_tests::client::{by_pid, config};
use guestnet_tests::resolver::Says;
use guestnet_tests::{Device, InNetns, Probe};

use crate::beyond::Mood;
use crate::broken::hook;
use crate::{options, shown, Ward};

/// The code and the words of a refusal.
#[track_caller]
fn refused(ward: &Ward, name: Option<&str>, options: &DiagnoseOptions) -> (i32, String) {
    let e = ward.bed.service.diagnose(name, options).expect_err("it is refused");
    (e.service_specific_error(), e.to_string())
}

/// Sockets and all else that guestnetd has open.
fn open_files(ward: &Ward) -> usize {
    let path = format!("/proc/{}/fd", ward.bed.daemon.pid());
    std::fs::read_dir(path).expect("its descriptors").count()
}

#[test]
fn what_is_wrong_with_a_request_is_said() {
    let ward = Ward::new("nftables");
    assert_eq!(refused(&ward, Some("nobody"), &options()).0, ERROR_NO_SUCH_GUEST);
    assert_eq!(refused(&ward, Some("no body"), &options()).0, ERROR_BAD_NAME);
    let with = |targets: &[&str], url: &str, name: &str| DiagnoseOptions {
        targets: targets.iter().map(|target| (*target).to_owned()).collect(),
        url: url.to_owned(),
        name: name.to_owned(),
        trace: false,
    };
    for (options, text) in [
        (with(&["example.org"], "", ""), "example.org"),
        (with(&["127.0.0.1"], "", ""), "127.0.0.1"),
        (with(&["1.1.1.1"; 5], "", ""), "four"),
        (with(&[], "https://a.test/", ""), "https://a.test/"),
        (with(&[], "http://a.test/\r\nX: y", ""), "http://a.test/"),
        (with(&[], "", "a..b"), "a..b"),
    ] {
        let (code, words) = refused(&ward, Some("demo"), &options);
        assert_eq!(code, ERROR_BAD_PROBE_TARGET, "{words}");
        assert!(words.contains(text), "{text}: {words}");
    }
}

#[test]
fn a_guest_that_chooses_who_answers_it_is_told_of_those() {
    let ward = Ward::empty(Device::new(), "--firewall nftables");
    let other = "203.0.113.99";
    let resolver = ward.bed.device.internet.resolver(other, Says::Nothing);
    let demo = || GuestConfig { dns: DnsMode::FORWARD, ..config("demo") };
    ward.bed.attach_as(&demo(), &by_pid(ward.guest.pid()));
    ward.is_healthy();
    let own = GuestConfig { dns: DnsMode::SERVERS, dnsServers: vec![other.to_owned()], ..demo() };
    ward.bed.service.update("demo", &own).expect("update");
    ward.is(Cause::DNS_SILENT, other);
    // What status has heard of a resolver holds for two seconds.
    let heard = |cause| {
        eventually("it is asked again", || {
            let status = ward.bed.service.status(Some("demo")).expect("status").guests.remove(0);
            status.layers.iter().any(|layer| layer.layer == Layer::DNS && layer.cause == cause)
        });
    };
    resolver.says(Says::Refused);
    heard(Cause::DNS_REFUSED);
    ward.is(Cause::DNS_REFUSED, other);
    resolver.says(Says::All);
    heard(Cause::HEALTHY);
    ward.is_healthy();
    // The device's own is not the one that it asks.
    ward.beyond.is_now(Mood::Silent);
    ward.is_healthy();
    ward.bed.service.update("demo", &demo()).expect("update");
    heard(Cause::DNS_SILENT);
    ward.is(Cause::DNS_SILENT, "203.0.113.53");
}

#[test]
fn a_device_is_examined_alone() {
    let ward = Ward::empty(Device::new(), "--firewall nftables");
    let alone = || ward.bed.service.diagnose(None, &options()).expect("diagnose");
    let found = alone();
    assert_eq!((found.cause, found.guest.as_str()), (Cause::HEALTHY, ""), "{}", shown(&found));
    assert!(found.probes.iter().all(|probe| probe.guest == ProbeOutcome::NOT_MADE));
    hook(&ward.bed.device.internet, "filter", "prerouting", 0, "ip daddr 203.0.113.0/24 drop");
    let found = alone();
    assert_eq!(found.cause, Cause::UPSTREAM_DOWN, "{}", shown(&found));
}

#[test]
fn a_guest_that_dies_meanwhile_is_gone_and_leaves_nothing() {
    let mut ward = Ward::new("nftables");
    // So that it takes its time.
    hook(&ward.bed.device.internet, "filter", "input", 0, "icmp type echo-request drop");
    let before = open_files(&ward);
    let service = ward.bed.daemon.connect();
    let asked = thread::spawn(move || {
        let began = Instant::now();
        let answer = service.diagnose(Some("demo"), &options());
        (answer.map(|found| shown(&found)), began.elapsed())
    });
    thread::sleep(Duration::from_millis(500));
    ward.guest.kill();
    let (answer, took) = asked.join().expect("the answer");
    let e = answer.expect_err("it is gone");
    assert_eq!(e.service_specific_error(), ERROR_GUEST_GONE, "{e}");
    assert!(took < Duration::from_secs(3), "{took:?}");
    let gone = Instant::now();
    eventually("its link is gone", || ward.bed.device.link("vm_wlan").is_none());
    assert!(gone.elapsed() < Duration::from_secs(1), "{:?}", gone.elapsed());
    // The connection that asked is closed in its own time.
    eventually("nothing stays open", || open_files(&ward) <= before);
    assert_eq!(ward.bed.names(), [""; 0]);
}

#[test]
fn nothing_of_the_guests_stays_open() {
    let mut ward = Ward::new("iptables");
    // By then the resolvers that the attach had asked have answered.
    ward.is_healthy();
    let (pid, before) = (ward.bed.daemon.pid(), open_files(&ward));
    for _ in 0..3 {
        ward.is_healthy();
        assert_eq!(held(pid, &ward.guest), [""; 0]);
    }
    assert_eq!(open_files(&ward), before);
    let links = ward.guest.links();
    assert!(links.iter().all(|name| !name.starts_with("gn")), "{links:?}");
    ward.guest.kill();
    let gone = Instant::now();
    eventually("its link is gone", || ward.bed.device.link("vm_wlan").is_none());
    assert!(gone.elapsed() < Duration::from_secs(1), "no socket of the kernel's keeps it");
}

#[test]
fn two_doctors_at_once_do_not_disturb_each_other() {
    let ward = Ward::new("nftables");
    thread::scope(|scope| {
        let ask = || {
            let service = ward.bed.daemon.connect();
            let found = service.diagnose(Some("demo"), &options()).expect("diagnose");
            assert_eq!(found.cause, Cause::HEALTHY, "{}", shown(&found));
        };
        let all: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
        all.into_iter().for_each(|one| one.join().expect("one of them"));
    });
}

/// Others are answered meanwhile: nobody waits for probes but who asked for them.
#[test]
fn others_are_served_meanwhile() {
    let ward = Ward::new("nftables");
    hook(&ward.bed.device.internet, "filter", "prerouting", 0, "ip daddr 203.0.113.0/24 drop");
    thread::scope(|scope| {
        let asked = scope.spawn(|| {
            let service = ward.bed.daemon.connect();
            service.diagnose(Some("demo"), &options()).expect("diagnose").cause
        });
        thread::sleep(Duration::from_millis(300));
        let began = Instant::now();
        ward.bed.service.list().expect("list");
        assert!(began.elapsed() < Duration::from_millis(800), "{:?}", began.elapsed());
        assert!(!asked.is_finished(), "it was too fast to tell");
        assert_eq!(asked.join().expect("its answer"), Cause::UPSTREAM_DOWN);
    });
}

#[test]
fn a_guest_that_answers_its_own_probes_is_found_out() {
    let ward = Ward::new("nftables");
    ward.guest.run("ip link set lo up");
    let servers = ward
        .guest
        .enter(|| [80, 443].map(|port| TcpListener::bind(("0.0.0.0", port)).expect("a server")));
    hook(&ward.guest, "nat", "output", -100, "ip daddr 203.0.113.0/24 meta l4proto tcp redirect");
    let found = ward.diagnose();
    assert_eq!(found.cause, Cause::GUEST_FIREWALL, "{}", shown(&found));
    assert!(found.text.contains("itself"), "{}", found.text);
    drop(servers);
}

#[test]
fn a_guest_that_sends_with_anothers_address_is_found_out() {
    let ward = Ward::new("nftables");
    hook(&ward.guest, "nat", "postrouting", 100, "oifname wlan0 snat to 172.17.3.99");
    let found = ward.diagnose();
    assert_eq!(found.cause, Cause::GUEST_FIREWALL, "{}", shown(&found));
    assert!(found.text.contains("172.17.3.99"), "{}", found.text);
}

/// Answers to others' pings reach each raw socket, too.
#[test]
fn a_guest_that_floods_its_gateway_changes_nothing() {
    let ward = Ward::new("nftables");
    let mut flood = ward.guest.command("ping");
    let flood = flood.args(["-q", "-f", "-w", "8", "172.17.3.2"]).stdout(Stdio::null()).spawn();
    let mut flood = flood.expect("ping");
    ward.is_healthy();
    let _ = flood.kill();
    let _ = flood.wait();
}

#[test]
fn a_namespace_full_of_addresses_is_read_in_time() {
    let ward = Ward::new("nftables");
    let mut batch = ward.guest.command("ip");
    let mut batch = batch.args(["-batch", "-"]).stdin(Stdio::piped()).spawn().expect("ip");
    let lines = (0..10_000u32).map(|n| {
        let (b, c, d) = (n >> 16 & 0xff, n >> 8 & 0xff, n & 0xff);
        format!("addr add 10.{b}.{c}.{d}/32 dev wlan0\nroute add 11.{b}.{c}.{d}/32 dev wlan0\n")
    });
    let text: String = lines.collect();
    batch.stdin.take().expect("its input").write_all(text.as_bytes()).expect("lines");
    assert!(batch.wait().expect("ip").success());
    ward.is_healthy();
}

/// As SELinux may have it.
#[test]
fn a_guest_that_may_not_be_entered_is_said_to_be_so() {
    let ward = Ward::new("nftables");
    let pid = ward.bed.daemon.pid().to_string();
    let mut strace = Command::new("strace")
        .args(["-f", "-qq", "-e", "trace=setns", "-e", "inject=setns:error=EPERM", "-p", &pid])
        .stderr(Stdio::null())
        .spawn()
        .expect("strace");
    // All its threads: strace takes one after the other.
    let traced = || {
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("its threads");
        tasks.flatten().all(|task| {
            let status = std::fs::read_to_string(task.path().join("status")).unwrap_or_default();
            // One that has ended has no status.
            status.lines().all(|line| !line.starts_with("TracerPid:") || !line.ends_with("\t0"))
        })
    };
    eventually("it is traced", traced);
    let found = ward.diagnose();
    let _ = nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(strace.id() as i32),
        nix::sys::signal::Signal::SIGTERM,
    );
    let _ = strace.wait();
    assert_eq!(
        (found.verdict, found.cause),
        (Verdict::UNSURE, Cause::UNREADABLE),
        "{}",
        shown(&found)
    );
    assert!(found.text.contains("EPERM"), "{}", found.text);
    ward.is_healthy();
}

/// status, list and the rest send nothing to where doctor's probes go.
#[test]
fn nothing_else_sends_probes() {
    let ward = Ward::new("nftables");
    let counted = "ip daddr 203.0.113.0/24 counter";
    hook(&ward.bed.device.internet, "filter", "prerouting", 0, counted);
    let packets = || {
        let table = ward.bed.device.internet.run("nft list table ip others");
        table.contains("packets 0 ")
    };
    for _ in 0..3 {
        ward.bed.service.status(None).expect("status");
        ward.bed.service.list().expect("list");
    }
    assert!(packets());
    ward.is_healthy();
    assert!(!packets());
}
