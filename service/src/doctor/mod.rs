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

//! doctor: finds out by packets why a guest has, or has not, internet. Probes are made in the guest's
//! namespace and, for comparison, from the device; taps see where their packets come by; one table makes
//! one cause of all that. Changes nothing, and sends nothing unless it is asked to.
//!
//! | module | what | touches |
//! |---|---|---|
//! | [`targets`] | where probes go | nothing |
//! | [`probe`] | which probes there are | nothing |
//! | [`wire`] | their bytes, and the answers' | nothing |
//! | [`trail`] | where a probe's packet and its answer were seen | nothing |
//! | [`verdict`] | the table: one cause | nothing |
//! | [`flight`], [`echo`], [`tap`], [`socket`], [`run`] | sockets, bounded in number and time | the network |

pub mod echo;
pub mod flight;
pub mod probe;
pub mod run;
pub mod socket;
pub mod tap;
pub mod targets;
pub mod trail;
pub mod verdict;
pub mod wire;

use crate::model::fault::Fault;
use crate::model::layer::Verdict;
use crate::model::trace::Trace;
use crate::spec::GuestName;
use probe::Found;
use std::time::Duration;

/// What was found out.
#[derive(Clone, Debug)]
pub struct Diagnosis {
    /// Of whom; none: of the device alone.
    pub guest: Option<GuestName>,
    /// What it comes to.
    pub verdict: Verdict,
    /// The cause, in words, and the next step.
    pub fault: Fault,
    /// The probes.
    pub probes: Vec<Row>,
    /// Packets that our rules dropped meanwhile; none: they cannot be counted.
    pub dropped: Option<u64>,
    /// One probe, hook by hook; none where that was not asked for, or there is no guest.
    pub trace: Option<Trace>,
    /// How long it took.
    pub took: Duration,
}

/// One probe.
#[derive(Clone, Debug)]
pub struct Row {
    /// In words.
    pub name: String,
    /// What became of the guest's.
    pub guest: Found,
    /// And of the device's.
    pub device: Found,
    /// More about it.
    pub detail: String,
}
