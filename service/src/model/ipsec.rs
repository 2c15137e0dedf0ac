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

//! IPsec's policies, as far as they stop packets. One that sends them through a tunnel is a VPN's. Pure.

use std::net::Ipv4Addr;

/// Which packets a policy is about (XFRM_POLICY_*).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// What is for the device.
    In,
    /// What leaves it, its own and what it passes on.
    Out,
    /// What it passes on.
    Forward,
}

impl Direction {
    /// As `ip xfrm policy` has it.
    pub fn word(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
            Self::Forward => "fwd",
        }
    }
}

/// A policy for IPv4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// About which packets.
    pub direction: Direction,
    /// Whether it blocks them.
    pub blocks: bool,
    /// The lowest decides.
    pub priority: u32,
    /// From these.
    pub from: (Ipv4Addr, u8),
    /// To these.
    pub to: (Ipv4Addr, u8),
    /// Their protocol; 0: any.
    pub protocol: u8,
    /// Their ports, from and to, as value and mask.
    pub ports: [(u16, u16); 2],
    /// By this link only; 0: by any.
    pub link: u32,
    /// With this mark only: value and mask.
    pub mark: (u32, u32),
}

/// All policies, the newest first, and what becomes of what no policy is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policies {
    /// They.
    pub all: Vec<Policy>,
    /// Whether what no policy is about is blocked: in, out, forwarded.
    pub others: [bool; 3],
}

/// A packet, as policies see one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// From.
    pub from: Ipv4Addr,
    /// To.
    pub to: Ipv4Addr,
    /// Its protocol.
    pub protocol: u8,
    /// Its ports, where they are known.
    pub ports: [Option<u16>; 2],
    /// The link that it leaves by.
    pub link: Option<u32>,
}

/// What blocks a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Block<'a> {
    /// A policy.
    By(&'a Policy),
    /// What is set for those that none is about.
    ByDefault(Direction),
}

impl Policy {
    /// Whether it is about such a packet, which has no mark; what is not known of one counts as no.
    fn is_about(&self, flow: &Flow) -> bool {
        let within = |(net, length): (Ipv4Addr, u8), address: Ipv4Addr| {
            let mask = u32::MAX.checked_shl(32 - u32::from(length.min(32))).unwrap_or(0);
            (u32::from(net) ^ u32::from(address)) & mask == 0
        };
        let port = |(value, mask): (u16, u16), port: Option<u16>| {
            mask == 0 || port.is_some_and(|port| (port ^ value) & mask == 0)
        };
        within(self.from, flow.from)
            && within(self.to, flow.to)
            && (self.protocol == 0 || self.protocol == flow.protocol)
            && self.ports.iter().zip(flow.ports).all(|(such, is)| port(*such, is))
            && (self.link == 0 || Some(self.link) == flow.link)
            && self.mark.0 & self.mark.1 == 0
    }
}

impl Policies {
    /// What blocks a packet on its way there.
    pub fn block(&self, direction: Direction, flow: &Flow) -> Option<Block<'_>> {
        let about = |policy: &&Policy| policy.direction == direction && policy.is_about(flow);
        // Of the same priority the oldest decides, which comes last.
        match self.all.iter().rev().filter(about).min_by_key(|policy| policy.priority) {
            Some(policy) => policy.blocks.then_some(Block::By(policy)),
            None => self.others[direction as usize].then_some(Block::ByDefault(direction)),
        }
    }
}

impl Block<'_> {
    /// What it is, in words, and what takes it away.
    pub fn words(&self) -> (String, String) {
        match self {
            Self::By(policy) => {
                let Policy { direction, from, to, priority, .. } = policy;
                let is = format!("src {}/{} dst {}/{}", from.0, from.1, to.0, to.1);
                let mut is = format!("dir {} {is}", direction.word());
                if policy.protocol != 0 {
                    is += &format!(" proto {}", policy.protocol);
                }
                let text = format!("IPsec's policy {is} (priority {priority})");
                let same = match policy.ports.iter().all(|(_, mask)| *mask == 0) && policy.link == 0
                {
                    true => format!("ip xfrm policy delete {is}"),
                    false => "`ip xfrm policy` shows it".to_owned(),
                };
                (text, same)
            }
            Self::ByDefault(direction) => {
                let word = direction.word();
                let text = format!("IPsec's default, to block what no policy is about ({word}),");
                (text, format!("ip xfrm policy setdefault {word} accept"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(direction: Direction, to: (Ipv4Addr, u8), blocks: bool, priority: u32) -> Policy {
        let from = (Ipv4Addr::UNSPECIFIED, 0);
        let (protocol, ports, link, mark) = (0, [(0, 0); 2], 0, (0, 0));
        Policy { direction, blocks, priority, from, to, protocol, ports, link, mark }
    }

    #[test]
    fn the_first_policy_that_is_about_a_packet_decides() {
        use Direction::{Forward, Out};
        let guests = (Ipv4Addr::new(172, 17, 0, 0), 16);
        let flow = Flow {
            from: Ipv4Addr::new(203, 0, 113, 80),
            to: Ipv4Addr::new(172, 17, 3, 3),
            protocol: 6,
            ports: [Some(80), None],
            link: None,
        };
        let of = |all: &[Policy]| Policies { all: all.to_vec(), others: [false; 3] };
        let blocks = |all: &[Policy]| of(all).block(Forward, &flow).is_some();
        let block = policy(Forward, guests, true, 5);
        assert!(blocks(std::slice::from_ref(&block)));
        assert!(!blocks(&[policy(Out, guests, true, 5)]), "another direction");
        assert!(!blocks(&[policy(Forward, guests, false, 4), block.clone()]));
        assert!(blocks(&[policy(Forward, guests, false, 6), block.clone()]));
        assert!(!blocks(&[block.clone(), policy(Forward, guests, false, 5)]), "the oldest");
        assert!(!blocks(&[policy(Forward, (Ipv4Addr::new(10, 0, 0, 0), 8), true, 1)]));
        assert!(!blocks(&[Policy { protocol: 17, ..block.clone() }]));
        assert!(blocks(&[Policy { ports: [(80, 0xffff), (0, 0)], ..block.clone() }]));
        assert!(!blocks(&[Policy { ports: [(443, 0xffff), (0, 0)], ..block.clone() }]));
        assert!(!blocks(&[Policy { link: 7, ..block.clone() }]));
        assert!(!blocks(&[Policy { mark: (1, 1), ..block }]), "what has a mark");
        let closed = Policies { all: Vec::new(), others: [false, false, true] };
        assert_eq!(closed.block(Forward, &flow), Some(Block::ByDefault(Forward)));
        assert_eq!(closed.block(Out, &flow), None);
    }
}
