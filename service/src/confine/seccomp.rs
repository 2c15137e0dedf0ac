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

//! Lets guestnetd make no system call that is not in `syscalls.rs`, for good. A filter outlives exec(),
//! so it holds for iptables, too, and for a script that stands in for it.
//!
//! Two programs of classic BPF (seccomp(2)), of which the kernel takes the stricter answer. One answers
//! what libraries try and do without; it says nothing in the log. The other one is the list: what it
//! refuses is a line in the audit log, where the kernel has one.

use super::syscalls::{Call, Only, ABSENT, ALLOWED, NEWEST};
use std::io;

#[cfg(target_arch = "x86_64")]
const ARCH: u32 = 0xc000_003e; // AUDIT_ARCH_X86_64
#[cfg(target_arch = "aarch64")]
const ARCH: u32 = 0xc000_00b7; // AUDIT_ARCH_AARCH64

/// What a call of the x32 ABI has set in its number; its architecture is x86_64's.
const X32: u32 = 0x4000_0000;

/// Where the parts of `struct seccomp_data` are. Of an argument the low half, which is the first.
const NUMBER_AT: u32 = 0;
const ARCH_AT: u32 = 4;
const fn argument_at(index: u32) -> u32 {
    16 + 8 * index
}

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const REFUSE: u32 = errno(libc::EPERM);
const NOT_THERE: u32 = errno(libc::ENOSYS);

const fn errno(errno: i32) -> u32 {
    libc::SECCOMP_RET_ERRNO | errno as u32
}

/// Filters the calls of all threads. False: this kernel has no such filters. Without no_new_privs it
/// takes SYS_ADMIN.
pub fn filter() -> io::Result<bool> {
    let log = libc::SECCOMP_FILTER_FLAG_LOG;
    match install(&absent(), 0).and_then(|()| match install(&allowed(), log) {
        // Kernels before 4.14 have no log of them.
        Err(e) if e.raw_os_error() == Some(libc::EINVAL) => install(&allowed(), 0),
        other => other,
    }) {
        Ok(()) => Ok(true),
        Err(e) if matches!(e.raw_os_error(), Some(libc::EINVAL | libc::ENOSYS)) => Ok(false),
        Err(e) => Err(e),
    }
}

fn install(program: &[libc::sock_filter], flags: libc::c_ulong) -> io::Result<()> {
    // The kernel takes 4096 instructions at most.
    let len = u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let program = libc::sock_fprog { len, filter: program.as_ptr().cast_mut() };
    let flags = flags | libc::SECCOMP_FILTER_FLAG_TSYNC;
    // SAFETY: the kernel reads `len` instructions at `filter`, which live until the call is over.
    let done =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &program) };
    match done {
        0 => Ok(()),
        -1 => Err(io::Error::last_os_error()),
        thread => Err(io::Error::other(format!("thread {thread} has a filter of its own"))),
    }
}

/// What is as if the kernel did not have it: libraries have another way. All that is newer than the list
/// is such, since a refusal would be taken for the answer.
fn absent() -> Vec<libc::sock_filter> {
    let mut program = begin();
    for number in ABSENT {
        program.extend(on(*number, NOT_THERE));
    }
    program.extend([jump(libc::BPF_JGT, NEWEST as u32, 0, 1), answer(NOT_THERE), answer(ALLOW)]);
    program
}

fn allowed() -> Vec<libc::sock_filter> {
    let mut program = begin();
    for Call { number, only } in ALLOWED {
        match only {
            Only::Any => program.extend(on(*number, ALLOW)),
            only => {
                let body = arguments(only);
                // No list of a call's arguments is as long as a jump can be (255).
                program.push(jump(libc::BPF_JEQ, *number as u32, 0, body.len() as u8));
                program.extend(body);
            }
        }
    }
    for number in ABSENT {
        program.extend(on(*number, ALLOW));
    }
    program.extend([jump(libc::BPF_JGT, NEWEST as u32, 0, 1), answer(ALLOW), answer(REFUSE)]);
    program
}

/// The number of a call, if it is one of this architecture.
fn begin() -> Vec<libc::sock_filter> {
    let mut program =
        vec![load(ARCH_AT), jump(libc::BPF_JEQ, ARCH, 1, 0), answer(REFUSE), load(NUMBER_AT)];
    if cfg!(target_arch = "x86_64") {
        program.extend([jump(libc::BPF_JSET, X32, 0, 1), answer(REFUSE)]);
    }
    program
}

fn on(number: libc::c_long, action: u32) -> [libc::sock_filter; 2] {
    [jump(libc::BPF_JEQ, number as u32, 0, 1), answer(action)]
}

/// Allows the call or refuses it.
fn arguments(only: &Only) -> Vec<libc::sock_filter> {
    match *only {
        Only::Any => vec![answer(ALLOW)],
        Only::OneOf(index, values) => {
            let mut program = vec![load(argument_at(index))];
            for value in values {
                program.extend([jump(libc::BPF_JEQ, *value, 0, 1), answer(ALLOW)]);
            }
            program.push(answer(REFUSE));
            program
        }
        Only::Itself(index) => vec![
            load(argument_at(index)),
            jump(libc::BPF_JEQ, std::process::id(), 1, 0),
            answer(REFUSE),
            answer(ALLOW),
        ],
        Only::Without(index, bits) => vec![
            load(argument_at(index)),
            jump(libc::BPF_JSET, bits, 0, 1),
            answer(REFUSE),
            answer(ALLOW),
        ],
        Only::NotAllOf(index, bits) => vec![
            load(argument_at(index)),
            instruction(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, bits, 0, 0),
            jump(libc::BPF_JEQ, bits, 0, 1),
            answer(REFUSE),
            answer(ALLOW),
        ],
    }
}

fn load(at: u32) -> libc::sock_filter {
    instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, at, 0, 0)
}

fn jump(comparison: u32, with: u32, yes: u8, no: u8) -> libc::sock_filter {
    instruction(libc::BPF_JMP | comparison | libc::BPF_K, with, yes, no)
}

fn answer(action: u32) -> libc::sock_filter {
    instruction(libc::BPF_RET | libc::BPF_K, action, 0, 0)
}

fn instruction(code: u32, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt, jf, k }
}

#[cfg(test)]
mod tests {
    use super::*;
    use libc::c_long;
    use nix::sys::wait::{waitpid, WaitStatus};
    use nix::unistd::{fork, ForkResult};

    /// Whether a call with these arguments has this errno under the filter (0: it succeeds). In a child,
    /// since no process gets rid of a filter.
    #[track_caller]
    fn assert_errno(call: c_long, arguments: [c_long; 4], expected: i32) {
        // Between fork() and exit() nothing is allocated: another thread may hold malloc()'s lock.
        let (absent, allowed) = (absent(), allowed());
        // SAFETY: the child makes system calls only, and ends.
        let child = match unsafe { fork() }.unwrap() {
            ForkResult::Parent { child } => child,
            ForkResult::Child => {
                let [a, b, c, d] = arguments;
                // SAFETY: numbers, or null where the kernel expects memory; the child ends at once.
                unsafe {
                    libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
                    if install(&absent, 0).and_then(|()| install(&allowed, 0)).is_err() {
                        libc::_exit(255);
                    }
                    let errno = match libc::syscall(call, a, b, c, d) {
                        -1 => *libc::__errno_location(),
                        _ => 0,
                    };
                    libc::_exit(errno);
                }
            }
        };
        let ended = waitpid(child, None).unwrap();
        assert_eq!(ended, WaitStatus::Exited(child, expected), "call {call} {arguments:?}");
    }

    /// As root: none of them is refused because a capability is missing, and most would be EFAULT or EBADF.
    #[test]
    fn calls_that_are_not_listed_are_refused() {
        for call in [
            libc::SYS_ptrace,
            libc::SYS_process_vm_readv,
            libc::SYS_bpf,
            libc::SYS_perf_event_open,
            libc::SYS_userfaultfd,
            libc::SYS_io_uring_setup,
            libc::SYS_mount,
            libc::SYS_umount2,
            libc::SYS_move_mount,
            libc::SYS_pivot_root,
            libc::SYS_chroot,
            libc::SYS_kexec_load,
            libc::SYS_init_module,
            libc::SYS_finit_module,
            libc::SYS_delete_module,
            libc::SYS_keyctl,
            libc::SYS_add_key,
            libc::SYS_pidfd_getfd,
            libc::SYS_seccomp,
            libc::SYS_personality,
            libc::SYS_mknodat,
            libc::SYS_setuid,
            libc::SYS_capset,
            libc::SYS_sethostname,
            libc::SYS_settimeofday,
            libc::SYS_reboot,
        ] {
            assert_errno(call, [-1; 4], libc::EPERM);
        }
    }

    #[test]
    fn arguments_are_looked_at_where_they_matter() {
        let tcp = libc::SOCK_STREAM as c_long;
        for (call, arguments, expected) in [
            (libc::SYS_socket, [libc::AF_INET as c_long, tcp, 0, 0], 0),
            (
                libc::SYS_socket,
                [libc::AF_ALG as c_long, libc::SOCK_SEQPACKET as c_long, 0, 0],
                libc::EPERM,
            ),
            (libc::SYS_socket, [libc::AF_VSOCK as c_long, tcp, 0, 0], libc::EPERM),
            (libc::SYS_setns, [-1, libc::CLONE_NEWNET as c_long, 0, 0], libc::EBADF),
            (libc::SYS_setns, [-1, libc::CLONE_NEWNS as c_long, 0, 0], libc::EPERM),
            (libc::SYS_setns, [-1, 0, 0, 0], libc::EPERM),
            (libc::SYS_clone, [libc::CLONE_NEWUSER as c_long, 0, 0, 0], libc::EPERM),
            (libc::SYS_clone, [libc::CLONE_NEWNET as c_long, 0, 0, 0], libc::EPERM),
            (libc::SYS_ioctl, [-1, 0x5412, 0, 0], libc::EPERM), // TIOCSTI
            (libc::SYS_ioctl, [-1, libc::TCGETS as c_long, 0, 0], libc::EBADF),
            (libc::SYS_process_vm_readv, [1, 0, 0, 0], libc::EPERM),
            (libc::SYS_mprotect, [0, 0, 7, 0], libc::EPERM),
            (libc::SYS_mprotect, [0, 0, 5, 0], 0),
            (libc::SYS_prctl, [libc::PR_SET_MM as c_long, 0, 0, 0], libc::EPERM),
            (libc::SYS_prctl, [libc::PR_GET_NAME as c_long, 0, 0, 0], libc::EFAULT),
            (libc::SYS_unshare, [libc::CLONE_NEWNS as c_long, 0, 0, 0], libc::EPERM),
            (libc::SYS_unshare, [libc::CLONE_NEWNET as c_long, 0, 0, 0], 0),
        ] {
            assert_errno(call, arguments, expected);
        }
    }

    #[test]
    fn what_is_newer_than_the_list_is_as_if_it_were_not_there() {
        assert_errno(libc::SYS_clone3, [0; 4], libc::ENOSYS);
        assert_errno(NEWEST + 1, [0; 4], libc::ENOSYS);
        assert_errno(NEWEST, [-1; 4], libc::EPERM);
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn calls_of_another_abi_are_refused() {
        assert_errno(c_long::from(X32) | libc::SYS_getpid, [0; 4], libc::EPERM);
    }

    #[test]
    fn no_call_is_listed_twice_and_none_is_newer_than_the_newest() {
        let mut numbers: Vec<_> = ALLOWED.iter().map(|call| call.number).collect();
        numbers.extend(ABSENT);
        let count = numbers.len();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), count);
        assert!(numbers.iter().all(|number| *number <= NEWEST));
    }
}
