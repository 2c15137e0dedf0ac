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

//! What the walks of a guest's packets come to, in words: what is wrong, and what opens the way. Pure.

use super::advice;
use super::chains::{Filters, Hook};
use super::device::Device;
use super::journey::{self, outcome, Guest, Leg, Outcome, Probe};
use super::walk::{Doubt, How, Place, Stop, Walker};
use crate::model::fault::{Cause, Fault};
use std::net::Ipv4Addr;

/// What others' rules mean for a guest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// What keeps it from the internet.
    pub internet: Option<Finding>,
    /// What keeps it from names only.
    pub names: Option<Finding>,
    /// What keeps it from other resolvers than its gateway, which it does not need; in words.
    pub other_resolvers: Option<String>,
}

/// Something that is in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether it surely is. Else it depends on what cannot be told ahead.
    pub sure: bool,
    /// What it is about.
    pub about: About,
    /// What it is.
    pub fault: Fault,
}

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// Rules that drop.
    Filter,
    /// The translation of addresses.
    Nat,
    /// The way that marks lead to.
    Route,
}

/// What becomes of a guest's probes.
pub(super) type Outcomes = Vec<(Probe, Outcome)>;

/// Goes the way of a guest's packets, and says what is in it.
pub fn findings(filters: &Filters, device: &dyn Device, guest: &Guest) -> Findings {
    said_of(filters, guest, &outcomes(filters, device, guest))
}

/// Goes the way of a guest's packets.
pub(super) fn outcomes(filters: &Filters, device: &dyn Device, guest: &Guest) -> Outcomes {
    let all = INTERNET.into_iter().chain([Probe::AskGateway, Probe::Ask]);
    all.map(|probe| (probe, outcome(filters, device, guest, probe))).collect()
}

/// Says what is in a guest's way.
pub(super) fn said_of(filters: &Filters, guest: &Guest, outcomes: &Outcomes) -> Findings {
    let of = |probe| {
        let (_, outcome) = outcomes.iter().find(|(of, _)| *of == probe)?;
        blocked(probe, outcome.clone())
    };
    let internet: Vec<_> = INTERNET.into_iter().filter_map(of).collect();
    if let Some(worst) = internet.iter().find(|blocked| blocked.sure).or(internet.first()) {
        let like = |blocked: &&Blocked| blocked.sure == worst.sure && blocked.leg == worst.leg;
        let such = internet.iter().filter(like).map(|blocked| blocked.probe);
        let what = of_internet(&such.collect::<Vec<_>>(), worst.leg, guest);
        let internet = Some(finding(filters, guest, worst, &what));
        return Findings { internet, ..Findings::default() };
    }
    let say = |blocked: Blocked| {
        let what = of_names(blocked.probe, blocked.leg, guest);
        finding(filters, guest, &blocked, &what)
    };
    let names = of(Probe::AskGateway).map(say);
    let others = of(Probe::Ask).filter(|_| names.is_none()).map(say);
    let other_resolvers = others.map(|finding| finding.fault.text);
    Findings { internet: None, names, other_resolvers }
}

/// What a guest's own filters surely drop of what it sends and is answered, or change so that it is dropped, and
/// whether that is names only. Rules that are guestnetd's by their names belong to one of the guest's own, and count as any.
pub fn own(filters: &Filters, guest: &Guest) -> Option<(bool, Fault)> {
    let dropped = |probe| match journey::own(filters, guest, probe) {
        Outcome::Stops(leg, stop) => {
            let does = match stop.how {
                How::Dropped | How::Rejected => Does::Drops,
                How::WrongSource => Does::Moves(stop.walker.packet.source),
                How::Expired => Does::Ends,
                _ => return None,
            };
            Some((probe, leg, stop.at?, does))
        }
        _ => None,
    };
    let internet: Vec<_> = INTERNET.into_iter().filter_map(dropped).collect();
    let names = || dropped(Probe::AskGateway);
    let (is_names, (_, leg, at, does)) = match internet.first() {
        Some(first) => (false, first.clone()),
        None => (true, names()?),
    };
    let what = match internet.as_slice() {
        [] => "its questions for names",
        [(Probe::Https, ..)] => "its TCP connections to port 443",
        [(Probe::Http, ..)] => "its TCP connections to port 80",
        [(Probe::Ping, ..)] => "its pings",
        [(Probe::Https, ..), (Probe::Http, ..)] => "its TCP connections",
        _ if leg == Leg::Answer => "what it is answered",
        _ => "what it sends",
    };
    let what = match leg {
        Leg::Answer if internet.len() < INTERNET.len() => format!("the answers to {what}"),
        _ => what.to_owned(),
    };
    let does = match does {
        Does::Drops => format!("drops {what}"),
        Does::Moves(source) => {
            let own = guest.address;
            format!("sends {what} with the address {source}, which may come from {own} only")
        }
        Does::Ends => format!("gives {what} a time to live that ends on the device"),
    };
    let text = format!("in the guest, {} {does}", place(&at));
    let fault = Fault::new(Cause::GuestFirewall, text);
    Some((
        is_names,
        match advice::opening_inside(filters, &at, &guest.link.name) {
            Some(step) => fault.with_step(format!("in the guest: {step}")),
            None => fault,
        },
    ))
}

/// What a rule does to what it is blamed for.
#[derive(Clone, Copy)]
enum Does {
    Drops,
    Moves(Ipv4Addr),
    Ends,
}

/// What a guest needs of the internet.
const INTERNET: [Probe; 3] = [Probe::Https, Probe::Http, Probe::Ping];

/// A probe that does not pass for sure.
struct Blocked {
    probe: Probe,
    leg: Leg,
    stop: Box<Stop>,
    sure: bool,
    doubt: Option<Doubt>,
}

fn blocked(probe: Probe, outcome: Outcome) -> Option<Blocked> {
    let (leg, stop, sure, doubt) = match outcome {
        Outcome::Passes => return None,
        Outcome::Stops(leg, stop) => (leg, stop, true, None),
        Outcome::May(leg, stop, doubt) => (leg, stop, false, doubt),
    };
    let ours = stop.at.as_ref().is_some_and(|at| at.is_ours() && !at.left);
    let doubt = doubt.filter(|doubt| !doubt.at.is_ours());
    // What only guestnetd's own rules say, other layers know.
    if ours && blamed(&stop).is_none() || !sure && doubt.is_none() {
        return None;
    }
    Some(Blocked { probe, leg, stop, sure, doubt })
}

/// The rule of somebody else's that is to blame for a stop.
fn blamed(stop: &Stop) -> Option<&Place> {
    let Walker { untracked, sent, marked, source, written, spared, .. } = &stop.walker;
    // Ours drops what still has a guest's address behind NAT.
    let late = stop.at.as_ref().is_some_and(|at| at.hook == Hook::Postrouting);
    let translated = source.as_ref().or(spared.as_ref()).filter(|_| late);
    match &stop.at {
        Some(at) if !at.is_ours() || at.left => Some(at),
        _ => {
            let past = untracked.as_ref().or(written.as_ref());
            past.or(translated).or(sent.as_ref()).or(marked.as_ref())
        }
    }
}

fn finding(filters: &Filters, guest: &Guest, blocked: &Blocked, what: &str) -> Finding {
    let Blocked { probe, leg, stop, sure, doubt } = blocked;
    let Some(at) = blamed(stop) else {
        // Nobody's rule: the device has no way for it.
        let text = format!("the device has no way for {what}");
        let fault = Fault::new(Cause::NoDefaultRoute, text);
        return Finding { sure: *sure, about: About::Route, fault };
    };
    let (cause, about) = cause(stop, at, *leg);
    let mut text = said(stop, at, cause, what, *sure);
    match at.packets {
        None | Some(0) => {}
        Some(1) => text += " (1 packet so far, from any sender)",
        Some(packets) => text += &format!(" ({packets} packets so far, from any sender)"),
    }
    if let Some(Doubt { at, what }) = doubt {
        text += &format!(": that depends on {}, which asks for {what}", place(at));
    }
    let fault = Fault::new(cause, text);
    // Behind source NAT a packet is not known by its guest any more.
    let late = stop.walker.written.as_ref() == Some(at) && at.hook == Hook::Postrouting;
    let step = advice::opening(filters, at, *leg, *probe, cause, guest);
    let fault = match step.filter(|_| !late || *leg == Leg::Answer) {
        Some(step) => fault.with_step(step),
        None => fault,
    };
    Finding { sure: *sure, about, fault }
}

/// Packets of these probes, in words.
fn of_internet(probes: &[Probe], leg: Leg, guest: &Guest) -> String {
    let uplink = &guest.uplink.name;
    let what = match probes {
        [Probe::Https] => "TCP connections to port 443",
        [Probe::Http] => "TCP connections to port 80",
        [Probe::Ping] => "pings",
        [Probe::Https, Probe::Http] => "TCP connections",
        _ if leg == Leg::Answer => return format!("what guests are answered via {uplink}"),
        _ => return format!("what guests send via {uplink}"),
    };
    match leg {
        Leg::Answer => format!("the answers to guests' {what} via {uplink}"),
        Leg::First | Leg::Next => format!("guests' {what} via {uplink}"),
    }
}

fn of_names(probe: Probe, leg: Leg, guest: &Guest) -> String {
    let uplink = &guest.uplink.name;
    match (probe == Probe::AskGateway, leg == Leg::Answer) {
        (true, false) => "guests' questions for names to their gateway".to_owned(),
        (true, true) => "the answers to guests' questions for names".to_owned(),
        (false, false) => format!("what guests ask other resolvers via {uplink}"),
        (false, true) => format!("the answers of other resolvers via {uplink}"),
    }
}

fn cause(stop: &Stop, at: &Place, leg: Leg) -> (Cause, About) {
    let walker = &stop.walker;
    let is = |place: &Option<Place>| place.as_ref() == Some(at);
    match stop.how {
        _ if is(&walker.written) => (Cause::ForwardDropped, About::Filter),
        How::NotTracked => (Cause::NotTracked, About::Nat),
        How::WrongSource => (Cause::WrongSource, About::Nat),
        _ if is(&walker.untracked) => (Cause::NotTracked, About::Nat),
        _ if is(&walker.source) || is(&walker.spared) => (Cause::WrongSource, About::Nat),
        _ if is(&walker.marked) && leg == Leg::Answer => (Cause::AnswersElsewhere, About::Route),
        _ if is(&walker.marked) => (Cause::VpnCaptures, About::Route),
        _ if matches!(at.hook, Hook::Input | Hook::Output) => (Cause::InputDropped, About::Filter),
        _ if at.chain == "tetherctrl_FORWARD" => (Cause::NetdTetherctrlDrop, About::Filter),
        _ => (Cause::ForwardDropped, About::Filter),
    }
}

fn said(stop: &Stop, at: &Place, cause: Cause, what: &str, sure: bool) -> String {
    let by = place(at);
    let verb = |surely: &str, perhaps: &str| if sure { surely } else { perhaps }.to_owned();
    let packet = &stop.walker.packet;
    let elsewhere = packet.of.as_ref().is_some_and(|of| of.zone != packet.zone);
    if stop.walker.written.as_ref() == Some(at) {
        let writes = verb("writes", "may write");
        return format!(
            "{by} {writes} over the addresses or ports of {what}, past connection tracking, so that no \
             answer belongs to it"
        );
    }
    match (cause, stop.how) {
        (Cause::NotTracked, _) if elsewhere => {
            let puts = verb("puts", "may put");
            format!(
                "{by} {puts} guests' connections and their answers into different zones of connection \
                 tracking, so {what} are not translated"
            )
        }
        (Cause::NotTracked, _) => {
            let keeps = verb("keeps", "may keep");
            format!("{by} {keeps} {what} from connection tracking, so it is not translated")
        }
        (Cause::WrongSource, _) => {
            let source = packet.source;
            let comes = verb("comes", "may come");
            format!("{by} {comes} before guestnetd's source NAT: {what} leaves with {source}")
        }
        (Cause::VpnCaptures | Cause::AnswersElsewhere, how) => {
            let mark = packet.mark.unwrap_or_default();
            let by_link = packet.output.as_ref().map(|link| format!(" via {}", link.name));
            let to = match how {
                How::Here => " to the device itself".to_owned(),
                How::Nowhere => " nowhere".to_owned(),
                _ => by_link.unwrap_or_else(|| " elsewhere".to_owned()),
            };
            let gives = verb("gives", "may give");
            format!("{by} {gives} {what} the mark {mark:#x}, and with that the device sends it{to}")
        }
        (_, How::Taken) => {
            let hands = verb("hands", "may hand");
            format!(
                "{by} {hands} {what} to a program on the device, where guestnetd lets nothing in"
            )
        }
        (_, How::Expired) => {
            let gives = verb("gives", "may give");
            format!("{by} {gives} {what} a time to live that ends on the device")
        }
        (_, How::Silent) => {
            let sends = verb("sends", "may send");
            let to = packet.destination;
            format!("{by} {sends} {what} to {to} instead, where nobody answers")
        }
        (_, How::Rejected) => format!("{by} {} {what}", verb("rejects", "may reject")),
        _ if stop.walker.sent.as_ref() == Some(at) => {
            let sends = verb("sends", "may send");
            let to = packet.destination;
            format!("{by} {sends} {what} to {to} instead, where guestnetd does not let it go")
        }
        _ => format!("{by} {} {what}", verb("drops", "may drop")),
    }
}

fn place(at: &Place) -> String {
    let Place { table, chain, .. } = at;
    let whose = if at.left { ", left by an earlier guestnetd," } else { "" };
    match at.rule {
        Some(number) => format!("rule {number} of the chain {chain} in {table}{whose}"),
        None => format!("the policy of the chain {chain} in {table}{whose}"),
    }
}
