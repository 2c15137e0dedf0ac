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

//! Which resolvers are behind an uplink: those that were named for it, else those for any, else the
//! device's own.

use crate::effects::kernel::netlink::Netlink;
use crate::effects::kernel::route;
use crate::effects::platform::resolv_conf::{self, Found};
use crate::error::Error;
use crate::model::alloc::leases::Leases;
use crate::model::fault::{Cause, Fault};
use crate::model::if_index::IfIndex;
use crate::ordered::{IntoOrdered, OrderedSet};
use crate::spec::IfName;
use crate::store::{ResolversRecord, Store};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::SystemTime;

/// All that is known of resolvers.
#[derive(Debug)]
pub(in crate::daemon) struct Resolvers {
    /// What callers have named.
    named: ResolversRecord,
    /// Those behind any uplink that nothing was said of.
    fallback: Vec<Ipv4Addr>,
    /// The file of the device's own.
    file: Option<PathBuf>,
    /// When that was written, as it was read last.
    written: Option<SystemTime>,
    /// What it said then.
    found: Found,
    /// Those that were named and that no guest can ask, and why.
    refused: Vec<(Ipv4Addr, &'static str)>,
}

/// Who said that a resolver is the one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::daemon) enum Source<'a> {
    /// A caller, for this uplink.
    Named,
    /// The command line.
    Fallback,
    /// The device's own file.
    File(&'a std::path::Path),
    /// A caller, who has taken it back since.
    Earlier,
}

impl Resolvers {
    pub(in crate::daemon) fn new(
        named: ResolversRecord,
        fallback: Vec<Ipv4Addr>,
        file: Option<PathBuf>,
    ) -> Self {
        Self { named, fallback, file, written: None, found: Found::default(), refused: Vec::new() }
    }

    /// These are behind any uplink that nothing is said of, from now on.
    pub(in crate::daemon) fn fall_back_to(&mut self, servers: Vec<Ipv4Addr>) {
        self.fallback = servers;
    }

    /// Who said which are behind an uplink.
    pub(in crate::daemon) fn source(&self, uplink: Option<&IfName>) -> Source<'_> {
        let named = uplink.is_some_and(|name| self.named.behind.contains_key(name));
        match (named, &self.file) {
            (true, _) => Source::Named,
            _ if !self.fallback.is_empty() => Source::Fallback,
            (_, Some(file)) => Source::File(file),
            (_, None) => Source::Earlier,
        }
    }

    /// Those behind an uplink, in the order in which they are asked. What a guest cannot ask is left out.
    pub(in crate::daemon) fn behind(
        &mut self,
        netlink: &Netlink,
        guests: &Leases,
        uplink: Option<&IfName>,
    ) -> Vec<Ipv4Addr> {
        self.written = self.file.as_deref().and_then(resolv_conf::written);
        self.found = self.file.as_deref().map(resolv_conf::read).unwrap_or_default();
        let mut servers = match self.source(uplink) {
            Source::Named => uplink.and_then(|name| self.named.behind.get(name)).cloned(),
            Source::Fallback => Some(self.fallback.clone()),
            Source::File(_) => Some(self.found.servers.clone()),
            Source::Earlier => None,
        }
        .unwrap_or_default();
        let mut refused = Vec::new();
        servers.retain(|server| {
            let why = of_the_guests(guests, *server).or_else(|| of_the_device(netlink, *server));
            refused.extend(why.map(|why| (*server, why)));
            why.is_none()
        });
        if let Source::File(_) = self.source(uplink) {
            refused.extend(&self.found.refused);
        }
        if refused != self.refused {
            for (server, why) in &refused {
                log::info!("{server} is not taken as resolver: {why}");
            }
            self.refused = refused;
        }
        servers
    }

    /// Those behind a tun that guests leave by: never what was named for the uplink, which a VPN does not
    /// lead to, or which would be told what the guest asks beside its VPN. Of the device's own file those
    /// count that the device itself asks by the tun, as it was read last.
    pub(in crate::daemon) fn behind_tun(
        &self,
        netlink: &Netlink,
        guests: &Leases,
        (tun, index): (&IfName, IfIndex),
    ) -> Vec<Ipv4Addr> {
        let asked_by_it = |server: &Ipv4Addr| {
            let way = route::towards(netlink, *server).ok().flatten();
            way.is_some_and(|way| way.index == index)
        };
        let mut servers = match self.source(Some(tun)) {
            Source::Named => self.named.behind.get(tun).cloned().unwrap_or_default(),
            Source::Fallback => self.fallback.clone(),
            Source::File(_) => self.found.servers.iter().copied().filter(asked_by_it).collect(),
            Source::Earlier => Vec::new(),
        };
        let fits = |server: &Ipv4Addr| {
            of_the_guests(guests, *server).or_else(|| of_the_device(netlink, *server)).is_none()
        };
        servers.retain(fits);
        servers
    }

    /// All that the device itself can ask of those behind an uplink, as they were read last: also of IPv6,
    /// and its own where there is no other. `guests` can ask these.
    pub(in crate::daemon) fn askable(
        &self,
        uplink: Option<&IfName>,
        guests: &[Ipv4Addr],
    ) -> Vec<IpAddr> {
        let can = |server: &&IpAddr| match server {
            IpAddr::V4(server) => server.is_loopback() || guests.contains(server),
            IpAddr::V6(_) => true,
        };
        match self.source(uplink) {
            Source::File(_) => self.found.all.iter().filter(can).copied().collect(),
            _ => guests.iter().copied().map(IpAddr::V4).collect(),
        }
    }

    /// What callers have named, by interface.
    pub(in crate::daemon) fn all_named(&self) -> &BTreeMap<IfName, Vec<Ipv4Addr>> {
        &self.named.behind
    }

    /// The interfaces that somebody has named resolvers for.
    pub(in crate::daemon) fn named(&self) -> OrderedSet<IfName> {
        self.named.behind.keys().cloned().into_set()
    }

    /// Where the resolvers behind an uplink are from, and what else is named there.
    pub(in crate::daemon) fn origin(&self, uplink: Option<&IfName>) -> String {
        let name = uplink.map_or("the uplink", IfName::as_str);
        let from = match (self.source(uplink), &self.found.behind) {
            (Source::Named, _) => format!("named for {name}"),
            (Source::Fallback, _) => "from --dns".to_owned(),
            (Source::Earlier, _) => "named earlier".to_owned(),
            (Source::File(path), None) => format!("from {}", path.display()),
            (Source::File(path), Some(behind)) => {
                let stub = self.found.refused.first().map(|(server, _)| server.to_string());
                let stub = stub.unwrap_or_default();
                return format!(
                    "from {}, as {} names {stub} only",
                    behind.display(),
                    path.display()
                );
            }
        };
        match self.refused.first() {
            Some((server, why)) => format!("{from}; {server} is not taken: {why}"),
            None => from,
        }
    }

    /// Why there are none, and what to do.
    pub(in crate::daemon) fn none(&self, uplink: Option<&IfName>) -> Fault {
        let behind = uplink.map_or("the uplink", IfName::as_str);
        let mut text = format!("no DNS resolver is known for {behind}");
        let named = self.refused.first().map(|(server, why)| {
            let file = match self.source(uplink) {
                Source::File(path) => path.display().to_string(),
                _ => "it".to_owned(),
            };
            format!("{file} names {server}, which guests cannot ask: {why}")
        });
        let trouble = || match self.source(uplink) {
            Source::File(_) => self.found.trouble.clone(),
            _ => None,
        };
        if let Some(why) = named.or_else(trouble) {
            text = format!("{text}: {why}");
        }
        let name = uplink.map_or("UPLINK", IfName::as_str);
        let step = format!("guestnetctl dns {name} ADDRESS, or start guestnetd with --dns ADDRESS");
        Fault::new(Cause::DnsNone, text).with_step(step)
    }

    /// Whether the file was written since it was read.
    pub(in crate::daemon) fn has_changed(&self) -> bool {
        self.file.as_deref().and_then(resolv_conf::written) != self.written
    }

    /// Takes a caller's word for those behind an uplink; none: what is found counts again.
    pub(in crate::daemon) fn name(
        &mut self,
        store: &Store,
        uplink: IfName,
        servers: Vec<Ipv4Addr>,
        in_use: Option<&IfName>,
    ) -> Result<(), Error> {
        let mut record = self.named.clone();
        record.name(uplink, servers, in_use);
        if record != self.named {
            store.put_resolvers(&record)?;
            self.named = record;
        }
        Ok(())
    }
}

/// Whose address no question of a guest's can be sent to: it would come back to it, or to all.
fn of_the_guests(guests: &Leases, server: Ipv4Addr) -> Option<&'static str> {
    if guests.holder(server).is_some() {
        return Some("it is a guest's address");
    }
    let in_use = guests.subnet_with(server)?;
    let (subnet, gateway) = (in_use.subnet, in_use.gateway);
    [subnet.network(), subnet.broadcast(), gateway]
        .contains(&server)
        .then_some("it is the gateway's, or the network's or broadcast address of the guests")
}

/// What is for the device itself, or for all on a link, does not pass through the device. Where that is
/// not known, it is tried.
fn of_the_device(netlink: &Netlink, server: Ipv4Addr) -> Option<&'static str> {
    match route::kind_of_way(netlink, server) {
        Ok(Some(route::Kind::Here)) => Some("it is the device's own address"),
        Ok(Some(route::Kind::Many)) => Some("it is a broadcast or multicast address"),
        _ => None,
    }
}
