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

//! Messages of DHCP clients as dhcproto makes them, at random and the same in each run.

use dhcproto::v4::{DhcpOption, Flags, Message, MessageType, Opcode, OptionCode, UnknownOption};
use std::net::Ipv4Addr;

/// xorshift.
pub struct Random(u64);

impl Random {
    /// Another seed makes other messages.
    pub fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// One below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.number() % end as u64) as usize
    }

    /// One of these.
    pub fn of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }

    /// Of two calls one.
    pub fn flip(&mut self) -> bool {
        self.number() & 0x10000 != 0
    }

    /// Up to so many bytes, and one at least.
    pub fn bytes(&mut self, most: usize) -> Vec<u8> {
        (0..=self.below(most)).map(|_| (self.number() >> 8) as u8).collect()
    }

    /// Any address.
    pub fn address(&mut self) -> Ipv4Addr {
        ((self.number() >> 16) as u32).into()
    }
}

/// The kinds that a client sends.
pub const CLIENTS: [MessageType; 5] = [
    MessageType::Discover,
    MessageType::Request,
    MessageType::Decline,
    MessageType::Release,
    MessageType::Inform,
];

/// A client's message with any of all that guestnetd reads, and of what it does not.
pub fn message(random: &mut Random, chaddr: [u8; 6]) -> Message {
    let mut message = Message::default();
    message.set_opcode(Opcode::BootRequest).set_xid(random.number() as u32).set_chaddr(&chaddr);
    message.set_secs(random.number() as u16);
    let flags = if random.flip() { Flags::default().set_broadcast() } else { Flags::default() };
    message.set_flags(flags);
    if random.flip() {
        message.set_ciaddr(random.address());
    }
    if random.below(8) == 0 {
        message.set_giaddr(random.address());
    }
    let kind = random.of(&CLIENTS);
    let options = message.opts_mut();
    options.insert(DhcpOption::MessageType(kind));
    if random.flip() {
        options.insert(DhcpOption::RequestedIpAddress(random.address()));
    }
    if random.flip() {
        options.insert(DhcpOption::ServerIdentifier(random.address()));
    }
    if random.flip() {
        let asked = random.bytes(60).into_iter().map(OptionCode::from).collect();
        options.insert(DhcpOption::ParameterRequestList(asked));
    }
    if random.flip() {
        options.insert(DhcpOption::MaxMessageSize(random.number() as u16));
    }
    if random.flip() {
        options.insert(DhcpOption::ClientIdentifier(random.bytes(40)));
    }
    if random.flip() {
        options.insert(DhcpOption::Hostname("a-client".into()));
    }
    if random.flip() {
        options.insert(DhcpOption::ClassIdentifier(random.bytes(100)));
    }
    if random.flip() {
        let code = OptionCode::from(224 + random.below(30) as u8);
        let unknown = UnknownOption::new(code, random.bytes(30));
        options.insert(DhcpOption::Unknown(unknown));
    }
    message
}
