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

//! What the kernel asks of a table before it takes it: `translate_table()`, in its order, so that what is wrong
//! is refused with the same number.

use super::layout::{text, word, word16, Layout, EXTENSION};
use super::{extension, Family, HOOKS};

const STANDARD: &[u8] = b"";
const ERROR: &[u8] = b"ERROR";
/// Bit of `comefrom`: the way leads here already.
const VISITED: u32 = 1 << HOOKS;

/// A table to be.
pub(super) struct Checked {
    pub layout: Layout,
    pub hooks: u32,
    /// Where hooks are said to begin, and where their policies are.
    pub asked: [[u32; HOOKS]; 2],
    pub entries: [u32; HOOKS],
    pub underflows: [u32; HOOKS],
    pub number: u32,
    pub bytes: Vec<u8>,
}

/// The hooks of a set.
fn hooks_of(hooks: u32) -> impl Iterator<Item = usize> {
    (0..HOOKS).filter(move |hook| hooks >> hook & 1 == 1)
}

/// Where something is in the table, and where it ends.
type Extent = (usize, usize);

impl Checked {
    pub(super) fn translate(&mut self, family: Family, table: &[u8]) -> Result<(), i32> {
        // XT_MAX_TABLE_SIZE, for their offsets alone.
        if self.number > (512 << 20) / 4 {
            return Err(libc::ENOMEM);
        }
        let (mut at, mut offsets) = (0, Vec::new());
        while at < self.bytes.len() {
            self.check_place(at)?;
            offsets.push(at);
            at = self.next(at);
        }
        if offsets.len() as u32 != self.number {
            return Err(libc::EINVAL);
        }
        self.check_hooks()?;
        self.mark_chains(&offsets).ok_or(libc::ELOOP)?;
        offsets.into_iter().try_for_each(|at| self.check_entry(family, table, at))
    }

    fn next(&self, at: usize) -> usize {
        at + usize::from(word16(&self.bytes, at + self.layout.next))
    }

    fn target(&self, at: usize) -> Extent {
        let begin = at + usize::from(word16(&self.bytes, at + self.layout.target));
        (begin, begin + usize::from(word16(&self.bytes, begin)))
    }

    fn name(&self, extension: usize) -> &[u8] {
        text(&self.bytes[extension + 2..extension + EXTENSION - 1])
    }

    fn verdict(&self, at: usize) -> Option<i32> {
        let (target, _) = self.target(at);
        (self.name(target) == STANDARD).then(|| word(&self.bytes, target + EXTENSION) as i32)
    }

    fn is_unconditional(&self, at: usize) -> bool {
        let target = usize::from(word16(&self.bytes, at + self.layout.target));
        let conditions = &self.bytes[at..at + self.layout.conditions];
        target == self.layout.elements && conditions.iter().all(|byte| *byte == 0)
    }

    /// `check_entry_size_and_hooks()`
    fn check_place(&mut self, at: usize) -> Result<(), i32> {
        let layout = self.layout;
        let end = self.bytes.len();
        if at & 7 != 0 || at + layout.elements >= end || self.next(at) > end {
            return Err(libc::EINVAL);
        }
        if self.next(at) - at < layout.elements + EXTENSION {
            return Err(libc::EINVAL);
        }
        let (flags, inverted) = (self.bytes[at + layout.flags], self.bytes[at + layout.inverted]);
        if flags & !layout.known.0 != 0 || inverted & !layout.known.1 != 0 {
            return Err(libc::EINVAL);
        }
        self.check_offsets(at)?;
        for hook in hooks_of(self.hooks) {
            if self.asked[0][hook] as usize == at {
                self.entries[hook] = at as u32;
            }
            if self.asked[1][hook] as usize == at {
                if !self.is_unconditional(at) || !matches!(self.verdict(at), Some(-1 | -2)) {
                    return Err(libc::EINVAL);
                }
                self.underflows[hook] = at as u32;
            }
        }
        self.bytes[at + layout.came_from..][..4].fill(0);
        self.bytes[at + layout.counters..][..16].fill(0);
        Ok(())
    }

    /// `xt_check_entry_offsets()`
    fn check_offsets(&self, at: usize) -> Result<(), i32> {
        let target = at + usize::from(word16(&self.bytes, at + self.layout.target));
        let (begin, next) = (at + self.layout.elements, self.next(at));
        if target < begin || target + EXTENSION > next {
            return Err(libc::EINVAL);
        }
        let size = usize::from(word16(&self.bytes, target));
        if size < EXTENSION || target + size > next {
            return Err(libc::EINVAL);
        }
        if self.name(target) == STANDARD {
            // An offset is reckoned from the entry.
            let whole = (target - at + EXTENSION + 4).next_multiple_of(8);
            let verdict =
                (at + whole == next).then(|| word(&self.bytes, target + EXTENSION) as i32);
            if !verdict.is_some_and(|v| v > 0 || matches!(v, -1 | -2 | -4 | -5)) {
                return Err(libc::EINVAL);
            }
        } else if self.name(target) == ERROR {
            let said = self.bytes.get(target + EXTENSION..target + EXTENSION + 30);
            if size != EXTENSION + 32 || !said.is_some_and(|said| said.contains(&0)) {
                return Err(libc::EINVAL);
            }
        }
        let mut at = begin;
        while at < target {
            let left = target - at;
            if at & 7 != 0 || left < EXTENSION {
                return Err(libc::EINVAL);
            }
            let size = usize::from(word16(&self.bytes, at));
            if size < EXTENSION || size > left {
                return Err(libc::EINVAL);
            }
            at += size;
        }
        Ok(())
    }

    /// `xt_check_table_hooks()`
    fn check_hooks(&self) -> Result<(), i32> {
        let mut before: Option<(u32, u32)> = None;
        for hook in hooks_of(self.hooks) {
            let (entry, underflow) = (self.entries[hook], self.underflows[hook]);
            if entry == u32::MAX || underflow == u32::MAX {
                return Err(libc::EINVAL);
            }
            if before.is_some_and(|(e, u)| u >= underflow || e >= entry) {
                return Err(libc::EINVAL);
            }
            before = Some((entry, underflow));
        }
        Ok(())
    }

    fn came_from(&self, at: usize) -> u32 {
        word(&self.bytes, at + self.layout.came_from)
    }

    fn mark(&mut self, at: usize, hooks: u32) {
        let layout = self.layout;
        layout.set_came_from(&mut self.bytes[at..], hooks);
    }

    fn back(&self, at: usize) -> usize {
        word(&self.bytes, at + self.layout.counters) as usize
    }

    fn set_back(&mut self, at: usize, to: usize) {
        self.bytes[at + self.layout.counters..][..4].copy_from_slice(&(to as u32).to_ne_bytes());
    }

    /// `mark_source_chains()`: which hooks lead to each entry; none: a jump leads into an entry, or round.
    fn mark_chains(&mut self, offsets: &[usize]) -> Option<()> {
        let size = self.bytes.len();
        'hooks: for hook in hooks_of(self.hooks) {
            let mut at = self.entries[hook] as usize;
            // Where it came from is kept in its counters meanwhile.
            self.set_back(at, at);
            loop {
                let known = self.came_from(at);
                if known & VISITED != 0 {
                    return None;
                }
                self.mark(at, known | 1 << hook | VISITED);
                let verdict = self.verdict(at);
                let ends = self.is_unconditional(at) && verdict.is_some_and(|v| v < 0);
                if ends || known >> hook & 1 == 1 {
                    loop {
                        self.mark(at, self.came_from(at) ^ VISITED);
                        let was = at;
                        at = self.back(at);
                        self.set_back(was, 0);
                        if at == was {
                            continue 'hooks;
                        }
                        if was != self.next(at) {
                            break;
                        }
                    }
                    let next = self.next(at);
                    if next >= size {
                        return None;
                    }
                    self.set_back(next, at);
                    at = next;
                    continue;
                }
                let to = match verdict {
                    Some(to) if to >= 0 => {
                        offsets.binary_search(&(to as usize)).ok()?;
                        to as usize
                    }
                    _ => self.next(at),
                };
                if to >= size {
                    return None;
                }
                self.set_back(to, at);
                at = to;
            }
        }
        Some(())
    }

    /// `find_check_entry()`
    fn check_entry(&mut self, family: Family, table: &[u8], at: usize) -> Result<(), i32> {
        let protocol = word16(&self.bytes, at + self.layout.protocol);
        // XT_INV_PROTO
        let inverted = self.bytes[at + self.layout.inverted] & 0x40 != 0;
        let context = extension::Context {
            family,
            table,
            hooks: self.came_from(at),
            protocol: (!inverted).then_some(protocol),
        };
        let (target, end) = self.target(at);
        let mut one = at + self.layout.elements;
        while one < target {
            let size = usize::from(word16(&self.bytes, one));
            extension::check(&context, &mut self.bytes[one..one + size], false)?;
            one += size;
        }
        extension::check(&context, &mut self.bytes[target..end], true)
    }
}
