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
//! A trace's rules as their own tools print them: nf_tables' by `nft`, where that is installed; x_tables'
//! as `iptables -S` writes them, out of the kernel's own bytes. Matches that are not known here have
//! their names only.

use crate::effects::firewall::iptables::entries::{Chain, Entry, Extension, Target};
use crate::effects::firewall::iptables::read;
use crate::effects::firewall::Family;
use crate::effects::kernel::netlink::message::{text, u16_at, u32_at};
use crate::effects::platform::process;
use crate::model::trace::{Step, Which};
use std::cell::RefCell;
use std::collections::HashMap;
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long `nft` may take. It reads one chain.
const PATIENCE: Duration = Duration::from_millis(300);
/// As much of what it prints is read: a chain of some thousand rules.
const MOST: usize = 1 << 20;
/// Where it is.
const NFT: [&str; 3] = ["/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft"];

/// What has been read of them.
#[derive(Default)]
pub(super) struct Rules {
    xtables: RefCell<HashMap<String, Vec<Chain>>>,
    nftables: HashMap<(String, String, String), String>,
}

impl Rules {
    /// What a rule of x_tables decides, or a chain's policy.
    pub(super) fn decides(&self, table: &str, chain: &str, which: Which) -> String {
        let target = self.of_chain(table, chain, |chain| match which {
            Which::Number(number) => rule(chain, number).map(|rule| target(&rule.target)),
            _ => Some(target(&chain.end)),
        });
        target.flatten().unwrap_or_default()
    }

    /// Writes the rules' texts.
    pub(super) fn fill(&mut self, steps: &mut [Step]) {
        for step in steps {
            step.rule = match (step.family.as_str(), step.which) {
                ("", Which::Number(number)) => {
                    let of = |chain: &Chain| rule(chain, number).map(|rule| written(chain, rule));
                    self.of_chain(&step.table, &step.chain, of).flatten().unwrap_or_default()
                }
                (_, Which::Handle(_) | Which::Number(_)) => self.listed(step).unwrap_or_default(),
                _ => String::new(),
            };
        }
    }

    fn of_chain<T>(&self, table: &str, name: &str, of: impl Fn(&Chain) -> T) -> Option<T> {
        let mut tables = self.xtables.borrow_mut();
        // It is there: asking for another would make the kernel make it.
        if !tables.contains_key(table) && read::is_in_use(Family::V4, table) {
            tables.insert(table.to_owned(), read::table(Family::V4, table).unwrap_or_default());
        }
        tables.get(table)?.iter().find(|chain| chain.name == name).map(of)
    }

    /// A rule as `nft` lists it.
    fn listed(&mut self, step: &Step) -> Option<String> {
        let key = (step.family.clone(), step.table.clone(), step.chain.clone());
        let list = self.nftables.entry(key).or_insert_with(|| list(step).unwrap_or_default());
        let mut rules = list.lines().filter_map(|line| {
            let (rule, handle) = line.trim().rsplit_once(" # handle ")?;
            let handle: u64 = handle.parse().ok()?;
            // The table and the chain have handles of their own.
            (!rule.ends_with('{')).then(|| (handle, rule.to_owned()))
        });
        match step.which {
            Which::Handle(wanted) => rules.find(|(handle, _)| *handle == wanted),
            Which::Number(number) => rules.nth(usize::try_from(number).ok()?.checked_sub(1)?),
            Which::End => None,
        }
        .map(|(_, rule)| rule)
    }
}

fn list(step: &Step) -> Option<String> {
    let path = NFT.iter().find(|path| std::path::Path::new(path).is_file())?;
    let mut command = Command::new(path);
    command.args(["-a", "list", "chain", &step.family, &step.table, &step.chain]);
    command.stdin(Stdio::null());
    let (status, said) = process::output(command, PATIENCE, MOST).ok()?;
    status.success().then_some(said)
}

fn rule(chain: &Chain, number: u32) -> Option<&Entry> {
    chain.rules.get(usize::try_from(number).ok()?.checked_sub(1)?)
}

fn target(target: &Target) -> String {
    match target {
        Target::Accept => "ACCEPT".to_owned(),
        Target::Drop => "DROP".to_owned(),
        Target::Return => "RETURN".to_owned(),
        Target::Continue => "continue".to_owned(),
        Target::Jump(to) => format!("jump {to}"),
        Target::Goto(to) => format!("goto {to}"),
        Target::Module(module) => module.name.clone(),
    }
}

/// As `iptables -S` writes it.
fn written(chain: &Chain, rule: &Entry) -> String {
    let not = |bit: u8| if rule.inverted & bit == 0 { "" } else { "! " };
    let mut words = format!("-A {}", chain.name);
    // IPT_INV_* (linux/netfilter_ipv4/ip_tables.h)
    for (bit, option, (address, mask)) in
        [(0x08, "-s", &rule.source), (0x10, "-d", &rule.destination)]
    {
        if let Some(network) = network(address, mask) {
            words += &format!(" {}{option} {network}", not(bit));
        }
    }
    for (bit, option, name) in [(0x01, "-i", &rule.input), (0x02, "-o", &rule.output)] {
        if !name.is_empty() {
            words += &format!(" {}{option} {name}", not(bit));
        }
    }
    if rule.protocol != 0 {
        words += &format!(" {}-p {}", not(0x40), protocol(rule.protocol));
    }
    if rule.flags & 0x01 != 0 {
        words += &format!(" {}-f", not(0x20));
    }
    for one in &rule.matches {
        words += &format!(" -m {}{}", one.name, matching(one).unwrap_or_default());
    }
    match &rule.target {
        Target::Accept => words += " -j ACCEPT",
        Target::Drop => words += " -j DROP",
        Target::Return => words += " -j RETURN",
        Target::Continue => {}
        Target::Jump(to) => words += &format!(" -j {to}"),
        Target::Goto(to) => words += &format!(" -g {to}"),
        Target::Module(module) => words += &format!(" -j {}", module.name),
    }
    words
}

fn network(address: &[u8], mask: &[u8]) -> Option<String> {
    let four = |bytes: &[u8]| bytes.first_chunk::<4>().copied().map(u32::from_be_bytes);
    let (address, mask) = (std::net::Ipv4Addr::from(four(address)?), four(mask)?);
    match (mask, mask.leading_ones()) {
        (0, _) => None,
        (mask, ones) if mask.count_ones() == ones => Some(format!("{address}/{ones}")),
        (mask, _) => Some(format!("{address}/{}", std::net::Ipv4Addr::from(mask))),
    }
}

fn protocol(number: u16) -> String {
    match i32::from(number) {
        libc::IPPROTO_TCP => "tcp".to_owned(),
        libc::IPPROTO_UDP => "udp".to_owned(),
        libc::IPPROTO_ICMP => "icmp".to_owned(),
        number => number.to_string(),
    }
}

/// What a match asks for, with a space in front.
fn matching(one: &Extension) -> Option<String> {
    let data = one.data.as_slice();
    let ports = |option: &str, at: usize, inverted: bool| {
        let (low, high) = (u16_at(data, at)?, u16_at(data, at + 2)?);
        let not = if inverted { "! " } else { "" };
        match (low, high) {
            (0, u16::MAX) => Some(String::new()),
            (low, high) if low == high => Some(format!(" {not}{option} {low}")),
            (low, high) => Some(format!(" {not}{option} {low}:{high}")),
        }
    };
    match one.name.as_str() {
        // struct xt_tcp: ports, option, flags' mask and comparison, what is inverted
        "tcp" | "udp" => {
            let inverted = *data.get(if one.name == "tcp" { 11 } else { 8 })?;
            Some(ports("--sport", 0, inverted & 1 != 0)? + &ports("--dport", 4, inverted & 2 != 0)?)
        }
        // struct xt_conntrack_mtinfo2 and 3: flags, which are inverted, states; behind ports in the latter
        "conntrack" if one.revision >= 2 => {
            let at = if one.revision == 2 { 140 } else { 146 };
            let (asked, inverted) = (u16_at(data, at)?, u16_at(data, at + 2)?);
            // XT_CONNTRACK_STATE alone is written.
            if asked != 1 {
                return None;
            }
            let not = if inverted & 1 != 0 { " !" } else { "" };
            Some(format!("{not} --ctstate {}", states(u16_at(data, at + 4)?)))
        }
        "comment" => Some(format!(" --comment \"{}\"", text(data))),
        "mark" => {
            let (mark, mask) = (u32_at(data, 0)?, u32_at(data, 4)?);
            let not = if *data.get(8)? != 0 { " !" } else { "" };
            Some(match mask {
                u32::MAX => format!("{not} --mark {mark:#x}"),
                mask => format!("{not} --mark {mark:#x}/{mask:#x}"),
            })
        }
        _ => None,
    }
}

/// XT_CONNTRACK_STATE_* (linux/netfilter/xt_conntrack.h).
fn states(bits: u16) -> String {
    const STATES: [(u16, &str); 7] = [
        (1, "INVALID"),
        (1 << 3, "NEW"),
        (1 << 2, "RELATED"),
        (1 << 1, "ESTABLISHED"),
        (1 << 8, "UNTRACKED"),
        (1 << 6, "SNAT"),
        (1 << 7, "DNAT"),
    ];
    let named = STATES.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, name)| *name);
    named.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(target: Target) -> Entry {
        let any = (vec![0; 4], vec![0; 4]);
        Entry {
            input: String::new(),
            output: String::new(),
            source: any.clone(),
            destination: any,
            protocol: 0,
            flags: 0,
            inverted: 0,
            matches: Vec::new(),
            target,
            packets: 0,
            bytes: 0,
        }
    }

    fn shown(rule: Entry) -> String {
        let (name, end) = ("FORWARD".to_owned(), Target::Accept);
        written(&Chain { name, rules: Vec::new(), end, end_packets: 0 }, &rule)
    }

    #[test]
    fn a_rule_is_written_as_iptables_does() {
        let mut rule = entry(Target::Drop);
        assert_eq!(shown(rule.clone()), "-A FORWARD -j DROP");
        rule.source = (vec![172, 17, 0, 0], vec![255, 255, 0, 0]);
        rule.destination = (vec![10, 0, 0, 1], vec![255, 0, 255, 0]);
        (rule.input, rule.output) = ("vm_wlan+".to_owned(), "wlan0".to_owned());
        (rule.protocol, rule.inverted) = (6, 0x08 | 0x02);
        let [a, b] = 443_u16.to_ne_bytes();
        let data = vec![0, 0, 255, 255, a, b, a, b, 0, 0, 0, 0];
        rule.matches.push(Extension { name: "tcp".to_owned(), revision: 0, data });
        let data = b"made by hand\0\0".to_vec();
        rule.matches.push(Extension { name: "comment".to_owned(), revision: 0, data });
        rule.matches.push(Extension { name: "odd".to_owned(), revision: 0, data: Vec::new() });
        assert_eq!(
            shown(rule),
            "-A FORWARD ! -s 172.17.0.0/16 -d 10.0.0.1/255.0.255.0 -i vm_wlan+ ! -o wlan0 -p tcp \
             -m tcp --dport 443 -m comment --comment \"made by hand\" -m odd -j DROP"
        );
    }

    #[test]
    fn data_of_any_length_is_no_panic() {
        for name in ["tcp", "udp", "mark", "comment", "conntrack"] {
            for length in 0..160 {
                let one = Extension { name: name.to_owned(), revision: 3, data: vec![1; length] };
                let _ = matching(&one);
            }
        }
    }
}
