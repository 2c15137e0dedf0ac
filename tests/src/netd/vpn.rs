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

//! A VPN that nobody may go past, and the lockdown that an always-on one brings.

use super::networks::Network;
use super::rules;
use super::uplink::Address;
use super::{NetdDevice, State};

impl NetdDevice {
    /// The device's address in a VPN.
    pub const VPN: &'static str = "10.8.0.2/24";

    /// Brings a VPN up. It takes in everything that the device's users send: who sends from the
    /// device has [`NetdDevice::VPN`] then. The interface is no real TUN: it leads to the internet.
    #[track_caller]
    pub fn vpn_up(&self, name: &str) {
        let address = Address::new(Self::VPN);
        self.ensure_uplink(name, &address);
        let mut state = self.state();
        let mut network = self.new_network(&mut state, name, address, true);
        network.rules = self.vpn_rules(&state, &network);
        self.add_address(&network);
        self.fill_table(&network);
        self.add_mark(&network);
        self.add_rules(&network.rules);
        state.networks.push(network);
    }

    /// Ends a VPN; its interface goes with it.
    pub fn vpn_down(&self, name: &str) {
        self.delete_interface(name);
    }

    /// Keeps the users off everything but a VPN, whether one is up or not.
    pub fn lockdown(&self, on: bool) {
        let mut state = self.state();
        match (state.lockdown, on) {
            (false, true) => self.add_rules(&[rules::lockdown()]),
            (true, false) => self.remove_rules(&[rules::lockdown()]),
            _ => (),
        }
        state.lockdown = on;
    }

    fn vpn_rules(&self, state: &State, network: &Network) -> Vec<String> {
        let under = state.networks.iter().find(|other| !other.vpn);
        let under = under.map_or(0, |other| other.ifindex);
        let (table, under) = (rules::table(network.ifindex), rules::table(under));
        rules::vpn(self.variant, &network.name, network.net_id, table, under)
    }
}
