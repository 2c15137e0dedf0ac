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

//! Matches and targets that there are: their sizes, where each may stand (`xt_check_match()`,
//! `xt_check_target()`), and what of their data is the kernel's own.

use super::layout::{text, word, word16, EXTENSION};
use super::Family;

/// A match or a target.
struct Known {
    name: &'static str,
    revision: u8,
    family: Option<Family>,
    /// Whether it is the same for all families: for these another revision has an errno of its own.
    common: bool,
    target: bool,
    size: usize,
    /// Bytes that a user sees: the rest is the kernel's own, and reads as 0.
    seen: usize,
    protocol: Option<u16>,
    table: Option<&'static str>,
    hooks: u32,
}

const ANY: Known = Known {
    name: "",
    revision: 0,
    family: None,
    common: true,
    target: false,
    size: 0,
    seen: 0,
    protocol: None,
    table: None,
    hooks: u32::MAX,
};

const fn matching(name: &'static str, revision: u8, size: usize, seen: usize) -> Known {
    Known { name, revision, size, seen, ..ANY }
}

const fn of(name: &'static str, protocol: i32, size: usize, seen: usize) -> Known {
    Known { name, protocol: Some(protocol as u16), size, seen, common: false, ..ANY }
}

const fn target(name: &'static str, revision: u8, size: usize, seen: usize) -> Known {
    Known { name, revision, target: true, size, seen, ..ANY }
}

const fn nat(
    name: &'static str,
    revision: u8,
    family: Option<Family>,
    (size, seen): (usize, usize),
    hooks: u32,
) -> Known {
    Known {
        family,
        common: family.is_none(),
        table: Some("nat"),
        hooks,
        ..target(name, revision, size, seen)
    }
}

const V4: Option<Family> = Some(Family::V4);
const V6: Option<Family> = Some(Family::V6);
/// Hooks of source NAT, and of destination NAT.
const SOURCE: u32 = 0b10010;
const DESTINATION: u32 = 0b01001;

const ALL: [Known; 24] = [
    matching("conntrack", 1, 152, 152),
    matching("conntrack", 2, 160, 156),
    matching("conntrack", 3, 168, 164),
    matching("connlimit", 1, 32, 24),
    Known { common: false, ..matching("hashlimit", 3, 312, 304) },
    matching("statistic", 0, 24, 16),
    matching("comment", 0, 256, 256),
    // Of the device's own, and what leaves.
    Known { hooks: 0b11000, ..matching("owner", 1, 24, 24) },
    of("tcp", libc::IPPROTO_TCP, 16, 12),
    of("udp", libc::IPPROTO_UDP, 16, 10),
    Known { family: V4, ..of("icmp", libc::IPPROTO_ICMP, 8, 4) },
    Known { family: V6, ..of("icmp6", libc::IPPROTO_ICMPV6, 8, 4) },
    Known { common: false, ..target("", 0, 8, 4) },
    Known { common: false, ..target("ERROR", 0, 32, 30) },
    target("NFLOG", 0, 80, 76),
    Known { common: false, ..target("LOG", 0, 32, 32) },
    Known { family: V4, common: false, table: Some("filter"), ..target("REJECT", 0, 8, 4) },
    nat("MASQUERADE", 0, V4, (24, 20), 0b10000),
    nat("MASQUERADE", 0, V6, (40, 40), 0b10000),
    nat("SNAT", 0, V4, (24, 20), SOURCE),
    nat("SNAT", 1, None, (40, 40), SOURCE),
    nat("DNAT", 0, V4, (24, 20), DESTINATION),
    nat("DNAT", 1, None, (40, 40), DESTINATION),
    nat("DNAT", 2, None, (48, 44), DESTINATION),
];

/// Where one stands.
pub(super) struct Context<'a> {
    pub family: Family,
    pub table: &'a [u8],
    /// The hooks that lead there.
    pub hooks: u32,
    /// The protocol that its entry asks for.
    pub protocol: Option<u16>,
}

fn here(family: Family, name: &[u8], target: bool) -> impl Iterator<Item = &'static Known> + '_ {
    ALL.iter().filter(move |known| {
        known.name.as_bytes() == name
            && known.target == target
            && known.family.is_none_or(|of| of == family)
    })
}

/// What user space asks before it writes one (`xt_find_revision()`). The answer has the bytes that were asked.
pub(super) fn revision(family: Family, asked: &[u8], target: bool) -> Result<Vec<u8>, i32> {
    if asked.len() != 30 {
        return Err(libc::EINVAL);
    }
    let revisions = here(family, text(&asked[..28]), target).map(|known| known.revision);
    let revisions: Vec<u8> = revisions.collect();
    match revisions.contains(&asked[29]) {
        true => Ok(asked.to_vec()),
        false if revisions.is_empty() => Err(libc::ENOENT),
        false => Err(libc::EPROTONOSUPPORT),
    }
}

/// Whether it may stand there.
pub(super) fn check(context: &Context<'_>, bytes: &mut [u8], target: bool) -> Result<(), i32> {
    let (name, revision) = (text(&bytes[2..EXTENSION - 1]).to_vec(), bytes[EXTENSION - 1]);
    let mut all = here(context.family, &name, target);
    let known = all.find(|known| known.revision == revision);
    // Those of all families are looked through last, and so only their answer is left.
    let other = || here(context.family, &name, target).any(|known| known.common);
    let known = known.ok_or_else(|| if other() { libc::EPROTOTYPE } else { libc::ENOENT })?;
    let fits = bytes.len() == EXTENSION + known.size
        && known.table.is_none_or(|table| table.as_bytes() == context.table)
        && context.hooks & !known.hooks == 0
        && known.protocol.is_none_or(|protocol| context.protocol == Some(protocol));
    if !fits || !is_right(context.family, &name, revision, &bytes[EXTENSION..]) {
        return Err(libc::EINVAL);
    }
    // What is not copied to who asks (`xt_match_to_user()`).
    bytes[EXTENSION + known.seen..].fill(0);
    bytes[2 + name.len()..EXTENSION - 1].fill(0);
    Ok(())
}

/// What modules ask of their data.
fn is_right(family: Family, name: &[u8], revision: u8, data: &[u8]) -> bool {
    const MAP_IPS: u32 = 1;
    match (name, family, revision) {
        (b"tcp", ..) => data[11] & !0x0f == 0,
        (b"udp", ..) => data[8] & !0x03 == 0,
        (b"icmp" | b"icmp6", ..) => data[3] & !0x01 == 0,
        (b"statistic", ..) => word16(data, 0) <= 1 && word16(data, 2) & !1 == 0,
        (b"NFLOG", ..) => data[75] == 0,
        // Of one range, and of ports alone.
        (b"MASQUERADE", Family::V4, _) => word(data, 0) == 1 && word(data, 4) & MAP_IPS == 0,
        (b"MASQUERADE", Family::V6, _) => word(data, 0) & MAP_IPS == 0,
        (b"SNAT" | b"DNAT", _, 0) => word(data, 0) == 1,
        _ => true,
    }
}
