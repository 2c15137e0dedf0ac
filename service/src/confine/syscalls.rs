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

//! The system calls that guestnetd may make, and the programs that it runs: the only place that says so.
//!
//! Made from a trace of the black-box suite (`strace -D -f -c`, glibc 2.36, iptables 1.8.9 of both kinds, scripts
//! of dash and bash in iptables' place), with what other libcs and kernels call for the same (newer glibc,
//! musl; arm64 has no open() or poll()). One that is missing is EPERM and a line `type=1326 ... syscall=N`
//! in the audit log: a test that fails for it says which to add.

use libc::c_long;

/// A call, and with which arguments.
pub(super) struct Call {
    pub(super) number: c_long,
    pub(super) only: Only,
}

/// What an argument must be; the first is 0. Its low 32 bits count: none of these has more.
pub(super) enum Only {
    /// Anything.
    Any,
    /// One of these values.
    OneOf(u32, &'static [u32]),
    /// A value that has none of these bits.
    Without(u32, u32),
    /// A value that has not all of these bits.
    NotAllOf(u32, u32),
    /// The process that sets the filter.
    Itself(u32),
}

/// The newest call that the list knows, mseal() of Linux 6.10; new ones have one number everywhere. What is newer is as if the kernel did not have it.
pub(super) const NEWEST: c_long = 462;

/// What is as if the kernel did not have it. The flags of clone3() are in memory, where a filter does not
/// see them: libc takes clone() then.
pub(super) const ABSENT: &[c_long] = &[libc::SYS_clone3];

const fn any(number: c_long) -> Call {
    Call { number, only: Only::Any }
}

const fn when(number: c_long, only: Only) -> Call {
    Call { number, only }
}

/// `CLONE_NEW*` of clone(): a new namespace of any kind. (`CLONE_NEWTIME` is no flag of clone()'s.)
const NEW_NAMESPACES: u32 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET) as u32;

/// Memory that can be written and executed.
const WRITE_AND_EXECUTE: u32 = (libc::PROT_WRITE | libc::PROT_EXEC) as u32;

/// Sockets: clients and syslog; the resolver's, doctor's and iptables'; ip6tables'; the kernel's; doctor's tap.
const FAMILIES: &[u32] = &[
    libc::AF_UNIX as u32,
    libc::AF_INET as u32,
    libc::AF_INET6 as u32,
    libc::AF_NETLINK as u32,
    libc::AF_PACKET as u32,
];

/// What may be asked of a descriptor: by libraries and shells of theirs, and by guestnetd of a TUN or TAP
/// device (`kernel/tun.rs`), of a namespace (`netns/target.rs`) and by rsbinder of its sockets (`SIOCOUTQ`) and of
/// the kernel's Binder.
const REQUESTS: &[u32] = &[
    libc::FIONBIO as u32,
    libc::FIONREAD as u32,
    libc::FIOCLEX as u32,
    libc::TIOCOUTQ as u32,
    libc::TCGETS as u32,
    libc::TIOCGWINSZ as u32,
    libc::TIOCGPGRP as u32,
    libc::SIOCGIFNAME as u32,
    libc::SIOCGIFINDEX as u32,
    0x4004_54ca, // TUNSETIFF
    0x4004_54cc, // TUNSETOWNER
    0x4004_54d8, // TUNSETVNETHDRSZ
    0x54e3,      // TUNGETDEVNETNS
    0xb701,      // NS_GET_USERNS
    0xb703,      // NS_GET_NSTYPE
    0xb704,      // NS_GET_OWNER_UID
    0xc030_6201, // BINDER_WRITE_READ
    0x4004_6205, // BINDER_SET_MAX_THREADS
    0x4004_6208, // BINDER_THREAD_EXIT
    0xc004_6209, // BINDER_VERSION
    0x4004_6210, // BINDER_ENABLE_ONEWAY_SPAM_DETECTION
    0xc00c_6211, // BINDER_GET_EXTENDED_ERROR
];

/// prctl(): names of threads and of memory, what a child is to have, and questions.
const OPTIONS: &[u32] = &[
    libc::PR_SET_NAME as u32,
    libc::PR_GET_NAME as u32,
    libc::PR_SET_VMA as u32,
    libc::PR_SET_PDEATHSIG as u32,
    libc::PR_GET_DUMPABLE as u32,
    0x4155_5856, // PR_GET_AUXV, of the process itself: rustix
    libc::PR_CAPBSET_READ as u32,
    libc::PR_SET_NO_NEW_PRIVS as u32,
    libc::PR_GET_NO_NEW_PRIVS as u32,
];

/// Everything else is refused.
pub(super) const ALLOWED: &[Call] = &[
    // Those whose arguments count.
    when(libc::SYS_mmap, Only::NotAllOf(2, WRITE_AND_EXECUTE)),
    when(libc::SYS_mprotect, Only::NotAllOf(2, WRITE_AND_EXECUTE)),
    when(libc::SYS_ioctl, Only::OneOf(1, REQUESTS)),
    when(libc::SYS_clone, Only::Without(0, NEW_NAMESPACES)),
    when(libc::SYS_socket, Only::OneOf(0, FAMILIES)),
    when(libc::SYS_socketpair, Only::OneOf(0, &[libc::AF_UNIX as u32])),
    when(libc::SYS_setns, Only::OneOf(1, &[libc::CLONE_NEWNET as u32])),
    when(libc::SYS_unshare, Only::OneOf(0, &[libc::CLONE_NEWNET as u32])),
    when(libc::SYS_prctl, Only::OneOf(0, OPTIONS)),
    // rsbinder copies so what the kernel's Binder says of a caller's SELinux domain.
    when(libc::SYS_process_vm_readv, Only::Itself(0)),
    // What is called most stands first: some kernels compare one after the other.
    any(libc::SYS_recvmsg),
    any(libc::SYS_sendmsg),
    any(libc::SYS_recvfrom),
    any(libc::SYS_sendto),
    any(libc::SYS_read),
    any(libc::SYS_write),
    any(libc::SYS_close),
    any(libc::SYS_futex),
    #[cfg(target_arch = "x86_64")]
    any(libc::SYS_epoll_wait),
    any(libc::SYS_epoll_pwait),
    any(libc::SYS_epoll_ctl),
    #[cfg(target_arch = "x86_64")]
    any(libc::SYS_poll),
    any(libc::SYS_ppoll),
    any(libc::SYS_clock_gettime),
    // Memory. None is writable and executable, at a time.
    any(libc::SYS_brk),
    any(libc::SYS_munmap),
    any(libc::SYS_mremap),
    any(libc::SYS_madvise),
    // Files.
    #[cfg(target_arch = "x86_64")]
    any(libc::SYS_open),
    any(libc::SYS_openat),
    #[cfg(target_arch = "x86_64")]
    any(libc::SYS_stat),
    #[cfg(target_arch = "x86_64")]
    any(libc::SYS_lstat),
    any(libc::SYS_fstat),
    any(libc::SYS_newfstatat),
    any(libc::SYS_statx),
    #[cfg(target_arch = "x86_64")]
    any(libc::SYS_access),
    any(libc::SYS_faccessat),
    any(libc::SYS_faccessat2),
    #[cfg(target_arch = "x86_64")]
    any(libc::SYS_readlink),
    any(libc::SYS_readlinkat),
    any(libc::SYS_getdents64),
    any(libc::SYS_readv),
    any(libc::SYS_writev),
    any(libc::SYS_pread64),
    any(libc::SYS_pwrite64),
    any(libc::SYS_lseek),
    any(libc::SYS_fcntl),
    any(libc::SYS_flock),
    any(libc::SYS_ftruncate),
    any(libc::SYS_fallocate),
    any(libc::SYS_fsync),
    any(libc::SYS_fdatasync),
    any(libc::SYS_fadvise64),
    any(libc::SYS_statfs),
    any(libc::SYS_fstatfs),
    #[cfg(target_arch = "x86_64")]
    any(libc::SYS_mkdir),
    any(libc::SYS_mkdirat),
    #[cfg(target_arch = "x86_64")]
    any(libc::SYS_rmdir),
    #[cfg(target_arch = "x86_64")]
    any(libc::SYS_unlink),
    any(libc::SYS_unlinkat),
    #[cfg(target_arch = "x86_64")]
    any(libc::SYS_rename),
    #[cfg(target_arch = "x86_64")]
    any(libc::SYS_renameat),
    #[cfg(target_arch = "aarch64")]
    any(38), // renameat(), for which the libc crate has no name there
    any(libc::SYS_renameat2),
    #[cfg(target_arch = "x86_64")]
    any(libc::SYS_chmod),
    any(libc::SYS_fchmod),
    any(libc::SYS_fchmodat),
    any(libc::SYS_fchown),
    any(libc::SYS_fchownat),
    #[cfg(target_arch = "x86_64")]
    any(libc::SYS_chown),
    any(libc::SYS_umask),
    any(libc::SYS_utimensat),
    any(libc::SYS_getcwd),
    any(libc::SYS_chdir),
    any(libc::SYS_fchdir),
    any(libc::SYS_dup),
    #[cfg(target_arch = "x86_64")]
    any(libc::SYS_dup2),
    any(libc::SYS_dup3),
    #[cfg(target_arch = "x86_64")]
    any(libc::SYS_pipe),
    any(libc::SYS_pipe2),
    any(libc::SYS_sendfile),
    any(libc::SYS_splice),
    any(libc::SYS_copy_file_range),
    any(libc::SYS_inotify_init1),
    any(libc::SYS_inotify_add_watch),
    any(libc::SYS_inotify_rm_watch),
    any(libc::SYS_memfd_create),
    // Of namespaces alone (`netns/handle.rs`): for files it takes DAC_READ_SEARCH, which is given up.
    any(libc::SYS_name_to_handle_at),
    any(libc::SYS_open_by_handle_at),
    // Sockets.
    any(libc::SYS_bind),
    any(libc::SYS_connect),
    any(libc::SYS_listen),
    any(libc::SYS_accept),
    any(libc::SYS_accept4),
    any(libc::SYS_getsockname),
    any(libc::SYS_getpeername),
    any(libc::SYS_getsockopt),
    any(libc::SYS_setsockopt),
    any(libc::SYS_sendmmsg),
    any(libc::SYS_recvmmsg),
    any(libc::SYS_shutdown),
    // Waiting.
    #[cfg(target_arch = "x86_64")]
    any(libc::SYS_select),
    any(libc::SYS_pselect6),
    #[cfg(target_arch = "x86_64")]
    any(libc::SYS_epoll_create),
    any(libc::SYS_epoll_create1),
    any(libc::SYS_epoll_pwait2),
    any(libc::SYS_eventfd2),
    any(libc::SYS_nanosleep),
    any(libc::SYS_clock_nanosleep),
    any(libc::SYS_clock_getres),
    any(libc::SYS_gettimeofday),
    #[cfg(target_arch = "x86_64")]
    any(libc::SYS_time),
    #[cfg(target_arch = "x86_64")]
    any(libc::SYS_alarm),
    any(libc::SYS_setitimer),
    any(libc::SYS_restart_syscall),
    // Threads, programs and signals.
    #[cfg(target_arch = "x86_64")]
    any(libc::SYS_fork),
    #[cfg(target_arch = "x86_64")]
    any(libc::SYS_vfork),
    any(libc::SYS_execve),
    any(libc::SYS_wait4),
    any(libc::SYS_waitid),
    any(libc::SYS_exit),
    any(libc::SYS_exit_group),
    any(libc::SYS_kill),
    any(libc::SYS_tkill),
    any(libc::SYS_tgkill),
    any(libc::SYS_pidfd_open),
    any(libc::SYS_pidfd_send_signal),
    any(libc::SYS_rt_sigaction),
    any(libc::SYS_rt_sigprocmask),
    any(libc::SYS_rt_sigreturn),
    any(libc::SYS_rt_sigtimedwait),
    any(libc::SYS_rt_sigsuspend),
    any(libc::SYS_rt_sigpending),
    any(libc::SYS_sigaltstack),
    any(libc::SYS_set_tid_address),
    any(libc::SYS_set_robust_list),
    any(libc::SYS_rseq),
    any(libc::SYS_membarrier),
    any(libc::SYS_sched_yield),
    any(libc::SYS_sched_getaffinity),
    #[cfg(target_arch = "x86_64")]
    any(libc::SYS_arch_prctl),
    any(libc::SYS_getpid),
    any(libc::SYS_gettid),
    any(libc::SYS_getppid),
    #[cfg(target_arch = "x86_64")]
    any(libc::SYS_getpgrp),
    any(libc::SYS_getpgid),
    any(libc::SYS_setpgid),
    any(libc::SYS_getsid),
    any(libc::SYS_setsid),
    any(libc::SYS_getuid),
    any(libc::SYS_geteuid),
    any(libc::SYS_getgid),
    any(libc::SYS_getegid),
    any(libc::SYS_getresuid),
    any(libc::SYS_getresgid),
    any(libc::SYS_getgroups),
    any(libc::SYS_capget),
    any(libc::SYS_getrandom),
    any(libc::SYS_uname),
    any(libc::SYS_sysinfo),
    any(libc::SYS_getrusage),
    any(libc::SYS_times),
    #[cfg(target_arch = "x86_64")]
    any(libc::SYS_getrlimit),
    #[cfg(target_arch = "x86_64")]
    any(libc::SYS_setrlimit),
    any(libc::SYS_prlimit64),
];
