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

//! The connections of guests that conntrack knows: each by its identity, so that one that was forgotten
//! and came again is another one.

use std::collections::BTreeMap;
use std::io;

use guestnet_tests::InNetns;
use nix::sys::socket::SockProtocol;

use super::netlink::{attribute, Message, Socket};

// linux/netfilter/nfnetlink.h, nfnetlink_conntrack.h
const GET: u16 = 1 << 8 | 1;
const NFGENMSG: usize = 4;
const TUPLE_ORIG: u16 = 1;
const ID: u16 = 12;
const TUPLE_IP: u16 = 1;
const TUPLE_PROTO: u16 = 2;
const IP_V4_SRC: u16 = 1;
const PROTO_SRC_PORT: u16 = 2;
/// The guests' subnet, 172.17.0.0/16.
const GUESTS: [u8; 2] = [172, 17];

/// Identities by the guest's port.
pub type Tracked = BTreeMap<u16, u32>;

/// Those of the device that guests opened from these ports.
pub fn connections(device: &impl InNetns, from: &[u16]) -> io::Result<Tracked> {
    let mut socket = Socket::open(device, SockProtocol::NetlinkNetFilter)?;
    let flags = libc::NLM_F_REQUEST | libc::NLM_F_DUMP;
    socket.send(GET, flags, &[libc::AF_INET as u8, 0, 0, 0])?;
    let mut found = Tracked::new();
    loop {
        for message in socket.wait()? {
            match i32::from(message.kind) {
                libc::NLMSG_DONE => return Ok(found),
                libc::NLMSG_ERROR => return Err(io::Error::other("ctnetlink refuses to list")),
                _ => found.extend(read(&message).filter(|(port, _)| from.contains(port))),
            }
        }
    }
}

fn read(message: &Message<'_>) -> Option<(u16, u32)> {
    let tuple = attribute(message.body, NFGENMSG, TUPLE_ORIG)?;
    let source = attribute(attribute(tuple, 0, TUPLE_IP)?, 0, IP_V4_SRC)?;
    let port = attribute(attribute(tuple, 0, TUPLE_PROTO)?, 0, PROTO_SRC_PORT)?;
    let id = attribute(message.body, NFGENMSG, ID)?;
    let number =
        (u16::from_be_bytes(port.try_into().ok()?), u32::from_be_bytes(id.try_into().ok()?));
    source.starts_with(&GUESTS).then_some(number)
}
