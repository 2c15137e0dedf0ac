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

//! The zone of guests' own names: `box.guest` is the address of the guest `box`. A guest sees what it may
//! reach: itself, and `_gateway`, the device, and who is on its segment; others are kept from it, so that
//! their names are none. Nothing of the zone, nor the names of addresses on a guest's own link, is ever asked of others.
//! Pure.

use super::message::{self, Query};
use super::Guest;
use crate::ordered::OrderedMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

/// The device, as systemd-resolved has it. No guest's name begins so.
const GATEWAY: &str = "_gateway";
/// Seconds that an answer holds: the address may be another guest's by then.
const TTL: u32 = 0;
/// The root's label, where names that are addresses backwards end.
const REVERSE: &[u8] = b"\x07in-addr\x04arpa\0";
const A: u16 = 1;
const PTR: u16 = 12;
const ANY: u16 = 255;
const IN: u16 = 1;
/// `NXDOMAIN`.
const NO_SUCH_NAME: u8 = 3;

/// A zone's name, as it is in a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(Arc<[u8]>);

/// The guests of a segment, who may know each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peers {
    /// Their addresses by their names, as these are in a message before the zone's.
    addresses: OrderedMap<Vec<u8>, Ipv4Addr>,
    /// The other way.
    names: OrderedMap<Ipv4Addr, Vec<u8>>,
}

impl Peers {
    /// One more; none where the DNS cannot have its name.
    pub fn add(&mut self, name: &str, address: Ipv4Addr) {
        let Some(mut name) = wire(name) else { return };
        name.pop();
        self.names.insert(address, name.clone());
        self.addresses.insert(name, address);
    }
}

/// What there is to say of a name.
enum Known {
    /// This, to those who ask for its type; others learn that the name exists.
    Record(u16, Vec<u8>),
    /// It exists, and nothing more.
    Nothing,
    /// It does not exist.
    NoSuchName,
}

impl Zone {
    /// A name of one or more labels of letters, digits and hyphens, as "guest".
    pub fn new(text: &str) -> Option<Self> {
        let is_label = |label: &str| {
            let inside = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            inside && !label.starts_with('-') && !label.ends_with('-')
        };
        // With a guest's name of 63 bytes in front, there is room left.
        let fits = text.len() <= 128 && text.split('.').all(is_label);
        Some(Self(wire(text)?.into())).filter(|_| fits)
    }

    /// Its name as people write it.
    pub fn text(&self) -> String {
        let (mut labels, mut rest) = (Vec::new(), &*self.0);
        while let Some((length @ 1.., after)) = rest.split_first() {
            let length = usize::from(*length);
            labels.push(String::from_utf8_lossy(after.get(..length).unwrap_or_default()));
            rest = after.get(length..).unwrap_or_default();
        }
        labels.join(".")
    }

    /// The answer to a guest's question, if that is about this zone or about its own link.
    pub fn answer(&self, guest: &Guest, query: &Query, message: &[u8]) -> Option<Vec<u8>> {
        let (name, kind) = query.question(message)?;
        let [high, low, class @ ..] = *kind.first_chunk::<4>()?;
        let (kind, class) = (u16::from_be_bytes([high, low]), u16::from_be_bytes(class));
        let name = name.to_ascii_lowercase();
        let known = self.forward(guest, &name).or_else(|| self.backward(guest, &name))?;
        match known {
            Known::Record(of, data) if class == IN && [of, ANY].contains(&kind) => {
                message::answer(message, 0, Some((of, TTL, &data)))
            }
            Known::NoSuchName => message::answer(message, NO_SUCH_NAME, None),
            _ => message::answer(message, 0, None),
        }
    }

    /// A name of this zone.
    fn forward(&self, guest: &Guest, name: &[u8]) -> Option<Known> {
        if !is_below(name, &self.0) {
            return None;
        }
        if let Some(address) = self.peer(guest, name) {
            return Some(Known::Record(A, address.octets().into()));
        }
        let own = self.name_of(&guest.name);
        let known = match own {
            _ if *name == *self.0 => Known::Nothing,
            Some(own) if own == name => Known::Record(A, guest.address.octets().into()),
            _ if self.name_of(GATEWAY).as_deref() == Some(name) => {
                Known::Record(A, guest.gateway.octets().into())
            }
            // What lies between a name of several labels and the zone.
            Some(own) if is_below(&own, name) => Known::Nothing,
            _ => Known::NoSuchName,
        };
        Some(known)
    }

    /// The address of who is on the guest's segment, by a name of this zone.
    fn peer(&self, guest: &Guest, name: &[u8]) -> Option<Ipv4Addr> {
        let own = name.get(..name.len().checked_sub(self.0.len())?)?;
        guest.peers.as_ref()?.addresses.get(own).copied()
    }

    /// The name of an address on the guest's link.
    fn backward(&self, guest: &Guest, name: &[u8]) -> Option<Known> {
        let address = reversed(name)?;
        let mask = u32::MAX.checked_shl(32 - u32::from(guest.prefix)).unwrap_or(0);
        if (u32::from(address) ^ u32::from(guest.gateway)) & mask != 0 {
            return None;
        }
        let its = match address {
            _ if address == guest.address => self.name_of(&guest.name),
            _ if address == guest.gateway => self.name_of(GATEWAY),
            _ => {
                let its = guest.peers.as_ref().and_then(|peers| peers.names.get(&address));
                its.map(|its| [its, &self.0[..]].concat())
            }
        };
        Some(its.map_or(Known::NoSuchName, |its| Known::Record(PTR, its)))
    }

    /// A name in this zone; none for one that the DNS cannot have ("a..b").
    fn name_of(&self, text: &str) -> Option<Vec<u8>> {
        let mut name = wire(&text.to_ascii_lowercase())?;
        name.pop();
        name.extend_from_slice(&self.0);
        Some(name)
    }
}

/// Labels with their lengths, and the root's.
fn wire(text: &str) -> Option<Vec<u8>> {
    let mut name = Vec::with_capacity(text.len() + 2);
    for label in text.split('.') {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..=63).contains(length))?;
        name.push(length);
        name.extend(label.bytes().map(|byte| byte.to_ascii_lowercase()));
    }
    name.push(0);
    Some(name)
}

/// Whether a name is this one, or ends in it. Both are lower case.
fn is_below(name: &[u8], zone: &[u8]) -> bool {
    let mut rest = name;
    while rest.len() > zone.len() {
        let Some(next) = rest.first().and_then(|length| rest.get(1 + usize::from(*length)..))
        else {
            return false;
        };
        rest = next;
    }
    rest == zone
}

/// The address that a name is of: four labels, in reverse, below in-addr.arpa.
fn reversed(name: &[u8]) -> Option<Ipv4Addr> {
    let mut rest = name.strip_suffix(REVERSE)?;
    let mut octets = [0; 4];
    for octet in octets.iter_mut().rev() {
        let (length, after) = rest.split_first()?;
        let label = std::str::from_utf8(after.get(..usize::from(*length))?).ok()?;
        // Not "01", nor "+1".
        *octet = label.parse().ok().filter(|number: &u8| number.to_string() == label)?;
        rest = after.get(usize::from(*length)..)?;
    }
    rest.is_empty().then(|| octets.into())
}

impl std::str::FromStr for Zone {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::new(text).ok_or_else(|| {
            format!("{text:?} is no zone: labels of letters, digits and hyphens, as guest.internal")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::tests::question;
    use super::*;

    fn guest(name: &str) -> Guest {
        let (address, gateway) = ([172, 17, 3, 3].into(), [172, 17, 3, 2].into());
        let (way, servers, peers) = (None, None, None);
        Guest { name: name.into(), address, gateway, prefix: 16, way, servers, peers }
    }

    /// What a guest is answered to a question of this type: the code, and the record's data.
    fn asks(of: &Guest, name: &str, kind: u16) -> Option<(u8, Vec<u8>)> {
        let mut message = question(0x1234, name);
        let end = message.len();
        message[end - 4..end - 2].copy_from_slice(&kind.to_be_bytes());
        let query = Query::parse(&message).unwrap();
        let answer = Zone::new("guest").unwrap().answer(of, &query, &message)?;
        assert!(query.is_answered_by(&message, &answer), "{name}: it is an answer to the question");
        assert_eq!(answer[2..4], [0x85, 0x80 | message::rcode(&answer)], "{name}: authoritative");
        assert_eq!(answer[6..8], [0, u8::from(answer.len() > end)]);
        let record = answer.get(end..).unwrap_or_default();
        if !record.is_empty() {
            assert_eq!(record[..2], [0xc0, 12], "{name}: of the question's name");
            assert_eq!(record[4..10], [0, 1, 0, 0, 0, 0], "{name}: IN, held for no time");
            assert_eq!(usize::from(record[11]), record.len() - 12);
        }
        Some((message::rcode(&answer), record.get(12..).unwrap_or_default().to_vec()))
    }

    #[test]
    fn guests_of_a_segment_have_names_for_each_other() {
        let mut peers = Peers::default();
        peers.add("Left.seat", [172, 17, 3, 9].into());
        peers.add("a..b", [172, 17, 3, 10].into());
        let on = Guest { peers: Some(Arc::new(peers)), ..guest("box") };
        let name = b"\x04left\x04seat\x05guest\0".to_vec();
        assert_eq!(asks(&on, "left.seat.guest", A), Some((0, vec![172, 17, 3, 9])));
        assert_eq!(asks(&on, "LEFT.seat.guest", 28), Some((0, vec![])));
        assert_eq!(asks(&on, "9.3.17.172.in-addr.arpa", PTR), Some((0, name)));
        for not in ["seat.guest", "left.guest", "10.3.17.172.in-addr.arpa"] {
            assert_eq!(asks(&on, not, ANY), Some((NO_SUCH_NAME, vec![])), "{not}");
        }
        assert_eq!(asks(&guest("box"), "left.seat.guest", A), Some((NO_SUCH_NAME, vec![])));
    }

    #[test]
    fn a_guest_has_a_name_and_so_has_its_gateway() {
        let of = guest("box");
        let is = |name: &str, kind| asks(&of, name, kind);
        for name in ["box.guest", "BOX.Guest"] {
            assert_eq!(is(name, A), Some((0, vec![172, 17, 3, 3])));
            assert_eq!(is(name, ANY), Some((0, vec![172, 17, 3, 3])));
            assert_eq!(is(name, 28), Some((0, vec![])), "it has no AAAA");
        }
        assert_eq!(is("_gateway.guest", A), Some((0, vec![172, 17, 3, 2])));
        let own = b"\x03box\x05guest\0".to_vec();
        assert_eq!(is("3.3.17.172.in-addr.arpa", PTR), Some((0, own)));
        let gateway = b"\x08_gateway\x05guest\0".to_vec();
        assert_eq!(is("2.3.17.172.in-addr.arpa", PTR), Some((0, gateway)));
        assert_eq!(is("3.3.17.172.in-addr.arpa", A), Some((0, vec![])));
        assert_eq!(is("guest", 6), Some((0, vec![])), "the zone itself");
    }

    #[test]
    fn others_are_none_and_nothing_of_the_zone_is_asked_of_others() {
        let of = guest("box");
        let none = Some((NO_SUCH_NAME, vec![]));
        for name in ["other.guest", "a.box.guest", "gateway.guest", "_gateway.x.guest"] {
            assert_eq!(asks(&of, name, A), none, "{name}");
        }
        for name in ["4.3.17.172.in-addr.arpa", "255.255.17.172.in-addr.arpa"] {
            assert_eq!(asks(&of, name, PTR), none, "{name}");
        }
        for others in [
            "guest.example",
            "boxguest",
            "example",
            "",
            "1.2.0.192.in-addr.arpa",
            "3.17.172.in-addr.arpa",
            "03.3.17.172.in-addr.arpa",
            "1.3.3.17.172.in-addr.arpa",
            "x.3.17.172.in-addr.arpa",
            "in-addr.arpa",
        ] {
            assert_eq!(asks(&of, others, A), None, "{others}");
        }
    }

    #[test]
    fn a_name_of_several_labels_is_one_and_one_that_the_dns_cannot_have_is_none() {
        let of = guest("Web.Box");
        assert_eq!(asks(&of, "web.box.guest", A), Some((0, vec![172, 17, 3, 3])));
        assert_eq!(asks(&of, "box.guest", A), Some((0, vec![])), "in between");
        assert_eq!(asks(&of, "ox.guest", A), Some((NO_SUCH_NAME, vec![])));
        for odd in ["a..b", "a."] {
            let none = asks(&guest(odd), "3.3.17.172.in-addr.arpa", PTR);
            assert_eq!(none, Some((NO_SUCH_NAME, vec![])), "{odd}");
        }
        let long = "a".repeat(63);
        assert!(asks(&guest(&long), &format!("{long}.guest"), A).is_some_and(|(code, _)| code == 0));
    }

    #[test]
    fn another_class_learns_that_the_name_exists() {
        let mut message = question(1, "box.guest");
        let end = message.len();
        message[end - 1] = 3;
        let query = Query::parse(&message).unwrap();
        let answer = Zone::new("guest").unwrap().answer(&guest("box"), &query, &message).unwrap();
        assert_eq!((message::rcode(&answer), answer.len()), (0, end));
    }

    #[test]
    fn anything_may_come() {
        let zone = Zone::new("guest").unwrap();
        let of = guest("box");
        let messages: Vec<_> = super::super::corpus::messages().map(|one| one.2).collect();
        let random = std::hash::RandomState::new();
        for n in 0..message::tests::inputs() {
            let bits = std::hash::BuildHasher::hash_one(&random, n);
            let names = ["box.guest", "guest", "3.3.17.172.in-addr.arpa", "x.in-addr.arpa"];
            let mut message = match n % 3 {
                0 => messages[bits as usize % messages.len()].clone(),
                _ => question(n as u16, names[bits as usize % names.len()]),
            };
            let at = (bits >> 8) as usize % message.len().max(1);
            if let Some(byte) = message.get_mut(at).filter(|_| n % 4 != 0) {
                *byte ^= (bits >> 32) as u8;
            }
            let Ok(query) = Query::parse(&message) else { continue };
            if let Some(answer) = zone.answer(&of, &query, &message) {
                assert!(query.is_answered_by(&message, &answer), "{message:?}");
                assert!(answer.len() <= message.len() + 12 + 16);
            }
        }
    }

    #[test]
    fn a_zone_is_a_name() {
        for good in ["guest", "guest.internal", "g-1", &"a".repeat(63)] {
            assert_eq!(Zone::new(good).map(|zone| zone.text()).as_deref(), Some(good));
        }
        let long = ["a"; 70].join(".");
        for bad in
            ["", ".", "guest.", ".guest", "a b", "_x", "-a", "a-", "\u{e4}", &long, &"a".repeat(64)]
        {
            assert!(Zone::new(bad).is_none(), "{bad}");
        }
    }
}
