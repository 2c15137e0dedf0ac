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
//! What a trace is: one probe's packet and its answer, hook by hook, with every rule that they met. Pure.

use std::fmt;
use std::net::Ipv4Addr;

/// The packets that are followed: those of one probe, there and back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// The guest's address.
    pub guest: Ipv4Addr,
    /// Where the probe goes.
    pub to: Ipv4Addr,
    /// IPPROTO_*.
    pub protocol: u8,
    /// The guest's port, or an echo's id.
    pub id: u16,
    /// The port that it goes to; 0: it has none.
    pub port: u16,
}

impl Flow {
    /// Where the transport's header has the id, in bytes.
    pub fn id_offset(&self, answer: bool) -> u32 {
        match (i32::from(self.protocol) == libc::IPPROTO_ICMP, answer) {
            (true, _) => 4,
            (false, false) => 0,
            (false, true) => 2,
        }
    }
}

/// Where chains are hung in, in the order of a packet's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hook {
    /// As a link takes a packet in.
    Ingress,
    /// Before it is routed.
    Prerouting,
    /// To the device itself.
    Input,
    /// Through the device.
    Forward,
    /// From the device itself.
    Output,
    /// After it was routed.
    Postrouting,
    /// As a link sends it.
    Egress,
}

impl Hook {
    /// Of the kernel's number (NF_INET_*).
    pub fn of_inet(number: u32) -> Option<Self> {
        Some(match i32::try_from(number).ok()? {
            libc::NF_INET_PRE_ROUTING => Self::Prerouting,
            libc::NF_INET_LOCAL_IN => Self::Input,
            libc::NF_INET_FORWARD => Self::Forward,
            libc::NF_INET_LOCAL_OUT => Self::Output,
            libc::NF_INET_POST_ROUTING => Self::Postrouting,
            _ => return None,
        })
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ingress => "ingress",
            Self::Prerouting => "prerouting",
            Self::Input => "input",
            Self::Forward => "forward",
            Self::Output => "output",
            Self::Postrouting => "postrouting",
            Self::Egress => "egress",
        })
    }
}

/// Which rule of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The one with this handle (nf_tables).
    Handle(u64),
    /// The one of this number, from 1 on.
    Number(u32),
    /// None: the chain's policy, or its end.
    End,
}

/// A rule that a packet met, and that held for it; or the policy behind them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Whether it is the answer that met it.
    pub answer: bool,
    /// Where.
    pub hook: Hook,
    /// The chains of a hook come in this order.
    pub priority: i32,
    /// Whose it is: `ip`, `inet`, `netdev`; empty for x_tables.
    pub family: String,
    /// The table's name.
    pub table: String,
    /// The chain's.
    pub chain: String,
    /// Which rule.
    pub which: Which,
    /// The rule as its tool prints it; empty where it cannot be read.
    pub rule: String,
    /// What it decided, as its tool writes it.
    pub verdict: String,
    /// The link that the packet came in by; empty: none.
    pub input: String,
    /// The link that it leaves by; empty: not known yet.
    pub output: String,
}

impl Step {
    /// Whether the packet ends here.
    pub fn drops(&self) -> bool {
        ["drop", "reject"].contains(&self.verdict.to_ascii_lowercase().as_str())
    }
}

/// Why the kernel could not be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gap {
    /// It cannot trace, in words.
    NotSupported(String),
    /// guestnetd may not ask it, in words.
    NotPermitted(String),
    /// Somebody else traces, in words.
    Busy(String),
    /// The probe could not be sent, in words.
    NotSent(String),
    /// The packet met no rule that the kernel told of.
    Unseen,
}

/// A trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// The probe, in words.
    pub probe: String,
    /// Why the steps are what the rules say and not what the kernel did; none: the kernel did it.
    pub gap: Option<Gap>,
    /// What the packet met, and then its answer.
    pub steps: Vec<Step>,
}
