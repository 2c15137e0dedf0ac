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

//! Every netlink message as a line of the log, at level trace. Costs one comparison when that is off.

use super::message::{acknowledged, Message, Messages, NLMSG_DONE, NLMSG_ERROR};
use std::fmt;

/// A request.
pub fn sent(datagram: &[u8]) {
    if !log::log_enabled!(log::Level::Trace) {
        return;
    }
    for message in Messages(datagram) {
        log::trace!("netlink > {}", Line(&message));
    }
}

/// An answer or an announcement.
pub fn received(message: &Message<'_>) {
    log::trace!("netlink < {}", Line(message));
}

/// Length of `struct ifinfomsg` (linux/rtnetlink.h).
const IFINFOMSG: usize = 16;

struct Line<'a>(&'a Message<'a>);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message @ Message { kind, flags, sequence, body } = self.0;
        match name(*kind, body.len()) {
            Some(name) => write!(f, "{name}")?,
            None => write!(f, "type {kind:#x}")?,
        }
        write!(f, " flags {flags:#x} seq {sequence}")?;
        match acknowledged(message) {
            Err(e) if [NLMSG_ERROR, NLMSG_DONE].contains(kind) => write!(f, " {e}")?,
            _ => {}
        }
        write!(f, " {} bytes ", body.len())?;
        body.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The names of linux/netlink.h, linux/rtnetlink.h and linux/netfilter/: nfnetlink.h, nf_tables.h,
/// nfnetlink_conntrack.h.
fn name(kind: u16, bytes: usize) -> Option<&'static str> {
    Some(match kind {
        // The same numbers as RTM_NEWLINK's and the next, which are behind a longer header.
        0x10 if bytes < IFINFOMSG => "NFNL_MSG_BATCH_BEGIN",
        0x11 if bytes < IFINFOMSG => "NFNL_MSG_BATCH_END",
        NLMSG_ERROR => "NLMSG_ERROR",
        NLMSG_DONE => "NLMSG_DONE",
        libc::RTM_NEWLINK => "RTM_NEWLINK",
        libc::RTM_DELLINK => "RTM_DELLINK",
        libc::RTM_GETLINK => "RTM_GETLINK",
        libc::RTM_SETLINK => "RTM_SETLINK",
        libc::RTM_NEWADDR => "RTM_NEWADDR",
        libc::RTM_DELADDR => "RTM_DELADDR",
        libc::RTM_GETADDR => "RTM_GETADDR",
        libc::RTM_NEWROUTE => "RTM_NEWROUTE",
        libc::RTM_DELROUTE => "RTM_DELROUTE",
        libc::RTM_GETROUTE => "RTM_GETROUTE",
        libc::RTM_NEWNEIGH => "RTM_NEWNEIGH",
        libc::RTM_DELNEIGH => "RTM_DELNEIGH",
        libc::RTM_GETNEIGH => "RTM_GETNEIGH",
        libc::RTM_NEWQDISC => "RTM_NEWQDISC",
        libc::RTM_DELQDISC => "RTM_DELQDISC",
        libc::RTM_GETQDISC => "RTM_GETQDISC",
        libc::RTM_NEWTFILTER => "RTM_NEWTFILTER",
        libc::RTM_DELTFILTER => "RTM_DELTFILTER",
        libc::RTM_GETTFILTER => "RTM_GETTFILTER",
        libc::RTM_NEWRULE => "RTM_NEWRULE",
        libc::RTM_DELRULE => "RTM_DELRULE",
        libc::RTM_GETRULE => "RTM_GETRULE",
        libc::RTM_NEWNSID => "RTM_NEWNSID",
        libc::RTM_GETNSID => "RTM_GETNSID",
        0xa00 => "NFT_MSG_NEWTABLE",
        0xa02 => "NFT_MSG_DELTABLE",
        0xa03 => "NFT_MSG_NEWCHAIN",
        0xa06 => "NFT_MSG_NEWRULE",
        0xa08 => "NFT_MSG_DELRULE",
        0xa09 => "NFT_MSG_NEWSET",
        0xa0b => "NFT_MSG_DELSET",
        0xa0c => "NFT_MSG_NEWSETELEM",
        0xa0e => "NFT_MSG_DELSETELEM",
        0x100 => "IPCTNL_MSG_CT_NEW",
        0x101 => "IPCTNL_MSG_CT_GET",
        0x102 => "IPCTNL_MSG_CT_DELETE",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_the_message_its_errno_and_its_bytes() {
        let body = [&(-libc::EEXIST).to_ne_bytes()[..], &[0xab; 2]].concat();
        let mut message = Message { kind: NLMSG_ERROR, flags: 0x100, sequence: 7, body: &body };
        let line = Line(&message).to_string();
        assert!(line.starts_with("NLMSG_ERROR flags 0x100 seq 7 EEXIST, "), "{line}");
        assert!(line.ends_with("6 bytes efffffffabab") || cfg!(target_endian = "big"), "{line}");
        message.kind = libc::RTM_NEWROUTE;
        assert!(!Line(&message).to_string().contains("EEXIST"));
        message.kind = 0x7777;
        assert!(Line(&message).to_string().starts_with("type 0x7777 flags"));
    }
}
