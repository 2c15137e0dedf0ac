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

use super::GuestNet;
use crate::spec::{GuestName, IfName, SegmentName, VpnPolicy};
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
const NO_UPLINK: &str = "no-uplink";
const TUN: &str = "tun:";
/// What follows all that on a segment: a blank, this, and the segment's name.
const SEGMENT: &str = "segment:";

/// A link-layer address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// First two bytes of a device's end: locally administered, unicast.
    const HOST: [u8; 2] = [0x02, 0x67];
    /// First two bytes of a segment's device.
    const HUB: [u8; 2] = [0x0a, 0x67];
    /// First two bytes of a guest's end.
    pub(super) const GUEST: [u8; 2] = [0x06, 0x67];

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
    /// with one hash do no harm where each link is a segment of its own, and one segment takes but one of them.
    fn derived([a, b]: [u8; 2], name: &GuestName) -> Self {
        let [c, d, e, f] = hash(name.as_str()).to_be_bytes();
        Self([a, b, c, d, e, f])
    }

    /// A segment's device.
    pub fn hub(name: &SegmentName) -> Self {
        let ([a, b], [c, d, e, f]) = (Self::HUB, hash(name.as_str()).to_be_bytes());
        Self([a, b, c, d, e, f])
    }
}

/// The device of a segment. Two names may have one: the second is refused (`guest_table.rs`).
pub fn hub(name: &SegmentName) -> IfName {
    IfName::hub(hash(name.as_str()))
}

/// Whether a link is a segment's device, born with all four marks: kind, group, MAC and name.
pub fn is_hub(name: &str, kind: &str, group: u32, mac: &[u8]) -> bool {
    was_hub(kind, group, mac) && IfName::new(name).is_some_and(|name| name.is_hub())
}

/// Whether a link was born as one. Others may have given it another name since: then it is none any more, and is to
/// go, for nobody else has made it.
pub fn was_hub(kind: &str, group: u32, mac: &[u8]) -> bool {
    kind == "bridge" && group == LINK_GROUP && mac.starts_with(&Mac::HUB)
}

/// The segment's device that a link gives its carrier, by all four marks, too.
pub fn carried(name: &str, kind: &str, group: u32, mac: &[u8]) -> Option<IfName> {
    let ours = kind == "veth" && group == LINK_GROUP && mac.starts_with(&Mac::HUB);
    IfName::new(name).filter(|_| ours)?.carried()
}

fn hash(text: &str) -> u32 {
    let add = |h: u32, byte: u8| (h ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    text.bytes().fold(0x811c_9dc5, add)
}

impl fmt::Display for Mac {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, f] = self.0;
        write!(out, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
    }
}

/// The alias that says which guest a link is of, and by which ways it may not leave: without what is
/// stored it must not get further than with it. It is set last: a link that has it is whole.
pub fn alias(net: &GuestNet) -> String {
    let mut text = format!("{ALIAS_PREFIX}{}", net.name);
    match &net.vpn {
        VpnPolicy::FollowUplink => {}
        VpnPolicy::BlockUnderLockdown => text.push_str(&format!(" {BLOCK}")),
        VpnPolicy::NamedTun(tun) => text.push_str(&format!(" {TUN}{tun}")),
        VpnPolicy::NoUplink => text.push_str(&format!(" {NO_UPLINK}")),
    }
    if let Some(segment) = &net.segment {
        text.push_str(&format!(" {SEGMENT}{segment}"));
    }
    text
}

/// What an alias says of its guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Who.
    pub name: GuestName,
    /// What becomes of its traffic under a VPN.
    pub vpn: VpnPolicy,
    /// The segment that it is on.
    pub segment: Option<SegmentName>,
}

/// The guest that an alias names.
pub fn guest_of_alias(alias: &str) -> Option<Named> {
    let mut words = alias.strip_prefix(ALIAS_PREFIX)?.split(' ').peekable();
    let name = GuestName::new(words.next()?)?;
    let is_segment = |word: &&str| word.starts_with(SEGMENT);
    let vpn = match words.next_if(|word| !is_segment(word)) {
        None => VpnPolicy::FollowUplink,
        Some(word) => match word.strip_prefix(TUN) {
            Some(tun) => VpnPolicy::NamedTun(IfName::new(tun)?),
            None if word == BLOCK => VpnPolicy::BlockUnderLockdown,
            None if word == NO_UPLINK => VpnPolicy::NoUplink,
            None => return None,
        },
    };
    let segment = match words.next() {
        None => None,
        Some(word) => Some(SegmentName::new(word.strip_prefix(SEGMENT)?)?),
    };
    words.next().is_none().then_some(Named { name, vpn, segment })
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
    use crate::spec::{GuestSpec, Mtu};

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
        let (name, wlan0) = (GuestName::new("a.b").unwrap(), IfName::new("wlan0").unwrap());
        let spec = GuestSpec::new(name.clone(), wlan0, None, [172, 17, 3, 2].into(), 16, -1);
        let net = GuestNet::new(&spec.unwrap(), 0, [172, 17, 3, 3].into(), Mtu::ETHERNET);
        let tun = VpnPolicy::NamedTun(IfName::new("tun0").unwrap());
        let others = [VpnPolicy::BlockUnderLockdown, VpnPolicy::NoUplink];
        for vpn in [VpnPolicy::FollowUplink, tun].into_iter().chain(others) {
            for segment in [None, SegmentName::new("cockpit")] {
                let net = GuestNet { vpn: vpn.clone(), segment: segment.clone(), ..net.clone() };
                let named = Named { name: name.clone(), vpn: vpn.clone(), segment };
                assert_eq!(guest_of_alias(&alias(&net)), Some(named), "{}", alias(&net));
            }
        }
        assert_eq!(alias(&net), "guestnet:a.b");
        let cockpit = GuestNet { segment: SegmentName::new("cockpit"), ..net };
        assert_eq!(alias(&cockpit), "guestnet:a.b segment:cockpit");
        for other in [
            "",
            "guestnet:",
            "guestnet:a b",
            "other:a",
            "guestnet:a tun:",
            "guestnet:a block x",
            "guestnet: block",
            "guestnet:a ",
            "guestnet:a segment:",
            "guestnet:a segment:x block",
            "guestnet:a segment:x y",
        ] {
            assert_eq!(guest_of_alias(other), None, "{other}");
        }
    }

    #[test]
    fn a_segments_device_has_all_four_marks_or_is_somebody_elses() {
        let segment = SegmentName::new("cockpit").unwrap();
        let (name, mac) = (hub(&segment), Mac::hub(&segment).0);
        assert!(is_hub(name.as_str(), "bridge", LINK_GROUP, &mac));
        assert!(!is_ours(name.as_str(), "bridge", LINK_GROUP, &mac));
        assert!(!is_hub(name.as_str(), "dummy", LINK_GROUP, &mac));
        assert!(!is_hub(name.as_str(), "bridge", 0, &mac));
        assert!(!is_hub(name.as_str(), "bridge", LINK_GROUP, &[2, 0, 0, 0, 0, 1]));
        assert!(!is_hub("br0", "bridge", LINK_GROUP, &mac) && was_hub("bridge", LINK_GROUP, &mac));
        assert!(!was_hub("bridge", 0, &mac) && !was_hub("dummy", LINK_GROUP, &mac));
        assert!(!was_hub("bridge", LINK_GROUP, &[2, 0, 0, 0, 0, 1]));
        for end in name.carriers() {
            let hub = |kind, group, mac: &[u8]| carried(end.as_str(), kind, group, mac);
            assert_eq!(hub("veth", LINK_GROUP, &mac), Some(name.clone()));
            assert!(hub("tun", LINK_GROUP, &mac).or(hub("veth", 0, &mac)).is_none());
            assert_eq!(hub("veth", LINK_GROUP, &[2, 0, 0, 0, 0, 1]), None);
            assert!(!is_ours(end.as_str(), "veth", LINK_GROUP, &mac));
        }
    }
}
