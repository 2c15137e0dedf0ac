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

//! Reads all of nf_tables, over netlink. Changes nothing, and makes no table appear that was not there.

mod expression;

use expression::Objects;

use super::chains::{Base, Chain, Element, Hook, Label, Rule, Set, Step, Table, Value, Verdict};
use crate::effects::kernel::netlink::attr::{Request, Writer};
use crate::effects::kernel::netlink::message::{attributes, text, Message};
use crate::effects::kernel::netlink::Netlink;
use crate::error::KernelError;
use crate::ordered::{IntoOrdered, OrderedSet};
use std::collections::HashMap;

// linux/netfilter/nf_tables.h
const GET_TABLE: u16 = NFTABLES | 1;
const GET_CHAIN: u16 = NFTABLES | 4;
const GET_RULE: u16 = NFTABLES | 7;
const GET_SET: u16 = NFTABLES | 10;
const GET_ELEMENTS: u16 = NFTABLES | 13;
const GET_OBJECT: u16 = NFTABLES | 19;
/// `NFNL_SUBSYS_NFTABLES`, in the upper byte of a message's type.
const NFTABLES: u16 = 10 << 8;
/// Length of `struct nfgenmsg`; its first byte is the family.
const NFGENMSG: usize = 4;
const TABLE_NAME: u16 = 1;
const TABLE_FLAGS: u16 = 2;
const TABLE_DORMANT: u32 = 1;
/// Chains, rules, sets and elements name their table by this one.
const OF_TABLE: u16 = 1;
const CHAIN_NAME: u16 = 3;
const CHAIN_HOOK: u16 = 4;
const CHAIN_POLICY: u16 = 5;
const CHAIN_TYPE: u16 = 7;
const CHAIN_COUNTERS: u16 = 8;
const HOOK_NUMBER: u16 = 1;
const HOOK_PRIORITY: u16 = 2;
const HOOK_DEVICE: u16 = 3;
const HOOK_DEVICES: u16 = 4;
const RULE_CHAIN: u16 = 2;
const RULE_EXPRESSIONS: u16 = 4;
const OBJECT_NAME: u16 = 2;
const OBJECT_TYPE: u16 = 3;
const OBJECT_DATA: u16 = 4;
const SET_NAME: u16 = 2;
const SET_FLAGS: u16 = 3;
const SET_KEY_LEN: u16 = 5;
const SET_DESC: u16 = 9;
const DESC_CONCAT: u16 = 2;
const FIELD_LEN: u16 = 1;
const SET_INTERVAL: u32 = 4;
const ELEMENTS_SET: u16 = 2;
const ELEMENTS: u16 = 3;
const ELEMENT_KEY: u16 = 1;
const ELEMENT_DATA: u16 = 2;
const ELEMENT_FLAGS: u16 = 3;
const ELEMENT_EXPR: u16 = 7;
const ELEMENT_KEY_END: u16 = 10;
const ELEMENT_EXPRESSIONS: u16 = 11;
const INTERVAL_END: u32 = 1;
const CATCH_ALL: u32 = 2;
const DATA_VALUE: u16 = 1;
const DATA_VERDICT: u16 = 2;
const VERDICT_CODE: u16 = 1;
const VERDICT_CHAIN: u16 = 2;

/// More than this of one set is not read: what is not in that part may be in the rest.
const LARGEST_SET: usize = 100_000;

/// A table is named by its family and its name.
type Name = (u8, String);

/// All tables that see IPv4 packets. None where the kernel has no nf_tables.
pub fn read() -> Result<Vec<Table>, KernelError> {
    let netlink = Netlink::open_netfilter().map_err(KernelError::from)?;
    let names = match names(&netlink) {
        // No nf_tables: nobody takes such messages (nfnetlink_rcv_msg()), or nobody may load it.
        Err(e) if matches!(e.errno, libc::EINVAL | libc::EOPNOTSUPP | libc::EPROTONOSUPPORT) => {
            return Ok(Vec::new());
        }
        names => names?,
    };
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let mut tables: Vec<(Name, Table)> = Vec::new();
    for (family, name) in names {
        if let Some(label) = label(family, &name) {
            let (chains, sets) = (Vec::new(), HashMap::new());
            tables.push(((family, name), Table { label, chains, sets, left: false }));
        }
    }
    for (of, chain) in netlink.dump(&all(GET_CHAIN), chain)? {
        if let Some((_, table)) = tables.iter_mut().find(|(name, _)| *name == of) {
            table.chains.push(chain);
        }
    }
    let mut objects: HashMap<Name, Objects> = HashMap::new();
    // Where they cannot be read, what they ask for is left open.
    for (of, key, steps) in netlink.dump(&all(GET_OBJECT), object).unwrap_or_default() {
        objects.entry(of).or_default().insert(key, steps);
    }
    for (of, chain, rule) in netlink.dump(&all(GET_RULE), |one| rule(one, &objects))? {
        let table = tables.iter_mut().find(|(name, _)| *name == of);
        let chain = table.and_then(|(_, t)| t.chains.iter_mut().find(|c| c.name == chain));
        if let Some(chain) = chain {
            chain.rules.push(rule);
        }
    }
    read_sets(&netlink, &mut tables)?;
    Ok(tables.into_iter().map(|(_, table)| table).collect())
}

/// Sets that rules look into, with their elements.
fn read_sets(netlink: &Netlink, tables: &mut [(Name, Table)]) -> Result<(), KernelError> {
    let used: Vec<OrderedSet<String>> =
        tables.iter().map(|(_, table)| looked_into(table)).collect();
    if used.iter().all(OrderedSet::is_empty) {
        return Ok(());
    }
    for (of, name, set) in netlink.dump(&all(GET_SET), set)? {
        let Some(at) = tables.iter().position(|(table, _)| *table == of) else { continue };
        if !used.get(at).is_some_and(|used| used.contains(&name)) {
            continue;
        }
        let elements = elements(netlink, &of, &name)?;
        let partly = elements.len() > LARGEST_SET;
        if let Some((_, table)) = tables.get_mut(at) {
            table.sets.insert(name, Set { elements, partly, ..set });
        }
    }
    Ok(())
}

fn looked_into(table: &Table) -> OrderedSet<String> {
    let steps = table.chains.iter().flat_map(|c| &c.rules).flat_map(|rule| &rule.steps);
    let sets = steps.filter_map(|step| match step {
        Step::Find { set, .. } => Some(set.clone()),
        _ => None,
    });
    sets.into_set()
}

/// A request for all objects of a kind.
fn all(kind: u16) -> Request {
    Request { kind, body: Writer::after(&[libc::NFPROTO_UNSPEC as u8, 0, 0, 0]) }
}

fn family(message: &Message<'_>) -> u8 {
    message.body.first().copied().unwrap_or_default()
}

fn label(family: u8, name: &str) -> Option<Label> {
    let family = match i32::from(family) {
        libc::NFPROTO_IPV4 => "ip",
        libc::NFPROTO_INET => "inet",
        libc::NFPROTO_NETDEV => "netdev",
        _ => return None,
    };
    Some(Label::Nftables { family, name: name.to_owned() })
}

/// The tables that are not asleep.
fn names(netlink: &Netlink) -> Result<Vec<Name>, KernelError> {
    netlink.dump(&all(GET_TABLE), |message| {
        let attributes = message.attributes(NFGENMSG);
        let flags = attributes.clone().find(TABLE_FLAGS).and_then(be32).unwrap_or(0);
        let name = attributes.clone().find(TABLE_NAME).map(text)?;
        (flags & TABLE_DORMANT == 0).then(|| (family(message), name))
    })
}

fn chain(message: &Message<'_>) -> Option<(Name, Chain)> {
    let attributes = message.attributes(NFGENMSG);
    let table = attributes.clone().find(OF_TABLE).map(text)?;
    let name = attributes.clone().find(CHAIN_NAME).map(text)?;
    let counters = attributes.clone().find(CHAIN_COUNTERS).and_then(packets);
    let base = attributes.clone().find(CHAIN_HOOK).and_then(|hook| {
        let policy = attributes.clone().find(CHAIN_POLICY).and_then(be32);
        let kind = attributes.clone().find(CHAIN_TYPE).map(text).unwrap_or_default();
        base(family(message), hook, policy == Some(libc::NF_DROP as u32), kind == "nat")
    });
    let chain = Chain { name, rules: Vec::new(), base, packets: counters };
    Some(((family(message), table), chain))
}

fn base(family: u8, hook: &[u8], drops: bool, nat: bool) -> Option<Base> {
    let inside = attributes(hook, 0);
    let number = inside.clone().find(HOOK_NUMBER).and_then(be32)?;
    let priority = inside.clone().find(HOOK_PRIORITY).and_then(be32)? as i32;
    let hook = match (i32::from(family), number as i32) {
        (libc::NFPROTO_NETDEV, 0) | (libc::NFPROTO_INET, 5) => Hook::Ingress,
        (libc::NFPROTO_NETDEV, 1) => Hook::Egress,
        (_, libc::NF_INET_PRE_ROUTING) => Hook::Prerouting,
        (_, libc::NF_INET_LOCAL_IN) => Hook::Input,
        (_, libc::NF_INET_FORWARD) => Hook::Forward,
        (_, libc::NF_INET_LOCAL_OUT) => Hook::Output,
        (_, libc::NF_INET_POST_ROUTING) => Hook::Postrouting,
        _ => return None,
    };
    let mut devices: Vec<String> = inside.clone().find(HOOK_DEVICE).map(text).into_iter().collect();
    let list = inside.clone().find(HOOK_DEVICES).unwrap_or_default();
    devices.extend(attributes(list, 0).map(|(_, name)| text(name)));
    Some(Base { hook, priority, nat, drops, devices })
}

fn object(message: &Message<'_>) -> Option<(Name, (u32, String), Vec<Step>)> {
    let attributes = message.attributes(NFGENMSG);
    let table = attributes.clone().find(OF_TABLE).map(text)?;
    let name = attributes.clone().find(OBJECT_NAME).map(text)?;
    let kind = attributes.clone().find(OBJECT_TYPE).and_then(be32)?;
    let steps = expression::named(kind, attributes.clone().find(OBJECT_DATA)?)?;
    Some(((family(message), table), (kind, name), steps))
}

fn rule(message: &Message<'_>, objects: &HashMap<Name, Objects>) -> Option<(Name, String, Rule)> {
    let attributes = message.attributes(NFGENMSG);
    let table = attributes.clone().find(OF_TABLE).map(text)?;
    let chain = attributes.clone().find(RULE_CHAIN).map(text)?;
    let list = attributes.clone().find(RULE_EXPRESSIONS).unwrap_or_default();
    let of = (family(message), table);
    let none = Objects::new();
    let rule = expression::rule(list, objects.get(&of).unwrap_or(&none));
    Some((of, chain, rule))
}

fn set(message: &Message<'_>) -> Option<(Name, String, Set)> {
    let inside = message.attributes(NFGENMSG);
    let table = inside.clone().find(OF_TABLE).map(text)?;
    let name = inside.clone().find(SET_NAME).map(text)?;
    let flags = inside.clone().find(SET_FLAGS).and_then(be32).unwrap_or(0);
    let concat = inside.clone().find(SET_DESC).and_then(|d| attributes(d, 0).find(DESC_CONCAT));
    let part = |(_, field)| attributes(field, 0).find(FIELD_LEN).and_then(be32);
    let parts = attributes(concat.unwrap_or_default(), 0).filter_map(part);
    let set = Set {
        key: inside.clone().find(SET_KEY_LEN).and_then(be32).unwrap_or(0) as usize,
        parts: parts.map(|len| len as usize).collect(),
        ranges: flags & SET_INTERVAL != 0,
        ..Set::default()
    };
    Some(((family(message), table), name, set))
}

fn elements(
    netlink: &Netlink,
    (family, table): &Name,
    set: &str,
) -> Result<Vec<Element>, KernelError> {
    let name = |name: &str| [name.as_bytes(), &[0]].concat();
    let body = Writer::after(&[*family, 0, 0, 0])
        .with(OF_TABLE, &name(table))
        .with(ELEMENTS_SET, &name(set));
    let read = |message: &Message<'_>| {
        let list = message.attributes(NFGENMSG).find(ELEMENTS)?;
        Some(attributes(list, 0).map(|(_, element)| read_element(element)).collect::<Vec<_>>())
    };
    match netlink.dump(&Request { kind: GET_ELEMENTS, body }, read) {
        // It went meanwhile.
        Err(e) if e.errno == libc::ENOENT => Ok(Vec::new()),
        lists => Ok(lists?.into_iter().flatten().take(LARGEST_SET + 1).collect()),
    }
}

fn read_element(bytes: &[u8]) -> Element {
    let inside = attributes(bytes, 0);
    let flags = inside.clone().find(ELEMENT_FLAGS).and_then(be32).unwrap_or(0);
    let plain = |kind| inside.clone().find(kind).and_then(value);
    let data = inside.clone().find(ELEMENT_DATA);
    let verdict = data.and_then(|data| attributes(data, 0).find(DATA_VERDICT)).map(verdict);
    // What counts or notes the time lets every packet through; a rate does not.
    let stateful = |(_, list): (u16, &[u8])| expression::doubtful(list);
    let doubtful = inside.clone().any(|(kind, one)| match kind {
        ELEMENT_EXPR => expression::doubtful(one),
        ELEMENT_EXPRESSIONS => attributes(one, 0).any(stateful),
        _ => false,
    });
    Element {
        key: plain(ELEMENT_KEY).map(<[u8]>::to_vec).unwrap_or_default(),
        last: plain(ELEMENT_KEY_END).map(<[u8]>::to_vec),
        ends: flags & INTERVAL_END != 0,
        all: flags & CATCH_ALL != 0,
        value: verdict
            .map(Value::Verdict)
            .or_else(|| data.and_then(value).map(|bytes| Value::Bytes(bytes.to_vec()))),
        doubtful,
    }
}

/// The bytes of a `NFTA_DATA_VALUE`.
fn value(data: &[u8]) -> Option<&[u8]> {
    attributes(data, 0).find(DATA_VALUE)
}

/// What a `NFTA_DATA_VERDICT` says.
fn verdict(data: &[u8]) -> Verdict {
    let inside = attributes(data, 0);
    let chain = || inside.clone().find(VERDICT_CHAIN).map(text).unwrap_or_default();
    match inside.clone().find(VERDICT_CODE).and_then(be32).map(|code| code as i32) {
        Some(0) => Verdict::Drop,
        Some(1) => Verdict::Accept,
        Some(3) => {
            Verdict::Somebody("what a program decides that the packets are queued to".into())
        }
        Some(-3) => Verdict::Jump(chain()),
        Some(-4) => Verdict::Goto(chain()),
        Some(-5) => Verdict::Return,
        _ => Verdict::Continue,
    }
}

fn packets(counters: &[u8]) -> Option<u64> {
    // NFTA_COUNTER_PACKETS
    let bytes = attributes(counters, 0).find(2)?;
    Some(u64::from_be_bytes(bytes.try_into().ok()?))
}

/// nf_tables' numbers are in network order.
fn be32(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?))
}
