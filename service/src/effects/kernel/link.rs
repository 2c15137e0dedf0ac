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

//! RTM_*LINK messages: what guestnetd asks for, and a link as it reads it.
//!
//! Links are read by hand: netlink-packet-route makes an object of every one of their hundreds of
//! counters and switches, which costs an attach more than 5 % (docs/decisions/rtnetlink.md).

use super::netlink::attr::{Request, Writer};
use super::netlink::message::{attributes, index_at, text, u32_at, u64_at, Message};
use super::netlink::Netlink;
use crate::error::KernelError;
use crate::model::identity::Marks;
use crate::model::if_index::IfIndex;
use crate::model::object::Ipv4Conf;
use crate::model::ownership::{self, LINK_GROUP};
use crate::spec::IfName;
use rtnetlink::packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use rtnetlink::packet_route::link::{
    InfoData, InfoKind, InfoVeth, LinkAttribute, LinkExtentMask, LinkFlags, LinkInfo, LinkMessage,
};
use rtnetlink::packet_route::RouteNetlinkMessage::{DelLink, GetLink, NewLink, SetLink};
use std::collections::HashMap;
use std::os::fd::{AsRawFd, BorrowedFd};

/// A link as the kernel describes it.
#[derive(Clone, Debug)]
pub struct Link {
    /// Interface index.
    pub index: IfIndex,
    /// Name.
    pub name: String,
    /// IFLA_INFO_KIND; empty for physical links.
    pub kind: String,
    /// Link-layer address.
    pub mac: Vec<u8>,
    /// IFLA_MASTER: index of the link that it is a port of, or in: a bridge, a bond, a VRF.
    pub master: Option<IfIndex>,
    /// IFLA_GROUP.
    pub group: u32,
    /// IFLA_IFALIAS.
    pub alias: Option<String>,
    /// MTU in bytes.
    pub mtu: u32,
    /// IFF_LOOPBACK.
    pub loopback: bool,
    /// IFF_UP.
    pub up: bool,
    /// IFF_LOWER_UP: carrier, which on veth means that the other end is up.
    pub carrier: bool,
    /// Whether neighbours are found by it (not IFF_NOARP).
    pub arp: bool,
    /// Operationally up (RFC 2863): only then does the kernel send by it.
    pub running: bool,
    /// Index of its other end, in the namespace where that is (IFLA_LINK).
    pub other_end: Option<IfIndex>,
    /// Whether it was never up: it has the queueing discipline that it was born with.
    pub fresh: bool,
    /// The id of the network namespace that its other end is in, if that is another one; -1 when
    /// that one is dying (IFLA_LINK_NETNSID).
    pub elsewhere: Option<i32>,
    /// Whether IPv6 is on: not where the kernel has none, and not on links that are too narrow for it.
    pub ipv6: bool,
    /// How often it has got carrier: once, where nobody has set the other end down since.
    pub carrier_ups: Option<u32>,
    /// Its settings for IPv4; none where it has no IPv4.
    pub ipv4: Option<Ipv4Conf>,
    /// Of a TUN or TAP device: what is on its other side.
    pub tun: Option<Tun>,
    /// The number of the XDP program that sees first what comes in; 0 where several do.
    pub xdp: Option<u32>,
    /// Counters, if asked for.
    pub counters: Option<Counters>,
}

/// The other side of a TUN or TAP device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tun {
    /// How many descriptors of it are open, the same in two processes being one.
    pub queues: u32,
    /// The uid that it is for; none: anybody's.
    pub owner: Option<u32>,
    /// Whether it outlives its descriptors, as a process that holds one can ask for.
    pub persists: bool,
}

impl Tun {
    /// `IFLA_INFO_DATA` of one (tun_fill_info()); it has no IFLA_TUN_OWNER where none was set.
    fn read(data: &[u8]) -> Option<Self> {
        let find = |kind| attributes(data, 0).find(kind).and_then(|value| u32_at(value, 0));
        // A single queue is not counted.
        let queues = match find(IFLA_TUN_NUM_QUEUES) {
            None => 1,
            Some(queues) => queues + find(IFLA_TUN_NUM_DISABLED_QUEUES).unwrap_or_default(),
        };
        let persists = attributes(data, 0).find(IFLA_TUN_PERSIST).and_then(|value| value.first());
        Some(Self { queues, owner: find(IFLA_TUN_OWNER), persists: persists == Some(&1) })
    }
}

impl Link {
    /// Whether it was born with guestnetd's marks.
    pub fn is_ours(&self) -> bool {
        ownership::is_ours(&self.name, &self.kind, self.group, &self.mac)
    }

    /// Whether it was born as a segment's device.
    pub fn is_hub(&self) -> bool {
        ownership::is_hub(&self.name, &self.kind, self.group, &self.mac)
    }

    /// Whether it was born as one, whatever its name is now.
    pub fn was_hub(&self) -> bool {
        ownership::was_hub(&self.kind, self.group, &self.mac)
    }

    /// The segment's device that it gives its carrier, if it was born for that.
    pub fn carried(&self) -> Option<IfName> {
        ownership::carried(&self.name, &self.kind, self.group, &self.mac)
    }

    /// What others may change of one that is.
    pub fn marks(&self) -> Marks<'_> {
        Marks { name: &self.name, master: self.master, group: self.group, mac: &self.mac }
    }
}

/// Counters of a link.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    /// Bytes received.
    pub rx_bytes: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Packets received.
    pub rx_packets: u64,
    /// Packets sent.
    pub tx_packets: u64,
}

impl Counters {
    /// `struct rtnl_link_stats64` (linux/if_link.h).
    fn read(value: &[u8]) -> Option<Self> {
        let at = |place: usize| u64_at(value, 8 * place);
        let [rx_packets, tx_packets, rx_bytes, tx_bytes] = [at(0)?, at(1)?, at(2)?, at(3)?];
        Some(Self { rx_bytes, tx_bytes, rx_packets, tx_packets })
    }
}

impl Link {
    /// A link out of a link message: `struct ifinfomsg` and its attributes.
    pub fn read(message: &Message<'_>) -> Option<Self> {
        // linux/if.h
        const IF_OPER_UP: u8 = 6;
        let flags = u32_at(message.body, 8)?;
        let mut link = Self {
            index: index_at(message.body, 4)?,
            name: String::new(),
            kind: String::new(),
            mac: Vec::new(),
            master: None,
            group: 0,
            alias: None,
            mtu: 0,
            loopback: flags & libc::IFF_LOOPBACK as u32 != 0,
            up: flags & libc::IFF_UP as u32 != 0,
            carrier: flags & libc::IFF_LOWER_UP as u32 != 0,
            arp: flags & libc::IFF_NOARP as u32 == 0,
            running: false,
            other_end: None,
            fresh: false,
            elsewhere: None,
            ipv6: false,
            carrier_ups: None,
            ipv4: None,
            tun: None,
            xdp: None,
            counters: None,
        };
        for (kind, value) in message.attributes(IFINFOMSG) {
            match kind {
                libc::IFLA_IFNAME => link.name = text(value),
                libc::IFLA_ADDRESS => link.mac = value.to_vec(),
                libc::IFLA_MASTER => link.master = index_at(value, 0),
                libc::IFLA_GROUP => link.group = u32_at(value, 0)?,
                libc::IFLA_IFALIAS => link.alias = Some(text(value)),
                libc::IFLA_MTU => link.mtu = u32_at(value, 0)?,
                libc::IFLA_OPERSTATE => link.running = value.first() == Some(&IF_OPER_UP),
                libc::IFLA_LINK => link.other_end = index_at(value, 0),
                libc::IFLA_QDISC => link.fresh = text(value) == "noop",
                libc::IFLA_LINK_NETNSID => link.elsewhere = Some(u32_at(value, 0)? as i32),
                libc::IFLA_AF_SPEC => {
                    link.ipv6 = has_ipv6(value).unwrap_or(false);
                    link.ipv4 = ipv4_conf(value);
                }
                IFLA_CARRIER_UP_COUNT => link.carrier_ups = u32_at(value, 0),
                libc::IFLA_XDP => link.xdp = xdp(value),
                libc::IFLA_STATS64 => link.counters = Counters::read(value),
                libc::IFLA_LINKINFO => {
                    link.kind = attributes(value, 0).find(IFLA_INFO_KIND).map(text)?;
                    if link.kind == "tun" {
                        link.tun = attributes(value, 0).find(IFLA_INFO_DATA).and_then(Tun::read);
                    }
                }
                _ => {}
            }
        }
        Some(link)
    }
}

/// The XDP program in `IFLA_XDP` (rtnl_xdp_fill()), which is there with none, too.
fn xdp(nested: &[u8]) -> Option<u32> {
    const XDP_ATTACHED_NONE: u8 = 0;
    let find = |kind| attributes(nested, 0).find(kind);
    let mode = find(IFLA_XDP_ATTACHED).and_then(|value| value.first());
    mode.filter(|mode| **mode != XDP_ATTACHED_NONE)?;
    // Where several are there, each has a number of its own.
    Some(find(IFLA_XDP_PROG_ID).and_then(|value| u32_at(value, 0)).unwrap_or(0))
}

/// What is said of a link's IPv6: the sysctls in `IFLA_INET6_CONF`, in the order of linux/ipv6.h.
fn has_ipv6(families: &[u8]) -> Option<bool> {
    const DEVCONF_DISABLE_IPV6: usize = 26;
    let ipv6 = attributes(families, 0).find(libc::AF_INET6 as u16)?;
    let sysctls = attributes(ipv6, 0).find(IFLA_INET6_CONF)?;
    Some(u32_at(sysctls, 4 * DEVCONF_DISABLE_IPV6)? == 0)
}

/// A link's settings for IPv4: `IFLA_INET_CONF`, all of them in the order of linux/ip.h, from 1 on. Of its
/// filters nothing is said.
fn ipv4_conf(families: &[u8]) -> Option<Ipv4Conf> {
    let ipv4 = attributes(families, 0).find(libc::AF_INET as u16)?;
    let conf = attributes(ipv4, 0).find(IFLA_INET_CONF)?;
    let at = |number: u16| u32_at(conf, 4 * (usize::from(number) - 1));
    Some(Ipv4Conf {
        forwarding: at(IPV4_DEVCONF_FORWARDING)?,
        rp_filter: at(IPV4_DEVCONF_RP_FILTER)?,
        arp_filter: at(IPV4_DEVCONF_ARPFILTER)?,
        arp_ignore: at(IPV4_DEVCONF_ARP_IGNORE)?,
        source: None,
    })
}

/// Length of `struct ifinfomsg` (linux/rtnetlink.h).
const IFINFOMSG: usize = 16;
// linux/if_link.h
const IFLA_CARRIER_UP_COUNT: u16 = 47;
const IFLA_XDP_ATTACHED: u16 = 2;
const IFLA_XDP_PROG_ID: u16 = 4;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const IFLA_INFO_SLAVE_KIND: u16 = 4;
const IFLA_INFO_SLAVE_DATA: u16 = 5;
const IFLA_BR_MCAST_SNOOPING: u16 = 23;
const IFLA_BRPORT_LEARNING: u16 = 8;
const IFLA_BRPORT_UNICAST_FLOOD: u16 = 9;
const IFLA_BRPORT_MCAST_FLOOD: u16 = 27;
const IFLA_BRPORT_BCAST_FLOOD: u16 = 30;
const IFLA_TUN_OWNER: u16 = 1;
const IFLA_TUN_PERSIST: u16 = 6;
const IFLA_TUN_NUM_QUEUES: u16 = 8;
const IFLA_TUN_NUM_DISABLED_QUEUES: u16 = 9;
const IFLA_INET_CONF: u16 = 1;
const IFLA_INET6_CONF: u16 = 2;
// linux/ip.h
const IPV4_DEVCONF_FORWARDING: u16 = 1;
const IPV4_DEVCONF_RP_FILTER: u16 = 8;
const IPV4_DEVCONF_ARPFILTER: u16 = 13;
const IPV4_DEVCONF_ARP_IGNORE: u16 = 19;

/// One end of a pair that is to be born.
#[derive(Debug)]
pub struct End<'a> {
    /// Name.
    pub name: &'a str,
    /// MAC.
    pub mac: [u8; 6],
    /// MTU in bytes.
    pub mtu: u32,
}

fn about(index: impl Into<Option<IfIndex>>, attributes: Vec<LinkAttribute>) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = IfIndex::or_zero(index.into());
    message.attributes = attributes;
    message
}

fn end(end: &End<'_>) -> Vec<LinkAttribute> {
    vec![
        LinkAttribute::IfName(end.name.to_owned()),
        LinkAttribute::Address(end.mac.to_vec()),
        LinkAttribute::Mtu(end.mtu),
        LinkAttribute::Group(LINK_GROUP),
        // One queue: with more, veth first makes one for each CPU and then shrinks them, asleep
        // in synchronize_rcu_expedited() (veth_init_queues()).
        LinkAttribute::NumTxQueues(1),
        LinkAttribute::NumRxQueues(1),
    ]
}

/// Makes a pair: `host` here, `guest` in `netns`, under its final name from its first moment.
pub(in crate::effects) fn create_veth(
    netlink: &Netlink,
    host: &End<'_>,
    guest: &End<'_>,
    netns: BorrowedFd<'_>,
) -> Result<(), KernelError> {
    let mut peer = end(guest);
    peer.push(LinkAttribute::NetNsFd(netns.as_raw_fd()));
    let data = InfoData::Veth(InfoVeth::Peer(about(None, peer)));
    let mut pair = end(host);
    pair.push(LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Veth), LinkInfo::Data(data)]));
    netlink.change(&NewLink(about(None, pair)), NLM_F_CREATE | NLM_F_EXCL)
}

/// The number that this device has for a network namespace; none: it has none, so no link leads there. By hand:
/// netlink-packet-route has not all of it in every release that a tree may have.
pub fn netns_id(netlink: &Netlink, netns: BorrowedFd<'_>) -> Result<Option<i32>, KernelError> {
    // linux/net_namespace.h; struct rtgenmsg and its padding
    const NETNSA_NSID: u16 = 1;
    const NETNSA_FD: u16 = 3;
    let body = Writer::after(&[0; 4]).with(NETNSA_FD, &netns.as_raw_fd().to_ne_bytes());
    let id = netlink.get(&Request { kind: libc::RTM_GETNSID, body }, |message| {
        let id = message.attributes(4).find(NETNSA_NSID)?;
        u32_at(id, 0).map(|id| id as i32)
    })?;
    Ok(Some(id).filter(|id| *id >= 0))
}

/// Makes a bridge, down, that listens to nothing (IFLA_BR_MCAST_SNOOPING). It has no part in STP unless
/// somebody asks for that.
pub(in crate::effects) fn create_bridge(
    netlink: &Netlink,
    hub: &End<'_>,
) -> Result<(), KernelError> {
    let bridge = vec![
        LinkAttribute::IfName(hub.name.to_owned()),
        LinkAttribute::Address(hub.mac.to_vec()),
        LinkAttribute::Mtu(hub.mtu),
        LinkAttribute::Group(LINK_GROUP),
    ];
    let data = Writer::default().with(IFLA_BR_MCAST_SNOOPING, &[0]);
    let info = Writer::default().with(IFLA_INFO_KIND, b"bridge").with_nested(IFLA_INFO_DATA, &data);
    let request = Request::beyond(&NewLink(about(None, bridge)), |body| {
        body.with_nested(libc::IFLA_LINKINFO, &info)
    });
    netlink.change(&request, NLM_F_CREATE | NLM_F_EXCL)
}

/// Makes a pair that leads nowhere, down: `port` is a port of the bridge with this index.
pub(in crate::effects) fn create_port(
    netlink: &Netlink,
    bridge: IfIndex,
    port: &End<'_>,
    other: &End<'_>,
) -> Result<(), KernelError> {
    let data = InfoData::Veth(InfoVeth::Peer(about(None, end(other))));
    let mut pair = end(port);
    pair.push(LinkAttribute::Controller(bridge.get()));
    pair.push(LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Veth), LinkInfo::Data(data)]));
    netlink.change(&NewLink(about(None, pair)), NLM_F_CREATE | NLM_F_EXCL)
}

/// Has a bridge send by a port of its nothing for one guest, but for what its FDB says, and learn nothing there. What
/// it sends to several itself no port keeps back (br_flood()).
pub(in crate::effects) fn silence_port(
    netlink: &Netlink,
    port: IfIndex,
) -> Result<(), KernelError> {
    let off = [
        IFLA_BRPORT_LEARNING,
        IFLA_BRPORT_UNICAST_FLOOD,
        IFLA_BRPORT_MCAST_FLOOD,
        IFLA_BRPORT_BCAST_FLOOD,
    ];
    let data = off.iter().fold(Writer::default(), |all, kind| all.with(*kind, &[0]));
    let info = Writer::default()
        .with(IFLA_INFO_SLAVE_KIND, b"bridge")
        .with_nested(IFLA_INFO_SLAVE_DATA, &data);
    let request = Request::beyond(&NewLink(about(port, Vec::new())), |body| {
        body.with_nested(libc::IFLA_LINKINFO, &info)
    });
    netlink.change(&request, 0)
}

/// Gives a link that was made by other means the marks and the MTU that a pair is born with.
pub(in crate::effects) fn mark(
    netlink: &Netlink,
    index: IfIndex,
    end: &End<'_>,
) -> Result<(), KernelError> {
    let marks = vec![
        LinkAttribute::Address(end.mac.to_vec()),
        LinkAttribute::Mtu(end.mtu),
        LinkAttribute::Group(LINK_GROUP),
    ];
    netlink.change(&SetLink(about(index, marks)), 0)
}

/// Sets a link up or down.
pub(in crate::effects) fn set_up(
    netlink: &Netlink,
    index: IfIndex,
    up: bool,
) -> Result<(), KernelError> {
    let mut message = about(index, Vec::new());
    message.header.change_mask = LinkFlags::Up;
    message.header.flags = if up { LinkFlags::Up } else { LinkFlags::empty() };
    netlink.change(&SetLink(message), 0)
}

/// Sets a link's settings for IPv4 by one message, in place of a write to each file under /proc/sys
/// (inet_set_link_af()). netlink-packet-route has no type for it but the one that is read.
pub(in crate::effects) fn set_ipv4_conf(
    netlink: &Netlink,
    index: IfIndex,
    conf: Ipv4Conf,
) -> Result<(), KernelError> {
    let conf = [
        (IPV4_DEVCONF_FORWARDING, conf.forwarding),
        (IPV4_DEVCONF_RP_FILTER, conf.rp_filter),
        (IPV4_DEVCONF_ARPFILTER, conf.arp_filter),
        (IPV4_DEVCONF_ARP_IGNORE, conf.arp_ignore),
    ]
    .into_iter()
    .fold(Writer::default(), |all, (number, value)| all.with(number, &value.to_ne_bytes()));
    let ipv4 = Writer::default().with_nested(IFLA_INET_CONF, &conf);
    let families = Writer::default().with_nested(libc::AF_INET as u16, &ipv4);
    let header = [[0; 4], index.get().to_ne_bytes(), [0; 4], [0; 4]].concat();
    let body = Writer::after(&header).with_nested(libc::IFLA_AF_SPEC, &families);
    netlink.change(&Request { kind: libc::RTM_SETLINK, body }, 0)
}

/// Sets a link's MTU.
pub(in crate::effects) fn set_mtu(
    netlink: &Netlink,
    index: IfIndex,
    mtu: u32,
) -> Result<(), KernelError> {
    set(netlink, index, LinkAttribute::Mtu(mtu))
}

/// Gives a link another name.
pub(in crate::effects) fn rename(
    netlink: &Netlink,
    index: IfIndex,
    name: &str,
) -> Result<(), KernelError> {
    set(netlink, index, LinkAttribute::IfName(name.to_owned()))
}

/// Gives a link another link-layer address.
pub(in crate::effects) fn set_mac(
    netlink: &Netlink,
    index: IfIndex,
    mac: [u8; 6],
) -> Result<(), KernelError> {
    set(netlink, index, LinkAttribute::Address(mac.to_vec()))
}

/// Makes a link a port of the one with this index, or of none.
pub(in crate::effects) fn set_master(
    netlink: &Netlink,
    index: IfIndex,
    master: Option<IfIndex>,
) -> Result<(), KernelError> {
    set(netlink, index, LinkAttribute::Controller(IfIndex::or_zero(master)))
}

fn set(netlink: &Netlink, index: IfIndex, attribute: LinkAttribute) -> Result<(), KernelError> {
    netlink.change(&SetLink(about(index, vec![attribute])), 0)
}

/// How the kernel is told which network namespace is meant, where nobody has a descriptor of it.
#[derive(Clone, Copy, Debug)]
pub enum Namespace {
    /// The one that has this id in ours.
    Id(i32),
    /// That of this process; nobody asks for rights over it (get_net_ns_by_pid()).
    Process(i32),
}

/// Moves a link into a network namespace. Sleeps as [`delete`] does.
pub(in crate::effects) fn set_netns(
    netlink: &Netlink,
    index: IfIndex,
    namespace: Namespace,
) -> Result<(), KernelError> {
    let target = match namespace {
        Namespace::Id(id) => LinkAttribute::IfNetnsId(id),
        // A pid is never negative.
        Namespace::Process(pid) => LinkAttribute::NetNsPid(pid as u32),
    };
    set(netlink, index, target)
}

/// Sets a link's alias.
pub(in crate::effects) fn set_alias(
    netlink: &Netlink,
    index: IfIndex,
    alias: &str,
) -> Result<(), KernelError> {
    set(netlink, index, LinkAttribute::IfAlias(alias.to_owned()))
}

/// Deletes a link. Sleeps in rcu_barrier for 15 ms and more: never on the owner's thread.
pub(in crate::effects) fn delete(netlink: &Netlink, index: IfIndex) -> Result<(), KernelError> {
    netlink.change(&DelLink(about(index, Vec::new())), 0)
}

/// Puts a link into a group.
pub(in crate::effects) fn set_group(
    netlink: &Netlink,
    index: IfIndex,
    group: u32,
) -> Result<(), KernelError> {
    set(netlink, index, LinkAttribute::Group(group))
}

/// Deletes every link of a group, whoever made it. Sleeps as [`delete`] does.
pub(in crate::effects) fn delete_group(netlink: &Netlink, group: u32) -> Result<(), KernelError> {
    netlink.change(&DelLink(about(None, vec![LinkAttribute::Group(group)])), 0)
}

/// The link of this name, if there is one; without counters.
pub fn by_name(netlink: &Netlink, name: &str) -> Result<Option<Link>, KernelError> {
    one(netlink, about(None, vec![without_counters(), LinkAttribute::IfName(name.to_owned())]))
}

/// The link of this index, if there is one; without counters.
pub fn by_index(netlink: &Netlink, index: IfIndex) -> Result<Option<Link>, KernelError> {
    one(netlink, about(index, vec![without_counters()]))
}

/// The link of this index in the network namespace of this id, if there is one; without counters.
pub fn beyond(
    netlink: &Netlink,
    netnsid: i32,
    index: IfIndex,
) -> Result<Option<Link>, KernelError> {
    one(netlink, about(index, vec![without_counters(), LinkAttribute::IfNetnsId(netnsid)]))
}

/// The link of this index, if there is one, with its counters.
pub fn counted(netlink: &Netlink, index: IfIndex) -> Result<Option<Link>, KernelError> {
    one(netlink, about(index, Vec::new()))
}

/// They are summed up over all CPUs, which costs more than all the rest.
fn without_counters() -> LinkAttribute {
    LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats])
}

fn one(netlink: &Netlink, message: LinkMessage) -> Result<Option<Link>, KernelError> {
    match netlink.get(&GetLink(message), Link::read) {
        Ok(link) => Ok(Some(link)),
        Err(e) if e.errno == libc::ENODEV => Ok(None),
        Err(e) => Err(e),
    }
}

/// The counters of all links, by their indexes.
pub fn counters(netlink: &Netlink) -> Result<HashMap<IfIndex, Counters>, KernelError> {
    let all = netlink.dump(&GetLink(about(None, Vec::new())), Link::read)?;
    Ok(all.into_iter().filter_map(|link| Some((link.index, link.counters?))).collect())
}

/// All links, without counters.
pub fn all(netlink: &Netlink) -> Result<Vec<Link>, KernelError> {
    netlink.dump(&GetLink(about(None, vec![without_counters()])), Link::read)
}

#[cfg(all(test, feature = "faults"))]
mod faults {
    use super::*;
    use crate::write::faults::{on_this_thread, Fault};

    #[test]
    fn a_netlink_change_fails_before_and_after() {
        if !nix::unistd::geteuid().is_root() {
            return; // a network namespace of its own needs root
        }
        let test = || {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
            let netlink = Netlink::open().unwrap();
            let up = || by_index(&netlink, IfIndex::LOOPBACK).unwrap().unwrap().up;
            let before = on_this_thread(0, Fault::Before(libc::ENOBUFS));
            let refused = set_up(&netlink, IfIndex::LOOPBACK, true).unwrap_err();
            assert_eq!((refused.errno, up()), (libc::ENOBUFS, false));
            drop(before);
            let _after = on_this_thread(0, Fault::After);
            let lost = set_up(&netlink, IfIndex::LOOPBACK, true).unwrap_err();
            assert_eq!((lost.errno, up()), (libc::ETIMEDOUT, true));
        };
        std::thread::spawn(test).join().unwrap();
    }
}
