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

//! One walk for all guests whose packets look alike to the rules: a packet stands for those of a whole
//! subnet, and it is noted where that is not enough. Pure.

use super::chains::Filters;
use super::device::{Device, Member, Onward};
use super::journey::{Guest, Outcome, Probe};
use super::packet::Link;
use super::verdict::{findings, outcomes, said_of, Findings, Outcomes};
use std::cell::{Cell, RefCell};
use std::net::Ipv4Addr;
use std::sync::Arc;

/// Packet filters as they are at one time, and what was found out of them so far.
#[derive(Debug)]
pub struct Shared {
    filters: Filters,
    classes: RefCell<Vec<Class>>,
    walks: Cell<usize>,
}

/// Guests whose packets look alike.
#[derive(Debug)]
struct Class {
    /// Any of them.
    one: Guest,
    /// What the device was asked of it.
    asked: Vec<(Question, Answer)>,
    /// What becomes of their packets; none: that depends on the guest.
    outcomes: Option<Outcomes>,
}

/// What the device was asked of a guest. Its own address and link are none.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Question {
    Towards(u32),
    Type,
    Onward(Option<Ipv4Addr>, Option<Ipv4Addr>, u32),
    /// The same of what comes by another link.
    Homeward(Option<Ipv4Addr>, Option<Ipv4Addr>, u32),
    /// Whether it is in a set: addresses and ports, and the transport.
    InSet(u16, Vec<(Option<Ipv4Addr>, Option<u16>)>, u8),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Answer {
    /// Its own link.
    Its,
    /// Another one, or another place.
    Other(Onward),
    Type(u8),
    InSet(Option<bool>),
}

impl Shared {
    /// Nothing is found out yet.
    pub fn new(filters: Filters) -> Self {
        Self { filters, classes: RefCell::default(), walks: Cell::new(0) }
    }

    /// The packet filters.
    pub fn filters(&self) -> &Filters {
        &self.filters
    }

    /// How often they were gone through.
    pub fn walks(&self) -> usize {
        self.walks.get()
    }

    /// What is in a guest's way. `any` stands for all guests of its subnet.
    pub fn findings(&self, device: &dyn Device, guest: &Guest, any: &Guest) -> Findings {
        if !guest.link.name.starts_with(&any.link.name) {
            return self.own(device, guest);
        }
        let known =
            self.classes.borrow().iter().find(|class| class.has(device, guest)).map(|class| {
                class.outcomes.as_ref().map(|outcomes| of_this(outcomes, &class.one, guest))
            });
        match known.unwrap_or_else(|| self.class(device, guest, any)) {
            Some(outcomes) => said_of(&self.filters, guest, &outcomes),
            None => self.own(device, guest),
        }
    }

    fn own(&self, device: &dyn Device, guest: &Guest) -> Findings {
        self.walks.set(self.walks.get() + 1);
        findings(&self.filters, device, guest)
    }

    /// Goes through them for all of a guest's kind.
    fn class(&self, device: &dyn Device, guest: &Guest, any: &Guest) -> Option<Outcomes> {
        self.walks.set(self.walks.get() + 1);
        let asking = Asking { device, guest, asked: RefCell::default(), depends: Cell::new(false) };
        let found = outcomes(&self.filters, &asking, any);
        let outcomes = (!asking.depends.get()).then_some(found);
        let asked = asking.asked.into_inner();
        let class = Class { one: guest.clone(), asked, outcomes: outcomes.clone() };
        self.classes.borrow_mut().push(class);
        outcomes
    }
}

impl Class {
    fn has(&self, device: &dyn Device, guest: &Guest) -> bool {
        let same = |one: &Link, other: &Link| one.group == other.group && one.kind == other.kind;
        let alike = self.one.gateway == guest.gateway
            && self.one.uplink == guest.uplink
            && same(&self.one.link, &guest.link);
        // Where it depends on the guest, the answers do not matter.
        let answers =
            |(question, answer): &(Question, Answer)| question.asks(device, guest) == *answer;
        alike && (self.outcomes.is_none() || self.asked.iter().all(answers))
    }
}

/// The same of another guest of the class.
fn of_this(outcomes: &Outcomes, one: &Guest, guest: &Guest) -> Outcomes {
    let of = |outcome: &Outcome| match outcome.clone() {
        Outcome::Stops(leg, mut stop) => {
            stop.walker.packet.is_of(one, guest);
            Outcome::Stops(leg, stop)
        }
        Outcome::May(leg, mut stop, doubt) => {
            stop.walker.packet.is_of(one, guest);
            Outcome::May(leg, stop, doubt)
        }
        Outcome::Passes => Outcome::Passes,
    };
    outcomes.iter().map(|(probe, outcome)| (*probe, of(outcome))).collect::<Vec<(Probe, _)>>()
}

impl super::packet::Packet {
    fn is_of(&mut self, one: &Guest, guest: &Guest) {
        for address in [&mut self.source, &mut self.destination] {
            if *address == one.address {
                *address = guest.address;
            }
        }
        for link in [&mut self.input, &mut self.output].into_iter().flatten() {
            if link.index == one.link.index {
                *link = Arc::clone(&guest.link);
            }
        }
    }
}

impl Question {
    fn asks(&self, device: &dyn Device, guest: &Guest) -> Answer {
        let is = |onward| match onward {
            Onward::By(link) if link.index == guest.link.index => Answer::Its,
            other => Answer::Other(other),
        };
        let own = |address: Option<Ipv4Addr>| address.unwrap_or(guest.address);
        match self {
            Self::InSet(set, parts, protocol) => {
                let parts = parts.iter().map(|(address, port)| (own(*address), *port)).collect();
                Answer::InSet(device.in_set(*set, &Member { parts, protocol: *protocol }))
            }
            Self::Towards(mark) => {
                is(device.towards(guest.address, *mark).map_or(Onward::Nowhere, Onward::By))
            }
            Self::Type => Answer::Type(device.address_type(guest.address)),
            Self::Onward(from, to, mark) => {
                is(device.onward(own(*from), own(*to), &guest.link, *mark))
            }
            Self::Homeward(from, to, mark) => {
                is(device.onward(own(*from), own(*to), &guest.uplink, *mark))
            }
        }
    }
}

/// The device, asked of one guest in the place of all.
struct Asking<'a> {
    device: &'a dyn Device,
    guest: &'a Guest,
    asked: RefCell<Vec<(Question, Answer)>>,
    depends: Cell<bool>,
}

impl Asking<'_> {
    fn ask(&self, question: Question) -> Answer {
        let known = self.asked.borrow().iter().find(|(one, _)| *one == question).cloned();
        known.map(|(_, answer)| answer).unwrap_or_else(|| {
            let answer = question.asks(self.device, self.guest);
            self.asked.borrow_mut().push((question, answer.clone()));
            answer
        })
    }

    fn other(&self, address: Ipv4Addr) -> Option<Ipv4Addr> {
        Some(address).filter(|address| *address != self.guest.address)
    }

    fn way(&self, answer: Answer) -> Onward {
        match answer {
            Answer::Other(onward) => onward,
            Answer::Its | Answer::Type(_) | Answer::InSet(_) => {
                Onward::By((*self.guest.link).clone())
            }
        }
    }
}

impl Device for Asking<'_> {
    fn towards(&self, address: Ipv4Addr, mark: u32) -> Option<Link> {
        if address != self.guest.address {
            return self.device.towards(address, mark);
        }
        match self.way(self.ask(Question::Towards(mark))) {
            Onward::By(link) => Some(link),
            Onward::Here | Onward::Nowhere => None,
        }
    }
    fn onward(&self, from: Ipv4Addr, to: Ipv4Addr, input: &Link, mark: u32) -> Onward {
        let (from_other, to_other) = (self.other(from), self.other(to));
        match input.index {
            index if index == self.guest.link.index => {
                self.way(self.ask(Question::Onward(from_other, to_other, mark)))
            }
            index if index == self.guest.uplink.index => {
                self.way(self.ask(Question::Homeward(from_other, to_other, mark)))
            }
            // By a third link: nobody asks that of each guest.
            _ => {
                self.depends();
                self.device.onward(from, to, input, mark)
            }
        }
    }
    fn address_type(&self, address: Ipv4Addr) -> u8 {
        match address == self.guest.address {
            true => match self.ask(Question::Type) {
                Answer::Type(kind) => kind,
                _ => libc::RTN_UNICAST,
            },
            false => self.device.address_type(address),
        }
    }
    fn listens(&self, protocol: u8, port: u16) -> bool {
        self.device.listens(protocol, port)
    }
    fn answers(&self, from: Ipv4Addr, at: Ipv4Addr, protocol: u8) -> Option<bool> {
        self.device.answers(from, at, protocol)
    }
    fn in_set(&self, set: u16, member: &Member) -> Option<bool> {
        let own = |(address, port): &(Ipv4Addr, Option<u16>)| (self.other(*address), *port);
        let parts: Vec<_> = member.parts.iter().map(own).collect();
        if parts.iter().all(|(address, _)| address.is_some()) {
            return self.device.in_set(set, member);
        }
        match self.ask(Question::InSet(set, parts, member.protocol)) {
            Answer::InSet(is) => is,
            _ => None,
        }
    }
    fn owner(&self, protocol: u8, port: u16) -> Option<u32> {
        self.device.owner(protocol, port)
    }
    fn now(&self) -> Option<u64> {
        self.device.now()
    }
    fn processors(&self) -> Option<u32> {
        self.device.processors()
    }
    fn queues(&self, first: u16, count: u16) -> Option<bool> {
        self.device.queues(first, count)
    }
    fn depends(&self) {
        self.depends.set(true);
    }
}
