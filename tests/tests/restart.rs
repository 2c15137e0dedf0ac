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

//! guestnetd ends and starts again: guests do not notice, and what is left of others stays.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use android_system_guestnet::aidl::android::system::guestnet::Cause::Cause;
use android_system_guestnet::aidl::android::system::guestnet::GuestConfig::GuestConfig;
use android_system_guestnet::aidl::android::system::guestnet::GuestState::GuestState;
use android_system_guestnet::aidl::android::system::guestnet::IGuestNet::ERROR_HOST_INTERFACE_EXISTS;
use android_system_guestnet::aidl::android::system::guestnet::Layer::Layer;
use android_system_guestnet::aidl::android::system::guestnet::Lifeline::Lifeline;
use android_system_guestnet::aidl::android::system::guestnet::Verdict::Verdict;
use android_system_guestnet::aidl::android::system::guestnet::VpnPolicy::VpnPolicy;
use guestnet_tests::bed::{eventually, guests_rules, guests_table, Bed, Stream, FIRST};
use guestnet_tests::client::{address, by_pid, config};
use guestnet_tests::{Daemon, Device, Guest, InNetns, Internet, Probe, Snapshot};

guestnet_tests::with_both_backends!(
    a_guest_does_not_notice_a_restart,
    without_guests_a_stop_leaves_nothing,
    what_the_device_lost_meanwhile_is_put_back,
    guests_whose_links_have_each_others_names_get_their_own_back,
);

fn a_guest_does_not_notice_a_restart(firewall: &str) {
    let mut bed = Bed::new(firewall);
    let before = Snapshot::of(&bed.device);
    let (a, b) = (Guest::new(), Guest::new());
    bed.attach("a", &a);
    bed.attach("b", &b);
    let stream = Stream::open(&b);
    bed.detach("a");
    let told = bed.service.get("b").unwrap().expect("b");
    let attached = Snapshot::of(&bed.device);
    for crash in [false, true, false] {
        end(&mut bed, crash);
        stream.assert_flows();
        assert_eq!(b.tcp(Internet::TCP, "alone").unwrap(), "192.0.2.2 alone");
        bed.start();
        stream.assert_flows();
        attached.assert_same(&Snapshot::of(&bed.device));
        assert_eq!(bed.names(), ["b"]);
        let now = bed.service.get("b").unwrap().expect("b");
        assert_eq!((&now.addresses, now.slot), (&told.addresses, told.slot));
        assert_eq!((now.ownerUid, now.attachedAtMillis), (told.ownerUid, told.attachedAtMillis));
        assert_eq!((&now.mac, now.mtu, now.state), (&told.mac, told.mtu, told.state));
    }
    // Who has gone keeps its slot, too.
    assert_eq!(address(&bed.attach("a", &a)), FIRST);
    bed.detach("a");
    stream.end();
    bed.detach("b");
    before.assert_same(&Snapshot::of(&bed.device));
    assert_eq!((a.links(), b.links()), (vec!["lo".to_owned()], vec!["lo".to_owned()]));
}

fn without_guests_a_stop_leaves_nothing(firewall: &str) {
    let mut bed = Bed::new(firewall);
    let running = Snapshot::of(&bed.device);
    assert!(bed.daemon.stop().success());
    let before = Snapshot::of(&bed.device);
    assert!(before.diff(&running).is_some(), "the rules can be seen");
    for _ in 0..2 {
        bed.start();
        let guest = Guest::new();
        bed.attach("demo", &guest);
        bed.detach("demo");
        assert!(bed.daemon.stop().success());
        before.assert_same(&Snapshot::of(&bed.device));
        assert!(!before.text().contains("guestnet"), "{}", before.text());
    }
}

fn what_the_device_lost_meanwhile_is_put_back(firewall: &str) {
    let mut bed = Bed::new(firewall);
    let (a, b) = (Guest::new(), Guest::new());
    bed.attach("a", &a);
    bed.attach("b", &b);
    // The order of the routes is that of their coming.
    let lines = |bed: &Bed| {
        let snapshot = Snapshot::of(&bed.device);
        snapshot.text().lines().map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let before = lines(&bed);
    bed.remove_rules();
    bed.device.run("ip addr flush dev vm_wlan");
    bed.device.run("ip link set vm_wlan1 down");
    assert!(a.tcp(Internet::TCP, "a").is_err() && b.tcp(Internet::TCP, "b").is_err());
    bed.start();
    let now = lines(&bed);
    let differing: Vec<_> = before.symmetric_difference(&now).collect();
    assert!(differing.is_empty(), "{differing:#?}");
    // Guests have asked for the gateway in vain (neigh_timer_handler()): how long they go on is theirs.
    a.run("ip neigh flush dev wlan0");
    b.run("ip neigh flush dev wlan0");
    assert_eq!(a.tcp(Internet::TCP, "a").unwrap(), "192.0.2.2 a");
    assert_eq!(b.tcp(Internet::TCP, "b").unwrap(), "192.0.2.2 b");
}

/// The packet filter that the next start uses: it stands in a file.
struct Filter(tempfile::TempDir);

impl Filter {
    fn new(first: &str) -> Self {
        let it = Self(tempfile::tempdir().expect("a directory"));
        let choice = it.0.path().join("choice");
        let script = format!("#!/bin/sh\nexec \"$@\" --firewall \"$(cat {})\"\n", choice.display());
        fs::write(it.program(), script).expect("the script");
        fs::set_permissions(it.program(), fs::Permissions::from_mode(0o700)).expect("chmod");
        it.choose(first);
        it
    }

    /// What starts guestnetd.
    fn program(&self) -> String {
        self.0.path().join("start").display().to_string()
    }

    fn choose(&self, firewall: &str) {
        fs::write(self.0.path().join("choice"), firewall).expect("the choice");
    }
}

#[test]
fn another_packet_filter_leaves_one_set_of_rules() {
    let filter = Filter::new("nftables");
    let device = Device::new();
    let daemon = Daemon::new(&device).by(&filter.program()).started();
    let mut bed = Bed::around(device, daemon).build();

    let guest = Guest::new();
    bed.attach("demo", &guest);
    let stream = Stream::open(&guest);
    let rules = |bed: &Bed| {
        let iptables = [("iptables", "nat"), ("iptables", "filter"), ("ip6tables", "filter")]
            .map(|(program, table)| !guests_rules(&bed.device, program, table).is_empty());
        (guests_table(&bed.device).is_some(), iptables)
    };
    assert_eq!(rules(&bed), (true, [false; 3]));
    let before = Snapshot::of(&bed.device);
    for crash in [false, true] {
        for (firewall, wanted) in
            [("iptables", (false, [true; 3])), ("nftables", (true, [false; 3]))]
        {
            filter.choose(firewall);
            end(&mut bed, crash);
            bed.start();
            assert_eq!(rules(&bed), wanted, "{firewall}");
            stream.assert_flows();
            assert_eq!(
                guest.tcp(Internet::TCP, firewall).unwrap(),
                format!("192.0.2.2 {firewall}")
            );
        }
        before.assert_same(&Snapshot::of(&bed.device));
    }
    stream.end();
}

/// An admin's rule keeps what the other packet filter has left (`iptables -X`: EMLINK): that costs no call
/// anything, is no repair, and ends with that rule.
#[test]
fn leftovers_of_another_packet_filter_cost_no_call_anything() {
    let filter = Filter::new("iptables");
    let device = Device::new();
    let daemon = Daemon::new(&device).by(&filter.program()).env("RUST_LOG", "debug").started();
    let mut bed = Bed::around(device, daemon).build();
    let (demo, other) = (Guest::new(), Guest::new());
    bed.attach("demo", &demo);
    let ours = |bed: &Bed| guests_rules(&bed.device, "iptables", "filter");
    let left = ours(&bed);
    let chain = left.iter().find_map(|line| line.strip_prefix(':')?.split(' ').next());
    let chain = chain.expect("a chain of guestnetd's");
    bed.device.run("iptables-legacy -w -N admins");
    bed.device.run(&format!("iptables-legacy -w -A admins -j {chain}"));
    filter.choose("nftables");
    let said = bed.daemon.log().len();
    end(&mut bed, true);
    bed.start();
    let log = |bed: &Bed| bed.daemon.log().split_off(said);
    // What is refused, once with each try.
    let tries = |bed: &Bed| {
        let removal = format!(" -X {chain}");
        log(bed).lines().filter(|line| line.contains("DEBUG") && line.ends_with(&removal)).count()
    };
    let text = |bed: &Bed| {
        let report = bed.service.status(Some("demo")).expect("status");
        format!("{report:?}")
    };
    assert!(tries(&bed) > 0, "{}", log(&bed));
    assert!(text(&bed).contains("rules of an earlier guestnetd are left"), "{}", text(&bed));
    // From then on for four seconds nothing is tried.
    eventually("it was tried three times", || tries(&bed) >= 3);
    let before = tries(&bed);
    for _ in 0..5 {
        bed.attach("other", &other);
        assert_eq!(other.tcp(Internet::TCP, "other").unwrap(), "192.0.2.2 other");
        bed.detach("other");
    }
    assert!(tries(&bed) <= before + 1, "{before}, then {}: {}", tries(&bed), log(&bed));
    bed.device.run("iptables-legacy -w -F admins");
    eventually("it is gone", || ours(&bed).iter().all(|line| line.contains("admins")));
    eventually("it is said", || log(&bed).contains("taken away: rules of an earlier guestnetd"));
    assert!(!text(&bed).contains("earlier guestnetd"), "{}", text(&bed));
    let log = log(&bed);
    assert!(!log.contains("put back"), "{log}");
    assert_eq!(log.matches("rules of an earlier guestnetd are left").count(), 1, "{log}");
    assert_eq!(demo.tcp(Internet::TCP, "demo").unwrap(), "192.0.2.2 demo");
}

fn end(bed: &mut Bed, crash: bool) {
    if crash {
        bed.daemon.kill();
    } else {
        assert!(bed.daemon.stop().success(), "{}", bed.daemon.log());
    }
}

/// The file of the guest "demo", in the state directory.
fn record(bed: &Bed) -> PathBuf {
    bed.daemon.state_dir().join("guests/demo.json")
}

#[test]
fn a_bad_state_file_is_set_aside_and_never_fatal() {
    let mut bed = Bed::new("auto");
    let (demo, other) = (Guest::new(), Guest::new());
    bed.attach("other", &other);
    bed.attach("demo", &demo);
    bed.detach("demo");
    let stream = Stream::open(&other);
    let whole: serde_json::Value =
        serde_json::from_slice(&fs::read(record(&bed)).expect("the record")).expect("JSON");
    let changed = |key: &str, value: serde_json::Value| {
        let mut record = whole.clone();
        assert!(record[key] != serde_json::Value::Null, "{key} is in {whole}");
        record[key] = value;
        record.to_string().into_bytes()
    };
    let text = whole.to_string().into_bytes();
    let torn = text[..text.len() / 2].to_vec();
    let (newer, other_boot) = (changed("version", 99.into()), changed("boot", "x".into()));
    for (what, content) in [
        ("torn", torn),
        ("empty", Vec::new()),
        ("not text", vec![0xff; 64]),
        ("foreign", b"[1, 2, 3]".to_vec()),
        ("newer", newer),
        ("of another boot", other_boot),
    ] {
        assert!(bed.daemon.stop().success());
        fs::write(record(&bed), &content).expect("the record");
        let said = bed.daemon.log().len();
        bed.start();
        assert_eq!(bed.names(), ["other"], "{what}");
        assert!(!record(&bed).exists(), "{what}: it is still in its place");
        let log = bed.daemon.log().split_off(said);
        assert!(log.contains("demo.json"), "{what}: {log}");
        stream.assert_flows();
        bed.attach("demo", &demo);
        assert_eq!(demo.tcp(Internet::TCP, "demo").unwrap(), "192.0.2.2 demo", "{what}");
        bed.detach("demo");
    }
    // And the file of the forwarding switch.
    assert!(bed.daemon.stop().success());
    fs::write(bed.daemon.state_dir().join("forwarding.json"), "{").expect("the switch's file");
    bed.start();
    assert_eq!(bed.names(), ["other"]);
    stream.end();
}

/// A guest of which nothing is stored any more.
fn forgotten(bed: &mut Bed, torn: bool) {
    bed.daemon.kill();
    match torn {
        true => fs::write(record(bed), "{").expect("the record"),
        false => fs::remove_dir_all(bed.daemon.state_dir()).expect("the state"),
    }
    bed.start();
}

/// Its link says who it is, and what it has.
#[test]
fn a_guest_of_which_nothing_is_stored_is_known_by_its_link() {
    for torn in [true, false] {
        let mut bed = Bed::new("auto");
        let (other, guest) = (Guest::new(), Guest::new());
        bed.attach("other", &other);
        // Nothing of it is as usual.
        let odd = GuestConfig {
            interfaceName: "eth7".into(),
            addresses: vec!["10.20.3.77".into()],
            gateway: "10.20.3.1".into(),
            prefixLength: 24,
            mtu: 1320,
            vpnPolicy: VpnPolicy::BLOCK_UNDER_LOCKDOWN,
            ..config("demo")
        };
        bed.attach_as(&odd, &by_pid(guest.pid()));
        let (device, told) = (Snapshot::of(&bed.device), bed.service.get("demo").unwrap().unwrap());
        let stream = Stream::open(&guest);
        forgotten(&mut bed, torn);
        stream.assert_flows();
        assert_eq!(bed.names(), ["demo", "other"], "{}", bed.daemon.log());
        let now = bed.service.get("demo").unwrap().unwrap();
        for (was, is) in [(&told.interfaceName, &now.interfaceName), (&told.gateway, &now.gateway)]
        {
            assert_eq!(was, is);
        }
        assert_eq!((&told.addresses, told.slot), (&now.addresses, now.slot));
        assert_eq!((told.mtu, &told.mac), (now.mtu, &now.mac));
        assert_eq!((told.vpnPolicy, &told.uplink), (now.vpnPolicy, &now.uplink));
        // Without the state the 1 in ip_forward may be anybody's, and what is forwarded with it.
        let of_the_switch = "== nftables\n- \t\tmeta nfproto ipv4 counter drop\n";
        let lost = Some(of_the_switch.to_owned()).filter(|_| !torn);
        assert_eq!(device.diff(&Snapshot::of(&bed.device)), lost);
        // It is stored again: the next start has more to go by than its link.
        bed.daemon.kill();
        bed.start();
        assert!(bed.daemon.log().contains("demo: taken over with vm_wlan1 10.20.3.77"));
        assert_eq!(bed.names(), ["demo", "other"]);
        stream.assert_flows();
        stream.end();
        // It can change, and it can go.
        assert_eq!(now.lifeline, Lifeline::NAMESPACE, "no link says which process was named");
        let update = GuestConfig { mtu: 1400, lifeline: Lifeline::NAMESPACE, ..odd };
        bed.service.update("demo", &update).expect("update");
        bed.detach("demo");
        assert_eq!(guest.links(), ["lo"]);
        assert_eq!(address(&bed.attach("demo", &guest)), "172.17.3.4");
        assert!(guest.tcp(Internet::TCP, "again").is_ok());
    }
}

/// It must not leave by the uplink because nobody remembers that it may not.
#[test]
fn a_guest_of_which_nothing_is_stored_keeps_its_vpn() {
    let mut bed = Bed::new("auto");
    bed.device.run("ip tuntap add tun0 mode tun");
    bed.device.run("ip link set tun0 up");
    let guest = Guest::new();
    let by_tun = GuestConfig {
        vpnPolicy: VpnPolicy::NAMED_TUN,
        uplink: Some("tun0".into()),
        ..config("demo")
    };
    bed.attach("demo", &guest);
    assert!(guest.tcp(Internet::TCP, "hello").is_ok());
    bed.service.update("demo", &by_tun).expect("update");
    assert!(guest.tcp(Internet::TCP, "hello").is_err());
    // Its rule is away with it, too.
    bed.device.run("ip link del tun0");
    forgotten(&mut bed, false);
    let now = bed.service.get("demo").unwrap().expect("demo");
    assert_eq!((now.vpnPolicy, now.uplink.as_deref()), (VpnPolicy::NAMED_TUN, Some("tun0")));
    assert!(guest.tcp(Internet::TCP, "hello").is_err());
    bed.detach("demo");
}

/// What is stored says which link it is: others may have changed all but two of its marks.
#[test]
fn a_guest_whose_link_was_changed_meanwhile_is_known() {
    let mut bed = Bed::new("auto");
    let (guest, other) = (Guest::new(), Guest::new());
    bed.attach("demo", &guest);
    let before = Snapshot::of(&bed.device);
    for changes in [
        "address 02:aa:bb:cc:dd:ee",
        "name enx001122",
        "group 7",
        "alias none",
        "name enx001122 address 02:aa:bb:cc:dd:ee",
        "group 7 alias mine",
        "name enx001122 address 02:aa:bb:cc:dd:ee group 7 alias mine",
    ] {
        bed.daemon.kill();
        bed.device.run(&format!("ip link set vm_wlan {changes}"));
        bed.start();
        assert_eq!(bed.names(), ["demo"], "{changes}: {}", bed.daemon.log());
        before.assert_same(&Snapshot::of(&bed.device));
        assert_eq!(guest.tcp(Internet::TCP, "demo").unwrap(), "192.0.2.2 demo", "{changes}");
        // Nor is it in anybody's way.
        bed.attach("other", &other);
        bed.detach("other");
    }
    // Without what is stored two marks are enough.
    for change in ["address 02:aa:bb:cc:dd:ee", "name enx001122", "group 7"] {
        bed.daemon.kill();
        bed.device.run(&format!("ip link set vm_wlan {change}"));
        fs::remove_file(record(&bed)).expect("the record");
        bed.start();
        // Its slot is in its name; else it may be another one.
        assert_eq!(bed.names(), ["demo"], "{change}: {}", bed.daemon.log());
        assert_eq!(guest.tcp(Internet::TCP, "demo").unwrap(), "192.0.2.2 demo", "{change}");
    }
    bed.detach("demo");
    assert_eq!(guest.links(), ["lo"]);
}

/// All marks of a link of guestnetd's, and somebody else's word for whose it is.
#[test]
fn a_link_of_nobodys_can_be_detached_and_is_in_nobodys_way() {
    let mut bed = Bed::new("auto");
    let guest = Guest::new();
    bed.attach("demo", &guest);
    bed.daemon.kill();
    bed.device.command("ip").args(["link", "set", "vm_wlan", "alias", "my lxc"]).status().unwrap();
    fs::remove_file(record(&bed)).expect("the record");
    bed.start();
    let log = bed.daemon.log();
    assert!(log.contains("vm_wlan cannot be taken over (its alias names no guest)"), "{log}");
    assert!(log.contains("`guestnetctl detach vm_wlan` removes it"), "{log}");
    assert!(guest.tcp(Internet::TCP, "hello").is_ok());
    let other = Guest::new();
    assert_ne!(address(&bed.attach("other", &other)), FIRST, "it is still demo's");
    let listed = bed.service.list().expect("list");
    let [with, without] = listed.as_slice() else { panic!("{listed:?}") };
    assert_eq!((with.name.as_str(), with.state), ("other", GuestState::ATTACHED));
    assert!(with.rxBytes >= 0 && with.txPackets >= 0, "{with:?}");
    let left = (without.name.as_str(), without.state, without.hostInterface.as_str());
    assert_eq!(left, ("vm_wlan", GuestState::NOT_ADOPTED, "vm_wlan"));
    let shown = bed.daemon.run_ctl(&["list"]);
    let shown = String::from_utf8_lossy(&shown.stdout);
    assert!(shown.contains("vm_wlan has guestnetd's marks"), "{shown}");
    bed.detach("vm_wlan");
    assert_eq!(bed.names(), ["other"]);
    assert!(bed.device.link("vm_wlan").is_none());
    assert_eq!(guest.links(), ["lo"]);
    assert!(other.tcp(Internet::TCP, "hello").is_ok());
}

/// The same where somebody has renamed it, too: udev, or a network manager.
#[test]
fn a_link_of_nobodys_that_is_renamed_can_be_detached_by_that_name() {
    let mut bed = Bed::new("auto");
    let guest = Guest::new();
    bed.attach("demo", &guest);
    bed.daemon.kill();
    for change in ["vm_wlan down", "vm_wlan name ethx7", "ethx7 alias lxc", "ethx7 up"] {
        bed.device.run(&format!("ip link set {change}"));
    }
    fs::remove_file(record(&bed)).expect("the record");
    bed.start();
    let log = bed.daemon.log();
    assert!(log.contains("`guestnetctl detach ethx7` removes it"), "{log}");
    let listed = bed.service.list().expect("list");
    let [left] = listed.as_slice() else { panic!("{listed:?}") };
    let says = (left.name.as_str(), left.state, left.slot);
    assert_eq!(says, ("ethx7", GuestState::NOT_ADOPTED, -1));
    bed.detach("ethx7");
    assert!(bed.device.link("ethx7").is_none() && bed.names().is_empty());
    assert_eq!(guest.links(), ["lo"]);
}

/// Each has the other's name, so that neither can be given its own as it is.
fn guests_whose_links_have_each_others_names_get_their_own_back(firewall: &str) {
    let mut bed = Bed::new(firewall);
    let guests = ["one", "two"].map(|name| {
        let guest = Guest::new();
        bed.attach(name, &guest);
        guest
    });
    bed.daemon.kill();
    for change in ["vm_wlan down", "vm_wlan name x", "vm_wlan1 down", "vm_wlan1 name vm_wlan"] {
        bed.device.run(&format!("ip link set {change}"));
    }
    bed.device.run("ip link set x name vm_wlan1");
    bed.start();
    eventually("both have internet", || {
        guests.iter().all(|guest| guest.tcp(Internet::TCP, "hello").is_ok())
    });
    let listed = bed.service.list().expect("list");
    let links: Vec<_> = listed.iter().map(|guest| guest.hostInterface.as_str()).collect();
    assert_eq!(links, ["vm_wlan", "vm_wlan1"]);
    let status = bed.service.status(None).expect("status");
    assert!(status.guests.iter().all(|guest| guest.verdict == Verdict::INTERNET), "{status:?}");
}

/// A digit that a worn flash has flipped is a digit all the same.
#[test]
fn a_flipped_digit_changes_no_address() {
    let mut bed = Bed::new("auto");
    let guest = Guest::new();
    bed.attach("demo", &guest);
    let before = Snapshot::of(&bed.device);
    let text = fs::read_to_string(record(&bed)).expect("the record");
    for (is, flipped) in [("172.17.3.2\"", "192.0.2.1\""), ("172.17.3.3\"", "172.17.3.1\"")] {
        bed.daemon.kill();
        assert!(text.contains(is), "{is} is not in {text}");
        fs::write(record(&bed), text.replace(is, flipped)).expect("the record");
        bed.start();
        assert!(bed.daemon.log().contains("its checksum is another one"), "{}", bed.daemon.log());
        before.assert_same(&Snapshot::of(&bed.device));
        assert_eq!(bed.names(), ["demo"]);
        assert!(guest.tcp(Internet::TCP, "hello").is_ok());
    }
    bed.detach("demo");
}

/// The four marks of a link of guestnetd's: kind veth, name, group, MAC.
const GROUP: &str = "0x676e6574";

#[test]
fn a_half_made_link_is_deleted_at_the_start() {
    let mut bed = Bed::new("auto");
    let guest = Guest::new();
    bed.attach("demo", &guest);
    let before = Snapshot::of(&bed.device);
    bed.daemon.kill();
    let made = format!(
        "ip link add vm_wlan5 group {GROUP} address 02:67:01:02:03:04 type veth peer name half"
    );
    bed.device.run(&made);
    assert!(bed.device.links().contains(&"vm_wlan5".to_owned()));
    bed.start();
    eventually("the half-made link is gone", || bed.device.link("vm_wlan5").is_none());
    assert_eq!(bed.names(), ["demo"]);
    before.assert_same(&Snapshot::of(&bed.device));
}

/// As on a device that is going down: each program takes a moment, and all together take longer than
/// one may that hangs.
#[test]
fn a_slow_iptables_is_waited_for_at_the_end() {
    let programs = tempfile::tempdir().expect("a directory");
    for name in ["iptables", "ip6tables"] {
        let program = programs.path().join(name);
        let script = format!("#!/bin/sh\n/bin/sleep 0.3\nexec /usr/sbin/{name}-legacy \"$@\"\n");
        fs::write(&program, script).expect("a script");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("chmod");
    }
    let device = Device::new();
    let before = Snapshot::of(&device);
    let iptables = programs.path().join("iptables");
    let mut bed = Bed::on(device)
        .args(&format!("--firewall iptables --iptables {}", iptables.display()))
        .build();
    let begun = Instant::now();
    assert!(bed.daemon.stop().success());
    assert!(begun.elapsed() > Duration::from_secs(1), "it was not slow: {:?}", begun.elapsed());
    assert!(!bed.daemon.log().contains("hangs"), "{}", bed.daemon.log());
    before.assert_same(&Snapshot::of(&bed.device));
}

/// Somebody holds iptables's lock while guestnetd starts: guests have what they have, calls are answered,
/// and when the lock is free all is as ever.
#[test]
fn a_start_does_not_end_because_iptables_hangs() {
    let programs = tempfile::tempdir().expect("a directory");
    let hang = programs.path().join("hang");
    for name in ["iptables", "ip6tables"] {
        let program = programs.path().join(name);
        // In the file stands which commands hang.
        let script = format!(
            "#!/bin/sh\nwhile [ -e {hang} ] && echo \" $*\" | /bin/grep -q -e \"$(/bin/cat {hang})\"; \
             do /bin/sleep 0.1; done\nexec /usr/sbin/{name}-legacy \"$@\"\n",
            hang = hang.display()
        );
        fs::write(&program, script).expect("a script");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("chmod");
    }
    let iptables = programs.path().join("iptables");
    let mut bed = Bed::on(Device::new())
        .args(&format!("--firewall iptables --iptables {}", iptables.display()))
        .build();
    let (guest, other) = (Guest::new(), Guest::new());
    bed.attach("demo", &guest);
    // Whatever is asked of it; and what changes or reads a table.
    for which in [" -V", " -w"] {
        bed.daemon.kill();
        fs::write(&hang, which).expect("the file");
        let begun = Instant::now();
        bed.start();
        assert!(begun.elapsed() < Duration::from_secs(8), "{which}: {:?}", begun.elapsed());
        assert_eq!(bed.names(), ["demo"], "{which}");
        assert!(guest.tcp(Internet::TCP, "hello").is_ok());
        let status = bed.service.status(Some("demo")).expect("status").guests.remove(0);
        let reason = status.reason.as_ref().map(|layer| (layer.layer, layer.cause));
        assert_eq!(reason, Some((Layer::FIREWALL, Cause::FILTER_PROGRAM_STUCK)), "{status:?}");
        let refused = bed.service.attach(&config("other"), &by_pid(other.pid()), None).unwrap_err();
        assert!(refused.to_string().contains("hangs"), "{refused}");
        fs::remove_file(&hang).expect("the file");
        let healthy = || {
            let status = bed.service.status(Some("demo")).expect("status").guests.remove(0);
            status.reason.is_none()
        };
        eventually("it goes on", healthy);
        bed.attach("other", &other);
        assert!(other.tcp(Internet::TCP, "hello").is_ok());
        bed.detach("other");
    }
}

#[test]
fn a_link_that_lacks_one_mark_is_never_touched() {
    let mut bed = Bed::new("auto");
    assert!(bed.daemon.stop().success());
    let ours = "address 02:67:01:02:03:04";
    for line in [
        // Not our kind.
        format!("ip link add vm_wlan6 group {GROUP} {ours} type bridge"),
        // Not our name.
        format!("ip link add vm_lan6 group {GROUP} {ours} type veth peer name p1"),
        format!("ip link add vm_wlan0 group {GROUP} {ours} type veth peer name p2"),
        // Not our group.
        format!("ip link add vm_wlan7 {ours} type veth peer name p3"),
        // Not our MAC.
        format!(
            "ip link add vm_wlan8 group {GROUP} address 02:66:01:02:03:04 type veth peer name p4"
        ),
        // Not ours at all, and where the first guest's is to be.
        "ip link add vm_wlan type veth peer name p5".to_owned(),
    ] {
        bed.device.run(&line);
    }
    let before = Snapshot::of(&bed.device);
    let guest = Guest::new();
    for _ in 0..2 {
        bed.start();
        let refused = bed.service.attach(&config("demo"), &by_pid(guest.pid()), None).unwrap_err();
        assert_eq!(refused.service_specific_error(), ERROR_HOST_INTERFACE_EXISTS, "{refused}");
        assert!(bed.daemon.stop().success());
        before.assert_same(&Snapshot::of(&bed.device));
    }
    // What has them all is, by the same stop and start.
    bed.device.run("ip link set vm_wlan7 group 0x676e6574");
    bed.start();
    eventually("a link with all four marks is gone", || bed.device.link("vm_wlan7").is_none());
}
