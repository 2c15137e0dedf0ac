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

//! One change to one object. Pure: it says in words what it does, as a command what does the same,
//! and what takes it back. How it is done is the executor's.

use super::change::{Change, KernelOp};
use super::object::{LinkKind, Loopback, Object, Scope};
use super::ownership::{LINK_GROUP, ROUTE_PROTOCOL};
use super::table::TableId;

/// One change to one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What is done.
    pub op: Op,
    /// The namespace that the object is in.
    pub scope: Scope,
    /// The object: as it should be, or the one that is removed.
    pub object: Object,
}

/// What is done with an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// It is not there and is made.
    Add,
    /// It is there with other values.
    Change {
        /// The object with these.
        from: Object,
    },
    /// It is there and is removed.
    Remove,
}

/// A change that can be taken back.
pub trait Reversible: Sized {
    /// What it does.
    fn operation(&self) -> KernelOp;
    /// In words, for logs, errors and timelines.
    fn describe(&self) -> String;
    /// What takes back `done`, in the order of doing.
    fn way_back(done: &[Self]) -> Vec<Self>;
}

impl Reversible for Step {
    fn operation(&self) -> KernelOp {
        match (&self.op, &self.object) {
            (_, Object::Loopback(Loopback::Up)) => KernelOp::SetLinkUp,
            (_, Object::Loopback(_)) => KernelOp::SetLinkDown,
            (Op::Add, Object::Link { .. }) => KernelOp::AddLink,
            (Op::Change { .. }, Object::Link { .. }) => KernelOp::SetMtu,
            (Op::Remove, Object::Link { .. }) => KernelOp::DeleteLink,
            (_, Object::Sysctl { .. } | Object::Ipv4Conf { .. }) => KernelOp::SetSysctl,
            (Op::Remove, Object::Address { .. }) => KernelOp::DeleteAddress,
            (_, Object::Address { .. }) => KernelOp::AddAddress,
            (Op::Remove, Object::Up { .. }) => KernelOp::SetLinkDown,
            (_, Object::Up { .. }) => KernelOp::SetLinkUp,
            (Op::Remove, Object::Route { .. }) => KernelOp::DeleteRoute,
            (_, Object::Route { .. }) => KernelOp::AddRoute,
            (_, Object::Member { .. }) => KernelOp::SetSegment,
            (_, Object::Alias { .. }) => KernelOp::SetAlias,
        }
    }

    fn describe(&self) -> String {
        let object = &self.object;
        match object {
            Object::Loopback(Loopback::Up) => "lo up in the guest".into(),
            Object::Loopback(_) => "lo down in the guest".into(),
            Object::Link { name, kind, mtu, .. } => match (&self.op, kind) {
                (Op::Change { .. }, _) => format!("MTU {mtu} on {}{name}", self.whose()),
                (Op::Remove, _) => format!("delete link {name}"),
                (Op::Add, LinkKind::Veth { peer, .. }) => {
                    format!("link {name} with the guest's {peer}")
                }
                (Op::Add, LinkKind::VethPeer) => format!("link {}{name}", self.whose()),
                (Op::Add, LinkKind::Tap { queues: 1, .. }) => format!("TAP device {name}"),
                (Op::Add, LinkKind::Tap { queues, .. }) => {
                    format!("TAP device {name} with {queues} queues")
                }
            },
            Object::Sysctl { dev, value, .. } => {
                format!("{}IPv6 on {}{dev}", if *value { "no " } else { "" }, self.whose())
            }
            Object::Ipv4Conf { dev, conf } => {
                let values = conf.named().map(|(name, value)| format!("{name} {value}"));
                let alone = conf.source.map(|source| format!(", from {source} alone"));
                let alone = alone.unwrap_or_default();
                format!("{} on {}{dev}{alone}", values.join(", "), self.whose())
            }
            Object::Address { dev, address, prefix, prefix_route } => {
                let whose = self.whose();
                let alone = without_route(*prefix_route);
                match self.op {
                    Op::Remove => {
                        format!("remove address {address}/{prefix}{alone} from {whose}{dev}")
                    }
                    _ => format!("address {address}/{prefix}{alone} on {whose}{dev}"),
                }
            }
            Object::Up { dev } => {
                format!("{}{dev} {}", self.whose(), if self.removes() { "down" } else { "up" })
            }
            Object::Route { to, via, dev, table } => {
                let mut text = if self.removes() { "remove " } else { "" }.to_owned();
                text.push_str(self.whose());
                match to.prefix() {
                    0 => text.push_str("default route"),
                    32 if *table == TableId::MAIN => {
                        text.push_str(&format!("route {}", to.network()))
                    }
                    _ => text.push_str(&format!("route {to}")),
                }
                if let Some(via) = via {
                    text.push_str(&format!(" via {via}"));
                }
                text.push_str(&format!(" dev {dev}"));
                if *table != TableId::MAIN {
                    text.push_str(&format!(" table {table}"));
                }
                text
            }
            Object::Member { dev, member } => {
                let verb = if self.removes() { "leaves" } else { "joins" };
                format!("{dev} {verb} the segment of {}", member.hub)
            }
            Object::Alias { dev, .. } if self.removes() => format!("remove alias of {dev}"),
            Object::Alias { dev, text } => format!("set alias {text} on {dev}"),
        }
    }

    fn way_back(done: &[Self]) -> Vec<Self> {
        let made: Vec<&Self> = done.iter().filter(|step| step.makes_a_link()).collect();
        let stays = |step: &&Self| !made.iter().any(|link| step.goes_with(link));
        done.iter().rev().filter(stays).filter_map(Self::inverse).collect()
    }
}

impl Step {
    /// What takes the step back. None: the object is made with its link and goes with it.
    pub fn inverse(&self) -> Option<Self> {
        let Self { op, scope, object } = self.clone();
        let (op, object) = match op {
            Op::Add
                if matches!(
                    object,
                    Object::Sysctl { .. } | Object::Ipv4Conf { .. } | Object::Loopback(_)
                ) =>
            {
                return None
            }
            Op::Add => (Op::Remove, object),
            Op::Change { from } => (Op::Change { from: object }, from),
            Op::Remove => (Op::Add, object),
        };
        Some(Self { op, scope, object })
    }

    /// As a command that does the same; inside the guest where `scope` says so. For people: guestnetd
    /// runs no such command.
    pub fn command(&self) -> String {
        match &self.object {
            Object::Loopback(Loopback::Up) => "ip link set lo up".into(),
            Object::Loopback(Loopback::Down) => "ip link set lo down".into(),
            Object::Loopback(Loopback::New) => {
                "ip link set lo down && ip addr del 127.0.0.1/8 dev lo".into()
            }
            Object::Link { name, kind, mac, mtu } => match (&self.op, kind) {
                (Op::Add, LinkKind::Veth { peer, peer_mac }) => format!(
                    "ip link add {name} address {mac} mtu {mtu} group {LINK_GROUP} numtxqueues 1 numrxqueues 1 \
                     type veth peer name {peer} netns GUEST address {peer_mac} mtu {mtu} group {LINK_GROUP} \
                     numtxqueues 1 numrxqueues 1"
                ),
                (Op::Add, LinkKind::Tap { queues, owner }) => {
                    let several = if *queues > 1 { " multi_queue" } else { "" };
                    format!(
                        "ip tuntap add {name} mode tap user {owner} vnet_hdr{several} && \
                         ip link set {name} address {mac} mtu {mtu} group {LINK_GROUP}"
                    )
                }
                (Op::Remove, _) => format!("ip link del {name}"),
                _ => format!("ip link set {name} mtu {mtu}"),
            },
            Object::Sysctl { dev, setting, value } => {
                format!("sysctl -w {}={}", setting.key(dev), u8::from(*value))
            }
            Object::Ipv4Conf { dev, conf } => {
                let values = conf.named();
                let values = values.map(|(name, value)| format!("net.ipv4.conf.{dev}.{name}={value}"));
                let filter = conf.source.map(|_| format!(" (and a filter: `tc filter show dev {dev} ingress`)"));
                format!("sysctl -w {}{}", values.join(" "), filter.unwrap_or_default())
            }
            Object::Address { dev, address, prefix, prefix_route } => match self.op {
                Op::Remove => format!("ip addr del {address}/{prefix} dev {dev}"),
                _ => {
                    let alone = without_route(*prefix_route);
                    format!("ip addr add {address}/{prefix} brd + dev {dev}{alone}")
                }
            },
            Object::Up { dev } => {
                format!("ip link set {dev} {}", if self.removes() { "down" } else { "up" })
            }
            Object::Route { to, via, dev, table } => {
                let verb = if self.removes() { "del" } else { "add" };
                let to = if to.prefix() == 0 { "default".to_owned() } else { to.to_string() };
                let via = via.map(|via| format!(" via {via}"));
                let on_link = if via.is_none() { " scope link" } else { "" };
                let via = via.unwrap_or_default();
                let table = if *table == TableId::MAIN { String::new() } else { format!(" table {table}") };
                format!("ip route {verb} {to}{via} dev {dev}{on_link}{table} proto {ROUTE_PROTOCOL}")
            }
            Object::Member { dev, member } => match self.removes() {
                true => format!("tc qdisc del dev {dev} clsact"),
                false => format!(
                    "tc qdisc add dev {dev} clsact (and its filters: `tc filter show dev {dev} ingress`, \
                     `tc filter show dev {} ingress`)",
                    member.hub
                ),
            },
            Object::Alias { dev, .. } if self.removes() => format!("ip link set {dev} alias ''"),
            Object::Alias { dev, text } => format!("ip link set {dev} alias {text}"),
        }
    }

    fn removes(&self) -> bool {
        self.op == Op::Remove
    }

    fn whose(&self) -> &'static str {
        match self.scope {
            Scope::Device => "",
            Scope::Guest => "the guest's ",
        }
    }

    fn makes_a_link(&self) -> bool {
        self.operation() == KernelOp::AddLink
    }

    /// Whether what it does goes when `link` is deleted, by itself.
    fn goes_with(&self, link: &Self) -> bool {
        let Object::Link { name, kind, .. } = &link.object else { return false };
        let end = match (self.scope == link.scope, kind) {
            (true, _) => name,
            (false, LinkKind::Veth { peer, .. }) => peer,
            (false, LinkKind::VethPeer | LinkKind::Tap { .. }) => return false,
        };
        // A place in a segment is half at another device.
        let elsewhere = matches!(self.object, Object::Member { .. });
        !elsewhere && !self.makes_a_link() && self.object.dev() == Some(end)
    }
}

/// In ip-address(8)'s word.
fn without_route(prefix_route: bool) -> &'static str {
    if prefix_route {
        ""
    } else {
        " noprefixroute"
    }
}

impl From<&Step> for Change {
    fn from(step: &Step) -> Self {
        Self {
            place: step.scope,
            operation: step.operation(),
            what: step.describe(),
            shared: false,
            command: step.command(),
        }
    }
}
