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

//! The documents of `--json`. Field names are those of the contract in snake_case, enums its
//! values in lower case; README.md lists them. They only ever grow.

use crate::exit::Failure;
use crate::names::Name;
use crate::resolv_conf::Done;
use crate::verdict;
use android_system_guestnet::aidl::android::system::guestnet::{
    Change::Change, Diagnosis::Diagnosis, DnsState::DnsState, Guest::Guest, GuestEvent::GuestEvent,
    LayerStatus::LayerStatus, ProbeReport::ProbeReport, ServiceInfo::ServiceInfo, Status::Status,
    Trace::Trace, TraceStep::TraceStep, Uplink::Uplink, UplinkInfo::UplinkInfo,
};
use serde_json::{json, Value};

/// A list of anything.
fn all<T>(items: &[T], document: fn(&T) -> Value) -> Value {
    items.iter().map(document).collect()
}

/// show; a part of others.
pub fn guest(guest: &Guest) -> Value {
    let timeline: Value = guest
        .timeline
        .iter()
        .map(|step| {
            json!({
                "operation": step.operation.name(),
                "what": step.what,
                "start_micros": step.startMicros,
                "duration_micros": step.durationMicros,
            })
        })
        .collect();
    let first = guest.addresses.first().map_or("", String::as_str);
    let (address, length) = first.split_once('/').unwrap_or((first, ""));
    let prefix_length = length.parse::<u8>().ok();
    json!({
        "name": guest.name,
        "kind": guest.kind.name(),
        "state": guest.state.name(),
        "slot": guest.slot,
        "host_interface": guest.hostInterface,
        "host_interface_index": guest.hostInterfaceIndex,
        "interface_name": guest.interfaceName,
        "addresses": guest.addresses,
        "address": address,
        "gateway": guest.gateway,
        "prefix_length": prefix_length,
        "mtu": guest.mtu,
        "mac": guest.mac,
        "owner_uid": guest.ownerUid,
        "attached_at_millis": guest.attachedAtMillis,
        "timeline": timeline,
        "vpn_policy": guest.vpnPolicy.name(),
        "uplink": guest.uplink,
        "configured_mtu": guest.configuredMtu,
        "keep": guest.keep,
        "lifeline": guest.lifeline.name(),
        "lease_millis": guest.leaseMillis,
        "end_cause": guest.endCause.name(),
        "ended_by_uid": ended_by_uid(guest),
        "ended_by_pid": (guest.endedByPid > 0).then_some(guest.endedByPid),
        "dhcp": guest.dhcp.name(),
        "dhcp_counters": {
            "offers": guest.dhcpCounters.offers,
            "acks": guest.dhcpCounters.acks,
            "naks": guest.dhcpCounters.naks,
            "refused": guest.dhcpCounters.refused,
        },
        "gateway_shadowed_by": guest.gatewayShadowedBy,
        "queues": guest.queues,
        "segment": guest.segment,
        "sent_bytes": known(guest.rxBytes),
        "received_bytes": known(guest.txBytes),
        "sent_packets": known(guest.rxPackets),
        "received_packets": known(guest.txPackets),
        "rx_bytes": known(guest.rxBytes),
        "tx_bytes": known(guest.txBytes),
        "rx_packets": known(guest.rxPackets),
        "tx_packets": known(guest.txPackets),
        "dropped_packets": known(guest.droppedPackets),
        "dns_mode": guest.dns.name(),
        "dns_servers": guest.dnsServers,
        "dns_counters": {
            "asked": guest.dnsCounters.asked,
            "answered": guest.dnsCounters.answered,
            "failed": guest.dnsCounters.failed,
            "refused": guest.dnsCounters.refused,
            "odd": guest.dnsCounters.odd,
        },
    })
}

/// Who detached it; a uid has 32 bits, and AIDL no unsigned int.
fn ended_by_uid(guest: &Guest) -> Option<u32> {
    (guest.endedByUid != -1).then_some(guest.endedByUid as u32)
}

/// list
pub fn guests(guests: &[Guest]) -> Value {
    all(guests, guest)
}

/// attach: the guest; when its traffic waits, the advice and the layer that it is about; and what became
/// of the file that its names were to be written to.
pub fn attached(
    attached: &Guest,
    advice: Option<&str>,
    reason: Option<&LayerStatus>,
    file: Option<&Done>,
) -> Value {
    let file = file.map(|done| {
        let path = done.path.display().to_string();
        json!({ "path": path, "written": done.left.is_none(), "why_not": done.left })
    });
    json!({
        "guest": guest(attached),
        "advice": advice,
        "reason": reason.map(layer),
        "nameserver": attached.gateway,
        "resolv_conf": file,
    })
}

/// detach
pub fn detached(name: &str) -> Value {
    json!({ "name": name })
}

/// detach --all
pub fn all_detached(guests: i32) -> Value {
    json!({ "guests": guests })
}

/// plan
pub fn changes(changes: &[Change]) -> Value {
    all(changes, |change| {
        json!({
            "kind": change.kind.name(),
            "operation": change.operation.name(),
            "place": change.place.name(),
            "what": change.what,
            "command": change.command,
        })
    })
}

fn layers(layers: &[LayerStatus]) -> Value {
    all(layers, layer)
}

fn layer(layer: &LayerStatus) -> Value {
    json!({
        "layer": layer.layer.name(),
        "state": layer.state.name(),
        "cause": layer.cause.name(),
        "text": layer.text,
        "next_step": layer.nextStep,
        "retry_in_millis": (layer.retryInMillis >= 0).then_some(layer.retryInMillis),
    })
}

/// check
pub fn check(checked: &[LayerStatus]) -> Value {
    json!({ "layers": layers(checked) })
}

fn uplink(uplink: &Uplink) -> Value {
    json!({
        "choice": uplink.choice,
        "interface_name": uplink.interfaceName,
        "interface_index": uplink.interfaceIndex,
        "up": uplink.up,
        "address": uplink.address,
        "mtu": uplink.mtu,
        "default_route_interface": uplink.defaultRouteInterface,
        "dns_servers": uplink.dnsServers,
        "route_table": uplink.routeTable,
        "cause": uplink.cause.name(),
        "text": uplink.text,
    })
}

/// status
pub fn status(status: &Status) -> Value {
    let guests = all(&status.guests, |of| {
        json!({
            "guest": guest(&of.guest),
            "internet": verdict::name(of.verdict),
            "cause": of.reason.as_ref().map(|layer| layer.layer.name()),
            "verdict": of.verdict.name(),
            "reason": of.reason.as_ref().map(layer),
            "layers": layers(&of.layers),
            "sent_bytes": of.rxBytes,
            "received_bytes": of.txBytes,
            "sent_packets": of.rxPackets,
            "received_packets": of.txPackets,
            "rx_bytes": of.rxBytes,
            "tx_bytes": of.txBytes,
            "rx_packets": of.rxPackets,
            "tx_packets": of.txPackets,
            "dropped_packets": known(of.droppedPackets),
        })
    });
    json!({
        "uplink": uplink(&status.uplink),
        "verdict": status.verdict.name(),
        "reason": status.reason.as_ref().map(layer),
        "dropped_packets": known(status.droppedPackets),
        "device": layers(&status.device),
        "guests": guests,
    })
}

/// How long an answer took, or how many packets: null where that is not known.
fn known(number: i64) -> Option<i64> {
    (number >= 0).then_some(number)
}

fn probe(probe: &ProbeReport) -> Value {
    json!({
        "name": probe.name,
        "guest": probe.guest.name(),
        "guest_micros": known(probe.guestMicros),
        "device": probe.device.name(),
        "device_micros": known(probe.deviceMicros),
        "detail": probe.detail,
    })
}

/// doctor
pub fn diagnoses(found: &[Diagnosis]) -> Value {
    all(found, |of| {
        json!({
            "guest": (!of.guest.is_empty()).then_some(&of.guest),
            "verdict": of.verdict.name(),
            "cause": of.cause.name(),
            "text": of.text,
            "next_step": of.nextStep,
            "probes": all(&of.probes, probe),
            "dropped_packets": known(of.droppedPackets),
            "duration_millis": of.durationMillis,
            "trace": of.trace.as_ref().map(trace),
        })
    })
}

fn trace(trace: &Trace) -> Value {
    let step = |step: &TraceStep| {
        json!({
            "answer": step.answer,
            "hook": step.hook,
            "table": step.table,
            "chain": step.chain,
            "rule": step.rule,
            "handle": known(step.handle),
            "number": known(step.number.into()),
            "verdict": step.verdict,
            "input": step.inputInterface,
            "output": step.outputInterface,
        })
    };
    json!({
        "probe": trace.probe,
        "gap": trace.gap.name(),
        "text": trace.text,
        "steps": all(&trace.steps, step),
    })
}

/// info
pub fn info(info: &ServiceInfo) -> Value {
    json!({
        "version": info.version,
        "pid": info.pid,
        "listen": info.listen,
        "uplink": info.uplink,
        "firewall": info.firewall.name(),
        "firewall_reason": info.firewallReason,
        "kernel": info.kernel,
        "state_dir": info.stateDir,
        "guests": info.guests,
        "owns_forwarding": info.ownsForwarding,
        "unsupported": info.unsupported,
        "routing": info.routing,
    })
}

/// dns
pub fn dns(uplink: &str, servers: &[String]) -> Value {
    json!({ "uplink": uplink, "dns_servers": servers })
}

/// dns without an uplink
pub fn dns_state(uplink: &str, servers: &[String], state: &DnsState) -> Value {
    let named = all(
        &state.named,
        |of| json!({ "interface_name": of.interfaceName, "dns_servers": of.servers }),
    );
    let guests = all(&state.guests, |of| {
        json!({
            "guest": of.guest,
            "dns_mode": of.mode.name(),
            "netd": of.netd,
            "dns_servers": of.servers,
        })
    });
    json!({ "uplink": uplink, "dns_servers": servers, "named": named, "guests": guests })
}

/// uplink-info
pub fn uplink_info(uplink: &str, info: &UplinkInfo) -> Value {
    json!({
        "uplink": uplink,
        "metered": info.metered,
        "captive_portal_url": info.captivePortalUrl,
        "validated": info.validated,
    })
}

/// device-state
pub fn device_state(idle: bool) -> Value {
    json!({ "idle": idle })
}

/// dump
pub fn dump(text: &str) -> Value {
    json!({ "dump": text })
}

/// watch: a guest's event.
pub fn guest_event(at_millis: i64, event: GuestEvent, after: &Guest) -> Value {
    json!({ "at_millis": at_millis, "event": event.name(), "guest": guest(after) })
}

/// watch: another uplink.
pub fn uplink_event(at_millis: i64, previous: &Uplink, current: &Uplink, gap_micros: i64) -> Value {
    json!({
        "at_millis": at_millis,
        "event": "uplink",
        "previous": uplink(previous),
        "current": uplink(current),
        "gap_micros": gap_micros,
    })
}

/// Any command that fails.
pub fn failure(failure: &Failure) -> Value {
    json!({
        "error": {
            "class": failure.exit.name(),
            "exit_code": failure.exit as u8,
            "code": failure.code,
            "message": failure.message,
            "next_step": failure.next_step(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;
    use crate::samples;
    use android_system_guestnet::aidl::android::system::guestnet::{
        Cause::Cause, Layer::Layer, LayerState::LayerState, Verdict::Verdict,
    };

    /// Every object key of a document.
    fn keys(document: &Value, found: &mut Vec<String>) {
        match document {
            Value::Array(items) => items.iter().for_each(|item| keys(item, found)),
            Value::Object(fields) => fields.iter().for_each(|(key, value)| {
                found.push(key.clone());
                keys(value, found);
            }),
            _ => {}
        }
    }

    #[test]
    fn a_guest_in_full() {
        assert_eq!(
            guest(&samples::guest()).to_string(),
            concat!(
                r#"{"address":"172.17.3.3","addresses":["172.17.3.3/16"],"attached_at_millis":1795458119123,"#,
                r#""configured_mtu":-1,"dhcp":"auto","#,
                r#""dhcp_counters":{"acks":0,"naks":0,"offers":0,"refused":0},"#,
                r#""dns_counters":{"answered":0,"asked":0,"failed":0,"odd":0,"refused":0},"#,
                r#""dns_mode":"auto","dns_servers":[],"dropped_packets":null,"#,
                r#""end_cause":"none","ended_by_pid":null,"ended_by_uid":null,"gateway":"172.17.3.2","gateway_shadowed_by":null,"#,
                r#""host_interface":"vm_wlan","host_interface_index":7,"interface_name":"wlan0","#,
                r#""keep":false,"kind":"veth","lease_millis":0,"lifeline":"target","#,
                r#""mac":"02:67:6e:01:02:03","mtu":1500,"name":"demo","owner_uid":0,"#,
                r#""prefix_length":16,"queues":1,"received_bytes":null,"received_packets":null,"rx_bytes":null,"#,
                r#""rx_packets":null,"segment":null,"sent_bytes":null,"sent_packets":null,"slot":0,"state":"attached","timeline":["#,
                r#"{"duration_micros":200,"operation":"open_target","start_micros":0,"what":"open the guest's namespace"},"#,
                r#"{"duration_micros":800,"operation":"add_link","start_micros":200,"what":"create the link"},"#,
                r#"{"duration_micros":250,"operation":"read_back","start_micros":1000,"what":"read back"}],"#,
                r#""tx_bytes":null,"tx_packets":null,"uplink":null,"vpn_policy":"follow_uplink"}"#,
            )
        );
    }

    #[test]
    fn the_service_in_full() {
        let mut sample = samples::info();
        assert_eq!(
            info(&sample).to_string(),
            concat!(
                r#"{"firewall":"nftables","firewall_reason":"asked for","guests":3,"#,
                r#""kernel":"6.18.44","listen":"unix:///run/guestnet/guestnet.sock","#,
                r#""owns_forwarding":true,"pid":812,"routing":"main","state_dir":"/run/guestnet","#,
                r#""unsupported":["update","owner"],"uplink":"wlan0","version":"0.2.0"}"#,
            )
        );
        sample.ownsForwarding = false;
        assert_eq!(info(&sample)["owns_forwarding"], false);
    }

    #[test]
    fn a_status_in_full() {
        let mut status_of = samples::status();
        let mut shown = status(&status_of);
        assert_eq!(shown["guests"][0]["guest"].take(), guest(&samples::guest()));
        assert_eq!(
            shown.to_string(),
            concat!(
                r#"{"device":["#,
                r#"{"cause":"healthy","layer":"forwarding","next_step":null,"retry_in_millis":null,"#,
                r#""state":"ok","text":"net.ipv4.ip_forward is 1"},"#,
                r#"{"cause":"filter_program_failed","layer":"firewall","next_step":null,"#,
                r#""retry_in_millis":3200,"state":"bad","text":"iptables failed"},"#,
                r#"{"cause":"unreadable","layer":"nat","next_step":null,"retry_in_millis":null,"#,
                r#""state":"unknown","text":"cannot be read: permission denied"},"#,
                r#"{"cause":"uplink_missing","layer":"uplink","#,
                r#""next_step":"start guestnetd with --uplink eth0","retry_in_millis":null,"#,
                r#""state":"waiting","text":"no interface wlan0"}],"dropped_packets":12,"#,
                r#""guests":[{"cause":null,"dropped_packets":12,"guest":null,"internet":"yes","#,
                r#""layers":[{"cause":"healthy","layer":"link","next_step":null,"#,
                r#""retry_in_millis":null,"state":"ok","text":"vm_wlan is up"}],"reason":null,"#,
                r#""received_bytes":1000,"received_packets":1,"rx_bytes":2048,"rx_packets":20,"#,
                r#""sent_bytes":2048,"sent_packets":20,"tx_bytes":1000,"tx_packets":1,"#,
                r#""verdict":"internet"}],"#,
                r#""reason":{"cause":"filter_program_failed","layer":"firewall","next_step":null,"#,
                r#""retry_in_millis":3200,"state":"bad","text":"iptables failed"},"#,
                r#""uplink":{"address":"","cause":"uplink_missing","choice":"wlan0","#,
                r#""default_route_interface":"eth0","#,
                r#""dns_servers":[],"interface_index":0,"interface_name":"wlan0","mtu":1500,"#,
                r#""route_table":254,"text":"no interface wlan0","up":false},"verdict":"no_internet"}"#,
            )
        );
        status_of.uplink.up = true;
        status_of.uplink.dnsServers = vec!["192.0.2.53".to_owned()];
        assert_eq!(status(&status_of)["uplink"]["up"], true);
        assert_eq!(status(&status_of)["uplink"]["dns_servers"], json!(["192.0.2.53"]));
        let mut broken = samples::well();
        samples::set(&mut broken, Layer::NAT, LayerState::BAD, Cause::FILTER_CHANGED, "gone");
        samples::judge(&mut broken, Verdict::NO_INTERNET, Layer::NAT);
        broken.droppedPackets = -1;
        let document = status(&broken);
        assert_eq!(document["dropped_packets"], Value::Null);
        let shown = &document["guests"][0];
        assert_eq!((&shown["internet"], &shown["cause"]), (&json!("no"), &json!("nat")));
        assert_eq!(shown["reason"]["cause"], "filter_changed");
    }

    #[test]
    fn a_plan_and_events_in_full() {
        assert_eq!(
            changes(&samples::changes()[..1]).to_string(),
            concat!(
                r#"[{"command":"sysctl -w net.ipv4.ip_forward=1","kind":"set","#,
                r#""operation":"set_forwarding","place":"device","what":"IPv4 forwarding"}]"#,
            )
        );
        let lost = guest_event(9, GuestEvent::LOST, &samples::guest());
        let document =
            json!({ "at_millis": 9, "event": "lost", "guest": guest(&samples::guest()) });
        assert_eq!(lost, document);
        let before = samples::status().uplink;
        let after = Uplink { choice: "eth0".to_owned(), ..samples::status().uplink };
        assert_eq!(
            uplink_event(9, &before, &after, 7),
            json!({
                "at_millis": 9,
                "event": "uplink",
                "previous": uplink(&before),
                "current": uplink(&after),
                "gap_micros": 7,
            })
        );
    }

    #[test]
    fn a_diagnosis_in_full() {
        let mut found = samples::diagnosis();
        found.probes.truncate(1);
        assert_eq!(
            diagnoses(&[found]).to_string(),
            concat!(
                r#"[{"cause":"answers_elsewhere","dropped_packets":3,"duration_millis":2400,"guest":"demo","#,
                r#""next_step":"ip route get 172.17.3.3 and ip rule show why","probes":[{"detail":"","#,
                r#""device":"ok","device_micros":80,"guest":"ok","guest_micros":120,"#,
                r#""name":"ping 172.17.3.2"}],"#,
                r#""text":"answers to demo are sent to tun0 and not to vm_wlan","trace":null,"#,
                r#""verdict":"no_internet"}]"#,
            )
        );
    }

    #[test]
    fn a_failure_in_full() {
        let conflict = Failure { exit: Exit::Conflict, code: Some(300), message: "taken".into() };
        assert_eq!(
            failure(&conflict).to_string(),
            r#"{"error":{"class":"conflict","code":300,"exit_code":4,"message":"taken","next_step":null}}"#
        );
        assert_eq!(
            failure(&Failure::new(Exit::Unreachable, "no socket")).to_string(),
            r#"{"error":{"class":"unreachable","code":null,"exit_code":7,"message":"no socket","next_step":null}}"#
        );
    }

    #[test]
    fn the_readme_lists_every_field() {
        let status_of = samples::status();
        let mut found = Vec::new();
        for document in [
            attached(&samples::guest(), None, None, Some(&Done { path: "/f".into(), left: None })),
            detached("demo"),
            all_detached(3),
            changes(&samples::changes()),
            check(&status_of.device),
            status(&status_of),
            info(&samples::info()),
            dns("wlan0", &[]),
            uplink_info("wlan0", &UplinkInfo::default()),
            device_state(true),
            diagnoses(&[samples::diagnosis()]),
            dump("text"),
            guest_event(1, GuestEvent::LOST, &samples::guest()),
            uplink_event(1, &status_of.uplink, &status_of.uplink, 1),
            failure(&Failure::new(Exit::Other, "")),
        ] {
            keys(&document, &mut found);
        }
        let readme = include_str!("../README.md");
        for key in found {
            assert!(readme.contains(&format!("`{key}`")), "{key}");
        }
    }
}
