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

//! Whether an address is in one of the kernel's sets (ipset), as the kernel itself answers. Asks only.

use super::device::Member;
use crate::effects::kernel::netlink::attr::{Request, Writer};
use crate::effects::kernel::netlink::message::{text, Message};
use crate::effects::kernel::netlink::Netlink;

/// `NFNL_SUBSYS_IPSET`, in the upper byte of a message's type.
const IPSET: u16 = 6 << 8;
const TEST: u16 = IPSET | 11;
const HEADER: u16 = IPSET | 12;
const GET_BY_INDEX: u16 = IPSET | 15;
/// The first version in which a set is found by its number (Linux 4.20).
const PROTOCOL: (u16, u8) = (1, 7);
const NAME: u16 = 2;
const TYPE: u16 = 3;
const DATA: u16 = 7;
const INDEX: u16 = 11;
const ADDRESS: u16 = 1;
const IPV4: u16 = 1;
const PORT: u16 = 4;
const TRANSPORT: u16 = 7;
/// `NLA_F_NET_BYTEORDER`
const IN_ORDER: u16 = 1 << 14;
/// `IPSET_ERR_EXIST`: it is not in the set.
const NOT_THERE: i32 = 4103;
const NFGENMSG: usize = 4;

/// Whether it is; none where that cannot be told, or the set asks for something else.
pub(crate) fn has(set: u16, member: &Member) -> Option<bool> {
    let netlink = Netlink::open_netfilter().ok()?;
    let name = found(&netlink, GET_BY_INDEX, (INDEX | IN_ORDER, &set.to_be_bytes()), NAME)?;
    let name = [name.as_bytes(), &[0]].concat();
    let kind = found(&netlink, HEADER, (NAME, &name), TYPE)?;
    let first = member.parts.first()?;
    let port = |n: usize| member.parts.get(n).and_then(|(_, port)| *port);
    let address = Writer::default().with(IPV4 | IN_ORDER, &first.0.octets());
    let data = Writer::default();
    let data = match kind.as_str() {
        "hash:ip" | "hash:net" | "bitmap:ip" => data.with_nested(ADDRESS, &address),
        "hash:ip,port" | "hash:net,port" => {
            // A packet without ports is in none of them (ip_set_get_ip_port()).
            let port = port(1)?;
            data.with_nested(ADDRESS, &address)
                .with(PORT | IN_ORDER, &port.to_be_bytes())
                .with(TRANSPORT, &[member.protocol])
        }
        "bitmap:port" => match port(0) {
            Some(port) => data.with(PORT | IN_ORDER, &port.to_be_bytes()),
            None => return Some(false),
        },
        _ => return None,
    };
    let body = body().with(NAME, &name).with_nested(DATA, &data);
    match netlink.test(&Request { kind: TEST, body }) {
        Ok(()) => Some(true),
        Err(e) if e.errno == NOT_THERE => Some(false),
        Err(_) => None,
    }
}

fn body() -> Writer {
    Writer::after(&[libc::AF_INET as u8, 0, 0, 0]).with(PROTOCOL.0, &[PROTOCOL.1])
}

/// A text of what answers.
fn found(netlink: &Netlink, kind: u16, asks: (u16, &[u8]), wanted: u16) -> Option<String> {
    let request = Request { kind, body: body().with(asks.0, asks.1) };
    let read = |message: &Message<'_>| message.attributes(NFGENMSG).find(wanted).map(text);
    netlink.get(&request, read).ok()
}
