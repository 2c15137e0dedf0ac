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

//! Attaches and detaches for minutes, from several clients, with crashes and restarts in between,
//! and passes when nothing is left and nothing has grown. `tests/soak/attach [MINUTES]` runs it.

use guestnet_tests::client::{by_netns, config};
use guestnet_tests::snapshot::open_fds;
use guestnet_tests::{Daemon, Device, Guest, InNetns, Internet, Probe, Snapshot};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

const CLIENTS: usize = 4;
const GUESTS: usize = 20;
/// How long guestnetd runs before it is killed or stopped.
const LIFE: Duration = Duration::from_secs(20);

/// Resident memory in kB.
fn memory(pid: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    line.and_then(|l| l.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// One client's work on its own guests until the time is over. A call that a crash cut off is
/// made again with the next connection.
fn client(daemon: &Daemon, guests: &[(String, Guest)], over: &AtomicBool, done: &AtomicU32) {
    let net = daemon.connect();
    while !over.load(Ordering::SeqCst) {
        for (name, guest) in guests {
            let _ = net.detach(name);
            let attached = net.attach(&config(name), &by_netns(guest.open_netns()), None);
            let attached = attached.unwrap_or_else(|e| panic!("{name}: {e:?}"));
            assert!(guest.ping("192.0.2.1"), "{name} {:?} has no network", attached.addresses);
            done.fetch_add(1, Ordering::SeqCst);
        }
    }
}

fn main() {
    let minutes: u64 = std::env::args().nth(1).map_or(10, |m| m.parse().expect("minutes"));
    let end = Instant::now() + Duration::from_secs(60 * minutes);
    let device = Device::new();
    let before = Snapshot::of(&device);
    let mut daemon = Daemon::new(&device).started();
    // What the first guest makes guestnetd open for good is not what is looked for.
    let (net, first) = (daemon.connect(), Guest::new());
    net.attach(&config("first"), &by_netns(first.open_netns()), None).expect("attach");
    net.detach("first").expect("detach");
    drop((net, first));
    std::thread::sleep(Duration::from_secs(2));
    let (fds, kilobytes) = (open_fds(daemon.pid()).len(), memory(daemon.pid()));
    let guests: Vec<Vec<(String, Guest)>> = (0..CLIENTS)
        .map(|c| (0..GUESTS).map(|g| (format!("soak-{c}-{g}"), Guest::new())).collect())
        .collect();
    let (done, mut lives, mut most) = (AtomicU32::new(0), 0, 0);
    while Instant::now() < end {
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for mine in &guests {
                scope.spawn(|| client(&daemon, mine, &over, &done));
            }
            std::thread::sleep(LIFE.min(end.saturating_duration_since(Instant::now())));
            over.store(true, Ordering::SeqCst);
        });
        most = most.max(memory(daemon.pid()));
        lives += 1;
        match lives % 2 {
            0 => daemon.kill(),
            _ => assert!(daemon.stop().success()),
        }
        daemon.start();
        let attached = daemon.connect().list().expect("the guests").len();
        assert_eq!(attached, CLIENTS * GUESTS, "a restart lost a guest");
        println!(
            "{lives} restarts, {} attaches, {most} kB at most (at the start {kilobytes} kB)",
            done.load(Ordering::SeqCst)
        );
    }
    let net = daemon.connect();
    for (name, guest) in guests.iter().flatten() {
        assert!(guest.tcp(Internet::TCP, "end").is_ok(), "{name} has no network");
        net.detach(name).expect("detach");
    }
    drop(net);
    let fewer = || (open_fds(daemon.pid()).len() <= fds).then_some(());
    guestnet_tests::poll(Duration::from_secs(5), fewer).expect("descriptors are left open");
    assert!(daemon.stop().success());
    before.assert_same(&Snapshot::of(&device));
    println!("passed: nothing is left in the device");
}
