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

//! Start-up: what is needed is there, what an earlier guestnetd left is taken over or cleared.

use super::{Attached, Command, Handle, Notice, Owner, QUEUE};
use crate::apply::{apply, Timeline};
use crate::error::{Error, KernelError};
use crate::firewall::{self, Firewall, FirewallError, Ruleset};
use crate::kernel::deleter::{Deleted, Deleter};
use crate::kernel::executor::KernelExecutor;
use crate::kernel::links::Link;
use crate::kernel::monitor::Monitor;
use crate::kernel::netlink::Netlink;
use crate::kernel::{deleter, links, observe};
use crate::plan::marks::{self, guest_of_alias};
use crate::plan::{diff, Observed};
use crate::spec::{GuestName, IfName};
use crate::store::{AttachedRecord, Record, Store};
use crate::uplink::{Choice, Uplink};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::Instant;
use tokio::sync::mpsc::{self, UnboundedReceiver};

/// How guestnetd is to run.
#[derive(Clone, Debug)]
pub struct Config {
    /// How the uplink is chosen.
    pub uplink: Choice,
    /// How the packet filter is programmed.
    pub firewall: firewall::Choice,
    /// Where the state is kept.
    pub state_dir: PathBuf,
    /// Whether forwarding stays on when the last guest is gone.
    pub keep_forwarding: bool,
}

/// Why guestnetd cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The packet filter.
    #[error(transparent)]
    Firewall(#[from] FirewallError),
    /// Anything else.
    #[error(transparent)]
    Other(#[from] Error),
    /// A thread, a socket or a runtime.
    #[error("{0}: {1}")]
    System(&'static str, std::io::Error),
}

impl Owner {
    /// Starts the owner on a thread of its own; `notify` is told what listeners are to know.
    pub fn spawn(
        config: Config,
        notify: impl FnMut(Notice) + Send + 'static,
    ) -> Result<(Handle, JoinHandle<()>), StartError> {
        let (sender, commands) = mpsc::channel::<Command>(QUEUE);
        let (ready, started) = std::sync::mpsc::channel();
        let run = move || {
            let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(e) => return drop(ready.send(Err(StartError::System("make a runtime", e)))),
            };
            runtime.block_on(async move {
                match Self::start(config, Box::new(notify)).await {
                    Ok((owner, deleted)) => {
                        let _ = ready.send(Ok(()));
                        owner.run(commands, deleted).await;
                    }
                    Err(e) => drop(ready.send(Err(e))),
                }
            });
        };
        let thread = std::thread::Builder::new()
            .name("owner".into())
            .spawn(run)
            .map_err(|e| StartError::System("start a thread", e))?;
        match started.recv() {
            Ok(result) => result.map(|()| (Handle(sender), thread)),
            Err(_) => Err(Error::Ending.into()),
        }
    }

    async fn start(
        config: Config,
        notify: Box<dyn FnMut(Notice) + Send>,
    ) -> Result<(Self, UnboundedReceiver<Deleted>), StartError> {
        let (done, deleted) = mpsc::unbounded_channel();
        let system = |what| move |e| StartError::System(what, e);
        // The monitor first: what changes while the rest is read is announced.
        let monitor = Monitor::open().map_err(system("listen to the kernel's announcements"))?;
        let device = Netlink::open().map_err(system("open a netlink socket"))?;
        let (store, found) = Store::open(&config.state_dir)?;
        let uplink = Uplink::observe(&device, &config.uplink).await?;
        let (firewall, firewall_reason) = Firewall::open(config.firewall)?;
        log::info!("firewall: {:?} ({firewall_reason})", firewall.backend());
        let mut owner = Self {
            config,
            device,
            monitor,
            deleter: Deleter::new(done),
            firewall,
            firewall_reason,
            ruleset: Ruleset::default(),
            uplink,
            store,
            forwarding: found.forwarding,
            switched: VecDeque::new(),
            firewall_error: None,
            guests: BTreeMap::new(),
            leaving: HashMap::new(),
            links: HashMap::new(),
            strays: BTreeMap::new(),
            slots: BTreeMap::new(),
            slot_names: BTreeMap::new(),
            holders: BTreeMap::new(),
            prefixes: None,
            notify,
        };
        let mut records = found.records;
        // Of two names with one slot (a crash between two files) the attached one has it.
        records.sort_by_key(|(_, record)| record.attached.is_some());
        for (name, record) in &records {
            owner.remember_slot(name, record.slot);
        }
        owner.adopt(records).await?;
        // Always applied once: what is there may be an earlier guestnetd's.
        let ruleset = owner.ruleset_with(None);
        owner.firewall.apply(&ruleset)?;
        owner.ruleset = ruleset;
        owner.repair().await;
        if owner.guests.is_empty() && owner.forwarding.ours {
            owner.give_forwarding_back().await;
        }
        if let Some(trouble) = owner.uplink.trouble() {
            log::warn!("uplink: {trouble}");
        }
        Ok((owner, deleted))
    }

    /// Takes over the guests whose link is whole, deletes half-made links of ours, and forgets
    /// the guests whose link is gone.
    async fn adopt(&mut self, records: Vec<(GuestName, Record)>) -> Result<(), Error> {
        let failed = |cause: KernelError| Error::kernel("read the links", cause);
        let mut records: BTreeMap<GuestName, Record> = records.into_iter().collect();
        let mut half_made = Vec::new();
        for link in links::all(&self.device).await.map_err(failed)? {
            if !link.is_ours() {
                continue;
            }
            let Some(alias) = link.alias.as_deref().filter(|alias| !alias.is_empty()) else {
                log::warn!("{} is a half-made link of an earlier guestnetd: deleted", link.name);
                self.deleter.delete(link.index);
                half_made.push(link.index);
                continue;
            };
            let Some(name) = guest_of_alias(alias) else {
                log::error!(
                    "{}: its alias {alias:?} is not guestnetd's; it is left alone",
                    link.name
                );
                self.leave_alone(&link);
                continue;
            };
            let record = records.remove(&name);
            if let Err(why) = self.adopt_one(&link, &name, record).await {
                log::error!("{}: {name} cannot be taken over ({why}); it is left alone", link.name);
                self.leave_alone(&link);
            }
        }
        for (name, record) in records {
            if record.attached.is_some() {
                log::info!("{name} went while guestnetd was away");
                let gone = Record { slot: record.slot, attached: None };
                if let Err(e) = self.store.put(&name, &gone) {
                    log::error!("{name}: {e}");
                }
            }
        }
        for index in half_made {
            deleter::invisible(&self.device, index).await.map_err(failed)?;
        }
        Ok(())
    }

    /// A link of ours by its marks that nothing is known of: its slot is not given to anybody.
    fn leave_alone(&mut self, link: &Link) {
        let slot = IfName::new(&link.name).and_then(|n| n.slot());
        self.strays.extend(slot.map(|slot| (link.index, slot)));
    }

    async fn adopt_one(
        &mut self,
        link: &Link,
        name: &GuestName,
        record: Option<Record>,
    ) -> Result<(), String> {
        let slot = IfName::new(&link.name).and_then(|n| n.slot()).ok_or("its name is odd")?;
        if link.mac != marks::Mac::host(name).0 {
            return Err("its MAC is another guest's".into());
        }
        let attached = record.filter(|r| r.slot == slot).and_then(|r| r.attached);
        let Some(attached) = attached else {
            return Err("nothing is stored of it; `guestnetctl detach` does not know it, \
                        `ip link del` removes it"
                .into());
        };
        let AttachedRecord { spec, owner_uid, attached_at, .. } = attached.clone();
        let net = attached.net(slot);
        log::info!("{name}: taken over with {} {}", link.name, net.guest.address);
        let guest = Attached {
            spec,
            net,
            index: link.index,
            owner_uid,
            attached_at,
            timeline: Vec::new(),
            waiting: false,
        };
        self.links.insert(link.index, name.clone());
        self.remember_slot(name, slot);
        self.holders.insert(guest.net.guest.address, name.clone());
        self.guests.insert(name.clone(), guest);
        Ok(())
    }

    /// Puts back what the device's side of a guest lacks.
    async fn repair(&mut self) {
        let nets: Vec<_> = self.guests.values().map(|g| (g.index, g.net.clone())).collect();
        for (index, net) in nets {
            let host = match observe::host_end(&self.device, &net).await {
                Ok(host) => host,
                Err(e) => {
                    log::error!("{}: {e}", net.name);
                    continue;
                }
            };
            if host.is_none() {
                continue; // gone meanwhile: announced
            }
            let steps = diff::guest(&net, &Observed { host, guest: None });
            let mut executor = KernelExecutor {
                device: &self.device,
                deleter: &self.deleter,
                firewall: &mut self.firewall,
                guest: None,
                host_index: Some(index),
                guest_index: None,
                switched: Vec::new(),
            };
            let mut timeline = Timeline::new(Instant::now());
            if let Err(e) = apply(net.name.as_str(), &steps, &mut executor, &mut timeline).await {
                log::error!("{}: not whole: {e}", net.name);
            }
        }
    }
}
