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

//! IPv4 forwarding: when guestnetd switched it on, and whether it may switch it off again. The kernel
//! has one switch and no owner for it; netd has one, and counts who needs it.

use super::{Done, Ending, SharedResource, Task, Trigger};
use crate::effects::firewall::diagnose::ForwardRules;
use crate::effects::kernel::netlink::Netlink;
use crate::effects::kernel::{link, sysctl};
use crate::effects::platform::ndc::Ndc;
use crate::error::Error;
use crate::model::change::Change;
use crate::model::forwarding::{why_it_stays, Facts, Switch};
use crate::model::if_index::IfIndex;
use crate::model::ruleset::Strangers;
use crate::model::world::World;
use crate::store::{ForwardingRecord, Store};
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::Notify;

/// The switch of the network namespace that it was opened in.
pub(crate) struct Forwarding {
    netlink: Netlink,
    store: Arc<Store>,
    /// Whether it stays on when the last guest is gone.
    keep: bool,
    rules: ForwardRules,
    /// The way to netd, where that is asked.
    netd: Option<Netd>,
    /// What the switch was last read or announced as.
    on: bool,
    /// What we have set it to and the kernel has not announced yet.
    unannounced: Unannounced,
    record: ForwardingRecord,
    /// What the record was before the call under way has switched it on.
    before_call: Option<ForwardingRecord>,
}

/// What we have written, the oldest first.
#[derive(Debug, Default)]
struct Unannounced(VecDeque<bool>);

impl Unannounced {
    /// Whether an announcement is of one of these, which is taken out. The kernel announces in the order of writing:
    /// what is before that one was never written, though nobody could read then whether it was. (Or it is another
    /// program's, from between two of ours, and the rest of ours are taken for others' then.)
    fn take(&mut self, on: bool) -> bool {
        let at = self.0.iter().position(|own| *own == on);
        at.is_some_and(|at| self.0.drain(..=at).next().is_some())
    }
}

/// netd is asked by a thread of its own while nobody waits for it: while it starts it answers nobody.
struct Netd {
    ndc: Ndc,
    /// Told when it is to be asked.
    due: Arc<Notify>,
    asking: Asking,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asking {
    /// It is not being asked.
    No,
    /// An answer is waited for.
    Yes,
    /// The same; it may have started in between, and is asked once more.
    Again,
}

/// A request to netd for forwarding that may take as long as netd takes to start.
pub(crate) struct NetdRequest(Ndc);

impl NetdRequest {
    /// Asks, and waits for the answer.
    pub(crate) fn ask(self) -> Result<(), Error> {
        let failed = |cause| Error::Forwarding { switch: "on", cause };
        self.0.enable_patiently().map_err(failed)
    }
}

const NETD_ASKED: &str = "netd was asked, and has not answered yet";

impl Forwarding {
    /// Reads the switch.
    pub(crate) fn new(
        netlink: Netlink,
        store: Arc<Store>,
        record: ForwardingRecord,
        ndc: Option<Ndc>,
        keep: bool,
    ) -> std::io::Result<Self> {
        let netd = ndc.map(|ndc| Netd { ndc, due: Arc::default(), asking: Asking::No });
        Ok(Self {
            netlink,
            store,
            keep,
            rules: ForwardRules::default(),
            netd,
            on: sysctl::forwarding()?,
            unannounced: Unannounced::default(),
            record,
            before_call: None,
        })
    }

    /// Whether it stays on when the last guest is gone.
    pub(crate) fn keep(&mut self, keep: bool) {
        self.keep = keep;
    }

    /// Whether guestnetd switched it on, or has it of netd.
    pub(crate) fn is_ours(&self) -> bool {
        self.record.ours
    }

    /// What the switch was last read or announced as.
    pub(crate) fn is_on(&self) -> bool {
        self.on
    }

    /// Told when netd is to be asked.
    pub(crate) fn due(&self) -> Arc<Notify> {
        self.netd.as_ref().map(|netd| Arc::clone(&netd.due)).unwrap_or_default()
    }

    /// Whether netd was asked and has not answered.
    pub(crate) fn awaits_netd(&self) -> bool {
        self.netd.as_ref().is_some_and(|netd| netd.asking != Asking::No)
    }

    /// Reads the switch again: announcements were lost, or a while has passed.
    pub(crate) fn reread(&mut self, announcements_lost: bool) {
        if announcements_lost {
            // Among what was lost may be the announcement of our own writes.
            self.unannounced = Unannounced::default();
        }
        self.on = sysctl::forwarding().unwrap_or(false);
    }

    /// The kernel announced that it was written. Tells whether that was somebody else's doing.
    pub(crate) fn announced(&mut self, on: bool, contested: bool) -> bool {
        // It may be older than what was written since: netd switches it off after a hotspot, and is
        // asked by us right after that.
        self.on = sysctl::forwarding().unwrap_or(on);
        if self.unannounced.take(on) {
            return false;
        }
        // netd writes it for all who need it.
        if self.netd.is_some() {
            return self.on == on;
        }
        if !contested {
            log::warn!("net.ipv4.ip_forward was set to {} by another program", u8::from(on));
        }
        if self.record.ours {
            let record = ForwardingRecord { contested: true, ..self.record.clone() };
            self.remember_or_say(record);
        }
        true
    }

    /// The request that netd has not answered yet.
    pub(crate) fn request(&self) -> Option<NetdRequest> {
        self.netd.as_ref().map(|netd| NetdRequest(netd.ndc.clone()))
    }

    /// netd has answered. Tells whether it is to be asked once more.
    pub(crate) fn answered(&mut self, result: &Result<(), Error>) -> bool {
        self.on = sysctl::forwarding().unwrap_or(false);
        // What netd did not answer it may do all the same: that is taken back later.
        if !result.as_ref().is_err_and(|e| !e.is_unanswered()) {
            self.remember_or_say(ForwardingRecord::of(&Switch::Netd));
        }
        match &mut self.netd {
            Some(netd) => std::mem::replace(&mut netd.asking, Asking::No) == Asking::Again,
            None => false,
        }
    }

    fn switch_on(&mut self, trigger: Trigger) -> Result<Done, Error> {
        let failed = |cause| Error::Forwarding { switch: "on", cause };
        self.on = sysctl::forwarding().map_err(failed)?;
        if self.on {
            return Ok(Done::Applied);
        }
        let record = match self.record.ours && !self.record.netd {
            // Somebody has switched it off, or it was not given back whole: what was on before is known from the
            // first time.
            true => self.record.clone(),
            false => {
                let before = sysctl::before_forwarding().map_err(failed)?;
                let contested = trigger != Trigger::Call;
                ForwardingRecord { contested, ..ForwardingRecord::of(&Switch::Sysctl(before)) }
            }
        };
        // Before it is written: after a crash the next start knows whose it is.
        let was = self.remember(record)?;
        if let Err(cause) = sysctl::forwarding_on() {
            // Only its answer may be lost. If it cannot be taken back now, the record says whose it is.
            if !sysctl::forwarding().unwrap_or(true) {
                self.remember_or_say(was);
            } else {
                self.unannounced.0.push_back(true);
                if let Err(e) = self.switch_off(was) {
                    log::error!("{e}");
                }
            }
            return Err(failed(cause));
        }
        log::info!("forwarding: net.ipv4.ip_forward set to 1, which guests need");
        self.unannounced.0.push_back(true);
        self.on = true;
        if trigger == Trigger::Call {
            self.before_call = Some(was);
        }
        Ok(Done::Applied)
    }

    fn switch_off(&mut self, to: ForwardingRecord) -> Result<(), Error> {
        let failed = |cause| Error::Forwarding { switch: "off", cause };
        let was_on = sysctl::forwarding().map_err(failed)?;
        let done = sysctl::forwarding_off();
        // Its 0 is announced, and ours, whatever becomes of the rest; of a write that failed only the answer may
        // be lost. A 0 where there is a 0 already is not announced (devinet_sysctl_forward()).
        if was_on && (done.is_ok() || !sysctl::forwarding().unwrap_or(true)) {
            self.unannounced.0.push_back(false);
        }
        done.and_then(|()| sysctl::put_back(&self.record.before)).map_err(failed)?;
        self.on = false;
        self.remember_or_say(to);
        Ok(())
    }

    /// netd is asked while a caller waits.
    fn ask_now(&mut self, world: &World) -> Result<Done, Error> {
        let Some(netd) = &self.netd else { return Ok(Done::Applied) };
        if self.record.ours && self.record.netd {
            if self.on {
                return Ok(Done::Applied);
            }
            // For the guests that are there it must not be taken back, whatever becomes of this one.
            if !world.guests.is_empty() {
                return Ok(self.ask_later());
            }
        }
        let ndc = netd.ndc.clone();
        let was = self.remember(ForwardingRecord::of(&Switch::Netd))?;
        if let Err(cause) = ndc.enable() {
            let e = Error::Forwarding { switch: "on", cause };
            // What netd did not answer it may do all the same: that is taken back later.
            if !e.is_unanswered() {
                self.remember_or_say(was);
            }
            return Err(e);
        }
        self.before_call = Some(was);
        Ok(Done::Applied)
    }

    /// netd is asked while nobody waits; once more if it is being asked.
    pub(crate) fn ask_later(&mut self) -> Done {
        if let Some(netd) = &mut self.netd {
            netd.asking = match netd.asking {
                Asking::No => {
                    netd.due.notify_one();
                    Asking::Yes
                }
                Asking::Yes | Asking::Again => Asking::Again,
            };
        }
        Done::Asked(NETD_ASKED)
    }

    /// After a call that failed: exactly what it has switched on, and what was still to be done before it.
    fn undo(&mut self, on: bool, world: &World) -> Result<Done, Error> {
        match (self.before_call.take(), &self.netd) {
            (None, _) => {}
            (Some(was), Some(netd)) => {
                let ndc = netd.ndc.clone();
                ndc.disable().map_err(|cause| Error::Forwarding { switch: "off", cause })?;
                self.remember_or_say(was);
            }
            (Some(was), None) => self.switch_off(was)?,
        }
        match on {
            // It could not be put back for guests that are there.
            true if !self.on && self.netd.is_some() => Ok(self.ask_later()),
            true if !self.on => self.switch_on(Trigger::Event),
            // It could not be given back when the last guest went.
            false if self.record.ours => self.give_back(world).map(|()| Done::Applied),
            _ => Ok(Done::Applied),
        }
    }

    /// When nobody needs it any more.
    fn give_back(&mut self, world: &World) -> Result<(), Error> {
        let failed = |cause| Error::Forwarding { switch: "off", cause };
        if self.record.netd {
            if let Some(netd) = self.netd.as_ref().filter(|_| self.record.ours) {
                // The record stays until it is done.
                netd.ndc.disable().map_err(failed)?;
                log::info!("forwarding: netd was told that it is no longer needed");
            }
            self.remember_or_say(ForwardingRecord::default());
            return Ok(());
        }
        // Where we have begun to switch it off, the rest is still to be put back.
        let half_done = self.record.ours && !self.record.contested;
        if !sysctl::forwarding().map_err(failed)? && !half_done {
            self.remember_or_say(ForwardingRecord::default());
            return Ok(());
        }
        if let Some(why) = why_it_stays(&self.facts(world, self.record.ours)?) {
            log::info!("net.ipv4.ip_forward stays 1: {why}");
            return Ok(());
        }
        self.switch_off(ForwardingRecord::default())?;
        log::info!("net.ipv4.ip_forward is 0 again");
        Ok(())
    }

    /// What may pass that is not a guest's: where the 1 is ours, or will be, nothing that nobody else
    /// may need.
    pub(crate) fn strangers(&self, world: &World) -> Result<Strangers, Error> {
        let ours = self.record.ours || !self.on;
        if self.netd.is_some() || !ours || self.record.contested {
            return Ok(Strangers::Pass);
        }
        Ok(match why_it_stays(&self.facts(world, ours)?) {
            None => Strangers::Nowhere,
            Some(_) => Strangers::NotFromWaysOut,
        })
    }

    fn facts(&self, world: &World, ours: bool) -> Result<Facts, Error> {
        let contested = self.record.contested;
        let mut facts = Facts { ours, contested, keep: self.keep, ..Facts::default() };
        if !ours {
            return Ok(facts);
        }
        let unadopted: Vec<IfIndex> = world.guests.unadopted_links().collect();
        let failed = |cause| Error::kernel("read the links", cause);
        for link in link::all(&self.netlink).map_err(failed)? {
            // Guests' are ours, whatever name others have given them, and so are those that are half made and
            // about to go; but those that nobody knows may be used.
            let half_made = link.is_ours() && !unadopted.contains(&link.index);
            // Nothing is routed by a segment's device.
            let ours = world.guests.has_link(link.index) || half_made || link.was_hub();
            if ours || world.uplink.ways_out().any(|name| name.as_str() == link.name) {
                continue;
            }
            if link.kind == "bridge" {
                facts.bridges.push(link.name);
            } else if link.elsewhere.is_some() {
                facts.elsewhere.push(link.name);
            }
        }
        facts.rule = self.rules.any();
        Ok(facts)
    }

    /// Keeps the record, and gives what it was.
    fn remember(&mut self, record: ForwardingRecord) -> Result<ForwardingRecord, Error> {
        if self.record != record {
            self.store.put_forwarding(&record, &self.record)?;
        }
        Ok(std::mem::replace(&mut self.record, record))
    }

    /// The same where the switch was written already.
    fn remember_or_say(&mut self, record: ForwardingRecord) {
        if self.record == record {
            return;
        }
        if let Err(e) = self.store.put_forwarding_or_owe(record.clone()) {
            log::error!("{e}: it is tried again");
        }
        self.record = record;
    }
}

impl SharedResource for Forwarding {
    /// Whether guests need it.
    type Want = bool;
    const NAME: &'static str = "forwarding";
    const FIND: &'static str = "who writes 0 to it";

    fn want(world: &World) -> bool {
        world.guests.need_forwarding()
    }

    fn changes(&self, _from: Option<&bool>, to: &bool) -> Vec<Change> {
        match (to, &self.netd) {
            (true, None) if self.on => Vec::new(),
            (to, None) => vec![Change::forwarding(*to)],
            (to, Some(_)) => vec![Change::forwarding_by_netd(*to)],
        }
    }

    /// To be asked only where it was announced that it was switched off, or where netd may have
    /// started and knows of nobody.
    fn drift(&mut self, want: &bool, _world: &World) -> Result<Option<String>, Error> {
        let lost = *want && (self.netd.is_some() || !self.on);
        Ok(lost.then(|| "net.ipv4.ip_forward, which guests need to be 1".into()))
    }

    fn apply(&mut self, task: &Task<'_, bool>) -> Result<Done, Error> {
        if task.trigger == Trigger::Call {
            self.before_call = None;
        }
        match (*task.to, self.netd.is_some(), task.trigger) {
            (on, _, Trigger::Undo) => self.undo(on, task.world),
            (true, false, trigger) => self.switch_on(trigger),
            (true, true, Trigger::Call) => self.ask_now(task.world),
            (true, true, Trigger::Event) => Ok(self.ask_later()),
            (false, ..) => self.give_back(task.world).map(|()| Done::Applied),
        }
    }

    /// It was given back with the last guest.
    fn clear(&mut self, _: Ending) -> Result<(), Error> {
        Ok(())
    }

    /// Only netd may keep its callers waiting.
    fn is_stuck(&self, failure: &Error) -> bool {
        self.netd.is_some() && failure.is_unanswered()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effects::kernel::testing::in_a_netns;

    #[test]
    fn a_write_that_was_none_does_not_make_the_next_ones_others() {
        // The first could not be read back, and was never announced.
        let mut own = Unannounced([true, true, false].into());
        assert!(own.take(true) && own.take(false) && own.0.is_empty());
        assert!(!own.take(false) && !own.take(true), "somebody else's");
        let mut own = Unannounced([true].into());
        assert!(!own.take(false) && own.take(true));
    }

    #[test]
    fn what_is_due_when_a_call_fails_is_done() {
        in_a_netns(|_| {
            let name = format!("guestnetd-forwarding-{}", std::process::id());
            let dir = std::env::temp_dir().join(name);
            let _ = std::fs::remove_dir_all(&dir);
            let store = Arc::new(Store::open(&dir).unwrap().0);
            let record = ForwardingRecord::default();
            let netlink = Netlink::open().unwrap();
            let mut it = Forwarding::new(netlink, store, record, None, false).unwrap();
            let world = World::empty();
            let apply = |it: &mut Forwarding, to: bool, trigger| {
                let task = Task { from: None, to: &to, world: &world, trigger, failing: false };
                it.apply(&task).unwrap();
                sysctl::forwarding().unwrap()
            };
            let redirects = "/proc/sys/net/ipv4/conf/all/accept_redirects";
            std::fs::write(redirects, "0").unwrap();
            assert!(apply(&mut it, true, Trigger::Call));

            // Others have taken it, it could not be put back, and now an attach has failed.
            std::fs::write("/proc/sys/net/ipv4/ip_forward", "0").unwrap();
            (it.on, it.before_call) = (false, None);
            assert!(apply(&mut it, true, Trigger::Undo));
            assert!(!apply(&mut it, false, Trigger::Event));
            assert_eq!(std::fs::read_to_string(redirects).unwrap(), "0\n");

            // It could not be given back.
            assert!(apply(&mut it, true, Trigger::Call));
            it.before_call = None;
            assert!(!apply(&mut it, false, Trigger::Undo));
            assert_eq!(std::fs::read_to_string(redirects).unwrap(), "0\n");
            assert!(!it.is_ours());
            std::fs::remove_dir_all(&dir).unwrap();
        });
    }
}
