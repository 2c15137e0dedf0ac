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

//! A program of the platform hangs: others do not wait for it, it is run again more and more seldom, and
//! guestnetd ends all the same.

use std::time::{Duration, Instant};

use guestnet_tests::bed::{netd_daemon, Bed, BOUND};
use guestnet_tests::client::{by_pid, config};
use guestnet_tests::netd::NetdDevice;
use guestnet_tests::{poll, InNetns};

/// As long as a call may wait for one program, on a busy machine.
const ONE: Duration = Duration::from_millis(4500);

/// Takes a jump away, and waits until guestnetd runs a program to put it back.
#[track_caller]
fn has_it_run_a_program(bed: &Bed<NetdDevice>) {
    bed.device.note_calls();
    bed.device.run("iptables-legacy -w -F oem_fwd");
    bed.device.run("ip rule del from 172.17.0.0/16");
    let runs = || (!bed.device.noted_calls().is_empty()).then_some(());
    poll(BOUND, runs).expect("a program");
}

#[test]
fn others_are_answered_and_it_is_run_seldom() {
    let bed = Bed::on_netd(NetdDevice::new()).args("--check-every 1").attached("demo").build();
    bed.flows_as("192.0.2.2");
    bed.device.hang("iptables");
    has_it_run_a_program(&bed);
    let (begun, mut longest, mut answers) = (Instant::now(), Duration::ZERO, 0);
    while begun.elapsed() < Duration::from_secs(14) {
        let asked = Instant::now();
        bed.service.status(None).expect("status");
        bed.service.list().expect("list");
        longest = longest.max(asked.elapsed());
        answers += 1;
        std::thread::sleep(Duration::from_millis(20));
    }
    let runs = bed.device.noted_calls();
    println!("{answers} answers, the longest after {longest:?}; {} runs", runs.len());
    assert!(longest < ONE, "{longest:?}");
    assert!(runs.len() <= 5, "{runs:?}");
    bed.device.hang("");
    bed.flows_as("192.0.2.2");
    assert!(bed.device.run("iptables-legacy -w -S oem_fwd").contains("oem_guestnet_fwd"));
    bed.end();
}

#[test]
fn the_end_is_in_order() {
    let mut bed = Bed::on_netd(NetdDevice::new()).args("--check-every 1").attached("demo").build();
    bed.flows_as("192.0.2.2");
    bed.device.hang("iptables");
    has_it_run_a_program(&bed);
    let begun = Instant::now();
    let status = bed.daemon.stop();
    println!("ended after {:?}", begun.elapsed());
    assert!(status.success(), "{status}: {}", bed.daemon.log());
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(bed.daemon.log().contains("1 guest keeps its network"), "{}", bed.daemon.log());
    // Without a guest there is something to be taken away.
    bed.device.hang("");
    bed.daemon.start();
    bed.service = bed.daemon.connect();
    bed.service.detach("demo").expect("detach");
    bed.device.hang("iptables ip6tables");
    let begun = Instant::now();
    let status = bed.daemon.stop();
    assert!(status.success(), "{status}: {}", bed.daemon.log());
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn an_attach_fails_soon_and_nothing_is_owed() {
    let device = NetdDevice::new();
    let before = device.everything_else();
    device.hang("ndc");
    let bed = {
        let daemon = netd_daemon(&device).args("--check-every 1").started();
        (daemon.connect(), daemon)
    };
    let (service, daemon) = bed;
    let guest = guestnet_tests::Guest::new();
    let begun = Instant::now();
    let refused = service.attach(&config("demo"), &by_pid(guest.pid()), None);
    let refused = refused.expect_err("netd has not answered").to_string();
    assert!(begun.elapsed() < ONE, "{:?}", begun.elapsed());
    assert!(refused.contains("netd does not answer"), "{refused}");
    device.hang("");
    // It may have heard the question all the same.
    device.note_calls();
    let told = || device.noted_calls().contains(&"ndc ipfwd disable guestnetd".to_owned());
    poll(BOUND, || told().then_some(())).unwrap_or_else(|| panic!("{}", daemon.log()));
    service.attach(&config("demo"), &by_pid(guest.pid()), None).expect("attach");
    device.hang("ndc");
    let begun = Instant::now();
    service.detach("demo").expect("detach");
    assert!(begun.elapsed() < ONE, "{:?}", begun.elapsed());
    device.hang("");
    let free = || device.forwarding_requesters().is_empty().then_some(());
    poll(BOUND, free).unwrap_or_else(|| panic!("{}", daemon.log()));
    assert_eq!(device.everything_else().diff(&before), None);
}
