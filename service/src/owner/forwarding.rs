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

use super::{Handle, Owner};
use crate::error::Error;
use crate::kernel::ndc::Ndc;
use crate::kernel::{links, sysctl};
use crate::plan::forwarding::{why_it_stays, Facts, Switch};
use crate::plan::Step;
use crate::store::ForwardingRecord;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Notify;

impl Owner {
    /// The kernel announced that it was written: by us, or by somebody else.
    pub(super) fn forwarding_changed(&mut self, on: bool) {
        if self.switched.front() == Some(&on) {
            self.switched.pop_front();
            return;
        }
        self.due.forwarding |= !on && !self.guests.is_empty();
        // It is netd's, which writes it for all who need it.
        if self.ndc.is_some() {
            return;
        }
        log::warn!("net.ipv4.ip_forward was set to {} by somebody else", u8::from(on));
        if self.forwarding.ours {
            let record = ForwardingRecord { contested: true, ..self.forwarding.clone() };
            self.remember_forwarding(record);
        }
    }

    /// What an attach has to do for it; none when it is done.
    pub(super) fn forwarding_step(&self) -> Result<Option<Step>, Error> {
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
    pub(super) fn mend_forwarding(&mut self) -> Result<(), Error> {
        if self.guests.is_empty() {
            self.unforwarded = false;
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
        log::warn!("forwarding: net.ipv4.ip_forward put back to 1, guests need it");
        self.switched.push_back(true);
        self.forwards = true;
        if !self.forwarding.ours {
            let contested = true;
            let record = ForwardingRecord::of(&Switch::Sysctl(before));
            self.remember_forwarding(ForwardingRecord { contested, ..record });
        }
        Ok(())
    }

    /// netd has answered.
    fn asked(&mut self, result: Result<(), Error>) {
        self.netd.asking = false;
        self.forwards = sysctl::forwarding().unwrap_or(false);
        // Between its answer and this it may have started anew.
        self.unforwarded = result.is_err() || !self.forwards;
        match result {
            Ok(()) => {
                log::warn!("forwarding: put back, netd was asked again");
                self.remember_forwarding(ForwardingRecord::of(&Switch::Netd));
            }
            Err(e) => log::error!("forwarding: {e}"),
        }
        if self.guests.is_empty() {
            self.unforwarded = false;
            self.give_forwarding_back();
        } else if std::mem::take(&mut self.netd.again) {
            self.netd.ask();
        }
        // It was not there before: what it does when it starts is done now.
        self.netd.answered = true;
        self.due.add_all(Instant::now());
        self.settle();
        self.netd.answered = false;
    }

    /// Whether netd forwards for guests that are gone.
    pub(super) fn owes_netd(&self) -> bool {
        let nobody = self.guests.is_empty() && self.leaving.is_empty();
        nobody && self.ndc.is_some() && self.forwarding.netd && self.forwarding.ours
    }

    /// When the last guest is gone.
    pub(super) fn give_forwarding_back(&mut self) {
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
        for link in links::all(&self.device).map_err(failed)? {
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

    pub(super) fn remember_forwarding(&mut self, record: ForwardingRecord) {
        if self.forwarding == record {
            return;
        }
        self.forwarding = record;
        if let Err(e) = self.store.put_forwarding(&self.forwarding) {
            log::error!("{e}");
        }
    }
}

/// What is asked of netd, which may take seconds: while it starts it answers nobody.
#[derive(Debug, Default)]
pub(super) struct Netd {
    /// Told when netd is to be asked.
    pub(super) due: Arc<Notify>,
    /// Whether an answer is waited for. Until it is there nothing is hooked into chains that netd is
    /// about to flush: FORWARD would be open without NAT.
    pub(super) asking: bool,
    /// Whether it was to be asked while an answer was waited for: it may have started in between.
    again: bool,
    /// Whether it has answered just now: what is missing is no reason to ask again.
    pub(super) answered: bool,
}

impl Netd {
    fn ask(&mut self) {
        self.again |= self.asking;
        if !std::mem::replace(&mut self.asking, true) {
            self.due.notify_one();
        }
    }
}

/// Asks netd on a thread of its own, without the owner's lock.
pub(super) fn ask(owner: &Handle) -> Result<(), Error> {
    let with = owner.clone();
    let work = move || {
        let Ok(Some(ndc)) = with.enter(|owner| Ok(owner.ndc.clone())) else { return };
        let result = ndc.enable().map_err(|cause| Error::Forwarding { switch: "on", cause });
        // Else guestnetd ends.
        let _ = with.call(|owner| {
            owner.asked(result);
            Ok(())
        });
    };
    let spawned = std::thread::Builder::new().name("netd".into()).spawn(work);
    let Err(cause) = spawned else { return Ok(()) };
    owner.enter(|owner| {
        owner.asked(Err(Error::Forwarding { switch: "on", cause }));
        Ok(())
    })
}
