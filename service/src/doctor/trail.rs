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

//! Where a probe's packet and its answer were seen: the difference between two places is where it was
//! lost. Pure.
//!
//! A tap sees a packet before the packet filter of its side does as it comes in, and behind it as it
//! leaves. NAT changes addresses and ports, and leaves TCP's sequence number, DNS's id and an echo's
//! payload alone.

use super::wire::packet::{Packet, What};
use crate::model::if_index::IfIndex;
use std::net::{Ipv4Addr, SocketAddrV4};

/// In whose namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The guest's.
    Guest,
    /// The device's.
    Device,
}

/// A packet that a tap saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// Where.
    pub side: Side,
    /// At which interface.
    pub index: IfIndex,
    /// Whether it left by it.
    pub outgoing: bool,
    /// It.
    pub packet: Packet,
}

/// What a probe's packets are known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// From this port to there.
    Tcp(u16, SocketAddrV4),
    /// DNS's id.
    Dns(u16),
    /// An echo's token.
    Echo(u64),
}

/// One place on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hop {
    /// The interface.
    pub index: IfIndex,
    /// The packet's source there.
    pub source: Ipv4Addr,
    /// Its destination there.
    pub destination: Ipv4Addr,
}

/// Where it was seen, in the order of its way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trail {
    /// It left the guest.
    pub sent: Option<Hop>,
    /// It came in at the host end.
    pub arrived: Option<Hop>,
    /// It left the device.
    pub left: Option<Hop>,
    /// The answer came in.
    pub answered: Option<Hop>,
    /// The answer left by the host end.
    pub passed: Option<Hop>,
    /// The answer left by another interface.
    pub astray: Option<Hop>,
    /// The answer came in at the guest.
    pub received: Option<Hop>,
}

impl Trail {
    /// That of the probe with this mark. `host_end` is the index of the device's end of the guest's link.
    pub fn of(mark: Mark, host_end: IfIndex, sightings: &[Sighting]) -> Self {
        let sequence = first_sequence(mark, sightings);
        let mut trail = Self::default();
        for seen in sightings.iter().filter(|seen| seen.index != IfIndex::LOOPBACK) {
            let Some(answers) = is_of(mark, sequence, seen.packet.what) else { continue };
            let at_host_end = seen.side == Side::Device && seen.index == host_end;
            let place = match (seen.side, at_host_end, seen.outgoing, answers) {
                (Side::Guest, _, true, false) => &mut trail.sent,
                (Side::Device, true, false, false) => &mut trail.arrived,
                (Side::Device, false, true, false) => &mut trail.left,
                (Side::Device, false, false, true) => &mut trail.answered,
                (Side::Device, true, true, true) => &mut trail.passed,
                (Side::Device, false, true, true) => &mut trail.astray,
                (Side::Guest, _, false, true) => &mut trail.received,
                _ => continue,
            };
            let Packet { source, destination, .. } = seen.packet;
            place.get_or_insert(Hop { index: seen.index, source, destination });
        }
        trail
    }

    /// At how many places it was seen.
    pub fn len(&self) -> usize {
        let out = [self.sent, self.arrived, self.left];
        let back = [self.answered, self.passed, self.received];
        out.iter().chain(&back).flatten().count()
    }

    /// Whether it was seen nowhere.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether an answer came to the device, or was given by it.
    pub fn is_answered(&self) -> bool {
        self.answered.or(self.passed).or(self.received).is_some()
    }

    /// In words; `name` is an interface's.
    pub fn words(&self, name: &dyn Fn(IfIndex) -> String) -> String {
        let leaves =
            |what: &str, hop: &Hop| format!("{what} {} as {}", name(hop.index), hop.source);
        let at = |what: &str, hop: &Hop| format!("{what} {}", name(hop.index));
        [
            self.sent.is_some().then(|| "sent".to_owned()),
            self.arrived.as_ref().map(|hop| at("in by", hop)),
            self.left.as_ref().map(|hop| leaves("out by", hop)),
            self.answered.as_ref().map(|hop| at("answer in by", hop)),
            self.passed.as_ref().map(|hop| at("passed to", hop)),
            self.astray.as_ref().map(|hop| at("answer out by", hop)),
            self.received.is_some().then(|| "received".to_owned()),
        ]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(", ")
    }
}

/// The sequence number of the first packet of a TCP connection, as its own side sent it.
fn first_sequence(mark: Mark, sightings: &[Sighting]) -> Option<u32> {
    let Mark::Tcp(port, there) = mark else { return None };
    sightings.iter().find_map(|seen| match seen.packet.what {
        What::Tcp { from, to, sequence, acknowledges: None }
            if (from, to) == (port, there.port()) && seen.packet.destination == *there.ip() =>
        {
            Some(sequence)
        }
        _ => None,
    })
}

/// Whether a packet is the answer to the marked one; nothing if it is neither.
fn is_of(mark: Mark, first: Option<u32>, what: What) -> Option<bool> {
    match (mark, what) {
        (Mark::Tcp(..), What::Tcp { sequence, acknowledges, .. }) => {
            let first = first?;
            match acknowledges {
                None => (sequence == first).then_some(false),
                Some(number) => {
                    (number == first.wrapping_add(1) && sequence != number).then_some(true)
                }
            }
        }
        (Mark::Dns(wanted), What::Dns { id, answers }) => (id == wanted).then_some(answers),
        (Mark::Echo(wanted), What::Echo { token, answers }) => (token == wanted).then_some(answers),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUEST: Ipv4Addr = Ipv4Addr::new(172, 17, 3, 3);
    const UPLINK: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
    const HOST: Ipv4Addr = Ipv4Addr::new(1, 1, 1, 1);

    fn seen(
        side: Side,
        index: IfIndex,
        outgoing: bool,
        ends: (Ipv4Addr, Ipv4Addr),
        what: What,
    ) -> Sighting {
        let packet = Packet { source: ends.0, destination: ends.1, what };
        Sighting { side, index, outgoing, packet }
    }

    #[test]
    fn a_connection_is_followed_through_nat_and_back() {
        use Side::*;
        let syn = What::Tcp { from: 5, to: 443, sequence: 9, acknowledges: None };
        // Another port behind NAT.
        let nated = What::Tcp { from: 7, to: 443, sequence: 9, acknowledges: None };
        let answer = What::Tcp { from: 443, to: 7, sequence: 70, acknowledges: Some(10) };
        let other = What::Tcp { from: 5, to: 443, sequence: 11, acknowledges: None };
        let all = [
            seen(Guest, IfIndex::of(2), true, (GUEST, HOST), syn),
            seen(Guest, IfIndex::LOOPBACK, false, (GUEST, HOST), syn),
            seen(Device, IfIndex::of(4), false, (GUEST, HOST), syn),
            seen(Device, IfIndex::of(3), true, (UPLINK, HOST), nated),
            seen(Device, IfIndex::of(3), true, (UPLINK, HOST), other),
            seen(Device, IfIndex::of(3), false, (HOST, UPLINK), answer),
            seen(Device, IfIndex::of(4), true, (HOST, GUEST), answer),
            seen(Guest, IfIndex::of(2), false, (HOST, GUEST), answer),
        ];
        let mark = Mark::Tcp(5, SocketAddrV4::new(HOST, 443));
        let trail = Trail::of(mark, IfIndex::of(4), &all);
        assert_eq!(
            trail.left,
            Some(Hop { index: IfIndex::of(3), source: UPLINK, destination: HOST })
        );
        assert!(trail.sent.is_some() && trail.arrived.is_some() && trail.astray.is_none());
        assert!(trail.is_answered() && trail.passed.is_some() && trail.received.is_some());
        let name = |index: IfIndex| format!("if{index}");
        assert_eq!(
            trail.words(&name),
            "sent, in by if4, out by if3 as 192.0.2.2, answer in by if3, passed to if4, received"
        );
        assert_eq!(
            Trail::of(Mark::Tcp(6, SocketAddrV4::new(HOST, 443)), IfIndex::of(4), &all),
            Trail::default()
        );
    }

    #[test]
    fn an_answer_that_goes_elsewhere_is_astray() {
        let (asks, answers) =
            (What::Dns { id: 3, answers: false }, What::Dns { id: 3, answers: true });
        let all = [
            seen(Side::Device, IfIndex::of(4), false, (GUEST, HOST), asks),
            seen(Side::Device, IfIndex::of(3), true, (UPLINK, HOST), asks),
            seen(Side::Device, IfIndex::of(3), false, (HOST, UPLINK), answers),
            seen(Side::Device, IfIndex::of(9), true, (HOST, GUEST), answers),
        ];
        let trail = Trail::of(Mark::Dns(3), IfIndex::of(4), &all);
        assert_eq!(trail.astray.map(|hop| hop.index), Some(IfIndex::of(9)));
        assert!(trail.passed.is_none() && trail.received.is_none() && trail.is_answered());
        assert_eq!(Trail::of(Mark::Dns(4), IfIndex::of(4), &all), Trail::default());
        assert_eq!(Trail::of(Mark::Echo(3), IfIndex::of(4), &all), Trail::default());
    }
}
