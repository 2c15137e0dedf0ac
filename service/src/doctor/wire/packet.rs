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

//! An IPv4 packet as a tap sees it: as much as tells a probe's from others.

use super::{echo, u16_at, u32_at};
use std::net::Ipv4Addr;

/// A packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Its source address.
    pub source: Ipv4Addr,
    /// Its destination.
    pub destination: Ipv4Addr,
    /// What is in it.
    pub what: What,
}

/// What is in a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// TCP.
    Tcp {
        /// Source port.
        from: u16,
        /// Destination port.
        to: u16,
        /// Sequence number.
        sequence: u32,
        /// Acknowledged number, where it acknowledges.
        acknowledges: Option<u32>,
    },
    /// UDP, with the first two bytes of DNS.
    Dns {
        /// Its id.
        id: u16,
        /// Whether it is an answer.
        answers: bool,
    },
    /// An ICMP echo.
    Echo {
        /// What it is known again by.
        token: u64,
        /// Whether it is a reply.
        answers: bool,
    },
}

/// The packet that begins with its IP header; nothing for all that no probe is.
pub fn read(bytes: &[u8]) -> Option<Packet> {
    const MORE_THAN_THE_FIRST_FRAGMENT: u16 = 0x1fff;
    let first = *bytes.first()?;
    if first >> 4 != 4 || u16_at(bytes, 6)? & MORE_THAN_THE_FIRST_FRAGMENT != 0 {
        return None;
    }
    let inside = bytes.get(usize::from(first & 0xf) * 4..)?;
    let what = match i32::from(*bytes.get(9)?) {
        libc::IPPROTO_TCP => {
            const ACK: u8 = 0x10;
            let acknowledges = inside.get(13)? & ACK != 0;
            What::Tcp {
                from: u16_at(inside, 0)?,
                to: u16_at(inside, 2)?,
                sequence: u32_at(inside, 4)?,
                acknowledges: acknowledges.then_some(u32_at(inside, 8)?),
            }
        }
        libc::IPPROTO_UDP => {
            What::Dns { id: u16_at(inside, 8)?, answers: inside.get(10)? & 0x80 != 0 }
        }
        libc::IPPROTO_ICMP => {
            let (answers, token) = echo::read(inside)?;
            What::Echo { token, answers }
        }
        _ => return None,
    };
    Some(Packet { source: u32_at(bytes, 12)?.into(), destination: u32_at(bytes, 16)?.into(), what })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(protocol: u8, inside: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, protocol, 0, 0];
        bytes.extend([172, 17, 3, 3, 1, 1, 1, 1]);
        bytes.extend(inside);
        bytes
    }

    #[test]
    fn packets_of_probes_are_read() {
        let mut tcp = vec![0xc0, 0, 1, 0xbb, 0, 0, 0, 7, 0, 0, 0, 0, 0x50, 2, 0, 0];
        let read_what = |bytes: &[u8]| read(bytes).map(|packet| packet.what);
        let syn = What::Tcp { from: 49152, to: 443, sequence: 7, acknowledges: None };
        assert_eq!(read_what(&ip(6, &tcp)), Some(syn));
        tcp[13] = 0x12;
        let ack = What::Tcp { from: 49152, to: 443, sequence: 7, acknowledges: Some(0) };
        assert_eq!(read_what(&ip(6, &tcp)), Some(ack));
        let dns = [0, 53, 0, 53, 0, 12, 0, 0, 1, 2, 0x81, 0];
        assert_eq!(read_what(&ip(17, &dns)), Some(What::Dns { id: 0x102, answers: true }));
        let request = ip(1, &echo::request(9, 84));
        assert_eq!(read_what(&request), Some(What::Echo { token: 9, answers: false }));
        let packet = read(&request).unwrap();
        assert_eq!(packet.source, Ipv4Addr::new(172, 17, 3, 3));
        assert_eq!(packet.destination, Ipv4Addr::new(1, 1, 1, 1));
        let mut fragment = request.clone();
        fragment[7] = 1;
        assert_eq!(read(&fragment), None);
        for end in 0..request.len() {
            let _ = read(&request[..end]);
        }
        for at in 0..request.len() {
            let mut bent = request.clone();
            bent[at] = 0xff;
            let _ = read(&bent);
        }
    }
}
