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

//! The links to the internet, and the internet's end of each: a gateway in a subnet of its own, two
//! resolvers behind it.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::{rules, sysctls, NetdDevice, Resolver, State};
use crate::{poll, InNetns, Probe};

/// An address with its prefix length, and the gateway: the first address of the subnet.
#[derive(Clone, Debug)]
pub(super) struct Address {
    pub address: Ipv4Addr,
    pub length: u8,
    pub gateway: Ipv4Addr,
}

impl Address {
    /// Of a text, `192.0.2.2/24`.
    #[track_caller]
    pub fn new(text: &str) -> Self {
        let (address, length) = text.split_once('/').expect("an address with a prefix length");
        let address: Ipv4Addr = address.parse().expect("an address");
        let length: u8 = length.parse().expect("a prefix length");
        let network = u32::from(address) & (u32::MAX << (32 - length));
        Self { address, length, gateway: Ipv4Addr::from(network + 1) }
    }

    pub fn subnet(&self) -> String {
        format!("{}/{}", Ipv4Addr::from(u32::from(self.gateway) - 1), self.length)
    }
}

impl NetdDevice {
    /// The resolvers of a network: its gateway, and one beyond it. Each answers with the network's
    /// name and who it was asked by.
    #[track_caller]
    pub fn resolvers(&self, name: &str) -> [String; 2] {
        let state = self.state();
        let network = state.networks.iter().find(|network| network.name == name);
        let gateway = network.expect("a network of that name").address.gateway;
        let of_network =
            |resolver: &&Resolver| resolver.name == name && is_beyond(resolver.address);
        let beyond = state.resolvers.iter().find(of_network).expect("a resolver").address;
        [gateway, beyond].map(|address| address.to_string())
    }

    /// The internet's end of an uplink. Taken down, it takes the device's carrier.
    pub fn far_end(name: &str) -> String {
        format!("i-{name}")
    }

    /// Makes the link, if it is not there, and what is behind it.
    pub(super) fn ensure_uplink(&self, name: &str, address: &Address) {
        let far = Self::far_end(name);
        if self.link(name).is_none() {
            let internet = self.internet.netns.name();
            self.run(&format!("ip link add {name} type veth peer name {far} netns {internet}"));
            sysctls::of_interface(self, name);
        }
        let Address { gateway, length, .. } = address;
        self.internet.run(&format!("ip addr replace {gateway}/{length} dev {far}"));
        self.internet.run(&format!("ip link set {far} up"));
        self.run(&format!("ip link set {name} up"));
        self.wait_until_up(name);
        self.internet.wait_until_up(&far);
        // The kernel adds it a little later; until then a device is not as it will be. With IPv6 only.
        let own = format!("ip -6 route show table local dev {name}");
        let link_local = || self.run(&own).contains("local fe80").then_some(());
        let _ = poll(Duration::from_secs(5), link_local);
        self.ensure_resolver(name, *gateway);
        let mut state = self.state();
        if state.resolvers.iter().all(|r| r.name != name || !is_beyond(r.address)) {
            let beyond = Ipv4Addr::new(198, 51, 100, 53 + state.resolvers.len() as u8);
            self.internet.run(&format!("ip addr add {beyond}/32 dev lo"));
            self.start_resolver(&mut state, name, beyond);
        }
    }

    /// From now on a resolver answers by its own network's link only, as behind a VPN or an access
    /// point; of networks to come, too.
    pub fn keep_resolvers_apart(&self) {
        let mut state = self.state();
        state.apart = true;
        state.resolvers.iter().for_each(|resolver| self.keep_apart(resolver));
    }

    fn start_resolver(&self, state: &mut State, name: &str, address: Ipv4Addr) {
        let resolver = Resolver::start(&self.internet, name, address);
        if state.apart {
            self.keep_apart(&resolver);
        }
        state.resolvers.push(resolver);
    }

    fn keep_apart(&self, resolver: &Resolver) {
        let (address, far) = (resolver.address, Self::far_end(&resolver.name));
        for protocol in ["udp", "tcp"] {
            let asked = format!("-d {address} -p {protocol} --dport 53");
            let rule = format!("iptables-legacy -w -A INPUT ! -i {far} {asked} -j DROP");
            self.internet.run(&rule);
        }
    }

    /// The interface that leads nowhere, which RouteController::Init() has a network of. Its index is
    /// out of the way: those of others are as if it were not there.
    pub(super) fn add_dummy(&self) {
        let (name, internet) = (rules::DUMMY, self.internet.netns.name());
        // On a machine that is a device itself the kernel may have made one.
        if self.link(name).is_none() {
            let peer = format!("peer name {} netns {internet}", Self::far_end(name));
            self.run(&format!("ip link add {name} index {DUMMY_INDEX} type veth {peer}"));
        }
        self.run(&format!("ip link set {name} up"));
        let table = rules::table(self.ifindex(name));
        let route = format!("route replace default dev {name} table {table} proto static");
        self.ip_batch(4, &[format!("{route} scope link")]);
        self.ip_batch(6, &[route]);
    }

    fn ensure_resolver(&self, name: &str, address: Ipv4Addr) {
        let mut state = self.state();
        if state.resolvers.iter().all(|resolver| resolver.address != address) {
            self.start_resolver(&mut state, name, address);
        }
    }
}

/// The index of the interface that leads nowhere.
const DUMMY_INDEX: u32 = 999;

/// Whether an address is the server's side of the internet, which no uplink's subnet is in.
fn is_beyond(address: Ipv4Addr) -> bool {
    address.octets().starts_with(&[198, 51, 100])
}
