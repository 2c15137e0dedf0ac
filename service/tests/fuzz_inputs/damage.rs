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

//! Inputs out of seeds: the same ones in each run.

/// Numbers that lengths and counts should not be.
const ODD: [u32; 8] = [0, 1, 3, 4, 0x7f, 0xff, 0x7fff_ffff, 0xffff_ffff];

/// Damages seeds.
pub struct Damage(u64);

impl Damage {
    /// Always the same one for a name.
    pub fn new(name: &str) -> Self {
        Self(name.bytes().fold(0x9e37_79b9_7f4a_7c15, |state, byte| {
            (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        }))
    }

    /// xorshift.
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() >> 16) as usize % end.max(1)
    }

    /// One of the seeds with some damage.
    pub fn of(&mut self, seeds: &[(String, Vec<u8>)]) -> Vec<u8> {
        let at = self.below(seeds.len());
        let mut input = seeds[at].1.clone();
        for _ in 0..1 + self.below(5) {
            let other = self.below(seeds.len());
            self.once(&mut input, &seeds[other].1);
        }
        input
    }

    fn once(&mut self, input: &mut Vec<u8>, other: &[u8]) {
        let at = self.below(input.len() + 1);
        match self.below(8) {
            0 => input.truncate(at),
            1 => input.insert(at, self.next() as u8),
            2 => {
                let end = (at + self.below(16)).min(input.len());
                input.drain(at..end);
            }
            // A length, where lengths are.
            3 => {
                let number = ODD[self.below(ODD.len())].to_ne_bytes();
                let length = [1, 2, 4][self.below(3)];
                let place = input.iter_mut().skip(at & !3);
                place.zip(&number[..length]).for_each(|(to, from)| *to = *from);
            }
            // Once more.
            4 => {
                let end = (at + self.below(64)).min(input.len());
                let part = input[at..end].to_vec();
                input.splice(at..at, part);
            }
            // As another goes on.
            5 => {
                input.truncate(at);
                input.extend(other.iter().skip(self.below(other.len() + 1)));
            }
            6 => input.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << (at % 8)),
            _ => {
                let byte = self.next() as u8;
                input.iter_mut().skip(at).take(1).for_each(|place| *place = byte);
            }
        }
    }
}
