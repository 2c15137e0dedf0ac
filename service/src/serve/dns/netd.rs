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

//! netd's resolver, as its socket `dnsproxyd` speaks (packages/modules/DnsResolver, `resnsend`; on the
//! other side libnetd_client, `resNetworkSend`). Pure. Reads what may be anything.

use std::io;

/// Where it listens.
pub const SOCKET: &str = "/dev/socket/dnsproxyd";
/// No answer is larger, in bytes.
const MOST: usize = 65_535;

/// The question for a network: a command, ended by a zero byte.
pub fn request(network: u32, message: &[u8]) -> Vec<u8> {
    let mut text = format!("resnsend {network} 0 ").into_bytes();
    base64(message, &mut text);
    text.push(0);
    text
}

/// The answer, once all of it is there: an rcode, or a negative errno and nothing more; a length; the
/// message. All numbers have 32 bits and their high byte first.
pub fn answer(bytes: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let number = |at: usize| Some(i32::from_be_bytes(*bytes.get(at..)?.first_chunk()?));
    let Some(code) = number(0) else { return Ok(None) };
    if code < 0 {
        return Err(io::Error::from_raw_os_error(code.saturating_neg()));
    }
    let Some(length) = number(4) else { return Ok(None) };
    let length = usize::try_from(length).ok().filter(|length| *length <= MOST);
    let length = length.ok_or(io::ErrorKind::InvalidData)?;
    Ok(bytes.get(8..8 + length).map(<[u8]>::to_vec))
}

/// RFC 4648, 4, with padding.
fn base64(bytes: &[u8], text: &mut Vec<u8>) {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - chunk.len()));
        for n in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * n)) as usize & 63];
            text.push(if n <= chunk.len() { letter } else { b'=' });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_one_command() {
        for (message, text) in [
            (&b""[..], &b"resnsend 100 0 \0"[..]),
            (b"f", b"resnsend 100 0 Zg==\0"),
            (b"fo", b"resnsend 100 0 Zm8=\0"),
            (b"foobar", b"resnsend 100 0 Zm9vYmFy\0"),
            (b"\xff\xfe\xfd", b"resnsend 100 0 //79\0"),
        ] {
            assert_eq!(request(100, message), text);
        }
        let largest = request(u32::MAX, &[0; super::super::message::MOST]);
        assert!(largest.len() < 4096, "FrameworkListener's buffer");
    }

    #[test]
    fn an_answer_is_waited_for_until_it_is_whole() {
        let whole = b"\0\0\0\x03\0\0\0\x05hello";
        for end in 0..whole.len() {
            assert!(answer(&whole[..end]).unwrap().is_none(), "{end}");
        }
        assert_eq!(answer(whole).unwrap().unwrap(), b"hello");
        let error = |bytes: &[u8]| answer(bytes).unwrap_err();
        assert_eq!(error(&(-110_i32).to_be_bytes()).raw_os_error(), Some(110));
        assert!(error(&i32::MIN.to_be_bytes()).raw_os_error().is_some());
        for length in [&[0, 1, 0, 0], &[0x7f, 0xff, 0xff, 0xff], &[0xff, 0xff, 0xff, 0xff]] {
            error(&[&[0; 4][..], length].concat());
        }
        assert_eq!(answer(&[0; 8]).unwrap().unwrap(), b"", "which is no message, and is judged so");
    }

    #[test]
    fn anything_may_come() {
        let random = std::hash::RandomState::new();
        for n in 0..super::super::message::tests::inputs() {
            let bits = std::hash::BuildHasher::hash_one(&random, n).to_be_bytes();
            let mut bytes = bits.repeat(1 + n as usize % 3);
            if n % 2 == 0 {
                bytes[..6].fill(0);
            }
            if let Ok(Some(message)) = answer(&bytes) {
                assert!(message.len() + 8 <= bytes.len());
            }
        }
    }
}
