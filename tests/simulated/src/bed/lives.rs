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

//! guestnetd's lives: each begins with a start, and ends with a crash or in good order.

use super::way::NETD;
use super::{Bed, Outcome, Way, MS};
use crate::disk;
use crate::history::CHECK_EVERY;
use crate::schedule::{inside, schedule};
use crate::world::world;
use guestnetd::daemon::{Config, Daemon, Handle};
use std::path::PathBuf;

/// More than any fault keeps it from a start: what cannot be opened may be what every start opens first.
const STARTS: usize = 80;

impl Bed {
    /// Starts guestnetd, again where a fault keeps it from that.
    pub(super) fn start(&mut self) -> Outcome<()> {
        for _ in 0..STARTS {
            self.life += 1;
            let faults = world().faults;
            let (uplink, ndc) = match &self.way {
                Way::Netd(_) => ("default", Some(format!("{NETD}/ndc-wrapper-1.0").into())),
                _ => ("wlan0", None),
            };
            let config = Config {
                uplink: uplink.parse().map_err(|_| "an uplink")?,
                firewall: self.way.options(),
                state_dir: disk::STATE.into(),
                keep_forwarding: false,
                ndc,
                dnsproxyd: PathBuf::new(),
                guest_zone: None,
                resolvers: Vec::new(),
                resolv_conf: None,
                connections: 4096,
                check_every: CHECK_EVERY,
            };
            self.say(|| format!("start, life {}", self.life));
            let begun = self.begin(move || Daemon::spawn(config, |_| {}).map(|(handle, _)| handle));
            match self.answer("the start", &begun)? {
                None => self.bury(),
                Some(Ok(handle)) => {
                    self.daemon = Some(handle);
                    return Ok(());
                }
                // Init starts it again.
                Some(Err(e)) if world().faults > faults => {
                    self.say(|| format!("the start failed: {e}"));
                    self.kill();
                }
                Some(Err(e)) => return Err(format!("the start failed: {e}")),
            }
        }
        Err("it does not start".into())
    }

    /// Starts guestnetd again where it was killed.
    pub(super) fn alive(&mut self) -> Outcome<()> {
        if world().killed {
            self.bury();
        }
        while self.daemon.is_none() {
            self.start()?;
            self.pass(MS);
            if world().killed {
                self.bury();
            }
        }
        Ok(())
    }

    /// What is left of a life that was killed goes.
    pub(super) fn bury(&mut self) {
        self.say(|| format!("life {} was killed", self.life));
        // It holds descriptors that are nobody's any more: nothing of it is run again.
        std::mem::forget(self.daemon.take());
        let life = self.life;
        inside(|| {
            schedule().kill(life);
            world().bury(life);
            world().killed = false;
        });
    }

    pub(super) fn kill(&mut self) {
        inside(|| schedule().kill(self.life));
        self.bury();
    }

    /// It is asked to end, and does.
    pub(super) fn ends(&mut self) -> Outcome<()> {
        let handle = self.handle();
        let answer = self.begin(move || handle.end());
        self.answer("the end", &answer)?;
        self.kill();
        Ok(())
    }

    /// The next life has the other packet filter.
    pub(super) fn change_filter(&mut self) {
        // A policy that drops would drop what nf_tables lets pass.
        if !self.way.has_netd() {
            self.others_chain(2, true);
            self.others.chains.remove(&2);
        }
        std::mem::swap(&mut self.way, &mut self.other);
    }

    pub(super) fn handle(&self) -> Handle {
        self.daemon.clone().expect("it runs")
    }
}
