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

//! Tracked connections that no longer fit: of an address that the uplink has no more, to a resolver
//! that was replaced, of a guest that is stopped or gone, and those that no NAT has touched.
//!
//! Reading the kernel's table takes long when it is full (262 144 connections: half a second), so a
//! thread of its own does it; nobody who holds the daemon's lock waits for it.

use crate::effects::kernel::conntrack::{self, Ends, Stay};
use crate::effects::kernel::netlink::Netlink;
use crate::error::KernelError;
use crate::model::ruleset::{GuestSubnet, Limits};
use crate::model::world::World;
use crate::ordered::{IntoOrdered, OrderedSet};
use std::net::Ipv4Addr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

/// What guests' connections leave with.
#[derive(Debug)]
pub(crate) struct Connections {
    /// The uplink's addresses, as they were when there was one last: several where the kernel spreads
    /// connections.
    sources: OrderedSet<Ipv4Addr>,
    forgetter: Forgetter,
}

impl Connections {
    pub(crate) fn new(world: &World, forgetter: Forgetter) -> Self {
        Self { sources: sources(world), forgetter }
    }

    /// Connections that left with an address that the uplink has no more would go on with it, to
    /// nobody's use. An address that comes back finds its own.
    pub(crate) fn reconcile(&mut self, world: &World) {
        if !world.uplink.usable() {
            return;
        }
        let before = std::mem::replace(&mut self.sources, sources(world));
        for old in before.difference(&self.sources) {
            self.forgetter.forget(Unfit::LeftWith(*old, subnets(world)));
        }
    }

    /// After a guest's link had another name for a moment, or was a bridge's port.
    pub(crate) fn met_no_rule(&self, address: Ipv4Addr) {
        self.forgetter.forget(Unfit::Unruled(address));
    }

    /// The address that has opened most connections, as they were counted last. They are counted again, for
    /// whoever asks later.
    pub(crate) fn busiest(&self) -> Option<(Ipv4Addr, usize)> {
        self.forgetter.busiest()
    }

    /// Guests have opened many: who has more than may stay loses those, soon.
    pub(crate) fn many_opened(&self, world: &World, limits: &Limits) {
        let stay = Stay {
            closed: usize::try_from(limits.closed).unwrap_or(usize::MAX),
            others: usize::try_from(limits.at_a_time).unwrap_or(usize::MAX),
        };
        self.forgetter.reduce(Excess { of: subnets(world), stay });
    }

    /// Guests that are gone leave theirs behind: for five days, in a table that all share.
    pub(crate) fn guests_gone(&self, addresses: Vec<Ipv4Addr>) {
        addresses.into_iter().for_each(|address| self.forgetter.forget(Unfit::Of(address)));
    }

    /// guestnetd ends: nobody knows later what was left to forget.
    pub(crate) fn finish(&self) {
        let waiting = std::mem::take(&mut self.forgetter.0.lock().waiting);
        if !waiting.is_empty() {
            forget(&self.forgetter.0, &waiting);
        }
    }

    /// Forgets those of an address that another guest had, or that a guest has had, before it returns.
    pub(crate) fn forget_address(&self, address: Ipv4Addr) -> Result<(), KernelError> {
        self.forgetter.0.forget_address(address)
    }

    /// Whether those of an address were to be forgotten and are not yet. The caller does that itself:
    /// whoever has the address next must not lose connections of its own.
    pub(crate) fn take_over(&self, address: Ipv4Addr) -> bool {
        self.forgetter.take_over(address)
    }
}

/// What guests' connections leave with.
fn sources(world: &World) -> OrderedSet<Ipv4Addr> {
    world.uplink.address.into_iter().chain(world.uplink.sources().into_values()).into_set()
}

/// The subnets that guests have.
pub(super) fn subnets(world: &World) -> Vec<GuestSubnet> {
    world.guests.leases.subnets().collect()
}

/// Connections that no longer fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    /// Guests', that left with this address.
    LeftWith(Ipv4Addr, Vec<GuestSubnet>),
    /// Guests' questions to their gateway that this resolver does not answer: who asks again from the
    /// same port would be answered by the one before it, or by nobody.
    Questions(Vec<GuestSubnet>, Option<Ipv4Addr>),
    /// Guests' questions to their gateway that were led on: to a resolver, or to the forwarder's port. The next ones
    /// are led elsewhere.
    Led(Vec<GuestSubnet>),
    /// All that this guest has opened. With those of a stopped one go the answers that it would still
    /// receive.
    Of(Ipv4Addr),
    /// Guests' that began while our source NAT was gone. A connection is bound once: its packets would
    /// leave with the guest's own address as long as it lasts, whatever the rules say.
    Untranslated(Vec<GuestSubnet>),
    /// Of this guest, from it or to it, that may have met no rule of ours, nor any NAT: they would pass
    /// as replies from now on.
    Unruled(Ipv4Addr),
}

impl Unfit {
    /// Whether some milliseconds more do not matter. The others keep guests from who would answer them.
    fn can_wait(&self) -> bool {
        matches!(self, Self::Of(_) | Self::Untranslated(_))
    }

    fn address(&self) -> Option<Ipv4Addr> {
        match self {
            Self::Of(address) => Some(*address),
            _ => None,
        }
    }

    fn is(&self, ends: &Ends) -> bool {
        let subnet = |all: &[GuestSubnet]| {
            all.iter().find(|s| s.subnet.contains(ends.from) && s.gateway != ends.from).copied()
        };
        match self {
            Self::LeftWith(address, all) => ends.answered_to == *address && subnet(all).is_some(),
            Self::Questions(all, resolver) => {
                let translated = ends.to != ends.answered_by;
                translated
                    && *resolver != Some(ends.answered_by)
                    && subnet(all).is_some_and(|s| s.gateway == ends.to)
            }
            Self::Led(all) => {
                let [asked, answering] = ends.ports;
                let translated = ends.to != ends.answered_by || asked != answering;
                translated && subnet(all).is_some_and(|s| s.gateway == ends.to)
            }
            Self::Of(address) => ends.from == *address,
            // What the device itself answers never meets it.
            Self::Untranslated(all) => {
                ends.answered_to == ends.from
                    && subnet(all).is_some_and(|s| s.gateway != ends.answered_by)
            }
            Self::Unruled(address) => {
                let untouched = ends.answered_to == ends.from && ends.answered_by == ends.to;
                untouched && [ends.from, ends.to].contains(address)
            }
        }
    }

    /// In words, behind a number of connections.
    fn what(&self) -> String {
        match self {
            Self::LeftWith(address, _) => format!("of the uplink's address {address}"),
            Self::Questions(..) => "to the resolver".to_owned(),
            Self::Led(_) => "that asked for names elsewhere".to_owned(),
            Self::Of(address) => format!("of the guest with {address}"),
            Self::Untranslated(_) => "that no source NAT had touched".to_owned(),
            Self::Unruled(address) => format!("of {address} that may have met no rule"),
        }
    }
}

/// Connections of guests' beyond what may stay.
#[derive(Clone, Debug)]
struct Excess {
    of: Vec<GuestSubnet>,
    stay: Stay,
}

/// Who opens many has a thread of guestnetd's read the table over and over: that rests so many times as long as it
/// took.
const REST: u32 = 3;

/// How often connections are counted at most.
const COUNT_EVERY: Duration = Duration::from_secs(10);

/// How long the thread waits for more before it ends: most guests that go are soon followed by others.
const LINGER: Duration = Duration::from_secs(1);

/// How long it leaves what can wait: a start or a detach comes to its end first, on a device with few CPUs,
/// and more of the kind may come.
const PAUSE: Duration = Duration::from_millis(20);

/// The thread that forgets connections; it ends when there was nothing to do for a while.
#[derive(Clone, Debug, Default)]
pub(crate) struct Forgetter(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Told when there is something to do.
    due: Condvar,
    /// Told whenever something is done.
    done: Condvar,
    /// Kept: where a table of nf_tables has just been changed, a close of such a socket waits until the
    /// kernel has cleaned up after that, for 8 ms and more, and whoever changes one then waits for it
    /// (nft_rcv_nl_event()).
    socket: Mutex<Option<Netlink>>,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<Unfit>,
    in_work: Vec<Unfit>,
    running: bool,
    /// Whether they are to be counted, too, and when they were last, with who had most.
    count: bool,
    counted: Option<(Instant, Option<(Ipv4Addr, usize)>)>,
    /// What is to be reduced, and not before when.
    excess: Option<Excess>,
    rests_until: Option<Instant>,
}

/// What the thread does in one go.
struct Work {
    unfit: Vec<Unfit>,
    count: bool,
    excess: Option<Excess>,
}

impl State {
    /// How long what is to be reduced has to wait yet.
    fn rest(&self) -> Duration {
        let until = self.rests_until.filter(|_| self.excess.is_some());
        until.map_or(Duration::ZERO, |at| at.saturating_duration_since(Instant::now()))
    }
}

impl Forgetter {
    /// Has these forgotten, soon.
    pub(super) fn forget(&self, unfit: Unfit) {
        let mut state = self.0.lock();
        if !state.waiting.contains(&unfit) {
            state.waiting.push(unfit);
        }
        self.begin(state);
    }

    fn busiest(&self) -> Option<(Ipv4Addr, usize)> {
        let mut state = self.0.lock();
        let counted = state.counted;
        let fresh = counted.is_some_and(|(at, _)| at.elapsed() <= COUNT_EVERY);
        if !fresh && !state.count {
            state.count = true;
            self.begin(state);
        }
        counted?.1
    }

    fn reduce(&self, excess: Excess) {
        let mut state = self.0.lock();
        state.excess = Some(excess);
        self.begin(state);
    }

    fn begin(&self, mut state: MutexGuard<'_, State>) {
        if state.running {
            self.0.due.notify_one();
            return;
        }
        let shared = Arc::clone(&self.0);
        let spawned =
            std::thread::Builder::new().name("conntrack".into()).spawn(move || work(&shared));
        match spawned {
            Ok(_) => state.running = true,
            // They are tried with the next.
            Err(e) => log::warn!("connections stay that no longer fit: no thread: {e}"),
        }
    }

    fn take_over(&self, address: Ipv4Addr) -> bool {
        let mut state = self.0.lock();
        let of = Unfit::Of(address);
        while state.in_work.contains(&of) {
            state = self.0.done.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let before = state.waiting.len();
        state.waiting.retain(|unfit| *unfit != of);
        state.waiting.len() != before
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// By the socket that is kept; by another one while that one reads all connections.
    fn ask<T>(
        &self,
        what: impl FnOnce(&Netlink) -> Result<T, KernelError>,
    ) -> Result<T, KernelError> {
        let mut socket = match self.socket.try_lock() {
            Ok(socket) => socket,
            Err(TryLockError::Poisoned(socket)) => socket.into_inner(),
            Err(TryLockError::WouldBlock) => return what(&Netlink::open_netfilter()?),
        };
        let kept = match socket.take() {
            Some(kept) => kept,
            None => Netlink::open_netfilter()?,
        };
        let answer = what(&kept);
        // What came of one that failed may still come.
        *socket = answer.is_ok().then_some(kept);
        answer
    }

    /// What is to be done, as soon as there is something; nothing after a while without.
    fn next(&self) -> Option<Work> {
        let ends = Instant::now() + LINGER;
        let mut state = self.lock();
        loop {
            let rest = state.rest();
            let reduces = state.excess.is_some() && rest.is_zero();
            if !state.waiting.is_empty() || state.count || reduces {
                let can_wait = |state: &mut State| {
                    !reduces && !state.count && state.waiting.iter().all(Unfit::can_wait)
                };
                let waited = self.due.wait_timeout_while(state, PAUSE, can_wait);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
                let excess = if reduces { state.excess.take() } else { None };
                state.in_work = std::mem::take(&mut state.waiting);
                return Some(Work { unfit: state.in_work.clone(), count: state.count, excess });
            }
            let left = ends.saturating_duration_since(Instant::now());
            if state.excess.is_none() && left.is_zero() {
                state.running = false;
                return None;
            }
            let wait = if state.excess.is_some() { rest } else { left };
            let waited = self.due.wait_timeout(state, wait);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn forget_address(&self, address: Ipv4Addr) -> Result<(), KernelError> {
        self.ask(|netlink| conntrack::forget(netlink, address))
    }
}

fn work(shared: &Shared) {
    while let Some(Work { unfit, count, excess }) = shared.next() {
        if !unfit.is_empty() {
            forget(shared, &unfit);
            // Who takes an address over waits for this, and not for what follows: that reads all connections.
            shared.lock().in_work.clear();
            shared.done.notify_all();
        }
        let rests_until = excess.map(|excess| {
            let began = Instant::now();
            reduce(shared, &excess);
            Instant::now() + began.elapsed() * REST
        });
        let busiest = count.then(|| {
            let counts = shared.ask(conntrack::count).unwrap_or_default();
            counts.into_iter().max_by_key(|(_, has)| *has)
        });
        let mut state = shared.lock();
        state.rests_until = rests_until.or(state.rests_until);
        if let Some(busiest) = busiest {
            state.count = false;
            state.counted = Some((Instant::now(), busiest));
        }
    }
}

fn reduce(shared: &Shared, excess: &Excess) {
    let guests = |ends: &Ends| {
        excess.of.iter().any(|s| s.subnet.contains(ends.from) && s.gateway != ends.from)
    };
    match shared.ask(|netlink| conntrack::reduce(netlink, &guests, excess.stay)) {
        Ok(gone) => {
            for (address, connections) in gone {
                // A guest decides how often.
                log::debug!("{address} opens many connections: {connections} of its forgotten");
            }
        }
        Err(e) => log::warn!("connections of guests stay that are closed: {e}"),
    }
}

/// Most guests whose connections are forgotten by a message for each. To list all, the kernel locks each slot of
/// its table and lets nobody else run: 9 ms for 262144 of them, where a message takes 0.2. The holder of the
/// RTNL waits for that, and with it every attach (synchronize_rcu_expedited()).
const FEW: usize = 64;

/// One message for each of a few guests; else, or where the kernel cannot do that, all are read once.
fn forget(shared: &Shared, unfit: &[Unfit]) {
    let addresses = unfit.iter().filter_map(Unfit::address).into_set();
    let others: Vec<_> = unfit.iter().filter(|one| one.address().is_none()).collect();
    if others.is_empty() && addresses.len() <= FEW && forget_by_address(shared, &addresses) {
        return;
    }
    let such =
        |ends: &Ends| addresses.contains(&ends.from) || others.iter().any(|unfit| unfit.is(ends));
    let what: Vec<_> = others.iter().map(|unfit| unfit.what()).collect();
    let gone = (!addresses.is_empty()).then(|| match addresses.len() {
        1 => "of 1 guest".to_owned(),
        guests => format!("of {guests} guests"),
    });
    let what = what.into_iter().chain(gone).collect::<Vec<_>>().join(", ");
    match shared.ask(|netlink| conntrack::forget_all(netlink, &such)) {
        Ok(0) => {}
        Ok(1) => log::info!("1 connection {what} forgotten"),
        Ok(n) => log::info!("{n} connections {what} forgotten"),
        Err(e) => log::warn!("connections {what} stay: {e}"),
    }
}

/// False: the kernel cannot.
fn forget_by_address(shared: &Shared, addresses: &OrderedSet<Ipv4Addr>) -> bool {
    addresses.iter().all(|address| {
        let done = shared.ask(|netlink| conntrack::forget_at_once(netlink, *address));
        done.unwrap_or_else(|e| {
            log::warn!("the connections of {address}, which no guest has, stay: {e}");
            true
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUEST: Ipv4Addr = Ipv4Addr::new(172, 17, 3, 3);
    const GATEWAY: Ipv4Addr = Ipv4Addr::new(172, 17, 3, 2);
    const SERVER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 80);
    const UPLINK: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

    fn ends(from: Ipv4Addr, to: Ipv4Addr, answered_by: Ipv4Addr, answered_to: Ipv4Addr) -> Ends {
        Ends { from, to, answered_by, answered_to, ports: [53, 53] }
    }

    #[test]
    fn what_no_nat_has_touched_does_not_fit_unless_it_is_the_devices() {
        let unfit = Unfit::Untranslated(GuestSubnet::original().into_iter().collect());
        assert!(unfit.is(&ends(GUEST, SERVER, SERVER, GUEST)));
        assert!(unfit.is(&ends(GUEST, GATEWAY, SERVER, GUEST)), "its question, with DNAT alone");
        assert!(!unfit.is(&ends(GUEST, GATEWAY, GATEWAY, GUEST)), "the device itself answers");
        assert!(!unfit.is(&ends(GUEST, SERVER, SERVER, UPLINK)));
        assert!(!unfit.is(&ends(GATEWAY, GUEST, GUEST, GATEWAY)), "the device's own to a guest");
        assert!(!unfit.is(&ends(UPLINK, SERVER, SERVER, UPLINK)), "the device's own");
    }

    #[test]
    fn questions_to_the_resolver_are_told_from_others() {
        let all: Vec<_> = GuestSubnet::original().into_iter().collect();
        let unfit = Unfit::Questions(all.clone(), None);
        assert!(unfit.is(&ends(GUEST, GATEWAY, SERVER, UPLINK)));
        let here = Unfit::Questions(all, Some(SERVER));
        assert!(!here.is(&ends(GUEST, GATEWAY, SERVER, UPLINK)), "asked since it was named");
        assert!(!unfit.is(&ends(GUEST, SERVER, SERVER, UPLINK)));
        assert!(!unfit.is(&ends(GUEST, GATEWAY, GATEWAY, GUEST)));
    }

    #[test]
    fn questions_that_are_led_elsewhere_are_the_forwarders_too() {
        let led = Unfit::Led(GuestSubnet::original().into_iter().collect());
        let here = ends(GUEST, GATEWAY, GATEWAY, GUEST);
        assert!(led.is(&Ends { ports: [53, 30_053], ..here }), "the forwarder's");
        assert!(led.is(&ends(GUEST, GATEWAY, SERVER, UPLINK)));
        assert!(!led.is(&here), "who answers at the gateway");
        assert!(!led.is(&Ends { ports: [0, 0], ..here }), "a ping");
        assert!(!led.is(&ends(GUEST, SERVER, SERVER, UPLINK)));
    }

    #[test]
    fn who_has_most_is_known_once_it_was_counted() {
        let forgetter = Forgetter::default();
        assert_eq!(forgetter.busiest(), None);
        let at = Instant::now();
        forgetter.0.lock().counted = Some((at, Some((GUEST, 7))));
        assert_eq!(forgetter.busiest(), Some((GUEST, 7)));
    }

    #[test]
    fn whoever_has_an_address_next_takes_over_what_waits() {
        let forgetter = Forgetter::default();
        // Nothing is forgotten meanwhile.
        forgetter.0.lock().running = true;
        forgetter.forget(Unfit::Of(GUEST));
        forgetter.forget(Unfit::Of(GUEST));
        assert_eq!(forgetter.0.lock().waiting.len(), 1);
        assert!(forgetter.take_over(GUEST));
        assert!(!forgetter.take_over(GUEST));
    }

    #[test]
    fn guests_that_went_are_forgotten_together_whether_by_messages_or_by_a_list() {
        use crate::effects::kernel::conntrack::tests::{connect, count};
        use crate::effects::kernel::testing::in_a_netns;
        let guest = |number: usize| Ipv4Addr::new(172, 17, 4, number as u8);
        for gone in [2, FEW, FEW + 1] {
            in_a_netns(move |_| {
                let netlink = Netlink::open_netfilter().unwrap();
                (0..=gone).for_each(|number| connect(&netlink, guest(number), 1000));
                let unfit: Vec<_> = (0..gone).map(|number| Unfit::Of(guest(number))).collect();
                forget(&Shared::default(), &unfit);
                let left: Vec<_> = (0..=gone).filter(|number| count(guest(*number)) > 0).collect();
                assert_eq!(left, [gone], "who is still there keeps its connection");
            });
        }
    }
}
