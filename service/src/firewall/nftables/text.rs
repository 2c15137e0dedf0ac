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

use super::{chain_of, CHAINS, TABLE};
use crate::firewall::{Family, Interface, Match, Rule, Ruleset, Verdict};
use crate::spec::HOST_PREFIX;
use std::fmt::Write;

/// The whole table.
pub fn text(ruleset: &Ruleset) -> String {
    let rules = ruleset.rules();
    let chain = |base: &super::BaseChain| {
        let mut text = format!(
            "\tchain {} {{\n\t\ttype {} hook {} priority {}; policy accept;\n",
            base.name, base.kind, base.name, base.priority_name
        );
        for rule in rules.iter().filter(|rule| chain_of(rule.hook).name == base.name) {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "\t\t{}", line(rule));
        }
        text + "\t}\n"
    };
    let chains: Vec<_> = CHAINS.iter().map(chain).collect();
    format!("table inet {TABLE} {{\n{}}}\n", chains.join("\n"))
}

fn line(rule: &Rule) -> String {
    let mut words = Vec::new();
    words.extend(rule.input.as_ref().map(|i| format!("iifname \"{}\"", pattern(i))));
    words.extend(rule.output.as_ref().map(|i| format!("oifname \"{}\"", pattern(i))));
    // nft leaves out what a condition behind it says already.
    let said = rule.source.is_some() || rule.matching == Some(Match::EchoRequest);
    let family = match rule.family {
        Family::V4 if said => None,
        Family::V4 => Some("meta nfproto ipv4"),
        Family::V6 => Some("meta nfproto ipv6"),
    };
    words.extend(family.map(str::to_owned));
    words.extend(rule.source.map(|subnet| format!("ip saddr {subnet}")));
    words.extend(rule.destination.map(|address| format!("ip daddr {address}")));
    words.extend(rule.matching.map(|matching| {
        match matching {
            Match::Established => "ct state established,related",
            Match::Invalid => "ct state invalid",
            Match::EchoRequest => "icmp type echo-request",
            Match::UdpDns => "udp dport 53",
            Match::TcpDns => "tcp dport 53",
        }
        .to_owned()
    }));
    words.push(
        match rule.verdict {
            Verdict::Accept => "accept",
            Verdict::Drop => "counter drop",
            Verdict::Masquerade => "masquerade",
        }
        .to_owned(),
    );
    words.join(" ")
}

fn pattern(interface: &Interface) -> String {
    match interface {
        Interface::Guests => format!("{HOST_PREFIX}*"),
        Interface::Named(name) => name.to_string(),
    }
}
