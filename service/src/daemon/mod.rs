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

//! The daemon: all the state, and every decision. Whoever has a request enters it with a thread of
//! its own, one at a time: to hand the request to another thread would cost an attach more than
//! most of its steps. A thread of the owner's own follows what the kernel announces (`reconcile/event_loop.rs`).

mod calls;
pub mod executor;
mod guest;
mod health;
mod reconcile;
mod report;
mod resource;
mod start;

pub use report::{
    Attached, DeviceReport, GuestEvent, GuestReport, Info, Layer, LayerReport, LayerState, Notice,
};
pub use start::{Config, StartError};

use crate::alloc::leases::Leases;
use crate::error::Error;
use crate::firewall::{Firewall, Ruleset};
use crate::kernel::link_deleter::Deleter;
use crate::kernel::netlink::monitor::Monitor;
use crate::kernel::netlink::Netlink;
use crate::kernel::netns::target::Target;
use crate::kernel::netns::Home;
use crate::model::policy_rules::{Lead, Rule, Shape};
use crate::model::subnet_conflict::DevicePrefix;
use crate::model::Step;
use crate::platform::ndc::Ndc;
use crate::spec::{GuestName, GuestSpec, IfName, VpnPolicy};
use crate::store::{ForwardingRecord, ResolversRecord, Store};
use crate::uplink::Uplink;
use calls::Leaving;
use guest::mtu;
use reconcile::debounce::Due;
use reconcile::{backoff, retry};
use resource::netd;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};
use tokio::sync::{oneshot, Notify};

/// A request for a network.
#[derive(Debug)]
pub struct AttachRequest {
    /// What the guest gets.
    pub spec: GuestSpec,
    /// Where it is.
    pub target: Target,
    /// Who asks.
    pub uid: u32,
    /// When the call arrived.
    pub arrived: Instant,
}

/// The way to the owner, for threads of any kind.
#[derive(Clone)]
pub struct Handle {
    /// None once guestnetd ends.
    owner: Arc<Mutex<Option<Daemon>>>,
    deleter: Deleter,
    /// Told when somebody waits for a link to be gone.
    detaching: Arc<Notify>,
    /// Told when something is left to do for the thread that follows.
    restless: Arc<Notify>,
    /// Whether guestnetd ends: who waits for the owner does not get it any more.
    ending: Arc<AtomicBool>,
}

/// The end of a detach.
type Gone = Sender<Result<(), Error>>;

impl Handle {
    fn enter<T>(&self, work: impl FnOnce(&mut Daemon) -> Result<T, Error>) -> Result<T, Error> {
        // Only a debug build gets past a panic with the lock held.
        let mut owner = self.owner.lock().unwrap_or_else(PoisonError::into_inner);
        match owner.as_mut().filter(|_| !self.ending.load(Ordering::Relaxed)) {
            Some(owner) => work(owner),
            None => Err(Error::Ending),
        }
    }

    /// The same, for threads other than the one that follows: it has to know of what is left to do.
    fn call<T>(&self, work: impl FnOnce(&mut Daemon) -> Result<T, Error>) -> Result<T, Error> {
        self.enter(|owner| {
            let result = work(owner);
            if owner.is_restless() {
                self.restless.notify_one();
            }
            result
        })
    }

    /// Gives a guest its network.
    pub fn attach(&self, request: AttachRequest) -> Result<Attached, Error> {
        // Before the owner is entered: who waits for it does not wait for deletes after that.
        let _first = self.deleter.hold();
        self.call(|owner| owner.attach(request))
    }

    /// Says what attach would do.
    pub fn plan(&self, request: AttachRequest) -> Result<Vec<Step>, Error> {
        self.call(|owner| owner.plan(request))
    }

    /// Says how it would be after an attach.
    pub fn check(&self, request: AttachRequest) -> Result<Vec<LayerReport>, Error> {
        self.call(|owner| owner.check(request))
    }

    /// Takes a guest's network away, and waits until it cannot be seen any more.
    pub fn detach(&self, name: GuestName) -> Result<(), Error> {
        let (gone, end) = std::sync::mpsc::channel();
        self.call(|owner| owner.detach(name, gone))?;
        self.detaching.notify_one();
        wait_for(&end)
    }

    /// Takes all guests' networks away; gives their number.
    pub fn detach_all(&self) -> Result<usize, Error> {
        let (gone, end) = std::sync::mpsc::channel();
        let guests = self.call(|owner| Ok(owner.detach_all(&gone)))?;
        drop(gone);
        self.detaching.notify_one();
        for _ in 0..guests {
            wait_for(&end)?;
        }
        Ok(guests)
    }

    /// All guests, by name; without their timelines.
    pub fn list(&self) -> Result<Vec<Attached>, Error> {
        self.call(|owner| {
            owner.settle();
            let short = |g| Attached { timeline: Vec::new(), ..owner.seen(g) };
            Ok(owner.guests.values().map(short).collect())
        })
    }

    /// One guest.
    pub fn get(&self, name: &GuestName) -> Result<Option<Attached>, Error> {
        self.call(|owner| {
            owner.settle();
            Ok(owner.guests.get(name).map(|g| owner.seen(g)))
        })
    }

    /// Why there is, or is no, internet.
    pub fn status(&self, name: Option<GuestName>) -> Result<DeviceReport, Error> {
        self.call(|owner| owner.status(name))
    }

    /// Names the resolvers that are to be used behind an uplink; none: those that are found.
    pub fn set_resolvers(&self, uplink: IfName, servers: Vec<Ipv4Addr>) -> Result<(), Error> {
        self.call(|owner| owner.set_resolvers(uplink, servers))
    }

    /// What this guestnetd is.
    pub fn info(&self) -> Result<Info, Error> {
        self.call(|owner| Ok(owner.info()))
    }

    /// The packet filter's rules, as text.
    pub fn rules(&self) -> Result<String, Error> {
        self.call(|owner| Ok(owner.firewall.text(&owner.ruleset)))
    }

    /// Ends; guests stay as they are. Whoever asks later is told so.
    pub fn end(&self) {
        self.ending.store(true, Ordering::Relaxed);
        let mut owner = self.owner.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mut owner) = owner.take() {
            owner.end();
        }
    }
}

fn wait_for(end: &Receiver<Result<(), Error>>) -> Result<(), Error> {
    end.recv().unwrap_or(Err(Error::Ending))
}

/// All the state there is.
pub struct Daemon {
    config: Config,
    home: Home,
    device: Netlink,
    monitor: Monitor,
    deleter: Deleter,
    firewall: Firewall,
    firewall_reason: String,
    /// What the firewall was last set to.
    ruleset: Ruleset,
    /// Why it could not be set to what it is to be.
    firewall_error: Option<String>,
    /// Whether that was a program that hangs: no other is run before it is tried again.
    firewall_stuck: bool,
    /// What others have taken from it and could not be put back yet.
    firewall_lacks: Option<String>,
    uplink: Uplink,
    /// How the device routes.
    shape: Shape,
    /// Its policy-routing rules, as they were read last.
    rules: Vec<Rule>,
    /// Those of ours, as they are to be.
    leads: Vec<Lead>,
    /// Whether a VPN is up that nobody may go around.
    lockdown: bool,
    /// Guests that do not simply follow the uplink, by their host ends.
    own_ways: BTreeMap<IfName, VpnPolicy>,
    /// The address that guests' packets left with last.
    source: Option<Ipv4Addr>,
    /// What callers have said of resolvers.
    resolvers: ResolversRecord,
    /// When the file of the device's own resolvers was written, as it was read last.
    resolv_written: Option<SystemTime>,
    /// The way to netd's forwarding switch, where that is used.
    ndc: Option<Ndc>,
    /// What is asked of netd.
    netd: netd::Netd,
    /// Whether guests wait for forwarding that could not be had.
    unforwarded: bool,
    /// When what failed is to be tried again.
    retry: retry::Retry,
    /// What others keep taking away.
    fights: backoff::Fights,
    /// Whether a guest has gone whose rules nobody else needs.
    untidy: bool,
    /// Indexes of interfaces that have a table of ours.
    own_tables: BTreeSet<u32>,
    /// What is to be looked at in the next pass.
    due: Due,
    last_pass: Option<Instant>,
    /// When everything was last compared with what it is to be.
    last_check: Instant,
    /// How guests follow the uplink's MTU.
    mtus: mtu::Mtus,
    store: Store,
    forwarding: ForwardingRecord,
    /// What the forwarding switch was last read or announced as.
    forwards: bool,
    /// What we have set the forwarding switch to and the kernel has not announced yet.
    switched: VecDeque<bool>,
    guests: BTreeMap<GuestName, Attached>,
    /// Guests whose link is being deleted.
    leaving: BTreeMap<GuestName, Leaving>,
    /// Whose link has this index; also while it is leaving.
    links: HashMap<u32, GuestName>,
    /// Slots of links that are ours by their marks and that nothing is known of, by their index.
    strays: BTreeMap<u32, u32>,
    /// What guests have, also while they are leaving.
    leases: Leases,
    /// Which name had an address last: its connections may still be tracked.
    holders: BTreeMap<Ipv4Addr, GuestName>,
    /// What the device uses for itself; none when that may have changed.
    prefixes: Option<Vec<DevicePrefix>>,
    notify: Box<dyn FnMut(Notice) + Send>,
    /// Dropped with the owner, which ends the thread that follows.
    _alive: oneshot::Sender<()>,
}

impl Daemon {
    /// A slot is one name's: who had it before is forgotten.
    fn remember_slot(&mut self, name: &GuestName, slot: u32) {
        if let Some(other) = self.leases.slots.remember(name, slot) {
            self.store.forget(&other);
        }
    }

    /// A guest as a caller sees it: with the uplink's state.
    fn seen(&self, guest: &Attached) -> Attached {
        Attached { waiting: !self.uplink.usable(), ..guest.clone() }
    }

    fn info(&self) -> Info {
        Info {
            uplink: self.config.uplink.to_string(),
            routing: self.shape.name(),
            firewall: self.firewall.backend(),
            firewall_reason: self.firewall_reason.clone(),
            state_dir: self.store.dir().to_owned(),
            guests: self.guests.len(),
            owns_forwarding: self.forwarding.ours,
        }
    }

    /// Leaves the guests as they are. Without guests, leaves nothing at all.
    fn end(&mut self) {
        if self.guests.is_empty() && self.leaving.is_empty() && self.strays.is_empty() {
            self.remove_leads();
            if let Err(e) = self.firewall.clear() {
                log::error!("the packet filter could not be taken away: {e}");
            }
        } else {
            log::info!("ending; {} guests keep their network", self.guests.len());
        }
    }
}
