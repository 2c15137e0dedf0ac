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

//! Netlink's bytes: messages and attributes, as they are read and as they are written.

use std::net::Ipv4Addr;

/// `struct nlmsghdr`.
pub const HEADER: usize = 16;
/// linux/netlink.h
pub const NLMSG_ERROR: u16 = 2;
pub const NLMSG_DONE: u16 = 3;
pub const NLM_F_MULTI: u16 = 2;
pub const NLM_F_ACK: u16 = 4;
pub const NLM_F_REPLACE: u16 = 0x100;
pub const NLM_F_EXCL: u16 = 0x200;
pub const NLM_F_CREATE: u16 = 0x400;
pub const NLM_F_APPEND: u16 = 0x800;
pub const NLM_F_DUMP: u16 = 0x300;
pub const NLM_F_CAPPED: u16 = 0x100;
const NESTED: u16 = 1 << 15;
const TYPE: u16 = 0x3fff;

/// A request.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    pub kind: u16,
    pub flags: u16,
    pub sequence: u32,
    /// All of it, with its header.
    pub whole: &'a [u8],
    pub body: &'a [u8],
}

impl<'a> Message<'a> {
    /// The attributes behind a header of so many bytes; EINVAL where there is no such header.
    pub fn attributes(&self, header: usize) -> Result<Attributes<'a>, i32> {
        match self.body.get(header.next_multiple_of(4)..) {
            Some(rest) => Ok(Attributes(rest)),
            None if self.body.len() >= header => Ok(Attributes(&[])),
            None => Err(libc::EINVAL),
        }
    }

    pub fn is(&self, flag: u16) -> bool {
        self.flags & flag == flag
    }

    /// A 32-bit number of its header.
    pub fn word(&self, at: usize) -> u32 {
        u32_at(self.body, at).unwrap_or(0)
    }

    /// A byte of its header.
    pub fn byte(&self, at: usize) -> u8 {
        self.body.get(at).copied().unwrap_or(0)
    }
}

/// The messages of a datagram, up to the first that is not whole.
pub fn messages(datagram: &[u8]) -> impl Iterator<Item = Message<'_>> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        let length = u32_at(rest, 0)? as usize;
        let whole = rest.get(..length).filter(|whole| whole.len() >= HEADER)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Message {
            kind: u16_at(whole, 4)?,
            flags: u16_at(whole, 6)?,
            sequence: u32_at(whole, 8)?,
            whole,
            body: &whole[HEADER..],
        })
    })
}

/// Attributes, up to the first that is not whole.
#[derive(Clone, Copy, Debug)]
pub struct Attributes<'a>(pub &'a [u8]);

impl<'a> Attributes<'a> {
    /// The last of a kind, which is the one that counts (`nla_parse()`).
    pub fn find(self, kind: u16) -> Option<&'a [u8]> {
        self.filter(|(other, _)| *other == kind).last().map(|(_, value)| value)
    }

    pub fn has(self, kind: u16) -> bool {
        self.find(kind).is_some()
    }

    /// A number of 32 bits; ERANGE where it is shorter (`validate_nla()`).
    pub fn u32(self, kind: u16) -> Result<Option<u32>, i32> {
        self.find(kind).map(|value| u32_at(value, 0).ok_or(libc::ERANGE)).transpose()
    }

    pub fn u8(self, kind: u16) -> Result<Option<u8>, i32> {
        self.find(kind).map(|value| value.first().copied().ok_or(libc::ERANGE)).transpose()
    }

    pub fn ipv4(self, kind: u16) -> Result<Option<Ipv4Addr>, i32> {
        self.find(kind).map(|value| ipv4(value).ok_or(libc::ERANGE)).transpose()
    }

    /// A text of at most so many bytes, without its NUL.
    pub fn text(self, kind: u16, most: usize) -> Result<Option<String>, i32> {
        let Some(value) = self.find(kind) else { return Ok(None) };
        let text = value.split(|byte| *byte == 0).next().unwrap_or_default();
        if value.is_empty() || text.len() > most {
            return Err(libc::ERANGE);
        }
        Ok(Some(String::from_utf8_lossy(text).into_owned()))
    }

    /// What is inside one.
    pub fn inside(self, kind: u16) -> Option<Attributes<'a>> {
        self.find(kind).map(Attributes)
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let length = usize::from(u16_at(self.0, 0)?);
        let kind = u16_at(self.0, 2)? & TYPE;
        let value = self.0.get(4..length)?;
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    }
}

pub fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

pub fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

pub fn ipv4(value: &[u8]) -> Option<Ipv4Addr> {
    Some(Ipv4Addr::from(<[u8; 4]>::try_from(value.get(..4)?).ok()?))
}

/// A message in the making, without its header; or attributes inside one.
#[derive(Clone, Debug, Default)]
pub struct Writer(pub Vec<u8>);

impl Writer {
    pub fn after(header: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(512);
        bytes.extend_from_slice(header);
        bytes.resize(header.len().next_multiple_of(4), 0);
        Self(bytes)
    }

    pub fn put(&mut self, kind: u16, value: &[u8]) {
        let [low, high] = ((4 + value.len()) as u16).to_ne_bytes();
        let [kind, more] = kind.to_ne_bytes();
        self.0.reserve(value.len() + 8);
        self.0.extend_from_slice(&[low, high, kind, more]);
        self.0.extend_from_slice(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    pub fn u32(&mut self, kind: u16, value: u32) {
        self.put(kind, &value.to_ne_bytes());
    }

    pub fn text(&mut self, kind: u16, value: &str) {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.put(kind, &bytes);
    }

    /// Attributes inside one, with the flag that says so.
    pub fn nest(&mut self, kind: u16, inner: &Writer) {
        self.put(kind | NESTED, &inner.0);
    }

    /// The message.
    pub fn message(self, kind: u16, flags: u16, sequence: u32, port: u32) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER + self.0.len());
        bytes.extend_from_slice(&((HEADER + self.0.len()) as u32).to_ne_bytes());
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(&flags.to_ne_bytes());
        bytes.extend_from_slice(&sequence.to_ne_bytes());
        bytes.extend_from_slice(&port.to_ne_bytes());
        bytes.extend_from_slice(&self.0);
        bytes
    }
}

/// An acknowledgement, or an error with the request that it is about.
pub fn acknowledge(request: &Message<'_>, port: u32, result: Result<(), i32>) -> Vec<u8> {
    let errno = result.err().unwrap_or(0);
    let mut body = (-errno).to_ne_bytes().to_vec();
    // The socket has NETLINK_EXT_ACK, not NETLINK_CAP_ACK: an error has all of the request.
    let (echo, flags) = match errno {
        0 => (&request.whole[..HEADER], NLM_F_CAPPED),
        _ => (request.whole, 0),
    };
    body.extend(echo);
    Writer(body).message(NLMSG_ERROR, flags, request.sequence, port)
}

/// The end of a list, with an error number or with 0.
pub fn done(request: &Message<'_>, port: u32, errno: i32) -> Vec<u8> {
    let body = Writer((-errno).to_ne_bytes().to_vec());
    body.message(NLMSG_DONE, NLM_F_MULTI, request.sequence, port)
}

/// The messages of a dump as datagrams of at most 32 KiB (`netlink_dump()`), with its end.
pub fn dump(messages: Vec<Vec<u8>>, request: &Message<'_>, port: u32) -> Vec<Vec<u8>> {
    let mut datagrams = vec![Vec::new()];
    let end = done(request, port, 0);
    for message in messages.into_iter().chain([end]) {
        let last = datagrams.last_mut().expect("there is one");
        if last.len() + message.len() > 32 << 10 {
            datagrams.push(message);
        } else {
            last.extend(message);
        }
        let last = datagrams.last_mut().expect("there is one");
        last.resize(last.len().next_multiple_of(4), 0);
    }
    datagrams
}
