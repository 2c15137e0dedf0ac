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

//! What a bed on a device shaped by netd is asked for, and how guestnetd is started there.

use android_system_guestnet::aidl::android::system::guestnet::Layer::Layer;
use android_system_guestnet::aidl::android::system::guestnet::LayerStatus::LayerStatus;

use super::{Bed, Builder, BOUND};
use crate::netd::{Found, NetdDevice};
use crate::{poll, Daemon, InNetns, Probe};

impl Bed<NetdDevice> {
    /// A bed on a device that netd shapes: guestnetd uses its wrappers, and what leaves is watched.
    pub fn on_netd(device: NetdDevice) -> Builder<NetdDevice> {
        let watch = device.watch(&["wlan0", "rmnet0", "v4-wlan0", "tun0"]);
        let daemon = netd_daemon(&device);
        Self::around(device, daemon).watch(watch)
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
        let said = || format!("{}\n{}", self.state_in_words(), self.daemon.log());
        poll(BOUND, flows).unwrap_or_else(|| panic!("no traffic as {address}\n{}", said()));
    }

    /// One layer of the guest `demo`.
    #[track_caller]
    pub fn layer(&self, which: Layer) -> LayerStatus {
        let mut status = self.service.status(Some("demo")).expect("status");
        let mut layers = status.guests.remove(0).layers.into_iter();
        layers.find(|layer| layer.layer == which).expect("the layer")
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

    /// What helps to see why there is no traffic.
    pub fn state_in_words(&self) -> String {
        ["ip rule", "ip route show table all", "iptables-legacy-save", "ip addr"]
            .map(|what| format!("$ {what}\n{}", self.device.run(what)))
            .concat()
    }
}

/// guestnetd with the device's wrappers, not started yet.
pub fn netd_daemon(device: &NetdDevice) -> Daemon {
    let (iptables, ndc) = (device.iptables(), device.ndc());
    Daemon::new(device).args(&format!("--iptables {} --ndc {}", iptables.display(), ndc.display()))
}
