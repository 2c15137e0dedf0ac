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

//! The pure half of the packet filter: what is written, and how what comes back is read.
//! Touches no kernel; `firewall_kernel.rs` does.

mod firewall_cases;

use firewall_cases::{cases, folder, netds_helper_takes, ruleset, wlan0};
use guestnetd::effects::firewall::diagnose::chains::Filters;
use guestnetd::effects::firewall::diagnose::device::{Device, Onward};
use guestnetd::effects::firewall::diagnose::journey::{outcome, Guest, Outcome, Probe};
use guestnetd::effects::firewall::diagnose::packet::Link;
use guestnetd::effects::firewall::diagnose::walk::How;
use guestnetd::effects::firewall::diagnose::xtables;
use guestnetd::effects::firewall::iptables::entries::{
    parse, Chain, Entry, Info, Malformed, Target,
};
use guestnetd::effects::firewall::iptables::{anchors, commands, Anchor, Change, Parents};
use guestnetd::effects::firewall::{nftables, Choice, Family, Hook, Rule, Ruleset, Verdict};
use guestnetd::spec::IfName;
use std::fs;
use std::net::Ipv4Addr;
use std::sync::Arc;

#[test]
fn every_case_is_written_as_expected() {
    for case in cases() {
        let iptables = commands(&case.ruleset, &Parents::LINUX).join("\n") + "\n";
        assert_eq!(iptables, case.iptables, "{}: iptables", case.name);
        assert_eq!(nftables::text(&case.ruleset), case.nftables, "{}: nftables", case.name);
    }
}

/// Where it is another rule, the kernel is given the whole table, which takes ten times as long.
#[test]
fn a_guest_whose_questions_go_elsewhere_is_an_element_and_no_rule() {
    let without_elements = |ruleset: &Ruleset| {
        let text = nftables::text(ruleset);
        let is_rule = |line: &&str| {
            !line.trim_start().starts_with("elements = ") && !line.trim_start().starts_with('"')
        };
        text.lines().filter(is_rule).map(str::to_owned).collect::<Vec<_>>()
    };
    for case in cases() {
        let mut one_more = case.ruleset.clone();
        let host = IfName::new("vm_wlan9").unwrap();
        one_more.forwarded.but.insert(host);
        // Who would answer an exception is not said where there is none.
        if case.ruleset.forwarded.every() {
            continue;
        }
        let [before, after] = [&case.ruleset, &one_more].map(without_elements);
        assert_eq!(before, after, "{}", case.name);
        assert!(nftables::text(&one_more).contains("\"vm_wlan9\""), "{}", case.name);
        let alone = case.ruleset.exits.is_empty() && !case.ruleset.forwarded.all;
        assert_eq!(case.ruleset.is_but_for_guests(&one_more, true), alone, "{}", case.name);
        assert!(!case.ruleset.is_but_for_guests(&one_more, false), "{}", case.name);
    }
}

#[test]
fn every_filter_ends_with_a_drop() {
    for case in cases() {
        let rules = case.ruleset.rules();
        for anchor in anchors(&Parents::LINUX) {
            let mut rules =
                rules.iter().filter(|r| r.hook == anchor.hook && r.family == anchor.family);
            let last = rules.next_back().map(|rule| rule.verdict);
            // What the device itself sends is no guest's.
            if !anchor.hook.is_nat() && anchor.hook != Hook::Output {
                assert_eq!(last, Some(Verdict::Drop), "{}: {anchor:?}", case.name);
            }
        }
    }
}

#[test]
fn netds_helper_takes_every_command() {
    for case in cases() {
        for command in commands(&case.ruleset, &Parents::ANDROID) {
            assert!(netds_helper_takes(&command), "{command}");
            let v4 = command.starts_with("iptables");
            assert!(!(v4 && command.contains(" FORWARD")), "netd's DROP is reached: {command}");
        }
    }
    for refused in [
        "iptables -w -t filter -S oem_guestnet_fwd",
        "iptables -w -t filter -L FORWARD",
        "iptables -w -t filter -C FORWARD -i vm_wlan+ -j DROP",
        "iptables -w -t filter -D FORWARD 1",
        "iptables -t filter -F oem_guestnet_fwd",
        "iptables-restore -w --noflush",
    ] {
        assert!(!netds_helper_takes(refused), "{refused}");
    }
}

#[test]
fn a_choice_reads_as_it_is_typed() {
    assert_eq!("auto".parse(), Ok(Choice::Auto));
    assert_eq!("nftables".parse(), Ok(Choice::Nftables));
    assert_eq!("iptables".parse(), Ok(Choice::Iptables));
    assert!("nft".parse::<Choice>().unwrap_err().contains("nft"));
}

/// A table as the kernel gave it, on a 64-bit machine with the low byte first.
fn blob(name: &str) -> Vec<u8> {
    fs::read(folder().join("blobs").join(name)).unwrap()
}

fn read(family: Family, bytes: &[u8]) -> Result<Vec<Chain>, Malformed> {
    let (info, entries) = bytes.split_at(Info::LEN.min(bytes.len()));
    parse(family, &Info::parse(info)?, entries)
}

#[test]
#[cfg(all(target_endian = "little", target_pointer_width = "64"))]
fn a_table_is_read_as_iptables_lists_it() {
    for (name, family) in [("filter4", Family::V4), ("nat4", Family::V4), ("filter6", Family::V6)] {
        let chains = read(family, &blob(&format!("{name}.bin"))).unwrap();
        let expected = fs::read_to_string(folder().join(format!("blobs/{name}.txt"))).unwrap();
        assert_eq!(chains.iter().map(listed).collect::<String>(), expected, "{name}");
    }
}

fn listed(chain: &Chain) -> String {
    let mut text = format!("{} {:?}\n", chain.name, chain.end);
    for rule in &chain.rules {
        text += &format!("  {}\n", line(rule));
    }
    text
}

fn line(rule: &Entry) -> String {
    let mut words = Vec::new();
    let address = |(address, mask): &(Vec<u8>, Vec<u8>)| {
        let bits: u32 = mask.iter().map(|byte| byte.count_ones()).sum();
        (bits != 0).then(|| format!("{address:?}/{bits}"))
    };
    words.extend(address(&rule.source).map(|a| format!("from {a}")));
    words.extend(address(&rule.destination).map(|a| format!("to {a}")));
    for (word, interface) in [("in", &rule.input), ("out", &rule.output)] {
        words.extend((!interface.is_empty()).then(|| format!("{word} {interface}")));
    }
    for (word, number) in
        [("protocol", rule.protocol), ("flags", rule.flags.into()), ("not", rule.inverted.into())]
    {
        words.extend((number != 0).then(|| format!("{word} {number}")));
    }
    words.extend(rule.matches.iter().map(|m| format!("match {}.{}", m.name, m.revision)));
    words.push(match &rule.target {
        Target::Module(module) => format!("target {}.{}", module.name, module.revision),
        other => format!("{other:?}"),
    });
    words.join(", ")
}

/// Damaged tables: each is read or refused, none ends the process.
#[test]
fn no_damage_to_a_table_is_a_panic() {
    let mut random = Random(0x5eed);
    let (mut read_all_the_same, mut refused) = (0, 0);
    for (name, family) in
        [("filter4.bin", Family::V4), ("nat4.bin", Family::V4), ("filter6.bin", Family::V6)]
    {
        let whole = blob(name);
        for len in 0..whole.len() {
            // Cut anywhere but between two rules it is refused; and there the end is missed by none.
            let _ = read(family, &whole[..len]);
        }
        for _ in 0..20_000 {
            let mut bytes = whole.clone();
            for _ in 0..=random.below(4) {
                let at = random.below(bytes.len());
                match random.below(4) {
                    0 => bytes[at] = random.below(256) as u8,
                    1 => bytes[at] ^= 1 << random.below(8),
                    2 => bytes.truncate(at.max(1)),
                    _ => {
                        let extreme = [0, 0xff][random.below(2)];
                        bytes.iter_mut().skip(at).take(4).for_each(|byte| *byte = extreme);
                    }
                }
            }
            match read(family, &bytes) {
                Ok(chains) => {
                    judged(&chains);
                    read_all_the_same += 1;
                }
                Err(_) => refused += 1,
            }
        }
        for _ in 0..5_000 {
            let noise: Vec<u8> = (0..random.below(600)).map(|_| random.below(256) as u8).collect();
            let _ = read(family, &noise);
        }
    }
    assert!(read_all_the_same > 1000 && refused > 1000, "{read_all_the_same} {refused}");
}

/// All that is made of a table once it is read, whatever is in it.
fn judged(chains: &[Chain]) {
    let wanted = wlan0();
    for anchor in anchors(&Parents::seen(chains, chains)) {
        let rules = anchor.wanted(&wanted);
        let found = anchor.found(chains);
        assert!(anchor.difference(&rules, None, &found).is_some() || rules.is_empty());
        // What is there is taken for what was written: then there is nothing to do.
        if let Ok(written) = anchor.written(&rules, "", &found) {
            assert_eq!(anchor.difference(&rules, Some(&written), &found), None, "{anchor:?}");
            let change = anchor.change(&rules, Some(&written), &found);
            assert_eq!(change, Change { name: written.name, ..Change::default() }, "{anchor:?}");
        }
        anchor.dropped(chains);
    }
    walked(&["filter"], chains);
}

/// What guests' packets come to in such tables.
fn walked(tables: &[&str], chains: &[Chain]) -> Outcome {
    struct Nobody;
    impl Device for Nobody {
        fn towards(&self, _: Ipv4Addr, _: u32) -> Option<Link> {
            None
        }
        fn onward(&self, _: Ipv4Addr, _: Ipv4Addr, _: &Link, _: u32) -> Onward {
            Onward::Nowhere
        }
        fn address_type(&self, _: Ipv4Addr) -> u8 {
            libc::RTN_UNICAST
        }
        fn listens(&self, _: u8, _: u16) -> bool {
            false
        }
    }
    let link = |name: &str, address: [u8; 4]| {
        let (name, address) = (name.to_owned(), Some(address.into()));
        Arc::new(Link { name, address, ..Link::default() })
    };
    let guest = Guest {
        link: link("vm_wlan", [172, 17, 3, 2]),
        address: [172, 17, 3, 3].into(),
        gateway: [172, 17, 3, 2].into(),
        uplink: link("wlan0", [192, 0, 2, 2]),
        known: 4,
    };
    let tables = tables.iter().map(|name| xtables::table(name, chains)).collect();
    outcome(&Filters { tables, unread: Vec::new() }, &Nobody, &guest, Probe::Https)
}

/// A way without an end, and one that is too long: none is followed for ever.
#[test]
fn no_way_through_a_table_is_without_an_end() {
    let chains = read(Family::V4, &blob("filter4.bin")).unwrap();
    let jump = chains.iter().find(|chain| chain.name == "FORWARD").unwrap().rules[0].clone();
    let to = |name: String| Entry { target: Target::Jump(name), ..jump.clone() };
    let chain = |name: String, rules| Chain { name, rules, end: Target::Return, end_packets: 0 };
    // It comes to the end of FORWARD, and only lacks a source NAT.
    let nothing = |chains: &[Chain]| match walked(&["filter"], chains) {
        Outcome::Stops(_, stop) | Outcome::May(_, stop, _) => {
            assert_eq!(stop.how, How::WrongSource);
        }
        Outcome::Passes => panic!("nobody masquerades"),
    };
    let circle = [chain("FORWARD".to_owned(), vec![to("FORWARD".to_owned())])];
    nothing(&circle);
    // Each is gone through twice from the one before it.
    let mut doubled: Vec<_> = (0..31)
        .map(|k| chain(format!("{k}"), vec![to(format!("{}", k + 1)), to(format!("{}", k + 1))]))
        .collect();
    doubled.push(chain("31".to_owned(), Vec::new()));
    doubled[0].name = "FORWARD".to_owned();
    nothing(&doubled);
}

/// Whether other bytes of a table are seen to differ from these, which were just written.
#[cfg(all(target_endian = "little", target_pointer_width = "64"))]
fn seen_in<'a>(anchor: &'a Anchor, rules: &'a [Rule], whole: &[u8]) -> impl Fn(&[u8]) -> bool + 'a {
    let found = anchor.found(&read(Family::V4, whole).unwrap());
    let written = anchor.written(rules, "", &found).unwrap();
    assert_eq!(anchor.difference(rules, Some(&written), &found), None);
    move |bytes| {
        let chains = read(Family::V4, bytes);
        !chains.is_ok_and(|chains| {
            anchor.difference(rules, Some(&written), &anchor.found(&chains)).is_none()
        })
    }
}

/// What a rule has counted changes all the time, and nothing else about it.
#[test]
#[cfg(all(target_endian = "little", target_pointer_width = "64"))]
fn counters_are_not_compared() {
    let wanted = ruleset("uplink wlan0\nsubnet 172.17.0.0/16 gateway 172.17.3.2\n");
    let forward = anchors(&Parents::ANDROID).into_iter();
    let anchor = forward.last().unwrap();
    let mut chains = read(Family::V4, &blob("filter4.bin")).unwrap();
    let found = anchor.found(&chains);
    let rules = chains.iter_mut().flat_map(|chain| &mut chain.rules);
    rules.for_each(|rule| (rule.packets, rule.bytes) = (rule.packets + 1, rule.bytes + 40));
    assert_eq!(anchor.found(&chains), found);
    let written = anchor.written(&anchor.wanted(&wanted), "", &found).unwrap();
    assert_eq!(written.rules.len(), 6);
}

/// Each way of saying something else than we mean is seen, whatever bits it takes.
#[test]
#[cfg(all(target_endian = "little", target_pointer_width = "64"))]
fn a_changed_rule_is_not_ours() {
    let wanted = ruleset("uplink wlan0\nsubnet 172.17.0.0/16 gateway 172.17.3.2\n");
    let anchor = anchors(&Parents::ANDROID)
        .into_iter()
        .find(|anchor| anchor.hook == Hook::Forward && anchor.family == Family::V4)
        .unwrap();
    let whole = blob("filter4.bin");
    let rules = anchor.wanted(&wanted);
    let differs = seen_in(&anchor, &rules, &whole);
    // Our own chain, found by its name: behind the head's target its rules begin.
    let name = b"oem_guestnet_fwd";
    let head = whole.windows(name.len()).position(|window| window == name).unwrap();
    let answered = head + 32;
    let next = |at: usize| at + usize::from(u16::from_ne_bytes([whole[at + 90], whole[at + 91]]));
    let established = next(answered);
    let new = next(established);
    let related = next(new);
    let drop = next(related);
    for (rule, what, bytes) in [
        (drop, "addresses and masks", 0..16),
        (drop, "interface", 16..23),
        (drop, "masks of the interfaces", 48..80),
        (drop, "protocol", 80..82),
        (drop, "negations", 83..84),
        (drop, "offsets", 88..92),
        (drop, "name of the target", 114..115),
        (drop, "verdict", 144..148),
        (answered, "which states known packets may have", 144 + 150..144 + 152),
        (new, "which states new packets may have", 144 + 150..144 + 152),
        (related, "who may have opened the connection", 144..144 + 4),
        (related, "the mask of that", 144 + 16..144 + 20),
        (established, "name of the match", 114..124),
        (established, "which conditions of conntrack, which states", 144 + 146..144 + 152),
    ] {
        for at in bytes.clone() {
            for bit in 0..8 {
                let mut changed = whole.clone();
                changed[rule + at] ^= 1 << bit;
                assert!(differs(&changed), "{what}: bit {bit} of byte {at} may change unseen");
            }
        }
    }
}

/// The same for what sends a guest's questions to the resolver.
#[test]
#[cfg(all(target_endian = "little", target_pointer_width = "64"))]
fn a_changed_dnat_is_not_ours() {
    let mut wanted = wlan0();
    wanted.resolver = "192.0.2.53".parse().ok();
    let at = (Hook::Prerouting, Family::V4);
    let anchor = anchors(&Parents::LINUX).into_iter().find(|a| (a.hook, a.family) == at).unwrap();
    let whole = blob("nat4.bin");
    let rules = anchor.wanted(&wanted);
    let differs = seen_in(&anchor, &rules, &whole);
    let dnat = whole.windows(4).position(|window| window == b"DNAT").unwrap();
    // The name of the target but what is behind its NUL, the revision, and the range.
    let bytes = (dnat..dnat + 5).chain(dnat + 29..dnat + 30).chain(dnat + 30..dnat + 30 + 44);
    for at in bytes {
        for bit in 0..8 {
            let mut changed = whole.clone();
            changed[at] ^= 1 << bit;
            assert!(differs(&changed), "bit {bit} of byte {}", at - dnat);
        }
    }
}

/// A small generator with a fixed seed: the same damage in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % limit.max(1)
    }
}
