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

//! Netlink messages as they come: their headers, their attributes, the kernel's refusals. Reads
//! bytes that may be anything, and says nothing when they are not what they should be.

use super::attr::Writer;
use crate::error::KernelError;
use crate::model::if_index::IfIndex;
use rtnetlink::packet_core::{NetlinkDeserializable, NetlinkHeader};
use rtnetlink::packet_route::RouteNetlinkMessage;
use std::net::Ipv4Addr;

/// Length of a message's header (linux/netlink.h, `struct nlmsghdr`).
pub const HEADER: usize = 16;

// linux/netlink.h
/// An error, or an acknowledgement.
pub const NLMSG_ERROR: u16 = 2;
/// The end of a list.
pub const NLMSG_DONE: u16 = 3;
/// The list changed while it was read.
pub const NLM_F_DUMP_INTR: u16 = 0x10;
/// Of the request, an error has the header only.
const NLM_F_CAPPED: u16 = 0x100;
const NLA_TYPE_MASK: u16 = 0x3fff;

/// One message.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// `RTM_NEWLINK` and the like.
    pub kind: u16,
    /// `NLM_F_*`.
    pub flags: u16,
    /// Of the request that it answers.
    pub sequence: u32,
    /// What comes after the header.
    pub body: &'a [u8],
}

impl<'a> Message<'a> {
    /// Its attributes, behind a header of its own of so many bytes.
    pub fn attributes(&self, header: usize) -> Attributes<'a> {
        attributes(self.body, header)
    }

    /// The message as netlink-packet-route reads it, with these attributes only. It refuses a whole
    /// message for one attribute that it takes for another type than the kernel's: a route's
    /// `congctl`, a rule's `tun_id`. What nobody asks for it does not see.
    ///
    /// `new`: `RTM_NEWROUTE` and the like, also for a message that says that a route is gone: its
    /// body is the same. A constant, so that only the code for such messages is in the binary.
    #[inline(always)]
    pub fn typed(&self, new: u16, header: usize, wanted: &[u16]) -> Option<RouteNetlinkMessage> {
        let body = self.only(new, header, wanted)?;
        let mut header = NetlinkHeader::default();
        header.message_type = new;
        RouteNetlinkMessage::deserialize(&header, body.bytes()).ok()
    }

    fn only(&self, new: u16, header: usize, wanted: &[u16]) -> Option<Writer> {
        // `RTM_DEL*` is the number after `RTM_NEW*` (linux/rtnetlink.h).
        if self.kind.wrapping_sub(new) > 1 {
            return None;
        }
        let mut body = Writer::after(self.body.get(..header)?).with_room(self.body.len());
        for (kind, value) in self.attributes(header).filter(|(kind, _)| wanted.contains(kind)) {
            body = body.with(kind, value);
        }
        Some(body)
    }
}

/// The messages of a datagram; ends at the first that is not whole.
#[derive(Clone, Debug)]
pub struct Messages<'a>(pub &'a [u8]);

impl Messages<'_> {
    /// Whether nothing is left that could not be read.
    pub fn ended(&self) -> bool {
        self.0.len() < HEADER
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;

    fn next(&mut self) -> Option<Message<'a>> {
        let length = u32_at(self.0, 0)? as usize;
        let message = self.0.get(..length).filter(|message| message.len() >= HEADER)?;
        self.0 = self.0.get(aligned(length)..).unwrap_or_default();
        Some(Message {
            kind: u16_at(message, 4)?,
            flags: u16_at(message, 6)?,
            sequence: u32_at(message, 8)?,
            body: message.get(HEADER..)?,
        })
    }
}

/// The attributes in some bytes, kind and value; ends at the first that is not whole.
#[derive(Clone, Debug)]
pub struct Attributes<'a>(&'a [u8]);

/// The attributes of a body that begins with a header of `header` bytes.
pub fn attributes(body: &[u8], header: usize) -> Attributes<'_> {
    Attributes(body.get(aligned(header)..).unwrap_or_default())
}

impl<'a> Attributes<'a> {
    /// The first of a kind.
    pub fn find(mut self, kind: u16) -> Option<&'a [u8]> {
        self.find_map(|(other, value)| (other == kind).then_some(value))
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let length = usize::from(u16_at(self.0, 0)?);
        let kind = u16_at(self.0, 2)? & NLA_TYPE_MASK;
        let value = self.0.get(4..length)?;
        self.0 = self.0.get(aligned(length)..).unwrap_or_default();
        Some((kind, value))
    }
}

/// The 16 bits at some place.
pub fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

/// The 32 bits at some place.
pub fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

/// The index of an interface at some place; none of 0, too.
pub fn index_at(bytes: &[u8], at: usize) -> Option<IfIndex> {
    u32_at(bytes, at).and_then(IfIndex::new)
}

/// The 64 bits at some place.
pub fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

/// An IPv4 address.
pub fn ipv4(value: &[u8]) -> Option<Ipv4Addr> {
    Some(Ipv4Addr::from(<[u8; 4]>::try_from(value.get(..4)?).ok()?))
}

/// A text up to its NUL. It may be others' text, so that what is no UTF-8 in it is replaced.
pub fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned()
}

fn aligned(length: usize) -> usize {
    length.saturating_add(3) & !3
}

/// What an `NLMSG_ERROR` says: nothing for an acknowledgement, else errno and, where the kernel
/// gave one, its text.
pub fn acknowledged(message: &Message<'_>) -> Result<(), KernelError> {
    let whole = message.flags & NLM_F_CAPPED == 0;
    match u32_at(message.body, 0) {
        Some(0) => Ok(()),
        Some(code) => {
            let errno = (code as i32).saturating_abs();
            let echo = message.body.get(4..);
            Err(KernelError { errno, text: echo.and_then(|echo| extended_ack(echo, whole)) })
        }
        None => Err(KernelError { errno: libc::EBADMSG, text: None }),
    }
}

/// The text of an extended acknowledgement (`NLMSGERR_ATTR_MSG`), which follows the echoed
/// request, or its header only, in an error message (linux/netlink.h, `struct nlmsgerr`).
fn extended_ack(echo: &[u8], whole: bool) -> Option<String> {
    const NLMSGERR_ATTR_MSG: u16 = 1;
    let length = if whole { u32_at(echo, 0)? as usize } else { HEADER };
    attributes(echo, length).find(NLMSGERR_ATTR_MSG).map(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A request of 18 bytes, padded; an attribute that is skipped; the text; a broken tail.
    fn answer() -> Vec<u8> {
        let mut bytes = 18u32.to_ne_bytes().to_vec();
        bytes.resize(20, 0xaa);
        for (kind, value) in [(2u16, &b"\x10\0\0\0"[..]), (1, &b"Unknown device type\0"[..])] {
            bytes.extend(((4 + value.len()) as u16).to_ne_bytes());
            bytes.extend(kind.to_ne_bytes());
            bytes.extend(value);
        }
        bytes
    }

    #[test]
    fn the_kernels_words_are_found() {
        let said = Some("Unknown device type");
        assert_eq!(extended_ack(&answer(), true).as_deref(), said);
        // Of the request, its 16 bytes of header are there.
        let capped = [&answer()[..16], &answer()[20..]].concat();
        assert_eq!(extended_ack(&capped, false).as_deref(), said);
    }

    #[test]
    fn no_length_makes_it_panic() {
        let whole = answer();
        for end in 0..whole.len() {
            assert!(extended_ack(&whole[..end], true).is_none(), "{end}");
            let _ = Messages(&whole[..end]).count();
        }
        for at in 0..whole.len() {
            for byte in [0, 1, 3, 0x7f, 0xff] {
                let mut bent = whole.clone();
                bent[at] = byte;
                let _ = (extended_ack(&bent, true), extended_ack(&bent, false));
                let _ = Messages(&bent).count() + attributes(&bent, 0).count();
            }
        }
    }
}
