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

//! Others' things beside guestnetd's, and what others do to guestnetd's.

use super::{Bed, Way};
use crate::device;
use crate::netd::{self, Doing, Wanted};
use crate::schedule::inside;
use crate::tables;
use crate::world::world;
use std::collections::BTreeSet;

/// Others' things, as they are.
#[derive(Clone, Debug, Default)]
pub(super) struct Others {
    pub(super) rules: BTreeSet<u8>,
    pub(super) routes: BTreeSet<u8>,
    pub(super) tables: BTreeSet<u8>,
    /// The same in x_tables.
    pub(super) chains: BTreeSet<u8>,
    /// Whether others have written the forwarding switch. From then on it is shared: it is not given
    /// back, and what is not guests' passes (`model/forwarding.rs`).
    pub(super) switch: bool,
    /// What the framework wants of netd.
    pub(super) netd: Option<Wanted>,
}

impl Bed {
    /// A policy rule comes or goes.
    pub(super) fn others_rule(&mut self, number: u8, gone: bool) {
        inside(|| device::rule(world().device, number, gone));
        keep(&mut self.others.rules, number, gone);
    }

    /// A route comes or goes.
    pub(super) fn others_route(&mut self, number: u8, gone: bool) {
        inside(|| device::route(world().device, "wlan0", number, gone));
        keep(&mut self.others.routes, number, gone);
    }

    pub(super) fn others_routes(&self) {
        for number in self.others.routes.clone() {
            device::route(world().device, "wlan0", number, false);
        }
    }

    /// Something of theirs comes to the packet filter, or goes.
    pub(super) fn others_filter(&mut self, number: u8, gone: bool) {
        match self.way {
            Way::Nftables => {
                self.others_table(number, gone);
                keep(&mut self.others.tables, number, gone);
            }
            Way::Xtables { .. } | Way::Netd(..) => {
                self.others_chain(number, gone);
                keep(&mut self.others.chains, number, gone);
            }
        }
    }

    /// A table of others' comes to nf_tables, or goes.
    pub(super) fn others_table(&self, number: u8, gone: bool) {
        let device = world().device;
        inside(|| world().filter.others(device, &format!("others{number}"), gone));
        if world().opened.is_some() {
            world().opened = Some(tables::generation(world(), device));
        }
    }

    /// Something of others' comes to x_tables, or goes.
    pub(super) fn others_chain(&mut self, number: u8, gone: bool) {
        if self.others.chains.contains(&number) != gone {
            return;
        }
        let device = world().device;
        inside(|| match self.way.has_netd() {
            true => netd::others(device, number, gone),
            false => tables::others(device, number, gone),
        });
        // A rule for what is forwarded, or a policy, shares it (`model/forwarding.rs`).
        self.others.switch |= number != 0 && !self.way.has_netd();
        // What comes before guestnetd's own has opened it.
        if world().opened.is_some() || (number == 1 && !gone) {
            world().opened = Some(tables::generation(world(), device));
        }
    }

    /// The switch is written.
    pub(super) fn no_forwarding(&mut self) {
        let path = "/proc/sys/net/ipv4/ip_forward";
        // netd's switch is shared, and asked for again.
        self.others.switch |= !self.way.has_netd();
        let _ = inside(|| world().write(world().device, path, b"0"));
    }

    /// guestnetd's part of the packet filter goes.
    pub(super) fn filter_goes(&mut self) {
        let (device, theirs) = (world().device, &self.others.chains);
        inside(|| match self.way {
            Way::Nftables => drop(world().filter.delete(device, "guestnet")),
            Way::Xtables { .. } => tables::flush(device, theirs),
            Way::Netd(..) => netd::take(device),
        });
        world().opened = Some(tables::generation(world(), device));
    }

    /// One rule of it goes.
    pub(super) fn filter_rule_goes(&mut self, chain: usize) {
        let (device, theirs) = (world().device, &self.others.chains);
        inside(|| match self.way {
            Way::Nftables => drop(world().filter.delete_rule(device, "guestnet", chain)),
            Way::Xtables { .. } => tables::spoil(device, chain, theirs),
            Way::Netd(..) => netd::spoil(device, chain, theirs),
        });
        world().opened = Some(tables::generation(world(), device));
    }

    /// They do something to a guest's host end, where it has one.
    pub(super) fn to_host_end(&self, guest: usize, work: impl FnOnce(&str)) {
        if let Some(name) = self.host_end(guest) {
            inside(|| work(&name));
        }
    }

    /// The uplink goes; where netd is, its network too.
    pub(super) fn uplink_goes(&self) {
        inside(|| match self.way.has_netd() {
            true => netd::interface_goes("wlan0"),
            false => drop(device::delete(world().device, "wlan0")),
        });
    }

    pub(super) fn uplink_comes(&self) {
        inside(|| match self.way.has_netd() {
            true => netd::connect("wlan0"),
            false => device::uplink_comes(),
        });
    }

    /// The default route goes.
    pub(super) fn default_route_goes(&self) {
        inside(|| match self.way.has_netd() {
            true => netd::default_route_goes(),
            false => drop(device::default_route(world().device, "wlan0", "192.0.2.1", true)),
        });
    }

    /// netd or the framework do something, where they are.
    pub(super) fn netd_does(&mut self, doing: &Doing) {
        if self.way.has_netd() {
            doing.happens();
            self.after_netd(doing);
        }
    }

    /// What others do when netd has done that: its start has taken all rules, and vendors' out of its chains.
    fn after_netd(&mut self, doing: &Doing) {
        if matches!(doing, Doing::Restarts(_)) {
            self.others.rules.clear();
            let device = world().device;
            inside(|| {
                self.others.chains.iter().for_each(|number| netd::others(device, *number, false))
            });
            world().opened = Some(tables::generation(world(), device));
        }
    }
}

fn keep(set: &mut BTreeSet<u8>, number: u8, gone: bool) {
    match gone {
        true => drop(set.remove(&number)),
        false => drop(set.insert(number)),
    }
}
