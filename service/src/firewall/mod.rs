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

//! The packet filter: one pure ruleset, two ways to put it into the kernel.
//! Never edits a chain or a table that is not guestnetd's own, never changes rule by rule.

pub mod foreign;
pub mod iptables;
#[cfg(not(target_os = "android"))]
pub mod nftables;

use iptables::Iptables;
#[cfg(not(target_os = "android"))]
use nftables::Nftables;
use std::path::PathBuf;
use std::str::FromStr;

pub use crate::model::ruleset::{
    Family, GuestSubnet, Hook, Interface, Match, Rule, Ruleset, Verdict,
};

/// Which way to take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// nf_tables if it can do all that is needed, else iptables. On Android always iptables.
    #[default]
    Auto,
    /// nf_tables or nothing.
    Nftables,
    /// iptables or nothing.
    Iptables,
}

impl FromStr for Choice {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "nftables" => Ok(Self::Nftables),
            "iptables" => Ok(Self::Iptables),
            _ => Err(format!("{text:?} is none of auto, nftables, iptables")),
        }
    }
}

/// What the caller wants of the packet filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Which way to take.
    pub choice: Choice,
    /// The program `iptables`, by its path; `ip6tables` is beside it. None: the system's.
    pub iptables: Option<PathBuf>,
}

impl From<Choice> for Options {
    fn from(choice: Choice) -> Self {
        Self { choice, iptables: None }
    }
}

/// Which way was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// nf_tables, over netlink.
    Nftables,
    /// x_tables, through the program `iptables`.
    Iptables,
}

/// The packet filter of the network namespace that it was opened in. Every call takes as long as
/// the kernel or the programs take, milliseconds to some tens of them.
pub struct Firewall {
    engine: Engine,
    /// The other way may have been taken before: its rules go once ours are in place.
    leftovers: bool,
}

enum Engine {
    #[cfg(not(target_os = "android"))]
    Nftables(Nftables),
    Iptables(Iptables),
}

/// The same call on whichever engine it is.
macro_rules! either {
    ($engine:expr, $it:ident => $call:expr) => {
        match $engine {
            #[cfg(not(target_os = "android"))]
            Engine::Nftables($it) => $call,
            Engine::Iptables($it) => $call,
        }
    };
}

impl Firewall {
    /// Finds a way that can do all that is needed, and says why it is this one. Changes nothing.
    pub fn open(options: &Options) -> Result<(Self, String), FirewallError> {
        let program = options.iptables.as_deref();
        let iptables = |why: &str| Ok((Iptables::open(program)?.into(), why.to_owned()));
        match options.choice {
            Choice::Nftables if program.is_some() => Err(FirewallError::Unavailable(
                "--iptables names a program that nf_tables does without: leave it out, or use \
                 --firewall iptables"
                    .to_owned(),
            )),
            Choice::Iptables => iptables("asked for"),
            Choice::Auto if program.is_some() => iptables("its program is named"),
            #[cfg(target_os = "android")]
            Choice::Nftables => Err(FirewallError::Unavailable(
                "nf_tables is not in Android's kernels: use --firewall iptables".to_owned(),
            )),
            #[cfg(target_os = "android")]
            Choice::Auto => iptables("Android's kernels have no nf_tables"),
            #[cfg(not(target_os = "android"))]
            Choice::Nftables => nftables("asked for"),
            #[cfg(not(target_os = "android"))]
            Choice::Auto => match iptables::netd_is_there() {
                true => iptables(
                    "netd's chains are there, and nf_tables lets nothing pass that they drop",
                ),
                false => nftables("nf_tables answers and can masquerade").or_else(|first| {
                    iptables(&first.to_string()).map_err(|second| neither(first, second))
                }),
            },
        }
    }

    /// [`apply`](Self::apply) while nobody waits for its end: programs may take longer.
    pub fn start(&mut self, wanted: &Ruleset) -> Result<(), FirewallError> {
        match &mut self.engine {
            #[cfg(not(target_os = "android"))]
            Engine::Nftables(it) => it.apply(wanted),
            Engine::Iptables(it) => it.start(wanted),
        }?;
        self.clear_leftovers();
        Ok(())
    }

    /// Makes the kernel have these rules, whatever it has now. Does nothing if it has them.
    pub fn apply(&mut self, wanted: &Ruleset) -> Result<(), FirewallError> {
        either!(&mut self.engine, it => it.apply(wanted))?;
        self.clear_leftovers();
        Ok(())
    }

    /// The same; but where the kernel's rules can be written and not read (see [`Drift`]), `apply`
    /// takes what it has written to be there, and only puts back lost jumps: this writes it all.
    pub fn reapply(&mut self, wanted: &Ruleset) -> Result<(), FirewallError> {
        either!(&mut self.engine, it => it.reapply(wanted))?;
        self.clear_leftovers();
        Ok(())
    }

    /// What differs from these rules in the kernel; nothing if it has them.
    pub fn drift(&mut self, wanted: &Ruleset) -> Result<Option<Drift>, FirewallError> {
        either!(&mut self.engine, it => it.drift(wanted))
    }

    /// Removes all that is ours. Fine if nothing is there.
    pub fn clear(&mut self) -> Result<(), FirewallError> {
        self.clear_leftovers();
        either!(&mut self.engine, it => it.clear())
    }

    /// Packets that our rules have dropped since they were last changed.
    pub fn dropped(&mut self) -> Result<u64, FirewallError> {
        either!(&mut self.engine, it => it.dropped())
    }

    /// Which way was taken.
    pub fn backend(&self) -> Backend {
        match &self.engine {
            #[cfg(not(target_os = "android"))]
            Engine::Nftables(_) => Backend::Nftables,
            Engine::Iptables(_) => Backend::Iptables,
        }
    }

    /// The ruleset as this way puts it: commands, or the table as `nft` lists it.
    pub fn text(&self, ruleset: &Ruleset) -> String {
        match &self.engine {
            #[cfg(not(target_os = "android"))]
            Engine::Nftables(_) => nftables::text(ruleset),
            Engine::Iptables(it) => it.commands(ruleset).join("\n") + "\n",
        }
    }

    /// Removes, once, what a run of guestnetd that took the other way has left.
    fn clear_leftovers(&mut self) {
        if std::mem::take(&mut self.leftovers) {
            if let Err(e) = self.engine.clear_the_others() {
                log::warn!("rules of an earlier guestnetd are left: {e}");
            }
        }
    }
}

impl Engine {
    /// Removes our rules that another engine has made.
    fn clear_the_others(&self) -> Result<(), FirewallError> {
        match self {
            #[cfg(not(target_os = "android"))]
            Self::Nftables(_) => iptables::clear_leftovers(),
            #[cfg(not(target_os = "android"))]
            Self::Iptables(_) => nftables::clear_leftovers(),
            #[cfg(target_os = "android")]
            Self::Iptables(_) => Ok(()),
        }
    }
}

#[cfg(not(target_os = "android"))]
impl From<Nftables> for Firewall {
    fn from(nftables: Nftables) -> Self {
        Self { engine: Engine::Nftables(nftables), leftovers: true }
    }
}

impl From<Iptables> for Firewall {
    fn from(iptables: Iptables) -> Self {
        Self { engine: Engine::Iptables(iptables), leftovers: true }
    }
}

/// Waits until every packet that has been let out by rules that are gone has left. A packet goes
/// through FORWARD and POSTROUTING within one read-side section of RCU, and this is the call that
/// waits for all of them. Where the kernel has it not, it is as it is everywhere else.
fn wait_for_packets_on_their_way() {
    const MEMBARRIER_CMD_GLOBAL: libc::c_int = 1;
    // SAFETY: takes numbers only, and touches no memory.
    let done = unsafe { libc::syscall(libc::SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) };
    if done != 0 {
        log::debug!("membarrier: {}", std::io::Error::last_os_error());
    }
}

#[cfg(not(target_os = "android"))]
fn nftables(why: &str) -> Result<(Firewall, String), FirewallError> {
    Ok((Nftables::open()?.into(), why.to_owned()))
}

#[cfg(not(target_os = "android"))]
fn neither(nftables: FirewallError, iptables: FirewallError) -> FirewallError {
    match (nftables, iptables) {
        (FirewallError::NoNat(a), FirewallError::NoNat(b)) => {
            FirewallError::NoNat(format!("nf_tables: {a}; iptables: {b}"))
        }
        (a, b) => FirewallError::Unavailable(format!("{a}; {b}")),
    }
}

/// Why the packet filter could not be programmed or read.
#[derive(Debug, thiserror::Error)]
pub enum FirewallError {
    /// It cannot be programmed or read here.
    #[error("{0}")]
    Unavailable(String),
    /// It can be programmed, but this process may not read it.
    #[error("{0}")]
    Unreadable(String),
    /// The kernel has the filter but no NAT.
    #[error("the kernel has no IPv4 NAT ({0}): enable CONFIG_NF_NAT and a masquerade target")]
    NoNat(String),
    /// A command failed.
    #[error("`{command}` failed: {cause}")]
    Command {
        /// The command line as it was run.
        command: String,
        /// Exit status and what it said.
        cause: String,
    },
    /// A command hangs, or waits for somebody who does.
    #[error("`{command}` hangs: {cause}; whoever holds the lock of iptables keeps it waiting, or the program itself is stuck")]
    Stuck {
        /// The command line as it was run.
        command: String,
        /// How long it had.
        cause: String,
    },
    /// nf_tables refused.
    #[error("nf_tables: {what}: {cause}")]
    Netlink {
        /// What was asked.
        what: String,
        /// errno and the kernel's own words.
        cause: String,
    },
    /// What was applied is not what is there.
    #[error("after it was applied, {0}")]
    Verify(String),
}

impl FirewallError {
    /// Whether a program hangs: one more would, too.
    pub fn is_stuck(&self) -> bool {
        matches!(self, Self::Stuck { .. })
    }
}

/// What differs between the ruleset and the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Drift {
    /// A hook, chain or table of ours is missing or has other rules; the text names it.
    Changed(String),
    /// The rules cannot be read here; the text says why.
    Unreadable(String),
}
