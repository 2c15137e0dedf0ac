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

//! Connection tracking: forgets the connections of an address, so that the next guest to have it
//! does not get its predecessor's. One message of ctnetlink; nothing is listed.

use super::netlink::refusal;
use crate::error::KernelError;
use rtnetlink::packet_core::{ErrorBuffer, ErrorMessage, Parseable};
use rtnetlink::sys::protocols::NETLINK_NETFILTER;
use rtnetlink::sys::{Socket, SocketAddr};
use std::net::Ipv4Addr;

// linux/netlink.h, linux/netfilter/nfnetlink.h, nfnetlink_conntrack.h
const NLM_F_REQUEST_ACK: u16 = 1 | 4;
const NLMSG_ERROR: u16 = 2;
const IPCTNL_MSG_CT_DELETE: u16 = 1 << 8 | 2; // NFNL_SUBSYS_CTNETLINK << 8 | 2
const NLA_F_NESTED: u16 = 1 << 15;
const CTA_TUPLE_ORIG: u16 = 1;
const CTA_TUPLE_IP: u16 = 1;
const CTA_IP_V4_SRC: u16 = 1;
const CTA_FILTER: u16 = 25;
const CTA_FILTER_ORIG_FLAGS: u16 = 1;
const CTA_FILTER_REPLY_FLAGS: u16 = 2;
const CTA_FILTER_F_CTA_IP_SRC: u32 = 1;

/// Forgets every IPv4 connection that `source` opened. Kernels before 5.8 know no filter and
/// answer EINVAL: there the connections go with their timeouts.
pub fn forget(source: Ipv4Addr) -> Result<(), KernelError> {
    let mut socket = Socket::new(NETLINK_NETFILTER)?;
    socket.bind_auto()?;
    socket.set_ext_ack(true)?;
    socket.send_to(&request(source), &SocketAddr::new(0, 0), 0)?;
    let (answer, _) = socket.recv_from_full()?;
    let kind = answer.get(4..6).map(|b| u16::from_ne_bytes([b[0], b[1]]));
    let body = answer.get(16..).filter(|_| kind == Some(NLMSG_ERROR)).unwrap_or_default();
    let error = ErrorBuffer::new_checked(&body).ok().and_then(|b| ErrorMessage::parse(&b).ok());
    match error {
        Some(e) if e.code.is_none() => Ok(()),
        // No such connection is what was asked for.
        Some(e) if e.raw_code() == -libc::ENOENT => Ok(()),
        Some(e) => Err(refusal(&e)),
        None => Err(KernelError { errno: libc::EBADMSG, text: None }),
    }
}

fn request(source: Ipv4Addr) -> Vec<u8> {
    let source = attribute(CTA_IP_V4_SRC, &source.octets());
    let ip = attribute(CTA_TUPLE_IP | NLA_F_NESTED, &source);
    let filter = [
        attribute(CTA_FILTER_ORIG_FLAGS, &CTA_FILTER_F_CTA_IP_SRC.to_ne_bytes()),
        attribute(CTA_FILTER_REPLY_FLAGS, &0u32.to_ne_bytes()),
    ];
    let nfgenmsg = [libc::AF_INET as u8, 0, 0, 0];
    let body = [
        nfgenmsg.to_vec(),
        attribute(CTA_TUPLE_ORIG | NLA_F_NESTED, &ip),
        attribute(CTA_FILTER | NLA_F_NESTED, &filter.concat()),
    ]
    .concat();
    let mut message = Vec::with_capacity(16 + body.len());
    message.extend(((16 + body.len()) as u32).to_ne_bytes());
    message.extend(IPCTNL_MSG_CT_DELETE.to_ne_bytes());
    message.extend(NLM_F_REQUEST_ACK.to_ne_bytes());
    message.extend([0; 8]); // sequence and port: one request, one answer
    message.extend(body);
    message
}

/// All values here are multiples of four bytes long: no padding.
fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = ((4 + value.len()) as u16).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes
}
