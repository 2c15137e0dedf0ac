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

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use android_system_guestnet::aidl::android::system::guestnet::GuestConfig::GuestConfig;
use android_system_guestnet::aidl::android::system::guestnet::IGuestNet::IGuestNet;
use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use serde_json::Value;

use crate::bed::{Bed, Stream, BOUND};
use crate::client::{by_netns, config};
use crate::{poll, Guest, InNetns, Internet, Probe, Snapshot};

/// The calls that are made all the time, by each of the clients.
const CALLS: [&str; 3] = ["attach", "update", "detach"];
const CLIENTS: usize = 3;

/// How often guestnetd was killed when this much of a call was done: `attach: link up, not stored`.
pub type Histogram = BTreeMap<String, u32>;

/// A guest whose client calls all the time.
struct Busy {
    name: String,
    guest: Guest,
    /// Its end in the device.
    link: String,
    /// Which call its client waits for, and how many there were; none: `CALLS.len()`.
    call: AtomicUsize,
    calls: [AtomicU64; 3],
    /// How long that call took last, in microseconds.
    micros: [AtomicU64; 3],
}

impl Busy {
    fn with_mtu(&self, mtu: i32) -> GuestConfig {
        GuestConfig { mtu, ..config(&self.name) }
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
        let target = || by_netns(self.guest.open_netns());
        let text = |e: binder::Status| e.to_string();
        while one(0, &mut || {
            service.attach(&self.with_mtu(1400), &target(), None).map(drop).map_err(text)
        }) && one(1, &mut || {
            service.update(&self.name, &self.with_mtu(1380)).map(drop).map_err(text)
        }) && one(2, &mut || service.detach(&self.name).map_err(text))
        {}
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
        format!("{link}, {stored}")
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
    let mut bed = Bed::new(firewall);
    let quiet = [Guest::new(), Guest::new()];
    for (number, guest) in quiet.iter().enumerate() {
        bed.attach(&format!("quiet-{number}"), guest);
    }
    let streams = quiet.each_ref().map(Stream::open);
    let busy: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let (name, guest) = (format!("busy-{number}"), Guest::new());
            let link = bed.attach(&name, &guest).hostInterface;
            let (call, micros) = (AtomicUsize::new(CALLS.len()), [10_000, 10_000, 30_000]);
            let micros = micros.map(AtomicU64::new);
            Busy { name, guest, link, call, calls: Default::default(), micros }
        })
        .collect();
    // Each has a slot now, which it keeps.
    busy.iter().for_each(|busy| bed.detach(&busy.name));
    let before = seen(&bed);
    let mut histogram = Histogram::new();
    for number in 0..kills {
        let killed = AtomicBool::new(false);
        // Each call is as often the one as each other, however long it takes.
        let call = (number as usize) % CALLS.len();
        let chosen = &busy[random.below(CLIENTS as u64) as usize];
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
        for busy in &busy {
            let call = CALLS.get(busy.call.load(Ordering::SeqCst)).unwrap_or(&"no call");
            *histogram.entry(format!("{call}: {}", busy.left(&bed))).or_default() += 1;
        }
        bed.start();
        streams.iter().for_each(Stream::assert_flows);
        let there = bed.names();
        for busy in &busy {
            if there.contains(&busy.name) {
                let answer = busy.guest.tcp(Internet::TCP, "there");
                assert!(answer.is_ok(), "{}: {answer:?}: {histogram:?}", busy.name);
                bed.detach(&busy.name);
            }
        }
        let mut now = BTreeSet::new();
        let same = poll(BOUND, || {
            now = seen(&bed);
            (now == before).then_some(())
        });
        let left: Vec<_> = before.symmetric_difference(&now).collect();
        assert!(same.is_some(), "kill {number}, seed {seed}: {left:#?}");
        for busy in &busy {
            assert_eq!(busy.guest.links(), ["lo"], "kill {number}, seed {seed}");
        }
    }
    // Who was cut off is served as ever.
    for busy in &busy {
        bed.attach(&busy.name, &busy.guest);
        assert!(busy.guest.tcp(Internet::TCP, "again").is_ok());
        bed.detach(&busy.name);
    }
    streams.into_iter().for_each(Stream::end);
    histogram
}

/// The histogram, as a table.
pub fn table(histogram: &Histogram) -> String {
    let row = |(what, times): (&String, &u32)| format!("{times:5}  {what}\n");
    histogram.iter().map(row).collect()
}
