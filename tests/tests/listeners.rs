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

//! Those who want to be told: what they hear and in which order, and that none of them, whatever
//! it does, is in anybody's way.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use android_system_guestnet::aidl::android::system::guestnet::EndCause::EndCause;
use android_system_guestnet::aidl::android::system::guestnet::Guest::Guest as Wire;
use android_system_guestnet::aidl::android::system::guestnet::GuestEvent::GuestEvent;
use android_system_guestnet::aidl::android::system::guestnet::GuestState::GuestState;
use android_system_guestnet::aidl::android::system::guestnet::IGuestNet::{
    IGuestNet, ERROR_TOO_MANY_LISTENERS,
};
use android_system_guestnet::aidl::android::system::guestnet::IGuestNetListener::IGuestNetListener;
use android_system_guestnet::aidl::android::system::guestnet::Uplink::Uplink;
use binder::Strong;
use guestnet_tests::bed::{assert_words, deaf, Bed, Listener, Told, BOUND};
use guestnet_tests::client::{address, by_pid, config, NAME};
use guestnet_tests::{poll, Daemon, Device, Guest, InNetns};
use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;

/// How many there may be.
const MOST: usize = 32;
/// How many notices may wait for a listener.
const QUEUE: u32 = 64;
/// How long guestnetd waits for a client's answer. Nobody else may wait that long.
const REPLY: Duration = Duration::from_secs(2);

/// A process that listens; killed when dropped.
struct Listening(Child);

impl Listening {
    fn to(daemon: &Daemon) -> Self {
        let mut command = Command::new(env::current_exe().expect("our own path"));
        command.args(["--exact", "role_listener", "--ignored", "--nocapture"]);
        command.env("GUESTNET_ROLE", daemon.endpoint()).stdout(Stdio::piped());
        // SAFETY: between fork and exec the closure makes one system call and nothing else.
        unsafe {
            command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            })
        };
        let mut child = command.spawn().expect("ourselves");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let listening = lines.any(|line| line.expect("a line").contains("listening"));
        assert!(listening, "it ended before it listened");
        // Its pipe is closed now, and what it is told goes nowhere.
        Self(child)
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.0.id() as i32)
    }

    /// Stops all its threads; the signal alone does so only some time later.
    fn freeze(&self) {
        kill(self.pid(), Signal::SIGSTOP).expect("SIGSTOP");
        let tasks = format!("/proc/{}/task", self.pid());
        let stopped = || {
            let mut tasks = std::fs::read_dir(&tasks).expect("its threads").flatten();
            let stat = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("stat"));
            tasks.all(|task| stat(task).is_ok_and(|stat| stat.contains(") T "))).then_some(())
        };
        poll(BOUND, stopped).expect("every thread is stopped");
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// No test: a process of its own for those that are.
#[test]
#[ignore = "the others run it"]
fn role_listener() {
    let Ok(endpoint) = env::var("GUESTNET_ROLE") else { return };
    let endpoint = endpoint.parse().expect("an endpoint");
    let service = guestnet_platform::connect::<dyn IGuestNet>(&endpoint, NAME).expect("connect");
    let listener = Listener::new();
    service.registerListener(&listener.binder).expect("registerListener");
    println!("listening");
    std::io::stdout().flush().expect("stdout");
    // Until it is killed.
    loop {
        listener.next();
    }
}

/// Registers deaf listeners until there is no more room, and gives them.
fn fill(service: &Strong<dyn IGuestNet>) -> Vec<Strong<dyn IGuestNetListener>> {
    let mut all = Vec::new();
    loop {
        let one = deaf();
        match service.registerListener(&one) {
            Ok(()) => all.push(one),
            Err(e) => {
                assert_eq!(e.service_specific_error(), ERROR_TOO_MANY_LISTENERS, "{e}");
                return all;
            }
        }
        assert!(all.len() <= MOST, "there is no limit");
    }
}

#[test]
fn what_happens_to_a_guest_is_told_in_order() {
    let bed = Bed::with_neighbour();
    let (service, mut guest) = (&bed.service, Guest::new());
    let listener = Listener::new();
    service.registerListener(&listener.binder).expect("registerListener");
    for _ in 0..3 {
        let attached = service.attach(&config("a"), &by_pid(guest.pid()), None).expect("attach");
        let (event, seen) = listener.next_guest();
        assert_eq!((event, seen.state), (GuestEvent::ATTACHED, GuestState::ATTACHED));
        assert_eq!(format!("{seen:?}"), format!("{:?}", Wire { timeline: vec![], ..attached }));
        service.detach("a").expect("detach");
        let (event, gone) = listener.next_guest();
        assert_eq!((event, gone.state), (GuestEvent::DETACHED, GuestState::GONE));
        assert_eq!(gone.endCause, EndCause::DETACHED);
        let us = i32::try_from(std::process::id()).expect("a pid");
        assert_eq!((gone.endedByUid, gone.endedByPid), (0, us));
        let of_nobody = Wire { endedByUid: -1, endedByPid: 0, ..gone };
        let as_it_was = Wire { state: GuestState::ATTACHED, endCause: EndCause::NONE, ..of_nobody };
        assert_eq!(format!("{as_it_was:?}"), format!("{seen:?}"));
    }
    service.attach(&config("a"), &by_pid(guest.pid()), None).expect("attach");
    assert_eq!(listener.next_guest().0, GuestEvent::ATTACHED);
    guest.kill();
    let (event, lost) = listener.next_guest();
    assert_eq!((event, lost.state), (GuestEvent::LOST, GuestState::GONE));
    assert_eq!((lost.name.as_str(), address(&lost)), ("a", "172.17.3.4"));

    service.attach(&config("b"), &bed.target(), None).expect("attach");
    assert_eq!(listener.next_guest().0, GuestEvent::ATTACHED);
    bed.device.run("ip link del vm_wlan");
    let (event, lost) = listener.next_guest();
    assert_eq!((event, lost.name.as_str()), (GuestEvent::LOST, "neighbour"));

    // A refused call is nobody's business; neither is one who listens no more.
    service.attach(&config("b"), &bed.target(), None).expect_err("the name is taken");
    service.unregisterListener(&listener.binder).expect("unregisterListener");
    service.unregisterListener(&listener.binder).expect("again");
    service.unregisterListener(&deaf()).expect("of one that never was");
    let other = Listener::new();
    service.registerListener(&other.binder).expect("registerListener");
    service.detach("b").expect("detach");
    assert_eq!(other.next_guest().0, GuestEvent::DETACHED);
    let more: Vec<_> = std::iter::from_fn(|| listener.try_next()).collect();
    assert!(more.is_empty(), "{more:?}");
}

#[test]
fn an_uplink_that_goes_and_comes_is_told_with_what_it_means() {
    let bed = Bed::with_neighbour();
    let listener = Listener::new();
    bed.service.registerListener(&listener.binder).expect("registerListener");
    let mut before = bed.service.status(None).expect("status").uplink;
    for up in [false, true, false, true] {
        if up {
            bed.device.add_uplink("wlan0");
        } else {
            bed.device.remove_uplink("wlan0");
        }
        // It may change in several steps; each begins where the last one ended.
        let (event, guest) = loop {
            match listener.next() {
                Told::Uplink { previous, current, gap } => {
                    assert_eq!(format!("{previous:?}"), format!("{before:?}"));
                    assert_ne!(format!("{current:?}"), format!("{previous:?}"));
                    assert!((0..BOUND.as_micros() as i64).contains(&gap), "a gap of {gap} us");
                    before = current;
                }
                Told::Guest(event, guest) => break (event, guest),
            }
        };
        let state = if up { GuestState::ATTACHED } else { GuestState::WAITING_FOR_UPLINK };
        assert_eq!((event, guest.name.as_str()), (GuestEvent::STATE, "neighbour"));
        assert_eq!(guest.state, state);
        assert_eq!((before.up, before.interfaceIndex != 0), (up, up));
        assert_eq!(before.address, if up { Device::ADDRESS } else { "" });
        assert_eq!((before.choice.as_str(), before.interfaceName.as_str()), ("wlan0", "wlan0"));
        settle(&bed, &listener, &mut before);
    }
}

/// Takes in what else the same change of the uplink brings: its default route, say.
fn settle(bed: &Bed, listener: &Listener, before: &mut Uplink) {
    let settled = || {
        while let Some(Told::Uplink { current, .. }) = listener.try_next() {
            *before = current;
        }
        let now = bed.service.status(None).expect("status").uplink;
        (format!("{now:?}") == format!("{before:?}")).then_some(())
    };
    poll(BOUND, settled).expect("listeners are told the uplink that status() tells");
}

#[test]
fn registered_twice_is_told_once_and_takes_one_place() {
    let bed = Bed::with_neighbour();
    let listener = Listener::new();
    for _ in 0..3 {
        bed.service.registerListener(&listener.binder).expect("registerListener");
    }
    for _ in 0..2 {
        bed.service.attach(&config("a"), &bed.target(), None).expect("attach");
        bed.service.detach("a").expect("detach");
    }
    let heard: Vec<GuestEvent> = (0..4).map(|_| listener.next_guest().0).collect();
    let (on, off) = (GuestEvent::ATTACHED, GuestEvent::DETACHED);
    assert_eq!(heard, [on, off, on, off]);
    assert_eq!(fill(&bed.service).len(), MOST - 1);
}

#[test]
fn one_too_many_is_refused_and_the_others_hear_on() {
    let bed = Bed::with_neighbour();
    let listener = Listener::new();
    bed.service.registerListener(&listener.binder).expect("registerListener");
    let others = fill(&bed.service);
    assert_eq!(others.len(), MOST - 1);
    let before = bed.before();
    let words: &[&str] = &["32 listeners are registered", "unregister one"];
    bed.refused(&before, "the 33rd", (ERROR_TOO_MANY_LISTENERS, words), |s| {
        s.registerListener(&deaf())
    });
    // Who is registered already is no 33rd.
    bed.service.registerListener(&listener.binder).expect("again");
    bed.service.attach(&config("a"), &bed.target(), None).expect("attach");
    assert_eq!(listener.next_guest().0, GuestEvent::ATTACHED);
    // A place that was given back is free at once.
    bed.service.unregisterListener(&others[7]).expect("unregisterListener");
    bed.service.registerListener(&deaf()).expect("there is a place");
    let status = bed.service.registerListener(&deaf()).expect_err("and no second one");
    assert_words("the 33rd again", &status, words);
}

#[test]
fn listeners_are_forgotten_with_their_process_or_connection() {
    let bed = Bed::with_neighbour();
    let process = Listening::to(&bed.daemon);
    let another = bed.daemon.connect();
    let theirs: Vec<_> = (0..10).map(|_| deaf()).collect();
    theirs.iter().for_each(|one| another.registerListener(one).expect("registerListener"));
    let mut ours = fill(&bed.service);
    assert_eq!(ours.len(), MOST - 11);

    drop(process);
    let mut more = |count| {
        let mut room = || {
            ours.extend(fill(&bed.service));
            (ours.len() >= count).then_some(ours.len())
        };
        poll(BOUND, &mut room).unwrap_or_else(|| panic!("{} of {count} places", ours.len()))
    };
    assert_eq!(more(MOST - 10), MOST - 10);
    // Over kernel Binder a process has one connection, as long as it lives.
    if !bed.daemon.endpoint().starts_with("binder:") {
        drop(another);
        assert_eq!(more(MOST), MOST);
    }
    bed.assert_neighbour_talks("the end of listeners");
}

#[test]
fn a_listener_that_stands_still_delays_nobody_and_is_dropped() {
    let bed = Bed::with_neighbour();
    let listener = Listener::new();
    bed.service.registerListener(&listener.binder).expect("registerListener");
    // A wait for one that stands still is there each time; what a busy machine does, now and then.
    let waits = |round| {
        let (usual, slowest) = beside_one_that_stands_still(&bed, &listener);
        println!("{round}: the slowest call with its notice: {slowest:?}; before: {usual:?}");
        slowest >= usual + REPLY / 2
    };
    assert!(!(0..3).all(waits), "a call, or another listener, waits");
    bed.assert_neighbour_talks("a frozen listener");
}

/// How long a call with its notice takes at most, before another listener stands still and from then on.
fn beside_one_that_stands_still(bed: &Bed, listener: &Listener) -> (Duration, Duration) {
    let frozen = Listening::to(&bed.daemon);
    let others = fill(&bed.service);
    assert_eq!(others.len(), MOST - 2);
    let slower = |slowest: Duration| {
        let mut slowest = slowest;
        for (event, attach) in [(GuestEvent::ATTACHED, true), (GuestEvent::DETACHED, false)] {
            let call = Instant::now();
            if attach {
                bed.service.attach(&config("a"), &bed.target(), None).map(drop)
            } else {
                bed.service.detach("a")
            }
            .expect("a call beside other listeners");
            assert_eq!(listener.next_guest().0, event);
            slowest = slowest.max(call.elapsed());
        }
        slowest
    };
    // A notice waits for those to this process's other listeners, thirty of them: on a busy machine, or in an
    // emulator, for longer than a second.
    let usual = (0..QUEUE / 2).fold(Duration::ZERO, |slowest, _| slower(slowest));
    frozen.freeze();

    let (start, mut slowest) = (Instant::now(), Duration::ZERO);
    let extra = deaf();
    // There is room again when it is dropped: after its queue, or its patience, has run out. In an
    // emulator that takes over a minute; how long a call takes meanwhile is what counts.
    while bed.service.registerListener(&extra).is_err() {
        assert!(start.elapsed() < BOUND * 12, "it is not dropped: {}", bed.daemon.log());
        slowest = slower(slowest);
    }
    // The one that is back hears nothing more, and its place is taken.
    kill(frozen.pid(), Signal::SIGCONT).expect("SIGCONT");
    assert_eq!(fill(&bed.service).len(), 0);
    for one in others.iter().chain([&extra]) {
        bed.service.unregisterListener(one).expect("unregisterListener");
    }
    (usual, slowest)
}
