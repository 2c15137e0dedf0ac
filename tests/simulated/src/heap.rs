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

//! The heap: one thread of the kernel's takes from it and gives back, so that nothing is locked, and what a
//! history needs lies together, so that little of it has to be copied where a process was forked.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::UnsafeCell;

/// Room for all that a history ever needs; what is not used is not there.
const ROOM: usize = 1 << 32;
/// What is asked of the kernel, and what is not cut smaller.
const UNIT: usize = 16;

/// Blocks of so many sizes: each power of two, in four steps.
const SIZES: usize = 160;

struct Free {
    /// The first one that is free of each size; where it is, the next one is written.
    first: [usize; SIZES],
    at: usize,
    end: usize,
}

/// The heap.
pub struct Heap(UnsafeCell<Free>);

// SAFETY: threads of the simulation run one at a time, on one of the kernel's; the threads that make places for
// them use no heap.
unsafe impl Sync for Heap {}

impl Heap {
    /// With nothing in it.
    pub const fn new() -> Self {
        Self(UnsafeCell::new(Free { first: [0; SIZES], at: 0, end: 0 }))
    }
}

/// The size of block for so many bytes: its number, and its bytes.
#[inline(always)]
fn class(bytes: usize) -> (usize, usize) {
    let units = bytes.div_ceil(UNIT).max(1);
    if units <= 8 {
        return (units - 1, units * UNIT);
    }
    // Of four steps between two powers of two.
    let power = usize::BITS as usize - 1 - (units - 1).leading_zeros() as usize;
    let step = 1 << (power - 2);
    let rounded = units.next_multiple_of(step);
    let quarter = (rounded - (1 << power)) / step;
    ((power - 3) * 4 + 7 + quarter, rounded * UNIT)
}

impl Free {
    #[inline(always)]
    fn take(&mut self, bytes: usize, align: usize) -> *mut u8 {
        let (class, bytes) = class(bytes.max(align));
        let first = self.first[class];
        if first != 0 && align <= UNIT {
            // SAFETY: it was given back, and has room for a word.
            self.first[class] = unsafe { *(first as *const usize) };
            return first as *mut u8;
        }
        if self.at == 0 {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
            let access = libc::PROT_READ | libc::PROT_WRITE;
            let (access, flags) = (access as usize, flags as usize);
            let got = crate::real::raw(libc::SYS_mmap, 0, ROOM, access, flags, usize::MAX, 0);
            if got < 0 {
                return std::ptr::null_mut();
            }
            (self.at, self.end) = (got as usize, got as usize + ROOM);
        }
        let from = self.at.next_multiple_of(align.max(UNIT));
        if from + bytes > self.end {
            return std::ptr::null_mut();
        }
        self.at = from + bytes;
        from as *mut u8
    }
}

// SAFETY: blocks are as large as asked for, are nobody else's, and lie as asked for: one that was given back is
// taken only where a unit's alignment does.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: see above.
        unsafe { (*self.0.get()).take(layout.size(), layout.align()) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let (class, _) = class(layout.size().max(layout.align()));
        // SAFETY: the block is of this size, and nobody's any more.
        unsafe {
            let free = &mut *self.0.get();
            *block.cast::<usize>() = free.first[class];
            free.first[class] = block as usize;
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        let old = class(layout.size().max(layout.align()));
        if old.0 == class(bytes.max(layout.align())).0 {
            return block;
        }
        // SAFETY: a new one, and the caller's.
        unsafe {
            let new = (*self.0.get()).take(bytes, layout.align());
            if !new.is_null() {
                std::ptr::copy_nonoverlapping(block, new, layout.size().min(bytes));
                self.dealloc(block, layout);
            }
            new
        }
    }
}
