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

//! Threads that one of the kernel's runs in turn: a stack each, and the thread-locals of a real one.
//!
//! A place is made by a thread of libc's that says where its thread-locals are and sleeps for ever: what it has
//! is taken from it. To go on in another one is a change of the stack and of the register by which
//! thread-locals are found, and no system call. In a process that is forked the places are there, and the
//! threads that made them are not.

use std::arch::global_asm;
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How deep calls may go.
const STACK: usize = 1 << 20;

/// What one thread runs in.
pub struct Place {
    /// What the register holds in it.
    base: usize,
    /// What libc calls its thread.
    handle: libc::pthread_t,
    /// Where its stack begins, below what its own thread still needs.
    top: usize,
    /// Where its thread-locals are, and what they are in a thread that has just begun.
    locals: usize,
    fresh: Vec<u8>,
}

/// Where a thread that does not run goes on.
#[derive(Clone, Copy, Debug, Default)]
pub struct At {
    stack: usize,
    base: usize,
}

extern "C" {
    /// Keeps what a function has to keep, its stack last, and goes on with another one.
    fn guestnet_switch(from: *mut usize, to: usize, base: usize, quick: usize);
    fn guestnet_begin();
}

// `wrfsbase` where the kernel lets programs use it, and arch_prctl(ARCH_SET_FS) elsewhere.
#[cfg(target_arch = "x86_64")]
global_asm!(
    ".global guestnet_switch",
    "guestnet_switch:",
    "push rbp",
    "push rbx",
    "push r12",
    "push r13",
    "push r14",
    "push r15",
    "mov [rdi], rsp",
    "mov rsp, rsi",
    "test ecx, ecx",
    "jz 2f",
    "wrfsbase rdx",
    "jmp 3f",
    "2:",
    "mov rsi, rdx",
    "mov edi, 0x1002",
    "mov eax, 158",
    "syscall",
    "3:",
    "pop r15",
    "pop r14",
    "pop r13",
    "pop r12",
    "pop rbx",
    "pop rbp",
    "ret",
    ".global guestnet_begin",
    "guestnet_begin:",
    "mov rdi, r12",
    "call rbx",
    "ud2",
);

#[cfg(target_arch = "aarch64")]
global_asm!(
    ".global guestnet_switch",
    "guestnet_switch:",
    "sub sp, sp, #160",
    "stp x19, x20, [sp]",
    "stp x21, x22, [sp, #16]",
    "stp x23, x24, [sp, #32]",
    "stp x25, x26, [sp, #48]",
    "stp x27, x28, [sp, #64]",
    "stp x29, x30, [sp, #80]",
    "stp d8, d9, [sp, #96]",
    "stp d10, d11, [sp, #112]",
    "stp d12, d13, [sp, #128]",
    "stp d14, d15, [sp, #144]",
    "mov x9, sp",
    "str x9, [x0]",
    "mov sp, x1",
    "msr tpidr_el0, x2",
    "ldp x19, x20, [sp]",
    "ldp x21, x22, [sp, #16]",
    "ldp x23, x24, [sp, #32]",
    "ldp x25, x26, [sp, #48]",
    "ldp x27, x28, [sp, #64]",
    "ldp x29, x30, [sp, #80]",
    "ldp d8, d9, [sp, #96]",
    "ldp d10, d11, [sp, #112]",
    "ldp d12, d13, [sp, #128]",
    "ldp d14, d15, [sp, #144]",
    "add sp, sp, #160",
    "ret",
    ".global guestnet_begin",
    "guestnet_begin:",
    "mov x0, x19",
    "blr x20",
    "brk #1",
);

#[cfg(target_arch = "x86_64")]
fn base() -> usize {
    let base;
    // SAFETY: the first word of libc's record of a thread, which FS is at, is its own address.
    unsafe { std::arch::asm!("mov {}, fs:0", out(reg) base, options(nostack, readonly)) };
    base
}

#[cfg(target_arch = "aarch64")]
fn base() -> usize {
    let base;
    // SAFETY: every program may read it.
    unsafe { std::arch::asm!("mrs {}, tpidr_el0", out(reg) base, options(nostack, nomem)) };
    base
}

/// What the stack of a thread that begins has on it: what `guestnet_switch` takes from there.
#[cfg(target_arch = "x86_64")]
fn first_words(work: usize, argument: usize, begin: usize) -> Vec<usize> {
    // r15, r14, r13, r12, rbx, rbp, and where to return to.
    vec![0, 0, 0, argument, work, 0, begin]
}

#[cfg(target_arch = "aarch64")]
fn first_words(work: usize, argument: usize, begin: usize) -> Vec<usize> {
    let mut words = vec![0; 20];
    (words[0], words[1], words[11]) = (argument, work, begin);
    words
}

/// Whether the kernel lets programs write the register themselves.
fn is_quick() -> bool {
    const AT_HWCAP2: libc::c_ulong = 26;
    const HWCAP2_FSGSBASE: libc::c_ulong = 2;
    // SAFETY: it only reads what the kernel has told the program.
    cfg!(not(target_arch = "x86_64"))
        || unsafe { libc::getauxval(AT_HWCAP2) } & HWCAP2_FSGSBASE != 0
}

static QUICK: AtomicUsize = AtomicUsize::new(0);
/// What a thread says of itself: its register, what libc calls it, its stack, its thread-locals from and to.
static SAID: [AtomicUsize; 5] = [const { AtomicUsize::new(0) }; 5];

/// The place of one module's thread-locals in the calling thread.
unsafe extern "C" fn locals_of(
    info: *mut libc::dl_phdr_info,
    _: libc::size_t,
    all: *mut libc::c_void,
) -> i32 {
    // SAFETY: dl_iterate_phdr() passes a module, and what it was given: see `lends()`.
    let (module, all) = unsafe { (&*info, &*all.cast::<Cell<(usize, usize)>>()) };
    let from = module.dlpi_tls_data as usize;
    for at in 0..usize::from(module.dlpi_phnum) {
        // SAFETY: there are so many.
        let header = unsafe { &*module.dlpi_phdr.add(at) };
        if from != 0 && header.p_type == libc::PT_TLS {
            let (least, most) = all.get();
            all.set((least.min(from), most.max(from + header.p_memsz as usize)));
        }
    }
    0
}

/// Says where it has what, and sleeps for ever.
extern "C" fn lends(_: *mut libc::c_void) -> *mut libc::c_void {
    /// What it needs itself, to sleep.
    const OWN: usize = 16 << 10;
    let (mark, all) = (0u8, Cell::new((usize::MAX, 0)));
    // SAFETY: `all` is there until it returns.
    unsafe { libc::dl_iterate_phdr(Some(locals_of), std::ptr::from_ref(&all) as *mut _) };
    let (from, to) = all.get();
    // SAFETY: it has no condition.
    let handle = unsafe { libc::pthread_self() } as usize;
    let stack = std::ptr::from_ref(&mark) as usize - OWN;
    for (to, said) in SAID.iter().zip([0, handle, stack, from, to]) {
        to.store(said, Ordering::Relaxed);
    }
    SAID[0].store(base(), Ordering::Release);
    loop {
        crate::real::raw(libc::SYS_ppoll, 0, 0, 0, 0, 8, 0);
    }
}

/// So many places.
pub fn places(count: usize) -> Vec<Place> {
    QUICK.store(usize::from(is_quick()), Ordering::Relaxed);
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: new memory, wherever there is room.
    let stacks = unsafe { libc::mmap(std::ptr::null_mut(), count * STACK, access, flags, -1, 0) };
    assert_ne!(stacks, libc::MAP_FAILED, "no memory for stacks");
    (0..count).map(|at| place(stacks as usize + at * STACK)).collect()
}

fn place(stack: usize) -> Place {
    SAID[0].store(0, Ordering::Release);
    // SAFETY: the stack is this thread's alone, and stays.
    let made = unsafe {
        let (mut attributes, mut handle) = (std::mem::zeroed(), 0);
        libc::pthread_attr_init(&mut attributes);
        libc::pthread_attr_setstack(&mut attributes, stack as *mut _, STACK);
        libc::pthread_create(&mut handle, &attributes, lends, std::ptr::null_mut())
    };
    assert_eq!(made, 0, "a thread cannot be made");
    while SAID[0].load(Ordering::Acquire) == 0 {
        // SAFETY: it has no condition.
        unsafe { libc::usleep(20) };
    }
    let [base, handle, top, from, to] = [0, 1, 2, 3, 4].map(|at| SAID[at].load(Ordering::Relaxed));
    // SAFETY: its thread has no use for them any more.
    let fresh = unsafe { std::slice::from_raw_parts(from as *const u8, to - from) }.to_vec();
    Place { base, handle: handle as libc::pthread_t, top: top & !15, locals: from, fresh }
}

impl Place {
    /// Where a function begins here, as in a thread that has just begun.
    pub fn begin(&self, work: extern "C" fn(usize) -> !, argument: usize) -> At {
        let words = first_words(work as usize, argument, guestnet_begin as *const () as usize);
        let stack = self.top - words.len() * 8;
        // SAFETY: nothing runs here, and what ran will not go on.
        unsafe {
            std::ptr::copy_nonoverlapping(
                self.fresh.as_ptr(),
                self.locals as *mut u8,
                self.fresh.len(),
            );
            std::ptr::copy_nonoverlapping(words.as_ptr(), stack as *mut usize, words.len());
        }
        At { stack, base: self.base }
    }

    /// What libc calls its thread.
    pub fn handle(&self) -> libc::pthread_t {
        self.handle
    }
}

/// Goes on elsewhere; `own` says from then on where the caller goes on.
///
/// # Safety
/// `own` is valid, and `to` was made by `begin()` or here and nobody has gone on there since.
pub unsafe fn switch(own: *mut At, to: At) {
    // SAFETY: as above; the thread of this kernel's is one.
    unsafe {
        (*own).base = base();
        guestnet_switch(&raw mut (*own).stack, to.stack, to.base, QUICK.load(Ordering::Relaxed));
    }
}
