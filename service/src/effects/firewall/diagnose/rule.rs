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

use super::chains::{Action, Rule, Set, Step, Table, Value, Verdict};
use super::device::Device;
use super::field::{load, Loaded, WHOSE};
use super::lookup::find;
use super::packet::{Connection, Packet, Tracking};
use super::value::{within, Holds, Registers};
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
                let is = |(low, high): &(Vec<u8>, Vec<u8>)| {
                    within(self.registers.get(*at, low.len()), low, high)
                };
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
            Step::Set { .. } | Step::Bits { .. } | Step::Xor { .. } | Step::Swap { .. } => {
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
                let mut value = value(&self.registers, *from, *len);
                if cfg!(target_endian = "little") {
                    value.chunks_mut((*size).max(1)).for_each(<[_]>::reverse);
                }
                self.registers.put(*to, value);
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
        let found = find(set, &self.registers, at);
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

    fn goes_to(&mut self, to: Ipv4Addr) -> Next {
        self.translate(Changed::Destination, |packet, connection| {
            connection.translated_to = Some(to);
            packet.destination = to;
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
