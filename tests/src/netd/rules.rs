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

//! netd's routing rules, as arguments of `ip rule add`. Nothing here looks up `main`.

use super::{Variant, Vpn};

/// The table of local networks: downstreams, and guests.
pub const LOCAL_NETWORK: u32 = 97;
const LEGACY_NETWORK: u32 = 98;
const LEGACY_SYSTEM: u32 = 99;

const VPN_OVERRIDE_SYSTEM: u32 = 10000;
const VPN_OVERRIDE_OIF: u32 = 11000;
const VPN_OUTPUT_TO_LOCAL: u32 = 12000;
const SECURE_VPN: u32 = 13000;
const PROHIBIT_NON_VPN: u32 = 14000;
const UID_EXPLICIT_NETWORK: u32 = 15000;
const EXPLICIT_NETWORK: u32 = 16000;
const OUTPUT_INTERFACE: u32 = 17000;
const LEGACY_SYSTEM_RULE: u32 = 18000;
const LEGACY_NETWORK_RULE: u32 = 19000;
const LOCAL_NETWORK_RULE: u32 = 20000;
/// Where netd puts the rules of hotspots.
pub const TETHERING: u32 = 21000;
const UID_IMPLICIT_NETWORK: u32 = 22000;
const IMPLICIT_NETWORK: u32 = 23000;
const BYPASSABLE_VPN: u32 = 24000;
const UID_LOCAL_ROUTES: u32 = 25000;
const UNREACHABLE: u32 = 32000;

/// The fwmark's bit for a network that the application chose itself, below it the network's id.
pub(super) const EXPLICIT: u32 = 0x10000;
/// The fwmark's bit for who may go past a VPN.
pub(super) const PROTECTED: u32 = 0x20000;
/// The users that a VPN takes in: the first Android user's.
pub(super) const USERS: &str = "0-99999";
/// The id of the network that the device itself is the router of.
pub(super) const LOCAL_NET_ID: u32 = 99;

/// The table of an interface.
pub fn table(ifindex: u32) -> u32 {
    1000 + ifindex
}

/// Since Android 13: the interface's table of destinations that a VPN may leave out.
pub(super) fn local_table(ifindex: u32) -> u32 {
    1_000_000_000 + ifindex
}

/// RouteController's own, in the order in which it adds them, and those of the network that leads
/// nowhere. `dummy`: its table.
pub(super) fn at_start(dummy: u32) -> Vec<String> {
    let oif = format!("iif lo oif {DUMMY}");
    vec![
        format!("pref {LEGACY_SYSTEM_RULE} fwmark 0x0/{EXPLICIT:#x} lookup {LEGACY_SYSTEM}"),
        format!("pref {LEGACY_NETWORK_RULE} fwmark 0x0/{EXPLICIT:#x} lookup {LEGACY_NETWORK}"),
        format!("pref {VPN_OVERRIDE_SYSTEM} fwmark 0xc0000/0xd0000 lookup {LEGACY_SYSTEM}"),
        format!("pref {EXPLICIT_NETWORK} fwmark 0x10063/0x1ffff iif lo lookup {LOCAL_NETWORK}"),
        format!("pref {LOCAL_NETWORK_RULE} fwmark 0x0/{EXPLICIT:#x} lookup {LOCAL_NETWORK}"),
        format!("pref {UNREACHABLE} unreachable"),
        format!("pref {VPN_OVERRIDE_OIF} {oif} uidrange 0-0 lookup {dummy}"),
        format!("pref {OUTPUT_INTERFACE} {oif} lookup {dummy}"),
    ]
}

/// The interface of the network that leads nowhere.
pub(super) const DUMMY: &str = "dummy0";

/// Those of a network that an interface leads to.
pub(super) fn physical(name: &str, net_id: u32, table: u32) -> Vec<String> {
    let explicit = EXPLICIT | net_id;
    vec![
        format!("pref {EXPLICIT_NETWORK} fwmark {explicit:#x}/0x1ffff iif lo lookup {table}"),
        format!("pref {VPN_OVERRIDE_OIF} iif lo oif {name} uidrange 0-0 lookup {table}"),
        format!("pref {OUTPUT_INTERFACE} iif lo oif {name} lookup {table}"),
        format!("pref {IMPLICIT_NETWORK} fwmark {net_id:#x}/0x1ffff iif lo lookup {table}"),
    ]
}

/// What else those of a local network have that is not table 97: it is asked as that table is, and so
/// for what is forwarded, too.
pub(super) fn local(table: u32) -> Vec<String> {
    let explicit = EXPLICIT | LOCAL_NET_ID;
    vec![
        format!("pref {EXPLICIT_NETWORK} fwmark {explicit:#x}/0x1ffff iif lo lookup {table}"),
        format!("pref {LOCAL_NETWORK_RULE} fwmark 0x0/{EXPLICIT:#x} lookup {table}"),
    ]
}

/// Those that make a network the one of some users, `1000000-1099999`, whatever the default one is.
pub(super) fn of_users(variant: Variant, users: &str, net_id: u32, ifindex: u32) -> Vec<String> {
    let (priorities, explicit) = (variant.priorities(), EXPLICIT | net_id);
    let (table, local) = (table(ifindex), local_table(ifindex));
    let default = priorities.uid_default_network;
    let those = format!("iif lo uidrange {users} lookup");
    let mut list = vec![
        format!("pref {UID_EXPLICIT_NETWORK} fwmark {explicit:#x}/0x1ffff {those} {table}"),
        format!("pref {UID_IMPLICIT_NETWORK} fwmark {net_id:#x}/0x1ffff {those} {table}"),
        format!("pref {default} fwmark 0x0/0xffff {those} {table}"),
    ];
    if priorities.local_routes.is_some() {
        list.push(format!("pref {UID_LOCAL_ROUTES} fwmark 0x0/{EXPLICIT:#x} {those} {local}"));
    }
    list
}

/// That which makes it the default one. `iif lo` never fits a forwarded packet.
pub(super) fn default_network(variant: Variant, ifindex: u32) -> String {
    let (pref, table) = (variant.priorities().default_network, table(ifindex));
    format!("pref {pref} fwmark 0x0/0xffff iif lo lookup {table}")
}

/// What a VPN leaves to the default network, which it runs over: its own packets, and since 13
/// destinations nearby.
pub(super) fn fallthrough(variant: Variant, net_id: u32, default: u32) -> Vec<String> {
    let priorities = variant.priorities();
    let (pref, table) = (priorities.vpn_fallthrough, table(default));
    let mut list = vec![format!("pref {pref} fwmark {net_id:#x}/0xffff lookup {table}")];
    if let Some(pref) = priorities.local_routes {
        let local = local_table(default);
        list.push(format!("pref {pref} fwmark 0x0/{EXPLICIT:#x} iif lo lookup {local}"));
    }
    list
}

/// Those of a VPN for some users.
pub(super) fn vpn(kind: Vpn, name: &str, net_id: u32, table: u32, users: &str) -> Vec<String> {
    let (explicit, system) = (EXPLICIT | net_id, 0xc0000 | net_id);
    // Who has chosen a network may go past one that is bypassable.
    let (pref, unmarked) = match kind {
        Vpn::Secure => (SECURE_VPN, PROTECTED),
        Vpn::Bypassable => (BYPASSABLE_VPN, PROTECTED | EXPLICIT),
    };
    let chosen = format!("pref {EXPLICIT_NETWORK} fwmark {explicit:#x}/0x1ffff iif lo");
    let users = format!("uidrange {users} lookup {table}");
    vec![
        format!("pref {VPN_OUTPUT_TO_LOCAL} iif {name} lookup {LOCAL_NETWORK}"),
        format!("pref {pref} fwmark {system:#x}/0xcffff lookup {table}"),
        format!("{chosen} uidrange 0-0 lookup {table}"),
        format!("pref {pref} fwmark 0x0/{unmarked:#x} iif lo {users}"),
        format!("{chosen} {users}"),
        format!("pref {OUTPUT_INTERFACE} iif lo oif {name} {users}"),
    ]
}

/// The one that keeps the users off everything but a VPN.
pub(super) fn lockdown() -> String {
    format!("pref {PROHIBIT_NON_VPN} fwmark 0x0/{PROTECTED:#x} iif lo uidrange {USERS} prohibit")
}

/// Those of a hotspot's interface, which is in the local network.
pub(super) fn downstream(down: &str) -> Vec<String> {
    let oif = format!("iif lo oif {down}");
    vec![
        format!("pref {VPN_OVERRIDE_OIF} {oif} uidrange 0-0 lookup {LOCAL_NETWORK}"),
        format!("pref {OUTPUT_INTERFACE} {oif} lookup {LOCAL_NETWORK}"),
    ]
}

/// That of a hotspot and its upstream.
pub(super) fn tethered(down: &str, table: u32) -> String {
    format!("pref {TETHERING} iif {down} lookup {table}")
}
