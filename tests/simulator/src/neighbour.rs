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

//! Neighbours that somebody has put there by hand (net/core/neighbour.c). Nothing is ever asked for by ARP.

use crate::announce::{Cause, GROUP_NEIGH};
use crate::kernel::Kernel;
use crate::rtnetlink::Objects;
use crate::space::Netns;
use crate::wire::{u16_at, Message, Writer, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use libc::*;
use std::net::Ipv4Addr;

/// `struct ndmsg`.
const NDMSG: usize = 12;
const NDA_DST: u16 = 1;
const NDA_LLADDR: u16 = 2;
const NDA_IFINDEX: u16 = 8;
const NUD_VALID: u16 = 0xde;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbour {
    pub index: u32,
    pub address: Ipv4Addr,
    pub mac: Option<[u8; 6]>,
    pub state: u16,
    pub flags: u8,
}

impl Kernel {
    pub(crate) fn new_neighbour(
        &mut self,
        netns: Netns,
        message: &Message<'_>,
        cause: Cause,
    ) -> Result<(), i32> {
        let all = message.attributes(NDMSG)?;
        let address = all.find(NDA_DST).ok_or(EINVAL)?;
        if message.byte(0) != AF_INET as u8 {
            return Err(EAFNOSUPPORT);
        }
        let index = message.word(4);
        if index != 0 {
            self.link(netns, index)?;
        }
        let mac = all.find(NDA_LLADDR);
        if index != 0 && mac.is_some_and(|mac| mac.len() < 6) {
            return Err(EINVAL);
        }
        let address = crate::wire::ipv4(address).ok_or(EINVAL)?;
        if index == 0 {
            return Err(EINVAL);
        }
        let state = u16_at(message.body, 8).unwrap_or(0);
        let own = |n: &Neighbour| n.index == index && n.address == address;
        let found = self.space(netns).neighbours.iter().position(own);
        match found {
            None if !message.is(NLM_F_CREATE) => return Err(ENOENT),
            None if state & NUD_VALID != 0 && mac.is_none() => return Err(EINVAL),
            // arp_constructor()
            None if !self.link(netns, index)?.ipv4 => return Err(EINVAL),
            Some(_) if message.is(NLM_F_EXCL) => return Err(EEXIST),
            Some(_) if !message.is(NLM_F_REPLACE) => return Ok(()),
            _ => {}
        }
        let mac = mac.and_then(|mac| <[u8; 6]>::try_from(&mac[..6]).ok());
        let neighbour = Neighbour { index, address, mac, state, flags: message.byte(10) };
        let list = &mut self.space_mut(netns).neighbours;
        match found {
            Some(at) => list[at] = neighbour.clone(),
            None => list.push(neighbour.clone()),
        }
        self.announce(netns, GROUP_NEIGH, RTM_NEWNEIGH, cause, |_| body(&neighbour));
        Ok(())
    }

    pub(crate) fn del_neighbour(
        &mut self,
        netns: Netns,
        message: &Message<'_>,
        cause: Cause,
    ) -> Result<(), i32> {
        let all = message.attributes(NDMSG)?;
        let address = all.find(NDA_DST).ok_or(EINVAL)?;
        let index = message.word(4);
        if index != 0 {
            self.link(netns, index)?;
        }
        if message.byte(0) != AF_INET as u8 {
            return Err(EAFNOSUPPORT);
        }
        let address = crate::wire::ipv4(address).ok_or(EINVAL)?;
        if index == 0 {
            return Err(EINVAL);
        }
        let own = |n: &Neighbour| n.index == index && n.address == address;
        let list = &mut self.space_mut(netns).neighbours;
        let at = list.iter().position(own).ok_or(ENOENT)?;
        let mut gone = list.remove(at);
        // NUD_FAILED, as it is told.
        (gone.state, gone.mac) = (0x20, None);
        self.announce(netns, GROUP_NEIGH, RTM_NEWNEIGH, cause, |_| body(&gone));
        self.announce(netns, GROUP_NEIGH, RTM_DELNEIGH, cause, |_| body(&gone));
        Ok(())
    }

    /// A link goes down or away, or has another MAC (`neigh_ifdown()`, `neigh_changeaddr()`).
    pub(crate) fn neighbours_go(&mut self, netns: Netns, index: u32) {
        let list = &mut self.space_mut(netns).neighbours;
        list.retain(|n| n.index != index);
    }

    pub(crate) fn dump_neighbours(
        &self,
        netns: Netns,
        message: &Message<'_>,
    ) -> Result<Objects, i32> {
        match i32::from(message.byte(0)) {
            AF_INET | AF_UNSPEC => {}
            AF_INET6 => return Ok(Objects::new()),
            _ => return Err(EOPNOTSUPP),
        }
        let by = message.attributes(NDMSG)?.u32(NDA_IFINDEX)?;
        let list = self.space(netns).neighbours.iter();
        let wanted = list.filter(|n| by.is_none_or(|by| by == 0 || n.index == by));
        Ok(wanted.map(|n| (RTM_NEWNEIGH, body(n))).collect())
    }
}

fn body(of: &Neighbour) -> Writer {
    let mut header = [0; NDMSG];
    header[0] = AF_INET as u8;
    header[4..8].copy_from_slice(&of.index.to_ne_bytes());
    header[8..10].copy_from_slice(&of.state.to_ne_bytes());
    header[10] = of.flags;
    header[11] = 1;
    let mut out = Writer::after(&header);
    out.put(NDA_DST, &of.address.octets());
    if let Some(mac) = of.mac.filter(|_| of.state & NUD_VALID != 0) {
        out.put(NDA_LLADDR, &mac);
    }
    out
}
