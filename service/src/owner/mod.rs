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

//! The owner: one task that has all the state and makes every decision. Binder threads send it
//! commands and wait; kernel announcements and finished deletes come to it too.

mod attach;
mod detach;
mod events;
mod follow;
mod forwarding;
mod start;
mod status;
mod verify;
mod view;

pub use start::{Config, StartError};
pub use view::{
    Attached, DeviceReport, GuestEvent, GuestReport, Info, Layer, LayerReport, LayerState, Notice,
};

use crate::error::Error;
use crate::firewall::{Firewall, Ruleset};
use crate::kernel::deleter::{Deleted, Deleter};
use crate::kernel::monitor::Monitor;
use crate::kernel::netlink::Netlink;
use crate::kernel::target::Target;
use crate::plan::conflict::DevicePrefix;
use crate::plan::Step;
use crate::spec::{GuestName, GuestSpec};
use crate::store::{ForwardingRecord, Store};
use crate::uplink::Uplink;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::Ipv4Addr;
use std::time::Instant;
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::sync::oneshot;

/// Where the answer to a command goes.
pub type Reply<T> = oneshot::Sender<Result<T, Error>>;

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

/// What Binder threads ask for.
#[derive(Debug)]
pub enum Command {
    /// Give a guest its network.
    Attach(Box<AttachRequest>, Reply<Attached>),
    /// Say what attach would do.
    Plan(Box<AttachRequest>, Reply<Vec<Step>>),
    /// Say how it would be afterwards.
    Check(Box<AttachRequest>, Reply<Vec<LayerReport>>),
    /// Take a guest's network away.
    Detach(GuestName, Reply<()>),
    /// All guests, by name.
    List(Reply<Vec<Attached>>),
    /// One guest.
    Get(GuestName, Reply<Option<Attached>>),
    /// Why there is, or is no, internet.
    Status(Option<GuestName>, Reply<DeviceReport>),
    /// What this guestnetd is.
    Info(Reply<Info>),
    /// The packet filter's rules, as text.
    Rules(Reply<String>),
    /// End; guests stay as they are.
    End(Reply<()>),
}

/// What a Binder thread has of the owner.
#[derive(Clone, Debug)]
pub struct Handle(mpsc::Sender<Command>);

/// Commands that may wait before a caller has to.
const QUEUE: usize = 256;

impl Handle {
    /// Sends a command and waits for its answer. Not to be called on the owner's own thread.
    pub fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.0.blocking_send(command(reply)).map_err(|_| Error::Ending)?;
        answer.blocking_recv().unwrap_or(Err(Error::Ending))
    }
}

/// All the state there is.
pub struct Owner {
    config: Config,
    device: Netlink,
    monitor: Monitor,
    deleter: Deleter,
    firewall: Firewall,
    firewall_reason: String,
    /// What the firewall was last set to.
    ruleset: Ruleset,
    /// Why it could not be set to what it is to be.
    firewall_error: Option<String>,
    uplink: Uplink,
    store: Store,
    forwarding: ForwardingRecord,
    /// What we have set the forwarding switch to and the kernel has not announced yet.
    switched: VecDeque<bool>,
    guests: BTreeMap<GuestName, Attached>,
    /// Guests whose link is being deleted, by its index.
    leaving: HashMap<u32, detach::Leaving>,
    /// Whose link has this index; also while it is leaving.
    links: HashMap<u32, GuestName>,
    /// Slots of links that are ours by their marks and that nothing is known of, by their index.
    strays: BTreeMap<u32, u32>,
    /// The slot of every name seen.
    slots: BTreeMap<GuestName, u32>,
    /// The name that had a slot last.
    slot_names: BTreeMap<u32, GuestName>,
    /// Which name had an address last: its connections may still be tracked.
    holders: BTreeMap<Ipv4Addr, GuestName>,
    /// What the device uses for itself; none when that may have changed.
    prefixes: Option<Vec<DevicePrefix>>,
    notify: Box<dyn FnMut(Notice) + Send>,
}

impl Owner {
    /// Works until it is told to end, or nobody can tell it any more.
    pub async fn run(
        mut self,
        mut commands: mpsc::Receiver<Command>,
        mut deleted: UnboundedReceiver<Deleted>,
    ) {
        loop {
            tokio::select! {
                command = commands.recv() => match command {
                    None => break,
                    Some(Command::End(reply)) => {
                        self.end();
                        let _ = reply.send(Ok(()));
                        break;
                    }
                    Some(command) => self.obey(command).await,
                },
                () = self.monitor.readable() => self.catch_up().await,
                Some(deleted) = deleted.recv() => self.deleted(deleted).await,
                () = tokio::time::sleep(follow::RETRY), if self.firewall_error.is_some() => {
                    if let Err(e) = self.refresh_firewall() {
                        log::error!("the packet filter is still not set: {e}");
                    }
                }
            }
        }
    }

    async fn obey(&mut self, command: Command) {
        // A reply that nobody waits for any more is no error: the caller died.
        match command {
            Command::Attach(request, reply) => drop(reply.send(self.attach(*request).await)),
            Command::Plan(request, reply) => drop(reply.send(self.plan(*request).await)),
            Command::Check(request, reply) => drop(reply.send(self.check(*request).await)),
            Command::Detach(name, reply) => self.detach(name, reply).await,
            Command::List(reply) => {
                let short = |g| Attached { timeline: Vec::new(), ..self.seen(g) };
                drop(reply.send(Ok(self.guests.values().map(short).collect())));
            }
            Command::Get(name, reply) => {
                drop(reply.send(Ok(self.guests.get(&name).map(|g| self.seen(g)))));
            }
            Command::Status(name, reply) => drop(reply.send(self.status(name).await)),
            Command::Info(reply) => drop(reply.send(Ok(self.info()))),
            Command::Rules(reply) => drop(reply.send(Ok(self.firewall.text(&self.ruleset)))),
            Command::End(reply) => drop(reply.send(Err(Error::Ending))),
        }
    }

    /// A slot is one name's: who had it before is forgotten.
    fn remember_slot(&mut self, name: &GuestName, slot: u32) {
        if let Some(old) = self.slots.insert(name.clone(), slot).filter(|old| *old != slot) {
            self.slot_names.remove(&old);
        }
        match self.slot_names.insert(slot, name.clone()) {
            Some(other) if other != *name => {
                self.slots.remove(&other);
                self.store.forget(&other);
            }
            _ => {}
        }
    }

    /// A guest as a caller sees it: with the uplink's state.
    fn seen(&self, guest: &Attached) -> Attached {
        Attached { waiting: !self.uplink.usable(), ..guest.clone() }
    }

    fn info(&self) -> Info {
        Info {
            uplink: self.config.uplink.to_string(),
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
            if let Err(e) = self.firewall.clear() {
                log::error!("the packet filter could not be taken away: {e}");
            }
        } else {
            log::info!("ending; {} guests keep their network", self.guests.len());
        }
    }
}
