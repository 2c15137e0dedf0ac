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

//! One transaction: the whole of our table in one message, taken by the kernel or refused by it as
//! a whole. Knows how it is written, not what is in it.
//!
//! Only the last operation asks for an answer. An error is answered in any case, and an answer for
//! each of some hundred rules would overrun a socket's buffer.

use super::encode;
use super::layout::{Counted, Elements, Kind, Line, Set};
use super::socket::{Refusal, Socket, Transaction};
use super::{chain_of, BaseChain, CLOSED, TABLE};
use crate::write::{self, What};
use netlink_bindings::nftables::{
    Chained, Nfgenmsg, PushSetelemListAttrs, PushSetelemListElemAttrs, VerdictCode,
};
use netlink_bindings::traits::{NetlinkChained, Pusher};

/// More messages than a batch can have.
const SEQUENCES: u32 = 1 << 16;

/// Elements that one message carries: the length of its list has 16 bits.
const ELEMENTS: usize = 1024;
/// What `nft` takes the bytes of a set for: an IPv4 address, and two of them.
const ADDRESS: u32 = 7;
const TWO_ADDRESSES: u32 = ADDRESS << 6 | ADDRESS;
const NAME: u32 = 41;
const NAME_AND_ADDRESS: u32 = NAME << 6 | ADDRESS;
/// What nft keeps of a set for itself: `NFTNL_UDATA_SET_KEYBYTEORDER`, of 4 bytes, is `BYTEORDER_HOST_ENDIAN`.
const AS_IT_IS: [u8; 6] = {
    let [a, b, c, d] = 1_u32.to_ne_bytes();
    [0, 4, a, b, c, d]
};
/// `NFT_SET_EVAL`: packets add to it.
const DYNAMIC: u32 = 0x20;
/// `NFT_SET_TIMEOUT`: what is not used goes.
const TIMEOUT: u32 = 0x10;
/// How long what packets have added stays, in milliseconds.
const UNUSED: u64 = 60_000;

/// A transaction that is being written.
pub(super) struct Batch {
    chain: Chained<'static>,
    first: u32,
    table: &'static str,
}

/// The header of everything in a table of the `inet` family.
pub(super) fn inet() -> Nfgenmsg {
    let mut header = Nfgenmsg::new();
    // Enough bytes for a constant that is below 256.
    header.nfgen_family = libc::NFPROTO_INET as u8;
    header
}

fn subsystem() -> Nfgenmsg {
    let mut header = Nfgenmsg::new();
    header.set_res_id(libc::NFNL_SUBSYS_NFTABLES as u16);
    header
}

impl Batch {
    /// Begins one that is taken only while the tables are those of generation `genid`.
    pub(super) fn begin(socket: &mut Socket, genid: u32) -> Self {
        let first = socket.reserve(SEQUENCES);
        let mut chain = Chained::new(first);
        chain.request().op_batch_begin_do(&subsystem()).encode().push_genid(genid);
        Self { chain, first, table: TABLE }
    }

    /// For another table than ours.
    pub(super) fn of_table(mut self, table: &'static str) -> Self {
        self.table = table;
        self
    }

    /// Makes the table, or takes it over.
    pub(super) fn table(&mut self, flags: u32) {
        let mut op = self.chain.request().set_create().op_newtable_do(&inet());
        let attributes = op.encode().push_name_bytes(self.table.as_bytes());
        if flags != 0 {
            attributes.push_flags(flags);
        }
    }

    /// Removes the table and all that is in it.
    pub(super) fn delete_table(&mut self) {
        let mut op = self.chain.request().op_deltable_do(&inet());
        op.encode().push_name_bytes(self.table.as_bytes());
    }

    /// Makes a chain, unless it is there.
    pub(super) fn chain(&mut self, base: &BaseChain) {
        let mut op = self.chain.request().set_create().op_newchain_do(&inet());
        op.encode()
            .push_table_bytes(self.table.as_bytes())
            .push_name_bytes(base.name.as_bytes())
            .nested_hook()
            .push_num(base.hook)
            .push_priority(base.priority)
            .end_nested()
            .push_policy(VerdictCode::Accept as u32)
            .push_type_bytes(base.kind.as_bytes());
    }

    /// Makes the object that has closed connections forgotten, unless it is there.
    pub(super) fn closed(&mut self) {
        let mut op = self.chain.request().set_create().op_newobj_do(&inet());
        let attributes = op.encode().push_table_bytes(self.table.as_bytes());
        encode::closed(attributes.push_name_bytes(CLOSED.as_bytes()).as_vec_mut());
    }

    /// Makes the chains that count and drop, unless they are there.
    pub(super) fn chains_of_drops(&mut self) {
        for counted in Counted::ALL {
            let mut op = self.chain.request().set_create().op_newchain_do(&inet());
            let attributes = op.encode().push_table_bytes(self.table.as_bytes());
            attributes.push_name_bytes(counted.chain().as_bytes());
        }
    }

    /// Adds their rules.
    pub(super) fn drops(&mut self) {
        for counted in Counted::ALL {
            self.instructions(counted.chain(), |list| encode::count(list, counted));
            self.instructions(counted.chain(), encode::drop_it);
        }
    }

    /// Makes a set, unless it is there.
    pub(super) fn set(&mut self, set: &Set) {
        let mut op = self.chain.request().set_create().op_newset_do(&inet());
        let set_type = match set.kind {
            Kind::Guests => NAME_AND_ADDRESS,
            Kind::Gateways => TWO_ADDRESSES,
            Kind::Dropped | Kind::Exceptions => NAME,
            Kind::Fragments
            | Kind::Opened
            | Kind::Crowd
            | Kind::Connections
            | Kind::Addresses
            | Kind::Subnets => ADDRESS,
        };
        let attributes = op
            .encode()
            .push_table_bytes(self.table.as_bytes())
            .push_name_bytes(set.name().as_bytes())
            .push_key_type(set_type)
            .push_key_len(set.len())
            // Any number will do: rules name their sets.
            .push_id(u32::from(set.prefix) << 4 | set.kind as u32);
        // Without it nft lists a name's bytes from the wrong end: as "".
        let attributes = match set_type {
            NAME => attributes.push_userdata(&AS_IT_IS),
            _ => attributes,
        };
        if set.kind.is_dynamic() {
            // Without a size: for one the kernel makes room at once (nft_rhash_init()), and clears 128 KiB
            // for 8192; else as they come, for up to 65535 (nft_dynset_init()).
            match set.kind {
                // The library writes this number as the machine has it, the kernel wants its high
                // byte first.
                Kind::Fragments | Kind::Opened | Kind::Crowd => {
                    attributes.push_flags(DYNAMIC | TIMEOUT).push_timeout(UNUSED.to_be())
                }
                _ => attributes.push_flags(DYNAMIC),
            };
        }
    }

    /// Removes a set that no rule names any more.
    pub(super) fn delete_set(&mut self, set: &Set) {
        let mut op = self.chain.request().op_delset_do(&inet());
        op.encode().push_table_bytes(self.table.as_bytes()).push_name_bytes(set.name().as_bytes());
    }

    /// From the elements that a set has to those that it should have.
    pub(super) fn elements(&mut self, set: &Set, from: &Elements, to: &Elements) {
        let added: Vec<_> = to.difference(from).collect();
        for some in added.chunks(ELEMENTS) {
            let op = self.chain.request().set_create().op_newsetelem_do(&inet());
            list(op.into_encoder(), self.table, set, some);
        }
        let removed: Vec<_> = from.difference(to).collect();
        for some in removed.chunks(ELEMENTS) {
            let op = self.chain.request().op_delsetelem_do(&inet());
            list(op.into_encoder(), self.table, set, some);
        }
    }

    /// Takes these out of a set that packets add to, whether they are in it or not.
    pub(super) fn forget(&mut self, set: &Set, elements: &Elements) {
        let all: Vec<_> = elements.iter().collect();
        for some in all.chunks(ELEMENTS) {
            // What is not there cannot be deleted, and what is there may be added.
            let op = self.chain.request().set_create().op_newsetelem_do(&inet());
            list(op.into_encoder(), self.table, set, some);
            let op = self.chain.request().op_delsetelem_do(&inet());
            list(op.into_encoder(), self.table, set, some);
        }
    }

    /// Removes every rule of the table.
    pub(super) fn flush(&mut self) {
        let mut op = self.chain.request().op_delrule_do(&inet());
        op.encode().push_table_bytes(self.table.as_bytes());
    }

    /// Adds a rule behind those of its chain.
    pub(super) fn rule(&mut self, line: &Line) {
        self.instructions(chain_of(line.hook).name, |list| encode::rule(line, list));
    }

    /// Adds a rule of these instructions behind those of a chain.
    pub(super) fn instructions(
        &mut self,
        chain: &str,
        write: impl for<'a> FnOnce(encode::List<'a>) -> encode::List<'a>,
    ) {
        let op = self.chain.request().set_create().set_append().op_newrule_do(&inet());
        let rule = op.into_encoder().push_table_bytes(self.table.as_bytes());
        let rule = rule.push_chain_bytes(chain.as_bytes());
        drop(write(rule.nested_expressions()).end_nested());
    }

    /// Has the kernel take it.
    pub(super) fn commit(mut self, socket: &Socket) -> Result<(), Refusal> {
        self.chain.request().op_batch_end_do(&subsystem());
        // The end of the batch is behind the last operation.
        let mut chain = self.chain.finalize();
        let names: Vec<_> = (0..chain.chain_len()).map(|index| chain.name(index)).collect();
        let answered = names.len().saturating_sub(2);
        ask_for_one_answer(chain.buf_mut(), answered);
        let transaction = Transaction { bytes: chain.buf(), first: self.first, names, answered };
        write::through(What::Batch, || socket.send(&transaction))
    }
}

/// The elements of a message about a set.
fn list<P: Pusher>(
    message: PushSetelemListAttrs<P>,
    table: &str,
    set: &Set,
    elements: &[&Vec<u8>],
) {
    let message = message.push_table_bytes(table.as_bytes());
    let list = message.push_set_bytes(set.name().as_bytes()).nested_elements();
    let add = |list: PushSetelemListElemAttrs<_>, bytes: &&Vec<u8>| {
        list.nested_elem().nested_key().push_value(bytes).end_nested().end_nested()
    };
    drop(elements.iter().fold(list, add).end_nested());
}

/// Takes `NLM_F_ACK` from every message but this one.
fn ask_for_one_answer(messages: &mut [u8], answered: usize) {
    const HEADER: usize = 16;
    const FLAGS: std::ops::Range<usize> = 6..8;
    let mut rest = messages;
    for index in 0.. {
        if rest.len() < HEADER {
            return;
        }
        let length = u32::from_ne_bytes([rest[0], rest[1], rest[2], rest[3]]) as usize;
        if index != answered {
            let flags = u16::from_ne_bytes([rest[6], rest[7]]) & !(libc::NLM_F_ACK as u16);
            rest[FLAGS].copy_from_slice(&flags.to_ne_bytes());
        }
        let next = length.next_multiple_of(4).clamp(HEADER, rest.len());
        rest = &mut rest[next..];
    }
}
