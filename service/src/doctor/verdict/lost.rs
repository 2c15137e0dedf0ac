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

//! Where a guest's packet, or its answer, was lost. Pure.

use super::{Facts, GuestFacts, Probed};
use crate::doctor::probe::Outcome;
use crate::doctor::trail::Hop;
use crate::model::fault::{Cause, Fault};

/// What others' filters do to guests' packets, as status names it.
const FILTERED: [Cause; 3] =
    [Cause::ForwardDropped, Cause::NetdTetherctrlDrop, Cause::InputDropped];

const NOTRACK: &str = "look for NOTRACK: iptables-save -t raw, nft list ruleset";

/// The place and its cause; nothing where the packet left the device as it should and nobody answered.
pub fn of(facts: &Facts, guest: &GuestFacts, probed: &Probed) -> Option<Fault> {
    let trail = &probed.trail;
    if let Some(fault) = in_guest(guest, probed) {
        return Some(fault);
    }
    if let Some(fault) = conflict(facts, guest) {
        return Some(fault);
    }
    if !guest.tapped {
        return untapped(facts, guest);
    }
    if trail.sent.is_none() {
        return Some(never_sent(guest));
    }
    let Some(arrived) = &trail.arrived else {
        let text = format!("what the guest sends does not come in at {}", guest.host_end);
        return Some(Fault::new(Cause::LinkChanged, text));
    };
    if arrived.source != guest.address {
        return Some(another_source(guest, arrived));
    }
    if trail.left.is_none() && trail.answered.is_none() {
        // The device's own answer to the guest is on its way behind this.
        return match trail.passed {
            Some(_) if probed.guest.outcome == Outcome::Silent => {
                in_guest_on_the_way_back(guest, probed)
            }
            _ => Some(on_the_way_out(facts, guest)),
        };
    }
    if let Some(fault) = trail.left.as_ref().and_then(|left| wrongly(facts, guest, left)) {
        return Some(fault);
    }
    trail.answered?;
    if trail.passed.is_none() {
        return Some(on_the_way_back(facts, guest, trail.astray.as_ref()));
    }
    in_guest_on_the_way_back(guest, probed)
}

/// The network behind the uplink has given the device an address of the link's.
fn conflict(facts: &Facts, guest: &GuestFacts) -> Option<Fault> {
    let taken = [guest.address, guest.gateway];
    let address = facts.uplink.addresses.iter().find(|own| taken.contains(own))?;
    let text = format!("{address} of the guest's link is {}'s address, too", facts.uplink.name);
    let step = "attach the guest with a --gateway in another subnet";
    Some(Fault::new(Cause::SubnetConflict, text).with_step(step))
}

/// What the guest's own side says.
fn in_guest(guest: &GuestFacts, probed: &Probed) -> Option<Fault> {
    let inside = guest.inside.as_ref().ok()?;
    let (name, end, address) = (&guest.name, &guest.interface, guest.address);
    let Some(index) = inside.index else {
        let text = format!("{name} has no {end} any more");
        let step = format!("guestnetctl detach {name}, then attach it again");
        return Some(Fault::new(Cause::GuestAddressLost, text).with_step(step));
    };
    if !inside.has_address {
        let text = format!("{name}'s {end} has lost its address {address}");
        return Some(Fault::new(Cause::GuestAddressLost, text).with_step(repair(guest)));
    }
    match inside.out {
        None => {
            let text = format!("{name} has no default route");
            return Some(Fault::new(Cause::GuestRouteLost, text).with_step(repair(guest)));
        }
        Some(way) if way.index != index => {
            let text = format!("{name} sends by another interface of its own than {end}");
            let step =
                "in the guest: ip route get 1.1.1.1 shows which, and ip route del takes it away";
            return Some(Fault::new(Cause::GuestRouteLost, text).with_step(step));
        }
        Some(_) => {}
    }
    let refused = matches!(probed.guest.errno, Some(libc::EPERM | libc::EACCES));
    (probed.guest.outcome == Outcome::NotSent && refused).then(|| firewall(guest, "sends"))
}

fn repair(guest: &GuestFacts) -> String {
    format!("guestnetctl repair {}", guest.name)
}

fn firewall(guest: &GuestFacts, what: &str) -> Fault {
    let text = format!("{}'s own packet filter drops what it {what}", guest.name);
    Fault::new(Cause::GuestFirewall, text)
        .with_step("in the guest: nft list ruleset, iptables-save, and accept it there")
}

/// The guest's address is its own, and nothing leaves by its link.
fn never_sent(guest: &GuestFacts) -> Fault {
    // Strict, it keeps the device from answering ARP, too (arp_process() asks for a route).
    if guest.is_filtered() && matches!(guest.out, Err(libc::EXDEV | libc::EINVAL)) {
        return reverse_path(&guest.host_end);
    }
    if guest.inside.as_ref().is_ok_and(|inside| inside.gateway_is_deaf) {
        let gateway = guest.gateway;
        let text = format!("nobody answers {} for the gateway's address {gateway}", guest.name);
        let host = &guest.host_end;
        return Fault::new(Cause::NeighbourWrong, text).with_step(format!(
            "look at net.ipv4.conf.{{all,{host}}}.arp_ignore and arp_filter, and for what drops ARP: \
             `nft list tables arp`, `arptables -L`"
        ));
    }
    firewall(guest, "sends")
}

fn another_source(guest: &GuestFacts, arrived: &Hop) -> Fault {
    let text =
        format!("{} sends as {}, but its address is {}", guest.name, arrived.source, guest.address);
    Fault::new(Cause::GuestAddressLost, text).with_step(repair(guest))
}

/// It came in at the host end, and did not leave.
fn on_the_way_out(facts: &Facts, guest: &GuestFacts) -> Fault {
    let (host, uplink) = (&guest.host_end, &facts.uplink);
    if facts.table_is_full {
        return full();
    }
    if !guest.forwards.0 {
        return not_forwarded(host);
    }
    if let Some(fault) = route(facts, guest) {
        return fault;
    }
    if facts.uplink.router_is_deaf {
        return deaf_router(facts);
    }
    // Our own rules let out what comes from the guest's address, leaves by the uplink and is tracked: the
    // first two are so. One more packet may be anybody's; each of the probes is not.
    if guest.tracked == Some(false) && facts.dropped >= facts.hosts().count() as u64 {
        let text = "connection tracking is switched off for the guest's packets, so they cannot be translated";
        return Fault::new(Cause::NotTracked, text).with_step(NOTRACK);
    }
    if let Some(fault) = facts.hint(&FILTERED) {
        return fault;
    }
    let text = format!(
        "what the guest sends comes in at {host} and never leaves by {}: a rule of somebody else's drops it",
        uplink.name
    );
    Fault::new(Cause::ForwardDropped, text).with_step(ACCEPT)
}

const ACCEPT: &str =
    "find it with nft list ruleset and iptables-save -c, and accept what comes in or \
     goes out via vm_wlan* before it";

fn deaf_router(facts: &Facts) -> Fault {
    let uplink = &facts.uplink;
    let router = uplink.router.map_or_else(|| "its router".to_owned(), |router| router.to_string());
    Fault::deaf_router(router, &uplink.name, "ARP")
}

fn not_forwarded(interface: &str) -> Fault {
    let text = format!("IPv4 that comes in by {interface} is not forwarded");
    Fault::new(Cause::ForwardingOff, text)
        .with_step(format!("sysctl -w net.ipv4.conf.{interface}.forwarding=1"))
}

fn full() -> Fault {
    Fault::new(Cause::ConntrackFull, "the table of connections is full: new ones are dropped")
        .with_step("sysctl -w net.netfilter.nf_conntrack_max=262144")
}

/// What the kernel says of the way that the guest's packets take.
fn route(facts: &Facts, guest: &GuestFacts) -> Option<Fault> {
    let (host, uplink) = (&guest.host_end, &facts.uplink);
    let shows = format!("ip route get 1.1.1.1 from {} iif {host} shows the way", guest.address);
    match guest.out {
        Ok(Some(way)) if way.local => None,
        Ok(Some(way)) if !uplink.is_by(way.index) => {
            Some(captured(&facts.name(way.index), &uplink.name, shows))
        }
        Ok(Some(_)) => None,
        Ok(None) if uplink.netd => {
            let text = "a routing rule before guestnetd's lets the guest's packets out nowhere";
            Some(Fault::new(Cause::RuleShadowed, text).with_step(format!("ip rule; {shows}")))
        }
        Ok(None) => {
            let text = "the device has no route for the guest's packets";
            Some(Fault::new(Cause::NoDefaultRoute, text).with_step(shows))
        }
        Err(libc::EXDEV | libc::EINVAL) if guest.is_filtered() => Some(reverse_path(host)),
        Err(libc::EACCES | libc::EPERM | libc::EINVAL | libc::EXDEV) => {
            let text =
                "a route or rule of the device's forbids the guest's packets (prohibit, blackhole)";
            Some(Fault::new(Cause::KillSwitch, text).with_step(format!("ip rule; {shows}")))
        }
        Err(_) => None,
    }
}

fn captured(by: &str, uplink: &str, shows: String) -> Fault {
    let text =
        format!("the device's rules and routes send the guest's packets via {by}, not {uplink}");
    Fault::new(Cause::VpnCaptures, text).with_step(format!(
        "attach it with --vpn tun:{by}, or start guestnetd with --uplink {by}; {shows}"
    ))
}

fn reverse_path(interface: &str) -> Fault {
    let text = format!(
        "the reverse-path filter drops packets that come in by {interface}: the way back is another one"
    );
    let step = format!("sysctl -w net.ipv4.conf.{interface}.rp_filter=2");
    Fault::new(Cause::RpFilter, text).with_step(step)
}

/// It left, but not as it should.
fn wrongly(facts: &Facts, guest: &GuestFacts, left: &Hop) -> Option<Fault> {
    let uplink = &facts.uplink;
    if left.source == guest.address {
        return Some(untranslated(facts, guest, left));
    }
    if guest
        .out
        .as_ref()
        .is_ok_and(|way| way.is_some_and(|way| !uplink.is_by(way.index) && !way.local))
    {
        let shows = format!("ip route get 1.1.1.1 from {} iif {}", guest.address, guest.host_end);
        return Some(captured(&facts.name(left.index), &uplink.name, shows));
    }
    if Some(left.index) == uplink.index
        && !uplink.addresses.is_empty()
        && !uplink.addresses.contains(&left.source)
    {
        let text = format!(
            "the guest's packets leave by {} as {}, which is not its address: a NAT rule of somebody \
             else's comes before guestnetd's",
            uplink.name, left.source
        );
        let step = "look at nat POSTROUTING: iptables-save -t nat, nft list ruleset";
        return Some(Fault::new(Cause::WrongSource, text).with_step(step));
    }
    None
}

fn untranslated(facts: &Facts, guest: &GuestFacts, left: &Hop) -> Fault {
    let name = facts.name(left.index);
    let text = format!("the guest's packets leave by {name} with its own address {}", left.source);
    match guest.tracked {
        Some(false) => {
            Fault::new(Cause::NotTracked, format!("{text}: connection tracking is switched off"))
                .with_step("look for NOTRACK: iptables-save -t raw, nft list ruleset")
        }
        _ => Fault::new(
            Cause::WrongSource,
            format!("{text}: somebody else's NAT rule decides first"),
        )
        .with_step("look at nat POSTROUTING: iptables-save -t nat, nft list ruleset"),
    }
}

/// The answer came in, and did not leave by the host end.
fn on_the_way_back(facts: &Facts, guest: &GuestFacts, astray: Option<&Hop>) -> Fault {
    let (host, uplink) = (&guest.host_end, &facts.uplink);
    let shows = format!("ip route get {} and ip rule show why", guest.address);
    let elsewhere = |by: &str| {
        let text = format!("answers to {} are sent to {by} and not to {host}", guest.name);
        Fault::new(Cause::AnswersElsewhere, text).with_step(shows.clone())
    };
    if let Some(hop) = astray {
        return elsewhere(&facts.name(hop.index));
    }
    // It has its address, and answers for it.
    if guest.is_deaf {
        let text = format!(
            "{}'s answer to who has its address {} (ARP) does not come in at {host}",
            guest.name, guest.address
        );
        let step = "look for what drops ARP, on the device and in the guest: `nft list tables arp`, `arptables -L`";
        return Fault::new(Cause::NeighbourWrong, text).with_step(step);
    }
    if !guest.forwards.1 {
        return not_forwarded(&uplink.name);
    }
    match guest.back {
        Ok(Some(way)) if !way.local && way.index != guest.host_index => {
            return elsewhere(&facts.name(way.index));
        }
        Ok(Some(way)) if way.local => return elsewhere("the device itself"),
        Ok(None) => return elsewhere("nowhere"),
        Err(libc::EXDEV | libc::EINVAL) if guest.strict.1 => return reverse_path(&uplink.name),
        _ => {}
    }
    if let Some(fault) = facts.hint(&FILTERED) {
        return fault;
    }
    let text = format!(
        "answers come in by {} and are not passed to {host}: a rule of somebody else's drops them",
        uplink.name
    );
    Fault::new(Cause::ForwardDropped, text).with_step(ACCEPT)
}

/// The answer was passed to the guest, and its socket did not get it.
fn in_guest_on_the_way_back(guest: &GuestFacts, probed: &Probed) -> Option<Fault> {
    let answered = probed.guest.outcome.is_answer();
    (!answered).then(|| firewall(guest, "is answered"))
}

/// Without taps: by what the kernel says of the ways alone.
fn untapped(facts: &Facts, guest: &GuestFacts) -> Option<Fault> {
    if facts.table_is_full {
        return Some(full());
    }
    route(facts, guest).or_else(|| facts.hint(&FILTERED))
}
