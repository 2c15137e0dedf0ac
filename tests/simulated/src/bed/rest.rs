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

//! At rest nothing goes wrong any more, and all is as it should be after a while.

use super::guests::{name, MOVED};
use super::{Bed, Known, Outcome, S};
use crate::disk;
use crate::history::GUESTS;
use crate::netd;
use crate::schedule::{inside, Nanos};
use crate::segments;
use crate::world::world;
use guestnetd::daemon::{Attached, Whose};
use std::collections::BTreeMap;

/// After that everything that is tried again has been, and everything has been compared.
const REST: Nanos = 400 * S;
/// More than one life of guestnetd's ever needs.
const DESCRIPTORS: usize = 64;

impl Bed {
    /// Everything comes to rest: nothing goes wrong any more, and all is as it should be after a while.
    pub fn rest(&mut self) -> Outcome<()> {
        world().expect(None);
        inside(|| world().hear_late());
        match self.way.has_netd() {
            true => netd::whole(),
            false => self.uplink_comes(),
        }
        self.others.netd = netd::netd().map(|netd| netd.wanted.clone());
        inside(|| self.others_routes());
        self.pass(REST);
        self.alive()?;
        self.faults_before = world().faults;
        let handle = self.handle();
        let listed = self.begin(move || {
            let all = handle.list(Whose::Everyones).map_err(|e| e.to_string())?;
            let one = |guest: &Attached| (guest.name().to_string(), guest.net.guest.address);
            Ok::<_, String>(all.iter().map(one).collect::<BTreeMap<_, _>>())
        });
        let listed = self.answer("list", &listed)?.ok_or("it was killed at rest")??;
        for guest in 0..GUESTS {
            let is = listed.contains_key(name(guest).as_str());
            let at = listed.get(name(guest).as_str()).copied();
            self.at[guest] = at.filter(|address| *address == MOVED);
            match (self.known[guest], is) {
                (Known::Attached, false) => return Err(format!("{} is lost", name(guest))),
                (Known::Detached, true) => return Err(format!("{} is still there", name(guest))),
                (_, true) => self.known[guest] = Known::Attached,
                (_, false) => self.known[guest] = Known::Detached,
            }
        }
        let anybody = self.known.contains(&Known::Attached);
        let said = if anybody { self.said()? } else { Vec::new() };
        for guest in 0..GUESTS {
            self.check(guest, listed.get(name(guest).as_str()).copied(), &said)?;
        }
        let address = |guest| Some((guest, *listed.get(name(guest).as_str())?));
        let there: Vec<_> = (0..GUESTS).filter_map(address).collect();
        inside(|| segments::reached(&there))?;
        let count = inside(|| world().descriptors(self.life));
        if count > DESCRIPTORS {
            return Err(format!("{count} descriptors are open"));
        }
        match inside(set_aside) {
            Some(path) => Err(format!("the state was whole, and {path} was made of it")),
            None => Ok(()),
        }
    }

    /// The last rest: where there is no guest nothing is compared, so that one comes and goes.
    pub fn last_rest(&mut self) -> Outcome<()> {
        if self.way.has_netd() {
            netd::settles();
        }
        self.rest()?;
        if self.known.iter().all(|known| *known == Known::Detached) {
            self.attach(0)?.map_err(|e| format!("at the end: {e}"))?;
            self.detach(0)?.map_err(|e| format!("at the end: {e}"))?;
            self.rest()?;
        }
        Ok(())
    }
}

/// What guestnetd has set aside of its state. Nobody damages a file here, and there is one boot.
fn set_aside() -> Option<String> {
    let dirs = [disk::STATE.to_owned(), format!("{}/guests", disk::STATE)];
    let all = dirs.iter().filter_map(|dir| world().disk.list(dir).ok()).flatten();
    all.map(|(name, _)| name).find(|name| name.ends_with(".aside"))
}
