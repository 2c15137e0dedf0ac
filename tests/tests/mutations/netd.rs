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

//! What guestnetd does on a device that netd shapes, by netd's wrappers.

use std::time::Duration;

use android_system_guestnet::aidl::android::system::guestnet::GuestConfig::GuestConfig;
use android_system_guestnet::aidl::android::system::guestnet::VpnPolicy::VpnPolicy;
use guestnet_tests::client::{by_pid, config};
use guestnet_tests::netd::Variant;
use guestnet_tests::{Daemon, Guest, InNetns, NetdDevice};

use crate::changes::Seen;
use crate::traced::{by_tun, Traced};

/// Start, attach, uplinks, VPNs, netd's restart, repairs, detach, end.
pub fn life() -> Seen {
    // The one with all of netd's chains for vendors.
    let device = NetdDevice::of(Variant::Android16);
    let (iptables, ndc) = (device.iptables(), device.ndc());
    let args = format!(
        "--iptables {} --ndc {} --uplink wlan0,rmnet0 --check-every 1",
        iptables.display(),
        ndc.display()
    );
    let daemon = Daemon::new(&device).args(&args);
    let mut traced = Traced::new(device, daemon, "", "");
    traced.start();
    let guests: Vec<_> = (0..4).map(|_| Guest::new()).collect();
    traced.attach("first", &guests[0]);
    traced.attach("second", &guests[1]);
    traced.device.vpn_up("tun0");
    traced.attach_as(&by_tun("vpn", "tun0"), &by_pid(guests[2].pid()));
    let vpn = VpnPolicy::BLOCK_UNDER_LOCKDOWN;
    let blocked = GuestConfig { vpnPolicy: vpn, ..config("blocked") };
    traced.attach_as(&blocked, &by_pid(guests[3].pid()));
    let has = |list: &str, text: &str| traced.device.run(list).contains(text);
    let blocks = || has("ip rule", "iif vm_wlan3 prohibit");
    traced.device.lockdown(true);
    traced.until("lockdown stops one guest", blocks);
    traced.device.lockdown(false);
    traced.until("and lets it go again", || !blocks());
    traced.device.vpn_down("tun0");
    traced.until("the rule goes with the tun", || !has("ip rule", "iif vm_wlan2"));
    traced.device.connect("rmnet0", NetdDevice::RMNET0);
    traced.device.wifi_lost();
    traced.until_uplink("rmnet0", "203.0.113.2");
    traced.device.wifi_back();
    traced.until_uplink("wlan0", "192.0.2.2");
    traced.service().setDns("wlan0", &["192.0.2.53".to_owned()]).expect("setDns");
    traced.is_put_back("ip rule del from 172.17.0.0/16", "ip rule", "from 172.17.0.0/16");
    let to_guests = "172.17.3.3 dev vm_wlan";
    traced.is_put_back("ip route del 172.17.3.3 table 97", "ip route show table 97", to_guests);
    traced.device.netd_restarts(Duration::ZERO);
    traced.until("netd is asked again, and all is hooked", || {
        traced.device.forwarding_requesters() == ["guestnetd"]
            && has("iptables-legacy -w -S oem_fwd", "-j oem_guestnet_fwd")
            && has("iptables-legacy -w -t nat -S POSTROUTING", "-j oem_guestnet_post")
    });
    for name in ["first", "second", "vpn", "blocked"] {
        traced.detach(name);
    }
    assert!(traced.device.forwarding_requesters().is_empty());
    traced.stop();
    traced.seen("netd", true)
}
