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

//! What becomes of a guest's network when the guest, guestnetd, the link or the uplink goes
//! without a word.

use std::net::UdpSocket;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use android_system_guestnet::aidl::android::system::guestnet::GuestEvent::GuestEvent;
use android_system_guestnet::aidl::android::system::guestnet::GuestState::GuestState;
use android_system_guestnet::aidl::android::system::guestnet::IGuestNet::IGuestNet;
use guestnet_tests::bed::{eventually, held, Bed, Listener, BOUND};
use guestnet_tests::client::{by_netns, by_pid, by_pidfd, config};
use guestnet_tests::{poll, Device, Guest, InNetns, Internet, Probe, Snapshot};

guestnet_tests::with_both_backends!(
    nothing_of_a_guest_stays_open,
    a_guest_that_dies_takes_its_link_along,
    a_crash_at_any_moment_leaves_all_or_nothing,
    a_crash_in_a_detach_leaves_all_or_nothing,
);

/// What is measured, or loads the machine, has it to itself.
static ALONE: Mutex<()> = Mutex::new(());

macro_rules! alone {
    () => {
        let _alone = ALONE.lock().unwrap_or_else(|e| e.into_inner());
    };
}

fn nothing_of_a_guest_stays_open(firewall: &str) {
    alone!();
    let bed = Bed::new(firewall);
    let (guest, pid) = (Guest::new(), bed.daemon.pid());
    // This is how it would be seen: a mere socket, and the namespace itself.
    let own = std::process::id() as i32;
    let socket = guest.enter(|| UdpSocket::bind("0.0.0.0:0")).expect("a socket");
    assert_eq!(held(own, &guest).len(), 1);
    let netns = guest.open_netns();
    assert_eq!(held(own, &guest).len(), 2);
    drop((socket, netns));

    let config = config("demo");
    let targets = || [by_netns(guest.open_netns()), by_pidfd(guest.pidfd()), by_pid(guest.pid())];
    for target in targets() {
        let how = target.kind;
        bed.service.plan(&config, &target).expect("plan");
        assert_eq!(held(pid, &guest), [""; 0], "after plan by {how:?}");
        bed.service.check(&config, &target).expect("check");
        assert_eq!(held(pid, &guest), [""; 0], "after check by {how:?}");
        bed.attach_as(&config, &target);
        assert_eq!(held(pid, &guest), [""; 0], "after attach by {how:?}");
        bed.service.attach(&config, &target, None).expect_err("it is attached already");
        assert_eq!(held(pid, &guest), [""; 0], "after a refused attach by {how:?}");
        bed.service.status(None).expect("status");
        bed.detach("demo");
        assert_eq!(held(pid, &guest), [""; 0], "after detach by {how:?}");
    }
    guest.run("ip link add wlan0 type veth peer name other");
    for target in targets() {
        let how = target.kind;
        bed.service.attach(&config, &target, None).expect_err("it has a wlan0");
        assert_eq!(held(pid, &guest), [""; 0], "after an attach that failed by {how:?}");
    }
}

/// How long `gone` takes to become true after the guest's only process is killed.
fn time_to_die(mut guest: Guest, gone: impl Fn() -> bool) -> Duration {
    let began = Instant::now();
    guest.kill();
    eventually("the guest's link goes with it", gone);
    began.elapsed()
}

/// The kernel takes namespaces down one batch after the other, on whatever CPU is free: one of
/// them may have to wait for another's. Not most of them.
fn usual(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// How long the link of a guest may stay that nobody holds: 100 ms, or on a slow machine (an emulated
/// one) twice what the kernel takes for a guest that guestnetd never heard of.
fn limit(device: &Device) -> Duration {
    let times = (0..5).map(|_| {
        let guest = Guest::new();
        guest.run("ip link add inside type veth peer name probe");
        move_link(&guest, "probe", device);
        time_to_die(guest, || device.link("probe").is_none())
    });
    (usual(times.collect()) * 2).max(Duration::from_millis(100))
}

fn a_guest_that_dies_takes_its_link_along(firewall: &str) {
    alone!();
    let bed = Bed::new(firewall);
    let limit = limit(&bed.device);
    let assert_fast = |what: &str, times: Vec<Duration>| {
        assert!(usual(times.clone()) < limit, "{what}: {times:?}, not within {limit:?}");
    };
    let listener = Listener::on(&**bed.service);
    let before = Snapshot::of(&bed.device);
    let is_there = || bed.device.link("vm_wlan").is_some();
    let attached = (0..5).map(|_| {
        let guest = Guest::new();
        bed.attach_as(&config("demo"), &by_netns(guest.open_netns()));
        assert_eq!(listener.wait_guest().0, GuestEvent::ATTACHED);
        let time = time_to_die(guest, || !is_there());
        assert_eq!(listener.wait_guest(), (GuestEvent::LOST, "demo".to_owned(), GuestState::GONE));
        eventually("nobody is attached", || bed.names().is_empty());
        time
    });
    assert_fast("after attach()", attached.collect());
    eventually("nothing is left", || Snapshot::of(&bed.device) == before);

    // A guest without a link of guestnetd's has one of ours: it goes with the namespace, too.
    let ask = |what: &str, guest: &Guest| match what {
        "plan" => drop(bed.service.plan(&config("demo"), &by_netns(guest.open_netns())).unwrap()),
        "check" => drop(bed.service.check(&config("demo"), &by_netns(guest.open_netns())).unwrap()),
        "attach" => drop(
            bed.service.attach(&config("demo"), &by_netns(guest.open_netns()), None).unwrap_err(),
        ),
        _ => {
            bed.attach_as(&config("demo"), &by_netns(guest.open_netns()));
            bed.detach("demo");
        }
    };
    for what in ["plan", "check", "attach", "detach"] {
        let times = (0..5).map(|_| {
            let guest = Guest::new();
            guest.run("ip link add inside type veth peer name probe");
            if what == "attach" {
                guest.run("ip link add wlan0 type veth peer name other");
            }
            move_link(&guest, "probe", &bed.device);
            ask(what, &guest);
            time_to_die(guest, || bed.device.link("probe").is_none())
        });
        assert_fast(what, times.collect());
    }
}

fn move_link(from: &Guest, link: &str, to: &Device) {
    from.run(&format!("ip link set {link} netns {}", to.netns.path().display()));
}

/// guestnetd is killed 30 times, at moments spread evenly over an attach and a little more: the
/// first at once, the last after its answer. What becomes of the forwarding switch is another
/// test's question: here it is on all the time.
fn a_crash_at_any_moment_leaves_all_or_nothing(firewall: &str) {
    alone!();
    const ROUNDS: u32 = 30;
    let device = Device::options().forwarding().build();
    let mut bed = Bed::on(device).args(&format!("--firewall {firewall}")).build();
    let before = Snapshot::of(&bed.device);
    let guest = Guest::new();
    guest.run("ip link set lo up");
    let guest_before = Snapshot::of(&guest);
    let attach = |service: &dyn IGuestNet| {
        let began = Instant::now();
        let done = service.attach(&config("demo"), &by_pid(guest.pid()), None).is_ok();
        (done, began.elapsed())
    };
    // The first call to a fresh guestnetd takes longest, and so are those that come.
    let (done, whole) = attach(&**bed.service);
    assert!(done);
    bed.detach("demo");
    let (mut all, mut nothing) = (0, 0);
    for round in 0..ROUNDS {
        let last = round + 1 == ROUNDS;
        let wait = whole * 3 / 2 * round / ROUNDS;
        let when = format!("killed after {wait:?} of {whole:?}");
        let (service, daemon) = (&bed.service, &mut bed.daemon);
        thread::scope(|scope| {
            let end = Instant::now() + wait;
            let call = scope.spawn(|| attach(&***service));
            while if last { !call.is_finished() } else { Instant::now() < end } {
                std::hint::spin_loop();
            }
            daemon.kill();
            // Its answer, or none, does not matter here.
            call.join().expect("the call ends");
        });
        bed.start();
        if bed.names().is_empty() {
            nothing += 1;
            eventually(&format!("no half-made link ({when})"), || guest.links() == ["lo"]);
        } else {
            all += 1;
            assert_eq!(bed.names(), ["demo"]);
            assert_eq!(guest.tcp(Internet::TCP, "whole").unwrap(), "192.0.2.2 whole", "{when}");
            bed.detach("demo");
        }
        // A half-made link is deleted while guestnetd answers already.
        if poll(BOUND, || (Snapshot::of(&bed.device) == before).then_some(())).is_none() {
            let left = before.diff(&Snapshot::of(&bed.device)).unwrap_or_default();
            panic!("{when}: {left}\n{}", bed.daemon.log());
        }
        guest_before.assert_same(&Snapshot::of(&guest));
    }
    assert!(all > 0 && nothing > 0, "{all} whole, {nothing} none: the moments were all the same");
}

/// The same for a detach: what is not gone yet is still whole, and can be detached.
fn a_crash_in_a_detach_leaves_all_or_nothing(firewall: &str) {
    alone!();
    const ROUNDS: u32 = 10;
    let mut bed = Bed::new(firewall);
    let before = Snapshot::of(&bed.device);
    let guest = Guest::new();
    bed.attach("demo", &guest);
    let began = Instant::now();
    bed.detach("demo");
    let whole = began.elapsed();
    for round in 0..ROUNDS {
        bed.attach("demo", &guest);
        let (service, daemon) = (&bed.service, &mut bed.daemon);
        thread::scope(|scope| {
            let end = Instant::now() + whole * 3 / 2 * round / ROUNDS;
            scope.spawn(|| drop(service.detach("demo")));
            while Instant::now() < end {
                std::hint::spin_loop();
            }
            daemon.kill();
        });
        bed.start();
        if guest.links() == ["lo"] {
            assert_eq!(bed.names(), [""; 0], "round {round}");
        } else {
            assert_eq!(bed.names(), ["demo"], "round {round}");
            assert_eq!(guest.tcp(Internet::TCP, "whole").unwrap(), "192.0.2.2 whole");
            bed.detach("demo");
        }
        if poll(BOUND, || (Snapshot::of(&bed.device) == before).then_some(())).is_none() {
            let left = before.diff(&Snapshot::of(&bed.device)).unwrap_or_default();
            panic!("round {round}: {left}\n{}", bed.daemon.log());
        }
    }
}

#[test]
fn a_link_deleted_by_hand_is_lost() {
    let bed = Bed::new("auto");
    let guest = Guest::new();
    let listener = Listener::on(&**bed.service);
    bed.attach("demo", &guest);
    assert_eq!(
        listener.wait_guest(),
        (GuestEvent::ATTACHED, "demo".to_owned(), GuestState::ATTACHED)
    );
    bed.device.run("ip link del vm_wlan");
    assert_eq!(listener.wait_guest(), (GuestEvent::LOST, "demo".to_owned(), GuestState::GONE));
    assert_eq!(bed.names(), [""; 0]);
    assert!(!bed.forwards());
    bed.attach("demo", &guest);
    assert_eq!(listener.wait_guest().0, GuestEvent::ATTACHED);
    bed.detach("demo");
    assert_eq!(listener.wait_guest(), (GuestEvent::DETACHED, "demo".to_owned(), GuestState::GONE));
}
