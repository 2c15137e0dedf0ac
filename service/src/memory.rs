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

//! Memory that is not needed goes back to the kernel. Of glibc's allocator only: Android's does it by itself.

/// From this size on, an allocation is a mapping of its own, which goes as it is freed.
#[cfg(target_env = "gnu")]
const LARGE: libc::c_int = 128 << 10;
/// How many heaps threads share. They wait for one lock, and hardly ever for each other's memory.
#[cfg(target_env = "gnu")]
const HEAPS: libc::c_int = 2;

/// Before there is a second thread: a heap for each of them keeps what any of them has needed once, and the
/// size from which on mappings are made grows with the largest that was freed (mallopt(3)).
pub fn settle() {
    // SAFETY: it takes numbers, and there is no other thread.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
        libc::mallopt(libc::M_ARENA_MAX, HEAPS);
    }
}

/// After what takes much, or leaves much: a dump of a thousand guests, and the end of all of them.
pub fn give_back() {
    // SAFETY: it takes a number, and touches nothing that is in use.
    #[cfg(target_env = "gnu")]
    let _ = unsafe { libc::malloc_trim(0) };
}
