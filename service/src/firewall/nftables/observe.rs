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

//! What the kernel has under our table's name, and how it differs from what is wanted.
//! Reads our own table only, and changes nothing.

use super::batch::inet;
use super::expr::{compile, decode, packets, Expr};
use super::layout::{lines, sets, Elements, Line, Set};
use super::{chain_of, BaseChain, CHAINS, TABLE};
use crate::firewall::Ruleset;
use netlink_bindings::nftables::{
    IterableChainAttrs, IterableRuleAttrs, IterableSetAttrs, IterableSetelemAttrs, Nfgenmsg,
    Request, TableFlags,
};
use netlink_socket2::{NetlinkSocket, ReplyError};
use std::collections::BTreeMap;
use std::io;

/// Flags that say who may change the table. Any other flag changes what the table does.
pub(super) const OWNERSHIP: u32 = TableFlags::Owner as u32 | TableFlags::Persist as u32;

/// Our table at one generation of the tables.
pub(super) struct Observed {
    /// The generation.
    pub(super) genid: u32,
    /// The table, if it is there.
    pub(super) table: Option<Table>,
}

/// The table as it is.
pub(super) struct Table {
    pub(super) flags: u32,
    /// Netlink port of the process that owns it.
    pub(super) owner: Option<u32>,
    chains: Vec<Chain>,
    /// The sets that are made as we make them, and what is in them.
    pub(super) sets: BTreeMap<Set, Elements>,
    /// The name of one that is not.
    odd_set: Option<String>,
}

struct Chain {
    name: String,
    /// As one of ours: its hook, type, priority and policy.
    is: Option<&'static BaseChain>,
    rules: Vec<Vec<Expr>>,
    dropped: u64,
}

/// Generation of all tables: it changes with every change of any of them.
pub(super) fn genid(socket: &mut NetlinkSocket) -> Result<u32, ReplyError> {
    let request = Request::new().op_getgen_do(&Nfgenmsg::new());
    let mut reply = socket.request(&request)?;
    let (_, generation) = reply.recv_one()?;
    Ok(generation.get_id()?)
}

/// Reads our table; again if somebody changed the tables meanwhile.
pub(super) fn observe(socket: &mut NetlinkSocket) -> Result<Observed, ReplyError> {
    let mut genid_before = genid(socket)?;
    for _ in 0..8 {
        let table = table(socket)?;
        let genid = genid(socket)?;
        if genid == genid_before {
            return Ok(Observed { genid, table });
        }
        genid_before = genid;
    }
    Err(io::Error::other("the tables are being changed all the time").into())
}

fn table(socket: &mut NetlinkSocket) -> Result<Option<Table>, ReplyError> {
    let mut request = Request::new().op_gettable_do(&inet());
    request.encode().push_name_bytes(TABLE.as_bytes());
    let (flags, owner) = match socket.request(&request)?.recv_one() {
        Ok((_, table)) => (table.get_flags().unwrap_or(0), table.get_owner().ok()),
        Err(e) if e.as_io_error().raw_os_error() == Some(libc::ENOENT) => return Ok(None),
        Err(e) => return Err(e),
    };
    let mut chains = chains(socket)?;
    let mut request = Request::new().op_getrule_dump(&inet());
    request.encode().push_table_bytes(TABLE.as_bytes());
    let mut reply = socket.request(&request)?;
    while let Some(rule) = reply.recv() {
        let (_, rule) = rule?;
        let chain = rule.get_chain().ok().and_then(|name| name.to_str().ok());
        if let Some(chain) = chains.iter_mut().find(|c| Some(c.name.as_str()) == chain) {
            let (exprs, dropped) = instructions(&rule);
            chain.rules.push(exprs);
            chain.dropped += dropped;
        }
    }
    drop(reply);
    let (mut sets, mut odd_set) = (BTreeMap::new(), None);
    for name in set_names(socket)? {
        match name {
            Ok(set) => drop(sets.insert(set, elements(socket, &set)?)),
            Err(odd) => odd_set = Some(odd),
        }
    }
    Ok(Some(Table { flags, owner, chains, sets, odd_set }))
}

/// Our sets, and the names of those that we would not make so.
fn set_names(socket: &mut NetlinkSocket) -> Result<Vec<Result<Set, String>>, ReplyError> {
    let mut request = Request::new().op_getset_dump(&inet());
    request.encode().push_table_bytes(TABLE.as_bytes());
    let mut reply = socket.request(&request)?;
    let mut names = Vec::new();
    while let Some(set) = reply.recv() {
        let (_, set) = set?;
        let name = set.get_name().map(|name| name.to_string_lossy().into_owned());
        let name = name.unwrap_or_default();
        names.push(Set::named(&name).filter(|ours| is_plain(&set, ours)).ok_or(name));
    }
    Ok(names)
}

/// No map, no ranges, no timeouts, nothing done with each element.
fn is_plain(set: &IterableSetAttrs<'_>, ours: &Set) -> bool {
    set.get_key_len().ok() == Some(ours.len())
        && set.get_flags().unwrap_or(0) == 0
        && set.get_timeout().is_err()
        && set.get_expr().next().is_none()
        && set.get_expressions().is_err()
}

fn elements(socket: &mut NetlinkSocket, set: &Set) -> Result<Elements, ReplyError> {
    let mut request = Request::new().op_getsetelem_dump(&inet());
    let list = request.encode().push_table_bytes(TABLE.as_bytes());
    drop(list.push_set_bytes(set.name().as_bytes()));
    let mut reply = socket.request(&request)?;
    let mut elements = Elements::new();
    while let Some(list) = reply.recv() {
        let (_, list) = list?;
        for element in list.get_elements()?.get_elem() {
            elements.insert(element_bytes(&element));
        }
    }
    Ok(elements)
}

/// What is no element of ours becomes one that we never have.
fn element_bytes(element: &IterableSetelemAttrs<'_>) -> Vec<u8> {
    let plain = element.get_flags().is_err()
        && element.get_timeout().is_err()
        && element.get_expr().is_err()
        && element.get_expressions().is_err();
    let key = element.get_key().ok().filter(|_| plain);
    key.and_then(|key| key.get_value().ok()).map(<[u8]>::to_vec).unwrap_or_default()
}

fn instructions(rule: &IterableRuleAttrs<'_>) -> (Vec<Expr>, u64) {
    match rule.get_expressions() {
        Ok(list) => (decode(list), packets(list)),
        Err(_) => (Vec::new(), 0),
    }
}

fn chains(socket: &mut NetlinkSocket) -> Result<Vec<Chain>, ReplyError> {
    let request = Request::new().op_getchain_dump(&inet());
    let mut reply = socket.request(&request)?;
    let mut chains = Vec::new();
    while let Some(chain) = reply.recv() {
        let (_, chain) = chain?;
        if chain.get_table().is_ok_and(|table| table.to_bytes() == TABLE.as_bytes()) {
            let name = chain.get_name().map(|n| n.to_string_lossy().into_owned());
            let name = name.unwrap_or_default();
            let is = CHAINS.iter().find(|base| is_base(&chain, &name, base));
            chains.push(Chain { name, is, rules: Vec::new(), dropped: 0 });
        }
    }
    Ok(chains)
}

fn is_base(chain: &IterableChainAttrs<'_>, name: &str, base: &BaseChain) -> bool {
    let Ok(hook) = chain.get_hook() else { return false };
    name == base.name
        && hook.get_num().ok() == Some(base.hook)
        && hook.get_priority().ok() == Some(base.priority)
        && chain.get_policy().ok() == Some(base.policy)
        && chain.get_type().is_ok_and(|kind| kind.to_bytes() == base.kind.as_bytes())
}

impl Observed {
    /// How the table differs from what is wanted, in words; nothing if it does not.
    pub(super) fn difference(&self, wanted: &Ruleset) -> Option<String> {
        let Some(table) = &self.table else {
            return Some(format!("the nftables table `inet {TABLE}` is not there"));
        };
        let lines = lines(wanted);
        table
            .misshapen()
            .or_else(|| table.chains.iter().find_map(|chain| chain.differs(&lines)))
            .or_else(|| table.sets_differ(wanted))
    }
}

impl Table {
    /// What no change of rules can mend: the table must be made anew.
    pub(super) fn misshapen(&self) -> Option<String> {
        let in_table = |what: &str| Some(format!("in the nftables table `inet {TABLE}` {what}"));
        if self.flags & !OWNERSHIP != 0 {
            return in_table("a flag is set that switches it off");
        }
        if let Some(chain) = self.chains.iter().find(|chain| chain.is.is_none()) {
            return in_table(&format!("the chain `{}` is not as guestnetd makes it", chain.name));
        }
        if let Some(name) = &self.odd_set {
            return in_table(&format!("the set `{name}` is not as guestnetd makes it"));
        }
        let there = |base: &&BaseChain| !self.chains.iter().any(|chain| chain.name == base.name);
        let missing = CHAINS.iter().find(there)?;
        in_table(&format!("the chain `{}` is not there", missing.name))
    }

    fn sets_differ(&self, wanted: &Ruleset) -> Option<String> {
        let wanted = sets(wanted);
        let name = wanted
            .keys()
            .chain(self.sets.keys())
            .find(|set| self.sets.get(*set) != wanted.get(*set))?;
        let name = name.name();
        Some(format!("in the nftables table `inet {TABLE}` the set `{name}` is not guestnetd's"))
    }

    /// Packets that our rules have dropped.
    pub(super) fn dropped(&self) -> u64 {
        self.chains.iter().map(|chain| chain.dropped).sum()
    }
}

impl Chain {
    fn differs(&self, lines: &[Line]) -> Option<String> {
        let wanted = lines.iter().filter(|rule| chain_of(rule.hook).name == self.name);
        let wanted: Vec<_> = wanted.map(compile).collect();
        if self.rules == wanted {
            return None;
        }
        let at = self.rules.iter().zip(&wanted).take_while(|(is, should)| is == should).count();
        Some(format!(
            "in the nftables table `inet {TABLE}` rule {} of {} in chain `{}` is not guestnetd's",
            at + 1,
            self.rules.len().max(wanted.len()),
            self.name
        ))
    }
}
