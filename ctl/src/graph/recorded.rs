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

//! A phone with a container and a virtual machine behind its Wi-Fi, and one container behind a VPN: what
//! guestnetd answered, for README's picture.

use super::Graph;
use android_system_guestnet::aidl::android::system::guestnet::{
    Guest::Guest, GuestKind::GuestKind, Uplink::Uplink, VpnPolicy::VpnPolicy,
};

/// The picture of it.
pub fn graph() -> Graph {
    let guest = |name: &str, at: u8, host: &str, traffic: (i64, i64)| Guest {
        name: name.to_owned(),
        hostInterface: host.to_owned(),
        interfaceName: "wlan0".to_owned(),
        addresses: vec![format!("172.17.3.{at}/16")],
        gateway: "172.17.3.2".to_owned(),
        rxBytes: traffic.0,
        txBytes: traffic.1,
        ..Guest::default()
    };
    let by_vpn = Guest {
        vpnPolicy: VpnPolicy::NAMED_TUN,
        uplink: Some("tun0".to_owned()),
        ..guest("work", 5, "vm_wlan2", (310_000, 4_700_000))
    };
    let vm = Guest { kind: GuestKind::TAP, ..guest("vm", 4, "vm_wlan1", (500_000, 30_000_000)) };
    let uplink = Uplink {
        choice: "wlan0".to_owned(),
        interfaceName: "wlan0".to_owned(),
        up: true,
        address: "192.168.1.20".to_owned(),
        mtu: 1500,
        ..Uplink::default()
    };
    Graph::of(&[by_vpn, vm, guest("demo", 3, "vm_wlan", (1_500_000, 60_000_000))], &uplink)
}
