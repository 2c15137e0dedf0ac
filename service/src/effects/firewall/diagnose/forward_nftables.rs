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

//! Chains of others in nf_tables that see forwarded packets. Reads only.

use crate::effects::firewall::nftables::TABLE;
use netlink_bindings::nftables::{Nfgenmsg, Request, VerdictCode};
use netlink_socket2::{NetlinkSocket, ReplyError};
use std::cell::RefCell;

/// Reads them by a socket that is kept: where a table has just been changed, a close of one waits for 8 ms
/// and more until the kernel has cleaned up (nft_rcv_nl_event()).
pub struct Reader(RefCell<NetlinkSocket>);

impl Default for Reader {
    fn default() -> Self {
        Self(RefCell::new(NetlinkSocket::new()))
    }
}

impl Reader {
    /// A chain of somebody else's that does something about forwarded packets, in words.
    pub fn foreign_forward_rule(&self) -> Option<String> {
        let socket = &mut *self.0.borrow_mut();
        let found = find(socket);
        if found.is_err() {
            // What came of it may still come.
            *socket = NetlinkSocket::new();
        }
        found.ok().flatten()
    }
}

/// The chains of others on the forward hook: table, name, whether the policy is not to accept.
fn chains(socket: &mut NetlinkSocket) -> Result<Vec<(String, String, bool)>, ReplyError> {
    let mut chains = Vec::new();
    let request = Request::new().op_getchain_dump(&Nfgenmsg::new());
    let mut reply = socket.request(&request)?;
    while let Some(chain) = reply.recv() {
        let (_, chain) = chain?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (Ok(table), Ok(name), Ok(hook)) =
            (chain.get_table(), chain.get_name(), chain.get_hook())
        else {
            continue; // not on a hook
        };
        if hook.get_num().ok() != Some(libc::NF_INET_FORWARD as u32)
            || table.to_bytes() == TABLE.as_bytes()
        {
            continue;
        }
        let refuses = chain.get_policy().is_ok_and(|p| p != VerdictCode::Accept as u32);
        chains.push((text(table.to_bytes()), text(name.to_bytes()), refuses));
    }
    drop(reply);
    Ok(chains)
}

fn find(socket: &mut NetlinkSocket) -> Result<Option<String>, ReplyError> {
    let chains = chains(socket)?;
    let mut ruled = Vec::new();
    let request = Request::new().op_getrule_dump(&Nfgenmsg::new());
    let mut reply = socket.request(&request)?;
    while let Some(rule) = reply.recv() {
        let (_, rule) = rule?;
        if let (Ok(table), Ok(chain)) = (rule.get_table(), rule.get_chain()) {
            ruled.push((table.to_bytes().to_vec(), chain.to_bytes().to_vec()));
        }
    }
    // A chain that has no rule and lets everything pass is only a place: `iptables-nft -L` makes one.
    let found = chains.into_iter().find(|(table, name, refuses)| {
        *refuses || ruled.iter().any(|(t, c)| t == table.as_bytes() && c == name.as_bytes())
    });
    Ok(found.map(|(table, name, _)| format!("the nftables chain {table} {name}")))
}
