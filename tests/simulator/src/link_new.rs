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

//! RTM_NEWLINK, RTM_SETLINK, RTM_DELLINK: links are made, changed, moved and deleted.

use crate::announce::{Cause, GROUP_LINK};
use crate::conf;
use crate::emit::{BR_MCAST_SNOOPING, IFINFOMSG, PORT};
use crate::kernel::Kernel;
use crate::link::{Kind, Link, UP};
use crate::space::Netns;
use crate::tc::Ingress;
use crate::wire::{Attributes, Message, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use libc::*;

const VETH_INFO_PEER: u16 = 1;
const ETH_MIN_MTU: u32 = 68;
const ETH_MAX_MTU: u32 = 65535;
const NAME: usize = IFNAMSIZ - 1;

/// Whether it may be a link's name (`dev_valid_name()`).
fn valid(name: &str) -> bool {
    let bytes = name.as_bytes();
    !bytes.is_empty()
        && bytes.len() <= NAME
        && name != "."
        && name != ".."
        && !bytes.iter().any(|byte| *byte == b'/' || *byte == b':' || byte.is_ascii_whitespace())
}

/// What a kind of links refuses whatever there is (`veth_validate()`, `br_validate()`).
fn check_new(kind: &str, all: Attributes<'_>) -> Result<(), i32> {
    if let Some(mac) = all.find(IFLA_ADDRESS) {
        if mac.len() != 6 {
            return Err(EINVAL);
        }
        if mac[0] & 1 != 0 || mac[..6] == [0; 6] {
            return Err(EADDRNOTAVAIL);
        }
    }
    match kind {
        "veth" => check_mtu(all),
        _ => Ok(()),
    }
}

fn check_mtu(all: Attributes<'_>) -> Result<(), i32> {
    match all.u32(IFLA_MTU)?.is_none_or(|mtu| (ETH_MIN_MTU..=ETH_MAX_MTU).contains(&mtu)) {
        true => Ok(()),
        false => Err(EINVAL),
    }
}

impl Kernel {
    /// The namespace that attributes name, ours where they name none (`rtnl_link_get_net_by_nlattr()`).
    fn wanted_netns(&self, netns: Netns, all: Attributes<'_>) -> Result<Netns, i32> {
        let ways = [IFLA_NET_NS_PID, IFLA_NET_NS_FD, IFLA_TARGET_NETNSID];
        if ways.iter().filter(|way| all.has(**way)).count() > 1 {
            return Err(EOPNOTSUPP);
        }
        if let Some(pid) = all.u32(IFLA_NET_NS_PID)? {
            return self.netns_of(pid as i32).ok_or(ESRCH);
        }
        if let Some(fd) = all.u32(IFLA_NET_NS_FD)? {
            return self.netns_of_fd(fd as i32).ok_or(EBADF);
        }
        Ok(self.target(netns, all, IFLA_TARGET_NETNSID)?.0)
    }

    pub(crate) fn new_link(
        &mut self,
        netns: Netns,
        message: &Message<'_>,
        cause: Cause,
    ) -> Result<(), i32> {
        let all = message.attributes(IFINFOMSG)?;
        let info = all.inside(IFLA_LINKINFO);
        let kind = match info {
            Some(info) => info.text(IFLA_INFO_KIND, 55)?,
            None => None,
        };
        if let Some(kind) = kind.as_deref() {
            check_new(kind, all)?;
            let data = info.and_then(|info| info.inside(IFLA_INFO_DATA));
            if let ("veth", Some(data)) = (kind, data) {
                self.check_peer(netns, message, data)?;
            }
        }
        let target = self.wanted_netns(netns, all)?;
        let (name, other) = (all.text(IFLA_IFNAME, NAME)?, all.text(IFLA_ALT_IFNAME, 127)?);
        let found = match (message.word(4) as i32, name.as_ref().or(other.as_ref())) {
            (..0, _) => return Err(EINVAL),
            (1.., _) => self.link(netns, message.word(4)).ok().map(|link| link.index),
            (0, Some(name)) => self.space(netns).by_name(name),
            (0, None) => None,
        };
        if let Some(index) = found {
            if message.is(NLM_F_EXCL) {
                return Err(EEXIST);
            }
            if message.is(NLM_F_REPLACE) {
                return Err(EOPNOTSUPP);
            }
            let told = match info {
                Some(info) => self.change_info(netns, index, kind.as_deref(), info)?,
                None => false,
            };
            return self.do_set(netns, index, message, all, (told, cause));
        }
        if !message.is(NLM_F_CREATE) {
            return match all.u32(IFLA_GROUP)? {
                Some(group) if message.word(4) == 0 && name.or(other).is_none() => {
                    let links = self.space(netns).links.values();
                    let group: Vec<u32> =
                        links.filter(|l| l.group == group).map(|l| l.index).collect();
                    group
                        .into_iter()
                        .try_for_each(|i| self.do_set(netns, i, message, all, (false, cause)))
                }
                _ => Err(ENODEV),
            };
        }
        let kind = match kind.as_deref() {
            Some("veth") => Kind::Veth,
            Some("bridge") => Kind::Bridge,
            Some("dummy") => Kind::Dummy,
            other => {
                if other.is_some() {
                    crate::rtnetlink::unknown("kind of link", message.kind);
                }
                return Err(EOPNOTSUPP);
            }
        };
        self.create(netns, target, kind, message, cause)
    }

    fn create(
        &mut self,
        netns: Netns,
        target: Netns,
        kind: Kind,
        message: &Message<'_>,
        cause: Cause,
    ) -> Result<(), i32> {
        let all = message.attributes(IFINFOMSG)?;
        let data = all.inside(IFLA_LINKINFO).and_then(|info| info.inside(IFLA_INFO_DATA));
        let mut peer = None;
        if kind == Kind::Veth {
            let whole = data.and_then(|data| data.find(VETH_INFO_PEER));
            let body = whole.unwrap_or(&[0; IFINFOMSG]);
            let header = Message { body, ..*message };
            let own = match whole {
                Some(_) => header.attributes(IFINFOMSG)?,
                None => Attributes(&[]),
            };
            // Without a namespace of its own it goes where the request was made.
            let named = [IFLA_NET_NS_PID, IFLA_NET_NS_FD, IFLA_TARGET_NETNSID];
            let there = match named.iter().any(|way| own.has(*way)) {
                true => self.wanted_netns(netns, own)?,
                false => netns,
            };
            peer = Some((there, own, header));
        }
        if kind == Kind::Bridge {
            check_mtu(all)?;
        }
        let snoops = data.filter(|_| kind == Kind::Bridge).map(|data| data.u8(BR_MCAST_SNOOPING));
        let snoops = snoops.transpose()?.flatten();
        let peer = match peer {
            None => None,
            Some((there, own, header)) => {
                let wanted = header.word(4);
                let index = self.register(there, Kind::Veth, own, wanted)?;
                self.link_mut(there, index).born = true;
                let flags = header.word(8);
                self.configure(there, index, flags, header.word(12), Cause::default());
                Some((there, index))
            }
        };
        let index = match self.register(target, kind, all, message.word(4)) {
            Ok(index) => index,
            Err(errno) => {
                if let Some((there, index)) = peer {
                    self.delete_link(there, index, Cause::default());
                }
                return Err(errno);
            }
        };
        if let Some((there, other)) = peer {
            self.link_mut(target, index).peer = peer;
            self.link_mut(there, other).peer = Some((target, index));
        }
        let link = self.link_mut(target, index);
        link.born = true;
        link.snoops = snoops != Some(0);
        self.configure(target, index, message.word(8), message.word(12), cause);
        if let Some(master) = all.u32(IFLA_MASTER)? {
            if let Err(errno) = self.set_master(target, index, master) {
                self.delete_link(target, index, cause);
                return Err(errno);
            }
        }
        Ok(())
    }

    /// Of the other end of a veth, its attributes and its namespace (`rtnl_get_peer_net()`).
    fn check_peer(
        &self,
        netns: Netns,
        message: &Message<'_>,
        data: Attributes<'_>,
    ) -> Result<(), i32> {
        let Some(body) = data.find(VETH_INFO_PEER) else { return Ok(()) };
        let own = Message { body, ..*message }.attributes(IFINFOMSG)?;
        check_new("veth", own)?;
        self.wanted_netns(netns, own).map(drop)
    }

    /// `register_netdevice()`: its name, its index, its IPv4.
    fn register(
        &mut self,
        netns: Netns,
        kind: Kind,
        all: Attributes<'_>,
        wanted: u32,
    ) -> Result<u32, i32> {
        let pattern = format!("{}%d", kind.name());
        let name = all.text(IFLA_IFNAME, NAME)?.unwrap_or(pattern);
        let name = self.free_name(netns, &name)?;
        let mut link = self.blank(netns, kind, name);
        link.mtu = all.u32(IFLA_MTU)?.unwrap_or(1500);
        (link.ipv4, link.ipv6) = (link.mtu >= 68, link.mtu >= 1280);
        link.group = all.u32(IFLA_GROUP)?.unwrap_or(0);
        link.txqlen = all.u32(IFLA_TXQLEN)?.unwrap_or(1000);
        if let Some(mac) = all.find(IFLA_ADDRESS) {
            link.mac.copy_from_slice(&mac[..6]);
        }
        link.carrier = true;
        let index = self.insert(netns, link, wanted)?;
        if kind == Kind::Veth || kind == Kind::Bridge && all.has(IFLA_ADDRESS) {
            // It is born with a carrier, which goes at once (veth_newlink()); a bridge's when it looks at its ports
            // for the first time, which the MAC that it is given makes it do (br_stp_change_bridge_id()).
            self.set_carrier(netns, index, false);
        }
        Ok(index)
    }

    /// The rest of it: its index, its MAC if it has none yet, its IPv4.
    pub(crate) fn insert(&mut self, netns: Netns, mut link: Link, wanted: u32) -> Result<u32, i32> {
        let index = self.space_mut(netns).take_index(wanted)?;
        if link.mac == [0; 6] {
            // The kernel's is random.
            let [_, _, high, low] = index.to_be_bytes();
            link.mac = [0x02, 0x51, netns.0 as u8, 0, high, low];
        }
        link.index = index;
        self.space_mut(netns).links.insert(index, link);
        self.netconf_comes(netns, index);
        Ok(index)
    }

    /// A name as it is given, or with the first free number in the place of %d (`__dev_alloc_name()`).
    pub(crate) fn free_name(&self, netns: Netns, name: &str) -> Result<String, i32> {
        if !valid(name) {
            return Err(EINVAL);
        }
        match name.split_once('%') {
            None => match self.space(netns).by_name(name) {
                Some(_) => Err(EEXIST),
                None => Ok(name.into()),
            },
            Some((before, after)) => {
                let after = after.strip_prefix('d').ok_or(EINVAL)?;
                let free = |name: &String| self.space(netns).by_name(name).is_none();
                (0..).map(|n: u32| format!("{before}{n}{after}")).find(free).ok_or(ENFILE)
            }
        }
    }

    /// `rtnl_configure_link()`: its first announcement.
    fn configure(&mut self, netns: Netns, index: u32, flags: u32, mask: u32, cause: Cause) {
        let old = self.link_mut(netns, index).flags;
        if flags != 0 || mask != 0 {
            let mask = if mask == 0 { u32::MAX } else { mask };
            self.link_mut(netns, index).born = false;
            self.change_flags(netns, index, old & !mask | flags & mask, cause);
            self.link_mut(netns, index).born = true;
        }
        self.announce_link(netns, index, u32::MAX, cause);
    }

    fn change_info(
        &mut self,
        netns: Netns,
        index: u32,
        kind: Option<&str>,
        info: Attributes<'_>,
    ) -> Result<bool, i32> {
        let link = self.link(netns, index)?;
        if info.has(IFLA_INFO_DATA) && (kind != Some(link.kind.name()) || link.kind != Kind::Bridge)
        {
            return Err(EOPNOTSUPP);
        }
        if info.has(IFLA_INFO_SLAVE_DATA) {
            let kind = info.text(IFLA_INFO_SLAVE_KIND, 55)?;
            if link.master.is_none() || kind.as_deref() != Some("bridge") {
                return Err(EOPNOTSUPP);
            }
        }
        let link = self.link_mut(netns, index);
        let mut told = false;
        if let Some(data) = info.inside(IFLA_INFO_DATA) {
            if let Some(on) = data.u8(BR_MCAST_SNOOPING)? {
                link.snoops = on != 0;
            }
            told = true;
        }
        if let Some(data) = info.inside(IFLA_INFO_SLAVE_DATA) {
            for (kind, to) in PORT.into_iter().zip(&mut link.port) {
                if let Some(on) = data.u8(kind)? {
                    *to = on != 0;
                }
            }
            told = true;
        }
        Ok(told)
    }

    pub(crate) fn set_link(
        &mut self,
        netns: Netns,
        message: &Message<'_>,
        cause: Cause,
    ) -> Result<(), i32> {
        let all = message.attributes(IFINFOMSG)?;
        let (name, other) = (all.text(IFLA_IFNAME, NAME)?, all.text(IFLA_ALT_IFNAME, 127)?);
        self.wanted_netns(netns, all)?;
        let index = match (message.word(4) as i32, name.or(other)) {
            (1.., _) => message.word(4),
            (_, Some(name)) => self.space(netns).by_name(&name).ok_or(ENODEV)?,
            _ => return Err(EINVAL),
        };
        self.link(netns, index)?;
        self.do_set(netns, index, message, all, (false, cause))
    }

    /// `do_setlink()`, in its order: what was done before the first refusal stays.
    fn do_set(
        &mut self,
        netns: Netns,
        index: u32,
        message: &Message<'_>,
        all: Attributes<'_>,
        (mut told, cause): (bool, Cause),
    ) -> Result<(), i32> {
        self.validate(netns, index, all)?;
        let (mut netns, mut index) = (netns, index);
        let target = self.wanted_netns(netns, all)?;
        if target != netns {
            let name = all.text(IFLA_IFNAME, NAME)?;
            (netns, index) = self.move_link(netns, index, target, name)?;
        }
        let result = self.set_rest((netns, index), message, all, cause, &mut told);
        // netdev_state_change(), whether the rest was done or not: of a link that is down nobody is told.
        if told {
            self.state_changes(netns, index);
        }
        result
    }

    /// What is not the namespace.
    fn set_rest(
        &mut self,
        (netns, index): (Netns, u32),
        message: &Message<'_>,
        all: Attributes<'_>,
        cause: Cause,
        told: &mut bool,
    ) -> Result<(), i32> {
        if let Some(mac) = all.find(IFLA_ADDRESS) {
            if mac[0] & 1 != 0 || mac[..6] == [0; 6] {
                return Err(EADDRNOTAVAIL);
            }
            let mut own = [0; 6];
            own.copy_from_slice(&mac[..6]);
            let link = self.link_mut(netns, index);
            let is_other = std::mem::replace(&mut link.mac, own) != own;
            if is_other && link.kind == Kind::Bridge {
                self.settle_bridge(netns, index);
            }
            self.neighbours_go(netns, index);
            self.announce_link(netns, index, 0, Cause::default());
        }
        if let Some(mtu) = all.u32(IFLA_MTU)? {
            let link = self.link(netns, index)?;
            if mtu != link.mtu {
                let (least, most) = match link.kind {
                    Kind::Loopback => (0, i32::MAX as u32),
                    Kind::Dummy => (0, i32::MAX as u32),
                    // Without its Ethernet header (tun_net_initialize()).
                    Kind::Tun => (ETH_MIN_MTU, ETH_MAX_MTU - 14),
                    _ => (ETH_MIN_MTU, ETH_MAX_MTU),
                };
                if mtu < least || mtu > most {
                    return Err(EINVAL);
                }
                self.set_mtu(netns, index, mtu);
                let link = self.link_mut(netns, index);
                link.mtu_by_hand |= link.kind == Kind::Bridge;
                if let Some(bridge) = link.master {
                    self.adjust_bridge(netns, bridge);
                }
            }
        }
        if let Some(group) = all.u32(IFLA_GROUP)? {
            self.link_mut(netns, index).group = group;
            *told = true;
        }
        if let Some(name) = all.text(IFLA_IFNAME, NAME)?.filter(|_| message.word(4) > 0) {
            if self.link(netns, index)?.name != name {
                let free = self.free_name(netns, &name)?;
                self.link_mut(netns, index).name = free;
                self.rules_lose(netns, index);
                self.announce_link(netns, index, 0, Cause::default());
                if self.link(netns, index)?.ipv4 {
                    self.addresses_renamed(netns, index);
                    self.netconf_goes(netns, index);
                    self.netconf_comes(netns, index);
                } else {
                    self.rules_find(netns, index);
                }
            }
        }
        if let Some(alias) = all.find(IFLA_IFALIAS) {
            let alias = String::from_utf8_lossy(alias).trim_end_matches('\0').to_owned();
            self.link_mut(netns, index).alias = Some(alias).filter(|alias| !alias.is_empty());
            *told = true;
        }
        let (flags, mask) = (message.word(8), message.word(12));
        if flags != 0 || mask != 0 {
            let mask = if mask == 0 { u32::MAX } else { mask };
            let old = self.link(netns, index)?.flags;
            self.change_flags(netns, index, old & !mask | flags & mask, cause);
        }
        if let Some(master) = all.u32(IFLA_MASTER)? {
            self.set_master(netns, index, master)?;
        }
        if let Some(families) = all.inside(IFLA_AF_SPEC) {
            if let Some(values) = families.inside(AF_INET as u16).and_then(|f| f.inside(1)) {
                for (number, value) in values {
                    let value = crate::wire::u32_at(value, 0).ok_or(EINVAL)?;
                    self.link_mut(netns, index).conf.set(usize::from(number), value);
                }
                *told = true;
            }
        }
        Ok(())
    }

    fn set_mtu(&mut self, netns: Netns, index: u32, mtu: u32) {
        self.link_mut(netns, index).mtu = mtu;
        self.announce_link(netns, index, 0, Cause::default());
        self.families_follow(netns, index);
    }

    /// A bridge is as narrow as its narrowest port, unless somebody has said how narrow
    /// (`br_mtu_auto_adjust()`).
    pub(crate) fn adjust_bridge(&mut self, netns: Netns, bridge: u32) {
        let Ok(link) = self.link(netns, bridge) else { return };
        if link.mtu_by_hand || link.kind != Kind::Bridge {
            return;
        }
        let ports = self.space(netns).links.values().filter(|port| port.master == Some(bridge));
        let least = ports.map(|port| port.mtu).min().unwrap_or(1500);
        if least != link.mtu {
            self.set_mtu(netns, bridge, least);
        }
    }

    /// IPv4 leaves a link that is narrower than 68 bytes, IPv6 one that is narrower than 1280.
    fn families_follow(&mut self, netns: Netns, index: u32) {
        let (mtu, default) =
            (self.link_mut(netns, index).mtu, self.space(netns).conf_default.clone());
        let no_ipv6 = self.space(netns).no_ipv6.1;
        let link = self.link_mut(netns, index);
        if mtu >= 1280 && !link.ipv6 {
            link.no_ipv6 = no_ipv6;
        }
        // lo never gives up IPv6 (addrconf_notify()).
        link.ipv6 = mtu >= 1280 || link.kind == Kind::Loopback;
        match (link.ipv4, mtu >= 68) {
            (true, false) => {
                link.ipv4 = false;
                let had = !self.addresses(netns, index).is_empty();
                self.addresses_go(netns, index);
                self.neighbours_go(netns, index);
                if had {
                    self.flush_routes_by(netns, index, true);
                }
                self.netconf_goes(netns, index);
            }
            (false, true) => {
                link.ipv4 = true;
                link.conf = default;
                self.netconf_comes(netns, index);
            }
            _ => {}
        }
    }

    /// `validate_linkmsg()`: before anything is done.
    fn validate(&self, netns: Netns, index: u32, all: Attributes<'_>) -> Result<(), i32> {
        if all.find(IFLA_ADDRESS).is_some_and(|mac| mac.len() < 6) {
            return Err(EINVAL);
        }
        let Some(families) = all.inside(IFLA_AF_SPEC) else { return Ok(()) };
        let narrow = !self.link(netns, index)?.ipv4;
        for (family, value) in families {
            if family != AF_INET as u16 {
                return Err(EAFNOSUPPORT);
            }
            if narrow {
                return Err(EAFNOSUPPORT);
            }
            for (number, value) in Attributes(value).inside(1).into_iter().flatten() {
                if value.len() < 4 || number == 0 || usize::from(number) > conf::COUNT {
                    return Err(EINVAL);
                }
            }
        }
        Ok(())
    }

    /// `do_set_master()`: it leaves the one it is in first.
    fn set_master(&mut self, netns: Netns, index: u32, master: u32) -> Result<(), i32> {
        if let Some(before) = self.link(netns, index)?.master {
            if before == master {
                return Ok(());
            }
            self.leave_bridge(netns, index);
            self.adjust_bridge(netns, before);
        }
        if master == 0 {
            return Ok(());
        }
        let (port, bridge) = (self.link(netns, index)?, self.link(netns, master));
        let bridge = bridge.map_err(|_| EINVAL)?;
        if bridge.kind != Kind::Bridge {
            return Err(EOPNOTSUPP);
        }
        match port.kind {
            Kind::Bridge => return Err(ELOOP),
            Kind::Loopback => return Err(EINVAL),
            _ => {}
        }
        self.join_bridge(netns, index, master);
        Ok(())
    }

    /// `dev_change_net_namespace()`: gone here, new there, without addresses, down.
    fn move_link(
        &mut self,
        netns: Netns,
        index: u32,
        target: Netns,
        name: Option<String>,
    ) -> Result<(Netns, u32), i32> {
        let link = self.link(netns, index)?;
        if link.kind == Kind::Loopback || link.kind == Kind::Bridge {
            return Err(EINVAL);
        }
        let name = name.unwrap_or_else(|| link.name.clone());
        if self.space(target).by_name(&name).is_some() {
            return Err(EEXIST);
        }
        if link.is_up() {
            let flags = link.flags & !UP;
            self.change_flags(netns, index, flags, Cause::default());
        }
        self.addresses_go(netns, index);
        self.flush_routes_by(netns, index, true);
        self.netconf_goes(netns, index);
        self.neighbours_go(netns, index);
        self.rules_lose(netns, index);
        self.filters_lose(netns, index);
        let link = self.link_mut(netns, index);
        link.ingress = Ingress::Never;
        (link.ipv4, link.ipv6, link.opened) = (false, false, false);
        self.set_master(netns, index, 0)?;
        // The message says where it went.
        self.id(netns, target, Cause::default());
        self.number_other_end(netns, index, Cause::default());
        self.announce(netns, GROUP_LINK, RTM_DELLINK, Cause::default(), |kernel| {
            kernel.link_body((netns, netns), index, u32::MAX, false, Cause::default())
        });
        let mut link: Link = self.space_mut(netns).links.remove(&index).ok_or(ENODEV)?;
        let space = self.space_mut(target);
        // Its index where it is free there.
        let new = match space.links.contains_key(&index) {
            true => space.take_index(0)?,
            false => index,
        };
        (link.index, link.name, link.master) = (new, name, None);
        (link.ipv4, link.ipv6) = (link.mtu >= 68, link.mtu >= 1280);
        link.no_ipv6 = space.no_ipv6.1;
        link.conf = space.conf_default.clone();
        let peer = link.peer;
        space.links.insert(new, link);
        self.queues_follow((netns, index), (target, new));
        self.watch_follows((netns, index), (target, new));
        if let Some((there, other)) = peer {
            self.link_mut(there, other).peer = Some((target, new));
        }
        self.netconf_comes(target, new);
        self.announce_link(target, new, u32::MAX, Cause::default());
        Ok((target, new))
    }

    pub(crate) fn del_link(
        &mut self,
        netns: Netns,
        message: &Message<'_>,
        cause: Cause,
    ) -> Result<(), i32> {
        let all = message.attributes(IFINFOMSG)?;
        let (there, _) = self.target(netns, all, IFLA_TARGET_NETNSID)?;
        let (name, other) = (all.text(IFLA_IFNAME, NAME)?, all.text(IFLA_ALT_IFNAME, 127)?);
        let index = match (message.word(4) as i32, name.or(other), all.u32(IFLA_GROUP)?) {
            (1.., _, _) => message.word(4),
            (_, Some(name), _) => self.space(there).by_name(&name).ok_or(ENODEV)?,
            (_, None, Some(group)) => return self.del_group(there, group, cause),
            _ => return Err(EINVAL),
        };
        // lo and physical links have no way to be deleted.
        if self.link(there, index)?.kind == Kind::Loopback {
            return Err(EOPNOTSUPP);
        }
        self.delete_link(there, index, cause);
        Ok(())
    }

    fn del_group(&mut self, netns: Netns, group: u32, cause: Cause) -> Result<(), i32> {
        if group == 0 {
            return Err(EPERM);
        }
        let links = self.space(netns).links.values();
        let all: Vec<(u32, Kind)> =
            links.filter(|link| link.group == group).map(|link| (link.index, link.kind)).collect();
        if all.is_empty() {
            return Err(ENODEV);
        }
        if all.iter().any(|(_, kind)| *kind == Kind::Loopback) {
            return Err(EOPNOTSUPP);
        }
        let all: Vec<u32> = all.into_iter().map(|(index, _)| index).collect();
        self.delete_links(netns, &all, cause);
        Ok(())
    }
}
