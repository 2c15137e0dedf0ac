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

//! Asks the resolvers, so that `status` need not guess and guests are sent to one that answers. On a
//! thread that ends when all is known, without the daemon's lock. A round begins when the first guest
//! comes, when uplink or resolvers are others, and when a status finds the last one old; where there is a
//! choice, also at every comparison of everything, and soon again while not all is well.

use super::{Attached, Daemon, Handle};
use crate::effects::kernel::{address, heard, link, route};
use crate::effects::platform::resolv_conf;
use crate::effects::platform::resolver_query::{self, Question};
use crate::model::names::{Answer, Way};
use crate::ordered::{IntoOrdered, OrderedMap, OrderedSet};
use crate::spec::{Dns, Family, IfName, IfPattern};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// How long a resolver has: half of what a guest's own waits at first, and it is asked again within it.
const PATIENCE: Duration = Duration::from_secs(1);
/// Older than this, an answer is no news for a status.
const FRESH: Duration = Duration::from_secs(2);
/// How soon it is asked again while not all is well, at first and at most.
const AGAIN: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(60)];

/// Of those that guests have chosen for themselves, no more are asked.
const MOST_OWN: usize = 64;

/// How far the asking is.
#[derive(Debug, Default)]
pub(in crate::daemon) struct Asking {
    /// Told when there is something to ask.
    pub(in crate::daemon) begins: Arc<Notify>,
    /// Whether there is.
    due: bool,
    /// Whether the thread is there.
    running: bool,
    /// When the last round ended.
    ended: Option<Instant>,
    /// Rounds in a row that ended with something amiss.
    amiss: u32,
}

/// What a round is about: the guests that leave so, a resolver, and how it is asked or why it is not.
type Round = Vec<(Way, Ipv4Addr, Result<Question, Answer>)>;

impl Handle {
    /// Has the resolvers asked where what is known is old, and waits for their answers.
    pub(in crate::daemon) fn await_names(&self) {
        let stale = |daemon: &mut Daemon| Ok(daemon.asking.running || daemon.asks_for_status());
        if !self.enter(stale).unwrap_or(false) {
            return;
        }
        start(self);
        let until = Instant::now() + PATIENCE + PATIENCE / 4;
        let mut daemon = self.daemon.lock().unwrap_or_else(PoisonError::into_inner);
        while daemon.as_ref().is_some_and(|daemon| daemon.asking.running) {
            let left = until.saturating_duration_since(Instant::now());
            let waited = self.names_known.wait_timeout(daemon, left);
            let (guard, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            daemon = guard;
            if timeout.timed_out() {
                return;
            }
        }
    }
}

impl Handle {
    /// A resolver that is silent to us may answer guests: connection tracking has seen whether it did. It
    /// is listed without the daemon's lock.
    pub(in crate::daemon) fn hear_names(&self) {
        let silent = |daemon: &mut Daemon| {
            let server = daemon.world.resolver();
            let server = server.filter(|server| daemon.world.names.is_silent(*server));
            Ok(server.map(|server| {
                (server, daemon.world.guests.leases.subnets().map(|s| s.gateway).into_set())
            }))
        };
        let found: Option<(Ipv4Addr, OrderedSet<Ipv4Addr>)> =
            self.enter(silent).unwrap_or_default();
        let Some((server, gateways)) = found else { return };
        let answered = |gateway: &Ipv4Addr| match heard::just_answered(*gateway) {
            Ok(by) => by.contains(&server),
            Err(e) => {
                log::debug!("connections to {gateway} cannot be listed: {e}");
                false
            }
        };
        if gateways.iter().any(answered) {
            let _ = self.enter(|daemon| {
                daemon.world.names.heard(server);
                Ok(())
            });
        }
    }
}

/// Starts the thread, if it is not there.
pub(in crate::daemon) fn start(handle: &Handle) {
    let begin = |daemon: &mut Daemon| Ok(!std::mem::replace(&mut daemon.asking.running, true));
    if !handle.enter(begin).unwrap_or(false) {
        return;
    }
    let with = handle.clone();
    let spawned = std::thread::Builder::new().name("names".into()).spawn(move || work(&with));
    if let Err(e) = spawned {
        log::error!("a thread that asks resolvers cannot be started: {e}");
        let _ = handle.enter(|daemon| {
            daemon.asking.running = false;
            Ok(())
        });
    }
}

/// The thread.
fn work(handle: &Handle) {
    // Else there is nothing left to ask, or guestnetd ends.
    while let Ok(Some(round)) = handle.enter(|daemon| Ok(daemon.next_round())) {
        let questions: Vec<_> =
            round.iter().filter_map(|(_, _, how)| how.as_ref().ok().cloned()).collect();
        let mut answers = resolver_query::ask(&questions, PATIENCE).into_iter();
        let known = round.into_iter().filter_map(|(way, server, how)| match how {
            Ok(_) => Some((way, server, answers.next()?)),
            Err(answer) => Some((way, server, answer)),
        });
        let known: Vec<_> = known.collect();
        let _ = handle.call(|daemon| {
            daemon.names_are_known(known);
            Ok(())
        });
        // It may be asked again, at a time that the thread which follows does not know of.
        handle.restless.notify_one();
    }
    handle.names_known.notify_all();
}

impl Daemon {
    /// Something may be different: the resolvers are asked, if there is a guest that may ask them.
    pub(in crate::daemon) fn ask_names(&mut self) {
        if !self.world.guests.is_empty() {
            self.asking.due = true;
            self.asking.begins.notify_one();
        }
    }

    /// The same where another one could be taken.
    pub(in crate::daemon) fn ask_names_for_choice(&mut self) {
        if self.has_choice() {
            self.ask_names();
        }
    }

    /// When the resolvers are asked again though nothing has happened.
    pub(in crate::daemon) fn names_at(&self) -> Option<Instant> {
        let choice = self.has_choice() && !self.world.guests.is_empty();
        let amiss = self.asking.amiss.checked_sub(1).filter(|_| choice && !self.asking.running)?;
        let [first, most] = AGAIN;
        let wait = first.saturating_mul(1 << amiss.min(8)).min(most);
        Some(self.asking.ended? + wait)
    }

    /// Whether another resolver could be taken by some guests.
    fn has_choice(&self) -> bool {
        let tuns = self.world.tuns.values().map(|tun| &tun.resolvers);
        tuns.chain([&self.world.uplink.resolvers]).any(|all| all.len() > 1)
    }

    /// Whether a status has to wait for answers.
    fn asks_for_status(&mut self) -> bool {
        let fresh = self.asking.ended.is_some_and(|at| at.elapsed() <= FRESH);
        if self.asking.due || !fresh && !self.world.guests.is_empty() {
            self.asking.due = true;
        }
        self.asking.due
    }

    /// What there is to ask; none: the thread ends.
    fn next_round(&mut self) -> Option<Round> {
        if !std::mem::take(&mut self.asking.due) {
            self.asking.running = false;
            return None;
        }
        Some(self.round())
    }

    /// Each resolver for each way that guests leave by.
    fn round(&self) -> Round {
        let mut ways: OrderedMap<Way, &Attached> = OrderedMap::new();
        for guest in self.world.guests.attached() {
            ways.entry(guest.net.vpn.tun().cloned()).or_insert(guest);
        }
        let mut round = Round::new();
        if self.world.uplink.resolvers.is_empty() {
            // Who answers at the gateway, if somebody does, is asked there.
            let by_uplink = ways.iter().filter(|(way, _)| way.is_none());
            let gateways = by_uplink.map(|(way, guest)| (way.clone(), guest.net.guest.gateway));
            let here = |at: &Ipv4Addr| resolv_conf::is_served_here(|listens| listens == *at);
            let asked = gateways.filter(|(_, at)| here(at));
            round.extend(asked.map(|(way, at)| (way, at, Ok(Question { server: at, by: None }))));
        }
        round.extend(self.own());
        for (way, guest) in ways {
            // What waits for the uplink waits with everything else.
            if way.is_none() && !self.world.uplink.usable() {
                continue;
            }
            for server in self.world.resolvers_behind(&way) {
                round.push((way.clone(), *server, self.question(&way, guest, *server)));
            }
        }
        round
    }

    /// Those that guests have chosen for themselves.
    fn own(&self) -> Round {
        let mut own: OrderedMap<(Way, Ipv4Addr), &Attached> = OrderedMap::new();
        for guest in self.world.guests.attached() {
            let Dns::Servers(servers) = &guest.net.dns else { continue };
            let way = guest.net.vpn.tun().cloned();
            let waits = way.is_none() && !self.world.uplink.usable();
            let can = |server: &IpAddr| match server {
                IpAddr::V4(server) => Some(*server).filter(|at| !at.is_loopback() && !waits),
                IpAddr::V6(_) => None,
            };
            for server in servers.iter().filter_map(can).take(MOST_OWN.saturating_sub(own.len())) {
                if !self.world.resolvers_behind(&way).contains(&server) {
                    own.entry((way.clone(), server)).or_insert(guest);
                }
            }
        }
        let asked = own.into_iter().map(|((way, server), guest)| {
            let question = self.question(&way, guest, server);
            (way, server, question)
        });
        asked.collect()
    }

    /// How a guest's question leaves, as the kernel would send it.
    fn question(&self, way: &Way, guest: &Attached, server: Ipv4Addr) -> Result<Question, Answer> {
        let netlink = &self.kernel.netlink;
        let unread = |e: crate::error::KernelError| Answer::Unasked(e.to_string());
        let passes = route::passing(netlink, guest.index, guest.net.guest.address, server);
        let passes = passes.map_err(unread)?.way().filter(|passes| !passes.local);
        let passes = passes.ok_or(Answer::NoWay)?;
        let link = link::by_index(netlink, passes.index).map_err(unread)?.ok_or(Answer::NoWay)?;
        let vpn = ["tun", "wireguard", "xfrm"].contains(&link.kind.as_str());
        let by = link.name;
        let allowed = match way {
            Some(tun) => tun.as_str() == by,
            None => self.may_leave_by(&by),
        };
        let name = IfName::new(&by).filter(|_| allowed);
        let name = name.ok_or_else(|| Answer::Elsewhere { by: by.clone(), vpn })?;
        let uplink = &self.world.uplink;
        let lent = uplink.index == Some(passes.index) && uplink.usable();
        // The kernel would take another interface's address, for guests as for us; only the uplink is lent one.
        let own = || address::of(netlink, Family::V4, Some(passes.index)).map_err(unread);
        if !lent && own()?.is_empty() {
            return Err(Answer::Unasked(format!("{by} has no IPv4 address")));
        }
        Ok(Question { server, by: Some(name) })
    }

    fn may_leave_by(&self, name: &str) -> bool {
        let allows = |uplink: &IfPattern| uplink.matches(name);
        self.wanted_ruleset().uplinks.iter().any(allows)
    }

    /// A round has ended.
    fn names_are_known(&mut self, known: Vec<(Way, Ipv4Addr, Answer)>) {
        // What has changed meanwhile is asked again, and this was about something else.
        if !self.asking.due {
            let well = |(_, _, answer): &(Way, Ipv4Addr, Answer)| *answer == Answer::Answers;
            self.asking.amiss = match known.iter().all(well) {
                true => 0,
                false => self.asking.amiss.saturating_add(1),
            };
            let before = (self.world.resolver(), self.world.tun_resolvers());
            self.world.names.set(known);
            let now = (self.world.resolver(), self.world.tun_resolvers());
            if before.0 != now.0 {
                let word =
                    |one: Option<Ipv4Addr>| one.map_or("nobody".to_owned(), |a| a.to_string());
                log::warn!("guests' questions go to {}, not to {}", word(now.0), word(before.0));
            }
            if before != now {
                self.reconcile_wanted();
            }
        }
        self.asking.ended = Some(Instant::now());
    }
}
