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

//! A rule, a jump and the handling of a chain as iptables' arguments. Pure: runs nothing.

use super::anchor::Anchor;
use super::programs::Call;
use crate::effects::firewall::{with_port, Family, Hook, Interface, Match, Rule, Verdict};
use crate::model::ruleset::{NAMES, TOLD};
use std::net::IpAddr;

impl Anchor {
    /// A command about this anchor's table.
    pub(super) fn call<const N: usize>(&self, arguments: [&str; N]) -> Call {
        let all = ["-w", "-t", self.table].into_iter().chain(arguments).map(str::to_owned);
        Call { family: self.family, arguments: all.collect(), at_most: 0 }
    }

    /// A command about the jump from a chain to another: `-C`, `-D`.
    pub(super) fn jump(&self, verb: &str, from: &str, to: &str) -> Call {
        self.call([verb, from, "-j", to])
    }

    /// Puts the jump to a chain of ours in front of others' rules.
    pub(super) fn put(&self, to: &str) -> Call {
        self.call(["-I", self.parent, "1", "-j", to])
    }

    /// Puts a rule at this place in a chain of ours; the first is 0.
    pub(super) fn insert(&self, chain: &str, at: usize, rule: &Rule) -> Call {
        let mut call = self.call(["-I", chain, &(at + 1).to_string()]);
        call.arguments.extend(conditions(rule));
        call
    }

    /// Takes the rule at this place from a chain of ours.
    pub(super) fn delete(&self, chain: &str, at: usize) -> Call {
        self.call(["-D", chain, &(at + 1).to_string()])
    }

    /// Adds a rule behind those of a chain of ours.
    pub(super) fn append(&self, chain: &str, rule: &Rule) -> Call {
        let mut call = self.call(["-A", chain]);
        call.arguments.extend(conditions(rule));
        call
    }
}

/// The rule as arguments, in iptables-save's order. Names and addresses hold no space.
fn conditions(rule: &Rule) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut option = |name: &str, value: Option<String>| {
        let words_of = |value| name.split(' ').map(str::to_owned).chain([value]);
        words.extend(value.into_iter().flat_map(words_of));
    };
    let name = |option: &'static str, interface: &Option<Interface>| match interface {
        Some(interface) if interface.is_inverted() => format!("! {option}"),
        _ => option.to_owned(),
    };
    let whole = |address: IpAddr| format!("{address}/{}", if address.is_ipv4() { 32 } else { 128 });
    option("-s", rule.source.map(|network| network.to_string()));
    let network = match rule.matching {
        Some(Match::CrowdOver(network, ..)) => Some(network.to_string()),
        _ => None,
    };
    option("-d", network.or(rule.destination.map(whole)));
    option(&name("-i", &rule.input), rule.input.as_ref().map(Interface::pattern));
    option(&name("-o", &rule.output), rule.output.as_ref().map(Interface::pattern));
    let matching = match (&rule.matching, rule.family) {
        (None, _) => String::new(),
        (Some(Match::Established), _) => "-m conntrack --ctstate RELATED,ESTABLISHED ".to_owned(),
        (Some(Match::Answered | Match::Known), _) => {
            "-m conntrack --ctstate ESTABLISHED ".to_owned()
        }
        (Some(Match::New), _) => "-m conntrack --ctstate NEW ".to_owned(),
        (Some(Match::Of(protocol)), _) => format!("-p {} ", protocol.name()),
        (Some(Match::NewAsSent), _) => {
            "-m conntrack --ctstate NEW -m conntrack ! --ctstate DNAT ".to_owned()
        }
        (Some(Match::ConnectionsOver(most)), _) => {
            // Each rule counts on its own: what guests ask the device for has a quarter.
            let quarter = most / 4;
            let most = if rule.hook == Hook::Input { quarter } else { most - quarter };
            format!(
                "-m conntrack ! --ctstatus CONFIRMED -m connlimit --connlimit-above {most} \
                 --connlimit-mask 32 --connlimit-saddr "
            )
        }
        // One table of guests for all such rules, which the name says.
        (Some(Match::OpenedOver(of, rate, burst)), _) => format!(
            "{}-m conntrack ! --ctstatus CONFIRMED -m hashlimit --hashlimit-above {rate}/sec \
             --hashlimit-burst {burst} --hashlimit-mode srcip --hashlimit-name guestnet \
             --hashlimit-htable-expire 60000 ",
            of.map(|of| format!("-p {} ", of.name())).unwrap_or_default()
        ),
        (Some(Match::OpenedEach(of, every)), _) => format!(
            "-p {} -m conntrack ! --ctstatus CONFIRMED -m statistic --mode nth --every {every} \
             --packet 0 ",
            of.name()
        ),
        (Some(Match::CrowdOver(_, rate, burst)), _) => format!(
            "-m conntrack ! --ctstatus CONFIRMED -m hashlimit --hashlimit-above {rate}/sec \
             --hashlimit-burst {burst} --hashlimit-mode srcip --hashlimit-name guestnet_crowd \
             --hashlimit-htable-expire 60000 "
        ),
        (Some(Match::OwnRelated), _) => {
            let opener = rule.source.map(|network| format!("--ctorigsrc {network} "));
            format!("-m conntrack --ctstate RELATED {}", opener.unwrap_or_default())
        }
        // Of the hooks that x_tables does not have.
        (Some(Match::ForeignSource | Match::OwnSource | Match::FragmentsOver(..)), _) => {
            String::new()
        }
        (Some(Match::EchoRequest), Family::V4) => "-p icmp -m icmp --icmp-type 8 ".to_owned(),
        (Some(Match::EchoRequest), Family::V6) => {
            "-p ipv6-icmp -m icmp6 --icmpv6-type 128 ".to_owned()
        }
        (Some(Match::Led { protocol, port }), _) => {
            let name = protocol.name();
            format!("-p {name} -m {name} --dport {port} -m conntrack --ctorigdstport {NAMES} ")
        }
        (Some(Match::ForwarderUnreachable(port)), _) => format!(
            "-p icmp -m icmp --icmp-type 3/3 -m conntrack --ctorigdstport {NAMES} --ctreplsrcport \
             {port} "
        ),
        // Of a connection that no program has taken yet nobody is the owner.
        (Some(Match::FromStranger { protocol, port, user }), _) => {
            let own = format!("-m owner ! --uid-owner {user} ");
            let own = if *user == 0 { String::new() } else { own };
            format!(
                "-p {} -m owner --socket-exists ! --uid-owner 0 {own}-m conntrack --ctorigdstport \
                 {NAMES} --ctreplsrcport {port} ",
                protocol.name()
            )
        }
        (Some(Match::Proto { protocol, ports }), _) => {
            let (name, first, last) = (protocol.name(), ports.start(), ports.end());
            let ports = if first == last { first.to_string() } else { format!("{first}:{last}") };
            format!("-p {name} -m {name} --dport {ports} ")
        }
    };
    let verdict = match &rule.verdict {
        Verdict::Accept => "ACCEPT".to_owned(),
        Verdict::Drop => "DROP".to_owned(),
        // Never asked for: the target CT stands in `raw` alone, which every packet would go through, and takes
        // what only `nfct` writes (nfnetlink_cttimeout); Android's kernels have no timeouts of connections.
        Verdict::Forget => "CONTINUE".to_owned(),
        Verdict::Tell => format!("NFLOG --nflog-group {TOLD}"),
        Verdict::Masquerade => "MASQUERADE".to_owned(),
        Verdict::Snat(address) => format!("SNAT --to-source {address}"),
        Verdict::SnatBy(address, (first, last)) => {
            format!("SNAT --to-source {address}:{first}-{last}")
        }
        Verdict::MasqueradeBy((first, last)) => format!("MASQUERADE --to-ports {first}-{last}"),
        Verdict::DnatPort(port) => format!("DNAT --to-destination :{port}"),
        Verdict::Dnat { address, port } => {
            format!("DNAT --to-destination {}", with_port(*address, *port))
        }
    };
    words.extend(format!("{matching}-j {verdict}").split(' ').map(str::to_owned));
    words
}
