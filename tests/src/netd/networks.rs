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

//! Networks come, go and take turns as the default one: what Wi-Fi, the framework and netd do.

use super::chains::incoming_mark;
use super::rules::{self, EXPLICIT, PROTECTED};
use super::uplink::Address;
use super::{NetdDevice, State};
use crate::{InNetns, Probe};

/// A network that netd has.
#[derive(Clone, Debug)]
pub(super) struct Network {
    pub name: String,
    pub net_id: u32,
    pub ifindex: u32,
    pub address: Address,
    pub vpn: bool,
    /// All that netd has added for it, but those of the default network.
    pub rules: Vec<String>,
}

impl NetdDevice {
    /// Connects an interface: `wlan0`, `192.0.2.2/24`; the gateway is the subnet's first address.
    /// The link is made if it is not there. It becomes the default network if there is none.
    #[track_caller]
    pub fn connect(&self, name: &str, address: &str) {
        let address = Address::new(address);
        self.ensure_uplink(name, &address);
        let mut state = self.state();
        let mut network = self.new_network(&mut state, name, address, false);
        network.rules = rules::physical(name, network.net_id, rules::table(network.ifindex));
        self.add_address(&network);
        self.fill_table(&network);
        self.add_rules(&network.rules);
        self.add_mark(&network);
        state.networks.push(network);
        if state.default.is_none() {
            self.switch_default(&mut state, Some(name));
        }
    }

    /// netd drops a network, and the framework the interface's address; the link stays.
    pub fn disconnect(&self, name: &str) {
        self.drop_network(name);
        self.try_run(&format!("ip addr flush dev {name}"));
    }

    /// netd drops a network; the interface keeps its address.
    fn drop_network(&self, name: &str) {
        let mut state = self.state();
        let at = state.networks.iter().position(|network| network.name == name);
        let network = state.networks[at.expect("a network of that name")].clone();
        if state.default.as_deref() == Some(name) {
            self.switch_default(&mut state, None);
        }
        state.networks.retain(|other| other.name != name);
        drop(state);
        incoming(&network, false).iter().for_each(|transaction| self.restore(transaction));
        self.remove_rules(&network.rules);
        self.empty_tables(network.ifindex);
        self.clear_tethering_rules(name);
    }

    /// The carrier is lost at the far end, the network with it.
    pub fn wifi_lost(&self) {
        self.internet.run(&format!("ip link set {} down", Self::far_end("wlan0")));
        self.disconnect("wlan0");
    }

    /// The same for so short that the framework keeps the address.
    pub fn wifi_lost_for_a_moment(&self) {
        self.internet.run(&format!("ip link set {} down", Self::far_end("wlan0")));
        self.drop_network("wlan0");
    }

    /// Wi-Fi is back with the address that [`NetdDevice::new`] gives it.
    pub fn wifi_back(&self) {
        self.wifi_back_at(Self::WLAN0);
    }

    /// Wi-Fi is back with another address, in whatever subnet.
    #[track_caller]
    pub fn wifi_back_at(&self, address: &str) {
        let far = Self::far_end("wlan0");
        self.internet.run(&format!("ip addr flush dev {far}"));
        self.connect("wlan0", address);
    }

    /// The interface is gone, as when a driver is unloaded. [`NetdDevice::connect`] makes a new
    /// one, with another index and table.
    pub fn delete_interface(&self, name: &str) {
        self.run(&format!("ip link del {name}"));
        self.disconnect(name);
    }

    /// Moves the default network to another interface that is connected.
    pub fn default_to(&self, name: &str) {
        let mut state = self.state();
        self.switch_default(&mut state, Some(name));
    }

    /// The index of an interface now.
    #[track_caller]
    pub fn ifindex(&self, name: &str) -> u32 {
        let link = self.link(name).unwrap_or_else(|| panic!("no interface {name}"));
        link["ifindex"].as_u64().expect("an index") as u32
    }

    pub(super) fn new_network(
        &self,
        state: &mut State,
        name: &str,
        address: Address,
        vpn: bool,
    ) -> Network {
        assert!(state.networks.iter().all(|n| n.name != name), "{name} is connected already");
        state.last_net_id += 1;
        let (name, ifindex) = (name.to_owned(), self.ifindex(name));
        Network { name, net_id: state.last_net_id, ifindex, address, vpn, rules: Vec::new() }
    }

    pub(super) fn add_address(&self, network: &Network) {
        let Address { address, length, .. } = &network.address;
        self.run(&format!("ip addr replace {address}/{length} dev {}", network.name));
    }

    pub(super) fn fill_table(&self, network: &Network) {
        let (name, table) = (&network.name, rules::table(network.ifindex));
        let (subnet, gateway) = (network.address.subnet(), network.address.gateway);
        let mut lines = vec![
            format!("route replace {subnet} dev {name} table {table} proto static scope link"),
            format!("route replace default via {gateway} dev {name} table {table} proto static"),
        ];
        if self.variant.priorities().local_routes.is_some() && !network.vpn {
            let local = rules::local_table(network.ifindex);
            let route = format!("route replace 224.0.0.0/24 dev {name} table {local}");
            lines.push(format!("{route} proto static scope link"));
        }
        self.ip_batch(4, &lines);
    }

    fn empty_tables(&self, ifindex: u32) {
        let tables = [rules::table(ifindex), rules::local_table(ifindex)];
        let lines = tables.map(|table| format!("route flush table {table}"));
        for family in [4, 6] {
            self.try_ip_batch(family, &lines);
        }
    }

    pub(super) fn add_rules(&self, rules: &[String]) {
        let lines: Vec<_> = rules.iter().map(|rule| format!("rule add {rule}")).collect();
        for family in [4, 6] {
            self.ip_batch(family, &lines);
        }
    }

    pub(super) fn remove_rules(&self, rules: &[String]) {
        let lines: Vec<_> = rules.iter().map(|rule| format!("rule del {rule}")).collect();
        for family in [4, 6] {
            self.try_ip_batch(family, &lines);
        }
    }

    pub(super) fn add_mark(&self, network: &Network) {
        incoming(network, true).iter().for_each(|transaction| self.restore(transaction));
    }

    /// Whatever has this priority and comes in there goes, as netd does it.
    pub(super) fn clear_tethering_rules(&self, name: &str) {
        for family in [4, 6] {
            let line = format!("ip -{family} rule del pref {} iif {name}", rules::TETHERING);
            while self.try_run(&line).status.success() {}
        }
    }

    pub(super) fn switch_default(&self, state: &mut State, to: Option<&str>) {
        let rules = |name: &str| {
            let network = state.networks.iter().find(|network| network.name == name);
            rules::default_network(self.variant, network.expect("a network of that name").ifindex)
        };
        if let Some(name) = to {
            self.add_rules(&rules(name));
        }
        if let Some(name) = state.default.as_deref() {
            self.remove_rules(&rules(name));
        }
        state.default = to.map(str::to_owned);
    }
}

fn incoming(network: &Network, add: bool) -> [super::chains::Transaction; 2] {
    incoming_mark(&network.name, network.net_id | EXPLICIT | PROTECTED, add)
}
