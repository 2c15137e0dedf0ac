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

//! wlan0 is Wi-Fi: guests of the real guestnetd follow it through everything that happens to Wi-Fi.

mod bed;
mod event;
mod table;

use std::env;

use guestnet_device_tests::scale;
use guestnet_device_tests::wifi::Wifi;
use guestnet_tests::client::{by_pid, config};
use guestnet_tests::netd::Watch;
use guestnet_tests::{said, Container, Daemon};

use bed::Bed;
use event::Event;

/// How often each event comes; the variable ROUNDS says otherwise.
const ROUNDS: usize = 3;

#[test]
fn guests_follow_every_event() {
    let rounds = env::var("ROUNDS").map_or(ROUNDS, |text| text.trim().parse().expect("ROUNDS"));
    let mut wifi = Wifi::new();
    let factor = scale::factor(&wifi.device);
    println!("everything takes {factor:.1} times as long as on the machine of BENCHMARKS.md");
    let slack = table::SLACK.mul_f64(factor);
    let mut rows = Bed::new(&mut wifi, "wlan0").rounds(rounds, &Event::WITH_WIFI_ALONE);
    wifi.add_rmnet0();
    rows.extend(Bed::new(&mut wifi, "wlan0,rmnet*").rounds(rounds, &[Event::ForGood]));
    print!("{}", table::of(&rows, slack));
    table::assert_reached(&rows, slack);
}

/// A real container, and what one sees of it on its way out.
#[test]
fn a_container_fetches_a_page_from_beyond() {
    let wifi = Wifi::new();
    let daemon = Daemon::new(&wifi.device).started();
    let container = Container::new(&wifi.device);
    container.start().unwrap();
    let pid = container.pid().expect("its init");
    let watch = Watch::start(&wifi.device, &["wlan0"]);
    let service = daemon.connect();
    service.attach(&config("demo"), &by_pid(pid), None).expect("attach");
    let fetch = ["timeout", "5", "wget", "-q", "-O", "-", "http://198.51.100.1/"];
    let out = container.try_exec(&fetch);
    assert!(out.status.success(), "{}\n{}", said(&out), daemon.log());
    let page = String::from_utf8_lossy(&out.stdout).trim().to_owned();
    assert_eq!(Some(page), wifi.address());
    container.stop();
    let found = watch.end();
    found.assert_clean();
    assert!(found.forwarded > 0, "{found:?}");
}
