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

//! A packet's way through the chains of one hook after the other: one walk for both packet filters.
//! Pure.
//!
//! Where a rule may hold or not, both ways are gone. They are one again where they meet with the same
//! packet, so that only what makes a difference is doubtful.

use super::chains::{Base, Chain, Filters, Hook, Label, Rule, Table, Verdict};
use super::device::Device;
use super::packet::Packet;
use super::rule::{self, Changed, Exit, RuleEnd};
use crate::ordered::sort_short;

/// A rule, or a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The table.
    pub table: Label,
    /// The chain.
    pub chain: String,
    /// The chain of the hook that led there.
    pub root: String,
    /// The hook.
    pub hook: Hook,
    /// Whether conntrack has seen packets there.
    pub tracked: bool,
    /// The rule's number, from 1; none: the policy.
    pub rule: Option<usize>,
    /// Packets of anybody that it has seen, where that is counted.
    pub packets: Option<u64>,
    /// Whether it is of an earlier guestnetd, which had the other packet filter.
    pub left: bool,
}

/// A packet on its way, and what has happened to it.
#[derive(Clone, Debug)]
pub struct Walker {
    /// The packet.
    pub packet: Packet,
    /// What had to be left open on its way.
    pub doubt: Option<Doubt>,
    /// What gave it the mark that it has.
    pub marked: Option<Place>,
    /// What took it from conntrack.
    pub untracked: Option<Place>,
    /// What sent it elsewhere, other than guestnetd.
    pub sent: Option<Place>,
    /// What gave it another source, other than guestnetd.
    pub source: Option<Place>,
    /// What wrote over its addresses or ports, past conntrack.
    pub written: Option<Place>,
    /// What ended a chain of NAT without a translation.
    pub spared: Option<Place>,
    /// What gave it another time to live.
    pub hops: Option<Place>,
    /// The rules and policies that held, and what they decided; only where that is recorded.
    pub met: Vec<(Place, String)>,
}

/// A rule that may hold or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// The rule.
    pub at: Place,
    /// What it asks for, in words.
    pub what: String,
}

/// Where a way ends before its end.
#[derive(Clone, Debug)]
pub struct Stop {
    /// How.
    pub how: How,
    /// Where, if a rule is to blame.
    pub at: Option<Place>,
    /// The packet there, and what happened to it before.
    pub walker: Walker,
}

/// How a way ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// It is dropped.
    Dropped,
    /// It is dropped, and its sender is told.
    Rejected,
    /// A program on the device takes it.
    Taken,
    /// It is not tracked, so that it is not translated.
    NotTracked,
    /// It is routed to the device itself.
    Here,
    /// It is routed by another link.
    Elsewhere,
    /// It is routed nowhere.
    Nowhere,
    /// Its time to live is over.
    Expired,
    /// Nobody answers where it was sent instead.
    Silent,
    /// It leaves with the guest's own address, or another one that is not the device's.
    WrongSource,
    /// It comes to the guest, which has not asked for it.
    Unasked,
}

impl Walker {
    /// A packet at the beginning of its way.
    pub fn new(packet: Packet) -> Self {
        let (marked, untracked, sent, source, spared) = (None, None, None, None, None);
        let (written, hops, met) = (None, None, Vec::new());
        Self { packet, doubt: None, marked, untracked, sent, source, written, spared, hops, met }
    }
}

/// How deep chains may be nested: `NFT_JUMP_STACK_SIZE` is 16.
const DEEPEST: usize = 32;
/// More rules than a way has, and more ways than are gone at a time.
const LONGEST: usize = 200_000;
/// Rules that are looked at when ways had to be left out: what is sure is seen soon.
const ENOUGH: usize = 1000;
const WAYS: usize = 32;
/// More ends than any way has: where each rule is doubtful and calls a chain twice, they double with each call.
const ENDS: usize = 1024;

/// Conntrack's place among the chains of a hook, and those of NAT.
const CONNTRACK: i32 = libc::NF_IP_PRI_CONNTRACK;
const DESTINATION_NAT: i32 = libc::NF_IP_PRI_NAT_DST;
const SOURCE_NAT: i32 = libc::NF_IP_PRI_NAT_SRC;

/// Walks.
pub struct Walk<'a> {
    filters: &'a Filters,
    device: &'a dyn Device,
    /// Ways that ended.
    pub stops: Vec<Stop>,
    /// Whether what packets meet is recorded.
    pub records: bool,
    steps: usize,
    most: usize,
    /// The walk was given up: there is more than can be gone through.
    pub gave_up: bool,
}

/// Where a walker comes out of a chain.
enum Out {
    /// At its end, or by a return.
    Through(Walker),
    /// It is let pass.
    Accepted(Walker),
}

/// What is met at a hook, in order.
enum Met<'a> {
    Chain(&'a Table, &'a Chain, &'a Base),
    Conntrack,
    Nat,
}

impl<'a> Walk<'a> {
    /// Through these, on this device.
    pub fn new(filters: &'a Filters, device: &'a dyn Device) -> Self {
        let (stops, records, steps, most) = (Vec::new(), false, 0, LONGEST);
        Self { filters, device, stops, records, steps, most, gave_up: false }
    }

    /// The device that is walked through.
    pub fn device(&self) -> &'a dyn Device {
        self.device
    }

    /// All chains of a hook; those come out that pass.
    pub fn through(&mut self, hook: Hook, walkers: Vec<Walker>) -> Vec<Walker> {
        let mut walkers = walkers;
        for met in self.met(hook) {
            walkers = match met {
                Met::Conntrack => walkers.into_iter().map(tracked).collect(),
                Met::Nat => self.each(walkers, |walk, walker| walk.nat(hook, walker)),
                Met::Chain(table, chain, base) => {
                    self.each(walkers, |walk, walker| match is_for(base, hook, &walker) {
                        true => walk.base(table, chain, base, walker),
                        false => vec![walker],
                    })
                }
            };
        }
        walkers
    }

    /// What is met at a hook: x_tables' chains and conntrack are hung in among those of nf_tables by
    /// their priorities.
    fn met(&self, hook: Hook) -> Vec<Met<'a>> {
        let mut met: Vec<(i32, Met<'a>)> = Vec::new();
        // Of those with one priority the last that came is the first (nf_hook_grow()); a dump has them in
        // the order in which they came.
        let chains = self.base_chains(hook).filter(|(.., base)| !base.nat);
        let is_nft = |table: &Table| matches!(table.label, Label::Nftables { .. });
        let (mut chains, others): (Vec<_>, Vec<_>) = chains.partition(|(table, ..)| is_nft(table));
        chains.reverse();
        let chains = chains.into_iter().chain(others);
        met.extend(chains.map(|(t, c, base)| (base.priority, Met::Chain(t, c, base))));
        if matches!(hook, Hook::Prerouting | Hook::Output) {
            met.push((CONNTRACK, Met::Conntrack));
            met.push((DESTINATION_NAT, Met::Nat));
        }
        if hook == Hook::Postrouting {
            met.push((SOURCE_NAT, Met::Nat));
        }
        sort_short(&mut met, |(one, _), (other, _)| one < other);
        met.into_iter().map(|(_, met)| met).collect()
    }

    fn base_chains(&self, hook: Hook) -> impl Iterator<Item = (&'a Table, &'a Chain, &'a Base)> {
        let filters = self.filters;
        filters.tables.iter().flat_map(move |table| {
            let here = table.chains.iter().filter_map(|chain| Some((chain, chain.base.as_ref()?)));
            here.filter(move |(_, base)| base.hook == hook)
                .map(move |(chain, base)| (table, chain, base))
        })
    }

    /// Goes on with each of them; where all of its ways meet again, what was open does not matter.
    fn each(
        &mut self,
        walkers: Vec<Walker>,
        how: impl Fn(&mut Self, Walker) -> Vec<Walker>,
    ) -> Vec<Walker> {
        let mut all = Vec::new();
        for walker in walkers {
            let (doubt, stopped) = (walker.doubt.clone(), self.stops.len());
            let mut out = how(self, walker);
            merge(&mut out);
            if let ([one], true) = (out.as_mut_slice(), stopped == self.stops.len()) {
                one.doubt = doubt;
            }
            all.extend(out);
        }
        merge(&mut all);
        if all.len() > WAYS {
            all.truncate(WAYS);
            self.give_up();
        }
        all
    }

    /// NAT looks at the first packet of a connection, and translates the others as that one.
    fn nat(&mut self, hook: Hook, mut walker: Walker) -> Vec<Walker> {
        let Some(connection) = walker.packet.connection().cloned() else { return vec![walker] };
        let packet = &mut walker.packet;
        if !connection.new {
            let (from, to) =
                (connection.ports.map(|(from, _)| from), connection.ports.map(|p| p.1));
            let payload = packet.payload;
            match (hook == Hook::Postrouting, connection.answer) {
                (false, false) => {
                    if let Some(other) = connection.translated_to {
                        packet.destination = other;
                        let led = connection.led.map(|(_, to)| to);
                        packet.payload = payload.with_port(true, led.or(to));
                    }
                }
                (false, true) if connection.translated_from.is_some() => {
                    packet.destination = connection.from;
                    packet.payload = payload.with_port(true, from);
                }
                (true, false) => {
                    if let Some(other) = connection.translated_from {
                        packet.source = other;
                        packet.payload = payload.with_port(false, from);
                    }
                }
                (true, true) if connection.translated_to.is_some() => {
                    packet.source = connection.to;
                    let led = connection.led.map(|(sent_to, _)| sent_to);
                    packet.payload = payload.with_port(false, led.or(to));
                }
                _ => {}
            }
            return vec![walker];
        }
        let done = |walker: &Walker| {
            walker.packet.connection().is_some_and(|connection| match hook {
                Hook::Postrouting => connection.translated_from.is_some(),
                _ => connection.translated_to.is_some(),
            })
        };
        // Each is asked until one translates (nf_nat_inet_fn()).
        let mut chains: Vec<_> = self.base_chains(hook).filter(|(.., base)| base.nat).collect();
        sort_short(&mut chains, |(.., one), (.., other)| one.priority < other.priority);
        let mut walkers = vec![walker];
        for (table, chain, base) in chains {
            walkers = self.each(walkers, |walk, walker| match done(&walker) {
                true => vec![walker],
                false => walk.base(table, chain, base, walker),
            });
        }
        walkers
    }

    /// A chain that hangs in a hook.
    fn base(&mut self, table: &Table, chain: &Chain, base: &Base, walker: Walker) -> Vec<Walker> {
        let root = Root { table, chain, base };
        let mut passed = Vec::new();
        for mut out in self.chain(root, chain, walker, 0) {
            if let (Out::Through(walker), true) = (&mut out, self.records) {
                let policy = if base.drops { Verdict::Drop } else { Verdict::Accept };
                walker.met.push((root.place(chain, None), words(&RuleEnd::Verdict(policy), None)));
            }
            match out {
                Out::Accepted(walker) => passed.push(walker),
                Out::Through(walker) if !base.drops => passed.push(walker),
                Out::Through(walker) => {
                    let at = Some(root.place(chain, None));
                    self.stops.push(Stop { how: How::Dropped, at, walker });
                }
            }
        }
        passed
    }

    fn chain(&mut self, root: Root<'_>, chain: &Chain, walker: Walker, depth: usize) -> Vec<Out> {
        let mut outs = Vec::new();
        let mut walkers = vec![walker];
        if depth > DEEPEST {
            self.give_up();
            return walkers.into_iter().map(Out::Through).collect();
        }
        let own = is_ours(&root.table.label, &chain.name) && !root.table.left;
        for (number, one) in chain.rules.iter().enumerate() {
            let ways = |walker: &Walker| self.ways(one, (root.table, own), walker);
            let ways: Vec<_> = walkers.iter().map(ways).collect();
            // Most rules are not about a packet, and none is moved for those.
            if ways.iter().all(Vec::is_empty) {
                continue;
            }
            let mut next = Vec::new();
            for (walker, exits) in walkers.into_iter().zip(ways) {
                if exits.is_empty() {
                    next.push(walker);
                    continue;
                }
                let before = (walker.doubt.clone(), outs.len(), self.stops.len());
                let mut on = Vec::new();
                for exit in exits {
                    let at = || root.place(chain, Some(number));
                    let changed = exit.changed;
                    let (end, mut walker) = after(&walker, exit, &at);
                    if self.records && (end != PASSED || changed.is_some()) {
                        walker.met.push((at(), words(&end, changed)));
                    }
                    self.end((root, chain), end, walker, depth, &at, (&mut on, &mut outs));
                }
                merge(&mut on);
                if let ([one], true) =
                    (on.as_mut_slice(), (before.1, before.2) == (outs.len(), self.stops.len()))
                {
                    one.doubt = before.0;
                }
                next.extend(on);
            }
            merge(&mut next);
            if next.len() > WAYS {
                next.truncate(WAYS);
                self.give_up();
            }
            walkers = next;
            if outs.len() > WAYS {
                merge_outs(&mut outs);
            }
            if outs.len() > 2 * WAYS {
                outs.truncate(2 * WAYS);
                self.give_up();
            }
        }
        outs.extend(walkers.into_iter().map(Out::Through));
        outs
    }

    fn give_up(&mut self) {
        if !self.gave_up {
            self.gave_up = true;
            self.most = self.most.min(self.steps + ENOUGH);
        }
    }

    /// The ways that a rule leaves to a packet; none: it goes on as it is.
    fn ways(&mut self, rule: &Rule, of: (&Table, bool), walker: &Walker) -> Vec<Exit> {
        self.steps += 1;
        if self.steps > self.most {
            self.gave_up = true;
            return Vec::new();
        }
        rule::run(rule, of, &walker.packet, self.device)
    }

    fn end(
        &mut self,
        (root, chain): (Root<'_>, &Chain),
        end: RuleEnd,
        mut walker: Walker,
        depth: usize,
        at: &dyn Fn() -> Place,
        (on, outs): (&mut Vec<Walker>, &mut Vec<Out>),
    ) {
        let mut stop = |how, walker| match self.stops.len() < ENDS {
            true => self.stops.push(Stop { how, at: Some(at()), walker }),
            false => self.gave_up = true,
        };
        match end {
            RuleEnd::Taken => stop(How::Taken, walker),
            RuleEnd::Verdict(Verdict::Continue) => on.push(walker),
            RuleEnd::Verdict(Verdict::Accept) => {
                spare(root, &mut walker, at);
                outs.push(Out::Accepted(walker));
            }
            // What guestnetd drops of some packets only, such as another guest's, is its business.
            RuleEnd::Verdict(Verdict::Drop)
                if at().is_ours() && walker.doubt.as_ref().is_some_and(|d| d.at.is_ours()) => {}
            RuleEnd::Verdict(Verdict::Drop) => stop(How::Dropped, walker),
            RuleEnd::Verdict(Verdict::Reject) => stop(How::Rejected, walker),
            RuleEnd::Verdict(Verdict::Return) => {
                if std::ptr::eq(root.chain, chain) {
                    spare(root, &mut walker, at);
                }
                outs.push(Out::Through(walker));
            }
            RuleEnd::Verdict(Verdict::Somebody(what)) => {
                walker.doubt.get_or_insert_with(|| Doubt { at: at(), what });
                stop(How::Dropped, walker.clone());
                outs.push(Out::Accepted(walker));
            }
            RuleEnd::Verdict(Verdict::Jump(to)) => match root.table.chain(&to) {
                Some(chain) => {
                    for out in self.chain(root, chain, walker, depth + 1) {
                        match out {
                            Out::Through(walker) => on.push(walker),
                            accepted => outs.push(accepted),
                        }
                    }
                }
                None => on.push(walker),
            },
            RuleEnd::Verdict(Verdict::Goto(to)) => match root.table.chain(&to) {
                Some(chain) => outs.extend(self.chain(root, chain, walker, depth + 1)),
                None => outs.push(Out::Through(walker)),
            },
        }
    }
}

/// A rule did not hold, or decided nothing.
const PASSED: RuleEnd = RuleEnd::Verdict(Verdict::Continue);

/// What a rule decided, and changed.
fn words(end: &RuleEnd, changed: Option<Changed>) -> String {
    let changed = changed.map(|changed| match changed {
        Changed::Mark => "mark",
        Changed::Tracking => "notrack",
        Changed::Zone => "ct zone",
        Changed::Destination => "dnat",
        Changed::Source => "snat",
        Changed::Written => "rewrite",
        Changed::Hops => "ttl",
    });
    let end = match end {
        RuleEnd::Taken => "taken by a program".to_owned(),
        RuleEnd::Verdict(verdict) => match verdict {
            Verdict::Accept => "accept".to_owned(),
            Verdict::Drop => "drop".to_owned(),
            Verdict::Reject => "reject".to_owned(),
            Verdict::Return => "return".to_owned(),
            Verdict::Continue => "continue".to_owned(),
            Verdict::Jump(to) => format!("jump {to}"),
            Verdict::Goto(to) => format!("goto {to}"),
            Verdict::Somebody(what) => format!("up to {what}"),
        },
    };
    match changed {
        Some(changed) => format!("{changed}, {end}"),
        None => end,
    }
}

/// The chain of a hook that is walked through.
#[derive(Clone, Copy)]
struct Root<'a> {
    table: &'a Table,
    chain: &'a Chain,
    base: &'a Base,
}

impl Root<'_> {
    fn place(&self, chain: &Chain, rule: Option<usize>) -> Place {
        let packets = match rule {
            Some(number) => chain.rules.get(number).and_then(|rule| rule.packets),
            None => chain.packets,
        };
        Place {
            table: self.table.label.clone(),
            chain: chain.name.clone(),
            root: self.chain.name.clone(),
            hook: self.base.hook,
            tracked: self.base.hook != Hook::Ingress && self.base.priority > CONNTRACK,
            rule: rule.map(|number| number + 1),
            packets,
            left: self.table.left && is_ours(&self.table.label, &chain.name),
        }
    }
}

impl Place {
    /// Whether it is guestnetd's own, of this run or of an earlier one.
    pub fn is_ours(&self) -> bool {
        is_ours(&self.table, &self.chain)
    }
}

fn is_ours(table: &Label, chain: &str) -> bool {
    match table {
        Label::Nftables { family, name } => (*family, name.as_str()) == ("inet", "guestnet"),
        Label::Iptables(_) => chain.starts_with("oem_guestnet_"),
    }
}

/// Whether a chain sees such a packet: those of a link are for that one.
fn is_for(base: &Base, hook: Hook, walker: &Walker) -> bool {
    let link = match hook {
        Hook::Ingress => &walker.packet.input,
        Hook::Egress => &walker.packet.output,
        _ => return true,
    };
    let is = |name: &String| match (link, name.strip_suffix('*')) {
        (None, _) => false,
        (Some(link), Some(beginning)) => link.name.starts_with(beginning),
        (Some(link), None) => link.name == *name,
    };
    base.devices.iter().any(is)
}

/// Conntrack has seen it.
fn tracked(mut walker: Walker) -> Walker {
    walker.packet.track();
    walker
}

/// Of those with the same packet one goes on.
fn merge(walkers: &mut Vec<Walker>) {
    // Mostly there is one.
    if walkers.len() < 2 {
        return;
    }
    let mut kept: Vec<Walker> = Vec::new();
    for walker in walkers.drain(..) {
        if !kept.iter().any(|other| other.packet == walker.packet) {
            kept.push(walker);
        }
    }
    *walkers = kept;
}

/// The same of those that come out of a chain.
fn merge_outs(outs: &mut Vec<Out>) {
    let (mut through, mut accepted) = (Vec::new(), Vec::new());
    for out in outs.drain(..) {
        match out {
            Out::Through(walker) => through.push(walker),
            Out::Accepted(walker) => accepted.push(walker),
        }
    }
    merge(&mut through);
    merge(&mut accepted);
    outs.extend(through.into_iter().map(Out::Through));
    outs.extend(accepted.into_iter().map(Out::Accepted));
}

/// A chain of NAT was left without a translation.
fn spare(root: Root<'_>, walker: &mut Walker, at: &dyn Fn() -> Place) {
    let translated = |walker: &Walker| {
        walker.packet.connection().is_some_and(|connection| connection.translated_from.is_some())
    };
    if root.base.nat && root.base.hook == Hook::Postrouting && !translated(walker) {
        walker.spared = Some(at()).filter(|at| !at.is_ours()).or(walker.spared.take());
    }
}

/// The walker behind a rule.
fn after(walker: &Walker, exit: Exit, at: &dyn Fn() -> Place) -> (RuleEnd, Walker) {
    let mut walker = walker.clone();
    let Exit { packet, end, doubt, changed } = exit;
    walker.packet = packet;
    if let Some(what) = doubt {
        walker.doubt.get_or_insert_with(|| Doubt { at: at(), what });
    }
    let place = || Some(at()).filter(|at| !at.is_ours());
    match changed {
        Some(Changed::Mark) => walker.marked = place(),
        Some(Changed::Tracking | Changed::Zone) => walker.untracked = place(),
        Some(Changed::Destination) => walker.sent = place(),
        Some(Changed::Source) => walker.source = place(),
        Some(Changed::Written) => walker.written = place(),
        Some(Changed::Hops) => walker.hops = place(),
        None => {}
    }
    (end, walker)
}
