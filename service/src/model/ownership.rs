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

//! How guestnetd knows its own objects again, after a crash or under somebody else's hands.
//! Pure. Nothing that lacks these marks is ever changed or deleted.

use crate::spec::{GuestName, IfName, VpnPolicy};
use std::fmt;

/// Link group of both ends ("gnet"). Taken by the kernel in the creating message, unlike the
/// alias: `rtnl_create_link()` reads IFLA_GROUP and IFLA_ADDRESS, and ignores IFLA_IFALIAS.
pub const LINK_GROUP: u32 = 0x676e_6574;

/// The group that links get which are deleted together: the upper half of ours, and any other
/// lower half. A link with one is still ours, and on its way out.
pub fn leaving_group(random: u16) -> u32 {
    let group = LINK_GROUP & 0xffff_0000 | u32::from(random);
    if group == LINK_GROUP {
        group + 1
    } else {
        group
    }
}

/// Whether a group is one that links get which are deleted together.
pub fn is_leaving(group: u32) -> bool {
    group != LINK_GROUP && group >> 16 == LINK_GROUP >> 16
}

/// `rtm_protocol` of our routes. Above the kernel's own (RTPROT_STATIC = 4), not assigned in
/// linux/rtnetlink.h.
pub const ROUTE_PROTOCOL: u8 = 103;

const ALIAS_PREFIX: &str = "guestnet:";
/// What follows the guest's name: a blank, and one of these.
const BLOCK: &str = "block";
const TUN: &str = "tun:";

/// A link-layer address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// First two bytes of a device's end: locally administered, unicast.
    const HOST: [u8; 2] = [0x02, 0x67];
    /// First two bytes of a guest's end.
    const GUEST: [u8; 2] = [0x06, 0x67];

    /// The device's end of this guest's link; the same at every attach of the name.
    pub fn host(name: &GuestName) -> Self {
        Self::derived(Self::HOST, name)
    }

    /// The guest's end; the same at every attach of the name.
    pub fn guest(name: &GuestName) -> Self {
        Self::derived(Self::GUEST, name)
    }

    /// Whether a link-layer address is one of a device's end.
    pub fn is_host(address: &[u8]) -> bool {
        address.len() == 6 && address.starts_with(&Self::HOST)
    }

    /// FNV-1a: it must stay the same for ever, which `std::hash` does not promise. Two guests
    /// with one hash do no harm: each link is a segment of its own.
    fn derived([a, b]: [u8; 2], name: &GuestName) -> Self {
        let hash = name
            .as_str()
            .bytes()
            .fold(0x811c_9dc5_u32, |h, byte| (h ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        let [c, d, e, f] = hash.to_be_bytes();
        Self([a, b, c, d, e, f])
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, f] = self.0;
        write!(out, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
    }
}

/// The alias that says which guest a link is of, and by which ways it may not leave: without what is
/// stored it must not get further than with it. It is set last: a link that has it is whole.
pub fn alias(name: &GuestName, vpn: &VpnPolicy) -> String {
    match vpn {
        VpnPolicy::FollowUplink => format!("{ALIAS_PREFIX}{name}"),
        VpnPolicy::BlockUnderLockdown => format!("{ALIAS_PREFIX}{name} {BLOCK}"),
        VpnPolicy::NamedTun(tun) => format!("{ALIAS_PREFIX}{name} {TUN}{tun}"),
    }
}

/// The guest that an alias names, and its VPN policy.
pub fn guest_of_alias(alias: &str) -> Option<(GuestName, VpnPolicy)> {
    let text = alias.strip_prefix(ALIAS_PREFIX)?;
    let Some((name, policy)) = text.split_once(' ') else {
        return Some((GuestName::new(text)?, VpnPolicy::FollowUplink));
    };
    let policy = match policy.strip_prefix(TUN) {
        Some(tun) => VpnPolicy::NamedTun(IfName::new(tun)?),
        None => Some(VpnPolicy::BlockUnderLockdown).filter(|_| policy == BLOCK)?,
    };
    Some((GuestName::new(name)?, policy))
}

/// Whether a link was born with all four marks: kind, group, MAC and name.
pub fn is_ours(name: &str, kind: &str, group: u32, mac: &[u8]) -> bool {
    // A TUN device has the kind of a TAP device, but no MAC.
    matches!(kind, "veth" | "tun")
        && (group == LINK_GROUP || is_leaving(group))
        && Mac::is_host(mac)
        && IfName::new(name).is_some_and(|name| name.slot().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mac_is_stable_unicast_and_local() {
        let name = GuestName::new("demo").unwrap();
        assert_eq!(Mac::guest(&name).to_string(), "06:67:ae:fd:35:36");
        assert_eq!(Mac::host(&name).to_string(), "02:67:ae:fd:35:36");
        assert_ne!(Mac::guest(&name), Mac::guest(&GuestName::new("demo2").unwrap()));
        for mac in [Mac::guest(&name), Mac::host(&name)] {
            assert_eq!(mac.0[0] & 3, 2, "{mac}");
        }
    }

    #[test]
    fn three_marks_are_not_enough() {
        let mac = Mac::host(&GuestName::new("a").unwrap()).0;
        assert!(is_ours("vm_wlan", "veth", LINK_GROUP, &mac));
        assert!(is_ours("vm_wlan", "tun", LINK_GROUP, &mac));
        assert!(!is_ours("vm_wlan", "tun", LINK_GROUP, &[]));
        assert!(!is_ours("vm_wlan0", "veth", LINK_GROUP, &mac));
        assert!(!is_ours("vm_wlan", "dummy", LINK_GROUP, &mac));
        assert!(!is_ours("vm_wlan", "veth", 0, &mac));
        assert!(!is_ours("vm_wlan", "veth", LINK_GROUP + 0x1_0000, &mac));
        for random in [0, 1, 0x6574, 0xffff] {
            assert!(is_ours("vm_wlan", "veth", leaving_group(random), &mac));
            assert!(is_leaving(leaving_group(random)) && !is_leaving(LINK_GROUP));
        }
        assert!(!is_ours("vm_wlan", "veth", LINK_GROUP, &[2, 0, 0, 0, 0, 1]));
        assert!(!is_ours("vm_wlan", "veth", LINK_GROUP, &mac[..5]));
    }

    #[test]
    fn an_alias_names_one_guest() {
        let name = GuestName::new("a.b").unwrap();
        let tun = VpnPolicy::NamedTun(IfName::new("tun0").unwrap());
        for vpn in [VpnPolicy::FollowUplink, VpnPolicy::BlockUnderLockdown, tun] {
            assert_eq!(guest_of_alias(&alias(&name, &vpn)), Some((name.clone(), vpn)));
        }
        assert_eq!(alias(&name, &VpnPolicy::FollowUplink), "guestnet:a.b");
        for other in [
            "",
            "guestnet:",
            "guestnet:a b",
            "other:a",
            "guestnet:a tun:",
            "guestnet:a block x",
            "guestnet: block",
            "guestnet:a ",
        ] {
            assert_eq!(guest_of_alias(other), None, "{other}");
        }
    }
}
