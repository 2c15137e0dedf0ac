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

//! What the owner tells others: guests, reports, notices. Plain data.

use crate::model::dns::Counts;
use crate::model::guest_table::Attached;
use crate::model::layer::{LayerReport, Verdict};
use crate::model::lifeline::EndCause;
use crate::model::uplink::Uplink;
use crate::model::world::Backend;
use crate::spec::{GuestName, IfName};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

/// One guest, layer by layer.
#[derive(Clone, Debug)]
pub struct GuestReport {
    /// The guest.
    pub guest: Attached,
    /// What they come to.
    pub verdict: Verdict,
    /// The layer to blame.
    pub reason: Option<LayerReport>,
    /// Its layers and the device's, from the bottom up.
    pub layers: Vec<LayerReport>,
    /// Bytes received from it.
    pub rx_bytes: u64,
    /// Bytes sent to it.
    pub tx_bytes: u64,
    /// Packets received from it.
    pub rx_packets: u64,
    /// Packets sent to it.
    pub tx_packets: u64,
    /// Packets from or to it that our rules have dropped; none: it cannot be told whose they were.
    pub dropped: Option<u64>,
}

/// The device and the guests asked for.
#[derive(Clone, Debug)]
pub struct DeviceReport {
    /// The uplink.
    pub uplink: Uplink,
    /// What they come to.
    pub verdict: Verdict,
    /// The layer to blame.
    pub reason: Option<LayerReport>,
    /// The layers that all guests share.
    pub layers: Vec<LayerReport>,
    /// Packets that our rules have dropped; none where they cannot be read.
    pub dropped: Option<u64>,
    /// The guests.
    pub guests: Vec<GuestReport>,
}

/// What this guestnetd is, as far as the owner knows.
#[derive(Clone, Debug)]
pub struct Info {
    /// How the uplink is chosen.
    pub uplink: String,
    /// How the device routes: "main", or "netd" (policy routing, table main unused).
    pub routing: &'static str,
    /// The packet filter in use.
    pub firewall: Backend,
    /// Why that one.
    pub firewall_reason: String,
    /// Where the state is.
    pub state_dir: PathBuf,
    /// Number of attached guests.
    pub guests: usize,
    /// Whether guestnetd switched forwarding on.
    pub owns_forwarding: bool,
    /// What guests have asked the forwarder.
    pub names: Counts,
}

/// Who answers guests' questions for names.
#[derive(Clone, Debug)]
pub struct DnsReport {
    /// What callers have named, by interface.
    pub named: BTreeMap<IfName, Vec<Ipv4Addr>>,
    /// The guests, by name.
    pub guests: Vec<(GuestName, Served)>,
}

/// Who answers one guest's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Served {
    /// A resolver, to which they are led on their way; none: nobody is there to be asked.
    Dnat(Option<Ipv4Addr>),
    /// guestnetd, which asks netd's resolver.
    Netd,
    /// guestnetd, which asks these.
    Forward(Vec<IpAddr>),
    /// guestnetd, which asks these: the guest's own.
    Servers(Vec<IpAddr>),
}

/// Who has called, as the transport knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct By {
    /// The user.
    pub uid: u32,
    /// The process, which may have ended since; 0 where it is not known.
    pub pid: i32,
}

impl std::fmt::Display for By {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.pid {
            1.. => write!(f, "uid {}, pid {}", self.uid, self.pid),
            _ => write!(f, "uid {}", self.uid),
        }
    }
}

/// What happened to a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuestEvent {
    /// It was attached.
    Attached,
    /// Its traffic waits, or waits no more; or it has another MTU.
    State,
    /// It was detached, by this caller.
    Detached(By),
    /// It is gone, and nobody detached it.
    Lost(EndCause),
}

/// What listeners are told.
#[derive(Clone, Debug)]
pub enum Notice {
    /// About a guest.
    Guest(GuestEvent, Attached),
    /// About the uplink.
    Uplink {
        /// Before.
        previous: Uplink,
        /// Now.
        current: Uplink,
        /// Microseconds from the kernel's notice to the rules being in place.
        gap: u64,
    },
}
