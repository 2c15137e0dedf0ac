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
//! The table of a trace: `inet guestnet-trace`, which marks one probe's packets for the kernel to tell
//! which rules they meet. It is there for less than a second, changes nothing of what becomes of a
//! packet, and belongs to a socket of its own: it goes with that, even if guestnetd is killed.

use super::batch::{inet, Batch};
use super::dump::genid;
use super::encode::{self, equal, meta, payload, raw, transport, List, REGISTER};
use super::socket::{Refusal, Socket};
use super::{BaseChain, ATTEMPTS};
use crate::effects::firewall::Family;
use crate::error::KernelError;
use crate::model::trace::Flow;
use netlink_bindings::nftables::{MetaKeys, PayloadBase, Request, TableFlags};
use netlink_socket2::{NetlinkSocket, ReplyError};
use std::net::Ipv4Addr;

/// Its name, in the `inet` family.
pub const TRACE_TABLE: &str = "guestnet-trace";
/// Behind conntrack, which knows the answer to a packet whose port NAT has changed.
const TRACKED: i32 = libc::NF_IP_PRI_CONNTRACK + 1;
/// Conntrack's keys: `NFT_CT_SRC_IP`, `NFT_CT_PROTO_SRC`, `NFT_CT_PROTOCOL`.
const CT_SOURCE: u32 = 19;
const CT_PORT: u32 = 11;
const CT_PROTOCOL: u32 = 10;

const fn chain(name: &'static str, hook: i32, hook_name: &'static str, priority: i32) -> BaseChain {
    BaseChain { name, kind: "filter", hook: hook as u32, hook_name, priority, priority_name: "" }
}

/// The first of all; behind conntrack; what the device itself sends.
const CHAINS: [BaseChain; 3] = [
    chain("first", libc::NF_INET_PRE_ROUTING, "prerouting", i32::MIN),
    chain("tracked", libc::NF_INET_PRE_ROUTING, "prerouting", TRACKED),
    chain("own", libc::NF_INET_LOCAL_OUT, "output", i32::MIN),
];

/// The table, until this is dropped.
pub(in crate::effects::firewall) struct TraceTable {
    writer: Socket,
    reader: NetlinkSocket,
}

impl TraceTable {
    /// Makes it, for the packets of this flow, there and back.
    pub(in crate::effects::firewall) fn open(flow: &Flow) -> Result<Self, KernelError> {
        let refused = |e: Refusal| KernelError {
            errno: e.errno.unwrap_or(libc::EIO),
            text: Some(e.to_string()),
        };
        let writer = Socket::open().map_err(refused)?;
        let mut this = Self { writer, reader: NetlinkSocket::new() };
        this.make_any(flow).map_err(refused)?;
        Ok(this)
    }

    fn make_any(&mut self, flow: &Flow) -> Result<(), Refusal> {
        match self.make(TableFlags::Owner as u32, flow) {
            // Before Linux 5.12 a table has no owner; the next start removes what is left.
            Err(e) if matches!(e.errno, Some(libc::EINVAL | libc::EOPNOTSUPP)) => {
                self.make(0, flow)
            }
            made => made,
        }
    }

    fn make(&mut self, flags: u32, flow: &Flow) -> Result<(), Refusal> {
        self.commit(|batch| {
            batch.table(flags);
            let [first, tracked, own] = &CHAINS;
            CHAINS.iter().for_each(|base| batch.chain(base));
            // A packet of the guest's; an answer whose port NAT has left alone.
            batch.instructions(first.name, |list| mark(sent(list, flow)));
            batch.instructions(first.name, |list| mark(answer(list, flow, Some(flow.to))));
            batch.instructions(tracked.name, |list| mark(of_connection(list, flow)));
            batch.instructions(own.name, |list| mark(answer(list, flow, None)));
        })
    }

    fn commit(&mut self, fill: impl Fn(&mut Batch)) -> Result<(), Refusal> {
        let mut refusal = None;
        for _ in 0..ATTEMPTS {
            let genid = genid(&mut self.reader)?;
            let mut batch = Batch::begin(&mut self.writer, genid).of_table(TRACE_TABLE);
            fill(&mut batch);
            match batch.commit(&self.writer) {
                Err(e) if e.errno == Some(libc::ERESTART) => refusal = Some(e),
                result => return result,
            }
        }
        refusal.map_or(Ok(()), Err)
    }
}

impl Drop for TraceTable {
    fn drop(&mut self) {
        if let Err(e) = self.commit(Batch::delete_table) {
            log::debug!("the table {TRACE_TABLE} goes with its socket: {e}");
        }
    }
}

/// Removes what a guestnetd has left that was killed, on a kernel where tables have no owner.
pub(in crate::effects::firewall) fn clear_trace() {
    let mut reader = NetlinkSocket::new();
    if !is_there(&mut reader).unwrap_or(false) {
        return;
    }
    if let Ok(writer) = Socket::open() {
        drop(TraceTable { writer, reader });
    }
}

/// Whether the kernel has nf_tables at all.
pub(in crate::effects::firewall) fn has_nftables() -> bool {
    genid(&mut NetlinkSocket::new()).is_ok()
}

fn is_there(reader: &mut NetlinkSocket) -> Result<bool, ReplyError> {
    let mut request = Request::new().op_gettable_do(&inet());
    request.encode().push_name_bytes(TRACE_TABLE.as_bytes());
    Ok(reader.request(&request)?.recv_one().is_ok())
}

/// Where IPv4's header has its addresses.
const SOURCE: u32 = 12;
const DESTINATION: u32 = 16;

fn sent<'a>(list: List<'a>, flow: &Flow) -> List<'a> {
    known(address(list, SOURCE, flow.guest), flow, flow.id_offset(false))
}

/// From there or, where the device itself answers, to the guest.
fn answer<'a>(list: List<'a>, flow: &Flow, from: Option<Ipv4Addr>) -> List<'a> {
    let list = match from {
        Some(from) => address(list, SOURCE, from),
        None => address(list, DESTINATION, flow.guest),
    };
    known(list, flow, flow.id_offset(true))
}

fn address(list: List<'_>, offset: u32, is: Ipv4Addr) -> List<'_> {
    let list = equal(meta(list, MetaKeys::Nfproto), &[encode::number(Family::V4)]);
    equal(payload(list, REGISTER, PayloadBase::NetworkHeader, [offset, 4]), &is.octets())
}

/// Whether the number at this place of the transport's header is the flow's.
fn known<'a>(list: List<'a>, flow: &Flow, offset: u32) -> List<'a> {
    equal(transport(list, flow.protocol.into(), offset, 2), &flow.id.to_be_bytes())
}

fn of_connection<'a>(list: List<'a>, flow: &Flow) -> List<'a> {
    let list = equal(conntrack(list, CT_SOURCE), &flow.guest.octets());
    let list = equal(conntrack(list, CT_PROTOCOL), &[flow.protocol]);
    equal(conntrack(list, CT_PORT), &flow.id.to_be_bytes())
}

/// A value of the connection's first packet.
fn conntrack(list: List<'_>, key: u32) -> List<'_> {
    let e = list.nested_elem().nested_data_ct().push_key(key);
    e.push_direction(0).push_dreg(REGISTER).end_nested().end_nested()
}

fn mark(list: List<'_>) -> List<'_> {
    raw(encode::constant(list, REGISTER, &[1]), c"meta", |data| {
        data.number(2, MetaKeys::Nftrace as u32);
        data.number(3, REGISTER);
    })
}
