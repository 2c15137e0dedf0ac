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

//! Which route a packet takes: rules, tables, next hops, and what RTM_GETROUTE answers
//! (`fib_lookup()`, `inet_rtm_getroute()`, `fib_validate_source()`).

use crate::conf::{FORWARDING, RP_FILTER};
use crate::kernel::Kernel;
use crate::link::{Kind, Link};
use crate::route::{
    mask, refusal, Hop, Route, LOCAL, MAIN, RTMSG, T_BROADCAST, T_LOCAL, T_UNICAST,
};
use crate::rtnetlink::Objects;
use crate::space::Netns;
use crate::wire::{Message, Writer};
use libc::*;
use std::net::Ipv4Addr;

const LOOPBACK: u32 = 1;
const DEFAULT: u32 = 253;
const LOOKUP_TABLE: u32 = 0x1000;
const FIB_MATCH: u32 = 0x2000;
const CLONED: u32 = 0x200;
const RTA_UID: u16 = 25;
const RTA_IP_PROTO: u16 = 27;
const RTA_SPORT: u16 = 28;
const RTA_DPORT: u16 = 29;
const ACCEPT_LOCAL: usize = 23;
const ROUTE_LOCALNET: usize = 26;

/// What rules and tables are asked about (`struct flowi4`).
#[derive(Clone, Copy, Debug)]
pub struct Flow {
    pub from: Ipv4Addr,
    pub to: Ipv4Addr,
    /// The interface that it comes in by; lo, for what is the device's own.
    pub input: u32,
    /// The interface that it is bound to.
    pub output: u32,
    pub mark: u32,
    pub tos: u8,
    pub scope: u8,
    pub uid: u32,
    pub protocol: u8,
    /// From and to, in host order.
    pub ports: (u16, u16),
}

impl Flow {
    /// The device's own, as root's.
    pub fn output() -> Self {
        Self {
            from: Ipv4Addr::UNSPECIFIED,
            to: Ipv4Addr::UNSPECIFIED,
            input: LOOPBACK,
            output: 0,
            mark: 0,
            tos: 0,
            scope: 0,
            uid: 0,
            protocol: 0,
            ports: (0, 0),
        }
    }
}

#[derive(Clone, Debug)]
pub struct Found {
    pub route: Route,
    pub hop: Option<Hop>,
    pub table: u32,
}

#[derive(Clone, Debug)]
pub enum Lookup {
    Found(Found),
    /// The table says nothing, or throws it back.
    Next,
    Refused(i32),
}

impl Kernel {
    /// `fib_table_lookup()`. Without rules of its own a namespace has one table for local and main.
    pub(crate) fn lookup_table(&self, netns: Netns, table: u32, flow: &Flow) -> Lookup {
        match self.space(netns).custom_rules {
            false if table == LOCAL || table == MAIN => {
                self.lookup_tables(netns, &[LOCAL, MAIN], flow)
            }
            _ => self.lookup_tables(netns, &[table], flow),
        }
    }

    /// The longest prefix whose route can be used.
    fn lookup_tables(&self, netns: Netns, tables: &[u32], flow: &Flow) -> Lookup {
        let space = self.space(netns);
        let to = u32::from(flow.to);
        let matching = |route: &&Route| to & mask(route.length) == u32::from(route.to);
        let all = || {
            let tables = tables.iter().filter_map(|number| space.tables.0.get(number));
            tables.flatten().filter(matching)
        };
        let mut lengths = 0u64;
        all().for_each(|route| lengths |= 1 << route.length);
        for length in (0..=32).rev().filter(|length| lengths & 1 << length != 0) {
            let is = |route: &&Route| {
                route.length == length
                    && (route.tos == 0 || route.tos == flow.tos)
                    && route.scope >= flow.scope
            };
            for route in all().filter(is) {
                match refusal(route.kind) {
                    Some(EAGAIN) => return Lookup::Next,
                    Some(errno) => return Lookup::Refused(errno),
                    None => {}
                }
                let usable = |hop: &&Hop| {
                    // A route to the device itself stays while its interface is down.
                    let up = space.links.get(&hop.index).is_some_and(Link::is_up);
                    (up || route.scope == 254) && (flow.output == 0 || flow.output == hop.index)
                };
                if let Some(hop) = route.hops.iter().find(usable) {
                    let (route, hop) = (route.clone(), Some(hop.clone()));
                    let table = route.table;
                    return Lookup::Found(Found { route, hop, table });
                }
            }
        }
        Lookup::Next
    }

    /// `fib_lookup()`: through the rules.
    pub(crate) fn lookup(&self, netns: Netns, flow: &Flow) -> Result<Found, i32> {
        let mut found = self.through_rules(netns, flow)?;
        if !self.space(netns).custom_rules && found.table == LOCAL {
            found.table = MAIN;
        }
        Ok(found)
    }

    fn through_rules(&self, netns: Netns, flow: &Flow) -> Result<Found, i32> {
        let space = self.space(netns);
        if !space.custom_rules {
            for tables in [&[LOCAL, MAIN][..], &[DEFAULT]] {
                match self.lookup_tables(netns, tables, flow) {
                    Lookup::Found(found) => return Ok(found),
                    Lookup::Refused(errno) => return Err(errno),
                    Lookup::Next => {}
                }
            }
            return Err(ENETUNREACH);
        }
        let rules = &space.rules;
        let mut at = 0;
        while let Some(rule) = rules.get(at) {
            at += 1;
            if !rule.matches(flow) {
                continue;
            }
            use crate::rule::{BLACKHOLE, GOTO, NOP, PROHIBIT, TO_TABLE, UNREACHABLE};
            match rule.action {
                TO_TABLE => match self.lookup_table(netns, rule.table, flow) {
                    Lookup::Found(found) => {
                        let bound = rule.suppress_length;
                        if bound.is_none_or(|bound| u32::from(found.route.length) > bound) {
                            return Ok(found);
                        }
                    }
                    Lookup::Next => {}
                    Lookup::Refused(errno) => return Err(errno),
                },
                UNREACHABLE => return Err(ENETUNREACH),
                PROHIBIT => return Err(EACCES),
                GOTO => match rules.iter().position(|other| Some(other.priority) == rule.target) {
                    Some(target) => at = target,
                    None => continue,
                },
                NOP => {}
                BLACKHOLE => return Err(EINVAL),
                _ => return Err(EINVAL),
            }
        }
        Err(ENETUNREACH)
    }

    pub(crate) fn get_route(&self, netns: Netns, message: &Message<'_>) -> Result<Objects, i32> {
        match i32::from(message.byte(0)) {
            AF_INET => {}
            // There are no routes.
            AF_INET6 => return Err(ENETUNREACH),
            _ => return Err(EOPNOTSUPP),
        }
        let all = message.attributes(RTMSG)?;
        // inet_rtm_valid_getroute_req()
        let (to, from) = (all.ipv4(RTA_DST)?, all.ipv4(RTA_SRC)?);
        let whole = |length: u8, there: bool| length == 0 || length == 32 && there;
        if !whole(message.byte(1), to.is_some()) || !whole(message.byte(2), from.is_some()) {
            return Err(EINVAL);
        }
        if to.is_some() && message.byte(1) == 0 || from.is_some() && message.byte(2) == 0 {
            return Err(EINVAL);
        }
        let port = |kind| {
            all.find(kind).and_then(|v| Some(u16::from_be_bytes(v.get(..2)?.try_into().ok()?)))
        };
        let flow = Flow {
            to: to.unwrap_or(Ipv4Addr::UNSPECIFIED),
            from: from.unwrap_or(Ipv4Addr::UNSPECIFIED),
            tos: message.byte(3),
            mark: all.u32(RTA_MARK)?.unwrap_or(0),
            output: all.u32(RTA_OIF)?.unwrap_or(0),
            uid: all.u32(RTA_UID)?.unwrap_or(0),
            protocol: all.u8(RTA_IP_PROTO)?.unwrap_or(17),
            ports: (port(RTA_SPORT).unwrap_or(0), port(RTA_DPORT).unwrap_or(0)),
            ..Flow::output()
        };
        let input = all.u32(RTA_IIF)?.unwrap_or(0);
        let way = match input {
            0 => self.output(netns, flow)?,
            _ => {
                self.link(netns, input)?;
                self.input(netns, Flow { input, ..flow })?
            }
        };
        let flags = message.word(8);
        let body = match flags & FIB_MATCH != 0 {
            true => {
                let found = way.found.as_ref().ok_or(EHOSTUNREACH)?;
                self.route_body(netns, &found.route, found.table, 0)
            }
            false => {
                let link = self.link(netns, way.index);
                let by_lo = link.is_ok_and(|link| link.kind == Kind::Loopback);
                way_body(&way, &flow, input, flags, by_lo && input == 0)
            }
        };
        Ok(vec![(RTM_NEWROUTE, body)])
    }

    /// `ip_route_output_key_hash_rcu()`.
    pub(crate) fn output(&self, netns: Netns, mut flow: Flow) -> Result<Way, i32> {
        let asked = flow.from;
        if !flow.from.is_unspecified() {
            if flow.from.is_multicast() || flow.from.is_broadcast() || zero_net(flow.from) {
                return Err(EINVAL);
            }
            let own = || self.space(netns).addresses.values().flatten();
            if !own().any(|own| own.local == flow.from) && !self.is_local(netns, flow.from) {
                return Err(ENETUNREACH);
            }
        }
        if flow.output != 0 {
            let link = self.link(netns, flow.output)?;
            if !link.is_up() {
                return Err(ENETUNREACH);
            }
        }
        if flow.to.is_unspecified() {
            flow.to = if flow.from.is_unspecified() { Ipv4Addr::LOCALHOST } else { flow.from };
            return Ok(Way::local(flow.to, flow.to, LOOPBACK, None));
        }
        if flow.output == 0 && (flow.to.is_broadcast() || flow.to.is_multicast()) {
            // Not for guests; the device's own are sent where a route leads.
        }
        let found = match self.lookup(netns, &flow) {
            Ok(found) => found,
            // It is taken to be on the link that it is bound to.
            Err(errno) if flow.output != 0 && errno == ENETUNREACH => {
                let source = self.source_on(netns, flow.output, flow.to, 253);
                let from = if asked.is_unspecified() { source } else { asked };
                return Ok(Way {
                    kind: T_UNICAST,
                    index: flow.output,
                    via: None,
                    from,
                    to: flow.to,
                    found: None,
                });
            }
            Err(errno) => return Err(errno),
        };
        let hop = found.hop.clone().ok_or(EINVAL)?;
        let from = match asked.is_unspecified() {
            false => asked,
            true => self.source_of(netns, &found, &hop),
        };
        if found.route.kind == T_LOCAL {
            let from =
                if asked.is_unspecified() { found.route.source.unwrap_or(flow.to) } else { asked };
            return Ok(Way::local(flow.to, from, LOOPBACK, Some(found)));
        }
        let kind = match flow.to.is_broadcast() {
            true => T_BROADCAST,
            false if flow.to.is_multicast() => 5,
            false => found.route.kind,
        };
        Ok(Way {
            kind,
            index: hop.index,
            via: hop.gateway(),
            from,
            to: flow.to,
            found: Some(found),
        })
    }

    /// `fib_result_prefsrc()`: the route's own, or one of the interface's that fits the next hop.
    fn source_of(&self, netns: Netns, found: &Found, hop: &Hop) -> Ipv4Addr {
        if let Some(source) = found.route.source {
            return source;
        }
        let to = hop.via.unwrap_or(Ipv4Addr::UNSPECIFIED);
        self.source_on(netns, hop.index, to, found.route.scope)
    }

    /// `inet_select_addr()`: of this scope or a wider one.
    pub(crate) fn source_on(&self, netns: Netns, index: u32, to: Ipv4Addr, scope: u8) -> Ipv4Addr {
        const LINK: u8 = 253;
        let all = &self.space(netns).addresses;
        let may = |a: &&crate::address::Address| a.flags & 1 == 0 && a.scope <= scope;
        let own = || all.get(&index).into_iter().flatten().filter(may);
        let fits = |a: &&crate::address::Address| {
            (u32::from(a.address) ^ u32::from(to)) & mask(a.prefix) == 0
        };
        let on_it = own().find(|a| to.is_unspecified() || fits(a)).or_else(|| own().next());
        let any = || all.values().flatten().filter(may).find(|a| a.scope != LINK);
        on_it.or_else(any).map_or(Ipv4Addr::UNSPECIFIED, |a| a.local)
    }

    /// `ip_route_input_slow()`.
    pub(crate) fn input(&self, netns: Netns, flow: Flow) -> Result<Way, i32> {
        let link = self.link(netns, flow.input)?;
        if !link.ipv4 {
            return Err(EINVAL);
        }
        let (from, to) = (flow.from, flow.to);
        let space = self.space(netns);
        let says = |key| link.conf.get(key) != 0 || space.conf_all.get(key) != 0;
        let martian = |a: Ipv4Addr| a.is_loopback() && !says(ROUTE_LOCALNET);
        if from.is_multicast() || from.is_broadcast() {
            return Err(EINVAL);
        }
        if to.is_broadcast() || from.is_unspecified() && to.is_unspecified() {
            return Ok(Way { kind: T_BROADCAST, ..Way::local(to, to, LOOPBACK, None) });
        }
        if zero_net(from) || zero_net(to) || martian(to) || martian(from) {
            return Err(EINVAL);
        }
        let forwards = link.conf.get(FORWARDING) != 0;
        let found = match self.lookup(netns, &flow) {
            Ok(found) => found,
            Err(errno) => {
                return Err(if forwards { errno } else { EHOSTUNREACH });
            }
        };
        match found.route.kind {
            T_BROADCAST => {
                self.validate_source(netns, &flow, link)?;
                Ok(Way { kind: T_BROADCAST, ..Way::local(to, to, LOOPBACK, Some(found)) })
            }
            T_LOCAL => {
                self.validate_source(netns, &flow, link)?;
                Ok(Way::local(to, to, LOOPBACK, Some(found)))
            }
            T_UNICAST if !forwards => Err(EHOSTUNREACH),
            T_UNICAST => {
                self.validate_source(netns, &flow, link)?;
                let hop = found.hop.clone().ok_or(EINVAL)?;
                if space.links.get(&hop.index).is_none_or(|link| !link.ipv4) {
                    return Err(EINVAL);
                }
                let (kind, index, via) = (T_UNICAST, hop.index, hop.gateway());
                Ok(Way { kind, index, via, from, to, found: Some(found) })
            }
            _ => Err(EINVAL),
        }
    }

    /// `fib_validate_source()`: whether an answer to the source would leave where the packet came in.
    fn validate_source(&self, netns: Netns, flow: &Flow, link: &Link) -> Result<(), i32> {
        let space = self.space(netns);
        let filter = link.conf.get(RP_FILTER).max(space.conf_all.get(RP_FILTER));
        let accepts = link.conf.get(ACCEPT_LOCAL) != 0 || space.conf_all.get(ACCEPT_LOCAL) != 0;
        if filter == 0 && accepts {
            return Ok(());
        }
        let back = Flow {
            to: flow.from,
            from: flow.to,
            input: flow.input,
            output: 0,
            scope: 0,
            ports: (flow.ports.1, flow.ports.0),
            ..*flow
        };
        // Without src_valid_mark it is asked without the mark.
        let back = Flow { mark: 0, ..back };
        if filter == 0 && !space.custom_rules {
            // fib_validate_source() asks table local alone.
            let mut own = space.addresses.values().flatten();
            return match own.any(|own| own.local == flow.from) {
                true => Err(EINVAL),
                false => Ok(()),
            };
        }
        let found = match self.lookup(netns, &back) {
            Ok(found) => found,
            Err(_) if filter == 0 => return Ok(()),
            Err(_) => {
                // No way back at all.
                return match filter {
                    0 => Ok(()),
                    _ => Err(EXDEV),
                };
            }
        };
        if found.route.kind != T_UNICAST && (found.route.kind != T_LOCAL || !accepts) {
            return Err(EINVAL);
        }
        let by = found.route.hops.iter().any(|hop| hop.index == link.index)
            || found.route.kind == T_LOCAL && link.kind == Kind::Loopback;
        if by {
            return Ok(());
        }
        // An interface without addresses is let off the strict filter.
        if space.addresses.get(&link.index).is_none_or(Vec::is_empty) {
            return match filter {
                0 => Ok(()),
                _ => Err(EXDEV),
            };
        }
        if filter == 1 {
            return Err(EXDEV);
        }
        if filter == 0 {
            return Ok(());
        }
        // Loosely: by any interface.
        Ok(())
    }
}

fn zero_net(address: Ipv4Addr) -> bool {
    address.octets()[0] == 0
}

/// Where a packet goes.
#[derive(Clone, Debug)]
pub struct Way {
    pub kind: u8,
    pub index: u32,
    pub via: Option<Ipv4Addr>,
    /// The address that it leaves with.
    pub from: Ipv4Addr,
    pub to: Ipv4Addr,
    pub found: Option<Found>,
}

impl Way {
    fn local(to: Ipv4Addr, from: Ipv4Addr, index: u32, found: Option<Found>) -> Self {
        Self { kind: T_LOCAL, index, via: None, from, to, found }
    }
}

/// `rt_fill_info()`.
fn way_body(way: &Way, flow: &Flow, input: u32, flags: u32, by_lo: bool) -> Writer {
    let mut header = [0; RTMSG];
    header[0] = AF_INET as u8;
    header[1] = 32;
    header[2] = if flow.from.is_unspecified() { 0 } else { 32 };
    header[3] = flow.tos;
    let table = match flags & LOOKUP_TABLE != 0 {
        true => way.found.as_ref().map_or(MAIN, |found| found.table),
        false => MAIN,
    };
    header[4] = u8::try_from(table).unwrap_or(252);
    header[7] = way.kind;
    // RTCF_LOCAL, RTCF_BROADCAST, RTCF_MULTICAST
    let more = match way.kind {
        T_LOCAL => 0x8000_0000,
        T_BROADCAST => 0x9000_0000,
        5 => 0xa000_0000,
        _ if by_lo => 0x8000_0000,
        _ => 0,
    };
    header[8..12].copy_from_slice(&(CLONED | more).to_ne_bytes());
    let mut out = Writer::after(&header);
    out.put(RTA_DST, &way.to.octets());
    out.u32(RTA_TABLE, table);
    if !flow.from.is_unspecified() {
        out.put(RTA_SRC, &flow.from.octets());
    }
    out.u32(RTA_OIF, way.index);
    if input == 0 && !way.from.is_unspecified() && way.from != flow.from {
        out.put(RTA_PREFSRC, &way.from.octets());
    }
    if let Some(via) = way.via {
        out.put(RTA_GATEWAY, &via.octets());
    }
    if flow.mark != 0 {
        out.u32(RTA_MARK, flow.mark);
    }
    out.u32(RTA_UID, 0);
    if input != 0 {
        out.u32(RTA_IIF, input);
    }
    out.put(RTA_CACHEINFO, &[0; 32]);
    out
}
