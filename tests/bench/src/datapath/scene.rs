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

use std::os::fd::{AsRawFd, OwnedFd};

use guestnet_tests::client::{by_netns, config};
use guestnet_tests::netd::NetdDevice;
use guestnet_tests::{said, Device, InNetns, Internet};

use crate::build::Build;
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
    /// The same by the build of `--before` of this place, with one guest.
    Before(usize, &'static str),
    /// On a device that netd shapes: that of a hotspot's client, as netd makes it.
    Hotspot,
    /// On such a device guestnetd's, by netd's wrapper, with so many guests attached.
    Wrapped(usize),
}

/// All of them; what others are compared with comes before them.
pub const WAYS: [Way; 10] = [
    Way::Plain,
    Way::Original("iptables-legacy"),
    Way::Original("iptables-nft"),
    Way::Guestnetd("nftables", 1),
    Way::Guestnetd("nftables", 1000),
    Way::Guestnetd("iptables", 1),
    Way::Guestnetd("iptables", 1000),
    Way::Hotspot,
    Way::Wrapped(1),
    Way::Wrapped(1000),
];

/// A way that has been laid.
pub struct Scene {
    // In this order: guestnetd ends before the guests that it knows, and they before the device.
    _service: Option<Service>,
    guests: Vec<OwnedFd>,
    device: Ground,
}

/// The device, and the internet behind it.
enum Ground {
    Linux(Device),
    Netd(NetdDevice),
}

impl Way {
    /// Its row.
    pub fn subject(self, builds: &[Build]) -> String {
        match self {
            Self::Before(at, filter) => {
                let name = builds.get(at).map_or("before", |build| &build.name);
                format!("{name}, {filter}, 1 guest")
            }
            Self::Plain => "routed, no NAT, no rule".to_owned(),
            Self::Original(program) => format!("the original's rules, {program}"),
            Self::Guestnetd(filter, 1) => format!("guestnetd, {filter}, 1 guest"),
            Self::Guestnetd(filter, count) => format!("guestnetd, {filter}, {count} guests"),
            Self::Hotspot => "netd's device: a hotspot's client".to_owned(),
            Self::Wrapped(1) => "netd's device: guestnetd by the wrapper, 1 guest".to_owned(),
            Self::Wrapped(count) => {
                format!("netd's device: guestnetd by the wrapper, {count} guests")
            }
        }
    }

    /// Lays it. An error says what is missing here.
    pub fn lay(self, builds: &[Build]) -> Result<Scene> {
        let [now, ..] = builds else { return Err(Error::new("there is no build")) };
        match self {
            Self::Hotspot | Self::Wrapped(_) => self.lay_on_netds(now),
            Self::Before(at, _) => match builds.get(at) {
                Some(build) => self.lay_on_linux(build),
                None => Err(Error::new("there is no such build")),
            },
            _ => self.lay_on_linux(now),
        }
    }

    fn lay_on_linux(self, build: &Build) -> Result<Scene> {
        let device = Device::options().forwarding().build();
        let count = match self {
            Self::Guestnetd(_, count) => count,
            _ => 1,
        };
        let guests = namespaces(count)?;
        let mut service = None;
        match self {
            Self::Original(program) => {
                link(&device, &guests[0]);
                for rule in ORIGINAL {
                    let out = device.words(&format!("{program} {rule}")).output();
                    let out = out.doing(program)?;
                    if !out.status.success() {
                        return Err(Error::new(format!("{program}: {}", said(&out))));
                    }
                }
            }
            Self::Guestnetd(filter, _) | Self::Before(_, filter) => {
                let started = Service::start(&build.bin, &device, &["--firewall", filter])?;
                attach(build, &started, &guests)?;
                service = Some(started);
            }
            _ => {
                link(&device, &guests[0]);
                device.internet.run("ip route add 172.17.0.0/16 via 192.0.2.2");
            }
        }
        Ok(Scene { _service: service, guests, device: Ground::Linux(device) })
    }

    fn lay_on_netds(self, build: &Build) -> Result<Scene> {
        let device = NetdDevice::new();
        let (guests, service) = match self {
            Self::Wrapped(count) => {
                let [iptables, ndc] = [device.iptables(), device.ndc()]
                    .map(|path| path.to_string_lossy().into_owned());
                let args = ["--iptables", &iptables, "--ndc", &ndc];
                let guests = namespaces(count)?;
                let service = Service::start(&build.bin, &device, &args)?;
                attach(build, &service, &guests)?;
                (guests, Some(service))
            }
            _ => {
                let guests = namespaces(1)?;
                device.hotspot(true);
                // Its client's end is in the internet's namespace, and becomes the guest's.
                let guest = format!("/proc/{}/fd/{}", std::process::id(), guests[0].as_raw_fd());
                device.internet.run(&format!("ip link set i-ap0 netns {guest}"));
                guests[0].run("ip addr add 192.168.43.2/24 dev i-ap0");
                guests[0].run("ip link set i-ap0 up");
                guests[0].run("ip route add default via 192.168.43.1");
                (guests, None)
            }
        };
        Ok(Scene { _service: service, guests, device: Ground::Netd(device) })
    }
}

fn attach(build: &Build, service: &Service, guests: &[OwnedFd]) -> Result<()> {
    let client = build.connect(service)?;
    for (at, netns) in guests.iter().enumerate() {
        let netns = by_netns(netns.try_clone()?);
        client.attach(&config(&format!("guest{at}")), &netns)?;
    }
    Ok(())
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

    /// The internet behind the device.
    pub fn internet(&self) -> &Internet {
        match &self.device {
            Ground::Linux(device) => &device.internet,
            Ground::Netd(device) => &device.internet,
        }
    }
}

/// The original's link.
fn link(device: &Device, guest: &OwnedFd) {
    let (device, to) = (&device.netns, device.netns.name());
    guest.run(&format!("ip link add wlan0 type veth peer name vm_wlan netns {to}"));
    device.run("ip addr add 172.17.3.2/16 dev vm_wlan");
    device.run("ip link set vm_wlan up");
    guest.run("ip addr add 172.17.3.3/16 dev wlan0");
    guest.run("ip link set wlan0 up");
    guest.run("ip route add default via 172.17.3.2");
}
