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

//! Why names are not resolved though hosts are reached. Pure.

use super::{fault_of, lost, no_checksums, Facts, GuestFacts, Probed};
use crate::doctor::probe::{Kind, Outcome, Over};
use crate::doctor::wire::dns::Record;
use crate::model::fault::{Cause, Fault};
use crate::model::layer::{Layer, LayerState};

/// Nothing where names are resolved.
pub fn of(facts: &Facts, guest: &GuestFacts) -> Option<Fault> {
    let asked = question(facts, Over::Udp)?;
    if asked.guest.outcome == Outcome::Ok {
        return None;
    }
    if unchecked_only(facts) {
        return Some(no_checksums(guest));
    }
    if let Some(fault) = told(facts) {
        return Some(fault);
    }
    let inside = guest.inside.as_ref().ok();
    let shadowed = |inside: &&super::Inside| {
        inside.to_gateway.is_some_and(|way| way.local || Some(way.index) != inside.index)
    };
    if inside.filter(shadowed).is_some() {
        let text = format!(
            "{} reaches its gateway {} by another interface than {}: a bridge of its own has that subnet",
            guest.name, guest.gateway, guest.interface
        );
        let step = "give that bridge another subnet, or attach with --gateway in another one";
        return Some(Fault::new(Cause::GuestResolver, text).with_step(step));
    }
    if asked.guest.outcome == Outcome::Refused {
        return Some(refused(asked));
    }
    if let Ok(Some(way)) = guest.to_resolver {
        if guest.asks_beyond && !way.local && !facts.uplink.is_by(way.index) {
            let (by, uplink) = (facts.name(way.index), &facts.uplink.name);
            let text = format!("the resolver is reached by {by}, but guests leave by {uplink}");
            return Some(Fault::new(Cause::DnsElsewhere, text).with_step(name_another(facts)));
        }
    }
    match lost::of(facts, guest, asked) {
        // Those who drop it on the way in have been named by then.
        Some(fault) if fault.cause == Cause::ForwardDropped && guest.forwarded => {
            Some(silent(facts, asked))
        }
        Some(fault) if fault.cause == Cause::ForwardDropped && !guest.asks_beyond => {
            Some(input(guest))
        }
        Some(fault) => Some(fault),
        None => Some(silent(facts, asked)),
    }
}

/// The same for the device alone, where it knows whom to ask.
pub fn of_device(facts: &Facts) -> Option<Fault> {
    let asked = question(facts, Over::Udp)?;
    match asked.device.outcome {
        Outcome::Ok => None,
        Outcome::NotMade => told(facts),
        Outcome::Refused => Some(refused(asked)),
        _ => Some(silent(facts, asked)),
    }
}

/// Whether only datagrams without a checksum are answered.
pub fn unchecked_only(facts: &Facts) -> bool {
    let outcome = |over| question(facts, over).map(|asked| asked.guest.outcome);
    outcome(Over::Udp) == Some(Outcome::Silent) && outcome(Over::UncheckedUdp) == Some(Outcome::Ok)
}

fn question(facts: &Facts, over: Over) -> Option<&Probed> {
    facts.probes.iter().find(|probed| probed.probe.kind == Kind::Dns(Record::A, over))
}

/// What status says of it.
fn told(facts: &Facts) -> Option<Fault> {
    let layer = facts.layers.iter().find(|layer| layer.layer == Layer::Dns)?;
    (layer.state == LayerState::Bad).then(|| fault_of(layer))
}

fn refused(asked: &Probed) -> Fault {
    let why = asked.guest.detail.as_str();
    let why = if why.is_empty() { asked.device.detail.as_str() } else { why };
    let text = format!("the resolver refuses to answer guests ({why})");
    let step =
        "let it answer the guests' subnet, or name another one: guestnetctl dns UPLINK ADDRESS";
    Fault::new(Cause::DnsRefused, text).with_step(step)
}

fn silent(facts: &Facts, asked: &Probed) -> Fault {
    let whom = asked.probe.from_device.map_or_else(String::new, |at| format!(" {}", at.ip()));
    let text = match asked.device.outcome {
        Outcome::Ok => format!("the resolver{whom} answers the device, but not its guests"),
        _ => format!("the resolver{whom} does not answer"),
    };
    Fault::new(Cause::DnsSilent, text).with_step(name_another(facts))
}

fn name_another(facts: &Facts) -> String {
    format!("name another one: guestnetctl dns {} ADDRESS", facts.uplink.name)
}

/// The device's own resolver is not reached.
fn input(guest: &GuestFacts) -> Fault {
    let text = format!(
        "what {} asks the device's own resolver comes in at {}, and is not answered: a rule of somebody \
         else's drops it, or nobody listens there",
        guest.name, guest.host_end
    );
    let step = format!(
        "accept udp and tcp port 53 from vm_wlan* to {} in the device's INPUT rules",
        guest.gateway
    );
    Fault::new(Cause::InputDropped, text).with_step(step)
}
