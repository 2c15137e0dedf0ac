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

//! Guests on a segment: attach and detach of guest N there beside guests on none, and what a packet from guest to
//! guest costs beside a plain Linux bridge made by hand.

use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use android_system_guestnet::aidl::android::system::guestnet::{
    GuestConfig::GuestConfig, GuestKind::GuestKind,
};
use guestnet_tests::client::{by_netns, config};
use guestnet_tests::{Device, InNetns};

use crate::build::Build;
use crate::crowd::{name, namespaces, on_a_thread, Crowd};
use crate::datapath::probes;
use crate::error::{Doing, Result};
use crate::measure::{order, Samples};
use crate::options::Options;
use crate::progress;
use crate::report::cells::{micros, ratio};
use crate::report::table::{Cell, Table};
use crate::settle::Settle;

/// How long each measurement of packets takes.
const TIME: Duration = Duration::from_millis(200);
/// The address of the first guest; each further one has the next.
const FIRST: Ipv4Addr = Ipv4Addr::new(172, 17, 3, 3);

/// Both in one table.
pub fn run(options: &Options) -> Result<Table> {
    on_a_thread(|| measure(options))
}

fn measure(options: &Options) -> Result<Table> {
    let columns = ["", "median", "p99", "against guest 1", "against a guest on none"];
    let mut table = Table::new("segment", "Guests on a segment", &columns);
    let sizes: &[usize] = if options.quick { &[1, 10, 100] } else { &[1, 100, 1000] };
    let rounds = options.rounds(30);
    calls(options, sizes, rounds, &mut table)?;
    packets(options, sizes.last().copied().unwrap_or(2), rounds, &mut table)?;
    Ok(table)
}

/// A guest's set-up on the segment, or on none.
fn set_up(at: usize, segment: bool) -> GuestConfig {
    let kind = if segment { GuestKind::BRIDGED } else { GuestKind::VETH };
    GuestConfig { kind, segment: segment.then(|| "bench".to_owned()), ..config(&name(at)) }
}

/// Attaches guest `at`; gives the time of the call.
fn attach(crowd: &Crowd, at: usize, netns: &OwnedFd, segment: bool) -> Result<Duration> {
    let (config, target) = (set_up(at, segment), by_netns(netns.try_clone()?));
    let began = Instant::now();
    crowd.client().attach(&config, &target).doing(name(at))?;
    Ok(began.elapsed())
}

/// What is measured of guest N.
#[derive(Default)]
struct Calls {
    attach: Samples,
    detach: Samples,
}

/// Guest N with N-1 present, on the segment and on none in turn, each in a device of its own.
fn calls(options: &Options, sizes: &[usize], rounds: usize, table: &mut Table) -> Result<()> {
    const WHERE: [&str; 2] = ["on the segment", "on none"];
    let build = Build::now(options);
    let crowds = [Crowd::start(&build, 1)?, Crowd::start(&build, 1)?];
    let most = sizes.last().copied().unwrap_or(1);
    let guests = [namespaces(most)?, namespaces(most)?];
    let mut settle = Settle::new()?;
    let (mut there, mut firsts) = (0, [None, None]);
    for (done, &size) in sizes.iter().enumerate() {
        for (crowd, netns) in crowds.iter().zip(&guests) {
            let segment = std::ptr::eq(crowd, &crowds[0]);
            for (at, netns) in netns.iter().enumerate().take(size - 1).skip(there) {
                attach(crowd, at, netns, segment)?;
            }
        }
        there = size - 1;
        settle.settle()?;
        let mut took: [Calls; 2] = Default::default();
        // Two rounds are not counted.
        for round in 0..rounds + 2 {
            for who in [round % 2, (round + 1) % 2] {
                let attached = attach(&crowds[who], there, &guests[who][there], who == 0)?;
                let detached = crowds[who].detach(there)?;
                if round >= 2 {
                    took[who].attach.push(attached);
                    took[who].detach.push(detached);
                }
                settle.settle()?;
            }
        }
        for what in ["attach", "detach"] {
            let of = |calls: &Calls| {
                if what == "attach" {
                    calls.attach.clone()
                } else {
                    calls.detach.clone()
                }
            };
            let beside = of(&took[0]).ratio(&of(&took[1]));
            for (who, place) in WHERE.into_iter().enumerate() {
                let samples = of(&took[who]);
                let growth = firsts[who].as_ref().and_then(|first| samples.ratio(&of(first)));
                table.row(
                    format!("{what} of guest {size} {place}"),
                    vec![
                        micros(samples.median()),
                        micros(samples.percentile(99.0)),
                        ratio(growth),
                        ratio(beside.filter(|_| who == 0)),
                    ],
                );
                if what == "attach" && who == 0 && size == 1000 {
                    let measured = growth.map(|times| (format!("{times:.2}x"), times <= 1.6));
                    let what = "attach of guest 1000 on a segment against guest 1";
                    table.target(what, "at most 1.6x", measured);
                }
            }
        }
        let [one, other] = took;
        firsts = match firsts {
            [None, None] => [Some(one), Some(other)],
            there => there,
        };
        progress::show("segment: guest N", done + 1, sizes.len());
    }
    table.method.push(format!(
        "Guest N: {rounds} rounds of attach and detach with N-1 guests there, on the segment and on none in \
         turn, each in a device of its own. Guests are network namespaces without processes."
    ));
    Ok(())
}

/// Two guests that can send to each other, and what is there for that.
struct Pair {
    subject: String,
    // In this order: guestnetd ends before the guests that it knows, and they before the device.
    _crowd: Option<Crowd>,
    guests: Vec<OwnedFd>,
    _device: Option<Device>,
    /// The address of the last one.
    to: Ipv4Addr,
    cpu: Samples,
    times: Samples,
}

impl Pair {
    /// By a segment with so many guests.
    fn on_a_segment(build: &Build, count: usize) -> Result<Self> {
        let (crowd, guests) = (Crowd::start(build, 1)?, namespaces(count)?);
        for (at, netns) in guests.iter().enumerate() {
            attach(&crowd, at, netns, true)?;
        }
        let subject = format!("guest to guest, on a segment of {count}");
        Ok(Self::of(subject, Some(crowd), guests, None))
    }

    /// By a bridge with a port for each.
    fn on_a_bridge() -> Result<Self> {
        let (device, guests) = (Device::new(), namespaces(2)?);
        device.run("ip link add br0 type bridge");
        device.run("ip link set br0 up");
        for (at, netns) in guests.iter().enumerate() {
            let there = format!("/proc/{}/fd/{}", std::process::id(), netns.as_raw_fd());
            device.run(&format!("ip link add port{at} type veth peer name wlan0 netns {there}"));
            device.run(&format!("ip link set port{at} master br0 up"));
            netns.run(&format!("ip addr add 172.17.3.{}/16 dev wlan0", at + 3));
            netns.run("ip link set wlan0 up");
        }
        let subject = "guest to guest, by a Linux bridge made by hand".to_owned();
        Ok(Self::of(subject, None, guests, Some(device)))
    }

    fn of(
        subject: String,
        crowd: Option<Crowd>,
        guests: Vec<OwnedFd>,
        device: Option<Device>,
    ) -> Self {
        let (cpu, times) = Default::default();
        let last = u32::from(FIRST) + guests.len() as u32 - 1;
        Self { subject, _crowd: crowd, guests, _device: device, to: last.into(), cpu, times }
    }

    /// One round.
    fn take(&mut self, keep: bool) -> Result<()> {
        let [from, .., to] = self.guests.as_slice() else { return Ok(()) };
        let nanoseconds = probes::flood(from, to, self.to, TIME)?;
        let times: Samples = probes::round_trips(from, to, self.to, TIME)?.into_iter().collect();
        if let (true, Some(median)) = (keep, times.median()) {
            self.cpu.push_micros(nanoseconds);
            self.times.push_micros(median);
        }
        Ok(())
    }
}

/// What a packet from guest to guest costs.
fn packets(options: &Options, many: usize, rounds: usize, table: &mut Table) -> Result<()> {
    let build = Build::now(options);
    let mut pairs =
        [Pair::on_a_bridge()?, Pair::on_a_segment(&build, 2)?, Pair::on_a_segment(&build, many)?];
    // The first round warms up.
    for round in 0..rounds + 1 {
        for at in order(round, pairs.len()) {
            let who = pairs[at].subject.clone();
            pairs[at].take(round > 0).doing(who)?;
        }
        progress::show("segment: packets", round, rounds);
    }
    let [bridge, others @ ..] = &pairs;
    for pair in &pairs {
        let cpu = pair.cpu.median().map_or(Cell::Empty, |ns| Cell::Number(ns, "ns".to_owned()));
        table.row(
            format!("CPU per small packet, {}", pair.subject),
            vec![cpu, Cell::Empty, Cell::Empty, Cell::Empty],
        );
        let cells = vec![micros(pair.times.median()), Cell::Empty, Cell::Empty, Cell::Empty];
        table.row(format!("there and back, {}", pair.subject), cells);
    }
    for pair in others {
        let times = pair.cpu.ratio(&bridge.cpu);
        table.notes.extend(
            times.map(|times| format!("CPU: {} against a bridge's: {times:.2}x.", pair.subject)),
        );
    }
    table.method.push(format!(
        "Packets: {rounds} rounds in turn, from the first guest to the last, each measurement {} ms: a flood of UDP datagrams of 18 bytes from \
         one core, datagrams there and back with both ends on one core. The bridge has a port for each of two \
         guests, and no filter.",
        TIME.as_millis()
    ));
    Ok(())
}
