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

//! netd is asked for forwarding by a thread of its own: while netd starts it answers nobody, and
//! nobody else has to wait for that.

use crate::daemon::{Daemon, Handle};
use crate::error::Error;
use crate::kernel::sysctl;
use crate::model::forwarding::Switch;
use crate::store::ForwardingRecord;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Notify;

/// What is asked of netd, which may take seconds: while it starts it answers nobody.
#[derive(Debug, Default)]
pub(in crate::daemon) struct Netd {
    /// Told when netd is to be asked.
    pub(in crate::daemon) due: Arc<Notify>,
    /// Whether an answer is waited for. Until it is there nothing is hooked into chains that netd is
    /// about to flush: FORWARD would be open without NAT.
    pub(in crate::daemon) asking: bool,
    /// Whether it was to be asked while an answer was waited for: it may have started in between.
    again: bool,
    /// Whether it has answered just now: what is missing is no reason to ask again.
    pub(in crate::daemon) answered: bool,
}

impl Netd {
    /// Has it asked; once more if it is being asked.
    pub(in crate::daemon) fn ask(&mut self) {
        self.again |= self.asking;
        if !std::mem::replace(&mut self.asking, true) {
            self.due.notify_one();
        }
    }
}

/// Asks netd on a thread of its own, without the owner's lock.
pub(in crate::daemon) fn ask(owner: &Handle) -> Result<(), Error> {
    let with = owner.clone();
    let work = move || {
        let Ok(Some(ndc)) = with.enter(|owner| Ok(owner.ndc.clone())) else { return };
        let result =
            ndc.enable_patiently().map_err(|cause| Error::Forwarding { switch: "on", cause });
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

impl Daemon {
    /// netd has answered.
    fn asked(&mut self, result: Result<(), Error>) {
        self.netd.asking = false;
        self.forwards = sysctl::forwarding().unwrap_or(false);
        // Between its answer and this it may have started anew.
        self.unforwarded = result.is_err() || !self.forwards;
        match result {
            Ok(()) => {
                self.say_forwarding("put back, netd was asked again");
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
    pub(in crate::daemon) fn owes_netd(&self) -> bool {
        let nobody = self.guests.is_empty() && self.leaving.is_empty();
        nobody && self.ndc.is_some() && self.forwarding.netd && self.forwarding.ours
    }
}
