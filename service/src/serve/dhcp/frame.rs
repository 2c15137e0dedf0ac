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

//! IPv4 and UDP around a DHCP message, as a packet socket has them: guestnetd has no UDP socket on port
//! 67, which would need a right of its own and a rule in INPUT. Pure.

use std::net::Ipv4Addr;

/// Where servers listen, and clients.
pub const SERVER_PORT: u16 = 67;
/// Where clients listen, and send from.
pub const CLIENT_PORT: u16 = 68;

const IP: usize = 20;
const UDP: usize = 8;

/// A datagram to the port of servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// Who sent it.
    pub source: Ipv4Addr,
    /// Who is to get it.
    pub destination: Ipv4Addr,
    /// The port that it was sent from.
    pub port: u16,
    /// What is in it.
    pub payload: &'a [u8],
}

/// Why a packet is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Bad {
    /// No whole IPv4 packet with UDP for that port.
    #[error("it is not a whole datagram")]
    Packet,
    /// The IP header is damaged.
    #[error("the checksum of its IP header is wrong")]
    IpChecksum,
    /// The datagram is damaged.
    #[error("its UDP checksum is wrong")]
    UdpChecksum,
}

/// Reads a packet that begins with its IP header. A sender on this device, as every guest with a veth
/// pair, leaves the checksum of UDP to hardware that is not there: `unfinished`, as the kernel says of it
/// (`TP_STATUS_CSUMNOTREADY`).
pub fn read(packet: &[u8], unfinished: bool) -> Result<Datagram<'_>, Bad> {
    let header = packet.first_chunk::<IP>().ok_or(Bad::Packet)?;
    let length = usize::from(header[0] & 0xf) * 4;
    let total = usize::from(u16_at(header, 2));
    let fragment = u16_at(header, 6) & 0x3fff;
    if header[0] >> 4 != 4 || length < IP || header[9] != UDP_PROTOCOL || fragment != 0 {
        return Err(Bad::Packet);
    }
    // Behind the packet there may be padding of Ethernet's.
    let packet = packet.get(..total).ok_or(Bad::Packet)?;
    let header = packet.get(..length).ok_or(Bad::Packet)?;
    let datagram = packet.get(length..).ok_or(Bad::Packet)?;
    if sum(0, header) != 0xffff {
        return Err(Bad::IpChecksum);
    }
    let udp = datagram.first_chunk::<UDP>().ok_or(Bad::Packet)?;
    let datagram = datagram.get(..usize::from(u16_at(udp, 4))).ok_or(Bad::Packet)?;
    let payload = datagram.get(UDP..).ok_or(Bad::Packet)?;
    if u16_at(udp, 2) != SERVER_PORT {
        return Err(Bad::Packet);
    }
    let source = address_at(packet, 12).ok_or(Bad::Packet)?;
    let destination = address_at(packet, 16).ok_or(Bad::Packet)?;
    let checked = u16_at(udp, 6) != 0 && !unfinished;
    if checked && sum(pseudo(source, destination, datagram.len()), datagram) != 0xffff {
        return Err(Bad::UdpChecksum);
    }
    Ok(Datagram { source, destination, port: u16_at(udp, 0), payload })
}

/// A packet from the server's port to the clients'. What is longer than a datagram is cut off.
pub fn write(source: Ipv4Addr, destination: Ipv4Addr, payload: &[u8]) -> Vec<u8> {
    let payload = payload.get(..usize::from(u16::MAX) - IP - UDP).unwrap_or(payload);
    let length = UDP + payload.len();
    let total = IP + length;
    let mut packet = vec![0x45, 0, (total >> 8) as u8, total as u8];
    // No identification, no fragments; 64 hops.
    packet.extend([0, 0, 0x40, 0, 64, UDP_PROTOCOL, 0, 0]);
    packet.extend(source.octets());
    packet.extend(destination.octets());
    let header = !sum(0, &packet);
    put(&mut packet, 10, header);
    packet.extend(SERVER_PORT.to_be_bytes());
    packet.extend(CLIENT_PORT.to_be_bytes());
    packet.extend((length as u16).to_be_bytes());
    packet.extend([0, 0]);
    packet.extend(payload);
    let sum = !sum(pseudo(source, destination, length), packet.get(IP..).unwrap_or_default());
    // Zero stands for none (RFC 768).
    put(&mut packet, IP + 6, if sum == 0 { 0xffff } else { sum });
    packet
}

const UDP_PROTOCOL: u8 = libc::IPPROTO_UDP as u8;

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    let two = bytes.get(at..at + 2).and_then(|two| two.try_into().ok());
    two.map_or(0, u16::from_be_bytes)
}

fn address_at(bytes: &[u8], at: usize) -> Option<Ipv4Addr> {
    let four: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(four.into())
}

fn put(bytes: &mut [u8], at: usize, value: u16) {
    bytes.iter_mut().skip(at).zip(value.to_be_bytes()).for_each(|(to, from)| *to = from);
}

/// What UDP's checksum has of the IP header (RFC 768).
fn pseudo(source: Ipv4Addr, destination: Ipv4Addr, length: usize) -> u32 {
    let (source, destination) = (u32::from(source), u32::from(destination));
    let halves = |address: u32| (address >> 16) + (address & 0xffff);
    halves(source) + halves(destination) + u32::from(UDP_PROTOCOL) + length as u32
}

/// The one's complement sum of 16-bit words (RFC 1071): all ones where a checksum within is right.
fn sum(begin: u32, bytes: &[u8]) -> u16 {
    // 65535 bytes at most: 32768 words of 16 bits do not overflow 32.
    let words = bytes.chunks(2).map(|two| match two {
        [high, low] => u32::from(u16::from_be_bytes([*high, *low])),
        [high, ..] => u32::from(*high) << 8,
        [] => 0,
    });
    let sum = words.fold(begin, |sum, word| sum + word);
    let sum = (sum >> 16) + (sum & 0xffff);
    ((sum >> 16) + (sum & 0xffff)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUEST: Ipv4Addr = Ipv4Addr::new(172, 17, 3, 3);
    const GATEWAY: Ipv4Addr = Ipv4Addr::new(172, 17, 3, 2);

    /// A packet to the server's port.
    fn to_a_server(payload: &[u8]) -> Vec<u8> {
        let mut packet = write(GUEST, GATEWAY, payload);
        packet[20..24].copy_from_slice(&[0, 68, 0, 67]);
        packet
    }

    #[test]
    fn what_is_written_can_be_read() {
        for payload in [&b""[..], b"x", b"odd", b"even", &[0xff; 1472], &[0xab; 65507]] {
            let packet = to_a_server(payload);
            let expected =
                Datagram { source: GUEST, destination: GATEWAY, port: CLIENT_PORT, payload };
            // The ports have changed places, which no such sum sees.
            assert_eq!(read(&packet, false), Ok(expected));
        }
        assert_eq!(write(GUEST, GATEWAY, &[0; 70000]).len(), 65535);
        // Its checksum is known: the example of Wikipedia's "Internet checksum".
        let packet = write([192, 168, 0, 1].into(), [192, 168, 0, 199].into(), &[0; 87]);
        assert_eq!(u16_at(&packet, 10), 0xb861);
    }

    #[test]
    fn what_is_damaged_is_refused_and_padding_is_not() {
        let packet = to_a_server(b"hello");
        let mut padded = packet.clone();
        padded.extend([0xee; 13]);
        assert_eq!(read(&padded, false).unwrap().payload, b"hello");
        for at in 0..packet.len() {
            let mut bent = packet.clone();
            bent[at] ^= 0x10;
            assert!(read(&bent, false).is_err(), "byte {at}");
            assert!(read(&packet[..at], false).is_err(), "{at} bytes");
        }
        let mut bent = packet.clone();
        bent[30] ^= 1;
        assert_eq!(read(&bent, false), Err(Bad::UdpChecksum));
        assert!(read(&bent, true).is_ok(), "it was never filled in");
        bent[26..28].copy_from_slice(&[0, 0]);
        assert!(read(&bent, false).is_ok(), "it has none");
        let mut fragment = packet;
        fragment[6] = 0x20;
        assert_eq!(read(&fragment, true), Err(Bad::Packet));
    }
}
