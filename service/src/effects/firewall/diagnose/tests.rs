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

//! Walks without a kernel: chains by hand, and what a guest's packets come to in them.

use super::chains::{
    Action, Base, Chain, Element, End, Field, Filters, Hook, Join, Label, Rule, Set, Step, Table,
    Value, Verdict,
};
use super::device::{Device, Onward};
use super::journey::{outcome, Guest, Leg, Outcome, Probe};
use super::packet::Link;
use super::share::Shared;
use super::verdict::findings;
use super::walk::{How, Stop};
use super::xtables::{matching, target};
use crate::model::if_index::IfIndex;
use crate::model::world::Backend;
use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

struct Plain;

impl Device for Plain {
    fn towards(&self, _: Ipv4Addr, _: u32) -> Option<Link> {
        None
    }
    fn onward(&self, _: Ipv4Addr, to: Ipv4Addr, _: &Link, mark: u32) -> Onward {
        match mark {
            7 => Onward::Nowhere,
            _ if to == guest().address => Onward::By((*guest().link).clone()),
            _ => Onward::By((*guest().uplink).clone()),
        }
    }
    fn address_type(&self, _: Ipv4Addr) -> u8 {
        libc::RTN_UNICAST
    }
    fn listens(&self, _: u8, _: u16) -> bool {
        false
    }
}

fn guest() -> Guest {
    let link = |name: &str, index, address: [u8; 4]| {
        let (name, address) = (name.to_owned(), Some(address.into()));
        Arc::new(Link { name, index: Some(IfIndex::of(index)), address, ..Link::default() })
    };
    Guest {
        link: link("vm_wlan", 7, [172, 17, 3, 2]),
        address: [172, 17, 3, 3].into(),
        gateway: [172, 17, 3, 2].into(),
        uplink: link("wlan0", 2, [192, 0, 2, 2]),
        known: 4,
    }
}

/// A chain: its name; its hook, its priority and whether it is NAT's; its rules.
type ByHand<'a> = (&'a str, Option<(Hook, i32, bool)>, &'a [&'a [Step]]);

/// A table `ip t` with these chains.
fn table(chains: &[ByHand<'_>]) -> Table {
    let base =
        |(hook, priority, nat)| Base { hook, priority, nat, drops: false, devices: Vec::new() };
    let chain = |(name, at, rules): &ByHand<'_>| Chain {
        name: (*name).to_owned(),
        rules: rules.iter().map(|steps| Rule::of(*steps)).collect(),
        base: at.map(base),
        packets: None,
    };
    Table {
        label: Label::Nftables { family: "ip", name: "t".to_owned() },
        chains: chains.iter().map(chain).collect(),
        sets: HashMap::new(),
        left: false,
    }
}

/// With guestnetd's source NAT beside it.
fn walked(table: Table, probe: Probe) -> Outcome {
    let nat: &[&[Step]] = &[&[Step::Act(Action::Masquerade)]];
    let mut ours = self::table(&[("post", Some((Hook::Postrouting, 100, true)), nat)]);
    ours.label = Label::Nftables { family: "inet", name: "guestnet".to_owned() };
    let filters = Filters { tables: vec![table, ours], unread: Vec::new() };
    outcome(&filters, &Plain, &guest(), probe)
}

#[track_caller]
fn stopped(outcome: Outcome) -> (Leg, How, String, Option<usize>) {
    let Outcome::Stops(leg, stop) = outcome else { panic!("{outcome:?}") };
    let Stop { how, at, .. } = *stop;
    let at = at.expect("a rule or a policy");
    (leg, how, at.chain, at.rule)
}

#[track_caller]
fn passes(outcome: Outcome) {
    assert!(matches!(outcome, Outcome::Passes), "{outcome:?}");
}

fn verdict(verdict: Verdict) -> Step {
    Step::Verdict(verdict)
}

fn jump(to: &str) -> Step {
    verdict(Verdict::Jump(to.to_owned()))
}

fn load(len: usize, field: Field) -> Step {
    Step::Load { to: 0, len, field }
}

/// What comes in by a link with such a beginning of a name.
fn from(name: &str) -> [Step; 2] {
    [load(16, Field::LinkName(End::Input)), Step::equals(0, name)]
}

fn mark(value: u32) -> [Step; 2] {
    [Step::Set { to: 0, bytes: value.to_ne_bytes().to_vec() }, Step::Act(Action::Mark(0))]
}

const FORWARD: Option<(Hook, i32, bool)> = Some((Hook::Forward, 0, false));

#[test]
fn what_is_accepted_in_one_chain_is_asked_in_the_next() {
    let (accept, drop) = ([verdict(Verdict::Accept)], [verdict(Verdict::Drop)]);
    let both = table(&[("a", FORWARD, &[&accept]), ("b", FORWARD, &[&drop])]);
    let (leg, how, chain, rule) = stopped(walked(both, Probe::Https));
    assert_eq!((leg, how, chain.as_str(), rule), (Leg::First, How::Dropped, "b", Some(1)));
}

#[test]
fn chains_are_met_by_their_priorities_and_not_by_their_order() {
    let is_marked = [load(4, Field::Mark), Step::equals(0, 5u32.to_ne_bytes())];
    let drop = [&is_marked[..], &[verdict(Verdict::Drop)]].concat();
    let at = |priority| Some((Hook::Prerouting, priority, false));
    let marks = mark(5);
    let early = |asks, sets| table(&[("asks", at(asks), &[&drop]), ("sets", at(sets), &[&marks])]);
    passes(walked(early(-150, -140), Probe::Https));
    assert_eq!(stopped(walked(early(-140, -150), Probe::Https)).2, "asks");
}

#[test]
fn of_chains_with_one_priority_the_last_is_met_first() {
    let drop: &[&[Step]] = &[&[Step::Verdict(Verdict::Drop)]];
    let at = Some((Hook::Forward, 0, false));
    let two = table(&[("old", at, drop), ("new", at, drop)]);
    assert_eq!(stopped(walked(two, Probe::Https)).2, "new");
}

#[test]
fn what_an_earlier_guestnetd_has_left_is_to_blame() {
    let drop = [verdict(Verdict::Drop)];
    let mut left = table(&[("forward", FORWARD, &[&drop])]);
    left.label = Label::Nftables { family: "inet", name: "guestnet".to_owned() };
    let filters = Filters { tables: vec![left], unread: Vec::new() };
    let found = |own| findings(&filters.clone().seen_by(own), &Plain, &guest()).internet;
    assert_eq!(found(Backend::Nftables), None, "what its own rules do, other layers know");
    let fault = found(Backend::Iptables).expect("something in the way").fault;
    assert!(fault.text.contains("left by an earlier guestnetd, drops"), "{}", fault.text);
    assert_eq!(fault.next_step.as_deref(), Some("nft delete table inet guestnet"));
}

#[test]
fn rules_before_conntrack_take_everything_for_invalid() {
    let invalid = [load(4, Field::State), Step::equals(0, 1u32.to_ne_bytes())];
    let drop = [&invalid[..], &[verdict(Verdict::Drop)]].concat();
    let at = |priority| table(&[("p", Some((Hook::Prerouting, priority, false)), &[&drop])]);
    passes(walked(at(-199), Probe::Ping));
    assert_eq!(stopped(walked(at(-300), Probe::Ping)).1, How::Dropped);
}

#[test]
fn what_is_gone_to_does_not_come_back_and_what_is_jumped_to_does() {
    let drop = [verdict(Verdict::Drop)];
    let goes = [verdict(Verdict::Goto("a".to_owned()))];
    let jumps = [jump("a")];
    let chains = |leads| table(&[("f", FORWARD, &[leads, &drop]), ("a", None, &[])]);
    passes(walked(chains(&goes), Probe::Https));
    assert_eq!(stopped(walked(chains(&jumps), Probe::Https)).3, Some(2));
}

#[test]
fn a_doubt_counts_only_where_both_ways_differ() {
    let (accept, drop) = (verdict(Verdict::Accept), verdict(Verdict::Drop));
    let doubt = |then: Step| [Step::Doubt("a rate".to_owned()), then];
    let may_accept = doubt(accept.clone());
    passes(walked(table(&[("f", FORWARD, &[&may_accept])]), Probe::Https));
    let always = [drop.clone()];
    let both = table(&[("f", FORWARD, &[&may_accept, &always])]);
    let Outcome::May(Leg::First, stop, Some(doubted)) = walked(both, Probe::Https) else {
        panic!("it depends on a rate")
    };
    assert_eq!((doubted.what.as_str(), doubted.at.rule), ("a rate", Some(1)));
    assert_eq!(stop.at.expect("a rule").rule, Some(2));
    // Dropped whether or not.
    let both = table(&[("f", FORWARD, &[&doubt(drop), &always])]);
    assert_eq!(stopped(walked(both, Probe::Https)).1, How::Dropped);
    // What is left open in a chain is none of the next one's.
    let inner = [jump("a")];
    let open = table(&[
        ("f", FORWARD, &[&inner]),
        ("a", None, &[&may_accept]),
        ("g", FORWARD, &[&always]),
    ]);
    assert_eq!(stopped(walked(open, Probe::Https)).2, "g");
}

#[test]
fn answers_come_back_to_the_guest_and_the_next_packets_follow() {
    let drop = |steps: &[Step]| [steps, &[verdict(Verdict::Drop)]].concat();
    let to_guest = drop(&[load(4, Field::Network(16)), Step::equals(0, [172, 17, 3, 3])]);
    let forward = |rule: &[Step]| table(&[("f", FORWARD, &[rule])]);
    assert_eq!(stopped(walked(forward(&to_guest), Probe::Ping)).0, Leg::Answer);
    // Before NAT has put it back, the address is the device's own.
    let early = table(&[("p", Some((Hook::Prerouting, -150, false)), &[&to_guest])]);
    passes(walked(early, Probe::Ping));
    let late = table(&[("p", Some((Hook::Prerouting, -50, false)), &[&to_guest])]);
    assert_eq!(stopped(walked(late, Probe::Ping)).0, Leg::Answer);
    let established = [load(4, Field::State), Step::equals(0, 2u32.to_ne_bytes())];
    let later = drop(&[&established[..], &from("vm_wlan")].concat());
    assert_eq!(stopped(walked(forward(&later), Probe::Https)).0, Leg::Next);
}

#[test]
fn nobody_translates_what_is_not_tracked_or_was_translated() {
    let untracked = [Step::Act(Action::NotTracked)];
    let raw = table(&[("p", Some((Hook::Prerouting, -300, false)), &[&untracked])]);
    assert_eq!(stopped(walked(raw, Probe::Https)).1, How::NotTracked);
    // Too late.
    let mangle = table(&[("p", Some((Hook::Prerouting, -150, false)), &[&untracked])]);
    passes(walked(mangle, Probe::Https));
    // Who is asked first translates; who returns does not.
    let source = [Step::Set { to: 0, bytes: vec![172, 17, 3, 3] }, Step::Act(Action::Source(0))];
    let post = |rule: &[Step]| table(&[("n", Some((Hook::Postrouting, 90, true)), &[rule])]);
    assert!(
        matches!(walked(post(&source), Probe::Https), Outcome::Stops(Leg::First, stop) if stop.how == How::WrongSource)
    );
    passes(walked(post(&[verdict(Verdict::Return)]), Probe::Https));
}

#[test]
fn what_is_written_over_past_conntrack_has_no_answer() {
    let write = |ports, offset, bytes: &[u8]| {
        let (from, len) = (0, bytes.len());
        let set = Step::Set { to: from, bytes: bytes.to_vec() };
        [set, Step::Act(Action::Rewrite { ports, offset, len, from })]
    };
    let rule = |hook, priority, rule: &[Step], probe| {
        let rule = [from("vm_wlan").as_slice(), rule].concat();
        walked(table(&[("p", Some((hook, priority, false)), &[&rule])]), probe)
    };
    let sends = |rule: &[Step], probe| {
        walked(table(&[("p", Some((Hook::Postrouting, 300, false)), &[rule])]), probe)
    };
    let (pre, forward) = (Hook::Prerouting, Hook::Forward);
    let ends = |outcome| {
        let (leg, how, _, rule) = stopped(outcome);
        assert_eq!(rule, Some(1));
        (leg, how)
    };
    let nobody = write(false, 16, &[203, 0, 113, 200]);
    let unasked = (Leg::First, How::Unasked);
    assert_eq!(ends(rule(pre, -350, &nobody, Probe::Https)), unasked);
    assert_eq!(ends(rule(pre, -350, &nobody, Probe::AskGateway)), unasked);
    let port = write(true, 2, &[0, 81]);
    assert_eq!(ends(rule(forward, 0, &port, Probe::Https)), unasked);
    let source = write(false, 12, &[10, 9, 9, 9]);
    let not_found = (Leg::First, How::NotTracked);
    assert_eq!(ends(sends(&source, Probe::Ping)), not_found);
    // Nothing that it has, and nothing else than it has.
    passes(rule(forward, 0, &port, Probe::Ping));
    passes(rule(pre, -350, &write(false, 12, &[172, 17, 3, 3]), Probe::Https));
    passes(rule(pre, -350, &write(true, 2, &[1, 187]), Probe::Https));
    // What is not known may be anything.
    let unknown = Step::Load { to: 0, len: 4, field: Field::Unknown("chance".to_owned()) };
    let unknown = [unknown, nobody[1].clone()];
    let outcome = rule(pre, -350, &unknown, Probe::Https);
    assert!(matches!(outcome, Outcome::May(..)), "{outcome:?}");
}

#[test]
fn a_mark_that_leads_nowhere_is_to_blame() {
    let steps = [&from("vm_wlan")[..], &mark(7)].concat();
    let marks = table(&[("p", Some((Hook::Prerouting, -150, false)), &[&steps])]);
    let (_, how, chain, rule) = stopped(walked(marks, Probe::Https));
    assert_eq!((how, chain.as_str(), rule), (How::Nowhere, "p", Some(1)));
}

#[test]
fn maps_and_ranges_are_looked_into() {
    let element =
        |key: &[u8], ends, value| Element { key: key.to_vec(), ends, value, ..Element::default() };
    let find = [
        load(4, Field::Network(12)),
        Step::Find { at: 0, set: "s".to_owned(), to: None, negated: false },
    ];
    let dropping = |negated: bool| {
        let [load, find] = find.clone();
        [load, if negated { find.negate() } else { find }, verdict(Verdict::Drop)]
    };
    let ranges = |from: [u8; 4], to: [u8; 4]| Set {
        ranges: true,
        elements: vec![element(&to, true, None), element(&from, false, None)],
        ..Set::default()
    };
    let with = |rule: &[Step], set: Set| {
        let mut table = table(&[("f", FORWARD, &[rule])]);
        table.sets.insert("s".to_owned(), set);
        walked(table, Probe::Https)
    };
    let inside = || ranges([172, 17, 3, 0], [172, 17, 4, 0]);
    assert_eq!(stopped(with(&dropping(false), inside())).0, Leg::First);
    // The end of a range is not in it.
    passes(with(&dropping(false), ranges([172, 17, 3, 0], [172, 17, 3, 3])));
    assert_eq!(stopped(with(&dropping(true), inside())).0, Leg::Answer);
    // A map's verdict, and the one for all else.
    let drop = || Some(Value::Verdict(Verdict::Drop));
    let verdicts = |all| Set {
        elements: vec![
            element(&[172, 17, 3, 3], false, Some(Value::Verdict(Verdict::Accept))),
            Element { all, ..element(&[], false, drop()) },
        ],
        ..Set::default()
    };
    assert_eq!(stopped(with(&find, verdicts(true))).0, Leg::Answer);
    passes(with(&find, Set { elements: verdicts(true).elements[..1].to_vec(), ..Set::default() }));
    // An element that lets only some through.
    let mut some = verdicts(false);
    some.elements[0] = Element { doubtful: true, ..element(&[172, 17, 3, 3], false, drop()) };
    assert!(matches!(with(&find, some), Outcome::May(..)));
}

/// One of many guests: its link, its address.
fn nth(n: u8) -> Guest {
    let one = guest();
    let name = if n == 0 { "vm_wlan".to_owned() } else { format!("vm_wlan{n}") };
    let link = Link { name, index: Some(IfIndex::of(10 + u32::from(n))), ..(*one.link).clone() };
    Guest { link: Arc::new(link), address: [172, 17, 3, 3 + n].into(), ..one }
}

/// One that stands for all of them.
fn all(of: &Guest) -> Guest {
    let link = Link { any: true, name: "vm_wlan".to_owned(), ..(*of.link).clone() };
    Guest { link: Arc::new(link), known: 2, ..of.clone() }
}

/// Routes what comes from some guests elsewhere.
struct Routes;

impl Device for Routes {
    fn towards(&self, address: Ipv4Addr, _: u32) -> Option<Link> {
        let guest = (0..100).map(nth).find(|guest| guest.address == address)?;
        Some((*guest.link).clone())
    }
    fn onward(&self, from: Ipv4Addr, to: Ipv4Addr, _: &Link, _: u32) -> Onward {
        match (self.towards(to, 0), from.octets()[3]) {
            (Some(link), _) => Onward::By(link),
            (None, 40..=49) => Onward::Nowhere,
            (None, _) => Onward::By((*guest().uplink).clone()),
        }
    }
    fn address_type(&self, _: Ipv4Addr) -> u8 {
        libc::RTN_UNICAST
    }
    fn listens(&self, _: u8, _: u16) -> bool {
        false
    }
}

/// What is found of a hundred guests is what is found of each, and took so many walks.
#[track_caller]
fn shares(rules: &[&[Step]], hook: Hook, walks: usize) {
    let nat: &[&[Step]] = &[&[Step::Act(Action::Masquerade)]];
    let ours = table(&[("post", Some((Hook::Postrouting, 100, true)), nat)]);
    let theirs = table(&[("f", Some((hook, -150, false)), rules)]);
    let filters = Filters { tables: vec![theirs, ours], unread: Vec::new() };
    let shared = Shared::new(filters.clone());
    for guest in (0..100).map(nth) {
        let found = shared.findings(&Routes, &guest, &all(&guest));
        assert_eq!(found, findings(&filters, &Routes, &guest), "{}", guest.link.name);
    }
    assert_eq!(shared.walks(), walks);
}

#[test]
fn a_hundred_guests_that_look_alike_take_one_walk() {
    let rule = |asks: &[Step], end: Step| [asks, &[end]].concat();
    let drop = || verdict(Verdict::Drop);
    shares(&[], Hook::Forward, 1);
    shares(&[&[drop()]], Hook::Forward, 1);
    shares(&[&rule(&[Step::Doubt("chance".to_owned())], drop())], Hook::Forward, 1);
    let of_all = [
        load(4, Field::Network(12)),
        Step::Is {
            at: 0,
            ranges: vec![(vec![172, 16, 0, 0], vec![172, 31, 255, 255])],
            negated: false,
        },
    ];
    shares(&[&rule(&of_all, drop())], Hook::Forward, 1);
    // Marks, whose routes depend on the guest: a walk for each answer.
    let marks = [&from("vm_wlan")[..], &mark(9)].concat();
    shares(&[&marks], Hook::Prerouting, 2);
    // Some of them, by name or by address: each for itself, behind the one that says so.
    let some = [load(16, Field::LinkName(End::Input)), Step::equals(0, "vm_wlan7")];
    shares(&[&rule(&some, drop())], Hook::Forward, 101);
    let some = [load(4, Field::Network(16)), Step::equals(0, [172, 17, 3, 9])];
    shares(&[&rule(&some, drop())], Hook::Forward, 101);
    let own = [load(4, Field::Network(12)), Step::Act(Action::Mark(0))];
    shares(&[&own], Hook::Prerouting, 101);
}

/// Matches and targets of x_tables.
const EXTENSIONS: &[&str] = &[
    "conntrack",
    "state",
    "tcp",
    "udp",
    "icmp",
    "multiport",
    "iprange",
    "addrtype",
    "mark",
    "connmark",
    "pkttype",
    "devgroup",
    "rpfilter",
    "physdev",
    "policy",
    "owner",
    "ttl",
    "dscp",
    "tos",
    "helper",
    "connlimit",
    "hashlimit",
    "limit",
    "time",
    "cpu",
    "u32",
    "bpf",
    "tcpmss",
    "ecn",
    "connbytes",
    "connlabel",
    "quota",
    "statistic",
    "length",
    "realm",
    "recent",
    "SNAT",
    "DNAT",
    "CT",
    "MARK",
    "CONNMARK",
    "TPROXY",
    "NFQUEUE",
    "nobody's",
];

#[test]
fn no_length_and_no_byte_of_an_extension_makes_it_panic() {
    let probe = |steps: Vec<Step>| walked(table(&[("f", FORWARD, &[&steps])]), Probe::Https);
    // xorshift: the same inputs in each run.
    let mut state = 9u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    let both = |name: &str, revision, data: &[u8]| {
        let mut steps = matching::steps(name, revision, data, 7);
        steps.extend(target::steps(name, revision, data));
        probe(steps);
    };
    for name in EXTENSIONS {
        for revision in 0..4 {
            let whole: Vec<u8> = (0..2200).map(|_| random()).collect();
            for len in (0..64).chain((64..2200).step_by(61)).chain([2200]) {
                both(name, revision, &whole[..len]);
            }
            for byte in [0, 1, 0x7f, 0xff] {
                both(name, revision, &[byte; 2200]);
                let mut bent = vec![0; 2200];
                bent.iter_mut().for_each(|one| {
                    if random() % 4 == 0 {
                        *one = random() % 4
                    }
                });
                both(name, revision, &bent);
            }
        }
    }
}

#[test]
fn no_step_makes_it_panic() {
    let probe = |steps: &[Step]| walked(table(&[("f", FORWARD, &[steps])]), Probe::Ask);
    for (at, len) in [(0, 0), (0, 64), (60, 16), (63, 8), (64, 4), (usize::MAX, usize::MAX), (1, 7)]
    {
        let number = Field::Between(5, 700, "chance".to_owned());
        for field in [Field::Length, Field::Time, Field::Labels, Field::Network(usize::MAX), number]
        {
            probe(&[
                Step::Load { to: at, len, field },
                Step::Swap { from: at, to: at, len, size: len },
                Step::Shift { from: at, to: 0, len: 64, by: 300, left: true },
                Step::Join { from: [at, 3], to: at, len, how: Join::Xor },
                Step::Is { at, ranges: vec![(vec![0; 20], vec![9; 20])], negated: true },
                Step::Is { at, ranges: vec![(Vec::new(), vec![9])], negated: false },
                Step::Act(Action::Labels(at)),
                Step::Act(Action::Label(u16::MAX)),
                Step::Find { at, set: "s".to_owned(), to: None, negated: false },
            ]);
        }
    }
}

/// Chance that comes to the same whichever way it goes is none.
#[test]
fn numbers_are_looked_up_each() {
    let find = Step::Find { at: 0, set: "s".to_owned(), to: None, negated: false };
    let draw = |low, high| load(4, Field::Between(low, high, "chance".to_owned()));
    let with = |low, high, verdicts: &[Verdict]| {
        let mut table = table(&[("f", FORWARD, &[&[draw(low, high), find.clone()]])]);
        let element = |(n, verdict): (usize, &Verdict)| Element {
            key: (n as u32).to_ne_bytes().to_vec(),
            value: Some(Value::Verdict(verdict.clone())),
            ..Element::default()
        };
        let elements = verdicts.iter().enumerate().map(element).collect();
        table.sets.insert("s".to_owned(), Set { elements, ..Set::default() });
        walked(table, Probe::Https)
    };
    let (accept, drop) = (Verdict::Accept, Verdict::Drop);
    assert_eq!(stopped(with(0, 1, &[drop.clone(), drop.clone()])).1, How::Dropped);
    assert_eq!(stopped(with(0, 1, &[drop.clone(), Verdict::Reject])).0, Leg::First);
    passes(with(0, 1, &[accept.clone(), accept.clone()]));
    passes(with(0, 1, &[accept.clone(), Verdict::Continue]));
    assert!(matches!(with(0, 1, &[accept.clone(), drop.clone()]), Outcome::May(..)));
    // The rest of what it may be is in no set.
    assert!(matches!(with(0, 2, &[drop.clone(), drop.clone()]), Outcome::May(..)));
    passes(with(5, 9, &[drop.clone(), drop]));
}
