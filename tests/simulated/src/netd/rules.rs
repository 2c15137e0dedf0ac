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

//! netd's routing rules as its RouteController sends them to the kernel: of IPv4, and none of the network that
//! leads nowhere (tests/src/netd/rules.rs has them all). Never looks up main.

use crate::wire::Message;

const RTM_NEWRULE: u16 = 32;
const RTM_DELRULE: u16 = 33;
/// Without NLM_F_EXCL: netd adds the new rule before it deletes the old one.
const CREATE: u16 = 0x0405;
const DELETE: u16 = 0x0005;
const TO_TABLE: u8 = 1;
const UNREACHABLE: u8 = 7;
const PROHIBIT: u8 = 8;

/// The table of the device's own networks, and older ones that are empty.
pub const LOCAL_NETWORK: u32 = 97;
const LEGACY_NETWORK: u32 = 98;
const LEGACY_SYSTEM: u32 = 99;
/// Added to an interface's index, its table; since Android 13 another one, of what a VPN leaves out.
const OF_INTERFACE: u32 = 1000;
const LOCAL_ROUTES: u32 = 1_000_000_000;

/// Bits of a packet's mark: who has chosen a network, and who may go past a VPN.
const EXPLICIT: u32 = 0x1_0000;
const PROTECTED: u32 = 0x2_0000;
const NETWORK: u32 = 0xffff;
/// The device's users, but for root; and root.
const USERS: (u32, u32) = (0, 99_999);
const ROOT: (u32, u32) = (0, 0);

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    priority: u32,
    action: u8,
    table: u32,
    /// Mark and mask.
    mark: (u32, u32),
    input: Option<&'static str>,
    output: Option<&'static str>,
    users: Option<(u32, u32)>,
}

fn rule(priority: u32, mark: (u32, u32), table: u32) -> Rule {
    let (action, input, output, users) = (TO_TABLE, None, None, None);
    Rule { priority, action, table, mark, input, output, users }
}

impl Rule {
    /// Of what the device itself sends.
    fn own(self) -> Self {
        Self { input: Some("lo"), ..self }
    }

    fn by(self, output: &'static str) -> Self {
        Self { output: Some(output), ..self.own() }
    }

    fn of(self, users: (u32, u32)) -> Self {
        Self { users: Some(users), ..self.own() }
    }

    /// What asks for it, or for its end.
    pub fn message(&self, gone: bool) -> Message {
        let (kind, flags) = if gone { (RTM_DELRULE, DELETE) } else { (RTM_NEWRULE, CREATE) };
        let header = [2, 0, 0, 0, 0, 0, 0, self.action, 0, 0, 0, 0];
        let mut message = Message::new(kind, flags, &header).with(6, &self.priority.to_ne_bytes());
        if self.table != 0 {
            message = message.with(15, &self.table.to_ne_bytes());
        }
        if self.mark.1 != 0 {
            let (mark, mask) = self.mark;
            message = message.with(10, &mark.to_ne_bytes()).with(16, &mask.to_ne_bytes());
        }
        if let Some((first, last)) = self.users {
            message = message.with(20, &[first.to_ne_bytes(), last.to_ne_bytes()].concat());
        }
        for (kind, name) in [(3, self.input), (17, self.output)] {
            if let Some(name) = name {
                message = message.with(kind, &crate::wire::name(name));
            }
        }
        message
    }
}

/// The table of an interface.
pub fn table(index: i32) -> u32 {
    OF_INTERFACE + index as u32
}

/// The interface whose table it is, and which of the two.
pub fn of_table(table: u32) -> Option<(i32, &'static str)> {
    let of = |base: u32| table.checked_sub(base).filter(|index| (1..10_000).contains(index));
    let local = of(LOCAL_ROUTES).map(|index| (index as i32, "local routes of"));
    local.or_else(|| of(OF_INTERFACE).map(|index| (index as i32, "table of")))
}

/// RouteController's own, in the order in which it adds them.
pub fn at_start() -> Vec<Rule> {
    let unreachable = Rule { action: UNREACHABLE, ..rule(32_000, (0, 0), 0) };
    vec![
        rule(18_000, (0, EXPLICIT), LEGACY_SYSTEM),
        rule(19_000, (0, EXPLICIT), LEGACY_NETWORK),
        rule(10_000, (0xc_0000, 0xd_0000), LEGACY_SYSTEM),
        rule(16_000, (EXPLICIT | 99, EXPLICIT | NETWORK), LOCAL_NETWORK).own(),
        rule(20_000, (0, EXPLICIT), LOCAL_NETWORK),
        unreachable,
    ]
}

/// Those of a network that an interface leads to.
pub fn physical(name: &'static str, network: u32, table: u32) -> Vec<Rule> {
    let mask = EXPLICIT | NETWORK;
    vec![
        rule(16_000, (EXPLICIT | network, mask), table).own(),
        rule(11_000, (0, 0), table).by(name).of(ROOT),
        rule(17_000, (0, 0), table).by(name),
        rule(23_000, (network, mask), table).own(),
    ]
}

/// That which makes it the default one.
pub fn default(index: i32) -> Rule {
    rule(31_000, (0, NETWORK), table(index)).own()
}

/// What a VPN leaves to the default network: its own packets, and destinations nearby.
pub fn fallthrough(network: u32, default: i32) -> Vec<Rule> {
    let local = LOCAL_ROUTES + default as u32;
    vec![rule(28_000, (network, NETWORK), table(default)), rule(26_000, (0, EXPLICIT), local).own()]
}

/// Those of a VPN that nobody may go past.
pub fn vpn(name: &'static str, network: u32, table: u32) -> Vec<Rule> {
    let (explicit, mask) = (EXPLICIT | network, EXPLICIT | NETWORK);
    let to_local = Rule { input: Some(name), ..rule(12_000, (0, 0), LOCAL_NETWORK) };
    vec![
        to_local,
        rule(13_000, (0xc_0000 | network, 0xc_ffff), table),
        rule(16_000, (explicit, mask), table).of(ROOT),
        rule(13_000, (0, PROTECTED), table).of(USERS),
        rule(16_000, (explicit, mask), table).of(USERS),
        rule(17_000, (0, 0), table).by(name).of(USERS),
    ]
}

/// The one that keeps the users off everything but a VPN.
pub fn lockdown() -> Rule {
    Rule { action: PROHIBIT, ..rule(14_000, (0, PROTECTED), 0).of(USERS) }
}

/// Those of a hotspot's interface, and the one to its upstream.
pub fn hotspot(name: &'static str, upstream: Option<i32>) -> Vec<Rule> {
    let to = |index: i32| Rule { input: Some(name), ..rule(21_000, (0, 0), table(index)) };
    let own = [
        rule(11_000, (0, 0), LOCAL_NETWORK).by(name).of(ROOT),
        rule(17_000, (0, 0), LOCAL_NETWORK).by(name),
    ];
    own.into_iter().chain(upstream.map(to)).collect()
}
