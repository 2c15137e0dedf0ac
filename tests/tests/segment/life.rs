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

//! Segments come and go with their guests, whatever happens to guestnetd or to what it has made.

use super::*;
use android_system_guestnet::aidl::android::system::guestnet::{
    Cause::Cause, DiagnoseOptions::DiagnoseOptions, Layer::Layer, LayerState::LayerState,
    LayerStatus::LayerStatus,
};

#[test]
fn a_segment_goes_with_its_last_guest() {
    let bed = Bed::new("auto");
    assert_eq!(hubs(&bed.device), [Value::Null; 0]);
    let (mut a, _) = attach(&bed, "cockpit", "a");
    let (b, second) = attach(&bed, "cockpit", "b");
    assert_eq!((hubs(&bed.device).len(), filters(&bed.device)), (1, 5));
    bed.detach("b");
    assert_eq!((hubs(&bed.device).len(), filters(&bed.device)), (1, 3));
    let (c, _) = attach(&bed, "cockpit", "c");
    assert!(!c.ping(address(&second)), "it is not there any more");
    bed.detach("c");
    a.kill();
    eventually("it is gone", || hubs(&bed.device).is_empty());
    drop(b);
    let (d, _) = attach(&bed, "cockpit", "d");
    assert!(d.ping(Internet::ADDRESS));
    let (_e, fifth) = attach(&bed, "cockpit", "e");
    assert!(d.ping(address(&fifth)), "{}", bed.daemon.log());
    assert_eq!(bed.service.detachAll().expect("detachAll"), 2);
    assert_eq!(hubs(&bed.device), [Value::Null; 0]);
}

#[test]
fn a_guestnetd_that_crashes_leaves_a_segment_as_it_is_and_takes_it_over() {
    let mut bed = Bed::new("nftables");
    let (a, first) = attach(&bed, "cockpit", "a");
    let (b, second) = attach(&bed, "cockpit", "b");
    let (mut c, _) = attach(&bed, "cockpit", "c");
    let (mut alone, _) = attach(&bed, "cabin", "alone");
    let before = hubs(&bed.device).len();
    assert_eq!((before, filters(&bed.device)), (2, 10));
    bed.daemon.kill();
    assert!(a.ping(address(&second)), "while guestnetd is away");
    // They end, and nobody is there to see it.
    c.kill();
    alone.kill();
    eventually("their links are gone", || {
        bed.device.link("vm_wlan3").is_none() && bed.device.link("vm_wlan2").is_none()
    });
    bed.start();
    assert_eq!((hubs(&bed.device).len(), filters(&bed.device)), (1, 5));
    assert!(a.ping(address(&second)) && b.ping(address(&first)), "{}", bed.daemon.log());
    let again = bed.service.get("a").expect("get").expect("it is taken over");
    assert_eq!((again.kind, again.segment.as_deref()), (GuestKind::BRIDGED, Some("cockpit")));
    // Nothing is stored of it: its link says enough.
    bed.daemon.kill();
    std::fs::remove_dir_all(bed.daemon.state_dir().join("guests")).expect("what is stored");
    bed.start();
    let again = bed.service.get("a").expect("get").expect("it is known by its link");
    assert_eq!((again.kind, again.segment.as_deref()), (GuestKind::BRIDGED, Some("cockpit")));
    assert!(a.ping(address(&second)) && b.ping(address(&first)), "{}", bed.daemon.log());
    let (_d, last) = attach(&bed, "cockpit", "d");
    assert!(a.ping(address(&last)), "{}", bed.daemon.log());
    bed.service.detachAll().expect("detachAll");
    assert_eq!(hubs(&bed.device), [Value::Null; 0]);
}

#[test]
fn what_others_take_of_a_segment_is_put_back() {
    let bed = Bed::on(Device::new()).args("--check-every 1").build();
    let (a, first) = attach(&bed, "cockpit", "a");
    let (b, second) = attach(&bed, "cockpit", "b");
    let reach = || a.ping(address(&second)) && b.ping(address(&first));
    assert!(reach());
    let name = hubs(&bed.device)[0]["ifname"].as_str().expect("a name").to_owned();
    for damage in [
        format!("ip link del {name}"),
        format!("ip link set {name} down"),
        // Linux before 6.2 renames no link that is up (dev_change_name()), and guestnetd may be there in between.
        format!(
            "for again in 1 2 3 4 5 6 7 8 9; do printf 'link set {name} down\nlink set {name} name bridge0\n' | \
             ip -batch - && exit; done; exit 1"
        ),
        format!("tc qdisc del dev {name} clsact"),
        format!("tc qdisc del dev {} clsact", first.hostInterface),
        format!("tc filter del dev {} ingress prio 3", second.hostInterface),
        format!("tc filter del dev {name} ingress prio 2"),
        format!("tc filter del dev {name} ingress prio 3"),
    ] {
        let done = bed.device.command("sh").args(["-c", &damage]).status().expect("sh");
        assert!(done.success(), "{damage}");
        let whole = || {
            let (one, other) = (filters(&bed.device), |end: &Attached| {
                let all =
                    bed.device.run(&format!("tc filter show dev {} ingress", end.hostInterface));
                all.lines().filter(|line| line.contains("terminal")).count()
            });
            (one, other(&first), other(&second)) == (5, 5, 5)
        };
        eventually(&format!("{damage}: it is whole"), || whole() && reach());
    }
}

#[test]
fn a_guest_that_moves_is_found_at_its_new_address_and_not_at_the_old() {
    let bed = Bed::new("auto");
    let (a, first) = attach(&bed, "cockpit", "a");
    let (b, second) = attach(&bed, "cockpit", "b");
    let moved = GuestConfig { addresses: vec!["172.17.3.99".to_owned()], ..on("cockpit", "b") };
    let now = bed.service.update("b", &moved).expect("update");
    assert_eq!((address(&now), now.segment.as_deref()), ("172.17.3.99", Some("cockpit")));
    assert!(a.ping("172.17.3.99") && b.ping(address(&first)), "{}", bed.daemon.log());
    assert!(!a.ping(address(&second)));
    let wire = Wire::of(&b, &now);
    let there = Wire::of(&a, &first);
    let old = wire.frame(ALL, IPV4, &udp(&second, [255; 4], [9, 9], b"old"));
    let new = wire.frame(ALL, IPV4, &udp(&now, [255; 4], [9, 9], b"new"));
    there.hears(b"new", || [&old, &new].into_iter().for_each(|frame| wire.send(frame)));
    assert!(!there.has_heard(b"old"));
}

#[test]
fn a_vm_is_on_a_segment_with_containers() {
    let bed = Bed::new("auto");
    let (a, _) = attach(&bed, "cockpit", "a");
    let nowhere = GuestTarget { kind: TargetKind::NONE, ..GuestTarget::default() };
    let tap = GuestConfig { kind: GuestKind::TAP, ..on("cockpit", "vm") };
    let mut vm = bed.attach_as(&tap, &nowhere);
    assert_eq!((vm.kind, vm.segment.as_deref()), (GuestKind::TAP, Some("cockpit")));
    // Its frames behind a header; what a guest asks is seen, and what it says is heard.
    let queue = std::os::fd::OwnedFd::from(vm.tap.remove(0));
    let queue = std::fs::File::from(queue);
    let frame = wire::frame(ALL, wire::mac(&vm), IPV4, &udp(&vm, [255; 4], [9, 9], b"from a VM"));
    let frame = [&[0; 12][..], &frame].concat();
    let there = Wire::of(&a, &bed.service.get("a").expect("get").expect("it is there"));
    there.hears(b"from a VM", || {
        let _ = std::io::Write::write(&mut &queue, &frame).expect("write");
    });
    assert_eq!(filters(&bed.device), 5);
    drop(queue);
    eventually("the VM is gone", || bed.names() == ["a"]);
    eventually("its place is gone", || filters(&bed.device) == 3);
}

/// What status says of a guest's place in its segment.
#[track_caller]
fn place(bed: &Bed, name: &str) -> LayerStatus {
    let status = bed.service.status(Some(name)).expect("status").guests.remove(0);
    assert_eq!(status.verdict, Verdict::INTERNET, "{:?}", status.reason);
    let mut layers = status.layers.into_iter();
    layers.find(|layer| layer.layer == Layer::SEGMENT).expect("it has that layer")
}

#[test]
fn what_is_missing_of_a_segment_is_named_with_what_shows_it() {
    let bed = Bed::new("auto");
    let plain = Guest::new();
    bed.attach("plain", &plain);
    let (_a, first) = attach(&bed, "cockpit", "a");
    let (_b, _second) = attach(&bed, "cockpit", "b");
    let status = bed.service.status(Some("plain")).expect("status");
    assert!(status.guests[0].layers.iter().all(|layer| layer.layer != Layer::SEGMENT));
    let hub = hubs(&bed.device)[0]["ifname"].as_str().expect("a name").to_owned();
    let host = &first.hostInterface;
    let fine = place(&bed, "a");
    assert_eq!(fine.state, LayerState::OK, "{fine:?}");
    assert!(fine.text.contains(&format!("cockpit, with 1 other, by {hub}")), "{fine:?}");
    let (_c, _third) = alone::attach_only(&bed, "cockpit", "c");
    // Before its next check, which is a minute away; what is announced may be put back before.
    for (damage, of, named, shows) in [
        (
            format!("tc filter del dev {host} ingress prio 3"),
            "a",
            format!("the filter of priority 3 is missing at {host}, ingress"),
            format!("`tc filter show dev {host} ingress`"),
        ),
        (
            format!("tc qdisc del dev {hub} clsact"),
            "b",
            format!("the filter of priority 1 is missing at {hub}, ingress"),
            format!("`tc filter show dev {hub} ingress`"),
        ),
    ] {
        bed.device.run(&damage);
        let found = place(&bed, of);
        assert_eq!(
            (found.state, found.cause),
            (LayerState::BAD, Cause::SEGMENT_BROKEN),
            "{damage}"
        );
        assert!(found.text.contains(&named), "{found:?}");
        assert!(found.nextStep.as_ref().is_some_and(|step| step.contains(&shows)), "{found:?}");
    }
    let found = bed.service.diagnose(Some("c"), &DiagnoseOptions::default()).expect("diagnose");
    let is = (found.verdict, found.cause);
    assert_eq!(is, (Verdict::NO_UPLINK, Cause::SEGMENT_BROKEN), "{}", found.text);
}

#[test]
fn a_storm_of_one_is_bounded_and_counted_where_the_kernel_can() {
    let bed = Bed::new("auto");
    let (a, first) = attach(&bed, "cockpit", "a");
    let (b, second) = attach(&bed, "cockpit", "b");
    let (c, third) = attach(&bed, "cockpit", "c");
    let (wire, there) = (Wire::of(&a, &first), Wire::of(&b, &second));
    let frame = wire.frame(ALL, IPV4, &udp(&first, [255; 4], [9, 9], b"storm"));
    let can = kernel_has_act_police();
    let began = std::time::Instant::now();
    for _ in 0..40 {
        (0..100).for_each(|_| wire.send(&frame));
        there.count(b"storm");
    }
    let elapsed = began.elapsed().as_secs_f64();
    assert!(b.ping(address(&third)) && c.ping(address(&second)), "{}", bed.daemon.log());
    let came = there.count(b"storm") as f64;
    let said = place(&bed, "a").text;
    if can {
        assert!(came <= 300.0 + 1100.0 * elapsed, "{came} in {elapsed} s");
        assert!(said.contains("beyond its limit"), "{said}");
        let quiet = place(&bed, "b").text;
        assert!(!quiet.contains("limit"), "{quiet}");
    } else {
        assert!(said.contains("the kernel has no act_police"), "{said}");
    }
}

#[test]
fn nobody_waits_for_the_first_guest_of_a_segment() {
    let bed = Bed::new("auto");
    let (a, _) = attach(&bed, "cockpit", "a");
    // Its answer comes when the segment hands frames on, and no other call has waited for that.
    let (_b, second) = attach(&bed, "cockpit", "b");
    assert!(a.ping(address(&second)));
    let carrier = |hub: &Value| hub["flags"].to_string().contains("LOWER_UP");
    assert!(hubs(&bed.device).iter().all(carrier));
    // The device is not made anew for each guest.
    let index = |bed: &Bed| hubs(&bed.device)[0]["ifindex"].clone();
    let before = index(&bed);
    let (_c, third) = attach(&bed, "cockpit", "c");
    assert!(a.ping(address(&third)));
    assert_eq!(index(&bed), before);
}

/// By what the kernel is asked for: times would tell of the machine.
#[test]
fn a_guest_more_costs_what_the_first_ones_do() {
    let bed = Bed::on(Device::new()).env("RUST_LOG", "trace").build();
    // Messages about filters, of all sizes.
    let messages = || {
        let log = bed.daemon.log();
        log.lines().filter(|line| line.contains("TFILTER flags")).count()
    };
    let mut guests = Vec::new();
    let mut costs = |name: &str| {
        let before = messages();
        guests.push(attach(&bed, "cockpit", name));
        eventually("it is said", || bed.daemon.log().contains(&format!("{name}: attached")));
        let attached = messages();
        bed.detach(name);
        eventually("it is said", || bed.daemon.log().contains(&format!("{name}: detached")));
        let detached = messages();
        guests.push(attach(&bed, "cockpit", &format!("{name}.stays")));
        [attached - before, detached - attached]
    };
    // One that waits for its carrier asks more often: the least of a few.
    let mut least = |which: &str| {
        let all: Vec<_> = (0..4).map(|nth| costs(&format!("{which}{nth}"))).collect();
        [0, 1].map(|at| all.iter().map(|one: &[usize; 2]| one[at]).min().expect("four"))
    };
    let _with_its_segment = least("first");
    let early = least("early");
    for nth in 0..3 {
        least(&format!("more{nth}-"));
    }
    assert_eq!(least("late"), early, "attach, detach");
    assert!(early.iter().all(|count| *count > 0), "{early:?}");
}
