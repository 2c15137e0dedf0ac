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

//! A device on Wi-Fi with guestnetd and a guest, and what one event does to them.

use std::time::{Duration, Instant};

use android_system_guestnet::aidl::android::system::guestnet::IGuestNet::IGuestNet;
use guestnet_device_tests::wifi::Wifi;
use guestnet_tests::client::{by_pid, config};
use guestnet_tests::netd::{Found, Watch};
use guestnet_tests::probe::exchange;
use guestnet_tests::traffic::{flow, Flow, Forgotten, Heard, Monitor, Ours, Prober, Sent, Who};
use guestnet_tests::{poll, Daemon, Guest, Probe};

use super::event::Event;

/// How often the guest and the device send a datagram each.
const EVERY: Duration = Duration::from_millis(20);
/// Traffic that has not come back by then never comes.
const LIMIT: Duration = Duration::from_secs(30);
/// The device's probes have other numbers than any guest's: the watch tells packets by what is in them.
const DEVICES: u32 = 1 << 31;

/// The device and what is on it.
pub struct Bed<'a> {
    // In this order: guestnetd ends before its guest.
    daemon: Daemon,
    guest: Guest,
    wifi: &'a mut Wifi,
    /// Probes sent so far.
    probes: u32,
}

/// What an event did.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Of the guest's traffic; none: it never came back.
    pub guest: Option<Flow>,
    /// Of the device's own.
    pub device: Option<Flow>,
    /// Whether conntrack has kept the guest's TCP stream and probes.
    pub kept: bool,
    /// Whether the TCP stream lives.
    pub lived: bool,
    /// The packets.
    pub found: Found,
}

impl<'a> Bed<'a> {
    /// One with this uplink.
    #[track_caller]
    pub fn new(wifi: &'a mut Wifi, uplinks: &str) -> Self {
        let daemon = Daemon::new(&wifi.device).args(&format!("--uplink {uplinks}")).started();
        let guest = Guest::new();
        let attached = daemon.connect().attach(&config("demo"), &by_pid(guest.pid()), None);
        attached.unwrap_or_else(|e| panic!("attach: {e}\n{}", daemon.log()));
        let bed = Self { daemon, guest, wifi, probes: 0 };
        bed.assert_page(bed.wifi.address());
        bed
    }

    /// Some events, one after another, again and again.
    pub fn rounds(mut self, rounds: usize, events: &[Event]) -> Vec<(Event, Vec<Outcome>)> {
        let mut rows: Vec<_> = events.iter().map(|event| (*event, Vec::new())).collect();
        for round in 1..=rounds {
            for (event, outcomes) in &mut rows {
                let begin = Instant::now();
                outcomes.push(self.take(*event));
                println!("{round} of {rounds}, {:.1?}: {}", begin.elapsed(), event.name());
            }
        }
        rows
    }

    /// One event.
    #[track_caller]
    fn take(&mut self, event: Event) -> Outcome {
        let watch = Watch::start(&self.wifi.device, event.uplinks());
        let mut lost = Forgotten::listen(&self.wifi.device).expect("conntrack's events");
        // First: they wait until the event before has been followed.
        let probers = [self.prober(false), self.prober(true)];
        let stream = self.guest.connect_tcp(Wifi::TCP).expect("the TCP stream");
        exchange(&stream, "before").expect("the TCP stream");
        let ports = [probers[0].port, stream.local_addr().expect("a port").port()];
        let mut monitor = self.monitor();

        monitor.mark().expect("a mark");
        event.cause(self.wifi);
        monitor.mark().expect("a mark");

        for prober in &probers {
            prober.flows(LIMIT);
        }
        let sent = probers.map(|prober| prober.end().expect("the probes"));
        self.probes += sent.iter().map(Vec::len).max().unwrap_or_default() as u32;
        let last = last_change(&monitor.end().expect("the monitor"));
        let kept = lost.of(&ports).expect("conntrack's events") == 0;
        let lived = lives(&stream);
        self.assert_page(event.address(self.wifi));
        let [guest, device] = sent.map(|sent: Vec<Sent>| flow(&sent, last));
        let outcome = Outcome { guest, device, kept, lived, found: watch.end() };
        event.undo(self.wifi);
        outcome
    }

    /// A prober whose traffic flows: the guest's, or the device's own.
    fn prober(&self, device: bool) -> Prober {
        let prober = if device {
            Prober::start(&self.wifi.device, DEVICES + self.probes, Wifi::UDP, EVERY)
        } else {
            Prober::start(&self.guest, self.probes, Wifi::UDP, EVERY)
        };
        let prober = prober.expect("a prober");
        assert!(prober.flows(LIMIT), "no traffic, device {device}\n{}", self.daemon.log());
        prober
    }

    fn monitor(&self) -> Monitor {
        let link = self.wifi.device.link("vm_wlan").expect("vm_wlan");
        let index = link["ifindex"].as_u64().expect("an index") as u32;
        let ours = Ours::of(self.daemon.pid(), [index]).expect("guestnetd's sockets");
        assert!(!ours.ports.is_empty(), "guestnetd's netlink sockets are not found");
        Monitor::start(&self.wifi.device, ours).expect("a monitor")
    }

    /// The guest fetches a page from beyond, which says by which address of the device's.
    #[track_caller]
    fn assert_page(&self, address: Option<String>) {
        let page = || self.guest.fetch(Wifi::TCP).ok();
        let page = poll(LIMIT, page);
        assert_eq!(page, address, "\n{}", self.daemon.log());
        assert!(page.is_some());
    }
}

/// When others than guestnetd changed something for the last time, as it was announced.
fn last_change(heard: &Heard) -> Instant {
    let [from, to] = heard.marks[..] else { panic!("two marks are needed") };
    let last = heard.all[from..to].iter().rfind(|(_, who)| *who == Who::Others);
    last.expect("something is announced").0
}

/// Whether a stream goes on. What was sent while there was no way is sent again by TCP after a while,
/// twice as long each time.
fn lives(stream: &std::net::TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_secs(3))).expect("a timeout");
    exchange(stream, "after").is_ok_and(|line| line.ends_with(" after"))
}
