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

//! What a server grants its clients.

use std::collections::BTreeSet;
use std::time::Duration;

/// What a server grants its clients. Kernel Binder has limits of its own and ignores these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The users whose connections are taken; none: every user's. A service checks each call all the
    /// same: this is so that others take no place, no memory and no descriptor of it.
    pub callers: Option<BTreeSet<u32>>,
    /// Connections at one time; a client takes two, one of them for its callbacks. Fewer where the
    /// process has few descriptors: a connection may take 16 of them.
    pub connections: usize,
    /// How long a new connection may take to say that it speaks Binder.
    pub handshake: Duration,
    /// How long a client may keep a callback or an answer waiting before it is cut off.
    pub reply: Duration,
    /// The most bytes of one message from a client. Kernel Binder has a megabyte for all calls to a
    /// process (BINDER_VM_SIZE).
    pub message: usize,
    /// How long a message may take from its first byte to its last.
    pub transfer: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            callers: None,
            connections: 64,
            handshake: Duration::from_secs(3),
            reply: Duration::from_secs(2),
            message: 1 << 20,
            transfer: Duration::from_secs(5),
        }
    }
}
