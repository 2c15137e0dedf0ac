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

pub mod diagnose;
pub mod iptables;
mod leftovers;
#[cfg(not(target_os = "android"))]
pub mod nftables;
pub mod trace;
mod unopened;

use crate::ordered::OrderedMap;
use iptables::Iptables;
use leftovers::Leftovers;
#[cfg(not(target_os = "android"))]
use nftables::Nftables;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Instant;
use unopened::Unopened;

pub use crate::error::FirewallError;
pub use crate::model::ruleset::{
    Family, GuestSubnet, Hook, Interface, Match, Network, Protocol, Rule, Ruleset, Strangers,
    Verdict,
};
pub use crate::model::world::Backend;

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

/// Packets of guests that our rules have dropped, by their host ends' names. Who is not in it had none.
pub type Drops = OrderedMap<String, u64>;

/// One way to put the rules into the kernel. Every call takes as long as the kernel or the programs
/// take, milliseconds to some tens of them.
pub trait Engine: Send {
    /// Which way it is.
    fn backend(&self) -> Backend;

    /// Makes the kernel have these rules, whatever it has now. Does nothing if it has them as this
    /// process wrote them.
    fn apply(&mut self, wanted: &Ruleset) -> Result<(), FirewallError>;

    /// The same while nobody waits for its end: programs may take longer.
    fn start(&mut self, wanted: &Ruleset) -> Result<(), FirewallError> {
        self.apply(wanted)
    }

    /// What differs from these rules in the kernel, in words; nothing if it has them as this process
    /// wrote them. Rules that it has not written are not compared, and differ.
    fn drift(&mut self, wanted: &Ruleset) -> Result<Option<String>, FirewallError>;

    /// Removes all that is ours. Fine if nothing is there.
    fn clear(&mut self) -> Result<(), FirewallError>;

    /// Packets that our rules have dropped since they were last changed.
    fn dropped(&mut self) -> Result<u64, FirewallError>;

    /// The same for each guest. None: this way cannot tell whose they were.
    fn drops(&mut self) -> Result<Option<Drops>, FirewallError> {
        Ok(None)
    }

    /// The ruleset as this way puts it: commands, or the table as `nft` lists it.
    fn text(&self, ruleset: &Ruleset) -> String;

    /// Why the kernel's rules cannot be read, where they can be written. Then [`drift`](Self::drift)
    /// runs a program for each jump to our chains, and sees only that one is lost.
    fn unseen(&self) -> Option<&str> {
        None
    }

    /// The programs that it runs; none: it runs none.
    fn programs(&self) -> Option<&iptables::Programs> {
        None
    }

    /// What limits guests' connections and the kernel has not, by its modules' names: the rules are
    /// without it.
    fn lacks(&self) -> Vec<String> {
        Vec::new()
    }
}

/// The packet filter of the network namespace that it was opened in.
pub struct Firewall {
    engine: Box<dyn Engine>,
    /// The other way may have been taken before: its rules go once ours are in place. None: they are gone.
    leftovers: Option<Leftovers>,
}

impl Firewall {
    /// Finds a way that can do all that is needed, and says why it is this one. Changes nothing.
    pub fn open(options: &Options) -> Result<(Self, String), FirewallError> {
        let program = options.iptables.as_deref();
        let iptables = |why: &str| {
            let firewall = match Iptables::open(program) {
                Err(e) if e.is_stuck() => {
                    log::warn!("firewall: {e}; it is looked for again when it is needed");
                    Unopened::new(program, e).into()
                }
                other => other?.into(),
            };
            Ok((firewall, why.to_owned()))
        };
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
            Choice::Auto => match diagnose::netd_is_there() {
                true => iptables(
                    "netd's chains are there, and nf_tables lets nothing pass that they drop",
                ),
                false => nftables("nf_tables answers and can masquerade").or_else(|first| {
                    iptables(&first.to_string()).map_err(|second| neither(first, second))
                }),
            },
        }
    }

    /// See [`Engine::start`].
    pub fn start(&mut self, wanted: &Ruleset) -> Result<(), FirewallError> {
        self.engine.start(wanted)
    }

    /// See [`Engine::apply`].
    pub fn apply(&mut self, wanted: &Ruleset) -> Result<(), FirewallError> {
        self.engine.apply(wanted)
    }

    /// See [`Engine::drift`].
    pub fn drift(&mut self, wanted: &Ruleset) -> Result<Option<String>, FirewallError> {
        self.engine.drift(wanted)
    }

    /// When [`clear_leftovers`](Self::clear_leftovers) is due; none: nothing is left.
    pub fn leftovers_due(&self) -> Option<Instant> {
        self.leftovers.as_ref().map(Leftovers::due)
    }

    /// Why rules of a run of guestnetd that took the other way could not be removed; they drop what they do
    /// not know. None: there are none, or nobody has tried.
    pub fn leftovers(&self) -> Option<&str> {
        self.leftovers.as_ref().and_then(Leftovers::cause)
    }

    /// Removes them, for which programs may be run. Not before ours are in place.
    pub fn clear_leftovers(&mut self) {
        let Some(left) = self.leftovers.take() else { return };
        let cleared: Result<(), FirewallError> = match self.engine.backend() {
            #[cfg(not(target_os = "android"))]
            Backend::Nftables => iptables::clear_leftovers(),
            #[cfg(not(target_os = "android"))]
            Backend::Iptables => nftables::clear_leftovers(),
            // Android's kernels have no nf_tables.
            #[cfg(target_os = "android")]
            _ => Ok(()),
        };
        self.leftovers = left.after(cleared, Instant::now());
    }

    /// See [`Engine::unseen`].
    pub fn unseen(&self) -> Option<&str> {
        self.engine.unseen()
    }

    /// See [`Engine::programs`].
    pub fn programs(&self) -> Option<&iptables::Programs> {
        self.engine.programs()
    }

    /// See [`Engine::lacks`].
    pub fn lacks(&self) -> Vec<String> {
        self.engine.lacks()
    }

    /// See [`Engine::clear`].
    pub fn clear(&mut self) -> Result<(), FirewallError> {
        self.clear_leftovers();
        self.engine.clear()
    }

    /// See [`Engine::dropped`].
    pub fn dropped(&mut self) -> Result<u64, FirewallError> {
        self.engine.dropped()
    }

    /// See [`Engine::drops`].
    pub fn drops(&mut self) -> Result<Option<Drops>, FirewallError> {
        self.engine.drops()
    }

    /// See [`Engine::backend`].
    pub fn backend(&self) -> Backend {
        self.engine.backend()
    }

    /// See [`Engine::text`].
    pub fn text(&self, ruleset: &Ruleset) -> String {
        self.engine.text(ruleset)
    }
}

impl<E: Engine + 'static> From<E> for Firewall {
    fn from(engine: E) -> Self {
        Self { engine: Box::new(engine), leftovers: Some(Leftovers::since(Instant::now())) }
    }
}

/// An address, and a port where there is one, as both programs write them.
fn with_port(address: IpAddr, port: Option<u16>) -> String {
    match port {
        None => address.to_string(),
        Some(port) => SocketAddr::new(address, port).to_string(),
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
