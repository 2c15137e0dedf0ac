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

//! A link as RTM_NEWLINK tells it (`rtnl_fill_ifinfo()`), and the questions for links.

use crate::announce::Cause;
use crate::conf;
use crate::kernel::Kernel;
use crate::link::Kind;
use crate::rtnetlink::Objects;
use crate::space::Netns;
use crate::wire::{Attributes, Message, Writer};
use libc::*;

/// `struct ifinfomsg`.
pub const IFINFOMSG: usize = 16;

/// IFLA_BR_MCAST_SNOOPING.
pub const BR_MCAST_SNOOPING: u16 = 23;
/// IFLA_BRPORT_LEARNING, _UNICAST_FLOOD, _MCAST_FLOOD, _BCAST_FLOOD.
pub const PORT: [u16; 4] = [8, 9, 27, 30];

const INET6_CONF: usize = 64;
const SKIP_STATS: u32 = 1 << 3;

impl Kernel {
    /// The body of a message about a link; ids of namespaces are those of who sees it.
    pub(crate) fn link_body(
        &mut self,
        (seen_from, netns): (Netns, Netns),
        index: u32,
        changed: u32,
        counters: bool,
        cause: Cause,
    ) -> Writer {
        let Ok(link) = self.link(netns, index).cloned() else { return Writer::default() };
        let mut header = [0; IFINFOMSG];
        let hardware = if link.kind == Kind::Loopback { ARPHRD_LOOPBACK } else { ARPHRD_ETHER };
        header[2..4].copy_from_slice(&hardware.to_ne_bytes());
        header[4..8].copy_from_slice(&index.to_ne_bytes());
        header[8..12].copy_from_slice(&link.told_flags().to_ne_bytes());
        header[12..16].copy_from_slice(&changed.to_ne_bytes());
        let mut out = Writer::after(&header);
        out.text(IFLA_IFNAME, &link.name);
        out.u32(IFLA_TXQLEN, link.txqlen);
        out.put(IFLA_OPERSTATE, &[link.operstate()]);
        out.put(IFLA_LINKMODE, &[0]);
        out.u32(IFLA_MTU, link.mtu);
        out.u32(IFLA_GROUP, link.group);
        if let Some(master) = link.master {
            out.u32(IFLA_MASTER, master);
        }
        out.put(IFLA_CARRIER, &[u8::from(link.carrier)]);
        out.text(IFLA_QDISC, link.queue());
        if let Some(alias) = &link.alias {
            out.text(IFLA_IFALIAS, alias);
        }
        out.u32(IFLA_CARRIER_CHANGES, link.carrier_ups + link.carrier_downs);
        out.u32(IFLA_CARRIER_UP_COUNT, link.carrier_ups);
        out.u32(IFLA_CARRIER_DOWN_COUNT, link.carrier_downs);
        out.put(IFLA_ADDRESS, &link.mac);
        let all = if link.kind == Kind::Loopback { [0; 6] } else { [0xff; 6] };
        out.put(IFLA_BROADCAST, &all);
        if counters {
            out.put(IFLA_STATS64, &[0; 200]);
        }
        if link.kind != Kind::Loopback {
            let mut info = Writer::default();
            info.text(1, link.kind.name());
            if let Some(tun) = link.tun {
                info.nest(2, &tun.info());
            }
            if link.kind == Kind::Bridge {
                let mut data = Writer::default();
                data.put(BR_MCAST_SNOOPING, &[u8::from(link.snoops)]);
                info.nest(2, &data);
            }
            let bridge = |i: u32| self.link(netns, i).is_ok_and(|link| link.kind == Kind::Bridge);
            if link.master.is_some_and(bridge) {
                info.text(4, "bridge");
                let mut data = Writer::default();
                PORT.iter().zip(link.port).for_each(|(kind, on)| data.put(*kind, &[u8::from(on)]));
                info.nest(5, &data);
            }
            out.nest(IFLA_LINKINFO, &info);
        }
        if link.kind == Kind::Veth {
            // 0 while the other end is being made (`veth_get_iflink()`).
            let alive = |(there, _): &(Netns, u32)| self.spaces.contains_key(there);
            match link.peer.filter(alive) {
                None => out.u32(IFLA_LINK, 0),
                Some((there, other)) => {
                    if there != netns {
                        let id = self.id(seen_from, there, cause);
                        out.u32(IFLA_LINK_NETNSID, id as u32);
                    }
                    out.u32(IFLA_LINK, other);
                }
            }
        }
        let mut families = Writer::default();
        // Narrower than that, IPv4 leaves (inetdev_valid_mtu()).
        if link.ipv4 {
            let mut values = Vec::with_capacity(4 * conf::COUNT);
            link.conf.values[1..]
                .iter()
                .for_each(|value| values.extend_from_slice(&value.to_ne_bytes()));
            let mut inner = Writer::default();
            inner.put(1, &values);
            families.nest(AF_INET as u16, &inner);
        }
        if link.ipv6 {
            let mut values = [0; 4 * INET6_CONF];
            values[4 * 26] = u8::from(link.no_ipv6);
            let mut inner = Writer::default();
            inner.put(2, &values);
            families.nest(AF_INET6 as u16, &inner);
        }
        out.nest(IFLA_AF_SPEC, &families);
        if !link.altnames.is_empty() {
            let mut names = Writer::default();
            link.altnames.iter().for_each(|name| names.text(IFLA_ALT_IFNAME, name));
            out.nest(IFLA_PROP_LIST, &names);
        }
        out
    }

    /// Where a question looks: here, or in the namespace with this id.
    pub(crate) fn target(
        &self,
        netns: Netns,
        all: Attributes<'_>,
        kind: u16,
    ) -> Result<(Netns, Option<u32>), i32> {
        match all.u32(kind)? {
            None => Ok((netns, None)),
            Some(id) => match self.space(netns).ids.get(&(id as i32)) {
                Some(there) => Ok((*there, Some(id))),
                None => Err(EINVAL),
            },
        }
    }

    pub(crate) fn get_link(&mut self, netns: Netns, message: &Message<'_>) -> Result<Objects, i32> {
        let all = message.attributes(IFINFOMSG)?;
        let (there, id) = self.target(netns, all, IFLA_TARGET_NETNSID)?;
        let (name, other) = (all.text(IFLA_IFNAME, IFNAMSIZ - 1)?, all.text(IFLA_ALT_IFNAME, 127)?);
        let index = match (message.word(4) as i32, name.or(other)) {
            (1.., _) => message.word(4),
            (0, Some(name)) => self.space(there).by_name(&name).ok_or(ENODEV)?,
            _ => return Err(EINVAL),
        };
        self.link(there, index)?;
        let counters = all.u32(IFLA_EXT_MASK)?.unwrap_or(0) & SKIP_STATS == 0;
        let mut body = self.link_body((netns, there), index, 0, counters, Cause::default());
        if let Some(id) = id {
            body.u32(IFLA_TARGET_NETNSID, id);
        }
        Ok(vec![(RTM_NEWLINK, body)])
    }

    pub(crate) fn dump_links(
        &mut self,
        netns: Netns,
        message: &Message<'_>,
    ) -> Result<Objects, i32> {
        let all = message.attributes(IFINFOMSG)?;
        let (there, id) = self.target(netns, all, IFLA_TARGET_NETNSID)?;
        let counters = all.u32(IFLA_EXT_MASK)?.unwrap_or(0) & SKIP_STATS == 0;
        let master = all.u32(IFLA_MASTER)?;
        let links = self.space(there).links.values();
        let wanted = links.filter(|link| master.is_none() || link.master == master);
        let wanted: Vec<u32> = wanted.map(|link| link.index).collect();
        let body = |index| {
            let mut body = self.link_body((netns, there), index, 0, counters, Cause::default());
            if let Some(id) = id {
                body.u32(IFLA_TARGET_NETNSID, id);
            }
            (RTM_NEWLINK, body)
        };
        Ok(wanted.into_iter().map(body).collect())
    }
}
