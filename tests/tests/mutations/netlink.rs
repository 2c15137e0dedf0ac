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

//! What a netlink message changes, by its bytes. A kind of message that is not known here gets a key
//! all the same: no row has it.

use std::fmt::Write;

const HEADER: usize = 16;
const IFINFOMSG: usize = 16;
const NFGENMSG: usize = 4;
/// guestnetd's table while it finds out what the kernel can do.
const CHECKED: &str = "guestnet-check";

/// A message.
#[derive(Clone, Copy, Debug)]
struct Message<'a> {
    kind: u16,
    body: &'a [u8],
}

/// The messages of a datagram; an error if there is anything else in it.
fn messages(mut bytes: &[u8]) -> Result<Vec<Message<'_>>, String> {
    let mut messages = Vec::new();
    while !bytes.is_empty() {
        let whole = u32_at(bytes, 0).and_then(|len| bytes.get(..len as usize));
        let whole = whole.filter(|message| message.len() >= HEADER).ok_or("half a message")?;
        let kind = u16_at(whole, 4).ok_or("no kind")?;
        messages.push(Message { kind, body: &whole[HEADER..] });
        bytes = bytes.get(whole.len().next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(messages)
}

/// The keys of what an rtnetlink datagram changes.
pub fn route(bytes: &[u8]) -> Result<Vec<String>, String> {
    Ok(messages(bytes)?.iter().filter_map(rtnetlink).collect())
}

/// The keys of what a datagram changes of IPsec: XFRM_MSG_GETPOLICY and XFRM_MSG_GETDEFAULT ask.
pub fn xfrm(bytes: &[u8]) -> Result<Vec<String>, String> {
    const QUESTIONS: [u16; 2] = [0x15, 0x28];
    let changes = |message: &Message| {
        (!QUESTIONS.contains(&message.kind)).then(|| format!("xfrm {}", message.kind))
    };
    Ok(messages(bytes)?.iter().filter_map(changes).collect())
}

/// The keys of what an nfnetlink datagram changes.
pub fn netfilter(bytes: &[u8]) -> Result<Vec<String>, String> {
    let keys: Vec<_> = messages(bytes)?.iter().filter_map(nfnetlink).collect();
    // It is made and removed in one transaction, which nobody else sees.
    let checked = |key: &String| key.ends_with(CHECKED) || key.contains(&format!("{CHECKED} "));
    let removed = keys.last().is_some_and(|key| *key == format!("NFT_MSG_DELTABLE {CHECKED}"));
    if removed && keys.iter().all(checked) {
        return Ok(vec![format!("nf_tables {CHECKED}")]);
    }
    Ok(keys)
}

fn rtnetlink(message: &Message) -> Option<String> {
    const GET: u16 = 2;
    let body = message.body;
    // linux/rtnetlink.h: from RTM_BASE on, NEW, DEL, GET and SET of each kind of object.
    let verb = ["NEW", "DEL", "GET", "SET"][usize::from(message.kind % 4)];
    if message.kind < 16 || message.kind % 4 == GET {
        return (message.kind < 16).then(|| format!("netlink control {}", message.kind));
    }
    Some(match message.kind & !3 {
        16 => format!("RTM_{verb}LINK {}", link(body, verb)),
        20 => format!("RTM_{verb}ADDR{}", address(body)),
        24 => format!("RTM_{verb}ROUTE {}", way(body)),
        32 => format!("RTM_{verb}RULE {}", rule(body)),
        36 => format!("RTM_{verb}QDISC {}", traffic_control(body)),
        44 => format!("RTM_{verb}TFILTER {}", traffic_control(body)),
        88 => format!("RTM_{verb}NSID"),
        _ => format!("rtnetlink {}", message.kind),
    })
}

/// What a link message is about.
fn link(body: &[u8], verb: &str) -> String {
    const IFF_UP: u32 = 1;
    let (index, flags, change) = (u32_at(body, 4), u32_at(body, 8), u32_at(body, 12));
    let mut words = Vec::new();
    match (flags, change) {
        (_, Some(0)) => {}
        (Some(flags), Some(IFF_UP)) => {
            words.push(if flags == IFF_UP { "up" } else { "down" }.into())
        }
        _ => words.push(format!("flags {flags:?} {change:?}")),
    }
    if verb == "SET" && index == Some(1) {
        words.push("lo".into());
    }
    let mut all = attributes(body, IFINFOMSG);
    let kind = all.iter().find(|(kind, _)| *kind == 18);
    if let Some((_, info)) = kind {
        let find = |wanted| attributes(info, 0).into_iter().find(|(kind, _)| *kind == wanted);
        // IFLA_INFO_KIND; of what it is a port of, IFLA_INFO_SLAVE_KIND.
        words.push(match (find(1), find(4)) {
            (Some((_, kind)), _) => text(kind),
            (None, master) => {
                format!("port of {}", master.map_or_else(String::new, |(_, of)| text(of)))
            }
        });
        // Its address, name, MTU, this, and its queues are no words of their own.
        all.retain(|(kind, _)| ![1, 3, 4, 18, 31, 32].contains(kind));
    }
    if verb == "DEL" && index != Some(0) {
        words.push("index".into());
    }
    for (kind, value) in all {
        words.push(match kind {
            1 => "address".into(),
            3 => "name".into(),
            4 => "mtu".into(),
            10 => "master".into(),
            19 => "pid".into(),
            26 if verb == "SET" => conf(value),
            20 => "alias".into(),
            27 if verb == "NEW" => format!("group {:#x}", u32_at(value, 0).unwrap_or_default()),
            27 => "group".into(),
            46 => "netnsid".into(),
            other => format!("attribute {other}"),
        });
    }
    words.join(" ")
}

/// Of which kind a queueing discipline or a filter is: each of ours has one by that alone.
fn traffic_control(body: &[u8]) -> String {
    const TCMSG: usize = 20;
    const CLSACT: u32 = 0xffff_0000;
    let kind = attributes(body, TCMSG).into_iter().find(|(kind, _)| *kind == 1);
    match (kind, u32_at(body, 8)) {
        (Some((_, kind)), _) => text(kind),
        (None, Some(CLSACT)) => "clsact".into(),
        (None, handle) => format!("handle {handle:?}"),
    }
}

/// Which settings of an interface are written.
fn conf(families: &[u8]) -> String {
    const AF_INET: u16 = 2;
    const IFLA_INET_CONF: u16 = 1;
    // forwarding, rp_filter, arp_filter, arp_ignore (linux/ip.h).
    const HOST_END: [u16; 4] = [1, 8, 13, 19];
    let inside = |body, wanted| {
        let found: Vec<(u16, _)> = attributes(body, 0);
        found.into_iter().find(|(kind, _)| *kind == wanted).map(|(_, value)| value)
    };
    let written = inside(families, AF_INET).and_then(|ipv4| inside(ipv4, IFLA_INET_CONF));
    let kinds: Vec<_> = written.map(|conf| attributes(conf, 0)).unwrap_or_default();
    let kinds: Vec<_> = kinds.into_iter().map(|(kind, _)| kind).collect();
    if kinds == HOST_END {
        "ipv4 conf".to_owned()
    } else {
        format!("settings {kinds:?}")
    }
}

/// Whether an address comes without a route to its prefix.
fn address(body: &[u8]) -> String {
    const IFADDRMSG: usize = 8;
    const IFA_FLAGS: u16 = 8;
    const NOPREFIXROUTE: u32 = 0x200;
    let named = attributes(body, IFADDRMSG).into_iter().find(|(kind, _)| *kind == IFA_FLAGS);
    let alone = named.and_then(|(_, value)| u32_at(value, 0)) == Some(NOPREFIXROUTE);
    let known: &[u16] = if alone { &[1, 2, 4, IFA_FLAGS] } else { &[1, 2, 4] };
    let others = others(body, IFADDRMSG, known);
    format!("{}{others}", if alone { " noprefixroute" } else { "" })
}

/// Where a route leads, in which table, and whose it is.
fn way(body: &[u8]) -> String {
    const RTMSG: usize = 12;
    let (length, protocol) = (body.get(1), body.get(5).copied().unwrap_or_default());
    let to = if length == Some(&0) { "default" } else { "to guests" };
    let named = attributes(body, RTMSG).into_iter().find(|(kind, _)| *kind == 15);
    let table = named.and_then(|(_, value)| u32_at(value, 0));
    // Destination, interface, next hop, table.
    let others = others(body, RTMSG, &[1, 4, 5, 15]);
    format!("{to}, table {}, protocol {protocol}{others}", table_name(table))
}

/// The attributes that are none of these: whatever they change, it has no row.
fn others(body: &[u8], header: usize, these: &[u16]) -> String {
    let all = attributes(body, header).into_iter();
    all.filter(|(kind, _)| !these.contains(kind))
        .map(|(kind, _)| format!(" attribute {kind}"))
        .collect()
}

/// Whose packets a rule is for, where it leads them, and whose it is.
fn rule(body: &[u8]) -> String {
    const FIB_RULE_HDR: usize = 12;
    let all = attributes(body, FIB_RULE_HDR);
    let find = |wanted: u16| all.iter().find(|(kind, _)| *kind == wanted).map(|(_, value)| *value);
    let mut words = String::new();
    for (kind, value) in &all {
        match kind {
            1 => words += "to ",
            2 => words += "from ",
            3 => words += "iif ",
            // Priority, the bits of routes that do not count, table, protocol.
            6 | 14 | 15 | 21 => {}
            // Writing to a String cannot fail.
            other => drop(write!(words, "attribute {other} {value:?} ")),
        }
    }
    let table = find(15).and_then(|value| u32_at(value, 0));
    let protocol = find(21).and_then(|value| value.first()).copied().unwrap_or_default();
    // FR_ACT_TO_TBL, FR_ACT_PROHIBIT.
    let does = match (body.get(7), table) {
        (Some(1), table) => {
            let hosts = find(14).and_then(|value| u32_at(value, 0)) == Some(31);
            format!("{}table {}", if hosts { "hosts of " } else { "" }, table_name(table))
        }
        (Some(8), None) => "prohibit".into(),
        other => format!("action {other:?}"),
    };
    format!("{}, {does}, protocol {protocol}", words.trim_end())
}

/// A table as the catalogue calls it.
fn table_name(table: Option<u32>) -> String {
    match table {
        Some(254) => "main".into(),
        Some(97) => "97".into(),
        Some(table) if table >> 24 == 0x67 => "of its own".into(),
        // One for each interface: netd's.
        Some(table) if (1001..2000).contains(&table) => "of an interface".into(),
        other => format!("{other:?}"),
    }
}

fn nfnetlink(message: &Message) -> Option<String> {
    let (subsystem, kind) = (message.kind >> 8, message.kind & 0xff);
    match (subsystem, kind) {
        // NFNL_MSG_BATCH_BEGIN and _END.
        (0, 0x10 | 0x11) => None,
        (1, 1) => None,
        (1, 2) => Some(format!("IPCTNL_MSG_CT_DELETE {}", connection(message.body))),
        (4, 1) => Some(format!("NFULNL_MSG_CONFIG group {}", group(message.body))),
        (10, kind) => nf_tables(kind, message.body),
        _ => Some(format!("nfnetlink subsystem {subsystem} message {kind}")),
    }
}

/// The group of nfnetlink_log: `res_id` of `struct nfgenmsg`.
fn group(body: &[u8]) -> u16 {
    let bytes = body.get(2..4).and_then(|bytes| bytes.try_into().ok());
    bytes.map_or(0, u16::from_be_bytes)
}

/// Which connections are forgotten: without a name, all of them are.
fn connection(body: &[u8]) -> &'static str {
    let all = attributes(body, NFGENMSG);
    let has = |wanted: u16| all.iter().any(|(kind, _)| *kind == wanted);
    match (has(25), has(1)) {
        (true, true) => "CTA_FILTER",
        (false, true) => "CTA_TUPLE_ORIG",
        _ => "all",
    }
}

fn nf_tables(kind: u16, body: &[u8]) -> Option<String> {
    // What else names the object, beside its table: the attribute, if there is one.
    let (name, also) = match kind {
        1 | 4 | 7 | 10 | 13 | 16 | 19 => return None, // GET
        0 => ("NEWTABLE", 0),
        2 => ("DELTABLE", 0),
        3 => ("NEWCHAIN", 3),
        5 => ("DELCHAIN", 3),
        6 => ("NEWRULE", 2),
        8 => ("DELRULE", 2),
        9 => ("NEWSET", 2),
        11 => ("DELSET", 2),
        12 => ("NEWSETELEM", 2),
        14 => ("DELSETELEM", 2),
        18 => ("NEWOBJ", 2),
        other => return Some(format!("nf_tables message {other}")),
    };
    let all = attributes(body, NFGENMSG);
    let text_of = |wanted: u16| {
        let found = all.iter().find(|(kind, _)| *kind == wanted && wanted != 0);
        found.map(|(_, value)| text(value))
    };
    let mut words = vec![format!("NFT_MSG_{name}"), text_of(1).unwrap_or_default()];
    // Sets are called by the length of their prefixes: `subnets24`.
    let also =
        text_of(also).map(|name| match name.trim_end_matches(|c: char| c.is_ascii_digit()) {
            set if set.len() < name.len() => format!("{set}*"),
            _ => name,
        });
    words.extend(also);
    Some(words.join(" "))
}

/// The attributes behind a header; what does not read as one is an attribute that nobody knows.
fn attributes(body: &[u8], header: usize) -> Vec<(u16, &[u8])> {
    let mut rest = body.get(header..).unwrap_or_default();
    let mut all = Vec::new();
    while !rest.is_empty() {
        let length = usize::from(u16_at(rest, 0).unwrap_or(0));
        let whole = (length >= 4).then(|| rest.get(4..length)).flatten();
        let (Some(value), Some(kind)) = (whole, u16_at(rest, 2)) else {
            all.push((u16::MAX, rest));
            break;
        };
        all.push((kind & 0x3fff, value));
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    all
}

fn text(value: &[u8]) -> String {
    let value = value.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(value).into_owned()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
