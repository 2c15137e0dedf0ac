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

//! Start-up: what is needed is there, the device is read, and what an earlier guestnetd left is taken
//! over (`adopt.rs`) and brought to what is wanted now.

use super::event_loop::{self, Sources};
use super::guest::lifelines::Lifelines;
use super::names::Asking;
use super::reconcile::debounce::{Debounce, Due};
use super::resolvers::Resolvers;
use super::state::{Serving, SharedResources, Upkeep};
use super::{Daemon, Handle, Kernel, Notice};
use crate::effects::executor::link_deleter::Deleter;
use crate::effects::firewall::trace;
use crate::effects::firewall::{self, Firewall, FirewallError};
use crate::effects::kernel::link::Link;
use crate::effects::kernel::monitor::Monitor;
use crate::effects::kernel::netlink::Netlink;
use crate::effects::kernel::netns::Home;
use crate::effects::kernel::observe::{self, Lists};
use crate::effects::kernel::rule;
use crate::effects::kernel::told::Told;
use crate::effects::kernel::uplink::{self, Question};
use crate::effects::platform::ndc::Ndc;
use crate::effects::platform::{resolv_conf, xtables_lock};
use crate::effects::resource::{
    Connections, Forgetter, Forwarding, Look, Managed, PacketFilter, PolicyRouting, Segments,
    Trigger,
};
use crate::error::Error;
use crate::model::dns::NameServers;
use crate::model::guest_table::GuestTable;
use crate::model::lockdown::{Lockdown, Past};
use crate::model::names::Names;
use crate::model::ownership::ROUTE_PROTOCOL;
use crate::model::policy_rules::{PolicyRule, RoutingMode};
use crate::model::ruleset::{Strangers, TOLD};
use crate::model::uplink::Choice;
use crate::model::world::{Backend, ForwardingMode, Platform, World};
use crate::ordered::OrderedMap;
use crate::serve::dns::Zone;
use crate::spec::{DeviceState, Family, UplinkInfos};
use crate::store::Store;
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
    /// Where netd's resolver listens, if it is there.
    pub dnsproxyd: PathBuf,
    /// The zone of guests' own names.
    pub guest_zone: Option<Zone>,
    /// The resolvers behind any uplink that nothing else was said of.
    pub resolvers: Vec<Ipv4Addr>,
    /// The file that says which resolvers the device itself uses.
    pub resolv_conf: Option<PathBuf>,
    /// How many connections one guest may have at a time; 0: no limit.
    pub connections: u32,
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
    /// Starts the daemon and the thread that follows the kernel's announcements, in the network
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
        let deleter = Deleter::new(done)
            .map_err(|e| StartError::System("open the socket that links are deleted by", e))?;
        let daemon = Self::start(config, Box::new(notify), deleter, alive)?;
        let (bell, opened, knell, resolv, tables) = {
            let _inside = runtime.enter();
            // What is in the file was read before: it counts if it has been written since.
            let path = daemon.config.resolv_conf.as_deref();
            let resolv = path.map(resolv_conf::Watch::begin).transpose();
            let resolv = resolv.unwrap_or_else(|e| {
                log::warn!("the file of the device's resolvers is not watched: {e}");
                None
            });
            let knell = daemon.lifelines.knell().map_err(failed)?;
            let opened = Told::open(TOLD);
            if let Err(e) = &opened {
                log::warn!("guests' closed connections stay (nfnetlink_log, group {TOLD}): {e}");
            }
            let bell = daemon.kernel.monitor.bell().map_err(failed)?;
            (bell, opened.ok(), knell, resolv, daemon.watch_tables())
        };
        let (deleter, guests) =
            (daemon.kernel.deleter.clone(), Arc::clone(&daemon.upkeep.worker.due));
        let netd = daemon.shared.forwarding.get().due();
        let names = Arc::clone(&daemon.asking.begins);
        let keep = Arc::clone(&daemon.upkeep.keeping.begins);
        let leases = Arc::clone(&daemon.serving.servers.counters().dhcp.rings);
        let daemon = Arc::new(Mutex::new(Some(daemon)));
        let (detaching, restless, work_ended, names_known, ending) = Default::default();
        let handle =
            Handle { daemon, deleter, detaching, restless, work_ended, names_known, ending };
        let sources = Sources {
            bell,
            opened,
            knell,
            deleted,
            guests,
            netd,
            names,
            keep,
            leases,
            restless: Arc::clone(&handle.restless),
            resolv,
            tables,
            ended,
        };
        let thread = event_loop::spawn(handle.clone(), runtime, sources).map_err(failed)?;
        Ok((handle, thread))
    }

    /// Where rules are of iptables, which others may change unannounced: the start has run it, and its lock is
    /// there.
    fn watch_tables(&self) -> Option<xtables_lock::Watch> {
        let filter = self.shared.packet_filter.get();
        let watched = match filter.backend() {
            Backend::Nftables => Ok(None),
            Backend::Iptables => xtables_lock::Watch::begin(),
        };
        let every = self.config.check_every.as_secs();
        watched.unwrap_or_else(|e| {
            log::info!("iptables' lock is not watched: {e}; rules are looked at each {every} s");
            None
        })
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
        let (store, found) = Store::open(&config.state_dir)?;
        let failed = |cause| Error::kernel("read the policy-routing rules", cause);
        let rules = rule::all(&device, Family::V4).map_err(failed)?;
        let ndc = config.ndc.clone().map(Ndc);
        // While netd starts its rules say nothing.
        let usual = if ndc.is_some() { RoutingMode::NETD } else { RoutingMode::Main };
        let routing = RoutingMode::of(&rules).unwrap_or(usual);
        let question = Question { choice: &config.uplink, routing, rules: &rules, sender: None };
        let uplink = uplink::observe(&device, &question)?;
        log::info!("the device routes by {}", routing.name());
        if let Some(ndc) = &ndc {
            ndc.check().map_err(system("netd cannot be asked for forwarding, see --ndc"))?;
        }
        // Before tables are changed: a netfilter socket that is closed after that waits for the kernel to clean
        // up (nft_rcv_nl_event()).
        trace::clear_table();
        let (firewall, firewall_reason) = Firewall::open(&config.firewall)?;
        log::info!("firewall: {:?} ({firewall_reason})", firewall.backend());
        let store = Arc::new(store);
        let forgetter = Forgetter::default();
        let filter = PacketFilter::new(firewall, firewall_reason, forgetter.clone());
        let platform = Platform {
            routing,
            forwarding: match ndc {
                Some(_) => ForwardingMode::Netd,
                None => ForwardingMode::Sysctl,
            },
            filter: filter.backend(),
            nat_ports: None,
            user: nix::unistd::geteuid().as_raw(),
            connections: Some(config.connections).filter(|most| *most != 0),
        };
        let netd_routes = routing != RoutingMode::Main;
        let lost = !rules.iter().any(|rule| PolicyRule::read(rule, ROUTE_PROTOCOL).is_some());
        let past = Past { seen: found.lockdown.seen, lost };
        let world = World {
            platform,
            lockdown: Lockdown::first(&rules, netd_routes, past, Instant::now()),
            rules,
            uplink,
            uplink_infos: UplinkInfos::default(),
            device_state: DeviceState::default(),
            tuns: OrderedMap::new(),
            prefixes: None,
            conflicts: Vec::new(),
            awaits_netd: false,
            name_servers: NameServers::default(),
            names: Names::default(),
            strangers: Strangers::default(),
            guests: GuestTable::default(),
        };
        let was_on = found.forwarding.ours;
        let netlink = || Netlink::open().map_err(system("open a netlink socket"));
        let forwarding = Forwarding::new(
            netlink()?,
            Arc::clone(&store),
            found.forwarding,
            ndc,
            config.keep_forwarding,
        )
        .map_err(system("read net.ipv4.ip_forward"))?;
        let links = observe::links(&device)?;
        let left = Segments::left(&links);
        let (fallback, file) = (config.resolvers.clone(), config.resolv_conf.clone());
        let mut daemon = Self {
            config,
            kernel: Kernel { home, netlink: device, monitor, deleter: deleter.clone() },
            store,
            shared: SharedResources {
                connections: Connections::new(&world, forgetter.clone()),
                packet_filter: Managed::new(filter, None),
                segments: Managed::new(Segments::new(netlink()?, deleter.clone()), left),
                policy_routing: Managed::new(PolicyRouting::new(netlink()?, forgetter), None),
                forwarding: Managed::new(forwarding, Some(was_on)),
            },
            world,
            serving: Serving::new().map_err(system("prepare servers for guests"))?,
            resolvers: Resolvers::new(found.resolvers, fallback, file),
            asking: Asking::default(),
            upkeep: Upkeep::new(),
            lifelines: Lifelines::new().map_err(system("watch guests' processes"))?,
            debounce: Debounce::default(),
            detaching: OrderedMap::new(),
            notify,
            _alive: alive,
        };
        daemon.remember_lockdown(found.lockdown.seen);
        let logger = found.logger.as_ref().map(|record| record.name.as_str());
        trace::clear(&daemon.store, logger, daemon.shared.packet_filter.get().programs());
        daemon.adopt(found.records, &links)?;
        daemon.begin(links)?;
        daemon.find_lifelines();
        Ok(daemon)
    }

    /// The first pass: what is there may be an earlier guestnetd's, and is not believed.
    /// `links`: as they were read for it; what has changed since is announced.
    fn begin(&mut self, links: Vec<Link>) -> Result<(), Error> {
        let guests = !self.world.guests.is_empty();
        let lists = guests.then(|| Lists::with(links, &self.kernel.netlink)).transpose()?;
        lists.iter().for_each(|lists| self.take_prefixes(lists));
        self.read_world(&Due { uplink: true, prefixes: true, ..Due::default() })?;
        let netd = self.world.platform.forwarding == ForwardingMode::Netd;
        match self.shared.packet_filter.reconcile(&self.world, Look::Wanted, Trigger::Call) {
            // Guests keep the rules that they have, and calls are answered until it goes on.
            Err(Error::Firewall(e)) if e.is_stuck() => {
                log::error!("firewall: {e}; the start waits no longer, and it is tried again");
            }
            // netd may be starting, whose chains are not all there then, or change meanwhile.
            Err(e) if netd || guests => log::error!("firewall: {e}; it is tried again"),
            other => drop(other?),
        }
        self.shared.packet_filter.clear_leftovers(Instant::now());
        // Not before the packet filter: it may be gone, and guests may be there.
        match self.shared.policy_routing.reconcile(&self.world, Look::Wanted, Trigger::Call) {
            Err(e) if netd || guests => log::error!("policy rules: {e}; it is tried again"),
            other => drop(other?),
        }
        // Guests without what they share with others are guests all the same.
        if let Err(e) = self.shared.segments.reconcile(&self.world, Look::Wanted, Trigger::Call) {
            log::error!("segments: {e}; it is tried again");
        }
        self.doubt_mtus();
        lists.iter().for_each(|lists| self.repair_all_from(lists));
        self.follow_mtu();
        // netd may have started meanwhile, or somebody have written the switch.
        if guests && (netd || !self.shared.forwarding.get().is_on()) {
            self.debounce.trigger(Due { forwarding: true, ..Due::default() }, Instant::now());
        }
        self.reconcile_wanted();
        if let Some(trouble) = self.world.uplink.trouble() {
            log::warn!("uplink: {trouble}");
        }
        Ok(())
    }
}
