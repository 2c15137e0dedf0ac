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

//! System calls past the functions of libc, which are ours here.

/// One system call; a negative number is an errno.
#[cfg(target_arch = "x86_64")]
pub fn raw(number: i64, a: usize, b: usize, c: usize, d: usize, e: usize, f: usize) -> isize {
    let result: isize;
    // SAFETY: as much as the call itself: whoever makes it passes what the kernel wants of it. The
    // kernel keeps all registers but these.
    unsafe {
        std::arch::asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e, in("r9") f,
            lateout("rcx") _, lateout("r11") _,
        );
    }
    result
}

/// One system call; a negative number is an errno.
#[cfg(target_arch = "aarch64")]
pub fn raw(number: i64, a: usize, b: usize, c: usize, d: usize, e: usize, f: usize) -> isize {
    let result: isize;
    // SAFETY: as much as the call itself: whoever makes it passes what the kernel wants of it.
    unsafe {
        std::arch::asm!(
            "svc 0",
            in("x8") number, inlateout("x0") a => result,
            in("x1") b, in("x2") c, in("x3") d, in("x4") e, in("x5") f,
        );
    }
    result
}

/// The same with what libc makes of its answer: -1, and errno.
pub fn call(number: i64, a: usize, b: usize, c: usize, d: usize, e: usize, f: usize) -> isize {
    told(raw(number, a, b, c, d, e, f))
}

/// An answer of the kernel's as libc tells it.
pub fn told(result: isize) -> isize {
    if (-4095..0).contains(&result) {
        fail(-result as i32)
    } else {
        result
    }
}

/// Sets errno.
pub fn fail(errno: i32) -> isize {
    // SAFETY: the pointer is to the calling thread's own errno.
    unsafe { *libc::__errno_location() = errno };
    -1
}

/// Closes a descriptor, and gives up its lock, which a process that this one was forked from still has.
pub fn close(fd: i32) {
    raw(libc::SYS_flock, fd as usize, libc::LOCK_UN as usize, 0, 0, 0, 0);
    raw(libc::SYS_close, fd as usize, 0, 0, 0, 0, 0);
}
