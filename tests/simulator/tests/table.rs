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

//! docs/decisions/simulator.md says which messages are simulated and which are not: so it is.

use guestnet_simulator::{Kernel, ROUTE};

const NLM_F_ACK: u16 = 4;
const NLM_F_DUMP: u16 = 0x300;

/// The messages of rtnetlink by their names.
fn number(name: &str) -> u16 {
    match name {
        "RTM_NEWLINK" => libc::RTM_NEWLINK,
        "RTM_SETLINK" => libc::RTM_SETLINK,
        "RTM_DELLINK" => libc::RTM_DELLINK,
        "RTM_GETLINK" => libc::RTM_GETLINK,
        "RTM_NEWADDR" => libc::RTM_NEWADDR,
        "RTM_DELADDR" => libc::RTM_DELADDR,
        "RTM_GETADDR" => libc::RTM_GETADDR,
        "RTM_NEWROUTE" => libc::RTM_NEWROUTE,
        "RTM_DELROUTE" => libc::RTM_DELROUTE,
        "RTM_GETROUTE" => libc::RTM_GETROUTE,
        "RTM_NEWRULE" => libc::RTM_NEWRULE,
        "RTM_DELRULE" => libc::RTM_DELRULE,
        "RTM_GETRULE" => libc::RTM_GETRULE,
        "RTM_NEWNEIGH" => libc::RTM_NEWNEIGH,
        "RTM_DELNEIGH" => libc::RTM_DELNEIGH,
        "RTM_GETNEIGH" => libc::RTM_GETNEIGH,
        "RTM_NEWNSID" => libc::RTM_NEWNSID,
        "RTM_GETNSID" => libc::RTM_GETNSID,
        "RTM_NEWQDISC" => libc::RTM_NEWQDISC,
        "RTM_GETQDISC" => libc::RTM_GETQDISC,
        "RTM_DELQDISC" => libc::RTM_DELQDISC,
        "RTM_NEWTFILTER" => libc::RTM_NEWTFILTER,
        "RTM_DELTFILTER" => libc::RTM_DELTFILTER,
        "RTM_GETTFILTER" => libc::RTM_GETTFILTER,
        // linux/rtnetlink.h
        "RTM_NEWTCLASS" => 40,
        "RTM_GETTCLASS" => 42,
        "RTM_NEWCHAIN" => 100,
        "RTM_GETCHAIN" => 102,
        "RTM_NEWNEXTHOP" => 104,
        "RTM_GETNEXTHOP" => 106,
        "RTM_NEWLINKPROP" => 108,
        "RTM_GETNETCONF" => 82,
        other => panic!("{other} has no number here"),
    }
}

/// The names in the first cells of the table under a heading.
fn names(page: &str, heading: &str) -> Vec<String> {
    let (_, section) = page.split_once(&format!("\n## {heading}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let first = rows.map(|row| row.split('|').nth(1).unwrap());
    first
        .flat_map(|cell| cell.split('`').filter(|word| word.starts_with("RTM_")))
        .map(String::from)
        .collect()
}

/// Whether a request of this kind, with a body that says nothing, is simulated.
fn is_simulated(name: &str) -> bool {
    let mut kernel = Kernel::new();
    let netns = kernel.netns_add();
    let kind = number(name);
    let mut body = [0; 16];
    if !name.ends_with("LINK") && !name.ends_with("NSID") {
        body[0] = libc::AF_INET as u8;
    }
    let length = if name.ends_with("ADDR") {
        8
    } else if name.ends_with("LINK") {
        16
    } else {
        12
    };
    let length = if name.ends_with("NSID") { 4 } else { length };
    let flags = 1 | if kind & 3 == 2 { NLM_F_DUMP } else { NLM_F_ACK };
    let mut request = (16 + length as u32).to_ne_bytes().to_vec();
    request.extend(kind.to_ne_bytes());
    request.extend(flags.to_ne_bytes());
    request.extend([0; 8]);
    request.extend(&body[..length]);
    let answers = kernel.send(netns, ROUTE, 1, &request);
    let answer = answers.first().unwrap_or_else(|| panic!("{name} is not answered"));
    let is_error = answer[4..6] == 2u16.to_ne_bytes();
    !(is_error && answer[16..20] == (-libc::EOPNOTSUPP).to_ne_bytes())
}

#[test]
fn what_the_page_says_is_so() {
    let page = include_str!("../../../docs/decisions/simulator.md");
    let (is, is_not) = (names(page, "What is simulated"), names(page, "What is not"));
    assert!(is.len() >= 18 && is_not.len() >= 5, "{is:?} {is_not:?}");
    for name in is {
        assert!(is_simulated(&name), "{name} is said to be simulated");
    }
    for name in is_not {
        assert!(!is_simulated(&name), "{name} is simulated");
    }
}
