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

//! guestnetd is killed at random moments of its calls, under load: what it had done by then is counted, and
//! what the next one makes of it is as if it had been asked in peace.
//!
//! The load: a client each for a guest by veth, one on a segment and one by a TAP device, which attach, update
//! and detach all the time; two streams; a VM that asks by DHCP; a guest that asks for names; two on a
//! segment that ping each other.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use android_system_guestnet::aidl::android::system::guestnet::{
    DnsMode::DnsMode, Guest::Guest as Attached, GuestConfig::GuestConfig, GuestKind::GuestKind,
    GuestTarget::GuestTarget, IGuestNet::IGuestNet, TargetKind::TargetKind,
};
use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use serde_json::Value;

use crate::bed::{eventually, Bed, Stream, BOUND, GATEWAY};
use crate::client::{address, by_netns, config};
use crate::resolver::{resolve, Says};
use crate::vm::Vm;
use crate::{poll, Device, Guest, InNetns, Internet, Probe, Snapshot};

/// The calls that are made all the time, by each of the clients.
const CALLS: [&str; 3] = ["attach", "update", "detach"];
/// What the clients' guests are connected by.
const KINDS: [Kind; 3] = [Kind::Veth, Kind::Segment, Kind::Tap];
/// The device's resolver.
const RESOLVER: &str = "192.0.2.53";
/// Between two things of the same kind that go on beside the calls: less would be a storm of DHCP's.
const PAUSE: Duration = Duration::from_millis(100);
const INTERNET: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// How often guestnetd was killed when this much of a call was done: `attach, TAP: link up, not stored`.
pub type Histogram = BTreeMap<String, u32>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Veth,
    Segment,
    Tap,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Veth => "",
            Self::Segment => ", segment",
            Self::Tap => ", TAP",
        })
    }
}

impl Kind {
    fn config(self, name: &str) -> GuestConfig {
        let plain = config(name);
        match self {
            Self::Veth => plain,
            Self::Segment => {
                let segment = Some("cockpit".to_owned());
                GuestConfig { kind: GuestKind::BRIDGED, segment, ..plain }
            }
            Self::Tap => GuestConfig { kind: GuestKind::TAP, ..plain },
        }
    }

    fn target(self, guest: &Guest) -> GuestTarget {
        match self {
            Self::Tap => GuestTarget { kind: TargetKind::NONE, ..GuestTarget::default() },
            _ => by_netns(guest.open_netns()),
        }
    }
}

/// A guest whose client calls all the time.
struct Busy {
    kind: Kind,
    name: String,
    guest: Guest,
    /// Its end in the device.
    link: String,
    /// Its TAP device's descriptors, from attach's answer to detach's.
    held: Mutex<Option<Attached>>,
    /// Which call its client waits for, and how many there were; none: `CALLS.len()`.
    call: AtomicUsize,
    calls: [AtomicU64; 3],
    /// How long that call took last, in microseconds.
    micros: [AtomicU64; 3],
}

impl Busy {
    /// Attached once: it has a slot now, which it keeps.
    fn new(bed: &Bed, kind: Kind) -> Self {
        let (name, guest) = (format!("busy{kind}").replace(", ", "-").to_lowercase(), Guest::new());
        let attached = bed.attach_as(&kind.config(&name), &kind.target(&guest));
        let link = attached.hostInterface.clone();
        bed.detach(&name);
        let micros = [10_000, 10_000, 30_000].map(AtomicU64::new);
        let call = AtomicUsize::new(CALLS.len());
        Self {
            kind,
            name,
            guest,
            link,
            held: Mutex::default(),
            call,
            calls: Default::default(),
            micros,
        }
    }

    fn with_mtu(&self, mtu: i32) -> GuestConfig {
        GuestConfig { mtu, ..self.kind.config(&self.name) }
    }

    fn hold(&self, guest: Option<Attached>) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = guest;
    }

    /// Calls until guestnetd is gone. That one of them fails before is a fault.
    fn work(&self, service: &dyn IGuestNet, killed: &AtomicBool) {
        let one = |call: usize, result: &mut dyn FnMut() -> Result<(), String>| {
            self.call.store(call, Ordering::SeqCst);
            self.calls[call].fetch_add(1, Ordering::SeqCst);
            let began = Instant::now();
            let result = result();
            let gone = killed.load(Ordering::SeqCst);
            match result {
                Ok(()) => {
                    self.call.store(CALLS.len(), Ordering::SeqCst);
                    let took = began.elapsed().as_micros() as u64;
                    self.micros[call].store(took, Ordering::SeqCst);
                }
                Err(e) => assert!(gone, "{}: {}: {e}", self.name, CALLS[call]),
            }
            !gone
        };
        let target = || self.kind.target(&self.guest);
        let text = |e: binder::Status| e.to_string();
        while one(0, &mut || {
            let attached = service.attach(&self.with_mtu(1400), &target(), None).map_err(text)?;
            self.hold(Some(attached));
            Ok(())
        }) && one(1, &mut || {
            service.update(&self.name, &self.with_mtu(1380)).map(drop).map_err(text)
        }) && one(2, &mut || {
            service.detach(&self.name).map_err(text)?;
            self.hold(None);
            Ok(())
        }) {}
    }

    /// What is there of it now that nobody goes on.
    fn left(&self, bed: &Bed) -> String {
        let link = match bed.device.link(&self.link) {
            None => "no link",
            Some(link) if link["operstate"] == "DOWN" => "link down",
            Some(link) if link["ifalias"].is_null() => "link up",
            Some(link) if link["mtu"] == 1380 => "link whole, as updated",
            Some(_) => "link whole",
        };
        let record = bed.daemon.state_dir().join(format!("guests/{}.json", self.name));
        let text = std::fs::read_to_string(record).unwrap_or_default();
        let stored: Value = serde_json::from_str(text.trim()).unwrap_or_default();
        let stored = match &stored["attached"] {
            Value::Null => "not stored",
            stored if !stored["update"].is_null() => "stored as between the two",
            _ => "stored",
        };
        let call = CALLS.get(self.call.load(Ordering::SeqCst)).unwrap_or(&"no call");
        format!("{call}{}: {link}, {stored}", self.kind)
    }

    /// It is as its client wants it after another start, whether or not it is there.
    fn assert_is_served(&self, bed: &Bed, told: &str) {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner).take();
        let is_there = bed.names().contains(&self.name);
        let leaves = self.call.load(Ordering::SeqCst) == 2;
        assert!(is_there || held.is_none() || leaves, "{told}: {} is lost", self.name);
        if !is_there {
            return;
        }
        match (self.kind, held) {
            (Kind::Tap, Some(mut attached)) => {
                let mut vm = Vm::of(&mut attached);
                vm.boots();
                assert!(vm.pings(INTERNET), "{told}: {} is not served", self.name);
                // As long as it has its descriptor.
                bed.detach(&self.name);
            }
            // Whose answer came no more: the kernel has closed its descriptor, or is about to.
            (Kind::Tap, None) => {}
            _ => {
                let answer = self.guest.tcp(Internet::TCP, "there");
                assert!(answer.is_ok(), "{told}: {}: {answer:?}", self.name);
                bed.detach(&self.name);
            }
        }
    }
}

/// What goes on beside the calls, and how often it has been done.
#[derive(Default)]
struct Beside {
    done: AtomicU64,
}

impl Beside {
    /// Does it again and again.
    fn go_on(&self, end: &AtomicBool, mut one: impl FnMut() -> bool) {
        while !end.load(Ordering::SeqCst) {
            if one() {
                self.done.fetch_add(1, Ordering::SeqCst);
            }
            thread::sleep(PAUSE);
        }
    }

    /// It is done twice more: what was begun before this may be the first.
    fn assert_goes_on(&self, what: &str) {
        let wanted = self.done.load(Ordering::SeqCst) + 2;
        eventually(what, || self.done.load(Ordering::SeqCst) >= wanted);
    }
}

/// Says so when it is dropped, by a panic too.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Random enough, and the same for the same seed.
struct Random(u64);

impl Random {
    /// Less than `end`.
    fn below(&mut self, end: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end.max(1)
    }
}

/// The device, in any order.
fn seen(bed: &Bed) -> BTreeSet<String> {
    Snapshot::of(&bed.device).text().lines().map(str::to_owned).collect()
}

/// Kills it so often, and panics when anything is left, a stream stands still, or a guest is not as its next
/// client wants it.
pub fn kill_at_random(firewall: &str, kills: u32, seed: u64) -> Histogram {
    let mut random = Random(seed);
    let args = format!("--firewall {firewall} --dns {RESOLVER}");
    let mut bed = Bed::on(Device::new()).args(&args).build();
    let _resolver = bed.device.internet.resolver(RESOLVER, Says::All);
    let quiet = [Guest::new(), Guest::new()];
    for (number, guest) in quiet.iter().enumerate() {
        bed.attach(&format!("quiet-{number}"), guest);
    }
    let mut machine = bed.attach_as(&Kind::Tap.config("vm"), &Kind::Tap.target(&quiet[0]));
    let (mut vm, machine_link) = (Vm::of(&mut machine), machine.hostInterfaceIndex);
    let asks = Guest::new();
    let forwarded = GuestConfig { dns: DnsMode::FORWARD, ..config("asks") };
    bed.attach_as(&forwarded, &by_netns(asks.open_netns()));
    let pair = [Guest::new(), Guest::new()];
    let [_, second] = [0, 1].map(|number: usize| {
        let config = Kind::Segment.config(&format!("pair-{number}"));
        bed.attach_as(&config, &by_netns(pair[number].open_netns()))
    });
    let streams = [&quiet[0], &quiet[1], &pair[0]].map(Stream::open);
    let busy = KINDS.map(|kind| Busy::new(&bed, kind));
    let before = seen(&bed);
    let [dhcp, names, segment]: [Beside; 3] = Default::default();
    let end = AtomicBool::new(false);
    let mut histogram = Histogram::new();
    thread::scope(|scope| {
        let _ends = Ends(&end);
        scope.spawn(|| {
            dhcp.go_on(&end, || {
                vm.boots();
                vm.pings(INTERNET)
            })
        });
        scope.spawn(|| names.go_on(&end, || resolve(&asks, GATEWAY).is_ok()));
        scope.spawn(|| segment.go_on(&end, || pair[0].ping(address(&second))));
        for number in 0..kills {
            let told = format!("kill {number}, seed {seed}");
            // Each call is as often the one as each other, however long it takes.
            let call = (number as usize) % CALLS.len();
            let chosen = &busy[random.below(KINDS.len() as u64) as usize];
            kill_within(&mut bed, &busy, chosen, call, &mut random);
            for busy in &busy {
                *histogram.entry(busy.left(&bed)).or_default() += 1;
            }
            bed.start();
            streams.iter().for_each(Stream::assert_flows);
            let machine = bed.service.get("vm").expect("get").map(|vm| vm.hostInterfaceIndex);
            assert_eq!(machine, Some(machine_link), "{told}: a VM that lives is taken over");
            dhcp.assert_goes_on(&format!("{told}: a VM asks by DHCP"));
            names.assert_goes_on(&format!("{told}: a guest asks for names"));
            segment.assert_goes_on(&format!("{told}: guests of a segment"));
            busy.iter().for_each(|busy| busy.assert_is_served(&bed, &told));
            let mut now = BTreeSet::new();
            let same = poll(BOUND, || {
                now = seen(&bed);
                (now == before).then_some(())
            });
            let left: Vec<_> = before.symmetric_difference(&now).collect();
            assert!(same.is_some(), "{told}: {left:#?}");
            for busy in &busy {
                assert_eq!(busy.guest.links(), ["lo"], "{told}");
            }
        }
        // Who was cut off is served as ever.
        for busy in &busy {
            let target = busy.kind.target(&busy.guest);
            busy.hold(Some(bed.attach_as(&busy.kind.config(&busy.name), &target)));
            busy.assert_is_served(&bed, "again");
        }
    });
    streams.into_iter().for_each(Stream::end);
    histogram
}

/// Has each client call until guestnetd is killed, somewhere within a call of the chosen one's.
fn kill_within(bed: &mut Bed, busy: &[Busy], chosen: &Busy, call: usize, random: &mut Random) {
    let killed = AtomicBool::new(false);
    let clients: Vec<_> = busy.iter().map(|_| bed.daemon.connect()).collect();
    thread::scope(|scope| {
        for (busy, client) in busy.iter().zip(&clients) {
            scope.spawn(|| busy.work(&**client, &killed));
        }
        let was = chosen.calls[call].load(Ordering::SeqCst);
        let until = Instant::now() + BOUND;
        while chosen.calls[call].load(Ordering::SeqCst) == was && Instant::now() < until {
            thread::yield_now();
        }
        let within = random.below(chosen.micros[call].load(Ordering::SeqCst));
        thread::sleep(Duration::from_micros(within));
        killed.store(true, Ordering::SeqCst);
        kill(Pid::from_raw(bed.daemon.pid()), Signal::SIGKILL).expect("SIGKILL");
    });
    bed.daemon.kill();
}

/// The histogram, as a table.
pub fn table(histogram: &Histogram) -> String {
    let row = |(what, times): (&String, &u32)| format!("{times:5}  {what}\n");
    histogram.iter().map(row).collect()
}
