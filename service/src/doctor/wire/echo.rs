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

//! ICMP echo requests of a given size, known again by a token (RFC 792).

use super::u64_at;

/// IPv4's header without options.
pub const IP_HEADER: usize = 20;
const ICMP_HEADER: usize = 8;
const TOKEN: usize = 8;
const REQUEST: u8 = 8;
const REPLY: u8 = 0;

/// ICMP's identifier of a request with this token.
pub fn id(token: u64) -> u16 {
    token as u16
}

/// A request for a raw socket, that makes a packet of `size` bytes, of at least 36.
pub fn request(token: u64, size: usize) -> Vec<u8> {
    let length = size.saturating_sub(IP_HEADER).max(ICMP_HEADER + TOKEN);
    let [_, _, _, _, _, _, first, second] = token.to_be_bytes();
    let mut bytes = vec![REQUEST, 0, 0, 0, first, second, 0, 1];
    bytes.extend(token.to_be_bytes());
    bytes.resize(length, 0);
    let sum = checksum(&bytes).to_be_bytes();
    bytes.iter_mut().skip(2).zip(sum).for_each(|(to, from)| *to = from);
    bytes
}

/// Whether a packet, with its IP header as a raw socket gives it, answers the request of this token.
pub fn is_reply(packet: &[u8], token: u64) -> bool {
    let header = packet.first().map_or(0, |first| usize::from(first & 0xf) * 4);
    packet.get(header..).and_then(read) == Some((true, token))
}

/// Whether it is a reply, and its token; nothing if it is no echo of ours.
pub fn read(icmp: &[u8]) -> Option<(bool, u64)> {
    let reply = match *icmp.first()? {
        REPLY => true,
        REQUEST => false,
        _ => return None,
    };
    Some((reply, u64_at(icmp, ICMP_HEADER)?))
}

/// The internet checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| match pair {
        [first, second] => u32::from(u16::from_be_bytes([*first, *second])),
        [last] => u32::from(u16::from_be_bytes([*last, 0])),
        _ => 0,
    });
    let mut sum: u32 = words.fold(0, u32::wrapping_add);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// Whether an ICMP message's checksum is right.
#[cfg(test)]
fn is_sound(icmp: &[u8]) -> bool {
    checksum(icmp) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_its_size_and_a_reply_its_token() {
        for size in [84, 1280, 1500] {
            let request = request(0x0102_0304_0506_0708, size);
            assert_eq!(request.len(), size - IP_HEADER);
            assert!(is_sound(&request));
        }
        let mut packet = vec![0x45; IP_HEADER];
        packet.extend(request(7, 84));
        assert!(!is_reply(&packet, 7), "a request");
        packet[IP_HEADER] = REPLY;
        assert!(is_reply(&packet, 7) && !is_reply(&packet, 8));
        for end in 0..packet.len() {
            let _ = is_reply(&packet[..end], 7);
        }
    }
}
