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

//! Answers as guestnetd gives them, for tests.

use android_system_guestnet::aidl::android::system::guestnet::{
    Change::Change, ChangeKind::ChangeKind, FirewallBackend::FirewallBackend, Guest::Guest,
    GuestStatus::GuestStatus, Layer::Layer, LayerState::LayerState, LayerStatus::LayerStatus,
    Place::Place, ServiceInfo::ServiceInfo, Status::Status, TimelineStep::TimelineStep,
    Uplink::Uplink,
};

/// The original set-up.
pub fn guest() -> Guest {
    let step = |what: &str, start, duration| TimelineStep {
        what: what.to_owned(),
        startMicros: start,
        durationMicros: duration,
    };
    Guest {
        name: "demo".to_owned(),
        hostInterface: "vm_wlan".to_owned(),
        hostInterfaceIndex: 7,
        interfaceName: "wlan0".to_owned(),
        address: "172.17.3.3".to_owned(),
        gateway: "172.17.3.2".to_owned(),
        prefixLength: 16,
        mtu: 1500,
        mac: "02:67:6e:01:02:03".to_owned(),
        attachedAtMillis: 1_795_458_119_123,
        timeline: vec![
            step("open the guest's namespace", 0, 200),
            step("create the link", 200, 800),
            step("read back", 1000, 250),
        ],
        ..Guest::default()
    }
}

/// A plan of three changes, one without a command.
pub fn changes() -> Vec<Change> {
    let change = |kind, place, what: &str, command: &str| Change {
        kind,
        place,
        what: what.to_owned(),
        command: command.to_owned(),
    };
    vec![
        change(
            ChangeKind::SET,
            Place::DEVICE,
            "IPv4 forwarding",
            "sysctl -w net.ipv4.ip_forward=1",
        ),
        change(
            ChangeKind::ADD,
            Place::GUEST,
            "default route via 172.17.3.2",
            "ip route add default via 172.17.3.2 dev wlan0",
        ),
        change(ChangeKind::ADD, Place::DEVICE, "alias guestnet:demo", ""),
    ]
}

/// No uplink, one layer in each state, one guest.
pub fn status() -> Status {
    let layer = |layer, state, text: &str| LayerStatus { layer, state, text: text.to_owned() };
    Status {
        uplink: Uplink {
            choice: "wlan0".to_owned(),
            interfaceName: "wlan0".to_owned(),
            mtu: 1500,
            defaultRouteInterface: "eth0".to_owned(),
            routeTable: 254,
            ..Uplink::default()
        },
        device: vec![
            layer(Layer::FORWARDING, LayerState::OK, "net.ipv4.ip_forward is 1"),
            layer(
                Layer::FIREWALL,
                LayerState::BAD,
                "chain FORWARD of table filter drops: add a rule for vm_wlan+",
            ),
            layer(Layer::NAT, LayerState::UNKNOWN, "cannot be read: permission denied"),
            layer(Layer::UPLINK, LayerState::WAITING, "no interface wlan0"),
        ],
        guests: vec![GuestStatus {
            guest: guest(),
            layers: vec![layer(Layer::LINK, LayerState::OK, "vm_wlan is up")],
            rxBytes: 2048,
            txBytes: 1000,
            rxPackets: 20,
            txPackets: 1,
        }],
    }
}

/// One guest, every layer as it should be.
pub fn well() -> Status {
    let texts = [
        (Layer::LINK, "vm_wlan and the guest's wlan0 up"),
        (Layer::ADDRESS, "172.17.3.2/16 here; 172.17.3.3/16 was set in the guest"),
        (Layer::ROUTE, "172.17.0.0/16 by vm_wlan; default via 172.17.3.2 was set in the guest"),
        (Layer::RULE, "from 172.17.0.0/16 lookup 1021"),
        (Layer::FORWARDING, "net.ipv4.ip_forward is 1"),
        (Layer::FIREWALL, "iptables rules in place"),
        (Layer::NAT, "masquerade by wlan0"),
        (Layer::DNS, "192.0.2.53, behind wlan0"),
        (Layer::UPLINK, "wlan0 192.0.2.7, MTU 1500"),
    ];
    let layers = |from: usize| {
        let of = texts.iter().skip(from);
        of.map(|(layer, text)| LayerStatus {
            layer: *layer,
            state: LayerState::OK,
            text: (*text).to_owned(),
        })
        .collect()
    };
    let mut status = status();
    status.uplink.interfaceIndex = 2;
    status.uplink.up = true;
    status.uplink.address = "192.0.2.7".to_owned();
    status.uplink.dnsServers = vec!["192.0.2.53".to_owned()];
    status.uplink.routeTable = 1021;
    status.device = layers(3);
    for of in &mut status.guests {
        of.layers = layers(0);
    }
    status
}

/// Gives a layer of everybody another state.
pub fn set(status: &mut Status, layer: Layer, state: LayerState, text: &str) {
    let guests = status.guests.iter_mut().flat_map(|of| &mut of.layers);
    for of in guests.chain(&mut status.device).filter(|l| l.layer == layer) {
        of.state = state;
        of.text = text.to_owned();
    }
}

/// A guestnetd on Linux.
pub fn info() -> ServiceInfo {
    ServiceInfo {
        version: "0.1.0".to_owned(),
        pid: 812,
        listen: "unix:///run/guestnet/guestnet.sock".to_owned(),
        uplink: "wlan0".to_owned(),
        firewall: FirewallBackend::NFTABLES,
        firewallReason: "asked for".to_owned(),
        kernel: "6.18.44".to_owned(),
        stateDir: "/run/guestnet".to_owned(),
        guests: 3,
        ownsForwarding: true,
        unsupported: vec!["update".to_owned(), "owner".to_owned()],
        routing: "main".to_owned(),
    }
}
