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

//! A segment: guests that see each other. Pure.
//!
//! Each guest keeps its own link, which the device routes, and with it every rule and limit of its own.
//! What it sends to the others is taken there as it comes in and handed on by the segment's device, a
//! bridge that only its filters use: it has neither an address nor a port that leads anywhere, learns nothing, and
//! what its filters leave over it drops. (A bridge has a carrier while a port has one, and act_mirred passes
//! nothing to what has none: so there is a port, which leads nowhere.) Only what is allowed is taken: IPv4 from the guest's own address
//! and ARP that says nothing else, both from its own MAC. All other frames stay where those of any guest
//! do. So nothing need be denied, for which not every kernel has an action (`act_gact`), and what a guest
//! may send does not depend on what a packet filter does with bridged frames.

use super::ownership::{self, Mac};
use crate::spec::{IfName, SegmentName};
use std::net::Ipv4Addr;

/// A guest's place in a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The segment's device.
    pub hub: IfName,
    /// The guest's number there, from 1.
    pub number: u16,
    /// The guest's MAC.
    pub mac: Mac,
    /// The guest's address.
    pub address: Ipv4Addr,
}

/// Where a filter looks at frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// At the guest's host end, what comes from the guest.
    FromGuest,
    /// There, what goes to the guest.
    ToGuest,
    /// At the segment's device.
    Hub,
}

/// What becomes of a frame that matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes to the device alone, as any guest's.
    Device,
    /// It goes to the segment's device.
    Hub,
    /// The same, and to the device.
    HubToo,
    /// It goes to the guest.
    Guest,
    /// The same, and it is looked at further.
    GuestToo,
    /// It is sent by the segment's device, by no port that leads anywhere: nobody gets it.
    Nobody,
}

/// 32 bits of a frame, in the order of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Where they are, counted from the end of the Ethernet header; a multiple of 4.
    pub at: i32,
    /// Which of them.
    pub mask: u32,
    /// What they are.
    pub value: u32,
}

/// One filter of a member's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Where.
    pub place: Place,
    /// Its priority; lower ones are first, and 1 is that of the filter for sources (`effects/kernel/pin.rs`). No filter of another protocol has it, nor one of the same link's
    /// other direction: u32 lists both as one (u32_walk()).
    pub priority: u16,
    /// The frame's protocol.
    pub protocol: u16,
    /// Its number among those of its priority.
    pub number: u16,
    /// What the frame must have.
    pub keys: Vec<Key>,
    /// What becomes of it.
    pub verdict: Verdict,
}

impl Filter {
    /// Whether so many frames alone match it as one guest may send to all, where the kernel can count them.
    pub fn is_limited(&self) -> bool {
        self.verdict == Verdict::HubToo
    }
}

/// What one guest may send to all, of each protocol: 1000 small frames in a second, and 250 at once; of large ones
/// less than half of that. On a segment of a thousand guests each is sent a thousand times.
pub mod limit {
    /// Bytes in a second.
    pub const RATE: u32 = 1_060_000;
    /// How many bytes more a frame counts.
    pub const WEIGHT: u16 = 1000;
    /// What may come at once, as time.
    pub const BURST_MILLIS: u32 = 250;
}

/// The priorities of a member's filters at the segment's device: of all protocols, under its number.
pub const AT_HUB: [u16; 2] = [1, 2];

/// The numbers that the members of a segment can have (linux/pkt_cls.h, TC_U32_NODE: 12 bits).
pub const MOST: u16 = 0x0ffe;

// linux/if_ether.h
/// Of any protocol.
pub const ETH_P_ALL: u16 = 0x0003;
const ETH_P_IP: u16 = 0x0800;
const ETH_P_ARP: u16 = 0x0806;

impl Member {
    /// The place of the guest in this slot.
    pub fn new(segment: &SegmentName, slot: u32, mac: Mac, address: Ipv4Addr) -> Self {
        let number = u16::try_from(slot).unwrap_or(u16::MAX).saturating_add(1);
        Self { hub: ownership::hub(segment), number, mac, address }
    }

    /// Whether there is room for it.
    pub fn fits(&self) -> bool {
        self.number <= MOST
    }

    /// All that makes it one.
    pub fn filters(&self) -> [Filter; 8] {
        let with = |place, priority, protocol, keys: &[&[Key]], verdict| {
            let number = if place == Place::Hub { self.number } else { 1 };
            Filter { place, priority, protocol, number, keys: keys.concat(), verdict }
        };
        let (to_many, to_one) = ([to_many()], [to_a_guest()]);
        let (ip, arp, from) = (self.own_ip(), self.own_arp(), source(self.mac));
        [
            // The device answers for leases, and no guest.
            with(Place::FromGuest, 2, ETH_P_IP, &[&from_a_dhcp_server()], Verdict::Device),
            with(Place::FromGuest, 3, ETH_P_ARP, &[&arp, &to_many], Verdict::HubToo),
            with(Place::FromGuest, 4, ETH_P_ARP, &[&arp, &to_one], Verdict::Hub),
            with(Place::FromGuest, 5, ETH_P_IP, &[&ip, &to_many], Verdict::HubToo),
            with(Place::FromGuest, 6, ETH_P_IP, &[&ip, &to_one], Verdict::Hub),
            // What it has sent to all it does not get back.
            with(Place::ToGuest, 7, ETH_P_ALL, &[&from], Verdict::Nobody),
            with(Place::Hub, AT_HUB[0], ETH_P_ALL, &[&destination(self.mac)], Verdict::Guest),
            with(Place::Hub, AT_HUB[1], ETH_P_ALL, &[&to_many], Verdict::GuestToo),
        ]
    }

    /// IPv4 from its MAC and its address. Without options, behind which ports are elsewhere.
    fn own_ip(&self) -> Vec<Key> {
        let mut keys = source(self.mac).to_vec();
        keys.push(Key { at: 0, mask: 0xff00_0000, value: 0x4500_0000 });
        keys.push(Key { at: 12, mask: u32::MAX, value: self.address.into() });
        keys
    }

    /// ARP for IPv4 over Ethernet (RFC 826) that says its MAC and its address, from that MAC.
    fn own_arp(&self) -> Vec<Key> {
        let [a, b, c, d, e, f] = self.mac.0;
        let [w, x, y, z] = self.address.octets();
        let mut keys = source(self.mac).to_vec();
        keys.extend([
            Key { at: 0, mask: u32::MAX, value: 0x0001_0800 },
            Key { at: 4, mask: 0xffff_0000, value: 0x0604_0000 },
            Key { at: 8, mask: u32::MAX, value: u32::from_be_bytes([a, b, c, d]) },
            Key { at: 12, mask: u32::MAX, value: u32::from_be_bytes([e, f, w, x]) },
            Key { at: 16, mask: 0xffff_0000, value: u32::from_be_bytes([y, z, 0, 0]) },
        ]);
        keys
    }
}

/// The last filter of a segment's device: what is for no member is nobody's, and the device does not get it.
pub fn rest() -> Filter {
    let keys = vec![Key { at: 0, mask: 0, value: 0 }];
    let (place, verdict) = (Place::Hub, Verdict::Nobody);
    Filter { place, priority: 3, protocol: ETH_P_ALL, number: 1, keys, verdict }
}

fn source(mac: Mac) -> [Key; 2] {
    let [a, b, c, d, e, f] = mac.0;
    [
        Key { at: -8, mask: u32::MAX, value: u32::from_be_bytes([a, b, c, d]) },
        Key { at: -4, mask: 0xffff_0000, value: u32::from_be_bytes([e, f, 0, 0]) },
    ]
}

fn destination(mac: Mac) -> [Key; 2] {
    let [a, b, c, d, e, f] = mac.0;
    [
        Key { at: -16, mask: 0xffff, value: u32::from_be_bytes([0, 0, a, b]) },
        Key { at: -12, mask: u32::MAX, value: u32::from_be_bytes([c, d, e, f]) },
    ]
}

/// To all or several: the group bit of the destination.
fn to_many() -> Key {
    Key { at: -16, mask: 0x0100, value: 0x0100 }
}

/// To some guest's MAC: not to the device's end.
fn to_a_guest() -> Key {
    let [a, b] = Mac::GUEST;
    Key { at: -16, mask: 0xffff, value: u32::from_be_bytes([0, 0, a, b]) }
}

/// The first fragment, if it is one, of UDP from port 67.
fn from_a_dhcp_server() -> [Key; 4] {
    [
        Key { at: 0, mask: 0xff00_0000, value: 0x4500_0000 },
        Key { at: 4, mask: 0x1fff, value: 0 },
        Key { at: 8, mask: 0x00ff_0000, value: 0x0011_0000 },
        Key { at: 20, mask: 0xffff_0000, value: 0x0043_0000 },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::GuestName;

    const GATEWAY: Ipv4Addr = Ipv4Addr::new(172, 17, 3, 2);

    fn member(name: &str, slot: u32) -> Member {
        let mac = Mac::guest(&GuestName::new(name).unwrap());
        let address = Ipv4Addr::from(u32::from(GATEWAY) + 1 + slot);
        Member::new(&SegmentName::new("cockpit").unwrap(), slot, mac, address)
    }

    fn frame(to: [u8; 6], from: Mac, protocol: u16, payload: &[u8]) -> Vec<u8> {
        // What is before it is of no interest.
        [&[0xaa, 0xaa], &to[..], &from.0, &protocol.to_be_bytes(), payload].concat()
    }

    fn ip(from: Ipv4Addr, to: Ipv4Addr, protocol: u8, ports: [u8; 4]) -> Vec<u8> {
        let head = [0x45, 0, 0, 24, 0, 0, 0, 0, 64, protocol, 0, 0];
        [&head[..], &from.octets(), &to.octets(), &ports].concat()
    }

    fn arp(mac: Mac, address: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
        let head = [0, 1, 8, 0, 6, 4, 0, 1];
        [&head[..], &mac.0, &address.octets(), &[0; 6], &target.octets()].concat()
    }

    /// What the kernel does with a frame from the guest.
    fn fate(of: &Member, frame: &[u8]) -> Option<Verdict> {
        let mut filters = of.filters().to_vec();
        filters.retain(|filter| filter.place == Place::FromGuest);
        filters.sort_by_key(|filter| filter.priority);
        let matches = |key: &Key| {
            let at = usize::try_from(16 + key.at).unwrap();
            let bytes = frame.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
            bytes.is_some_and(|bytes| u32::from_be_bytes(bytes) & key.mask == key.value)
        };
        let protocol = u16::from_be_bytes([frame[14], frame[15]]);
        let mut all = filters.iter().filter(|filter| filter.protocol == protocol);
        all.find(|filter| filter.keys.iter().all(matches)).map(|filter| filter.verdict)
    }

    const ALL: [u8; 6] = [0xff; 6];

    #[test]
    fn a_guest_speaks_with_its_own_mac_and_address_alone() {
        let (a, b) = (member("a", 0), member("b", 1));
        let own = |to, payload: &[u8], protocol| fate(&a, &frame(to, a.mac, protocol, payload));
        assert_eq!(
            own(b.mac.0, &ip(a.address, b.address, 1, [0; 4]), ETH_P_IP),
            Some(Verdict::Hub)
        );
        assert_eq!(own(ALL, &ip(a.address, b.address, 1, [0; 4]), ETH_P_IP), Some(Verdict::HubToo));
        assert_eq!(own(ALL, &arp(a.mac, a.address, b.address), ETH_P_ARP), Some(Verdict::HubToo));
        assert_eq!(own(b.mac.0, &arp(a.mac, a.address, b.address), ETH_P_ARP), Some(Verdict::Hub));
        for other in [b.address, GATEWAY, Ipv4Addr::UNSPECIFIED, Ipv4Addr::new(1, 1, 1, 1)] {
            for to in [ALL, b.mac.0] {
                assert_eq!(own(to, &ip(other, b.address, 1, [0; 4]), ETH_P_IP), None, "{other}");
                assert_eq!(own(to, &arp(a.mac, other, b.address), ETH_P_ARP), None, "{other}");
                assert_eq!(own(to, &arp(b.mac, a.address, b.address), ETH_P_ARP), None);
            }
        }
        for (payload, protocol) in [
            (ip(a.address, b.address, 1, [0; 4]), ETH_P_IP),
            (arp(a.mac, a.address, b.address), ETH_P_ARP),
        ] {
            assert_eq!(fate(&a, &frame(ALL, b.mac, protocol, &payload)), None, "another's MAC");
        }
    }

    #[test]
    fn what_is_for_the_gateway_and_what_is_neither_ipv4_nor_arp_stays() {
        let (a, b) = (member("a", 0), member("b", 1));
        let host = Mac::host(&GuestName::new("a").unwrap());
        let out = ip(a.address, Ipv4Addr::new(192, 0, 2, 1), 6, [0; 4]);
        assert_eq!(fate(&a, &frame(host.0, a.mac, ETH_P_IP, &out)), None);
        for protocol in [0x86dd, 0x8100, 0x88a8, 0x0026, 0x88cc, 0x888e] {
            assert_eq!(fate(&a, &frame(b.mac.0, a.mac, protocol, &out)), None, "{protocol:#x}");
            assert_eq!(fate(&a, &frame(ALL, a.mac, protocol, &out)), None, "{protocol:#x}");
        }
    }

    #[test]
    fn a_guest_is_no_dhcp_server() {
        let (a, b) = (member("a", 0), member("b", 1));
        let from = |port: u16, protocol| {
            let [x, y] = port.to_be_bytes();
            let packet = ip(a.address, b.address, protocol, [x, y, 0, 68]);
            fate(&a, &frame(b.mac.0, a.mac, ETH_P_IP, &packet))
        };
        assert_eq!(from(67, 17), Some(Verdict::Device));
        assert_eq!(from(68, 17), Some(Verdict::Hub));
        assert_eq!(from(67, 6), Some(Verdict::Hub));
        let mut options = ip(a.address, b.address, 17, [0, 67, 0, 68]);
        options[0] = 0x46;
        assert_eq!(fate(&a, &frame(b.mac.0, a.mac, ETH_P_IP, &options)), None);
    }

    #[test]
    fn filters_of_one_priority_have_one_protocol_and_their_own_numbers() {
        let all = [member("a", 0), member("b", 1)];
        let mut filters: Vec<_> = all.iter().flat_map(Member::filters).collect();
        filters.retain(|filter| filter.place == Place::Hub);
        filters.push(rest());
        for (nth, one) in filters.iter().enumerate() {
            for other in filters.iter().skip(nth + 1).filter(|o| o.priority == one.priority) {
                assert_eq!(one.protocol, other.protocol);
                assert_ne!(one.number, other.number);
            }
        }
        assert!(member("a", 0).fits() && member("a", 4093).fits() && !member("a", 4094).fits());
    }
}
