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

//! What guestnetd does on a plain Linux: the life of guests, crashes and leftovers, failures.

use std::fs;

use android_system_guestnet::aidl::android::system::guestnet::DiagnoseOptions::DiagnoseOptions;
use android_system_guestnet::aidl::android::system::guestnet::DnsMode::DnsMode;
use android_system_guestnet::aidl::android::system::guestnet::GuestConfig::GuestConfig;
use android_system_guestnet::aidl::android::system::guestnet::GuestKind::GuestKind;
use android_system_guestnet::aidl::android::system::guestnet::GuestTarget::GuestTarget;
use android_system_guestnet::aidl::android::system::guestnet::TargetKind::TargetKind;
use guestnet_tests::client::{by_netns, by_pid, config};
use guestnet_tests::{Daemon, Device, Guest, InNetns, Internet, Probe};

use crate::changes::Seen;
use crate::traced::{by_tun, in_subnet, Traced};

/// Start, attach of every kind, uplink, resolvers, repairs, MTU, detach of every kind, end.
pub fn life(firewall: &str) -> Seen {
    let device = Device::new();
    // Forwarding of one interface only: it is to be as before in the end.
    device.set_sysctl("net/ipv4/conf/wlan0/forwarding", "1");
    device.run("ip tuntap add tun0 mode tun");
    device.run("ip link set tun0 up");
    let args = format!("--firewall {firewall} --uplink wlan0,rmnet0 --check-every 1");
    let mut traced = Traced::started(device, &args);
    let guests: Vec<_> = (0..5).map(|_| Guest::new()).collect();
    traced.attach("first", &guests[0]);
    traced.attach("second", &guests[1]);
    traced.attach_as(&in_subnet("own", "10.9.1.1"), &by_pid(guests[2].pid()));
    traced.attach_as(&in_subnet("too", "10.9.2.1"), &by_pid(guests[3].pid()));
    traced.attach_as(&by_tun("vpn", "tun0"), &by_pid(guests[4].pid()));
    let asks = Guest::new();
    let forwarded = GuestConfig { dns: DnsMode::FORWARD, ..config("asks") };
    traced.attach_as(&forwarded, &by_pid(asks.pid()));
    traced.detach("asks");
    // With more than one queue, and its owner; it is gone with what is held here.
    let tap = GuestConfig { kind: GuestKind::TAP, queues: 2, ..config("vm") };
    let nowhere = GuestTarget { kind: TargetKind::NONE, ..GuestTarget::default() };
    let vm = traced.service().attach(&tap, &nowhere, None).expect("attach of a TAP");
    assert_eq!(vm.tap.len(), 2);
    traced.detach("vm");
    // Both leave: the first one's place is deleted alone, the second one's with the segment.
    let on = |name| {
        let segment = Some("cockpit".to_owned());
        GuestConfig { kind: GuestKind::BRIDGED, segment, ..config(name) }
    };
    let members = [Guest::new(), Guest::new()];
    for (name, guest) in ["left", "right"].into_iter().zip(&members) {
        traced.attach_as(&on(name), &by_pid(guest.pid()));
    }
    for name in ["left", "right"] {
        traced.detach(name);
    }
    uplink(&traced);
    traced.service().setDns("wlan0", &["192.0.2.53".to_owned()]).expect("setDns");
    repairs(&traced, firewall);
    for mtu in [1400, 1500] {
        traced.device.run(&format!("ip link set wlan0 mtu {mtu}"));
        let has = |link: Option<serde_json::Value>| link.is_some_and(|link| link["mtu"] == mtu);
        traced.until("guests follow the MTU", || {
            has(traced.device.link("vm_wlan1")) && has(guests[1].link("wlan0"))
        });
    }
    if firewall == "iptables" {
        // In use from here on, and with it x_tables traces.
        traced.device.run("iptables-legacy -t raw -L");
        traced.device.set_sysctl("net/ipv4/conf/all/rp_filter", "2");
        traced.until("others' addresses are held back by a filter", || {
            traced.device.run("tc filter show dev vm_wlan ingress").contains("bpf")
        });
    }
    let traces = DiagnoseOptions {
        targets: vec!["192.0.2.1".to_owned()],
        url: "http://192.0.2.1/".to_owned(),
        trace: true,
        ..DiagnoseOptions::default()
    };
    let found = traced.service().diagnose(Some("first"), &traces).expect("diagnose");
    assert!(found.trace.is_some());
    let moved = GuestConfig { addresses: vec!["172.17.3.99".to_owned()], ..config("second") };
    let _ = traced.service().update("second", &moved).expect("update");
    // The next guest of an address has none of its predecessor's connections.
    let next = Guest::new();
    traced.detach("first");
    let next_config = GuestConfig { addresses: vec!["172.17.3.3".to_owned()], ..config("next") };
    traced.attach_as(&next_config, &by_pid(next.pid()));
    for name in ["vpn", "too", "own"] {
        traced.detach(name);
    }
    assert_eq!(traced.service().detachAll().expect("detachAll"), 2);
    traced.stop();
    traced.seen(&format!("life-{firewall}"), false)
}

/// Another address, another interface, and the first one anew.
fn uplink(traced: &Traced<Device>) {
    traced.device.run("ip addr flush dev wlan0");
    traced.device.run("ip addr add 192.0.2.77/24 dev wlan0");
    traced.until_uplink("wlan0", "192.0.2.77");
    traced.device.remove_uplink("wlan0");
    traced.until_uplink("", "");
    traced.device.add_uplink("rmnet0");
    traced.until_uplink("rmnet0", Device::ADDRESS);
    traced.device.remove_uplink("rmnet0");
    traced.device.add_uplink("wlan0");
    traced.until_uplink("wlan0", Device::ADDRESS);
}

/// What others take away.
fn repairs(traced: &Traced<Device>, firewall: &str) {
    // Not wanted, and ours by its marks: removed with what is put back next.
    traced.device.run("ip route add 172.17.3.200 dev vm_wlan1 proto 103");
    traced.device.run("ip addr add 172.17.3.2/24 dev vm_wlan1");
    traced.device.run("ip link add odd-br type bridge");
    for (away, list, text) in [
        ("ip addr del 172.17.3.2/16 dev vm_wlan", "ip addr show vm_wlan", "172.17.3.2/16"),
        ("ip route del 172.17.3.4 dev vm_wlan1", "ip route", "172.17.3.4 dev vm_wlan1"),
        ("ip link set vm_wlan1 down", "ip link show vm_wlan1", ",UP"),
        ("ip link set vm_wlan1 alias none", "ip link show vm_wlan1", "guestnet:second"),
        ("ip link set vm_wlan1 name odd", "ip -o link", "vm_wlan1"),
        ("ip link set vm_wlan1 master odd-br", "ip -o link show nomaster", "vm_wlan1"),
        ("ip link set vm_wlan1 group 7", "ip -o link show group 0x676e6574", "vm_wlan1"),
        ("ip link set vm_wlan1 address 02:00:00:00:00:01", "ip link show vm_wlan1", "02:67"),
        ("ip rule del iif vm_wlan4", "ip rule", "iif vm_wlan4"),
        ("sysctl -qw net.ipv4.ip_forward=0", "sysctl net.ipv4.ip_forward", "= 1"),
    ] {
        traced.is_put_back(away, list, text);
    }
    let left = |list: &str, text: &str| traced.device.run(list).contains(text);
    let removed =
        || !left("ip route", "172.17.3.200") && !left("ip addr show vm_wlan1", "172.17.3.2/24");
    traced.until("what is not wanted is gone", removed);
    // Whenever it is put back: then it is down until the next time.
    traced.until("the link is down until it has its name", || {
        let _ = traced.device.words("ip link set vm_wlan1 name odd").output();
        traced.daemon.log().contains("vm_wlan1 is down until it can be put back")
    });
    traced.until("it is up again", || {
        left("ip link", "vm_wlan1") && left("ip link show vm_wlan1", ",UP")
    });
    traced.device.run("ip link del odd-br");
    // Another's rule, which could take what is for guests.
    let ours = || left("ip rule", "to 172.17.0.0/16 lookup main suppress_prefixlength 31");
    traced.device.run("ip rule add pref 5270 lookup 52");
    traced.until("a rule leads past it", ours);
    traced.device.run("ip rule del pref 5270");
    traced.until("that goes with it", || !ours());
    if firewall == "iptables" {
        traced.device.run("iptables-legacy -w -F FORWARD");
        until_hooked(traced);
        // A rule in front of the jump: that is put in front again without a moment without it.
        let foreign = "FORWARD -i nobody0 -j ACCEPT";
        traced.device.run(&format!("iptables-legacy -w -I {foreign}"));
        until_hooked(traced);
        traced.device.run(&format!("iptables-legacy -w -D {foreign}"));
    }
}

/// Waits until the first rule of FORWARD is guestnetd's only jump, to the only chain of its.
fn until_hooked(traced: &Traced<Device>) {
    let hooked = || {
        let rules = traced.device.run("iptables-legacy -w -S");
        let count = |what: &str| rules.lines().filter(|line| line.contains(what)).count();
        let first = rules.lines().find(|line| line.starts_with("-A FORWARD"))?;
        let one = count("-N oem_guestnet_fwd") == 1 && count("-j oem_guestnet_fwd") == 1;
        (one && first.contains("-j oem_guestnet_fwd")).then_some(())
    };
    traced.until("FORWARD jumps to guestnetd's chain first", || hooked().is_some());
}

/// Another default route, while the old uplink keeps its address: what left with that is forgotten.
/// And forwarding, which guestnetd has switched on, goes off again with the last guest.
pub fn default_route() -> Seen {
    let device = Device::new();
    device.set_sysctl("net/ipv4/conf/wlan0/forwarding", "1");
    for command in [
        "ip link add eth1 link wlan0 type macvlan mode bridge",
        "ip link set eth1 up",
        "ip addr add 198.51.100.2/24 dev eth1",
    ] {
        device.run(command);
    }
    let mut traced = Traced::started(device, "--uplink default");
    let guest = Guest::new();
    traced.attach("demo", &guest);
    assert_eq!(guest.udp(Internet::UDP, "x").expect("UDP"), "192.0.2.2 x");
    traced.device.run("ip route replace default via 198.51.100.1");
    traced.until_uplink("eth1", "198.51.100.2");
    traced.device.run(&format!("ip route replace default via {}", Internet::ADDRESS));
    traced.until_uplink("wlan0", Device::ADDRESS);
    traced.detach("demo");
    assert_eq!(traced.device.sysctl("net/ipv4/ip_forward"), "0");
    traced.stop();
    traced.seen("default-route", true)
}

/// What an earlier guestnetd has left: a socket, state of every kind, a link that is half made, a
/// guest that has gone meanwhile, the rules of the other packet filter.
pub fn leftovers(first: &str, then: &str) -> Seen {
    let device = Device::new();
    // What the next start is to use stands in a file.
    let dir = tempfile::tempdir().expect("a directory");
    let choice = dir.path().join("choice");
    let choose = |firewall: &str| fs::write(&choice, firewall).expect("the choice");
    let script = dir.path().join("start");
    let text = format!("exec \"$@\" --firewall \"$(cat {})\"\n", choice.display());
    fs::write(&script, text).expect("the script");
    choose(first);
    let by = format!("sh {}", script.display());
    let daemon = Daemon::new(&device);
    let mut traced = Traced::new(device, daemon, "", &by);
    traced.start();
    let (stays, mut goes) = (Guest::new(), Guest::new());
    traced.attach("stays", &stays);
    traced.attach("goes", &goes);
    let state = traced.daemon.state_dir();
    let record = fs::read_to_string(state.join("guests/goes.json")).expect("the record");
    let boot = record.split("\"boot\":\"").nth(1).and_then(|rest| rest.split('"').next());
    traced.kill();
    goes.kill();
    let put = |name: &str, text: &str| fs::write(state.join(name), text).expect(name);
    put("guests/half.json.tmp", "{");
    put("guests/torn.json", "{");
    put("guests/old.json", &record.replace(boot.expect("its boot"), "another"));
    put(
        "forwarding.json",
        r#"{"version":1,"boot":"another","ours":true,"contested":false,
        "before":{"accept_redirects":false,"forwarding":[]},"netd":false}"#,
    );
    // A guest of which a kernel without handles of namespaces, or an earlier version, left none.
    let stays_record = fs::read_to_string(state.join("guests/stays.json")).expect("the record");
    let mut stays_record: serde_json::Value = serde_json::from_str(&stays_record).expect("JSON");
    stays_record["version"] = 1.into();
    stays_record.as_object_mut().expect("an object").remove("crc32").expect("its checksum");
    stays_record["attached"]["netns"] = serde_json::json!({"id": null, "handle": null});
    put("guests/stays.json", &stays_record.to_string());
    put("resolvers.json", r#"{"version":1,"boot":"another","behind":{}}"#);
    // As the creating message leaves it: with all marks but the alias.
    let half = "ip link add vm_wlan9 address 02:67:00:00:00:01 group 0x676e6574 type veth peer b9";
    traced.device.run(half);
    choose(then);
    traced.start();
    traced.device.run("ip link set wlan0 mtu 1400");
    let has = |link: Option<serde_json::Value>| link.is_some_and(|link| link["mtu"] == 1400);
    traced.until("the guest follows the MTU", || {
        has(traced.device.link("vm_wlan")) && has(stays.link("wlan0"))
    });
    traced.detach("stays");
    traced.stop();
    traced.seen(&format!("leftovers-{first}-{then}"), false)
}

/// A state that cannot be written: all that an attach has done is undone.
pub fn undone(firewall: &str) -> Seen {
    let device = Device::new();
    device.run("ip tuntap add tun0 mode tun");
    device.run("ip link set tun0 up");
    let daemon = Daemon::new(&device).args(&format!("--firewall {firewall}"));
    let full = "-e inject=pwrite64:error=ENOSPC";
    let mut traced = Traced::new(device, daemon, full, "");
    traced.start();
    let guest = Guest::new();
    let refused =
        traced.service().attach(&by_tun("vpn", "tun0"), &by_pid(guest.pid()), None).unwrap_err();
    assert!(refused.to_string().contains("No space left"), "{refused}");
    assert_eq!(guest.links(), ["lo"]);
    traced.stop();
    traced.seen(&format!("undone-{firewall}"), true)
}

/// guestnetd with what it needs and no more: it may look neither at init's namespace nor at that of
/// a guest which it is not given.
pub fn few_capabilities() -> Seen {
    let device = Device::new();
    let all = "-all,+net_admin,+net_raw,+sys_admin,+dac_override";
    let by = format!("setpriv --inh-caps -all --bounding-set {all}");
    let daemon = Daemon::new(&device);
    let mut traced = Traced::new(device, daemon, "", &by);
    traced.start();
    let guest = Guest::new();
    traced.attach_as(&config("demo"), &by_pid(guest.pid()));
    traced.detach("demo");
    traced.attach_as(&config("demo"), &by_netns(guest.open_netns()));
    traced.detach("demo");
    traced.stop();
    traced.seen("few-capabilities", true)
}
