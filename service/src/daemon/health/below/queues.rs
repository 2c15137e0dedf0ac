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

//! Queues and filters of traffic control: what would become of guests' frames there.

use super::{Below, Where};
use crate::effects::firewall::diagnose::journey::SERVER;
use crate::effects::kernel::link::{self, Link};
use crate::effects::kernel::netlink::Netlink;
use crate::effects::kernel::tc;
use crate::model::if_index::IfIndex;
use crate::model::tc::{stopped, Carries, Does, Filter, Frame, Way, FILTERS, ROOT};
use std::net::Ipv4Addr;

impl Below {
    /// A queue that nothing leaves, or a filter that drops some of these frames.
    pub(super) fn queued(
        &self,
        netlink: &Netlink,
        (name, index): (&str, IfIndex),
        frames: &Frames,
        at: Where,
    ) -> Option<Finding> {
        let here = || self.queues.iter().filter(|queue| queue.index == index);
        if let Some((queue, why)) = here().find_map(|queue| Some((queue, queue.stuck?))) {
            // In another one some packets come by it.
            let sure = queue.parent == ROOT;
            let verb = if sure { "lets nothing out" } else { "may let nothing out" };
            let text = format!("{name}'s queue ({}) {verb}: {why}", queue.kind);
            let step = format!("{at}tc qdisc del dev {name} root");
            return Some(Finding { sure, text, step });
        }
        let root = here().find(|queue| queue.parent == ROOT && queue.handle != 0);
        let sorted = root.and_then(|queue| tc::sorting(netlink, queue).ok());
        let sorted = sorted
            .and_then(|filters| filtered(netlink, name, (&filters, &frames.out), ("root", at)));
        if sorted.is_some() || !here().any(|queue| queue.parent == FILTERS) {
            return sorted;
        }
        [(Way::In, "ingress", &frames.within), (Way::Out, "egress", &frames.out)]
            .into_iter()
            .find_map(|(way, word, frames)| {
                let filters = tc::filters(netlink, index, way).ok()?;
                filtered(netlink, name, (&filters, frames), (word, at))
            })
    }
}

/// A program that sees what comes in by a link before all rules do: nobody can tell what it does.
pub(super) fn program(link: &Link, at: Where) -> Option<Finding> {
    let (name, number) = (&link.name, link.xdp?);
    let which = if number == 0 { String::new() } else { format!(" ({number})") };
    let text =
        format!("{name}'s XDP program{which} may drop what comes in there, before all rules");
    let step = format!(
        "{at}`ip link show {name}` shows it, and `bpftool net` or `bpftool link` whose it is"
    );
    Some(Finding { sure: false, text, step })
}

/// Something of traffic control's, or a program, that is in the way.
pub(super) struct Finding {
    pub(super) sure: bool,
    pub(super) text: String,
    pub(super) step: String,
}

/// Frames that come in by a link and leave by it, each with what it is.
pub(super) struct Frames {
    pub(super) within: Vec<(&'static str, Frame)>,
    pub(super) out: Vec<(&'static str, Frame)>,
}

/// What packets are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sense {
    /// A guest's.
    Asks,
    /// Their answers.
    Answers,
    /// A guest's behind the source NAT.
    Beyond,
}

/// A guest's connections: what they are, to which port; 0: an echo.
pub(super) const CONNECTIONS: [(&str, u16); 3] =
    [("TCP connections to port 443", 443), ("TCP connections to port 80", 80), ("pings", 0)];

/// A guest's packets, or its answers, between two MACs.
pub(super) fn packets(
    (from, to): ([u8; 6], Option<[u8; 6]>),
    (guest, gateway): (Ipv4Addr, Ipv4Addr),
    sense: Sense,
) -> Vec<(&'static str, Frame)> {
    let macs = (Some(from).filter(|mac| *mac != [0; 6]), to);
    let back = sense == Sense::Answers;
    let (guest, gateway, server) = (guest.octets(), gateway.octets(), SERVER.octets());
    let ends = |other: [u8; 4]| if back { (other, guest) } else { (guest, other) };
    let mut frames = Vec::new();
    if sense != Sense::Beyond {
        let (from, about) = ends(gateway);
        frames.push(("questions of ARP's", Frame::arp(macs.0, from, about)));
    }
    frames.extend(CONNECTIONS.map(|(what, port)| {
        let carries = match (port, back) {
            (0, false) => Carries::Icmp(8),
            (0, true) => Carries::Icmp(0),
            (port, false) => Carries::Tcp(0, port),
            (port, true) => Carries::Tcp(port, 0),
        };
        (what, Frame::ip(macs, ends(server), carries))
    }));
    if sense != Sense::Beyond {
        let carries = if back { Carries::Udp(53, 0) } else { Carries::Udp(0, 53) };
        frames.push(("questions for names", Frame::ip(macs, ends(gateway), carries)));
    }
    frames
}

/// The answers of the internet's to an address of the device's.
pub(super) fn packets_back(mac: [u8; 6], own: Ipv4Addr) -> Vec<(&'static str, Frame)> {
    let mut frames = packets(([0; 6], Some(mac)), (own, own), Sense::Answers);
    // What is of the link alone.
    frames.retain(|(what, _)| CONNECTIONS.iter().any(|(known, _)| known == what));
    frames
}

/// A filter that stops one of these.
fn filtered(
    netlink: &Netlink,
    name: &str,
    (filters, frames): (&[Filter], &[(&'static str, Frame)]),
    (word, at): (&str, Where),
) -> Option<Finding> {
    let seen: Vec<Filter> = filters.iter().map(|filter| through_ifb(netlink, filter)).collect();
    let found: Vec<_> =
        frames.iter().filter_map(|(what, frame)| Some((*what, stopped(&seen, frame)?))).collect();
    let (_, (filter, sure)) =
        found.iter().find(|(_, (_, sure))| *sure).or(found.first()).copied()?;
    let such = found.iter().filter(|(_, (_, surely))| *surely == sure);
    let such: Vec<_> = such.map(|(what, _)| *what).collect();
    let what = match such.len() == frames.len() {
        true => "everything".to_owned(),
        false => format!("guests' {}", such.join(", ")),
    };
    let does = match (filter.does, sure) {
        (Does::Sends(to), true) => {
            let to = link::by_index(netlink, to).ok().flatten();
            format!("sends {what} by {} instead", to.map_or("nowhere".into(), |link| link.name))
        }
        (_, true) => format!("drops {what}"),
        (_, false) => format!("may drop {what}"),
    };
    let place = if word == "root" { "its queue" } else { word };
    let text = format!(
        "a filter of tc's at {name} ({place}, pref {}, {}) {does}",
        filter.priority, filter.kind
    );
    let step = format!("{at}tc filter del dev {name} {word} pref {}", filter.priority);
    Some(Finding { sure, text, step })
}

/// What goes through an ifb comes back behind its queue. What goes to a segment's device is for others on that
/// segment, by filters of guestnetd's own.
fn through_ifb(netlink: &Netlink, filter: &Filter) -> Filter {
    let Does::Sends(to) = filter.does else { return filter.clone() };
    let does = match link::by_index(netlink, to).ok().flatten() {
        Some(link) if link.is_hub() => Does::Continues,
        Some(link) if link.kind == "ifb" && link.up => Does::Passes,
        _ => filter.does,
    };
    Filter { does, ..filter.clone() }
}
