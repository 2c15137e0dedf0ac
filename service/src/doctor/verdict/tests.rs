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

//! Rows of the table that no device can be made for here, and what the others have in common.

use super::*;
use crate::doctor::probe::{all, Surroundings};
use crate::doctor::targets::Targets;
use crate::doctor::trail::Hop;
use crate::model::if_index::IfIndex;
use crate::model::table::TableId;

const GUEST: Ipv4Addr = Ipv4Addr::new(172, 17, 3, 3);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(172, 17, 3, 2);
const UPLINK: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const HOST: Ipv4Addr = Ipv4Addr::new(1, 1, 1, 1);
/// Indexes of the guest's interface, of the host end, of the uplink, and of another.
const END: IfIndex = IfIndex::of(2);
const HOST_END: IfIndex = IfIndex::of(4);
const WAY: IfIndex = IfIndex::of(3);
const OTHER: IfIndex = IfIndex::of(9);

fn way(index: IfIndex) -> Option<WayOut> {
    Some(WayOut { index, gateway: None, source: None, local: false, table: TableId::default() })
}

fn hop(index: IfIndex, source: Ipv4Addr, destination: Ipv4Addr) -> Option<Hop> {
    Some(Hop { index, source, destination })
}

/// As far as all is well.
fn trail() -> Trail {
    Trail {
        sent: hop(END, GUEST, HOST),
        arrived: hop(HOST_END, GUEST, HOST),
        left: hop(WAY, UPLINK, HOST),
        answered: hop(WAY, HOST, UPLINK),
        passed: hop(HOST_END, HOST, GUEST),
        astray: None,
        received: hop(END, HOST, GUEST),
    }
}

/// Everything is answered, to both.
fn healthy() -> Facts {
    let targets = Targets::new(&[], "", "").unwrap();
    let around = Surroundings {
        guest: Some((GATEWAY, GUEST)),
        router: Some(Ipv4Addr::new(192, 0, 2, 1)),
        resolver: Some(Ipv4Addr::new(192, 0, 2, 53)),
        forwarded: false,
    };
    let found = || Found { outcome: Outcome::Ok, ..Found::default() };
    let probed = |probe| Probed { probe, guest: found(), device: found(), trail: trail() };
    let inside = Inside {
        index: Some(END),
        has_address: true,
        out: way(END),
        to_gateway: way(END),
        gateway_is_deaf: false,
    };
    let guest = GuestFacts {
        name: "demo".into(),
        address: GUEST,
        gateway: GATEWAY,
        host_end: "vm_wlan".into(),
        host_index: HOST_END,
        interface: "wlan0".into(),
        inside: Ok(inside),
        is_vm: false,
        leaves: true,
        tapped: true,
        out: Ok(way(WAY)),
        back: Ok(way(HOST_END)),
        strict: (false, false),
        forwards: (true, true),
        is_deaf: false,
        tracked: Some(true),
        to_resolver: Ok(way(WAY)),
        asks_beyond: true,
        forwarded: false,
    };
    Facts {
        probes: all(&targets, &around).into_iter().map(probed).collect(),
        guest: Some(guest),
        uplink: Way {
            name: "wlan0".into(),
            index: Some(WAY),
            addresses: vec![UPLINK],
            ..Way::default()
        },
        echo: Some((Outcome::Ok, Outcome::Ok)),
        ..Facts::default()
    }
}

/// No host answers the guest; `lost` cuts the trail.
fn cut(lost: impl Fn(&mut Trail)) -> Facts {
    let mut facts = healthy();
    for probed in &mut facts.probes {
        if probed.probe.role != Role::Gateway {
            probed.guest.outcome = Outcome::Silent;
            lost(&mut probed.trail);
        }
    }
    facts
}

fn guest(facts: &mut Facts) -> &mut GuestFacts {
    facts.guest.as_mut().unwrap()
}

/// On its way out: it came in at the host end and did not leave.
fn not_left() -> Facts {
    cut(|trail| *trail = Trail { sent: trail.sent, arrived: trail.arrived, ..Trail::default() })
}

/// The answer came in, and was not passed on.
fn not_passed() -> Facts {
    cut(|trail| (trail.passed, trail.received) = (None, None))
}

#[track_caller]
fn is(facts: &Facts, cause: Cause) {
    let (_, fault) = of(facts);
    assert_eq!(fault.cause, cause, "{fault:?}");
    assert_eq!(fault.next_step.is_none(), cause == Cause::Healthy, "{fault:?}");
}

#[test]
fn all_is_well() {
    assert_eq!(of(&healthy()).0, Verdict::Internet);
    let mut alone = healthy();
    alone.guest = None;
    assert_eq!(of(&alone).0, Verdict::Internet);
}

#[test]
fn a_bad_layer_comes_first_and_one_that_waits_only_where_nothing_flows() {
    let fault = || Fault::new(Cause::GuestRouteMissing, "gone").with_step("ip route add");
    let mut facts = healthy();
    facts.reason = Some(LayerReport::bad(Layer::Route, fault()));
    is(&facts, Cause::GuestRouteMissing);
    facts.reason = Some(LayerReport::waiting(Layer::Rule, fault()));
    is(&facts, Cause::Healthy);
    let mut waits = not_left();
    waits.reason = facts.reason;
    assert_eq!((of(&waits).0, of(&waits).1), (Verdict::Waiting, fault()));
}

#[test]
fn what_did_not_leave_has_its_cause() {
    use Cause::*;
    type Change = fn(&mut Facts);
    let rows: [(Change, Cause); 15] = [
        (|_| {}, ForwardDropped),
        (|f| f.uplink.addresses.push(GUEST), SubnetConflict),
        (|f| f.uplink.router_is_deaf = true, UpstreamDown),
        (|f| f.table_is_full = true, ConntrackFull),
        (|f| guest(f).forwards.0 = false, ForwardingOff),
        (|f| guest(f).out = Ok(way(OTHER)), VpnCaptures),
        (|f| guest(f).out = Ok(None), NoDefaultRoute),
        (|f| (guest(f).out, f.uplink.netd) = (Ok(None), true), RuleShadowed),
        (|f| guest(f).out = Err(libc::EACCES), KillSwitch),
        (|f| guest(f).out = Err(libc::EINVAL), KillSwitch),
        (|f| filtered(guest(f), libc::EXDEV), RpFilter),
        (|f| filtered(guest(f), libc::EINVAL), RpFilter),
        (|f| (guest(f).tracked, f.dropped) = (Some(false), 4), NotTracked),
        // Not each of the probes.
        (|f| (guest(f).tracked, f.dropped) = (Some(false), 3), ForwardDropped),
        (|f| f.layers.push(netds()), NetdTetherctrlDrop),
    ];
    for (change, cause) in rows {
        let mut facts = not_left();
        change(&mut facts);
        is(&facts, cause);
    }
}

/// The way back is another one, and the filter strict.
fn filtered(guest: &mut GuestFacts, errno: i32) {
    (guest.out, guest.back, guest.strict.0) = (Err(errno), Ok(way(OTHER)), true);
}

/// As status has it, which is not sure.
fn netds() -> LayerReport {
    let fault = Fault::new(Cause::NetdTetherctrlDrop, "netd drops it").with_step("x");
    LayerReport::new(Layer::Firewall, LayerState::Unknown, fault)
}

#[test]
fn what_left_wrongly_has_its_cause() {
    let left = |source, index| {
        cut(move |trail| {
            (trail.left, trail.answered) = (hop(index, source, HOST), None);
            (trail.passed, trail.received) = (None, None);
        })
    };
    is(&left(Ipv4Addr::new(9, 9, 9, 9), WAY), Cause::WrongSource);
    is(&left(GUEST, WAY), Cause::WrongSource);
    let mut untracked = left(GUEST, WAY);
    guest(&mut untracked).tracked = Some(false);
    is(&untracked, Cause::NotTracked);
    let mut captured = left(UPLINK, OTHER);
    guest(&mut captured).out = Ok(way(OTHER));
    is(&captured, Cause::VpnCaptures);
    // As it should: nobody answers.
    let mut upstream = left(UPLINK, WAY);
    is(&upstream, Cause::UpstreamDown);
    upstream.probes.iter_mut().for_each(|probed| probed.device.outcome = Outcome::Silent);
    is(&upstream, Cause::UpstreamDown);
    assert!(!of(&upstream).1.text.contains("platform"));
    let said =
        Fault::new(Cause::NotValidated, "wlan0; the platform has not reached the internet by it");
    upstream.layers.push(LayerReport::new(Layer::Uplink, crate::daemon::LayerState::Ok, said));
    assert!(of(&upstream).1.text.contains("nor has the platform reached"));
    upstream.probes.iter_mut().filter(|p| p.probe.role == Role::Portal).for_each(|probed| {
        probed.device =
            Found { outcome: Outcome::Portal, detail: "http://a/".into(), ..Found::default() };
    });
    is(&upstream, Cause::CaptivePortal);
}

#[test]
fn an_answer_that_is_not_passed_on_has_its_cause() {
    use Cause::*;
    type Change = fn(&mut Facts);
    let rows: [(Change, Cause); 7] = [
        (|_| {}, ForwardDropped),
        (|f| guest(f).forwards.1 = false, ForwardingOff),
        (|f| guest(f).back = Ok(way(OTHER)), AnswersElsewhere),
        (|f| guest(f).back = Ok(None), AnswersElsewhere),
        (|f| (guest(f).back, guest(f).strict.1) = (Err(libc::EINVAL), true), RpFilter),
        (|f| guest(f).is_deaf = true, NeighbourWrong),
        (
            |f| f.probes.iter_mut().for_each(|p| p.trail.astray = hop(OTHER, HOST, GUEST)),
            AnswersElsewhere,
        ),
    ];
    for (change, cause) in rows {
        let mut facts = not_passed();
        change(&mut facts);
        is(&facts, cause);
    }
}

#[test]
fn a_guests_own_side_has_its_causes() {
    use Cause::*;
    type Change = fn(&mut Inside);
    let rows: [(Change, Cause); 6] = [
        (|i| i.index = None, GuestAddressLost),
        (|i| i.has_address = false, GuestAddressLost),
        (|i| i.out = None, GuestRouteLost),
        (|i| i.out = way(OTHER), GuestRouteLost),
        (|i| i.gateway_is_deaf = true, NeighbourWrong),
        (|_| {}, GuestFirewall),
    ];
    for (change, cause) in rows {
        let mut facts = cut(|trail| *trail = Trail::default());
        change(guest(&mut facts).inside.as_mut().unwrap());
        is(&facts, cause);
    }
    is(&cut(|_| {}), GuestFirewall);
    let spoofed = cut(|trail| {
        let arrived = hop(HOST_END, Ipv4Addr::new(172, 17, 3, 4), HOST);
        *trail = Trail { sent: trail.sent, arrived, ..Trail::default() };
    });
    is(&spoofed, GuestAddressLost);
    // Its probes are answered, and never left it.
    let mut forged = healthy();
    forged.probes.iter_mut().for_each(|probed| probed.trail = Trail::default());
    is(&forged, GuestFirewall);
}

#[test]
fn names_have_their_causes() {
    use Cause::*;
    let names = |change: &dyn Fn(&mut Facts)| {
        let mut facts = healthy();
        for probed in facts.probes.iter_mut().filter(|p| p.probe.role == Role::Names) {
            probed.guest.outcome = Outcome::Silent;
            probed.trail = Trail { passed: None, received: None, answered: None, ..trail() };
        }
        change(&mut facts);
        assert_eq!(of(&facts).0, Verdict::NoNames);
        of(&facts).1.cause
    };
    let bad = |cause| LayerReport::bad(Layer::Dns, Fault::new(cause, "").with_step("x"));
    assert_eq!(names(&|_| {}), DnsSilent);
    assert_eq!(names(&|f| f.layers.push(bad(DnsNone))), DnsNone);
    assert_eq!(names(&|f| guest(f).to_resolver = Ok(way(OTHER))), DnsElsewhere);
    let gateway = |to| move |f: &mut Facts| guest(f).inside.as_mut().unwrap().to_gateway = to;
    assert_eq!(names(&gateway(way(OTHER))), GuestResolver);
    let every = |f: &mut Facts, change: &dyn Fn(&mut Probed)| {
        f.probes.iter_mut().filter(|p| p.probe.role == Role::Names).for_each(change);
    };
    assert_eq!(names(&|f| every(f, &|p| p.guest.outcome = Outcome::Refused)), DnsRefused);
    let unchecked = |p: &mut Probed| {
        if p.probe.name.contains("no checksum") {
            p.guest.outcome = Outcome::Ok;
        }
    };
    assert_eq!(names(&|f| every(f, &unchecked)), TxChecksum);
    let served_here = |f: &mut Facts| {
        guest(f).asks_beyond = false;
        every(f, &|p| p.trail.left = None);
    };
    assert_eq!(names(&served_here), InputDropped);
}

#[test]
fn large_packets_that_vanish_are_told_from_those_that_are_refused() {
    let sized = |answers: &dyn Fn(u16) -> Outcome| {
        let mut facts = healthy();
        for probed in &mut facts.probes {
            if let (Role::Size(_), super::super::probe::Kind::Ping(size)) =
                (probed.probe.role, probed.probe.kind)
            {
                probed.guest.outcome = answers(size);
            }
        }
        of(&facts).1
    };
    let up_to =
        |most: u16, above: Outcome| move |size: u16| if size > most { above } else { Outcome::Ok };
    let lost = sized(&up_to(1420, Outcome::Silent));
    assert_eq!(lost.cause, Cause::MtuBlackhole);
    assert!(lost.next_step.unwrap().ends_with("--mtu 1420"));
    assert_eq!(sized(&up_to(1420, Outcome::TooLarge)).cause, Cause::Healthy, "routers say so");
    assert_eq!(sized(&|_| Outcome::Silent).cause, Cause::Healthy, "hosts that answer no ping");
    // One of two hosts takes large pings.
    let mut facts = healthy();
    for probed in &mut facts.probes {
        if probed.probe.role == Role::Size(HOST)
            && probed.probe.kind != super::super::probe::Kind::Ping(1280)
        {
            probed.guest.outcome = Outcome::Silent;
        }
    }
    is(&facts, Cause::Healthy);
}

#[test]
fn a_guest_that_cannot_be_entered_is_told_from_a_device_without_internet() {
    let mut facts = healthy();
    guest(&mut facts).inside = Err("EPERM".into());
    let mut vm = facts.clone();
    guest(&mut vm).is_vm = true;
    assert_eq!((of(&vm).0, of(&vm).1.cause), (Verdict::Unsure, Cause::Unreadable));
    guest(&mut vm).is_deaf = true;
    assert_eq!((of(&vm).0, of(&vm).1.cause), (Verdict::NoInternet, Cause::GuestAddressLost));
    assert_eq!((of(&facts).0, of(&facts).1.cause), (Verdict::Unsure, Cause::Unreadable));
    facts.probes.iter_mut().for_each(|probed| probed.device.outcome = Outcome::Silent);
    assert_eq!(of(&facts).1.cause, Cause::UpstreamDown);
}

#[test]
fn a_segment_that_lacks_something_costs_no_internet() {
    let mut facts = healthy();
    let lacks = Fault::new(Cause::SegmentBroken, "a filter is missing");
    facts.layers.push(LayerReport::bad(Layer::Segment, lacks));
    let (verdict, fault) = of(&facts);
    assert_eq!((verdict, fault.cause), (Verdict::Internet, Cause::SegmentBroken));
}

#[test]
fn who_leaves_by_nothing_is_well_where_its_gateway_answers() {
    let mut facts = healthy();
    guest(&mut facts).leaves = false;
    facts.probes.retain(|probed| probed.probe.role == Role::Gateway);
    let (verdict, fault) = of(&facts);
    assert_eq!((verdict, fault.cause), (Verdict::NoUplink, Cause::Healthy));
    facts.probes.iter_mut().for_each(|probed| probed.guest.outcome = Outcome::Silent);
    let (verdict, fault) = of(&facts);
    assert_eq!((verdict, fault.cause), (Verdict::NoInternet, Cause::GuestFirewall));
}
