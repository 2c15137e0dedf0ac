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

//! The golden cases of the packet filter: a ruleset and what each backend makes of it.
//! The expected texts are written by people, never by a test.
#![allow(dead_code)]

use guestnetd::effects::firewall::{
    Choice, Family, Firewall, GuestSubnet, Hook, Interface, Match, Network, Protocol, Rule,
    Ruleset, Strangers, Verdict,
};
use guestnetd::spec::{IfName, IfPattern, Subnet};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// One folder of `golden/firewall`.
pub struct Case {
    /// Its name.
    pub name: String,
    /// The ruleset.
    pub ruleset: Ruleset,
    /// The commands where nothing of ours is there.
    pub iptables: String,
    /// The table as `nft` lists it.
    pub nftables: String,
}

/// Where the cases are.
pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/firewall")
}

/// All cases, by name.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let Ok(text) = fs::read_to_string(path.join("ruleset.txt")) else { continue };
        cases.push(Case {
            name: path.file_name().unwrap().to_str().unwrap().to_owned(),
            ruleset: ruleset(&text),
            iptables: fs::read_to_string(path.join("iptables.txt")).unwrap(),
            nftables: fs::read_to_string(path.join("nftables.txt")).unwrap(),
        });
    }
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(cases.len() >= 5, "where have the cases gone?");
    cases
}

/// A ruleset from its lines: `uplink NAME`, `subnet ADDRESS/PREFIX gateway ADDRESS`,
/// `resolver ADDRESS`, `resolver ADDRESS behind NAME`, `forwarded`, `forwarded HOST-END`, `not forwarded HOST-END`,
/// `guest HOST-END by NAME`, `address HOST-END ADDRESS`, `connections NUMBER`, `crowd ADDRESS/PREFIX`,
/// `ports FIRST LAST`, `user NUMBER`, `strangers nowhere`, `strangers not from ways out`; and rules that no guest asks for yet:
/// `forward PROTOCOL PORT[-LAST] from NAME to ADDRESS[:PORT]`, `echo from ADDRESS/PREFIX`,
/// `masquerade ADDRESS/PREFIX by NAME`, `answers from ADDRESS/PREFIX by NAME`.
pub fn ruleset(text: &str) -> Ruleset {
    let mut ruleset = Ruleset::default();
    for line in text.lines() {
        match line.split(' ').collect::<Vec<_>>().as_slice() {
            ["uplink", name] => ruleset.uplinks.extend(IfPattern::new(name)),
            ["subnet", subnet, "gateway", gateway] => {
                let (network, prefix) = subnet.split_once('/').unwrap();
                let network: Ipv4Addr = network.parse().unwrap();
                let subnet = Subnet::containing(network, prefix.parse().unwrap()).unwrap();
                assert_eq!(subnet.network(), network, "{line}");
                ruleset.subnets.insert(GuestSubnet { subnet, gateway: gateway.parse().unwrap() });
            }
            ["user", user] => ruleset.user = user.parse().unwrap(),
            ["strangers", "nowhere"] => ruleset.strangers = Strangers::Nowhere,
            ["strangers", "not", "from", "ways", "out"] => {
                ruleset.strangers = Strangers::NotFromWaysOut;
            }
            ["ports", first, last] => {
                ruleset.nat_ports = Some((first.parse().unwrap(), last.parse().unwrap()));
            }
            ["connections", most] => ruleset.connections = Some(most.parse().unwrap()),
            ["crowd", network] => {
                let (address, prefix) = network.split_once('/').unwrap();
                let address = address.parse().unwrap();
                ruleset.crowd = Subnet::containing(address, prefix.parse().unwrap());
            }
            ["address", host_end, address] => {
                let guest = (IfName::new(host_end).unwrap(), address.parse().unwrap());
                ruleset.guests.insert(guest);
            }
            ["connections", "by", name, "leave", "with", address] => {
                ruleset.sources.insert(IfName::new(name).unwrap(), address.parse().unwrap());
            }
            ["forwarded"] => ruleset.forwarded.all = true,
            ["not", "forwarded", host_end] | ["forwarded", host_end] => {
                ruleset.forwarded.but.insert(IfName::new(host_end).unwrap());
            }
            ["resolver", address] => ruleset.resolver = Some(address.parse().unwrap()),
            ["resolver", address, "behind", name] => {
                let name = IfName::new(name).unwrap();
                ruleset.tun_resolvers.insert(name, address.parse().unwrap());
            }
            ["guest", host_end, "by", name] => {
                let [host_end, name] = [host_end, name].map(|name| IfName::new(name).unwrap());
                ruleset.exits.insert(host_end, name);
            }
            ["forward", protocol, ports, "from", name, "to", to] => {
                ruleset.extra.extend(forward(protocol, ports, name, to));
            }
            ["echo", "from", from] => {
                let from = network(from);
                let rule = Rule::new(Hook::Input, family(from.address), Verdict::Accept).of(from);
                ruleset.extra.push(rule.from(Interface::Guests).when(Match::EchoRequest));
            }
            ["answers", "from", from, "by", name] => {
                let from = network(from);
                let rule = Rule::new(Hook::Forward, family(from.address), Verdict::Accept).of(from);
                let rule = rule.from(Interface::Guests).to(like(name));
                ruleset.extra.push(rule.when(Match::Established));
                // To ask for a neighbour is to send to the device itself.
                let rule = Rule::new(Hook::Input, family(from.address), Verdict::Accept);
                ruleset.extra.push(rule.from(Interface::Guests));
            }
            ["masquerade", from, "by", name] => {
                let from = network(from);
                let verdict = Verdict::Masquerade;
                let rule = Rule::new(Hook::Postrouting, family(from.address), verdict).of(from);
                ruleset.extra.push(rule.to(like(name)));
            }
            _ => panic!("not a line of a ruleset: {line}"),
        }
    }
    ruleset
}

/// A port of the device's that leads to a guest, as rules: what is changed, and what is let through.
fn forward(protocol: &str, ports: &str, name: &str, to: &str) -> [Rule; 2] {
    let (address, port) = match to.parse::<SocketAddr>() {
        Ok(to) => (to.ip(), Some(to.port())),
        Err(_) => (to.parse().unwrap(), None),
    };
    let protocol = if protocol == "tcp" { Protocol::Tcp } else { Protocol::Udp };
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let ports = first.parse().unwrap()..=last.parse().unwrap();
    let arrives = port.map_or(ports.clone(), |port| port..=port);
    let dnat = Rule::new(Hook::Prerouting, family(address), Verdict::Dnat { address, port });
    let pass = Rule::new(Hook::Forward, family(address), Verdict::Accept);
    [
        dnat.from(like(name)).when(Match::Proto { protocol, ports }),
        pass.from(like(name))
            .to(Interface::Guests)
            .at(address)
            .when(Match::Proto { protocol, ports: arrives }),
    ]
}

fn like(name: &str) -> Interface {
    Interface::Like(IfPattern::new(name).unwrap())
}

fn family(address: IpAddr) -> Family {
    match address {
        IpAddr::V4(_) => Family::V4,
        IpAddr::V6(_) => Family::V6,
    }
}

fn network(text: &str) -> Network {
    let (address, prefix) = text.split_once('/').unwrap();
    Network { address: address.parse().unwrap(), prefix: prefix.parse().unwrap() }
}

/// One guest's subnet, behind `wlan0`.
pub fn wlan0() -> Ruleset {
    ruleset("uplink wlan0\nsubnet 172.17.0.0/16 gateway 172.17.3.2\naddress vm_wlan 172.17.3.3\n")
}

/// The same behind `eth0`.
pub fn eth0() -> Ruleset {
    ruleset("uplink eth0\nsubnet 172.17.0.0/16 gateway 172.17.3.2\n")
}

/// The packet filter of this namespace, which has to work.
pub fn open(choice: Choice) -> Firewall {
    Firewall::open(&choice.into()).unwrap().0
}

/// Whether netd's helper would run this. Its list (`NetUtilsWrapper-1.0.cpp`), as far as it is about
/// iptables and not about a modem's interfaces: first `-w`; then, anywhere, a verb on a vendor's
/// chain, or a jump to one. `-C` is no such verb: a question is let through for its jump only.
pub fn netds_helper_takes(command: &str) -> bool {
    let programs = ["iptables ", "ip6tables "];
    let Some(arguments) = programs.iter().find_map(|name| command.strip_prefix(name)) else {
        return false;
    };
    let Some(rest) = arguments.strip_prefix("-w") else { return false };
    let vendors = ["oem_", "nm_", "qcom_"];
    let verbs = ["-A", "-D", "-F", "-I", "-N", "-X"];
    let has = |word: &str| vendors.iter().any(|chain| rest.contains(&format!(" {word} {chain}")));
    verbs.iter().any(|verb| has(verb)) || (rest.starts_with(' ') && has("-j"))
}
