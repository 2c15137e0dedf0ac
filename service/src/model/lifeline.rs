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

//! What a guest lives by, as plain data: what is kept of it over a restart of guestnetd.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A process as nobody can take its place: its pid, and when it started, in the kernel's ticks since
/// the boot (field 22 of `/proc/PID/stat`, proc(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessRef {
    /// Its pid.
    pub pid: i32,
    /// When it started.
    pub started: u64,
}

/// Who a guest goes with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lifelines {
    /// The process that was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessRef>,
    /// The process that gave an owner, who is another object after each start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<ProcessRef>,
    /// When the lease ends, by CLOCK_MONOTONIC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_until: Option<Duration>,
}

/// Why a guest is gone though nobody detached it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndCause {
    /// The process that was named ended.
    ProcessExited,
    /// Its network namespace ended.
    NamespaceGone,
    /// Somebody deleted its link.
    LinkDeleted,
    /// Its owner died.
    OwnerDied,
    /// Its lease ended.
    LeaseEnded,
    /// The last descriptor of its TAP device was closed; or somebody deleted that, which looks the same.
    TapClosed,
}

impl std::fmt::Display for EndCause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::ProcessExited => "its process has ended",
            Self::NamespaceGone => "its network namespace has ended",
            Self::LinkDeleted => "its link was deleted",
            Self::OwnerDied => "its owner has died",
            Self::LeaseEnded => "its lease has ended",
            Self::TapClosed => "the last descriptor of its TAP device was closed",
        })
    }
}
