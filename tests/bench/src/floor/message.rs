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

//! Netlink messages, written byte by byte into one buffer, which is then one send. Pure.

use libc::{NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST};

/// The flags of a message that is answered only when it fails.
pub const SILENT: u16 = NLM_F_REQUEST as u16;
/// Added for something new.
pub const NEW: u16 = (NLM_F_CREATE | NLM_F_EXCL) as u16;

const NESTED: u16 = libc::NLA_F_NESTED as u16;

/// Messages that go to the kernel together.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    /// Where the last message begins.
    start: usize,
}

impl Batch {
    /// Forgets all messages and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.start = 0;
    }

    /// Begins a message: its type, its flags and the family's fixed header.
    pub fn message(&mut self, kind: u16, flags: u16, header: &[u8]) -> &mut Self {
        self.start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(&flags.to_ne_bytes());
        self.bytes.extend_from_slice(&[0; 8]);
        self.raw(header)
    }

    /// Adds bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self.padded()
    }

    /// Adds an attribute.
    pub fn attribute(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        let length = 4 + value.len() as u16;
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.raw(value)
    }

    /// Adds an attribute that is a number.
    pub fn number(&mut self, kind: u16, value: u32) -> &mut Self {
        self.attribute(kind, &value.to_ne_bytes())
    }

    /// Adds an attribute that is a text.
    pub fn text(&mut self, kind: u16, value: &str) -> &mut Self {
        self.attribute(kind, &[value.as_bytes(), &[0]].concat())
    }

    /// Adds an attribute that is made of what `f` adds.
    pub fn nested(&mut self, kind: u16, f: impl FnOnce(&mut Self)) -> &mut Self {
        let at = self.bytes.len();
        self.attribute(kind | NESTED, &[]);
        f(self);
        let length = (self.bytes.len() - at) as u16;
        self.bytes[at..at + 2].copy_from_slice(&length.to_ne_bytes());
        self.lengthened()
    }

    /// Has the last message answered in any case.
    pub fn answered(&mut self) -> &mut Self {
        let at = self.start + 6;
        let flags = u16::from_ne_bytes([self.bytes[at], self.bytes[at + 1]]) | NLM_F_ACK as u16;
        self.bytes[at..at + 2].copy_from_slice(&flags.to_ne_bytes());
        self
    }

    /// The messages.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn padded(&mut self) -> &mut Self {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self.lengthened()
    }

    /// Writes the length of the last message into its header.
    fn lengthened(&mut self) -> &mut Self {
        let length = (self.bytes.len() - self.start) as u32;
        self.bytes[self.start..self.start + 4].copy_from_slice(&length.to_ne_bytes());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_cover_what_they_enclose() {
        let mut batch = Batch::default();
        batch.message(16, SILENT, &[7; 16]).text(3, "wlan0").nested(18, |b| {
            b.text(1, "veth").nested(2, |b| {
                b.number(27, 9);
            });
        });
        batch.message(17, SILENT, &[7; 16]).answered();
        let bytes = batch.bytes();
        let u16_at = |at: usize| u16::from_ne_bytes([bytes[at], bytes[at + 1]]);
        // 16 header, 16 fixed, 12 name, 4 nest, 12 kind, 4 nest, 8 group.
        assert_eq!((u16_at(0), u16_at(4), u16_at(6)), (72, 16, 1));
        assert_eq!((u16_at(32), &bytes[36..42]), (10, b"wlan0\0".as_slice()));
        assert_eq!((u16_at(44), u16_at(46)), (28, 18 | NESTED));
        assert_eq!((u16_at(60), u16_at(62)), (12, 2 | NESTED));
        assert_eq!((u16_at(72), u16_at(76), u16_at(78)), (32, 17, 5));
        assert_eq!(bytes.len(), 104);
        batch.clear();
        assert_eq!(batch.bytes(), [0; 0]);
    }
}
