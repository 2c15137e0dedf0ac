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

//! What a rule makes of one packet: its steps, one after the other. Pure. Where a condition may hold or
//! not, both ways are gone on with.

use super::chains::{Action, Join, Rule, Set, Side, Step, Table, Times, Value, Verdict};
use super::content::Content;
use super::device::{Device, Member};
use super::field::{content, load, Loaded, WHOSE};
use super::lookup::find;
use super::packet::{Connection, Packet, Tracking};
use super::value::{Between, Holds, Registers};
use std::borrow::Cow;
use std::net::Ipv4Addr;

/// A way that a packet goes on from a rule.
#[derive(Clone, Debug)]
pub(super) struct Exit {
    /// The packet, as the rule leaves it.
    pub(super) packet: Packet,
    /// What it decides.
    pub(super) end: RuleEnd,
    /// What had to be left open for it, in words.
    pub(super) doubt: Option<String>,
    /// What it changed.
    pub(super) changed: Option<Changed>,
}

/// How a rule ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RuleEnd {
    Verdict(Verdict),
    /// A program on the device has the packet.
    Taken,
}

/// What a rule has changed about a packet that decides over its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Changed {
    Mark,
    Tracking,
    /// Conntrack looks for it elsewhere.
    Zone,
    Destination,
    Source,
    /// Its addresses or ports, past conntrack.
    Written,
    /// Its time to live.
    Hops,
}

/// The ways from a rule on, of guestnetd's own or of others. None: the next rule is next, and nothing
/// has changed.
pub(super) fn run(
    rule: &Rule,
    (table, own): (&Table, bool),
    packet: &Packet,
    device: &dyn Device,
) -> Vec<Exit> {
    let mut run = Run {
        table,
        own,
        device,
        packet: Cow::Borrowed(packet),
        registers: Registers::new(),
        unknown: None,
        whose: false,
        doubt: None,
        changed: None,
        exits: Vec::new(),
    };
    for step in &rule.steps {
        match run.step(step) {
            Next::Step => {}
            Next::Rule => break,
            Next::End(end) => {
                run.leave(end);
                return run.exits;
            }
        }
    }
    if matches!(run.packet, Cow::Owned(_)) || !run.exits.is_empty() {
        run.leave(RuleEnd::Verdict(Verdict::Continue));
    }
    run.exits
}

/// A rule that is being run.
struct Run<'a> {
    table: &'a Table,
    own: bool,
    device: &'a dyn Device,
    packet: Cow<'a, Packet>,
    registers: Registers,
    /// What was loaded last that is not known, in words.
    unknown: Option<&'a str>,
    /// Whether anything was loaded that depends on whose packet it is.
    whose: bool,
    doubt: Option<String>,
    changed: Option<Changed>,
    exits: Vec<Exit>,
}

/// What comes after a step.
enum Next {
    Step,
    /// The condition does not hold.
    Rule,
    End(RuleEnd),
}

impl<'a> Run<'a> {
    fn leave(&mut self, end: RuleEnd) {
        let packet = self.packet.clone().into_owned();
        let (doubt, changed) = (self.doubt.clone(), self.changed);
        self.exits.push(Exit { packet, end, doubt, changed });
    }

    /// What is open may be so because of whose packet it is. To guestnetd's own rules, each is a guest's.
    fn depends(&self) {
        if self.whose && !self.own {
            self.device.depends();
        }
    }

    /// A condition. Where it may not hold, the packet leaves here, too.
    fn asks(&mut self, holds: Holds, what: &dyn Fn() -> String) -> Next {
        match holds {
            Holds::Yes => Next::Step,
            Holds::No => Next::Rule,
            Holds::Perhaps => {
                self.depends();
                self.doubt.get_or_insert_with(what);
                self.leave(RuleEnd::Verdict(Verdict::Continue));
                Next::Step
            }
        }
    }

    fn step(&mut self, step: &'a Step) -> Next {
        match step {
            Step::Load { to, len, field } => {
                match load(field, *len, &self.packet, self.device) {
                    Loaded::Known(bytes) => self.registers.load(*to, *len, bytes),
                    Loaded::Number(number, what) => {
                        self.registers.load_number(*to, *len, number);
                        if number.low != number.high {
                            self.unknown = Some(what);
                        }
                    }
                    Loaded::Unknown(bytes, what) => {
                        self.registers.load(*to, *len, bytes);
                        self.unknown = Some(what);
                        self.whose |= what == WHOSE;
                    }
                    Loaded::Absent => return Next::Rule,
                }
                Next::Step
            }
            Step::Forget(what) => {
                self.registers = Registers::new();
                self.unknown = Some(what);
                Next::Step
            }
            Step::Is { at, ranges, negated } => {
                let is = |(low, high): &(Vec<u8>, Vec<u8>)| self.registers.within(*at, low, high);
                let holds = ranges.iter().map(is).max().unwrap_or(Holds::No);
                let unknown = self.unknown.unwrap_or("a value");
                self.asks(holds.negated(*negated), &|| unknown.to_owned())
            }
            Step::Find { at, set: name, to, negated } => match self.table.sets.get(name) {
                Some(set) => self.find(name, set, (*at, *to), *negated),
                None => self.asks(Holds::Perhaps, &|| format!("the set {name}")),
            },
            Step::Doubt(what) => self.asks(Holds::Perhaps, &|| what.clone()),
            Step::Never => Next::Rule,
            Step::Act(action) => self.act(action),
            Step::Verdict(Verdict::Continue) => Next::Step,
            Step::Verdict(verdict) => Next::End(RuleEnd::Verdict(verdict.clone())),
            Step::Run(program) => {
                let (bytes, length) = (content(&self.packet), self.packet.length);
                let holds = program.holds(&Content { bytes: &bytes, length });
                if holds == Holds::Perhaps && self.packet.any.is_some() {
                    self.whose = true;
                }
                self.asks(holds, &|| "the packets' content".to_owned())
            }
            Step::InSet { set, sides, negated } => {
                let Packet { source, destination, payload, .. } = &*self.packet;
                let ports = payload.ports();
                let part = |side: &Side| match side {
                    Side::Source => (*source, ports.map(|(from, _)| from)),
                    Side::Destination => (*destination, ports.map(|(_, to)| to)),
                };
                let parts = sides.iter().map(part).collect();
                let member = Member { parts, protocol: payload.protocol() };
                let holds = match self.device.in_set(*set, &member) {
                    Some(true) => Holds::Yes,
                    Some(false) => Holds::No,
                    None => Holds::Perhaps,
                };
                self.asks(holds.negated(*negated), &|| "an ipset".to_owned())
            }
            Step::EitherPort { ranges, negated } => {
                let Some((from, to)) = self.packet.payload.ports() else { return Next::Rule };
                let is = |port: u16, (low, high): &(Vec<u8>, Vec<u8>)| {
                    let port = port.to_be_bytes();
                    *low <= port.to_vec() && port.to_vec() <= *high
                };
                let either = ranges.iter().any(|range| is(from, range) || is(to, range));
                if either == *negated {
                    return Next::Rule;
                }
                Next::Step
            }
            Step::Sent { by_others, by_it } => {
                if self.packet.input.is_some() {
                    return if *by_others { Next::Step } else { Next::Rule };
                }
                for step in by_it {
                    match self.step(step) {
                        Next::Step => {}
                        other => return other,
                    }
                }
                Next::Step
            }
            Step::Time(times) => {
                let holds = self.device.now().map_or(Holds::Perhaps, |now| times.hold(now));
                self.asks(holds, &|| "the time".to_owned())
            }
            Step::Queue { first, count, bypass } => {
                let verdict = match self.device.queues(*first, *count) {
                    Some(false) if *bypass => Verdict::Accept,
                    Some(false) => Verdict::Drop,
                    _ => {
                        let who = "what a program that the packets are queued to decides";
                        Verdict::Somebody(who.to_owned())
                    }
                };
                Next::End(RuleEnd::Verdict(verdict))
            }
            Step::Set { .. }
            | Step::Bits { .. }
            | Step::Xor { .. }
            | Step::Shift { .. }
            | Step::Join { .. }
            | Step::Swap { .. } => {
                self.compute(step);
                Next::Step
            }
        }
    }

    /// A step that only moves values.
    fn compute(&mut self, step: &Step) {
        let value = |registers: &Registers, at: usize, len: usize| registers.get(at, len).to_vec();
        match step {
            Step::Set { to, bytes } => self.registers.put(*to, bytes.iter().copied().map(Some)),
            Step::Bits { from, to, mask, xor } => {
                let value = value(&self.registers, *from, mask.len());
                let bits = value.iter().zip(mask.iter().zip(xor));
                let bits = bits.map(|(byte, (mask, xor))| match mask {
                    0 => Some(*xor),
                    mask => byte.map(|byte| byte & mask ^ xor),
                });
                self.registers.put(*to, bits);
            }
            Step::Xor { from, to, len } => {
                let [a, b] = [*from, *to].map(|at| value(&self.registers, at, *len));
                let both = a.iter().zip(&b).map(|(a, b)| Some(a.as_ref()? ^ b.as_ref()?));
                self.registers.put(*to, both);
            }
            Step::Swap { from, to, len, size } => {
                let number = self.registers.between(*from, *len).filter(|_| len == size);
                let mut value = value(&self.registers, *from, *len);
                if cfg!(target_endian = "little") {
                    value.chunks_mut((*size).max(1)).for_each(<[_]>::reverse);
                }
                self.registers.put(*to, value);
                if let Some(number) = number {
                    let network = !number.network;
                    self.registers.load_number(*to, *len, Between { network, ..number });
                }
            }
            Step::Shift { from, to, len, by, left } => {
                let value = value(&self.registers, *from, *len);
                self.registers.put(*to, shifted(&value, *by, *left));
            }
            Step::Join { from, to, len, how } => {
                let [a, b] = from.map(|at| value(&self.registers, at, *len));
                let joined = a.iter().zip(&b).map(|(a, b)| match (how, a, b) {
                    (Join::And, Some(0), _) | (Join::And, _, Some(0)) => Some(0),
                    (Join::Or, Some(0xff), _) | (Join::Or, _, Some(0xff)) => Some(0xff),
                    (Join::And, Some(a), Some(b)) => Some(a & b),
                    (Join::Or, Some(a), Some(b)) => Some(a | b),
                    (Join::Xor, Some(a), Some(b)) => Some(a ^ b),
                    _ => None,
                });
                self.registers.put(*to, joined);
            }
            _ => {}
        }
    }

    fn find(
        &mut self,
        name: &str,
        set: &'a Set,
        (at, to): (usize, Option<usize>),
        negated: bool,
    ) -> Next {
        let mut found = find(set, &self.registers, at);
        if found.holds != Holds::Yes && to.is_none() {
            found.holds = found.holds.max(self.filled(name, set, at));
        }
        let holds = found.holds.negated(negated);
        let unknown = self.unknown;
        let what = || unknown.map_or_else(|| format!("what is in the set {name}"), str::to_owned);
        match (to, found.value) {
            (Some(to), Some(Value::Bytes(bytes))) if holds == Holds::Yes => {
                self.registers.put(to, bytes.iter().copied().map(Some));
            }
            // What a map has for a value that is not known, is not either.
            (Some(_), _) => {
                self.registers = Registers::new();
                self.unknown = Some("what a map has for a packet");
            }
            (None, Some(Value::Verdict(verdict))) if *verdict != Verdict::Continue => {
                return Next::End(RuleEnd::Verdict(verdict.clone()));
            }
            // It is there, whatever it is.
            (None, None) if holds == Holds::Yes && !found.verdicts.is_empty() => {
                self.depends();
                self.doubt.get_or_insert_with(what);
                let mut verdicts = found.verdicts.into_iter().cloned().map(RuleEnd::Verdict);
                let last = verdicts.next_back().unwrap_or(RuleEnd::Verdict(Verdict::Continue));
                verdicts.for_each(|verdict| self.leave(verdict));
                return Next::End(last);
            }
            (None, _) if holds == Holds::Perhaps && !found.verdicts.is_empty() => {
                self.depends();
                self.doubt.get_or_insert_with(what);
                for verdict in found.verdicts {
                    self.leave(RuleEnd::Verdict(verdict.clone()));
                }
                return Next::Rule;
            }
            _ => {}
        }
        self.asks(holds, &what)
    }

    /// Whether rules that this connection has met have put it there.
    fn filled(&self, name: &str, set: &Set, at: usize) -> Holds {
        let key: Option<Vec<u8>> = self.registers.get(at, set.key).iter().copied().collect();
        let filled = self.packet.connection().map(|connection| connection.filled.iter());
        let into_it = filled.into_iter().flatten().filter(|(set, _)| set == name);
        let is = |(_, other): &(String, Option<Vec<u8>>)| match (&key, other) {
            (Some(key), Some(other)) if key == other => Holds::Yes,
            (Some(_), Some(_)) => Holds::No,
            _ => Holds::Perhaps,
        };
        into_it.map(is).max().unwrap_or(Holds::No)
    }

    fn act(&mut self, action: &Action) -> Next {
        let address = |at: &usize| {
            let address = self.registers.known(*at).map(Ipv4Addr::from);
            if address.is_none() {
                self.depends();
            }
            address
        };
        match action {
            Action::Mark(at) => {
                let mark = self.number(*at);
                if self.packet.mark != mark {
                    self.packet.to_mut().mark = mark;
                    self.changed = Some(Changed::Mark);
                }
                Next::Step
            }
            Action::ConnectionMark(at) => {
                let mark = self.number(*at);
                if let Some(connection) = self.packet.to_mut().connection_mut() {
                    connection.mark = mark;
                }
                Next::Step
            }
            Action::Fill { set: name, at } => {
                let Some(set) = self.table.sets.get(name) else { return Next::Step };
                let key = self.registers.get(*at, set.key).iter().copied().collect();
                let one = (name.clone(), key);
                if let Some(connection) = self.packet.to_mut().connection_mut() {
                    if !connection.filled.contains(&one) {
                        connection.filled.push(one);
                    }
                }
                Next::Step
            }
            Action::Label(bit) => {
                if let Some(connection) = self.packet.to_mut().connection_mut() {
                    let label = 1u128.checked_shl((*bit).into()).unwrap_or(0);
                    connection.labels = connection.labels.map(|labels| labels | label);
                }
                Next::Step
            }
            Action::Labels(at) => {
                let labels = self.registers.known(*at).map(u128::from_le_bytes);
                if let Some(connection) = self.packet.to_mut().connection_mut() {
                    connection.labels = labels;
                }
                Next::Step
            }
            Action::Rewrite { ports, offset, len, from } => {
                self.rewrite(*ports, (*offset, *len), *from)
            }
            Action::Hops(at) => {
                let set = self.registers.known::<1>(*at);
                self.lives_on(set.map_or((1, u8::MAX), |[ttl]| (ttl, ttl)))
            }
            Action::HopsBy(more) => {
                let (least, most) = self.packet.ttl;
                let to = |ttl: u8| (i16::from(ttl) + more).clamp(0, 255) as u8;
                self.lives_on((to(least), to(most)))
            }
            // Too late where conntrack has seen it (nft_notrack_eval()).
            Action::NotTracked => {
                if self.packet.tracking == Tracking::NotYet {
                    self.packet.to_mut().tracking = Tracking::Off;
                    self.changed = Some(Changed::Tracking);
                }
                Next::Step
            }
            Action::Zone(at) => {
                let zone = self.registers.known::<2>(*at).map(u16::from_ne_bytes);
                if zone.is_none() {
                    self.depends();
                }
                if self.packet.tracking == Tracking::NotYet && self.packet.zone != zone {
                    self.packet.to_mut().zone = zone;
                    self.changed = Some(Changed::Zone);
                }
                Next::Step
            }
            Action::Destination(at) => {
                let to = address(at).unwrap_or(Ipv4Addr::UNSPECIFIED);
                self.goes_to(to)
            }
            Action::Port(at) => match self.registers.known(*at).map(u16::from_be_bytes) {
                Some(port) => self.goes_to_port(port),
                None => Next::End(RuleEnd::Verdict(Verdict::Accept)),
            },
            Action::Redirect => {
                let here = self.packet.input.as_ref().and_then(|link| link.address);
                self.goes_to(here.unwrap_or(Ipv4Addr::LOCALHOST))
            }
            Action::Source(at) => {
                let from = address(at).unwrap_or(Ipv4Addr::UNSPECIFIED);
                self.comes_from(from)
            }
            Action::Masquerade => {
                let own = self.packet.output.as_ref().and_then(|link| link.address);
                self.comes_from(own.unwrap_or(Ipv4Addr::UNSPECIFIED))
            }
            Action::Proxy { port, or_drop } => self.proxy(*port, *or_drop),
        }
    }

    fn number(&self, at: usize) -> Option<u32> {
        let number = self.registers.number(at);
        if number.is_none() {
            self.depends();
        }
        number
    }

    fn lives_on(&mut self, ttl: (u8, u8)) -> Next {
        if self.packet.ttl != ttl {
            self.packet.to_mut().ttl = ttl;
            self.changed = Some(Changed::Hops);
        }
        Next::Step
    }

    fn rewrite(&mut self, ports: bool, (offset, len): (usize, usize), from: usize) -> Next {
        let Packet { source, destination, payload, .. } = &*self.packet;
        let (begin, before) = match (ports, payload.ports()) {
            (false, _) => (12, [source.octets(), destination.octets()].concat()),
            (true, Some((from, to))) => (0, [from.to_be_bytes(), to.to_be_bytes()].concat()),
            (true, None) => return Next::Step,
        };
        let mut bytes = before.clone();
        for (at, byte) in (offset..).zip(self.registers.get(from, len)) {
            let place = at.checked_sub(begin).and_then(|at| bytes.get_mut(at));
            match (place, byte) {
                (Some(place), Some(byte)) => *place = *byte,
                (Some(_), None) => {
                    self.depends();
                    let what = "what is written over addresses or ports";
                    return Next::End(RuleEnd::Verdict(Verdict::Somebody(what.to_owned())));
                }
                (None, _) => {}
            }
        }
        if bytes == before {
            return Next::Step;
        }
        let packet = self.packet.to_mut();
        match *bytes.as_slice() {
            [a, b, c, d, e, f, g, h] => {
                packet.source = [a, b, c, d].into();
                packet.destination = [e, f, g, h].into();
            }
            [a, b, c, d] => {
                let (from, to) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
                packet.payload = packet.payload.by_port(false, from).by_port(true, to);
            }
            _ => {}
        }
        self.changed = Some(Changed::Written);
        Next::Step
    }

    fn goes_to(&mut self, to: Ipv4Addr) -> Next {
        self.translate(Changed::Destination, |packet, connection| {
            connection.translated_to = Some(to);
            packet.destination = to;
            packet.payload = packet.payload.with_port(true, connection.ports.map(|(_, to)| to));
        })
    }

    fn goes_to_port(&mut self, port: u16) -> Next {
        self.translate(Changed::Destination, |packet, connection| {
            connection.translated_to = Some(packet.destination);
            connection.led = packet.payload.ports().map(|(_, to)| (to, port));
            packet.payload = packet.payload.by_port(true, port);
        })
    }

    fn comes_from(&mut self, from: Ipv4Addr) -> Next {
        self.translate(Changed::Source, |packet, connection| {
            connection.translated_from = Some(from);
            packet.source = from;
            packet.payload =
                packet.payload.with_port(false, connection.ports.map(|(from, _)| from));
        })
    }

    fn translate(
        &mut self,
        changed: Changed,
        how: impl FnOnce(&mut Packet, &mut Connection),
    ) -> Next {
        // Without a connection there is nothing to translate.
        let Some(mut connection) = self.packet.connection().cloned() else { return Next::Rule };
        let packet = self.packet.to_mut();
        how(packet, &mut connection);
        packet.tracking = Tracking::Known(connection);
        self.changed = Some(changed);
        Next::End(RuleEnd::Verdict(Verdict::Accept))
    }

    fn proxy(&self, port: Option<usize>, or_drop: bool) -> Next {
        let Some((_, own)) = self.packet.payload.ports() else { return Next::Rule };
        let named = port.and_then(|at| self.registers.known(at)).map(u16::from_be_bytes);
        let port = named.filter(|port| *port != 0).unwrap_or(own);
        match self.device.listens(self.packet.payload.protocol(), port) {
            true => Next::End(RuleEnd::Taken),
            false if or_drop => Next::End(RuleEnd::Verdict(Verdict::Drop)),
            false => Next::Rule,
        }
    }
}

/// Bits of words of four bytes each, shifted over all of them (nft_bitwise_eval_lshift() and _rshift()).
/// A byte into which a bit comes that is not known, is not known.
fn shifted(value: &[Option<u8>], by: u32, left: bool) -> Vec<Option<u8>> {
    let word = |bytes: &[Option<u8>], of: fn(Option<u8>) -> u8| {
        let mut word = [0; 4];
        word.iter_mut().zip(bytes).for_each(|(to, from)| *to = of(*from));
        u32::from_ne_bytes(word)
    };
    let shift = |of: fn(Option<u8>) -> u8| {
        let words: Vec<u32> = value.chunks(4).map(|bytes| word(bytes, of)).collect();
        let none = || std::iter::once(0);
        let beside: Vec<u32> = match left {
            true => words.iter().copied().skip(1).chain(none()).collect(),
            false => none().chain(words.iter().copied()).collect(),
        };
        let both = words.iter().zip(beside);
        let shifted = both.map(|(word, beside)| {
            let rest = 32u32.saturating_sub(by);
            let (own, carried) = match left {
                true => (word.checked_shl(by), beside.checked_shr(rest)),
                false => (word.checked_shr(by), beside.checked_shl(rest)),
            };
            own.unwrap_or(0) | carried.unwrap_or(0)
        });
        shifted.flat_map(u32::to_ne_bytes).collect::<Vec<u8>>()
    };
    let (bytes, open) =
        (shift(Option::unwrap_or_default), shift(|byte| if byte.is_some() { 0 } else { 0xff }));
    let known = bytes.into_iter().zip(open).take(value.len());
    known.map(|(byte, open)| (open == 0).then_some(byte)).collect()
}

impl Times {
    /// As time_mt() goes, where the kernel is in no other time zone.
    fn hold(&self, now: u64) -> Holds {
        const DAY: u64 = 86_400;
        let no = |holds: bool| if holds { Holds::Yes } else { Holds::No };
        let (from, to) = self.date;
        let (begin, end) = (u64::from(self.day.0), u64::from(self.day.1));
        let of_day = now % DAY;
        if now < from.into() || now > to.into() {
            return Holds::No;
        }
        let over_midnight = begin >= end;
        let out = match over_midnight {
            false => of_day < begin || of_day > end,
            true => of_day < begin && of_day > end,
        };
        if out {
            return Holds::No;
        }
        let before = over_midnight && self.contiguous && of_day <= end;
        let days = (if before { now.saturating_sub(DAY) } else { now }) / DAY;
        // The first day was a Thursday.
        let weekday = (days + 3) % 7 + 1;
        const ALL: u32 = 0xffff_fffe;
        let of_month = self.month == ALL || self.month >> day_of_month(days) & 1 == 1;
        no(self.week >> weekday & 1 == 1 && of_month)
    }
}

/// The day of the month, from 1, so many days after 1970's first (days to a civil date, by 400 years).
fn day_of_month(days: u64) -> u32 {
    let of_era = (days + 719_468) % 146_097;
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    (of_year - (153 * month + 2) / 5 + 1) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_of_the_month_are_the_calendars() {
        for (days, day) in [(0, 1), (30, 31), (31, 1), (58, 28), (59, 1), (11_016, 29), (20_788, 1)]
        {
            assert_eq!(day_of_month(days), day, "{days}");
        }
    }

    #[test]
    fn times_hold_as_in_the_kernel() {
        let any = Times {
            date: (0, u32::MAX),
            day: (0, 86_399),
            month: 0xffff_fffe,
            week: 0xfe,
            contiguous: false,
        };
        // Saturday, 2026-11-28 19:30.
        let now = 1_795_894_200;
        let holds = |times: Times| times.hold(now) == Holds::Yes;
        assert!(holds(any));
        assert!(holds(Times { week: 1 << 6, month: 1 << 28, ..any }));
        assert!(!holds(Times { week: 1 << 7, ..any }) && !holds(Times { month: 1 << 27, ..any }));
        assert!(
            !holds(Times { day: (0, 3600), ..any })
                && holds(Times { day: (70_000, 80_000), ..any })
        );
        // Over midnight.
        assert!(
            holds(Times { day: (68_000, 3600), ..any })
                && !holds(Times { day: (80_000, 3600), ..any })
        );
        assert!(!holds(Times { date: (0, 1_795_000_000), ..any }));
        // Of the day before.
        let early = 1_795_824_000 + 60;
        let late = Times { day: (68_000, 3600), week: 1 << 5, ..any };
        assert_eq!(late.hold(early), Holds::No);
        assert_eq!(Times { contiguous: true, ..late }.hold(early), Holds::Yes);
    }

    #[test]
    fn shifts_carry_over_words() {
        let value: Vec<_> =
            [0x1234_5678u32, 0x9abc_def0].iter().flat_map(|w| w.to_ne_bytes()).map(Some).collect();
        let words = |bytes: Vec<Option<u8>>| {
            let bytes: Vec<u8> = bytes.into_iter().map(Option::unwrap).collect();
            bytes.chunks(4).map(|w| u32::from_ne_bytes(w.try_into().unwrap())).collect::<Vec<_>>()
        };
        assert_eq!(words(shifted(&value, 8, true)), [0x3456_789a, 0xbcde_f000]);
        assert_eq!(words(shifted(&value, 8, false)), [0x0012_3456, 0x789a_bcde]);
        assert_eq!(words(shifted(&value, 0, false)), [0x1234_5678, 0x9abc_def0]);
        let part = shifted(&[Some(1), None, Some(3), Some(4)], 8, cfg!(target_endian = "big"));
        assert_eq!(part.iter().filter(|byte| byte.is_none()).count(), 1);
    }
}
