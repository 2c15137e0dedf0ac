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

//! Messages as lines that can be compared: without counters and clocks, and announcements without carrier, of
//! which Linux may speak in another order.

use std::net::Ipv4Addr;

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_ne_bytes(bytes[at..at + 2].try_into().unwrap())
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// The messages of a datagram: kind, body.
pub fn messages(datagram: &[u8]) -> Vec<(u16, &[u8])> {
    let mut rest = datagram;
    let mut all = Vec::new();
    while rest.len() >= 16 {
        let length = u32_at(rest, 0) as usize;
        all.push((u16_at(rest, 4), &rest[16..length]));
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    all
}

pub fn attributes(mut rest: &[u8]) -> Vec<(u16, &[u8])> {
    let mut all = Vec::new();
    while rest.len() >= 4 {
        let length = usize::from(u16_at(rest, 0));
        all.push((u16_at(rest, 2) & 0x3fff, &rest[4..length]));
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    all
}

fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value).trim_end_matches('\0').to_owned()
}

fn address(value: &[u8]) -> String {
    Ipv4Addr::new(value[0], value[1], value[2], value[3]).to_string()
}

/// One message in words; none of what is not compared. `all`: with carrier.
pub fn view(kind: u16, body: &[u8], all: bool) -> Option<String> {
    let mut line = match kind {
        2 if u32_at(body, 0) == 0 => return Some("ok".into()),
        2 => return Some(format!("errno {}", -(u32_at(body, 0) as i32))),
        3 if u32_at(body, 0) == 0 => return None,
        3 => return Some(format!("the end, errno {}", -(u32_at(body, 0) as i32))),
        // Made for multicast by the kernel itself (NUD_NOARP).
        28 if u16_at(body, 8) == 0x40 => return None,
        _ => format!("{} ", name(kind)),
    };
    let parts = match kind {
        16 | 17 => link(body, all),
        20 | 21 => own_address(body),
        24 | 25 => route(body),
        28 | 29 => neighbour(body),
        32 | 33 => rule(body),
        36 | 37 => queue(body),
        44 | 45 => filter(body),
        80 | 81 => attributes(&body[4..])
            .iter()
            .map(|(k, v)| format!("{k}={}", u32_at(v, 0) as i32))
            .collect(),
        88 | 89 => attributes(&body[4..])
            .iter()
            .map(|(k, v)| format!("{k}={}", u32_at(v, 0) as i32))
            .collect(),
        _ => vec![format!("{body:?}")],
    };
    line += &parts.join(" ");
    Some(line)
}

fn name(kind: u16) -> String {
    let what = match kind & !3 {
        16 => "link",
        20 => "address",
        24 => "route",
        28 => "neighbour",
        32 => "rule",
        36 => "queue",
        44 => "filter",
        80 => "netconf",
        88 => "nsid",
        _ => return format!("type {kind}"),
    };
    let verb = if kind & 3 == 0 { "new" } else { "del" };
    format!("{verb} {what}")
}

fn link(body: &[u8], all: bool) -> Vec<String> {
    let mut flags = u32_at(body, 8);
    if !all {
        flags &= !(1 << 6 | 1 << 16);
    }
    let found = attributes(&body[16..]);
    let mut parts = vec![format!("{} type {} flags {flags:#x}", u32_at(body, 4), u16_at(body, 2))];
    if body[0] != 0 {
        parts.push(format!("family {}", body[0]));
    }
    let mut found = found;
    found.sort_by_key(|(kind, _)| *kind);
    let info = found.iter().find(|(kind, _)| *kind == libc::IFLA_LINKINFO);
    let is_random = info.is_some_and(|(_, info)| {
        [&b"tun\0"[..], b"bridge\0"].iter().any(|kind| attributes(info)[0].1.starts_with(kind))
    });
    for (kind, value) in found {
        parts.push(match kind {
            libc::IFLA_IFNAME => format!("name {}", text(value)),
            // The kernel's own is random.
            libc::IFLA_ADDRESS if is_random && value[..4] != [2, 0, 0, 0] => "mac".into(),
            libc::IFLA_ADDRESS => format!("mac {value:02x?}"),
            libc::IFLA_MTU => format!("mtu {}", u32_at(value, 0)),
            // While it is down nobody is told of these.
            libc::IFLA_GROUP | libc::IFLA_IFALIAS if !all && flags & 1 == 0 => continue,
            libc::IFLA_GROUP => format!("group {}", u32_at(value, 0)),
            libc::IFLA_MASTER => format!("master {}", u32_at(value, 0)),
            libc::IFLA_LINK => format!("link {}", u32_at(value, 0)),
            libc::IFLA_LINK_NETNSID => format!("netnsid {}", u32_at(value, 0) as i32),
            libc::IFLA_IFALIAS => format!("alias {}", text(value)),
            libc::IFLA_QDISC => format!("qdisc {}", text(value)),
            libc::IFLA_TXQLEN => format!("txqlen {}", u32_at(value, 0)),
            libc::IFLA_OPERSTATE if all => format!("state {}", value[0]),
            libc::IFLA_CARRIER if all => format!("carrier {}", value[0]),
            libc::IFLA_CARRIER_UP_COUNT if all => format!("ups {}", u32_at(value, 0)),
            libc::IFLA_CARRIER_DOWN_COUNT if all => format!("downs {}", u32_at(value, 0)),
            libc::IFLA_LINKINFO => linkinfo(value, all),
            // Of settings, and of a family that leaves, nobody is told.
            libc::IFLA_AF_SPEC if all => families(value),
            _ => continue,
        });
    }
    parts
}

/// What it is, and what it is a port of, with what is known here of their settings.
fn linkinfo(value: &[u8], all: bool) -> String {
    const SNOOPING: u16 = 23;
    const PORT: [u16; 4] = [8, 9, 27, 30];
    let found = attributes(value);
    let kind = found.iter().find(|(kind, _)| *kind == 1).map_or(String::new(), |(_, v)| text(v));
    let mut words = String::from("kind");
    for (attribute, value) in found {
        match attribute {
            1 | 4 => words += &format!(" {:?}", text(value)),
            // Nobody is told of these by themselves.
            _ if !all => {}
            2 if kind == "tun" || kind == "bridge" => {
                let known = |(one, _): &(u16, _)| kind == "tun" || *one == SNOOPING;
                let inner = attributes(value).into_iter().filter(known);
                words += &format!(" {:?}", inner.collect::<std::collections::BTreeMap<_, _>>());
            }
            5 => {
                let inner = attributes(value).into_iter().filter(|(one, _)| PORT.contains(one));
                words += &format!(" {:?}", inner.collect::<Vec<_>>());
            }
            _ => {}
        }
    }
    words
}

fn families(value: &[u8]) -> String {
    let mut words = String::new();
    for (family, inner) in attributes(value) {
        for (kind, conf) in attributes(inner) {
            match (i32::from(family), kind) {
                (libc::AF_INET, 1) => {
                    let at = |n: usize| u32_at(conf, 4 * (n - 1)) as i32;
                    words += &format!("inet {:?} ", (1..=32).map(at).collect::<Vec<_>>());
                }
                (libc::AF_INET6, 2) => words += &format!("no_ipv6 {}", u32_at(conf, 4 * 26)),
                _ => {}
            }
        }
    }
    words
}

fn own_address(body: &[u8]) -> Vec<String> {
    let mut parts = vec![format!("{} /{} scope {}", u32_at(body, 4), body[1], body[3])];
    let mut found = attributes(&body[8..]);
    found.sort_by_key(|(kind, _)| *kind);
    for (kind, value) in found {
        parts.push(match kind {
            1 | 2 | 4 => format!("{kind}={}", address(value)),
            3 => format!("label {}", text(value)),
            8 => format!("flags {:#x}", u32_at(value, 0)),
            9 => format!("metric {}", u32_at(value, 0)),
            _ => continue,
        });
    }
    parts
}

fn route(body: &[u8]) -> Vec<String> {
    // Without RTNH_F_LINKDOWN.
    let flags = u32_at(body, 8) & !16;
    let mut parts = vec![format!(
        "/{} from /{} tos {} protocol {} scope {} type {} flags {flags:#x}",
        body[1], body[2], body[3], body[5], body[6], body[7]
    )];
    let mut found = attributes(&body[12..]);
    found.sort_by_key(|(kind, _)| *kind);
    for (kind, value) in found {
        parts.push(match kind {
            libc::RTA_DST => format!("to {}", address(value)),
            libc::RTA_SRC => format!("from {}", address(value)),
            libc::RTA_PREFSRC => format!("source {}", address(value)),
            libc::RTA_GATEWAY => format!("via {}", address(value)),
            libc::RTA_OIF => format!("dev {}", u32_at(value, 0)),
            libc::RTA_IIF => format!("iif {}", u32_at(value, 0)),
            libc::RTA_TABLE => format!("table {}", u32_at(value, 0)),
            libc::RTA_PRIORITY => format!("metric {}", u32_at(value, 0)),
            libc::RTA_MARK => format!("mark {}", u32_at(value, 0)),
            libc::RTA_MULTIPATH => hops(value),
            _ => continue,
        });
    }
    parts
}

fn hops(mut rest: &[u8]) -> String {
    let mut words = String::from("hops");
    while rest.len() >= 8 {
        let length = usize::from(u16_at(rest, 0));
        let via = attributes(&rest[8..length]).into_iter().find(|(kind, _)| *kind == 5);
        let via = via.map(|(_, value)| address(value));
        words += &format!(" [{} {via:?} {}]", u32_at(rest, 4), rest[2] & !16);
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    words
}

fn neighbour(body: &[u8]) -> Vec<String> {
    let mut parts = vec![format!("{} state {:#x}", u32_at(body, 4), u16_at(body, 8))];
    for (kind, value) in attributes(&body[12..]) {
        parts.push(match kind {
            1 => format!("to {}", address(value)),
            2 => format!("mac {value:02x?}"),
            _ => continue,
        });
    }
    parts
}

fn rule(body: &[u8]) -> Vec<String> {
    let mut parts = vec![format!(
        "to /{} from /{} tos {} action {} flags {:#x}",
        body[1],
        body[2],
        body[3],
        body[7],
        u32_at(body, 8)
    )];
    let mut found = attributes(&body[12..]);
    found.sort_by_key(|(kind, _)| *kind);
    for (kind, value) in found {
        parts.push(match kind {
            1 | 2 => format!("{kind}={}", address(value)),
            3 | 17 => format!("{kind}={}", text(value)),
            18 => continue,
            _ => format!("{kind}={value:?}"),
        });
    }
    parts
}

fn queue(body: &[u8]) -> Vec<String> {
    let kind = attributes(&body[20..]).into_iter().find(|(kind, _)| *kind == 1);
    let kind = kind.map(|(_, value)| text(value));
    vec![format!(
        "{} handle {:x} at {:x} {kind:?}",
        u32_at(body, 4),
        u32_at(body, 8),
        u32_at(body, 12)
    )]
}

fn filter(body: &[u8]) -> Vec<String> {
    let [index, handle, parent, info] = [4, 8, 12, 16].map(|at| u32_at(body, at));
    let mut parts = vec![format!("{index} handle {handle:x} at {parent:x} info {info:x}")];
    for (kind, value) in attributes(&body[20..]) {
        match kind {
            1 => parts.push(text(value)),
            2 => {
                for (kind, value) in attributes(value) {
                    match kind {
                        // Counters.
                        9 => {}
                        7 => parts.extend(attributes(value).into_iter().map(action)),
                        _ => parts.push(format!("{kind}={value:02x?}")),
                    }
                }
            }
            11 => parts.push(format!("chain {}", u32_at(value, 0))),
            _ => {}
        }
    }
    parts
}

/// Without the number that the kernel knows it by, and how many know it.
fn action((number, value): (u16, &[u8])) -> String {
    let found = attributes(value);
    let of = |wanted: u16| found.iter().find(|(kind, _)| *kind == wanted).map(|(_, value)| *value);
    let parms =
        of(2).and_then(|options| attributes(options).into_iter().find(|(kind, _)| *kind == 2));
    let parms = parms.map(|(_, parms)| [8, 20, 24].map(|at| u32_at(parms, at) as i32));
    format!("action {number} {:?} {parms:?}", of(1).map(text))
}
