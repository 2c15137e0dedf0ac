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

//! What opens the way for guests' packets in somebody else's packet filter, as the command of whoever
//! manages it. Pure. A rule comes in front of those of the hook's own chain: whatever drops there, is
//! behind it.

use super::chains::{Filters, Hook, Label, Table};
use super::journey::{Guest, Leg, Probe};
use super::walk::Place;
use crate::model::fault::Cause;

/// The command; none where guestnetd knows of none.
pub(super) fn opening(
    filters: &Filters,
    at: &Place,
    leg: Leg,
    probe: Probe,
    cause: Cause,
    guest: &Guest,
) -> Option<String> {
    if cause == Cause::NetdTetherctrlDrop {
        return Some(
            "use --firewall iptables, whose rules come before those of FORWARD".to_owned(),
        );
    }
    let table = filters.tables.iter().find(|table| table.label == at.table)?;
    if at.left {
        // It is tried again by the clock.
        return match &at.table {
            Label::Nftables { family, name } => Some(format!("nft delete table {family} {name}")),
            Label::Iptables(_) => None,
        };
    }
    let by_itself = matches!(at.hook, Hook::Forward | Hook::Input);
    let has = |beginning: &str| table.chains.iter().any(|c| c.name.starts_with(beginning));
    let names = probe == Probe::AskGateway && at.hook == Hook::Input;
    if by_itself && is_firewallds(&at.table) {
        return Some(
            "firewall-cmd --permanent --zone=trusted --add-interface=vm_wlan+; \
             firewall-cmd --reload"
                .to_owned(),
        );
    }
    if by_itself && has("ufw-") {
        return Some(match names {
            true => "ufw allow in on vm_wlan+ to any port 53".to_owned(),
            false => "ufw route allow in on vm_wlan+; ufw route allow out on vm_wlan+".to_owned(),
        });
    }
    let such = such(at, leg, names, cause, guest);
    if such.is_empty() {
        return None;
    }
    Some(match Program::of(table) {
        Program::Iptables(program) => {
            let chain = match at.hook == Hook::Forward && table.chain("DOCKER-USER").is_some() {
                true => "DOCKER-USER",
                false => &at.root,
            };
            let name = table_name(&at.table);
            let table = if name == "filter" { String::new() } else { format!("-t {name} ") };
            commands(&such, |one| format!("{program} {table}-I {chain} {}", one.iptables()))
        }
        Program::Nft(table) => {
            commands(&such, |one| format!("nft insert rule {table} {} {}", at.root, one.nft()))
        }
    })
}

/// The same in a guest, whose end has this name.
pub(super) fn opening_inside(filters: &Filters, at: &Place, end: &str) -> Option<String> {
    let table = filters.tables.iter().find(|table| table.label == at.table)?;
    let sends = matches!(at.hook, Hook::Output | Hook::Postrouting | Hook::Egress);
    // Before conntrack no rule knows what is an answer.
    let answers = matches!(at.hook, Hook::Input | Hook::Prerouting) && at.tracked;
    Some(match Program::of(table) {
        Program::Iptables(program) => {
            let name = table_name(&at.table);
            let table = if name == "filter" { String::new() } else { format!("-t {name} ") };
            let such = match (sends, answers) {
                (true, _) => format!("-o {end}"),
                (_, true) => format!("-i {end} -m conntrack --ctstate ESTABLISHED,RELATED"),
                _ => format!("-i {end}"),
            };
            format!("{program} {table}-I {} {such} -j ACCEPT", at.root)
        }
        Program::Nft(table) => {
            let such = match (sends, answers) {
                (true, _) => format!("oifname \"{end}\""),
                (_, true) => format!("iifname \"{end}\" ct state established,related"),
                _ => format!("iifname \"{end}\""),
            };
            format!("nft insert rule {table} {} {such} accept", at.root)
        }
    })
}

fn commands(such: &[Such], command: impl Fn(&Such) -> String) -> String {
    such.iter().map(command).collect::<Vec<_>>().join("; ")
}

/// Who writes to a table.
enum Program {
    Iptables(&'static str),
    Nft(String),
}

impl Program {
    /// iptables-nft's tables are named as iptables' own, and its chains in capitals.
    fn of(table: &Table) -> Self {
        const TABLES: [&str; 5] = ["filter", "nat", "mangle", "raw", "security"];
        const HOOKS: [&str; 5] = ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"];
        match &table.label {
            Label::Iptables(_) => Self::Iptables("iptables-legacy"),
            Label::Nftables { family: "ip", name }
                if TABLES.contains(&name.as_str())
                    && table.chains.iter().any(|chain| HOOKS.contains(&chain.name.as_str())) =>
            {
                Self::Iptables("iptables-nft")
            }
            Label::Nftables { family, name } => Self::Nft(format!("{family} {name}")),
        }
    }
}

fn is_firewallds(label: &Label) -> bool {
    matches!(label, Label::Nftables { name, .. } if name == "firewalld")
}

fn table_name(label: &Label) -> &str {
    match label {
        Label::Nftables { name, .. } | Label::Iptables(name) => name,
    }
}

/// Packets that are to be let through.
enum Such {
    FromGuests,
    ToGuests,
    /// Questions for names, by UDP and by TCP.
    Questions,
    /// From an address.
    Of(String),
    /// By a link.
    By(String),
    /// Answers that conntrack knows.
    Answers(String),
    /// Out by a link with a guest's address: they are masqueraded.
    Masqueraded(String, String),
}

fn such(at: &Place, leg: Leg, names: bool, cause: Cause, guest: &Guest) -> Vec<Such> {
    let uplink = guest.uplink.name.clone();
    match at.hook {
        Hook::Forward => vec![Such::FromGuests, Such::ToGuests],
        Hook::Input if names => vec![Such::Questions],
        Hook::Input => vec![Such::FromGuests],
        Hook::Output => vec![Such::ToGuests],
        Hook::Prerouting | Hook::Ingress if cause == Cause::NotTracked => {
            vec![Such::FromGuests, Such::By(uplink)]
        }
        Hook::Prerouting | Hook::Ingress if leg != Leg::Answer => vec![Such::FromGuests],
        Hook::Prerouting if at.tracked => vec![Such::Answers(uplink)],
        Hook::Prerouting | Hook::Ingress => vec![Such::By(uplink)],
        Hook::Postrouting if cause == Cause::WrongSource => {
            vec![Such::Masqueraded(uplink, guest.address.to_string())]
        }
        Hook::Postrouting if leg == Leg::Answer => vec![Such::ToGuests],
        Hook::Postrouting => vec![Such::Of(guest.address.to_string())],
        Hook::Egress => Vec::new(),
    }
}

impl Such {
    fn iptables(&self) -> String {
        match self {
            Self::FromGuests => "-i vm_wlan+ -j ACCEPT".to_owned(),
            Self::ToGuests => "-o vm_wlan+ -j ACCEPT".to_owned(),
            Self::Questions => "-i vm_wlan+ -p udp --dport 53 -j ACCEPT".to_owned(),
            Self::Of(address) => format!("-s {address} -j ACCEPT"),
            Self::By(link) => format!("-i {link} -j ACCEPT"),
            Self::Answers(link) => {
                format!("-i {link} -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT")
            }
            Self::Masqueraded(link, source) => format!("-o {link} -s {source} -j MASQUERADE"),
        }
    }

    fn nft(&self) -> String {
        match self {
            Self::FromGuests => "iifname \"vm_wlan*\" accept".to_owned(),
            Self::ToGuests => "oifname \"vm_wlan*\" accept".to_owned(),
            Self::Questions => "iifname \"vm_wlan*\" udp dport 53 accept".to_owned(),
            Self::Of(address) => format!("ip saddr {address} accept"),
            Self::By(link) => format!("iifname \"{link}\" accept"),
            Self::Answers(link) => {
                format!("iifname \"{link}\" ct state established,related accept")
            }
            Self::Masqueraded(link, source) => {
                format!("oifname \"{link}\" ip saddr {source} masquerade")
            }
        }
    }
}
