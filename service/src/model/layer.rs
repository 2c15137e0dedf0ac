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

//! A layer of a guest's network: which there are, how one is, and what they come to. Pure.

use super::fault::{Cause, Fault};
use std::fmt;
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
    /// Its place in its segment, if it is on one.
    Segment,
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
    /// Every layer is as it should be, and the guest leaves by nothing, as it is configured.
    NoUplink,
}
