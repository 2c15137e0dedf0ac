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

//! Attributes as they are sent, and a request of them for which netlink-packet-route has no type.

use rtnetlink::packet_core::NetlinkSerializable;

const NLA_F_NESTED: u16 = 1 << 15;

/// A message's body in the making, or the attributes inside an attribute.
#[derive(Clone, Debug, Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// Begins with the bytes of the message's own header, a multiple of 4.
    pub fn after(header: &[u8]) -> Self {
        Self(header.to_vec())
    }

    /// The same, with room for as much in all.
    pub fn with_room(mut self, bytes: usize) -> Self {
        self.0.reserve_exact(bytes.saturating_sub(self.0.len()));
        self
    }

    /// Adds an attribute.
    pub fn with(mut self, kind: u16, value: &[u8]) -> Self {
        // `struct nlattr`: its length with this header and without padding, its kind.
        let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    /// Adds an attribute that holds others.
    pub fn with_nested(self, kind: u16, inner: &Self) -> Self {
        self.with(kind | NLA_F_NESTED, &inner.0)
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A request by hand.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its type in `struct nlmsghdr`.
    pub kind: u16,
    /// What comes after that.
    pub body: Writer,
}

impl Request {
    /// A message with attributes behind its own for which not every release of netlink-packet-route that a
    /// tree may have has names.
    pub fn beyond(message: &impl NetlinkSerializable, more: impl FnOnce(Writer) -> Writer) -> Self {
        let mut body = vec![0; message.buffer_len()];
        message.serialize(&mut body);
        Self { kind: message.message_type(), body: more(Writer(body)) }
    }
}

impl NetlinkSerializable for Request {
    fn message_type(&self) -> u16 {
        self.kind
    }

    fn buffer_len(&self) -> usize {
        self.body.0.len()
    }

    fn serialize(&self, buffer: &mut [u8]) {
        for (to, from) in buffer.iter_mut().zip(&self.body.0) {
            *to = *from;
        }
    }
}
