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

//! The ruleset in nf_tables, over netlink, as one table of our own: `inet guestnet`.
//! Replaces that table as a whole in one transaction and never touches another.
//!
//! Where the kernel can (6.9 and later) the table is owned by this process and outlives it: while
//! we run nobody else can change it, and a crash leaves the guests with their rules. Ownership
//! without outliving is never asked for: the rules would go with the process.

mod batch;
mod dump;
mod encode;
mod layout;
mod probe;
mod socket;
mod text;
pub(super) mod trace;

use super::{Backend, Drops, Engine, FirewallError, Hook, Ruleset};
use crate::ordered::IntoOrdered;
use batch::Batch;
#[cfg(feature = "fuzzing")]
pub(crate) use dump::read_messages;
use dump::{dump, Dump, Shape};
use layout::{arrivals, lines, moved, names, sets, Able, Counted, Elements, Line, Set};
use netlink_bindings::nftables::TableFlags;
use netlink_socket2::{NetlinkSocket, ReplyError};
use socket::{Refusal, Socket};
use std::borrow::Cow;

pub use text::text;

/// Our table's name, in the `inet` family.
pub const TABLE: &str = "guestnet";
/// The object in it that says how long guests' TCP connections stay when they are closed.
const CLOSED: &str = "closed";
/// How often a transaction is tried while others change the tables.
const ATTEMPTS: usize = 8;
/// The flags of a table that only its owner may change, and that outlives it.
const OWNERSHIP: u32 = TableFlags::Owner as u32 | TableFlags::Persist as u32;

/// A chain that hangs on a hook of the kernel; its policy is accept.
struct BaseChain {
    name: &'static str,
    kind: &'static str,
    hook: u32,
    hook_name: &'static str,
    priority: i32,
    priority_name: &'static str,
}

const CHAINS: [BaseChain; 6] = [
    BaseChain {
        name: "ingress",
        kind: "filter",
        hook: libc::NF_INET_PRE_ROUTING as u32,
        hook_name: "prerouting",
        // Fragments are put together at -400.
        priority: libc::NF_IP_PRI_CONNTRACK_DEFRAG - 50,
        priority_name: "-450",
    },
    BaseChain {
        name: "forward",
        kind: "filter",
        hook: libc::NF_INET_FORWARD as u32,
        hook_name: "forward",
        priority: libc::NF_IP_PRI_FILTER,
        priority_name: "filter",
    },
    BaseChain {
        name: "input",
        kind: "filter",
        hook: libc::NF_INET_LOCAL_IN as u32,
        hook_name: "input",
        priority: libc::NF_IP_PRI_FILTER,
        priority_name: "filter",
    },
    BaseChain {
        name: "prerouting",
        kind: "nat",
        hook: libc::NF_INET_PRE_ROUTING as u32,
        // The first chain that binds a connection decides its NAT: before others', and iptables'.
        hook_name: "prerouting",
        priority: libc::NF_IP_PRI_NAT_DST - 1,
        priority_name: "dstnat - 1",
    },
    BaseChain {
        name: "postrouting",
        kind: "nat",
        hook: libc::NF_INET_POST_ROUTING as u32,
        hook_name: "postrouting",
        priority: libc::NF_IP_PRI_NAT_SRC - 1,
        priority_name: "srcnat - 1",
    },
    BaseChain {
        name: "egress",
        kind: "filter",
        hook: libc::NF_INET_POST_ROUTING as u32,
        hook_name: "postrouting",
        // Behind all source NAT.
        priority: libc::NF_IP_PRI_NAT_SRC + 1,
        priority_name: "srcnat + 1",
    },
];

fn chain_of(hook: Hook) -> &'static BaseChain {
    let [ingress, forward, input, prerouting, postrouting, egress] = &CHAINS;
    match hook {
        Hook::Ingress => ingress,
        Hook::Forward => forward,
        Hook::Input => input,
        Hook::Prerouting => prerouting,
        Hook::Postrouting => postrouting,
        Hook::Output | Hook::Egress => egress,
    }
}

/// nf_tables, through two sockets that are kept.
pub struct Nftables {
    reader: NetlinkSocket,
    /// The table belongs to this one.
    writer: Socket,
    ownership: u32,
    /// Whether the kernel can count connections.
    counts: bool,
    /// What else it can do.
    able: Able,
    known: Option<Known>,
}

/// What was written, and what the kernel showed right afterwards.
struct Known {
    /// As long as the tables are of this generation nothing has changed.
    genid: u32,
    ruleset: Ruleset,
    lines: Vec<Line>,
    shape: Shape,
}

impl Nftables {
    fn unchecked() -> Result<Self, Refusal> {
        Ok(Self {
            writer: Socket::open()?,
            reader: NetlinkSocket::new(),
            ownership: 0,
            counts: true,
            able: Able { forgets: true, tells: true },
            known: None,
        })
    }

    /// What is there, and how it differs from what was written. Reads no table where none has changed.
    fn look(&mut self) -> Result<Now, FirewallError> {
        if let Some(Known { genid, .. }) = self.known {
            if dump::genid(&mut self.reader).ok() == Some(genid) {
                return Ok(Now::unchanged(genid));
            }
        }
        let Dump { genid, table } = self.dump()?;
        let difference = match (&mut self.known, &table) {
            (_, None) => Some(format!("the nftables table `inet {TABLE}` is not there")),
            (None, Some(_)) => Some(in_table("the rules are not this guestnetd's")),
            (Some(known), Some(table)) => match known.differs(table) {
                Some(what) => Some(in_table(&format!("{what} is not guestnetd's"))),
                None => {
                    known.genid = genid;
                    None
                }
            },
        };
        let owner = table.as_ref().and_then(|table| table.owner);
        Ok(Now { genid, is_there: table.is_some(), owner, difference })
    }

    /// The rules that this kernel can have.
    fn possible<'a>(&self, wanted: &'a Ruleset) -> Cow<'a, Ruleset> {
        match self.counts {
            true => Cow::Borrowed(wanted),
            false => Cow::Owned(Ruleset { connections: None, ..wanted.clone() }),
        }
    }

    /// Makes the table with what is in it whatever the rules are.
    fn found(&self, batch: &mut Batch) {
        batch.table(self.ownership);
        if self.able.forgets {
            batch.closed();
        }
        CHAINS.iter().for_each(|base| batch.chain(base));
        batch.chains_of_drops();
    }

    fn dump(&mut self) -> Result<Dump, FirewallError> {
        dump(&mut self.reader).map_err(|e| unread(&e))
    }
}

impl Engine for Nftables {
    fn backend(&self) -> Backend {
        Backend::Nftables
    }

    fn apply(&mut self, wanted: &Ruleset) -> Result<(), FirewallError> {
        let wanted = &*self.possible(wanted);
        for attempt in 1..=ATTEMPTS {
            // What differs from what was written is sent without a look before: where anybody has changed
            // something since, the kernel refuses a batch of that generation.
            let written = self.known.as_ref().filter(|known| known.ruleset != *wanted);
            let now = match written.filter(|_| attempt == 1) {
                Some(known) => Now::unchanged(known.genid),
                None => self.look()?,
            };
            let from = self.known.as_ref().filter(|_| now.difference.is_none());
            if from.is_some_and(|known| known.ruleset == *wanted) {
                return Ok(());
            }
            // Of a guest that comes or goes no rule says anything.
            let stay = from.is_some_and(|known| known.ruleset.is_but_for_guests(wanted, true));
            let lines = if stay { Default::default() } else { lines(wanted, self.able) };
            let mut batch = Batch::begin(&mut self.writer, now.genid);
            if from.is_none() && now.is_there {
                batch.delete_table();
            }
            let rules = !stay && from.map_or(true, |known| known.lines != lines);
            if from.is_none() {
                self.found(&mut batch);
            }
            fill(&mut batch, from, wanted, rules.then_some(&lines));
            match batch.commit(&self.writer) {
                Ok(()) => {}
                Err(e) if e.errno == Some(libc::ERESTART) => continue,
                Err(e) => return Err(refused(now.owner, &e)),
            }
            let ours = now.genid.checked_add(1).unwrap_or(1);
            let (genid, shape, lines) = match self.known.take().filter(|_| !rules) {
                // Only elements have changed.
                Some(known) => (ours, known.shape, known.lines),
                None => {
                    let Dump { genid, table } = self.dump()?;
                    let table = table.unwrap_or_default();
                    // Others may have been at it in between.
                    if genid != ours && attempt < ATTEMPTS {
                        continue;
                    }
                    let should = lines.len() + Counted::RULES;
                    if table.rules != should {
                        let is = table.rules;
                        return Err(FirewallError::Verify(in_table(&format!(
                            "{is} rules are there and not {should}"
                        ))));
                    }
                    (genid, table.shape, lines)
                }
            };
            self.known = Some(Known { genid, ruleset: wanted.clone(), lines, shape });
            return Ok(());
        }
        Err(too_busy())
    }

    fn clear(&mut self) -> Result<(), FirewallError> {
        self.known = None;
        for _ in 0..ATTEMPTS {
            let now = self.look()?;
            if !now.is_there {
                return Ok(());
            }
            let mut batch = Batch::begin(&mut self.writer, now.genid);
            batch.delete_table();
            match batch.commit(&self.writer) {
                Ok(()) => return Ok(()),
                Err(e) if e.errno == Some(libc::ERESTART) => {}
                Err(e) => return Err(refused(now.owner, &e)),
            }
        }
        Err(too_busy())
    }

    fn drift(&mut self, wanted: &Ruleset) -> Result<Option<String>, FirewallError> {
        let wanted = &*self.possible(wanted);
        let now = self.look()?;
        let others = || {
            let other = self.known.as_ref().is_some_and(|known| known.ruleset != *wanted);
            other.then(|| in_table("other rules were written"))
        };
        Ok(now.difference.or_else(others))
    }

    fn dropped(&mut self) -> Result<u64, FirewallError> {
        dump::dropped(&mut self.reader).map_err(|e| unread(&e))
    }

    fn drops(&mut self) -> Result<Option<Drops>, FirewallError> {
        match dump::drops(&mut self.reader) {
            Ok(drops) => Ok(Some(drops)),
            Err(e) => Err(unread(&e)),
        }
    }

    fn text(&self, ruleset: &Ruleset) -> String {
        text::of(&self.possible(ruleset), self.able)
    }

    fn lacks(&self) -> Vec<String> {
        // What is not counted is not forgotten either.
        let missing = match (self.counts, self.able) {
            (true, Able { forgets: true, tells: true }) => return Vec::new(),
            (true, Able { forgets: true, .. }) => "nft_log or nft_numgen",
            (true, _) => "CONFIG_NF_CONNTRACK_TIMEOUT",
            (false, _) => "nft_connlimit",
        };
        vec![missing.to_owned()]
    }
}

/// What is there at one generation of the tables.
struct Now {
    genid: u32,
    is_there: bool,
    /// Netlink port of the process that owns the table.
    owner: Option<u32>,
    /// How it differs from what was written, in words.
    difference: Option<String>,
}

impl Now {
    /// What was written is there.
    fn unchanged(genid: u32) -> Self {
        Self { genid, is_there: true, owner: None, difference: None }
    }
}

impl Known {
    /// What in the table is not as it was written.
    fn differs(&self, table: &dump::Table) -> Option<String> {
        let (was, is) = (&self.shape, &table.shape);
        let same = was.iter().zip(is).take_while(|(was, is)| was == is).count();
        if let Some((what, _)) = is.get(same).or(was.get(same)) {
            return Some(what.clone());
        }
        let sets = sets(&self.ruleset);
        // What a packet adds is not compared.
        let differs =
            |set: &&Set| !set.kind.is_dynamic() && table.elements.get(&set.name()) != sets.get(set);
        let other = sets.keys().find(differs);
        other.map(|set| format!("what is in the set `{}`", set.name()))
    }
}

/// Writes what leads to this ruleset from what was written, or from an empty table; `lines` are its rules where
/// they change.
fn fill(batch: &mut Batch, from: Option<&Known>, wanted: &Ruleset, lines: Option<&Vec<Line>>) {
    if from.is_some() && lines.is_some() {
        batch.flush();
    }
    let nothing = Ruleset::default();
    let before = from.map_or(&nothing, |known| &known.ruleset);
    let [mut gone, new] = moved(before, wanted);
    if lines.is_some() {
        let there = from.map(|known| names(&known.ruleset)).unwrap_or_default();
        let sets = names(wanted);
        for set in there.difference(&sets) {
            batch.delete_set(set);
            gone.remove(set);
        }
        sets.difference(&there).for_each(|set| batch.set(set));
    }
    let none = Elements::new();
    for set in gone.keys().chain(new.keys()).into_set() {
        batch.elements(set, gone.get(set).unwrap_or(&none), new.get(set).unwrap_or(&none));
    }
    if from.is_some() {
        batch.forget(&Set::DROPPED, &arrivals(before, wanted));
    }
    if let Some(lines) = lines {
        batch.drops();
        lines.iter().for_each(|line| batch.rule(line));
    }
}

fn in_table(what: &str) -> String {
    format!("in the nftables table `inet {TABLE}` {what}")
}

fn too_busy() -> FirewallError {
    FirewallError::Netlink {
        what: format!("changing the table `inet {TABLE}`"),
        cause: format!("others changed the tables {ATTEMPTS} times meanwhile"),
    }
}

/// Removes the table of an earlier guestnetd where this one does without nf_tables.
pub(super) fn clear_leftovers() -> Result<(), FirewallError> {
    match Nftables::connected() {
        Ok(mut this) => this.clear(),
        // No nf_tables, no table.
        Err(e) if e.is_of_lack() => Ok(()),
        Err(e) => Err(unavailable(e)),
    }
}

fn unread(e: &ReplyError) -> FirewallError {
    let what = format!("reading the table `inet {TABLE}`");
    FirewallError::Netlink { what, cause: e.to_string() }
}

fn unavailable(e: Refusal) -> FirewallError {
    FirewallError::Unavailable(format!("nf_tables does not work here: {e}"))
}

fn refused(owner: Option<u32>, e: &Refusal) -> FirewallError {
    let what = format!("changing the table `inet {TABLE}`");
    let cause = match owner {
        Some(port) if e.errno == Some(libc::EPERM) => {
            format!("{e}: it belongs to {}; stop that first", process(port))
        }
        _ => e.to_string(),
    };
    FirewallError::Netlink { what, cause }
}

/// The process that opened a netlink port, as well as it can be told: the kernel gives a process's
/// first socket its pid as the port.
fn process(port: u32) -> String {
    match std::fs::read_to_string(format!("/proc/{port}/comm")) {
        Ok(name) => format!("process {port} ({})", name.trim_end()),
        Err(_) => format!("the process with the netlink port {port}"),
    }
}
