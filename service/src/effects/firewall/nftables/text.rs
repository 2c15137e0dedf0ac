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

//! The ruleset as `nft list table inet guestnet` prints it, without what only the kernel knows
//! (counts, the owner). Pure.

use super::layout::{lines, sets, Able, Addresses, Counted, Elements, Kind, Line, Set};
use super::{chain_of, CHAINS, CLOSED, TABLE};
use crate::effects::firewall::{with_port, Family, Interface, Match, Ruleset, Verdict};
use crate::model::ownership::LINK_GROUP;
use crate::model::ruleset::{FORGOTTEN, NAMES, TOLD};
use crate::spec::HOST_PREFIX;
use std::fmt::Write;
use std::net::Ipv4Addr;

/// The whole table, in a kernel that can do all.
pub fn text(ruleset: &Ruleset) -> String {
    of(ruleset, Able { forgets: true, tells: true })
}

/// The whole table, in one that can do this.
pub(super) fn of(ruleset: &Ruleset, able: Able) -> String {
    let lines = lines(ruleset, able);
    let chain = |base: &super::BaseChain| {
        let mut text = format!(
            "\tchain {} {{\n\t\ttype {} hook {} priority {}; policy accept;\n",
            base.name, base.kind, base.hook_name, base.priority_name
        );
        for rule in lines.iter().filter(|rule| chain_of(rule.hook).name == base.name) {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "\t\t{}", line(rule));
        }
        text + "\t}\n"
    };
    let sets = sets(ruleset);
    let sets = sets.iter().map(|(set, elements)| written(set, elements));
    let drops = Counted::ALL.map(|counted| {
        let (key, name, set) = (counted.key(), counted.chain(), Set::DROPPED.name());
        format!("\tchain {name} {{\n\t\tadd @{set} {{ {key} counter }}\n\t\tdrop\n\t}}\n")
    });
    let objects = able.forgets.then(|| {
        format!(
            "\tct timeout {CLOSED} {{\n\t\tprotocol tcp\n\t\tl3proto ip\n\t\tpolicy = {{ time_wait : \
             {FORGOTTEN}, close : {FORGOTTEN} }}\n\t}}\n"
        )
    });
    let parts: Vec<_> =
        objects.into_iter().chain(sets).chain(CHAINS.iter().map(chain)).chain(drops).collect();
    format!("table inet {TABLE} {{\n{}}}\n", parts.join("\n"))
}

fn written(set: &Set, elements: &Elements) -> String {
    // As many in a line as nft has there.
    let (kind, in_a_line) = match set.kind {
        Kind::Guests => ("ifname . ipv4_addr", 1),
        Kind::Gateways => ("ipv4_addr . ipv4_addr", 1),
        Kind::Fragments | Kind::Opened | Kind::Crowd => {
            ("ipv4_addr\n\t\tflags dynamic,timeout\n\t\ttimeout 1m", 1)
        }
        Kind::Connections => ("ipv4_addr\n\t\tflags dynamic", 1),
        Kind::Dropped => ("ifname\n\t\tflags dynamic", 1),
        Kind::Exceptions => ("ifname", 1),
        Kind::Subnets | Kind::Addresses => ("ipv4_addr", 2),
    };
    let name = set.name();
    if elements.is_empty() {
        return format!("\tset {name} {{\n\t\ttype {kind}\n\t}}\n");
    }
    let addresses = |element: &Vec<u8>| {
        let parts = (element.get(..libc::IFNAMSIZ), element.get(libc::IFNAMSIZ..));
        if let (Kind::Guests | Kind::Exceptions, (Some(name), Some(address))) = (set.kind, parts) {
            let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
            let name = String::from_utf8_lossy(name.get(..end).unwrap_or_default());
            return match <[u8; 4]>::try_from(address).map(Ipv4Addr::from) {
                Ok(address) => format!("\"{name}\" . {address}"),
                Err(_) => format!("\"{name}\""),
            };
        }
        let address = |bytes: &[u8]| <[u8; 4]>::try_from(bytes).map(Ipv4Addr::from).ok();
        let texts = element.chunks(4).filter_map(address).map(|address| address.to_string());
        texts.collect::<Vec<_>>().join(" . ")
    };
    let elements: Vec<_> = elements.iter().map(addresses).collect();
    let elements: Vec<_> = elements.chunks(in_a_line).map(|line| line.join(", ")).collect();
    let elements = elements.join(",\n\t\t\t     ");
    format!("\tset {name} {{\n\t\ttype {kind}\n\t\telements = {{ {elements} }}\n\t}}\n")
}

fn line(rule: &Line) -> String {
    let mut words = Vec::new();
    for (key, interface) in [("iifname", &rule.input), ("oifname", &rule.output)] {
        let Some(interface) = interface else { continue };
        let not = if interface.is_inverted() { "!= " } else { "" };
        words.push(match interface {
            Interface::Exceptions => format!("{key} {}", pattern(interface)),
            _ => format!("{key} {not}\"{}\"", pattern(interface)),
        });
    }
    if rule.input == Some(Interface::NotGuests) {
        words.push(format!("iifgroup != {LINK_GROUP}"));
    }
    let ip = if rule.family == Some(Family::V6) { "ip6" } else { "ip" };
    let addresses = match &rule.addresses {
        Addresses::These(from, to) => {
            let from = from.map(|network| format!("{ip} saddr {network}"));
            from.into_iter().chain(to.map(|to| format!("{ip} daddr {to}"))).collect()
        }
        Addresses::In(set) => {
            let (mask, name) = (Ipv4Addr::from(set.mask()), set.name());
            vec![match set.kind {
                Kind::Subnets => format!("ip saddr & {mask} == @{name}"),
                Kind::Gateways => format!("ip saddr & {mask} . ip daddr @{name}"),
                _ => format!("ip daddr @{name}"),
            }]
        }
    };
    // nft leaves out what a condition behind it says already.
    let of_v4 = [Match::EchoRequest, Match::ForeignSource];
    let said = !addresses.is_empty()
        || rule.matching.as_ref().is_some_and(|matching| {
            of_v4.contains(matching)
                || matches!(
                    matching,
                    Match::FragmentsOver(..)
                        | Match::OpenedOver(..)
                        | Match::CrowdOver(..)
                        | Match::ConnectionsOver(_)
                        | Match::ForwarderUnreachable(_)
                )
        });
    words.extend(match rule.family {
        Some(Family::V4) if !said => Some("meta nfproto ipv4".to_owned()),
        Some(Family::V6) if !said => Some("meta nfproto ipv6".to_owned()),
        _ => None,
    });
    words.extend(addresses);
    words.extend(rule.matching.as_ref().map(|matching| match matching {
        Match::Established => "ct state established,related".to_owned(),
        Match::Answered => "ct state established".to_owned(),
        Match::Known => "ct state established,new ct status confirmed".to_owned(),
        Match::New => "ct state new".to_owned(),
        Match::Of(protocol) => format!("meta l4proto {}", protocol.name()),
        Match::NewAsSent => "ct state new ct status ! dnat".to_owned(),
        Match::OwnRelated => "ct state related iifname . ct original ip saddr @guests".to_owned(),
        Match::ConnectionsOver(most) => {
            format!("ct status ! confirmed add @connections {{ ip saddr ct count over {most} }}")
        }
        Match::OpenedOver(of, rate, burst) => {
            let of = of.map(|of| format!("meta l4proto {} ", of.name())).unwrap_or_default();
            format!(
                "ct status ! confirmed {of}update @opened {{ ip saddr limit rate over \
                 {rate}/second burst {burst} packets }}"
            )
        }
        Match::OpenedEach(of, every) => {
            format!("ct status ! confirmed meta l4proto {} numgen inc mod {every} 0", of.name())
        }
        Match::CrowdOver(network, rate, burst) => format!(
            "ct status ! confirmed ip daddr {network} update @crowd {{ ip saddr limit rate over \
             {rate}/second burst {burst} packets }}"
        ),
        Match::ForeignSource => "iifname . ip saddr != @guests".to_owned(),
        Match::OwnSource => "iifname . ip saddr @guests".to_owned(),
        Match::FragmentsOver(rate, burst) => format!(
            "ip frag-off & 16383 != 0 update @fragments {{ ip saddr limit rate over \
             {rate}/second burst {burst} packets }}"
        ),
        Match::EchoRequest if ip == "ip6" => "icmpv6 type echo-request".to_owned(),
        Match::EchoRequest => "icmp type echo-request".to_owned(),
        Match::Led { protocol, port } => {
            format!("{} dport {port} ct original proto-dst {NAMES}", protocol.name())
        }
        Match::ForwarderUnreachable(port) => format!(
            "icmp type destination-unreachable icmp code port-unreachable ct original proto-dst \
             {NAMES} ct reply proto-src {port}"
        ),
        Match::FromStranger { protocol, port, user } => {
            let own = if *user == 0 { String::new() } else { format!("meta skuid != {user} ") };
            format!(
                "meta skuid != 0 {own}meta l4proto {} ct original proto-dst {NAMES} ct reply \
                 proto-src {port}",
                protocol.name()
            )
        }
        Match::Proto { protocol, ports } => {
            let (name, first, last) = (protocol.name(), ports.start(), ports.end());
            match first == last {
                true => format!("{name} dport {first}"),
                false => format!("{name} dport {first}-{last}"),
            }
        }
    }));
    words.push(match &rule.verdict {
        Verdict::Forget => format!("ct timeout set \"{CLOSED}\""),
        Verdict::Tell => format!("log group {TOLD}"),
        Verdict::Accept => "accept".to_owned(),
        Verdict::Drop => match rule.counted() {
            Some(counted) => format!("counter goto {}", counted.chain()),
            None => "counter drop".to_owned(),
        },
        Verdict::Masquerade => "masquerade".to_owned(),
        Verdict::Snat(address) => format!("snat {ip} to {address}"),
        Verdict::SnatBy(address, (first, last)) => format!("snat {ip} to {address}:{first}-{last}"),
        Verdict::MasqueradeBy((first, last)) => format!("masquerade to :{first}-{last}"),
        Verdict::DnatPort(port) => format!("dnat to :{port}"),
        Verdict::Dnat { address, port } => format!("dnat {ip} to {}", with_port(*address, *port)),
    });
    words.join(" ")
}

fn pattern(interface: &Interface) -> String {
    match interface {
        Interface::Guests | Interface::NotGuests => format!("{HOST_PREFIX}*"),
        Interface::Exceptions => format!("@{}", Set::EXCEPTIONS.name()),
        Interface::NotLoopback => "lo".to_owned(),
        Interface::Like(pattern) => pattern.to_string(),
    }
}
