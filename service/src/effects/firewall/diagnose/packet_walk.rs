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

//! What becomes of guests' packets in the chains of others. Pure.
//!
//! A packet is known in part only, so that a rule holds for it surely, perhaps or not. Only a rule
//! that surely holds is said to drop it: one that asks for more (a protocol, a mark, a rate) drops
//! some packets, which is its business.

use crate::firewall::iptables::chain;
use crate::firewall::iptables::entries::{Chain, Entry, Extension, Target};
use crate::spec::Subnet;
use std::net::Ipv4Addr;

/// What is known of some packets.
#[derive(Clone, Debug)]
pub struct Packets {
    /// The interface that they come in by, as iptables writes it, if it is known.
    pub input: Option<String>,
    /// The one that they leave by.
    pub output: Option<String>,
    /// The subnet that they come from.
    pub source: Option<Subnet>,
    /// The subnet that they go to.
    pub destination: Option<Subnet>,
    /// Whether they are replies, and not the first of their connections.
    pub replies: bool,
}

/// Where packets are dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// In this chain.
    pub chain: String,
    /// By the rule with this number, from 1; by the policy if there is none.
    pub rule: Option<usize>,
    /// Packets that the rule or the policy has seen, of whomever.
    pub packets: u64,
    /// Whether no rule before it may have let them pass.
    pub surely: bool,
}

/// Deeper than chains are nested, and longer than a packet's way is.
const DEEPEST: usize = 32;
const LONGEST: usize = 100_000;

/// Whether these packets are dropped in the chain of a hook, before they come to a chain of which
/// `ends` says that it decides.
pub fn dropped(
    chains: &[Chain],
    hook: &str,
    packets: &Packets,
    ends: &dyn Fn(&str) -> bool,
) -> Option<Dropped> {
    let root = chain(chains, hook)?;
    let mut walk = Walk { chains, packets, ends, surely: true, steps: 0 };
    match walk.through(root, 0) {
        Outcome::Dropped(dropped) => Some(dropped),
        Outcome::Decided => None,
        Outcome::Through => (root.end == Target::Drop).then(|| Dropped {
            chain: root.name.clone(),
            rule: None,
            packets: root.end_packets,
            surely: walk.surely,
        }),
    }
}

struct Walk<'a> {
    chains: &'a [Chain],
    packets: &'a Packets,
    ends: &'a dyn Fn(&str) -> bool,
    /// Nothing so far may have let the packets pass.
    surely: bool,
    steps: usize,
}

enum Outcome {
    /// They pass, or come to where others decide.
    Decided,
    Dropped(Dropped),
    /// They come to the end of the chain.
    Through,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Holds {
    No,
    Perhaps,
    Surely,
}

impl Walk<'_> {
    fn through(&mut self, chain: &Chain, depth: usize) -> Outcome {
        for (at, rule) in chain.rules.iter().enumerate() {
            self.steps += 1;
            if depth > DEEPEST || self.steps > LONGEST {
                return Outcome::Decided; // no table of the kernel's
            }
            let holds = self.holds(rule);
            if holds == Holds::No {
                continue;
            }
            let surely = holds == Holds::Surely;
            match &rule.target {
                Target::Accept if surely => return Outcome::Decided,
                Target::Return if surely => return Outcome::Through,
                Target::Accept | Target::Return => self.surely = false,
                target if refuses(target) && surely => {
                    return Outcome::Dropped(Dropped {
                        chain: chain.name.clone(),
                        rule: Some(at + 1),
                        packets: rule.packets,
                        surely: self.surely,
                    });
                }
                Target::Jump(to) | Target::Goto(to) => {
                    let outcome = self.enter(to, depth);
                    match outcome {
                        Outcome::Through if !matches!(rule.target, Target::Goto(_)) => {}
                        outcome if surely => return outcome,
                        // What is dropped there is dropped for more than being a guest's.
                        Outcome::Dropped(_) => {}
                        Outcome::Decided | Outcome::Through => self.surely = false,
                    }
                }
                _ => {}
            }
        }
        Outcome::Through
    }

    fn enter(&mut self, name: &str, depth: usize) -> Outcome {
        if (self.ends)(name) {
            return Outcome::Decided;
        }
        match chain(self.chains, name) {
            Some(chain) => self.through(chain, depth + 1),
            None => Outcome::Through,
        }
    }

    fn holds(&self, rule: &Entry) -> Holds {
        use Holds::*;
        let negated = |bit: u8, holds| match (rule.inverted & bit != 0, holds) {
            (true, No) => Surely,
            (true, Surely) => No,
            (_, holds) => holds,
        };
        let interface = |bit, asked: &str, has: &Option<String>| match asked {
            "" => Surely,
            asked => negated(bit, has.as_ref().map_or(Perhaps, |has| named(asked, has))),
        };
        let address = |bit, asked: &(Vec<u8>, Vec<u8>), has: Option<Subnet>| match subnet(asked) {
            Some(None) => Surely,
            Some(Some(asked)) => negated(bit, has.map_or(Perhaps, |has| within(asked, has))),
            None => Perhaps,
        };
        let more = match rule.inverted & !NEGATIONS == 0 && rule.flags == 0 && rule.protocol == 0 {
            true => Surely,
            false => Perhaps,
        };
        let conditions = [
            more,
            interface(NOT_INPUT, &rule.input, &self.packets.input),
            interface(NOT_OUTPUT, &rule.output, &self.packets.output),
            address(NOT_SOURCE, &rule.source, self.packets.source),
            address(NOT_DESTINATION, &rule.destination, self.packets.destination),
        ];
        let matches = rule.matches.iter().map(|module| match module.name.as_str() {
            "comment" => Surely,
            "conntrack" => match states(module) {
                Some(states) if states & state(self.packets.replies) != 0 => Surely,
                Some(_) => No,
                None => Perhaps,
            },
            _ => Perhaps,
        });
        conditions.into_iter().chain(matches).min().unwrap_or(Surely)
    }
}

/// `IPT_INV_VIA_IN` and so on.
const NOT_INPUT: u8 = 0x01;
const NOT_OUTPUT: u8 = 0x02;
const NOT_SOURCE: u8 = 0x08;
const NOT_DESTINATION: u8 = 0x10;
const NEGATIONS: u8 = NOT_INPUT | NOT_OUTPUT | NOT_SOURCE | NOT_DESTINATION;

fn refuses(target: &Target) -> bool {
    match target {
        Target::Drop => true,
        Target::Module(module) => module.name == "REJECT",
        _ => false,
    }
}

/// Whether interfaces that are named so have the name that is asked for.
fn named(asked: &str, has: &str) -> Holds {
    let parts = |text: &'_ str| match text.strip_suffix('+') {
        Some(beginning) => (beginning.to_owned(), true),
        None => (text.to_owned(), false),
    };
    let ((asked, any_asked), (has, any)) = (parts(asked), parts(has));
    match (any_asked, any) {
        (true, _) if has.starts_with(&asked) => Holds::Surely,
        (false, false) if asked == has => Holds::Surely,
        (_, true) if asked.starts_with(&has) => Holds::Perhaps,
        _ => Holds::No,
    }
}

/// Whether addresses of a subnet are in the one that is asked for.
fn within(asked: Subnet, has: Subnet) -> Holds {
    match asked.overlaps(&has) {
        false => Holds::No,
        true if asked.prefix() <= has.prefix() => Holds::Surely,
        true => Holds::Perhaps,
    }
}

/// None: not an IPv4 subnet. Some(None): any address.
fn subnet((address, mask): &(Vec<u8>, Vec<u8>)) -> Option<Option<Subnet>> {
    if mask.iter().chain(address).all(|byte| *byte == 0) {
        return Some(None);
    }
    let address: [u8; 4] = address.as_slice().try_into().ok()?;
    let mask: [u8; 4] = mask.as_slice().try_into().ok()?;
    let prefix = u32::from_be_bytes(mask).leading_ones() as u8;
    let subnet = Subnet::containing(Ipv4Addr::from(address), prefix)?;
    (subnet.mask().octets() == mask && subnet.network().octets() == address).then_some(Some(subnet))
}

/// `xt_conntrack_mtinfo3.match_flags`, `.invert_flags`, `.state_mask`; the first two revisions have
/// a byte for the last.
const MATCH_FLAGS: usize = 146;
const INVERT_FLAGS: usize = 148;
const STATE_MASK: usize = 150;
const XT_CONNTRACK_STATE: u8 = 1;
const ESTABLISHED: u8 = 1 << 1;
const NEW: u8 = 1 << 3;

/// The states that a `conntrack` asks for, if it asks for nothing else.
fn states(module: &Extension) -> Option<u8> {
    let byte = |at: usize| module.data.get(at).copied();
    let flags = [MATCH_FLAGS + 1, INVERT_FLAGS, INVERT_FLAGS + 1];
    let by_state =
        byte(MATCH_FLAGS)? == XT_CONNTRACK_STATE && flags.into_iter().all(|at| byte(at) == Some(0));
    let high = module.revision >= 2 && byte(STATE_MASK + 1)? != 0;
    byte(STATE_MASK).filter(|_| by_state && !high)
}

/// The state of a reply, or of the first packet of a connection.
fn state(reply: bool) -> u8 {
    if reply {
        ESTABLISHED
    } else {
        NEW
    }
}
