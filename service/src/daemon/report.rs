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

use crate::firewall::Backend;
use crate::model::guest_table::Attached;
use crate::uplink::Uplink;
use std::path::PathBuf;

/// What has to be right for a guest to have internet, from the bottom up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// The link.
    Link,
    /// The addresses.
    Address,
    /// The routes.
    Route,
    /// The policy-routing rule, where the device has netd's.
    Rule,
    /// IPv4 forwarding.
    Forwarding,
    /// Forward and input rules.
    Firewall,
    /// Masquerade.
    Nat,
    /// Names: the resolver that guests' questions go to.
    Dns,
    /// The uplink.
    Uplink,
}

/// How a layer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerState {
    /// As it should be.
    Ok,
    /// It waits for something to appear.
    Waiting,
    /// Not as it should be.
    Bad,
    /// It could not be read.
    Unknown,
}

/// One layer of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerReport {
    /// Which.
    pub layer: Layer,
    /// How it is.
    pub state: LayerState,
    /// What is there; or the cause, and the next step.
    pub text: String,
}

impl LayerReport {
    /// A layer in some state.
    pub fn new(layer: Layer, state: LayerState, text: impl Into<String>) -> Self {
        Self { layer, state, text: text.into() }
    }

    /// A layer that is as it should be.
    pub fn ok(layer: Layer, text: impl Into<String>) -> Self {
        Self::new(layer, LayerState::Ok, text)
    }

    /// A layer that is not.
    pub fn bad(layer: Layer, text: impl Into<String>) -> Self {
        Self::new(layer, LayerState::Bad, text)
    }
}

/// One guest, layer by layer.
#[derive(Clone, Debug)]
pub struct GuestReport {
    /// The guest.
    pub guest: Attached,
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
}

/// The device and the guests asked for.
#[derive(Clone, Debug)]
pub struct DeviceReport {
    /// The uplink.
    pub uplink: Uplink,
    /// The layers that all guests share.
    pub layers: Vec<LayerReport>,
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
}

/// What happened to a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuestEvent {
    /// It was attached.
    Attached,
    /// Its traffic waits, or waits no more; or it has another MTU.
    State,
    /// It was detached.
    Detached,
    /// Its link disappeared.
    Lost,
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
