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

use super::Variant;

/// The table of local networks: downstreams, and guests.
pub const LOCAL_NETWORK: u32 = 97;
const LEGACY_NETWORK: u32 = 98;
const LEGACY_SYSTEM: u32 = 99;

const VPN_OVERRIDE_SYSTEM: u32 = 10000;
const VPN_OVERRIDE_OIF: u32 = 11000;
const VPN_OUTPUT_TO_LOCAL: u32 = 12000;
const SECURE_VPN: u32 = 13000;
const PROHIBIT_NON_VPN: u32 = 14000;
const EXPLICIT_NETWORK: u32 = 16000;
const OUTPUT_INTERFACE: u32 = 17000;
const LEGACY_SYSTEM_RULE: u32 = 18000;
const LEGACY_NETWORK_RULE: u32 = 19000;
const LOCAL_NETWORK_RULE: u32 = 20000;
/// Where netd puts the rules of hotspots.
pub const TETHERING: u32 = 21000;
const IMPLICIT_NETWORK: u32 = 23000;
const UNREACHABLE: u32 = 32000;

/// The fwmark's bit for a network that the application chose itself, below it the network's id.
pub(super) const EXPLICIT: u32 = 0x10000;
/// The fwmark's bit for who may go past a VPN.
pub(super) const PROTECTED: u32 = 0x20000;
/// The users that a VPN takes in: the first Android user's.
const USERS: &str = "0-99999";

/// The table of an interface.
pub fn table(ifindex: u32) -> u32 {
    1000 + ifindex
}

/// Since Android 13: the interface's table of destinations that a VPN may leave out.
pub(super) fn local_table(ifindex: u32) -> u32 {
    1_000_000_000 + ifindex
}

/// RouteController's own, in the order in which it adds them. It would add a dummy network as well.
pub(super) fn at_start() -> Vec<String> {
    vec![
        format!("pref {LEGACY_SYSTEM_RULE} fwmark 0x0/{EXPLICIT:#x} lookup {LEGACY_SYSTEM}"),
        format!("pref {LEGACY_NETWORK_RULE} fwmark 0x0/{EXPLICIT:#x} lookup {LEGACY_NETWORK}"),
        format!("pref {VPN_OVERRIDE_SYSTEM} fwmark 0xc0000/0xd0000 lookup {LEGACY_SYSTEM}"),
        format!("pref {EXPLICIT_NETWORK} fwmark 0x10063/0x1ffff iif lo lookup {LOCAL_NETWORK}"),
        format!("pref {LOCAL_NETWORK_RULE} fwmark 0x0/{EXPLICIT:#x} lookup {LOCAL_NETWORK}"),
        format!("pref {UNREACHABLE} unreachable"),
    ]
}

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

/// Those that make it the default one. `iif lo` never fits a forwarded packet.
pub(super) fn default_network(variant: Variant, ifindex: u32) -> Vec<String> {
    let priorities = variant.priorities();
    let (pref, table) = (priorities.default_network, table(ifindex));
    let mut list = vec![format!("pref {pref} fwmark 0x0/0xffff iif lo lookup {table}")];
    if let Some(pref) = priorities.local_routes {
        let local = local_table(ifindex);
        list.push(format!("pref {pref} fwmark 0x0/{EXPLICIT:#x} iif lo lookup {local}"));
    }
    list
}

/// Those of a VPN that nobody may go past. `under`: the table of the network it runs over.
pub(super) fn vpn(
    variant: Variant,
    name: &str,
    net_id: u32,
    table: u32,
    under: u32,
) -> Vec<String> {
    let (explicit, system) = (EXPLICIT | net_id, 0xc0000 | net_id);
    let fall = variant.priorities().vpn_fallthrough;
    let chosen = format!("pref {EXPLICIT_NETWORK} fwmark {explicit:#x}/0x1ffff iif lo");
    let users = format!("uidrange {USERS} lookup {table}");
    vec![
        format!("pref {VPN_OUTPUT_TO_LOCAL} iif {name} lookup {LOCAL_NETWORK}"),
        format!("pref {SECURE_VPN} fwmark {system:#x}/0xcffff lookup {table}"),
        format!("{chosen} uidrange 0-0 lookup {table}"),
        format!("pref {fall} fwmark {net_id:#x}/0xffff lookup {under}"),
        format!("pref {SECURE_VPN} fwmark 0x0/{PROTECTED:#x} iif lo {users}"),
        format!("{chosen} {users}"),
        format!("pref {OUTPUT_INTERFACE} iif lo oif {name} {users}"),
    ]
}

/// The one that keeps the users off everything but a VPN.
pub(super) fn lockdown() -> String {
    format!("pref {PROHIBIT_NON_VPN} fwmark 0x0/{PROTECTED:#x} iif lo uidrange {USERS} prohibit")
}

/// That of a hotspot.
pub(super) fn tethered(down: &str, table: u32) -> String {
    format!("pref {TETHERING} iif {down} lookup {table}")
}
