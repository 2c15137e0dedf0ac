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

//! Links: what one is, and what becomes of it: up, down, moved, deleted (net/core/dev.c, rtnetlink.c).

use crate::announce::{Cause, GROUP_LINK};
use crate::carrier::UNKNOWN;
use crate::conf::Conf;
use crate::kernel::Kernel;
use crate::space::Netns;
use crate::tc::Ingress;
use crate::tun::Tun;
use libc::{IFF_BROADCAST, IFF_LOOPBACK, IFF_MULTICAST, IFF_RUNNING, IFF_UP};

/// `IFF_*` beyond what libc's are typed as.
pub const UP: u32 = IFF_UP as u32;
pub const LOWER_UP: u32 = 1 << 16;
const RUNNING: u32 = IFF_RUNNING as u32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Loopback,
    Veth,
    Bridge,
    Dummy,
    Tun,
}

impl Kind {
    /// As IFLA_INFO_KIND says it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Loopback => "",
            Self::Veth => "veth",
            Self::Bridge => "bridge",
            Self::Dummy => "dummy",
            Self::Tun => "tun",
        }
    }
}

#[derive(Clone, Debug)]
pub struct Link {
    pub index: u32,
    pub name: String,
    pub altnames: Vec<String>,
    pub kind: Kind,
    pub mac: [u8; 6],
    pub mtu: u32,
    pub group: u32,
    pub alias: Option<String>,
    pub master: Option<u32>,
    /// Where the other end of a veth is.
    pub peer: Option<(Netns, u32)>,
    /// IFF_UP and what else is switched by hand.
    pub flags: u32,
    /// Whether it was ever up: it has a queueing discipline then.
    pub opened: bool,
    pub carrier: bool,
    pub carrier_ups: u32,
    pub carrier_downs: u32,
    pub conf: Conf,
    /// Of a bridge: whether its MTU was set, so that its ports' do not change it.
    pub mtu_by_hand: bool,
    pub no_ipv6: bool,
    pub txqlen: u32,
    /// Its announcements begin once it is complete.
    pub born: bool,
    /// Whether it has IPv4 and IPv6: not on its way out, and not while it is too narrow.
    pub ipv4: bool,
    pub ipv6: bool,
    /// Of a TUN or TAP device.
    pub tun: Option<Tun>,
    pub ingress: Ingress,
    /// Of a bridge: whether it listens to who wants multicast.
    pub snoops: bool,
    /// Of a port of one: whether its bridge learns there, and sends there what is for nobody that it knows, for
    /// several, for all.
    pub port: [bool; 4],
    /// Of a port: whether it forwards (BR_STATE_FORWARDING, as there is no STP).
    pub forwards: bool,
    /// RFC 2863's, as the link watch left it.
    pub state: u8,
}

impl Link {
    pub fn is_up(&self) -> bool {
        self.flags & UP != 0
    }

    /// The queueing discipline that it sends by.
    pub fn queue(&self) -> &'static str {
        match (self.opened, self.tun) {
            (false, _) => "noop",
            (true, None) => "noqueue",
            (true, Some(tun)) if tun.is_several() => "mq",
            (true, Some(_)) => "pfifo_fast",
        }
    }

    /// Flags as they are told (`netif_get_flags()`).
    pub fn told_flags(&self) -> u32 {
        let mut flags = self.flags;
        if self.is_up() && self.carrier {
            flags |= RUNNING | LOWER_UP;
        }
        flags
    }
}

pub fn flags_of(kind: Kind) -> u32 {
    match kind {
        Kind::Loopback => IFF_LOOPBACK as u32,
        Kind::Dummy => IFF_BROADCAST as u32 | libc::IFF_NOARP as u32,
        Kind::Veth | Kind::Bridge | Kind::Tun => (IFF_BROADCAST | IFF_MULTICAST) as u32,
    }
}

impl Kernel {
    pub(crate) fn link(&self, netns: Netns, index: u32) -> Result<&Link, i32> {
        self.space(netns).links.get(&index).ok_or(libc::ENODEV)
    }

    pub(crate) fn link_mut(&mut self, netns: Netns, index: u32) -> &mut Link {
        self.space_mut(netns).links.get_mut(&index).expect("a link that is there")
    }

    pub(crate) fn add_loopback(&mut self, netns: Netns) {
        let mut lo = self.blank(netns, Kind::Loopback, "lo".into());
        lo.mtu = 65536;
        lo.carrier = true;
        // NOXFRM and NOPOLICY.
        (lo.conf.values[15], lo.conf.values[16]) = (1, 1);
        lo.txqlen = 1000;
        lo.born = true;
        let space = self.space_mut(netns);
        lo.index = space.take_index(0).expect("the first one is free");
        space.links.insert(lo.index, lo);
    }

    /// One without an index yet.
    pub(crate) fn blank(&self, netns: Netns, kind: Kind, name: String) -> Link {
        let space = self.space(netns);
        Link {
            index: 0,
            name,
            altnames: Vec::new(),
            kind,
            mac: [0; 6],
            mtu: 1500,
            group: 0,
            alias: None,
            master: None,
            peer: None,
            flags: flags_of(kind),
            opened: false,
            carrier: false,
            carrier_ups: 0,
            carrier_downs: 0,
            conf: space.conf_default.clone(),
            mtu_by_hand: false,
            no_ipv6: space.no_ipv6.1,
            txqlen: 1000,
            born: false,
            ipv4: true,
            ipv6: true,
            tun: None,
            ingress: Ingress::Never,
            snoops: true,
            port: [true; 4],
            forwards: false,
            state: UNKNOWN,
        }
    }

    /// RTM_NEWLINK about it.
    pub(crate) fn announce_link(&mut self, netns: Netns, index: u32, changed: u32, cause: Cause) {
        if !self.space(netns).links.get(&index).is_some_and(|link| link.born) {
            return;
        }
        self.number_other_end(netns, index, cause);
        self.announce(netns, GROUP_LINK, libc::RTM_NEWLINK, cause, |kernel| {
            kernel.link_body((netns, netns), index, changed, false, cause)
        });
    }

    /// A message about a link is made whether anybody hears it or not, and gives the namespace of its
    /// other end an id.
    pub(crate) fn number_other_end(&mut self, netns: Netns, index: u32, cause: Cause) {
        let peer = self.link(netns, index).ok().and_then(|link| link.peer);
        if let Some((there, _)) = peer.filter(|(there, _)| *there != netns) {
            self.id(netns, there, cause);
        }
    }

    /// Sets it up or down (`__dev_change_flags()`, `__dev_notify_flags()`).
    pub(crate) fn change_flags(
        &mut self,
        netns: Netns,
        index: u32,
        flags: u32,
        cause: Cause,
    ) -> u32 {
        let link = self.link_mut(netns, index);
        let before = link.flags;
        // What user space may switch, beside IFF_UP.
        let may = UP
            | (libc::IFF_DEBUG | libc::IFF_NOARP | libc::IFF_NOTRAILERS | libc::IFF_DYNAMIC) as u32
            | (libc::IFF_MULTICAST | libc::IFF_PORTSEL | libc::IFF_AUTOMEDIA) as u32;
        link.flags = before & !may | flags & may;
        let changed = before ^ link.flags;
        if changed & UP != 0 && link.flags & UP != 0 {
            link.opened = true;
        }
        if changed & UP != 0 {
            self.carrier_follows(netns, index);
        }
        if changed != 0 {
            self.announce_link(netns, index, changed, cause);
        }
        if changed & UP != 0 {
            self.settle_port(netns, index);
            match flags & UP != 0 {
                true => self.link_came_up(netns, index),
                false => self.link_went_down(netns, index),
            }
        }
        changed
    }

    pub(crate) fn delete_link(&mut self, netns: Netns, index: u32, cause: Cause) {
        self.delete_links(netns, &[index], cause);
    }

    /// Takes links away, with the other ends of veths: first they let go of one another, then they all go
    /// down, then each is gone (`veth_dellink()`, `br_dev_delete()`, `unregister_netdevice_many()`).
    pub(crate) fn delete_links(&mut self, netns: Netns, all: &[u32], cause: Cause) {
        let mut going = Vec::new();
        for index in all {
            let Ok(link) = self.link(netns, *index) else { continue };
            let (kind, peer) = (link.kind, link.peer);
            if going.contains(&(netns, *index)) {
                continue;
            }
            going.push((netns, *index));
            going.extend(peer);
            for (there, index) in [Some((netns, *index)), peer].into_iter().flatten() {
                self.link_mut(there, index).peer = None;
            }
            if kind == Kind::Bridge {
                for port in self.ports(netns, *index) {
                    self.leave_bridge(netns, port);
                }
            }
        }
        for (there, index) in &going {
            if self.link(*there, *index).is_ok_and(Link::is_up) {
                self.close(*there, *index);
            }
        }
        for (there, index) in going {
            let cause = if there == netns { cause } else { Cause::default() };
            self.unlink(there, index, cause);
        }
    }

    /// Down on its way out (`dev_close_many()`).
    fn close(&mut self, netns: Netns, index: u32) {
        let link = self.link_mut(netns, index);
        (link.flags, link.carrier) = (link.flags & !UP, false);
        self.settle_port(netns, index);
        self.announce_link(netns, index, UP, Cause::default());
        self.link_went_down(netns, index);
    }

    fn unlink(&mut self, netns: Netns, index: u32, cause: Cause) {
        let master = self.link(netns, index).ok().and_then(|link| link.master);
        self.link_mut(netns, index).master = None;
        self.addresses_go(netns, index);
        self.flush_routes_by(netns, index, true);
        self.netconf_goes(netns, index);
        self.neighbours_go(netns, index);
        self.rules_lose(netns, index);
        self.filters_lose(netns, index);
        self.queues_lose(netns, index);
        if self.link(netns, index).is_ok_and(|link| link.born) {
            let link = self.link_mut(netns, index);
            (link.ipv4, link.ipv6, link.opened) = (false, false, false);
            self.announce(netns, GROUP_LINK, libc::RTM_DELLINK, cause, |kernel| {
                kernel.link_body((netns, netns), index, u32::MAX, false, cause)
            });
        }
        self.space_mut(netns).links.remove(&index);
        if let Some(master) = master {
            self.adjust_bridge(netns, master);
        }
    }

    pub(crate) fn ports(&self, netns: Netns, bridge: u32) -> Vec<u32> {
        let links = self.space(netns).links.values();
        links.filter(|port| port.master == Some(bridge)).map(|port| port.index).collect()
    }
}
