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

//! What the kernel has under our table's name, as fingerprints: whether it has changed, never what it
//! means. Reads our own table only, and changes nothing.

use super::batch::inet;
use super::layout::{Elements, Set};
use super::TABLE;
use crate::effects::firewall::Drops;
use crate::ordered::OrderedMap;
use netlink_bindings::nftables::{
    ExprOps, IterableChainAttrs, IterableExprAttrs, IterableRuleAttrs, IterableSetAttrs,
    IterableSetelemAttrs, Nfgenmsg, Request,
};
use netlink_socket2::{NetlinkSocket, ReplyError};
use std::ffi::CStr;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;

/// Our table at one generation of the tables.
pub(super) struct Dump {
    /// The generation.
    pub(super) genid: u32,
    /// The table, if it is there.
    pub(super) table: Option<Table>,
}

/// The table as it is.
#[derive(Default)]
pub(super) struct Table {
    /// Netlink port of the process that owns it.
    pub(super) owner: Option<u32>,
    /// All but the sets' elements.
    pub(super) shape: Shape,
    /// The sets, by their names, with their elements.
    pub(super) elements: OrderedMap<String, Elements>,
    /// How many rules it has.
    pub(super) rules: usize,
}

/// What a table is made of, each thing in words and as a fingerprint: its flags, its chains, its
/// sets, its rules. Handles and counters are not in it, for they change by themselves.
pub(super) type Shape = Vec<(String, u64)>;

fn fingerprint(of: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

/// Generation of all tables: it changes with every change of any of them.
pub(super) fn genid(socket: &mut NetlinkSocket) -> Result<u32, ReplyError> {
    let request = Request::new().op_getgen_do(&Nfgenmsg::new());
    let mut reply = socket.request(&request)?;
    let (_, generation) = reply.recv_one()?;
    Ok(generation.get_id()?)
}

/// Reads our table; again if somebody changed the tables meanwhile.
pub(super) fn dump(socket: &mut NetlinkSocket) -> Result<Dump, ReplyError> {
    let mut genid_before = genid(socket)?;
    for _ in 0..8 {
        let table = table(socket)?;
        let genid = genid(socket)?;
        if genid == genid_before {
            return Ok(Dump { genid, table });
        }
        genid_before = genid;
    }
    Err(io::Error::other("the tables are being changed all the time").into())
}

fn table(socket: &mut NetlinkSocket) -> Result<Option<Table>, ReplyError> {
    let mut request = Request::new().op_gettable_do(&inet());
    request.encode().push_name_bytes(TABLE.as_bytes());
    let mut table = Table::default();
    match socket.request(&request)?.recv_one() {
        Ok((_, found)) => {
            table.owner = found.get_owner().ok();
            let flags = fingerprint(found.get_flags().unwrap_or(0));
            table.shape.push(("the table's flags".to_owned(), flags));
        }
        Err(e) if e.as_io_error().raw_os_error() == Some(libc::ENOENT) => return Ok(None),
        Err(e) => return Err(e),
    }
    let request = Request::new().op_getchain_dump(&inet());
    let mut reply = socket.request(&request)?;
    while let Some(chain) = reply.recv() {
        let (_, chain) = chain?;
        if chain.get_table().is_ok_and(|table| table.to_bytes() == TABLE.as_bytes()) {
            table.chain(&chain);
        }
    }
    drop(reply);
    let mut request = Request::new().op_getset_dump(&inet());
    request.encode().push_table_bytes(TABLE.as_bytes());
    let mut reply = socket.request(&request)?;
    while let Some(set) = reply.recv() {
        table.set(&set?.1);
    }
    drop(reply);
    for (name, elements) in table.elements.iter_mut().filter(|(name, _)| !is_dynamic(name)) {
        read_elements(socket, name, elements)?;
    }
    each_rule(socket, |rule| table.rule(rule))?;
    Ok(Some(table))
}

fn each_rule(
    socket: &mut NetlinkSocket,
    mut read: impl FnMut(&IterableRuleAttrs<'_>),
) -> Result<(), ReplyError> {
    let mut request = Request::new().op_getrule_dump(&inet());
    request.encode().push_table_bytes(TABLE.as_bytes());
    let mut reply = socket.request(&request)?;
    while let Some(rule) = reply.recv() {
        read(&rule?.1);
    }
    Ok(())
}

fn instructions_of<'a>(
    rule: &IterableRuleAttrs<'a>,
) -> impl Iterator<Item = IterableExprAttrs<'a>> {
    rule.get_expressions().into_iter().flat_map(|list| list.get_elem())
}

impl Table {
    fn chain(&mut self, chain: &IterableChainAttrs<'_>) {
        let name = text(chain.get_name());
        let hook = chain.get_hook().map(|hook| (hook.get_num().ok(), hook.get_priority().ok()));
        let flags = chain.get_flags().unwrap_or(0);
        let is = (hook.ok(), chain.get_policy().ok(), text(chain.get_type()), flags);
        self.shape.push((format!("the chain `{name}`"), fingerprint((&name, is))));
    }

    /// A map, ranges, timeouts and what is done with each element are looked at.
    fn set(&mut self, set: &IterableSetAttrs<'_>) {
        let name = text(set.get_name());
        let plain = set.get_expr().next().is_none() && set.get_expressions().is_err();
        let key = (set.get_key_type().ok(), set.get_key_len().ok());
        let is = (key, set.get_flags().unwrap_or(0), set.get_timeout().ok(), plain);
        self.shape.push((format!("the set `{name}`"), fingerprint((&name, is))));
        self.elements.insert(name, Elements::new());
    }

    fn rule(&mut self, rule: &IterableRuleAttrs<'_>) {
        let chain = text(rule.get_chain());
        let mut instructions = Vec::new();
        for expr in instructions_of(rule) {
            instructions.push(match expr.get_data() {
                Ok(ExprOps::Counter(_)) => b"counter",
                _ => bytes(&expr),
            });
        }
        self.rules += 1;
        let label = format!("rule {} (in the chain `{chain}`)", self.rules);
        self.shape.push((label, fingerprint((chain, instructions))));
    }
}

/// Packets that its rules have dropped. Of all there is in the table only they are read. A change of the
/// table meanwhile makes the sum a little wrong, which is harmless for a figure.
pub(super) fn dropped(socket: &mut NetlinkSocket) -> Result<u64, ReplyError> {
    let mut dropped = 0;
    each_rule(socket, |rule| {
        for expr in instructions_of(rule) {
            if let Ok(ExprOps::Counter(counter)) = expr.get_data() {
                dropped += counter.get_packets().unwrap_or(0);
            }
        }
    })?;
    Ok(dropped)
}

/// Packets that were dropped of guests, by their host ends' names.
pub(super) fn drops(socket: &mut NetlinkSocket) -> Result<Drops, ReplyError> {
    let mut drops = Drops::new();
    each_element(socket, &Set::DROPPED.name(), |element| {
        let name = element.get_key().and_then(|key| key.get_value()).unwrap_or_default();
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        if let Ok(ExprOps::Counter(counter)) = element.get_expr().and_then(|expr| expr.get_data()) {
            let packets = counter.get_packets().unwrap_or(0);
            drops.insert(String::from_utf8_lossy(name).into_owned(), packets);
        }
    })?;
    Ok(drops)
}

/// Whether packets add to the set of this name.
fn is_dynamic(name: &str) -> bool {
    let dynamic = [Set::FRAGMENTS, Set::OPENED, Set::CROWD, Set::CONNECTIONS, Set::DROPPED];
    dynamic.iter().any(|set| set.name() == name)
}

/// An instruction's name and all that it is about.
fn bytes<'a>(expr: &IterableExprAttrs<'a>) -> &'a [u8] {
    expr.get_buf()
}

fn text<E>(name: Result<&CStr, E>) -> String {
    name.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn read_elements(
    socket: &mut NetlinkSocket,
    set: &str,
    elements: &mut Elements,
) -> Result<(), ReplyError> {
    each_element(socket, set, |element| {
        elements.insert(key(&element));
    })
}

fn each_element(
    socket: &mut NetlinkSocket,
    set: &str,
    mut read: impl FnMut(IterableSetelemAttrs<'_>),
) -> Result<(), ReplyError> {
    let mut request = Request::new().op_getsetelem_dump(&inet());
    let list = request.encode().push_table_bytes(TABLE.as_bytes());
    drop(list.push_set_bytes(set.as_bytes()));
    let mut reply = socket.request(&request)?;
    while let Some(list) = reply.recv() {
        let (_, list) = list?;
        list.get_elements()?.get_elem().for_each(&mut read);
    }
    Ok(())
}

/// What is no element of ours becomes one that we never have.
fn key(element: &IterableSetelemAttrs<'_>) -> Vec<u8> {
    let plain = element.get_flags().is_err()
        && element.get_timeout().is_err()
        && element.get_expr().is_err()
        && element.get_expressions().is_err();
    let key = element.get_key().ok().filter(|_| plain);
    key.and_then(|key| key.get_value().ok()).map(<[u8]>::to_vec).unwrap_or_default()
}

/// For fuzzers: messages as the kernel answers with them.
#[cfg(feature = "fuzzing")]
pub(crate) fn read_messages(bytes: &[u8]) {
    use crate::effects::kernel::netlink::message::Messages;
    use netlink_bindings::nftables::{
        OpGetchainDump, OpGetruleDump, OpGetsetDump, OpGetsetelemDump,
    };
    use netlink_bindings::traits::NetlinkRequest;
    let mut table = Table::default();
    for message in Messages(bytes) {
        // NFT_MSG_NEWCHAIN and so on.
        match message.kind & 0xff {
            3 => table.chain(&OpGetchainDump::decode_reply(message.body).1),
            6 => table.rule(&OpGetruleDump::decode_reply(message.body).1),
            9 => table.set(&OpGetsetDump::decode_reply(message.body).1),
            12 => {
                let (_, list) = OpGetsetelemDump::decode_reply(message.body);
                let elements = list.get_elements().into_iter().flat_map(|list| list.get_elem());
                table.elements.insert(String::new(), elements.map(|one| key(&one)).collect());
            }
            _ => {}
        }
    }
}
