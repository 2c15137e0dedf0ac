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

//! The ways that packets of a guest can go: each in a device of its own, with an internet of its own
//! behind it. Where guestnetd makes the way, its guests are attached by the contract.

use std::os::fd::OwnedFd;
use std::path::Path;

use android_system_guestnet::aidl::android::system::guestnet::IGuestNet::IGuestNet;
use guestnet_tests::client::{by_netns, config};
use guestnet_tests::{said, Device, InNetns};

use crate::crowd::namespaces;
use crate::error::{Doing, Error, Result};
use crate::service::Service;

/// A way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Routed, without address translation and without any netfilter rule.
    Plain,
    /// The original's three rules, by this program.
    Original(&'static str),
    /// guestnetd's, with this packet filter and so many guests attached.
    Guestnetd(&'static str, usize),
}

/// All of them; what others are compared with comes before them.
pub const WAYS: [Way; 7] = [
    Way::Plain,
    Way::Original("iptables-legacy"),
    Way::Original("iptables-nft"),
    Way::Guestnetd("nftables", 1),
    Way::Guestnetd("nftables", 1000),
    Way::Guestnetd("iptables", 1),
    Way::Guestnetd("iptables", 1000),
];

/// A way that has been laid.
pub struct Scene {
    // In this order: guestnetd ends before the guests that it knows, and they before the device.
    _service: Option<Service>,
    guests: Vec<OwnedFd>,
    /// The device, and the internet behind it.
    pub device: Device,
}

impl Way {
    /// Its row.
    pub fn subject(self) -> String {
        match self {
            Self::Plain => "routed, no NAT, no rule".to_owned(),
            Self::Original(program) => format!("the original's rules, {program}"),
            Self::Guestnetd(filter, 1) => format!("guestnetd, {filter}, 1 guest"),
            Self::Guestnetd(filter, count) => format!("guestnetd, {filter}, {count} guests"),
        }
    }

    /// Lays it. An error says what is missing here.
    pub fn lay(self, bin: &Path) -> Result<Scene> {
        let device = Device::options().forwarding().build();
        let count = match self {
            Self::Guestnetd(_, count) => count,
            _ => 1,
        };
        let guests = namespaces(count)?;
        let mut scene = Scene { _service: None, guests, device };
        match self {
            Self::Plain => {
                scene.link();
                scene.device.internet.run("ip route add 172.17.0.0/16 via 192.0.2.2");
            }
            Self::Original(program) => {
                scene.link();
                for rule in ORIGINAL {
                    let out = scene.device.words(&format!("{program} {rule}")).output();
                    let out = out.doing(program)?;
                    if !out.status.success() {
                        return Err(Error::new(format!("{program}: {}", said(&out))));
                    }
                }
            }
            Self::Guestnetd(filter, _) => {
                let service = Service::start(bin, &scene.device, &["--firewall", filter])?;
                let client = service.connect()?;
                for (at, netns) in scene.guests.iter().enumerate() {
                    let netns = by_netns(netns.try_clone()?);
                    client.attach(&config(&format!("guest{at}")), &netns, None)?;
                }
                scene._service = Some(service);
            }
        }
        Ok(scene)
    }
}

/// As the original types them.
const ORIGINAL: [&str; 3] = [
    "-t nat -A POSTROUTING -s 172.17.0.0/16 -o wlan0 -j MASQUERADE",
    "-A FORWARD -i wlan0 -o vm_wlan -j ACCEPT",
    "-A FORWARD -o wlan0 -i vm_wlan -j ACCEPT",
];

impl Scene {
    /// The guest that is measured: the first one.
    pub fn guest(&self) -> &OwnedFd {
        &self.guests[0]
    }

    /// The original's link.
    fn link(&self) {
        let (device, guest) = (&self.device.netns, self.guest());
        let to = device.name();
        guest.run(&format!("ip link add wlan0 type veth peer name vm_wlan netns {to}"));
        device.run("ip addr add 172.17.3.2/16 dev vm_wlan");
        device.run("ip link set vm_wlan up");
        guest.run("ip addr add 172.17.3.3/16 dev wlan0");
        guest.run("ip link set wlan0 up");
        guest.run("ip route add default via 172.17.3.2");
    }
}
