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

//! A message of the DNS, as far as it has to be understood to be passed on (RFC 1035, 4.1): its header,
//! its one question, and how large an answer may be (EDNS, RFC 6891). Pure. Reads what may be anything.

use std::ops::Range;

/// Bytes of a header.
pub const HEADER: usize = 12;
/// The largest question that is passed on, in bytes. A name has 255 at most; what else belongs to one (a
/// cookie, a client's subnet, a signature) is small. netd's socket takes 4096 of text.
pub const MOST: usize = 2048;
/// The largest answer by UDP that whoever says nothing of it takes, in bytes.
const CLASSIC: usize = 512;
/// Most bytes of a name.
const LONGEST_NAME: usize = 255;
/// `QR`: it is an answer. The first byte of the flags.
const QR: u8 = 0x80;
/// `AA`: it is from who knows.
const AA: u8 = 0x04;
/// `TC`: it is cut short.
const TC: u8 = 0x02;
/// `RD`: recursion desired.
const RD: u8 = 0x01;
const OPCODE: u8 = 0x78;
/// `RA`: recursion available. The second byte of the flags.
const RA: u8 = 0x80;
/// `CD` and `AD` (RFC 4035, 3.2), which an answer of ours leaves as they were asked.
const CD: u8 = 0x10;
/// The type of EDNS's record.
const OPT: [u8; 2] = [0, 41];

/// Why a question is not answered, as its answer says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rcode {
    /// It cannot be understood.
    FormErr = 1,
    /// It could not be answered.
    ServFail = 2,
    /// It is no question for a name.
    NotImp = 4,
}

/// What is no message to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bad {
    /// To be dropped: an answer, or less than a header.
    Nothing,
    /// To be answered so.
    Refuse(Rcode),
}

/// A question that can be passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Its id.
    pub id: u16,
    /// Where in the message its name is, which ends with the root's empty label.
    name: Range<usize>,
    /// The largest answer by UDP, in bytes.
    pub most: usize,
}

impl Query {
    /// Reads a message.
    pub fn parse(message: &[u8]) -> Result<Self, Bad> {
        let [high, low, flags, _, questions @ .., _, _, _, _, _, _] =
            *message.first_chunk::<HEADER>().ok_or(Bad::Nothing)?;
        if flags & QR != 0 {
            return Err(Bad::Nothing);
        }
        if flags & OPCODE != 0 {
            return Err(Bad::Refuse(Rcode::NotImp));
        }
        let malformed = Bad::Refuse(Rcode::FormErr);
        if questions != [0, 1] || message.len() > MOST {
            return Err(malformed);
        }
        let name = name(message).ok_or(malformed)?;
        let end = name.end + 4;
        message.get(name.end..end).ok_or(malformed)?;
        let most = most(message, end).ok_or(malformed)?;
        Ok(Self { id: u16::from_be_bytes([high, low]), name, most })
    }

    /// The question, with its type and class, in the message that it was read from.
    pub(super) fn question<'a>(&self, message: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
        let kind = message.get(self.name.end..self.name.end + 4)?;
        Some((message.get(self.name.clone())?, kind))
    }

    /// Whether `answer` is one to this question, which was asked as `query` and by its id.
    pub fn is_answered_by(&self, query: &[u8], answer: &[u8]) -> bool {
        let Some(header) = answer.first_chunk::<HEADER>() else { return false };
        let asked = query.first_chunk::<HEADER>();
        let same =
            asked.is_some_and(|q| q[..2] == header[..2] && q[2] & OPCODE == header[2] & OPCODE);
        if !same || header[2] & QR == 0 {
            return false;
        }
        match [header[4], header[5]] {
            // Some leave the question out where they refuse it.
            [0, 0] => rcode(answer) != 0 && answer.len() == HEADER,
            [0, 1] => match (self.question(query), self.question(answer)) {
                (Some((name, kind)), Some((echo, of))) => {
                    name.eq_ignore_ascii_case(echo) && kind == of
                }
                _ => false,
            },
            _ => false,
        }
    }

    /// As much of an answer as a client by UDP takes: all, or its header and question, which say that
    /// it is to be asked by TCP.
    pub fn fit<'a>(&self, answer: &'a mut Vec<u8>) -> &'a [u8] {
        if answer.len() > self.most {
            answer.truncate(self.name.end + 4);
            if let Some(header) = answer.first_chunk_mut::<HEADER>() {
                header[2] |= TC;
                header[6..].fill(0);
            }
        }
        answer
    }
}

/// The name behind the header: labels, none compressed, as there is nothing before it to point at.
fn name(message: &[u8]) -> Option<Range<usize>> {
    let mut at = HEADER;
    loop {
        let length = usize::from(*message.get(at)?);
        at += 1 + length;
        if length > 63 || at - HEADER > LONGEST_NAME {
            return None;
        }
        if length == 0 {
            return Some(HEADER..at);
        }
    }
}

/// The largest answer that the records behind the question allow.
fn most(message: &[u8], mut at: usize) -> Option<usize> {
    let counts = message.get(6..HEADER)?;
    let records: usize =
        counts.chunks(2).map(|c| usize::from(u16::from_be_bytes([c[0], c[1]]))).sum();
    for _ in 0..records {
        let begin = at;
        at = skip_name(message, at)?;
        let [kind @ .., size_high, size_low, _, _, _, _, high, low] =
            *message.get(at..)?.first_chunk::<10>()?;
        at += 10 + usize::from(u16::from_be_bytes([high, low]));
        message.get(..at)?;
        if kind == OPT && message.get(begin) == Some(&0) {
            let size = usize::from(u16::from_be_bytes([size_high, size_low]));
            return Some(size.max(CLASSIC));
        }
    }
    Some(CLASSIC)
}

/// The end of a record's name, which may be compressed.
fn skip_name(message: &[u8], mut at: usize) -> Option<usize> {
    let begin = at;
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            length @ 1..=63 => at += 1 + usize::from(length),
            0xc0.. => return Some(at + 2),
            _ => return None,
        }
        if at - begin > LONGEST_NAME {
            return None;
        }
    }
}

/// The code of an answer; 0 where there is none.
pub fn rcode(answer: &[u8]) -> u8 {
    answer.get(3).map_or(0, |flags| flags & 0x0f)
}

/// Whether an answer is cut short.
pub fn is_truncated(answer: &[u8]) -> bool {
    answer.get(2).is_some_and(|flags| flags & TC != 0)
}

/// Gives a message another id.
pub fn set_id(message: &mut [u8], id: u16) {
    if let Some(place) = message.first_chunk_mut() {
        *place = id.to_be_bytes();
    }
}

/// An answer of our own, with one record of the question's name (its type, its seconds, its data), or none.
pub(super) fn answer(
    message: &[u8],
    code: u8,
    record: Option<(u16, u32, &[u8])>,
) -> Option<Vec<u8>> {
    let mut header = *message.first_chunk::<HEADER>()?;
    let end = name(message)?.end + 4;
    header[2] = QR | AA | header[2] & RD;
    header[3] = RA | header[3] & CD | code;
    header[6..].fill(0);
    header[7] = record.is_some().into();
    let mut answer = header.to_vec();
    answer.extend(message.get(HEADER..end)?);
    if let Some((kind, seconds, data)) = record {
        // Where the question's name is; its class, which is IN.
        answer.extend([0xc0, HEADER as u8]);
        answer.extend(kind.to_be_bytes());
        answer.extend([0, 1]);
        answer.extend(seconds.to_be_bytes());
        answer.extend(u16::try_from(data.len()).ok()?.to_be_bytes());
        answer.extend(data);
    }
    Some(answer)
}

/// The answer that says no: the question, where it can be told from the rest, and the code.
pub fn refuse(message: &[u8], code: Rcode) -> Option<Vec<u8>> {
    let mut header = *message.first_chunk::<HEADER>()?;
    let end = name(message).map(|name| name.end + 4).filter(|end| *end <= message.len());
    header[2] = QR | header[2] & (OPCODE | RD);
    header[3] = RA | header[3] & CD | code as u8;
    header[4..].fill(0);
    let whole = end.filter(|_| message.get(4..6) == Some(&[0, 1]));
    header[5] = whole.is_some().into();
    let mut answer = header.to_vec();
    answer.extend(whole.and_then(|end| message.get(HEADER..end)).unwrap_or_default());
    Some(answer)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::corpus::messages;
    use super::*;
    use std::hash::{BuildHasher, RandomState};

    /// A question for an address.
    pub(crate) fn question(id: u16, name: &str) -> Vec<u8> {
        let mut message = id.to_be_bytes().to_vec();
        message.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        for label in name.split('.').filter(|label| !label.is_empty()) {
            message.push(label.len() as u8);
            message.extend(label.as_bytes());
        }
        message.extend([0, 0, 1, 0, 1]);
        message
    }

    /// An answer to it, with so many bytes behind it.
    pub(crate) fn answer(query: &[u8], code: u8, more: usize) -> Vec<u8> {
        let mut message = query.to_vec();
        (message[2], message[3]) = (0x81, 0x80 | code);
        message.extend(vec![0xab; more]);
        message
    }

    fn with_edns(id: u16, name: &str, size: u16) -> Vec<u8> {
        let mut message = question(id, name);
        message[11] = 1;
        message.extend([0, 0, 41]);
        message.extend(size.to_be_bytes());
        message.extend([0; 6]);
        message
    }

    #[test]
    fn a_question_is_read() {
        let read = Query::parse(&question(0x1234, "box.example")).unwrap();
        assert_eq!((read.id, read.most, read.name), (0x1234, 512, 12..25));
        for (asked, most) in [(4096, 4096), (1232, 1232), (100, 512), (65535, 65535)] {
            assert_eq!(Query::parse(&with_edns(1, "a.b", asked)).unwrap().most, most);
        }
        assert!(Query::parse(&question(1, "")).is_ok(), "the root");
        let long = ["a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(61)].join(".");
        assert!(Query::parse(&question(1, &long)).is_ok(), "a name of 255 bytes");
    }

    #[test]
    fn what_is_none_is_refused_or_dropped() {
        let form = Err(Bad::Refuse(Rcode::FormErr));
        let good = question(1, "box.example");
        let with = |at: usize, byte: u8| {
            let mut message = good.clone();
            message[at] = byte;
            Query::parse(&message)
        };
        assert_eq!(with(2, 0x81), Err(Bad::Nothing), "an answer");
        assert_eq!(with(2, 0x28), Err(Bad::Refuse(Rcode::NotImp)), "an update");
        assert_eq!(with(5, 0), form, "no question");
        assert_eq!(with(5, 2), form, "two");
        assert_eq!(with(4, 1), form, "257");
        assert_eq!(with(12, 0xc0), form, "compressed");
        assert_eq!(with(12, 0x40), form, "an unknown label");
        assert_eq!(with(12, 60), form, "longer than the message");
        assert_eq!(with(11, 1), form, "a record that is not there");
        for length in 0..HEADER {
            assert_eq!(Query::parse(&good[..length]), Err(Bad::Nothing));
        }
        for length in HEADER..good.len() {
            assert_eq!(Query::parse(&good[..length]), form, "{length}");
        }
        let long = ["a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(62)].join(".");
        assert_eq!(Query::parse(&question(1, &long)), form, "a name of 256 bytes");
        let large = [good.clone(), vec![0; MOST]].concat();
        assert_eq!(Query::parse(&large), form, "oversized");
    }

    #[test]
    fn only_its_own_answer_counts() {
        let query = question(7, "Box.example");
        let read = Query::parse(&query).unwrap();
        let is = |message: &[u8]| read.is_answered_by(&query, message);
        let good = answer(&query, 0, 16);
        assert!(is(&good));
        assert!(is(&answer(&question(7, "bOX.EXAMPLE"), 3, 0)), "another case");
        assert!(!is(&answer(&question(8, "box.example"), 0, 0)), "another id");
        assert!(!is(&answer(&question(7, "bax.example"), 0, 0)), "another name");
        assert!(!is(&query), "the question itself");
        for (at, byte, what) in
            [(25, 28, "type"), (27, 3, "class"), (2, 0xa8, "opcode"), (5, 0, "none")]
        {
            let mut other = good.clone();
            other[at] = byte;
            assert!(!is(&other), "{what}");
        }
        // HTTPS (65) is not type 97, though they are one letter.
        let mut https = query.clone();
        https[26] = 65;
        let mut other = answer(&https, 0, 0);
        other[26] = 97;
        assert!(!Query::parse(&https).unwrap().is_answered_by(&https, &other));
        for length in 0..query.len() {
            assert!(!is(&good[..length]), "{length}");
        }
        let mut bare = answer(&query, 5, 0);
        bare.truncate(HEADER);
        bare[5] = 0;
        assert!(is(&bare), "refused without its question");
        bare[3] = 0x80;
        assert!(!is(&bare), "nothing at all");
    }

    #[test]
    fn an_answer_that_is_too_large_is_cut() {
        let query = question(7, "box.example");
        let read = Query::parse(&query).unwrap();
        let mut small = answer(&query, 0, 512 - query.len());
        small[7] = 3;
        let whole = small.clone();
        assert_eq!(read.fit(&mut small), whole);
        let mut large = [whole, vec![0]].concat();
        let cut = read.fit(&mut large).to_vec();
        assert_eq!(cut.len(), query.len());
        assert!(is_truncated(&cut) && read.is_answered_by(&query, &cut));
        assert_eq!(cut[6..12], [0; 6]);
    }

    #[test]
    fn a_refusal_has_the_question_where_there_is_one() {
        let query = with_edns(7, "box.example", 4096);
        let refusal = refuse(&query, Rcode::ServFail).unwrap();
        assert!(Query::parse(&query).unwrap().is_answered_by(&query, &refusal));
        assert_eq!((refusal[2], refusal[3], rcode(&refusal)), (0x81, 0x82, 2));
        assert_eq!(refusal.len(), question(7, "box.example").len());
        assert_eq!(refuse(&query[..14], Rcode::FormErr).unwrap().len(), HEADER);
        assert_eq!(refuse(&query[..11], Rcode::FormErr), None);
    }

    /// How many inputs; tests/soak/names has more.
    pub(crate) fn inputs() -> u64 {
        let asked = std::env::var("GUESTNET_INPUTS").ok().and_then(|n| n.parse().ok());
        asked.unwrap_or(200_000)
    }

    #[test]
    fn each_message_is_read_as_it_is() {
        for (what, verdict, message) in messages() {
            let read = match Query::parse(&message) {
                Ok(query) => query.most.to_string(),
                Err(Bad::Nothing) => "nothing".to_owned(),
                Err(Bad::Refuse(code)) => format!("{code:?}").to_lowercase(),
            };
            assert_eq!(read, verdict, "{what}");
        }
    }

    /// Whatever comes, nothing panics, and what is taken for an answer is one.
    #[test]
    fn anything_may_come() {
        let corpus: Vec<_> = messages().collect();
        let (random, mut n) = (RandomState::new(), 0_u64);
        let mut next = || {
            n += 1;
            random.hash_one(n)
        };
        for _ in 0..inputs() {
            let mut message = match next() % 4 {
                0 => with_edns(next() as u16, "a.box.example", next() as u16),
                1 | 2 => corpus[next() as usize % corpus.len()].2.clone(),
                _ => (0..next() % 64).map(|_| next() as u8).collect(),
            };
            for _ in 0..next() % 6 {
                let at = next() as usize % (message.len() + 1);
                match next() % 3 {
                    0 => message.truncate(at),
                    1 => message.insert(at, next() as u8),
                    _ => message.iter_mut().skip(at).take(1).for_each(|b| *b = next() as u8),
                }
            }
            let refusal = refuse(&message, Rcode::ServFail);
            assert_eq!(refusal.is_some(), message.len() >= HEADER);
            match Query::parse(&message) {
                Ok(read) => {
                    assert!(read.name.end + 4 <= message.len() && read.most >= CLASSIC);
                    assert!(read.is_answered_by(&message, &refusal.unwrap()), "{message:x?}");
                    let mut odd: Vec<u8> = (0..next() % 80).map(|_| next() as u8).collect();
                    read.is_answered_by(&message, &odd);
                    read.fit(&mut odd);
                }
                Err(Bad::Nothing) => {
                    assert!(message.len() < HEADER || message[2] & QR != 0);
                }
                Err(Bad::Refuse(_)) => assert!(refusal.is_some()),
            }
        }
    }
}
