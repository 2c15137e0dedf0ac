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

use crate::alloc::leases::Leases;
use crate::daemon::guest::mtu::Mtus;
use crate::daemon::reconcile::backoff::Fights;
use crate::daemon::reconcile::debounce::Due;
use crate::daemon::reconcile::event_loop::{self, Sources};
use crate::daemon::reconcile::retry::Retry;
use crate::daemon::{netd, Attached, Daemon, Handle, Notice};
use crate::error::{Error, KernelError};
use crate::firewall::{self, Firewall, FirewallError, Ruleset};
use crate::kernel::link::Link;
use crate::kernel::link_deleter::Deleter;
use crate::kernel::netlink::monitor::Monitor;
use crate::kernel::netlink::Netlink;
use crate::kernel::netns::Home;
use crate::kernel::{link, link_deleter, rule, sysctl};
use crate::model::ownership::{self, guest_of_alias};
use crate::model::policy_rules::{self, Shape};
use crate::platform::ndc::Ndc;
use crate::platform::resolv_conf;
use crate::spec::{GuestName, IfName};
use crate::store::{AttachedRecord, Record, Store};
use crate::uplink::{Choice, Uplink};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// How guestnetd is to run.
#[derive(Clone, Debug)]
pub struct Config {
    /// How the uplink is chosen.
    pub uplink: Choice,
    /// How the packet filter is programmed.
    pub firewall: firewall::Options,
    /// Where the state is kept.
    pub state_dir: PathBuf,
    /// Whether forwarding stays on when the last guest is gone.
    pub keep_forwarding: bool,
    /// The program that asks netd for forwarding; none: the switch is written.
    pub ndc: Option<PathBuf>,
    /// The resolvers behind any uplink that nothing else was said of.
    pub resolvers: Vec<Ipv4Addr>,
    /// The file that says which resolvers the device itself uses.
    pub resolv_conf: Option<PathBuf>,
    /// How often everything is compared while there are guests.
    pub check_every: Duration,
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

impl Daemon {
    /// Starts the owner and the thread that follows the kernel's announcements, in the network
    /// namespace of the calling thread; `notify` is told what listeners are to know.
    pub fn spawn(
        config: Config,
        notify: impl FnMut(Notice) + Send + 'static,
    ) -> Result<(Handle, JoinHandle<()>), StartError> {
        let failed = |e| StartError::System("start the thread that follows the kernel", e);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(failed)?;
        let (done, deleted) = mpsc::unbounded_channel();
        let (alive, ended) = oneshot::channel();
        let owner = Self::start(config, Box::new(notify), Deleter::new(done), alive)?;
        let (bell, resolv) = {
            let _inside = runtime.enter();
            // What is in the file was read before: it counts if it has been written since.
            let path = owner.config.resolv_conf.as_deref();
            let resolv = path.map(resolv_conf::Watch::begin).transpose();
            let resolv = resolv.unwrap_or_else(|e| {
                log::warn!("the file of the device's resolvers is not watched: {e}");
                None
            });
            (owner.monitor.bell().map_err(failed)?, resolv)
        };
        let (deleter, mtu) = (owner.deleter.clone(), Arc::clone(&owner.mtus.due));
        let netd = Arc::clone(&owner.netd.due);
        let owner = Arc::new(Mutex::new(Some(owner)));
        let (detaching, restless, ending) = Default::default();
        let handle = Handle { owner, deleter, detaching, restless, ending };
        let sources = Sources {
            bell,
            deleted,
            mtu,
            netd,
            restless: Arc::clone(&handle.restless),
            resolv,
            ended,
        };
        let thread = event_loop::spawn(handle.clone(), runtime, sources).map_err(failed)?;
        Ok((handle, thread))
    }

    fn start(
        config: Config,
        notify: Box<dyn FnMut(Notice) + Send>,
        deleter: Deleter,
        alive: oneshot::Sender<()>,
    ) -> Result<Self, StartError> {
        let system = |what| move |e| StartError::System(what, e);
        // The monitor first: what changes while the rest is read is announced.
        let monitor = Monitor::open().map_err(system("listen to the kernel's announcements"))?;
        let device = Netlink::open().map_err(system("open a netlink socket"))?;
        let home = Home::here().map_err(system("open the own network namespace"))?;
        let forwards = sysctl::forwarding().map_err(system("read net.ipv4.ip_forward"))?;
        let (store, found) = Store::open(&config.state_dir)?;
        let failed = |cause| Error::kernel("read the policy-routing rules", cause);
        let rules = rule::all(&device).map_err(failed)?;
        let shape = Shape::of(&rules).unwrap_or_default();
        let uplink = Uplink::observe(&device, &config.uplink, shape, &rules)?;
        log::info!("the device routes by {}", shape.name());
        let ndc = config.ndc.clone().map(Ndc);
        if let Some(ndc) = &ndc {
            ndc.check().map_err(system("netd cannot be asked for forwarding, see --ndc"))?;
        }
        let (firewall, firewall_reason) = Firewall::open(&config.firewall)?;
        log::info!("firewall: {:?} ({firewall_reason})", firewall.backend());
        let mut owner = Self {
            config,
            home,
            device,
            monitor,
            deleter,
            firewall,
            firewall_reason,
            ruleset: Ruleset::default(),
            source: uplink.address,
            uplink,
            shape,
            lockdown: policy_rules::lockdown(&rules),
            leads: Vec::new(),
            rules,
            own_ways: BTreeMap::new(),
            resolvers: found.resolvers,
            resolv_written: None,
            ndc,
            netd: netd::Netd::default(),
            unforwarded: false,
            retry: Retry::default(),
            fights: Fights::default(),
            untidy: false,
            own_tables: BTreeSet::new(),
            due: Due::default(),
            last_pass: None,
            last_check: Instant::now(),
            mtus: Mtus::default(),
            store,
            forwarding: found.forwarding,
            forwards,
            switched: VecDeque::new(),
            firewall_error: None,
            firewall_stuck: false,
            firewall_lacks: None,
            guests: BTreeMap::new(),
            leaving: BTreeMap::new(),
            links: HashMap::new(),
            strays: BTreeMap::new(),
            leases: Leases::default(),
            holders: BTreeMap::new(),
            prefixes: None,
            notify,
            _alive: alive,
        };
        let mut records = found.records;
        // Of two names with one slot (a crash between two files) the attached one has it.
        records.sort_by_key(|(_, record)| record.attached.is_some());
        for (name, record) in &records {
            owner.remember_slot(name, record.slot);
        }
        owner.adopt(records)?;
        owner.resolv_written = owner.config.resolv_conf.as_deref().and_then(resolv_conf::written);
        owner.uplink.resolvers = owner.resolvers_behind(owner.uplink.name.as_ref());
        // Always applied once: what is there may be an earlier guestnetd's.
        let ruleset = owner.ruleset_with(None);
        owner.firewall.start(&ruleset)?;
        owner.ruleset = ruleset;
        // Not before the packet filter: it may be gone, and guests may be there.
        owner.refresh_leads()?;
        owner.doubt_mtus();
        let guests: Vec<u32> = owner.guests.values().map(|guest| guest.index).collect();
        guests.into_iter().for_each(|index| owner.mend(index));
        owner.follow_mtu();
        // netd may have started anew meanwhile, or somebody have written the switch.
        if !owner.guests.is_empty() && (owner.ndc.is_some() || !owner.forwards) {
            owner.due.forwarding = true;
            owner.due.announced(Instant::now());
        }
        if owner.guests.is_empty() && owner.forwarding.ours {
            owner.give_forwarding_back();
        }
        if let Some(trouble) = owner.uplink.trouble() {
            log::warn!("uplink: {trouble}");
        }
        Ok(owner)
    }

    /// Takes over the guests whose link is whole, deletes half-made links of ours, and forgets
    /// the guests whose link is gone.
    fn adopt(&mut self, records: Vec<(GuestName, Record)>) -> Result<(), Error> {
        let failed = |cause: KernelError| Error::kernel("read the links", cause);
        let mut records: BTreeMap<GuestName, Record> = records.into_iter().collect();
        let mut half_made = Vec::new();
        for link in link::all(&self.device).map_err(failed)? {
            if !link.is_ours() {
                continue;
            }
            let alias = link.alias.as_deref().filter(|alias| !alias.is_empty());
            // Regrouped, it was about to be deleted.
            let Some(alias) = alias.filter(|_| !ownership::is_leaving(link.group)) else {
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
            if let Err(why) = self.adopt_one(&link, &name, record) {
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
            link_deleter::invisible(&self.device, index).map_err(failed)?;
        }
        Ok(())
    }

    /// A link of ours by its marks that nothing is known of: its slot is not given to anybody.
    fn leave_alone(&mut self, link: &Link) {
        if let Some(slot) = IfName::new(&link.name).and_then(|n| n.slot()) {
            self.strays.insert(link.index, slot);
            self.leases.slots.take(slot);
        }
    }

    fn adopt_one(
        &mut self,
        link: &Link,
        name: &GuestName,
        record: Option<Record>,
    ) -> Result<(), String> {
        let slot = IfName::new(&link.name).and_then(|n| n.slot()).ok_or("its name is odd")?;
        if link.mac != ownership::Mac::host(name).0 {
            return Err("its MAC is another guest's".into());
        }
        let attached = record.filter(|r| r.slot == slot).and_then(|r| r.attached);
        let Some(attached) = attached else {
            return Err("nothing is stored of it; `guestnetctl detach` does not know it, \
                        `ip link del` removes it"
                .into());
        };
        let AttachedRecord { spec, owner_uid, attached_at, .. } = attached.clone();
        let net = attached.net(slot).routed(self.shape);
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
        self.know(guest);
        Ok(())
    }
}
