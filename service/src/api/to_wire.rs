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

//! From what the owner says to the wire.

use super::facts;
use super::from_wire::UNSUPPORTED;
use crate::daemon::{
    self, Attached, By, DeviceReport, DnsReport, GuestReport, Info, LayerReport, Served,
};
use crate::doctor::probe::Found;
use crate::doctor::{Diagnosis, Row};
use crate::effects::firewall::Drops;
use crate::effects::kernel::link::Counters;
use crate::model::change::{self, ChangeKind as Kind};
use crate::model::dhcp::Counts;
use crate::model::dns;
use crate::model::fault::Cause;
use crate::model::if_index::IfIndex;
use crate::model::lifeline;
use crate::model::timeline::Entry;
use crate::model::trace::{Gap, Step, Trace, Which};
use crate::model::uplink::Uplink;
use crate::model::world::Backend;
use crate::model::Scope;
use crate::spec::{self, GuestName};
use android_system_guestnet::aidl::android::system::guestnet::{
    self as wire, Change::Change, ChangeKind::ChangeKind, Dhcp::Dhcp, DhcpCounters::DhcpCounters,
    DnsCounters::DnsCounters, DnsMode::DnsMode, DnsState::DnsState, EndCause::EndCause,
    FirewallBackend::FirewallBackend, Guest::Guest, GuestDns::GuestDns, GuestEvent::GuestEvent,
    GuestKind::GuestKind, GuestState::GuestState, GuestStatus::GuestStatus,
    IGuestNet::MTU_FOLLOW_UPLINK, Layer::Layer, LayerState::LayerState, LayerStatus::LayerStatus,
    Lifeline::Lifeline, NamedResolvers::NamedResolvers, Place::Place, ProbeReport::ProbeReport,
    Reloaded::Reloaded, ServiceInfo::ServiceInfo, Status::Status, TimelineStep::TimelineStep,
    TraceGap::TraceGap, TraceStep::TraceStep, VpnPolicy::VpnPolicy,
};
use binder::ParcelFileDescriptor;
use std::collections::HashMap;
use std::os::fd::OwnedFd;

/// A number that the wire has signed; no counter here reaches the difference.
fn signed(n: impl TryInto<i64>) -> i64 {
    n.try_into().unwrap_or(i64::MAX)
}

fn small(n: impl TryInto<i32>) -> i32 {
    n.try_into().unwrap_or(i32::MAX)
}

/// A guest.
pub fn guest(guest: &Attached) -> Guest {
    let net = &guest.net;
    Guest {
        name: guest.name().to_string(),
        kind: match (guest.spec.kind, &guest.spec.segment) {
            (spec::Kind::Veth, None) => GuestKind::VETH,
            (spec::Kind::Veth, Some(_)) => GuestKind::BRIDGED,
            (spec::Kind::Tap { .. }, _) => GuestKind::TAP,
        },
        segment: guest.spec.segment.as_ref().map(|segment| segment.to_string()),
        queues: guest.spec.kind.queues().into(),
        state: if guest.waiting { GuestState::WAITING_FOR_UPLINK } else { GuestState::ATTACHED },
        slot: small(net.slot),
        hostInterface: net.host.name.to_string(),
        hostInterfaceIndex: small(guest.index.get()),
        interfaceName: net.guest.name.to_string(),
        addresses: vec![format!("{}/{}", net.guest.address, net.guest.prefix)],
        gateway: net.guest.gateway.to_string(),
        mtu: small(net.mtu.bytes()),
        mac: net.guest.mac.to_string(),
        // A uid has 32 bits and AIDL no unsigned int: the same bits.
        ownerUid: guest.owner_uid as i32,
        attachedAtMillis: guest.attached_at,
        timeline: guest.timeline.iter().map(step).collect(),
        vpnPolicy: vpn_policy(&guest.spec.vpn),
        uplink: guest.spec.vpn.tun().map(|tun| tun.to_string()),
        keep: guest.spec.keep,
        dns: dns_mode(&guest.spec.dns),
        dnsServers: dns_servers(&guest.spec.dns),
        configuredMtu: guest.spec.mtu.map_or(MTU_FOLLOW_UPLINK, |mtu| small(mtu.bytes())),
        lifeline: match guest.spec.outlives_process {
            true => Lifeline::NAMESPACE,
            false => Lifeline::TARGET,
        },
        leaseMillis: guest.spec.lease.map_or(0, |lease| signed(lease.as_millis())),
        endCause: EndCause::NONE,
        gatewayShadowedBy: guest.shadowed_by.clone(),
        dhcp: if guest.spec.dhcp { Dhcp::AUTO } else { Dhcp::OFF },
        dhcpCounters: dhcp_counters(guest.dhcp),
        dnsCounters: dns_counters(guest.names),
        ..Guest::default()
    }
}

/// A guest that has just been attached, with its descriptors.
pub fn attached((guest, tap): (Attached, Vec<OwnedFd>)) -> Guest {
    Guest { tap: tap.into_iter().map(ParcelFileDescriptor::new).collect(), ..self::guest(&guest) }
}

fn dhcp_counters(counts: Counts) -> DhcpCounters {
    DhcpCounters {
        offers: signed(counts.offers),
        acks: signed(counts.acks),
        naks: signed(counts.naks),
        refused: signed(counts.refused),
    }
}

fn dns_counters(counts: dns::Counts) -> DnsCounters {
    DnsCounters {
        asked: signed(counts.asked),
        answered: signed(counts.answered),
        failed: signed(counts.failed),
        refused: signed(counts.refused),
        odd: signed(counts.odd),
    }
}

/// A guest with what went through its link, and what did not.
pub fn counted(
    attached: &Attached,
    traffic: &HashMap<IfIndex, Counters>,
    drops: Option<&Drops>,
) -> Guest {
    let of_it = |drops: &Drops| drops.get(attached.net.host.name.as_str()).copied();
    let dropped = drops.map_or(-1, |drops| signed(of_it(drops).unwrap_or_default()));
    let guest = Guest { droppedPackets: dropped, ..guest(attached) };
    match traffic.get(&attached.index) {
        Some(counters) => Guest {
            rxBytes: signed(counters.rx_bytes),
            txBytes: signed(counters.tx_bytes),
            rxPackets: signed(counters.rx_packets),
            txPackets: signed(counters.tx_packets),
            ..guest
        },
        None => guest,
    }
}

/// A link with our marks that belongs to no guest.
pub fn unadopted((index, name, slot): &(IfIndex, GuestName, Option<u32>)) -> Guest {
    Guest {
        name: name.to_string(),
        state: GuestState::NOT_ADOPTED,
        slot: slot.map_or(-1, small),
        hostInterface: name.to_string(),
        hostInterfaceIndex: small(index.get()),
        ..Guest::default()
    }
}

fn dns_mode(dns: &spec::Dns) -> DnsMode {
    match dns {
        spec::Dns::Auto => DnsMode::AUTO,
        spec::Dns::Dnat => DnsMode::DNAT,
        spec::Dns::Forward => DnsMode::FORWARD,
        spec::Dns::Servers(_) => DnsMode::SERVERS,
    }
}

fn dns_servers(dns: &spec::Dns) -> Vec<String> {
    match dns {
        spec::Dns::Servers(servers) => servers.iter().map(ToString::to_string).collect(),
        _ => Vec::new(),
    }
}

fn vpn_policy(policy: &spec::VpnPolicy) -> VpnPolicy {
    match policy {
        spec::VpnPolicy::FollowUplink => VpnPolicy::FOLLOW_UPLINK,
        spec::VpnPolicy::NamedTun(_) => VpnPolicy::NAMED_TUN,
        spec::VpnPolicy::BlockUnderLockdown => VpnPolicy::BLOCK_UNDER_LOCKDOWN,
        spec::VpnPolicy::NoUplink => VpnPolicy::NO_UPLINK,
    }
}

/// A guest after an event.
pub fn after(event: daemon::GuestEvent, attached: &Attached) -> Guest {
    let end_cause = match event {
        daemon::GuestEvent::Attached | daemon::GuestEvent::State => return guest(attached),
        daemon::GuestEvent::Detached(_) => EndCause::DETACHED,
        daemon::GuestEvent::Lost(lifeline::EndCause::ProcessExited) => EndCause::PROCESS_EXITED,
        daemon::GuestEvent::Lost(lifeline::EndCause::NamespaceGone) => EndCause::NAMESPACE_GONE,
        daemon::GuestEvent::Lost(lifeline::EndCause::LinkDeleted) => EndCause::LINK_DELETED,
        daemon::GuestEvent::Lost(lifeline::EndCause::OwnerDied) => EndCause::OWNER_DIED,
        daemon::GuestEvent::Lost(lifeline::EndCause::LeaseEnded) => EndCause::LEASE_ENDED,
        daemon::GuestEvent::Lost(lifeline::EndCause::TapClosed) => EndCause::TAP_CLOSED,
    };
    let gone = Guest { state: GuestState::GONE, endCause: end_cause, ..guest(attached) };
    match event {
        // The same bits, as ownerUid.
        daemon::GuestEvent::Detached(By { uid, pid }) => {
            Guest { endedByUid: uid as i32, endedByPid: pid.max(0), ..gone }
        }
        _ => gone,
    }
}

fn step(entry: &Entry) -> TimelineStep {
    TimelineStep {
        operation: facts::operation(entry.operation),
        what: entry.what.clone(),
        startMicros: signed(entry.start),
        durationMicros: signed(entry.duration),
    }
}

/// Who answers guests' questions for names.
pub fn dns(report: DnsReport) -> DnsState {
    let named = report.named.iter().map(|(name, servers)| NamedResolvers {
        interfaceName: name.to_string(),
        servers: texts(servers),
    });
    let guests = report.guests.iter().map(|(name, served)| {
        let (mode, servers) = match served {
            Served::Dnat(server) => (DnsMode::DNAT, texts(server.as_slice())),
            Served::Netd => (DnsMode::FORWARD, Vec::new()),
            Served::Forward(servers) => (DnsMode::FORWARD, texts(servers)),
            Served::Servers(servers) => (DnsMode::SERVERS, texts(servers)),
        };
        GuestDns { guest: name.to_string(), mode, netd: *served == Served::Netd, servers }
    });
    DnsState { named: named.collect(), guests: guests.collect() }
}

fn texts<T: ToString>(all: &[T]) -> Vec<String> {
    all.iter().map(ToString::to_string).collect()
}

/// What happened to a guest.
pub fn event(event: daemon::GuestEvent) -> GuestEvent {
    match event {
        daemon::GuestEvent::Attached => GuestEvent::ATTACHED,
        daemon::GuestEvent::State => GuestEvent::STATE,
        daemon::GuestEvent::Detached(_) => GuestEvent::DETACHED,
        daemon::GuestEvent::Lost(_) => GuestEvent::LOST,
    }
}

/// One change.
pub fn change(change: change::Change) -> Change {
    Change {
        kind: match change.operation.kind() {
            Kind::Add => ChangeKind::ADD,
            Kind::Set => ChangeKind::SET,
            Kind::Delete => ChangeKind::DELETE,
        },
        place: match change.place {
            Scope::Device => Place::DEVICE,
            Scope::Guest => Place::GUEST,
        },
        operation: facts::kernel_op(change.operation),
        what: change.what,
        command: change.command,
    }
}

/// One layer.
pub fn layer(report: &LayerReport) -> LayerStatus {
    LayerStatus {
        layer: match report.layer {
            daemon::Layer::Link => Layer::LINK,
            daemon::Layer::Address => Layer::ADDRESS,
            daemon::Layer::Route => Layer::ROUTE,
            daemon::Layer::Rule => Layer::RULE,
            daemon::Layer::Forwarding => Layer::FORWARDING,
            daemon::Layer::Firewall => Layer::FIREWALL,
            daemon::Layer::Nat => Layer::NAT,
            daemon::Layer::Dns => Layer::DNS,
            daemon::Layer::Uplink => Layer::UPLINK,
            daemon::Layer::Segment => Layer::SEGMENT,
        },
        state: match report.state {
            daemon::LayerState::Ok => LayerState::OK,
            daemon::LayerState::Waiting => LayerState::WAITING,
            daemon::LayerState::Bad => LayerState::BAD,
            daemon::LayerState::Unknown => LayerState::UNKNOWN,
        },
        cause: facts::cause(report.cause),
        text: report.text.clone(),
        nextStep: report.next_step.clone(),
        retryInMillis: report.retry_in.map_or(-1, |left| small(left.as_millis())),
    }
}

/// The uplink.
pub fn uplink(uplink: &Uplink) -> wire::Uplink::Uplink {
    let (cause, text) = match uplink.fault() {
        Some(fault) => (fault.cause, fault.text),
        None => (Cause::Healthy, uplink.to_string()),
    };
    wire::Uplink::Uplink {
        choice: uplink.choice.to_string(),
        interfaceName: uplink.name.as_ref().map(|n| n.to_string()).unwrap_or_default(),
        interfaceIndex: small(IfIndex::or_zero(uplink.index)),
        up: uplink.up,
        address: uplink.address.map(|a| a.to_string()).unwrap_or_default(),
        mtu: small(uplink.mtu),
        defaultRouteInterface: uplink.default_route().unwrap_or_default().to_owned(),
        dnsServers: uplink.resolvers.iter().map(|r| r.to_string()).collect(),
        // A table's number has 32 bits, as a uid.
        routeTable: uplink.table.0 as i32,
        cause: facts::cause(cause),
        text,
    }
}

/// What probes found out.
pub fn diagnosis(found: &Diagnosis) -> wire::Diagnosis::Diagnosis {
    let micros = |found: &Found| found.micros.map_or(-1, signed);
    let probe = |row: &Row| ProbeReport {
        name: row.name.clone(),
        guest: facts::outcome(row.guest.outcome),
        guestMicros: micros(&row.guest),
        device: facts::outcome(row.device.outcome),
        deviceMicros: micros(&row.device),
        detail: row.detail.clone(),
    };
    wire::Diagnosis::Diagnosis {
        guest: found.guest.as_ref().map(|name| name.to_string()).unwrap_or_default(),
        verdict: facts::verdict(found.verdict),
        cause: facts::cause(found.fault.cause),
        text: found.fault.text.clone(),
        nextStep: found.fault.next_step.clone(),
        probes: found.probes.iter().map(probe).collect(),
        droppedPackets: found.dropped.map_or(-1, signed),
        durationMillis: small(found.took.as_millis()),
        trace: found.trace.as_ref().map(trace),
    }
}

fn trace(trace: &Trace) -> wire::Trace::Trace {
    let (gap, text) = match &trace.gap {
        None => (TraceGap::NONE, ""),
        Some(Gap::NotSupported(text)) => (TraceGap::NOT_SUPPORTED, text.as_str()),
        Some(Gap::NotPermitted(text)) => (TraceGap::NOT_PERMITTED, text.as_str()),
        Some(Gap::Busy(text)) => (TraceGap::BUSY, text.as_str()),
        Some(Gap::NotSent(text)) => (TraceGap::NOT_SENT, text.as_str()),
        Some(Gap::Unseen) => (TraceGap::UNSEEN, "the probe's packet did not come to the device"),
    };
    wire::Trace::Trace {
        probe: trace.probe.clone(),
        gap,
        text: text.to_owned(),
        steps: trace.steps.iter().map(trace_step).collect(),
    }
}

fn trace_step(step: &Step) -> TraceStep {
    let (handle, number) = match step.which {
        Which::Handle(handle) => (signed(handle), -1),
        Which::Number(number) => (-1, i32::try_from(number).unwrap_or(i32::MAX)),
        Which::End => (-1, -1),
    };
    TraceStep {
        answer: step.answer,
        hook: step.hook.to_string(),
        table: format!("{} {}", step.family, step.table).trim_start().to_owned(),
        chain: step.chain.clone(),
        rule: step.rule.clone(),
        handle,
        number,
        verdict: step.verdict.clone(),
        inputInterface: step.input.clone(),
        outputInterface: step.output.clone(),
    }
}

/// A whole report.
pub fn status(report: &DeviceReport) -> Status {
    let mut uplink = uplink(&report.uplink);
    // What the uplink does not know of itself.
    let said = |layer: &&LayerReport| layer.cause == Cause::NotValidated;
    if let Some(layer) = report.layers.iter().find(said) {
        (uplink.cause, uplink.text) = (facts::cause(layer.cause), layer.text.clone());
    }
    Status {
        uplink,
        verdict: facts::verdict(report.verdict),
        reason: report.reason.as_ref().map(layer),
        device: report.layers.iter().map(layer).collect(),
        guests: report.guests.iter().map(guest_status).collect(),
        droppedPackets: report.dropped.map_or(-1, signed),
    }
}

fn guest_status(report: &GuestReport) -> GuestStatus {
    GuestStatus {
        guest: guest(&report.guest),
        verdict: facts::verdict(report.verdict),
        reason: report.reason.as_ref().map(layer),
        layers: report.layers.iter().map(layer).collect(),
        rxBytes: signed(report.rx_bytes),
        txBytes: signed(report.tx_bytes),
        rxPackets: signed(report.rx_packets),
        txPackets: signed(report.tx_packets),
        droppedPackets: report.dropped.map_or(-1, signed),
    }
}

/// What this guestnetd is.
pub fn info(info: &Info, listen: &str) -> ServiceInfo {
    let kernel = nix::sys::utsname::uname()
        .map(|u| u.release().to_string_lossy().into_owned())
        .unwrap_or_default();
    ServiceInfo {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: small(std::process::id()),
        listen: listen.to_owned(),
        uplink: info.uplink.clone(),
        firewall: match info.firewall {
            Backend::Nftables => FirewallBackend::NFTABLES,
            Backend::Iptables => FirewallBackend::IPTABLES,
        },
        firewallReason: info.firewall_reason.clone(),
        kernel,
        stateDir: info.state_dir.display().to_string(),
        guests: small(info.guests),
        ownsForwarding: info.owns_forwarding,
        unsupported: UNSUPPORTED.iter().map(|s| (*s).to_owned()).collect(),
        routing: info.routing.to_owned(),
    }
}

/// What has come of reading guestnetd's file again.
pub fn reloaded(reloaded: super::Reloaded) -> Reloaded {
    let super::Reloaded { path, changed, need_restart, unchanged_guests } = reloaded;
    Reloaded {
        path: path.display().to_string(),
        changed,
        needRestart: need_restart,
        unchangedGuests: unchanged_guests.into_iter().map(String::from).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::table::TableId;
    use crate::model::uplink::Choice;
    use crate::spec::IfName;
    use std::net::Ipv4Addr;

    #[test]
    fn an_uplink_with_its_resolvers_and_its_table() {
        let mut seen = Uplink::unknown(Choice::Default);
        assert_eq!((uplink(&seen).interfaceName.as_str(), uplink(&seen).dnsServers.len()), ("", 0));
        seen.name = IfName::new("wlan0");
        seen.table = TableId(1021);
        seen.resolvers = vec![Ipv4Addr::new(9, 9, 9, 9), Ipv4Addr::new(1, 1, 1, 1)];
        let shown = uplink(&seen);
        assert_eq!((shown.interfaceName.as_str(), shown.routeTable), ("wlan0", 1021));
        assert_eq!(shown.dnsServers, ["9.9.9.9", "1.1.1.1"]);
        assert_eq!(shown.cause, wire::Cause::Cause::UPLINK_MISSING);
        assert_eq!(shown.text, "no interface wlan0, and no default route");
        (seen.index, seen.up, seen.address) =
            (Some(IfIndex::of(3)), true, Some(Ipv4Addr::new(192, 0, 2, 2)));
        seen.carries = true;
        let shown = uplink(&seen);
        assert_eq!(shown.cause, wire::Cause::Cause::HEALTHY);
        assert_eq!(shown.text, "wlan0 192.0.2.2, MTU 0");
    }

    #[test]
    fn every_policy_has_its_value() {
        for (dns, mode) in [
            (spec::Dns::Auto, DnsMode::AUTO),
            (spec::Dns::Dnat, DnsMode::DNAT),
            (spec::Dns::Forward, DnsMode::FORWARD),
        ] {
            assert_eq!((dns_mode(&dns), dns_servers(&dns)), (mode, vec![]));
        }
        let servers = spec::Dns::Servers(vec![Ipv4Addr::new(9, 9, 9, 9).into()]);
        assert_eq!(dns_mode(&servers), DnsMode::SERVERS);
        assert_eq!(dns_servers(&servers), ["9.9.9.9"]);
        let tun = spec::VpnPolicy::NamedTun(IfName::host_end(0));
        assert_eq!(vpn_policy(&spec::VpnPolicy::default()), VpnPolicy::FOLLOW_UPLINK);
        assert_eq!(vpn_policy(&tun), VpnPolicy::NAMED_TUN);
        let block = vpn_policy(&spec::VpnPolicy::BlockUnderLockdown);
        assert_eq!(block, VpnPolicy::BLOCK_UNDER_LOCKDOWN);
    }
}
