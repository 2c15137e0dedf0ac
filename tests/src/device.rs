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

//! A device: a network namespace whose `wlan0` leads to an [`Internet`] of its own.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use crate::{poll, InNetns, Internet, Netns, Probe};
use guestnet_on_device::netns::no_address_probing;

/// A device and the internet behind it; both are removed when it is dropped.
#[derive(Debug)]
pub struct Device {
    /// The device's namespace.
    pub netns: Netns,
    /// What its uplink leads to.
    pub internet: Internet,
    ipv6: bool,
}

/// How a device is to be.
#[derive(Debug)]
pub struct Options {
    uplink: Option<&'static str>,
    ipv6: bool,
    forwarding: bool,
}

impl Device {
    /// The device's IPv4 address.
    pub const ADDRESS: &'static str = "192.0.2.2";
    /// The device's IPv6 address, where it was asked for.
    pub const ADDRESS6: &'static str = "2001:db8:0:1::2";

    /// A device with `lo`, an uplink `wlan0`, a default route, and forwarding off.
    #[allow(clippy::new_without_default)] // It makes things in the kernel.
    pub fn new() -> Self {
        Self::options().build()
    }

    /// The same device, to be changed first.
    pub fn options() -> Options {
        Options { uplink: Some("wlan0"), ipv6: false, forwarding: false }
    }

    /// Gives the device its uplink: a link to the internet, the addresses and default routes.
    /// One at a time: it is always the same address.
    pub fn add_uplink(&self, name: &str) {
        let (here, there) = (&self.netns, self.internet.netns.name());
        here.run(&format!("ip link add {name} type veth peer name device netns {there}"));
        self.internet.run(&format!("ip addr add {}/24 dev device", Internet::ADDRESS));
        here.run(&format!("ip addr add {}/24 dev {name}", Self::ADDRESS));
        if self.ipv6 {
            self.internet.run(&format!("ip addr add {}/64 dev device", Internet::ADDRESS6));
            here.run(&format!("ip addr add {}/64 dev {name}", Self::ADDRESS6));
        }
        self.internet.run("ip link set device up");
        here.run(&format!("ip link set {name} up"));
        self.wait_until_settled(name);
        here.run(&format!("ip route add default via {}", Internet::ADDRESS));
        if self.ipv6 {
            here.run(&format!("ip route add default via {}", Internet::ADDRESS6));
        }
    }

    /// A snapshot taken before would differ from every later one.
    fn wait_until_settled(&self, name: &str) {
        self.internet.wait_until_up("device");
        self.netns.wait_until_up(name);
        if Path::new("/proc/sys/net/ipv6").exists() {
            // It is tentative for a moment even where nobody probes, and has its route after that.
            let route = || self.netns.run("ip -6 route show table local type local");
            let local = || route().lines().any(|l| l.contains("fe80:") && l.contains(name));
            let settled = || {
                local()
                    && self.netns.run(&format!("ip -6 addr show dev {name} tentative")).is_empty()
            };
            poll(Duration::from_secs(5), || settled().then_some(())).expect("a link-local address");
        }
    }

    /// Takes the uplink away.
    pub fn remove_uplink(&self, name: &str) {
        self.netns.run(&format!("ip link del {name}"));
    }
}

impl InNetns for Device {
    fn open_netns(&self) -> OwnedFd {
        self.netns.open_netns()
    }
}

impl Options {
    /// Names the uplink: `eth0`.
    pub fn uplink(mut self, name: &'static str) -> Self {
        self.uplink = Some(name);
        self
    }

    /// Leaves the uplink out; [`Device::add_uplink`] can bring it later.
    pub fn no_uplink(mut self) -> Self {
        self.uplink = None;
        self
    }

    /// Gives the uplink IPv6 addresses and a route, too.
    pub fn ipv6(mut self) -> Self {
        self.ipv6 = true;
        self
    }

    /// Starts with IPv4 forwarding on.
    pub fn forwarding(mut self) -> Self {
        self.forwarding = true;
        self
    }

    /// Builds the device.
    pub fn build(self) -> Device {
        let netns = Netns::new("device");
        netns.run("ip link set lo up");
        // A new namespace takes this over from the machine's initial one.
        netns.set_sysctl("net/ipv4/ip_forward", if self.forwarding { "1" } else { "0" });
        no_address_probing(&netns);
        let device = Device { netns, internet: Internet::new(self.ipv6), ipv6: self.ipv6 };
        if let Some(name) = self.uplink {
            device.add_uplink(name);
        }
        device
    }
}
