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

//! What the kernel tells unasked: datagrams for the sockets that are in a group.

use crate::kernel::Kernel;
use crate::space::Netns;
use crate::wire::Writer;
use std::collections::BTreeMap;

/// A socket that is in multicast groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Listener(pub u32);

/// linux/rtnetlink.h
pub const GROUP_LINK: u32 = 1;
pub const GROUP_NEIGH: u32 = 3;
pub const GROUP_ADDRESS: u32 = 5;
pub const GROUP_ROUTE: u32 = 7;
pub const GROUP_RULE: u32 = 8;
pub const GROUP_NETCONF: u32 = 24;
pub const GROUP_NSID: u32 = 28;

/// What a listener has not read.
#[derive(Clone, Debug)]
struct Heard {
    netns: Netns,
    protocol: u32,
    groups: Vec<u32>,
    datagrams: Vec<Vec<u8>>,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub struct Listeners {
    next: u32,
    all: BTreeMap<Listener, Heard>,
}

/// Who asked for what is announced: its messages have the request's number and its port.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cause {
    pub sequence: u32,
    pub port: u32,
}

impl Kernel {
    /// A socket in these groups (`RTNLGRP_*`, `NFNLGRP_*`).
    pub fn listen(&mut self, netns: Netns, protocol: u32, groups: &[u32]) -> Listener {
        let listener = Listener(self.listeners.next);
        self.listeners.next += 1;
        let heard = Heard { netns, protocol, groups: groups.to_vec(), datagrams: Vec::new() };
        self.listeners.all.insert(listener, heard);
        listener
    }

    /// What it has got since the last time, in the kernel's order.
    pub fn take(&mut self, listener: Listener) -> Vec<Vec<u8>> {
        let heard = self.listeners.all.get_mut(&listener);
        heard.map(|heard| std::mem::take(&mut heard.datagrams)).unwrap_or_default()
    }

    /// The socket is closed.
    pub fn unlisten(&mut self, listener: Listener) {
        self.listeners.all.remove(&listener);
    }

    /// Tells a group. The message is made only if somebody hears it.
    pub(crate) fn announce(
        &mut self,
        netns: Netns,
        group: u32,
        kind: u16,
        cause: Cause,
        body: impl FnOnce(&mut Self) -> Writer,
    ) {
        let hears = |heard: &Heard| {
            heard.netns == netns && heard.protocol == crate::ROUTE && heard.groups.contains(&group)
        };
        if !self.listeners.all.values().any(hears) {
            return;
        }
        let message = body(self).message(kind, 0, cause.sequence, cause.port);
        for heard in self.listeners.all.values_mut().filter(|heard| hears(heard)) {
            heard.datagrams.push(message.clone());
        }
    }
}

impl Listeners {
    /// Those of a namespace.
    pub fn of(&self, netns: Netns) -> Vec<Listener> {
        let all = self.all.iter();
        all.filter(|(_, heard)| heard.netns == netns).map(|(listener, _)| *listener).collect()
    }
}
