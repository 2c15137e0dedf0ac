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

//! Values that are known in part, and what can be said of them all the same. Pure.

use super::chains::REGISTERS;
use std::cmp::Ordering;

/// The longest value that is loaded at once: an interface's name.
pub(super) const LONGEST: usize = 16;

/// A condition's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Holds {
    No,
    Perhaps,
    Yes,
}

impl Holds {
    pub(super) fn negated(self, negated: bool) -> Self {
        match (self, negated) {
            (Self::Yes, true) => Self::No,
            (Self::No, true) => Self::Yes,
            (holds, _) => holds,
        }
    }
}

/// A value: each of its bytes, if it is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes([Option<u8>; LONGEST]);

impl Bytes {
    /// Nothing of it is known.
    pub(super) const UNKNOWN: Self = Self([None; LONGEST]);

    /// All of it is; behind these bytes it is zero.
    pub(super) fn of(known: &[u8]) -> Self {
        Self::beginning(known, LONGEST)
    }

    /// So many bytes of it are.
    pub(super) fn beginning(known: &[u8], len: usize) -> Self {
        let mut bytes = [None; LONGEST];
        for (at, byte) in bytes.iter_mut().enumerate().take(len) {
            *byte = Some(known.get(at).copied().unwrap_or_default());
        }
        Self(bytes)
    }

    /// These, each if it is known.
    pub(super) fn some(all: &[Option<u8>]) -> Self {
        let mut bytes = [Some(0); LONGEST];
        bytes.iter_mut().zip(all).for_each(|(to, from)| *to = *from);
        Self(bytes)
    }
}

/// A number of which it is known between which two it is, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Between {
    pub(super) low: u64,
    pub(super) high: u64,
    /// Whether its first byte is the high one; else it is as the machine has numbers.
    pub(super) network: bool,
}

impl Between {
    /// A number as bytes of this length.
    fn bytes(self, number: u64, len: usize) -> Vec<u8> {
        let mut bytes = number.to_be_bytes().into_iter().rev().take(len).collect::<Vec<_>>();
        if self.network || cfg!(target_endian = "big") {
            bytes.reverse();
        }
        bytes
    }

    /// The bytes that both ends have in common; a number that is known has all of them.
    fn known(self, len: usize) -> Bytes {
        let differ = (self.low ^ self.high).checked_ilog2().map_or(0, |bit| bit as usize / 8 + 1);
        let mut bytes = [Some(0); LONGEST];
        let known = self.bytes(self.low, len);
        for (at, (to, byte)) in bytes.iter_mut().zip(&known).enumerate() {
            let from_low = match self.network || cfg!(target_endian = "big") {
                true => len.saturating_sub(at + 1),
                false => at,
            };
            *to = Some(*byte).filter(|_| from_low >= differ);
        }
        Bytes(bytes)
    }

    fn number(self, bytes: &[u8]) -> u64 {
        let push = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        match self.network || cfg!(target_endian = "big") {
            true => bytes.iter().fold(0, push),
            false => bytes.iter().rev().fold(0, push),
        }
    }

    /// Whether it is between two others. Those that are no numbers in network order are compared as bytes
    /// (memcmp()), which tells of equal ones only.
    fn within(self, low: &[u8], high: &[u8]) -> Holds {
        let in_order = self.network || cfg!(target_endian = "big") || low == high;
        let (from, to) = (self.number(low), self.number(high));
        if in_order && (self.high < from || self.low > to) {
            return Holds::No;
        }
        match in_order && self.low >= from && self.high <= to {
            true => Holds::Yes,
            false => Holds::Perhaps,
        }
    }

    /// Each number that it may be, where those are few.
    pub(super) fn each(self, len: usize) -> Option<Vec<Vec<u8>>> {
        const FEW: u64 = 256;
        let few = self.high.saturating_sub(self.low) < FEW;
        few.then(|| (self.low..=self.high).map(|one| self.bytes(one, len)).collect())
    }
}

/// The registers, as bytes, and the numbers in them.
#[derive(Clone)]
pub(super) struct Registers([Option<u8>; REGISTERS], Vec<(usize, usize, Between)>);

impl Registers {
    pub(super) fn new() -> Self {
        Self([None; REGISTERS], Vec::new())
    }

    /// Loads a number, of at most 8 bytes.
    pub(super) fn load_number(&mut self, at: usize, len: usize, number: Between) {
        self.load(at, len, number.known(len));
        if number.low != number.high && len <= 8 {
            self.1.push((at, len, number));
        }
    }

    /// The number at a place, if there is one of which only that is known.
    pub(super) fn between(&self, at: usize, len: usize) -> Option<Between> {
        let number = self.1.iter().find(|(place, size, _)| (*place, *size) == (at, len));
        number.map(|(.., number)| *number)
    }

    /// Whether the value at a place is between two, both included.
    pub(super) fn within(&self, at: usize, low: &[u8], high: &[u8]) -> Holds {
        match self.between(at, low.len()) {
            Some(number) => number.within(low, high),
            None => within(self.get(at, low.len()), low, high),
        }
    }

    /// So many bytes from a place on; fewer at the end.
    pub(super) fn get(&self, at: usize, len: usize) -> &[Option<u8>] {
        let end = at.saturating_add(len).min(REGISTERS);
        self.0.get(at..end).unwrap_or_default()
    }

    /// The same where all of them are known.
    pub(super) fn known<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        let mut known = [0; N];
        let bytes = self.get(at, N);
        if bytes.len() < N {
            return None;
        }
        for (to, from) in known.iter_mut().zip(bytes) {
            *to = (*from)?;
        }
        Some(known)
    }

    pub(super) fn number(&self, at: usize) -> Option<u32> {
        self.known(at).map(u32::from_ne_bytes)
    }

    pub(super) fn put(&mut self, at: usize, bytes: impl IntoIterator<Item = Option<u8>>) {
        let mut end = at;
        for (place, byte) in self.0.iter_mut().skip(at).zip(bytes) {
            *place = byte;
            end += 1;
        }
        self.1.retain(|(other, len, _)| other.saturating_add(*len) <= at || *other >= end);
    }

    /// The rest of the last register becomes zero (nft_reg_store8(), nft_payload_eval()).
    pub(super) fn load(&mut self, at: usize, len: usize, Bytes(bytes): Bytes) {
        let len = len.min(REGISTERS);
        let rest = len.next_multiple_of(4).saturating_sub(len);
        let zeros = (0..rest).map(|_| Some(0));
        self.put(at, bytes.into_iter().take(len).chain(zeros));
    }
}

/// Whether a value is between two, both included. Its first bytes may decide that.
pub(super) fn within(value: &[Option<u8>], low: &[u8], high: &[u8]) -> Holds {
    if value.len() < low.len() {
        return Holds::Perhaps;
    }
    if low == high {
        return equals(value, low);
    }
    let (above, below) = (compared(value, low, 0), compared(value, high, u8::MAX));
    let at_least =
        above.map_or(Holds::Perhaps, |than| if than.is_lt() { Holds::No } else { Holds::Yes });
    let at_most =
        below.map_or(Holds::Perhaps, |than| if than.is_gt() { Holds::No } else { Holds::Yes });
    at_least.min(at_most)
}

/// Any byte may tell that it is another value.
fn equals(value: &[Option<u8>], one: &[u8]) -> Holds {
    let mut holds = Holds::Yes;
    for (byte, one) in value.iter().zip(one) {
        match byte {
            Some(byte) if byte != one => return Holds::No,
            Some(_) => {}
            None => holds = Holds::Perhaps,
        }
    }
    holds
}

/// How a value stands to a bound, if that can be told. A bound that ends in nothing but `extreme` bytes is
/// kept by any rest.
fn compared(value: &[Option<u8>], bound: &[u8], extreme: u8) -> Option<Ordering> {
    for (at, (byte, limit)) in value.iter().zip(bound).enumerate() {
        let Some(byte) = byte else {
            let rest = bound.get(at..).unwrap_or_default();
            return rest.iter().all(|byte| *byte == extreme).then_some(Ordering::Equal);
        };
        if byte != limit {
            return Some(byte.cmp(limit));
        }
    }
    Some(Ordering::Equal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_decide_where_they_can() {
        use Holds::{No, Perhaps, Yes};
        let value = [Some(172), Some(17), None, None];
        for (low, high, holds) in [
            ([172, 16, 0, 0], [172, 31, 255, 255], Yes),
            ([172, 17, 0, 0], [172, 17, 255, 255], Yes),
            ([172, 17, 3, 3], [172, 17, 3, 3], Perhaps),
            ([172, 17, 3, 0], [172, 17, 3, 255], Perhaps),
            ([172, 17, 0, 0], [172, 17, 3, 255], Perhaps),
            ([172, 18, 0, 0], [172, 18, 0, 0], No),
            ([10, 0, 0, 0], [172, 16, 255, 255], No),
            ([172, 17, 3, 3], [255; 4], Perhaps),
            ([0; 4], [255; 4], Yes),
        ] {
            assert_eq!(within(&value, &low, &high), holds, "{low:?} {high:?}");
        }
        assert_eq!(within(&[None, Some(2)], &[1, 3], &[1, 3]), No);
        assert_eq!(within(&[Some(1)], &[1, 3], &[1, 3]), Perhaps);
        assert_eq!((No.negated(true), Perhaps.negated(true)), (Yes, Perhaps));
    }

    #[test]
    fn a_number_between_two_is_compared_as_one() {
        use Holds::{No, Perhaps, Yes};
        let mut registers = Registers::new();
        for (network, low, high, holds) in [
            (true, 0u32, 39, No),
            (true, 61, 9999, No),
            (true, 40, 60, Yes),
            (true, 0, 1500, Yes),
            (true, 50, 1500, Perhaps),
            (true, 50, 50, Perhaps),
            (false, 61, 61, No),
            (false, 50, 50, Perhaps),
        ] {
            registers.load_number(0, 4, Between { low: 40, high: 60, network });
            let bytes = |n: u32| if network { n.to_be_bytes() } else { n.to_ne_bytes() };
            assert_eq!(registers.within(0, &bytes(low), &bytes(high)), holds, "{low} {high}");
            assert_eq!(registers.known::<4>(0), None);
        }
        // The upper bytes are known.
        let zeros = registers.get(0, 4).iter().filter(|byte| **byte == Some(0)).count();
        assert_eq!(zeros, 3);
        // Something else is there now.
        registers.put(3, [Some(0)]);
        assert_eq!(registers.between(0, 4), None);
        registers.load_number(8, 8, Between { low: 300, high: 300, network: true });
        assert_eq!(registers.known(8), Some(300u64.to_be_bytes()));
    }

    #[test]
    fn a_short_value_leaves_no_rest_of_another_behind() {
        let mut registers = Registers::new();
        registers.load(4, 4, Bytes::of(&[1, 2, 3, 4]));
        registers.load(4, 1, Bytes::of(&[9]));
        assert_eq!(registers.known(4), Some([9, 0, 0, 0]));
        registers.load(62, 16, Bytes::UNKNOWN);
        assert_eq!(registers.known::<4>(62), None);
        assert_eq!(registers.get(60, 16).len(), 4);
    }
}
