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

//! What becomes of a packet: the hooks of the packet filter in their order, and the routes between them.
//! Nothing is delivered: who asks is told.

mod expression;
mod ruleset;

pub(crate) use expression::{Outcome, State};
pub use ruleset::Ruleset;

use crate::fib::Flow;
use crate::kernel::Kernel;
use crate::route::T_UNICAST;
use crate::space::Netns;
use crate::xtables::Turn;
use ruleset::Chain;
use std::net::Ipv4Addr;

/// Hooks of IPv4 (linux/netfilter.h).
const PREROUTING: u32 = 0;
const INPUT: u32 = 1;
const FORWARD: u32 = 2;
const POSTROUTING: u32 = 4;

/// A packet of IPv4 that comes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The index of the interface.
    pub input: u32,
    /// Its source.
    pub from: Ipv4Addr,
    /// Its destination.
    pub to: Ipv4Addr,
    /// IPPROTO_*.
    pub protocol: u8,
    /// The ports that it is from and for; of ICMP the type, and 0.
    pub ports: (u16, u16),
    /// What connection tracking knows of it.
    pub connection: Connection,
}

/// A connection that a packet is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    /// It is its first packet.
    New,
    /// It is the answer to this packet, which left as said: source, destination and their ports.
    AnswerTo {
        /// Source and destination as it was sent.
        original: (Ipv4Addr, Ipv4Addr),
        /// Its ports.
        ports: (u16, u16),
    },
}

/// What becomes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The namespace itself takes it.
    Here {
        /// The destination and its port, after what NAT has made of them.
        to: (Ipv4Addr, u16),
    },
    /// It is sent on.
    Sent {
        /// The index of the interface.
        output: u32,
        /// The next hop: a gateway, or the destination.
        via: Ipv4Addr,
        /// The source that it leaves with.
        from: Ipv4Addr,
        /// The destination and its port.
        to: (Ipv4Addr, u16),
    },
    /// The packet filter drops it, in this chain.
    Dropped(String),
    /// Routes refuse it, with this error number; rp_filter and settings of interfaces, too.
    Refused(i32),
    /// The interface that it would leave by is down, or has no carrier.
    NoCarrier(u32),
    /// There is something in a rule that is not simulated.
    Unknown(String),
}

impl Kernel {
    /// What a namespace does with a packet, with this packet filter.
    pub fn packet(&self, netns: Netns, rules: &Ruleset, packet: &Packet) -> Fate {
        match self.walk(netns, rules, packet) {
            Ok(fate) | Err(fate) => fate,
        }
    }

    fn walk(&self, netns: Netns, rules: &Ruleset, packet: &Packet) -> Result<Fate, Fate> {
        let link = self.link(netns, packet.input).map_err(Fate::Refused)?;
        let mut state = State::new(packet, link.name.clone(), link.group);
        self.hook(netns, rules, PREROUTING, &mut state)?;
        // An answer's destination is put back before it is routed (nf_nat_ipv4_pre_routing()).
        if let Connection::AnswerTo { original, ports } = packet.connection {
            (state.to, state.ports.1) = (original.0, ports.0);
        }
        let flow = Flow {
            from: state.from,
            to: state.to,
            input: packet.input,
            mark: state.mark,
            protocol: state.protocol,
            ports: state.ports,
            ..Flow::output()
        };
        let way = self.input(netns, flow).map_err(Fate::Refused)?;
        if way.kind != T_UNICAST {
            self.hook(netns, rules, INPUT, &mut state)?;
            return Ok(Fate::Here { to: (state.to, state.ports.1) });
        }
        let output = self.link(netns, way.index).map_err(Fate::Refused)?;
        state.output = Some((output.index, output.name.clone(), output.group));
        self.hook(netns, rules, FORWARD, &mut state)?;
        state.masquerade_as = self.source_on(netns, way.index, way.via.unwrap_or(state.to), 0);
        self.hook(netns, rules, POSTROUTING, &mut state)?;
        if let Connection::AnswerTo { original, ports } = packet.connection {
            (state.from, state.ports.0) = (original.1, ports.1);
        }
        if !output.is_up() || !output.carrier {
            return Err(Fate::NoCarrier(output.index));
        }
        let (output, via) = (output.index, way.via.unwrap_or(state.to));
        Ok(Fate::Sent { output, via, from: state.from, to: (state.to, state.ports.1) })
    }

    /// All base chains of a hook, and x_tables, by priority.
    fn hook(
        &self,
        netns: Netns,
        rules: &Ruleset,
        hook: u32,
        state: &mut State,
    ) -> Result<(), Fate> {
        let mut xtables = self.space(netns).xtables.turns(hook);
        xtables.sort_by_key(|turn| turn.priority);
        let mut xtables = xtables.into_iter().peekable();
        for (table, chain) in rules.base(hook) {
            let priority = chain.base.as_ref().map_or(0, |base| base.priority);
            while let Some(turn) = xtables.next_if(|turn| turn.priority <= priority) {
                meet(&turn, hook, state)?;
            }
            let nat = chain.base.as_ref().is_some_and(|base| base.nat);
            // Only a connection's first packet comes there.
            if nat && state.is_answer() {
                continue;
            }
            state.tracked = chain.base.as_ref().is_some_and(|base| base.priority > -200);
            state.hook = hook;
            match run(rules, table, chain, state, 0)? {
                Outcome::Accept => {}
                Outcome::Drop => return Err(Fate::Dropped(chain.name.clone())),
                _ if chain.base.as_ref().is_some_and(|base| base.drops) => {
                    return Err(Fate::Dropped(chain.name.clone()));
                }
                _ => {}
            }
        }
        xtables.try_for_each(|turn| meet(&turn, hook, state))
    }
}

/// A table of x_tables.
fn meet(turn: &Turn<'_>, hook: u32, state: &mut State) -> Result<(), Fate> {
    if turn.nat && state.is_answer() {
        return Ok(());
    }
    (state.tracked, state.hook) = (turn.priority > -200, hook);
    match turn.run(state).map_err(Fate::Unknown)? {
        Outcome::Drop => Err(Fate::Dropped(turn.name())),
        _ => Ok(()),
    }
}

/// A chain's rules, one after another.
fn run(
    rules: &Ruleset,
    table: usize,
    chain: &Chain,
    state: &mut State,
    depth: usize,
) -> Result<Outcome, Fate> {
    // NFT_JUMP_STACK_SIZE
    if depth > 16 {
        return Err(Fate::Unknown("too many jumps".into()));
    }
    for rule in &chain.rules {
        match expression::rule(rules, table, rule, state).map_err(Fate::Unknown)? {
            Outcome::Continue | Outcome::Break => {}
            Outcome::Return => return Ok(Outcome::Continue),
            Outcome::Drop => return Err(Fate::Dropped(chain.name.clone())),
            Outcome::Accept => return Ok(Outcome::Accept),
            outcome @ (Outcome::Jump(_) | Outcome::Goto(_)) => {
                let (Outcome::Jump(name) | Outcome::Goto(name)) = &outcome else { continue };
                let to = rules.chain(table, name);
                let to = to.ok_or_else(|| Fate::Unknown(format!("chain {name}")))?;
                let ended = run(rules, table, to, state, depth + 1)?;
                if ended == Outcome::Accept || matches!(outcome, Outcome::Goto(_)) {
                    return Ok(ended);
                }
            }
        }
    }
    Ok(Outcome::Continue)
}
