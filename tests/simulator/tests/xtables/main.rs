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

//! The simulated x_tables beside Linux: the same commands by iptables itself and by the program that stands in
//! for it, and the same tables in both afterwards, byte for byte; and tables that are wrong, refused by both
//! in the same way.

#[allow(dead_code)]
#[path = "../against_linux/linux.rs"]
mod linux;
#[allow(dead_code)]
#[path = "../against_linux/random.rs"]
mod random;
mod real;

use guestnet_simulator::xtables::{self, Family};
use guestnet_simulator::{iptables, Kernel, Netns};
use linux::Linux;
use random::Random;
use std::path::Path;

const TABLES: [(Family, &str); 5] = [
    (Family::V4, "filter"),
    (Family::V4, "nat"),
    (Family::V4, "raw"),
    (Family::V6, "filter"),
    (Family::V6, "nat"),
];
/// Bytes before the entries, of what is read and of what is written.
const ENTRIES: usize = 40;
const REPLACE: usize = 96;

/// A namespace of both.
struct Pair {
    linux: Linux,
    kernel: Kernel,
    netns: Netns,
}

/// A table: what is said of it, and its entries without what they have counted.
type Table = Result<(Vec<u8>, Vec<u8>), i32>;

impl Pair {
    fn new() -> Self {
        let mut kernel = Kernel::new();
        let netns = kernel.netns_add();
        Self { linux: Linux::new(&[]), kernel, netns }
    }

    fn run(&mut self, name: &str, words: &[&str], input: &str) -> [(i32, String); 2] {
        let linux = real::run(&self.linux, name, words, input);
        [linux, iptables::run(&mut self.kernel, self.netns, name, words, input)]
    }

    fn get(&mut self, family: Family, option: i32, asked: &[u8]) -> [Result<Vec<u8>, i32>; 2] {
        let linux = real::get(&self.linux, family, option, asked);
        [linux, self.kernel.xtables_get(self.netns, family, option, asked)]
    }

    fn set(&mut self, family: Family, option: i32, asked: &[u8]) -> [Result<(), i32>; 2] {
        let linux = real::set(&self.linux, family, option, asked);
        [linux, self.kernel.xtables_set(self.netns, family, option, asked)]
    }

    fn table(&mut self, family: Family, name: &str) -> [Table; 2] {
        let mut asked = name.as_bytes().to_vec();
        asked.resize(84, 0);
        let infos = self.get(family, xtables::GET_INFO, &asked);
        let size = infos[0].as_ref().map_or(0, |info| word(info, 80));
        asked.resize(ENTRIES + size as usize, 0);
        asked[32..36].copy_from_slice(&size.to_ne_bytes());
        let entries = self.get(family, xtables::GET_ENTRIES, &asked);
        let both = infos.into_iter().zip(entries).map(|(info, entries)| {
            let mut entries = entries?.split_off(ENTRIES);
            uncount(family, &mut entries);
            Ok((info?, entries))
        });
        both.collect::<Vec<_>>().try_into().unwrap()
    }

    fn same(&mut self, what: &str) {
        for (family, name) in TABLES {
            let [linux, simulator] = self.table(family, name);
            if linux != simulator {
                let (linux, simulator) = (linux.unwrap(), simulator.unwrap());
                assert_eq!(linux.0, simulator.0, "{what}: {family:?} {name}");
                let mut differ = linux.1.iter().zip(&simulator.1);
                let at = differ.position(|(one, other)| one != other).unwrap_or(0);
                let some = |bytes: &[u8]| bytes[at..(at + 16).min(bytes.len())].to_vec();
                let (linux, simulator) = (some(&linux.1), some(&simulator.1));
                panic!("{what}: {family:?} {name}: at {at}: {linux:?} {simulator:?}");
            }
        }
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// Without counters.
fn uncount(family: Family, entries: &mut [u8]) {
    let (next, counters) = if family == Family::V4 { (90, 96) } else { (142, 152) };
    let mut at = 0;
    while at < entries.len() {
        entries[at + counters..at + counters + 16].fill(0);
        at += usize::from(u16::from_ne_bytes([entries[at + next], entries[at + next + 1]]));
    }
}

fn root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        eprintln!("SKIPPED: it needs root");
    }
    root
}

/// What guestnetd runs, in all of its golden files.
fn golden() -> Vec<Vec<String>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../service/tests/golden/firewall");
    let mut folders: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    let texts =
        folders.iter().filter_map(|path| std::fs::read_to_string(path.join("iptables.txt")).ok());
    let lines = |text: String| text.lines().map(str::to_owned).collect();
    texts.map(lines).collect()
}

/// What others do.
const OTHERS: [&str; 24] = [
    "iptables -w -t filter -N others",
    "iptables -w -t filter -A others -s 198.18.1.0/24 -j ACCEPT",
    "iptables -w -t filter -A others -j RETURN",
    "iptables -w -t filter -I FORWARD 1 -j others",
    "iptables -w -t filter -A FORWARD -j others",
    "iptables -w -t filter -A others -j others",
    "iptables -w -t filter -C FORWARD -j others",
    "iptables -w -t filter -D FORWARD -j others",
    "iptables -w -t filter -F others",
    "iptables -w -t filter -X others",
    "iptables -w -t filter -X",
    "iptables -w -t filter -F FORWARD",
    "iptables -w -t filter -F",
    "iptables -w -t filter -P FORWARD DROP",
    "iptables -w -t filter -P FORWARD ACCEPT",
    "iptables -w -t filter -D FORWARD 1",
    "iptables -w -t filter -D INPUT 3",
    "iptables -w -t filter -I INPUT 4 -i lo -j ACCEPT",
    "iptables -w -t nat -F POSTROUTING",
    "iptables -w -t nat -A PREROUTING -j MASQUERADE",
    "ip6tables -w -t filter -F FORWARD",
    "ip6tables -w -t filter -I FORWARD 1 -p tcp -m tcp --dport 22 -j DROP",
    "iptables -w -t filter -A FORWARD -m tcp --dport 22 -j DROP",
    "iptables -w -t none -F",
];

#[test]
fn commands_leave_the_same_tables() {
    if !root() {
        return;
    }
    // Neither SNAT nor DNAT are what guestnetd asks for in a history.
    let known = |line: &str| !line.contains("NAT --to");
    let (mut done, mut refused) = (0, 0);
    for (seed, commands) in golden().iter().enumerate() {
        let mut random = Random::new(seed as u64 + 1);
        let mut pair = Pair::new();
        for command in commands.iter().filter(|line| known(line)) {
            let mut lines = vec![command.as_str()];
            while random.once_in(3) {
                lines.push(random.of(&OTHERS));
            }
            for line in lines {
                let words: Vec<&str> = line.split(' ').collect();
                let [linux, simulator] = pair.run(words[0], &words[1..], "");
                assert_eq!(linux.0, simulator.0, "{line}: {linux:?} {simulator:?}");
                done += 1;
                refused += usize::from(linux.0 != 0);
            }
        }
        pair.same(&format!("golden {seed}"));
    }
    assert!(done > 400 && refused > 50, "{done} commands, {refused} refused");
}

#[test]
fn a_whole_table_is_restored_alike() {
    if !root() {
        return;
    }
    for commands in golden() {
        let mut pair = Pair::new();
        for name in ["iptables", "ip6tables"] {
            let mut input = String::new();
            for table in ["filter", "nat"] {
                let prefix = format!("{name} -w -t {table} ");
                let own = commands.iter().filter_map(|line| line.strip_prefix(&prefix));
                let own: Vec<_> = own.filter(|line| !line.contains("NAT --to")).collect();
                input += &format!("*{table}\n{}\nCOMMIT\n", own.join("\n"));
            }
            let input = input.replace("\n\n", "\n");
            let words = ["--noflush", "-w"];
            let [linux, simulator] = pair.run(&format!("{name}-restore"), &words, &input);
            assert_eq!((linux.0, simulator.0), (0, 0), "{linux:?} {simulator:?} {input}");
            // A second time the chains are there.
            let [linux, simulator] = pair.run(&format!("{name}-restore"), &words, &input);
            assert_eq!(linux.0, simulator.0, "{linux:?} {simulator:?} {input}");
        }
        pair.same("restored");
    }
}

/// What netd does at its starts: chains of hooks that it empties, its own and vendors' in them, which are empty
/// afterwards whether they were there or not.
const STARTS: [&str; 5] = [
    "*filter\n:FORWARD -\n-F FORWARD\n:oem_fwd -\n-A FORWARD -j oem_fwd\n:fw_FORWARD -\n\
     -A FORWARD -j fw_FORWARD\n:tetherctrl_FORWARD -\n-A FORWARD -j tetherctrl_FORWARD\nCOMMIT\n",
    "*filter\n:tetherctrl_FORWARD -\n-A tetherctrl_FORWARD -j DROP\nCOMMIT\n\
     *nat\n:tetherctrl_nat_POSTROUTING -\nCOMMIT\n",
    "*nat\n:POSTROUTING -\n-F POSTROUTING\n:tetherctrl_nat_POSTROUTING -\n\
     -A POSTROUTING -j tetherctrl_nat_POSTROUTING\nCOMMIT\n",
    "*filter\n-A tetherctrl_FORWARD -i wlan0 -o ap0 -m conntrack --ctstate ESTABLISHED,RELATED -j RETURN\n\
     -A tetherctrl_FORWARD -i ap0 -o wlan0 -m conntrack --ctstate INVALID -j DROP\n\
     -D tetherctrl_FORWARD -j DROP\n-A tetherctrl_FORWARD -j DROP\nCOMMIT\n",
    "*filter\n:oem_out -\n-A OUTPUT -j oem_out\n:none -\n-A none -j missing\nCOMMIT\n",
];

#[test]
fn what_netd_restores_leaves_the_same_tables() {
    if !root() {
        return;
    }
    let mut random = Random::new(5);
    for round in 0..12 {
        let mut pair = Pair::new();
        for _ in 0..10 {
            let name = random.of(&["iptables-restore", "iptables-restore", "ip6tables-restore"]);
            let input = random.of(&STARTS);
            let [linux, simulator] = pair.run(name, &["--noflush", "-w"], input);
            assert_eq!(linux.0, simulator.0, "{input}: {linux:?} {simulator:?}");
            if random.once_in(2) {
                let command = "iptables -w -t filter -I oem_fwd 1 -s 10.0.0.0/8 -j ACCEPT";
                let words: Vec<&str> = command.split(' ').collect();
                let [linux, simulator] = pair.run(words[0], &words[1..], "");
                assert_eq!(linux.0, simulator.0, "{command}: {linux:?} {simulator:?}");
            }
        }
        pair.same(&format!("netd's start {round}"));
    }
}

/// A table that replaces what is there, and is right. What was counted the kernel would write to a null
/// pointer, and says nothing where it cannot.
fn replacement(pair: &mut Pair, family: Family, name: &str) -> Vec<u8> {
    let [linux, _] = pair.table(family, name);
    let (info, entries) = linux.unwrap();
    // Name and hooks; entries, bytes; where hooks begin and end; as many counters as there are entries.
    let mut asked = info[..36].to_vec();
    asked.extend(&info[76..84]);
    asked.extend(&info[36..76]);
    asked.extend(&info[76..80]);
    asked.resize(REPLACE, 0);
    asked.extend(entries);
    asked
}

#[test]
fn tables_that_are_wrong_are_refused_alike() {
    if !root() {
        return;
    }
    let mut random = Random::new(7);
    let (mut kinds, mut taken) = (std::collections::BTreeMap::<i32, u32>::new(), 0);
    let golden = golden();
    for commands in &golden {
        let mut pair = Pair::new();
        for line in commands.iter().filter(|line| !line.contains("NAT --to")) {
            let words: Vec<&str> = line.split(' ').collect();
            pair.run(words[0], &words[1..], "");
        }
        for _ in 0..100 {
            let (family, name) = random.of(&[TABLES[0], TABLES[1], TABLES[3]]);
            let mut asked = replacement(&mut pair, family, name);
            let what = wrong(&mut random, family, &mut asked);
            let [linux, simulator] = pair.set(family, xtables::SET_REPLACE, &asked);
            assert_eq!(linux, simulator, "{family:?} {name}: {what}");
            match linux {
                Ok(()) => taken += 1,
                Err(errno) => *kinds.entry(errno).or_default() += 1,
            }
            pair.same(&what);
        }
    }
    assert!(kinds.len() >= 4 && taken > 10, "{kinds:?}, {taken} were taken");
}

/// Makes something of a table wrong.
fn wrong(random: &mut Random, family: Family, asked: &mut Vec<u8>) -> String {
    let (elements, offsets) = if family == Family::V4 { (112, 88) } else { (168, 140) };
    // Where entries are.
    let (mut at, mut all) = (REPLACE, Vec::new());
    while at < asked.len() {
        all.push(at);
        at += usize::from(u16::from_ne_bytes([asked[at + offsets + 2], asked[at + offsets + 3]]));
    }
    let entry = random.of(&all);
    let target = entry
        + usize::from(u16::from_ne_bytes([asked[entry + offsets], asked[entry + offsets + 1]]));
    let number = random.of(&[0u32, 1, 2, 8, 40, 96, 152, 0xffff_ffff, 0xffff_fffe, 0xffff_fffb]);
    let jump = random.of(&all) - REPLACE;
    let mut put = |at: usize, bytes: &[u8]| asked[at..at + bytes.len()].copy_from_slice(bytes);
    match random.below(10) {
        0 => {
            let field = random.of(&[32, 36, 40, 44, 52, 64, 72, 84]);
            put(field, &number.to_ne_bytes());
            format!("field {field} is {number}")
        }
        1 => {
            put(entry + offsets, &(number as u16).to_ne_bytes());
            format!("the target of {entry} is at {number}")
        }
        2 => {
            put(entry + offsets + 2, &(number as u16).to_ne_bytes());
            format!("{entry} ends at {number}")
        }
        3 => {
            put(target, &(number as u16).to_ne_bytes());
            format!("the target of {entry} has {number} bytes")
        }
        4 => {
            put(target + 32, &(jump as u32).to_ne_bytes());
            format!("{entry} leads to {jump}")
        }
        5 => {
            put(target + 32, &number.to_ne_bytes());
            format!("{entry} leads to {number}")
        }
        6 => {
            let name = random.of(&["", "ERROR", "MASQUERADE", "nothing", "tcp"]);
            put(target + 2, &[name.as_bytes(), b"\0"].concat());
            format!("the target of {entry} is {name}")
        }
        7 if target > entry + elements => {
            let name = random.of(&["tcp", "udp", "icmp", "nothing", "conntrack"]);
            put(entry + elements + 2, &[name.as_bytes(), b"\0"].concat());
            format!("the match of {entry} is {name}")
        }
        8 => {
            let (field, bits) = (random.of(&[80, 82, 83, 128, 131, 132]), random.below(256) as u8);
            put(entry + field, &[bits]);
            format!("byte {field} of {entry} is {bits}")
        }
        _ => {
            let cut = random.of(&[1, 8, 40, 176]);
            asked.truncate(asked.len() - cut);
            format!("{cut} bytes less")
        }
    }
}
