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

//! Names: what guests ask port 53 of their gateway, answered by asking others. Nothing is kept of an
//! answer.
//!
//! ```text
//! guest ── 53 of the gateway ── DNAT ──► PORT ──► message: is it a question?
//!                                                   forward: whose, whom to ask, what then
//!                                                   server: the sockets ──► resolvers, or netd's
//! ```

pub mod book;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod corpus;
mod flights;
pub mod forward;
mod listeners;
pub mod message;
pub mod netd;
mod pool;
mod server;
mod socket;
mod storm;
pub(crate) mod stream;
pub mod zone;

pub use server::Names;
pub use zone::{Peers, Zone};

use crate::model::if_index::IfIndex;
use crate::ordered::{OrderedMap, OrderedSet};
use crate::spec::IfName;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;

pub use crate::model::ruleset::FORWARDER as PORT;

/// By what a guest leaves: a tun of its own; none: the uplink.
pub type Way = Option<IfName>;

/// The guests, by the indexes of their host ends. One that has not changed is the same one as before.
pub type Guests = Arc<OrderedMap<IfIndex, Arc<Guest>>>;

/// Whose questions are answered, and by asking whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Want {
    /// The guests that ask.
    pub guests: Guests,
    /// The addresses that they ask at.
    pub gateways: OrderedSet<Ipv4Addr>,
    /// Whom those ask that leave so. Not there: nobody can be asked.
    pub upstreams: OrderedMap<Way, Upstream>,
    /// Where netd's resolver listens.
    pub netd: Arc<Path>,
    /// The zone of guests' own names, if there is to be one.
    pub zone: Option<Zone>,
}

impl Default for Want {
    fn default() -> Self {
        let (guests, gateways, upstreams, zone) = Default::default();
        Self { guests, gateways, upstreams, netd: Path::new("").into(), zone }
    }
}

/// A guest that asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guest {
    /// Its name.
    pub name: Arc<str>,
    /// Its address: from no other is it heard.
    pub address: Ipv4Addr,
    /// The device's address on its link, which it asks.
    pub gateway: Ipv4Addr,
    /// Length of the prefix of its link.
    pub prefix: u8,
    /// By what it leaves.
    pub way: Way,
    /// The servers that it is to have, in their order; none: those of its way.
    pub servers: Option<Arc<[IpAddr]>>,
    /// Who is on its segment, if it is on one.
    pub peers: Option<Arc<Peers>>,
}

impl Guest {
    /// Whether it asks whom the uplink has.
    fn follows(&self) -> bool {
        self.way.is_none() && self.servers.is_none()
    }
}

/// Who is asked by those that leave in one way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// The interface that servers are asked by, and no other.
    pub by: IfName,
    /// What packets to them are marked with, where that decides their way.
    pub mark: Option<u32>,
    /// Whom.
    pub ask: Ask,
}

/// Who is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// netd's resolver, about its network of this number.
    Netd(u32),
    /// These, in their order. One on the loopback is the device's own, which asks others in turn.
    Servers(Arc<[IpAddr]>),
}

impl Want {
    /// Whom a guest asks, and by what interface; none: there is nobody to ask.
    fn asks(&self, guest: &Guest) -> Option<Upstream> {
        let Upstream { by, mark, ask } = self.upstreams.get(&guest.way)?.clone();
        let own = guest.servers.clone().map(Ask::Servers);
        Some(Upstream { by, mark, ask: own.unwrap_or(ask) })
    }
}
