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

//! The forwarding switch: when guestnetd wrote it, and whether it may write it back.

use crate::daemon::reconcile::backoff::Say;
use crate::daemon::Daemon;
use crate::error::Error;
use crate::kernel::{link, sysctl};
use crate::model::forwarding::{why_it_stays, Facts, Switch};
use crate::model::Step;
use crate::platform::ndc::Ndc;
use crate::store::ForwardingRecord;
use std::time::Instant;

impl Daemon {
    /// The kernel announced that it was written: by us, or by somebody else.
    pub(in crate::daemon) fn forwarding_changed(&mut self, on: bool) {
        if self.switched.front() == Some(&on) {
            self.switched.pop_front();
            return;
        }
        self.due.forwarding |= !on && !self.guests.is_empty();
        // It is netd's, which writes it for all who need it.
        if self.ndc.is_some() {
            return;
        }
        if !self.fights.forwarding.is_hot() {
            log::warn!("net.ipv4.ip_forward was set to {} by somebody else", u8::from(on));
        }
        if self.forwarding.ours {
            let record = ForwardingRecord { contested: true, ..self.forwarding.clone() };
            self.remember_forwarding(record);
        }
    }

    /// What an attach has to do for it; none when it is done.
    pub(in crate::daemon) fn forwarding_step(&self) -> Result<Option<Step>, Error> {
        if self.ndc.is_some() {
            // With other guests there it is being asked again already, and must not be taken back.
            let asked = self.forwarding.ours && self.forwarding.netd;
            let needed = !asked || !self.forwards && self.guests.is_empty();
            return Ok(needed.then_some(Step::ForwardingOn(Switch::Netd)));
        }
        if self.forwards {
            return Ok(None);
        }
        let failed = |cause| Error::Forwarding { switch: "on", cause };
        let before = sysctl::before_forwarding().map_err(failed)?;
        Ok(Some(Step::ForwardingOn(Switch::Sysctl(before))))
    }

    /// Guests are there, and somebody has switched it off, or netd has started and knows of nobody.
    pub(in crate::daemon) fn mend_forwarding(&mut self) -> Result<(), Error> {
        if self.guests.is_empty() {
            self.unforwarded = false;
            return Ok(());
        }
        if !self.fights.forwarding.may_repair(Instant::now()) {
            return Ok(());
        }
        if self.ndc.is_some() {
            self.netd.ask();
            return Ok(());
        }
        let result = self.write_forwarding();
        self.unforwarded = result.is_err();
        result
    }

    fn write_forwarding(&mut self) -> Result<(), Error> {
        let failed = |cause| Error::Forwarding { switch: "on", cause };
        if sysctl::forwarding().map_err(failed)? {
            return Ok(());
        }
        let before = sysctl::before_forwarding().map_err(failed)?;
        sysctl::forwarding_on().map_err(failed)?;
        self.say_forwarding("net.ipv4.ip_forward put back to 1, guests need it");
        self.switched.push_back(true);
        self.forwards = true;
        if !self.forwarding.ours {
            let contested = true;
            let record = ForwardingRecord::of(&Switch::Sysctl(before));
            self.remember_forwarding(ForwardingRecord { contested, ..record });
        }
        Ok(())
    }

    /// It was put back.
    pub(in crate::daemon) fn say_forwarding(&mut self, what: &str) {
        match self.fights.forwarding.repaired(Instant::now()) {
            Say::This => log::warn!("forwarding: {what}"),
            say => say.sum("forwarding: net.ipv4.ip_forward", "who writes 0 to it"),
        }
    }

    /// When the last guest is gone.
    pub(in crate::daemon) fn give_forwarding_back(&mut self) {
        if self.forwarding.netd {
            match self.ndc.as_ref().filter(|_| self.forwarding.ours).map(Ndc::disable) {
                // The record stays, and it is tried again.
                Some(Err(e)) => log::error!("netd still forwards for guestnetd: {e}"),
                told => {
                    if told.is_some() {
                        log::info!("forwarding: netd was told that it is not needed any more");
                    }
                    self.remember_forwarding(ForwardingRecord::default());
                }
            }
            return;
        }
        if !sysctl::forwarding().unwrap_or(false) {
            self.remember_forwarding(ForwardingRecord::default());
            return;
        }
        let facts = match self.forwarding_facts() {
            Ok(facts) => facts,
            Err(e) => {
                log::warn!("net.ipv4.ip_forward stays 1: {e}");
                return;
            }
        };
        if let Some(why) = why_it_stays(&facts) {
            log::info!("net.ipv4.ip_forward stays 1: {why}");
            return;
        }
        match sysctl::forwarding_off(&self.forwarding.before) {
            Ok(()) => {
                log::info!("net.ipv4.ip_forward is 0 again");
                self.switched.push_back(false);
                self.forwards = false;
                self.remember_forwarding(ForwardingRecord::default());
            }
            Err(e) => log::error!("net.ipv4.ip_forward cannot be set to 0: {e}"),
        }
    }

    fn forwarding_facts(&mut self) -> Result<Facts, Error> {
        let ForwardingRecord { ours, contested, .. } = self.forwarding;
        let mut facts =
            Facts { ours, contested, keep: self.config.keep_forwarding, ..Facts::default() };
        if !ours {
            return Ok(facts);
        }
        let failed = |cause| Error::kernel("read the links", cause);
        for link in link::all(&self.device).map_err(failed)? {
            // Ours are guests', or half made and about to go; but for strays, which may be used.
            let ours = link.is_ours() && !self.strays.contains_key(&link.index);
            if ours || link.index == self.uplink.index {
                continue;
            }
            if link.kind == "bridge" {
                facts.bridges.push(link.name);
            } else if link.elsewhere.is_some() {
                facts.elsewhere.push(link.name);
            }
        }
        facts.rule = crate::firewall::foreign::forward_rule();
        Ok(facts)
    }

    pub(in crate::daemon) fn remember_forwarding(&mut self, record: ForwardingRecord) {
        if self.forwarding == record {
            return;
        }
        self.forwarding = record;
        if let Err(e) = self.store.put_forwarding(&self.forwarding) {
            log::error!("{e}");
        }
    }
}
