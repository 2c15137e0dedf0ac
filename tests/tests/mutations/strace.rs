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

//! What strace wrote, call by call. Knows no call's meaning.
//!
//! strace decodes the messages of a netlink socket only if it finds the socket, in its own network
//! namespace, bound: guests' sockets and the first message of any are left as bytes. So what is sent
//! is taken from strace's dump of it, for all alike.

use std::collections::HashMap;

/// The calls that change nothing outside the process: they read, wait, or are about its memory,
/// threads and descriptors. All others are traced; one that nobody knows fails the test.
pub const HARMLESS: &[&str] = &[
    // Reading.
    "read",
    "pread64",
    "readv",
    "recvfrom",
    "recvmsg",
    "getdents64",
    "lseek",
    "stat",
    "lstat",
    "fstat",
    "newfstatat",
    "statx",
    "name_to_handle_at",
    "open_by_handle_at",
    "statfs",
    "fstatfs",
    "access",
    "faccessat",
    "faccessat2",
    "readlink",
    "readlinkat",
    "getcwd",
    "uname",
    "sysinfo",
    "getrandom",
    "getsockopt",
    "getsockname",
    "getpeername",
    "clock_gettime",
    "clock_getres",
    "gettimeofday",
    "times",
    "getpid",
    "gettid",
    "getppid",
    // Watching a file; a group of its own for a program.
    "inotify_init1",
    "inotify_add_watch",
    "setpgid",
    "getuid",
    "geteuid",
    "getgid",
    "getegid",
    "prlimit64",
    "getrlimit",
    "sched_getaffinity",
    "capget",
    // Descriptors. A file that is made in memory is nobody else's; who listens or connects sends
    // nothing yet; a lock of a file changes no file.
    "close",
    "dup",
    "dup2",
    "dup3",
    "fcntl",
    "flock",
    "pipe",
    "pipe2",
    "eventfd2",
    "memfd_create",
    "epoll_create1",
    "epoll_ctl",
    "socketpair",
    "listen",
    "connect",
    "accept",
    "accept4",
    "shutdown",
    "pidfd_open",
    // Waiting.
    "futex",
    "poll",
    "ppoll",
    "select",
    "pselect6",
    "epoll_wait",
    "epoll_pwait",
    "epoll_pwait2",
    "nanosleep",
    "clock_nanosleep",
    "wait4",
    "waitid",
    "sched_yield",
    "restart_syscall",
    "membarrier",
    "rt_sigtimedwait",
    // Memory, threads, the process itself (capset() is for the calling thread alone, since Linux 2.6.26).
    // What it runs is seen by its execve().
    "mmap",
    "munmap",
    "mprotect",
    "mremap",
    "madvise",
    "brk",
    "arch_prctl",
    "prctl",
    "capset",
    "seccomp",
    "set_tid_address",
    "set_robust_list",
    "rseq",
    "sigaltstack",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "umask",
    "clone",
    "clone3",
    "vfork",
    "fork",
    "exit",
    "exit_group",
];

/// The program with its arguments, but for where it writes to. It does not stand between a process
/// and its parent (`-D`), and stops nobody for the calls that it leaves out.
pub fn command() -> String {
    // With a question mark: not every architecture has all of them.
    let all: Vec<_> = HARMLESS.iter().map(|name| format!("?{name}")).collect();
    format!("strace -q -D -f -yy --seccomp-bpf -s 4096 -e write=all -e trace=!{}", all.join(","))
}

/// One call that has returned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// The thread's id.
    pub tid: u32,
    /// The call's name.
    pub name: String,
    /// Its arguments, as strace writes them.
    pub args: String,
    /// What it returned, as strace writes it.
    pub result: String,
    /// The bytes that it wrote or sent.
    pub data: Vec<u8>,
}

/// What a trace tells, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A call.
    Call(Call),
    /// A thread has ended.
    Ended(u32),
    /// A line that does not read as one of strace's.
    Strange(String),
}

/// Reads a whole trace.
pub fn read(text: &str) -> Vec<Event> {
    let mut events = Vec::new();
    let mut unfinished: HashMap<u32, String> = HashMap::new();
    for line in text.lines() {
        // The bytes of the call in front; how many a buffer has is not asked.
        if let Some(dump) = line.strip_prefix(" | ") {
            match (events.last_mut(), bytes(dump)) {
                (Some(Event::Call(call)), Some(bytes)) => call.data.extend(bytes),
                _ => events.push(Event::Strange(line.to_owned())),
            }
            continue;
        }
        if line.starts_with(" * ") {
            continue;
        }
        let Some((tid, rest)) = line.split_once(' ') else {
            events.push(Event::Strange(line.to_owned()));
            continue;
        };
        let (Ok(tid), rest) = (tid.parse(), rest.trim_start()) else {
            events.push(Event::Strange(line.to_owned()));
            continue;
        };
        if rest.starts_with("+++ ") {
            unfinished.remove(&tid);
            events.push(Event::Ended(tid));
        } else if rest.starts_with("--- ") {
            // A signal.
        } else if let Some(begun) = rest.strip_suffix("<unfinished ...>") {
            unfinished.insert(tid, begun.trim_end().to_owned());
        } else {
            let whole = match rest.strip_prefix("<... ") {
                Some(resumed) => resumed
                    .split_once(" resumed>")
                    .and_then(|(_, end)| unfinished.remove(&tid).map(|begin| begin + end)),
                None => Some(rest.to_owned()),
            };
            let call = whole.and_then(|whole| call(tid, &whole));
            events.push(call.map_or_else(|| Event::Strange(line.to_owned()), Event::Call));
        }
    }
    events
}

/// `name(arguments)   = result`.
fn call(tid: u32, line: &str) -> Option<Call> {
    let (begin, result) = line.rsplit_once(" = ")?;
    let (name, args) = begin.trim_end().strip_suffix(')')?.split_once('(')?;
    let word = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let [name, args, result] = [name, args, result].map(str::to_owned);
    word(&name).then_some(Call { tid, name, args, result, data: Vec::new() })
}

/// `00000  24 00 00 00 ...  text |`: sixteen bytes in two columns.
fn bytes(dump: &str) -> Option<Vec<u8>> {
    const COLUMNS: usize = 16 * 3 + 1;
    let (_, columns) = dump.split_once("  ")?;
    let columns = columns.get(..COLUMNS)?.split_whitespace();
    columns.map(|byte| u8::from_str_radix(byte, 16).ok()).collect()
}

impl Call {
    /// Whether it failed: it has changed nothing.
    pub fn failed(&self) -> bool {
        self.result.starts_with("-1 ")
    }

    /// Whether it was interrupted, and is called again by the kernel: that is another call here.
    pub fn is_restarted(&self) -> bool {
        self.result.starts_with("? ERESTART")
    }

    /// The descriptor that is its first argument, and what strace says that leads to:
    /// `12<NETLINK:[ROUTE:17]>`, `11</proc/sys/net/ipv4/ip_forward>`.
    pub fn fd(&self) -> Option<(u32, &str)> {
        described(&self.args)
    }

    /// The descriptor that it returned.
    pub fn returned_fd(&self) -> Option<u32> {
        described(&self.result).map(|(fd, _)| fd)
    }

    /// The texts among its arguments.
    pub fn texts(&self) -> Vec<String> {
        let (mut texts, mut text) = (Vec::new(), None::<String>);
        let mut chars = self.args.chars();
        while let Some(c) = chars.next() {
            match (c, &mut text) {
                ('"', None) => text = Some(String::new()),
                ('"', Some(_)) => texts.extend(text.take()),
                // None of ours has an escape of more than one character.
                ('\\', Some(text)) => text.extend(chars.next()),
                (c, Some(text)) => text.push(c),
                (_, None) => {}
            }
        }
        texts
    }

    /// The line, cut, for people.
    pub fn line(&self) -> String {
        let Self { tid, name, args, result, data } = self;
        let args: String = args.chars().take(300).collect();
        let line = format!("{tid} {name}({args}) = {result}");
        match data.is_empty() {
            true => line,
            false => format!("{line}, {} bytes {:02x?}", data.len(), &data[..data.len().min(64)]),
        }
    }
}

fn described(text: &str) -> Option<(u32, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (fd, rest) = text.split_at(end);
    let what = rest.strip_prefix('<').map_or("", |what| {
        // A name may have a bracket of its own: `/dev/net/tun<char 10:200>`.
        let ends = [">, ", ">("].iter().filter_map(|end| what.find(end)).min();
        ends.map_or(what.trim_end_matches('>'), |end| &what[..end])
    });
    Some((fd.parse().ok()?, what))
}
