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

//! A VPN, and the lockdown that an always-on one brings.

use super::networks::Kind;
use super::rules;
use super::uplink::Address;
use super::NetdDevice;
use crate::InNetns;

/// Who may go past a VPN.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Vpn {
    /// Nobody.
    Secure,
    /// Applications that ask for it.
    Bypassable,
}

impl NetdDevice {
    /// The device's address in a VPN.
    pub const VPN: &'static str = "10.8.0.2/24";

    /// Brings a VPN up that nobody may go past. It takes in everything that the device's users send:
    /// who sends from the device has [`NetdDevice::VPN`] then. The interface is no real TUN: it leads
    /// to the internet.
    #[track_caller]
    pub fn vpn_up(&self, name: &str) {
        self.vpn_up_for(name, Vpn::Secure, rules::USERS);
    }

    /// Brings a VPN of a kind up, for some users only: `10100-10100` is one application's.
    #[track_caller]
    pub fn vpn_up_for(&self, name: &str, kind: Vpn, users: &str) {
        let address = Address::new(Self::VPN);
        self.ensure_uplink(name, &address);
        self.make_point_to_point(name);
        let mut state = self.state();
        let mut network = self.new_network(&mut state, name, address, Kind::Vpn(kind));
        let table = rules::table(network.ifindex);
        network.rules = rules::vpn(kind, name, network.net_id, table, users);
        self.add_address(&network);
        self.fill_table(&network);
        self.add_mark(&network);
        self.add_rules(&network.rules);
        self.add_rules(&self.left_to_default(&state, network.net_id));
        state.networks.push(network);
    }

    /// Brings a VPN up that everybody's packets go by who does not ask for another network.
    #[track_caller]
    pub fn bypassable_vpn_up(&self, name: &str) {
        self.vpn_up_for(name, Vpn::Bypassable, rules::USERS);
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

    /// The users of the lockdown change: netd takes its rule away and adds the next one at once.
    #[track_caller]
    pub fn replace_lockdown(&self) {
        let rule = rules::lockdown();
        for family in [4, 6] {
            self.ip_batch(family, &[format!("rule del {rule}"), format!("rule add {rule}")]);
        }
    }

    /// Whatever is sent by it arrives: its routes have no gateway, and a TUN asks for no neighbour.
    /// Without ARP a packet's destination is the sender's own MAC, so both ends have the same.
    fn make_point_to_point(&self, name: &str) {
        let far = Self::far_end(name);
        self.run(&format!("ip link set {name} address 02:00:00:00:08:02 arp off"));
        self.internet.run(&format!("ip link set {far} address 02:00:00:00:08:02 arp off"));
    }
}
