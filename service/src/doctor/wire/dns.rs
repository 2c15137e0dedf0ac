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

//! One question to a resolver, and its answer (RFC 1035).

use super::u16_at;
use std::net::Ipv4Addr;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// An IPv4 address.
    A,
    /// An IPv6 address.
    Aaaa,
}

impl Record {
    fn number(self) -> u16 {
        match self {
            Self::A => 1,
            Self::Aaaa => 28,
        }
    }
}

/// What a resolver said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// RCODE: 0 no error, 2 SERVFAIL, 3 NXDOMAIN, 5 REFUSED.
    pub code: u8,
    /// The IPv4 addresses in it.
    pub addresses: Vec<Ipv4Addr>,
}

impl Answer {
    /// Whether the resolver did its work: also where there is no such name.
    pub fn is_good(&self) -> bool {
        matches!(self.code, 0 | 3)
    }

    /// RCODE in words.
    pub fn words(&self) -> String {
        match self.code {
            0 => "answered".to_owned(),
            2 => "SERVFAIL".to_owned(),
            3 => "NXDOMAIN".to_owned(),
            5 => "REFUSED".to_owned(),
            other => format!("RCODE {other}"),
        }
    }
}

const HEADER: usize = 12;
/// Most records that are looked at.
const RECORDS: usize = 64;

/// The question for a name, which is one (`targets.rs`).
pub fn question(id: u16, name: &str, record: Record) -> Vec<u8> {
    // Recursion desired; one question.
    let mut bytes = [id.to_be_bytes(), [1, 0], [0, 1], [0, 0], [0, 0], [0, 0]].concat();
    for label in name.trim_end_matches('.').split('.') {
        bytes.push(u8::try_from(label.len()).unwrap_or(63));
        bytes.extend(label.bytes().take(63));
    }
    bytes.push(0);
    // Class IN.
    bytes.extend([record.number().to_be_bytes(), [0, 1]].concat());
    bytes
}

/// The answer to the question of this id; nothing if it is none.
pub fn answer(bytes: &[u8], id: u16) -> Option<Answer> {
    let (flags, questions, answers) = (u16_at(bytes, 2)?, u16_at(bytes, 4)?, u16_at(bytes, 6)?);
    if u16_at(bytes, 0)? != id || flags & 0x8000 == 0 {
        return None;
    }
    let code = (flags & 0xf) as u8;
    let addresses = addresses(bytes, questions, answers).unwrap_or_default();
    Some(Answer { code, addresses })
}

/// Those of the answer's records that can be read.
fn addresses(bytes: &[u8], questions: u16, answers: u16) -> Option<Vec<Ipv4Addr>> {
    let mut at = HEADER;
    for _ in 0..questions.min(1) {
        at = behind_name(bytes, at)?.checked_add(4)?;
    }
    let mut found = Vec::new();
    for _ in 0..usize::from(answers).min(RECORDS) {
        let Some((record, next)) = record(bytes, at) else { break };
        found.extend(record);
        at = next;
    }
    Some(found)
}

/// The address of the record at a place, if it has one, and the place behind it.
fn record(bytes: &[u8], at: usize) -> Option<(Option<Ipv4Addr>, usize)> {
    let at = behind_name(bytes, at)?;
    let (kind, class) = (u16_at(bytes, at)?, u16_at(bytes, at + 2)?);
    let length = usize::from(u16_at(bytes, at + 8)?);
    let data = bytes.get(at + 10..at + 10 + length)?;
    let address = match <[u8; 4]>::try_from(data) {
        Ok(octets) if (kind, class) == (Record::A.number(), 1) => Some(Ipv4Addr::from(octets)),
        _ => None,
    };
    Some((address, at + 10 + length))
}

/// The place behind a name, whose end may be a pointer.
fn behind_name(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *bytes.get(at)? {
            0 => return Some(at + 1),
            pointer if pointer & 0xc0 == 0xc0 => return Some(at + 2),
            length => at = at.checked_add(1 + usize::from(length))?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered() -> Vec<u8> {
        let mut bytes = question(7, "beyond.test", Record::A);
        bytes[2] = 0x81;
        bytes[7] = 2;
        bytes.extend([0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 9, 0, 2, 0xc0, 12]); // a CNAME
        bytes.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 203, 0, 113, 80]);
        bytes
    }

    #[test]
    fn an_answer_is_read_behind_its_names() {
        let found = answer(&answered(), 7).unwrap();
        assert_eq!(found.addresses, [Ipv4Addr::new(203, 0, 113, 80)]);
        assert!(found.is_good());
        assert_eq!(answer(&answered(), 8), None, "another's");
        assert_eq!(answer(&question(7, "beyond.test", Record::A), 7), None, "a question");
        let mut refused = answered();
        refused[3] = 5;
        assert_eq!(
            answer(&refused, 7).map(|a| (a.is_good(), a.words())),
            Some((false, "REFUSED".into()))
        );
    }

    #[test]
    fn no_answer_makes_it_panic() {
        let whole = answered();
        for end in 0..whole.len() {
            let _ = answer(&whole[..end], 7);
        }
        for at in 2..whole.len() {
            for byte in [0, 1, 0x3f, 0x7f, 0x80, 0xc0, 0xff] {
                let mut bent = whole.clone();
                bent[at] = byte;
                let _ = answer(&bent, 7);
            }
        }
    }
}
