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

//! Policy-routing rules (net/core/fib_rules.c, net/ipv4/fib_rules.c).

use crate::announce::{Cause, GROUP_RULE};
use crate::fib::Flow;
use crate::kernel::Kernel;
use crate::route::mask;
use crate::rtnetlink::Objects;
use crate::space::Netns;
use crate::wire::{Message, Writer, NLM_F_EXCL};
use libc::*;
use std::net::Ipv4Addr;

/// `struct fib_rule_hdr`.
const HEADER: usize = 12;
const FRA_DST: u16 = 1;
const FRA_SRC: u16 = 2;
const FRA_IIFNAME: u16 = 3;
const FRA_GOTO: u16 = 4;
const FRA_PRIORITY: u16 = 6;
const FRA_FWMARK: u16 = 10;
const FRA_SUPPRESS_IFGROUP: u16 = 13;
const FRA_SUPPRESS_PREFIXLEN: u16 = 14;
const FRA_TABLE: u16 = 15;
const FRA_FWMASK: u16 = 16;
const FRA_OIFNAME: u16 = 17;
const FRA_UID_RANGE: u16 = 20;
const FRA_PROTOCOL: u16 = 21;
const FRA_IP_PROTO: u16 = 22;
const FRA_SPORT_RANGE: u16 = 23;
const FRA_DPORT_RANGE: u16 = 24;
const FRA_SPORT_MASK: u16 = 28;
const FRA_DPORT_MASK: u16 = 29;
const INVERT: u32 = 2;
const UNRESOLVED: u32 = 4;
const IIF_DETACHED: u32 = 8;
const OIF_DETACHED: u32 = 16;

pub const TO_TABLE: u8 = 1;
pub const GOTO: u8 = 2;
pub const NOP: u8 = 3;
pub const BLACKHOLE: u8 = 6;
pub const UNREACHABLE: u8 = 7;
pub const PROHIBIT: u8 = 8;

/// An interface by its name, with its index while there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    pub name: String,
    pub index: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pub priority: u32,
    pub table: u32,
    pub action: u8,
    pub target: Option<u32>,
    pub from: (Ipv4Addr, u8),
    pub to: (Ipv4Addr, u8),
    pub tos: u8,
    pub input: Option<Bound>,
    pub output: Option<Bound>,
    pub mark: (u32, u32),
    pub suppress_length: Option<u32>,
    pub suppress_group: Option<u32>,
    pub users: Option<(u32, u32)>,
    pub protocol: u8,
    pub transport: u8,
    pub from_ports: Option<(u16, u16)>,
    pub to_ports: Option<(u16, u16)>,
    pub inverted: bool,
}

/// What every namespace begins with (`fib_default_rules_init()`).
pub fn defaults() -> Vec<Rule> {
    [(0, 255), (32766, 254), (32767, 253)].map(|(priority, table)| blank(priority, table)).into()
}

fn blank(priority: u32, table: u32) -> Rule {
    Rule {
        priority,
        table,
        action: TO_TABLE,
        target: None,
        from: (Ipv4Addr::UNSPECIFIED, 0),
        to: (Ipv4Addr::UNSPECIFIED, 0),
        tos: 0,
        input: None,
        output: None,
        mark: (0, 0),
        suppress_length: None,
        suppress_group: None,
        users: None,
        protocol: 2,
        transport: 0,
        from_ports: None,
        to_ports: None,
        inverted: false,
    }
}

impl Rule {
    /// `fib_rule_match()` and `fib4_rule_match()`.
    pub fn matches(&self, flow: &Flow) -> bool {
        let bound =
            |own: &Option<Bound>, of: u32| own.as_ref().is_none_or(|bound| bound.index == Some(of));
        let within = |(own, length): (Ipv4Addr, u8), of: Ipv4Addr| {
            (u32::from(own) ^ u32::from(of)) & mask(length) == 0
        };
        let ports = |own: Option<(u16, u16)>, of: u16| {
            own.is_none_or(|(first, last)| (first..=last).contains(&of))
        };
        let is = bound(&self.input, flow.input)
            && bound(&self.output, flow.output)
            && (self.mark.0 ^ flow.mark) & self.mark.1 == 0
            && self.users.is_none_or(|(first, last)| (first..=last).contains(&flow.uid))
            && within(self.from, flow.from)
            && within(self.to, flow.to)
            && (self.tos == 0 || self.tos == flow.tos)
            && (self.transport == 0 || self.transport == flow.protocol)
            && ports(self.from_ports, flow.ports.0)
            && ports(self.to_ports, flow.ports.1);
        is != self.inverted
    }
}

impl Rule {
    /// Whether the kernel takes this new one for another that is there (`rule_exists()`): where it asks
    /// for no address, that one may ask for any, and what is inverted is not compared.
    fn is_again(&self, other: &Rule) -> bool {
        let mut same = other.clone();
        if self.from.1 == 0 {
            same.from = self.from;
        }
        if self.to.1 == 0 {
            same.to = self.to;
        }
        if self.tos == 0 {
            same.tos = 0;
        }
        (same.inverted, same.target) = (self.inverted, self.target);
        same == *self
    }
}

impl Kernel {
    /// `fib_nl2rule()`: the rule that a message says, and whether it says its priority.
    fn rule_of(&self, netns: Netns, message: &Message<'_>) -> Result<(Rule, bool), i32> {
        match i32::from(message.byte(0)) {
            AF_INET => {}
            _ => return Err(EAFNOSUPPORT),
        }
        let all = message.attributes(HEADER)?;
        let (to_length, from_length) = (message.byte(1), message.byte(2));
        let prefix = |kind, length: u8| match (all.find(kind), length) {
            (_, 33..) => Err(EINVAL),
            (None, 0) => Ok((Ipv4Addr::UNSPECIFIED, 0)),
            (None, _) => Err(EINVAL),
            (Some(value), 0) if value.len() == 4 => Ok((Ipv4Addr::UNSPECIFIED, 0)),
            (Some(value), _) if value.len() == 4 => {
                Ok((crate::wire::ipv4(value).ok_or(EINVAL)?, length))
            }
            (Some(_), 0) => Ok((Ipv4Addr::UNSPECIFIED, 0)),
            (Some(_), _) => Err(EINVAL),
        };
        let bound = |kind| -> Result<Option<Bound>, i32> {
            let name = all.text(kind, IFNAMSIZ - 1)?;
            Ok(name.map(|name| Bound { index: self.space(netns).by_name(&name), name }))
        };
        let ports = |kind| -> Result<Option<(u16, u16)>, i32> {
            let Some(value) = all.find(kind) else { return Ok(None) };
            let at = |at| crate::wire::u16_at(value, at).ok_or(EINVAL);
            let (first, last) = (at(0)?, at(2)?);
            match first != 0 && last != u16::MAX && first <= last {
                true => Ok(Some((first, last))),
                false => Err(EINVAL),
            }
        };
        let users = match all.find(FRA_UID_RANGE) {
            None => None,
            Some(value) => {
                let at = |at| crate::wire::u32_at(value, at).ok_or(EINVAL);
                let (first, last) = (at(0)?, at(4)?);
                if first > last {
                    return Err(EINVAL);
                }
                Some((first, last))
            }
        };
        let mark = all.u32(FRA_FWMARK)?;
        // All bits of a mark count unless it is said which.
        let mask = all.u32(FRA_FWMASK)?;
        let mask = mask.unwrap_or(if mark.unwrap_or(0) != 0 { u32::MAX } else { 0 });
        let priority = all.u32(FRA_PRIORITY)?;
        let flags = message.word(8);
        let bits = |value: Option<u32>| value.filter(|bits| *bits != u32::MAX);
        let rule = Rule {
            priority: priority.unwrap_or(0),
            table: all.u32(FRA_TABLE)?.unwrap_or(message.byte(4).into()),
            action: message.byte(7),
            target: all.u32(FRA_GOTO)?,
            from: prefix(FRA_SRC, from_length)?,
            to: prefix(FRA_DST, to_length)?,
            tos: message.byte(3),
            input: bound(FRA_IIFNAME)?,
            output: bound(FRA_OIFNAME)?,
            mark: (mark.unwrap_or(0), mask),
            suppress_length: bits(all.u32(FRA_SUPPRESS_PREFIXLEN)?),
            suppress_group: bits(all.u32(FRA_SUPPRESS_IFGROUP)?),
            users,
            protocol: all.u8(FRA_PROTOCOL)?.unwrap_or(0),
            transport: all.u8(FRA_IP_PROTO)?.unwrap_or(0),
            from_ports: ports(FRA_SPORT_RANGE)?,
            to_ports: ports(FRA_DPORT_RANGE)?,
            inverted: flags & INVERT != 0,
        };
        Ok((rule, priority.is_some()))
    }

    pub(crate) fn new_rule(
        &mut self,
        netns: Netns,
        message: &Message<'_>,
        cause: Cause,
    ) -> Result<(), i32> {
        let (mut rule, has_priority) = self.rule_of(netns, message)?;
        if !has_priority {
            rule.priority = self.free_priority(netns);
        }
        if rule.action == GOTO {
            let target = rule.target.ok_or(EINVAL)?;
            if target <= rule.priority {
                return Err(EINVAL);
            }
        }
        let again = |other: &Rule| rule.is_again(other);
        if message.is(NLM_F_EXCL) && self.space(netns).rules.iter().any(again) {
            return Err(EEXIST);
        }
        if rule.action == 0 || rule.tos & !0x1e != 0 {
            return Err(EINVAL);
        }
        if rule.table == 0 && rule.action == TO_TABLE {
            let tables = &mut self.space_mut(netns).tables.0;
            let free = (1..254).find(|number| !tables.contains_key(number)).ok_or(ENOBUFS)?;
            tables.insert(free, Vec::new());
            rule.table = free;
        }
        self.space_mut(netns).custom_rules = true;
        let rules = &mut self.space_mut(netns).rules;
        let at = rules.partition_point(|other| other.priority <= rule.priority);
        rules.insert(at, rule.clone());
        self.tell_rule(netns, &rule, RTM_NEWRULE, cause);
        Ok(())
    }

    /// `fib_default_rule_pref()`: just before the second one.
    fn free_priority(&self, netns: Netns) -> u32 {
        let second = self.space(netns).rules.get(1);
        second.map_or(0, |rule| rule.priority.saturating_sub(1))
    }

    pub(crate) fn del_rule(
        &mut self,
        netns: Netns,
        message: &Message<'_>,
        cause: Cause,
    ) -> Result<(), i32> {
        let (wanted, has_priority) = self.rule_of(netns, message)?;
        let all = message.attributes(HEADER)?;
        let of = |bound: &Option<Bound>| bound.as_ref().map(|bound| bound.name.clone());
        // rule_find() and fib4_rule_compare(): what is not said is not asked.
        let is = |rule: &Rule| {
            (wanted.action == 0 || rule.action == wanted.action)
                && (wanted.table == 0 || rule.table == wanted.table)
                && (!has_priority || rule.priority == wanted.priority)
                && (wanted.input.is_none() || of(&rule.input) == of(&wanted.input))
                && (wanted.output.is_none() || of(&rule.output) == of(&wanted.output))
                && (wanted.mark.0 == 0 || rule.mark.0 == wanted.mark.0)
                && (wanted.suppress_group.is_none() || rule.suppress_group == wanted.suppress_group)
                && (wanted.suppress_length.is_none()
                    || rule.suppress_length == wanted.suppress_length)
                && (wanted.mark.1 == 0 || rule.mark.1 == wanted.mark.1)
                && (wanted.users.is_none() || rule.users == wanted.users)
                && (wanted.transport == 0 || rule.transport == wanted.transport)
                && (wanted.from_ports.is_none() || rule.from_ports == wanted.from_ports)
                && (wanted.to_ports.is_none() || rule.to_ports == wanted.to_ports)
                && (wanted.protocol == 0 || rule.protocol == wanted.protocol)
                && (wanted.from.1 == 0 || rule.from.1 == wanted.from.1)
                && (wanted.to.1 == 0 || rule.to.1 == wanted.to.1)
                && (wanted.tos == 0 || rule.tos == wanted.tos)
                && (wanted.from.1 == 0 || !all.has(FRA_SRC) || rule.from.0 == wanted.from.0)
                && (wanted.to.1 == 0 || !all.has(FRA_DST) || rule.to.0 == wanted.to.0)
        };
        let at = self.space(netns).rules.iter().position(is).ok_or(ENOENT)?;
        self.space_mut(netns).custom_rules = true;
        let gone = self.space_mut(netns).rules.remove(at);
        self.tell_rule(netns, &gone, RTM_DELRULE, cause);
        Ok(())
    }

    fn tell_rule(&mut self, netns: Netns, rule: &Rule, kind: u16, cause: Cause) {
        self.announce(netns, GROUP_RULE, kind, cause, |kernel| kernel.rule_body(netns, rule));
    }

    /// An interface of a rule's name comes or has another name (`attach_rules()`).
    pub(crate) fn rules_find(&mut self, netns: Netns, index: u32) {
        let Ok(name) = self.link(netns, index).map(|link| link.name.clone()) else { return };
        for rule in &mut self.space_mut(netns).rules {
            for bound in rule.input.iter_mut().chain(&mut rule.output) {
                if bound.index.is_none() && bound.name == name {
                    bound.index = Some(index);
                }
            }
        }
    }

    /// It goes (`detach_rules()`).
    pub(crate) fn rules_lose(&mut self, netns: Netns, index: u32) {
        for rule in &mut self.space_mut(netns).rules {
            for bound in rule.input.iter_mut().chain(&mut rule.output) {
                if bound.index == Some(index) {
                    bound.index = None;
                }
            }
        }
    }

    /// `fib_nl_fill_rule()`.
    fn rule_body(&self, netns: Netns, rule: &Rule) -> Writer {
        let mut header = [0; HEADER];
        header[0] = AF_INET as u8;
        header[1] = rule.to.1;
        header[2] = rule.from.1;
        header[3] = rule.tos;
        header[4] = u8::try_from(rule.table).unwrap_or(252);
        header[7] = rule.action;
        let mut flags = if rule.inverted { INVERT } else { 0 };
        let lost = |bound: &Option<Bound>| bound.as_ref().is_some_and(|b| b.index.is_none());
        flags |= if lost(&rule.input) { IIF_DETACHED } else { 0 };
        flags |= if lost(&rule.output) { OIF_DETACHED } else { 0 };
        let rules = &self.space(netns).rules;
        if rule.target.is_some_and(|target| !rules.iter().any(|r| r.priority == target)) {
            flags |= UNRESOLVED;
        }
        header[8..12].copy_from_slice(&flags.to_ne_bytes());
        let mut out = Writer::after(&header);
        out.u32(FRA_TABLE, rule.table);
        out.u32(FRA_SUPPRESS_PREFIXLEN, rule.suppress_length.unwrap_or(u32::MAX));
        out.put(FRA_PROTOCOL, &[rule.protocol]);
        if let Some(input) = &rule.input {
            out.text(FRA_IIFNAME, &input.name);
        }
        if let Some(output) = &rule.output {
            out.text(FRA_OIFNAME, &output.name);
        }
        if rule.priority != 0 {
            out.u32(FRA_PRIORITY, rule.priority);
        }
        if rule.mark.0 != 0 {
            out.u32(FRA_FWMARK, rule.mark.0);
        }
        if rule.mark != (0, 0) {
            out.u32(FRA_FWMASK, rule.mark.1);
        }
        if let Some(target) = rule.target {
            out.u32(FRA_GOTO, target);
        }
        if let Some((first, last)) = rule.users {
            out.put(FRA_UID_RANGE, &[first.to_ne_bytes(), last.to_ne_bytes()].concat());
        }
        if rule.transport != 0 {
            out.put(FRA_IP_PROTO, &[rule.transport]);
        }
        for (kind, ports) in [(FRA_SPORT_RANGE, rule.from_ports), (FRA_DPORT_RANGE, rule.to_ports)]
        {
            if let Some((first, last)) = ports {
                out.put(kind, &[first.to_ne_bytes(), last.to_ne_bytes()].concat());
            }
        }
        // Since Linux 6.15, of one port.
        for (kind, ports) in [(FRA_SPORT_MASK, rule.from_ports), (FRA_DPORT_MASK, rule.to_ports)] {
            if ports.is_some_and(|(first, last)| first == last) {
                out.put(kind, &u16::MAX.to_ne_bytes());
            }
        }
        if let Some(group) = rule.suppress_group {
            out.u32(FRA_SUPPRESS_IFGROUP, group);
        }
        if rule.to.1 != 0 {
            out.put(FRA_DST, &rule.to.0.octets());
        }
        if rule.from.1 != 0 {
            out.put(FRA_SRC, &rule.from.0.octets());
        }
        out
    }

    pub(crate) fn dump_rules(&self, netns: Netns, message: &Message<'_>) -> Result<Objects, i32> {
        match i32::from(message.byte(0)) {
            AF_INET | AF_UNSPEC => {}
            AF_INET6 => return Ok(Objects::new()),
            _ => return Err(EAFNOSUPPORT),
        }
        let rules = self.space(netns).rules.iter();
        Ok(rules.map(|rule| (RTM_NEWRULE, self.rule_body(netns, rule))).collect())
    }
}
