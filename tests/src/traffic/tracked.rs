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

//! The connections of guests that conntrack forgets. A connection's identity tells nothing: a new one can
//! get that of the one before.

use std::collections::BTreeSet;
use std::io;

use nix::sys::socket::SockProtocol;

use super::netlink::{attribute, Message, Socket};
use crate::InNetns;

// linux/netfilter/nfnetlink.h, nfnetlink_conntrack.h
const DESTROYED: u32 = 3;
const DELETE: u16 = 1 << 8 | 2;
const NFGENMSG: usize = 4;
const TUPLE_ORIG: u16 = 1;
const TUPLE_IP: u16 = 1;
const TUPLE_PROTO: u16 = 2;
const IP_V4_SRC: u16 = 1;
const PROTO_SRC_PORT: u16 = 2;
/// The guests' subnet, 172.17.0.0/16.
const GUESTS: [u8; 2] = [172, 17];

/// Hears of it.
#[derive(Debug)]
pub struct Forgotten(Socket);

impl Forgotten {
    /// Of connections in a device that are begun from now on.
    pub fn listen(device: &impl InNetns) -> io::Result<Self> {
        Ok(Self(Socket::hearing(device, SockProtocol::NetlinkNetFilter, &[DESTROYED])?))
    }

    /// How many of those were forgotten that guests have begun from these ports.
    pub fn of(&mut self, ports: &[u16]) -> io::Result<usize> {
        let mut gone = BTreeSet::new();
        while let Some(messages) = self.0.next()? {
            gone.extend(messages.filter_map(|message| port(&message)));
        }
        Ok(ports.iter().filter(|port| gone.contains(port)).count())
    }
}

/// The guest's port of a connection that is destroyed.
fn port(message: &Message<'_>) -> Option<u16> {
    let tuple = attribute(message.body, NFGENMSG, TUPLE_ORIG)?;
    let source = attribute(attribute(tuple, 0, TUPLE_IP)?, 0, IP_V4_SRC)?;
    let port = attribute(attribute(tuple, 0, TUPLE_PROTO)?, 0, PROTO_SRC_PORT)?;
    let port = u16::from_be_bytes(port.try_into().ok()?);
    (message.kind == DELETE && source.starts_with(&GUESTS)).then_some(port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = (4 + value.len() as u16).to_ne_bytes().to_vec();
        bytes.extend((kind | 1 << 15).to_ne_bytes());
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    #[test]
    fn a_guests_connection_is_told_by_its_port() {
        let body = |source: [u8; 4]| {
            let ip = nested(TUPLE_IP, &nested(IP_V4_SRC, &source));
            let proto = nested(TUPLE_PROTO, &nested(PROTO_SRC_PORT, &4711u16.to_be_bytes()));
            [&[2, 0, 0, 0][..], &nested(TUPLE_ORIG, &[ip, proto].concat())].concat()
        };
        let of = |kind, source| port(&Message { kind, port: 0, body: &body(source) });
        assert_eq!(of(DELETE, [172, 17, 3, 3]), Some(4711));
        assert_eq!(of(DELETE, [192, 0, 2, 2]), None, "the device's own");
        assert_eq!(of(DELETE - 2, [172, 17, 3, 3]), None, "a new one");
    }
}
