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

//! What is behind the system calls: the simulated kernel, who has which of its descriptors open, the
//! processes, and what goes wrong when.

use crate::bed;
use crate::cast::Cast;
use crate::descriptors::Interest;
use crate::disk::Disk;
use crate::filter::Filter;
use crate::netd::Netd;
use crate::programs::{Programs, Source};
use crate::real;
use crate::schedule::schedule;
use guestnet_simulator::xtables::Family;
use guestnet_simulator::{Kernel, Listener, Netns, Queue, NETFILTER};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ptr::addr_of_mut;

/// A descriptor of something simulated.
pub enum File {
    /// A netlink socket.
    Netlink(Socket),
    /// A network namespace.
    Netns(Netns),
    /// A file of /proc/sys that is written.
    Setting(Netns, String),
    /// A process.
    Pidfd(i32),
    /// A file of /proc or /sys, with what was in it when it was opened, and how much was read.
    Text(Vec<u8>, usize),
    /// An eventfd.
    Counter(u64),
    /// An instance of epoll.
    Epoll(Vec<Interest>),
    /// What has to do with programs.
    Program(Source),
    /// An open file of /dev/net/tun.
    Tap(Queue),
    /// A file on the disk, and where the next read or write begins.
    OnDisk { inode: u64, at: usize },
    /// Another descriptor of what this one is of.
    Same(i32),
    /// A socket to which nobody sends: a server's, or one for socket options alone.
    Deaf,
}

/// A netlink socket.
pub struct Socket {
    netns: Netns,
    protocol: u32,
    port: u32,
    /// What there is to receive, or the errno that is received.
    queue: VecDeque<Result<Vec<u8>, i32>>,
    groups: BTreeSet<u32>,
    listener: Option<Listener>,
    /// Whether it says that nothing has come, and does not wait.
    pub impatient: bool,
}

impl Socket {
    /// Whether there is something to receive.
    pub fn has_some(&self) -> bool {
        !self.queue.is_empty()
    }
}

/// What goes wrong at a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is refused.
    Before(i32),
    /// It is done, and the answer is lost.
    After,
    /// guestnetd is killed before it.
    KilledBefore,
    /// guestnetd is killed after it.
    KilledAfter,
    /// Not of a write: nothing can be opened for so many times, files and sockets, with this errno.
    Unopened(i32, u32),
    /// Of writes to the disk, which are counted by themselves: so many are refused with this errno.
    Unwritten(i32, u32),
    /// guestnetd is killed at one of those, before it or after it.
    KilledAtDisk(bool),
}

/// What becomes of announcements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hearing {
    /// They come.
    Good,
    /// They are lost, and the socket says so.
    Overrun,
    /// They come late, those of different kinds in another order than they were made in.
    Late,
}

/// A process.
struct Process {
    started: u64,
}

/// Looks for what must not be.
pub type Watch = fn(&mut World) -> Result<(), String>;

/// All of it.
pub struct World {
    /// The kernel.
    pub kernel: Kernel,
    /// The packet filters.
    pub filter: Filter,
    /// The programs that run.
    pub programs: Programs,
    /// The files that there are.
    pub disk: Disk,
    /// Where netd is, what it knows.
    pub netd: Option<Netd>,
    /// Whether x_tables was closed when it had changed so often.
    pub tables_closed: Option<(u32, bool)>,
    /// Where guestnetd is.
    pub device: Netns,
    pub(crate) files: BTreeMap<i32, File>,
    /// When something came to each of them last, and how often to any.
    pub(crate) rung: BTreeMap<i32, u64>,
    pub(crate) rings: u64,
    /// Directories that are read.
    pub listed: BTreeSet<usize>,
    processes: BTreeMap<i32, Process>,
    /// The namespaces that threads are in, where that is not the device's.
    places: BTreeMap<usize, Netns>,
    /// Descriptors of each life of guestnetd's, real ones, too.
    owned: BTreeMap<i32, u32>,
    ports: u32,
    /// The fault to come, after so many writes.
    plan: Option<(u32, Fault)>,
    /// After so many files and sockets, how many cannot be opened, and why.
    unopened: Option<(u32, i32, u32)>,
    /// What goes wrong at the disk, after so many writes to it.
    disk_plan: Option<(u32, Fault)>,
    /// Faults that have come.
    pub faults: u32,
    /// The life that was killed by one.
    pub killed: bool,
    /// What becomes of announcements.
    pub hearing: Hearing,
    late: Vec<(i32, Vec<u8>)>,
    /// Writes so far.
    pub writes: u64,
    /// Told after each write, by whoever looks for what must not be even between two of them.
    pub watch: Option<Watch>,
    /// The generation of the packet filter that it looked at last.
    pub looked: u32,
    /// The generation of the packet filter at which others have opened it.
    pub opened: Option<u32>,
    /// The number of links' filters that it looked at last, and who the guests are.
    pub looked_at_filters: u64,
    pub cast: Cast,
    /// What it found first.
    pub seen: Option<String>,
    /// What was done, for who reads the history of a failure.
    pub trace: bool,
}

static mut WORLD: Option<World> = None;

/// It. Only the thread that has the turn calls this.
#[allow(static_mut_refs)]
pub fn world() -> &'static mut World {
    // SAFETY: one thread runs at a time, and hands over by a futex, which orders what they write. No
    // caller keeps the reference over a call that hands over.
    unsafe { (*addr_of_mut!(WORLD)).as_mut().expect("the simulation has begun") }
}

/// Begins with a device that has no interface yet.
pub fn begin() {
    let mut kernel = Kernel::new();
    let device = kernel.netns_add();
    let made = World {
        kernel,
        filter: Filter::default(),
        programs: Programs::default(),
        disk: Disk::new(bed::programs()),
        netd: None,
        tables_closed: None,
        device,
        files: BTreeMap::new(),
        rung: BTreeMap::new(),
        rings: 0,
        listed: BTreeSet::new(),
        processes: BTreeMap::new(),
        places: BTreeMap::new(),
        owned: BTreeMap::new(),
        ports: 4_000_000_000,
        plan: None,
        unopened: None,
        disk_plan: None,
        faults: 0,
        killed: false,
        hearing: Hearing::Good,
        late: Vec::new(),
        writes: 0,
        watch: None,
        looked: 0,
        looked_at_filters: 0,
        cast: Cast::Plain,
        opened: None,
        seen: None,
        trace: std::env::var_os("TRACE").is_some(),
    };
    // SAFETY: no thread has begun yet.
    unsafe { *addr_of_mut!(WORLD) = Some(made) };
}

/// Puts another one in its place: the one before.
#[allow(static_mut_refs)]
pub fn exchange(other: Option<World>) -> Option<World> {
    // SAFETY: as above.
    unsafe { std::mem::replace(&mut *addr_of_mut!(WORLD), other) }
}

/// What the caller of a write has to do after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    GoOn,
    Refuse(i32),
    LoseTheAnswer,
    DieFirst,
    DieAfter,
}

/// Length of a message's header.
const HEADER: usize = 16;
const NLM_F_ACK: u16 = 4;
const NLM_F_DUMP: u16 = 0x300;

fn messages(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    while bytes.len() >= HEADER {
        let length = u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize;
        if length < HEADER || length > bytes.len() {
            break;
        }
        found.push(&bytes[..length]);
        bytes = &bytes[(length.next_multiple_of(4)).min(bytes.len())..];
    }
    found
}

fn kind(message: &[u8]) -> u16 {
    u16::from_ne_bytes([message[4], message[5]])
}

fn flags(message: &[u8]) -> u16 {
    u16::from_ne_bytes([message[6], message[7]])
}

/// Whether a request asks for a change: it wants an acknowledgement, and no list.
fn is_change(messages: &[&[u8]]) -> bool {
    messages.iter().any(|m| flags(m) & NLM_F_ACK != 0 && flags(m) & NLM_F_DUMP != NLM_F_DUMP)
}

/// The kernel's word on a message.
fn error(message: &[u8], port: u32, errno: i32) -> Vec<u8> {
    let mut answer = Vec::new();
    answer.extend(36u32.to_ne_bytes());
    answer.extend(2u16.to_ne_bytes());
    // Of the request only the header is in it (NLM_F_CAPPED).
    answer.extend(0x100u16.to_ne_bytes());
    answer.extend(&message[8..12]);
    answer.extend(port.to_ne_bytes());
    answer.extend((-errno).to_ne_bytes());
    answer.extend(&message[..HEADER]);
    answer
}

impl World {
    /// The namespace of a thread.
    pub fn place(&self, thread: usize) -> Netns {
        self.places.get(&thread).copied().unwrap_or(self.device)
    }

    /// Puts a thread there.
    pub fn put(&mut self, thread: usize, netns: Netns) {
        self.places.insert(thread, netns);
    }

    pub(crate) fn own(&mut self, fd: i32) {
        let life = schedule().life();
        if life != 0 {
            self.owned.insert(fd, life);
        }
    }

    /// It is not guestnetd's any more.
    pub(crate) fn forget(&mut self, fd: i32) {
        self.owned.remove(&fd);
        self.uninterest(fd);
    }

    /// A real descriptor of guestnetd's.
    pub fn opened(&mut self, fd: i32) {
        if fd >= 0 {
            self.own(fd);
        }
    }

    /// A descriptor is closed.
    pub fn close(&mut self, fd: i32) {
        self.owned.remove(&fd);
        let gone = match self.others_of(fd) {
            None => self.files.remove(&fd),
            // Another descriptor has it from now on.
            Some(heir) => {
                self.bequeath(fd, heir);
                return;
            }
        };
        match gone {
            Some(File::Netns(_)) => self.kernel.fd_close(fd),
            Some(File::Tap(queue)) => self.kernel.tun_close(queue),
            Some(File::OnDisk { inode, .. }) => self.disk.close(inode, fd),
            Some(File::Netlink(socket)) => {
                if let Some(listener) = socket.listener {
                    self.kernel.unlisten(listener);
                }
                if socket.protocol == NETFILTER {
                    self.filter.closed(socket.netns, socket.port);
                }
                self.late.retain(|(at, _)| *at != fd);
            }
            Some(_) => {}
            None => real::close(fd),
        }
        self.uninterest(fd);
        self.pump();
    }

    /// What a descriptor is; none if it is nothing simulated.
    pub fn file(&self, fd: i32) -> Option<&File> {
        self.files.get(&self.same(fd))
    }

    /// The same, to be changed.
    pub fn file_mut(&mut self, fd: i32) -> Option<&mut File> {
        self.files.get_mut(&self.same(fd))
    }

    /// A descriptor of a namespace.
    pub fn open_netns(&mut self, netns: Netns) -> Result<i32, i32> {
        if !self.kernel.is_alive(netns) {
            return Err(libc::ENOENT);
        }
        let fd = self.made(File::Netns(netns));
        self.kernel.fd_open(fd, netns);
        Ok(fd)
    }

    /// Another descriptor of the same.
    pub fn duplicate(&mut self, fd: i32) -> Option<i32> {
        match self.file(fd)? {
            File::Netns(netns) => self.open_netns(*netns).ok(),
            File::Pidfd(pid) => Some(self.made(File::Pidfd(*pid))),
            File::Program(Source::Speaks(to)) => {
                Some(self.made(File::Program(Source::Speaks(*to))))
            }
            File::Counter(_) | File::Epoll(_) => {
                let same = self.made(File::Text(Vec::new(), 0));
                self.files.insert(same, File::Same(self.same(fd)));
                Some(same)
            }
            _ => panic!("nobody has made another descriptor of such a thing before"),
        }
    }

    /// A netlink socket.
    pub fn socket(&mut self, netns: Netns, protocol: u32, impatient: bool) -> i32 {
        self.ports += 1;
        let ((queue, groups), listener, port) = (Default::default(), None, self.ports);
        self.made(File::Netlink(Socket {
            netns,
            protocol,
            port,
            queue,
            groups,
            listener,
            impatient,
        }))
    }

    /// The port of a netlink socket.
    pub fn port(&self, fd: i32) -> Option<u32> {
        match self.files.get(&fd) {
            Some(File::Netlink(socket)) => Some(socket.port),
            _ => None,
        }
    }

    /// A socket joins a group.
    pub fn join(&mut self, fd: i32, group: u32) {
        self.pump();
        let Some(File::Netlink(socket)) = self.files.get_mut(&fd) else { return };
        socket.groups.insert(group);
        if let Some(listener) = socket.listener.take() {
            self.kernel.unlisten(listener);
        }
        let groups: Vec<u32> = socket.groups.iter().copied().collect();
        socket.listener = Some(self.kernel.listen(socket.netns, socket.protocol, &groups));
    }

    /// Announcements go to who listens.
    pub fn pump(&mut self) {
        let (hearing, mut rung) = (self.hearing, Vec::new());
        for (fd, file) in &mut self.files {
            let File::Netlink(socket) = file else { continue };
            let Some(listener) = socket.listener else { continue };
            let datagrams = self.kernel.take(listener);
            if datagrams.is_empty() {
                continue;
            }
            match hearing {
                Hearing::Overrun => {
                    // What is lost is the latest, and what was made before it is not heard after it.
                    self.late.retain(|(at, _)| at != fd);
                    if socket.queue.back() != Some(&Err(libc::ENOBUFS)) {
                        socket.queue.push_back(Err(libc::ENOBUFS));
                    }
                }
                Hearing::Late => {
                    self.late.extend(datagrams.into_iter().map(|one| (*fd, one)));
                    continue;
                }
                Hearing::Good => socket.queue.extend(datagrams.into_iter().map(Ok)),
            }
            rung.push(*fd);
        }
        rung.into_iter().for_each(|fd| self.ring(fd));
    }

    /// What was held back comes now. Of one kind, in the order in which it was; of different kinds in any.
    pub fn hear_late(&mut self) {
        self.hearing = Hearing::Good;
        let mut late = std::mem::take(&mut self.late);
        while !late.is_empty() {
            let mut kinds = BTreeSet::new();
            let first = |(at, (_, one)): (usize, &(i32, Vec<u8>))| {
                kinds.insert(kind(one) / 4).then_some(at)
            };
            let firsts: Vec<usize> = late.iter().enumerate().filter_map(first).collect();
            let (fd, datagram) = late.remove(firsts[schedule().seed.below(firsts.len())]);
            if let Some(File::Netlink(socket)) = self.files.get_mut(&fd) {
                socket.queue.push_back(Ok(datagram));
                self.ring(fd);
            }
        }
    }

    /// What goes wrong next, and what was to go wrong does not.
    pub fn expect(&mut self, fault: Option<(u32, Fault)>) {
        (self.plan, self.unopened, self.disk_plan) = match fault {
            Some((at, Fault::Unopened(errno, times))) => (None, Some((at, errno, times)), None),
            Some((_, Fault::Unwritten(..) | Fault::KilledAtDisk(_))) => (None, None, fault),
            other => (other, None, None),
        };
    }

    /// Whether guestnetd cannot open something now, and why.
    pub fn unopened(&mut self) -> Option<i32> {
        let (left, errno, times) = self.unopened.as_mut().filter(|_| schedule().life() != 0)?;
        if *left > 0 {
            *left -= 1;
            return None;
        }
        *times = times.checked_sub(1)?;
        self.faults += 1;
        Some(*errno)
    }

    /// What is to happen to a write to the disk.
    pub(crate) fn plan_on_disk(&mut self) -> Then {
        let Some((left, fault)) = self.disk_plan.as_mut().filter(|_| schedule().life() != 0) else {
            return Then::GoOn;
        };
        if *left > 0 {
            *left -= 1;
            return Then::GoOn;
        }
        let then = match fault {
            Fault::Unwritten(errno, times) if *times > 0 => {
                *times -= 1;
                Then::Refuse(*errno)
            }
            Fault::KilledAtDisk(after) if *after => Then::DieAfter,
            Fault::KilledAtDisk(_) => Then::DieFirst,
            _ => return Then::GoOn,
        };
        if !matches!(then, Then::Refuse(_)) {
            self.disk_plan = None;
        }
        self.faults += 1;
        then
    }

    pub(crate) fn plan(&mut self) -> Then {
        self.writes += 1;
        let Some((left, fault)) = &mut self.plan else { return Then::GoOn };
        if *left > 0 {
            *left -= 1;
            return Then::GoOn;
        }
        let then = match fault {
            Fault::Before(errno) => Then::Refuse(*errno),
            Fault::After => Then::LoseTheAnswer,
            Fault::KilledBefore => Then::DieFirst,
            Fault::KilledAfter => Then::DieAfter,
            Fault::Unopened(..) | Fault::Unwritten(..) | Fault::KilledAtDisk(_) => Then::GoOn,
        };
        self.plan = None;
        self.faults += 1;
        then
    }

    pub(crate) fn look(&mut self) {
        if let Some(watch) = self.watch.filter(|_| self.seen.is_none()) {
            self.seen = watch(self).err();
            if let Some(seen) = self.seen.as_ref().filter(|_| self.trace) {
                eprintln!("!! {seen}");
            }
        }
    }

    /// Sends to the kernel. True: guestnetd is killed by that.
    pub fn send(&mut self, fd: i32, bytes: &[u8]) -> Option<bool> {
        let Some(File::Netlink(socket)) = self.files.get(&fd) else { return None };
        let (netns, protocol, port) = (socket.netns, socket.protocol, socket.port);
        let all = messages(bytes);
        let change = is_change(&all) && schedule().life() != 0;
        let then = if change { self.plan() } else { Then::GoOn };
        if self.trace {
            let kinds: Vec<_> = all.iter().map(|m| (kind(m), flags(m))).collect();
            eprintln!("  {then:?} {netns:?} {protocol} {kinds:x?}");
        }
        let answer = match then {
            Then::DieFirst => return Some(true),
            Then::Refuse(errno) => {
                let asked = all.iter().find(|m| flags(m) & NLM_F_ACK != 0);
                asked.map(|m| Ok(error(m, port, errno))).into_iter().collect()
            }
            Then::LoseTheAnswer | Then::DieAfter => {
                self.ask_kernel(netns, protocol, port, bytes);
                vec![Err(libc::ENOBUFS)]
            }
            Then::GoOn => {
                let answer = self.ask_kernel(netns, protocol, port, bytes);
                if self.trace {
                    for message in answer.iter().flat_map(|datagram| messages(datagram)) {
                        let errno = message.get(16..20).filter(|_| kind(message) == 2);
                        let errno = errno.map(|e| i32::from_ne_bytes(e.try_into().unwrap()));
                        eprintln!("    -> {:x} {errno:?}", kind(message));
                    }
                }
                answer.into_iter().map(Ok).collect::<Vec<_>>()
            }
        };
        if let Some(File::Netlink(socket)) = self.files.get_mut(&fd) {
            if !answer.is_empty() {
                socket.queue.extend(answer);
                self.ring(fd);
            }
        }
        self.pump();
        if change {
            self.look();
        }
        Some(then == Then::DieAfter)
    }

    /// Receives.
    pub fn receive(&mut self, fd: i32) -> Option<Result<Vec<u8>, i32>> {
        let Some(File::Netlink(socket)) = self.files.get_mut(&fd) else { return None };
        Some(socket.queue.pop_front().unwrap_or(Err(libc::EAGAIN)))
    }

    /// Puts an unread datagram back.
    pub fn unreceive(&mut self, fd: i32, datagram: Vec<u8>) {
        if let Some(File::Netlink(socket)) = self.files.get_mut(&fd) {
            socket.queue.push_front(Ok(datagram));
        }
    }

    /// Writes a file of /proc/sys. True: guestnetd is killed by that.
    pub fn write(&mut self, netns: Netns, path: &str, bytes: &[u8]) -> (Result<(), i32>, bool) {
        let what = || format!("{netns:?} {path} {}", String::from_utf8_lossy(bytes));
        self.planned(what, |world| world.kernel.write(netns, path, bytes))
    }

    /// Does a write in the way that is planned for it. True: guestnetd is killed by that.
    pub fn planned(
        &mut self,
        what: impl FnOnce() -> String,
        write: impl FnOnce(&mut Self) -> Result<(), i32>,
    ) -> (Result<(), i32>, bool) {
        let then = if schedule().life() != 0 { self.plan() } else { Then::GoOn };
        if self.trace {
            eprintln!("  {then:?} {}", what());
        }
        let result = match then {
            Then::DieFirst => return (Ok(()), true),
            Then::Refuse(errno) => Err(errno),
            _ => write(self),
        };
        self.pump();
        self.look();
        match then {
            Then::LoseTheAnswer => (Err(libc::EIO), false),
            Then::DieAfter => (result, true),
            _ => (result, false),
        }
    }

    /// A process of a guest's.
    pub fn process_add(&mut self, pid: i32, netns: Netns, started: u64) {
        self.kernel.process_add(pid, netns);
        self.processes.insert(pid, Process { started });
    }

    /// It ends.
    pub fn process_end(&mut self, pid: i32) {
        if self.processes.remove(&pid).is_some() {
            let its = |(fd, file): (&i32, &File)| {
                matches!(file, File::Pidfd(of) if *of == pid).then_some(*fd)
            };
            let rung: Vec<_> = self.files.iter().filter_map(its).collect();
            rung.into_iter().for_each(|fd| self.ring(fd));
            self.kernel.process_end(pid);
            self.pump();
        }
    }

    /// Whether it lives.
    pub fn lives(&self, pid: i32) -> bool {
        self.processes.contains_key(&pid)
    }

    /// A pidfd: readable once the process has ended.
    pub fn pidfd(&mut self, pid: i32) -> Result<i32, i32> {
        match self.lives(pid) {
            true => Ok(self.made(File::Pidfd(pid))),
            false => Err(libc::ESRCH),
        }
    }

    /// Opens what is simulated; none: the path leads elsewhere.
    pub fn open(&mut self, thread: usize, path: &str, writes: bool) -> Option<Result<i32, i32>> {
        let here = self.place(thread);
        let text = |world: &mut Self, text: &[u8]| Ok(world.made(File::Text(text.to_vec(), 0)));
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        Some(match parts.as_slice() {
            ["proc", "thread-self" | "self", "ns", "net"] => self.open_netns(here),
            ["proc", _, "net", "ip_tables_names"] => {
                text(self, self.kernel.xtables_names(here, Family::V4).as_bytes())
            }
            ["proc", _, "net", "ip6_tables_names"] => {
                text(self, self.kernel.xtables_names(here, Family::V6).as_bytes())
            }
            ["proc", "1", "ns", "net"] => self.open_netns(self.device),
            ["proc", pid, "ns", "net"] => {
                let netns = pid.parse().ok().and_then(|pid| self.kernel.netns_of(pid));
                netns.ok_or(libc::ENOENT).and_then(|netns| self.open_netns(netns))
            }
            ["proc", pid, "stat"] => {
                let process = pid.parse().ok().and_then(|pid: i32| self.processes.get(&pid));
                let started = process.map(|process| process.started);
                started.ok_or(libc::ENOENT).and_then(|started| {
                    let line = format!("{pid} (guest) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 {started} 9 10");
                    text(self, line.as_bytes())
                })
            }
            ["proc", _, "status"] => text(self, b"Uid:\t0\t0\t0\t0\n"),
            ["proc", "sys", "kernel", "random", "boot_id"] => {
                text(self, b"11111111-2222-3333-4444-555555555555\n")
            }
            ["proc", "sys", "kernel", "osrelease"] => text(self, b"6.18.0\n"),
            ["proc" | "sys", ..] if writes => {
                // Whether it is there is known by reading it.
                let is = self.kernel.read(here, path);
                is.map(|_| self.made(File::Setting(here, path.to_owned())))
            }
            ["proc" | "sys", ..] => match self.kernel.read(here, path) {
                Ok(bytes) => text(self, &bytes),
                Err(errno) => Err(errno),
            },
            ["dev", "net", "tun"] => {
                let queue = self.kernel.tun_open(here);
                Ok(self.made(File::Tap(queue)))
            }
            _ => return None,
        })
    }

    /// What is in a directory.
    pub fn list(&mut self, thread: usize, path: &str) -> Option<Result<Vec<(String, bool)>, i32>> {
        let inside = path.starts_with("/proc/") || path.starts_with("/sys/");
        let files = |names: Vec<String>| names.into_iter().map(|name| (name, false)).collect();
        inside.then(|| self.kernel.list(self.place(thread), path).map(files))
    }

    /// All that a life of guestnetd's had open is closed, as its process was killed.
    pub fn bury(&mut self, life: u32) {
        let its: Vec<i32> =
            self.owned.iter().filter(|(_, of)| **of == life).map(|(fd, _)| *fd).collect();
        its.into_iter().for_each(|fd| self.close(fd));
    }

    /// How many descriptors a life has.
    pub fn descriptors(&self, life: u32) -> usize {
        self.owned.values().filter(|of| **of == life).count()
    }

    fn ask_kernel(&mut self, netns: Netns, protocol: u32, port: u32, bytes: &[u8]) -> Vec<Vec<u8>> {
        match protocol {
            NETFILTER => self.filter.send(netns, port, &messages(bytes)),
            _ => self.kernel.send(netns, protocol, port, bytes),
        }
    }

    /// One request of others', from a namespace; the errno of its answer.
    pub fn ask(&mut self, netns: Netns, protocol: u32, bytes: &[u8]) -> (i32, Vec<Vec<u8>>) {
        let answers = self.ask_kernel(netns, protocol, 77, bytes);
        self.pump();
        let mut errno = 0;
        for message in answers.iter().flat_map(|datagram| messages(datagram)) {
            if let Some(found) = message.get(16..20).filter(|_| kind(message) == 2) {
                errno = -i32::from_ne_bytes([found[0], found[1], found[2], found[3]]);
            }
        }
        (errno, answers)
    }
}

/// All messages of some datagrams.
pub fn all_messages(datagrams: &[Vec<u8>]) -> Vec<&[u8]> {
    datagrams.iter().flat_map(|datagram| messages(datagram)).collect()
}
