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

//! IPv4 routes: tables, what may be in them, and how they change (net/ipv4/fib_trie.c, fib_semantics.c).

use crate::announce::{Cause, GROUP_ROUTE};
use crate::fib::{Flow, Lookup};
use crate::kernel::Kernel;
use crate::rtnetlink::Objects;
use crate::space::Netns;
use crate::wire::{u16_at, u32_at, Attributes, Message, Writer};
use crate::wire::{NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use libc::*;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

pub const MAIN: u32 = 254;
pub const LOCAL: u32 = 255;
/// `struct rtmsg`.
pub const RTMSG: usize = 12;
const RTA_VIA: u16 = 18;
const RTNEXTHOP: usize = 8;
const ONLINK: u32 = 4;
const LINKDOWN: u32 = 16;
const DEAD: u32 = 1;
const HOST: u8 = 254;
const LINK: u8 = 253;
const NOWHERE: u8 = 255;

/// RTN_*
pub const T_UNICAST: u8 = 1;
pub const T_LOCAL: u8 = 2;
pub const T_BROADCAST: u8 = 3;
const T_BLACKHOLE: u8 = 6;
const T_UNREACHABLE: u8 = 7;
const T_PROHIBIT: u8 = 8;
const T_THROW: u8 = 9;

pub fn local_type() -> u8 {
    T_LOCAL
}

/// The bits of a prefix.
pub fn mask(length: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0)
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    pub index: u32,
    pub via: Option<Ipv4Addr>,
    pub onlink: bool,
    pub weight: u8,
    /// How far the gateway is (`fib_nh_scope`): packets go to it where it is on a link, and not where it is
    /// the machine's own address (`rt_set_nexthop()`).
    pub scope: u8,
}

impl Hop {
    /// The gateway that packets go to.
    pub fn gateway(&self) -> Option<Ipv4Addr> {
        self.via.filter(|_| self.scope == LINK)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    pub table: u32,
    pub kind: u8,
    pub to: Ipv4Addr,
    pub length: u8,
    pub tos: u8,
    pub priority: u32,
    pub protocol: u8,
    pub scope: u8,
    pub source: Option<Ipv4Addr>,
    pub hops: Vec<Hop>,
    /// RTNH_F_ONLINK of one that leads nowhere, where it means nothing.
    pub flags: u32,
    /// RTA_METRICS as it came.
    pub metrics: Vec<u8>,
}

/// Tables by their numbers; each in the order in which it is listed and looked through: by prefix, the
/// longest of the same first, then by metric, the newest of the same first.
#[derive(Clone, Debug, Default)]
pub struct Tables(pub BTreeMap<u32, Vec<Route>>);

/// What an error number a type of route refuses with (`fib_props`).
pub fn refusal(kind: u8) -> Option<i32> {
    match kind {
        T_BLACKHOLE => Some(EINVAL),
        T_UNREACHABLE => Some(EHOSTUNREACH),
        T_PROHIBIT => Some(EACCES),
        T_THROW => Some(EAGAIN),
        _ => None,
    }
}

/// The widest scope that a type may have (`fib_props`).
fn least_scope(kind: u8) -> u8 {
    match kind {
        T_LOCAL => HOST,
        T_BROADCAST | 4 => LINK,
        0 | 11.. => NOWHERE,
        _ => 0,
    }
}

/// What RTM_NEWROUTE or RTM_DELROUTE asks for (`struct fib_config`).
struct Config {
    route: Route,
    index: u32,
    via: Option<Ipv4Addr>,
    flags: u32,
    many: bool,
    has_scope: u8,
}

impl Kernel {
    fn config(&self, message: &Message<'_>) -> Result<Config, i32> {
        let all = message.attributes(RTMSG)?;
        let length = message.byte(1);
        if message.byte(0) != AF_INET as u8 {
            return Err(EOPNOTSUPP);
        }
        // inet_validate_rtm() and rtm_to_fib_config().
        if message.byte(7) > 11 {
            return Err(EINVAL);
        }
        if all.has(RTA_VIA) {
            return Err(if all.has(RTA_GATEWAY) { EINVAL } else { EOPNOTSUPP });
        }
        let mut hops = Vec::new();
        let many = all.find(RTA_MULTIPATH);
        let index = all.u32(RTA_OIF)?.unwrap_or(0);
        let via = all.ipv4(RTA_GATEWAY)?.filter(|via| !via.is_unspecified());
        let flags = message.word(8);
        match many {
            Some(many) => hops = read_hops(many)?,
            None => hops.push(Hop { index, via, onlink: flags & ONLINK != 0, weight: 0, scope: 0 }),
        }
        let route = Route {
            table: all.u32(RTA_TABLE)?.unwrap_or(message.byte(4).into()),
            kind: message.byte(7),
            to: all.ipv4(RTA_DST)?.unwrap_or(Ipv4Addr::UNSPECIFIED),
            length,
            tos: message.byte(3),
            priority: all.u32(RTA_PRIORITY)?.unwrap_or(0),
            protocol: message.byte(5),
            scope: message.byte(6),
            source: all.ipv4(RTA_PREFSRC)?.filter(|source| !source.is_unspecified()),
            hops,
            flags: if refusal(message.byte(7)).is_some() { flags & ONLINK } else { 0 },
            metrics: all.find(RTA_METRICS).unwrap_or_default().to_vec(),
        };
        check_key(&route)?;
        let many = many.is_some();
        Ok(Config { has_scope: route.scope, route, index, via, flags, many })
    }

    pub(crate) fn new_route(
        &mut self,
        netns: Netns,
        message: &Message<'_>,
        cause: Cause,
    ) -> Result<(), i32> {
        let config = self.config(message)?;
        // fib_new_table() comes first: the table stays whatever comes of the route.
        let table = if config.route.table == 0 { MAIN } else { config.route.table };
        self.new_table(netns, table);
        let mut route = self.create_info(netns, &config)?;
        route.table = table;
        self.insert_route(netns, route, message.flags, cause)
    }

    /// `fib_new_table()`: as long as they are one, local brings main.
    fn new_table(&mut self, netns: Netns, table: u32) {
        let space = self.space_mut(netns);
        if table == LOCAL && !space.custom_rules {
            space.tables.0.entry(MAIN).or_default();
        }
        space.tables.0.entry(table).or_default();
    }

    /// `fib_create_info()`: whether it can be, and what it leads by.
    fn create_info(&self, netns: Netns, config: &Config) -> Result<Route, i32> {
        let mut route = config.route.clone();
        if route.kind > 11 || least_scope(route.kind) > route.scope {
            return Err(EINVAL);
        }
        if config.flags & (DEAD | LINKDOWN) != 0 {
            return Err(EINVAL);
        }
        if refusal(route.kind).is_some() {
            if config.via.is_some() || config.index != 0 || config.many {
                return Err(EINVAL);
            }
            route.hops.clear();
            return Ok(route);
        }
        if !(T_UNICAST..=5).contains(&route.kind) || route.scope > HOST {
            return Err(EINVAL);
        }
        if route.scope == HOST {
            let [hop] = &route.hops[..] else { return Err(EINVAL) };
            if hop.via.is_some() {
                return Err(EINVAL);
            }
            self.link(netns, hop.index)?;
            return self.with_source(netns, route);
        }
        // What is said beside several next hops has to be what the first one is.
        if let (true, Some(first)) = (config.many, route.hops.first()) {
            let other = config.index != 0 && config.index != first.index;
            if other || config.via.is_some() && config.via != first.via {
                return Err(EINVAL);
            }
        }
        let (table, scope) = (route.table, route.scope);
        for hop in &mut route.hops {
            self.check_hop(netns, hop, table, scope)?;
        }
        self.with_source(netns, route)
    }

    /// `fib_check_nh()`.
    fn check_hop(&self, netns: Netns, hop: &mut Hop, table: u32, scope: u8) -> Result<(), i32> {
        let up = |index| match self.link(netns, index)?.is_up() {
            true => Ok(()),
            false => Err(ENETDOWN),
        };
        let Some(via) = hop.via else {
            if hop.onlink {
                return Err(EINVAL);
            }
            return up(hop.index);
        };
        if hop.onlink {
            if scope >= LINK {
                return Err(EINVAL);
            }
            up(hop.index)?;
            hop.scope = LINK;
            return match self.type_of(netns, via) {
                T_UNICAST => Ok(()),
                _ => Err(EINVAL),
            };
        }
        let flow = Flow {
            to: via,
            scope: (scope.saturating_add(1)).max(LINK),
            output: hop.index,
            ..Flow::output()
        };
        let own = match table {
            0 | MAIN => None,
            table => match self.lookup_table(netns, table, &flow) {
                Lookup::Found(found) => Some(found),
                _ => None,
            },
        };
        let found = match own {
            Some(found) => found,
            None => self.lookup(netns, &flow)?,
        };
        if found.route.kind != T_UNICAST && found.route.kind != T_LOCAL {
            return Err(EINVAL);
        }
        hop.index = found.hop.as_ref().map(|hop| hop.index).ok_or(EINVAL)?;
        hop.scope = found.route.scope;
        up(hop.index)
    }

    fn with_source(&self, netns: Netns, route: Route) -> Result<Route, i32> {
        let Some(source) = route.source else { return Ok(route) };
        // fib_valid_prefsrc(): a local route may be from where it leads to.
        let own = route.kind == T_LOCAL && route.length == 32 && route.to == source;
        match own || self.is_local(netns, source) {
            true => Ok(route),
            false => Err(EINVAL),
        }
    }

    /// `fib_table_insert()`.
    fn insert_route(
        &mut self,
        netns: Netns,
        route: Route,
        flags: u16,
        cause: Cause,
    ) -> Result<(), i32> {
        let is = |flag| flags & flag == flag;
        let list = self.space_mut(netns).tables.0.entry(route.table).or_default();
        let same_key = |other: &Route| {
            other.to == route.to
                && other.length == route.length
                && other.tos == route.tos
                && other.priority == route.priority
        };
        let mut replaced = false;
        match list.iter().position(same_key) {
            None => {
                if !is(NLM_F_CREATE) {
                    return Err(ENOENT);
                }
                let at = list.partition_point(|other| key(other) < key(&route));
                list.insert(at, route.clone());
            }
            Some(first) => {
                if is(NLM_F_EXCL) {
                    return Err(EEXIST);
                }
                let all = list.iter().skip(first).take_while(|other| same_key(other));
                let count = all.clone().count();
                let equal = all.clone().position(|other| *other == route);
                if is(NLM_F_REPLACE) {
                    match equal {
                        Some(0) => return Ok(()),
                        Some(_) => return Err(EEXIST),
                        None => {
                            list[first] = route.clone();
                            replaced = true;
                        }
                    }
                } else {
                    if equal.is_some() {
                        return Err(EEXIST);
                    }
                    if !is(NLM_F_CREATE) {
                        return Err(ENOENT);
                    }
                    let at = if is(NLM_F_APPEND) { first + count } else { first };
                    list.insert(at, route.clone());
                }
            }
        }
        let _ = replaced;
        self.tell_route(netns, &route, RTM_NEWROUTE, cause);
        Ok(())
    }

    fn tell_route(&mut self, netns: Netns, route: &Route, kind: u16, cause: Cause) {
        self.announce(netns, GROUP_ROUTE, kind, cause, |kernel| {
            kernel.route_body(netns, route, route.table, 0)
        });
    }

    /// `fib_magic()`: what addresses bring.
    pub(crate) fn magic_add(&mut self, netns: Netns, route: Route) {
        self.new_table(netns, route.table);
        if check_key(&route).is_ok() {
            let flags = NLM_F_CREATE | NLM_F_APPEND;
            let _ = self.insert_route(netns, route, flags, Cause::default());
        }
    }

    pub(crate) fn magic_del(&mut self, netns: Netns, route: &Route) {
        let list = self.space_mut(netns).tables.0.entry(route.table).or_default();
        let is = |other: &Route| {
            other.to == route.to
                && other.length == route.length
                && other.kind == route.kind
                && other.scope == route.scope
                && other.protocol == route.protocol
                && other.source == route.source
                && (route.priority == 0 || other.priority == route.priority)
                && other.hops.first().map(|hop| hop.index)
                    == route.hops.first().map(|hop| hop.index)
        };
        if let Some(at) = list.iter().position(is) {
            let gone = list.remove(at);
            self.tell_route(netns, &gone, RTM_DELROUTE, Cause::default());
        }
    }

    pub(crate) fn del_route(
        &mut self,
        netns: Netns,
        message: &Message<'_>,
        cause: Cause,
    ) -> Result<(), i32> {
        let config = self.config(message)?;
        let wanted = &config.route;
        let table = if wanted.table == 0 { MAIN } else { wanted.table };
        let list = self.space_mut(netns).tables.0.get_mut(&table).ok_or(ESRCH)?;
        let any = config.index == 0 && config.via.is_none() && !config.many;
        let hop_is = |hops: &[Hop]| {
            let Some(hop) = hops.first() else { return any };
            (config.index == 0 || config.index == hop.index)
                && config.via.is_none_or(|via| hop.via == Some(via))
        };
        let hops_are = |hops: &[Hop]| match config.many {
            false => any || hop_is(hops),
            true => {
                let same = |(a, b): (&Hop, &Hop)| {
                    (a.index == 0 || a.index == b.index) && a.via.is_none_or(|v| b.via == Some(v))
                };
                hops.len() == wanted.hops.len() && wanted.hops.iter().zip(hops).all(same)
            }
        };
        let is = |other: &Route| {
            other.to == wanted.to
                && other.length == wanted.length
                && other.tos == wanted.tos
                && (wanted.kind == 0 || other.kind == wanted.kind)
                && (config.has_scope == NOWHERE || other.scope == config.has_scope)
                && wanted.source.is_none_or(|source| other.source == Some(source))
                && (wanted.protocol == 0 || other.protocol == wanted.protocol)
                && (wanted.priority == 0 || other.priority == wanted.priority)
                && hops_are(&other.hops)
        };
        let at = list.iter().position(is).ok_or(ESRCH)?;
        let gone = list.remove(at);
        self.tell_route(netns, &gone, RTM_DELROUTE, cause);
        Ok(())
    }

    /// An interface goes down, loses its last address (`all`) or ends: what leads by it alone goes, and
    /// nobody is told (`fib_sync_down_dev()`, `fib_flush()`).
    pub(crate) fn flush_routes_by(&mut self, netns: Netns, index: u32, all: bool) {
        let links = self.space(netns).links.values();
        let up: Vec<u32> = links.filter(|link| link.is_up()).map(|link| link.index).collect();
        for list in self.space_mut(netns).tables.0.values_mut() {
            list.retain(|route| {
                let by = route.hops.iter().any(|hop| hop.index == index);
                let dead = |hop: &Hop| hop.index == index || !up.contains(&hop.index);
                let stays = route.scope == HOST && !all;
                !by || stays || !route.hops.iter().all(dead)
            });
        }
    }

    /// An address is gone: what is sent from it goes, too (`fib_sync_down_addr()`).
    pub(crate) fn flush_routes_from(&mut self, netns: Netns, source: Ipv4Addr) {
        for list in self.space_mut(netns).tables.0.values_mut() {
            // Those that lead nowhere stay (fib_table_flush()).
            list.retain(|route| route.source != Some(source) || refusal(route.kind).is_some());
        }
    }

    pub(crate) fn is_local(&self, netns: Netns, address: Ipv4Addr) -> bool {
        self.type_of(netns, address) == T_LOCAL
    }

    /// `inet_addr_type_table()` of table local.
    pub(crate) fn type_of(&self, netns: Netns, address: Ipv4Addr) -> u8 {
        if address.is_unspecified() || address.is_broadcast() {
            return T_BROADCAST;
        }
        if address.is_multicast() {
            return 5;
        }
        if !self.space(netns).tables.0.contains_key(&LOCAL) {
            return T_BROADCAST;
        }
        match self.lookup_table(netns, LOCAL, &Flow { to: address, ..Flow::output() }) {
            Lookup::Found(found) => found.route.kind,
            _ => T_UNICAST,
        }
    }

    /// `fib_dump_info()`.
    pub(crate) fn route_body(&self, netns: Netns, route: &Route, table: u32, more: u32) -> Writer {
        let mut header = [0; RTMSG];
        header[0] = AF_INET as u8;
        header[1] = route.length;
        header[3] = route.tos;
        header[4] = u8::try_from(table).unwrap_or(252);
        header[5] = route.protocol;
        header[6] = route.scope;
        header[7] = route.kind;
        let down = |hop: &Hop| {
            let link = self.link(netns, hop.index);
            match link.is_ok_and(|link| link.carrier || link.kind == crate::link::Kind::Dummy) {
                true => 0,
                false => LINKDOWN,
            }
        };
        let hop_flags = |hop: &Hop| down(hop) | if hop.onlink { ONLINK } else { 0 };
        let mut flags = more | route.flags;
        if let [hop] = &route.hops[..] {
            flags |= hop_flags(hop);
        }
        header[8..12].copy_from_slice(&flags.to_ne_bytes());
        let mut out = Writer::after(&header);
        out.u32(RTA_TABLE, table);
        if route.length != 0 {
            out.put(RTA_DST, &route.to.octets());
        }
        if route.priority != 0 {
            out.u32(RTA_PRIORITY, route.priority);
        }
        if !route.metrics.is_empty() {
            out.put(RTA_METRICS, &route.metrics);
        }
        if let Some(source) = route.source {
            out.put(RTA_PREFSRC, &source.octets());
        }
        match &route.hops[..] {
            [] => {}
            [hop] => {
                if let Some(via) = hop.via {
                    out.put(RTA_GATEWAY, &via.octets());
                }
                out.u32(RTA_OIF, hop.index);
            }
            many => {
                let mut all = Vec::new();
                for hop in many {
                    let mut inner = Writer::default();
                    if let Some(via) = hop.via {
                        inner.put(RTA_GATEWAY, &via.octets());
                    }
                    all.extend(((RTNEXTHOP + inner.0.len()) as u16).to_ne_bytes());
                    all.extend([hop_flags(hop) as u8, hop.weight]);
                    all.extend(hop.index.to_ne_bytes());
                    all.extend(inner.0);
                }
                out.put(RTA_MULTIPATH, &all);
            }
        }
        out
    }

    pub(crate) fn dump_routes(&self, netns: Netns, message: &Message<'_>) -> Result<Objects, i32> {
        match i32::from(message.byte(0)) {
            AF_INET | AF_UNSPEC => {}
            AF_INET6 => return Ok(Objects::new()),
            _ => return Err(EOPNOTSUPP),
        }
        let all = message.attributes(RTMSG)?;
        let (table, by) = (all.u32(RTA_TABLE)?, all.u32(RTA_OIF)?);
        if let Some(by) = by {
            self.link(netns, by)?;
        }
        let tables = &self.space(netns).tables.0;
        if let Some(table) = table {
            tables.get(&table).ok_or(ENOENT)?;
        }
        let (kind, protocol) = (message.byte(7), message.byte(5));
        let mut objects = Objects::new();
        // By the lowest 8 bits of their numbers (`fib_table_hash`), the newest of the same first.
        let mut order: Vec<u32> = tables.keys().copied().collect();
        order.sort_by_key(|number| number & 255);
        for number in order.into_iter().filter(|number| table.is_none_or(|t| t == *number)) {
            for route in &tables[&number] {
                let wanted = by.is_none_or(|by| route.hops.iter().any(|hop| hop.index == by))
                    && (kind == 0 || kind == route.kind)
                    && (protocol == 0 || protocol == route.protocol);
                if wanted {
                    objects.push((RTM_NEWROUTE, self.route_body(netns, route, number, 0)));
                }
            }
        }
        Ok(objects)
    }
}

/// The order of a table: by the lowest address, the longest prefix, the metric.
fn key(route: &Route) -> (u32, u8, u8, u32) {
    (route.to.into(), 32 - route.length, 255 - route.tos, route.priority)
}

/// `fib_valid_key_len()`.
fn check_key(route: &Route) -> Result<(), i32> {
    match route.length <= 32 && u32::from(route.to) & !mask(route.length) == 0 {
        true => Ok(()),
        false => Err(EINVAL),
    }
}

/// `struct rtnexthop`s, each with its attributes.
fn read_hops(mut rest: &[u8]) -> Result<Vec<Hop>, i32> {
    let mut hops = Vec::new();
    while rest.len() >= RTNEXTHOP {
        let length = usize::from(u16_at(rest, 0).unwrap_or(0));
        let one = rest.get(..length).filter(|one| one.len() >= RTNEXTHOP).ok_or(EINVAL)?;
        let via = Attributes(&one[RTNEXTHOP..]).ipv4(RTA_GATEWAY)?;
        let (index, flags) = (u32_at(one, 4).unwrap_or(0), u32::from(one[2]));
        if flags & (DEAD | LINKDOWN) != 0 {
            return Err(EINVAL);
        }
        let onlink = flags & ONLINK != 0;
        hops.push(Hop { index, via, onlink, weight: one[3], scope: 0 });
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    match hops.is_empty() {
        true => Err(EINVAL),
        false => Ok(hops),
    }
}
