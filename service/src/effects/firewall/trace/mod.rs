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
//! Has the kernel tell which rules one probe's packets meet. nf_tables marks the packets in a table of its
//! own, and tells of its rules by a multicast group; x_tables tells of the same packets by its logger. Where
//! there is no nf_tables, as on Android, a chain in x_tables' `raw` marks them.
//! All of it is there for less than a second, for one trace at a time, and goes with the process or, in
//! x_tables, with the next start.
//!
//! | module | what | touches |
//! |---|---|---|
//! | [`messages`] | the bytes that are told | nothing |
//! | [`rules`] | the rules as their tools print them | reads |
//! | [`logger`] | x_tables' logger: set, listened to, put back | the kernel |
//! | `nftables/trace.rs` | the table that marks packets | the kernel |
//! | `iptables/trace.rs` | the chain that does it | runs `iptables` |

pub mod logger;
pub mod messages;
pub mod rules;

use super::diagnose::chains::{Filters, Label};
use super::diagnose::device::Device;
use super::diagnose::journey::{self, Guest, Probe};
#[cfg(not(target_os = "android"))]
use super::iptables::read::is_in_use;
use super::iptables::trace::{self as xtables, TraceChain};
use super::iptables::Programs;
#[cfg(not(target_os = "android"))]
use super::nftables::trace::{clear_trace, has_nftables, TraceTable, TRACE_TABLE};
#[cfg(not(target_os = "android"))]
use super::Family;
use crate::effects::kernel::link;
use crate::effects::kernel::netlink::message::Messages;
use crate::effects::kernel::netlink::Netlink;
use crate::model::if_index::IfIndex;
use crate::model::trace::{Flow, Gap, Step, Which};
use crate::store::Store;
use logger::Logger;
use messages::{Bases, Known, Told};
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use rtnetlink::sys::Socket;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::time::Duration;

/// `NFNLGRP_NFTRACE` (linux/netfilter/nfnetlink.h).
#[cfg(not(target_os = "android"))]
const NFNLGRP_NFTRACE: u32 = 9;
/// More than a packet and its answer meet.
const MOST: usize = 4096;

/// One trace at a time: the table has one name, and the logger one listener.
static TRACING: Mutex<()> = Mutex::new(());

/// A trace that runs until this is dropped.
pub struct Tracer {
    flow: Flow,
    heard: Option<Socket>,
    logger: Option<Logger>,
    told: Vec<Told>,
    _rules: TracingRules,
    _only: MutexGuard<'static, ()>,
}

/// What has packets traced, until it is dropped.
enum TracingRules {
    #[cfg(not(target_os = "android"))]
    Nftables {
        _table: TraceTable,
    },
    Iptables {
        _chain: TraceChain,
    },
}

impl Tracer {
    /// Begins to trace the packets of a flow, in this network namespace. `programs` are those that write
    /// x_tables' rules, if guests' rules are there.
    pub fn open(
        flow: Flow,
        store: &Arc<Store>,
        programs: Option<&Programs>,
        filters: &Filters,
    ) -> Result<Self, Gap> {
        let only = match TRACING.try_lock() {
            Ok(only) => only,
            Err(TryLockError::Poisoned(only)) => only.into_inner(),
            Err(TryLockError::WouldBlock) => {
                return Err(Gap::Busy("another trace of guestnetd's is running".to_owned()))
            }
        };
        match programs.filter(|_| is_alone(filters)) {
            Some(programs) => Self::by_xtables(flow, store, programs, only),
            None => Self::by_nftables(flow, store, only),
        }
    }

    fn by_xtables(
        flow: Flow,
        store: &Arc<Store>,
        programs: &Programs,
        only: MutexGuard<'static, ()>,
    ) -> Result<Self, Gap> {
        let logger = Some(Logger::take(store)?);
        let chain = TraceChain::open(programs, &flow).map_err(|e| {
            let text = format!("cannot write the rules that trace: {e}");
            if e.is_stuck() {
                Gap::Busy(text)
            } else {
                Gap::NotSupported(text)
            }
        })?;
        let rules = TracingRules::Iptables { _chain: chain };
        Ok(Self { flow, heard: None, logger, told: Vec::new(), _rules: rules, _only: only })
    }

    #[cfg(not(target_os = "android"))]
    fn by_nftables(
        flow: Flow,
        store: &Arc<Store>,
        only: MutexGuard<'static, ()>,
    ) -> Result<Self, Gap> {
        let heard = subscribe().map_err(|e| gap("listen to nf_tables' traces", &e))?;
        let logger = match legacy_is_in_use() {
            true => Some(Logger::take(store)?),
            false => None,
        };
        let table = TraceTable::open(&flow).map_err(|e| {
            gap(&format!("make the nftables table {TRACE_TABLE}"), &errno_of(e.errno))
        })?;
        let (heard, rules) = (Some(heard), TracingRules::Nftables { _table: table });
        Ok(Self { flow, heard, logger, told: Vec::new(), _rules: rules, _only: only })
    }

    /// Android's kernels have no nf_tables.
    #[cfg(target_os = "android")]
    fn by_nftables(_: Flow, _: &Arc<Store>, _: MutexGuard<'static, ()>) -> Result<Self, Gap> {
        Err(Gap::NotSupported("iptables does not answer, and there is no nf_tables".to_owned()))
    }

    /// The sockets to poll; `read` takes what they have.
    pub fn sockets(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let sockets = self.heard.iter().chain(self.logger.as_ref().map(Logger::socket));
        // SAFETY: the descriptor is open for as long as its socket is, which is borrowed for as long.
        sockets.map(|socket| unsafe { BorrowedFd::borrow_raw(socket.as_raw_fd()) })
    }

    /// Takes what has been told, and waits for more no longer than this.
    pub fn read(&mut self, patience: Duration) {
        let millis = u16::try_from(patience.as_millis()).unwrap_or(u16::MAX);
        let mut fds: Vec<_> =
            self.sockets().map(|socket| PollFd::new(socket, PollFlags::POLLIN)).collect();
        let _ = poll(&mut fds, PollTimeout::from(millis));
        drop(fds);
        let mut buffer = Vec::with_capacity(64 << 10);
        for socket in self.heard.iter().chain(self.logger.as_ref().map(Logger::socket)) {
            while self.told.len() < MOST {
                buffer.clear();
                match socket.recv_from(&mut buffer, 0) {
                    // Only the kernel has port 0.
                    Ok((_, sender)) if sender.port_number() != 0 => {}
                    Ok(_) => self.told.extend(Messages(&buffer).filter_map(|m| messages::told(&m))),
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Err(_) => break,
                }
            }
        }
    }

    /// What the packet and its answer have met up to now.
    pub fn steps(&self, filters: &Filters, netlink: &Netlink) -> Vec<Step> {
        let mut rules = rules::Rules::default();
        let decides = |table: &str, chain: &str, which| rules.decides(table, chain, which);
        let link = |index: IfIndex| {
            let link = link::by_index(netlink, index).ok().flatten();
            link.map_or_else(|| index.to_string(), |link| link.name)
        };
        let known = Known { bases: bases(filters), decides: &decides, link: &link };
        let mut steps = messages::steps(&self.told, &self.flow, &known);
        steps.retain(|step| !is_the_traces(step));
        rules.fill(&mut steps);
        steps
    }
}

/// What the rules say that a probe's packet and its answer meet, where the kernel cannot be asked.
pub fn predict(filters: &Filters, device: &dyn Device, guest: &Guest, probe: Probe) -> Vec<Step> {
    let mut rules = rules::Rules::default();
    let path = journey::path(filters, device, guest, probe);
    let mut steps: Vec<Step> = path
        .into_iter()
        .map(|(answer, place, verdict)| {
            let number = place.rule.and_then(|number| u32::try_from(number).ok());
            let which = number.map_or(Which::End, Which::Number);
            let (family, table, verdict) = match place.table {
                Label::Nftables { family, name } => (family.to_owned(), name, verdict),
                Label::Iptables(table) => {
                    let verdict = rules.decides(&table, &place.chain, which);
                    (String::new(), table, verdict)
                }
            };
            let (hook, chain, rule) = (place.hook, place.chain, String::new());
            let (priority, input, output) = (0, String::new(), String::new());
            Step {
                answer,
                hook,
                priority,
                family,
                table,
                chain,
                which,
                rule,
                verdict,
                input,
                output,
            }
        })
        .collect();
    rules.fill(&mut steps);
    steps
}

/// Removes what a guestnetd has left that was killed while it traced.
pub fn clear(store: &Store, logger: Option<&str>, programs: Option<&Programs>) {
    logger::put_back(store, logger);
    if let Some(programs) = programs {
        xtables::clear_trace(programs);
    }
}

/// The same of nf_tables.
pub fn clear_table() {
    #[cfg(not(target_os = "android"))]
    clear_trace();
}

/// Whether x_tables is all that decides here: Android's kernels have no nf_tables. Elsewhere that is not
/// brought in where nobody uses it, unless x_tables' `raw` would be.
#[cfg(target_os = "android")]
fn is_alone(_: &Filters) -> bool {
    true
}

#[cfg(not(target_os = "android"))]
fn is_alone(filters: &Filters) -> bool {
    let of_nftables = |label: &Label| matches!(label, Label::Nftables { .. });
    !filters.tables.iter().any(|table| of_nftables(&table.label))
        && (is_in_use(Family::V4, "raw") || !has_nftables())
}

/// Whether a rule is one of those that have packets traced.
fn is_the_traces(step: &Step) -> bool {
    #[cfg(not(target_os = "android"))]
    if step.table == TRACE_TABLE {
        return true;
    }
    step.chain == xtables::CHAIN || step.verdict == format!("jump {}", xtables::CHAIN)
}

#[cfg(not(target_os = "android"))]
fn subscribe() -> io::Result<Socket> {
    use rtnetlink::sys::{protocols::NETLINK_NETFILTER, SocketAddr};

    let mut socket = Socket::new(NETLINK_NETFILTER)?;
    socket.bind(&SocketAddr::new(0, 0))?;
    socket.set_non_blocking(true)?;
    socket.add_membership(NFNLGRP_NFTRACE)?;
    Ok(socket)
}

/// Whether x_tables has a table here, by iptables-legacy or netd's iptables.
#[cfg(not(target_os = "android"))]
fn legacy_is_in_use() -> bool {
    ["raw", "mangle", "nat", "filter", "security"].iter().any(|table| is_in_use(Family::V4, table))
}

#[cfg(not(target_os = "android"))]
fn errno_of(errno: i32) -> io::Error {
    io::Error::from_raw_os_error(errno)
}

/// Why something of a trace's failed.
fn gap(what: &str, e: &io::Error) -> Gap {
    let text = format!("cannot {what}: {e}");
    match e.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => Gap::NotPermitted(text),
        Some(libc::EBUSY | libc::EEXIST) => Gap::Busy(text),
        _ => Gap::NotSupported(text),
    }
}

/// Where nf_tables' chains hang in.
fn bases(filters: &Filters) -> Bases {
    let mut bases = Bases::new();
    for table in &filters.tables {
        let Label::Nftables { family, name } = &table.label else { continue };
        let family = match *family {
            "ip" => libc::NFPROTO_IPV4,
            "netdev" => libc::NFPROTO_NETDEV,
            _ => libc::NFPROTO_INET,
        };
        for chain in &table.chains {
            if let Some(base) = &chain.base {
                // Enough bytes for a constant that is below 256.
                let key = (family as u8, name.clone(), chain.name.clone());
                bases.insert(key, (base.hook, base.priority));
            }
        }
    }
    bases
}
