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

//! RTM_*QDISC and RTM_*TFILTER: a clsact, and u32 filters there that hand frames on (net/sched/sch_api.c, cls_api.c,
//! cls_u32.c, act_mirred.c). Of links' own queues there is what they are born with. Nobody is told of any of this.
//! The kernel that it is like has no act_police, as GKI kernels have none.

use crate::kernel::Kernel;
use crate::link::Link;
use crate::rtnetlink::Objects;
use crate::space::Netns;
use crate::wire::{u32_at, Attributes, Message, Writer, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use libc::*;
use std::collections::BTreeMap;

/// `struct tcmsg`.
const TCMSG: usize = 20;
const TCA_KIND: u16 = 1;
const TCA_OPTIONS: u16 = 2;
const TCA_CHAIN: u16 = 11;
const ROOT: u32 = u32::MAX;
const CLSACT: u32 = 0xffff_fff1;
const CLSACT_HANDLE: u32 = 0xffff_0000;
const TCA_U32_HASH: u16 = 2;
const TCA_U32_DIVISOR: u16 = 4;
const TCA_U32_SEL: u16 = 5;
const TCA_U32_ACT: u16 = 7;
const TCA_U32_FLAGS: u16 = 11;
const NOT_IN_HW: u32 = 8;
/// Which table of filters a handle is of; the one that all of a priority begin in; which filter there.
const TABLE: u32 = 0xfff0_0000;
const NODE: u32 = 0x0fff;
/// `struct tc_u32_sel` without its keys, and one of those.
const SEL: usize = 16;
const KEY: usize = 16;

/// Kinds of filters that are not simulated.
const OTHERS: [&str; 8] = ["basic", "bpf", "cgroup", "flow", "flower", "fw", "matchall", "route"];

/// What a link has in the place of a clsact.
#[derive(Clone, Debug, Default)]
pub enum Ingress {
    /// Nobody has asked for one.
    #[default]
    Never,
    /// There was one, or could have been.
    Gone,
    Clsact(Clsact),
}

/// Both directions, and the tables that they have in common (`struct tc_u_common`).
#[derive(Clone, Debug, Default)]
pub struct Clsact {
    /// Of what comes in, and of what leaves, by priority.
    pub(crate) ways: [Vec<Proto>; 2],
    /// The newest first.
    pub(crate) tables: Vec<Table>,
    /// What the next table's number is looked for from.
    cursor: u32,
}

/// All filters of a priority.
#[derive(Clone, Debug)]
pub struct Proto {
    priority: u16,
    /// As on the wire.
    pub(crate) protocol: u16,
    pub(crate) table: u32,
}

#[derive(Clone, Debug)]
pub struct Table {
    pub(crate) handle: u32,
    priority: u16,
    pub(crate) filters: BTreeMap<u32, Filter>,
}

#[derive(Clone, Debug)]
pub struct Filter {
    /// `struct tc_u32_sel`.
    sel: Vec<u8>,
    pub(crate) mirred: Option<Mirred>,
}

/// One key of a filter: mask, value, place.
pub(crate) struct Key {
    pub mask: [u8; 4],
    pub value: [u8; 4],
    pub at: i32,
}

impl Filter {
    pub(crate) fn keys(&self) -> impl Iterator<Item = Key> + '_ {
        self.sel[SEL..].chunks_exact(KEY).map(|key| {
            let four = |at: usize| [key[at], key[at + 1], key[at + 2], key[at + 3]];
            Key { mask: four(0), value: four(4), at: i32::from_ne_bytes(four(8)) }
        })
    }
}

/// `struct tc_mirred`.
#[derive(Clone, Copy, Debug)]
pub struct Mirred {
    pub then: i32,
    pub way: i32,
    /// None: that link is gone.
    pub to: Option<u32>,
}

impl Clsact {
    fn table(&self, handle: u32) -> Option<&Table> {
        self.tables.iter().find(|table| table.handle == handle)
    }

    fn table_mut(&mut self, handle: u32) -> Option<&mut Table> {
        self.tables.iter_mut().find(|table| table.handle == handle)
    }

    /// `gen_new_htid()`: numbers go round; the first is none of them.
    fn free_table(&mut self) -> u32 {
        let handle = |id: u32| (id | 0x800) << 20;
        if self.tables.is_empty() {
            self.cursor = 1;
            return handle(0);
        }
        let free = |id: &u32| self.table(handle(*id)).is_none();
        let id = (self.cursor..0x7ff).chain(1..self.cursor).find(free).unwrap_or(0);
        self.cursor = id + 1;
        handle(id)
    }

    /// `tcf_chain_tp_find()`.
    fn find(&self, way: usize, (priority, protocol): (u16, u16)) -> Result<Option<&Proto>, i32> {
        match self.ways[way].iter().find(|proto| proto.priority == priority) {
            Some(proto) if protocol != 0 && proto.protocol != protocol => Err(EINVAL),
            found => Ok(found),
        }
    }

    fn add(&mut self, way: usize, (priority, protocol): (u16, u16)) -> u32 {
        let table = self.free_table();
        self.tables.insert(0, Table { handle: table, priority, filters: BTreeMap::new() });
        let all = &mut self.ways[way];
        let at = all.iter().take_while(|proto| proto.priority < priority).count();
        all.insert(at, Proto { priority, protocol, table });
        table
    }

    fn remove(&mut self, way: usize, table: u32) {
        self.ways[way].retain(|proto| proto.table != table);
        self.tables.retain(|one| one.handle != table);
    }

    /// `u32_get()`: a table, or a filter of it, whatever its priority is.
    fn get(&self, proto: &Proto, handle: u32) -> Option<(&Table, Option<u32>)> {
        let table = if handle & TABLE == TABLE { proto.table } else { handle & TABLE };
        let table = self.table(table)?;
        match handle & !TABLE {
            0 => Some((table, None)),
            _ => {
                table.filters.contains_key(&(handle & NODE)).then_some((table, Some(handle & NODE)))
            }
        }
    }
}

/// Which priority and which protocol a request is about.
fn info(message: &Message<'_>) -> (u16, u16) {
    let info = message.word(16);
    ((info >> 16) as u16, info as u16)
}

impl Kernel {
    fn clsact(&self, netns: Netns, index: u32) -> Option<&Clsact> {
        match &self.link(netns, index).ok()?.ingress {
            Ingress::Clsact(clsact) => Some(clsact),
            _ => None,
        }
    }

    fn clsact_mut(&mut self, netns: Netns, index: u32) -> Result<&mut Clsact, i32> {
        match &mut self.link_mut(netns, index).ingress {
            Ingress::Clsact(clsact) => Ok(clsact),
            _ => Err(EINVAL),
        }
    }

    pub(crate) fn new_qdisc(&mut self, netns: Netns, message: &Message<'_>) -> Result<(), i32> {
        let all = message.attributes(TCMSG)?;
        let (index, handle, parent) = (message.word(4), message.word(8), message.word(12));
        let kind = all.text(TCA_KIND, 15)?;
        let link = self.link(netns, index)?;
        if parent != CLSACT {
            crate::rtnetlink::unknown("queue", message.kind);
            return Err(EOPNOTSUPP);
        }
        if matches!(link.ingress, Ingress::Clsact(_)) {
            return match handle {
                CLSACT_HANDLE if message.is(NLM_F_EXCL) => Err(EEXIST),
                CLSACT_HANDLE if kind.is_some_and(|kind| kind != "clsact") => Err(EINVAL),
                CLSACT_HANDLE => Ok(()),
                1.. if !message.is(NLM_F_REPLACE) => Err(EEXIST),
                _ => Err(EOPNOTSUPP),
            };
        }
        let link = self.link_mut(netns, index);
        link.ingress = Ingress::Gone;
        if handle & 0xffff != 0 {
            return Err(EINVAL);
        }
        if !message.is(NLM_F_CREATE) {
            return Err(ENOENT);
        }
        match kind.as_deref() {
            Some("clsact") => {
                link.ingress = Ingress::Clsact(Clsact::default());
                Ok(())
            }
            _ => Err(EOPNOTSUPP),
        }
    }

    pub(crate) fn del_qdisc(&mut self, netns: Netns, message: &Message<'_>) -> Result<(), i32> {
        let kind = message.attributes(TCMSG)?.text(TCA_KIND, 15)?;
        let (index, handle, parent) = (message.word(4), message.word(8), message.word(12));
        let link = self.link(netns, index)?;
        match (parent, &link.ingress) {
            (CLSACT, Ingress::Never) => return Err(ENOENT),
            (CLSACT, Ingress::Gone) => return Err(if handle == 0 { ENOENT } else { EINVAL }),
            (CLSACT, Ingress::Clsact(_)) => {}
            _ => return Err(EOPNOTSUPP),
        }
        let other = kind.is_some_and(|kind| kind != "clsact");
        if handle != 0 && handle != CLSACT_HANDLE || other {
            return Err(EINVAL);
        }
        self.link_mut(netns, index).ingress = Ingress::Gone;
        Ok(())
    }

    pub(crate) fn dump_qdiscs(&self, netns: Netns, message: &Message<'_>) -> Result<Objects, i32> {
        message.attributes(TCMSG)?;
        let mut found = Objects::new();
        let mut tell = |link: &Link, (handle, parent): (u32, u32), kind: &str| {
            let header = [0, link.index, handle, parent, 2].map(u32::to_ne_bytes).concat();
            let mut out = Writer::after(&header);
            out.text(TCA_KIND, kind);
            found.push((RTM_NEWQDISC, out));
        };
        for link in self.space(netns).links.values() {
            // What it has before it is up for the first time is not listed (TCQ_F_BUILTIN).
            if link.opened {
                tell(link, (0, ROOT), link.queue());
            }
            if let Some(tun) = link.tun.filter(|tun| link.opened && tun.is_several()) {
                (1..=tun.queues).for_each(|number| tell(link, (0, number), "pfifo_fast"));
            }
            if matches!(link.ingress, Ingress::Clsact(_)) {
                tell(link, (CLSACT_HANDLE, CLSACT), "clsact");
            }
        }
        Ok(found)
    }

    /// Which direction of which link's clsact a request is about (`__tcf_qdisc_find()`, `clsact_find()`).
    fn way(&self, netns: Netns, message: &Message<'_>) -> Result<(u32, usize), i32> {
        let (index, parent) = (message.word(4), message.word(12));
        self.link(netns, index)?;
        if parent == 0 {
            return Err(EOPNOTSUPP);
        }
        if parent & 0xffff_0000 != CLSACT_HANDLE || self.clsact(netns, index).is_none() {
            return Err(EINVAL);
        }
        match parent & 0xffff {
            0 => Err(EINVAL),
            0xfff2 => Ok((index, 0)),
            0xfff3 => Ok((index, 1)),
            _ => Err(ENOENT),
        }
    }

    pub(crate) fn new_tfilter(&mut self, netns: Netns, message: &Message<'_>) -> Result<(), i32> {
        let all = message.attributes(TCMSG)?;
        let (of, kind) = (info(message), all.text(TCA_KIND, 15)?);
        if of.0 == 0 {
            return Err(if message.is(NLM_F_CREATE) { EOPNOTSUPP } else { ENOENT });
        }
        let (index, way) = self.way(netns, message)?;
        let clsact = self.clsact_mut(netns, index)?;
        let found = clsact.find(way, of)?.cloned();
        let is_new = found.is_none();
        let proto = match found {
            Some(proto) => proto,
            None => {
                let kind = kind.as_deref().filter(|_| of.1 != 0).ok_or(EINVAL)?;
                if !message.is(NLM_F_CREATE) {
                    return Err(ENOENT);
                }
                if OTHERS.contains(&kind) {
                    crate::rtnetlink::unknown("filter", message.kind);
                    return Err(EOPNOTSUPP);
                }
                // tcf_proto_lookup_ops()
                if kind != "u32" {
                    return Err(ENOENT);
                }
                let table = clsact.add(way, of);
                Proto { priority: of.0, protocol: of.1, table }
            }
        };
        let result = match (clsact.get(&proto, message.word(8)), kind) {
            (_, Some(kind)) if kind != "u32" => Err(EINVAL),
            (None, _) if !message.is(NLM_F_CREATE) => Err(ENOENT),
            (None, _) => self.add_filter(netns, index, (&proto, message.word(8)), all),
            (Some(_), _) if message.is(NLM_F_EXCL) => Err(EEXIST),
            (Some(_), _) => Err(EOPNOTSUPP),
        };
        if result.is_err() && is_new {
            self.clsact_mut(netns, index)?.remove(way, proto.table);
        }
        result
    }

    /// `u32_change()` of one that is not there.
    fn add_filter(
        &mut self,
        netns: Netns,
        index: u32,
        (proto, handle): (&Proto, u32),
        all: Attributes<'_>,
    ) -> Result<(), i32> {
        let Some(options) = all.inside(TCA_OPTIONS) else {
            return if handle == 0 { Ok(()) } else { Err(EINVAL) };
        };
        if options.into_iter().any(|(kind, _)| ![TCA_U32_SEL, TCA_U32_ACT].contains(&kind)) {
            return Err(EOPNOTSUPP);
        }
        if handle & TABLE != 0 && handle & TABLE != proto.table {
            return Err(EINVAL);
        }
        let taken = self.clsact(netns, index).and_then(|clsact| clsact.table(proto.table));
        let taken = &taken.ok_or(EINVAL)?.filters;
        let number = match handle & NODE {
            0 if handle == 0 => (0x800..=NODE).find(|n| !taken.contains_key(n)).ok_or(ENOSPC)?,
            number if taken.contains_key(&number) => return Err(ENOSPC),
            number => number,
        };
        let sel = options.find(TCA_U32_SEL).ok_or(EINVAL)?;
        let count = usize::from(*sel.get(2).ok_or(ERANGE)?);
        let sel = sel.get(..SEL + KEY * count).ok_or(EINVAL)?.to_vec();
        let mirred = match options.inside(TCA_U32_ACT) {
            Some(actions) => self.action(netns, actions)?,
            None => None,
        };
        let table = self.clsact_mut(netns, index)?.table_mut(proto.table).ok_or(EINVAL)?;
        table.filters.insert(number, Filter { sel, mirred });
        Ok(())
    }

    /// `tcf_action_init()`: each has to be known before the first is looked at.
    fn action(&self, netns: Netns, actions: Attributes<'_>) -> Result<Option<Mirred>, i32> {
        let each: Vec<Attributes<'_>> =
            (1..=32).map_while(|number| actions.inside(number)).collect();
        for one in &each {
            match one.text(1, 15)?.as_deref() {
                Some("mirred") => {}
                // tc_action_load_ops()
                Some("police") => return Err(ENOENT),
                Some(_) => return Err(EOPNOTSUPP),
                None => return Err(EINVAL),
            }
        }
        let [one] = each[..] else {
            return if each.is_empty() { Ok(None) } else { Err(EOPNOTSUPP) };
        };
        let options = one.inside(2).ok_or(EINVAL)?;
        let parms = options.find(2).filter(|parms| parms.len() >= 28).ok_or(EINVAL)?;
        let word = |at| u32_at(parms, at).unwrap_or(0);
        let (then, way, to) = (word(8) as i32, word(20) as i32, word(24));
        if !(1..=4).contains(&way) || to == 0 {
            return Err(EINVAL);
        }
        self.link(netns, to)?;
        Ok(Some(Mirred { then, way, to: Some(to) }))
    }

    pub(crate) fn del_tfilter(&mut self, netns: Netns, message: &Message<'_>) -> Result<(), i32> {
        let kind = message.attributes(TCMSG)?.text(TCA_KIND, 15)?;
        let (of, handle) = (info(message), message.word(8));
        if of.0 == 0 && (of.1 != 0 || handle != 0 || kind.is_some()) {
            return Err(ENOENT);
        }
        let (index, way) = self.way(netns, message)?;
        let clsact = self.clsact_mut(netns, index)?;
        if of.0 == 0 {
            let all: Vec<u32> = clsact.ways[way].iter().map(|proto| proto.table).collect();
            all.into_iter().for_each(|table| clsact.remove(way, table));
            return Ok(());
        }
        let proto = clsact.find(way, of)?.ok_or(ENOENT)?.clone();
        if kind.is_some_and(|kind| kind != "u32") {
            return Err(EINVAL);
        }
        if handle == 0 {
            clsact.remove(way, proto.table);
            return Ok(());
        }
        let (table, number) = clsact.get(&proto, handle).ok_or(ENOENT)?;
        // No table that all begin in goes by itself (u32_delete()).
        let (table, number) = (table.handle, number.ok_or(EINVAL)?);
        clsact.table_mut(table).ok_or(EINVAL)?.filters.remove(&number);
        // The last of all; else the table stays, without filters.
        if clsact.tables.len() == 1 && clsact.tables[0].filters.is_empty() {
            clsact.remove(way, proto.table);
        }
        Ok(())
    }

    pub(crate) fn get_tfilter(&self, netns: Netns, message: &Message<'_>) -> Result<Objects, i32> {
        let kind = message.attributes(TCMSG)?.text(TCA_KIND, 15)?;
        let of = info(message);
        if of.0 == 0 {
            return Err(ENOENT);
        }
        let (index, way) = self.way(netns, message)?;
        let clsact = self.clsact(netns, index).ok_or(EINVAL)?;
        if clsact.ways[way].is_empty() {
            return Err(EINVAL);
        }
        let proto = clsact.find(way, of)?.ok_or(ENOENT)?;
        if kind.is_some_and(|kind| kind != "u32") {
            return Err(EINVAL);
        }
        let found = clsact.get(proto, message.word(8)).ok_or(ENOENT)?;
        Ok(vec![told(message, proto, Some(found))])
    }

    pub(crate) fn dump_tfilters(
        &self,
        netns: Netns,
        message: &Message<'_>,
    ) -> Result<Objects, i32> {
        message.attributes(TCMSG)?;
        let mut found = Objects::new();
        let Ok((index, way)) = self.way(netns, message) else { return Ok(found) };
        let Some(clsact) = self.clsact(netns, index) else { return Ok(found) };
        let of = info(message);
        for proto in &clsact.ways[way] {
            let is = |wanted: u16, is: u16| wanted == 0 || wanted == is;
            if !is(of.0, proto.priority) || !is(of.1, proto.protocol) {
                continue;
            }
            found.push(told(message, proto, None));
            // Of both directions, where they have one priority (u32_walk()).
            for table in clsact.tables.iter().filter(|table| table.priority == proto.priority) {
                found.push(told(message, proto, Some((table, None))));
                let each = table.filters.keys().map(|number| (table, Some(*number)));
                found.extend(each.map(|one| told(message, proto, Some(one))));
            }
        }
        Ok(found)
    }

    /// What hands frames to a link that goes hands them to nobody (`mirred_device_event()`).
    pub(crate) fn filters_lose(&mut self, netns: Netns, gone: u32) {
        for link in self.space_mut(netns).links.values_mut() {
            let Ingress::Clsact(clsact) = &mut link.ingress else { continue };
            let filters = clsact.tables.iter_mut().flat_map(|table| table.filters.values_mut());
            for mirred in filters.filter_map(|filter| filter.mirred.as_mut()) {
                mirred.to = mirred.to.filter(|to| *to != gone);
            }
        }
    }
}

/// `tcf_fill_node()`: all of a priority, a table, a filter.
fn told(
    message: &Message<'_>,
    proto: &Proto,
    found: Option<(&Table, Option<u32>)>,
) -> (u16, Writer) {
    let handle = found.map_or(0, |(table, number)| table.handle | number.unwrap_or(0));
    let info = u32::from(proto.priority) << 16 | u32::from(proto.protocol);
    let (index, parent) = (message.word(4), message.word(12));
    let header = [0, index, handle, parent, info].map(u32::to_ne_bytes).concat();
    let mut out = Writer::after(&header);
    out.text(TCA_KIND, "u32");
    out.u32(TCA_CHAIN, 0);
    let mut options = Writer::default();
    match found {
        None => return (RTM_NEWTFILTER, out),
        Some((_, None)) => options.u32(TCA_U32_DIVISOR, 1),
        Some((table, Some(number))) => {
            let filter = &table.filters[&number];
            options.put(TCA_U32_SEL, &filter.sel);
            options.u32(TCA_U32_HASH, table.handle | number & !NODE);
            options.u32(TCA_U32_FLAGS, NOT_IN_HW);
            if let Some(Mirred { then, way, to }) = filter.mirred {
                let words = [1, 0, then as u32, 1, 1, way as u32, to.unwrap_or(0)];
                let mut parms = Writer::default();
                parms.put(2, &words.map(u32::to_ne_bytes).concat());
                let mut action = Writer::default();
                action.text(1, "mirred");
                action.nest(2, &parms);
                let mut actions = Writer::default();
                actions.nest(1, &action);
                options.nest(TCA_U32_ACT, &actions);
            }
        }
    }
    out.nest(TCA_OPTIONS, &options);
    (RTM_NEWTFILTER, out)
}
