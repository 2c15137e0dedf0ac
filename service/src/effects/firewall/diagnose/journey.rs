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

//! What a guest's packets come to: the first of a connection, its answer, and what follows, through
//! every hook on their way. Pure.

use super::chains::{Action, Filters, Hook, Step};
use super::device::{Device, Onward};
use super::packet::{Connection, Link, Packet, Payload, ECHO_REQUEST, LONGEST, SYN};
use super::walk::{Doubt, How, Place, Stop, Walk, Walker};
use std::net::Ipv4Addr;
use std::sync::Arc;

/// A server of the internet as any other, in no list of special addresses (RFC 6890): what is said of
/// some addresses only is not said of it. Nothing is sent there. (example.com's.)
pub const SERVER: Ipv4Addr = Ipv4Addr::new(93, 184, 215, 14);
/// A port that a client opens.
const CLIENT_PORT: u16 = 40_000;
const DNS: u16 = 53;
const HTTPS: u16 = 443;
const HTTP: u16 = 80;

/// A guest, and where its packets leave.
#[derive(Clone, Debug)]
pub struct Guest {
    /// The device's end of its link.
    pub link: Arc<Link>,
    /// Its address.
    pub address: Ipv4Addr,
    /// The device's address that it knows.
    pub gateway: Ipv4Addr,
    /// The link that it is to leave by.
    pub uplink: Arc<Link>,
    /// Of how many bytes of its address it is known what they are: fewer than 4 where it stands for all
    /// guests of a subnet.
    pub known: usize,
}

/// What is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// A page of a server, by TCP's port 443.
    Https,
    /// The same by port 80.
    Http,
    /// An echo of a server.
    Ping,
    /// A question to a resolver of the internet.
    Ask,
    /// A question to the gateway.
    AskGateway,
}

/// Which packet of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leg {
    /// The first.
    First,
    /// Its answer.
    Answer,
    /// The guest's next.
    Next,
}

/// What becomes of a connection.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It is let through.
    Passes,
    /// One of its packets is not.
    Stops(Leg, Box<Stop>),
    /// One of its packets may not be; the doubt is what makes the difference.
    May(Leg, Box<Stop>, Option<Doubt>),
}

impl Probe {
    fn packet(self, guest: &Guest) -> Packet {
        let ask = Payload::Udp { from: CLIENT_PORT, to: DNS };
        let web = |to| Payload::Tcp { from: CLIENT_PORT, to, flags: SYN };
        let (to, payload) = match self {
            Self::Https => (SERVER, web(HTTPS)),
            Self::Http => (SERVER, web(HTTP)),
            Self::Ping => (SERVER, Payload::Echo { kind: ECHO_REQUEST }),
            Self::Ask => (SERVER, ask),
            Self::AskGateway => (guest.gateway, ask),
        };
        let mut packet = Packet::first(guest.address, to, payload);
        packet.input = Some(guest.link.clone());
        packet.any = (guest.known < 4).then_some((guest.address, guest.known));
        packet
    }
}

/// Goes with a probe's packets there and back.
pub fn outcome(filters: &Filters, device: &dyn Device, guest: &Guest, probe: Probe) -> Outcome {
    let first = probe.packet(guest);
    let mut walk = Walk::new(filters, device);
    let arrived = go(&mut walk, guest, vec![Walker::new(first.clone())]);
    if let Some(outcome) = judged(Leg::First, &mut walk, arrived.is_empty()) {
        return outcome;
    }
    let answers = arrived.iter().map(|walker| Walker {
        doubt: walker.doubt.clone(),
        untracked: walker.untracked.clone(),
        written: walker.written.clone(),
        ..Walker::new(back(&walker.packet))
    });
    let received = come(&mut walk, guest, answers.collect());
    let received = asked_for(&mut walk, &first, received);
    if let Some(outcome) = judged(Leg::Answer, &mut walk, received.is_empty()) {
        return at_its_cause(outcome, &arrived);
    }
    let next = arrived.iter().map(|walker| {
        let of = walker.packet.connection().cloned();
        let of = of.map(|of| Connection { new: false, answer: false, ..of });
        let carried = [(2, 2), (1, 1)];
        let packet = Packet { of, payload: first.payload.next(), carried, ..first.clone() };
        Walker { doubt: walker.doubt.clone(), ..Walker::new(packet) }
    });
    let next: Vec<_> = next.collect();
    let arrived = go(&mut walk, guest, next.clone());
    if let Some(outcome) = judged(Leg::Next, &mut walk, arrived.is_empty()) {
        return outcome;
    }
    match first.payload {
        Payload::Tcp { .. } => carries(&mut walk, guest, next),
        _ => Outcome::Passes,
    }
}

/// What is sent over a connection of TCP in the end, and what comes back: packets of any length.
fn carries(walk: &mut Walk<'_>, guest: &Guest, next: Vec<Walker>) -> Outcome {
    let any = |mut walker: Walker| {
        walker.packet.length = (41, LONGEST);
        walker.packet.carried = [(2, u64::MAX), (1, u64::MAX)];
        walker
    };
    let arrived = go(walk, guest, next.into_iter().map(any).collect());
    if let Some(outcome) = judged(Leg::Next, walk, arrived.is_empty()) {
        return outcome;
    }
    let answer = |walker: &Walker| {
        let mut packet = back(&walker.packet);
        packet.payload = packet.payload.next();
        any(Walker { doubt: walker.doubt.clone(), ..Walker::new(packet) })
    };
    let received = come(walk, guest, arrived.iter().map(answer).collect());
    judged(Leg::Answer, walk, received.is_empty()).unwrap_or(Outcome::Passes)
}

/// The same with what a guest's own filters make of its packets, in its own namespace: there `guest.link`
/// is its end.
pub fn own(filters: &Filters, guest: &Guest, probe: Probe) -> Outcome {
    let own = Own(guest);
    let mut walk = Walk::new(filters, &own);
    let mut first = probe.packet(guest);
    first.output = first.input.take();
    let walkers = walk.through(Hook::Output, vec![Walker::new(first)]);
    let walkers = walk.through(Hook::Postrouting, walkers);
    let mut sent = Vec::new();
    for walker in walk.through(Hook::Egress, walkers) {
        // guestnetd lets in what has the guest's own address, and the device passes on what has a hop left.
        // Which one a rule chooses of several is not known.
        let source = walker.packet.source;
        let is_its = source == guest.address || source.is_unspecified();
        // A question to the gateway goes on, too, unless the forwarder has it.
        match (is_its, is_over(&walker.packet)) {
            (false, _) => {
                // Rather what wrote it than what left it as it was.
                let spared = walker.written.clone().or(walker.spared.clone());
                stop(&mut walk, How::WrongSource, Walker { spared, ..walker });
            }
            (true, true) => stop(&mut walk, How::Expired, walker),
            (true, false) => sent.push(walker),
        }
    }
    if let Some(outcome) = judged(Leg::First, &mut walk, sent.is_empty()) {
        return outcome;
    }
    let answers = sent
        .iter()
        .map(|walker| Walker { doubt: walker.doubt.clone(), ..Walker::new(back(&walker.packet)) });
    let walkers = walk.through(Hook::Ingress, answers.collect());
    let walkers = walk.through(Hook::Prerouting, walkers);
    let received = walk.through(Hook::Input, walkers);
    judged(Leg::Answer, &mut walk, received.is_empty()).unwrap_or(Outcome::Passes)
}

/// A guest's own namespace, as far as it is known.
struct Own<'a>(&'a Guest);

impl Device for Own<'_> {
    fn towards(&self, _: Ipv4Addr, _: u32) -> Option<Link> {
        Some((*self.0.link).clone())
    }
    fn onward(&self, _: Ipv4Addr, _: Ipv4Addr, _: &Link, _: u32) -> Onward {
        Onward::By((*self.0.link).clone())
    }
    fn address_type(&self, address: Ipv4Addr) -> u8 {
        if address == self.0.address || address.is_loopback() {
            return libc::RTN_LOCAL;
        }
        libc::RTN_UNICAST
    }
    fn listens(&self, _: u8, _: u16) -> bool {
        true
    }
}

/// The mark that what a guest sends has when it is routed; none: that cannot be told.
pub fn mark(filters: &Filters, device: &dyn Device, guest: &Guest) -> Option<u32> {
    let marks = |step: &Step| matches!(step, Step::Act(Action::Mark(_)));
    let mut rules = filters.tables.iter().flat_map(|table| &table.chains).flat_map(|c| &c.rules);
    if !rules.any(|rule| rule.steps.iter().any(marks)) {
        return Some(0);
    }
    let mut walk = Walk::new(filters, device);
    let first = Walker::new(Probe::Https.packet(guest));
    let walkers = walk.through(Hook::Ingress, vec![first]);
    let walkers = walk.through(Hook::Prerouting, walkers);
    let mut marks = walkers.iter().map(|walker| walker.packet.mark);
    let first = marks.next()?;
    first.filter(|_| marks.all(|mark| mark == first))
}

/// What a probe's first packet meets on its way, and the answer on its own (true).
pub fn path(
    filters: &Filters,
    device: &dyn Device,
    guest: &Guest,
    probe: Probe,
) -> Vec<(bool, Place, String)> {
    let mut walk = Walk::new(filters, device);
    walk.records = true;
    let mut path = Vec::new();
    let mut take = |answer, arrived: &[Walker], stops: &[Stop]| {
        let stopped = stops.iter().map(|stop| &stop.walker);
        let met = arrived.iter().chain(stopped).next().map(|walker| walker.met.clone());
        path.extend(met.into_iter().flatten().map(|(place, verdict)| (answer, place, verdict)));
    };
    let arrived = go(&mut walk, guest, vec![Walker::new(probe.packet(guest))]);
    take(false, &arrived, &walk.stops);
    if let Some(first) = arrived.first() {
        walk.stops.clear();
        let received = come(&mut walk, guest, vec![Walker::new(back(&first.packet))]);
        take(true, &received, &walk.stops);
    }
    path
}

/// What the stops of a leg come to, if any. Where a stop had nothing open before it, or nobody came
/// through, it is certain.
fn judged(leg: Leg, walk: &mut Walk<'_>, nobody_came: bool) -> Option<Outcome> {
    let stops = std::mem::take(&mut walk.stops);
    let certain = |stop: &&Stop| stop.walker.doubt.is_none();
    let worst = stops.iter().find(certain).or(stops.first())?.clone();
    if nobody_came && !walk.gave_up {
        return Some(Outcome::Stops(leg, Box::new(worst)));
    }
    let doubt = worst.walker.doubt.clone();
    Some(Outcome::May(leg, Box::new(worst), doubt))
}

/// From the guest on.
fn go(walk: &mut Walk<'_>, guest: &Guest, walkers: Vec<Walker>) -> Vec<Walker> {
    let walkers = walk.through(Hook::Ingress, walkers);
    let walkers = walk.through(Hook::Prerouting, walkers);
    let (mut on, mut here) = (Vec::new(), Vec::new());
    for mut walker in walkers {
        match onward(walk.device(), guest, &walker) {
            Onward::Here => here.push(walker),
            Onward::By(_) if walker.packet.connection().is_none() => {
                stop(walk, How::NotTracked, walker);
            }
            Onward::By(_) if is_over(&walker.packet) => stop(walk, How::Expired, walker),
            Onward::By(link) => {
                walker.packet.output = Some(Arc::new(link));
                pass_on(&mut walker.packet);
                on.push(walker);
            }
            Onward::Nowhere => stop(walk, How::Nowhere, walker),
        }
    }
    let mut arrived = walk.through(Hook::Input, here);
    let on = walk.through(Hook::Forward, on);
    let on = walk.through(Hook::Postrouting, on);
    for walker in walk.through(Hook::Egress, on) {
        match walker.packet.source == guest.address {
            true => stop(walk, How::WrongSource, walker),
            false if is_silent(walk.device(), guest, &walker) => {
                stop(walk, How::Silent, walker);
            }
            false => arrived.push(walker),
        }
    }
    arrived
}

/// Where the device passes a guest's packet on to. Only what somebody has marked, or sent elsewhere, is
/// asked about: that the rest leaves by the uplink is another layer's to say.
fn onward(device: &dyn Device, guest: &Guest, walker: &Walker) -> Onward {
    let packet = &walker.packet;
    let as_it_was = walker.marked.is_none() && walker.sent.is_none() && walker.written.is_none();
    if as_it_was && packet.destination != guest.gateway {
        return Onward::By((*guest.uplink).clone());
    }
    if packet.destination == guest.gateway {
        return Onward::Here;
    }
    match packet.mark {
        Some(mark) => device.onward(packet.source, packet.destination, &guest.link, mark),
        None => Onward::By((*guest.uplink).clone()),
    }
}

/// The answer to a packet that has arrived.
fn back(packet: &Packet) -> Packet {
    // What is left of the usual 64, 128 and 255 behind 30 routers.
    const FROM_AFAR: (u8, u8) = (34, 254);
    let mut answer = packet.answered();
    answer.input = packet.output.clone();
    if answer.input.is_some() {
        answer.ttl = FROM_AFAR;
    }
    answer
}

/// The device passes on nothing with such a time to live (ip_forward()).
fn is_over(packet: &Packet) -> bool {
    packet.ttl.1 <= 1
}

/// Whether nobody answers where others have sent a packet, as far as connections of the guest's tell.
fn is_silent(device: &dyn Device, guest: &Guest, walker: &Walker) -> bool {
    if walker.sent.is_none() || walker.packet.output.is_none() {
        return false;
    }
    let packet = &walker.packet;
    device.depends();
    device.answers(guest.address, packet.destination, packet.payload.protocol()) == Some(false)
}

/// As the device does it.
fn pass_on(packet: &mut Packet) {
    let (least, most) = packet.ttl;
    packet.ttl = (least.saturating_sub(1), most.saturating_sub(1));
}

/// An answer's way to the guest.
fn come(walk: &mut Walk<'_>, guest: &Guest, walkers: Vec<Walker>) -> Vec<Walker> {
    let (own, others): (Vec<_>, Vec<_>) =
        walkers.into_iter().partition(|walker| walker.packet.input.is_none());
    let to_guest = |mut walker: Walker| {
        walker.packet.output = Some(guest.link.clone());
        if walker.packet.input.is_some() {
            pass_on(&mut walker.packet);
        }
        walker
    };
    let own = walk.through(Hook::Output, own.into_iter().map(to_guest).collect());
    let others = walk.through(Hook::Ingress, others);
    let others = walk.through(Hook::Prerouting, others);
    let mut on = Vec::new();
    for mut walker in others {
        if walker.packet.connection().is_none() {
            stop(walk, How::NotTracked, walker);
            continue;
        }
        if is_over(&walker.packet) {
            stop(walk, How::Expired, walker);
            continue;
        }
        match homeward(walk.device(), guest, &walker) {
            Onward::By(link) if link.index == guest.link.index => on.push(to_guest(walker)),
            Onward::By(link) => {
                walker.packet.output = Some(Arc::new(link));
                stop(walk, How::Elsewhere, walker);
            }
            Onward::Here => stop(walk, How::Here, walker),
            Onward::Nowhere => stop(walk, How::Nowhere, walker),
        }
    }
    let mut all = walk.through(Hook::Forward, on);
    all.extend(own);
    let all = walk.through(Hook::Postrouting, all);
    walk.through(Hook::Egress, all)
}

/// Where the device passes an answer on to.
fn homeward(device: &dyn Device, guest: &Guest, walker: &Walker) -> Onward {
    let packet = &walker.packet;
    let home = || Onward::By((*guest.link).clone());
    match (packet.mark, &packet.input, &walker.marked) {
        (Some(mark), Some(input), Some(_)) => {
            device.onward(packet.source, packet.destination, input, mark)
        }
        _ => home(),
    }
}

/// An answer that is lost by what was written over the question is lost there.
fn at_its_cause(outcome: Outcome, arrived: &[Walker]) -> Outcome {
    let before = |stop: &Stop| stop.at.is_some() && arrived.iter().any(|w| w.written == stop.at);
    match outcome {
        Outcome::Stops(_, stop) if before(&stop) => Outcome::Stops(Leg::First, stop),
        Outcome::May(_, stop, doubt) if before(&stop) => Outcome::May(Leg::First, stop, doubt),
        other => other,
    }
}

/// What was written over may have become something that the guest knows nothing of.
fn asked_for(walk: &mut Walk<'_>, first: &Packet, walkers: Vec<Walker>) -> Vec<Walker> {
    let ends = |packet: &Packet| (packet.source, packet.destination, packet.payload.ports());
    let wanted = (first.destination, first.source, first.payload.answer().ports());
    let is = |walker: &Walker| walker.written.is_none() || ends(&walker.packet) == wanted;
    let (asked_for, others): (Vec<_>, Vec<_>) = walkers.into_iter().partition(is);
    others.into_iter().for_each(|walker| stop(walk, How::Unasked, walker));
    asked_for
}

fn stop(walk: &mut Walk<'_>, how: How, walker: Walker) {
    let at = match how {
        How::NotTracked => walker.untracked.clone().or(walker.written.clone()),
        How::WrongSource => walker.source.clone().or(walker.spared.clone()),
        How::Unasked => walker.written.clone(),
        How::Expired => walker.hops.clone(),
        _ => walker.sent.clone().or(walker.marked.clone()).or(walker.written.clone()),
    };
    walk.stops.push(Stop { how, at, walker });
}
