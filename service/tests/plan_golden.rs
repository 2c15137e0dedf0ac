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

//! Golden cases of the pure middle: what is asked for, what is found, and the steps between.
//! A case is a folder of `tests/golden/plan`: `given.json` and `steps.txt`, written by people.

use guestnetd::model::alloc::leases::Leases;
use guestnetd::model::change::Change;
use guestnetd::model::desired::{desired_device_side, desired_guest, may_remove};
use guestnetd::model::diff::diff;
use guestnetd::model::object::{Ipv4Conf, LinkKind, Loopback, Object, Scope, Setting};
use guestnetd::model::policy_rules::RoutingMode;
use guestnetd::model::table::TableId;
use guestnetd::model::{GuestNet, Reversible, Step};
use guestnetd::spec::{Family, GuestName, GuestSpec, IfName, IpPrefix, Mtu};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::Path;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    name: String,
    #[serde(default = "wlan0")]
    interface: String,
    address: Option<Ipv4Addr>,
    #[serde(default = "gateway")]
    gateway: Ipv4Addr,
    #[serde(default = "prefix")]
    prefix: i32,
    #[serde(default = "follow")]
    mtu: i32,
    uplink_mtu: u32,
    /// Whether the device routes by netd's rules.
    #[serde(default)]
    netd: bool,
    #[serde(default)]
    remembered: BTreeMap<GuestName, u32>,
    #[serde(default)]
    live: BTreeMap<u32, Ipv4Addr>,
    host: Option<Host>,
    guest: Option<Guest>,
    /// The address that it had until now, where it gets another one.
    had: Option<Ipv4Addr>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Host {
    up: bool,
    ipv6_disabled: bool,
    mtu: u32,
    alias: Option<String>,
    /// Its forwarding, rp_filter, arp_filter and arp_ignore.
    #[serde(default = "own_conf")]
    conf: [u32; 4],
    addresses: Vec<(Ipv4Addr, u8)>,
    /// Whether the kernel has made routes to their prefixes, as for an earlier guestnetd.
    #[serde(default)]
    prefix_routes: bool,
    /// Those of our protocol: to single addresses in table main, or with prefix and table.
    routes: Vec<Ipv4Addr>,
    #[serde(default)]
    more_routes: Vec<(Ipv4Addr, u8, u32)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Guest {
    loopback_up: bool,
    link: Option<GuestLink>,
    default_gateways: Vec<Ipv4Addr>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GuestLink {
    up: bool,
    addresses: Vec<(Ipv4Addr, u8)>,
}

fn own_conf() -> [u32; 4] {
    Ipv4Conf::HOST_END.named().map(|(_, value)| value)
}
fn wlan0() -> String {
    "wlan0".into()
}
fn gateway() -> Ipv4Addr {
    Ipv4Addr::new(172, 17, 3, 2)
}
fn prefix() -> i32 {
    16
}
fn follow() -> i32 {
    -1
}

fn address(dev: &IfName, (address, prefix): (Ipv4Addr, u8), prefix_route: bool) -> Object {
    Object::Address { dev: dev.clone(), address: address.into(), prefix, prefix_route }
}

fn device_side(net: &GuestNet, host: Host) -> Vec<Object> {
    let dev = || net.host.name.clone();
    let kind = LinkKind::Veth { peer: net.guest.name.clone(), peer_mac: net.guest.mac };
    let route = |(to, prefix, table)| Object::Route {
        to: IpPrefix::containing(to, prefix).unwrap(),
        via: None,
        dev: dev(),
        table,
    };
    let mut found = vec![
        Object::Link { name: dev(), kind, mac: net.host.mac, mtu: host.mtu },
        Object::Sysctl { dev: dev(), setting: Setting::DisableIpv6, value: host.ipv6_disabled },
    ];
    let [forwarding, rp_filter, arp_filter, arp_ignore] = host.conf;
    let conf = Ipv4Conf { forwarding, rp_filter, arp_filter, arp_ignore, source: None };
    found.push(Object::Ipv4Conf { dev: dev(), conf });
    if host.up {
        found.push(Object::Up { dev: dev() });
    }
    found.extend(host.alias.map(|text| Object::Alias { dev: dev(), text }));
    found.extend(host.addresses.into_iter().map(|a| address(&dev(), a, host.prefix_routes)));
    found.extend(host.routes.into_iter().map(|to| route((to, 32, TableId::MAIN))));
    found.extend(
        host.more_routes.into_iter().map(|(to, prefix, table)| route((to, prefix, TableId(table)))),
    );
    found
}

fn guest_side(net: &GuestNet, guest: Guest) -> Vec<Object> {
    let dev = || net.guest.name.clone();
    let state = if guest.loopback_up { Loopback::Up } else { Loopback::New };
    let mut found = vec![Object::Loopback(state)];
    if let Some(link) = guest.link {
        let (kind, mac) = (LinkKind::VethPeer, net.guest.mac);
        found.push(Object::Link { name: dev(), kind, mac, mtu: net.mtu.bytes() });
        if link.up {
            found.push(Object::Up { dev: dev() });
        }
        found.extend(link.addresses.into_iter().map(|a| address(&dev(), a, true)));
    }
    let default = |gateway: Ipv4Addr| Object::Route {
        to: IpPrefix::everything(Family::V4),
        via: Some(gateway.into()),
        dev: dev(),
        table: TableId::MAIN,
    };
    found.extend(guest.default_gateways.into_iter().map(default));
    found
}

fn steps(given: Given) -> String {
    let name = GuestName::new(&given.name).unwrap();
    let interface = IfName::new(&given.interface).unwrap();
    let spec =
        GuestSpec::new(name, interface, given.address, given.gateway, given.prefix, given.mtu)
            .unwrap();
    let mut leases = Leases::default();
    for (name, slot) in &given.remembered {
        leases.slots.remember(name, *slot);
    }
    for (slot, address) in &given.live {
        let other =
            GuestSpec { name: GuestName::new(&format!("in-{slot}")).unwrap(), ..spec.clone() };
        leases.take(&GuestNet::new(&other, *slot, *address, Mtu::ETHERNET));
    }
    let (slot, address) = leases.choose(&spec).unwrap();
    let shape = if given.netd { RoutingMode::Netd { local: 20000 } } else { RoutingMode::Main };
    let mtu = spec.mtu.or(Mtu::behind(given.uplink_mtu)).unwrap();
    let net = GuestNet::new(&spec, slot, address, mtu).routed(shape);
    let want = match &given.guest {
        None => desired_device_side(&net),
        Some(_) => desired_guest(&net),
    };
    let device = given.host.into_iter().flat_map(|host| device_side(&net, host));
    let device = device.map(|object| (Scope::Device, object));
    let guest = given.guest.into_iter().flat_map(|guest| guest_side(&net, guest));
    let found: Vec<_> = device.chain(guest.map(|object| (Scope::Guest, object))).collect();
    let had = given.had.map(|had| GuestNet::new(&spec, slot, had, mtu).routed(shape));
    let steps = diff(want, &found, may_remove(&net, had.as_ref()));
    let back = Step::way_back(&steps);
    let mut text = String::new();
    for step in &steps {
        let Change { place, operation, what, command, .. } = Change::from(step);
        let place = match place {
            Scope::Device => "device",
            Scope::Guest => "guest",
        };
        let undo = step.inverse().filter(|inverse| back.contains(inverse));
        let undo = undo.map_or("-".to_owned(), |inverse| inverse.describe());
        writeln!(text, "{place:<6} {:?}: {what}", operation.kind()).unwrap();
        writeln!(text, "       {command}").unwrap();
        writeln!(text, "       undo: {undo}").unwrap();
    }
    text
}

#[test]
fn every_case_gives_its_steps() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/plan");
    let mut cases = 0;
    let mut wrong = String::new();
    for case in std::fs::read_dir(golden).unwrap() {
        let case = case.unwrap().path();
        let read = |file: &str| std::fs::read_to_string(case.join(file)).unwrap();
        let given = serde_json::from_str(&read("given.json"))
            .unwrap_or_else(|e| panic!("{}: {e}", case.display()));
        let (found, expected) = (steps(given), read("steps.txt"));
        cases += 1;
        if found != expected {
            writeln!(wrong, "{}: expected\n{expected}\nfound\n{found}", case.display()).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(cases >= 10, "only {cases} cases were found");
}
