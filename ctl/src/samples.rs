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
    Cause::Cause, Change::Change, ChangeKind::ChangeKind, Diagnosis::Diagnosis,
    FirewallBackend::FirewallBackend, Guest::Guest, GuestStatus::GuestStatus, Layer::Layer,
    LayerState::LayerState, LayerStatus::LayerStatus, Operation::Operation, Place::Place,
    ProbeOutcome::ProbeOutcome, ProbeReport::ProbeReport, ServiceInfo::ServiceInfo, Status::Status,
    TimelineStep::TimelineStep, Trace::Trace, TraceGap::TraceGap, TraceStep::TraceStep,
    Uplink::Uplink, Verdict::Verdict,
};

/// The original set-up.
pub fn guest() -> Guest {
    let step = |operation, what: &str, start, duration| TimelineStep {
        operation,
        what: what.to_owned(),
        startMicros: start,
        durationMicros: duration,
    };
    Guest {
        name: "demo".to_owned(),
        hostInterface: "vm_wlan".to_owned(),
        hostInterfaceIndex: 7,
        interfaceName: "wlan0".to_owned(),
        addresses: vec!["172.17.3.3/16".to_owned()],
        gateway: "172.17.3.2".to_owned(),
        mtu: 1500,
        mac: "02:67:6e:01:02:03".to_owned(),
        attachedAtMillis: 1_795_458_119_123,
        timeline: vec![
            step(Operation::OPEN_TARGET, "open the guest's namespace", 0, 200),
            step(Operation::ADD_LINK, "create the link", 200, 800),
            step(Operation::READ_BACK, "read back", 1000, 250),
        ],
        ..Guest::default()
    }
}

/// A plan of three changes, one without a command.
pub fn changes() -> Vec<Change> {
    let change = |operation, kind, place, what: &str, command: &str| Change {
        operation,
        kind,
        place,
        what: what.to_owned(),
        command: command.to_owned(),
    };
    vec![
        change(
            Operation::SET_FORWARDING,
            ChangeKind::SET,
            Place::DEVICE,
            "IPv4 forwarding",
            "sysctl -w net.ipv4.ip_forward=1",
        ),
        change(
            Operation::ADD_ROUTE,
            ChangeKind::ADD,
            Place::GUEST,
            "default route via 172.17.3.2",
            "ip route add default via 172.17.3.2 dev wlan0",
        ),
        change(Operation::SET_ALIAS, ChangeKind::ADD, Place::DEVICE, "alias guestnet:demo", ""),
    ]
}

/// No uplink, one layer in each state, one guest.
pub fn status() -> Status {
    let failed = LayerStatus {
        retryInMillis: 3_200,
        ..layer(Layer::FIREWALL, LayerState::BAD, Cause::FILTER_PROGRAM_FAILED, "iptables failed")
    };
    let missing = LayerStatus {
        nextStep: Some("start guestnetd with --uplink eth0".to_owned()),
        ..layer(Layer::UPLINK, LayerState::WAITING, Cause::UPLINK_MISSING, "no interface wlan0")
    };
    let unread = "cannot be read: permission denied";
    Status {
        uplink: Uplink {
            choice: "wlan0".to_owned(),
            interfaceName: "wlan0".to_owned(),
            mtu: 1500,
            defaultRouteInterface: "eth0".to_owned(),
            routeTable: 254,
            cause: Cause::UPLINK_MISSING,
            text: "no interface wlan0".to_owned(),
            ..Uplink::default()
        },
        verdict: Verdict::NO_INTERNET,
        reason: Some(copy(&failed)),
        device: vec![
            ok(Layer::FORWARDING, "net.ipv4.ip_forward is 1"),
            failed,
            layer(Layer::NAT, LayerState::UNKNOWN, Cause::UNREADABLE, unread),
            missing,
        ],
        guests: vec![GuestStatus {
            guest: guest(),
            verdict: Verdict::INTERNET,
            reason: None,
            layers: vec![ok(Layer::LINK, "vm_wlan is up")],
            rxBytes: 2048,
            txBytes: 1000,
            rxPackets: 20,
            txPackets: 1,
            droppedPackets: 12,
        }],
        droppedPackets: 12,
    }
}

fn layer(layer: Layer, state: LayerState, cause: Cause, text: &str) -> LayerStatus {
    LayerStatus { layer, state, cause, text: text.to_owned(), ..LayerStatus::default() }
}

/// Parcelables are not Clone.
fn copy(of: &LayerStatus) -> LayerStatus {
    LayerStatus {
        nextStep: of.nextStep.clone(),
        retryInMillis: of.retryInMillis,
        ..layer(of.layer, of.state, of.cause, &of.text)
    }
}

fn ok(which: Layer, text: &str) -> LayerStatus {
    layer(which, LayerState::OK, Cause::HEALTHY, text)
}

/// One guest, every layer as it should be.
pub fn well() -> Status {
    let texts = [
        (Layer::LINK, "vm_wlan and the guest's wlan0 are up"),
        (Layer::ADDRESS, "172.17.3.2/16 here; 172.17.3.3/16 was set in the guest"),
        (Layer::ROUTE, "172.17.3.3/32 dev vm_wlan; default via 172.17.3.2 was set in the guest"),
        (Layer::RULE, "from 172.17.0.0/16 lookup 1021"),
        (Layer::FORWARDING, "net.ipv4.ip_forward is 1"),
        (Layer::FIREWALL, "iptables rules in place"),
        (Layer::NAT, "masquerade via wlan0"),
        (Layer::DNS, "192.0.2.53, behind wlan0"),
        (Layer::UPLINK, "wlan0 192.0.2.7, MTU 1500"),
    ];
    let layers =
        |from: usize| texts.iter().skip(from).map(|(layer, text)| ok(*layer, text)).collect();
    let mut status = status();
    status.uplink.interfaceIndex = 2;
    status.uplink.up = true;
    status.uplink.address = "192.0.2.7".to_owned();
    status.uplink.dnsServers = vec!["192.0.2.53".to_owned()];
    status.uplink.routeTable = 1021;
    status.verdict = Verdict::INTERNET;
    status.reason = None;
    status.droppedPackets = 0;
    status.device = layers(3);
    for of in &mut status.guests {
        of.layers = layers(0);
    }
    status
}

/// Gives a layer of everybody another state.
pub fn set(status: &mut Status, layer: Layer, state: LayerState, cause: Cause, text: &str) {
    let guests = status.guests.iter_mut().flat_map(|of| &mut of.layers);
    for of in guests.chain(&mut status.device).filter(|l| l.layer == layer) {
        of.state = state;
        of.cause = cause;
        of.text = text.to_owned();
    }
}

/// Gives every guest this verdict, due to this layer.
pub fn judge(status: &mut Status, verdict: Verdict, layer: Layer) {
    for of in &mut status.guests {
        of.verdict = verdict;
        of.reason = of.layers.iter().find(|l| l.layer == layer).map(copy);
    }
}

/// A guest whose answers go elsewhere: one probe that is answered, one that is not.
pub fn diagnosis() -> Diagnosis {
    let probe = |name: &str, guest, guest_micros, device_micros, detail: &str| ProbeReport {
        name: name.to_owned(),
        guest,
        guestMicros: guest_micros,
        device: ProbeOutcome::OK,
        deviceMicros: device_micros,
        detail: detail.to_owned(),
    };
    let way =
        "sent, in by vm_wlan, out by wlan0 as 192.0.2.2, answer in by wlan0, answer out by tun0";
    Diagnosis {
        guest: "demo".to_owned(),
        verdict: Verdict::NO_INTERNET,
        cause: Cause::ANSWERS_ELSEWHERE,
        text: "answers to demo are sent to tun0 and not to vm_wlan".to_owned(),
        nextStep: Some("ip route get 172.17.3.3 and ip rule show why".to_owned()),
        probes: vec![
            probe("ping 172.17.3.2", ProbeOutcome::OK, 120, 80, ""),
            probe("tcp 1.1.1.1:443", ProbeOutcome::SILENT, -1, 9000, way),
        ],
        droppedPackets: 3,
        durationMillis: 2400,
        trace: None,
    }
}

/// The trace of a packet that a chain of somebody else's drops.
pub fn trace() -> Trace {
    let step =
        |hook: &str, table: &str, chain: &str, rule: &str, handle, verdict: &str| TraceStep {
            answer: false,
            hook: hook.to_owned(),
            table: table.to_owned(),
            chain: chain.to_owned(),
            rule: rule.to_owned(),
            handle,
            number: -1,
            verdict: verdict.to_owned(),
            inputInterface: "vm_wlan".to_owned(),
            outputInterface: if hook == "forward" { "wlan0" } else { "" }.to_owned(),
        };
    Trace {
        probe: "tcp 1.1.1.1:443".to_owned(),
        gap: TraceGap::NONE,
        text: String::new(),
        steps: vec![
            step("prerouting", "inet guestnet", "ingress", "", -1, "accept"),
            step("forward", "inet guestnet", "forward", "ct state new accept", 21, "accept"),
            step("forward", "inet fw", "forward", "iifname \"vm_wlan*\" drop", 4, "drop"),
        ],
    }
}

/// A guestnetd on Linux.
pub fn info() -> ServiceInfo {
    ServiceInfo {
        version: "0.2.0".to_owned(),
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
