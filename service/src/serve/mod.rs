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

//! Servers for guests: names, DHCP. One thread waits for the sockets of all of them, whatever the number of
//! guests; it is there while a guest wants a server and a second longer, and never holds the daemon's lock.
//!
//! ```text
//! reconcile ── Want, whole, never a delta ──► slot ── bell ──► thread ── bring ──► each Server
//! ```
//!
//! For a guest that joins the bell does not ring: the thread looks into the slot before it answers anybody.
//!
//! A server that fails loses its sockets and begins again after a while: what guests send elsewhere
//! does not depend on it.

pub mod dhcp;
pub mod dns;

use crate::model::if_index::IfIndex;
use crate::ordered::OrderedMap;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};
use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What the servers are to serve, to all guests. What is in it is shared, so that a copy is cheap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Want {
    /// `SO_MARK` of sockets that answer guests; none: they have none.
    pub mark: Option<u32>,
    /// Names.
    pub dns: dns::Want,
    /// Addresses.
    pub dhcp: dhcp::Want,
}

impl Want {
    /// Whether no guest wants a server.
    pub fn is_nothing(&self) -> bool {
        self.dns.guests.is_empty() && self.dhcp.guests.is_empty()
    }

    /// All of it but the guests: what servers open, close or begin again for.
    fn frame(&self) -> Self {
        let dns = dns::Want { guests: Arc::default(), ..self.dns.clone() };
        let dhcp = dhcp::Want { way: Arc::clone(&self.dhcp.way), ..dhcp::Want::default() };
        Self { mark: self.mark, dns, dhcp }
    }
}

/// What the servers have done, for people. Each counts in its own; nobody waits for it.
#[derive(Debug, Default)]
pub struct Counters {
    /// What guests were told.
    pub dhcp: dhcp::Book,
    /// Names.
    pub dns: Arc<dns::book::Book>,
}

/// One server. It owns its sockets: dropped, it leaves nothing open.
pub trait Server {
    /// Opens, closes and changes what it has for `want`, which may be as it was.
    fn bring(&mut self, want: &Want, poll: &Poll<'_>) -> io::Result<()>;

    /// Something has come at a descriptor that it watches by this token. There may be nothing after all.
    fn ready(&mut self, token: u32, poll: &Poll<'_>) -> io::Result<()>;

    /// When it has to do something though nothing comes; none: never.
    fn due(&self) -> Option<Instant> {
        None
    }

    /// It is that time, or later.
    fn tick(&mut self, _now: Instant, _poll: &Poll<'_>) -> io::Result<()> {
        Ok(())
    }
}

/// A server's name in the log, and how it begins.
pub type Kind = (&'static str, fn(&Arc<Counters>) -> Box<dyn Server>);

/// The servers that there are.
const KINDS: &[Kind] = &[
    ("name", |counters| Box::new(dns::Names::new(Arc::clone(&counters.dns)))),
    ("DHCP", dhcp::server::Server::begin),
];

/// How a server has its descriptors watched. One that is closed is watched no more.
pub struct Poll<'a> {
    epoll: &'a Epoll,
    /// Which of the servers.
    server: u32,
}

impl Poll<'_> {
    /// Tells the server by `ready(token)` while one of these is so.
    pub fn watch(&self, fd: impl AsFd, token: u32, events: EpollFlags) -> io::Result<()> {
        Ok(self.epoll.add(fd, EpollEvent::new(events, pack(self.server, token)))?)
    }

    /// The same, for other events than until now.
    pub fn change(&self, fd: impl AsFd, token: u32, events: EpollFlags) -> io::Result<()> {
        let mut event = EpollEvent::new(events, pack(self.server, token));
        Ok(self.epoll.modify(fd, &mut event)?)
    }
}

fn pack(server: u32, token: u32) -> u64 {
    u64::from(server) << 32 | u64::from(token)
}

fn unpack(data: u64) -> (usize, u32) {
    ((data >> 32) as usize, data as u32)
}

/// How long a socket is waited for that a guest is about to need: far longer than a thread takes to begin.
const PATIENCE: Duration = Duration::from_millis(200);

/// How long the thread waits for the next guest before it ends, with what servers keep open meanwhile.
const LINGER: Duration = Duration::from_secs(1);

/// What the bell's events bear: no server has so high a number.
const BELL: u64 = u64::MAX;

/// The way to the thread. Dropped, it ends the thread.
pub struct Servers {
    kinds: &'static [Kind],
    /// What was told last.
    told: Want,
    shared: Arc<Shared>,
}

struct Shared {
    slot: Mutex<Slot>,
    /// Told when the thread has done what was wanted.
    done: Condvar,
    bell: EventFd,
    /// How long the thread waits for the next guest.
    linger: Duration,
    counters: Arc<Counters>,
}

#[derive(Default)]
struct Slot {
    /// What is wanted now, until the thread has taken it.
    want: Option<Want>,
    /// Whether the thread is there.
    running: bool,
    /// Whether it is at what is wanted now.
    behind: bool,
    /// Whether it has opened what DHCP needs, and has not closed it.
    hears_dhcp: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Servers {
    /// None is there before a guest wants one.
    pub fn new() -> io::Result<Self> {
        Self::of(KINDS, LINGER)
    }

    fn of(kinds: &'static [Kind], linger: Duration) -> io::Result<Self> {
        let bell = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        let shared = Arc::new(Shared {
            slot: Mutex::default(),
            done: Condvar::new(),
            bell,
            linger,
            counters: Arc::default(),
        });
        Ok(Self { kinds, told: Want::default(), shared })
    }

    /// What they have done since guestnetd began.
    pub fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    /// This is wanted from now on. What comes later at a server's sockets is answered by it; only for
    /// sockets that are not open yet it is waited.
    pub fn bring(&mut self, want: Want) {
        if want == self.told {
            return;
        }
        let opens = !want.dns.gateways.is_subset(&self.told.dns.gateways);
        let joins = only_joins(&self.told, &want);
        self.told = want.clone();
        let mut slot = self.shared.lock();
        let joins = joins && slot.hears_dhcp;
        let starts = !slot.running && !want.is_nothing();
        slot.want = (slot.running || starts).then_some(want);
        slot.behind = slot.want.is_some();
        if starts {
            let (kinds, shared) = (self.kinds, Arc::clone(&self.shared));
            let spawned =
                std::thread::Builder::new().name("serve".into()).spawn(move || run(kinds, &shared));
            match spawned {
                Ok(_) => slot.running = true,
                Err(e) => {
                    log::error!("a thread for guests' servers cannot be started: {e}");
                    // Tried with the next reconcile.
                    self.told = Want::default();
                }
            }
        } else if slot.running && !joins {
            // It cannot be full: the thread empties it.
            let _ = self.shared.bell.write(1);
        }
        if opens && slot.running {
            let behind = |slot: &mut Slot| slot.behind && slot.running;
            drop(self.shared.done.wait_timeout_while(slot, PATIENCE, behind));
        }
    }
}

/// Whether guests join and nothing else is to be done: who serves looks at what is wanted before it
/// answers anybody, and need not run before (an attach would share its processor with it).
fn only_joins(old: &Want, new: &Want) -> bool {
    fn has_all<T: PartialEq>(old: &OrderedMap<IfIndex, T>, new: &OrderedMap<IfIndex, T>) -> bool {
        // Both are in order.
        let mut new = new.iter();
        old.iter().all(|one| new.any(|other| other == one))
    }
    !new.is_nothing()
        && old.frame() == new.frame()
        && has_all(&old.dns.guests, &new.dns.guests)
        && has_all(&old.dhcp.guests, &new.dhcp.guests)
}

impl Drop for Servers {
    fn drop(&mut self) {
        self.bring(Want::default());
    }
}

/// The thread. What it lacks itself (an epoll instance) it tries to get again, as a server does.
fn run(kinds: &[Kind], shared: &Shared) {
    let (mut want, mut failures) = (Want::default(), 0);
    while let Err(e) = serve(kinds, shared, &mut want) {
        log::error!("guests' servers begin again: {e}");
        std::thread::sleep(pause(failures));
        failures += 1;
    }
}

/// Ends when nobody has wanted a server for a while.
fn serve(kinds: &[Kind], shared: &Shared, want: &mut Want) -> io::Result<()> {
    // If it begins again it has no socket yet.
    shared.lock().hears_dhcp = false;
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    epoll.add(&shared.bell, EpollEvent::new(EpollFlags::EPOLLIN, BELL))?;
    let counters = &shared.counters;
    let begin = |(at, kind): (u32, &Kind)| Running::new(at, *kind, counters);
    let mut servers: Vec<_> = (0..).zip(kinds).map(begin).collect();
    let mut events = [EpollEvent::empty(); 64];
    let (mut first, mut ends) = (true, None);
    loop {
        // Before what has come is read: who is a guest by now is one, and who is none is none.
        let other = shared.lock().want.take();
        if first || other.is_some() {
            first = false;
            *want = other.unwrap_or_else(|| want.clone());
            servers.iter_mut().for_each(|server| server.bring(&epoll, want));
            let mut slot = shared.lock();
            slot.behind = slot.want.is_some();
            let hears = !want.dhcp.guests.is_empty();
            slot.hears_dhcp = hears || slot.hears_dhcp && want.is_nothing();
            drop(slot);
            shared.done.notify_all();
            ends = want.is_nothing().then(|| Instant::now() + shared.linger);
        }
        let due = servers.iter().filter_map(Running::due).chain(ends).min();
        let count = match epoll.wait(&mut events, timeout(due)) {
            Ok(count) => count,
            Err(nix::errno::Errno::EINTR) => 0,
            Err(e) => return Err(e.into()),
        };
        let events = events.get(..count).unwrap_or_default();
        if events.iter().any(|event| event.data() == BELL) {
            let _ = shared.bell.read();
        }
        if shared.lock().want.is_some() {
            // What has come at the same time is told again, to who serves by then.
            continue;
        }
        for event in events {
            let (at, token) = unpack(event.data());
            if let Some(server) = servers.get_mut(at) {
                server.with(&epoll, |server, poll| server.ready(token, poll));
            }
        }
        let now = Instant::now();
        for server in servers.iter_mut().filter(|server| server.due().is_some_and(|at| at <= now)) {
            server.on_time(&epoll, want, now);
        }
        if ends.is_some_and(|at| at <= now) {
            let mut slot = shared.lock();
            if slot.want.is_none() {
                (slot.running, slot.hears_dhcp) = (false, false);
                return Ok(());
            }
        }
    }
}

/// Until then, rounded up to a millisecond: a timer that rings early would ring twice.
fn timeout(due: Option<Instant>) -> EpollTimeout {
    let Some(due) = due else { return EpollTimeout::NONE };
    let wait = due.saturating_duration_since(Instant::now()) + Duration::from_micros(999);
    EpollTimeout::try_from(wait).unwrap_or(EpollTimeout::MAX)
}

/// How long a server that has failed so often waits.
fn pause(failures: u32) -> Duration {
    Duration::from_millis(100).saturating_mul(1 << failures.min(9)).min(Duration::from_secs(30))
}

/// A server, or when it begins again.
struct Running {
    at: u32,
    kind: Kind,
    counters: Arc<Counters>,
    server: Option<Box<dyn Server>>,
    /// Failures in a row.
    failures: u32,
    again: Option<Instant>,
}

impl Running {
    fn new(at: u32, kind: Kind, counters: &Arc<Counters>) -> Self {
        let server = Some(kind.1(counters));
        Self { at, kind, counters: Arc::clone(counters), server, failures: 0, again: None }
    }

    fn with(
        &mut self,
        epoll: &Epoll,
        work: impl FnOnce(&mut dyn Server, &Poll<'_>) -> io::Result<()>,
    ) -> bool {
        let Some(server) = &mut self.server else { return false };
        let Err(e) = work(server.as_mut(), &Poll { epoll, server: self.at }) else { return true };
        let pause = pause(self.failures);
        log::error!("guests' {} server begins again in {pause:?}: {e}", self.kind.0);
        self.failures = self.failures.saturating_add(1);
        self.server = None;
        self.again = Some(Instant::now() + pause);
        false
    }

    fn bring(&mut self, epoll: &Epoll, want: &Want) {
        self.with(epoll, |server, poll| server.bring(want, poll));
    }

    fn due(&self) -> Option<Instant> {
        self.again.or_else(|| self.server.as_ref()?.due())
    }

    fn on_time(&mut self, epoll: &Epoll, want: &Want, now: Instant) {
        if self.again.take().is_some() {
            self.server = Some(self.kind.1(&self.counters));
            self.bring(epoll, want);
        } else if self.with(epoll, |server, poll| server.tick(now, poll)) {
            // It has lived until something was due.
            self.failures = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::GuestNet;
    use crate::spec::{GuestName, GuestSpec, IfName, Mtu};
    use std::net::{Ipv4Addr, UdpSocket};
    use std::sync::atomic::{AtomicU32, Ordering};

    static BEGUN: AtomicU32 = AtomicU32::new(0);
    static FAILED: AtomicU32 = AtomicU32::new(0);
    static SERVED: AtomicU32 = AtomicU32::new(0);
    static HELD: AtomicU32 = AtomicU32::new(0);

    /// Opens a socket for each guest, at a port that is its index; fails when it hears `fail`, and stands still
    /// from `hold` on while HELD is 1.
    struct Toy(Vec<UdpSocket>);

    impl Server for Toy {
        fn bring(&mut self, want: &Want, poll: &Poll<'_>) -> io::Result<()> {
            self.0.clear();
            for (token, index) in (0..).zip(want.dns.guests.keys()) {
                let socket = UdpSocket::bind(("127.0.0.1", index.get() as u16))?;
                poll.watch(&socket, token, EpollFlags::EPOLLIN)?;
                self.0.push(socket);
            }
            Ok(())
        }

        fn ready(&mut self, token: u32, _: &Poll<'_>) -> io::Result<()> {
            let mut buffer = [0; 16];
            let (length, from) = self.0[token as usize].recv_from(&mut buffer)?;
            if &buffer[..length] == b"fail" {
                FAILED.fetch_add(1, Ordering::SeqCst);
                return Err(io::Error::other("it was asked to fail"));
            }
            if &buffer[..length] == b"hold" {
                HELD.store(1, Ordering::SeqCst);
                eventually("let go", || HELD.load(Ordering::SeqCst) == 2);
            }
            self.0[token as usize].send_to(&buffer[..length], from)?;
            Ok(())
        }
    }

    /// Has nothing to do but to be there, and to count by the clock.
    struct Clock(Instant);

    impl Server for Clock {
        fn bring(&mut self, _: &Want, _: &Poll<'_>) -> io::Result<()> {
            Ok(())
        }
        fn ready(&mut self, _: u32, _: &Poll<'_>) -> io::Result<()> {
            Ok(())
        }
        fn due(&self) -> Option<Instant> {
            Some(self.0)
        }
        fn tick(&mut self, now: Instant, _: &Poll<'_>) -> io::Result<()> {
            SERVED.fetch_add(1, Ordering::SeqCst);
            self.0 = now + Duration::from_millis(10);
            Ok(())
        }
    }

    const TOYS: &[Kind] = &[
        ("toy", |_| {
            BEGUN.fetch_add(1, Ordering::SeqCst);
            Box::new(Toy(Vec::new()))
        }),
        ("clock", |_| Box::new(Clock(Instant::now()))),
    ];

    fn want(ports: &[u32]) -> Want {
        let address = Ipv4Addr::new(172, 17, 3, 3);
        let (name, prefix) = ("box".into(), 16);
        let (gateway, way, servers) = (address, None, None);
        let guest = dns::Guest { name, address, gateway, prefix, way, servers, peers: None };
        let guests =
            ports.iter().map(|port| (IfIndex::of(*port), Arc::new(guest.clone()))).collect();
        let gateways = [[172, 17, 3, ports.len() as u8].into()].into();
        let dns = dns::Want { guests: Arc::new(guests), gateways, ..dns::Want::default() };
        Want { dns, ..Want::default() }
    }

    /// Who asks for addresses, too, by the indexes of their host ends.
    fn hearing(indexes: &[u32]) -> Want {
        let (name, wlan0) = (GuestName::new("box").unwrap(), IfName::new("wlan0").unwrap());
        let spec = GuestSpec::new(name, wlan0, None, [172, 17, 3, 2].into(), 16, -1).unwrap();
        let net = GuestNet::new(&spec, 0, [172, 17, 3, 3].into(), Mtu::ETHERNET);
        let net = Arc::new(net);
        let guests = indexes.iter().map(|index| (IfIndex::of(*index), Arc::clone(&net))).collect();
        let way = Arc::default();
        Want { dhcp: dhcp::Want { guests: Arc::new(guests), way }, ..Want::default() }
    }

    static BROUGHT: AtomicU32 = AtomicU32::new(0);

    /// Keeps one socket across all changes, and answers with the number of guests.
    struct Keeper(Option<UdpSocket>, u8);

    impl Server for Keeper {
        fn bring(&mut self, want: &Want, poll: &Poll<'_>) -> io::Result<()> {
            BROUGHT.fetch_add(1, Ordering::SeqCst);
            self.1 = want.dhcp.guests.len() as u8;
            if self.0.is_none() {
                let socket = UdpSocket::bind("127.0.0.1:4010")?;
                poll.watch(&socket, 0, EpollFlags::EPOLLIN)?;
                self.0 = Some(socket);
            }
            Ok(())
        }
        fn ready(&mut self, _: u32, _: &Poll<'_>) -> io::Result<()> {
            let Some(socket) = &self.0 else { return Ok(()) };
            let (_, from) = socket.recv_from(&mut [0; 16])?;
            socket.send_to(&[self.1], from)?;
            Ok(())
        }
    }

    const KEEPER: &[Kind] = &[("keeper", |_| Box::new(Keeper(None, 0)))];

    /// An attach does not wake the thread, which learns of the guest before it answers the next question.
    #[test]
    fn a_guest_that_joins_wakes_nobody_until_it_asks() {
        crate::effects::kernel::testing::in_a_netns(|_| {
            crate::effects::kernel::testing::ip("link set lo up");
            let asks = UdpSocket::bind("127.0.0.1:0").unwrap();
            asks.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            let heard = || {
                let mut buffer = [0; 16];
                asks.send_to(b"?", "127.0.0.1:4010").unwrap();
                asks.recv(&mut buffer).map(|_| buffer[0]).unwrap()
            };
            let brought = || BROUGHT.load(Ordering::SeqCst);
            let mut servers = Servers::of(KEEPER, Duration::from_secs(60)).unwrap();
            let shared = Arc::clone(&servers.shared);
            let are_at = |number| brought() == number && !shared.lock().behind;
            servers.bring(hearing(&[5]));
            eventually("the first guest", || are_at(1));
            servers.bring(hearing(&[5, 6]));
            servers.bring(hearing(&[5, 6, 7]));
            std::thread::sleep(Duration::from_millis(50));
            assert_eq!(brought(), 1, "nobody has asked");
            assert_eq!(heard(), 3);
            assert_eq!(brought(), 2);
            // Who leaves is forgotten at once, and who comes back meanwhile finds the socket.
            servers.bring(hearing(&[]));
            eventually("all have left", || are_at(3));
            servers.bring(hearing(&[8]));
            std::thread::sleep(Duration::from_millis(50));
            assert_eq!((brought(), heard()), (3, 1));
            // What is not about guests is told at once.
            let before = brought();
            servers.bring(Want { mark: Some(1), ..hearing(&[8, 9, 10]) });
            eventually("another mark", || brought() == before + 1);
            // Nor is a guest that has changed one that joins.
            let mut want = Want { mark: Some(1), ..hearing(&[8, 9, 10]) };
            let guests = Arc::make_mut(&mut want.dhcp.guests);
            let first = guests.get(&IfIndex::of(8)).expect("the first guest");
            let other = GuestNet { mtu: Mtu::new(1400).unwrap(), ..(**first).clone() };
            guests.insert(IfIndex::of(8), Arc::new(other));
            servers.bring(want);
            eventually("another MTU", || brought() == before + 2);
        });
    }

    fn eventually(what: &str, holds: impl Fn() -> bool) {
        let until = Instant::now() + Duration::from_secs(20);
        while !holds() {
            assert!(Instant::now() < until, "{what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn echoes(port: u16) -> bool {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        socket.connect(("127.0.0.1", port)).unwrap();
        let mut buffer = [0; 16];
        socket.send(b"hello").is_ok() && socket.recv(&mut buffer).is_ok_and(|length| length == 5)
    }

    #[test]
    fn a_server_fails_alone_and_comes_back_and_the_last_guest_ends_all() {
        crate::effects::kernel::testing::in_a_netns(|_| {
            crate::effects::kernel::testing::ip("link set lo up");
            let mut servers = Servers::of(TOYS, LINGER).unwrap();
            let running = |servers: &Servers| servers.shared.lock().running;
            servers.bring(Want::default());
            assert!(!running(&servers), "nobody wants anything");
            servers.bring(want(&[4001]));
            assert!(echoes(4001), "the first guest, at once");
            servers.bring(want(&[4001, 4002]));
            assert!(echoes(4002), "the second guest");
            assert!(echoes(4001));

            let (before, clock) = (BEGUN.load(Ordering::SeqCst), SERVED.load(Ordering::SeqCst));
            UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"fail", "127.0.0.1:4001").unwrap();
            eventually("the failure", || FAILED.load(Ordering::SeqCst) == 1);
            eventually("it is back", || echoes(4001) && echoes(4002));
            assert_eq!(BEGUN.load(Ordering::SeqCst), before + 1);
            eventually("the other one", || SERVED.load(Ordering::SeqCst) > clock);

            // Who is none any more when the thread comes to what has been asked meanwhile.
            let asks = UdpSocket::bind("127.0.0.1:0").unwrap();
            asks.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
            UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"hold", "127.0.0.1:4002").unwrap();
            eventually("it stands still", || HELD.load(Ordering::SeqCst) == 1);
            servers.bring(want(&[4002]));
            asks.send_to(b"hello", "127.0.0.1:4001").unwrap();
            HELD.store(2, Ordering::SeqCst);
            assert!(asks.recv(&mut [0; 16]).is_err(), "a guest that is gone is answered");
            assert!(!echoes(4001));
            servers.bring(Want::default());
            eventually("all are gone", || !running(&servers));
            eventually("its port is free", || UdpSocket::bind("127.0.0.1:4002").is_ok());
            servers.bring(want(&[4002]));
            eventually("again", || echoes(4002));
            let shared = Arc::clone(&servers.shared);
            drop(servers);
            eventually("the way to it is gone", || !shared.lock().running);
        });
    }
}
