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

//! The uplink's MTU changes: guests that asked for none follow, the others keep theirs, and nothing
//! is left of the way into them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use android_system_guestnet::aidl::android::system::guestnet::GuestConfig::GuestConfig;
use android_system_guestnet::aidl::android::system::guestnet::GuestEvent::GuestEvent;
use android_system_guestnet::aidl::android::system::guestnet::VpnPolicy::VpnPolicy;
use guestnet_tests::bed::{eventually, held, second_way, Bed, Listener, Stream, BOUND};
use guestnet_tests::client::{by_pid, config};
use guestnet_tests::snapshot::open_fds;
use guestnet_tests::{Daemon, Device, Guest, InNetns, Internet, Probe, Snapshot};

/// The MTUs of a guest's ends, the device's first, and the one that guestnetd tells.
fn mtus(bed: &Bed, name: &str, guest: &Guest) -> [i64; 3] {
    let told = bed.service.get(name).expect("get").expect("it is attached");
    let of = |link: Option<serde_json::Value>| link.expect("a link")["mtu"].as_i64().expect("mtu");
    [of(bed.device.link(&told.hostInterface)), of(guest.link("wlan0")), told.mtu.into()]
}

#[track_caller]
fn assert_follows(bed: &Bed, name: &str, guest: &Guest, mtu: i64) {
    eventually(&format!("{name} has MTU {mtu}"), || mtus(bed, name, guest) == [mtu; 3]);
}

/// Both sides of the uplink: what is larger is not on the way for long.
fn set_mtu(device: &Device, mtu: u32) {
    device.run(&format!("ip link set wlan0 mtu {mtu}"));
    device.internet.run(&format!("ip link set device mtu {mtu}"));
}

/// What is open once the threads have ended that work on guests, ask resolvers, forget connections.
#[track_caller]
fn open_at_rest(bed: &Bed) -> Vec<String> {
    let pid = bed.daemon.pid();
    let threads = || {
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("its threads").flatten();
        tasks.map(|task| fs::read_to_string(task.path().join("comm")).unwrap_or_default())
    };
    let passing = |name: String| ["guests", "names", "conntrack"].contains(&name.trim());
    eventually("no thread is left", || !threads().any(passing));
    open_fds(pid)
}

/// The thread that does it is gone, and with it all that it had.
#[track_caller]
fn assert_nothing_stays(bed: &Bed, guests: &[&Guest], before: &[String]) {
    let pid = bed.daemon.pid();
    let mut open = open_at_rest(bed);
    open.sort();
    assert_eq!(open.len(), before.len(), "{before:?}\n{open:?}");
    for guest in guests {
        assert_eq!(held(pid, *guest), [""; 0]);
        assert_eq!(guest.links(), ["lo", "wlan0"]);
    }
    let links = bed.device.links();
    assert!(links.iter().all(|name| !name.starts_with("gn")), "{links:?}");
}

#[test]
fn guests_follow_and_others_keep_theirs() {
    let bed = Bed::new("auto");
    let (a, b, own) = (Guest::new(), Guest::new(), Guest::new());
    bed.attach("a", &a);
    bed.attach("b", &b);
    bed.attach_as(&GuestConfig { mtu: 1450, ..config("own") }, &by_pid(own.pid()));
    let before = Snapshot::of(&bed.device);
    let listener = Listener::on(&**bed.service);
    let stream = Stream::open(&a);
    bed.names();
    let open = open_at_rest(&bed);
    for mtu in [1400, 9000, 1280, 1500] {
        set_mtu(&bed.device, mtu);
        assert_follows(&bed, "a", &a, mtu.into());
        assert_follows(&bed, "b", &b, mtu.into());
        assert_eq!(mtus(&bed, "own", &own), [1450; 3]);
        let mut told = [listener.wait_guest(), listener.wait_guest()].map(|(event, name, _)| {
            assert_eq!(event, GuestEvent::STATE);
            name
        });
        told.sort();
        assert_eq!(told, ["a", "b"], "one notice each, and none of the other");
        stream.assert_flows();
        assert_eq!(b.tcp(Internet::TCP, "b").unwrap(), "192.0.2.2 b");
        assert_nothing_stays(&bed, &[&a, &b, &own], &open);
    }
    before.assert_same(&Snapshot::of(&bed.device));
    stream.end();
    assert!(!bed.daemon.log().contains("keeps MTU"), "{}", bed.daemon.log());
    for name in ["a", "b", "own"] {
        bed.detach(name);
    }
}

/// Whatever is under way when the uplink changes again, the last one counts.
#[test]
fn the_last_of_many_changes_counts() {
    let bed = Bed::new("auto");
    let guests: Vec<_> = (0..8).map(|k| (format!("guest{k}"), Guest::new())).collect();
    for (name, guest) in &guests {
        bed.attach(name, guest);
    }
    let open = open_at_rest(&bed);
    for mtu in (1300..1400).step_by(10) {
        bed.device.run(&format!("ip link set wlan0 mtu {mtu}"));
    }
    for (name, guest) in &guests {
        assert_follows(&bed, name, guest, 1390);
    }
    let all: Vec<_> = guests.iter().map(|(_, guest)| guest).collect();
    assert_nothing_stays(&bed, &all, &open);
}

#[test]
fn a_change_while_guestnetd_was_away_is_made_up_for() {
    let mut bed = Bed::new("auto");
    let (a, own) = (Guest::new(), Guest::new());
    bed.attach("a", &a);
    bed.attach_as(&GuestConfig { mtu: 1450, ..config("own") }, &by_pid(own.pid()));
    bed.daemon.kill();
    set_mtu(&bed.device, 1400);
    bed.start();
    assert_follows(&bed, "a", &a, 1400);
    // It is in the record, too; and what a crash left undone is seen though the record says else.
    bed.daemon.kill();
    a.run("ip link set wlan0 mtu 1300");
    bed.start();
    assert_eq!(bed.service.get("a").unwrap().expect("a").mtu, 1400);
    assert_follows(&bed, "a", &a, 1400);
    bed.daemon.kill();
    bed.device.run("ip link set vm_wlan mtu 1300");
    bed.start();
    assert_follows(&bed, "a", &a, 1400);
    assert_eq!(mtus(&bed, "own", &own), [1450; 3]);
    // An uplink that is not there has no MTU.
    bed.device.remove_uplink("wlan0");
    eventually("no uplink", || bed.service.status(None).unwrap().uplink.interfaceIndex == 0);
    assert_eq!(mtus(&bed, "a", &a), [1400; 3]);
    bed.device.add_uplink("wlan0");
    assert_follows(&bed, "a", &a, 1500);
    assert_eq!(a.tcp(Internet::TCP, "a").unwrap(), "192.0.2.2 a");
}

/// The guests' processes die, or the guests are detached, at moments spread over the change.
#[test]
fn a_guest_that_ends_meanwhile_is_no_error() {
    let bed = Bed::new("auto");
    let stays = Guest::new();
    bed.attach("stays", &stays);
    let before = Snapshot::of(&bed.device);
    let open = open_at_rest(&bed).len();
    let mut mtu = 1500;
    for round in 0..20 {
        let mut guests: Vec<_> = (0..3).map(|k| (format!("guest{k}"), Guest::new())).collect();
        for (name, guest) in &guests {
            bed.attach(name, guest);
        }
        mtu = if mtu == 1500 { 1400 } else { 1500 };
        bed.device.run(&format!("ip link set wlan0 mtu {mtu}"));
        let moment = Instant::now();
        while moment.elapsed() < Duration::from_millis(5 * round) {
            std::hint::spin_loop();
        }
        bed.detach("guest1");
        for (_, guest) in &mut guests {
            guest.kill();
        }
        // Nothing holds their namespaces: the links go.
        let links = || bed.device.links().iter().filter(|n| n.starts_with("vm_wlan")).count();
        eventually("the links are gone", || links() == 1);
        eventually("nobody else is attached", || bed.names() == ["stays"]);
        assert_follows(&bed, "stays", &stays, mtu);
    }
    assert_eq!(mtu, 1500);
    eventually("nothing is left", || Snapshot::of(&bed.device) == before);
    eventually("nothing is open", || open_fds(bed.daemon.pid()).len() == open);
    assert_eq!(stays.links(), ["lo", "wlan0"]);
    assert!(!bed.daemon.log().contains("keeps MTU"), "{}", bed.daemon.log());
}

/// As an earlier version, or a kernel that has no handles of namespaces, leaves a guest's record.
fn forget_handle(bed: &Bed, name: &str) {
    let path = bed.daemon.state_dir().join(format!("guests/{name}.json"));
    let text = fs::read_to_string(&path).expect("the record");
    let mut record: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    record["attached"]["netns"] = serde_json::json!({"id": null, "handle": null});
    // An earlier version had no checksum; with one that is wrong the record is not believed.
    record["version"] = 1.into();
    record.as_object_mut().expect("an object").remove("crc32").expect("its checksum");
    fs::write(path, record.to_string()).expect("written");
}

#[test]
fn without_a_handle_the_way_in_is_by_a_tun_device() {
    let mut bed = Bed::new("auto");
    let guest = Guest::new();
    bed.attach("demo", &guest);
    let open = open_at_rest(&bed);
    for mtu in [1400, 1500, 1300] {
        bed.daemon.kill();
        forget_handle(&bed, "demo");
        bed.start();
        set_mtu(&bed.device, mtu);
        assert_follows(&bed, "demo", &guest, mtu.into());
    }
    assert_eq!(guest.tcp(Internet::TCP, "demo").unwrap(), "192.0.2.2 demo");
    assert_nothing_stays(&bed, &[&guest], &open);
}

#[test]
fn without_a_way_in_a_guest_keeps_its_mtu_and_works() {
    let dir = tempfile::tempdir().expect("a directory");
    let program = dir.path().join("start");
    let script = "#!/bin/sh\nmount -t tmpfs none /dev/net && exec \"$@\"\n";
    fs::write(&program, script).expect("the script");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).expect("chmod");
    let device = Device::new();
    let daemon = Daemon::new(&device).by(&format!("unshare -m {}", program.display())).started();
    let mut bed = Bed::around(device, daemon).build();
    let guest = Guest::new();
    bed.attach("demo", &guest);
    bed.daemon.kill();
    forget_handle(&bed, "demo");
    bed.start();
    set_mtu(&bed.device, 1400);
    let words = "demo: keeps MTU 1500, 1400 is due: open /dev/net/tun: ENOENT";
    assert!(bed.daemon.wait_log(words, BOUND), "{}", bed.daemon.log());
    assert_eq!(mtus(&bed, "demo", &guest), [1500; 3]);
    assert_eq!(guest.tcp(Internet::TCP, "demo").unwrap(), "192.0.2.2 demo");
    assert_nothing_stays(&bed, &[&guest], &open_at_rest(&bed));
}

#[test]
fn a_guest_that_leaves_by_a_tun_follows_that_one() {
    let device = Device::new();
    let beyond = second_way(&device, "tun0");
    device.run("ip link set tun0 mtu 1420");
    let mut bed = Bed::on(device).build();
    let (by_tun, other) = (Guest::new(), Guest::new());
    let named = VpnPolicy::NAMED_TUN;
    let vpn = GuestConfig { vpnPolicy: named, uplink: Some("tun0".into()), ..config("vpn") };
    assert_eq!(bed.attach_as(&vpn, &by_pid(by_tun.pid())).mtu, 1420);
    bed.attach("other", &other);
    let has = |bed: &Bed, vpn: i64, uplink: i64| {
        assert_follows(bed, "vpn", &by_tun, vpn);
        assert_follows(bed, "other", &other, uplink);
    };
    has(&bed, 1420, 1500);
    bed.device.run("ip link set tun0 mtu 1380");
    has(&bed, 1380, 1500);
    set_mtu(&bed.device, 1400);
    has(&bed, 1380, 1400);
    // Also what changed while nobody looked, and not what a tun has that is down.
    bed.daemon.kill();
    bed.device.run("ip link set tun0 mtu 1300");
    bed.start();
    has(&bed, 1300, 1400);
    bed.device.run("ip link set tun0 down");
    bed.device.run("ip link set tun0 mtu 1280");
    set_mtu(&bed.device, 1500);
    has(&bed, 1300, 1500);
    bed.device.run("ip link set tun0 up");
    has(&bed, 1280, 1500);
    drop(beyond);
}

#[test]
fn an_mtu_that_somebody_gives_a_host_end_is_put_back() {
    let bed = Bed::on(Device::new()).args("--check-every 1").build();
    let (follows, own) = (Guest::new(), Guest::new());
    bed.attach("follows", &follows);
    bed.attach_as(&GuestConfig { mtu: 1450, ..config("own") }, &by_pid(own.pid()));
    for (host, name, guest, mtu) in
        [("vm_wlan", "follows", &follows, 1500), ("vm_wlan1", "own", &own, 1450)]
    {
        for other in [1200, 9000] {
            bed.device.run(&format!("ip link set {host} mtu {other}"));
            assert_follows(&bed, name, guest, mtu);
        }
    }
    // What is inside is the guest's.
    own.run("ip link set wlan0 mtu 1300");
    bed.device.run("ip link set vm_wlan1 mtu 1400");
    eventually("the host end alone", || mtus(&bed, "own", &own) == [1450, 1300, 1450]);
}
