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

//! A device as Android's netd shapes it: its chains, its routing rules, a table for each
//! interface, its forwarding switch; and what netd and Wi-Fi do to all that while time goes by.
//!
//! The network namespace is beside an [`Internet`] that has several links to it, and one server
//! behind them all: the address it sees tells the uplink.

mod at_hand;
mod chains;
mod dnsproxyd;
mod everything_else;
mod hotspot;
mod networks;
mod resolver;
mod restart;
mod rules;
mod sysctls;
mod uplink;
mod variant;
mod vpn;
mod watch;

use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard};

pub use dnsproxyd::{Dnsproxyd, Does};
pub use resolver::ask;
pub use restart::{First, Piece};
pub use rules::{table, LOCAL_NETWORK, TETHERING};
pub use variant::Variant;
pub use vpn::Vpn;
pub use watch::{Found, Watch};

use crate::{InNetns, Internet, Netns};
use at_hand::Directory;
use guestnet_on_device::netns::no_address_probing;
use networks::Network;
use resolver::Resolver;

/// The device; everything ends when it is dropped.
#[derive(Debug)]
pub struct NetdDevice {
    // In this order: sockets of the resolvers would keep the internet's namespace alive.
    state: Mutex<State>,
    /// The device's namespace.
    pub netns: Netns,
    /// What its uplinks lead to.
    pub internet: Internet,
    directory: Directory,
    variant: Variant,
}

/// What netd and the framework know.
#[derive(Debug, Default)]
struct State {
    resolvers: Vec<Resolver>,
    networks: Vec<Network>,
    default: Option<String>,
    last_net_id: u32,
    lockdown: bool,
    hotspot: bool,
    /// The upstreams whose packets are counted.
    counted: Vec<String>,
    /// Whether a resolver answers by its own network's link only.
    apart: bool,
}

impl NetdDevice {
    /// The device's address on wlan0, of [`NetdDevice::new`].
    pub const WLAN0: &'static str = "192.0.2.2/24";
    /// An address on rmnet0 for those who connect it.
    pub const RMNET0: &'static str = "203.0.113.2/24";
    /// The server beyond all uplinks: TCP. It answers as [`Internet::TCP`] does.
    pub const TCP: &'static str = "198.51.100.1:80";
    /// The server beyond all uplinks: UDP.
    pub const UDP: &'static str = "198.51.100.1:7";
    /// The server's address.
    pub const SERVER: &'static str = "198.51.100.1";

    /// The usual Android with wlan0 as its default network: 13, or what `NETD_VARIANT` says, `16`.
    #[allow(clippy::new_without_default)] // It makes things in the kernel.
    pub fn new() -> Self {
        Self::of(Variant::usual())
    }

    /// Any Android with wlan0 as its default network.
    pub fn of(variant: Variant) -> Self {
        let device = Self::offline(variant);
        device.connect("wlan0", Self::WLAN0);
        device
    }

    /// The whole machine, as Android 13 with wlan0 as its default network. Once: it stays so.
    pub fn this_machine() -> Self {
        let device = Self::in_netns(Netns::of_this_machine("netd"), Variant::Android13);
        device.connect("wlan0", Self::WLAN0);
        device
    }

    /// Any Android without an interface but `lo`.
    pub fn offline(variant: Variant) -> Self {
        Self::in_netns(Netns::new("netd"), variant)
    }

    fn in_netns(netns: Netns, variant: Variant) -> Self {
        netns.run("ip link set lo up");
        no_address_probing(&netns);
        sysctls::at_boot(&netns);
        let device = Self {
            state: Mutex::default(),
            netns,
            internet: Internet::at(Self::SERVER),
            directory: Directory::new(variant),
            variant,
        };
        device.state().last_net_id = rules::LOCAL_NET_ID;
        device.add_dummy();
        device.netd_starts(false, std::time::Duration::ZERO);
        device
    }

    /// Which Android it is.
    pub fn variant(&self) -> Variant {
        self.variant
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A test that fails while it holds this fails once, not once for each thread.
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl InNetns for NetdDevice {
    fn open_netns(&self) -> OwnedFd {
        self.netns.open_netns()
    }
}
