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

use crate::model::fault::{Cause, Fault};
use crate::model::guest_table::Attached;
use crate::model::uplink::Uplink;
use crate::model::world::Backend;
use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

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
    /// Why; [`Cause::Healthy`] when nothing is to be said. Where the state is Ok, another one costs the
    /// guest no internet.
    pub cause: Cause,
    /// What is there, or what is wrong.
    pub text: String,
    /// What to do about it.
    pub next_step: Option<String>,
    /// How long until guestnetd tries again by itself.
    pub retry_in: Option<Duration>,
}

impl LayerReport {
    /// A layer in some state, with what is wrong.
    pub fn new(layer: Layer, state: LayerState, fault: Fault) -> Self {
        let Fault { cause, text, next_step } = fault;
        Self { layer, state, cause, text, next_step, retry_in: None }
    }

    /// A layer that is as it should be.
    pub fn ok(layer: Layer, text: impl Into<String>) -> Self {
        Self::new(layer, LayerState::Ok, Fault::new(Cause::Healthy, text))
    }

    /// A layer that is not.
    pub fn bad(layer: Layer, fault: Fault) -> Self {
        Self::new(layer, LayerState::Bad, fault)
    }

    /// A layer that traffic waits at.
    pub fn waiting(layer: Layer, fault: Fault) -> Self {
        Self::new(layer, LayerState::Waiting, fault)
    }

    /// A layer that could not be read.
    pub fn unread(layer: Layer, why: impl fmt::Display) -> Self {
        Self::new(layer, LayerState::Unknown, Fault::new(Cause::Unreadable, why.to_string()))
    }

    /// The same, tried again then.
    pub fn retried(self, at: Option<Instant>) -> Self {
        let retry_in = at.map(|at| at.saturating_duration_since(Instant::now()));
        Self { retry_in, ..self }
    }
}

/// What layers come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every layer is as it should be.
    Internet,
    /// Addresses are reached, names are not resolved.
    NoNames,
    /// A layer is bad.
    NoInternet,
    /// No layer is bad, but one waits.
    Waiting,
    /// A layer could not be read.
    Unsure,
}

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
