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

//! What a change to a kernel is, apart from how it is worded: for plans and their readers.

use super::object::Scope;
use super::ownership::ROUTE_PROTOCOL;
use super::policy_rules::PolicyRule;
use super::ruleset::Ruleset;
use super::table::TableId;
use crate::spec::IfName;
use std::net::Ipv4Addr;

/// A change as a caller sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Where it acts.
    pub place: Scope,
    /// What it does.
    pub operation: KernelOp,
    /// In words.
    pub what: String,
    /// Whether all guests share what it changes: no guest's own link, nor its place in the packet filter.
    pub shared: bool,
    /// As a command that does the same, for people: guestnetd runs no such command.
    pub command: String,
}

impl Change {
    fn on_device(operation: KernelOp, what: String, command: String) -> Self {
        Self { place: Scope::Device, operation, what, shared: true, command }
    }

    /// The packet filter is set, as a whole.
    pub fn packet_filter(to: &Ruleset) -> Self {
        let what = match to.uplinks.is_empty() {
            true => "firewall without uplink".into(),
            false => format!("firewall for uplink {}", to.ways_out()),
        };
        Self::on_device(KernelOp::SetPacketFilter, what, "(see `guestnetctl dump`)".into())
    }

    /// Only this address comes in by a host end from now on.
    pub fn add_source(host: &IfName, address: Ipv4Addr) -> Self {
        let what = format!("firewall: {host} is {address}'s");
        let command = format!("nft add element inet guestnet guests '{{ {host} . {address} }}'");
        Self { shared: false, ..Self::on_device(KernelOp::SetPacketFilter, what, command) }
    }

    /// A guest's questions for names go elsewhere than the others' from now on, or where theirs go again.
    pub fn exception(host: &IfName, comes: bool) -> Self {
        let (what, verb) = match comes {
            true => (format!("firewall: {host} asks for names elsewhere than others"), "add"),
            false => (format!("firewall: {host} asks for names where others do"), "delete"),
        };
        let command = format!("nft {verb} element inet guestnet exceptions '{{ {host} }}'");
        Self { shared: false, ..Self::on_device(KernelOp::SetPacketFilter, what, command) }
    }

    /// A policy-routing rule of ours is added, with its route where that is ours, too.
    pub fn add_rule(rule: &PolicyRule) -> Self {
        Self::on_device(KernelOp::AddRule, format!("rule {rule}"), rule_command("add", rule))
    }

    /// The same is removed.
    pub fn delete_rule(rule: &PolicyRule) -> Self {
        let what = format!("remove rule {rule}");
        Self::on_device(KernelOp::DeleteRule, what, rule_command("del", rule))
    }

    /// `net.ipv4.ip_forward` is written.
    pub fn forwarding(on: bool) -> Self {
        let what = if on { "forwarding on" } else { "forwarding off" }.into();
        let command = format!("sysctl -w net.ipv4.ip_forward={}", u8::from(on));
        Self::on_device(KernelOp::SetForwarding, what, command)
    }

    /// netd is asked for forwarding, or told that it is no longer needed.
    pub fn forwarding_by_netd(on: bool) -> Self {
        let (what, verb) = match on {
            true => ("forwarding asked of netd", "enable"),
            false => ("forwarding no longer needed, to netd", "disable"),
        };
        let command = format!("ndc ipfwd {verb} guestnetd");
        Self::on_device(KernelOp::SetForwarding, what.into(), command)
    }

    /// The connections of an address that another guest had before are forgotten.
    pub fn forget_connections(address: Ipv4Addr) -> Self {
        let what = format!("forget the connections of {address}");
        let command = format!("conntrack -D -f ipv4 -s {address}");
        Self::on_device(KernelOp::ForgetConnections, what, command)
    }
}

impl Change {
    /// The device of a segment is made, or is not needed any more.
    pub fn segment(hub: &IfName, made: bool) -> Self {
        let (operation, what, command) = match made {
            true => (
                KernelOp::AddLink,
                format!("segment's device {hub}"),
                format!("ip link add {hub} up type bridge mcast_snooping 0 && tc qdisc add dev {hub} clsact"),
            ),
            false => (
                KernelOp::DeleteLink,
                format!("delete the segment's device {hub}"),
                format!("ip link del {hub}"),
            ),
        };
        Self::on_device(operation, what, command)
    }
}

/// A rule of ours as a command.
fn rule_command(verb: &str, rule: &PolicyRule) -> String {
    let text = format!("ip rule {verb} {rule} pref {} proto {ROUTE_PROTOCOL}", rule.priority);
    let Some(index) = rule.own() else { return text };
    let table = TableId::own(index);
    format!("{text} && ip route {verb} default dev if{index} table {table} proto {ROUTE_PROTOCOL}")
}

/// What a change does to a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelOp {
    /// A link is made.
    AddLink,
    /// A link is deleted.
    DeleteLink,
    /// A link is set up.
    SetLinkUp,
    /// A link is set down.
    SetLinkDown,
    /// A link gets another MTU.
    SetMtu,
    /// An address is added.
    AddAddress,
    /// An address is removed.
    DeleteAddress,
    /// A route is added.
    AddRoute,
    /// A route is removed.
    DeleteRoute,
    /// A policy-routing rule is added, with its route where that is ours.
    AddRule,
    /// A policy-routing rule is removed.
    DeleteRule,
    /// A sysctl is written.
    SetSysctl,
    /// A link gets another alias.
    SetAlias,
    /// The packet filter is set, as a whole.
    SetPacketFilter,
    /// IPv4 forwarding is switched.
    SetForwarding,
    /// Connections are removed from the kernel's table.
    ForgetConnections,
    /// A guest's place in its segment is set.
    SetSegment,
}

/// What a change does, in short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// Something is there that was not.
    Add,
    /// Something has another value.
    Set,
    /// Something is gone.
    Delete,
}

impl KernelOp {
    /// The same in short.
    pub fn kind(self) -> ChangeKind {
        match self {
            Self::AddLink | Self::AddAddress | Self::AddRoute | Self::AddRule => ChangeKind::Add,
            Self::DeleteLink
            | Self::DeleteAddress
            | Self::DeleteRoute
            | Self::DeleteRule
            | Self::ForgetConnections => ChangeKind::Delete,
            Self::SetLinkUp
            | Self::SetLinkDown
            | Self::SetMtu
            | Self::SetSysctl
            | Self::SetAlias
            | Self::SetPacketFilter
            | Self::SetForwarding
            | Self::SetSegment => ChangeKind::Set,
        }
    }
}
