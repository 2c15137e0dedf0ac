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

use super::chains::{incoming_mark, Transaction};
use super::rules::{self, EXPLICIT, PROTECTED};
use super::uplink::Address;
use super::{NetdDevice, State, Vpn};
use crate::{InNetns, Probe};

/// A network that netd has.
#[derive(Clone, Debug)]
pub(super) struct Network {
    pub name: String,
    pub net_id: u32,
    pub ifindex: u32,
    pub address: Address,
    pub kind: Kind,
    /// All that netd has added for it, but those of the default network.
    pub rules: Vec<String>,
}

/// What netd takes a network for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Physical,
    Vpn(Vpn),
    /// The device is its router.
    Local,
}

impl Network {
    pub fn is_vpn(&self) -> bool {
        matches!(self.kind, Kind::Vpn(_))
    }
}

impl NetdDevice {
    /// Connects an interface: `wlan0`, `192.0.2.2/24`; the gateway is the subnet's first address.
    /// The link is made if it is not there. It becomes the default network if there is none.
    #[track_caller]
    pub fn connect(&self, name: &str, address: &str) {
        self.connect_only(name, address);
        let mut state = self.state();
        if state.default.is_none() {
            self.switch_default(&mut state, Some(name));
        }
    }

    /// The same, and which network is the default one stays as it is.
    #[track_caller]
    pub fn connect_only(&self, name: &str, address: &str) {
        self.add_network(name, address, Kind::Physical);
    }

    /// A network that the device is the router of, beside table 97: `thread0`, `172.31.0.2/24`.
    /// Nothing of the internet is behind it.
    #[track_caller]
    pub fn add_local_network(&self, name: &str, address: &str) {
        assert!(self.variant.has_local_networks(), "{:?} has no local networks", self.variant);
        self.add_network(name, address, Kind::Local);
    }

    #[track_caller]
    fn add_network(&self, name: &str, address: &str, kind: Kind) {
        let address = Address::new(address);
        self.ensure_uplink(name, &address);
        let mut state = self.state();
        let mut network = self.new_network(&mut state, name, address, kind);
        let table = rules::table(network.ifindex);
        network.rules = rules::physical(name, network.net_id, table);
        if kind == Kind::Local {
            network.rules.extend(rules::local(table));
        }
        self.add_address(&network);
        self.add_clsact(name);
        self.fill_table(&network);
        self.add_rules(&network.rules);
        self.add_mark(&network);
        state.networks.push(network);
    }

    /// Some users' packets go by a network that is connected, `1000000-1099999`: those of a work
    /// profile. As long as the network is there.
    #[track_caller]
    pub fn prefer(&self, name: &str, users: &str) {
        let mut state = self.state();
        let network = state.networks.iter_mut().find(|network| network.name == name);
        let network = network.expect("a network of that name");
        let rules = rules::of_users(self.variant, users, network.net_id, network.ifindex);
        self.add_rules(&rules);
        network.rules.extend(rules);
    }

    /// The ids of networks and their names, as packets' marks have them.
    pub fn net_ids(&self) -> Vec<(u32, String)> {
        let state = self.state();
        let networks = state.networks.iter().map(|network| (network.net_id, network.name.clone()));
        networks.chain([(rules::LOCAL_NET_ID, "local".to_owned())]).collect()
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
        if network.is_vpn() {
            self.remove_rules(&self.left_to_default(&state, network.net_id));
        }
        drop(state);
        self.remove_clsact(name);
        let mark = network.net_id | EXPLICIT | PROTECTED;
        self.mark_incoming(name, mark, false);
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
        kind: Kind,
    ) -> Network {
        assert!(state.networks.iter().all(|n| n.name != name), "{name} is connected already");
        state.last_net_id += 1;
        let (name, ifindex) = (name.to_owned(), self.ifindex(name));
        Network { name, net_id: state.last_net_id, ifindex, address, kind, rules: Vec::new() }
    }

    pub(super) fn add_address(&self, network: &Network) {
        let Address { address, length, .. } = &network.address;
        self.run(&format!("ip addr replace {address}/{length} dev {}", network.name));
    }

    pub(super) fn fill_table(&self, network: &Network) {
        let (name, table) = (&network.name, rules::table(network.ifindex));
        let (subnet, gateway) = (network.address.subnet(), network.address.gateway);
        let on_link = |destination: &str, table: u32| {
            format!("route replace {destination} dev {name} table {table} proto static scope link")
        };
        let mut lines = match network.kind {
            Kind::Vpn(_) => vec![on_link("default", table)],
            Kind::Local | Kind::Physical => vec![on_link(&subnet, table)],
        };
        if network.kind == Kind::Physical {
            let gateway = format!("default via {gateway} dev {name} table {table}");
            lines.push(format!("route replace {gateway} proto static"));
        }
        if self.variant.priorities().local_routes.is_some() && !network.is_vpn() {
            let local = rules::local_table(network.ifindex);
            if network.address.address.is_private() {
                lines.push(on_link(&subnet, local));
            }
            if self.variant.leaves_out_multicast() {
                lines.push(on_link("224.0.0.0/24", local));
            }
        }
        self.ip_batch(4, &lines);
    }

    /// Where netd hangs its BPF programs.
    pub(super) fn add_clsact(&self, name: &str) {
        self.run(&format!("tc qdisc add dev {name} clsact"));
    }

    /// Of an interface that may be gone.
    pub(super) fn remove_clsact(&self, name: &str) {
        self.try_run(&format!("tc qdisc del dev {name} clsact"));
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
        self.mark_incoming(&network.name, network.net_id | EXPLICIT | PROTECTED, true);
    }

    pub(super) fn mark_incoming(&self, name: &str, mark: u32, add: bool) {
        let list: [Transaction; 2] = incoming_mark(self.variant, name, mark, add);
        list.iter().for_each(|transaction| self.restore(transaction));
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
            let index = network.expect("a network of that name").ifindex;
            let mut rules = vec![rules::default_network(self.variant, index)];
            for vpn in state.networks.iter().filter(|network| network.is_vpn()) {
                let left = rules::fallthrough(self.variant, vpn.net_id, index);
                // One for all VPNs is among them.
                let new = left.into_iter().filter(|rule| !rules.contains(rule));
                rules.extend(new.collect::<Vec<_>>());
            }
            rules
        };
        if let Some(name) = to {
            self.add_rules(&rules(name));
        }
        if let Some(name) = state.default.as_deref() {
            self.remove_rules(&rules(name));
        }
        state.default = to.map(str::to_owned);
    }

    /// What a VPN leaves to the default network and no other one leaves to it as well.
    pub(super) fn left_to_default(&self, state: &State, net_id: u32) -> Vec<String> {
        let default = state.networks.iter().find(|n| Some(&n.name) == state.default.as_ref());
        let Some(default) = default else { return Vec::new() };
        let of = |net_id| rules::fallthrough(self.variant, net_id, default.ifindex);
        let others = state.networks.iter().filter(|n| n.is_vpn() && n.net_id != net_id);
        let others: Vec<String> = others.flat_map(|other| of(other.net_id)).collect();
        of(net_id).into_iter().filter(|rule| !others.contains(rule)).collect()
    }
}
