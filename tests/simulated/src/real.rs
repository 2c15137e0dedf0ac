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

use std::io;

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

/// Sleeps while the word is this.
pub fn sleep_on(word: &std::sync::atomic::AtomicU32, value: u32) {
    let op = (libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG) as usize;
    raw(libc::SYS_futex, word.as_ptr() as usize, op, value as usize, 0, 0, 0);
}

/// Wakes who sleeps there.
pub fn wake(word: &std::sync::atomic::AtomicU32) {
    let op = (libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG) as usize;
    raw(libc::SYS_futex, word.as_ptr() as usize, op, 1, 0, 0, 0);
}

/// Whether one of these is ready; nothing is taken from them.
pub fn is_ready(fds: &[libc::pollfd]) -> bool {
    let mut fds = fds.to_vec();
    raw(libc::SYS_ppoll, fds.as_mut_ptr() as usize, fds.len(), &ZERO as *const _ as usize, 0, 8, 0)
        > 0
}

static ZERO: [i64; 2] = [0, 0];

/// Closes a descriptor.
pub fn close(fd: i32) {
    raw(libc::SYS_close, fd as usize, 0, 0, 0, 0, 0);
}

/// A counter that is readable while it is not 0.
pub fn eventfd(flags: i32) -> io::Result<i32> {
    answer(raw(libc::SYS_eventfd2, 0, flags as usize, 0, 0, 0, 0))
}

/// A file without a name that holds these bytes.
pub fn file_of(bytes: &[u8]) -> io::Result<i32> {
    let fd = answer(raw(libc::SYS_memfd_create, c"simulated".as_ptr() as usize, 1, 0, 0, 0, 0))?;
    raw(libc::SYS_pwrite64, fd as usize, bytes.as_ptr() as usize, bytes.len(), 0, 0, 0);
    Ok(fd)
}

/// Another descriptor of the same.
pub fn dup(fd: i32) -> io::Result<i32> {
    let above = 3;
    answer(raw(libc::SYS_fcntl, fd as usize, libc::F_DUPFD_CLOEXEC as usize, above, 0, 0, 0))
}

/// An answer as an `io::Result`.
pub fn answer(result: isize) -> io::Result<i32> {
    match result {
        0.. => Ok(result as i32),
        _ => Err(io::Error::from_raw_os_error(-result as i32)),
    }
}
