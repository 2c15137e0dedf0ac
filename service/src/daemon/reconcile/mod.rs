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

//! One pass: the device is read, and what guests share is brought to where it is to be: rules, packet
//! filter, forwarding, resolver, connections of an old address, MTU. It does not matter what was
//! announced, nor whether an announcement was lost.

pub(in crate::daemon) mod backoff;
pub(in crate::daemon) mod debounce;
pub(in crate::daemon) mod event_loop;
mod repair;
pub(in crate::daemon) mod retry;
mod triggers;

use crate::alloc::leases::Leases;
use crate::daemon::reconcile::backoff::Say;
use crate::daemon::reconcile::debounce::Due;
use crate::daemon::{Daemon, GuestEvent, Notice};
use crate::error::Error;
use crate::firewall::{Drift, FirewallError};
use crate::kernel::conntrack::{self, Ends};
use crate::kernel::{rule, sysctl};
use crate::model::policy_rules::{self, Shape};
use crate::platform::resolv_conf;
use crate::uplink::Uplink;
use std::time::Instant;

impl Daemon {
    /// Does what is due.
    pub(in crate::daemon) fn pass(&mut self) {
        let due = std::mem::take(&mut self.due);
        let began = Instant::now();
        self.last_pass = Some(began);
        let noticed = due.announced.map_or(began, |(_, last)| last);
        let failed = |what: &str, result: Result<(), Error>| {
            if let Err(e) = result {
                log::error!("{what}: {e}");
            }
        };
        failed("the rules could not be read", self.read_rules(&due));
        let moved = self.read_uplink(&due).unwrap_or_else(|e| {
            log::error!("the uplink could not be followed: {e}");
            None
        });
        let reset = self.refresh_leads().unwrap_or_else(|e| {
            log::error!("the rules could not be set: {e}");
            false
        });
        if moved.is_some() {
            self.forget_source();
        }
        // Tuns that guests leave by are looked at with the uplink: what concerns one concerns both.
        let resized = due.uplink && self.read_tuns();
        for index in &due.guests {
            self.mend(*index);
        }
        // netd's start takes its switch, jumps and rules, and announces the first and the last of these.
        if due.forwarding || reset && !self.netd.answered && self.netd_may_have_started() {
            failed("forwarding", self.mend_forwarding());
        }
        failed("the packet filter", self.refresh_firewall());
        let netd = matches!(self.shape, Shape::Netd { .. });
        if (due.firewall || netd) && !self.netd.asking && !self.firewall_waits() {
            failed("the packet filter", self.mend_firewall(due.firewall, reset));
        }
        if let Some(previous) = moved {
            self.uplink_moved(previous, noticed);
        } else if resized {
            self.follow_mtu();
        }
    }

    fn read_rules(&mut self, due: &Due) -> Result<(), Error> {
        // Where netd routes, what the default network is stands in the rules.
        let by_rules = due.uplink && matches!(self.shape, Shape::Netd { .. });
        if !due.rules && !by_rules {
            return Ok(());
        }
        self.reread_rules()?;
        let lockdown = policy_rules::lockdown(&self.rules);
        if lockdown != self.lockdown {
            self.lockdown = lockdown;
            log::info!("a lockdown VPN is {}", if lockdown { "up" } else { "gone" });
        }
        match Shape::of(&self.rules) {
            Some(shape) if shape != self.shape => self.reshape(shape),
            _ => {}
        }
        Ok(())
    }

    pub(in crate::daemon) fn reread_rules(&mut self) -> Result<(), Error> {
        let failed = |cause| Error::kernel("read the policy-routing rules", cause);
        self.rules = rule::all(&self.device).map_err(failed)?;
        Ok(())
    }

    /// The device routes in another way than it did.
    fn reshape(&mut self, shape: Shape) {
        log::info!("the device routes by {} now", shape.name());
        self.shape = shape;
        self.prefixes = None;
        for guest in self.guests.values_mut() {
            guest.net = guest.net.clone().routed(shape);
        }
        self.mend_all();
    }

    /// Reads the uplink anew; what it was, if it is another one now.
    fn read_uplink(&mut self, due: &Due) -> Result<Option<Uplink>, Error> {
        if !due.uplink && !due.rules {
            return Ok(None);
        }
        let mut current =
            Uplink::observe(&self.device, &self.config.uplink, self.shape, &self.rules)?;
        self.resolv_written = self.config.resolv_conf.as_deref().and_then(resolv_conf::written);
        current.resolvers = self.resolvers_behind(current.name.as_ref());
        if current == self.uplink {
            return Ok(None);
        }
        Ok(Some(std::mem::replace(&mut self.uplink, current)))
    }

    /// After the rules and the packet filter: the rest that follows from another uplink.
    fn uplink_moved(&mut self, previous: Uplink, noticed: Instant) {
        let current = self.uplink.clone();
        let gap = u64::try_from(noticed.elapsed().as_micros()).unwrap_or(u64::MAX);
        match current.trouble() {
            None => log::info!("uplink: {current}, {gap} us after the kernel's last notice"),
            Some(trouble) => log::warn!("uplink: {trouble}"),
        }
        let turned = current.usable() != previous.usable();
        (self.notify)(Notice::Uplink { previous, current, gap });
        if turned {
            let guests: Vec<_> = self.guests.values().map(|g| self.seen(g)).collect();
            for guest in guests {
                (self.notify)(Notice::Guest(GuestEvent::State, guest));
            }
        }
        self.follow_mtu();
    }

    /// Connections that left with an address that the uplink has no more go on with it, to nobody's
    /// use. An address that comes back finds its own.
    fn forget_source(&mut self) {
        let Some(address) = self.uplink.address.filter(|_| self.uplink.usable()) else { return };
        if let Some(old) = self.source.replace(address).filter(|old| *old != address) {
            self.forget_connections(&format!("of the uplink's address {old}"), &|ends, guests| {
                ends.answered_to == old && guests.subnet_with(ends.from).is_some()
            });
        }
    }

    pub(in crate::daemon) fn forget_connections(
        &self,
        which: &str,
        such: &dyn Fn(&Ends, &Leases) -> bool,
    ) {
        match conntrack::forget_all(&|ends| such(ends, &self.leases)) {
            Ok(0) => {}
            Ok(n) => log::info!("{n} connections {which} forgotten"),
            Err(e) => log::warn!("connections {which} stay: {e}"),
        }
    }

    /// Sets the packet filter to what it is to be now. What fails is tried again later.
    pub(in crate::daemon) fn refresh_firewall(&mut self) -> Result<(), Error> {
        let ruleset = self.ruleset_with(None);
        let done = ruleset == self.ruleset && self.firewall_error.is_none();
        // What is hooked in before netd's answer may be flushed in part; the answer brings another pass.
        if done || self.netd.asking || self.firewall_waits() {
            return Ok(());
        }
        let result = self.firewall.apply(&ruleset);
        self.note_firewall(&result);
        result?;
        log::info!("firewall: {}", ruleset.ways_out());
        if let Some(what) = self.firewall_lacks.take() {
            log::warn!("firewall: put back: {what}");
        }
        let before = std::mem::replace(&mut self.ruleset, ruleset);
        if before.resolver != self.ruleset.resolver {
            // Who asks again from the same port would be answered by the old one, or by nobody.
            self.forget_connections("to the resolver", &|ends, guests| {
                ends.to != ends.answered_by
                    && guests.subnet_with(ends.from).is_some_and(|s| s.gateway == ends.to)
            });
        }
        Ok(())
    }

    /// Whether a program hung a moment ago: others wait for the owner while one does.
    fn firewall_waits(&self) -> bool {
        self.firewall_stuck && self.retry.waits(Instant::now())
    }

    fn note_firewall(&mut self, result: &Result<(), FirewallError>) {
        self.firewall_error = result.as_ref().err().map(ToString::to_string);
        self.firewall_stuck = result.as_ref().is_err_and(FirewallError::is_stuck);
        if result.is_err() {
            self.retry.failed(Instant::now());
        }
    }

    /// netd's start takes more than a rule, which anybody may take.
    fn netd_may_have_started(&mut self) -> bool {
        let forwards = sysctl::forwarding().unwrap_or(false);
        !forwards || matches!(self.firewall.drift(&self.ruleset), Ok(Some(Drift::Changed(_))))
    }

    /// Puts back what others have taken from the packet filter. Where the rules cannot be read, all are
    /// written when netd has started anew (`reset`), and the jumps to them are asked for when it is
    /// time to compare (`due`).
    fn mend_firewall(&mut self, due: bool, reset: bool) -> Result<(), Error> {
        let result = match self.firewall.drift(&self.ruleset)? {
            None => return Ok(()),
            Some(Drift::Changed(what)) => {
                let now = Instant::now();
                if !self.fights.firewall.may_repair(now) {
                    return Ok(());
                }
                let (result, say) =
                    (self.firewall.apply(&self.ruleset), self.fights.firewall.repaired(now));
                match say {
                    Say::This if result.is_ok() => log::warn!("firewall: put back: {what}"),
                    Say::This => {}
                    say => say.sum(&format!("firewall: {what}"), "who runs iptables or nft"),
                }
                self.firewall_lacks = result.is_err().then_some(what);
                result
            }
            Some(Drift::Unreadable(_)) if reset => {
                log::warn!("firewall: all rules are written anew, as netd has started");
                self.firewall.reapply(&self.ruleset)
            }
            Some(Drift::Unreadable(_)) if due => self.firewall.apply(&self.ruleset),
            Some(Drift::Unreadable(_)) => return Ok(()),
        };
        self.note_firewall(&result);
        Ok(result?)
    }
}
