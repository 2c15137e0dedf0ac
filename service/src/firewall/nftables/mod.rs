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
mod expr;
mod foreign;
mod layout;
mod observe;
mod probe;
mod socket;
mod text;

use super::{Drift, FirewallError, Hook, Ruleset};
use batch::Batch;
use layout::{changes, lines, sets, Elements};
use netlink_bindings::nftables::{TableFlags, VerdictCode};
use netlink_socket2::NetlinkSocket;
use observe::{observe, Observed, OWNERSHIP};
use socket::{Refusal, Socket};
use std::collections::BTreeMap;

pub use foreign::{foreign_forward_policy, foreign_forward_rule};
pub use text::text;

/// Our table's name, in the `inet` family.
pub const TABLE: &str = "guestnet";
/// How often a transaction is tried while others change the tables.
const ATTEMPTS: usize = 4;
/// The flag that makes a table outlive its owner.
const PERSIST: u32 = TableFlags::Persist as u32;

/// A chain that hangs on a hook of the kernel.
struct BaseChain {
    name: &'static str,
    kind: &'static str,
    hook: u32,
    priority: i32,
    priority_name: &'static str,
    policy: u32,
}

const CHAINS: [BaseChain; 4] = [
    BaseChain {
        name: "forward",
        kind: "filter",
        hook: libc::NF_INET_FORWARD as u32,
        priority: libc::NF_IP_PRI_FILTER,
        priority_name: "filter",
        policy: VerdictCode::Accept as u32,
    },
    BaseChain {
        name: "input",
        kind: "filter",
        hook: libc::NF_INET_LOCAL_IN as u32,
        priority: libc::NF_IP_PRI_FILTER,
        priority_name: "filter",
        policy: VerdictCode::Accept as u32,
    },
    BaseChain {
        name: "prerouting",
        kind: "nat",
        hook: libc::NF_INET_PRE_ROUTING as u32,
        priority: libc::NF_IP_PRI_NAT_DST,
        priority_name: "dstnat",
        policy: VerdictCode::Accept as u32,
    },
    BaseChain {
        name: "postrouting",
        kind: "nat",
        hook: libc::NF_INET_POST_ROUTING as u32,
        priority: libc::NF_IP_PRI_NAT_SRC,
        priority_name: "srcnat",
        policy: VerdictCode::Accept as u32,
    },
];

fn chain_of(hook: Hook) -> &'static BaseChain {
    let [forward, input, prerouting, postrouting] = &CHAINS;
    match hook {
        Hook::Forward => forward,
        Hook::Input => input,
        Hook::Prerouting => prerouting,
        Hook::Postrouting => postrouting,
    }
}

/// nf_tables, through two sockets that are kept.
pub struct Nftables {
    reader: NetlinkSocket,
    /// The table belongs to this one.
    writer: Socket,
    ownership: u32,
    known: Option<Known>,
}

/// What the table holds, as long as the tables are of this generation.
struct Known {
    genid: u32,
    ruleset: Ruleset,
}

impl Nftables {
    fn unchecked() -> Result<Self, Refusal> {
        Ok(Self {
            writer: Socket::open()?,
            reader: NetlinkSocket::new(),
            ownership: 0,
            known: None,
        })
    }

    /// Makes the kernel have these rules, whatever it has now. Does nothing if it has them.
    pub fn apply(&mut self, wanted: &Ruleset) -> Result<(), FirewallError> {
        if self.apply_to_known(wanted) {
            return Ok(());
        }
        let ownership = self.ownership;
        let there = |have: &Observed| {
            let as_we_own_it =
                have.table.as_ref().is_some_and(|table| table.flags & OWNERSHIP == ownership);
            as_we_own_it && have.difference(wanted).is_none()
        };
        for _ in 0..ATTEMPTS {
            match self.transact(there, |have, batch| fill(have, batch, ownership, wanted))? {
                Done::Changed => {}
                Done::Nothing { genid } => {
                    self.known = Some(Known { genid, ruleset: wanted.clone() });
                    return Ok(());
                }
            }
        }
        let now = self.observe()?.difference(wanted);
        now.map_or(Ok(()), |text| Err(FirewallError::Verify(text)))
    }

    /// The same: what is there can always be read.
    pub fn reapply(&mut self, wanted: &Ruleset) -> Result<(), FirewallError> {
        self.apply(wanted)
    }

    /// The short way: nobody has changed any table since it was last known to be as we left it, and
    /// only elements differ. Tells whether all is done; where it is not, the long way is taken,
    /// which says why.
    fn apply_to_known(&mut self, wanted: &Ruleset) -> bool {
        let Some(known) = self.known.take() else { return false };
        if observe::genid(&mut self.reader).ok() != Some(known.genid) {
            return false;
        }
        let Some(changes) = changes(&known.ruleset, wanted) else { return false };
        if changes.is_empty() {
            self.known = Some(known);
            return true;
        }
        let mut batch = Batch::begin(&mut self.writer, known.genid);
        for (set, (gone, new)) in &changes {
            batch.elements(set, gone, new);
        }
        if batch.commit(&self.writer).is_err() {
            return false;
        }
        // What others did in the same moment makes it another one.
        let genid = known.genid.checked_add(1).unwrap_or(1);
        self.known = Some(Known { genid, ruleset: wanted.clone() });
        true
    }

    /// Removes our table, if it is there.
    pub fn clear(&mut self) -> Result<(), FirewallError> {
        self.known = None;
        self.transact(|have| have.table.is_none(), |_, batch| batch.delete_table()).map(drop)
    }

    /// One transaction from what is there to what should be, unless that is there already; again
    /// if somebody changed the tables between the look and the leap. Tells whether there was one.
    fn transact(
        &mut self,
        there: impl Fn(&Observed) -> bool,
        mut fill: impl FnMut(&Observed, &mut Batch),
    ) -> Result<Done, FirewallError> {
        for _ in 0..ATTEMPTS {
            let have = self.observe()?;
            if there(&have) {
                return Ok(Done::Nothing { genid: have.genid });
            }
            let mut batch = Batch::begin(&mut self.writer, have.genid);
            fill(&have, &mut batch);
            match batch.commit(&self.writer) {
                Ok(()) => return Ok(Done::Changed),
                Err(e) if e.errno == Some(libc::ERESTART) => {}
                Err(e) => return Err(refused(&have, &e)),
            }
        }
        Err(FirewallError::Netlink {
            what: format!("changing the table `inet {TABLE}`"),
            cause: format!("others changed the tables {ATTEMPTS} times meanwhile"),
        })
    }

    /// What differs from these rules in the kernel.
    pub fn drift(&mut self, wanted: &Ruleset) -> Result<Option<Drift>, FirewallError> {
        Ok(self.observe()?.difference(wanted).map(Drift::Changed))
    }

    /// Packets that our rules have dropped since they were last changed.
    pub fn dropped(&mut self) -> Result<u64, FirewallError> {
        Ok(self.observe()?.table.map_or(0, |table| table.dropped()))
    }

    fn observe(&mut self) -> Result<Observed, FirewallError> {
        observe(&mut self.reader).map_err(|e| FirewallError::Netlink {
            what: format!("reading the table `inet {TABLE}`"),
            cause: e.to_string(),
        })
    }
}

/// What became of a transaction.
enum Done {
    /// It was made.
    Changed,
    /// It was not needed.
    Nothing {
        /// The tables' generation.
        genid: u32,
    },
}

/// From what is there to what is wanted.
fn fill(have: &Observed, batch: &mut Batch, ownership: u32, wanted: &Ruleset) {
    // A table that was made without ownership cannot be given it.
    let kept = have
        .table
        .as_ref()
        .filter(|table| table.misshapen().is_none() && (table.flags ^ ownership) & PERSIST == 0);
    if have.table.is_some() && kept.is_none() {
        batch.delete_table();
    }
    batch.table(ownership);
    for base in &CHAINS {
        batch.chain(base);
    }
    batch.flush();
    let (nothing, none) = (BTreeMap::new(), Elements::new());
    let (there, sets) = (kept.map_or(&nothing, |table| &table.sets), sets(wanted));
    for set in there.keys().filter(|set| !sets.contains_key(set)) {
        batch.delete_set(set);
    }
    for (set, elements) in &sets {
        batch.set(set);
        batch.elements(set, there.get(set).unwrap_or(&none), elements);
    }
    for line in &lines(wanted) {
        batch.rule(chain_of(line.hook).name, &expr::compile(line));
    }
}

/// Removes the table of an earlier guestnetd where this one does without nf_tables.
pub(super) fn clear_leftovers() -> Result<(), FirewallError> {
    let mut this = Nftables::unchecked().map_err(unavailable)?;
    // No nf_tables, no table.
    match observe::genid(&mut this.reader) {
        Ok(_) => this.clear(),
        Err(_) => Ok(()),
    }
}

fn unavailable(e: Refusal) -> FirewallError {
    FirewallError::Unavailable(format!("nf_tables does not work here: {e}"))
}

fn refused(have: &Observed, e: &Refusal) -> FirewallError {
    let what = format!("changing the table `inet {TABLE}`");
    let owner = have.table.as_ref().and_then(|table| table.owner);
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
