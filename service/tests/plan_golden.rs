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

use guestnetd::alloc::leases::Leases;
use guestnetd::model::policy_rules::Shape;
use guestnetd::model::{
    diff, GuestNet, Observed, ObservedGuest, ObservedGuestLink, ObservedHost, Place,
};
use guestnetd::spec::{GuestName, GuestSpec, IfName, Subnet};
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
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Host {
    up: bool,
    ipv6_disabled: bool,
    mtu: u32,
    alias: Option<String>,
    addresses: Vec<(Ipv4Addr, u8)>,
    routes: Vec<Ipv4Addr>,
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

fn observed(host: Option<Host>, guest: Option<Guest>) -> Observed {
    Observed {
        host: host.map(|h| ObservedHost {
            index: 7,
            up: h.up,
            running: h.up,
            ipv6_disabled: h.ipv6_disabled,
            mtu: h.mtu,
            alias: h.alias,
            addresses: h.addresses,
            routes: h.routes.into_iter().map(|a| Subnet::containing(a, 32).unwrap()).collect(),
        }),
        guest: guest.map(|g| ObservedGuest {
            loopback_up: g.loopback_up,
            loopback_bare: !g.loopback_up,
            link: g.link.map(|l| ObservedGuestLink {
                index: 2,
                up: l.up,
                running: l.up,
                addresses: l.addresses,
                ..ObservedGuestLink::default()
            }),
            default_gateways: g.default_gateways,
            other_default: None,
        }),
    }
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
        leases.take(&GuestNet::new(&other, *slot, *address, 1500));
    }
    let (slot, address) = leases.choose(&spec).unwrap();
    let shape = if given.netd { Shape::Netd { local: 20000 } } else { Shape::Main };
    let mtu = spec.mtu.unwrap_or(given.uplink_mtu);
    let net = GuestNet::new(&spec, slot, address, mtu).routed(shape);
    let mut text = String::new();
    for step in diff::guest(&net, &observed(given.host, given.guest)) {
        let place = match step.place() {
            Place::Device => "device",
            Place::Guest => "guest",
        };
        let undo = step.undo().map_or("-".to_owned(), |s| s.what());
        writeln!(text, "{place:<6} {:?}: {}", step.effect(), step.what()).unwrap();
        writeln!(text, "       {}", step.command()).unwrap();
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
