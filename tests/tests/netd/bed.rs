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

//! A device shaped by netd with guestnetd, a client of it and a guest, and what is asked of them.

use std::time::Duration;

use android_system_guestnet::aidl::android::system::guestnet::GuestConfig::GuestConfig;
use android_system_guestnet::aidl::android::system::guestnet::IGuestNet::IGuestNet;
use android_system_guestnet::aidl::android::system::guestnet::Layer::Layer;
use android_system_guestnet::aidl::android::system::guestnet::LayerState::LayerState;
use guestnet_platform::Connection;
use guestnet_tests::client::{by_pid, config};
use guestnet_tests::netd::{Found, NetdDevice, Watch};
use guestnet_tests::{poll, Daemon, Guest, Probe};

/// Longer than anything here may take on a busy machine.
pub const BOUND: Duration = Duration::from_secs(20);
/// The gateway of all guests.
pub const GATEWAY: &str = "172.17.3.2";

/// The device, guestnetd and one attached guest.
pub struct Bed {
    // In this order: a client goes before the service, and that before its device.
    pub service: Connection<dyn IGuestNet>,
    pub guest: Guest,
    pub daemon: Daemon,
    watch: Option<Watch>,
    pub device: NetdDevice,
}

impl Bed {
    /// This device, with guestnetd using its wrappers and these arguments, and a guest `demo`.
    #[track_caller]
    pub fn on(device: NetdDevice, args: &str) -> Self {
        let bed = Self::without_guest(device, args);
        bed.attach("demo", &bed.guest);
        bed
    }

    /// The same without the guest being attached.
    #[track_caller]
    pub fn without_guest(device: NetdDevice, args: &str) -> Self {
        let watch = device.watch(&["wlan0", "rmnet0", "v4-wlan0", "tun0"]);
        let daemon = daemon(&device).args(args).started();
        let service = daemon.connect();
        Self { service, guest: Guest::new(), daemon, watch: Some(watch), device }
    }

    #[track_caller]
    pub fn attach(&self, name: &str, guest: &Guest) {
        self.attach_as(&config(name), guest);
    }

    #[track_caller]
    pub fn attach_as(&self, config: &GuestConfig, guest: &Guest) {
        let attached = self.service.attach(config, &by_pid(guest.pid()), None);
        attached.unwrap_or_else(|e| panic!("attach: {e}\n{}", self.daemon.log()));
    }

    /// The address that the server beyond sees; none when it sees nobody.
    pub fn seen_as(&self) -> Option<String> {
        let line = self.guest.udp(NetdDevice::UDP, "x").ok()?;
        line.split(' ').next().map(str::to_owned)
    }

    /// Waits until the server sees the guest under this address.
    #[track_caller]
    pub fn flows_as(&self, address: &str) {
        let flows = || (self.seen_as().as_deref() == Some(address)).then_some(());
        let said = || format!("{}\n{}", self.device.state_in_words(), self.daemon.log());
        poll(BOUND, flows).unwrap_or_else(|| panic!("no traffic as {address}\n{}", said()));
    }

    /// One layer of the guest.
    #[track_caller]
    pub fn layer(&self, which: Layer) -> (LayerState, String) {
        let status = self.service.status(Some("demo")).expect("status");
        let layers = &status.guests[0].layers;
        let layer = layers.iter().find(|layer| layer.layer == which).expect("the layer");
        (layer.state, layer.text.clone())
    }

    /// What has left the device up to now.
    #[track_caller]
    pub fn stop_watching(&mut self) -> Found {
        self.watch.take().expect("a watch").end()
    }

    /// Ends everything; panics if a packet of the guest's left by another way than an uplink.
    #[track_caller]
    pub fn end(mut self) {
        let found = self.stop_watching();
        found.assert_clean();
        assert!(found.forwarded > 0, "the watch saw nothing: {found:?}");
    }
}

/// guestnetd with the device's wrappers, not started yet.
pub fn daemon(device: &NetdDevice) -> Daemon {
    let (iptables, ndc) = (device.iptables(), device.ndc());
    Daemon::new(device).args(&format!("--iptables {} --ndc {}", iptables.display(), ndc.display()))
}

/// What helps to see why there is no traffic.
pub trait InWords {
    fn state_in_words(&self) -> String;
}

impl InWords for NetdDevice {
    fn state_in_words(&self) -> String {
        use guestnet_tests::InNetns;
        ["ip rule", "ip route show table all", "iptables-legacy-save", "ip addr"]
            .map(|what| format!("$ {what}\n{}", self.run(what)))
            .concat()
    }
}
