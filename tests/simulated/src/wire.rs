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

//! What others ask of the kernel, in its bytes.

/// A message to be.
pub struct Message(Vec<u8>);

/// Of a request that makes something: NLM_F_REQUEST, _ACK, _CREATE, _EXCL.
pub const NEW: u16 = 0x0605;
/// Of a request that changes or takes away: NLM_F_REQUEST, _ACK.
pub const CHANGE: u16 = 0x0005;
/// Of a request for all: NLM_F_REQUEST, _DUMP.
pub const DUMP: u16 = 0x0301;

impl Message {
    /// A message of a kind, with the header of its own.
    pub fn new(kind: u16, flags: u16, header: &[u8]) -> Self {
        let mut bytes = vec![0; 16];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        bytes[8..12].copy_from_slice(&1u32.to_ne_bytes());
        bytes.extend(header);
        Self(bytes)
    }

    /// With an attribute.
    pub fn with(mut self, kind: u16, value: &[u8]) -> Self {
        attribute(&mut self.0, kind, value);
        self
    }

    /// Its bytes.
    pub fn bytes(mut self) -> Vec<u8> {
        let length = self.0.len() as u32;
        self.0[..4].copy_from_slice(&length.to_ne_bytes());
        self.0
    }
}

/// An attribute at the end of some bytes.
pub fn attribute(bytes: &mut Vec<u8>, kind: u16, value: &[u8]) {
    header(bytes, kind, value.len());
    bytes.extend_from_slice(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

/// The same of a name, with its NUL.
pub fn name_attribute(bytes: &mut Vec<u8>, kind: u16, name: &[u8]) {
    header(bytes, kind, name.len() + 1);
    bytes.extend_from_slice(name);
    bytes.resize((bytes.len() + 1).next_multiple_of(4), 0);
}

fn header(bytes: &mut Vec<u8>, kind: u16, length: usize) {
    let ([low, high], [kind, more]) = ((length as u16 + 4).to_ne_bytes(), kind.to_ne_bytes());
    bytes.reserve(length + 8);
    bytes.extend_from_slice(&[low, high, kind, more]);
}

/// The attributes in some bytes.
pub fn attributes(mut bytes: &[u8]) -> Vec<(u16, &[u8])> {
    let mut found = Vec::new();
    while bytes.len() >= 4 {
        let length = u16::from_ne_bytes([bytes[0], bytes[1]]) as usize;
        if length < 4 || length > bytes.len() {
            break;
        }
        found.push((u16::from_ne_bytes([bytes[2], bytes[3]]) & 0x3fff, &bytes[4..length]));
        bytes = &bytes[length.next_multiple_of(4).min(bytes.len())..];
    }
    found
}

/// A name with its NUL.
pub fn name(text: &str) -> Vec<u8> {
    [text.as_bytes(), b"\0"].concat()
}

/// `struct ifinfomsg`.
pub fn ifinfo(index: i32, flags: u32, change: u32) -> Vec<u8> {
    let mut header = vec![0u8; 4];
    header.extend(index.to_ne_bytes());
    header.extend(flags.to_ne_bytes());
    header.extend(change.to_ne_bytes());
    header
}

/// `struct rtmsg` of an IPv4 route by a gateway, in table main.
pub fn rtmsg(prefix: u8) -> Vec<u8> {
    vec![2, prefix, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0]
}

/// `struct fib_rule_hdr` of IPv4; `to` or `from` have their lengths.
pub fn fib_rule(from: u8, table: u8, action: u8) -> Vec<u8> {
    vec![2, 0, from, 0, table, 0, 0, action, 0, 0, 0, 0]
}
