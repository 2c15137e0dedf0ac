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

//! The resolvers behind an uplink: named by setDns(), told in status() and to listeners, kept
//! while the uplink is away, and forgotten when none are named.

use android_system_guestnet::aidl::android::system::guestnet::Cause::Cause;
use android_system_guestnet::aidl::android::system::guestnet::Layer::Layer;
use android_system_guestnet::aidl::android::system::guestnet::LayerState::LayerState;
use guestnet_tests::bed::{Bed, BOUND};
use guestnet_tests::resolver::Says;
use guestnet_tests::{poll, Device};

const NAMED: [&str; 2] = ["192.0.2.53", "198.51.100.53"];

fn name(bed: &Bed, uplink: &str, servers: &[&str]) {
    let servers: Vec<_> = servers.iter().map(|server| (*server).to_owned()).collect();
    bed.service.setDns(uplink, &servers).expect("setDns");
}

fn known(bed: &Bed) -> Vec<String> {
    bed.service.status(None).expect("status").uplink.dnsServers
}

#[test]
fn named_ones_are_in_use_at_once_and_forgotten_when_none_are_named() {
    let bed = Bed::with_neighbour();
    let found = known(&bed);
    let _resolver = bed.device.internet.resolver(NAMED[0], Says::All);
    name(&bed, "wlan0", &NAMED);
    assert_eq!(known(&bed), NAMED);
    let status = bed.service.status(None).expect("status");
    let dns = status.device.iter().find(|l| l.layer == Layer::DNS).expect("the layer DNS");
    assert_eq!(dns.state, LayerState::OK, "{dns:?}");
    assert!(dns.text.contains(NAMED[0]), "{dns:?}");
    name(&bed, "wlan0", &NAMED[1..]);
    assert_eq!(known(&bed), NAMED[1..]);
    name(&bed, "wlan0", &[]);
    assert_eq!(known(&bed), found);
}

#[test]
fn those_of_another_interface_wait_until_it_is_the_uplink() {
    let bed = Bed::with_neighbour();
    let found = known(&bed);
    name(&bed, "eth7", &NAMED);
    assert_eq!(known(&bed), found);
    // wlan0's are there again when wlan0 is.
    name(&bed, "wlan0", &NAMED[1..]);
    bed.device.remove_uplink("wlan0");
    bed.device.add_uplink("wlan0");
    let again = || (known(&bed) == NAMED[1..]).then_some(());
    poll(BOUND, again).unwrap_or_else(|| panic!("{:?}", known(&bed)));
}

/// Waits until these are in use, though nothing is announced.
#[track_caller]
fn are_found(bed: &Bed, server: &str) {
    poll(BOUND, || (known(bed) == [server]).then_some(()))
        .unwrap_or_else(|| panic!("{server}: {:?}\n{}", known(bed), bed.daemon.log()));
}

#[test]
fn the_devices_own_are_followed_as_their_file_changes() {
    let bed = Bed::with_neighbour();
    let file = bed.daemon.resolv_conf();
    let beside = file.with_file_name("beside");
    let write = |path: &std::path::Path, server: &str| {
        std::fs::write(path, format!("nameserver {server}\n")).expect("a file");
    };
    // Replaced by another, as resolvconf and NetworkManager do; and written.
    write(&beside, NAMED[0]);
    std::fs::rename(&beside, &file).expect("rename");
    are_found(&bed, NAMED[0]);
    write(&file, NAMED[1]);
    are_found(&bed, NAMED[1]);
    // A link to a file elsewhere, which changes in its place.
    let elsewhere = tempfile::tempdir().expect("a directory");
    let target = elsewhere.path().join("stub.conf");
    write(&target, NAMED[0]);
    std::os::unix::fs::symlink(&target, &beside).expect("a link");
    std::fs::rename(&beside, &file).expect("rename");
    are_found(&bed, NAMED[0]);
    write(&target, NAMED[1]);
    are_found(&bed, NAMED[1]);
}

#[test]
fn a_file_whose_folder_is_made_later_is_found() {
    let dir = tempfile::tempdir().expect("a directory");
    let (link, folder) = (dir.path().join("resolv.conf"), dir.path().join("run/manager"));
    std::os::unix::fs::symlink(folder.join("resolv.conf"), &link).expect("a link");
    let args = format!("--firewall nftables --resolv-conf {}", link.display());
    let bed = Bed::on(Device::new()).args(&args).build();
    let layer = || {
        let status = bed.service.status(None).expect("status");
        status.device.into_iter().find(|l| l.layer == Layer::DNS).expect("the layer DNS")
    };
    assert_eq!((layer().state, layer().cause), (LayerState::BAD, Cause::DNS_NONE));
    assert!(layer().text.contains("No such file"), "{:?}", layer());
    std::fs::create_dir_all(&folder).expect("a folder");
    std::thread::sleep(std::time::Duration::from_millis(200));
    std::fs::write(folder.join("resolv.conf"), format!("nameserver {}\n", NAMED[0]))
        .expect("a file");
    are_found(&bed, NAMED[0]);
    // And again, after the folder went and came.
    std::fs::remove_dir_all(dir.path().join("run")).expect("remove");
    poll(BOUND, || known(&bed).is_empty().then_some(())).expect("none is known");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("resolv.conf"), format!("nameserver {}\n", NAMED[1]))
        .expect("a file");
    are_found(&bed, NAMED[1]);
}

#[test]
fn what_can_be_no_resolver_is_left_out_and_said() {
    let bed = Bed::with_neighbour();
    let file = bed.daemon.resolv_conf();
    let beside = file.with_file_name("beside");
    let neighbour = bed.service.get("neighbour").expect("get").expect("a guest").addresses[0]
        .split('/')
        .next()
        .expect("an address")
        .to_owned();
    for (n, bad) in [
        "224.0.0.251",
        "255.255.255.255",
        "169.254.7.7",
        "127.0.0.1",
        "192.0.2.255",
        "172.17.255.255",
        "172.17.3.2",
        "192.0.2.2",
        &neighbour,
    ]
    .iter()
    .enumerate()
    {
        let good = format!("192.0.2.{}", 100 + n);
        std::fs::write(&beside, format!("nameserver {bad}\nnameserver {good}\n")).expect("a file");
        std::fs::rename(&beside, &file).expect("rename");
        are_found(&bed, &good);
        let status = bed.service.status(None).expect("status");
        let dns = status.device.iter().find(|l| l.layer == Layer::DNS).expect("the layer DNS");
        assert!(dns.text.contains(&format!("{bad} is not taken")), "{dns:?}");
    }
    // Nobody waits for who writes into a FIFO, and a device has no end.
    nix::unistd::mkfifo(&beside, nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    std::fs::rename(&beside, &file).expect("rename");
    poll(BOUND, || known(&bed).is_empty().then_some(())).expect("none is known");
    std::os::unix::fs::symlink("/dev/zero", &beside).expect("a link");
    std::fs::rename(&beside, &file).expect("rename");
    poll(BOUND, || {
        let status = bed.service.status(None).expect("status");
        let dns = status.device.iter().find(|l| l.layer == Layer::DNS).expect("the layer DNS");
        (dns.cause == Cause::DNS_NONE && dns.text.contains("not a regular file")).then_some(())
    })
    .expect("said");
}

#[test]
fn as_many_uplinks_as_anybody_has_are_kept() {
    let bed = Bed::with_neighbour();
    name(&bed, "wlan0", &NAMED[1..]);
    for n in 0..200 {
        name(&bed, &format!("rmnet{n}"), &NAMED);
    }
    let kept = std::fs::read_to_string(bed.daemon.state_dir().join("resolvers.json"));
    let kept = kept.expect("resolvers.json");
    let has = |name: &str| kept.contains(&format!("\"{name}\":"));
    assert!(has("wlan0") && has("rmnet199") && !has("rmnet0"), "{kept}");
    assert!(kept.len() < 5000, "{} bytes", kept.len());
    assert_eq!(known(&bed), NAMED[1..]);
}
