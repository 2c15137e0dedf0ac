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

//! One change to a kernel, as a value. Pure: what each step means to a person, as a command that
//! does the same, and its inverse. How it is done is `kernel/`'s.

use super::forwarding::Switch;
use super::guest_net::GuestNet;
use super::ownership::{alias, Mac};
use super::policy_rules::{own_table, Lead, MAIN};
use crate::firewall::Ruleset;
use crate::spec::{GuestName, IfName, Subnet};
use std::net::Ipv4Addr;

/// One change. Interfaces are the host end or the guest end of one guest's link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// IPv4 forwarding on.
    ForwardingOn(Switch),
    /// The same off, and what else changes by it back.
    ForwardingOff(Switch),
    /// The packet filter, as a whole.
    Firewall {
        /// What it is to be.
        to: Ruleset,
        /// What it was.
        from: Ruleset,
    },
    /// The connections of an address that another guest had before.
    ForgetConnections(Ipv4Addr),
    /// The veth pair, both ends in their places, with names, MACs, MTU and group.
    CreateLink {
        /// The host end's name.
        host: IfName,
        /// The host end's MAC.
        host_mac: Mac,
        /// The guest end's name.
        guest: IfName,
        /// The guest end's MAC.
        guest_mac: Mac,
        /// MTU of both, in bytes.
        mtu: u32,
    },
    /// The veth pair away, with all that is on it.
    DeleteLink(IfName),
    /// `disable_ipv6` of the host end to 1.
    DisableIpv6(IfName),
    /// The MTU of the host end, where it is another one.
    HostMtu(IfName, u32),
    /// An address on the host end.
    HostAddress(IfName, Ipv4Addr, u8),
    /// The host end up.
    HostUp(IfName),
    /// A route to the guest, or to its subnet, by the host end, in this table.
    HostRoute(IfName, Subnet, u32),
    /// A policy-routing rule of ours, and its route where that is ours.
    AddRule(Lead),
    /// The same away.
    DeleteRule(Lead),
    /// `lo` up in the guest. `bare`: it has no IPv4 address, so the kernel gives it 127.0.0.1/8
    /// (`inetdev_event()`), which does not go when it is down again.
    LoopbackUp {
        /// Whether 127.0.0.1/8 comes with it.
        bare: bool,
    },
    /// `lo` down in the guest, and without 127.0.0.1/8 if that came with it.
    LoopbackDown {
        /// Whether 127.0.0.1/8 came with it.
        bare: bool,
    },
    /// An address on the guest end.
    GuestAddress(IfName, Ipv4Addr, u8),
    /// The guest end up.
    GuestUp(IfName),
    /// The guest's default route.
    DefaultRoute(IfName, Ipv4Addr),
    /// The alias of the host end: the link is whole and is this guest's.
    Name(IfName, GuestName),
}

/// Where a step acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the device's network namespace.
    Device,
    /// In the guest's.
    Guest,
}

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Something is there that was not.
    Add,
    /// Something has another value.
    Set,
    /// Something is gone.
    Delete,
}

impl Step {
    /// The link of `net`.
    pub fn create(net: &GuestNet) -> Self {
        Self::CreateLink {
            host: net.host.name.clone(),
            host_mac: net.host.mac,
            guest: net.guest.name.clone(),
            guest_mac: net.guest.mac,
            mtu: net.mtu,
        }
    }

    /// What takes the step back. None: it goes with the link, or it is itself a way back.
    pub fn undo(&self) -> Option<Self> {
        match self {
            Self::ForwardingOn(switch) => Some(Self::ForwardingOff(switch.clone())),
            Self::Firewall { to, from } => {
                Some(Self::Firewall { to: from.clone(), from: to.clone() })
            }
            Self::CreateLink { host, .. } => Some(Self::DeleteLink(host.clone())),
            Self::LoopbackUp { bare } => Some(Self::LoopbackDown { bare: *bare }),
            Self::AddRule(lead) => Some(Self::DeleteRule(lead.clone())),
            Self::DeleteRule(lead) => Some(Self::AddRule(lead.clone())),
            _ => None,
        }
    }

    /// Where it acts.
    pub fn place(&self) -> Place {
        match self {
            Self::LoopbackUp { .. }
            | Self::LoopbackDown { .. }
            | Self::GuestAddress(..)
            | Self::GuestUp(_)
            | Self::DefaultRoute(..) => Place::Guest,
            _ => Place::Device,
        }
    }

    /// What it does.
    pub fn effect(&self) -> Effect {
        match self {
            Self::DeleteLink(_) | Self::DeleteRule(_) | Self::ForgetConnections(_) => {
                Effect::Delete
            }
            Self::CreateLink { .. }
            | Self::HostAddress(..)
            | Self::HostRoute(..)
            | Self::AddRule(_)
            | Self::GuestAddress(..)
            | Self::DefaultRoute(..) => Effect::Add,
            _ => Effect::Set,
        }
    }

    /// In words, for logs, errors and timelines.
    pub fn what(&self) -> String {
        match self {
            Self::ForwardingOn(Switch::Sysctl(_)) => "forwarding on".into(),
            Self::ForwardingOff(Switch::Sysctl(_)) => "forwarding off".into(),
            Self::ForwardingOn(Switch::Netd) => "forwarding asked of netd".into(),
            Self::ForwardingOff(Switch::Netd) => "forwarding not needed any more, to netd".into(),
            Self::Firewall { to, .. } => match to.uplinks.is_empty() {
                false => format!("firewall for uplink {}", to.ways_out()),
                true => "firewall without uplink".into(),
            },
            Self::ForgetConnections(address) => format!("forget the connections of {address}"),
            Self::CreateLink { host, guest, .. } => format!("link {host} with the guest's {guest}"),
            Self::DeleteLink(host) => format!("delete link {host}"),
            Self::DisableIpv6(host) => format!("no IPv6 on {host}"),
            Self::HostMtu(host, mtu) => format!("MTU {mtu} on {host}"),
            Self::HostAddress(host, address, prefix) => {
                format!("address {address}/{prefix} on {host}")
            }
            Self::HostUp(host) => format!("{host} up"),
            Self::HostRoute(host, to, MAIN) if to.prefix() == 32 => {
                format!("route {} by {host}", to.network())
            }
            Self::HostRoute(host, to, MAIN) => format!("route {to} by {host}"),
            Self::HostRoute(host, to, table) => format!("route {to} by {host} in table {table}"),
            Self::AddRule(lead) => format!("rule {lead}"),
            Self::DeleteRule(lead) => format!("rule {lead} away"),
            Self::LoopbackUp { .. } => "lo up in the guest".into(),
            Self::LoopbackDown { .. } => "lo down in the guest".into(),
            Self::GuestAddress(guest, address, prefix) => {
                format!("address {address}/{prefix} on the guest's {guest}")
            }
            Self::GuestUp(guest) => format!("the guest's {guest} up"),
            Self::DefaultRoute(guest, gateway) => {
                format!("the guest's default route by {gateway} on {guest}")
            }
            Self::Name(host, name) => format!("{host} is {name}'s"),
        }
    }

    /// As a command that does the same; inside the guest where `place()` says so. For people: guestnetd
    /// runs no such command.
    pub fn command(&self) -> String {
        match self {
            Self::ForwardingOn(Switch::Sysctl(_)) => "sysctl -w net.ipv4.ip_forward=1".into(),
            Self::ForwardingOff(Switch::Sysctl(_)) => "sysctl -w net.ipv4.ip_forward=0".into(),
            Self::ForwardingOn(Switch::Netd) => "ndc ipfwd enable guestnetd".into(),
            Self::ForwardingOff(Switch::Netd) => "ndc ipfwd disable guestnetd".into(),
            Self::Firewall { .. } => "(see `guestnetctl dump`)".into(),
            Self::ForgetConnections(address) => format!("conntrack -D -f ipv4 -s {address}"),
            Self::CreateLink { host, host_mac, guest, guest_mac, mtu } => format!(
                "ip link add {host} address {host_mac} mtu {mtu} group {group} numtxqueues 1 numrxqueues 1 \
                 type veth peer name {guest} netns GUEST address {guest_mac} mtu {mtu} group {group} \
                 numtxqueues 1 numrxqueues 1",
                group = super::ownership::LINK_GROUP
            ),
            Self::DeleteLink(host) => format!("ip link del {host}"),
            Self::DisableIpv6(host) => format!("sysctl -w net.ipv6.conf.{host}.disable_ipv6=1"),
            Self::HostMtu(host, mtu) => format!("ip link set {host} mtu {mtu}"),
            Self::HostAddress(host, address, prefix) => {
                format!("ip addr add {address}/{prefix} brd + dev {host}")
            }
            Self::GuestAddress(guest, address, prefix) => {
                format!("ip addr add {address}/{prefix} brd + dev {guest}")
            }
            Self::HostUp(name) | Self::GuestUp(name) => format!("ip link set {name} up"),
            Self::HostRoute(host, to, table) => {
                let table = if *table == MAIN { String::new() } else { format!(" table {table}") };
                format!(
                    "ip route add {to} dev {host} scope link{table} proto {}",
                    super::ownership::ROUTE_PROTOCOL
                )
            }
            Self::AddRule(lead) => rule("add", lead),
            Self::DeleteRule(lead) => rule("del", lead),
            Self::LoopbackUp { .. } => "ip link set lo up".into(),
            Self::LoopbackDown { bare: false } => "ip link set lo down".into(),
            Self::LoopbackDown { bare: true } => {
                "ip link set lo down && ip addr del 127.0.0.1/8 dev lo".into()
            },
            Self::DefaultRoute(guest, gateway) => format!(
                "ip route add default via {gateway} dev {guest} proto {}",
                super::ownership::ROUTE_PROTOCOL
            ),
            Self::Name(host, name) => format!("ip link set {host} alias {}", alias(name)),
        }
    }
}

/// A rule of ours as a command.
fn rule(verb: &str, lead: &Lead) -> String {
    let protocol = super::ownership::ROUTE_PROTOCOL;
    let rule = format!("ip rule {verb} {lead} pref {} proto {protocol}", lead.priority);
    match lead.own() {
        Some(index) => {
            let table = own_table(index);
            format!(
                "{rule} && ip route {verb} default dev if{index} table {table} proto {protocol}"
            )
        }
        None => rule,
    }
}
