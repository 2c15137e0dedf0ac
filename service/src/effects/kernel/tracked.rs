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

//! Whether connection tracking knows a TCP connection (ctnetlink). Reads only.

use super::ctnetlink::*;
use super::netlink::attr::{Request, Writer};
use super::netlink::message::{attributes, ipv4, u32_at, Message};
use super::netlink::Netlink;
use crate::error::KernelError;
use std::net::{Ipv4Addr, SocketAddrV4};

/// Whether there is a connection between these two; the kernel finds it by either direction.
pub fn is_known(from: SocketAddrV4, to: SocketAddrV4) -> Result<bool, KernelError> {
    let addresses = Writer::default()
        .with(CTA_IP_V4_SRC, &from.ip().octets())
        .with(CTA_IP_V4_DST, &to.ip().octets());
    let ports = Writer::default()
        .with(CTA_PROTO_NUM, &[libc::IPPROTO_TCP as u8])
        .with(CTA_PROTO_SRC_PORT, &from.port().to_be_bytes())
        .with(CTA_PROTO_DST_PORT, &to.port().to_be_bytes());
    let tuple = Writer::default()
        .with_nested(CTA_TUPLE_IP, &addresses)
        .with_nested(CTA_TUPLE_PROTO, &ports);
    let body = Writer::after(&NFGENMSG).with_nested(CTA_TUPLE_ORIG, &tuple);
    match Netlink::open_netfilter()?.get(&Request { kind: CT_GET, body }, |_| Some(())) {
        Ok(()) => Ok(true),
        Err(e) if e.errno == libc::ENOENT => Ok(false),
        Err(e) => Err(e),
    }
}

/// Whether somebody has answered at an address what came from another one by this protocol, of the
/// connections that are there; none: there is none. Of TCP, a refusal is no answer.
pub fn is_answered(
    from: Ipv4Addr,
    at: Ipv4Addr,
    protocol: u8,
) -> Result<Option<bool>, KernelError> {
    /// Of TCP: it was open.
    const IPS_ASSURED: u32 = 1 << 2;
    let wanted =
        if i32::from(protocol) == libc::IPPROTO_TCP { IPS_ASSURED } else { IPS_SEEN_REPLY };
    let answered = |message: &Message<'_>| {
        let all = message.attributes(NFGENMSG.len());
        let of = |tuple: u16, group: u16, kind: u16| {
            let tuple = all.clone().find(tuple)?;
            attributes(attributes(tuple, 0).find(group)?, 0).find(kind)
        };
        let such = ipv4(of(CTA_TUPLE_ORIG, CTA_TUPLE_IP, CTA_IP_V4_SRC)?)? == from
            && ipv4(of(CTA_TUPLE_REPLY, CTA_TUPLE_IP, CTA_IP_V4_SRC)?)? == at
            && of(CTA_TUPLE_ORIG, CTA_TUPLE_PROTO, CTA_PROTO_NUM)?.first() == Some(&protocol);
        let status = u32::from_be(u32_at(all.clone().find(CTA_STATUS)?, 0)?);
        such.then_some(status & wanted != 0)
    };
    let all = Request { kind: CT_GET, body: Writer::after(&NFGENMSG) };
    let found = Netlink::open_netfilter()?.dump(&all, answered)?;
    Ok((!found.is_empty()).then(|| found.contains(&true)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effects::kernel::testing::{in_a_netns, ip};
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn a_connection_is_known_once_it_was_tracked() {
        in_a_netns(|_| {
            ip("link set lo up");
            // Tracking begins with the first rule that asks for a connection's state.
            let nft = std::process::Command::new("nft")
                .arg("add table ip t; add chain ip t c { type filter hook output priority 0; }; add rule ip t c ct state new accept")
                .status();
            if !nft.is_ok_and(|status| status.success()) {
                return;
            }
            let server = TcpListener::bind("127.0.0.1:0").unwrap();
            let client = TcpStream::connect(server.local_addr().unwrap()).unwrap();
            let v4 = |address| match address {
                std::net::SocketAddr::V4(address) => address,
                other => panic!("{other}"),
            };
            let (from, to) = (v4(client.local_addr().unwrap()), v4(server.local_addr().unwrap()));
            assert_eq!(is_known(from, to), Ok(true));
            let other = SocketAddrV4::new(*from.ip(), 1);
            assert_eq!(is_known(other, to), Ok(false));
        });
    }
}
