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

//! Programs that are run on a packet's bytes: those of x_tables' `u32` and `bpf`, as far as the bytes are
//! known. Pure. Every program ends: there are no loops, and of the ways through one only so many are gone.

use super::value::Holds;

/// What is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Program {
    /// All of these, or not.
    U32(Vec<Test>, bool),
    /// A program of the classic packet filter.
    Bpf(Vec<Instruction>),
}

/// A test of `u32`: a word of the packet, and what is made of it, is in one of these ranges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Test {
    /// Where the word is.
    pub at: u32,
    /// What is done with it, each with a number.
    pub steps: Vec<(Next, u32)>,
    /// The ranges, both ends included.
    pub ranges: Vec<(u32, u32)>,
}

/// `XT_U32_AND` and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Some of its bits.
    And,
    /// Shifted to the left.
    Left,
    /// Shifted to the right.
    Right,
    /// It is the distance of another word, from there on.
    At,
}

/// `struct sock_filter`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Instruction {
    /// What is done.
    pub code: u16,
    /// How many instructions are left out where a condition holds.
    pub yes: u8,
    /// And where it does not.
    pub no: u8,
    /// A number.
    pub k: u32,
}

/// Where the field of the length ends in an IP header.
const LENGTH_ENDS: usize = 4;

/// More instructions than a program has, on all of its ways.
const LONGEST: usize = 4096;

/// A packet's bytes from the IP header on, each if it is known, and its length.
pub(super) struct Content<'a> {
    pub(super) bytes: &'a [Option<u8>],
    pub(super) length: (u16, u16),
}

/// A number of which some bits are known, and between which two it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Word {
    value: u32,
    known: u32,
    low: u32,
    high: u32,
}

impl Word {
    const UNKNOWN: Self = Self { value: 0, known: 0, low: 0, high: u32::MAX };

    fn of(value: u32) -> Self {
        Self::bits(value, u32::MAX)
    }

    fn bits(value: u32, known: u32) -> Self {
        Self { value, known, low: value, high: value | !known }
    }

    /// A number between two.
    fn between(low: u32, high: u32) -> Self {
        let same = (low ^ high).leading_zeros();
        let known = u32::MAX.checked_shr(same).map_or(u32::MAX, |unknown| !unknown);
        Self { value: low & known, known, low, high }
    }

    /// The same, which is known to be between these as well.
    fn limited(self, low: u32, high: u32) -> Self {
        Self { low: self.low.max(low), high: self.high.min(high), ..self }
    }

    fn exact(self) -> Option<u32> {
        (self.known == u32::MAX).then_some(self.value)
    }

    fn and(self, other: Self) -> Self {
        let zeros = self.known & !self.value | other.known & !other.value;
        let known = self.known & other.known | zeros;
        let both = Self::bits(self.value & other.value & known, known);
        // Nothing is cut off: it stays between the same.
        let whole = |mask: u32| mask.trailing_ones() == u32::BITS - mask.leading_zeros();
        match other.exact() {
            Some(mask) if whole(mask) && self.high <= mask => both.limited(self.low, self.high),
            // What is above is known.
            Some(mask) if whole(mask) && self.low ^ self.high <= mask => {
                both.limited(self.low & mask, self.high & mask)
            }
            _ => both,
        }
    }

    fn or(self, other: Self) -> Self {
        let ones = self.value | other.value;
        Self::bits(ones, self.known & other.known | ones)
    }

    fn xor(self, other: Self) -> Self {
        let known = self.known & other.known;
        Self::bits((self.value ^ other.value) & known, known)
    }

    fn left(self, by: u32) -> Self {
        let zeros = 1u32.checked_shl(by).map_or(u32::MAX, |bit| bit - 1);
        let shifted = |bits: u32| bits.checked_shl(by).unwrap_or(0);
        Self::bits(shifted(self.value), shifted(self.known) | zeros)
    }

    fn right(self, by: u32) -> Self {
        let zeros = !u32::MAX.checked_shr(by).unwrap_or(0);
        let shifted = |bits: u32| bits.checked_shr(by).unwrap_or(0);
        let word = Self::bits(shifted(self.value), shifted(self.known) | zeros);
        word.limited(shifted(self.low), shifted(self.high))
    }

    /// What is known only where both are.
    fn made(self, other: Self, how: impl FnOnce(u32, u32) -> Option<u32>) -> Option<Self> {
        match (self.exact(), other.exact()) {
            (Some(one), Some(other)) => how(one, other).map(Self::of),
            _ => Some(Self::UNKNOWN),
        }
    }

    fn within(self, low: u32, high: u32) -> Holds {
        let differs = low == high && (self.value ^ low) & self.known != 0;
        if self.high < low || self.low > high || differs {
            return Holds::No;
        }
        match self.low >= low && self.high <= high {
            true => Holds::Yes,
            false => Holds::Perhaps,
        }
    }
}

impl Content<'_> {
    /// Whether so many bytes are there from a place on.
    fn reaches(&self, at: u64, len: u64) -> Holds {
        let end = at.saturating_add(len);
        match self.length {
            (shortest, _) if end <= shortest.into() => Holds::Yes,
            (_, longest) if end > longest.into() => Holds::No,
            _ => Holds::Perhaps,
        }
    }

    /// A number in network order.
    fn word(&self, at: u64, len: usize) -> Word {
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        // It ends in the packet's length, which is better known than its bytes are.
        if len >= 2 && at.saturating_add(len) == LENGTH_ENDS {
            let before = self.word(at as u64, len - 2);
            let [low, high] = [self.length.0, self.length.1].map(u32::from);
            let length = Word::between(low, high);
            let all = before.left(16).or(length);
            return match before.exact() {
                Some(before) => all.limited(before << 16 | low, before << 16 | high),
                None => all,
            };
        }
        (0..len).fold(Word::of(0), |word, n| {
            let byte = self.bytes.get(at.saturating_add(n)).copied().flatten();
            let byte = byte.map_or(Word::bits(0, !0xff), |byte| Word::of(byte.into()));
            word.left(8).or(byte)
        })
    }
}

impl Program {
    /// Whether a packet is one that it is for.
    pub(super) fn holds(&self, content: &Content<'_>) -> Holds {
        match self {
            Self::U32(tests, inverted) => {
                let all = tests.iter().map(|test| test.holds(content)).min();
                all.unwrap_or(Holds::Yes).negated(*inverted)
            }
            Self::Bpf(program) => {
                let mut run = Run { program, content, steps: 0, found: None };
                run.from(0, State::default());
                run.found.unwrap_or(Holds::Perhaps)
            }
        }
    }
}

impl Test {
    /// As u32_match_it() goes.
    fn holds(&self, content: &Content<'_>) -> Holds {
        let (mut base, mut reached) = (0u64, content.reaches(self.at.into(), 4));
        let mut word = content.word(self.at.into(), 4);
        for (next, number) in &self.steps {
            match next {
                Next::And => word = word.and(Word::of(*number)),
                Next::Left => word = word.left(*number),
                Next::Right => word = word.right(*number),
                Next::At => {
                    let Some(by) = word.exact() else { return reached.min(Holds::Perhaps) };
                    base = base.saturating_add(by.into());
                    let at = base.saturating_add((*number).into());
                    reached = reached.min(content.reaches(at, 4));
                    word = content.word(at, 4);
                }
            }
        }
        let ranges = self.ranges.iter().map(|(low, high)| word.within(*low, *high));
        reached.min(ranges.max().unwrap_or(Holds::No))
    }
}

/// The registers and the memory of a program.
#[derive(Clone)]
struct State {
    a: Word,
    x: Word,
    memory: [Word; 16],
}

impl Default for State {
    fn default() -> Self {
        Self { a: Word::of(0), x: Word::of(0), memory: [Word::of(0); 16] }
    }
}

struct Run<'a> {
    program: &'a [Instruction],
    content: &'a Content<'a>,
    steps: usize,
    /// What the ways so far come to.
    found: Option<Holds>,
}

impl Run<'_> {
    fn ends(&mut self, holds: Holds) {
        self.found = Some(match self.found {
            Some(other) if other != holds => Holds::Perhaps,
            _ => holds,
        });
    }

    /// A value that is loaded; where it may not be there, the program may end.
    fn load(&mut self, at: u64, len: usize) -> Option<Word> {
        const OF_THE_KERNEL: u64 = 0xfff0_0000;
        if at >= OF_THE_KERNEL {
            return Some(Word::UNKNOWN);
        }
        match self.content.reaches(at, len as u64) {
            Holds::Yes => Some(self.content.word(at, len)),
            // sk_load_word() and so on: the program ends with 0.
            Holds::No => {
                self.ends(Holds::No);
                None
            }
            Holds::Perhaps => {
                self.ends(Holds::No);
                Some(self.content.word(at, len))
            }
        }
    }

    /// Runs it from an instruction on, as ___bpf_prog_run() does what bpf_convert_filter() makes of it.
    fn from(&mut self, at: usize, state: State) {
        let mut ways = vec![(at, state)];
        while let Some((mut at, mut state)) = ways.pop() {
            while let Some(one) = self.program.get(at).copied() {
                self.steps += 1;
                if self.steps > LONGEST || self.found == Some(Holds::Perhaps) {
                    self.ends(Holds::Perhaps);
                    self.found = Some(Holds::Perhaps);
                    return;
                }
                at += 1;
                match self.step(one, &mut state) {
                    Step::Next => {}
                    Step::End => break,
                    Step::Skip(Holds::Yes) => at += usize::from(one.yes),
                    Step::Skip(Holds::No) => at += usize::from(one.no),
                    Step::Skip(Holds::Perhaps) => {
                        ways.push((at + usize::from(one.no), state.clone()));
                        at += usize::from(one.yes);
                    }
                    Step::Far(by) => at = at.saturating_add(by as usize),
                }
            }
        }
    }

    fn step(&mut self, one: Instruction, state: &mut State) -> Step {
        const CLASS: u16 = 0x07;
        const SIZE: u16 = 0x18;
        const MODE: u16 = 0xe0;
        const OPERATION: u16 = 0xf0;
        const BY_X: u16 = 0x08;
        let k = u64::from(one.k);
        let len = match one.code & SIZE {
            0x00 => 4,
            0x08 => 2,
            _ => 1,
        };
        let other = if one.code & BY_X == 0 { Word::of(one.k) } else { state.x };
        let cell = state.memory.get(one.k as usize).copied().unwrap_or(Word::UNKNOWN);
        let (shortest, longest) = self.content.length;
        let length = Word::between(shortest.into(), longest.into());
        match one.code & CLASS {
            // BPF_LD: ABS, IND, LEN, IMM, MEM
            0 => {
                let value = match one.code & MODE {
                    0x20 => self.load(k, len),
                    0x40 => match state.x.exact() {
                        Some(x) => self.load(u64::from(x.wrapping_add(one.k)), len),
                        None => {
                            self.ends(Holds::Perhaps);
                            None
                        }
                    },
                    0x80 => Some(length),
                    0x60 => Some(cell),
                    _ => Some(Word::of(one.k)),
                };
                let Some(value) = value else { return Step::End };
                state.a = value;
                Step::Next
            }
            // BPF_LDX: the length of an IP header, LEN, IMM, MEM
            1 => {
                let value = match one.code & MODE {
                    0xa0 => self.load(k, 1).map(|byte| byte.and(Word::of(0xf)).left(2)),
                    0x80 => Some(length),
                    0x60 => Some(cell),
                    _ => Some(Word::of(one.k)),
                };
                let Some(value) = value else { return Step::End };
                state.x = value;
                Step::Next
            }
            2 | 3 => {
                let value = if one.code & CLASS == 2 { state.a } else { state.x };
                if let Some(cell) = state.memory.get_mut(one.k as usize) {
                    *cell = value;
                }
                Step::Next
            }
            4 => {
                let Some(a) = computed(one.code & OPERATION, state.a, other) else {
                    // A division by zero ends it with 0.
                    self.ends(Holds::No);
                    return Step::End;
                };
                state.a = a;
                Step::Next
            }
            5 => match (one.code & OPERATION, other.exact()) {
                (0x00, _) => Step::Far(one.k),
                (0x10, Some(k)) => Step::Skip(state.a.within(k, k)),
                (0x20, Some(u32::MAX)) => Step::Skip(Holds::No),
                (0x20, Some(k)) => Step::Skip(state.a.within(k + 1, u32::MAX)),
                (0x30, Some(k)) => Step::Skip(state.a.within(k, u32::MAX)),
                (0x40, Some(k)) => Step::Skip(state.a.and(Word::of(k)).within(0, 0).negated(true)),
                _ => Step::Skip(Holds::Perhaps),
            },
            // BPF_RET of K, of A
            6 => {
                let value = if one.code & SIZE == 0x10 { state.a } else { Word::of(one.k) };
                self.ends(value.within(0, 0).negated(true));
                Step::End
            }
            _ => {
                match one.code & 0xf8 {
                    0x00 => state.x = state.a,
                    _ => state.a = state.x,
                }
                Step::Next
            }
        }
    }
}

/// What is done after an instruction.
enum Step {
    Next,
    End,
    Skip(Holds),
    Far(u32),
}

/// `BPF_ADD` and so on; none for a division by zero.
fn computed(operation: u16, a: Word, other: Word) -> Option<Word> {
    match operation {
        0x00 => a.made(other, |a, b| Some(a.wrapping_add(b))),
        0x10 => a.made(other, |a, b| Some(a.wrapping_sub(b))),
        0x20 => a.made(other, |a, b| Some(a.wrapping_mul(b))),
        0x30 => a.made(other, u32::checked_div),
        0x40 => Some(a.or(other)),
        0x50 => Some(a.and(other)),
        0x60 => Some(other.exact().map_or(Word::UNKNOWN, |by| a.left(by & 31))),
        0x70 => Some(other.exact().map_or(Word::UNKNOWN, |by| a.right(by & 31))),
        0x80 => a.made(Word::of(0), |a, _| Some(a.wrapping_neg())),
        0x90 => a.made(other, u32::checked_rem),
        0xa0 => Some(a.xor(other)),
        _ => Some(Word::UNKNOWN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(bytes: &[Option<u8>]) -> Content<'_> {
        Content { bytes, length: (40, 60) }
    }

    /// A TCP packet to port 443 with nothing known of its identification.
    fn packet() -> Vec<Option<u8>> {
        let mut bytes = vec![None; 40];
        let known: [(usize, u8); 8] =
            [(0, 0x45), (1, 0), (8, 64), (9, 6), (20, 0x9c), (21, 0x40), (22, 1), (23, 0xbb)];
        known.into_iter().for_each(|(at, byte)| bytes[at] = Some(byte));
        bytes
    }

    #[test]
    fn u32_asks_for_words() {
        let packet = packet();
        let holds = |at, steps: &[(Next, u32)], low, high| {
            let test = Test { at, steps: steps.to_vec(), ranges: vec![(low, high)] };
            Program::U32(vec![test], false).holds(&content(&packet))
        };
        // "6&0xFF=6", "0>>22&0x3C@0&0xFFFF=443", "4>>16=7", and words behind the end.
        assert_eq!(holds(6, &[(Next::And, 0xff)], 6, 6), Holds::Yes);
        assert_eq!(holds(6, &[(Next::And, 0xff)], 17, 17), Holds::No);
        let ports = [(Next::Right, 22), (Next::And, 0x3c), (Next::At, 0), (Next::And, 0xffff)];
        assert_eq!(holds(0, &ports, 443, 443), Holds::Yes);
        assert_eq!(holds(0, &ports, 1, 442), Holds::No);
        assert_eq!(holds(4, &[(Next::Right, 16)], 7, 7), Holds::Perhaps);
        assert_eq!(holds(4, &[(Next::Right, 16)], 0, 0xffff), Holds::Yes);
        // Its length, of which not all bits are known.
        assert_eq!(holds(0, &[(Next::And, 0xffff)], 61, 9999), Holds::No);
        assert_eq!(holds(0, &[(Next::And, 0xffff)], 40, 60), Holds::Yes);
        assert_eq!(holds(57, &[], 0, u32::MAX), Holds::No);
        assert_eq!(holds(50, &[], 0, u32::MAX), Holds::Perhaps);
        assert_eq!(holds(0, &[(Next::Left, 40)], 0, 0), Holds::Yes);
    }

    #[test]
    fn bpf_runs() {
        let packet = packet();
        let run = |program: &[(u16, u8, u8, u32)]| {
            let one = |(code, yes, no, k): &(u16, u8, u8, u32)| Instruction {
                code: *code,
                yes: *yes,
                no: *no,
                k: *k,
            };
            Program::Bpf(program.iter().map(one).collect()).holds(&content(&packet))
        };
        assert_eq!(run(&[(6, 0, 0, 65535)]), Holds::Yes);
        assert_eq!(run(&[(6, 0, 0, 0)]), Holds::No);
        // ldb [9]; jeq #6, ret 1, ret 0
        let tcp = |protocol| [(0x30, 0, 0, 9), (0x15, 0, 1, protocol), (6, 0, 0, 1), (6, 0, 0, 0)];
        assert_eq!((run(&tcp(6)), run(&tcp(17))), (Holds::Yes, Holds::No));
        // ldx 4*([0]&0xf); ldh [x + 2]; jeq #443
        let port =
            [(0xb1, 0, 0, 0), (0x48, 0, 0, 2), (0x15, 0, 1, 443), (6, 0, 0, 1), (6, 0, 0, 0)];
        assert_eq!(run(&port), Holds::Yes);
        // What is not known goes both ways, and may come to the same.
        let id = |no| [(0x28, 0, 0, 4), (0x15, 0, 1, 7), (6, 0, 0, 1), (6, 0, 0, no)];
        assert_eq!((run(&id(0)), run(&id(1))), (Holds::Perhaps, Holds::Yes));
        // Behind the end; the length; a division by zero.
        assert_eq!(run(&[(0x20, 0, 0, 60), (6, 0, 0, 1)]), Holds::No);
        assert_eq!(
            run(&[(0x80, 0, 0, 0), (0x25, 0, 1, 63), (6, 0, 0, 1), (6, 0, 0, 0)]),
            Holds::No
        );
        assert_eq!(
            run(&[(0x80, 0, 0, 0), (0x35, 0, 1, 50), (6, 0, 0, 1), (6, 0, 0, 0)]),
            Holds::Perhaps
        );
        assert_eq!(run(&[(0x34, 0, 0, 0), (6, 0, 0, 1)]), Holds::No);
        // Its end is missing.
        assert_eq!(run(&[(0x30, 0, 0, 0)]), Holds::Perhaps);
    }

    #[test]
    fn no_program_makes_it_panic_or_hang() {
        let packet = packet();
        // xorshift: the same inputs in each run.
        let mut state = 7u64;
        for _ in 0..3000 {
            let mut word = || {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state as u32
            };
            let program = (0..64).map(|_| Instruction {
                code: (word() % 256) as u16,
                yes: (word() % 5) as u8,
                no: (word() % 5) as u8,
                k: if word() % 2 == 0 { word() } else { word() % 64 },
            });
            Program::Bpf(program.collect()).holds(&content(&packet));
            let next = [Next::And, Next::Left, Next::Right, Next::At];
            let steps = (0..10).map(|_| (next[word() as usize % 4], word())).collect();
            let test = Test { at: word() % 80, steps, ranges: vec![(1, word())] };
            Program::U32(vec![test], true).holds(&content(&packet));
        }
        // Each instruction may go both ways.
        let both = Instruction { code: 0x15, yes: 0, no: 0, k: 1 };
        let load = Instruction { code: 0x20, k: 4, ..Instruction::default() };
        let program = std::iter::once(load).chain([both; 63]);
        Program::Bpf(program.collect()).holds(&content(&packet));
    }
}
