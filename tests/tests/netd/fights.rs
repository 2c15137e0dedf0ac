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

//! Somebody takes the same away again and again: it costs little, and when they stop it is put back.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use guestnet_tests::bed::{Bed, BOUND};
use guestnet_tests::netd::NetdDevice;
use guestnet_tests::{poll, InNetns, Probe};

/// How long somebody goes on.
const FIGHT: Duration = Duration::from_secs(6);

/// How long guestnetd may work meanwhile: a twentieth of the time, or on a slow machine (an emulated
/// one) as long as so many runs of `ip` take, of which the other side does far more.
fn may_work(bed: &Bed<NetdDevice>) -> Duration {
    const RUNS: u32 = 40;
    let run = |_| {
        let begun = Instant::now();
        bed.device.run("ip rule show");
        begun.elapsed()
    };
    let quickest = (0..5).map(run).min().unwrap_or_default();
    (FIGHT / 20).max(quickest * RUNS)
}

/// Somebody who does this again and again.
struct Foe(Child);

impl Foe {
    fn of(bed: &Bed<NetdDevice>, command: &str) -> Self {
        let mut shell: Command = bed.device.command("/bin/sh");
        shell.args(["-c", &format!("while :; do {command}; done")]);
        shell.stdout(Stdio::null()).stderr(Stdio::null());
        Self(shell.spawn().expect("sh"))
    }
}

impl Drop for Foe {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The time that guestnetd has worked, of all its threads.
fn worked(bed: &Bed<NetdDevice>) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", bed.daemon.pid())).expect("stat");
    let fields: Vec<&str> = stat.rsplit(") ").next().expect("fields").split(' ').collect();
    let ticks: u64 = fields[11..13].iter().map(|n| n.parse::<u64>().expect("a number")).sum();
    Duration::from_millis(ticks * 10)
}

#[track_caller]
fn costs_little(command: &str, is_back: impl Fn(&Bed<NetdDevice>) -> bool) {
    let mut bed = Bed::on_netd(NetdDevice::new()).args("--check-every 1").attached("demo").build();
    bed.flows_as("192.0.2.2");
    bed.device.note_calls();
    let (most, said, work) = (may_work(&bed), bed.daemon.log().len(), worked(&bed));
    let foe = Foe::of(&bed, command);
    std::thread::sleep(FIGHT);
    let work = worked(&bed) - work;
    let named = || bed.daemon.log()[said..].contains("something keeps removing it").then_some(());
    let is_named = poll(BOUND, named).is_some();
    drop(foe);
    let log = bed.daemon.log()[said..].to_owned();
    println!("{command}: {work:?} of {FIGHT:?}, {} bytes of log", log.len());
    assert!(work < most, "{work:?}, not within {most:?}: {log}");
    assert!(log.len() < 4096, "{} bytes: {log}", log.len());
    assert!(is_named, "{log}");
    let asked = bed.device.noted_calls();
    assert!(!asked.iter().any(|call| call.starts_with("ndc")), "netd was asked: {asked:?}");
    let back = poll(Duration::from_secs(6), || is_back(&bed).then_some(()));
    assert!(back.is_some(), "{}", bed.daemon.log());
    bed.flows_as("192.0.2.2");
    // And once it is forgotten, what is taken away is back at once.
    std::thread::sleep(BOUND);
    bed.device.run("ip rule del from 172.17.0.0/16");
    let taken = Instant::now();
    let back = || bed.device.run("ip rule").contains("from 172.17.0.0/16").then_some(());
    poll(Duration::from_secs(1), back).expect("put back");
    assert!(taken.elapsed() < Duration::from_millis(500), "{:?}", taken.elapsed());
    assert_eq!(bed.stop_watching().leaks, [""; 0]);
}

#[test]
fn for_the_rule() {
    let has = |bed: &Bed<NetdDevice>| bed.device.run("ip rule").contains("from 172.17.0.0/16");
    costs_little("ip rule del from 172.17.0.0/16", has);
}

#[test]
fn for_a_guests_address() {
    let has = |bed: &Bed<NetdDevice>| !bed.device.addresses(4, "vm_wlan").is_empty();
    costs_little("ip addr del 172.17.3.2/16 dev vm_wlan", has);
}
