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

//! IPv4 addresses of links (net/ipv4/devinet.c), and the routes that come and go with them
//! (`fib_add_ifaddr()`, `fib_del_ifaddr()` in fib_frontend.c).

use crate::announce::{Cause, GROUP_ADDRESS};
use crate::kernel::Kernel;
use crate::link::Kind;
use crate::route::{local_type, mask, Route, LOCAL, MAIN};
use crate::rtnetlink::Objects;
use crate::space::Netns;
use crate::wire::{Message, Writer, NLM_F_EXCL, NLM_F_REPLACE};
use libc::*;
use std::net::Ipv4Addr;

/// `struct ifaddrmsg`.
const IFADDRMSG: usize = 8;
const IFA_FLAGS: u16 = 8;
const IFA_RT_PRIORITY: u16 = 9;
const IFA_TARGET_NETNSID: u16 = 10;
const IFA_PROTO: u16 = 11;
const F_SECONDARY: u32 = 1;
const F_PERMANENT: u32 = 0x80;
const F_NOPREFIXROUTE: u32 = 0x200;
const KERNEL: u8 = 2;
const UNICAST: u8 = 1;
const BROADCAST: u8 = 3;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub local: Ipv4Addr,
    /// The prefix's, or that of the other end.
    pub address: Ipv4Addr,
    pub broadcast: Option<Ipv4Addr>,
    pub prefix: u8,
    pub scope: u8,
    pub flags: u32,
    pub label: String,
    pub priority: u32,
    pub protocol: u8,
}

impl Address {
    fn matches(&self, other: Ipv4Addr) -> bool {
        (u32::from(self.address) ^ u32::from(other)) & mask(self.prefix) == 0
    }

    fn is_secondary(&self) -> bool {
        self.flags & F_SECONDARY != 0
    }

    fn network(&self) -> u32 {
        u32::from(self.address) & mask(self.prefix)
    }
}

impl Kernel {
    pub(crate) fn addresses(&self, netns: Netns, index: u32) -> &[Address] {
        self.space(netns).addresses.get(&index).map(Vec::as_slice).unwrap_or_default()
    }

    pub(crate) fn new_address(
        &mut self,
        netns: Netns,
        message: &Message<'_>,
        cause: Cause,
    ) -> Result<(), i32> {
        if message.byte(0) != AF_INET as u8 {
            return Err(EOPNOTSUPP);
        }
        let all = message.attributes(IFADDRMSG)?;
        let prefix = message.byte(1);
        let (local, address) = (all.ipv4(IFA_LOCAL)?, all.ipv4(IFA_ADDRESS)?);
        let flags = all.u32(IFA_FLAGS)?.unwrap_or(message.byte(2).into());
        let (Some(local), 0..=32) = (local, prefix) else { return Err(EINVAL) };
        let index = message.word(4);
        let link = self.link(netns, index)?;
        if !link.ipv4 {
            return Err(ENOBUFS);
        }
        let new = Address {
            local,
            address: address.unwrap_or(local),
            broadcast: all.ipv4(IFA_BROADCAST)?,
            prefix,
            scope: message.byte(3),
            flags: flags & !F_SECONDARY | F_PERMANENT,
            label: all.text(IFA_LABEL, IFNAMSIZ - 1)?.unwrap_or_else(|| link.name.clone()),
            priority: all.u32(IFA_RT_PRIORITY)?.unwrap_or(0),
            protocol: all.u8(IFA_PROTO)?.unwrap_or(0),
        };
        // Whatever comes of it (rtm_to_ifaddr()).
        self.link_mut(netns, index).conf.pin();
        let same =
            |old: &Address| old.prefix == prefix && old.matches(new.address) && old.local == local;
        match self.addresses(netns, index).iter().position(same) {
            None => self.insert_address(netns, index, new, cause),
            Some(_) if message.is(NLM_F_EXCL) || !message.is(NLM_F_REPLACE) => Err(EEXIST),
            Some(at) => {
                let old = &mut self.space_mut(netns).addresses.get_mut(&index).ok_or(ENODEV)?[at];
                // Its metric and its lifetime alone are changed (inet_rtm_newaddr()).
                old.priority = new.priority;
                old.flags = old.flags & F_SECONDARY | new.flags;
                let old = old.clone();
                self.tell_address(netns, index, &old, RTM_NEWADDR, cause);
                Ok(())
            }
        }
    }

    /// `__inet_insert_ifa()`: primary ones by scope, secondary ones behind all.
    pub(crate) fn insert_address(
        &mut self,
        netns: Netns,
        index: u32,
        mut new: Address,
        cause: Cause,
    ) -> Result<(), i32> {
        if new.local.is_unspecified() {
            return Ok(());
        }
        let list = self.space_mut(netns).addresses.entry(index).or_default();
        let mut last_primary = 0;
        for (at, old) in list.iter().enumerate() {
            if !old.is_secondary() && new.scope <= old.scope {
                last_primary = at + 1;
            }
            if old.prefix == new.prefix && old.matches(new.address) {
                if old.local == new.local {
                    return Err(EEXIST);
                }
                if old.scope != new.scope {
                    return Err(EINVAL);
                }
                new.flags |= F_SECONDARY;
            }
        }
        let at = if new.is_secondary() { list.len() } else { last_primary };
        list.insert(at, new.clone());
        self.tell_address(netns, index, &new, RTM_NEWADDR, cause);
        self.routes_of_address(netns, index, &new);
        Ok(())
    }

    pub(crate) fn del_address(
        &mut self,
        netns: Netns,
        message: &Message<'_>,
        cause: Cause,
    ) -> Result<(), i32> {
        if message.byte(0) != AF_INET as u8 {
            return Err(EOPNOTSUPP);
        }
        let all = message.attributes(IFADDRMSG)?;
        let (local, address) = (all.ipv4(IFA_LOCAL)?, all.ipv4(IFA_ADDRESS)?);
        let label = all.text(IFA_LABEL, IFNAMSIZ - 1)?;
        let index = message.word(4);
        // Without IPv4 it is as if there was none (inetdev_by_index()).
        if !self.link(netns, index)?.ipv4 {
            return Err(ENODEV);
        }
        let is = |own: &Address| {
            local.is_none_or(|local| own.local == local)
                && label.as_ref().is_none_or(|label| own.label == *label)
                && address.is_none_or(|a| message.byte(1) == own.prefix && own.matches(a))
        };
        let at = self.addresses(netns, index).iter().position(is).ok_or(EADDRNOTAVAIL)?;
        self.remove_address(netns, index, at, cause);
        Ok(())
    }

    /// `__inet_del_ifa()`: with a primary one go its secondary ones, or the next of those takes its place.
    fn remove_address(&mut self, netns: Netns, index: u32, at: usize, cause: Cause) {
        let going = self.addresses(netns, index)[at].clone();
        let promotes = self.promotes(netns, index);
        let mut promoted = None;
        if !going.is_secondary() {
            let mut next = at + 1;
            while let Some(other) = self.addresses(netns, index).get(next).cloned() {
                let of_it = other.is_secondary()
                    && other.prefix == going.prefix
                    && going.matches(other.address);
                if !of_it {
                    next += 1;
                } else if promotes {
                    promoted = Some(other);
                    break;
                } else {
                    self.take_address(netns, index, next);
                    self.tell_address(netns, index, &other, RTM_DELADDR, cause);
                    self.routes_lose_address(netns, index, &other);
                }
            }
        }
        self.take_address(netns, index, at);
        self.tell_address(netns, index, &going, RTM_DELADDR, cause);
        self.routes_lose_address(netns, index, &going);
        if let Some(promoted) = promoted {
            self.promote(netns, index, &promoted, cause);
        }
        if self.addresses(netns, index).is_empty() {
            // fib_disable_ip()
            self.neighbours_go(netns, index);
            self.flush_routes_by(netns, index, true);
        }
    }

    /// A secondary one becomes primary.
    fn promote(&mut self, netns: Netns, index: u32, which: &Address, cause: Cause) {
        let list = self.space_mut(netns).addresses.entry(index).or_default();
        let Some(at) = list.iter().position(|own| own == which) else { return };
        let mut own = list.remove(at);
        own.flags &= !F_SECONDARY;
        let last = list.iter().rposition(|a| !a.is_secondary() && own.scope <= a.scope);
        list.insert(last.map_or(0, |last| last + 1), own.clone());
        self.tell_address(netns, index, &own, RTM_NEWADDR, cause);
        self.routes_of_address(netns, index, &own);
    }

    fn promotes(&self, netns: Netns, index: u32) -> bool {
        const PROMOTE_SECONDARIES: usize = 20;
        let own = self.link(netns, index).is_ok_and(|l| l.conf.get(PROMOTE_SECONDARIES) != 0);
        own || self.space(netns).conf_all.get(PROMOTE_SECONDARIES) != 0
    }

    fn take_address(&mut self, netns: Netns, index: u32, at: usize) {
        if let Some(list) = self.space_mut(netns).addresses.get_mut(&index) {
            list.remove(at);
        }
    }

    /// The interface goes: each of its addresses is gone (`inetdev_destroy()`).
    pub(crate) fn addresses_go(&mut self, netns: Netns, index: u32) {
        while let Some(going) = self.addresses(netns, index).first().cloned() {
            self.take_address(netns, index, 0);
            self.tell_address(netns, index, &going, RTM_DELADDR, Cause::default());
            self.routes_lose_address(netns, index, &going);
        }
        self.space_mut(netns).addresses.remove(&index);
    }

    /// A link's new name is its addresses' (`inetdev_changename()`).
    pub(crate) fn addresses_renamed(&mut self, netns: Netns, index: u32) {
        let name = self.link_mut(netns, index).name.clone();
        let list = self.space_mut(netns).addresses.entry(index).or_default();
        for (number, own) in list.iter_mut().enumerate() {
            let before = std::mem::replace(&mut own.label, name.clone());
            if number > 0 {
                let colon = before.find(':').map(|at| before[at..].to_owned());
                let more = colon.unwrap_or_else(|| format!(":{}", number + 1));
                own.label.truncate(IFNAMSIZ - 1 - more.len().min(IFNAMSIZ - 1));
                own.label += &more;
            }
        }
        for own in list.clone() {
            self.tell_address(netns, index, &own, RTM_NEWADDR, Cause::default());
        }
    }

    fn tell_address(&mut self, netns: Netns, index: u32, of: &Address, kind: u16, cause: Cause) {
        self.announce(netns, GROUP_ADDRESS, kind, cause, |_| body(index, of, None));
    }

    /// A link came up (`fib_netdev_event()`, and `inetdev_event()` for lo).
    pub(crate) fn link_came_up(&mut self, netns: Netns, index: u32) {
        let Ok(link) = self.link(netns, index) else { return };
        if !link.ipv4 {
            return;
        }
        if link.kind == Kind::Loopback {
            self.link_mut(netns, index).conf.pin();
            let local = Ipv4Addr::LOCALHOST;
            let scope = 254;
            let label = self.link_mut(netns, index).name.clone();
            let own = Address {
                local,
                address: local,
                broadcast: None,
                prefix: 8,
                scope,
                flags: F_PERMANENT,
                label,
                priority: 0,
                protocol: 1,
            };
            let _ = self.insert_address(netns, index, own, Cause::default());
        }
        for own in self.addresses(netns, index).to_vec() {
            self.routes_of_address(netns, index, &own);
        }
    }

    pub(crate) fn link_went_down(&mut self, netns: Netns, index: u32) {
        self.flush_routes_by(netns, index, false);
        self.neighbours_go(netns, index);
    }

    /// The primary address of a secondary one's prefix (`inet_ifa_byprefix()`).
    fn primary(&self, netns: Netns, index: u32, of: &Address) -> Option<Address> {
        let list = self.addresses(netns, index).iter();
        let network = Ipv4Addr::from(of.network());
        list.filter(|own| !own.is_secondary())
            .find(|own| own.prefix == of.prefix && own.matches(network))
            .cloned()
    }

    fn routes_of_address(&mut self, netns: Netns, index: u32, of: &Address) {
        let primary = match of.is_secondary() {
            true => self.primary(netns, index, of),
            false => Some(of.clone()),
        };
        let Some(primary) = primary else { return };
        let mut add = |table, kind, to, length, priority| {
            let route = magic(index, table, kind, to, length, primary.local, priority);
            self.magic_add(netns, route);
        };
        add(LOCAL, local_type(), of.local, 32, 0);
        let Ok(link) = self.link(netns, index) else { return };
        if !link.is_up() {
            return;
        }
        let is_lo = link.kind == Kind::Loopback;
        let mut add = |table, kind, to, length, priority| {
            let route = magic(index, table, kind, to, length, primary.local, priority);
            self.magic_add(netns, route);
        };
        if let Some(all) = of.broadcast.filter(|all| *all != Ipv4Addr::BROADCAST) {
            add(LOCAL, BROADCAST, all, 32, 0);
        }
        let network = of.network();
        let own = network == u32::from(of.local) && of.prefix == 32;
        if network >> 24 == 0 || of.is_secondary() || own {
            return;
        }
        if of.flags & F_NOPREFIXROUTE == 0 {
            let (table, kind) = if is_lo { (LOCAL, local_type()) } else { (MAIN, UNICAST) };
            add(table, kind, network.into(), of.prefix, of.priority);
        }
        if of.prefix < 31 {
            add(LOCAL, BROADCAST, (network | !mask(of.prefix)).into(), 32, 0);
        }
    }

    /// What `of` alone was the cause of; it is out of the list already.
    fn routes_lose_address(&mut self, netns: Netns, index: u32, of: &Address) {
        let Ok(link) = self.link(netns, index) else { return };
        let is_lo = link.kind == Kind::Loopback;
        let (network, all) = (of.network(), of.network() | !mask(of.prefix));
        let primary = match of.is_secondary() {
            true => match self.primary(netns, index, of) {
                Some(primary) => primary,
                // Its primary one is gone before it only where the interface is.
                None => return,
            },
            false => of.clone(),
        };
        let mut del = |table, kind, to: Ipv4Addr, length, priority| {
            let route = magic(index, table, kind, to, length, primary.local, priority);
            self.magic_del(netns, &route);
        };
        let zero = network >> 24 == 0;
        let own = network == u32::from(of.local) && of.prefix == 32;
        let mut subnet = false;
        if !of.is_secondary() && !zero && !own {
            if of.flags & F_NOPREFIXROUTE == 0 {
                let (table, kind) = if is_lo { (LOCAL, local_type()) } else { (MAIN, UNICAST) };
                del(table, kind, network.into(), of.prefix, of.priority);
            }
            subnet = true;
        }
        let (mut local_ok, mut own_ok, mut all_ok, mut zero_ok) = (false, false, false, false);
        for other in self.addresses(netns, index) {
            local_ok |= other.local == of.local;
            own_ok |= other.broadcast == of.broadcast && of.broadcast.is_some();
            all_ok |= other.broadcast == Some(all.into());
            zero_ok |= other.broadcast == Some(network.into());
            if !other.is_secondary() && other.prefix < 31 {
                let first = other.network();
                let last = first | !mask(other.prefix);
                if first >> 24 != 0 {
                    let is = |address: u32| address == first || address == last;
                    own_ok |= of.broadcast.is_some_and(|own| is(own.into()));
                    all_ok |= is(all);
                    zero_ok |= is(network);
                }
            }
        }
        let mut del = |kind, to: Ipv4Addr| {
            let route = magic(index, LOCAL, kind, to, 32, primary.local, 0);
            self.magic_del(netns, &route);
        };
        if let Some(own) = of.broadcast.filter(|_| !own_ok) {
            del(BROADCAST, own);
        }
        if subnet && of.prefix < 31 {
            if !all_ok {
                del(BROADCAST, all.into());
            }
            if !zero_ok {
                del(BROADCAST, network.into());
            }
        }
        if !local_ok {
            del(local_type(), of.local);
            if !self.is_local(netns, of.local) {
                self.flush_routes_from(netns, of.local);
            }
        }
    }

    pub(crate) fn dump_addresses(
        &mut self,
        netns: Netns,
        message: &Message<'_>,
    ) -> Result<Objects, i32> {
        match i32::from(message.byte(0)) {
            AF_INET | AF_UNSPEC => {}
            // There are none.
            AF_INET6 => return Ok(Objects::new()),
            _ => return Err(EOPNOTSUPP),
        }
        let (there, id) = self.target(netns, message.attributes(IFADDRMSG)?, IFA_TARGET_NETNSID)?;
        let wanted = message.word(4);
        if wanted != 0 {
            self.link(there, wanted)?;
        }
        let mut objects = Objects::new();
        for (index, list) in &self.space(there).addresses {
            if wanted == 0 || wanted == *index {
                objects.extend(list.iter().map(|own| (RTM_NEWADDR, body(*index, own, id))));
            }
        }
        Ok(objects)
    }
}

/// A route as `fib_magic()` makes it.
fn magic(
    index: u32,
    table: u32,
    kind: u8,
    to: Ipv4Addr,
    length: u8,
    source: Ipv4Addr,
    priority: u32,
) -> Route {
    Route {
        table,
        kind,
        to,
        length,
        tos: 0,
        priority,
        protocol: KERNEL,
        scope: if kind == local_type() { 254 } else { 253 },
        source: Some(source),
        hops: vec![crate::route::Hop { index, via: None, onlink: false, weight: 0, scope: 0 }],
        flags: 0,
        metrics: Vec::new(),
    }
}

fn body(index: u32, of: &Address, id: Option<u32>) -> Writer {
    let mut header = [0; IFADDRMSG];
    header[0] = AF_INET as u8;
    header[1] = of.prefix;
    header[2] = of.flags as u8;
    header[3] = of.scope;
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    let mut out = Writer::after(&header);
    if let Some(id) = id {
        out.u32(IFA_TARGET_NETNSID, id);
    }
    out.put(IFA_ADDRESS, &of.address.octets());
    out.put(IFA_LOCAL, &of.local.octets());
    if let Some(all) = of.broadcast.filter(|all| !all.is_unspecified()) {
        out.put(IFA_BROADCAST, &all.octets());
    }
    if !of.label.is_empty() {
        out.text(IFA_LABEL, &of.label);
    }
    if of.protocol != 0 {
        out.put(IFA_PROTO, &[of.protocol]);
    }
    out.u32(IFA_FLAGS, of.flags);
    if of.priority != 0 {
        out.u32(IFA_RT_PRIORITY, of.priority);
    }
    let forever = [u32::MAX, u32::MAX, 0, 0];
    out.put(IFA_CACHEINFO, &forever.map(u32::to_ne_bytes).concat());
    out
}
