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

//! The daemon: all the state, and every decision. A request enters it with its own thread, one at a
//! time: to hand it to another thread would cost an attach more than most of its steps. A thread of
//! the daemon's own follows what the kernel announces (`event_loop.rs`).

mod adopt;
mod calls;
mod event_loop;
mod guest;
mod health;
mod names;
mod reconcile;
mod recover;
mod report;
mod resolvers;
mod start;
mod state;

pub use crate::model::guest_table::Attached;
use crate::model::if_index::IfIndex;
pub use crate::model::layer::{Layer, LayerReport, LayerState, Verdict};
pub use calls::update::UpdateRequest;
pub use report::{By, DeviceReport, DnsReport, GuestEvent, GuestReport, Info, Notice, Served};
pub use start::{Config, StartError};

use crate::doctor::targets::Targets;
use crate::doctor::Diagnosis;
use crate::effects::executor::link_deleter::Deleter;
use crate::effects::firewall::Drops;
use crate::effects::kernel::link::{self, Counters};
use crate::effects::kernel::monitor::Monitor;
use crate::effects::kernel::netlink::Netlink;
use crate::effects::kernel::netns::target::Target;
use crate::effects::kernel::netns::Home;
use crate::effects::resource::await_carrier;
use crate::error::{Error, KernelError};
use crate::model::change::Change;
use crate::model::lifeline::{EndCause, ProcessRef};
use crate::model::world::World;
use crate::ordered::{sort_short, OrderedMap};
use crate::spec::{DeviceState, GuestName, GuestSpec, IfName, UplinkInfo};
use crate::store::{Record, Store};
use event_loop::Hurry;
use guest::lifelines::Lifelines;
use names::Asking;
use reconcile::debounce::{Debounce, Due};
use resolvers::Resolvers;
use state::{Serving, SharedResources, Upkeep};
use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::{oneshot, Notify};

/// Whose guests a call may see and change: to others they are as if they were not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Every guest.
    Everyones,
    /// Those that this uid attached.
    Of(u32),
}

impl Whose {
    /// Whether a guest is one of them.
    pub fn has(self, guest: &Attached) -> bool {
        match self {
            Self::Everyones => true,
            Self::Of(uid) => guest.owner_uid == uid,
        }
    }
}

/// A request for a network.
#[derive(Debug)]
pub struct AttachRequest {
    /// What the guest gets.
    pub spec: GuestSpec,
    /// Where it is; none: it is a TAP.
    pub target: Option<Target>,
    /// Who asks.
    pub uid: u32,
    /// How many guests that uid may have; none: any number.
    pub most: Option<usize>,
    /// The process that gave an owner, if one was given.
    pub owner: Option<ProcessRef>,
    /// When the call arrived.
    pub arrived: Instant,
}

/// The way to the daemon, for threads of any kind.
#[derive(Clone)]
pub struct Handle {
    /// None once guestnetd ends.
    daemon: Arc<Mutex<Option<Daemon>>>,
    deleter: Deleter,
    /// Told when somebody waits for a link to be gone.
    detaching: Arc<Hurry>,
    /// Told when something is left to do for the thread that follows.
    restless: Arc<Notify>,
    /// Told when nobody works at a guest's ends any more.
    work_ended: Arc<Condvar>,
    /// Told when the resolvers' answers are known.
    names_known: Arc<Condvar>,
    /// Whether guestnetd ends: who waits for the daemon does not get it any more.
    ending: Arc<AtomicBool>,
}

/// The end of a detach.
type Gone = Sender<Result<(), Error>>;

/// A detach under way.
struct Detaching {
    /// Who asked for it first.
    by: By,
    /// Everybody who waits for its end.
    waiting: Vec<Gone>,
}

impl Handle {
    fn enter<T>(&self, work: impl FnOnce(&mut Daemon) -> Result<T, Error>) -> Result<T, Error> {
        // Only a debug build gets past a panic with the lock held.
        let mut daemon = self.daemon.lock().unwrap_or_else(PoisonError::into_inner);
        match daemon.as_mut().filter(|_| !self.ending.load(Ordering::Relaxed)) {
            Some(daemon) => work(daemon),
            None => Err(Error::Ending),
        }
    }

    /// The same, for threads other than the one that follows: it has to know of what is left to do.
    fn call<T>(&self, work: impl FnOnce(&mut Daemon) -> Result<T, Error>) -> Result<T, Error> {
        self.enter(|daemon| {
            let result = work(daemon);
            if daemon.is_restless() {
                self.restless.notify_one();
            }
            result
        })
    }

    /// Gives a guest its network; and a TAP's descriptors, of which nothing is kept.
    pub fn attach(&self, request: AttachRequest) -> Result<(Attached, Vec<OwnedFd>), Error> {
        // Before the daemon is entered: who waits for it does not wait for deletes after that.
        let _first = self.deleter.hold();
        let (attached, hub) = self.call(|daemon| {
            let attached = daemon.attach(request)?;
            let hub = daemon.shared.segments.get().without_carrier(&attached.0.net);
            Ok((attached, hub))
        })?;
        hub.into_iter().for_each(await_carrier);
        Ok(attached)
    }

    /// Says what attach would do.
    pub fn plan(&self, request: AttachRequest) -> Result<Vec<Change>, Error> {
        let found = calls::attach::look_inside(&request);
        self.call(|daemon| daemon.plan(&request, found))
    }

    /// Says how it would be after an attach.
    pub fn check(&self, request: AttachRequest) -> Result<Vec<LayerReport>, Error> {
        let found = calls::attach::look_inside(&request);
        self.await_names();
        self.call(|daemon| daemon.check(&request, found))
    }

    /// Takes a guest's network away, and waits until it cannot be seen any more.
    pub fn detach(&self, name: GuestName, whose: Whose, by: By) -> Result<(), Error> {
        let (gone, end) = std::sync::mpsc::channel();
        self.call(|daemon| daemon.detach(name, whose, by, gone))?;
        self.detaching.tell();
        wait_for(&end)
    }

    /// The owner of the guest with this host end has died. Does not wait for the guest's end.
    pub fn owner_died(&self, index: IfIndex) {
        // Else guestnetd ends, and its next start looks for the owner's process.
        let _ = self.call(|daemon| {
            daemon.catch_up();
            daemon.end_guest(index, EndCause::OwnerDied);
            Ok(())
        });
    }

    /// Whether a guest has this host end.
    pub fn has_link(&self, index: IfIndex) -> bool {
        self.call(|daemon| Ok(daemon.world.guests.has_link(index))).unwrap_or(false)
    }

    /// Takes all these guests' networks away; gives their number.
    pub fn detach_all(&self, whose: Whose, by: By) -> Result<usize, Error> {
        let (gone, end) = std::sync::mpsc::channel();
        let guests = self.call(|daemon| Ok(daemon.detach_all(whose, by, &gone)))?;
        drop(gone);
        self.detaching.tell();
        for _ in 0..guests {
            wait_for(&end)?;
        }
        Ok(guests)
    }

    /// All these guests, by name; without their timelines.
    pub fn list(&self, whose: Whose) -> Result<Vec<Attached>, Error> {
        self.call(|daemon| {
            daemon.settle();
            let short = |g| Attached { timeline: Vec::new(), ..daemon.seen(g) };
            let mut guests: Vec<_> =
                daemon.visible().filter(|guest| whose.has(guest)).map(short).collect();
            sort_short(&mut guests, |one, other| one.name() < other.name());
            Ok(guests)
        })
    }

    /// Links with our marks that belong to no guest that is known: for who may see all guests.
    pub fn unadopted(&self, whose: Whose) -> Result<Vec<(IfIndex, GuestName, Option<u32>)>, Error> {
        self.call(|daemon| {
            let all = daemon.world.guests.unadopted();
            let all = all.map(|(index, name, slot)| (index, name.clone(), slot));
            Ok(if let Whose::Everyones = whose { all.collect() } else { Vec::new() })
        })
    }

    /// What went through the guests' links, by the links' indexes. Empty where it cannot be read.
    pub fn traffic(&self) -> HashMap<IfIndex, Counters> {
        let netlink = Netlink::open().map_err(KernelError::from);
        netlink.and_then(|netlink| link::counters(&netlink)).unwrap_or_default()
    }

    /// Packets of guests that our rules have dropped, by their host ends' names. None: it cannot be told
    /// whose they were.
    pub fn drops(&self) -> Option<Drops> {
        self.call(|daemon| Ok(daemon.shared.packet_filter.get_mut().drops())).ok().flatten()
    }

    /// One guest.
    pub fn get(&self, name: &GuestName, whose: Whose) -> Result<Option<Attached>, Error> {
        self.call(|daemon| {
            daemon.settle();
            let guests = &daemon.world.guests;
            let ending = guests.leaving(name).filter(|guest| daemon.is_ending(guest));
            let guest = guests.get(name).or(ending).filter(|guest| whose.has(guest));
            Ok(guest.map(|g| daemon.seen(g)))
        })
    }

    /// Why there is, or is no, internet.
    pub fn status(&self, name: Option<GuestName>, whose: Whose) -> Result<DeviceReport, Error> {
        self.await_names();
        self.hear_names();
        let seen = self.look_inside(name.as_ref())?;
        self.call(|daemon| {
            if let Some(name) = &name {
                daemon.settle();
                let other = daemon.world.guests.get(name).is_some_and(|guest| !whose.has(guest));
                if other {
                    return Err(Error::NoSuchGuest(name.clone()));
                }
            }
            let mut report = daemon.status(name, &seen)?;
            report.guests.retain(|one| whose.has(&one.guest));
            Ok(report)
        })
    }

    /// Finds out by packets why there is, or is no, internet. Not within the daemon.
    pub fn diagnose(&self, name: Option<GuestName>, targets: &Targets) -> Result<Diagnosis, Error> {
        calls::diagnose::diagnose(self, name, targets)
    }

    /// Names the resolvers that are to be used behind an uplink; none: those that are found.
    pub fn set_resolvers(&self, uplink: IfName, servers: Vec<Ipv4Addr>) -> Result<(), Error> {
        self.call(|daemon| daemon.set_resolvers(uplink, servers))
    }

    /// Who answers these guests' questions for names, and what callers have named.
    pub fn dns(&self, whose: Whose) -> Result<DnsReport, Error> {
        self.await_names();
        self.hear_names();
        self.call(|daemon| {
            daemon.settle();
            Ok(daemon.dns(whose))
        })
    }

    /// Takes a caller's word for what the kernel does not know of an uplink.
    pub fn set_uplink_info(&self, uplink: IfName, info: UplinkInfo) -> Result<(), Error> {
        self.call(|daemon| {
            daemon.set_uplink_info(uplink, info);
            Ok(())
        })
    }

    /// Takes a caller's word for what the kernel does not know of the device.
    pub fn set_device_state(&self, state: DeviceState) -> Result<(), Error> {
        self.call(|daemon| {
            daemon.set_device_state(state);
            Ok(())
        })?;
        // The next look may be sooner than the thread knows that follows.
        self.restless.notify_one();
        Ok(())
    }

    /// Another configuration, as far as that can change.
    pub fn reconfigure(&self, config: Config) -> Result<(), Error> {
        self.call(|daemon| {
            daemon.reconfigure(config);
            Ok(())
        })
    }

    /// What this guestnetd is.
    pub fn info(&self) -> Result<Info, Error> {
        self.call(|daemon| Ok(daemon.info()))
    }

    /// The packet filter's rules, as text.
    pub fn rules(&self) -> Result<String, Error> {
        self.call(|daemon| Ok(daemon.rules()))
    }

    /// Ends; guests stay as they are. Whoever asks later is told so.
    pub fn end(&self) {
        self.ending.store(true, Ordering::Relaxed);
        let mut daemon = self.daemon.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mut daemon) = daemon.take() {
            daemon.end();
        }
    }
}

fn wait_for(end: &Receiver<Result<(), Error>>) -> Result<(), Error> {
    end.recv().unwrap_or(Err(Error::Ending))
}

/// All the state there is.
pub struct Daemon {
    config: Config,
    kernel: Kernel,
    store: Arc<Store>,
    /// What decisions depend on.
    world: World,
    resolvers: Resolvers,
    /// Asks the resolvers.
    asking: Asking,
    /// What guests share in the kernel.
    shared: SharedResources,
    /// Servers for guests.
    serving: Serving,
    /// What is done for live guests.
    upkeep: Upkeep,
    /// What guests live by.
    lifelines: Lifelines,
    /// What the next pass has to read, and when.
    debounce: Debounce,
    /// Guests whose links were asked to be gone, and are not yet.
    detaching: OrderedMap<GuestName, Detaching>,
    notify: Box<dyn FnMut(Notice) + Send>,
    /// Dropped with the daemon, which ends the thread that follows.
    _alive: oneshot::Sender<()>,
}

/// The ways to the kernel, for guests' links and to read the device.
struct Kernel {
    home: Home,
    netlink: Netlink,
    monitor: Monitor,
    deleter: Deleter,
}

impl Daemon {
    /// Keeps what has happened to a name; what cannot be written is tried again.
    fn record(&self, name: &GuestName, record: Record) {
        if let Err(e) = self.store.put_or_owe(name, record) {
            log::error!("{name}: {e}: it is tried again");
        }
    }

    /// A slot is one name's: the name that had it before is forgotten.
    fn remember_slot(&mut self, name: &GuestName, slot: u32) {
        if let Some(other) = self.world.guests.leases.slots.remember(name, slot) {
            self.store.forget(&other);
        }
    }

    /// The guests that there are: also those that nobody asked to detach, until their link is gone and
    /// their name is free.
    fn visible(&self) -> impl Iterator<Item = &Attached> {
        let guests = &self.world.guests;
        guests.attached().chain(guests.all_leaving().filter(|guest| self.is_ending(guest)))
    }

    fn is_ending(&self, guest: &Attached) -> bool {
        self.lifelines.ending_of(guest.index).is_some()
    }

    /// A guest as a caller sees it: with the uplink's state, and what its servers have done.
    fn seen(&self, guest: &Attached) -> Attached {
        let dhcp = self.serving.servers.counters().dhcp.counts(guest.index);
        let names = self.serving.servers.counters().dns.of(guest.index).counts;
        let waiting = self.world.waits(&guest.net.vpn);
        Attached { waiting, dhcp, names, ..guest.clone() }
    }

    /// The uplink may be another one, or have another resolver.
    fn look_at_uplink(&mut self) {
        self.debounce.trigger(Due { uplink: true, ..Due::default() }, Instant::now());
    }

    fn rules(&self) -> String {
        let text = |ruleset| self.shared.packet_filter.get().text(ruleset);
        self.shared.packet_filter.applied().map_or_else(String::new, text)
    }

    fn info(&self) -> Info {
        let filter = self.shared.packet_filter.get();
        Info {
            uplink: self.config.uplink.to_string(),
            routing: self.world.platform.routing.name(),
            firewall: filter.backend(),
            firewall_reason: filter.reason().to_owned(),
            state_dir: self.store.dir().to_owned(),
            guests: self.world.guests.len(),
            owns_forwarding: self.shared.forwarding.get().is_ours(),
            names: self.serving.servers.counters().dns.counts(),
        }
    }

    /// Leaves the guests as they are. Without guests, leaves nothing at all.
    fn end(&mut self) {
        self.shared.connections.finish();
        self.keep_leases();
        if !self.world.guests.is_deserted() {
            match self.world.guests.len() {
                1 => log::info!("ending; 1 guest keeps its network"),
                guests => log::info!("ending; {guests} guests keep their network"),
            }
            return;
        }
        for result in [
            self.shared.segments.clear(),
            self.shared.policy_routing.clear(),
            self.shared.packet_filter.clear(),
        ] {
            if let Err(e) = result {
                log::error!("at the end: {e}");
            }
        }
    }
}
