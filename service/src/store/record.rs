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

//! What is kept: values, and whether they can be so. Pure.

use crate::model::alloc::slots;
use crate::model::dhcp::Told;
use crate::model::forwarding::{Before, Switch};
use crate::model::guest_net::NetnsRef;
use crate::model::guest_table::Attached;
use crate::model::if_index::IfIndex;
use crate::model::lifeline::Lifelines;
use crate::model::GuestNet;
use crate::spec::{GuestName, GuestSpec, IfName, Mtu};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// What is kept of a trace's change, until it is put back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggerRecord {
    /// Who logged IPv4 packets for the packet filter.
    pub name: String,
}

impl LoggerRecord {
    /// Whether it can be a logger's name: a word such as `nf_log_ipv4`, or `NONE`.
    pub fn check(&self) -> Result<(), String> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        match (1..=64).contains(&self.name.len()) && self.name.bytes().all(fits) {
            true => Ok(()),
            false => Err("it is no logger's name".to_owned()),
        }
    }
}

/// What is kept of a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its slot, kept while the store lives.
    #[serde(deserialize_with = "slot")]
    pub slot: u32,
    /// Its network, while it is attached.
    pub attached: Option<AttachedRecord>,
}

impl Record {
    /// Whether this can be kept of a guest: what came by a parcel was checked, and so is what comes from
    /// a file.
    pub fn check(&self, name: &GuestName) -> Result<(), String> {
        let Some(attached) = &self.attached else { return Ok(()) };
        let update = attached.update.as_ref().map(|u| (&u.spec, u.address));
        let networks = [(&attached.spec, attached.address)];
        networks.into_iter().chain(update).try_for_each(|(spec, address)| {
            if spec.name != *name {
                return Err(format!("it is of guest {}", spec.name));
            }
            if spec.address().is_some_and(|asked| asked != address) {
                return Err(format!("it has two addresses: {address} is not what was asked for"));
            }
            let prefix = spec.subnet.prefix().into();
            let (name, interface) = (spec.name.clone(), spec.interface.clone());
            GuestSpec::new(name, interface, Some(address), spec.gateway, prefix, -1)
                .map(drop)
                .map_err(|e| e.to_string())
        })
    }
}

/// What is kept of an attached guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachedRecord {
    /// What was asked for.
    pub spec: GuestSpec,
    /// Its address.
    pub address: Ipv4Addr,
    /// MTU of its link.
    pub mtu: Mtu,
    /// Index of the device's end of its link; an earlier version kept none.
    #[serde(default)]
    pub index: Option<IfIndex>,
    /// Its network namespace; an earlier version kept none.
    #[serde(default)]
    pub netns: NetnsRef,
    /// What it lives by; an earlier version kept nothing.
    #[serde(default)]
    pub lifelines: Lifelines,
    /// Who attached it.
    pub owner_uid: u32,
    /// When: milliseconds since the epoch.
    pub attached_at: i64,
    /// What its lease by DHCP says: who has one is told of changes after a restart, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<Told>,
    /// An update that has begun and has not ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update: Option<UpdateRecord>,
}

impl AttachedRecord {
    /// What is kept of a guest.
    pub fn of(guest: &Attached) -> Self {
        Self {
            spec: guest.spec.clone(),
            address: guest.net.guest.address,
            mtu: guest.net.mtu,
            index: Some(guest.index),
            netns: guest.netns.clone(),
            lifelines: guest.lifelines,
            owner_uid: guest.owner_uid,
            attached_at: guest.attached_at,
            told: guest.told,
            update: None,
        }
    }

    /// The network that this describes.
    pub fn net(&self, slot: u32) -> GuestNet {
        GuestNet::new(&self.spec, slot, self.address, self.mtu)
    }

    /// The network that an update which was cut off was bringing about.
    pub fn interrupted(&self, slot: u32) -> Option<GuestNet> {
        let update = self.update.as_ref()?;
        Some(GuestNet::new(&update.spec, slot, update.address, update.mtu))
    }
}

/// What a live guest is about to become. Written before its ends are touched, and gone with the record
/// that says what it has become: a start that finds it brings the guest back to what it had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateRecord {
    /// What was asked for.
    pub spec: GuestSpec,
    /// Its address.
    pub address: Ipv4Addr,
    /// MTU of its link.
    pub mtu: Mtu,
}

/// What is kept of the forwarding switch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForwardingRecord {
    /// Whether guestnetd wrote the 1.
    pub ours: bool,
    /// Whether another change was announced since.
    pub contested: bool,
    /// What is to be put back with it.
    pub before: Before,
    /// Whether it was asked of netd, and not written.
    #[serde(default)]
    pub netd: bool,
}

impl ForwardingRecord {
    /// Of a switch that is used from now on.
    pub fn of(switch: &Switch) -> Self {
        let (before, netd) = match switch {
            Switch::Sysctl(before) => (before.clone(), false),
            Switch::Netd => (Before::default(), true),
        };
        Self { ours: true, contested: false, before, netd }
    }
}

/// What is kept of a lockdown VPN: netd's start takes its rule, and guestnetd may start meanwhile, too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockdownRecord {
    /// Whether one was seen that is not known to be over.
    pub seen: bool,
}

/// What the caller has said of the resolvers behind each uplink.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolversRecord {
    /// By the uplink's name.
    pub behind: BTreeMap<IfName, Vec<Ipv4Addr>>,
    /// Their names, the one named last at the end.
    #[serde(default)]
    order: Vec<IfName>,
}

impl ResolversRecord {
    /// As many as are kept. A phone has some ten; VPNs and modems may have a new name each time.
    pub const MOST: usize = 64;

    /// Keeps the resolvers behind an uplink, or forgets them if there are none. Of too many those go
    /// that were named first; those behind `in_use` stay.
    pub fn name(&mut self, uplink: IfName, servers: Vec<Ipv4Addr>, in_use: Option<&IfName>) {
        self.order.retain(|name| *name != uplink);
        if servers.is_empty() {
            self.behind.remove(&uplink);
            return;
        }
        self.behind.insert(uplink.clone(), servers);
        self.order.push(uplink.clone());
        while self.behind.len() > Self::MOST {
            let may_go = |name: &&IfName| **name != uplink && Some(*name) != in_use;
            let unordered = self.behind.keys().find(|name| !self.order.contains(name));
            let first = unordered.into_iter().chain(&self.order).find(may_go).cloned();
            let Some(first) = first else { return };
            log::info!(
                "the resolvers behind {first} are forgotten: more than {} uplinks",
                Self::MOST
            );
            self.behind.remove(&first);
            self.order.retain(|name| *name != first);
        }
    }
}

fn slot<'de, D: serde::Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    let slot = u32::deserialize(from)?;
    if slot < slots::SLOTS {
        return Ok(slot);
    }
    Err(serde::de::Error::custom(format!("there is no slot {slot}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_too_many_uplinks_those_named_first_are_forgotten() {
        let name = |n: usize| IfName::new(&format!("rmnet{n}")).unwrap();
        let server = || vec![Ipv4Addr::new(192, 0, 2, 53)];
        let mut record = ResolversRecord::default();
        let in_use = name(0);
        for n in 0..ResolversRecord::MOST {
            record.name(name(n), server(), Some(&in_use));
        }
        assert_eq!(record.behind.len(), ResolversRecord::MOST);
        // Named again, it is not the first any more.
        record.name(name(1), server(), Some(&in_use));
        record.name(name(100), server(), Some(&in_use));
        record.name(name(101), server(), Some(&in_use));
        let there = |n| record.behind.contains_key(&name(n));
        assert!(there(0) && there(1) && there(100) && there(101));
        assert!(!there(2) && !there(3) && there(4));
        assert_eq!((record.behind.len(), record.order.len()), (64, 64));
        record.name(name(4), Vec::new(), None);
        assert_eq!((record.behind.len(), record.order.len()), (63, 63));
    }
}
